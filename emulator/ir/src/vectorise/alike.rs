//! Values that are the same operation on values that are vectors in their turn.

use super::plan::{Node, Planner, Shape};
use super::ranges::{Range, Signed};
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;

impl Planner<'_> {
    /// The vector of the low `w` bits of results of one operation.
    pub(super) fn alike(&mut self, values: &[Val], w: u32) -> Option<Node> {
        let inst = self.region.inst(values[0]);
        let full = inst.result_ty()?.bits();
        if let Some(node) = self.shifted_down(values, w, full) {
            return Some(node);
        }
        let same = |v: &Val| {
            let other = self.region.inst(*v);
            (other.op, other.ty, other.attr) == (inst.op, inst.ty, inst.attr)
        };
        if !values.iter().all(same) {
            return None;
        }
        let closed = matches!(
            inst.op,
            Op::Trunc
                | Op::Zext
                | Op::Sext
                | Op::Add
                | Op::Sub
                | Op::Mul
                | Op::And
                | Op::Or
                | Op::Xor
                | Op::Andn
                | Op::Not
                | Op::Neg
                | Op::Select
                | Op::Concat
        );
        // The low bits of other results depend on high bits of their operands, or may.
        if w < full && !closed && !self.keeps_low_bits(values, w) {
            return self.whole(values, w);
        }
        match inst.op {
            Op::Trunc => self.vector(&self.column(values, 0), w),
            Op::Zext | Op::Sext => self.extension(values, w, inst.op == Op::Sext),
            Op::Add => self.lanes(values, w, full, Op::Vadd),
            Op::Sub => self.lanes(values, w, full, Op::Vsub),
            Op::Mul => self.lanes(values, w, full, Op::Vmul),
            Op::And | Op::Or | Op::Xor | Op::Andn | Op::Not => self.lanes(values, w, full, inst.op),
            Op::Neg => self.negated(values, w, full),
            Op::Shl | Op::Shr | Op::Sar => self.shift(values, w, full, inst.op),
            Op::Bfx | Op::Bfxs => self.field(values, w, full, inst.attr, inst.op == Op::Bfxs),
            Op::Select => self.choice(values, w, full),
            Op::Concat => {
                let low = self.column(values, 0);
                (self.region.ty(low[0])?.bits() >= w).then(|| self.vector(&low, w))?
            }
            Op::Stof | Op::Utof | Op::Ftos | Op::Ftou
                if inst.attr.lane() == full && self.region.ty(inst.args[0]) == Some(inst.ty) =>
            {
                self.operation(values, full, inst.op, inst.attr)
            }
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::Fma | Op::Fmin | Op::Fmax | Op::Fround
                if inst.attr.lane() == full =>
            {
                self.operation(values, full, inst.op, inst.attr)
            }
            _ => None,
        }
    }

    /// Sums and the like of numbers that need no lanes of `w` bits: made in narrower ones, and extended.
    pub(super) fn in_narrower_lanes(&mut self, values: &[Val], w: u32) -> Option<Node> {
        let region = self.region;
        let first = region.inst(values[0]);
        let operands = match first.op {
            Op::Add | Op::Sub | Op::Mul | Op::And | Op::Or | Op::Xor => 0..2,
            Op::Neg | Op::Not => 0..1,
            Op::Select => 1..3,
            _ => return None,
        };
        if values.iter().any(|v| region.inst(*v).op != first.op) {
            return None;
        }
        let result = region.range_of_all(values);
        let all = operands.map(|k| region.range_of_all(&self.column(values, k))).fold(result, Range::union);
        let (lane, _) = all.lane(w)?;
        let node = self.vector(values, lane)?;
        Some(self.widened_to(node, w, !result.fits(lane, false)))
    }

    /// Whether the low `w` bits of shifts and fields are those of their operands, moved up or not.
    fn keeps_low_bits(&self, values: &[Val], w: u32) -> bool {
        let inst = self.region.inst(values[0]);
        let amounts = self.column(values, 1);
        match inst.op {
            Op::Shl => self.region.constant(amounts[0]).is_some() && amounts.iter().all(|v| *v == amounts[0]),
            Op::Bfx | Op::Bfxs => inst.attr.imm() == 0 && w <= inst.attr.imm2(),
            _ => false,
        }
    }

    /// Operand `k` of each.
    fn column(&self, values: &[Val], k: usize) -> Vec<Val> {
        values.iter().map(|v| self.region.inst(*v).args[k]).collect()
    }

    /// The operands, by operand. Those of operations that commute are sorted so that alike ones are together.
    fn columns(&self, values: &[Val]) -> Vec<Vec<Val>> {
        let op = self.region.inst(values[0]).op;
        let count = op.desc().operands.len();
        let mut columns: Vec<Vec<Val>> = (0..count).map(|k| self.column(values, k)).collect();
        if op.desc().comm && count == 2 {
            for i in 1..values.len() {
                let [before_a, before_b] = [columns[0][i - 1], columns[1][i - 1]];
                let [a, b] = [columns[0][i], columns[1][i]];
                let straight = self.likeness(before_a, a) + self.likeness(before_b, b);
                let crossed = self.likeness(before_a, b) + self.likeness(before_b, a);
                if crossed > straight {
                    (columns[0][i], columns[1][i]) = (b, a);
                }
            }
        }
        columns
    }

    /// How much two values are alike.
    fn likeness(&self, a: Val, b: Val) -> u32 {
        let (x, y) = (self.region.inst(a), self.region.inst(b));
        if a == b {
            return 3;
        }
        if (x.op, x.ty) != (y.op, y.ty) {
            return 0;
        }
        let same_root = |p: Val, q: Val| match (self.region.linear(p), self.region.linear(q)) {
            (Some(p), Some(q)) => p.root == q.root,
            _ => false,
        };
        match x.op {
            Op::Load => 1 + u32::from(same_root(x.args[0], y.args[0])),
            Op::Zext | Op::Sext | Op::Trunc => 1 + self.likeness(x.args[0], y.args[0]),
            _ => 1,
        }
    }

    /// The low bits of the operands. All are looked at, even if one is not to be had.
    fn operands(&mut self, values: &[Val], w: u32) -> Option<Vec<Node>> {
        let nodes: Vec<Option<Node>> = self.columns(values).iter().map(|column| self.vector(column, w)).collect();
        nodes.into_iter().collect()
    }

    /// An operation at `w` bits whose low bits depend on no higher ones of its operands.
    fn lanes(&mut self, values: &[Val], w: u32, full: u32, op: Op) -> Option<Node> {
        let args = self.operands(values, w)?;
        let shape = Shape::Op(op, Attr(0).with_lane(w), args);
        Some(if w == full { self.add_lanes(w, values, shape) } else { self.add(w, values, shape) })
    }

    /// A floating-point operation.
    fn operation(&mut self, values: &[Val], w: u32, op: Op, attr: Attr) -> Option<Node> {
        let args = self.operands(values, w)?;
        Some(self.add_lanes(w, values, Shape::Op(op, attr, args)))
    }

    fn negated(&mut self, values: &[Val], w: u32, full: u32) -> Option<Node> {
        let value = self.vector(&self.column(values, 0), w)?;
        let zero = self.constants(values, w, 0);
        let shape = Shape::Op(Op::Vsub, Attr(0).with_lane(w), vec![zero, value]);
        Some(if w == full { self.add_lanes(w, values, shape) } else { self.add(w, values, shape) })
    }

    /// The same constant in as many lanes as there are values.
    fn constants(&mut self, values: &[Val], w: u32, k: u128) -> Node {
        self.add(w, values, Shape::Constants(vec![k; values.len()]))
    }

    fn extension(&mut self, values: &[Val], w: u32, signed: bool) -> Option<Node> {
        let from = self.column(values, 0);
        let narrow = self.region.ty(from[0])?.bits();
        if narrow == 1 {
            let mask = self.mask(&from, w)?;
            if signed {
                return Some(mask);
            }
            let attr = Attr::imms(w - 1, 0).with_lane(w);
            return Some(self.add(w, values, Shape::Op(Op::Vshri, attr, vec![mask])));
        }
        if w <= narrow {
            return self.vector(&from, w);
        }
        let node = self.vector(&from, narrow)?;
        match self.strided_loads(&from) {
            Some(wide) if !signed => Some(self.in_lanes(wide, w, false)),
            _ => Some(self.widened_to(node, w, signed)),
        }
    }

    /// A shift: by the same constant, or by amounts of which each lane has its own.
    fn shift(&mut self, values: &[Val], w: u32, full: u32, op: Op) -> Option<Node> {
        let amounts = self.column(values, 1);
        let same = amounts.iter().all(|v| *v == amounts[0]);
        let Some(amount) = self.region.constant(amounts[0]).filter(|_| same) else {
            let op = match op {
                Op::Shl => Op::Vshl,
                Op::Shr => Op::Vshr,
                _ => Op::Vsar,
            };
            return self.lanes(values, full, full, op);
        };
        let value = self.column(values, 0);
        match op {
            Op::Shl if amount >= w.into() => Some(self.constants(values, w, 0)),
            Op::Shl => {
                let node = self.vector(&value, w)?;
                Some(self.shifted(values, (w, full), Op::Vshli, amount as u32, node))
            }
            Op::Shr if amount >= full.into() => Some(self.constants(values, full, 0)),
            _ => {
                let node = self.vector(&value, full)?;
                let op = if op == Op::Shr { Op::Vshri } else { Op::Vsari };
                Some(self.shifted(values, (full, full), op, amount.min(full.into()) as u32, node))
            }
        }
    }

    /// Low bits of right shifts by the same constant that no sign has reached: of either kind, and in lanes no wider than it takes.
    fn shifted_down(&mut self, values: &[Val], w: u32, full: u32) -> Option<Node> {
        let first = self.region.inst(values[0]);
        let right = |v: &Val| {
            let inst = self.region.inst(*v);
            matches!(inst.op, Op::Shr | Op::Sar) && (inst.ty, inst.args[1]) == (first.ty, first.args[1])
        };
        if !values.iter().all(right) {
            return None;
        }
        let amount = u32::try_from(self.region.constant(first.args[1])?).ok()?;
        let shifted = self.column(values, 0);
        let wide = amount.checked_add(w)?.next_power_of_two();
        if let Some((lane, signed)) = self.region.range_of_all(&shifted).lane(full.min(wide))
            && let Some(node) = self.shifted_in(lane, signed, values, amount)
        {
            return Some(self.in_lanes(node, w, signed));
        }
        if wide > full || wide == full && values.iter().all(|v| self.region.inst(*v).op == first.op) {
            return None;
        }
        let node = self.vector(&shifted, wide)?;
        let shape = Shape::Op(Op::Vshri, Attr::imms(amount, 0).with_lane(wide), vec![node]);
        let node = self.add(wide, values, shape);
        Some(self.narrowed_to(node, w))
    }

    /// Right shifts of numbers whose low `lane` bits, extended so, are all of them.
    fn shifted_in(&mut self, lane: u32, signed: Signed, values: &[Val], amount: u32) -> Option<Node> {
        if signed && values.iter().any(|v| self.region.inst(*v).op != Op::Sar) {
            return None;
        }
        if !signed && amount >= lane {
            return Some(self.constants(values, lane, 0));
        }
        let node = self.vector(&self.column(values, 0), lane)?;
        let op = if signed { Op::Vsari } else { Op::Vshri };
        let attr = Attr::imms(amount.min(lane - 1), 0).with_lane(lane);
        Some(self.add(lane, values, Shape::Op(op, attr, vec![node])))
    }

    /// The vector in lanes of `w` bits.
    fn in_lanes(&mut self, node: Node, w: u32, signed: Signed) -> Node {
        let node = self.widened_to(node, w, signed);
        self.narrowed_to(node, w)
    }

    fn shifted(&mut self, values: &[Val], (w, full): (u32, u32), op: Op, amount: u32, node: Node) -> Node {
        let shape = Shape::Op(op, Attr::imms(amount, 0).with_lane(w), vec![node]);
        if w == full { self.add_lanes(w, values, shape) } else { self.add(w, values, shape) }
    }

    /// A field of a value, extended.
    fn field(&mut self, values: &[Val], w: u32, full: u32, attr: Attr, signed: bool) -> Option<Node> {
        let (lowest, width) = (attr.imm(), attr.imm2());
        let value = self.column(values, 0);
        if lowest == 0 && w <= width {
            return self.vector(&value, w);
        }
        if lowest == 0 && matches!(width, 8 | 16 | 32) {
            let node = self.vector(&value, width)?;
            return Some(self.widened_to(node, w, signed));
        }
        let mut node = self.vector(&value, full)?;
        let up = full - lowest - width;
        if up > 0 {
            let shape = Shape::Op(Op::Vshli, Attr::imms(up, 0).with_lane(full), vec![node]);
            node = self.add(full, values, shape);
        }
        let op = if signed { Op::Vsari } else { Op::Vshri };
        Some(self.shifted(values, (full, full), op, full - width, node))
    }

    fn choice(&mut self, values: &[Val], w: u32, full: u32) -> Option<Node> {
        let mask = self.mask(&self.column(values, 0), w)?;
        let (a, b) = (self.vector(&self.column(values, 1), w)?, self.vector(&self.column(values, 2), w)?);
        let shape = Shape::Op(Op::Vsel, Attr(0), vec![mask, a, b]);
        Some(if w == full { self.add_lanes(w, values, shape) } else { self.add(w, values, shape) })
    }

    // ---- masks
    /// Lanes of `w` bits, all ones where the one-bit value is 1.
    fn mask(&mut self, values: &[Val], w: u32) -> Option<Node> {
        let region = self.region;
        let inst = region.inst(values[0]);
        if values.iter().any(|v| region.ty(*v) != Some(Ty::I1)) {
            return None;
        }
        if values.iter().all(|v| *v == values[0]) {
            return Some(self.add(w, values, Shape::Same(values[0])));
        }
        let same = |v: &Val| {
            let other = region.inst(*v);
            (other.op, other.ty, other.attr) == (inst.op, inst.ty, inst.attr)
        };
        if !values.iter().all(same) {
            return None;
        }
        match inst.op {
            Op::And | Op::Or | Op::Xor | Op::Not => {
                let mut args = Vec::new();
                for column in self.columns(values) {
                    args.push(self.mask(&column, w)?);
                }
                Some(self.add(w, values, Shape::Op(inst.op, Attr(0), args)))
            }
            Op::Eq | Op::Ne | Op::Ltu | Op::Leu | Op::Lts | Op::Les => {
                let mask =
                    self.once(values, inst.ty.bits(), |planner| planner.comparison(values, inst.op, inst.ty.bits()))?;
                Some(self.resized(mask, w))
            }
            Op::Fcmp => {
                let lane = inst.attr.lane();
                let mask = self.once(values, lane, |planner| planner.operation(values, lane, Op::Vfcmp, inst.attr))?;
                Some(self.resized(mask, w))
            }
            _ => None,
        }
    }

    /// A mask that may be there already.
    fn once(&mut self, values: &[Val], w: u32, make: impl FnOnce(&mut Self) -> Option<Node>) -> Option<Node> {
        let key = (values.to_vec(), w);
        if let Some(node) = self.masks.get(&key) {
            return Some(*node);
        }
        let node = make(self)?;
        self.masks.insert(key, node);
        Some(node)
    }

    /// Masks as wide as what is compared.
    fn comparison(&mut self, values: &[Val], op: Op, mut w: u32) -> Option<Node> {
        if !(8..=64).contains(&w) {
            return None;
        }
        let columns = self.columns(values);
        let mut op = op;
        if let Some((lane, signed)) = self.lane_of_compared(&columns, w) {
            self.assume_narrow(&columns, lane, signed);
            (w, op) = (lane, if signed { op } else { unsigned(op) });
        }
        let (a, b) = (self.vector(&columns[0], w)?, self.vector(&columns[1], w)?);
        let (op, args, inverse) = match op {
            Op::Eq => (Op::Veq, vec![a, b], false),
            Op::Ne => (Op::Veq, vec![a, b], true),
            Op::Ltu => (Op::Vgtu, vec![b, a], false),
            Op::Leu => (Op::Vgtu, vec![a, b], true),
            Op::Lts => (Op::Vgts, vec![b, a], false),
            _ => (Op::Vgts, vec![a, b], true),
        };
        let shape = Shape::Op(op, Attr(0).with_lane(w), args);
        if !inverse {
            return Some(self.add_lanes(w, values, shape));
        }
        let node = self.add(w, values, shape);
        Some(self.add_lanes(w, values, Shape::Op(Op::Not, Attr(0), vec![node])))
    }

    /// The lane, under `w` bits, in which values can be compared, and how they are extended from it: the order of all is that
    /// of their low bits then. What is the same for all lanes is assumed not to need more than the others.
    fn lane_of_compared(&self, columns: &[Vec<Val>], w: u32) -> Option<(u32, Signed)> {
        let varying = columns.iter().filter(|column| !self.may_be_assumed(column));
        varying.map(|column| self.region.range_of_all(column)).reduce(Range::union)?.lane(w)
    }

    /// Whether a value is the same for all lanes and can be looked at on entry.
    fn may_be_assumed(&self, column: &[Val]) -> bool {
        let first = column[0];
        self.region.is_pure(first) && self.region.constant(first).is_none() && column.iter().all(|v| *v == first)
    }

    fn assume_narrow(&mut self, columns: &[Vec<Val>], w: u32, signed: Signed) {
        for column in columns {
            let assumed = (column[0], w, signed);
            if !self.region.range_of_all(column).fits(w, signed) && !self.plan.narrow.contains(&assumed) {
                self.plan.narrow.push(assumed);
            }
        }
    }

    fn resized(&mut self, mask: Node, w: u32) -> Node {
        self.in_lanes(mask, w, true)
    }
}

/// The order of numbers without a sign.
fn unsigned(op: Op) -> Op {
    match op {
        Op::Lts => Op::Ltu,
        Op::Les => Op::Leu,
        op => op,
    }
}
