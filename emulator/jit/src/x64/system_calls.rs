//! The stub that performs system calls without leaving generated code.
//!
//! A call that means the same to the host's kernel as to the guest's ([`crate::Hooks::direct_calls`]) needs its arguments moved
//! from the guest's registers to the host's, and nothing else. The kernel keeps all registers but three, so that pinned slots
//! stay where they are, except in the registers of arguments.
//!
//! ```text
//! asked to stop, or number not in the table? leave as for any call
//! a function performs it? call it on the host stack, outside if it may sleep; else:
//! pinned slots in rdi, r8 to r11 → home; outside (world.rs); arguments → rdi rsi rdx r10 r8 r9
//! syscall; for calls that may sleep in the window, behind another look whether to stop
//! inside again; bad address? leave; result → its register; the exclusive monitor is clear; asked to stop? leave
//! (guests that have a flag for errors: leave for any error, else clear it)
//! rdi, r8 to r11 ← home; go on behind the guest's instruction
//! ```
//!
//! From the test in the window up to and including its `syscall` instruction, the call has not happened. A signal handler that
//! finds the program counter there moves it to the stub's exit for interrupted calls ([`Stubs::rewind`]).

use std::mem::offset_of;

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use ir::guest::{Guest, Slot};
use ir::{GuestState, Ty};

use super::stubs::{Emitter, Stubs, field};
use super::{CALLER_SAVED, Gpr};
use crate::direct_calls::{DECLINED, INTERRUPTED, KERNEL, SLEEPS};
use crate::thread_state::{Leave, slot_disp};

/// Argument registers of the host's system calls.
const HOST_ARGS: [Gpr; 6] = [7, 6, 2, 10, 8, 9];

/// Numbers of the bits [`KERNEL`] and [`SLEEPS`].
const KERNEL_BIT: i8 = KERNEL.trailing_zeros() as i8;
const SLEEPS_BIT: i8 = SLEEPS.trailing_zeros() as i8;

/// `-EFAULT`.
const BAD_ADDRESS: i32 = -libc::EFAULT;

/// Results from here on, unsigned, are errors.
const FIRST_ERROR: i32 = -4095;

/// Address that the exclusive monitor is on: kernels clear it on their way back.
const MONITOR: i32 = field!(guest) + offset_of!(GuestState, excl_addr) as i32;

/// Whether generated code can make the guest's system calls: number, arguments and result are words.
pub(crate) fn can_be_direct(guest: &Guest) -> bool {
    let call = &guest.syscall;
    let word = |slot: &Slot| matches!(guest.slots[slot.0 as usize].ty, Ty::I32 | Ty::I64);
    call.args.iter().chain([&call.number, &call.ret]).chain(&call.error).all(word)
}

/// Addresses in the stub.
#[derive(Clone, Copy, Debug, Default)]
pub struct Window {
    /// First address of the window.
    pub start: u64,
    /// The first one behind it.
    pub end: u64,
    /// Where a call that was interrupted in the window leaves.
    pub interrupted: u64,
}

impl Stubs {
    /// Where a thread that a signal interrupted at `pc` has to go on, if not there.
    #[must_use]
    pub fn rewind(&self, pc: u64) -> Option<u64> {
        (self.window.start..self.window.end).contains(&pc).then_some(self.window.interrupted)
    }
}

