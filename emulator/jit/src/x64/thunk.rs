//! The unit that calls a native function in place of guest code.
//!
//! ```text
//! pinned registers → home, pc → home    # the guest state is complete: a fault needs nothing but a way out
//! argument registers → rdi rsi rdx …    # from registers where they still are, else from home
//! host stack; call                      # `native_under_way` says which function, for the fault handler
//! return stack; count
//! result → its register; pinned registers that the call lost ← home
//! return to the address in the guest's return-address register
//! ```
//!
//! Functions of values are called through Rust, which knows where their scalars are.
//!
//! The floating-point environment stays the guest's: native functions do not compute with floats.

use std::mem::offset_of;

use ir::guest::Slot;
use ir::unit::UnitKey;
use ir::{Guest, GuestState, Ty};

use super::asm::{Alu, Asm, Mem, RAX, RCX, RDX, RSP, cc};
use super::{CALLER_SAVED, Compiled, Compiler, Convention, Gpr, StubId};
use crate::marshal::MAX_ARGS;
use crate::native::{self, Bytes, Host, NativeFn, Ready};
use crate::native_counters::{ROW, Row, SAMPLE_EVERY};
use crate::thread_state::{Leave, ThreadState, disp, jump_tag, slot_disp};

/// Argument registers of the host's convention.
const HOST_ARGS: [Gpr; MAX_ARGS] = [7, 6, 2, 1, 8, 9];

/// The order in which they are filled: those that never hold a pinned slot first.
const FILL: [usize; MAX_ARGS] = [1, 2, 3, 4, 5, 0];

/// A field of the thread's block.
macro_rules! field {
    ($($name:tt)+) => { Mem::state(disp(offset_of!(ThreadState, $($name)+))) };
}

/// The emission of one thunk.
struct Thunk<'a> {
    asm: Asm,
    guest: &'a Guest,
    conv: &'a Convention,
    function: &'a NativeFn,
    args: &'a [Slot],
}

impl Compiler {
    /// Makes the unit that calls a function at `key`, to be found in [`Compiler::output`]. With `sampled`, every
    /// [`SAMPLE_EVERY`]th call leaves for Rust instead. False if the guest's calling convention does not allow it.
    pub(crate) fn compile_thunk(&mut self, key: UnitKey, ready: &Ready, sampled: bool) -> bool {
        let (guest, function) = (self.guest, &ready.function);
        let wide = |slot: Slot| guest.slots[slot.0 as usize].ty == Ty::I64;
        if !guest.abi.return_address.is_some_and(wide) {
            return false;
        }
        let registers = ready.plan.registers(guest);
        let fits = registers.is_some();
        let (args, result) = registers.unwrap_or_default();
        let mut thunk = Thunk { asm: Asm::default(), guest, conv: &self.conv, function, args: &args };
        thunk.store_state(key.pc);
        if sampled {
            thunk.leave_for_sample();
        }
        match function.call {
            Host::Words(call) if fits => {
                thunk.call(call as usize as u64);
                thunk.count();
                thunk.take_result(result);
            }
            Host::Words(_) => return false,
            Host::Values(_) => thunk.call_values(ready),
        }
        thunk.return_to_guest(key.mode);
        thunk.asm.finish();
        let Asm { code, relocs, .. } = thunk.asm;
        self.out = Compiled { code, relocs, ..Compiled::default() };
        true
    }
}

