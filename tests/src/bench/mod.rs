//! The speed table: each workload native, under isamorph and under qemu-user, interleaved.

use crate::programs::{Link, build};
use crate::run::isamorph;
use anyhow::{Context, Result, ensure};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Workloads: source under `tests/bench`, argument, what it stands for.
pub const WORKLOADS: [(&str, &str, &str); 7] = [
    ("hello", "", "start-up"),
    ("calls", "36", "recursive calls"),
    ("sort", "8", "heap sort and binary search"),
    ("hash", "20000000", "integer hash"),
    ("matrix", "12", "matrix product, doubles"),
    ("nbody", "1000000", "n-body, scalar doubles"),
    ("strings", "1500000", "4 KiB memcpy, strlen, memcmp"),
];

/// A way to run a program.
struct Runner {
    name: &'static str,
    prefix: Vec<PathBuf>,
    program: PathBuf,
}

/// Medians of one workload, in milliseconds, by runner.
pub struct Row {
    /// Workload.
    pub name: &'static str,
    /// Runner and median.
    pub medians: Vec<(&'static str, f64)>,
}

/// Runs every workload whose name contains `only`, `rounds` times under each runner in turn.
///
/// # Errors
/// If a program cannot be run or its output differs between runners.
pub fn measure(guest: &str, only: &str, rounds: usize) -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (name, argument, _) in WORKLOADS.iter().filter(|w| w.0.contains(only)) {
        let runners = runners(guest, name);
        let mut times = vec![Vec::new(); runners.len()];
        let mut expected: Option<Vec<u8>> = None;
        let repeats = if *name == "hello" { rounds * 5 } else { rounds };
        for _ in 0..repeats {
            for (runner, times) in runners.iter().zip(&mut times) {
                let (milliseconds, output) = time(runner, argument)?;
                times.push(milliseconds);
                let expected = expected.get_or_insert_with(|| output.clone());
                ensure!(*expected == output, "{name} under {}: output differs from {}'s", runner.name, runners[0].name);
            }
        }
        let medians = runners.iter().zip(&mut times).map(|(r, t)| (r.name, median(t))).collect();
        rows.push(Row { name, medians });
    }
    Ok(rows)
}

fn runners(guest: &str, name: &str) -> Vec<Runner> {
    let source = format!("bench/{name}.c");
    let program = build(&source, guest, Link::Static);
    let mut runners = vec![
        Runner { name: "native", prefix: Vec::new(), program: build(&source, "native", Link::Static) },
        Runner { name: "isamorph", prefix: vec![isamorph().clone()], program: program.clone() },
    ];
    if name == "strings" {
        let prefix = vec![isamorph().clone(), "--native-bypass".into()];
        runners.push(Runner { name: "bypass", prefix, program: program.clone() });
    }
    if let Some(qemu) = find(&format!("qemu-{guest}")) {
        runners.push(Runner { name: "qemu", prefix: vec![qemu], program });
    }
    runners
}

fn find(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|d| d.join(program)).find(|p| Path::is_file(p))
}

fn time(runner: &Runner, argument: &str) -> Result<(f64, Vec<u8>)> {
    let words: Vec<&Path> = runner.prefix.iter().map(PathBuf::as_path).chain([runner.program.as_path()]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).args((!argument.is_empty()).then_some(argument)).stderr(Stdio::inherit());
    let start = Instant::now();
    let output = command.output().with_context(|| format!("{command:?}"))?;
    let milliseconds = start.elapsed().as_secs_f64() * 1e3;
    ensure!(output.status.success(), "{command:?}: {}", output.status);
    Ok((milliseconds, output.stdout))
}

fn median(times: &mut [f64]) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// The table as Markdown: times in milliseconds, then ratios.
#[must_use]
pub fn table(guest: &str, rows: &[Row]) -> String {
    let mut text = format!("| {guest} | native ms | isamorph ms | qemu ms | isamorph / native | qemu / isamorph |\n");
    text += "|---|---:|---:|---:|---:|---:|\n";
    for row in rows {
        let of = |name| row.medians.iter().find(|m| m.0 == name).map(|m| m.1);
        let number = |x: Option<f64>| x.map_or_else(|| "-".to_owned(), |x| format!("{x:.1}"));
        let ratio =
            |a: Option<f64>, b: Option<f64>| a.zip(b).map_or_else(|| "-".to_owned(), |(a, b)| format!("{:.2}", a / b));
        let (native, ours, qemu) = (of("native"), of("isamorph"), of("qemu"));
        let what = WORKLOADS.iter().find(|w| w.0 == row.name).map_or("", |w| w.2);
        let mut line = |label: &str, ours: Option<f64>| {
            text += &format!(
                "| {label} | {} | {} | {} | {} | {} |\n",
                number(native),
                number(ours),
                number(qemu),
                ratio(ours, native),
                ratio(qemu, ours)
            );
        };
        line(what, ours);
        if let Some(bypass) = of("bypass") {
            line(&format!("{what}, `--native-bypass`"), Some(bypass));
        }
    }
    text
}
