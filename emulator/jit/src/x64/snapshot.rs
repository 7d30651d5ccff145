//! Where every guest slot is at each host instruction that can fault.

use std::cmp::Ordering;

use ir::guest::Slot;
use ir::unit::Unit;
use ir::{Guest, Ty};
use serde::{Deserialize, Serialize};

use crate::thread_state::ThreadState;

use super::Convention;
use super::analysis::CondKind;
use super::asm::cc;
use super::float_conditions;

/// Host registers at a fault, from the signal context.
#[derive(Clone, Copy, Debug)]
pub struct HostRegs {
    /// General registers by encoding (`rax rcx rdx rbx rsp rbp rsi rdi r8`…`r15`).
    pub gpr: [u64; 16],
    /// Vector registers.
    pub xmm: [u128; 16],
}

/// Where a value is. Bit 63 marks a comparison still to be made; else bits 0..3 are a [`Kind`], the rest its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Loc(u64);

/// Simple locations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// In the memory of a slot.
    Home,
    /// In a general register.
    Gpr,
    /// In a vector register.
    Xmm,
    /// In a spill slot.
    Spill,
    /// In the unit's constant pool.
    Const,
    /// The number itself (bit numbers).
    Bit,
}

const KINDS: [Kind; 6] = [Kind::Home, Kind::Gpr, Kind::Xmm, Kind::Spill, Kind::Const, Kind::Bit];
const RECIPE: u64 = 1 << 63;
const SIMPLE_BITS: u32 = 24;

/// A comparison in terms of locations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RecipeLoc {
    pub(super) kind: CondKind,
    pub(super) cc: u8,
    pub(super) ty: Ty,
    pub(super) a: Loc,
    pub(super) b: Loc,
}

impl RecipeLoc {
    /// A sign extension, not a comparison.
    pub(super) fn is_extension(&self) -> bool {
        self.kind == CondKind::Extend
    }

    /// The comparison without its condition code: what the flags are of.
    pub(super) fn key(&self) -> Loc {
        Loc::recipe(self.kind, 0, self.ty, self.a, self.b)
    }
}

impl Loc {
    const fn simple(kind: Kind, n: u32) -> Loc {
        Loc((n as u64) << 3 | kind as u64)
    }

    pub(super) const fn home(slot: u16) -> Loc {
        Loc::simple(Kind::Home, slot as u32)
    }

    pub(super) const fn gpr(r: u8) -> Loc {
        Loc::simple(Kind::Gpr, r as u32)
    }

    pub(super) const fn xmm(x: u8) -> Loc {
        Loc::simple(Kind::Xmm, x as u32)
    }

    /// The pinned slots and where they are at the boundary.
    fn of_pins(conv: &Convention) -> impl Iterator<Item = (u16, Loc)> + '_ {
        let general = conv.pins.iter().map(|&(slot, r)| (slot.0, Loc::gpr(r)));
        general.chain(conv.vector_pins.iter().map(|&(slot, x)| (slot.0, Loc::xmm(x))))
    }

    pub(super) const fn spill(s: u16) -> Loc {
        Loc::simple(Kind::Spill, s as u32)
    }

    pub(super) const fn constant(index: u32) -> Loc {
        Loc::simple(Kind::Const, index)
    }

    pub(super) const fn bit(n: u32) -> Loc {
        Loc::simple(Kind::Bit, n)
    }

    /// Layout, from bit 0: operand a, operand b (24 bits each), condition code (4), type (3), kind (3).
    pub(super) fn recipe(kind: CondKind, cc: u8, ty: Ty, a: Loc, b: Loc) -> Loc {
        debug_assert!((a.0 | b.0) >> SIMPLE_BITS == 0);
        Loc(RECIPE | a.0 | b.0 << 24 | u64::from(cc) << 48 | (ty as u64) << 52 | (kind as u64) << 55)
    }

    pub(super) fn as_recipe(self) -> Option<RecipeLoc> {
        const TYPES: [Ty; 6] = [Ty::I1, Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128];
        let mask = (1 << SIMPLE_BITS) - 1;
        (self.0 & RECIPE != 0).then(|| RecipeLoc {
            kind: CondKind::ALL[(self.0 >> 55 & 7) as usize],
            cc: (self.0 >> 48 & 15) as u8,
            ty: TYPES[(self.0 >> 52 & 7) as usize],
            a: Loc(self.0 & mask),
            b: Loc(self.0 >> 24 & mask),
        })
    }

    /// The location with other numbers for constants.
    fn with_constants(self, number: &mut dyn FnMut(u32) -> u32) -> Loc {
        match self.as_recipe() {
            Some(r) => Loc::recipe(r.kind, r.cc, r.ty, r.a.with_constants(number), r.b.with_constants(number)),
            None => match self.parts() {
                (Kind::Const, n) => Loc::constant(number(n)),
                _ => self,
            },
        }
    }

    /// Kind and number of a simple location.
    pub(super) fn parts(self) -> (Kind, u32) {
        (KINDS[(self.0 & 7) as usize], (self.0 >> 3) as u32)
    }
}

