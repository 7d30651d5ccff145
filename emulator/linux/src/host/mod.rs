//! The host kernel: raw system calls, and the window in which a signal is never lost.

#[cfg(target_arch = "x86_64")]
mod x86_64;
#[cfg(target_arch = "x86_64")]
use x86_64 as arch;
mod clocks;

use std::sync::atomic::AtomicU32;

use crate::errno::{SysResult, from_kernel};

pub(crate) use arch::{program_counter, rewind_window};
pub(crate) use clocks::without_kernel;

/// A host system call that does not block (or may block without regard to guest signals).
///
/// # Safety
/// As the kernel's: pointers passed must be valid for what the call does with them, or be guest addresses, for which
/// the kernel itself answers `EFAULT`.
pub unsafe fn syscall(number: i64, args: [u64; 6]) -> SysResult {
    // SAFETY: the caller's.
    from_kernel(unsafe { arch::syscall(number, args) })
}

/// A host system call that may block: if `pending` is set before the kernel is entered, or a handled signal arrives
/// while it waits in a restartable call, the result is [`crate::Errno::RESTART`] and the call had no effect.
///
/// # Safety
/// As for [`syscall`].
pub(crate) unsafe fn blocking_syscall(pending: &AtomicU32, number: i64, args: [u64; 6]) -> SysResult {
    // SAFETY: the caller's; `pending` is live for the call.
    from_kernel(unsafe { arch::blocking_syscall(pending.as_ptr(), number, &args) })
}

/// Sets the host's disposition of `signal`, or queries it if `action` (handler, flags, mask) is `None`; returns the handler
/// before. Unlike libc's, this reaches the signals that libc keeps for itself, which are the guest's here: the emulator
/// cancels no threads.
///
/// # Safety
/// A handler must be an async-signal-safe function of the type `flags` ask for.
pub(crate) unsafe fn disposition(signal: i32, action: Option<(u64, i32, u64)>) -> Result<u64, crate::Errno> {
    let new = action.map(|(handler, flags, mask)| arch::KernelAction::new(handler, flags as u32 as u64, mask));
    let new = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    let mut old = arch::KernelAction::default();
    // SAFETY: both structures live through the call; the set has 8 bytes.
    unsafe { syscall(libc::SYS_rt_sigaction, [signal as u64, new as u64, &raw mut old as u64, 8, 0, 0])? };
    Ok(old.handler)
}
