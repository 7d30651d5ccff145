//! Memory at fixed addresses, and faults in it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

/// Handles a fault before the translator does; whether it was its own.
pub(crate) type OwnFault = fn(signal: i32, context: &mut libc::ucontext_t) -> bool;

static OWN: AtomicUsize = AtomicUsize::new(0);

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let own = OWN.load(Ordering::Relaxed);
    // SAFETY: a handler's arguments; what is stored is a function. What is nobody's ends the process.
    unsafe {
        let of_test = own != 0 && std::mem::transmute::<usize, OwnFault>(own)(signal, &mut *context.cast());
        if !of_test && !jit::on_host_fault(signal, info, context.cast()) {
            libc::abort();
        }
    }
}

/// Has faults of this thread handled, on a stack of their own, by `own` first; one test at a time while the result lives.
pub(crate) fn catch_faults(own: Option<OwnFault>) -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    OWN.store(own.map_or(0, |own| own as usize), Ordering::Relaxed);
    static ONCE: Once = Once::new();
    // SAFETY: a handler of the type its flags ask for, on a leaked stack.
    unsafe {
        let stack = Box::leak(vec![0u8; 64 * 1024].into_boxed_slice());
        let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
        libc::sigaltstack(&stack, std::ptr::null_mut());
        ONCE.call_once(|| {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP] {
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        });
    }
    turn
}

/// The bytes of memory at an address that nothing uses, between `around` bytes each that cannot be accessed. Lengths are multiples
/// of a page. It is mapped once, and for ever; one user at a time, as the result of [`catch_faults`] makes sure.
pub(crate) fn memory(at: u64, len: usize, around: usize, executable: bool) -> &'static mut [u8] {
    static MAPPED: Mutex<Vec<u64>> = Mutex::new(Vec::new());
    let mut mapped = MAPPED.lock().unwrap_or_else(PoisonError::into_inner);
    let prot = libc::PROT_READ | libc::PROT_WRITE | if executable { libc::PROT_EXEC } else { 0 };
    // SAFETY: fresh memory, mapped before it is used.
    unsafe {
        if !mapped.contains(&at) {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
            let (start, all) = ((at as usize - around) as *mut libc::c_void, len + 2 * around);
            assert_eq!(libc::mmap(start, all, libc::PROT_NONE, flags, -1, 0), start);
            assert_eq!(libc::mprotect(at as *mut libc::c_void, len, prot), 0);
            mapped.push(at);
        }
        std::slice::from_raw_parts_mut(at as *mut u8, len)
    }
}
