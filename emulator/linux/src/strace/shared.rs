//! What all processes of a trace agree on, in memory they share: who writes, and whose line is not ended.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

/// The shared words. Forked guests inherit the mapping; executed ones get its descriptor.
pub(super) struct Shared {
    /// Process that is writing; 0 for none.
    writer: AtomicU32,
    /// Thread whose line is not ended; 0 for none.
    pub(super) open_line: AtomicU32,
    /// Thread that printed first; 0 before.
    pub(super) first: AtomicU32,
    /// Not 0: more than one thread prints, and lines say which.
    pub(super) several: AtomicU32,
}

/// Descriptors from here on are unlikely to be the guest's.
pub(super) const HIGH_DESCRIPTOR: i32 = 900;

/// Bytes of the mapping.
const SIZE: usize = 4096;

impl Shared {
    /// The words behind `inherited`, or new ones; with their descriptor, which stays open across `execve`.
    pub(super) fn attach(inherited: Option<RawFd>) -> std::io::Result<(&'static Shared, RawFd)> {
        let fd = match inherited {
            Some(fd) => fd,
            None => create()?,
        };
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new shared mapping of a file of that size.
        let address = unsafe { libc::mmap(std::ptr::null_mut(), SIZE, protection, libc::MAP_SHARED, fd, 0) };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: page-aligned, never unmapped, and atomics are valid for every bit pattern.
        Ok((unsafe { &*address.cast::<Shared>() }, fd))
    }

    /// Runs `f` while no other thread or process writes.
    pub(super) fn exclusive<T>(&self, f: impl FnOnce() -> T) -> T {
        let me = std::process::id();
        for _ in 0..PATIENCE {
            if self.writer.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                break;
            }
            std::thread::yield_now();
        }
        // A writer that was killed never ends: then lines may mix.
        let result = f();
        self.writer.store(0, Ordering::Release);
        result
    }
}

/// Times to wait for another writer: well over what a line takes.
const PATIENCE: u32 = 100_000;

fn create() -> std::io::Result<RawFd> {
    // SAFETY: a NUL-terminated name.
    let low = unsafe { libc::memfd_create(c"strace".as_ptr(), libc::MFD_CLOEXEC) };
    if low < 0 {
        return Err(std::io::Error::last_os_error());
    }
    // SAFETY: just made; owned by nobody else.
    let low = unsafe { OwnedFd::from_raw_fd(low) };
    // SAFETY: our descriptor; the copy is not closed by `execve`.
    let (sized, high) = unsafe {
        (libc::ftruncate(low.as_raw_fd(), SIZE as i64), libc::fcntl(low.as_raw_fd(), libc::F_DUPFD, HIGH_DESCRIPTOR))
    };
    if sized < 0 || high < 0 { Err(std::io::Error::last_os_error()) } else { Ok(high) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_attachment_writes_the_other_reads() {
        let (first, fd) = Shared::attach(None).unwrap();
        let (second, same) = Shared::attach(Some(fd)).unwrap();
        assert_eq!(fd, same);
        first.exclusive(|| first.open_line.store(7, Ordering::Relaxed));
        assert_eq!(second.open_line.load(Ordering::Relaxed), 7);
        assert_eq!(second.writer.load(Ordering::Relaxed), 0);
    }
}
