//! The end of threads and of the process.

use crate::guest_memory;
use crate::thread::ThreadCtx;

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

impl ThreadCtx {
    /// What the kernel does for a thread that ends: the address given by `CLONE_CHILD_CLEARTID` is cleared and woken.
    pub(crate) fn clear_tid(&self) {
        if self.clear_child_tid != 0 && guest_memory::write_u32(self.clear_child_tid, 0).is_ok() {
            let args = [self.clear_child_tid, libc::FUTEX_WAKE as u64, 1, 0, 0, 0];
            // SAFETY: wakes waiters of a guest address.
            let _ = unsafe { crate::host::syscall(libc::SYS_futex, args) };
        }
    }
}
