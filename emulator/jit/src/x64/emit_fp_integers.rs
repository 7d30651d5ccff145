//! Rounding of a number to an integral value, and conversions from and to integers.
//!
//! An operation may round otherwise than the host's control register says. The host rounds to integral values as it is told,
//! except to nearest with ties away, which takes a sequence; integers come after that. From integers it is done if the result
//! is exact, and else left to cold code.

use ir::Ty;
use ir::guest::NanToInt;
use ir::inst::{Inst, Op, Round};

use super::asm::{Alu, Label, Mem, Shift, cc};
use super::emit_fp::host_round;
use super::emit_fp_lanes::Check;
use super::float_checks::{Step, Target};
use super::generator::{Gen, SCRATCH_XMM};
use super::{Gpr, Xmm};

/// Rounding field of `roundsd`: raise nothing.
const SILENTLY: u8 = 8;

/// Registers for rounding.
#[derive(Clone, Copy)]
struct Rounding {
    t: Gpr,
    temp: Xmm,
    /// For the number with nothing above it.
    clean: Xmm,
}

impl Gen<'_> {
    // ------------------------------------------------------------------ to integral values
    pub(super) fn emit_round(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let exact = inst.attr.imm() == 1;
        let x = self.operands_in_xmm(1);
        let d = self.def_apart(&x);
        if host_round(inst.attr.round()).is_none() {
            let with = self.rounding_registers();
            let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
            self.round_number(inst, exact, d, x[0], (with, label));
            self.asm.bind(back);
            self.box_result();
            return true;
        }
        let mut first = x[0];
        if self.is_dirty(self.arg(0), bits) {
            self.clean_register(SCRATCH_XMM);
            first = SCRATCH_XMM;
        }
        self.host_round_number(inst, exact, d, first, x[0]);
        self.check_scalar(inst, bits, &x, d);
        true
    }

    fn rounding_registers(&mut self) -> Rounding {
        Rounding { t: self.temp_gpr(), temp: self.temp_xmm(), clean: self.temp_xmm() }
    }

    /// `d` = `x` as an integral value by the rounding of the instruction, raising inexact if `exact`. To nearest with ties away it
    /// branches to the label if the number is not finite.
    fn round_number(&mut self, inst: &Inst, exact: bool, d: Xmm, x: Xmm, (with, label): (Rounding, Label)) {
        if host_round(inst.attr.round()).is_some() {
            return self.host_round_number(inst, exact, d, x, x);
        }
        // What is above must not raise anything.
        self.clean_copy(inst.attr.lane(), with.clean, x);
        self.round_lanes(inst, exact, d, with.clean, Check { t: with.t, temp: with.temp, label });
    }

    /// `vroundss`, `vroundsd`; towards zero if the host does not have the rounding.
    fn host_round_number(&mut self, inst: &Inst, exact: bool, d: Xmm, above: Xmm, x: Xmm) {
        self.asm.vex_rr(3, 1, 4, if inst.attr.lane() == 32 { 0x0a } else { 0x0b }, d, above, x);
        self.asm.byte(host_round(inst.attr.round()).unwrap_or(3) | if exact { 0 } else { SILENTLY });
    }

    // ------------------------------------------------------------------ from integers
    /// `in_mode`: the instruction rounds as the host does.
    pub(super) fn emit_from_integer(&mut self, inst: &Inst, in_mode: bool) -> bool {
        let from = self.arg_ty(0);
        let signed = inst.op == Op::Stof;
        if from.bits() < 32 || from == Ty::I128 {
            return false;
        }
        let r = self.use_gpr(self.arg(0));
        let d = self.def_xmm(0);
        let source = if !signed && from == Ty::I32 {
            let t = self.temp_gpr();
            self.asm.zext_rr(4, t, r);
            t
        } else {
            r
        };
        let size = if from == Ty::I64 || !signed { 8 } else { 4 };
        // The host keeps the upper part of the destination: break the dependency.
        self.clean_register(d);
        if !in_mode {
            let t = self.temp_gpr();
            let step = Step { first_general: true, ..self.step(inst, &[r], Target::Xmm(d)) };
            let (label, back) = self.redo(step);
            self.branch_unless_exact(inst, size, source, t, label);
            self.convert_integer(inst, size, d, source);
            self.asm.bind(back);
        } else if !signed && from == Ty::I64 {
            self.convert_unsigned(inst, d, r);
        } else {
            self.convert_integer(inst, size, d, source);
        }
        true
    }

    /// `vcvtsi2ss`, `vcvtsi2sd`.
    fn convert_integer(&mut self, inst: &Inst, size: u32, d: Xmm, r: Gpr) {
        self.asm.vex_rr(1, Self::scalar_prefix(inst.attr.lane()), size, 0x2a, d, d, r);
    }

    /// An integer with the top bit set is halved, its lowest bit kept in the one above, and doubled again: that rounds as it
    /// should.
    fn convert_unsigned(&mut self, inst: &Inst, d: Xmm, r: Gpr) {
        let (half, low) = (self.temp_gpr(), self.temp_gpr());
        self.asm.test_rr(8, r, r);
        let large = self.asm.jcc_short(cc::S);
        self.convert_integer(inst, 8, d, r);
        let done = self.asm.jmp_short();
        self.asm.land(large);
        self.asm.mov_rr(8, half, r);
        self.asm.mov_rr(4, low, r);
        self.asm.shift_ri(Shift::Shr, 8, half, 1);
        self.asm.alu_ri(Alu::And, 4, low, 1);
        self.asm.alu_rr(Alu::Or, 8, half, low);
        self.convert_integer(inst, 8, d, half);
        self.vex(Self::scalar_prefix(inst.attr.lane()), 0x58, d, d, d);
        self.asm.land(done);
    }

    /// Branches if the integer may have more significant bits than the number.
    fn branch_unless_exact(&mut self, inst: &Inst, size: u32, r: Gpr, t: Gpr, label: Label) {
        let digits: u8 = if inst.attr.lane() == 32 { 24 } else { 53 };
        if u32::from(digits) >= size * 8 || digits == 53 && self.arg_ty(0) == Ty::I32 {
            return;
        }
        if inst.op == Op::Utof {
            self.asm.mov_rr(8, t, r);
            self.asm.shift_ri(Shift::Shr, 8, t, digits);
        } else if digits == 24 {
            self.asm.lea(size, t, Mem::base(r, 1 << 24));
            self.asm.shift_ri(Shift::Shr, size, t, 25);
        } else {
            self.asm.mov_ri(t, 1 << 53);
            self.asm.alu_rr(Alu::Add, 8, t, r);
            self.asm.shift_ri(Shift::Shr, 8, t, 54);
        }
        self.asm.jcc(cc::NE, label);
    }

    // ------------------------------------------------------------------ to integers
    /// In range, the host converts as everybody; it marks what is out of range with the top bit alone. `in_mode`: the instruction
    /// rounds as the host does.
    pub(super) fn emit_to_integer(&mut self, inst: &Inst, in_mode: bool) {
        let bits = inst.attr.lane();
        let truncates = inst.attr.round() == Round::Zero;
        let x = self.float_operand(inst, 0);
        let d = self.def_gpr_early();
        let rounded = (!truncates && !in_mode).then(|| (self.temp_xmm(), self.rounding_registers()));
        let top = (inst.op == Op::Ftou && inst.ty == Ty::I64).then(|| self.temp_gpr());
        let integral = rounded.map(|(x0, _)| x0);
        let (label, back) = self.out_of_range(inst, x, d, integral);
        if inst.op == Op::Ftou {
            self.asm.const_xmm(SCRATCH_XMM, 0);
            self.unordered_compare(bits, false, x, SCRATCH_XMM);
            self.asm.jcc(cc::B, label); // less, or unordered
            self.compare_with_limit(inst, x);
        }
        match top {
            Some(top) => self.convert_large(bits, (x, d, top), (label, back)),
            None if inst.op == Op::Ftou => self.asm.jcc(cc::A, label),
            None => {}
        }
        // A number out of range may have a fraction that is not to raise inexact.
        let late = inst.op == Op::Ftos && bits == 64 && inst.ty == Ty::I32;
        let mut integral = x;
        if let Some((x0, with)) = rounded {
            self.round_number(inst, !late, x0, x, (with, label));
            integral = x0;
        }
        let opcode = if truncates || rounded.is_some() { 0x2c } else { 0x2d };
        let size = if inst.op == Op::Ftos { inst.ty.bytes() } else { 8 };
        self.asm.vex_rr(1, Self::scalar_prefix(bits), size, opcode, d, 0, integral);
        if inst.op == Op::Ftos && (rounded.is_some() || self.guest.fp.nan_to_int != NanToInt::Indefinite) {
            // `cmp d, 1` overflows for the smallest integer only.
            self.asm.alu_ri(Alu::Cmp, size, d, 1);
            self.asm.jcc(cc::O, label);
        }
        if rounded.is_some() && late {
            self.host_round_number(inst, true, SCRATCH_XMM, x, x);
        }
        self.asm.bind(back);
    }

    /// If the comparison was "above the limit", makes the integer of the number, which has no fraction, and branches to the end. Less
    /// 2^63, which is exact, it is one for the host, unless it is too large.
    fn convert_large(&mut self, bits: u32, (x, d, top): (Xmm, Gpr, Gpr), (wrong, end): (Label, Label)) {
        let power =
            |n: i32| u128::from(if bits == 32 { 2f32.powi(n).to_bits().into() } else { 2f64.powi(n).to_bits() });
        let small = self.asm.jcc_short(cc::BE);
        self.asm.const_xmm(SCRATCH_XMM, power(64));
        self.unordered_compare(bits, false, x, SCRATCH_XMM);
        self.asm.jcc(cc::AE, wrong);
        self.asm.const_xmm(SCRATCH_XMM, power(63));
        let pp = Self::scalar_prefix(bits);
        self.vex(pp, 0x5c, SCRATCH_XMM, x, SCRATCH_XMM);
        self.asm.vex_rr(1, pp, 8, 0x2c, d, 0, SCRATCH_XMM);
        self.asm.mov_ri(top, 1 << 63);
        self.asm.alu_rr(Alu::Xor, 8, d, top);
        self.asm.jmp(end);
        self.asm.land(small);
    }

    /// Compares with the largest number that converts as a signed 64-bit one.
    fn compare_with_limit(&mut self, inst: &Inst, x: Xmm) {
        let bits = inst.attr.lane();
        let limit = match (bits, inst.ty) {
            (32, Ty::I32) => u128::from(4_294_967_040f32.to_bits()),
            (32, _) => u128::from(9_223_371_487_098_961_920f32.to_bits()),
            // Less than 2^32 is in range if rounded toward zero.
            (_, Ty::I32) if inst.attr.round() == Round::Zero => u128::from(4_294_967_296f64.to_bits() - 1),
            (_, Ty::I32) => u128::from(4_294_967_294f64.to_bits()),
            _ => u128::from(9_223_372_036_854_774_784f64.to_bits()),
        };
        self.asm.const_xmm(SCRATCH_XMM, limit);
        self.unordered_compare(bits, false, x, SCRATCH_XMM);
    }
}
