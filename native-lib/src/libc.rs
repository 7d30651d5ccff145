//! `mem*`, `str*` and `*div`, done by the host's C library or, where its results may differ from the guest's, around it.
//!
//! Faulting: the translator drops a faulting call and runs the guest's function from its start. The guest must then find memory
//! as that function would have left it, so nothing is written unless all can be: ranges that reach into another page are
//! probed first. A range in one page is written as a whole or not at all.
//!
//! The host library's comparisons return the byte difference, as a test checks.

use std::arch::asm;
use std::ffi::{c_char, c_int, c_void};

const PAGE: u64 = 4096;

/// Whether a range reaches from one page into another.
fn crosses(address: u64, len: u64) -> bool {
    len > PAGE || (address & (PAGE - 1)) + len > PAGE
}

/// An address on each page of a range, up to the end of the address space.
fn pages(address: u64, len: u64) -> impl Iterator<Item = u64> {
    let last = address.saturating_add(len - 1);
    let next = |at: &u64| (at & !(PAGE - 1)).checked_add(PAGE);
    std::iter::successors(Some(address), next).take_while(move |at| *at <= last)
}

/// Faults if a range cannot be read.
///
/// # Safety
/// A fault must be survivable.
#[inline]
unsafe fn probe_read(address: u64, len: u64) {
    if crosses(address, len) {
        for at in pages(address, len) {
            // SAFETY: the caller survives a fault.
            unsafe { (at as *const u8).read_volatile() };
        }
    }
}

/// Faults if a range cannot be written; changes nothing.
///
/// # Safety
/// A fault must be survivable.
#[inline]
unsafe fn probe_write(address: u64, len: u64) {
    if crosses(address, len) {
        for at in pages(address, len) {
            // SAFETY: the caller survives a fault; an atomic OR with 0 changes nothing another thread could miss. In
            // assembly, because compilers drop a write that changes nothing.
            unsafe { asm!("lock or byte ptr [{}], 0", in(reg) at, options(nostack)) };
        }
    }
}

/// An `int` result as the guest's register holds it.
fn int(value: i32) -> u64 {
    i64::from(value) as u64
}

macro_rules! host {
    ($(#[doc = $doc:literal] fn $name:ident($($arg:ident),*) $body:block)*) => {$(
        #[doc = $doc]
        ///
        /// # Safety
        /// Arguments are a guest's: a fault must be survivable.
        #[allow(clippy::macro_metavars_in_unsafe)]
        pub(crate) unsafe extern "sysv64" fn $name(a0: u64, a1: u64, a2: u64, _: u64, _: u64, _: u64) -> u64 {
            let [$($arg,)* ..] = [a0, a1, a2, 0];
            // SAFETY: the caller survives a fault.
            unsafe { $body }
        }
    )*};
}

host! {
    /// Copies; overlapping ranges are moved.
    fn memcpy(dst, src, n) { memmove(dst, src, n, 0, 0, 0) }

    /// Moves.
    fn memmove(dst, src, n) {
        probe_read(src, n);
        probe_write(dst, n);
        libc::memmove(dst as *mut c_void, src as *const c_void, n as usize) as u64
    }

    /// Fills.
    fn memset(dst, c, n) {
        probe_write(dst, n);
        libc::memset(dst as *mut c_void, c as c_int, n as usize) as u64
    }

    /// Compares; byte difference.
    fn memcmp(a, b, n) { int(libc::memcmp(a as *const c_void, b as *const c_void, n as usize)) }

    /// Finds a byte.
    fn memchr(s, c, n) { libc::memchr(s as *const c_void, c as c_int, n as usize) as u64 }

    /// Length.
    fn strlen(s) { libc::strlen(s as *const c_char) as u64 }

    /// Length, at most `n`.
    fn strnlen(s, n) { libc::strnlen(s as *const c_char, n as usize) as u64 }

    /// Compares; byte difference.
    fn strcmp(a, b) { int(libc::strcmp(a as *const c_char, b as *const c_char)) }

    /// Compares at most `n` bytes; byte difference.
    fn strncmp(a, b, n) { int(libc::strncmp(a as *const c_char, b as *const c_char, n as usize)) }

    /// Copies a string.
    fn strcpy(dst, src) {
        let n = libc::strlen(src as *const c_char) as u64 + 1;
        probe_write(dst, n);
        libc::memcpy(dst as *mut c_void, src as *const c_void, n as usize) as u64
    }

    /// Copies at most `n` bytes, padding with zeros.
    fn strncpy(dst, src, n) {
        // Faults before anything is written, if the source does.
        std::hint::black_box(libc::strnlen(src as *const c_char, n as usize));
        probe_write(dst, n);
        libc::strncpy(dst as *mut c_char, src as *const c_char, n as usize) as u64
    }

    /// Appends.
    fn strcat(dst, src) {
        let end = dst + libc::strlen(dst as *const c_char) as u64;
        let n = libc::strlen(src as *const c_char) as u64 + 1;
        probe_write(end, n);
        libc::memcpy(end as *mut c_void, src as *const c_void, n as usize);
        dst
    }

    /// Finds a byte, the final zero included.
    fn strchr(s, c) { libc::strchr(s as *const c_char, c as c_int) as u64 }

    /// Finds the last such byte.
    fn strrchr(s, c) { libc::strrchr(s as *const c_char, c as c_int) as u64 }
}

