//! Accesses that nobody may come between, and their order.
//!
//! As long as one thread alone accesses the guest's memory, nothing comes between the parts of an access: signals are handled at polls,
//! and a fault leaves everything as it was. Code is generated for that. It becomes code for memory that is shared by flipping bits of
//! it in place, once and for all ([`Interlock`]); both forms have the same length, the same registers and the same points that can fault.

use std::mem::offset_of;

use serde::{Deserialize, Serialize};

use super::Gpr;
use super::asm::{Alu, Asm, Mem, RAX, cc};
use super::generator::Gen;
use crate::thread_state::ThreadState;

/// A byte of generated code that is another one where memory is shared.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Interlock {
    /// Offset in the code.
    pub at: u32,
    /// Bits that differ.
    pub flip: u8,
}

/// Makes code that has the bytes of one form have those of the other.
pub(crate) fn flip(code: &mut [u8], interlocks: &[Interlock]) {
    for interlock in interlocks {
        code[interlock.at as usize] ^= interlock.flip;
    }
}

/// The prefix `lock`, and one that means nothing (`ds`).
const LOCK: u8 = 0xf0;
const NOTHING: u8 = 0x3e;

impl Gen<'_> {
    /// Locks the instruction that follows, where memory is shared.
    pub(super) fn lock_next(&mut self) {
        self.interlocks.push(Interlock { at: self.asm.at(), flip: LOCK ^ NOTHING });
        self.asm.byte(NOTHING);
    }

    /// Where memory is shared, the code from offset `from` on is what `shared` emits instead.
    fn if_shared(&mut self, from: u32, shared: impl FnOnce(&mut Asm)) {
        let alone = self.asm.code.split_off(from as usize);
        shared(&mut self.asm);
        let shared_len = self.asm.at() - from;
        self.asm.nops((alone.len() as u32).saturating_sub(shared_len));
        let shared = self.asm.code.split_off(from as usize);
        self.asm.bytes(&alone);
        self.asm.nops((shared.len() - alone.len()) as u32);
        let pairs = (from..).zip(self.asm.code[from as usize..].iter().zip(&shared));
        self.interlocks.extend(pairs.filter(|(_, (a, s))| a != s).map(|(at, (a, s))| Interlock { at, flip: a ^ s }));
    }

    /// Everything before is seen before everything after: a locked no-op on our own memory.
    pub(super) fn full_fence(&mut self) {
        self.flags = None;
        self.if_shared(self.asm.at(), |asm| {
            asm.byte(LOCK);
            asm.alu_mi(Alu::Or, 4, Self::field(offset_of!(ThreadState, fence_pad)), 0);
        });
    }

    /// Stores `t`, which is lost, seen before everything after.
    pub(super) fn store_in_order(&mut self, size: u32, m: Mem, t: Gpr) {
        let from = self.asm.at();
        self.asm.store(size, m, t);
        self.if_shared(from, |asm| exchange(asm, size, t, m));
    }

    /// Loads the zero-extended `d` and stores `t`, which is lost; the second access can fault like the first, which is here.
    pub(super) fn swap(&mut self, size: u32, d: Gpr, t: Gpr, m: Mem) {
        let from = self.asm.at();
        self.asm.load(size, d, m);
        self.may_fault();
        self.asm.store(size, m, t);
        self.if_shared(from, |asm| {
            exchange(asm, size, t, m);
            if size < 4 { asm.zext_rr(size, d, t) } else { asm.mov_rr(size, d, t) }
        });
    }

    /// Stores `v` if memory has what `rax`, which is lost, has, and compares the two; the store can fault like the load, which is here.
    pub(super) fn replace_equal(&mut self, size: u32, m: Mem, v: Gpr) {
        let from = self.asm.at();
        self.asm.alu_mr(Alu::Cmp, size, m, RAX);
        let other = self.asm.jcc_short(cc::NE);
        self.may_fault();
        self.asm.store(size, m, v);
        self.asm.land(other);
        self.if_shared(from, |asm| locked(asm, size, cmpxchg(size), v, m));
    }

    /// Stores `t`, made of `rax`, which was loaded; where memory is shared and has something else by now, goes back to `again` with that in
    /// `rax`. The store is here.
    pub(super) fn store_or_repeat(&mut self, size: u32, m: Mem, t: Gpr, again: u32) {
        let from = self.asm.at();
        self.asm.store(size, m, t);
        self.if_shared(from, |asm| {
            locked(asm, size, cmpxchg(size), t, m);
            asm.jcc_back(cc::NE, again);
        });
    }
}

/// Opcode of `cmpxchg`.
pub(super) fn cmpxchg(size: u32) -> u32 {
    if size == 1 { 0x0fb0 } else { 0x0fb1 }
}

fn locked(asm: &mut Asm, size: u32, opcode: u32, reg: Gpr, m: Mem) {
    asm.byte(LOCK);
    asm.op_rm(size, opcode, reg, m);
}

/// `xchg`, locked by itself.
fn exchange(asm: &mut Asm, size: u32, t: Gpr, m: Mem) {
    asm.op_rm(size, if size == 1 { 0x86 } else { 0x87 }, t, m);
}
