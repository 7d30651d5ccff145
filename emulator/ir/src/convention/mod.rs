//! Where a guest's calling convention has the arguments and the result of a C function.
//!
//! A convention is data: registers, and two lists of [`Rule`]s that the specification's `abi` section gives in order. For each
//! value the first rule holds that is about it and for which there are registers left.

mod classify;
mod layout;
#[path = "../../../../codegen/src/convention.rs"]
mod rules;

pub use classify::classify;
pub use layout::{Kind, Leaf};
pub use rules::{How, Rule, StackDesc, Who};

use crate::guest::Slot;

/// A C type, as far as conventions tell types apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Type {
    /// A whole number of 1, 2, 4, 8 or 16 bytes.
    Int {
        /// Its size.
        bytes: u8,
        /// Registers that are wider hold copies of its sign, not zeros.
        signed: bool,
    },
    /// A whole number as wide as a pointer.
    Word {
        /// See [`Type::Int`].
        signed: bool,
    },
    /// `float` or `double`: 4 or 8 bytes.
    Float {
        /// Its size.
        bytes: u8,
    },
    /// Two of these.
    Complex {
        /// Size of one.
        bytes: u8,
    },
    /// A structure.
    Struct(&'static [Type]),
    /// So many of a type, in a structure.
    Array(&'static Type, u32),
}

/// A C function.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Signature {
    /// Arguments; of a variadic function, those of one call.
    pub args: &'static [Type],
    /// How many of them the declaration of a variadic function names; `None` if it is not variadic.
    pub named: Option<u8>,
    /// Result.
    pub result: Option<Type>,
}

/// A piece of a value.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Its first byte, as the value is in memory.
    pub at: u32,
    /// Bytes.
    pub bytes: u32,
    /// Where it is.
    pub place: Place,
}

/// Where a piece is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// In a register, as the guest would load it from memory.
    Register {
        /// Which.
        slot: Slot,
        /// Bytes of the register below it.
        low: u32,
    },
    /// In a register, in the format of 80 bits.
    Extended(Slot),
    /// In memory, so many bytes above the stack pointer at the function's entry.
    Stack(u32),
}

/// Where a value is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Location {
    /// What is there is the value's address.
    pub by_reference: bool,
    /// Its pieces, or those of its address, in order.
    pub pieces: Vec<Piece>,
}

/// Where everything of a call is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Places {
    /// Arguments.
    pub args: Vec<Location>,
    /// The result; one by reference is where that argument says.
    pub result: Option<Location>,
    /// The register that holds the address of a result by reference at return, where that is promised.
    pub returned: Option<Slot>,
    /// Bytes of arguments that the function removes from the stack.
    pub popped: u32,
}
