//! What the embedder provides and chooses, and what it can ask for afterwards.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::direct_calls::DirectCall;
use crate::native::NativeFn;
use crate::phases::Phase;
use crate::t1::Saved;
use crate::trace::Trace;
use crate::x64::Features;

/// The embedder's side of translation. Called without any lock of the translator held.
pub trait Hooks: Send + Sync {
    /// Copies the readable and executable guest bytes at `pc` to `buf`, up to the first that is not; returns how many:
    /// fewer than `buf` has room for only if there are no more.
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize;
    /// The host function that replaces the guest function at `pc`, if any. Asked once per translation of an address.
    fn intercept(&self, pc: u64) -> Option<NativeFn>;
    /// Whether the `len` bytes of code at `pc` are of files and not writable: translations of no others are saved, and those of others
    /// are dropped whenever the guest says that code has changed. What ceases to be so is invalidated.
    fn is_constant(&self, _pc: u64, _len: u64) -> bool {
        false
    }
    /// System calls that generated code may make by itself. Asked once.
    fn direct_calls(&self) -> Vec<DirectCall> {
        Vec::new()
    }
}

/// How units are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Engine {
    /// Compiled to host code on first execution.
    #[default]
    T1,
    /// Interpreted: slow, and the definition of what is right.
    Interp,
}

/// Choices for a [`crate::Jit`].
#[derive(Clone, Copy, Debug, Default)]
pub struct JitOptions {
    /// Execution engine.
    pub engine: Engine,
    /// What to print on stderr.
    pub trace: Trace,
    /// Raise underflow as the guest defines it from the start, not only from the guest's first look at its floating-point
    /// flags: for comparing states.
    pub exact_underflow: bool,
    /// Let so many invalid floating-point operations trap on the host before results are checked for them, with guests where only these
    /// have results of their own. Unless it is 0, the process passes SIGFPE and SIGTRAP to [`crate::on_host_fault`].
    pub trap_invalid: u32,
    /// Measure some native calls, as host code and translated.
    pub measure_natives: bool,
    /// Extensions of the host processor that generated code uses; all it has if not given.
    pub features: Option<Features>,
    /// Bytes of memory for generated code, all of which is dropped when they are used; 0: as many as is good.
    pub code_memory: usize,
    /// Count how often each unit is entered ([`crate::Jit::profile`]).
    pub profile: bool,
    /// Measure the phases of translation.
    pub times: bool,
    /// Interpret code a few times, and translate it when it is executed again: most code of a short program is executed once. If there are
    /// `saved` translations, some of what they lack is translated at once. Not together with `trace`, `profile` and `check`.
    pub interpret_first: bool,
    /// Prove of each unit that its values are where its code looks for them. Debug builds always do.
    pub prove: bool,
    /// Use translations of an earlier process, and keep what [`crate::Jit::image`] needs. Not together with what wants to see
    /// every unit translated: `trace`, `profile`, `prove` and `check`.
    pub saved: Option<Saved>,
    /// Interpret each unit before generated code executes it, and compare. Implies `exact_underflow`.
    pub check: bool,
}

/// Counters, always on.
#[derive(Default)]
pub(crate) struct Stats {
    pub(crate) units: AtomicU64,
    pub(crate) saved: AtomicU64,
    pub(crate) interpreted: AtomicU64,
    pub(crate) guest_insns: AtomicU64,
    pub(crate) guest_bytes: AtomicU64,
    pub(crate) code_bytes: AtomicU64,
    /// Those of dropped translations.
    pub(crate) table_bytes: AtomicU64,
    pub(crate) phases: [AtomicU64; Phase::ALL.len()],
    pub(crate) invalidated: AtomicU64,
    pub(crate) flushes: AtomicU64,
}

/// A reading of the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct StatsReport {
    /// Units translated.
    pub units: u64,
    /// Units that an earlier process had translated.
    pub saved: u64,
    /// Times that code was interpreted because it had not been executed often ([`JitOptions::interpret_first`]).
    pub interpreted: u64,
    /// Guest instructions in them.
    pub guest_insns: u64,
    /// Guest bytes in them.
    pub guest_bytes: u64,
    /// Bytes of host code made for them, and between it.
    pub code_bytes: u64,
    /// Bytes of records and tables about them, room for more included.
    pub table_bytes: u64,
    /// Nanoseconds spent in each phase of translation, all threads together; with [`JitOptions::times`].
    pub phases: [u64; Phase::ALL.len()],
    /// Units dropped because their guest code changed.
    pub invalidated: u64,
    /// Times all translations were dropped to make room.
    pub flushes: u64,
}

impl Stats {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn report(&self) -> StatsReport {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        StatsReport {
            units: read(&self.units),
            saved: read(&self.saved),
            interpreted: read(&self.interpreted),
            guest_insns: read(&self.guest_insns),
            guest_bytes: read(&self.guest_bytes),
            code_bytes: read(&self.code_bytes),
            table_bytes: read(&self.table_bytes),
            phases: std::array::from_fn(|phase| read(&self.phases[phase])),
            invalidated: read(&self.invalidated),
            flushes: read(&self.flushes),
        }
    }
}
