//! Look-up of translations: by key without locks, by host address without locks and from signal handlers.

use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use ir::unit::UnitKey;

use super::translation::{Id, Translation};

/// Translations by key. Readers take no lock; there is one writer at a time, which is the caller's to see to.
///
/// Open addressing with linear probing. Translations live until no thread can have come across them ([`super::Runtime`]
/// frees them only with all threads stopped).
pub(crate) struct KeyTable {
    /// End of code memory, from which translations are counted.
    end: u64,
    slots: AtomicPtr<Slots>,
    /// Slots that are not free, writer only.
    used: AtomicUsize,
}

struct Slots {
    slots: Box<[AtomicU32]>,
    /// The array this one replaced: readers may still be looking at it, so it lives until [`KeyTable::clear`].
    previous: *mut Slots,
}

const FIRST_SLOTS: usize = 1024;

/// A slot never used.
const FREE: u32 = 0;

/// A slot whose translation is gone: probing goes on behind it. No record is as short as that.
const REMOVED: u32 = 1;

/// Bits of a translation's identity. Those above hold part of the key's hash, so that a look-up touches hardly any translation
/// but the one it is for.
const ID_BITS: u32 = 25;
const ID: u32 = (1 << ID_BITS) - 1;
const _: () = assert!(super::code_memory::MOST / super::translation::WORD <= ID as usize + 1);

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

/// The part of a slot's word that is of the key's hash.
fn tag(key: UnitKey) -> u32 {
    (hash(key) >> 32) as u32 & !ID
}

impl Slots {
    fn new(n: usize, previous: *mut Slots) -> *mut Slots {
        let slots = (0..n).map(|_| AtomicU32::new(FREE)).collect();
        Box::into_raw(Box::new(Slots { slots, previous }))
    }

    /// The slots a key may be in, in order.
    fn probe(&self, key: UnitKey) -> impl Iterator<Item = &AtomicU32> {
        let mask = self.slots.len() - 1;
        let start = start(key);
        (0..self.slots.len()).map(move |i| &self.slots[start.wrapping_add(i) & mask])
    }

    /// Fills the first slot that can be; true if it was never used.
    fn insert(&self, id: Id, key: UnitKey) -> bool {
        for slot in self.probe(key) {
            let old = slot.load(Ordering::Relaxed);
            if old == FREE || old == REMOVED {
                slot.store(tag(key) | id, Ordering::Release);
                return old == FREE;
            }
        }
        unreachable!("the table is never full");
    }
}

impl KeyTable {
    /// For translations counted from the end of code memory, `end`.
    pub(crate) fn new(end: u64) -> KeyTable {
        let slots = AtomicPtr::new(Slots::new(FIRST_SLOTS, std::ptr::null_mut()));
        KeyTable { end, slots, used: AtomicUsize::new(0) }
    }

    fn current(&self) -> &Slots {
        // SAFETY: never null, and arrays live until `clear`, or until nobody but the writer reads.
        unsafe { &*self.slots.load(Ordering::Acquire) }
    }

    /// The translation of a slot's word that is neither free nor removed.
    fn translation(&self, word: u32) -> Translation {
        // SAFETY: see the type: a translation found in the table outlives the finder's use of it.
        unsafe { Translation::at(self.end, word & ID) }
    }

    /// The translation of a key.
    pub(crate) fn find(&self, key: UnitKey) -> Option<Translation> {
        for slot in self.current().probe(key) {
            let word = slot.load(Ordering::Acquire);
            if word == FREE {
                return None;
            }
            if word == REMOVED || word & !ID != tag(key) {
                continue;
            }
            let found = self.translation(word);
            if found.key() == key {
                return Some(found);
            }
        }
        None
    }

