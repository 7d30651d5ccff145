//! Bytes of two vector registers by constant indexes: as one instruction where the host has one for the pattern, else by tables.

use ir::Ty;
use ir::inst::Inst;

use super::Xmm;
use super::emit_lanes::{LEFT, PBLENDW, PSHUFD, RIGHT};
use super::emit_vector::{PAND, POR, PSHUFB, PUNPCKLQDQ, every};
use super::generator::Gen;

const PALIGNR: u32 = 0x0f_3a0f;
const SHUFPS: u32 = 0x0fc6;
const PACKUSWB: u32 = 0x0f67;
const PACKUSDW: u32 = 0x0f_382b;

/// Which lanes of two registers, `a` before `b`, make a pattern.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pattern {
    /// In turn, those of the lower or the upper halves.
    Interleave { upper: bool },
    /// All even or all odd ones.
    Every { odd: bool },
    /// In turn, the even or the odd ones.
    Transpose { odd: bool },
}

const PATTERNS: [Pattern; 6] = [
    Pattern::Interleave { upper: false },
    Pattern::Interleave { upper: true },
    Pattern::Every { odd: false },
    Pattern::Every { odd: true },
    Pattern::Transpose { odd: false },
    Pattern::Transpose { odd: true },
];

impl Pattern {
    /// Lane `i` of the result, of `n` in a register, those of `b` being `n` and more.
    fn lane(self, i: usize, n: usize) -> usize {
        match self {
            Pattern::Interleave { upper } => i / 2 + i % 2 * n + usize::from(upper) * n / 2,
            Pattern::Every { odd } => 2 * i + usize::from(odd),
            Pattern::Transpose { odd } => i / 2 * 2 + usize::from(odd) + i % 2 * n,
        }
    }
}

/// Lanes of `bytes` that make up the picks, if they are whole ones.
fn lanes_of(picks: [u8; 16], bytes: usize) -> Option<Vec<usize>> {
    picks
        .chunks(bytes)
        .map(|lane| {
            let first = usize::from(lane[0]);
            let whole =
                first.is_multiple_of(bytes) && lane.iter().enumerate().all(|(i, p)| usize::from(*p) == first + i);
            whole.then_some(first / bytes)
        })
        .collect()
}

/// Which words are of the second register, one bit each, if all stay where they are.
fn words_of_second(picks: [u8; 16]) -> Option<u8> {
    let words = lanes_of(picks, 2)?;
    let stay = words.iter().enumerate().all(|(i, word)| word % 8 == i);
    let of_both = words.iter().any(|word| *word < 8) && words.iter().any(|word| *word >= 8);
    (stay && of_both).then(|| words.iter().rev().fold(0, |all, word| all << 1 | u8::from(*word >= 8)))
}

