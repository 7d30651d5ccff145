// A 100 µs timer interrupts a computation; every handler leaves by siglongjmp, half of them on the alternate stack.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

static sigjmp_buf back;
static volatile sig_atomic_t hits;

static void on_alarm(int signal, siginfo_t *info, void *context) {
    (void)info;
    (void)context;
    if (signal != SIGALRM) abort();
    hits++;
    siglongjmp(back, 1);
}

static unsigned collatz(unsigned long n) {
    unsigned steps = 0;
    for (; n != 1; steps++) n = n % 2 ? 3 * n + 1 : n / 2;
    return steps;
}

int main(void) {
    // Alarms that come faster than handlers leave pile up on it.
    static char stack[4 << 20];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    sigaltstack(&alternate, NULL);
    struct itimerval every = {{0, 100}, {0, 100}}, off = {{0, 0}, {0, 0}};
    volatile unsigned long next = 1;
    volatile unsigned long sum = 0;
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = on_alarm;
    if (sigsetjmp(back, 1) == 0) {
        action.sa_flags = SA_SIGINFO;
        sigaction(SIGALRM, &action, NULL);
        setitimer(ITIMER_REAL, &every, NULL);
    }
    action.sa_flags = SA_SIGINFO | (hits % 2 ? SA_ONSTACK : 0);
    sigaction(SIGALRM, &action, NULL);
    while (hits < 2000) {
        // The step is idempotent: it is counted in one store that signals cannot split.
        unsigned long n = next % 5000 + 1;
        unsigned steps = collatz(n);
        if (steps > 400) abort();
        next++;
        sum += steps > 0;
    }
    setitimer(ITIMER_REAL, &off, NULL);
    printf("alarms %s, progress %s\n", hits >= 2000 ? "enough" : "missing", next > 1 && sum > 0 ? "yes" : "no");
    return 0;
}
