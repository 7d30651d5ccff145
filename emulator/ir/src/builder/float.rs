//! Floating point: `e` is the format (16, 32, 64), `w` the whole value, equal for scalars. Operations raise sticky flags,
//! so they are kept even if their result is not used.

use super::Builder;
use super::emit::{NO_ARGS, one, two};
use crate::inst::{Attr, FCmp, MinMax, Op, Round, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// Lane and rounding; a rounding that is the mode in force is the mode.
    fn float_attr(&self, e: u32, round: Round) -> Attr {
        let number = self.environment;
        let mode = self.guest.fp_environment(number, self.unit.key.mode);
        let round = if self.folds && round == mode.round { Round::Mode } else { round };
        self.lane_attr(e).with_round(round)
    }

    /// Lane and environment.
    fn lane_attr(&self, e: u32) -> Attr {
        Attr(0).with_lane(e).with_environment(self.environment)
    }

    /// The operations of the instruction from here on have the environment of this number.
    pub fn fp_environment(&mut self, number: u32) {
        self.environment = number;
    }

    /// One operand: `fsqrt`.
    pub fn f1(&mut self, op: Op, e: u32, w: u32, a: Val, round: Round) -> Val {
        let attr = self.float_attr(e, round);
        self.effect(op, Ty::holding(w), attr, one(a))
    }

    /// Two operands: `fadd fsub fmul fdiv`.
    pub fn f2(&mut self, op: Op, e: u32, w: u32, a: Val, b: Val, round: Round) -> Val {
        let attr = self.float_attr(e, round);
        self.effect(op, Ty::holding(w), attr, two(a, b))
    }

    /// `a * b + c`, rounded once.
    #[allow(clippy::too_many_arguments)] // three operands, two widths and a rounding
    pub fn fma(&mut self, e: u32, w: u32, a: Val, b: Val, c: Val, round: Round) -> Val {
        let attr = self.float_attr(e, round);
        self.effect(Op::Fma, Ty::holding(w), attr, [a, b, c])
    }

    /// `fmin`, `fmax`.
    pub fn fminmax(&mut self, op: Op, e: u32, w: u32, a: Val, b: Val, kind: MinMax) -> Val {
        self.effect(op, Ty::holding(w), self.lane_attr(e).with_kind(kind as u8), two(a, b))
    }

    /// Sign bits inverted.
    pub fn fneg(&mut self, e: u32, w: u32, a: Val) -> Val {
        let ty = Ty::holding(w);
        let signs = self.k(ty, signs(e, w));
        self.xor_t(ty, a, signs)
    }

    /// Sign bits cleared.
    pub fn fabs(&mut self, e: u32, w: u32, a: Val) -> Val {
        let ty = Ty::holding(w);
        let rest = self.k(ty, !signs(e, w) & ty.mask());
        self.and_t(ty, a, rest)
    }

    /// Scalar compare: 1 bit.
    pub fn fcmp(&mut self, kind: FCmp, e: u32, a: Val, b: Val) -> Val {
        self.effect(Op::Fcmp, Ty::holding(e), self.lane_attr(e).with_kind(kind as u8), two(a, b))
    }

    /// Lane masks.
    pub fn fcmp_lanes(&mut self, kind: FCmp, e: u32, w: u32, a: Val, b: Val) -> Val {
        self.effect(Op::Vfcmp, Ty::holding(w), self.lane_attr(e).with_kind(kind as u8), two(a, b))
    }

    /// To integral values in the format; `exact` raises inexact.
    pub fn fround(&mut self, e: u32, w: u32, a: Val, round: Round, exact: bool) -> Val {
        let Attr(attr) = self.float_attr(e, round);
        self.effect(Op::Fround, Ty::holding(w), Attr(attr | u32::from(exact)), one(a))
    }

    /// Scalar format conversion.
    pub fn fcvt(&mut self, from: u32, to: u32, a: Val, round: Round) -> Val {
        debug_assert_eq!(self.ty(a).bits(), from);
        let attr = self.float_attr(to, round);
        self.effect(Op::Fcvt, Ty::holding(to), attr, one(a))
    }

    /// Scalar: float `e` to integer `iw`. Lanes: `w > e`, `iw == e`.
    #[allow(clippy::too_many_arguments)] // three widths
    pub fn ftoi(&mut self, signed: bool, e: u32, w: u32, iw: u32, a: Val, round: Round) -> Val {
        let attr = self.float_attr(e, round);
        let ty = Ty::holding(if w > e { w } else { iw });
        self.effect(if signed { Op::Ftos } else { Op::Ftou }, ty, attr, one(a))
    }

    /// Scalar: integer `iw` to float `e`. Lanes: `w > e`, `iw == e`.
    #[allow(clippy::too_many_arguments)] // three widths
    pub fn itof(&mut self, signed: bool, e: u32, w: u32, iw: u32, a: Val, round: Round) -> Val {
        debug_assert!(self.ty(a).bits() == if w > e { w } else { iw });
        let attr = self.float_attr(e, round);
        let ty = Ty::holding(if w > e { w } else { e });
        self.effect(if signed { Op::Stof } else { Op::Utof }, ty, attr, one(a))
    }

    /// Sticky flags in the order of the `fflags` operation, 32 bits.
    pub fn fp_flags(&mut self) -> Val {
        self.effect(Op::Fflags, Ty::I32, Attr(0), NO_ARGS)
    }

    /// Replaces the sticky flags.
    pub fn set_fp_flags(&mut self, flags: Val) {
        self.effect(Op::Setfflags, Ty::I32, Attr(0), one(flags));
    }
}

/// The sign bit of every lane.
fn signs(e: u32, w: u32) -> u128 {
    (0..w / e).fold(0, |mask, lane| mask | 1 << (lane * e + e - 1))
}
