//! The shapes in which the translator calls host functions.

/// How a function is called.
#[derive(Clone, Copy, Debug)]
pub enum Call {
    /// Six integer or pointer arguments, undefined where the function has fewer; one result.
    Words(unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64) -> u64),
    /// The scalars of the arguments and those of the result. False if the guest's own function has to decide.
    Values(fn(&[u64], &mut [u64]) -> bool),
}
