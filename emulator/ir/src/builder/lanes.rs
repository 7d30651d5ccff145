//! Lanes: `e` is the lane width, `w` the whole.

use super::Builder;
use super::emit::{one, two};
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;

impl Builder<'_> {
    fn lanes_op(&mut self, op: Op, ty: Ty, e: u32, args: [Val; 3]) -> Val {
        self.pure(op, ty, Attr(0).with_lane(e), args)
    }

    /// One-operand lane operation without immediate (`vabs vpopcnt vclz`).
    pub fn lanes1(&mut self, op: Op, e: u32, w: u32, a: Val) -> Val {
        self.lanes_op(op, Ty::holding(w), e, one(a))
    }

    /// Two-operand lane operation of type (t, t) -> t.
    pub fn lanes2(&mut self, op: Op, e: u32, w: u32, a: Val, b: Val) -> Val {
        self.lanes_op(op, Ty::holding(w), e, two(a, b))
    }

    /// Shift by a constant (`vshli vshri vsari`).
    pub fn lanes_shift(&mut self, op: Op, e: u32, w: u32, a: Val, amount: u32) -> Val {
        if amount == 0 {
            return a;
        }
        let ty = Ty::holding(w);
        if amount >= e && op != Op::Vsari {
            return self.k(ty, 0);
        }
        self.pure(op, ty, Attr::imms(amount.min(e), 0).with_lane(e), one(a))
    }

    /// Bitwise `(mask & a) | (!mask & b)`.
    pub fn bit_select(&mut self, w: u32, mask: Val, a: Val, b: Val) -> Val {
        let ty = Ty::holding(w);
        if self.folds {
            match self.as_const(mask) {
                _ if a == b => return a,
                Some(0) => return b,
                Some(m) if m == ty.mask() => return a,
                _ => {}
            }
        }
        self.pure(Op::Vsel, ty, Attr(0), [mask, a, b])
    }

    /// Every lane = `a`.
    pub fn splat(&mut self, e: u32, w: u32, a: Val) -> Val {
        if e == w {
            return a;
        }
        self.lanes_op(Op::Splat, Ty::holding(w), e, one(a))
    }

    /// Lane `index` of `a`.
    pub fn lane(&mut self, e: u32, w: u32, a: Val, index: u32) -> Val {
        self.extract(w, a, index * e, e)
    }

    /// `a` with lane `index` replaced by `value`.
    pub fn with_lane(&mut self, e: u32, w: u32, a: Val, index: u32, value: Val) -> Val {
        self.insert(w, a, index * e, e, value)
    }

    /// Lanes of `b:a` by index (0.. are those of `a`); `None` gives zero.
    pub fn shuffle(&mut self, e: u32, w: u32, a: Val, b: Val, picks: &[Option<u32>]) -> Val {
        debug_assert_eq!(e % 8, 0, "lanes of whole bytes");
        debug_assert_eq!(picks.len() as u32, w / e);
        let (bytes, per_lane) = ((w / 8) as usize, (e / 8) as usize);
        let mut pattern = [0xff; 16];
        for (i, pick) in pattern.iter_mut().enumerate().take(bytes) {
            if let Some(lane) = picks[i / per_lane] {
                *pick = lane as u8 * per_lane as u8 + (i % per_lane) as u8;
            }
        }
        let ty = Ty::holding(w);
        if ty >= Ty::I64 {
            return self.shuffle_bytes(ty, a, b, pattern);
        }
        // A narrow vector is shuffled in the low bytes of 64 bits.
        for pick in &mut pattern {
            if *pick != 0xff && *pick as usize >= bytes {
                *pick = *pick - bytes as u8 + 8;
            }
        }
        let (a, b) = (self.zext_t(a, Ty::I64), self.zext_t(b, Ty::I64));
        let r = self.shuffle_bytes(Ty::I64, a, b, pattern);
        self.trunc_t(r, ty)
    }

    fn shuffle_bytes(&mut self, ty: Ty, mut a: Val, mut b: Val, mut pattern: [u8; 16]) -> Val {
        let n = ty.bytes() as u8;
        let used = &mut pattern[..n as usize];
        if self.folds {
            let first = used.iter().any(|p| *p < n);
            let second = used.iter().any(|p| (n..2 * n).contains(p));
            if !first && !second {
                return self.k(ty, 0);
            }
            // One source: both operands are it, and only the first is picked from.
            if a == b || !first {
                a = b;
                used.iter_mut().filter(|p| **p < 2 * n).for_each(|p| *p %= n);
            } else if !second {
                b = a;
            }
            if a == b && used.iter().enumerate().all(|(i, p)| usize::from(*p) == i) {
                return a;
            }
        }
        let attr = self.pattern(u128::from_le_bytes(pattern));
        self.pure(Op::Vshuf, ty, attr, two(a, b))
    }

    /// Pool entry of a shuffle pattern, shared.
    fn pattern(&mut self, bits: u128) -> Attr {
        match self.unit.consts.iter().position(|c| *c == bits) {
            Some(i) => Attr(i as u32),
            None => self.pool(bits),
        }
    }

    /// Bytes of the 128-bit `table` by the bytes of `index` (`w` wide); 0 beyond 15.
    pub fn table(&mut self, w: u32, table: Val, index: Val) -> Val {
        let ty = Ty::holding(w);
        let def = self.def(index);
        let masked = def.op == Op::And
            && self.as_const(def.args[1]) == Some(0x8f8f_8f8f_8f8f_8f8f_8f8f_8f8f_8f8f_8f8f & ty.mask());
        if self.folds && masked {
            return self.pure(Op::Vtbl, ty, Attr::imms(1, 0), two(table, def.args[0]));
        }
        self.pure(Op::Vtbl, ty, Attr(0), two(table, index))
    }

    /// Lanes of the 64-bit `a` at twice the width (`vwidenu vwidens`).
    pub fn widen(&mut self, op: Op, e: u32, a: Val) -> Val {
        self.lanes_op(op, Ty::I128, e, one(a))
    }

    /// Lanes of the 128-bit `a` narrowed to `e` bits each (`vnarrow vnarrowuu vnarrowss vnarrowsu`).
    pub fn narrow(&mut self, op: Op, e: u32, a: Val) -> Val {
        self.lanes_op(op, Ty::I64, e, one(a))
    }

    /// Product of 64-bit lane vectors at twice the lane width (`vmullu vmulls`).
    pub fn mul_long(&mut self, op: Op, e: u32, a: Val, b: Val) -> Val {
        self.lanes_op(op, Ty::I128, e, two(a, b))
    }
}
