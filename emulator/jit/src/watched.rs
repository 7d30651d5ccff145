//! Stores that exclusive accesses must know of.
//!
//! An exclusive store is a compare-and-swap as long as nobody can tell the difference ([`ir::exclusives`]). Once a program with
//! several threads has one that could succeed by mistake, stores are *noticed*: granules of memory that such accesses are to are
//! *watched*, each with a lock and a *stamp* that says which store was the last. An exclusive load takes the stamp away with the value;
//! the store succeeds if it is still there. Stamps are never used twice.
//!
//! Generated code looks up in a table of marks whether an access may be to a watched granule and has the interpreter make it if so
//! ([`ir::Builder::notice_stores`]). Marks are by a part of the address, what they mean is settled here, so that a store beside a
//! granule is slow but does not end a reservation. An access that found no mark is made without the lock: a granule becomes watched
//! while no thread executes generated code. The interpreter as an engine asks for every access instead, and needs no marks.
//!
//! What the kernel stores is noticed when the call that did it returns.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ir::Ty;
use ir::builder::{GRANULE, MARKS};
use rustc_hash::FxHashMap;

use crate::event::MemFault;

/// Stores are noticed, by some translator.
static NOTICED: AtomicBool = AtomicBool::new(false);

/// Whether it may be worth asking [`crate::Jit::notices_stores`].
#[inline]
pub fn stores_matter() -> bool {
    NOTICED.load(Ordering::Relaxed)
}

/// A translator notices stores from now on.
pub(crate) fn begin() {
    NOTICED.store(true, Ordering::SeqCst);
}

/// Watched granules, by number, each with its stamp.
type Granules = FxHashMap<u64, Mutex<u64>>;

/// The watched memory of a process.
#[derive(Default)]
pub(crate) struct Watched {
    marks: OnceLock<Box<[AtomicU8]>>,
    granules: RwLock<Granules>,
    /// The stamp given last.
    latest: AtomicU64,
    /// Stamps below are void.
    floor: AtomicU64,
}

/// Numbers of the granules of an access.
fn granules(addr: u64, len: u64) -> std::ops::RangeInclusive<u64> {
    addr / GRANULE..=addr.saturating_add(len.max(1) - 1) / GRANULE
}

impl Watched {
    fn map(&self) -> RwLockReadGuard<'_, Granules> {
        self.granules.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn map_mut(&self) -> RwLockWriteGuard<'_, Granules> {
        self.granules.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> u64 {
        self.latest.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// Host address of the table of marks.
    pub(crate) fn table(&self) -> u64 {
        self.marks().as_ptr() as u64
    }

    fn marks(&self) -> &[AtomicU8] {
        self.marks.get_or_init(|| (0..MARKS).map(|_| AtomicU8::new(0)).collect())
    }

    /// From now on the granule of `addr` is watched. Where generated code makes accesses, none may be executing.
    pub(crate) fn watch(&self, addr: u64) {
        let number = addr / GRANULE;
        let mut map = self.map_mut();
        let stamp = self.next();
        map.entry(number).or_insert_with(|| Mutex::new(stamp));
        if let Some(marks) = self.marks.get() {
            for marked in [number, number.wrapping_sub(1)] {
                marks[marked as usize % MARKS].store(1, Ordering::SeqCst);
            }
        }
    }

    /// Makes an access to `len` bytes that may store: no exclusive access to them happens meanwhile, and if it `stored`, none that
    /// began before succeeds.
    pub(crate) fn store<T>(
        &self,
        addr: u64,
        ty: Ty,
        access: impl FnOnce() -> Result<T, MemFault>,
        stored: impl FnOnce(&T) -> bool,
    ) -> Result<T, MemFault> {
        let map = self.map();
        let mut held = granules(addr, ty.bytes().into()).filter_map(|number| map.get(&number)).map(lock);
        // In ascending order: two at most.
        let (mut first, mut second) = (held.next(), held.next());
        let result = access()?;
        if stored(&result) {
            for stamp in [&mut first, &mut second].into_iter().flatten() {
                **stamp = self.next();
            }
        }
        Ok(result)
    }

    /// Loads with the stamp in force; `None` if the granule is not watched.
    pub(crate) fn load_exclusive(
        &self,
        addr: u64,
        load: impl FnOnce() -> Result<u128, MemFault>,
    ) -> Option<Result<(u128, u64), MemFault>> {
        let map = self.map();
        let stamp = lock(map.get(&(addr / GRANULE))?);
        let in_force = (*stamp).max(self.floor.load(Ordering::SeqCst));
        Some(load().map(|value| (value, in_force)))
    }

    /// Has `store` store if `loaded` is the stamp in force, and says whether it did; `None` if the granule is not watched.
    pub(crate) fn store_exclusive(
        &self,
        addr: u64,
        loaded: u64,
        store: impl FnOnce() -> Result<bool, MemFault>,
    ) -> Option<Result<bool, MemFault>> {
        let map = self.map();
        let mut stamp = lock(map.get(&(addr / GRANULE))?);
        if (*stamp).max(self.floor.load(Ordering::SeqCst)) != loaded {
            return Some(Ok(false));
        }
        let result = store();
        if result == Ok(true) {
            *stamp = self.next();
        }
        Some(result)
    }

    /// The `len` bytes at `addr` were stored to by somebody else.
    pub(crate) fn stored_at(&self, addr: u64, len: u64) {
        if len == 0 {
            return;
        }
        let (map, range) = (self.map(), granules(addr, len));
        let touch = |granule: &Mutex<u64>| *lock(granule) = self.next();
        if range.end() - range.start() < map.len() as u64 {
            range.filter_map(|number| map.get(&number)).for_each(touch);
        } else {
            map.iter().filter(|(number, _)| range.contains(number)).for_each(|(_, granule)| touch(granule));
        }
    }

    /// Something was stored, nobody knows where.
    pub(crate) fn stored(&self) {
        self.floor.fetch_max(self.next(), Ordering::SeqCst);
    }

    /// Held across `fork`.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        Frozen { _granules: self.map_mut() }
    }
}

