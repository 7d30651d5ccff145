//! `isa check`, and the reading of specifications for the other commands.

use super::print;
use anyhow::{Context as _, Result};
use codegen::codes;
use codegen::diag::{Diagnostic, Severity, SourceMap};
use codegen::model::{Insn, Model};
use codegen::{Compiled, abi, check_tests, compile};
use std::fmt::Write as _;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// A specification without errors.
pub(crate) struct Loaded {
    /// Its first guest.
    pub(crate) model: Model,
    /// Its files.
    pub(crate) sources: SourceMap,
}

/// Whether the specification, or all of them, have no errors; the system interface of its guests included.
pub(crate) fn run(specs: &Path, arch: Option<&str>, json: bool) -> Result<bool> {
    let folders = match arch {
        Some(arch) => vec![specs.join(arch)],
        None => spec_folders(specs)?,
    };
    let mut ok = true;
    for dir in folders {
        let compiled = checked(&dir)?;
        let (sources, diagnostics) = match compiled.diagnostics.has_errors() {
            true => Default::default(),
            false => abi::check(specs, &compiled.models)?,
        };
        if json {
            for (diagnostics, sources) in [(&compiled.diagnostics, &compiled.sources), (&diagnostics, &sources)] {
                for diagnostic in diagnostics.iter() {
                    print(&format!("{}\n", json_line(diagnostic, sources)))?;
                }
            }
        } else {
            report(&dir, &compiled);
            eprint!("{}", diagnostics.render(&sources, std::io::stderr().is_terminal()));
        }
        ok &= !compiled.diagnostics.has_errors() && !diagnostics.has_errors();
    }
    Ok(ok)
}

/// The folders with `.isa` files in them.
pub(crate) fn spec_folders(specs: &Path) -> Result<Vec<PathBuf>> {
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

/// Read and check a specification, its `test` lines included.
fn checked(dir: &Path) -> Result<Compiled> {
    let mut compiled = compile(dir)?;
    if !compiled.diagnostics.has_errors() {
        check_tests(&compiled.models, &mut compiled.diagnostics);
    }
    Ok(compiled)
}

/// A guest by its name, or the first one of a folder; prints what is wrong with its specification.
pub(crate) fn load_guest(specs: &Path, name: &str) -> Result<Loaded> {
    let folders = spec_folders(specs)?;
    if let Some(dir) = folders.iter().find(|d| d.file_name().is_some_and(|n| n == name)) {
        return load_instance(dir, name);
    }
    for dir in folders {
        let declares = |file: std::fs::DirEntry| {
            let text = std::fs::read_to_string(file.path()).unwrap_or_default();
            text.lines().any(|l| l.strip_prefix("instance ").is_some_and(|l| l.split_whitespace().next() == Some(name)))
        };
        if std::fs::read_dir(&dir)?.filter_map(Result::ok).any(declares) {
            return load_instance(&dir, name);
        }
    }
    anyhow::bail!("there is no guest `{name}` in {}", specs.display())
}

/// The first guest of a specification without errors, with the tests of all; prints what is wrong with it.
pub(crate) fn load(dir: &Path) -> Result<Loaded> {
    load_instance(dir, "")
}

/// The guest of this name; the first if there is none.
fn load_instance(dir: &Path, name: &str) -> Result<Loaded> {
    let compiled = checked(dir)?;
    if !compiled.diagnostics.is_empty() {
        report(dir, &compiled);
    }
    anyhow::ensure!(!compiled.diagnostics.has_errors(), "the specification has errors");
    let number = compiled.models.iter().position(|m| m.name == name).unwrap_or(0);
    anyhow::ensure!(!compiled.models.is_empty(), "the specification has no `instance`");
    let mut models = compiled.models;
    let mut model = models.remove(number);
    for other in models.into_iter().filter(|_| name.is_empty()) {
        for (insn, of_other) in model.insns.iter_mut().zip(other.insns) {
            let known: Vec<String> = insn.tests.iter().map(|t| t.at.clone()).collect();
            insn.tests.extend(of_other.tests.into_iter().filter(|t| !known.contains(&t.at)));
        }
    }
    Ok(Loaded { model, sources: compiled.sources })
}

/// Messages and totals, on standard error.
fn report(dir: &Path, compiled: &Compiled) {
    let name = dir.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let Compiled { models, diagnostics, sources } = compiled;
    eprint!("{}", diagnostics.render(sources, std::io::stderr().is_terminal()));
    if diagnostics.has_errors() {
        eprintln!("{name}: {} messages", diagnostics.len());
        if let Some(first) = diagnostics.iter().next() {
            eprintln!("`isa explain {}` tells more about such a message", codes::code(first.code));
        }
        return;
    }
    let sum = |of: fn(&Insn) -> usize| models.first().map_or(0, |m| m.insns.iter().map(of).sum::<usize>());
    let (insns, encodings, tests) = (sum(|_| 1), sum(|i| i.encs.len()), sum(|i| i.tests.len()));
    eprintln!("{name}: {insns} instructions, {encodings} encodings, {tests} tests");
}

/// `{"level":"error","code":"E033","kind":"overlap","message":…,"file":…,"line":…,"start":…,"end":…,"notes":[…]}`
fn json_line(d: &Diagnostic, sources: &SourceMap) -> String {
    let level = if d.severity == Severity::Error { "error" } else { "warning" };
    let span = d.primary.span;
    let file = sources.file(span.file).path.display().to_string();
    let notes: Vec<String> = d.notes.iter().map(|n| quoted(n)).collect();
    format!(
        "{{\"level\":{},\"code\":{},\"kind\":{},\"message\":{},\"file\":{},\"line\":{},\"start\":{},\"end\":{},\"notes\":[{}]}}",
        quoted(level),
        quoted(codes::code(d.code)),
        quoted(d.code),
        quoted(&d.message),
        quoted(&file),
        sources.line(span),
        span.start,
        span.end,
        notes.join(",")
    )
}

/// A JSON string.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c if (c as u32) < 0x20 => {
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out + "\""
}
