//! Comparisons, minimum and maximum.

use super::parts::{Class, Format, operand, propagate, ranked};
use super::{FpEnv, flag};
use crate::inst::{FCmp, MinMax};
use std::cmp::Ordering;

/// Whether `a` and `b` compare as `kind` says.
pub fn compare(e: u32, kind: FCmp, a: u64, b: u64, env: &mut FpEnv) -> bool {
    let f = Format::of(e);
    let quiet = matches!(kind, FCmp::Eq | FCmp::Lt | FCmp::Le | FCmp::Un);
    let order = ranked(env, |r: Option<Ordering>| r.is_none(), |env| order(f, a, b, env));
    if order.is_none() && (!quiet || f.is_signalling(a) || f.is_signalling(b)) {
        env.flags |= flag::INVALID;
    }
    match kind {
        FCmp::Eq | FCmp::EqS => order == Some(Ordering::Equal),
        FCmp::Lt | FCmp::LtS => order == Some(Ordering::Less),
        FCmp::Le | FCmp::LeS => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        FCmp::Un | FCmp::UnS => order.is_none(),
    }
}

/// Order of two numbers, zeros equal; `None` if a NaN is among them.
fn order(f: Format, a: u64, b: u64, env: &mut FpEnv) -> Option<Ordering> {
    let (x, y) = (operand(f, a, env), operand(f, b, env));
    if x.class == Class::Nan || y.class == Class::Nan {
        return None;
    }
    let key = |class: Class, bits: u64| {
        let magnitude = if class == Class::Zero { 0 } else { (bits & (f.sign_bit() - 1)) as i64 };
        if bits & f.sign_bit() != 0 { -magnitude } else { magnitude }
    };
    Some(key(x.class, a).cmp(&key(y.class, b)))
}

/// Minimum; -0 counts below +0 (but see [`MinMax::Second`]).
pub fn min(e: u32, kind: MinMax, a: u64, b: u64, env: &mut FpEnv) -> u64 {
    extremum(e, kind, Ordering::Less, a, b, env)
}

/// Maximum.
pub fn max(e: u32, kind: MinMax, a: u64, b: u64, env: &mut FpEnv) -> u64 {
    extremum(e, kind, Ordering::Greater, a, b, env)
}

fn extremum(e: u32, kind: MinMax, wanted: Ordering, a: u64, b: u64, env: &mut FpEnv) -> u64 {
    let f = Format::of(e);
    let order = ranked(env, |r: Option<Ordering>| r.is_none(), |env| order(f, a, b, env));
    let (a, b) = (flushed(f, a, env), flushed(f, b, env));
    match (kind, order) {
        (_, Some(order)) if order == wanted => a,
        (MinMax::Second, Some(_)) => b,
        (MinMax::Second, None) => {
            env.flags |= flag::INVALID;
            b
        }
        (_, Some(Ordering::Equal)) => {
            // Equal numbers have equal bits, except zeros.
            if wanted == Ordering::Less { a | b & f.sign_bit() } else { a & (b | !f.sign_bit()) }
        }
        (_, Some(_)) => b,
        (_, None) => extremum_nan(f, kind, a, b, env),
    }
}

fn extremum_nan(f: Format, kind: MinMax, a: u64, b: u64, env: &mut FpEnv) -> u64 {
    let signalling = f.is_signalling(a) || f.is_signalling(b);
    if kind == MinMax::Propagate || (kind == MinMax::Number && signalling) || (f.is_nan(a) && f.is_nan(b)) {
        return propagate(f, &[a, b], env);
    }
    if signalling {
        env.flags |= flag::INVALID;
    }
    if f.is_nan(a) { b } else { a }
}

/// The operand as an operation that returns it sees it.
fn flushed(f: Format, bits: u64, env: &FpEnv) -> u64 {
    let mut quiet = *env;
    match operand(f, bits, &mut quiet).class {
        Class::Zero => bits & f.sign_bit(),
        _ => bits,
    }
}
