//! Host functions in place of guest functions.
//!
//! The embedder names them by guest address ([`crate::Hooks::intercept`]); where a unit would start at such an address,
//! the host function is called instead: arguments from the guest's calling convention, then a return to where the guest
//! function would have returned.
//!
//! # Contract of [`Host::Words`]
//! * It runs on the host stack, on the guest thread, and must not unwind. The floating-point environment is the guest's: it
//!   does not compute with floats.
//! * It may read and write guest memory directly. When such an access faults, its frames are abandoned: so while it touches
//!   guest memory it must hold no lock and own nothing that needs dropping. Guest registers have not changed by then; the
//!   guest function runs translated instead, and faults where and how it would have.
//! * Therefore everything it wrote before the fault must be something the guest function would also have written, or
//!   writes again (idempotence).
//! * It should return within about 100 µs: signals wait for it.

use std::sync::atomic::AtomicU64;

use ir::convention::Signature;
use ir::{Guest, GuestState};

use crate::marshal::{MAX_RESULTS, Plan};
use crate::native_counters::Block;
use crate::thread_state::ThreadState;

/// How many bytes a call is about, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bytes {
    /// Not known without doing the work again.
    Unknown,
    /// The value of the argument with this index.
    Argument(u8),
    /// The result.
    Result,
}

/// A host function that replaces a guest function.
#[derive(Clone, Copy, Debug)]
pub struct NativeFn {
    /// Number of the function, chosen by the embedder, below [`MAX_FNS`]: for the counters, and to find it again.
    pub id: u32,
    /// What it is to the guest: at most six scalars in, four out.
    pub signature: &'static Signature,
    /// What is counted as its bytes.
    pub bytes: Bytes,
    /// Whether a call with these arguments may be made twice in a row, to measure it.
    pub repeatable: fn(&[u64; 6]) -> bool,
    /// The function.
    pub call: Host,
}

/// Host code.
#[derive(Clone, Copy, Debug)]
pub enum Host {
    /// Of words and pointers. Arguments that the signature does not have are undefined.
    Words(unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64) -> u64),
    /// Of values alone: the scalars of the arguments, extended by their signs, and those of the result. Neither touches guest
    /// memory nor computes with floats. False if the guest's own code is to run instead.
    Values(fn(&[u64], &mut [u64]) -> bool),
}

/// A native function, and how its values travel.
pub(crate) struct Ready {
    pub(crate) function: NativeFn,
    pub(crate) plan: Plan,
}

/// Native functions that can be told apart in the counters.
pub const MAX_FNS: usize = 256;

/// Calls the function for the guest function at `state.pc` and returns from it. False if it faulted or declined: nothing of
/// `state` has changed then. `frame` is where the fault handler finds the frame to return to.
pub(crate) fn call(ready: &Ready, guest: &Guest, state: &mut GuestState, frame: &AtomicU64, counters: &Block) -> bool {
    let sp = state.get(guest, guest.sp) as u64;
    let word = guest.slots[guest.sp.0 as usize].ty;
    let back = match guest.abi.return_address {
        Some(slot) => state.get(guest, slot) as u64,
        None => match crate::guarded::load(sp, word) {
            Ok(address) => address as u64,
            Err(_) => return false,
        },
    };
    if !call_at(ready, guest, state, frame, counters) {
        return false;
    }
    let pushed = if guest.abi.return_address.is_none() { word.bytes().into() } else { 0 };
    state.set(guest, guest.sp, u128::from(sp.wrapping_add(pushed + ready.plan.popped())));
    (state.pc, state.mode) = guest.entered(back, state.mode);
    true
}

/// The same without the return: stack pointer and `pc` stay.
fn call_at(ready: &Ready, guest: &Guest, state: &mut GuestState, frame: &AtomicU64, counters: &Block) -> bool {
    let sp = state.get(guest, guest.sp) as u64;
    let Some(args) = ready.plan.arguments(guest, state, sp) else { return false };
    let mut results = [0; MAX_RESULTS];
    match ready.function.call {
        Host::Words(call) => {
            // SAFETY: the function keeps the contract above; `frame` outlives the call.
            let outcome = unsafe { arch::call(call, &args, frame.as_ptr()) };
            if outcome.faulted != 0 {
                return false;
            }
            results[0] = outcome.result;
        }
        Host::Values(call) => {
            if !call(&args[..ready.plan.len()], &mut results) {
                return false;
            }
        }
    }
    if !ready.plan.deliver(guest, state, sp, &results) {
        return false;
    }
    counters.count(&ready.function, &args, results[0]);
    true
}

/// For generated code: the call of a function of values, whose guest function is at `state.pc`, without the return. 0 if the guest's
/// own code is to run.
///
/// # Safety
/// `state` is that of the running thread, complete in memory; `ready` is of its translator.
pub(crate) unsafe extern "sysv64" fn call_values(state: *mut ThreadState, ready: *const Ready) -> u64 {
    // SAFETY: the caller's promise; the counters are those of the thread.
    let (state, ready) = unsafe { (&mut *state, &*ready) };
    // SAFETY: set with the thread.
    let (guest, counters) = unsafe { (&*state.guest_desc, &*state.native_counts.cast::<Block>()) };
    // Only functions of words need the frame.
    u64::from(call_at(ready, guest, &mut state.guest, &AtomicU64::new(0), counters))
}

