//! Taking numbers apart, and NaNs.

use super::{FpEnv, flag};
use crate::guest::{NanRule, Tininess};

/// A binary interchange format (IEEE 754-2019, 3.6).
#[derive(Clone, Copy)]
pub(super) struct Format {
    /// Bits of the whole.
    pub(super) width: u32,
    /// Bits of the stored fraction.
    pub(super) frac: u32,
}

impl Format {
    pub(super) fn of(width: u32) -> Format {
        let frac = match width {
            16 => 10,
            32 => 23,
            _ => 52,
        };
        Format { width, frac }
    }

    pub(super) fn bias(self) -> i32 {
        (1 << (self.width - self.frac - 2)) - 1
    }

    /// Largest biased exponent: that of infinities and NaNs.
    pub(super) fn exp_max(self) -> u64 {
        (1 << (self.width - self.frac - 1)) - 1
    }

    /// Exponent of the smallest normal number.
    pub(super) fn emin(self) -> i32 {
        1 - self.bias()
    }

    pub(super) fn sign_bit(self) -> u64 {
        1 << (self.width - 1)
    }

    fn quiet_bit(self) -> u64 {
        1 << (self.frac - 1)
    }

    pub(super) fn infinity(self, sign: bool) -> u64 {
        self.zero(sign) | self.exp_max() << self.frac
    }

    pub(super) fn zero(self, sign: bool) -> u64 {
        if sign { self.sign_bit() } else { 0 }
    }

    pub(super) fn largest(self, sign: bool) -> u64 {
        self.infinity(sign) - 1
    }

    pub(super) fn default_nan(self, env: &FpEnv) -> u64 {
        self.infinity(env.policy.default_nan_negative) | self.quiet_bit()
    }

    fn magnitude(self, bits: u64) -> u64 {
        bits & (self.sign_bit() - 1)
    }

    pub(super) fn is_nan(self, bits: u64) -> bool {
        self.magnitude(bits) > self.infinity(false)
    }

    pub(super) fn is_signalling(self, bits: u64) -> bool {
        self.is_nan(bits) && bits & self.quiet_bit() == 0
    }

    pub(super) fn quieted(self, bits: u64) -> u64 {
        bits | self.quiet_bit()
    }
}

/// What a number is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Class {
    Nan,
    Infinite,
    Zero,
    /// `sig * 2^exp`, `sig` not zero.
    Finite,
}

/// A number taken apart.
#[derive(Clone, Copy, Debug)]
pub(super) struct Parts {
    pub(super) sign: bool,
    pub(super) class: Class,
    pub(super) exp: i32,
    pub(super) sig: u128,
}

impl Parts {
    /// With `sig` shifted up so that bit `top` is its highest.
    pub(super) fn normalised(self, top: u32) -> Parts {
        let shift = top as i32 - (127 - self.sig.leading_zeros() as i32);
        debug_assert!(shift >= 0, "normalising never loses bits");
        Parts { sig: self.sig << shift, exp: self.exp - shift, ..self }
    }
}

/// Takes `bits` apart as an operand: flushes or flags subnormals as the environment says (never 16-bit ones, which Arm's
/// FZ leaves alone and x86 has only in conversions).
pub(super) fn operand(f: Format, bits: u64, env: &mut FpEnv) -> Parts {
    let sign = bits & f.sign_bit() != 0;
    let frac = bits & ((1 << f.frac) - 1);
    let exp = bits >> f.frac & f.exp_max();
    let class = match (exp, frac) {
        (e, 0) if e == f.exp_max() => Class::Infinite,
        (e, _) if e == f.exp_max() => Class::Nan,
        (0, 0) => Class::Zero,
        (0, _) if f.width != 16 => subnormal(env),
        _ => Class::Finite,
    };
    let (sig, exp) = if exp == 0 { (frac, 1) } else { (frac | 1 << f.frac, exp as i32) };
    Parts { sign, class, exp: exp - f.bias() - f.frac as i32, sig: u128::from(sig) }
}

fn subnormal(env: &mut FpEnv) -> Class {
    // Arm raises the flag when it flushes (IDC), x86 when it does not (DE, DAZ clear).
    if env.mode.flush_inputs == (env.policy.tininess == Tininess::Before) {
        env.flags |= flag::DENORMAL;
    }
    if env.mode.flush_inputs { Class::Zero } else { Class::Finite }
}

/// The NaN result for operands of which at least one is a NaN; signalling ones raise invalid.
pub(super) fn propagate(f: Format, operands: &[u64], env: &mut FpEnv) -> u64 {
    let signalling = operands.iter().copied().find(|&x| f.is_signalling(x));
    if signalling.is_some() {
        env.flags |= flag::INVALID;
    }
    let first = operands.iter().copied().find(|&x| f.is_nan(x));
    let chosen = match env.policy.nan {
        _ if env.mode.default_nan => None,
        NanRule::Canonical => None,
        NanRule::FirstOperand => first,
        NanRule::SignallingFirst => signalling.or(first),
    };
    chosen.map_or_else(|| f.default_nan(env), |x| f.quieted(x))
}

/// Result of an invalid operation.
pub(super) fn invalid(f: Format, env: &mut FpEnv) -> u64 {
    env.flags |= flag::INVALID;
    f.default_nan(env)
}

/// Runs an operation whose result is NaN exactly when `is_nan` says so of it. A denormal operand goes unreported where an
/// invalid operation, a NaN or a division by zero takes precedence (Intel SDM vol. 1, 4.9.2); flushing is always reported.
pub(super) fn ranked<R: Copy>(
    env: &mut FpEnv,
    is_nan: impl Fn(R) -> bool,
    operation: impl FnOnce(&mut FpEnv) -> R,
) -> R {
    let before = std::mem::take(&mut env.flags);
    let result = operation(env);
    if !env.mode.flush_inputs && (env.flags & (flag::INVALID | flag::DIV_ZERO) != 0 || is_nan(result)) {
        env.flags &= !flag::DENORMAL;
    }
    env.flags |= before;
    result
}
