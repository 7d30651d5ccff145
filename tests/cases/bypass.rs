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

/// One guest of every calling convention and byte order.
const CONVENTIONS: [&str; 10] =
    ["x86_64", "x86", "aarch64", "arm", "riscv64", "loongarch64", "mips", "mipsel", "mips64", "mips64el"];

/// A program for each of them, as far as its compiler is there.
fn on_every_convention(source: &'static str) -> impl Iterator<Item = (&'static str, std::path::PathBuf)> {
    CONVENTIONS.into_iter().filter_map(move |guest| {
        if tests::programs::libraries(guest).is_none() {
            eprintln!("skipped {guest}: no compiler");
            return None;
        }
        Some((guest, build(source, guest, Link::Static)))
    })
}

/// Words and pointers, wherever a convention has them.
#[test]
fn strings_are_bypassed_by_every_convention() {
    let native = stdout(&finish(std::process::Command::new(build("guest/strings.c", "native", Link::Static))));
    for (guest, program) in on_every_convention("guest/strings.c") {
        let output = run(&["--native-bypass", "--native-report"], &program, "");
        assert_eq!(stdout(&output), native, "{guest}");
        let text = String::from_utf8(output.stderr).unwrap();
        // On x86-64 the two are one function.
        let copies = calls(&text, "memcpy") + calls(&text, "memmove");
        assert!(copies >= 300 && calls(&text, "strlen") >= 300, "{guest}: {text}");
    }
}

/// Structures and complex numbers in whatever registers, halves of registers and memory a convention has them: the results are
/// those of the guest's own library, and those of this host's.
#[test]
fn values_are_passed_by_every_convention() {
    let native = stdout(&finish(std::process::Command::new(build("guest/values.c", "native", Link::Static))));
    for (guest, program) in on_every_convention("guest/values.c") {
        for options in
            [&["--native-bypass", "--native-report"][..], &["--native-bypass", "--interp", "--native-report"]]
        {
            let output = run(options, &program, "");
            assert_eq!(stdout(&output), native, "{guest} {options:?}");
            let text = String::from_utf8(output.stderr).unwrap();
            // Where a `long long` is a `long`, the three are one function.
            let longer = ["ldiv", "lldiv", "imaxdiv"].map(|name| calls(&text, name)).iter().sum();
            // i386 returns numbers in the format of 80 bits, which is not marshalled: its own function runs.
            let least_fmod = if guest == "x86" { 0 } else { 950 };
            for (name, count, least) in [
                ("div", calls(&text, "div"), 1000),
                ("ldiv, lldiv, imaxdiv", longer, 3000),
                ("conj", calls(&text, "conj"), 64),
                ("cproj", calls(&text, "cproj"), 64),
                ("fmod", calls(&text, "fmod"), least_fmod),
            ] {
                assert!(count >= least, "{guest} {options:?} {name}: {text}");
            }
        }
    }
}

