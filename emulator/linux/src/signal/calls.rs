//! System calls on signals.

use super::{Action, AltStack, FrameLayout, SIGNALS, SigSet, bit, fault_signals, host, unblockable};
use crate::errno::{Errno, SysResult};
use crate::guest_memory::{read_u64, read_words, write_u64};
use crate::thread::ThreadCtx;

/// Size of the kernel's signal set.
const SET_BYTES: u64 = 8;

fn check_set_size(size: u64) -> Result<(), Errno> {
    if size == SET_BYTES { Ok(()) } else { Err(Errno::EINVAL) }
}

/// `rt_sigaction(signal, new, old, set_size)`
pub fn rt_sigaction(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [signal, new, old, size, ..] = args;
    check_set_size(size)?;
    let signal = signal as i32;
    if !(1..=SIGNALS).contains(&signal) || new != 0 && unblockable() & bit(signal) != 0 {
        return Err(Errno::EINVAL);
    }
    let layout = ctx.process.frame.layout;
    let current = if new != 0 {
        let action = read_action(layout, new)?;
        let previous = ctx.actions.set(signal, action);
        host::set_disposition(signal, &action);
        previous
    } else {
        ctx.actions.get(signal)
    };
    if old != 0 {
        write_action(layout, old, &current)?;
    }
    Ok(0)
}

fn read_action(layout: &FrameLayout, addr: u64) -> Result<Action, Errno> {
    let [handler, flags, third] = read_words(addr)?;
    let (restorer, mask) = if layout.has_restorer { (third, read_u64(addr + 24)?) } else { (0, third) };
    Ok(Action { handler, flags, restorer, mask: mask & !unblockable() })
}

fn write_action(layout: &FrameLayout, addr: u64, action: &Action) -> Result<(), Errno> {
    write_u64(addr, action.handler)?;
    write_u64(addr + 8, action.flags)?;
    if layout.has_restorer {
        write_u64(addr + 16, action.restorer)?;
    }
    write_u64(addr + if layout.has_restorer { 24 } else { 16 }, action.mask)
}

/// `rt_sigprocmask(how, set, old, set_size)`
pub fn rt_sigprocmask(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [how, set, old, size, ..] = args;
    check_set_size(size)?;
    let before = ctx.signals.mask;
    if set != 0 {
        let set = read_u64(set)?;
        let mask = match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => set,
            _ => return Err(Errno::EINVAL),
        };
        ctx.set_mask(mask);
    }
    if old != 0 {
        write_u64(old, before)?;
    }
    Ok(0)
}

/// `rt_sigpending(set, set_size)`
pub fn rt_sigpending(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if args[1] > SET_BYTES {
        return Err(Errno::EINVAL);
    }
    let mut set: SigSet = 0;
    // SAFETY: the kernel writes 8 bytes.
    unsafe { crate::host::syscall(libc::SYS_rt_sigpending, [&raw mut set as u64, SET_BYTES, 0, 0, 0, 0])? };
    let held = ctx.signals.held.iter().fold(0, |held, info| held | bit(info.signal()));
    write_u64(args[0], (set | held) & ctx.signals.mask)?;
    Ok(0)
}

/// `rt_sigsuspend(mask, set_size)`
pub fn rt_sigsuspend(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    check_set_size(args[1])?;
    let mask = read_u64(args[0])? & !unblockable();
    if ctx.signals.held.iter().any(|info| mask & bit(info.signal()) == 0) {
        ctx.queue.notify();
        ctx.signals.suspended = Some(mask);
        return Err(Errno::EINTR);
    }
    let waiting = mask & !fault_signals();
    // SAFETY: the set is read during the call.
    let result = unsafe { ctx.blocking(libc::SYS_rt_sigsuspend, [&raw const waiting as u64, SET_BYTES, 0, 0, 0, 0]) };
    if result == Err(Errno::EINTR) {
        ctx.signals.suspended = Some(mask);
    }
    result
}

/// `rt_sigtimedwait(set, info, timeout, set_size)`
pub fn rt_sigtimedwait(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let set = read_u64(args[0])?;
    if let Some(at) = ctx.signals.held.iter().position(|info| set & bit(info.signal()) != 0) {
        let info = ctx.signals.held.remove(at);
        if args[1] != 0 {
            crate::guest_memory::write(args[1], &info.0)?;
        }
        return Ok(info.signal() as u64);
    }
    // SAFETY: guest pointers; the layouts of 64-bit guests are the host's.
    unsafe { ctx.blocking(libc::SYS_rt_sigtimedwait, args) }
}

/// `rt_sigreturn()`
pub fn rt_sigreturn(ctx: &mut ThreadCtx, _args: [u64; 6]) -> SysResult {
    let (guest, frame) = (ctx.process.guest, &ctx.process.frame);
    let sp = ctx.sp();
    match frame.read(guest, ctx.jit.state(), sp) {
        Ok((mask, alt_stack)) => {
            // As the kernel: errors in the stack part of the frame are ignored.
            let _ = set_alt_stack(ctx, alt_stack);
            ctx.set_mask(mask);
        }
        Err(_) => ctx.raise_fault(&super::Info::fault(libc::SIGSEGV, 128, 0)),
    }
    Err(Errno::NO_RESULT)
}

/// `sigaltstack(new, old)`
pub fn sigaltstack(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let mut current = ctx.signals.alt_stack;
    let sp = ctx.sp();
    if current.contains(sp) {
        current.flags |= libc::SS_ONSTACK;
    }
    if args[0] != 0 {
        let [base, flags, size] = read_words(args[0])?;
        set_alt_stack(ctx, AltStack { base, flags: flags as i32, size })?;
    }
    if args[1] != 0 {
        write_u64(args[1], current.base)?;
        crate::guest_memory::write_u32(args[1] + 8, current.flags as u32)?;
        write_u64(args[1] + 16, current.size)?;
    }
    Ok(0)
}

fn set_alt_stack(ctx: &mut ThreadCtx, stack: AltStack) -> Result<(), Errno> {
    let sp = ctx.sp();
    if ctx.signals.alt_stack.contains(sp) {
        return Err(Errno::EPERM);
    }
    let mode = stack.flags & !SS_FLAG_BITS;
    ctx.signals.alt_stack = match mode {
        libc::SS_DISABLE => AltStack::default(),
        0 | libc::SS_ONSTACK if stack.size < ctx.process.frame.layout.min_stack => return Err(Errno::ENOMEM),
        0 | libc::SS_ONSTACK => AltStack { flags: stack.flags & SS_FLAG_BITS, ..stack },
        _ => return Err(Errno::EINVAL),
    };
    Ok(())
}

/// `SS_AUTODISARM`: bits that qualify a mode.
const SS_FLAG_BITS: i32 = 1 << 31;
