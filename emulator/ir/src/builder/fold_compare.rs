//! Comparisons and the logic of conditions, simplified: condition formulas over flags become the comparison that made
//! the flags.
//!
//! Canonical forms: no complemented comparison; `eq`, `ne` with a constant second; no `leu`, `ltu` that is an `eq` or `ne`.

use super::Builder;
use super::emit::two;
use crate::inst::{Attr, Inst, Op, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// `eq ne ltu leu lts les` of values of type `ty`.
    pub(super) fn compare_t(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Val {
        if self.folds
            && let Some(v) = self.fold_compare(op, ty, a, b)
        {
            return v;
        }
        self.pure(op, ty, Attr(0), two(a, b))
    }

    fn bit(&mut self, value: bool) -> Val {
        self.k(Ty::I1, value.into())
    }

    fn fold_compare(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        if a == b {
            return Some(self.bit(matches!(op, Op::Eq | Op::Leu | Op::Les)));
        }
        if self.is_const(a) && self.is_const(b) {
            return None;
        }
        match op {
            Op::Eq | Op::Ne if self.is_const(a) => self.fold_equal(op, ty, b, a),
            Op::Eq | Op::Ne => self.fold_equal(op, ty, a, b),
            _ => self.fold_order(op, ty, a, b),
        }
    }

    // ---- equality
    fn fold_equal(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        if ty == Ty::I1 {
            let different = self.xor_t(ty, a, b);
            return Some(if op == Op::Eq { self.not_t(ty, different) } else { different });
        }
        let Some(k) = self.as_const(b) else {
            return self.upper_half(op, a, b).or_else(|| self.narrowed(op, a, b));
        };
        // Which constant a simpler operand would have to equal.
        let (x, wanted) = self.solve(ty, a, k)?;
        let Some(wanted) = wanted else { return Some(self.bit(op == Op::Ne)) };
        let ty = self.ty(x);
        if ty == Ty::I1 {
            return Some(if (op == Op::Eq) == (wanted == 1) { x } else { self.not_t(ty, x) });
        }
        let wanted = self.k(ty, wanted);
        Some(self.compare_t(op, ty, x, wanted))
    }

    /// Equality of two halves with the lower one extended: that of the upper half. So is seen whether a quotient fits.
    fn upper_half(&mut self, op: Op, a: Val, b: Val) -> Option<Val> {
        let (halves, extended) = if self.def(a).op == Op::Concat { (a, b) } else { (b, a) };
        let (low, high) = self.operands_of(halves, Op::Concat)?;
        let half = self.ty(low);
        let expected = match self.def(extended) {
            Inst { op: Op::Sext, args, .. } if args[0] == low => self.sign_of(half, low),
            Inst { op: Op::Zext, args, .. } if args[0] == low => self.k(half, 0),
            _ => return None,
        };
        if let Some((x, y)) = self.operands_of(high, Op::Xor)
            && (x == expected || y == expected)
        {
            let zero = self.k(half, 0);
            return Some(self.compare_t(op, half, if x == expected { y } else { x }, zero));
        }
        Some(self.compare_t(op, half, high, expected))
    }

    /// `a == k` exactly if the returned value equals the returned constant; no constant: never.
    fn solve(&mut self, ty: Ty, a: Val, k: u128) -> Option<(Val, Option<u128>)> {
        if k.checked_shr(self.fact(a).unsigned()).is_some_and(|above| above != 0) {
            return Some((a, None));
        }
        let inst = self.def(a);
        let (x, y) = (inst.args[0], inst.args[1]);
        match inst.op {
            Op::Zext | Op::Sext | Op::Bfx | Op::Bfxs if self.extension(a).is_some() => {
                let (from, signed, x) = self.extension(a)?;
                let fits = !signed || sign_extended(k & from.mask(), from) & ty.mask() == k;
                let x = self.trunc_t(x, from);
                Some((x, fits.then_some(k & from.mask())))
            }
            Op::Add => Some((x, Some(k.wrapping_sub(self.as_const(y)?) & ty.mask()))),
            Op::Xor if self.is_const(y) => Some((x, Some(k ^ self.as_const(y)?))),
            Op::Not => Some((x, Some(!k & ty.mask()))),
            Op::Neg => Some((x, Some(k.wrapping_neg() & ty.mask()))),
            Op::Sub if self.is_const(x) => Some((y, Some(self.as_const(x)?.wrapping_sub(k) & ty.mask()))),
            // x - y = 0 and x ^ y = 0: made a comparison, which is one bit.
            Op::Sub | Op::Xor if k == 0 => {
                let equal = self.compare_t(Op::Eq, ty, x, y);
                Some((equal, Some(1)))
            }
            Op::Bfx if inst.attr.imm2() == 1 => {
                let bit = self.trunc_t(a, Ty::I1);
                Some((bit, Some(k)))
            }
            _ => None,
        }
    }

    /// If `v` is the extension of a narrower type: that type, whether the sign is extended, and what to take its low bits of.
    fn extension(&self, v: Val) -> Option<(Ty, bool, Val)> {
        let inst = self.def(v);
        let x = inst.args[0];
        match inst.op {
            Op::Zext => Some((self.ty(x), false, x)),
            Op::Sext => Some((self.ty(x), true, x)),
            Op::Bfx | Op::Bfxs if inst.attr.imm() == 0 && matches!(inst.attr.imm2(), 8 | 16 | 32) => {
                Some((Ty::holding(inst.attr.imm2()), inst.op == Op::Bfxs, x))
            }
            _ => None,
        }
    }

    /// A comparison of two values that are extensions of one narrower type, on that type. One is seen to be an extension,
    /// of the other it is enough that it could be.
    fn narrowed(&mut self, op: Op, a: Val, b: Val) -> Option<Val> {
        let (ty, signed, _) = self.extension(a).or_else(|| self.extension(b))?;
        let fits = |v: Val| {
            let fact = self.fact(v);
            if signed { fact.signed() <= ty.bits() } else { fact.unsigned() <= ty.bits() }
        };
        if ty == Ty::I1 || !fits(a) || !fits(b) {
            return None;
        }
        let (x, y) = (self.trunc_t(a, ty), self.trunc_t(b, ty));
        Some(self.compare_t(if signed { op } else { unsigned(op) }, ty, x, y))
    }

    // ---- order
    fn fold_order(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        if ty == Ty::I1 {
            return Some(self.order_of_bits(op, a, b));
        }
        if let Some(v) = self.order_of_extended(op, ty, a, b) {
            return Some(v);
        }
        let (max, min_s) = (ty.mask(), 1 << (ty.bits() - 1));
        let (signed, strict) = (matches!(op, Op::Lts | Op::Les), matches!(op, Op::Ltu | Op::Lts));
        let (least, most) = if signed { (min_s, max >> 1) } else { (0, max) };
        if let Some(k) = self.as_const(b) {
            match (k, strict) {
                (k, true) if k == least => return Some(self.bit(false)),
                (k, false) if k == most => return Some(self.bit(true)),
                (k, true) if k == most => return Some(self.compare_t(Op::Ne, ty, a, b)),
                (k, false) if k == least => return Some(self.compare_t(Op::Eq, ty, a, b)),
                (1, true) if !signed => {
                    let zero = self.k(ty, 0);
                    return Some(self.compare_t(Op::Eq, ty, a, zero));
                }
                // a <= -1 is a < 0
                (k, false) if signed && k == max => {
                    let zero = self.k(ty, 0);
                    return Some(self.compare_t(Op::Lts, ty, a, zero));
                }
                (0, true) if signed && self.fact(a).non_negative() => return Some(self.bit(false)),
                _ => {}
            }
            if !signed && k.checked_shr(self.fact(a).unsigned()).is_some_and(|above| above != 0) {
                return Some(self.bit(true));
            }
        }
        let k = self.as_const(a)?;
        match (k, strict) {
            (k, true) if k == most => Some(self.bit(false)),
            (k, false) if k == least => Some(self.bit(true)),
            (k, true) if k == least => Some(self.compare_t(Op::Ne, ty, b, a)),
            (k, false) if k == most => Some(self.compare_t(Op::Eq, ty, b, a)),
            (1, false) if !signed => {
                let zero = self.k(ty, 0);
                Some(self.compare_t(Op::Ne, ty, b, zero))
            }
            // -1 < b is 0 <= b
            (k, true) if signed && k == max => {
                let zero = self.k(ty, 0);
                Some(self.compare_t(Op::Les, ty, zero, b))
            }
            (0, false) if signed && self.fact(b).non_negative() => Some(self.bit(true)),
            _ => None,
        }
    }

    /// Order of one-bit values, of which 1 is -1 if signed.
    fn order_of_bits(&mut self, op: Op, a: Val, b: Val) -> Val {
        let ty = Ty::I1;
        match op {
            Op::Ltu => self.and_not(b, a),
            Op::Lts => self.and_not(a, b),
            Op::Leu => {
                let not = self.not_t(ty, a);
                self.or_t(ty, not, b)
            }
            _ => {
                let not = self.not_t(ty, b);
                self.or_t(ty, not, a)
            }
        }
    }

    /// `a & ~b` of one-bit values.
    pub(super) fn and_not(&mut self, a: Val, b: Val) -> Val {
        let not = self.not_t(Ty::I1, b);
        self.and_t(Ty::I1, a, not)
    }

    /// Order of extended values and constants, on the narrower type.
    fn order_of_extended(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let (ka, kb) = (self.as_const(a), self.as_const(b));
        let Some(k) = ka.or(kb) else {
            return self.narrowed(op, a, b);
        };
        let (from, signed, x) = self.extension(if ka.is_some() { b } else { a })?;
        let fits = if signed { sign_extended(k & from.mask(), from) & ty.mask() == k } else { k <= from.mask() };
        if !fits || from == Ty::I1 {
            return None;
        }
        let op = if signed { op } else { unsigned(op) };
        let x = self.trunc_t(x, from);
        let k = self.k(from, k & from.mask());
        Some(if ka.is_some() { self.compare_t(op, from, k, x) } else { self.compare_t(op, from, x, k) })
    }

    // ---- conditions
    /// The comparison that holds when `v` does not, if `v` is a comparison.
    pub(super) fn inverse_comparison(&mut self, v: Val) -> Option<Val> {
        let inst = self.def(v);
        let (a, b) = (inst.args[0], inst.args[1]);
        let (op, a, b) = match inst.op {
            Op::Eq => (Op::Ne, a, b),
            Op::Ne => (Op::Eq, a, b),
            Op::Ltu => (Op::Leu, b, a),
            Op::Leu => (Op::Ltu, b, a),
            Op::Lts => (Op::Les, b, a),
            Op::Les => (Op::Lts, b, a),
            _ => return None,
        };
        Some(self.compare_t(op, inst.ty, a, b))
    }

    /// `v` as `c ? x : y`, in each way there is: comparisons made only if another held leave flags like this.
    fn gated(&mut self, v: Val) -> [Option<[Val; 3]>; 2] {
        let inst = self.def(v);
        let [p, q, _] = inst.args;
        match inst.op {
            Op::And => {
                let zero = self.bit(false);
                [Some([p, q, zero]), Some([q, p, zero])]
            }
            Op::Or => {
                let one = self.bit(true);
                [Some([self.not_t(Ty::I1, p), q, one]), Some([self.not_t(Ty::I1, q), p, one])]
            }
            Op::Select => [Some(inst.args), None],
            Op::Not => {
                let inner = self.gated(p);
                inner.map(|gated| gated.map(|[c, x, y]| [c, self.not_t(Ty::I1, x), self.not_t(Ty::I1, y)]))
            }
            _ => [None, None],
        }
    }

    fn is_gated(&self, v: Val) -> bool {
        let v = self.operand_of(v, Op::Not).unwrap_or(v);
        matches!(self.def(v).op, Op::And | Op::Or | Op::Select)
    }

    /// An operation on two conditions gated alike: the gated operation.
    fn fold_gated(&mut self, op: Op, a: Val, b: Val) -> Option<Val> {
        if !self.is_gated(a) || !self.is_gated(b) {
            return None;
        }
        let (first, second) = (self.gated(a), self.gated(b));
        let pairs = first.iter().flatten().flat_map(|x| second.iter().flatten().map(move |y| (x, y)));
        let (&[c, x, k], &[_, y, l]) = pairs.into_iter().find(|(x, y)| x[0] == y[0])?;
        let mut both = |p: Val, q: Val| match op {
            Op::And => self.and_t(Ty::I1, p, q),
            Op::Or => self.or_t(Ty::I1, p, q),
            _ => self.xor_t(Ty::I1, p, q),
        };
        let (open, shut) = (both(x, y), both(k, l));
        Some(self.select_t(Ty::I1, c, open, shut))
    }

    /// `a & b` of conditions: `a <= b && a != b` is `a < b`.
    pub(super) fn fold_and_bits(&mut self, a: Val, b: Val) -> Option<Val> {
        if let (Some(x), Some(y)) = (self.operand_of(a, Op::Not), self.operand_of(b, Op::Not)) {
            let neither = self.or_t(Ty::I1, x, y);
            return Some(self.not_t(Ty::I1, neither));
        }
        for (x, y) in [(a, b), (b, a)] {
            if self.operand_of(x, Op::Not) == Some(y) {
                return Some(self.bit(false));
            }
            let (order, unequal) = (self.def(x), self.def(y));
            let strict = match order.op {
                Op::Leu => Op::Ltu,
                Op::Les => Op::Lts,
                _ => continue,
            };
            if unequal.op == Op::Ne
                && order.ty == unequal.ty
                && self.same_difference(order.ty, order.args, unequal.args)
            {
                return Some(self.compare_t(strict, order.ty, order.args[0], order.args[1]));
            }
        }
        self.fold_gated(Op::And, a, b)
    }

    /// `a | b` of conditions: `a < b || a == b` is `a <= b`.
    pub(super) fn fold_or_bits(&mut self, a: Val, b: Val) -> Option<Val> {
        for (x, y) in [(a, b), (b, a)] {
            if self.operand_of(x, Op::Not) == Some(y) {
                return Some(self.bit(true));
            }
            let (order, equal) = (self.def(x), self.def(y));
            let lax = match order.op {
                Op::Ltu => Op::Leu,
                Op::Lts => Op::Les,
                _ => continue,
            };
            if equal.op == Op::Eq && order.ty == equal.ty && self.same_difference(order.ty, order.args, equal.args) {
                return Some(self.compare_t(lax, order.ty, order.args[0], order.args[1]));
            }
        }
        self.fold_gated(Op::Or, a, b)
    }

    /// `a ^ b` of conditions: sign of a difference, corrected by overflow, is a comparison.
    pub(super) fn fold_xor_bits(&mut self, a: Val, b: Val) -> Option<Val> {
        for (x, y) in [(a, b), (b, a)] {
            if let Some(inner) = self.operand_of(x, Op::Not) {
                let different = self.xor_t(Ty::I1, inner, y);
                return Some(self.not_t(Ty::I1, different));
            }
            let (sign, overflow) = (self.def(x), self.def(y));
            // Signs are tested as `r < 0`, or `0 <= r` when complemented.
            let (r, less) = match sign.op {
                Op::Lts if self.as_const(sign.args[1]) == Some(0) => (sign.args[0], true),
                Op::Les if self.as_const(sign.args[0]) == Some(0) => (sign.args[1], false),
                _ => continue,
            };
            if sign.ty != overflow.ty || !matches!(overflow.op, Op::Ovsub | Op::Ovadd) {
                continue;
            }
            if self.as_const(overflow.args[2]) != Some(0) {
                continue;
            }
            if let Some((p, q)) = self.compared(overflow.op, sign.ty, r, overflow.args[0], overflow.args[1]) {
                return Some(if less {
                    self.compare_t(Op::Lts, sign.ty, p, q)
                } else {
                    self.compare_t(Op::Les, sign.ty, q, p)
                });
            }
        }
        self.fold_gated(Op::Xor, a, b)
    }

    /// The values `p`, `q` such that the true value of `r`, a difference or sum that `op` checks for overflow, is `p - q`.
    fn compared(&mut self, op: Op, ty: Ty, r: Val, a: Val, b: Val) -> Option<(Val, Val)> {
        if op == Op::Ovsub {
            return self.is_difference(ty, r, a, b).then_some((a, b));
        }
        // a + k is a - (-k), except for the k whose negative does not exist.
        let (a, b) = if self.is_const(a) { (b, a) } else { (a, b) };
        let minus = self.as_const(b)?.wrapping_neg() & ty.mask();
        if minus == 1 << (ty.bits() - 1) {
            return None;
        }
        let minus = self.k(ty, minus);
        self.is_difference(ty, r, a, minus).then_some((a, minus))
    }

    /// Whether `r` is `a - b` as the arithmetic folds leave it.
    fn is_difference(&self, ty: Ty, r: Val, a: Val, b: Val) -> bool {
        match self.as_const(b) {
            None if self.as_const(a) == Some(0) => self.operand_of(r, Op::Neg) == Some(b),
            None => self.operands_of(r, Op::Sub) == Some((a, b)),
            Some(k) => {
                let ((x, i), (y, j)) = (self.split(r), self.split(a));
                x == y && i == j.wrapping_sub(k) & ty.mask()
            }
        }
    }

    /// `v` as a value that is no such sum itself, plus a constant.
    fn split(&self, mut v: Val) -> (Val, u128) {
        let mut sum = 0u128;
        while let Some((x, k)) = self.with_const(v, Op::Add) {
            (v, sum) = (x, sum.wrapping_add(k));
        }
        (v, sum & self.ty(v).mask())
    }

    /// Bit `at` of `r ^ (a ^ k)`, where `r` is `a + k` or `a - k`: what is carried or borrowed from the bits below, of which a
    /// comparison tells.
    pub(super) fn carry_into(&mut self, ty: Ty, r: Val, operands: Val, at: u32) -> Option<Val> {
        let inverted = || self.operand_of(operands, Op::Not).map(|a| (a, ty.mask()));
        let (a, k) = self.with_const(operands, Op::Xor).or_else(inverted)?;
        let ((x, i), (y, j)) = (self.split(r), self.split(a));
        let (below, to) = (super::width_mask(at), super::width_mask(at + 1));
        let difference = i.wrapping_sub(j) & to;
        // Of the numbers below, the smaller one of a sum that carries is the sum.
        let (least, greatest) = match (x == y, k & to) {
            (true, k) if k == difference => (r, a),
            (true, k) if k.wrapping_neg() & to == difference => (a, r),
            _ => return None,
        };
        let k = k & below;
        let zero = self.k(ty, 0);
        let upper = |b: &mut Self, v: Val, k: u128| {
            // As it is: the host tests such bits where the comparison is.
            let mask = b.k(ty, below & !(k - 1));
            b.pure(Op::And, ty, Attr(0), two(v, mask))
        };
        Some(match k {
            0 => self.bit(false),
            k if k.is_power_of_two() => {
                let upper = upper(self, least, k);
                self.compare_t(Op::Eq, ty, upper, zero)
            }
            k if (below + 1 - k).is_power_of_two() => {
                let upper = upper(self, greatest, below + 1 - k);
                self.compare_t(Op::Ne, ty, upper, zero)
            }
            k => {
                let (mask, k) = (self.k(ty, below), self.k(ty, k));
                let least = self.and_t(ty, least, mask);
                self.compare_t(Op::Ltu, ty, least, k)
            }
        })
    }

    /// Whether `p == q` exactly if `a == b`, for pairs in either order.
    fn same_difference(&self, ty: Ty, [a, b, _]: [Val; 3], [p, q, _]: [Val; 3]) -> bool {
        if (a, b) == (p, q) || (a, b) == (q, p) {
            return true;
        }
        // (x + i) against k, and x against k - i
        let (a, b) = if self.is_const(a) { (b, a) } else { (a, b) };
        let (Some(k), Some(l)) = (self.as_const(b), self.as_const(q)) else { return false };
        let ((x, i), (y, j)) = (self.split(a), self.split(p));
        x == y && k.wrapping_sub(i) & ty.mask() == l.wrapping_sub(j) & ty.mask()
    }

    // ---- carries
    /// `carry borrow ovadd ovsub` of `a`, `b` and the incoming bit `c`.
    pub(super) fn carry_t(&mut self, op: Op, ty: Ty, a: Val, b: Val, c: Val) -> Val {
        if self.folds
            && let Some(v) = self.fold_carry(op, ty, a, b, c)
        {
            return v;
        }
        self.pure(op, ty, Attr(0), [a, b, c])
    }

    fn fold_carry(&mut self, op: Op, ty: Ty, a: Val, b: Val, c: Val) -> Option<Val> {
        let k = self.as_const(c)?;
        if op == Op::Borrow {
            return Some(self.compare_t(if k == 0 { Op::Ltu } else { Op::Leu }, ty, a, b));
        }
        if k != 0 {
            return None;
        }
        match op {
            Op::Carry => {
                let (a, b) = if self.is_const(a) { (b, a) } else { (a, b) };
                let k = self.as_const(b)?;
                if k == 0 {
                    return Some(self.bit(false));
                }
                let minus = self.k(ty, k.wrapping_neg() & ty.mask());
                Some(self.compare_t(Op::Leu, ty, minus, a))
            }
            _ if self.as_const(b) == Some(0) => Some(self.bit(false)),
            _ => None,
        }
    }
}

/// The order as of values that are not negative.
fn unsigned(op: Op) -> Op {
    match op {
        Op::Lts => Op::Ltu,
        Op::Les => Op::Leu,
        op => op,
    }
}

/// The sign extension of a value of type `from` to 128 bits.
fn sign_extended(value: u128, from: Ty) -> u128 {
    let shift = 128 - from.bits();
    ((value << shift) as i128 >> shift) as u128
}
