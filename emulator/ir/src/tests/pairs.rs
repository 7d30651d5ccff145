//! Every operation on the result of every other, with every small operand: folding rules look two levels deep.

use super::exhaustive::{BIT, Method, Reference, SAME, s, unknown};
use super::support::{GUEST, builder, expose, finish, run, slot};
use crate::{Builder, GuestState, Ty, Unit, Val};

/// What an operation is applied to.
#[derive(Clone, Copy, Debug)]
enum Operand {
    /// The first or the second unknown.
    X,
    Y,
    /// A number.
    K(u128),
    /// The result of the inner operation.
    Inner,
}

/// An operation by name, with its arithmetic.
type Row = (&'static str, Method, Reference);

/// `outer(a, b)` where `Inner` is `inner(c, d)`.
#[derive(Clone, Copy)]
struct Pair<'r> {
    inner: &'r Row,
    c: Operand,
    d: Operand,
    outer: &'r Row,
    a: Operand,
    b: Operand,
}

/// Values of an operand: all of a small width, those with something about them of a byte.
fn values(w: u32) -> Vec<u128> {
    if w <= 3 { (0..1 << w).collect() } else { vec![0, 1, 2, 7, 8, 15, 0x5a, 0x7f, 0x80, 0x81, 0xf0, 0xff] }
}

fn low(w: u32) -> u128 {
    (1 << w) - 1
}

impl Pair<'_> {
    /// At width `w`, the inner result being `iw` wide and the outer one `ow`.
    fn unit(&self, w: u32, iw: u32, ow: u32) -> Unit {
        let mut b = builder();
        let value = |b: &mut Builder<'static>, w: u32, from: Operand, inner: Option<Val>| match from {
            Operand::X => unknown(b, w, false),
            Operand::Y => unknown(b, w, true),
            Operand::K(k) => b.konst(w, k as i128),
            Operand::Inner => inner.expect("made before"),
        };
        let (c, d) = (value(&mut b, w, self.c, None), value(&mut b, w, self.d, None));
        let inner = (self.inner.1)(&mut b, w, c, d);
        let (p, q) = (value(&mut b, iw, self.a, Some(inner)), value(&mut b, iw, self.b, Some(inner)));
        let outer = (self.outer.1)(&mut b, iw, p, q);
        expose(&mut b, ow, outer);
        finish(b)
    }

    fn expected(&self, w: u32, iw: u32, ow: u32, x: u128, y: u128) -> u128 {
        let value = |w: u32, from: Operand, inner: u128| match from {
            Operand::X => x & low(w),
            Operand::Y => y & low(w),
            Operand::K(k) => k,
            Operand::Inner => inner,
        };
        let inner = (self.inner.2)(w, value(w, self.c, 0), value(w, self.d, 0)) & low(iw);
        (self.outer.2)(iw, value(iw, self.a, inner), value(iw, self.b, inner)) & low(ow)
    }

    fn check(&self, w: u32, iw: u32, ow: u32) {
        let unit = self.unit(w, iw, ow);
        let uses = |from: Operand| matches!(from, Operand::Y);
        let second = [self.a, self.b, self.c, self.d].into_iter().any(uses);
        for x in values(w) {
            for y in if second { values(w) } else { vec![0] } {
                let found = seen(&unit, w, ow, x, y);
                let expected = self.expected(w, iw, ow, x, y);
                assert_eq!(
                    found, expected,
                    "{}({:?}, {:?}) in {}({:?}, {:?}) at {w}: x = {x:#x}, y = {y:#x}",
                    self.inner.0, self.c, self.d, self.outer.0, self.a, self.b
                );
            }
        }
    }
}

/// What the unit makes of its unknowns.
fn seen(unit: &Unit, w: u32, result: u32, x: u128, y: u128) -> u128 {
    let mut state = GuestState::new(&GUEST);
    for (narrow, wide, value) in [("Z", "a", x), ("C", "b", y)] {
        state.set(&GUEST, slot(narrow), value);
        // Bits above the operand are there to be ignored.
        state.set(&GUEST, slot(wide), value | !low(w));
    }
    run(unit, &mut state);
    state.get(&GUEST, slot(if Ty::holding(result) == Ty::I1 { "N" } else { "o" }))
}

/// Where the numbers and unknowns of a pair may be.
fn shapes(k: u128, m: u128) -> Vec<(Operand, Operand, Operand, Operand)> {
    use Operand::{Inner, K, X, Y};
    let mut all = vec![(X, K(k), Inner, K(m)), (K(k), X, Inner, K(m)), (X, K(k), K(m), Inner)];
    if m == 0 {
        all.extend([(X, K(k), Inner, X), (X, K(k), X, Inner), (X, K(k), Inner, Y), (X, Y, Inner, K(k))]);
        all.extend([(X, Y, K(k), Inner)]);
    }
    if (k, m) == (0, 0) {
        all.extend([(X, Y, Inner, X), (X, Y, Y, Inner), (X, Y, Inner, Y), (X, X, Inner, Y), (X, Y, Inner, Inner)]);
    }
    all
}

