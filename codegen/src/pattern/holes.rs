//! Ranges of words without an encoding, fixed bits alone considered.

use super::ones;

/// Smaller holes than one part in `2^MAX_FIXED` of all words are not looked for.
const MAX_FIXED: u32 = 8;

/// A range of words without an encoding.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Hole {
    /// Fixed bits.
    mask: u128,
    /// Their value.
    value: u128,
}

impl Hole {
    /// Share of all words.
    pub(super) fn share(self) -> f64 {
        0.5_f64.powi(self.mask.count_ones() as i32)
    }

    /// As in a specification, highest bit first.
    pub(super) fn pattern(self, unit: u32) -> String {
        let bit = |at: u32| match (self.mask >> at & 1, self.value >> at & 1) {
            (0, _) => 'x',
            (_, 0) => '0',
            _ => '1',
        };
        (0..unit).rev().map(bit).collect()
    }
}

/// The holes between patterns (mask, value) among the words with some bits `fixed`, greatest first.
pub(super) fn find(patterns: &[(u128, u128)], fixed: (u128, u128), unit: u32) -> Vec<Hole> {
    let mut found = Vec::new();
    split(patterns, fixed, unit, &mut found);
    found.sort_by_key(|h| (h.mask.count_ones(), h.value, h.mask));
    found
}

/// Divides the words of `(mask, value)` by the bit that most patterns fix, until a part has no pattern or is covered by one.
fn split(patterns: &[(u128, u128)], (mask, value): (u128, u128), unit: u32, found: &mut Vec<Hole>) {
    let here: Vec<(u128, u128)> = patterns.iter().copied().filter(|&(m, v)| (v ^ value) & m & mask == 0).collect();
    if here.is_empty() {
        found.push(Hole { mask, value });
        return;
    }
    if mask.count_ones() >= MAX_FIXED || here.iter().any(|&(m, _)| m & !mask == 0) {
        return;
    }
    let fixed = |bit: &u32| here.iter().filter(|&&(m, _)| m >> bit & 1 == 1).count();
    let free = ones(unit) & !mask;
    let Some(bit) = (0..unit).filter(|bit| free >> bit & 1 == 1).max_by_key(fixed) else { return };
    for side in [0, 1] {
        split(&here, (mask | 1 << bit, value | side << bit), unit, found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holes_are_what_no_pattern_has() {
        let patterns = [(0b1100, 0b0000), (0b1110, 0b0100), (0b1000, 0b1000)];
        let holes = find(&patterns, (0, 0), 4);
        assert_eq!(holes.iter().map(|h| h.pattern(4)).collect::<Vec<_>>(), ["011x"]);
        assert!((holes[0].share() - 0.125).abs() < 1e-9);
        assert!(find(&[(0, 0)], (0, 0), 4).is_empty());
        assert_eq!(find(&[], (0b11, 0b11), 4)[0].pattern(4), "xx11");
    }

    #[test]
    fn words_of_holes_match_nothing() {
        let patterns = [(0xf0ff, 0x1023), (0x00f0, 0x0050), (0xc000, 0x8000), (0x0f01, 0x0601)];
        let holes = find(&patterns, (0, 0), 16);
        let mut inside = 0;
        for word in 0..=0xffff_u128 {
            if holes.iter().any(|h| word & h.mask == h.value) {
                assert!(patterns.iter().all(|&(m, v)| word & m != v), "{word:#x}");
                inside += 1;
            }
        }
        assert!(inside > 10_000, "{inside}");
    }
}
