//! Memory of which a window can be accessed, for the interpreter.

use ir::Ty;
use ir::inst::{AtomicOp, MemAttr};
use ir::interp::Env;

/// The bytes at an address; everything else faults.
pub(crate) struct Window<'a> {
    /// Address of the first.
    pub(crate) at: u64,
    /// Bytes.
    pub(crate) bytes: &'a mut [u8],
    /// Accesses at addresses that are no multiple of their size fault.
    pub(crate) aligned: bool,
    /// What stores replaced.
    pub(crate) undo: &'a mut Undo,
}

/// Bytes that stores replaced, the latest last: places, and what was there.
#[derive(Default)]
pub(crate) struct Undo(Vec<(usize, u8, [u8; 16])>);

impl Undo {
    /// What has been stored until now stays.
    pub(crate) fn forget(&mut self) {
        self.0.clear();
    }

    /// Takes all stores back but the first `kept`.
    pub(crate) fn take_back(&mut self, kept: usize, bytes: &mut [u8]) {
        for (at, len, old) in self.0.drain(kept..).rev() {
            bytes[at..at + usize::from(len)].copy_from_slice(&old[..len.into()]);
        }
    }

    /// How many stores there were.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }
}

/// An access outside of the window, or not aligned.
#[derive(Debug)]
pub(crate) struct Outside;

impl Window<'_> {
    fn place(&self, addr: u64, ty: Ty, mem: MemAttr) -> Result<std::ops::Range<usize>, Outside> {
        let len = ty.bytes() as usize;
        let at = addr.wrapping_sub(self.at) as usize;
        let align = if self.aligned { len as u64 } else { 1 << mem.align_log2 };
        if !addr.is_multiple_of(align) || at.checked_add(len).is_none_or(|end| end > self.bytes.len()) {
            return Err(Outside);
        }
        Ok(at..at + len)
    }
}

impl Env for Window<'_> {
    type Fault = Outside;

    fn load(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<u128, Outside> {
        let place = self.place(addr, ty, mem)?;
        let mut value = [0; 16];
        value[..place.len()].copy_from_slice(&self.bytes[place.clone()]);
        if mem.big_endian {
            value[..place.len()].reverse();
        }
        Ok(u128::from_le_bytes(value))
    }

    fn store(&mut self, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<(), Outside> {
        let place = self.place(addr, ty, mem)?;
        let mut value = value.to_le_bytes();
        if mem.big_endian {
            value[..place.len()].reverse();
        }
        let mut old = [0; 16];
        old[..place.len()].copy_from_slice(&self.bytes[place.clone()]);
        self.undo.0.push((place.start, place.len() as u8, old));
        self.bytes[place.clone()].copy_from_slice(&value[..place.len()]);
        Ok(())
    }

    fn rmw(&mut self, op: AtomicOp, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<u128, Outside> {
        let old = self.load(addr, ty, mem)?;
        let signed = |x: u128| (x << (128 - ty.bits())) as i128;
        let new = match op {
            AtomicOp::Add => old.wrapping_add(value),
            AtomicOp::Andn => old & !value,
            AtomicOp::Xor => old ^ value,
            AtomicOp::Or => old | value,
            AtomicOp::And => old & value,
            AtomicOp::Swap => value,
            AtomicOp::Smax if signed(old) >= signed(value) => old,
            AtomicOp::Smin if signed(old) <= signed(value) => old,
            AtomicOp::Smax | AtomicOp::Smin => value,
            AtomicOp::Umax => old.max(value),
            AtomicOp::Umin => old.min(value),
        };
        self.store(addr, ty, new & ty.mask(), mem)?;
        Ok(old)
    }

    fn cas(&mut self, addr: u64, ty: Ty, expected: u128, new: u128, mem: MemAttr) -> Result<u128, Outside> {
        let old = self.load(addr, ty, mem)?;
        let value = if old == expected { new } else { old };
        self.store(addr, ty, value, mem)?;
        Ok(old)
    }

    fn fence(&mut self, _bits: u32) {}
}
