//! Look-up of translations: by key without locks, by host address without locks and from signal handlers.

use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use ir::unit::UnitKey;

use super::Translation;

/// Translations by key. Readers take no lock; there is one writer at a time, which is the caller's to see to.
///
/// Open addressing with linear probing. Translations live until no thread can have come across them ([`super::Runtime`]
/// frees them only with all threads stopped).
pub(crate) struct KeyTable {
    slots: AtomicPtr<Slots>,
    /// Slots that are not free, writer only.
    used: AtomicUsize,
}

struct Slots {
    slots: Box<[AtomicU64]>,
    /// The array this one replaced: readers may still be looking at it, so it lives until [`KeyTable::clear`].
    previous: *mut Slots,
}

const FIRST_SLOTS: usize = 1024;

/// A slot never used.
const FREE: u64 = 0;

/// A slot whose translation is gone: probing goes on behind it.
const REMOVED: u64 = 1;

/// Bits of a host address. Those above hold part of the key's hash, so that a look-up touches hardly any translation but
/// the one it is for.
const ADDRESS_BITS: u32 = 48;

fn hash(key: UnitKey) -> u64 {
    let x = (key.pc ^ u64::from(key.mode) << 40).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x ^ x >> 29
}

/// Where probing for a key starts. The formation of units asks of each instruction whether one starts there: keys of adjacent
/// addresses are adjacent in the table, so that it does not come from memory anew each time.
fn start(key: UnitKey) -> usize {
    const NEAR: u64 = 256;
    let far = hash(UnitKey { pc: key.pc / NEAR, mode: key.mode });
    far.wrapping_add(key.pc % NEAR / 2) as usize
}

/// A slot's word.
fn word(translation: *const Translation, key: UnitKey) -> u64 {
    translation as u64 | hash(key) & !((1 << ADDRESS_BITS) - 1)
}

/// The translation of a word that is neither free nor removed.
fn pointer(word: u64) -> *const Translation {
    (word & ((1 << ADDRESS_BITS) - 1)) as *const Translation
}

impl Slots {
    fn new(n: usize, previous: *mut Slots) -> *mut Slots {
        let slots = (0..n).map(|_| AtomicU64::new(FREE)).collect();
        Box::into_raw(Box::new(Slots { slots, previous }))
    }

    /// The slots a key may be in, in order.
    fn probe(&self, key: UnitKey) -> impl Iterator<Item = &AtomicU64> {
        let mask = self.slots.len() - 1;
        let start = start(key);
        (0..self.slots.len()).map(move |i| &self.slots[start.wrapping_add(i) & mask])
    }

    /// Fills the first slot that can be; true if it was never used.
    fn insert(&self, translation: *const Translation, key: UnitKey) -> bool {
        for slot in self.probe(key) {
            let old = slot.load(Ordering::Relaxed);
            if old == FREE || old == REMOVED {
                slot.store(word(translation, key), Ordering::Release);
                return old == FREE;
            }
        }
        unreachable!("the table is never full");
    }
}

impl Default for KeyTable {
    fn default() -> KeyTable {
        let slots = AtomicPtr::new(Slots::new(FIRST_SLOTS, std::ptr::null_mut()));
        KeyTable { slots, used: AtomicUsize::new(0) }
    }
}

impl KeyTable {
    fn current(&self) -> &Slots {
        // SAFETY: never null, and arrays live until `clear`, which runs with no reader.
        unsafe { &*self.slots.load(Ordering::Acquire) }
    }

