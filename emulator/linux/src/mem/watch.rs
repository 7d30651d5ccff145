//! Stores to code, for guests that need not say when code has changed.
//!
//! A page that is writable and executable loses its write permission on the host when code on it is translated. A store
//! then faults: the permission comes back, the page's translations are dropped, and the one instruction that stores is
//! interpreted, so that what follows it is translated anew even if it is on the same page. Pages that are not both cost
//! nothing; one that code and data share costs a fault and a translation each time one follows the other. Not seen are
//! stores through another mapping of the same memory.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::{AddressSpace, PAGE, Vma, host_prot, page_down};

/// Pages whose write permission is taken away.
#[derive(Default)]
pub(super) struct Watch {
    on: AtomicBool,
    pages: Mutex<BTreeSet<u64>>,
}

impl Watch {
    pub(super) fn lock(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.pages.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Whether stores to code are looked for.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Forgets the pages of a range, whose permission was set anew.
    pub(super) fn forget(&self, range: &Range<u64>) {
        if self.is_on() {
            self.lock().retain(|page| !range.contains(page));
        }
    }
}

/// Sets the permission of one page on the host.
fn protect(page: u64, prot: i32) -> bool {
    // SAFETY: a page of the guest's, by the map.
    unsafe { crate::host::syscall(libc::SYS_mprotect, [page, PAGE, prot as u64, 0, 0, 0]) }.is_ok()
}

impl AddressSpace {
    /// From now on, stores to code are looked for.
    pub fn watch_code(&self) {
        self.watch.on.store(true, Ordering::Relaxed);
    }

    /// Code at `at`, in `vma`, is about to be read for translation.
    pub(super) fn before_fetch(&self, at: u64, vma: &Vma) {
        if !self.watch.is_on() || vma.prot & libc::PROT_WRITE == 0 {
            return;
        }
        let page = page_down(at);
        let mut pages = self.watch.lock();
        if pages.insert(page) {
            protect(page, host_prot(vma.prot & !libc::PROT_WRITE));
        }
    }

    /// After a fault at `addr`: whether it was a store to code, which can go on now. Translations of the page are dropped.
    pub(crate) fn store_to_code(&self, addr: u64) -> bool {
        if !self.watch.is_on() {
            return false;
        }
        let page = page_down(addr);
        {
            let map = self.map();
            let Some((_, vma)) = map.find(addr) else { return false };
            if vma.prot & libc::PROT_WRITE == 0 || !vma.executable() {
                return false;
            }
            let mut pages = self.watch.lock();
            pages.remove(&page);
            if !protect(page, host_prot(vma.prot)) {
                return false;
            }
        }
        self.stale(&(page..page + PAGE), true);
        true
    }

    /// Gives all pages their permission back, so that the kernel can write to them. False if there are none.
    pub(crate) fn unwatch_all(&self) -> bool {
        if !self.watch.is_on() {
            return false;
        }
        let pages: Vec<u64> = self.watch.lock().iter().copied().collect();
        for page in &pages {
            self.store_to_code(*page);
        }
        !pages.is_empty()
    }
}
