//! A thread's table of indirect-jump targets, which generated code reads.
//!
//! Generated code of the owning thread reads entries without synchronisation; the owner writes them; other threads only
//! empty them. Host addresses stay valid after that, so a reader that compares the tag just before it goes finishes with
//! a unit that was right when it looked.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::thread_state::{JumpEntry, ThreadState, jump_tag, second_place};

const FIRST: usize = 512;
const MOST: usize = 64 * 1024;

/// Whether the tags are of one address in two modes.
fn in_another_mode(old: u64, new: u64) -> bool {
    old != new && (old ^ new) << 16 == 0
}

/// The table.
pub(crate) struct JumpCache {
    entries: Box<[JumpEntry]>,
    /// `log2` of the bytes an entry has for each unit of guest instruction alignment.
    scale: u64,
    /// Entries lost to others since the last growth.
    conflicts: usize,
    /// What is in an empty entry.
    empty: JumpEntry,
}

impl JumpCache {
    /// `miss` is the stub for addresses that are not here: a guest may jump to the address that marks empty entries.
    pub(crate) fn new(insn_align: u32, miss: u64) -> JumpCache {
        let empty = JumpEntry::empty(miss);
        JumpCache { entries: vec![empty; FIRST].into(), scale: u64::from(16 / insn_align), conflicts: 0, empty }
    }

    /// Tells generated code where the table is. Owner.
    pub(crate) fn attach(&mut self, state: &mut ThreadState) {
        state.jump_base = self.entries.as_mut_ptr();
        state.jump_mask = (self.entries.len() as u64 - 1) * 16;
    }

    /// Where an address may be: where generated code looks, and, if it is there in another mode, where the stub looks after that.
    fn places(&self, pc: u64, mode: u32) -> [usize; 2] {
        let mask = (self.entries.len() as u64 - 1) * 16;
        let bytes = pc.wrapping_mul(self.scale);
        [bytes, bytes ^ u64::from(second_place(mode))].map(|at| ((at & mask) / 16) as usize)
    }

    /// The atomics of an entry: tag and host address.
    fn entry(&mut self, place: usize) -> (&AtomicU64, &AtomicU64) {
        let entry = &raw mut self.entries[place];
        // SAFETY: in bounds and aligned; everyone but generated code uses atomics.
        unsafe { (AtomicU64::from_ptr(&raw mut (*entry).tag), AtomicU64::from_ptr(&raw mut (*entry).host)) }
    }

    /// Enters a unit, growing the table if entries compete. Owner, with its own generated code not running.
    pub(crate) fn insert(&mut self, pc: u64, mode: u32, host: u64, state: &mut ThreadState) {
        if self.conflicts > self.entries.len() && self.entries.len() < MOST {
            self.entries = vec![self.empty; self.entries.len() * 2].into();
            self.conflicts = 0;
            self.attach(state);
        }
        let new = jump_tag(pc, mode);
        let [first, second] = self.places(pc, mode);
        let old = self.entry(first).0.load(Ordering::Relaxed);
        let (tag, address) = self.entry(if in_another_mode(old, new) { second } else { first });
        let evicts = tag.load(Ordering::Relaxed) != JumpEntry::NO_TAG;
        address.store(host, Ordering::Relaxed);
        tag.store(new, Ordering::SeqCst);
        self.conflicts += usize::from(evicts);
    }

    /// Empties the entry of a unit, if it is there.
    pub(crate) fn remove(&mut self, pc: u64, mode: u32) {
        let empty = self.empty;
        for place in self.places(pc, mode) {
            let (tag, host) = self.entry(place);
            if tag.load(Ordering::SeqCst) == jump_tag(pc, mode) {
                tag.store(empty.tag, Ordering::SeqCst);
                host.store(empty.host, Ordering::SeqCst);
            }
        }
    }

    /// Empties all entries.
    pub(crate) fn clear(&mut self) {
        let JumpEntry { tag, host } = self.empty;
        for entry in &mut self.entries {
            // SAFETY: as in `entry`.
            unsafe {
                AtomicU64::from_ptr(&raw mut entry.tag).store(tag, Ordering::SeqCst);
                AtomicU64::from_ptr(&raw mut entry.host).store(host, Ordering::SeqCst);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::t1::ENTRIES;

    #[test]
    fn an_address_is_found_in_two_modes_until_it_is_removed() {
        let mut state = ThreadState::new(&crate::toy::TOY, ENTRIES);
        let mut cache = JumpCache::new(4, 7);
        cache.attach(&mut state);
        for mode in [0, 0x8001] {
            cache.insert(0x1_2345_6788, mode, 100 + u64::from(mode), &mut state);
        }
        let found = |cache: &JumpCache, mode: u32| {
            let tag = jump_tag(0x1_2345_6788, mode);
            let entries = cache.places(0x1_2345_6788, mode).map(|place| cache.entries[place]);
            entries.iter().find(|entry| entry.tag == tag).map(|entry| entry.host)
        };
        assert_eq!([0, 0x8001].map(|mode| found(&cache, mode)), [Some(100), Some(100 + 0x8001)]);
        cache.remove(0x1_2345_6788, 0x8001);
        assert_eq!([0, 0x8001].map(|mode| found(&cache, mode)), [Some(100), None]);
    }
}
