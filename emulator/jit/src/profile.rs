//! Counts of how often units are entered, for `--profile`. Only then does generated code count.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ir::unit::UnitKey;

/// A translation and its counter, which lives as long as the process: generated code has its address.
struct Counted {
    key: UnitKey,
    guest_insns: u32,
    host_bytes: u32,
    entered: &'static AtomicU64,
}

/// All translations ever made.
#[derive(Default)]
pub(crate) struct Profile(Mutex<Vec<Counted>>);

/// A unit and how often it was entered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct UnitProfile {
    /// Guest address.
    pub pc: u64,
    /// Mode word.
    pub mode: u32,
    /// How often it was entered. Threads that count at the same time may lose some.
    pub entered: u64,
    /// Guest instructions in it: as many are executed each time, at most.
    pub guest_insns: u32,
    /// Bytes of host code.
    pub host_bytes: u32,
}

impl UnitProfile {
    /// Guest instructions executed in it, at most.
    #[must_use]
    pub fn executed(&self) -> u64 {
        self.entered.saturating_mul(self.guest_insns.into())
    }
}

impl Profile {
    /// A fresh counter.
    pub(crate) fn counter() -> &'static AtomicU64 {
        Box::leak(Box::new(AtomicU64::new(0)))
    }

    /// A unit was translated that counts with `entered`.
    pub(crate) fn add(&self, key: UnitKey, guest_insns: u32, host_bytes: u32, entered: &'static AtomicU64) {
        self.freeze().0.push(Counted { key, guest_insns, host_bytes, entered });
    }

    /// Locked, for `fork`.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        Frozen(self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Every unit that was entered, translations of the same one together, the one with most executed instructions first.
    pub(crate) fn report(&self) -> Vec<UnitProfile> {
        let mut all: Vec<UnitProfile> = Vec::new();
        for unit in &*self.freeze().0 {
            let Counted { key, guest_insns, host_bytes, entered } = unit;
            let entered = entered.load(Ordering::Relaxed);
            all.push(UnitProfile {
                pc: key.pc,
                mode: key.mode,
                entered,
                guest_insns: *guest_insns,
                host_bytes: *host_bytes,
            });
        }
        all.retain(|unit| unit.entered != 0);
        // Of one that was translated again, the latest shape counts.
        all.sort_by_key(|unit| (unit.pc, unit.mode));
        all.dedup_by(|later, unit| {
            let same = (later.pc, later.mode) == (unit.pc, unit.mode);
            if same {
                *unit = UnitProfile { entered: unit.entered + later.entered, ..*later };
            }
            same
        });
        all.sort_by_key(|unit| (std::cmp::Reverse(unit.executed()), unit.pc));
        all
    }
}

/// The locked list.
pub(crate) struct Frozen<'a>(MutexGuard<'a, Vec<Counted>>);

impl Frozen<'_> {
    /// In a forked child: it counts for itself.
    pub(crate) fn reset(&self) {
        self.0.iter().for_each(|unit| unit.entered.store(0, Ordering::Relaxed));
    }
}
