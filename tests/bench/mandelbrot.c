/* Points of the Mandelbrot set: a short loop that carries its values, and ends unpredictably. */
#include <stdio.h>
#include <stdlib.h>

/* Not contracted: how fast a point escapes must not depend on whether there is a fused multiplication. */
__attribute__((noinline, optimize("fp-contract=off"))) static long iterations(int size) {
    long sum = 0;
    for (int row = 0; row < size; row++)
        for (int column = 0; column < size; column++) {
            double x0 = 3.0 * column / size - 2.25, y0 = 2.5 * row / size - 1.25, x = 0, y = 0;
            int n = 0;
            while (n < 200 && x * x + y * y <= 4) {
                double t = x * x - y * y + x0;
                y = 2 * x * y + y0;
                x = t;
                n++;
            }
            sum += n;
        }
    return sum;
}

int main(int argc, char **argv) { printf("%ld\n", iterations(argc > 1 ? atoi(argv[1]) : 300)); }
