//! Words that LLVM takes for an instruction and we do not: of instructions that the specification has, none without a
//! reason; of others, those that the list in `missing.txt` names with what they belong to.

use super::reasons::{Reason, reasons};
use super::{
    A32, Comparison, MIPS, Random, T32, bytes, guests_with_a_disassembler, llvm, mnemonic, objdump, tool, words,
};
use codegen::compile;
use codegen::diag::Diagnostics;
use codegen::pattern::{Decoding, Space};
use codegen::text;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Words for each value of the upper bits.
const PER_TOP: u64 = 12;
/// Upper bits of which all values are tried.
const TOP: u32 = 12;
/// Words near those of each encoding.
const NEAR: usize = 300;

/// A word that we reject.
struct Rejected {
    code: Vec<u8>,
    word: u32,
    /// Bits of the word.
    width: u32,
}

/// The reasons of a guest. In the crowded encodings of ARM, each is for a class that the manual has a section on.
fn reasons_of(guest: &str) -> Vec<Reason> {
    let sections = |names: &str, reason: &str| {
        names.contains(" @") && ["A5.", "A6.", "A7."].iter().any(|section| reason.contains(section))
    };
    let check = if ["a32", "t32"].contains(&guest) { sections } else { |_: &str, _: &str| true };
    reasons(include_str!("missing.txt"), guest, check)
}

/// All values of the upper bits with random lower ones, and words that differ in one or two bits from words of an encoding.
fn candidates(decoding: &Decoding<'_>, index: usize, random: &mut Random) -> BTreeSet<u32> {
    let space = &decoding.model().spaces[index];
    let width = space.width();
    let mask = (1_u64 << width) - 1;
    let mut found = BTreeSet::new();
    for top in 0..1_u64 << TOP {
        for _ in 0..PER_TOP {
            found.insert((top << (width - TOP) | random.next() & (mask >> TOP)) as u32);
        }
    }
    for number in (0..decoding.sources.len()).filter(|&n| decoding.entries[n].space == index) {
        // Of its own: another encoding in the specification changes no words but its own.
        let label = decoding.entries[number].label.bytes().fold(7, |n, b| (n * 31 + u64::from(b)) & 0xffff_ffff);
        let random = &mut Random(label);
        let all = words(decoding, number, random);
        for _ in 0..NEAR.min(all.len() * 4) {
            let word = all[random.next() as usize % all.len()];
            found.insert(word); // for its name
            let flip = |random: &mut Random| 1 << (random.next() % u64::from(width));
            let second = if random.next().is_multiple_of(2) { 0 } else { flip(random) };
            found.insert(word ^ flip(random) ^ second);
        }
    }
    found
}

/// Whether a word can be asked about: of the space, and unconditional where instructions have conditions, which are part of
/// their names.
fn asked(space: &Space, word: u32) -> bool {
    space.selects(word.into()) && (space.predicate.is_none() || space.unit != 32 || word >> 28 >= 14)
}

/// What is wrong: names with an example and a count each.
fn rejected(c: &Comparison<'_>) -> BTreeMap<String, (String, usize)> {
    let mut wrong = BTreeMap::new();
    let Some(tool) = tool() else { return wrong };
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs").join(c.guest);
    let models = compile(&dir).unwrap().models;
    let model = models.iter().find(|model| model.name == c.instance).unwrap_or(&models[0]);
    let decoding = Decoding::of(model, &mut Diagnostics::default());
    let mut random = Random(7);
    let (mut unknown, mut ours) = (Vec::new(), BTreeSet::new());
    for (index, space) in model.spaces.iter().enumerate().filter(|(_, s)| c.spaces.contains(&&*s.name)) {
        let mode = decoding.mode_of(index);
        for word in candidates(&decoding, index, &mut random).into_iter().filter(|&w| asked(space, w)) {
            let code = bytes(word, space.unit, space.units, model.sections.big_code);
            match decoding.decode(index, word, mode) {
                None => unknown.push(Rejected { code, word, width: space.width() }),
                Some(_) => {
                    let line = text::disassemble(model, &decoding, 0, mode, &code).unwrap();
                    ours.insert(mnemonic(&(c.normal)(&line.text)).to_owned());
                }
            }
        }
    }
    let tests = model.insns.iter().flat_map(|i| &i.tests);
    ours.extend(tests.map(|t| mnemonic(&(c.normal)(&t.text)).to_owned()));
    let codes: Vec<Vec<u8>> = unknown.iter().map(|r| r.code.clone()).collect();
    let theirs = if c.object { objdump(tool, c, &codes) } else { llvm(tool, c, &codes) };
    let accepted: Vec<(&Rejected, String)> =
        unknown.iter().zip(theirs).filter_map(|(w, t)| Some((w, (c.normal)(&t?)))).collect();
    eprintln!("{}: of {} words that we reject, LLVM accepts {}", c.name, unknown.len(), accepted.len());
    let reasons = reasons_of(c.name);
    let mut needed = BTreeSet::new();
    for (of, text) in &accepted {
        let name = mnemonic(text);
        let have = ours.contains(name);
        if let Some(i) = reasons.iter().position(|r| r.covers(name, text, of.word, of.width) && r.ours == have) {
            needed.insert(i);
            continue;
        }
        let key = if have { format!("{name}, which the specification has") } else { name.to_owned() };
        let digits = of.width as usize / 4;
        wrong.entry(key).or_insert((format!("{:0digits$x}: {text}", of.word), 0)).1 += 1;
    }
    // The specification has them by now. Which others are met depends on the words tried.
    let stale = |r: &Reason| !r.ours && r.names.iter().all(|n| ours.contains(*n));
    for (_, r) in reasons.iter().enumerate().filter(|(i, r)| !needed.contains(i) && stale(r)) {
        wrong.insert(format!("the line of {} is not needed any more", r.names.join(" ")), (String::new(), 0));
    }
    wrong
}

macro_rules! tests {
    ($($name:ident: $comparison:expr;)*) => {
        $(
            #[test]
            fn $name() {
                let wrong = rejected(&$comparison);
                assert!(wrong.is_empty(), "{wrong:#?}");
            }
        )*
    };
}

tests! {
    nothing_of_a32_is_rejected_without_reason: A32;
    nothing_of_t32_is_rejected_without_reason: T32;
    nothing_of_mips_is_rejected_without_reason: MIPS[0];
    nothing_of_mips64_is_rejected_without_reason: MIPS[2];
}

#[test]
fn nothing_of_guests_that_name_a_disassembler_is_rejected_without_reason() {
    guests_with_a_disassembler(rejected);
}
