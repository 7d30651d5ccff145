//! Every kind of message has a code, an explanation and an example that gives it.

use codegen::abi::{self, Files};
use codegen::codes::{self, Kind};
use codegen::diag::SourceMap;
use codegen::{check_tests, sema, syntax};
use std::path::{Path, PathBuf};

/// The messages for a kind's example.
fn messages(kind: &Kind) -> String {
    if kind.language == "abi" {
        return abi_messages(kind.example);
    }
    let prelude = if kind.language == "isa alone" { "" } else { codes::prelude() };
    let (spec, mut diagnostics, sources) = syntax::parse_text("example.isa", &format!("{prelude}{}", kind.example));
    if !diagnostics.has_errors() {
        let models = sema::check(&spec, &sources, &mut diagnostics);
        if !diagnostics.has_errors() {
            check_tests(&models, &mut diagnostics);
        }
    }
    diagnostics.render(&sources, false)
}

fn abi_messages(text: &str) -> String {
    let own = "arch demo { word = 64; endian = little; machine = \"demo\"; numbers = generic; }";
    let mut sources = SourceMap::default();
    let common = sources.add("linux/example.abi", format!("{text}numbers generic {{ 0 read; }}\n"));
    let files = Files { common: vec![common], own: vec![vec![sources.add("demo/linux.abi", own)]] };
    abi::resolve(&sources, &files).map_or_else(|errors| errors.render(&sources, false), |_| String::new())
}

#[test]
fn every_example_gives_its_code() {
    let mut wrong = Vec::new();
    for kind in codes::all() {
        let text = messages(kind);
        let level = if kind.code.starts_with('W') { "warning" } else { "error" };
        let wanted = format!("{level}[{}]", kind.code);
        let found = text.matches("error[").count() + text.matches("warning[").count();
        if !text.starts_with(&wanted) || found != text.matches(&wanted).count() {
            wrong.push(format!("{} {} gives other messages:\n{text}", kind.code, kind.name));
            continue;
        }
        insta::with_settings!({ snapshot_path => "fail", prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!(kind.code, text);
        });
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|p| if p.is_dir() { sources(&p) } else { vec![p] }).collect()
}

/// The names of kinds in source text: the string that follows a function which makes messages, or a code that is a constant.
fn kinds_used(text: &str) -> Vec<&str> {
    let makers = ["error(", "warning(", "fail(", "const CODE: &str = "];
    let mut used = Vec::new();
    for maker in makers {
        for (at, _) in text.match_indices(maker) {
            let rest = text[at + maker.len()..].trim_start();
            if let Some(name) = rest.strip_prefix('"').and_then(|r| r.split('"').next()) {
                used.push(name);
            }
        }
    }
    used
}

#[test]
fn every_kind_in_the_sources_has_a_code() {
    let mut all = Vec::new();
    for file in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let text = std::fs::read_to_string(&file).unwrap();
        for name in kinds_used(&text) {
            assert!(codes::find(name).is_some(), "{}: `{name}` is not in explanations.md", file.display());
            all.push(name.to_owned());
        }
    }
    assert!(all.len() > 90, "only {} messages found", all.len());
}
