//! Numbers of 80 bits that host instructions leave in memory, apart from the status word that comes with them.
//!
//! The status word is asked for where the guest's is shown: each question waits for all operations before it. Exceptions add up in the
//! host as in the guest, so that those of an operation need not be looked at if those of a later one are.

use ir::guest::Guest;
use ir::inst::{Inst, Op, Val};
use ir::{Ty, Unit};

use super::Features;
use super::analysis::{Analysis, Mode, NO, operands};
use super::emit_extended::{Plan, plan};

/// Bits of a number.
const NUMBER: u128 = (1 << 80) - 1;
/// Where the status word begins in the upper half of a result.
const STATUS_AT: u32 = 16;
/// Exceptions of a status word.
const EXCEPTIONS: u128 = 0x3f;

/// The result of a helper that is host instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Number {
    /// Position of the helper.
    pub(super) at: u32,
    /// Position of what takes the upper half of the result, or [`NO`].
    pub(super) status: u32,
    /// From that half, something else than the status word is taken, too.
    pub(super) whole: bool,
    /// All else that is taken of the result is the number.
    apart: bool,
}

/// What a value has to do with a number, which is the one with an index.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    None,
    Result(u32),
    UpperHalf(u32),
}

/// A part of a status word: of which number, and its mask.
struct Part {
    number: Number,
    mask: u128,
}

fn constant(unit: &Unit, v: Val) -> Option<u128> {
    let inst = unit.insts.get(v.index())?;
    (inst.op == Op::Const).then(|| unit.consts[inst.attr.index()])
}

/// What is masked by a constant, and that.
fn masked(unit: &Unit, v: Val) -> Option<(Val, u128)> {
    let inst = unit.insts.get(v.index()).filter(|inst| inst.op == Op::And)?;
    let [a, b, _] = inst.args;
    constant(unit, b).map(|k| (a, k)).or_else(|| constant(unit, a).map(|k| (b, k)))
}

fn operand_of(unit: &Unit, v: Val, op: Op) -> Option<(Val, &Inst)> {
    unit.insts.get(v.index()).filter(|inst| inst.op == op).map(|inst| (inst.args[0], inst))
}

impl Analysis {
    /// Finds the numbers, and the helpers that make the host forget exceptions.
    pub(super) fn find_numbers(&mut self, unit: &Unit, guest: &Guest, features: Features) {
        self.numbers.clear();
        self.forgetful.clear();
        let mut roles = Vec::new();
        let mut last = NO;
        for (i, inst) in unit.insts.iter().enumerate() {
            if inst.op == Op::Helper {
                last = i as u32;
                roles.resize(unit.insts.len(), Role::None);
                let kind = guest.helpers.get(inst.attr.index()).and_then(|helper| helper.extended);
                match kind.and_then(|kind| plan(kind, unit, features, inst)) {
                    Some(Plan::Ticks) => {}
                    Some(Plan::Operate(..) | Plan::Load(_) | Plan::Store { .. }) => {
                        roles[i] = Role::Result(self.numbers.len() as u32);
                        self.numbers.push(Number { at: last, status: NO, whole: false, apart: true });
                    }
                    Some(Plan::Clear) | None => self.forgetful.push(last),
                }
            }
            if self.numbers.is_empty() {
                continue;
            }
            for v in operands(unit, inst) {
                if let Some(role) = self.take_part(unit, inst, i as u32, (roles[v.index()], last)) {
                    roles[i] = role;
                }
            }
        }
        for p in &unit.puts {
            match roles.get(p.val.index()) {
                Some(Role::Result(k)) => self.numbers[*k as usize].apart = false,
                Some(Role::UpperHalf(k)) => self.numbers[*k as usize].whole = true,
                Some(Role::None) | None => {}
            }
        }
        self.numbers.retain(|number| number.apart);
    }

