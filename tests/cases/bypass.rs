//! Native bypass: the same results, by either door, and a report that counts.

use tests::programs::{GUESTS, Link, build};
use tests::run::{emulate, finish};

fn report(options: &[&str], program: &std::path::Path) -> String {
    let output = finish(emulate(options.iter().map(AsRef::as_ref).chain([program.as_os_str()])));
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// Calls the report counts for a function.
fn calls(report: &str, function: &str) -> u64 {
    let row = report.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find(|w| w.get(1) == Some(&function));
    row.map_or(0, |w| w[2].parse().unwrap())
}

#[test]
fn calls_are_counted_dynamic_and_static() {
    for guest in GUESTS {
        for link in [Link::Static, Link::Dynamic] {
            let text = report(&["--native-bypass", "--native-report"], &build("guest/strings.c", guest, link));
            for (function, at_least) in
                [("memcpy", 300), ("memcmp", 300), ("strlen", 300), ("strcpy", 300), ("memset", 2000), ("strrchr", 300)]
            {
                assert!(calls(&text, function) >= at_least, "{guest} {link:?} {function}: {text}");
            }
        }
    }
}

#[test]
fn faulting_calls_are_counted_as_fallbacks() {
    let text = report(&["--native-bypass", "--native-report"], &build("guest/strings.c", "aarch64", Link::Static));
    let row =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find(|w| w.get(1) == Some(&"memcpy")).unwrap();
    assert!(row[3].parse::<u64>().unwrap() >= 1000, "{text}");
}

#[test]
fn a_list_chooses() {
    let program = build("guest/strings.c", "riscv64", Link::Static);
    let text = report(&["--native-bypass=str,-strcpy", "--native-report"], &program);
    assert!(calls(&text, "strlen") > 0 && calls(&text, "strcpy") == 0 && calls(&text, "memcpy") == 0, "{text}");
}

#[test]
fn an_unknown_name_in_the_list_is_refused() {
    let output = finish(emulate(["--native-bypass=memcpy,frobnicate", "/bin/true"]));
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("frobnicate"));
}

#[test]
fn without_the_option_nothing_is_bypassed() {
    let text = report(&["--native-report"], &build("guest/strings.c", "aarch64", Link::Static));
    assert!(text.contains(" 0 calls"), "{text}");
}

#[test]
fn the_list_names_every_function_by_group() {
    let output = finish(emulate(["--native-bypass=list"]));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("libc, mem: memcpy memmove") && text.contains("libc, str: strlen"), "{text}");
}
