//! Text to syntax tree.

pub mod ast;
mod grammar;
mod parse;
mod split;

pub use parse::{parse_dir, parse_expr, parse_files, parse_text};
pub(crate) use split::{is_item_keyword, string_length};
