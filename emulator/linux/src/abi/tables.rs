//! The tables of the interfaces of all guests, which are made elsewhere and installed when the emulator starts: a changed
//! specification does not rebuild this crate.

use std::sync::OnceLock;

use super::{
    Abi, Arg, Call, Case, Constant, Field, Function, Move, OneOf, Pointee, Register, Select, Set, Stored, Struct, Ty,
    Word,
};

macro_rules! tables {
    ($($field:ident: $entry:ty,)*) => {
        /// The interfaces of all guests: entries of tables that name one another by their places ([`super::Place`]).
        pub struct Tables {
            /// Every guest's interface.
            pub all: &'static [Abi],
            /// Every name.
            pub names: &'static str,
            $(
                #[doc = concat!("Every `", stringify!($entry), "`.")]
                pub $field: &'static [$entry],
            )*
        }

        /// Those of no guest.
        #[cfg(not(test))]
        static NONE: Tables = Tables { all: &[], names: "", $($field: &[],)* };

        $(
            impl Stored for $entry {
                fn all() -> &'static [$entry] {
                    installed().$field
                }
            }
        )*
    };
}

tables! {
    sets: Set,
    constants: Constant,
    structs: Struct,
    fields: Field,
    moves: Move,
    pointees: Pointee,
    types: Ty,
    selects: Select,
    cases: Case,
    values: u64,
    calls: Call,
    args: Arg,
    registers: Register,
    variants: OneOf,
    words: Word,
    functions: Function,
}

/// Unit tests have the tables without anybody who would install them.
#[cfg(test)]
#[allow(clippy::all, missing_docs, reason = "generated")]
mod described {
    use crate::abi::*;
    use crate::signal::layout;
    use crate::special;

    interfaces::tables! {}
}

#[cfg(test)]
use described::TABLES as NONE;

static INSTALLED: OnceLock<&'static Tables> = OnceLock::new();

/// Makes the tables known, for good: the first ones count.
pub fn install(tables: &'static Tables) {
    let _ = INSTALLED.set(tables);
}

pub(super) fn installed() -> &'static Tables {
    INSTALLED.get().copied().unwrap_or(&NONE)
}

/// The interfaces of all guests.
#[must_use]
pub fn every() -> &'static [Abi] {
    installed().all
}
