//! Instructions under a condition: what happens, what the state is at the exits, what the rest of the unit knows.

use super::support::{GUEST, Memory, builder, finish, slot};
use crate::builder::Hint;
use crate::inst::{MemAttr, Op};
use crate::interp::{self, Outcome};
use crate::unit::{ExitKind, Unit};
use crate::{Builder, GuestState};

/// Executes with `a`, `b` and the flag `Z`; returns the state and the kind of exit, `None` for a fault.
fn run(unit: &Unit, a: u128, b: u128, z: u128) -> (GuestState, Option<ExitKind>) {
    let mut state = GuestState::new(&GUEST);
    for (name, value) in [("a", a), ("b", b), ("Z", z)] {
        state.set(&GUEST, slot(name), value);
    }
    let outcome = interp::run(&GUEST, unit, &mut state, &mut Memory::new());
    let kind = match outcome {
        Outcome::Exit { exit, .. } => Some(unit.exits[exit.0 as usize].kind),
        Outcome::Fault(_) => None,
    };
    (state, kind)
}

fn get(state: &GuestState, name: &str) -> u128 {
    state.get(&GUEST, slot(name))
}

/// A builder whose instruction advances a context to 3 and happens if Z is set.
fn predicated() -> Builder<'static> {
    let mut b = builder();
    b.advance_mode(2, 3, 3);
    let z = b.get(slot("Z"));
    b.predicate(z);
    b
}

#[test]
fn register_writes_become_choices() {
    let mut b = predicated();
    let (a, one) = (b.get(slot("a")), b.konst(64, 1));
    let sum = b.add(64, a, one);
    b.put(slot("a"), sum);
    let twice = b.add(64, sum, sum);
    b.put(slot("c"), twice);
    let unit = finish(b);
    assert_eq!(unit.exits.len(), 1, "no side exit");
    for z in [0, 1] {
        let (s, kind) = run(&unit, 5, 0, z);
        assert_eq!(kind, Some(ExitKind::Jump));
        assert_eq!((get(&s, "a"), get(&s, "c")), if z == 1 { (6, 12) } else { (5, 0) });
        assert_eq!((s.pc, s.mode), (0x1004, 3 << 2));
    }
}

#[test]
fn an_effect_is_preceded_by_a_side_exit() {
    let mut b = predicated();
    let (a, k) = (b.get(slot("a")), b.konst(64, 7));
    b.put(slot("d"), k);
    let value = b.load(8, a, MemAttr::PLAIN);
    let wide = b.zext(8, 64, value);
    b.store(8, a, value, MemAttr::PLAIN);
    b.put(slot("c"), wide);
    b.end_insn();
    // The same condition again costs nothing, the opposite does not happen.
    b.begin_insn(0x1004);
    b.set_len(4);
    let z = b.get(slot("Z"));
    b.predicate(z);
    b.store(8, a, k, MemAttr::PLAIN);
    b.end_insn();
    b.begin_insn(0x1008);
    b.set_len(4);
    let not = b.not(1, z);
    b.predicate(not);
    let nowhere = b.konst(64, 0);
    b.load(8, nowhere, MemAttr::PLAIN);
    b.put(slot("d"), nowhere);
    b.end_insn();
    let unit = b.finish(0x100c);
    assert_eq!(unit.insts.iter().filter(|i| i.op == Op::ExitIf).count(), 1);

    let (s, _) = run(&unit, 0x110, 0, 1);
    assert_eq!((get(&s, "c"), get(&s, "d"), s.pc, s.mode), (0x10, 7, 0x100c, 3 << 2));
    let (s, _) = run(&unit, 0x110, 0, 0);
    assert_eq!((get(&s, "c"), get(&s, "d"), s.pc, s.mode), (0, 0, 0x1004, 3 << 2));
    // A fault is before the instruction: nothing written, the context not advanced.
    let (s, kind) = run(&unit, 0, 0, 1);
    assert_eq!((get(&s, "d"), s.pc, s.mode, kind), (0, 0x1000, 0, None));
}

/// ORRS with a carry of 1, if the carry is 1, and another instruction under that condition.
#[test]
fn a_flag_that_becomes_one_if_it_is_one_is_still_looked_at() {
    for opposite in [false, true] {
        let mut b = predicated();
        let (one, seven) = (b.konst(1, 1), b.konst(64, 7));
        b.put(slot("d"), seven);
        b.put(slot("Z"), one);
        b.end_insn();
        b.begin_insn(0x1004);
        b.set_len(4);
        let z = b.get(slot("Z"));
        let cond = if opposite { b.not(1, z) } else { z };
        b.predicate(cond);
        let a = b.get(slot("a"));
        let value = b.load(8, a, MemAttr::PLAIN);
        b.store(8, a, value, MemAttr::PLAIN);
        let wide = b.zext(8, 64, value);
        b.put(slot("c"), wide);
        b.end_insn();
        let unit = b.finish(0x1008);
        for z in [0, 1] {
            let (s, _) = run(&unit, 0x110, 0, z);
            let happens = (z == 1) != opposite;
            let expected = (if happens { 0x10 } else { 0 }, 7 * z, z);
            assert_eq!((get(&s, "c"), get(&s, "d"), get(&s, "Z")), expected, "{opposite} {z}");
        }
    }
}

