//! Why guest execution came back to the runtime.

use ir::unit::Trap;

/// A guest memory access that the host refused.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct MemFault {
    /// Address that could not be accessed.
    pub addr: u64,
    /// Whether it was a write, if known.
    pub write: Option<bool>,
    /// Host signal: `SIGSEGV` or `SIGBUS`.
    pub signal: i32,
    /// `si_code` of that signal.
    pub code: i32,
}

/// What ended [`crate::Thread::run`]. The guest state is complete in memory; its `pc` is the instruction to resume at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// System call; `pc` is the instruction after it.
    Syscall,
    /// A signal came while a direct system call waited, or just before; it had no effect. `pc` is the instruction after it.
    CallInterrupted,
    /// A direct system call failed: because of a bad address or, where the guest has a flag that says so, for any reason. `pc` is the
    /// instruction after it; its result is not set.
    CallFailed {
        /// The host's error number.
        error: i32,
    },
    /// Trap of the instruction at `pc`.
    Trap(Trap),
    /// The reserved native-call instruction at `pc`.
    NativeCall {
        /// Guest address of the function's name.
        name: u64,
    },
    /// The instruction at `pc` accessed memory it must not; no register has changed.
    Fault(MemFault),
    /// There is no executable memory at `addr`: `pc`, or the second page that the instruction at `pc` lies on.
    FetchFault {
        /// Address.
        addr: u64,
    },
    /// The poll flag was set.
    Interrupted,
    /// Generated code did something else than the interpreter ([`crate::JitOptions::check`]); [`crate::Thread::difference`]
    /// says what. The state is that of generated code.
    Differs,
}
