// Eight threads map, protect, move and unmap code at random while two call into it: every call gives a number of its
// place or faults, and what a thread has just written is what it calls.
#include "torture.h"

enum { OWNERS = 8, CALLERS = 2, PAGES = 16, PAGE = 4096, VERSIONS = 16 };

static char *arena;
static atomic_long called, faulted, changed;
static atomic_int owners_left;
static __thread sigjmp_buf back;
static __thread volatile sig_atomic_t calling;

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    char *at = info->si_addr;
    if (!calling || (signal != SIGILL && (at < arena || at >= arena + OWNERS * PAGES * PAGE))) {
        printf("wrong: signal %d, code %d at %p\n", signal, info->si_code, info->si_addr);
        _exit(2);
    }
    calling = 0;
    siglongjmp(back, 1);
}

// The number a page's function returns, or -1 if it cannot be called.
static int try(char *page) {
    volatile int result = -1;
    if (sigsetjmp(back, 1) == 0) {
        calling = 1;
        result = call(page);
        calling = 0;
        called++;
    } else {
        faulted++;
    }
    return result;
}

static const int ANYWHERE = MAP_PRIVATE | MAP_ANONYMOUS;

static void *owner(void *argument) {
    unsigned id = (unsigned)(uintptr_t)argument, version = 0;
    uint64_t random = random_state(id);
    char *mine = arena + (size_t)id * PAGES * PAGE;
    while (time_left()) {
        char *page = mine + random_below(&random, PAGES) * PAGE;
        char *other = mine + random_below(&random, PAGES) * PAGE;
        unsigned number = id * VERSIONS + ++version % VERSIONS;
        changed++;
        switch (random_below(&random, 7)) {
        case 0:
        case 1:
        case 2: { // a new function
            if (mmap(page, PAGE, PROT_READ | PROT_WRITE, ANYWHERE | MAP_FIXED, -1, 0) != page) exit(3);
            write_function(page, number);
            announce(page, FUNCTION_SIZE);
            check(mprotect(page, PAGE, PROT_READ | PROT_EXEC) == 0, "mprotect: %s", strerror(errno));
            int result = try(page);
            check(result == (int)number, "%d instead of %u", result, number);
            break;
        }
        case 3: // no function
            check(mprotect(page, PAGE, PROT_NONE) == 0, "mprotect: %s", strerror(errno));
            check(try(page) == -1, "called what is protected");
            break;
        case 4: // moved
            if (page != other && mremap(page, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, other) == MAP_FAILED)
                check(0, "mremap: %s", strerror(errno));
            if (page != other) {
                if (mmap(page, PAGE, PROT_NONE, ANYWHERE | MAP_FIXED, -1, 0) != page) exit(3);
                check(try(page) == -1, "called what has moved away");
            }
            break;
        case 5: // gone for a moment; nobody else maps anything
            check(munmap(page, PAGE) == 0, "munmap: %s", strerror(errno));
            check(try(page) == -1, "called what is not mapped");
            if (mmap(page, PAGE, PROT_NONE, ANYWHERE | MAP_FIXED, -1, 0) != page) exit(3);
            break;
        default: { // several at once
            size_t pages = (size_t)(mine + PAGES * PAGE - page) / PAGE;
            check(mprotect(page, pages * PAGE, PROT_READ) == 0, "mprotect: %s", strerror(errno));
            check(try(mine + (PAGES - 1) * PAGE) == -1, "called what can only be read");
        }
        }
    }
    owners_left--;
    return NULL;
}

static void *caller(void *argument) {
    uint64_t random = random_state(100 + (unsigned)(uintptr_t)argument);
    while (owners_left) {
        unsigned place = random_below(&random, OWNERS * PAGES);
        int result = try(arena + (size_t)place * PAGE);
        check(result == -1 || (unsigned)result / VERSIONS == place / PAGES, "%d from place %u", result, place);
    }
    return NULL;
}

int main(int argc, char **argv) {
    start(argc, argv);
    arena = mmap(NULL, (size_t)OWNERS * PAGES * PAGE, PROT_NONE, ANYWHERE, -1, 0);
    handle(SIGSEGV, on_fault, SA_NODEFER);
    handle(SIGBUS, on_fault, SA_NODEFER);
    handle(SIGILL, on_fault, SA_NODEFER);
    pthread_t threads[OWNERS + CALLERS];
    owners_left = OWNERS;
    for (uintptr_t i = 0; i < OWNERS + CALLERS; i++)
        if (pthread_create(&threads[i], NULL, i < OWNERS ? owner : caller, (void *)i)) return 1;
    for (int i = 0; i < OWNERS + CALLERS; i++) pthread_join(threads[i], NULL);
    if (getenv("VERBOSE")) fprintf(stderr, "%ld called, %ld faulted\n", called, faulted);
    return finish("changes", changed);
}
