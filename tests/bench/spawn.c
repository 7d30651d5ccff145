/* Many short threads, one after the other. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static long sum;
static void *work(void *k) { sum += (long)k; return NULL; }

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1000;
    for (long i = 0; i < count; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)i) || pthread_join(thread, NULL)) return 1;
    }
    printf("%ld\n", sum);
}
