//! Double extended precision, as the x87 computes it: 64 bits of significand, every rounding. Exceptions are masked and
//! their flags are not kept; precision control is not obeyed. SDM 1, Programming with the x87 FPU.

use ir::GuestState;

/// A number taken apart: `sig * 2^exp`, the highest bit of `sig` set where it is finite.
#[derive(Clone, Copy)]
struct Parts {
    sign: bool,
    class: Class,
    exp: i32,
    sig: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Nan,
    Infinite,
    Zero,
    Finite,
}

const BIAS: i32 = 16383;
const EXP_MAX: u128 = 0x7fff;
/// The default NaN.
const INDEFINITE: u128 = 0xffff << 64 | 3 << 62;
const QUIET: u128 = 1 << 62;

fn unpack(bits: u128) -> Parts {
    let (sign, field, sig) = (bits >> 79 & 1 == 1, bits >> 64 & EXP_MAX, bits as u64);
    let class = match (field, sig) {
        (EXP_MAX, s) if s << 1 == 0 => Class::Infinite,
        (EXP_MAX, _) => Class::Nan,
        (_, 0) => Class::Zero,
        _ => Class::Finite,
    };
    let shift = sig.leading_zeros().min(63);
    let exp = (field as i32).max(1) - BIAS - 63 - shift as i32;
    Parts { sign, class, exp, sig: sig << shift }
}

fn with_sign(sign: bool, magnitude: u128) -> u128 {
    u128::from(sign) << 79 | magnitude
}

fn infinity(sign: bool) -> u128 {
    with_sign(sign, EXP_MAX << 64 | 1 << 63)
}

/// Whether the part of a significand that is cut off rounds it up; `rc` is the rounding control: nearest, down, up, zero.
fn rounds_up(rc: u128, sign: bool, odd: bool, lost: u128, half: u128) -> bool {
    match rc & 3 {
        0 => lost > half || lost == half && odd,
        1 => sign && lost != 0,
        2 => !sign && lost != 0,
        _ => false,
    }
}

/// `sig` shifted right and rounded.
fn shift_right(sig: u128, shift: i32, sign: bool, rc: u128) -> u128 {
    match shift {
        ..=0 => sig << -shift,
        1..=127 => {
            let (kept, lost) = (sig >> shift, sig & ((1 << shift) - 1));
            kept + u128::from(rounds_up(rc, sign, kept & 1 == 1, lost, 1 << (shift - 1)))
        }
        _ => u128::from(rounds_up(rc, sign, false, sig.min(1), 2)),
    }
}

/// `sig * 2^exp`, not zero, rounded to a format of `frac + 1` significant bits and exponents from `emin` to `emax`: the
/// significand and the exponent of its lowest bit. `None` is overflow.
fn round(sign: bool, exp: i32, sig: u128, frac: i32, emin: i32, emax: i32, rc: u128) -> Option<(u128, i32)> {
    let top = exp + 127 - sig.leading_zeros() as i32;
    let quantum = top.max(emin) - frac;
    let mut kept = shift_right(sig, quantum - exp, sign, rc);
    let mut low = quantum;
    if kept >> (frac + 1) != 0 {
        kept >>= 1;
        low += 1;
    }
    (low + frac <= emax).then_some((kept, low))
}

/// Whether an overflow gives infinity rather than the largest number.
fn overflows_to_infinity(sign: bool, rc: u128) -> bool {
    match rc & 3 {
        0 => true,
        1 => sign,
        2 => !sign,
        _ => false,
    }
}

fn pack(sign: bool, exp: i32, sig: u128, rc: u128) -> u128 {
    match round(sign, exp, sig, 63, 1 - BIAS, BIAS, rc) {
        None if overflows_to_infinity(sign, rc) => infinity(sign),
        None => with_sign(sign, (EXP_MAX - 1) << 64 | u128::from(u64::MAX)),
        Some((kept, _)) if kept >> 63 == 0 => with_sign(sign, kept),
        Some((kept, low)) => with_sign(sign, ((low + 63 + BIAS) as u128) << 64 | kept),
    }
}

