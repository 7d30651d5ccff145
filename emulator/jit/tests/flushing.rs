//! Arithmetic while subnormal numbers are flushed to zero, as programs have it that were compiled for fast rather than strict
//! arithmetic: both engines agree on results, and for x86 guests on flags.

mod support;

use ir::Guest;
use support::engines::*;
use support::process::catch_faults;

/// Numbers about the smallest normal one and its neighbours, products that round to it, and others.
fn numbers() -> Vec<u64> {
    let small = [
        0,
        1,
        0x0007_ffff_ffff_ffff,
        0x000f_ffff_ffff_ffff,
        0x0010_0000_0000_0000,
        0x0010_0000_0000_0001,
        0x0020_0000_0000_0000,
        0x2000_0000_0000_0000,
        0x1ff0_0000_0000_0001,
        0x380f_ffff_ffff_ffff,
        0x3810_0000_0000_0000,
        0x3fdf_ffff_ffff_ffff,
        0x3fe0_0000_0000_0000,
        0x3fef_ffff_ffff_fffe,
        0x3ff0_0000_0000_0000,
        0x4340_0000_0000_0000,
        0x7ff0_0000_0000_0000,
        0x7ff8_0000_0000_0003,
        0x7ff0_0000_0000_0005,
    ];
    small.into_iter().flat_map(|n| [n, n | 1 << 63]).collect()
}

/// The same kinds of single-precision numbers, two of them.
fn singles() -> Vec<u64> {
    let small = [
        0,
        1,
        0x007f_ffff,
        0x0080_0000,
        0x0080_0001,
        0x0d7f_ffff,
        0x0d80_0000,
        0x0d80_0001,
        0x2000_0000,
        0x3eff_ffff,
        0x3f7f_fffe,
        0x3f80_0000,
        0x7f80_0000,
        0x7f80_0007,
        0x7fc0_0007,
    ];
    small.into_iter().flat_map(|n: u64| [n, n | 1 << 31]).flat_map(|n| [n | n << 32, n | 0x3f7f_ffff << 32]).collect()
}

/// Runs the code on both engines with each pair of numbers in two registers.
fn compare(guest: &'static Guest, mode: u32, code: &[u8], slots: [&str; 2], exact: bool) {
    let mut both = Both::new(guest, mode, code.to_vec(), exact);
    for values in [numbers(), singles()] {
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))) {
            let twice = |n: u64| u128::from(n) << 64 | u128::from(n);
            both.agree(&[(slots[0], twice(a)), (slots[1], twice(b))]);
        }
    }
}

/// `svc #0` of A64.
const SVC: u32 = 0xd400_0001;

#[test]
fn arm_flushes_by_the_result_before_it_is_rounded() {
    let _turn = catch_faults(None);
    // fadd d2, d0, d1; fsub d3; fmul d4; fdiv d5; fsqrt d6, d0; fmadd d7, d0, d1, d4; fmsub d16, d1, d0, d3; fcvt s17, d0; fcvt d18, s1;
    // fcmp d0, d1; fcvtzs x2, d0; fcvtpu x3, d1; frintp d19, d0; fmax d20, d0, d1; fminnm d21, d1, d0; fadd v22.2d, v0, v1;
    // fmul v23.4s; fmla v24.2d; fcmgt v25.2d; fcvtzu v26.4s, v0; fmul s27, s0, s1; fadd s28; svc
    let code = [
        0x1e61_2802,
        0x1e61_3803,
        0x1e61_0804,
        0x1e61_1805,
        0x1e61_c006,
        0x1f41_1007,
        0x1f40_8c30,
        0x1e62_4011,
        0x1e22_c032,
        0x1e61_2000,
        0x9e78_0002,
        0x9e69_0023,
        0x1e64_c013,
        0x1e61_4814,
        0x1e60_7835,
        0x4e61_d416,
        0x6e21_dc17,
        0x4e61_cc18,
        0x6ee1_e419,
        0x6ea1_b81a,
        0x1e21_081b,
        0x1e21_281c,
        SVC,
    ];
    // Alone, none hides that another raised too much.
    for instruction in &code[..code.len() - 1] {
        let alone = [*instruction, SVC].map(u32::to_le_bytes).concat();
        for mode in [4, 13] {
            compare(aarch64(), mode, &alone, ["vreg[0]", "vreg[1]"], true);
        }
    }
    let code = code.map(u32::to_le_bytes).concat();
    // FPCR.FZ with each rounding, without and with FPCR.DN; flags are looked at, or not.
    for mode in (4..8).chain(12..16) {
        compare(aarch64(), mode, &code, ["vreg[0]", "vreg[1]"], false);
        compare(aarch64(), mode, &code, ["vreg[0]", "vreg[1]"], true);
    }
}

