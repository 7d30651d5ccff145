//! The parallel move at exits: guest state from where it is to the boundary.

use std::mem::offset_of;

use ir::Ty;
use smallvec::SmallVec;

use super::analysis::CondKind;
use super::asm::{Alu, Mem, RAX, RCX, RDX, RSP};
use super::choices::PlacedChoice;
use super::claims::{Cell, Claim};
use super::deferred::{deferral, remaining};
use super::exit::FIELD_WHAT;
use super::float_conditions::takes_two_flags;
use super::generator::{EXIT_COPIES, Gen, SCRATCH_XMM};
use super::snapshot::{Kind, Loc, RecipeLoc};
use super::{CompileError, Gpr, Xmm};
use crate::thread_state::{Deferred, SPILLS, ThreadState};

/// A pinned register (or `rax`, `rdx` for operands), as a location, and what goes into it.
type RegMove = (Loc, Loc);
type RegMoves = SmallVec<[RegMove; 24]>;

/// Pinned slots whose value is the extension, from a type, of what goes into their register.
type Extensions = SmallVec<[(u16, Gpr, Ty); 4]>;

/// Where the operands of the comparison go that deferred condition flags are of.
pub(super) const DEFERRED_A: usize = offset_of!(ThreadState, deferred) + offset_of!(Deferred, a);
pub(super) const DEFERRED_B: usize = offset_of!(ThreadState, deferred) + offset_of!(Deferred, b);

/// A general register outside `busy`.
pub(super) fn free_register(busy: u32) -> Option<Gpr> {
    (0..16).find(|&r| busy & 1 << r == 0)
}

/// The same if it is not the only one.
fn spare_register(busy: u32) -> Option<Gpr> {
    free_register(busy).filter(|&r| free_register(busy | 1 << r).is_some())
}

