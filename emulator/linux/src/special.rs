//! System calls with a hand-written body, by name: what the tables call `special`.
//!
//! Addresses are the guest's, constants the host's. Arguments narrower than a word are extended by their sign where the guest's word
//! is narrower than the host's. Those that work on the process alone are made without leaving generated code.

use crate::abi::Function;

macro_rules! functions {
    ($of:ident { $($path:path: $($name:ident),*;)* }) => {
        $($(
            #[doc = concat!("`", stringify!($name), "`.")]
            #[allow(non_upper_case_globals, reason = "called as the system call is")]
            pub const $name: Function = Function::$of({
                use $path as calls;
                calls::$name
            });
        )*)*
    };
}

functions!(Process {
    crate::mem::calls: brk, madvise, mlock, mlock2, mmap, mmap2, mprotect, msync, munlock, munmap;
    crate::syscall::descriptors: close, close_range, dup2, dup3;
    crate::syscall::directories: getdents64;
    crate::syscall::misc: _llseek, fstatfs64, personality, prlimit64, setrlimit, statfs64, uname;
    crate::syscall::path: creat, open, openat, openat2, readlink, readlinkat;
    crate::syscall::wait: pselect6;
});

/// `pselect6_time64`: the call's description says how wide its timeout is.
#[allow(non_upper_case_globals, reason = "called as the system call is")]
pub const pselect6_time64: Function = pselect6;

functions!(Thread {
    crate::mem::calls: mincore, mremap, shmat, shmdt;
    crate::signal::calls: rt_sigaction, rt_sigpending, rt_sigprocmask, rt_sigreturn, rt_sigsuspend, rt_sigtimedwait,
        rt_sigtimedwait_time64, sigaltstack, sigprocmask, sigreturn;
    crate::task::calls: cacheflush, clone, clone3, execve, execveat, exit, exit_group, flush_icache_range, fork,
        get_thread_area, prctl, set_robust_list, set_thread_area, set_tid_address, vfork;
});
