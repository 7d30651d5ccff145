//! Links the emulator statically, where the host's C library can be: a process then starts without a dynamic linker, which
//! is as much time as translating a few thousand instructions. `-C target-feature=+crt-static` would do the same, but holds
//! for procedural macros too, which have to be shared objects.
//!
//! The linker is asked for shared libraries by name. Scripts of these names, found first, say which archives are meant.

use std::path::Path;
use std::process::Command;

/// What the standard library asks for.
const LIBRARIES: [&str; 7] = ["gcc_s", "util", "rt", "pthread", "m", "dl", "c"];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=RUSTC_LINKER");
    let var = |name: &str| std::env::var(name).unwrap_or_default();
    let plain = var("HOST") == var("TARGET")
        && var("CARGO_CFG_TARGET_ENV") == "gnu"
        && !var("CARGO_CFG_TARGET_FEATURE").contains("crt-static");
    let compiler = match var("RUSTC_LINKER") {
        linker if linker.is_empty() => "cc".to_owned(),
        linker => linker,
    };
    let needed = ["libc.a", "libm.a", "libgcc.a", "libgcc_eh.a", "rcrt1.o"];
    if !plain || !needed.iter().all(|name| has(&compiler, name)) {
        return;
    }
    let folder = var("OUT_DIR");
    for library in LIBRARIES {
        let archives = match library {
            "gcc_s" => "-l:libgcc_eh.a -l:libgcc.a".to_owned(),
            "c" => "-l:libc.a -l:libgcc_eh.a -l:libgcc.a".to_owned(),
            _ => format!("-l:lib{library}.a"),
        };
        let script = Path::new(&folder).join(format!("lib{library}.so"));
        std::fs::write(script, format!("GROUP({archives})\n")).expect("OUT_DIR can be written to");
    }
    println!("cargo:rustc-link-search=native={folder}");
    println!("cargo:rustc-link-arg-bins=-static-pie");
}

/// Whether the compiler finds a file of the C library's or its own: then it answers with a path.
fn has(compiler: &str, name: &str) -> bool {
    let answer = Command::new(compiler).arg(format!("-print-file-name={name}")).output();
    answer.is_ok_and(|out| Path::new(String::from_utf8_lossy(&out.stdout).trim()).is_absolute())
}
