/* A file written, read, examined and removed, and a pipe between two processes: system calls that move data and structures. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 5000;
    char name[] = "/tmp/isamorph-bench-XXXXXX", block[512] = "block", half[256];
    int file = mkstemp(name), ends[2];
    long sum = 0;
    if (file < 0 || pipe(ends) != 0) return 1;
    for (int i = 0; i < rounds; i++) {
        struct iovec parts[2] = {{block, 256}, {half, 256}};
        struct stat status;
        sum += pwrite(file, block, sizeof block, (i & 15) * 512) + preadv(file, parts, 2, 0);
        sum += stat(name, &status) == 0 && fstat(file, &status) == 0 ? status.st_size & 512 : 0;
        int again = open(name, O_RDONLY | O_CLOEXEC);
        sum += read(again, half, sizeof half) + lseek(again, 0, SEEK_END) % 7;
        close(again);
    }
    unlink(name);
    pid_t child = fork();
    if (child == 0) {
        for (int i = 0; i < rounds; i++)
            if (write(ends[1], block, 64) != 64) _exit(1);
        _exit(0);
    }
    for (long left = rounds * 64L; left > 0;) left -= read(ends[0], block, left < 512 ? (size_t)left : 512);
    int state;
    waitpid(child, &state, 0);
    printf("%ld %d\n", sum, state);
}
