//! Standard input, output and error as the parent left them: closed ones stay closed.

use std::sync::atomic::{AtomicU8, Ordering};

/// Standard descriptors that were closed when the process started, by their numbers' bits.
static CLOSED: AtomicU8 = AtomicU8::new(0);

/// Rust's runtime opens `/dev/null` in place of closed ones before `main`; what the parent passed on has to be read earlier.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD: extern "C" fn() = record;

extern "C" fn record() {
    // SAFETY: only queries.
    let closed = |&fd: &i32| unsafe { libc::fcntl(fd, libc::F_GETFD) } == -1;
    let bits = (0..3).filter(closed).fold(0, |bits, fd| bits | 1 << fd);
    CLOSED.store(bits, Ordering::Relaxed);
}

/// Closes them again. Called when nothing of the emulator's can be open under their numbers but what the runtime put there.
pub(crate) fn close_again() {
    let closed = CLOSED.load(Ordering::Relaxed);
    for fd in (0..3).filter(|fd| closed >> fd & 1 != 0) {
        // SAFETY: a descriptor that the runtime opened and nobody owns.
        unsafe { libc::close(fd) };
    }
}