impl Gen<'_> {
    /// Moves everything in the range to the boundary, and `extra` besides.
    pub(super) fn move_to_boundary(&mut self, (from, to): (u32, u32), extra: Option<RegMove>) {
        self.claim(Claim::Unlocks);
        let mut moves = std::mem::take(&mut self.moves);
        let list = &mut moves[from as usize..to as usize];
        let mut extra = extra;
        self.save_overwritten(list, &mut extra);
        let busy = self.busy_registers(list, extra);
        let mut regs = RegMoves::new();
        regs.extend(extra);
        let mut extensions = Extensions::new();
        let deferred = self.defer_flags(list, busy) || self.defer_chosen_flags(list, busy);
        self.deferred = deferred;
        self.store_conditions(list, busy, deferred);
        if !deferred {
            self.no_longer_defer(list);
        }
        for &(slot, loc) in list.iter() {
            let register = self.conv.register(slot).map(Loc::gpr).or(self.conv.vector(slot).map(Loc::xmm));
            match (register, loc.as_recipe().filter(RecipeLoc::is_extension)) {
                (Some(register), Some(r)) => {
                    regs.push((register, r.a));
                    extensions.push((slot, register.parts().1 as Gpr, r.ty));
                }
                (None, Some(r)) => self.store_extension(slot, r, busy),
                (Some(register), None) => regs.push((register, loc)),
                (None, None) if deferred && self.conv.flag(slot).is_some() => {}
                (None, None) if loc.as_recipe().is_none() && self.choice_at(loc).is_none() => {
                    self.store_slot(slot, loc, busy)
                }
                (None, None) => {}
            }
        }
        self.move_registers(&mut regs, &mut extensions);
        for (slot, r, ty) in extensions {
            self.extend_slot(slot, ty, r, r);
        }
        self.moves = moves;
    }

    /// The condition flags among the moves are at home, which changes the host's: none of them may be deferred any more.
    fn no_longer_defer(&mut self, list: &[(u16, Loc)]) {
        let flags = list.iter().any(|m| self.conv.flag(m.0).is_some());
        if flags && !self.an.needs_settled {
            match remaining(self.conv, list) {
                0 => self.asm.store_imm(4, Self::field(FIELD_WHAT), 0),
                mask => self.asm.alu_mi(Alu::And, 4, Self::field(FIELD_WHAT), mask as i32),
            }
        }
    }

    /// Stores the condition flags among the moves as the comparison they are of, if they are of one; says whether. If not,
    /// they are going home.
    fn defer_flags(&mut self, list: &[(u16, Loc)], busy: u32) -> bool {
        let what = Self::field(FIELD_WHAT);
        let Some(deferral) = deferral(self.conv, &self.unit.consts, list) else { return false };
        if let Some((a, b)) = deferral.operands {
            self.store_loc(Ty::I64, Self::field(DEFERRED_A), a, busy);
            if let Some(b) = b {
                self.store_loc(Ty::I64, Self::field(DEFERRED_B), b, busy);
            }
        }
        self.asm.store_imm(4, what, deferral.what as i32);
        true
    }

    /// Copies to registers, or else to spill slots, what is at the home of a slot that is about to be overwritten.
    fn save_overwritten(&mut self, list: &mut [(u16, Loc)], extra: &mut Option<RegMove>) {
        let from_home = |loc: Loc| {
            let mut any = false;
            self.each_part(loc, &mut |part| any |= part.parts().0 == Kind::Home);
            any
        };
        if !list.iter().map(|m| m.1).chain(extra.map(|e| e.1)).any(from_home) {
            return;
        }
        let mut busy = self.busy_registers(list, *extra);
        let (mut copies, mut spilled): (SmallVec<[(u32, Loc); 8]>, usize) = (SmallVec::new(), 0);
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
                let size = g.guest.slots[slot as usize].ty.bytes();
                let copy = match spare_register(busy) {
                    Some(r) if size <= 8 => {
                        busy |= 1 << r;
                        let home = g.home_mem(slot as u16);
                        g.asm.load(size, r, home);
                        g.forget_flags_of(Loc::gpr(r));
                        Loc::gpr(r)
                    }
                    _ if spilled == EXIT_COPIES => {
                        g.error = Some(CompileError::TooManyLive);
                        return loc;
                    }
                    _ => {
                        let copy = Loc::spill((SPILLS - 1 - spilled) as u16);
                        spilled += 1;
                        g.copy_memory(slot as u16, copy);
                        copy
                    }
                };
                copies.push((slot, copy));
                copy
            };
            let mut rescue_all = |g: &mut Self, loc: Loc| match loc.as_recipe() {
                Some(r) => Loc::recipe(r.kind, r.cc, r.ty, rescue(g, r.a), rescue(g, r.b)),
                None => rescue(g, loc),
            };
            let new = match self.choice_at(loc) {
                Some(PlacedChoice { gate, arms }) => {
                    let (gate, arms) = (rescue_all(self, gate), arms.map(|arm| rescue_all(self, arm)));
                    self.place_choice(PlacedChoice { gate, arms })
                }
                None => rescue_all(self, loc),
            };
            match list.get_mut(i) {
                Some(entry) => entry.1 = new,
                None => *extra = extra.map(|e| (e.0, new)),
            }
        }
    }

    /// Another value comes to the location: the flags are of none that is there now.
    fn forget_flags_of(&mut self, loc: Loc) {
        let of = |key: &Loc| key.as_recipe().is_some_and(|recipe| recipe.a == loc || recipe.b == loc);
        self.flags_of_locs = self.flags_of_locs.filter(|key| !of(key));
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

    /// Registers that hold sources, pinned values already in place, or what is needed later.
    fn busy_registers(&self, list: &[(u16, Loc)], extra: Option<RegMove>) -> u32 {
        let mut busy = self.kept | 1 << RSP | 1 << super::asm::RBP;
        for &(_, r) in &self.conv.pins {
            busy |= 1 << r;
        }
        for moved in list.iter().filter_map(|m| self.conv.register(m.0)) {
            busy &= !(1 << moved) | self.kept;
        }
        let mut add = |loc: Loc| {
            if let (Kind::Gpr, r) = loc.parts() {
                busy |= 1 << r;
            }
        };
        for loc in list.iter().map(|m| m.1).chain(extra.map(|e| e.1)) {
            self.each_part(loc, &mut add);
        }
        busy
    }

    /// Runs `f` with a general register outside `busy`, making room if there is none; `read` are registers that `f` reads.
    pub(super) fn with_temp(&mut self, busy: u32, read: u32, f: impl FnOnce(&mut Self, Gpr)) {
        if let Some(r) = free_register(busy) {
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
    pub(super) fn load_loc(&mut self, r: Gpr, loc: Loc) {
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
            Kind::Expression | Kind::Choice => unreachable!("what an exit shows is somewhere"),
        }
    }

    /// Stores a simple location at the home of a slot.
    fn store_slot(&mut self, slot: u16, loc: Loc, busy: u32) {
        self.store_loc(self.guest.slots[slot as usize].ty, self.home_mem(slot), loc, busy);
    }

    /// Stores a simple location, as wide as `ty`.
    pub(super) fn store_loc(&mut self, ty: Ty, to: Mem, loc: Loc, busy: u32) {
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
                // What is loaded to a general register soon after it was stored is there sooner than in a vector register.
                if let Some(r) = free_register(busy).filter(|_| ty.bytes() == 8) {
                    self.asm.load(8, r, from);
                    return self.asm.store(8, to, r);
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
                && !r.is_extension()
                && (i >= 64 || done & 1 << i == 0)
            {
                self.store_conditions_of(list, r.key(), busy, &mut done);
            }
        }
        for &(slot, loc) in list {
            if let Some(choice) = self.choice_at(loc).filter(|_| !deferred) {
                self.store_choice(slot, choice, busy);
            }
        }
    }

    fn store_conditions_of(&mut self, list: &[(u16, Loc)], key: Loc, busy: u32, done: &mut u64) {
        for (i, &(slot, loc)) in list.iter().enumerate() {
            if let Some(r) = loc.as_recipe()
                && r.key() == key
                && (i >= 64 || *done & 1 << i == 0)
            {
                self.store_condition(slot, r, busy);
                if i < 64 {
                    *done |= 1 << i;
                }
            }
        }
    }

    /// Makes a comparison from locations and stores the result at a slot's home.
    pub(super) fn store_condition(&mut self, slot: u16, r: RecipeLoc, busy: u32) {
        let to = self.home_mem(slot);
        let code = self.compare_locs(slot, r, busy);
        if r.kind == CondKind::Float && takes_two_flags(code) {
            self.store_joined_flags(code, to);
        } else {
            self.asm.setcc_mem(code, to);
        }
    }

    /// Sets the flags from locations of a slot's comparison, unless they are already; returns the condition code.
    pub(super) fn compare_locs(&mut self, slot: u16, r: RecipeLoc, busy: u32) -> u8 {
        let key = r.key();
        if self.flags_of_locs == Some(key) {
            return r.cc;
        }
        if r.kind == CondKind::Float {
            self.compare_floats_of_locs(slot, r, busy);
            self.flags_of_locs = Some(key);
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
        let modified = r.kind == CondKind::Add;
        let compare = |g: &mut Self, a: Gpr| {
            let a = g.readable(r.a, a, modified);
            g.claim_compared(slot, false, Cell::Gpr(a));
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
                    if kind_b != Kind::Const {
                        g.claim_compared(slot, true, if in_register { Cell::Gpr(n as Gpr) } else { Cell::Mem(m.disp) });
                    }
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
        };
        match r.a.parts() {
            (Kind::Gpr, own) if !modified => compare(self, own as Gpr),
            _ => self.with_temp(busy, read, compare),
        }
        self.flags_of_locs = Some(key);
        r.cc
    }

    /// A register with the location's value: its own, or `temp` (always, if it is to be `modified`).
    pub(super) fn readable(&mut self, loc: Loc, temp: Gpr, modified: bool) -> Gpr {
        match loc.parts() {
            (Kind::Gpr, r) if !modified => r as Gpr,
            _ => {
                self.load_loc(temp, loc);
                temp
            }
        }
    }

    /// Memory that holds `size` bytes of the location's value; of no meaning for registers.
    pub(super) fn source_memory(&mut self, loc: Loc, size: u32, busy: u32) -> Mem {
        let (kind, n) = loc.parts();
        match kind {
            Kind::Home if self.guest.slots[n as usize].ty.bytes() >= size => return self.home_mem(n as u16),
            Kind::Spill => return Self::spill_mem(n as u16),
            Kind::Gpr | Kind::Bit | Kind::Expression | Kind::Choice => return Self::scratch(0),
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

    /// Parallel move into registers; those of the extensions that are made by the move are taken out of their list.
    fn move_registers(&mut self, regs: &mut RegMoves, extensions: &mut Extensions) {
        let general = |loc: Loc| loc.parts().0 == Kind::Gpr;
        regs.retain(|&mut (to, from)| from != to);
        // Register to register first: whatever is in the way of nobody, then cycles. Those of general registers alone by
        // exchange; of others, one register's content steps aside.
        loop {
            let from_register = |m: &RegMove| matches!(m.1.parts().0, Kind::Gpr | Kind::Xmm);
            let blocked = |m: &RegMove| regs.iter().any(|o| o.1 == m.0 && o.0 != m.0);
            if let Some(i) = regs.iter().position(|m| from_register(m) && !blocked(m)) {
                let (to, from) = regs.swap_remove(i);
                match extensions.iter().position(|e| general(from) && Loc::gpr(e.1) == to) {
                    Some(k) => {
                        let (slot, r, ty) = extensions.swap_remove(k);
                        self.extend_slot(slot, ty, r, from.parts().1 as Gpr);
                    }
                    None => self.load_register(to, from),
                }
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
                regs.retain(|&mut (to, from)| from != to);
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
        match to.parts() {
            (Kind::Xmm, x) => self.load_vector(x as Xmm, from, self.pinned_bytes(x as Xmm)),
            (_, r) => self.load_loc(r as Gpr, from),
        }
    }

    /// Loads a simple location into a vector register, `size` bytes of it if it is in memory.
    pub(super) fn load_vector(&mut self, x: Xmm, from: Loc, size: u32) {
        let (kind, n) = from.parts();
        match kind {
            Kind::Xmm => self.asm.mov_xx(x, n as u8),
            Kind::Gpr => self.asm.mov_xr(8, x, n as Gpr),
            Kind::Spill => self.asm.load_xmm(size, x, Self::spill_mem(n as u16)),
            Kind::Home => {
                let (size, m) = (self.guest.slots[n as usize].ty.bytes().min(size), self.home_mem(n as u16));
                if size >= 4 {
                    self.asm.load_xmm(size, x, m);
                } else {
                    // No general register is known to be free here.
                    self.asm.store(8, Self::scratch(1), RAX);
                    self.asm.load(size, RAX, m);
                    self.asm.mov_xr(8, x, RAX);
                    self.asm.load(8, RAX, Self::scratch(1));
                }
            }
            Kind::Const => self.asm.const_xmm(x, self.unit.consts[n as usize]),
            Kind::Bit | Kind::Expression | Kind::Choice => {}
        }
    }

    /// Bytes of the slot that is pinned to the register.
    fn pinned_bytes(&self, x: Xmm) -> u32 {
        let slot = self.conv.vector_pins.iter().find(|pin| pin.1 == x).map(|pin| pin.0);
        slot.map_or(16, |slot| self.guest.slots[slot.0 as usize].ty.bytes())
    }
}
