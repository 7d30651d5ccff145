// Atomic operations by exclusive pairs and by whatever the compiler uses, of threads and of processes that share memory.
#include "torture.h"

enum { THREADS = 4 };

struct counters {
    _Atomic long pairs, operations;
    _Atomic unsigned char narrow[64];
    _Atomic long exchanged, left;
};

// Adds by a load that reserves and a store that may fail, with the registers reused for the status.
static inline void add_by_pair(_Atomic long *at, long n) {
#if defined __aarch64__
    long value;
    int status;
    __asm__ volatile("1: ldaxr %0, [%2]\n add %0, %0, %3\n stlxr %w1, %0, [%2]\n cbnz %w1, 1b"
                     : "=&r"(value), "=&r"(status)
                     : "r"(at), "r"(n)
                     : "memory");
#elif defined __riscv
    long value, status;
    __asm__ volatile("1: lr.d.aqrl %0, (%2)\n add %0, %0, %3\n sc.d.aqrl %1, %0, (%2)\n bnez %1, 1b"
                     : "=&r"(value), "=&r"(status)
                     : "r"(at), "r"(n)
                     : "memory");
#else
    long old = *at;
    while (!atomic_compare_exchange_weak(at, &old, old + n)) {}
#endif
}

#if defined __aarch64__ || defined __riscv
static struct watched {
    long value, faults;
} watched;

// Changes the value and changes it back, without a reservation, and goes on behind the access.
static void change_and_back(int number, siginfo_t *info, void *context) {
    mcontext_t *machine = &((ucontext_t *)context)->uc_mcontext;
#if defined __aarch64__
    machine->pc += 4;
#else
    machine->__gregs[0] += 4;
#endif
    *(volatile long *)&watched.value = 9;
    *(volatile long *)&watched.value = 7;
    watched.faults += number == SIGSEGV && info->si_addr == NULL;
}

// Whether a store succeeds after a load that reserves and, between them, a system call; or an access that ends in a handler.
static int stores_after_call(void) {
    long failed;
#if defined __aarch64__
    __asm__ volatile("mov x8, #173\n ldxr x9, [%1]\n svc #0\n stxr w10, x9, [%1]\n uxtw %0, w10"
                     : "=r"(failed)
                     : "r"(&watched.value)
                     : "x0", "x8", "x9", "x10", "memory");
#else
    __asm__ volatile("li a7, 173\n lr.d t0, (%1)\n ecall\n sc.d %0, t0, (%1)"
                     : "=&r"(failed)
                     : "r"(&watched.value)
                     : "a0", "a7", "t0", "memory");
#endif
    return !failed;
}

static int stores_after_handler(void) {
    long failed;
#if defined __aarch64__
    __asm__ volatile("mov x8, #0\n ldxr x9, [%1]\n ldr x8, [x8]\n stxr w10, x9, [%1]\n uxtw %0, w10"
                     : "=r"(failed)
                     : "r"(&watched.value)
                     : "x8", "x9", "x10", "memory");
#else
    __asm__ volatile(".option push\n .option norvc\n lr.d t0, (%1)\n ld t1, 0(zero)\n sc.d %0, t0, (%1)\n .option pop"
                     : "=&r"(failed)
                     : "r"(&watched.value)
                     : "t0", "t1", "memory");
#endif
    return !failed;
}

static void kernel_clears_reservations(void) {
    struct sigaction action = {.sa_sigaction = change_and_back, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    watched.value = 7;
    check(!stores_after_call(), "a reservation outlives a system call");
    check(!stores_after_handler(), "a reservation outlives a handler");
    check(watched.faults == 1 && watched.value == 7, "%ld faults, value %ld", watched.faults, watched.value);
    signal(SIGSEGV, SIG_DFL);
}
#else
static void kernel_clears_reservations(void) {}
#endif

static void work(struct counters *shared, unsigned id, long rounds) {
    uint64_t random = random_state(id);
    for (long i = 0; i < rounds; i++) {
        add_by_pair(&shared->pairs, 1);
        shared->operations++;
        shared->narrow[(id & 7) * 8 + random_below(&random, 8)]++;
        // What one takes away, another finds: the sum stays.
        long mine = (long)random_below(&random, 100);
        add_by_pair(&shared->left, mine);
        atomic_fetch_sub(&shared->left, mine);
        mine = atomic_exchange(&shared->exchanged, mine);
        atomic_fetch_add(&shared->left, mine * 0);
    }
}

static struct counters *shared;
static long rounds = 2000;

static void *thread(void *id) {
    work(shared, (unsigned)(uintptr_t)id, rounds);
    return NULL;
}

int main(int argc, char **argv) {
    start(argc, argv);
    kernel_clears_reservations();
    long total = 0;
    shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    while (time_left()) {
        // Two processes of one thread each, which a translator might think to be alone ...
        pid_t child = fork();
        if (child == 0) {
            work(shared, 7, rounds);
            _exit(0);
        }
        work(shared, 6, rounds);
        int status = 1;
        check(waitpid(child, &status, 0) == child && status == 0, "status %x of the child", status);
        // ... and several threads.
        pthread_t threads[THREADS];
        for (uintptr_t i = 0; i < THREADS; i++)
            if (pthread_create(&threads[i], NULL, thread, (void *)i)) return 1;
        for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
        total += (THREADS + 2) * rounds;
        check(shared->pairs == total, "%ld by pairs of %ld", (long)shared->pairs, total);
        check(shared->operations == total, "%ld by operations of %ld", (long)shared->operations, total);
        check(shared->left == 0, "%ld left", (long)shared->left);
        unsigned char sums[8] = {0};
        for (int i = 0; i < 64; i++) sums[i / 8] += shared->narrow[i];
        for (int i = 0; i < 8; i++) {
            unsigned char expected = (unsigned char)(i < THREADS || i > 5 ? total / (THREADS + 2) : 0);
            check(sums[i] == expected, "%d in bytes %d, not %d", sums[i], i, expected);
        }
    }
    return finish("rounds", total);
}
