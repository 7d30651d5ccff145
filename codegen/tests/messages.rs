//! Messages of the parser and of the analysis of encodings, as authors see them: one small specification per kind of mistake.

use codegen::{sema, syntax};

/// What every case here has.
const PRELUDE: &str = "instance toy { }
space s { unit = 16; }
reg gpr[8]: bits(64);
";

/// The messages for `PRELUDE` with `text` appended; there must be an error.
fn messages(text: &str) -> String {
    let (spec, mut diagnostics, sources) = syntax::parse_text("toy.isa", &format!("{PRELUDE}{text}"));
    if !diagnostics.has_errors() {
        sema::check(&spec, &sources, &mut diagnostics);
    }
    assert!(diagnostics.has_errors(), "accepted: {text}");
    diagnostics.render(&sources, false)
}

/// A snapshot test named after the case.
macro_rules! cases {
    ($($name:ident: $text:expr;)*) => {
        $(
            #[test]
            fn $name() {
                insta::with_settings!({ snapshot_path => "messages", prepend_module_to_snapshot => false, omit_expression => true }, {
                    insta::assert_snapshot!(stringify!($name), messages($text));
                });
            }
        )*
    };
}

cases! {
    // ---- syntax
    a_missing_semicolon: "insn a { enc 0000000000000000  exec { } }\n";
    a_brace_that_is_not_closed_ends_at_the_next_item: "insn a { enc 0000000000000000; exec { \ninsn b { enc 0000000000000001; exec { } }\n";
    a_bracket_of_the_wrong_kind: "fn f(a: int] -> int = a;\n";
    a_string_without_end: "insn a { enc 0000000000000000; asm \"nop; exec { } }\n";
    a_word_that_starts_no_item: "isn a { enc 0000000000000000; exec { } }\n";
    two_mistakes_give_two_messages: "fn f( = 1;\nconst c = ;\n";
    an_incomplete_expression: "fn f(a: int) -> int = a + ;\n";
    two_bodies: "insn a { enc 0000000000000000; exec { }  exec { } }\n";
    a_number_too_large: "const c = 0x1ffffffffffffffffffffffffffffffffff;\n";
    an_include_in_memory: "include \"x.isa\";\n";
    // ---- encodings
    a_pattern_too_long: "insn a { enc 00000 rs:3 rd:5 0110; exec { } }\n";
    an_enum_value_of_another_width: "enum E: 2 { a = 00, b = 101 }\n";
    a_constraint_of_another_width: "insn a { enc 0000000000000 rd:3!=11; exec { } }\n";
    a_field_twice: "insn a { enc 0000000000 rd:3 rd:3; exec { } }\n";
    a_bit_of_a_field_twice: "insn a { enc 0000000000 i[3:1] i[2:0]; exec { } }\n";
    an_unknown_enum: "enum Alu: 3 { add = 000 }\ninsn a { enc 0000000000000 op:Allu; exec { } }\n";
    an_unknown_space: "insn a { enc(t) 0000000000000000; exec { } }\n";
    an_unknown_pattern: "pattern pair = a:3 b:3;\ninsn a { enc 0000000000 pear; exec { } }\n";
    an_unknown_field_of_a_pattern: "pattern pair = a:3 b:3;\ninsn a { enc 0000000000 pair(c=000); exec { } }\n";
    a_pattern_in_itself: "pattern p = 0 p;\ninsn a { enc p; exec { } }\n";
    // ---- overlaps
    crossing_encodings: "insn a { enc 0000 x:4 00000001; exec { } }\ninsn b { enc 00000001 y:8; exec { } }\n";
    the_same_encoding_twice: "insn a { enc 0000 x:4 00000001; exec { } }\ninsn b { enc 0000 y:4 00000001; exec { } }\n";
    guards_that_do_not_exclude_each_other: "insn a { enc 0000 x:4 00000001; when x > 3; exec { } }\ninsn b { enc 0000 y:4 00000001; when y < 5; exec { } }\n";
    an_unreachable_encoding: "insn a { enc 000000000000000 x:1; exec { } }\ninsn b { enc 0000000000000000; exec { } }\ninsn c { enc 0000000000000001; exec { }  }\n";
    a_guard_that_looks_at_the_address: "insn a { enc 00000000 x:8; let t = pc + x; when t != 0; exec { } }\n";
    constraints_that_exclude_everything: "insn a { enc 000000000000000 x:1!={0,1}; exec { } }\n";
    // ---- spaces
    an_unknown_key_of_a_space: "space t { unit = 32; selekt = first & 3 == 3; }\n";
    a_space_without_unit: "space t { select = first & 3 == 3; }\n";
    byte_wise_spaces: "space m0 { unit = 8; active = map == 0; }\ninsn a { enc(m0) 0x0f; exec { } }\n";
    a_space_of_an_unknown_context: "space t { unit = 32; active = thum == 1; }\ncontext thumb: 1 = 0;\n";
    a_predicate_of_what_an_encoding_lacks: "space t { unit = 32; predicate = c; }\ninsn a { enc(t) 0x0000000 x:4; exec { } }\n";
    instructions_too_long: "space t { unit = 16; units = 3; }\n";
    operands: "operand ea: bits(64) { | when mod == 3 => 0; }\ninsn a { enc 0000000000000000 @ea; exec { } }\n";
    computed_widths: "insn a { enc 00000000 imm:s(isz()); exec { } }\n";
    a_head_that_is_not_whole_bytes: "space m0 { unit = 8; }\ninsn a { enc(m0) 0x0f 101; exec { } }\n";
    fixed_bits_after_a_whole_byte_field: "space m0 { unit = 8; }\ninsn a { enc(m0) 0x0f imm:8 0x05; exec { } }\n";
    a_key_that_is_no_decode_variable: "space m0 { unit = 8; }\ninsn a { enc(m0, pp = 1) 0x0f; exec { } }\n";
    a_key_out_of_range: "decode_var pp: 2 = 0;\nspace m0 { unit = 8; }\ninsn a { enc(m0, pp = 4) 0x0f; exec { } }\n";
    a_prefix_that_assigns_a_register: "space m0 { unit = 8; }\nprefix p { enc(m0) 0x66; gpr[0] = 1; }\n";
    a_decode_variable_assigned_in_a_body: "decode_var pp: 2 = 0;\nspace m0 { unit = 8; }\ninsn a { enc(m0) 0x0f; exec pp = 1; }\n";
    an_operand_with_a_field_that_is_no_variable: "space m0 { unit = 8; }\noperand o: bits(64) { | enc ss:2 xx xxxx => 0; }\ninsn a { enc(m0) 0x0f @o; exec { } }\n";
    a_prefix_like_an_instruction: "decode_var pp: 2 = 0;\nspace m0 { unit = 8; }\nprefix p { enc(m0) 0x66; pp = 1; }\ninsn a { enc(m0) 0110011 x; exec { } }\ninsn b { enc(m0) 0x66; exec { } }\n";
}