/// The NaN that results from operands of which one is a NaN: that with the larger significand, quiet.
fn nan(a: u128, b: u128) -> u128 {
    let candidates = [a, b].into_iter().filter(|x| unpack(*x).class == Class::Nan);
    candidates.max_by_key(|x| (*x as u64) << 1).map_or(INDEFINITE, |x| x | QUIET)
}

/// Arithmetic by the `reg` field of the opcode: 0 add, 1 multiply, 4 subtract, 6 divide. Arguments: operation, a, b,
/// rounding control.
pub fn x87_arith(_: &mut GuestState, args: &[u128]) -> u128 {
    let (op, a, b, rc) = (args[0], args[1], args[2], args[3]);
    let (x, mut y) = (unpack(a), unpack(b));
    if x.class == Class::Nan || y.class == Class::Nan {
        return nan(a, b);
    }
    match op {
        1 => multiply(x, y, rc),
        6 => divide(x, y, rc),
        _ => {
            y.sign ^= op == 4;
            add(x, y, rc)
        }
    }
}

fn add(x: Parts, y: Parts, rc: u128) -> u128 {
    match (x.class, y.class) {
        (Class::Infinite, Class::Infinite) if x.sign != y.sign => return INDEFINITE,
        (Class::Infinite, _) => return infinity(x.sign),
        (_, Class::Infinite) => return infinity(y.sign),
        (Class::Zero, Class::Zero) => return with_sign(if x.sign == y.sign { x.sign } else { rc & 3 == 1 }, 0),
        (Class::Zero, _) => return pack(y.sign, y.exp, y.sig.into(), rc),
        (_, Class::Zero) => return pack(x.sign, x.exp, x.sig.into(), rc),
        _ => {}
    }
    let (big, small) = if (x.exp, x.sig) >= (y.exp, y.sig) { (x, y) } else { (y, x) };
    let (high, low) = (u128::from(big.sig) << 62, u128::from(small.sig) << 62);
    let distance = (big.exp - small.exp) as u32;
    let aligned = if distance > 126 { 1 } else { low >> distance | u128::from(low & ((1 << distance) - 1) != 0) };
    let sum = if big.sign == small.sign { high + aligned } else { high - aligned };
    if sum == 0 { with_sign(rc & 3 == 1, 0) } else { pack(big.sign, big.exp - 62, sum, rc) }
}

fn multiply(x: Parts, y: Parts, rc: u128) -> u128 {
    let sign = x.sign != y.sign;
    match (x.class, y.class) {
        (Class::Infinite, Class::Zero) | (Class::Zero, Class::Infinite) => INDEFINITE,
        (Class::Infinite, _) | (_, Class::Infinite) => infinity(sign),
        (Class::Zero, _) | (_, Class::Zero) => with_sign(sign, 0),
        _ => pack(sign, x.exp + y.exp, u128::from(x.sig) * u128::from(y.sig), rc),
    }
}

fn divide(x: Parts, y: Parts, rc: u128) -> u128 {
    let sign = x.sign != y.sign;
    match (x.class, y.class) {
        (Class::Infinite, Class::Infinite) | (Class::Zero, Class::Zero) => INDEFINITE,
        (Class::Infinite, _) | (_, Class::Zero) => infinity(sign),
        (Class::Zero, _) | (_, Class::Infinite) => with_sign(sign, 0),
        _ => {
            // 64 or 65 bits of quotient, two more from the remainder, and whether anything is left.
            let (n, d) = (u128::from(x.sig) << 64, u128::from(y.sig));
            let (q, rest) = (n / d, n % d);
            let (more, rest) = (rest * 4 / d, rest * 4 % d);
            pack(sign, x.exp - y.exp - 67, (q << 2 | more) << 1 | u128::from(rest != 0), rc)
        }
    }
}

