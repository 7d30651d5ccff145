//! Where a guest's calling convention has the arguments and the result of a C function.
//!
//! A convention is data: registers, and two lists of [`Rule`]s that the specification's `abi` section gives in order. For each
//! value the first rule holds that is about it and for which there are registers left.

mod classify;
mod layout;

pub use classify::classify;
pub use layout::{Kind, Leaf};

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

/// A rule: what it is about, and where such values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What.
    pub who: Who,
    /// Where.
    pub how: How,
}

/// Which values a rule is about. Sizes are in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// All.
    Any,
    /// Numbers of floating point.
    Float,
    /// The same, if they are among the first arguments and only such come before them.
    FloatLeading {
        /// Among how many.
        max: u32,
    },
    /// Structures of numbers of floating point; with [`How::Each`], of others too if that says so.
    FloatAggregate {
        /// Most members.
        max: u32,
        /// They have one size.
        alike: bool,
        /// None is in an array or a structure of its own.
        flat: bool,
    },
    /// Complex numbers.
    Complex {
        /// Larger than this.
        over: u32,
        /// At most this.
        max: u32,
    },
    /// Structures, and complex numbers.
    Aggregate {
        /// Larger than this.
        over: u32,
        /// At most this.
        max: u32,
    },
    /// Arguments that a variadic function does not name.
    Unnamed,
    /// Every value of a variadic function.
    Variadic,
}

/// Where values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// In one register for numbers of floating point.
    One {
        /// Two numbers of half its size share a register, and gaps are filled.
        packed: bool,
        /// Integer registers that would have held it stay unused.
        shadow: bool,
        /// The register is that of the number of the next integer register, which stays unused.
        position: bool,
        /// It is converted to the register's own format.
        extended: bool,
    },
    /// Each member in a register for numbers of floating point.
    Each {
        /// At least one member, the others are in integer registers.
        int: bool,
        /// See [`How::One`].
        packed: bool,
        /// See [`How::One`].
        position: bool,
    },
    /// In integer registers, word by word, or on the stack.
    Join {
        /// What is aligned to two words starts at an even register.
        align: bool,
        /// If registers do not suffice, the rest is on the stack.
        split: bool,
        /// Registers that did not suffice are there for later arguments.
        keep: bool,
        /// Words that are a member of that size and of floating point are in the register of that number for these.
        floats: bool,
    },
    /// On the stack.
    Stack {
        /// No later argument is in a register for numbers of floating point.
        fp: bool,
    },
    /// The caller's copy, whose address is the argument.
    ByReference,
    /// Where the caller says: the address is in the convention's register for it or, without one, the first argument.
    HiddenPointer {
        /// The address is in the result register at return.
        returned: bool,
        /// The function removes that argument from the stack.
        popped: bool,
    },
    /// Each half of 16 bytes in a register of its kind: for integers if a part of it is one.
    Eightbytes,
    /// Nothing of the function is in registers for numbers of floating point.
    IntOnly,
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
