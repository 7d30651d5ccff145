/* Queens on a board by bit masks, bit-wise CRC-32, greatest common divisors: shifts, masks, divisions. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static int queens(uint32_t all, uint32_t columns, uint32_t left, uint32_t right) {
    int count = 0;
    uint32_t free = all & ~(columns | left | right);
    if (columns == all) return 1;
    while (free) {
        uint32_t bit = free & -free;
        free ^= bit;
        count += queens(all, columns | bit, (left | bit) << 1, (right | bit) >> 1);
    }
    return count;
}

static uint32_t crc(uint32_t state, uint32_t bytes) {
    for (uint32_t i = 0; i < bytes; i++) {
        state ^= i & 255;
        for (int k = 0; k < 8; k++) state = state >> 1 ^ (0xedb88320u & -(state & 1));
    }
    return state;
}

static uint64_t divisors(uint64_t n) {
    uint64_t sum = 0;
    for (uint64_t i = 1; i < n; i++) {
        uint64_t a = n * 6364136223846793005u + i, b = i * 1442695040888963407u + n;
        while (b > 1) {
            uint64_t rest = a % b;
            a = b;
            b = rest;
        }
        sum += a;
    }
    return sum;
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 10;
    int solutions = queens((1u << n) - 1, 0, 0, 0);
    uint32_t check = crc(~0u, 1u << (2 * n));
    printf("%d %08x %llu\n", solutions, check, (unsigned long long)divisors(1u << n));
}
