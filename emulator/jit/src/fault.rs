//! Host faults: which of them are the guest's, and where execution continues.

use std::sync::Arc;

use crate::guarded;
use crate::jit::Jit;
use crate::t1;
use crate::thread;

/// `si_code` of faults without an address: on x86-64, accesses to non-canonical addresses.
pub(crate) const SI_KERNEL: i32 = 0x80;

/// `si_code`: nothing is mapped at the address.
pub(crate) const SEGV_MAPERR: i32 = 1;

/// Handles a `SIGSEGV`, `SIGBUS` or `SIGFPE` raised by what the calling thread did. True if execution can continue with the
/// context as rewritten; false if the fault is not of guest making, that is, a bug in the emulator.
///
/// # Safety
/// To be called from a handler installed with `SA_SIGINFO | SA_ONSTACK`, with the handler's arguments. Async-signal-safe.
pub unsafe fn on_host_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::ucontext_t) -> bool {
    // SAFETY: the caller's.
    let (info, context) = unsafe { (&*info, &mut *context) };
    if guarded::recover(signal, info, context) {
        return true;
    }
    let thread = thread::current();
    if thread.is_null() {
        return false;
    }
    // SAFETY: set by `run` on this thread, which is still inside it, stopped at an instruction that may fault: generated code
    // or a native function, neither of which is in the middle of changing what is used here.
    let thread = unsafe { &mut *thread };
    if thread.abandon_native(context) {
        return true;
    }
    let jit: *const Jit = Arc::as_ptr(&thread.jit);
    // SAFETY: the thread keeps its translator.
    let Some(runtime) = (unsafe { &(*jit).t1 }) else { return false };
    t1::handle_fault(thread, runtime, signal, info, context)
}

/// To be called by the handler of each asynchronous signal, with its context, once the poll flag is set: a direct system call
/// that the signal interrupted before it happened ends with [`crate::Event::CallInterrupted`]. Async-signal-safe.
pub fn rewind_call(context: &mut libc::ucontext_t) {
    let thread = thread::current();
    if thread.is_null() {
        return;
    }
    // SAFETY: set by `run` on this thread, which is still inside it; the translator never changes and is kept by the thread.
    if let Some(runtime) = unsafe { &(*Arc::as_ptr(&(*thread).jit)).t1 } {
        t1::rewind_call(runtime, context);
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Once;

    /// Writable pages followed by one that is not accessible.
    pub(crate) struct Pages {
        base: *mut libc::c_void,
        len: usize,
    }

    impl Pages {
        pub(crate) fn new(count: usize) -> Pages {
            let len = (count + 1) * 4096;
            // SAFETY: a fresh mapping of which the last page is made inaccessible.
            let base = unsafe {
                let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
                let base = libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
                assert_ne!(base, libc::MAP_FAILED);
                assert_eq!(libc::mprotect(base.byte_add(len - 4096), 4096, libc::PROT_NONE), 0);
                base
            };
            Pages { base, len }
        }

        pub(crate) fn addr(&self) -> u64 {
            self.base as u64
        }
    }

    impl Drop for Pages {
        fn drop(&mut self) {
            // SAFETY: our mapping.
            unsafe { libc::munmap(self.base, self.len) };
        }
    }

    extern "C" fn handler(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
        // SAFETY: a handler's arguments. A fault that is not handled must end the test process, not repeat.
        unsafe {
            if !super::on_host_fault(signal, info, context.cast()) {
                libc::abort();
            }
        }
    }

    /// Installs the fault handler in the test process, and the calling thread's alternate stack.
    pub(crate) fn install_handler() {
        static ONCE: Once = Once::new();
        // SAFETY: the handler has the type its flags ask for; the stack is leaked.
        unsafe {
            let stack = Box::leak(vec![0u8; 64 * 1024].into_boxed_slice());
            let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
            libc::sigaltstack(&stack, std::ptr::null_mut());
            ONCE.call_once(|| {
                let mut action: libc::sigaction = std::mem::zeroed();
                action.sa_sigaction = handler as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize;
                action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
                for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE] {
                    libc::sigaction(signal, &action, std::ptr::null_mut());
                }
            });
        }
    }
}
