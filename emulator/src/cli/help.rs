//! `--help` and `--version`, from the flag table.

use std::fmt::Write;

use super::flags::{FLAGS, Flag, Group, Value};

const GROUPS: &[(Group, &str)] = &[
    (Group::Guest, "What the guest sees"),
    (Group::Engine, "How it runs"),
    (Group::Report, "What is printed, on stderr"),
    (Group::Other, "Other"),
];

const INTRODUCTION: &str = "\
Run a Linux program built for another processor.

  isamorph ./hello                        the architecture is read from the file
  isamorph -L /srv/arm64 /bin/sh -c ls    with the libraries of a system under /srv/arm64
  isamorph --native-bypass ./server       with memcpy, strlen and the like at host speed

Usage: isamorph [OPTIONS] PROGRAM [ARG...]
";

const CONCLUSION: &str = "
Options end at PROGRAM. The exit status is the guest's, also when a signal ends it; 125: wrong usage, 126: cannot
execute, 127: not found.
";

/// Text of `--help`.
pub(crate) fn help() -> String {
    let mut text = String::from(INTRODUCTION);
    let width = FLAGS.iter().map(|flag| spelling(flag).len()).max().unwrap_or(0);
    for (group, title) in GROUPS {
        let _ = writeln!(text, "\n{title}:");
        for flag in FLAGS.iter().filter(|flag| flag.group == *group) {
            let env = flag.env.first().map_or(String::new(), |name| format!(" [{name}]"));
            let _ = writeln!(text, "  {:width$}  {}{env}", spelling(flag), flag.help);
        }
    }
    text + CONCLUSION
}

fn spelling(flag: &Flag) -> String {
    let short = flag.short.map_or("    ".into(), |c| format!("-{c}, "));
    let value = match flag.value {
        Value::None => String::new(),
        Value::Required(name) => format!(" {name}"),
        Value::Optional(name) => format!("[={name}]"),
    };
    format!("{short}--{}{value}", flag.long)
}

/// Text of `--version`.
pub(crate) fn version() -> String {
    format!("isamorph {} (guests: {})\n", env!("CARGO_PKG_VERSION"), guests::ALL.names())
}
