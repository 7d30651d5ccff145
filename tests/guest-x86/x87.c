/* The x87: every operation on numbers of all kinds, under every rounding and precision; results and status words. */
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#ifdef __x86_64__
#define SP "rsp"
#else
#define SP "esp"
#endif

typedef struct {
    uint64_t significand;
    uint16_t sign_exponent;
} __attribute__((packed)) number;

static const number numbers[] = {
    {0, 0},
    {0, 0x8000},
    {0x8000000000000000, 0x3fff},
    {0x8000000000000000, 0xbfff},
    {0xc000000000000000, 0x4000},
    {0xaaaaaaaaaaaaaaab, 0x3ffd},
    {0xc90fdaa22168c235, 0xbffe},
    {0xffffffffffffffff, 0x403d},
    {0xb504f333f9de6484, 0x3fff},
    {0x8000000000000000, 0x7fff},
    {0xc000000000000001, 0x7fff},
    {0x8000000000000000, 0xffff},
    {0xffffffffffffffff, 0x7ffe},
    {0x0000000000000001, 0},
    {0x4000000000000000, 0x8000},
    {0x9abcdef012345678, 0x3f80},
    {0xa000000000000000, 0xc05e},
};
enum { COUNT = sizeof numbers / sizeof *numbers };

static uint64_t hash = 0xcbf29ce484222325;

static void mix(const void *p, size_t n) {
    for (size_t i = 0; i < n; i++)
        hash = (hash ^ ((const uint8_t *)p)[i]) * 0x100000001b3;
}

/* Condition codes that the manual defines for the operation, exceptions, and the stack's top. */
static void note(const number *r, uint16_t status, uint16_t defined) {
    status &= defined | 0x383f;
    mix(r, sizeof *r);
    mix(&status, sizeof status);
}

#define UNARY(name, code, defined)                                                                                             \
    static void name(const number *a, uint16_t cw) {                                                                           \
        number r;                                                                                                              \
        uint16_t status;                                                                                                       \
        __asm__ volatile("fninit\n fldcw %3\n fldt %2\n" code "\n fnstsw %1\n fstpt %0\n fninit"                               \
                         : "=m"(r), "=a"(status)                                                                               \
                         : "m"(*a), "m"(cw)                                                                                    \
                         : "memory");                                                                                          \
        note(&r, status, defined);                                                                                             \
    }
#define BINARY(name, code, defined)                                                                                            \
    static void name(const number *a, const number *b, uint16_t cw) {                                                          \
        number r;                                                                                                              \
        uint16_t status;                                                                                                       \
        __asm__ volatile("fninit\n fldcw %4\n fldt %3\n fldt %2\n" code "\n fnstsw %1\n fstpt %0\n fninit"                     \
                         : "=m"(r), "=a"(status)                                                                               \
                         : "m"(*a), "m"(*b), "m"(cw)                                                                           \
                         : "memory");                                                                                          \
        note(&r, status, defined);                                                                                             \
    }

