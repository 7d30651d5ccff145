/* Short strings: formatting, parsing, comparing, searching, copying. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 200000;
    char line[128], copy[128];
    unsigned long sum = 0;
    for (int i = 0; i < rounds; i++) {
        int length = snprintf(line, sizeof line, "%d:%s:%x:%.3f", i, i & 1 ? "odd" : "even", i * 2654435761u, i / 8.0);
        memcpy(copy, line, (size_t)length + 1);
        char *at = strchr(copy, ':');
        sum += strtoul(copy, NULL, 10) + strlen(at) + (unsigned)(strcmp(line, copy) == 0) + (strstr(at, "even:") != NULL);
        sum += strtoul(strrchr(line, ':') + 1, NULL, 10);
    }
    printf("%lu\n", sum);
}
