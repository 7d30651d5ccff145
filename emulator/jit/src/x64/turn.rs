//! Jumps to the unit's own entry: loops of one unit.
//!
//! A loop's state goes where the entry wants it before the branch that decides on another round, as far as that needs moves
//! alone: the branch is then one jump back, and what comes after the loop finds the state there as well.

use std::mem::offset_of;

use ir::unit::Exit;

use super::analysis::{Mode, NO};
use super::asm::{Alu, Label, RAX, cc};
use super::deferred::deferral;
use super::generator::{Gen, NONE};
use super::snapshot::Loc;
use super::{Gpr, StubId, Xmm};
use crate::form::LOOP_INSNS;
use crate::thread_state::ThreadState;

/// A poll seen at a jump to the unit's own entry: where to leave, with which moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    label: Label,
    moves: (u32, u32),
    pos: u32,
    /// The poll came before the branch.
    branch: Option<Branch>,
}

/// A branch to the unit's entry that is made once more.
#[derive(Clone, Copy, Debug)]
struct Branch {
    /// Offsets of the code of its comparison.
    compare: (u32, u32),
    /// Condition of the jump.
    code: u8,
    /// Where to go on if it does not hold.
    on: Label,
}

impl Gen<'_> {
    /// Whether an exit leads back to this unit's own entry.
    pub(super) fn is_self(&self, exit: &Exit) -> bool {
        let target = ir::unit::UnitKey { pc: exit.target, mode: exit.mode };
        exit.kind == ir::unit::ExitKind::Jump && target == self.unit.key && !exit.mode_in_state
    }

    /// Jumps to the unit's own entry if the one-bit value is not `negate`.
    pub(super) fn turn_if(&mut self, cond: u32, negate: bool) {
        self.summed = None;
        self.enter_usual_control();
        self.settle_loop();
        let stored = self.store_flags_early();
        self.poll_compare();
        let label = self.asm.label();
        self.asm.jcc(cc::NE, label);
        self.count_turn(label);
        self.flags = None;
        let from = self.asm.at();
        let code = self.condition(cond) ^ u8::from(negate);
        let compare = (from, self.asm.at());
        let (moves, all) = (self.collect_moves(true), self.collect_moves(false));
        let on = self.asm.label();
        // Where an operand is may have changed, not what it is.
        let slots = |(from, to): (u32, u32)| self.moves[from as usize..to as usize].iter().map(|m| m.0);
        let there = slots(moves).eq(slots(stored));
        if there {
            self.deferred = stored.0 != stored.1;
            self.claim_boundary(true);
            let start = self.start_again();
            self.asm.jcc_back(code, start);
        } else {
            self.asm.jcc(code ^ 1, on);
            self.flags_of_locs = None;
            self.move_to_boundary(moves, None);
            self.claim_boundary(true);
            let start = self.start_again();
            self.asm.jmp_back(start);
        }
        self.asm.bind(on);
        let branch = Some(Branch { compare, code, on });
        self.turns.push(Turn { label, moves: all, pos: self.pos, branch });
    }

    /// Jumps to the unit's own entry, with the `moves` that are needed there; leaves for Rust, with `all` moves, if asked to.
    pub(super) fn turn(&mut self) {
        let (moves, all) = (self.collect_moves(true), self.collect_moves(false));
        self.poll_compare();
        let label = self.asm.label();
        self.turns.push(Turn { label, moves: all, pos: self.pos, branch: None });
        if moves.0 == moves.1 {
            self.deferred = false;
            self.claim_boundary(true);
            let start = self.start_again();
            self.asm.jcc_back(cc::E, start);
            self.asm.jmp(label);
            return;
        }
        self.asm.jcc(cc::NE, label);
        self.flags_of_locs = None;
        self.move_to_boundary(moves, None);
        self.claim_boundary(true);
        let start = self.start_again();
        self.asm.jmp_back(start);
    }

    /// Counts a turn of a loop that would be unrolled if it were hot; polls if it is.
    fn count_turn(&mut self, hot: Label) {
        let insns = self.unit.bounds.partition_point(|bound| bound.pos <= self.pos);
        if self.count_turns && insns <= LOOP_INSNS as usize {
            self.asm.alu_mi(Alu::Sub, 4, Self::field(offset_of!(ThreadState, turns)), 1);
            self.asm.jcc(cc::S, hot);
        }
    }

    /// Emits what polls at such jumps lead to.
    pub(super) fn emit_turns(&mut self) {
        for turn in std::mem::take(&mut self.turns) {
            self.asm.bind(turn.label);
            self.pos = turn.pos;
            if let Some(Branch { compare, code, on }) = turn.branch {
                self.asm.repeat(compare);
                self.asm.jcc(code ^ 1, on);
            }
            self.flags_of_locs = None;
            self.move_to_boundary(turn.moves, None);
            self.claim_boundary(false);
            self.asm.mov_ri(RAX, self.unit.key.pc);
            self.asm.jmp_stub(StubId::Poll);
        }
    }

    /// Leaves the condition flags as a comparison before the branch, if that is all that is left to be done for another round and
    /// whoever goes on writes them again. What has been done, as moves.
    fn store_flags_early(&mut self) -> (u32, u32) {
        let moves = self.collect_moves(true);
        let list = &self.moves[moves.0 as usize..moves.1 as usize];
        let only_flags = list.iter().all(|m| self.conv.flag(m.0).is_some());
        let early = only_flags && !self.an.needs_settled && deferral(self.conv, &self.unit.consts, list).is_some();
        if !early {
            return (moves.0, moves.0);
        }
        let list = list.to_vec();
        self.flags_of_locs = None;
        // The unit may go on.
        self.kept = (0..16).filter(|&r| self.gpr[r] != NO && self.live(self.gpr[r])).fold(0, |kept, r| kept | 1 << r);
        self.move_to_boundary(moves, None);
        self.kept = 0;
        self.moves[moves.0 as usize..moves.1 as usize].copy_from_slice(&list);
        moves
    }

    // ------------------------------------------------------------------ the state of the next round
    /// Brings slots where the entry wants them, as far as no other value is in the way. Never touches the flags.
    fn settle_loop(&mut self) {
        let conv = self.conv;
        for i in 0..self.dirty.len() {
            self.settle_extension_at_home(self.dirty[i]);
        }
        let mut again = true;
        while again {
            again = false;
            for &(slot, r) in &conv.pins {
                again |= self.settle_pin(slot.0, r);
            }
            if self.vectors_moved {
                for &(slot, x) in &conv.vector_pins {
                    again |= self.settle_vector_pin(slot.0, x);
                }
            }
        }
        for i in 0..self.dirty.len() {
            self.settle_home(self.dirty[i]);
        }
    }

    /// The value to move to the pinned slot's register, if there is one and nobody needs what the register has.
    fn value_for_pin(&self, slot: u16, owner: u32) -> Option<u32> {
        let v = self.cur[slot as usize];
        let free = owner == NO || !self.live(owner);
        (v != NO && v != owner && free && self.an.values[v as usize].mode != Mode::Cond).then_some(v)
    }

    fn settle_pin(&mut self, slot: u16, r: Gpr) -> bool {
        if self.settle_extension(slot, r) {
            return true;
        }
        let Some(v) = self.value_for_pin(slot, self.gpr[r as usize]) else { return false };
        let from = self.place[v as usize].gpr;
        // It may be that of another pinned slot, too, and there already.
        if self.conv.pins.iter().any(|&(other, pin)| pin == from && self.cur[other.0 as usize] == v) {
            return false;
        }
        self.drop_gpr(r);
        if from == NONE {
            self.load_into(r, v);
        } else {
            self.asm.mov_rr(8, r, from);
            self.drop_gpr(from);
        }
        self.gpr[r as usize] = v;
        self.place[v as usize].gpr = r;
        true
    }

    fn settle_vector_pin(&mut self, slot: u16, x: Xmm) -> bool {
        let Some(v) = self.value_for_pin(slot, self.xmm[x as usize]) else { return false };
        let from = self.place[v as usize].xmm;
        if self.conv.vector_pins.iter().any(|&(other, pin)| pin == from && self.cur[other.0 as usize] == v) {
            return false;
        }
        self.drop_xmm(x);
        if from == NONE {
            self.load_into_xmm(x, v);
        } else {
            self.asm.mov_xx(x, from);
            self.drop_xmm(from);
        }
        self.xmm[x as usize] = v;
        self.place[v as usize].xmm = x;
        true
    }

    /// Stores a slot that is not pinned, if its value is in a register.
    fn settle_home(&mut self, slot: u16) {
        let v = self.cur[slot as usize];
        let loc = self.slot_loc(slot);
        if v == NO || loc == Loc::home(slot) || self.an.overwritten_unseen(slot) || self.home_for(v) != Some(slot) {
            return;
        }
        let (size, m) = (self.guest.slots[slot as usize].ty.bytes(), self.home_mem(slot));
        if size <= 8 && self.in_gpr(v) {
            let r = self.place[v as usize].gpr;
            self.asm.store(size, m, r);
        } else if size >= 4 && self.in_xmm(v) {
            let x = self.place[v as usize].xmm;
            self.asm.store_xmm(size, m, x);
        } else {
            return;
        }
        self.settle(slot, v);
    }
}
