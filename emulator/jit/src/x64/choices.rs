//! Condition flags that are those of one comparison or of another, or constants, as a condition says: what a conditional compare
//! leaves.
//!
//! Each is a choice between two conditions, and all are by one condition. Computed where they are defined they cost ten host
//! operations a flag or so, and next to nobody looks. So exits make them: an exit stores the comparison that was chosen as the one that
//! the flags are of ([`super::deferred`]), which takes a few conditional moves for all of them. A fault shows expressions
//! ([`super::shown`]).

use ir::inst::Op;
use ir::unit::Put;
use ir::{Ty, Unit};
use smallvec::SmallVec;

use super::Convention;
use super::analysis::{Analysis, Cond, CondKind, Mode, NO, operands, result_ty};
use super::asm::cc;
use super::claims::{Cell, Claim};
use super::deferred::{Deferral, MAX_FLAGS, deferral};
use super::exit::FIELD_WHAT;
use super::float_conditions::takes_two_flags;
use super::generator::Gen;
use super::shuffle::{DEFERRED_A, DEFERRED_B, free_register};
use super::snapshot::{Kind, Loc, RecipeLoc};

/// What a choice is between.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Arm {
    /// A condition or a constant.
    Value(u32),
    Bit(bool),
}

/// A one-bit value by a condition: what it is if that does not hold, and if it does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Choice {
    /// The value.
    of: u32,
    pub(super) gate: Cond,
    pub(super) arms: [Arm; 2],
}

impl Choice {
    /// The values that it is between.
    pub(super) fn values(&self) -> impl Iterator<Item = u32> {
        self.arms.into_iter().filter_map(value)
    }
}

/// The same in terms of locations.
#[derive(Clone, Copy, Debug)]
pub(super) struct PlacedChoice {
    pub(super) gate: Loc,
    pub(super) arms: [Loc; 2],
}

impl Analysis {
    /// Finds out whether the flags that are written together are choices by one condition, each way between flags of one comparison.
    pub(super) fn find_choices(&mut self, unit: &Unit, conv: &Convention, flags: &[Option<u32>]) {
        let is_choice = |v: u32| {
            let inst = &unit.insts[v as usize];
            self.values[v as usize].mode == Mode::Emit && matches!(inst.op, Op::And | Op::Or | Op::Select)
        };
        let in_unit = |v: &Option<u32>| v.is_some_and(|v| (v as usize) < unit.insts.len());
        if !flags.iter().all(in_unit) {
            return;
        }
        let mut chosen = flags.iter().flatten().copied().filter(|&v| is_choice(v));
        let Some(first) = chosen.next() else { return };
        let inst = &unit.insts[first as usize];
        let gates = if inst.op == Op::Select { &inst.args[..1] } else { &inst.args[..2] };
        for gate in gates {
            let Some(gate) = self.as_gate(unit, self.val(*gate)) else { continue };
            let split = |v: &Option<u32>| v.and_then(|v| Some((v, self.split(unit, v, gate)?)));
            let Some(all) = flags.iter().map(split).collect::<Option<SmallVec<[_; MAX_FLAGS]>>>() else { continue };
            for k in 0..2 {
                let arms: SmallVec<[u32; MAX_FLAGS]> = all.iter().filter_map(|(_, arms)| value(arms[k])).collect();
                self.unify_all(unit, &arms);
            }
            if (0..2).all(|k| self.are_of_one_comparison(all.iter().map(|(_, arms)| arms[k]))) {
                for (v, arms) in all {
                    // The condition itself may be among them: it is made. So is what a register gets.
                    let elsewhere = |p: &Put| self.val(p.val) == v && conv.flag(p.slot.0).is_none();
                    let made = gate.a == v || gate.b == v || unit.puts.iter().any(elsewhere);
                    if self.values[v as usize].mode == Mode::Emit && !made {
                        self.choices.push(Choice { of: v, gate, arms });
                    }
                }
                return;
            }
        }
    }

    /// A one-bit value as a condition to choose by.
    fn as_gate(&self, unit: &Unit, v: u32) -> Option<Cond> {
        match self.cond(v) {
            Some(c) if c.kind == CondKind::Extend || c.kind == CondKind::Float && takes_two_flags(c.cc) => None,
            Some(c) => Some(c),
            None => {
                let bit = unit.insts.get(v as usize).is_some_and(|inst| result_ty(inst) == Ty::I1);
                let made = self.values[v as usize].mode == Mode::Emit;
                (bit && made).then_some(Cond { kind: CondKind::Test, cc: cc::NE, ty: Ty::I1, a: v, b: v })
            }
        }
    }

