//! The host's floating-point unit as judge: every operation it has, in every rounding mode, bits and flags.
//! Its policy is x86's; what the other policies change is checked case by case below.

use super::*;
use crate::guest::{FpMode, FpPolicy, NanRule, NanToInt, ProductNan, Tininess};
use crate::inst::{FCmp, MinMax, Round};

const X86: FpPolicy = FpPolicy {
    nan: NanRule::FirstOperand,
    default_nan_negative: true,
    product_nan: ProductNan::Quiet,
    tininess: Tininess::After,
    nan_to_int: NanToInt::Indefinite,
};
const ARM: FpPolicy = FpPolicy {
    nan: NanRule::SignallingFirst,
    default_nan_negative: false,
    product_nan: ProductNan::Invalid,
    tininess: Tininess::Before,
    nan_to_int: NanToInt::Zero,
};
const RISCV: FpPolicy = FpPolicy {
    nan: NanRule::Canonical,
    default_nan_negative: false,
    product_nan: ProductNan::Invalid,
    tininess: Tininess::After,
    nan_to_int: NanToInt::Max,
};

fn env(policy: FpPolicy, round: Round) -> FpEnv {
    let mode = FpMode { round, flush_inputs: false, flush_results: false, default_nan: false };
    FpEnv { mode, policy, flags: 0 }
}

/// Operands that meet the corners: small and large exponents, few significand bits, specials, and plain random bits.
struct Operands(u64);

impl Operands {
    fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let x = self.0 ^ self.0 >> 29;
        x.wrapping_mul(0xbf58_476d_1ce4_e5b9) ^ x >> 32
    }

    fn float(&mut self, e: u32) -> u64 {
        let frac = if e == 32 { 23 } else { 52 };
        let exp_max = (1_u64 << (e - frac - 1)) - 1;
        let pick = self.word();
        let exp = match pick % 8 {
            0 => 0,
            1 => exp_max,
            2 => 1 + (pick >> 8) % 3,
            3 => exp_max - 1 - (pick >> 8) % 3,
            4 | 5 => exp_max / 2 + (pick >> 8) % 8 - 4,
            _ => (pick >> 8) % (exp_max + 1),
        };
        let bits = self.word();
        let fraction = match bits >> 60 {
            0..=2 => 0,
            3 => 1,
            4 => u64::MAX,
            5 => 1 << ((bits >> 8) % u64::from(frac)),
            6 => u64::MAX << ((bits >> 8) % u64::from(frac)),
            _ => bits,
        } & ((1 << frac) - 1);
        (pick >> 63) << (e - 1) | exp << frac | fraction
    }
}

#[cfg(target_arch = "x86_64")]
mod host {
    use super::*;
    use std::arch::asm;

    /// MXCSR control bits, all exceptions masked.
    fn control(round: Round) -> u32 {
        0x1f80
            | match round {
                Round::Down => 1 << 13,
                Round::Up => 2 << 13,
                Round::Zero => 3 << 13,
                _ => 0,
            }
    }

    macro_rules! binary {
        ($name:ident, $single:literal, $double:literal) => {
            fn $name(e: u32, a: u64, b: u64, c: u64, round: Round) -> (u64, u32) {
                let (mut mxcsr, default) = (control(round), 0x1f80_u32);
                let mut x = a;
                macro_rules! run {
                    ($insn:literal) => {
                        // SAFETY: touches only the named registers and MXCSR, which is put back to its default.
                        unsafe {
                            asm!("ldmxcsr [{m}]", "movq xmm0, {x}", "movq xmm1, {b}", "movq xmm2, {c}", $insn,
                                 "movq {x}, xmm0", "stmxcsr [{m}]", "ldmxcsr [{d}]",
                                 m = in(reg) &raw mut mxcsr, d = in(reg) &raw const default, x = inout(reg) x,
                                 b = in(reg) b, c = in(reg) c, out("xmm0") _, out("xmm1") _, out("xmm2") _)
                        }
                    };
                }
                if e == 32 { run!($single) } else { run!($double) }
                (x, mxcsr & 0x3f)
            }
        };
    }
    binary!(add, "addss xmm0, xmm1", "addsd xmm0, xmm1");
    binary!(sub, "subss xmm0, xmm1", "subsd xmm0, xmm1");
    binary!(mul, "mulss xmm0, xmm1", "mulsd xmm0, xmm1");
    binary!(div, "divss xmm0, xmm1", "divsd xmm0, xmm1");
    binary!(min, "minss xmm0, xmm1", "minsd xmm0, xmm1");
    binary!(max, "maxss xmm0, xmm1", "maxsd xmm0, xmm1");
    binary!(sqrt, "sqrtss xmm0, xmm0", "sqrtsd xmm0, xmm0");
    binary!(fma, "vfmadd132ss xmm0, xmm2, xmm1", "vfmadd132sd xmm0, xmm2, xmm1");
    binary!(lt, "cmpltss xmm0, xmm1", "cmpltsd xmm0, xmm1");
    binary!(le, "cmpless xmm0, xmm1", "cmplesd xmm0, xmm1");
    binary!(eq, "cmpeqss xmm0, xmm1", "cmpeqsd xmm0, xmm1");
    binary!(unordered, "cmpunordss xmm0, xmm1", "cmpunordsd xmm0, xmm1");

