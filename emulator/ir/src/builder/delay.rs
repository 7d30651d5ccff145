//! Delay slots: a transfer of control that takes effect after the instruction behind it.
//!
//! The transfer is decided where it stands, its condition and target are values from then on, and the instruction in the
//! slot follows it in the same unit, under the transfer's own address: what the slot raises, the transfer raised, as
//! processors with delay slots report it. The exits come when the slot ends.

use super::{Builder, Hint};
use crate::inst::Val;
use crate::unit::Boundary;

/// When the instruction in the slot is executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Delay {
    /// There is no slot.
    None,
    /// Always.
    Always,
    /// Only if the transfer is taken.
    IfTaken,
}

/// A transfer that waits for the end of its slot.
#[derive(Clone, Copy, Debug)]
pub(super) enum Transfer {
    Jump(u64),
    Branch(Val, u64),
    Indirect(Val, Hint),
    Call(u64, u64),
}

impl Builder<'_> {
    /// [`Builder::jump`] behind a slot.
    pub fn jump_delayed(&mut self, target: u64, delay: Delay) {
        self.delay(Transfer::Jump(target), delay);
    }

    /// [`Builder::branch`] behind a slot.
    pub fn branch_delayed(&mut self, cond: Val, target: u64, delay: Delay) {
        let known = self.as_const(cond).filter(|_| self.folds);
        match (known, delay) {
            (_, Delay::None) => self.branch(cond, target),
            (Some(0), Delay::Always) => {}
            // The instruction in the slot is skipped: one that is as long as this one.
            (Some(0), Delay::IfTaken) => self.jump(self.after_slot()),
            (Some(_), _) => self.delay(Transfer::Jump(target), delay),
            (None, Delay::Always) => self.delay(Transfer::Branch(cond, target), delay),
            (None, Delay::IfTaken) => {
                let not = self.not(1, cond);
                self.branch(not, self.after_slot());
                self.delay(Transfer::Jump(target), delay);
            }
        }
    }

    /// [`Builder::jump_indirect`] behind a slot.
    pub fn jump_indirect_delayed(&mut self, target: Val, hint: Hint, delay: Delay) {
        let target = self.widened(target);
        self.delay(Transfer::Indirect(target, hint), delay);
    }

    /// [`Builder::call`] behind a slot.
    pub fn call_delayed(&mut self, target: u64, returns_to: u64, delay: Delay) {
        self.delay(Transfer::Call(target, returns_to), delay);
    }

    fn delay(&mut self, transfer: Transfer, delay: Delay) {
        if self.ended.is_some() || self.misplaced() {
            return;
        }
        match delay {
            Delay::None => self.transfer(transfer),
            _ => self.delayed = Some(transfer),
        }
    }

    /// Address behind the slot, whose instruction is as long as this one.
    fn after_slot(&self) -> u64 {
        self.next.wrapping_add(self.next.wrapping_sub(self.at))
    }

    /// Whether the instruction that just ended has a slot, which the next instruction fills.
    #[must_use]
    pub fn wants_slot(&self) -> bool {
        self.delayed.is_some() && self.ended.is_none()
    }

    /// Starts the instruction at `at`, which is in the slot of the one before.
    pub fn begin_slot(&mut self, at: u64) {
        self.at = at;
        self.next = at;
        self.insn_mode = self.mode;
        self.open = true;
        self.in_slot = true;
        self.unit.bounds.push(Boundary { pos: self.unit.insts.len() as u32, pc: self.pc, mode: self.mode });
    }

    /// A transfer of control in a slot: what happens is unpredictable; here it is an undefined instruction.
    pub(super) fn misplaced(&mut self) -> bool {
        if self.in_slot {
            self.undefined();
        }
        self.in_slot
    }

    /// The transfer that waited, if there is one.
    pub(super) fn end_slot(&mut self) {
        self.in_slot = false;
        if let Some(transfer) = self.delayed.take()
            && self.ended.is_none()
        {
            // The dispatcher finds the mode in the state, but not an address.
            if self.mode_in_state && matches!(transfer, Transfer::Indirect(..)) {
                return self.undefined();
            }
            self.transfer(transfer);
        }
    }

    fn transfer(&mut self, transfer: Transfer) {
        match transfer {
            Transfer::Jump(target) => self.jump(target),
            Transfer::Branch(cond, target) => self.branch(cond, target),
            Transfer::Indirect(target, hint) => self.jump_indirect(target, hint),
            Transfer::Call(target, returns_to) => self.call(target, returns_to),
        }
    }
}
