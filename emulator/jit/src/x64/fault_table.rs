//! Where every guest slot is at each host instruction that can fault.
//!
//! A table is bytes, numbers being of variable length ([`crate::numbers`]):
//!
//! ```text
//! how many modes; of each the guest address, relative to the unit's, and the mode word
//! how many points with results still to be checked; of each its offset, and how many operations, and these
//! per point: offset relative to the point before
//!            guest address relative to the point before, and how many slots have moved since
//!            of each of these: its number, and where it is
//! ```
//!
//! Instead of a place there may be an expression ([`super::shown`]), as a comparison of no kind.
//!
//! A place is a number with a [`Tag`] in its lowest bits, and what that says.

use ir::Guest;
use ir::guest::Slot;
use ir::unit::Unit;
use serde::{Deserialize, Serialize};

use super::Convention;
use super::analysis::CondKind;
use super::late_checks::Repeat;
use super::shown::Expressions;
use super::snapshot::{Kind, Loc, RecipeLoc, extended, holds};
use crate::numbers::{fold, read_number, unfold, write_number};
use crate::thread_state::ThreadState;

/// Host registers at a fault, from the signal context.
#[derive(Clone, Copy, Debug)]
pub struct HostRegs {
    /// General registers by encoding (`rax rcx rdx rbx rsp rbp rsi rdi r8`…`r15`).
    pub gpr: [u64; 16],
    /// Vector registers.
    pub xmm: [u128; 16],
}

/// What kind of place a number stands for; the number's other bits say more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u64)]
enum Tag {
    /// At home: 0 for the slot's own, else a slot's number and 1.
    Home,
    /// A general register, by its number.
    Gpr,
    /// A vector register, by its number.
    Xmm,
    /// A spill slot, by its number.
    Spill,
    /// A constant: 0 and the low half after it, folded; 1 and both halves after it; or a small one and 2.
    Const,
    /// The number itself.
    Bit,
    /// The result of a comparison under this condition code; kind and type, and the places of the operands, follow.
    Comparison,
    /// That of the comparison before, under this condition code.
    SameComparison,
}

const TAGS: [Tag; 8] =
    [Tag::Home, Tag::Gpr, Tag::Xmm, Tag::Spill, Tag::Const, Tag::Bit, Tag::Comparison, Tag::SameComparison];
const TAG_BITS: u32 = TAGS.len().ilog2();

/// Stands for the kind of a comparison where an expression follows.
const EXPRESSION: u64 = 7;

/// Up to as many slots that have moved are counted together with the guest address.
const MANY_MOVED: u64 = 3;
const MOVED_BITS: u32 = 2;

/// A point that can fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
struct Point {
    /// Offset of the host instruction.
    at: u32,
    /// Guest address, relative to the unit's.
    pc: u64,
}

/// Locations of slots at faulting instructions: changes from each to the next.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FaultTable {
    /// Address of the unit.
    start: u64,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

impl FaultTable {
    /// The table of a unit at the guest address `start` that [`FaultTable::bytes`] has given.
    pub(crate) fn new(start: u64, bytes: Vec<u8>) -> FaultTable {
        FaultTable { start, bytes }
    }

    /// Everything but the unit's address.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The table, to be read.
    #[must_use]
    pub fn points(&self) -> FaultPoints<'_> {
        FaultPoints { start: self.start, bytes: &self.bytes }
    }
}

/// A [`FaultTable`] that is elsewhere.
#[derive(Clone, Copy, Debug)]
pub struct FaultPoints<'a> {
    pub(crate) start: u64,
    pub(crate) bytes: &'a [u8],
}

