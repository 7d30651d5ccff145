//! The map of guest mappings.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use rangemap::RangeMap;

/// Guest page size in bytes, and the host's.
pub const PAGE: u64 = 4096;
/// End of the user half of the address space.
pub const TASK_SIZE: u64 = 0x7fff_ffff_f000;

/// Rounds up to a page; `None` on overflow.
#[must_use]
pub fn page_up(n: u64) -> Option<u64> {
    Some(n.checked_add(PAGE - 1)? & !(PAGE - 1))
}

/// Rounds down to a page.
#[must_use]
pub fn page_down(n: u64) -> u64 {
    n & !(PAGE - 1)
}

/// What a mapping is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Anonymous memory or a file.
    Plain,
    /// The main thread's stack.
    Stack,
    /// Memory got with `brk`.
    Heap,
    /// A System V shared memory segment.
    Shm,
    /// Code the runtime gives the guest (signal return).
    Vdso,
    /// Code that the guest finds at a fixed address, outside of the user address space.
    Vectors,
}

/// A file mapped executable: where its symbols can be read.
#[derive(PartialEq, Eq, Debug)]
pub struct MappedFile {
    /// Path on the host.
    pub path: PathBuf,
    /// Guest address minus file offset of the mapping that was made first.
    pub base: u64,
}

/// What a mapping shows of a file or of shared memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backing {
    /// Device that the file is on.
    pub device: u64,
    /// The file's number there.
    pub inode: u64,
    /// Guest address minus file offset.
    pub base: u64,
}

impl Backing {
    /// Whether both are of one file.
    #[must_use]
    pub fn is_of(&self, other: &Backing) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// Properties of a range of guest addresses.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Vma {
    /// Protection as the guest set it: `PROT_READ | PROT_WRITE | PROT_EXEC` bits. On the host nothing is executable.
    pub prot: i32,
    /// `MAP_SHARED`.
    pub shared: bool,
    /// Purpose.
    pub kind: Kind,
    /// The file, for executable file mappings.
    pub file: Option<Arc<MappedFile>>,
    /// Where the same memory may be mapped a second time, for guests that need not say when code has changed.
    pub backing: Option<Backing>,
}

impl Vma {
    /// Private anonymous memory.
    #[must_use]
    pub fn anonymous(prot: i32, kind: Kind) -> Vma {
        Vma { prot, shared: false, kind, file: None, backing: None }
    }

    /// Guest code may be fetched from here.
    #[must_use]
    pub fn executable(&self) -> bool {
        self.prot & libc::PROT_EXEC != 0
    }
}

/// Guest ranges to their properties.
#[derive(Default)]
pub struct VmaMap {
    ranges: RangeMap<u64, Vma>,
}

impl VmaMap {
    /// The mapping that contains `addr`, with its range.
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<(Range<u64>, &Vma)> {
        self.ranges.get_key_value(&addr).map(|(range, vma)| (range.clone(), vma))
    }

    /// Whether every byte of `range` is mapped.
    #[must_use]
    pub fn covers(&self, range: &Range<u64>) -> bool {
        self.ranges.gaps(range).next().is_none()
    }

    /// Whether no byte of `range` is mapped.
    #[must_use]
    pub fn is_free(&self, range: &Range<u64>) -> bool {
        !self.ranges.overlaps(range)
    }

    /// Mapped parts of `range`, ascending, clipped to it.
    #[must_use]
    pub fn parts(&self, range: &Range<u64>) -> Vec<(Range<u64>, Vma)> {
        let clip = |r: &Range<u64>| r.start.max(range.start)..r.end.min(range.end);
        self.ranges.overlapping(range.clone()).map(|(r, vma)| (clip(r), vma.clone())).collect()
    }

    /// Unmapped parts of `range`, ascending.
    #[must_use]
    pub fn gaps(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        self.ranges.gaps(range).collect()
    }

    /// Whether all mappings in `range` are as `is` says.
    #[must_use]
    pub fn all(&self, range: &Range<u64>, is: impl Fn(&Vma) -> bool) -> bool {
        range.is_empty() || self.ranges.overlapping(range).all(|(_, vma)| is(vma))
    }

    /// Whether guest code lies in `range`.
    #[must_use]
    pub fn has_code(&self, range: &Range<u64>) -> bool {
        self.ranges.overlapping(range.clone()).any(|(_, vma)| vma.executable())
    }

    /// Sets the properties of `range`.
    pub fn insert(&mut self, range: Range<u64>, vma: Vma) {
        if !range.is_empty() {
            self.ranges.insert(range, vma);
        }
    }

    /// Forgets `range`.
    pub fn remove(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.ranges.remove(range);
        }
    }

    /// Other pages that show what `page` does, whose backing is `backing`.
    pub fn showing(&self, page: u64, backing: Backing) -> impl Iterator<Item = (u64, &Vma)> {
        let offset = page.wrapping_sub(backing.base);
        self.ranges.iter().filter_map(move |(range, vma)| {
            let other = vma.backing.filter(|other| other.is_of(&backing))?.base.wrapping_add(offset);
            (other != page && range.contains(&other)).then_some((other, vma))
        })
    }

    /// All mappings, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (&Range<u64>, &Vma)> {
        self.ranges.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splitting_and_gaps() {
        let mut map = VmaMap::default();
        map.insert(0x1000..0x5000, Vma::anonymous(libc::PROT_READ, Kind::Plain));
        map.insert(0x2000..0x3000, Vma::anonymous(libc::PROT_EXEC, Kind::Plain));
        assert_eq!(map.parts(&(0x1800..0x2800)).len(), 2);
        assert!(map.has_code(&(0x2fff..0x3000)) && !map.has_code(&(0x3000..0x5000)));
        map.remove(0x3000..0x4000);
        assert_eq!(map.gaps(&(0x1000..0x6000)), vec![0x3000..0x4000, 0x5000..0x6000]);
        assert!(map.covers(&(0x1000..0x3000)) && !map.covers(&(0x1000..0x3001)));
        assert_eq!(map.find(0x4fff).map(|(r, _)| r), Some(0x4000..0x5000));
    }

    #[test]
    fn rounding() {
        assert_eq!(page_up(1), Some(PAGE));
        assert_eq!(page_up(PAGE), Some(PAGE));
        assert_eq!(page_up(u64::MAX), None);
        assert_eq!(page_down(PAGE + 1), PAGE);
    }
}
