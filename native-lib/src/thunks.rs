//! The shape in which the translator calls host functions.

/// Six integer or pointer arguments, zero where the function has fewer; one result.
pub type Call = unsafe extern "sysv64" fn(u64, u64, u64, u64, u64, u64) -> u64;