impl FaultPoints<'_> {
    /// Completes the guest state in memory as of the guest instruction whose host code at `offset` from the unit's start
    /// faulted: all slots, `pc` and the mode. Returns the guest pc, or `None` if no instruction at `offset` can fault.
    pub fn restore(
        &self,
        guest: &Guest,
        conv: &Convention,
        offset: u32,
        regs: &HostRegs,
        thread: &mut ThreadState,
    ) -> Option<u64> {
        let found = self.locations(guest, conv, |_, point| point.at >= offset);
        let (point, places) = found.filter(|found| found.0.at == offset)?;
        super::deferred::settle(conv, thread);
        let mut regs = *regs;
        let unchecked = self.unchecked().0.into_iter().filter(|(at, _)| *at == offset);
        unchecked.flat_map(|(_, all)| all).for_each(|repeat| repeat.apply(guest, &mut regs, thread));
        let Places { locs, consts, expressions, .. } = places;
        let source = Source { guest, consts: &consts, expressions: &expressions, regs: &regs, thread };
        let values: Vec<u128> = locs.iter().map(|&(_, loc)| source.read(loc)).collect();
        for ((slot, loc), value) in locs.into_iter().zip(values) {
            if loc != Loc::home(slot) {
                thread.guest.set(guest, Slot(slot), value);
            }
        }
        thread.guest.pc = self.start.wrapping_add(point.pc);
        if let Some((_, mode)) = self.modes().0.into_iter().rev().find(|(pc, _)| *pc <= point.pc) {
            thread.guest.mode = mode;
        }
        Some(thread.guest.pc)
    }

    /// Mode words from a guest address on (relative to the unit's), where they differ from what is in the state; and what follows.
    fn modes(&self) -> (Vec<(u64, u32)>, &[u8]) {
        let mut stream = self.bytes;
        let modes = (0..read_number(&mut stream))
            .map(|_| (read_number(&mut stream), read_number(&mut stream) as u32))
            .collect();
        (modes, stream)
    }

    /// Points, by offset, with results that were still to be checked; and what follows.
    fn unchecked(&self) -> (Vec<(u32, Vec<Repeat>)>, &[u8]) {
        let (_, mut stream) = self.modes();
        let mut all = Vec::new();
        for _ in 0..read_number(&mut stream) {
            let at = read_number(&mut stream) as u32;
            let repeats = (0..read_number(&mut stream)).map(|_| Repeat::read(&mut stream)).collect();
            all.push((at, repeats));
        }
        (all, stream)
    }

    /// The first point that `wanted` accepts, given its number, and where slots are there; those that have never been elsewhere
    /// than at home are left out.
    fn locations(
        &self,
        guest: &Guest,
        conv: &Convention,
        wanted: impl Fn(usize, Point) -> bool,
    ) -> Option<(Point, Places)> {
        let (_, mut stream) = self.unchecked();
        let mut places = Places { locs: Loc::of_pins(conv).collect(), ..Places::default() };
        let mut point = Point::default();
        let mut number = 0;
        while !stream.is_empty() {
            point.at = point.at.wrapping_add(read_number(&mut stream) as u32);
            let both = read_number(&mut stream);
            let pc = unfold(both >> MOVED_BITS).wrapping_mul(guest.insn_align.into());
            point.pc = point.pc.wrapping_add(pc);
            let mut moved = both & MANY_MOVED;
            if moved == MANY_MOVED {
                moved += read_number(&mut stream);
            }
            for _ in 0..moved {
                let slot = read_number(&mut stream) as u16;
                let loc = places.read(&mut stream, slot);
                match places.locs.iter_mut().find(|(s, _)| *s == slot) {
                    Some(entry) => entry.1 = loc,
                    None => places.locs.push((slot, loc)),
                }
            }
            if wanted(number, point) {
                return Some((point, places));
            }
            number += 1;
        }
        None
    }
}

/// Where slots are.
#[derive(Default)]
struct Places {
    locs: Vec<(u16, Loc)>,
    /// Constants, by the numbers that locations have for them.
    consts: Vec<u128>,
    /// The last comparison.
    compared: Option<RecipeLoc>,
    expressions: Expressions,
}

