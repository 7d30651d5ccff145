/* Integer hashing: multiplies, rotations and an open-addressing table. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t mix(uint64_t x) {
    x ^= x >> 30;
    x *= 0xbf58476d1ce4e5b9u;
    x ^= x >> 27;
    x *= 0x94d049bb133111ebu;
    return x ^ x >> 31;
}

int main(int argc, char **argv) {
    long rounds = argc > 1 ? atol(argv[1]) : 40000000;
    enum { BITS = 15, SIZE = 1 << BITS };
    static uint64_t key[SIZE];
    static uint32_t count[SIZE];
    uint64_t state = 42, hits = 0;
    for (long i = 0; i < rounds; i++) {
        state = (state << 7 | state >> 57) + 0x9e3779b97f4a7c15u;
        uint64_t k = mix(state) % 20011 + 1;
        uint32_t at = mix(k) >> (64 - BITS);
        while (key[at] && key[at] != k) at = (at + 1) % SIZE;
        if (key[at]) hits++;
        key[at] = k;
        count[at] += (uint32_t)state & 3;
    }
    uint64_t sum = hits;
    for (int i = 0; i < SIZE; i++) sum = sum * 31 + count[i];
    printf("%llu\n", (unsigned long long)sum);
}
