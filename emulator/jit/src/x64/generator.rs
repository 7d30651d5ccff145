//! Emission of one unit: where values are, and the allocation of registers on the fly.
//!
//! # The allocation interface
//!
//! An emitter for the instruction at `self.pos` (see `emit*.rs`) works in three steps:
//! 1. *read*: [`Gen::use_gpr`], [`Gen::use_xmm`] and [`Gen::operand`] bring operands into registers and lock these for
//!    the instruction; [`Gen::temp_gpr`], [`Gen::temp_xmm`] give locked scratch registers; [`Gen::fix_gpr`] empties a
//!    particular register and locks it (for `rax`, `rdx`, `rcx` as implicit operands);
//! 2. *define*: [`Gen::def_gpr`] or [`Gen::def_xmm`] allocates the result. It may return the register of an operand that
//!    is not needed afterwards, unless that is in `avoid`: pass what is still to be read once the result is written. An
//!    instruction that writes its result before it can fault must `avoid` every locked register ([`Gen::locked`]) and the
//!    registers of values that its snapshot needs, hence [`Gen::def_gpr_early`];
//! 3. *emit* with `self.asm`.
//!
//! Values: a general register holds the low 64 bits of a value; bits above its type are undefined except as
//! [`super::analysis::Analysis::clean`] says (one-bit values are always 0 or 1). A vector register holds the low 128 bits;
//! bits above the type are undefined. Steps 1 and 2 emit moves only: they never touch the flags.
//! A value may be in several places at once; places are never stale.

use std::sync::atomic::AtomicU64;

use ir::guest::Guest;
use ir::inst::{Inst, Val};
use ir::unit::Boundary;
use ir::{Ty, Unit};

use super::analysis::{Analysis, CondKind, Mode, NO, NO_HINT, result_ty};
use super::asm::{Asm, Label, Mem};
use super::claims::{Cell, Claim, Claims};
use super::exit::Side;
use super::extensions::LOADED_SIGNED;
use super::float_checks::{Redo, Unchecked};
use super::rebase::Rebased;
use super::restored_flags::Rewrite;
use super::snapshot::{Loc, Recorder};
use super::turn::Turn;
use super::{CALLER_SAVED, CompileError, Convention, Features, Gpr, Link, Mark, Xmm};
use crate::thread_state::{SPILLS, ThreadState, disp, slot_disp};

/// Not in a register.
pub(super) const NONE: u8 = 0xff;

/// Neither spilled nor at home.
pub(super) const NOWHERE: u16 = 0xffff;

/// Scratch vector register, never allocated.
pub(super) const SCRATCH_XMM: Xmm = 15;

/// Last spill slots, kept for what exits must copy out of the way.
pub(super) const EXIT_COPIES: usize = 32;

/// Allocatable general registers, temporaries first.
const GPR_ORDER: [Gpr; 14] = [0, 1, 2, 6, 11, 10, 9, 8, 7, 15, 14, 13, 12, 3];

/// Where a value is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(align(8))] // compared as one word
pub(super) struct Place {
    pub(super) gpr: u8,
    pub(super) xmm: u8,
    pub(super) spill: u16,
    /// Slot whose memory holds the value.
    pub(super) home: u16,
}

impl Place {
    pub(super) const NOWHERE: Place = Place { gpr: NONE, xmm: NONE, spill: NOWHERE, home: NOWHERE };

    pub(super) fn in_memory(self) -> bool {
        self.spill != NOWHERE || self.home != NOWHERE
    }
}

/// Source operand of an arithmetic instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Operand {
    Reg(Gpr),
    Imm(i32),
    Mem(Mem),
}

