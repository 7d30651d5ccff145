//! Functions that specifications name with `extern fn`. They are shared by all guests.

mod clock;
mod cpuid;
mod x87;

pub use clock::host_clock_ns;
pub use cpuid::x86_cpuid;
pub use x87::{x87_arith, x87_compare, x87_from_float, x87_from_int, x87_to_float, x87_to_int};
