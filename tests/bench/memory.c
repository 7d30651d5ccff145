/* A walk through a shuffled list larger than the caches, and sums over an array: loads that miss, and loads that stream. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    long steps = argc > 1 ? atol(argv[1]) : 2000000;
    enum { N = 1 << 20 };
    static uint32_t next[N];
    for (uint32_t i = 0; i < N; i++) next[i] = i;
    uint32_t state = 1;
    for (uint32_t i = N - 1; i > 0; i--) { /* Sattolo's shuffle: one cycle */
        state = state * 1664525 + 1013904223;
        uint32_t j = (uint32_t)((uint64_t)state * i >> 32), t = next[i];
        next[i] = next[j];
        next[j] = t;
    }
    uint32_t at = 0;
    uint64_t sum = 0;
    for (long i = 0; i < steps; i++) {
        at = next[at];
        sum += at;
    }
    for (long r = 0; r < steps / 200000; r++)
        for (uint32_t i = 0; i < N; i += 4) sum += next[i] ^ next[i + 1];
    printf("%llu\n", (unsigned long long)sum);
}
