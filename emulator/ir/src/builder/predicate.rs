//! Predicated instructions: what follows in the body happens only if a condition holds.
//!
//! Nothing is decided when the condition is given. A body that only writes registers becomes choices between the new values
//! and the old. The first operation with an effect brings a side exit to the next instruction before it, and the rest of the
//! unit knows that the condition holds. A body that is a jump becomes the exit itself, and the rest of the unit knows that it
//! does not hold. So neighbours under one condition, or under its opposite, are tested once.
//!
//! A load or two are no such effect: where the condition does not hold, they load the instruction's own code, which cannot fault, and
//! nobody looks at it. Which way it goes, a processor need not guess then. If an effect follows in the body, the exit takes the
//! place that was left for it before them.
//!
//! A short branch forward is treated alike ([`Builder::convert_short_branches`]): the instructions it may pass over happen only
//! if it is not taken. As choices they cost less than an exit, its code, and a second translation of everything behind the
//! branch, which is where the exit would lead.

use smallvec::SmallVec;

use super::Builder;
use super::emit::{NO_ARGS, one};
use super::memory::GRANULE;
use crate::guest::Slot;
use crate::inst::{Attr, Effect, Inst, Op, Val};
use crate::ty::Ty;
use crate::unit::{Exit, ExitKind, Put};

/// The condition of the instruction under construction, and what is known of others.
#[derive(Default)]
pub(super) struct Predicate {
    /// Not decided yet.
    pending: Option<Val>,
    /// The condition is that a short branch is not taken, and this is the branch.
    branch: Option<Exit>,
    /// The rest of the body never happens.
    skip: bool,
    /// Values, before the instruction, of the slots it has written while undecided.
    before: Vec<(Slot, Val)>,
    /// Values that are known at this point of the unit because it was not left.
    known: Vec<(Val, bool)>,
    /// Loads of the instruction while undecided, and the addresses that they are of if the condition holds.
    loads: Vec<(Val, Val)>,
    /// Where an exit before them would be, and its condition.
    reserved: Option<(Val, Val)>,
    /// The condition is one of [`Builder::skip_if`].
    skips_rest: bool,
    /// The last instruction that chose flags so.
    chosen: Option<Chosen>,
    /// What instructions have chosen, by their conditions.
    choices: Vec<Choice>,
}

/// What a slot is where a condition holds, and where it does not.
struct Choice {
    cond: Val,
    slot: Slot,
    value: Val,
    arms: [Val; 2],
}

/// Flags that an instruction writes or leaves alone.
struct Chosen {
    /// Where an exit would be, before they are written, and its condition.
    at: Val,
    fails: Val,
    exit: Exit,
    /// By the number of the write: the choice, and the value if the instruction writes it.
    writes: SmallVec<[(usize, Val, Val); 6]>,
}

/// Choices between flags that cost more than an exit.
const DEAR: usize = 3;

/// Loads of an instruction that are executed whether its condition holds or not.
const UNDECIDED_LOADS: usize = 2;

impl Predicate {
    pub(super) fn clear(&mut self) {
        self.pending = None;
        self.branch = None;
        self.skip = false;
        self.before.clear();
        self.known.clear();
        self.loads.clear();
        self.reserved = None;
        self.skips_rest = false;
        self.chosen = None;
        self.choices.clear();
    }
}

/// Which branches become choices.
#[derive(Clone, Copy)]
pub struct Conversion {
    /// Bytes of code that they pass over, at most.
    pub bytes: u64,
    /// Slots that each instruction under them may write: a choice for each costs as much as an exit soon.
    pub slots: usize,
}

impl Conversion {
    /// Two instructions of four bytes.
    pub const SHORT: Conversion = Conversion { bytes: 8, slots: 2 };
    /// What vectors are made of cannot have exits.
    pub const LONG: Conversion = Conversion { bytes: 24, slots: 3 };
}