impl Thunk<'_> {
    fn home(&self, slot: Slot) -> Mem {
        Mem::state(slot_disp(self.guest.slots[slot.0 as usize].offset))
    }

    fn pinned(&self, slot: Slot) -> Option<Gpr> {
        self.conv.pins.iter().find(|pin| pin.0 == slot).map(|pin| pin.1)
    }

    /// Everything a fault handler or the dispatcher has to find in memory.
    fn store_state(&mut self, pc: u64) {
        for &(slot, r) in &self.conv.pins {
            let home = self.home(slot);
            self.asm.store(8, home, r);
        }
        for &(slot, x) in &self.conv.vector_pins {
            let (size, home) = (self.guest.slots[slot.0 as usize].ty.bytes(), self.home(slot));
            self.asm.store_xmm(size, home, x);
        }
        self.asm.mov_ri(RAX, pc);
        self.asm.store(8, Mem::state(disp(offset_of!(ThreadState, guest) + offset_of!(GuestState, pc))), RAX);
    }

    /// The function's row of counters, with its address in `rcx`.
    fn row(&mut self) -> Mem {
        self.asm.load(8, RCX, field!(native_counts));
        Mem::base(RCX, (self.function.id as usize * size_of::<Row>()) as i32)
    }

    /// Now and then the dispatcher makes the call, to measure it.
    fn leave_for_sample(&mut self) {
        let calls = self.row().offset(ROW.calls);
        self.asm.load(4, RAX, calls);
        self.asm.test_ri(4, RAX, SAMPLE_EVERY - 1);
        let go_on = self.asm.label();
        self.asm.jcc(cc::NE, go_on);
        self.leave_because(field!(native_sample));
        self.asm.bind(go_on);
    }

    /// Leaves for the dispatcher, which finds the function's number in a field of the thread's.
    fn leave_because(&mut self, why: Mem) {
        self.asm.store_imm(4, why, self.function.id as i32 + 1);
        self.asm.mov_ri(RAX, Leave::Redispatch as u64);
        self.asm.jmp_stub(StubId::Leave);
    }

    fn call(&mut self, function: u64) {
        let args = self.args;
        let mut filled = 0_u32;
        for k in FILL.into_iter().filter(|&k| k < args.len()) {
            let to = HOST_ARGS[k];
            match self.pinned(args[k]) {
                Some(from) if filled & 1 << from == 0 => {
                    if from != to {
                        self.asm.mov_rr(8, to, from);
                    }
                }
                _ => {
                    let home = self.home(args[k]);
                    self.asm.load(8, to, home);
                }
            }
            filled |= 1 << to;
        }
        self.asm.store(8, field!(jit_sp), RSP);
        self.asm.load(8, RSP, field!(host_sp));
        self.asm.store_imm(4, field!(native_under_way), self.function.id as i32 + 1);
        self.asm.mov_ri(RAX, function);
        self.asm.op_rr(4, 0xff, 2, RAX); // call rax
        self.asm.load(8, RSP, field!(jit_sp));
        self.asm.store_imm(4, field!(native_under_way), 0);
    }

    /// The whole call in Rust, from home to home. Where it declines, the dispatcher runs the guest's own code.
    fn call_values(&mut self, ready: &Ready) {
        self.asm.store(8, field!(jit_sp), RSP);
        self.asm.load(8, RSP, field!(host_sp));
        self.asm.lea(8, HOST_ARGS[0], Mem::state(disp(0)));
        self.asm.mov_ri(HOST_ARGS[1], std::ptr::from_ref(ready) as u64);
        self.asm.mov_ri(RAX, native::call_values as *const () as u64);
        self.asm.op_rr(4, 0xff, 2, RAX); // call rax
        self.asm.load(8, RSP, field!(jit_sp));
        // Before it leaves too: leaving brings the registers home.
        self.reload(|_| true);
        self.asm.test_rr(4, RAX, RAX);
        let done = self.asm.label();
        self.asm.jcc(cc::NE, done);
        self.leave_because(field!(native_declined));
        self.asm.bind(done);
    }

    /// Pinned registers from home, as far as asked for.
    fn reload(&mut self, wanted: impl Fn(Gpr) -> bool) {
        for &(slot, r) in &self.conv.pins {
            if wanted(r) {
                let home = self.home(slot);
                self.asm.load(8, r, home);
            }
        }
        for &(slot, x) in &self.conv.vector_pins {
            let (size, home) = (self.guest.slots[slot.0 as usize].ty.bytes(), self.home(slot));
            self.asm.load_xmm(size, x, home);
        }
    }

    /// Counts the call and its bytes; `rax` is kept.
    fn count(&mut self) {
        let row = self.row();
        self.asm.alu_mi(Alu::Add, 8, row.offset(ROW.calls), 1);
        match self.function.bytes {
            Bytes::Unknown => {}
            Bytes::Result => self.asm.alu_mr(Alu::Add, 8, row.offset(ROW.bytes), RAX),
            Bytes::Argument(k) => {
                let home = self.home(self.args[usize::from(k)]);
                self.asm.load(8, RDX, home);
                self.asm.alu_mr(Alu::Add, 8, row.offset(ROW.bytes), RDX);
            }
        }
    }

    fn take_result(&mut self, result: Option<Slot>) {
        let kept = result.and_then(|slot| self.pinned(slot));
        match (result, kept) {
            (Some(_), Some(r)) => self.asm.mov_rr(8, r, RAX),
            (Some(slot), None) => {
                let home = self.home(slot);
                self.asm.store(8, home, RAX);
            }
            (None, _) => {}
        }
        self.reload(|r| CALLER_SAVED.contains(&r) && Some(r) != kept);
    }

    fn return_to_guest(&mut self, mode: u32) {
        let Some(slot) = self.guest.abi.return_address else { return };
        match self.pinned(slot) {
            Some(r) => self.asm.mov_rr(8, RAX, r),
            None => {
                let home = self.home(slot);
                self.asm.load(8, RAX, home);
            }
        }
        let fold = jump_tag(0, mode);
        let tag = if fold == 0 { RAX } else { RDX };
        if fold != 0 {
            self.asm.mov_ri(RDX, fold);
            self.asm.alu_rr(Alu::Xor, 8, RDX, RAX);
        }
        self.asm.alu_mr(Alu::Cmp, 8, Mem::base(RSP, 8), tag);
        self.asm.jcc_stub(cc::NE, StubId::ReturnMiss);
        self.asm.byte(0xc3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::PIN_REGISTERS;

    #[test]
    fn pinned_registers_that_functions_may_change_are_reloaded() {
        let kept_by_functions = [3, 4, 5, 12, 13, 14, 15];
        assert!(PIN_REGISTERS.iter().all(|r| kept_by_functions.contains(r) || CALLER_SAVED.contains(r)));
    }
}
