//! Makes the enum of operations and its table from `isa-specs/ir.ops`.

use std::path::Path;

fn main() {
    let table = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs/ir.ops");
    println!("cargo::rerun-if-changed={}", table.display());
    let text = std::fs::read_to_string(&table).unwrap_or_else(|e| panic!("{}: {e}", table.display()));
    let rows = codegen::ops::parse(&text).unwrap_or_else(|errors| panic!("{}", errors.join("\n")));
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    let ops = codegen::ops::emit(&rows).unwrap_or_else(|error| panic!("{error}"));
    std::fs::write(Path::new(&out).join("ops.rs"), ops).expect("OUT_DIR is writable");
}
