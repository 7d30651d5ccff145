//! The speed of the emulator: each workload native, under isamorph and under qemu-user, interleaved.

mod plot;
mod report;
mod workloads;

pub use plot::plot;
pub use report::{json, table};
pub use workloads::{Class, WORKLOADS, Workload};

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::run::isamorph;

/// A way to run a program.
struct Runner {
    name: &'static str,
    prefix: Vec<PathBuf>,
    program: PathBuf,
    /// Has a cache of translations, which runs before those measured fill.
    remembers: bool,
}

/// One execution.
#[derive(Clone, Copy, Debug)]
struct Run {
    /// From start to end, in milliseconds.
    wall: f64,
    /// On processors, in the program and in the kernel for it, in milliseconds.
    processor: f64,
    /// Most memory at once, in KiB.
    memory: f64,
}

/// What a runner needed for a workload: medians.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Milliseconds from start to end.
    pub wall: f64,
    /// Milliseconds on processors.
    pub processor: f64,
    /// KiB of memory.
    pub memory: f64,
    /// Half of the distance between the quartiles of the processor time, as a share of it.
    pub noise: f64,
}

/// The costs of one workload, by runner.
pub struct Row {
    /// Workload.
    pub workload: &'static Workload,
    /// Runner and costs.
    pub costs: Vec<(&'static str, Cost)>,
}

impl Row {
    /// The costs under a runner, if it was there.
    #[must_use]
    pub fn cost(&self, runner: &str) -> Option<Cost> {
        self.costs.iter().find(|(name, _)| *name == runner).map(|(_, cost)| *cost)
    }

