//! The language reference against the checker.

use codegen::sema;
use std::collections::BTreeSet;

/// What stands in the table of built-in functions besides their names.
const OTHERS: [&str; 7] = ["undef", "align = n", "min_s …", "a ± b ± c", "b:a", "a", "…_s"];

/// Names in backticks in the table of built-in functions: `name` or `name(..)`.
fn described() -> BTreeSet<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../isa-specs/README.md");
    let text = std::fs::read_to_string(path).unwrap_or_else(|e| panic!("{path}: {e}"));
    let section = text.split("## Built-in functions").nth(1).expect("the reference has the section");
    let table = section.split("\n\n").find(|p| p.starts_with("| | |")).expect("the section has a table");
    let code = table.split('`').skip(1).step_by(2);
    code.map(|c| c.split('(').next().unwrap_or_default().trim().to_string()).collect()
}

#[test]
fn every_builtin_is_described() {
    let described = described();
    // signalling comparisons are described together
    let variant = |n: &str| n.starts_with("fcmp_") && n.ends_with("_s");
    let missing: Vec<&str> = sema::builtin_names().filter(|n| !described.contains(*n) && !variant(n)).collect();
    assert!(missing.is_empty(), "not in the table: {missing:?}");
}

#[test]
fn every_description_is_of_a_builtin() {
    let names: BTreeSet<&str> = sema::builtin_names().collect();
    let known = |d: &str| names.contains(d) || OTHERS.contains(&d);
    let unknown: Vec<String> = described().into_iter().filter(|d| !known(d)).collect();
    assert!(unknown.is_empty(), "described but unknown: {unknown:?}");
}
