//! Host functions in place of guest functions.
//!
//! The embedder names them by guest address ([`crate::Hooks::intercept`]); where a unit would start at such an address,
//! the host function is called instead: arguments from the guest's calling convention, then a return to the address in
//! the guest's return-address register.
//!
//! # Contract of a [`NativeFn`]
//! * It runs on the host stack, on the guest thread, and must not unwind. The floating-point environment is the guest's: it
//!   does not compute with floats.
//! * It may read and write guest memory directly. When such an access faults, its frames are abandoned: so while it touches
//!   guest memory it must hold no lock and own nothing that needs dropping. Guest registers have not changed by then; the
//!   guest function runs translated instead, and faults where and how it would have.
//! * Therefore everything it wrote before the fault must be something the guest function would also have written, or
//!   writes again (idempotence).
//! * It should return within about 100 µs: signals wait for it.

use std::sync::atomic::AtomicU64;

use ir::{Guest, GuestState};

use crate::native_counters::Block;

/// Most integer arguments of a native function.
pub(crate) const MAX_ARGS: usize = 6;

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
    /// Integer and pointer arguments, 0..=6, in the guest's argument registers.
    pub args: u8,
    /// Whether there is a result, in the guest's first integer result register.
    pub returns: bool,
    /// What is counted as its bytes.
    pub bytes: Bytes,
    /// Whether a call with these arguments may be made twice in a row, to measure it.
    pub repeatable: fn(&[u64; 6]) -> bool,
    /// The function. Its arguments beyond `args` are undefined.
    pub call: unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64) -> u64,
}

/// Native functions that can be told apart in the counters.
pub const MAX_FNS: usize = 256;

/// The arguments of a call, from the guest's calling convention.
pub(crate) fn arguments(function: &NativeFn, guest: &Guest, state: &GuestState) -> [u64; MAX_ARGS] {
    let mut args = [0; MAX_ARGS];
    for (arg, slot) in args.iter_mut().zip(guest.abi.int_args).take(function.args.into()) {
        *arg = state.get(guest, *slot) as u64;
    }
    args
}

/// Calls `function` for the guest function at `state.pc` and returns from it. False if it faulted: nothing of `state` has
/// changed then. `frame` is where the fault handler finds the frame to return to.
pub(crate) fn call(
    function: &NativeFn,
    guest: &Guest,
    state: &mut GuestState,
    frame: &AtomicU64,
    counters: &Block,
) -> bool {
    let sp = state.get(guest, guest.sp) as u64;
    let word = guest.slots[guest.sp.0 as usize].ty;
    let back = match guest.abi.return_address {
        Some(slot) => state.get(guest, slot) as u64,
        None => match crate::guarded::load(sp, word) {
            Ok(address) => address as u64,
            Err(_) => return false,
        },
    };
    let args = arguments(function, guest, state);
    // SAFETY: the function keeps the contract above; `frame` outlives the call.
    let outcome = unsafe { arch::call(function.call, &args, frame.as_ptr()) };
    if outcome.faulted != 0 {
        return false;
    }
    counters.count(function, &args, outcome.result);
    if let (true, Some(slot)) = (function.returns, guest.abi.int_ret.first()) {
        state.set(guest, *slot, u128::from(outcome.result));
    }
    if guest.abi.return_address.is_none() {
        state.set(guest, guest.sp, u128::from(sp.wrapping_add(word.bytes().into())));
    }
    (state.pc, state.mode) = guest.entered(back, state.mode);
    true
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

    use super::{MAX_ARGS, Outcome};

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
