//! A thread's table of indirect-jump targets, which generated code reads.
//!
//! Generated code of the owning thread reads entries without synchronisation; the owner writes them; other threads only
//! empty them. Host addresses stay valid after that, so a reader that compares the tag just before it goes finishes with
//! a unit that was right when it looked.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::thread_state::{JumpEntry, ThreadState, jump_tag};

const FIRST: usize = 512;
const MOST: usize = 64 * 1024;

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

    /// The atomics of an entry: tag and host address.
    fn entry(&mut self, pc: u64) -> (&AtomicU64, &AtomicU64) {
        let mask = (self.entries.len() as u64 - 1) * 16;
        let index = (pc.wrapping_mul(self.scale) & mask) / 16;
        let entry = &raw mut self.entries[index as usize];
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
        let (tag, address) = self.entry(pc);
        let evicts = tag.load(Ordering::Relaxed) != JumpEntry::NO_TAG;
        address.store(host, Ordering::Relaxed);
        tag.store(jump_tag(pc, mode), Ordering::SeqCst);
        self.conflicts += usize::from(evicts);
    }

    /// Empties the entry of a unit, if it is there.
    pub(crate) fn remove(&mut self, pc: u64, mode: u32) {
        let empty = self.empty;
        let (tag, host) = self.entry(pc);
        if tag.load(Ordering::SeqCst) == jump_tag(pc, mode) {
            tag.store(empty.tag, Ordering::SeqCst);
            host.store(empty.host, Ordering::SeqCst);
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
