/* Blending and filtering of rows of bytes: loops that compilers turn into integer vector code. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 4096 };
static uint8_t a[N + 8], b[N + 8], out[N + 8];
static int32_t sums[N];

#define VECTOR __attribute__((noinline, optimize("O3")))

VECTOR static void blend(uint8_t *restrict o, const uint8_t *restrict x, const uint8_t *restrict y, int alpha) {
    for (int i = 0; i < N; i++) o[i] = (uint8_t)((x[i] * alpha + y[i] * (256 - alpha)) >> 8);
}

VECTOR static void smooth(uint8_t *restrict o, const uint8_t *restrict x) {
    for (int i = 0; i < N; i++) o[i] = (uint8_t)((x[i] + 2 * x[i + 1] + x[i + 2] + 2) >> 2);
}

VECTOR static void accumulate(int32_t *restrict o, const uint8_t *restrict x) {
    for (int i = 0; i < N; i++) o[i] += x[i] > 127 ? x[i] - 127 : -(x[i] >> 1);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 50000;
    for (int i = 0; i < N + 8; i++) {
        a[i] = (uint8_t)(i * 7);
        b[i] = (uint8_t)(i * 13 + 5);
    }
    for (int r = 0; r < rounds; r++) {
        blend(out, a, b, r & 255);
        smooth(a, out);
        accumulate(sums, a);
    }
    uint32_t sum = 0;
    for (int i = 0; i < N; i++) sum = sum * 31 + (uint32_t)sums[i];
    printf("%u\n", sum);
}
