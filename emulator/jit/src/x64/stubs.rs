//! The assembly that every unit shares: entering and leaving generated code, linking, lookups, helper calls.
//!
//! Emitted once per process at the start of code memory, by [`emit`]. All stubs are entered by a jump (or call) from generated
//! code at a boundary (see the parent module) unless said otherwise.

use std::mem::offset_of;

use dynasmrt::x64::X64Relocation;
use dynasmrt::{DynasmApi, DynasmLabelApi, VecAssembler, dynasm};
use ir::{Guest, GuestState, Ty};

use super::asm::cc;
use super::exit::jump_shift;
use super::system_calls::Window;
use super::{CALLER_SAVED, Convention, Gpr, StubId};
use crate::thread_state::{ANCHOR, Control, Leave, SECOND_SHIFT, SPREAD, slot_disp};

/// `disp(offset_of!(ThreadState, …))`.
macro_rules! field {
    ($($name:tt)+) => { $crate::thread_state::disp(::std::mem::offset_of!($crate::thread_state::ThreadState, $($name)+)) };
}
pub(super) use field;

/// Host addresses of the stubs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stubs {
    /// `unsafe extern "sysv64" fn(*mut ThreadState, code: u64)`: saves the host's registers and stack pointer
    /// (`host_sp`), loads the boundary from memory (`rsp` from `jit_sp`), and jumps to `code`. Returns when generated code
    /// leaves: then the guest state is complete in memory, `pc` included, and `exit_kind` says why.
    pub enter: u64,
    /// Called by a link that is not made. Calls `entries.link` with the address behind the link, which is on top of the return
    /// stack and is popped there if the link is no call; continues at the result or leaves
    /// ([`super::super::thread_state::Leave::Dispatcher`]).
    pub link: u64,
    /// `rax` = guest address, with the mode in the state. Looks in the second place of the jump cache, then as [`Stubs::lookup`].
    pub indirect_miss: u64,
    /// `rax` = guest address. Sets `state.pc`, calls `entries.lookup`, continues at the result or leaves.
    pub lookup: u64,
    /// `rax` = guest address. Polls, looks through 8 pairs of the return stack, then the jump cache, then `entries.lookup`.
    pub return_miss: u64,
    /// `rax` = guest address to continue at, with the mode in the state, whose floating-point environment may be another than that of
    /// the code before. Polls, sets the control register, or leaves for the dispatcher to do so, and goes on by the jump cache or
    /// `entries.lookup`.
    pub mode_change: u64,
    /// `rax` = guest address to continue at. Leaves with `Leave::Poll`.
    pub poll: u64,
    /// `eax` = [`super::super::thread_state::Leave`]; `state.pc` and operands are stored. Also the way out for the fault handler: with guest
    /// state complete in memory it points the interrupted context at [`Stubs::leave_memory`] instead.
    pub leave: u64,
    /// Leave without storing pinned registers: the state is already complete in memory and `exit_kind` set. Needs only
    /// `rbp`; the fault handler makes the interrupted context continue here after `FaultPoints::restore`.
    pub leave_memory: u64,
    /// `rax` = host address to go on at, `state.pc` = the next guest instruction: performs a system call directly, or leaves with
    /// [`Leave::Syscall`]. Only with [`Convention::direct_calls`].
    pub system_call: u64,
    /// Of [`Stubs::system_call`].
    pub window: Window,
    /// Calls `entries.generic(thread, rsi, rdx)` and returns; caller-saved registers are lost.
    pub generic: u64,
    /// The same, preserving all registers but `rsi`, `rdx` and flags.
    pub generic_saving: u64,
    /// The same for arithmetic on scalars whose result is not a number: see [`super::nan_stub`].
    pub nan: u64,
    /// On lanes of 32 bits.
    pub nan_singles: u64,
    /// On lanes of 64 bits.
    pub nan_doubles: u64,
    /// Calls `entries.helper(thread, rsi, rdx)`; caller-saved registers are lost.
    pub helper: u64,
    /// Brings deferred condition flags home and returns; preserves all registers but `rsi`, `rdx` and flags.
    pub settle: u64,
    /// End of the stubs: a host address in `enter..end` is in a stub.
    pub end: u64,
}

