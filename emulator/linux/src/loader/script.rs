//! `#!` lines, as the kernel reads them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// A parsed `#!` line.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The interpreter.
    pub(super) interpreter: PathBuf,
    /// Everything after it, as one argument.
    pub(super) argument: Option<OsString>,
}

/// The interpreter line at the start of a file.
pub(super) fn interpreter(head: &[u8]) -> Option<Line> {
    let line = head.strip_prefix(b"#!")?;
    let end = line.iter().position(|&b| b == b'\n' || b == 0).unwrap_or(line.len());
    let line = trim(&line[..end]);
    let split = line.iter().position(|&b| blank(b)).unwrap_or(line.len());
    let (path, argument) = (&line[..split], trim(&line[split..]));
    (!path.is_empty()).then(|| Line {
        interpreter: OsStr::from_bytes(path).into(),
        argument: (!argument.is_empty()).then(|| OsStr::from_bytes(argument).to_owned()),
    })
}

fn blank(byte: u8) -> bool {
    byte == b' ' || byte == b'\t'
}

fn trim(mut bytes: &[u8]) -> &[u8] {
    while let [first, rest @ ..] = bytes
        && blank(*first)
    {
        bytes = rest;
    }
    while let [rest @ .., last] = bytes
        && blank(*last)
    {
        bytes = rest;
    }
    bytes
}

/// The command line of the interpreter: itself, its argument, the script, the script's arguments.
pub(super) fn command_line(line: &Line, script: &Path, argv: Vec<OsString>) -> Vec<OsString> {
    let first = [Some(line.interpreter.clone().into_os_string()), line.argument.clone(), Some(script.into())];
    first.into_iter().flatten().chain(argv.into_iter().skip(1)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Option<String>)> {
        let text_of = |s: OsString| s.into_string().unwrap();
        interpreter(text.as_bytes()).map(|l| (text_of(l.interpreter.into()), l.argument.map(text_of)))
    }

    #[test]
    fn lines() {
        assert_eq!(parsed("#!/bin/sh\necho"), Some(("/bin/sh".into(), None)));
        assert_eq!(parsed("#! /usr/bin/env  -S a b \n"), Some(("/usr/bin/env".into(), Some("-S a b".into()))));
        assert_eq!(parsed("#!/bin/sh"), Some(("/bin/sh".into(), None)));
        assert_eq!(parsed("#!\n"), None);
        assert_eq!(parsed("echo"), None);
    }
}
