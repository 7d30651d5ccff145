/* 16-bit samples mixed with saturation, scaled, and correlated into 32 bits: loops that compilers turn into vector code. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { N = 4096 };
static int16_t left[N], right[N], out[N];

#define VECTOR __attribute__((noinline, optimize("O3")))

VECTOR static void mix(int16_t *restrict o, const int16_t *restrict x, const int16_t *restrict y) {
    for (int i = 0; i < N; i++) {
        int s = x[i] + y[i];
        o[i] = (int16_t)(s > 32767 ? 32767 : s < -32768 ? -32768 : s);
    }
}

VECTOR static void scale(int16_t *restrict o, int volume) {
    for (int i = 0; i < N; i++) o[i] = (int16_t)((o[i] * volume + (1 << 14)) >> 15);
}

VECTOR static int32_t correlate(const int16_t *restrict x, const int16_t *restrict y) {
    uint32_t sum = 0;
    for (int i = 0; i < N; i++) sum += (uint32_t)(x[i] * y[i]);
    return (int32_t)sum;
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 20000;
    uint32_t sum = 0;
    for (int i = 0; i < N; i++) left[i] = (int16_t)(i * 7919), right[i] = (int16_t)(i * 104729 + 1);
    for (int r = 0; r < rounds; r++) {
        mix(out, left, right);
        scale(out, 20000 + (r & 1023));
        sum += (uint32_t)correlate(out, left);
        left[r & (N - 1)] = (int16_t)sum;
    }
    printf("%u\n", sum);
}
