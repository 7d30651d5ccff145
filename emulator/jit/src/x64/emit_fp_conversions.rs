//! Conversions of all lanes of a vector register between floating-point numbers and integers as wide.

use ir::guest::NanToInt;
use ir::inst::{Inst, Op, Round};

use super::asm::{Alu, Label, cc};
use super::emit_fp::host_round;
use super::emit_fp_lanes::Check;
use super::emit_lanes::{LEFT, PBLENDW, RIGHT};
use super::emit_vector::{PAND, PCMPEQD, PXOR, every};
use super::float_checks::Target;
use super::generator::{Gen, SCRATCH_XMM};
use super::{Gpr, Xmm};

impl Gen<'_> {
    /// Emits a conversion; false if it is left to its definition. `in_mode`: it rounds as the host does.
    pub(super) fn emit_lane_conversion(&mut self, inst: &Inst, in_mode: bool) -> bool {
        let lane = inst.attr.lane();
        if self.arg_ty(0) != inst.ty || inst.ty.bits() == lane {
            return false;
        }
        match (inst.op, lane) {
            (Op::Ftos | Op::Ftou, _) => self.emit_lanes_to_integer(inst, in_mode),
            (Op::Stof, 32) if in_mode => {
                let x = self.lane_operands(1);
                let d = self.def_xmm(0);
                self.vex(0, 0x5b, d, 0, x[0]); // vcvtdq2ps
            }
            (Op::Utof, 32) if in_mode => self.emit_lanes_from_unsigned(),
            // The difference of equal numbers is -0 there.
            (Op::Stof | Op::Utof, _) if in_mode && !self.rounds_down(inst) => self.emit_lanes_from_quads(inst.op),
            _ => return false,
        }
        true
    }

    fn rounds_down(&self, inst: &Inst) -> bool {
        let environment = self.an.environment(inst);
        environment.is_none_or(|mode| mode.round == Round::Down)
    }

    /// The two halves of each integer are exact as floats; their sum rounds once.
    fn emit_lanes_from_unsigned(&mut self) {
        let x = self.lane_operands(1);
        let (high, low) = (self.temp_xmm(), self.temp_xmm());
        self.asm.mov_xx(high, x[0]);
        self.shift_lanes(32, RIGHT, high, 16);
        self.vex(0, 0x5b, high, 0, high); // vcvtdq2ps
        self.asm.const_xmm(SCRATCH_XMM, every(32, 65_536f32.to_bits().into()));
        self.vex(0, 0x59, high, high, SCRATCH_XMM); // vmulps
        self.asm.const_xmm(low, every(32, 0xffff));
        self.sse(PAND, low, x[0]);
        self.vex(0, 0x5b, low, 0, low);
        let d = self.def_xmm(0);
        self.vex(0, 0x58, d, high, low); // vaddps
    }

    /// The upper half as the fraction of 2^84, in units of 2^32, and the lower one as that of 2^52: less what both have too much, which
    /// is exact, their sum rounds once. A signed upper half gets 2^31 more.
    fn emit_lanes_from_quads(&mut self, op: Op) {
        const TWO_84: u64 = 0x4530 << 48;
        const TWO_52: u64 = 0x4330 << 48;
        let bias = if op == Op::Stof { 1 << 31 } else { 0 };
        let x = self.operands_in_xmm(1);
        let (high, low) = (self.temp_xmm(), self.temp_xmm());
        self.asm.mov_xx(high, x[0]);
        self.shift_lanes(64, RIGHT, high, 32);
        self.sse_const(PXOR, high, every(64, TWO_84 | bias));
        self.asm.mov_xx(low, x[0]);
        self.asm.op_pool(PBLENDW, low, every(64, TWO_52), &[0b1100_1100]);
        self.asm.const_xmm(SCRATCH_XMM, every(64, TWO_84 | 1 << 20 | bias));
        self.vex(1, 0x5c, high, high, SCRATCH_XMM); // vsubpd
        let d = self.def_xmm(0);
        self.vex(1, 0x58, d, high, low); // vaddpd
    }

    /// The host marks what is out of a signed integer's range with the top bit alone, and raises invalid. What is in the range of an
    /// unsigned one but not of the other comes without its top bit, which such a number has for itself.
    fn emit_lanes_to_integer(&mut self, inst: &Inst, in_mode: bool) {
        let (lane, round) = (inst.attr.lane(), inst.attr.round());
        let x = self.lane_operands(1);
        let d = self.def_apart(&x);
        let (t, upper) = (self.temp_gpr(), self.temp_gpr());
        let (temp, rounded) = (self.temp_xmm(), self.temp_xmm());
        let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
        let check = Check { t, temp, label };
        let zero = self.guest.fp.nan_to_int == NanToInt::Zero;
        let begun = (inst.op == Op::Ftou && zero && round == Round::Zero)
            .then(|| self.unsigned_lanes(inst, (x[0], d), (rounded, temp), (t, upper)));
        if inst.op == Op::Ftou {
            let label = begun.map_or(label, |(label, _)| label);
            self.branch_unless_convertible(lane, x[0], Check { label, ..check });
        }
        let mut truncates = round == Round::Zero;
        let mut integral = x[0];
        // Rounded on the host, all numbers have come to it.
        let seen = inst.op == Op::Ftos && zero && host_round(round).is_some();
        let (marked, end) = if seen { self.lanes_out_of_range(inst, x[0], d, temp) } else { (label, back) };
        if !truncates && !in_mode {
            (integral, truncates) = (rounded, true);
            // Out of range of a signed integer no number has a fraction to be inexact for.
            self.round_lanes(inst, true, integral, x[0], check);
        }
        if inst.op == Op::Ftou {
            self.take_top_bits(lane, (rounded, temp), integral);
            integral = rounded;
        }
        if lane == 64 {
            let outside = (inst.op == Op::Ftos).then_some(marked);
            self.convert_quads(truncates, d, integral, (t, upper), outside);
        } else {
            self.vex(if truncates { 2 } else { 1 }, 0x5b, d, 0, integral); // vcvttps2dq, vcvtps2dq
            if inst.op == Op::Ftos {
                self.asm.const_xmm(SCRATCH_XMM, every(32, 1 << 31));
                self.sse(PCMPEQD, SCRATCH_XMM, d);
                self.branch_on_lanes(32, t, marked);
            }
        }
        if inst.op == Op::Ftou {
            self.vex(1, 0xef, d, d, temp); // vpxor
        }
        self.asm.bind(back);
        for end in seen.then_some(end).into_iter().chain(begun.map(|(_, end)| end)) {
            self.asm.bind(end);
        }
    }

    /// `rest` = the numbers of `x` less their top bits as unsigned integers, and `top` = these.
    pub(super) fn take_top_bits(&mut self, lane: u32, (rest, top): (Xmm, Xmm), x: Xmm) {
        let pp = u8::from(lane == 64);
        let power = every(lane, if lane == 32 { 0x4f00_0000 } else { 0x43e0 << 48 });
        self.asm.const_xmm(SCRATCH_XMM, power);
        self.vex(pp, 0xc2, top, SCRATCH_XMM, x); // vcmpleps, quiet
        self.asm.byte(0x12);
        self.vex(0, 0x54, SCRATCH_XMM, SCRATCH_XMM, top); // vandps
        self.vex(pp, 0x5c, rest, x, SCRATCH_XMM); // vsubps, exact
        self.shift_lanes(lane, LEFT, top, lane - 1);
    }

    /// Branches if any lane is negative, not a number, or too large for an unsigned integer. -0 is neither.
    fn branch_unless_convertible(&mut self, lane: u32, x: Xmm, check: Check) {
        let pp = u8::from(lane == 64);
        // The largest below 2^32 and 2^64.
        let largest = if lane == 32 { 0x4f7f_ffff } else { 0x43ef_ffff_ffff_ffff };
        let small = check.temp;
        self.asm.const_xmm(small, every(lane, largest));
        self.vex(pp, 0xc2, small, x, small); // vcmpleps, quiet
        self.asm.byte(0x12);
        self.asm.const_xmm(SCRATCH_XMM, 0);
        self.vex(pp, 0xc2, SCRATCH_XMM, x, SCRATCH_XMM); // vcmpgeps, quiet
        self.asm.byte(0x1d);
        self.vex(0, 0x54, SCRATCH_XMM, SCRATCH_XMM, small); // vandps
        self.branch_unless_all(lane, check);
    }

    /// `d` = the lanes of `x`, which all are in range of a signed integer, toward zero.
    pub(super) fn truncate_lanes(&mut self, lane: u32, d: Xmm, x: Xmm, general: (Gpr, Gpr)) {
        match lane {
            32 => self.vex(2, 0x5b, d, 0, x), // vcvttps2dq
            _ => self.convert_quads(true, d, x, general, None),
        }
    }

    /// Two numbers, one after the other. Branches if one may be out of range.
    fn convert_quads(&mut self, truncates: bool, d: Xmm, x: Xmm, (t, upper): (Gpr, Gpr), outside: Option<Label>) {
        let opcode = if truncates { 0x2c } else { 0x2d };
        self.asm.vex_rr(1, 3, 8, opcode, t, 0, x); // vcvttsd2si, vcvtsd2si
        self.vex(1, 0x15, SCRATCH_XMM, x, x); // vunpckhpd
        self.asm.vex_rr(1, 3, 8, opcode, upper, 0, SCRATCH_XMM);
        self.asm.mov_xr(8, d, t);
        self.asm.op_prefixed_rr(0x66, 8, 0x0f_3a22, d, upper); // pinsrq
        self.asm.byte(1);
        let Some(label) = outside else { return };
        for r in [t, upper] {
            // Overflows for the smallest integer only.
            self.asm.alu_ri(Alu::Cmp, 8, r, 1);
            self.asm.jcc(cc::O, label);
        }
    }
}
