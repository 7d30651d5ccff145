/* Library calls on 4 KiB buffers: what native bypass is for. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4096 };
static char source[N], target[N];

int main(int argc, char **argv) {
    long rounds = argc > 1 ? atol(argv[1]) : 600000;
    // Not a constant, or some compilers copy inline what this is about.
    size_t n = argc > 2 ? strtoul(argv[2], NULL, 0) : N;
    memset(source, 'a', N - 1);
    unsigned long sum = 0;
    for (long i = 0; i < rounds; i++) {
        source[i % (N - 1)] = 'a' + i % 26;
        memcpy(target, source, n);
        sum += strlen(target);
        sum += memcmp(target, source, n) == 0;
    }
    printf("%lu\n", sum);
}
