//! The end of threads and of the process.

use crate::guest_memory;

/// Ends the process with `code`.
pub(crate) fn end_process(code: i32) -> ! {
    crate::process::at_end();
    leave(code)
}

/// Ends the process at once: nothing of the emulator's runs any more.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// What the kernel does for a thread that ends: the address given by `CLONE_CHILD_CLEARTID`, if any, is cleared and woken.
/// The guest may then reuse whatever the thread had.
pub(crate) fn clear_tid(addr: u64) {
    if addr != 0 && guest_memory::write_u32(addr, 0).is_ok() {
        let args = [addr, libc::FUTEX_WAKE as u64, 1, 0, 0, 0];
        // SAFETY: wakes waiters of a guest address.
        let _ = unsafe { crate::host::syscall(libc::SYS_futex, args) };
    }
}
