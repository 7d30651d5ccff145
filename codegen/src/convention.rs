//! Calling conventions as ordered rules: `arg_rules`, `ret_rules` and `stack` of `abi` blocks.
//!
//! One file for two crates: the generator makes such values and prints them as Rust, by `Debug`, and the intermediate
//! representation, which is compiled after it, has this as its own module.

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

/// Arguments on the stack (`abi` section).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackDesc {
    /// Alignment of the stack pointer at calls, in bytes; no argument is aligned to more.
    pub align: u32,
    /// Offset of the first one from the stack pointer at a function's entry.
    pub first_arg: u32,
    /// Most that a scalar is aligned to in memory, in bytes.
    pub member_align: u32,
}

impl StackDesc {
    /// Where nothing is said.
    pub const USUAL: StackDesc = StackDesc { align: 16, first_arg: 0, member_align: 16 };
}

impl Default for StackDesc {
    fn default() -> StackDesc {
        StackDesc::USUAL
    }
}
