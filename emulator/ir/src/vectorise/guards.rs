//! What is looked at before anything is done: that no turn but for the last is left, and that no load reads what an earlier turn
//! stores.

use super::plan::Plan;
use super::ranges::Signed;
use super::region::{Access, Leave, Region, Root};
use crate::inst::{Op, Val};
use crate::ty::Ty;

/// A condition under which the unit retreats.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Guard {
    /// The one-bit value is `if_is`.
    Is {
        /// The value.
        cond: Val,
        /// What it is.
        if_is: bool,
    },
    /// The value is more than its low bits, extended so.
    Exceeds {
        /// The value.
        value: Val,
        /// How many.
        bits: u32,
        /// How.
        signed: Signed,
    },
    /// The difference `a - b` lies in `least..=most`, on the circle of the type's width.
    Between {
        /// Type.
        ty: Ty,
        /// Minuend.
        a: Root,
        /// Subtrahend.
        b: Root,
        /// First difference.
        least: i64,
        /// Last difference.
        most: i64,
    },
}

/// The roots of a difference, and their type.
type Pair = (Ty, Root, Root);

/// Differences that are excluded: first and last.
#[derive(Default)]
struct Spans(Vec<(Pair, (i64, i64))>);

impl Spans {
    /// Excludes `least..=most` for `a - b`.
    fn add(&mut self, (ty, a, b): Pair, least: i64, most: i64) -> Option<()> {
        // The same pair either way round.
        if a < b {
            return self.add((ty, b, a), most.checked_neg()?, least.checked_neg()?);
        }
        match self.0.iter_mut().find(|(pair, _)| *pair == (ty, a, b)) {
            Some((_, span)) => *span = (span.0.min(least), span.1.max(most)),
            None => self.0.push(((ty, a, b), (least, most))),
        }
        Some(())
    }

    fn guards(self) -> impl Iterator<Item = Guard> {
        self.0.into_iter().map(|((ty, a, b), (least, most))| Guard::Between { ty, a, b, least, most })
    }
}

/// All guards; `None` if the turns are known to depend on each other.
pub(super) fn collect(region: &mut Region<'_>, plan: &Plan) -> Option<Vec<Guard>> {
    let mut guards = Vec::new();
    let mut spans = Spans::default();
    turns(region, &mut guards, &mut spans)?;
    overlaps(region, plan, &mut spans)?;
    guards.extend(plan.narrow.iter().map(|(value, bits, signed)| Guard::Exceeds {
        value: *value,
        bits: *bits,
        signed: *signed,
    }));
    let known = |root| region.is_zero(root) || region.value_with(root).is_some();
    let all = spans.0.iter().all(|((_, a, b), _)| known(*a) && known(*b));
    guards.extend(spans.guards());
    all.then_some(guards)
}

// ---- turns
/// An exit condition about two values: the turns go on as long as `low < high` or `low <= high`, of this type.
#[derive(Clone, Copy)]
struct Gap {
    ty: Ty,
    low: Val,
    high: Val,
    strict: bool,
}

/// How a loop is left: when two values are equal, or when one passes the other.
enum Way {
    Equal(Ty, Val, Val),
    Passed(Gap),
    Other,
}

fn way(region: &Region<'_>, leave: &Leave) -> Way {
    let inst = region.inst(leave.cond);
    let [a, b, _] = inst.args;
    let wide = matches!(inst.ty, Ty::I32 | Ty::I64);
    match (inst.op, leave.if_is) {
        (Op::Eq, true) | (Op::Ne, false) if wide => Way::Equal(inst.ty, a, b),
        // Left if a < b: goes on while b <= a.
        (Op::Lts | Op::Ltu, true) if wide => Way::Passed(Gap { ty: inst.ty, low: b, high: a, strict: false }),
        (Op::Les | Op::Leu, true) if wide => Way::Passed(Gap { ty: inst.ty, low: b, high: a, strict: true }),
        (Op::Lts | Op::Ltu, false) if wide => Way::Passed(Gap { ty: inst.ty, low: a, high: b, strict: true }),
        (Op::Les | Op::Leu, false) if wide => Way::Passed(Gap { ty: inst.ty, low: a, high: b, strict: false }),
        _ => Way::Other,
    }
}

/// The low half of a value that is the extension of one of 32 bits.
fn low_half(region: &Region<'_>, v: Val) -> Option<Val> {
    let inst = region.inst(v);
    let from = inst.args[0];
    (matches!(inst.op, Op::Sext | Op::Zext) && region.ty(from) == Some(Ty::I32)).then_some(from)
}

