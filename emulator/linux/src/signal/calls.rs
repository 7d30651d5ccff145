//! System calls on signals.

use smallvec::{SmallVec, smallvec};

use super::{Action, AltStack, SIGNALS, SigSet, bit, fault_signals, host, unblockable};
use crate::abi::{Abi, Place, Struct};
use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::thread::ThreadCtx;

/// Size of the host kernel's signal set.
const SET_BYTES: u64 = 8;

fn check_set_size(ctx: &ThreadCtx, size: u64) -> Result<(), Errno> {
    if size == ctx.process.abi.sigset_size() { Ok(()) } else { Err(Errno::EINVAL) }
}

/// Bytes of a structure; those of signals fit without an allocation.
type Bytes = SmallVec<[u8; 32]>;

/// A structure of the guest, with its bytes at `addr`.
fn read_struct(what: Option<&'static Struct>, addr: u64) -> Result<(&'static Struct, Bytes), Errno> {
    let what = what.ok_or(Errno::ENOSYS)?;
    let mut bytes: Bytes = smallvec![0; what.size as usize];
    guest_memory::read(addr, &mut bytes)?;
    Ok((what, bytes))
}

fn known(place: Option<Place<Struct>>) -> Option<&'static Struct> {
    place.map(Place::entry)
}

/// `rt_sigaction(signal, new, old, set_size)`
pub(crate) fn rt_sigaction(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [signal, new, old, size, ..] = args;
    check_set_size(ctx, size)?;
    let signal = signal as i32;
    if !(1..=SIGNALS).contains(&signal) || new != 0 && unblockable() & bit(signal) != 0 {
        return Err(Errno::EINVAL);
    }
    let abi = ctx.process.abi;
    let current = if new != 0 {
        let action = read_action(abi, new)?;
        let previous = ctx.actions.set(signal, action);
        host::change_disposition(signal, &previous, &action);
        previous
    } else {
        ctx.actions.get(signal)
    };
    if old != 0 {
        write_action(abi, old, &current)?;
    }
    Ok(0)
}

/// Handler and mask of an action are the host's numbers; its flags, which the host's kernel never sees, too.
fn read_action(abi: &'static Abi, addr: u64) -> Result<Action, Errno> {
    let (what, bytes) = read_struct(known(abi.known.sigaction), addr)?;
    let flags = what.get(&bytes, "sa_flags");
    let at = what.field("sa_mask").map_or(0, |field| u64::from(field.at));
    Ok(Action {
        handler: what.get(&bytes, "sa_handler"),
        flags: abi.known.sa_flags.map_or(flags, |set| set.to_host(flags)),
        restorer: what.get(&bytes, "sa_restorer"),
        mask: abi.read_sigset(addr.wrapping_add(at))? & !unblockable(),
    })
}

fn write_action(abi: &'static Abi, addr: u64, action: &Action) -> Result<(), Errno> {
    let (what, mut bytes) = read_struct(known(abi.known.sigaction), addr)?;
    what.put(&mut bytes, "sa_handler", action.handler);
    what.put(&mut bytes, "sa_flags", abi.known.sa_flags.map_or(action.flags, |set| set.to_guest(action.flags)));
    what.put(&mut bytes, "sa_restorer", action.restorer);
    if let Some(mask) = what.field("sa_mask") {
        let set = abi.sigset_bytes(action.mask);
        bytes[mask.at as usize..][..mask.size as usize].copy_from_slice(&set[..mask.size as usize]);
    }
    guest_memory::write(addr, &bytes)
}

/// `rt_sigprocmask(how, set, old, set_size)`
pub(crate) fn rt_sigprocmask(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [how, set, old, size, ..] = args;
    check_set_size(ctx, size)?;
    change_mask(ctx, [how, set, old], size)
}

/// `sigprocmask(how, set, old)`: the same for the first word of a set.
pub(crate) fn sigprocmask(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [how, set, old, ..] = args;
    change_mask(ctx, [how, set, old], ctx.process.abi.words().size)
}

/// Of sets of `size` bytes; signals that these do not have stay as they are.
fn change_mask(ctx: &mut ThreadCtx, [how, set, old]: [u64; 3], size: u64) -> SysResult {
    let before = ctx.signals.mask;
    if set != 0 {
        let (set, all) = ctx.process.abi.read_first_signals(set, size)?;
        let mask = match how as i32 {
            libc::SIG_BLOCK => before | set,
            libc::SIG_UNBLOCK => before & !set,
            libc::SIG_SETMASK => before & !all | set,
            _ => return Err(Errno::EINVAL),
        };
        ctx.set_mask(mask);
    }
    if old != 0 {
        ctx.process.abi.write_sigset(old, size, before)?;
    }
    Ok(0)
}

/// `rt_sigpending(set, set_size)`
pub(crate) fn rt_sigpending(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if args[1] > ctx.process.abi.sigset_size() {
        return Err(Errno::EINVAL);
    }
    let mut set: SigSet = 0;
    // SAFETY: the kernel writes 8 bytes.
    unsafe { crate::host::syscall(libc::SYS_rt_sigpending, [&raw mut set as u64, SET_BYTES, 0, 0, 0, 0])? };
    ctx.process.abi.write_sigset(args[0], args[1], (set | ctx.queue.held()) & ctx.signals.mask)?;
    Ok(0)
}

