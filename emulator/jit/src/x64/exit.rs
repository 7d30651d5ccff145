//! Leaving a unit: guest state to the boundary, then the jump, call or return.

use std::mem::offset_of;

use ir::guest::Guest;
use ir::inst::Val;
use ir::unit::{Exit, ExitKind, Trap, UnitKey};
use ir::{GuestState, Ty};

use super::analysis::{CondKind, NO};
use super::asm::{Alu, Label, Mem, RAX, RCX, RDX, RSP, cc};
use super::deferred::deferral;
use super::generator::{EXIT_COPIES, Gen, NONE, SCRATCH_XMM};
use super::snapshot::{Kind, Loc, RecipeLoc};
use super::{CompileError, Gpr, Link, LinkKind, StubId, Xmm};
use crate::thread_state::{Deferred, JumpEntry, Leave, SPILLS, ThreadState, jump_tag};

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
    /// The mode word had been changed by run-time values.
    dynamic_mode: bool,
}

/// A poll seen at a jump to the unit's own entry: where to leave, with which moves.
#[derive(Clone, Copy, Debug)]
pub(super) struct Turn {
    label: Label,
    moves: (u32, u32),
}

/// A pinned register (or `rax`, `rdx` for operands), as a location, and what goes into it.
type RegMove = (Loc, Loc);

/// `lea rsp, [rsp + 8]`.
const LANDING: [u8; 5] = [0x48, 0x8d, 0x64, 0x24, 0x08];

const FIELD_PC: usize = offset_of!(ThreadState, guest) + offset_of!(GuestState, pc);
const FIELD_WHAT: usize = offset_of!(ThreadState, deferred) + offset_of!(Deferred, what);
const FIELD_MODE: usize = offset_of!(ThreadState, guest) + offset_of!(GuestState, mode);

/// Multiplier from a guest address to a byte offset in the jump cache, as a shift.
pub(super) fn jump_shift(guest: &Guest) -> u8 {
    (size_of::<JumpEntry>() as u32 / guest.insn_align.clamp(1, 16)).trailing_zeros() as u8
}

