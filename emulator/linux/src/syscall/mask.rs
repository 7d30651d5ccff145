//! The signal mask that `ppoll`, `pselect6` and `epoll_pwait` put in force while they wait.

use crate::abi::Abi;
use crate::errno::{Errno, SysResult};
use crate::signal::{Queue, SigSet, fault_signals, unblockable};

/// Bytes of the host kernel's signal set.
pub(super) const SET_BYTES: u64 = 8;

/// A mask for the duration of one call. The host gets it without the signals that faults raise, as it always does.
pub(super) struct TemporaryMask {
    guest: SigSet,
    host: SigSet,
}

impl TemporaryMask {
    /// Reads the guest's mask of `size` bytes at `addr`. A signal that the new mask lets through and that the emulator holds
    /// interrupts the call before it starts.
    pub(super) fn enter(abi: &Abi, queue: &Queue, addr: u64, size: u64) -> Result<TemporaryMask, Errno> {
        if size != abi.sigset_size() {
            return Err(Errno::EINVAL);
        }
        let guest = abi.read_sigset(addr)? & !unblockable();
        if queue.held() & !guest != 0 {
            queue.notify();
            queue.suspend(Some(guest));
            return Err(Errno::EINTR);
        }
        Ok(TemporaryMask { guest, host: guest & !fault_signals() })
    }

    /// Where the host kernel finds the mask, while it is not moved.
    pub(super) fn address(&self) -> u64 {
        &raw const self.host as u64
    }

    /// After the call: a handler that interrupted it runs with the temporary mask and returns to the thread's own.
    pub(super) fn leave(self, queue: &Queue, outcome: SysResult) {
        if outcome == Err(Errno::EINTR) {
            queue.suspend(Some(self.guest));
        }
    }
}
