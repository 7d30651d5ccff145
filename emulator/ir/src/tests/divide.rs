//! Division of a number of twice the width, as processors do that trap where the quotient does not fit.

use super::support::{GUEST, Memory, builder, finish, slot};
use crate::{GuestState, Unit, Val, interp};

/// Quotient, remainder and whether the quotient fits, of an extended word of `w` bits in `a` by one in `b`, to `c`, `d` and `Z`.
fn divide(w: u32) -> Unit {
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    let (x, y) = (b.low(64, w, x), b.low(64, w, y));
    let top = b.konst(8, i128::from(w) - 1);
    let sign = b.sar(w, x, 8, top);
    let dividend = b.concat(w, sign, w, x);
    let divisor = b.sext(w, 2 * w, y);
    let (q, r) = (b.div_s(2 * w, dividend, divisor), b.rem_s(2 * w, dividend, divisor));
    let (low, rest) = (b.low(2 * w, w, q), b.low(2 * w, w, r));
    let extended = b.sext(w, 2 * w, low);
    let fits = b.eq(2 * w, q, extended);
    for (name, v) in [("c", low), ("d", rest)] {
        let v: Val = b.zext(w, 64, v);
        b.put(slot(name), v);
    }
    b.put(slot("Z"), fits);
    finish(b)
}

#[test]
fn quotients_of_extended_words() {
    for w in [8, 16, 32, 64] {
        let unit = divide(w);
        let mask = u128::MAX >> (128 - w);
        let least = 1 << (w - 1);
        let numbers = [0, 1, 2, 7, least - 1, least, least + 1, mask - 6, mask - 1, mask, 0x5a % least];
        let signed = |v: u128| (v << (128 - w)) as i128 >> (128 - w);
        for (x, y) in numbers.into_iter().flat_map(|x| numbers.map(|y| (x, y))) {
            let mut state = GuestState::new(&GUEST);
            state.set(&GUEST, slot("a"), x);
            state.set(&GUEST, slot("b"), y);
            interp::run(&GUEST, &unit, &mut state, &mut Memory::new());
            let q = signed(x).checked_div(signed(y)).unwrap_or(0);
            let r = signed(x).checked_rem(signed(y)).unwrap_or(signed(x));
            let found = ["c", "d", "Z"].map(|name| state.get(&GUEST, slot(name)));
            let fits = u128::from(signed(q as u128 & mask) == q);
            assert_eq!(found, [q as u128 & mask, r as u128 & mask, fits], "{w} bits: {x:#x} / {y:#x}");
        }
    }
}
