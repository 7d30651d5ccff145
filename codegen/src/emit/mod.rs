//! From the checked model to Rust source.
//!
//! One function per body, helpers stay functions, builder calls are never inlined: the size of generated functions and the
//! number of calls in them decide what `rustc` needs to compile them.

mod bindings;
mod body;
mod bytes;
mod decoder;
mod disasm;
mod names;
mod needs;
mod op;
mod place;
mod semantics;
mod stat;
mod tables;
mod writer;

pub(crate) use op::exists as op_exists;
pub use semantics::{emit as semantics, expand};

use crate::diag::Diagnostics;
use crate::model::Model;
use crate::pattern::Decoding;

/// No generated function may be longer: `rustc`'s time grows with the square of it.
pub const MAX_FUNCTION_LINES: usize = 400;

/// The module of one guest.
#[derive(Clone, Debug)]
pub struct Module {
    /// Name of the instance.
    pub name: String,
    /// Rust source.
    pub text: String,
}

/// Rust source of a guest, or what is wrong with it.
pub fn emit(model: &Model) -> Result<Module, String> {
    let mut diags = Diagnostics::default(); // reported by the checker already
    let decoding = Decoding::of(model, &mut diags);
    let semantics = semantics(model);
    if let Some((name, lines)) = longest_function(&semantics).filter(|(_, lines)| *lines > MAX_FUNCTION_LINES) {
        return Err(format!(
            "{}: generated function `{name}` has {lines} lines, more than {MAX_FUNCTION_LINES}: split the body into functions",
            model.name
        ));
    }
    let decoder = if model.bytewise() { bytes::emit(model, &decoding) } else { decoder::emit(model, &decoding) };
    let parts = [semantics, decoder, disasm::emit(model, &decoding), tables::emit(model)];
    Ok(Module { name: model.name.clone(), text: parts.join("\n") })
}

/// The longest top-level function of generated source.
fn longest_function(text: &str) -> Option<(String, usize)> {
    let mut longest: Option<(String, usize)> = None;
    let mut start = None;
    for (number, line) in text.lines().enumerate() {
        if line.starts_with("fn ") || line.starts_with("pub fn ") {
            let name = line.trim_start_matches("pub ").trim_start_matches("fn ").split('(').next().unwrap_or_default();
            start = Some((name.to_string(), number));
        } else if line == "}"
            && let Some((name, first)) = start.take()
        {
            let lines = number - first + 1;
            if longest.as_ref().is_none_or(|(_, l)| lines > *l) {
                longest = Some((name, lines));
            }
        }
    }
    longest
}
