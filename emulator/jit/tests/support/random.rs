//! A fixed sequence of random numbers.

#[derive(Clone)]
pub(crate) struct Random(pub u64);

impl Random {
    /// The sequence of a seed; those of adjacent seeds have nothing in common.
    pub(crate) fn from_seed(seed: u64) -> Random {
        // Steps of the golden ratio, mixed: none of 2^64 seeds but one gives 0, of which nothing would come.
        let mut state = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        state = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        state = (state ^ state >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        Random((state ^ state >> 31) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(n)) >> 64) as u64
    }
}
