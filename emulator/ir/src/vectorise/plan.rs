//! Which values of the turns are lanes of one vector: from runs of stores to adjacent addresses, and from sums over the turns,
//! upwards to loads from adjacent addresses and to what is the same for all.

use std::collections::{HashMap, HashSet};

use super::ranges::Signed;
use super::region::{Access, Linear, Region};
use super::strided::Strided;
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;

/// A vector value, by its index in the plan.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) struct Node(pub(super) usize);

/// How a vector is made.
#[derive(Clone, Debug)]
pub(super) enum Shape {
    /// All lanes are the low bits of one value; of a one-bit value, masks.
    Same(Val),
    /// Constants.
    Constants(Vec<u128>),
    /// The low bits of a value, and then each lane the one before and a constant.
    Line(Val, i64),
    /// Loads from adjacent addresses.
    Load(Vec<Val>),
    /// Of groups of numbers, in each of which a load has one, so many bytes from the group's start: see `strided`.
    Groups(Vec<Val>, i64),
    /// An operation lane by lane.
    Op(Op, Attr, Vec<Node>),
    /// The low or, sign-extended or not, all bits of lanes half as wide.
    Widen(bool, Node),
    /// The low halves of lanes twice as wide.
    Narrow(Node),
    /// These values, and then the first lanes of another vector.
    After(Vec<Val>, Node),
    /// By turns a lane of the one and of the other.
    Zip(Node, Node),
    /// These values.
    Gather(Vec<Val>),
}

/// A vector.
#[derive(Clone, Debug)]
pub(super) struct Vector {
    /// Width of a lane, in bits.
    pub(super) w: u32,
    /// Number of lanes.
    pub(super) n: u32,
    pub(super) shape: Shape,
}

impl Vector {
    /// Number of 128-bit vectors, or 1 of 64 bits.
    pub(super) fn parts(&self) -> u32 {
        (self.w * self.n / 128).max(1)
    }
}

/// Stores to adjacent addresses.
#[derive(Clone, Debug)]
pub(super) struct StoreRun {
    /// Their positions, by ascending address.
    pub(super) stores: Vec<usize>,
    pub(super) stored: Node,
}

/// A sum over all turns, or another operation that may be done in any order: `root op lanes of terms`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reduction {
    pub(super) op: Op,
    pub(super) root: Val,
    pub(super) terms: Node,
}

/// See the module.
#[derive(Default)]
pub(super) struct Plan {
    pub(super) vectors: Vec<Vector>,
    /// Values that are lanes of vectors, whole.
    pub(super) lanes: HashMap<Val, (Node, u32)>,
    /// In the order in which they are made.
    pub(super) stores: Vec<StoreRun>,
    /// By the value they come to.
    pub(super) reductions: HashMap<Val, Reduction>,
    /// There is one store a turn: between two vectors that are stored, a turn begins.
    pub(super) turn_by_turn: bool,
    /// Something raises floating-point flags.
    pub(super) raises: bool,
    /// Values that the state at entry decides and of which it is assumed that so many low bits, extended so, are all.
    pub(super) narrow: Vec<(Val, u32, Signed)>,
}

/// Bits that a vector has at most, in several registers.
pub(super) const MOST_BITS: u32 = 512;

/// Lanes that a vector has at most.
const MOST_LANES: usize = 16;

/// Work on a plan.
pub(super) struct Planner<'r> {
    pub(super) region: &'r Region<'r>,
    pub(super) plan: Plan,
    made: HashMap<(Vec<Val>, u32), Option<Node>>,
    /// Masks that are there, and vectors in other widths.
    pub(super) masks: HashMap<(Vec<Val>, u32), Node>,
    resized: HashMap<(Node, u32, bool), Node>,
    pub(super) strided: Strided,
    busy: HashSet<(Vec<Val>, u32)>,
    /// Lanes that were asked for, by the first.
    known: HashMap<Val, Vec<Vec<Val>>>,
}

impl Plan {
    /// The plan for the turns; `None` if there is nothing to be gained.
    pub(super) fn of(region: &Region<'_>) -> Option<Plan> {
        let mut planner = Planner {
            region,
            plan: Plan::default(),
            made: HashMap::new(),
            masks: HashMap::new(),
            resized: HashMap::new(),
            strided: Strided::default(),
            busy: HashSet::new(),
            known: HashMap::new(),
        };
        // The second time it is known which lanes will be there to slide, whether or not they were to be had the first time.
        let _ = planner.grow();
        planner.forget();
        planner.grow()?;
        let mut plan = planner.plan;
        plan.raises = (0..region.end).any(|pos| region.inst(Val(pos as u32)).op.is_float());
        // Flags of turns that come after the one of a store that fails must not be raised yet.
        let widest = plan.stores.first().map_or(0, |run| plan.vectors[run.stored.0].w);
        plan.turn_by_turn &= !plan.raises || plan.vectors.iter().all(|vector| vector.w >= widest);
        (!plan.stores.is_empty() || !plan.reductions.is_empty()).then_some(plan)
    }

