//! From instruction-set specifications (`isa-specs/<arch>/*.isa`) to Rust: parser, checker, decoder tables, emitters.
//! An ordinary library, of build scripts and of the `isa` tool; knows nothing of the emulator but the operation table `ir.ops`.
#![forbid(unsafe_code)]

pub mod abi;
pub mod codes;
pub mod convention;
pub mod diag;
pub mod emit;
pub mod format;
pub mod hir;
pub mod model;
pub mod native;
pub mod ops;
pub mod pattern;
pub mod sema;
pub mod syntax;
pub mod text;

use diag::{Diagnostic, Diagnostics, SourceMap};
use model::Model;
use pattern::Decoding;
use std::path::Path;

/// A specification that was read and checked.
pub struct Compiled {
    /// One model per instance; incomplete if there are errors.
    pub models: Vec<Model>,
    /// What is wrong with it.
    pub diagnostics: Diagnostics,
    /// The files that were read.
    pub sources: SourceMap,
}

/// Read and check all `*.isa` files of a folder.
pub fn compile(dir: &Path) -> anyhow::Result<Compiled> {
    let (spec, mut diagnostics, sources) = syntax::parse_dir(dir)?;
    let models = match diagnostics.has_errors() {
        true => Vec::new(),
        false => sema::check(&spec, &sources, &mut diagnostics),
    };
    Ok(Compiled { models, diagnostics, sources })
}

/// Writes a generated file only when it changes: what was compiled from it stays valid.
///
/// # Errors
/// Says which file cannot be written, and why.
pub fn write_changed(path: &Path, text: &str) -> Result<(), String> {
    if std::fs::read_to_string(path).is_ok_and(|old| old == text) {
        return Ok(());
    }
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

/// Decoding and text of the `test` lines, and the code of native calls.
pub fn check_tests(models: &[Model], diagnostics: &mut Diagnostics) {
    for model in models {
        let decoding = Decoding::of(model, &mut Diagnostics::default());
        for (test, message) in text::check_tests(model, &decoding) {
            diagnostics.push(Diagnostic::error("test", test.span, message));
        }
        if let Some((span, message)) = text::check_native_call(model, &decoding) {
            diagnostics.push(Diagnostic::error("test", span, message));
        }
    }
}
