//! Random words of every encoding, against LLVM's disassembler: an independent opinion of what is an instruction and what
//! it is called. Needs `llvm-mc-16` or `llvm-mc`; without it there is nothing to compare with and the test says so.

use codegen::diag::Diagnostics;
use codegen::pattern::Decoding;
use codegen::{sema, syntax, text};
use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Words tried per encoding.
const WORDS: usize = 40;

/// Instructions that differ, and why that is right.
const RISCV64: [(&str, &str); 5] = [
    ("native", "not an instruction elsewhere"),
    ("fence", "LLVM rejects values of fields that the manual reserves for the future and tells us to ignore"),
    ("fence_i", "the same"),
    ("fcvt_d_s", "LLVM rejects rounding modes of a conversion that is always exact"),
    ("fcvt_from_int", "the same"),
];
const AARCH64: [(&str, &str); 2] = [
    ("ldapr", "LLVM rejects a register field that the manual says should be ones"),
    ("prfm_register", "LLVM knows a later extension that gives some prefetch hints a name of their own"),
];

/// The disassembler, if there is one.
fn tool() -> Option<&'static str> {
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    ["llvm-mc-16", "llvm-mc"].into_iter().find(runs)
}

/// LLVM's text of each word, `None` where it finds no instruction.
fn llvm(tool: &str, triple: &str, attributes: &str, words: &[(u32, u32)]) -> Vec<Option<String>> {
    let mut child = Command::new(tool)
        .args(["--disassemble", &format!("--triple={triple}"), &format!("--mattr={attributes}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A label line before each word keeps answers apart: LLVM prints nothing for what it does not know.
    let mut input = String::new();
    for &(word, len) in words {
        let bytes: Vec<String> = word.to_le_bytes()[..len as usize].iter().map(|b| format!("0x{b:02x}")).collect();
        input.push_str(&bytes.join(" "));
        input.push('\n');
    }
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    // Unknown words are named on standard error by line.
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let bad: std::collections::HashSet<usize> = errors
        .lines()
        .filter(|l| l.contains("invalid instruction encoding"))
        .filter_map(|l| l.split(':').nth(1)?.parse().ok())
        .collect();
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut lines = stdout.lines().map(str::trim).filter(|l| !l.is_empty() && *l != ".text");
    (1..=words.len()).map(|n| if bad.contains(&n) { None } else { lines.next().map(str::to_owned) }).collect()
}

/// Text in a common form: one space between words, numbers in decimal and without `#`.
fn normal(text: &str) -> String {
    let text = text.split("//").next().unwrap_or("").replace('#', "");
    let mut out = String::new();
    let mut rest = text.trim();
    while let Some(c) = rest.chars().next() {
        let end = if c.is_ascii_alphanumeric() || c == '_' {
            rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len())
        } else {
            c.len_utf8()
        };
        let token = &rest[..end];
        match token.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()) {
            Some(value) => out.push_str(&(value as i64).to_string()),
            None if c.is_whitespace() => out.push(' '),
            None => out.push_str(token),
        }
        rest = &rest[end..];
        if c.is_whitespace() {
            rest = rest.trim_start();
        }
    }
    out
}

/// The first word.
fn mnemonic(text: &str) -> &str {
    text.split_whitespace().next().unwrap_or("")
}

/// What the two differ on, with an example and a count each.
fn differences(
    name: &str,
    triple: &str,
    attributes: &str,
    known: &[(&str, &str)],
) -> BTreeMap<String, (String, usize)> {
    let mut found = BTreeMap::new();
    let Some(tool) = tool() else {
        eprintln!("no llvm-mc: {name} is not compared");
        return found;
    };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs").join(name);
    let (spec, mut diagnostics, sources) = syntax::parse_dir(&dir).unwrap();
    let model = sema::check(&spec, &sources, &mut diagnostics).remove(0);
    let decoding = Decoding::of(&model, &mut Diagnostics::default());
    let mut seed = 1_u64;
    let mut words = Vec::new();
    for (number, entry) in decoding.entries.iter().enumerate() {
        let bits = model.spaces[entry.space].unit;
        let mut kept = 0;
        for _ in 0..WORDS * 20 {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let random = (seed >> 32) & (u64::MAX >> (64 - bits));
            let word = (random & !(entry.mask as u64) | entry.value as u64) as u32;
            if kept < WORDS && decoding.decode(entry.space, word, 0) == Some(number) {
                words.push((word, bits / 8));
                kept += 1;
            }
        }
    }
    assert!(words.len() > decoding.entries.len() * WORDS / 2, "{} words", words.len());
    for (&(word, len), theirs) in words.iter().zip(llvm(tool, triple, attributes, &words)) {
        let code = &word.to_le_bytes()[..len as usize];
        let ours = text::disassemble(&model, &decoding, 0, 0, code).unwrap();
        let insn = ours.insn.unwrap_or_default();
        let theirs = theirs.unwrap_or_else(|| "(nothing)".to_owned());
        let (ours, theirs) = (normal(&ours.text), normal(&theirs));
        // LLVM gives compressed instructions that are hints, which execute as what they look like, names of their own.
        let hint = theirs.starts_with("c.");
        if ours != theirs && !hint && !known.iter().any(|(name, _)| *name == insn) {
            let key = format!("{insn}: {} is {}", mnemonic(&ours), mnemonic(&theirs));
            let example = format!("{word:08x}: {ours} | {theirs}");
            found.entry(key).or_insert((example, 0)).1 += 1;
        }
    }
    found
}

#[test]
fn riscv64() {
    let found = differences("riscv64", "riscv64", "+m,+a,+f,+d,+c", &RISCV64);
    assert!(found.is_empty(), "{found:#?}");
}

#[test]
fn aarch64() {
    let found = differences("aarch64", "aarch64", "+v8.2a,+crc,+lse,+rcpc", &AARCH64);
    assert!(found.is_empty(), "{found:#?}");
}
