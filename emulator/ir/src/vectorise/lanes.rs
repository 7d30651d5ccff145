//! The new unit: its vectors. A vector of up to 64 bits is in the low bits of one value of 64; a longer one is in values of 128, its
//! parts, which are made one by one: those of the first turns are stored before those of the last are loaded.

use super::plan::{Node, Reduction, Shape, Vector};
use super::scalars::Emitter;
use crate::inst::{Attr, Effect, MemAttr, Op, Val};
use crate::ty::Ty;

/// Type of the values that a vector is in.
fn part_ty(vector: &Vector) -> Ty {
    if vector.w * vector.n <= 64 { Ty::I64 } else { Ty::I128 }
}

impl Emitter<'_, '_> {
    /// A part of a vector. `None` if it needs itself.
    pub(super) fn part(&mut self, node: Node, part: u32) -> Option<Val> {
        let key = (node, part);
        if let Some(made) = self.parts.get(&key) {
            return Some(*made);
        }
        if !self.busy_parts.insert(key) {
            return None;
        }
        let plan = self.plan;
        let made = self.make_part(node, &plan.vectors[node.0], part)?;
        self.busy_parts.remove(&key);
        self.parts.insert(key, made);
        Some(made)
    }

    fn make_part(&mut self, node: Node, vector: &Vector, part: u32) -> Option<Val> {
        let (w, ty) = (vector.w, part_ty(vector));
        let lanes = part * ty.bits() / w..;
        match &vector.shape {
            Shape::Same(_) if part > 0 => self.part(node, 0),
            Shape::Same(value) => self.splat(vector, *value),
            Shape::Constants(values) => {
                Some(self.constants(vector, lanes.map_while(|i| values.get(i as usize).copied())))
            }
            Shape::Line(first, step) => {
                let first = self.splat(vector, *first)?;
                let way = self.constants(vector, lanes.map(|i| step.wrapping_mul(i.into()) as u128));
                Some(self.b.pure(Op::Vadd, ty, Attr(0).with_lane(w), [first, way, Val::NONE]))
            }
            Shape::Load(loads) => self.load(vector, loads[0], 0, part),
            Shape::Groups(loads, before) => self.load(vector, loads[0], *before, part),
            Shape::Op(op, attr, args) => {
                let args: Vec<Val> = args.iter().map(|arg| self.part(*arg, part)).collect::<Option<_>>()?;
                Some(self.operate(*op, ty, *attr, args.into_iter()))
            }
            Shape::Widen(signed, from) => self.widen(*signed, *from, part),
            Shape::Narrow(from) => self.narrow(*from, part),
            Shape::Zip(even, odd) => self.zip(vector, *even, *odd, part),
            Shape::After(values, from) => self.slide(vector, values, *from, part),
            Shape::Gather(values) => {
                let zero = self.b.k(ty, 0);
                let per = ty.bits() / w;
                let own = values.chunks(per as usize).nth(part as usize)?;
                self.replace(vector, zero, own, 0)
            }
        }
    }

    fn operate(&mut self, op: Op, ty: Ty, attr: Attr, operands: impl Iterator<Item = Val>) -> Val {
        let mut args = [Val::NONE; 3];
        for (arg, operand) in args.iter_mut().zip(operands) {
            *arg = operand;
        }
        match op.desc().effect {
            Effect::Pure => self.b.pure(op, ty, if op.desc().lane { attr } else { Attr(0) }, args),
            _ => self.b.effect(op, ty, attr, args),
        }
    }

    /// The low bits of a value, as wide as a lane; of one bit, a mask.
    fn element(&mut self, w: u32, value: Val) -> Option<Val> {
        let full = self.region.ty(value)?.bits();
        let value = self.scalar(value)?;
        Some(if full == 1 { self.b.sext(1, w, value) } else { self.b.low(full, w, value) })
    }

    fn splat(&mut self, vector: &Vector, value: Val) -> Option<Val> {
        let element = self.element(vector.w, value)?;
        Some(self.b.splat(vector.w, part_ty(vector).bits(), element))
    }

    /// The first lanes of a part, from constants.
    fn constants(&mut self, vector: &Vector, values: impl Iterator<Item = u128>) -> Val {
        let (w, ty) = (vector.w, part_ty(vector));
        let mask = u128::MAX >> (128 - w);
        let lanes: Vec<u128> = values.take((ty.bits() / w) as usize).collect();
        let joined = lanes.iter().rev().fold(0, |all, lane| all << (w % 128) | lane & mask);
        self.b.k(ty, joined)
    }

    /// What is in memory from `before` bytes before the address of a load on.
    fn load(&mut self, vector: &Vector, first: Val, before: i64, part: u32) -> Option<Val> {
        let inst = self.region.inst(first);
        let addr = self.scalar(inst.args[0])?;
        let bits = vector.w * vector.n;
        let by = self.b.konst(64, (i64::from(16 * part) - before).into());
        let addr = self.b.add(64, addr, by);
        let ty = Ty::holding(bits.min(128));
        let loaded = self.b.effect(Op::Load, ty, Attr::mem(MemAttr::PLAIN), [addr, Val::NONE, Val::NONE]);
        Some(if bits < 64 { self.b.zext(bits, 64, loaded) } else { loaded })
    }

