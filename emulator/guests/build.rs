//! Generates a Rust module per guest from every folder of `isa-specs/` that describes a processor.

use std::fs;
use std::path::{Path, PathBuf};

fn main() {
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../isa-specs");
    let out = PathBuf::from(std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    println!("cargo::rerun-if-changed={}", specs.display()); // a new folder is a new guest
    let mut names = Vec::new();
    let mut failed = false;
    for dir in folders(&specs) {
        println!("cargo::rerun-if-changed={}", dir.display());
        match guest(&dir, &out) {
            Ok(found) => names.extend(found),
            Err(message) => {
                eprintln!("{message}");
                failed = true;
            }
        }
    }
    if failed {
        std::process::exit(1);
    }
    if let Err(message) = codegen::write_changed(&out.join("guests.rs"), &list(&names, &out)) {
        panic!("{message}");
    }
}

/// Folders with a specification, in order.
fn folders(specs: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(specs).unwrap_or_else(|e| panic!("{}: {e}", specs.display()));
    let mut dirs: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(|p| has_spec(p)).collect();
    dirs.sort();
    dirs
}

fn has_spec(dir: &Path) -> bool {
    let Ok(entries) = fs::read_dir(dir) else { return false };
    entries.flatten().any(|e| e.path().extension().is_some_and(|x| x == "isa"))
}

/// The modules of one folder: names of its guests.
fn guest(dir: &Path, out: &Path) -> Result<Vec<String>, String> {
    let compiled = codegen::compile(dir).map_err(|e| format!("{}: {e:#}", dir.display()))?;
    for file in compiled.sources.files() {
        println!("cargo::rerun-if-changed={}", file.path.display());
    }
    if !compiled.diagnostics.is_empty() {
        eprintln!("{}", compiled.diagnostics.render(&compiled.sources, false));
    }
    if compiled.diagnostics.has_errors() {
        return Err(format!("{}: the specification has errors", dir.display()));
    }
    let mut names = Vec::new();
    for model in &compiled.models {
        let module = codegen::emit::emit(model)?;
        codegen::write_changed(&out.join(format!("{}.rs", module.name)), &module.text)?;
        names.push(module.name);
    }
    Ok(names)
}

/// `mod` items and the list of guests.
fn list(names: &[String], out: &Path) -> String {
    let mut text = String::new();
    for name in names {
        let path = out.join(format!("{name}.rs"));
        text.push_str(&format!(
            "/// Generated from its specification.\n#[allow(clippy::all, non_upper_case_globals, non_snake_case, unused_variables, unused_parens, unreachable_pub, missing_docs, dead_code, unused_imports)]\n#[path = {:?}]\npub mod {name};\n",
            path.display().to_string()
        ));
    }
    let all: Vec<String> = names.iter().map(|n| format!("&{n}::GUEST")).collect();
    let tests: String = names.iter().map(|n| format!("{n:?} => &{n}::TESTS, ")).collect();
    text.push_str(&format!(
        "/// The `test` lines of a guest's specification.\n#[must_use]\npub fn tests(guest: &ir::Guest) -> &'static [ir::guest::InsnTest] {{\nmatch guest.name {{ {tests}_ => &[] }}\n}}\n"
    ));
    text.push_str(&format!("/// All guests.\npub static ALL: ir::Guests = ir::Guests::new(&[{}]);\n", all.join(", ")));
    text
}
