//! Bit operations on numbers: magnitudes, signs, and choices between numbers, in the vector registers where these are.

use ir::inst::{Inst, Op};
use ir::{Ty, Unit};

use super::Convention;
use super::analysis::{Analysis, CondKind, is_float};
use super::boxes::ABOVE;
use super::float_conditions::predicate;
use super::generator::{Gen, SCRATCH_XMM};

const AND: u8 = 0x54; // vandps
const OR: u8 = 0x56;
const XOR: u8 = 0x57;

/// A bit operation of the host, and its second operand if that is a constant. The low part of a value is what a mask leaves.
fn host_operation(inst: &Inst, constant: Option<u128>) -> Option<(u8, Option<u128>)> {
    match inst.op {
        Op::And => Some((AND, constant)),
        Op::Or => Some((OR, constant)),
        Op::Xor => Some((XOR, constant)),
        Op::Bfx if inst.attr.imm() == 0 => Some((AND, Some((1 << inst.attr.imm2()) - 1))),
        _ => None,
    }
}

impl Analysis {
    /// Whether an instruction puts together bits of numbers that are in vector registers.
    pub(super) fn is_of_signs(&self, unit: &Unit, conv: &Convention, inst: &Inst) -> bool {
        if !matches!(inst.ty, Ty::I32 | Ty::I64) || !self.environments.first().is_some_and(Option::is_some) {
            return false;
        }
        let arg = |k: usize| self.arg(inst, k);
        let number = |v: u32| self.is_number(unit, conv, v);
        match inst.op {
            Op::Bfx => inst.attr.imm() == 0 && number(arg(0)),
            Op::And | Op::Or | Op::Xor => number(arg(0)) && (self.constant(unit, arg(1)).is_some() || number(arg(1))),
            Op::Select => {
                let (a, b) = (arg(1), arg(2));
                let known = |v: u32| self.constant(unit, v).is_some();
                // The mask is as wide as the numbers compared.
                let masks = |ty: Ty| ty == Ty::I64 || inst.ty == Ty::I32;
                self.cond(arg(0)).is_some_and(|c| c.kind == CondKind::Float && masks(c.ty))
                    && (number(a) && (number(b) || known(b)) || known(a) && number(b))
            }
            _ => false,
        }
    }

    /// Whether a value's definition leaves it in a vector register, or loads it there.
    fn is_number(&self, unit: &Unit, conv: &Convention, v: u32) -> bool {
        let value = &self.values[v as usize];
        let Some(def) = unit.insts.get(v as usize) else {
            return conv.vector(conv.pinned_slot(v as usize - unit.insts.len())).is_some();
        };
        value.widened
            || value.boxed
            || value.signs
            || is_float(def.op) && def.ty.bits() == def.attr.lane()
            || def.op == Op::Get && def.ty == Ty::I128
    }

    /// Whether the host leaves zeros above the result of such an instruction in any case.
    pub(super) fn masks_signs(&self, unit: &Unit, inst: &Inst) -> bool {
        inst.op == Op::Bfx || inst.op == Op::And && self.constant(unit, self.arg(inst, 1)).is_some()
    }

    /// Whether instruction `i` does so, for users that want the result in a vector register.
    pub(super) fn puts_signs_together(&self, i: u32) -> bool {
        let value = &self.values[i as usize];
        value.signs && (value.vector || value.widened || value.boxed)
    }
}

impl Gen<'_> {
    /// A bit operation in vector registers; false if its operands are not there, or its result is not wanted there.
    pub(super) fn emit_logic_in_xmm(&mut self, inst: &Inst) -> bool {
        let constant = if self.has_arg(1) { self.constant(self.arg(1)) } else { None };
        let Some((opcode, mut k)) = host_operation(inst, constant) else { return false };
        let a = self.arg(0);
        let value = &self.an.values[self.pos as usize];
        let (signs, widened) = (value.signs, value.widened);
        if !self.features.avx || !self.wants_xmm() {
            return false;
        }
        if !self.an.puts_signs_together(self.pos) {
            // Made in a general register, the result would be zero above its type: it must be here, too.
            let clean = inst.ty == Ty::I64 || opcode == AND || self.an.values[a as usize].vector_clean <= 32;
            if signs || k.is_none() || !clean || !self.in_xmm(a) || self.in_gpr(a) {
                return false;
            }
        }
        let mut s = self.use_xmm(a);
        let boxed = self.is_boxed(self.pos);
        if boxed && self.is_boxed(a) {
            // The box stays.
            k = k.map(|k| if opcode == AND { k | ABOVE } else { k });
        } else if widened && !(opcode == AND && k.is_some()) && !self.is_clean(a, inst.ty.bits()) {
            let clean = self.temp_xmm();
            self.clean_copy(inst.ty.bits(), clean, s);
            s = clean;
        }
        if let Some(k) = k {
            let d = self.def_xmm(0);
            self.asm.vex_pool(1, 0, opcode, d, s, k, &[]);
        } else {
            let mut b = self.use_xmm(self.arg(1));
            if widened && opcode != AND && !self.is_clean(self.arg(1), inst.ty.bits()) {
                self.clean_copy(inst.ty.bits(), SCRATCH_XMM, b);
                b = SCRATCH_XMM;
            }
            let d = self.def_xmm(0);
            self.vex(0, opcode, d, s, b);
        }
        if boxed && !(self.is_boxed(a) && k.is_some()) {
            self.box_result();
        }
        true
    }

    /// One of two numbers, by a comparison of numbers; false if the result is not wanted in a vector register.
    pub(super) fn emit_select_in_xmm(&mut self, inst: &Inst) -> bool {
        if !self.an.puts_signs_together(self.pos) {
            return false;
        }
        let Some(c) = self.an.cond(self.arg(0)) else { return false };
        let bits = inst.ty.bits();
        let (mut a, mut b) = (self.use_xmm(self.arg(1)), self.use_xmm(self.arg(2)));
        if self.an.values[self.pos as usize].widened {
            for (k, x) in [(1, &mut a), (2, &mut b)] {
                if !self.is_clean(self.arg(k), bits) && self.constant(self.arg(k)).is_none() {
                    let clean = self.temp_xmm();
                    self.clean_copy(bits, clean, *x);
                    *x = clean;
                }
            }
        }
        let (left, right) = (self.use_xmm(c.a), self.use_xmm(c.b));
        let d = self.def_xmm(0);
        // What raises flags has been done: the predicates are quiet, and these are one number each.
        self.vex(Self::scalar_prefix(c.ty.bits()), 0xc2, SCRATCH_XMM, left, right); // vcmpss, vcmpsd
        self.asm.byte(predicate(c.cc));
        let opcode = if c.ty == Ty::I32 { 0x4a } else { 0x4b };
        self.asm.vex_rr(3, 1, 4, opcode, d, b, a); // vblendvps, vblendvpd
        self.asm.byte(SCRATCH_XMM << 4);
        if self.is_boxed(self.pos) && !(self.is_boxed(self.arg(1)) && self.is_boxed(self.arg(2))) {
            self.box_result();
        }
        true
    }
}
