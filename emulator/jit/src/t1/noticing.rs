//! When stores begin to be noticed; see [`crate::watched`].

use std::sync::atomic::{AtomicBool, Ordering};

use ir::exclusives;
use ir::unit::Unit;

use super::Runtime;
use crate::jit::Jit;

/// Whether the process has what it takes.
#[derive(Default)]
pub(super) struct Noticing {
    /// There are exclusive stores that could succeed by mistake.
    needed: AtomicBool,
    /// Stores are noticed: all code that is translated from now on does its part.
    on: AtomicBool,
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
            self.noticing.on.store(true, Ordering::SeqCst);
        }
        others
    }

    /// A thread was added, by one that holds no translation.
    pub(super) fn thread_added(&self, jit: &Jit) {
        let must = self.noticing.needed.load(Ordering::SeqCst) && self.world.count() > 1;
        if must && !self.noticing.on.swap(true, Ordering::SeqCst) {
            self.flush(jit);
        }
    }

    /// Watches the granule of `addr`. The caller holds no translation.
    pub(super) fn watch(&self, jit: &Jit, addr: u64) {
        let _stopped = self.world.stop();
        jit.watched.watch(addr);
    }
}
