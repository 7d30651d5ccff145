// What a guest can see of the native bypass, chosen by the argument:
//   context       the signal context of calls that fault
//   readonly      functions that write, at pages that must not be written
//   inside        calls that libc makes itself
//   known         the reserved instruction with the name of a known function
//   unknown       the same with another name
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

#if defined __aarch64__
#define RESERVED ".inst 0xd45fffe0"
#elif defined __riscv
#define RESERVED ".word 0x0000000b"
#endif
#define NAMED(symbol, name)                                                                          \
    __asm__(".pushsection .text\n.balign 16\n.globl " #symbol "\n.type " #symbol ", %function\n" #symbol ":\n" \
            RESERVED "\n.word 1f - .\nret\n1: .asciz \"" name "\"\n.popsection\n")
// Eight bytes each, as what follows has to be aligned.
NAMED(by_known_name, "strlen\\0");
NAMED(by_unknown_name, "no_such");
size_t by_known_name(const char *);
size_t by_unknown_name(const char *);

enum { PAGE = 4096 };
static void *(*volatile p_memcpy)(void *, const void *, size_t) = memcpy;
static void *(*volatile p_memmove)(void *, const void *, size_t) = memmove;
static void *(*volatile p_memset)(void *, int, size_t) = memset;
static int (*volatile p_memcmp)(const void *, const void *, size_t) = memcmp;
static void *(*volatile p_memchr)(const void *, int, size_t) = memchr;
static size_t (*volatile p_strlen)(const char *) = strlen;
static size_t (*volatile p_strnlen)(const char *, size_t) = strnlen;
static int (*volatile p_strcmp)(const char *, const char *) = strcmp;
static int (*volatile p_strncmp)(const char *, const char *, size_t) = strncmp;
static char *(*volatile p_strcpy)(char *, const char *) = strcpy;
static char *(*volatile p_strncpy)(char *, const char *, size_t) = strncpy;
static char *(*volatile p_strcat)(char *, const char *) = strcat;
static char *(*volatile p_strchr)(const char *, int) = strchr;
static char *(*volatile p_strrchr)(const char *, int) = strrchr;

static sigjmp_buf back;
static const char *what;
static unsigned char *end; // of the last page that can be accessed

// Registers, pc and floating-point registers, all of them.
static void on_fault(int signal, siginfo_t *info, void *raw) {
    ucontext_t *context = raw;
    printf("%s: signal %d code %d address %p", what, signal, info->si_code, info->si_addr);
#if defined __aarch64__
    uint64_t *registers = (uint64_t *)context->uc_mcontext.regs, count = 33; // x0 to x30, sp, pc
    // After the general registers and pstate: records, the first of which is of the vector registers; 18 of these are scrubbed.
    uint64_t *vectors = (uint64_t *)context->uc_mcontext.__reserved;
    uint64_t digest = 0;
    for (int i = 0; i < 2 + 2 * 18; i++) digest = digest * 31 + vectors[i];
    printf(" pstate %llx", (unsigned long long)context->uc_mcontext.pstate);
#else
    uint64_t *registers = (uint64_t *)context->uc_mcontext.__gregs, count = 32; // pc, x1 to x31
    uint64_t *vectors = (uint64_t *)&context->uc_mcontext.__fpregs;
    uint64_t digest = 0;
    for (int i = 0; i < 32; i++) digest = digest * 31 + vectors[i];
#endif
    for (uint64_t i = 0; i < count; i++) printf(" %llx", (unsigned long long)registers[i]);
    printf(" floating %llx\n", (unsigned long long)digest);
    siglongjmp(back, 1);
}

// Registers that a called function may leave anything in: what earlier calls left depends on who made them.
static inline void scrub(void) {
#if defined __aarch64__
#define ZERO(n) "mov x" #n ", 0\nmovi v" #n ".2d, 0\n"
    __asm__ volatile(ZERO(0) ZERO(1) ZERO(2) ZERO(3) ZERO(4) ZERO(5) ZERO(6) ZERO(7) ZERO(8) ZERO(9) ZERO(10) ZERO(11)
                         ZERO(12) ZERO(13) ZERO(14) ZERO(15) ZERO(16) ZERO(17)
                     ::: "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
                     "x15", "x16", "x17", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
                     "v13", "v14", "v15", "v16", "v17", "cc");
    __asm__ volatile("cmp xzr, xzr" ::: "cc");
#else
    __asm__ volatile("li t0, 0\nli t1, 0\nli t2, 0\nli t3, 0\nli t4, 0\nli t5, 0\nli t6, 0\nli a0, 0\nli a1, 0\n"
                     "li a2, 0\nli a3, 0\nli a4, 0\nli a5, 0\nli a6, 0\nli a7, 0"
                     ::: "t0", "t1", "t2", "t3", "t4", "t5", "t6", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7");
#endif
}

#define TRY(call)                                              \
    do {                                                       \
        what = #call;                                          \
        if (sigsetjmp(back, 1) == 0) {                         \
            scrub();                                           \
            call;                                              \
            printf("%s: no fault\n", what);                    \
        }                                                      \
    } while (0)

static void handle(int signal) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(signal, &action, NULL);
}

