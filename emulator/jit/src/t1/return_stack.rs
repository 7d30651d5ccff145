//! The stack of (host, guest) return address pairs that `rsp` points to in generated code.

use crate::spare::Spare;

/// Bytes for pairs: 4096 of them.
const SIZE: u64 = 64 * 1024;

/// Inaccessible bytes at each end.
const GUARD: u64 = 4096;

/// Bytes above the starting position that hold no pair, only words that are no guest address: what the return-miss path
/// looks through.
const CLEAR: usize = 256;

/// The mapping. Running over either end is not an error: the position goes back to the middle.
pub(crate) struct ReturnStack {
    base: u64,
}

static SPARE: Spare = Spare::new();

impl ReturnStack {
    /// One to be [`ReturnStack::reset`]. What an earlier thread has left on it is below the starting position, where nothing looks.
    ///
    /// # Panics
    /// If the host has no memory.
    pub(crate) fn new() -> ReturnStack {
        if let Some(base) = SPARE.take() {
            return ReturnStack { base };
        }
        let len = (SIZE + 2 * GUARD) as usize;
        // SAFETY: a fresh mapping, of which the first and last page are made inaccessible.
        let base = unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let base = libc::mmap(std::ptr::null_mut(), len, libc::PROT_NONE, flags, -1, 0);
            assert_ne!(base, libc::MAP_FAILED, "no memory for a return stack: {}", std::io::Error::last_os_error());
            let inside = base.byte_add(GUARD as usize);
            libc::mprotect(inside, SIZE as usize, libc::PROT_READ | libc::PROT_WRITE);
            libc::madvise(inside, SIZE as usize, libc::MADV_NOHUGEPAGE);
            base as u64
        };
        ReturnStack { base }
    }

    /// Whether an access to `addr` ran over an end. Async-signal-safe.
    pub(crate) fn is_guard(&self, addr: u64) -> bool {
        let offset = addr.wrapping_sub(self.base);
        offset < GUARD || (GUARD + SIZE..2 * GUARD + SIZE).contains(&offset)
    }

    /// The starting position, with nothing above it that could be taken for a pair. Async-signal-safe.
    pub(crate) fn reset(&self) -> u64 {
        let middle = self.base + GUARD + SIZE / 2;
        // SAFETY: inside the accessible part.
        unsafe { std::ptr::write_bytes(middle as *mut u8, 0xff, CLEAR) };
        middle
    }

    /// Removes all pairs; returns the starting position.
    pub(crate) fn clear(&self) -> u64 {
        // SAFETY: the accessible part; private anonymous memory reads as zero afterwards.
        unsafe { libc::madvise((self.base + GUARD) as *mut libc::c_void, SIZE as usize, libc::MADV_DONTNEED) };
        self.reset()
    }
}

impl Drop for ReturnStack {
    fn drop(&mut self) {
        if SPARE.keep(self.base) {
            return;
        }
        // SAFETY: our mapping; the thread that used it is gone.
        unsafe { libc::munmap(self.base as *mut libc::c_void, (SIZE + 2 * GUARD) as usize) };
    }
}
