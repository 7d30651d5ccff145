/* Copy, scale, add and triad over arrays larger than the caches. */
#include <stdio.h>
#include <stdlib.h>

enum { N = 1 << 21 };
static double a[N], b[N], c[N];

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 5;
    for (int i = 0; i < N; i++) a[i] = i % 9;
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < N; i++) c[i] = a[i];
        for (int i = 0; i < N; i++) b[i] = 0.5 * c[i];
        for (int i = 0; i < N; i++) c[i] = a[i] + b[i];
        for (int i = 0; i < N; i++) a[i] = b[i] + 0.25 * c[i];
    }
    double sum = 0;
    for (int i = 0; i < N; i += 1001) sum += a[i];
    printf("%.6f\n", sum);
}
