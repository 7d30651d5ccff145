//! Faults of every instruction that accesses memory, at every distance from the ends of what can be accessed: both engines report
//! the same fault and the whole state before the instruction.

mod support;

use std::collections::HashSet;

use ir::guest::{InsnTest, Slot};
use ir::inst::Op;
use ir::unit::UnitKey;
use ir::{Builder, Guest, Ty};
use jit::{Engine, Event, Jit, Thread};
use support::Code;
use support::engines::*;
use support::process::catch_faults;

/// Distances from an end at which something new may happen: every size of access fits, or not, by one byte.
const DISTANCES: [u64; 16] = [0, 1, 2, 3, 4, 5, 7, 8, 9, 12, 15, 16, 17, 31, 32, 33];

/// How pointers are distributed among the registers, for addresses that are the sum of two: all, those of even and those of odd
/// numbers, the others being small.
const PATTERNS: [fn(usize) -> bool; 3] = [|_| true, |slot| slot % 2 == 0, |slot| slot % 2 == 1];

/// Whether the instruction accesses memory, and always does the same.
fn accesses(guest: &'static Guest, mode: u32, test: &InsnTest) -> bool {
    let mut padded = [0; 16];
    padded[..test.code.len()].copy_from_slice(test.code);
    let mut builder = Builder::new(guest, UnitKey { pc: CODE, mode });
    builder.begin_insn(CODE);
    let ir::guest::Step::Done { len, .. } = (guest.translate)(&mut builder, CODE, &padded) else { return false };
    builder.end_insn();
    if builder.wants_slot() {
        return false; // a branch
    }
    let unit = builder.finish(CODE + u64::from(len));
    let memory = |op| matches!(op, Op::Load | Op::Store | Op::Rmw | Op::Cas | Op::Ll | Op::Sc);
    unit.insts.iter().any(|inst| memory(inst.op)) && unit.insts.iter().all(|inst| inst.op != Op::Helper)
}

/// Registers with pointers to `at` where the pattern says, something else elsewhere.
fn registers(guest: &Guest, at: u64, pattern: fn(usize) -> bool) -> Vec<u128> {
    let value = |(i, slot): (usize, &ir::guest::SlotDesc)| match slot.ty {
        Ty::I32 | Ty::I64 if pattern(i) => at.into(),
        Ty::I32 | Ty::I64 => (i as u128 % 3) * 8,
        ty => 0x0123_4567_89ab_cdef_1122_3344_5566_7788_u128.rotate_left(i as u32) & ty.mask(),
    };
    guest.slots.iter().enumerate().map(value).collect()
}

/// Both engines on one instruction and one set of registers; whether it faulted.
fn compare(threads: &mut [Box<Thread>; 2], guest: &'static Guest, test: &InsnTest, at: u64, slots: &[u128]) -> bool {
    let mode = mode_of(guest, test);
    let before = state_of(guest, mode, slots);
    let memory: Vec<u8> = (0..DATA_LEN).map(|i| (i % 251) as u8).collect();
    let [expected, found] = threads.each_mut().map(|thread| run_from(thread, guest, &before, &memory));
    let differ = differences(guest, &expected, &found);
    let what = || format!("{} {} `{}`, pointers to {at:#x}", guest.name, test.at, test.text);
    assert!(differ.is_empty(), "{}:\n{}", what(), differ.join("\n"));
    let faulted = matches!(found.event, Event::Fault(_));
    // Only x86 has instructions that stop half-way, with what is left in their registers.
    if faulted && !test.text.starts_with("rep") {
        let changed = (0..slots.len())
            .filter(|&i| found.state.get(guest, Slot(i as u16)) != slots[i])
            .map(|i| guest.slots[i].name);
        assert_eq!(changed.collect::<Vec<_>>(), [""; 0], "{}: changed by a fault", what());
        assert_eq!((found.state.pc, found.state.mode), (CODE, mode), "{}", what());
    }
    faulted
}

#[test]
fn every_access_faults_alike_at_every_distance_from_the_ends() {
    let _turn = catch_faults(None);
    for guest in guests::ALL {
        let code = placed(Vec::new());
        let mut threads = [Engine::Interp, Engine::T1]
            .map(|engine| Thread::new(Jit::new(guest, Code::from_start(&code), options(engine))));
        let (mut faults, mut instructions, mut seen) = (0, 0, HashSet::new());
        let (start, end) = (data_of(guest), data_of(guest) + DATA_LEN as u64);
        for test in guests::tests(guest) {
            if !seen.insert((test.code, mode_of(guest, test))) || !accesses(guest, mode_of(guest, test), test) {
                continue;
            }
            instructions += 1;
            code.write().unwrap().1 = test.code.to_vec();
            threads.iter().for_each(|thread| thread.jit().invalidate_all());
            for at in DISTANCES.into_iter().flat_map(|distance| [start + distance, end - distance]) {
                for pattern in PATTERNS {
                    let slots = registers(guest, at, pattern);
                    faults += u32::from(compare(&mut threads, guest, test, at, &slots));
                }
            }
        }
        eprintln!("{}: {instructions} instructions, {faults} faults", guest.name);
        assert!(faults > 10 * instructions && instructions > 10, "{}: {instructions}, {faults} faults", guest.name);
    }
}
