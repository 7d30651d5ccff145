//! The new unit: its guards, its accesses in order, and the values that stay scalars.

use std::collections::{HashMap, HashSet};

use super::guards::Guard;
use super::plan::{Node, Plan, Shape, StoreRun};
use super::region::{Region, Root};
use crate::Builder;
use crate::guest::Slot;
use crate::inst::{Attr, Effect, MemAttr, Op, Val};
use crate::ty::Ty;
use crate::unit::Unit;

/// Makes the unit.
pub(super) struct Emitter<'r, 'g> {
    pub(super) region: &'r Region<'r>,
    pub(super) plan: &'r Plan,
    pub(super) b: Builder<'g>,
    /// Values of the turns, in the new unit.
    scalars: HashMap<Val, Val>,
    /// Parts of vectors, in the new unit.
    pub(super) parts: HashMap<(Node, u32), Val>,
    /// Under way: who needs one of these needs itself.
    busy: HashSet<Val>,
    pub(super) busy_parts: HashSet<(Node, u32)>,
}

impl<'r, 'g> Emitter<'r, 'g> {
    pub(super) fn new(region: &'r Region<'r>, plan: &'r Plan, b: Builder<'g>) -> Emitter<'r, 'g> {
        Emitter {
            region,
            plan,
            b,
            scalars: HashMap::new(),
            parts: HashMap::new(),
            busy: HashSet::new(),
            busy_parts: HashSet::new(),
        }
    }

    // ---- phases
    /// Retreats if a guard says so.
    pub(super) fn guards(&mut self, guards: &[Guard]) -> Option<()> {
        for guard in guards {
            let cond = match *guard {
                Guard::Is { cond, if_is } => {
                    let cond = self.scalar(cond)?;
                    if if_is { cond } else { self.b.not(1, cond) }
                }
                Guard::Exceeds { value, bits, signed } => {
                    let full = self.region.ty(value)?.bits();
                    let value = self.scalar(value)?;
                    let low = self.b.low(full, bits, value);
                    let extended = if signed { self.b.sext(bits, full, low) } else { self.b.zext(bits, full, low) };
                    self.b.ne(full, value, extended)
                }
                Guard::Between { ty, a, b, least, most } => self.between(ty, (a, b), least, most)?,
            };
            if self.b.as_const(cond) == Some(1) {
                return None;
            }
            self.b.retreat_if(cond);
        }
        Some(())
    }

    /// Whether `least <= a - b <= most`.
    fn between(&mut self, ty: Ty, (a, b): (Root, Root), least: i64, most: i64) -> Option<Val> {
        let w = ty.bits();
        let (a, from_a) = self.root(ty, a)?;
        let (b, from_b) = self.root(ty, b)?;
        let difference = self.b.sub(w, a, b);
        // Each value is its root and a constant.
        let offset = from_b.wrapping_sub(from_a).wrapping_sub(least);
        let offset = self.b.konst(w, offset.into());
        let from_least = self.b.add(w, difference, offset);
        let span = self.b.konst(w, most.checked_sub(least)?.into());
        Some(self.b.le_u(w, from_least, span))
    }

    /// A value that is the root and a constant.
    fn root(&mut self, ty: Ty, root: Root) -> Option<(Val, i64)> {
        if self.region.is_zero(root) {
            return Some((self.b.konst(ty.bits(), 0), 0));
        }
        let (value, offset) = self.region.value_with(root)?;
        let wide = self.region.ty(value)?.bits();
        let value = self.scalar(value)?;
        Some((self.b.low(wide, ty.bits(), value), offset))
    }

    /// All accesses, and everything else that has an effect: for each vector that is stored, or for all of them, what its turns load
    /// and compute, and then the store.
    pub(super) fn accesses(&mut self) -> Option<()> {
        let plan = self.plan;
        let (mut done, mut turn) = (0, 0);
        if plan.raises && !plan.begins_turns() {
            self.b.effect(Op::Keepfflags, Ty::I1, Attr(0), [Val::NONE; 3]);
        }
        for run in &plan.stores {
            let vector = &plan.vectors[run.stored.0];
            let lanes = (vector.n / vector.parts()) as usize;
            for part in 0..vector.parts() {
                turn += lanes;
                let until = if plan.turn_by_turn { self.start_of(turn) } else { self.region.end };
                self.happen(done, until)?;
                done = until;
                let begins = plan.turn_by_turn && turn < self.region.starts.len();
                let slots = if begins { self.values(until)? } else { Vec::new() };
                self.store(run, part)?;
                if begins {
                    // What has been stored is not to be stored again, should a later turn fault.
                    self.begin_turn(&slots);
                }
            }
        }
        self.happen(done, self.region.end)
    }

    /// Where a turn begins, or all end.
    fn start_of(&self, turn: usize) -> usize {
        self.region.starts.get(turn).copied().unwrap_or(self.region.end)
    }

