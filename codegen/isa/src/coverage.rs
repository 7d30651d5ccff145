//! `isa coverage`: which instructions have tests.

use super::{check, html, print};
use anyhow::{Context as _, Result};
use codegen::model::{Insn, Model};
use std::fmt::Write as _;
use std::path::Path;

/// Print, and write as a page, the coverage of one specification or of all.
pub(crate) fn run(specs: &Path, arch: Option<&str>, page: Option<&Path>) -> Result<bool> {
    let folders = match arch {
        Some(arch) => vec![specs.join(arch)],
        None => check::spec_folders(specs)?,
    };
    let (mut text, mut body) = (String::new(), String::new());
    for dir in folders {
        let model = check::load(&dir)?.model;
        list(&mut text, &model);
        table(&mut body, &model);
    }
    if let Some(path) = page {
        std::fs::write(path, html::page("Tests of instructions", &body))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    print(&text)
}

/// Tests that execute.
fn running(insn: &Insn) -> usize {
    insn.tests.iter().filter(|t| t.runs).count()
}

fn list(out: &mut String, model: &Model) {
    for insn in model.insns.iter().filter(|i| i.tests.is_empty()) {
        let _ = writeln!(out, "{}: {} has no test", insn.at, insn.name);
    }
    let _ = writeln!(out, "{}", summary(model));
}

fn summary(model: &Model) -> String {
    let lacking = model.insns.iter().filter(|i| i.tests.is_empty()).count();
    let run = model.insns.iter().filter(|i| running(i) > 0).count();
    let count = model.insns.len();
    format!("{}: {count} instructions, {lacking} without a test, {run} with a test that runs", model.name)
}

fn table(out: &mut String, model: &Model) {
    let _ = writeln!(out, "<h2>{}</h2>", html::escape(&summary(model)));
    for insn in &model.insns {
        let class = if insn.tests.is_empty() { " class=\"none\"" } else { "" };
        let texts: Vec<String> = insn.tests.iter().map(|t| html::escape(&t.text)).collect();
        let _ = writeln!(
            out,
            "<section{class}><b>{}</b> ({}): {} encodings, {} tests, {} of them run: <code>{}</code></section>",
            insn.name,
            insn.at,
            insn.encs.len(),
            insn.tests.len(),
            running(insn),
            texts.join("; ")
        );
    }
}
