//! Leaving a unit: guest state to the boundary, then the jump, call or return.
//!
//! Side exits are complete when their unit is published. A stub in the place of each that records what is to be moved, and code when
//! it is taken a second time, was measured: of sqlite3's exits half lead to code that is executed, and the records and the second
//! emission take what the other half would save (0.3 bytes more an instruction of aarch64, and more on riscv64). What is seldom
//! executed is not translated at all, which saves more ([`crate::t1`]: its first executions are interpreted).

use std::mem::offset_of;

use ir::guest::Guest;
use ir::unit::{Exit, ExitKind, Trap, UnitKey};
use ir::{GuestState, Ty};

use super::analysis::NO;
use super::asm::{Alu, Label, Mem, RAX, RCX, RDX, RSP, cc};
use super::claims::Claim;
use super::emit_fp::other_rounding;
use super::generator::{Gen, NONE};
use super::snapshot::Loc;
use super::{Gpr, Link, LinkKind, Mark, StubId};
use crate::thread_state::{Deferred, JumpEntry, Leave, ThreadState, jump_tag};

/// Why code outside the main line was branched to.
#[derive(Clone, Copy, Debug)]
pub(super) enum SideKind {
    /// Exit of the unit.
    Exit(Exit),
    /// Misaligned access at the guest address under the mode, of the data address in a register.
    Alignment(u64, u32, Gpr),
}

/// Code to emit after the main line: the state at the branch is in `moves`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Side {
    label: Label,
    kind: SideKind,
    moves: (u32, u32),
    /// Comparison that the flags are of at the branch.
    flags: Option<Loc>,
    /// Position of the branch.
    pos: u32,
    /// Slots that have boxes there.
    boxes: u64,
    /// Precision and rounding of the host's x87 there.
    control: u16,
}

/// `lea rsp, [rsp + 8]`.
const LANDING: [u8; 5] = [0x48, 0x8d, 0x64, 0x24, 0x08];

const FIELD_PC: usize = offset_of!(ThreadState, guest) + offset_of!(GuestState, pc);
pub(super) const FIELD_WHAT: usize = offset_of!(ThreadState, deferred) + offset_of!(Deferred, what);
const FIELD_MODE: usize = offset_of!(ThreadState, guest) + offset_of!(GuestState, mode);

/// Multiplier from a guest address to a byte offset in the jump cache, as a shift.
pub(super) fn jump_shift(guest: &Guest) -> u8 {
    (size_of::<JumpEntry>() as u32 / guest.insn_align.clamp(1, 16)).trailing_zeros() as u8
}