/// Advanced SIMD flushes beside an environment that need not, with other NaNs.
#[test]
fn arm_flushes_lanes_whatever_its_control_register_says() {
    let _turn = catch_faults(None);
    // vadd.f32 d2, d0, d1; vsub d3; vmul d4; vmov q3, q0; vmla d6, d0, d1; vmls d7, d1, d0; vext.8 q8, q0, q0, #8; vadd.f32 q9, q0, q8;
    // vmul q10; vmov q11, q0; vfma q11, q0, q8; vmov q12, q8; vfms q12, q10, q8; vmax q13, q0, q8; vmin q14; vcge q15; vceq d8, d0, d1;
    // vcvt.s32.f32 q9, q9; vcvt.f32.u32 q10, q10; vpadd.f32 d5, d0, d1; svc
    let code = [
        0xf200_2d01,
        0xf220_3d01,
        0xf300_4d11,
        0xf220_6150,
        0xf200_6d11,
        0xf221_7d10,
        0xf2f0_0840,
        0xf240_2d60,
        0xf340_4d70,
        0xf260_6150,
        0xf240_6c70,
        0xf260_81f0,
        0xf264_8cf0,
        0xf240_af60,
        0xf260_cf60,
        0xf340_ee60,
        0xf200_8e01,
        0xf3fb_2762,
        0xf3fb_46e4,
        0xf300_5d01,
        0xef00_0000u32,
    ];
    let code = code.map(u32::to_le_bytes).concat();
    let guest = guests::ALL.by_name("arm").unwrap();
    // FPSCR without anything, with RMode, FZ, DN, and FZ and DN.
    for control in [0, 1, 4, 8, 12] {
        let mode = mode_with(guest, &[("fpscr", control)]);
        compare(guest, mode, &code, ["vfp[0]", "vfp[1]"], false);
        compare(guest, mode, &code, ["vfp[0]", "vfp[1]"], true);
    }
}

#[test]
fn mips_flushes_by_the_result_after_it_is_rounded() {
    let _turn = catch_faults(None);
    // add.d $f2, $f0, $f1; sub.d $f3; mul.d $f4; div.d $f5; sqrt.d $f6, $f0; madd.d $f7, $f4, $f0, $f1; msub.d $f8, $f3, $f1, $f0;
    // cvt.s.d $f9, $f0; cvt.d.s $f10, $f1; c.lt.d $f0, $f1; trunc.l.d $f11, $f0; ceil.w.d $f12, $f1; cvt.w.d $f13, $f0;
    // mul.s $f14, $f0, $f1; add.s $f15; div.s $f16; cvt.l.s $f17, $f1; c.ule.s $fcc1, $f1, $f0; syscall
    let code = [
        0x4621_0080,
        0x4621_00c1,
        0x4621_0102,
        0x4621_0143,
        0x4620_0184,
        0x4c81_01e1,
        0x4c60_0a29,
        0x4620_0260,
        0x4600_0aa1,
        0x4621_003c,
        0x4620_02c9,
        0x4620_0b0e,
        0x4620_0364,
        0x4601_0382,
        0x4601_03c0,
        0x4601_0403,
        0x4600_0c65,
        0x4600_093f,
        0x0000_000cu32,
    ];
    let code = code.map(u32::to_le_bytes).concat();
    let guest = guests::ALL.by_name("mips64el").unwrap();
    for round in 0..4 {
        let mode = mode_with(guest, &[("fcsr_fs", 1), ("fcsr_rm", round)]);
        compare(guest, mode, &code, ["fpr[0]", "fpr[1]"], true);
    }
}

#[test]
fn x86_flushes_by_the_result_after_it_is_rounded() {
    let _turn = catch_faults(None);
    // addsd %xmm1, %xmm0; mulsd %xmm1, %xmm0; movaps %xmm0, %xmm2; divsd %xmm1, %xmm2; sqrtsd %xmm1, %xmm3; movaps %xmm1, %xmm4;
    // maxsd %xmm0, %xmm4; minps %xmm1, %xmm5; cvtsd2ss %xmm1, %xmm6; cvtss2sd %xmm1, %xmm7; subpd %xmm1, %xmm8; mulps %xmm1, %xmm9;
    // cvttsd2si %xmm1, %rax; cmpltpd %xmm1, %xmm10; cvtps2pd %xmm1, %xmm11; cvtpd2ps %xmm1, %xmm12; ucomisd %xmm1, %xmm0; setb %cl;
    // syscall
    let code = [
        0xf2, 0x0f, 0x58, 0xc1, 0xf2, 0x0f, 0x59, 0xc1, 0x0f, 0x28, 0xd0, 0xf2, 0x0f, 0x5e, 0xd1, 0xf2, 0x0f, 0x51,
        0xd9, 0x0f, 0x28, 0xe1, 0xf2, 0x0f, 0x5f, 0xe0, 0x0f, 0x5d, 0xe9, 0xf2, 0x0f, 0x5a, 0xf1, 0xf3, 0x0f, 0x5a,
        0xf9, 0x66, 0x44, 0x0f, 0x5c, 0xc1, 0x44, 0x0f, 0x59, 0xc9, 0xf2, 0x48, 0x0f, 0x2c, 0xc1, 0x66, 0x44, 0x0f,
        0xc2, 0xd1, 0x01, 0x44, 0x0f, 0x5a, 0xd9, 0x66, 0x44, 0x0f, 0x5a, 0xe1, 0x66, 0x0f, 0x2e, 0xc1, 0x0f, 0x92,
        0xc1, 0x0f, 0x05,
    ];
    let guest = guests::ALL.by_name("x86_64").unwrap();
    // DAZ, FTZ and both, each with two roundings.
    let controls = [(1, 0), (0, 1), (1, 1)].into_iter().flat_map(|flush| [(flush, 0), (flush, 2)]);
    for ((inputs, results), round) in controls {
        let mode = mode_with(guest, &[("DAZ", inputs), ("FZ", results), ("RC", round)]);
        compare(guest, mode, &code, ["xmm[0]", "xmm[1]"], true);
    }
}
