//! The guest processors, generated from `isa-specs/<arch>/*.isa`: decoder, emitters, disassembler, tables.
//!
//! What is written by hand here knows no guest: [`rt`] is the vocabulary of generated code, [`helpers`] the functions that
//! specifications name with `extern fn`.

pub mod helpers;
pub mod rt;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));
