//! The `isa` tool: checks specifications, shows what becomes of them and starts new ones.

mod check;
mod code;
mod completions;
mod coverage;
mod diagram;
mod disasm;
mod doc;
mod elf;
mod explain;
mod fmt;
mod html;
mod new_arch;

use anyhow::{Result, bail};
use clap::{CommandFactory as _, Parser, Subcommand};
use codegen::diag::{Diagnostics, did_you_mean};
use codegen::emit;
use codegen::pattern::Decoding;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

/// Checks instruction-set specifications, shows what becomes of them and starts new ones.
#[derive(Parser)]
#[command(name = "isa")]
struct Args {
    /// Folder of the specifications.
    #[arg(long, global = true, default_value_os_t = default_specs())]
    specs: PathBuf,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check one specification, or all.
    Check {
        /// Folder name: `riscv64`.
        arch: Option<String>,
        /// Print the messages as JSON, one a line.
        #[arg(long)]
        json: bool,
    },
    /// Format specifications in place; what is aligned stays aligned.
    Fmt {
        /// Files, folders or names of guests; all specifications if there is none.
        paths: Vec<PathBuf>,
        /// Change nothing: name the files that are not formatted, and fail if there are any.
        #[arg(long)]
        check: bool,
    },
    /// Disassemble words or a file, and show what becomes of the instructions.
    Disasm {
        /// Name of a guest or of its folder.
        arch: String,
        /// Words, written as in the manual (most significant digit first; sequences of bytes in the order of memory), or a file: the executable segments of
        /// an ELF file, or bytes.
        #[arg(required = true)]
        code: Vec<String>,
        /// Address of the first word or byte.
        #[arg(long, default_value = "0", value_parser = address)]
        pc: u64,
        #[command(flatten)]
        show: disasm::Show,
    },
    /// Show the Rust code generated for an instruction.
    Expand {
        /// Folder name.
        arch: String,
        /// Name of the `insn`.
        insn: String,
    },
    /// List instructions without tests.
    Coverage {
        /// Folder name; all if it is left out.
        arch: Option<String>,
        /// Write a page with every instruction and its tests.
        #[arg(long, value_name = "FILE")]
        html: Option<PathBuf>,
    },
    /// The decode report: sizes of tables, overlapping encodings, holes.
    Report {
        /// Folder name.
        arch: String,
    },
    /// Start a specification: a folder that passes `isa check`, shaped after an existing one.
    NewArch {
        /// Name of the folder and of the guest.
        name: String,
        /// Existing folder whose word size, byte order and instruction lengths to start from.
        #[arg(long, value_name = "ARCH")]
        like: String,
    },
    /// Write a manual: every instruction with its encodings, text, operation and tests.
    Doc {
        /// Name of a guest or of its folder.
        arch: String,
        /// Print these instructions in Markdown instead.
        insns: Vec<String>,
        /// Folder for the page `ARCH.html`.
        #[arg(short, long, default_value = "target/doc-isa")]
        out: PathBuf,
    },
    /// Explain a message by its code: `E033`. Without a code, list all.
    Explain {
        /// Code or name.
        code: Option<String>,
    },
    /// Print a completion script: `eval "$(isa completions bash)"`.
    Completions {
        /// Shell.
        #[arg(value_enum)]
        shell: completions::Shell,
    },
}

fn default_specs() -> PathBuf {
    ["isa-specs", "../isa-specs"].iter().map(PathBuf::from).find(|p| p.is_dir()).unwrap_or_else(|| "isa-specs".into())
}

fn address(text: &str) -> Result<u64, String> {
    let digits = text.strip_prefix("0x");
    digits.map_or_else(|| text.parse(), |hex| u64::from_str_radix(hex, 16)).map_err(|e| e.to_string())
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("isa: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all was well.
fn run(args: &Args) -> Result<bool> {
    let specs = &args.specs;
    match &args.command {
        Command::Check { arch, json } => check::run(specs, arch.as_deref(), *json),
        Command::Fmt { paths, check } => fmt::run(specs, paths, *check),
        Command::Disasm { arch, code, pc, show } => disasm::run(specs, arch, code, *pc, show),
        Command::Expand { arch, insn } => expand(&specs.join(arch), insn),
        Command::Coverage { arch, html } => coverage::run(specs, arch.as_deref(), html.as_deref()),
        Command::Report { arch } => {
            let model = check::load(&specs.join(arch))?.model;
            print(&Decoding::of(&model, &mut Diagnostics::default()).report())
        }
        Command::NewArch { name, like } => new_arch::run(specs, name, like),
        Command::Doc { arch, insns, out } => doc::run(specs, arch, insns, out),
        Command::Explain { code } => explain::run(code.as_deref()),
        Command::Completions { shell } => print(&completions::script(&Args::command(), *shell, specs)),
    }
}

fn expand(dir: &std::path::Path, insn: &str) -> Result<bool> {
    let model = check::load(dir)?.model;
    let Some(code) = emit::expand(&model, insn) else {
        match did_you_mean(insn, model.insns.iter().map(|i| i.name.as_str())) {
            Some(near) => bail!("there is no instruction `{insn}`; did you mean `{near}`?"),
            None => bail!("there is no instruction `{insn}`"),
        }
    };
    print(&format!("{code}\n"))
}

/// Prints on standard output. A reader that has seen enough is no failure.
fn print(text: &str) -> Result<bool> {
    match std::io::stdout().lock().write_all(text.as_bytes()) {
        Err(e) if e.kind() != ErrorKind::BrokenPipe => Err(e.into()),
        _ => Ok(true),
    }
}
