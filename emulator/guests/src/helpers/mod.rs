//! Functions that specifications name with `extern fn`. They are shared by all guests.

mod clock;

pub use clock::host_clock_ns;
