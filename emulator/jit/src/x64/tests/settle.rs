//! Deferred condition flags are brought home by the stub as by Rust code.

use ir::guest::Slot;
use ir::inst::{Attr, Op};
use ir::{GuestState, Ty};

use super::harness::{FLAGS, GUEST, Machine, PC, Writer};
use crate::thread_state::{Deferred, ThreadState};
use crate::x64::analysis::CondKind;
use crate::x64::asm::cc;
use crate::x64::deferred::{CONDITION, CONSTANT, FLAG_BITS, KIND_AT, SMALL_AT, TYPE_AT};
use crate::x64::{Convention, Features, deferred};

const OPERANDS: [u64; 9] = [0, 1, 5, 0x7f, 0x80, 0x8000, 0x7fff_ffff, 0xffff_ffff_8000_0000, u64::MAX];
/// Registers of the guest that hold no flag in the unit below: all of those in host registers.
const WORDS: std::ops::Range<u16> = 0..7;

/// `Deferred::what` with a code for each flag.
fn what(kind: CondKind, ty: Ty, small: Option<u32>, codes: [u32; 4]) -> u32 {
    let flags = codes.iter().enumerate().fold(0, |what, (i, code)| what | code << (FLAG_BITS * i as u32));
    flags | (kind as u32) << KIND_AT | (ty as u32) << TYPE_AT | small.map_or(0, |k| (k + 1) << SMALL_AT)
}

/// The flags as Rust code brings them home.
fn expected(deferred: Deferred) -> [u128; 4] {
    let mut thread = ThreadState::new(&GUEST, crate::t1::ENTRIES);
    thread.deferred = deferred;
    deferred::settle(&Convention::new(&GUEST), &mut thread);
    std::array::from_fn(|i| thread.guest.get(&GUEST, Slot(FLAGS + i as u16)))
}

#[test]
fn flags_come_home_as_rust_code_brings_them() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    for i in 0..4 {
        let flag = w.get(FLAGS + i);
        let wide = w.op(Op::Zext, Ty::I64, Attr(0), &[flag]);
        w.put(8 + i, wide);
    }
    let unit = w.end(PC + 4);
    let compiled = m.compile(&unit);
    let integer = [cc::O, cc::B, cc::E, cc::BE, cc::S, cc::L, cc::LE].map(|code| CONDITION + u32::from(code));
    let conditions = integer.into_iter().flat_map(|code| [code, code + 1]);
    let mut codes: Vec<u32> = conditions.chain([0, CONSTANT, CONSTANT + 1]).collect();
    let kinds = [CondKind::Cmp, CondKind::Test, CondKind::Add, CondKind::Bit];
    let types = [Ty::I1, Ty::I8, Ty::I16, Ty::I32, Ty::I64];
    for (kind, ty) in kinds.into_iter().flat_map(|kind| types.map(|ty| (kind, ty))) {
        for (a, b) in OPERANDS.into_iter().flat_map(|a| OPERANDS.map(|b| (a, b))) {
            codes.rotate_left(1);
            let small = (b < 30).then_some(b as u32).filter(|_| a != b);
            let what = what(kind, ty, small, [codes[0], codes[3], codes[7], codes[12]]);
            let deferred = Deferred { a, b: if small.is_some() { 77 } else { b }, what };
            m.thread.guest = GuestState::new(&GUEST);
            WORDS.clone().for_each(|n| m.thread.guest.set(&GUEST, Slot(n), u128::from(n) + 100));
            m.thread.deferred = deferred;
            m.run(&compiled);
            let found: [u128; 4] = std::array::from_fn(|i| m.thread.guest.get(&GUEST, Slot(8 + i as u16)));
            assert_eq!(found, expected(deferred), "{kind:?} {ty:?} {a:#x} {b:#x} {what:#x}");
            assert!(WORDS.clone().all(|n| m.thread.guest.get(&GUEST, Slot(n)) == u128::from(n) + 100));
        }
    }
}
