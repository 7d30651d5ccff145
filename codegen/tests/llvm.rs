//! Structured and random words of every encoding, against LLVM's disassembler: an independent opinion of what is an instruction and what
//! it is called. Needs `llvm-mc-16` or `llvm-mc`; without it there is nothing to compare with and the test says so.

#[path = "llvm/reasons.rs"]
mod reasons;
#[path = "llvm/rejected.rs"]
mod rejected;

use codegen::diag::Diagnostics;
use codegen::pattern::{Decoding, FlatField};
use codegen::{compile, text};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// Random words per encoding.
const RANDOM: usize = 40;
/// Structured words per encoding, at most: all values of narrow fields with the boundary values of wide ones.
const STRUCTURED: u64 = 4000;
/// Fields of so many bits are narrow.
const NARROW: u32 = 4;

/// Instructions of a guest, or of any, that differ, with the reason.
fn exceptions(guest: &str) -> BTreeMap<&'static str, &'static str> {
    let lines = include_str!("llvm_exceptions.txt").lines().filter(|l| !l.starts_with('#'));
    let parts = lines.map(|l| {
        let (guest, rest) = l.split_once("  ").unwrap_or_else(|| panic!("a malformed line: {l}"));
        let (insn, reason) = rest.trim().split_once("  ").unwrap_or_else(|| panic!("no reason: {l}"));
        (guest.trim(), insn.trim(), reason.trim())
    });
    parts.filter(|p| p.0 == guest || p.0 == "*").map(|p| (p.1, p.2)).collect()
}

/// A fixed sequence of random numbers.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.0 >> 31
    }
}

/// What a field is tried with, as bits of the word.
fn values(field: &FlatField) -> Vec<u64> {
    let max = (1_u64 << field.pieces.iter().map(|p| p.width).sum::<u32>().min(62)) - 1;
    let chosen: Vec<u64> = match max < 1 << NARROW {
        true => (0..=max).collect(),
        false => vec![0, 1, 2, max / 3, max / 2, max / 2 + 1, max - 1, max],
    };
    // The pieces are filled from the lowest bits of the value, in the order of the pattern.
    let place = |mut value: u64| {
        field.pieces.iter().rev().fold(0, |word, piece| {
            let bits = value & ((1 << piece.width) - 1);
            value >>= piece.width;
            word | bits << piece.at
        })
    };
    chosen.into_iter().map(place).collect()
}

/// Words of an encoding: the product of the values of its fields, evenly thinned out if there are too many, and random ones.
fn words(decoding: &Decoding<'_>, number: usize, random: &mut Random) -> Vec<u32> {
    let entry = &decoding.entries[number];
    let (mask, value) = (entry.mask as u64, entry.value as u64);
    let space = &decoding.model().spaces[entry.space];
    let (bits, mode) = (space.width(), decoding.mode_of(entry.space));
    let fields: Vec<Vec<u64>> = decoding.sources[number].1.flat.fields.iter().map(values).collect();
    let product: u64 = fields.iter().map(|f| f.len() as u64).product();
    let stride = product.div_ceil(STRUCTURED).max(1);
    let structured = (0..product).step_by(stride as usize).map(|index| {
        // Within a stride, any: else a field whose number of values divides the stride would never change.
        let mut rest = index + random.next() % stride.min(product - index);
        fields.iter().fold(value, |word, f| {
            let choice = f[(rest % f.len() as u64) as usize];
            rest /= f.len() as u64;
            word | choice
        })
    });
    let mut all: Vec<u32> = structured.map(|w| w as u32).collect();
    let mine = |&word: &u32| space.selects(word.into()) && decoding.decode(entry.space, word, mode) == Some(number);
    all.retain(mine);
    // Where guards and constraints leave few words: those of the `test` lines, each field varied.
    let (insn, enc) = decoding.sources[number];
    for test in insn.tests.iter().filter(|t| t.code.len() * 8 == bits as usize) {
        let word = u64::from(space.word(&test.code, decoding.model().sections.big_code).unwrap_or_default());
        for (field, values) in enc.flat.fields.iter().zip(&fields) {
            let covered = field.pieces.iter().fold(0, |m, p| m | ((1_u64 << p.width) - 1) << p.at);
            all.extend(values.iter().map(|v| (word & !covered | v) as u32).filter(mine));
        }
    }
    let candidates = (0..20 * RANDOM).map(|_| (random.next() & (u64::MAX >> (64 - bits)) & !mask | value) as u32);
    all.extend(candidates.filter(mine).take(RANDOM));
    all
}

