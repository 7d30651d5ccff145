//! The guest's address space: which host mappings are the guest's, and the calls that change them.
//!
//! The emulator's own mappings are simply not in the map: the guest cannot unmap, protect or replace what is not its own,
//! and a fixed request over them fails as if the addresses did not exist. Guest code is never executable on the host;
//! `PROT_EXEC` is kept here, for instruction fetch.

mod advice;
pub(crate) mod calls;
mod heap;
mod place;
mod remap;
mod shm;
pub mod vma;
mod watch;

pub use place::Places;
pub use vma::{Kind, MappedFile, PAGE, TASK_SIZE, Vma, VmaMap, page_down, page_up};

use std::ops::Range;
use std::sync::atomic::AtomicBool;
use std::sync::{Mutex, MutexGuard, OnceLock, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::errno::{Errno, SysResult};
use place::Placer;

/// Told of ranges whose translations are stale.
pub type Invalidate = Box<dyn Fn(Range<u64>) + Send + Sync>;

/// Told when memory can be stored to that other processes may have, too.
pub type Share = Box<dyn Fn() + Send + Sync>;

/// Guest mappings. `changes` is held across each changing host call, so that the map changes in the kernel's order; `map`
/// is held for look-ups and updates only, so that instruction fetch waits for neither invalidation nor host calls, but for those that
/// replace code.
pub struct AddressSpace {
    places: &'static Places,
    changes: Mutex<Changes>,
    map: RwLock<VmaMap>,
    invalidate: OnceLock<Invalidate>,
    share: OnceLock<Share>,
    watch: watch::Watch,
    special: AtomicBool,
}

impl Default for AddressSpace {
    fn default() -> AddressSpace {
        AddressSpace::new(Places::of(64))
    }
}

/// State of the changing calls.
struct Changes {
    placer: Placer,
    heap: heap::Heap,
}

/// A new mapping.
#[derive(Clone, Debug)]
pub struct Request {
    /// Fixed address, or a wish; 0 for none.
    pub addr: u64,
    /// Bytes.
    pub len: u64,
    /// Guest protection.
    pub prot: i32,
    /// `MAP_*` flags of the host.
    pub flags: i32,
    /// Descriptor, or -1.
    pub fd: i32,
    /// File offset.
    pub offset: u64,
    /// Purpose.
    pub kind: Kind,
}

/// Protection on the host: fetching is reading, executing is never allowed.
fn host_prot(prot: i32) -> i32 {
    let readable = if prot & libc::PROT_EXEC != 0 { libc::PROT_READ } else { 0 };
    (prot & (libc::PROT_READ | libc::PROT_WRITE)) | readable
}

/// Calls the host's `mmap`.
fn host_mmap(range: &Range<u64>, prot: i32, flags: i32, fd: i32, offset: u64) -> SysResult {
    let args = [range.start, range.end - range.start, prot as u64, flags as u64, fd as u64, offset];
    // SAFETY: callers pass ranges that the guest owns or that MAP_FIXED_NOREPLACE protects.
    unsafe { crate::host::syscall(libc::SYS_mmap, args) }
}

/// Gives back ranges that were taken for a mapping that failed.
fn release(claimed: &[Range<u64>]) {
    for range in claimed {
        let _ = host_munmap(range);
    }
}

/// Calls the host's `munmap` on a range the guest owns.
fn host_munmap(range: &Range<u64>) -> SysResult {
    // SAFETY: the guest owns the range; nothing of the emulator lies in it.
    unsafe { crate::host::syscall(libc::SYS_munmap, [range.start, range.end - range.start, 0, 0, 0, 0]) }
}

/// Gives a range the guest owns the protection that the guest means by `prot`.
fn host_mprotect(range: &Range<u64>, prot: i32) -> SysResult {
    let args = [range.start, range.end - range.start, host_prot(prot) as u64, 0, 0, 0];
    // SAFETY: the guest owns the range; nothing of the emulator lies in it.
    unsafe { crate::host::syscall(libc::SYS_mprotect, args) }
}

impl AddressSpace {
    /// An empty one.
    #[must_use]
    pub fn new(places: &'static Places) -> AddressSpace {
        let changes = Mutex::new(Changes { placer: Placer::new(places), heap: heap::Heap::default() });
        AddressSpace {
            places,
            changes,
            map: RwLock::default(),
            invalidate: OnceLock::new(),
            share: OnceLock::new(),
            watch: watch::Watch::default(),
            special: AtomicBool::new(false),
        }
    }

    /// Where things go.
    #[must_use]
    pub fn places(&self) -> &'static Places {
        self.places
    }

    /// `addr..addr + len` if it lies in the user address space.
    fn user_range(&self, addr: u64, len: u64) -> Option<Range<u64>> {
        self.places.user_range(addr, len)
    }

    /// Who is told of stale code; set once.
    pub fn on_invalidate(&self, f: Invalidate) {
        let _ = self.invalidate.set(f);
    }

    /// Who is told of shared memory; set once.
    pub fn on_share(&self, f: Share) {
        let _ = self.share.set(f);
    }

    fn lock(&self) -> MutexGuard<'_, Changes> {
        self.changes.lock().unwrap_or_else(|e| e.into_inner())
    }

    /// The map, for look-ups.
    pub fn map(&self) -> RwLockReadGuard<'_, VmaMap> {
        self.map.read().unwrap_or_else(|e| e.into_inner())
    }

    /// The lock for a change, perhaps from generated code. That does not wait for who makes a change, which may wait for it: it is
    /// [`Errno::DECLINED`] then.
    fn lock_from(&self, in_code: bool) -> Result<MutexGuard<'_, Changes>, Errno> {
        if in_code { self.changes.try_lock().map_err(|_| Errno::DECLINED) } else { Ok(self.lock()) }
    }

    /// Declines to change `range` from generated code unless what is there is private data: code may be what it executes.
    fn only_data(&self, in_code: bool, range: &Range<u64>) -> Result<(), Errno> {
        if in_code && !self.map().all(range, Vma::is_data) { Err(Errno::DECLINED) } else { Ok(()) }
    }

    /// Whether `range` is a piece of one mapping of private data: nobody is to be told of a change.
    fn one_of_data(&self, range: &Range<u64>) -> bool {
        self.one_mapping(range, Vma::is_data)
    }

    /// Whether `range` is a piece of one mapping, which is as `is` says.
    fn one_mapping(&self, range: &Range<u64>, is: impl Fn(&Vma) -> bool) -> bool {
        let holds = |(whole, vma): (Range<u64>, &Vma)| range.end <= whole.end && is(vma);
        !range.is_empty() && self.map().find(range.start).is_some_and(holds)
    }

    fn map_mut(&self) -> RwLockWriteGuard<'_, VmaMap> {
        self.map.write().unwrap_or_else(|e| e.into_inner())
    }

    /// Drops translations of `range`, if told that it holds or held code.
    fn stale(&self, range: &Range<u64>, had_code: bool) {
        self.watch.forget(range);
        if had_code {
            self.drop_translations(range);
        }
    }

    fn drop_translations(&self, range: &Range<u64>) {
        if let Some(invalidate) = self.invalidate.get() {
            invalidate(range.clone());
        }
    }

    /// Runs `f` (a fork) while no other thread is in the middle of a change.
    pub fn quiesced<T>(&self, f: impl FnOnce() -> T) -> T {
        let _changes = self.lock();
        let _map = self.map_mut();
        let _watch = self.watch.lock();
        f()
    }

    /// Reads up to `buf.len()` bytes of guest code at `pc`; fewer where executable memory ends, 0 if `pc` is not executable.
    /// Stores to them are noticed from then on, if they are looked for.
    pub fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        self.read_code(pc, buf, |map, at, vma| self.before_fetch(map, at, vma))
    }

    /// The same, for code that is not translated.
    pub(crate) fn peek_code(&self, pc: u64, buf: &mut [u8]) -> usize {
        self.read_code(pc, buf, |_, _, _| {})
    }

    fn read_code(&self, pc: u64, buf: &mut [u8], before: impl Fn(&VmaMap, u64, &Vma)) -> usize {
        let map = self.map();
        let mut got = 0;
        while got < buf.len() {
            let at = pc.wrapping_add(got as u64);
            let Some((range, vma)) = map.find(at) else { break };
            if !vma.executable() {
                break;
            }
            before(&map, at, vma);
            // An instruction may lie across two pages, of which each is watched by itself.
            let end = if self.watch.is_on() { range.end.min(page_down(at) + PAGE) } else { range.end };
            let n = (end - at).min((buf.len() - got) as u64) as usize;
            if crate::guest_memory::read(at, &mut buf[got..got + n]).is_err() {
                break;
            }
            got += n;
        }
        got
    }

    /// Maps memory; returns its address.
    pub fn map_memory(&self, request: &Request) -> SysResult {
        self.map_from(false, request)
    }

    /// The same, perhaps from generated code, which makes mappings of data only.
    pub(crate) fn map_from(&self, in_code: bool, request: &Request) -> SysResult {
        if in_code && (request.prot & libc::PROT_EXEC != 0 || request.flags & libc::MAP_TYPE != libc::MAP_PRIVATE) {
            return Err(Errno::DECLINED);
        }
        if request.flags & libc::MAP_LOCKED != 0 {
            self.memory_is_special();
        }
        let mut changes = self.lock_from(in_code)?;
        let len = page_up(request.len).filter(|&len| len != 0 && len <= self.places.end).ok_or(Errno::ENOMEM)?;
        let fixed = request.flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE) != 0;
        if fixed && let Some(end) = request.addr.checked_add(len) {
            self.only_data(in_code, &(request.addr..end))?;
        }
        let range = if fixed {
            self.map_fixed(&mut changes, request, len)?
        } else {
            self.map_anywhere(&mut changes, request, len)?
        };
        Ok(range.start)
    }

    /// Maps at exactly the requested address, over guest mappings only.
    fn map_fixed(&self, changes: &mut Changes, request: &Request, len: u64) -> Result<Range<u64>, Errno> {
        if !request.addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        let range = self.user_range(request.addr, len).ok_or(Errno::ENOMEM)?;
        changes.heap.make_way(&range);
        let map_there = || host_mmap(&range, host_prot(request.prot), request.flags, request.fd, request.offset);
        if request.flags & libc::MAP_FIXED_NOREPLACE != 0 {
            map_there()?;
            self.record(request, &range);
            return Ok(range);
        }
        let anonymous = Vma::anonymous(request.prot, request.kind);
        let new_is_data =
            !is_file(request) && request.flags & libc::MAP_TYPE == libc::MAP_PRIVATE && anonymous.is_data();
        let differs_in_protection = |vma: &Vma| *vma == Vma { prot: vma.prot, ..anonymous.clone() } && vma.is_data();
        if new_is_data && self.one_mapping(&range, differs_in_protection) {
            map_there()?;
            self.map_mut().protect(&range, request.prot);
            return Ok(range);
        }
        let claimed = self.claim(&range)?;
        if !self.map().has_code(&range) {
            if let Err(error) = map_there() {
                release(&claimed);
                return Err(error);
            }
            self.watch.forget(&range);
            self.record(request, &range);
            return Ok(range);
        }
        // Nobody may fetch what is there now as what was there before.
        let vma = self.described(request, &range);
        let mut map = self.map_mut();
        if let Err(error) = map_there() {
            drop(map);
            release(&claimed);
            return Err(error);
        }
        map.insert(range.clone(), vma.clone());
        drop(map);
        self.stale(&range, true);
        self.appeared(&vma, Some(request.fd));
        Ok(range)
    }

    /// Reserves the parts of `range` that are not the guest's, where they may be the emulator's; fails, changing nothing, if it has one
    /// of them.
    fn claim(&self, range: &Range<u64>) -> Result<Vec<Range<u64>>, Errno> {
        if place::only_the_guest_has(range) {
            return Ok(Vec::new());
        }
        let gaps = self.map().gaps(range);
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
        for (i, gap) in gaps.iter().enumerate() {
            if let Err(error) = host_mmap(gap, libc::PROT_NONE, flags, -1, 0) {
                release(&gaps[..i]);
                return Err(if error == Errno::EEXIST { Errno::ENOMEM } else { error });
            }
        }
        Ok(gaps)
    }

    /// Maps at the wished address if it is free, else where there is room.
    fn map_anywhere(&self, changes: &mut Changes, request: &Request, len: u64) -> Result<Range<u64>, Errno> {
        let flags = request.flags | libc::MAP_FIXED_NOREPLACE;
        let attempt = |range: &Range<u64>| host_mmap(range, host_prot(request.prot), flags, request.fd, request.offset);
        if let Some(range) = self.user_range(page_down(request.addr), len).filter(|range| range.start != 0)
            && self.map().is_free(&range)
        {
            changes.heap.make_way(&range);
            if attempt(&range).is_ok() {
                self.record(request, &range);
                return Ok(range);
            }
        }
        let range = self.find_room(changes, len, alignment(request.flags))?;
        attempt(&range)?;
        self.record(request, &range);
        Ok(range)
    }

    /// A range free for the guest and on the host.
    fn find_room(&self, changes: &mut Changes, len: u64, align: u64) -> Result<Range<u64>, Errno> {
        let range = changes.placer.find(&self.map(), len, align).ok_or(Errno::ENOMEM)?;
        changes.heap.make_way(&range);
        Ok(range)
    }

    /// Enters a new mapping.
    fn record(&self, request: &Request, range: &Range<u64>) {
        let vma = self.described(request, range);
        self.map_mut().insert(range.clone(), vma.clone());
        self.appeared(&vma, Some(request.fd));
    }

    /// The properties of a new mapping.
    fn described(&self, request: &Request, range: &Range<u64>) -> Vma {
        let shared = request.flags & libc::MAP_TYPE & libc::MAP_SHARED != 0;
        let file = (request.fd >= 0 && request.prot & libc::PROT_EXEC != 0)
            .then(|| crate::bypass::executable_mapped(request.fd, range.clone(), request.offset))
            .flatten();
        let backing = self.backing(range.start, request.fd, request.offset, shared);
        let kind = if is_file(request) && request.kind == Kind::Plain { Kind::File } else { request.kind };
        Vma { prot: request.prot, shared, kind, file, backing }
    }

    /// Maps code at a fixed address, which may lie beyond the user address space: there the guest cannot change it.
    pub(crate) fn map_vectors(&self, at: u64, code: &[u8]) -> Result<(), Errno> {
        let _changes = self.lock();
        let range = at..at + page_up(code.len() as u64).ok_or(Errno::ENOMEM)?;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE;
        host_mmap(&range, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0)?;
        crate::guest_memory::write(at, code)?;
        let prot = libc::PROT_READ | libc::PROT_EXEC;
        self.map_mut().insert(range.clone(), Vma::anonymous(prot, Kind::Vectors));
        host_mprotect(&range, prot)?;
        Ok(())
    }

    /// Unmaps the guest's parts of a range.
    pub fn unmap(&self, addr: u64, len: u64) -> SysResult {
        self.unmap_from(false, addr, len)
    }

    /// The same, perhaps from generated code.
    pub(crate) fn unmap_from(&self, in_code: bool, addr: u64, len: u64) -> SysResult {
        let mut changes = self.lock_from(in_code)?;
        let range = page_up(len).and_then(|len| self.user_range(addr, len)).ok_or(Errno::EINVAL)?;
        if !addr.is_multiple_of(PAGE) || range.is_empty() {
            return Err(Errno::EINVAL);
        }
        self.only_data(in_code, &range)?;
        self.unmap_locked(&mut changes, &range)
    }

    fn unmap_locked(&self, changes: &mut Changes, range: &Range<u64>) -> SysResult {
        if self.one_of_data(range) {
            host_munmap(range)?;
            self.map_mut().remove(range.clone());
            changes.placer.freed(range);
            return Ok(0);
        }
        let parts = self.map().parts(range);
        for (part, vma) in parts {
            self.map_mut().remove(part.clone());
            if let Err(error) = host_munmap(&part) {
                self.map_mut().insert(part, vma);
                return Err(error);
            }
            self.stale(&part, vma.executable());
            changes.placer.freed(&part);
        }
        Ok(0)
    }

    /// Changes protection; the whole range must be mapped, and is changed up to the first hole if not.
    pub fn protect(&self, addr: u64, len: u64, prot: i32) -> SysResult {
        self.protect_from(false, addr, len, prot)
    }

    /// The same, perhaps from generated code.
    pub(crate) fn protect_from(&self, in_code: bool, addr: u64, len: u64, prot: i32) -> SysResult {
        let _changes = self.lock_from(in_code)?;
        let range = page_up(len).and_then(|len| self.user_range(addr, len)).ok_or(Errno::ENOMEM)?;
        if !addr.is_multiple_of(PAGE) {
            return Err(Errno::EINVAL);
        }
        if self.one_of_data(&range) {
            host_mprotect(&range, prot)?;
            self.map_mut().protect(&range, prot);
            return Ok(0);
        }
        self.only_data(in_code, &range)?;
        let mut at = range.start;
        let parts = self.map().parts(&range);
        for (part, vma) in parts {
            if part.start != at {
                return Err(Errno::ENOMEM);
            }
            at = part.end;
            self.protect_part(&part, vma, prot)?;
        }
        if at == range.end { Ok(0) } else { Err(Errno::ENOMEM) }
    }

    fn protect_part(&self, part: &Range<u64>, vma: Vma, prot: i32) -> Result<(), Errno> {
        host_mprotect(part, prot)?;
        let had_code = vma.executable();
        let changed = had_code != (prot & libc::PROT_EXEC != 0);
        let vma = Vma { prot, ..vma };
        self.map_mut().protect(part, prot);
        self.stale(part, had_code && (changed || self.watch.is_on()));
        self.appeared(&vma, None);
        Ok(())
    }

    /// Whether every page of a range (rounded outwards) is the guest's.
    #[must_use]
    pub fn owns(&self, addr: u64, len: u64) -> bool {
        addr.checked_add(len).and_then(page_up).is_some_and(|end| self.map().covers(&(page_down(addr)..end)))
    }
}

/// Whether the kernel makes a mapping of a file of it.
fn is_file(request: &Request) -> bool {
    request.fd >= 0 || request.flags & libc::MAP_HUGETLB != 0
}

/// Alignment that `MAP_HUGETLB` sizes demand.
fn alignment(flags: i32) -> u64 {
    if flags & libc::MAP_HUGETLB == 0 {
        return PAGE;
    }
    match (flags >> libc::MAP_HUGE_SHIFT) & libc::MAP_HUGE_MASK {
        0 => 1 << 21,
        log2 => 1 << log2.clamp(12, 40),
    }
}

#[cfg(test)]
mod tests;
