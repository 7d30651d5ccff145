//! Access to guest memory from Rust that reports a fault instead of dying of it.
//!
//! The accesses are a handful of host instructions between two labels. When one faults, the handler finds the program
//! counter between them and continues at the label behind, with the fault in the two result registers; no Rust frame is
//! skipped. Addresses are host addresses.

use ir::Ty;

use crate::event::MemFault;

#[cfg(target_arch = "x86_64")]
#[path = "guarded_x64.rs"]
mod arch;

pub(crate) use arch::recover;

/// Reads `buf.len()` bytes at `addr`. On a fault, part of `buf` may have been written.
pub fn read(addr: u64, buf: &mut [u8]) -> Result<(), MemFault> {
    // SAFETY: the destination is writable for its length; a fault on the source is recovered.
    outcome(unsafe { arch::copy(buf.as_mut_ptr() as u64, addr, buf.len() as u64) }, addr, false)
}

/// Writes `bytes` at `addr`. On a fault, the bytes before the faulting address may have been written.
pub fn write(addr: u64, bytes: &[u8]) -> Result<(), MemFault> {
    // SAFETY: the source is readable for its length; the destination is guest memory, and a fault on it is recovered.
    outcome(unsafe { arch::copy(addr, bytes.as_ptr() as u64, bytes.len() as u64) }, addr, true)
}

/// Reads a little-endian 32-bit word in one access.
pub fn read_u32(addr: u64) -> Result<u32, MemFault> {
    load(addr, Ty::I32).map(|v| v as u32)
}

/// Reads a little-endian 64-bit word in one access.
pub fn read_u64(addr: u64) -> Result<u64, MemFault> {
    load(addr, Ty::I64).map(|v| v as u64)
}

/// Writes a little-endian 32-bit word in one access.
pub fn write_u32(addr: u64, value: u32) -> Result<(), MemFault> {
    store(addr, Ty::I32, u128::from(value))
}

/// Writes a little-endian 64-bit word in one access.
pub fn write_u64(addr: u64, value: u64) -> Result<(), MemFault> {
    store(addr, Ty::I64, u128::from(value))
}

/// Compare-and-swap of a little-endian 32-bit word; returns the value found.
pub fn cas_u32(addr: u64, expected: u32, new: u32) -> Result<u32, MemFault> {
    cas(addr, Ty::I32, expected.into(), new.into()).map(|found| found as u32)
}

/// Loads a value in one access, single-copy atomic if aligned; later accesses stay behind it.
pub(crate) fn load(addr: u64, ty: Ty) -> Result<u128, MemFault> {
    let mut value = 0u128;
    let out = &raw mut value;
    // SAFETY: `out` is writable and aligned; a fault on `addr` is recovered.
    let status = unsafe {
        match ty {
            Ty::I1 | Ty::I8 => arch::load8(addr, out),
            Ty::I16 => arch::load16(addr, out),
            Ty::I32 => arch::load32(addr, out),
            Ty::I64 => arch::load64(addr, out),
            Ty::I128 => arch::load128(addr, out),
        }
    };
    outcome(status, addr, false).map(|()| value)
}

/// Stores a value in one access, single-copy atomic if aligned; earlier accesses stay before it.
pub(crate) fn store(addr: u64, ty: Ty, value: u128) -> Result<(), MemFault> {
    let from = &raw const value;
    // SAFETY: `from` is readable and aligned; `addr` is guest memory, and a fault on it is recovered.
    let status = unsafe {
        match ty {
            Ty::I1 | Ty::I8 => arch::store8(addr, from),
            Ty::I16 => arch::store16(addr, from),
            Ty::I32 => arch::store32(addr, from),
            Ty::I64 => arch::store64(addr, from),
            Ty::I128 => arch::store128(addr, from),
        }
    };
    outcome(status, addr, true)
}

/// Sequentially consistent compare-and-swap; returns the value found.
pub(crate) fn cas(addr: u64, ty: Ty, expected: u128, new: u128) -> Result<u128, MemFault> {
    let mut found = expected;
    let (io, new) = (&raw mut found, &raw const new);
    // SAFETY: `io` and `new` are valid and aligned; `addr` is guest memory, and a fault on it is recovered.
    let status = unsafe {
        match ty {
            Ty::I1 | Ty::I8 => arch::cas8(addr, io, new),
            Ty::I16 => arch::cas16(addr, io, new),
            Ty::I32 => arch::cas32(addr, io, new),
            Ty::I64 => arch::cas64(addr, io, new),
            Ty::I128 => arch::cas128(addr, io, new),
        }
    };
    outcome(status, addr, true).map(|()| found)
}

