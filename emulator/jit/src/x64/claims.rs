//! What emission believes of registers and memory while it emits: the material for a proof that it was right
//! ([`super::proof`]). Kept on request only.

use ir::Ty;

use super::analysis::{Cond, CondKind, Mode, NO};
use super::choices::Arm;
use super::float_checks::Step;
use super::generator::{Gen, NONE};
use super::snapshot::{Kind, Loc};
use super::{Gpr, Xmm, generic};

/// Where generated code keeps a value.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) enum Cell {
    /// General register.
    Gpr(u8),
    /// Vector register.
    Xmm(u8),
    /// Displacement from `rbp`: homes, spill slots and scratch slots.
    Mem(i32),
}

/// A belief, true from the code offset it was noted at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Claim {
    /// The instruction at this position starts: what the one before defines is where it was promised.
    Starts(u32),
    /// Nothing is promised about registers that instructions have claimed.
    Unlocks,
    /// The low `bits` of the value are in the cell.
    Holds { value: u32, cell: Cell, bits: u16 },
    /// The same, and the current instruction reads it there: nothing else comes between.
    Reads { value: u32, cell: Cell, bits: u16 },
    /// The instruction has read it, or uses the cell for something else from here on.
    Releases(Cell),
    /// The current instruction leaves its result, of so many bits, there.
    Defines { cell: Cell, bits: u16 },
    /// Cold code has just made the value again, there.
    Remakes { value: u32, cell: Cell, bits: u16 },
    /// All slots have been brought home.
    AtHome { pos: u32 },
    /// All slots are as a helper has left them.
    Forgets,
    /// Slots are as they are at this position: pinned ones in their registers, others at home. `again`: at the unit's own
    /// start, where some need not be. `deferred`: the condition flags are left as a comparison.
    AtBoundary { pos: u32, again: bool, deferred: bool },
    /// The comparison that the slot's value at this position is of is made, its first operand in the cell, or its second.
    Compares { pos: u32, slot: u16, second: bool, cell: Cell },
    /// The flags at this position are of one of two comparisons: an operand of one is in the cell, the first or the second.
    Chooses { pos: u32, arm: bool, second: bool, cell: Cell },
    /// The cell has, from here on, the sign extension that the slot's value at this position is.
    Extends { pos: u32, slot: u16, cell: Cell },
    /// The fault table's point of this number shows the slots of this position.
    Shows { point: usize, pos: u32 },
}

/// Claims in the order of the code they are about.
#[derive(Default, Debug)]
pub(super) struct Claims {
    pub(super) all: Vec<(u32, Claim)>,
}

