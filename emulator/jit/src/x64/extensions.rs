//! Sign extensions that nobody reads but the slots they are put to: 32-bit arithmetic of a guest with 64-bit registers, whose
//! next instruction looks at the low half again.
//!
//! They are no values of their own but, like comparisons, made where someone can see the slot: at exits, and by the fault
//! table. Most are overwritten before. A loop makes those of its slots before the branch to its next round.
//!
//! Extensions of what has just been loaded are loads that extend, if nobody wants zeros there or a vector register.

use ir::inst::{Inst, Op};
use ir::{Ty, Unit};

use super::Gpr;
use super::analysis::{Analysis, Cond, CondKind, Mode, NO, result_ty, wants_vector};
use super::claims::{Cell, Claim};
use super::generator::{Gen, NONE};
use super::snapshot::{Kind, RecipeLoc};

/// Some instruction has the value as an operand, or it is put to a slot that is in a vector register at boundaries.
pub(super) const READ: u8 = 1;
/// Some instruction sign-extends it.
const EXTENDED: u8 = 2;
/// Some instruction wants zeros above it, or has it in a vector register.
const PLAIN: u8 = 4;
/// It is sign-extended when it is loaded.
pub(super) const LOADED_SIGNED: u8 = 8;

/// What an instruction wants of its operands, of these.
pub(super) fn use_of(inst: &Inst) -> u8 {
    match inst.op {
        Op::Sext => EXTENDED,
        Op::Zext => PLAIN,
        _ if wants_vector(inst) => PLAIN,
        Op::Concat | Op::Splat | Op::Vset => PLAIN,
        _ => 0,
    }
}

impl Analysis {
    /// Whether a load is to extend what it loads, all of whose uses are known.
    pub(super) fn loads_signed(&self, inst: &Inst, i: usize) -> bool {
        let small = matches!(inst.ty, Ty::I8 | Ty::I16 | Ty::I32) && !inst.attr.as_mem().big_endian;
        small && self.values[i].uses & (EXTENDED | PLAIN) == EXTENDED
    }

    /// Whether a sign extension is of a value that has been loaded so.
    pub(super) fn is_loaded_extended(&self, unit: &Unit, inst: &Inst) -> bool {
        let a = self.arg(inst, 0);
        let whole = unit.insts.get(a as usize).is_some_and(|def| result_ty(def) == self.operand_ty(unit, inst, 0));
        whole && self.values[a as usize].uses & LOADED_SIGNED != 0
    }

    /// What instruction `i` is the extension of, if it is one that only slots show.
    pub(super) fn shown_extension(&self, unit: &Unit, i: usize, inst: &Inst) -> Option<Cond> {
        let ty = match (inst.op, inst.attr.imm(), inst.attr.imm2()) {
            (Op::Sext, ..) => self.operand_ty(unit, inst, 0),
            (Op::Bfxs, 0, 32) => Ty::I32,
            (Op::Bfxs, 0, 16) => Ty::I16,
            (Op::Bfxs, 0, 8) => Ty::I8,
            _ => return None,
        };
        let a = self.arg(inst, 0);
        let general = unit.insts.get(a as usize).is_none_or(|def| def.ty != Ty::I128);
        let shown = self.values[i].uses & READ == 0 && inst.ty == Ty::I64 && ty != Ty::I1;
        let whole = general && self.values[a as usize].mode == Mode::Emit;
        (shown && whole).then_some(Cond { kind: CondKind::Extend, cc: 0, ty, a, b: a })
    }

    /// What the value is the extension of, whether it has been made or not.
    pub(super) fn extension(&self, v: u32) -> Option<Cond> {
        let cond = self.values[v as usize].cond_of;
        (cond != NO).then(|| self.conds[cond as usize]).filter(|c| c.kind == CondKind::Extend)
    }
}