/// Compare. Bits: 0 less, 1 unordered, 2 equal; as CF, PF and ZF.
pub fn x87_compare(_: &mut GuestState, args: &[u128]) -> u128 {
    let (x, y) = (unpack(args[0]), unpack(args[1]));
    if x.class == Class::Nan || y.class == Class::Nan {
        return 7;
    }
    let key = |p: Parts| match p.class {
        Class::Zero => (0, 0, 0),
        Class::Infinite => (1, i32::MAX, u64::MAX),
        _ => (1, p.exp, p.sig),
    };
    let magnitude = key(x).cmp(&key(y));
    let order = match (x.class == Class::Zero, y.class == Class::Zero) {
        (true, true) => std::cmp::Ordering::Equal,
        _ if x.sign != y.sign || x.class == Class::Zero || y.class == Class::Zero => {
            let negative = if x.class == Class::Zero { !y.sign } else { x.sign };
            if negative { std::cmp::Ordering::Less } else { std::cmp::Ordering::Greater }
        }
        _ if x.sign => magnitude.reverse(),
        _ => magnitude,
    };
    match order {
        std::cmp::Ordering::Less => 1,
        std::cmp::Ordering::Equal => 4,
        std::cmp::Ordering::Greater => 0,
    }
}

/// Fraction bits and bias of single and double precision.
fn format(width: u128) -> (i32, i32) {
    if width == 32 { (23, 127) } else { (52, 1023) }
}

/// From single or double precision. Arguments: width, number.
pub fn x87_from_float(_: &mut GuestState, args: &[u128]) -> u128 {
    let (width, bits) = (args[0], args[1]);
    let (frac, bias) = format(width);
    let sign = bits >> (width - 1) & 1 == 1;
    let (field, fraction) = ((bits >> frac) as i32 & (2 * bias + 1), bits & ((1 << frac) - 1));
    match (field, fraction) {
        (0, 0) => with_sign(sign, 0),
        (f, 0) if f == 2 * bias + 1 => infinity(sign),
        (f, _) if f == 2 * bias + 1 => with_sign(sign, EXP_MAX << 64 | 1 << 63 | QUIET | fraction << (63 - frac)),
        (0, _) => pack(sign, 1 - bias - frac, fraction, 0),
        (f, _) => pack(sign, f - bias - frac, fraction | 1 << frac, 0),
    }
}

/// To single or double precision. Arguments: width, number, rounding control.
pub fn x87_to_float(_: &mut GuestState, args: &[u128]) -> u128 {
    let (width, rc) = (args[0], args[2]);
    let (frac, bias) = format(width);
    let p = unpack(args[1]);
    let sign = u128::from(p.sign) << (width - 1);
    let exp_max = (2 * bias + 1) as u128;
    let magnitude = match p.class {
        Class::Zero => 0,
        Class::Infinite => exp_max << frac,
        Class::Nan => exp_max << frac | 1 << (frac - 1) | u128::from(args[1] as u64 & !(1 << 63)) >> (63 - frac),
        Class::Finite => match round(p.sign, p.exp, p.sig.into(), frac, 1 - bias, bias, rc) {
            None if overflows_to_infinity(p.sign, rc) => exp_max << frac,
            None => (exp_max << frac) - 1,
            Some((kept, _)) if kept >> frac == 0 => kept,
            Some((kept, low)) => ((low + frac + bias) as u128) << frac | kept & ((1 << frac) - 1),
        },
    };
    sign | magnitude
}

/// From a signed integer of 64 bits.
pub fn x87_from_int(_: &mut GuestState, args: &[u128]) -> u128 {
    let value = args[0] as u64 as i64;
    if value == 0 { 0 } else { pack(value < 0, 0, value.unsigned_abs().into(), 0) }
}

/// To a signed integer of so many bits, as 64. Arguments: width, number, rounding control.
pub fn x87_to_int(_: &mut GuestState, args: &[u128]) -> u128 {
    let (width, p, rc) = (args[0], unpack(args[1]), args[2]);
    let indefinite = u128::from((i64::MIN >> (64 - width)) as u64);
    if p.class == Class::Zero {
        return 0;
    }
    if p.class != Class::Finite || p.exp > 0 {
        return indefinite;
    }
    let magnitude = shift_right(p.sig.into(), -p.exp, p.sign, rc) as i128;
    let value = if p.sign { -magnitude } else { magnitude };
    let limit = 1_i128 << (width - 1);
    if (-limit..limit).contains(&value) { u128::from(value as i64 as u64) } else { indefinite }
}
