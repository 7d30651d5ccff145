//! Small floats in boxes: guests that keep a number of 32 bits in a register of 64 with ones above it.
//!
//! Reading such a number asks whether it is in a box at all, and writing it makes one: as written, both cost more than the
//! arithmetic between them. But all numbers are in boxes as a rule, and the host's scalar operations copy what is above
//! their result from the first operand. So a unit *assumes* boxes in the registers that it reads small numbers from, and
//! looks at its entry, at all of them together, whether that is so. If it is not, the unit is left for Rust code and
//! translated again, without the assumption ([`super::Compiler::careful`]).

use ir::inst::{Inst, Op};
use ir::{Ty, Unit};

use super::analysis::{Analysis, CondKind, Mode, is_float, operands};
use super::asm::{Alu, cc};
use super::float_checks::Step;
use super::generator::{Gen, SCRATCH_XMM};
use super::{Convention, EntryChecks, Xmm};
use crate::thread_state::Leave;

/// What is above a number in its box.
pub(super) const ABOVE: u128 = 0xffff_ffff << 32;

/// How far behind a number its box may be made.
const NEAR: usize = 8;

/// A number of 32 bits in its box.
pub(super) fn boxed(bits: u64) -> u64 {
    ABOVE as u64 | bits
}

/// Slots as a mask, and whether all have a place in it.
fn mask(slots: impl Iterator<Item = u16>) -> (u64, bool) {
    slots.fold((0, true), |(mask, all), slot| (mask | 1u64.checked_shl(slot.into()).unwrap_or(0), all && slot < 64))
}

impl Analysis {
    /// Whether a value of 64 bits is one of 32 in a box: for vector registers.
    pub(super) fn boxes(&self, unit: &Unit, inst: &Inst) -> bool {
        inst.op == Op::Concat
            && inst.ty == Ty::I64
            && self.environments.first().is_some_and(Option::is_some)
            && self.constant(unit, self.arg(inst, 1)) == Some(u32::MAX.into())
    }

    /// The number that the box made by instruction `i` has, if its definition makes the box as well.
    pub(super) fn made_boxed(&self, unit: &Unit, i: usize, inst: &Inst) -> Option<u32> {
        if !self.boxes(unit, inst) {
            return None;
        }
        let v = self.arg(inst, 0);
        let value = &self.values[v as usize];
        if value.boxed {
            return Some(v);
        }
        let def = unit.insts.get(v as usize)?;
        let makes = match def.op {
            Op::Load => !def.attr.as_mem().big_endian,
            op => is_float(op) && (op == Op::Fcvt || def.attr.lane() == 32) || value.signs,
        };
        let mut between = v as usize + 1..i;
        let alone =
            between.len() < NEAR && between.all(|k| operands(unit, &unit.insts[k]).iter().all(|u| self.val(*u) != v));
        (makes && alone && def.ty == Ty::I32 && value.mode == Mode::Emit && !value.widened).then_some(v)
    }

    /// The slot's value at entry that the instruction takes a number from, if that is in a box: otherwise it is something else.
    pub(super) fn unboxed(&self, unit: &Unit, conv: &Convention, inst: &Inst) -> Option<(u32, u16)> {
        if inst.op != Op::Select || inst.ty != Ty::I32 || self.careful || !self.environments.first()?.is_some() {
            return None;
        }
        let above =
            self.cond(self.arg(inst, 0)).filter(|c| c.kind == CondKind::Cmp && c.cc == cc::E && c.ty == Ty::I32)?;
        let all_ones = self.constant(unit, above.b)? & Ty::I32.mask() == Ty::I32.mask();
        let shift = unit.insts.get(above.a as usize)?;
        let v = self.arg(inst, 1);
        let upper = shift.op == Op::Shr && shift.ty == Ty::I64 && self.constant(unit, self.arg(shift, 1)) == Some(32);
        if !all_ones || !upper || self.arg(shift, 0) != v {
            return None;
        }
        let slot = match unit.insts.get(v as usize) {
            Some(get) if get.op == Op::Get && get.ty == Ty::I64 => get.attr.index() as u16,
            Some(_) => return None,
            None => conv.pinned_slot(v as usize - unit.insts.len()),
        };
        conv.register(slot).is_none().then_some((v, slot))
    }

