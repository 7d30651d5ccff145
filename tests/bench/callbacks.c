/* The C library's sort and search with comparisons of our own: calls from a library and back. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 1 << 14 };
struct record {
    uint32_t key;
    char name[12];
};
static struct record records[N];

static int by_key(const void *a, const void *b) {
    uint32_t x = ((const struct record *)a)->key, y = ((const struct record *)b)->key;
    return (x > y) - (x < y);
}

static int by_name(const void *a, const void *b) { return strcmp(((const struct record *)a)->name, ((const struct record *)b)->name); }

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 10;
    uint32_t state = 1, found = 0;
    for (int r = 0; r < rounds; r++) {
        for (int i = 0; i < N; i++) {
            state = state * 1664525 + 1013904223;
            records[i].key = state >> 8;
            for (int k = 0; k < 11; k++) records[i].name[k] = (char)('a' + (state >> (k * 2) & 15));
        }
        qsort(records, N, sizeof *records, by_name);
        found += records[N / 2].key & 1;
        qsort(records, N, sizeof *records, by_key);
        for (int i = 0; i < N; i++) {
            struct record wanted = {.key = (uint32_t)i * 977};
            found += bsearch(&wanted, records, N, sizeof *records, by_key) != NULL;
        }
    }
    printf("%u %s\n", found, records[N / 3].name);
}