/// Quotient and remainder. A divisor of 0 or -1 is the guest's, which may trap or not.
pub(crate) fn div(args: &[u64], result: &mut [u64]) -> bool {
    let (&[n, d], [quotient, remainder, ..]) = (args, result) else { return false };
    let (n, d) = (n as i64, d as i64);
    if d == 0 || d == -1 {
        return false;
    }
    (*quotient, *remainder) = ((n / d) as u64, (n % d) as u64);
    true
}
pub(crate) use {div as imaxdiv, div as ldiv, div as lldiv};

#[cfg(test)]
mod tests {
    use super::*;

    fn address(bytes: &[u8]) -> u64 {
        bytes.as_ptr() as u64
    }

    #[test]
    fn comparisons_return_the_byte_difference_at_every_length() {
        for n in 0..200_u64 {
            let (mut a, mut b) = (vec![b'm'; 256], vec![b'm'; 256]);
            (a[n as usize], b[n as usize]) = (b'z', b'a');
            (a[255], b[255]) = (0, 0);
            // SAFETY: the buffers are 256 bytes and end in zeros.
            unsafe {
                assert_eq!(memcmp(address(&a), address(&b), 256, 0, 0, 0), 25);
                assert_eq!(strcmp(address(&b), address(&a), 0, 0, 0, 0) as i64, -25);
                assert_eq!(strncmp(address(&a), address(&b), n + 1, 0, 0, 0), 25);
                assert_eq!(strncmp(address(&a), address(&b), n, 0, 0, 0), 0);
            }
        }
    }

    #[test]
    fn overlapping_copies_move() {
        let mut buffer: Vec<u8> = (0..100).collect();
        let base = buffer.as_mut_ptr() as u64;
        // SAFETY: both ranges lie in the buffer.
        unsafe { memcpy(base + 10, base, 80, 0, 0, 0) };
        assert_eq!(buffer[10..90], (0..80).collect::<Vec<u8>>()[..]);
    }

    #[test]
    fn pages_of_a_range() {
        assert!(
            !crosses(PAGE - 1, 1)
                && crosses(PAGE - 1, 2)
                && !crosses(0, PAGE)
                && crosses(1, PAGE)
                && crosses(5, u64::MAX)
        );
        assert_eq!(pages(PAGE - 1, 2).collect::<Vec<_>>(), [PAGE - 1, PAGE]);
        assert_eq!(pages(7, 2 * PAGE).collect::<Vec<_>>(), [7, PAGE, 2 * PAGE]);
        assert_eq!(pages(u64::MAX - 1, 50).collect::<Vec<_>>(), [u64::MAX - 1]);
    }

    #[test]
    fn appending_ends_in_a_zero() {
        let mut buffer = *b"ab\0xxxxxxx";
        // SAFETY: the result is six bytes.
        unsafe { strcat(buffer.as_mut_ptr() as u64, address(b"cde\0"), 0, 0, 0, 0) };
        assert_eq!(&buffer, b"abcde\0xxxx");
    }
}
