// Loops whose turns a translator may do together: over arrays that overlap in every way, of every length, and into memory that
// cannot be read or written, where what comes before the fault must be done and nothing behind it.
#define _GNU_SOURCE
#pragma GCC optimize("no-tree-vectorize", "no-tree-loop-distribute-patterns")
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PAGE = 65536, ROOM = 1280 };

static uint64_t digest = 1;
static _Alignas(16) uint8_t room[ROOM];

static void digest_bytes(const void *at, size_t n) {
    const uint8_t *bytes = at;
    for (size_t i = 0; i < n; i++) digest = (digest ^ bytes[i]) * 1099511628211u;
}

#define LOOP __attribute__((noinline)) static void

LOOP bytes(void *to, const void *from, long n) {
    uint8_t *o = to;
    const uint8_t *x = from;
    for (long i = 0; i < n; i++) o[i] = (uint8_t)((x[i] * 3 + o[i] * 5 + 7) >> 3);
}

LOOP halves(void *to, const void *from, long n) {
    int16_t *o = to;
    const int16_t *x = from;
    for (long i = 0; i < n; i++) {
        int sum = o[i] + x[i];
        o[i] = (int16_t)(sum > 32767 ? 32767 : sum < -32768 ? -32768 : sum);
    }
}

LOOP words(void *to, const void *from, long n) {
    int32_t *o = to;
    const int32_t *x = from;
    for (long i = 0; i < n; i++) o[i] = (int32_t)((uint32_t)o[i] + (uint32_t)x[i] * 3u) ^ (x[i] >> 5);
}

LOOP doubles(void *to, const void *from, long n) {
    uint64_t *o = to;
    const uint64_t *x = from;
    for (long i = 0; i < n; i++) o[i] = o[i] * 5 + (x[i] >> 7);
}

LOOP wider(void *to, const void *from, long n) {
    int32_t *o = to;
    const uint8_t *x = from;
    for (long i = 0; i < n; i++) o[i] = (int32_t)((uint32_t)o[i] + x[i] - 100u);
}

LOOP neighbours(void *to, const void *from, long n) {
    int32_t *o = to;
    const int32_t *x = from;
    for (long i = 0; i < n; i++) o[i] = (int32_t)((uint32_t)x[i] + 2u * (uint32_t)x[i + 1] - (uint32_t)x[i + 2]);
}

LOOP floats(void *to, const void *from, long n) {
    float *o = to;
    const float *x = from;
    for (long i = 0; i < n; i++) o[i] = o[i] * 0.5f - x[i];
}

LOOP sum(void *to, const void *from, long n) {
    uint32_t *o = to, all = 0;
    const uint32_t *x = from;
    for (long i = 0; i < n; i++) all += x[i] ^ (uint32_t)i;
    *o += all;
}

// Which access faults first is not for the compiler to choose in these.
LOOP colours(void *to, const void *from, long n) {
    volatile uint8_t *o = to;
    const volatile uint8_t *x = from;
    for (long i = 0; i < n; i++) {
        uint32_t red = x[4 * i], green = x[4 * i + 1], blue = x[4 * i + 2];
        o[i] = (uint8_t)((red * 77 + green * 150 + blue * 29) >> 8);
    }
}

LOOP pairs(void *to, const void *from, long n) {
    volatile int32_t *o = to;
    const volatile int32_t *x = from;
    for (long i = 0; i < n; i++) {
        uint32_t a = (uint32_t)x[2 * i], b = (uint32_t)x[2 * i + 1];
        o[2 * i] = (int32_t)(a - 3u * b);
        o[2 * i + 1] = (int32_t)(a ^ b);
    }
}

static const struct {
    void (*run)(void *, const void *, long);
    int to, from;
} loops[] = {{bytes, 1, 1},   {halves, 2, 2},     {words, 4, 4},  {doubles, 8, 8},
             {wider, 4, 1},   {neighbours, 4, 4}, {floats, 4, 4}, {sum, 4, 4},
             {colours, 1, 4}, {pairs, 8, 8}};
enum { LOOPS = sizeof loops / sizeof *loops };

// Floats in bytes at random may be any; small ones stay numbers.
static void refill(int loop) {
    for (int i = 0; i < ROOM; i++) room[i] = (uint8_t)(i * 37 + i / 7);
    if (loop == 6)
        for (int i = 0; i < ROOM / 4; i++) {
            float small = (float)(i % 19) / 8 - 1;
            memcpy(room + 4 * i, &small, 4);
        }
}

static void overlaps(int loop) {
    int step = loops[loop].to < loops[loop].from ? loops[loop].to : loops[loop].from;
    for (int apart = -40; apart <= 40; apart++)
        for (int n = 0; n < 40; n += 1 + n / 9) {
            refill(loop);
            uint8_t *to = room + 400, *from = to + apart * step - apart * step % loops[loop].from;
            loops[loop].run(to, from, n);
            digest_bytes(room, ROOM);
        }
}

static sigjmp_buf back;
static uint8_t *pages;
static int resume, faults;

static void caught(int signal, siginfo_t *info, void *context) {
    (void)signal, (void)context;
    uint8_t *at = info->si_addr;
    long offset = at - pages;
    digest_bytes(&(uint64_t){(uint64_t)offset}, 8);
    faults++;
    if (!resume) siglongjmp(back, 1);
    if (offset < PAGE || mprotect(pages + PAGE, PAGE, PROT_READ | PROT_WRITE)) _Exit(3);
}

// The second page is not to be read, or not to be written.
static void edges(int loop, int protection) {
    static _Alignas(16) uint8_t source[ROOM];
    for (int i = 0; i < ROOM; i++) source[i] = (uint8_t)(i % 23);
    for (resume = 0; resume < 2; resume++)
        for (int before = 0; before < 24; before++)
            for (int reads = 0; reads < 2; reads++) {
                if (mprotect(pages, 2 * PAGE, PROT_READ | PROT_WRITE)) _Exit(4);
                uint8_t *edge = pages + PAGE;
                for (int i = -ROOM; i < ROOM; i++) edge[i] = (uint8_t)(i % 29 + 29);
                if (mprotect(edge, PAGE, protection)) _Exit(5);
                memcpy(room, source, ROOM);
                uint8_t *to = reads ? room : edge - before * loops[loop].to;
                const uint8_t *from = reads ? edge - before * loops[loop].from : source;
                if (!sigsetjmp(back, 1)) loops[loop].run(to, from, 32);
                if (mprotect(edge, PAGE, PROT_READ | PROT_WRITE)) _Exit(6);
                digest_bytes(room, ROOM);
                digest_bytes(edge - ROOM, 2 * ROOM);
            }
}

int main(void) {
    pages = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct sigaction action = {.sa_sigaction = caught, .sa_flags = SA_SIGINFO | SA_NODEFER};
    sigaction(SIGSEGV, &action, NULL);
    static uint8_t large[2][65536];
    for (int loop = 0; loop < LOOPS; loop++) {
        digest = 1, faults = 0;
        // Until it is hot.
        for (int i = 0; i < 20; i++) loops[loop].run(large[0], large[1], 4096);
        memset(large, loop, sizeof large);
        overlaps(loop);
        printf("loop %d: %016" PRIx64, loop, digest);
        edges(loop, PROT_NONE);
        edges(loop, PROT_READ);
        printf(" %016" PRIx64 ", %d faults\n", digest, faults);
    }
}
