//! Diagnostics of the checker, one specification per kind of mistake.

use codegen::{sema, syntax};
use std::fs;
use std::path::Path;

/// The rendered diagnostics of a specification that must have some.
fn diagnose(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sema_fail");
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let text = read("prelude.inc") + &read(&format!("{name}.isa"));
    let (spec, mut diags, sources) = syntax::parse_text(&format!("{name}.isa"), &text);
    assert!(diags.is_empty(), "{}", diags.render(&sources, false));
    sema::check(&spec, &sources, &mut diags);
    assert!(diags.has_errors(), "{name} was accepted");
    diags.render(&sources, false)
}

#[test]
fn binding_time() {
    insta::assert_snapshot!(diagnose("binding_time"));
}

#[test]
fn widths() {
    insta::assert_snapshot!(diagnose("widths"));
}

#[test]
fn names() {
    insta::assert_snapshot!(diagnose("names"));
}

#[test]
fn operators() {
    insta::assert_snapshot!(diagnose("operators"));
}

#[test]
fn recursion() {
    insta::assert_snapshot!(diagnose("recursion"));
}

#[test]
fn ranges() {
    insta::assert_snapshot!(diagnose("ranges"));
}