impl Stubs {
    /// Address by name.
    #[must_use]
    pub fn address(&self, id: StubId) -> u64 {
        match id {
            StubId::IndirectMiss => self.indirect_miss,
            StubId::ReturnMiss => self.return_miss,
            StubId::ModeChange => self.mode_change,
            StubId::Poll => self.poll,
            StubId::Syscall => self.system_call,
            StubId::Leave => self.leave,
            StubId::Generic => self.generic,
            StubId::GenericSaving => self.generic_saving,
            StubId::Nan => self.nan,
            StubId::NanSingles => self.nan_singles,
            StubId::NanDoubles => self.nan_doubles,
            StubId::Helper => self.helper,
            StubId::Settle => self.settle,
        }
    }
}

/// Emits the stubs for code that will run at `base` (16-byte aligned); returns the bytes and the addresses.
#[must_use]
pub fn emit(guest: &Guest, conv: &Convention, base: u64) -> (Vec<u8>, Stubs) {
    let mut e = Emitter { asm: VecAssembler::new(base as usize), guest, conv, base };
    let enter = e.enter();
    let (leave, leave_memory) = e.leave();
    let dispatcher = e.leave_for_dispatcher(leave_memory);
    let link = e.link(dispatcher);
    let lookup = e.lookup(dispatcher);
    let indirect_miss = e.indirect_miss(lookup);
    let poll = e.poll(leave);
    let return_miss = e.return_miss(poll, indirect_miss);
    let mode_change = e.mode_change(leave, poll, indirect_miss);
    let (system_call, window) = if conv.direct_calls { e.system_call(leave) } else { (leave, Window::default()) };
    let generic = e.generic();
    let generic_saving = e.call_saving(field!(entries.generic));
    let nan = e.nan(generic_saving);
    let [nan_singles, nan_doubles] = [32, 64].map(|bits| e.nan_lanes(generic_saving, bits));
    let settle_any = e.call_saving(field!(entries.settle));
    let settle = e.settle(settle_any);
    let helper = e.helper();
    let end = e.here();
    let code = e.asm.finalize().expect("all labels of the stubs are defined");
    let stubs = Stubs {
        enter,
        link,
        indirect_miss,
        lookup,
        return_miss,
        mode_change,
        poll,
        leave,
        leave_memory,
        system_call,
        window,
        generic,
        generic_saving,
        nan,
        nan_singles,
        nan_doubles,
        helper,
        settle,
        end,
    };
    (code, stubs)
}

const PC: i32 = field!(guest) + offset_of!(GuestState, pc) as i32;
const MODE: i32 = field!(guest) + offset_of!(GuestState, mode) as i32;

/// `rsi` and `rdx`: what callers of stubs pass.
const PASSED: [Gpr; 2] = [6, 2];

/// Pairs of the return stack that a missed return looks through.
const SCAN: i32 = 8;

pub(super) struct Emitter<'a> {
    pub(super) asm: VecAssembler<X64Relocation>,
    pub(super) guest: &'a Guest,
    pub(super) conv: &'a Convention,
    base: u64,
}