    type Op = fn(u32, u64, u64, u64, Round) -> (u64, u32);
    type Ours = fn(u32, u64, u64, u64, &mut FpEnv) -> u64;

    fn mask(e: u32, set: bool) -> u64 {
        if set { u64::MAX >> (64 - e) } else { 0 }
    }

    fn agree(name: &str, theirs: Op, ours: Ours) {
        let mut operands = Operands(1);
        for n in 0..120_000 {
            let e = if n % 2 == 0 { 32 } else { 64 };
            let round = [Round::Even, Round::Zero, Round::Down, Round::Up][n / 2 % 4];
            let (a, b, c) = (operands.float(e), operands.float(e), operands.float(e));
            let mut env = env(X86, round);
            let got = (ours(e, a, b, c, &mut env), env.flags);
            let want = theirs(e, a, b, c, round);
            assert!(got == want, "{name}{e} {a:#x} {b:#x} {c:#x} {round:?}: got {got:x?}, host gives {want:x?}");
        }
    }

    #[test]
    fn operations_match_the_host() {
        agree("add", add, |e, a, b, _, env| super::add(e, a, b, Round::Mode, env));
        agree("sub", sub, |e, a, b, _, env| super::sub(e, a, b, Round::Mode, env));
        agree("mul", mul, |e, a, b, _, env| super::mul(e, a, b, Round::Mode, env));
        agree("div", div, |e, a, b, _, env| super::div(e, a, b, Round::Mode, env));
        agree("sqrt", sqrt, |e, a, _, _, env| super::sqrt(e, a, Round::Mode, env));
        agree("min", min, |e, a, b, _, env| super::min(e, MinMax::Second, a, b, env));
        agree("max", max, |e, a, b, _, env| super::max(e, MinMax::Second, a, b, env));
        agree("lt", lt, |e, a, b, _, env| mask(e, compare(e, FCmp::LtS, a, b, env)));
        agree("le", le, |e, a, b, _, env| mask(e, compare(e, FCmp::LeS, a, b, env)));
        agree("eq", eq, |e, a, b, _, env| mask(e, compare(e, FCmp::Eq, a, b, env)));
        agree("un", unordered, |e, a, b, _, env| mask(e, compare(e, FCmp::Un, a, b, env)));
        if std::is_x86_feature_detected!("fma") {
            agree("fma", fma, |e, a, b, c, env| super::fma(e, a, b, c, Round::Mode, env));
        }
    }

    binary!(narrow, "cvtss2sd xmm0, xmm0", "cvtsd2ss xmm0, xmm0");
    binary!(integral, "roundss xmm0, xmm0, 4", "roundsd xmm0, xmm0, 4");
    binary!(integral_quiet, "roundss xmm0, xmm0, 12", "roundsd xmm0, xmm0, 12");

