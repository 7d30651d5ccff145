//! Changes of code, for guests that need not say when code has changed.
//!
//! When code on a page is translated, the page loses its write permission on the host, if it has one, and so do other mappings of
//! the same page of a file or of shared memory ([`Backing`]) that can be written to. A store then faults: the permission comes
//! back, the translations of the page are dropped, and the one instruction that stores is interpreted, so that what follows it is
//! translated anew even if it is on the same page. When a mapping appears that can be written to, translations of what it shows are
//! dropped, to be made again with it protected. Code that cannot be written to through memory costs nothing; a page that code and
//! data share costs a fault and a translation each time one follows the other.
//!
//! Files can be changed without a mapping. Those that code was mapped from through a descriptor that may write are remembered, and
//! `/proc/self/mem` when it is opened: after each system call with a descriptor of such a file, translations of its code are dropped.
//!
//! Not seen is what other processes store to shared memory and files.

use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};

use super::vma::Backing;
use super::{AddressSpace, PAGE, Vma, VmaMap, host_prot, page_down};

/// What is known of code.
#[derive(Default)]
pub(super) struct Watch {
    on: AtomicBool,
    /// Some memory of a file, or shared, can be written to.
    shared_writable: AtomicBool,
    pages: Mutex<Pages>,
    /// Files that code is mapped from and that may be written to by descriptors; whether there are any.
    files: Mutex<Vec<File>>,
    any_files: AtomicBool,
    /// Where changes are not looked for: memory that is not writable may be changed through a file.
    by_file: AtomicBool,
    /// Number of the next piece of shared memory without a file.
    next: AtomicU64,
}

#[derive(Default)]
pub(super) struct Pages {
    /// Pages with code that cannot be stored to unnoticed.
    code: BTreeSet<u64>,
    /// Pages whose write permission is taken away.
    protected: BTreeSet<u64>,
}

impl Pages {
    fn protect(&mut self, page: u64, prot: i32) {
        if self.protected.insert(page) {
            protect(page, host_prot(prot & !libc::PROT_WRITE));
        }
    }
}

/// A file whose change may change code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct File {
    device: u64,
    inode: u64,
    /// It is the memory of the process.
    is_memory: bool,
}

impl Watch {
    pub(super) fn lock(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap_or_else(|e| e.into_inner())
    }

    fn files(&self) -> MutexGuard<'_, Vec<File>> {
        self.files.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// Whether changes of code are looked for.
    pub(super) fn is_on(&self) -> bool {
        self.on.load(Ordering::Relaxed)
    }

    /// Forgets the pages of a range, whose permission was set anew.
    pub(super) fn forget(&self, range: &Range<u64>) {
        if self.is_on() {
            let mut pages = self.lock();
            forget(&mut pages.code, range);
            forget(&mut pages.protected, range);
        }
    }

    fn remember(&self, file: File) {
        let mut files = self.files();
        if !files.contains(&file) {
            files.push(file);
        }
        self.any_files.store(true, Ordering::SeqCst);
    }
}

/// Removes the pages of a range.
fn forget(pages: &mut BTreeSet<u64>, range: &Range<u64>) {
    while let Some(&page) = pages.range(range.clone()).next() {
        pages.remove(&page);
    }
}

/// Sets the permission of one page on the host.
fn protect(page: u64, prot: i32) -> bool {
    // SAFETY: a page of the guest's, by the map.
    unsafe { crate::host::syscall(libc::SYS_mprotect, [page, PAGE, prot as u64, 0, 0, 0]) }.is_ok()
}

/// Device and inode of a descriptor.
fn identity(fd: i32) -> Option<(u64, u64)> {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: the kernel fills the structure when it succeeds.
    unsafe { (libc::fstat(fd, stat.as_mut_ptr()) == 0).then(|| stat.assume_init()) }
        .map(|stat| (stat.st_dev, stat.st_ino))
}

/// Whether a descriptor is open for writing.
fn may_write(fd: i32) -> bool {
    // SAFETY: plain arguments.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    flags >= 0 && flags & libc::O_ACCMODE != libc::O_RDONLY
}

/// Stands for a device in [`Backing`]s of memory that has none.
const NO_DEVICE: u64 = u64::MAX;

impl AddressSpace {
    /// From now on, changes of code are looked for.
    pub fn watch_code(&self) {
        self.watch.on.store(true, Ordering::Relaxed);
    }

    /// What a mapping made at `start` shows, if that has to be known: a file, or shared memory.
    pub(super) fn backing(&self, start: u64, fd: i32, offset: u64, shared: bool) -> Option<Backing> {
        if !self.watch.is_on() {
            return None;
        }
        match (fd, shared) {
            (0.., _) => {
                let (device, inode) = identity(fd)?;
                Some(Backing { device, inode, base: start.wrapping_sub(offset) })
            }
            (_, true) => {
                let inode = self.watch.next.fetch_add(1, Ordering::Relaxed);
                Some(Backing { device: NO_DEVICE, inode, base: start })
            }
            _ => None,
        }
    }

    /// What the System V segment `id` shows at `start`.
    pub(super) fn segment_backing(&self, start: u64, id: i32) -> Option<Backing> {
        self.watch.is_on().then_some(Backing { device: NO_DEVICE - 1, inode: id as u64, base: start })
    }

