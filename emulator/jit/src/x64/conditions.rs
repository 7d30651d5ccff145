//! Which one-bit values are comparisons that their users can make themselves, and how the host would make them.

use ir::inst::{Inst, Op, Val};
use ir::{Ty, Unit};
use smallvec::SmallVec;

use super::Convention;
use super::analysis::{Analysis, Cond, CondKind, Mode, NO};
use super::asm::cc;
use super::deferred::MAX_FLAGS;
use super::float_conditions;

/// Most instructions between those that write the condition flags and one that reads them.
const BRANCH_WITHIN: u32 = 8;

impl Analysis {
    /// The flag-setting form of a comparison of machine-sized operands, if it is one.
    pub(super) fn find_cond(&self, unit: &Unit, inst: &Inst) -> Option<Cond> {
        if inst.op == Op::Fcmp {
            return self.float_condition(unit, inst);
        }
        if inst.ty == Ty::I1
            && let Some(c) = self.combine(unit, inst)
        {
            return Some(c);
        }
        if inst.op == Op::Not && inst.ty == Ty::I1 && self.values[self.arg(inst, 0) as usize].mode == Mode::Emit {
            let a = self.arg(inst, 0);
            return Some(Cond { kind: CondKind::Test, cc: cc::E, ty: inst.ty, a, b: a });
        }
        let (kind, code) = match inst.op {
            Op::Eq => (CondKind::Cmp, cc::E),
            Op::Ne => (CondKind::Cmp, cc::NE),
            Op::Ltu => (CondKind::Cmp, cc::B),
            Op::Leu => (CondKind::Cmp, cc::BE),
            Op::Lts => (CondKind::Cmp, cc::L),
            Op::Les => (CondKind::Cmp, cc::LE),
            Op::Borrow if self.is_zero(unit, inst, 2) => (CondKind::Cmp, cc::B),
            Op::Ovsub if self.is_zero(unit, inst, 2) => (CondKind::Cmp, cc::O),
            Op::Carry if self.is_zero(unit, inst, 2) => (CondKind::Add, cc::B),
            Op::Ovadd if self.is_zero(unit, inst, 2) => (CondKind::Add, cc::O),
            _ => return None,
        };
        if inst.ty == Ty::I128 || inst.ty == Ty::I1 && code != cc::E && code != cc::NE {
            return None;
        }
        let (a, b) = (self.arg(inst, 0), self.arg(inst, 1));
        if let Some(c) = self.of_widened(unit, a, b, code) {
            return Some(c);
        }
        if self.values[a as usize].mode == Mode::Cond || self.values[b as usize].mode == Mode::Cond {
            return None;
        }
        let mut c = Cond { kind, cc: code, ty: inst.ty, a, b };
        if self.values[a as usize].mode == Mode::Const && self.values[b as usize].mode != Mode::Const {
            let swapped = match (kind, code) {
                (CondKind::Add, _) | (_, cc::E | cc::NE) => Some(code),
                (_, cc::B) => Some(cc::A),
                (_, cc::BE) => Some(cc::AE),
                (_, cc::L) => Some(cc::G),
                (_, cc::LE) => Some(cc::GE),
                _ => None,
            };
            if let Some(code) = swapped {
                c = Cond { cc: code, a: b, b: a, ..c };
            }
        }
        Some(self.against_zero(unit, c))
    }

    /// Comparison of a just computed difference or conjunction with zero: of its operands instead.
    pub(super) fn against_zero(&self, unit: &Unit, c: Cond) -> Cond {
        if c.kind != CondKind::Cmp || self.constant(unit, c.b).is_none_or(|k| k & c.ty.mask() != 0) {
            return c;
        }
        let code = match c.cc {
            cc::E | cc::NE => c.cc,
            cc::L => cc::S,
            cc::GE => cc::NS,
            _ => return c,
        };
        let Some(def) = unit.insts.get(c.a as usize) else { return c };
        if def.ty != c.ty {
            return c;
        }
        let (a, b) = (self.val_or_no(def.args[0]), self.val_or_no(def.args[1]));
        match def.op {
            Op::Sub if self.values[a as usize].mode == Mode::Emit => {
                Cond { kind: CondKind::Cmp, cc: code, ty: c.ty, a, b }
            }
            Op::And if self.values[c.a as usize].total <= 1 && self.values[a as usize].mode == Mode::Emit => {
                Cond { kind: CondKind::Test, cc: code, ty: c.ty, a, b }
            }
            _ => c,
        }
    }

    pub(super) fn val_or_no(&self, v: Val) -> u32 {
        if v == Val::NONE { NO } else { self.val(v) }
    }

    /// Equality of a widened or plain one-bit condition with 0 or 1.
    pub(super) fn of_widened(&self, unit: &Unit, a: u32, b: u32, code: u8) -> Option<Cond> {
        if code != cc::E && code != cc::NE {
            return None;
        }
        let k = self.constant(unit, b)?;
        let mut v = a;
        if let Some(def) = unit.insts.get(v as usize)
            && def.op == Op::Zext
        {
            v = self.arg(def, 0);
        }
        let mut c = self.cond(v)?;
        if k > 1 {
            return None;
        }
        if (k == 0) == (code == cc::E) {
            c.cc ^= 1;
        }
        Some(c)
    }

