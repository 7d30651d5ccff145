//! How many words each encoding should get, counted from patterns, constraints, guards and precedence alone: what a sweep
//! over all words by the decoder's tables is compared with.

use super::words::subsets;
use super::{Decoding, Relation, ones};

/// More bits than this are not enumerated.
const MAX_BITS: u32 = 24;

impl Decoding<'_> {
    /// Number of words that decode as an encoding under a mode; `None` if too many bits decide to try them all.
    pub fn count(&self, number: usize, mode: u32) -> Option<u64> {
        let entry = &self.entries[number];
        let space = &self.model().spaces[entry.space];
        let before: Vec<usize> = self.taken_by(number).collect();
        let others = before.iter().fold(0, |bits, &other| bits | self.entries[other].mask | self.deciding(other));
        let free = (self.deciding(number) | others | space.select_bits()) & ones(space.width()) & !entry.mask;
        if free.count_ones() > MAX_BITS {
            return None;
        }
        let hit = |word: u128| {
            space.selects(word)
                && self.matches(number, word, mode)
                && !before.iter().any(|&other| self.matches(other, word, mode))
        };
        let hits = subsets(free).filter(|&w| hit(w | entry.value)).count() as u64;
        Some(hits << (ones(space.width()) & !entry.mask & !free).count_ones())
    }

    /// The encodings that come first where they match too.
    fn taken_by(&self, number: usize) -> impl Iterator<Item = usize> {
        let rank = &self.analysis.rank;
        let pairs = self.analysis.pairs.iter().filter(move |p| p.relation != Relation::GuardProven);
        let others = pairs.filter_map(move |p| match (p.first == number, p.second == number) {
            (true, _) => Some(p.second),
            (_, true) => Some(p.first),
            _ => None,
        });
        others.filter(move |&other| rank[other] < rank[number])
    }

    /// Bits besides the fixed ones that decide whether an encoding matches.
    fn deciding(&self, number: usize) -> u128 {
        let entry = &self.entries[number];
        entry.constraints.iter().fold(entry.guard_bits.unwrap_or(0), |bits, c| bits | c.bits)
    }
}