/// `rt_sigsuspend(mask, set_size)`
pub(crate) fn rt_sigsuspend(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    check_set_size(ctx, args[1])?;
    let mask = ctx.process.abi.read_sigset(args[0])? & !unblockable();
    if ctx.queue.held() & !mask != 0 {
        ctx.queue.notify();
        ctx.queue.suspend(Some(mask));
        return Err(Errno::EINTR);
    }
    let waiting = mask & !fault_signals();
    // SAFETY: the set is read during the call.
    let result = unsafe { ctx.blocking(libc::SYS_rt_sigsuspend, [&raw const waiting as u64, SET_BYTES, 0, 0, 0, 0]) };
    if result == Err(Errno::EINTR) {
        ctx.queue.suspend(Some(mask));
    }
    result
}

/// `rt_sigtimedwait(set, info, timeout, set_size)`
pub(crate) fn rt_sigtimedwait(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    sigtimedwait(ctx, args, "timespec")
}

/// The same with a timeout of 64 bits on every architecture.
pub(crate) fn rt_sigtimedwait_time64(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    sigtimedwait(ctx, args, "timespec64")
}

fn sigtimedwait(ctx: &mut ThreadCtx, args: [u64; 6], timespec: &str) -> SysResult {
    check_set_size(ctx, args[3])?;
    let abi = ctx.process.abi;
    let set = abi.read_sigset(args[0])?;
    if let Some(info) = ctx.take_held_of(set) {
        if args[1] != 0 {
            guest_memory::write(args[1], &info.for_guest(abi))?;
        }
        return Ok(info.signal() as u64);
    }
    let mut info = super::Info([0; 128]);
    let mut timeout = [0u8; 16];
    let mut host = [&raw const set as u64, &raw mut info as u64, 0, SET_BYTES, 0, 0];
    if args[2] != 0 {
        let (what, bytes) = read_struct(abi.structure(timespec), args[2])?;
        what.to_host(&bytes, &mut timeout);
        host[2] = timeout.as_ptr() as u64;
    }
    // SAFETY: locals that outlive the call.
    let result = unsafe { ctx.blocking(libc::SYS_rt_sigtimedwait, host) }?;
    if args[1] != 0 {
        guest_memory::write(args[1], &info.for_guest(abi))?;
    }
    Ok(result)
}

/// `rt_sigreturn()`
pub(crate) fn rt_sigreturn(ctx: &mut ThreadCtx, _args: [u64; 6]) -> SysResult {
    return_from_handler(ctx, &ctx.process.frames.full, 0)
}

/// `sigreturn()`: from a handler without `SA_SIGINFO`, where that has another frame.
pub(crate) fn sigreturn(ctx: &mut ThreadCtx, _args: [u64; 6]) -> SysResult {
    let frames = &ctx.process.frames;
    if let Some(plain) = &frames.plain {
        return return_from_handler(ctx, plain, plain.layout.popped);
    }
    let plain = frames.full.layout.plain.ok_or(Errno::ENOSYS)?;
    return_from_handler(ctx, &frames.full, plain.at)
}

/// Loads the state from the frame, of which the part from an offset on is at the stack pointer.
fn return_from_handler(ctx: &mut ThreadCtx, frame: &super::Frame, from: u64) -> SysResult {
    let process = ctx.process;
    let sp = ctx.sp();
    match frame.read(process, ctx.jit.state(), sp, from) {
        Ok((mask, alt_stack)) => {
            // As the kernel: errors in the stack part of the frame are ignored.
            let _ = alt_stack.map(|stack| set_alt_stack(ctx, stack));
            ctx.set_mask(mask);
        }
        Err(_) => ctx.raise_fault(&super::Info::fault(libc::SIGSEGV, 128, 0)),
    }
    Err(Errno::NO_RESULT)
}

/// `sigaltstack(new, old)`
pub(crate) fn sigaltstack(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let mut current = ctx.signals.alt_stack;
    let sp = ctx.sp();
    if current.contains(sp) {
        current.flags |= libc::SS_ONSTACK;
    }
    if args[0] != 0 {
        let (what, bytes) = read_struct(known(ctx.process.abi.known.stack_t), args[0])?;
        set_alt_stack(ctx, AltStack::of(what, &bytes))?;
    }
    if args[1] != 0 {
        let (what, mut bytes) = read_struct(known(ctx.process.abi.known.stack_t), args[1])?;
        current.put(what, &mut bytes);
        guest_memory::write(args[1], &bytes)?;
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
        0 | libc::SS_ONSTACK if stack.size < ctx.process.frames.full.layout.min_stack => return Err(Errno::ENOMEM),
        0 | libc::SS_ONSTACK => AltStack { flags: stack.flags & SS_FLAG_BITS, ..stack },
        _ => return Err(Errno::EINVAL),
    };
    Ok(())
}

/// `SS_AUTODISARM`: bits that qualify a mode.
const SS_FLAG_BITS: i32 = 1 << 31;
