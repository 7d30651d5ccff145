/* A program of MIPS's own, without a C library: a loop, a tree of calls, an unaligned string copy, delay slots, a branch-likely
   loop, multiplication, a trap that is caught, output and an exit status. The same text on every word size and byte order. */

#if _MIPS_SIM == _ABIO32
#define NUMBER(o32, n64) (o32)
#else
#define NUMBER(o32, n64) (n64)
#endif

static long call(long number, long a, long b, long c) {
    register long v0 __asm__("$2") = number;
    register long a0 __asm__("$4") = a;
    register long a1 __asm__("$5") = b;
    register long a2 __asm__("$6") = c;
    register long a3 __asm__("$7") = 0;
    __asm__ volatile("syscall"
                     : "+r"(v0), "+r"(a3)
                     : "r"(a0), "r"(a1), "r"(a2)
                     : "$1", "$3", "$8", "$9", "$10", "$11", "$12", "$13", "$14", "$15", "$24", "$25", "memory");
    return a3 ? -v0 : v0;
}

#include "print.h"

static void write_out(const char *s, unsigned long n) { call(NUMBER(4004, 5001), 1, (long)s, n); }

struct __attribute__((packed)) odd {
    char first;
    unsigned word;
    char last;
};

/* Loads and stores of an unaligned word, in the halves that MIPS has for them. */
__attribute__((noinline)) static unsigned unaligned(struct odd *o, unsigned value) {
    o->first = 'a';
    o->last = 'z';
    o->word = value;
    return o->word + (o->first == 'a') + (o->last == 'z');
}

/* Counts down with a likely branch, whose slot runs only when it is taken. */
static unsigned likely(unsigned n) {
    unsigned sum = 0;
    __asm__ volatile(".set push\n.set noreorder\n"
                     "1: addiu %1, %1, -1\n"
                     "bgtzl %1, 1b\n"
                     "addiu %0, %0, 3\n"
                     ".set pop"
                     : "+r"(sum), "+r"(n));
    return sum;
}

/* What the slot of a jump changes is seen at its target, not by the jump. */
static unsigned slot(void) {
    unsigned value;
    __asm__ volatile(".set push\n.set noreorder\n"
                     "li %0, 1\n"
                     "bne %0, $0, 1f\n"
                     "li %0, 0\n"
                     "addiu %0, %0, 100\n"
                     "1: addiu %0, %0, 7\n"
                     ".set pop"
                     : "=&r"(value));
    return value;
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
    number("likely", likely(10));
    number("slot", slot());
    volatile unsigned a = 123456789, b = 987654321;
    number("high", (unsigned)((unsigned long long)a * b >> 32));
    number("quotient", b / a * 1000 + b % 1000);
    call(NUMBER(4246, 5205), 42, 0, 0);
}

__asm__(".globl __start\n.ent __start\n__start:\n"
        ".set push\n.set noreorder\nmove $31, $0\n"
#if _MIPS_SIM == _ABIO32
        "jal run\naddiu $29, $29, -32\n"
#else
        "jal run\ndaddiu $29, $29, -32\n"
#endif
        ".set pop\n.end __start\n");