fn turns(region: &mut Region<'_>, guards: &mut Vec<Guard>, spans: &mut Spans) -> Option<()> {
    let mut passed: Vec<(Gap, Leave)> = Vec::new();
    for leave in region.leaves.clone() {
        match way(region, &leave) {
            Way::Equal(ty, a, b) => equal(region, spans, (ty, a, b))?,
            Way::Passed(gap) => passed.push((gap, leave)),
            Way::Other => guards.push(Guard::Is { cond: leave.cond, if_is: leave.if_is }),
        }
    }
    gaps(region, &passed, guards, spans)
}

/// Left when `a == b`: the difference of their roots must not be that of their constants.
fn equal(region: &mut Region<'_>, spans: &mut Spans, (ty, a, b): (Ty, Val, Val)) -> Option<()> {
    let halves = (low_half(region, a), low_half(region, b));
    if ty == Ty::I64 && halves != (None, None) {
        // If they are equal, then so are their low halves.
        let mut half = |v: Val, low: Option<Val>| match low {
            Some(low) => region.linear(low),
            None => region.linear(v).map(|it| region.narrowed(it)),
        };
        let (a, b) = (half(a, halves.0)?, half(b, halves.1)?);
        let at = i64::from(b.offset.wrapping_sub(a.offset) as i32);
        return spans.add((Ty::I32, a.root, b.root), at, at);
    }
    let (a, b) = (region.linear(a)?, region.linear(b)?);
    let at = b.offset.wrapping_sub(a.offset);
    spans.add((ty, a.root, b.root), at, at)
}

/// Left when `low` passes `high`: if the first turn is not left, and the gap between the two is wider there than it shrinks until
/// the last turn, no turn is.
fn gaps(region: &Region<'_>, passed: &[(Gap, Leave)], guards: &mut Vec<Guard>, spans: &mut Spans) -> Option<()> {
    let ends = |gap: &Gap| Some((region.linear(gap.low)?, region.linear(gap.high)?));
    let mut done = vec![false; passed.len()];
    for i in 0..passed.len() {
        if done[i] {
            continue;
        }
        let (first, leave) = passed[i];
        let (low, high) = ends(&first)?;
        guards.push(Guard::Is { cond: leave.cond, if_is: leave.if_is });
        let mut shrunk = 0;
        for (j, (gap, _)) in passed.iter().enumerate().skip(i + 1) {
            let (l, h) = ends(gap)?;
            let same = (gap.ty, gap.strict, l.root, h.root) == (first.ty, first.strict, low.root, high.root);
            let (up, down) = (l.offset.wrapping_sub(low.offset), high.offset.wrapping_sub(h.offset));
            let small = |k: i64| (0..1 << 20).contains(&k);
            if !done[j] && same && small(up) && small(down) && up + down >= shrunk {
                shrunk = up + down;
                done[j] = true;
            }
        }
        let most = shrunk - i64::from(!first.strict);
        if most >= 0 {
            let at = low.offset.wrapping_sub(high.offset);
            spans.add((first.ty, high.root, low.root), at, at.checked_add(most)?)?;
        }
    }
    Some(())
}

// ---- memory
/// Distances `x - y` of two addresses at which accesses of these sizes overlap.
fn overlap(x: &Access, y: &Access) -> (i64, i64) {
    let apart = y.at.offset.wrapping_sub(x.at.offset);
    (apart.saturating_sub(x.size - 1), apart.saturating_add(y.size - 1))
}

/// Excludes what would make the accesses depend on their order, where it changes.
fn overlaps(region: &Region<'_>, plan: &Plan, spans: &mut Spans) -> Option<()> {
    let stores = || region.accesses.iter().filter(|access| access.stored.is_some());
    for store in stores() {
        for other in &region.accesses {
            let swapped = match other.stored {
                // All loads come first. If something is stored before a later store may fault, no load may see it when the turn
                // begins anew.
                None => other.pos > store.pos || plan.stores_may_be_repeated(),
                Some(_) => other.pos > store.pos && plan.order(other.pos) < plan.order(store.pos),
            };
            if swapped {
                exclude(spans, other, store)?;
            }
        }
    }
    Some(())
}

/// Excludes that the two overlap.
fn exclude(spans: &mut Spans, x: &Access, y: &Access) -> Option<()> {
    let (least, most) = overlap(x, y);
    if x.at.root == y.at.root {
        return (least > 0 || most < 0).then_some(());
    }
    spans.add((Ty::I64, x.at.root, y.at.root), least, most)
}