    /// The translation of a key.
    pub(crate) fn find(&self, key: UnitKey) -> Option<&'static Translation> {
        for slot in self.current().probe(key) {
            let found = slot.load(Ordering::Acquire);
            if found == FREE {
                return None;
            }
            if found == REMOVED || found >> ADDRESS_BITS != hash(key) >> ADDRESS_BITS {
                continue;
            }
            // SAFETY: see the type: a translation found in the table outlives the finder's use of it.
            let found: &'static Translation = unsafe { &*pointer(found) };
            if found.key == key {
                return Some(found);
            }
        }
        None
    }

    /// Adds a translation whose key has none. Writer.
    pub(crate) fn insert(&self, translation: &'static Translation) {
        let used = self.used.load(Ordering::Relaxed);
        if used * 2 >= self.current().slots.len() {
            self.grow();
        }
        if self.current().insert(translation, translation.key) {
            self.used.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn grow(&self) {
        let old = self.slots.load(Ordering::Relaxed);
        // SAFETY: arrays live until `clear`.
        let live = unsafe { &(*old).slots }.iter().map(|s| s.load(Ordering::Relaxed));
        let live: Vec<_> = live.filter(|&word| word != FREE && word != REMOVED).map(pointer).collect();
        let new = Slots::new((live.len() * 4).next_power_of_two().max(FIRST_SLOTS), old);
        for &translation in &live {
            // SAFETY: as in `find`; the new array is not shared yet.
            unsafe { (*new).insert(translation, (*translation).key) };
        }
        self.used.store(live.len(), Ordering::Relaxed);
        self.slots.store(new, Ordering::Release);
    }

    /// Removes a translation. Writer.
    pub(crate) fn remove(&self, translation: &Translation) {
        let gone = word(translation, translation.key);
        for slot in self.current().probe(translation.key) {
            let found = slot.load(Ordering::Relaxed);
            if found == gone {
                slot.store(REMOVED, Ordering::Release);
                return;
            }
            if found == FREE {
                return;
            }
        }
    }

    /// Removes everything and frees outgrown arrays. Writer, with no reader at work.
    pub(crate) fn clear(&self) {
        let mut slots = self.slots.swap(Slots::new(FIRST_SLOTS, std::ptr::null_mut()), Ordering::AcqRel);
        self.used.store(0, Ordering::Relaxed);
        while !slots.is_null() {
            // SAFETY: made by `Slots::new`; the chain is walked once, and no reader is at work.
            slots = unsafe { Box::from_raw(slots) }.previous;
        }
    }
}

impl Drop for KeyTable {
    fn drop(&mut self) {
        self.clear();
        // SAFETY: the array `clear` has just made.
        drop(unsafe { Box::from_raw(self.slots.load(Ordering::Relaxed)) });
    }
}

/// Translations in the order of their host addresses: appended to by one writer, searched by anyone, signal handlers too.
pub(crate) struct AddressTable {
    /// Each twice as long as the one before.
    chunks: [AtomicPtr<Entry>; CHUNKS],
    len: AtomicUsize,
}

/// Entries of the first chunk.
const FIRST_CHUNK: usize = 256;
/// 4 million translations: more than fit the code memory.
const CHUNKS: usize = 14;

/// The chunk of an entry, its length, and which of its entries that is.
fn place(index: usize) -> (usize, usize, usize) {
    let chunk = (index / FIRST_CHUNK + 1).ilog2() as usize;
    let len = FIRST_CHUNK << chunk;
    (chunk, len, index + FIRST_CHUNK - len)
}

/// Bytes that one translation takes in both tables, that of keys being half full.
pub(crate) const ENTRIES_BYTES: usize = size_of::<Entry>() + 2 * size_of::<AtomicU64>();

/// A translation, and its host address beside it: a search that looks into each translation it passes waits for memory.
#[derive(Default)]
struct Entry {
    host: AtomicU64,
    translation: AtomicPtr<Translation>,
}

impl Default for AddressTable {
    fn default() -> AddressTable {
        AddressTable { chunks: std::array::from_fn(|_| AtomicPtr::default()), len: AtomicUsize::new(0) }
    }
}

impl AddressTable {
    /// Appends a translation behind all others. False if there is no room. Writer.
    pub(crate) fn push(&self, translation: &'static Translation) -> bool {
        let len = self.len.load(Ordering::Relaxed);
        let (chunk, chunk_len, at) = place(len);
        let Some(chunk) = self.chunks.get(chunk) else { return false };
        if chunk.load(Ordering::Relaxed).is_null() {
            let new: Box<[Entry]> = (0..chunk_len).map(|_| Entry::default()).collect();
            chunk.store(Box::into_raw(new).cast(), Ordering::Release);
        }
        // SAFETY: made above or before with this length, and never freed while `self` lives.
        let entry = unsafe { &*chunk.load(Ordering::Relaxed).add(at) };
        entry.host.store(translation.host, Ordering::Relaxed);
        entry.translation.store(std::ptr::from_ref(translation).cast_mut(), Ordering::Release);
        self.len.store(len + 1, Ordering::Release);
        true
    }

    fn get(&self, index: usize) -> &Entry {
        let (chunk, _, at) = place(index);
        // SAFETY: `index` is below `len`: chunk and entry were published before `len` was.
        unsafe { &*self.chunks[chunk].load(Ordering::Acquire).add(at) }
    }

    /// The translation whose host code contains `address`. Async-signal-safe.
    pub(crate) fn find(&self, address: u64) -> Option<&'static Translation> {
        let (mut low, mut high) = (0, self.len.load(Ordering::Acquire));
        while low < high {
            let middle = low.midpoint(high);
            if self.get(middle).host.load(Ordering::Relaxed) <= address { low = middle + 1 } else { high = middle }
        }
        // SAFETY: published before `len` was; see [`KeyTable`] for its life.
        let candidate = unsafe { &*self.get(low.checked_sub(1)?).translation.load(Ordering::Acquire) };
        (address - candidate.host < u64::from(candidate.host_len)).then_some(candidate)
    }

    /// Forgets everything. Writer, with no reader at work.
    pub(crate) fn clear(&self) {
        self.len.store(0, Ordering::Release);
    }
}

