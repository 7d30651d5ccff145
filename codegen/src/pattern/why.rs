//! Why a word is decoded as it is.

use super::Decoding;
use crate::syntax::ast::Span;

/// Why an encoding was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rejection {
    /// Fixed bits that differ.
    Bits(u128),
    /// The constraint in the pattern that does not hold.
    Constraint(Span),
    /// The `when` that does not hold.
    Guard(Span),
}

impl Decoding<'_> {
    /// The encodings in the word's bucket in the order of trying, up to the one that is taken: number, why not.
    pub fn why(&self, space: usize, word: u128, mode: u32) -> Vec<(usize, Option<Rejection>)> {
        let mut tried = Vec::new();
        for number in self.tables[space].candidates(word as u32).map(usize::from) {
            let rejection = self.rejection(number, word, mode);
            tried.push((number, rejection));
            if rejection.is_none() {
                break;
            }
        }
        tried
    }

    fn rejection(&self, number: usize, word: u128, mode: u32) -> Option<Rejection> {
        let entry = &self.entries[number];
        let differ = (word ^ entry.value) & entry.mask;
        if differ != 0 {
            return Some(Rejection::Bits(differ));
        }
        if let Some(c) = entry.constraints.iter().find(|c| !c.holds(word)) {
            return Some(Rejection::Constraint(c.span));
        }
        self.failing_guard(number, word, mode).map(Rejection::Guard)
    }
}
