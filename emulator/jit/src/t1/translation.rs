//! What is kept of a translation.
//!
//! A *record*: a [`Head`] and, in bytes, what is looked at seldom. There are many, and they are made one after the other in
//! the order of their code: they lie at the upper end of code memory, each below the one before, and no two have an
//! allocation of their own.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, Ordering};

use ir::unit::{Unit, UnitKey};

use super::code_memory::{CodeMemory, Full};
use super::saved::Origin;
use crate::native::NativeFn;
use crate::numbers::{fold, read_number, unfold, write_number};
use crate::x64::{EntryChecks, FaultPoints, FaultTable, Interlock, Link, LinkKind, Reloc, StubId};

/// A translation, by the distance of its record from the end of code memory, in [`WORD`]s; 0 is none.
pub(crate) type Id = u32;

/// Granule of records, in bytes.
pub(crate) const WORD: usize = 4;

/// The part of a record that everything looks at.
#[derive(Debug)]
#[repr(C)]
struct Head {
    /// Guest address: low, high.
    pc: [u32; 2],
    mode: u32,
    /// How many bytes the host code lies below; 0 if there is none.
    code: u32,
    /// The translation before on the same guest page. Writer only.
    next: AtomicU32,
    /// First of the links that lead here, named by [`super::incoming`]. Writer only.
    incoming: AtomicU32,
    /// How many words the record has, and flags.
    info: AtomicU32,
}

/// Bits of [`Head::info`] for the length.
const LENGTH_BITS: u32 = 24;
const LENGTH: u32 = (1 << LENGTH_BITS) - 1;
/// The translation is not to be used any more.
const INVALID: u32 = 1 << LENGTH_BITS;
/// It has an [`Extra`].
const EXTRA: u32 = INVALID << 1;
/// It checks its entry.
const CHECKS: u32 = INVALID << 2;
/// It has an [`Origin`].
const ORIGIN: u32 = INVALID << 3;

/// Guest bytes of what is translated again as a part of a loop, at most.
const SHORT: u32 = 256;

/// What a fault means, if it is not the guest's.
const RETREATS_AT: u32 = 28;
/// It computes floating-point numbers.
const FLOATS: u32 = 1 << 30;
/// It is listed among those of code that can change.
const LISTED: u32 = 1 << 31;

/// What a fault means.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) enum Retreats {
    /// It is the guest's.
    #[default]
    Never,
    /// What the guest does is found out by a translation without vectors.
    Always,
    /// The same, with the floating-point flags of the last `keepfflags`.
    KeepingFlags,
}

/// What only some translations have.
pub(crate) enum Extra {
    /// The unit, to be interpreted beside its host code; see [`crate::check`].
    Checked(Unit),
    /// The code generator gave the unit back: it is interpreted.
    Interp(Unit),
    /// A host function instead of guest code.
    Native(NativeFn),
}

/// What a translation consists of.
pub(crate) enum Body<'a> {
    /// Host code.
    Host,
    /// Host code, and the unit to be interpreted beside it.
    Checked(&'a Unit),
    /// A unit to be interpreted.
    Interp(&'a Unit),
    /// A host function.
    Native(&'a NativeFn),
}

/// A translation to be published.
#[derive(Default)]
pub(crate) struct Contents<'a> {
    pub(crate) key: UnitKey,
    /// Its code, empty if there is none, and where that is.
    pub(crate) host: u64,
    pub(crate) host_len: u32,
    pub(crate) guest_len: u32,
    pub(crate) retreats: Retreats,
    /// Its code depends on how floating-point operations are translated.
    pub(crate) floats: bool,
    pub(crate) links: &'a [Link],
    pub(crate) checks: EntryChecks,
    pub(crate) faults: &'a [u8],
    pub(crate) extra: Option<Extra>,
    pub(crate) origin: Option<Origin>,
    pub(crate) relocs: &'a [Reloc],
    pub(crate) interlocks: &'a [Interlock],
}

/// A unit, ready to be executed. It lives until all are dropped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Translation(NonNull<Head>);

/// What a record says in bytes.
pub(crate) struct Details<'a> {
    /// Bytes of host code.
    pub(crate) host_len: u32,
    /// Guest bytes it was made from.
    pub(crate) guest_len: u32,
    /// What it checks at its entry.
    pub(crate) checks: EntryChecks,
    /// How many links there are.
    links: u64,
    /// Bytes of the fault table.
    faults: usize,
    key: UnitKey,
    origin: bool,
    /// Links, fault table, and [`Origin`].
    rest: &'a [u8],
}

