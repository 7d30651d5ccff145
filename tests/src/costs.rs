//! What a change of a specification costs: generation, and compilation of what is generated.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::root;

/// Instructions for which the time to compile is given.
const THOUSAND: f64 = 1000.0;

/// Generates every guest, then touches a specification file and builds the emulator again; the figures as Markdown.
///
/// # Errors
/// If a specification has errors or the emulator does not build.
pub fn measure() -> Result<String> {
    let (mut text, mut all) =
        ("| guest | instructions | generated lines | generated in |\n|---|---:|---:|---:|\n".to_owned(), 0);
    let folders = folders()?;
    for folder in &folders {
        let start = Instant::now();
        let compiled = codegen::compile(folder)?;
        for model in &compiled.models {
            let module = codegen::emit::emit(model).map_err(anyhow::Error::msg)?;
            let (insns, lines) = (model.insns.len(), module.text.lines().count());
            let milliseconds = start.elapsed().as_secs_f64() * 1e3;
            let _ = writeln!(text, "| {} | {insns} | {lines} | {milliseconds:.0} ms |", model.name);
            all += insns;
        }
    }
    build("isamorph")?; // what is stale for another reason
    let touched = folders.first().context("there is a guest")?.join("arch.isa");
    let stamp = std::fs::File::options().append(true).open(&touched)?;
    stamp.set_modified(std::time::SystemTime::now())?;
    let rebuilt = build("isamorph")?;
    let independent = ["codegen", "ir", "jit", "linux", "native-lib"];
    let packages = &rebuilt.packages;
    ensure!(
        !packages.iter().any(|p| independent.contains(&p.as_str())),
        "a changed specification rebuilds {packages:?}"
    );
    let _ = writeln!(
        text,
        "\nAfter a change of one file: {rebuilt} to generate and compile the guests, optimised, all {all} instructions, and to link \
         them; that is {:.1} s of processor time for {THOUSAND:.0} of them. Compiled: {}.",
        rebuilt.processor * THOUSAND / all as f64,
        packages.join(", ")
    );
    Ok(text)
}

fn folders() -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(root().join("isa-specs"))?;
    let mut folders: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.join("arch.isa").exists()).collect();
    folders.sort();
    Ok(folders)
}

/// A build: how long it took, of the clock and of all processors, and the packages that were compiled for it.
struct Build {
    wall: f64,
    processor: f64,
    packages: Vec<String>,
}

impl std::fmt::Display for Build {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} s, {:.1} s of processor time,", self.wall, self.processor)
    }
}

fn build(package: &str) -> Result<Build> {
    let (before, start) = (processor_time(), Instant::now());
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", package])
        .current_dir(root())
        .output()
        .context("cargo runs")?;
    let (processor, wall) = (processor_time() - before, start.elapsed().as_secs_f64());
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{package} does not build:\n{messages}");
    let compiled = |line: &str| line.trim().strip_prefix("Compiling ")?.split(' ').next().map(str::to_owned);
    Ok(Build { wall, processor, packages: messages.lines().filter_map(compiled).collect() })
}

/// Seconds that all children so far spent on processors.
fn processor_time() -> f64 {
    let mut usage = std::mem::MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: writable; filled by the kernel.
    let usage = unsafe {
        libc::getrusage(libc::RUSAGE_CHILDREN, usage.as_mut_ptr());
        usage.assume_init()
    };
    let seconds = |t: libc::timeval| t.tv_sec as f64 + t.tv_usec as f64 / 1e6;
    seconds(usage.ru_utime) + seconds(usage.ru_stime)
}
