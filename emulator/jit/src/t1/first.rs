//! First executions ([`crate::JitOptions::interpret_first`]).
//!
//! Each piece of code is interpreted up to [`TIMES`] times. The thread that came to it first keeps it for that, in intermediate form. Where
//! another thread comes to it, or it has made room for others, it is translated: nothing is interpreted for long. And where much of what
//! is interpreted has to be translated all the same, what comes is translated at once.
//!
//! So is code that has changed, and that of a dropped translation that cannot be used again (see [`super::again`]): what changes as often
//! as it is executed is not worth a translation.
//!
//! A later run of the program uses its translations from the start, and translates at once as much again of what was interpreted before:
//! none takes long for it, and after a few there is nothing left to interpret.

use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use ir::GuestState;
use ir::unit::{Unit, UnitKey};

use super::{Runtime, looks_at_float_flags};
use crate::form::{self, Formed, Manner, PAGE};
use crate::interp::{self, Next, PLAIN, RETREATED};
use crate::jit::Jit;
use crate::options::Stats;
use crate::phases::{Phase, Stopwatch};
use crate::thread::Thread;

/// Executions of a piece before it is translated. To translate a short piece costs as much as to interpret it twenty times; of the
/// code of short programs two thirds are executed once, and a tenth more than eight times.
const TIMES: u8 = 8;

/// Executions of a piece that has always been come to from the one before it, past its exit. In a loop that was come to from before it,
/// such pieces are once ahead of its start; translated before that, they would end its unit, and there would be no loop in any.
const TIMES_BEHIND: u8 = TIMES + 4;

/// Where code has been executed. Addresses share bits: what seems to have been executed is translated at once.
pub(super) struct Seen {
    words: Box<[AtomicU64]>,
    /// `log2` of the bytes that share a bit.
    grain: u32,
    /// Pieces so far, and units that were translated since their number was a multiple of [`MANY`].
    pieces: AtomicU32,
    units: AtomicU32,
    /// What has not been executed yet is translated, too.
    over: AtomicBool,
    /// The same of so many units more.
    at_once: AtomicU32,
}

/// In a later run, or as many as there are translations.
pub(super) const AT_ONCE: u32 = 256;

/// When so many more pieces have been interpreted, it is looked how many units were translated meanwhile. At two fifths as many it
/// takes as long as to translate all.
const MANY: u32 = 1024;
const TOO_OFTEN: u32 = MANY * 2 / 5;

/// Enough for a million instructions side by side.
const WORDS: usize = 1 << 14;

impl Seen {
    /// The first `at_once` units are to be translated.
    pub(super) fn new(insn_align: u32, at_once: u32) -> Seen {
        // Zeros as the kernel gives them: what is not used is not touched.
        let words = Box::into_raw(vec![0u64; WORDS].into_boxed_slice());
        // SAFETY: the atomic has the size and, where addresses have 64 bits, the alignment of its integer.
        let words = unsafe { Box::from_raw(words as *mut [AtomicU64]) };
        let (pieces, units) = (AtomicU32::new(0), AtomicU32::new(0));
        let (over, at_once) = (AtomicBool::new(false), AtomicU32::new(at_once));
        Seen { words, grain: insn_align.max(2).ilog2(), pieces, units, over, at_once }
    }

    /// The word and the bit of an address.
    fn place(&self, pc: u64) -> (&AtomicU64, u64) {
        let bit = pc >> self.grain;
        (&self.words[(bit / 64) as usize % WORDS], 1 << (bit % 64))
    }

    fn contains(&self, pc: u64) -> bool {
        let (word, bit) = self.place(pc);
        word.load(Ordering::Relaxed) & bit != 0
    }

    fn insert(&self, pc: u64) {
        let (word, bit) = self.place(pc);
        word.fetch_or(bit, Ordering::Relaxed);
        let pieces = self.pieces.fetch_add(1, Ordering::Relaxed) + 1;
        if pieces.is_multiple_of(MANY) && self.units.swap(0, Ordering::Relaxed) > TOO_OFTEN {
            self.over.store(true, Ordering::Relaxed);
        }
    }

    /// In `len` bytes at `start` code may have changed: what comes to be there has not been executed. Nothing is done of a long range,
    /// where other code is to follow.
    pub(super) fn forget(&self, start: u64, len: u64) {
        if len > PAGE {
            return;
        }
        let (first, last) = (start >> self.grain, start.saturating_add(len) >> self.grain);
        for word in first / 64..=last / 64 {
            self.words[word as usize % WORDS].store(0, Ordering::Relaxed);
        }
    }

