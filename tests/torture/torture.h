// What the torture programs share: PROGRAM SEED MILLISECONDS. Each prints "ok", or what was wrong, and how much it did on stderr
// if VERBOSE is set.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

static atomic_int failures;
static uint64_t seed = 1;
static long deadline;

static long milliseconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static inline int time_left(void) { return milliseconds() < deadline && !failures; }

__attribute__((format(printf, 2, 3))) static inline int check(int ok, const char *format, ...) {
    if (!ok && failures++ < 10) {
        va_list arguments;
        va_start(arguments, format);
        char text[200];
        vsnprintf(text, sizeof text, format, arguments);
        va_end(arguments);
        printf("wrong: %s (seed %llu)\n", text, (unsigned long long)seed);
        fflush(stdout);
    }
    return ok;
}

// Random numbers; each thread has a state of its own.
static inline uint32_t random_below(uint64_t *state, uint32_t n) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return (uint32_t)((*state * 0x2545f4914f6cdd1dull) >> 33) % n;
}

static inline uint64_t random_state(unsigned thread) { return (seed + thread) * 0x9e3779b97f4a7c15ull | 1; }

static inline void start(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    if (argc > 1) seed = strtoull(argv[1], NULL, 10);
    deadline = milliseconds() + (argc > 2 ? atol(argv[2]) : 300);
}

static inline int finish(const char *what, long count) {
    if (getenv("VERBOSE")) fprintf(stderr, "%ld %s\n", count, what);
    if (!failures) puts("ok");
    return failures != 0;
}

static inline void handle(int signal, void (*handler)(int, siginfo_t *, void *), int flags) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = handler;
    action.sa_flags = SA_SIGINFO | flags;
    sigaction(signal, &action, NULL);
}

#if defined __x86_64__ || defined __aarch64__ || defined __arm__ || defined __riscv
// A function that returns a number below 2048: the word that has the number, and how it gets there.
enum { RESULTS = 2048 };
typedef int function(void);

#if defined __aarch64__
static inline uint32_t result_word(uint32_t n) { return 0x52800000 | n << 5; } // mov w0, #n
static const uint32_t return_word = 0xd65f03c0;
#elif defined __arm__
static inline uint32_t result_word(uint32_t n) { return 0xe3000000 | n; } // movw r0, #n
static const uint32_t return_word = 0xe12fff1e;
#elif defined __riscv
static inline uint32_t result_word(uint32_t n) { return 0x00000513 | n << 20; } // li a0, n
static const uint32_t return_word = 0x00008067;
#endif

#if defined __x86_64__
// 0x90 0x90 0x90 0xb8 (n) 0xc3: mov eax, n; ret, the number at a multiple of four
enum { RESULT_AT = 4, FUNCTION_SIZE = 16 };
static inline void write_function(void *at, uint32_t n) {
    unsigned char code[9] = {0x90, 0x90, 0x90, 0xb8, 0, 0, 0, 0, 0xc3};
    memcpy(code + RESULT_AT, &n, 4);
    memcpy(at, code, sizeof code);
}
static inline uint32_t result_word(uint32_t n) { return n; }
static inline uint32_t result_of_word(uint32_t word) { return word; }
#else
enum { RESULT_AT = 0, FUNCTION_SIZE = 16 };
static inline void write_function(void *at, uint32_t n) {
    uint32_t code[2] = {result_word(n), return_word};
    memcpy(at, code, sizeof code);
}
static inline uint32_t result_of_word(uint32_t word) {
#ifdef __aarch64__
    return word >> 5 & 0xffff;
#elif defined __arm__
    return word & 0xfff;
#else
    return word >> 20;
#endif
}
#endif

static inline void announce(void *at, size_t length) { __builtin___clear_cache((char *)at, (char *)at + length); }

// The one word that decides the result of a function, changed in one access.
static inline void change_result(void *at, uint32_t n) {
    atomic_store((_Atomic uint32_t *)((char *)at + RESULT_AT), result_word(n));
}

static inline int call(void *at) { return ((function *)at)(); }
#endif
