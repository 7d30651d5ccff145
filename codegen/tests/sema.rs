//! Diagnostics of the checker, one specification per kind of mistake.

use codegen::{sema, syntax};
use std::fs;
use std::path::Path;

/// The rendered diagnostics of a specification that must have some.
fn diagnose(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sema_fail");
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let text = read("prelude.inc") + &read(&format!("{name}.isa"));
    let (spec, mut diags, sources) = syntax::parse_text(&format!("{name}.isa"), &text);
    assert!(diags.is_empty(), "{}", diags.render(&sources, false));
    sema::check(&spec, &sources, &mut diags);
    assert!(diags.has_errors(), "{name} was accepted");
    diags.render(&sources, false)
}

#[test]
fn binding_time() {
    insta::assert_snapshot!(diagnose("binding_time"));
}

#[test]
fn widths() {
    insta::assert_snapshot!(diagnose("widths"));
}

#[test]
fn names() {
    insta::assert_snapshot!(diagnose("names"));
}

#[test]
fn operators() {
    insta::assert_snapshot!(diagnose("operators"));
}

#[test]
fn recursion() {
    insta::assert_snapshot!(diagnose("recursion"));
}

#[test]
fn ranges() {
    insta::assert_snapshot!(diagnose("ranges"));
}

#[test]
fn instances() {
    insta::assert_snapshot!(diagnose("instances"));
}

#[test]
fn externs() {
    insta::assert_snapshot!(diagnose("externs"));
}

#[test]
fn builtins() {
    insta::assert_snapshot!(diagnose("builtins"));
}

#[test]
fn tables() {
    insta::assert_snapshot!(diagnose("tables"));
}

#[test]
fn configs() {
    insta::assert_snapshot!(diagnose("configs"));
}

#[test]
fn sections() {
    insta::assert_snapshot!(diagnose("sections"));
}

#[test]
fn conventions() {
    insta::assert_snapshot!(diagnose("conventions"));
}

/// A guest whose `native_call` says `code` and `ret`: what the checks of `test` lines find.
fn native_call(code: &str, ret: &str) -> String {
    let guest = r#"
instance tiny { }
space s { unit = 16; }
reg r[8]: bits(64);
reg PC: bits(64);
arch tiny { pc = PC; sp = r[1]; icache = explicit; }
memory { model = weak; }
elf { machine = 1; class = 64; data = little; }
process { entry_sp_align = 16; tls = r[3]; hwcap = 0; platform = ""; machine = "tiny"; }
syscall linux { number = r[0]; args = [r[1..4]]; ret = r[1]; }
abi standard { int_args = [r[1]]; fp_args = []; int_ret = [r[1]]; fp_ret = []; return_address = r[1]; stack { align = 16; } arg_rules = [any(join)]; ret_rules = [any(join)]; }
fp {
    nan = canonical;  default_nan_sign = 0;  tininess = after_rounding;  nan_to_int = max;
    mode { round = even; flush_inputs = 0; flush_results = 0; default_nan = 0; }
}
insn native { enc 0000000000000001; exec native_call(name = pc_next); }
insn back   { enc 0000000000000010; exec jump_indirect(r[1], hint = ret); }
"#;
    let text = format!("{guest}native_call {{ code = {code}; ret = {ret}; }}\n");
    let (spec, mut diags, sources) = syntax::parse_text("native.isa", &text);
    let models = sema::check(&spec, &sources, &mut diags);
    assert!(diags.is_empty(), "{}", diags.render(&sources, false));
    codegen::check_tests(&models, &mut diags);
    diags.render(&sources, false)
}

#[test]
fn native_calls_that_are_none() {
    assert_eq!(native_call("[1, 0]", "[2, 0]"), "");
    assert_eq!(native_call("[1, 0]", "[2, 0, 2, 0]"), "");
    assert!(native_call("[2, 0]", "[2, 0]").contains("`code` is `back`, not a call of a host function"));
    assert!(native_call("[9, 0]", "[2, 0]").contains("`code` is no instruction, not a call of a host function"));
    for ret in ["[9, 0]", "[2, 0, 9, 0]", "[2]"] {
        assert!(native_call("[1, 0]", ret).contains("`ret` is no instruction"), "{ret}");
    }
}
