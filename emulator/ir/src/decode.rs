//! Decoding of fixed-width instructions with generated tables: some bits of the word choose a bucket, whose short list
//! of patterns is tried in order, more specific ones first.

/// A further condition of a pattern: field values and `when` clauses, of the word and the mode.
pub type Guard = fn(word: u32, mode: u32) -> bool;

/// An encoding.
#[derive(Clone, Copy)]
pub struct Pattern {
    /// Fixed bits.
    pub mask: u32,
    /// Their value.
    pub value: u32,
    /// Further condition; the next candidate is tried where it fails.
    pub guard: Option<Guard>,
}

/// Adjacent bits of the word that are adjacent in the bucket number.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Right shift.
    pub shift: u32,
    /// Bits kept, in place.
    pub mask: u32,
}

/// Which words are of a space, by bits of their first unit: `unit >> shift & mask` is from `low` to `high`.
#[derive(Clone, Copy, Debug)]
pub struct Select {
    /// Right shift.
    pub shift: u32,
    /// Bits looked at after the shift.
    pub mask: u32,
    /// Smallest value.
    pub low: u32,
    /// Largest value.
    pub high: u32,
    /// The value is outside of these.
    pub negated: bool,
}

/// Encodings of one length.
pub struct Space {
    /// Bytes of a unit, which is in the byte order of code; 1 where instructions are sequences of bytes ([`crate::bytes`]).
    pub unit: u32,
    /// Units of an instruction, the first of which has the highest bits of the word.
    pub units: u32,
    /// Bits of the mode word, and the value they have where instructions are of this space.
    pub active: (u32, u32),
    /// Which words belong here; `None` is all.
    pub select: Option<Select>,
    /// How the bucket number is put together.
    pub runs: &'static [Run],
    /// Start of each bucket's list in `lists`.
    pub buckets: &'static [u16],
    /// Lists of pattern numbers, each ended by `u16::MAX`.
    pub lists: &'static [u16],
}

/// The decoder of a guest.
pub struct Decoder {
    /// Spaces, tried in order.
    pub spaces: &'static [Space],
    /// Patterns, by encoding number.
    pub patterns: &'static [Pattern],
    /// Bytes of the shortest instruction.
    pub unit: u32,
    /// Byte order of code.
    pub big_endian: bool,
}

/// Result of decoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// An instruction.
    Insn {
        /// Encoding number.
        enc: u16,
        /// The word.
        word: u32,
        /// Length in bytes.
        len: u32,
    },
    /// No encoding matches this word.
    Unallocated {
        /// The word.
        word: u32,
        /// Length in bytes.
        len: u32,
    },
    /// More bytes are needed.
    Truncated,
}

impl Decoder {
    /// Decode the instruction at the start of `code`, which is in guest memory order.
    #[must_use]
    pub fn decode(&self, code: &[u8], mode: u32) -> Decoded {
        let Some(first) = self.read(code, self.unit, 1) else { return Decoded::Truncated };
        let Some(space) = self.spaces.iter().find(|s| s.takes(first, mode)) else {
            return Decoded::Unallocated { word: first, len: self.unit };
        };
        let len = space.unit * space.units;
        let Some(word) = self.read(code, space.unit, space.units) else { return Decoded::Truncated };
        match space.candidates(word).find(|&enc| self.patterns[enc as usize].matches(word, mode)) {
            Some(enc) => Decoded::Insn { enc, word, len },
            None => Decoded::Unallocated { word, len },
        }
    }

    /// The word of some units.
    #[inline]
    fn read(&self, code: &[u8], bytes: u32, units: u32) -> Option<u32> {
        if let (4, 1, Some(word)) = (bytes, units, code.first_chunk()) {
            return Some(if self.big_endian { u32::from_be_bytes(*word) } else { u32::from_le_bytes(*word) });
        }
        if let (2, 1, Some(half)) = (bytes, units, code.first_chunk()) {
            return Some(if self.big_endian { u16::from_be_bytes(*half) } else { u16::from_le_bytes(*half) }.into());
        }
        let code = code.get(..(bytes * units) as usize)?;
        let step = |word: u32, byte: &u8| word << 8 | u32::from(*byte);
        let unit = |word, unit: &[u8]| match self.big_endian {
            true => unit.iter().fold(word, step),
            false => unit.iter().rev().fold(word, step),
        };
        Some(code.chunks(bytes as usize).fold(0, unit))
    }
}

