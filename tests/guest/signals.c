// Masks, restarts, queues, alternate stacks and what handlers see and change.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static int failures;
static volatile sig_atomic_t count, depth, deepest, last_value, on_alternate;
static int order[64];
static char alternate[64 * 1024];

static void check(int ok, const char *what) {
    if (!ok) {
        printf("failed: %s (%s)\n", what, strerror(errno));
        failures++;
    }
}

static void plain(int signal) {
    (void)signal;
    count++;
}

static void nested(int signal) {
    if (++depth > deepest) deepest = depth;
    if (count++ < 3) raise(signal);
    depth--;
}

static void informed(int signal, siginfo_t *info, void *context) {
    char here;
    (void)context;
    on_alternate = &here >= alternate && &here < alternate + sizeof alternate;
    order[count++] = signal;
    last_value = info->si_value.sival_int;
}

static void install(int signal, void *handler, int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    if (flags & SA_SIGINFO) action.sa_sigaction = (void (*)(int, siginfo_t *, void *))handler;
    else action.sa_handler = (void (*)(int))handler;
    action.sa_flags = flags;
    check(sigaction(signal, &action, NULL) == 0, "sigaction");
    count = depth = deepest = 0;
}

static void block(int how, int signal) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, signal);
    sigprocmask(how, &set, NULL);
}

static void deliveries(void) {
    install(SIGUSR1, (void *)plain, 0);
    kill(getpid(), SIGUSR1);
    check(count == 1, "delivered before kill returns");
    block(SIG_BLOCK, SIGUSR1);
    for (int i = 0; i < 3; i++) raise(SIGUSR1);
    sigset_t pending;
    sigpending(&pending);
    check(count == 1 && sigismember(&pending, SIGUSR1), "blocked and pending");
    block(SIG_UNBLOCK, SIGUSR1);
    check(count == 2, "once, when unblocked");

    install(SIGUSR1, (void *)nested, 0);
    raise(SIGUSR1);
    check(deepest == 1 && count == 4, "one after the other");
    install(SIGUSR1, (void *)nested, SA_NODEFER);
    raise(SIGUSR1);
    check(deepest == 4 && count == 4, "SA_NODEFER");

    install(SIGUSR1, (void *)plain, SA_RESETHAND);
    raise(SIGUSR1);
    struct sigaction now;
    sigaction(SIGUSR1, NULL, &now);
    check(count == 1 && now.sa_handler == SIG_DFL, "SA_RESETHAND");
    signal(SIGUSR1, SIG_IGN);
    check(raise(SIGUSR1) == 0, "ignored");
    struct sigaction bad = {.sa_handler = plain};
    check(sigaction(SIGKILL, &bad, NULL) < 0 && errno == EINVAL, "SIGKILL has no handler");
}

static void queues(void) {
    int a = SIGRTMIN + 2, b = SIGRTMIN + 1;
    install(a, (void *)informed, SA_SIGINFO);
    install(b, (void *)informed, SA_SIGINFO);
    block(SIG_BLOCK, a);
    block(SIG_BLOCK, b);
    union sigval value;
    for (int i = 1; i <= 3; i++) {
        value.sival_int = i;
        sigqueue(getpid(), a, value);
    }
    value.sival_int = 9;
    sigqueue(getpid(), b, value);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, a);
    siginfo_t info;
    struct timespec soon = {0, 1000000};
    check(sigtimedwait(&set, &info, &soon) == a && info.si_value.sival_int == 1 && info.si_pid == getpid(), "sigtimedwait");
    block(SIG_UNBLOCK, b);
    check(count == 1 && order[0] == b && last_value == 9, "the other first");
    block(SIG_UNBLOCK, a);
    check(count == 3 && last_value == 3, "queued in order");
    block(SIG_BLOCK, a);
    check(sigtimedwait(&set, NULL, &soon) < 0 && errno == EAGAIN, "nothing left");
}

static void stacks(void) {
    stack_t stack = {.ss_sp = alternate, .ss_size = sizeof alternate}, old;
    check(sigaltstack(&stack, NULL) == 0, "sigaltstack");
    install(SIGUSR2, (void *)informed, SA_SIGINFO | SA_ONSTACK);
    raise(SIGUSR2);
    check(on_alternate, "on the alternate stack");
    install(SIGUSR2, (void *)informed, SA_SIGINFO);
    raise(SIGUSR2);
    check(!on_alternate, "on the normal stack");
    stack.ss_size = 100;
    check(sigaltstack(&stack, &old) < 0 && errno == ENOMEM, "too small");
    stack.ss_flags = SS_DISABLE;
    check(sigaltstack(&stack, &old) == 0 && old.ss_sp == alternate && old.ss_flags == 0, "disabled");
}