impl Drop for AddressTable {
    fn drop(&mut self) {
        for (i, chunk) in self.chunks.iter().enumerate() {
            let chunk = chunk.load(Ordering::Relaxed);
            if !chunk.is_null() {
                // SAFETY: made in `push`, with this length.
                drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(chunk, FIRST_CHUNK << i)) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::t1::Body;

    fn translation(pc: u64, host: u64) -> &'static Translation {
        let body = Body::Interp(Box::default());
        let valid = AtomicBool::new(true);
        Box::leak(Box::new(Translation {
            key: key(pc),
            host,
            host_len: 16,
            guest_len: 4,
            retreats: crate::t1::Retreats::Never,
            body,
            valid,
        }))
    }

    fn key(pc: u64) -> UnitKey {
        UnitKey { pc, mode: 3 }
    }

    #[test]
    fn keys_are_found_until_removed_through_growth() {
        let table = KeyTable::default();
        let all: Vec<_> = (0..20_000u64).map(|i| translation(i * 4, 0)).collect();
        for t in &all {
            assert!(table.find(t.key).is_none());
            table.insert(t);
        }
        for t in all.iter().step_by(3) {
            table.remove(t);
        }
        for (i, t) in all.iter().enumerate() {
            let found = table.find(t.key).map(std::ptr::from_ref);
            assert_eq!(found, (i % 3 != 0).then_some(std::ptr::from_ref(*t)));
        }
        assert!(table.find(UnitKey { pc: 4, mode: 0 }).is_none());
        table.clear();
        assert!(table.find(all[1].key).is_none());
    }

    #[test]
    fn readers_see_every_unit_while_one_writer_works() {
        let table = KeyTable::default();
        let kept = translation(0x1000, 0);
        table.insert(kept);
        std::thread::scope(|scope| {
            let readers: Vec<_> =
                (0..2).map(|_| scope.spawn(|| (0..200_000).all(|_| table.find(kept.key).is_some()))).collect();
            for i in 0..30_000u64 {
                let t = translation(0x10_0000 + i * 2, 0);
                table.insert(t);
                if i % 2 == 0 {
                    table.remove(t);
                }
            }
            assert!(readers.into_iter().all(|r| r.join().unwrap()));
        });
    }

    #[test]
    fn addresses_are_found_by_what_contains_them() {
        let table = AddressTable::default();
        assert!(table.find(0x1000).is_none());
        for i in 0..3000 {
            assert!(table.push(translation(i, 0x1000 + i * 32)));
        }
        assert!(table.find(0xfff).is_none());
        assert_eq!(table.find(0x1000).unwrap().key.pc, 0);
        assert_eq!(table.find(0x1000 + 2999 * 32 + 15).unwrap().key.pc, 2999);
        assert!(table.find(0x1000 + 7 * 32 + 16).is_none(), "between two units");
    }
}
