//! Translations as host code: making, finding, linking and dropping them.
//!
//! # Who may do what
//! * Looking up by key or by host address takes no lock.
//! * Everything that changes a table, a link or code memory holds [`Runtime::writer`]. Lock order: gate, writer, registry of
//!   threads, a thread's jump cache. No lock is held while the embedder is called or code is compiled.
//! * A translation, once published, stays executable: a thread may be inside it, or have a landing pad of it on its return stack.
//!   Invalidation takes it out of the tables and unlinks what leads to it. Memory is reclaimed only by
//!   [`Runtime::flush`], with all threads out of generated code and their return stacks emptied.

mod again;
mod changeable;
mod code_memory;
mod dispatch;
mod entries;
mod fault;
mod first;
mod float;
mod incoming;
mod invalid;
mod jump_cache;
mod noticing;
mod pages;
mod return_stack;
mod sample;
mod saved;
mod sharing;
mod table;
mod translation;
mod world;

use std::borrow::Cow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ir::Guest;
use ir::exclusives;
use ir::guest::Tininess;
use ir::inst::Op;
use ir::unit::{Unit, UnitKey};
use rustc_hash::FxHashSet;

use crate::direct_calls::{self, DirectCall};
use crate::form::{self, Formed, Manner};
use crate::interp::{PLAIN, RETREATED, SCALAR, SHORTER};
use crate::jit::Jit;
use crate::native::NativeFn;
use crate::options::{Hooks, JitOptions, Stats};
use crate::phases::{Phase, Stopwatch};
use crate::profile::Profile;
use crate::x64::stubs::{self, Stubs};
use crate::x64::{
    CALL, CompileError, Compiled, Compiler, Convention, EntryChecks, FaultTable, Features, Interlock, JUMP, Link,
    LinkKind, Reloc, relocate,
};

use again::Again;
use code_memory::{CodeMemory, Full};
use incoming::Incoming;
use pages::Pages;
use saved::{Image, Origin};
use table::{AddressTable, KeyTable};

pub(crate) use dispatch::Engine;
pub(crate) use entries::ENTRIES;
pub(crate) use fault::{handle as handle_fault, leave_native, rewind_call};
pub use saved::Saved;
use translation::{Body, Contents, Extra, Retreats, Translation};
use world::World;

/// Why there is no translation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Miss {
    /// Nothing executable at this address.
    FetchFault(u64),
    /// Code memory is full, or translations are of the wrong kind: all have to be dropped.
    Full,
    /// The guest looks at its floating-point flags: see [`Runtime::become_exact`].
    Inexact,
}

/// The translations of a process.
pub(crate) struct Runtime {
    conv: Convention,
    features: Features,
    /// See [`JitOptions::prove`].
    prove: bool,
    /// See [`JitOptions::times`].
    times: bool,
    /// Entries for the stub that makes system calls.
    direct_calls: Box<[u64]>,
    /// The guest has operations on numbers of 80 bits.
    extended: bool,
    stubs: Stubs,
    code: std::ops::Range<u64>,
    by_key: KeyTable,
    by_address: AddressTable,
    /// See [`changeable`].
    counter: changeable::Counter,
    /// Counts invalidations: a unit formed under an older count may be stale.
    generation: AtomicU64,
    writer: Mutex<Writer>,
    /// Threads that execute generated code.
    world: World,
    /// See [`Runtime::must_become_exact`]. Changes while no thread is inside.
    exact_underflow: AtomicBool,
    trapping: invalid::Trapping,
    /// See [`Runtime::must_notice_stores`].
    noticing: noticing::Noticing,
    /// Whether [`Writer::masked`] has any.
    masks: AtomicBool,
    /// Whether [`Writer::careful`] or [`Writer::hot`] has any.
    learned: AtomicBool,
    /// Whether code was dropped because it may have changed.
    drops: AtomicBool,
    /// What has been executed, if the interpreter comes first.
    seen: Option<first::Seen>,
    /// Translations of an earlier process.
    image: Option<Image>,
    /// Keep of translations what is needed to save them, in an image of this identity.
    saves_as: Option<u128>,
}

