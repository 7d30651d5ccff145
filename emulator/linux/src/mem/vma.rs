//! The map of guest mappings.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Anonymous memory.
    Plain,
    /// A file, or what the kernel makes a file of.
    File,
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

    /// Neither code nor memory that something else may show, too.
    #[must_use]
    pub fn is_data(&self) -> bool {
        !self.executable() && !self.shared && self.backing.is_none()
    }

    /// Data that no file has.
    #[must_use]
    pub fn is_anonymous_data(&self) -> bool {
        self.is_data() && matches!(self.kind, Kind::Plain | Kind::Heap | Kind::Stack)
    }
}

/// Guest ranges to their properties. Neighbours of the same properties are one range.
#[derive(Default)]
pub struct VmaMap {
    /// By their first address.
    ranges: BTreeMap<u64, Entry>,
}

/// A range, which starts elsewhere.
struct Entry {
    end: u64,
    vma: Vma,
}

impl VmaMap {
    /// The mapping that contains `addr`, with its range.
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<(Range<u64>, &Vma)> {
        let (&start, entry) = self.ranges.range(..=addr).next_back().filter(|(_, entry)| addr < entry.end)?;
        Some((start..entry.end, &entry.vma))
    }

    /// The mappings that have a part in `range`, ascending.
    fn overlapping(&self, range: &Range<u64>) -> impl Iterator<Item = (Range<u64>, &Vma)> {
        let (start, end) = (range.start, range.end);
        let first = self.find(start).filter(|_| start < end);
        let others = (start < end).then(|| self.ranges.range((Bound::Excluded(start), Bound::Excluded(end))));
        let others = others.into_iter().flatten().map(|(&start, entry)| (start..entry.end, &entry.vma));
        first.into_iter().chain(others)
    }

    /// Whether every byte of `range` is mapped.
    #[must_use]
    pub fn covers(&self, range: &Range<u64>) -> bool {
        let mapped =
            self.overlapping(range).try_fold(range.start, |at, (part, _)| (part.start <= at).then_some(part.end));
        mapped.is_some_and(|end| end >= range.end)
    }

    /// Whether no byte of `range` is mapped.
    #[must_use]
    pub fn is_free(&self, range: &Range<u64>) -> bool {
        self.overlapping(range).next().is_none()
    }

    /// Mapped parts of `range`, ascending, clipped to it.
    #[must_use]
    pub fn parts(&self, range: &Range<u64>) -> Vec<(Range<u64>, Vma)> {
        let clip = |r: Range<u64>| r.start.max(range.start)..r.end.min(range.end);
        self.overlapping(range).map(|(r, vma)| (clip(r), vma.clone())).collect()
    }

    /// Unmapped parts of `range`, ascending.
    #[must_use]
    pub fn gaps(&self, range: &Range<u64>) -> Vec<Range<u64>> {
        let (mut gaps, mut at) = (Vec::new(), range.start);
        for (part, _) in self.overlapping(range) {
            if at < part.start {
                gaps.push(at..part.start);
            }
            at = part.end;
        }
        if at < range.end {
            gaps.push(at..range.end);
        }
        gaps
    }

    /// Whether all mappings in `range` are as `is` says.
    #[must_use]
    pub fn all(&self, range: &Range<u64>, is: impl Fn(&Vma) -> bool) -> bool {
        self.overlapping(range).all(|(_, vma)| is(vma))
    }

    /// Whether guest code lies in `range`.
    #[must_use]
    pub fn has_code(&self, range: &Range<u64>) -> bool {
        self.overlapping(range).any(|(_, vma)| vma.executable())
    }

    /// Sets the properties of `range`.
    pub fn insert(&mut self, range: Range<u64>, vma: Vma) {
        if !range.is_empty() {
            self.remove(range.clone());
            self.ranges.insert(range.start, Entry { end: range.end, vma });
            self.join(&range);
        }
    }

    /// Sets the protection of `range`, which has one mapping. Without an allocation where the mapping begins or ends with it.
    pub fn protect(&mut self, range: &Range<u64>, prot: i32) {
        self.split(range.start);
        self.split(range.end);
        if let Some(entry) = self.ranges.get_mut(&range.start) {
            entry.vma.prot = prot;
            self.join(range);
        }
    }

