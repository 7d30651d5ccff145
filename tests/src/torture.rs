//! The torture suite: programs that ask for everything at once, at random, for a while, and check what they get.
//!
//! Each kind is a program under `tests/torture` that takes a seed and a number of milliseconds; a case is a kind on a guest
//! with options of the emulator.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::Mutex;

use crate::programs::{Link, build};
use crate::run::{emulate, finish};

/// A program, the guests it is for, and the options it also runs under.
struct Kind {
    name: &'static str,
    guests: &'static [&'static str],
    options: &'static [&'static [&'static str]],
}

/// Generated code is dropped all the time.
const LITTLE_MEMORY: &[&str] = &["--code-memory=1M"];
/// Generated code uses no extension of the host's processor.
const OLD_HOST: &[&str] = &["--host-cpu=x86-64-v1"];
/// Each unit beside the interpreter.
const LOCK_STEP: &[&str] = &["--check"];
/// The interpreter alone.
const INTERPRETED: &[&str] = &["--interp"];
/// With the translations of the run before; the directory follows.
const KEPT: &[&str] = &["--cache"];

const KINDS: &[Kind] = &[
    Kind { name: "signals", guests: &["aarch64", "riscv64", "arm", "x86_64"], options: &[&[], OLD_HOST, KEPT] },
    Kind { name: "mappings", guests: &["aarch64", "riscv64", "arm"], options: &[&[], LITTLE_MEMORY, LOCK_STEP, KEPT] },
    Kind { name: "fork", guests: &["aarch64", "riscv64", "x86_64"], options: &[&[], LITTLE_MEMORY, LOCK_STEP, KEPT] },
    Kind { name: "patching", guests: &["aarch64", "riscv64", "arm", "x86_64"], options: &[&[], LITTLE_MEMORY, KEPT] },
    Kind { name: "faults", guests: &["aarch64", "riscv64"], options: &[&[], LOCK_STEP, KEPT] },
    Kind { name: "stacks", guests: &["aarch64", "riscv64", "x86_64"], options: &[&[], LOCK_STEP] },
    Kind { name: "exclusives", guests: &["aarch64", "riscv64", "arm", "x86_64"], options: &[&[]] },
    Kind { name: "reuse", guests: &["aarch64", "riscv64", "arm", "mips", "mips64el"], options: &[&[], KEPT] },
    Kind { name: "reuse", guests: &["aarch64", "mips"], options: &[LITTLE_MEMORY, LOCK_STEP, INTERPRETED] },
];

/// One run.
struct Case {
    kind: &'static str,
    guest: &'static str,
    options: &'static [&'static str],
}

/// What to run, and how often.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Each case this many times, with seeds of its own.
    pub times: u64,
    /// Only kinds with this in their name.
    pub only: String,
    /// Milliseconds for each.
    pub milliseconds: u64,
    /// The first seed.
    pub seed: u64,
}

fn cases(only: &str) -> Vec<Case> {
    let mut all = Vec::new();
    for kind in KINDS.iter().filter(|kind| kind.name.contains(only)) {
        for guest in kind.guests {
            all.extend(kind.options.iter().map(|options| Case { kind: kind.name, guest, options }));
        }
    }
    all
}

fn program(case: &Case) -> PathBuf {
    // The host's own compiler makes programs for the guest that is like the host.
    let guest = if case.guest == "x86_64" { "native" } else { case.guest };
    build(&format!("torture/{}.c", case.kind), guest, Link::Static)
}

/// Runs one case; what was wrong, if anything.
fn run(case: &Case, seed: u64, milliseconds: u64) -> Result<(), String> {
    let mut command = emulate(case.options);
    if case.options == KEPT {
        command.arg(crate::root().join("target/torture-cache"));
    }
    command.arg(program(case)).args([seed.to_string(), milliseconds.to_string()]);
    let described = format!("{} on {} {:?}, seed {seed}", case.kind, case.guest, case.options);
    let output = finish(command);
    if output.status.success() && output.stdout == b"ok\n" {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Err(format!("{described}: {}\n{}{}", output.status, text(&output.stdout), text(&output.stderr)))
}

/// Runs everything, as many cases at a time as there are processors; `progress` hears of each round. How many runs there were.
///
/// # Errors
/// Everything that was wrong in the first round in which anything was.
pub fn torture(plan: &Plan, mut progress: impl FnMut(u64, usize)) -> Result<usize, String> {
    let cases = cases(&plan.only);
    // Built by one, not by all at once.
    cases.iter().for_each(|case| drop(program(case)));
    let workers = std::thread::available_parallelism().map_or(2, usize::from);
    let mut runs = 0;
    for round in 0..plan.times {
        let waiting: Mutex<VecDeque<&Case>> = Mutex::new(cases.iter().collect());
        let wrong = Mutex::new(Vec::new());
        std::thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    loop {
                        let Some(case) = waiting.lock().expect("nobody panics with it").pop_front() else { break };
                        if let Err(what) = run(case, plan.seed + round, plan.milliseconds) {
                            wrong.lock().expect("nobody panics with it").push(what);
                        }
                    }
                });
            }
        });
        let wrong = wrong.into_inner().expect("all have ended");
        if !wrong.is_empty() {
            return Err(format!("round {}:\n{}", round + 1, wrong.join("\n")));
        }
        runs += cases.len();
        progress(round + 1, runs);
    }
    Ok(runs)
}