#[allow(clippy::useless_conversion)] // of the macro
impl Emitter<'_> {
    /// `rax` = host address to go on at; `state.pc` is that of the guest's next instruction.
    pub(super) fn system_call(&mut self, leave: u64) -> (u64, Window) {
        let mut window = Window::default();
        let at = self.start();
        self.word_from(self.guest.syscall.number, |_| true, 1);
        dynasm!(self.asm
            ; .arch x64
            ; cmp DWORD [rbp + field!(poll)], 0
            ; jne >any
            ; cmp rcx, [rbp + field!(direct_len)]
            ; jae >any
            ; mov rdx, [rbp + field!(direct_calls)]
            ; mov rdx, [rdx + rcx * 8]
            ; test rdx, rdx
            ; jz >any
            ; mov [rbp + field!(resume)], rax
            ; mov rax, rdx
        );
        self.save_lost();
        self.load_arguments();
        dynasm!(self.asm
            ; .arch x64
            ; btr rax, BYTE KERNEL_BIT
            ; jnc >function
            ; mov rcx, [rbp + field!(inside)]
            ; mov BYTE [rcx], 0
            ; btr rax, BYTE SLEEPS_BIT
            ; jc >sleeps
            ; syscall
            ; after:
            ; mov rcx, [rbp + field!(inside)]
            ; mov edx, 1
            ; xchg [rcx], dl // before the look at the poll flag
            ; performed:
        );
        self.succeeded();
        dynasm!(self.asm ; .arch x64 ; mov QWORD [rbp + MONITOR], -1);
        dynasm!(self.asm ; .arch x64 ; cmp DWORD [rbp + field!(poll)], 0 ; jne >asked);
        self.load_lost();
        dynasm!(self.asm ; .arch x64 ; jmp QWORD [rbp + field!(resume)] ; sleeps:);
        window.start = self.here();
        dynasm!(self.asm
            ; .arch x64
            ; cmp DWORD [rbp + field!(poll)], 0
            ; jne >before
            ; syscall
        );
        window.end = self.here();
        dynasm!(self.asm ; .arch x64 ; jmp <after ; before:);
        self.leave_with(Leave::Syscall, leave);
        window.interrupted = self.here();
        self.leave_with(Leave::CallInterrupted, leave);
        dynasm!(self.asm ; .arch x64 ; function: ; btr rax, BYTE SLEEPS_BIT ; jc >outside);
        self.call_function();
        dynasm!(self.asm
            ; .arch x64
            ; jmp <performed
            ; outside:
            ; mov rcx, [rbp + field!(inside)]
            ; mov BYTE [rcx], 0
        );
        self.call_function();
        dynasm!(self.asm
            ; .arch x64
            ; mov rcx, [rbp + field!(inside)]
            ; mov edx, 1
            ; xchg [rcx], dl
            ; cmp rax, INTERRUPTED as i32
            ; je >interrupted
            ; cmp rax, DECLINED as i32
            ; jne <performed
        );
        self.leave_with(Leave::Syscall, leave);
        dynasm!(self.asm ; .arch x64 ; interrupted:);
        self.leave_with(Leave::CallInterrupted, leave);
        dynasm!(self.asm ; .arch x64 ; failed: ; neg rax ; mov [rbp + field!(exit_operand)], rax);
        self.leave_with(Leave::CallFailed, leave);
        dynasm!(self.asm ; .arch x64 ; asked:);
        self.leave_with(Leave::Poll, leave);
        dynasm!(self.asm ; .arch x64 ; any: ; mov eax, Leave::Syscall as i32);
        self.jump_to(leave);
        (at, window)
    }

    /// Calls the function at `rax` with the arguments of a system call.
    fn call_function(&mut self) {
        self.host_mxcsr();
        self.store_vector_pins();
        self.onto_host_stack_only();
        for word in [self.guest.sp, self.guest.syscall.number] {
            self.word_from(word, kept, 1);
            dynasm!(self.asm ; .arch x64 ; push rcx);
        }
        dynasm!(self.asm ; .arch x64 ; mov rcx, r10 ; call rax);
        self.onto_return_stack();
        self.load_vector_pins();
        self.guest_mxcsr();
    }

    fn leave_with(&mut self, kind: Leave, leave: u64) {
        self.load_lost();
        dynasm!(self.asm ; .arch x64 ; mov eax, kind as i32);
        self.jump_to(leave);
    }

    fn home(&self, slot: Slot) -> i32 {
        slot_disp(self.guest.slots[slot.0 as usize].offset)
    }

    fn lost(&self) -> impl Iterator<Item = (Slot, Gpr)> + use<> {
        let pins = self.conv.pins.clone();
        pins.into_iter().filter(|(_, r)| CALLER_SAVED.contains(r))
    }

    fn save_lost(&mut self) {
        for (slot, r) in self.lost() {
            self.word_home(slot, r);
        }
    }

    fn load_lost(&mut self) {
        for (slot, r) in self.lost() {
            self.word_from(slot, |_| false, r);
        }
    }

    fn load_arguments(&mut self) {
        for (slot, to) in self.guest.syscall.args.iter().zip(HOST_ARGS) {
            self.word_from(*slot, kept, to);
        }
    }

    /// The word in `slot`, zero-extended: from the register that it is pinned to if that `is_there`, else from its home.
    fn word_from(&mut self, slot: Slot, is_there: impl Fn(Gpr) -> bool, to: Gpr) {
        let (home, wide) = (self.home(slot), self.is_wide(slot));
        match (self.conv.register(slot.0).filter(|&r| is_there(r)), wide) {
            (Some(from), true) => dynasm!(self.asm ; .arch x64 ; mov Rq(to), Rq(from)),
            (Some(from), false) => dynasm!(self.asm ; .arch x64 ; mov Rd(to), Rd(from)),
            (None, true) => dynasm!(self.asm ; .arch x64 ; mov Rq(to), [rbp + home]),
            (None, false) => dynasm!(self.asm ; .arch x64 ; mov Rd(to), [rbp + home]),
        }
    }

    /// Sets `slot` to the low bits of a register, where registers that are lost will be loaded from.
    fn word_to(&mut self, slot: Slot, from: Gpr) {
        match (self.conv.register(slot.0).filter(|&r| kept(r)), self.is_wide(slot)) {
            (Some(to), true) => dynasm!(self.asm ; .arch x64 ; mov Rq(to), Rq(from)),
            (Some(to), false) => dynasm!(self.asm ; .arch x64 ; mov Rd(to), Rd(from)),
            (None, _) => self.word_home(slot, from),
        }
    }

    /// Stores the low bits of a register in the home of `slot`.
    fn word_home(&mut self, slot: Slot, from: Gpr) {
        let home = self.home(slot);
        match self.is_wide(slot) {
            true => dynasm!(self.asm ; .arch x64 ; mov [rbp + home], Rq(from)),
            false => dynasm!(self.asm ; .arch x64 ; mov [rbp + home], Rd(from)),
        }
    }

    fn is_wide(&self, slot: Slot) -> bool {
        self.guest.slots[slot.0 as usize].ty == Ty::I64
    }

    /// With the result in `rax`: stores it, or goes to `failed` if Rust has to see the error.
    fn succeeded(&mut self) {
        let call = &self.guest.syscall;
        match call.error {
            None => dynasm!(self.asm ; .arch x64 ; cmp rax, BAD_ADDRESS ; je >failed),
            Some(_) => dynasm!(self.asm ; .arch x64 ; cmp rax, FIRST_ERROR ; jae >failed),
        }
        self.word_to(call.ret, 0);
        if let Some(flag) = call.error {
            dynasm!(self.asm ; .arch x64 ; xor eax, eax);
            self.word_to(flag, 0);
        }
    }
}

/// Whether a register is the same after a call.
fn kept(r: Gpr) -> bool {
    !CALLER_SAVED.contains(&r)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::PIN_REGISTERS;

    #[test]
    fn pinned_registers_survive_the_kernel_and_the_arguments() {
        let by_the_kernel = [0, 1, 11];
        let lost = |r: &Gpr| HOST_ARGS.contains(r) || by_the_kernel.contains(r);
        assert!(PIN_REGISTERS.iter().filter(|r| lost(r)).all(|r| CALLER_SAVED.contains(r)));
    }
}