static int pipe_ends[2];

static void write_pipe(int signal) {
    (void)signal;
    // The second time, let the reader go on.
    if (++count == 2 && write(pipe_ends[1], "x", 1) != 1) abort();
}

static void restarts(void) {
    char byte;
    struct itimerval often = {{0, 2000}, {0, 2000}}, off = {{0, 0}, {0, 0}};
    if (pipe(pipe_ends)) abort();
    install(SIGALRM, (void *)write_pipe, SA_RESTART);
    setitimer(ITIMER_REAL, &often, NULL);
    check(read(pipe_ends[0], &byte, 1) == 1 && count >= 2, "SA_RESTART restarts read");
    setitimer(ITIMER_REAL, &off, NULL);
    install(SIGALRM, (void *)plain, 0);
    setitimer(ITIMER_REAL, &often, NULL);
    check(read(pipe_ends[0], &byte, 1) < 0 && errno == EINTR, "EINTR without it");
    setitimer(ITIMER_REAL, &off, NULL);
    install(SIGALRM, (void *)plain, SA_RESTART);
    setitimer(ITIMER_REAL, &often, NULL);
    struct timespec second = {1, 0}, rest = {0, 0};
    check(nanosleep(&second, &rest) < 0 && errno == EINTR && rest.tv_nsec > 0, "nanosleep is never restarted");
    setitimer(ITIMER_REAL, &off, NULL);

    block(SIG_BLOCK, SIGALRM);
    count = 0;
    struct itimerval once = {{0, 0}, {0, 1000}};
    setitimer(ITIMER_REAL, &once, NULL);
    sigset_t none;
    sigemptyset(&none);
    check(sigsuspend(&none) < 0 && errno == EINTR && count == 1, "sigsuspend");
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    check(sigismember(&mask, SIGALRM), "and the mask is back");
    block(SIG_UNBLOCK, SIGALRM);
}

static void change_mask(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)info;
    sigaddset(&((ucontext_t *)context)->uc_sigmask, SIGUSR2);
}

static void contexts(void) {
    install(SIGUSR1, (void *)change_mask, SA_SIGINFO);
    raise(SIGUSR1);
    sigset_t mask;
    sigprocmask(SIG_SETMASK, NULL, &mask);
    check(sigismember(&mask, SIGUSR2), "the handler changes the mask it returns to");
    block(SIG_UNBLOCK, SIGUSR2);
}

static volatile sig_atomic_t stop;
static double result;

static void *compute(void *unused) {
    (void)unused;
    // Integer and floating-point registers must survive signals.
    double sum = 0;
    long total = 0;
    for (long i = 1; !stop; i++) {
        sum += 1.0 / 3.0;
        total += 3;
        if (i % 1000 == 0 && (total != 3 * i || sum < 0.33 * (double)i || sum > 0.34 * (double)i)) {
            result = -1;
            return NULL;
        }
    }
    result = sum;
    return NULL;
}

static void other_thread(void) {
    pthread_t thread;
    install(SIGUSR1, (void *)plain, 0);
    pthread_create(&thread, NULL, compute, NULL);
    for (int i = 0; i < 300; i++) {
        pthread_kill(thread, SIGUSR1);
        usleep(20);
    }
    stop = 1;
    pthread_join(thread, NULL);
    check(result > 0 && count > 0, "registers survive signals of another thread");
}

static void children(void) {
    install(SIGCHLD, (void *)informed, SA_SIGINFO);
    pid_t pid = fork();
    if (pid == 0) _exit(3);
    int status;
    while (waitpid(pid, &status, 0) < 0) {}
    check(WEXITSTATUS(status) == 3 && count == 1, "SIGCHLD");
    // A blocked fault signal that is sent waits; a fault kills all the same.
    block(SIG_BLOCK, SIGSEGV);
    raise(SIGSEGV);
    sigset_t pending;
    sigpending(&pending);
    check(sigismember(&pending, SIGSEGV), "a sent fault signal can be blocked");
    install(SIGSEGV, (void *)plain, 0);
    block(SIG_UNBLOCK, SIGSEGV);
    check(count == 1, "and arrives later");
}

int main(void) {
    deliveries();
    queues();
    stacks();
    restarts();
    contexts();
    other_thread();
    children();
    puts(failures ? "failed" : "ok");
    return failures != 0;
}
