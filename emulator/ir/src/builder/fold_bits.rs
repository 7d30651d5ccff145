//! Shifts, bit fields and changes of type, simplified.
//!
//! Canonical forms: a field that reaches the top is a shift; a zero-extended truncation within 64 bits is a field; a sign
//! extension of a value that is not negative is a zero extension. Fields of 128-bit values are left to the caller.

use super::Builder;
use super::emit::{one, two};
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// The operand, lowest bit and width, if `v` is the bit field `op`.
    fn field_of(&self, v: Val, op: Op) -> Option<(Val, u32, u32)> {
        let inst = self.def(v);
        (inst.op == op).then(|| (inst.args[0], inst.attr.imm(), inst.attr.imm2()))
    }

    /// The operand and a constant amount within the width, if `v` is the shift `op`.
    fn shift_of(&self, v: Val, op: Op) -> Option<(Val, u32)> {
        let (x, k) = self.with_const(v, op)?;
        (k < self.ty(v).bits().into()).then_some((x, k as u32))
    }

    fn amount(&mut self, ty: Ty, n: u32) -> Val {
        self.k(ty, n.into())
    }

    /// Left shift; the amount is of the type too.
    pub(super) fn shl_t(&mut self, ty: Ty, a: Val, amount: Val) -> Val {
        if self.folds
            && let Some(k) = self.as_const(amount)
        {
            let bits = ty.bits();
            if k >= bits.into() {
                return self.k(ty, 0);
            }
            let k = k as u32;
            if k == 0 {
                return a;
            }
            if let Some((x, j)) = self.shift_of(a, Op::Shl) {
                let sum = self.amount(ty, (j + k).min(bits));
                return self.shl_t(ty, x, sum);
            }
            if let Some((x, j)) = self.shift_of(a, Op::Shr)
                && j == k
            {
                let mask = self.k(ty, ty.mask() << k & ty.mask());
                return self.and_t(ty, x, mask);
            }
        }
        self.pure(Op::Shl, ty, Attr(0), two(a, amount))
    }

    /// Logical right shift.
    pub(super) fn shr_t(&mut self, ty: Ty, a: Val, amount: Val) -> Val {
        if self.folds
            && let Some(k) = self.as_const(amount)
        {
            let bits = ty.bits();
            if k >= self.fact(a).unsigned().into() {
                return self.k(ty, 0);
            }
            let k = k as u32;
            if k == 0 {
                return a;
            }
            if let Some((x, j)) = self.shift_of(a, Op::Shr) {
                let sum = self.amount(ty, (j + k).min(bits));
                return self.shr_t(ty, x, sum);
            }
            if ty <= Ty::I64 {
                if let Some((x, j)) = self.shift_of(a, Op::Shl)
                    && k >= j
                {
                    return self.bfx_t(ty, x, k - j, bits - k);
                }
                if let Some((x, lo, n)) = self.field_of(a, Op::Bfx) {
                    return self.bfx_t(ty, x, lo + k, n - k);
                }
                let whole = self.operand_of(a, Op::Zext).unwrap_or(a);
                let (def, half) = (self.def(whole), self.ty(whole).bits() / 2);
                if def.op == Op::Concat && k >= half {
                    let (high, rest) = (self.zext_t(def.args[1], ty), self.amount(ty, k - half));
                    return self.shr_t(ty, high, rest);
                }
            }
        }
        self.pure(Op::Shr, ty, Attr(0), two(a, amount))
    }

    /// Arithmetic right shift.
    pub(super) fn sar_t(&mut self, ty: Ty, a: Val, amount: Val) -> Val {
        if self.folds && self.fact(a).non_negative() {
            return self.shr_t(ty, a, amount);
        }
        if self.folds
            && let Some(k) = self.as_const(amount)
        {
            let top = ty.bits() - 1;
            let k = k.min(top.into()) as u32;
            if k == 0 {
                return a;
            }
            if let Some((x, j)) = self.shift_of(a, Op::Sar) {
                let sum = self.amount(ty, (j + k).min(top));
                return self.sar_t(ty, x, sum);
            }
            if ty <= Ty::I64 {
                if let Some((x, j)) = self.shift_of(a, Op::Shl)
                    && k >= j
                {
                    return self.bfxs_t(ty, x, k - j, ty.bits() - k);
                }
                if let Some((x, lo, n)) = self.field_of(a, Op::Bfxs) {
                    let k = k.min(n - 1);
                    return self.bfxs_t(ty, x, lo + k, n - k);
                }
            }
            let amount = self.amount(ty, k);
            return self.pure(Op::Sar, ty, Attr(0), two(a, amount));
        }
        self.pure(Op::Sar, ty, Attr(0), two(a, amount))
    }

    /// Rotation to the right, modulo the width.
    pub(super) fn rotr_t(&mut self, ty: Ty, a: Val, amount: Val) -> Val {
        if self.folds
            && let Some(k) = self.as_const(amount)
        {
            let k = (k % u128::from(ty.bits())) as u32;
            if k == 0 {
                return a;
            }
            let amount = self.amount(ty, k);
            return self.pure(Op::Rotr, ty, Attr(0), two(a, amount));
        }
        self.pure(Op::Rotr, ty, Attr(0), two(a, amount))
    }

    /// Zero extension of a value to a type as wide or wider.
    pub(super) fn zext_t(&mut self, a: Val, ty: Ty) -> Val {
        let from = self.ty(a);
        if from == ty {
            return a;
        }
        if self.folds {
            if let Some(x) = self.operand_of(a, Op::Zext) {
                return self.zext_t(x, ty);
            }
            if let Some(x) = self.operand_of(a, Op::Trunc) {
                let wide = self.ty(x);
                if self.fact(x).unsigned() <= from.bits() {
                    return if wide <= ty { self.zext_t(x, ty) } else { self.trunc_t(x, ty) };
                }
                if wide <= Ty::I64 {
                    let x = if wide > ty { self.trunc_t(x, ty) } else { x };
                    let field = self.bfx_t(wide.min(ty), x, 0, from.bits());
                    return self.zext_t(field, ty);
                }
            }
        }
        self.pure(Op::Zext, ty, Attr(0), one(a))
    }

    /// Sign extension of a value to a type as wide or wider.
    pub(super) fn sext_t(&mut self, a: Val, ty: Ty) -> Val {
        let from = self.ty(a);
        if from == ty {
            return a;
        }
        if self.folds {
            if self.fact(a).non_negative() {
                return self.zext_t(a, ty);
            }
            if let Some(x) = self.operand_of(a, Op::Sext) {
                return self.sext_t(x, ty);
            }
            if let Some(x) = self.operand_of(a, Op::Trunc) {
                let wide = self.ty(x);
                if self.fact(x).signed() <= from.bits() {
                    return if wide <= ty { self.sext_t(x, ty) } else { self.trunc_t(x, ty) };
                }
                if wide <= Ty::I64 {
                    let x = if wide > ty { self.trunc_t(x, ty) } else { x };
                    let field = self.bfxs_t(wide.min(ty), x, 0, from.bits());
                    return self.sext_t(field, ty);
                }
            }
        }
        self.pure(Op::Sext, ty, Attr(0), one(a))
    }

    /// Low bits of a value as a type as wide or narrower.
    pub(super) fn trunc_t(&mut self, a: Val, ty: Ty) -> Val {
        if self.ty(a) == ty {
            return a;
        }
        if self.folds
            && let Some(v) = self.fold_trunc(a, ty)
        {
            return v;
        }
        self.pure(Op::Trunc, ty, Attr(0), one(a))
    }

    fn fold_trunc(&mut self, a: Val, ty: Ty) -> Option<Val> {
        let inst = self.def(a);
        let x = inst.args[0];
        match inst.op {
            Op::Zext | Op::Sext if self.ty(x) >= ty => Some(self.trunc_t(x, ty)),
            // Nobody has to make the bit once more.
            Op::Zext if self.ty(x) == Ty::I1 => None,
            Op::Zext => Some(self.zext_t(x, ty)),
            Op::Sext => Some(self.sext_t(x, ty)),
            Op::Trunc => Some(self.trunc_t(x, ty)),
            Op::Bfx | Op::Bfxs if inst.attr.imm() == 0 && inst.attr.imm2() >= ty.bits() => Some(self.trunc_t(x, ty)),
            Op::Bfi if inst.attr.imm() >= ty.bits() => Some(self.trunc_t(x, ty)),
            Op::Bfi if inst.attr.imm() == 0 && inst.attr.imm2() >= ty.bits() => Some(self.trunc_t(inst.args[1], ty)),
            Op::Concat | Op::Splat if self.ty(x) >= ty => Some(self.trunc_t(x, ty)),
            Op::Vset => {
                let (field, lo) = (self.ty(inst.args[1]), inst.attr.imm() * self.ty(inst.args[1]).bits());
                if lo >= ty.bits() {
                    Some(self.trunc_t(x, ty))
                } else {
                    (lo == 0 && field >= ty).then(|| self.trunc_t(inst.args[1], ty))
                }
            }
            Op::And if self.as_const(inst.args[1]).is_some_and(|k| k & ty.mask() == ty.mask()) => {
                Some(self.trunc_t(x, ty))
            }
            _ => None,
        }
    }

    /// Zero-extended bits `lo .. lo + n`; bits beyond the type are zero.
    pub(super) fn bfx_t(&mut self, ty: Ty, a: Val, lo: u32, n: u32) -> Val {
        let bits = ty.bits();
        if lo >= bits {
            return self.k(ty, 0);
        }
        let n = n.min(bits - lo);
        if lo == 0 && n == bits {
            return a;
        }
        if self.folds
            && let Some(v) = self.fold_bfx(ty, a, lo, n)
        {
            return v;
        }
        self.pure(Op::Bfx, ty, Attr::imms(lo, n), one(a))
    }

    fn fold_bfx(&mut self, ty: Ty, a: Val, lo: u32, n: u32) -> Option<Val> {
        let top = self.fact(a).unsigned();
        if top <= lo + n {
            let amount = self.amount(ty, lo);
            return Some(self.shr_t(ty, a, amount));
        }
        let inst = self.def(a);
        let (x, b) = (inst.args[0], inst.args[1]);
        let (l, m) = (inst.attr.imm(), inst.attr.imm2());
        let bits = ty.bits();
        match inst.op {
            Op::Bfx if l + lo < bits && lo < m => Some(self.bfx_t(ty, x, l + lo, n.min(m - lo))),
            Op::Bfxs if lo + n <= m => Some(self.bfx_t(ty, x, l + lo, n)),
            Op::Shr => {
                let (x, k) = self.shift_of(a, Op::Shr)?;
                Some(self.bfx_t(ty, x, k + lo, n))
            }
            Op::Shl => {
                let (x, k) = self.shift_of(a, Op::Shl)?;
                if lo >= k { Some(self.bfx_t(ty, x, lo - k, n)) } else { (lo + n <= k).then(|| self.k(ty, 0)) }
            }
            Op::And => self.covers(b, lo, n).then(|| self.bfx_t(ty, x, lo, n)),
            Op::Xor if n == 1 && lo > 0 => {
                let carry = self.carry_into(ty, x, b, lo).or_else(|| self.carry_into(ty, b, x, lo))?;
                Some(self.zext_t(carry, ty))
            }
            Op::Bfi if lo >= l && lo + n <= l + m => Some(self.bfx_t(ty, b, lo - l, n)),
            Op::Bfi if lo + n <= l || lo >= l + m => Some(self.bfx_t(ty, x, lo, n)),
            Op::Zext | Op::Sext if lo + n <= self.ty(x).bits() => {
                let field = self.bfx_t(self.ty(x), x, lo, n);
                Some(self.zext_t(field, ty))
            }
            _ => None,
        }
    }

    /// `mask` is a constant with bits `lo .. lo + n` all set.
    fn covers(&self, mask: Val, lo: u32, n: u32) -> bool {
        let field = super::width_mask(n) << lo;
        self.as_const(mask).is_some_and(|k| k & field == field)
    }

    /// Sign-extended bits `lo .. lo + n`, within the type.
    pub(super) fn bfxs_t(&mut self, ty: Ty, a: Val, lo: u32, n: u32) -> Val {
        if lo == 0 && n == ty.bits() {
            return a;
        }
        if self.folds
            && let Some(v) = self.fold_bfxs(ty, a, lo, n)
        {
            return v;
        }
        self.pure(Op::Bfxs, ty, Attr::imms(lo, n), one(a))
    }

    fn fold_bfxs(&mut self, ty: Ty, a: Val, lo: u32, n: u32) -> Option<Val> {
        let fact = self.fact(a);
        if fact.unsigned() < lo + n {
            return Some(self.bfx_t(ty, a, lo, n));
        }
        if lo + n == ty.bits() || fact.signed() <= lo + n {
            let amount = self.amount(ty, lo);
            return Some(self.sar_t(ty, a, amount));
        }
        let inst = self.def(a);
        let x = inst.args[0];
        let (l, m) = (inst.attr.imm(), inst.attr.imm2());
        match inst.op {
            Op::Bfx | Op::Bfxs if lo + n <= m => Some(self.bfxs_t(ty, x, l + lo, n)),
            Op::Shr | Op::Sar => {
                let (x, k) = self.shift_of(a, inst.op)?;
                (k + lo + n <= ty.bits()).then(|| self.bfxs_t(ty, x, k + lo, n))
            }
            Op::Shl => {
                let (x, k) = self.shift_of(a, Op::Shl)?;
                (lo >= k).then(|| self.bfxs_t(ty, x, lo - k, n))
            }
            Op::And => self.covers(inst.args[1], lo, n).then(|| self.bfxs_t(ty, x, lo, n)),
            Op::Zext | Op::Sext if lo + n <= self.ty(x).bits() => {
                let field = self.bfxs_t(self.ty(x), x, lo, n);
                Some(self.sext_t(field, ty))
            }
            _ => None,
        }
    }

    /// `a` with bits `lo .. lo + n` replaced by the low bits of `b`.
    pub(super) fn bfi_t(&mut self, ty: Ty, a: Val, b: Val, lo: u32, n: u32) -> Val {
        if lo == 0 && n == ty.bits() {
            return b;
        }
        if self.folds
            && let Some(v) = self.fold_bfi(ty, a, b, lo, n)
        {
            return v;
        }
        self.pure(Op::Bfi, ty, Attr::imms(lo, n), two(a, b))
    }

    fn fold_bfi(&mut self, ty: Ty, a: Val, b: Val, lo: u32, n: u32) -> Option<Val> {
        let field = super::width_mask(n) << lo;
        if let Some(k) = self.as_const(b) {
            let k = k << lo & field;
            if k == 0 {
                let mask = self.k(ty, ty.mask() & !field);
                return Some(self.and_t(ty, a, mask));
            }
            if k == field {
                let ones = self.k(ty, field);
                return Some(self.or_t(ty, a, ones));
            }
        }
        if lo == 0 && self.fact(a).unsigned() <= n {
            return Some(self.bfx_t(ty, b, 0, n));
        }
        if self.as_const(a) == Some(0) {
            let amount = self.amount(ty, lo);
            let b = self.bfx_t(ty, b, 0, n);
            return Some(self.shl_t(ty, b, amount));
        }
        let inst = self.def(b);
        match inst.op {
            // Bits of b above the field do not matter.
            Op::Bfx | Op::Bfxs if inst.attr.imm() == 0 && inst.attr.imm2() >= n => {
                return Some(self.bfi_t(ty, a, inst.args[0], lo, n));
            }
            Op::And if self.covers(inst.args[1], 0, n) => return Some(self.bfi_t(ty, a, inst.args[0], lo, n)),
            _ => {}
        }
        let inst = self.def(a);
        (inst.op == Op::Bfi && inst.attr == Attr::imms(lo, n)).then(|| self.bfi_t(ty, inst.args[0], b, lo, n))
    }
}
