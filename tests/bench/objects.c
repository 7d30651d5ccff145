/* Calls through tables of functions: what methods, callbacks and comparison functions are. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

struct shape;
struct kind { uint32_t (*area)(const struct shape *); void (*grow)(struct shape *, uint32_t); };
struct shape { const struct kind *kind; uint32_t a, b; };

static uint32_t square_area(const struct shape *s) { return s->a * s->a; }
static void square_grow(struct shape *s, uint32_t by) { s->a += by; }
static uint32_t box_area(const struct shape *s) { return s->a * s->b; }
static void box_grow(struct shape *s, uint32_t by) { s->a += by; s->b ^= by; }
static uint32_t line_area(const struct shape *s) { return s->a >> 1; }
static void line_grow(struct shape *s, uint32_t by) { s->a = s->a * 3 + by; }

static const struct kind kinds[] = {{square_area, square_grow}, {box_area, box_grow}, {line_area, line_grow}};

static int by_area(const void *x, const void *y) {
    const struct shape *a = x, *b = y;
    uint32_t p = a->kind->area(a), q = b->kind->area(b);
    return (p > q) - (p < q);
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 300;
    enum { N = 2000 };
    static struct shape shapes[N];
    uint32_t state = 1, sum = 0;
    for (int i = 0; i < N; i++) {
        state = state * 1664525 + 1013904223;
        shapes[i] = (struct shape){&kinds[(state >> 16) % 3], state >> 20, state & 255};
    }
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < N; i++) shapes[i].kind->grow(&shapes[i], r + i);
        for (int i = 0; i < N; i++) sum += shapes[i].kind->area(&shapes[i]);
        qsort(shapes, N, sizeof *shapes, by_area);
    }
    printf("%u\n", sum);
}
