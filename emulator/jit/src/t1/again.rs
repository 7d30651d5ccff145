//! Translations that are used again.
//!
//! Much of what is dropped was right: a page was made writable for something else on it to change, all of a cache was flushed,
//! or code was written once more as it was. So where code was dropped, it is remembered from then on what bytes translations are made
//! from, and one that was dropped is used again if its code has the same bytes when it is next come to.
//!
//! The bytes are those that were translated, not those that are there when they are looked at afterwards.

use std::sync::Mutex;
use std::sync::atomic::Ordering;

use ir::unit::UnitKey;
use rustc_hash::{FxHashMap, FxHashSet};

use super::saved::{guest_hash, hash};
use super::translation::{Id, Translation};
use super::{Runtime, Source};
use crate::form::PAGE;
use crate::interp::{PLAIN, RETREATED};
use crate::jit::Jit;
use crate::native::NativeFn;
use crate::options::Hooks;

/// What may be used again.
#[derive(Default)]
pub(super) struct Again {
    /// Numbers of the guest pages where code was dropped.
    pages: FxHashSet<u64>,
    /// Translations of what starts there, with what [`hash`] says of the bytes they were made from.
    known: FxHashMap<UnitKey, (Id, u128)>,
}

impl Again {
    /// Code was dropped.
    pub(super) fn dropped(&mut self, gone: &[Translation]) {
        self.pages.extend(gone.iter().map(|translation| translation.key().pc / PAGE));
    }

    /// `translation` of `key` was made from code of which [`hash`] says `code`.
    pub(super) fn made(&mut self, key: UnitKey, translation: Id, code: u128) {
        self.known.insert(key, (translation, code));
    }

    /// What is made of `key` from now on is another translation.
    pub(super) fn forget(&mut self, key: UnitKey) {
        self.known.remove(&key);
    }

    pub(super) fn clear(&mut self) {
        *self = Again::default();
    }

    /// Bytes of memory.
    pub(super) fn bytes(&self) -> usize {
        self.known.capacity() * size_of::<(UnitKey, (Id, u128))>() + self.pages.capacity() * size_of::<u64>()
    }
}

/// Remembers what is fetched.
pub(super) struct Recorder<'h> {
    hooks: &'h dyn Hooks,
    fetched: Mutex<Vec<(u64, Vec<u8>)>>,
}

impl Hooks for Recorder<'_> {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        let len = self.hooks.fetch(pc, buf).min(buf.len());
        let mut fetched = self.fetched.lock().unwrap_or_else(|e| e.into_inner());
        fetched.push((pc, buf[..len].to_vec()));
        len
    }

    fn intercept(&self, pc: u64) -> Option<NativeFn> {
        self.hooks.intercept(pc)
    }
}

impl<'h> Recorder<'h> {
    fn new(hooks: &'h dyn Hooks) -> Recorder<'h> {
        Recorder { hooks, fetched: Mutex::default() }
    }

    /// [`hash`] of the `len` bytes at `pc`, if they were fetched, and were the same each time.
    fn hash(self, pc: u64, len: u32) -> Option<u128> {
        let fetched = self.fetched.into_inner().unwrap_or_else(|e| e.into_inner());
        let mut code: Vec<Option<u8>> = vec![None; len as usize];
        for (start, bytes) in fetched {
            for (i, byte) in (0u64..).zip(bytes) {
                let at = start.wrapping_add(i).wrapping_sub(pc);
                if let Some(known) = usize::try_from(at).ok().and_then(|at| code.get_mut(at))
                    && known.replace(byte).is_some_and(|before| before != byte)
                {
                    return None;
                }
            }
        }
        code.into_iter().collect::<Option<Vec<u8>>>().map(|code| hash(&code))
    }
}

impl Runtime {
    /// Whether a translation of `key` may have been dropped before.
    fn may_come_back(&self, key: UnitKey) -> bool {
        self.drops.load(Ordering::Acquire) && key.mode & (PLAIN | RETREATED) == 0
    }

    /// What fetches the code of `key` for translation, if it is to be remembered.
    pub(super) fn recorder<'j>(&self, jit: &'j Jit, key: UnitKey) -> Option<Recorder<'j>> {
        let records = self.may_come_back(key) && self.lock().again.pages.contains(&(key.pc / PAGE));
        records.then(|| Recorder::new(&*jit.hooks))
    }

    /// The translation of `key` that was dropped, if it is right, the count of invalidations being `generation` before it is looked.
    pub(super) fn bring_back(&self, jit: &Jit, key: UnitKey, generation: u64) -> Option<Translation> {
        if !self.may_come_back(key) {
            return None;
        }
        let known = self.lock().again.known.get(&key).copied()?;
        // SAFETY: it is forgotten before memory is reclaimed, which waits for this thread.
        let translation = unsafe { Translation::at(self.code.end, known.0) };
        let guest_len = translation.details().guest_len;
        let _reading = self.counter.reading();
        let can_change = Runtime::can_change(jit, key, guest_len);
        if guest_hash(jit, key.pc, guest_len)? != known.1 || jit.hooks.intercept(key.pc).is_some() {
            return None;
        }
        let mut writer = self.lock();
        let same =
            self.generation.load(Ordering::Acquire) == generation && writer.again.known.get(&key) == Some(&known);
        if !same || self.by_key.find(key).is_some() {
            return None;
        }
        translation.revalidate();
        if can_change {
            self.list(&mut writer, translation);
        }
        writer.pages.insert(translation, guest_len);
        self.by_key.insert(translation, || self.world.count() <= 1);
        Some(translation)
    }
}

/// What `recorder` knows of the code of `source`, if it is of a kind that can be used again.
pub(super) fn code_of(recorder: Option<Recorder<'_>>, key: UnitKey, source: &Source<'_>) -> Option<u128> {
    match source {
        Source::Host { guest_len, checked: None, .. } => recorder?.hash(key.pc, *guest_len),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Code whose bytes are what fetching them was counted up to.
    struct Changing(Mutex<u8>);

    impl Hooks for Changing {
        fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
            let mut value = self.0.lock().unwrap();
            if pc >= 0x2000 {
                *value += 1;
            }
            buf.fill(*value);
            buf.len().min(16)
        }

        fn intercept(&self, _: u64) -> Option<NativeFn> {
            None
        }
    }

    #[test]
    fn what_was_fetched_is_known_if_it_was_all_and_one() {
        let of = |fetches: &[u64], pc, len| {
            let code = Changing(Mutex::new(7));
            let recorder = Recorder::new(&code);
            fetches.iter().for_each(|&at| assert_eq!(recorder.fetch(at, &mut [0; 32]), 16));
            recorder.hash(pc, len)
        };
        let known = |bytes: &[u8]| Some(hash(bytes));
        assert_eq!(of(&[0x1000, 0x1010, 0x1008], 0x1004, 28), known(&[7; 28]));
        assert_eq!(of(&[0x1000], 0x1004, 13), None, "not all");
        assert_eq!(of(&[0x1000], 0xfff, 4), None, "not from the start");
        assert_eq!(of(&[0x2000, 0x2010], 0x200e, 4), known(&[8, 8, 9, 9]));
        assert_eq!(of(&[0x2000, 0x2008], 0x2000, 16), None, "not the same each time");
        assert_eq!(of(&[0x2000, 0x2008], 0x2000, 8), known(&[8; 8]));
    }
}
