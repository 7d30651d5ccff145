//! Guarded accesses on x86-64.

use std::arch::global_asm;

use super::Status;

// Between the two labels no instruction touches the stack but `ret`, so that recovery is a plain `ret`.
// rdi = guest address (copy: destination), rsi = value (copy: source), rdx = new value (copy: length).
//
// `rep movs` takes longer to start than a structure takes to copy: up to 512 bytes go 8 at a time, the last
// ones overlapping those before. Larger loads would wait for stores of single fields.
global_asm!(
    ".text",
    ".p2align 4",
    ".globl isamorph_guarded_start",
    ".hidden isamorph_guarded_start",
    "isamorph_guarded_start:",
    ".globl isamorph_guarded_copy",
    ".hidden isamorph_guarded_copy",
    "isamorph_guarded_copy:",
    "mov rcx, rdx",
    "cmp rdx, 8",
    "jb 4f",
    "cmp rdx, 512",
    "ja 5f",
    "xor r8d, r8d",
    "2:",
    "mov rax, [rsi + r8]",
    "mov [rdi + r8], rax",
    "add r8, 8",
    "sub rcx, 8",
    "cmp rcx, 8",
    "jae 2b",
    "mov rax, [rsi + rdx - 8]",
    "mov [rdi + rdx - 8], rax",
    "xor eax, eax",
    "ret",
    "4:",
    "cmp rdx, 4",
    "jb 5f",
    "mov eax, [rsi]",
    "mov [rdi], eax",
    "mov eax, [rsi + rdx - 4]",
    "mov [rdi + rdx - 4], eax",
    "xor eax, eax",
    "ret",
    "5:",
    "rep movsb",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_load8",
    ".hidden isamorph_guarded_load8",
    "isamorph_guarded_load8:",
    "movzx eax, byte ptr [rdi]",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_load16",
    ".hidden isamorph_guarded_load16",
    "isamorph_guarded_load16:",
    "movzx eax, word ptr [rdi]",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_load32",
    ".hidden isamorph_guarded_load32",
    "isamorph_guarded_load32:",
    "mov eax, [rdi]",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_load64",
    ".hidden isamorph_guarded_load64",
    "isamorph_guarded_load64:",
    "mov rax, [rdi]",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_load128",
    ".hidden isamorph_guarded_load128",
    "isamorph_guarded_load128:",
    // One access where 16-byte atomicity can be asked for; aligned vector moves are atomic on every host with AVX.
    "movups xmm0, [rdi]",
    "movups [rsi], xmm0",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_store8",
    ".hidden isamorph_guarded_store8",
    "isamorph_guarded_store8:",
    "mov al, [rsi]",
    "mov [rdi], al",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_store16",
    ".hidden isamorph_guarded_store16",
    "isamorph_guarded_store16:",
    "mov ax, [rsi]",
    "mov [rdi], ax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_store32",
    ".hidden isamorph_guarded_store32",
    "isamorph_guarded_store32:",
    "mov eax, [rsi]",
    "mov [rdi], eax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_store64",
    ".hidden isamorph_guarded_store64",
    "isamorph_guarded_store64:",
    "mov rax, [rsi]",
    "mov [rdi], rax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_store128",
    ".hidden isamorph_guarded_store128",
    "isamorph_guarded_store128:",
    "movups xmm0, [rsi]",
    "movups [rdi], xmm0",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_cas8",
    ".hidden isamorph_guarded_cas8",
    "isamorph_guarded_cas8:",
    "mov al, [rsi]",
    "mov dl, [rdx]",
    "lock cmpxchg [rdi], dl",
    "mov [rsi], al",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_cas16",
    ".hidden isamorph_guarded_cas16",
    "isamorph_guarded_cas16:",
    "mov ax, [rsi]",
    "mov dx, [rdx]",
    "lock cmpxchg [rdi], dx",
    "mov [rsi], ax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_cas32",
    ".hidden isamorph_guarded_cas32",
    "isamorph_guarded_cas32:",
    "mov eax, [rsi]",
    "mov edx, [rdx]",
    "lock cmpxchg [rdi], edx",
    "mov [rsi], eax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_cas64",
    ".hidden isamorph_guarded_cas64",
    "isamorph_guarded_cas64:",
    "mov rax, [rsi]",
    "mov rdx, [rdx]",
    "lock cmpxchg [rdi], rdx",
    "mov [rsi], rax",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_cas128",
    ".hidden isamorph_guarded_cas128",
    "isamorph_guarded_cas128:",
    // cmpxchg16b wants rbx, which is the caller's: it is kept in r9, and recovery restores it from there.
    "mov r9, rbx",
    "mov r8, [rdx + 8]",
    "mov rbx, [rdx]",
    "mov rcx, r8",
    "mov rax, [rsi]",
    "mov rdx, [rsi + 8]",
    ".globl isamorph_guarded_rbx_start",
    ".hidden isamorph_guarded_rbx_start",
    "isamorph_guarded_rbx_start:",
    "lock cmpxchg16b [rdi]",
    ".globl isamorph_guarded_rbx_end",
    ".hidden isamorph_guarded_rbx_end",
    "isamorph_guarded_rbx_end:",
    "mov rbx, r9",
    "mov [rsi], rax",
    "mov [rsi + 8], rdx",
    "xor eax, eax",
    "ret",
    ".globl isamorph_guarded_end",
    ".hidden isamorph_guarded_end",
    "isamorph_guarded_end:",
    ".globl isamorph_guarded_recover",
    ".hidden isamorph_guarded_recover",
    "isamorph_guarded_recover:",
    "ret",
);

