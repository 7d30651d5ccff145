//! Where slots are: locations for snapshots and exits, writes taking effect, and slots brought home.

use ir::Ty;
use ir::inst::Val;

use super::Gpr;
use super::analysis::{Cond, CondKind, Mode, NO};
use super::claims::Claim;
use super::generator::{Gen, NONE, NOWHERE, Place, SCRATCH_XMM};
use super::snapshot::Loc;

/// A value that no slot has.
const NEVER: u32 = NO - 1;

impl Gen<'_> {
    /// Where the value is now, for a snapshot or an exit.
    pub(super) fn loc(&self, v: u32) -> Loc {
        if self.an.is_left(v) {
            return Loc::expression(v);
        }
        match self.an.cond(v) {
            Some(c) => self.cond_loc(c),
            None => self.simple_loc(v),
        }
    }

    /// A comparison in terms of where its operands are now.
    pub(super) fn cond_loc(&self, c: Cond) -> Loc {
        let b = if c.kind == CondKind::Bit { Loc::bit(c.b) } else { self.simple_loc(c.b) };
        Loc::recipe(c.kind, c.cc, c.ty, self.simple_loc(c.a), b)
    }

    /// A comparison of values in terms of where they are now, if they are anywhere.
    pub(super) fn placed_loc(&self, kind: CondKind, ty: Ty, a: u32, b: u32) -> Option<Loc> {
        let anywhere = |v: u32| {
            let p = self.place[v as usize];
            self.an.values[v as usize].mode == Mode::Const || p.gpr != NONE || p.xmm != NONE || p.in_memory()
        };
        if !anywhere(a) || kind != CondKind::Bit && !anywhere(b) {
            return None;
        }
        let b = if kind == CondKind::Bit { Loc::bit(b) } else { self.simple_loc(b) };
        Some(Loc::recipe(kind, 0, ty, self.simple_loc(a), b))
    }

    /// General register that holds the value.
    pub(super) fn loc_register(&self, v: u32) -> Option<Gpr> {
        let r = self.place[v as usize].gpr;
        (r != NONE).then_some(r)
    }

    fn simple_loc(&self, v: u32) -> Loc {
        let p = self.place[v as usize];
        if self.an.values[v as usize].mode == Mode::Const {
            Loc::constant(self.unit.insts[v as usize].attr.0)
        } else if p.gpr != NONE {
            Loc::gpr(p.gpr)
        } else if p.xmm != NONE {
            Loc::xmm(p.xmm)
        } else if p.spill != NOWHERE {
            Loc::spill(p.spill)
        } else {
            debug_assert!(p.home != NOWHERE, "value {v} is nowhere at {}", self.pos);
            Loc::home(p.home)
        }
    }

    /// Where the slot's value is now.
    pub(super) fn slot_loc(&self, slot: u16) -> Loc {
        match self.cur[slot as usize] {
            NO => Loc::home(slot),
            v if self.place[v as usize].home == slot => Loc::home(slot),
            v => self.loc(v),
        }
    }

    /// Records where everything is for the host instruction about to be emitted, which may fault.
    pub(super) fn may_fault(&mut self) {
        self.before_fault();
        self.faults_here();
    }

    /// The same for an instruction whose result register is allocated in between: it may be that of a value that the
    /// snapshot needs, because a faulting instruction does not write its result.
    pub(super) fn before_fault(&mut self) {
        self.recorder.point(self.asm.at(), self.pc);
        self.record_unchecked();
        if self.claims.is_some() {
            self.claim(Claim::Shows { point: self.recorder.count() - 1, pos: self.pos });
        }
        let conv = self.conv;
        for &(slot, _) in &conv.pins {
            self.record_slot(slot.0);
        }
        if self.vectors_moved {
            for &(slot, _) in &conv.vector_pins {
                self.record_slot(slot.0);
            }
        }
        for i in 0..self.dirty.len() {
            self.record_slot(self.dirty[i]);
        }
    }

    /// Records where a slot is, if that may have changed since the last point.
    #[inline(always)]
    fn record_slot(&mut self, slot: u16) {
        let v = self.cur[slot as usize];
        let place = if v == NO { Place::NOWHERE } else { self.place[v as usize] };
        if self.seen[slot as usize] != (v, place) {
            self.record_moved(slot, v, place);
        }
    }

    #[inline(never)]
    fn record_moved(&mut self, slot: u16, v: u32, place: Place) {
        // A comparison's operands may move: it is looked at anew each time.
        let moves = v != NO && matches!(self.an.values[v as usize].mode, Mode::Cond | Mode::Shown);
        self.seen[slot as usize] = (if moves { NEVER } else { v }, place);
        let loc = self.slot_loc(slot);
        if v == NO || loc != Loc::expression(v) {
            return self.recorder.slot(self.unit, slot, loc);
        }
        let mut bytes = std::mem::take(&mut self.expression);
        bytes.clear();
        self.write_expression(&mut bytes, slot, v, self.guest.slots[slot as usize].ty);
        self.recorder.expression(slot, loc, &bytes);
        self.expression = bytes;
    }

    /// The host instruction about to be emitted is the one of [`Gen::before_fault`].
    pub(super) fn faults_here(&mut self) {
        self.recorder.at(self.asm.at());
    }

    /// Writes that take effect before the current instruction.
    pub(super) fn apply_put(&mut self, slot: u16, v: Val) {
        self.vectors_moved |= self.conv.vector(slot).is_some();
        let is_dirty = &mut self.is_dirty[slot as usize];
        if !*is_dirty && !self.conv.is_pinned(slot) {
            *is_dirty = true;
            self.dirty.push(slot);
        }
        self.cur[slot as usize] = self.an.val(v);
    }

    /// Brings every slot to its home, before a call that reads and writes them there.
    pub(super) fn sync_slots(&mut self) {
        let slots: Vec<u16> = self.conv.pinned_slots().chain(self.dirty.iter().copied()).collect();
        for slot in slots {
            let v = self.cur[slot as usize];
            if v == NO || self.place[v as usize].home == slot {
                continue;
            }
            let (size, m) = (self.guest.slots[slot as usize].ty.bytes(), self.home_mem(slot));
            if size == 16 || self.in_xmm(v) && size >= 4 {
                let x = self.use_xmm(v);
                self.copy_from_home(slot);
                self.asm.store_xmm(size, m, x);
            } else {
                let r = self.use_gpr(v);
                self.copy_from_home(slot);
                self.asm.store(size, m, r);
            }
            self.settle_if_whole(slot, v);
            self.unlock();
        }
        self.copy_from_homes();
    }

    /// Spills live values that are only at some slot's home.
    fn copy_from_homes(&mut self) {
        for slot in 0..self.holder.len() {
            self.copy_from_home(slot as u16);
        }
    }

    /// Spills the value at a slot's home if it is live and nowhere else.
    fn copy_from_home(&mut self, slot: u16) {
        let v = self.holder[slot as usize];
        if v == NO || self.place[v as usize].home != slot || !self.live(v) || self.has_copy(v) {
            return;
        }
        let (size, from) = (self.guest.slots[slot as usize].ty.bytes(), self.home_mem(slot));
        let spill = self.alloc_spill(v);
        let to = Self::spill_mem(spill);
        if size >= 4 {
            self.asm.load_xmm(size, SCRATCH_XMM, from);
            self.asm.store_xmm(size.max(8), to, SCRATCH_XMM);
        } else {
            let r = self.temp_gpr();
            self.asm.load(size, r, from);
            self.asm.store(8, to, r);
        }
    }

    /// After a call that read and wrote slots in memory: every slot is at home.
    pub(super) fn forget_slots(&mut self) {
        self.vectors_moved = true;
        for slot in 0..self.cur.len() {
            self.cur[slot] = NO;
            let holder = self.holder[slot];
            if holder != NO && self.place[holder as usize].home == slot as u16 {
                self.place[holder as usize].home = NOWHERE;
                self.holder[slot] = NO;
            }
        }
    }
}
