//! Bit patterns: from the notation to fixed bits and fields, overlaps between encodings, and decoder tables.

mod bytes;
mod count;
mod decoding;
mod flat;
mod holes;
mod overlap;
mod sequence;
mod space;
mod table;
mod why;
mod words;

pub use bytes::{Tail, operand_bits};
pub use decoding::Decoding;
pub use flat::{Constraint, Flat, FlatField, Piece, flatten};
pub use overlap::{Analysis, Entry, Guards, Pair, Relation, analyse};
pub use sequence::{Outcome, Sequence, Step};
pub use space::{Select, Space, spaces};
pub use table::{Run, Table};
pub use why::Rejection;

/// `n` ones.
pub(crate) fn ones(n: u32) -> u128 {
    if n >= 128 { u128::MAX } else { (1 << n) - 1 }
}
