//! Binary floating point in integer arithmetic: formats of 16, 32 and 64 bits, every rounding, the guests' NaN, tininess
//! and flush-to-zero policies. It defines what the float operations of the IR mean; generated code uses the host's
//! unit where that gives the same bits and comes here where it does not.
//!
//! A finite number is a sign, an integer significand of up to 128 bits and a binary exponent; each operation computes
//! that exactly, or with all lost bits jammed into the lowest one, and [`round::pack`] rounds once.

mod arith;
mod compare;
mod convert;
mod parts;
mod round;

pub use arith::{add, div, fma, mul, sqrt, sub};
pub use compare::{compare, max, min};
pub use convert::{convert, from_int, round_to_int, to_int};

use crate::guest::{FpMode, FpPolicy};

/// Sticky flags, in the order of the `fflags` operation (that of x86's MXCSR).
pub mod flag {
    /// Invalid operation.
    pub const INVALID: u32 = 1;
    /// Denormal operand: used (x86) or flushed (Arm).
    pub const DENORMAL: u32 = 1 << 1;
    /// Division of a finite number by zero.
    pub const DIV_ZERO: u32 = 1 << 2;
    /// Overflow.
    pub const OVERFLOW: u32 = 1 << 3;
    /// Underflow.
    pub const UNDERFLOW: u32 = 1 << 4;
    /// Inexact.
    pub const INEXACT: u32 = 1 << 5;
}

/// Environment of an operation; flags accumulate.
#[derive(Clone, Copy, Debug)]
pub struct FpEnv {
    /// Modes in force.
    pub mode: FpMode,
    /// The guest's fixed rules.
    pub policy: FpPolicy,
    /// Sticky flags raised so far.
    pub flags: u32,
}

#[cfg(test)]
mod tests;
