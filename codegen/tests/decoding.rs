//! Decoders of the real guests: tables against a linear scan, `test` lines, the decode report.

use codegen::diag::Diagnostics;
use codegen::model::Model;
use codegen::pattern::Decoding;
use codegen::{sema, syntax, text};
use std::path::Path;

/// The checked model of a guest of the repository.
fn model(name: &str) -> Model {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs").join(name);
    let (spec, mut diagnostics, sources) = syntax::parse_dir(&dir).unwrap();
    let models = sema::check(&spec, &sources, &mut diagnostics);
    assert!(!diagnostics.has_errors(), "{}", diagnostics.render(&sources, false));
    models.into_iter().next().unwrap()
}

fn tables_agree_with_a_linear_scan(name: &str) {
    let model = model(name);
    let decoding = Decoding::of(&model, &mut Diagnostics::default());
    let mut seed = 1_u64;
    let mut matched = 0;
    for round in 0..20_000 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut word = seed >> 32;
        // Every other word is made from an encoding, so that most of them match something.
        if round % 2 == 0 {
            let entry = &decoding.entries[round / 2 % decoding.entries.len()];
            word = (word & !(entry.mask as u64)) | entry.value as u64;
        }
        for (space, desc) in model.spaces.iter().enumerate() {
            let word = word & (u64::MAX >> (64 - desc.width()));
            let mode = decoding.mode_of(space);
            let found = decoding.decode(space, word as u32, mode);
            assert_eq!(found, decoding.linear(space, word.into(), mode), "{word:#x}");
            matched += usize::from(found.is_some());
        }
    }
    assert!(matched > 5_000, "{matched}");
}

fn tests_decode_and_print(name: &str) {
    let model = model(name);
    let decoding = Decoding::of(&model, &mut Diagnostics::default());
    let wrong: Vec<String> =
        text::check_tests(&model, &decoding).iter().map(|(test, message)| format!("{}: {message}", test.at)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn riscv64() {
    tables_agree_with_a_linear_scan("riscv64");
    tests_decode_and_print("riscv64");
}

#[test]
fn aarch64() {
    tables_agree_with_a_linear_scan("aarch64");
    tests_decode_and_print("aarch64");
}

#[test]
fn arm() {
    tables_agree_with_a_linear_scan("arm");
    tests_decode_and_print("arm");
}

/// No word of a guest is claimed by an encoding that only a guess about guards keeps apart from another.
#[test]
fn overlaps_are_settled() {
    for name in ["riscv64", "aarch64", "arm"] {
        let model = model(name);
        let report = Decoding::of(&model, &mut Diagnostics::default()).report();
        assert!(!report.contains("assumed"), "{report}");
    }
}

#[test]
fn reports() {
    for name in ["riscv64", "aarch64"] {
        let model = model(name);
        insta::assert_snapshot!(format!("report_{name}"), Decoding::of(&model, &mut Diagnostics::default()).report());
    }
}
