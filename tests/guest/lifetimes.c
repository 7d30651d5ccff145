// How threads and processes end: pthread_exit, cancellation, robust mutexes, fork and exec beside other threads.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t robust;
static int ready[2];

static void *dies_with_the_lock(void *unused) {
    (void)unused;
    pthread_mutex_lock(&robust);
    return NULL;
}

static void *waits_forever(void *unused) {
    (void)unused;
    if (write(ready[1], "r", 1) != 1) abort();
    for (;;) pause();
}

static void *busy(void *unused) {
    (void)unused;
    for (int i = 0;; i++) {
        void *volatile block = malloc((size_t)(i % 1000) + 1);
        free(block);
        pthread_testcancel();
    }
    return NULL;
}

static void robust_mutex(void) {
    pthread_mutexattr_t attributes;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    pthread_t thread;
    pthread_create(&thread, NULL, dies_with_the_lock, NULL);
    pthread_join(thread, NULL);
    int error = pthread_mutex_lock(&robust);
    printf("robust mutex: %s\n", error == EOWNERDEAD ? "owner died" : strerror(error));
    pthread_mutex_consistent(&robust);
    pthread_mutex_unlock(&robust);
}

static void cancellation(void) {
    pthread_t thread;
    void *result;
    char byte;
    if (pipe(ready)) exit(1);
    pthread_create(&thread, NULL, waits_forever, NULL);
    if (read(ready[0], &byte, 1) != 1) exit(1);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    printf("cancelled: %s\n", result == PTHREAD_CANCELED ? "yes" : "no");
}

static void forking_beside_threads(const char *self) {
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) pthread_create(&threads[i], NULL, busy, NULL);
    int good = 0;
    for (int i = 0; i < 40; i++) {
        pid_t pid = fork();
        if (pid == 0) {
            if (i % 4 == 0) {
                char *args[] = {"lifetimes", "child", NULL};
                execv(self, args);
            }
            free(malloc(100000));
            _exit(5);
        }
        int status;
        waitpid(pid, &status, 0);
        good += WIFEXITED(status) && WEXITSTATUS(status) == 5;
    }
    printf("forked beside threads: %d good\n", good);
    for (int i = 0; i < 3; i++) pthread_cancel(threads[i]);
    for (int i = 0; i < 3; i++) pthread_join(threads[i], NULL);
}

static void *executes(void *self) {
    char *args[] = {"lifetimes", "child", NULL};
    execv(self, args);
    return NULL;
}

static void exec_from_a_thread(const char *self) {
    pid_t pid = fork();
    if (pid == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, executes, (void *)self);
        for (;;) pause();
    }
    int status;
    waitpid(pid, &status, 0);
    printf("exec from a thread: %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
}

static void *last(void *unused) {
    (void)unused;
    usleep(10000);
    puts("the last thread ends the process");
    fflush(stdout);
    return NULL;
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 1 && !strcmp(argv[1], "child")) return 5;
    robust_mutex();
    cancellation();
    forking_beside_threads("/proc/self/exe");
    exec_from_a_thread("/proc/self/exe");
    printf("main thread: %s\n", syscall(SYS_gettid) == getpid() ? "leader" : "not leader");
    pthread_t thread;
    pthread_create(&thread, NULL, last, NULL);
    pthread_exit(NULL);
}
