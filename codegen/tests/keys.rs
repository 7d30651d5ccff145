//! Every key of a property block says something: another value of it makes another guest.

use codegen::{emit, sema, syntax};

/// A guest with all keys but those that only sequences of bytes have.
const WORDS: &str = r#"
instance tiny { }
space s { unit = 16; }
reg r[8]: bits(64);
reg v[4]: bits(128);
reg Z: bits(1);
reg PC, QC: bits(64);
context rm: 2 = 0;
context it: 1 = 0;
arch tiny {
    pc = PC; sp = r[1]; pins = [r[2]]; vector_pins = [v[0]]; flags = [Z]; icache = explicit; address = 64;
    interwork = it; transient = it; cleared = [Z]; delay_slots = 0; code_endian = little; data_endian = little;
}
memory { model = weak; ignore_top_byte = false; }
elf { machine = 1; class = 64; data = little; flags = 5; }
process {
    entry_sp_align = 16; tls = r[3]; hwcap = 1; hwcap2 = 2; platform = "a"; machine = "b"; ifunc = hwcap;
}
syscall linux { number = r[0]; args = [r[1..4]]; stack_args = 16; ret = r[1]; error_flag = r[7]; }
abi standard {
    int_args = [r[1..2]]; fp_args = [v[0]]; int_ret = [r[1]]; fp_ret = [v[0]]; return_address = r[5]; callee = r[6];
    callee_saved = [r[7]]; hidden_pointer = r[4]; stack { align = 16; first_arg = 0; member_align = 8; }
    arg_rules = [float(one(fp)), any(join)]; ret_rules = [float(one(fp)), any(join)];
}
native_call { code = [1, 0]; ret = [2, 0]; name_from = word; }
fp {
    nan = canonical; default_nan_sign = 0; product_nan = invalid; tininess = after_rounding; nan_to_int = max;
    mode { round = even; flush_inputs = 0; flush_results = 0; default_nan = 0; }
}
insn move { enc 0000000000000010; exec r[1] = r[2]; }
"#;

/// Of sequences of bytes.
const BYTES: &str = r#"
instance tiny { }
space s { unit = 8; }
reg r[8]: bits(64);
reg PC: bits(64);
arch tiny { pc = PC; sp = r[1]; icache = coherent; max_length = 15; }
memory { model = tso; }
elf { machine = 1; class = 64; data = little; }
process { entry_sp_align = 16; tls = r[3]; hwcap = 0; platform = ""; machine = "tiny"; }
syscall linux { number = r[0]; args = [r[1..4]]; ret = r[1]; }
abi standard {
    int_args = [r[1]]; fp_args = []; int_ret = [r[1]]; fp_ret = []; return_address = stack;
    stack { align = 16; first_arg = 8; } arg_rules = [any(join)]; ret_rules = [any(join)];
}
fp {
    nan = canonical; default_nan_sign = 0; tininess = after_rounding; nan_to_int = max;
    mode { round = even; flush_inputs = 0; flush_results = 0; default_nan = 0; }
}
insn back { enc 10101 n:3; exec jump_indirect(r[n], hint = ret); }
"#;