/// What changes, under the one lock.
struct Writer {
    memory: CodeMemory,
    /// Bytes of code memory that the stubs take.
    stubs_len: usize,
    pages: Pages,
    /// Links that lead to translations.
    incoming: Incoming,
    /// Translations that may be used again.
    again: Again,
    changeable: changeable::Changeable,
    /// Where records are put together.
    buffer: Vec<u8>,
    /// Units that have met pointers with a top byte to be ignored, and leave it out from then on.
    masked: FxHashSet<UnitKey>,
    /// Units that have assumed too much about the state at their entry, and assume nothing from then on.
    careful: FxHashSet<UnitKey>,
    /// Loops that are hot.
    hot: FxHashSet<UnitKey>,
    /// What to change once memory is shared, by addresses; `None` when it is.
    alone: Option<Vec<(Place, u8)>>,
}

/// An address in code memory, relative to its start: there are many of them.
type Place = u32;

impl Runtime {
    /// `None` if there is no memory for generated code.
    pub(crate) fn new(guest: &'static Guest, options: JitOptions, direct: &[DirectCall]) -> Option<Runtime> {
        let conv = Convention::new(guest);
        let mut memory = CodeMemory::new(options.code_memory)?;
        let (code, stubs) = stubs::emit(guest, &conv, memory.base());
        let at = memory.publish(&code, |_, _| {});
        assert_eq!(at, Ok(memory.base()), "the stubs come first");
        let (code, stubs_len) = (memory.range(), memory.used());
        let writer = Writer {
            memory,
            stubs_len,
            pages: Pages::new(code.end),
            incoming: Incoming::default(),
            again: Again::default(),
            changeable: changeable::Changeable::default(),
            buffer: Vec::new(),
            masked: FxHashSet::default(),
            careful: FxHashSet::default(),
            hot: FxHashSet::default(),
            alone: Some(Vec::new()),
        };
        let image = options.saved.and_then(|saved| Image::open(&saved));
        let at_once = image.as_ref().map_or(0, |image: &Image| first::AT_ONCE.max(image.len() as u32));
        Some(Runtime {
            conv,
            features: options.features.unwrap_or_else(Features::host),
            prove: options.prove,
            times: options.times,
            direct_calls: direct_calls::table(direct),
            extended: guest.helpers.iter().any(|helper| helper.extended.is_some()),
            stubs,
            by_key: KeyTable::new(code.end),
            by_address: AddressTable::new(code.end),
            code,
            counter: changeable::Counter::default(),
            generation: AtomicU64::new(0),
            writer: Mutex::new(writer),
            world: World::default(),
            exact_underflow: AtomicBool::new(options.exact_underflow || options.check),
            trapping: invalid::Trapping::new(options.trap_invalid),
            noticing: noticing::Noticing::default(),
            masks: AtomicBool::new(false),
            learned: AtomicBool::new(false),
            drops: AtomicBool::new(false),
            seen: options.interpret_first.then(|| first::Seen::new(guest.insn_align, at_once)),
            image,
            saves_as: options.saved.map(|saved| saved.identity),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A compiler for one thread.
    fn compiler(&self, guest: &'static Guest) -> Compiler {
        let mut compiler = Compiler::new(guest, self.conv.clone(), self.features);
        compiler.prove |= self.prove;
        compiler.times = self.times;
        compiler
    }

    /// The translation of `key`, made if there is none.
    fn obtain(&self, jit: &Jit, compiler: &mut Compiler, key: UnitKey) -> Result<Translation, Miss> {
        if let Some(found) = self.by_key.find(key) {
            return Ok(found);
        }
        let _reading = self.counter.reading();
        loop {
            let generation = self.generation.load(Ordering::Acquire);
            if let Some(translation) = self.bring_back(jit, key, generation) {
                return Ok(translation);
            }
            let mut watch = jit.stopwatch();
            let recorder = self.recorder(jit, key);
            let hooks = recorder.as_ref().map_or(&*jit.hooks, |recorder| recorder);
            let source = self.make(jit, hooks, compiler, key, &mut watch)?;
            let code = again::code_of(recorder, key, &source);
            let can_change = Runtime::can_change(jit, key, source.guest_len());
            let mut writer = self.lock();
            // Guest code that changed while it was read must not be kept.
            if self.generation.load(Ordering::Acquire) != generation {
                continue;
            }
            // Another thread may have been faster.
            if let Some(found) = self.by_key.find(key) {
                return Ok(found);
            }
            let published = self.publish(jit, &mut writer, key, source).map_err(|Full| Miss::Full);
            if let (Ok(translation), Some(code)) = (published, code) {
                writer.again.made(key, translation.id(self.code.end), code);
            }
            if let (Ok(translation), true) = (published, can_change) {
                self.list(&mut writer, translation);
            }
            watch.lap(Phase::Publish);
            return published;
        }
    }

    /// Forms and compiles, with no lock held.
    fn make<'c>(
        &self,
        jit: &Jit,
        hooks: &dyn Hooks,
        compiler: &'c mut Compiler,
        key: UnitKey,
        watch: &mut Stopwatch<'_>,
    ) -> Result<Source<'c>, Miss> {
        let notices = self.notices_stores().then(|| jit.watched.table());
        if key.mode & (PLAIN | RETREATED) == 0
            && notices.is_none()
            && let Some(function) = jit.hooks.intercept(key.pc)
            && let Some(ready) = jit.natives.ready(jit.guest, &function)
        {
            if compiler.compile_thunk(key, ready, jit.options.measure_natives) {
                return Ok(Source::host(compiler.output(), NATIVE_LEN, None, None));
            }
            return Ok(Source::Native(function));
        }
        let plain = UnitKey { mode: key.mode & !(PLAIN | RETREATED), ..key };
        // A function that is intercepted would be again, if it were left at its entry.
        let (careful, hot) = self.learned(plain);
        compiler.careful = key.mode & PLAIN != 0 || careful;
        // What is only checked is to be what runs for long.
        let unrolls = hot || jit.options.check;
        compiler.count_turns = !unrolls;
        let saved = if careful || hot { None } else { self.find_saved(jit, key) };
        watch.lap(Phase::Load);
        if let Some(source) = saved {
            return Ok(source);
        }
        let masks = self.masks.load(Ordering::Acquire) && self.lock().masked.contains(&key);
        let names = jit.options.trace.ir || jit.options.check;
        let may = unrolls && key.mode & (PLAIN | SCALAR) == 0 && !masks && notices.is_none() && self.features.avx2;
        if may && let Some((guest_len, retreats, floats, checked)) = self.make_vectors(jit, hooks, compiler, key, watch)
        {
            return Ok(Source::host(compiler.output(), guest_len, checked, None)
                .retreating(retreats)
                .computing(floats));
        }
        let turns = if unrolls { form::TURNS } else { 1 };
        let mut manner = Manner { masks, turns, names, notices, ..Manner::of(form::MAX_INSNS) };
        loop {
            // Of a loop that was come to in its middle, the rest is translated again with its start: else it would never turn.
            let known = |next| self.by_key.find(next).is_some_and(|unit| !unit.goes_on_to(plain));
            let (unit, insns) = match form::form(jit.guest, hooks, plain, manner, known) {
                Formed::Unit { unit, insns } => (unit, insns),
                Formed::FetchFault { addr } => return Err(Miss::FetchFault(addr)),
            };
            if self.must_become_exact(jit.guest, &unit) {
                return Err(Miss::Inexact);
            }
            if notices.is_none() && self.must_notice_stores(&unit) {
                return Err(Miss::Full);
            }
            if notices.is_some() && manner.step_at.is_none() {
                manner.step_at = exclusives::first_sensitive(&unit);
                if manner.step_at.is_some() {
                    continue;
                }
            }
            watch.lap(Phase::Form);
            self.set_policies(compiler);
            compiler.counter = jit.options.profile.then(Profile::counter);
            let compiled = compiler.compile(&unit).map(|_| ());
            watch.lap_at(Phase::Analyse, compiler.analysed);
            watch.lap(Phase::Emit);
            match compiled {
                Ok(()) => {
                    if let Some(entered) = compiler.counter {
                        jit.profile.add(key, insns, compiler.output().code.len() as u32, entered);
                    }
                    jit.count_unit(&unit, insns);
                    if let Some(seen) = &self.seen {
                        seen.translated();
                    }
                    jit.options.trace.unit(jit.guest, &*jit.hooks, &unit, Some(compiler.output()));
                    let guest_len = unit.guest_len;
                    let special = masks
                        || compiler.careful
                        || key != plain
                        || notices.is_some()
                        || exclusives::is_sensitive(&unit);
                    let origin = if special { None } else { self.origin(jit, key, guest_len, compiler) };
                    let floats = has_floats(&unit);
                    let checked = Runtime::keep(jit, unit);
                    return Ok(Source::host(compiler.output(), guest_len, checked, origin).computing(floats));
                }
                Err(CompileError::TooManyLive) if insns > 1 => manner.limit = insns / 2,
                Err(_) => {
                    jit.count_unit(&unit, insns);
                    jit.options.trace.unit(jit.guest, &*jit.hooks, &unit, None);
                    return Ok(Source::Interp(unit));
                }
            }
        }
    }

    /// Makes vectors of the turns of a loop, if there are any to be made.
    fn make_vectors(
        &self,
        jit: &Jit,
        hooks: &dyn Hooks,
        compiler: &mut Compiler,
        key: UnitKey,
        watch: &mut Stopwatch<'_>,
    ) -> Option<(u32, Retreats, bool, Option<Unit>)> {
        let plain = UnitKey { mode: key.mode & !SHORTER, ..key };
        let shorter = key != plain;
        let choices = &form::VECTOR_TURNS[usize::from(shorter)..];
        let (mut unit, insns) = choices.iter().find_map(|&turns| {
            let manner = Manner { turns, ..Manner::of(form::VECTOR_INSNS) };
            let Formed::Unit { unit, insns } = form::form(jit.guest, hooks, plain, manner, |_| false) else {
                return None;
            };
            let vectors = ir::vectorise(jit.guest, &unit);
            unit.recycle();
            compiler.retreats_to = if turns == form::VECTOR_TURNS[0] { SHORTER } else { SCALAR };
            Some((vectors?, insns))
        })?;
        watch.lap(Phase::Form);
        unit.guest_len = unit.guest_len.max(1);
        self.set_policies(compiler);
        compiler.counter = jit.options.profile.then(Profile::counter);
        compiler.compile(&unit).ok()?;
        watch.lap_at(Phase::Analyse, compiler.analysed);
        watch.lap(Phase::Emit);
        if let Some(entered) = compiler.counter {
            jit.profile.add(key, insns, compiler.output().code.len() as u32, entered);
        }
        jit.count_unit(&unit, insns);
        jit.options.trace.unit(jit.guest, &*jit.hooks, &unit, Some(compiler.output()));
        let guest_len = unit.guest_len;
        let keeps = unit.insts.iter().any(|inst| inst.op == Op::Keepfflags);
        let retreats = if keeps { Retreats::KeepingFlags } else { Retreats::Always };
        Some((guest_len, retreats, has_floats(&unit), Runtime::keep(jit, unit)))
    }

    /// What of a compiled unit is still needed; the rest is used again.
    fn keep(jit: &Jit, unit: Unit) -> Option<Unit> {
        if jit.options.check {
            return Some(unit);
        }
        unit.recycle();
        None
    }

    /// How floating-point operations are translated now.
    fn set_policies(&self, compiler: &mut Compiler) {
        let policies = self.float_policies();
        (compiler.exact_underflow, compiler.traps_invalid) = (policies.exact, policies.traps);
    }

    fn float_policies(&self) -> float::Policies {
        float::Policies { traps: self.traps_invalid(), exact: self.exact_underflow.load(Ordering::Acquire) }
    }

    /// The host code of a unit once more, to be looked at.
    pub(crate) fn compile_again(&self, jit: &Jit, unit: &Unit) -> Option<Compiled> {
        let mut compiler = self.compiler(jit.guest);
        self.set_policies(&mut compiler);
        compiler.compile(unit).ok().cloned()
    }

    /// The unit `key` has used a pointer whose top byte does not count, which the host does not accept as an address: from
    /// now on it computes the addresses. Units that never do pay nothing.
    fn mask_pointers(&self, jit: &Jit, key: UnitKey) {
        {
            let mut writer = self.lock();
            writer.masked.insert(key);
            writer.again.forget(key);
        }
        self.masks.store(true, Ordering::Release);
        self.invalidate(jit, key.pc, 1);
    }

    /// The unit `key` has assumed something of its entry that was wrong: it is made again without.
    fn be_careful(&self, jit: &Jit, key: UnitKey) {
        self.learn(jit, key, |writer| &mut writer.careful);
    }

    /// The unit `key` is a loop that has turned often: it is made again, unrolled.
    fn unroll(&self, jit: &Jit, key: UnitKey) {
        self.learn(jit, key, |writer| &mut writer.hot);
    }

    /// Makes the unit again if that is new.
    fn learn(&self, jit: &Jit, key: UnitKey, set: impl Fn(&mut Writer) -> &mut FxHashSet<UnitKey>) {
        let mut writer = self.lock();
        if set(&mut writer).insert(key) {
            self.learned.store(true, Ordering::Release);
            self.generation.fetch_add(1, Ordering::AcqRel);
            let keys = [0, SHORTER, SCALAR].map(|bit| UnitKey { mode: key.mode | bit, ..key });
            writer.again.forget(key);
            let found = keys.into_iter().filter_map(|key| self.by_key.find(key));
            let stale: Vec<_> = found.filter(Translation::invalidate).collect();
            self.forget(jit, &mut writer, &stale);
        }
    }

    /// Whether the unit is to be careful, and whether it is hot.
    fn learned(&self, key: UnitKey) -> (bool, bool) {
        if !self.learned.load(Ordering::Acquire) {
            return (false, false);
        }
        let writer = self.lock();
        (writer.careful.contains(&key), writer.hot.contains(&key))
    }

    /// Whether the guest is about to look at its floating-point flags for the first time. The host detects underflow after
    /// rounding; for guests that do it before, translations made so far leave out the flag of results that round up to
    /// the smallest normal number. Once they have been dropped they are made exactly.
    fn must_become_exact(&self, guest: &Guest, unit: &Unit) -> bool {
        guest.fp.tininess == Tininess::Before
            && !self.exact_underflow.load(Ordering::Acquire)
            && looks_at_float_flags(unit)
    }

    /// Drops translations that compute floating-point numbers: from here on they are made exactly. The others are as they would be
    /// made again. The caller is not in generated code and holds no translation.
    pub(crate) fn become_exact(&self, jit: &Jit) {
        let stopped = self.world.stop();
        if !self.exact_underflow.swap(true, Ordering::AcqRel) {
            let mut writer = self.lock();
            self.generation.fetch_add(1, Ordering::AcqRel);
            let mut gone: Vec<_> = self.all(&writer).filter(Translation::has_floats).collect();
            gone.iter().for_each(|translation| writer.again.forget(translation.key()));
            gone.retain(Translation::invalidate);
            self.forget(jit, &mut writer, &gone);
        }
        drop(stopped);
    }

    fn publish(&self, jit: &Jit, writer: &mut Writer, key: UnitKey, source: Source<'_>) -> Result<Translation, Full> {
        let used = writer.memory.used();
        let mut contents = Contents { key, ..Contents::default() };
        let published = match source {
            Source::Host {
                code,
                relocs,
                interlocks,
                links,
                checks,
                faults,
                guest_len,
                checked,
                origin,
                retreats,
                floats,
            } => {
                let adjust = |copy: &mut [u8], base| relocate(&relocs, &links, copy, base, &self.stubs);
                (contents.host, contents.host_len) = (writer.memory.publish(&code, adjust)?, code.len() as u32);
                writer.interlock(contents.host, &interlocks);
                (contents.retreats, contents.floats, contents.interlocks) = (retreats, floats, &interlocks);
                (contents.links, contents.relocs, contents.faults) = (&links, &relocs, faults.bytes());
                (contents.checks, contents.guest_len, contents.origin) = (checks, guest_len, origin);
                contents.extra = checked.map(Extra::Checked);
                self.record(writer, contents)?
            }
            Source::Interp(unit) => {
                (contents.guest_len, contents.extra) = (unit.guest_len, Some(Extra::Interp(unit)));
                self.record(writer, contents)?
            }
            Source::Native(function) => {
                (contents.guest_len, contents.extra) = (NATIVE_LEN, Some(Extra::Native(function)));
                self.record(writer, contents)?
            }
        };
        Stats::add(&jit.stats.code_bytes, (writer.memory.used() - used) as u64);
        Ok(published)
    }

    /// Enters a translation, whose code is in its place, into the tables.
    fn record(&self, writer: &mut Writer, contents: Contents<'_>) -> Result<Translation, Full> {
        let guest_len = contents.guest_len;
        let translation = contents.record(&mut writer.memory, &mut writer.buffer)?;
        if !self.by_address.push(translation) {
            return Err(Full);
        }
        writer.pages.insert(translation, guest_len);
        self.by_key.insert(translation, || self.world.count() <= 1);
        Ok(translation)
    }

    /// The link that ends at `site`, with the translation it is in.
    fn link_at(&self, site: u64) -> Option<(Translation, Link)> {
        let from = self.by_address.find(site - 1)?;
        let link = from.details().links().find(|link| from.host() + u64::from(link.at) + 4 == site)?;
        Some((from, link))
    }

    /// Makes the link `link` of `from` lead to `target`, unless `target` has become stale.
    fn link(&self, from: Translation, link: &Link, target: Translation) {
        let mut writer = self.lock();
        if target.is_valid() && target.host() != 0 {
            let entry = target.host() + u64::from(target.details().checks.enter(link.boxes));
            let field = from.host() + u64::from(link.at);
            writer.memory.patch(field, if link.kind == LinkKind::Call { CALL } else { JUMP }, entry);
            writer.incoming.add(target, self.place(field));
        }
    }

    /// Of a host address in code memory.
    fn place(&self, host: u64) -> Place {
        (host - self.code.start) as Place
    }

    /// Drops translations with guest bytes in the range.
    pub(crate) fn invalidate(&self, jit: &Jit, start: u64, len: u64) {
        let mut writer = self.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        let gone = writer.pages.in_range(start, len);
        if let Some(seen) = &self.seen {
            seen.forget(start, len);
        }
        self.drop_all_of(jit, &mut writer, gone);
    }

    /// Drops these translations: their code may have changed.
    fn drop_all_of(&self, jit: &Jit, writer: &mut Writer, mut gone: Vec<Translation>) {
        gone.retain(Translation::invalidate);
        if !gone.is_empty() {
            writer.again.dropped(&gone);
            self.drops.store(true, Ordering::Release);
        }
        self.forget(jit, writer, &gone);
    }

    /// Takes translations that are no longer valid out of the tables and unlinks them.
    fn forget(&self, jit: &Jit, writer: &mut Writer, gone: &[Translation]) {
        for &translation in gone {
            self.by_key.remove(translation);
            writer.pages.remove(translation);
            let Writer { memory, incoming, .. } = &mut *writer;
            incoming.take(translation, |field| memory.patch(self.code.start + u64::from(field), CALL, self.stubs.link));
        }
        if !gone.is_empty() {
            self.world.forget(&gone.iter().map(Translation::key).collect::<Vec<_>>());
            Stats::add(&jit.stats.invalidated, gone.len() as u64);
        }
    }

    /// All translations that have been made since everything was last dropped, the latest first.
    fn all(&self, _: &Writer) -> impl Iterator<Item = Translation> + use<> {
        let end = self.code.end;
        std::iter::successors(self.by_address.latest(), move |translation| translation.before(end))
    }

    /// Bytes of everything about translations but their code.
    fn table_bytes(&self, writer: &Writer) -> u64 {
        let tables = self.by_key.bytes() + self.by_address.bytes();
        (writer.memory.recorded() + writer.pages.bytes() + writer.incoming.bytes() + writer.again.bytes() + tables)
            as u64
    }

    /// The same, for those that are kept now.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.table_bytes(&self.lock())
    }

