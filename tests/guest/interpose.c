// A program that brings its own memcpy and strlen: they are called, whoever could do it faster.
#include <stdio.h>
#include <string.h>

static int copies, lengths;

void *memcpy(void *restrict to, const void *restrict from, size_t n) {
    copies++;
    char *d = to;
    const char *s = from;
    for (size_t i = 0; i < n; i++) {
        d[i] = s[i];
        __asm__ volatile("" ::: "memory"); // or it would become a call of itself
    }
    return to;
}

size_t strlen(const char *s) {
    lengths++;
    size_t n = 0;
    while (s[n]) {
        n++;
        __asm__ volatile("" ::: "memory");
    }
    return n + 1000; // and nobody else's
}

static void *(*volatile p_memcpy)(void *, const void *, size_t) = memcpy;
static size_t (*volatile p_strlen)(const char *) = strlen;
static char *(*volatile p_strchr)(const char *, int) = strchr;

int main(void) {
    char buffer[32] = "";
    for (int i = 0; i < 100; i++) p_memcpy(buffer, "interposed", 11);
    size_t length = p_strlen(buffer);
    printf("%d %d %zu %s\n", copies >= 100, lengths >= 1, length, p_strchr(buffer, 'p'));
}
