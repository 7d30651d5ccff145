//! Guest memory as the interpreter sees it: host memory through guarded accesses, atomics on host atomics.

use std::sync::atomic::{Ordering, fence};

use ir::inst::AtomicOp;
use ir::{MemAttr, Order, Ty};

use crate::event::MemFault;
use crate::guarded;
use crate::watched::Watched;

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

/// The memory of the process we run in, when stores are noticed.
pub(crate) struct NoticedMemory<'w> {
    watched: &'w Watched,
    /// Whether granules may become watched at once: no generated code accesses memory.
    at_once: bool,
    /// An exclusive access was not made because its address has to become watched first.
    pub(crate) wanted: Option<u64>,
}

impl<'w> NoticedMemory<'w> {
    pub(crate) fn new(watched: &'w Watched, at_once: bool) -> NoticedMemory<'w> {
        NoticedMemory { watched, at_once, wanted: None }
    }

    /// Makes an access, which is to be made again once the granule is watched.
    fn exclusively<T>(
        &mut self,
        addr: u64,
        access: impl Fn(&Watched) -> Option<Result<T, MemFault>>,
    ) -> Result<T, MemFault> {
        loop {
            if let Some(result) = access(self.watched) {
                return result;
            }
            if !self.at_once {
                self.wanted = Some(addr);
                return Err(MemFault { addr, write: None, signal: 0, code: 0 });
            }
            self.watched.watch(addr);
        }
    }
}

impl ir::interp::Env for NoticedMemory<'_> {
    type Fault = MemFault;

    fn load(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<u128, MemFault> {
        HostMemory.load(addr, ty, mem)
    }

    fn store(&mut self, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<(), MemFault> {
        self.watched.store(addr, ty, || HostMemory.store(addr, ty, value, mem), |()| true)
    }

    fn rmw(&mut self, op: AtomicOp, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<u128, MemFault> {
        self.watched.store(addr, ty, || HostMemory.rmw(op, addr, ty, value, mem), |_| true)
    }

    fn cas(&mut self, addr: u64, ty: Ty, expected: u128, new: u128, mem: MemAttr) -> Result<u128, MemFault> {
        self.watched.store(addr, ty, || HostMemory.cas(addr, ty, expected, new, mem), |found| *found == expected)
    }

    fn load_exclusive(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<(u128, u64), MemFault> {
        self.exclusively(addr, |watched| watched.load_exclusive(addr, || HostMemory.load(addr, ty, mem)))
    }

    fn store_exclusive(
        &mut self,
        addr: u64,
        ty: Ty,
        (expected, stamp): (u128, u64),
        new: u128,
        mem: MemAttr,
    ) -> Result<bool, MemFault> {
        // Other processes are not noticed: the value has to be the same as well.
        let swap = || HostMemory.cas(addr, ty, expected, new, mem).map(|found| found == expected);
        self.exclusively(addr, |watched| watched.store_exclusive(addr, stamp, swap))
    }

    fn fence(&mut self, bits: u32) {
        HostMemory.fence(bits);
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
