//! The C programs under `tests/guest`, on every guest, both engines, linked every way. Each checks itself and prints what
//! it found; the host's own build of it says what that must be.

use std::path::Path;
use tests::programs::{GUESTS, Link, build};
use tests::run::{emulate, finish};

fn output_of(command: std::process::Command) -> (String, Option<i32>) {
    let described = format!("{command:?}");
    let output = finish(command);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.is_empty(), "{described}: {errors}");
    (String::from_utf8(output.stdout).unwrap(), output.status.code())
}

fn same_as_native(source: &str, links: &[Link], options: &[&str]) {
    let native = output_of(std::process::Command::new(build(source, "native", Link::Static)));
    for guest in GUESTS {
        // Debian's RISC-V cross library has no start-up code for static PIEs.
        for &link in links.iter().filter(|&&link| !(link == Link::StaticPie && guest == "riscv64")) {
            let program = build(source, guest, link);
            let arguments = options.iter().map(AsRef::as_ref).chain([program.as_path()]);
            assert_eq!(output_of(emulate::<&Path>(arguments)), native, "{source} on {guest}, {link:?}, {options:?}");
        }
    }
}

macro_rules! guest_programs {
    ($($name:ident),*) => {$(
        mod $name {
            use super::*;
            const SOURCE: &str = concat!("guest/", stringify!($name), ".c");

            #[test]
            fn translated() {
                same_as_native(SOURCE, &[Link::Static, Link::StaticPie, Link::Dynamic], &[]);
            }

            /// Code that is executed once is interpreted otherwise.
            #[test]
            fn translated_at_once() {
                same_as_native(SOURCE, &[Link::Static, Link::Dynamic], &["--eager"]);
            }

            #[test]
            fn interpreted() {
                same_as_native(SOURCE, &[Link::Static], &["--interp"]);
            }

            #[test]
            fn in_lock_step() {
                same_as_native(SOURCE, &[Link::Static], &["--check"]);
            }

            #[test]
            fn bypassed() {
                same_as_native(SOURCE, &[Link::Static, Link::Dynamic], &["--native-bypass"]);
            }
        }
    )*};
}

guest_programs!(
    hello, lifetimes, memory, messages, patched, process, segv, signals, strings, syscalls, threads, timer, turns,
    users
);

#[test]
fn arguments_environment_and_status_pass_through() {
    for guest in GUESTS {
        let mut command = emulate([build("guest/hello.c", guest, Link::Static)]);
        command.args(["a b", "", "7"]).env("GREETING", "good day");
        let output = finish(command);
        assert_eq!(
            String::from_utf8_lossy(&output.stdout),
            "good day, world\nargument 1: a b\nargument 2: \nargument 3: 7\n"
        );
        assert_eq!(output.status.code(), Some(7));
    }
}

#[test]
fn the_prebuilt_program_counts_words() {
    for guest in GUESTS {
        let program = tests::root().join(format!("tests/prebuilt/wordfreq-{guest}"));
        let output = tests::run::finish_with(emulate([program]), b"the cat, the dog; The end\n");
        assert_eq!(String::from_utf8_lossy(&output.stdout), "      3 the\n      1 cat\n      1 dog\n      1 end\n");
    }
}