/// The disassembler, if there is one.
fn tool() -> Option<&'static str> {
    let runs = |name: &&str| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success());
    ["llvm-mc-16", "llvm-mc"].into_iter().find(runs)
}

/// LLVM's text of each word, `None` where it finds no instruction.
fn llvm(tool: &str, c: &Comparison<'_>, words: &[Vec<u8>]) -> Vec<Option<String>> {
    let mut child = Command::new(tool)
        .args(["--disassemble", &format!("--triple={}", c.triple), &format!("--mattr={}", c.attributes)])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A label line before each word keeps answers apart: LLVM prints nothing for what it does not know.
    let mut input = String::new();
    for word in words {
        let bytes: Vec<String> = word.iter().map(|b| format!("0x{b:02x}")).collect();
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
    let mut lines = stdout.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('.'));
    (1..=words.len()).map(|n| if bad.contains(&n) { None } else { lines.next().map(str::to_owned) }).collect()
}

/// The same by way of an object file, in which each word has a symbol: so that an instruction set of several lengths starts
/// anew after a word that is none. Word `i` is at `16 * i`; what is between are NOPs, enough of them to end an IT block.
fn objdump(tool: &str, c: &Comparison<'_>, words: &[Vec<u8>]) -> Vec<Option<String>> {
    // Tests that run at the same time ask the same triple.
    let (process, thread) = (std::process::id(), std::thread::current().id());
    let dir = std::env::temp_dir().join(format!("isamorph-llvm-{}-{process}-{thread:?}", c.triple));
    std::fs::create_dir_all(&dir).unwrap();
    let (source, object) = (dir.join("words.s"), dir.join("words.o"));
    let thumb = c.triple.starts_with("thumb");
    let mut text = format!(".syntax unified\n{}\n", if thumb { ".thumb" } else { ".arm" });
    for (i, word) in words.iter().enumerate() {
        let half = |at: usize| u32::from(word[at]) | u32::from(word[at + 1]) << 8;
        text += &match (word.len(), thumb) {
            (2, _) => format!("w{i}: .inst.n {:#x}\n", half(0)),
            (_, true) => format!("w{i}: .inst.w {:#x}\n", half(0) << 16 | half(2)),
            _ => format!("w{i}: .inst {:#x}\n", half(2) << 16 | half(0)),
        };
        let nop = if thumb { ".inst.n 0xbf00\n" } else { ".inst 0xe320f000\n" };
        text += &nop.repeat((16 - word.len()) / if thumb { 2 } else { 4 });
    }
    std::fs::write(&source, text).unwrap();
    let options = [format!("--triple={}", c.triple), format!("--mattr={}", c.attributes)];
    let assembled = Command::new(tool).args(&options).args(["-filetype=obj", "-o"]).args([&object, &source]).status();
    assert!(assembled.unwrap().success());
    let listing = Command::new(tool.replace("llvm-mc", "llvm-objdump"))
        .args(&options)
        .args(["-d", "--no-show-raw-insn"])
        .arg(&object)
        .output()
        .unwrap();
    std::fs::remove_dir_all(&dir).unwrap();
    let (mut found, mut word) = (vec![None; words.len()], None);
    for line in String::from_utf8_lossy(&listing.stdout).lines() {
        if let Some((_, label)) = line.split_once("<w").filter(|_| line.ends_with(">:")) {
            word = label.trim_end_matches(">:").parse::<usize>().ok();
        } else if let (Some(i), Some((_, text))) = (word.take(), line.split_once(':')) {
            let text = text.split(['<', '@']).next().unwrap_or("").trim();
            found[i] = (!text.is_empty()).then(|| text.to_owned());
        }
    }
    found
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
        let token = if token == "0000000000000000" { "0" } else { token }; // LLVM's 64-bit mask of zeros has no prefix
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

/// A guest against a triple of LLVM.
struct Comparison<'a> {
    /// Folder.
    guest: &'a str,
    /// Guest of the folder; any if it has one.
    instance: &'a str,
    /// Name in the list of exceptions.
    name: &'a str,
    /// Its spaces that the triple decodes.
    spaces: &'a [&'a str],
    triple: &'a str,
    attributes: &'a str,
    /// A file of instructions that LLVM does not know.
    unknown: &'a str,
    /// With an object file in between, where word `i` is at `16 * i`. Else all are at 0, where targets print as offsets do.
    object: bool,
    normal: fn(&str) -> String,
}