impl Contents<'_> {
    /// The bytes behind the head.
    fn write(&self, out: &mut Vec<u8>) {
        write_number(out, self.host_len.into());
        write_number(out, self.guest_len.into());
        if self.has_checks() {
            write_number(out, self.checks.boxes);
            write_number(out, self.checks.behind.into());
        }
        write_number(out, self.links.len() as u64);
        write_number(out, self.faults.len() as u64);
        let mut before = 0;
        for link in self.links {
            self.write_link(out, link, before);
            before = link.at;
        }
        out.extend_from_slice(self.faults);
        let Some(origin) = &self.origin else { return };
        out.extend(origin.guest_hash.to_le_bytes());
        out.push(u8::from(origin.exact) | u8::from(origin.traps) << 1);
        write_number(out, self.relocs.len() as u64);
        before = 0;
        for reloc in self.relocs {
            write_number(out, u64::from(reloc.at - before) << StubId::BITS | reloc.stub as u64);
            before = reloc.at;
        }
        write_number(out, self.interlocks.len() as u64);
        before = 0;
        for interlock in self.interlocks {
            write_number(out, interlock.at.wrapping_sub(before).into());
            out.push(interlock.flip);
            before = interlock.at;
        }
    }

    /// The field relative to the one of the link before, with what kind of link it is; the target relative to the unit.
    fn write_link(&self, out: &mut Vec<u8>, link: &Link, before: u32) {
        let special = link.boxes != 0 || link.target.mode != self.key.mode;
        write_number(out, u64::from(link.at - before) << 3 | u64::from(special) << 2 | link.kind as u64);
        write_number(out, fold(link.target.pc.wrapping_sub(self.key.pc)));
        if special {
            write_number(out, link.boxes);
            write_number(out, link.target.mode.into());
        }
    }

    fn has_checks(&self) -> bool {
        self.checks != EntryChecks::default()
    }

    /// Writes the record below those that are there.
    ///
    /// # Errors
    /// If there is no room; everything has to be dropped then.
    pub(crate) fn record(self, memory: &mut CodeMemory, buffer: &mut Vec<u8>) -> Result<Translation, Full> {
        buffer.clear();
        self.write(buffer);
        let has_extra = self.extra.is_some();
        let extra = if has_extra { size_of::<*mut Extra>() } else { 0 };
        let words = (size_of::<Head>() + extra + buffer.len()).div_ceil(WORD);
        let at = memory.record(words * WORD)?;
        let mut flags = (self.retreats as u32) << RETREATS_AT;
        let (checks, origin) = (self.has_checks(), self.origin.is_some());
        for (flag, is) in [(EXTRA, has_extra), (CHECKS, checks), (ORIGIN, origin), (FLOATS, self.floats)] {
            flags |= if is { flag } else { 0 };
        }
        debug_assert!(words as u32 <= LENGTH);
        let head = Head {
            pc: [self.key.pc as u32, (self.key.pc >> 32) as u32],
            mode: self.key.mode,
            code: if self.host_len == 0 { 0 } else { (at.as_ptr() as u64 - self.host) as u32 },
            next: AtomicU32::new(0),
            incoming: AtomicU32::new(0),
            info: AtomicU32::new(words as u32 | flags),
        };
        // SAFETY: `at` has room for all of it, is aligned to words, and nobody else knows of it.
        unsafe {
            let head_at = at.cast::<Head>();
            head_at.write(head);
            let mut behind = head_at.add(1).cast::<u8>();
            if let Some(extra) = self.extra {
                behind.cast::<*mut Extra>().write_unaligned(Box::into_raw(Box::new(extra)));
                behind = behind.add(size_of::<*mut Extra>());
            }
            std::ptr::copy_nonoverlapping(buffer.as_ptr(), behind.as_ptr(), buffer.len());
            Ok(Translation(head_at))
        }
    }
}

