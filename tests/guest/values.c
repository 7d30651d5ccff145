// Functions of values: structures and complex numbers as arguments and results, through pointers so that calls are calls.
// What they give is printed as it is and as a digest of many.
#include <complex.h>
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static div_t (*volatile p_div)(int, int) = div;
static ldiv_t (*volatile p_ldiv)(long, long) = ldiv;
static lldiv_t (*volatile p_lldiv)(long long, long long) = lldiv;
static imaxdiv_t (*volatile p_imaxdiv)(intmax_t, intmax_t) = imaxdiv;
static double complex (*volatile p_conj)(double complex) = conj;
static double complex (*volatile p_cproj)(double complex) = cproj;
static double (*volatile p_fmod)(double, double) = fmod;

static uint64_t digest = 1, seed = 88172645463325252u;

static void number(double value) {
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    // Little-endian whatever the processor.
    for (int i = 0; i < 64; i += 8) digest = digest * 1099511628211u ^ (bits >> i & 255);
}

static void integer(long long value) {
    for (int i = 0; i < 64; i += 8) digest = digest * 1099511628211u ^ ((uint64_t)value >> i & 255);
}

static uint64_t next(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    return seed ^= seed << 17;
}

static void divisions(void) {
    for (int i = 0; i < 1000; i++) {
        long long n = (long long)next(), d = (long long)(next() >> (i % 63 + 1)) + 2;
        if (i % 2) d = -d;
        int small = (int)d < 2 && (int)d > -2 ? 7 : (int)d;
        div_t a = p_div((int)n, small);
        ldiv_t b = p_ldiv((int)n, small);
        lldiv_t c = p_lldiv(n, d);
        imaxdiv_t e = p_imaxdiv(n, -d);
        integer(a.quot), integer(a.rem), integer(b.quot), integer(b.rem);
        integer(c.quot), integer(c.rem), integer(e.quot), integer(e.rem);
    }
    div_t by_minus_one = p_div(12345, -1);
    printf("div %d %d, digest %" PRIx64 "\n", by_minus_one.quot, by_minus_one.rem, digest);
}

static void numbers(void) {
    double special[] = {0.0, -0.0, 1.5, -3.0, INFINITY, -INFINITY, 1e-310, 1e308};
    for (int i = 0; i < 64; i++) {
        double complex z = CMPLX(special[i / 8], special[i % 8]);
        double complex a = p_conj(z), b = p_cproj(z);
        number(creal(a)), number(cimag(a)), number(creal(b)), number(cimag(b));
        if (isfinite(creal(z)) && cimag(z) != 0) number(p_fmod(creal(z), cimag(z)));
    }
    for (int i = 0; i < 1000; i++) {
        double x = (double)(int64_t)next(), y = (double)(next() >> (i % 40 + 8)) / 1024;
        if (y != 0) number(p_fmod(x, y));
    }
    printf("fmod %g %g, digest %" PRIx64 "\n", p_fmod(1e300, 7.0), p_fmod(-5.5, 2.0), digest);
}

int main(void) {
    divisions();
    numbers();
    return 0;
}