/// The bytes of a word in memory order: the first unit has the highest bits.
fn bytes(word: u32, unit: u32, units: u32, big_endian: bool) -> Vec<u8> {
    let unit_of = |i: u32| {
        let mut bytes = (word >> (unit * (units - 1 - i))).to_le_bytes()[..unit as usize / 8].to_vec();
        if big_endian {
            bytes.reverse();
        }
        bytes
    };
    (0..units).flat_map(unit_of).collect()
}

/// What the two differ on, with an example and a count each.
fn differences(c: &Comparison<'_>) -> BTreeMap<String, (String, usize)> {
    let mut found = BTreeMap::new();
    let Some(tool) = tool() else {
        eprintln!("no llvm-mc: {} is not compared", c.name);
        return found;
    };
    let known = exceptions(c.name);
    let mut needed = BTreeSet::new();
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs").join(c.guest);
    let models = compile(&dir).unwrap().models;
    let model = models.iter().find(|model| model.name == c.instance).unwrap_or(&models[0]);
    let decoding = Decoding::of(model, &mut Diagnostics::default());
    let mut random = Random(1);
    let (mut all, mut modes, mut encodings) = (Vec::new(), Vec::new(), 0);
    for (number, entry) in decoding.entries.iter().enumerate() {
        let space = &model.spaces[entry.space];
        if !c.spaces.contains(&&*space.name) {
            continue;
        }
        if decoding.sources[number].0.at.split(':').next() == Some(c.unknown) {
            continue;
        }
        let words = words(&decoding, number, &mut random);
        if words.is_empty() {
            // Of another guest of the folder, by what it `requires`.
            assert!(models.len() > 1, "no word of {}", entry.label);
            continue;
        }
        modes.extend(words.iter().map(|_| decoding.mode_of(entry.space)));
        all.extend(words.into_iter().map(|word| bytes(word, space.unit, space.units, model.sections.big_code)));
        encodings += 1;
    }
    eprintln!("{}: {} words", c.name, all.len());
    assert!(all.len() > 500 * encodings, "only {} words", all.len());
    let theirs = if c.object { objdump(tool, c, &all) } else { llvm(tool, c, &all) };
    for (i, ((code, mode), theirs)) in all.iter().zip(modes).zip(theirs).enumerate() {
        let pc = if c.object { 16 * i as u64 } else { 0 };
        let ours = text::disassemble(model, &decoding, pc, mode, code).unwrap();
        let insn = ours.insn.unwrap_or_default();
        let theirs = theirs.unwrap_or_else(|| "(nothing)".to_owned());
        let (ours, theirs) = ((c.normal)(&ours.text), (c.normal)(&theirs));
        // LLVM gives compressed instructions that are hints, which execute as what they look like, names of their own.
        if ours == theirs || theirs.starts_with("c.") {
            continue;
        }
        let names = [
            insn.clone(),
            format!("{insn}:{}:{}", mnemonic(&ours), mnemonic(&theirs)),
            format!("{insn}:*:{}", mnemonic(&theirs)),
        ];
        if let Some((name, _)) = names.iter().find_map(|name| known.get_key_value(&**name)) {
            needed.insert(*name);
            continue;
        }
        let key = format!("{insn}: {} is {}", mnemonic(&ours), mnemonic(&theirs));
        let example = format!("{code:02x?}: {ours} | {theirs}");
        found.entry(key).or_insert((example, 0)).1 += 1;
    }
    let anywhere = exceptions("*");
    for name in known.keys().filter(|k| !needed.contains(*k) && !anywhere.contains_key(*k)) {
        found.insert(format!("the exception {name} is not needed"), (String::new(), 0));
    }
    found
}

