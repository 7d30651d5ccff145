//! Where guest mappings go.
//!
//! The host kernel places the emulator's own mappings (its image, heap, libraries, translated code) at 0x55… and 0x7f…. The
//! guest gets addresses below 2³⁸, which every 64-bit architecture's smallest user address space includes, and a second,
//! larger region when that is full. Nothing of the guest is ever placed by the host kernel.

use std::ops::Range;

use super::vma::{VmaMap, page_down, page_up};

/// Load address of position-independent programs.
pub const PROGRAM_BASE: u64 = 0x2a_0000_0000;
/// End of the main thread's stack.
pub const STACK_TOP: u64 = 0x3f_ffff_0000;
/// Guest mappings without an address, first choice; top down.
const LOW: Range<u64> = 0x30_0000_0000..0x3f_0000_0000;
/// Second choice, for reservations of many terabytes.
const HIGH: Range<u64> = 0x1000_0000_0000..0x5000_0000_0000;

/// Finds room top down, next to what was placed last.
pub(super) struct Placer {
    /// Below it is (probably) free.
    cursor: u64,
}

impl Default for Placer {
    fn default() -> Placer {
        Placer { cursor: LOW.end }
    }
}

impl Placer {
    /// A free range of `len` bytes (a page multiple), aligned to `align` (a power of two, at least a page).
    pub(super) fn find(&mut self, map: &VmaMap, len: u64, align: u64) -> Option<Range<u64>> {
        let near = self.cursor.checked_sub(len).map(|start| start & !(align - 1)).filter(|&start| start >= LOW.start);
        if let Some(start) = near
            && map.is_free(&(start..start + len))
        {
            self.cursor = start;
            return Some(start..start + len);
        }
        let found = highest_gap(map, &LOW, len, align).or_else(|| highest_gap(map, &HIGH, len, align))?;
        if LOW.contains(&found.start) {
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
        assert_eq!(take(&mut placer, &mut map, 1 << 40, PAGE).end, HIGH.end);
        assert!(placer.find(&map, 1 << 47, PAGE).is_none());
    }
}
