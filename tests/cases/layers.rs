//! The data flows one way through the crates, and no crate knows what it must not.

use std::fs;
use std::path::{Path, PathBuf};

/// Crate folder and the crates it may depend on (build dependencies included).
const ALLOWED: [(&str, &[&str]); 10] = [
    ("codegen", &[]),
    ("codegen/isa", &["codegen"]),
    ("emulator/ir", &["codegen"]),
    ("emulator/guests", &["codegen", "ir"]),
    ("emulator/interfaces", &["codegen"]),
    ("emulator/isa-code", &["guests", "ir", "jit"]),
    ("emulator/jit", &["ir"]),
    ("native-lib", &["codegen", "ir"]),
    ("emulator/linux", &["ir", "jit", "native-lib"]),
    ("emulator", &["guests", "interfaces", "ir", "jit", "linux"]),
];

#[test]
fn crates_depend_in_one_direction() {
    let ours: Vec<&str> = ["codegen", "ir", "guests", "interfaces", "jit", "linux", "native-lib"].to_vec();
    for (folder, allowed) in ALLOWED {
        let manifest = fs::read_to_string(tests::root().join(folder).join("Cargo.toml")).unwrap();
        for line in manifest.split("[dev-dependencies]").next().unwrap().lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap();
            let is_dependency = ours.contains(&name) && line.contains(".workspace");
            assert!(!is_dependency || allowed.contains(&name), "{folder} must not depend on {name}");
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if entry.is_dir() {
            found.extend(sources(&entry));
        } else if entry.extension().is_some_and(|e| e == "rs") {
            found.push(entry);
        }
    }
    found
}

/// Code lines of a crate (comments may name examples) outside of its tests.
fn code_lines(folder: &str) -> Vec<(PathBuf, String)> {
    let mut lines = Vec::new();
    for file in sources(&tests::root().join(folder).join("src")) {
        if file.to_string_lossy().contains("tests") {
            continue;
        }
        let text = fs::read_to_string(&file).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        lines.extend(code.lines().filter(|l| !l.trim_start().starts_with("//")).map(|l| (file.clone(), l.to_owned())));
    }
    lines
}

#[test]
fn the_translator_names_no_guest() {
    for folder in ["emulator/jit", "emulator/ir", "codegen"] {
        for (file, line) in code_lines(folder) {
            for guest in ["riscv", "mips", "loongarch", "a64"] {
                assert!(!line.to_lowercase().contains(guest), "{} names a guest: {line}", file.display());
            }
        }
    }
}

#[test]
fn generated_code_is_not_committed() {
    let files = std::process::Command::new("git").args(["ls-files"]).current_dir(tests::root()).output().unwrap();
    for file in String::from_utf8(files.stdout).unwrap().lines() {
        assert!(!file.starts_with("target/") && !file.ends_with(".snap.new"), "{file} is made, not written");
    }
}

/// What the specifications say of a guest is asked for: a field of the description that nothing reads would be a promise that
/// nobody keeps.
#[test]
fn every_field_of_a_guest_is_read() {
    let description = tests::root().join("emulator/ir/src/guest.rs");
    let convention = tests::root().join("codegen/src/convention.rs");
    let text = [&convention, &description].map(|file| fs::read_to_string(file).unwrap()).concat();
    let fields =
        text.lines().filter_map(|line| line.trim_start().strip_prefix("pub ")?.split_once(": ")).map(|(name, _)| name);
    let fields: Vec<&str> =
        fields.filter(|name| name.chars().all(|c| c.is_ascii_lowercase() || c == '_' || c.is_ascii_digit())).collect();
    assert!(fields.len() > 60, "{fields:?}");
    let mut code = String::new();
    for folder in ["emulator", "native-lib", "tests"] {
        for file in sources(&tests::root().join(folder)).iter().filter(|file| **file != description) {
            code += &fs::read_to_string(file).unwrap();
        }
    }
    // Methods of the description read some.
    code += text.split_once("impl Guest").unwrap().1;
    let read = |name: &&&str| {
        code.match_indices(&format!(".{name}")).any(|(at, found)| {
            !code[at + found.len()..].starts_with(|c: char| c.is_alphanumeric() || c == '_' || c == '(')
        })
    };
    let unread: Vec<_> = fields.iter().filter(|name| !read(name)).collect();
    assert!(unread.is_empty(), "nothing reads {unread:?}");
}

/// What the newest run of a package's build script asked to be watched.
fn watched(package: &str) -> Vec<String> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| tests::root().join("target"), PathBuf::from);
    let runs = fs::read_dir(target.join("release/build")).unwrap().map(|entry| entry.unwrap().path());
    let of_package = |run: &PathBuf| run.file_name().unwrap().to_string_lossy().starts_with(&format!("{package}-"));
    let outputs = runs.filter(of_package).map(|run| run.join("output")).filter(|output| output.exists());
    let newest = outputs.max_by_key(|output| fs::metadata(output).unwrap().modified().unwrap());
    let text = fs::read_to_string(newest.unwrap_or_else(|| panic!("{package} was not built"))).unwrap();
    text.lines().filter_map(|line| line.strip_prefix("cargo::rerun-if-changed=")).map(str::to_owned).collect()
}

/// `cargo x costs` tries it out.
#[test]
fn a_new_folder_of_specifications_is_seen_by_the_build() {
    let specs = fs::canonicalize(tests::root().join("isa-specs")).unwrap();
    for package in ["guests", "interfaces"] {
        let watches = watched(package).iter().any(|path| fs::canonicalize(path).is_ok_and(|path| path == specs));
        assert!(watches, "{package} does not watch {}", specs.display());
    }
}
