//! Decoding of instructions that are sequences of bytes: prefixes set decode variables, the variables choose the table of
//! the next byte, and fields that follow the opcode have lengths that depend on both.

use crate::decode::Space;

/// Most bytes of an opcode with what belongs to it.
const HEAD: usize = 3;

/// What matching looks at: the opcode's bytes from bit 0 on, the decode variables from bit 32 on.
pub type Word = u128;
/// The mode word in the low 32 bits, the decode variables above, where [`Word`] has them too.
pub type Vars = u128;

/// An encoding or a prefix.
#[derive(Clone, Copy)]
pub struct Pattern {
    /// Fixed bits.
    pub mask: Word,
    /// Their value.
    pub value: Word,
    /// Bytes that hold fixed bits and fields before everything of computed length.
    pub head: u8,
    /// Further condition; the next candidate is tried where it fails.
    pub guard: Option<fn(Word, Vars) -> bool>,
    /// What a match does.
    pub then: Then,
}

/// What follows the head of a pattern.
#[derive(Clone, Copy)]
pub enum Then {
    /// A prefix: the variables change and decoding goes on.
    Prefix(fn(Word, Vars) -> Vars),
    /// An instruction: fields that are variables are set, operands and immediates taken.
    Insn(fn(&mut Cursor<'_>)),
}

/// The decoder of a guest.
pub struct Decoder {
    /// Tables, by number; buckets are chosen by the first byte.
    pub spaces: &'static [Space],
    /// Patterns: encodings by number, then prefixes.
    pub patterns: &'static [Pattern],
    /// Which table decodes the next byte; `None` if there is none.
    pub active: fn(Vars) -> Option<usize>,
    /// Variables at the start of an instruction.
    pub reset: Vars,
    /// Longest instruction.
    pub max_length: usize,
}

/// An instruction, taken apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Insn {
    /// Encoding number.
    pub enc: u16,
    /// Head and variables.
    pub word: Word,
    /// Mode and variables.
    pub vars: Vars,
    /// Immediates in the order of the pattern.
    pub imms: [i128; 2],
    /// Length in bytes.
    pub len: u32,
}

/// Result of decoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Decoded {
    /// An instruction.
    Insn(Insn),
    /// No encoding matches these bytes.
    Unallocated {
        /// How many bytes were looked at.
        len: u32,
    },
    /// More bytes are needed.
    Truncated,
}

/// Takes fields of computed length from the code after the head.
pub struct Cursor<'a> {
    code: &'a [u8],
    at: usize,
    count: usize,
    /// Head and variables as they were matched.
    pub word: Word,
    /// Mode and variables.
    pub vars: Vars,
    imms: [i128; 2],
    short: bool,
}

impl Cursor<'_> {
    /// The next `bytes` bytes, little-endian, without taking them; 0 where there are none.
    #[must_use]
    pub fn peek(&self, bytes: usize) -> Word {
        let byte = |i: usize| self.code.get(self.at + i).copied().unwrap_or(0);
        (0..bytes).rev().fold(0, |word, i| word << 8 | Word::from(byte(i)))
    }

    /// The next `width` bits, a multiple of 8, as a number.
    pub fn take(&mut self, width: i128, signed: bool) -> i128 {
        let bytes = (width / 8).clamp(0, 8) as usize;
        let value = self.peek(bytes) as i128;
        self.at += bytes;
        self.short |= self.at > self.code.len();
        let unused = 128 - 8 * bytes as u32;
        if signed && bytes != 0 { value << unused >> unused } else { value }
    }

    /// Takes an immediate.
    pub fn immediate(&mut self, width: i128, signed: bool) {
        let value = self.take(width, signed);
        if let Some(imm) = self.imms.get_mut(self.count) {
            *imm = value;
        }
        self.count += 1;
    }

    /// Sets a variable.
    pub fn set(&mut self, lo: u32, width: u32, value: i128) {
        self.vars = with_field(self.vars, lo, width, value);
    }
}

/// `vars` with a field replaced.
#[must_use]
pub fn with_field(vars: Vars, lo: u32, width: u32, value: i128) -> Vars {
    let mask = ((1 << width) - 1) << lo;
    vars & !mask | (value as u128) << lo & mask
}

