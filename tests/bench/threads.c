/* Two threads that share: a mutex, an atomic counter, and a condition variable handed back and forth. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long guarded, rounds, turn;
static atomic_long counter;

static void *work(void *which) {
    long me = (long)which;
    for (long i = 0; i < rounds; i++) {
        atomic_fetch_add(&counter, i & 3);
        if (i % 8 == 0) {
            pthread_mutex_lock(&lock);
            guarded += i;
            pthread_mutex_unlock(&lock);
        }
    }
    for (long i = 0; i < rounds / 1000; i++) {
        pthread_mutex_lock(&lock);
        while (turn % 2 != me) pthread_cond_wait(&changed, &lock);
        turn++;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
    return NULL;
}

int main(int argc, char **argv) {
    rounds = argc > 1 ? atol(argv[1]) : 2000000;
    pthread_t threads[2];
    for (long i = 0; i < 2; i++) pthread_create(&threads[i], NULL, work, (void *)i);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    printf("%ld %ld %ld\n", guarded, atomic_load(&counter), turn);
}