/// A point that can fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Point {
    /// Offset of the host instruction.
    at: u32,
    /// Guest address, relative to the unit's.
    pc: u32,
}

/// Locations of slots at faulting instructions: changes from each to the next.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct FaultTable {
    start: u64,
    /// Of each point, as variable-length numbers: offset and guest address relative to the point before, how many slots have
    /// moved since, and slot number and location of each.
    #[serde(with = "serde_bytes")]
    points: Vec<u8>,
    /// What most units do without.
    rare: Option<Box<Rare>>,
}

#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
struct Rare {
    /// Constants that locations name, by number.
    consts: Vec<u128>,
    /// Mode words from a guest address on (relative to the unit's), where they differ from what is in the state.
    modes: Vec<(u32, u32)>,
}

impl FaultTable {
    /// Bytes of memory the table takes besides its own fields.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let rare = |rare: &Rare| size_of::<Rare>() + size_of_val(&*rare.consts) + size_of_val(&*rare.modes);
        self.points.len() + self.rare.as_deref().map_or(0, rare)
    }

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
        let (point, locs) = self.locations(conv, |_, point| point.at >= offset).filter(|found| found.0.at == offset)?;
        super::deferred::settle(conv, thread);
        let source = Source { guest, table: self, regs, thread };
        let values: Vec<u128> = locs.iter().map(|&(_, loc)| source.read(loc)).collect();
        for ((slot, loc), value) in locs.into_iter().zip(values) {
            if loc != Loc::home(slot) {
                thread.guest.set(guest, Slot(slot), value);
            }
        }
        thread.guest.pc = self.start.wrapping_add(u64::from(point.pc));
        let modes = self.rare.iter().flat_map(|rare| rare.modes.iter().rev());
        if let Some((_, mode)) = modes.into_iter().find(|(pc, _)| *pc <= point.pc) {
            thread.guest.mode = *mode;
        }
        Some(thread.guest.pc)
    }
}

impl FaultTable {
    /// The first point that `wanted` accepts, given its number, and where slots are there; those that have never been elsewhere
    /// than at home are left out.
    fn locations(&self, conv: &Convention, wanted: impl Fn(usize, Point) -> bool) -> Option<(Point, Vec<(u16, Loc)>)> {
        let mut locs: Vec<(u16, Loc)> = Loc::of_pins(conv).collect();
        let mut stream = self.points.as_slice();
        let mut point = Point { at: 0, pc: 0 };
        let mut number = 0;
        while !stream.is_empty() {
            point.at = point.at.wrapping_add(read_number(&mut stream) as u32);
            point.pc = point.pc.wrapping_add(unfold(read_number(&mut stream) as u32));
            for _ in 0..read_number(&mut stream) {
                let slot = read_number(&mut stream) as u16;
                let loc = Loc(read_number(&mut stream).rotate_right(1));
                match locs.iter_mut().find(|(s, _)| *s == slot) {
                    Some(entry) => entry.1 = loc,
                    None => locs.push((slot, loc)),
                }
            }
            if wanted(number, point) {
                return Some((point, locs));
            }
            number += 1;
        }
        None
    }
}