    /// Assumes that the slot's value at entry, `v`, is a box.
    pub(super) fn assume_boxed(&mut self, v: u32, slot: u16) {
        self.values[v as usize].boxed = true;
        self.has_boxes = true;
        if !self.assumed.contains(&slot) {
            self.assumed.push(slot);
        }
    }
}

impl Gen<'_> {
    /// At the entry: leaves for a translation that assumes nothing if an assumption is wrong.
    pub(super) fn check_assumptions(&mut self) {
        if self.an.assumed.is_empty() {
            return;
        }
        let wrong = self.asm.label();
        let mut all: Option<Xmm> = None;
        for slot in self.an.assumed.clone() {
            match (self.conv.vector(slot), all) {
                (Some(x), None) => all = Some(x),
                (Some(x), Some(others)) => {
                    self.vex(0, 0x54, SCRATCH_XMM, others, x); // vandps
                    all = Some(SCRATCH_XMM);
                }
                (None, _) => {
                    let above = self.home_mem(slot).offset(4);
                    self.asm.alu_mi(Alu::Cmp, 4, above, -1);
                    self.asm.jcc(cc::NE, wrong);
                }
            }
        }
        if let Some(x) = all {
            self.asm.vex_pool(2, 1, 0x17, x, 0, ABOVE, &[]); // vptest
            self.asm.jcc(cc::AE, wrong);
        }
        self.wrong = Some(wrong);
        self.checked_start = self.asm.at();
    }

    /// Where such checks lead to.
    pub(super) fn emit_wrong_assumption(&mut self) {
        if let Some(wrong) = self.wrong.take() {
            self.asm.bind(wrong);
            self.leave_to_rust(Leave::Assumed, self.unit.key.pc);
        }
    }

    /// What the unit checks at its entry, for links.
    pub(super) fn entry_checks(&self) -> EntryChecks {
        let (boxes, all) = mask(self.an.assumed.iter().copied());
        let behind = if self.counter.is_none() && all { self.checked_start } else { 0 };
        EntryChecks { boxes, behind }
    }

    /// Slots that have boxes now, as a mask.
    pub(super) fn boxed_slots(&self) -> u64 {
        if !self.an.has_boxes {
            return 0;
        }
        let slots = 0..self.cur.len() as u16;
        mask(slots.filter(|slot| self.is_boxed(self.cur[*slot as usize]))).0
    }

    /// Offset of the code of the next turn: behind the check, if nothing in it can have become wrong.
    pub(super) fn start_again(&self) -> u32 {
        let stays = |slot: &u16| self.is_boxed(self.cur[*slot as usize]);
        if self.counter.is_none() && self.an.assumed.iter().all(stays) { self.checked_start } else { 0 }
    }

    /// Whether there are ones above the number in its vector register.
    pub(super) fn is_boxed(&self, v: u32) -> bool {
        let Some(value) = self.an.values.get(v as usize) else { return false };
        value.boxed || self.constant(v).is_some_and(|bits| bits & ABOVE == ABOVE)
    }

    /// `d` = the low number of `s` in a box.
    pub(super) fn box_number(&mut self, d: Xmm, s: Xmm) {
        self.asm.vex_pool(3, 1, 0x0c, d, s, u128::MAX, &[0x0e]); // vblendps
    }

    /// Makes the box that the result of the current instruction, a number in a register, is to be in.
    pub(super) fn box_result(&mut self) {
        let place = self.place[self.pos as usize];
        if self.is_boxed(self.pos) && self.in_xmm(self.pos) {
            self.box_number(place.xmm, place.xmm);
        }
    }

    /// The same for a result that cold code has made again.
    pub(super) fn box_remade(&mut self, step: &Step, d: Xmm) {
        if self.is_boxed(step.value) {
            self.box_number(d, d);
        }
    }
}