fn check_all(inners: &[Row], outers: &[Row], w: u32, inner_width: impl Fn(u32) -> u32, bit: bool) {
    for inner in inners {
        for outer in outers {
            for k in values(w) {
                for m in values(w) {
                    for (c, d, a, b) in shapes(k, m) {
                        let iw = inner_width(w);
                        // Of a bit, only numbers of a bit.
                        let fits = |from| {
                            !matches!(from, Operand::K(n) if n > low(iw))
                                && (iw == w || !matches!(from, Operand::X | Operand::Y))
                        };
                        if fits(a) && fits(b) {
                            Pair { inner, c, d, outer, a, b }.check(w, iw, if bit { 1 } else { iw });
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn operations_on_operations_at_small_widths() {
    for w in [1, 3] {
        check_all(SAME, SAME, w, |w| w, false);
        check_all(SAME, BIT, w, |w| w, true);
    }
}

#[test]
fn operations_on_conditions() {
    for w in [1, 3] {
        check_all(BIT, SAME, w, |_| 1, false);
        check_all(BIT, BIT, w, |_| 1, true);
    }
}

#[test]
fn operations_on_operations_of_bytes() {
    // Of these, most rules are about what is done with masks, shifts and sums.
    let some = |names: &[&str]| SAME.iter().filter(|row| names.contains(&row.0)).copied().collect::<Vec<_>>();
    let rows = some(&["add", "sub", "and", "or", "xor", "shl", "shr", "sar", "rotr", "neg", "not"]);
    check_all(&rows, &rows, 8, |w| w, false);
    check_all(&rows, BIT, 8, |w| w, true);
}

/// Two comparisons joined: of the same operands, exchanged ones, and numbers.
#[test]
fn conditions_joined_with_conditions() {
    type Join = (&'static str, fn(&mut Builder<'static>, Val, Val) -> Val, fn(u128, u128) -> u128);
    let joins: [Join; 5] = [
        ("and", |b, p, q| b.and(1, p, q), |p, q| p & q),
        ("or", |b, p, q| b.or(1, p, q), |p, q| p | q),
        ("xor", |b, p, q| b.xor(1, p, q), |p, q| p ^ q),
        ("eq", |b, p, q| b.eq(1, p, q), |p, q| u128::from(p == q)),
        (
            "select",
            |b, p, q| {
                let zero = b.konst(1, 0);
                b.select(1, p, q, zero)
            },
            |p, q| p & q,
        ),
    ];
    let w = 3;
    for first in BIT {
        for second in BIT {
            for (name, join, meaning) in joins {
                for k in values(w) {
                    for m in values(w) {
                        for (numbers, exchanged) in [(true, false), (false, false), (false, true)] {
                            if !numbers && (k, m) != (0, 0) {
                                continue;
                            }
                            let mut b = builder();
                            let (x, y) = (unknown(&mut b, w, false), unknown(&mut b, w, true));
                            let (n, o) = if numbers { (b.konst(w, k as i128), b.konst(w, m as i128)) } else { (y, y) };
                            let p = first.1(&mut b, w, x, n);
                            let q = if exchanged { second.1(&mut b, w, o, x) } else { second.1(&mut b, w, x, o) };
                            let r = join(&mut b, p, q);
                            expose(&mut b, 1, r);
                            let unit = finish(b);
                            for x in values(w) {
                                for y in if numbers { vec![0] } else { values(w) } {
                                    let (n, o) = if numbers { (k, m) } else { (y, y) };
                                    let p = first.2(w, x, n) & 1;
                                    let q = if exchanged { second.2(w, o, x) } else { second.2(w, x, o) } & 1;
                                    assert_eq!(
                                        seen(&unit, w, 1, x, y),
                                        meaning(p, q),
                                        "{}(x, {n}) {name} {}(x, {o}), exchanged: {exchanged}, x = {x}",
                                        first.0,
                                        second.0
                                    );
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// An operation of an extension, a part or a choice, whose width differs from its operand's.
#[test]
fn operations_on_resized_values() {
    type Resize = (&'static str, u32, u32, fn(&mut Builder<'static>, Val) -> Val, fn(u128) -> u128);
    let resizes: [Resize; 9] = [
        ("zext", 3, 8, |b, x| b.zext(3, 8, x), |x| x),
        ("sext", 3, 8, |b, x| b.sext(3, 8, x), |x| s(3, x) as u128 & 0xff),
        ("zext", 1, 8, |b, x| b.zext(1, 8, x), |x| x),
        ("sext", 1, 8, |b, x| b.sext(1, 8, x), |x| x * 0xff),
        ("low", 8, 3, |b, x| b.low(8, 3, x), |x| x & 7),
        ("low", 8, 1, |b, x| b.low(8, 1, x), |x| x & 1),
        ("extract", 8, 3, |b, x| b.extract(8, x, 4, 3), |x| x >> 4 & 7),
        ("extract", 8, 1, |b, x| b.extract(8, x, 7, 1), |x| x >> 7),
        (
            "insert",
            8,
            8,
            |b, x| {
                let k = b.konst(8, 0x5a);
                b.insert(8, k, 2, 4, x)
            },
            |x| 0x42 | (x & 15) << 2,
        ),
    ];
    for (name, from, to, resize, meaning) in resizes {
        for (outer, bit) in SAME.iter().map(|row| (row, false)).chain(BIT.iter().map(|row| (row, true))) {
            for k in values(to) {
                for exchanged in [false, true] {
                    let mut b = builder();
                    let x = unknown(&mut b, from, false);
                    let (v, n) = (resize(&mut b, x), b.konst(to, k as i128));
                    let r = if exchanged { outer.1(&mut b, to, n, v) } else { outer.1(&mut b, to, v, n) };
                    let width = if bit { 1 } else { to };
                    expose(&mut b, width, r);
                    let unit = finish(b);
                    for x in 0..1u128 << from {
                        let v = meaning(x);
                        let expected = if exchanged { outer.2(to, k, v) } else { outer.2(to, v, k) } & low(width);
                        assert_eq!(
                            seen(&unit, from, width, x, 0),
                            expected,
                            "{} of {name} {from} to {to}: {k:#x}, {exchanged}, x = {x:#x}",
                            outer.0
                        );
                    }
                }
            }
        }
    }
}
