// The first program: arguments, environment, exit status.
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
    const char *greeting = getenv("GREETING");
    printf("%s, world\n", greeting ? greeting : "hello");
    for (int i = 1; i < argc; i++) printf("argument %d: %s\n", i, argv[i]);
    return argc > 1 ? atoi(argv[argc - 1]) : 0;
}
