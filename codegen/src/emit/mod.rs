//! From the checked model to Rust source.
//!
//! One function per body, helpers stay functions, builder calls are never inlined: the size of generated functions and the
//! number of calls in them decide what `rustc` needs to compile them.

mod bindings;
mod body;
mod bytes;
mod decoder;
mod disasm;
mod helpers;
mod length;
mod names;
mod needs;
mod op;
mod place;
mod semantics;
mod stat;
mod tables;
mod writer;

pub(crate) use length::limited;
pub use length::longest_function;
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
    let decoder = if model.bytewise() { bytes::emit(model, &decoding) } else { decoder::emit(model, &decoding) };
    let text = [semantics(model), decoder, disasm::emit(model, &decoding), tables::emit(model)].join("\n");
    Ok(Module { name: model.name.clone(), text: limited(&model.name, text)? })
}
