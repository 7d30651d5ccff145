//! Integer methods of any width, in terms of operations on types.

use super::Builder;
use super::emit::one;
use crate::inst::{Attr, Op, Step, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// The low `w` bits of a value in the type that holds `w`: what operations leave above is cleared.
    #[inline]
    pub(super) fn clip(&mut self, w: u32, v: Val) -> Val {
        if Ty::holding(w).bits() == w { v } else { self.clip_odd(w, v) }
    }

    /// The same if the type is wider than `w`.
    fn clip_odd(&mut self, w: u32, v: Val) -> Val {
        let ty = Ty::holding(w);
        if ty == Ty::I128 {
            let mask = self.k(ty, super::width_mask(w));
            return self.and_t(ty, v, mask);
        }
        self.bfx_t(ty, v, 0, w)
    }

    /// A `w`-bit value sign-extended within the type that holds it.
    pub(super) fn signed(&mut self, w: u32, v: Val) -> Val {
        let ty = Ty::holding(w);
        if w == ty.bits() {
            return v;
        }
        if ty == Ty::I128 {
            let amount = self.k(ty, (128 - w).into());
            let up = self.shl_t(ty, v, amount);
            return self.sar_t(ty, up, amount);
        }
        self.bfxs_t(ty, v, 0, w)
    }

    /// Sum.
    pub fn add(&mut self, w: u32, a: Val, b: Val) -> Val {
        let r = self.add_t(Ty::holding(w), a, b);
        self.clip(w, r)
    }

    /// Difference.
    pub fn sub(&mut self, w: u32, a: Val, b: Val) -> Val {
        let r = self.sub_t(Ty::holding(w), a, b);
        self.clip(w, r)
    }

    /// Low half of the product.
    pub fn mul(&mut self, w: u32, a: Val, b: Val) -> Val {
        let r = self.mul_t(Ty::holding(w), a, b);
        self.clip(w, r)
    }

    /// High half of the unsigned product.
    pub fn mul_high_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        let ty = Ty::holding(w);
        if w == 1 {
            return self.k(ty, 0);
        }
        let a = self.scaled(w, a);
        self.pure(Op::Mulhu, ty, Attr(0), [a, b, Val::NONE])
    }

    /// High half of the signed product.
    pub fn mul_high_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        let ty = Ty::holding(w);
        if w == 1 {
            return self.k(ty, 0);
        }
        let a = self.scaled(w, a);
        let b = self.signed(w, b);
        let r = self.pure(Op::Mulhs, ty, Attr(0), [a, b, Val::NONE]);
        self.clip(w, r)
    }

    /// `a` moved to the top of its type, so that the type's high product is that of `w`.
    fn scaled(&mut self, w: u32, a: Val) -> Val {
        let ty = Ty::holding(w);
        let amount = self.k(ty, (ty.bits() - w).into());
        self.shl_t(ty, a, amount)
    }

    /// Unsigned quotient; 0 on division by zero.
    pub fn div_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        match w {
            1 => self.and_t(Ty::I1, a, b),
            _ => self.divide_t(Op::Divu, Ty::holding(w), a, b),
        }
    }

    /// Signed quotient; 0 on division by zero, the dividend on overflow.
    pub fn div_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        match w {
            1 => self.and_t(Ty::I1, a, b),
            _ => self.divide_signed(Op::Divs, w, a, b),
        }
    }

    /// Unsigned remainder; the dividend on division by zero.
    pub fn rem_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        match w {
            1 => self.and_not(a, b),
            _ => self.divide_t(Op::Remu, Ty::holding(w), a, b),
        }
    }

    /// Signed remainder; the dividend on division by zero, 0 on overflow.
    pub fn rem_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        match w {
            1 => self.and_not(a, b),
            _ => self.divide_signed(Op::Rems, w, a, b),
        }
    }

    fn divide_signed(&mut self, op: Op, w: u32, a: Val, b: Val) -> Val {
        let (a, b) = (self.signed(w, a), self.signed(w, b));
        let r = self.divide_t(op, Ty::holding(w), a, b);
        self.clip(w, r)
    }

    /// Bitwise and.
    pub fn and(&mut self, w: u32, a: Val, b: Val) -> Val {
        self.and_t(Ty::holding(w), a, b)
    }

    /// Bitwise or.
    pub fn or(&mut self, w: u32, a: Val, b: Val) -> Val {
        self.or_t(Ty::holding(w), a, b)
    }

    /// Bitwise exclusive or.
    pub fn xor(&mut self, w: u32, a: Val, b: Val) -> Val {
        self.xor_t(Ty::holding(w), a, b)
    }

    /// Complement.
    pub fn not(&mut self, w: u32, a: Val) -> Val {
        let r = self.not_t(Ty::holding(w), a);
        self.clip(w, r)
    }

    /// `0 - a`.
    pub fn neg(&mut self, w: u32, a: Val) -> Val {
        let r = self.neg_t(Ty::holding(w), a);
        self.clip(w, r)
    }

    // ---- shifts
    /// Left shift by an amount `aw` bits wide; 0 from `w` on.
    pub fn shl(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        self.shift(Op::Shl, w, a, aw, amount)
    }

    /// Logical right shift; 0 from `w` on.
    pub fn shr(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        self.shift(Op::Shr, w, a, aw, amount)
    }

    /// Arithmetic right shift; all sign from `w` on.
    pub fn sar(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        let a = self.signed(w, a);
        let r = self.shift(Op::Sar, w, a, aw, amount);
        self.clip(w, r)
    }

    /// Shifts saturate, so a value as wide as the amount may be shifted in its place.
    fn shift(&mut self, op: Op, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        let ty = Ty::holding(w);
        let work = ty.max(self.amount_type(aw, amount)).max(Ty::I8);
        let amount = self.resized(amount, work);
        let a = if op == Op::Sar { self.sext_t(a, work) } else { self.zext_t(a, work) };
        let r = match op {
            Op::Shl => self.shl_t(work, a, amount),
            Op::Shr => self.shr_t(work, a, amount),
            _ => self.sar_t(work, a, amount),
        };
        let r = self.trunc_t(r, ty);
        if op == Op::Shl { self.clip(w, r) } else { r }
    }

    /// The narrowest type that holds the amount, as far as known.
    fn amount_type(&self, aw: u32, amount: Val) -> Ty {
        if self.folds { Ty::holding(aw.min(self.fact(amount).unsigned())) } else { Ty::holding(aw) }
    }

    /// A value whose significant bits fit `ty`, in that type.
    fn resized(&mut self, v: Val, ty: Ty) -> Val {
        if self.ty(v) <= ty { self.zext_t(v, ty) } else { self.trunc_t(v, ty) }
    }

    /// Rotation to the right by an amount `aw` bits wide, modulo `w`.
    pub fn rotr(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        if w == 1 {
            return a;
        }
        let ty = Ty::holding(w);
        if w == ty.bits() {
            // Low bits of the amount decide, since the width is a power of two.
            let amount = self.resized(amount, ty);
            return self.rotr_t(ty, a, amount);
        }
        let work = ty.max(Ty::holding(aw)).max(Ty::I8);
        let amount = self.resized(amount, work);
        let width = self.k(work, w.into());
        let amount = self.divide_t(Op::Remu, work, amount, width);
        let rest = self.sub_t(work, width, amount);
        let aw = work.bits();
        let down = self.shift(Op::Shr, w, a, aw, amount);
        let up = self.shift(Op::Shl, w, a, aw, rest);
        self.or_t(ty, down, up)
    }

    /// Rotation to the left by an amount `aw` bits wide, modulo `w`.
    pub fn rotl(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        if w == 1 {
            return a;
        }
        let work = Ty::holding(w.max(aw)).max(Ty::I8);
        let amount = self.resized(amount, work);
        let back = if w.is_power_of_two() {
            self.neg_t(work, amount)
        } else {
            let width = self.k(work, w.into());
            let amount = self.divide_t(Op::Remu, work, amount, width);
            self.sub_t(work, width, amount)
        };
        self.rotr(w, a, work.bits(), back)
    }

    // ---- bits
    /// Leading zeros.
    pub fn clz(&mut self, w: u32, a: Val) -> Val {
        let ty = Ty::holding(w);
        if w == 1 {
            return self.not_t(ty, a);
        }
        let r = self.pure(Op::Clz, ty, Attr(0), one(a));
        let extra = self.k(ty, (ty.bits() - w).into());
        self.sub_t(ty, r, extra)
    }

    /// Trailing zeros.
    pub fn ctz(&mut self, w: u32, a: Val) -> Val {
        let ty = Ty::holding(w);
        if w == 1 {
            return self.not_t(ty, a);
        }
        let guard = if w < ty.bits() { self.k(ty, 1 << w) } else { self.k(ty, 0) };
        let a = self.or_t(ty, a, guard);
        self.pure(Op::Ctz, ty, Attr(0), one(a))
    }

    /// Number of ones.
    pub fn popcount(&mut self, w: u32, a: Val) -> Val {
        if w == 1 {
            return a;
        }
        self.pure(Op::Popcnt, Ty::holding(w), Attr(0), one(a))
    }

    /// Bits in reverse.
    pub fn reverse_bits(&mut self, w: u32, a: Val) -> Val {
        if w == 1 {
            return a;
        }
        self.reversed(Op::Rbit, w, a)
    }

    /// Bytes in reverse; `w` is a multiple of 8.
    pub fn reverse_bytes(&mut self, w: u32, a: Val) -> Val {
        debug_assert_eq!(w % 8, 0);
        if w == 8 {
            return a;
        }
        self.reversed(Op::Bswap, w, a)
    }

    fn reversed(&mut self, op: Op, w: u32, a: Val) -> Val {
        let ty = Ty::holding(w);
        if self.folds
            && let Some(x) = self.operand_of(a, op)
            && w == ty.bits()
        {
            return x;
        }
        let r = self.pure(op, ty, Attr(0), one(a));
        let amount = self.k(ty, (ty.bits() - w).into());
        self.shr_t(ty, r, amount)
    }

    /// 1 if the number of ones is odd.
    pub fn parity(&mut self, w: u32, a: Val) -> Val {
        let ones = self.popcount(w, a);
        self.trunc_t(ones, Ty::I1)
    }

    /// `c ? a : b`.
    pub fn select(&mut self, w: u32, c: Val, a: Val, b: Val) -> Val {
        self.select_t(Ty::holding(w), c, a, b)
    }

    /// CRC-32 (of the polynomial 04C11DB7, or Castagnoli's) of `data`, 8 to 64 bits, onto `crc`; bit-reflected, without
    /// inversions.
    pub fn crc32(&mut self, castagnoli: bool, dw: u32, crc: Val, data: Val) -> Val {
        debug_assert_eq!(self.ty(data).bits(), dw);
        self.pure(Op::Crc32, Ty::I32, Attr::imms(castagnoli.into(), 0), [crc, data, Val::NONE])
    }

    /// Low bits of `a`, in order, where `mask` has ones.
    pub fn deposit(&mut self, w: u32, a: Val, mask: Val) -> Val {
        self.pure(Op::Pdep, Ty::holding(w), Attr(0), [a, mask, Val::NONE])
    }

    /// Bits of `a` where `mask` has ones, in order, from bit 0 on.
    pub fn gather(&mut self, w: u32, a: Val, mask: Val) -> Val {
        self.pure(Op::Pext, Ty::holding(w), Attr(0), [a, mask, Val::NONE])
    }

    /// A step of a cipher, a hash or a search, with its constant.
    pub fn step(&mut self, step: Step, a: Val, b: Val, c: Val, constant: u32) -> Val {
        self.pure(Op::Step, Ty::I128, Attr::imms(constant, 0).with_kind(step as u8), [a, b, c])
    }

    /// Carry-less product of 64-bit values, 128 bits.
    pub fn clmul(&mut self, a: Val, b: Val) -> Val {
        self.pure(Op::Clmul, Ty::I128, Attr(0), [a, b, Val::NONE])
    }
}
