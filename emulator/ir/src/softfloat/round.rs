//! Rounding: the one place where bits are lost.

use super::parts::Format;
use super::{FpEnv, flag};
use crate::guest::Tininess;
use crate::inst::Round;

/// `sig` without its lowest `shift` bits, rounded, and whether anything was lost.
pub(super) fn shift_right(sig: u128, shift: u32, sign: bool, round: Round) -> (u128, bool) {
    if shift == 0 {
        return (sig, false);
    }
    // Beyond 127 everything is lost, and less than half a unit of the last place: the significands here stay below 2^127.
    let (kept, lost, half) =
        if shift > 127 { (0, sig, u128::MAX) } else { (sig >> shift, sig & ((1 << shift) - 1), 1 << (shift - 1)) };
    let up = match round {
        Round::Mode | Round::Even => lost > half || (lost == half && kept & 1 == 1),
        Round::Away => lost >= half,
        Round::Zero => false,
        Round::Down => sign && lost != 0,
        Round::Up => !sign && lost != 0,
    };
    (kept + u128::from(up), lost != 0)
}

/// The rounding an operation uses.
pub(super) fn effective(round: Round, env: &FpEnv) -> Round {
    if round == Round::Mode { env.mode.round } else { round }
}

/// `sig * 2^exp` (not zero, below 2^127) rounded to the format, with flags.
pub(super) fn pack(f: Format, sign: bool, exp: i32, sig: u128, round: Round, env: &mut FpEnv) -> u64 {
    let round = effective(round, env);
    let top = exp + 127 - sig.leading_zeros() as i32;
    let before = top < f.emin();
    let tiny = || env.policy.tininess == Tininess::Before || !rounds_to_normal(f, sign, exp, sig, round);
    if before && env.mode.flush_results && f.width != 16 && tiny() {
        let inexact = if env.policy.tininess == Tininess::After { flag::INEXACT } else { 0 };
        env.flags |= flag::UNDERFLOW | inexact;
        return f.zero(sign);
    }
    let quantum = top.max(f.emin()) - f.frac as i32;
    let (kept, inexact) = quantize(sig, quantum - exp, sign, round);
    if inexact {
        env.flags |= flag::INEXACT;
        if before && tiny() {
            env.flags |= flag::UNDERFLOW;
        }
    }
    // A subnormal has biased exponent 0 and no hidden bit; for a normal the hidden bit adds 1 to the exponent field, and a
    // carry out of rounding adds another: both by plain addition.
    let field = if before { 0 } else { (top + f.bias() - 1) as u64 };
    let magnitude = (field << f.frac).wrapping_add(kept as u64);
    if field >= f.exp_max() || magnitude >= f.infinity(false) {
        return overflow(f, sign, round, env);
    }
    f.zero(sign) | magnitude
}

fn quantize(sig: u128, shift: i32, sign: bool, round: Round) -> (u128, bool) {
    if shift <= 0 { (sig << -shift, false) } else { shift_right(sig, shift as u32, sign, round) }
}

/// Whether a number just below the smallest normal becomes it when rounded with unbounded exponent.
fn rounds_to_normal(f: Format, sign: bool, exp: i32, sig: u128, round: Round) -> bool {
    let top = exp + 127 - sig.leading_zeros() as i32;
    let (kept, _) = quantize(sig, top - f.frac as i32 - exp, sign, round);
    top == f.emin() - 1 && kept == 1 << (f.frac + 1)
}

fn overflow(f: Format, sign: bool, round: Round, env: &mut FpEnv) -> u64 {
    env.flags |= flag::OVERFLOW | flag::INEXACT;
    let to_infinity = match round {
        Round::Mode | Round::Even | Round::Away => true,
        Round::Zero => false,
        Round::Down => sign,
        Round::Up => !sign,
    };
    if to_infinity { f.infinity(sign) } else { f.largest(sign) }
}
