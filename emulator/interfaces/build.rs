//! Generates the system-call tables of every guest from `isa-specs/linux/*.abi` and `isa-specs/*/linux.abi`, and the macro that
//! stands for them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use codegen::abi;
use codegen::diag::SourceMap;

fn main() -> ExitCode {
    match generate() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn generate() -> Result<(), String> {
    let specs = Path::new(&variable("CARGO_MANIFEST_DIR")?).join("../../isa-specs");
    let mut sources = SourceMap::default();
    let files = abi::read(&specs, &mut sources).map_err(|e| format!("{}: {e}", specs.display()))?;
    println!("cargo::rerun-if-changed={}", specs.display()); // a new folder is a new guest
    let abis = abi::resolve(&sources, &files).map_err(|errors| errors.render(&sources, false))?;
    let name = variable("CARGO_CFG_TARGET_ARCH")?;
    let host = abis.iter().find(|abi| abi.name == name);
    let host = host.ok_or_else(|| format!("isa-specs/{name}/linux.abi, the description of the host, is missing"))?;
    let tables = abi::emit(&abis, host, &sources)?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    let file = out.join("tables.rs");
    codegen::write_changed(&file, &tables)?;
    let names = "/// The tables, as items.\n#[macro_export]\nmacro_rules! tables {\n    () => {\n        include!(";
    codegen::write_changed(&out.join("macro.rs"), &format!("{names}{:?});\n    }};\n}}\n", file.display().to_string()))
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|e| format!("{name}: {e}"))
}
