//! The formatter changes nothing but white space, and nothing twice.

use codegen::format::format;
use codegen::syntax::parse_text;
use std::path::{Path, PathBuf};

fn spec_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    let entries = |dir: &Path| std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect::<Vec<_>>();
    let mut files: Vec<_> = entries(&root).iter().filter(|d| d.is_dir()).flat_map(|d| entries(d)).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "isa"));
    files.sort();
    assert!(files.len() > 20);
    files
}

/// The syntax tree without places.
fn tree(text: &str) -> String {
    let (spec, diagnostics, sources) = parse_text("spec.isa", text);
    assert!(diagnostics.is_empty(), "{}", diagnostics.render(&sources, false));
    let tree = format!("{spec:?}");
    let mut out = String::new();
    let mut parts = tree.split("Span {");
    out.push_str(parts.next().unwrap());
    for part in parts {
        out.push_str(part.split_once(" }").unwrap().1);
    }
    out
}

/// Other space in the same places: indentation, ends of lines, blank lines, some gaps.
fn ruffled(text: &str) -> String {
    let mut out = String::new();
    for (number, line) in text.lines().enumerate() {
        let (code, rest) = line.split_at(line.find(['"', '/']).unwrap_or(line.len()));
        let code = if number % 3 == 0 { code.trim_start().to_owned() } else { format!("\t{code}") };
        let code =
            if number % 5 == 0 { code.replace(" = ", "=").replace(", ", ",") } else { code.replace(" + ", "  +  ") };
        out.push_str(&format!("{code}{rest}{}\n", ["", "  ", "\n", "\r", "\n\n\n"][number % 5]));
    }
    out
}

#[test]
fn formatting_keeps_the_meaning_and_is_final() {
    for file in spec_files() {
        let text = std::fs::read_to_string(&file).unwrap();
        for text in [text.clone(), ruffled(&text)] {
            let formatted = format(&text);
            let (before, after) = (tree(&text), tree(&formatted));
            let differs = before.bytes().zip(after.bytes()).position(|(a, b)| a != b);
            let place = differs.map(|at| &before[at.saturating_sub(200)..at]);
            assert!(before == after, "{}: the meaning changes after {place:?}", file.display());
            let again = format(&formatted);
            let differs = formatted.lines().zip(again.lines()).find(|(a, b)| a != b);
            assert!(formatted == again, "{}: changes again: {differs:?}", file.display());
            assert!(formatted.lines().all(|l| l == l.trim_end()) && !formatted.contains("\n\n\n"));
        }
    }
}
