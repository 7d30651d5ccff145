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

use super::analysis::{Analysis, CondKind, NO, result_ty};
use super::asm::{Asm, Label, Mem};
use super::choices::PlacedChoice;
use super::claims::{Claim, Claims};
use super::emit_extended::USUAL_CONTROL;
use super::emit_flushing_exactly::Flush;
use super::exit::Side;
use super::extensions::LOADED_SIGNED;
use super::fault_table::Recorder;
use super::float_checks::{Redo, Unchecked};
use super::interlocks::Interlock;
use super::out_of_range::{Unconverted, UnconvertedLanes, UnsignedLanes};
use super::rebase::Rebased;
use super::restored_flags::Rewrite;
use super::snapshot::Loc;
use super::turn::Turn;
use super::unordered::Unordered;
use super::{CompileError, Convention, Features, Gpr, Link, Mark, Xmm};
use crate::thread_state::{ThreadState, disp, slot_disp};

/// Not in a register.
pub(super) const NONE: u8 = 0xff;

/// Neither spilled nor at home.
pub(super) const NOWHERE: u16 = 0xffff;

/// Scratch vector register, never allocated.
pub(super) const SCRATCH_XMM: Xmm = 15;

/// Last spill slots, kept for what exits must copy out of the way.
pub(super) const EXIT_COPIES: usize = 32;

/// Allocatable general registers, temporaries first.
pub(super) const GPR_ORDER: [Gpr; 14] = [0, 1, 2, 6, 11, 10, 9, 8, 7, 15, 14, 13, 12, 3];

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
    pub(super) interlocks: Vec<Interlock>,
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
    pub(super) traps_invalid: bool,
    /// See [`super::Compiler::retreats_to`].
    pub(super) retreats_to: u32,
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
    /// Choices that exits show, by number.
    pub(super) choices: Vec<PlacedChoice>,
    pub(super) links: Vec<Link>,
    pub(super) interlocks: Vec<Interlock>,
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
    /// Numbers that cold code may have to flush.
    pub(super) flushes: Vec<Flush>,
    /// Conversions to integers that the host may not make.
    pub(super) unconverted: Vec<Unconverted>,
    pub(super) unconverted_lanes: Vec<UnconvertedLanes>,
    pub(super) unsigned_lanes: Vec<UnsignedLanes>,
    pub(super) unordered: Vec<Unordered>,
    /// Writes of flags that cold code may have to do.
    pub(super) rewrites: Vec<Rewrite>,
    /// Precision and rounding of the host's x87 here.
    pub(super) control: u16,
    /// The exit being emitted has left the condition flags as a comparison.
    pub(super) deferred: bool,
    /// Addresses that have given their registers to sums.
    pub(super) rebased: Vec<Rebased>,
    /// Bytes of an expression, while it is written.
    pub(super) expression: Vec<u8>,
    /// The address of the return being emitted, if its lowest bit is still to be cleared.
    pub(super) masked_return: Option<u32>,
    /// The exit being emitted is the last, where slots have their last values.
    pub(super) at_end: bool,
    /// Registers borrowed for a move at an exit.
    pub(super) borrowed: u32,
    /// Registers whose values are needed behind the move.
    pub(super) kept: u32,
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
        b: Buffers,
    ) -> Gen<'a> {
        let mut g = Gen {
            unit,
            guest,
            conv,
            features,
            traps_invalid: false,
            retreats_to: 0,
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
            choices: Vec::new(),
            links: b.links,
            interlocks: b.interlocks,
            settle: None,
            wrong: None,
            checked_start: 0,
            boxes_left: 0,
            vectors_moved: false,
            unchecked: Vec::new(),
            reserved_xmm: 0,
            redos: Vec::new(),
            flushes: Vec::new(),
            unconverted: Vec::new(),
            unconverted_lanes: Vec::new(),
            unsigned_lanes: Vec::new(),
            unordered: Vec::new(),
            rewrites: Vec::new(),
            control: USUAL_CONTROL,
            deferred: false,
            rebased: Vec::new(),
            expression: Vec::new(),
            masked_return: None,
            at_end: false,
            borrowed: 0,
            kept: 0,
            recorder: b.recorder,
            marks: b.marks,
            error: None,
            counter: None,
            count_turns: false,
            claims: None,
        };
        g.asm.clear();
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
            interlocks: self.interlocks,
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
        self.interlocks.clear();
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
}