    /// An instruction takes something with a role; `last` is the position of the last helper.
    fn take_part(&mut self, unit: &Unit, inst: &Inst, i: u32, (role, last): (Role, u32)) -> Option<Role> {
        let of_inst = Val(i);
        match role {
            Role::None => {}
            Role::UpperHalf(k) => {
                self.numbers[k as usize].whole |= inst.op != Op::Bfx || inst.attr.imm() < STATUS_AT;
            }
            Role::Result(k) => {
                let number = &mut self.numbers[k as usize];
                match inst.op {
                    Op::And if masked(unit, of_inst).is_some_and(|(_, mask)| mask == NUMBER) => {}
                    Op::Trunc if inst.ty <= Ty::I64 => {}
                    Op::Vget
                        if inst.ty == Ty::I64 && inst.attr.imm() == 1 && number.at == last && number.status == NO =>
                    {
                        number.status = i;
                        return Some(Role::UpperHalf(k));
                    }
                    _ => number.apart = false,
                }
            }
        }
        None
    }

    /// The number that the helper at this position makes.
    pub(super) fn number(&self, at: u32) -> Option<Number> {
        let k = self.numbers.binary_search_by_key(&at, |number| number.at).ok()?;
        Some(self.numbers[k])
    }

    /// The number whose status the value is, with what is above 64 bits of it.
    pub(super) fn number_of_status(&self, v: u32) -> Option<Number> {
        let before = self.numbers.partition_point(|number| number.at < v);
        self.numbers[..before].last().copied().filter(|number| number.status == v)
    }

    /// The status word of the number is read.
    pub(super) fn reads_status(&self, number: Number) -> bool {
        number.status != NO && self.values[number.status as usize].end != 0
    }

    /// The number that an instruction takes from a result.
    pub(super) fn masked_number(&self, unit: &Unit, v: u32) -> Option<u32> {
        let (result, mask) = masked(unit, Val(v))?;
        (mask == NUMBER && self.number(result.0).is_some()).then_some(result.0)
    }

    fn part(&self, unit: &Unit, v: Val) -> Option<Part> {
        let (word, mask) = masked(unit, v)?;
        let (field, _) = operand_of(unit, word, Op::Trunc)?;
        let (half, field) = operand_of(unit, field, Op::Bfx)?;
        let number = self.number_of_status(half.0)?;
        (field.attr.imm() == STATUS_AT).then_some(Part { number, mask })
    }

    /// Exceptions of an earlier number and more are added to those of one: of the earlier one's nothing need be known.
    pub(super) fn leave_exceptions_to_later(&mut self, unit: &Unit, inst: &Inst) {
        let [a, b, _] = inst.args;
        for (before, part) in [(a, b), (b, a)] {
            if let Some((first, earlier)) = self.repeated(unit, before, part) {
                let first = self.val(first);
                self.alias(before.index(), first);
                // Its exceptions count, whether or not anything else does.
                return self.needed(earlier, earlier + 1);
            }
        }
    }

    /// If `before` is a value or exceptions of a number that `part` repeats: the value, and where the number is made.
    fn repeated(&self, unit: &Unit, before: Val, part: Val) -> Option<(Val, u32)> {
        let later = self.part(unit, part)?;
        let (sum, kept) = masked(unit, before)?;
        let value = &self.values[before.index()];
        if value.total != 1 || value.mode != Mode::Emit {
            return None;
        }
        let (_, inst) = operand_of(unit, sum, Op::Or)?;
        let [a, b, _] = inst.args;
        [(a, b), (b, a)].into_iter().find_map(|(first, second)| {
            let earlier = self.part(unit, second)?;
            let (_, firsts) = masked(unit, first)?;
            let counted = earlier.mask & kept;
            let from = self.forgetful.partition_point(|&at| at < earlier.number.at);
            let remembered = self.forgetful.get(from).is_none_or(|&at| at > later.number.at);
            let repeated = earlier.number.at < later.number.at && counted & !(EXCEPTIONS & later.mask) == 0;
            (repeated && remembered && firsts & !kept == 0).then_some((first, earlier.number.at))
        })
    }
}
