//! System calls with a hand-written body, by name: what the tables call `special`.
//!
//! Each has the type `fn(&mut ThreadCtx, [u64; 6]) -> SysResult`; arguments are the guest's, zero-extended.

pub use crate::mem::calls::{
    brk, madvise, mincore, mlock, mlock2, mmap, mprotect, mremap, msync, munlock, munmap, shmat, shmdt,
};
pub use crate::signal::calls::{
    rt_sigaction, rt_sigpending, rt_sigprocmask, rt_sigreturn, rt_sigsuspend, rt_sigtimedwait, sigaltstack,
};
pub use crate::syscall::descriptors::{close, close_range, dup3};
pub use crate::syscall::misc::{personality, prlimit64, setrlimit, uname};
pub use crate::syscall::path::{openat, openat2, readlinkat};
pub use crate::syscall::wait::pselect6;
pub use crate::task::calls::{
    clone, clone3, execve, execveat, exit, exit_group, prctl, riscv_flush_icache, set_robust_list, set_tid_address,
};
