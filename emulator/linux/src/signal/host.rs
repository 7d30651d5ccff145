//! The host side: handlers, dispositions, masks, alternate stacks.

use std::mem::MaybeUninit;
use std::ptr::null_mut;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Action, Info, SIGNALS, SigSet, bit, fault_signals, unblockable};
use crate::thread::current_queue;

/// Bytes of a host alternate stack: handlers restore snapshots on it.
const STACK: usize = 64 * 1024;

/// Installs the fault handlers of the process; once.
pub(crate) fn install() {
    for signal in (1..=SIGNALS).filter(|&signal| fault_signals() & bit(signal) != 0) {
        set_handler(signal, 0);
    }
    if !SIGPIPE_IGNORED.load(Ordering::Relaxed) {
        set_plain(libc::SIGPIPE, libc::SIG_DFL, 0);
    }
}

/// Whether SIGPIPE was ignored when the process started.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// Rust's runtime ignores SIGPIPE before `main`; what the parent passed on has to be read earlier.
#[used]
#[unsafe(link_section = ".init_array")]
static RECORD_SIGPIPE: extern "C" fn() = record_sigpipe;

extern "C" fn record_sigpipe() {
    SIGPIPE_IGNORED.store(is_ignored(libc::SIGPIPE), Ordering::Relaxed);
}

/// Whether the host ignores `signal`, as inherited from the parent.
pub(crate) fn is_ignored(signal: i32) -> bool {
    // SAFETY: only queries.
    unsafe { crate::host::disposition(signal, None) == Ok(libc::SIG_IGN as u64) }
}

/// What the host knows of an action: whether there is a handler, or which of the other dispositions; and two flags.
fn known_to_host(action: &Action) -> (u64, i32) {
    (action.handler.min(2), action.flags as i32 & (libc::SA_NOCLDSTOP | libc::SA_NOCLDWAIT))
}

/// Gives the host the disposition that serves the guest's `action`, which replaces `previous`.
pub(crate) fn change_disposition(signal: i32, previous: &Action, action: &Action) {
    // Setting one of the others again is not for nothing: it drops what is pending.
    if action.handler < 2 || known_to_host(previous) != known_to_host(action) {
        set_disposition(signal, action);
    }
}

/// Gives the host the disposition that serves the guest's `action`.
pub(crate) fn set_disposition(signal: i32, action: &Action) {
    if fault_signals() & bit(signal) != 0 || unblockable() & bit(signal) != 0 {
        return;
    }
    let (handler, pass) = known_to_host(action);
    match handler {
        0 => set_plain(signal, libc::SIG_DFL, pass),
        1 => set_plain(signal, libc::SIG_IGN, pass),
        _ => set_handler(signal, pass),
    }
}

fn set_plain(signal: i32, disposition: usize, flags: i32) {
    // SAFETY: a default or ignored disposition.
    let _ = unsafe { crate::host::disposition(signal, Some((disposition as u64, flags, 0))) };
}

fn set_handler(signal: i32, flags: i32) {
    let handler = on_signal as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize as u64;
    let flags = flags | libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_RESTART;
    // SAFETY: the handler has the type SA_SIGINFO asks for and is async-signal-safe.
    let _ = unsafe { crate::host::disposition(signal, Some((handler, flags, u64::MAX))) };
}

/// The one host handler.
extern "C" fn on_signal(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes valid structures; `Info` has the size of `siginfo_t`.
    let (queued, raised) = unsafe { (*info.cast::<Info>(), (*info).si_code > 0) };
    let faults = fault_signals() & bit(signal) != 0;
    if faults && raised {
        // SAFETY: called from a handler with the handler's arguments.
        if !unsafe { jit::on_host_fault(signal, info, context) } {
            // SAFETY: as above.
            crate::crash::emulator_bug(&queued, unsafe { &*context });
        }
        return;
    }
    let queue = current_queue();
    if queue.is_null() {
        return; // a helper thread: signals are the guest's
    }
    // SAFETY: the queue outlives the thread's stay in guest code; the context is the interrupted one.
    unsafe {
        (*queue).push(&queued);
        if !faults {
            block_all_after(&mut *context);
        }
        crate::host::rewind_window(&mut *context);
        jit::rewind_call(&mut *context);
    }
}