/// Buffers that live from unit to unit.
#[derive(Default, Debug)]
pub(super) struct Buffers {
    pub(super) analysis: Analysis,
    pub(super) asm: Asm,
    pub(super) place: Vec<Place>,
    pub(super) cur: Vec<u32>,
    pub(super) holder: Vec<u32>,
    pub(super) spill_owner: Vec<u32>,
    pub(super) dirty: Vec<u16>,
    pub(super) is_dirty: Vec<bool>,
    pub(super) seen: Vec<(u32, Place)>,
    pub(super) sides: Vec<Side>,
    pub(super) moves: Vec<(u16, Loc)>,
    pub(super) links: Vec<Link>,
    pub(super) link_stubs: Vec<Label>,
    pub(super) polls: Vec<(Label, u64)>,
    pub(super) recorder: Recorder,
    pub(super) marks: Vec<(u32, Mark)>,
}

/// The emission of one unit.
pub(super) struct Gen<'a> {
    pub(super) unit: &'a Unit,
    pub(super) guest: &'a Guest,
    pub(super) conv: &'a Convention,
    pub(super) features: Features,
    /// See [`super::Compiler`].
    pub(super) exact_underflow: bool,
    pub(super) an: Analysis,
    pub(super) asm: Asm,
    /// Index of the instruction being emitted.
    pub(super) pos: u32,
    /// Guest address it belongs to.
    pub(super) pc: u64,
    /// Mode word in force for it.
    pub(super) mode: u32,
    /// By value.
    pub(super) place: Vec<Place>,
    /// Value in each register, or [`NO`]; that of a dead value is as good as free.
    pub(super) gpr: [u32; 16],
    pub(super) xmm: [u32; 16],
    pub(super) locked_gpr: u32,
    pub(super) locked_xmm: u32,
    pub(super) spill_owner: Vec<u32>,
    /// Slot → value it has now; [`NO`] when its home is right.
    pub(super) cur: Vec<u32>,
    /// Slot → value its home memory holds, if some value relies on it.
    pub(super) holder: Vec<u32>,
    /// Slots written so far that are not pinned, as a list and by slot.
    pub(super) dirty: Vec<u16>,
    pub(super) is_dirty: Vec<bool>,
    /// By slot: its value, and where that was, at the last point that can fault.
    pub(super) seen: Vec<(u32, Place)>,
    /// Comparison that the flags are of (its condition code left out).
    pub(super) flags: Option<(CondKind, Ty, u32, u32)>,
    /// The flags are of a comparison of floats that raised invalid for quiet NaNs too.
    pub(super) signalled: bool,
    /// The sum that the carry and overflow flags are of, by its position or that of a flag of it.
    pub(super) summed: Option<u32>,
    /// What the flags are of after the current instruction.
    pub(super) result_flags: Option<(CondKind, Ty, u32, u32)>,
    /// The same in terms of locations, at exits.
    pub(super) flags_of_locs: Option<Loc>,
    pub(super) sides: Vec<Side>,
    /// Polls of jumps to the unit's own entry.
    pub(super) turns: Vec<Turn>,
    pub(super) moves: Vec<(u16, Loc)>,
    pub(super) links: Vec<Link>,
    pub(super) link_stubs: Vec<Label>,
    /// Cold poll exits: label and guest address to continue at.
    pub(super) polls: Vec<(Label, u64)>,
    /// Cold code that brings deferred flags home at the entry: label, and where to go on.
    pub(super) settle: Option<(Label, Label)>,
    /// Cold code that leaves because an assumption about the entry is wrong.
    pub(super) wrong: Option<Label>,
    /// Offset of the code behind the checks of these assumptions.
    pub(super) checked_start: u32,
    /// Slots that have boxes at the exit being emitted.
    pub(super) boxes_left: u64,
    /// Some slot pinned to a vector register may have another value or be elsewhere than at the entry.
    pub(super) vectors_moved: bool,
    /// Floating-point results that are still to be checked.
    pub(super) unchecked: Vec<Unchecked>,
    /// Vector registers that these need, as a mask.
    pub(super) reserved_xmm: u32,
    /// Floating-point operations that cold code may have to do again.
    pub(super) redos: Vec<Redo>,
    /// Writes of flags that cold code may have to do.
    pub(super) rewrites: Vec<Rewrite>,
    /// The exit being emitted has left the condition flags as a comparison.
    pub(super) deferred: bool,
    /// Addresses that have given their registers to sums.
    pub(super) rebased: Vec<Rebased>,
    /// The address of the return being emitted, if its lowest bit is still to be cleared.
    pub(super) masked_return: Option<u32>,
    /// Registers borrowed for a move at an exit.
    pub(super) borrowed: u32,
    /// The mode word was changed by run-time values: exits leave it alone.
    pub(super) dynamic_mode: bool,
    pub(super) recorder: Recorder,
    /// Where guest instructions start: offset, guest address.
    pub(super) marks: Vec<(u32, Mark)>,
    pub(super) error: Option<CompileError>,
    /// See [`super::Compiler`].
    pub(super) counter: Option<&'static AtomicU64>,
    pub(super) count_turns: bool,
    /// For a proof that the allocation is right.
    pub(super) claims: Option<Claims>,
}

