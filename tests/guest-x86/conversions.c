/* Conversions between the registers of MMX and SSE, under every rounding, and the estimates of SSE, whose error is bounded. */
#pragma GCC target("sse2")
#include <emmintrin.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

typedef union { __m64 vector; int32_t lanes[2]; } Integers;
typedef union { __m128 vector; float lanes[4]; uint32_t bits[4]; } Singles;
typedef union { __m128d vector; uint64_t bits[2]; } Doubles;

static const float singles[] = {1.5f, -2.5f, 3e9f, 0.3f, -0.0f, 1e-40f, -2147483648.0f, 16777217.0f, INFINITY, NAN};
static const double doubles[] = {2.5, -1e10, 0.7, -0.5, 2147483647.5, 1e-310, NAN, -INFINITY};
static const int32_t integers[] = {7, -123456789, 16777217, INT32_MIN, 0, INT32_MAX};

#define COUNT(list) (int)(sizeof(list) / sizeof *(list))

static void show(Integers n) { printf("%d %d ", n.lanes[0], n.lanes[1]); }

static void conversions(void) {
    for (int i = 0; i + 1 < COUNT(singles); i++) {
        Singles x = {.lanes = {singles[i], singles[i + 1]}};
        Integers rounded = {_mm_cvtps_pi32(x.vector)}, cut = {_mm_cvttps_pi32(x.vector)};
        _mm_empty();
        show(rounded), show(cut);
    }
    for (int i = 0; i + 1 < COUNT(doubles); i++) {
        __m128d x = _mm_setr_pd(doubles[i], doubles[i + 1]);
        Integers rounded = {_mm_cvtpd_pi32(x)}, cut = {_mm_cvttpd_pi32(x)};
        _mm_empty();
        show(rounded), show(cut);
    }
    for (int i = 0; i + 1 < COUNT(integers); i++) {
        Integers n = {.lanes = {integers[i], integers[i + 1]}};
        Singles x = {_mm_cvtpi32_ps(_mm_set1_ps(3), n.vector)};
        Doubles y = {_mm_cvtpi32_pd(n.vector)};
        _mm_empty();
        printf("%x %x %x %llx %llx ", x.bits[0], x.bits[1], x.bits[3], (long long)y.bits[0], (long long)y.bits[1]);
    }
    printf("flags %x\n", _mm_getcsr() & 0x3d);
}

static int close(float estimate, double value) { return fabs(estimate / value - 1) <= 1.5 / 4096; }

/* Of numbers whose reciprocals and roots are normal. */
static void estimates(void) {
    int far = 0;
    for (int exponent = -125; exponent < 125; exponent++) {
        for (int i = 0; i < 16; i++) {
            float number = ldexpf(1 + i / 16.0f, exponent);
            Singles reciprocal = {_mm_rcp_ps(_mm_set1_ps(-number))}, root = {_mm_rsqrt_ps(_mm_set1_ps(number))};
            for (int lane = 0; lane < 4; lane++) {
                far += !close(reciprocal.lanes[lane], -1.0 / number) + !close(root.lanes[lane], 1 / sqrt(number));
            }
        }
    }
    printf("far %d\n", far);
}

/* Of what is special, and what stays of the destination. */
static void special_estimates(void) {
    uint32_t special[] = {0, 0x80000000, 1, 0x80000001, 0x7f800000, 0xff800000, 0x7fc01234, 0x7f801234, 0xff812345, 0x7f7fffff};
    for (int i = 0; i < COUNT(special); i++) {
        Singles x = {.bits = {special[i]}}, keep = {.bits = {5, 6, 7, 8}};
        Singles reciprocal = {_mm_move_ss(keep.vector, _mm_rcp_ss(x.vector))};
        Singles root = {_mm_move_ss(keep.vector, _mm_rsqrt_ss(x.vector))};
        printf("%x %x %x ", reciprocal.bits[0], special[i] == 0x7f7fffff ? 0 : root.bits[0], root.bits[3]);
    }
    printf("flags %x\n", _mm_getcsr() & 0x3d);
}

int main(void) {
    for (unsigned rounding = 0; rounding < 4; rounding++) {
        _mm_setcsr(0x1f80 | rounding << 13);
        conversions();
    }
    _mm_setcsr(0x1f80);
    estimates();
    _mm_setcsr(0x1f80);
    special_estimates();
    return 0;
}
