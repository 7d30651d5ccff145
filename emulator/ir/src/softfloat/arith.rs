//! Sum, product, quotient, square root and fused multiply-add.

use super::parts::{Class, Format, Parts, invalid, operand, propagate, ranked};
use super::round::{effective, pack};
use super::{FpEnv, flag};
use crate::guest::{NanRule, ProductNan};
use crate::inst::Round;

/// `a + b`; `e` is the width of the format (16, 32 or 64), here and below.
pub fn add(e: u32, a: u64, b: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    ranked(env, |r| f.is_nan(r), |env| sum(f, a, b, false, round, env))
}

/// `a - b`.
pub fn sub(e: u32, a: u64, b: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    ranked(env, |r| f.is_nan(r), |env| sum(f, a, b, true, round, env))
}

fn sum(f: Format, a: u64, b: u64, negate: bool, round: Round, env: &mut FpEnv) -> u64 {
    let x = operand(f, a, env);
    let mut y = operand(f, b, env);
    if x.class == Class::Nan || y.class == Class::Nan {
        return propagate(f, &[a, b], env);
    }
    y.sign ^= negate;
    match (x.class, y.class) {
        (Class::Infinite, Class::Infinite) if x.sign != y.sign => invalid(f, env),
        (Class::Infinite, _) => f.infinity(x.sign),
        (_, Class::Infinite) => f.infinity(y.sign),
        _ => add_parts(f, x, y, round, env),
    }
}

/// Sum of two numbers that are finite or zero.
fn add_parts(f: Format, x: Parts, y: Parts, round: Round, env: &mut FpEnv) -> u64 {
    match (x.class, y.class) {
        (Class::Zero, Class::Zero) if x.sign == y.sign => return f.zero(x.sign),
        (Class::Zero, Class::Zero) => return exact_zero(f, round, env),
        (Class::Zero, _) => return pack(f, y.sign, y.exp, y.sig, round, env),
        (_, Class::Zero) => return pack(f, x.sign, x.exp, x.sig, round, env),
        _ => {}
    }
    // Both with their highest bit at 125, so that the sum stays below 2^127. The operands have at most 106 bits, so bits are
    // jammed only where the exponents differ by 20 or more; then at most one bit cancels, far above the jammed one.
    let (x, y) = (x.normalised(125), y.normalised(125));
    let (big, small) = if (x.exp, x.sig) >= (y.exp, y.sig) { (x, y) } else { (y, x) };
    let aligned = jam(small.sig, (big.exp - small.exp) as u32);
    let sig = if big.sign == small.sign { big.sig + aligned } else { big.sig - aligned };
    if sig == 0 { exact_zero(f, round, env) } else { pack(f, big.sign, big.exp, sig, round, env) }
}

/// `sig >> shift`, the lowest bit set if any bit was lost.
fn jam(sig: u128, shift: u32) -> u128 {
    if shift > 127 {
        return 1;
    }
    let kept = sig >> shift;
    kept | u128::from(kept << shift != sig)
}

/// An exact difference of zero (IEEE 754-2019, 6.3).
fn exact_zero(f: Format, round: Round, env: &FpEnv) -> u64 {
    f.zero(effective(round, env) == Round::Down)
}

/// `a * b`.
pub fn mul(e: u32, a: u64, b: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    ranked(env, |r| f.is_nan(r), |env| multiply(f, a, b, round, env))
}

fn multiply(f: Format, a: u64, b: u64, round: Round, env: &mut FpEnv) -> u64 {
    let (x, y) = (operand(f, a, env), operand(f, b, env));
    if x.class == Class::Nan || y.class == Class::Nan {
        return propagate(f, &[a, b], env);
    }
    match product(x, y) {
        None => invalid(f, env),
        Some(p) => match p.class {
            Class::Infinite => f.infinity(p.sign),
            Class::Zero => f.zero(p.sign),
            _ => pack(f, p.sign, p.exp, p.sig, round, env),
        },
    }
}

/// Exact product of two numbers that are not NaN; `None` for infinity times zero.
fn product(x: Parts, y: Parts) -> Option<Parts> {
    let class = match (x.class, y.class) {
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => return None,
        (Class::Infinite, _) | (_, Class::Infinite) => Class::Infinite,
        (Class::Zero, _) | (_, Class::Zero) => Class::Zero,
        _ => Class::Finite,
    };
    Some(Parts { sign: x.sign != y.sign, class, exp: x.exp + y.exp, sig: x.sig * y.sig })
}

