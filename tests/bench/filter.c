/* A filter, a scaled sum and a clamp over arrays of floats: loops that compilers turn into vector code. */
#include <stdio.h>
#include <stdlib.h>

enum { N = 4096, TAPS = 8 };
static float in[N + TAPS], out[N], sum[N];

#define VECTOR __attribute__((noinline, optimize("O3")))

VECTOR static void convolve(float *restrict o, const float *restrict x, const float *restrict taps) {
    for (int i = 0; i < N; i++) {
        float s = 0;
        for (int k = 0; k < TAPS; k++) s += taps[k] * x[i + k];
        o[i] = s;
    }
}

VECTOR static void mix(float *restrict o, const float *restrict x, float weight) {
    for (int i = 0; i < N; i++) o[i] = o[i] * 0.5f + weight * x[i];
}

VECTOR static void clamp(float *restrict o, float least, float most) {
    for (int i = 0; i < N; i++) o[i] = o[i] < least ? least : o[i] > most ? most : o[i];
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 10000;
    const float taps[TAPS] = {0.125f, 0.25f, 0.5f, -0.25f, 0.0625f, 0.5f, -0.125f, 0.25f};
    for (int i = 0; i < N + TAPS; i++) in[i] = (float)(i * 37 % 128) / 16 - 4;
    for (int r = 0; r < rounds; r++) {
        convolve(out, in, taps);
        mix(sum, out, (float)(r & 7) / 8);
        clamp(sum, -3, 3);
    }
    double total = 0;
    for (int i = 0; i < N; i++) total += sum[i];
    printf("%.3f\n", total);
}