    /// Drops everything and reuses the memory. The caller is not in generated code and holds no translation.
    pub(crate) fn flush(&self, jit: &Jit) {
        self.flush_and(jit, || {});
    }

    /// The same; does `change` while no thread is inside.
    fn flush_and(&self, jit: &Jit, change: impl FnOnce()) {
        let stopped = self.world.stop();
        change();
        let mut writer = self.lock();
        self.generation.fetch_add(1, Ordering::AcqRel);
        Stats::add(&jit.stats.table_bytes, self.table_bytes(&writer));
        self.take_listed(&mut writer);
        for translation in self.all(&writer) {
            // SAFETY: no table refers to it from here on, and no thread is where it could hold one.
            unsafe { translation.free() };
        }
        self.by_key.clear();
        self.by_address.clear();
        writer.pages.clear();
        writer.incoming.clear();
        writer.again.clear();
        writer.alone.iter_mut().for_each(Vec::clear);
        let stubs_len = writer.stubs_len;
        writer.memory.reset(stubs_len);
        Stats::add(&jit.stats.flushes, 1);
        drop(writer);
        drop(stopped);
    }

    /// Held across `fork`: all locks, in their order.
    pub(crate) fn freeze(&self) -> Frozen<'_> {
        let gate = self.world.close_gate();
        let writer = self.lock();
        Frozen { runtime: self, registry: self.world.registry(), writer, _gate: gate }
    }
}

