/* Updates at random places of a table larger than the caches. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 1 << 22 };
static uint64_t table[N];

int main(int argc, char **argv) {
    long updates = argc > 1 ? atol(argv[1]) : 4000000;
    uint64_t at[8], sum = 0;
    for (int k = 0; k < 8; k++) at[k] = 0x9e3779b97f4a7c15u * (uint64_t)(k + 1);
    for (long i = 0; i < N; i++) table[i] = (uint64_t)i;
    for (long i = 0; i < updates; i++) {
        uint64_t x = at[i & 7];
        x ^= x << 13, x ^= x >> 7, x ^= x << 17;
        at[i & 7] = x;
        table[x % N] ^= x;
    }
    for (long i = 0; i < N; i++) sum = sum * 3 + table[i];
    printf("%llu\n", (unsigned long long)sum);
}
