//! Signals on their way from the host handler to the guest thread it interrupted.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use smallvec::{SmallVec, smallvec};

use super::SigSet;
use crate::abi::{Abi, Known, Place, Struct};

/// A `siginfo_t`, which 64-bit Linux lays out alike everywhere.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(C, align(8))]
pub(crate) struct Info(pub(crate) [u8; 128]);

impl Info {
    /// A fault: signal, code and address.
    pub(crate) fn fault(signal: i32, code: i32, addr: u64) -> Info {
        let mut info = Info([0; 128]);
        info.0[..4].copy_from_slice(&signal.to_le_bytes());
        info.0[8..12].copy_from_slice(&code.to_le_bytes());
        info.0[16..24].copy_from_slice(&addr.to_le_bytes());
        info
    }

    /// The structure as the guest has it. Its contents depend on who sent the signal and why.
    pub(crate) fn for_guest(&self, abi: &'static Abi) -> SmallVec<[u8; 128]> {
        let Some(whole) = abi.known.siginfo.filter(|whole| !whole.same) else { return SmallVec::from(self.0) };
        let mut bytes = smallvec![0; whole.size as usize];
        if let Some(kind) = self.kind(&abi.known) {
            let end = (kind.size as usize).min(bytes.len());
            kind.to_guest(&self.0[..kind.host_size as usize], &mut bytes[..end]);
        }
        bytes
    }

    /// The structure that describes the contents.
    fn kind(&self, known: &Known) -> Option<Place<Struct>> {
        match (self.signal(), self.code()) {
            (_, libc::SI_TIMER) => known.siginfo_timer,
            (_, ..=0 | libc::SI_KERNEL) => known.siginfo_sent,
            (libc::SIGSEGV | libc::SIGBUS | libc::SIGILL | libc::SIGFPE | libc::SIGTRAP, _) => known.siginfo_fault,
            (libc::SIGCHLD, _) => known.siginfo_child,
            (libc::SIGIO, _) => known.siginfo_poll,
            _ => known.siginfo_sent,
        }
    }

    fn word(&self, at: usize) -> i32 {
        i32::from_le_bytes([self.0[at], self.0[at + 1], self.0[at + 2], self.0[at + 3]])
    }

    /// Signal number.
    pub(crate) fn signal(&self) -> i32 {
        self.word(0)
    }

    /// `si_code`; positive when the kernel raised it for what the thread did.
    pub(crate) fn code(&self) -> i32 {
        self.word(8)
    }

    /// `si_addr` of faults.
    pub(crate) fn addr(&self) -> u64 {
        (self.word(16) as u32 as u64) | (self.word(20) as u32 as u64) << 32
    }
}

/// Room for one asynchronous signal and each fault signal sent by `kill`, with some to spare.
const SLOTS: usize = 16;

/// No mask: one has no bits of signals that cannot be blocked.
const NO_MASK: SigSet = SigSet::MAX;

/// Single-producer (the handler), single-consumer (the thread it interrupts) ring; and what calls that the thread makes from generated
/// code need to know of its signals, which it alone reads and sets.
pub struct Queue {
    slots: [UnsafeCell<Info>; SLOTS],
    written: AtomicU32,
    read: AtomicU32,
    pending: AtomicU32,
    poll: *const AtomicU32,
    /// Signals that are held: see [`super::ThreadSignals`].
    held: AtomicU64,
    /// See [`Queue::suspend`].
    suspended: AtomicU64,
}

// SAFETY: the producer runs on the consumer's thread, between two of its instructions; the atomics order what they share.
// The poll flag is atomic and lives as long as the translator's thread, which `ThreadCtx` keeps beside the queue.
unsafe impl Send for Queue {}
// SAFETY: as above.
unsafe impl Sync for Queue {}

impl Queue {
    /// An empty queue that raises `poll` when something arrives.
    #[must_use]
    pub(crate) fn new(poll: *const AtomicU32) -> Queue {
        let slots = [const { UnsafeCell::new(Info([0; 128])) }; SLOTS];
        Queue {
            slots,
            written: AtomicU32::new(0),
            read: AtomicU32::new(0),
            pending: AtomicU32::new(0),
            poll,
            held: AtomicU64::new(0),
            suspended: AtomicU64::new(NO_MASK),
        }
    }

    /// The set of signals that the thread holds.
    pub(crate) fn held(&self) -> SigSet {
        self.held.load(Ordering::Relaxed)
    }

    pub(super) fn set_held(&self, held: SigSet) {
        self.held.store(held, Ordering::Relaxed);
    }

    /// The mask in force while a call waited that a signal has interrupted: its handler runs with it, and returns to the thread's own.
    pub(crate) fn suspended(&self) -> Option<SigSet> {
        Some(self.suspended.load(Ordering::Relaxed)).filter(|&mask| mask != NO_MASK)
    }

    /// Sets that mask.
    pub(crate) fn suspend(&self, mask: Option<SigSet>) {
        self.suspended.store(mask.unwrap_or(NO_MASK), Ordering::Relaxed);
    }

    /// Nonzero while something is queued; blocking calls test it in the window.
    pub(crate) fn pending(&self) -> &AtomicU32 {
        &self.pending
    }

    /// Whether something is queued.
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Acquire) != 0
    }

    /// Asks the thread to look at its signals. Async-signal-safe.
    pub(crate) fn notify(&self) {
        self.pending.store(1, Ordering::Release);
        // SAFETY: see the type.
        unsafe { (*self.poll).store(1, Ordering::Release) };
    }

    /// Queues a signal; called by the host handler only.
    pub(crate) fn push(&self, info: &Info) {
        let (written, read) = (self.written.load(Ordering::Relaxed), self.read.load(Ordering::Acquire));
        if written.wrapping_sub(read) < SLOTS as u32 {
            // SAFETY: the slot is outside what the consumer reads until `written` is published.
            unsafe { *self.slots[written as usize % SLOTS].get() = *info };
            self.written.store(written.wrapping_add(1), Ordering::Release);
        }
        self.notify();
    }

    /// Takes the oldest signal; clears the pending mark before looking, so that nothing is missed.
    pub(crate) fn pop(&self) -> Option<Info> {
        self.pending.store(0, Ordering::Release);
        let (written, read) = (self.written.load(Ordering::Acquire), self.read.load(Ordering::Relaxed));
        if written == read {
            return None;
        }
        // SAFETY: published by the producer, which does not touch it until `read` moves.
        let info = unsafe { *self.slots[read as usize % SLOTS].get() };
        self.read.store(read.wrapping_add(1), Ordering::Release);
        if written != read.wrapping_add(1) {
            self.pending.store(1, Ordering::Release);
        }
        Some(info)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_kept_and_pending_follows() {
        let poll = AtomicU32::new(0);
        let queue = Queue::new(&poll);
        assert!(queue.pop().is_none() && !queue.is_pending());
        for n in 1..=3 {
            queue.push(&Info::fault(n, 1, 0x1234_5678_9abc));
        }
        assert_eq!(poll.load(Ordering::Relaxed), 1);
        for n in 1..=3 {
            assert!(queue.is_pending());
            let info = queue.pop().unwrap();
            assert_eq!((info.signal(), info.code(), info.addr()), (n, 1, 0x1234_5678_9abc));
        }
        assert!(!queue.is_pending() && queue.pop().is_none());
    }
}
