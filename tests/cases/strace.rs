//! `--strace` on a program whose system calls are known: lines as strace prints them.

use tests::programs::{GUESTS, Link, build};
use tests::run::{emulate, finish};

/// What `--strace=filter` writes to stderr.
fn trace(guest: &str, filter: &str) -> String {
    let program = build("guest/traced.c", guest, Link::Static);
    let output = finish(emulate([format!("--strace={filter}").into(), program.into_os_string()]));
    assert_eq!(output.status.code(), Some(5), "{guest}");
    String::from_utf8(output.stderr).unwrap()
}

/// Numbers of processes and addresses replaced, so that lines can be compared.
fn without_numbers(text: &str) -> Vec<String> {
    let plain = |word: &str| word.chars().all(|c| c.is_ascii_digit()) && word.len() > 3;
    let hide = |line: &str| {
        let words = line.split_inclusive(|c: char| !c.is_ascii_alphanumeric());
        words
            .map(|w| {
                if plain(w.trim_end_matches(|c: char| !c.is_ascii_digit())) {
                    w.replace(|c: char| c.is_ascii_digit(), "")
                } else {
                    w.to_owned()
                }
            })
            .collect::<String>()
    };
    text.lines().map(hide).collect()
}

#[test]
fn files_and_their_flags() {
    for guest in GUESTS {
        let text = trace(guest, "openat,write,fstat,newfstatat");
        for line in [
            r#"openat(AT_FDCWD, "/none/of\n that", O_RDONLY|O_DIRECTORY|O_NOFOLLOW) = -1 ENOENT (No such file or directory)"#,
            r#"openat(AT_FDCWD, "/dev/null", O_WRONLY|O_APPEND|O_CLOEXEC) = 3"#,
            r#"newfstatat(3, "", {st_mode=S_IFCHR|0666, st_size=0, ...}, AT_EMPTY_PATH) = 0"#,
            r#"write(3, "0123456789abcdefghijklmnopqrstuv"..., 36) = 36"#,
        ] {
            assert!(text.lines().any(|l| l == line), "{guest}: no line\n{line}\nin\n{text}");
        }
        assert!(!text.contains("close("), "{guest}: filtered\n{text}");
    }
}

#[test]
fn processes_threads_and_signals() {
    for guest in GUESTS {
        let text = trace(guest, "clone,wait4,read,exit_group,tgkill");
        let lines = without_numbers(&text);
        // Whether the parent waits before or after the child ends is the scheduler's choice.
        let containing = |wanted: &str| {
            lines.iter().position(|l| l.contains(wanted)).unwrap_or_else(|| panic!("{guest}: no {wanted} in\n{text}"))
        };
        // The padding before `=` depends on how long the process numbers are.
        let signal = "--- SIGUSR1 {si_signo=SIGUSR1, si_code=SI_TKILL, si_pid=";
        assert!(containing(", SIGUSR1) ") < containing(signal), "{text}");
        let (ends, waited) =
            (containing("exit_group(3)"), containing("[{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = "));
        assert!(ends < waited, "{text}");
        containing("+++ exited with 5 +++");
        assert!(
            lines.iter().any(|l| l.ends_with("= 1") && l.contains("\"x\", 1)")),
            "{guest}: read of the thread in\n{text}"
        );
    }
}

#[test]
fn a_call_that_does_not_exist_is_reported_once() {
    for guest in GUESTS {
        let output = finish(emulate([build("guest/traced.c", guest, Link::Static)]));
        assert_eq!(String::from_utf8_lossy(&output.stderr), format!("isamorph: {guest} has no system call 100000\n"));
    }
}

#[test]
fn a_filter_that_names_nothing_is_an_error() {
    for guest in GUESTS {
        let program = build("guest/traced.c", guest, Link::Static);
        let output = finish(emulate(["--strace=opneat".into(), program.into_os_string()]));
        assert_eq!(output.status.code(), Some(125));
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("`opneat` is neither a system call") && output.stdout.is_empty(), "{text}");
    }
}

#[test]
fn a_trace_goes_to_a_file() {
    let file = std::env::temp_dir().join(format!("isamorph-trace-{}", std::process::id()));
    let program = build("guest/traced.c", GUESTS[0], Link::Static);
    let options =
        ["--strace=write".into(), "--strace-output".into(), file.clone().into_os_string(), program.into_os_string()];
    let output = finish(emulate(options));
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::remove_file(&file).unwrap();
    assert!(
        text.contains("write(3, \"0123456789") && !String::from_utf8_lossy(&output.stderr).contains("write("),
        "{text}"
    );
}
