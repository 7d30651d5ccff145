//! The Linux interface of every guest, generated from `isa-specs/linux/*.abi` and `isa-specs/<arch>/linux.abi`.
//!
//! All there is is the macro [`tables`], which stands for the tables as items: they are in terms of `abi`, `layout` and `special` of
//! the crate `linux`, whose users bring them into scope. The crate itself depends on nothing, and nothing that takes long depends on
//! it: its build reads `isa-specs/` again whenever anything in it changes, so that a new folder is seen.

include!(concat!(env!("OUT_DIR"), "/macro.rs"));
