//! Programs of the guests that are the host's own kind of processor: by themselves and emulated.
#![cfg(target_arch = "x86_64")]

use std::ffi::OsString;
use std::process::Command;
use tests::programs::{Link, build};
use tests::run::{emulate, finish};

/// Compares output and exit status of a command, on both engines; gives the status.
fn same(command: &[OsString]) -> Option<i32> {
    let mut native = Command::new(&command[0]);
    native.args(&command[1..]);
    let native = finish(native);
    for engine in [&[][..], &["--interp"]] {
        let arguments = engine.iter().map(OsString::from).chain(command.iter().cloned());
        let output = finish(emulate(arguments));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{command:?} {engine:?}");
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&native.stdout),
            "{command:?} {engine:?}"
        );
        assert_eq!(output.status, native.status, "{command:?} {engine:?}");
    }
    native.status.code()
}

fn built(source: &str, link: Link) -> Option<i32> {
    same(&[build(source, "x86_64", link).into()])
}

/// Compares a program of either guest, 64 bits and 32, with the host's own.
fn finds_what_the_host_finds(source: &str) {
    assert_eq!(built(source, Link::Static), Some(0));
    let native = finish(Command::new(build(source, "native", Link::Static)));
    let output = finish(emulate([build(source, "x86", Link::Static)]));
    assert_eq!(String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&native.stdout));
}

#[test]
fn a_program_without_a_library_runs() {
    assert_eq!(built("guest-x86_64/freestanding.S", Link::Freestanding), Some(42));
}

#[test]
fn stores_to_code_are_noticed() {
    assert_eq!(built("guest-x86_64/code.c", Link::Static), Some(0));
}

#[test]
fn changes_of_code_by_other_ways_than_its_address_are_noticed() {
    finds_what_the_host_finds("guest-x86_64/aliases.c");
}

#[test]
fn programs_in_c_run() {
    for source in [
        "hello",
        "strings",
        "memory",
        "segv",
        "signals",
        "threads",
        "timer",
        "lifetimes",
        "messages",
        "process",
        "syscalls",
    ] {
        for link in [Link::Static, Link::Dynamic] {
            assert_eq!(built(&format!("guest/{source}.c"), link), Some(0), "{source}");
        }
    }
}

#[test]
fn the_host_s_own_programs_run() {
    let words = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
    let root = tests::root().display().to_string();
    for command in ["/bin/true", &format!("/bin/ls {root}/isa-specs"), &format!("/usr/bin/sha256sum {root}/Cargo.lock")]
    {
        assert_eq!(same(&words(command)), Some(0));
    }
    let script = "for i in 1 2 3; do echo $i; done | sort -r | sed s/2/two/; exit 5";
    assert_eq!(same(&["/bin/bash".into(), "-c".into(), script.into()]), Some(5));
}

/// The C programs that do not count on 64-bit words, or on a C library that passes bad pointers on to the kernel, in 32-bit
/// code: statically and dynamically linked, on both engines, against the host's programs from the same sources.
#[test]
fn programs_of_32_bits_do_as_native_ones() {
    let root = ["-L", "/usr/i686-linux-gnu"].map(OsString::from);
    for source in ["hello", "strings", "segv", "signals", "threads", "timer", "lifetimes", "messages", "process"] {
        let source = format!("guest/{source}.c");
        let native = finish(Command::new(build(&source, "native", Link::Static)));
        let [statically, dynamically] = [Link::Static, Link::Dynamic].map(|link| build(&source, "x86", link));
        let with = |options: &[OsString], program: &std::path::Path| {
            let output = finish(emulate(options.iter().cloned().chain([program.into()])));
            assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{source} {options:?}");
            assert_eq!(output.stdout, native.stdout, "{source} {options:?}");
            assert_eq!(output.status, native.status, "{source} {options:?}");
        };
        with(&[], &statically);
        with(&["--interp".into()], &statically);
        with(&root, &dynamically);
    }
}

#[test]
fn a_program_of_32_bits_without_a_library_runs() {
    let program = build("guest-x86/freestanding.S", "x86", Link::Freestanding);
    for engine in [&[][..], &["--interp"]] {
        let output = finish(emulate(engine.iter().map(OsString::from).chain([program.clone().into()])));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{engine:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "hello\n", "{engine:?}");
        assert_eq!(output.status.code(), Some(42), "{engine:?}");
    }
}

/// Contexts of the C library, and signal masks by the old call that it makes them with; as the kernel has them.
#[test]
fn contexts_of_32_bits_are_made() {
    let expected = "getcontext: 0\nturns: 7000\nfirst: 200\nset: 0, old: 200 1234, now: 800\nstill blocked: 1\nblock: 0, now: 802\n\
                    unblock: 0, now: 800\nwrong: -1, 1\n";
    let output = finish(emulate([build("guest-x86/contexts.c", "x86", Link::Static)]));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
}

/// Results and status words of every operation of the x87, on numbers of all kinds.
#[test]
fn the_x87_is_the_host_s() {
    finds_what_the_host_finds("guest-x86/x87.c");
}

/// Conversions between the registers of MMX and SSE; of estimates, that they are close.
#[test]
fn conversions_are_those_of_the_host() {
    finds_what_the_host_finds("guest-x86/conversions.c");
}

/// SSSE3 on the registers of MMX; SSE3 and SSE4.1 under every rounding, and the exceptions that they raise.
#[test]
fn vectors_are_those_of_the_host() {
    finds_what_the_host_finds("guest-x86/media.c");
}

/// Vectors of 256 bits, their upper halves in signal handlers that look at them and change them, and XSAVE.
#[test]
fn vectors_of_256_bits_are_those_of_the_host() {
    assert_eq!(built("guest-x86_64/avx.c", Link::Static), Some(0));
}