impl Places {
    /// Takes the place of a slot, as [`Recorder::write`] writes it, from the stream.
    fn read(&mut self, stream: &mut &[u8], slot: u16) -> Loc {
        let number = read_number(stream);
        let n = number >> TAG_BITS;
        match TAGS[number as usize % TAGS.len()] {
            Tag::Home if n == 0 => Loc::home(slot),
            Tag::Home => Loc::home((n - 1) as u16),
            Tag::Gpr => Loc::gpr(n as u8 & 15),
            Tag::Xmm => Loc::xmm(n as u8 & 15),
            Tag::Spill => Loc::spill(n as u16),
            Tag::Bit => Loc::bit(n as u32),
            Tag::Const => {
                self.consts.push(match n {
                    0 => unfold(read_number(stream)).into(),
                    1 => u128::from(read_number(stream)) | u128::from(read_number(stream)) << 64,
                    _ => u128::from(n - 2),
                });
                Loc::constant(self.consts.len() as u32 - 1)
            }
            Tag::Comparison => {
                let what = read_number(stream) as usize;
                if what as u64 == EXPRESSION {
                    let mut expressions = std::mem::take(&mut self.expressions);
                    let number = expressions.read(stream, &mut |stream| self.read(stream, slot));
                    self.expressions = expressions;
                    return Loc::expression(number);
                }
                let (kind, ty) = (CondKind::ALL[what & 7], Loc::TYPES[(what >> 3) % Loc::TYPES.len()]);
                let (a, b) = (self.read(stream, slot), self.read(stream, slot));
                self.compared = Some(RecipeLoc { kind, cc: 0, ty, a, b });
                Loc::recipe(kind, n as u8 & 15, ty, a, b)
            }
            Tag::SameComparison => match self.compared {
                Some(r) => Loc::recipe(r.kind, n as u8 & 15, r.ty, r.a, r.b),
                None => Loc::home(slot),
            },
        }
    }
}

/// Everything a location can refer to.
struct Source<'a> {
    guest: &'a Guest,
    consts: &'a [u128],
    expressions: &'a Expressions,
    regs: &'a HostRegs,
    thread: &'a ThreadState,
}

impl Source<'_> {
    fn read(&self, loc: Loc) -> u128 {
        if let Some(r) = loc.as_recipe() {
            let (a, b) = (self.read(r.a), self.read(r.b));
            if r.kind == CondKind::Extend {
                return extended(r.ty, a as u64).into();
            }
            return u128::from(holds(r.kind, r.cc, r.ty, a as u64, b as u64));
        }
        let (kind, n) = loc.parts();
        let n = n as usize;
        match kind {
            Kind::Home => self.thread.guest.get(self.guest, Slot(n as u16)),
            Kind::Gpr => u128::from(self.regs.gpr[n]),
            Kind::Xmm => self.regs.xmm[n],
            Kind::Spill => self.thread.spill.get(n).copied().unwrap_or_default(),
            Kind::Const => self.consts.get(n).copied().unwrap_or_default(),
            Kind::Bit => n as u128,
            Kind::Expression => self.expressions.value(n as u32, &|loc| self.read(loc)),
            Kind::Choice => unreachable!("faults show choices as expressions"),
        }
    }
}

/// A slot, where it is, and the places in that if it is an expression.
pub(super) type Place = (u16, Loc, Vec<Loc>);

/// Builds a [`FaultTable`] while code is emitted.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) table: FaultTable,
    /// By slot: location as of the last point.
    last: Vec<Loc>,
    /// How many points there are, the one under construction and the one before.
    count: usize,
    point: Option<Point>,
    before: Point,
    /// The points so far.
    points: Vec<u8>,
    /// Slots that have moved to reach the one under construction: how many, and the rest.
    moved: u64,
    changes: Vec<u8>,
    /// The last comparison written.
    compared: Option<Loc>,
    /// Expressions as of the last point, of slots that had one.
    expressions: Vec<(u16, Vec<u8>)>,
    /// Addresses are multiples of this.
    align: u64,
    modes: Vec<(u64, u32)>,
    /// Operations whose results are still to be checked at the point under construction, and at those before.
    repeats: Vec<Repeat>,
    unchecked: Vec<(u32, Vec<Repeat>)>,
}

