//! Rust names for the names of specifications.

use crate::hir::{Locals, VarId};
use std::collections::HashSet;

/// Names that generated code uses itself, and Rust's keywords.
const RESERVED: &[&str] = &[
    "ir", "at", "printer", "word", "mode", "pc", "pc_next", "rt", "as", "async", "await", "box", "break", "const",
    "continue", "crate", "dyn", "else", "enum", "extern", "false", "fn", "for", "gen", "if", "impl", "in", "let",
    "loop", "match", "mod", "move", "mut", "pub", "ref", "return", "self", "static", "struct", "super", "trait",
    "true", "try", "type", "unsafe", "use", "where", "while", "yield", "abstract", "become", "do", "final", "macro",
    "override", "priv", "typeof", "unsized", "virtual",
];

/// A name that Rust accepts.
pub(crate) fn rust_name(name: &str) -> String {
    let temporary = name.strip_prefix('v').is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()));
    if RESERVED.contains(&name) || temporary || name == "_" { format!("{name}_") } else { name.to_string() }
}

/// The module of an enum's values, apart from the types that generated code imports.
pub(crate) fn enum_module(name: &str) -> String {
    let imported = ["At", "Builder", "Flow", "FpMode", "Slot", "Val"].contains(&name);
    if imported { format!("{name}_") } else { name.to_string() }
}

/// One name per variable of a body: shadowing in the specification must not shadow in Rust, where blocks are flattened.
pub(crate) fn variables(locals: &Locals) -> Vec<String> {
    let mut used = HashSet::new();
    let mut names = Vec::new();
    for var in &locals.vars {
        let base = rust_name(&var.name);
        let mut name = base.clone();
        let mut n = 2;
        while !used.insert(name.clone()) {
            name = format!("{base}_{n}");
            n += 1;
        }
        names.push(name);
    }
    names
}

/// The name of one variable.
pub(crate) fn variable(names: &[String], id: VarId) -> &str {
    &names[id.0 as usize]
}
