//! A guest thread, as system calls see it.

use std::cell::Cell;
use std::sync::Arc;

use crate::errno::SysResult;
use crate::process::Process;
use crate::signal::{Actions, Queue, ThreadSignals};

/// Everything a system call of one thread works on.
pub struct ThreadCtx {
    /// The process.
    pub process: &'static Process,
    /// Processor state and translated execution.
    pub jit: Box<jit::Thread>,
    /// Signal mask, alternate stack.
    pub signals: ThreadSignals,
    /// Signals the host delivered; written by the host handler of this thread.
    pub queue: Box<Queue>,
    /// Signal dispositions: the process's, or a private copy between `vfork` and `execve`.
    pub actions: Arc<Actions>,
    /// Address cleared and woken when the thread ends (`CLONE_CHILD_CLEARTID`), 0 for none.
    pub clear_child_tid: u64,
    /// Head of the list of robust mutexes, where the host kernel cannot read it; 0 for none.
    pub robust_list: u64,
    /// Set when the thread is to end, with its exit code.
    pub ended: Option<i32>,
    /// Runs between `vfork` and `execve` on borrowed host thread state: must leave by `_exit`.
    pub borrowed: bool,
}

thread_local! {
    /// The queue that the host signal handler of this thread fills.
    static QUEUE: Cell<*const Queue> = const { Cell::new(std::ptr::null()) };
}

/// The queue of the running guest thread; null on other threads. Async-signal-safe.
pub(crate) fn current_queue() -> *const Queue {
    QUEUE.get()
}

impl ThreadCtx {
    /// A thread of `process` with fresh state.
    pub fn new(process: &'static Process, actions: Arc<Actions>) -> ThreadCtx {
        ThreadCtx::executing(process, actions, jit::Thread::new(process.jit().clone()))
    }

    /// The same, which runs only while all others of the process wait.
    pub fn in_turn(process: &'static Process, actions: Arc<Actions>) -> ThreadCtx {
        ThreadCtx::executing(process, actions, jit::Thread::in_turn(process.jit().clone()))
    }

    fn executing(process: &'static Process, actions: Arc<Actions>, jit: Box<jit::Thread>) -> ThreadCtx {
        let queue = Box::new(Queue::new(jit.poll_flag()));
        let signals = ThreadSignals::default();
        ThreadCtx {
            process,
            jit,
            signals,
            queue,
            actions,
            clear_child_tid: 0,
            robust_list: 0,
            ended: None,
            borrowed: false,
        }
    }

    /// Makes this the thread whose queue the host handler fills; returns the one before.
    pub(crate) fn make_current(&self) -> *const Queue {
        QUEUE.replace(&raw const *self.queue)
    }

    /// A general register or other slot, zero-extended.
    #[inline]
    pub fn slot(&mut self, slot: ir::guest::Slot) -> u64 {
        let guest = self.process.guest;
        self.jit.state().word(guest, slot)
    }

    /// Sets a slot.
    #[inline]
    pub fn set_slot(&mut self, slot: ir::guest::Slot, value: u64) {
        let guest = self.process.guest;
        self.jit.state().set(guest, slot, u128::from(value));
    }

    /// Goes on with the function at `addr`, in the mode that its address says.
    pub fn enter(&mut self, addr: u64) {
        let guest = self.process.guest;
        guest.enter(self.jit.state(), addr);
    }

    /// The guest's stack pointer.
    pub fn sp(&mut self) -> u64 {
        self.slot(self.process.guest.sp)
    }

    /// Passes a call that may block to the host kernel; see [`crate::host`].
    ///
    /// # Safety
    /// Pointers among the arguments must be guest addresses, or valid for what the call does with them.
    pub unsafe fn blocking(&mut self, number: i64, args: [u64; 6]) -> SysResult {
        // SAFETY: the caller's.
        unsafe { crate::host::blocking_syscall(self.queue.pending(), number, args) }
    }
}

/// Restores the queue returned by [`ThreadCtx::make_current`].
pub(crate) fn set_current_queue(queue: *const Queue) {
    QUEUE.set(queue);
}
