//! Conversions of numbers between formats, half precision among them, and of lanes to unsigned integers: both engines agree on
//! results and flags, in each rounding mode.

mod support;

use ir::Guest;
use jit::Engine;
use support::engines::*;
use support::process::catch_faults;

/// FPCR.RMode, as the translation key has it.
const ROUNDINGS: std::ops::Range<u32> = 0..4;

/// `mrs x13, fpsr; svc`.
const END: [u32; 2] = [0xd53b_442d, 0xd400_0001];

/// Runs the instruction on both engines, which must agree.
fn run_both(guest: &'static Guest, mode: u32, insn: u32, vector: u128) {
    let code: Vec<u8> = [insn, END[0], END[1]].iter().flat_map(|w| w.to_le_bytes()).collect();
    let values = [("vreg[0]", vector)];
    let [expected, found] =
        [Engine::Interp, Engine::T1].map(|engine| run_code(engine, guest, mode, &code, &values, &[0; DATA_LEN]));
    let differ = differences(guest, &expected, &found);
    assert!(differ.is_empty(), "{} of {vector:x}\n{}", disassembly(guest, mode, &code), differ.join("\n"));
}

fn aarch64() -> &'static Guest {
    guests::ALL.by_name("aarch64").unwrap()
}

/// Of each exponent the first, some in between and the last: signalling and quiet NaNs are among them.
fn halves() -> impl Iterator<Item = u16> {
    let fractions = [0, 1, 0x155, 0x1ff, 0x200, 0x201, 0x3ff];
    (0..64).flat_map(move |exponent: u16| fractions.map(|fraction| exponent << 10 | fraction))
}

/// Numbers at and beside those that a half can be, and between two of them; and far from all.
fn near_halves() -> Vec<f64> {
    let value = |h: u16| match (h >> 10 & 31, f64::from(h & 0x3ff)) {
        (0, fraction) => fraction * 2f64.powi(-24),
        (exponent, fraction) => (1024.0 + fraction) * 2f64.powi(i32::from(exponent) - 25),
    };
    let some = |h: &u16| matches!(h >> 10, 0..3 | 15 | 29..32) && matches!(h & 0x3ff, 0 | 0x155 | 0x3ff);
    let at = halves().filter(some).map(value);
    let between = at.flat_map(|x| [x, x * (1.0 - 2f64.powi(-12)), x * (1.0 + 2f64.powi(-11))]);
    let powers = [-1074, -1022, -149, -150, -126, -127, -26, -25, 16, 126, 127, 128, 1023].map(|n| 2f64.powi(n));
    let all = between.chain(powers).chain([f64::INFINITY, f64::NAN, f64::MAX, f64::from(f32::MAX)]);
    all.flat_map(|x| [x, x.next_up(), x.next_down()]).flat_map(|x| [x, -x]).collect()
}

/// What is above a number in its register and must raise nothing.
const ABOVE: u128 = 0x7f80_0001_7ff0_0001;

#[test]
fn halves_become_singles_and_doubles() {
    let _turn = catch_faults(None);
    for h in halves() {
        for insn in [0x1ee2_4001, 0x1ee2_c001] {
            // fcvt s1, d1, h0
            run_both(aarch64(), 0, insn, u128::from(h) | ABOVE << 16);
        }
        let lanes = u128::from(h) << 32 | u128::from(h ^ 0x8001) << 48 | 0x3c00_3800;
        run_both(aarch64(), 0, 0x0e21_7801, lanes); // fcvtl v1.4s, v0.4h
    }
}

#[test]
fn singles_and_doubles_become_narrower() {
    let _turn = catch_faults(None);
    for mode in ROUNDINGS {
        for x in near_halves() {
            let single = u128::from((x as f32).to_bits());
            run_both(aarch64(), mode, 0x1e23_c001, single | ABOVE << 32); // fcvt h1, s0
            run_both(aarch64(), mode, 0x0e21_6801, single << 32 | 0x3f80_0000); // fcvtn v1.4h, v0.4s
            let double = u128::from(x.to_bits());
            for insn in [0x1e63_c001, 0x1e62_4001, 0x7e61_6801] {
                // fcvt h1, s1, d0; fcvtxn s1, d0
                run_both(aarch64(), mode, insn, double | ABOVE << 64);
            }
            run_both(aarch64(), mode, 0x2e61_6801, double << 64 | 0x3ff1 << 48); // fcvtxn v1.2s, v0.2d
        }
    }
}

#[test]
fn lanes_become_unsigned_integers() {
    let _turn = catch_faults(None);
    // fcvtzu, fcvtau, fcvtnu v1.2d; fcvtzu, fcvtpu v1.4s; fcvtzu v1.2s
    let of_doubles = [0x6ee1_b801, 0x6e61_c801, 0x6e61_a801];
    let of_singles = [0x6ea1_b801, 0x6ea1_a801, 0x2ea1_b801];
    let powers = [-1, 0, 1, 31, 32, 62, 63, 64].map(|n| 2f64.powi(n));
    let numbers = powers.iter().flat_map(|p| [*p, 1.5 * p, 1.75 * p, p.next_down(), -p]).chain([0.0, -0.0, f64::NAN]);
    for x in numbers {
        for y in [1.0, 1.5 * 2f64.powi(63)] {
            let doubles = u128::from(x.to_bits()) << 64 | u128::from(y.to_bits());
            of_doubles.iter().for_each(|insn| run_both(aarch64(), 0, *insn, doubles));
            of_doubles.iter().for_each(|insn| run_both(aarch64(), 0, *insn, doubles.rotate_left(64)));
            let singles = u128::from((x as f32).to_bits()) << 32 | u128::from((y as f32).to_bits());
            of_singles.iter().for_each(|insn| run_both(aarch64(), 0, *insn, singles | singles << 64));
        }
    }
}
