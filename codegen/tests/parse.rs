//! Every specification of the repository parses.

use codegen::syntax::parse_dir;
use std::path::Path;

/// The folders of `isa-specs` that hold a specification.
fn spec_dirs() -> Vec<std::path::PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    let mut dirs: Vec<_> = std::fs::read_dir(root).unwrap().map(|e| e.unwrap().path()).collect();
    dirs.retain(|d| {
        d.is_dir() && std::fs::read_dir(d).unwrap().any(|e| e.unwrap().path().extension().is_some_and(|x| x == "isa"))
    });
    dirs.sort();
    dirs
}

#[test]
fn the_specs_parse() {
    for dir in spec_dirs() {
        let (spec, diagnostics, sources) = parse_dir(&dir).unwrap();
        assert!(diagnostics.is_empty(), "{}", diagnostics.render(&sources, false));
        assert!(!spec.insns.is_empty(), "{}", dir.display());
    }
}