impl Select {
    fn holds(self, first: u32) -> bool {
        (self.low..=self.high).contains(&(first >> self.shift & self.mask)) != self.negated
    }
}

impl Pattern {
    fn matches(&self, word: u32, mode: u32) -> bool {
        word & self.mask == self.value && self.guard.is_none_or(|guard| guard(word, mode))
    }
}

impl Space {
    /// Whether the instruction with this first unit is of the space under a mode.
    fn takes(&self, first: u32, mode: u32) -> bool {
        mode & self.active.0 == self.active.1 && self.select.is_none_or(|s| s.holds(first))
    }

    /// The patterns in the bucket of a word.
    pub(crate) fn candidates(&self, word: u32) -> impl Iterator<Item = u16> {
        let bucket = self.runs.iter().fold(0, |bucket, run| bucket | word >> run.shift & run.mask);
        let start = self.buckets[bucket as usize] as usize;
        self.lists[start..].iter().copied().take_while(|&number| number != u16::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two lengths; in the long one a guarded pattern in front of a general one.
    static DECODER: Decoder = Decoder {
        spaces: &[
            Space {
                unit: 4,
                units: 1,
                active: (0x100, 0),
                select: Some(Select { shift: 0, mask: 3, low: 3, high: 3, negated: false }),
                runs: &[Run { shift: 4, mask: 0b01 }, Run { shift: 30, mask: 0b10 }],
                buckets: &[0, 0, 3, 5],
                lists: &[0, 1, u16::MAX, 1, u16::MAX, u16::MAX],
            },
            Space {
                unit: 2,
                units: 1,
                active: (0x100, 0),
                select: Some(Select { shift: 0, mask: 3, low: 3, high: 3, negated: true }),
                runs: &[],
                buckets: &[0],
                lists: &[2, u16::MAX],
            },
            Space {
                unit: 2,
                units: 2,
                active: (0x100, 0x100),
                select: Some(Select { shift: 11, mask: 0xffff, low: 0, high: 28, negated: true }),
                runs: &[],
                buckets: &[0],
                lists: &[3, u16::MAX],
            },
        ],
        patterns: &[
            Pattern { mask: 0xff, value: 0x13, guard: Some(|word, mode| word >> 8 == mode) },
            Pattern { mask: 0xf, value: 0x3, guard: None },
            Pattern { mask: 0xffff, value: 0x1, guard: None },
            Pattern { mask: 0xffff_0000, value: 0xf000_0000, guard: None },
        ],
        unit: 2,
        big_endian: false,
    };

    #[test]
    fn guards_lengths_and_short_input() {
        let insn = |enc, word, len| Decoded::Insn { enc, word, len };
        assert_eq!(DECODER.decode(&[0x13, 5, 0, 0], 5), insn(0, 0x513, 4));
        assert_eq!(DECODER.decode(&[0x13, 5, 0, 0], 6), insn(1, 0x513, 4));
        assert_eq!(DECODER.decode(&[1, 0, 9, 9], 0), insn(2, 1, 2));
        assert_eq!(DECODER.decode(&[2, 0], 0), Decoded::Unallocated { word: 2, len: 2 });
        assert_eq!(DECODER.decode(&[0x13, 0, 0x10, 0x80], 0), Decoded::Unallocated { word: 0x8010_0013, len: 4 });
        assert_eq!(DECODER.decode(&[0x13, 5], 5), Decoded::Truncated);
        assert_eq!(DECODER.decode(&[1], 0), Decoded::Truncated);
    }

    #[test]
    fn the_mode_chooses_spaces_and_the_first_unit_lengths() {
        let code = [0x00, 0xf0, 0x34, 0x12];
        assert_eq!(DECODER.decode(&code, 0x100), Decoded::Insn { enc: 3, word: 0xf000_1234, len: 4 });
        assert_eq!(DECODER.decode(&code[..2], 0x100), Decoded::Truncated);
        assert_eq!(DECODER.decode(&[0x00, 0xe0, 0, 0], 0x100), Decoded::Unallocated { word: 0xe000, len: 2 });
        assert_eq!(DECODER.decode(&code, 0), Decoded::Unallocated { word: 0xf000, len: 2 });
    }
}
