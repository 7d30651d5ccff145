//! What tests of random instructions share. Each uses a part.
#![allow(dead_code, unused_imports)]

pub(crate) mod budget;
mod code;
pub(crate) mod engines;
pub(crate) mod process;
mod random;
mod single;
pub(crate) mod values;
mod window;
pub(crate) mod words;

pub(crate) use budget::{Budget, none_differ};
pub(crate) use code::{Code, Placed};
pub(crate) use random::Random;
pub(crate) use single::{Single, straight, unit_at};
pub(crate) use window::{Undo, Window};
pub(crate) use words::Words;

/// A number from the environment.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}
