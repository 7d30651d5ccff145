//! `isa explain`.

use super::print;
use anyhow::{Context as _, Result};
use codegen::codes;
use std::fmt::Write as _;

/// Print one explanation, or the list of them.
pub(crate) fn run(code: Option<&str>) -> Result<bool> {
    let mut text = String::new();
    let Some(code) = code else {
        for kind in codes::all() {
            let _ = writeln!(text, "{}  {}", kind.code, kind.title);
        }
        return print(&text);
    };
    let kind = codes::find(code).with_context(|| format!("there is no message `{code}`; `isa explain` lists all"))?;
    let _ = writeln!(text, "{} {}: {}\n\n{}\n\nFor example:\n", kind.code, kind.name, kind.title, kind.text);
    for line in kind.example.lines() {
        let _ = writeln!(text, "    {line}");
    }
    print(&text)
}
