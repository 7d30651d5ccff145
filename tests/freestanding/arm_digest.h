/* Output of programs on ARM without a C library that print digests. */

typedef unsigned u32;

static long call(long number, long a, long b, long c) {
    register long r7 __asm__("r7") = number;
    register long r0 __asm__("r0") = a;
    register long r1 __asm__("r1") = b;
    register long r2 __asm__("r2") = c;
    __asm__ volatile("svc #0" : "+r"(r0) : "r"(r7), "r"(r1), "r"(r2) : "memory");
    return r0;
}

static void print(const char *s) {
    unsigned n = 0;
    while (s[n]) n++;
    call(4, 1, (long)s, n);
}

static void line(const char *name, u32 value) {
    char text[10];
    for (int i = 0; i < 8; i++) text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    text[8] = '\n';
    text[9] = 0;
    print(name);
    print(" ");
    print(text);
}