impl Gen<'_> {
    pub(super) fn emit_shuffle(&mut self, inst: &Inst) {
        let picks = self.unit.consts[inst.attr.index()].to_le_bytes();
        let (a, b) = (self.arg(0), self.arg(1));
        let pattern = |f: &dyn Fn(u8) -> u8| u128::from_le_bytes(picks.map(f));
        if inst.ty == Ty::I64 {
            let rb = self.use_xmm(b);
            let both = self.copy_xmm(a);
            self.sse(PUNPCKLQDQ, both, rb);
            self.sse_const(PSHUFB, both, pattern(&|p| p) | u128::from(u64::MAX) << 64);
            return self.result_xmm(both);
        }
        if self.shuffle_at_once(picks, a, b) {
            return;
        }
        if picks.iter().all(|p| *p < 16 || *p == 255) || a == b {
            let d = self.def_xmm_from(a, 0);
            return self.sse_const(PSHUFB, d, pattern(&|p| if p == 255 { p } else { p & 15 }));
        }
        if picks.iter().all(|p| *p >= 16) {
            let d = self.def_xmm_from(b, 0);
            return self.sse_const(PSHUFB, d, pattern(&|p| if p == 255 { p } else { p - 16 }));
        }
        let (low, high) = (self.copy_xmm(a), self.copy_xmm(b));
        self.sse_const(PSHUFB, low, pattern(&|p| if p < 16 { p } else { 255 }));
        self.sse_const(PSHUFB, high, pattern(&|p| if p >= 16 && p != 255 { p - 16 } else { 255 }));
        self.sse(POR, low, high);
        self.result_xmm(low);
    }

    /// Emits the patterns that the host has instructions for; false for others.
    fn shuffle_at_once(&mut self, picks: [u8; 16], a: u32, b: u32) -> bool {
        if picks.contains(&255) {
            return false;
        }
        if let Some(words) = words_of_second(picks) {
            let y = self.use_xmm(b);
            let d = self.def_xmm_from(a, 1 << y);
            self.sse(PBLENDW, d, y);
            self.asm.byte(words);
            return true;
        }
        // Picks from one register may be of either.
        let same = |x: usize, y: usize, n: usize| x == y || a == b && x % n == y % n;
        for bytes in [8, 4, 2, 1] {
            let Some(lanes) = lanes_of(picks, bytes) else { continue };
            let n = lanes.len();
            let is = |p: &&Pattern| lanes.iter().enumerate().all(|(i, &lane)| same(lane, p.lane(i, n), n));
            if let Some(pattern) = PATTERNS.iter().find(is)
                && self.emit_pattern(*pattern, bytes as u32, a, b)
            {
                return true;
            }
            if bytes == 4 && lanes.iter().all(|lane| *lane < 4 || a == b) {
                let x = self.use_xmm(a);
                let d = self.def_xmm(0);
                self.sse(PSHUFD, d, x);
                self.asm.byte(lanes.iter().rev().fold(0, |imm, lane| imm << 2 | *lane as u8 & 3));
                return true;
            }
        }
        // What follows the first byte, in both.
        let first = picks[0];
        if (1..16).contains(&first)
            && picks.iter().enumerate().all(|(i, p)| same((*p).into(), usize::from(first) + i, 16))
        {
            let x = self.use_xmm(a);
            let d = self.def_xmm_from(b, if a == b { 0 } else { 1 << x });
            self.sse(PALIGNR, d, if a == b { d } else { x });
            self.asm.byte(first);
            return true;
        }
        false
    }

    fn emit_pattern(&mut self, pattern: Pattern, bytes: u32, a: u32, b: u32) -> bool {
        match (pattern, bytes) {
            (Pattern::Interleave { upper }, _) => {
                let opcode = [0x0f60, 0x0f61, 0x0f62, 0x0f6c][bytes.trailing_zeros() as usize];
                let distance = match (upper, bytes) {
                    (false, _) => 0,
                    (true, 8) => 1,
                    (true, _) => 8,
                };
                let y = self.use_xmm(b);
                let d = self.def_xmm_from(a, if a == b { 0 } else { 1 << y });
                self.sse(opcode + distance, d, if a == b { d } else { y }); // punpckl, punpckh
            }
            (Pattern::Every { odd }, 4) => {
                let y = self.use_xmm(b);
                let d = self.def_xmm_from(a, if a == b { 0 } else { 1 << y });
                self.asm.op_rr(4, SHUFPS, d, if a == b { d } else { y });
                self.asm.byte(if odd { 0b11_01_11_01 } else { 0b10_00_10_00 });
            }
            (Pattern::Every { odd }, 1 | 2) if a != b => {
                let (x, y) = (self.copy_xmm(a), self.copy_xmm(b));
                self.pack(odd, bytes, x, y);
                self.result_xmm(x);
            }
            (Pattern::Transpose { odd }, 1 | 2 | 4) if a != b => {
                let d = self.transpose(odd, bytes, a, b);
                self.result_xmm(d);
            }
            _ => return false,
        }
        true
    }

    /// `x` = the lower or upper halves of the lanes of `x` and `y` that are twice as wide; nothing saturates.
    fn pack(&mut self, odd: bool, bytes: u32, x: Xmm, y: Xmm) {
        for r in [x, y] {
            match (odd, bytes) {
                (true, _) => self.shift_lanes(16 * bytes, RIGHT, r, 8 * bytes),
                (false, 1) => self.sse_const(PAND, r, every(16, 0xff)),
                (false, _) => self.sse_const(PAND, r, every(32, 0xffff)),
            }
        }
        self.sse(if bytes == 1 { PACKUSWB } else { PACKUSDW }, x, y);
    }

    /// One of the two moves by a lane, to where the other's are left out.
    fn transpose(&mut self, odd: bool, bytes: u32, a: u32, b: u32) -> Xmm {
        let (x, y) = (self.copy_xmm(a), self.copy_xmm(b));
        let wide = 16 * bytes;
        if odd {
            self.shift_lanes(wide, RIGHT, x, 8 * bytes);
        } else {
            self.shift_lanes(wide, LEFT, y, 8 * bytes);
        }
        if bytes == 1 {
            let (r, kept) = if odd { (y, 0xff00) } else { (x, 0x00ff) };
            self.sse_const(PAND, r, every(16, kept));
            self.sse(POR, x, y);
        } else {
            self.sse(PBLENDW, x, y);
            self.asm.byte(if bytes == 2 { 0b1010_1010 } else { 0b1100_1100 });
        }
        x
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_known_by_their_lanes() {
        let of = |p: Pattern, bytes: usize| -> [u8; 16] {
            let n = 16 / bytes;
            std::array::from_fn(|i| (p.lane(i / bytes, n) * bytes + i % bytes) as u8)
        };
        assert_eq!(
            of(Pattern::Interleave { upper: true }, 4),
            [8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31]
        );
        assert_eq!(of(Pattern::Every { odd: true }, 1), [1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31]);
        assert_eq!(of(Pattern::Transpose { odd: false }, 8), [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]);
        assert_eq!(lanes_of([4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 22, 23], 4), Some(vec![1, 0, 2, 5]));
        assert_eq!(lanes_of([4, 5, 6, 7, 0, 1, 2, 3, 8, 9, 10, 11, 20, 21, 23, 22], 4), None);
        assert_eq!(words_of_second([0, 1, 18, 19, 4, 5, 6, 7, 8, 9, 26, 27, 12, 13, 30, 31]), Some(0b1010_0010));
    }
}
