//! Guest memory. Accesses are never removed, merged or reordered.

use super::Builder;
use super::emit::{NO_ARGS, one, two};
use crate::inst::{AtomicOp, Attr, MemAttr, Op, Order, Val};
use crate::ty::Ty;
use crate::unit::Trap;

impl Builder<'_> {
    /// Load of `w` bits (8 to 128). Addresses are 64 bits; a narrower guest zero-extends.
    pub fn load(&mut self, w: u32, addr: Val, m: MemAttr) -> Val {
        let m = self.checked(addr, m);
        let addr = self.address(addr);
        self.effect(Op::Load, Ty::holding(w), Attr::mem(m), one(addr))
    }

    /// Store of `w` bits.
    pub fn store(&mut self, w: u32, addr: Val, value: Val, m: MemAttr) {
        let m = self.checked(addr, m);
        let addr = self.address(addr);
        self.effect(Op::Store, Ty::holding(w), Attr::mem(m), two(addr, value));
    }

    /// The address behind a pointer, if it has to be computed.
    fn address(&mut self, pointer: Val) -> Val {
        if self.masks { self.bfxs_t(Ty::I64, pointer, 0, 56) } else { pointer }
    }

    /// A demanded alignment becomes a trap before the access, so that no access carries one.
    fn checked(&mut self, addr: Val, m: MemAttr) -> MemAttr {
        if m.align_log2 == 0 {
            return m;
        }
        let mask = self.k(Ty::I64, (1 << m.align_log2) - 1);
        let low = self.and_t(Ty::I64, addr, mask);
        let zero = self.k(Ty::I64, 0);
        let misaligned = self.compare_t(Op::Ne, Ty::I64, low, zero);
        self.trap_if(misaligned, Trap::Alignment);
        MemAttr { align_log2: 0, ..m }
    }

    /// Load that sets the exclusive monitor.
    pub fn load_exclusive(&mut self, w: u32, addr: Val, order: Order) -> Val {
        let addr = self.address(addr);
        self.effect(Op::Ll, Ty::holding(w), Attr::mem(MemAttr::ordered(order)), one(addr))
    }

    /// Store if the monitor still holds: 0 if stored.
    pub fn store_exclusive(&mut self, w: u32, addr: Val, value: Val, order: Order) -> Val {
        let addr = self.address(addr);
        self.effect(Op::Sc, Ty::holding(w), Attr::mem(MemAttr::ordered(order)), two(addr, value))
    }

    /// Clears the exclusive monitor.
    pub fn clear_exclusive(&mut self) {
        self.effect(Op::Clrex, Ty::I1, Attr(0), NO_ARGS);
    }

    /// Atomic read-modify-write; the old value.
    pub fn atomic(&mut self, op: AtomicOp, w: u32, addr: Val, value: Val, order: Order) -> Val {
        let addr = self.address(addr);
        let attr = Attr::mem(MemAttr::ordered(order)).with_kind(op as u8);
        self.effect(Op::Rmw, Ty::holding(w), attr, two(addr, value))
    }

    /// Atomic compare and swap; the old value.
    pub fn atomic_cas(&mut self, w: u32, addr: Val, expected: Val, new: Val, order: Order) -> Val {
        let addr = self.address(addr);
        self.effect(Op::Cas, Ty::holding(w), Attr::mem(MemAttr::ordered(order)), [addr, expected, new])
    }

    /// Barrier. Bits: 0 loads before, 1 stores before, 2 loads after, 3 stores after.
    pub fn fence(&mut self, bits: u32) {
        self.effect(Op::Fence, Ty::I1, Attr::imms(bits, 0), NO_ARGS);
    }
}
