//! Small units with known results.

use ir::Ty;
use ir::guest::Slot;
use ir::inst::{Attr, Op};

use super::harness::{GUEST, Machine, PC, Writer};
use crate::x64::Features;

#[test]
fn adds_two_registers() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    let (a, b) = (w.get(0), w.get(9));
    let sum = w.op(Op::Add, Ty::I64, Attr(0), &[a, b]);
    w.put(1, sum);
    w.put(10, sum);
    let unit = w.end(PC + 4);
    let compiled = m.compile(&unit);
    m.thread.guest.set(&GUEST, Slot(0), 40);
    m.thread.guest.set(&GUEST, Slot(9), 2);
    m.run(&compiled);
    assert_eq!(m.thread.guest.get(&GUEST, Slot(1)), 42);
    assert_eq!(m.thread.guest.get(&GUEST, Slot(10)), 42);
    assert_eq!(m.thread.guest.pc, PC + 4);
}
