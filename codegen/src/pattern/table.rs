//! Decoder tables: some bits of the word choose a bucket, whose short list of encodings is tried in order.

/// A table for one space.
#[derive(Clone, Debug)]
pub struct Table {
    /// How the bucket number is put together.
    pub runs: Vec<Run>,
    /// Start of each bucket's list in `lists`.
    pub buckets: Vec<u16>,
    /// Lists of pattern numbers, each ended by `u16::MAX`.
    pub lists: Vec<u16>,
}

/// Adjacent bits of the word that are adjacent in the bucket number: `(word >> shift) & mask`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Run {
    /// Right shift.
    pub shift: u32,
    /// Bits kept, in place.
    pub mask: u32,
}

/// A table with few encodings needs few buckets.
fn bit_count(patterns: usize, width: u32) -> u32 {
    let bits = if patterns > 128 { 12 } else { 10 };
    bits.min(width)
}

impl Table {
    /// Build a table of `patterns` (mask, value), in the order of trying; `numbers` are what the lists hold.
    pub fn build(patterns: &[(u32, u32)], numbers: &[u16], width: u32) -> Table {
        let runs = runs(&choose_bits(patterns, width));
        let count = 1_usize << runs.iter().map(|r| r.mask.count_ones()).sum::<u32>();
        let bucket_mask = spread(&runs, u32::MAX);
        let (mut buckets, mut lists) = (Vec::with_capacity(count), Vec::new());
        let mut known: std::collections::HashMap<Vec<u16>, u16> = std::collections::HashMap::new();
        for bucket in 0..count as u32 {
            let fixed = spread(&runs, bucket);
            let fits = |&(mask, value): &(u32, u32)| (fixed ^ value) & mask & bucket_mask == 0;
            let fitting = patterns.iter().zip(numbers).filter(|(p, _)| fits(p)).map(|(_, n)| *n);
            let mut list: Vec<u16> = fitting.collect();
            list.dedup(); // alternatives of one encoding
            let start = *known.entry(list).or_insert_with_key(|list| {
                let start = lists.len() as u16;
                lists.extend(list.iter().copied().chain([u16::MAX]));
                start
            });
            buckets.push(start);
        }
        Table { runs, buckets, lists }
    }

    /// The number of a word's bucket.
    pub fn bucket(&self, word: u32) -> u32 {
        self.runs.iter().fold(0, |b, r| b | word >> r.shift & r.mask)
    }

    /// The list of a word's bucket.
    pub fn candidates(&self, word: u32) -> impl Iterator<Item = u16> {
        let start = self.buckets[self.bucket(word) as usize] as usize;
        self.lists[start..].iter().copied().take_while(|&n| n != u16::MAX)
    }

    /// Size of the generated table.
    pub fn bytes(&self) -> usize {
        size_of::<u16>() * (self.buckets.len() + self.lists.len())
    }

    /// Mean and greatest number of encodings in a bucket.
    pub fn load(&self) -> (f64, usize) {
        let length = |&start: &u16| self.lists[start as usize..].iter().take_while(|&&n| n != u16::MAX).count();
        let (sum, max) = self.buckets.iter().map(length).fold((0, 0), |(s, m), n| (s + n, m.max(n)));
        (sum as f64 / self.buckets.len() as f64, max)
    }
}

/// A pattern in a bucket, with the share of its words that are there.
type Part = (u32, u32, f64);

/// Greedily, the bits that leave the fewest candidates for a word of a random pattern. A bit that is the same in all
/// patterns does not help, nor does one that all ignore.
fn choose_bits(patterns: &[(u32, u32)], width: u32) -> Vec<u32> {
    let mut chosen: Vec<u32> = Vec::new();
    let mut buckets: Vec<Vec<Part>> = vec![patterns.iter().map(|&(mask, value)| (mask, value, 1.0)).collect()];
    for _ in 0..bit_count(patterns.len(), width) {
        let now: f64 = buckets.iter().map(|b| load(b)).sum();
        let cost = |bit: u32| -> f64 { buckets.iter().map(|b| load(&half(b, bit, 0)) + load(&half(b, bit, 1))).sum() };
        let free = (0..width).filter(|b| !chosen.contains(b)).map(|bit| (cost(bit), bit));
        let Some((best_cost, best)) = free.min_by(|a, b| a.0.total_cmp(&b.0)) else { break };
        if best_cost > now * 0.999 {
            break;
        }
        buckets = buckets.iter().flat_map(|b| [half(b, best, 0), half(b, best, 1)]).collect();
        chosen.push(best);
    }
    chosen.sort_unstable();
    chosen
}

/// Words in a bucket times candidates.
fn load(bucket: &[Part]) -> f64 {
    bucket.len() as f64 * bucket.iter().map(|p| p.2).sum::<f64>()
}

/// The part of a bucket where a bit has a value.
fn half(bucket: &[Part], bit: u32, side: u32) -> Vec<Part> {
    let part = |&(mask, value, share): &Part| match (mask >> bit & 1, value >> bit & 1) {
        (0, _) => Some((mask, value, share / 2.0)),
        (_, v) => (v == side).then_some((mask, value, share)),
    };
    bucket.iter().filter_map(part).collect()
}

/// Group ascending bits into runs.
fn runs(bits: &[u32]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (to, &from) in bits.iter().enumerate() {
        let shift = from - to as u32;
        match runs.last_mut() {
            Some(run) if run.shift == shift => run.mask |= 1 << to,
            _ => runs.push(Run { shift, mask: 1 << to }),
        }
    }
    runs
}

/// The word bits that make a bucket number.
fn spread(runs: &[Run], bucket: u32) -> u32 {
    runs.iter().fold(0, |word, r| word | (bucket & r.mask) << r.shift)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pattern::words::Random;

    #[test]
    fn buckets_agree_with_a_linear_scan() {
        let mut random = Random(7);
        for width in [16, 32] {
            let word = |r: &mut Random| r.next() as u32 & (u32::MAX >> (32 - width));
            let patterns: Vec<(u32, u32)> = (0..200)
                .map(|_| {
                    let mask = word(&mut random) & word(&mut random) | word(&mut random) & 0x3f;
                    (mask, word(&mut random) & mask)
                })
                .collect();
            let numbers: Vec<u16> = (0..200).collect();
            let table = Table::build(&patterns, &numbers, width);
            let fits = |n: u16, word: u32| word & patterns[n as usize].0 == patterns[n as usize].1;
            let mut found = 0;
            for _ in 0..20_000 {
                let word = word(&mut random);
                let scan = numbers.iter().copied().find(|&n| fits(n, word));
                let bucket = table.candidates(word).find(|&n| fits(n, word));
                assert_eq!(scan, bucket, "{word:#x}");
                found += u32::from(scan.is_some());
            }
            assert!(found > 100, "the patterns must match some words");
        }
    }
}
