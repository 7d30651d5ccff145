//! The heap that `brk` moves the end of.
//!
//! To unmap pages and to map and touch them again costs the kernel far more than to forbid and allow access to them and to set them to
//! zero. So a little of what the heap has given back stays mapped behind it, where nobody can access it, for the heap to grow into again;
//! whatever else wants that place gets it.

use std::ops::Range;
use std::sync::atomic::Ordering;

use super::{AddressSpace, Changes, Kind, PAGE, Vma, host_mmap, host_mprotect, host_munmap, page_up};
use crate::errno::{Errno, SysResult};

/// Most bytes that are kept.
const KEPT: u64 = 1 << 20;

/// How often it is asked whether what is given back was used.
const ASKED: u32 = 8;

const READ_WRITE: i32 = libc::PROT_READ | libc::PROT_WRITE;

/// Flags of memory that was not there before.
const NEW: i32 = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;

/// The heap.
#[derive(Default)]
pub(super) struct Heap {
    /// Its fixed start and current end.
    pub(super) brk: Range<u64>,
    /// What is kept behind its last page. The last page of that is never used: so the kernel only moves a border.
    kept: Range<u64>,
    /// How often it has given back pages, and whether they were found used.
    given_back: u32,
    used: bool,
}

impl Heap {
    /// One that is empty.
    pub(super) fn at(start: u64) -> Heap {
        Heap { brk: start..start, ..Heap::default() }
    }

    /// Unmaps what is kept if something else is to be in `range`.
    pub(super) fn make_way(&mut self, range: &Range<u64>) {
        if range.start < self.kept.end && self.kept.start < range.end {
            self.drop_kept();
        }
    }

    fn drop_kept(&mut self) {
        if !self.kept.is_empty() {
            let _ = host_munmap(&std::mem::take(&mut self.kept));
        }
    }

    /// Keeps the last pages of the heap.
    fn keep(&mut self, range: &Range<u64>) -> Result<(), Errno> {
        if self.kept.is_empty() {
            let unused = range.end..range.end + PAGE;
            host_mmap(&unused, libc::PROT_NONE, NEW, -1, 0)?;
            self.kept = unused;
        }
        host_mprotect(range, libc::PROT_NONE)?;
        self.kept.start = range.start;
        Ok(())
    }

    /// Whether pages that are given back are worth keeping: those that were not used cost little to map again, and would have to be
    /// set to zero.
    fn were_used(&mut self, range: &Range<u64>) -> bool {
        if self.given_back.is_multiple_of(ASKED) {
            let mut resident = [0u8; (KEPT / PAGE) as usize];
            let args = [range.start, range.end - range.start, resident.as_mut_ptr() as u64, 0, 0, 0];
            // SAFETY: there is a byte for each page.
            let known = unsafe { crate::host::syscall(libc::SYS_mincore, args) }.is_ok();
            let count = resident.iter().filter(|&&page| page & 1 != 0).count() as u64;
            self.used = known && 2 * count * PAGE >= range.end - range.start;
        }
        self.given_back = self.given_back.wrapping_add(1);
        self.used
    }
}

impl AddressSpace {
    /// Sets where the heap starts, once the program is loaded.
    pub fn set_brk(&self, start: u64) {
        self.lock().heap = Heap::at(start);
    }

    /// Moves the end of the heap; returns the end in force, which is the old one on failure.
    pub fn brk(&self, end: u64) -> u64 {
        self.brk_locked(&mut self.lock(), end)
    }

    /// The same, perhaps from generated code.
    pub(crate) fn brk_from(&self, in_code: bool, end: u64) -> SysResult {
        let mut changes = self.lock_from(in_code)?;
        self.only_data(in_code, &(end..changes.heap.brk.end))?;
        Ok(self.brk_locked(&mut changes, end))
    }

    /// Memory of the heap or elsewhere is from now on unlike other memory, which the kernel would not leave to what comes to be
    /// there later, or gives back on other terms.
    pub(crate) fn memory_is_special(&self) {
        self.special.store(true, Ordering::Relaxed);
    }

    fn brk_locked(&self, changes: &mut Changes, end: u64) -> u64 {
        let old = changes.heap.brk.clone();
        let (Some(old_top), Some(new_top)) = (page_up(old.end), page_up(end)) else { return old.end };
        if end < old.start || end > self.places.end {
            return old.end;
        }
        let moved = match new_top {
            top if top > old_top => self.grow(&mut changes.heap, old_top..top),
            top if top < old_top => self.shrink(changes, top..old_top),
            _ => Ok(0),
        };
        if moved.is_err() {
            return old.end;
        }
        changes.heap.brk.end = end;
        end
    }

    fn grow(&self, heap: &mut Heap, range: Range<u64>) -> SysResult {
        let mut from = range.start;
        if !heap.kept.is_empty() {
            let again = from..range.end.min(heap.kept.end - PAGE);
            if !again.is_empty() {
                host_mprotect(&again, READ_WRITE)?;
                // SAFETY: the heap's memory before, which nobody has now; it was made writable.
                unsafe { std::ptr::write_bytes(again.start as *mut u8, 0, (again.end - again.start) as usize) };
            }
            from = again.end;
            heap.kept.start = from;
            if from < range.end {
                heap.drop_kept();
            }
        }
        if from < range.end
            && let Err(error) = host_mmap(&(from..range.end), READ_WRITE, NEW, -1, 0)
        {
            let _ = host_munmap(&(range.start..from));
            return Err(error);
        }
        self.map_mut().insert(range, Vma::anonymous(READ_WRITE, Kind::Heap));
        Ok(0)
    }

    fn shrink(&self, changes: &mut Changes, range: Range<u64>) -> SysResult {
        let heap = &mut changes.heap;
        let ordinary = Vma::anonymous(READ_WRITE, Kind::Heap);
        if heap.kept.end.max(range.end) - range.start <= KEPT
            && !self.special.load(Ordering::Relaxed)
            && self.one_mapping(&range, |vma| *vma == ordinary)
            && heap.were_used(&range)
            && heap.keep(&range).is_ok()
        {
            self.map_mut().remove(range);
            return Ok(0);
        }
        heap.drop_kept();
        self.unmap_locked(changes, &range)
    }
}