/// What an access routine returns: `status` 0, or the fault packed as [`Status::FAULT`] describes, with its address.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Status {
    status: u64,
    addr: u64,
}

impl Status {
    /// Fault: bit 0 set, bit 1 write, bits 8.. signal, bits 32.. `si_code`.
    pub(crate) fn fault(signal: i32, code: i32, write: bool) -> u64 {
        1 | u64::from(write) << 1 | (signal as u64 & 0xff) << 8 | (code as u32 as u64) << 32
    }
}

fn outcome(status: Status, addr: u64, write: bool) -> Result<(), MemFault> {
    if status.status == 0 {
        return Ok(());
    }
    let (signal, code) = ((status.status >> 8 & 0xff) as i32, (status.status >> 32) as i32);
    // The kernel does not know the address of an access to a non-canonical one.
    if code == crate::fault::SI_KERNEL {
        return Err(MemFault { addr, write: Some(write), signal: libc::SIGSEGV, code: crate::fault::SEGV_MAPERR });
    }
    Err(MemFault { addr: status.addr, write: Some(status.status & 2 != 0), signal, code })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::tests::{Pages, install_handler};

    #[test]
    fn accesses_round_trip() {
        let pages = Pages::new(1);
        let at = pages.addr() + 8;
        for (ty, value) in [(Ty::I8, 0xa5u128), (Ty::I16, 0x1234), (Ty::I32, 0xdead_beef), (Ty::I64, u64::MAX.into())] {
            store(at, ty, value).unwrap();
            assert_eq!(load(at, ty).unwrap(), value);
            assert_eq!(cas(at, ty, value, 1).unwrap(), value);
            assert_eq!(cas(at, ty, value, 2).unwrap(), 1);
            assert_eq!(load(at, ty).unwrap(), 1);
        }
        let wide = u128::MAX / 3;
        store(at, Ty::I128, wide).unwrap();
        assert_eq!(load(at, Ty::I128).unwrap(), wide);
        assert_eq!(cas(at + 8, Ty::I128, 0, 7).unwrap(), wide >> 64);
    }

    #[test]
    fn copies_of_all_sizes_are_whole_and_stay_inside() {
        let pages = Pages::new(1);
        let source: Vec<u8> = (0..600u32).map(|i| (i * 7 + 1) as u8).collect();
        for len in (0..70).chain([511, 512, 513, 600]) {
            let at = pages.addr() + 64;
            write(at - 1, &vec![0xee; len + 2]).unwrap();
            write(at, &source[..len]).unwrap();
            let mut back = vec![0; len + 2];
            read(at - 1, &mut back).unwrap();
            assert_eq!((back[0], &back[1..=len], back[len + 1]), (0xee, &source[..len], 0xee), "{len}");
        }
    }

    #[test]
    fn a_copy_that_faults_says_where_whatever_its_size() {
        install_handler();
        let pages = Pages::new(1);
        let end = pages.addr() + 4096;
        for (len, before) in [(3, 1), (4, 2), (7, 6), (8, 1), (15, 12), (16, 5), (40, 33), (512, 500), (600, 599)] {
            let mut buf = vec![0u8; len];
            assert_eq!(read(end - before, &mut buf).unwrap_err().addr, end, "{len}");
            assert_eq!(write(end - before, &buf).unwrap_err().addr, end, "{len}");
        }
    }

    #[test]
    fn faults_are_reported_with_address_and_direction() {
        install_handler();
        let pages = Pages::new(1);
        let end = pages.addr() + 4096;
        let fault = read(end - 3, &mut [0; 8]).unwrap_err();
        assert_eq!((fault.addr, fault.write, fault.signal), (end, Some(false), libc::SIGSEGV));
        let fault = write(end - 3, &[0; 8]).unwrap_err();
        assert_eq!((fault.addr, fault.write), (end, Some(true)));
        assert_eq!(load(end, Ty::I64).unwrap_err().addr, end);
        assert_eq!(cas(end + 16, Ty::I128, 0, 0).unwrap_err().addr, end + 16);
        let tagged = 0xff00_0000_0000_0010;
        let fault = store(tagged, Ty::I32, 0).unwrap_err();
        assert_eq!((fault.addr, fault.write, fault.code), (tagged, Some(true), crate::fault::SEGV_MAPERR));
    }
}
