//! Names in the tables.

use std::fmt;
use std::ops::Deref;

use super::tables::installed;

/// A name: a place in the one string that holds them all ([`super::Place`] says why).
#[derive(Clone, Copy)]
pub struct Name {
    at: u32,
    len: u32,
}

impl Name {
    /// The `len` bytes at `at`.
    #[must_use]
    pub const fn new(at: u32, len: u32) -> Name {
        Name { at, len }
    }

    /// The name.
    #[must_use]
    pub fn text(self) -> &'static str {
        &installed().names[self.at as usize..][..self.len as usize]
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.text()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        // Looking a name up means comparing it with many others.
        self.len as usize == other.len() && self.text() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.text(), f)
    }
}