/// Result registers of the call routine.
#[repr(C)]
pub(crate) struct Outcome {
    result: u64,
    faulted: u64,
}

#[cfg(target_arch = "x86_64")]
mod arch {
    use std::arch::global_asm;

    use super::Outcome;
    use crate::marshal::MAX_ARGS;

    // rdi = function, rsi = arguments, rdx = where the handler finds the frame (0 there: no call under way).
    global_asm!(
        ".text",
        ".p2align 4",
        ".globl isamorph_native_call",
        ".hidden isamorph_native_call",
        "isamorph_native_call:",
        "push rbx",
        "push rbp",
        "push r12",
        "push r13",
        "push r14",
        "push r15",
        "push rdx", // 16-byte aligned here
        "mov [rdx], rsp",
        "mov rax, rdi",
        "mov r10, rsi",
        "mov rdi, [r10]",
        "mov rsi, [r10 + 8]",
        "mov rdx, [r10 + 16]",
        "mov rcx, [r10 + 24]",
        "mov r8, [r10 + 32]",
        "mov r9, [r10 + 40]",
        "call rax",
        "xor edx, edx",
        ".globl isamorph_native_leave",
        ".hidden isamorph_native_leave",
        "isamorph_native_leave:",
        "pop rcx",
        "mov qword ptr [rcx], 0",
        "pop r15",
        "pop r14",
        "pop r13",
        "pop r12",
        "pop rbp",
        "pop rbx",
        "ret",
        ".globl isamorph_native_recover",
        ".hidden isamorph_native_recover",
        "isamorph_native_recover:",
        "cld",
        "mov edx, 1",
        "jmp isamorph_native_leave",
    );

    unsafe extern "sysv64" {
        #[link_name = "isamorph_native_call"]
        pub(super) fn call(
            function: unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64) -> u64,
            args: *const [u64; MAX_ARGS],
            frame: *mut u64,
        ) -> Outcome;
        #[link_name = "isamorph_native_recover"]
        static RECOVER: u8;
    }

    /// Make the call whose frame is `frame` return "faulted". Async-signal-safe.
    pub(crate) fn abandon(frame: u64, context: &mut libc::ucontext_t) {
        let regs = &mut context.uc_mcontext.gregs;
        regs[libc::REG_RSP as usize] = frame as i64;
        regs[libc::REG_RIP as usize] = &raw const RECOVER as i64;
    }
}

pub(crate) use arch::abandon;

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;

    unsafe extern "sysv64" fn weigh(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64) -> u64 {
        a + 2 * b + 4 * c + 8 * d + 16 * e + 32 * f
    }

    unsafe extern "sysv64" fn read_u64(addr: u64, _: u64, _: u64, _: u64, _: u64, _: u64) -> u64 {
        // SAFETY: the point of the test: the fault is recovered.
        unsafe { (addr as *const u64).read_volatile() }
    }

    thread_local! {
        static FRAME: AtomicU64 = const { AtomicU64::new(0) };
    }

    extern "C" fn handler(_: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
        let frame = FRAME.with(|frame| frame.load(Ordering::Relaxed));
        assert_ne!(frame, 0);
        // SAFETY: a handler's argument.
        abandon(frame, unsafe { &mut *context.cast() });
    }

    #[test]
    fn arguments_arrive_and_a_fault_abandons_the_call() {
        FRAME.with(|frame| {
            // SAFETY: the functions take any arguments or fault.
            let weighed = unsafe { arch::call(weigh, &[1, 1, 1, 1, 1, 1], frame.as_ptr()) };
            assert_eq!((weighed.result, weighed.faulted, frame.load(Ordering::Relaxed)), (63, 0, 0));
            // SAFETY: plain data.
            let mut old: libc::sigaction = unsafe { std::mem::zeroed() };
            let mut new = old;
            new.sa_sigaction = handler as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize;
            new.sa_flags = libc::SA_SIGINFO;
            // SAFETY: SIGBUS is raised by this test only, from a mapping past the end of a file.
            unsafe {
                libc::sigaction(libc::SIGBUS, &new, &mut old);
                let file = libc::memfd_create(c"empty".as_ptr(), 0);
                let at = libc::mmap(std::ptr::null_mut(), 4096, libc::PROT_READ, libc::MAP_PRIVATE, file, 0);
                for _ in 0..3 {
                    let outcome = arch::call(read_u64, &[at as u64, 0, 0, 0, 0, 0], frame.as_ptr());
                    assert_eq!((outcome.faulted, frame.load(Ordering::Relaxed)), (1, 0));
                }
                libc::sigaction(libc::SIGBUS, &old, std::ptr::null_mut());
            }
        });
    }
}
