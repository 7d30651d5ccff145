// Threads that wait: PROGRAM COUNT says when all of them do, and ends with its input.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t all;

static void *wait(void *unused) {
    pthread_barrier_wait(&all);
    for (;;) pause();
    return unused;
}

int main(int argc, char **argv) {
    int count = argc > 1 ? atoi(argv[1]) : 1;
    pthread_barrier_init(&all, NULL, (unsigned)count + 1);
    for (int i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, wait, NULL)) return 1;
    }
    pthread_barrier_wait(&all);
    puts("all wait");
    fflush(stdout);
    while (getchar() != EOF) {}
    _exit(0);
}
