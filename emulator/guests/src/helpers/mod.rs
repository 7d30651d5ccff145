//! Functions that specifications name with `extern fn`. They are shared by all guests.

mod clock;
mod hint;
mod x87;

pub use clock::{host_clock_ns, host_ticks};
pub use hint::{hint_spin, hint_wait};
pub use x87::{x87_clear, x87_execute, x87_load, x87_store, x87_store_int};
