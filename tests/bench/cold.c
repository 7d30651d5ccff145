/* Code that runs once: 1024 functions of about seventy instructions, each called a single time. */
#include <stdint.h>
#include <stdio.h>

#define STEP(k, s) \
    x ^= x >> (((k) + (s)) % 13 + 7); \
    x *= 0x9e3779b97f4a7c15u + (k); \
    y += table[(x ^ (s)) & 63]; \
    if (y & 1) x += y;
#define BODY(k) STEP(k, 1) STEP(k, 2) STEP(k, 3) STEP(k, 4) STEP(k, 5) STEP(k, 6) STEP(k, 7)
#define FUNCTION(n) \
    __attribute__((noinline)) static uint64_t f##n(uint64_t x, uint64_t y) { BODY(0x##n) return x ^ y; }
#define NAME(n) f##n,

#define EACH(m, p) \
    m(p##0) m(p##1) m(p##2) m(p##3) m(p##4) m(p##5) m(p##6) m(p##7) \
    m(p##8) m(p##9) m(p##a) m(p##b) m(p##c) m(p##d) m(p##e) m(p##f)
#define EACH2(m, p) \
    EACH(m, p##0) EACH(m, p##1) EACH(m, p##2) EACH(m, p##3) EACH(m, p##4) EACH(m, p##5) EACH(m, p##6) EACH(m, p##7) \
    EACH(m, p##8) EACH(m, p##9) EACH(m, p##a) EACH(m, p##b) EACH(m, p##c) EACH(m, p##d) EACH(m, p##e) EACH(m, p##f)
#define ALL(m) EACH2(m, 0) EACH2(m, 1) EACH2(m, 2) EACH2(m, 3)

static uint64_t table[64];

ALL(FUNCTION)

static uint64_t (*const functions[])(uint64_t, uint64_t) = {ALL(NAME)};

int main(void) {
    for (int i = 0; i < 64; i++) table[i] = i * 0x0123456789abcdefu;
    uint64_t sum = 1;
    for (int i = 0; i < 1024; i++) sum = functions[i](sum, i);
    printf("%llu\n", (unsigned long long)sum);
}
