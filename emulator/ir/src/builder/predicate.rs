//! Predicated instructions: what follows in the body happens only if a condition holds.
//!
//! Nothing is decided when the condition is given. A body that only writes registers becomes choices between the new values
//! and the old. The first operation with an effect brings a side exit to the next instruction before it, and the rest of the
//! unit knows that the condition holds. A body that is a jump becomes the exit itself, and the rest of the unit knows that it
//! does not hold. So neighbours under one condition, or under its opposite, are tested once.

use super::Builder;
use super::emit::one;
use crate::guest::Slot;
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;
use crate::unit::{Exit, ExitKind};

/// The condition of the instruction under construction, and what is known of others.
#[derive(Default)]
pub(super) struct Predicate {
    /// Not decided yet.
    pending: Option<Val>,
    /// The rest of the body never happens.
    skip: bool,
    /// Values, before the instruction, of the slots it has written while undecided.
    before: Vec<(Slot, Val)>,
    /// Values that are known at this point of the unit because it was not left.
    known: Vec<(Val, bool)>,
}

impl Predicate {
    pub(super) fn clear(&mut self) {
        self.pending = None;
        self.skip = false;
        self.before.clear();
        self.known.clear();
    }
}

impl Builder<'_> {
    /// What follows in the body happens only if `cond` (1 bit) holds.
    pub fn predicate(&mut self, cond: Val) {
        let known = self.predicates.known.iter().find(|(v, _)| *v == cond).map(|(_, holds)| *holds);
        match known.or_else(|| self.as_const(cond).map(|c| c != 0)) {
            Some(true) => {}
            Some(false) => self.predicates.skip = true,
            None => self.predicates.pending = Some(cond),
        }
    }

    /// What follows in the body happens only if `cond` (1 bit) does not hold; what the body has written so far stays, even if
    /// something behind it faults. In a delay slot, where leaving is a transfer of control, an undefined instruction.
    pub fn skip_if(&mut self, cond: Val) {
        if self.misplaced() {
            return;
        }
        // A condition given before covers what was written since; from here on both must hold.
        self.commit();
        if self.ended.is_none() && !self.skips() {
            self.flush();
            self.fall_mode = self.mode;
            let holds = self.not_t(Ty::I1, cond);
            self.predicate(holds);
        }
    }

    fn learn(&mut self, cond: Val, holds: bool) {
        let opposite = self.not_t(Ty::I1, cond);
        self.predicates.known.extend([(cond, holds), (opposite, !holds)]);
    }

    /// Whether the rest of the body never happens.
    pub(super) fn skips(&self) -> bool {
        self.predicates.skip
    }

    /// An effect is next: if the condition does not hold, the unit is left for the next instruction.
    pub(super) fn commit(&mut self) {
        let Some(cond) = self.predicates.pending.take() else { return };
        self.predicates.before.clear();
        if self.ended.is_some() {
            return;
        }
        let exit = self.exit_to(ExitKind::Jump, self.next, 0);
        let fails = self.not_t(Ty::I1, cond);
        self.exit_if(fails, exit);
        self.learn(cond, true);
    }

    /// A jump while undecided and with nothing done: it is the exit, and the rest of the body never happens.
    pub(super) fn jump_on_predicate(&mut self, exit: Exit) -> bool {
        if self.unit.puts.len() > self.pending || self.mode_in_state {
            return false;
        }
        let Some(cond) = self.predicates.pending.take() else { return false };
        self.exit_if(cond, exit);
        self.learn(cond, false);
        self.predicates.skip = true;
        self.mode = self.fall_mode;
        true
    }

    /// A conditional exit without the register writes that are not in the log yet.
    fn exit_if(&mut self, cond: Val, exit: Exit) {
        let attr = Attr(self.unit.exits.len() as u32);
        self.unit.exits.push(exit);
        self.effect(Op::ExitIf, Ty::I1, attr, one(cond));
    }

    /// The instruction is about to write a slot.
    pub(super) fn remember(&mut self, slot: Slot) {
        if self.predicates.pending.is_some() && !self.predicates.before.iter().any(|(s, _)| *s == slot) {
            self.predicates.before.push((slot, self.tables.cur[slot.0 as usize]));
        }
    }

    /// Ends the instruction: while undecided, its writes become choices.
    pub(super) fn settle_predicate(&mut self) {
        self.predicates.skip = false;
        let Some(cond) = self.predicates.pending.take() else { return };
        let mut before = std::mem::take(&mut self.predicates.before);
        for (slot, old) in before.drain(..) {
            let Some(i) = (self.pending..self.unit.puts.len()).find(|&i| self.unit.puts[i].slot == slot) else {
                continue;
            };
            let old = if old == Val::NONE { self.emit_get(slot) } else { old };
            let (new, ty) = (self.unit.puts[i].val, self.ty(old));
            let value = self.select_t(ty, cond, new, old);
            self.unit.puts[i].val = value;
            self.tables.cur[slot.0 as usize] = value;
        }
        self.predicates.before = before;
    }
}