/// What is wrong with the guests whose specification says what LLVM calls them: none of it may be.
fn guests_with_a_disassembler(check: fn(&Comparison<'_>) -> BTreeMap<String, (String, usize)>) {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    let mut compared = 0;
    for folder in std::fs::read_dir(specs).unwrap() {
        let path = folder.unwrap().path();
        if !path.join("arch.isa").exists() {
            continue;
        }
        for model in compile(&path).unwrap().models {
            let Some(judge) = &model.sections.disassembler else { continue };
            let spaces: Vec<&str> = model.spaces.iter().map(|s| &*s.name).collect();
            let found = check(&Comparison {
                guest: path.file_name().unwrap().to_str().unwrap(),
                instance: &model.name,
                name: &model.name,
                spaces: &spaces,
                triple: &judge.triple,
                attributes: &judge.attributes,
                unknown: &judge.unknown,
                object: false,
                normal,
            });
            assert!(found.is_empty(), "{}: {found:#?}", model.name);
            compared += 1;
        }
    }
    assert!(compared >= 2, "only {compared} guests");
}

#[test]
fn guests_that_name_a_disassembler() {
    guests_with_a_disassembler(differences);
}

/// As [`normal`], for A32 and T32: numbers are signed 32-bit ones, a width suffix says nothing, a first source operand that is the
/// destination may be left out, ADR has an offset in one text and an address in the other, and PUSH and POP of one register are a store and a load.
fn normal_arm(text: &str) -> String {
    let text = normal(&text.to_lowercase());
    let delimiters = [' ', ',', '[', ']', '!', '{', '}', ':'];
    let signed = |word: &str| {
        let end = word.trim_end_matches(delimiters);
        let number = end.parse::<i64>().map_or(end.to_owned(), |v| (v as u32 as i32).to_string());
        number + &word[end.len()..]
    };
    let text: String = text.split_inclusive(delimiters).map(signed).collect();
    let (name, operands) = text.split_once(' ').unwrap_or((&text, ""));
    let name = name.strip_suffix(".w").unwrap_or(name);
    let mut operands: Vec<&str> = operands.split(", ").collect();
    if operands.len() > 2 && operands[0] == operands[1] {
        operands.remove(0);
    }
    if name.starts_with("adr") {
        operands.pop();
    }
    let conditions = ["", "eq", "ne", "hs", "lo", "mi", "pl", "vs", "vc", "hi", "ls", "ge", "lt", "gt", "le"];
    let is = |base: &str| name.strip_prefix(base).filter(|cond| conditions.contains(cond));
    match (is("ldr"), is("str"), &operands[..]) {
        (Some(cond), _, [r, "[sp]", "4"]) => return format!("pop{cond} {{{r}}}"),
        (_, Some(cond), [r, "[sp", "-4]!"]) => return format!("push{cond} {{{r}}}"),
        _ => {}
    }
    format!("{name} {}", operands.join(", "))
}

const ARM_ATTRIBUTES: &str = "+vfp4,+neon,+hwdiv-arm,+hwdiv,+mp";

const A32: Comparison<'static> = Comparison {
    guest: "arm",
    instance: "arm",
    name: "a32",
    spaces: &["a32"],
    triple: "armv7a",
    attributes: ARM_ATTRIBUTES,
    unknown: "",
    object: true,
    normal: normal_arm,
};

#[test]
fn a32() {
    let found = differences(&A32);
    assert!(found.is_empty(), "{found:#?}");
}

const T32: Comparison<'static> = Comparison {
    guest: "arm",
    instance: "arm",
    name: "t32",
    spaces: &["t16", "t32"],
    triple: "thumbv7a",
    attributes: ARM_ATTRIBUTES,
    unknown: "",
    object: true,
    normal: normal_arm,
};

#[test]
fn t32() {
    let found = differences(&T32);
    assert!(found.is_empty(), "{found:#?}");
}

/// The guests of one folder.
const MIPS: [Comparison<'static>; 4] = [
    mips_guest("mips", "mips", "mips-linux-gnu", "+mips32r2"),
    mips_guest("mipsel", "mips", "mipsel-linux-gnu", "+mips32r2"),
    mips_guest("mips64", "mips64", "mips64-linux-gnuabi64", "+mips64r2"),
    mips_guest("mips64el", "mips64", "mips64el-linux-gnuabi64", "+mips64r2"),
];

const fn mips_guest(
    instance: &'static str,
    name: &'static str,
    triple: &'static str,
    attributes: &'static str,
) -> Comparison<'static> {
    let spaces = &["mips32"];
    Comparison { guest: "mips", instance, name, spaces, triple, attributes, unknown: "", object: false, normal }
}

#[test]
fn mips() {
    for c in &MIPS {
        let found = differences(c);
        assert!(found.is_empty(), "{}: {found:#?}", c.instance);
    }
}
