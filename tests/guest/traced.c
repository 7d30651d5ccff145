// A fixed sequence of system calls, for the trace: a file, a child, a thread, a signal, a call that does not exist.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void on_signal(int signal) { (void)signal; }

static void *thread(void *end) {
    char byte;
    return (void *)read(*(int *)end, &byte, 1);
}

int main(void) {
    struct stat st;
    int fd = openat(AT_FDCWD, "/none/of\n that", O_RDONLY | O_NOFOLLOW | O_DIRECTORY);
    fd = open("/dev/null", O_WRONLY | O_CLOEXEC | O_APPEND);
    fstat(fd, &st);
    write(fd, "0123456789abcdefghijklmnopqrstuvwxyz", 36);
    close(fd);
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    sigaction(SIGUSR1, &action, 0);
    raise(SIGUSR1);
    syscall(100000);
    if (fork() == 0) {
        _exit(3);
    }
    int status, ends[2];
    wait(&status);
    if (pipe(ends) != 0) {
        return 1;
    }
    pthread_t id;
    pthread_create(&id, 0, thread, &ends[0]);
    usleep(20000);
    write(ends[1], "x", 1);
    pthread_join(id, 0);
    return 5;
}
