//! Sets and structures that the emulator itself works with: their places in the tables, so that nobody looks for their names
//! during a system call.

use super::{Place, Set, Struct};

/// Those of one guest; `None` where its interface does not have it.
pub struct Known {
    /// `errno`.
    pub errno: Option<Place<Set>>,
    /// `signal`.
    pub signal: Option<Place<Set>>,
    /// `sa_flags`.
    pub sa_flags: Option<Place<Set>>,
    /// `sigaction`.
    pub sigaction: Option<Place<Struct>>,
    /// `stack_t`.
    pub stack_t: Option<Place<Struct>>,
    /// `siginfo`.
    pub siginfo: Option<Place<Struct>>,
    /// `siginfo_sent`.
    pub siginfo_sent: Option<Place<Struct>>,
    /// `siginfo_timer`.
    pub siginfo_timer: Option<Place<Struct>>,
    /// `siginfo_fault`.
    pub siginfo_fault: Option<Place<Struct>>,
    /// `siginfo_child`.
    pub siginfo_child: Option<Place<Struct>>,
    /// `siginfo_poll`.
    pub siginfo_poll: Option<Place<Struct>>,
}
