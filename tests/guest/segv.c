// 100 000 faults of our own, recovered in two ways: by changing the context and by leaving with siglongjmp.
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

static char *page;
static sigjmp_buf back;
static volatile long faults, wrong;

static void unprotect(int signal, siginfo_t *info, void *context) {
    (void)context;
    faults++;
    if (signal != SIGSEGV || info->si_code != SEGV_ACCERR || info->si_addr != page + 24) wrong++;
    mprotect(page, 4096, PROT_READ | PROT_WRITE);
}

static void leave(int signal, siginfo_t *info, void *context) {
    (void)signal;
    (void)context;
    faults++;
    if (info->si_code != SEGV_MAPERR || info->si_addr != (void *)0x10) wrong++;
    siglongjmp(back, 1);
}

static void handle(void (*handler)(int, siginfo_t *, void *)) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO;
    sigaction(SIGSEGV, &action, NULL);
}

int main(void) {
    page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    handle(unprotect);
    volatile long *word = (long *)(page + 24);
    for (long i = 0; i < 50000; i++) {
        mprotect(page, 4096, PROT_READ);
        *word = i; // faults, and is executed again
        if (*word != i) wrong++;
    }
    handle(leave);
    for (volatile long i = 0; i < 50000; i++)
        if (sigsetjmp(back, 1) == 0) *(volatile long *)0x10 = i;
    printf("%ld faults, %ld wrong\n", faults, wrong);
    return wrong != 0;
}
