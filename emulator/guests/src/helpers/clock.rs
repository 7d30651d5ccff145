//! Time as instructions see it.

use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds of a monotonic clock, from an arbitrary start.
pub fn host_clock_ns() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    // Not 0 at first: programs take that for a clock that does not run.
    START.get_or_init(Instant::now).elapsed().as_nanos() as u64 + 1_000_000_000
}

/// The time-stamp counter.
pub fn host_ticks() -> u64 {
    // SAFETY: every x86-64 processor has it, and Linux lets programs read it.
    unsafe { std::arch::x86_64::_rdtsc() }
}
