//! The guest processors, generated from `isa-specs/<arch>/*.isa`: decoder, emitters, disassembler, tables.
//!
//! What is written by hand here knows no guest: [`rt`] is the vocabulary of generated code, [`helpers`] the functions that
//! specifications name with `extern fn`.

pub mod helpers;
pub mod rt;

include!(concat!(env!("OUT_DIR"), "/guests.rs"));

/// The guest that executes ELF files with this `e_machine`, class (32 or 64) and data encoding.
pub fn for_elf(machine: u16, class: u8, big_endian: bool) -> Option<&'static ir::Guest> {
    let matches = |g: &&ir::Guest| g.elf.machine == machine && g.elf.class == class && g.elf.big_endian == big_endian;
    ALL.iter().copied().find(matches)
}

/// The guest of a name, e.g. `riscv64`.
pub fn by_name(name: &str) -> Option<&'static ir::Guest> {
    ALL.iter().copied().find(|g| g.name == name)
}