impl Gen<'_> {
    /// The extension in a register, locked.
    pub(super) fn use_extension(&mut self, v: u32, extension: Cond) -> Gpr {
        let a = self.use_gpr(extension.a);
        let r = self.temp_gpr();
        self.asm.sext_rr(extension.ty.bytes(), 8, r, a);
        self.claim(Claim::Remakes { value: v, cell: Cell::Gpr(r), bits: 64 });
        r
    }

    /// The value of a slot, the extension of what is in register `a`, to register `r`.
    pub(super) fn extend_slot(&mut self, slot: u16, ty: Ty, r: Gpr, a: Gpr) {
        self.claim_compared(slot, false, Cell::Gpr(a));
        self.asm.sext_rr(ty.bytes(), 8, r, a);
        self.claim(Claim::Extends { pos: self.pos, slot, cell: Cell::Gpr(r) });
    }

    /// Stores an extension at the home of its slot.
    pub(super) fn store_extension(&mut self, slot: u16, extension: RecipeLoc, busy: u32) {
        let read = if let (Kind::Gpr, n) = extension.a.parts() { 1 << n } else { 0 };
        self.with_temp(busy, read, |g, t| {
            let a = g.readable(extension.a, t, false);
            g.extend_slot(slot, extension.ty, t, a);
            let home = g.home_mem(slot);
            g.asm.store(8, home, t);
        });
    }

    /// Makes the extension that a pinned slot has in the slot's register, if nobody needs what is there.
    pub(super) fn settle_extension(&mut self, slot: u16, r: Gpr) -> bool {
        let v = self.cur[slot as usize];
        if v == NO || self.an.values[v as usize].mode != Mode::Cond {
            return false;
        }
        let Some(extension) = self.an.extension(v) else { return false };
        let (from, owner) = (self.place[extension.a as usize].gpr, self.gpr[r as usize]);
        let free = owner == NO || !self.live(owner) || owner == extension.a && self.only_extends_to(extension.a, v);
        if from == NONE || !free {
            return false;
        }
        self.become_value(v, extension.a);
        self.drop_gpr(r);
        self.extend_slot(slot, extension.ty, r, from);
        self.gpr[r as usize] = v;
        self.place[v as usize].gpr = r;
        true
    }

    /// The same of a slot that is at home at boundaries.
    pub(super) fn settle_extension_at_home(&mut self, slot: u16) {
        let v = self.cur[slot as usize];
        if v == NO || self.an.values[v as usize].mode != Mode::Cond {
            return;
        }
        let Some(extension) = self.an.extension(v) else { return };
        let from = self.place[extension.a as usize].gpr;
        if from == NONE || self.home_for(v) != Some(slot) {
            return;
        }
        let Some(t) = self.free_gpr(0) else { return };
        self.drop_gpr(t);
        self.become_value(v, extension.a);
        self.extend_slot(slot, extension.ty, t, from);
        let home = self.home_mem(slot);
        self.asm.store(8, home, t);
        self.settle(slot, v);
    }

    /// The extension `v` of `a` is made: from here on it is a value like others, and `a` is needed no longer if it was for that.
    fn become_value(&mut self, v: u32, a: u32) {
        let only = self.only_extends_to(a, v);
        let end = self.an.values[a as usize].end;
        let value = &mut self.an.values[v as usize];
        (value.mode, value.end) = (Mode::Emit, end);
        if only {
            self.an.values[a as usize].end = self.pos;
        }
    }

    /// Whether, from this position on, `a` is needed for its extension `v` alone.
    fn only_extends_to(&self, a: u32, v: u32) -> bool {
        let last = self.unit.insts.len() as u32 - 1;
        let read = self.an.uses_after(a, self.pos.wrapping_sub(1)).any(|at| at != last) || self.pos == 0;
        let shows = |other: u32| other != v && self.shows(other, a);
        let from = self.unit.puts.partition_point(|p| p.pos <= self.pos);
        let gets = self.an.gets.iter().copied();
        let mut slots = self.conv.pinned_slots().chain(self.dirty.iter().copied()).chain(gets);
        let later = self.unit.puts[from..].iter().any(|p| shows(self.an.val(p.val)));
        !read && !later && !slots.any(|slot| shows(self.cur[slot as usize]))
    }
}
