//! Bit patterns: from the notation to fixed bits and fields, overlaps between encodings, and decoder tables.

mod flat;
mod space;

pub use flat::{Constraint, Flat, FlatField, Piece, flatten};
pub use space::{Select, Space, spaces};

/// `n` ones.
pub(crate) fn ones(n: u32) -> u128 {
    if n >= 128 { u128::MAX } else { (1 << n) - 1 }
}
