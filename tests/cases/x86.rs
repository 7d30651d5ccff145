//! Programs of the guest that is the host's own kind of processor: by themselves and emulated.
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

#[test]
fn a_program_without_a_library_runs() {
    assert_eq!(built("guest-x86_64/freestanding.S", Link::Freestanding), Some(42));
}

#[test]
fn stores_to_code_are_noticed() {
    assert_eq!(built("guest-x86_64/code.c", Link::Static), Some(0));
}

#[test]
fn programs_in_c_run() {
    for source in
        ["hello", "strings", "memory", "segv", "signals", "threads", "timer", "lifetimes", "process", "syscalls"]
    {
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
