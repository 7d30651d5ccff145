//! Generated Rust of tiny specifications, one feature each.

use codegen::{emit, sema, syntax};
use std::fs;
use std::path::Path;

/// The semantics part of the generated module, without the header that is the same for all.
fn generate(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emit");
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let text = read("prelude.inc") + &read(&format!("{name}.isa"));
    let (spec, mut diags, sources) = syntax::parse_text(&format!("{name}.isa"), &text);
    let models = sema::check(&spec, &sources, &mut diags);
    assert!(diags.is_empty(), "{}", diags.render(&sources, false));
    let rust = emit::semantics(&models[0]);
    syn::parse_file(&rust).unwrap_or_else(|e| panic!("{e}\n{rust}"));
    // the prelude's own functions are in the first snapshot only
    let from = rust.find("mod slot {").unwrap_or(0);
    rust[from..].to_string()
}

#[test]
fn choices() {
    insta::assert_snapshot!(generate("choices"));
}

#[test]
fn encodings() {
    insta::assert_snapshot!(generate("encodings"));
}

#[test]
fn memory() {
    insta::assert_snapshot!(generate("memory"));
}

#[test]
fn vectors() {
    insta::assert_snapshot!(generate("vectors"));
}

#[test]
fn bytes() {
    insta::assert_snapshot!(generate("bytes"));
}

#[test]
fn contexts() {
    insta::assert_snapshot!(generate("contexts"));
}

#[test]
fn spaces() {
    insta::assert_snapshot!(generate("spaces"));
}