#[test]
fn a_load_is_of_the_code_if_it_does_not_happen() {
    let mut b = predicated();
    let (a, k) = (b.get(slot("a")), b.konst(64, 7));
    b.put(slot("d"), k);
    let value = b.load(8, a, MemAttr::PLAIN);
    let wide = b.zext(8, 64, value);
    b.put(slot("c"), wide);
    let unit = finish(b);
    assert_eq!(unit.exits.len(), 1, "no side exit");
    let (s, kind) = run(&unit, 0x110, 0, 1);
    assert_eq!((get(&s, "c"), get(&s, "d"), s.pc, s.mode, kind), (0x10, 7, 0x1004, 3 << 2, Some(ExitKind::Jump)));
    // The address is none.
    let (s, kind) = run(&unit, 0, 0, 0);
    assert_eq!((get(&s, "c"), get(&s, "d"), s.pc, s.mode, kind), (0, 0, 0x1004, 3 << 2, Some(ExitKind::Jump)));
    let (s, kind) = run(&unit, 0, 0, 1);
    assert_eq!((get(&s, "d"), s.pc, s.mode, kind), (0, 0x1000, 0, None));
}

#[test]
fn loads_before_a_jump_are_behind_its_exit() {
    let mut b = predicated();
    let (a, eight) = (b.get(slot("a")), b.konst(64, 8));
    let first = b.load(8, a, MemAttr::PLAIN);
    let next = b.add(64, a, eight);
    let target = b.load(64, next, MemAttr::PLAIN);
    let wide = b.zext(8, 64, first);
    b.put(slot("c"), wide);
    b.jump_indirect(target, Hint::Plain);
    let unit = finish(b);
    let exits = |op| unit.insts.iter().position(|i| i.op == op);
    assert!(exits(Op::ExitIf) < exits(Op::Load), "nothing is loaded that is not used");
    let (s, kind) = run(&unit, 0x110, 0, 1);
    assert_eq!((get(&s, "c"), s.pc), (0x10, 0x1f1e_1d1c_1b1a_1918));
    assert_eq!(kind, Some(ExitKind::Indirect));
    let (s, kind) = run(&unit, 0, 0, 0);
    assert_eq!((get(&s, "c"), s.pc, s.mode, kind), (0, 0x1004, 3 << 2, Some(ExitKind::Jump)));
}

#[test]
fn a_jump_is_the_exit_itself() {
    let mut b = predicated();
    b.jump(0x2000);
    b.end_insn();
    assert!(!b.ended(), "the unit goes on where the jump is not taken");
    b.begin_insn(0x1004);
    b.set_len(4);
    let one = b.konst(64, 1);
    b.put(slot("c"), one);
    let unit = {
        b.end_insn();
        b.finish(0x1008)
    };
    let (s, _) = run(&unit, 0, 0, 1);
    assert_eq!((s.pc, s.mode, get(&s, "c")), (0x2000, 3 << 2, 0));
    let (s, _) = run(&unit, 0, 0, 0);
    assert_eq!((s.pc, s.mode, get(&s, "c")), (0x1008, 3 << 2, 1));
}

#[test]
fn a_call_writes_only_where_it_is_taken() {
    let mut b = predicated();
    let link = b.konst(64, 0x1004);
    b.put(slot("d"), link);
    b.set_mode(5, 1, 1);
    b.call(0x2000, 0x1004);
    let unit = finish(b);
    let (s, kind) = run(&unit, 0, 0, 1);
    assert_eq!((s.pc, s.mode, get(&s, "d"), kind), (0x2000, 3 << 2 | 1 << 5, 0x1004, Some(ExitKind::Call)));
    let call = unit.exits.iter().find(|e| e.kind == ExitKind::Call).expect("a call");
    assert_eq!((call.ret, call.ret_mode), (0x1004, 3 << 2), "the callee returns to the mode of the caller");
    let (s, _) = run(&unit, 0, 0, 0);
    assert_eq!((s.pc, s.mode, get(&s, "d")), (0x1004, 3 << 2, 0));
}

#[test]
fn traps_and_constant_conditions() {
    let mut b = predicated();
    b.undefined();
    let unit = finish(b);
    let (s, kind) = run(&unit, 0, 0, 1);
    assert!(matches!(kind, Some(ExitKind::Trap(_))));
    assert_eq!((s.pc, s.mode), (0x1000, 0));
    assert_eq!(run(&unit, 0, 0, 0).0.pc, 0x1004);

    for value in [0, 1] {
        let mut b = builder();
        let cond = b.konst(1, value);
        b.predicate(cond);
        let k = b.konst(64, 9);
        b.put(slot("c"), k);
        let unit = finish(b);
        assert_eq!(get(&run(&unit, 0, 0, 0).0, "c"), if value == 1 { 9 } else { 0 });
    }
}

