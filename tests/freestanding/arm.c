/* A program of ARM's own, without a C library: a loop, a tree of calls, a string copy, an unaligned word, conditional
   instructions, calls between the two instruction sets, the helpers of the kernel at fixed addresses, a signal that interrupts an
   IT block, output and an exit status. The same text for A32 and T32. */

typedef unsigned long ulong;

static long call(long number, long a, long b, long c, long d) {
    register long r7 __asm__("r7") = number;
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    register long r3 __asm__("r3") = d;
    __asm__ volatile("svc #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2), "r"(r3) : "memory");
    return r0;
}

enum { EXIT_GROUP = 248, WRITE = 4, SIGACTION = 174, SET_TLS = 0xf0005, CACHEFLUSH = 0xf0002, MMAP2 = 192 };

#include "print.h"

static void write_out(const char *s, unsigned long n) { call(WRITE, 1, (long)s, n, 0); }

struct __attribute__((packed)) odd {
    char first;
    unsigned word;
};

__attribute__((noinline)) static unsigned unaligned(struct odd *o, unsigned value) {
    o->first = 'a';
    o->word = value;
    return o->word + (o->first == 'a');
}

/* Each instruction set calls the other. */
__attribute__((noinline, target("arm"))) static unsigned in_a32(unsigned n);
__attribute__((noinline, target("thumb"))) static unsigned in_t32(unsigned n) { return n == 0 ? 1 : 3 * in_a32(n - 1); }
__attribute__((noinline, target("arm"))) static unsigned in_a32(unsigned n) { return n == 0 ? 2 : 5 + in_t32(n - 1); }

/* Four instructions under two opposite conditions. */
__attribute__((noinline)) static unsigned conditional(unsigned a) {
    unsigned r = 0;
    __asm__ volatile("cmp %1, #10\n"
                     "itete lo\n"
                     "addlo %0, %0, #1\n"
                     "addhs %0, %0, #2\n"
                     "addlo %0, %0, #4\n"
                     "addhs %0, %0, #8\n"
                     : "+r"(r)
                     : "r"(a)
                     : "cc");
    return r;
}

static unsigned helpers(void) {
    unsigned (*get_tls)(void) = (unsigned (*)(void))0xffff0fe0;
    int (*cmpxchg)(int, int, volatile int *) = (int (*)(int, int, volatile int *))0xffff0fc0;
    int (*cmpxchg64)(const long long *, const long long *, volatile long long *) =
        (int (*)(const long long *, const long long *, volatile long long *))0xffff0f60;
    void (*barrier)(void) = (void (*)(void))0xffff0fa0;
    volatile int word = 7;
    volatile long long wide = 0x100000001;
    long long old = 0x100000001, new = 0x200000002;
    unsigned good = 0;
    call(SET_TLS, 0x1234, 0, 0, 0);
    good |= (get_tls() == 0x1234) << 0;
    good |= (cmpxchg(7, 8, &word) == 0 && word == 8) << 1;
    good |= (cmpxchg(7, 9, &word) != 0 && word == 8) << 2;
    good |= (cmpxchg64(&old, &new, &wide) == 0 && wide == new) << 3;
    good |= (cmpxchg64(&old, &new, &wide) != 0 && wide == new) << 4;
    barrier();
    good |= (*(volatile int *)0xffff0ffc >= 5) << 5;
    return good;
}

/* Code that is written, executed, changed and executed again: `mov r0, #n; bx lr`, in A32. */
static unsigned rewritten(void) {
    unsigned *code = (unsigned *)call(MMAP2, 0, 4096, 7, 0x22); /* at no descriptor */
    unsigned sum = 0;
    for (unsigned n = 1; n <= 2; n++) {
        code[0] = 0xe3a00000 + 20 * n;
        code[1] = 0xe12fff1e;
        call(CACHEFLUSH, (long)code, (long)(code + 2), 0, 0);
        sum = 100 * sum + ((unsigned (*)(void))code)();
    }
    return sum;
}

struct action {
    void (*handler)(int, void *, ulong *);
    ulong flags;
    void (*restorer)(void);
    ulong mask[2];
};

static volatile unsigned seen;

/* Goes on after the undefined instruction, which is as long as the others of its block. */
static void on_illegal(int signal, void *info, ulong *context) {
    (void)info;
    ulong *registers = context + 5; /* flags, link, stack; then trap, error, mask */
    ulong pc = registers[18], cpsr = registers[19];
    seen = signal + 100 * (cpsr >> 5 & 1);
    if (cpsr & 0x20) {
        /* An IT block of which one instruction is left: its state is advanced as the processor would. */
        ulong it = (cpsr >> 25 & 3) | (cpsr >> 8 & 0xfc);
        it = it & 7 ? (it & 0xe0) | (it << 1 & 0x1f) : 0;
        registers[19] = (cpsr & ~0x0600fc00ul) | (it & 3) << 25 | (it & 0xfc) << 8;
        registers[18] = pc + 2;
    } else {
        registers[18] = pc + 4;
    }
}

__attribute__((noinline)) static unsigned interrupted(void) {
    struct action action = {on_illegal, 4, 0, {0, 0}}; /* with information about the signal; without a restorer */
    call(SIGACTION, 4, (long)&action, 0, 8);
    unsigned r = 0;
    __asm__ volatile("movs r3, #0\n"
                     "ittt eq\n"
                     "addeq %0, %0, #1\n"
#ifdef __thumb__
                     ".inst.n 0xde00\n"
#else
                     ".inst 0x07f000f0 | 0xe0000000\n"
#endif
                     "addeq %0, %0, #2\n"
                     "add %0, %0, #4\n"
                     : "+r"(r)
                     :
                     : "r3", "cc", "memory");
    return r;
}

static char data[64];

void run(void) {
    unsigned sum = 0;
    for (unsigned i = 0; i < 1000; i++) sum += i * i;
    number("squares", sum);
    number("fib", fib(20));
    struct odd o;
    number("unaligned", unaligned(&o, 0x01020304));
    const char *from = "copied byte by byte";
    char *to = data + 1;
    while ((*to++ = *from++)) {}
    print(data + 1);
    print("\n");
    number("both", in_t32(5));
    number("conditional", 100 * conditional(3) + conditional(30));
    number("helpers", helpers());
    number("rewritten", rewritten());
    number("interrupted", interrupted());
    number("signal", seen % 100);
    volatile unsigned a = 123456789, b = 987654321;
    number("high", (unsigned)((unsigned long long)a * b >> 32));
    volatile double half = 0.5;
    number("double", (unsigned)(half * b));
    call(EXIT_GROUP, 42, 0, 0, 0);
}

__asm__(".globl _start\n.type _start, %function\n"
#ifdef __thumb__
        ".thumb_func\n"
#endif
        "_start: mov lr, #0\nbl run\n");
