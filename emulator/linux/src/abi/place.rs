//! References between the entries of the tables.

use std::marker::PhantomData;
use std::ops::Deref;

/// What a table is kept of.
pub trait Stored: Sized + 'static {
    /// The table.
    fn all() -> &'static [Self];
}

/// An entry: its place in the table.
///
/// A pointer would be relocated when the emulator starts, whichever guest it then runs: 70 000 pointers for ten guests, and a
/// copy of every page they are on, were a seventh of the time of a short program and a fifth of its memory.
pub struct Place<T> {
    at: u32,
    table: PhantomData<fn() -> T>,
}

/// Adjacent entries: a place, and how many.
pub struct Span<T> {
    at: u32,
    len: u32,
    table: PhantomData<fn() -> T>,
}

impl<T> Place<T> {
    /// Entry `at`.
    #[must_use]
    pub const fn new(at: u32) -> Self {
        Place { at, table: PhantomData }
    }
}

impl<T: Stored> Place<T> {
    /// The entry.
    #[must_use]
    pub fn entry(self) -> &'static T {
        &T::all()[self.at as usize]
    }
}

impl<T> Span<T> {
    /// The `len` entries from `at`.
    #[must_use]
    pub const fn new(at: u32, len: u32) -> Self {
        Span { at, len, table: PhantomData }
    }
}

impl<T: Stored> Span<T> {
    /// The entries.
    #[must_use]
    pub fn entries(self) -> &'static [T] {
        &T::all()[self.at as usize..][..self.len as usize]
    }
}

impl<T> Clone for Place<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Place<T> {}

impl<T> Clone for Span<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Span<T> {}

impl<T: Stored> Deref for Place<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.entry()
    }
}

impl<T: Stored> Deref for Span<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.entries()
    }
}

impl<T: Stored> IntoIterator for Span<T> {
    type Item = &'static T;
    type IntoIter = std::slice::Iter<'static, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries().iter()
    }
}
