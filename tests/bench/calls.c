/* Recursive calls: the Fibonacci numbers the slow way. */
#include <stdio.h>
#include <stdlib.h>

__attribute__((noinline)) static unsigned fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

int main(int argc, char **argv) {
    unsigned n = argc > 1 ? atoi(argv[1]) : 38;
    printf("%u\n", fib(n));
}
