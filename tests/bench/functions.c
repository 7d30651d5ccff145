/* Functions of the mathematical library: sine, exponential, logarithm, power, arc tangent, square root. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    int steps = argc > 1 ? atoi(argv[1]) : 300000;
    double x = 0.5, sum = 0;
    for (int i = 1; i <= steps; i++) {
        x = sin(x + i) * 0.5 + 1;
        sum += exp(-x) + log(x + i) + pow(x, 1.5) + atan2(x, i & 7) + sqrt(x * i) + cos(sum);
    }
    printf("%.6g\n", sum);
}