    /// To a signed 64-bit integer and back, in the mode in force.
    fn to_i64(e: u32, a: u64, _: u64, _: u64, round: Round) -> (u64, u32) {
        let (mut mxcsr, default) = (control(round), 0x1f80_u32);
        let mut x = a;
        macro_rules! run {
            ($insn:literal) => {
                // SAFETY: as above.
                unsafe {
                    asm!("ldmxcsr [{m}]", "movq xmm0, {x}", $insn, "stmxcsr [{m}]", "ldmxcsr [{d}]", m = in(reg) &raw mut mxcsr,
                         d = in(reg) &raw const default, x = inout(reg) x, out("xmm0") _)
                }
            };
        }
        if e == 32 {
            run!("cvtss2si {x}, xmm0")
        } else {
            run!("cvtsd2si {x}, xmm0")
        }
        (x, mxcsr & 0x3f)
    }

    /// From a signed 64-bit integer.
    fn of_i64(e: u32, a: u64, _: u64, _: u64, round: Round) -> (u64, u32) {
        let (mut mxcsr, default) = (control(round), 0x1f80_u32);
        let mut x = a;
        macro_rules! run {
            ($insn:literal) => {
                // SAFETY: as above.
                unsafe {
                    asm!("ldmxcsr [{m}]", "xorps xmm0, xmm0", $insn, "movq {x}, xmm0", "stmxcsr [{m}]", "ldmxcsr [{d}]",
                         m = in(reg) &raw mut mxcsr, d = in(reg) &raw const default, x = inout(reg) x, out("xmm0") _)
                }
            };
        }
        if e == 32 {
            run!("cvtsi2ss xmm0, {x}")
        } else {
            run!("cvtsi2sd xmm0, {x}")
        }
        (if e == 32 { x & 0xffff_ffff } else { x }, mxcsr & 0x3f)
    }

    #[test]
    fn conversions_match_the_host() {
        agree(
            "convert",
            |e, a, b, c, round| {
                let (x, flags) = narrow(e, a, b, c, round);
                (if e == 64 { x & 0xffff_ffff } else { x }, flags)
            },
            |e, a, _, _, env| convert(e, 96 - e, a, Round::Mode, env),
        );
        /// These instructions do not report denormal operands.
        fn integral_flags(ours: u64, env: &mut FpEnv) -> u64 {
            env.flags &= !flag::DENORMAL;
            ours
        }
        agree("round", integral, |e, a, _, _, env| {
            let r = round_to_int(e, a, Round::Mode, true, env);
            integral_flags(r, env)
        });
        agree("round quietly", integral_quiet, |e, a, _, _, env| {
            let r = round_to_int(e, a, Round::Mode, false, env);
            integral_flags(r, env)
        });
        agree("to i64", to_i64, |e, a, _, _, env| {
            let r = to_int(e, true, 64, a, Round::Mode, env);
            integral_flags(r, env)
        });
        agree("from i64", of_i64, |e, a, _, _, env| from_int(e, true, 64, a, Round::Mode, env));
    }
}

const ONE: u64 = 0x3f80_0000;
const INF: u64 = 0x7f80_0000;
const QNAN: u64 = 0x7fc0_1234;
const SNAN: u64 = 0xff80_0001;

#[test]
fn each_policy_picks_its_nan() {
    let sum = |policy| add(32, QNAN, SNAN, Round::Mode, &mut env(policy, Round::Even));
    assert_eq!(sum(X86), QNAN);
    assert_eq!(sum(ARM), SNAN | 1 << 22);
    assert_eq!(sum(RISCV), 0x7fc0_0000);
    let generated = |policy| sub(32, INF, INF, Round::Mode, &mut env(policy, Round::Even));
    assert_eq!(generated(X86), 0xffc0_0000);
    assert_eq!(generated(ARM), 0x7fc0_0000);
}

#[test]
fn infinity_times_zero_plus_quiet_nan_is_invalid_except_on_x86() {
    let loongarch = FpPolicy { product_nan: ProductNan::Addend, ..ARM };
    for (policy, result, flags) in [
        (X86, QNAN, 0),
        (ARM, 0x7fc0_0000, flag::INVALID),
        (RISCV, 0x7fc0_0000, flag::INVALID),
        (loongarch, QNAN, flag::INVALID),
    ] {
        let mut env = env(policy, Round::Even);
        assert_eq!(fma(32, INF, 0, QNAN, Round::Mode, &mut env), result);
        assert_eq!(env.flags, flags);
    }
}

