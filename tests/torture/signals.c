// A signal every 50 microseconds into calls, system calls, faults and arithmetic; some handlers leave by a jump.
#include "torture.h"
#include <sys/time.h>

static volatile sig_atomic_t signals, jumps, armed, faults;
static sigjmp_buf back, from_fault;
static int ends[2];
static char *forbidden;

static void on_alarm(int signal, siginfo_t *info, void *context) {
    (void)info;
    int kept = errno;
    // The frame must have the thread's state whatever was interrupted: its stack pointer is on one of two stacks.
    check(signal == SIGALRM && (uintptr_t)context % 8 == 0, "frame");
    getpid();
    signals++;
    if (armed && signals % 7 == 0) {
        armed = 0;
        jumps++;
        siglongjmp(back, 1);
    }
    errno = kept;
}

static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)context;
    check(signal == SIGSEGV && info->si_code == SEGV_ACCERR, "fault %d, code %d", signal, info->si_code);
    check(info->si_addr >= (void *)forbidden && info->si_addr < (void *)(forbidden + 4096), "fault at %p", info->si_addr);
    faults++;
    siglongjmp(from_fault, 1);
}

__attribute__((noinline)) static unsigned fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }

static void calls(void) {
    unsigned result = fib(15);
    check(result == 610, "fib(15) = %u", result);
}

static void system_calls(void) {
    static pid_t pid;
    if (!pid) pid = getpid();
    for (int i = 0; i < 20; i++) check(getpid() == pid, "getpid");
    char out = (char)signals, in = (char)~out;
    armed = 0; // what is in the pipe must come out again
    check(write(ends[1], &out, 1) == 1, "write: %s", strerror(errno));
    check(read(ends[0], &in, 1) == 1 && in == out, "read: %s, %d for %d", strerror(errno), in, out);
}

static void faulting(void) {
    volatile long before = 1234567;
    armed = 0;
    if (sigsetjmp(from_fault, 1) == 0) {
        *(volatile long *)(forbidden + 8 * (signals % 256)) = before;
        check(0, "no fault");
    }
    check(before == 1234567, "locals after a fault");
}

static void arithmetic(void) {
    double sum = 0, product = 1;
    uint64_t a = 1, b = 2, c = 3, d = 4;
    for (int i = 1; i <= 500; i++) {
        sum += 1.0 / i;
        product *= 1.0 + 1.0 / i;
        a = a * 3 + b;
        b = (b << 7 | b >> 57) ^ c;
        c += d * 5;
        d = a ^ i;
    }
    static uint64_t expected;
    if (!expected) expected = a ^ b ^ c ^ d;
    check(sum > 6.7928 && sum < 6.7929 && product > 500.99 && product < 501.01, "floating point: %f %f", sum, product);
    check((a ^ b ^ c ^ d) == expected, "integers: %llx", (unsigned long long)(a ^ b ^ c ^ d));
}

int main(int argc, char **argv) {
    start(argc, argv);
    uint64_t random = random_state(0);
    static char alternate[1 << 16];
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate};
    forbidden = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pipe(ends) || sigaltstack(&stack, NULL)) return 1;
    arithmetic();
    handle(SIGALRM, on_alarm, SA_RESTART | (seed % 2 ? SA_ONSTACK : 0));
    handle(SIGSEGV, on_fault, seed % 3 ? SA_ONSTACK : 0);
    struct itimerval often = {{0, 50}, {0, 50}}, off = {{0, 0}, {0, 0}};
    setitimer(ITIMER_REAL, &often, NULL);
    volatile long rounds = 0;
    // On a slow machine a little of everything takes longer than was asked for.
    long limit = milliseconds() + 20000;
    while (time_left() || (!failures && (signals < 20 || faults < 3) && milliseconds() < limit)) {
        if (sigsetjmp(back, 1) == 0) armed = 1;
        void (*const what[])(void) = {calls, system_calls, faulting, arithmetic};
        what[random_below(&random, 4)]();
        armed = 0;
        rounds++;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    check(signals > 0 && faults > 0, "%d signals, %d faults", (int)signals, (int)faults);
    if (getenv("VERBOSE")) fprintf(stderr, "%d signals, %d jumps, %d faults\n", (int)signals, (int)jumps, (int)faults);
    return finish("rounds", rounds);
}
