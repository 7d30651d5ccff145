//! Vector registers: the allocation interface of [`super::generator`] for them.

use ir::inst::Val;

use super::Xmm;
use super::analysis::{Mode, NO, NO_HINT};
use super::claims::{Cell, Claim};
use super::generator::{Gen, NONE, NOWHERE, SCRATCH_XMM};

/// Allocatable vector registers, those without pinned slots first.
const XMM_ORDER: [Xmm; SCRATCH_XMM as usize] = [0, 1, 2, 3, 14, 13, 12, 11, 10, 9, 8, 7, 6, 5, 4];

impl Gen<'_> {
    /// The value in a vector register, locked.
    pub(super) fn use_xmm(&mut self, v: u32) -> Xmm {
        let p = self.place[v as usize];
        if p.xmm != NONE {
            self.locked_xmm |= 1 << p.xmm;
            self.claim_xmm(v, p.xmm);
            return p.xmm;
        }
        if self.an.values[v as usize].mode == Mode::Cond {
            let r = self.use_gpr(v);
            let x = self.temp_xmm();
            self.asm.mov_xr(4, x, r);
            return x;
        }
        let x = self.alloc_xmm(self.an.values[v as usize].vector_hint);
        self.load_into_xmm(x, v);
        self.own_xmm(x, v);
        self.claim_xmm(v, x);
        x
    }

    pub(super) fn load_into_xmm(&mut self, x: Xmm, v: u32) {
        if self.load_number_into_xmm(x, v) {
            return;
        }
        let p = self.place[v as usize];
        let size = self.ty(v).bytes().max(8);
        if let Some(bits) = self.constant(v) {
            self.asm.const_xmm(x, bits);
        } else if p.gpr != NONE {
            self.asm.mov_xr(8, x, p.gpr);
        } else if p.spill != NOWHERE {
            self.asm.load_xmm(size, x, Self::spill_mem(p.spill));
        } else {
            debug_assert!(p.home != NOWHERE, "value {v} is nowhere at {}", self.pos);
            let slot_ty = self.guest.slots[p.home as usize].ty;
            let m = self.home_mem(p.home);
            let narrow = self.an.values[v as usize].narrow;
            if narrow != 0 {
                self.asm.load_xmm(narrow.into(), x, m);
            } else if slot_ty.bytes() >= 4 {
                self.asm.load_xmm(slot_ty.bytes(), x, m);
            } else {
                let r = self.temp_gpr();
                self.asm.load(slot_ty.bytes(), r, m);
                self.asm.mov_xr(4, x, r);
            }
        }
    }

    /// A scratch vector register, locked.
    pub(super) fn temp_xmm(&mut self) -> Xmm {
        self.alloc_xmm(NO_HINT)
    }

    /// A scratch copy of the value that the instruction may overwrite, locked.
    pub(super) fn copy_xmm(&mut self, v: u32) -> Xmm {
        if self.in_xmm(v) || self.an.values[v as usize].mode == Mode::Cond {
            let s = self.use_xmm(v);
            let x = self.temp_xmm();
            self.asm.mov_xx(x, s);
            return x;
        }
        let x = self.temp_xmm();
        self.load_into_xmm(x, v);
        self.claim_xmm(v, x);
        self.claim(Claim::Releases(Cell::Xmm(x)));
        x
    }

    /// A vector register for the result; may be that of an operand that dies here, unless in `avoid` (a mask).
    pub(super) fn def_xmm(&mut self, avoid: u32) -> Xmm {
        let fits = |g: &Self, x: Xmm| {
            let owner = g.xmm[x as usize];
            (avoid | g.reserved_xmm) & 1 << x == 0
                && (owner == NO && g.locked_xmm & 1 << x == 0 || owner != NO && !g.live_after(owner))
        };
        let hint = self.an.values[self.pos as usize].vector_hint;
        if hint != NO_HINT && fits(self, hint) {
            self.result_xmm(hint);
            return hint;
        }
        let operands = self.inst().args;
        let dying = operands.iter().filter(|a| **a != Val::NONE && a.index() < self.place.len()).find_map(|a| {
            let p = self.place[self.an.val(*a) as usize];
            (p.xmm != NONE && self.locked_xmm & 1 << p.xmm != 0 && fits(self, p.xmm)).then_some(p.xmm)
        });
        let x = dying
            .or_else(|| XMM_ORDER.into_iter().find(|&x| self.locked_xmm & 1 << x == 0 && fits(self, x)))
            .unwrap_or_else(|| self.alloc_xmm(NO_HINT));
        self.result_xmm(x);
        x
    }

    /// Declares that the result is in `x`, a register the instruction locked and filled.
    pub(super) fn result_xmm(&mut self, x: Xmm) {
        self.drop_xmm(x);
        self.own_xmm(x, self.pos);
        let bits = self.bits(self.pos);
        self.claim(Claim::Defines { cell: Cell::Xmm(x), bits });
    }

    /// The result in a vector register that starts as a copy of operand `v`, for two-address instructions; `avoid` are
    /// registers read later.
    pub(super) fn def_xmm_from(&mut self, v: u32, avoid: u32) -> Xmm {
        let s = self.use_xmm(v);
        let x = self.def_xmm(avoid);
        if x != s {
            self.asm.mov_xx(x, s);
        }
        x
    }

    fn own_xmm(&mut self, x: Xmm, v: u32) {
        self.xmm[x as usize] = v;
        self.place[v as usize].xmm = x;
        self.locked_xmm |= 1 << x;
    }

    pub(super) fn drop_xmm(&mut self, x: Xmm) {
        let v = self.xmm[x as usize];
        if v != NO {
            self.vectors_moved = true;
            self.place[v as usize].xmm = NONE;
            self.xmm[x as usize] = NO;
        }
    }

    /// An empty register, locked: the preferred one if free, else any free one, else that of the value used last.
    fn alloc_xmm(&mut self, hint: u8) -> Xmm {
        let free = |g: &Self, x: Xmm| {
            let v = g.xmm[x as usize];
            g.locked_xmm & 1 << x == 0 && (v == NO || !g.live(v))
        };
        let hinted = (hint != NO_HINT && free(self, hint)).then_some(hint);
        let x = hinted
            .or_else(|| XMM_ORDER.into_iter().find(|&x| free(self, x) && self.xmm[x as usize] == NO))
            .or_else(|| XMM_ORDER.into_iter().find(|&x| free(self, x)))
            .unwrap_or_else(|| self.evict_xmm());
        self.drop_xmm(x);
        self.locked_xmm |= 1 << x;
        x
    }

    fn evict_xmm(&mut self) -> Xmm {
        let (locked, values) = (self.locked_xmm, self.xmm);
        let free = (0..SCRATCH_XMM).filter(|x| locked & 1 << x == 0);
        let best = self.victim(free.map(|x| (x, values[x as usize])), |p| p.gpr != NONE);
        self.save_xmm(best);
        best
    }

    /// Makes sure the live value in `x` is somewhere else too.
    pub(super) fn save_xmm(&mut self, x: Xmm) {
        let v = self.xmm[x as usize];
        let p = self.place[v as usize];
        if p.gpr != NONE || p.in_memory() || self.an.values[v as usize].mode != Mode::Emit {
            return;
        }
        let size = self.ty(v).bytes().max(8);
        match self.home_for(v) {
            Some(slot) if self.guest.slots[slot as usize].ty.bytes() >= 4 => {
                let (size, m) = (self.guest.slots[slot as usize].ty.bytes(), self.home_mem(slot));
                self.asm.store_xmm(size, m, x);
                self.settle(slot, v);
            }
            _ => {
                let s = self.alloc_spill(v);
                self.asm.store_xmm(size, Self::spill_mem(s), x);
            }
        }
    }
}
