//! Advice that makes no difference.

use std::ops::Range;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use super::{AddressSpace, Vma};

/// Bytes of memory that a process may have without the kernel being told what of it can be spared.
const SMALL: u64 = 512 << 20;

/// Mappings that are looked at to find out how much it has, at most.
const FEW: usize = 256;

impl AddressSpace {
    /// Whether advice on `range` makes no difference to anybody, so that the kernel need not split mappings, or look at each page, for it.
    pub(super) fn may_go_unheard(&self, advice: i32, range: &Range<u64>) -> bool {
        match advice {
            libc::MADV_FREE => self.may_stay(range),
            // It is about how far to read ahead in a file.
            libc::MADV_NORMAL | libc::MADV_RANDOM | libc::MADV_SEQUENTIAL => self.is_of_no_file(range),
            libc::MADV_WILLNEED => self.is_of_no_file(range) && !swaps(),
            _ => false,
        }
    }

    fn is_of_no_file(&self, range: &Range<u64>) -> bool {
        self.one_mapping(range, Vma::is_anonymous_data)
    }

    /// Whether what is in `range` may stay when the guest says that the kernel may free it, `MADV_FREE`. The kernel need not do that, and
    /// does it only when memory is short; but to mark the pages, and to use them again, takes it microseconds each time. Of memory
    /// that it frees on other terms, or not at all, it has to be asked.
    fn may_stay(&self, range: &Range<u64>) -> bool {
        let map = self.map();
        let of_one =
            map.find(range.start).is_some_and(|(whole, vma)| range.end <= whole.end && vma.is_anonymous_data());
        if range.is_empty() || !of_one || self.special.load(Ordering::Relaxed) {
            return false;
        }
        let could_be_freed = |vma: &Vma| vma.is_anonymous_data() && vma.prot & libc::PROT_WRITE != 0;
        let (mut looked_at, mut bytes) = (0, 0);
        for (whole, vma) in map.iter() {
            looked_at += 1;
            bytes += if could_be_freed(vma) { whole.end - whole.start } else { 0 };
            if looked_at > FEW || bytes > SMALL {
                return false;
            }
        }
        true
    }
}

/// Whether the kernel had something to read memory in again from, when it was first asked.
fn swaps() -> bool {
    static SWAPS: OnceLock<bool> = OnceLock::new();
    *SWAPS.get_or_init(|| {
        let mut info = std::mem::MaybeUninit::<libc::sysinfo>::uninit();
        // SAFETY: the kernel fills the structure when it succeeds.
        unsafe { libc::sysinfo(info.as_mut_ptr()) != 0 || info.assume_init().totalswap != 0 }
    })
}
