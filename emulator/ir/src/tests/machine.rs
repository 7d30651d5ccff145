//! The interpreter's state at exits and faults.

use super::support::{GUEST, Memory, builder, finish, run, slot};
use crate::guest::Slot;
use crate::inst::{AtomicOp, MemAttr, Op, Order};
use crate::interp::{self, Outcome};
use crate::unit::{ExitKind, Trap, Unit, UnitKey};
use crate::{Builder, Guest, GuestState};

fn kind_of(unit: &Unit, outcome: Outcome<u64>) -> ExitKind {
    match outcome {
        Outcome::Exit { exit, .. } => unit.exits[exit.0 as usize].kind,
        Outcome::Fault(addr) => panic!("fault at {addr:#x}"),
    }
}

fn state(a: u128, b: u128) -> GuestState {
    let mut state = GuestState::new(&GUEST);
    state.set(&GUEST, slot("a"), a);
    state.set(&GUEST, slot("b"), b);
    state
}

fn seen(state: &GuestState, name: &str) -> u128 {
    state.get(&GUEST, slot(name))
}

#[test]
fn a_faulting_instruction_leaves_registers_as_they_were() {
    // 1000: c = 1.   1004: b = b + 8, then load from the old b: faults.   1008: c = 2.
    let mut b = builder();
    let one = b.konst(64, 1);
    b.put(slot("c"), one);
    b.end_insn();
    b.begin_insn(0x1004);
    let addr = b.get(slot("b"));
    let eight = b.konst(64, 8);
    let moved = b.add(64, addr, eight);
    b.put(slot("b"), moved);
    let loaded = b.load(64, addr, MemAttr::PLAIN);
    b.put(slot("a"), loaded);
    b.end_insn();
    b.begin_insn(0x1008);
    let two = b.konst(64, 2);
    b.put(slot("c"), two);
    b.end_insn();
    let unit = b.finish(0x100c);

    let mut s = state(5, 0x8000);
    assert_eq!(run(&unit, &mut s), Outcome::Fault(0x8000));
    assert_eq!((s.pc, seen(&s, "a"), seen(&s, "b"), seen(&s, "c")), (0x1004, 5, 0x8000, 1));

    let mut s = state(5, 0x110);
    assert_eq!(kind_of(&unit, run(&unit, &mut s)), ExitKind::Jump);
    assert_eq!((s.pc, seen(&s, "b"), seen(&s, "c")), (0x100c, 0x118, 2));
    assert_eq!(seen(&s, "a"), 0x1716_1514_1312_1110);
}

#[test]
fn a_store_before_the_fault_happened_and_one_after_did_not() {
    let mut b = builder();
    let (a, bad) = (b.get(slot("a")), b.get(slot("b")));
    let value = b.konst(8, 0x5a);
    b.store(8, a, value, MemAttr::PLAIN);
    b.load(8, bad, MemAttr::PLAIN);
    b.store(8, a, value, MemAttr::PLAIN);
    let unit = finish(b);
    let mut memory = Memory::new();
    let outcome = interp::run(&GUEST, &unit, &mut state(0x104, 0), &mut memory);
    assert_eq!(outcome, Outcome::Fault(0));
    assert_eq!(memory.log, ["store 0x104 I8 0x5a", "load 0x0 I8"]);
    assert_eq!(memory.bytes[4], 0x5a);
}

#[test]
fn a_taken_branch_has_the_writes_before_it() {
    let mut b = builder();
    let a = b.get(slot("a"));
    let one = b.konst(64, 1);
    b.put(slot("c"), one);
    b.end_insn();
    b.begin_insn(0x1004);
    b.set_len(4);
    let taken = b.ne(64, a, one);
    b.put(slot("d"), a);
    b.branch(taken, 0x2000);
    b.end_insn();
    b.begin_insn(0x1008);
    b.put(slot("c"), a);
    b.end_insn();
    let unit = b.finish(0x100c);
    let mut s = state(7, 0);
    run(&unit, &mut s);
    assert_eq!((s.pc, seen(&s, "c"), seen(&s, "d")), (0x2000, 1, 7));
    let mut s = state(1, 0);
    run(&unit, &mut s);
    assert_eq!((s.pc, seen(&s, "c"), seen(&s, "d")), (0x100c, 1, 1));
}

