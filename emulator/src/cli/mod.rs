//! The command line: one table of flags ([`flags`]) drives parsing, `--help` and the environment variables.

mod flags;
mod help;
mod parse;

pub(crate) use parse::{Command, parse};

use std::io::Write;

/// Writes `text` to stdout; a closed pipe is no error.
pub(crate) fn print(text: &str) -> i32 {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    0
}