    /// Negations of comparisons, and pairs of comparisons of the same operands, are again one condition.
    pub(super) fn combine(&self, unit: &Unit, inst: &Inst) -> Option<Cond> {
        let a = self.cond(self.val_opt(inst.args[0])?);
        if inst.op == Op::Not {
            return a.map(|c| Cond { cc: c.cc ^ 1, ..c });
        }
        let vb = self.val_opt(inst.args[1])?;
        if inst.op == Op::Xor && self.constant(unit, vb) == Some(1) {
            return a.map(|c| Cond { cc: c.cc ^ 1, ..c });
        }
        let (a, b) = (a?, self.cond(vb)?);
        if a.kind == CondKind::Float {
            return float_conditions::combine(inst.op, &a, &b);
        }
        let (a, b) = (self.below_one(unit, a, &b), self.below_one(unit, b, &a));
        if !a.same_operands(&b) || a.kind == CondKind::Bit {
            return None;
        }
        let pair = (a.cc.min(b.cc), a.cc.max(b.cc));
        let code = match (inst.op, pair) {
            (Op::And, (cc::AE, cc::NE)) => cc::A,
            (Op::Or, (cc::B, cc::E)) => cc::BE,
            (Op::And, (cc::NE, cc::GE)) => cc::G,
            (Op::Or, (cc::E, cc::L)) => cc::LE,
            (Op::Xor | Op::Ne, (cc::O, cc::S)) => cc::L,
            (Op::Eq, (cc::O, cc::S)) => cc::GE,
            (Op::Andn, _) => match (a.cc, b.cc) {
                (cc::AE, cc::E) => cc::A,
                (cc::GE, cc::E) => cc::G,
                _ => return None,
            },
            _ => return None,
        };
        Some(Cond { cc: code, ..a })
    }

    /// Equality with 0 as being below 1, if that is what `other` compares the value with.
    fn below_one(&self, unit: &Unit, c: Cond, other: &Cond) -> Cond {
        let is = |v: u32, k: u128| self.constant(unit, v).is_some_and(|bits| bits & c.ty.mask() == k);
        let alike = c.kind == CondKind::Cmp && c.kind == other.kind && c.ty == other.ty && c.a == other.a;
        match c.cc {
            cc::E | cc::NE if alike && is(c.b, 0) && is(other.b, 1) => Cond { cc: cc::B | c.cc & 1, b: other.b, ..c },
            _ => c,
        }
    }

    pub(super) fn val_opt(&self, v: Val) -> Option<u32> {
        (v != Val::NONE).then(|| self.val(v))
    }

    pub(super) fn is_zero(&self, unit: &Unit, inst: &Inst, k: usize) -> bool {
        let v = inst.args[k];
        v == Val::NONE || self.constant(unit, self.val(v)) == Some(0)
    }

    /// Lowest bit of `v` as a condition; of a shifted value, the bit it came from.
    pub(super) fn bit_cond(&self, unit: &Unit, v: u32, ty: Ty) -> Cond {
        let plain = Cond { kind: CondKind::Bit, cc: cc::B, ty, a: v, b: 0 };
        let Some(def) = unit.insts.get(v as usize) else { return plain };
        let bit = match def.op {
            Op::Bfx => def.attr.imm(),
            Op::Shr | Op::Sar => match self.constant(unit, self.arg(def, 1)) {
                Some(k) if k < u128::from(def.ty.bits()) => k as u32,
                _ => return plain,
            },
            _ => return plain,
        };
        let a = self.arg(def, 0);
        if def.ty == Ty::I128 || self.values[a as usize].mode != Mode::Emit {
            return plain;
        }
        if bit + 1 == def.ty.bits() {
            // The sign, which a subtraction's comparison gives too.
            if let Some(sub) = unit.insts.get(a as usize)
                && sub.op == Op::Sub
                && sub.ty == def.ty
                && self.values[self.arg(sub, 0) as usize].mode == Mode::Emit
            {
                return Cond { kind: CondKind::Cmp, cc: cc::S, ty: def.ty, a: self.arg(sub, 0), b: self.arg(sub, 1) };
            }
            return Cond { kind: CondKind::Test, cc: cc::S, ty: def.ty, a, b: a };
        }
        Cond { kind: CondKind::Bit, cc: cc::B, ty: def.ty, a, b: bit }
    }

    /// The same condition with its operands in the order of a recent comparison, so that one instruction serves both.
    pub(super) fn like_earlier(&self, c: Cond) -> Cond {
        let Some(other) = swapped(c) else { return c };
        let recent = self.conds.iter().rev().take(6);
        if recent.clone().any(|o| o.same_operands(&other)) && !recent.clone().any(|o| o.same_operands(&c)) {
            other
        } else {
            c
        }
    }

