/* As much of a C library as wordfreq needs, so that the program in the repository is small and all its own.
 * The string functions are ordinary global symbols: native bypass finds them by name. */
#pragma once

typedef unsigned long size_t;
typedef long ssize_t;

static long system_call(long number, long a, long b, long c, long d) {
#if defined __aarch64__
    register long x8 __asm__("x8") = number, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c, x3 __asm__("x3") = d;
    __asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2), "r"(x3) : "memory");
    return x0;
#elif defined __riscv
    register long a7 __asm__("a7") = number, a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c, a3 __asm__("a3") = d;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a7), "r"(a1), "r"(a2), "r"(a3) : "memory");
    return a0;
#endif
}

enum { SYS_openat = 56, SYS_close = 57, SYS_read = 63, SYS_write = 64, SYS_exit_group = 94, SYS_brk = 214, AT_FDCWD = -100 };

__attribute__((noinline)) void *memcpy(void *to, const void *from, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = ((const char *)from)[i];
    return to;
}

__attribute__((noinline)) void *memset(void *to, int c, size_t n) {
    for (size_t i = 0; i < n; i++) ((volatile char *)to)[i] = c;
    return to;
}

__attribute__((noinline)) size_t strlen(const char *s) {
    const volatile char *p = s;
    while (*p) p++;
    return p - s;
}

__attribute__((noinline)) int strcmp(const char *a, const char *b) {
    while (*a && *a == *b) a++, b++;
    return (unsigned char)*a - (unsigned char)*b;
}

static void exit(int status) {
    system_call(SYS_exit_group, status, 0, 0, 0);
    __builtin_unreachable();
}

static void print(int fd, const char *text) { system_call(SYS_write, fd, (long)text, strlen(text), 0); }

/* Memory is never given back: the program ends soon. */
static void *allocate(size_t n) {
    static char *next, *end;
    n = (n + 15) & ~15ul;
    if (!next) next = end = (char *)((system_call(SYS_brk, 0, 0, 0, 0) + 15) & ~15l);
    if (next + n > end) {
        end = next + n + (1 << 20);
        if (system_call(SYS_brk, (long)end, 0, 0, 0) != (long)end) {
            print(2, "wordfreq: out of memory\n");
            exit(1);
        }
    }
    void *p = next;
    next += n;
    return p;
}

int main(int argc, char **argv);

__attribute__((used)) static void start(long *stack) { exit(main((int)stack[0], (char **)(stack + 1))); }

#if defined __aarch64__
__asm__(".globl _start\n_start: mov x29, #0\n mov x30, #0\n mov x0, sp\n b start\n");
#elif defined __riscv
__asm__(".globl _start\n_start: .option push\n .option norelax\n la gp, __global_pointer$\n .option pop\n mv a0, sp\n li ra, 0\n tail start\n");
#endif
