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
    build()?; // what is stale for another reason
    let touched = folders.first().context("there is a guest")?.join("arch.isa");
    let stamp = std::fs::File::options().append(true).open(&touched)?;
    stamp.set_modified(std::time::SystemTime::now())?;
    let (before, start) = (processor_time(), Instant::now());
    let rebuilt = build()?;
    let independent = ["codegen", "ir", "jit", "linux", "native-lib"];
    ensure!(!rebuilt.iter().any(|p| independent.contains(&p.as_str())), "a changed specification rebuilds {rebuilt:?}");
    let (processor, wall) = (processor_time() - before, start.elapsed().as_secs_f64());
    let per_thousand = processor * THOUSAND / all as f64;
    let _ = writeln!(
        text,
        "\nAfter a change of one file, {} are built again: {wall:.1} s, {processor:.1} s of processor time for all {all} instructions, \
         optimised; {per_thousand:.1} s for {THOUSAND:.0} of them.",
        rebuilt.join(", ")
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

/// Builds the emulator; the packages that were compiled for it.
fn build() -> Result<Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["build", "--release", "--package", "isamorph"])
        .current_dir(root())
        .output()
        .context("cargo runs")?;
    let messages = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "the emulator does not build:\n{messages}");
    let package = |line: &str| line.trim().strip_prefix("Compiling ")?.split(' ').next().map(str::to_owned);
    Ok(messages.lines().filter_map(package).collect())
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
