// Contexts of the C library, which it makes with the old call for signal masks, and what that call does with signals beyond the
// first 32.
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

static ucontext_t main_context, other;
static char stack[64 * 1024];
static int turns;

static void count(int step) {
    for (;;) {
        turns += step;
        swapcontext(&other, &main_context);
    }
}

static unsigned long first(void) {
    unsigned long set = 0;
    syscall(SYS_sigprocmask, SIG_BLOCK, NULL, &set);
    return set;
}

int main(void) {
    printf("getcontext: %d\n", getcontext(&other));
    other.uc_stack.ss_sp = stack;
    other.uc_stack.ss_size = sizeof stack;
    makecontext(&other, (void (*)(void))count, 1, 7);
    for (int i = 0; i < 1000; i++) {
        swapcontext(&main_context, &other);
    }
    printf("turns: %d\n", turns);

    sigset_t all;
    sigemptyset(&all);
    sigaddset(&all, SIGUSR1);
    sigaddset(&all, SIGRTMIN + 3);
    sigprocmask(SIG_SETMASK, &all, NULL);
    printf("first: %lx\n", first());
    unsigned long set[2] = {1UL << (SIGUSR2 - 1), -1UL}, old[2] = {0, 0x1234};
    printf("set: %ld, ", syscall(SYS_sigprocmask, SIG_SETMASK, set, old));
    printf("old: %lx %lx, now: %lx\n", old[0], old[1], first());
    sigprocmask(SIG_BLOCK, NULL, &all);
    printf("still blocked: %d\n", sigismember(&all, SIGRTMIN + 3));
    set[0] = 1UL << (SIGINT - 1) | 1UL << (SIGKILL - 1);
    printf("block: %ld, ", syscall(SYS_sigprocmask, SIG_BLOCK, set, NULL));
    printf("now: %lx\n", first());
    printf("unblock: %ld, ", syscall(SYS_sigprocmask, SIG_UNBLOCK, set, NULL));
    printf("now: %lx\n", first());
    printf("wrong: %ld, ", syscall(SYS_sigprocmask, 9, set, NULL));
    printf("%d\n", errno == EINVAL);
    return 0;
}
