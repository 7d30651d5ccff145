//! Faults of generated code. Everything here runs in a signal handler: no locks, no allocation.

use super::dispatch::Fault;
use super::translation::Retreats;
use super::{Runtime, float, invalid};
use crate::event::MemFault;
use crate::fault::SI_KERNEL;
use crate::interp::SCALAR;
use crate::thread::Thread;
use crate::thread_state::{ANCHOR, Leave, ThreadState};
use crate::x64::{HostRegs, USUAL};

/// Registers of a signal context in the order of their encodings.
const ORDER: [libc::c_int; 16] = [
    libc::REG_RAX,
    libc::REG_RCX,
    libc::REG_RDX,
    libc::REG_RBX,
    libc::REG_RSP,
    libc::REG_RBP,
    libc::REG_RSI,
    libc::REG_RDI,
    libc::REG_R8,
    libc::REG_R9,
    libc::REG_R10,
    libc::REG_R11,
    libc::REG_R12,
    libc::REG_R13,
    libc::REG_R14,
    libc::REG_R15,
];

/// Handles a fault whose program counter is in generated code: an end of the return stack, or a guest memory access. In the
/// latter case generated code leaves, with the guest state as before the guest instruction.
pub(crate) fn handle(
    thread: &mut Thread,
    runtime: &Runtime,
    signal: i32,
    info: &libc::siginfo_t,
    context: &mut libc::ucontext_t,
) -> bool {
    let pc = context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64;
    if !runtime.code.contains(&pc) {
        return false;
    }
    if invalid::handle(thread, runtime, signal, info, context) {
        return true;
    }
    let Some(t1) = &mut thread.t1 else { return false };
    // SAFETY: a fault signal carries an address.
    let addr = unsafe { info.si_addr() } as u64;
    if signal == libc::SIGSEGV && info.si_code != SI_KERNEL && t1.returns.is_guard(addr) {
        let gregs = &mut context.uc_mcontext.gregs;
        gregs[libc::REG_RSP as usize] = t1.returns.reset() as i64;
        if (runtime.stubs.enter..runtime.stubs.end).contains(&pc) {
            // The scan of a missed return ran off the end: start it again from the new position.
            gregs[libc::REG_RIP as usize] = runtime.stubs.return_miss as i64;
        }
        return true;
    }
    let Some(unit) = runtime.by_address.find(pc) else { return false };
    let faults = unit.details().faults();
    let regs = registers(context);
    let offset = (pc - unit.host()) as u32;
    if faults.restore(thread.jit.guest, &runtime.conv, offset, &regs, &mut thread.block).is_none() {
        return false;
    }
    if unit.retreats() != Retreats::Never {
        if unit.retreats() == Retreats::KeepingFlags {
            keep_flags(&mut thread.block, context);
        }
        thread.retreated = Some((thread.block.guest.pc, SCALAR));
        leave(&mut thread.block, runtime, context);
        return true;
    }
    let Some(t1) = &mut thread.t1 else { return false };
    t1.fault = Some(if info.si_code == SI_KERNEL {
        Fault::Unknown(unit.key())
    } else {
        let write = context.uc_mcontext.gregs[libc::REG_ERR as usize] & 2 != 0;
        Fault::Known(MemFault { addr, write: Some(write), signal, code: info.si_code })
    });
    leave(&mut thread.block, runtime, context);
    true
}

/// What has raised flags since the last `keepfflags` is done again.
fn keep_flags(block: &mut ThreadState, context: &mut libc::ucontext_t) {
    block.guest.fflags = block.fflags_kept;
    // SAFETY: the kernel's signal frame has the legacy floating-point area.
    if let Some(fp) = unsafe { context.uc_mcontext.fpregs.as_mut() } {
        fp.mxcsr = fp.mxcsr & !float::FLAGS | block.mxcsr_kept & float::FLAGS;
    }
}

/// If a signal interrupted a direct system call that has not happened, makes it leave as interrupted.
pub(crate) fn rewind_call(runtime: &Runtime, context: &mut libc::ucontext_t) {
    let pc = &mut context.uc_mcontext.gregs[libc::REG_RIP as usize];
    if let Some(exit) = runtime.stubs.rewind(*pc as u64) {
        *pc = exit as i64;
    }
}

/// Makes generated code leave; the guest state is complete in memory.
fn leave(block: &mut ThreadState, runtime: &Runtime, context: &mut libc::ucontext_t) {
    block.exit_kind = Leave::Dispatcher as u32;
    // SAFETY: the kernel's signal frame has the legacy floating-point area.
    if let Some(fp) = unsafe { context.uc_mcontext.fpregs.as_mut() } {
        fp.cwd = USUAL;
    }
    let state = std::ptr::from_mut(block) as u64;
    let gregs = &mut context.uc_mcontext.gregs;
    gregs[libc::REG_RBP as usize] = (state + ANCHOR as u64) as i64;
    gregs[libc::REG_RIP as usize] = runtime.stubs.leave_memory as i64;
}

/// Makes a thunk's call of a native function, which faulted, leave generated code.
pub(crate) fn leave_native(block: &mut ThreadState, runtime: &Runtime, context: &mut libc::ucontext_t) {
    /// What string instructions that were to run backwards leave set.
    const DIRECTION: i64 = 1 << 10;
    let gregs = &mut context.uc_mcontext.gregs;
    gregs[libc::REG_RSP as usize] = block.jit_sp as i64;
    gregs[libc::REG_EFL as usize] &= !DIRECTION;
    leave(block, runtime, context);
}

/// Register values at the fault.
fn registers(context: &libc::ucontext_t) -> HostRegs {
    let gpr = ORDER.map(|name| context.uc_mcontext.gregs[name as usize] as u64);
    // SAFETY: the kernel's signal frame has the legacy floating-point area.
    let xmm = unsafe { context.uc_mcontext.fpregs.as_ref() }.map_or([0; 16], vector_registers);
    HostRegs { gpr, xmm }
}

/// Vector registers of a signal frame.
pub(super) fn vector_registers(fp: &libc::_libc_fpstate) -> [u128; 16] {
    let whole = |words: [u32; 4]| words.iter().rev().fold(0, |all, word| all << 32 | u128::from(*word));
    std::array::from_fn(|x| whole(fp._xmm[x].element))
}

/// Changes them.
pub(super) fn set_vector_registers(fp: &mut libc::_libc_fpstate, xmm: &[u128; 16]) {
    for (register, value) in fp._xmm.iter_mut().zip(xmm) {
        register.element = std::array::from_fn(|i| (value >> (32 * i)) as u32);
    }
}