UNARY(squareroot, "fsqrt", 0x200)
UNARY(round_to_int, "frndint", 0x200)
UNARY(power, "f2xm1", 0)
UNARY(sine, "fsin", 0x400)
UNARY(cosine, "fcos", 0x400)
UNARY(against_zero, "ftst", 0x4700)
UNARY(examine, "fxam", 0x4700)
UNARY(absolute, "fabs", 0)
UNARY(negate, "fchs", 0)
UNARY(exponent, "fxtract\n fstp %%st(0)", 0)
UNARY(fraction, "fxtract\n fstp %%st(1)", 0)
UNARY(constants, "fldpi\n faddp\n fldl2e\n faddp\n fldl2t\n faddp\n fldlg2\n faddp\n fldln2\n faddp\n fld1\n faddp", 0)
UNARY(single, "sub $16, %%" SP "\n fstps (%%" SP ")\n flds (%%" SP ")\n add $16, %%" SP, 0)
UNARY(twice, "sub $16, %%" SP "\n fstpl (%%" SP ")\n fldl (%%" SP ")\n add $16, %%" SP, 0)
UNARY(short_int, "sub $16, %%" SP "\n fistps (%%" SP ")\n filds (%%" SP ")\n add $16, %%" SP, 0)
UNARY(plain_int, "sub $16, %%" SP "\n fistpl (%%" SP ")\n fildl (%%" SP ")\n add $16, %%" SP, 0)
UNARY(long_int, "sub $16, %%" SP "\n fistpll (%%" SP ")\n fildll (%%" SP ")\n add $16, %%" SP, 0)
UNARY(cut_int, "sub $16, %%" SP "\n fisttpl (%%" SP ")\n fildl (%%" SP ")\n add $16, %%" SP, 0)
UNARY(digits, "sub $16, %%" SP "\n fbstp (%%" SP ")\n fbld (%%" SP ")\n add $16, %%" SP, 0)
UNARY(saved, "fld1\n sub $128, %%" SP "\n fnsave (%%" SP ")\n fldz\n frstor (%%" SP ")\n add $128, %%" SP "\n fstp %%st(0)", 0)
BINARY(sum, "fadd %%st(1), %%st", 0x200)
BINARY(difference, "fsub %%st(1), %%st", 0x200)
BINARY(reversed, "fsubr %%st(1), %%st", 0x200)
BINARY(product, "fmul %%st(1), %%st", 0x200)
BINARY(quotient, "fdiv %%st(1), %%st", 0x200)
BINARY(quotient_p, "fdivp\n fld1", 0)
BINARY(scale, "fscale", 0)
BINARY(rest, "fprem", 0x4700)
BINARY(rest_nearest, "fprem1", 0x4700)
BINARY(arc, "fpatan", 0)
BINARY(logarithm, "fyl2x", 0)
BINARY(compared, "fcom %%st(1)", 0x4700)
BINARY(compared_quietly, "fucom %%st(1)", 0x4700)
BINARY(moved, "fucomi %%st(1), %%st\n fcmovb %%st(1), %%st\n fcmovu %%st(1), %%st\n fcmovne %%st(1), %%st", 0)
BINARY(exchanged, "fxch\n fld %%st(1)\n fincstp\n fdecstp\n faddp", 0)

static void tangent(const number *a) {
    number r = {0, 0};
    uint16_t status;
    __asm__ volatile("fninit\n fldt %2\n fptan\n fnstsw %1\n test $4, %%ah\n jnz 1f\n fstp %%st(0)\n1: fstpt %0\n fninit"
                     : "=m"(r), "=a"(status)
                     : "m"(*a)
                     : "memory");
    note(&r, status, 0x400);
}

static void environment(void) {
    struct {
        uint32_t words[7];
    } e;
    uint16_t cw = 0xf7f, status;
    __asm__ volatile("fninit\n fldcw %2\n fld1\n fldz\n fdivrp\n fnstenv %0\n fninit\n fldenv %0\n fnstsw %1\n fninit"
                     : "=m"(e), "=a"(status)
                     : "m"(cw)
                     : "memory");
    printf("environment %x %x, then %x\n", (unsigned)e.words[0], (unsigned)e.words[1] & 0xb8ff, status & 0xb8ff);
}

int main(void) {
    static void (*const unary[])(const number *, uint16_t) = {
        squareroot, round_to_int, power, sine, cosine, against_zero, examine, absolute, negate, exponent,
        fraction, constants, single, twice, short_int, plain_int, long_int, cut_int, digits, saved,
    };
    static void (*const binary[])(const number *, const number *, uint16_t) = {
        sum, difference, reversed, product, quotient, quotient_p, scale, rest, rest_nearest, arc, logarithm, compared,
        compared_quietly, moved, exchanged,
    };
    for (int cw = 0; cw < 12; cw++) {
        uint16_t control = (uint16_t)(0x3f | (cw / 3) << 10 | (cw % 3 == 0 ? 0 : cw % 3 + 1) << 8);
        for (size_t i = 0; i < sizeof unary / sizeof *unary; i++) {
            for (int a = 0; a < COUNT; a++)
                if (unary[i] != power || (numbers[a].sign_exponent & 0x7fff) < 0x3fff) /* undefined beyond 1 */
                    unary[i](&numbers[a], control);
            if (cw == 6)
                printf("unary %d %016llx\n", (int)i, (unsigned long long)hash);
        }
        for (size_t i = 0; i < sizeof binary / sizeof *binary; i++) {
            for (int a = 0; a < COUNT; a++)
                for (int b = 0; b < COUNT; b++)
                    binary[i](&numbers[a], &numbers[b], control);
            if (cw == 6)
                printf("binary %d %016llx\n", (int)i, (unsigned long long)hash);
        }
    }
    for (int a = 0; a < COUNT; a++)
        tangent(&numbers[a]);
    environment();
    printf("%016llx\n", (unsigned long long)hash);
    return 0;
}
