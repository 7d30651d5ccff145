// Every function the native bypass knows, at all small sizes and alignments, against loops; at the ends of pages; and
// with pointers that fault: the signal must say the same whoever ran the function.
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 4096 };
// Called through volatile pointers, so that the compiler replaces none of them.
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

static unsigned char *left, *right; // two pages each, followed by one that must not be touched
static uint64_t digest = 1;

static void note(uint64_t x) { digest = (digest ^ x) * 0x100000001b3u + 7; }
static void require(int ok, const char *what, size_t n, size_t at) {
    if (ok) return;
    printf("wrong: %s, size %zu, offset %zu\n", what, n, at);
    exit(1);
}
static int sign(int x) { return (x > 0) - (x < 0); }

static unsigned char *two_pages(void) {
    unsigned char *p = mmap(0, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(p + 2 * PAGE, PAGE, PROT_NONE);
    return p;
}

static void fill(unsigned char *p, size_t n, unsigned seed) {
    for (size_t i = 0; i < n; i++) p[i] = 'a' + (i * 7 + seed) % 23;
}

// Buffers of n bytes that end where nothing is mapped.
static void at_page_end(size_t n) {
    unsigned char *a = left + 2 * PAGE - n, *b = right + 2 * PAGE - n;
    fill(a, n, n);
    require(p_memcpy(b, a, n) == b, "memcpy", n, 0);
    for (size_t i = 0; i < n; i++) require(a[i] == b[i], "memcpy", n, i);
    require(p_memcmp(a, b, n) == 0, "memcmp", n, 0);
    if (n == 0) return;
    a[n - 1] = 0;
    require(p_strlen((char *)a) == n - 1, "strlen", n, 0);
    require(p_strnlen((char *)a, n + 100) == n - 1, "strnlen", n, 0);
    require(p_strcpy((char *)b, (char *)a) == (char *)b && p_strcmp((char *)a, (char *)b) == 0, "strcpy", n, 0);
    require(p_strchr((char *)a, 0) == (char *)a + n - 1, "strchr", n, 0);
    require(p_strrchr((char *)a, 0) == (char *)a + n - 1, "strrchr", n, 0);
    require(p_memchr(a, 0, n) == a + n - 1, "memchr", n, 0);
    require(p_memchr(a, 0xff, n) == NULL, "memchr", n, 0);
    b[n - 1] = 1;
    require(sign(p_memcmp(a, b, n)) == -1, "memcmp order", n, 0);
    require(p_strncmp((char *)a, (char *)b, n - 1) == 0, "strncmp", n, 0);
    note(sign(p_strcmp((char *)a, "b")));
}

static void at_every_offset(size_t n) {
    for (size_t at = 0; at < 17; at++) {
        unsigned char *a = left + at, *b = right + 16 - at % 16;
        fill(left, 400, at);
        memset(right, '-', 400);
        require(p_memmove(a + 5, a, n) == a + 5, "memmove", n, at);
        fill(left, 400, at);
        p_memmove(a, a + 5, n);
        for (size_t i = 0; i < n; i++) require(a[i] == 'a' + ((at + 5 + i) * 7 + at) % 23, "memmove down", n, at);
        p_memset(b, 0x5a5, n);
        for (size_t i = 0; i < 400; i++) {
            int inside = right + i >= b && right + i < b + n;
            require(right[i] == (inside ? 0xa5 : '-'), "memset", n, i);
        }
        p_strncpy((char *)b, "four", n);
        for (size_t i = 0; i < n; i++) require(b[i] == (i < 4 ? "four"[i] : 0), "strncpy", n, i);
        b[0] = 0;
        p_strcat(p_strcat((char *)b, "con"), "catenated");
        require(p_strcmp((char *)b, "concatenated") == 0, "strcat", n, at);
        note(b[at % 13]);
    }
}

static sigjmp_buf back;
static volatile uintptr_t fault_address;
static void on_fault(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    fault_address = (uintptr_t)info->si_addr;
    siglongjmp(back, 1);
}

#define FAULTS(call, want)                                                                           \
    do {                                                                                             \
        if (sigsetjmp(back, 1) == 0) {                                                               \
            call;                                                                                    \
            printf("no fault: %s\n", #call);                                                         \
            exit(1);                                                                                 \
        }                                                                                            \
        require(fault_address >= (uintptr_t)(want) && fault_address < (uintptr_t)(want) + 64, #call, fault_address, 0); \
    } while (0)

static void faults(void) {
    struct sigaction action = {.sa_sigaction = on_fault, .sa_flags = SA_SIGINFO};
    sigaction(SIGSEGV, &action, NULL);
    unsigned char *end = left + 2 * PAGE;
    memset(left, 'x', 2 * PAGE);
    FAULTS(p_memcpy(NULL, left, 8), NULL);
    FAULTS(p_memcpy(left, NULL, 8), NULL);
    FAULTS(p_strlen((char *)left), end);
    FAULTS(p_memset(end - 10, 0, 20), end);
    FAULTS(p_strcmp(NULL, "x"), NULL);
    FAULTS(p_memchr(end, 1, 5), end);
    FAULTS(p_strcpy((char *)8, "to nowhere"), NULL);
    for (int i = 0; i < 1000; i++) FAULTS(p_memcpy((void *)16, left, 4), NULL);
}

int main(void) {
    left = two_pages();
    right = two_pages();
    for (size_t n = 0; n < 300; n++) at_page_end(n);
    at_page_end(5000);
    for (size_t n = 0; n < 130; n++) at_every_offset(n);
    faults();
    printf("ok %016llx\n", (unsigned long long)digest);
}