impl<'a> Gen<'a> {
    pub(super) fn new(
        unit: &'a Unit,
        guest: &'a Guest,
        conv: &'a Convention,
        features: Features,
        careful: bool,
        b: Buffers,
    ) -> Gen<'a> {
        let mut g = Gen {
            unit,
            guest,
            conv,
            features,
            exact_underflow: false,
            an: b.analysis,
            asm: b.asm,
            pos: 0,
            pc: unit.key.pc,
            mode: unit.key.mode,
            place: b.place,
            gpr: [NO; 16],
            xmm: [NO; 16],
            locked_gpr: 0,
            locked_xmm: 0,
            spill_owner: b.spill_owner,
            cur: b.cur,
            holder: b.holder,
            dirty: b.dirty,
            is_dirty: b.is_dirty,
            seen: b.seen,
            flags: None,
            signalled: false,
            summed: None,
            result_flags: None,
            flags_of_locs: None,
            sides: b.sides,
            turns: Vec::new(),
            moves: b.moves,
            links: b.links,
            link_stubs: b.link_stubs,
            polls: b.polls,
            settle: None,
            wrong: None,
            checked_start: 0,
            boxes_left: 0,
            vectors_moved: false,
            unchecked: Vec::new(),
            reserved_xmm: 0,
            redos: Vec::new(),
            rewrites: Vec::new(),
            deferred: false,
            rebased: Vec::new(),
            masked_return: None,
            borrowed: 0,
            dynamic_mode: false,
            recorder: b.recorder,
            marks: b.marks,
            error: None,
            counter: None,
            count_turns: false,
            claims: None,
        };
        g.asm.clear();
        g.an.careful = careful;
        g.an.prepare(unit, guest, conv, features);
        g.an.liveness(unit, guest, conv);
        g.start();
        g
    }

    pub(super) fn into_buffers(self) -> Buffers {
        Buffers {
            analysis: self.an,
            asm: self.asm,
            place: self.place,
            cur: self.cur,
            holder: self.holder,
            spill_owner: self.spill_owner,
            dirty: self.dirty,
            is_dirty: self.is_dirty,
            seen: self.seen,
            sides: self.sides,
            moves: self.moves,
            links: self.links,
            link_stubs: self.link_stubs,
            polls: self.polls,
            recorder: self.recorder,
            marks: self.marks,
        }
    }

    /// State at the unit's entry: pinned slots in their registers, the others at home.
    fn start(&mut self) {
        self.place.clear();
        self.place.resize(self.an.values.len(), Place::NOWHERE);
        let slots = self.guest.slots.len();
        for v in [&mut self.cur, &mut self.holder] {
            v.clear();
            v.resize(slots, NO);
        }
        self.seen.clear();
        self.seen.resize(slots, (NO, Place::NOWHERE));
        self.spill_owner.clear();
        self.dirty.clear();
        self.is_dirty.clear();
        self.is_dirty.resize(slots, false);
        self.sides.clear();
        self.moves.clear();
        self.links.clear();
        self.link_stubs.clear();
        self.polls.clear();
        self.marks.clear();
        self.recorder.start(self.unit, self.guest, self.conv);
        for i in 0..self.an.gets.len() {
            let slot = self.an.gets[i];
            let v = self.start_slot(slot, Place { home: slot, ..Place::NOWHERE });
            self.holder[slot as usize] = v;
        }
        for &(slot, r) in &self.conv.pins {
            let v = self.start_slot(slot.0, Place { gpr: r, ..Place::NOWHERE });
            self.gpr[r as usize] = v;
        }
        for &(slot, x) in &self.conv.vector_pins {
            let v = self.start_slot(slot.0, Place { xmm: x, ..Place::NOWHERE });
            self.xmm[x as usize] = v;
        }
    }

    /// The slot's value at entry, which is in `place`.
    fn start_slot(&mut self, slot: u16, place: Place) -> u32 {
        let v = self.an.entry[slot as usize];
        self.cur[slot as usize] = v;
        self.place[v as usize] = place;
        self.seen[slot as usize] = (v, place);
        v
    }

    /// A guest instruction starts.
    pub(super) fn set_guest_mode(&mut self, bound: &Boundary) {
        if bound.mode != self.mode {
            self.mode = bound.mode;
            self.recorder.mode(bound.pc, bound.mode);
        }
    }

    /// Starts the next instruction: nothing is locked.
    pub(super) fn unlock(&mut self) {
        self.locked_gpr = 0;
        self.locked_xmm = self.reserved_xmm;
        self.claim(Claim::Unlocks);
    }

    // ------------------------------------------------------------------ facts
    pub(super) fn inst(&self) -> &'a Inst {
        &self.unit.insts[self.pos as usize]
    }

    /// Type of a value (of the representative, at least as wide as the alias).
    pub(super) fn ty(&self, v: u32) -> Ty {
        match self.unit.insts.get(v as usize) {
            Some(_) if self.an.values[v as usize].widened => Ty::I128,
            Some(_) if self.an.values[v as usize].boxed => Ty::I64,
            Some(_) if self.an.values[v as usize].uses & LOADED_SIGNED != 0 => Ty::I64,
            Some(inst) => result_ty(inst),
            // What a pinned slot has at the entry. Narrow ones are as wide as a general register there.
            None => match self.conv.pinned_slot(v as usize - self.unit.insts.len()) {
                slot if self.conv.vector(slot).is_some() => self.guest.slots[slot as usize].ty,
                _ => Ty::I64,
            },
        }
    }

    /// Type of operand `k` of the current instruction.
    pub(super) fn arg_ty(&self, k: usize) -> Ty {
        self.an.operand_ty(self.unit, self.inst(), k)
    }

    /// Operand `k` of the current instruction.
    pub(super) fn arg(&self, k: usize) -> u32 {
        self.an.arg(self.inst(), k)
    }

    pub(super) fn has_arg(&self, k: usize) -> bool {
        self.inst().args[k] != Val::NONE
    }

    pub(super) fn constant(&self, v: u32) -> Option<u128> {
        self.an.constant(self.unit, v)
    }

    /// Needed by this instruction or a later one.
    pub(super) fn live(&self, v: u32) -> bool {
        self.an.values[v as usize].end > self.pos
    }

    /// Needed after this instruction.
    pub(super) fn live_after(&self, v: u32) -> bool {
        self.an.values[v as usize].end > self.pos + 1
    }

    /// Whether the current instruction's result is used.
    pub(super) fn wanted(&self) -> bool {
        self.an.values[self.pos as usize].end != 0
    }

    /// Whether the current instruction's result is best in a vector register.
    pub(super) fn wants_xmm(&self) -> bool {
        let (ty, value) = (result_ty(self.inst()), &self.an.values[self.pos as usize]);
        ty == Ty::I128 || value.widened || value.boxed || matches!(ty, Ty::I32 | Ty::I64) && value.vector
    }

    pub(super) fn in_gpr(&self, v: u32) -> bool {
        self.place[v as usize].gpr != NONE
    }

    /// Neither in a register nor in memory.
    pub(super) fn is_nowhere(&self, v: u32) -> bool {
        self.place[v as usize] == Place::NOWHERE
    }

    pub(super) fn in_xmm(&self, v: u32) -> bool {
        self.place[v as usize].xmm != NONE
    }

    /// Registers that this instruction has claimed, as a mask.
    pub(super) fn locked(&self) -> u32 {
        self.locked_gpr
    }

    pub(super) fn spill_mem(slot: u16) -> Mem {
        Mem::state(disp(std::mem::offset_of!(ThreadState, spill) + 16 * slot as usize))
    }

    pub(super) fn home_mem(&self, slot: u16) -> Mem {
        Mem::state(slot_disp(self.guest.slots[slot as usize].offset))
    }

    /// A field of the thread's block.
    pub(super) fn field(offset: usize) -> Mem {
        Mem::state(disp(offset))
    }

    // ------------------------------------------------------------------ general registers
    /// The value in a general register, locked. Of a 128-bit value: the low half.
    pub(super) fn use_gpr(&mut self, v: u32) -> Gpr {
        let p = self.place[v as usize];
        if p.gpr != NONE {
            self.locked_gpr |= 1 << p.gpr;
            self.claim_gpr(v, p.gpr);
            return p.gpr;
        }
        let wide = self.ty(v) == Ty::I128;
        if self.an.values[v as usize].mode == Mode::Cond {
            return self.use_condition(v);
        }
        let r = self.alloc_gpr(if wide { NO_HINT } else { self.an.values[v as usize].hint });
        self.load_into(r, v);
        if !wide {
            self.own_gpr(r, v);
        }
        self.claim_gpr(v, r);
        r
    }

    /// Emits the move of a value that is in no general register to `r`.
    pub(super) fn load_into(&mut self, r: Gpr, v: u32) {
        let p = self.place[v as usize];
        if let Some(bits) = self.constant(v) {
            self.asm.mov_ri(r, bits as u64);
        } else if p.xmm != NONE {
            self.asm.mov_rx(8, r, p.xmm);
        } else if p.spill != NOWHERE {
            self.asm.load(8, r, Self::spill_mem(p.spill));
        } else {
            debug_assert!(p.home != NOWHERE, "value {v} is nowhere at {}", self.pos);
            let size = self.guest.slots[p.home as usize].ty.bytes().min(8);
            let m = self.home_mem(p.home);
            self.asm.load(size, r, m);
        }
    }

    /// A scratch copy of the value that the instruction may overwrite, locked.
    pub(super) fn copy_gpr(&mut self, v: u32) -> Gpr {
        if self.in_gpr(v) || self.an.values[v as usize].mode == Mode::Cond {
            let s = self.use_gpr(v);
            let r = self.temp_gpr();
            self.asm.mov_rr(8, r, s);
            return r;
        }
        let r = self.temp_gpr();
        self.load_into(r, v);
        self.claim_gpr(v, r);
        self.claim(Claim::Releases(Cell::Gpr(r)));
        r
    }

    /// The value in register `r` as a scratch copy; `r` is emptied and locked.
    pub(super) fn copy_to(&mut self, r: Gpr, v: u32) {
        if self.place[v as usize].gpr == r {
            // Keep another copy if the value lives on.
            self.locked_gpr |= 1 << r;
            self.claim_gpr(v, r);
            let again = self.inst().args.iter().filter(|a| **a != Val::NONE && self.an.val(**a) == v).count() > 1;
            self.vacate(r, again || self.live_after(v));
            self.claim(Claim::Releases(Cell::Gpr(r)));
            return;
        }
        if self.an.values[v as usize].mode == Mode::Cond {
            let s = self.use_gpr(v);
            self.fix_gpr(r);
            self.asm.mov_rr(8, r, s);
            return;
        }
        self.fix_gpr(r);
        let p = self.place[v as usize];
        if p.gpr != NONE {
            self.asm.mov_rr(8, r, p.gpr);
        } else {
            self.load_into(r, v);
        }
        self.claim_gpr(v, r);
        self.claim(Claim::Releases(Cell::Gpr(r)));
    }

    /// A scratch register, locked.
    pub(super) fn temp_gpr(&mut self) -> Gpr {
        let r = self.alloc_gpr(NO_HINT);
        self.locked_gpr |= 1 << r;
        r
    }

    /// Empties a particular register and locks it. A live value in it moves elsewhere.
    pub(super) fn fix_gpr(&mut self, r: Gpr) {
        debug_assert!(self.locked_gpr & 1 << r == 0, "r{r} is in use");
        self.locked_gpr |= 1 << r;
        let v = self.gpr[r as usize];
        let keep = v != NO && self.live(v);
        self.vacate(r, keep);
    }

    /// Empties several registers and locks them.
    pub(super) fn fix_gprs(&mut self, regs: &[Gpr]) {
        let mask = regs.iter().fold(0, |m, r| m | 1 << r);
        self.locked_gpr |= mask;
        for &r in regs {
            let v = self.gpr[r as usize];
            self.vacate(r, v != NO && self.live(v));
        }
    }

    /// Empties a register that is locked because an operand was in it, of which the instruction has a copy.
    pub(super) fn vacate_locked(&mut self, r: Gpr) {
        self.claim(Claim::Releases(Cell::Gpr(r)));
        let v = self.gpr[r as usize];
        self.vacate(r, v != NO && self.live_after(v));
    }

    /// Takes the register from its value, which moves elsewhere if `keep`.
    fn vacate(&mut self, r: Gpr, keep: bool) {
        let v = self.gpr[r as usize];
        if v == NO {
            return;
        }
        let p = self.place[v as usize];
        if keep && p.xmm == NONE && !p.in_memory() && self.an.values[v as usize].mode == Mode::Emit {
            match self.free_gpr(0) {
                Some(to) => {
                    self.asm.mov_rr(8, to, r);
                    self.drop_gpr(r);
                    self.drop_gpr(to);
                    // Not locked: an operand is found again when it is used.
                    self.gpr[to as usize] = v;
                    self.place[v as usize].gpr = to;
                    return;
                }
                None => self.save(r, v),
            }
        }
        self.drop_gpr(r);
    }

    /// A register for the result, which may be that of an operand that dies here unless in `avoid`.
    pub(super) fn def_gpr(&mut self, avoid: u32) -> Gpr {
        let v = self.pos;
        let hint = self.an.values[v as usize].hint;
        let fits = |g: &Self, r: Gpr| {
            let owner = g.gpr[r as usize];
            avoid & 1 << r == 0 && (owner == NO && g.locked_gpr & 1 << r == 0 || owner != NO && !g.live_after(owner))
        };
        let r = if hint != NO_HINT && fits(self, hint) {
            hint
        } else {
            // An operand's register saves a move; else any free one.
            let operands = self.inst().args;
            let dying = operands.iter().filter(|a| **a != Val::NONE && a.index() < self.place.len()).find_map(|a| {
                let p = self.place[self.an.val(*a) as usize];
                (p.gpr != NONE && self.locked_gpr & 1 << p.gpr != 0 && fits(self, p.gpr)).then_some(p.gpr)
            });
            match dying {
                Some(r) => r,
                None => match GPR_ORDER.into_iter().find(|&r| self.locked_gpr & 1 << r == 0 && fits(self, r)) {
                    Some(r) => r,
                    None => self.alloc_gpr(NO_HINT),
                },
            }
        };
        self.take_gpr(r, v);
        r
    }

    /// A register for a result that is written before the operands have been read or the instruction can fault.
    pub(super) fn def_gpr_early(&mut self) -> Gpr {
        let hint = self.an.values[self.pos as usize].hint;
        let r = self.alloc_gpr(hint);
        self.take_gpr(r, self.pos);
        r
    }

    /// Declares that the result is in `r`, a register the instruction locked and filled.
    pub(super) fn result_gpr(&mut self, r: Gpr) {
        self.take_gpr(r, self.pos);
    }

    fn take_gpr(&mut self, r: Gpr, v: u32) {
        self.drop_gpr(r);
        self.own_gpr(r, v);
        if self.claims.is_some() {
            let bits = self.gpr_bits(v);
            self.claim(Claim::Defines { cell: Cell::Gpr(r), bits });
        }
    }

    fn own_gpr(&mut self, r: Gpr, v: u32) {
        self.gpr[r as usize] = v;
        self.place[v as usize].gpr = r;
        self.locked_gpr |= 1 << r;
    }

    pub(super) fn drop_gpr(&mut self, r: Gpr) {
        let v = self.gpr[r as usize];
        if v != NO {
            self.place[v as usize].gpr = NONE;
            self.gpr[r as usize] = NO;
        }
    }

    /// An unlocked register without a live value.
    pub(super) fn free_gpr(&self, avoid: u32) -> Option<Gpr> {
        let free = |r: Gpr| {
            let v = self.gpr[r as usize];
            (self.locked_gpr | avoid) & 1 << r == 0 && (v == NO || !self.live(v))
        };
        // Empty ones before those of cached constants.
        let empty = GPR_ORDER.into_iter().find(|&r| free(r) && self.gpr[r as usize] == NO);
        empty.or_else(|| GPR_ORDER.into_iter().find(|&r| free(r)))
    }

    /// An empty register: the preferred one if free, else any free one, else that of the value used last.
    fn alloc_gpr(&mut self, hint: u8) -> Gpr {
        if hint != NO_HINT && self.locked_gpr & 1 << hint == 0 {
            let v = self.gpr[hint as usize];
            if v == NO || !self.live(v) {
                self.drop_gpr(hint);
                self.locked_gpr |= 1 << hint;
                return hint;
            }
        }
        let r = match self.free_gpr(0) {
            Some(r) => r,
            None => self.evict_gpr(),
        };
        self.drop_gpr(r);
        self.locked_gpr |= 1 << r;
        r
    }

    fn evict_gpr(&mut self) -> Gpr {
        let (mut best, mut best_score) = (NONE, 0);
        for r in GPR_ORDER {
            if self.locked_gpr & 1 << r != 0 {
                continue;
            }
            let v = self.gpr[r as usize];
            let next = self.an.next_use(v, self.pos.wrapping_sub(1).min(self.pos));
            let p = self.place[v as usize];
            // A value that is elsewhere too goes for free.
            let score = u64::from(next) * 2 + u64::from(p.xmm != NONE || p.in_memory()) * 8 + 1;
            if score > best_score {
                (best, best_score) = (r, score);
            }
        }
        assert!(best != NONE, "an instruction locks every register");
        let v = self.gpr[best as usize];
        let p = self.place[v as usize];
        if p.xmm == NONE && !p.in_memory() && self.an.values[v as usize].mode == Mode::Emit {
            self.save(best, v);
        }
        best
    }

    /// Stores the value in `r` to memory: to the home of the slot whose value it is, or to a spill slot.
    fn save(&mut self, r: Gpr, v: u32) {
        if let Some(slot) = self.home_for(v) {
            let (size, m) = (self.guest.slots[slot as usize].ty.bytes(), self.home_mem(slot));
            self.asm.store(size, m, r);
            self.settle(slot, v);
        } else {
            let s = self.alloc_spill(v);
            self.asm.store(8, Self::spill_mem(s), r);
        }
    }

    /// A slot whose current value is `v` and whose memory nobody else needs.
    pub(super) fn home_for(&self, v: u32) -> Option<u16> {
        let ty = self.ty(v);
        let fits = |slot: u16| {
            let holder = self.holder[slot as usize];
            self.cur[slot as usize] == v
                && (self.an.needs_settled || self.conv.flag(slot).is_none())
                && self.holds_whole(slot, ty)
                && (holder == NO || holder == v || !self.live(holder) || self.has_copy(holder))
        };
        self.conv.pinned_slots().chain(self.dirty.iter().copied()).find(|&s| fits(s))
    }

    /// Whether the slot's memory has room for all of a value: it may be the truncation of a wider one.
    fn holds_whole(&self, slot: u16, ty: Ty) -> bool {
        let slot_ty = self.guest.slots[slot as usize].ty;
        slot_ty == ty || slot_ty == Ty::I64 && ty.bits() < 64
    }

    /// The value, or the part of it that is the slot's, was stored at the slot's home.
    pub(super) fn settle_if_whole(&mut self, slot: u16, v: u32) {
        if self.holds_whole(slot, self.ty(v)) {
            return self.settle(slot, v);
        }
        let holder = std::mem::replace(&mut self.holder[slot as usize], NO);
        if holder != NO && self.place[holder as usize].home == slot {
            self.place[holder as usize].home = NOWHERE;
        }
    }

    /// In a register or spilled, besides its home.
    pub(super) fn has_copy(&self, v: u32) -> bool {
        let p = self.place[v as usize];
        p.gpr != NONE || p.xmm != NONE || p.spill != NOWHERE
    }

    /// The home of `slot` now holds `v`.
    pub(super) fn settle(&mut self, slot: u16, v: u32) {
        let holder = self.holder[slot as usize];
        if holder != NO && self.place[holder as usize].home == slot {
            self.place[holder as usize].home = NOWHERE;
        }
        self.holder[slot as usize] = v;
        self.place[v as usize].home = slot;
    }

    pub(super) fn alloc_spill(&mut self, v: u32) -> u16 {
        let free = self.spill_owner.iter().position(|&o| o == NO || !self.live(o));
        let s = match free {
            Some(s) => {
                let old = self.spill_owner[s];
                if old != NO && self.place[old as usize].spill == s as u16 {
                    self.place[old as usize].spill = NOWHERE;
                }
                s
            }
            None => {
                self.spill_owner.push(NO);
                self.spill_owner.len() - 1
            }
        };
        if s + EXIT_COPIES >= SPILLS {
            self.error = Some(CompileError::TooManyLive);
            return 0;
        }
        self.spill_owner[s] = v;
        self.place[v as usize].spill = s as u16;
        s as u16
    }

    /// A source operand of `ty`: immediate if it fits, the register it is in, memory if this is the only use, else loaded.
    pub(super) fn operand(&mut self, v: u32, ty: Ty) -> Operand {
        if let Some(k) = self.an.imm32(self.unit, v, ty) {
            return Operand::Imm(k);
        }
        // Narrow operations are done on 32 bits, which memory does not have.
        if ty.bits() >= 32
            && let Some(m) = self.memory_operand(v, ty)
        {
            return Operand::Mem(m);
        }
        Operand::Reg(self.use_gpr(v))
    }

    /// The memory a value is in, if it is nowhere else and not used again.
    pub(super) fn memory_operand(&mut self, v: u32, ty: Ty) -> Option<Mem> {
        let p = self.place[v as usize];
        if p.gpr != NONE || p.xmm != NONE || !p.in_memory() || self.an.next_use(v, self.pos) != u32::MAX {
            return None;
        }
        let m = if p.spill != NOWHERE {
            Self::spill_mem(p.spill)
        } else if self.guest.slots[p.home as usize].ty.bytes() >= ty.bytes() {
            self.home_mem(p.home)
        } else {
            return None;
        };
        if self.claims.is_some() {
            let bits = self.bits(v).min(ty.bits() as u16);
            self.claim(Claim::Holds { value: v, cell: Cell::Mem(m.disp), bits });
        }
        Some(m)
    }

    // ------------------------------------------------------------------ calls
    /// Empties the registers that a call loses, of values needed afterwards.
    pub(super) fn save_for_call(&mut self) {
        for r in CALLER_SAVED {
            let v = self.gpr[r as usize];
            if v == NO {
                continue;
            }
            let p = self.place[v as usize];
            if self.live_after(v) && !p.in_memory() && self.an.values[v as usize].mode == Mode::Emit {
                self.save(r, v);
            }
            self.drop_gpr(r);
        }
        for x in 0..16u8 {
            let v = self.xmm[x as usize];
            if v == NO {
                continue;
            }
            if self.live_after(v) && !self.place[v as usize].in_memory() {
                // A copy in a general register does not survive either, unless callee-saved.
                self.save_xmm(x);
            }
            self.drop_xmm(x);
        }
    }
}