// What the memory before the end has become: partial writes count.
static void show(void) {
    unsigned digest = 1;
    for (unsigned char *p = end - PAGE; p < end; p++) digest = digest * 31 + *p;
    printf("memory %x\n", digest);
    for (int i = 0; i < PAGE; i++) (end - PAGE)[i] = 'a' + i % 26;
}

static void context(void) {
    static char text[64] = "some text that is long enough not to be copied at once";
    show();
    TRY(p_memcpy(NULL, text, 40)); show();
    TRY(p_memcpy(NULL, text, 1)); show();
    TRY(p_memcpy(text, NULL, 9)); show();
    TRY(p_memcpy(end - 20, text, 40)); show();
    TRY(p_memcpy(end - 100, end - 90, 100)); show();
    TRY(p_memmove(end - 70, end - 100, 100)); show();
    TRY(p_memmove(end - 100, end - 70, 100)); show();
    TRY(p_memset(end - 33, 7, 50)); show();
    TRY(p_memset((void *)-1, 7, 50)); show();
    TRY(p_memcmp(end - 16, text, 40)); show();
    TRY(p_memcmp(end - 16, end - 42, 40)); show();
    TRY(p_memchr(end - 5, 1, 40)); show();
    TRY(p_strlen((char *)end - 77)); show();
    TRY(p_strlen((char *)(uintptr_t)0xffff800000000000)); show();
    TRY(p_strnlen((char *)end - 77, 78)); show();
    TRY(p_strcmp((char *)end - 30, (char *)end - 56)); show();
    TRY(p_strncmp((char *)end - 30, (char *)end - 56, 31)); show();
    TRY(p_strcpy((char *)end - 30, text)); show();
    TRY(p_strcpy(text, (char *)end - 7)); show();
    TRY(p_strncpy((char *)end - 30, "short", 31)); show();
    end[-40] = 0;
    TRY(p_strcat((char *)end - 80, text)); show();
    TRY(p_strcat((char *)end - 30, text)); show();
    TRY(p_strchr((char *)end - 3, 'A')); show();
    TRY(p_strrchr((char *)end - 3, 'A')); show();
    puts(text);
}

static void readonly(void) {
    mprotect(end - PAGE, PAGE, PROT_READ);
    TRY(p_memcpy(end - PAGE - 16, end - 40, 40));
    TRY(p_memmove(end - PAGE - 16, end - PAGE - 20, 40));
    TRY(p_memset(end - PAGE - 1, 0, 2));
    TRY(p_strcpy((char *)end - PAGE - 1, "xy"));
    TRY(p_strncpy((char *)end - PAGE - 4, "xy", 6));
    (end - PAGE)[-9] = 0;
    TRY(p_strcat((char *)end - PAGE - 20, "a text longer than the page has left"));
    TRY(p_memset(end - 8, 0, 0));
    TRY(p_memcpy(end - 8, end - 16, 0));
    printf("%d\n", p_memcmp(end - PAGE, end - PAGE, PAGE));
    unsigned digest = 1;
    for (unsigned char *p = end - 2 * PAGE; p < end; p++) digest = digest * 31 + *p;
    printf("memory %x\n", digest);
}

static void inside(void) {
    unsigned long sum = 0;
    char line[256];
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof line, "%s and %.20s, %d", "one string", "another string that is too long", i);
        char *copy = strdup(line);
        sum += strlen(copy) + (unsigned char)copy[i % 20];
        free(copy);
    }
    printf("%lu\n", sum);
}

int main(int argc, char **argv) {
    unsigned char *pages = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    end = pages + 2 * PAGE;
    mprotect(end, PAGE, PROT_NONE);
    memset(pages, 'a', 2 * PAGE);
    handle(SIGSEGV);
    handle(SIGILL);
    const char *mode = argc > 1 ? argv[1] : "";
    if (strcmp(mode, "context") == 0) context();
    else if (strcmp(mode, "readonly") == 0) readonly();
    else if (strcmp(mode, "inside") == 0) inside();
    else if (strcmp(mode, "known") == 0) TRY(printf("%zu\n", by_known_name("hello")));
    else if (strcmp(mode, "unknown") == 0) TRY(printf("%zu\n", by_unknown_name("hello")));
    else return 2;
}
