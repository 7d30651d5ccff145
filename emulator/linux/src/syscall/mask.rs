//! The signal mask that `ppoll`, `pselect6` and `epoll_pwait` put in force while they wait.

use crate::errno::{Errno, SysResult};
use crate::signal::{SigSet, bit, fault_signals, unblockable};
use crate::thread::ThreadCtx;

/// Bytes of the host kernel's signal set.
pub(super) const SET_BYTES: u64 = 8;

/// A mask for the duration of one call. The host gets it without the signals that faults raise, as it always does.
pub(super) struct TemporaryMask {
    guest: SigSet,
    host: Box<SigSet>,
}

impl TemporaryMask {
    /// Reads the guest's mask of `size` bytes at `addr`. A signal that the new mask lets through and that the emulator holds
    /// interrupts the call before it starts.
    pub(super) fn enter(ctx: &mut ThreadCtx, addr: u64, size: u64) -> Result<TemporaryMask, Errno> {
        let abi = ctx.process.abi;
        if size != abi.sigset_size() {
            return Err(Errno::EINVAL);
        }
        let guest = abi.read_sigset(addr)? & !unblockable();
        if ctx.signals.held.iter().any(|info| guest & bit(info.signal()) == 0) {
            ctx.queue.notify();
            ctx.signals.suspended = Some(guest);
            return Err(Errno::EINTR);
        }
        Ok(TemporaryMask { guest, host: Box::new(guest & !fault_signals()) })
    }

    /// Where the host kernel finds the mask.
    pub(super) fn address(&self) -> u64 {
        &raw const *self.host as u64
    }

    /// After the call: a handler that interrupted it runs with the temporary mask and returns to the thread's own.
    pub(super) fn leave(self, ctx: &mut ThreadCtx, outcome: SysResult) {
        if outcome == Err(Errno::EINTR) {
            ctx.signals.suspended = Some(self.guest);
        }
    }
}
