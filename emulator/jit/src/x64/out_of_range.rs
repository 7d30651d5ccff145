//! Cold code of conversions to integers: numbers out of range, and what is no number.

use ir::Ty;
use ir::guest::NanToInt;
use ir::inst::{Inst, Op, Round};

use super::asm::{Alu, Label, Mem, Shift, cc};
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
}

impl Gen<'_> {
    /// Where a conversion of `x` branches to that cannot be made, and where it goes on, with the integer in `d`. `rounded`: the number has
    /// been rounded before, and may not be finite.
    pub(super) fn out_of_range(&mut self, inst: &Inst, x: Xmm, d: Gpr, rounded: bool) -> (Label, Label) {
        let step = self.step(inst, &[x], Target::Gpr(d));
        let signed = inst.op == Op::Ftos;
        // Whether a number between -1 and 0 is in range is a matter of rounding.
        if rounded || !signed && inst.attr.round() != Round::Zero || !matches!(inst.ty, Ty::I32 | Ty::I64) {
            return self.redo(step);
        }
        let (label, back) = (self.asm.label(), self.asm.label());
        self.unconverted.push(Unconverted { label, back, step, x, d, bits: inst.attr.lane(), ty: inst.ty, signed });
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
    }

    /// The host has raised invalid, unless the number is the smallest integer: that is the result then.
    fn signed_out_of_range(&mut self, s: &Unconverted) {
        let size = s.ty.bytes();
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