/// A body that writes `d`, goes on unless Z is set, and writes `c`.
fn skipping() -> Builder<'static> {
    let mut b = builder();
    let (z, k) = (b.get(slot("Z")), b.konst(64, 7));
    b.put(slot("d"), k);
    b.skip_if(z);
    b.put(slot("c"), k);
    b
}

#[test]
fn what_follows_is_skipped() {
    let unit = finish(skipping());
    assert_eq!(unit.exits.len(), 1, "no side exit");
    for z in [0, 1] {
        let (s, _) = run(&unit, 0, 0, z);
        assert_eq!((get(&s, "d"), get(&s, "c"), s.pc), (7, if z == 1 { 0 } else { 7 }, 0x1004));
    }
}

#[test]
fn an_effect_is_skipped_in_the_mode_set_before() {
    let mut b = builder();
    let (z, a, k) = (b.get(slot("Z")), b.get(slot("a")), b.konst(64, 7));
    b.set_mode(2, 3, 3);
    b.put(slot("d"), k);
    b.skip_if(z);
    b.store(64, a, k, MemAttr::PLAIN);
    b.put(slot("c"), k);
    let unit = finish(b);
    let (s, kind) = run(&unit, 0x110, 0, 0);
    assert_eq!((get(&s, "d"), get(&s, "c"), s.mode, kind), (7, 7, 3 << 2, Some(ExitKind::Jump)));
    let (s, kind) = run(&unit, 0, 0, 1);
    assert_eq!((get(&s, "d"), get(&s, "c"), s.pc, s.mode, kind), (7, 0, 0x1004, 3 << 2, Some(ExitKind::Jump)));
}

#[test]
fn two_conditions_must_both_let_the_body_go_on() {
    let mut b = skipping();
    let (a, k) = (b.get(slot("a")), b.konst(64, 9));
    let zero = b.konst(64, 0);
    let none = b.eq(64, a, zero);
    b.skip_if(none);
    b.put(slot("c"), k);
    let unit = finish(b);
    for (a, z, c) in [(0, 0, 7), (1, 0, 9), (0, 1, 0), (1, 1, 0)] {
        let (s, _) = run(&unit, a, 0, z);
        assert_eq!((get(&s, "d"), get(&s, "c"), s.pc), (7, c, 0x1004), "{a} {z}");
    }
    for value in [0, 1] {
        let mut b = builder();
        let (cond, k) = (b.konst(1, value), b.konst(64, 9));
        b.skip_if(cond);
        b.put(slot("c"), k);
        assert_eq!(get(&run(&finish(b), 0, 0, 0).0, "c"), if value == 0 { 9 } else { 0 });
    }
}

/// Writes the flags unless `a` is 0, then loads from `b`.
fn shift_and_load() -> Builder<'static> {
    let mut b = builder();
    let (a, zero) = (b.get(slot("a")), b.konst(64, 0));
    let none = b.eq(64, a, zero);
    b.put(slot("d"), a);
    b.skip_if(none);
    for (flag, k) in [("N", 1), ("Z", 2), ("C", 3), ("V", 4)] {
        let k = b.konst(64, k);
        let value = b.eq(64, a, k);
        b.put(slot(flag), value);
    }
    b.end_insn();
    b.begin_insn(0x1004);
    b.set_len(4);
    b
}

#[test]
fn flags_that_an_access_would_find_are_not_chosen() {
    let mut b = shift_and_load();
    let at = b.get(slot("b"));
    let value = b.load(64, at, MemAttr::PLAIN);
    b.put(slot("c"), value);
    b.end_insn();
    let unit = b.finish(0x1008);
    assert_eq!(unit.exits.len(), 2, "a side exit");
    let flags = |s: &GuestState| ["N", "Z", "C", "V"].map(|name| get(s, name));
    let (s, _) = run(&unit, 3, 0x110, 1);
    assert_eq!((flags(&s), get(&s, "c"), get(&s, "d"), s.pc), ([0, 0, 1, 0], 0x1716_1514_1312_1110, 3, 0x1008));
    // The load fails.
    let (s, kind) = run(&unit, 4, 0, 1);
    assert_eq!((flags(&s), get(&s, "d"), s.pc, kind), ([0, 0, 0, 1], 4, 0x1004, None));
    // Nothing is written but what came before, and the load is left to the next unit.
    let (s, kind) = run(&unit, 0, 0x110, 1);
    assert_eq!((flags(&s), get(&s, "c"), s.pc, kind), ([0, 1, 0, 0], 0, 0x1004, Some(ExitKind::Jump)));
}

#[test]
fn flags_that_are_written_again_are_nobodys() {
    let mut b = shift_and_load();
    let k = b.konst(1, 1);
    for flag in ["N", "Z", "C", "V"] {
        b.put(slot(flag), k);
    }
    b.end_insn();
    b.begin_insn(0x1008);
    b.set_len(4);
    let at = b.get(slot("b"));
    b.load(64, at, MemAttr::PLAIN);
    b.end_insn();
    assert_eq!(b.finish(0x100c).exits.len(), 1, "no side exit");
}
