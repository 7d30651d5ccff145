//! Threads and processes: `clone`, `fork`, `vfork`, `execve`, `exit`.

pub(crate) mod calls;
mod clone;
mod exec;
mod exit;

pub(crate) use exit::{clear_tid, end_process, leave, release_robust};
