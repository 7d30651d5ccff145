//! Which translations came from which guest pages.

use std::sync::atomic::Ordering;

use rustc_hash::FxHashMap;

use super::translation::{Id, Translation};
use crate::form::PAGE;
use crate::page_map::overlap;

/// Translations by the page they start on, as lists through their records.
pub(super) struct Pages {
    /// End of code memory.
    end: u64,
    /// Page number → the latest translation.
    latest: FxHashMap<u64, Id>,
    /// Most guest bytes that a translation was made from.
    longest: u64,
}

impl Pages {
    pub(super) fn new(end: u64) -> Pages {
        Pages { end, latest: FxHashMap::default(), longest: 1 }
    }

    fn at(&self, id: Id) -> Option<Translation> {
        // SAFETY: translations in lists are kept until these are cleared.
        (id != 0).then(|| unsafe { Translation::at(self.end, id) })
    }

    /// Records a translation of `len` guest bytes.
    pub(super) fn insert(&mut self, translation: Translation, len: u32) {
        let latest = self.latest.entry(translation.key().pc / PAGE).or_default();
        translation.next().store(std::mem::replace(latest, translation.id(self.end)), Ordering::Relaxed);
        self.longest = self.longest.max(len.into());
    }

    /// Forgets a translation.
    pub(super) fn remove(&mut self, translation: Translation) {
        let (page, id) = (translation.key().pc / PAGE, translation.id(self.end));
        let next = translation.next().load(Ordering::Relaxed);
        let mut at = self.latest.get(&page).copied().unwrap_or_default();
        if at == id {
            match next {
                0 => drop(self.latest.remove(&page)),
                next => drop(self.latest.insert(page, next)),
            }
            return;
        }
        while let Some(other) = self.at(at) {
            at = other.next().load(Ordering::Relaxed);
            if at == id {
                return other.next().store(next, Ordering::Relaxed);
            }
        }
    }

    /// Translations with guest bytes in the range of `len` bytes, at least one, at `start`.
    pub(super) fn in_range(&self, start: u64, len: u64) -> Vec<Translation> {
        let first = start.saturating_sub(self.longest - 1) / PAGE;
        let last = start.saturating_add(len.max(1) - 1) / PAGE;
        let mut found = Vec::new();
        let mut look = |mut at: Id| {
            while let Some(translation) = self.at(at) {
                if overlap(translation.key().pc, translation.details().guest_len.into(), start, len) {
                    found.push(translation);
                }
                at = translation.next().load(Ordering::Relaxed);
            }
        };
        // A range larger than all code is cheaper to test against the code.
        if last - first > self.latest.len() as u64 {
            self.latest.iter().filter(|(page, _)| (first..=last).contains(page)).for_each(|(_, id)| look(*id));
        } else {
            (first..=last).filter_map(|page| self.latest.get(&page)).for_each(|id| look(*id));
        }
        found
    }

    pub(super) fn clear(&mut self) {
        *self = Pages::new(self.end);
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        // A byte of the hash beside each place, of which one in eight stays free.
        self.latest.capacity() * 8 / 7 * (size_of::<(u64, Id)>() + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::t1::code_memory::CodeMemory;
    use crate::t1::translation::Contents;
    use ir::unit::UnitKey;

    #[test]
    fn translations_are_found_by_any_of_their_bytes() {
        let mut memory = CodeMemory::new(0).unwrap();
        let mut pages = Pages::new(memory.range().end);
        let mut all = Vec::new();
        for (pc, guest_len) in [(0x1ffe, 4), (0x2000, 8), (0x9000, 8), (0x2004, 4), (0x1000, 0x1800), (u64::MAX - 3, 4)]
        {
            let contents = Contents { key: UnitKey { pc, mode: 0 }, guest_len, ..Contents::default() };
            let translation = contents.record(&mut memory, &mut Vec::new()).unwrap();
            pages.insert(translation, guest_len);
            all.push(translation);
        }
        let found = |pages: &Pages, start, len| {
            let found = pages.in_range(start, len);
            let mut found: Vec<_> = found.iter().map(|t| all.iter().position(|o| o == t).unwrap()).collect();
            found.sort_unstable();
            found
        };
        assert_eq!(found(&pages, 0x1000, 1), [4]);
        assert_eq!(found(&pages, 0x2001, 1), [0, 1, 4]);
        assert_eq!(found(&pages, 0x2006, 0x10), [1, 3, 4]);
        assert_eq!(found(&pages, 0x2800, 0x6800), [] as [usize; 0]);
        assert_eq!(found(&pages, 0, u64::MAX), [0, 1, 2, 3, 4, 5]);
        for (i, left) in [(1, vec![0, 3, 4]), (4, vec![0, 3]), (3, vec![0]), (0, vec![])] {
            pages.remove(all[i]);
            assert_eq!(found(&pages, 0x1000, 0x2000), left);
        }
        assert_eq!(found(&pages, 0, u64::MAX), [2, 5]);
        pages.clear();
        assert_eq!(found(&pages, 0, u64::MAX), [] as [usize; 0]);
    }
}
