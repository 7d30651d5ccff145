//! Code that can change before an instruction says so, where programs have to say it.
//!
//! Most code cannot: it is of files, and not writable ([`crate::Hooks::is_constant`]); who makes it writable drops its translations. What was
//! made of other code is listed. When a program says that any code may have changed, only that is dropped, and as long as there is none,
//! generated code sees in a counter that nothing has to be done.
//!
//! A thread that stores code and then finds zero in the counter must be sure that nobody makes something of what was there before: who
//! is about to read code counts itself first, and the store is seen by all before the counter is looked at.

use std::sync::atomic::{AtomicU32, Ordering};

use ir::guest::Icache;
use ir::unit::UnitKey;

use super::translation::{Id, Translation};
use super::{Runtime, Writer};
use crate::jit::Jit;

/// The counter that generated code looks at: what is listed, and threads that read code.
#[derive(Default)]
pub(super) struct Counter(AtomicU32);

impl Counter {
    /// Where it is.
    pub(super) fn place(&self) -> *const AtomicU32 {
        &raw const self.0
    }

    /// Code is about to be read.
    pub(super) fn reading(&self) -> Reading<'_> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Reading(&self.0)
    }
}

/// While it lives, code is read to be translated or interpreted, and entered where it is found.
pub(super) struct Reading<'a>(&'a AtomicU32);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// What is made of code that can change.
#[derive(Default)]
pub(super) struct Changeable {
    translations: Vec<Id>,
    /// Pieces that threads keep for the interpreter.
    pieces: u32,
}

impl Changeable {
    fn len(&self) -> u32 {
        self.translations.len() as u32 + self.pieces
    }
}

impl Runtime {
    /// Whether the guest's `len` bytes at `key` can change before an instruction says so. Called with no lock held.
    pub(super) fn can_change(jit: &Jit, key: UnitKey, len: u32) -> bool {
        jit.guest.icache == Icache::Explicit && !jit.hooks.is_constant(key.pc, len.into())
    }

    /// Lists a translation of such code.
    pub(super) fn list(&self, writer: &mut Writer, translation: Translation) {
        if translation.set_listed() {
            writer.changeable.translations.push(translation.id(self.code.end));
            self.counter.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    /// A thread keeps a piece of such code.
    pub(super) fn list_piece(&self) {
        self.lock().changeable.pieces += 1;
        self.counter.0.fetch_add(1, Ordering::SeqCst);
    }

    /// Nothing is listed any more; what was.
    pub(super) fn take_listed(&self, writer: &mut Writer) -> Vec<Translation> {
        let listed = std::mem::take(&mut writer.changeable);
        self.counter.0.fetch_sub(listed.len(), Ordering::SeqCst);
        // SAFETY: what is listed is kept; where all are dropped, this comes before.
        let translations = listed.translations.into_iter().map(|id| unsafe { Translation::at(self.code.end, id) });
        translations.inspect(Translation::clear_listed).collect()
    }

    /// In a forked child: who was reading does not exist.
    pub(super) fn count_anew(&self, writer: &Writer) {
        self.counter.0.store(writer.changeable.len(), Ordering::SeqCst);
    }

    /// Any code that can change may have done so.
    pub(crate) fn code_changed(&self, jit: &Jit) {
        let mut writer = self.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let listed = self.take_listed(&mut writer);
        self.drop_all_of(jit, &mut writer, listed);
    }
}
