//! Time as instructions see it.

use ir::GuestState;
use std::sync::OnceLock;
use std::time::Instant;

/// Nanoseconds of a monotonic clock, from an arbitrary start.
pub fn host_clock_ns(_: &mut GuestState, _: &[u128]) -> u128 {
    static START: OnceLock<Instant> = OnceLock::new();
    // Not 0 at first: programs take that for a clock that does not run.
    START.get_or_init(Instant::now).elapsed().as_nanos() + 1_000_000_000
}