/// Everything a location can refer to.
struct Source<'a> {
    guest: &'a Guest,
    table: &'a FaultTable,
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
            Kind::Spill => self.thread.spill[n],
            Kind::Const => self.table.rare.as_ref().and_then(|rare| rare.consts.get(n)).copied().unwrap_or_default(),
            Kind::Bit => n as u128,
        }
    }
}

/// What the host's flags would be after a comparison.
#[derive(Clone, Copy)]
pub(super) enum Compared {
    /// Of integers.
    Integers { carry: bool, zero: bool, negative: bool, overflow: bool },
    /// Of floats: `None` if they are unordered.
    Floats(Option<Ordering>),
}

impl Compared {
    /// Compares `ty`-wide operands.
    pub(super) fn new(kind: CondKind, ty: Ty, a: u64, b: u64) -> Compared {
        if kind == CondKind::Float {
            return Compared::Floats(match ty {
                Ty::I32 => f32::from_bits(a as u32).partial_cmp(&f32::from_bits(b as u32)),
                _ => f64::from_bits(a).partial_cmp(&f64::from_bits(b)),
            });
        }
        let bits = ty.bits().min(64);
        let mask = ty.mask() as u64;
        let (a, operand) = (a & mask, b & mask);
        let sign = |v: u64| v >> (bits - 1) & 1 != 0;
        let (result, carry, overflow) = match kind {
            CondKind::Cmp => {
                let d = a.wrapping_sub(operand) & mask;
                (d, a < operand, sign((a ^ operand) & (a ^ d)))
            }
            CondKind::Add => {
                let s = a.wrapping_add(operand) & mask;
                (s, s < a, sign(!(a ^ operand) & (a ^ s)))
            }
            CondKind::Test => (a & operand, false, false),
            CondKind::Bit | CondKind::Float | CondKind::Extend => (0, a >> (b & 63) & 1 != 0, false),
        };
        Compared::Integers { carry, zero: result == 0, negative: sign(result), overflow }
    }

    /// Whether a condition code holds.
    pub(super) fn holds(self, code: u8) -> bool {
        let (carry, zero, negative, overflow) = match self {
            Compared::Integers { carry, zero, negative, overflow } => (carry, zero, negative, overflow),
            Compared::Floats(order) => return float_conditions::holds(code, order),
        };
        let holds = match code & !1 {
            cc::O => overflow,
            cc::B => carry,
            cc::E => zero,
            cc::BE => carry || zero,
            cc::S => negative,
            cc::L => negative != overflow,
            _ => zero || negative != overflow,
        };
        holds != (code & 1 != 0)
    }
}

/// The sign extension of the low bits of `a` that are of type `ty`.
fn extended(ty: Ty, a: u64) -> u64 {
    let above = 64 - ty.bits();
    ((a << above) as i64 >> above) as u64
}

/// Result of a comparison of `ty`-wide operands, as the host's flags would give it.
pub(super) fn holds(kind: CondKind, code: u8, ty: Ty, a: u64, b: u64) -> bool {
    Compared::new(kind, ty, a, b).holds(code)
}

/// Builds a [`FaultTable`] while code is emitted.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    pub(super) table: FaultTable,
    /// By slot: location as of the last point.
    last: Vec<Loc>,
    /// How many points there are, the one under construction and the one before.
    count: usize,
    point: Option<Point>,
    before: Option<Point>,
    /// Slots that have moved to reach the one under construction: how many, and the rest.
    moved: u64,
    changes: Vec<u8>,
    /// Constants of the unit that locations name, and modes, for [`Rare`].
    consts: Vec<u32>,
    modes: Vec<(u32, u32)>,
}