#[test]
fn faulting_calls_are_counted_as_fallbacks() {
    let text = report(&["--native-bypass", "--native-report"], &build("guest/strings.c", "aarch64", Link::Static));
    let row =
        text.lines().map(|l| l.split_whitespace().collect::<Vec<_>>()).find(|w| w.get(1) == Some(&"memcpy")).unwrap();
    assert!(row[4].parse::<u64>().unwrap() >= 1000, "{text}");
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

/// The library that our own build writes for a guest.
fn library(guest: &str) -> std::path::PathBuf {
    let directory = tests::root().join("target/guest-programs").join(guest);
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("libnative.so");
    let fresh = path.with_extension(format!("{:?}", std::thread::current().id()));
    let output = finish(emulate([format!("--libnative={guest}").as_ref(), fresh.as_os_str()]));
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    std::fs::rename(fresh, &path).unwrap();
    path
}

fn run(options: &[&str], program: &std::path::Path, argument: &str) -> std::process::Output {
    let options = options.iter().map(std::convert::AsRef::as_ref);
    finish(emulate(options.chain([program.as_os_str(), argument.as_ref()])))
}

fn stdout(output: &std::process::Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// The guest's own dynamic linker binds to the library: every function runs through it, and gives the same results.
#[test]
fn the_classic_form_preloads_the_library() {
    for guest in GUESTS {
        let (library, program) = (library(guest), build("guest/strings.c", guest, Link::Dynamic));
        let library = library.to_str().unwrap();
        let plain = finish(emulate([&program]));
        let options = ["--native-bypass", library, "--native-report"];
        let bypassed = run(&options, &program, "");
        assert_eq!(stdout(&bypassed), stdout(&plain), "{guest}");
        let text = String::from_utf8(bypassed.stderr).unwrap();
        for function in ["memcpy", "memmove", "memset", "memcmp", "memchr", "strlen", "strnlen", "strcmp", "strncmp"]
            .into_iter()
            .chain(["strcpy", "strncpy", "strcat", "strchr", "strrchr"])
        {
            assert!(calls(&text, function) >= 100, "{guest} {function}: {text}");
        }
        // One that the user preloads stays, and functions that the list leaves out run as guest code.
        let setting = format!("LD_PRELOAD={library}");
        let output = run(&["-E", &setting, "--native-bypass=mem"], &program, "");
        assert_eq!(stdout(&output), stdout(&plain), "{guest}");
    }
}

#[test]
fn a_library_that_does_not_fit_is_refused_with_advice() {
    let program = build("guest/hello.c", "riscv64", Link::Dynamic);
    let output = run(&["--native-bypass", library("aarch64").to_str().unwrap()], &program, "");
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        text.contains("built for aarch64, the program for riscv64") && text.contains("--libnative=riscv64"),
        "{text}"
    );
    let output = run(&["--native-bypass", "/nowhere/libnative.so"], &program, "");
    assert_eq!(output.status.code(), Some(125));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/nowhere/libnative.so"), "{output:?}");
}

/// What a guest sees of calls that fault: the whole signal context, and what was written before. Words that differ from one
/// run without bypass to the next are left out of the comparison.
#[test]
fn faults_are_those_of_the_guest_function() {
    for guest in GUESTS {
        for link in [Link::Static, Link::Dynamic] {
            let program = build("guest/bypass.c", guest, link);
            for mode in ["context", "readonly"] {
                let plain: Vec<String> = (0..3).map(|_| stdout(&run(&[], &program, mode))).collect();
                for options in [&["--native-bypass"][..], &["--native-bypass", "--native-report"]] {
                    compare(&plain, &stdout(&run(options, &program, mode)), &format!("{guest} {link:?} {mode}"));
                }
            }
        }
    }
}

fn compare(plain: &[String], bypassed: &str, what: &str) {
    assert_eq!(plain[0].lines().count(), bypassed.lines().count(), "{what}");
    for (n, line) in bypassed.lines().enumerate() {
        let words = |text: &str| text.lines().nth(n).unwrap().split(' ').map(str::to_owned).collect::<Vec<_>>();
        let runs: Vec<Vec<String>> = plain.iter().map(|run| words(run)).collect();
        // These call others of the functions, which leave other values in registers that nobody reads: the signal, the
        // address and memory have to be the same, but not those.
        let calls_others = ["p_strcpy", "p_strncpy", "p_strcat"].iter().any(|name| line.starts_with(name));
        let end = line.find(" address ").map_or(usize::MAX, |at| line[..at].split(' ').count() + 2);
        for (k, word) in words(bypassed).iter().enumerate().take(if calls_others { end } else { usize::MAX }) {
            let stable = runs.iter().all(|run| run[k] == runs[0][k]);
            assert!(!stable || *word == runs[0][k], "{what}: word {k} is {word}, not {}\n{line}", runs[0][k]);
        }
    }
}

#[test]
fn calls_inside_the_library_are_bypassed() {
    for guest in GUESTS {
        for link in [Link::Static, Link::Dynamic] {
            let program = build("guest/bypass.c", guest, link);
            let plain = stdout(&run(&[], &program, "inside"));
            let output = run(&["--native-bypass", "--native-report"], &program, "inside");
            assert_eq!(stdout(&output), plain, "{guest} {link:?}");
            let text = String::from_utf8(output.stderr).unwrap();
            // snprintf measures each precision-limited string; strdup copies.
            assert!(calls(&text, "strnlen") >= 1000 && calls(&text, "memcpy") >= 1000, "{guest} {link:?}: {text}");
        }
    }
}

#[test]
fn a_program_keeps_its_own_functions() {
    for guest in GUESTS {
        let program = build("guest/interpose.c", guest, Link::Dynamic);
        let library = library(guest);
        for options in [&["--native-bypass"][..], &["--native-bypass", library.to_str().unwrap()]] {
            assert_eq!(stdout(&run(options, &program, "")), "1 1 1010 posed\n", "{guest}");
        }
        let text = report(&["--native-bypass", "--native-report"], &program);
        assert!(text.contains("defines its own: ") && text.contains("memcpy"), "{text}");
    }
}

#[test]
fn a_reserved_instruction_is_illegal_unless_it_names_a_function_and_the_bypass_is_on() {
    for guest in GUESTS {
        for link in [Link::Static, Link::Dynamic] {
            let program = build("guest/bypass.c", guest, link);
            assert!(stdout(&run(&["--native-bypass"], &program, "known")).starts_with("5\n"), "{guest}");
            for (options, mode) in [
                (&[][..], "known"),
                (&[], "unknown"),
                (&["--native-bypass"], "unknown"),
                (&["--native-report"], "known"),
            ] {
                let text = stdout(&run(options, &program, mode));
                assert!(text.contains(": signal 4 code 1 "), "{guest} {options:?} {mode}: {text}");
            }
        }
    }
}

#[test]
fn the_report_is_json_on_request() {
    let output = run(
        &["--native-bypass=-strchr", "--native-report=json"],
        &build("guest/bypass.c", "riscv64", Link::Static),
        "inside",
    );
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.starts_with("{\"method\":\"Saved time is an estimate") && text.trim_end().ends_with("]}"), "{text}");
    assert!(text.contains("\"function\":\"strlen\",\"calls\":3"), "{text}");
    assert!(text.contains("{\"reason\":\"as the list leaves it out\",\"functions\":[\"strchr\"]}"), "{text}");
}
