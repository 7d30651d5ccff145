// Eight threads share a mutex, an atomic counter, a condition variable and thread-local storage.
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { THREADS = 8, ROUNDS = 20000 };

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t turn_changed = PTHREAD_COND_INITIALIZER;
static pthread_barrier_t barrier;
static long guarded;
static atomic_long counter;
static atomic_long cas_counter;
static int turn;
static __thread long mine;

static void *worker(void *arg) {
    long id = (long)arg;
    pthread_barrier_wait(&barrier);
    for (int i = 0; i < ROUNDS; i++) {
        pthread_mutex_lock(&mutex);
        guarded++;
        pthread_mutex_unlock(&mutex);
        atomic_fetch_add(&counter, 3);
        long old = atomic_load(&cas_counter);
        while (!atomic_compare_exchange_weak(&cas_counter, &old, old + 1)) {}
        mine += id;
    }
    // One after the other, in order.
    pthread_mutex_lock(&mutex);
    while (turn != id) pthread_cond_wait(&turn_changed, &mutex);
    printf("thread %ld: own sum %ld\n", id, mine);
    turn++;
    pthread_cond_broadcast(&turn_changed);
    pthread_mutex_unlock(&mutex);
    return (void *)(id * id);
}

int main(void) {
    pthread_t threads[THREADS];
    pthread_barrier_init(&barrier, NULL, THREADS);
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, worker, (void *)i)) return 1;
    long squares = 0;
    for (int i = 0; i < THREADS; i++) {
        void *result;
        pthread_join(threads[i], &result);
        squares += (long)result;
    }
    printf("guarded %ld, atomic %ld, cas %ld, squares %ld\n", guarded, counter, cas_counter, squares);
    // Many short-lived threads: their stacks and identifiers must be released.
    for (int i = 0; i < 500; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, (void *(*)(void *))labs, NULL)) return 2;
        pthread_join(thread, NULL);
    }
    // Where the kernel says that a thread has ended is the guest's own place.
    static int own;
    int *told = NULL;
    syscall(SYS_set_tid_address, &own);
    if (prctl(PR_GET_TID_ADDRESS, &told, 0, 0, 0) == 0) printf("own: %d\n", told == &own);
    puts("ok");
    return 0;
}
