//! What simplification is expected to find: the patterns that guests' instructions leave.

use super::support::{builder, finish, slot};
use crate::inst::{Attr, Op};
use crate::{Builder, Ty, Val};

fn inst(b: &Builder<'_>, v: Val) -> (Op, Ty, Attr, Val) {
    let inst = b.inst(v);
    (inst.op, inst.ty, inst.attr, inst.args[0])
}

#[test]
fn word_operations_need_one_extension() {
    // x + y and then + 1, both on the low words, sign-extended (RISC-V addw, addiw).
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    let (xw, yw) = (b.low(64, 32, x), b.low(64, 32, y));
    let sum = b.add(32, xw, yw);
    let wide = b.sext(32, 64, sum);
    let again = b.low(64, 32, wide);
    assert_eq!(again, sum);
    let same = b.sext(32, 64, again);
    assert_eq!(same, wide);
    // Comparing two such words is a comparison of words.
    let other = b.sext(32, 64, yw);
    let less = b.lt_s(64, wide, other);
    assert_eq!(inst(&b, less).1, Ty::I32);
}

#[test]
fn an_offset_there_and_back_is_none() {
    let mut b = builder();
    let (x, y, k) = (b.get(slot("a")), b.get(slot("b")), b.konst(64, 256));
    let moved = b.add(64, x, k);
    for sum in [b.add(64, moved, y), b.add(64, y, moved)] {
        let back = b.sub(64, sum, k);
        assert_eq!(back, b.add(64, x, y));
        assert_eq!(b.inst(back).args[..2], [x, y]);
    }
}

#[test]
fn divisions_of_extended_words_are_of_words() {
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    let (wide_x, wide_y) = (b.zext(64, 128, x), b.zext(64, 128, y));
    let (quotient, remainder) = (b.div_u(128, wide_x, wide_y), b.rem_u(128, wide_x, wide_y));
    assert_eq!((b.low(128, 64, quotient), b.low(128, 64, remainder)), (b.div_u(64, x, y), b.rem_u(64, x, y)));
    let (long_x, long_y) = (b.sext(64, 128, x), b.sext(64, 128, y));
    let remainder = b.rem_s(128, long_x, long_y);
    assert_eq!(b.low(128, 64, remainder), b.rem_s(64, x, y));
    // Of two words of 64 bits, the least divided by -1 has one more, which is in the upper half; words of 32 have room.
    let quotient = b.div_s(128, long_x, long_y);
    let low = b.low(128, 64, quotient);
    assert_eq!(low, b.div_s(64, x, y));
    let again = b.sext(64, 128, low);
    let fits = b.eq(128, quotient, again);
    let (op, ty, ..) = inst(&b, fits);
    assert_eq!((op, ty), (Op::Ne, Ty::I64), "one comparison");
    let (short_x, short_y) = (b.low(64, 32, x), b.low(64, 32, y));
    let (long_x, long_y) = (b.sext(32, 128, short_x), b.sext(32, 128, short_y));
    let quotient = b.div_s(128, long_x, long_y);
    let narrow = b.low(128, 64, quotient);
    assert_eq!(inst(&b, narrow).1, Ty::I64);
    assert_eq!(inst(&b, narrow).0, Op::Divs);
}

#[test]
fn a_dividend_with_its_sign_above_is_extended() {
    // CQO and IDIV.
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    let top = b.konst(6, 63);
    let sign = b.sar(64, x, 6, top);
    let wide = b.concat(64, sign, 64, x);
    assert_eq!(wide, b.sext(64, 128, x));
    let long_y = b.sext(64, 128, y);
    let quotient = b.div_s(128, wide, long_y);
    let remainder = b.rem_s(128, wide, long_y);
    let (quotient, remainder) = (b.low(128, 64, quotient), b.low(128, 64, remainder));
    let unit = finish(b);
    assert_eq!(unit.insts.iter().filter(|i| matches!(i.op, Op::Divs | Op::Rems)).count(), 1);
    assert_eq!((unit.insts[quotient.index()].op, unit.insts[remainder.index()].op), (Op::Divs, Op::Sub));
}

#[test]
fn shift_pairs_are_fields() {
    let mut b = builder();
    let x = b.get(slot("a"));
    let n = |b: &mut Builder<'_>, k| b.konst(6, k);
    let k48 = n(&mut b, 48);
    let up = b.shl(64, x, 6, k48);
    let down = b.shr(64, up, 6, k48);
    assert_eq!(inst(&b, down), (Op::Bfx, Ty::I64, Attr::imms(0, 16), x));
    let k56 = n(&mut b, 56);
    let signed = b.sar(64, up, 6, k56);
    assert_eq!(inst(&b, signed), (Op::Bfxs, Ty::I64, Attr::imms(8, 8), x));
    let k4 = n(&mut b, 4);
    let part = b.shr(64, down, 6, k4);
    assert_eq!(inst(&b, part), (Op::Bfx, Ty::I64, Attr::imms(4, 12), x));
    let byte = b.konst(64, 0xff);
    let low = b.and(64, down, byte);
    assert_eq!(inst(&b, low), (Op::Bfx, Ty::I64, Attr::imms(0, 8), x));
    let bits16 = b.low(64, 16, x);
    assert_eq!(b.zext(16, 64, bits16), down);
    // Rotation by two shifts and or.
    let (k20, k44) = (n(&mut b, 20), n(&mut b, 44));
    let (l, r) = (b.shl(64, x, 6, k20), b.shr(64, x, 6, k44));
    let rotated = b.or(64, l, r);
    assert_eq!(inst(&b, rotated).0, Op::Rotr);
}

