//! Turns of a loop in one unit: however many there are, the state is that of as many runs of the loop's body.

use super::support::{GUEST, builder, run, slot};
use crate::inst::{Op, Val};
use crate::interp::Outcome;
use crate::unit::Unit;
use crate::{Builder, GuestState};

/// Adds a constant to a slot.
fn add(b: &mut Builder<'static>, name: &str, k: i128) -> Val {
    let (v, k) = (b.get(slot(name)), b.konst(64, k));
    let sum = b.add(64, v, k);
    b.put(slot(name), sum);
    sum
}

/// The loop `b += 8; a -= 1; if a != 0 goto start` at 0x1000, `most` times in a unit, and the sums of `b`.
fn unit(most: usize, mode: u32) -> (Unit, Vec<Val>) {
    let mut b = builder();
    let mut sums = Vec::new();
    loop {
        sums.push(add(&mut b, "b", 8));
        b.end_insn();
        b.allow_turn(sums.len() < most);
        b.begin_insn(0x1004);
        b.set_len(4);
        if mode != 0 {
            b.set_mode(2, 6, mode);
        }
        add(&mut b, "a", -1);
        let (a, zero) = (b.get(slot("a")), b.konst(64, 0));
        let more = b.ne(64, a, zero);
        b.branch(more, 0x1000);
        b.end_insn();
        if !b.turns() {
            return (b.finish(0x1008), sums);
        }
        b.begin_insn(0x1000);
        b.set_len(4);
    }
}

#[test]
fn any_number_of_turns_in_a_unit_does_the_same() {
    for most in 1..5 {
        let (unit, sums) = unit(most, 0);
        assert_eq!(sums.len(), most);
        for turns in 1..11u64 {
            let mut state = GuestState::new(&GUEST);
            state.set(&GUEST, slot("a"), turns.into());
            state.pc = 0x1000;
            let mut entered = 0;
            while state.pc == 0x1000 {
                assert!(matches!(run(&unit, &mut state), Outcome::Exit { .. }));
                entered += 1;
            }
            let value = |name| state.get(&GUEST, slot(name));
            assert_eq!((state.pc, value("a"), value("b")), (0x1008, 0, u128::from(turns) * 8));
            assert_eq!(entered, turns.div_ceil(most as u64), "{turns} turns, {most} in a unit");
        }
    }
}

#[test]
fn what_moves_on_is_computed_from_the_turn_before() {
    let (unit, sums) = unit(4, 0);
    for pair in sums.windows(2) {
        let sum = unit.insts[pair[1].index()];
        assert_eq!((sum.op, sum.args[0]), (Op::Add, pair[0]));
    }
}

#[test]
fn a_loop_that_changes_the_mode_stays_as_it_is() {
    assert_eq!(unit(4, 5).1.len(), 1);
}
