//! Floating-point operations on all lanes of a vector register, besides arithmetic.
//!
//! A 64-bit vector is the low half of a register; what is in the upper half must not raise flags.

use ir::Ty;
use ir::inst::{FCmp, Inst, MinMax, Op, Round};

use super::Xmm;
use super::asm::{Alu, cc};
use super::emit_fp::host_round;
use super::float_checks::Target;
use super::generator::{Gen, SCRATCH_XMM};

/// The same value in every lane of 32 bits.
const fn every(value: u32) -> u128 {
    value as u128 * 0x1_0000_0001_0000_0001_0000_0001
}

const PAND: u32 = 0x0fdb;
const PCMPEQD: u32 = 0x0f76;
const PCMPGTD: u32 = 0x0f66;

impl Gen<'_> {
    /// Emits an operation on lanes; false if it is left to its definition. `in_mode`: it rounds as the host does.
    pub(super) fn emit_float_lanes(&mut self, inst: &Inst, in_mode: bool) -> bool {
        let lane = inst.attr.lane();
        if inst.ty.bits() < 64 || !matches!(lane, 32 | 64) {
            return false;
        }
        let convertible = lane == 32 && self.arg_ty(0) == inst.ty;
        match inst.op {
            Op::Vfcmp => self.emit_lane_masks(inst),
            Op::Fmin | Op::Fmax if inst.attr.kind() != MinMax::Second as u8 => self.emit_lane_extrema(inst),
            Op::Fround => return self.emit_lane_rounds(inst),
            Op::Stof if convertible && in_mode => {
                let x = self.lane_operands(1);
                let d = self.def_xmm(0);
                self.vex(0, 0x5b, d, 0, x[0]); // vcvtdq2ps
            }
            Op::Utof if convertible && in_mode => self.emit_lanes_from_unsigned(),
            Op::Ftos | Op::Ftou if convertible && (in_mode || inst.attr.round() == Round::Zero) => {
                self.emit_lanes_to_integer(inst);
            }
            _ => return false,
        }
        true
    }

    /// Operands in vector registers; of 64-bit vectors, copies with zeros above.
    fn lane_operands(&mut self, n: usize) -> Vec<Xmm> {
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
        let kind = inst.attr.kind();
        let signalling = kind >= FCmp::EqS as u8;
        let predicate = match kind & 3 {
            k if k == FCmp::Eq as u8 => 0x10 * u8::from(signalling),
            k if k == FCmp::Lt as u8 => 0x01 | (0x10 * u8::from(!signalling)),
            k if k == FCmp::Le as u8 => 0x02 | (0x10 * u8::from(!signalling)),
            _ => 0x03 | (0x10 * u8::from(signalling)),
        };
        let x = self.lane_operands(2);
        let d = self.def_xmm(0);
        self.vex(u8::from(inst.attr.lane() == 64), 0xc2, d, x[0], x[1]); // vcmpps
        self.asm.byte(predicate);
    }

    /// The host returns the second of equal operands: in both orders, put together, zeros come out as they should.
    fn emit_lane_extrema(&mut self, inst: &Inst) {
        let (lane, minimum) = (inst.attr.lane(), inst.op == Op::Fmin);
        let pp = u8::from(lane == 64);
        let x = self.lane_operands(2);
        let d = self.def_apart(&x);
        let t = self.temp_gpr();
        let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
        self.vex(pp, 0xc2, SCRATCH_XMM, x[0], x[1]); // vcmpunordps
        self.asm.byte(3);
        self.branch_on_lanes(lane, t, label);
        let opcode = if minimum { 0x5d } else { 0x5f };
        self.vex(pp, opcode, d, x[0], x[1]); // vminps, vmaxps
        self.vex(pp, opcode, SCRATCH_XMM, x[1], x[0]);
        self.vex(0, if minimum { 0x56 } else { 0x54 }, d, d, SCRATCH_XMM); // vorps, vandps
        self.asm.bind(back);
    }

    fn emit_lane_rounds(&mut self, inst: &Inst) -> bool {
        let lane = inst.attr.lane();
        let Some(rounding) = host_round(inst.attr.round()) else { return false };
        let exact = if inst.attr.imm() == 0 { 8 } else { 0 };
        let x = self.lane_operands(1);
        let d = self.def_apart(&x);
        let t = self.temp_gpr();
        let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
        self.asm.vex_rr(3, 1, 4, if lane == 32 { 0x08 } else { 0x09 }, d, 0, x[0]); // vroundps, vroundpd
        self.asm.byte(rounding | exact);
        self.vex(u8::from(lane == 64), 0xc2, SCRATCH_XMM, d, d); // vcmpunordps
        self.asm.byte(3);
        self.branch_on_lanes(lane, t, label);
        self.asm.bind(back);
        true
    }

    /// The two halves of each integer are exact as floats; their sum rounds once.
    fn emit_lanes_from_unsigned(&mut self) {
        let x = self.lane_operands(1);
        let (high, low) = (self.temp_xmm(), self.temp_xmm());
        self.asm.mov_xx(high, x[0]);
        self.sse(0x0f72, 2, high); // psrld
        self.asm.byte(16);
        self.vex(0, 0x5b, high, 0, high); // vcvtdq2ps
        self.asm.const_xmm(SCRATCH_XMM, every(65_536f32.to_bits()));
        self.vex(0, 0x59, high, high, SCRATCH_XMM); // vmulps
        self.asm.const_xmm(low, every(0xffff));
        self.sse(PAND, low, x[0]);
        self.vex(0, 0x5b, low, 0, low);
        let d = self.def_xmm(0);
        self.vex(0, 0x58, d, high, low); // vaddps
    }

    /// The host marks what is out of a signed integer's range with the top bit alone, and raises invalid. What may be in the
    /// range of an unsigned one but not of the other must not come that far.
    fn emit_lanes_to_integer(&mut self, inst: &Inst) {
        let pp = if inst.attr.round() == Round::Zero { 2 } else { 1 };
        let x = self.lane_operands(1);
        let d = self.def_apart(&x);
        let t = self.temp_gpr();
        let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
        if inst.op == Op::Ftos {
            self.vex(pp, 0x5b, d, 0, x[0]); // vcvttps2dq, vcvtps2dq
            self.asm.const_xmm(SCRATCH_XMM, every(1 << 31));
            self.sse(PCMPEQD, SCRATCH_XMM, d);
            self.branch_on_lanes(32, t, label);
        } else {
            // Floats that are not negative have the order of their bits.
            self.asm.const_xmm(SCRATCH_XMM, every(2_147_483_648f32.to_bits()));
            self.sse(PCMPGTD, SCRATCH_XMM, x[0]);
            self.vex(0, 0x55, SCRATCH_XMM, x[0], SCRATCH_XMM); // vandnps
            self.vex(0, 0x50, t, 0, SCRATCH_XMM); // vmovmskps
            self.asm.alu_ri(Alu::Cmp, 4, t, 15);
            self.asm.jcc(cc::NE, label);
            self.vex(pp, 0x5b, d, 0, x[0]);
        }
        self.asm.bind(back);
    }
}
