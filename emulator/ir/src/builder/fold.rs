//! Integer arithmetic on types, simplified. Each function takes values of the type `ty`.
//!
//! Canonical forms: a constant is the second operand; no subtraction of a constant; no `and` with the low bits set only
//! (that is `bfx`); complements are pushed into `andn` and comparisons.

use super::Builder;
use super::emit::{one, two};
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;

impl Builder<'_> {
    /// A constant operand second, then by age: equal operations look equal.
    fn ordered(&self, a: Val, b: Val) -> (Val, Val) {
        let swap = match (self.is_const(a), self.is_const(b)) {
            (true, false) => true,
            (false, true) => false,
            _ => a > b,
        };
        if swap { (b, a) } else { (a, b) }
    }

    /// The operands, if `v` is defined by the two-operand operation `op`.
    pub(super) fn operands_of(&self, v: Val, op: Op) -> Option<(Val, Val)> {
        let inst = self.def(v);
        (inst.op == op).then_some((inst.args[0], inst.args[1]))
    }

    /// The operand, if `v` is defined by the one-operand operation `op`.
    pub(super) fn operand_of(&self, v: Val, op: Op) -> Option<Val> {
        let inst = self.def(v);
        (inst.op == op).then_some(inst.args[0])
    }

    /// The operand and the constant, if `v` is `x op constant`.
    pub(super) fn with_const(&self, v: Val, op: Op) -> Option<(Val, u128)> {
        let (a, b) = self.operands_of(v, op)?;
        Some((a, self.as_const(b)?))
    }

    /// Bitwise operation on sign extensions: the extension of the operation on what they extend.
    fn logic_of_extended(&mut self, op: Op, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let x = self.operand_of(a, Op::Sext)?;
        let narrow = self.ty(x);
        let y = match self.as_const(b) {
            Some(k) => {
                let above = 128 - narrow.bits();
                let extended = ((k << above) as i128 >> above) as u128;
                if extended & ty.mask() != k {
                    return None;
                }
                self.k(narrow, k & narrow.mask())
            }
            None => self.operand_of(b, Op::Sext).filter(|y| self.ty(*y) == narrow)?,
        };
        if narrow == Ty::I1 {
            return None;
        }
        let r = match op {
            Op::And => self.and_t(narrow, x, y),
            Op::Or => self.or_t(narrow, x, y),
            _ => self.xor_t(narrow, x, y),
        };
        Some(self.sext_t(r, ty))
    }

    /// The condition, if `v` is a zero-extended one-bit value.
    pub(super) fn extended_bit(&self, v: Val) -> Option<Val> {
        let whole = self.operand_of(v, Op::Trunc).unwrap_or(v);
        self.operand_of(whole, Op::Zext).filter(|c| self.ty(*c) == Ty::I1)
    }

    pub(super) fn add_t(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        if ty == Ty::I1 {
            return self.xor_t(ty, a, b);
        }
        if self.folds
            && let Some(v) = self.fold_add(ty, a, b)
        {
            return v;
        }
        self.pure(Op::Add, ty, Attr(0), two(a, b))
    }

    fn fold_add(&mut self, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let (a, b) = self.ordered(a, b);
        if let Some(k) = self.as_const(b) {
            return self.fold_add_const(ty, a, k);
        }
        if let Some(b) = self.operand_of(b, Op::Neg) {
            return Some(self.sub_t(ty, a, b));
        }
        if let Some(a) = self.operand_of(a, Op::Neg) {
            return Some(self.sub_t(ty, b, a));
        }
        for (sum, bit) in [(a, b), (b, a)] {
            if let (Some((x, y)), Some(c)) = (self.operands_of(sum, Op::Add), self.extended_bit(bit))
                && !self.is_of_earlier_turn(sum)
            {
                // What has been carried out of the sum is in the flags behind it.
                let inst = self.def(c);
                let own = inst.op == Op::Carry && (inst.args[..2] == [x, y] || inst.args[..2] == [y, x]);
                return Some(if own {
                    self.with_carry(Op::Adc, ty, sum, c)
                } else {
                    self.pure(Op::Adc, ty, Attr(0), [x, y, c])
                });
            }
        }
        for (x, bit) in [(a, b), (b, a)] {
            if let Some(c) = self.extended_bit(bit)
                && matches!(self.def(c).op, Op::Carry | Op::Borrow)
            {
                return Some(self.with_carry(Op::Adc, ty, x, c));
            }
        }
        None
    }

    /// `x`, and a carry added or subtracted: one operation of the host, which has the carry in a flag.
    fn with_carry(&mut self, op: Op, ty: Ty, x: Val, c: Val) -> Val {
        let zero = self.k(ty, 0);
        self.pure(op, ty, Attr(0), [x, zero, c])
    }

    fn fold_add_const(&mut self, ty: Ty, a: Val, k: u128) -> Option<Val> {
        if k == 0 {
            return Some(a);
        }
        if let Some((x, j)) = self.with_const(a, Op::Add).filter(|_| !self.is_of_earlier_turn(a)) {
            let sum = self.k(ty, j.wrapping_add(k) & ty.mask());
            return Some(self.add_t(ty, x, sum));
        }
        if let Some((j, x)) = self.operands_of(a, Op::Sub)
            && let Some(j) = self.as_const(j)
        {
            let sum = self.k(ty, j.wrapping_add(k) & ty.mask());
            return Some(self.sub_t(ty, sum, x));
        }
        // (x + j) + y - j: elements of an array on the stack
        if let Some((p, q)) = self.operands_of(a, Op::Add) {
            for (sum, y) in [(p, q), (q, p)] {
                if let Some((x, j)) = self.with_const(sum, Op::Add)
                    && j.wrapping_add(k) & ty.mask() == 0
                    && !self.is_of_earlier_turn(sum)
                {
                    return Some(self.add_t(ty, x, y));
                }
            }
        }
        // ~x + k = (k - 1) - x
        let x = self.operand_of(a, Op::Not)?;
        let less = self.k(ty, k - 1);
        Some(self.sub_t(ty, less, x))
    }

    pub(super) fn sub_t(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        if ty == Ty::I1 {
            return self.xor_t(ty, a, b);
        }
        if self.folds
            && let Some(v) = self.fold_sub(ty, a, b)
        {
            return v;
        }
        self.pure(Op::Sub, ty, Attr(0), two(a, b))
    }

    fn fold_sub(&mut self, ty: Ty, a: Val, b: Val) -> Option<Val> {
        if a == b {
            return Some(self.k(ty, 0));
        }
        if let Some(k) = self.as_const(b) {
            let minus = self.k(ty, k.wrapping_neg() & ty.mask());
            return Some(self.add_t(ty, a, minus));
        }
        if self.as_const(a) == Some(0) {
            return Some(self.neg_t(ty, b));
        }
        if let Some(b) = self.operand_of(b, Op::Neg) {
            return Some(self.add_t(ty, a, b));
        }
        if let Some((x, y)) = self.operands_of(a, Op::Add) {
            if x == b {
                return Some(y);
            }
            if y == b {
                return Some(x);
            }
        }
        if let (Some((x, y)), Some(c)) = (self.operands_of(a, Op::Sub), self.extended_bit(b)) {
            return Some(self.pure(Op::Sbb, ty, Attr(0), [x, y, c]));
        }
        if let (Some(y), Some(c)) = (self.operand_of(a, Op::Neg), self.extended_bit(b)) {
            let zero = self.k(ty, 0);
            return Some(self.pure(Op::Sbb, ty, Attr(0), [zero, y, c]));
        }
        if let Some(c) = self.extended_bit(b)
            && matches!(self.def(c).op, Op::Carry | Op::Borrow)
        {
            return Some(self.with_carry(Op::Sbb, ty, a, c));
        }
        None
    }

    pub(super) fn neg_t(&mut self, ty: Ty, a: Val) -> Val {
        if ty == Ty::I1 {
            return a;
        }
        if self.folds {
            if let Some(x) = self.operand_of(a, Op::Neg) {
                return x;
            }
            if let Some((x, y)) = self.operands_of(a, Op::Sub) {
                return self.sub_t(ty, y, x);
            }
            if let Some(c) = self.extended_bit(a) {
                return self.sext_t(c, ty);
            }
        }
        self.pure(Op::Neg, ty, Attr(0), one(a))
    }

    pub(super) fn mul_t(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        if ty == Ty::I1 {
            return self.and_t(ty, a, b);
        }
        if self.folds {
            let (a, b) = self.ordered(a, b);
            match self.as_const(b) {
                Some(0) => return b,
                Some(1) => return a,
                Some(k) if k == ty.mask() => return self.neg_t(ty, a),
                Some(k) if k.is_power_of_two() => {
                    let amount = self.k(ty, k.trailing_zeros().into());
                    return self.shl_t(ty, a, amount);
                }
                _ => {}
            }
        }
        self.pure(Op::Mul, ty, Attr(0), two(a, b))
    }

    pub(super) fn and_t(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        if self.folds
            && let Some(v) = self.fold_and(ty, a, b)
        {
            return v;
        }
        self.pure(Op::And, ty, Attr(0), two(a, b))
    }

    fn fold_and(&mut self, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let (a, b) = self.ordered(a, b);
        if a == b {
            return Some(a);
        }
        if let Some(k) = self.as_const(b) {
            return self.fold_and_const(ty, a, b, k);
        }
        if ty == Ty::I1 {
            return self.fold_and_bits(a, b);
        }
        if let (Some(c), Some(d)) = (self.extended_bit(a), self.extended_bit(b)) {
            let both = self.and_t(Ty::I1, c, d);
            return Some(self.zext_t(both, ty));
        }
        for (x, y) in [(a, b), (b, a)] {
            if let Some(y) = self.operand_of(y, Op::Not) {
                return Some(self.andn_t(ty, x, y));
            }
        }
        self.logic_of_extended(Op::And, ty, a, b)
    }

    fn fold_and_const(&mut self, ty: Ty, a: Val, b: Val, k: u128) -> Option<Val> {
        if k == 0 {
            return Some(b);
        }
        // Bits that may be set are all kept.
        let ones = (!k).trailing_zeros();
        if ones >= self.fact(a).unsigned() {
            return Some(a);
        }
        if ty <= Ty::I64 && k & (k + 1) == 0 {
            return Some(self.bfx_t(ty, a, 0, ones));
        }
        if let Some((x, j)) = self.with_const(a, Op::And) {
            let both = self.k(ty, j & k);
            return Some(self.and_t(ty, x, both));
        }
        self.logic_of_extended(Op::And, ty, a, b)
    }

    fn andn_t(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        if a == b {
            return self.k(ty, 0);
        }
        if let Some(k) = self.as_const(b) {
            let mask = self.k(ty, !k & ty.mask());
            return self.and_t(ty, a, mask);
        }
        self.pure(Op::Andn, ty, Attr(0), two(a, b))
    }

    pub(super) fn or_t(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        if self.folds
            && let Some(v) = self.fold_or(ty, a, b)
        {
            return v;
        }
        self.pure(Op::Or, ty, Attr(0), two(a, b))
    }

    fn fold_or(&mut self, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let (a, b) = self.ordered(a, b);
        if a == b {
            return Some(a);
        }
        if let Some(k) = self.as_const(b) {
            if k == 0 {
                return Some(a);
            }
            if k == ty.mask() {
                return Some(b);
            }
            if let Some((x, j)) = self.with_const(a, Op::Or) {
                let both = self.k(ty, j | k);
                return Some(self.or_t(ty, x, both));
            }
            return self.logic_of_extended(Op::Or, ty, a, b);
        }
        if ty == Ty::I1 {
            return self.fold_or_bits(a, b);
        }
        if let (Some(c), Some(d)) = (self.extended_bit(a), self.extended_bit(b)) {
            let either = self.or_t(Ty::I1, c, d);
            return Some(self.zext_t(either, ty));
        }
        for (x, y) in [(a, b), (b, a)] {
            if let (Some((x, up)), Some((y, down))) = (self.with_const(x, Op::Shl), self.with_const(y, Op::Shr))
                && x == y
                && up + down == ty.bits().into()
            {
                let amount = self.k(ty, down);
                return Some(self.rotr_t(ty, x, amount));
            }
        }
        self.logic_of_extended(Op::Or, ty, a, b)
    }

    pub(super) fn xor_t(&mut self, ty: Ty, a: Val, b: Val) -> Val {
        if self.folds
            && let Some(v) = self.fold_xor(ty, a, b)
        {
            return v;
        }
        self.pure(Op::Xor, ty, Attr(0), two(a, b))
    }

    fn fold_xor(&mut self, ty: Ty, a: Val, b: Val) -> Option<Val> {
        let (a, b) = self.ordered(a, b);
        if a == b {
            return Some(self.k(ty, 0));
        }
        if let Some(k) = self.as_const(b) {
            if k == 0 {
                return Some(a);
            }
            if k == ty.mask() {
                return Some(self.not_t(ty, a));
            }
            if let Some((x, j)) = self.with_const(a, Op::Xor) {
                let both = self.k(ty, j ^ k);
                return Some(self.xor_t(ty, x, both));
            }
            if k == 1
                && let Some(c) = self.extended_bit(a)
            {
                let inverse = self.not_t(Ty::I1, c);
                return Some(self.zext_t(inverse, ty));
            }
            if let Some(x) = self.operand_of(a, Op::Not) {
                let inverse = self.k(ty, !k & ty.mask());
                return Some(self.xor_t(ty, x, inverse));
            }
            return self.logic_of_extended(Op::Xor, ty, a, b);
        }
        if ty == Ty::I1 {
            return self.fold_xor_bits(a, b);
        }
        if let (Some(c), Some(d)) = (self.extended_bit(a), self.extended_bit(b)) {
            let different = self.xor_t(Ty::I1, c, d);
            return Some(self.zext_t(different, ty));
        }
        self.logic_of_extended(Op::Xor, ty, a, b)
    }

    pub(super) fn not_t(&mut self, ty: Ty, a: Val) -> Val {
        if self.folds {
            if let Some(x) = self.operand_of(a, Op::Not) {
                return x;
            }
            if let Some((x, k)) = self.with_const(a, Op::Xor) {
                let inverse = self.k(ty, !k & ty.mask());
                return self.xor_t(ty, x, inverse);
            }
            if ty == Ty::I1
                && let Some(v) = self.inverse_comparison(a)
            {
                return v;
            }
        }
        self.pure(Op::Not, ty, Attr(0), one(a))
    }

    pub(super) fn select_t(&mut self, ty: Ty, c: Val, a: Val, b: Val) -> Val {
        if self.folds
            && let Some(v) = self.fold_select(ty, c, a, b)
        {
            return v;
        }
        self.pure(Op::Select, ty, Attr(0), [c, a, b])
    }

    fn fold_select(&mut self, ty: Ty, c: Val, a: Val, b: Val) -> Option<Val> {
        if a == b {
            return Some(a);
        }
        if let Some(k) = self.as_const(c) {
            return Some(if k == 1 { a } else { b });
        }
        if let Some(inverse) = self.operand_of(c, Op::Not) {
            return Some(self.select_t(ty, inverse, b, a));
        }
        let (ka, kb) = (self.as_const(a), self.as_const(b));
        if ty == Ty::I1 {
            // What the condition is, it is known to be.
            if a == c {
                return Some(self.or_t(ty, c, b));
            }
            if b == c {
                return Some(self.and_t(ty, c, a));
            }
            return match (ka, kb) {
                (Some(1), _) => Some(self.or_t(ty, c, b)),
                (_, Some(0)) => Some(self.and_t(ty, c, a)),
                (Some(_), _) => {
                    let not = self.not_t(ty, c);
                    Some(self.and_t(ty, not, b))
                }
                (_, Some(_)) => {
                    let not = self.not_t(ty, c);
                    Some(self.or_t(ty, not, a))
                }
                _ => None,
            };
        }
        match (ka?, kb?) {
            (1, 0) => Some(self.zext_t(c, ty)),
            (0, 1) => {
                let not = self.not_t(Ty::I1, c);
                Some(self.zext_t(not, ty))
            }
            (k, 0) if k == ty.mask() => Some(self.sext_t(c, ty)),
            (0, k) if k == ty.mask() => {
                let not = self.not_t(Ty::I1, c);
                Some(self.sext_t(not, ty))
            }
            _ => None,
        }
    }
}
