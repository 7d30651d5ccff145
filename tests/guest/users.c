// A process of several threads changes its user and group: the C library has every thread do it, by a signal of its own.
#define _GNU_SOURCE
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 3, ROUNDS = 20 };

static pthread_barrier_t started, changed;
static uid_t seen[THREADS];

// Waits in a system call while the others are told, then looks at its own user, past the C library.
static void *worker(void *arg) {
    pthread_barrier_wait(&started);
    pthread_barrier_wait(&changed);
    seen[(long)arg] = (uid_t)syscall(SYS_geteuid);
    return NULL;
}

int main(void) {
    pthread_t thread[THREADS];
    pthread_barrier_init(&started, NULL, THREADS + 1);
    pthread_barrier_init(&changed, NULL, THREADS + 1);
    for (long i = 0; i < THREADS; i++) pthread_create(&thread[i], NULL, worker, (void *)i);
    pthread_barrier_wait(&started);
    int failed = 0;
    for (int i = 0; i < ROUNDS; i++) failed += setresgid(-1, getegid(), -1) != 0;
    int privileged = geteuid() == 0;
    uid_t wanted = privileged ? 1234 : geteuid();
    failed += setresuid(-1, wanted, -1) != 0;
    pthread_barrier_wait(&changed);
    int agree = 0;
    for (int i = 0; i < THREADS; i++) {
        pthread_join(thread[i], NULL);
        agree += seen[i] == wanted;
    }
    printf("%d calls failed, %d of %d threads agree\n", failed, agree, THREADS);
    return 0;
}