/// After the handler, everything but fault signals stays blocked until the guest thread has dealt with the one queued.
fn block_all_after(context: &mut libc::ucontext_t) {
    let mask = !fault_signals() & !unblockable();
    // SAFETY: the kernel's signal set is the first 8 bytes of libc's.
    unsafe { (&raw mut context.uc_sigmask).cast::<u64>().write(mask) };
}

/// Blocks on the host what the guest blocks.
pub(crate) fn block_as_guest(mask: SigSet) {
    set_host_mask(mask & !fault_signals());
}

/// Blocks everything that can be blocked; returns the mask before.
pub(crate) fn block_all() -> SigSet {
    set_host_mask(!fault_signals())
}

fn set_host_mask(mask: SigSet) -> SigSet {
    let mut old: SigSet = 0;
    let args = [libc::SIG_SETMASK as u64, &raw const mask as u64, &raw mut old as u64, 8, 0, 0];
    // SAFETY: the sets are 8 bytes, as the size says.
    let _ = unsafe { crate::host::syscall(libc::SYS_rt_sigprocmask, args) };
    old
}

/// The mask in force on the host.
pub(crate) fn current_mask() -> SigSet {
    let mut old: SigSet = 0;
    let args = [libc::SIG_BLOCK as u64, 0, &raw mut old as u64, 8, 0, 0];
    // SAFETY: as above.
    let _ = unsafe { crate::host::syscall(libc::SYS_rt_sigprocmask, args) };
    old
}

/// Sends `signal` to this thread with its default disposition. Async-signal-safe.
pub(crate) fn reset_and_raise(signal: i32) {
    set_plain(signal, libc::SIG_DFL, 0);
    // SAFETY: signals the own thread.
    unsafe {
        libc::syscall(libc::SYS_tgkill, libc::getpid(), libc::gettid(), signal);
    }
    set_host_mask(!bit(signal));
}

/// The alternate stack of a host thread; freed with it.
pub(crate) struct HostStack {
    base: *mut libc::c_void,
}

/// Of threads that ended.
static SPARE: jit::Spare = jit::Spare::new();

const GUARD: usize = crate::mem::PAGE as usize;

impl HostStack {
    /// Makes a stack with a guard page the thread's.
    pub(crate) fn install() -> std::io::Result<HostStack> {
        let stack = match SPARE.take() {
            Some(base) => HostStack { base: base as *mut libc::c_void },
            None => HostStack::allocate()?,
        };
        // SAFETY: the mapping is the stack, above the guard page.
        let failed = unsafe {
            let alternate = libc::stack_t { ss_sp: stack.base.byte_add(GUARD), ss_flags: 0, ss_size: STACK };
            libc::sigaltstack(&alternate, null_mut()) != 0
        };
        if failed { Err(std::io::Error::last_os_error()) } else { Ok(stack) }
    }

    fn allocate() -> std::io::Result<HostStack> {
        // SAFETY: a fresh mapping, whose first page is made inaccessible.
        unsafe {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
            let base = libc::mmap(null_mut(), STACK + GUARD, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0);
            if base == libc::MAP_FAILED {
                return Err(std::io::Error::last_os_error());
            }
            libc::mprotect(base, GUARD, libc::PROT_NONE);
            Ok(HostStack { base })
        }
    }
}

impl Drop for HostStack {
    fn drop(&mut self) {
        // SAFETY: disables the stack before unmapping it; it is not in use, as no handler runs.
        unsafe {
            let mut off: libc::stack_t = MaybeUninit::zeroed().assume_init();
            off.ss_flags = libc::SS_DISABLE;
            libc::sigaltstack(&off, null_mut());
            if !SPARE.keep(self.base as u64) {
                libc::munmap(self.base, STACK + GUARD);
            }
        }
    }
}
