//! `isa explain`.

use anyhow::{Context as _, Result};
use codegen::codes;

/// Print one explanation, or the list of them.
pub(crate) fn run(code: Option<&str>) -> Result<bool> {
    let Some(code) = code else {
        for kind in codes::all() {
            println!("{}  {}", kind.code, kind.title);
        }
        return Ok(true);
    };
    let kind = codes::find(code).with_context(|| format!("there is no message `{code}`; `isa explain` lists all"))?;
    println!("{} {}: {}\n\n{}\n\nFor example:\n", kind.code, kind.name, kind.title, kind.text);
    for line in kind.example.lines() {
        println!("    {line}");
    }
    Ok(true)
}
