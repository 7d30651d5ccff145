//! Atomic updates that are one operation, and those that start again.

use super::support::{builder, finish, slot};
use crate::Builder;
use crate::inst::{AtomicOp, MemAttr, Op, Val};

/// Operations on memory, and exits on a condition, of an update by `new`, which gets the old value and another one.
fn operations(new: impl Fn(&mut Builder<'_>, Val, Val) -> Val) -> Vec<(Op, u8)> {
    let mut b = builder();
    let (addr, other) = (b.get(slot("a")), b.get(slot("b")));
    let old = b.load(64, addr, MemAttr::PLAIN);
    let new = new(&mut b, old, other);
    let before = b.atomic_update(64, addr, old, new, 0x1000);
    b.put(slot("a"), before);
    let unit = finish(b);
    let counts = |op| matches!(op, Op::Load | Op::Rmw | Op::Cas | Op::ExitIf);
    let kind = |inst: &crate::inst::Inst| if inst.op == Op::Rmw { inst.attr.kind() } else { 0 };
    unit.insts.iter().filter(|inst| counts(inst.op)).map(|inst| (inst.op, kind(inst))).collect()
}

fn assert_one(op: AtomicOp, new: impl Fn(&mut Builder<'_>, Val, Val) -> Val) {
    assert_eq!(operations(new), [(Op::Rmw, op as u8)]);
}

#[test]
fn sums_and_logic_are_one_operation() {
    assert_one(AtomicOp::Add, |b, old, x| b.add(64, x, old));
    assert_one(AtomicOp::Add, |b, old, x| b.sub(64, old, x));
    assert_one(AtomicOp::Add, |b, old, _| {
        let one = b.konst(64, 1);
        b.sub(64, old, one)
    });
    assert_one(AtomicOp::Or, |b, old, x| b.or(64, old, x));
    assert_one(AtomicOp::Xor, |b, old, x| b.xor(64, old, x));
    assert_one(AtomicOp::And, |b, old, x| b.and(64, x, old));
    assert_one(AtomicOp::Xor, |b, old, _| b.not(64, old));
    assert_one(AtomicOp::Add, |_, old, _| old);
    let exchange = |b: &mut Builder<'_>, old, x| {
        let equal = b.eq(64, old, x);
        let nine = b.konst(64, 9);
        b.select(64, equal, nine, old)
    };
    assert_eq!(operations(exchange), [(Op::Cas, 0)]);
}

#[test]
fn others_start_again_if_something_else_is_there() {
    let again = [(Op::Load, 0), (Op::Cas, 0), (Op::ExitIf, 0)];
    assert_eq!(operations(|b, old, _| b.neg(64, old)), again);
    assert_eq!(operations(|b, old, _| b.add(64, old, old)), again);
    let depends = |b: &mut Builder<'_>, old: Val, x: Val| {
        let product = b.mul(64, old, x);
        b.add(64, old, product)
    };
    assert_eq!(operations(depends), again);
}