unsafe extern "sysv64" {
    #[link_name = "isamorph_guarded_copy"]
    pub(super) fn copy(dst: u64, src: u64, len: u64) -> Status;
    #[link_name = "isamorph_guarded_load8"]
    pub(super) fn load8(addr: u64, out: *mut u128) -> Status;
    #[link_name = "isamorph_guarded_load16"]
    pub(super) fn load16(addr: u64, out: *mut u128) -> Status;
    #[link_name = "isamorph_guarded_load32"]
    pub(super) fn load32(addr: u64, out: *mut u128) -> Status;
    #[link_name = "isamorph_guarded_load64"]
    pub(super) fn load64(addr: u64, out: *mut u128) -> Status;
    #[link_name = "isamorph_guarded_load128"]
    pub(super) fn load128(addr: u64, out: *mut u128) -> Status;
    #[link_name = "isamorph_guarded_store8"]
    pub(super) fn store8(addr: u64, from: *const u128) -> Status;
    #[link_name = "isamorph_guarded_store16"]
    pub(super) fn store16(addr: u64, from: *const u128) -> Status;
    #[link_name = "isamorph_guarded_store32"]
    pub(super) fn store32(addr: u64, from: *const u128) -> Status;
    #[link_name = "isamorph_guarded_store64"]
    pub(super) fn store64(addr: u64, from: *const u128) -> Status;
    #[link_name = "isamorph_guarded_store128"]
    pub(super) fn store128(addr: u64, from: *const u128) -> Status;
    #[link_name = "isamorph_guarded_cas8"]
    pub(super) fn cas8(addr: u64, io: *mut u128, new: *const u128) -> Status;
    #[link_name = "isamorph_guarded_cas16"]
    pub(super) fn cas16(addr: u64, io: *mut u128, new: *const u128) -> Status;
    #[link_name = "isamorph_guarded_cas32"]
    pub(super) fn cas32(addr: u64, io: *mut u128, new: *const u128) -> Status;
    #[link_name = "isamorph_guarded_cas64"]
    pub(super) fn cas64(addr: u64, io: *mut u128, new: *const u128) -> Status;
    #[link_name = "isamorph_guarded_cas128"]
    pub(super) fn cas128(addr: u64, io: *mut u128, new: *const u128) -> Status;

    #[link_name = "isamorph_guarded_start"]
    static START: u8;
    #[link_name = "isamorph_guarded_end"]
    static END: u8;
    #[link_name = "isamorph_guarded_rbx_start"]
    static RBX_START: u8;
    #[link_name = "isamorph_guarded_rbx_end"]
    static RBX_END: u8;
    #[link_name = "isamorph_guarded_recover"]
    static RECOVER: u8;
}

/// If the interrupted instruction is a guarded access, make its routine return the fault. Async-signal-safe.
pub(crate) fn recover(signal: i32, info: &libc::siginfo_t, context: &mut libc::ucontext_t) -> bool {
    let regs = &mut context.uc_mcontext.gregs;
    let pc = regs[libc::REG_RIP as usize] as u64;
    // Only the addresses of these symbols are meaningful.
    let (start, end) = (&raw const START as u64, &raw const END as u64);
    if !(start..end).contains(&pc) {
        return false;
    }
    if (&raw const RBX_START as u64..&raw const RBX_END as u64).contains(&pc) {
        regs[libc::REG_RBX as usize] = regs[libc::REG_R9 as usize];
    }
    let write = regs[libc::REG_ERR as usize] & 2 != 0;
    regs[libc::REG_RAX as usize] = Status::fault(signal, info.si_code, write) as i64;
    // SAFETY: a fault signal carries an address.
    regs[libc::REG_RDX as usize] = unsafe { info.si_addr() } as i64;
    regs[libc::REG_RIP as usize] = &raw const RECOVER as i64;
    true
}