impl Translation {
    /// The translation of an identity, `end` being the end of code memory.
    ///
    /// # Safety
    /// There is one of this identity, and all are kept while it is used.
    pub(crate) unsafe fn at(end: u64, id: Id) -> Translation {
        let address = end - u64::from(id) * WORD as u64;
        // SAFETY: not null, as the caller promises.
        Translation(unsafe { NonNull::new_unchecked(address as *mut Head) })
    }

    /// Its identity.
    pub(crate) fn id(self, end: u64) -> Id {
        ((end - self.address()) / WORD as u64) as Id
    }

    fn address(self) -> u64 {
        self.0.as_ptr() as u64
    }

    fn head(&self) -> &Head {
        // SAFETY: records are kept while translations may be used, and only their atomics change.
        unsafe { self.0.as_ref() }
    }

    /// The translation made before, if there is one below `end`.
    pub(crate) fn before(self, end: u64) -> Option<Translation> {
        let next = self.address() + u64::from(self.info() & LENGTH) * WORD as u64;
        // SAFETY: records lie one behind the other up to the end.
        (next < end).then(|| Translation(unsafe { NonNull::new_unchecked(next as *mut Head) }))
    }

    fn info(&self) -> u32 {
        self.head().info.load(Ordering::Relaxed)
    }

    /// Identity; with [`crate::interp::PLAIN`] in the mode if a native function is known at the address and this is the guest's
    /// own code.
    pub(crate) fn key(&self) -> UnitKey {
        let head = self.head();
        UnitKey { pc: u64::from(head.pc[0]) | u64::from(head.pc[1]) << 32, mode: head.mode }
    }

    /// Entry, 0 if there is no host code.
    pub(crate) fn host(&self) -> u64 {
        match self.head().code {
            0 => 0,
            below => self.address() - u64::from(below),
        }
    }

    /// Whether its faults are the guest's.
    pub(crate) fn retreats(&self) -> Retreats {
        [Retreats::Never, Retreats::Always, Retreats::KeepingFlags, Retreats::Never]
            [(self.info() >> RETREATS_AT & 3) as usize]
    }

    /// Whether its code depends on how floating-point operations are translated.
    pub(crate) fn has_floats(&self) -> bool {
        self.info() & FLOATS != 0
    }

    /// Not invalidated.
    pub(crate) fn is_valid(&self) -> bool {
        self.head().info.load(Ordering::SeqCst) & INVALID == 0
    }

    /// Invalidates it; whether it was valid.
    pub(crate) fn invalidate(&self) -> bool {
        self.head().info.fetch_or(INVALID, Ordering::SeqCst) & INVALID == 0
    }

    /// Makes it valid again.
    pub(super) fn revalidate(&self) {
        self.head().info.fetch_and(!INVALID, Ordering::SeqCst);
    }

    /// It is listed from now on; whether it was not before. Writer only.
    pub(super) fn set_listed(&self) -> bool {
        self.head().info.fetch_or(LISTED, Ordering::Relaxed) & LISTED == 0
    }

    /// It is not listed any more. Writer only.
    pub(super) fn clear_listed(&self) {
        self.head().info.fetch_and(!LISTED, Ordering::Relaxed);
    }

    /// The translation before on the same guest page.
    pub(super) fn next(&self) -> &AtomicU32 {
        &self.head().next
    }

    /// The first link that leads here.
    pub(super) fn incoming(&self) -> &AtomicU32 {
        &self.head().incoming
    }

    /// What is behind the head.
    fn behind(&self) -> (Option<*mut Extra>, &[u8]) {
        let len = (self.info() & LENGTH) as usize * WORD - size_of::<Head>();
        // SAFETY: the record has as many bytes, which do not change.
        let bytes = unsafe { std::slice::from_raw_parts(self.0.as_ptr().add(1).cast::<u8>(), len) };
        if self.info() & EXTRA == 0 {
            return (None, bytes);
        }
        let (pointer, rest) = bytes.split_at(size_of::<*mut Extra>());
        // SAFETY: written there by `Contents::record`.
        (Some(unsafe { pointer.as_ptr().cast::<*mut Extra>().read_unaligned() }), rest)
    }

    fn extra(&self) -> Option<&Extra> {
        // SAFETY: lives as long as the record, and is only read.
        self.behind().0.map(|extra| unsafe { &*extra })
    }

