//! Cold code of conversions to integers: numbers out of range, and what is no number.

use ir::Ty;
use ir::guest::NanToInt;
use ir::inst::{Inst, Op, Round};

use super::asm::{Alu, Label, Mem, Shift, cc};
use super::emit_fp::host_round;
use super::emit_vector::{PCMPEQD, every};
use super::float_checks::{Step, Target};
use super::generator::{Gen, SCRATCH_XMM};
use super::{Gpr, Xmm};

/// A conversion that the host has not made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unconverted {
    label: Label,
    back: Label,
    step: Step,
    x: Xmm,
    d: Gpr,
    /// Of the number and of the integer.
    bits: u32,
    ty: Ty,
    signed: bool,
    /// It has been rounded before, unless it is not finite: then the host has not seen it.
    rounded: bool,
    /// The host has seen what it was rounded to, to the register, and how: that may be the smallest integer, and inexact.
    late: Option<(Xmm, u8)>,
}

/// A conversion of lanes to signed integers, the host's mark where it has not made them.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnconvertedLanes {
    label: Label,
    back: Label,
    step: Step,
    lane: u32,
    x: Xmm,
    d: Xmm,
    temp: Xmm,
}

const PCMPEQQ: u32 = 0x0f_3829;

/// A conversion of lanes to unsigned integers, toward zero, that the host has not begun.
#[derive(Clone, Copy, Debug)]
pub(super) struct UnsignedLanes {
    label: Label,
    back: Label,
    step: Step,
    lane: u32,
    x: Xmm,
    d: Xmm,
    temps: (Xmm, Xmm),
    general: (Gpr, Gpr),
}

