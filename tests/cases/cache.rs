//! `--cache`: translations of earlier runs change how fast a program starts, and nothing else.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tests::programs::{GUESTS, Link, build, libraries};
use tests::run::{emulate, finish};

/// An empty directory.
fn scratch(name: &str) -> PathBuf {
    let directory = tests::root().join("target/cache").join(name);
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
    directory
}

/// A run that translates all it executes.
fn cached(directory: &Path, program: &Path) -> Command {
    let mut command = usual(directory, program);
    command.env("ISAMORPH_EAGER", "1");
    command
}

fn usual(directory: &Path, program: &Path) -> Command {
    let mut command = emulate(["--stats".as_ref(), "--cache".as_ref(), directory, program]);
    command.env_remove("ISAMORPH_CACHE");
    command
}

/// Units translated, and taken from the cache, by the last process that reports.
fn units(output: &Output) -> (u64, u64) {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().rfind(|line| line.contains(" from the cache")).unwrap_or_else(|| panic!("{text}"));
    let numbers: Vec<u64> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    (numbers[0], numbers[1])
}

fn hello(guest: &str) -> PathBuf {
    build("bench/hello.c", guest, Link::Static)
}

/// The one file in a directory.
fn only_file(directory: &Path) -> PathBuf {
    let files: Vec<PathBuf> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    file.clone()
}

#[test]
fn programs_do_with_it_what_they_do_without() {
    let programs = ["hello", "process", "segv", "signals", "threads"];
    let directory = scratch("programs");
    let other = ["arm-t32", "arm-a32", "mips", "mipsel", "mips64", "mips64el", "loongarch64", "x86"];
    for guest in GUESTS.into_iter().chain(other) {
        let Some(root) = libraries(guest) else { continue };
        for name in programs {
            let program = build(&format!("guest/{name}.c"), guest, Link::Dynamic);
            let run = |mut command: Command| {
                finish({
                    command.arg("5");
                    command
                })
            };
            let plain = run(emulate(["-L".as_ref(), root.as_path(), &program]));
            let mut runs = Vec::new();
            for _ in 0..3 {
                let mut command = emulate(["--stats".as_ref(), "--cache".as_ref(), directory.as_path()]);
                command.args(["-L".as_ref(), root.as_path(), &program]).env_remove("ISAMORPH_CACHE");
                let output = run(command);
                assert_eq!(output.status, plain.status, "{guest} {name}: {output:?}");
                assert_eq!(output.stdout, plain.stdout, "{guest} {name}");
                runs.push(units(&output));
            }
            let (before, now) = (runs[0], runs[2]);
            assert!(now == before || now.1 > before.0, "{guest} {name}: {runs:?}");
        }
    }
}

#[test]
fn the_second_run_translates_nothing() {
    for guest in GUESTS {
        let directory = scratch(&format!("second-{guest}"));
        let (first, second) = (finish(cached(&directory, &hello(guest))), finish(cached(&directory, &hello(guest))));
        assert_eq!((&first.stdout, &second.stdout), (&b"hello\n".to_vec(), &b"hello\n".to_vec()));
        let ((made, none), (new, taken)) = (units(&first), units(&second));
        assert!(made > 100 && none == 0, "{first:?}");
        assert!(new == 0 && taken == made, "{second:?}");
        let mode = only_file(&directory).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}

#[test]
fn what_earlier_runs_interpret_later_ones_translate() {
    for guest in GUESTS {
        let directory = scratch(&format!("interpreted-{guest}"));
        let runs: Vec<(u64, u64)> = (0..4)
            .map(|_| {
                let output = finish(usual(&directory, &hello(guest)));
                assert_eq!(output.stdout, b"hello\n", "{output:?}");
                units(&output)
            })
            .collect();
        let [first, .., last] = runs[..] else { panic!("{runs:?}") };
        assert!(first.0 > 10 && first.1 == 0 && last.1 > 2 * first.0 && last.0 * 4 < last.1, "{runs:?}");
        assert!(runs.windows(2).all(|pair| pair[1].0 <= 300 && pair[0].1 <= pair[1].1), "{runs:?}");
    }
}

#[test]
fn with_other_features_of_the_host_it_is_another_cache() {
    let directory = scratch("features");
    finish(cached(&directory, &hello("aarch64")));
    let mut command = cached(&directory, &hello("aarch64"));
    command.env("ISAMORPH_HOST_CPU", "v1");
    let output = finish(command);
    assert_eq!(units(&output).1, 0, "{output:?}");
    assert_eq!(fs::read_dir(&directory).unwrap().count(), 2);
}

#[test]
fn another_program_under_the_same_name_is_translated_anew() {
    let directory = scratch("replaced");
    let program = scratch("replaced-program").join("program");
    fs::copy(hello("aarch64"), &program).unwrap();
    finish(cached(&directory, &program));
    fs::remove_file(&program).unwrap();
    fs::copy(build("bench/calls.c", "aarch64", Link::Static), &program).unwrap();
    for _ in 0..2 {
        let mut command = cached(&directory, &program);
        command.arg("20");
        assert_eq!(finish(command).stdout, b"6765\n");
    }
}

#[test]
fn a_damaged_file_is_as_good_as_none() {
    let directory = scratch("damaged");
    finish(cached(&directory, &hello("riscv64")));
    let file = only_file(&directory);
    let sound = fs::read(&file).unwrap();
    let run = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        let output = finish(cached(&directory, &hello("riscv64")));
        assert_eq!((&output.stdout[..], output.status.code()), (&b"hello\n"[..], Some(0)), "{output:?}");
        units(&output)
    };
    let all = run(&sound).1;
    for part in 1..12 {
        run(&sound[..sound.len() * part / 12]);
        let mut damaged = sound.clone();
        let at = sound.len() * part / 12;
        damaged[at..at + 64].fill(0x5a);
        let (new, taken) = run(&damaged);
        assert!(new > 0 && new + taken == all, "{part}: {new} + {taken}");
    }
    assert_eq!(run(&sound), (0, all));
}