    /// What the value is if the condition does not hold, and if it does.
    fn split(&self, unit: &Unit, v: u32, gate: Cond) -> Option<[Arm; 2]> {
        let same = |v: u32| {
            let c = self.as_gate(unit, v)?;
            (c.same_operands(&gate) && c.cc | 1 == gate.cc | 1).then_some(c.cc == gate.cc)
        };
        if let Some(holds) = same(v) {
            return Some([Arm::Bit(!holds), Arm::Bit(holds)]);
        }
        if self.values[v as usize].mode != Mode::Emit {
            return Some([Arm::Value(v); 2]);
        }
        let inst = &unit.insts[v as usize];
        let arg = |k: usize| self.arg(inst, k);
        // What it is if the condition is as the operand says, and if not.
        let (by, open, shut) = match inst.op {
            Op::Select => (same(arg(0))?, Arm::Value(arg(1)), Arm::Value(arg(2))),
            Op::And | Op::Or => {
                let (by, other) = match same(arg(0)) {
                    Some(by) => (by, arg(1)),
                    None => (same(arg(1))?, arg(0)),
                };
                let one = inst.op == Op::Or;
                if one { (by, Arm::Bit(true), Arm::Value(other)) } else { (by, Arm::Value(other), Arm::Bit(false)) }
            }
            _ => return None,
        };
        Some(if by { [shut, open] } else { [open, shut] })
    }

    /// Whether these can be left together ([`super::deferred`]).
    fn are_of_one_comparison(&self, arms: impl Iterator<Item = Arm>) -> bool {
        let mut model: Option<Cond> = None;
        arms.filter_map(value).all(|v| match self.cond(v) {
            Some(c) if matches!(c.kind, CondKind::Bit | CondKind::Extend) => false,
            Some(c) => model.get_or_insert(c).same_operands(&c),
            None => self.values[v as usize].mode == Mode::Const,
        })
    }

    /// The choice that a value is.
    pub(super) fn choice(&self, v: u32) -> Option<&Choice> {
        self.choices.iter().find(|choice| choice.of == v)
    }

    /// If the value is a choice that some exit shows, sees to it that what it is made of exists as long; says whether it need not
    /// be made itself, because no instruction reads it.
    pub(super) fn leave_to_exits(&mut self, unit: &Unit, v: u32) -> bool {
        let Some(&choice) = self.choice(v).filter(|_| self.is_exposed(v)) else { return false };
        let gate = choice.gate;
        let end = self.values[v as usize].end;
        // What is a part of another choice must exist itself.
        let left = !self.is_read(v) && !self.is_part(v);
        if left {
            self.values[v as usize].mode = Mode::Shown;
        }
        // Faults show what the instruction says.
        let operands = operands(unit, &unit.insts[v as usize]).iter().map(|operand| self.val(*operand));
        let mut parts: SmallVec<[u32; 8]> = operands.chain(choice.values()).collect();
        parts.push(gate.a);
        if gate.kind != CondKind::Bit {
            parts.push(gate.b);
        }
        for part in parts {
            self.keep_part(part);
            self.needed(part, end);
        }
        left
    }
}

fn value(arm: Arm) -> Option<u32> {
    if let Arm::Value(v) = arm { Some(v) } else { None }
}

