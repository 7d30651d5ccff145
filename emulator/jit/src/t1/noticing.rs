//! When stores begin to be noticed (see [`crate::watched`]), and system calls.

use std::sync::atomic::{AtomicBool, Ordering};

use ir::exclusives;
use ir::unit::Unit;

use super::Runtime;
use crate::jit::Jit;
use crate::watched;

/// Whether the process has what it takes.
#[derive(Default)]
pub(super) struct Noticing {
    /// There are exclusive stores that could succeed by mistake.
    needed: AtomicBool,
    /// Stores are noticed: all code that is translated from now on does its part.
    on: AtomicBool,
    /// Generated code makes no system calls.
    calls: AtomicBool,
}

impl Runtime {
    /// Whether stores are noticed.
    pub(crate) fn notices_stores(&self) -> bool {
        self.noticing.on.load(Ordering::Acquire)
    }

    /// Whether a unit that is about to be executed has to be translated once more, together with everything else, because its
    /// exclusive accesses depend on what other threads store and nobody has noticed that so far. What a single thread stores
    /// does not end its own reservations.
    pub(super) fn must_notice_stores(&self, unit: &Unit) -> bool {
        if !exclusives::is_sensitive(unit) {
            return false;
        }
        self.noticing.needed.store(true, Ordering::SeqCst);
        let others = self.world.count() > 1;
        if others {
            self.notice_stores();
        }
        others
    }

    /// What the kernel stores is to be noticed, too.
    fn notice_stores(&self) -> bool {
        watched::begin();
        self.noticing.calls.store(true, Ordering::SeqCst);
        !self.noticing.on.swap(true, Ordering::SeqCst)
    }

    /// Whether every system call is an event.
    pub(super) fn sees_all_calls(&self) -> bool {
        self.noticing.calls.load(Ordering::Acquire)
    }

    /// See [`Jit::see_all_calls`].
    pub(crate) fn see_all_calls(&self) {
        if !self.noticing.calls.swap(true, Ordering::SeqCst) {
            // Every thread comes to the dispatcher and learns of it.
            drop(self.world.stop());
        }
    }

    /// A thread was added, by one that holds no translation.
    pub(super) fn thread_added(&self, jit: &Jit) {
        let must = self.noticing.needed.load(Ordering::SeqCst) && self.world.count() > 1;
        if must && self.notice_stores() {
            self.flush(jit);
        }
    }

    /// Watches the granule of `addr`. The caller holds no translation.
    pub(super) fn watch(&self, jit: &Jit, addr: u64) {
        let _stopped = self.world.stop();
        jit.watched.watch(addr);
    }
}