#[test]
fn guards_that_exclude_each_other_are_proven() {
    let text = "insn a { enc 0000 x:4 00000001; when x > 3; exec { } }\ninsn b { enc 0000 y:4 00000001; when y <= 3; exec { } }\n";
    let (spec, mut diagnostics, sources) = syntax::parse_text("toy.isa", &format!("{PRELUDE}{text}"));
    let models = sema::check(&spec, &sources, &mut diagnostics);
    let text = diagnostics.render(&sources, false);
    assert!(!text.contains("overlap"), "{text}");
    let decoding = codegen::pattern::Decoding::of(&models[0], &mut diagnostics);
    assert!(decoding.report().contains("proven: 1\n    a before b"), "{}", decoding.report());
}

#[test]
fn overrides_decide_between_crossing_encodings() {
    let text = "insn a { enc 0000 x:4 00000001; exec { } }\ninsn b { enc 00000001 y:8; exec { }  overrides a; }\n";
    let (spec, mut diagnostics, sources) = syntax::parse_text("toy.isa", &format!("{PRELUDE}{text}"));
    let models = sema::check(&spec, &sources, &mut diagnostics);
    let text = diagnostics.render(&sources, false);
    assert!(!text.contains("overlap"), "{text}");
    let decoding = codegen::pattern::Decoding::of(&models[0], &mut diagnostics);
    assert_eq!(decoding.decode(0, 0x0101, 0), Some(1));
    assert_eq!(decoding.decode(0, 0x0201, 0), Some(0));
}
