//! The threads that execute generated code, and how to stop them all.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use ir::unit::UnitKey;

use super::jump_cache::JumpCache;

/// What others need of a thread.
pub(crate) struct Shared {
    /// Executing generated code or holding translations.
    inside: AtomicBool,
    /// Its return stack refers to code that is gone.
    pub(super) stale: AtomicBool,
    /// Its poll flag; valid while it is registered.
    poll: *const AtomicU32,
    /// Its jump cache.
    pub(super) jump: Mutex<JumpCache>,
}

// SAFETY: `poll` points to an atomic that outlives the registration; the rest is Sync.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

thread_local! {
    /// The guest thread that last ran on this host thread: the one that forks.
    static LATEST: Cell<*const Shared> = const { Cell::new(std::ptr::null()) };
}

/// All threads.
#[derive(Default)]
pub(crate) struct World {
    threads: Mutex<Vec<Arc<Shared>>>,
    /// Someone waits for all threads to be outside, holding the gate.
    stopping: AtomicBool,
    gate: Mutex<()>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// For the stub that makes system calls: while it waits, the thread holds no translation but the one it goes on with, and it
    /// goes on only if nobody has asked it to stop in the meantime.
    pub(super) fn inside(&self) -> *const AtomicBool {
        &raw const self.inside
    }

    /// This thread's jump cache.
    pub(super) fn jump(&self) -> MutexGuard<'_, JumpCache> {
        lock(&self.jump)
    }
}

impl World {
    /// Registers a thread. `poll` must live until [`World::remove`].
    pub(super) fn add(&self, poll: *const AtomicU32, jump: JumpCache) -> Arc<Shared> {
        let (inside, stale) = (AtomicBool::new(false), AtomicBool::new(false));
        let shared = Arc::new(Shared { inside, stale, poll, jump: Mutex::new(jump) });
        lock(&self.threads).push(shared.clone());
        shared
    }

    /// How many threads there are.
    pub(super) fn count(&self) -> usize {
        lock(&self.threads).len()
    }

    pub(super) fn remove(&self, shared: &Arc<Shared>) {
        lock(&self.threads).retain(|t| !Arc::ptr_eq(t, shared));
    }

    /// The thread is about to use translations; waits while the world is stopped.
    pub(super) fn enter(&self, shared: &Arc<Shared>) {
        LATEST.set(Arc::as_ptr(shared));
        loop {
            shared.inside.store(true, Ordering::SeqCst);
            if !self.stopping.load(Ordering::SeqCst) {
                return;
            }
            shared.inside.store(false, Ordering::SeqCst);
            drop(lock(&self.gate));
        }
    }

    /// The thread holds no translation any more.
    pub(super) fn leave(&self, shared: &Shared) {
        shared.inside.store(false, Ordering::Release);
    }

    /// Stops all threads; the caller is outside itself. Their jump caches are emptied and their return stacks marked.
    pub(super) fn stop(&self) -> Stopped<'_> {
        let gate = lock(&self.gate);
        self.stopping.store(true, Ordering::SeqCst);
        // Threads that are still inside may want the registry: it is not kept while they are waited for.
        let threads = {
            let threads = lock(&self.threads);
            for thread in &*threads {
                // SAFETY: registered threads' flags are valid.
                unsafe { (*thread.poll).store(1, Ordering::Release) };
            }
            threads.clone()
        };
        for thread in &threads {
            while thread.inside.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            thread.jump().clear();
            thread.stale.store(true, Ordering::Release);
        }
        Stopped { world: self, _gate: gate }
    }

    /// Empties the entries of stale units in all jump caches.
    pub(super) fn forget(&self, keys: &[UnitKey]) {
        for thread in &*lock(&self.threads) {
            let mut jump = thread.jump();
            if keys.len() > 256 {
                jump.clear();
            } else {
                keys.iter().for_each(|key| jump.remove(key.pc, key.mode));
            }
        }
    }

    /// Keeps threads from being stopped, for `fork`; the first of the locks.
    pub(super) fn close_gate(&self) -> MutexGuard<'_, ()> {
        lock(&self.gate)
    }

    /// The registry, for `fork`; the last of the locks.
    pub(super) fn registry(&self) -> Registry<'_> {
        Registry(lock(&self.threads))
    }
}

/// While it lives, no thread is inside.
pub(super) struct Stopped<'a> {
    world: &'a World,
    _gate: MutexGuard<'a, ()>,
}

impl Drop for Stopped<'_> {
    fn drop(&mut self) {
        self.world.stopping.store(false, Ordering::SeqCst);
    }
}

/// The locked registry of threads.
pub(super) struct Registry<'a>(MutexGuard<'a, Vec<Arc<Shared>>>);

impl Registry<'_> {
    /// In a forked child: only the calling thread exists.
    pub(super) fn keep_caller(&mut self) {
        let caller = LATEST.get();
        self.0.retain(|thread| Arc::as_ptr(thread) == caller);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_thread_that_is_waited_for_can_invalidate() {
        let world: &'static World = Box::leak(Box::default());
        let poll: &'static AtomicU32 = Box::leak(Box::default());
        let inside = world.add(poll, JumpCache::new(4, 0));
        world.enter(&inside);
        let (tell, stopped) = mpsc::channel();
        std::thread::spawn(move || {
            drop(world.stop());
            tell.send(()).unwrap();
        });
        while poll.load(Ordering::Acquire) == 0 {
            std::thread::yield_now();
        }
        let (tell, forgotten) = mpsc::channel();
        std::thread::spawn(move || {
            world.forget(&[UnitKey::default()]);
            tell.send(()).unwrap();
        });
        assert_eq!(forgotten.recv_timeout(Duration::from_secs(20)), Ok(()), "it waits for the one that waits for it");
        world.leave(&inside);
        assert_eq!(stopped.recv_timeout(Duration::from_secs(20)), Ok(()));
    }
}
