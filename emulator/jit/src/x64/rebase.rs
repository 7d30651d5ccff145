//! Pointers that move on before their last use: `p + 8` takes the register of `p`, and what is left to be read at `p` is read
//! 8 below the sum.

use ir::Ty;
use ir::inst::{Inst, Op};

use super::Gpr;
use super::analysis::{Cond, CondKind, Mode, NO, NO_HINT, operands};
use super::generator::Gen;

/// Largest step: sums of several of them are displacements.
const LARGEST_STEP: i32 = 1 << 16;

/// Largest displacement that is corrected.
const LARGEST_DISPLACEMENT: i32 = 1 << 28;

/// An address that is nowhere but as a difference: the value, and what to add to it.
pub(super) type Rebased = (u32, u32, i32);

impl Gen<'_> {
    /// Whether the sum of `a`, in register `r`, and `k` may replace it there. That is where the sum belongs, and `a` is wanted
    /// as an address alone. Notes so.
    pub(super) fn moves_base(&mut self, inst: &Inst, a: u32, r: Gpr, k: i32) -> bool {
        let v = self.pos;
        let hint = self.an.values[v as usize].hint;
        if hint == NO_HINT || hint != r || inst.ty != Ty::I64 || k.abs() > LARGEST_STEP || !self.live_after(a) {
            return false;
        }
        if !self.only_addresses_left(a) || self.is_slot_after(a) {
            return false;
        }
        self.rebased.push((a, v, -k));
        let end = self.an.values[a as usize].end;
        let sum = &mut self.an.values[v as usize];
        sum.end = sum.end.max(end);
        true
    }

    /// Whether all later uses of a value are as the base of plain accesses.
    fn only_addresses_left(&self, a: u32) -> bool {
        let mut last = self.pos;
        for at in self.an.uses_after(a, self.pos) {
            let inst = &self.unit.insts[at as usize];
            let plain = match inst.op {
                Op::Load => true,
                Op::Store => self.an.arg(inst, 1) != a,
                _ => false,
            };
            if !plain {
                return false;
            }
            let address = self.an.addr(self.unit, inst.args[0]);
            if address.base != a || address.index == a || address.narrow || address.disp.abs() > LARGEST_DISPLACEMENT {
                return false;
            }
            last = last.max(at);
        }
        // Someone else may have been promised it for longer.
        self.an.values[a as usize].end <= last + 1
    }

    /// Whether a slot has the value after the current instruction, now or later, or a comparison of it that is still to be made.
    fn is_slot_after(&self, a: u32) -> bool {
        let next = self.pos + 1;
        let from = self.unit.puts.partition_point(|p| p.pos < next);
        let puts = &self.unit.puts[from..];
        if puts.iter().any(|p| self.shows(self.an.val(p.val), a)) {
            return true;
        }
        let stays = |slot: u16| {
            let replaced = puts.iter().take_while(|p| p.pos == next).any(|p| p.slot.0 == slot);
            self.shows(self.cur[slot as usize], a) && !replaced
        };
        let gets = self.an.gets.iter().copied();
        self.conv.pinned_slots().chain(self.dirty.iter().copied()).chain(gets).any(stays)
    }

    /// Whether `v` is `a`, or a comparison with it or made of it for exits or faults alone.
    pub(super) fn shows(&self, v: u32, a: u32) -> bool {
        let compares = |cond: Cond| self.shows(cond.a, a) || cond.kind != CondKind::Bit && self.shows(cond.b, a);
        let made_of = |inst: &Inst| operands(self.unit, inst).iter().any(|o| self.shows(self.an.val(*o), a));
        if v == a || v == NO {
            return v == a;
        }
        if let Some(choice) = self.an.choice(v)
            && (compares(choice.gate) || choice.values().any(|arm| self.shows(arm, a)))
        {
            return true;
        }
        match self.an.values[v as usize].mode {
            Mode::Shown => made_of(&self.unit.insts[v as usize]),
            _ => self.an.cond(v).is_some_and(compares),
        }
    }

    /// The value that an address is to be computed from, and what to add to it.
    pub(super) fn base_of(&self, mut v: u32) -> (u32, i32) {
        let mut sum = 0;
        while v != NO
            && self.is_nowhere(v)
            && let Some(&(_, of, k)) = self.rebased.iter().find(|r| r.0 == v)
        {
            (v, sum) = (of, sum + k);
        }
        (v, sum)
    }
}
