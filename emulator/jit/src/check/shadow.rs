//! Guest memory for a rehearsal: it can be read and would fault as the real one, but what is stored is kept aside.

use std::collections::BTreeMap;

use ir::inst::AtomicOp;
use ir::{MemAttr, Ty};

use crate::event::MemFault;
use crate::form::PAGE;
use crate::guarded;
use crate::interp::{combine, swap};

/// Memory as it would be after the stores so far.
#[derive(Default)]
pub(super) struct Shadow {
    /// Bytes stored, by address.
    stored: BTreeMap<u64, u8>,
}

impl Shadow {
    /// Bytes that real memory has different from here, now that the same stores should have been made there: address, the
    /// byte here, the byte there.
    pub(super) fn differences(&self) -> Vec<(u64, u8, u8)> {
        let differs = |(&addr, &byte): (&u64, &u8)| {
            let real = guarded::load(addr, Ty::I8).ok()? as u8;
            (real != byte).then_some((addr, byte, real))
        };
        self.stored.iter().filter_map(differs).collect()
    }

    /// The value at `addr`, little-endian.
    fn read(&self, addr: u64, ty: Ty) -> Result<u128, MemFault> {
        let mut bytes = guarded::load(addr, ty)?.to_le_bytes();
        for (at, byte) in bytes.iter_mut().enumerate().take(ty.bytes() as usize) {
            if let Some(&stored) = self.stored.get(&addr.wrapping_add(at as u64)) {
                *byte = stored;
            }
        }
        Ok(u128::from_le_bytes(bytes))
    }

    /// Keeps a little-endian value, if it could be stored.
    fn write(&mut self, addr: u64, ty: Ty, value: u128) -> Result<(), MemFault> {
        let len = u64::from(ty.bytes());
        probe(addr)?;
        if addr % PAGE + len > PAGE {
            probe((addr + len) & !(PAGE - 1))?;
        }
        let bytes = value.to_le_bytes();
        self.stored.extend((0..len).map(|at| (addr.wrapping_add(at), bytes[at as usize])));
        Ok(())
    }
}

/// Fails as a store to the byte would, without changing it, whatever other threads store there.
fn probe(addr: u64) -> Result<(), MemFault> {
    guarded::cas(addr, Ty::I8, 0, 0).map(drop)
}

impl ir::interp::Env for Shadow {
    type Fault = MemFault;

    fn load(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<u128, MemFault> {
        self.read(addr, ty).map(|value| swap(value, ty, mem))
    }

    fn store(&mut self, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<(), MemFault> {
        self.write(addr, ty, swap(value, ty, mem))
    }

    fn rmw(&mut self, op: AtomicOp, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<u128, MemFault> {
        let old = swap(self.read(addr, ty)?, ty, mem);
        self.write(addr, ty, swap(combine(op, ty, old, value), ty, mem))?;
        Ok(old)
    }

    fn cas(&mut self, addr: u64, ty: Ty, expected: u128, new: u128, mem: MemAttr) -> Result<u128, MemFault> {
        let old = swap(self.read(addr, ty)?, ty, mem);
        // The host writes in either case, so that memory that can only be read faults.
        self.write(addr, ty, swap(if old == expected { new } else { old }, ty, mem))?;
        Ok(old)
    }

    fn fence(&mut self, _bits: u32) {}
}
