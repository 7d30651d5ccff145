//! System calls with a hand-written body, by name: what the tables call `special`.
//!
//! Each has the type `fn(&mut ThreadCtx, [u64; 6]) -> SysResult`; addresses are the guest's, constants the host's.
//! Arguments narrower than a word are extended by their sign where the guest's word is narrower than the host's.

pub use crate::mem::calls::{
    brk, madvise, mincore, mlock, mlock2, mmap, mmap2, mprotect, mremap, msync, munlock, munmap, shmat, shmdt,
};
pub use crate::signal::calls::{
    rt_sigaction, rt_sigpending, rt_sigprocmask, rt_sigreturn, rt_sigsuspend, rt_sigtimedwait, rt_sigtimedwait_time64,
    sigaltstack, sigreturn,
};
pub use crate::syscall::descriptors::{close, close_range, dup2, dup3};
pub use crate::syscall::directories::getdents64;
pub use crate::syscall::misc::{_llseek, fstatfs64, personality, prlimit64, setrlimit, statfs64, uname};
pub use crate::syscall::path::{open, openat, openat2, readlink, readlinkat};
// The call's description says how wide its timeout is.
pub use crate::syscall::wait::{pselect6, pselect6 as pselect6_time64};
pub use crate::task::calls::{
    cacheflush, clone, clone3, execve, execveat, exit, exit_group, flush_icache_range, fork, get_thread_area, prctl,
    set_robust_list, set_thread_area, set_tid_address, vfork,
};
