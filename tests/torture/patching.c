// Two threads change and call the same functions, at two addresses, and functions of their own; then only one of the addresses can be
// written to.
#include "torture.h"

enum { THREADS = 2, SHARED = 8, OWN = 8, VALUES = 64, PAGE = 4096 };

static char *code, *writable;
static atomic_long calls;

static char *shared_function(unsigned i) { return code + i * FUNCTION_SIZE; }
static char *own_function(unsigned thread, unsigned i) { return code + PAGE * (1 + thread) + i * FUNCTION_SIZE; }

static void *patches(void *argument) {
    unsigned thread = (unsigned)(uintptr_t)argument;
    uint64_t random = random_state(thread);
    while (time_left()) {
        // Nobody knows whose change of a shared function comes last, but it is one of them.
        unsigned i = random_below(&random, SHARED);
        char *at = random_below(&random, 2) ? shared_function(i) : writable + (shared_function(i) - code);
        change_result(at, i * VALUES + random_below(&random, VALUES));
        announce(shared_function(i), FUNCTION_SIZE);
        int result = call(shared_function(i));
        check(result / VALUES == (int)i, "%d from shared function %u", result, i);
        for (int k = 0; k < 20; k++) {
            unsigned other = random_below(&random, SHARED);
            result = call(shared_function(other));
            check(result / VALUES == (int)other, "%d from shared function %u", result, other);
        }
        // A function of its own is what it was made last.
        i = random_below(&random, OWN);
        unsigned number = random_below(&random, RESULTS);
        change_result(own_function(thread, i), number);
        announce(own_function(thread, i), FUNCTION_SIZE);
        result = call(own_function(thread, i));
        check(result == (int)number, "%d instead of %u from an own function", result, number);
        calls += 22;
    }
    return NULL;
}

// The change is made at one address, the call at another.
static void through_an_alias(void) {
    uint64_t random = random_state(9);
    for (int k = 0; k < 500; k++) {
        unsigned i = random_below(&random, OWN), number = random_below(&random, RESULTS);
        char *at = own_function(0, i);
        change_result(writable + (at - code), number);
        announce(at, FUNCTION_SIZE);
        int result = call(at);
        check(result == (int)number, "%d instead of %u through the other mapping", result, number);
    }
}

int main(int argc, char **argv) {
    start(argc, argv);
    size_t size = PAGE * (1 + THREADS);
    int file = memfd_create("code", 0);
    if (file < 0 || ftruncate(file, (off_t)size)) return 1;
    writable = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    code = mmap(NULL, size, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_SHARED, file, 0);
    for (unsigned i = 0; i < SHARED; i++) write_function(shared_function(i), i * VALUES);
    for (unsigned thread = 0; thread < THREADS; thread++)
        for (unsigned i = 0; i < OWN; i++) write_function(own_function(thread, i), i);
    announce(code, size);
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, patches, (void *)i)) return 1;
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    // In the end everybody sees what is there.
    announce(code, PAGE);
    for (unsigned i = 0; i < SHARED; i++) {
        uint32_t word;
        memcpy(&word, shared_function(i) + RESULT_AT, 4);
        int result = call(shared_function(i));
        check(result == (int)result_of_word(word), "%d from shared function %u in the end", result, i);
    }
    mprotect(code, size, PROT_READ | PROT_EXEC);
    through_an_alias();
    return finish("calls", calls);
}
