//! Host implementations of well-known guest functions, the table that names them, and the guest shared library whose
//! functions are reserved native-call instructions.
//!
//! The table is made from `*.abi` in this folder. Every implementation keeps the contract of the translator's native
//! calls: it may fault on guest memory at any access, and what it wrote by then the guest function would write again.

mod guest_library;
mod libc;
mod thunks;

pub use guest_library::{SONAME, guest_library};
pub use thunks::Call;

/// A function the host can do in the guest's place.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Symbol.
    pub name: &'static str,
    /// Group, as named on the command line: `mem`, `str`.
    pub group: &'static str,
    /// Library the symbol belongs to.
    pub library: &'static Library,
    /// Guests it is for; empty means all.
    pub guests: &'static [&'static str],
    /// Number of integer and pointer arguments.
    pub args: u8,
    /// Argument that holds a byte count, for the report.
    pub bytes: Option<u8>,
    /// Host code.
    pub call: Call,
}

/// Where a function's symbol is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// Name on the command line and in the report.
    pub name: &'static str,
    /// `DT_SONAME`s of the shared library.
    pub sonames: &'static [&'static str],
    /// Also found in the main program's own symbols (static linking).
    pub in_program: bool,
}

include!(concat!(env!("OUT_DIR"), "/functions.rs"));

/// The functions for a guest, one for each name.
pub fn functions(guest: &str) -> impl Iterator<Item = &'static Function> {
    let fits = move |f: &Function| f.guests.is_empty() || f.guests.contains(&guest);
    FUNCTIONS
        .iter()
        .enumerate()
        .filter(move |(n, f)| fits(f) && !FUNCTIONS[..*n].iter().any(|earlier| earlier.name == f.name && fits(earlier)))
        .map(|(_, f)| f)
}

/// The function called `name` on a guest.
#[must_use]
pub fn function(guest: &str, name: &str) -> Option<&'static Function> {
    functions(guest).find(|f| f.name == name)
}
