/* System calls that do little: the cost of making them. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
    long rounds = argc > 1 ? atol(argv[1]) : 200000;
    int zero = open("/dev/zero", O_RDONLY), null = open("/dev/null", O_WRONLY);
    long sum = 0;
    for (long i = 0; i < rounds; i++) {
        char buffer[64];
        struct stat st;
        sum += syscall(SYS_getppid) > 0;
        sum += read(zero, buffer, sizeof buffer);
        sum += write(null, buffer, sizeof buffer);
        sum += fstat(zero, &st) == 0;
        sum += lseek(null, i, SEEK_SET) >= 0;
    }
    printf("%ld\n", sum);
}
