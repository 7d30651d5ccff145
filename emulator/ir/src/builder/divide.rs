//! Quotients and remainders, simplified: processors that divide a number of twice the width are seldom given more than an extended
//! word, and dividing 128 bits takes many times as long.

use super::Builder;
use super::emit::two;
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// Quotient or remainder (`divu divs remu rems`).
    pub(super) fn divide_t(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Val {
        if self.folds
            && let Some(v) = self.fold_divide(op, ty, a, b)
        {
            return v;
        }
        self.pure(op, ty, Attr(0), two(a, b))
    }

    fn fold_divide(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        if let Some(v) = self.divide_by_constant(op, ty, a, b) {
            return Some(v);
        }
        if let Some(v) = self.remainder_by_quotient(op, ty, a, b) {
            return Some(v);
        }
        let signed = matches!(op, Op::Divs | Op::Rems);
        if let Some(other) = self.width_of_division(op, ty, a, b) {
            let (x, y) = (self.resized_operand(a, other, signed), self.resized_operand(b, other, signed));
            let r = self.divide_t(op, other, x, y);
            return Some(self.resized_operand(r, ty, signed));
        }
        let extended = op == Op::Divs && ty == Ty::I128 && [a, b].iter().all(|v| self.fact(*v).signed() <= 64);
        extended.then(|| self.quotient_of_extended(a, b))
    }

    fn divide_by_constant(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let k = self.as_const(b)?;
        match op {
            Op::Divu | Op::Divs if k == 1 => Some(a),
            Op::Remu | Op::Rems if k == 0 => Some(a),
            Op::Divu | Op::Divs if k == 0 => Some(b),
            Op::Divu if k.is_power_of_two() => {
                let amount = self.k(ty, k.trailing_zeros().into());
                Some(self.shr_t(ty, a, amount))
            }
            Op::Remu if k.is_power_of_two() => {
                let mask = self.k(ty, k - 1);
                Some(self.and_t(ty, a, mask))
            }
            _ => None,
        }
    }

    fn resized_operand(&mut self, v: Val, ty: Ty, signed: bool) -> Val {
        match (self.ty(v) > ty, signed) {
            (true, _) => self.trunc_t(v, ty),
            (false, true) => self.sext_t(v, ty),
            (false, false) => self.zext_t(v, ty),
        }
    }

    /// Another type to divide in: a narrower one that both operands and the result fit in, or, for bytes and half words, words.
    fn width_of_division(&self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Ty> {
        if ty < Ty::I32 {
            return Some(Ty::I32);
        }
        let (a, b) = (self.fact(a), self.fact(b));
        let bits = match op {
            Op::Divu | Op::Remu => a.unsigned().max(b.unsigned()),
            // The quotient of the least number by -1 needs one bit more.
            Op::Divs => (a.signed() + 1).max(b.signed()),
            _ => a.signed().max(b.signed()),
        };
        [Ty::I32, Ty::I64].into_iter().find(|narrow| bits <= narrow.bits() && narrow.bits() < ty.bits())
    }

    /// The quotient of numbers of 64 bits, in two halves: only that of the least number by -1 is not its lower half extended, and
    /// its upper half is zero.
    fn quotient_of_extended(&mut self, a: Val, b: Val) -> Val {
        let half = Ty::I64;
        let (a, b) = (self.trunc_t(a, half), self.trunc_t(b, half));
        let low = self.divide_t(Op::Divs, half, a, b);
        let (least, zero) = (self.k(half, 1 << (half.bits() - 1)), self.k(half, 0));
        let (from_least, from_minus_one) = (self.xor_t(half, a, least), self.not_t(half, b));
        let off = self.or_t(half, from_least, from_minus_one);
        let overflows = self.compare_t(Op::Eq, half, off, zero);
        let sign = self.sign_of(half, low);
        let other_sign = self.sext_t(overflows, half);
        let high = self.xor_t(half, sign, other_sign);
        self.concat(half.bits(), high, half.bits(), low)
    }

    /// The sign of a value in each bit.
    pub(super) fn sign_of(&mut self, ty: Ty, v: Val) -> Val {
        let top = self.k(ty, (ty.bits() - 1).into());
        self.sar_t(ty, v, top)
    }

    /// The remainder, where the quotient is known: a product and a difference take less time than a second division, and hold
    /// for division by zero and for the least number by -1, too.
    fn remainder_by_quotient(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let quotient = match op {
            Op::Remu => Op::Divu,
            Op::Rems => Op::Divs,
            _ => return None,
        };
        if ty == Ty::I128 {
            return None;
        }
        let quotient = self.find_pure(quotient, ty, two(a, b))?;
        let product = self.mul_t(ty, quotient, b);
        Some(self.sub_t(ty, a, product))
    }
}