#[test]
fn traps_leave_the_state_before_the_instruction() {
    let unit = |conditional: bool| {
        let mut b = builder();
        let (a, two) = (b.get(slot("a")), b.konst(64, 2));
        b.put(slot("c"), two);
        if conditional {
            let odd = b.extract(64, a, 0, 1);
            b.trap_if(odd, Trap::Trap(3));
        } else {
            b.trap(Trap::Trap(3));
        }
        b.put(slot("d"), two);
        b.store(64, a, two, MemAttr::PLAIN);
        finish(b)
    };
    for conditional in [false, true] {
        let (unit, mut s) = (unit(conditional), state(0x111, 0));
        assert_eq!(kind_of(&unit, run(&unit, &mut s)), ExitKind::Trap(Trap::Trap(3)));
        assert_eq!((s.pc, seen(&s, "c"), seen(&s, "d")), (0x1000, 0, 0));
    }
    let (unit, mut s) = (unit(true), state(0x110, 0));
    run(&unit, &mut s);
    assert_eq!((s.pc, seen(&s, "c"), seen(&s, "d")), (0x1004, 2, 2));
}

#[test]
fn nothing_follows_an_unconditional_exit() {
    let mut b = builder();
    b.jump(0x3000);
    let a = b.get(slot("a"));
    let low = b.low(64, 8, a);
    b.store(8, a, low, MemAttr::PLAIN);
    b.put(slot("o"), low);
    b.jump(0x4000);
    b.undefined();
    assert!(b.ended());
    let unit = finish(b);
    assert_eq!((unit.insts.len(), unit.exits.len(), unit.puts.len()), (1, 1, 0));
    assert_eq!(unit.exits[0].target, 0x3000);
}

#[test]
fn exclusive_store_needs_address_size_and_value() {
    // a: address of the load; b: address of the store; between them a plain store of d to 0x140.
    let unit = |load: u32, store: u32, clear: bool| {
        let mut b = builder();
        let (from, to, between) = (b.get(slot("a")), b.get(slot("b")), b.get(slot("d")));
        b.load_exclusive(load, from, Order::Acquire);
        let place = b.konst(64, 0x140);
        b.store(64, place, between, MemAttr::PLAIN);
        if clear {
            b.clear_exclusive();
        }
        let value = b.konst(store, 0x77);
        let failed = b.store_exclusive(store, to, value, Order::Release);
        b.put(slot("N"), failed);
        finish(b)
    };
    let failed = |unit: &Unit, a: u128, b: u128| {
        let mut s = state(a, b);
        let mut memory = Memory::new();
        let outcome = interp::run(&GUEST, unit, &mut s, &mut memory);
        assert!(matches!(outcome, Outcome::Exit { .. }));
        assert_eq!(s.excl_addr, u64::MAX, "the monitor is clear afterwards");
        let stored = b != 0x140 && memory.bytes[b as usize - 0x100] == 0x77;
        assert_eq!(stored, seen(&s, "N") == 0 && b != 0x140);
        seen(&s, "N") == 1
    };
    assert!(!failed(&unit(64, 64, false), 0x120, 0x120));
    assert!(failed(&unit(64, 64, false), 0x120, 0x128), "other address");
    assert!(failed(&unit(64, 32, false), 0x120, 0x120), "other size");
    assert!(failed(&unit(64, 64, true), 0x120, 0x120), "cleared");
    assert!(failed(&unit(64, 64, false), 0x140, 0x140), "value changed between");
    assert!(!failed(&unit(128, 128, false), 0x120, 0x120));
}

#[test]
fn atomics_give_the_old_value() {
    let mut b = builder();
    let a = b.get(slot("a"));
    let one = b.konst(32, 1);
    let old = b.atomic(AtomicOp::Add, 32, a, one, Order::SeqCst);
    b.put(slot("s"), old);
    let expected = b.konst(8, 0x11);
    let new = b.konst(8, 0x99);
    let before = b.atomic_cas(8, a, expected, new, Order::Relaxed);
    b.put(slot("o"), before);
    let unit = finish(b);
    let (mut s, mut memory) = (state(0x110, 0), Memory::new());
    interp::run(&GUEST, &unit, &mut s, &mut memory);
    assert_eq!((seen(&s, "s"), seen(&s, "o")), (0x1312_1110, 0x11));
    assert_eq!(memory.bytes[0x10], 0x99);
}