impl Decoder {
    /// Decode the instruction at the start of `code`.
    #[must_use]
    pub fn decode(&self, code: &[u8], mode: u32) -> Decoded {
        let code = &code[..code.len().min(self.max_length)];
        let incomplete = if code.len() == self.max_length {
            Decoded::Unallocated { len: code.len() as u32 }
        } else {
            Decoded::Truncated
        };
        let mut vars = self.reset | Vars::from(mode);
        let mut at = 0;
        loop {
            let Some(space) = (self.active)(vars) else { return Decoded::Unallocated { len: at as u32 } };
            let Some(&first) = code.get(at) else { return incomplete };
            let rest = &code[at..];
            let word = head(rest) | vars >> 32 << 32;
            let mut candidates = self.spaces[space].candidates(u32::from(first)).map(usize::from);
            let Some(enc) = candidates.find(|&n| self.patterns[n].matches(word, vars, rest.len())) else {
                return Decoded::Unallocated { len: at as u32 + 1 };
            };
            let pattern = &self.patterns[enc];
            if usize::from(pattern.head) > rest.len() {
                return incomplete;
            }
            at += usize::from(pattern.head);
            match pattern.then {
                Then::Prefix(set) => vars = set(word, vars),
                Then::Insn(tail) => {
                    let mut cursor = Cursor { code, at, count: 0, word, vars, imms: [0; 2], short: false };
                    tail(&mut cursor);
                    let Cursor { at, vars, imms, short, .. } = cursor;
                    let insn = Insn { enc: enc as u16, word, vars, imms, len: at as u32 };
                    return if short { incomplete } else { Decoded::Insn(insn) };
                }
            }
        }
    }
}

/// The bytes that matching looks at.
fn head(code: &[u8]) -> Word {
    code.iter().take(HEAD).rev().fold(0, |word, &byte| word << 8 | Word::from(byte))
}

impl Pattern {
    /// Whether the bytes that are there match.
    fn matches(&self, word: Word, vars: Vars, bytes: usize) -> bool {
        let seen = !0 << 32 | !(!0 << (8 * bytes.min(HEAD)));
        (word ^ self.value) & self.mask & seen == 0
            && (usize::from(self.head) > bytes || self.guard.is_none_or(|guard| guard(word, vars)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prefix 66 sets variable 0, prefix 0f variable 1, which chooses the second table; `b8` has an immediate whose width
    /// depends on variable 0; `0f 8x` has a fixed second byte.
    static DECODER: Decoder = Decoder {
        spaces: &[
            Space {
                unit: 1,
                units: 1,
                active: (0, 0),
                select: None,
                runs: &[],
                buckets: &[0],
                lists: &[0, 2, 3, u16::MAX],
            },
            Space { unit: 1, units: 1, active: (0, 0), select: None, runs: &[], buckets: &[0], lists: &[1, u16::MAX] },
        ],
        patterns: &[
            Pattern {
                mask: 0xff,
                value: 0xb8,
                head: 1,
                guard: None,
                then: Then::Insn(|c| c.immediate(if c.vars >> 32 & 1 == 1 { 16 } else { 32 }, true)),
            },
            Pattern { mask: 0xf0ff, value: 0x1080, head: 2, guard: None, then: Then::Insn(|_| {}) },
            Pattern {
                mask: 0xff,
                value: 0x66,
                head: 1,
                guard: None,
                then: Then::Prefix(|_, v| with_field(v, 32, 1, 1)),
            },
            Pattern {
                mask: 0xff,
                value: 0x0f,
                head: 1,
                guard: None,
                then: Then::Prefix(|_, v| with_field(v, 33, 1, 1)),
            },
        ],
        active: |vars| Some((vars >> 33 & 1) as usize),
        reset: 0,
        max_length: 15,
    };

    fn parts(code: &[u8]) -> Option<(u16, u32, i128)> {
        match DECODER.decode(code, 0) {
            Decoded::Insn(i) => Some((i.enc, i.len, i.imms[0])),
            _ => None,
        }
    }

    #[test]
    fn prefixes_choose_tables_and_lengths() {
        assert_eq!(parts(&[0xb8, 0xfe, 0xff, 0xff, 0xff]), Some((0, 5, -2)));
        assert_eq!(parts(&[0x66, 0xb8, 0x34, 0x12]), Some((0, 4, 0x1234)));
        assert_eq!(parts(&[0x66, 0x0f, 0x80, 0x1f]), Some((1, 4, 0)));
        assert_eq!(DECODER.decode(&[0x0f, 0x80, 0x20], 0), Decoded::Unallocated { len: 2 });
        assert_eq!(DECODER.decode(&[0x90], 0), Decoded::Unallocated { len: 1 });
    }

    #[test]
    fn what_is_cut_off_is_not_decided() {
        for code in [&[0x66][..], &[0x66, 0xb8, 0x34], &[0x0f], &[0x0f, 0x80], &[]] {
            assert_eq!(DECODER.decode(code, 0), Decoded::Truncated, "{code:x?}");
        }
        assert_eq!(DECODER.decode(&[0x66; 20], 0), Decoded::Unallocated { len: 15 });
        let mut longest = [0x66; 15];
        longest[12] = 0xb8;
        assert_eq!(parts(&longest).map(|p| p.1), Some(15));
        longest[12] = 0x66;
        longest[13] = 0xb8;
        assert_eq!(DECODER.decode(&longest, 0), Decoded::Unallocated { len: 15 });
    }
}
