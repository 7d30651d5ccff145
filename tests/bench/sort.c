/* Heap sort and binary search over pseudo-random words: branches that do not predict, dependent loads. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t state = 1;
static uint32_t next(void) { return state = state * 1664525 + 1013904223; }

static void sift(uint32_t *a, size_t root, size_t end) {
    for (size_t child; (child = 2 * root + 1) < end; root = child) {
        if (child + 1 < end && a[child] < a[child + 1]) child++;
        if (a[root] >= a[child]) return;
        uint32_t t = a[root];
        a[root] = a[child];
        a[child] = t;
    }
}

static void heap_sort(uint32_t *a, size_t n) {
    for (size_t i = n / 2; i-- > 0;) sift(a, i, n);
    for (size_t end = n; end-- > 1;) {
        uint32_t t = a[0];
        a[0] = a[end];
        a[end] = t;
        sift(a, 0, end);
    }
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? atoi(argv[1]) : 12;
    enum { N = 200000 };
    static uint32_t a[N];
    uint64_t sum = 0;
    for (int r = 0; r < rounds; r++) {
        for (size_t i = 0; i < N; i++) a[i] = next();
        heap_sort(a, N);
        for (int i = 0; i < N; i++) {
            uint32_t key = next();
            size_t lo = 0, hi = N;
            while (lo < hi) {
                size_t mid = (lo + hi) / 2;
                if (a[mid] < key) lo = mid + 1;
                else hi = mid;
            }
            sum += lo;
        }
    }
    printf("%llu\n", (unsigned long long)sum);
}
