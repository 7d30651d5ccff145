//! Guest memory as the interpreter sees it: host memory through guarded accesses, atomics on host atomics.

use std::sync::atomic::{Ordering, fence};

use ir::inst::AtomicOp;
use ir::{MemAttr, Order, Ty};

use crate::event::MemFault;
use crate::guarded;

/// The memory of the process we run in.
pub(crate) struct HostMemory;

impl ir::interp::Env for HostMemory {
    type Fault = MemFault;

    fn load(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<u128, MemFault> {
        if mem.order == Order::SeqCst {
            fence(Ordering::SeqCst);
        }
        guarded::load(addr, ty).map(|value| swap(value, ty, mem))
    }

    fn store(&mut self, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<(), MemFault> {
        guarded::store(addr, ty, swap(value, ty, mem))?;
        // A release must not be overtaken by a later acquire load: the host's store buffer has to drain.
        if matches!(mem.order, Order::Release | Order::SeqCst) {
            fence(Ordering::SeqCst);
        }
        Ok(())
    }

    fn rmw(&mut self, op: AtomicOp, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<u128, MemFault> {
        let mut found = guarded::load(addr, ty)?;
        loop {
            let old = swap(found, ty, mem);
            let new = swap(combine(op, ty, old, value), ty, mem);
            let now = guarded::cas(addr, ty, found, new)?;
            if now == found {
                return Ok(old);
            }
            found = now;
        }
    }

    fn cas(&mut self, addr: u64, ty: Ty, expected: u128, new: u128, mem: MemAttr) -> Result<u128, MemFault> {
        guarded::cas(addr, ty, swap(expected, ty, mem), swap(new, ty, mem)).map(|found| swap(found, ty, mem))
    }

    fn fence(&mut self, _bits: u32) {
        fence(Ordering::SeqCst);
    }
}

/// Between a value and its bytes in memory read as little-endian.
pub(crate) fn swap(value: u128, ty: Ty, mem: MemAttr) -> u128 {
    if mem.big_endian { value.swap_bytes() >> (128 - 8 * ty.bytes()) } else { value }
}

/// The new value of a read-modify-write.
pub(crate) fn combine(op: AtomicOp, ty: Ty, old: u128, v: u128) -> u128 {
    let signed = |x: u128| (x << (128 - ty.bits())) as i128;
    let new = match op {
        AtomicOp::Add => old.wrapping_add(v),
        AtomicOp::Andn => old & !v,
        AtomicOp::Xor => old ^ v,
        AtomicOp::Or => old | v,
        AtomicOp::And => old & v,
        AtomicOp::Swap => v,
        AtomicOp::Smax => {
            if signed(old) >= signed(v) {
                old
            } else {
                v
            }
        }
        AtomicOp::Smin => {
            if signed(old) <= signed(v) {
                old
            } else {
                v
            }
        }
        AtomicOp::Umax => old.max(v),
        AtomicOp::Umin => old.min(v),
    };
    new & ty.mask()
}
