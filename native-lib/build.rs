//! Makes the function table from `*.abi`.

use std::path::Path;

fn main() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("libc.abi");
    println!("cargo::rerun-if-changed={}", file.display());
    let text = std::fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
    let libraries = codegen::native::parse(&text).unwrap_or_else(|errors| {
        let lines: Vec<_> = errors.iter().map(|e| format!("{}:{e}", file.display())).collect();
        panic!("{}", lines.join("\n"))
    });
    let out = std::env::var_os("OUT_DIR").expect("cargo sets it");
    let functions = codegen::native::emit(&libraries).unwrap_or_else(|error| panic!("{error}"));
    std::fs::write(Path::new(&out).join("functions.rs"), functions).expect("OUT_DIR is writable");
}