/// The runtime's locks, held across `fork`.
pub(crate) struct Frozen<'a> {
    runtime: &'a Runtime,
    registry: world::Registry<'a>,
    writer: MutexGuard<'a, Writer>,
    _gate: MutexGuard<'a, ()>,
}

impl Frozen<'_> {
    /// In the child: only the calling thread exists.
    pub(crate) fn in_child(&mut self) {
        self.registry.keep_caller();
        self.runtime.count_anew(&self.writer);
    }
}

/// Whether the unit's code depends on [`float::Policies`].
fn has_floats(unit: &Unit) -> bool {
    unit.insts.iter().any(|inst| inst.op.is_float())
}

fn looks_at_float_flags(unit: &Unit) -> bool {
    unit.insts.iter().any(|inst| matches!(inst.op, Op::Fflags | Op::Setfflags))
}

/// Guest bytes whose change ends the replacement of a function: those of any first instruction.
const NATIVE_LEN: u32 = 1;

/// A translation before it is published.
enum Source<'c> {
    Host {
        code: Cow<'c, [u8]>,
        relocs: Cow<'c, [Reloc]>,
        interlocks: Cow<'c, [Interlock]>,
        links: Cow<'c, [Link]>,
        checks: EntryChecks,
        faults: Cow<'c, FaultTable>,
        guest_len: u32,
        checked: Option<Unit>,
        origin: Option<Origin>,
        retreats: Retreats,
        floats: bool,
    },
    Interp(Unit),
    Native(NativeFn),
}