fn lock(granule: &Mutex<u64>) -> MutexGuard<'_, u64> {
    granule.lock().unwrap_or_else(PoisonError::into_inner)
}

/// No granule is locked while it lives.
pub(crate) struct Frozen<'a> {
    _granules: RwLockWriteGuard<'a, Granules>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(watched: &Watched, addr: u64) -> u64 {
        watched.load_exclusive(addr, || Ok(7)).unwrap().unwrap().1
    }

    fn stores(watched: &Watched, addr: u64, stamp: u64) -> bool {
        watched.store_exclusive(addr, stamp, || Ok(true)).unwrap().unwrap()
    }

    #[test]
    fn a_store_in_between_is_noticed_and_one_beside_is_not() {
        let watched = Watched::default();
        assert!(watched.load_exclusive(0x1000, || Ok(0)).is_none());
        watched.watch(0x1008);
        let stamp = load(&watched, 0x1000);
        watched.store(0x1010, Ty::I128, || Ok(()), |_| true).unwrap();
        watched.store(0x1000, Ty::I64, || Ok(()), |_| false).unwrap();
        watched.stored_at(0x1010, 0x10_0000);
        watched.stored_at(0xff0, 16);
        assert!(stores(&watched, 0x1000, stamp));
        assert!(!stores(&watched, 0x1000, stamp), "its own store ended it");
        type Store = fn(&Watched);
        let in_between: [Store; 6] = [
            |w| w.store(0xff8, Ty::I128, || Ok(()), |_| true).unwrap(),
            |w| w.store(0x100f, Ty::I8, || Ok(()), |_| true).unwrap(),
            |w| w.stored_at(0xfff, 2),
            |w| w.stored_at(0, u64::MAX),
            |w| w.stored(),
            |w| assert!(stores(w, 0x1000, load(w, 0x1000))),
        ];
        for store in in_between {
            let stamp = load(&watched, 0x1000);
            store(&watched);
            assert!(!stores(&watched, 0x1000, stamp));
        }
    }

    #[test]
    fn accesses_that_may_reach_a_granule_find_a_mark() {
        let watched = Watched::default();
        let marked = |addr: u64| watched.marks()[(addr / GRANULE) as usize % MARKS].load(Ordering::Relaxed);
        watched.table();
        watched.watch(0x12_3458);
        for (addr, mark) in
            [(0x12_3440, 1), (0x12_344f, 1), (0x12_3450, 1), (0x12_345f, 1), (0x12_3460, 0), (0x12_343f, 0)]
        {
            assert_eq!(marked(addr), mark, "{addr:#x}");
        }
    }
}