    /// Where the store at `pos` comes among the stores.
    pub(super) fn order(&self, pos: usize) -> usize {
        self.stores.iter().position(|run| run.stores.contains(&pos)).unwrap_or(usize::MAX)
    }

    /// Whether a fault may make the unit begin a turn anew some of whose stores have been made.
    pub(super) fn stores_may_be_repeated(&self) -> bool {
        self.stored_parts() > 1 && !self.turn_by_turn
    }

    /// Whether turns begin between the stores.
    pub(super) fn begins_turns(&self) -> bool {
        self.stored_parts() > 1 && self.turn_by_turn
    }

    fn stored_parts(&self) -> u32 {
        self.stores.iter().map(|run| self.vectors[run.stored.0].parts()).sum()
    }

    /// Whether the vectors cost less than the values that they replace.
    pub(super) fn pays(&self, region: &Region<'_>, guards: usize) -> bool {
        let lanes = self.lanes.len() as u32;
        let stores: u32 = self.stores.iter().map(|run| run.stores.len() as u32).sum();
        // Pointers that move on, and the branch.
        let looping = (region.starts.len() * 4) as u32;
        let vectors: u32 = self.used().iter().map(|node| self.cost(&self.vectors[node.0])).sum();
        let reduced = self.reductions.len() as u32 * 6;
        let cost = vectors + self.stored_parts() + reduced + 3 * guards as u32 + 4;
        cost + cost / 8 <= lanes + stores + looping
    }

    /// The vectors that are needed for what is stored and summed up.
    fn used(&self) -> HashSet<Node> {
        let mut used = HashSet::new();
        let mut needed: Vec<Node> = self.stores.iter().map(|run| run.stored).collect();
        needed.extend(self.reductions.values().map(|reduction| reduction.terms));
        while let Some(node) = needed.pop() {
            if used.insert(node) {
                match &self.vectors[node.0].shape {
                    Shape::Op(_, _, args) => needed.extend(args),
                    Shape::Zip(even, odd) => needed.extend([even, odd]),
                    Shape::Widen(_, from) | Shape::Narrow(from) | Shape::After(_, from) => needed.push(*from),
                    Shape::Same(_)
                    | Shape::Constants(_)
                    | Shape::Line(..)
                    | Shape::Load(_)
                    | Shape::Groups(..)
                    | Shape::Gather(_) => {}
                }
            }
        }
        used
    }

    /// About how many host instructions a vector takes.
    fn cost(&self, vector: &Vector) -> u32 {
        let parts = vector.parts();
        match &vector.shape {
            Shape::Same(_) => 1,
            Shape::Constants(_) => 0,
            Shape::Line(..) => 1 + parts,
            Shape::Load(_) | Shape::Groups(..) | Shape::Op(..) => parts,
            Shape::Widen(..) => parts * 3 / 2,
            Shape::Narrow(from) => self.vectors[from.0].parts() * 3 / 2,
            Shape::Zip(..) => parts + parts / 2,
            Shape::After(values, _) => parts + values.len() as u32,
            Shape::Gather(values) => values.len() as u32 * 2,
        }
    }
}

