//! The translator of a guest process.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, MutexGuard};

use ir::Guest;
use ir::unit::Unit;

use crate::check;
use crate::interp;
use crate::native_counters::{Counters, NativeCounts};
use crate::options::{Engine, Hooks, JitOptions, Stats, StatsReport};
use crate::phases::Stopwatch;
use crate::profile::{self, Profile, UnitProfile};
use crate::t1;
use crate::watched::{self, Watched};

/// Translations of one guest process and what its threads share.
pub struct Jit {
    pub(crate) guest: &'static Guest,
    pub(crate) hooks: Box<dyn Hooks>,
    pub(crate) options: JitOptions,
    pub(crate) stats: Stats,
    pub(crate) natives: Counters,
    pub(crate) interp: interp::Cache,
    /// See [`JitOptions::profile`].
    pub(crate) profile: Profile,
    /// See [`JitOptions::check`].
    pub(crate) lock_step: check::LockStep,
    pub(crate) watched: Watched,
    /// Threads that there have been.
    pub(crate) threads: AtomicUsize,
    /// Present with [`Engine::T1`].
    pub(crate) t1: Option<t1::Runtime>,
}

impl Jit {
    /// A translator with nothing translated. Where there is no memory for generated code it interprets; see
    /// [`Jit::engine`].
    pub fn new(guest: &'static Guest, hooks: Box<dyn Hooks>, options: JitOptions) -> Arc<Jit> {
        let direct = hooks.direct_calls();
        let t1 = (options.engine == Engine::T1).then(|| t1::Runtime::new(guest, options, &direct)).flatten();
        if t1.is_none() {
            watched::begin();
        }
        Arc::new(Jit {
            guest,
            hooks,
            options,
            stats: Stats::default(),
            natives: Counters::default(),
            interp: interp::Cache::default(),
            profile: Profile::default(),
            lock_step: check::LockStep::default(),
            watched: Watched::default(),
            threads: AtomicUsize::new(0),
            t1,
        })
    }

    /// What executes guest code.
    #[must_use]
    pub fn engine(&self) -> Engine {
        if self.t1.is_some() { Engine::T1 } else { Engine::Interp }
    }

    /// The guest processor.
    #[must_use]
    pub fn guest(&self) -> &'static Guest {
        self.guest
    }

    /// Drops translations of guest code in `[start, start + len)`: the bytes, their protection or their interception
    /// changed. When it returns, no thread enters stale code any more; one that is inside a unit finishes it. Not for
    /// signal handlers.
    pub fn invalidate(&self, start: u64, len: u64) {
        if len == 0 {
            return;
        }
        match &self.t1 {
            Some(t1) => t1.invalidate(self, start, len),
            None => self.interp.invalidate(self, start, len),
        }
    }

    /// Drops all translations.
    pub fn invalidate_all(&self) {
        self.invalidate(0, u64::MAX);
    }

    /// The guest says that any code may have changed.
    pub(crate) fn code_changed(&self) {
        match &self.t1 {
            Some(t1) => t1.code_changed(self),
            None => self.invalidate_all(),
        }
    }

    /// Whether the guest has exclusive accesses that need to know what others store: then the embedder says what is stored for
    /// the guest by others than its own code ([`Jit::stored_at`], [`Jit::stored`]). Once this is so it stays so.
    #[must_use]
    pub fn notices_stores(&self) -> bool {
        // What a single thread stores does not end its own reservations, whatever executes it.
        let threads = || self.threads.load(Ordering::Acquire) > 1;
        self.t1.as_ref().map_or_else(threads, t1::Runtime::notices_stores)
    }

    /// From now on every system call is an event: none is made by generated code. Not to be called by a thread that executes it.
    pub fn see_all_calls(&self) {
        if let Some(t1) = &self.t1 {
            t1.see_all_calls();
        }
    }

    /// From now on the guest's memory may be accessed by others than its one thread while that is running: by other processes. That
    /// of other threads ([`crate::Thread::new`]) is known. Not to be called by a thread that executes generated code.
    pub fn share_memory(&self) {
        if let Some(t1) = &self.t1 {
            t1.share_memory();
        }
    }

    /// The `len` bytes of guest memory at `addr` may have been stored to.
    pub fn stored_at(&self, addr: u64, len: u64) {
        if self.notices_stores() {
            self.watched.stored_at(addr, len);
        }
    }

    /// Guest memory may have been stored to, nobody knows where.
    pub fn stored(&self) {
        if self.notices_stores() {
            self.watched.stored();
        }
    }

    /// Counters.
    #[must_use]
    pub fn stats(&self) -> StatsReport {
        let mut report = self.stats.report();
        report.table_bytes += self.t1.as_ref().map_or(0, |t1| t1.kept_bytes());
        report
    }

    /// An image of translations for later processes ([`JitOptions::saved`]), if it would have enough that this one's did not.
    #[must_use]
    pub fn image(&self) -> Option<Vec<u8>> {
        self.t1.as_ref()?.image()
    }

    /// Units that were entered, the one with most executed instructions first; empty unless counted.
    #[must_use]
    pub fn profile(&self) -> Vec<UnitProfile> {
        self.profile.report()
    }

    /// Of the native function numbered `id`.
    #[must_use]
    pub fn native_calls(&self, id: u32) -> NativeCounts {
        self.natives.read(id)
    }

    /// Call on the forking thread before everything else that keeps others from going on, and keep what it returns until after `fork`:
    /// with [`JitOptions::check`], the thread whose turn it is may be about to fetch code.
    #[must_use]
    pub fn take_turn(&self) -> Turn<'_> {
        Turn { _lock_step: self.lock_step.enter() }
    }

    /// Call on the forking thread before `fork`, after [`Jit::take_turn`]: waits until the translator's structures are consistent and keeps them so
    /// until the guard is dropped, in the parent and in the child ([`ForkGuard::in_child`]).
    #[must_use]
    pub fn fork_prepare(&self) -> ForkGuard<'_> {
        let t1 = self.t1.as_ref().map(t1::Runtime::freeze);
        let profile = self.profile.freeze();
        let (interp, watched) = (self.interp.freeze(), self.watched.freeze());
        ForkGuard { natives: &self.natives, t1, profile, _interp: interp, _watched: watched }
    }

    pub(crate) fn stopwatch(&self) -> Stopwatch<'_> {
        Stopwatch::start(&self.stats, self.options.times)
    }

    pub(crate) fn count_unit(&self, unit: &Unit, insns: u32) {
        Stats::add(&self.stats.units, 1);
        Stats::add(&self.stats.guest_insns, insns.into());
        Stats::add(&self.stats.guest_bytes, unit.guest_len.into());
    }
}

/// Nobody executes a unit in lock-step.
pub struct Turn<'a> {
    _lock_step: MutexGuard<'a, ()>,
}

/// Holds the translator still across `fork`.
pub struct ForkGuard<'a> {
    natives: &'a Counters,
    t1: Option<t1::Frozen<'a>>,
    profile: profile::Frozen<'a>,
    _interp: interp::Frozen<'a>,
    _watched: watched::Frozen<'a>,
}

impl ForkGuard<'_> {
    /// In the child: forgets the parent's other threads and releases.
    pub fn in_child(mut self) {
        self.natives.reset();
        self.profile.reset();
        if let Some(t1) = &mut self.t1 {
            t1.in_child();
        }
    }
}
