//! Where the time of translation goes, measured if it is asked for ([`crate::JitOptions::times`]).

use std::time::Instant;

use crate::options::Stats;

/// A part of the way from guest code to what is executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Looking for a saved translation, and reading it.
    Load,
    /// From guest code to simplified intermediate code.
    Form,
    /// Interpreting what has not been executed often, decoding included.
    Interpret,
    /// Finding out what is needed, where, and until when.
    Analyse,
    /// Generating host code, with allocation of registers.
    Emit,
    /// Copying it to where it is executed, and making it known.
    Publish,
}

impl Phase {
    /// All, in their order.
    pub const ALL: [Phase; 6] =
        [Phase::Load, Phase::Form, Phase::Interpret, Phase::Analyse, Phase::Emit, Phase::Publish];

    /// What is being done.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Phase::Load => "loading",
            Phase::Form => "forming",
            Phase::Interpret => "interpreting",
            Phase::Analyse => "analysing",
            Phase::Emit => "emitting",
            Phase::Publish => "publishing",
        }
    }
}

/// Runs while a unit is translated.
pub(crate) struct Stopwatch<'a> {
    stats: &'a Stats,
    since: Option<Instant>,
}

impl<'a> Stopwatch<'a> {
    /// Started if `runs`; else it costs nothing.
    pub(crate) fn start(stats: &'a Stats, runs: bool) -> Stopwatch<'a> {
        Stopwatch { stats, since: runs.then(Instant::now) }
    }

    /// What took place since the last call.
    pub(crate) fn lap(&mut self, phase: Phase) {
        if self.since.is_some() {
            self.lap_at(phase, Some(Instant::now()));
        }
    }

    /// The same, of a phase that ended at `end`.
    pub(crate) fn lap_at(&mut self, phase: Phase, end: Option<Instant>) {
        if let (Some(since), Some(end)) = (self.since, end) {
            Stats::add(&self.stats.phases[phase as usize], end.duration_since(since).as_nanos() as u64);
            self.since = Some(end);
        }
    }
}
