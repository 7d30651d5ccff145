//! From instruction-set specifications (`isa-specs/<arch>/*.isa`) to Rust: parser, checker, decoder tables, emitters.
//! Ordinary library with the `isa` tool in front; knows nothing of the emulator but the operation table `ir.ops`.
#![forbid(unsafe_code)]

pub mod abi;
pub mod diag;
pub mod native;
pub mod ops;
pub mod pattern;
pub mod syntax;