    fn widen(&mut self, signed: bool, from: Node, part: u32) -> Option<Val> {
        let Vector { w, n, .. } = self.plan.vectors[from.0];
        let op = if signed { Op::Vwidens } else { Op::Vwidenu };
        if w * n <= 64 {
            let narrow = self.part(from, 0)?;
            let wide = self.b.widen(op, w, narrow);
            return Some(if w * n < 64 { self.b.low(128, 64, wide) } else { wide });
        }
        let narrow = self.part(from, part / 2)?;
        let half = if part.is_multiple_of(2) { self.b.low(128, 64, narrow) } else { self.b.lane(64, 128, narrow, 1) };
        Some(self.b.widen(op, w, half))
    }

    fn narrow(&mut self, from: Node, part: u32) -> Option<Val> {
        let Vector { w, n, .. } = self.plan.vectors[from.0];
        let half = w / 2;
        if w * n <= 64 {
            let wide = self.part(from, 0)?;
            let wide = self.b.zext(64, 128, wide);
            return Some(self.b.narrow(Op::Vnarrow, half, wide));
        }
        let wide = self.part(from, 2 * part)?;
        let low = self.b.narrow(Op::Vnarrow, half, wide);
        if w * n == 128 {
            return Some(low);
        }
        let wide = self.part(from, 2 * part + 1)?;
        let high = self.b.narrow(Op::Vnarrow, half, wide);
        Some(self.b.concat(64, high, 64, low))
    }

    /// By turns a lane of the one and of the other.
    fn zip(&mut self, vector: &Vector, even: Node, odd: Node, part: u32) -> Option<Val> {
        let bits = part_ty(vector).bits();
        let per = bits / vector.w;
        // A part of each of the two makes two parts, if it is not half a part.
        let halves = if vector.parts() > 1 { 2 } else { 1 };
        let first = part % halves * per / 2;
        let [even, odd] = [even, odd].map(|side| {
            let value = self.part(side, part / halves)?;
            Some(if bits == 128 && halves == 1 { self.b.zext(64, 128, value) } else { value })
        });
        let picks: Vec<Option<u32>> = (0..per).map(|lane| Some(lane % 2 * per + first + lane / 2)).collect();
        Some(self.b.shuffle(vector.w, bits, even?, odd?, &picks))
    }

    /// `values`, and then the first lanes of another vector.
    fn slide(&mut self, vector: &Vector, values: &[Val], from: Node, part: u32) -> Option<Val> {
        let ty = part_ty(vector);
        let all = ty.bits() / vector.w;
        let (k, per) = (values.len() as u32, all.min(vector.n));
        // The values are the last lanes of what comes before the first part.
        let before = match values {
            _ if part > 0 => self.part(from, part - 1)?,
            [value] => self.splat(vector, *value)?,
            _ => {
                let zero = self.b.k(ty, 0);
                self.replace(vector, zero, values, per - k)?
            }
        };
        let after = self.part(from, part)?;
        let pick = |lane: u32| match lane {
            lane if lane < k => Some(per - k + lane),
            lane if lane < per => Some(all + lane - k),
            _ => None,
        };
        let picks: Vec<Option<u32>> = (0..all).map(pick).collect();
        Some(self.b.shuffle(vector.w, ty.bits(), before, after, &picks))
    }

    /// Replaces lanes from `first` on by values.
    fn replace(&mut self, vector: &Vector, mut part: Val, values: &[Val], first: u32) -> Option<Val> {
        let ty = part_ty(vector);
        for (lane, value) in (first..).zip(values) {
            let element = self.element(vector.w, *value)?;
            part = self.b.with_lane(vector.w, ty.bits(), part, lane, element);
        }
        Some(part)
    }

    /// A lane as a value of type `ty`: as wide as the lane, or one bit of a mask.
    pub(super) fn lane(&mut self, node: Node, lane: u32, ty: Ty) -> Option<Val> {
        let vector = &self.plan.vectors[node.0];
        let (w, bits) = (vector.w, part_ty(vector).bits());
        let part = self.part(node, lane * w / bits)?;
        let value = self.b.lane(w, bits, part, lane % (bits / w));
        Some(if ty == Ty::I1 { self.b.low(w, 1, value) } else { value })
    }

    /// The part that has a lane.
    pub(super) fn part_of(&mut self, node: Node, lane: u32) -> Option<Val> {
        let vector = &self.plan.vectors[node.0];
        self.part(node, lane * vector.w / part_ty(vector).bits())
    }

    /// The lanes and the root under one operation.
    pub(super) fn reduced(&mut self, reduction: &Reduction) -> Option<Val> {
        let vector = &self.plan.vectors[reduction.terms.0];
        let (w, ty) = (vector.w, part_ty(vector));
        let op = match reduction.op {
            Op::Add => Op::Vadd,
            op => op,
        };
        let attr = Attr(0).with_lane(w);
        let mut all = self.part(reduction.terms, 0)?;
        for i in 1..vector.parts() {
            let part = self.part(reduction.terms, i)?;
            all = self.operate(op, ty, attr, [all, part].into_iter());
        }
        let per = ty.bits() / w;
        let mut half = per.min(vector.n) / 2;
        while half > 0 {
            let picks: Vec<Option<u32>> = (0..per).map(|lane| (lane < half).then_some(lane + half)).collect();
            let upper = self.b.shuffle(w, ty.bits(), all, all, &picks);
            all = self.operate(op, ty, attr, [all, upper].into_iter());
            half /= 2;
        }
        let total = self.b.lane(w, ty.bits(), all, 0);
        let root = self.scalar(reduction.root)?;
        let total_ty = Ty::holding(w);
        Some(self.b.pure(reduction.op, total_ty, Attr(0), [root, total, Val::NONE]))
    }
}
