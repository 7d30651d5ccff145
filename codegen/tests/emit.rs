//! Generated Rust of tiny specifications, one feature each.

use codegen::{emit, sema, syntax};
use std::fs;
use std::path::Path;

/// The semantics part of the generated module, without the header that is the same for all.
fn generate(name: &str) -> String {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emit");
    let read = |file: &str| fs::read_to_string(dir.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let text = read("prelude.inc") + &read(&format!("{name}.isa"));
    let (spec, mut diags, sources) = syntax::parse_text(&format!("{name}.isa"), &text);
    let models = sema::check(&spec, &sources, &mut diags);
    assert!(diags.is_empty(), "{}", diags.render(&sources, false));
    let rust = emit::semantics(&models[0]);
    syn::parse_file(&rust).unwrap_or_else(|e| panic!("{e}\n{rust}"));
    // the prelude's own functions are in the first snapshot only
    let from = rust.find("mod slot {").unwrap_or(0);
    rust[from..].to_string()
}

#[test]
fn choices() {
    insta::assert_snapshot!(generate("choices"));
}

#[test]
fn encodings() {
    insta::assert_snapshot!(generate("encodings"));
}

#[test]
fn memory() {
    insta::assert_snapshot!(generate("memory"));
}

#[test]
fn flow() {
    insta::assert_snapshot!(generate("flow"));
}

#[test]
fn vectors() {
    insta::assert_snapshot!(generate("vectors"));
}

#[test]
fn bytes() {
    insta::assert_snapshot!(generate("bytes"));
}

#[test]
fn contexts() {
    insta::assert_snapshot!(generate("contexts"));
}

#[test]
fn spaces() {
    insta::assert_snapshot!(generate("spaces"));
}

/// A function in Rust has the types that the specification says, or the guests do not compile.
#[test]
fn functions_in_rust() {
    let text = "extern fn mix(k: bits(1), a: bits(5), b: bits(64)) -> bits(80) [pure];
extern fn look(n: bits(32)) -> bits(1) [reads(Z)];
extern fn touch(v: bits(128)) [reads(Z), writes(gpr)];
insn mixed { enc 0000 0000000000000 Rm:5 Rn:5 Rd:5;  exec { touch(mix(Z, X[Rm, 64].low(5), X[Rn, 64]).zext(128));  Z = look(7); } }
";
    let module = module(text).unwrap().text;
    let from = module.find("const _: fn").unwrap();
    let end = module.find("/// The specification's `test` lines").unwrap();
    insta::assert_snapshot!(&module[from..end]);
}

/// The generated module of the prelude with `text`, or why there is none.
fn module(text: &str) -> Result<emit::Module, String> {
    let prelude = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/emit/prelude.inc")).unwrap();
    let (spec, mut diags, sources) = syntax::parse_text("long.isa", &format!("{prelude}{text}"));
    let models = sema::check(&spec, &sources, &mut diags);
    assert!(diags.is_empty(), "{}", diags.render(&sources, false));
    emit::emit(&models[0])
}

#[test]
fn functions_that_would_be_too_long_are_refused() {
    // As the semantics of a body, as texts, and as the encoding of alternatives.
    let stores: String = (0..300).map(|i| format!("gpr[{}] = gpr[{}] + {i};\n", i % 4, (i + 1) % 4)).collect();
    let texts: String = (0..200).map(|i| format!("asm \"long {i}\" when x == {i};\n")).collect();
    for (what, name) in
        [(format!("exec {{ {stores} }}"), "`enc_0 long"), (format!("exec {{ }} {texts}"), "`insn_long`")]
    {
        let message = module(&format!("insn long {{ enc 11111111 00000000 00000000 x:8; {what} }}\n")).unwrap_err();
        assert!(message.contains(name) && message.contains("more than 400"), "{message}");
    }
    assert!(module("").is_ok());
}

/// What is made of the other tables: of operations, native functions and the system interface.
#[test]
fn no_function_of_the_tables_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let ops = codegen::ops::emit(&codegen::ops::parse(&read("isa-specs/ir.ops")).unwrap()).unwrap();
    let functions = codegen::native::emit(&codegen::native::parse(&read("native-lib/libc.abi")).unwrap()).unwrap();
    let mut sources = codegen::diag::SourceMap::default();
    let files = codegen::abi::read(&root.join("isa-specs"), &mut sources).unwrap();
    let abis = codegen::abi::resolve(&sources, &files).unwrap();
    let host = abis.iter().find(|a| a.name == "x86_64").unwrap();
    let tables = codegen::abi::emit(&abis, host, &sources).unwrap();
    for text in [&ops, &functions, &tables] {
        assert!(text.lines().count() > 20);
        assert!(emit::longest_function(text).is_none_or(|(_, lines)| lines <= emit::MAX_FUNCTION_LINES));
    }
    assert!(emit::longest_function(&ops).is_some(), "a function is found where there is one");
}

#[test]
fn no_function_of_a_guest_is_too_long() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    for dir in fs::read_dir(&root).unwrap().map(|e| e.unwrap().path()).filter(|p| p.join("arch.isa").exists()) {
        for model in &codegen::compile(&dir).unwrap().models {
            let module = emit::emit(model).unwrap();
            let (name, lines) = emit::longest_function(&module.text).unwrap();
            eprintln!("{}: {lines} lines in `{name}`", module.name);
            assert!((20..=emit::MAX_FUNCTION_LINES).contains(&lines), "{name} has {lines} lines");
        }
    }
}
