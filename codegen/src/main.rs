//! The `isa` tool: checks specifications and shows what becomes of them.
#![allow(clippy::print_stdout)] // its output is what it is run for

use anyhow::{Context as _, Result, bail, ensure};
use clap::{Parser, Subcommand};
use codegen::diag::{Diagnostics, SourceMap, did_you_mean};
use codegen::model::Model;
use codegen::pattern::Decoding;
use codegen::{emit, sema, syntax, text};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Checks instruction-set specifications and shows what becomes of them.
#[derive(Parser)]
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
    },
    /// Disassemble words, written as in the manual (most significant digit first).
    Disasm {
        /// Folder name.
        arch: String,
        /// Words of 4 or 8 digits.
        words: Vec<String>,
        /// Address of the first word.
        #[arg(long, default_value = "0", value_parser = address)]
        pc: u64,
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
        /// Folder name.
        arch: String,
    },
    /// The decode report: sizes of tables, overlapping encodings.
    Report {
        /// Folder name.
        arch: String,
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
    match &args.command {
        Command::Check { arch: Some(arch) } => Ok(check(&args.specs.join(arch))?.is_some()),
        Command::Check { arch: None } => {
            let mut ok = true;
            for dir in spec_folders(&args.specs)? {
                ok &= check(&dir)?.is_some();
            }
            Ok(ok)
        }
        Command::Disasm { arch, words, pc } => disasm(&args.specs.join(arch), words, *pc),
        Command::Expand { arch, insn } => expand(&args.specs.join(arch), insn),
        Command::Coverage { arch } => coverage(&args.specs.join(arch)),
        Command::Report { arch } => report(&args.specs.join(arch)),
    }
}

/// The folders with `.isa` files in them.
fn spec_folders(specs: &Path) -> Result<Vec<PathBuf>> {
    let mut folders = Vec::new();
    for entry in std::fs::read_dir(specs).with_context(|| format!("cannot read {}", specs.display()))? {
        let path = entry?.path();
        let is_spec = |p: &PathBuf| p.extension().is_some_and(|e| e == "isa");
        if path.is_dir() && std::fs::read_dir(&path)?.filter_map(|e| Some(e.ok()?.path())).any(|p| is_spec(&p)) {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Parse and check a specification; prints what is wrong and returns its models if they can be used.
fn check(dir: &Path) -> Result<Option<Vec<Model>>> {
    let (spec, mut diagnostics, sources) = syntax::parse_dir(dir)?;
    let mut models = Vec::new();
    if !diagnostics.has_errors() {
        models = sema::check(&spec, &sources, &mut diagnostics);
    }
    if !diagnostics.has_errors() {
        codegen::check_tests(&models, &mut diagnostics);
    }
    print(&diagnostics, &sources);
    let failed = diagnostics.has_errors();
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if failed {
        eprintln!("{name}: {} messages", diagnostics.len());
    } else {
        let (encodings, tests) = (count(&models, |i| i.encs.len()), count(&models, |i| i.tests.len()));
        eprintln!("{name}: {} instructions, {encodings} encodings, {tests} tests", spec.insns.len());
    }
    Ok((!failed).then_some(models))
}

fn count(models: &[Model], of: impl Fn(&codegen::model::Insn) -> usize) -> usize {
    models.first().map_or(0, |m| m.insns.iter().map(of).sum())
}

fn print(diagnostics: &Diagnostics, sources: &SourceMap) {
    if !diagnostics.is_empty() {
        eprint!("{}", diagnostics.render(sources, std::io::stderr().is_terminal()));
    }
}

/// The first model of a specification without errors.
fn load(dir: &Path) -> Result<Model> {
    let models = check(dir)?.context("the specification has errors")?;
    models.into_iter().next().context("the specification has no `instance`")
}

fn disasm(dir: &Path, words: &[String], pc: u64) -> Result<bool> {
    let model = load(dir)?;
    let decoding = Decoding::of(&model, &mut Diagnostics::default());
    let mode = model.contexts.iter().fold(0, |mode, c| mode | c.reset << c.lo);
    let mut code = Vec::new();
    for word in words {
        ensure!(word.len().is_multiple_of(2) && word.is_ascii(), "`{word}` is not a number of whole bytes");
        let bytes: Result<Vec<u8>, _> =
            (0..word.len()).step_by(2).map(|i| u8::from_str_radix(&word[i..i + 2], 16)).collect();
        code.extend(bytes.with_context(|| format!("`{word}` is not hexadecimal"))?.iter().rev());
    }
    let mut at = 0;
    while at < code.len() {
        let here = pc.wrapping_add(at as u64);
        let Some(line) = text::disassemble(&model, &decoding, here, mode, &code[at..]) else {
            bail!("the last instruction is incomplete");
        };
        println!("{here:#x}: {}    // {}", line.text, line.insn.as_deref().unwrap_or("unallocated"));
        at += line.len as usize;
    }
    Ok(true)
}

fn expand(dir: &Path, insn: &str) -> Result<bool> {
    let model = load(dir)?;
    let Some(code) = emit::expand(&model, insn) else {
        match did_you_mean(insn, model.insns.iter().map(|i| i.name.as_str())) {
            Some(near) => bail!("there is no instruction `{insn}`; did you mean `{near}`?"),
            None => bail!("there is no instruction `{insn}`"),
        }
    };
    println!("{code}");
    Ok(true)
}

fn coverage(dir: &Path) -> Result<bool> {
    let model = load(dir)?;
    let mut lacking = 0;
    for insn in model.insns.iter().filter(|i| i.tests.is_empty()) {
        println!("{}: {} has no test", insn.at, insn.name);
        lacking += 1;
    }
    let run = model.insns.iter().filter(|i| i.tests.iter().any(|t| t.runs)).count();
    println!("{} instructions, {lacking} without a test, {run} with a test that runs", model.insns.len());
    Ok(true)
}

fn report(dir: &Path) -> Result<bool> {
    let model = load(dir)?;
    print!("{}", Decoding::of(&model, &mut Diagnostics::default()).report());
    Ok(true)
}