    /// Forgets `range`.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() || self.is_free(&range) {
            return;
        }
        self.split(range.start);
        self.split(range.end);
        while let Some((&start, _)) = self.ranges.range(range.clone()).next() {
            self.ranges.remove(&start);
        }
    }

    /// Makes a mapping that goes over `at` two.
    fn split(&mut self, at: u64) {
        let over = self.ranges.range_mut(..at).next_back().filter(|(_, entry)| at < entry.end);
        if let Some((_, entry)) = over {
            let behind = Entry { end: std::mem::replace(&mut entry.end, at), vma: entry.vma.clone() };
            self.ranges.insert(at, behind);
        }
    }

    /// Makes the mapping of `range` one with its neighbours, where they have the same properties.
    fn join(&mut self, range: &Range<u64>) {
        let Some(entry) = self.ranges.get(&range.start) else { return };
        let next = self.ranges.get(&range.end).filter(|next| next.vma == entry.vma).map(|next| next.end);
        let before = self.ranges.range(..range.start).next_back();
        let before = before.filter(|(_, before)| before.end == range.start && before.vma == entry.vma);
        let before = before.map(|(&start, _)| start);
        if next.is_some() {
            self.ranges.remove(&range.end);
        }
        if before.is_some() {
            self.ranges.remove(&range.start);
        }
        if let (Some(entry), true) =
            (self.ranges.get_mut(&before.unwrap_or(range.start)), before.is_some() || next.is_some())
        {
            entry.end = next.unwrap_or(range.end);
        }
    }

    /// Other pages that show what `page` does, whose backing is `backing`.
    pub fn showing(&self, page: u64, backing: Backing) -> impl Iterator<Item = (u64, &Vma)> {
        let offset = page.wrapping_sub(backing.base);
        self.iter().filter_map(move |(range, vma)| {
            let other = vma.backing.filter(|other| other.is_of(&backing))?.base.wrapping_add(offset);
            (other != page && range.contains(&other)).then_some((other, vma))
        })
    }

    /// All mappings, ascending.
    pub fn iter(&self) -> impl Iterator<Item = (Range<u64>, &Vma)> {
        self.ranges.iter().map(|(&start, entry)| (start..entry.end, &entry.vma))
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

    /// Against an array of pages.
    #[test]
    fn whatever_is_done_to_it_the_map_says_of_each_page_what_was_set_last_in_as_few_ranges_as_there_can_be() {
        const PAGES: u64 = 24;
        let mut map = VmaMap::default();
        let mut pages = [None; PAGES as usize];
        let mut random = 1u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        for step in 0..20_000 {
            let start = next(PAGES);
            let end = start + 1 + next(PAGES - start);
            let (range, prot) = (start * PAGE..end * PAGE, next(3) as i32);
            let model = &mut pages[start as usize..end as usize];
            match next(3) {
                0 => {
                    map.insert(range.clone(), Vma::anonymous(prot, Kind::Plain));
                    model.fill(Some(prot));
                }
                1 => {
                    map.remove(range.clone());
                    model.fill(None);
                }
                _ if model.iter().all(|page| *page == model[0] && page.is_some()) => {
                    map.protect(&range, prot);
                    model.fill(Some(prot));
                }
                _ => {}
            }
            let mut at = 0;
            for run in pages.chunk_by(|a, b| a == b) {
                let whole = at * PAGE..(at + run.len() as u64) * PAGE;
                let found = map.find(whole.end - 1).map(|(range, vma)| (range, vma.prot));
                assert_eq!(found, run[0].map(|prot| (whole.clone(), prot)), "step {step}");
                at += run.len() as u64;
            }
            let mapped = pages[start as usize..end as usize].iter().filter(|page| page.is_some()).count() as u64;
            let bytes = |ranges: &[Range<u64>]| ranges.iter().map(|r| r.end - r.start).sum::<u64>();
            let parts: Vec<_> = map.parts(&range).into_iter().map(|(part, _)| part).collect();
            assert_eq!(bytes(&parts), mapped * PAGE);
            assert_eq!(bytes(&map.gaps(&range)), (end - start - mapped) * PAGE);
            assert_eq!((map.is_free(&range), map.covers(&range)), (mapped == 0, mapped == end - start));
        }
    }

    #[test]
    fn rounding() {
        assert_eq!(page_up(1), Some(PAGE));
        assert_eq!(page_up(PAGE), Some(PAGE));
        assert_eq!(page_up(u64::MAX), None);
        assert_eq!(page_down(PAGE + 1), PAGE);
    }
}
