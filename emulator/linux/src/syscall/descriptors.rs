//! Calls that could close a descriptor of the emulator's own.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::errno::{Errno, SysResult};
use crate::thread::ThreadCtx;

/// The emulator's descriptor that is open while the guest runs (the trace's file); -1 for none.
static RESERVED: AtomicI32 = AtomicI32::new(-1);

/// Keeps `fd` out of the guest's reach.
pub(crate) fn reserve(fd: i32) {
    RESERVED.store(fd, Ordering::Relaxed);
}

fn is_reserved(fd: u64) -> bool {
    let reserved = RESERVED.load(Ordering::Relaxed);
    reserved >= 0 && fd as i32 == reserved
}

/// `close(fd)`
pub fn close(_ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if is_reserved(args[0]) {
        return Err(Errno::EBADF);
    }
    // SAFETY: closes a descriptor of the guest's.
    unsafe { crate::host::syscall(libc::SYS_close, args) }
}

/// `dup3(old, new, flags)`
pub fn dup3(_ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if is_reserved(args[0]) || is_reserved(args[1]) {
        return Err(Errno::EBADF);
    }
    // SAFETY: acts on descriptors of the guest's; the one flag, O_CLOEXEC, has one value everywhere.
    unsafe { crate::host::syscall(libc::SYS_dup3, args) }
}

/// `close_range(first, last, flags)`: the ranges below and above the emulator's own.
pub fn close_range(_ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [first, last, flags, ..] = args;
    let (first, last) = (first as u32, last as u32);
    let close = |first: u32, last: u32| {
        // SAFETY: closes descriptors of the guest's.
        unsafe { crate::host::syscall(libc::SYS_close_range, [first.into(), last.into(), flags, 0, 0, 0]) }
    };
    let reserved = RESERVED.load(Ordering::Relaxed);
    if first > last || reserved < 0 || !(first..=last).contains(&(reserved as u32)) {
        return close(first, last);
    }
    let reserved = reserved as u32;
    if first < reserved {
        close(first, reserved - 1)?;
    }
    if reserved < last { close(reserved + 1, last) } else { Ok(0) }
}