impl Recorder {
    pub(super) fn start(&mut self, unit: &Unit, guest: &Guest, conv: &Convention) {
        self.table.start = unit.key.pc;
        self.table.bytes.clear();
        (self.count, self.point, self.before, self.moved) = (0, None, Point::default(), 0);
        self.points.clear();
        self.changes.clear();
        self.modes.clear();
        self.repeats.clear();
        self.unchecked.clear();
        self.compared = None;
        self.expressions.clear();
        self.align = guest.insn_align.into();
        self.last.clear();
        self.last.extend((0..guest.slots.len()).map(|s| Loc::home(s as u16)));
        for (slot, loc) in Loc::of_pins(conv) {
            self.last[slot as usize] = loc;
        }
    }

    /// The host instruction at `at` can fault on behalf of the guest instruction at `pc`; its slots follow.
    pub(super) fn point(&mut self, at: u32, pc: u64) {
        self.end_point();
        self.point = Some(Point { at, pc: pc.wrapping_sub(self.table.start) });
        self.count += 1;
    }

    /// How many points there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn end_point(&mut self) {
        let Some(point) = self.point.take() else { return };
        let before = std::mem::replace(&mut self.before, point);
        let pc = (point.pc.wrapping_sub(before.pc) as i64 / self.align as i64) as u64;
        let moved = std::mem::take(&mut self.moved);
        let out = &mut self.points;
        write_number(out, point.at.wrapping_sub(before.at).into());
        write_number(out, fold(pc) << MOVED_BITS | moved.min(MANY_MOVED));
        if moved >= MANY_MOVED {
            write_number(out, moved - MANY_MOVED);
        }
        out.append(&mut self.changes);
        if !self.repeats.is_empty() {
            self.unchecked.push((point.at, std::mem::take(&mut self.repeats)));
        }
    }

    /// Operations whose results are still to be checked at the point.
    pub(super) fn unchecked(&mut self, repeats: Vec<Repeat>) {
        self.repeats = repeats;
    }

    /// Guest instructions from `pc` on have another mode.
    pub(super) fn mode(&mut self, pc: u64, mode: u32) {
        self.modes.push((pc.wrapping_sub(self.table.start), mode));
    }

    /// Corrects the offset of the last point.
    pub(super) fn at(&mut self, at: u32) {
        if let Some(p) = &mut self.point {
            p.at = at;
        }
    }

    /// Location of a slot of the unit at the point.
    pub(super) fn slot(&mut self, unit: &Unit, slot: u16, loc: Loc) {
        let last = &mut self.last[slot as usize];
        if *last == loc {
            return;
        }
        *last = loc;
        self.moved += 1;
        write_number(&mut self.changes, slot.into());
        self.write(unit, slot, loc);
    }

    /// The slot's value at the point is an expression.
    pub(super) fn expression(&mut self, slot: u16, loc: Loc, bytes: &[u8]) {
        let was = std::mem::replace(&mut self.last[slot as usize], loc);
        match self.expressions.iter_mut().find(|(s, _)| *s == slot) {
            Some((_, before)) if was == loc && before == bytes => return,
            Some((_, before)) => bytes.clone_into(before),
            None => self.expressions.push((slot, bytes.to_vec())),
        }
        self.moved += 1;
        write_number(&mut self.changes, slot.into());
        self.write_tagged(Tag::Comparison, 0);
        write_number(&mut self.changes, EXPRESSION);
        self.changes.extend_from_slice(bytes);
    }

    /// Writes the place of a slot.
    fn write(&mut self, unit: &Unit, slot: u16, loc: Loc) {
        let Some(r) = loc.as_recipe() else { return write_simple(&mut self.changes, unit, slot, loc) };
        if self.compared == Some(r.key()) {
            return self.write_tagged(Tag::SameComparison, r.cc.into());
        }
        self.compared = Some(r.key());
        self.write_tagged(Tag::Comparison, r.cc.into());
        write_number(&mut self.changes, r.kind as u64 | (r.ty as u64) << 3);
        write_simple(&mut self.changes, unit, slot, r.a);
        write_simple(&mut self.changes, unit, slot, r.b);
    }

    fn write_tagged(&mut self, tag: Tag, n: u64) {
        write_tagged(&mut self.changes, tag, n);
    }

    /// Ends the unit.
    pub(super) fn finish(&mut self) {
        self.end_point();
        let out = &mut self.table.bytes;
        if self.points.is_empty() {
            return;
        }
        write_number(out, self.modes.len() as u64);
        for &(pc, mode) in &self.modes {
            write_number(out, pc);
            write_number(out, mode.into());
        }
        write_number(out, self.unchecked.len() as u64);
        for (at, repeats) in &self.unchecked {
            write_number(out, (*at).into());
            write_number(out, repeats.len() as u64);
            repeats.iter().for_each(|repeat| repeat.write(out));
        }
        out.extend_from_slice(&self.points);
    }

    /// Offset of the point of a number, and where slots of the unit are there.
    pub(super) fn shown(&self, unit: &Unit, guest: &Guest, conv: &Convention, number: usize) -> (u32, Vec<Place>) {
        let found = self.table.points().locations(guest, conv, |n, _| n == number);
        let Some((point, places)) = found else { return (0, Vec::new()) };
        let simple = |loc: Loc| match loc.parts() {
            (Kind::Const, n) => {
                let value = places.consts[n as usize];
                Loc::constant(unit.consts.iter().position(|&c| c == value).expect("a constant of the unit") as u32)
            }
            _ => loc,
        };
        let of_unit = |loc: Loc| match loc.as_recipe() {
            Some(r) => Loc::recipe(r.kind, r.cc, r.ty, simple(r.a), simple(r.b)),
            None => simple(loc),
        };
        let parts = |loc: Loc| {
            let mut parts = Vec::new();
            if let (None, (Kind::Expression, n)) = (loc.as_recipe(), loc.parts()) {
                places.expressions.places(n, &mut parts);
            }
            parts.into_iter().map(of_unit).collect()
        };
        (point.at, places.locs.iter().map(|&(slot, loc)| (slot, of_unit(loc), parts(loc))).collect())
    }
}

