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
    /// `sigill_code`.
    pub sigill_code: Option<Place<Set>>,
    /// `sigfpe_code`.
    pub sigfpe_code: Option<Place<Set>>,
    /// `sigsegv_code`.
    pub sigsegv_code: Option<Place<Set>>,
    /// `sigbus_code`.
    pub sigbus_code: Option<Place<Set>>,
    /// `sigtrap_code`.
    pub sigtrap_code: Option<Place<Set>>,
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

impl Known {
    /// Value of a `si_code` that the kernel gives with a fault signal.
    #[must_use]
    pub fn fault_code(&self, name: &str) -> Option<u64> {
        let sets = [self.sigsegv_code, self.sigbus_code, self.sigfpe_code, self.sigill_code, self.sigtrap_code];
        let mut constants = sets.into_iter().flatten().flat_map(|set| set.entry().entries.entries());
        constants.find(|constant| constant.name == name).map(|constant| constant.value)
    }
}