    /// What it consists of.
    pub(crate) fn body(&self) -> Body<'_> {
        match self.extra() {
            None => Body::Host,
            Some(Extra::Checked(unit)) => Body::Checked(unit),
            Some(Extra::Interp(unit)) => Body::Interp(unit),
            Some(Extra::Native(function)) => Body::Native(function),
        }
    }

    /// Frees what it has outside of its record.
    ///
    /// # Safety
    /// It is not used any more.
    pub(super) unsafe fn free(self) {
        if let (Some(extra), _) = self.behind() {
            // SAFETY: made by `Contents::record`, and freed once.
            drop(unsafe { Box::from_raw(extra) });
        }
    }

    /// Whether it is short and has a jump to `key`.
    pub(crate) fn goes_on_to(&self, key: UnitKey) -> bool {
        let details = self.details();
        details.guest_len <= SHORT && details.links().any(|link| link.kind == LinkKind::Jump && link.target == key)
    }

    /// The rest. Async-signal-safe.
    pub(crate) fn details(&self) -> Details<'_> {
        let (_, mut stream) = self.behind();
        let mut number = || read_number(&mut stream);
        let (host_len, guest_len) = (number() as u32, number() as u32);
        let mut checks = EntryChecks::default();
        if self.info() & CHECKS != 0 {
            checks = EntryChecks { boxes: number(), behind: number() as u32 };
        }
        let (links, faults) = (number(), number() as usize);
        let origin = self.info() & ORIGIN != 0;
        Details { host_len, guest_len, checks, links, faults, key: self.key(), origin, rest: stream }
    }
}

impl<'a> Details<'a> {
    /// Its links.
    pub(crate) fn links(&self) -> impl Iterator<Item = Link> + use<'a> {
        let (mut stream, key) = (self.rest, self.key);
        let mut at = 0;
        (0..self.links).map(move |_| read_link(&mut stream, key, &mut at))
    }

    /// What is behind the links.
    fn behind_links(&self) -> &'a [u8] {
        let (mut stream, mut at) = (self.rest, 0);
        for _ in 0..self.links {
            read_link(&mut stream, self.key, &mut at);
        }
        stream
    }

    /// How to rebuild guest state at its memory accesses.
    pub(crate) fn faults(&self) -> FaultPoints<'a> {
        FaultPoints { start: self.key.pc, bytes: &self.behind_links()[..self.faults] }
    }

    /// The fault table on its own.
    pub(crate) fn fault_table(&self) -> FaultTable {
        FaultTable::new(self.key.pc, self.faults().bytes.to_vec())
    }

    /// What it was made of, and the distances to stubs and what memory that is shared changes in its code, if it is to be saved.
    pub(crate) fn origin(&self) -> Option<(Origin, Vec<Reloc>, Vec<Interlock>)> {
        if !self.origin {
            return None;
        }
        let (hash, rest) = self.behind_links()[self.faults..].split_first_chunk()?;
        let (&how, mut stream) = rest.split_first()?;
        let mut at = 0;
        let mut relocs = Vec::new();
        for _ in 0..read_number(&mut stream) {
            let number = read_number(&mut stream);
            at += (number >> StubId::BITS) as u32;
            relocs.push(Reloc { at, stub: StubId::of(number)? });
        }
        at = 0;
        let mut interlocks = Vec::new();
        for _ in 0..read_number(&mut stream) {
            at = at.wrapping_add(read_number(&mut stream) as u32);
            let (&flip, rest) = stream.split_first()?;
            stream = rest;
            interlocks.push(Interlock { at, flip });
        }
        let origin = Origin { guest_hash: u128::from_le_bytes(*hash), exact: how & 1 != 0, traps: how & 2 != 0 };
        Some((origin, relocs, interlocks))
    }
}

