//! Every integer method at every small width and every operand, folded with one operand constant and with none known,
//! against arithmetic on Rust integers.

use super::support::{GUEST, builder, expose, finish, plain_builder, run, slot};
use crate::{Builder, GuestState, Ty, Val};

pub(super) type Method = fn(&mut Builder<'static>, u32, Val, Val) -> Val;
/// Of width and operands; the result is cut to the width.
pub(super) type Reference = fn(u32, u128, u128) -> u128;

pub(super) fn s(w: u32, x: u128) -> i128 {
    (x << (128 - w)) as i128 >> (128 - w)
}

fn low(w: u32) -> u128 {
    u128::MAX >> (128 - w)
}

/// Methods whose result is as wide as the operands.
pub(super) const SAME: &[(&str, Method, Reference)] = &[
    ("add", Builder::add, |_, a, b| a.wrapping_add(b)),
    ("sub", Builder::sub, |_, a, b| a.wrapping_sub(b)),
    ("mul", Builder::mul, |_, a, b| a.wrapping_mul(b)),
    ("mul_high_u", Builder::mul_high_u, |w, a, b| (a * b) >> w),
    ("mul_high_s", Builder::mul_high_s, |w, a, b| ((s(w, a) * s(w, b)) >> w) as u128),
    ("div_u", Builder::div_u, |_, a, b| a.checked_div(b).unwrap_or(0)),
    ("div_s", Builder::div_s, |w, a, b| s(w, a).checked_div(s(w, b)).unwrap_or(0) as u128),
    ("rem_u", Builder::rem_u, |_, a, b| a.checked_rem(b).unwrap_or(a)),
    ("rem_s", Builder::rem_s, |w, a, b| s(w, a).checked_rem(s(w, b)).unwrap_or(s(w, a)) as u128),
    ("and", Builder::and, |_, a, b| a & b),
    ("or", Builder::or, |_, a, b| a | b),
    ("xor", Builder::xor, |_, a, b| a ^ b),
    ("not", |b, w, x, _| b.not(w, x), |_, a, _| !a),
    ("neg", |b, w, x, _| b.neg(w, x), |_, a, _| a.wrapping_neg()),
    ("shl", |b, w, x, n| b.shl(w, x, w, n), |w, a, n| if n >= w.into() { 0 } else { a << n }),
    ("shr", |b, w, x, n| b.shr(w, x, w, n), |w, a, n| if n >= w.into() { 0 } else { a >> n }),
    ("sar", |b, w, x, n| b.sar(w, x, w, n), |w, a, n| (s(w, a) >> n.min(127)) as u128),
    ("rotr", |b, w, x, n| b.rotr(w, x, w, n), |w, a, n| rotated(w, a, n % u128::from(w))),
    ("rotl", |b, w, x, n| b.rotl(w, x, w, n), |w, a, n| rotated(w, a, u128::from(w) - n % u128::from(w))),
    ("reverse_bits", |b, w, x, _| b.reverse_bits(w, x), |w, a, _| a.reverse_bits() >> (128 - w)),
    ("clz", |b, w, x, _| b.clz(w, x), |w, a, _| (a.leading_zeros() + w - 128).into()),
    ("ctz", |b, w, x, _| b.ctz(w, x), |w, a, _| a.trailing_zeros().min(w).into()),
    ("popcount", |b, w, x, _| b.popcount(w, x), |_, a, _| a.count_ones().into()),
];

fn rotated(w: u32, a: u128, n: u128) -> u128 {
    a >> n | a << (u128::from(w) - n)
}

/// Methods with a one-bit result.
pub(super) const BIT: &[(&str, Method, Reference)] = &[
    ("eq", Builder::eq, |_, a, b| (a == b).into()),
    ("ne", Builder::ne, |_, a, b| (a != b).into()),
    ("lt_u", Builder::lt_u, |_, a, b| (a < b).into()),
    ("le_u", Builder::le_u, |_, a, b| (a <= b).into()),
    ("lt_s", Builder::lt_s, |w, a, b| (s(w, a) < s(w, b)).into()),
    ("le_s", Builder::le_s, |w, a, b| (s(w, a) <= s(w, b)).into()),
    ("carry_add", |b, w, x, y| b.carry_add(w, x, y, None), |w, a, b| (a + b) >> w),
    ("borrow", |b, w, x, y| b.borrow(w, x, y, None), |_, a, b| (a < b).into()),
    ("overflow_add", |b, w, x, y| b.overflow_add(w, x, y, None), |w, a, b| overflows(w, s(w, a) + s(w, b))),
    ("overflow_sub", |b, w, x, y| b.overflow_sub(w, x, y, None), |w, a, b| overflows(w, s(w, a) - s(w, b))),
    ("carry_add 1", |b, w, x, y| with_one(b, Builder::carry_add, w, x, y), |w, a, b| (a + b + 1) >> w),
    ("borrow 1", |b, w, x, y| with_one(b, Builder::borrow, w, x, y), |_, a, b| (a <= b).into()),
    (
        "overflow_add 1",
        |b, w, x, y| with_one(b, Builder::overflow_add, w, x, y),
        |w, a, b| overflows(w, s(w, a) + s(w, b) + 1),
    ),
    (
        "overflow_sub 1",
        |b, w, x, y| with_one(b, Builder::overflow_sub, w, x, y),
        |w, a, b| overflows(w, s(w, a) - s(w, b) - 1),
    ),
    ("parity", |b, w, x, _| b.parity(w, x), |_, a, _| (a.count_ones() & 1).into()),
];

type Carry = fn(&mut Builder<'static>, u32, Val, Val, Option<Val>) -> Val;

fn with_one(b: &mut Builder<'static>, method: Carry, w: u32, x: Val, y: Val) -> Val {
    let one = b.konst(1, 1);
    method(b, w, x, y, Some(one))
}

fn overflows(w: u32, exact: i128) -> u128 {
    (s(w, exact as u128 & low(w)) != exact).into()
}

/// Values to try at a width: all, or those around the powers of two.
fn operands(w: u32) -> Vec<u128> {
    if w <= 4 {
        return (0..1 << w).collect();
    }
    let near = (0..=w)
        .filter(|k| k % 7 == 0 || *k <= 2 || k + 2 > w)
        .flat_map(|k| [(1u128 << k).wrapping_sub(2), (1u128 << k).wrapping_sub(1), 1 << k, (1 << k) + 1]);
    let mut all: Vec<_> = near.map(|x| x & low(w)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// Slot that holds a value `w` wide, by operand.
fn source(w: u32, second: bool) -> &'static str {
    match (Ty::holding(w), second) {
        (Ty::I1, false) => "Z",
        (Ty::I1, true) => "C",
        (Ty::I64, false) => "a",
        (Ty::I64, true) => "b",
        _ => unreachable!("narrow values are cut from 64-bit slots"),
    }
}

/// An operand nothing is known of.
pub(super) fn unknown(b: &mut Builder<'_>, w: u32, second: bool) -> Val {
    match w {
        1 => b.get(slot(source(1, second))),
        _ => {
            let wide = b.get(slot(source(64, second)));
            b.low(64, w, wide)
        }
    }
}

fn check(name: &str, method: Method, reference: Reference, w: u32, result: u32) {
    let values = operands(w);
    let unit = |mut b: Builder<'static>, x: Option<u128>, y: Option<u128>| {
        let operand = |b: &mut Builder<'static>, k: Option<u128>, second| match k {
            Some(k) => b.konst(w, k as i128),
            None => unknown(b, w, second),
        };
        let (p, q) = (operand(&mut b, x, false), operand(&mut b, y, true));
        let r = method(&mut b, w, p, q);
        expose(&mut b, result, r);
        finish(b)
    };
    let seen = |unit: &crate::Unit, x: u128, y: u128| {
        let mut state = GuestState::new(&GUEST);
        for (narrow, wide, value) in [("Z", "a", x), ("C", "b", y)] {
            state.set(&GUEST, slot(narrow), value);
            // Bits above the operand are there to be ignored.
            state.set(&GUEST, slot(wide), value | if w < 64 { !low(w) } else { 0 });
        }
        run(unit, &mut state);
        let name = [(1, "N"), (8, "o"), (16, "h"), (32, "s"), (64, "d"), (128, "w")];
        let (_, out) = name.iter().find(|(bits, _)| *bits == Ty::holding(result).bits()).expect("a type");
        state.get(&GUEST, slot(out))
    };
    let neither = [unit(builder(), None, None), unit(plain_builder(), None, None)];
    for &x in &values {
        let first = unit(builder(), Some(x), None);
        for &y in &values {
            let expected = reference(w, x, y) & low(result);
            for unit in &neither {
                assert_eq!(seen(unit, x, y), expected, "{name} at {w}: {x:#x}, {y:#x}");
            }
            assert_eq!(seen(&first, x, y), expected, "{name} at {w}: constant {x:#x}, {y:#x}");
        }
    }
    for &y in &values {
        let second = unit(builder(), None, Some(y));
        for &x in &values {
            let expected = reference(w, x, y) & low(result);
            assert_eq!(seen(&second, x, y), expected, "{name} at {w}: {x:#x}, constant {y:#x}");
        }
    }
    let (x, y) = (values[values.len() / 2], values[values.len() / 3]);
    assert_eq!(
        seen(&unit(builder(), Some(x), Some(y)), x, y),
        reference(w, x, y) & low(result),
        "{name} at {w}: constants"
    );
}

#[test]
fn arithmetic_at_every_width_is_that_of_integers() {
    for (name, method, reference) in SAME {
        for w in [1, 2, 3, 4, 5, 8, 12, 16, 24, 32, 40, 63] {
            check(name, *method, *reference, w, w);
        }
    }
}

#[test]
fn comparisons_at_every_width_are_those_of_integers() {
    for (name, method, reference) in BIT {
        for w in [1, 2, 3, 4, 5, 8, 12, 16, 24, 32, 40, 63] {
            check(name, *method, *reference, w, 1);
        }
    }
}

#[test]
fn full_words_too() {
    // References that need a bit more than 128 bits at 64 are not among these.
    for (name, method, reference) in SAME {
        check(name, *method, *reference, 64, 64);
    }
    for (name, method, reference) in BIT {
        check(name, *method, *reference, 64, 1);
    }
}