impl Recorder {
    pub(super) fn start(&mut self, unit: &Unit, guest: &Guest, conv: &Convention) {
        self.table.start = unit.key.pc;
        self.table.points.clear();
        self.table.rare = None;
        (self.count, self.point, self.before, self.moved) = (0, None, None, 0);
        self.changes.clear();
        self.consts.clear();
        self.modes.clear();
        self.last.clear();
        self.last.extend((0..guest.slots.len()).map(|s| Loc::home(s as u16)));
        for (slot, loc) in Loc::of_pins(conv) {
            self.last[slot as usize] = loc;
        }
    }

    /// The host instruction at `at` can fault on behalf of the guest instruction at `pc`; its slots follow.
    pub(super) fn point(&mut self, at: u32, pc: u64) {
        self.end_point();
        self.point = Some(Point { at, pc: pc.wrapping_sub(self.table.start) as u32 });
        self.count += 1;
    }

    /// How many points there are.
    pub(super) fn count(&self) -> usize {
        self.count
    }

    fn end_point(&mut self) {
        let Some(point) = self.point.take() else { return };
        let before = self.before.replace(point).unwrap_or(Point { at: 0, pc: 0 });
        let out = &mut self.table.points;
        write_number(out, point.at.wrapping_sub(before.at).into());
        write_number(out, fold(point.pc.wrapping_sub(before.pc)).into());
        write_number(out, std::mem::take(&mut self.moved));
        out.append(&mut self.changes);
    }

    /// Guest instructions from `pc` on have another mode.
    pub(super) fn mode(&mut self, pc: u64, mode: u32) {
        self.modes.push((pc.wrapping_sub(self.table.start) as u32, mode));
    }

    /// Corrects the offset of the last point.
    pub(super) fn at(&mut self, at: u32) {
        if let Some(p) = &mut self.point {
            p.at = at;
        }
    }

    /// Location of a slot at the point.
    pub(super) fn slot(&mut self, slot: u16, loc: Loc) {
        let last = &mut self.last[slot as usize];
        if *last == loc {
            return;
        }
        *last = loc;
        let loc = loc.with_constants(&mut |n| self.number(n));
        self.moved += 1;
        write_number(&mut self.changes, u64::from(slot));
        write_number(&mut self.changes, loc.0.rotate_left(1));
    }

    /// The number in the table of a constant of the unit.
    fn number(&mut self, n: u32) -> u32 {
        let known = self.consts.iter().position(|&k| k == n);
        known.unwrap_or_else(|| {
            self.consts.push(n);
            self.consts.len() - 1
        }) as u32
    }

    /// Ends the unit.
    pub(super) fn finish(&mut self, unit: &Unit) {
        self.end_point();
        if !(self.consts.is_empty() && self.modes.is_empty()) {
            let consts = self.consts.iter().map(|&n| unit.consts[n as usize]).collect();
            self.table.rare = Some(Box::new(Rare { consts, modes: self.modes.clone() }));
        }
    }

    /// Offset of the point of a number, and where slots are there, constants being those of the unit.
    pub(super) fn shown(&self, conv: &Convention, number: usize) -> (u32, Vec<(u16, Loc)>) {
        let found = self.table.locations(conv, |n, _| n == number);
        let (point, mut locs) = found.unwrap_or((Point { at: 0, pc: 0 }, Vec::new()));
        for (_, loc) in &mut locs {
            *loc = loc.with_constants(&mut |n| self.consts[n as usize]);
        }
        (point.at, locs)
    }
}

/// A small difference, of either sign, as a small number.
fn fold(n: u32) -> u32 {
    n << 1 ^ ((n as i32) >> 31) as u32
}

fn unfold(n: u32) -> u32 {
    n >> 1 ^ (n & 1).wrapping_neg()
}

/// Seven bits a byte, least significant first, the top bit set on all but the last.
fn write_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn read_number(stream: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0, 0);
    while let [byte, rest @ ..] = *stream {
        *stream = rest;
        n |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    n
}
