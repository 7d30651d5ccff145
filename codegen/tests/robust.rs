//! No text makes the parser and the checker panic: real specifications with tokens changed and lines removed.

use codegen::diag::{Diagnostics, SourceMap};
use codegen::{check_tests, codes, emit, sema, syntax};
use std::collections::{BTreeMap, BTreeSet};
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

/// Mutations of each guest.
const MUTATIONS: usize = 1000;

/// Top-level items of a specification, and what is needed to check one of them without the others.
struct Items {
    /// Texts, comments included.
    texts: Vec<String>,
    /// By item: those whose names it mentions.
    mentions: Vec<BTreeSet<usize>>,
    /// Items without which nothing can be checked.
    always: BTreeSet<usize>,
    insns: Vec<usize>,
}

impl Items {
    fn of(text: &str) -> Items {
        let mut texts: Vec<String> = Vec::new();
        let mut comment = false;
        for line in text.lines() {
            let is_comment = line.starts_with("//");
            if (is_comment || line.starts_with(|c: char| c.is_ascii_alphabetic())) && !comment || texts.is_empty() {
                texts.push(String::new());
            }
            comment = is_comment;
            texts.last_mut().unwrap().push_str(&format!("{line}\n"));
        }
        // An instruction and a function may have the same name.
        let mut declared: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let (mut always, mut insns, mut instance) = (BTreeSet::new(), Vec::new(), false);
        for (number, text) in texts.iter().enumerate() {
            let Some(line) = text.lines().find(|l| !l.starts_with("//") && !l.is_empty()) else { continue };
            let words: Vec<&str> = tokens(line).into_iter().filter(|t| t.starts_with(char::is_alphabetic)).collect();
            let names = match words[..] {
                ["reg", ..] => &words[1..],
                ["extern", ..] => &words[2..3],
                ["fn" | "view" | "show" | "enum" | "const" | "context" | "decode_var" | "pattern" | "operand", ..] => {
                    &words[1..2]
                }
                ["insn", ..] => {
                    insns.push(number);
                    &words[1..2]
                }
                ["native_call", ..] => continue, // it gives the code of two instructions, which are mostly left out
                // One guest is enough, but for `test` lines of another.
                ["instance", ..] if std::mem::replace(&mut instance, true) => &words[1..2],
                _ => {
                    always.insert(number); // sections, spaces, configs, prefixes
                    continue;
                }
            };
            if words[0] == "view" {
                always.insert(number); // `test` lines name registers as views show them
            }
            names.iter().for_each(|name| declared.entry(name).or_default().push(number));
        }
        let mention =
            |text: &String| tokens(text).into_iter().filter_map(|t| declared.get(t)).flatten().copied().collect();
        let mentions = texts.iter().map(mention).collect();
        Items { texts, mentions, always, insns }
    }

    /// An instruction and all that it needs, in order.
    fn closure(&self, insn: usize) -> Vec<usize> {
        let mut found = self.always.clone();
        let mut open: Vec<usize> = found.iter().copied().chain([insn]).collect();
        while let Some(item) = open.pop() {
            found.insert(item);
            open.extend(self.mentions[item].iter().filter(|i| !found.contains(i)));
        }
        found.into_iter().collect()
    }
}

fn messages(text: &str) -> String {
    let (spec, mut diagnostics, sources) = syntax::parse_text("guest.isa", text);
    sema::check(&spec, &sources, &mut diagnostics);
    diagnostics.render(&sources, false)
}

/// What a text gives: the size of its messages, and whether there is no error.
fn compiled(text: &str) -> (usize, bool) {
    let (spec, mut diagnostics, sources) = syntax::parse_text("guest.isa", text);
    let models = sema::check(&spec, &sources, &mut diagnostics);
    if !diagnostics.has_errors() {
        check_tests(&models, &mut diagnostics);
        models.iter().for_each(|m| drop(emit::emit(m)));
    }
    (located(&diagnostics, &sources), !diagnostics.has_errors())
}

/// Mutations of the instructions of a guest, each with what it needs and nothing else, so that a text is checked in a millisecond or two, and the
/// checker gets further than the first unknown name.
fn mutated_instructions(name: &str, text: &str, seed: u64) {
    let items = Items::of(text);
    let first: String = items.closure(items.insns[0]).iter().map(|&i| items.texts[i].as_str()).collect();
    assert!(compiled(&first).1, "{name}: not even unchanged:\n{}", messages(&first));
    let mut random = Random(seed);
    let (mut noticed, mut accepted) = (0, 0);
    for _ in 0..MUTATIONS {
        let insn = items.insns[random.below(items.insns.len())];
        let closure = items.closure(insn);
        // Mostly the instruction; sometimes what it needs.
        let changed = if random.below(4) == 0 { closure[random.below(closure.len())] } else { insn };
        let part = |&i: &usize| match i == changed {
            true => mutate(&items.texts[i], &mut random),
            false => items.texts[i].clone(),
        };
        let text: String = closure.iter().map(part).collect();
        let result = std::panic::catch_unwind(|| compiled(&text));
        let (messages, ok) = result.unwrap_or_else(|_| panic!("{name}: panics on this text:\n{text}"));
        noticed += usize::from(messages > 0);
        accepted += usize::from(ok);
    }
    eprintln!("{name}: {noticed} of {MUTATIONS} changes gave messages, {accepted} no error");
    // Both: else the texts are broken from the start, or the checker sleeps.
    assert!(noticed > MUTATIONS / 4 && accepted > MUTATIONS / 20, "{name}: {noticed} noticed, {accepted} accepted");
}

fn guest_texts() -> BTreeMap<PathBuf, String> {
    let mut folders: BTreeMap<PathBuf, String> = BTreeMap::new();
    for (path, text) in specs() {
        folders.entry(path.parent().unwrap().to_owned()).or_default().push_str(&text);
    }
    folders
}

#[test]
fn changed_instructions_give_messages_not_panics() {
    std::thread::scope(|scope| {
        for (seed, (folder, text)) in guest_texts().into_iter().enumerate() {
            scope.spawn(move || {
                let name = folder.file_name().unwrap().to_string_lossy().into_owned();
                mutated_instructions(&name, &text, 3 + seed as u64);
            });
        }
    });
}

/// Whole folders, where a change may meet anything.
#[test]
fn changed_guests_give_messages_not_panics() {
    let mut random = Random(2);
    let mut messages = 0;
    for text in guest_texts().values() {
        for _ in 0..4 {
            messages += compiled(&mutate(text, &mut random)).0;
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
