//! Messages for mistakes in `.abi` files. Each case is a file pair: what every architecture shares, and one architecture's.

use codegen::abi::{self, Files};
use codegen::diag::SourceMap;

/// The messages for `common` plus `own`.
fn messages(common: &str, own: &str) -> String {
    let mut sources = SourceMap::default();
    let common = sources.add("linux/common.abi", common);
    let own = sources.add("arch/linux.abi", own);
    let files = Files { common: vec![common], own: vec![vec![own]] };
    match abi::resolve(&sources, &files) {
        Ok(_) => String::from("accepted"),
        Err(errors) => errors.render(&sources, false),
    }
}

const ARCH: &str = "arch demo { word = 64; endian = little; machine = \"demo\"; numbers = generic; }\n";

macro_rules! fails {
    ($($name:ident: $common:expr $(, $own:expr)?;)*) => {$(
        #[test]
        fn $name() {
            let own = concat!("", $($own)?);
            let own = if own.starts_with("arch") { own.to_owned() } else { format!("{ARCH}{own}") };
            insta::with_settings!({ snapshot_path => "abi_fail", prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(stringify!($name), messages(&format!("{}\n{NUMBERS}", $common), &own));
            });
        }
    )*};
}

const NUMBERS: &str = "numbers generic { 0 read; 1 write; }";

fails! {
    a_declaration_must_start_with_a_known_word: "typedef int = s32;";
    a_missing_semicolon_is_found_where_it_belongs: "type int = s32\nstruct s { a: int; }";
    every_mistake_of_a_file_is_reported: "type a = ;\nstruct s { x y; }\nsyscall read(fd: s32) sometimes;";
    an_unknown_type_has_a_place: "syscall read(fd: fd);";
    a_type_in_terms_of_itself: "type a = b;\ntype b = a;\nsyscall read(fd: a);";
    an_unknown_format_lists_the_known: "type fd = s32 as descriptor;\nsyscall read(fd: fd);";
    two_declarations_of_one_name: "type fd = s32;\nflags fd: s32 { A = 1; }";
    a_structure_in_itself: "struct a { b: b; }\nstruct b { a: a; }";
    a_field_without_a_size: "struct a { path: cstr; }";
    a_length_that_is_no_argument: "syscall read(buf: out bytes[count], size: uword);";
    bytes_need_a_length: "syscall read(buf: out bytes);";
    a_case_that_is_not_in_the_set: "enum op: s32 { GET = 1; }\nsyscall read(op: op, arg: select op { PUT: s32; default: none; });";
    a_select_on_a_later_argument: "syscall read(arg: select op { 1: s32; default: none; }, op: s32);";
    a_select_without_default: "syscall read(op: s32, arg: select op { 1: s32; });";
    seven_arguments: "syscall read(a: s32, b: s32, c: s32, d: s32, e: s32, f: s32, g: s32);";
    an_attribute_that_does_not_exist: "syscall read(fd: s32) blocking;";
    a_replacement_of_nothing: "type fd = s32;", "replace struct stat { st_dev: u64; }";
    an_amendment_of_the_wrong_kind: "enum whence: s32 { SEEK_SET = 0; }", "amend flags whence { SEEK_END = 2; }";
    a_number_given_twice: "type fd = s32;", "numbers demo { 1 writev; 2 read; }";
    a_table_that_does_not_exist: "type fd = s32;", "arch other { numbers = genric; }";
    an_architecture_described_twice: "type fd = s32;", "arch a { word = 64; }\narch a { word = 32; }";
    a_word_of_an_unusual_size: "type fd = s32;", "arch a { word = 48; ending = little; }";
    a_number_too_large: "enum e: u64 { BIG = 0x1_0000_0000_0000_0000; }";
    a_condition_on_something_else: "where endian = 1 { type fd = s32; }";
    a_declaration_for_another_word: "where word = 32 { type fd = s32; }\nsyscall read(fd: fd);";
    code_beyond_its_page: "type fd = s32;", "page 0x1000 { 0xffc: [1, 2]; 0: [1, 2]; 4: [3]; }";
    a_stray_character: "type fd = s32; $";
    a_string_without_end: "type fd = s32;", "arch other { machine = \"demo; }";
}
