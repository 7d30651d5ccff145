//! Widening, narrowing, fields and concatenation at any width.

use super::Builder;
use super::emit::{one, two};
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// Zero extension from `from` to `to` bits.
    pub fn zext(&mut self, from: u32, to: u32, a: Val) -> Val {
        debug_assert!(from <= to);
        if from == to { a } else { self.zext_t(a, Ty::holding(to)) }
    }

    /// Sign extension from `from` to `to` bits.
    pub fn sext(&mut self, from: u32, to: u32, a: Val) -> Val {
        debug_assert!(from <= to);
        let a = self.signed(from, a);
        let r = self.sext_t(a, Ty::holding(to));
        self.clip(to, r)
    }

    /// Low `to` bits of `a`, which is `from` wide.
    pub fn low(&mut self, from: u32, to: u32, a: Val) -> Val {
        debug_assert!(to <= from);
        if to == from {
            return a;
        }
        let r = self.trunc_t(a, Ty::holding(to));
        self.clip(to, r)
    }

    /// Bits `lo .. lo + w` of `a`, which is `from` wide.
    pub fn extract(&mut self, from: u32, a: Val, lo: u32, w: u32) -> Val {
        debug_assert!(lo + w <= from);
        if w == from {
            return a;
        }
        if lo == 0 {
            return self.low(from, w, a);
        }
        let ty = Ty::holding(from);
        if ty == Ty::I128 {
            return self.extract_wide(a, lo, w);
        }
        if w == 1 && lo == ty.bits() - 1 {
            let zero = self.k(ty, 0);
            return self.compare_t(Op::Lts, ty, a, zero);
        }
        let field = self.bfx_t(ty, a, lo, w);
        self.trunc_t(field, Ty::holding(w))
    }

    /// A field of a 128-bit value: a lane, part of a 64-bit half, or what a shift brings down.
    fn extract_wide(&mut self, a: Val, lo: u32, w: u32) -> Val {
        if matches!(w, 8 | 16 | 32 | 64) && lo.is_multiple_of(w) {
            return self.lane_of(a, lo / w, Ty::holding(w));
        }
        if lo % 64 + w <= 64 {
            let half = self.lane_of(a, lo / 64, Ty::I64);
            return self.extract(64, half, lo % 64, w);
        }
        let amount = self.k(Ty::I128, lo.into());
        let r = self.shr_t(Ty::I128, a, amount);
        self.low(128, w, r)
    }

    /// Lane `index` of a 128-bit value, lanes as wide as `ty`.
    fn lane_of(&mut self, a: Val, index: u32, ty: Ty) -> Val {
        if self.folds {
            if index == 0 {
                return self.trunc_t(a, ty);
            }
            let inst = self.def(a);
            match inst.op {
                Op::Zext if self.ty(inst.args[0]).bits() <= index * ty.bits() => return self.k(ty, 0),
                Op::Concat if index * ty.bits() >= 64 => {
                    return self.extract(64, inst.args[1], index * ty.bits() - 64, ty.bits());
                }
                Op::Concat => return self.extract(64, inst.args[0], index * ty.bits(), ty.bits()),
                Op::Vset if inst.attr.imm() == index && self.ty(inst.args[1]) == ty => return inst.args[1],
                Op::Splat if inst.attr.lane() == ty.bits() => return inst.args[0],
                _ => {}
            }
        }
        self.pure(Op::Vget, ty, Attr::imms(index, 0), one(a))
    }

    /// `a` (`w` wide) with bits `lo .. lo + fw` replaced by `field`.
    pub fn insert(&mut self, w: u32, a: Val, lo: u32, fw: u32, field: Val) -> Val {
        debug_assert!(lo + fw <= w);
        if fw == w {
            return field;
        }
        let ty = Ty::holding(w);
        if ty == Ty::I128 {
            return self.insert_wide(a, lo, fw, field);
        }
        let field = self.zext_t(field, ty);
        self.bfi_t(ty, a, field, lo, fw)
    }

    /// A field of a 128-bit value: a lane, part of a 64-bit half, or by masking.
    fn insert_wide(&mut self, a: Val, lo: u32, fw: u32, field: Val) -> Val {
        let ty = Ty::I128;
        if matches!(fw, 8 | 16 | 32 | 64) && lo.is_multiple_of(fw) {
            return self.pure(Op::Vset, ty, Attr::imms(lo / fw, 0), two(a, field));
        }
        if lo % 64 + fw <= 64 {
            let half = self.lane_of(a, lo / 64, Ty::I64);
            let half = self.insert(64, half, lo % 64, fw, field);
            return self.pure(Op::Vset, ty, Attr::imms(lo / 64, 0), two(a, half));
        }
        let mask = self.k(ty, !(super::width_mask(fw) << lo));
        let rest = self.and_t(ty, a, mask);
        let amount = self.k(ty, lo.into());
        let field = self.zext_t(field, ty);
        let field = self.shl_t(ty, field, amount);
        self.or_t(ty, rest, field)
    }

    /// `high @ low`.
    pub fn concat(&mut self, hw: u32, high: Val, lw: u32, low: Val) -> Val {
        let ty = Ty::holding(hw + lw);
        if self.folds {
            if self.as_const(high) == Some(0) {
                return self.zext_t(low, ty);
            }
            if let Some(whole) = self.halves(hw, high, lw, low) {
                return whole;
            }
            if hw == lw && ty.bits() == hw + lw && self.is_sign(high, low) {
                return self.sext_t(low, ty);
            }
        }
        if hw == lw && matches!(hw, 8 | 16 | 32 | 64) {
            return self.pure(Op::Concat, ty, Attr(0), two(low, high));
        }
        let (low, high) = (self.zext_t(low, ty), self.zext_t(high, ty));
        let amount = self.k(ty, lw.into());
        let high = self.shl_t(ty, high, amount);
        self.or_t(ty, high, low)
    }

    /// Whether each bit of `high` is the sign of `low`.
    fn is_sign(&self, high: Val, low: Val) -> bool {
        let top = u128::from(self.ty(low).bits() - 1);
        self.with_const(high, Op::Sar) == Some((low, top))
    }

    /// The 128-bit value that was taken apart into these halves.
    fn halves(&self, hw: u32, high: Val, lw: u32, low: Val) -> Option<Val> {
        if (hw, lw) != (64, 64) {
            return None;
        }
        let whole = self.operand_of(low, Op::Trunc)?;
        let upper = self.def(high);
        (upper.op == Op::Vget && upper.attr.imm() == 1 && upper.args[0] == whole).then_some(whole)
    }
}
