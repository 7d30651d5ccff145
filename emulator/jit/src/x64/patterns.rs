//! Sums, multiples and masks that fold into the instructions that use them.

use ir::inst::{Inst, Op, Val};
use ir::unit::ExitKind;
use ir::{Ty, Unit};

use super::analysis::{Analysis, Mode, NO};
use crate::thread_state::jump_tag;

/// A memory address as the host can add it up. Values are [`NO`] when absent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Addr {
    pub(super) base: u32,
    pub(super) index: u32,
    pub(super) scale: u8,
    pub(super) disp: i32,
    /// The sum is of 32 bits and zero-extended.
    pub(super) narrow: bool,
}

impl Analysis {
    /// The address operand of a memory access, folded as far as its parts have no other use.
    pub(super) fn addr(&self, unit: &Unit, v: Val) -> Addr {
        let whole = self.val(v);
        let mut out = Addr { base: whole, index: NO, scale: 0, disp: 0, narrow: false };
        let mut v = whole;
        let mut only_addresses = self.values[v as usize].total == self.values[v as usize].address;
        let narrow = self.is_narrow(unit, &mut v, &mut only_addresses);
        out.base = v;
        while only_addresses && self.values[v as usize].mode == Mode::Emit {
            let Some(def) = unit.insts.get(v as usize) else { break };
            if def.op != Op::Add || !(def.ty == Ty::I64 || narrow && def.ty == Ty::I32) {
                break;
            }
            let (a, b) = (self.arg(def, 0), self.arg(def, 1));
            if let Some(k) = self.imm32(unit, b, def.ty) {
                let sum = if narrow { Some(out.disp.wrapping_add(k)) } else { out.disp.checked_add(k) };
                let Some(disp) = sum else { break };
                out.disp = disp;
                out.base = a;
                v = a;
                only_addresses = self.values[a as usize].total == 1;
                continue;
            }
            if self.values[a as usize].mode != Mode::Emit || self.values[b as usize].mode != Mode::Emit {
                break;
            }
            out.base = a;
            (out.index, out.scale) = self.scaled(unit, b, def.ty);
            if out.scale == 0 && self.scaled(unit, a, def.ty).1 != 0 {
                out.base = b;
                (out.index, out.scale) = self.scaled(unit, a, def.ty);
            }
            break;
        }
        out.narrow = narrow && out.base != whole;
        out
    }

    /// Whether the address `v` is a value of 32 bits, zero-extended: it can be summed up modulo 2^32. An extension with code
    /// of its own is looked through.
    fn is_narrow(&self, unit: &Unit, v: &mut u32, only_addresses: &mut bool) -> bool {
        let Some(def) = unit.insts.get(*v as usize) else { return false };
        if def.op != Op::Zext || self.values[*v as usize].mode != Mode::Emit {
            return def.ty == Ty::I32 && def.op == Op::Add;
        }
        let inner = self.arg(def, 0);
        let whole_word = *only_addresses && self.operand_ty(unit, def, 0) == Ty::I32;
        if whole_word && self.values[inner as usize].mode == Mode::Emit {
            *only_addresses = self.values[inner as usize].total == 1;
            *v = inner;
            return true;
        }
        false
    }

    /// A sum with a multiple of a value: base, index, and log2 of the factor.
    pub(super) fn scaled_sum(&self, unit: &Unit, inst: &Inst) -> Option<(u32, u32, u8)> {
        if inst.op != Op::Add || !matches!(inst.ty, Ty::I32 | Ty::I64) {
            return None;
        }
        let (a, b) = (self.arg(inst, 0), self.arg(inst, 1));
        [(a, b), (b, a)].into_iter().find_map(|(base, multiple)| {
            let (index, scale) = self.scaled(unit, multiple, inst.ty);
            (scale != 0 && self.values[base as usize].mode == Mode::Emit).then_some((base, index, scale))
        })
    }

    /// The address that a return goes to but for its lowest bit, if that is cleared on the way and nobody else wants the result.
    pub(super) fn masked_return(&self, unit: &Unit, inst: &Inst) -> Option<u32> {
        if inst.op != Op::ExitInd {
            return None;
        }
        let exit = &unit.exits[inst.attr.index()];
        if exit.kind != ExitKind::Return || exit.mode_in_state || jump_tag(0, exit.mode) != 0 {
            return None;
        }
        let v = self.arg(inst, 0);
        let def = unit.insts.get(v as usize).filter(|def| def.op == Op::And && def.ty == Ty::I64)?;
        let (whole, mask) = (self.arg(def, 0), self.constant(unit, self.arg(def, 1))?);
        let alone = self.values[v as usize].total == 1 && self.values[whole as usize].mode == Mode::Emit;
        (mask as u64 == !1 && alone).then_some(whole)
    }

    fn scaled(&self, unit: &Unit, v: u32, ty: Ty) -> (u32, u8) {
        if let Some(def) = unit.insts.get(v as usize)
            && def.op == Op::Shl
            && def.ty == ty
            && self.values[v as usize].total == 1
            && let Some(k @ 1..=3) = self.constant(unit, self.arg(def, 1))
            && self.values[self.arg(def, 0) as usize].mode == Mode::Emit
        {
            return (self.arg(def, 0), k as u8);
        }
        (v, 0)
    }

    /// What an insertion of one or two bytes takes them from: if its operand is an extension, what that is of.
    pub(super) fn inserted(&self, unit: &Unit, inst: &Inst) -> u32 {
        let v = self.arg(inst, 1);
        let part = matches!(inst.attr.imm2(), 8 | 16) && inst.attr.imm2() < inst.ty.bits();
        let extension = unit.insts.get(v as usize).filter(|def| def.op == Op::Zext && part);
        let inner = extension.filter(|def| self.operand_ty(unit, def, 0).bits() >= inst.attr.imm2());
        match inner.map(|def| self.arg(def, 0)) {
            Some(inner) if self.values[v as usize].total == 1 && self.values[inner as usize].mode == Mode::Emit => {
                inner
            }
            _ => v,
        }
    }

    /// A shift amount: the value to shift by when the host's own masking does the guest's, and whether it is below `bits`.
    pub(super) fn amount(&self, unit: &Unit, v: u32, bits: u32) -> (u32, bool) {
        if (bits == 32 || bits == 64)
            && let Some(def) = unit.insts.get(v as usize)
            && def.ty != Ty::I128
        {
            let masked = match def.op {
                Op::And => self.constant(unit, self.arg(def, 1)) == Some(u128::from(bits - 1)),
                Op::Bfx => def.attr.imm() == 0 && 1 << def.attr.imm2() == bits,
                _ => false,
            };
            if masked && self.values[self.arg(def, 0) as usize].mode == Mode::Emit {
                return (self.arg(def, 0), true);
            }
        }
        (v, u32::from(self.values[v as usize].clean) <= bits.trailing_zeros())
    }
}