    /// A mapping appeared, or has another protection; with the descriptor it was made from, if there is one.
    pub(super) fn appeared(&self, vma: &Vma, fd: Option<i32>) {
        let others_store = vma.shared && vma.prot & libc::PROT_WRITE != 0;
        if others_store && let Some(share) = self.share.get() {
            share();
        }
        if !self.watch.is_on() && !vma.shared && vma.file.is_some() && fd.is_some_and(may_write) {
            self.changes_by_file();
        }
        let Some(backing) = vma.backing else { return };
        let by_descriptor = fd.map_or(vma.shared, may_write) && backing.device < NO_DEVICE - 1;
        if vma.executable() && by_descriptor {
            self.watch.remember(File { device: backing.device, inode: backing.inode, is_memory: false });
        }
        if others_store {
            self.watch.shared_writable.store(true, Ordering::SeqCst);
            self.drop_code_of(|other| other.is_of(&backing));
        }
    }

    /// Drops translations of code whose backing is meant.
    fn drop_code_of(&self, meant: impl Fn(&Backing) -> bool) {
        let of = |vma: &Vma| vma.executable() && vma.backing.as_ref().is_some_and(&meant);
        let ranges: Vec<_> = self.map().iter().filter(|(_, vma)| of(vma)).map(|(range, _)| range).collect();
        for range in ranges {
            forget(&mut self.watch.lock().code, &range);
            self.drop_translations(&range);
        }
    }

    /// Code at `at`, in `vma`, is about to be read for translation.
    pub(super) fn before_fetch(&self, map: &VmaMap, at: u64, vma: &Vma) {
        if !self.watch.is_on() {
            return;
        }
        let own = vma.prot & libc::PROT_WRITE != 0;
        let elsewhere = vma.backing.filter(|_| self.watch.shared_writable.load(Ordering::SeqCst));
        if !own && elsewhere.is_none() {
            return;
        }
        let page = page_down(at);
        let mut pages = self.watch.lock();
        if !pages.code.insert(page) {
            return;
        }
        if own {
            pages.protect(page, vma.prot);
        }
        for (other, vma) in elsewhere.into_iter().flat_map(|backing| map.showing(page, backing)) {
            if vma.shared && vma.prot & libc::PROT_WRITE != 0 {
                pages.protect(other, vma.prot);
            }
        }
    }

    /// After a fault at `addr`: whether it was a store to code, which can go on now. Translations of what it changes are dropped.
    pub(crate) fn store_to_code(&self, addr: u64) -> bool {
        if !self.watch.is_on() {
            return false;
        }
        let page = page_down(addr);
        let code: Vec<u64> = {
            let map = self.map();
            let Some((_, vma)) = map.find(addr).filter(|(_, vma)| vma.prot & libc::PROT_WRITE != 0) else {
                return false;
            };
            let mut pages = self.watch.lock();
            // Another thread may have been faster: then there is nothing to do but to try again.
            let protected = pages.protected.remove(&page);
            let shows_code = vma.executable() || vma.shared && vma.backing.is_some();
            if !protected && !shows_code {
                return false;
            }
            if !protect(page, host_prot(vma.prot)) {
                return false;
            }
            let own = vma.executable().then_some(page);
            let elsewhere = vma.backing.into_iter().flat_map(|backing| map.showing(page, backing));
            let code = own.into_iter().chain(elsewhere.filter(|(_, vma)| vma.executable()).map(|(page, _)| page));
            code.inspect(|page| _ = pages.code.remove(page)).collect()
        };
        for page in code {
            self.drop_translations(&(page..page + PAGE));
        }
        true
    }

    /// Gives all pages their permission back, so that the kernel can write to them. False if there are none.
    pub(crate) fn unwatch_all(&self) -> bool {
        if !self.watch.is_on() {
            return false;
        }
        let pages: Vec<u64> = self.watch.lock().protected.iter().copied().collect();
        for page in &pages {
            self.store_to_code(*page);
        }
        !pages.is_empty()
    }

    /// Whether system calls on descriptors may change code.
    pub(crate) fn watches_files(&self) -> bool {
        self.watch.any_files.load(Ordering::SeqCst)
    }

    /// A file was opened that is the memory of a process.
    pub(crate) fn opened_memory(&self, fd: i32) {
        if !may_write(fd) {
            return;
        }
        if !self.watch.is_on() {
            self.changes_by_file();
        } else if let Some((device, inode)) = identity(fd) {
            self.watch.remember(File { device, inode, is_memory: true });
        }
    }

    /// From now on, memory that is not writable may be changed through a file.
    fn changes_by_file(&self) {
        if !self.watch.by_file.swap(true, Ordering::SeqCst) {
            self.drop_translations(&(0..self.places.end));
        }
    }

    /// Whether that is so.
    pub(crate) fn may_change_by_file(&self) -> bool {
        self.watch.by_file.load(Ordering::SeqCst)
    }

    fn watched_file(&self, fd: i32) -> Option<File> {
        let (device, inode) = identity(fd)?;
        self.watch.files().iter().find(|file| (file.device, file.inode) == (device, inode)).copied()
    }

    /// A system call on a descriptor is about to be made: through the memory of the process it may store to pages that the guest
    /// sees as writable.
    pub(crate) fn before_call_on(&self, fd: i32) {
        if self.watched_file(fd).is_some_and(|file| file.is_memory) {
            self.unwatch_all();
        }
    }

    /// The system call has been made.
    pub(crate) fn after_call_on(&self, fd: i32) {
        match self.watched_file(fd) {
            Some(File { is_memory: true, .. }) => self.drop_translations(&(0..self.places.end)),
            Some(File { device, inode, .. }) => {
                self.drop_code_of(|backing| (backing.device, backing.inode) == (device, inode));
            }
            None => {}
        }
    }
}
