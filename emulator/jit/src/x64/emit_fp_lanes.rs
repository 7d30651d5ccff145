//! Floating-point operations on all lanes of a vector register, besides arithmetic and conversions.
//!
//! A 64-bit vector is the low half of a register; what is in the upper half must not raise flags.

use ir::Ty;
use ir::inst::{FCmp, Inst, MinMax, Op};

use super::asm::{Alu, Label, cc};
use super::emit_fp::host_round;
use super::emit_vector::every;
use super::float_checks::Target;
use super::generator::{Gen, SCRATCH_XMM};
use super::{Gpr, Xmm};

/// What a check needs: registers for itself, allocated before anything branches, for that may store what they had; and where to
/// branch to, for the operation to be done again.
#[derive(Clone, Copy)]
pub(super) struct Check {
    pub(super) t: Gpr,
    pub(super) temp: Xmm,
    pub(super) label: Label,
}

impl Gen<'_> {
    /// Emits an operation on lanes; false if it is left to its definition. `in_mode`: it rounds as the host does.
    pub(super) fn emit_float_lanes(&mut self, inst: &Inst, in_mode: bool) -> bool {
        let lane = inst.attr.lane();
        if inst.ty.bits() < 64 || !matches!(lane, 32 | 64) {
            return false;
        }
        match inst.op {
            Op::Vfcmp => self.emit_lane_masks(inst),
            Op::Fmin | Op::Fmax if inst.attr.kind() == MinMax::Second as u8 => {
                let x = self.lane_operands(2);
                let d = self.def_xmm(0);
                let opcode = if inst.op == Op::Fmin { 0x5d } else { 0x5f };
                self.vex(u8::from(lane == 64), opcode, d, x[0], x[1]); // vminps, vmaxps
            }
            Op::Fmin | Op::Fmax => self.emit_lane_extrema(inst),
            Op::Fround => self.emit_lane_rounds(inst),
            Op::Stof | Op::Utof | Op::Ftos | Op::Ftou => return self.emit_lane_conversion(inst, in_mode),
            _ => return false,
        }
        true
    }

    /// Operands in vector registers; of 64-bit vectors, copies with zeros above.
    pub(super) fn lane_operands(&mut self, n: usize) -> Vec<Xmm> {
        let mut x = self.operands_in_xmm(n);
        if self.inst().ty == Ty::I64 {
            for r in &mut x {
                let t = self.temp_xmm();
                self.clean_copy(64, t, *r);
                *r = t;
            }
        }
        x
    }

    /// The host's predicates come signalling and not, too.
    fn emit_lane_masks(&mut self, inst: &Inst) {
        let x = self.lane_operands(2);
        let d = self.def_xmm(0);
        self.compare_lanes(inst, d, [x[0], x[1]]);
    }

    /// The masks, in `d`.
    pub(super) fn compare_lanes(&mut self, inst: &Inst, d: Xmm, x: [Xmm; 2]) {
        let kind = inst.attr.kind();
        let signalling = kind >= FCmp::EqS as u8;
        let predicate = match kind & 3 {
            k if k == FCmp::Eq as u8 => 0x10 * u8::from(signalling),
            k if k == FCmp::Lt as u8 => 0x01 | (0x10 * u8::from(!signalling)),
            k if k == FCmp::Le as u8 => 0x02 | (0x10 * u8::from(!signalling)),
            _ => 0x03 | (0x10 * u8::from(signalling)),
        };
        self.vex(u8::from(inst.attr.lane() == 64), 0xc2, d, x[0], x[1]); // vcmpps
        self.asm.byte(predicate);
    }

    fn emit_lane_extrema(&mut self, inst: &Inst) {
        let lane = inst.attr.lane();
        let x = self.lane_operands(2);
        let d = self.def_apart(&x);
        let (t, temp) = (self.temp_gpr(), self.temp_xmm());
        let (label, back) = self.unordered(inst, ([x[0], x[1]], d), temp, None);
        self.vex(u8::from(lane == 64), 0xc2, SCRATCH_XMM, x[0], x[1]); // vcmpunordps
        self.asm.byte(3);
        self.branch_on_lanes(lane, t, label);
        self.extremum_of_numbers(inst, d, [x[0], x[1]]);
        self.asm.bind(back);
    }

    /// The host returns the second of equal operands: in both orders, put together, zeros come out as they should.
    pub(super) fn extremum_of_numbers(&mut self, inst: &Inst, d: Xmm, x: [Xmm; 2]) {
        let (pp, minimum) = (u8::from(inst.attr.lane() == 64), inst.op == Op::Fmin);
        let opcode = if minimum { 0x5d } else { 0x5f };
        self.vex(pp, opcode, d, x[0], x[1]); // vminps, vmaxps
        self.vex(pp, opcode, SCRATCH_XMM, x[1], x[0]);
        self.vex(0, if minimum { 0x56 } else { 0x54 }, d, d, SCRATCH_XMM); // vorps, vandps
    }

    fn emit_lane_rounds(&mut self, inst: &Inst) {
        let x = self.lane_operands(1);
        let d = self.def_apart(&x);
        let (t, temp) = (self.temp_gpr(), self.temp_xmm());
        let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
        self.round_lanes(inst, inst.attr.imm() == 1, d, x[0], Check { t, temp, label });
        if host_round(inst.attr.round()).is_some() && !self.quiets_as_host(inst) {
            self.vex(u8::from(inst.attr.lane() == 64), 0xc2, SCRATCH_XMM, d, d); // vcmpunordps
            self.asm.byte(3);
            self.branch_on_lanes(inst.attr.lane(), t, label);
        }
        self.asm.bind(back);
    }

    /// `d` = `x` as integral values by the rounding of the instruction, raising inexact if `exact`. To nearest with ties away, which
    /// the host does not have, is not done if any is not finite.
    pub(super) fn round_lanes(&mut self, inst: &Inst, exact: bool, d: Xmm, x: Xmm, check: Check) {
        let lane = inst.attr.lane();
        let opcode = if lane == 32 { 0x08 } else { 0x09 };
        let silent = if exact { 0 } else { 8 };
        let rounding = host_round(inst.attr.round());
        if rounding.is_none() {
            self.branch_unless_finite(lane, x, check);
        }
        self.asm.vex_rr(3, 1, 4, opcode, d, 0, x); // vroundps, vroundpd
        self.asm.byte(rounding.unwrap_or(3) | silent);
        if rounding.is_none() {
            self.round_up_halves(lane, d, x, check.temp);
        }
    }

    fn branch_unless_finite(&mut self, lane: u32, x: Xmm, check: Check) {
        let (pp, magnitude) = (u8::from(lane == 64), check.temp);
        let (sign, infinity) = if lane == 32 { (1 << 31, 0x7f80_0000) } else { (1 << 63, 0x7ff0 << 48) };
        self.asm.const_xmm(SCRATCH_XMM, every(lane, sign));
        self.vex(0, 0x55, magnitude, SCRATCH_XMM, x); // vandnps
        self.asm.const_xmm(SCRATCH_XMM, every(lane, infinity));
        self.vex(pp, 0xc2, SCRATCH_XMM, magnitude, SCRATCH_XMM); // vcmpltps, quiet
        self.asm.byte(0x11);
        self.branch_unless_all(lane, check);
    }

    /// Branches unless the signs of all lanes of the scratch register are set.
    pub(super) fn branch_unless_all(&mut self, lane: u32, check: Check) {
        self.vex(u8::from(lane == 64), 0x50, check.t, 0, SCRATCH_XMM); // vmovmskps
        self.asm.alu_ri(Alu::Cmp, 4, check.t, (1 << (128 / lane)) - 1);
        self.asm.jcc(cc::NE, check.label);
    }

    /// `d`, which is `x` towards zero, goes one further where at least a half was lost. What is added has the sign of `x`, so that
    /// zeros keep theirs; nothing of this is inexact.
    fn round_up_halves(&mut self, lane: u32, d: Xmm, x: Xmm, step: Xmm) {
        let pp = u8::from(lane == 64);
        let [sign, half, one] = if lane == 32 {
            [1 << 31, 0.5f32.to_bits().into(), 1f32.to_bits().into()]
        } else {
            [1 << 63, 0.5f64.to_bits(), 1f64.to_bits()]
        };
        self.vex(pp, 0x5c, step, x, d); // vsubps
        self.asm.const_xmm(SCRATCH_XMM, every(lane, sign));
        self.vex(0, 0x55, step, SCRATCH_XMM, step); // vandnps
        self.asm.const_xmm(SCRATCH_XMM, every(lane, half));
        self.vex(pp, 0xc2, step, SCRATCH_XMM, step); // vcmpleps
        self.asm.byte(0x12);
        self.asm.const_xmm(SCRATCH_XMM, every(lane, one));
        self.vex(0, 0x54, step, step, SCRATCH_XMM); // vandps
        self.asm.const_xmm(SCRATCH_XMM, every(lane, sign));
        self.vex(0, 0x54, SCRATCH_XMM, SCRATCH_XMM, x);
        self.vex(0, 0x56, step, step, SCRATCH_XMM); // vorps
        self.vex(pp, 0x58, d, d, step); // vaddps
    }
}
