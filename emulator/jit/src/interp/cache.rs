//! Units kept for interpretation.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use ir::unit::{Unit, UnitKey};
use rustc_hash::FxHashMap;

use crate::form::{self, Formed, Manner};
use crate::jit::Jit;
use crate::native::NativeFn;
use crate::options::Stats;
use crate::page_map::{PageMap, overlap};
use crate::phases::Phase;

/// What is executed at an address.
pub(crate) enum Code {
    /// Guest code.
    Unit(Unit),
    /// A host function instead.
    Native(NativeFn),
}

impl Code {
    /// Guest bytes it stands for.
    fn guest_len(&self) -> u32 {
        match self {
            Code::Unit(unit) => unit.guest_len,
            Code::Native(_) => NATIVE_LEN,
        }
    }
}

/// Guest bytes whose change ends the replacement of a function: those of any first instruction.
const NATIVE_LEN: u32 = 1;

/// Result of a look-up.
pub(crate) enum Lookup {
    /// Code.
    Found(Arc<Code>),
    /// No executable memory at this address.
    FetchFault(u64),
}

/// Units of the process.
#[derive(Default)]
pub(crate) struct Cache {
    units: RwLock<Units>,
    /// Counts invalidations: what was looked up or formed under an older version may be stale.
    version: AtomicU64,
}

#[derive(Default)]
struct Units {
    by_key: FxHashMap<UnitKey, Arc<Code>>,
    by_page: PageMap<UnitKey>,
}

/// Entries of a thread's own cache; a power of two.
const ENTRIES: usize = 4096;

/// Direct-mapped cache of one thread in front of the shared one.
#[derive(Default)]
pub(crate) struct ThreadCache {
    version: u64,
    entries: Vec<Option<(UnitKey, Arc<Code>)>>,
}

impl ThreadCache {
    /// The code at `key`, formed if it was not known. Keys with [`PLAIN`] get guest code even where a host function is known.
    pub(crate) fn lookup(&mut self, jit: &Jit, key: UnitKey) -> Lookup {
        let cache = &jit.interp;
        let version = cache.version.load(Ordering::Acquire);
        if self.version != version || self.entries.is_empty() {
            self.entries.clear();
            self.entries.resize_with(ENTRIES, || None);
            self.version = version;
        }
        let index = (key.pc / u64::from(jit.guest.insn_align)) as usize % ENTRIES;
        if let Some((cached, code)) = &self.entries[index]
            && *cached == key
        {
            return Lookup::Found(code.clone());
        }
        let found = cache.lookup(jit, key);
        if let Lookup::Found(code) = &found {
            self.entries[index] = Some((key, code.clone()));
        }
        found
    }
}

/// Bit of [`UnitKey::mode`] in cache keys: never a host function.
pub(crate) const PLAIN: u32 = 1 << 31;

/// Mode bit of a key: a translation without vectors, where there may be one with ([`ir::vectorise`]).
pub(crate) const SCALAR: u32 = 1 << 30;

/// Mode bit of a key: a translation with vectors of fewer turns, for where those of most turns do not do.
pub(crate) const SHORTER: u32 = 1 << 29;

/// Mode bits of keys of what retreats lead to.
pub(crate) const RETREATED: u32 = SCALAR | SHORTER;

impl Cache {
    fn lookup(&self, jit: &Jit, key: UnitKey) -> Lookup {
        if let Some(code) = read(&self.units).by_key.get(&key) {
            return Lookup::Found(code.clone());
        }
        loop {
            let version = self.version.load(Ordering::Acquire);
            let code = match make(jit, key) {
                Ok(code) => code,
                Err(addr) => return Lookup::FetchFault(addr),
            };
            let mut units = write(&self.units);
            // Guest code that changed while it was read must not be kept.
            if self.version.load(Ordering::Acquire) != version {
                continue;
            }
            let units = &mut *units;
            let code = units.by_key.entry(key).or_insert_with(|| {
                units.by_page.insert(key.pc, code.guest_len(), key);
                Arc::new(code)
            });
            return Lookup::Found(code.clone());
        }
    }

    /// Drops units with bytes in the range.
    pub(crate) fn invalidate(&self, jit: &Jit, start: u64, len: u64) {
        let mut units = write(&self.units);
        self.version.fetch_add(1, Ordering::AcqRel);
        for key in units.by_page.on_pages_of(start, len) {
            let Some(code_len) = units.by_key.get(&key).map(|code| code.guest_len()) else { continue };
            if overlap(key.pc, code_len.into(), start, len) {
                units.by_key.remove(&key);
                units.by_page.remove(key.pc, code_len, key);
                Stats::add(&jit.stats.invalidated, 1);
            }
        }
    }

    /// Held across `fork`, so that the child finds the cache consistent.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        Frozen { _units: write(&self.units) }
    }
}

/// The cache's lock, held across `fork`.
pub(crate) struct Frozen<'a> {
    _units: RwLockWriteGuard<'a, Units>,
}

fn read(lock: &RwLock<Units>) -> RwLockReadGuard<'_, Units> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write(lock: &RwLock<Units>) -> RwLockWriteGuard<'_, Units> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Code at `key`, or the address that cannot be fetched.
fn make(jit: &Jit, key: UnitKey) -> Result<Code, u64> {
    if key.mode & PLAIN == 0
        && let Some(function) = jit.hooks.intercept(key.pc)
        && jit.natives.ready(jit.guest, &function).is_some()
    {
        return Ok(Code::Native(function));
    }
    let key = UnitKey { mode: key.mode & !PLAIN, ..key };
    let mut watch = jit.stopwatch();
    match form::form(jit.guest, &*jit.hooks, key, Manner::of(form::MAX_INSNS), |_| false) {
        Formed::FetchFault { addr } => Err(addr),
        Formed::Unit { unit, insns } => {
            watch.lap(Phase::Form);
            jit.count_unit(&unit, insns);
            Ok(Code::Unit(unit))
        }
    }
}
