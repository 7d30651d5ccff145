//! Which units came from which guest pages.

use rustc_hash::FxHashMap;
use smallvec::SmallVec;

use crate::form::PAGE;

/// Guest page number → units with bytes on it. `T` identifies a unit.
pub(crate) struct PageMap<T> {
    pages: FxHashMap<u64, SmallVec<[T; 4]>>,
}

impl<T> Default for PageMap<T> {
    fn default() -> PageMap<T> {
        PageMap { pages: FxHashMap::default() }
    }
}

impl<T: Copy + PartialEq> PageMap<T> {
    /// Records a unit of `len` bytes at `pc`.
    pub(crate) fn insert(&mut self, pc: u64, len: u32, unit: T) {
        for page in pages(pc, len.into()) {
            self.pages.entry(page).or_default().push(unit);
        }
    }

    /// Forgets a unit.
    pub(crate) fn remove(&mut self, pc: u64, len: u32, unit: T) {
        for page in pages(pc, len.into()) {
            if let Some(units) = self.pages.get_mut(&page) {
                units.retain(|u| *u != unit);
                if units.is_empty() {
                    self.pages.remove(&page);
                }
            }
        }
    }

    /// Units on the pages of the range; a unit on several pages may be reported more than once.
    pub(crate) fn on_pages_of(&self, start: u64, len: u64) -> Vec<T> {
        let range = pages(start, len);
        // A range larger than all code is cheaper to test against the code.
        if range.end() - range.start() > self.pages.len() as u64 {
            return self
                .pages
                .iter()
                .filter(|(page, _)| range.contains(page))
                .flat_map(|(_, u)| u.iter().copied())
                .collect();
        }
        range.filter_map(|page| self.pages.get(&page)).flat_map(|u| u.iter().copied()).collect()
    }
}

/// Whether two ranges have a byte in common.
pub(crate) fn overlap(a: u64, a_len: u64, b: u64, b_len: u64) -> bool {
    b.wrapping_sub(a) < a_len || a.wrapping_sub(b) < b_len
}

/// Page numbers of the `len` (at least one) bytes at `start`, saturating at the end of the address space.
fn pages(start: u64, len: u64) -> std::ops::RangeInclusive<u64> {
    start / PAGE..=start.saturating_add(len.max(1) - 1) / PAGE
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_units_by_any_of_their_pages() {
        let mut map = PageMap::default();
        map.insert(0x1ffe, 4, 1);
        map.insert(0x2000, 8, 2);
        map.insert(0x9000, 8, 3);
        assert_eq!(map.on_pages_of(0x1000, 1), [1]);
        assert_eq!(map.on_pages_of(0x2fff, 1), [1, 2]);
        let mut all = map.on_pages_of(0, u64::MAX);
        all.sort_unstable();
        assert_eq!(all, [1, 1, 2, 3]);
        map.remove(0x1ffe, 4, 1);
        assert_eq!(map.on_pages_of(0x1000, 0x1000), [] as [i32; 0]);
        assert_eq!(map.on_pages_of(0x2000, 0x1000), [2]);
    }
}
