//! Random instructions of the guests, by translated code and by what it is compared with: the interpreter, or a reference that
//! knows nothing of our specifications, which is the host itself for guests of its kind and QEMU's user-mode emulator for others.
//!
//! The comparisons are tests of the `jit` crate, which do a little of it in each run of the tests. Here they go on for longer, or for
//! ever: this is the fuzz target, too. Random input is not mutated by what it covers: instructions are made from the
//! specification, whose every row is met that way.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use crate::root;

/// The tests that compare with what.
const TESTS: [(&str, &str); 3] =
    [("interpreter", "engines_agree"), ("reference", "against_qemu"), ("reference", "host_cpu")];
/// Seconds for a guest before the next one has its turn, if there is no end.
const TURN: u64 = 60;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub enum Until {
    /// After so many instructions of each guest.
    Instructions(u64),
    /// After so many seconds for each guest.
    Seconds(u64),
    /// At a difference.
    Difference,
}

/// What to run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Only this guest, or form of its instructions: `arm-t32`.
    pub guest: String,
    /// `interpreter`, `reference`, or empty for both.
    pub against: String,
    /// When to stop.
    pub until: Until,
    /// Of the first round; each one has the next number.
    pub seed: u64,
}

/// Runs the comparisons of a test from a seed; whether there were any.
fn run(test: &str, plan: &Plan, seed: u64) -> Result<bool, String> {
    let (variable, value) = match plan.until {
        Until::Instructions(n) => ("RANDOM_INSTRUCTIONS", n),
        Until::Seconds(n) => ("RANDOM_SECONDS", n),
        Until::Difference => ("RANDOM_SECONDS", TURN),
    };
    let mut child = Command::new(env!("CARGO"))
        .args(["test", "--quiet", "--release", "--package", "jit", "--test", test, "_what_"])
        .args(["--", "--nocapture", "--test-threads=1"])
        .env_remove("RUST_BACKTRACE")
        .env("RANDOM_GUEST", &plan.guest)
        .env("RANDOM_SEED", seed.to_string())
        .env(variable, value.to_string())
        .current_dir(root())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|e| format!("cargo does not run: {e}"))?;
    let mut compared = false;
    for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines()).map_while(Result::ok)
    {
        compared |= line.contains(" against the ");
        eprintln!("{line}");
    }
    let status = child.wait().map_err(|e| e.to_string())?;
    if status.success() { Ok(compared) } else { Err(format!("{test}, from seed {seed}: {status}")) }
}

/// Runs what the plan asks for. The tests say on stderr what they do and find.
///
/// # Errors
/// If the plan asks for nothing there is, or anything differs.
pub fn random(plan: &Plan) -> Result<(), String> {
    let wanted = |against: &str| plan.against.is_empty() || plan.against == against;
    for turn in 0.. {
        // Turns are further apart than rounds of one are many.
        let seed = plan.seed.wrapping_add(turn << 32);
        let mut compared = false;
        for (_, test) in TESTS.iter().filter(|(against, _)| wanted(against)) {
            compared |= run(test, plan, seed)?;
        }
        if !compared {
            return Err(format!("no guest {:?} to compare with {:?}", plan.guest, plan.against));
        }
        if !matches!(plan.until, Until::Difference) {
            break;
        }
    }
    Ok(())
}
