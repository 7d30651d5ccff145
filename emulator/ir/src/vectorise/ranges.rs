//! Which numbers a value may be: lanes need be no wider than they take.

use super::region::Region;
use crate::inst::{Inst, Op, Val};
use crate::ty::Ty;

/// The least and the greatest number, signed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Range {
    least: i128,
    most: i128,
}

/// How a number is extended from a lane to a wider one: whether signed.
pub(super) type Signed = bool;

impl Range {
    fn new(least: i128, most: i128) -> Range {
        Range { least, most }
    }

    /// All numbers of `bits` bits, with the sign or without.
    fn of_bits(bits: u32, signed: Signed) -> Range {
        match signed {
            true => Range::new(-(1 << (bits - 1)), (1 << (bits - 1)) - 1),
            false => Range::new(0, (1 << bits) - 1),
        }
    }

    /// Whether the low `bits` bits, extended so, are all of the number.
    pub(super) fn fits(self, bits: u32, signed: Signed) -> bool {
        let all = Range::of_bits(bits, signed);
        all.least <= self.least && self.most <= all.most
    }

    pub(super) fn union(self, other: Range) -> Range {
        Range::new(self.least.min(other.least), self.most.max(other.most))
    }

    /// The range, if a value of the type holds all of it with its sign.
    fn within(self, ty: Ty) -> Option<Range> {
        self.fits(ty.bits(), true).then_some(self)
    }

    /// The narrowest lane, under `full` bits, that holds all of it, and how it is extended.
    pub(super) fn lane(self, full: u32) -> Option<(u32, Signed)> {
        let lanes = [8, 16, 32].into_iter().filter(|w| *w < full);
        lanes.flat_map(|w| [(w, false), (w, true)]).find(|(w, signed)| self.fits(*w, *signed))
    }
}

impl Region<'_> {
    /// The range of a value of 1 to 64 bits; a single bit is 0 or 1.
    pub(super) fn range(&self, v: Val) -> Range {
        self.ranges[v.index()]
    }

    /// That of all of them.
    pub(super) fn range_of_all(&self, values: &[Val]) -> Range {
        values.iter().map(|v| self.range(*v)).reduce(Range::union).unwrap_or(Range::new(0, 0))
    }

    /// The range of the instruction at `pos`, if those of the ones before it are known.
    pub(super) fn range_at(&self, pos: usize) -> Range {
        let inst = self.inst(Val(pos as u32));
        let Some(ty) = inst.result_ty().filter(|ty| ty.bits() <= 64) else { return Range::of_bits(127, true) };
        let all = Range::of_bits(ty.bits(), ty != Ty::I1);
        let computed = if ty == Ty::I1 { None } else { self.computed(inst, ty, pos) };
        computed.and_then(|range| range.within(ty)).unwrap_or(all)
    }

    fn computed(&self, inst: Inst, ty: Ty, pos: usize) -> Option<Range> {
        let [a, b, c] = inst.args;
        let range = |v: Val| self.range(v);
        let by = || self.constant(b).and_then(|k| u32::try_from(k).ok()).filter(|k| *k < ty.bits());
        let not_negative = |r: &Range| r.least >= 0;
        Some(match inst.op {
            Op::Const => {
                let k = signed(ty, self.constant(Val(pos as u32))?);
                Range::new(k, k)
            }
            Op::Zext if not_negative(&range(a)) => range(a),
            Op::Zext => Range::of_bits(self.ty(a)?.bits(), false),
            Op::Sext if self.ty(a) == Some(Ty::I1) => Range::new(-1, 0),
            Op::Sext | Op::Trunc => range(a),
            Op::Bfx | Op::Bfxs => Range::of_bits(inst.attr.imm2(), inst.op == Op::Bfxs),
            Op::Add => Range::new(range(a).least + range(b).least, range(a).most + range(b).most),
            Op::Sub => Range::new(range(a).least - range(b).most, range(a).most - range(b).least),
            Op::Neg => Range::new(-range(a).most, -range(a).least),
            Op::Mul => product(range(a), range(b))?,
            Op::Shl => product(range(a), Range::new(1 << by()?, 1 << by()?))?,
            Op::Sar => Range::new(range(a).least >> by()?, range(a).most >> by()?),
            Op::Shr if not_negative(&range(a)) => Range::new(range(a).least >> by()?, range(a).most >> by()?),
            Op::Shr => Range::of_bits(ty.bits() - by().filter(|k| *k > 0)?, false),
            Op::And => {
                let masks = [range(a), range(b)].into_iter().filter(not_negative);
                Range::new(0, masks.map(|r| r.most).min()?)
            }
            Op::Or | Op::Xor => of_bits_of(range(a).union(range(b)))?,
            Op::Not => Range::new(!range(a).most, !range(a).least),
            Op::Select => range(b).union(range(c)),
            _ => return None,
        })
    }
}

/// A constant as a signed number of the type.
fn signed(ty: Ty, k: u128) -> i128 {
    let above = 128 - ty.bits();
    ((k << above) as i128) >> above
}

fn product(a: Range, b: Range) -> Option<Range> {
    let small = |r: &Range| r.fits(63, true);
    if !small(&a) || !small(&b) {
        return None;
    }
    let all = [a.least * b.least, a.least * b.most, a.most * b.least, a.most * b.most];
    Some(Range::new(*all.iter().min()?, *all.iter().max()?))
}

/// What has no bits but those of the numbers.
fn of_bits_of(r: Range) -> Option<Range> {
    let signed = r.least < 0;
    (1..=64).map(|bits| Range::of_bits(bits, signed)).find(|all| all.least <= r.least && r.most <= all.most)
}