impl Emitter<'_> {
    pub(super) fn here(&self) -> u64 {
        self.base + self.asm.offset().0 as u64
    }

    /// Start of a stub.
    pub(super) fn start(&mut self) -> u64 {
        dynasm!(self.asm ; .arch x64 ; .align 16);
        self.here()
    }

    pub(super) fn jump_to(&mut self, stub: u64) {
        let after = self.here() + 5;
        dynasm!(self.asm ; .arch x64 ; .bytes [0xe9u8] ; .i32 stub.wrapping_sub(after) as i32);
    }

    /// `jcc stub`, by condition code.
    fn jump_if(&mut self, condition: u8, stub: u64) {
        let after = self.here() + 6;
        dynasm!(self.asm ; .arch x64 ; .bytes [0x0fu8, 0x80 | condition] ; .i32 stub.wrapping_sub(after) as i32);
    }

    #[allow(clippy::useless_conversion)] // of the macro
    fn load_pins(&mut self) {
        for &(slot, r) in &self.conv.pins {
            let desc = &self.guest.slots[slot.0 as usize];
            match desc.ty {
                Ty::I32 => dynasm!(self.asm ; .arch x64 ; mov Rd(r), [rbp + slot_disp(desc.offset)]),
                _ => dynasm!(self.asm ; .arch x64 ; mov Rq(r), [rbp + slot_disp(desc.offset)]),
            }
        }
        self.load_vector_pins();
    }

    #[allow(clippy::useless_conversion)] // of the macro
    pub(super) fn load_vector_pins(&mut self) {
        for &(slot, x) in &self.conv.vector_pins {
            let desc = &self.guest.slots[slot.0 as usize];
            match desc.ty {
                Ty::I64 => dynasm!(self.asm ; .arch x64 ; movq Rx(x), [rbp + slot_disp(desc.offset)]),
                _ => dynasm!(self.asm ; .arch x64 ; movups Rx(x), [rbp + slot_disp(desc.offset)]),
            }
        }
    }

    #[allow(clippy::useless_conversion)] // of the macro
    fn store_pins(&mut self) {
        for &(slot, r) in &self.conv.pins {
            let desc = &self.guest.slots[slot.0 as usize];
            match desc.ty {
                Ty::I32 => dynasm!(self.asm ; .arch x64 ; mov [rbp + slot_disp(desc.offset)], Rd(r)),
                _ => dynasm!(self.asm ; .arch x64 ; mov [rbp + slot_disp(desc.offset)], Rq(r)),
            }
        }
        self.store_vector_pins();
    }

    #[allow(clippy::useless_conversion)] // of the macro
    pub(super) fn store_vector_pins(&mut self) {
        for &(slot, x) in &self.conv.vector_pins {
            let desc = &self.guest.slots[slot.0 as usize];
            match desc.ty {
                Ty::I64 => dynasm!(self.asm ; .arch x64 ; movq [rbp + slot_disp(desc.offset)], Rx(x)),
                _ => dynasm!(self.asm ; .arch x64 ; movups [rbp + slot_disp(desc.offset)], Rx(x)),
            }
        }
    }

    /// From the return stack to the host's, with `rdi` = the state.
    fn onto_host_stack(&mut self) {
        self.onto_host_stack_only();
        dynasm!(self.asm ; .arch x64 ; lea rdi, [rbp - ANCHOR as i32]);
    }

    /// From the return stack to the host's, and no register changed.
    pub(super) fn onto_host_stack_only(&mut self) {
        dynasm!(self.asm ; .arch x64 ; mov [rbp + field!(jit_sp)], rsp ; mov rsp, [rbp + field!(host_sp)]);
    }

    pub(super) fn onto_return_stack(&mut self) {
        dynasm!(self.asm ; .arch x64 ; mov rsp, [rbp + field!(jit_sp)]);
    }

    pub(super) fn host_mxcsr(&mut self) {
        dynasm!(self.asm
            ; .arch x64
            ; stmxcsr [rbp + field!(mxcsr_guest)]
            ; ldmxcsr [rbp + field!(mxcsr_host)]
        );
    }

    pub(super) fn guest_mxcsr(&mut self) {
        dynasm!(self.asm ; .arch x64 ; ldmxcsr [rbp + field!(mxcsr_guest)]);
    }

    fn enter(&mut self) -> u64 {
        let at = self.start();
        dynasm!(self.asm
            ; .arch x64
            ; push rbp
            ; push rbx
            ; push r12
            ; push r13
            ; push r14
            ; push r15
            ; sub rsp, 8 // 16-byte aligned for calls from stubs
            ; lea rbp, [rdi + ANCHOR as i32]
            ; mov rax, rsi
            ; stmxcsr [rbp + field!(mxcsr_host)]
            ; mov [rbp + field!(host_sp)], rsp
        );
        self.guest_mxcsr();
        self.onto_return_stack();
        self.load_pins();
        dynasm!(self.asm ; .arch x64 ; jmp rax);
        at
    }

    fn leave(&mut self) -> (u64, u64) {
        let leave = self.start();
        dynasm!(self.asm ; .arch x64 ; mov [rbp + field!(exit_kind)], eax);
        self.store_pins();
        let leave_memory = self.here();
        self.host_mxcsr();
        self.onto_host_stack();
        dynasm!(self.asm
            ; .arch x64
            ; add rsp, 8
            ; pop r15
            ; pop r14
            ; pop r13
            ; pop r12
            ; pop rbx
            ; pop rbp
            ; ret
        );
        (leave, leave_memory)
    }

    fn leave_for_dispatcher(&mut self, leave_memory: u64) -> u64 {
        let at = self.start();
        dynasm!(self.asm ; .arch x64 ; mov DWORD [rbp + field!(exit_kind)], Leave::Dispatcher as i32);
        self.jump_to(leave_memory);
        at
    }

    /// Calls a Rust function that gives a host address, with the guest registers in memory, and continues there.
    fn call_and_continue(&mut self, function: i32, dispatcher: u64) {
        self.store_pins();
        self.host_mxcsr();
        self.onto_host_stack();
        dynasm!(self.asm ; .arch x64 ; mov rsi, rax ; call QWORD [rbp + function]);
        self.guest_mxcsr();
        self.onto_return_stack();
        dynasm!(self.asm ; .arch x64 ; test rax, rax);
        self.jump_if(cc::E, dispatcher);
        self.load_pins();
        dynasm!(self.asm ; .arch x64 ; jmp rax);
    }

    fn link(&mut self, dispatcher: u64) -> u64 {
        let at = self.start();
        dynasm!(self.asm ; .arch x64 ; mov rax, [rsp]);
        self.call_and_continue(field!(entries.link), dispatcher);
        at
    }

    fn indirect_miss(&mut self, lookup: u64) -> u64 {
        let at = self.start();
        let shift = jump_shift(self.guest) as i8;
        dynasm!(self.asm
            ; .arch x64
            ; imul ecx, [rbp + MODE], SPREAD.cast_signed()
            ; mov edx, eax
            ; shr ecx, SECOND_SHIFT as i8
            ; shl edx, shift
            ; xor edx, ecx
            ; mov ecx, [rbp + MODE]
        );
        self.tag();
        self.jump_if_cached(lookup);
        at
    }

    fn lookup(&mut self, dispatcher: u64) -> u64 {
        let at = self.start();
        dynasm!(self.asm ; .arch x64 ; mov [rbp + PC], rax);
        self.call_and_continue(field!(entries.lookup), dispatcher);
        at
    }

    fn poll(&mut self, leave: u64) -> u64 {
        let at = self.start();
        dynasm!(self.asm ; .arch x64 ; mov [rbp + PC], rax ; mov eax, Leave::Poll as i32);
        self.jump_to(leave);
        at
    }

    /// The scan addresses the return stack by `rsp` alone: when it runs over the end, the fault handler moves `rsp` and
    /// the interrupted comparison is simply done again.
    fn return_miss(&mut self, poll: u64, indirect_miss: u64) -> u64 {
        let at = self.start();
        dynasm!(self.asm ; .arch x64 ; cmp DWORD [rbp + field!(poll)], 0);
        self.jump_if(cc::NE, poll);
        dynasm!(self.asm ; .arch x64 ; mov ecx, [rbp + MODE]);
        self.tag();
        for pair in 1..SCAN {
            dynasm!(self.asm
                ; .arch x64
                ; cmp [rsp + 8 + 16 * pair], rcx
                ; jne BYTE >next
                ; lea rsp, [rsp + 16 * pair]
                ; ret
                ; next:
            );
        }
        self.jump_by_cache(indirect_miss);
        at
    }

    /// `rcx` = the tag of the address in `rax` under the mode in `ecx`: [`jump_tag`](crate::thread_state::jump_tag).
    fn tag(&mut self) {
        dynasm!(self.asm ; .arch x64 ; shl rcx, 48 ; xor rcx, rax);
    }

    /// Goes on at `rax`, whose tag is in `rcx`, if the jump cache has it.
    fn jump_by_cache(&mut self, indirect_miss: u64) {
        let shift = jump_shift(self.guest) as i8;
        dynasm!(self.asm
            ; .arch x64
            ; mov edx, eax
            ; shl edx, shift
        );
        self.jump_if_cached(indirect_miss);
    }

    /// Goes on at the address whose tag is in `rcx` if the place of the jump cache that `edx` says has it, else at `miss`.
    fn jump_if_cached(&mut self, miss: u64) {
        dynasm!(self.asm
            ; .arch x64
            ; and rdx, [rbp + field!(jump_mask)]
            ; add rdx, [rbp + field!(jump_base)]
            ; cmp [rdx], rcx
        );
        self.jump_if(cc::NE, miss);
        dynasm!(self.asm ; .arch x64 ; jmp QWORD [rdx + 8]);
    }

    fn mode_change(&mut self, leave: u64, poll: u64, indirect_miss: u64) -> u64 {
        const MODES: i32 = field!(controls) + offset_of!(Control, mode) as i32;
        const CONTROLS: i32 = field!(controls) + offset_of!(Control, mxcsr) as i32;
        let at = self.start();
        dynasm!(self.asm ; .arch x64 ; cmp DWORD [rbp + field!(poll)], 0);
        self.jump_if(cc::NE, poll);
        dynasm!(self.asm
            ; .arch x64
            ; mov ecx, [rbp + MODE]
            ; imul edx, ecx, SPREAD.cast_signed()
            ; shr edx, 32 - Control::PLACES.trailing_zeros() as i8
            ; cmp [rbp + 8 * rdx + MODES], ecx
            ; jne >unknown
            ; stmxcsr [rbp + field!(mxcsr_temp)]
            ; mov edx, [rbp + 8 * rdx + CONTROLS]
            ; and DWORD [rbp + field!(mxcsr_temp)], 0x3f
            ; or [rbp + field!(mxcsr_temp)], edx
            ; ldmxcsr [rbp + field!(mxcsr_temp)]
        );
        self.tag();
        self.jump_by_cache(indirect_miss);
        dynasm!(self.asm ; .arch x64 ; unknown: ; mov [rbp + PC], rax ; mov eax, Leave::Redispatch as i32);
        self.jump_to(leave);
        at
    }

    fn generic(&mut self) -> u64 {
        let at = self.start();
        self.onto_host_stack();
        dynasm!(self.asm ; .arch x64 ; call QWORD [rbp + field!(entries.generic)]);
        self.onto_return_stack();
        dynasm!(self.asm ; .arch x64 ; ret);
        at
    }

    /// Calls a Rust function on the thread, `rsi` and `rdx`, preserving all registers but these two.
    #[allow(clippy::useless_conversion)] // of the macro
    fn call_saving(&mut self, function: i32) -> u64 {
        /// Room for the vector registers, and for alignment after the pushes.
        const VECTORS: i32 = 16 * 16 + 8;
        let saved = CALLER_SAVED.into_iter().filter(|r| !PASSED.contains(r));
        let at = self.start();
        dynasm!(self.asm ; .arch x64 ; mov [rbp + field!(jit_sp)], rsp ; mov rsp, [rbp + field!(host_sp)]);
        for r in saved.clone() {
            dynasm!(self.asm ; .arch x64 ; push Rq(r));
        }
        dynasm!(self.asm ; .arch x64 ; sub rsp, VECTORS);
        for x in 0..16u8 {
            dynasm!(self.asm ; .arch x64 ; movups [rsp + 16 * i32::from(x)], Rx(x));
        }
        dynasm!(self.asm
            ; .arch x64
            ; lea rdi, [rbp - ANCHOR as i32]
            ; call QWORD [rbp + function]
        );
        for x in 0..16u8 {
            dynasm!(self.asm ; .arch x64 ; movups Rx(x), [rsp + 16 * i32::from(x)]);
        }
        dynasm!(self.asm ; .arch x64 ; add rsp, VECTORS);
        for r in saved.rev() {
            dynasm!(self.asm ; .arch x64 ; pop Rq(r));
        }
        self.onto_return_stack();
        dynasm!(self.asm ; .arch x64 ; ret);
        at
    }

    /// With the guest's MXCSR: what it governs no helper does, and it costs more to change than many of them.
    fn helper(&mut self) -> u64 {
        let at = self.start();
        self.onto_host_stack();
        dynasm!(self.asm ; .arch x64 ; call QWORD [rbp + field!(entries.helper)]);
        self.onto_return_stack();
        dynasm!(self.asm ; .arch x64 ; ret);
        at
    }
}