impl Planner<'_> {
    fn forget(&mut self) {
        self.plan = Plan::default();
        self.made.clear();
        self.masks.clear();
        self.resized.clear();
        self.strided = Strided::default();
    }

    /// Everything, from the seeds.
    fn grow(&mut self) -> Option<()> {
        self.grow_stores()?;
        self.grow_reductions();
        Some(())
    }

    // ---- seeds
    /// All stores must be in runs.
    fn grow_stores(&mut self) -> Option<()> {
        let region = self.region;
        let mut stores: Vec<&Access> = region.accesses.iter().filter(|access| access.stored.is_some()).collect();
        self.plan.turn_by_turn = stores.len() == region.starts.len()
            && stores
                .windows(2)
                .all(|pair| is_next(pair[0], pair[1]) && region.turn_of(pair[0].pos) < region.turn_of(pair[1].pos));
        stores.sort_by_key(|access| (access.size, access.at.root, access.at.offset));
        let mut rest = stores.as_slice();
        while let Some(first) = rest.first() {
            let adjacent = 1 + rest.windows(2).take_while(|pair| is_next(pair[0], pair[1])).count();
            let most = (MOST_BITS as usize / (8 * first.size as usize)).min(MOST_LANES);
            let n = 1 << adjacent.min(most).ilog2();
            let (run, others) = rest.split_at(n);
            rest = others;
            let values: Vec<Val> = run.iter().filter_map(|access| access.stored).collect();
            if n < 2 {
                return None;
            }
            let stored = self.vector(&values, 8 * first.size as u32)?;
            self.plan.stores.push(StoreRun { stores: run.iter().map(|access| access.pos).collect(), stored });
        }
        self.plan.stores.sort_by_key(|run| run.stores[0]);
        Some(())
    }

    /// What is added up, turn by turn.
    fn grow_reductions(&mut self) {
        for (_, value) in self.region.written_before(self.region.end) {
            let inst = self.region.inst(value);
            let value = if matches!(inst.op, Op::Sext | Op::Zext) { inst.args[0] } else { value };
            if let Some((op, root, terms)) = self.chain(value)
                && let Some(w) = self.region.ty(terms[0]).map(Ty::bits)
                && let Some(terms) = self.vector(&terms, w)
            {
                self.plan.reductions.insert(value, Reduction { op, root, terms });
            }
        }
    }

    /// `last` as a value of the state at entry and one term a turn, under one operation.
    fn chain(&self, last: Val) -> Option<(Op, Val, Vec<Val>)> {
        let region = self.region;
        let op = region.inst(last).op;
        if !matches!(op, Op::Add | Op::Xor | Op::Or | Op::And) || region.is_pure(last) {
            return None;
        }
        let mut terms = Vec::new();
        let mut at = last;
        for turn in (0..region.starts.len()).rev() {
            let inst = region.inst(at);
            if inst.op != op || region.turn_of(at.index()) != turn {
                return None;
            }
            let [a, b, _] = inst.args;
            let continues = |v: Val| match turn {
                0 => region.is_pure(v),
                _ => region.inst(v).op == op && region.turn_of(v.index()) == turn - 1,
            };
            let (next, term) = match (continues(a), continues(b)) {
                (true, false) => (a, b),
                (false, true) => (b, a),
                _ => return None,
            };
            terms.push(term);
            at = next;
        }
        terms.reverse();
        (terms.len().is_power_of_two() && terms.len() <= MOST_LANES).then_some((op, at, terms))
    }

    // ---- vectors
    /// The vector of the low `w` bits of `values`, of one type of at least so many.
    pub(super) fn vector(&mut self, values: &[Val], w: u32) -> Option<Node> {
        let key = (values.to_vec(), w);
        if let Some(made) = self.made.get(&key) {
            return *made;
        }
        if values.len() as u32 * w > MOST_BITS || !self.busy.insert(key.clone()) {
            return None;
        }
        let node = self.make(values, w);
        self.busy.remove(&key);
        self.made.insert(key, node);
        let known = self.known.entry(values[0]).or_default();
        if !known.iter().any(|lanes| lanes == values) {
            known.push(values.to_vec());
        }
        node
    }

    fn make(&mut self, values: &[Val], w: u32) -> Option<Node> {
        let region = self.region;
        let ty = region.ty(values[0])?;
        let full = ty.bits();
        if !(8..=64).contains(&full) || w > full || values.iter().any(|v| region.ty(*v) != Some(ty)) {
            return None;
        }
        if values.iter().all(|v| *v == values[0]) {
            return Some(self.add(w, values, Shape::Same(values[0])));
        }
        if let Some(constants) = values.iter().map(|v| region.constant(*v)).collect::<Option<Vec<_>>>() {
            return Some(self.add(w, values, Shape::Constants(constants)));
        }
        if self.are_adjacent_loads(values) {
            return match w == full {
                true => Some(self.add_lanes(full, values, Shape::Load(values.to_vec()))),
                false => self.whole(values, w),
            };
        }
        if let Some(node) = self.strided_loads(values) {
            return Some(self.narrowed_to(node, w));
        }
        if let Some(step) = self.step(values) {
            return Some(self.add(w, values, Shape::Line(values[0], step)));
        }
        let narrow = self.in_narrower_lanes(values, w);
        narrow
            .or_else(|| self.after(values, w))
            .or_else(|| self.alike(values, w))
            .or_else(|| self.zip(values, w))
            .or_else(|| self.gather(values, w))
    }

    /// The low bits of a vector that is made whole.
    pub(super) fn whole(&mut self, values: &[Val], w: u32) -> Option<Node> {
        let full = self.region.ty(values[0])?.bits();
        let node = self.vector(values, full)?;
        Some(self.narrowed_to(node, w))
    }

    /// Adds a vector some of whose bits are values.
    pub(super) fn add(&mut self, w: u32, values: &[Val], shape: Shape) -> Node {
        self.plan.vectors.push(Vector { w, n: values.len() as u32, shape });
        Node(self.plan.vectors.len() - 1)
    }

    /// Adds a vector whose lanes are the values.
    pub(super) fn add_lanes(&mut self, w: u32, values: &[Val], shape: Shape) -> Node {
        let node = self.add(w, values, shape);
        self.are_lanes(values, node);
        node
    }

    /// The values are the lanes of a vector.
    pub(super) fn are_lanes(&mut self, values: &[Val], node: Node) {
        for (lane, value) in values.iter().enumerate() {
            self.plan.lanes.entry(*value).or_insert((node, lane as u32));
        }
    }

    /// The low `w` bits of each lane.
    pub(super) fn narrowed_to(&mut self, mut node: Node, w: u32) -> Node {
        while self.plan.vectors[node.0].w > w {
            let half = self.plan.vectors[node.0].w / 2;
            node = match self.plan.vectors[node.0].shape {
                Shape::Widen(_, from) => from,
                _ => self.in_width(node, half, false, Shape::Narrow(node)),
            };
        }
        node
    }

    /// Each lane extended to `w` bits.
    pub(super) fn widened_to(&mut self, mut node: Node, w: u32, signed: bool) -> Node {
        while self.plan.vectors[node.0].w < w {
            let twice = self.plan.vectors[node.0].w * 2;
            node = self.in_width(node, twice, signed, Shape::Widen(signed, node));
        }
        node
    }

    /// The vector in another width, made by `shape` if there is none.
    fn in_width(&mut self, node: Node, w: u32, signed: bool, shape: Shape) -> Node {
        let (n, next) = (self.plan.vectors[node.0].n, Node(self.plan.vectors.len()));
        let found = *self.resized.entry((node, w, signed)).or_insert(next);
        if found == next {
            self.plan.vectors.push(Vector { w, n, shape });
        }
        found
    }

    /// The accesses that have loaded the values.
    pub(super) fn loads(&self, values: &[Val]) -> Option<Vec<Access>> {
        let access = |v: &Val| {
            let inst = self.region.inst(*v);
            let at = (inst.op == Op::Load).then(|| self.region.linear(inst.args[0]))??;
            Some(Access { pos: v.index(), at, size: inst.ty.bytes().into(), stored: None })
        };
        values.iter().map(access).collect()
    }

    fn are_adjacent_loads(&self, values: &[Val]) -> bool {
        self.loads(values).is_some_and(|loads| loads.windows(2).all(|pair| is_next(&pair[0], &pair[1])))
    }

    /// By how much each value exceeds the one before, if it is by the same constant.
    fn step(&self, values: &[Val]) -> Option<i64> {
        let sums: Vec<Linear> = values.iter().map(|v| self.region.linear(*v)).collect::<Option<_>>()?;
        let step = sums[1].offset.wrapping_sub(sums[0].offset);
        let even =
            |pair: &[Linear]| pair[0].root == pair[1].root && pair[1].offset.wrapping_sub(pair[0].offset) == step;
        sums.windows(2).all(even).then_some(step)
    }

    /// The vector as one that is there anyway, behind a few other values.
    fn after(&mut self, values: &[Val], w: u32) -> Option<Node> {
        let most = (values.len() / 2).min((128 / w) as usize);
        for k in 1..=most {
            let (first, others) = values.split_at(k);
            let known = self.known.get(&others[0]).into_iter().flatten();
            let Some(lanes) = known.filter(|lanes| lanes.len() == values.len()).find(|lanes| lanes.starts_with(others))
            else {
                continue;
            };
            let lanes = lanes.clone();
            if let Some(node) = self.vector(&lanes, w) {
                return Some(self.add(w, values, Shape::After(first.to_vec(), node)));
            }
        }
        None
    }

    /// The vector as two of every second value.
    fn zip(&mut self, values: &[Val], w: u32) -> Option<Node> {
        if values.len() < 4 {
            return None;
        }
        let [even, odd] = [0, 1].map(|first| values.iter().copied().skip(first).step_by(2).collect::<Vec<Val>>());
        let (even, odd) = (self.vector(&even, w)?, self.vector(&odd, w)?);
        Some(self.add(w, values, Shape::Zip(even, odd)))
    }

    fn gather(&mut self, values: &[Val], w: u32) -> Option<Node> {
        (w >= 16 && values.len() <= 8).then(|| self.add(w, values, Shape::Gather(values.to_vec())))
    }
}

/// Whether `b` begins where `a` ends.
fn is_next(a: &Access, b: &Access) -> bool {
    a.size == b.size && a.at.root == b.at.root && a.at.offset.wrapping_add(a.size) == b.at.offset
}