impl Gen<'_> {
    // ------------------------------------------------------------------ what has to move
    /// Appends to `self.moves` what brings the state of this position to the boundary; returns the range. `again`: to the unit's
    /// own start, where slots that it overwrites before anything can see them need not be right.
    fn collect_moves(&mut self, again: bool) -> (u32, u32) {
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
        for &(slot, x) in &self.conv.vector_pins {
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
            let loc = self.slot_loc(slot);
            if loc != Loc::home(slot) && !(again && self.an.overwritten_unseen(slot)) {
                self.moves.push((slot, loc));
            }
        }
        (from, self.moves.len() as u32)
    }

    /// A branch target for code outside the main line that leaves with the state of this position.
    pub(super) fn side(&mut self, kind: SideKind) -> Label {
        let label = self.asm.label();
        let moves = self.collect_moves(false);
        let flags = self.flag_locs();
        let dynamic_mode = self.dynamic_mode;
        self.sides.push(Side { label, kind, moves, flags, dynamic_mode });
        label
    }

    /// The comparison that the flags are of, in terms of locations.
    fn flag_locs(&self) -> Option<Loc> {
        let (kind, ty, a, b) = self.flags?;
        self.placed_loc(kind, ty, a, b)
    }

    /// Emits the code of all sides.
    pub(super) fn emit_sides(&mut self) {
        for i in 0..self.sides.len() {
            let side = self.sides[i];
            self.asm.bind(side.label);
            self.flags_of_locs = side.flags;
            self.dynamic_mode = side.dynamic_mode;
            match side.kind {
                SideKind::Exit(exit) => {
                    self.move_to_boundary(side.moves, None);
                    self.leave(&exit);
                }
                SideKind::Alignment(pc, mode, r) => {
                    self.move_to_boundary(side.moves, Some((Loc::gpr(RDX), Loc::gpr(r))));
                    self.asm.store(8, Self::field(offset_of!(ThreadState, exit_operand)), RDX);
                    self.store_mode(mode);
                    self.leave_to_rust(Leave::Alignment, pc);
                }
            }
        }
        self.emit_turns();
    }

    /// Jumps to the unit's own entry if `code` holds. It does as a rule: so the jump is in the main line.
    pub(super) fn turn_if(&mut self, code: u8) {
        let on = self.asm.label();
        self.asm.jcc(code ^ 1, on);
        let (moves, all) = (self.collect_moves(true), self.collect_moves(false));
        self.turn(moves, all);
        self.asm.bind(on);
    }

    /// Jumps to the unit's own entry, with the `moves` that are needed there; leaves for Rust, with `all` moves, if asked to.
    fn turn(&mut self, moves: (u32, u32), all: (u32, u32)) {
        self.poll_compare();
        let label = self.asm.label();
        if moves.0 == moves.1 {
            self.asm.jcc_back(cc::E, 0);
            self.asm.jmp(label);
            self.turns.push(Turn { label, moves: all });
            return;
        }
        self.asm.jcc(cc::NE, label);
        self.turns.push(Turn { label, moves: all });
        self.flags_of_locs = None;
        self.move_to_boundary(moves, None);
        self.asm.jmp_back(0);
    }

    fn leave_turn(&mut self, all: (u32, u32)) {
        self.flags_of_locs = None;
        self.move_to_boundary(all, None);
        self.asm.mov_ri(RAX, self.unit.key.pc);
        self.asm.jmp_stub(StubId::Poll);
    }

    fn emit_turns(&mut self) {
        for turn in std::mem::take(&mut self.turns) {
            self.asm.bind(turn.label);
            self.leave_turn(turn.moves);
        }
    }

    /// The unconditional exit at this position; `operand` is the address of an indirect one.
    pub(super) fn final_exit(&mut self, exit: &Exit, operand: Option<Val>) {
        self.flags_of_locs = self.flag_locs();
        if self.is_self(exit) {
            let (moves, all) = (self.collect_moves(true), self.collect_moves(false));
            return self.turn(moves, all);
        }
        let moves = self.collect_moves(false);
        let operand = operand.map(|v| self.loc(self.an.val(v)));
        let to = if matches!(exit.kind, ExitKind::Flush { .. } | ExitKind::NativeCall) { RDX } else { RAX };
        self.move_to_boundary(moves, operand.map(|loc| (Loc::gpr(to), loc)));
        if exit.kind == ExitKind::Redispatch && operand.is_some() {
            self.asm.store(8, Self::field(FIELD_PC), RAX);
            self.asm.mov_ri(RAX, Leave::Redispatch as u64);
            return self.asm.jmp_stub(StubId::Leave);
        }
        self.leave(exit);
    }

    /// A conditional exit followed at once by the unit's last: the backward one of the two stays in the main line.
    pub(super) fn final_pair(&mut self, cond: u32, taken: &Exit, other: &Exit) {
        let loop_back = taken.kind == ExitKind::Jump && taken.target <= self.unit.key.pc;
        let code = self.condition(cond);
        let (code, inline, outline) = if loop_back { (code ^ 1, taken, other) } else { (code, other, taken) };
        let side = self.side(SideKind::Exit(*outline));
        self.asm.jcc(code, side);
        self.final_exit(inline, None);
    }

    /// Whether an exit leads back to this unit's own entry.
    pub(super) fn is_self(&self, exit: &Exit) -> bool {
        let target = UnitKey { pc: exit.target, mode: exit.mode };
        exit.kind == ExitKind::Jump && target == self.unit.key && !self.dynamic_mode
    }

    /// At the entry of a unit that wants the condition flags at home.
    pub(super) fn settle_entry(&mut self) {
        self.asm.alu_mi(Alu::Cmp, 4, Self::field(FIELD_WHAT), 0);
        let (label, back) = (self.asm.label(), self.asm.label());
        self.asm.jcc(cc::NE, label);
        self.asm.bind(back);
        self.settle = Some((label, back));
    }

    // ------------------------------------------------------------------ the shuffle
    /// Moves everything in the range to the boundary, and `extra` besides.
    fn move_to_boundary(&mut self, (from, to): (u32, u32), extra: Option<RegMove>) {
        let mut moves = std::mem::take(&mut self.moves);
        let list = &mut moves[from as usize..to as usize];
        let mut extra = extra;
        self.save_overwritten(list, &mut extra);
        let busy = self.busy_registers(list, extra);
        let mut regs: Vec<RegMove> = Vec::with_capacity(10);
        regs.extend(extra);
        let deferred = self.defer_flags(list, busy);
        self.store_conditions(list, busy, deferred);
        for &(slot, loc) in list.iter() {
            match self.conv.register(slot).map(Loc::gpr).or(self.conv.vector(slot).map(Loc::xmm)) {
                Some(register) => regs.push((register, loc)),
                None if deferred && self.conv.flag(slot).is_some() => {}
                None if loc.as_recipe().is_none() => self.store_slot(slot, loc, busy),
                None => {}
            }
        }
        self.move_registers(&mut regs);
        self.moves = moves;
    }

    /// Stores the condition flags among the moves as the comparison they are of, if they are of one; says whether. If not,
    /// they are going home, and nothing may be deferred any more.
    fn defer_flags(&mut self, list: &[(u16, Loc)], busy: u32) -> bool {
        const A: usize = offset_of!(ThreadState, deferred) + offset_of!(Deferred, a);
        const B: usize = offset_of!(ThreadState, deferred) + offset_of!(Deferred, b);
        let what = Self::field(FIELD_WHAT);
        let Some(deferral) = deferral(self.conv, &self.unit.consts, list) else {
            if !self.an.needs_settled && list.iter().any(|m| self.conv.flag(m.0).is_some()) {
                self.asm.store_imm(4, what, 0);
            }
            return false;
        };
        if let Some((a, b)) = deferral.operands {
            self.store_loc(Ty::I64, Self::field(A), a, busy);
            self.store_loc(Ty::I64, Self::field(B), b, busy);
        }
        self.asm.store_imm(4, what, deferral.what as i32);
        true
    }

    /// Copies to spill slots what is at the home of a slot that is about to be overwritten.
    fn save_overwritten(&mut self, list: &mut [(u16, Loc)], extra: &mut Option<RegMove>) {
        let from_home = |loc: Loc| match loc.as_recipe() {
            Some(r) => r.a.parts().0 == Kind::Home || r.b.parts().0 == Kind::Home,
            None => loc.parts().0 == Kind::Home,
        };
        if !list.iter().map(|m| m.1).chain(extra.map(|e| e.1)).any(from_home) {
            return;
        }
        let mut copies: Vec<(u32, Loc)> = Vec::new();
        for i in 0..list.len() + 1 {
            let loc = if i < list.len() { list[i].1 } else { extra.map_or(Loc::bit(0), |e| e.1) };
            let mut rescue = |g: &mut Self, loc: Loc| -> Loc {
                let (Kind::Home, slot) = loc.parts() else { return loc };
                let overwritten = list.iter().any(|&(s, l)| u32::from(s) == slot && l != loc && !g.conv.is_pinned(s));
                if !overwritten {
                    return loc;
                }
                if let Some(&(_, copy)) = copies.iter().find(|(s, _)| *s == slot) {
                    return copy;
                }
                if copies.len() == EXIT_COPIES {
                    g.error = Some(CompileError::TooManyLive);
                    return loc;
                }
                let copy = Loc::spill((SPILLS - 1 - copies.len()) as u16);
                g.copy_memory(slot as u16, copy);
                copies.push((slot, copy));
                copy
            };
            let new = match loc.as_recipe() {
                Some(r) => Loc::recipe(r.kind, r.cc, r.ty, rescue(self, r.a), rescue(self, r.b)),
                None => rescue(self, loc),
            };
            match list.get_mut(i) {
                Some(entry) => entry.1 = new,
                None => *extra = extra.map(|e| (e.0, new)),
            }
        }
    }

    fn copy_memory(&mut self, slot: u16, to: Loc) {
        let (_, spill) = to.parts();
        let (from, to) = (self.home_mem(slot), Self::spill_mem(spill as u16));
        match self.guest.slots[slot as usize].ty.bytes() {
            size @ (8 | 16) => {
                self.asm.load_xmm(size, SCRATCH_XMM, from);
                self.asm.store_xmm(size, to, SCRATCH_XMM);
            }
            size => {
                // No general register is known to be free here: keep one in the scratch vector register.
                self.asm.mov_xr(8, SCRATCH_XMM, RAX);
                self.asm.load(size, RAX, from);
                self.asm.store(8, to, RAX);
                self.asm.mov_rx(8, RAX, SCRATCH_XMM);
            }
        }
    }

    /// Registers that hold sources, or pinned values already in place.
    fn busy_registers(&self, list: &[(u16, Loc)], extra: Option<RegMove>) -> u32 {
        let mut busy = 1 << RSP | 1 << super::asm::RBP;
        for &(slot, r) in &self.conv.pins {
            if !list.iter().any(|m| m.0 == slot.0) {
                busy |= 1 << r;
            }
        }
        let mut add = |loc: Loc| {
            if let (Kind::Gpr, r) = loc.parts() {
                busy |= 1 << r;
            }
        };
        for loc in list.iter().map(|m| m.1).chain(extra.map(|e| e.1)) {
            match loc.as_recipe() {
                Some(r) => {
                    add(r.a);
                    add(r.b);
                }
                None => add(loc),
            }
        }
        busy
    }

    /// Runs `f` with a general register outside `busy`, making room if there is none; `read` are registers that `f` reads.
    fn with_temp(&mut self, busy: u32, read: u32, f: impl FnOnce(&mut Self, Gpr)) {
        if let Some(r) = (0..16).find(|&r| busy & 1 << r == 0) {
            return f(self, r);
        }
        // No more than two are ever borrowed at once, and no more than one is read.
        let Some(r) = [RAX, RCX, RDX].into_iter().find(|&r| (self.borrowed | read) & 1 << r == 0) else {
            unreachable!("a move borrows every register");
        };
        let slot = 4 + self.borrowed.count_ones() as usize;
        self.borrowed |= 1 << r;
        self.asm.store(8, Self::scratch(slot), r);
        f(self, r);
        self.asm.load(8, r, Self::scratch(slot));
        self.borrowed &= !(1 << r);
    }

    /// Loads a simple location into a general register.
    fn load_loc(&mut self, r: Gpr, loc: Loc) {
        let (kind, n) = loc.parts();
        match kind {
            Kind::Gpr if n as Gpr == r => {}
            Kind::Gpr => self.asm.mov_rr(8, r, n as Gpr),
            Kind::Xmm => self.asm.mov_rx(8, r, n as u8),
            Kind::Spill => self.asm.load(8, r, Self::spill_mem(n as u16)),
            Kind::Const => {
                let bits = self.unit.consts[n as usize] as u64;
                self.asm.mov_ri(r, bits);
            }
            Kind::Home => {
                let size = self.guest.slots[n as usize].ty.bytes().min(8);
                let m = self.home_mem(n as u16);
                self.asm.load(size, r, m);
            }
            Kind::Bit => self.asm.mov_ri(r, u64::from(n)),
        }
    }

    /// Stores a simple location at the home of a slot.
    fn store_slot(&mut self, slot: u16, loc: Loc, busy: u32) {
        self.store_loc(self.guest.slots[slot as usize].ty, self.home_mem(slot), loc, busy);
    }

    /// Stores a simple location, as wide as `ty`.
    fn store_loc(&mut self, ty: Ty, to: Mem, loc: Loc, busy: u32) {
        let (kind, n) = loc.parts();
        match kind {
            Kind::Gpr => self.asm.store(ty.bytes(), to, n as Gpr),
            Kind::Xmm if ty.bytes() >= 4 => self.asm.store_xmm(ty.bytes(), to, n as u8),
            Kind::Const => self.store_constant(ty, to, self.unit.consts[n as usize], busy),
            Kind::Spill | Kind::Home if ty.bytes() >= 8 => {
                let from = if kind == Kind::Spill { Self::spill_mem(n as u16) } else { self.home_mem(n as u16) };
                let narrow = kind == Kind::Home && self.guest.slots[n as usize].ty.bytes() < ty.bytes();
                if narrow {
                    self.with_temp(busy, 0, |g, r| {
                        g.load_loc(r, loc);
                        g.asm.store(8, to, r);
                    });
                    return;
                }
                self.asm.load_xmm(ty.bytes(), SCRATCH_XMM, from);
                self.asm.store_xmm(ty.bytes(), to, SCRATCH_XMM);
            }
            _ => self.with_temp(busy, 0, |g, r| {
                g.load_loc(r, loc);
                g.asm.store(ty.bytes(), to, r);
            }),
        }
    }

    fn store_constant(&mut self, ty: Ty, to: Mem, bits: u128, busy: u32) {
        if ty == Ty::I128 {
            self.asm.const_xmm(SCRATCH_XMM, bits);
            self.asm.store_xmm(16, to, SCRATCH_XMM);
            return;
        }
        let bits = (bits & ty.mask()) as u64;
        let shift = 64 - ty.bytes() * 8;
        let signed = (bits as i64) << shift >> shift;
        match i32::try_from(signed) {
            Ok(k) => self.asm.store_imm(ty.bytes(), to, k),
            Err(_) => self.with_temp(busy, 0, |g, r| {
                g.asm.mov_ri(r, bits);
                g.asm.store(8, to, r);
            }),
        }
    }

    /// Makes comparisons from locations and stores the results at their slots' homes, those of one comparison together.
    /// Not the condition flags, if these are `deferred`.
    fn store_conditions(&mut self, list: &[(u16, Loc)], busy: u32, deferred: bool) {
        let mut done = 0u64;
        for (i, (slot, _)) in list.iter().enumerate().take(64) {
            if deferred && self.conv.flag(*slot).is_some() {
                done |= 1 << i;
            }
        }
        // What the flags are of already comes first.
        if let Some(key) = self.flags_of_locs {
            self.store_conditions_of(list, key, busy, &mut done);
        }
        for i in 0..list.len() {
            if let Some(r) = list[i].1.as_recipe()
                && (i >= 64 || done & 1 << i == 0)
            {
                self.store_conditions_of(list, r.key(), busy, &mut done);
            }
        }
    }

    fn store_conditions_of(&mut self, list: &[(u16, Loc)], key: Loc, busy: u32, done: &mut u64) {
        for (i, &(slot, loc)) in list.iter().enumerate() {
            if let Some(r) = loc.as_recipe()
                && r.key() == key
                && (i >= 64 || *done & 1 << i == 0)
            {
                let to = self.home_mem(slot);
                let code = self.compare_locs(r, busy);
                self.asm.setcc_mem(code, to);
                if i < 64 {
                    *done |= 1 << i;
                }
            }
        }
    }

    /// Sets the flags from locations, unless they are already; returns the condition code.
    fn compare_locs(&mut self, r: RecipeLoc, busy: u32) -> u8 {
        let key = r.key();
        if self.flags_of_locs == Some(key) {
            return r.cc;
        }
        let size = r.ty.bytes();
        let (kind_b, n) = r.b.parts();
        let immediate = match kind_b {
            Kind::Const => {
                let bits = self.unit.consts[n as usize] as u64;
                let shift = 64 - 8 * size;
                i32::try_from((bits as i64) << shift >> shift).ok()
            }
            _ => None,
        };
        let read = if kind_b == Kind::Gpr { 1 << n } else { 0 };
        self.with_temp(busy, read, |g, a| {
            let a = g.readable(r.a, a, r.kind == CondKind::Add);
            if r.kind == CondKind::Bit {
                g.asm.bt_ri(if n < 32 { 4 } else { 8 }, a, n as u8);
                return;
            }
            match (r.kind, immediate) {
                (CondKind::Cmp, Some(k)) => g.asm.alu_ri(Alu::Cmp, size, a, k),
                (CondKind::Add, Some(k)) => g.asm.alu_ri(Alu::Add, size, a, k),
                (CondKind::Test, Some(k)) => g.asm.test_ri(size, a, k),
                _ => {
                    // The scratch slots are memory nothing else uses here.
                    let in_register = kind_b == Kind::Gpr;
                    let both = r.a == r.b && r.kind == CondKind::Test;
                    let m = g.source_memory(r.b, size, busy | 1 << a);
                    match r.kind {
                        CondKind::Test if both => g.asm.test_rr(size, a, a),
                        CondKind::Test if in_register => g.asm.test_rr(size, a, n as Gpr),
                        CondKind::Test => g.asm.op_rm(size, if size == 1 { 0x84 } else { 0x85 }, a, m),
                        kind => {
                            let op = if kind == CondKind::Cmp { Alu::Cmp } else { Alu::Add };
                            if in_register {
                                g.asm.alu_rr(op, size, a, n as Gpr);
                            } else {
                                g.asm.alu_rm(op, size, a, m);
                            }
                        }
                    }
                }
            }
        });
        self.flags_of_locs = Some(key);
        r.cc
    }

    /// A register with the location's value: its own, or `temp` (always, if it is to be `modified`).
    fn readable(&mut self, loc: Loc, temp: Gpr, modified: bool) -> Gpr {
        match loc.parts() {
            (Kind::Gpr, r) if !modified => r as Gpr,
            _ => {
                self.load_loc(temp, loc);
                temp
            }
        }
    }

    /// Memory that holds `size` bytes of the location's value; of no meaning for registers.
    fn source_memory(&mut self, loc: Loc, size: u32, busy: u32) -> Mem {
        let (kind, n) = loc.parts();
        match kind {
            Kind::Home if self.guest.slots[n as usize].ty.bytes() >= size => return self.home_mem(n as u16),
            Kind::Spill => return Self::spill_mem(n as u16),
            Kind::Gpr | Kind::Bit => return Self::scratch(0),
            Kind::Xmm => self.asm.store_xmm(8, Self::scratch(0), n as u8),
            Kind::Const => {
                let bits = self.unit.consts[n as usize] as u64;
                self.asm.store_imm(4, Self::scratch(0), bits as i32);
                self.asm.store_imm(4, Self::scratch(0).offset(4), (bits >> 32) as i32);
            }
            Kind::Home => self.with_temp(busy, 0, |g, t| {
                g.load_loc(t, loc);
                g.asm.store(8, Self::scratch(0), t);
            }),
        }
        Self::scratch(0)
    }

    /// Parallel move into registers.
    fn move_registers(&mut self, regs: &mut Vec<RegMove>) {
        let general = |loc: Loc| loc.parts().0 == Kind::Gpr;
        regs.retain(|&(to, from)| from != to);
        // Register to register first: whatever is in the way of nobody, then cycles. Those of general registers alone by
        // exchange; of others, one register's content steps aside.
        loop {
            let from_register = |m: &RegMove| matches!(m.1.parts().0, Kind::Gpr | Kind::Xmm);
            let blocked = |m: &RegMove| regs.iter().any(|o| o.1 == m.0 && o.0 != m.0);
            if let Some(i) = regs.iter().position(|m| from_register(m) && !blocked(m)) {
                let (to, from) = regs.swap_remove(i);
                self.load_register(to, from);
                continue;
            }
            let Some(i) = regs.iter().position(from_register) else { break };
            let (to, from) = regs[i];
            if general(to) && general(from) {
                self.asm.op_rr(8, 0x87, to.parts().1 as Gpr, from.parts().1 as Gpr);
                for m in regs.iter_mut() {
                    if m.1 == to {
                        m.1 = from;
                    } else if m.1 == from {
                        m.1 = to;
                    }
                }
                regs.retain(|&(to, from)| from != to);
            } else {
                let aside = Loc::xmm(SCRATCH_XMM);
                self.load_register(aside, to);
                for m in regs.iter_mut().filter(|m| m.1 == to) {
                    m.1 = aside;
                }
            }
        }
        for &(to, from) in regs.iter() {
            self.load_register(to, from);
        }
    }

    /// Loads a simple location into a register.
    fn load_register(&mut self, to: Loc, from: Loc) {
        let (Kind::Xmm, x) = to.parts() else { return self.load_loc(to.parts().1 as Gpr, from) };
        let (x, (kind, n)) = (x as u8, from.parts());
        match kind {
            Kind::Xmm => self.asm.mov_xx(x, n as u8),
            Kind::Gpr => self.asm.mov_xr(8, x, n as Gpr),
            Kind::Spill => self.asm.load_xmm(self.pinned_bytes(x), x, Self::spill_mem(n as u16)),
            Kind::Home => {
                let size = self.guest.slots[n as usize].ty.bytes().min(self.pinned_bytes(x));
                let m = self.home_mem(n as u16);
                self.asm.load_xmm(size, x, m);
            }
            Kind::Const => self.asm.const_xmm(x, self.unit.consts[n as usize]),
            Kind::Bit => {}
        }
    }

    /// Bytes of the slot that is pinned to the register.
    fn pinned_bytes(&self, x: Xmm) -> u32 {
        let slot = self.conv.vector_pins.iter().find(|pin| pin.1 == x).map(|pin| pin.0);
        slot.map_or(16, |slot| self.guest.slots[slot.0 as usize].ty.bytes())
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
        self.store_mode(exit.mode);
        let operand = Self::field(offset_of!(ThreadState, exit_operand));
        match exit.kind {
            ExitKind::Jump => self.leave_jump(exit),
            ExitKind::Call => self.leave_call(exit),
            ExitKind::Indirect => {
                self.poll_indirect();
                self.lookup(exit);
                self.asm.jcc_stub(cc::NE, StubId::IndirectMiss);
                self.asm.op_rm(4, 0xff, 4, Mem::base(RCX, 8)); // jmp [rcx + 8]
            }
            ExitKind::IndirectCall => self.leave_indirect_call(exit),
            ExitKind::Return => self.leave_return(exit),
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
            ExitKind::Flush { len } => {
                self.asm.store(8, operand, RDX);
                self.asm.store_imm(4, Self::field(offset_of!(ThreadState, exit_len)), len as i32);
                self.leave_to_rust(Leave::Flush, exit.target);
            }
            ExitKind::Redispatch => self.leave_to_rust(Leave::Redispatch, exit.target),
        }
    }

    fn leave_to_rust(&mut self, leave: Leave, pc: u64) {
        self.store_pc(pc);
        self.asm.mov_ri(RAX, leave as u64);
        self.asm.jmp_stub(StubId::Leave);
    }

    /// The mode word to go on with, unless it is in the state already.
    fn store_mode(&mut self, mode: u32) {
        if mode != self.unit.key.mode && !self.dynamic_mode {
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
    fn poll_compare(&mut self) {
        self.asm.alu_mi(Alu::Cmp, 4, Self::field(offset_of!(ThreadState, poll)), 0);
    }

    /// Leaves for Rust if asked to; `rax` has the address to continue at.
    fn poll_indirect(&mut self) {
        self.poll_compare();
        self.asm.jcc_stub(cc::NE, StubId::Poll);
    }

    /// Leaves for Rust if asked to, before a backward transfer.
    fn poll_backward(&mut self, exit: &Exit) {
        if exit.target > exit.pc {
            return;
        }
        self.poll_compare();
        let label = self.asm.label();
        self.asm.jcc(cc::NE, label);
        self.polls.push((label, exit.target));
    }

    fn leave_jump(&mut self, exit: &Exit) {
        self.poll_backward(exit);
        self.link(0xe9, LinkKind::Jump, UnitKey { pc: exit.target, mode: exit.mode });
    }

    /// A patchable jump or call.
    fn link(&mut self, opcode: u8, kind: LinkKind, target: UnitKey) {
        let stub = self.asm.label();
        let at = self.asm.patchable(opcode, stub);
        self.link_stubs.push(stub);
        self.links.push(Link { at, stub: 0, kind, target });
    }

    /// The word pushed beside host return addresses: what [`jump_tag`] gives.
    fn push_return(&mut self, exit: &Exit) {
        let tag = jump_tag(exit.ret, exit.ret_mode);
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

    fn landing_pad(&mut self, exit: &Exit) {
        self.asm.bytes(&LANDING);
        self.link(0xe9, LinkKind::Landing, UnitKey { pc: exit.ret, mode: exit.ret_mode });
    }

    fn leave_call(&mut self, exit: &Exit) {
        self.poll_backward(exit);
        self.push_return(exit);
        self.link(0xe8, LinkKind::Call, UnitKey { pc: exit.target, mode: exit.mode });
        self.landing_pad(exit);
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
        self.asm.jcc_stub(cc::NE, StubId::ReturnMiss);
        self.asm.byte(0xc3);
    }

    /// Poll exits and link requests, after everything else.
    pub(super) fn emit_cold(&mut self) {
        if let Some((label, back)) = self.settle.take() {
            self.asm.bind(label);
            self.asm.call_stub(StubId::Settle);
            self.asm.jmp(back);
        }
        for (label, target) in std::mem::take(&mut self.polls) {
            self.asm.bind(label);
            self.asm.mov_ri(RAX, target);
            self.asm.jmp_stub(StubId::Poll);
        }
        for (i, stub) in std::mem::take(&mut self.link_stubs).into_iter().enumerate() {
            self.asm.bind(stub);
            self.links[i].stub = self.asm.at();
            self.asm.bytes(&[0x48, 0x8d, 0x05]); // lea rax, [rip - 7]: this instruction
            self.asm.dword(-7);
            self.asm.jmp_stub(StubId::Link);
        }
    }
}
