//! Sets of words that satisfy fixed bits and constraints, by enumeration of the bits that matter.

use super::Constraint;

/// More bits than this are not enumerated.
pub(super) const MAX_BITS: u32 = 20;

/// All values of the bits in `free`, as words with the other bits 0. There are `2^popcount(free)` of them.
pub(super) fn subsets(free: u128) -> impl Iterator<Item = u128> {
    // Carries run through the gaps between the free bits.
    let mut next = Some(0_u128);
    std::iter::from_fn(move || {
        let word = next?;
        next = match (word | !free).wrapping_add(1) & free {
            0 => None,
            more => Some(more),
        };
        Some(word)
    })
}

/// Whether some word with these fixed bits satisfies all constraints and violates `except`. Answers `true` when there are
/// too many bits to try.
pub(super) fn satisfiable(mask: u128, value: u128, constraints: &[&Constraint], except: Option<&Constraint>) -> bool {
    let all = || constraints.iter().copied().chain(except);
    // One constraint alone often decides.
    let impossible = |c: &Constraint, want: bool| {
        let free = c.bits & !mask;
        free.count_ones() <= MAX_BITS && subsets(free).all(|w| c.holds(w | value) != want)
    };
    if constraints.iter().any(|c| impossible(c, true)) || except.is_some_and(|c| impossible(c, false)) {
        return false;
    }
    let free = all().fold(0, |bits, c| bits | c.bits) & !mask;
    if free.count_ones() > MAX_BITS {
        return true;
    }
    subsets(free).any(|w| {
        let word = w | value;
        constraints.iter().all(|c| c.holds(word)) && except.is_none_or(|c| !c.holds(word))
    })
}

/// A fixed sequence of random numbers.
pub(super) struct Random(pub u64);

impl Random {
    /// The next 128 bits; the low 64 are one number of the sequence.
    pub(super) fn word(&mut self) -> u128 {
        let low = self.next();
        u128::from(low) | u128::from(low.wrapping_mul(0x2545_f491_4f6c_dd1d).rotate_left(29)) << 64
    }

    /// The next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

#[cfg(test)]
mod tests {
    use super::subsets;

    #[test]
    fn subsets_are_all_values_of_the_bits() {
        let all: Vec<u128> = subsets(0b1001_0100).collect();
        assert_eq!(all, [0, 4, 16, 20, 128, 132, 144, 148]);
        assert_eq!(subsets(0).collect::<Vec<_>>(), [0]);
    }
}
