// Forks while two threads translate new code all the time; both sides go on with new code of their own.
#include "torture.h"

enum { THREADS = 2, PAGE = 4096 };

static char *code;
static atomic_int stop;
static atomic_long made;

// Writes and calls functions of which each is new, on a page of the caller's.
static int fresh(char *page, uint64_t *random, int count) {
    for (int i = 0; i < count && !stop; i++) {
        char *at = page + random_below(random, PAGE / FUNCTION_SIZE) * FUNCTION_SIZE;
        unsigned number = random_below(random, RESULTS);
        write_function(at, number);
        announce(at, FUNCTION_SIZE);
        int result = call(at);
        if (!check(result == (int)number, "%d instead of %u in %d", result, number, (int)getpid())) return 0;
        made++;
    }
    return 1;
}

static void *translates(void *argument) {
    unsigned id = (unsigned)(uintptr_t)argument;
    uint64_t random = random_state(id);
    while (fresh(code + id * PAGE, &random, 1000) && !stop) {}
    return NULL;
}

__attribute__((noinline)) static long depth(long n) { return n ? depth(n - 1) + 1 : 0; }

int main(int argc, char **argv) {
    start(argc, argv);
    code = mmap(NULL, (THREADS + 1) * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, translates, (void *)i)) return 1;
    uint64_t random = random_state(50);
    long forks = 0;
    while (time_left()) {
        pid_t child = fork();
        if (child == 0) {
            // The pages of the parent's threads are the child's own now, as they were at the fork or after it.
            int fine = fresh(code + THREADS * PAGE, &random, 100) && fresh(code, &random, 100) && depth(5000) == 5000;
            if (forks % 5 == 0) {
                pid_t grandchild = fork();
                if (grandchild == 0) _exit(fresh(code + PAGE, &random, 50) ? 9 : 1);
                int status = 0;
                fine &= waitpid(grandchild, &status, 0) == grandchild && WIFEXITED(status) && WEXITSTATUS(status) == 9;
            }
            _exit(fine ? 7 : 1);
        }
        check(fresh(code + THREADS * PAGE, &random, 20), "the parent's own code");
        int status = 0;
        check(waitpid(child, &status, 0) == child, "waitpid: %s", strerror(errno));
        check(WIFEXITED(status) && WEXITSTATUS(status) == 7, "status %x of the child", status);
        forks++;
    }
    stop = 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    if (getenv("VERBOSE")) fprintf(stderr, "%ld functions\n", made);
    return finish("forks", forks);
}
