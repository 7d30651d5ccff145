/* The intrinsics of arm_neon.h, instruction by instruction, on random vectors: prints a digest of the results of each family. */

#include <arm_neon.h>

#include "arm_digest.h"

typedef unsigned char u8;

static u32 state = 12345, digest;
static u8 a[64] __attribute__((aligned(16))), b[64] __attribute__((aligned(16))), c[64] __attribute__((aligned(16))), out[64];

static u32 next(void) {
    state = state * 1664525 + 1013904223;
    return state >> 3 ^ state << 7;
}

static void mix(const volatile void *p, int n) {
    for (int i = 0; i < n; i++) digest = (digest ^ ((const volatile u8 *)p)[i]) * 16777619;
}

/* Any bits, or for numbers those of some size. */
static void fill(int numbers) {
    for (int i = 0; i < 64; i++) {
        a[i] = next();
        b[i] = next();
        c[i] = next();
    }
    for (int i = 0; i < 16 && numbers; i++) {
        ((volatile float *)a)[i] = ((int)(next() % 20001) - 10000) / 77.f;
        ((volatile float *)b)[i] = ((int)(next() % 20001) - 10000) / 99.f;
        ((volatile float *)c)[i] = (next() % 1000) / 7.f;
    }
}

#define FAMILY(name, numbers, ...)             \
    static void name(void) {                   \
        digest = 2166136261u;                  \
        for (int turn = 0; turn < 50; turn++) { \
            fill(numbers);                     \
            __VA_ARGS__                        \
        }                                      \
        line(#name, digest);                   \
    }
#define Q(type, from) vld1q_##type((void *)(from))
#define D(type, from) vld1_##type((void *)(from))
#define NOTE(value)                  \
    {                                \
        __typeof__(value) v = value; \
        mix(&v, sizeof v);           \
    }
/* Operations of one, two and three operands: of Q and D registers, and from D to Q. */
#define ONE(op, type) NOTE(op##q_##type(Q(type, a))) NOTE(op##_##type(D(type, a)))
#define TWO(op, type) NOTE(op##q_##type(Q(type, a), Q(type, b))) NOTE(op##_##type(D(type, a), D(type, b)))
#define LONG(op, type) NOTE(op##_##type(D(type, a), D(type, b)))
#define WIDE(op, type, wide) NOTE(op##_##type(Q(wide, c), D(type, b)))
#define ADDS(op, type, wide) NOTE(op##_##type(Q(wide, c), D(type, a), D(type, b)))
#define NARROW(op, type) NOTE(op##_##type(Q(type, a)))
#define SHIFT(op, type, by) NOTE(op##q_##type(Q(type, a), Q(by, b))) NOTE(op##_##type(D(type, a), D(by, b)))
#define SIX(how, op) how(op, s8) how(op, u8) how(op, s16) how(op, u16) how(op, s32) how(op, u32)
#define EIGHT(how, op) SIX(how, op) how(op, s64) how(op, u64)
#define SHIFTS(op)                                                                                          \
    SHIFT(op, s8, s8) SHIFT(op, u8, s8) SHIFT(op, s16, s16) SHIFT(op, u16, s16) SHIFT(op, s32, s32) \
        SHIFT(op, u32, s32) SHIFT(op, s64, s64) SHIFT(op, u64, s64)

FAMILY(sums, 0, EIGHT(TWO, vadd) EIGHT(TWO, vsub) EIGHT(TWO, vqadd) EIGHT(TWO, vqsub) SIX(TWO, vhadd) SIX(TWO, vrhadd) SIX(TWO, vhsub))
FAMILY(orders, 0, SIX(TWO, vmax) SIX(TWO, vmin) SIX(TWO, vabd) SIX(TWO, vceq) SIX(TWO, vcge) SIX(TWO, vcgt) SIX(TWO, vtst))
FAMILY(logic, 0, EIGHT(TWO, vand) EIGHT(TWO, vorr) EIGHT(TWO, veor) EIGHT(TWO, vbic) EIGHT(TWO, vorn)
       NOTE(vbslq_u8(Q(u8, a), Q(u8, b), Q(u8, c))))
FAMILY(shifts, 0, SHIFTS(vshl) SHIFTS(vqshl) SHIFTS(vrshl) SHIFTS(vqrshl))
FAMILY(longer, 0, SIX(LONG, vaddl) SIX(LONG, vsubl) SIX(LONG, vabdl) SIX(LONG, vmull) LONG(vmull, p8) LONG(vqdmull, s16) LONG(vqdmull, s32)
       WIDE(vaddw, s8, s16) WIDE(vaddw, u32, u64) WIDE(vsubw, u16, u32))
FAMILY(pairs, 0, SIX(LONG, vpadd) SIX(LONG, vpmax) SIX(LONG, vpmin) SIX(ONE, vpaddl)
       NOTE(vpadalq_s8(Q(s16, c), Q(s8, a))) NOTE(vpadal_u32(D(u64, c), D(u32, a))))
FAMILY(products, 0, SIX(TWO, vmul) TWO(vmul, p8) TWO(vqdmulh, s16) TWO(vqdmulh, s32) TWO(vqrdmulh, s16) TWO(vqrdmulh, s32)
       NOTE(vmlaq_s16(Q(s16, a), Q(s16, b), Q(s16, c))) NOTE(vmls_u32(D(u32, a), D(u32, b), D(u32, c))) NOTE(vabaq_u8(Q(u8, a), Q(u8, b), Q(u8, c)))
       ADDS(vmlal, s8, s16) ADDS(vmlal, u16, u32) ADDS(vmlal, s32, s64) ADDS(vmlsl, s8, s16) ADDS(vmlsl, u32, u64)
       ADDS(vabal, u8, u16) ADDS(vabal, s16, s32) ADDS(vqdmlal, s16, s32) ADDS(vqdmlsl, s32, s64))
FAMILY(scalars, 0, NOTE(vmlaq_lane_s16(Q(s16, a), Q(s16, b), D(s16, c), 2)) NOTE(vmls_lane_u32(D(u32, a), D(u32, b), D(u32, c), 1))
       NOTE(vmulq_lane_s32(Q(s32, a), D(s32, c), 0)) NOTE(vmull_lane_s16(D(s16, a), D(s16, b), 3))
       NOTE(vmlal_lane_u32(Q(u64, a), D(u32, b), D(u32, c), 1)) NOTE(vqdmulhq_lane_s16(Q(s16, a), D(s16, b), 1))
       NOTE(vqrdmulh_lane_s32(D(s32, a), D(s32, b), 1)) NOTE(vqdmlal_lane_s16(Q(s32, a), D(s16, b), D(s16, c), 0))
       NOTE(vdupq_lane_u8(D(u8, a), 5)) NOTE(vdup_lane_u16(D(u16, a), 3)))
FAMILY(unary, 0, ONE(vabs, s8) ONE(vabs, s32) ONE(vneg, s16) ONE(vqabs, s8) ONE(vqneg, s16) ONE(vcls, s8) ONE(vcls, s32) ONE(vclz, u8)
       ONE(vclz, u16) ONE(vcnt, u8) ONE(vmvn, u8) ONE(vrev64, u8) ONE(vrev64, u32) ONE(vrev32, u16) ONE(vrev16, u8) ONE(vrecpe, u32)
       ONE(vrsqrte, u32))
FAMILY(narrows, 0, NARROW(vmovn, s16) NARROW(vmovn, u64) NARROW(vqmovn, s16) NARROW(vqmovn, u32) NARROW(vqmovn, s64) NARROW(vqmovun, s16)
       NARROW(vqmovun, s32) NOTE(vaddhn_s16(Q(s16, a), Q(s16, b))) NOTE(vraddhn_u32(Q(u32, a), Q(u32, b)))
       NOTE(vsubhn_s64(Q(s64, a), Q(s64, b))) NOTE(vrsubhn_u16(Q(u16, a), Q(u16, b))))
FAMILY(constants, 0, NOTE(vshrq_n_s8(Q(s8, a), 3)) NOTE(vshrq_n_u16(Q(u16, a), 16)) NOTE(vrshrq_n_s32(Q(s32, a), 5))
       NOTE(vsraq_n_u64(Q(u64, a), Q(u64, b), 33)) NOTE(vrsraq_n_s16(Q(s16, a), Q(s16, b), 7)) NOTE(vshlq_n_u8(Q(u8, a), 5))
       NOTE(vqshlq_n_s16(Q(s16, a), 2)) NOTE(vqshlq_n_u32(Q(u32, a), 9)) NOTE(vqshluq_n_s8(Q(s8, a), 1))
       NOTE(vsliq_n_u16(Q(u16, a), Q(u16, b), 6)) NOTE(vsriq_n_u32(Q(u32, a), Q(u32, b), 11)) NOTE(vshll_n_s8(D(s8, a), 3))
       NOTE(vshll_n_u16(D(u16, a), 16)) NOTE(vmovl_s8(D(s8, a))) NOTE(vmovl_u32(D(u32, a))) NOTE(vshrn_n_s16(Q(s16, a), 4))
       NOTE(vrshrn_n_u32(Q(u32, a), 9)) NOTE(vqshrn_n_s16(Q(s16, a), 3)) NOTE(vqrshrn_n_u64(Q(u64, a), 20))
       NOTE(vqshrun_n_s32(Q(s32, a), 7)) NOTE(vqrshrun_n_s16(Q(s16, a), 8)))
FAMILY(permutations, 0, NOTE(vextq_u8(Q(u8, a), Q(u8, b), 5)) NOTE(vext_u16(D(u16, a), D(u16, b), 3))
       NOTE(vzipq_u8(Q(u8, a), Q(u8, b))) NOTE(vuzpq_u16(Q(u16, a), Q(u16, b))) NOTE(vtrnq_u32(Q(u32, a), Q(u32, b)))
       NOTE(vzip_u8(D(u8, a), D(u8, b))) NOTE(vuzp_s8(D(s8, a), D(s8, b))) NOTE(vtrn_u16(D(u16, a), D(u16, b))))
FAMILY(tables, 0, const uint8x8_t index = vand_u8(D(u8, b), vdup_n_u8(0x3f)); const uint8x8x2_t two = {{D(u8, a), D(u8, a + 8)}};
       const uint8x8x3_t three = {{D(u8, a), D(u8, a + 8), D(u8, c)}};
       const uint8x8x4_t four = {{D(u8, a), D(u8, a + 8), D(u8, c), D(u8, c + 8)}}; NOTE(vtbl1_u8(D(u8, a), index)) NOTE(vtbl2_u8(two, index))
       NOTE(vtbx3_u8(D(u8, c), three, index)) NOTE(vtbl4_u8(four, index)) NOTE(vtbx4_u8(D(u8, a), four, index)))

#define STRUCTURES(n, type, vector)                     \
    {                                                   \
        vector q = vld##n##q_##type((void *)a);         \
        NOTE(q)                                         \
        q.val[0] = q.val[n - 1];                        \
        vst##n##q_##type((void *)out, q);               \
        mix(out, sizeof out);                           \
    }
#define LANES(n, type, vector)                          \
    {                                                   \
        vector d = vld##n##_##type((void *)a);          \
        NOTE(d)                                         \
        d.val[0] = d.val[n - 1];                        \
        vst##n##_##type((void *)out, d);                \
        d = vld##n##_lane_##type((void *)b, d, 1);      \
        NOTE(d)                                         \
        vst##n##_lane_##type((void *)(out + 32), d, 1); \
        d = vld##n##_dup_##type((void *)c);             \
        NOTE(d)                                         \
        mix(out, sizeof out);                           \
    }
FAMILY(structures, 0, STRUCTURES(2, u8, uint8x16x2_t) STRUCTURES(2, u16, uint16x8x2_t) STRUCTURES(2, u32, uint32x4x2_t)
       STRUCTURES(3, u8, uint8x16x3_t) STRUCTURES(3, u16, uint16x8x3_t) STRUCTURES(3, u32, uint32x4x3_t) STRUCTURES(4, u8, uint8x16x4_t)
       STRUCTURES(4, u16, uint16x8x4_t) STRUCTURES(4, u32, uint32x4x4_t))
FAMILY(elements, 0, LANES(2, u8, uint8x8x2_t) LANES(2, u16, uint16x4x2_t) LANES(2, u32, uint32x2x2_t) LANES(3, u8, uint8x8x3_t)
       LANES(3, u16, uint16x4x3_t) LANES(3, u32, uint32x2x3_t) LANES(4, u8, uint8x8x4_t) LANES(4, u16, uint16x4x4_t)
       LANES(4, u32, uint32x2x4_t) NOTE(vld1q_lane_u8(b + 3, Q(u8, a), 11)) NOTE(vld1_dup_u16((void *)b))
       NOTE(vld1q_lane_u32((void *)c, Q(u32, a), 2)) vst1q_lane_u16((void *)out, Q(u16, a), 5); mix(out, sizeof out);)

#define FLOATS                                                                                                                  \
    TWO(vadd, f32) TWO(vsub, f32) TWO(vmul, f32) TWO(vabd, f32) TWO(vmax, f32) TWO(vmin, f32) TWO(vceq, f32) TWO(vcge, f32)     \
    TWO(vcgt, f32) TWO(vcale, f32) TWO(vcalt, f32) TWO(vrecps, f32) TWO(vrsqrts, f32) ONE(vabs, f32) ONE(vneg, f32)             \
    ONE(vrecpe, f32) ONE(vrsqrte, f32) LONG(vpadd, f32) LONG(vpmax, f32) LONG(vpmin, f32)                                       \
    NOTE(vmlaq_f32(Q(f32, a), Q(f32, b), Q(f32, c))) NOTE(vmlsq_lane_f32(Q(f32, a), Q(f32, b), D(f32, c), 1))                   \
    NOTE(vmulq_n_f32(Q(f32, a), 3.5f)) NOTE(vfmaq_f32(Q(f32, a), Q(f32, b), Q(f32, c)))                                         \
    NOTE(vfmsq_f32(Q(f32, a), Q(f32, b), Q(f32, c))) NOTE(vcltq_f32(Q(f32, a), vdupq_n_f32(0)))                                 \
    NOTE(vcvtq_s32_f32(Q(f32, a))) NOTE(vcvtq_u32_f32(Q(f32, c))) NOTE(vcvtq_n_s32_f32(Q(f32, a), 7))                           \
    NOTE(vcvtq_n_u32_f32(Q(f32, c), 31)) NOTE(vcvtq_f32_s32(Q(s32, a))) NOTE(vcvtq_n_f32_u32(Q(u32, a), 32))                    \
    NOTE(vcvt_f16_f32(Q(f32, a))) NOTE(vcvt_f32_f16(vcvt_f16_f32(Q(f32, b))))
FAMILY(numbers, 1, FLOATS)
FAMILY(any_floats, 0, FLOATS)
FAMILY(immediates, 0, NOTE(vdupq_n_u8(0xab)) NOTE(vdupq_n_u16(0x5500)) NOTE(vdupq_n_u32(0xffff00ff)) NOTE(vdupq_n_u32(0x12ffff))
       NOTE(vdupq_n_f32(-1.5f)) NOTE(vdupq_n_u64(0xff00ff0000ff00ff)) NOTE(vorrq_u32(Q(u32, a), vdupq_n_u32(0x7f00)))
       NOTE(vbicq_u16(Q(u16, a), vdupq_n_u16(0xf))))

void _start(void) {
    sums();
    orders();
    logic();
    shifts();
    longer();
    pairs();
    products();
    scalars();
    unary();
    narrows();
    constants();
    permutations();
    tables();
    structures();
    elements();
    numbers();
    any_floats();
    immediates();
    call(1, 0, 0, 0);
}