impl<'c> Source<'c> {
    fn host(compiled: &'c Compiled, guest_len: u32, checked: Option<Unit>, origin: Option<Origin>) -> Source<'c> {
        Source::Host {
            code: compiled.code.as_slice().into(),
            relocs: compiled.relocs.as_slice().into(),
            interlocks: compiled.interlocks.as_slice().into(),
            links: compiled.links.as_slice().into(),
            checks: compiled.checks,
            faults: Cow::Borrowed(&compiled.faults),
            guest_len,
            checked,
            origin,
            retreats: Retreats::Never,
            floats: false,
        }
    }

    /// Guest bytes that it is made of.
    fn guest_len(&self) -> u32 {
        match self {
            Source::Host { guest_len, .. } => *guest_len,
            Source::Interp(unit) => unit.guest_len,
            Source::Native(_) => NATIVE_LEN,
        }
    }

    /// The same for code that computes floating-point numbers, if it does.
    fn computing(mut self, has_floats: bool) -> Source<'c> {
        if let Source::Host { floats, .. } = &mut self {
            *floats = has_floats;
        }
        self
    }

    /// The same for code whose faults are not the guest's.
    fn retreating(mut self, how: Retreats) -> Source<'c> {
        if let Source::Host { retreats, .. } = &mut self {
            *retreats = how;
        }
        self
    }
}
