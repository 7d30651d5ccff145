//! General registers: bringing values there, giving them out, taking them back.

use ir::Ty;
use ir::inst::Val;

use super::analysis::{Mode, NO, NO_HINT};
use super::asm::Mem;
use super::claims::{Cell, Claim};
use super::generator::{EXIT_COPIES, GPR_ORDER, Gen, NONE, NOWHERE, Operand, Place};
use super::{CALLER_SAVED, CompileError, Gpr};
use crate::thread_state::SPILLS;

impl Gen<'_> {
    /// The value in a general register, locked. Of a 128-bit value: the low half.
    pub(super) fn use_gpr(&mut self, v: u32) -> Gpr {
        let p = self.place[v as usize];
        if p.gpr != NONE {
            self.locked_gpr |= 1 << p.gpr;
            self.claim_gpr(v, p.gpr);
            return p.gpr;
        }
        let wide = self.ty(v) == Ty::I128;
        if self.an.values[v as usize].mode == Mode::Cond {
            return self.use_condition(v);
        }
        let r = self.alloc_gpr(if wide { NO_HINT } else { self.an.values[v as usize].hint });
        self.load_into(r, v);
        if !wide {
            self.own_gpr(r, v);
        }
        self.claim_gpr(v, r);
        r
    }

    /// Emits the move of a value that is in no general register to `r`.
    pub(super) fn load_into(&mut self, r: Gpr, v: u32) {
        let p = self.place[v as usize];
        if let Some(bits) = self.constant(v) {
            self.asm.mov_ri(r, bits as u64);
        } else if p.xmm != NONE {
            self.asm.mov_rx(8, r, p.xmm);
        } else if p.spill != NOWHERE {
            self.asm.load(8, r, Self::spill_mem(p.spill));
        } else {
            debug_assert!(p.home != NOWHERE, "value {v} is nowhere at {}", self.pos);
            let size = self.guest.slots[p.home as usize].ty.bytes().min(8);
            let m = self.home_mem(p.home);
            self.asm.load(size, r, m);
        }
    }

    /// A scratch copy of the value that the instruction may overwrite, locked.
    pub(super) fn copy_gpr(&mut self, v: u32) -> Gpr {
        if self.in_gpr(v) || self.an.values[v as usize].mode == Mode::Cond {
            let s = self.use_gpr(v);
            let r = self.temp_gpr();
            self.asm.mov_rr(8, r, s);
            return r;
        }
        let r = self.temp_gpr();
        self.load_into(r, v);
        self.claim_gpr(v, r);
        self.claim(Claim::Releases(Cell::Gpr(r)));
        r
    }

    /// The value in register `r` as a scratch copy; `r` is emptied and locked.
    pub(super) fn copy_to(&mut self, r: Gpr, v: u32) {
        if self.place[v as usize].gpr == r {
            // Keep another copy if the value lives on.
            self.locked_gpr |= 1 << r;
            self.claim_gpr(v, r);
            let again = self.inst().args.iter().filter(|a| **a != Val::NONE && self.an.val(**a) == v).count() > 1;
            self.vacate(r, again || self.live_after(v));
            self.claim(Claim::Releases(Cell::Gpr(r)));
            return;
        }
        if self.an.values[v as usize].mode == Mode::Cond {
            let s = self.use_gpr(v);
            self.fix_gpr(r);
            self.asm.mov_rr(8, r, s);
            return;
        }
        self.fix_gpr(r);
        let p = self.place[v as usize];
        if p.gpr != NONE {
            self.asm.mov_rr(8, r, p.gpr);
        } else {
            self.load_into(r, v);
        }
        self.claim_gpr(v, r);
        self.claim(Claim::Releases(Cell::Gpr(r)));
    }

    /// A scratch register, locked.
    pub(super) fn temp_gpr(&mut self) -> Gpr {
        let r = self.alloc_gpr(NO_HINT);
        self.locked_gpr |= 1 << r;
        r
    }

    /// Empties a particular register and locks it. A live value in it moves elsewhere.
    pub(super) fn fix_gpr(&mut self, r: Gpr) {
        debug_assert!(self.locked_gpr & 1 << r == 0, "r{r} is in use");
        self.locked_gpr |= 1 << r;
        let v = self.gpr[r as usize];
        let keep = v != NO && self.live(v);
        self.vacate(r, keep);
    }

    /// Empties several registers and locks them.
    pub(super) fn fix_gprs(&mut self, regs: &[Gpr]) {
        let mask = regs.iter().fold(0, |m, r| m | 1 << r);
        self.locked_gpr |= mask;
        for &r in regs {
            let v = self.gpr[r as usize];
            self.vacate(r, v != NO && self.live(v));
        }
    }

    /// Empties a register that is locked because an operand was in it, of which the instruction has a copy.
    pub(super) fn vacate_locked(&mut self, r: Gpr) {
        self.claim(Claim::Releases(Cell::Gpr(r)));
        let v = self.gpr[r as usize];
        self.vacate(r, v != NO && self.live_after(v));
    }

    /// Takes the register from its value, which moves elsewhere if `keep`.
    fn vacate(&mut self, r: Gpr, keep: bool) {
        let v = self.gpr[r as usize];
        if v == NO {
            return;
        }
        let p = self.place[v as usize];
        if keep && p.xmm == NONE && !p.in_memory() && self.an.values[v as usize].mode == Mode::Emit {
            match self.free_gpr(0) {
                Some(to) => {
                    self.asm.mov_rr(8, to, r);
                    self.drop_gpr(r);
                    self.drop_gpr(to);
                    // Not locked: an operand is found again when it is used.
                    self.gpr[to as usize] = v;
                    self.place[v as usize].gpr = to;
                    return;
                }
                None => self.save(r, v),
            }
        }
        self.drop_gpr(r);
    }

    /// A register for the result, which may be that of an operand that dies here unless in `avoid`.
    pub(super) fn def_gpr(&mut self, avoid: u32) -> Gpr {
        let v = self.pos;
        let hint = self.an.values[v as usize].hint;
        let fits = |g: &Self, r: Gpr| {
            let owner = g.gpr[r as usize];
            avoid & 1 << r == 0 && (owner == NO && g.locked_gpr & 1 << r == 0 || owner != NO && !g.live_after(owner))
        };
        let r = if hint != NO_HINT && fits(self, hint) {
            hint
        } else {
            // An operand's register saves a move; else any free one.
            let operands = self.inst().args;
            let dying = operands.iter().filter(|a| **a != Val::NONE && a.index() < self.place.len()).find_map(|a| {
                let p = self.place[self.an.val(*a) as usize];
                (p.gpr != NONE && self.locked_gpr & 1 << p.gpr != 0 && fits(self, p.gpr)).then_some(p.gpr)
            });
            match dying {
                Some(r) => r,
                None => match GPR_ORDER.into_iter().find(|&r| self.locked_gpr & 1 << r == 0 && fits(self, r)) {
                    Some(r) => r,
                    None => self.alloc_gpr(NO_HINT),
                },
            }
        };
        self.take_gpr(r, v);
        r
    }

    /// A register for a result that is written before the operands have been read or the instruction can fault.
    pub(super) fn def_gpr_early(&mut self) -> Gpr {
        let hint = self.an.values[self.pos as usize].hint;
        let r = self.alloc_gpr(hint);
        self.take_gpr(r, self.pos);
        r
    }

    /// Declares that the result is in `r`, a register the instruction locked and filled.
    pub(super) fn result_gpr(&mut self, r: Gpr) {
        self.take_gpr(r, self.pos);
    }

    fn take_gpr(&mut self, r: Gpr, v: u32) {
        self.drop_gpr(r);
        self.own_gpr(r, v);
        if self.claims.is_some() {
            let bits = self.gpr_bits(v);
            self.claim(Claim::Defines { cell: Cell::Gpr(r), bits });
        }
    }

    fn own_gpr(&mut self, r: Gpr, v: u32) {
        self.gpr[r as usize] = v;
        self.place[v as usize].gpr = r;
        self.locked_gpr |= 1 << r;
    }

    pub(super) fn drop_gpr(&mut self, r: Gpr) {
        let v = self.gpr[r as usize];
        if v != NO {
            self.place[v as usize].gpr = NONE;
            self.gpr[r as usize] = NO;
        }
    }

    /// An unlocked register without a live value.
    pub(super) fn free_gpr(&self, avoid: u32) -> Option<Gpr> {
        let free = |r: Gpr| {
            let v = self.gpr[r as usize];
            (self.locked_gpr | avoid) & 1 << r == 0 && (v == NO || !self.live(v))
        };
        // Empty ones before those of cached constants.
        let empty = GPR_ORDER.into_iter().find(|&r| free(r) && self.gpr[r as usize] == NO);
        empty.or_else(|| GPR_ORDER.into_iter().find(|&r| free(r)))
    }

    /// An empty register: the preferred one if free, else any free one, else that of the value used last.
    fn alloc_gpr(&mut self, hint: u8) -> Gpr {
        if hint != NO_HINT && self.locked_gpr & 1 << hint == 0 {
            let v = self.gpr[hint as usize];
            if v == NO || !self.live(v) {
                self.drop_gpr(hint);
                self.locked_gpr |= 1 << hint;
                return hint;
            }
        }
        let r = match self.free_gpr(0) {
            Some(r) => r,
            None => self.evict_gpr(),
        };
        self.drop_gpr(r);
        self.locked_gpr |= 1 << r;
        r
    }

    fn evict_gpr(&mut self) -> Gpr {
        let (locked, values) = (self.locked_gpr, self.gpr);
        let free = GPR_ORDER.into_iter().filter(|r| locked & 1 << r == 0);
        let best = self.victim(free.map(|r| (r, values[r as usize])), |p| p.xmm != NONE);
        let v = self.gpr[best as usize];
        let p = self.place[v as usize];
        if p.xmm == NONE && !p.in_memory() && self.an.values[v as usize].mode == Mode::Emit {
            self.save(best, v);
        }
        best
    }

    /// Which of some registers, with their values, to empty: that of the value used last. A value that is in memory, or in a register
    /// `elsewhere`, goes for free.
    pub(super) fn victim(
        &mut self,
        registers: impl Iterator<Item = (u8, u32)>,
        elsewhere: impl Fn(Place) -> bool,
    ) -> u8 {
        let (mut best, mut best_score) = (NONE, 0);
        for (r, v) in registers {
            let next = self.an.next_use(v, self.pos.wrapping_sub(1).min(self.pos));
            let p = self.place[v as usize];
            let score = u64::from(next) * 2 + u64::from(elsewhere(p) || p.in_memory()) * 8 + 1;
            if score > best_score {
                (best, best_score) = (r, score);
            }
        }
        assert!(best != NONE, "an instruction locks every register");
        best
    }

    /// Stores the value in `r` to memory: to the home of the slot whose value it is, or to a spill slot.
    fn save(&mut self, r: Gpr, v: u32) {
        if let Some(slot) = self.home_for(v) {
            let (size, m) = (self.guest.slots[slot as usize].ty.bytes(), self.home_mem(slot));
            self.asm.store(size, m, r);
            self.settle(slot, v);
        } else {
            let s = self.alloc_spill(v);
            self.asm.store(8, Self::spill_mem(s), r);
        }
    }

    /// A slot whose current value is `v` and whose memory nobody else needs.
    pub(super) fn home_for(&self, v: u32) -> Option<u16> {
        let ty = self.ty(v);
        let fits = |slot: u16| {
            let holder = self.holder[slot as usize];
            self.cur[slot as usize] == v
                && (self.an.needs_settled || self.conv.flag(slot).is_none())
                && self.holds_whole(slot, ty)
                && (holder == NO || holder == v || !self.live(holder) || self.has_copy(holder))
        };
        self.conv.pinned_slots().chain(self.dirty.iter().copied()).find(|&s| fits(s))
    }

    /// Whether the slot's memory has room for all of a value: it may be the truncation of a wider one.
    fn holds_whole(&self, slot: u16, ty: Ty) -> bool {
        let slot_ty = self.guest.slots[slot as usize].ty;
        slot_ty == ty || slot_ty == Ty::I64 && ty.bits() < 64
    }

    /// The value, or the part of it that is the slot's, was stored at the slot's home.
    pub(super) fn settle_if_whole(&mut self, slot: u16, v: u32) {
        if self.holds_whole(slot, self.ty(v)) {
            return self.settle(slot, v);
        }
        let holder = std::mem::replace(&mut self.holder[slot as usize], NO);
        if holder != NO && self.place[holder as usize].home == slot {
            self.place[holder as usize].home = NOWHERE;
        }
    }

    /// In a register or spilled, besides its home.
    pub(super) fn has_copy(&self, v: u32) -> bool {
        let p = self.place[v as usize];
        p.gpr != NONE || p.xmm != NONE || p.spill != NOWHERE
    }

    /// The home of `slot` now holds `v`.
    pub(super) fn settle(&mut self, slot: u16, v: u32) {
        let holder = self.holder[slot as usize];
        if holder != NO && self.place[holder as usize].home == slot {
            self.place[holder as usize].home = NOWHERE;
        }
        self.holder[slot as usize] = v;
        self.place[v as usize].home = slot;
    }

    pub(super) fn alloc_spill(&mut self, v: u32) -> u16 {
        let free = self.spill_owner.iter().position(|&o| o == NO || !self.live(o));
        let s = match free {
            Some(s) => {
                let old = self.spill_owner[s];
                if old != NO && self.place[old as usize].spill == s as u16 {
                    self.place[old as usize].spill = NOWHERE;
                }
                s
            }
            None => {
                self.spill_owner.push(NO);
                self.spill_owner.len() - 1
            }
        };
        if s + EXIT_COPIES >= SPILLS {
            self.error = Some(CompileError::TooManyLive);
            return 0;
        }
        self.spill_owner[s] = v;
        self.place[v as usize].spill = s as u16;
        s as u16
    }

    /// A source operand of `ty`: immediate if it fits, the register it is in, memory if this is the only use, else loaded.
    pub(super) fn operand(&mut self, v: u32, ty: Ty) -> Operand {
        if let Some(k) = self.an.imm32(self.unit, v, ty) {
            return Operand::Imm(k);
        }
        // Narrow operations are done on 32 bits, which memory does not have.
        if ty.bits() >= 32
            && let Some(m) = self.memory_operand(v, ty)
        {
            return Operand::Mem(m);
        }
        Operand::Reg(self.use_gpr(v))
    }

    /// The memory a value is in, if it is nowhere else and not used again.
    pub(super) fn memory_operand(&mut self, v: u32, ty: Ty) -> Option<Mem> {
        let p = self.place[v as usize];
        if p.gpr != NONE || p.xmm != NONE || !p.in_memory() || self.an.next_use(v, self.pos) != u32::MAX {
            return None;
        }
        let m = if p.spill != NOWHERE {
            Self::spill_mem(p.spill)
        } else if self.guest.slots[p.home as usize].ty.bytes() >= ty.bytes() {
            self.home_mem(p.home)
        } else {
            return None;
        };
        if self.claims.is_some() {
            let bits = self.bits(v).min(ty.bits() as u16);
            self.claim(Claim::Holds { value: v, cell: Cell::Mem(m.disp), bits });
        }
        Some(m)
    }

    // ------------------------------------------------------------------ calls
    /// Empties the registers that a call loses, of values needed afterwards.
    pub(super) fn save_for_call(&mut self) {
        for r in CALLER_SAVED {
            let v = self.gpr[r as usize];
            if v == NO {
                continue;
            }
            let p = self.place[v as usize];
            if self.live_after(v) && !p.in_memory() && self.an.values[v as usize].mode == Mode::Emit {
                self.save(r, v);
            }
            self.drop_gpr(r);
        }
        for x in 0..16u8 {
            let v = self.xmm[x as usize];
            if v == NO {
                continue;
            }
            if self.live_after(v) && !self.place[v as usize].in_memory() {
                // A copy in a general register does not survive either, unless callee-saved.
                self.save_xmm(x);
            }
            self.drop_xmm(x);
        }
    }
}
