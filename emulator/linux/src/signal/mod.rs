//! Guest signals.
//!
//! Guest code never runs in a host handler. The host handler of a thread ([`host`]) queues what arrived ([`queue`]) and asks
//! the translated code to stop at its next poll; the thread then builds the guest's frame on the guest's stack
//! ([`deliver`], [`frame`]) and goes on in the guest's handler. Returning from it is a load of state. Faults of guest
//! instructions come back from `jit` as events and are delivered the same way.
//!
//! The host's signal mask of a thread is the guest's, without the signals that faults raise, so that the kernel itself
//! keeps blocked signals pending, in its order. From the moment one signal is queued until it is delivered, all are
//! blocked on the host.

pub(crate) mod calls;
mod deliver;
mod frame;
pub(crate) mod host;
pub mod layout;
mod queue;

pub use deliver::die_by_signal;
pub use frame::{Frame, Frames};
pub use layout::FrameLayout;
pub(crate) use queue::Info;
pub use queue::Queue;

use std::sync::Mutex;

use crate::abi::Struct;

/// A set of signals: signal `n` is bit `n - 1`.
pub type SigSet = u64;

/// Number of signals.
pub const SIGNALS: i32 = 64;

/// The bit of a signal.
#[must_use]
pub fn bit(signal: i32) -> SigSet {
    1 << (signal - 1)
}

/// Signals that faults raise; always deliverable on the host.
pub(crate) fn fault_signals() -> SigSet {
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP].into_iter().fold(0, |set, s| set | bit(s))
}

/// Signals that cannot be blocked.
pub(crate) fn unblockable() -> SigSet {
    bit(libc::SIGKILL) | bit(libc::SIGSTOP)
}

/// Disposition of a signal, as `rt_sigaction` sets it.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Action {
    /// `SIG_DFL` (0), `SIG_IGN` (1) or the handler.
    pub handler: u64,
    /// `SA_*`.
    pub flags: u64,
    /// Where the handler returns to, with `SA_RESTORER`.
    pub restorer: u64,
    /// Blocked while the handler runs.
    pub mask: SigSet,
}

/// `SA_RESTORER`, the same on all architectures that have it.
pub(crate) const SA_RESTORER: u64 = 0x0400_0000;

/// Dispositions of all signals.
#[derive(Default)]
pub struct Actions {
    table: Mutex<ActionTable>,
}

struct ActionTable([Action; SIGNALS as usize]);

impl Default for ActionTable {
    fn default() -> ActionTable {
        ActionTable([Action::default(); SIGNALS as usize])
    }
}

impl Actions {
    fn lock(&self) -> std::sync::MutexGuard<'_, ActionTable> {
        self.table.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Disposition of `signal` (1..=64).
    #[must_use]
    pub fn get(&self, signal: i32) -> Action {
        self.lock().0[signal as usize - 1]
    }

    /// Replaces the disposition of `signal`; returns the old one. The host's disposition is set by the caller.
    pub fn set(&self, signal: i32, action: Action) -> Action {
        std::mem::replace(&mut self.lock().0[signal as usize - 1], action)
    }

    /// A copy, for a process that shares memory but not dispositions.
    #[must_use]
    pub fn duplicate(&self) -> Actions {
        Actions { table: Mutex::new(ActionTable(self.lock().0)) }
    }

    /// Runs `f` (a fork) while no thread changes a disposition.
    pub(crate) fn quiesced<T>(&self, f: impl FnOnce() -> T) -> T {
        let _table = self.lock();
        f()
    }
}

/// An alternate signal stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AltStack {
    /// Lowest address.
    pub base: u64,
    /// `SS_*`.
    pub flags: i32,
    /// Bytes.
    pub size: u64,
}

impl Default for AltStack {
    fn default() -> AltStack {
        AltStack { base: 0, flags: libc::SS_DISABLE, size: 0 }
    }
}

impl AltStack {
    /// From the bytes of the guest's `stack_t`.
    pub(crate) fn of(what: &Struct, bytes: &[u8]) -> AltStack {
        AltStack {
            base: what.get(bytes, "ss_sp"),
            flags: what.get(bytes, "ss_flags") as i32,
            size: what.get(bytes, "ss_size"),
        }
    }

    /// Into the bytes of the guest's `stack_t`.
    pub(crate) fn put(&self, what: &Struct, bytes: &mut [u8]) {
        what.put(bytes, "ss_sp", self.base);
        what.put(bytes, "ss_flags", self.flags as u64);
        what.put(bytes, "ss_size", self.size);
    }

    /// Whether `sp` is on the stack.
    #[must_use]
    pub fn contains(&self, sp: u64) -> bool {
        self.flags & libc::SS_DISABLE == 0 && sp > self.base && sp - self.base <= self.size
    }
}

/// Signal state of one thread.
#[derive(Clone, Default)]
pub struct ThreadSignals {
    /// Blocked signals.
    pub mask: SigSet,
    /// The mask that the host was told last; `None` if it may have changed since.
    pub(crate) on_host: Option<SigSet>,
    /// Alternate stack.
    pub alt_stack: AltStack,
    /// Fault signals that were sent, not raised, while blocked; the queue knows which.
    held: Vec<Info>,
    /// Address after the system call that is to be restarted, while `pc` is on it.
    pub(crate) interrupted_call: Option<u64>,
}
