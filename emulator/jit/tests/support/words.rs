//! Words of instructions, made from the patterns of a specification.

use std::path::{Path, PathBuf};

use codegen::diag::Diagnostics;
use codegen::model::{Enc, Insn};
use codegen::pattern::Decoding;
use ir::Guest;

use super::Random;

/// Encodings of a guest, to make words of.
pub(crate) struct Words {
    decoding: Decoding<'static>,
    /// Numbers of the encodings to make words of.
    wanted: Vec<usize>,
    big_endian: bool,
}

/// A word that is an instruction.
#[derive(Clone)]
pub(crate) struct Word<'a> {
    /// The word.
    pub(crate) word: u128,
    /// Its bytes in memory.
    pub(crate) bytes: Vec<u8>,
    /// The instruction.
    pub(crate) insn: &'a Insn,
    /// Its encoding.
    pub(crate) enc: &'a Enc,
}

impl Word<'_> {
    /// Value of a field, if it has one of that name.
    pub(crate) fn field(&self, name: &str) -> Option<i128> {
        let field = self.enc.flat.fields.iter().find(|field| *field.name.name == *name)?;
        Some(self.enc.flat.field_value(field, self.word))
    }
}

impl Words {
    /// Reads the guest's specification, which stays in memory; words of instructions in a mode that `wanted` tells by their names.
    pub(crate) fn of(guest: &Guest, mode: u32, wanted: impl Fn(&str) -> bool) -> Words {
        let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
        let folders = std::fs::read_dir(specs).unwrap().map(|entry| entry.unwrap().path());
        let has_isa = |folder: &PathBuf| folder.join("arch.isa").exists();
        for folder in folders.filter(has_isa) {
            let compiled = codegen::compile(&folder).unwrap();
            let Some(at) = compiled.models.iter().position(|model| *model.name == *guest.name) else { continue };
            let model = &Box::leak(Box::new(compiled)).models[at];
            let decoding = Decoding::of(model, &mut Diagnostics::default());
            let mut words = Words { decoding, wanted: Vec::new(), big_endian: guest.big_endian_code };
            let value = |name: &str| {
                let context = guest.contexts.iter().find(|context| context.name == name).unwrap();
                mode >> context.lo & u32::MAX >> (32 - context.width)
            };
            for number in 0..words.decoding.sources.len() {
                let space = &model.spaces[words.decoding.entries[number].space];
                let active = space.active.iter().all(|(context, wanted)| value(&context.name) == *wanted);
                if active && wanted(&words.decoding.entries[number].insn) {
                    words.wanted.push(number);
                }
            }
            return words;
        }
        panic!("no specification of {}", guest.name)
    }

    /// A word with random operands; not always an instruction.
    pub(crate) fn pick(&self, mode: u32, random: &mut Random) -> Option<Word<'_>> {
        self.word(self.wanted[random.below(self.wanted.len() as u64) as usize], mode, random)
    }

    fn word(&self, number: usize, mode: u32, random: &mut Random) -> Option<Word<'_>> {
        let entry = &self.decoding.entries[number];
        let word = u128::from(random.next()) & !entry.mask | entry.value;
        let space = &self.decoding.model().spaces[entry.space];
        let word = word & u128::MAX >> (128 - space.width());
        // Bits that should have a value have it, as the encoding says that the word has in the end.
        let decode = |word: u128| Some(self.decoding.sources[self.decoding.decode(entry.space, word as u32, mode)?]);
        let (_, enc) = decode(word)?;
        let word = word & !enc.flat.should_mask | enc.flat.should_be;
        let (insn, enc) = decode(word)?;
        let should = (word ^ enc.flat.should_be) & enc.flat.should_mask == 0 && space.selects(word);
        let unit = |k: u32| {
            let value = (word >> (space.unit * (space.units - 1 - k))) as u64;
            let unit = value.to_le_bytes().into_iter().take(space.unit as usize / 8);
            if self.big_endian { unit.rev().collect::<Vec<_>>() } else { unit.collect() }
        };
        should.then(|| Word { word, bytes: (0..space.units).flat_map(unit).collect(), insn, enc })
    }
}