#[test]
fn demanded_alignment_traps_before_the_access() {
    let mut b = builder();
    let a = b.get(slot("a"));
    let value = b.load(64, a, MemAttr { align_log2: 3, big_endian: true, ..MemAttr::PLAIN });
    b.put(slot("c"), value);
    let unit = finish(b);
    let mut s = state(0x104, 0);
    assert_eq!(kind_of(&unit, run(&unit, &mut s)), ExitKind::Trap(Trap::Alignment));
    assert_eq!(s.pc, 0x1000);
    let mut s = state(0x108, 0);
    run(&unit, &mut s);
    assert_eq!(seen(&s, "c"), 0x0809_0a0b_0c0d_0e0f);
}

#[test]
fn memory_operations_are_kept_in_order() {
    let mut b = builder();
    let a = b.get(slot("a"));
    b.load(8, a, MemAttr::PLAIN);
    b.load(8, a, MemAttr::PLAIN);
    b.fence(0xf);
    let value = b.konst(8, 1);
    b.store(8, a, value, MemAttr::PLAIN);
    b.store(8, a, value, MemAttr::PLAIN);
    b.fence(0xf);
    let unit = finish(b);
    let mut memory = Memory::new();
    interp::run(&GUEST, &unit, &mut state(0x100, 0), &mut memory);
    let expected =
        ["load 0x100 I8", "load 0x100 I8", "fence 15", "store 0x100 I8 0x1", "store 0x100 I8 0x1", "fence 15"];
    assert_eq!(memory.log, expected);
}

/// Barriers that are kept, of all 16, on a processor.
fn kept_barriers(total_store_order: bool) -> Vec<u32> {
    let guest: &'static Guest = Box::leak(Box::new(Guest { total_store_order, ..GUEST }));
    let is_kept = |bits: &u32| {
        let mut b = Builder::new(guest, UnitKey { pc: 0x1000, mode: 0 });
        b.begin_insn(0x1000);
        b.fence(*bits);
        b.end_insn();
        b.finish(0x1004).insts.iter().any(|inst| inst.op == Op::Fence)
    };
    (0..16).filter(is_kept).collect()
}

#[test]
fn only_barriers_between_stores_and_loads_do_something_in_total_store_order() {
    assert_eq!(kept_barriers(false), (0..16).collect::<Vec<_>>());
    assert_eq!(kept_barriers(true), [0b0110, 0b0111, 0b1110, 0b1111]);
}

#[test]
fn mode_changes_end_the_unit() {
    // A value known at translation: the unit goes on under the new mode, in which faults are,
    let mut b = builder();
    b.set_mode(2, 3, 5);
    b.end_insn();
    assert!(!b.ended());
    assert_eq!(b.mode(), 5 << 2);
    b.begin_insn(0x1004);
    b.set_len(4);
    let nowhere = b.konst(64, 0);
    b.load(8, nowhere, MemAttr::PLAIN);
    b.end_insn();
    let unit = b.finish(0x1008);
    let mut s = state(0, 0);
    assert_eq!(interp::run(&GUEST, &unit, &mut s, &mut Memory::new()), Outcome::Fault(0));
    assert_eq!((s.pc, s.mode), (0x1004, 5 << 2));

    // unless the floating-point environment is another.
    let mut b = builder();
    b.set_mode(0, 3, 5);
    b.end_insn();
    assert!(b.ended());
    let unit = b.finish(0x1004);
    let mut s = state(0, 0);
    assert_eq!(kind_of(&unit, run(&unit, &mut s)), ExitKind::Jump);
    assert_eq!((s.pc, s.mode), (0x1004, 5));

    // One known at run time: through the state, other bits kept, also those set before.
    let mut b = Builder::new(&GUEST, UnitKey { pc: 0x1000, mode: 0x43 });
    b.begin_insn(0x1000);
    b.set_len(4);
    b.set_mode(0, 2, 1);
    let a = b.get(slot("a"));
    let value = b.low(64, 3, a);
    b.set_mode_dynamic(2, 3, value);
    b.set_mode(7, 1, 1);
    b.end_insn();
    let unit = b.finish(0x1004);
    let mut s = state(0xfe, 0);
    assert_eq!(kind_of(&unit, run(&unit, &mut s)), ExitKind::Redispatch);
    assert_eq!((s.pc, s.mode), (0x1004, 0x40 | 1 | 6 << 2 | 1 << 7));
}

