//! What lookups below the sysroot have found, remembered for a moment.
//!
//! Programs name the same files again and again, and to look below the sysroot costs as much as a short call. What was found
//! counts until the kernel's clock ticks, a few milliseconds at most, or until this process, its parent or its children make or
//! remove a name by any path: so only a change that a stranger makes at that very moment is seen late.

use std::cell::RefCell;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use super::tree::{HostPath, below};

/// Counts changes of names, in memory that forked processes share.
static CHANGES: OnceLock<&'static AtomicU64> = OnceLock::new();

/// Starts to remember. Called before there are threads or children.
pub(crate) fn start() {
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_SHARED | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), size_of::<AtomicU64>(), protection, flags, -1, 0) };
    if address != libc::MAP_FAILED {
        // SAFETY: page-aligned, zero, and never unmapped.
        CHANGES.get_or_init(|| unsafe { &*address.cast() });
    }
}

/// A call that makes or removes a name has been made.
pub(super) fn changed() {
    if let Some(changes) = CHANGES.get() {
        changes.fetch_add(1, Ordering::Release);
    }
}

/// How long something found counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Moment {
    tick: (i64, i64),
    changes: u64,
}

impl Moment {
    /// This moment; `None` if nothing is to be remembered.
    fn now() -> Option<Moment> {
        let changes = CHANGES.get()?.load(Ordering::Acquire);
        let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a structure of ours.
        let failed = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_COARSE, &raw mut now) } != 0;
        (!failed).then_some(Moment { tick: (now.tv_sec, now.tv_nsec), changes })
    }
}

/// A lookup and its result.
struct Found {
    when: Moment,
    path: Box<[u8]>,
    follow: bool,
    found: Option<HostPath>,
}

/// Lookups a thread remembers.
const PLACES: usize = 64;

thread_local! {
    static MEMORY: RefCell<[Option<Found>; PLACES]> = const { RefCell::new([const { None }; PLACES]) };
}

/// As [`below`].
pub(super) fn lookup(root: &Path, path: &[u8], follow: bool) -> Option<HostPath> {
    let Some(when) = Moment::now() else { return below(root, path, follow) };
    MEMORY.with_borrow_mut(|memory| {
        let place = &mut memory[place_of(path)];
        if let Some(known) = place
            && known.when == when
            && known.follow == follow
            && *known.path == *path
        {
            return known.found.clone();
        }
        let found = below(root, path, follow);
        *place = Some(Found { when, path: path.into(), follow, found: found.clone() });
        found
    })
}

/// Where a path is remembered, by all its bytes.
fn place_of(path: &[u8]) -> usize {
    let mix = |hash: u64, word: u64| (hash.rotate_left(5) ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let (words, rest) = path.as_chunks::<8>();
    let hash = words.iter().fold(path.len() as u64, |hash, word| mix(hash, u64::from_le_bytes(*word)));
    let hash = rest.iter().fold(hash, |hash, byte| mix(hash, u64::from(*byte)));
    (hash >> (u64::BITS - PLACES.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_forked_process_makes_is_seen_at_once() {
        start();
        let root = std::env::temp_dir().join(format!("isamorph-memory-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        let made = std::ffi::CString::new(root.join("made").into_os_string().into_encoded_bytes()).unwrap();
        for _ in 0..50 {
            assert_eq!(lookup(&root, b"/made", true), None);
            // SAFETY: the child makes a file and ends.
            let child = unsafe { libc::fork() };
            if child == 0 {
                // SAFETY: a NUL-terminated path.
                unsafe {
                    libc::mkdir(made.as_ptr(), 0o700);
                    changed();
                    libc::_exit(0);
                }
            }
            // SAFETY: a child of the test's own.
            unsafe { libc::waitpid(child, std::ptr::null_mut(), 0) };
            assert_eq!(lookup(&root, b"/made", true).as_deref(), Some(made.as_bytes_with_nul()));
            std::fs::remove_dir(root.join("made")).unwrap();
            changed();
        }
        std::fs::remove_dir_all(&root).unwrap();
    }

    #[test]
    fn what_a_stranger_makes_is_seen_when_the_clock_has_ticked() {
        start();
        let root = std::env::temp_dir().join(format!("isamorph-stranger-{}", std::process::id()));
        std::fs::create_dir_all(&root).unwrap();
        assert_eq!(lookup(&root, b"/made", true), None);
        std::fs::write(root.join("made"), "").unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(lookup(&root, b"/made", true).is_some());
        std::fs::remove_dir_all(&root).unwrap();
    }
}
