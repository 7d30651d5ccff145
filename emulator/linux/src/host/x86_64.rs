//! System calls on x86-64.

use std::arch::{asm, global_asm};

/// See [`super::syscall`].
pub(super) unsafe fn syscall(number: i64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the instruction clobbers rax, rcx and r11 only; the effects are the caller's concern.
    unsafe {
        asm!("syscall", inlateout("rax") number => result,
            in("rdi") args[0], in("rsi") args[1], in("rdx") args[2], in("r10") args[3], in("r8") args[4], in("r9") args[5],
            lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    result
}

// The window: from the test of `pending` up to and including the `syscall` instruction, the call has not happened. A host
// handler that finds the program counter in it moves it to the exit that reports "restart". When a handler interrupts a
// waiting call that the kernel would restart, the kernel puts the program counter back on the `syscall` instruction,
// which is in the window; when the call has completed (or failed with EINTR), the program counter is behind it.
global_asm!(
    ".globl isamorph_blocking_syscall",
    ".globl isamorph_window_start",
    ".globl isamorph_window_end",
    ".globl isamorph_window_restart",
    ".globl isamorph_restorer",
    ".type isamorph_blocking_syscall,@function",
    "isamorph_blocking_syscall:",
    "push rbx",
    "mov rbx, rdi", // pending
    "mov rax, rsi", // number
    "mov r11, rdx", // arguments
    "mov rdi, [r11]",
    "mov rsi, [r11 + 8]",
    "mov rdx, [r11 + 16]",
    "mov r10, [r11 + 24]",
    "mov r8, [r11 + 32]",
    "mov r9, [r11 + 40]",
    "isamorph_window_start:",
    "cmp dword ptr [rbx], 0",
    "jne isamorph_window_restart",
    "syscall",
    "isamorph_window_end:",
    "pop rbx",
    "ret",
    "isamorph_window_restart:",
    "mov rax, -512", // Errno::RESTART
    "pop rbx",
    "ret",
    ".size isamorph_blocking_syscall, . - isamorph_blocking_syscall",
    // Where host handlers return to.
    "isamorph_restorer:",
    "mov eax, 15", // rt_sigreturn
    "syscall",
);

unsafe extern "sysv64" {
    #[link_name = "isamorph_blocking_syscall"]
    pub(super) fn blocking_syscall(pending: *mut u32, number: i64, args: *const [u64; 6]) -> i64;
    #[link_name = "isamorph_window_start"]
    static WINDOW_START: u8;
    #[link_name = "isamorph_window_end"]
    static WINDOW_END: u8;
    #[link_name = "isamorph_window_restart"]
    static WINDOW_RESTART: u8;
    #[link_name = "isamorph_restorer"]
    static RESTORER: u8;
}

/// The kernel's `struct sigaction`.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub(super) struct KernelAction {
    pub(super) handler: u64,
    pub(super) flags: u64,
    pub(super) restorer: u64,
    pub(super) mask: u64,
}

impl KernelAction {
    /// An action with what this architecture needs added.
    pub(super) fn new(handler: u64, flags: u64, mask: u64) -> KernelAction {
        const SA_RESTORER: u64 = 0x0400_0000;
        KernelAction { handler, flags: flags | SA_RESTORER, restorer: &raw const RESTORER as u64, mask }
    }
}

/// The interrupted program counter.
pub(crate) fn program_counter(context: &libc::ucontext_t) -> u64 {
    context.uc_mcontext.gregs[libc::REG_RIP as usize] as u64
}

/// If the thread was interrupted in the window, make it report a restart.
pub(crate) fn rewind_window(context: &mut libc::ucontext_t) {
    // Only the addresses of these symbols are meaningful.
    let (start, end, restart) = (&raw const WINDOW_START, &raw const WINDOW_END, &raw const WINDOW_RESTART);
    if (start as u64..end as u64).contains(&program_counter(context)) {
        context.uc_mcontext.gregs[libc::REG_RIP as usize] = restart as i64;
    }
}