    /// Processor time of `a` in that of `b`.
    #[must_use]
    pub fn ratio(&self, a: &str, b: &str) -> Option<f64> {
        Some(self.cost(a)?.processor / self.cost(b)?.processor)
    }
}

/// Runs until translations of short workloads are all kept.
const FILLING: usize = 5;

/// Short workloads are measured so many times more often.
const SHORT_REPEATS: usize = 5;

/// Runs every workload whose name or class contains `only`, `rounds` times under each runner in turn. Programs that the guest has no tree
/// for are left out.
///
/// # Errors
/// If a program cannot be run or its output differs between runners.
pub fn measure(guest: &str, only: &str, rounds: usize) -> Result<Vec<Row>> {
    let chosen = WORKLOADS.iter().filter(|w| w.name.contains(only) || w.class.name().contains(only));
    workloads::make_inputs();
    let mut rows = Vec::new();
    for workload in chosen {
        let Some(runners) = runners(guest, workload) else { continue };
        rows.push(row(workload, &runners, rounds)?);
    }
    Ok(rows)
}

fn row(workload: &'static Workload, runners: &[Runner], rounds: usize) -> Result<Row> {
    let mut runs = vec![Vec::new(); runners.len()];
    let mut expected: Option<Vec<u8>> = None;
    let repeats = if workload.class == Class::Start { rounds * SHORT_REPEATS } else { rounds };
    for runner in runners.iter().filter(|runner| runner.remembers) {
        // Each translates some of what those before it have interpreted.
        for _ in 0..FILLING {
            execute(runner, workload)?;
        }
    }
    for _ in 0..repeats {
        for (runner, runs) in runners.iter().zip(&mut runs) {
            let (run, output) = execute(runner, workload)?;
            runs.push(run);
            let expected = expected.get_or_insert_with(|| output.clone());
            ensure!(*expected == output, "{} under {}: another output than native", workload.name, runner.name);
        }
    }
    let costs = runners.iter().zip(&runs).map(|(runner, runs)| (runner.name, cost(runs))).collect();
    Ok(Row { workload, costs })
}

fn runners(guest: &str, workload: &Workload) -> Option<Vec<Runner>> {
    let program = workload.file(guest)?;
    let tree: Vec<PathBuf> = match workload.is_program() {
        true => vec!["-L".into(), crate::sysroot(guest)],
        false => Vec::new(),
    };
    let runner = |name, emulator: &Path, options: &[&Path]| Runner {
        name,
        prefix: [emulator].iter().chain(options).map(|word| word.to_path_buf()).chain(tree.clone()).collect(),
        program: program.clone(),
        remembers: name == "isamorph",
    };
    let cache = crate::root().join("target/bench-cache");
    let mut runners = Vec::new();
    if let Some(native) = workload.file("native") {
        runners.push(Runner { name: "native", prefix: Vec::new(), program: native, remembers: false });
    }
    runners.push(runner("isamorph", isamorph(), &["--cache".as_ref(), &cache]));
    if matches!(workload.class, Class::Start | Class::Programs) {
        runners.push(runner("first", isamorph(), &["--cache".as_ref(), "none".as_ref()]));
    }
    if workload.class == Class::Strings {
        runners.push(runner("bypass", isamorph(), &["--native-bypass".as_ref()]));
    }
    if let Some(qemu) = qemu(guest) {
        runners.push(runner("qemu", &qemu, &[]));
    }
    Some(runners)
}

/// The qemu-user to compare with: the one that `tests/setup.sh` took from a later release, else the system's.
fn qemu(guest: &str) -> Option<PathBuf> {
    let fetched = crate::root().join("target/tools/qemu/usr/bin");
    let path = std::env::var_os("PATH")?;
    let folders = [fetched].into_iter().chain(std::env::split_paths(&path));
    folders.map(|folder| folder.join(format!("qemu-{guest}"))).find(|program| program.is_file())
}

/// What qemu-user says of itself, first line.
fn qemu_version(guest: &str) -> Option<String> {
    let output = Command::new(qemu(guest)?).arg("--version").output().ok()?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(str::to_owned)
}

fn execute(runner: &Runner, workload: &Workload) -> Result<(Run, Vec<u8>)> {
    let words: Vec<&Path> = runner.prefix.iter().map(PathBuf::as_path).chain([runner.program.as_path()]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args(workload.arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    command.current_dir(crate::root());
    let start = Instant::now();
    let mut child = command.spawn().with_context(|| format!("{command:?}"))?;
    let mut output = Vec::new();
    std::io::Read::read_to_end(&mut child.stdout.take().context("piped")?, &mut output)?;
    let (status, usage) = wait(child.id())?;
    let wall = start.elapsed().as_secs_f64() * 1e3;
    ensure!(status == 0, "{command:?}: wait status {status:#x}");
    let milliseconds = |t: libc::timeval| t.tv_sec as f64 * 1e3 + t.tv_usec as f64 / 1e3;
    let processor = milliseconds(usage.ru_utime) + milliseconds(usage.ru_stime);
    Ok((Run { wall, processor, memory: usage.ru_maxrss as f64 }, output))
}

/// Waits for a child; its wait status and what it used.
fn wait(child: u32) -> Result<(i32, libc::rusage)> {
    let (mut status, mut usage) = (0, std::mem::MaybeUninit::<libc::rusage>::zeroed());
    // SAFETY: both are writable; the child is ours and nobody else waits for it.
    let waited = unsafe { libc::wait4(child as i32, &raw mut status, 0, usage.as_mut_ptr()) };
    ensure!(waited == child as i32, "wait4: {}", std::io::Error::last_os_error());
    // SAFETY: filled by the kernel; all bit patterns are valid.
    Ok((status, unsafe { usage.assume_init() }))
}

fn cost(runs: &[Run]) -> Cost {
    let sorted = |of: fn(&Run) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |of| quantile(&sorted(of), 0.5);
    let processor = sorted(|run| run.processor);
    let spread = quantile(&processor, 0.75) - quantile(&processor, 0.25);
    let middle = quantile(&processor, 0.5);
    Cost { wall: median(|r| r.wall), processor: middle, memory: median(|r| r.memory), noise: spread / 2.0 / middle }
}

/// Of sorted values.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    sorted[((sorted.len() - 1) as f64 * at).round() as usize]
}

/// Geometric mean; `None` of nothing.
#[must_use]
pub fn geomean(values: impl Iterator<Item = f64>) -> Option<f64> {
    let logs: Vec<f64> = values.map(f64::ln).collect();
    (!logs.is_empty()).then(|| (logs.iter().sum::<f64>() / logs.len() as f64).exp())
}
