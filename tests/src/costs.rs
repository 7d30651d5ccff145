//! What a change of a specification costs: generation, and compilation of what is generated. And that a new folder is all that a new
//! guest takes.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

use crate::root;
use crate::run::{emulate, finish_with};

/// What a changed specification must not rebuild.
const INDEPENDENT: [&str; 5] = ["codegen", "ir", "jit", "linux", "native-lib"];

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
    rebuilt.leaves_alone()?;
    let _ = writeln!(
        text,
        "\nAfter a change of one file: {rebuilt} to generate and compile the guests, optimised, all {all} instructions, and to link \
         them; that is {:.1} s of processor time for {THOUSAND:.0} of them. Compiled: {}.",
        rebuilt.processor * THOUSAND / all as f64,
        rebuilt.packages.join(", ")
    );
    let added = newcomer()?;
    let _ = writeln!(
        text,
        "\nAfter a folder was added: {added} and its program runs. Compiled: {}.",
        added.packages.join(", ")
    );
    Ok(text)
}

/// A folder that is a copy of a guest's under another name, with another number of its machine; it goes when this does.
struct Newcomer {
    folder: PathBuf,
}

/// The guest it is a copy of, and a name that no guest has.
const ORIGINAL: &str = "riscv64";
const NAME: &str = "newcomer";
/// Numbers of machines in ELF headers: the original's, and one that nobody has.
const MACHINES: [u16; 2] = [243, 0xfedc];
/// Where an ELF header tells the machine.
const E_MACHINE: usize = 18;

impl Newcomer {
    fn come() -> Result<Newcomer> {
        let specs = root().join("isa-specs");
        let newcomer = Newcomer { folder: specs.join(NAME) };
        std::fs::create_dir(&newcomer.folder)?;
        for entry in std::fs::read_dir(specs.join(ORIGINAL))? {
            let path = entry?.path();
            let text = std::fs::read_to_string(&path)?;
            let [was, is] = MACHINES.map(|machine| format!("elf     {{ machine = {machine};"));
            let text = text.replace(&was, &is).replace(&format!("instance {ORIGINAL} "), &format!("instance {NAME} "));
            let text = text.replace(&format!("arch {ORIGINAL} "), &format!("arch {NAME} "));
            let text = text.replace(&format!("numbers {ORIGINAL} "), &format!("numbers {NAME} "));
            std::fs::write(newcomer.folder.join(path.file_name().context("a file has a name")?), text)?;
        }
        Ok(newcomer)
    }
}

impl Drop for Newcomer {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// The build that a new folder takes, after which a program of its guest runs.
fn newcomer() -> Result<Build> {
    let _newcomer = Newcomer::come()?;
    let built = build("isamorph")?;
    built.leaves_alone()?;
    let program = root().join(format!("tests/prebuilt/wordfreq-{ORIGINAL}"));
    let mut bytes = std::fs::read(&program)?;
    bytes[E_MACHINE..][..2].copy_from_slice(&MACHINES[1].to_le_bytes());
    let copy = root().join(format!("target/wordfreq-{NAME}"));
    std::fs::write(&copy, bytes)?;
    std::fs::set_permissions(&copy, std::fs::metadata(&program)?.permissions())?;
    let found = finish_with(emulate([copy]), b"one word, one more\n");
    ensure!(found.stdout.starts_with(b"      2 one\n"), "the newcomer's program: {found:?}");
    Ok(built)
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

impl Build {
    fn leaves_alone(&self) -> Result<()> {
        let touched = |package: &&str| self.packages.iter().any(|p| p == package);
        let needless: Vec<_> = INDEPENDENT.into_iter().filter(touched).collect();
        ensure!(needless.is_empty(), "a changed specification rebuilds {needless:?}");
        Ok(())
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
