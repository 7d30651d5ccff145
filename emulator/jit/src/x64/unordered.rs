//! Cold code of minima and maxima that are not of numbers alone.
//!
//! Only signalling NaNs raise anything, and only they are left to the definition.

use ir::guest::NanRule;
use ir::inst::{Inst, MinMax, Op};

use super::Xmm;
use super::asm::{Label, cc};
use super::emit_flushing::Room;
use super::emit_lanes::LEFT;
use super::emit_vector::every;
use super::float_checks::{Step, Target, default_nan};
use super::generator::{Gen, SCRATCH_XMM};

/// A minimum or maximum that the host has not made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unordered {
    inst: Inst,
    label: Label,
    back: Label,
    /// Where it is left to the definition.
    general: Label,
    step: Step,
    x: [Xmm; 2],
    d: Xmm,
    temp: Xmm,
    /// Registers to look for numbers to be flushed.
    room: Option<Room>,
}

impl Gen<'_> {
    /// Where a minimum or maximum `d` of `x` branches to if one of them is no number, and where it goes on. `temp` is for lanes. With
    /// `room` it branches there for numbers to be flushed, too.
    pub(super) fn unordered(
        &mut self,
        inst: &Inst,
        (x, d): ([Xmm; 2], Xmm),
        temp: Xmm,
        room: Option<Room>,
    ) -> (Label, Label) {
        let step = self.step(inst, &x, Target::Xmm(d));
        let (general, back) = self.redo(step);
        if self.one_nan(inst).is_some() && inst.attr.kind() != MinMax::Propagate as u8 {
            return (general, back);
        }
        let label = self.asm.label();
        self.unordered.push(Unordered { inst: *inst, label, back, general, step, x, d, temp, room });
        (label, back)
    }

    /// Emits the cold code of all of them.
    pub(super) fn emit_unordered(&mut self) {
        for s in std::mem::take(&mut self.unordered) {
            self.asm.bind(s.label);
            let lane = s.inst.attr.lane();
            if let Some(room) = s.room {
                self.smaller_operands(&s.x, room);
                self.branch_on_lanes(lane, room.t, s.general);
            }
            let scalar = s.inst.ty.bits() == lane;
            let pp = if scalar { Self::scalar_prefix(lane) } else { u8::from(lane == 64) };
            for x in s.x {
                self.branch_if_signalling(lane, pp, x, s.general);
            }
            if scalar {
                self.choose_number(&s);
            } else {
                self.choose_lanes(&s, pp);
            }
            self.claim_remade(&s.step);
            self.asm.jmp(s.back);
        }
    }

    /// `vcmpunordss` or the like.
    fn compare_order(&mut self, pp: u8, ordered: bool, d: Xmm, a: Xmm, b: Xmm) {
        self.vex(pp, 0xc2, d, a, b);
        self.asm.byte(if ordered { 7 } else { 3 });
    }

    fn branch_if_signalling(&mut self, lane: u32, pp: u8, x: Xmm, label: Label) {
        self.compare_order(pp, false, SCRATCH_XMM, x, x);
        self.vex(0, 0x55, SCRATCH_XMM, x, SCRATCH_XMM); // vandnps
        // The bit that quiet ones have becomes the sign.
        self.shift_lanes(lane, LEFT, SCRATCH_XMM, if lane == 32 { 9 } else { 12 });
        self.asm.vex_rr(2, 1, 4, if lane == 32 { 0x0e } else { 0x0f }, SCRATCH_XMM, 0, SCRATCH_XMM); // vtestps
        self.asm.jcc(cc::NE, label);
    }

    /// The one NaN that a NaN makes, if there is one.
    fn one_nan(&self, inst: &Inst) -> Option<u64> {
        let mode = self.guest.fp_environment(inst.attr.environment(), self.unit.key.mode);
        let one = self.guest.fp.nan == NanRule::Canonical || mode.default_nan;
        one.then(|| default_nan(self.guest, inst.attr.lane()))
    }

    fn choose_number(&mut self, s: &Unordered) {
        if let Some(nan) = self.one_nan(&s.inst) {
            return self.asm.const_xmm(s.d, nan.into());
        }
        let bits = s.inst.attr.lane();
        let [a, b] = s.x;
        // A number is the result, or a NaN is; of two the first one is.
        let first = if s.inst.attr.kind() == MinMax::Propagate as u8 { cc::P } else { cc::NP };
        self.asm.mov_xx(s.d, a);
        self.unordered_compare(bits, false, a, a);
        self.asm.jcc(first, s.back);
        if first == cc::NP {
            self.unordered_compare(bits, false, b, b);
            self.asm.jcc(cc::P, s.back);
        }
        self.asm.mov_xx(s.d, b);
    }

    /// Zeros where not both are numbers make zeros, where the right lanes go.
    fn choose_lanes(&mut self, s: &Unordered, pp: u8) {
        let [a, b] = s.x;
        let (d, temp) = (s.d, s.temp);
        self.compare_order(pp, true, d, a, b);
        self.vex(0, 0x54, temp, d, a); // vandps
        self.vex(0, 0x54, SCRATCH_XMM, d, b);
        let minimum = s.inst.op == Op::Fmin;
        let opcode = if minimum { 0x5d } else { 0x5f };
        self.vex(pp, opcode, d, temp, SCRATCH_XMM); // vminps, vmaxps
        self.vex(pp, opcode, temp, SCRATCH_XMM, temp);
        self.vex(0, if minimum { 0x56 } else { 0x54 }, d, d, temp); // vorps, vandps
        if let Some(nan) = self.one_nan(&s.inst) {
            self.asm.const_xmm(temp, every(s.inst.attr.lane(), nan));
        } else {
            if s.inst.attr.kind() == MinMax::Propagate as u8 {
                self.compare_order(pp, true, SCRATCH_XMM, a, a);
            } else {
                self.compare_order(pp, true, SCRATCH_XMM, b, b);
                self.compare_order(pp, false, temp, a, a);
                self.vex(0, 0x54, SCRATCH_XMM, SCRATCH_XMM, temp);
            }
            self.asm.vex_rr(3, 1, 4, 0x4a, temp, a, b); // vblendvps
            self.asm.byte(SCRATCH_XMM << 4);
        }
        self.compare_order(pp, false, SCRATCH_XMM, a, b);
        self.vex(0, 0x54, temp, temp, SCRATCH_XMM);
        self.vex(0, 0x56, d, d, temp);
    }
}
