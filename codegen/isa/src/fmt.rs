//! `isa fmt`.

use super::print;
use anyhow::{Context as _, Result, ensure};
use codegen::format::format;
use codegen::syntax::parse_text;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

/// Format files and all specifications in folders, or only name those that are not. Whether all were, or could be, formatted.
pub(crate) fn run(specs: &Path, paths: &[PathBuf], check_only: bool) -> Result<bool> {
    let mut files = Vec::new();
    for path in paths {
        // As for other commands, the name of a guest will do.
        let named = specs.join(path);
        collect(if path.exists() { path } else { &named }, &mut files)?;
    }
    if paths.is_empty() {
        collect(specs, &mut files)?;
    }
    ensure!(!files.is_empty(), "no .isa files there");
    let mut ok = true;
    for file in files {
        ok &= one(&file, check_only)?;
    }
    Ok(ok)
}

/// The `.isa` files in a folder and its folders; a file that is named counts whatever it is called.
fn collect(path: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries = std::fs::read_dir(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut entries: Vec<PathBuf> = entries.map(|e| Ok(e?.path())).collect::<Result<_>>()?;
    entries.sort();
    for entry in entries {
        if entry.is_dir() || entry.extension().is_some_and(|e| e == "isa") {
            collect(&entry, files)?;
        }
    }
    Ok(())
}

fn one(file: &Path, check_only: bool) -> Result<bool> {
    let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
    let (_, diagnostics, sources) = parse_text(&file.display().to_string(), &text);
    let colour = std::io::stderr().is_terminal();
    // What is wrong with names and numbers is no concern here.
    let broken: String =
        diagnostics.iter().filter(|d| d.code == "syntax").map(|d| d.render(&sources, colour) + "\n\n").collect();
    if !broken.is_empty() {
        eprint!("{broken}");
        return Ok(false);
    }
    let formatted = format(&text);
    if formatted == text {
        return Ok(true);
    }
    if check_only {
        let differs = text.lines().zip(formatted.lines()).position(|(a, b)| a != b);
        let line = differs.unwrap_or_else(|| text.lines().count().min(formatted.lines().count())) + 1;
        print(&format!("{}:{line}: not formatted\n", file.display()))?;
        return Ok(false);
    }
    std::fs::write(file, formatted).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(true)
}
