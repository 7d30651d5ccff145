//! The Linux half of user-mode emulation: a guest program's loader, address space, system calls, signals and threads.
//!
//! [`start`] is the way in. A thread runs translated code until something needs the runtime ([`thread`], `run.rs`); system
//! calls go through tables generated from `isa-specs/linux` and, where they touch memory, signals, threads or processes, to
//! the functions listed in [`special`]. 64-bit guests see host addresses; what the guest owns is in [`mem`].

pub mod abi;
pub mod bypass;
pub mod cache;
mod caller;
mod crash;
pub mod errno;
pub mod guest_memory;
pub mod host;
pub mod loader;
pub mod mem;
pub mod options;
pub mod process;
mod profile;
mod run;
pub mod signal;
pub mod special;
mod start;
mod stdio;
pub mod strace;
pub mod syscall;
pub mod task;
pub mod thread;

pub use errno::{Errno, SysResult};
pub use jit::Trace;
pub use jit::x64::Features;
pub use options::Options;
pub use process::Process;
pub use start::start;
pub use thread::ThreadCtx;
