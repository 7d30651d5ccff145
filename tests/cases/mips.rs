//! MIPS: a program without a C library, and the C programs with Debian's, for both word sizes and byte orders, on both engines.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::programs::{Link, build, compiler};
use tests::run::{emulate, finish};

const GUESTS: [&str; 4] = ["mips", "mipsel", "mips64", "mips64el"];

fn freestanding(guest: &str) -> PathBuf {
    let directory = tests::root().join("target/guest-programs").join(guest);
    std::fs::create_dir_all(&directory).unwrap();
    let program = directory.join(format!("freestanding-{:?}", std::thread::current().id()));
    let status = Command::new(compiler(guest))
        .args(["-O2", "-Wall", "-Werror", "-nostdlib", "-static", "-mno-abicalls", "-fno-pic", "-ffreestanding", "-o"])
        .arg(&program)
        .arg(tests::root().join("tests/freestanding/mips.c"))
        .status()
        .unwrap_or_else(|e| panic!("{}: {e}; tests/setup.sh installs it", compiler(guest)));
    assert!(status.success());
    program
}

const EXPECTED: &str = "squares 332833500\nfib 6765\nunaligned 16909062\ncopied byte by byte\nlikely 27\nslot 7\nhigh 28389652\n\
                        quotient 8321\n";

#[test]
fn a_program_without_a_library() {
    for guest in GUESTS {
        let program = freestanding(guest);
        for options in [&[] as &[&str], &["--interp"]] {
            let output = finish(emulate(options.iter().map(Path::new).chain([program.as_path()])));
            assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED, "{guest} {options:?}");
            assert_eq!(output.status.code(), Some(42), "{guest} {options:?}");
        }
    }
}

/// The programs under `tests/guest` that do not count on 64-bit words, or on a C library that passes bad pointers on to the
/// kernel.
const PROGRAMS: [&str; 8] = ["hello", "lifetimes", "process", "segv", "signals", "strings", "threads", "timer"];

fn run(program: &Path, options: &[&str]) -> (String, String, Option<i32>) {
    let output = finish(emulate(options.iter().map(Path::new).chain([program])));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr), output.status.code())
}

#[test]
fn static_programs_do_as_native_ones() {
    for name in PROGRAMS {
        let source = format!("guest/{name}.c");
        let native = finish(Command::new(build(&source, "native", Link::Static)));
        let expected = (String::from_utf8_lossy(&native.stdout).into_owned(), String::new(), native.status.code());
        for guest in GUESTS {
            let program = build(&source, guest, Link::Static);
            assert_eq!(run(&program, &[]), expected, "{name} on {guest}");
        }
    }
}

#[test]
fn programs_with_64_bit_words_use_their_address_space() {
    for guest in ["mips64", "mips64el"] {
        let (_, errors, code) = run(&build("guest/memory.c", guest, Link::Static), &[]);
        assert_eq!((errors.as_str(), code), ("", Some(0)), "{guest}");
    }
}

#[test]
fn programs_find_debians_libraries() {
    for guest in GUESTS {
        let triple = compiler(guest).trim_end_matches("-gcc").to_owned();
        let root = format!("/usr/{triple}");
        let (output, errors, _) = run(&build("guest/hello.c", guest, Link::Dynamic), &["-L", &root]);
        assert!(errors.is_empty() && output.ends_with("world\n"), "{guest}: {output}{errors}");
    }
}
