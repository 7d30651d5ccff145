//! Conversions between formats and to and from integers, and rounding to integral values.

use super::parts::{Class, Format, operand, propagate};
use super::round::{effective, pack, shift_right};
use super::{FpEnv, flag};
use crate::guest::{NanRule, NanToInt};
use crate::inst::Round;

/// Between formats of `from` and `to` bits.
pub fn convert(from: u32, to: u32, a: u64, round: Round, env: &mut FpEnv) -> u64 {
    let (f, g) = (Format::of(from), Format::of(to));
    let x = operand(f, a, env);
    match x.class {
        Class::Nan => convert_nan(f, g, a, env),
        Class::Infinite => g.infinity(x.sign),
        Class::Zero => g.zero(x.sign),
        Class::Finite => pack(g, x.sign, x.exp, x.sig, round, env),
    }
}

/// A NaN keeps its sign and the upper bits of its payload, unless the guest has one NaN only.
fn convert_nan(f: Format, g: Format, a: u64, env: &mut FpEnv) -> u64 {
    if f.is_signalling(a) {
        env.flags |= flag::INVALID;
    }
    if env.mode.default_nan || env.policy.nan == NanRule::Canonical {
        return g.default_nan(env);
    }
    let payload = a & ((1 << f.frac) - 1);
    let payload = if g.frac >= f.frac { payload << (g.frac - f.frac) } else { payload >> (f.frac - g.frac) };
    g.quieted(g.infinity(a & f.sign_bit() != 0) | payload)
}

/// To an integral value in the same format; `exact` raises inexact where the value changed.
pub fn round_to_int(e: u32, a: u64, round: Round, exact: bool, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    let x = operand(f, a, env);
    match x.class {
        Class::Nan => return propagate(f, &[a], env),
        Class::Infinite => return a,
        Class::Zero => return f.zero(x.sign),
        Class::Finite if x.exp >= 0 => return a,
        Class::Finite => {}
    }
    let (whole, inexact) = shift_right(x.sig, x.exp.unsigned_abs(), x.sign, effective(round, env));
    if inexact && exact {
        env.flags |= flag::INEXACT;
    }
    // At most 2^53: exact in the format.
    if whole == 0 { f.zero(x.sign) } else { pack(f, x.sign, 0, whole, round, env) }
}

/// To an integer of `width` bits (8..=64), saturating; NaN as the guest's policy says. The result is zero-extended.
pub fn to_int(e: u32, signed: bool, width: u32, a: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    let x = operand(f, a, env);
    let mask = u64::MAX >> (64 - width);
    let max = if signed { mask >> 1 } else { mask };
    let min_magnitude = if signed { max + 1 } else { 0 };
    let out_of_range = |negative: bool| match env.policy.nan_to_int {
        NanToInt::Indefinite if signed => max + 1,
        NanToInt::Indefinite => mask,
        _ if negative => min_magnitude.wrapping_neg() & mask,
        _ => max,
    };
    let magnitude = match x.class {
        Class::Zero => return 0,
        Class::Nan => {
            env.flags |= flag::INVALID;
            return if env.policy.nan_to_int == NanToInt::Zero { 0 } else { out_of_range(false) };
        }
        Class::Infinite => None,
        Class::Finite if x.exp > 64 => None,
        Class::Finite if x.exp >= 0 => Some((x.sig << x.exp, false)),
        Class::Finite => Some(shift_right(x.sig, x.exp.unsigned_abs(), x.sign, effective(round, env))),
    };
    let limit = u128::from(if x.sign { min_magnitude } else { max });
    match magnitude {
        Some((m, inexact)) if m <= limit => {
            if inexact {
                env.flags |= flag::INEXACT;
            }
            let m = m as u64;
            (if x.sign { m.wrapping_neg() } else { m }) & mask
        }
        _ => {
            let result = out_of_range(x.sign);
            env.flags |= flag::INVALID;
            result
        }
    }
}

/// From an integer of `width` bits (given zero-extended).
pub fn from_int(e: u32, signed: bool, width: u32, a: u64, round: Round, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    let sign = signed && a >> (width - 1) & 1 == 1;
    let mask = u64::MAX >> (64 - width);
    let magnitude = if sign { a.wrapping_neg() & mask } else { a & mask };
    if magnitude == 0 { 0 } else { pack(f, sign, 0, u128::from(magnitude), round, env) }
}
