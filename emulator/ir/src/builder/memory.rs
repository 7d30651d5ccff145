//! Guest memory. Accesses are never removed, merged or reordered.

use super::Builder;
use super::emit::{NO_ARGS, one, two};
use crate::inst::{AtomicOp, Attr, Effect, Inst, MemAttr, Op, Order, Val};
use crate::ty::Ty;
use crate::unit::Trap;

/// Bytes of memory, aligned, that are reserved together: the widest exclusive access.
pub const GRANULE: u64 = 16;

/// Bytes of the table for [`Builder::notice_stores`]. The one of an address is that with the number of its granule, modulo the size;
/// it is not 0 if that granule or the next one is to be noticed, because an access may reach into it.
pub const MARKS: usize = 1 << 16;

/// An update that is one operation.
enum Update {
    Rmw(AtomicOp, Val),
    /// If the first value is there, the second is stored.
    Cas(Val, Val),
}

impl Builder<'_> {
    /// Load of `w` bits (8 to 128). Addresses are 64 bits; those of a narrower guest are zero-extended here.
    pub fn load(&mut self, w: u32, addr: Val, m: MemAttr) -> Val {
        let addr = self.widened(addr);
        let m = self.checked(addr, m);
        let addr = self.address(addr);
        let (ty, attr) = (Ty::holding(w), Attr::mem(m));
        match self.load_undecided(ty, attr, addr) {
            Some(value) => value,
            None => self.effect(Op::Load, ty, attr, one(addr)),
        }
    }

    /// Store of `w` bits.
    pub fn store(&mut self, w: u32, addr: Val, value: Val, m: MemAttr) {
        let addr = self.widened(addr);
        let m = self.checked(addr, m);
        let addr = self.address(addr);
        self.notice(addr);
        self.effect(Op::Store, Ty::holding(w), Attr::mem(m), two(addr, value));
    }

    /// A pointer of a narrow guest as a wide one.
    pub(super) fn widened(&mut self, pointer: Val) -> Val {
        if self.ty(pointer) == Ty::I32 { self.zext(32, 64, pointer) } else { pointer }
    }

    /// The address behind a pointer.
    fn address(&mut self, pointer: Val) -> Val {
        let pointer = self.widened(pointer);
        if self.masks { self.bfxs_t(Ty::I64, pointer, 0, 56) } else { pointer }
    }

    /// Attributes of an access that is not plain, in the guest's byte order.
    fn special(&self, order: Order) -> Attr {
        Attr::mem(MemAttr { big_endian: self.guest.big_endian, ..MemAttr::ordered(order) })
    }

    /// The guest's byte order. A demanded alignment becomes a trap before the access, so that no access carries one.
    fn checked(&mut self, addr: Val, m: MemAttr) -> MemAttr {
        let m = MemAttr { big_endian: m.big_endian || self.guest.big_endian, ..m };
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
        self.notice(addr);
        self.hold(true);
        self.effect(Op::Ll, Ty::holding(w), self.special(order), one(addr))
    }

    /// Store if the monitor still holds: 0 if stored.
    pub fn store_exclusive(&mut self, w: u32, addr: Val, value: Val, order: Order) -> Val {
        let addr = self.address(addr);
        self.notice(addr);
        self.hold(false);
        self.effect(Op::Sc, Ty::holding(w), self.special(order), two(addr, value))
    }

    /// Clears the exclusive monitor.
    pub fn clear_exclusive(&mut self) {
        self.held_from = None;
        self.effect(Op::Clrex, Ty::I1, Attr(0), NO_ARGS);
    }

    /// Atomic read-modify-write; the old value.
    pub fn atomic(&mut self, op: AtomicOp, w: u32, addr: Val, value: Val, order: Order) -> Val {
        let addr = self.address(addr);
        self.notice(addr);
        let attr = self.special(order).with_kind(op as u8);
        self.effect(Op::Rmw, Ty::holding(w), attr, two(addr, value))
    }

    /// Atomic compare and swap; the old value.
    pub fn atomic_cas(&mut self, w: u32, addr: Val, expected: Val, new: Val, order: Order) -> Val {
        let addr = self.address(addr);
        self.notice(addr);
        self.effect(Op::Cas, Ty::holding(w), self.special(order), [addr, expected, new])
    }

    /// Atomic update: `old` was loaded from `addr`, and `new`, computed from it, is stored; nothing else may be made of `old`. What is
    /// there before. If that is not `old`, nothing is stored and the unit jumps to `again`; where there is an operation for the
    /// update, that cannot be.
    pub fn atomic_update(&mut self, w: u32, addr: Val, old: Val, new: Val, again: u64) -> Val {
        let Some(update) = self.update(w, old, new) else {
            let seen = self.atomic_cas(w, addr, old, new, Order::SeqCst);
            let changed = self.ne(w, seen, old);
            self.branch(changed, again);
            return seen;
        };
        // The operation loads for itself.
        let zero = self.pool(0);
        let load = std::mem::replace(
            &mut self.unit.insts[old.index()],
            Inst { op: Op::Const, ty: Ty::holding(w), attr: zero, args: NO_ARGS },
        );
        match update {
            Update::Rmw(op, value) => self.atomic(op, w, load.args[0], value, Order::SeqCst),
            Update::Cas(expected, new) => self.atomic_cas(w, load.args[0], expected, new, Order::SeqCst),
        }
    }

    /// The operation that stores `new` for the `old` value just loaded.
    fn update(&mut self, w: u32, old: Val, new: Val) -> Option<Update> {
        let (load, def) = (self.def(old), self.def(new));
        let plain =
            load.op == Op::Load && !load.attr.as_mem().big_endian && load.ty == self.ty(new) && load.ty.bits() == w;
        let pure = |inst: &Inst| inst.op.desc().effect == Effect::Pure;
        if self.noticed.is_some() || !self.folds || !plain || !self.unit.insts[old.index() + 1..].iter().all(pure) {
            return None;
        }
        if new == old {
            // It is stored all the same, as by a fence that changes nothing.
            return Some(Update::Rmw(AtomicOp::Add, self.k(load.ty, 0)));
        }
        let [a, b, _] = def.args;
        let other = if a == old { b } else { a };
        let commutes = (a == old || b == old) && self.is_without(other, old);
        let rmw = |op| Some(Update::Rmw(op, other));
        match def.op {
            Op::Add if commutes => rmw(AtomicOp::Add),
            Op::And if commutes => rmw(AtomicOp::And),
            Op::Or if commutes => rmw(AtomicOp::Or),
            Op::Xor if commutes => rmw(AtomicOp::Xor),
            Op::Andn if a == old && self.is_without(b, old) => rmw(AtomicOp::Andn),
            Op::Sub if a == old && self.is_without(b, old) => Some(Update::Rmw(AtomicOp::Add, self.neg_t(def.ty, b))),
            Op::Not if a == old => Some(Update::Rmw(AtomicOp::Xor, self.k(def.ty, def.ty.mask()))),
            Op::Select if def.args[2] == old && self.is_without(b, old) => {
                let [x, y, _] = Some(self.def(a)).filter(|compared| compared.op == Op::Eq)?.args;
                let expected = if x == old { y } else { x };
                ((x == old || y == old) && self.is_without(expected, old)).then_some(Update::Cas(expected, b))
            }
            _ => None,
        }
    }

    /// Whether `v`, an operand if there is one, is computed without the value `old`.
    fn is_without(&self, v: Val, old: Val) -> bool {
        v < old || v == Val::NONE || v != old && self.def(v).args.iter().all(|&arg| self.is_without(arg, old))
    }

    /// From here on, instructions that are about to access memory in a granule that is marked in the table at this host address
    /// leave to be interpreted, if they may store or load exclusively.
    pub fn notice_stores(&mut self, table: u64) {
        self.noticed = Some(table);
    }

    fn notice(&mut self, addr: Val) {
        let Some(table) = self.noticed else { return };
        let index = self.bfx_t(Ty::I64, addr, GRANULE.trailing_zeros(), MARKS.trailing_zeros());
        let table = self.k(Ty::I64, table.into());
        let at = self.add_t(Ty::I64, table, index);
        let mark = self.effect(Op::Load, Ty::I8, Attr::mem(MemAttr::PLAIN).own(), one(at));
        let zero = self.k(Ty::I8, 0);
        let marked = self.compare_t(Op::Ne, Ty::I8, mark, zero);
        self.step_if(marked);
    }

    fn hold(&mut self, held: bool) {
        self.unit.exclusive = true;
        self.held_from = held.then_some(self.unit.bounds.len());
    }

    /// Barrier. Bits: 0 loads before, 1 stores before, 2 loads after, 3 stores after. Where loads overtaking stores is all that
    /// happens, other barriers are none.
    pub fn fence(&mut self, bits: u32) {
        const STORES_THEN_LOADS: u32 = 0b0110;
        if self.guest.total_store_order && bits & STORES_THEN_LOADS != STORES_THEN_LOADS {
            return;
        }
        self.effect(Op::Fence, Ty::I1, Attr::imms(bits, 0), NO_ARGS);
    }
}
