/* Fast Fourier transform there and back, in single precision. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { BITS = 12, N = 1 << BITS };
static float re[N], im[N], cosine[N / 2], sine[N / 2];

static void transform(float sign) {
    for (unsigned i = 0, j = 0; i < N; i++) { /* bit-reversed order */
        if (i < j) {
            float t = re[i], s = im[i];
            re[i] = re[j], im[i] = im[j];
            re[j] = t, im[j] = s;
        }
        unsigned bit = N / 2;
        for (; j & bit; bit >>= 1) j ^= bit;
        j |= bit;
    }
    for (int half = 1; half < N; half *= 2)
        for (int start = 0; start < N; start += 2 * half)
            for (int k = 0; k < half; k++) {
                int a = start + k, b = a + half, w = k * (N / 2 / half);
                float c = cosine[w], s = sign * sine[w];
                float x = re[b] * c - im[b] * s, y = re[b] * s + im[b] * c;
                re[b] = re[a] - x, im[b] = im[a] - y;
                re[a] += x, im[a] += y;
            }
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 100;
    for (int i = 0; i < N / 2; i++) {
        cosine[i] = (float)cos(2 * 3.14159265358979323846 * i / N);
        sine[i] = (float)sin(2 * 3.14159265358979323846 * i / N);
    }
    for (int i = 0; i < N; i++) re[i] = (float)(i * 37 % 101) / 101;
    for (int r = 0; r < rounds; r++) {
        transform(-1);
        transform(1);
        for (int i = 0; i < N; i++) re[i] /= N, im[i] /= N;
    }
    double sum = 0;
    for (int i = 0; i < N; i++) sum += re[i] * (i % 7);
    printf("%.2f\n", sum);
}
