/* What the compiler of the tables compiles: no headers, and much of it by macros. */
typedef unsigned long word;

#define TIMES(f, n) f(n##0) f(n##1) f(n##2) f(n##3)

#define SORT(n)                                                                                                                \
    static void sort_##n(word *a, long count) {                                                                                \
        for (long i = 1; i < count; i++) {                                                                                     \
            word x = a[i] ^ n;                                                                                                 \
            long j = i;                                                                                                        \
            for (; j > 0 && (a[j - 1] ^ n) > x; j--) a[j] = a[j - 1];                                                          \
            a[j] = x;                                                                                                          \
        }                                                                                                                      \
    }                                                                                                                          \
    static word sum_##n(const word *a, const double *b, long count) {                                                          \
        word s = n;                                                                                                            \
        double d = n;                                                                                                          \
        for (long i = 0; i < count; i++) {                                                                                     \
            switch ((a[i] + n) % 7) {                                                                                          \
            case 0: s += a[i] * n; break;                                                                                      \
            case 1: s ^= a[i] >> 3; break;                                                                                     \
            case 2: d += b[i] * s; break;                                                                                      \
            case 3: d /= b[i] + 1; break;                                                                                      \
            default: s = s * 31 + (word)d;                                                                                     \
            }                                                                                                                  \
        }                                                                                                                      \
        return s;                                                                                                              \
    }                                                                                                                          \
    word work_##n(word *a, double *b, long count) {                                                                            \
        sort_##n(a, count);                                                                                                    \
        for (long i = 0; i < count; i++) b[i] = b[i] * 0.5 + a[i];                                                             \
        return sum_##n(a, b, count) + sum_##n(a + 1, b, count / 2);                                                            \
    }

TIMES(SORT, 1) TIMES(SORT, 2)