/// Takes a link, as [`Contents::write_link`] writes it, from the stream; `at` is the field of the one before, and then its own.
fn read_link(stream: &mut &[u8], unit: UnitKey, at: &mut u32) -> Link {
    let first = read_number(stream);
    *at += (first >> 3) as u32;
    let pc = unit.pc.wrapping_add(unfold(read_number(stream)));
    let (mut boxes, mut mode) = (0, unit.mode);
    if first & 4 != 0 {
        (boxes, mode) = (read_number(stream), read_number(stream) as u32);
    }
    Link { at: *at, kind: LinkKind::of(first & 3), target: UnitKey { pc, mode }, boxes }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: UnitKey = UnitKey { pc: 0xffff_8000_1234_5678, mode: 0x8000_0003 };

    fn link(at: u32, kind: LinkKind, pc: u64, mode: u32, boxes: u64) -> Link {
        Link { at, kind, target: UnitKey { pc, mode }, boxes }
    }

    #[test]
    fn a_record_says_what_was_recorded() {
        let mut memory = CodeMemory::new(0).unwrap();
        let (base, end) = (memory.base(), memory.range().end);
        let links = [
            link(7, LinkKind::Jump, KEY.pc + 400, KEY.mode, 0),
            link(1000, LinkKind::Call, 0x10, KEY.mode, 0),
            link(1015, LinkKind::Poll, KEY.pc - 4, 1, 0),
            link(70_000, LinkKind::Jump, u64::MAX, KEY.mode, 1 << 63),
        ];
        let relocs = [StubId::IndirectMiss, StubId::Settle].map(|stub| Reloc { at: 300 * (1 + stub as u32), stub });
        let checks = EntryChecks { boxes: 1 << 40, behind: 300 };
        let interlocks = [(3, 0xff), (4, 1), (70_000, 0x80)].map(|(at, flip)| Interlock { at, flip });
        let mut buffer = Vec::new();
        let mut all = Vec::new();
        for bits in 0..16u32 {
            let is = |bit: u32| bits & 1 << bit != 0;
            let contents = Contents {
                key: KEY,
                host: base + 64,
                host_len: if is(3) { 0 } else { 80_000 },
                guest_len: 65_536 + bits,
                retreats: if is(0) { Retreats::KeepingFlags } else { Retreats::Never },
                floats: is(2),
                links: &links[..bits as usize % 5],
                checks: if is(0) { checks } else { EntryChecks::default() },
                faults: &b"some places"[..bits as usize % 9],
                extra: is(1).then(|| Extra::Interp(Unit { guest_len: bits, ..Unit::default() })),
                origin: is(2).then_some(Origin { guest_hash: u128::MAX / 3, exact: is(0), traps: is(1) }),
                relocs: &relocs,
                interlocks: &interlocks,
            };
            all.push(contents.record(&mut memory, &mut buffer).unwrap());
        }
        for (bits, translation) in (0u32..).zip(&all) {
            let is = |bit: u32| bits & 1 << bit != 0;
            // SAFETY: recorded above.
            assert!(unsafe { Translation::at(end, translation.id(end)) } == *translation);
            assert_eq!(translation.before(end), bits.checked_sub(1).map(|before| all[before as usize]));
            assert_eq!((translation.key(), translation.host()), (KEY, if is(3) { 0 } else { base + 64 }));
            assert_eq!((translation.retreats() == Retreats::KeepingFlags, translation.has_floats()), (is(0), is(2)));
            let details = translation.details();
            assert_eq!((details.host_len, details.guest_len), (if is(3) { 0 } else { 80_000 }, 65_536 + bits));
            assert_eq!(details.checks, if is(0) { checks } else { EntryChecks::default() });
            assert!(details.links().eq(links[..bits as usize % 5].iter().copied()));
            assert_eq!(details.faults().bytes, &b"some places"[..bits as usize % 9]);
            match translation.body() {
                Body::Interp(unit) => assert!(is(1) && unit.guest_len == bits),
                Body::Host => assert!(!is(1)),
                _ => panic!("neither a unit to be interpreted nor host code"),
            }
            match details.origin() {
                Some((origin, fields, flips)) => {
                    assert!(is(2) && origin.guest_hash == u128::MAX / 3 && fields == relocs && flips == interlocks);
                    assert_eq!((origin.exact, origin.traps), (is(0), is(1)));
                }
                None => assert!(!is(2)),
            }
            assert!(translation.is_valid() && translation.invalidate());
            assert!(!translation.is_valid() && !translation.invalidate());
            // SAFETY: not used any more.
            unsafe { translation.free() };
        }
    }
}
