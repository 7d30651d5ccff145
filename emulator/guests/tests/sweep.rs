//! All words of every encoding space through the generated decoder: each instruction gets exactly as many as its patterns,
//! guards and precedence say.

use codegen::diag::Diagnostics;
use codegen::model::Model;
use codegen::pattern::{Decoding, Select, Space};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// The checked models of all guests.
fn models() -> Vec<Model> {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
    let mut folders: Vec<_> = std::fs::read_dir(specs).unwrap().map(|e| e.unwrap().path()).collect();
    folders.sort();
    let is_guest = |folder: &&PathBuf| folder.join("arch.isa").is_file();
    let compiled = folders.iter().filter(is_guest).map(|folder| codegen::compile(folder).unwrap());
    // Sequences of bytes are too many. The guests of one folder have the same encodings, or nearly: one of them is enough.
    compiled.filter_map(|c| c.models.into_iter().next().filter(|m| !m.bytewise())).collect()
}

/// Names of instructions, told apart by the address of their text, with the number of words found.
type Hits = HashMap<*const u8, (&'static str, u64)>;

/// The words of an encoding space.
#[derive(Clone, Copy)]
struct Words {
    /// A mode in which the space is active.
    mode: u32,
    unit: u32,
    units: u32,
    select: Option<Select>,
    big_endian: bool,
}

impl Words {
    fn of(model: &Model, space: &Space) -> Words {
        let big_endian = model.sections.big_code;
        Words { mode: model.mode_of(space), unit: space.unit, units: space.units, select: space.select, big_endian }
    }

    fn bits(&self) -> u32 {
        self.unit * self.units
    }

    fn has(&self, word: u64) -> bool {
        self.select.is_none_or(|s| s.holds((word >> (self.unit * (self.units - 1))).into()))
    }

    /// A word in memory: its units from the highest on, each in the guest's byte order.
    fn bytes(&self, word: u64) -> [u8; 4] {
        let mut code = [0; 4];
        let unit = self.unit as usize / 8;
        for (i, bytes) in code[..self.bits() as usize / 8].chunks_mut(unit).enumerate() {
            let shift = self.unit * (self.units - 1 - i as u32);
            bytes.copy_from_slice(&(word >> shift).to_le_bytes()[..unit]);
            if self.big_endian {
                bytes.reverse();
            }
        }
        code
    }
}

/// Words `first`, `first + step` …
fn sweep(guest: &ir::Guest, words: Words, first: u64, step: usize) -> Hits {
    let mut hits = Hits::new();
    let (mut last, mut count) = ("", 0);
    let len = words.bits() as usize / 8;
    for word in (first..1 << words.bits()).step_by(step).filter(|&w| words.has(w)) {
        let Some(name) = (guest.identify)(words.mode, &words.bytes(word)[..len]) else { continue };
        // Neighbours are often the same instruction.
        if name.as_ptr() != last.as_ptr() {
            if count > 0 {
                hits.entry(last.as_ptr()).or_insert((last, 0)).1 += count;
            }
            (last, count) = (name, 0);
        }
        count += 1;
    }
    if count > 0 {
        hits.entry(last.as_ptr()).or_insert((last, 0)).1 += count;
    }
    hits
}

/// Words by instruction, over all spaces: found and predicted.
fn compare(guest: &ir::Guest, model: &Model) -> BTreeMap<String, (u64, Option<u64>)> {
    let decoding = Decoding::of(model, &mut Diagnostics::default());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let mut result: BTreeMap<String, (u64, Option<u64>)> = BTreeMap::new();
    for space in &model.spaces {
        let words = Words::of(model, space);
        let parts: Vec<Vec<(&str, u64)>> = std::thread::scope(|scope| {
            let part = |i| move || sweep(guest, words, i as u64, threads).into_values().collect();
            let running: Vec<_> = (0..threads).map(|i| scope.spawn(part(i))).collect();
            running.into_iter().map(|t| t.join().unwrap()).collect()
        });
        for (name, count) in parts.into_iter().flatten() {
            result.entry(name.to_owned()).or_insert((0, Some(0))).0 += count;
        }
    }
    for (number, entry) in decoding.entries.iter().enumerate() {
        let total = &mut result.entry(entry.insn.clone()).or_insert((0, Some(0))).1;
        let mode = model.mode_of(&model.spaces[entry.space]);
        *total = total.zip(decoding.count(number, mode)).map(|(a, b)| a + b);
    }
    result
}

#[test]
fn every_word_is_what_the_patterns_say() {
    for model in models() {
        let guest = guests::ALL.by_name(&model.name).unwrap();
        let start = std::time::Instant::now();
        let counts = compare(guest, &model);
        let total: u64 = counts.values().map(|c| c.0).sum();
        eprintln!("{}: {total} words are instructions, swept in {:.1?}", model.name, start.elapsed());
        // Of a few, too many bits decide to count words that way.
        let unknown: Vec<&String> = counts.iter().filter(|(_, c)| c.1.is_none()).map(|c| c.0).collect();
        assert!(unknown.len() * 10 < counts.len(), "{}: no prediction for {unknown:?}", model.name);
        let wrong: Vec<_> = counts.iter().filter(|(_, c)| c.1.is_some_and(|predicted| predicted != c.0)).collect();
        assert!(wrong.is_empty(), "{}: found and predicted: {wrong:#?}", model.name);
        assert!(total > 1 << 24, "{}: {total}", model.name);
    }
}
