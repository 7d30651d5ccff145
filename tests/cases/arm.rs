//! 32-bit ARM: a program without a C library, and the C programs with Debian's, in both instruction sets, on both engines.

use std::path::{Path, PathBuf};
use std::process::Command;

use tests::programs::{Link, build, compiler, instruction_set, libraries};
use tests::run::{emulate, finish};

/// The instruction set that the compiler generates. The C library of Debian is T32 in either case.
const GUESTS: [&str; 2] = ["arm-a32", "arm-t32"];

fn freestanding(source: &str, unit: &[&str], guest: &str) -> PathBuf {
    let directory = tests::root().join("target/guest-programs").join(guest);
    std::fs::create_dir_all(&directory).unwrap();
    let program = directory.join(format!("{source}-{:?}", std::thread::current().id()));
    let status = Command::new(compiler(guest))
        .args(["-O2", "-Wall", "-Werror", "-nostdlib", "-static", "-ffreestanding", "-march=armv7ve"])
        .args(unit)
        .args(instruction_set(guest))
        .arg("-o")
        .arg(&program)
        .arg(tests::root().join("tests/freestanding").join(source).with_extension("c"))
        .status()
        .unwrap_or_else(|e| panic!("{}: {e}; tests/setup.sh installs it", compiler(guest).display()));
    assert!(status.success());
    program
}

/// `interrupted` is 1 + 2 + 4: the IT block goes on after the handler, under its condition. `helpers` has a bit for each.
const EXPECTED: &str = "squares 332833500\nfib 6765\nunaligned 16909061\ncopied byte by byte\nboth 114\nconditional 510\n\
                        helpers 63\nrewritten 2040\ninterrupted 7\nsignal 4\nhigh 28389652\ndouble 493827160\n";

#[test]
fn a_program_without_a_library() {
    for guest in GUESTS {
        let program = freestanding("arm", &["-mfpu=vfpv4"], guest);
        for options in [&[] as &[&str], &["--interp"]] {
            let output = finish(emulate(options.iter().map(Path::new).chain([program.as_path()])));
            assert_eq!(String::from_utf8_lossy(&output.stdout), EXPECTED, "{guest} {options:?}");
            assert_eq!(output.status.code(), Some(42), "{guest} {options:?}");
        }
    }
}

/// As QEMU has them.
const DIGESTS: &str = "vadd 939594ac\nvsub 61a2df60\nvmul 98accf85\nvmla dcf63469\nvmls 18389757\nvfma b918a9dd\n\
                       vfms 5525a84c\nvmax 7bdeba59\nvmin 079a1839\nvceq 22f1c5b9\nvcge de3e763d\nvcgt a5720499\n\
                       vacge 26a59d69\nvacgt 18b484d1\nvcvt.s32.f32 599cf125\nvcvt.u32.f32 bdab06a5\n\
                       vcvt.f32.s32 5b817b45\nvcvt.f32.u32 b1aeafa1\nscalar vadd 3a524f7a\nscalar vmul ae87029c\n\
                       scalar vmla e2f5097b\nscalar vfma c5bb247f\nmixed cbe668fe\n";

#[test]
fn advanced_simd_calculates_by_a_fixed_fpscr_and_vfp_by_the_present_one() {
    for guest in GUESTS {
        let program = freestanding("neon", &["-mfpu=neon-vfpv4"], guest);
        for options in [&[] as &[&str], &["--interp"]] {
            let output = finish(emulate(options.iter().map(Path::new).chain([program.as_path()])));
            assert_eq!(String::from_utf8_lossy(&output.stdout), DIGESTS, "{guest} {options:?}");
        }
    }
}

/// As QEMU has them.
const FAMILIES: &str = "sums 0bf1dd01\norders 7fffc284\nlogic a4245fb9\nshifts 5be99ff9\n\
                        longer 0eaf017d\npairs 2c3ffee4\nproducts 181dd72c\nscalars ae2b0439\n\
                        unary 0f6ce0a4\nnarrows 032abb7d\nconstants db0d2754\npermutations 5ee88a25\n\
                        tables ef5a90a5\nstructures 2b843851\nelements a22cc7ef\nnumbers 1a46746d\n\
                        any_floats 38c0b6bb\nimmediates b004bb95\n";

#[test]
fn intrinsics_of_advanced_simd_do_as_in_qemu() {
    for guest in GUESTS {
        let program = freestanding("intrinsics", &["-mfpu=neon-vfpv4", "-mfp16-format=ieee"], guest);
        for options in [&[] as &[&str], &["--interp"]] {
            let output = finish(emulate(options.iter().map(Path::new).chain([program.as_path()])));
            assert_eq!(String::from_utf8_lossy(&output.stdout), FAMILIES, "{guest} {options:?}");
        }
    }
}

/// The programs under `tests/guest` that do not count on 64-bit words.
const PROGRAMS: [&str; 10] =
    ["hello", "lifetimes", "messages", "patched", "process", "segv", "signals", "strings", "threads", "timer"];

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
            assert_eq!(run(&build(&source, guest, Link::Static), &[]), expected, "{name} on {guest}");
        }
    }
}

#[test]
fn dynamic_programs_do_as_native_ones() {
    for name in PROGRAMS {
        let source = format!("guest/{name}.c");
        let native = finish(Command::new(build(&source, "native", Link::Static)));
        let expected = (String::from_utf8_lossy(&native.stdout).into_owned(), String::new(), native.status.code());
        for guest in GUESTS {
            let root = libraries(guest).expect("there is a compiler");
            assert_eq!(
                run(&build(&source, guest, Link::Dynamic), &["-L", root.to_str().unwrap()]),
                expected,
                "{name} on {guest}"
            );
        }
    }
}

/// Symbols and IFUNC resolvers in T32 have bit 0 set in their addresses; code starts without it.
#[test]
fn known_functions_run_as_host_code() {
    for guest in GUESTS {
        for link in [Link::Static, Link::Dynamic] {
            let program = build("guest/strings.c", guest, link);
            let root = libraries(guest).expect("the compiler has built the program");
            let tree = ["-L", root.to_str().unwrap()];
            let (plain, _, _) = run(&program, &tree);
            let (output, report, code) = run(&program, &[&tree[..], &["--native-bypass", "--native-report"]].concat());
            assert_eq!((output, code), (plain, Some(0)), "{guest} {link:?}");
            for function in ["memcpy", "memcmp", "strlen", "strcpy", "memset", "strrchr"] {
                let row = report.lines().find(|line| line.split_whitespace().nth(1) == Some(function));
                let calls = row.and_then(|row| row.split_whitespace().nth(2)?.parse::<u64>().ok());
                assert!(calls >= Some(300), "{guest} {link:?} {function}: {report}");
            }
        }
    }
}
