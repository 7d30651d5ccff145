//! Calling conventions as ordered rules: `arg_rules` and `ret_rules` of `abi` blocks. Names and fields are those of the
//! descriptor's types (`ir::convention`), and `Debug` prints them as Rust.

/// A rule: which values it is about, and where they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rule {
    /// Which values.
    pub who: Who,
    /// Where they are.
    pub how: How,
}

/// Which values a rule is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    /// `any(…)`
    Any,
    /// `float(…)`
    Float,
    /// `float_leading(max = n, …)`
    FloatLeading {
        /// `max`
        max: u32,
    },
    /// `float_aggregate(max = n, alike, flat, …)`
    FloatAggregate {
        /// `max`
        max: u32,
        /// `alike`
        alike: bool,
        /// `flat`
        flat: bool,
    },
    /// `complex(over = n, max = n, …)`
    Complex {
        /// `over`
        over: u32,
        /// `max`
        max: u32,
    },
    /// `aggregate(over = n, max = n, …)`
    Aggregate {
        /// `over`
        over: u32,
        /// `max`
        max: u32,
    },
    /// `varargs(…)`
    Unnamed,
    /// `varargs(int_only)`
    Variadic,
}

/// Where values are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum How {
    /// `one(fp, packed, shadow, position, extended)`
    One {
        /// `packed`
        packed: bool,
        /// `shadow`
        shadow: bool,
        /// `position`
        position: bool,
        /// `extended`
        extended: bool,
    },
    /// `each(fp, int, packed, position)`
    Each {
        /// `int`
        int: bool,
        /// `packed`
        packed: bool,
        /// `position`
        position: bool,
    },
    /// `join(align, split, keep, floats)`
    Join {
        /// `align`
        align: bool,
        /// `split`
        split: bool,
        /// `keep`
        keep: bool,
        /// `floats`
        floats: bool,
    },
    /// `stack(fp)`
    Stack {
        /// `fp`
        fp: bool,
    },
    /// `by_reference`
    ByReference,
    /// `hidden_pointer(returned, popped)`
    HiddenPointer {
        /// `returned`
        returned: bool,
        /// `popped`
        popped: bool,
    },
    /// `eightbytes`
    Eightbytes,
    /// `int_only`
    IntOnly,
}

/// What `abi { stack { … } }` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StackDesc {
    /// `align`
    pub align: u32,
    /// `first_arg`
    pub first_arg: u32,
    /// `member_align`
    pub member_align: u32,
}

impl Default for StackDesc {
    fn default() -> StackDesc {
        StackDesc { align: 16, first_arg: 0, member_align: 16 }
    }
}
