//! Host implementations of well-known guest functions, the table that names them, and the guest shared library whose
//! functions are reserved native-call instructions.
//!
//! The table is made from `*.abi` in this folder. Every implementation keeps the contract of the translator's native
//! calls: it may fault on guest memory at any access, and what it wrote by then the guest function would write again.

mod guest_library;
mod libc;
mod libm;
mod thunks;

pub use guest_library::{SONAME, guest_library};
pub use thunks::Call;

use ir::convention::{Signature, Type};

/// A function the host can do in the guest's place.
#[derive(Clone, Copy, Debug)]
pub struct Function {
    /// Symbol.
    pub name: &'static str,
    /// Group, as named on the command line: `mem`, `str`, `div`.
    pub group: &'static str,
    /// Library the symbol belongs to.
    pub library: &'static Library,
    /// Guests it is for; empty means all.
    pub guests: &'static [&'static str],
    /// What it is to the guest.
    pub signature: Signature,
    /// How many bytes a call is about, for the report.
    pub bytes: Bytes,
    /// Whether a call with these arguments may be made twice in a row.
    pub repeatable: fn(&[u64; 6]) -> bool,
    /// Host code.
    pub call: Call,
}

/// How many bytes a call is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bytes {
    /// Not known without doing the work again.
    Unknown,
    /// The value of the argument with this index.
    Argument(u8),
    /// The result.
    Result,
}

/// Where a function's symbol is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Library {
    /// Name on the command line and in the report.
    pub name: &'static str,
    /// `DT_SONAME`s of the shared library; `*` stands for any part.
    pub sonames: &'static [&'static str],
    /// Also found in the main program's own symbols (static linking).
    pub in_program: bool,
}

impl Library {
    /// Whether a shared library of this `DT_SONAME` is it.
    #[must_use]
    pub fn has_soname(&self, soname: &str) -> bool {
        self.sonames.iter().any(|pattern| match pattern.split_once('*') {
            Some((start, end)) => {
                soname.len() >= start.len() + end.len() && soname.starts_with(start) && soname.ends_with(end)
            }
            None => *pattern == soname,
        })
    }
}

/// Whether two ranges of `n` bytes have no byte in common.
fn disjoint(a: u64, b: u64, n: u64) -> bool {
    a.wrapping_sub(b) >= n && b.wrapping_sub(a) >= n
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
