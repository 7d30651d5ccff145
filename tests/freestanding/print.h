/* Output of programs without a C library, and what they all compute. The program has the system call. */

static void write_out(const char *s, unsigned long n);

static void print(const char *s) {
    unsigned long n = 0;
    while (s[n]) n++;
    write_out(s, n);
}

static void number(const char *name, unsigned long value) {
    char text[24];
    int at = 23;
    text[at] = 0;
    do {
        text[--at] = '0' + value % 10;
        value /= 10;
    } while (value);
    print(name);
    print(" ");
    print(text + at);
    print("\n");
}

__attribute__((noinline)) static unsigned fib(unsigned n) { return n < 2 ? n : fib(n - 1) + fib(n - 2); }