#[test]
fn halves_that_were_put_together_are_themselves() {
    // AH and AL after DIV of a byte, in a register that held a byte.
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    let (low, high) = (b.low(64, 8, x), b.low(64, 8, y));
    let before = b.zext(8, 64, low);
    let both = b.concat(8, high, 8, low);
    let after = b.insert(64, before, 0, 16, both);
    assert_eq!(after, b.zext(16, 64, both));
    assert_eq!(b.extract(64, after, 8, 8), high);
    assert_eq!(b.extract(64, after, 0, 8), low);
}

#[test]
fn constants_come_together() {
    let mut b = builder();
    let x = b.get(slot("a"));
    let (k8, k16) = (b.konst(64, 8), b.konst(64, 16));
    let once = b.add(64, x, k8);
    let twice = b.add(64, k8, once);
    assert_eq!(twice, b.add(64, x, k16));
    assert_eq!(b.sub(64, twice, k16), x);
    let minus = b.konst(64, -24);
    let back = b.sub(64, once, minus);
    let difference = b.sub(64, back, x);
    assert_eq!(b.as_const(difference), Some(32));
}

#[test]
fn equal_operations_are_one_value() {
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    assert_eq!(b.mul(64, x, y), b.mul(64, y, x));
    assert_eq!(b.get(slot("a")), x);
    b.put(slot("a"), y);
    assert_eq!(b.get(slot("a")), y);
    let before = b.len();
    for i in 0..1000 {
        let k = b.konst(64, i);
        b.add(64, x, k);
    }
    let emitted = b.len() - before;
    for i in 0..1000 {
        let k = b.konst(64, i);
        b.add(64, x, k);
    }
    assert_eq!(b.len() - before, emitted);
    finish(b);
}

#[test]
fn selects_of_bits_are_logic() {
    let mut b = builder();
    let (c, d) = (b.get(slot("C")), b.get(slot("Z")));
    let (one, zero) = (b.konst(64, 1), b.konst(64, 0));
    let set = b.select(64, c, one, zero);
    assert_eq!(inst(&b, set), (Op::Zext, Ty::I64, Attr(0), c));
    let minus = b.konst(64, -1);
    let mask = b.select(64, c, minus, zero);
    assert_eq!(inst(&b, mask), (Op::Sext, Ty::I64, Attr(0), c));
    assert_eq!(b.neg(64, set), mask);
    let f = b.konst(1, 0);
    let both = b.select(1, c, d, f);
    assert_eq!(inst(&b, both).0, Op::And);
    let not = b.not(1, c);
    assert_eq!(b.select(64, not, zero, one), set);
}

#[test]
fn fields_of_wide_values_are_lanes() {
    let mut b = builder();
    let v = b.get(slot("v"));
    let (low, high) = (b.extract(128, v, 0, 64), b.extract(128, v, 64, 64));
    assert_eq!(b.concat(64, high, 64, low), v);
    let byte = b.lane(8, 128, v, 5);
    assert_eq!(inst(&b, byte), (Op::Vget, Ty::I8, Attr::imms(5, 0), v));
    let put = b.with_lane(64, 128, v, 1, low);
    assert_eq!(b.lane(64, 128, put, 1), low);
    let widened = b.zext(64, 128, low);
    assert_eq!(b.low(128, 64, widened), low);
    let above = b.lane(32, 128, widened, 2);
    assert_eq!(b.as_const(above), Some(0));
    let all: Vec<_> = (16..32).map(Some).collect();
    let w = b.get(slot("w"));
    assert_eq!(b.shuffle(8, 128, v, w, &all), w);
}

#[test]
fn a_rounding_that_is_the_mode_is_the_mode() {
    use crate::inst::Round;
    let mut b = builder();
    let x = b.get(slot("a"));
    let dynamic = b.f2(Op::Fadd, 64, 64, x, x, Round::Even);
    assert_eq!(b.inst(dynamic).attr.round(), Round::Mode);
    let toward_zero = b.f2(Op::Fadd, 64, 64, x, x, Round::Zero);
    assert_eq!(b.inst(toward_zero).attr.round(), Round::Zero);
    let again = b.f2(Op::Fadd, 64, 64, x, x, Round::Zero);
    assert_ne!(again, toward_zero, "operations that raise flags are all kept");
}

#[test]
fn constant_conditions_decide_exits() {
    let mut b = builder();
    let (yes, no) = (b.konst(1, 1), b.konst(1, 0));
    b.branch(no, 0x2000);
    assert!(!b.ended());
    b.branch(yes, 0x3000);
    assert!(b.ended());
    let unit = finish(b);
    assert_eq!(unit.exits.iter().map(|e| e.target).collect::<Vec<_>>(), [0x3000]);
}