impl Builder<'_> {
    /// From here on, what a conditional branch passes over becomes choices if it is little.
    pub fn convert_short_branches(&mut self, conversion: Conversion) {
        self.converts = Some(conversion).filter(|_| self.folds && !self.guest.delay_slots);
    }

    /// A branch under a short one, to where that leads, too: whether what they pass over happens if both are not taken.
    pub(super) fn is_under_short_branch(&mut self, cond: Val, exit: Exit) -> bool {
        let (Some(pending), Some(outer)) = (self.predicates.pending, self.predicates.branch) else { return false };
        let same = (outer.target, outer.mode) == (exit.target, exit.mode) && !exit.mode_in_state;
        if !same || exit.target == self.next || self.unit.puts.len() > self.pending {
            return false;
        }
        let not = self.not_t(Ty::I1, cond);
        self.predicates.pending = Some(self.and_t(Ty::I1, pending, not));
        true
    }

    /// A conditional branch, with the instruction's writes in the log: whether it is a short one, now under way.
    pub(super) fn is_short_branch(&mut self, cond: Val, exit: Exit) -> bool {
        let over = exit.target.wrapping_sub(self.next);
        let Some(conversion) = self.converts else { return false };
        let short = (1..=conversion.bytes).contains(&over) && !exit.mode_in_state && exit.kind == ExitKind::Jump;
        let known = self.predicates.known.iter().any(|(v, _)| *v == cond);
        if !short || known {
            return false;
        }
        self.predicates.pending = Some(self.not_t(Ty::I1, cond));
        self.predicates.branch = Some(exit);
        true
    }

    /// Whether the instruction that ends, under a short branch, can become choices: few values in general registers, and where
    /// the branch leads is not passed and has the mode that the branch would give it.
    fn can_be_chosen(&self, branch: &Exit) -> bool {
        let general =
            |slot: &Slot| self.guest.slots[slot.0 as usize].ty.bits() <= 64 && !self.guest.vector_pins.contains(slot);
        let Some(conversion) = self.converts else { return false };
        let near = branch.target.wrapping_sub(self.next) <= conversion.bytes;
        let within = near && !self.mode_in_state && self.mode == branch.mode;
        within
            && self.predicates.before.len() <= conversion.slots
            && self.predicates.before.iter().all(|(slot, _)| general(slot))
    }

    /// What follows in the body happens only if `cond` (1 bit) holds.
    pub fn predicate(&mut self, cond: Val) {
        self.commit();
        self.predicates.reserved = None;
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
            if self.folds && self.predicates.pending.is_some() {
                self.reserve_exit(cond);
                self.predicates.skips_rest = true;
            }
        }
    }

    /// Leaves a place for an exit.
    fn reserve_exit(&mut self, fails: Val) {
        self.store_mode();
        let nothing = Inst { op: Op::Const, ty: Ty::I1, attr: self.pool(0), args: NO_ARGS };
        self.predicates.reserved = Some((self.push(nothing), fails));
    }

    fn learn(&mut self, cond: Val, holds: bool) {
        let opposite = self.not_t(Ty::I1, cond);
        self.predicates.known.extend([(cond, holds), (opposite, !holds)]);
        for i in 0..self.predicates.choices.len() {
            let Choice { cond: by, slot, value, arms: [new, old] } = self.predicates.choices[i];
            // A flag that becomes one if it is one is the condition itself, which the exit has yet to look at.
            let itself = value == cond || value == opposite;
            if (by == cond || by == opposite) && !itself && self.tables.cur[slot.0 as usize] == value {
                self.replace_choice(slot, if (by == cond) == holds { new } else { old });
            }
        }
    }

    /// What was a choice is known from here on, also to what the instruction has computed with it.
    fn replace_choice(&mut self, slot: Slot, value: Val) {
        let choice = std::mem::replace(&mut self.tables.cur[slot.0 as usize], value);
        let start = self.unit.bounds.last().map_or(0, |bound| bound.pos as usize);
        for i in start..self.unit.insts.len() {
            let inst = &mut self.unit.insts[i];
            if inst.op.desc().effect == Effect::Pure && inst.args.contains(&choice) {
                inst.args = inst.args.map(|v| if v == choice { value } else { v });
                self.simplify_joined(i);
            }
        }
        match self.unit.puts[self.pending..].iter_mut().find(|put| put.slot == slot) {
            Some(put) => put.val = value,
            None => {
                let pos = self.unit.insts.len() as u32;
                self.unit.puts.insert(self.pending, Put { pos, slot, val: value });
                self.pending += 1;
            }
        }
    }

    /// Makes what joins two halves an extension where it now is one: a dividend, mostly.
    fn simplify_joined(&mut self, i: usize) {
        let Inst { op: Op::Concat, args: [low, high, _], .. } = self.unit.insts[i] else { return };
        let half = self.ty(low).bits();
        let joined = self.concat(half, high, half, low);
        let extended = self.def(joined);
        if matches!(extended.op, Op::Zext | Op::Sext) && extended.args[0].index() < i {
            self.unit.insts[i] = extended;
            self.tables.facts[i] = self.tables.facts[joined.index()];
        }
    }

    /// Whether the rest of the body never happens.
    pub(super) fn skips(&self) -> bool {
        self.predicates.skip
    }

    /// An effect is next: if the condition does not hold, the unit is left for the next instruction, or for where the branch
    /// leads.
    pub(super) fn commit(&mut self) {
        let Some(cond) = self.predicates.pending.take() else { return };
        let branch = self.predicates.branch.take();
        self.predicates.skips_rest = false;
        self.predicates.before.clear();
        if self.ended.is_some() {
            return;
        }
        let exit = branch.unwrap_or_else(|| self.exit_to(ExitKind::Jump, self.next, 0));
        match self.predicates.reserved.take() {
            Some((at, fails)) => {
                self.exit_at(at, fails, exit);
                for (load, addr) in self.predicates.loads.drain(..) {
                    self.unit.insts[load.index()].args = one(addr);
                }
            }
            None => {
                let fails = self.not_t(Ty::I1, cond);
                self.exit_if(fails, exit);
            }
        }
        self.learn(cond, true);
    }

    /// A load while undecided, if it may be executed in either case.
    pub(super) fn load_undecided(&mut self, ty: Ty, attr: Attr, addr: Val) -> Option<Val> {
        let few = self.predicates.loads.len() < UNDECIDED_LOADS;
        if !self.folds || !few || self.skips() || self.ended.is_some() || self.predicates.branch.is_some() {
            return None;
        }
        let cond = self.predicates.pending?;
        if self.predicates.reserved.is_none() {
            let fails = self.not_t(Ty::I1, cond);
            self.reserve_exit(fails);
        }
        let own = self.k(Ty::I64, (self.pc & !(GRANULE - 1)).into());
        let at = self.select_t(Ty::I64, cond, addr, own);
        let value = self.push(Inst { op: Op::Load, ty, attr, args: one(at) });
        self.predicates.loads.push((value, addr));
        Some(value)
    }

    /// Brings an exit to the place that was left for it.
    fn exit_at(&mut self, at: Val, fails: Val, exit: Exit) {
        let attr = Attr(self.unit.exits.len() as u32);
        self.unit.exits.push(exit);
        self.unit.insts[at.index()] = Inst { op: Op::ExitIf, ty: Ty::I1, attr, args: one(fails) };
    }

    /// An access that may fault is next, and would find the flags that were chosen: if there are many of them, the unit is left
    /// where they are not written, after all, and the rest of it knows what they are.
    pub(super) fn decide_flags(&mut self) {
        let Some(chosen) = self.predicates.chosen.take() else { return };
        let slot_of = |b: &Self, put: usize| b.unit.puts[put].slot;
        let is_current = |(put, choice, _): &&(usize, Val, Val)| {
            let slot = slot_of(self, *put);
            self.tables.cur[slot.0 as usize] == *choice && self.guest.flags.contains(&slot)
        };
        if chosen.writes.iter().filter(is_current).count() < DEAR {
            return;
        }
        self.exit_at(chosen.at, chosen.fails, chosen.exit);
        for (put, choice, new) in chosen.writes {
            let slot = slot_of(self, put);
            self.unit.puts[put].val = new;
            if self.tables.cur[slot.0 as usize] == choice {
                self.tables.cur[slot.0 as usize] = new;
            }
        }
    }

    /// A jump while undecided and with nothing done: it is the exit, and the rest of the body never happens.
    pub(super) fn jump_on_predicate(&mut self, exit: Exit) -> bool {
        let loaded = !self.predicates.loads.is_empty();
        let behind = self.predicates.branch.is_none_or(|branch| branch.target == self.next && branch.mode == self.mode);
        if self.unit.puts.len() > self.pending || self.mode_in_state || !behind || loaded {
            return false;
        }
        let Some(cond) = self.predicates.pending.take() else { return false };
        self.predicates.branch = None;
        self.predicates.skips_rest = false;
        self.exit_if(cond, exit);
        self.learn(cond, false);
        self.predicates.skip = true;
        self.mode = self.fall_mode;
        true
    }

    /// A conditional exit without the register writes that are not in the log yet.
    fn exit_if(&mut self, cond: Val, exit: Exit) {
        self.store_mode();
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
        let branch = self.predicates.branch;
        if branch.is_some_and(|branch| !self.can_be_chosen(&branch)) {
            self.commit();
        }
        let Some(cond) = self.predicates.pending.take() else { return };
        let skips_rest = std::mem::take(&mut self.predicates.skips_rest) && self.predicates.loads.is_empty();
        self.predicates.loads.clear();
        let reserved = self.predicates.reserved.take().filter(|_| skips_rest && !self.mode_in_state);
        let mut writes = SmallVec::new();
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
            self.predicates.choices.push(Choice { cond, slot, value, arms: [new, old] });
            writes.push((i, value, new));
        }
        self.predicates.before = before;
        self.predicates.chosen = None;
        if let Some((at, fails)) = reserved {
            let exit = self.exit_to(ExitKind::Jump, self.next, 0);
            self.predicates.chosen = Some(Chosen { at, fails, exit, writes });
        }
        match branch {
            Some(branch) if branch.target != self.next => self.predicates.pending = Some(cond),
            _ => self.predicates.branch = None,
        }
    }
}
