//! `mem*` and `str*`, done by the host's C library or, where its results may differ from the guest's, around it.
//!
//! Restarting: the translator drops a faulting call and runs the guest's function from its start, so a partial write must
//! not change what that run does. Copies between disjoint ranges and fills write the same bytes again. Overlapping moves
//! and appending do not, so they first touch every page they will write.
//!
//! The host library's comparisons return the byte difference, as a test checks.

use std::ffi::{c_char, c_int, c_void};
use std::sync::atomic::{AtomicU8, Ordering};

const PAGE: u64 = 4096;

/// Writes every page of `len` bytes at `address` without changing it.
///
/// # Safety
/// A fault must be survivable.
unsafe fn touch(address: u64, len: u64) {
    let mut at = address;
    while at < address.wrapping_add(len) {
        // SAFETY: the caller survives a fault; an atomic OR with 0 changes nothing another thread could miss.
        unsafe { (*(at as *const AtomicU8)).fetch_or(0, Ordering::Relaxed) };
        at = (at & !(PAGE - 1)) + PAGE;
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
        if dst.wrapping_sub(src) < n || src.wrapping_sub(dst) < n {
            touch(dst, n);
        }
        libc::memmove(dst as *mut c_void, src as *const c_void, n as usize);
        dst
    }

    /// Fills.
    fn memset(dst, c, n) {
        libc::memset(dst as *mut c_void, c as c_int, n as usize);
        dst
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
        libc::strcpy(dst as *mut c_char, src as *const c_char);
        dst
    }

    /// Copies at most `n` bytes, padding with zeros.
    fn strncpy(dst, src, n) {
        libc::strncpy(dst as *mut c_char, src as *const c_char, n as usize);
        dst
    }

    /// Appends.
    fn strcat(dst, src) {
        let end = dst + libc::strlen(dst as *const c_char) as u64;
        let n = libc::strlen(src as *const c_char) as u64 + 1;
        touch(end, n);
        libc::memcpy(end as *mut c_void, src as *const c_void, n as usize);
        dst
    }

    /// Finds a byte, the final zero included.
    fn strchr(s, c) { libc::strchr(s as *const c_char, c as c_int) as u64 }

    /// Finds the last such byte.
    fn strrchr(s, c) { libc::strrchr(s as *const c_char, c as c_int) as u64 }
}

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
    fn appending_ends_in_a_zero() {
        let mut buffer = *b"ab\0xxxxxxx";
        // SAFETY: the result is six bytes.
        unsafe { strcat(buffer.as_mut_ptr() as u64, address(b"cde\0"), 0, 0, 0, 0) };
        assert_eq!(&buffer, b"abcde\0xxxx");
    }
}
