//! Comparisons and carries of any width; results are one bit.

use super::Builder;
use crate::inst::{Op, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// `a == b`.
    pub fn eq(&mut self, w: u32, a: Val, b: Val) -> Val {
        self.compare_t(Op::Eq, Ty::holding(w), a, b)
    }

    /// `a != b`.
    pub fn ne(&mut self, w: u32, a: Val, b: Val) -> Val {
        self.compare_t(Op::Ne, Ty::holding(w), a, b)
    }

    /// `a < b`, unsigned.
    pub fn lt_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        self.compare_t(Op::Ltu, Ty::holding(w), a, b)
    }

    /// `a <= b`, unsigned.
    pub fn le_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        self.compare_t(Op::Leu, Ty::holding(w), a, b)
    }

    /// `a < b`, signed.
    pub fn lt_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        let (a, b) = (self.signed(w, a), self.signed(w, b));
        self.compare_t(Op::Lts, Ty::holding(w), a, b)
    }

    /// `a <= b`, signed.
    pub fn le_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        let (a, b) = (self.signed(w, a), self.signed(w, b));
        self.compare_t(Op::Les, Ty::holding(w), a, b)
    }

    /// Carry out of `a + b + c`; `c` is 1 bit.
    pub fn carry_add(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        self.carry(Op::Carry, w, a, b, c)
    }

    /// Borrow out of `a - b - c`.
    pub fn borrow(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        self.carry(Op::Borrow, w, a, b, c)
    }

    /// Signed overflow of `a + b + c`.
    pub fn overflow_add(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        self.carry(Op::Ovadd, w, a, b, c)
    }

    /// Signed overflow of `a - b - c`.
    pub fn overflow_sub(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        self.carry(Op::Ovsub, w, a, b, c)
    }

    fn carry(&mut self, op: Op, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        let ty = Ty::holding(w);
        let c = c.unwrap_or_else(|| self.k(Ty::I1, 0));
        if w == ty.bits() && w > 1 {
            return self.carry_t(op, ty, a, b, c);
        }
        // One bit more holds the exact sum or difference.
        let wide = Ty::holding(w + 1);
        let signed = matches!(op, Op::Ovadd | Op::Ovsub);
        let (a, b) = if signed {
            (self.sext(w, wide.bits(), a), self.sext(w, wide.bits(), b))
        } else {
            (self.zext_t(a, wide), self.zext_t(b, wide))
        };
        let c = self.zext_t(c, wide);
        let r = if matches!(op, Op::Carry | Op::Ovadd) {
            let sum = self.add_t(wide, a, b);
            self.add_t(wide, sum, c)
        } else {
            let difference = self.sub_t(wide, a, b);
            self.sub_t(wide, difference, c)
        };
        let out = self.extract(wide.bits(), r, w, 1);
        if signed {
            let sign = self.extract(wide.bits(), r, w - 1, 1);
            self.xor_t(Ty::I1, out, sign)
        } else {
            out
        }
    }
}
