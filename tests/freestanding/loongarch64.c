/* A program of LoongArch's own, without a C library and without vectors: loops, a tree of calls, unaligned words, fields of bits,
   checksums, atomic operations, floating point, a trap that is caught, output and an exit status. */

static long call(long number, long a, long b, long c, long d) {
    register long a7 __asm__("$a7") = number;
    register long a0 __asm__("$a0") = a;
    register long a1 __asm__("$a1") = b;
    register long a2 __asm__("$a2") = c;
    register long a3 __asm__("$a3") = d;
    __asm__ volatile("syscall 0"
                     : "+r"(a0)
                     : "r"(a7), "r"(a1), "r"(a2), "r"(a3)
                     : "$t0", "$t1", "$t2", "$t3", "$t4", "$t5", "$t6", "$t7", "$t8", "memory");
    return a0;
}

#include "print.h"

static void write_out(const char *s, unsigned long n) { call(64, 1, (long)s, n, 0); }

struct __attribute__((packed)) odd {
    char first;
    unsigned long word;
    char last;
};

__attribute__((noinline)) static unsigned long unaligned(struct odd *o, unsigned long value) {
    o->first = 'a';
    o->last = 'z';
    o->word = value;
    return o->word + (o->first == 'a') + (o->last == 'z');
}

/* Bytes reversed, a field taken out and put elsewhere, leading zeros. */
__attribute__((noinline)) static unsigned long bits(unsigned long v) {
    unsigned long field = v >> 12 & 0xffff;
    v = (v & ~0xffffff0000000000ul) | field << 40;
    return __builtin_bswap64(v) + __builtin_clzl(v) + __builtin_ctz((unsigned)v | 0x80000000u);
}

static unsigned checksum(const char *s) {
    int crc = -1;
    for (; *s; s++) crc = __builtin_loongarch_crc_w_b_w(*s, crc);
    return ~crc;
}

static unsigned long cell = 40;
static unsigned word = 5;

static unsigned long atomics(void) {
    unsigned long old = __atomic_fetch_add(&cell, 2, __ATOMIC_SEQ_CST);
    unsigned expected = 5;
    int swapped = __atomic_compare_exchange_n(&word, &expected, 9, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    return old + cell + __atomic_exchange_n(&word, 1, __ATOMIC_ACQ_REL) * 1000 + swapped;
}

/* Pi to six places, by the arctangents of 1/5 and 1/239. */
__attribute__((noinline)) static double arctangent(double inverse) {
    double power = 1 / inverse, sum = 0;
    for (int n = 1; n < 20; n += 2) {
        sum += (n & 2 ? -power : power) / n;
        power /= inverse * inverse;
    }
    return sum;
}

struct context {
    unsigned long before[22]; /* flags, link, stack, the mask and what is kept free for it */
    unsigned long pc, regs[32];
};

static volatile int caught;

/* The frame has the context after the 128 bytes of siginfo. */
static void handler(int signal, void *info, struct context *context) {
    caught = signal * 100 + ((int *)info)[2];
    context->pc += 4;
    context->regs[4] += 1; /* $a0 */
}

struct action {
    void (*handler)(int, void *, struct context *);
    unsigned long flags, mask;
};

static void trap(void) {
    struct action action = {handler, 4 /* SA_SIGINFO */, 0};
    call(134, 8 /* SIGFPE */, (long)&action, 0, 8);
    register long a0 __asm__("$a0") = 41;
    double kept = 0.5;
    __asm__ volatile("break 7" : "+r"(a0), "+f"(kept) : : "memory");
    number("caught", caught + a0 * 10000);
    number("kept", (unsigned long)(kept * 4));
}

static char data[64];

__attribute__((used)) static void run(void) {
    unsigned sum = 0;
    for (unsigned i = 0; i < 1000; i++) sum += i * i;
    number("squares", sum);
    number("fib", fib(20));
    struct odd o;
    number("unaligned", unaligned(&o, 0x0102030405060708));
    const char *from = "copied byte by byte";
    char *to = data + 1;
    while ((*to++ = *from++)) {}
    print(data + 1);
    print("\n");
    number("bits", bits(0x123456789abcdef0));
    number("checksum", checksum("123456789"));
    number("atomics", atomics());
    number("pi", (unsigned long)((16 * arctangent(5) - 4 * arctangent(239)) * 1000000));
    volatile unsigned long a = 0x123456789abcdef0, b = 0xfedcba987;
    number("high", (unsigned long)((unsigned __int128)a * b >> 64));
    number("quotient", a / b * 1000 + a % 1000);
    trap();
    call(93, 42, 0, 0, 0);
}

__asm__(".globl _start\n_start:\nmove $fp, $zero\nbstrins.d $sp, $zero, 3, 0\nbl run\n");