impl Gen<'_> {
    /// Notes a claim, if there is to be a proof.
    #[inline]
    pub(super) fn claim(&mut self, claim: Claim) {
        if let Some(claims) = &mut self.claims {
            claims.all.push((self.asm.at(), claim));
        }
    }

    /// Bits of a value: of a pinned slot at entry, those of the slot; of a slot of which only a part is wanted, those of the part.
    pub(super) fn bits(&self, v: u32) -> u16 {
        if self.an.values[v as usize].narrow != 0 {
            return u16::from(self.an.values[v as usize].narrow) * 8;
        }
        let pin = (v as usize).checked_sub(self.unit.insts.len());
        pin.map_or(self.ty(v), |k| self.guest.slots[self.conv.pinned_slot(k) as usize].ty).bits() as u16
    }

    /// Bits of a value that a general register has to have.
    pub(super) fn gpr_bits(&self, v: u32) -> u16 {
        self.bits(v).min(64)
    }

    pub(super) fn claim_gpr(&mut self, v: u32, r: Gpr) {
        if self.claims.is_some() {
            let bits = self.gpr_bits(v);
            self.claim(Claim::Reads { value: v, cell: Cell::Gpr(r), bits });
        }
    }

    pub(super) fn claim_xmm(&mut self, v: u32, x: Xmm) {
        if self.claims.is_some() {
            let bits = self.bits(v);
            self.claim(Claim::Reads { value: v, cell: Cell::Xmm(x), bits });
        }
    }

    /// As much of a value as a type has was stored for Rust code.
    pub(super) fn claim_argument(&mut self, v: u32, ty: Ty, disp: i32) {
        if self.claims.is_some() && self.an.values[v as usize].mode != Mode::Cond {
            let bits = self.bits(v).min(ty.bits() as u16);
            self.claim(Claim::Holds { value: v, cell: Cell::Mem(disp), bits });
        }
    }

    /// Cold code has found an operand of the operation, and stored it.
    pub(super) fn claim_operand(&mut self, step: &Step, k: usize) {
        let flushed = self.an.flushes(&self.unit.insts[step.value as usize]);
        if self.claims.is_some() && step.operands[k] != NONE && !flushed {
            self.claim_argument(step.values[k], generic::operand(step.desc, k), Self::scratch(k).disp);
        }
    }

    /// The result of an operation is where the check of it looks.
    pub(super) fn claim_result(&mut self, step: &Step) {
        if self.claims.is_some() {
            let (value, cell) = (step.value, step.result.cell());
            let bits = self.bits(value);
            self.claim(Claim::Holds { value, cell, bits });
        }
    }

    /// Cold code has made the result again.
    pub(super) fn claim_remade(&mut self, step: &Step) {
        if self.claims.is_some() {
            let (value, cell) = (step.value, step.result.cell());
            let bits = if let Cell::Gpr(_) = cell { self.gpr_bits(value) } else { self.bits(value) };
            self.claim(Claim::Remakes { value, cell, bits });
        }
    }

    /// An operand of the comparison that a slot's value is of.
    pub(super) fn claim_compared(&mut self, slot: u16, second: bool, cell: Cell) {
        self.claim(Claim::Compares { pos: self.pos, slot, second, cell });
    }

    /// The cell of a simple location, if it is one.
    fn cell(&self, loc: Loc) -> Option<Cell> {
        let (kind, n) = loc.parts();
        match kind {
            Kind::Gpr => Some(Cell::Gpr(n as u8)),
            Kind::Xmm => Some(Cell::Xmm(n as u8)),
            Kind::Spill => Some(Cell::Mem(Self::spill_mem(n as u16).disp)),
            Kind::Home => Some(Cell::Mem(self.home_mem(n as u16).disp)),
            Kind::Const | Kind::Bit | Kind::Expression | Kind::Choice => None,
        }
    }

    fn claim_loc(&mut self, v: u32, loc: Loc, bits: u16) {
        let bits = bits.min(self.bits(v));
        if self.an.values[v as usize].mode == Mode::Emit
            && let Some(cell) = self.cell(loc)
        {
            self.claim(Claim::Holds { value: v, cell, bits });
        }
    }

    /// The location is of a comparison: its operands are those of it.
    fn claim_recipe(&mut self, c: Cond, loc: Loc) {
        let Some(recipe) = loc.as_recipe() else { return };
        let bits = c.ty.bits().min(64) as u16;
        self.claim_loc(c.a, recipe.a, bits);
        if c.kind != CondKind::Bit {
            self.claim_loc(c.b, recipe.b, bits);
        }
    }

    /// The location is of the slot's value at this position; of a comparison, its operands are those of the value's.
    pub(super) fn claim_slot(&mut self, slot: u16, loc: Loc) {
        if self.claims.is_none() {
            return;
        }
        let v = self.cur[slot as usize];
        if v == NO {
            return;
        }
        if let (Some(&chosen), Some(choice)) = (self.an.choice(v), self.choice_at(loc)) {
            self.claim_recipe(chosen.gate, choice.gate);
            for (arm, loc) in chosen.arms.into_iter().zip(choice.arms) {
                if let Arm::Value(v) = arm
                    && let Some(c) = self.an.cond(v)
                {
                    self.claim_recipe(c, loc);
                }
            }
            return;
        }
        match (self.an.cond(v), loc.as_recipe()) {
            (Some(c), Some(_)) => self.claim_recipe(c, loc),
            (None, None) => {
                let bits = self.bits(v).min(self.guest.slots[slot as usize].ty.bits() as u16);
                self.claim_loc(v, loc, bits);
            }
            _ => {}
        }
    }
}