    // ------------------------------------------------------------------ flags
    /// Makes flags that are written together conditions of one comparison, where simplification has turned some into
    /// comparisons of simpler operands: an exit can then leave all of them as one.
    pub(super) fn unify_flags(&mut self, unit: &Unit, conv: &Convention) {
        if conv.flags.is_empty() {
            return;
        }
        for together in unit.puts.chunk_by(|a, b| a.pos == b.pos) {
            let mut flags = [None; MAX_FLAGS];
            let mut any = false;
            for p in together {
                if let Some(flag) = conv.flag(p.slot.0) {
                    flags[flag] = Some(self.val(p.val));
                    any = true;
                }
            }
            if !any {
                continue;
            }
            if !self.helps_state {
                self.find_choices(unit, conv, &flags[..conv.flags.len()]);
            }
            let flags: SmallVec<[u32; MAX_FLAGS]> = flags.into_iter().flatten().collect();
            let Some(model) = self.unify_all(unit, &flags) else { continue };
            // So is what soon branches on them: a sum is likely to be kept, and what it is made of is not.
            let next = together[0].pos;
            for v in next..(next + BRANCH_WITHIN).min(unit.insts.len() as u32) {
                self.unify(unit, &model, v);
            }
        }
    }

    /// Makes values conditions of one comparison as far as they can be; gives the comparison, if there is a suitable one.
    pub(super) fn unify_all(&mut self, unit: &Unit, values: &[u32]) -> Option<Cond> {
        let with_order = |c: &Cond| c.kind == CondKind::Cmp && matches!(c.cc & !1, cc::O | cc::B | cc::BE);
        let of_sign = |c: &Cond| c.kind == CondKind::Cmp && matches!(c.cc & !1, cc::S | cc::L);
        let overflow = |c: &Cond| with_order(c) && c.cc & !1 == cc::O;
        let conds = || values.iter().filter_map(|v| self.cond(*v));
        let model = conds().find(overflow).or_else(|| conds().find(with_order)).or_else(|| conds().find(of_sign))?;
        for &v in values {
            self.unify(unit, &model, v);
        }
        Some(model)
    }

    /// Makes the value a condition of the comparison `model`, if that says the same.
    fn unify(&mut self, unit: &Unit, model: &Cond, v: u32) {
        if let Some(c) = self.cond(v).and_then(swapped).filter(|c| c.same_operands(model)) {
            return self.set_condition(v, c);
        }
        // A value may be older than the instruction, and used before what the model compares exists.
        let exists = model.a < v || model.a as usize >= unit.insts.len();
        if exists
            && let Some(c) = self.cond(v)
            && let Some(code) = self.as_condition_of(unit, model, &c)
        {
            self.set_condition(v, Cond { cc: code, ..*model });
        }
    }

    /// The condition code with which the comparison `model`, of a value and a constant, gives `c`.
    fn as_condition_of(&self, unit: &Unit, model: &Cond, c: &Cond) -> Option<u8> {
        if c.kind != CondKind::Cmp || c.ty != model.ty {
            return None;
        }
        let (k, other) = (self.constant(unit, model.b)?, self.constant(unit, c.b)?);
        let same = |a: u128, b: u128| (a ^ b) & c.ty.mask() == 0;
        // Either may be itself a sum that the other is made of.
        let ((x, plus), (y, other_plus)) = (self.sum(unit, model.a), self.sum(unit, c.a));
        if x != y {
            return None;
        }
        match c.cc & !1 {
            cc::E if same(other.wrapping_sub(other_plus), k.wrapping_sub(plus)) => Some(c.cc),
            // Not zero is at least one.
            cc::E if same(other, 0) && same(plus, other_plus) && same(k, 1) => Some(cc::B | c.cc & 1),
            cc::L | cc::S if same(other, 0) && same(other_plus, plus.wrapping_sub(k)) => Some(cc::S | c.cc & 1),
            _ => None,
        }
    }

    /// A value as a sum: a value that is none itself, and a constant.
    fn sum(&self, unit: &Unit, mut v: u32) -> (u32, u128) {
        let mut sum = 0u128;
        while let Some(def) = unit.insts.get(v as usize).filter(|def| def.op == Op::Add)
            && let Some(k) = self.constant(unit, self.arg(def, 1))
        {
            (v, sum) = (self.arg(def, 0), sum.wrapping_add(k));
        }
        (v, sum)
    }
}

/// The same condition with its operands the other way round, if there is one.
fn swapped(c: Cond) -> Option<Cond> {
    let code = match c.cc {
        cc::E | cc::NE => c.cc,
        cc::P | cc::NP | cc::S | cc::NS if c.kind == CondKind::Float => c.cc,
        _ if c.kind != CondKind::Cmp => return None,
        cc::B => cc::A,
        cc::A => cc::B,
        cc::BE => cc::AE,
        cc::AE => cc::BE,
        cc::L => cc::G,
        cc::G => cc::L,
        cc::LE => cc::GE,
        cc::GE => cc::LE,
        _ => return None,
    };
    Some(Cond { cc: code, a: c.b, b: c.a, ..c })
}
