//! No text makes the parser and the checker panic: real specifications with tokens changed and lines removed.

use codegen::diag::{Diagnostics, SourceMap};
use codegen::{check_tests, codes, emit, sema, syntax};
use std::path::{Path, PathBuf};

/// A fixed sequence of random numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % n
    }
}

fn specs() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    let mut files = Vec::new();
    for dir in std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.is_dir()) {
        for file in std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()) {
            if file.extension().is_some_and(|e| e == "isa") {
                let text = std::fs::read_to_string(&file).unwrap();
                files.push((file, text));
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

/// Split into words, numbers and single other characters.
fn tokens(text: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let end = if word(c) { rest.find(|c| !word(c)).unwrap_or(rest.len()) } else { c.len_utf8() };
        tokens.push(&rest[..end]);
        rest = &rest[end..];
    }
    tokens
}

/// Change a few tokens, or remove lines.
fn mutate(text: &str, random: &mut Random) -> String {
    const ODD: [&str; 28] = [
        "{",
        "}",
        "(",
        ")",
        "[",
        "]",
        "\"",
        "\\",
        ";",
        ":",
        "=",
        "!=",
        "0",
        "-1",
        "99999999999999999999999999999999999999999",
        "128",
        "if",
        "match",
        "|",
        "..",
        "+:",
        "undef",
        "bits",
        "width",
        "é",
        "//",
        "/*",
        "",
    ];
    if random.below(3) == 0 {
        let count = text.lines().count().max(1);
        let (from, n) = (random.below(count), 1 + random.below(3));
        let kept = text.lines().enumerate().filter(|(i, _)| !(from..from + n).contains(i));
        return kept.map(|(_, line)| format!("{line}\n")).collect();
    }
    let mut tokens = tokens(text);
    for _ in 0..=random.below(3) {
        let at = random.below(tokens.len());
        tokens[at] = match random.below(3) {
            0 => ODD[random.below(ODD.len())],
            1 => tokens[random.below(tokens.len())],
            _ => "",
        };
    }
    tokens.concat()
}

/// Size of the messages. Each has a known kind and a place in the text.
fn located(diagnostics: &Diagnostics, sources: &SourceMap) -> usize {
    for d in diagnostics.iter() {
        assert!(codes::find(d.code).is_some(), "{} has no code", d.code);
        let (span, length) = (d.primary.span, sources.file(d.primary.span.file).text.len());
        assert!(span.start <= span.end && span.end as usize <= length, "{span:?}: {}", d.message);
    }
    diagnostics.render(sources, false).len()
}

#[test]
fn changed_specs_give_messages_not_panics() {
    let mut random = Random(1);
    let mut messages = 0;
    for (path, text) in specs() {
        for _ in 0..60 {
            let text = mutate(&text, &mut random);
            let (_, diagnostics, sources) = syntax::parse_text(&path.display().to_string(), &text);
            messages += located(&diagnostics, &sources);
        }
    }
    assert!(messages > 1000, "the changes must be noticed");
}

/// Folders as one text each, so that names resolve and the checker gets further than the first unknown one.
#[test]
fn changed_guests_give_messages_not_panics() {
    let mut random = Random(2);
    let mut folders: std::collections::BTreeMap<PathBuf, String> = std::collections::BTreeMap::new();
    for (path, text) in specs() {
        folders.entry(path.parent().unwrap().to_owned()).or_default().push_str(&text);
    }
    let mut messages = 0;
    for text in folders.values() {
        for _ in 0..8 {
            let text = mutate(text, &mut random);
            let (spec, mut diagnostics, sources) = syntax::parse_text("guest.isa", &text);
            let models = sema::check(&spec, &sources, &mut diagnostics);
            messages += located(&diagnostics, &sources);
            if !diagnostics.has_errors() {
                check_tests(&models, &mut diagnostics);
                models.iter().for_each(|m| drop(emit::emit(m)));
            }
        }
    }
    assert!(messages > 100, "the changes must be noticed");
}

#[test]
fn hostile_texts() {
    let deep = format!("const x = {}1{};", "(".repeat(5000), ")".repeat(5000));
    let chain = format!("const x = {}1;", "1+".repeat(5000));
    let signs = format!("const x = {}1;", "-".repeat(5000));
    let nested = format!("fn f() {}{}", "{ if a ".repeat(60), "}".repeat(60));
    let texts = [
        "",
        "\"",
        "insn",
        "insn {",
        "/*",
        "///",
        "é",
        "fn f() = \"{\";",
        "fn f() = \"\\",
        "reg r: bits(;",
        &deep,
        &chain,
        &signs,
        &nested,
    ];
    for text in texts {
        let (spec, mut diagnostics, sources) = syntax::parse_text("hostile.isa", text);
        sema::check(&spec, &sources, &mut diagnostics);
        diagnostics.render(&sources, false);
    }
    let _ = Diagnostics::default();
}