#[test]
fn a_mode_of_run_time_that_is_the_same_stays_in_the_unit() {
    // The unit's mode, and the one that a constant has brought, with the same floating-point environment.
    for (key, mode) in [(0x42, 0x42), (0x42, 0x52)] {
        let mut b = Builder::new(&GUEST, UnitKey { pc: 0x1000, mode: key });
        b.begin_insn(0x1000);
        b.set_len(4);
        b.set_mode(2, 4, mode >> 2 & 15);
        b.end_insn();
        b.begin_insn(0x1004);
        b.set_len(4);
        let a = b.get(slot("a"));
        let value = b.low(64, 2, a);
        b.set_mode_dynamic(0, 2, value);
        b.put(slot("c"), a);
        b.end_insn();
        assert!(!b.ended());
        b.begin_insn(0x1008);
        b.set_len(4);
        b.put(slot("b"), a);
        b.end_insn();
        let unit = b.finish(0x100c);
        let left = |a| {
            let mut s = state(a, 0);
            (kind_of(&unit, run(&unit, &mut s)), s.pc, s.mode, seen(&s, "c"), seen(&s, "b"))
        };
        assert_eq!(left(6), (ExitKind::Jump, 0x100c, mode, 6, 6));
        assert_eq!(left(7), (ExitKind::Redispatch, 0x1008, mode | 3, 7, 0));
    }
}

#[test]
fn indirect_exits_take_their_mode_from_the_state() {
    let leave = |lo| {
        let mut b = builder();
        let a = b.get(slot("a"));
        let bit = b.low(64, 1, a);
        b.set_mode_dynamic(lo, 1, bit);
        b.jump_indirect(a, crate::builder::Hint::Ret);
        let unit = finish(b);
        let mut s = state(0x5551, 0);
        (kind_of(&unit, run(&unit, &mut s)), s.pc, s.mode)
    };
    assert_eq!(leave(4), (ExitKind::Return, 0x5551, 1 << 4));
    assert_eq!(leave(1), (ExitKind::Redispatch, 0x5551, 1 << 1), "the rounding mode has to follow");
}

#[test]
fn code_is_entered_in_the_mode_that_its_address_says() {
    let guest = crate::Guest { interwork: Some(8), transient: 0xc, ..GUEST };
    assert_eq!(guest.entered(0x5551, 0x2e), (0x5550, 0x122));
    assert_eq!(guest.entered(0x5550, 0x12e), (0x5550, 0x22));
    assert_eq!(GUEST.entered(0x5551, 0x12e), (0x5551, 0x12e));
    let guest = crate::Guest { cleared: &[Slot(0)], ..GUEST };
    let mut entered = state(7, 9);
    entered.set(&guest, Slot(0), 5);
    guest.enter(&mut entered, 0x5550);
    assert_eq!((entered.get(&guest, Slot(0)), seen(&entered, "b"), entered.pc), (0, 9, 0x5550));
}

#[test]
fn helpers_see_and_change_the_state() {
    let mut b = builder();
    let nine = b.konst(64, 9);
    b.put(slot("a"), nine);
    let old = b.helper(1, 64, &[]).expect("a result");
    let new = b.get(slot("a"));
    b.put(slot("c"), old);
    b.put(slot("d"), new);
    b.end_insn();
    assert!(b.ended());
    let unit = b.finish(0x1004);
    let mut s = state(1, 0);
    run(&unit, &mut s);
    assert_eq!((seen(&s, "a"), seen(&s, "c"), seen(&s, "d")), (18, 9, 18));
}

#[test]
fn float_flags_accumulate_in_the_state() {
    use crate::inst::{Op, Round};
    let mut b = builder();
    let (one, three) = (b.konst(64, 1.0f64.to_bits().into()), b.konst(64, 3.0f64.to_bits().into()));
    b.f2(Op::Fdiv, 64, 64, one, three, Round::Mode);
    let flags = b.fp_flags();
    b.put(slot("s"), flags);
    let unit = finish(b);
    let mut s = state(0, 0);
    s.fflags = 1;
    run(&unit, &mut s);
    assert_eq!((seen(&s, "s"), s.fflags), (0x21, 0x21));
}

#[test]
fn indirect_exits_go_where_the_value_says() {
    use crate::builder::Hint;
    for (hint, kind) in
        [(Hint::Plain, ExitKind::Indirect), (Hint::Call, ExitKind::IndirectCall), (Hint::Ret, ExitKind::Return)]
    {
        let mut b = builder();
        let a = b.get(slot("a"));
        b.jump_indirect(a, hint);
        let unit = finish(b);
        let mut s = state(0x5550, 0);
        assert_eq!(kind_of(&unit, run(&unit, &mut s)), kind);
        assert_eq!(s.pc, 0x5550);
        assert_eq!(unit.exits[0].ret, if hint == Hint::Call { 0x1004 } else { 0 });
    }
}
