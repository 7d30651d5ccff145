//! What is not a program is refused in one clear message, with the exit status of env(1): 125, 126 or 127.

use std::fs;
use std::path::PathBuf;
use tests::run::{emulate, finish};

struct Refusal {
    status: i32,
    message: String,
}

/// Runs the emulator and checks what holds for every refusal: nothing on standard output, one message, no panic.
fn refused(arguments: &[&str]) -> Refusal {
    let output = finish(emulate(arguments));
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(output.stdout.is_empty(), "{arguments:?} wrote to standard output");
    assert!(message.starts_with("isamorph: "), "{arguments:?}: {message}");
    assert!(!message.contains("panicked"), "{message}");
    assert!(message.lines().count() <= 4, "{message}");
    Refusal { status: output.status.code().unwrap_or(-1), message }
}

fn file(name: &str, contents: &[u8]) -> PathBuf {
    let directory = tests::root().join("target/bad-input");
    fs::create_dir_all(&directory).unwrap();
    let path = directory.join(name);
    fs::write(&path, contents).unwrap();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    fs::set_permissions(&path, permissions).unwrap();
    path
}

fn program() -> Vec<u8> {
    fs::read(tests::root().join("tests/prebuilt/wordfreq-aarch64")).unwrap()
}

fn refuse_bytes(name: &str, contents: &[u8]) -> Refusal {
    refused(&[file(name, contents).to_str().unwrap()])
}

#[test]
fn a_missing_program_is_not_found() {
    let r = refused(&["/no/such/program"]);
    assert_eq!(r.status, 127, "{}", r.message);
    assert!(r.message.contains("/no/such/program"));
}

#[test]
fn an_unknown_option_is_a_usage_error() {
    let r = refused(&["--frobnicate", "/bin/true"]);
    assert_eq!(r.status, 125, "{}", r.message);
    assert!(r.message.contains("--frobnicate"));
}

#[test]
fn no_program_is_a_usage_error() {
    assert_eq!(refused(&[]).status, 125);
}

#[test]
fn text_is_not_a_program() {
    let r = refuse_bytes("text", b"just some words\n");
    assert_eq!(r.status, 126, "{}", r.message);
}

#[test]
fn an_empty_file_is_not_a_program() {
    assert_eq!(refuse_bytes("empty", b"").status, 126);
}

#[test]
fn a_directory_is_not_a_program() {
    assert_eq!(refused(&["/"]).status, 126);
}

#[test]
fn an_unreadable_file_says_so() {
    // Root reads everything: the kernel's own refusal stands in for permissions there.
    let r = refused(&["/proc/self/mem"]);
    assert_eq!(r.status, 126, "{}", r.message);
}

#[test]
fn a_foreign_machine_is_named() {
    let mut elf = program();
    elf[18] = 2; // EM_SPARC
    let r = refuse_bytes("sparc", &elf);
    assert_eq!(r.status, 126, "{}", r.message);
    assert!(r.message.to_lowercase().contains("sparc") || r.message.contains("machine 2"), "{}", r.message);
}

#[test]
fn a_missing_loader_says_where_it_was_sought() {
    let path = tests::programs::build("bench/hello.c", "aarch64", tests::programs::Link::Dynamic);
    let mut elf = fs::read(path).unwrap();
    let at = elf.windows(5).position(|w| w == b"/lib/").unwrap();
    elf[at..at + 5].copy_from_slice(b"/nol/");
    let r = refuse_bytes("loaderless", &elf);
    assert_eq!(r.status, 127, "{}", r.message);
    assert!(r.message.contains("/nol/") && r.message.contains("help:"), "{}", r.message);
}

#[test]
fn truncated_programs_are_refused_at_every_length() {
    let elf = program();
    for length in (1..elf.len().min(2048)).step_by(61) {
        let r = refuse_bytes(&format!("truncated-{length}"), &elf[..length]);
        assert_eq!(r.status, 126, "{length} bytes: {}", r.message);
    }
}

/// Any byte of the headers changed: refused, or run to some end, but never a panic or a crash of the emulator itself.
#[test]
fn damaged_headers_never_break_the_emulator() {
    let elf = program();
    let mut random = 12345_u32;
    for n in 0..200 {
        let mut damaged = elf.clone();
        for _ in 0..=n % 3 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            damaged[4 + random as usize % 172] = (random >> 24) as u8;
        }
        let path = file(&format!("damaged-{}", n % 4), &damaged);
        let output = finish(emulate([path.as_os_str(), "/dev/null".as_ref()]));
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(!message.contains("panicked") && !message.contains("emulator bug"), "damage {n}: {message}");
    }
}
