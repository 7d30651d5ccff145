//! Short branches forward: each way through them ends in the state that the branch as an exit would give.

use super::support::{GUEST, Memory, builder, slot};
use crate::builder::Conversion;
use crate::inst::{MemAttr, Op, Val};
use crate::interp::{self, Outcome};
use crate::unit::Unit;
use crate::{Builder, GuestState};

/// An instruction behind the branch, and its length.
type Step = (fn(&mut Builder<'static>), u32);

/// `c = c + 1`.
fn count(b: &mut Builder<'static>) {
    let (c, one) = (b.get(slot("c")), b.konst(64, 1));
    let sum = b.add(64, c, one);
    b.put(slot("c"), sum);
}

/// Stores where `a` points.
fn store(b: &mut Builder<'static>) {
    let (a, k) = (b.get(slot("a")), b.konst(64, 7));
    b.store(64, a, k, MemAttr::PLAIN);
}

fn jump(b: &mut Builder<'static>) {
    b.jump(0x3000);
}

/// Writes more than is worth choosing.
fn many(b: &mut Builder<'static>) {
    let k = b.konst(64, 3);
    for name in ["b", "c", "d"] {
        b.put(slot(name), k);
    }
}

/// Happens only if `a` is even.
fn predicated(b: &mut Builder<'static>) {
    let a = b.get(slot("a"));
    let odd = b.low(64, 1, a);
    let even = b.not(1, odd);
    b.predicate(even);
    count(b);
}

/// A unit with a branch to `target` if Z is set, at 0x1000 and four bytes long, and after it `steps`.
fn unit(converts: bool, target: u64, steps: &[Step]) -> Unit {
    let mut b = builder();
    if converts {
        b.convert_short_branches(Conversion::SHORT);
    }
    let z: Val = b.get(slot("Z"));
    b.branch(z, target);
    b.end_insn();
    let mut pc = 0x1004;
    for (step, len) in steps {
        if b.ended() {
            break;
        }
        b.begin_insn(pc);
        b.set_len(*len);
        step(&mut b);
        b.end_insn();
        pc += u64::from(*len);
    }
    b.finish(pc)
}

fn run(unit: &Unit, a: u128, z: u128) -> (GuestState, bool) {
    let mut state = GuestState::new(&GUEST);
    for (name, value) in [("a", a), ("c", 5), ("Z", z)] {
        state.set(&GUEST, slot(name), value);
    }
    let outcome = interp::run(&GUEST, unit, &mut state, &mut Memory::new());
    (state, matches!(outcome, Outcome::Fault(_)))
}

/// Runs on from an exit as the dispatcher would, in units of one instruction, until an address that no step is at.
fn to_the_end(first: &Unit, steps: &[Step], a: u128, z: u128) -> ([u128; 7], bool) {
    let (mut state, mut fault) = run(first, a, z);
    loop {
        let mut pc = 0x1004;
        let next = steps.iter().find(|(_, len)| {
            pc += u64::from(*len);
            state.pc == pc - u64::from(*len)
        });
        let Some((step, len)) = next.filter(|_| !fault) else {
            let get = |name| state.get(&GUEST, slot(name));
            let all = [state.pc.into(), state.mode.into(), get("a"), get("b"), get("c"), get("d"), get("Z")];
            return (all, fault);
        };
        let mut b = Builder::new(&GUEST, crate::unit::UnitKey { pc: state.pc, mode: 0 });
        b.begin_insn(state.pc);
        b.set_len(*len);
        step(&mut b);
        b.end_insn();
        let one = b.finish(state.pc + u64::from(*len));
        fault = matches!(interp::run(&GUEST, &one, &mut state, &mut Memory::new()), Outcome::Fault(_));
    }
}

#[test]
fn both_ways_end_in_the_same_state_as_with_an_exit() {
    let bodies: [fn(&mut Builder<'static>); 5] = [count, store, jump, many, predicated];
    for first in bodies {
        for second in bodies {
            for lens in [[4, 4], [2, 4], [2, 2], [4, 2], [6, 4]] {
                for target in [0x1004, 0x1006, 0x1008, 0x100a, 0x100c, 0x1010, 0xfff] {
                    for count_of in 0..3 {
                        let steps: &[Step] = &[(first, lens[0]), (second, lens[1]), (count, 4)][..=count_of];
                        let [converted, plain] = [true, false].map(|converts| unit(converts, target, steps));
                        for (a, z) in [(0x110, 0), (0x110, 1), (1, 0), (1, 1)] {
                            let [one, other] = [&converted, &plain].map(|unit| to_the_end(unit, steps, a, z));
                            assert_eq!(one, other, "{lens:?}, {count_of}, to {target:#x}, {a:#x}, Z {z}");
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn what_only_writes_registers_has_no_exit() {
    let exits = |unit: &Unit| unit.insts.iter().filter(|inst| inst.op == Op::ExitIf).count();
    assert_eq!(exits(&unit(true, 0x1008, &[(count, 4), (store, 4)])), 0);
    assert_eq!(exits(&unit(true, 0x100c, &[(count, 4), (count, 4), (store, 4)])), 0);
    assert_eq!(exits(&unit(true, 0x1008, &[(store, 4), (store, 4)])), 1);
    assert_eq!(exits(&unit(true, 0x1008, &[(many, 4), (store, 4)])), 1);
    assert_eq!(exits(&unit(true, 0x1008, &[(jump, 4), (store, 4)])), 1, "the jump is the exit");
    assert_eq!(exits(&unit(true, 0x1010, &[(count, 4), (count, 4), (count, 4)])), 1, "not short");
    assert_eq!(exits(&unit(true, 0x1008, &[])), 1, "nothing behind it in the unit");
}

#[test]
fn what_was_chosen_is_known_where_an_exit_decides() {
    let unit = unit(true, 0x100c, &[(count, 4), (store, 4), (count, 4)]);
    let selects = |unit: &Unit| unit.insts.iter().filter(|inst| inst.op == Op::Select).count();
    let last = unit.puts.iter().rev().find(|put| put.slot == slot("c")).unwrap();
    let sum = unit.insts[last.val.index()];
    assert_eq!((sum.op, selects(&unit)), (Op::Add, 1), "of what was counted before, plus two");
    let plain = super::short_branches::unit(false, 0x100c, &[(count, 4), (store, 4), (count, 4)]);
    for (a, z) in [(0x110, 0), (0x110, 1), (1, 0), (1, 1)] {
        let [one, other] = [&unit, &plain].map(|unit| to_the_end(unit, &[(count, 4), (store, 4), (count, 4)], a, z));
        assert_eq!(one, other, "{a:#x}, Z {z}");
    }
}
