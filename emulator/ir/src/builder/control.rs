//! Exits, traps, mode changes and helper calls.

use super::emit::{NO_ARGS, one};
use super::{Builder, Hint};
use crate::inst::{Attr, Op, Val};
use crate::ty::Ty;
use crate::unit::{Exit, ExitKind, Trap};

impl Builder<'_> {
    /// Appends an exit; an unconditional one ends the unit. Does nothing after the end.
    fn exit(&mut self, op: Op, operand: Val, exit: Exit) {
        if self.ended.is_some() || self.skips() {
            return;
        }
        if exit.mode_in_state {
            self.store_mode();
        }
        let attr = Attr(self.unit.exits.len() as u32);
        self.unit.exits.push(exit);
        let ty = if op == Op::ExitInd { Ty::I64 } else { Ty::I1 };
        self.effect(op, ty, attr, one(operand));
        if op != Op::ExitIf {
            self.ended = Some(self.unit.insts.len());
        }
    }

    /// An exit of this instruction, in the mode that it set.
    pub(super) fn exit_to(&self, kind: ExitKind, target: u64, ret: u64) -> Exit {
        let (target, ret) = (self.guest.code_address(target), self.guest.code_address(ret));
        // A mode known only at run time: indirect exits find it in the state, unless the host's floating-point environment
        // has to follow. For others the dispatcher looks.
        let indirect = matches!(kind, ExitKind::Indirect | ExitKind::IndirectCall | ExitKind::Return);
        let redispatch = self.mode_in_state && (self.fp_in_state || !indirect);
        let kind = if redispatch { ExitKind::Redispatch } else { kind };
        let ret_mode = if matches!(kind, ExitKind::Call | ExitKind::IndirectCall) { self.fall_mode } else { 0 };
        Exit { kind, target, mode: self.mode, mode_in_state: self.mode_in_state, ret, ret_mode, pc: self.pc }
    }

    /// Ends the unit; the instruction's writes are done.
    fn leave(&mut self, kind: ExitKind, target: u64, ret: u64) {
        if self.ended.is_none() && !self.skips() {
            self.commit();
            self.flush();
            self.exit(Op::Exit, Val::NONE, self.exit_to(kind, target, ret));
        }
    }

    /// The same with an operand.
    fn leave_with(&mut self, operand: Val, kind: ExitKind, target: u64, ret: u64) {
        if self.ended.is_none() && !self.skips() {
            self.commit();
            self.flush();
            self.exit(Op::ExitInd, operand, self.exit_to(kind, target, ret));
        }
    }

    /// Ends the unit with a jump.
    pub fn jump(&mut self, target: u64) {
        if self.misplaced() || self.jump_on_predicate(self.exit_to(ExitKind::Jump, target, 0)) {
            return;
        }
        if self.mode_in_state && !self.fp_in_state {
            return self.find(target);
        }
        self.leave(ExitKind::Jump, target, 0);
    }

    /// Jumps if `cond`; the unit goes on otherwise.
    pub fn branch(&mut self, cond: Val, target: u64) {
        if self.misplaced() {
            return;
        }
        match self.as_const(cond).filter(|_| self.folds) {
            Some(0) => {}
            Some(_) => self.jump(target),
            None if self.ended.is_some() || self.skips() => {}
            None if self.is_under_short_branch(cond, self.exit_to(ExitKind::Jump, target, 0)) => {}
            None => {
                self.commit();
                self.flush();
                let exit = self.exit_to(ExitKind::Jump, target, 0);
                if self.may_turn(exit) {
                    return self.turn(cond, exit);
                }
                if !self.is_short_branch(cond, exit) {
                    self.exit(Op::ExitIf, cond, exit);
                }
            }
        }
    }

    /// If `allowed`, a branch to the start of the unit, as the last that the next instruction does, is taken in the unit: it goes on
    /// with another turn of the loop, and it is left if the branch is not taken.
    pub fn allow_turn(&mut self, allowed: bool) {
        self.may_turn = allowed;
        self.turn = None;
    }

    fn may_turn(&self, exit: Exit) -> bool {
        let (key, modes) = (self.unit.key, [self.insn_mode, self.fall_mode, exit.mode]);
        let same_mode = !self.mode_in_state && modes.iter().all(|mode| *mode == key.mode);
        self.may_turn && self.turn.is_none() && exit.kind == ExitKind::Jump && exit.target == key.pc && same_mode
    }

    fn turn(&mut self, cond: Val, exit: Exit) {
        let not = self.not(1, cond);
        self.turn = Some((self.unit.insts.len(), cond, exit));
        self.exit(Op::ExitIf, not, self.exit_to(ExitKind::Jump, self.next, 0));
    }

    /// Whether a value is of an earlier turn. What moves on with each turn is best computed from where it was in the one before,
    /// which nobody needs any more, not from where it was in the first.
    pub(super) fn is_of_earlier_turn(&self, v: Val) -> bool {
        v.index() < self.earlier_turns
    }

    /// Whether another turn is to follow the instruction that has just ended.
    pub fn turns(&mut self) -> bool {
        let Some((at, cond, exit)) = self.turn.take() else { return false };
        let last = self.unit.insts.len() == at + 1 && self.unit.puts.last().is_none_or(|put| put.pos as usize <= at);
        if last && self.ended.is_none() && self.mode == self.unit.key.mode && !self.mode_in_state {
            self.earlier_turns = self.unit.insts.len();
            return true;
        }
        // It does something else if it does not branch.
        let branch = &mut self.unit.insts[at];
        branch.args[0] = cond;
        self.unit.exits[branch.attr.index()] = exit;
        false
    }

    /// Ends the unit with a jump to a run-time address.
    pub fn jump_indirect(&mut self, target: Val, hint: Hint) {
        if self.misplaced() {
            return;
        }
        let target = self.widened(target);
        match (self.as_const(target).filter(|_| self.folds), hint) {
            (Some(target), Hint::Call) => self.call(target as u64, self.next),
            (Some(target), Hint::Plain) => self.jump(target as u64),
            (_, Hint::Call) => self.leave_with(target, ExitKind::IndirectCall, 0, self.next),
            (_, Hint::Plain) => self.leave_with(target, ExitKind::Indirect, 0, 0),
            (_, Hint::Ret) => self.leave_with(target, ExitKind::Return, 0, 0),
        }
    }

    /// Ends the unit with a call that is expected to return to `returns_to`.
    pub fn call(&mut self, target: u64, returns_to: u64) {
        if self.misplaced() {
            return;
        }
        self.leave(ExitKind::Call, target, returns_to);
    }

    // ---- traps: state before the instruction
    fn trap_exit(&self, kind: Trap) -> Exit {
        let mode = self.insn_mode;
        Exit {
            kind: ExitKind::Trap(kind),
            target: self.pc,
            mode,
            mode_in_state: false,
            ret: 0,
            ret_mode: 0,
            pc: self.pc,
        }
    }

    /// Ends the unit with a trap; the instruction's writes are not done.
    pub fn trap(&mut self, kind: Trap) {
        self.commit();
        self.unit.puts.truncate(self.pending);
        self.exit(Op::Exit, Val::NONE, self.trap_exit(kind));
    }

    /// Traps if `cond`, with the state before the instruction.
    pub fn trap_if(&mut self, cond: Val, kind: Trap) {
        match self.as_const(cond).filter(|_| self.folds) {
            Some(0) => {}
            Some(_) => self.trap(kind),
            None => self.exit(Op::ExitIf, cond, self.trap_exit(kind)),
        }
    }

    fn step_exit(&self) -> Exit {
        Exit { kind: ExitKind::Step, ..self.trap_exit(Trap::Undefined) }
    }

    /// Ends the unit: the instruction is to be interpreted.
    pub fn interpret(&mut self) {
        self.commit();
        self.unit.puts.truncate(self.pending);
        self.exit(Op::Exit, Val::NONE, self.step_exit());
    }

    /// Leaves if `cond`, with the state before the instruction, which is to be interpreted.
    pub(super) fn step_if(&mut self, cond: Val) {
        self.exit(Op::ExitIf, cond, self.step_exit());
    }

    /// Leaves if `cond`, for a translation of the same unit that assumes less. Nothing has been done yet.
    pub(crate) fn retreat_if(&mut self, cond: Val) {
        if self.as_const(cond) != Some(0) {
            let key = self.unit.key;
            self.exit(
                Op::ExitIf,
                cond,
                Exit { kind: ExitKind::Retreat, target: key.pc, mode: key.mode, ..self.step_exit() },
            );
        }
    }

    /// Ends the unit with the undefined-instruction trap.
    pub fn undefined(&mut self) {
        self.trap(Trap::Undefined);
    }

    // ---- leaving to the runtime
    /// Ends the unit with a system call, which continues at the next instruction.
    pub fn syscall(&mut self) {
        if self.misplaced() {
            return;
        }
        self.leave(ExitKind::Syscall, self.next, 0);
    }

    /// The reserved instruction: `name` is the guest address of the function's name.
    pub fn native_call(&mut self, name: u64) {
        if self.misplaced() {
            return;
        }
        let name = self.k(Ty::I64, self.guest.code_address(name).into());
        self.leave_with(name, ExitKind::NativeCall, self.pc, 0);
    }

    /// Ends the unit; the next instruction is looked up anew, which finds nothing that another thread has made stale before: a link
    /// could be followed as the host has read it ahead.
    pub fn instruction_barrier(&mut self) {
        if self.misplaced() {
            return;
        }
        self.find(self.next);
    }

    /// Ends the unit; generated code looks for what is at `target`, in the mode in the state if that is only known there.
    pub(super) fn find(&mut self, target: u64) {
        let target = self.k(Ty::I64, self.guest.code_address(target).into());
        self.leave_with(target, ExitKind::Indirect, 0, 0);
    }

    /// Ends the unit; what is at `target` is looked up under the mode in the state.
    pub(super) fn redispatch(&mut self, target: u64) {
        self.leave(ExitKind::Redispatch, target, 0);
    }

    /// Translations of the `len` bytes at `addr` are stale (`len` 0: all). Ends the unit.
    pub fn icache_flush(&mut self, addr: Val, len: u32) {
        if self.misplaced() {
            return;
        }
        let addr = self.widened(addr);
        self.leave_with(addr, ExitKind::Flush { len }, self.next, 0);
    }

    /// Replaces a field of the mode word that is known at run time.
    pub(super) fn replace_in_mode(&mut self, lo: u32, width: u32, value: Val) {
        self.mode_word = self.insert(32, self.mode_word, lo, width, value);
        self.mode_stored = false;
    }

    /// An exit or a helper is to find the mode word in the state.
    pub(super) fn store_mode(&mut self) {
        if self.mode_in_state && !self.mode_stored {
            self.setmode(self.mode_word);
            self.mode_stored = true;
        }
    }

    fn setmode(&mut self, value: Val) {
        self.effect(Op::Setmode, Ty::I32, Attr::imms(0, 32), one(value));
    }

    /// Ends an instruction that has given contexts of the floating-point environment run-time values. As a rule they are what
    /// they have been, and the unit goes on; it is left if they are not.
    pub(super) fn leave_if_mode_changed(&mut self) {
        self.flush();
        let mode = self.k(Ty::I32, self.mode.into());
        let changed = self.ne(32, self.mode_word, mode);
        self.exit(Op::ExitIf, changed, self.exit_to(ExitKind::Redispatch, self.next, 0));
        let key = self.unit.key.mode;
        if self.mode != key {
            let mode = self.k(Ty::I32, key.into());
            self.setmode(mode);
        }
        self.mode_in_state = false;
        self.fp_in_state = false;
    }

    /// `extern fn` number `id`; the result is `w` wide (0 for none).
    ///
    /// One that reads or writes slots sees the instruction's writes so far. Reads that follow it see what it wrote, and it
    /// is the last instruction of its unit.
    pub fn helper(&mut self, id: u32, w: u32, args: &[Val]) -> Option<Val> {
        let touches_state = self.guest.helpers.get(id as usize).is_some_and(|h| h.state);
        self.commit();
        if touches_state && self.ended.is_none() && !self.skips() {
            self.store_mode();
            self.flush();
        }
        let first = self.unit.helper_args.len() as u32;
        self.unit.helper_args.extend_from_slice(args);
        let ty = if w == 0 { Ty::I64 } else { Ty::holding(w) };
        let mut operands = NO_ARGS;
        operands[0] = Val(first);
        operands[1] = Val(args.len() as u32);
        let result = self.effect(Op::Helper, ty, Attr(id), operands);
        if touches_state && !self.skips() {
            self.tables.cur.fill(Val::NONE);
            self.last = true;
        }
        (w != 0).then_some(result)
    }
}
