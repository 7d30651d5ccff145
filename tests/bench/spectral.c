/* Largest eigenvalue of a matrix whose elements are computed on the way: integer products, conversions, divisions. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST = 2000 };
static double u[MOST], v[MOST], between[MOST];

static double element(int i, int j) { return 1.0 / ((i + j) * (i + j + 1) / 2 + i + 1); }

static void times(int n, const double *x, double *y, int transposed) {
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int j = 0; j < n; j++) sum += (transposed ? element(j, i) : element(i, j)) * x[j];
        y[i] = sum;
    }
}

int main(int argc, char **argv) {
    int n = argc > 1 ? atoi(argv[1]) : 500;
    if (n > MOST) n = MOST;
    for (int i = 0; i < n; i++) u[i] = 1;
    for (int r = 0; r < 10; r++) {
        times(n, u, between, 0);
        times(n, between, v, 1);
        times(n, v, between, 0);
        times(n, between, u, 1);
    }
    double uv = 0, vv = 0;
    for (int i = 0; i < n; i++) {
        uv += u[i] * v[i];
        vv += v[i] * v[i];
    }
    printf("%.9f\n", sqrt(uv / vv));
}