    /// A unit was translated.
    pub(super) fn translated(&self) {
        let fewer = |n: u32| n.checked_sub(1);
        if self.at_once.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer).is_err() {
            self.units.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Pieces that a thread keeps.
#[derive(Default)]
pub(super) struct Pieces {
    kept: Vec<Option<Box<Piece>>>,
    /// Where the last one ends, if the thread went on there.
    end: Option<u64>,
}

/// As many, with so many operations at most: about a kilobyte each.
const PIECES: usize = 256;
const LONGEST: usize = 64;

#[derive(Default)]
struct Piece {
    unit: Unit,
    /// See [`Runtime::generation`].
    generation: u64,
    /// Executions.
    times: u8,
    /// See [`TIMES_BEHIND`].
    behind: bool,
}

impl Pieces {
    fn place(pc: u64) -> usize {
        (pc.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) as usize % PIECES
    }

    /// Whether `key` is to be interpreted once more, if it is kept. It is not kept any longer than that.
    fn takes_more(&mut self, key: UnitKey) -> Option<bool> {
        let kept = self.kept.get_mut(Pieces::place(key.pc))?;
        let piece = kept.as_ref().filter(|piece| piece.unit.key == key)?;
        let behind = piece.behind && self.end == Some(key.pc);
        let more = piece.times < if behind { TIMES_BEHIND } else { TIMES };
        if !more {
            *kept = None;
        }
        Some(more)
    }

    fn entry(&mut self, pc: u64) -> &mut Option<Box<Piece>> {
        if self.kept.is_empty() {
            self.kept.resize_with(PIECES, || None);
        }
        &mut self.kept[Pieces::place(pc)]
    }
}

impl Piece {
    /// Makes it `unit`, which has been executed: once, or once more if it was that before.
    fn keep(&mut self, unit: &Unit, generation: u64, behind: bool) {
        let (before, always) = if self.unit == *unit { (self.times, self.behind) } else { (0, true) };
        (self.times, self.generation, self.behind) = (before + 1, generation, behind && always);
        self.unit.copy(unit);
    }
}

impl Thread {
    /// Whether what is at `key` is for the interpreter. If it was translated before, and is as it was, that is brought back instead.
    pub(super) fn interprets(&mut self, runtime: &Runtime, key: UnitKey) -> bool {
        let (Some(seen), Some(t1)) = (&runtime.seen, &mut self.t1) else { return false };
        !seen.over.load(Ordering::Relaxed)
            && seen.at_once.load(Ordering::Relaxed) == 0
            && t1.pieces.takes_more(key).unwrap_or_else(|| !seen.contains(key.pc))
            && key.mode & (PLAIN | RETREATED) == 0
            && !runtime.notices_stores()
            && runtime.by_key.find(key).is_none()
            && !runtime.image.as_ref().is_some_and(|image| image.contains(key))
            && runtime.bring_back(&self.jit, key, runtime.generation.load(Ordering::Acquire)).is_none()
    }

    /// Interprets what is at `key`, which is where the thread is, up to the first exit. Nothing if it is to be translated: instead of it a
    /// host function is called, it cannot be fetched, or all translations depend on what it does.
    pub(super) fn interpret_first(&mut self, runtime: &Runtime, key: UnitKey) -> Option<Next> {
        let jit = &*self.jit;
        let watch = jit.stopwatch();
        let pieces = &mut self.t1.as_mut()?.pieces;
        let behind = pieces.end.take() == Some(key.pc);
        let generation = runtime.generation.load(Ordering::Acquire);
        let state = &mut self.block.guest;
        let end_of =
            |unit: &Unit, pc: u64| Some(unit.key.pc.wrapping_add(unit.guest_len.into())).filter(|end| *end == pc);
        if let Some(piece) = pieces.entry(key.pc)
            && piece.unit.key == key
            && piece.generation == generation
        {
            piece.times += 1;
            piece.behind &= behind;
            let next = interpret(jit, &piece.unit, state, watch);
            pieces.end = end_of(&piece.unit, state.pc);
            return Some(next);
        }
        runtime.seen.as_ref()?.insert(key.pc);
        let _reading = runtime.counter.reading();
        let unit = piece_at(jit, runtime, key)?;
        let next = interpret(jit, &unit, state, watch);
        pieces.end = end_of(&unit, state.pc);
        if unit.insts.len() <= LONGEST {
            if Runtime::can_change(jit, key, unit.guest_len) {
                runtime.list_piece();
            }
            pieces.entry(key.pc).get_or_insert_default().keep(&unit, generation, behind);
        }
        unit.recycle();
        Some(next)
    }
}

fn interpret(jit: &Jit, unit: &Unit, state: &mut GuestState, mut watch: Stopwatch<'_>) -> Next {
    Stats::add(&jit.stats.interpreted, 1);
    let next = interp::execute(jit.guest, unit, state);
    watch.lap(Phase::Interpret);
    next
}

/// The code at `key` up to the first exit, unless it is to be translated.
fn piece_at(jit: &Jit, runtime: &Runtime, key: UnitKey) -> Option<Unit> {
    if jit.hooks.intercept(key.pc).is_some() {
        return None;
    }
    let manner = Manner { brief: true, ..Manner::of(form::MAX_INSNS) };
    let known = |next| runtime.by_key.find(next).is_some();
    let Formed::Unit { unit, .. } = form::form(jit.guest, &*jit.hooks, key, manner, known) else { return None };
    if unit.exclusive || looks_at_float_flags(&unit) {
        unit.recycle();
        return None;
    }
    Some(unit)
}