    /// What the instructions between two positions load and compute.
    fn happen(&mut self, from: usize, until: usize) -> Option<()> {
        for pos in from..until {
            let value = Val(pos as u32);
            let inst = self.region.inst(value);
            if inst.op != Op::Load && inst.op.desc().effect != Effect::Effect {
                continue;
            }
            match self.plan.lanes.get(&value) {
                Some((node, lane)) => self.part_of(*node, *lane)?,
                None => self.scalar(value)?,
            };
        }
        // A load may be a lane of several vectors.
        let plan = self.plan;
        for (i, vector) in plan.vectors.iter().enumerate() {
            let (Shape::Load(loads) | Shape::Groups(loads, _)) = &vector.shape else { continue };
            for (lane, _) in loads.iter().enumerate().filter(|(_, v)| (from..until).contains(&v.index())) {
                self.part_of(Node(i), lane as u32)?;
            }
        }
        Some(())
    }

    fn store(&mut self, run: &StoreRun, part: u32) -> Option<()> {
        let first = self.region.inst(Val(run.stores[0] as u32));
        let addr = self.scalar(first.args[0])?;
        let vector = &self.plan.vectors[run.stored.0];
        let bits = vector.w * vector.n;
        let value = self.part(run.stored, part)?;
        let by = self.b.konst(64, (16 * part).into());
        let addr = self.b.add(64, addr, by);
        let value = if bits < 64 { self.b.low(64, bits, value) } else { value };
        self.b.effect(Op::Store, self.b.ty(value), Attr::mem(MemAttr::PLAIN), [addr, value, Val::NONE]);
        Some(())
    }

    /// What the log has written before a position.
    fn values(&mut self, pos: usize) -> Option<Vec<(Slot, Val)>> {
        let slots = self.region.written_before(pos);
        slots.into_iter().map(|(slot, value)| Some((slot, self.scalar(value)?))).collect()
    }

    fn write(&mut self, slots: &[(Slot, Val)]) {
        for (slot, value) in slots {
            self.b.put(*slot, *value);
        }
    }

    /// The state becomes that of the start of a turn.
    fn begin_turn(&mut self, slots: &[(Slot, Val)]) {
        self.write(slots);
        self.b.end_insn();
        self.b.begin_insn(self.region.unit.key.pc);
    }

    /// The state after the last turn, and the jump back.
    pub(super) fn finish(mut self) -> Option<Unit> {
        let slots = self.values(self.region.end)?;
        self.write(&slots);
        let pc = self.region.unit.key.pc;
        self.b.jump(pc);
        self.b.end_insn();
        Some(self.b.finish(pc))
    }

    // ---- values
    /// A value of the turns. `None` if it needs itself.
    pub(super) fn scalar(&mut self, value: Val) -> Option<Val> {
        if let Some(made) = self.scalars.get(&value) {
            return Some(*made);
        }
        if !self.busy.insert(value) {
            return None;
        }
        let made = self.make(value)?;
        self.busy.remove(&value);
        self.scalars.insert(value, made);
        Some(made)
    }

    fn make(&mut self, value: Val) -> Option<Val> {
        if let Some(reduction) = self.plan.reductions.get(&value) {
            return self.reduced(reduction);
        }
        if let Some((node, lane)) = self.plan.lanes.get(&value) {
            return self.lane(*node, *lane, self.region.ty(value)?);
        }
        if let Some(made) = self.moved(value) {
            return Some(made);
        }
        self.copied(value)
    }

    /// A pointer that has moved on several times: where it was, and all of the way.
    fn moved(&mut self, value: Val) -> Option<Val> {
        let linear = self.region.linear(value)?;
        let (from, offset) = self.region.value_with(linear.root)?;
        let ty = self.region.ty(value)?;
        if from == value || self.region.ty(from) != Some(ty) {
            return None;
        }
        let from = self.scalar(from)?;
        let way = self.b.konst(ty.bits(), linear.offset.wrapping_sub(offset).into());
        Some(self.b.add(ty.bits(), from, way))
    }

    /// The same instruction in the new unit.
    fn copied(&mut self, value: Val) -> Option<Val> {
        let inst = self.region.inst(value);
        match inst.op {
            Op::Const => return Some(self.b.k(inst.ty, self.region.constant(value)?)),
            Op::Get => return Some(self.b.get(Slot(inst.attr.0 as u16))),
            Op::Vshuf => return None,
            _ => {}
        }
        let mut args = inst.args;
        for arg in args.iter_mut().filter(|arg| **arg != Val::NONE) {
            *arg = self.scalar(*arg)?;
        }
        Some(match inst.op.desc().effect {
            Effect::Pure => self.b.pure(inst.op, inst.ty, inst.attr, args),
            _ => self.b.effect(inst.op, inst.ty, inst.attr, args),
        })
    }
}
