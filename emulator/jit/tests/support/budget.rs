//! How much a test of random instructions does, and what it has found.
//!
//! A test is a sequence of rounds, each from a seed of its own: the first one from `RANDOM_SEED`, the next from the next number.
//! What a round finds, it finds again alone. `RANDOM_INSTRUCTIONS` is the number of instructions of each guest, an instruction that
//! is executed from several states counted for each; `RANDOM_SECONDS` how long each guest takes instead; `RANDOM_GUEST` names the one
//! guest, or frame, that is looked at; the frames of a guest are called after it. `cargo x random` sets them.

use std::time::{Duration, Instant};

use super::{Random, number};

/// Differences after which a test ends.
const ENOUGH: usize = 5;
/// How often a long test says how far it is.
const REPORT: Duration = Duration::from_secs(60);

pub(crate) struct Budget {
    guest: &'static str,
    /// The name of what guests are compared with, as `cargo x random` knows it.
    against: &'static str,
    seed: u64,
    rounds: u64,
    instructions: u64,
    time: Option<Duration>,
    start: Instant,
    reported: Instant,
    executed: u64,
    failures: Vec<String>,
}

impl Budget {
    /// That of a guest, with so many instructions if the environment does not tell; `None` if it asks for another guest.
    pub(crate) fn of(guest: &'static str, against: &'static str, instructions: u64) -> Option<Budget> {
        let wanted = std::env::var("RANDOM_GUEST").unwrap_or_default();
        let is_form = guest.strip_prefix(&*wanted).is_some_and(|form| form.starts_with('-'));
        if !wanted.is_empty() && wanted != guest && !is_form {
            return None;
        }
        let time = Some(number("RANDOM_SECONDS", 0)).filter(|seconds| *seconds != 0).map(Duration::from_secs);
        Some(Budget {
            guest,
            against,
            seed: number("RANDOM_SEED", 1),
            rounds: 0,
            instructions: number("RANDOM_INSTRUCTIONS", instructions),
            time,
            start: Instant::now(),
            reported: Instant::now(),
            executed: 0,
            failures: Vec::new(),
        })
    }

    /// The number of the next round, and its random numbers; `None` at the end.
    pub(crate) fn round(&mut self) -> Option<(u64, Random)> {
        let more = self.time.map_or(self.executed < self.instructions, |time| self.start.elapsed() < time);
        if !more || self.failures.len() >= ENOUGH {
            return None;
        }
        if self.reported.elapsed() > REPORT {
            self.reported = Instant::now();
            eprintln!("{}", self.summary());
        }
        self.rounds += 1;
        Some((self.rounds - 1, Random::from_seed(self.seed + self.rounds - 1)))
    }

    /// Instructions that were executed in this round, once more.
    pub(crate) fn executed(&mut self, instructions: u64) {
        self.executed += instructions;
    }

    /// A difference in this round.
    pub(crate) fn differs(&mut self, text: &str) {
        let seed = self.seed + self.rounds - 1;
        let (guest, against) = (self.guest, self.against);
        if self.failures.len() >= ENOUGH {
            return;
        }
        self.failures.push(format!(
            "{guest}:\n{text}\nagain: cargo x random --guest {guest} --against {against} --seed {seed} --instructions 1\n"
        ));
    }

    fn summary(&self) -> String {
        let seconds = self.start.elapsed().as_secs_f64();
        format!(
            "{} against the {}: {} instructions from seed {}, {seconds:.1} s, {:.0} a second, {} differences",
            self.guest,
            self.against,
            self.executed,
            self.seed,
            self.executed as f64 / seconds,
            self.failures.len()
        )
    }

    /// Says what was done; the differences.
    pub(crate) fn finish(self) -> Vec<String> {
        eprintln!("{}", self.summary());
        self.failures
    }
}

/// Fails if there are differences.
pub(crate) fn none_differ(failures: &[String]) {
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures.join("\n"));
}
