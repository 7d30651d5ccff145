/* Floating point in Advanced SIMD on ARM: every pair of awkward values through every operation, under several values of FPSCR, which
   must make no difference but for the flags that were set; and the same in VFP, where they do. Prints a digest for each. */

#include "arm_digest.h"

typedef unsigned long long u64;

static const u32 values[] = {
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff, 0x00800000, 0x80800001, 0x00ffffff,
    0x3f800000, 0xbf800000, 0x3f800001, 0x3fc00000, 0xc0200000, 0x33800000, 0x34000001, 0x4b7fffff, 0x4effffff,
    0x4f000000, 0xcf000001, 0x4f800000, 0x3effffff, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc12345,
    0xffc00000, 0x7f812345, 0xff800001, 0x5f000000, 0x1f800000,
};
#define COUNT (sizeof values / sizeof *values)

/* Default NaN, flush to zero, rounding upwards, and all of them with rounding to zero. */
static const u32 modes[] = {0, 1u << 25, 1u << 24, 1u << 22, 1u << 25 | 1u << 24 | 3u << 22};

struct state {
    u32 d[4], n[4], m[4], flags;
};

/* Registers are far from those that the compiler uses: it is not told that it may use any. */
#define SIMD(name, text)                                                                                              \
    static void name(struct state *s, u32 fpscr) {                                                                    \
        __asm__ volatile("vmsr fpscr, %1\n"                                                                           \
                         "vldmia %0, {d16-d21}\n" text "\n"                                                           \
                         "vstmia %0, {d16-d17}\n"                                                                     \
                         "vmrs %1, fpscr\n"                                                                           \
                         : "+r"(s), "+r"(fpscr)                                                                       \
                         :                                                                                            \
                         : "d16", "d17", "d18", "d19", "d20", "d21", "memory");                                       \
        s->flags = fpscr;                                                                                             \
    }
SIMD(vadd, "vadd.f32 q8, q9, q10")
SIMD(vsub, "vsub.f32 q8, q9, q10")
SIMD(vmul, "vmul.f32 q8, q9, q10")
SIMD(vmla, "vmla.f32 q8, q9, q10")
SIMD(vmls, "vmls.f32 d16, d18, d20")
SIMD(vfma, "vfma.f32 q8, q9, q10")
SIMD(vfms, "vfms.f32 d16, d18, d20")
SIMD(vmax, "vmax.f32 q8, q9, q10")
SIMD(vmin, "vmin.f32 d16, d18, d20")
SIMD(vceq, "vceq.f32 q8, q9, q10")
SIMD(vcge, "vcge.f32 q8, q9, q10")
SIMD(vcgt, "vcgt.f32 d16, d18, d20")
SIMD(vacge, "vacge.f32 q8, q9, q10")
SIMD(vacgt, "vacgt.f32 q8, q9, q10")
SIMD(vcvt_s, "vcvt.s32.f32 q8, q9")
SIMD(vcvt_u, "vcvt.u32.f32 q8, q9")
SIMD(vcvt_fs, "vcvt.f32.s32 q8, q9")
SIMD(vcvt_fu, "vcvt.f32.u32 d16, d18")

/* The first lane, as VFP has it. */
#define VFP(name, text)                                                                                               \
    static void name(struct state *s, u32 fpscr) {                                                                    \
        __asm__ volatile("vldr s0, [%0]\nvldr s1, [%0, #16]\nvldr s2, [%0, #32]\n"                                    \
                         "vmsr fpscr, %1\n" text "\n"                                                                 \
                         "vstr s0, [%0]\n"                                                                            \
                         "vmrs %1, fpscr\n"                                                                           \
                         : "+r"(s), "+r"(fpscr)                                                                       \
                         :                                                                                            \
                         : "s0", "s1", "s2", "memory");                                                               \
        s->flags = fpscr;                                                                                             \
    }
VFP(scalar_add, "vadd.f32 s0, s1, s2")
VFP(scalar_mul, "vmul.f32 s0, s1, s2")
VFP(scalar_mla, "vmla.f32 s0, s1, s2")
VFP(scalar_fma, "vfma.f32 s0, s1, s2")
/* Both in turn: neither changes what the other does. */
VFP(mixed, "vadd.f32 s0, s1, s2\nvmul.f32 d0, d0, d0\nvadd.f32 s0, s0, s1")

static const struct {
    const char *name;
    void (*run)(struct state *, u32);
} operations[] = {
    {"vadd", vadd},     {"vsub", vsub},     {"vmul", vmul},       {"vmla", vmla},       {"vmls", vmls},
    {"vfma", vfma},     {"vfms", vfms},     {"vmax", vmax},       {"vmin", vmin},       {"vceq", vceq},
    {"vcge", vcge},     {"vcgt", vcgt},     {"vacge", vacge},     {"vacgt", vacgt},     {"vcvt.s32.f32", vcvt_s},
    {"vcvt.u32.f32", vcvt_u}, {"vcvt.f32.s32", vcvt_fs}, {"vcvt.f32.u32", vcvt_fu},
    {"scalar vadd", scalar_add}, {"scalar vmul", scalar_mul}, {"scalar vmla", scalar_mla}, {"scalar vfma", scalar_fma},
    {"mixed", mixed},
};

void run(void) {
    for (unsigned o = 0; o < sizeof operations / sizeof *operations; o++) {
        u32 digest = 2166136261u;
        for (unsigned mode = 0; mode < sizeof modes / sizeof *modes; mode++) {
            for (unsigned i = 0; i < COUNT; i++) {
                for (unsigned j = 0; j < COUNT; j++) {
                    struct state s;
                    for (unsigned lane = 0; lane < 4; lane++) {
                        s.d[lane] = values[(i + 5 * j + lane) % COUNT];
                        s.n[lane] = values[(i + 7 * lane) % COUNT];
                        s.m[lane] = values[(j + 3 * lane) % COUNT];
                    }
                    operations[o].run(&s, modes[mode]);
                    for (unsigned lane = 0; lane < 4; lane++) digest = (digest ^ s.d[lane]) * 16777619u;
                    digest = (digest ^ s.flags) * 16777619u;
                }
            }
        }
        line(operations[o].name, digest);
    }
    call(248, 0, 0, 0);
}

__asm__(".globl _start\n.type _start, %function\n"
#ifdef __thumb__
        ".thumb_func\n"
#endif
        "_start: mov lr, #0\nbl run\n");
