//! The program's answers, as `isa disasm` reads them.

use std::io::Write as _;
use std::process::{Command, Stdio};

/// The answers to some requests.
fn answers(arguments: &[&str], requests: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_isa-code"));
    let mut child = command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(requests.as_bytes()).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}

#[test]
fn the_intermediate_representation_of_instructions() {
    insta::assert_snapshot!(answers(&["riscv64", "--ir"], "1000 0 93027300\n2000 0 ffffffff\nx\n"));
    insta::assert_snapshot!(answers(&["mips", "--ir"], "1000 0 10850003\n")); // a branch with its delay slot
}

/// Without what units ask of the dispatcher at their entries.
#[test]
fn the_host_code_of_instructions() {
    insta::assert_snapshot!(answers(&["riscv64", "--host"], "1000 0 93027300\n1000 0 63847300\n1000 0 67800200\n"));
}

#[test]
fn the_host_code_of_every_guests_tests() {
    for guest in guests::ALL {
        let bytes = |code: &[u8]| code.iter().map(|b| format!("{b:02x}")).collect::<String>();
        let before = |t: &ir::guest::InsnTest, name: &str| t.before.iter().find(|b| b.0 == name).map(|b| b.1 as u32);
        let mode = |t: &ir::guest::InsnTest| {
            guest.contexts.iter().fold(0, |mode, c| mode | before(t, c.name).unwrap_or(c.reset) << c.lo)
        };
        let request = |t: &ir::guest::InsnTest| format!("1000 {:x} {}\n", mode(t), bytes(t.code));
        let tests = || guests::tests(guest).iter().take(50);
        let text = answers(&[guest.name, "--host"], &tests().map(request).collect::<String>());
        let answers: Vec<&str> = text.split("\n\n").filter(|a| !a.is_empty()).collect();
        assert_eq!(answers.len(), tests().count(), "{}", guest.name);
        let host = answers.iter().filter(|a| a.contains("host, ") && a.contains("\n      0x1000  ")).count();
        assert!(host > 30, "{}: only {host} of {} have host code: {text}", guest.name, answers.len());
    }
}

#[test]
fn another_guest_is_not_known() {
    let output = Command::new(env!("CARGO_BIN_EXE_isa-code")).arg("vax").output().unwrap();
    assert!(!output.status.success() && String::from_utf8_lossy(&output.stderr).contains("riscv64"));
}
