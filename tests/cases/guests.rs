//! Guests that have no system tree: a program without a C library, on both engines, and the C programs with Debian's.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::programs::{Link, build, compiler, libraries};
use tests::run::{emulate, finish};

/// Guests that are tested alike.
struct Row {
    guests: &'static [&'static str],
    /// The program without a library, how to compile it, and what it prints before it exits with 42.
    freestanding: &'static str,
    options: &'static [&'static str],
    output: &'static str,
    /// Programs under `tests/guest`.
    programs: &'static [&'static str],
    /// Whether the compiler is of a later release of Debian, so that it may not be had.
    later: bool,
}

/// Those that do not count on 64-bit words, or on a C library that passes bad pointers on to the kernel.
const PROGRAMS: &[&str] =
    &["hello", "lifetimes", "messages", "patched", "process", "segv", "signals", "strings", "threads", "timer"];

const ROWS: &[Row] = &[
    Row {
        guests: &["mips", "mipsel", "mips64", "mips64el"],
        freestanding: "mips.c",
        options: &["-mno-abicalls"],
        output: "squares 332833500\nfib 6765\nunaligned 16909062\ncopied byte by byte\nlikely 27\nslot 7\nhigh 28389652\n\
             quotient 8321\n",
        programs: PROGRAMS,
        later: false,
    },
    Row {
        guests: &["loongarch64"],
        freestanding: "loongarch64.c",
        options: &["-msimd=none"],
        output: "squares 332833500\nfib 6765\nunaligned 72623859790382858\ncopied byte by byte\nbits 17356517385570200332\n\
             checksum 3421780262\natomics 9083\npi 3141592\nhigh 4864999597\nquotient 19173961320\ncaught 420801\nkept 2\n",
        programs: PROGRAMS,
        later: true,
    },
];

/// Runs `check` for every guest that can be compiled for.
fn for_each(check: impl Fn(&Row, &str)) {
    for row in ROWS {
        for guest in row.guests {
            if row.later && libraries(guest).is_none() {
                eprintln!("skipped {guest}: no compiler; tests/setup.sh gets one from a later release");
            } else {
                check(row, guest);
            }
        }
    }
}

fn freestanding(row: &Row, guest: &str) -> PathBuf {
    let directory = tests::root().join("target/guest-programs").join(guest);
    std::fs::create_dir_all(&directory).unwrap();
    let program = directory.join(format!("freestanding-{:?}", std::thread::current().id()));
    let compiler = compiler(guest);
    let status = Command::new(&compiler)
        .args(["-O2", "-Wall", "-Werror", "-nostdlib", "-static", "-fno-pic", "-ffreestanding"])
        .args(row.options)
        .arg("-o")
        .arg(&program)
        .arg(tests::root().join("tests/freestanding").join(row.freestanding))
        .status()
        .unwrap_or_else(|e| panic!("{}: {e}; tests/setup.sh installs it", compiler.display()));
    assert!(status.success());
    program
}

#[test]
fn a_program_without_a_library() {
    for_each(|row, guest| {
        let program = freestanding(row, guest);
        for options in [&[] as &[&str], &["--interp"]] {
            let output = finish(emulate(options.iter().map(Path::new).chain([program.as_path()])));
            assert_eq!(String::from_utf8_lossy(&output.stdout), row.output, "{guest} {options:?}");
            assert_eq!(output.status.code(), Some(42), "{guest} {options:?}");
        }
    });
}

fn run(program: &Path, options: &[&Path]) -> (String, String, Option<i32>) {
    let output = finish(emulate(options.iter().copied().chain([program])));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn static_programs_do_as_native_ones() {
    for_each(|row, guest| {
        for name in row.programs {
            let source = format!("guest/{name}.c");
            let native = finish(Command::new(build(&source, "native", Link::Static)));
            let expected = (String::from_utf8_lossy(&native.stdout).into_owned(), String::new(), native.status.code());
            let program = build(&source, guest, Link::Static);
            assert_eq!(run(&program, &[]), expected, "{name} on {guest}");
        }
    });
}

#[test]
fn programs_with_64_bit_words_use_their_address_space() {
    for_each(|row, guest| {
        if row.programs.is_empty() || guests_word(guest) != 64 {
            return;
        }
        let (_, errors, code) = run(&build("guest/memory.c", guest, Link::Static), &[]);
        assert_eq!((errors.as_str(), code), ("", Some(0)), "{guest}");
    });
}

/// Bits of a word, which the names of processors end in.
fn guests_word(guest: &str) -> u32 {
    if guest.contains("64") { 64 } else { 32 }
}

#[test]
fn programs_find_debians_libraries() {
    for_each(|row, guest| {
        if row.programs.is_empty() {
            return;
        }
        let root = libraries(guest).expect("a compiler");
        let (output, errors, _) = run(&build("guest/hello.c", guest, Link::Dynamic), &[Path::new("-L"), &root]);
        assert!(errors.is_empty() && output.ends_with("world\n"), "{guest}: {output}{errors}");
    });
}