    /// Adds a translation whose key has none. Writer; `alone` says whether it is the only reader, too.
    pub(crate) fn insert(&self, translation: Translation, alone: impl FnOnce() -> bool) {
        let used = self.used.load(Ordering::Relaxed);
        if used * 2 >= self.current().slots.len() {
            self.grow();
            if alone() {
                self.free_outgrown();
            }
        }
        if self.current().insert(translation.id(self.end), translation.key()) {
            self.used.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn grow(&self) {
        let old = self.slots.load(Ordering::Relaxed);
        // SAFETY: arrays live until `clear`, or until nobody but the writer reads.
        let live = unsafe { &(*old).slots }.iter().map(|s| s.load(Ordering::Relaxed));
        let live: Vec<u32> = live.filter(|&word| word != FREE && word != REMOVED).collect();
        let new = Slots::new((live.len() * 4).next_power_of_two().max(FIRST_SLOTS), old);
        for &word in &live {
            // SAFETY: made above, and not shared yet.
            unsafe { (*new).insert(word & ID, self.translation(word).key()) };
        }
        self.used.store(live.len(), Ordering::Relaxed);
        self.slots.store(new, Ordering::Release);
    }

    /// Frees the arrays that were replaced. Writer, with no other reader.
    fn free_outgrown(&self) {
        // SAFETY: the current array; nobody else has a reference to it.
        let mut slots = std::mem::take(unsafe { &mut (*self.slots.load(Ordering::Relaxed)).previous });
        while !slots.is_null() {
            // SAFETY: made by `Slots::new`; the chain is walked once, and there is no other reader.
            slots = unsafe { Box::from_raw(slots) }.previous;
        }
    }

    /// Bytes of memory, outgrown arrays included. Writer.
    pub(crate) fn bytes(&self) -> usize {
        let mut bytes = 0;
        let mut slots: *const Slots = self.current();
        while !slots.is_null() {
            // SAFETY: arrays live until `clear`, or until the writer frees them.
            let array = unsafe { &*slots };
            bytes += size_of_val(&*array.slots);
            slots = array.previous;
        }
        bytes
    }

    /// Removes a translation. Writer.
    pub(crate) fn remove(&self, translation: Translation) {
        let key = translation.key();
        let gone = tag(key) | translation.id(self.end);
        for slot in self.current().probe(key) {
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
        let old = self.slots.load(Ordering::Relaxed);
        self.slots.store(Slots::new(FIRST_SLOTS, old), Ordering::Release);
        self.used.store(0, Ordering::Relaxed);
        self.free_outgrown();
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
///
/// Records of translations are in this order themselves, one behind the other, and say how long they are. So one in
/// [`STEP`] is entered.
pub(crate) struct AddressTable {
    /// End of code memory.
    end: u64,
    /// Each twice as long as the one before.
    chunks: [AtomicPtr<Entry>; CHUNKS],
    len: AtomicUsize,
    /// How many translations there are with host code, and the latest of all, as an [`Id`].
    count: AtomicUsize,
    latest: AtomicU32,
}

/// Translations for each of which there is an entry.
const STEP: usize = 4;
/// Entries of the first chunk.
const FIRST_CHUNK: usize = 256;
/// 16 million translations: more than fit the code memory.
const CHUNKS: usize = 14;

/// The chunk of an entry, its length, and which of its entries that is.
fn place(index: usize) -> (usize, usize, usize) {
    let chunk = (index / FIRST_CHUNK + 1).ilog2() as usize;
    let len = FIRST_CHUNK << chunk;
    (chunk, len, index + FIRST_CHUNK - len)
}

/// A translation, and beside it how far its host address is from the end of code memory: a search that looks into each
/// translation it passes waits for memory.
#[derive(Default)]
struct Entry {
    before_end: AtomicU32,
    translation: AtomicU32,
}

impl AddressTable {
    /// For translations counted from the end of code memory, `end`.
    pub(crate) fn new(end: u64) -> AddressTable {
        let chunks = std::array::from_fn(|_| AtomicPtr::default());
        AddressTable { end, chunks, len: AtomicUsize::new(0), count: AtomicUsize::new(0), latest: AtomicU32::new(0) }
    }

    /// Appends a translation behind all others. False if there is no room. Writer.
    pub(crate) fn push(&self, translation: Translation) -> bool {
        let (host, id) = (translation.host(), translation.id(self.end));
        if host != 0 && self.count.fetch_add(1, Ordering::Relaxed).is_multiple_of(STEP) && !self.enter(host, id) {
            return false;
        }
        self.latest.store(id, Ordering::Release);
        true
    }

    fn enter(&self, host: u64, id: Id) -> bool {
        let len = self.len.load(Ordering::Relaxed);
        let (chunk, chunk_len, at) = place(len);
        let Some(chunk) = self.chunks.get(chunk) else { return false };
        if chunk.load(Ordering::Relaxed).is_null() {
            let new: Box<[Entry]> = (0..chunk_len).map(|_| Entry::default()).collect();
            chunk.store(Box::into_raw(new).cast(), Ordering::Release);
        }
        // SAFETY: made above or before with this length, and never freed while `self` lives.
        let entry = unsafe { &*chunk.load(Ordering::Relaxed).add(at) };
        entry.before_end.store((self.end - host) as u32, Ordering::Relaxed);
        entry.translation.store(id, Ordering::Relaxed);
        self.len.store(len + 1, Ordering::Release);
        true
    }

    fn get(&self, index: usize) -> &Entry {
        let (chunk, _, at) = place(index);
        // SAFETY: `index` is below `len`: chunk and entry were published before `len` was.
        unsafe { &*self.chunks[chunk].load(Ordering::Acquire).add(at) }
    }

    /// The latest translation.
    pub(crate) fn latest(&self) -> Option<Translation> {
        let id = self.latest.load(Ordering::Acquire);
        // SAFETY: published before `latest` was; see [`KeyTable`] for its life.
        (id != 0).then(|| unsafe { Translation::at(self.end, id) })
    }

    /// The translation whose host code contains `address`. Async-signal-safe.
    pub(crate) fn find(&self, address: u64) -> Option<Translation> {
        let before_end = u32::try_from(self.end.checked_sub(address)?).ok()?;
        let len = self.len.load(Ordering::Acquire);
        let (mut low, mut high) = (0, len);
        while low < high {
            let middle = low.midpoint(high);
            let reached = self.get(middle).before_end.load(Ordering::Relaxed) >= before_end;
            if reached { low = middle + 1 } else { high = middle }
        }
        let mut candidate = if low == len {
            self.latest()?
        } else {
            // SAFETY: published before `len` was; see [`KeyTable`] for its life.
            unsafe { Translation::at(self.end, self.get(low).translation.load(Ordering::Relaxed)) }.before(self.end)?
        };
        loop {
            let host = candidate.host();
            if host != 0 && host <= address {
                return (address - host < candidate.details().host_len.into()).then_some(candidate);
            }
            candidate = candidate.before(self.end)?;
        }
    }

    /// Bytes of memory.
    pub(crate) fn bytes(&self) -> usize {
        let made = |(i, chunk): (usize, &AtomicPtr<Entry>)| match chunk.load(Ordering::Relaxed).is_null() {
            true => 0,
            false => (FIRST_CHUNK << i) * size_of::<Entry>(),
        };
        self.chunks.iter().enumerate().map(made).sum()
    }

    /// Forgets everything. Writer, with no reader at work.
    pub(crate) fn clear(&self) {
        self.latest.store(0, Ordering::Release);
        self.len.store(0, Ordering::Release);
        self.count.store(0, Ordering::Release);
    }
}

impl Drop for AddressTable {
    fn drop(&mut self) {
        for (i, chunk) in self.chunks.iter().enumerate() {
            let chunk = chunk.load(Ordering::Relaxed);
            if !chunk.is_null() {
                // SAFETY: made in `enter`, with this length.
                drop(unsafe { Box::from_raw(std::ptr::slice_from_raw_parts_mut(chunk, FIRST_CHUNK << i)) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::t1::code_memory::CodeMemory;
    use crate::t1::translation::{Contents, Extra};

    /// Code memory for translations that differ in their addresses only.
    struct Memory(CodeMemory);

    impl Memory {
        fn new() -> Memory {
            Memory(CodeMemory::new(8 << 20).unwrap())
        }

        fn end(&self) -> u64 {
            self.0.range().end
        }

        fn translation(&mut self, pc: u64, host: u64) -> Translation {
            Contents { key: key(pc), host, host_len: 16, guest_len: 4, ..Contents::default() }
                .record(&mut self.0, &mut Vec::new())
                .unwrap()
        }
    }

    fn key(pc: u64) -> UnitKey {
        UnitKey { pc, mode: 3 }
    }

    #[test]
    fn keys_are_found_until_removed_through_growth() {
        let mut memory = Memory::new();
        let table = KeyTable::new(memory.end());
        let all: Vec<_> = (0..20_000u64).map(|i| memory.translation(i * 4, memory.end() - 0x1000)).collect();
        for (i, t) in all.iter().enumerate() {
            assert!(table.find(t.key()).is_none());
            table.insert(*t, || i % 2 == 0);
        }
        for t in all.iter().step_by(3) {
            table.remove(*t);
        }
        for (i, t) in all.iter().enumerate() {
            assert!(table.find(t.key()) == (i % 3 != 0).then_some(*t));
        }
        assert!(table.find(UnitKey { pc: 4, mode: 0 }).is_none());
        table.clear();
        assert!(table.find(all[1].key()).is_none());
    }

    #[test]
    fn outgrown_arrays_are_freed_if_nobody_else_can_be_reading() {
        let mut memory = Memory::new();
        for (alone, most) in [(true, 8), (false, 16)] {
            let table = KeyTable::new(memory.end());
            (0..10_000u64).for_each(|i| table.insert(memory.translation(i * 4, memory.end() - 64), || alone));
            let each = table.bytes() / 10_000;
            assert!((most / 2..=most * 2).contains(&each), "{each} bytes each");
        }
    }

    #[test]
    fn readers_see_every_unit_while_one_writer_works() {
        let mut memory = Memory::new();
        let (table, host) = (KeyTable::new(memory.end()), memory.end() - 64);
        let kept = memory.translation(0x1000, host);
        table.insert(kept, || false);
        let table = &table;
        std::thread::scope(|scope| {
            let key = kept.key();
            let readers: Vec<_> =
                (0..2).map(|_| scope.spawn(move || (0..200_000).all(|_| table.find(key).is_some()))).collect();
            for i in 0..30_000u64 {
                let t = memory.translation(0x10_0000 + i * 2, host);
                table.insert(t, || false);
                if i % 2 == 0 {
                    table.remove(t);
                }
            }
            assert!(readers.into_iter().all(|r| r.join().unwrap()));
        });
    }

    #[test]
    fn addresses_are_found_by_what_contains_them() {
        let mut memory = Memory::new();
        let table = AddressTable::new(memory.end());
        let base = memory.0.base();
        assert!(table.find(base).is_none());
        for i in 0..3000u64 {
            if i % 7 == 0 {
                let function = Contents {
                    key: key(1 << 40),
                    extra: Some(Extra::Interp(Default::default())),
                    ..Default::default()
                };
                assert!(table.push(function.record(&mut memory.0, &mut Vec::new()).unwrap()));
            }
            assert!(table.push(memory.translation(i, base + 64 + i * 32)));
            assert!(i % 100 != 0 || (0..=i).all(|k| table.find(base + 64 + k * 32).unwrap().key().pc == k));
        }
        assert!(table.find(base + 63).is_none());
        assert_eq!(table.find(base + 64 + 2999 * 32 + 15).unwrap().key().pc, 2999);
        assert!(table.find(base + 64 + 2999 * 32 + 16).is_none());
        assert!(table.find(base + 64 + 7 * 32 + 16).is_none(), "between two units");
        assert!(table.find(memory.end()).is_none() && table.find(memory.end() + 64).is_none());
    }
}
