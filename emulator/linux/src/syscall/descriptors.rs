//! Calls that could close a descriptor of the emulator's own.

use std::sync::atomic::{AtomicI32, Ordering};

use crate::caller::Caller;
use crate::errno::{Errno, SysResult};

/// The emulator's descriptors that are open while the guest runs (those of the trace), ascending; `i32::MAX` for none.
static RESERVED: [AtomicI32; 2] = [AtomicI32::new(i32::MAX), AtomicI32::new(i32::MAX)];

/// Keeps `fd` out of the guest's reach. Called before there is a guest.
pub(crate) fn reserve(fd: i32) {
    let [first, second] = reserved();
    let (low, high) = if fd < first { (fd, first) } else { (first, second.min(fd)) };
    RESERVED[0].store(low, Ordering::Relaxed);
    RESERVED[1].store(high, Ordering::Relaxed);
}

fn reserved() -> [i32; 2] {
    [RESERVED[0].load(Ordering::Relaxed), RESERVED[1].load(Ordering::Relaxed)]
}

fn is_reserved(fd: u64) -> bool {
    fd as i32 != i32::MAX && reserved().contains(&(fd as i32))
}

/// `close(fd)`
pub(crate) fn close(_ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    if is_reserved(args[0]) {
        return Err(Errno::EBADF);
    }
    // SAFETY: closes a descriptor of the guest's.
    unsafe { crate::host::syscall(libc::SYS_close, args) }
}

/// `dup2(old, new)`
pub(crate) fn dup2(_ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    if is_reserved(args[0]) || is_reserved(args[1]) {
        return Err(Errno::EBADF);
    }
    // SAFETY: acts on descriptors of the guest's.
    unsafe { crate::host::syscall(libc::SYS_dup2, args) }
}

/// `dup3(old, new, flags)`
pub(crate) fn dup3(_ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    if is_reserved(args[0]) || is_reserved(args[1]) {
        return Err(Errno::EBADF);
    }
    // SAFETY: acts on descriptors of the guest's; the one flag, O_CLOEXEC, has one value everywhere.
    unsafe { crate::host::syscall(libc::SYS_dup3, args) }
}

/// `close_range(first, last, flags)`: the ranges around the emulator's own.
pub(crate) fn close_range(_ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [first, last, flags, ..] = args;
    let (mut first, last) = (first as u32, last as u32);
    let close = |first: u32, last: u32| {
        // SAFETY: closes descriptors of the guest's.
        unsafe { crate::host::syscall(libc::SYS_close_range, [first.into(), last.into(), flags, 0, 0, 0]) }
    };
    for own in reserved().map(|fd| fd as u32) {
        if (first..=last).contains(&own) {
            if first < own {
                close(first, own - 1)?;
            }
            if own == last {
                return Ok(0);
            }
            first = own + 1;
        }
    }
    close(first, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_descriptors_are_kept_in_order() {
        reserve(905);
        reserve(903);
        assert_eq!(reserved(), [903, 905]);
        assert!(is_reserved(903) && is_reserved(905) && !is_reserved(904) && !is_reserved(i32::MAX as u64));
    }
}