impl Gen<'_> {
    // ------------------------------------------------------------------ what has to move
    /// Appends to `self.moves` what brings the state of this position to the boundary; returns the range. `again`: to the unit's
    /// own start, where slots that it overwrites before anything can see them need not be right.
    pub(super) fn collect_moves(&mut self, again: bool) -> (u32, u32) {
        let from = self.moves.len() as u32;
        for &(slot, r) in &self.conv.pins {
            let v = self.cur[slot.0 as usize];
            if v == NO {
                self.moves.push((slot.0, Loc::home(slot.0)));
            } else if self.gpr_of(v) != r {
                let loc = self.loc(v);
                self.moves.push((slot.0, loc));
            }
        }
        let vectors = if self.vectors_moved { self.conv.vector_pins.as_slice() } else { &[] };
        for &(slot, x) in vectors {
            let v = self.cur[slot.0 as usize];
            if v == NO {
                self.moves.push((slot.0, Loc::home(slot.0)));
            } else if self.place[v as usize].xmm != x {
                let loc = self.loc(v);
                self.moves.push((slot.0, loc));
            }
        }
        for i in 0..self.dirty.len() {
            let slot = self.dirty[i];
            if again && self.an.overwritten_unseen(slot) {
                continue;
            }
            let loc = self.exit_loc(slot);
            if loc != Loc::home(slot) {
                self.moves.push((slot, loc));
            }
        }
        if self.claims.is_some() {
            for i in from as usize..self.moves.len() {
                let (slot, loc) = self.moves[i];
                self.claim_slot(slot, loc);
            }
        }
        (from, self.moves.len() as u32)
    }

    /// A branch target for code outside the main line that leaves with the state of this position.
    pub(super) fn side(&mut self, kind: SideKind) -> Label {
        let label = self.asm.label();
        let moves = self.collect_moves(false);
        let flags = self.flag_locs();
        let boxes = self.boxed_slots();
        self.sides.push(Side { label, kind, moves, flags, pos: self.pos, boxes, control: self.control });
        label
    }

    /// The comparison that the flags are of, in terms of locations.
    fn flag_locs(&self) -> Option<Loc> {
        let (kind, ty, a, b) = self.flags?;
        self.placed_loc(kind, ty, a, b)
    }

    /// Emits the code of all sides.
    pub(super) fn emit_sides(&mut self) {
        self.at_end = false;
        for i in 0..self.sides.len() {
            let side = self.sides[i];
            self.asm.bind(side.label);
            self.pos = side.pos;
            self.flags_of_locs = side.flags;
            self.boxes_left = side.boxes;
            self.control = side.control;
            self.enter_usual_control();
            match side.kind {
                SideKind::Exit(exit) => {
                    self.move_to_boundary(side.moves, None);
                    self.claim_boundary(false);
                    self.leave(&exit);
                }
                SideKind::Alignment(pc, mode, r) => {
                    self.move_to_boundary(side.moves, Some((Loc::gpr(RDX), Loc::gpr(r))));
                    self.claim_boundary(false);
                    self.asm.store(8, Self::field(offset_of!(ThreadState, exit_operand)), RDX);
                    self.store_mode(mode);
                    self.leave_to_rust(Leave::Alignment, pc);
                }
            }
        }
        self.emit_turns();
    }

    /// Everything is where it has to be for leaving.
    pub(super) fn claim_boundary(&mut self, again: bool) {
        self.claim(Claim::AtBoundary { pos: self.pos, again, deferred: self.deferred });
    }

    /// The unconditional exit at this position; `operand` is the address of an indirect one.
    pub(super) fn final_exit(&mut self, exit: &Exit, operand: Option<u32>) {
        self.flags_of_locs = self.flag_locs();
        self.enter_usual_control();
        if self.is_self(exit) {
            return self.turn();
        }
        self.at_end = true;
        self.boxes_left = self.boxed_slots();
        let moves = self.collect_moves(false);
        self.masked_return = self.an.masked_return(self.unit, self.inst());
        let operand = self.masked_return.or(operand).map(|v| self.loc(v));
        let to = if matches!(exit.kind, ExitKind::Flush { .. } | ExitKind::NativeCall) { RDX } else { RAX };
        self.move_to_boundary(moves, operand.map(|loc| (Loc::gpr(to), loc)));
        self.claim_boundary(false);
        if exit.kind == ExitKind::Redispatch && operand.is_some() {
            if exit.mode_in_state {
                return self.asm.jmp_stub(StubId::ModeChange);
            }
            self.asm.store(8, Self::field(FIELD_PC), RAX);
            self.asm.mov_ri(RAX, Leave::Redispatch as u64);
            return self.asm.jmp_stub(StubId::Leave);
        }
        self.leave(exit);
    }

    /// A conditional exit followed at once by the unit's last: the backward one of the two stays in the main line.
    pub(super) fn final_pair(&mut self, cond: u32, taken: &Exit, other: &Exit) {
        if self.is_self(taken) || self.is_self(other) {
            let (negate, rest) = if self.is_self(taken) { (false, other) } else { (true, taken) };
            self.turn_if(cond, negate);
            self.mark(Mark::Exit);
            return self.final_exit(rest, None);
        }
        let loop_back = taken.kind == ExitKind::Jump && taken.target <= self.unit.key.pc;
        let code = self.condition(cond);
        let (code, inline, outline) = if loop_back { (code ^ 1, taken, other) } else { (code, other, taken) };
        let side = self.side(SideKind::Exit(*outline));
        self.asm.jcc(code, side);
        self.final_exit(inline, None);
    }

    /// At the entry of a unit that wants the condition flags at home.
    pub(super) fn settle_entry(&mut self) {
        self.asm.alu_mi(Alu::Cmp, 4, Self::field(FIELD_WHAT), 0);
        let (label, back) = (self.asm.label(), self.asm.label());
        self.asm.jcc(cc::NE, label);
        self.asm.bind(back);
        self.settle = Some((label, back));
    }

    fn gpr_of(&self, v: u32) -> u8 {
        match self.loc_register(v) {
            Some(r) => r,
            None => NONE,
        }
    }

    // ------------------------------------------------------------------ the transfer
    /// Leaves at the boundary. Operands of indirect exits are in `rax` (addresses to go to) or `rdx` (data).
    fn leave(&mut self, exit: &Exit) {
        if !exit.mode_in_state {
            self.store_mode(exit.mode);
            if exit.kind == ExitKind::Jump {
                self.round_as_in(exit.mode);
            }
        }
        let operand = Self::field(offset_of!(ThreadState, exit_operand));
        match exit.kind {
            ExitKind::Jump => self.leave_jump(exit),
            ExitKind::Call => self.leave_call(exit),
            ExitKind::Indirect => self.leave_indirect(exit),
            ExitKind::IndirectCall => self.leave_indirect_call(exit),
            ExitKind::Return => self.leave_return(exit),
            ExitKind::Syscall if self.conv.direct_calls => self.system_call(exit),
            ExitKind::Syscall => self.leave_to_rust(Leave::Syscall, exit.target),
            ExitKind::Trap(trap) => {
                let (leave, code) = match trap {
                    Trap::Undefined => (Leave::Undefined, 0),
                    Trap::Breakpoint(code) => (Leave::Breakpoint, code),
                    Trap::IntegerOverflow => (Leave::IntegerOverflow, 0),
                    Trap::DivideByZero => (Leave::DivideByZero, 0),
                    Trap::Trap(code) => (Leave::Trap, code),
                    Trap::Alignment => (Leave::Alignment, 0),
                };
                self.asm.mov_ri(RCX, u64::from(code));
                self.asm.store(8, operand, RCX);
                self.leave_to_rust(leave, exit.target);
            }
            ExitKind::NativeCall => {
                self.asm.store(8, operand, RDX);
                self.leave_to_rust(Leave::NativeCall, exit.target);
            }
            ExitKind::Flush { len } => self.leave_flushing(exit, len),
            ExitKind::Redispatch if exit.mode_in_state => {
                self.asm.mov_ri(RAX, exit.target);
                self.asm.jmp_stub(StubId::ModeChange);
            }
            ExitKind::Redispatch => self.leave_to_rust(Leave::Redispatch, exit.target),
            ExitKind::Step => self.leave_to_rust(Leave::Step, exit.target),
            ExitKind::Retreat => {
                self.link(LinkKind::Jump, UnitKey { pc: exit.target, mode: exit.mode | self.retreats_to })
            }
        }
    }

    /// Looks for what is at the address in `rax`.
    fn leave_indirect(&mut self, exit: &Exit) {
        self.poll_indirect();
        self.lookup(exit);
        self.asm.jcc_stub(cc::NE, StubId::IndirectMiss);
        self.asm.op_rm(4, 0xff, 4, Mem::base(RCX, 8)); // jmp [rcx + 8]
    }

    /// Translations of the `len` bytes at `rdx` are stale, if any is made of what can change.
    fn leave_flushing(&mut self, exit: &Exit, len: u32) {
        let changeable = self.asm.label();
        self.full_fence();
        self.asm.load(8, RCX, Self::field(offset_of!(ThreadState, changeable)));
        self.asm.alu_mi(Alu::Cmp, 4, Mem::base(RCX, 0), 0);
        self.asm.jcc(cc::NE, changeable);
        self.asm.mov_ri(RAX, exit.target);
        self.leave_indirect(exit);
        self.asm.bind(changeable);
        self.asm.store(8, Self::field(offset_of!(ThreadState, exit_operand)), RDX);
        self.asm.store_imm(4, Self::field(offset_of!(ThreadState, exit_len)), len as i32);
        self.leave_to_rust(Leave::Flush, exit.target);
    }

    /// Goes on here when the stub has performed the call.
    fn system_call(&mut self, exit: &Exit) {
        self.store_pc(exit.target);
        self.asm.bytes(&[0x48, 0x8d, 0x05]); // lea rax, [rip + 5]: behind the jump
        self.asm.dword(5);
        self.asm.jmp_stub(StubId::Syscall);
        self.boxes_left = 0;
        self.link(LinkKind::Jump, UnitKey { pc: exit.target, mode: exit.mode });
    }

    pub(super) fn leave_to_rust(&mut self, leave: Leave, pc: u64) {
        self.store_pc(pc);
        self.asm.mov_ri(RAX, leave as u64);
        self.asm.jmp_stub(StubId::Leave);
    }

    /// Has the host round as in the mode to go on with, so that the jump is linked. Where more is different, the dispatcher finds
    /// that and sees to it.
    fn round_as_in(&mut self, mode: u32) {
        let Some(field) = other_rounding(self.guest, self.unit.key.mode, mode) else { return };
        let temp = Self::field(offset_of!(ThreadState, mxcsr_temp));
        self.asm.op_rm(4, 0x0fae, 3, temp); // stmxcsr
        self.asm.alu_mi(Alu::And, 4, temp, !(3 << 13));
        self.asm.alu_mi(Alu::Or, 4, temp, (field << 13).cast_signed());
        self.asm.op_rm(4, 0x0fae, 2, temp); // ldmxcsr
    }

    /// The mode word to go on with.
    fn store_mode(&mut self, mode: u32) {
        if mode != self.unit.key.mode {
            self.asm.store_imm(4, Self::field(FIELD_MODE), mode as i32);
        }
    }

    fn store_pc(&mut self, pc: u64) {
        let m = Self::field(FIELD_PC);
        match i32::try_from(pc as i64) {
            Ok(k) => self.asm.store_imm(8, m, k),
            Err(_) => {
                self.asm.mov_ri(RCX, pc);
                self.asm.store(8, m, RCX);
            }
        }
    }

    /// `cmp [poll], 0`.
    pub(super) fn poll_compare(&mut self) {
        self.asm.alu_mi(Alu::Cmp, 4, Self::field(offset_of!(ThreadState, poll)), 0);
    }

    /// Leaves for Rust if asked to; `rax` has the address to continue at.
    fn poll_indirect(&mut self) {
        self.poll_compare();
        self.asm.jcc_stub(cc::NE, StubId::Poll);
    }

    /// Polls before a backward transfer: the field of the jump to what [`Gen::leave_by_poll`] emits behind the transfer.
    fn poll_backward(&mut self, exit: &Exit) -> Option<usize> {
        (exit.target <= exit.pc).then(|| {
            self.poll_compare();
            self.asm.jcc_short(cc::NE)
        })
    }

    /// Leaves for Rust if [`Gen::poll_backward`] has seen that it is asked to.
    fn leave_by_poll(&mut self, field: Option<usize>, exit: &Exit) {
        let Some(field) = field else { return };
        self.asm.land(field);
        let at = self.asm.call();
        let target = UnitKey { pc: exit.target, mode: exit.mode };
        self.links.push(Link { at, kind: LinkKind::Poll, target, boxes: 0 });
    }

    fn leave_jump(&mut self, exit: &Exit) {
        let poll = self.poll_backward(exit);
        self.link(LinkKind::Jump, UnitKey { pc: exit.target, mode: exit.mode });
        self.leave_by_poll(poll, exit);
    }

    /// A patchable jump or call.
    fn link(&mut self, kind: LinkKind, target: UnitKey) {
        let at = self.asm.patchable();
        self.links.push(Link { at, kind, target, boxes: self.boxes_left });
    }

    /// The word pushed beside host return addresses: what [`jump_tag`] gives.
    fn push_return(&mut self, exit: &Exit) {
        let tag = jump_tag(exit.ret, exit.ret_mode);
        if let Some(r) = self.register_with(tag) {
            return self.asm.push(r);
        }
        match i32::try_from(tag as i64) {
            Ok(k) => {
                self.asm.byte(0x68);
                self.asm.dword(k);
            }
            Err(_) => {
                self.asm.mov_ri(RDX, tag);
                self.asm.push(RDX);
            }
        }
    }

    /// The register of a pinned slot that is known to have this value: as a rule the guest's return address.
    fn register_with(&self, value: u64) -> Option<Gpr> {
        let has = |slot: u16| {
            let v = self.cur[slot as usize];
            v != NO && self.guest.slots[slot as usize].ty == Ty::I64 && self.constant(v) == Some(value.into())
        };
        self.conv.pins.iter().find(|(slot, _)| self.at_end && has(slot.0)).map(|pin| pin.1)
    }

    fn landing_pad(&mut self, exit: &Exit) {
        self.asm.bytes(&LANDING);
        // Nothing is known of what a function leaves.
        self.boxes_left = 0;
        self.link(LinkKind::Jump, UnitKey { pc: exit.ret, mode: exit.ret_mode });
    }

    fn leave_call(&mut self, exit: &Exit) {
        let poll = self.poll_backward(exit);
        self.push_return(exit);
        self.link(LinkKind::Call, UnitKey { pc: exit.target, mode: exit.mode });
        self.landing_pad(exit);
        self.leave_by_poll(poll, exit);
    }

    /// Compares the jump-cache entry of the address in `rax` with it: `rcx` = entry, equal if it is the one.
    fn lookup(&mut self, exit: &Exit) {
        let shift = jump_shift(self.guest);
        if (1..=3).contains(&shift) {
            self.asm.lea(4, RCX, Mem { base: Mem::NONE, index: RAX, scale: shift, disp: 0, narrow: false });
        } else {
            self.asm.mov_rr(4, RCX, RAX);
            self.asm.shift_ri(super::asm::Shift::Shl, 4, RCX, shift);
        }
        self.asm.alu_rm(Alu::And, 8, RCX, Self::field(offset_of!(ThreadState, jump_mask)));
        self.asm.alu_rm(Alu::Add, 8, RCX, Self::field(offset_of!(ThreadState, jump_base)));
        let tag = self.tag_register(exit);
        self.asm.alu_mr(Alu::Cmp, 8, Mem::base(RCX, 0), tag);
    }

    /// A register with the tag of the address in `rax` under the exit's mode.
    fn tag_register(&mut self, exit: &Exit) -> Gpr {
        if exit.mode_in_state {
            self.asm.load(4, RDX, Self::field(FIELD_MODE));
            self.asm.shift_ri(super::asm::Shift::Rol, 8, RDX, 48);
            self.asm.alu_rr(Alu::Xor, 8, RDX, RAX);
            return RDX;
        }
        let fold = jump_tag(0, exit.mode);
        if fold == 0 {
            return RAX;
        }
        self.asm.mov_ri(RDX, fold);
        self.asm.alu_rr(Alu::Xor, 8, RDX, RAX);
        RDX
    }

    fn leave_indirect_call(&mut self, exit: &Exit) {
        self.poll_indirect();
        self.lookup(exit);
        let miss = self.asm.label();
        let landing = self.asm.label();
        self.asm.jcc(cc::NE, miss);
        self.push_return(exit);
        self.asm.op_rm(4, 0xff, 2, Mem::base(RCX, 8)); // call [rcx + 8]
        self.asm.bind(landing);
        self.landing_pad(exit);
        self.asm.bind(miss);
        self.push_return(exit);
        self.asm.call_stub(StubId::IndirectMiss);
        self.asm.jmp(landing);
    }

    fn leave_return(&mut self, exit: &Exit) {
        let tag = self.tag_register(exit);
        self.asm.alu_mr(Alu::Cmp, 8, Mem::base(RSP, 8), tag);
        if self.masked_return.take().is_some() {
            // As a rule there is nothing to clear.
            let miss = self.asm.label();
            self.asm.jcc(cc::NE, miss);
            self.asm.byte(0xc3);
            self.asm.bind(miss);
            self.asm.alu_ri(Alu::And, 8, RAX, -2);
            return self.asm.jmp_stub(StubId::ReturnMiss);
        }
        self.asm.jcc_stub(cc::NE, StubId::ReturnMiss);
        self.asm.byte(0xc3);
    }

    /// What is seldom done at the entry, after everything else.
    pub(super) fn emit_cold(&mut self) {
        if let Some((label, back)) = self.settle.take() {
            self.asm.bind(label);
            self.asm.call_stub(StubId::Settle);
            self.asm.jmp(back);
        }
        self.emit_wrong_assumption();
    }
}