/// Block, key, and what is written there instead of what.
const CHANGES: &[(&str, &str, &str, &str)] = &[
    ("arch", "pc", "pc = PC", "pc = QC"),
    ("arch", "sp", "sp = r[1]", "sp = r[2]"),
    ("arch", "pins", "pins = [r[2]]; v", "pins = [r[3]]; v"),
    ("arch", "vector_pins", "vector_pins = [v[0]]", "vector_pins = [v[1]]"),
    ("arch", "flags", "flags = [Z]", "flags = []"),
    ("arch", "icache", "icache = explicit", "icache = coherent"),
    ("arch", "address", "address = 64", "address = 32"),
    ("arch", "interwork", "interwork = it;", ""),
    ("arch", "transient", "transient = it", "transient = rm"),
    ("arch", "cleared", "cleared = [Z]", "cleared = []"),
    ("arch", "delay_slots", "delay_slots = 0", "delay_slots = 1"),
    ("arch", "max_length", "max_length = 15", "max_length = 7"),
    ("arch", "code_endian", "code_endian = little", "code_endian = big"),
    ("arch", "data_endian", "data_endian = little", "data_endian = big"),
    ("memory", "model", "model = weak", "model = tso"),
    ("memory", "ignore_top_byte", "ignore_top_byte = false", "ignore_top_byte = true"),
    ("elf", "machine", "machine = 1; class", "machine = 2; class"),
    ("elf", "class", "class = 64", "class = 32"),
    ("elf", "data", "data = little;", "data = big;"),
    ("elf", "flags", "flags = 5", "flags = 6"),
    ("process", "entry_sp_align", "entry_sp_align = 16", "entry_sp_align = 8"),
    ("process", "hwcap", "hwcap = 1", "hwcap = 3"),
    ("process", "hwcap2", "hwcap2 = 2", "hwcap2 = 3"),
    ("process", "platform", "\"a\"", "\"c\""),
    ("process", "ifunc", "ifunc = hwcap", "ifunc = none"),
    ("process", "machine", "\"b\"", "\"c\""),
    ("process", "tls", "tls = r[3]", "tls = r[4]"),
    ("syscall", "number", "number = r[0]", "number = r[2]"),
    ("syscall", "args", "args = [r[1..4]]", "args = [r[1..5]]"),
    ("syscall", "stack_args", "stack_args = 16", "stack_args = 8"),
    ("syscall", "ret", "ret = r[1]; error", "ret = r[2]; error"),
    ("syscall", "error_flag", "error_flag = r[7];", ""),
    ("abi", "int_args", "int_args = [r[1..2]]", "int_args = [r[1..3]]"),
    ("abi", "fp_args", "fp_args = [v[0]]", "fp_args = [v[1]]"),
    ("abi", "int_ret", "int_ret = [r[1]]", "int_ret = [r[2]]"),
    ("abi", "fp_ret", "fp_ret = [v[0]]", "fp_ret = [v[1]]"),
    ("abi", "return_address", "return_address = r[5]", "return_address = stack"),
    ("abi", "callee", "callee = r[6]", "callee = r[7]"),
    ("abi", "callee_saved", "callee_saved = [r[7]]", "callee_saved = []"),
    ("abi", "stack", "first_arg = 0", "first_arg = 16"),
    ("abi", "stack", "{ align = 16", "{ align = 8"),
    ("abi", "stack", "member_align = 8", "member_align = 4"),
    ("abi", "arg_rules", "arg_rules = [float(one(fp)), any(join)]", "arg_rules = [any(stack)]"),
    ("abi", "ret_rules", "ret_rules = [float(one(fp)), any(join)]", "ret_rules = [any(hidden_pointer)]"),
    ("abi", "hidden_pointer", "hidden_pointer = r[4];", ""),
    ("native_call", "code", "code = [1, 0]", "code = [3, 0]"),
    ("native_call", "ret", "ret = [2, 0]", "ret = [4, 0]"),
    ("native_call", "name_from", "name_from = word", "name_from = end"),
    ("fp", "nan", "nan = canonical", "nan = first_operand"),
    ("fp", "default_nan_sign", "default_nan_sign = 0", "default_nan_sign = 1"),
    ("fp", "product_nan", "product_nan = invalid", "product_nan = quiet"),
    ("fp", "tininess", "tininess = after_rounding", "tininess = before_rounding"),
    ("fp", "nan_to_int", "nan_to_int = max", "nan_to_int = zero"),
    ("fp", "mode", "round = even", "round = zero"),
    ("fp", "mode", "flush_inputs = 0", "flush_inputs = 1"),
    ("fp", "mode", "flush_results = 0", "flush_results = 1"),
    ("fp", "mode", "default_nan = 0", "default_nan = 1"),
];

/// What only the tests read: how LLVM is asked about the guest.
const OF_TESTS: &str = "disassembler";

fn generate(text: &str) -> String {
    let (spec, mut diags, sources) = syntax::parse_text("keys.isa", text);
    let models = sema::check(&spec, &sources, &mut diags);
    assert!(diags.is_empty(), "{}", diags.render(&sources, false));
    emit::emit(&models[0]).unwrap().text
}

#[test]
fn every_key_is_in_the_guest() {
    let (words, bytes) = (generate(WORDS), generate(BYTES));
    for (block, key, from, to) in CHANGES {
        let (text, plain) = if *key == "max_length" { (BYTES, &bytes) } else { (WORDS, &words) };
        assert_eq!(text.matches(from).count(), 1, "{from}");
        assert_ne!(generate(&text.replace(from, to)), *plain, "`{key}` of `{block}` changes nothing");
    }
    for name in sema::section_keys() {
        let changed = CHANGES.iter().any(|(block, key, ..)| format!("{block}.{key}") == name);
        assert!(changed || name.starts_with(OF_TESTS), "`{name}` is not tried here");
    }
}