impl Gen<'_> {
    /// Where a conversion of lanes of `x` to unsigned integers branches to before it begins, and where it goes on.
    pub(super) fn unsigned_lanes(
        &mut self,
        inst: &Inst,
        (x, d): (Xmm, Xmm),
        temps: (Xmm, Xmm),
        general: (Gpr, Gpr),
    ) -> (Label, Label) {
        let step = self.step(inst, &[x], Target::Xmm(d));
        let (label, back) = (self.asm.label(), self.asm.label());
        self.unsigned_lanes.push(UnsignedLanes { label, back, step, lane: inst.attr.lane(), x, d, temps, general });
        (label, back)
    }

    /// Emits the cold code of all such conversions. Numbers are brought into range; those between -1 and 0 are inexact, and those beyond
    /// invalid.
    fn emit_unsigned_lanes(&mut self) {
        for s in std::mem::take(&mut self.unsigned_lanes) {
            self.asm.bind(s.label);
            let (lane, pp, x, d) = (s.lane, u8::from(s.lane == 64), s.x, s.d);
            let (rest, top) = s.temps;
            let largest = every(lane, if lane == 32 { 0x4f7f_ffff } else { 0x43ef_ffff_ffff_ffff });
            self.asm.const_xmm(top, every(lane, if lane == 32 { 0xbf80_0000 } else { 0xbff0 << 48 }));
            self.vex(pp, 0xc2, top, x, top); // vcmpgtps, quiet
            self.asm.byte(0x1e);
            self.asm.const_xmm(SCRATCH_XMM, 0);
            self.vex(pp, 0xc2, SCRATCH_XMM, x, SCRATCH_XMM); // vcmpltps, quiet
            self.asm.byte(0x11);
            self.vex(0, 0x54, SCRATCH_XMM, SCRATCH_XMM, top); // vandps
            self.vex(0, 0x54, rest, x, SCRATCH_XMM);
            self.truncate_lanes(lane, d, rest, s.general);
            self.asm.const_xmm(SCRATCH_XMM, largest);
            self.vex(pp, 0xc2, SCRATCH_XMM, x, SCRATCH_XMM); // vcmpleps, quiet
            self.asm.byte(0x12);
            self.vex(0, 0x54, SCRATCH_XMM, SCRATCH_XMM, top);
            let (t, valid) = (s.general.0, self.asm.label());
            self.vex(pp, 0x50, t, 0, SCRATCH_XMM); // vmovmskps
            self.asm.alu_ri(Alu::Cmp, 4, t, (1 << (128 / lane)) - 1);
            self.asm.jcc(cc::E, valid);
            self.raise_invalid(t);
            self.asm.bind(valid);
            // Of what is no number the host takes the second.
            self.asm.const_xmm(SCRATCH_XMM, 0);
            self.vex(pp, 0x5f, d, x, SCRATCH_XMM); // vmaxps
            self.asm.const_xmm(SCRATCH_XMM, largest);
            self.vex(pp, 0x5d, d, d, SCRATCH_XMM); // vminps
            self.take_top_bits(lane, (rest, top), d);
            self.truncate_lanes(lane, d, rest, s.general);
            self.vex(0, 0x57, d, d, top); // vxorps
            self.asm.const_xmm(SCRATCH_XMM, largest);
            self.vex(pp, 0xc2, SCRATCH_XMM, x, SCRATCH_XMM); // vcmpgtps, quiet
            self.asm.byte(0x1e);
            self.vex(0, 0x56, d, d, SCRATCH_XMM); // vorps
            self.claim_remade(&s.step);
            self.asm.jmp(s.back);
        }
    }

    /// Where a conversion of lanes of `x` branches to that the host has made but for those out of range, and where it goes on with all of
    /// them in `d`.
    pub(super) fn lanes_out_of_range(&mut self, inst: &Inst, x: Xmm, d: Xmm, temp: Xmm) -> (Label, Label) {
        let step = self.step(inst, &[x], Target::Xmm(d));
        let (label, back) = (self.asm.label(), self.asm.label());
        self.unconverted_lanes.push(UnconvertedLanes { label, back, step, lane: inst.attr.lane(), x, d, temp });
        (label, back)
    }

    /// Emits the cold code of all such conversions. The smallest integer is right for the negative ones of what has its bits.
    fn emit_lanes_out_of_range(&mut self) {
        for s in std::mem::take(&mut self.unconverted_lanes) {
            self.asm.bind(s.label);
            let (lane, pp) = (s.lane, u8::from(s.lane == 64));
            self.asm.const_xmm(SCRATCH_XMM, every(lane, 1 << (lane - 1)));
            self.sse(if lane == 64 { PCMPEQQ } else { PCMPEQD }, SCRATCH_XMM, s.d);
            self.asm.mov_xx(s.temp, s.x);
            self.spread_sign(lane, s.temp);
            self.vex(0, 0x55, s.temp, s.temp, SCRATCH_XMM); // vandnps
            self.vex(0, 0x57, s.d, s.d, s.temp); // vxorps
            self.vex(pp, 0xc2, s.temp, s.x, s.x); // vcmpordps
            self.asm.byte(7);
            self.vex(0, 0x54, s.d, s.d, s.temp); // vandps
            self.claim_remade(&s.step);
            self.asm.jmp(s.back);
        }
    }

    /// Where a conversion of `x` branches to that cannot be made, and where it goes on, with the integer in `d`. `rounded`: the number has
    /// been rounded before, to this register, and may not be finite.
    pub(super) fn out_of_range(&mut self, inst: &Inst, x: Xmm, d: Gpr, rounded: Option<Xmm>) -> (Label, Label) {
        let step = self.step(inst, &[x], Target::Gpr(d));
        let signed = inst.op == Op::Ftos;
        // Whether a number between -1 and 0 is in range is a matter of rounding, as is whether one with a fraction is at the ends.
        let ends = signed && inst.attr.lane() == 64 && inst.ty == Ty::I32;
        let late = rounded.filter(|_| ends).zip(host_round(inst.attr.round()));
        let fraction =
            if signed { ends && rounded.is_some() && late.is_none() } else { inst.attr.round() != Round::Zero };
        if fraction || !matches!(inst.ty, Ty::I32 | Ty::I64) {
            return self.redo(step);
        }
        let (label, back) = (self.asm.label(), self.asm.label());
        self.unconverted.push(Unconverted {
            label,
            back,
            step,
            x,
            d,
            bits: inst.attr.lane(),
            ty: inst.ty,
            signed,
            rounded: rounded.is_some(),
            late,
        });
        (label, back)
    }

    /// Emits the cold code of all such conversions.
    pub(super) fn emit_out_of_range(&mut self) {
        for s in std::mem::take(&mut self.unconverted) {
            self.asm.bind(s.label);
            if s.signed {
                self.signed_out_of_range(&s);
            } else {
                self.unsigned_out_of_range(&s);
            }
            self.claim_remade(&s.step);
            self.asm.jmp(s.back);
        }
        self.emit_lanes_out_of_range();
        self.emit_unsigned_lanes();
    }

    /// The host has raised invalid, unless the number is the smallest integer: that is the result then.
    fn signed_out_of_range(&mut self, s: &Unconverted) {
        let size = s.ty.bytes();
        if let Some((integral, round)) = s.late {
            self.asm.const_xmm(SCRATCH_XMM, f64::from(i32::MIN).to_bits().into());
            self.unordered_compare(64, false, integral, SCRATCH_XMM);
            let beyond = [self.asm.jcc_short(cc::P), self.asm.jcc_short(cc::NE)];
            self.asm.vex_rr(3, 1, 4, 0x0b, SCRATCH_XMM, s.x, s.x); // vroundsd
            self.asm.byte(round);
            self.asm.jmp(s.back);
            beyond.into_iter().for_each(|field| self.asm.land(field));
        } else if s.rounded {
            self.asm.vex_rr(1, Self::scalar_prefix(s.bits), size, 0x2c, s.d, 0, s.x); // vcvttss2si
        }
        self.unordered_compare(s.bits, false, s.x, s.x);
        let unordered = self.asm.jcc_short(cc::P);
        self.vex(u8::from(s.bits == 64), 0x50, s.d, 0, s.x); // vmovmskps
        self.asm.alu_ri(Alu::And, 4, s.d, 1);
        // 1 for a negative number and else -2: turned by a bit, the smallest and the largest integer.
        self.asm.lea(size, s.d, Mem { index: s.d, scale: 1, ..Mem::base(s.d, -2) });
        self.asm.shift_ri(Shift::Ror, size, s.d, 1);
        let done = self.asm.jmp_short();
        self.asm.land(unordered);
        let most = s.ty.mask() as u64;
        self.asm.mov_ri(
            s.d,
            match self.guest.fp.nan_to_int {
                NanToInt::Zero => 0,
                NanToInt::Max => most >> 1,
                NanToInt::Indefinite => most ^ most >> 1,
            },
        );
        self.asm.land(done);
    }

    /// A number between -1 and 0 becomes 0, which is inexact. Others have not been converted.
    fn unsigned_out_of_range(&mut self, s: &Unconverted) {
        let minus_one = if s.bits == 32 { (-1f32).to_bits().into() } else { (-1f64).to_bits() };
        let most = s.ty.mask() as u64;
        self.asm.const_xmm(SCRATCH_XMM, minus_one.into());
        self.unordered_compare(s.bits, false, s.x, SCRATCH_XMM);
        let below = self.asm.jcc_short(cc::BE); // or unordered
        self.asm.const_xmm(SCRATCH_XMM, 0);
        self.unordered_compare(s.bits, false, s.x, SCRATCH_XMM);
        let large = self.asm.jcc_short(cc::A);
        self.asm.vex_rr(1, Self::scalar_prefix(s.bits), 8, 0x2c, s.d, 0, s.x); // vcvttss2si
        self.asm.jmp(s.back);
        self.asm.land(large);
        self.raise_invalid(s.d);
        self.asm.mov_ri(s.d, most);
        self.asm.jmp(s.back);
        self.asm.land(below);
        self.raise_invalid(s.d);
        let (negative, nan) = match self.guest.fp.nan_to_int {
            NanToInt::Zero => (0, 0),
            NanToInt::Max => (0, most),
            NanToInt::Indefinite => (most, most),
        };
        self.asm.mov_ri(s.d, negative);
        if nan != negative {
            self.unordered_compare(s.bits, false, s.x, s.x);
            let ordered = self.asm.jcc_short(cc::NP);
            self.asm.mov_ri(s.d, nan);
            self.asm.land(ordered);
        }
    }

    /// By a conversion to an integer, which is not needed.
    fn raise_invalid(&mut self, d: Gpr) {
        self.asm.const_xmm(SCRATCH_XMM, f64::INFINITY.to_bits().into());
        self.asm.vex_rr(1, 3, 8, 0x2c, d, 0, SCRATCH_XMM); // vcvttsd2si
    }
}
