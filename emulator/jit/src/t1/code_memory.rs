//! Memory for generated code.
//!
//! One private anonymous mapping, writable and executable: private, so that after `fork` parent and child patch their own
//! copies; one, so that every jump is a `rel32`. Code grows from its lower end, what is recorded about it from its upper one.
//! Everything that writes code is in this file.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::x64::TRANSFER_LEN;

/// Bytes reserved: as many as the host's limits allow. Pages are committed as they are written.
pub(crate) const MOST: usize = 128 << 20;
/// What is understood by fewer than this: any unit must fit, besides the stubs.
const LEAST: usize = 1 << 20;
/// With fewer, code would be dropped all the time.
const FEWEST: usize = 4 << 20;

/// Alignment of units, and of those that may have constants at their ends: their lengths are multiples of this, too.
const ALIGN: usize = 8;
const CONSTANTS_ALIGN: usize = 16;

/// The mapping. Writing needs `&mut`: whoever owns it is the one writer.
pub(crate) struct CodeMemory {
    base: u64,
    /// Bytes reserved: when they are used, all code is dropped to start again.
    size: usize,
    used: usize,
    /// Bytes of records.
    recorded: usize,
}

/// There is no room for more code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Full;

impl CodeMemory {
    /// Reserves the memory, as many bytes as `wanted` if that is not 0. `None` if the host refuses.
    pub(crate) fn new(wanted: usize) -> Option<CodeMemory> {
        let most = if wanted == 0 { MOST } else { wanted.clamp(LEAST, MOST) };
        let fewest = FEWEST.min(most);
        let mut sizes = std::iter::successors(Some(most), |size| Some(size / 2)).take_while(|&size| size >= fewest);
        sizes.find_map(|size| Some(CodeMemory { base: reserve(size)?, size, used: 0, recorded: 0 }))
    }

    /// First address.
    pub(crate) fn base(&self) -> u64 {
        self.base
    }

    /// First address and length of the reservation.
    pub(crate) fn range(&self) -> std::ops::Range<u64> {
        self.base..self.base + self.size as u64
    }

    /// Copies code to a free, aligned place, after `adjust` has seen the copy and its address; returns the address.
    pub(crate) fn publish(&mut self, code: &[u8], adjust: impl FnOnce(&mut [u8], u64)) -> Result<u64, Full> {
        let align = if code.len().is_multiple_of(CONSTANTS_ALIGN) { CONSTANTS_ALIGN } else { ALIGN };
        let at = self.used.next_multiple_of(align);
        if at + code.len() > self.size - self.recorded {
            return Err(Full);
        }
        let address = self.base + at as u64;
        // SAFETY: the range is inside the reservation and no unit has been published there: nothing else refers to it.
        let copy = unsafe { std::slice::from_raw_parts_mut(address as *mut u8, code.len()) };
        copy.copy_from_slice(code);
        adjust(copy, address);
        self.used = at + code.len();
        Ok(address)
    }

    /// Room for a record of `len` bytes below those there are, which is the caller's to fill.
    pub(crate) fn record(&mut self, len: usize) -> Result<NonNull<u8>, Full> {
        let recorded = self.recorded + len;
        if self.used + recorded > self.size {
            return Err(Full);
        }
        self.recorded = recorded;
        NonNull::new((self.base + (self.size - recorded) as u64) as *mut u8).ok_or(Full)
    }

    /// Bytes of records.
    pub(crate) fn recorded(&self) -> usize {
        self.recorded
    }

    /// The `len` bytes published at `address`, which nobody patches meanwhile.
    pub(crate) fn code(&self, address: u64, len: u32) -> &[u8] {
        debug_assert!(address >= self.base && address + u64::from(len) <= self.base + self.used as u64);
        // SAFETY: published; only `patch` writes there, and needs `&mut`.
        unsafe { std::slice::from_raw_parts(address as *const u8, len as usize) }
    }

    /// Changes bits of the byte at `address`. No thread may be executing there.
    pub(crate) fn flip(&mut self, address: u64, bits: u8) {
        debug_assert!(address >= self.base && address < self.base + self.used as u64);
        // SAFETY: published code, which nobody executes.
        unsafe { *(address as *mut u8) ^= bits };
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// Forgets everything above `used`, records too. No thread may be executing there.
    pub(crate) fn reset(&mut self, used: usize) {
        (self.used, self.recorded) = (used, 0);
    }

    /// Replaces a transfer by the one with this `opcode` to `target`; the last 4 bytes of both are at `field`. Other threads may
    /// be executing the instruction: they see the old or the new one, because it does not cross an 8-byte boundary.
    pub(crate) fn patch(&mut self, field: u64, opcode: u8, target: u64) {
        let (at, len) = (field - 1, u64::from(TRANSFER_LEN));
        debug_assert!(self.range().contains(&at) && at % 8 + len <= 8, "a transfer crosses an 8-byte boundary");
        let mut new = [0; 8];
        new[0] = opcode;
        new[1..5].copy_from_slice(&(target.wrapping_sub(field + 4) as u32).to_le_bytes());
        let shift = 8 * (at % 8);
        let (new, mask) = (u64::from_le_bytes(new) << shift, ((1 << (8 * len)) - 1) << shift);
        // SAFETY: an aligned word inside the reservation, which only this function writes to.
        let word = unsafe { AtomicU64::from_ptr((at & !7) as *mut u64) };
        word.store(word.load(Ordering::Relaxed) & !mask | new, Ordering::Release);
    }
}

/// What everything else may come to need when there are `size` bytes for code.
fn headroom(size: usize) -> usize {
    size / 2 + (16 << 20)
}

/// A fresh mapping of `size` bytes, if there would be room for more: under a limit, the guest needs its part.
fn reserve(size: usize) -> Option<u64> {
    let protection = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: a fresh mapping, of which nobody knows the second part yet; huge pages would commit 2 MiB for the first unit.
    unsafe {
        let base = libc::mmap(std::ptr::null_mut(), size + headroom(size), protection, flags, -1, 0);
        if base == libc::MAP_FAILED {
            return None;
        }
        libc::munmap(base.byte_add(size), headroom(size));
        libc::madvise(base, size, libc::MADV_NOHUGEPAGE);
        Some(base as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::{CALL, JUMP};

    #[test]
    fn code_is_published_aligned_and_patched_in_place() {
        let mut memory = CodeMemory::new(0).unwrap();
        let first = memory.publish(&[0xc3; 5], |_, _| {}).unwrap();
        let second = memory.publish(&[0x90, 0x90, 0x90, CALL, 0, 0, 0, 0], |copy, at| copy[0] = at as u8).unwrap();
        assert_eq!((first, second), (memory.base(), memory.base() + 8));
        memory.patch(second + 4, JUMP, first);
        // SAFETY: published above.
        let code = unsafe { std::slice::from_raw_parts(second as *const u8, 8) };
        assert_eq!(code[..4], [second as u8, 0x90, 0x90, JUMP]);
        assert_eq!(i32::from_le_bytes(code[4..].try_into().unwrap()), -16);
        let (end, used) = (memory.range().end, memory.used());
        let with_constants = memory.publish(&[0; 48], |_, _| {}).unwrap();
        assert_eq!(with_constants, memory.base() + 16);
        memory.reset(used);
        let records = [8, 4].map(|len| memory.record(len).unwrap().as_ptr() as u64);
        assert_eq!((records, memory.recorded()), ([end - 8, end - 12], 12));
        // But for the records there would be room.
        assert_eq!(memory.publish(&vec![0; MOST - 16 - 8], |_, _| {}), Err(Full));
    }
}