#[test]
fn arm_fused_multiply_add_looks_at_the_addend_first() {
    assert_eq!(fma(32, QNAN, ONE, 0x7fc0_0001, Round::Mode, &mut env(ARM, Round::Even)), 0x7fc0_0001);
}

#[test]
fn tiny_before_rounding_underflows_where_after_does_not() {
    // Just below the smallest single-precision normal, to which it rounds even with unbounded exponent.
    let a = f64::to_bits(f64::from(f32::MIN_POSITIVE) * (1.0 - 2.0_f64.powi(-26)));
    for (policy, flags) in [(ARM, flag::UNDERFLOW | flag::INEXACT), (RISCV, flag::INEXACT)] {
        let mut env = env(policy, Round::Even);
        assert_eq!(convert(64, 32, a, Round::Mode, &mut env), 0x0080_0000);
        assert_eq!(env.flags, flags);
    }
}

#[test]
fn minimum_kinds_differ_on_nans() {
    let run = |kind, a, b, policy| {
        let mut env = env(policy, Round::Even);
        (min(32, kind, a, b, &mut env), env.flags)
    };
    assert_eq!(run(MinMax::Propagate, QNAN, ONE, ARM), (QNAN, 0));
    assert_eq!(run(MinMax::Number, QNAN, ONE, ARM), (ONE, 0));
    assert_eq!(run(MinMax::Number, SNAN, ONE, ARM), (SNAN | 1 << 22, flag::INVALID));
    assert_eq!(run(MinMax::NumberAlways, SNAN, ONE, RISCV), (ONE, flag::INVALID));
    assert_eq!(run(MinMax::NumberAlways, SNAN, QNAN, RISCV), (0x7fc0_0000, flag::INVALID));
    assert_eq!(run(MinMax::Propagate, 0, 0x8000_0000, ARM), (0x8000_0000, 0));
}

#[test]
fn conversion_to_integer_saturates_by_policy() {
    let run = |policy, signed, a| to_int(32, signed, 32, a, Round::Zero, &mut env(policy, Round::Even));
    assert_eq!(run(ARM, true, QNAN), 0);
    assert_eq!(run(RISCV, true, QNAN), 0x7fff_ffff);
    assert_eq!(run(RISCV, false, SNAN), 0xffff_ffff);
    assert_eq!(run(X86, true, QNAN), 0x8000_0000);
    assert_eq!(run(ARM, true, 0xff80_0000), 0x8000_0000);
    assert_eq!(run(RISCV, false, 0xbf80_0000), 0);
    assert_eq!(run(RISCV, false, 0xbf00_0000), 0, "-0.5 truncates to 0 and is in range");
}

#[test]
fn ties_go_away_from_zero_when_asked() {
    let run = |a| round_to_int(64, f64::to_bits(a), Round::Away, true, &mut env(RISCV, Round::Even));
    assert_eq!(f64::from_bits(run(2.5)), 3.0);
    assert_eq!(f64::from_bits(run(-0.5)), -1.0);
    assert_eq!(f64::from_bits(run(0.499_999_999_999_999_94)), 0.0);
}

#[test]
fn half_precision_rounds_and_overflows() {
    let run = |a: f32| convert(32, 16, a.to_bits().into(), Round::Mode, &mut env(ARM, Round::Even));
    assert_eq!(run(1.0), 0x3c00);
    assert_eq!(run(65_519.0), 0x7bff);
    assert_eq!(run(65_520.0), 0x7c00);
    assert_eq!(run(5.960_464_5e-8), 1, "the smallest subnormal");
    assert_eq!(convert(16, 32, 1, Round::Mode, &mut env(ARM, Round::Even)), 0x3380_0000);
}

#[test]
fn flushing_replaces_subnormals_by_zero() {
    let mut env = env(ARM, Round::Even);
    env.mode.flush_inputs = true;
    env.mode.flush_results = true;
    assert_eq!(add(32, 0x8000_0001, 0, Round::Mode, &mut env), 0);
    assert_eq!(env.flags, flag::DENORMAL);
    assert_eq!(mul(32, 0x0080_0000, 0x3f00_0000, Round::Mode, &mut env), 0);
    assert_eq!(env.flags, flag::DENORMAL | flag::UNDERFLOW);
}
