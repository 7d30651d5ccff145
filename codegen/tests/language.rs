//! `language.md` is complete, and what it names exists.

use codegen::{codes, sema};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A row: the section it is in, the feature, its form here, what holds it.
struct Row {
    section: String,
    feature: String,
    form: String,
    held: Vec<String>,
}

fn rows() -> Vec<Row> {
    let text = fs::read_to_string(root().join("codegen/tests/language.md")).unwrap();
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            section = title.to_owned();
        }
        // A bar within a cell is written with a backslash.
        let line = line.replace("\\|", "\u{0}");
        let cells: Vec<String> = line.trim_matches('|').split(" | ").map(|c| c.trim().replace('\u{0}', "|")).collect();
        if let [feature, form, held] = &cells[..]
            && line.starts_with('|')
            && !["", "feature"].contains(&feature.as_str())
        {
            let held = references(held);
            rows.push(Row { section: section.clone(), feature: feature.clone(), form: form.clone(), held });
        }
    }
    rows
}

/// Separated by commas, but for those in quotes.
fn references(cell: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for part in cell.split(", ") {
        match all.last_mut() {
            Some(last) if last.matches('"').count() == 1 => *last = format!("{last}, {part}"),
            _ => all.push(part.to_owned()),
        }
    }
    all
}

/// Names in backticks, without what is in parentheses.
fn names(cell: &str) -> Vec<String> {
    let name = |code: &str| code.split(['(', ' ', '=']).next().unwrap_or_default().to_owned();
    cell.split('`').skip(1).step_by(2).map(name).collect()
}

/// Why a reference leads nowhere, if it does.
fn missing(reference: &str) -> Option<String> {
    let Some((file, name)) = reference.split_once("::") else {
        return codes::find(reference).is_none().then(|| format!("{reference} is no code of a message"));
    };
    let Ok(text) = fs::read_to_string(root().join(file)) else { return Some(format!("{file} does not exist")) };
    let found = match Path::new(file).extension().and_then(|e| e.to_str()) {
        Some("isa") if name.starts_with('"') => {
            text.lines().any(|l| l.trim_start().starts_with("test") && l.contains(name))
        }
        Some("isa" | "inc") => text.lines().any(|line| declares(line, name)),
        _ => {
            // In the list of a macro that makes tests.
            let named = |line: &str| line.trim_start().starts_with(&format!("{name}: "));
            let listed = text.lines().any(|line| named(line) || line.starts_with("hot!(") && line.contains(name));
            listed || text.split("#[test]").skip(1).any(|test| test.contains(&format!("fn {name}()")))
        }
    };
    (name.is_empty() || !found).then(|| format!("{file} has no {name}"))
}

/// Whether a line of a specification declares an item of this name, or is a block of this kind.
fn declares(line: &str, name: &str) -> bool {
    let words = line.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|w| !w.is_empty());
    !line.starts_with([' ', '/']) && words.take(4).any(|word| word == name)
}

#[test]
fn every_row_names_what_exists() {
    let rows = rows();
    assert!(rows.len() > 150, "only {} rows", rows.len());
    let mut wrong = Vec::new();
    for row in &rows {
        // What is different says why; everything else says what holds it.
        let reason = row.held[0].strip_prefix("different: ");
        if row.form.is_empty() || reason.is_some_and(|r| r.len() < 20) {
            wrong.push(format!("{}: {} says too little", row.section, row.feature));
        }
        if reason.is_none() {
            wrong.extend(row.held.iter().filter_map(|r| missing(r)).map(|why| format!("{}: {why}", row.feature)));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Names in the first column of a section's rows.
fn in_section(title: &str) -> BTreeSet<String> {
    rows().iter().filter(|r| r.section == title).flat_map(|r| names(&r.feature)).collect()
}

fn complete(title: &str, known: BTreeSet<String>) {
    let listed = in_section(title);
    let missing: Vec<&String> = known.difference(&listed).collect();
    assert!(missing.is_empty(), "not in {title}: {missing:?}");
}

#[test]
fn every_builtin_has_a_row() {
    complete("Built-in functions", sema::builtin_names().map(str::to_owned).collect());
}

#[test]
fn every_key_has_a_row() {
    complete("Sections", sema::section_keys().collect());
}

#[test]
fn every_message_has_a_row() {
    let codes = codes::all().iter().filter(|k| k.language != "abi");
    complete("Messages", codes.map(|k| k.name.to_owned()).collect());
}

/// A built-in function that a row says is held by a specification is used there.
#[test]
fn builtins_are_used_where_their_rows_say() {
    let mut wrong = Vec::new();
    for row in rows().iter().filter(|r| r.section == "Built-in functions") {
        let specs: Vec<&str> = row.held.iter().filter_map(|r| r.split_once(".isa::").map(|p| p.0)).collect();
        let texts = specs.iter().map(|s| fs::read_to_string(root().join(format!("{s}.isa"))).unwrap_or_default());
        let text: String = texts.collect();
        for name in names(&row.feature).iter().filter(|_| !specs.is_empty()) {
            if !text.contains(&format!("{name}(")) && !text.contains(&format!("{name} }}")) {
                wrong.push(format!("{name} is not in {specs:?}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The manual has a text for every instruction, and something notices when it breaks.
#[test]
fn instructions_are_documented_and_tested() {
    let mut lacking = Vec::new();
    for folder in fs::read_dir(root().join("isa-specs")).unwrap().map(|e| e.unwrap().path()) {
        let Ok((spec, ..)) = codegen::syntax::parse_dir(&folder) else { continue };
        for insn in &spec.insns {
            if insn.doc.trim().is_empty() || insn.tests.is_empty() && insn.alias.is_none() {
                lacking.push(format!("{}: {}", folder.display(), insn.name));
            }
        }
    }
    assert!(lacking.is_empty(), "without documentation or test: {lacking:#?}");
}