impl Gen<'_> {
    /// Where the slot's value is now, for an exit.
    pub(super) fn exit_loc(&mut self, slot: u16) -> Loc {
        let v = self.cur[slot as usize];
        if v == NO || self.an.choices.is_empty() || self.place[v as usize].home == slot {
            return self.slot_loc(slot);
        }
        let Some(&Choice { gate, arms, .. }) = self.an.choice(v) else { return self.slot_loc(slot) };
        let gate = self.cond_loc(gate);
        let arms = arms.map(|arm| match arm {
            Arm::Value(v) => self.loc(v),
            Arm::Bit(bit) => Loc::bit(bit.into()),
        });
        self.place_choice(PlacedChoice { gate, arms })
    }

    pub(super) fn place_choice(&mut self, choice: PlacedChoice) -> Loc {
        self.choices.push(choice);
        Loc::choice(self.choices.len() as u32 - 1)
    }

    /// The choice at a location.
    pub(super) fn choice_at(&self, loc: Loc) -> Option<PlacedChoice> {
        match (loc.as_recipe(), loc.parts()) {
            (None, (Kind::Choice, n)) => Some(self.choices[n as usize]),
            _ => None,
        }
    }

    /// Calls `f` with the simple locations that one is made of.
    pub(super) fn each_part(&self, loc: Loc, f: &mut impl FnMut(Loc)) {
        if let Some(r) = loc.as_recipe() {
            f(r.a);
            f(r.b);
        } else if let Some(choice) = self.choice_at(loc) {
            self.each_part(choice.gate, f);
            choice.arms.iter().for_each(|arm| self.each_part(*arm, f));
        } else {
            f(loc);
        }
    }

    /// What the location of a flag is if the condition is as `holds` says.
    fn arm(&self, loc: Loc, gate: &RecipeLoc, holds: bool) -> Option<Loc> {
        let same = |r: RecipeLoc| (r.key() == gate.key() && r.cc | 1 == gate.cc | 1).then_some(r.cc == gate.cc);
        match (self.choice_at(loc), loc.as_recipe()) {
            (Some(choice), _) => {
                let by = same(choice.gate.as_recipe()?)?;
                Some(choice.arms[usize::from(holds == by)])
            }
            (None, Some(r)) => Some(same(r).map_or(loc, |by| Loc::bit((holds == by).into()))),
            (None, None) if (gate.kind, gate.a, gate.b) == (CondKind::Test, loc, loc) => {
                Some(Loc::bit((holds == (gate.cc == cc::NE)).into()))
            }
            (None, None) => Some(loc),
        }
    }

    /// The flags among the moves as a choice between two deferrals.
    fn chosen_deferral(&self, list: &[(u16, Loc)]) -> Option<(u16, RecipeLoc, [Deferral; 2])> {
        let (slot, gate) = list.iter().find_map(|&(slot, loc)| Some((slot, self.choice_at(loc)?.gate.as_recipe()?)))?;
        let deferral = |conv: &Convention, holds: bool| {
            let flags = list.iter().filter(|m| conv.flag(m.0).is_some());
            let arms = flags.map(|&(slot, loc)| Some((slot, self.arm(loc, &gate, holds)?)));
            deferral(conv, &self.unit.consts, &arms.collect::<Option<SmallVec<[_; MAX_FLAGS]>>>()?)
        };
        Some((slot, gate, [deferral(self.conv, false)?, deferral(self.conv, true)?]))
    }

    /// Stores the comparison that is chosen as what the flags among the moves are of, if they are all there; says whether.
    pub(super) fn defer_chosen_flags(&mut self, list: &[(u16, Loc)], busy: u32) -> bool {
        if self.an.choices.is_empty() {
            return false;
        }
        let Some((slot, gate, [no, yes])) = self.chosen_deferral(list) else { return false };
        let Some(r) = free_register(busy) else { return false };
        let Some(other) = free_register(busy | 1 << r) else { return false };
        // Nothing below changes the host's flags.
        let code = self.compare_locs(slot, gate, busy);
        let operands = |d: &Deferral| (d.operands.map(|o| o.0), d.operands.and_then(|o| o.1));
        let ((a, b), (c, d)) = (operands(&no), operands(&yes));
        for (second, no, yes) in [(false, a, c), (true, b, d)] {
            let to = Self::field(if second { DEFERRED_B } else { DEFERRED_A });
            match (no, yes) {
                (Some(no), Some(yes)) if no != yes => {
                    self.load_loc(r, no);
                    self.load_loc(other, yes);
                    self.claim_chosen(false, second, Cell::Gpr(r));
                    self.claim_chosen(true, second, Cell::Gpr(other));
                    self.asm.cmov_rr(code, 8, r, other);
                    self.asm.store(8, to, r);
                }
                (Some(loc), _) | (_, Some(loc)) => {
                    self.store_loc(Ty::I64, to, loc, busy);
                    self.claim_chosen(no.is_none(), second, Cell::Mem(to.disp));
                }
                (None, None) => {}
            }
        }
        self.asm.mov_ri(r, no.what.into());
        self.asm.mov_ri(other, yes.what.into());
        self.asm.cmov_rr(code, 4, r, other);
        self.asm.store(4, Self::field(FIELD_WHAT), r);
        true
    }

    /// An operand of the comparison that the flags are of if the condition is as `arm` says.
    fn claim_chosen(&mut self, arm: bool, second: bool, cell: Cell) {
        self.claim(Claim::Chooses { pos: self.pos, arm, second, cell });
    }

    /// Stores a choice at its slot's home.
    pub(super) fn store_choice(&mut self, slot: u16, choice: PlacedChoice, busy: u32) {
        let Some(gate) = choice.gate.as_recipe() else { return };
        let code = self.compare_locs(slot, gate, busy);
        let (open, done) = (self.asm.label(), self.asm.label());
        self.asm.jcc(code, open);
        self.store_arm(slot, choice.arms[0], busy);
        self.asm.jmp(done);
        self.asm.bind(open);
        self.store_arm(slot, choice.arms[1], busy);
        self.asm.bind(done);
    }

    fn store_arm(&mut self, slot: u16, loc: Loc, busy: u32) {
        self.flags_of_locs = None;
        match loc.as_recipe() {
            Some(r) => self.store_condition(slot, r, busy),
            None => self.store_loc(Ty::I8, self.home_mem(slot), loc, busy),
        }
        self.flags_of_locs = None;
    }
}