#[test]
fn what_others_may_write_to_is_not_used() {
    let directory = scratch("others");
    finish(cached(&directory, &hello("aarch64")));
    let file = only_file(&directory);
    let taken = || units(&finish(cached(&directory, &hello("aarch64")))).1;
    let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    assert!(taken() > 0);
    allow(&file, 0o620);
    assert_eq!(taken(), 0);
    allow(&file, 0o600);
    allow(&directory, 0o702);
    assert_eq!(taken(), 0);
    allow(&directory, 0o700);
    assert!(taken() > 0);
    fs::rename(&file, directory.with_extension("elsewhere")).unwrap();
    std::os::unix::fs::symlink(directory.with_extension("elsewhere"), &file).unwrap();
    assert_eq!(taken(), 0);
}

#[test]
fn without_a_directory_for_caches_none_is_made() {
    let home = scratch("home");
    let run = || {
        let mut command = emulate(["--stats".into(), hello("aarch64")]);
        command.env_remove("ISAMORPH_CACHE").env_remove("XDG_CACHE_HOME").env("HOME", &home);
        units(&finish(command)).1
    };
    assert_eq!((run(), run()), (0, 0));
    assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
    fs::create_dir(home.join(".cache")).unwrap();
    assert_eq!(run(), 0);
    assert!(run() > 0);
    assert!(only_file(&home.join(".cache/isamorph")).exists());
}

#[test]
fn a_program_that_is_executed_has_its_own() {
    let tree = tests::sysroot("aarch64");
    assert!(tree.join(".complete").exists(), "tests/setup.sh fetches the arm64 programs");
    let directory = scratch("executed");
    let run = || {
        let mut command = emulate(["--stats".as_ref(), "--cache".as_ref(), directory.as_path(), "-L".as_ref(), &tree]);
        command.arg(tree.join("bin/bash")).env_remove("ISAMORPH_CACHE").env("ISAMORPH_EAGER", "1");
        command.args(["-c", "for i in 1 2 3; do /usr/bin/expr $i + 1; done; exec /bin/bash -c 'echo $((5 * 5))'"]);
        finish(command)
    };
    let (first, second) = (run(), run());
    assert_eq!(first.stdout, b"2\n3\n4\n25\n");
    assert_eq!(second.stdout, first.stdout);
    assert!(units(&second).0 * 4 < units(&first).0 && units(&second).1 > 0, "{first:?}, {second:?}");
    let names: Vec<String> =
        fs::read_dir(&directory).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    for program in ["bash-", "expr-"] {
        assert_eq!(names.iter().filter(|name| name.starts_with(program)).count(), 1, "{names:?}");
    }
}

#[test]
fn functions_are_bypassed_with_translations_from_a_run_without_and_the_reverse() {
    let program = build("guest/bypass.c", "aarch64", Link::Static);
    let directory = scratch("bypass");
    let run = |bypass: bool| {
        let mut command = cached(&directory, &program);
        if bypass {
            command.env("ISAMORPH_NATIVE_BYPASS", "all");
        }
        let output = finish(command);
        (output.status.code(), output.stdout)
    };
    let expected = run(false);
    for bypass in [true, false, true, true, false] {
        assert_eq!(run(bypass), expected);
    }
}