/// Writes a place that is no comparison, of a slot of the unit.
pub(super) fn write_simple(out: &mut Vec<u8>, unit: &Unit, slot: u16, loc: Loc) {
    let (kind, n) = loc.parts();
    let (tag, n) = match kind {
        Kind::Home if n == slot.into() => (Tag::Home, 0),
        Kind::Home => (Tag::Home, u64::from(n) + 1),
        Kind::Gpr => (Tag::Gpr, n.into()),
        Kind::Xmm => (Tag::Xmm, n.into()),
        Kind::Spill => (Tag::Spill, n.into()),
        Kind::Bit => (Tag::Bit, n.into()),
        Kind::Const => return write_constant(out, unit.consts[n as usize]),
        Kind::Expression | Kind::Choice => unreachable!("an expression is no place"),
    };
    write_tagged(out, tag, n);
}

fn write_constant(out: &mut Vec<u8>, value: u128) {
    let (low, high) = (value as u64, (value >> 64) as u64);
    if value < 14 {
        return write_tagged(out, Tag::Const, low + 2);
    }
    write_tagged(out, Tag::Const, u64::from(high != 0));
    if high == 0 {
        return write_number(out, fold(low));
    }
    write_number(out, low);
    write_number(out, high);
}

fn write_tagged(out: &mut Vec<u8>, tag: Tag, n: u64) {
    write_number(out, n << TAG_BITS | tag as u64);
}