/// `a * b + c`, rounded once.
pub fn fma(e: u32, a: u64, b: u64, c: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    ranked(env, |r| f.is_nan(r), |env| multiply_add(f, a, b, c, round, env))
}

fn multiply_add(f: Format, a: u64, b: u64, c: u64, round: Round, env: &mut FpEnv) -> u64 {
    let (x, y, z) = (operand(f, a, env), operand(f, b, env), operand(f, c, env));
    let factors_nan = x.class == Class::Nan || y.class == Class::Nan;
    let p = if factors_nan { None } else { product(x, y) };
    if factors_nan || z.class == Class::Nan {
        return fma_nan(f, [a, b, c], !factors_nan && p.is_none(), env);
    }
    let Some(p) = p else { return invalid(f, env) };
    match (p.class, z.class) {
        (Class::Infinite, Class::Infinite) if p.sign != z.sign => invalid(f, env),
        (Class::Infinite, _) => f.infinity(p.sign),
        (_, Class::Infinite) => f.infinity(z.sign),
        _ => add_parts(f, p, z, round, env),
    }
}

/// x86 looks at the factors first, others at the addend (Arm ARM FPMulAdd, RISC-V 11.6, Intel SDM vol. 1 table 14-17, LoongArch
/// 3.1.2). A signalling addend of an invalid product is itself invalid.
fn fma_nan(f: Format, [a, b, c]: [u64; 3], product_invalid: bool, env: &mut FpEnv) -> u64 {
    if product_invalid && !f.is_signalling(c) {
        match env.policy.product_nan {
            ProductNan::Invalid => return invalid(f, env),
            ProductNan::Addend => env.flags |= flag::INVALID,
            ProductNan::Quiet => {}
        }
    }
    let order = if env.policy.nan == NanRule::FirstOperand { [a, b, c] } else { [c, a, b] };
    propagate(f, &order, env)
}

/// `a / b`.
pub fn div(e: u32, a: u64, b: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    ranked(env, |r| f.is_nan(r), |env| divide(f, a, b, round, env))
}

fn divide(f: Format, a: u64, b: u64, round: Round, env: &mut FpEnv) -> u64 {
    let (x, y) = (operand(f, a, env), operand(f, b, env));
    if x.class == Class::Nan || y.class == Class::Nan {
        return propagate(f, &[a, b], env);
    }
    let sign = x.sign != y.sign;
    match (x.class, y.class) {
        (Class::Infinite, Class::Infinite) | (Class::Zero, Class::Zero) => invalid(f, env),
        (Class::Infinite, _) => f.infinity(sign),
        (Class::Zero, _) | (_, Class::Infinite) => f.zero(sign),
        (_, Class::Zero) => {
            env.flags |= flag::DIV_ZERO;
            f.infinity(sign)
        }
        _ => {
            // 125 bits over 54 leave a quotient of at least 71, more than any format's precision and two.
            let (x, y) = (x.normalised(125), y.normalised(53));
            let quotient = (x.sig / y.sig) | u128::from(x.sig % y.sig != 0);
            pack(f, sign, x.exp - y.exp, quotient, round, env)
        }
    }
}

/// Square root.
pub fn sqrt(e: u32, a: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    ranked(env, |r| f.is_nan(r), |env| root(f, a, round, env))
}

fn root(f: Format, a: u64, round: Round, env: &mut FpEnv) -> u64 {
    let x = operand(f, a, env);
    match x.class {
        Class::Nan => propagate(f, &[a], env),
        Class::Zero => f.zero(x.sign),
        _ if x.sign => invalid(f, env),
        Class::Infinite => f.infinity(false),
        Class::Finite => {
            let x = x.normalised(125);
            let x = if x.exp % 2 == 0 { x } else { Parts { sig: x.sig >> 1, exp: x.exp + 1, ..x } };
            let root = x.sig.isqrt();
            // One more bit holds what the root lost.
            let sig = root << 1 | u128::from(root * root != x.sig);
            pack(f, false, x.exp / 2 - 1, sig, round, env)
        }
    }
}
