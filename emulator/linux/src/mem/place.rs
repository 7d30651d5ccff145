//! Where guest mappings go.
//!
//! The host kernel places the emulator's own mappings (its image, heap, libraries, translated code) at 0x55… and 0x7f…. The
//! guest gets addresses below 2³⁸, which every 64-bit architecture's smallest user address space includes, and a second,
//! larger region when that is full. Nothing of the guest is ever placed by the host kernel.

use std::ops::Range;

use super::vma::{TASK_SIZE, VmaMap, page_down, page_up};

/// Nothing of the emulator's is below, unless its image is: nobody but the guest has a mapping there.
const GUESTS: u64 = 1 << 38;

/// Whether what the guest has not mapped of a range nobody has mapped.
pub(super) fn only_the_guest_has(range: &Range<u64>) -> bool {
    static IN_THE_IMAGE: u8 = 0;
    range.end <= GUESTS && &raw const IN_THE_IMAGE as u64 >= GUESTS
}

/// Where things go in an address space.
#[derive(PartialEq, Eq, Debug)]
pub struct Places {
    /// End of the user address space.
    pub end: u64,
    /// Load address of position-independent programs.
    pub program: u64,
    /// End of the main thread's stack.
    pub stack_top: u64,
    /// Largest stack, in bytes.
    pub max_stack: u64,
    /// Guest mappings without an address, first choice; top down.
    low: Range<u64>,
    /// Second choice.
    high: Range<u64>,
}

/// Addresses of 64 bits. The second choice is for reservations of many terabytes.
static WIDE: Places = Places {
    end: TASK_SIZE,
    program: 0x2a_0000_0000,
    stack_top: 0x3f_ffff_0000,
    max_stack: 0xf000_0000,
    low: 0x30_0000_0000..0x3f_0000_0000,
    high: 0x1000_0000_0000..0x5000_0000_0000,
};

/// Addresses of 32 bits, of which the smallest user address space (that of MIPS) has 2³¹. Programs that are linked to a fixed
/// address, and their heaps, are below `program`. Virtual machines reserve most of a gigabyte at once; what takes so much of the
/// first choice takes it from the heaps of position-independent programs.
static NARROW: Places = Places {
    end: 0x7fff_8000,
    program: 0x2a00_0000,
    stack_top: 0x7fff_0000,
    max_stack: 0x0f00_0000,
    low: 0x3000_0000..0x7000_0000,
    high: 0x1000_0000..0x2a00_0000,
};

impl Places {
    /// Those of a guest with addresses of so many bits.
    #[must_use]
    pub fn of(address_bits: u32) -> &'static Places {
        if address_bits < 64 { &NARROW } else { &WIDE }
    }

    /// `addr..addr + len` if it lies in the user address space.
    pub(super) fn user_range(&self, addr: u64, len: u64) -> Option<Range<u64>> {
        let end = addr.checked_add(len)?;
        (end <= self.end).then_some(addr..end)
    }
}

/// Finds room top down, next to what was placed last.
pub(super) struct Placer {
    places: &'static Places,
    /// Below it is (probably) free.
    cursor: u64,
}

impl Default for Placer {
    fn default() -> Placer {
        Placer::new(&WIDE)
    }
}

impl Placer {
    /// Nothing placed yet.
    pub(super) fn new(places: &'static Places) -> Placer {
        Placer { places, cursor: places.low.end }
    }

    /// A free range of `len` bytes (a page multiple), aligned to `align` (a power of two, at least a page).
    pub(super) fn find(&mut self, map: &VmaMap, len: u64, align: u64) -> Option<Range<u64>> {
        let (low, high) = (&self.places.low, &self.places.high);
        let near = self.cursor.checked_sub(len).map(|start| start & !(align - 1)).filter(|&start| start >= low.start);
        if let Some(start) = near
            && map.is_free(&(start..start + len))
        {
            self.cursor = start;
            return Some(start..start + len);
        }
        let found = highest_gap(map, low, len, align).or_else(|| highest_gap(map, high, len, align))?;
        if low.contains(&found.start) {
            self.cursor = found.start;
        }
        Some(found)
    }

    /// Tells that `range` was unmapped.
    pub(super) fn freed(&mut self, range: &Range<u64>) {
        if range.start <= self.cursor && self.cursor < range.end {
            self.cursor = range.end;
        }
    }
}

fn highest_gap(map: &VmaMap, region: &Range<u64>, len: u64, align: u64) -> Option<Range<u64>> {
    let fit = |gap: &Range<u64>| {
        let start = gap.end.checked_sub(len)? & !(align - 1);
        (start >= page_up(gap.start)?).then(|| page_down(start)..page_down(start) + len)
    };
    map.gaps(region).iter().rev().find_map(fit)
}

#[cfg(test)]
mod tests {
    use super::super::vma::{Kind, PAGE, Vma};
    use super::*;

    #[test]
    fn the_emulator_has_nothing_where_only_the_guest_has() {
        let (local, heap) = (0u8, Box::new(0u8));
        // SAFETY: a new mapping, which is not accessed.
        let mapped = unsafe {
            let (protection, flags) = (libc::PROT_NONE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            libc::mmap(std::ptr::null_mut(), 1 << 32, protection, flags, -1, 0)
        };
        assert_ne!(mapped, libc::MAP_FAILED);
        for address in [&raw const local as u64, &raw const *heap as u64, mapped as u64] {
            assert!(address >= GUESTS, "{address:x}");
        }
        // SAFETY: mapped above.
        unsafe { libc::munmap(mapped, 1 << 32) };
        assert!(only_the_guest_has(&(GUESTS - PAGE..GUESTS)) && !only_the_guest_has(&(GUESTS..GUESTS + PAGE)));
    }

    #[test]
    fn narrow_addresses_have_room_for_most_of_a_gigabyte_beside_libraries() {
        let (mut map, mut placer) = (VmaMap::default(), Placer::new(&NARROW));
        for len in [0x300_0000, 0x38c0_0000] {
            let range = placer.find(&map, len, PAGE).unwrap();
            map.insert(range, Vma::anonymous(0, Kind::Plain));
        }
    }

    #[test]
    fn placing_is_top_down_and_reuses() {
        let (mut map, mut placer) = (VmaMap::default(), Placer::default());
        let take = |placer: &mut Placer, map: &mut VmaMap, len, align| {
            let range = placer.find(map, len, align).unwrap();
            assert!(map.is_free(&range) && range.start.is_multiple_of(align));
            map.insert(range.clone(), Vma::anonymous(0, Kind::Plain));
            range
        };
        let a = take(&mut placer, &mut map, PAGE, PAGE);
        let b = take(&mut placer, &mut map, 3 * PAGE, PAGE);
        assert_eq!(b.end, a.start);
        map.remove(b.clone());
        placer.freed(&b);
        assert_eq!(take(&mut placer, &mut map, 2 * PAGE, PAGE).end, a.start);
        assert_eq!(take(&mut placer, &mut map, PAGE, 1 << 21).start % (1 << 21), 0);
        assert_eq!(take(&mut placer, &mut map, 1 << 40, PAGE).end, WIDE.high.end);
        assert!(placer.find(&map, 1 << 47, PAGE).is_none());
    }
}
