// Code that is changed, in place and through other mappings and files, and announced by the processor's own instruction.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { PAGE = 4096, TIMES = 50 };
typedef int function(void);

// A function that returns n, and what says that it has changed.
#if defined __riscv
#define CODE(n) {0x00000513u | (uint32_t)(n) << 20, 0x00008067u}
static void announce(void *at, size_t n) { (void)at, (void)n; __asm__ volatile("fence.i" ::: "memory"); }
#elif defined __loongarch__
#define CODE(n) {0x02800004u | (uint32_t)(n) << 10, 0x4c000020u}
static void announce(void *at, size_t n) { (void)at, (void)n; __asm__ volatile("ibar 0" ::: "memory"); }
#elif defined __mips__
#define CODE(n) {0x03e00008u, 0x24020000u | (uint32_t)(n)}
static void announce(void *at, size_t n) {
    for (char *line = at; line < (char *)at + n; line += 4) __asm__ volatile("synci 0(%0)" ::"r"(line) : "memory");
    __asm__ volatile("sync" ::: "memory");
}
#elif defined __aarch64__
#define CODE(n) {0x52800000u | (uint32_t)(n) << 5, 0xd65f03c0u}
static void announce(void *at, size_t n) {
    __asm__ volatile("dsb ish" ::: "memory");
    for (char *line = at; line < (char *)at + n; line += 4) __asm__ volatile("ic ivau, %0" ::"r"(line) : "memory");
    __asm__ volatile("dsb ish\nisb" ::: "memory");
}
#elif defined __x86_64__ || defined __i386__
#define CODE(n) {0xb8u | (uint32_t)(n) << 8, 0x0000c300u}
static void announce(void *at, size_t n) { (void)at, (void)n; }
#elif defined __arm__
#define CODE(n) {0xe3a00000u | (uint32_t)(n), 0xe12fff1eu}
static void announce(void *at, size_t n) { __builtin___clear_cache(at, (char *)at + n); }
#endif

// One of the program's own, which is as long.
__attribute__((noipa, aligned(4096))) int patched(void) {
    __asm__ volatile("nop\nnop\nnop\nnop");
    return 77;
}

static void *map(int file, int prot, int flags) { return mmap(NULL, PAGE, prot, flags, file, 0); }

// What is written to `writable`, or to the file at `offset`, is called at `executable`.
static void through(const char *name, void *writable, int file, off_t offset, void *executable) {
    int right = 0;
    for (int i = 0; i < TIMES; i++) {
        uint32_t code[] = CODE(i);
        if (writable) memcpy(writable, code, sizeof code);
        else if (pwrite(file, code, sizeof code, offset) != sizeof code) perror("pwrite");
        announce(executable, sizeof code);
        // Often enough to be translated, or once.
        for (int k = i % 2 ? 20 : 1; k; k--) right += ((function *)executable)() == i;
    }
    printf("%s: %d\n", name, right);
}

int main(void) {
    printf("as it is: %d\n", patched());
    void *own = map(-1, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS);
    through("in place", own, 0, 0, own);
    int file = memfd_create("code", 0);
    if (file < 0 || ftruncate(file, PAGE)) return 1;
    void *executable = map(file, PROT_READ | PROT_EXEC, MAP_SHARED);
    void *writable = map(file, PROT_READ | PROT_WRITE, MAP_SHARED);
    through("the other mapping", writable, 0, 0, executable);
    through("the file", NULL, file, 0, executable);
    void *private = map(file, PROT_READ | PROT_EXEC, MAP_PRIVATE);
    through("from a private mapping", writable, 0, 0, private);
    uintptr_t at = (uintptr_t)patched & ~(uintptr_t)1;
    int memory = open("/proc/self/mem", O_RDWR);
    through("the memory's file", NULL, memory, (off_t)at, (void *)at);
    mprotect((void *)at, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
    through("own code", (void *)at, 0, 0, (void *)at);
    return 0;
}
