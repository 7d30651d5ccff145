//! Operations on NaNs, infinities and numbers beyond integers, for which cold code makes what the host does not: both engines agree on
//! results and flags, of each instruction for itself and of all of them.

mod support;

use ir::Guest;
use support::engines::*;
use support::process::catch_faults;

/// NaNs of both kinds and signs, and numbers at the ends of formats and of integers; with the sign bit clear, and set.
fn doubles() -> Vec<u128> {
    let positive = [
        0,
        1,
        0x000f_ffff_ffff_ffff,
        0x0010_0000_0000_0000,
        0x3fe0_0000_0000_0000,
        0x3ff0_0000_0000_0000,
        0x41df_ffff_ffe0_0000,
        0x41e0_0000_0000_0000,
        0x43d0_0000_0000_0001,
        0x43e0_0000_0000_0000,
        0x43f0_0000_0000_0000,
        0x7fef_ffff_ffff_ffff,
        0x7ff0_0000_0000_0000,
        0x7ff0_0000_0000_0005,
        0x7ff8_0000_0000_0003,
    ];
    let all: Vec<u128> = positive.into_iter().flat_map(|n: u128| [n, n | 1 << 63]).collect();
    beside_another(&all, 64)
}

fn singles() -> Vec<u128> {
    let positive = [
        0,
        1,
        0x007f_ffff,
        0x0080_0000,
        0x3f00_0000,
        0x3f80_0000,
        0x4eff_ffff,
        0x4f00_0000,
        0x5f00_0000,
        0x7f7f_ffff,
        0x7f80_0000,
        0x7f80_0007,
        0x7fc0_0009,
    ];
    let all: Vec<u128> = positive.into_iter().flat_map(|n: u128| [n, n | 1 << 31]).collect();
    beside_another(&all, 32)
}

/// Vectors of each number and its predecessor, in turns.
fn beside_another(all: &[u128], lane: u32) -> Vec<u128> {
    let pair = |k: usize| all[k] | all[(k + all.len() - 1) % all.len()] << lane;
    (0..all.len()).map(|k| if lane == 64 { pair(k) } else { pair(k) << 64 | pair((k + 5) % all.len()) }).collect()
}

/// Runs the code on both engines with each pair of vectors in two registers, or in two pairs of them.
fn compare(guest: &'static Guest, mode: u32, code: &[u32], names: [&[&str]; 2], exact: bool) {
    let code = code.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mut both = Both::new(guest, mode, code, exact);
    for values in [doubles(), singles()] {
        for (a, b) in values.iter().flat_map(|a| values.iter().map(move |b| (*a, *b))) {
            let mut set = Vec::new();
            for (names, v) in names.into_iter().zip([a, b]) {
                for (k, name) in names.iter().enumerate() {
                    set.push((*name, if names.len() == 1 { v } else { v >> (64 * k) & u128::from(u64::MAX) }));
                }
            }
            both.agree(&set);
        }
    }
}

/// All of `code` in each mode, and each for itself in the first two.
fn compare_all(guest: &'static Guest, modes: &[u32], code: &[u32], end: u32, names: [&[&str]; 2]) {
    let _turn = catch_faults(None);
    for &mode in modes.iter().take(2) {
        code.iter().for_each(|word| compare(guest, mode, &[*word, end], names, true));
    }
    let code: Vec<u32> = code.iter().copied().chain([end]).collect();
    for (&mode, exact) in modes.iter().flat_map(|mode| [(mode, false), (mode, true)]) {
        compare(guest, mode, &code, names, exact);
    }
}

/// FPCR: nothing, DN, FZ, both, and each other rounding.
const CONTROLS: [u128; 7] = [0, 8, 4, 12, 1, 2, 3];

#[test]
fn a64_makes_of_not_numbers_what_the_definition_does() {
    // fdiv v2.2s, v0, v1; fmax, fmaxnm, fmin, fminnm d2, s2, v2.2d, v2.4s, v2.2s of 0 and 1; fmadd, fmsub, fnmadd, fnmsub d2, d0, d1, d0;
    // fmadd s2, s0, s1, s0; fmla, fmls v2.2s, v2.2d; frintm v2.4s, v2.2d, frintx v2.2s, frinta v2.4s; fcvtzs v2.4s, v2.2s, v2.2d;
    // fcvtms v2.4s, v2.2d, fcvtas v2.2d, fcvtzu v2.4s; fcvtas, fcvtms, fcvtps w2 and x2 of d0 and s0; fcvt s2, d0; fcvt d2, s0
    let code = [
        0x2e21_fc02,
        0x1e61_4802,
        0x1e61_6802,
        0x1e61_5802,
        0x1e61_7802,
        0x1e21_4802,
        0x1e21_6802,
        0x1e21_5802,
        0x1e21_7802,
        0x4e61_f402,
        0x4e61_c402,
        0x4ee1_f402,
        0x4ee1_c402,
        0x4e21_f402,
        0x4e21_c402,
        0x4ea1_f402,
        0x4ea1_c402,
        0x0e21_f402,
        0x0e21_c402,
        0x0ea1_f402,
        0x0ea1_c402,
        0x1f41_0002,
        0x1f41_8002,
        0x1f61_0002,
        0x1f61_8002,
        0x1f01_0002,
        0x1f01_8002,
        0x0e21_cc02,
        0x0ea1_cc02,
        0x4e61_cc02,
        0x4e21_9802,
        0x4e61_9802,
        0x2e21_9802,
        0x6e21_8802,
        0x4ea1_b802,
        0x0ea1_b802,
        0x4ee1_b802,
        0x4e21_b802,
        0x4e61_b802,
        0x4e61_c802,
        0x6ea1_b802,
        0x1e64_0002,
        0x9e64_0002,
        0x1e24_0002,
        0x9e24_0002,
        0x1e70_0002,
        0x9e70_0002,
        0x1e30_0002,
        0x9e30_0002,
        0x9e68_0002,
        0x1e28_0002,
        0x1e62_4002,
        0x1e22_c002,
    ];
    let modes = CONTROLS.map(|control| mode_with(aarch64(), &[("fpcr", control)]));
    compare_all(aarch64(), &modes, &code, 0xd400_0001, [&["vreg[0]"], &["vreg[1]"]]);
}

#[test]
fn advanced_simd_of_arm_makes_of_not_numbers_what_the_definition_does() {
    let guest = guests::ALL.by_name("arm").unwrap();
    // vmax, vmin.f32 q2, q0, q1 and d4, d0, d2; vpmax d4; vrecpe, vrsqrte d4, d0; vcvt.s32, u32.f32 q2, q0; vcvt.s32.f32 d4, d0;
    // vmla, vmls, vfma q2
    let code = [
        0xf200_4f42,
        0xf220_4f42,
        0xf200_4f02,
        0xf220_4f02,
        0xf300_4f02,
        0xf3bb_4500,
        0xf3bb_4580,
        0xf3bb_4740,
        0xf3bb_47c0,
        0xf3bb_4700,
        0xf200_4d52,
        0xf220_4d52,
        0xf200_4c52,
    ];
    let modes = CONTROLS.map(|control| mode_with(guest, &[("fpscr", control)]));
    compare_all(guest, &modes, &code, 0xef00_0000, [&["vfp[0]", "vfp[1]"], &["vfp[2]", "vfp[3]"]]);
}
