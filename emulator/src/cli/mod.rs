//! The command line: one table of flags ([`flags`]) drives parsing, `--help` and the environment variables.

mod flags;
mod help;
mod parse;

pub(crate) use parse::{Command, parse};

use std::io::Write;
use std::path::Path;

/// Writes `text` to stdout; a closed pipe is no error.
pub(crate) fn print(text: &[u8]) -> i32 {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text).and_then(|()| out.flush());
    0
}

/// Writes a file, or stdout if it is `-`.
pub(crate) fn write(file: &Path, bytes: &[u8]) -> i32 {
    if file == Path::new("-") {
        return print(bytes);
    }
    match std::fs::write(file, bytes) {
        Ok(()) => 0,
        Err(error) => {
            eprintln!("isamorph: {}: {error}", file.display());
            125
        }
    }
}
