//! Programs of the Debian arm64 distribution, dynamically linked, against the host's own on the same input.

use std::path::PathBuf;
use tests::run::{emulate, finish, finish_with};

fn guest_program(path: &str) -> PathBuf {
    let tree = tests::sysroot("aarch64");
    assert!(tree.join(".complete").exists(), "tests/setup.sh fetches the arm64 programs");
    tree.join(path)
}

/// Runs `path` of the guest's tree; what it prints on standard output, having succeeded silently.
fn run(path: &str, arguments: &[&str], input: &str) -> String {
    let tree = tests::sysroot("aarch64");
    let mut command = emulate(["-L".as_ref(), tree.as_os_str(), guest_program(path).as_os_str()]);
    command.args(arguments).env("LC_ALL", "C").current_dir(tests::root());
    let output = finish_with(command, input.as_bytes());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{path} {arguments:?}: {}\n{errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn native(program: &str, arguments: &[&str], input: &str) -> String {
    let mut command = std::process::Command::new(program);
    command.args(arguments).env("LC_ALL", "C").current_dir(tests::root());
    String::from_utf8_lossy(&finish_with(command, input.as_bytes()).stdout).into_owned()
}

#[track_caller]
fn same(path: &str, arguments: &[&str], input: &str) {
    let program = path.rsplit('/').next().unwrap();
    assert_eq!(run(path, arguments, input), native(program, arguments, input), "{path} {arguments:?}");
}

fn numbers() -> String {
    (0..3000_u64).map(|i| format!("{}\n", i.wrapping_mul(2_654_435_761) % 100_003)).collect()
}

#[test]
fn bash_evaluates_scripts() {
    let script = r#"
        f() { local n=$1; if ((n < 2)); then echo "$n"; else echo $(( $(f $((n-1))) + $(f $((n-2))) )); fi; }
        f 7
        for i in {1..5}; do printf '%s-%03d\n' "$i" "$((i * i))"; done | tac
        declare -A m=([one]=1 [two]=2); for k in one two; do echo "$k=${m[$k]}"; done
        x="some text"; echo "${x/some/other}" "${#x}" "${x^^}"
        trap 'echo bye' EXIT; cat <<< "here"; [[ abc =~ ^a(.)c$ ]] && echo "${BASH_REMATCH[1]}"
    "#;
    let mut command =
        emulate(["-L".as_ref(), tests::sysroot("aarch64").as_os_str(), guest_program("bin/bash").as_os_str()]);
    command.args(["-c", script]).env("LC_ALL", "C");
    let output = finish(command);
    assert_eq!(String::from_utf8_lossy(&output.stdout), native("bash", &["-c", script], ""), "{output:?}");
}

#[test]
fn coreutils_list_and_sort() {
    same("bin/ls", &["-la", "tests", "emulator"], "");
    same("usr/bin/sort", &["-n"], &numbers());
    same("usr/bin/sort", &["-r", "-u"], &numbers());
    same("usr/bin/sha256sum", &["README.md", "Cargo.lock"], "");
    same("usr/bin/md5sum", &["Cargo.lock"], "");
    same("usr/bin/wc", &["Cargo.lock"], "");
    same("usr/bin/seq", &["-f", "%.3e", "1", "0.37", "5"], "");
    same("usr/bin/od", &["-A", "x", "-t", "x1z", "Cargo.toml"], "");
}

#[test]
fn listing_the_root_names_what_is_there() {
    // `ls -la /` shows the root as the guest sees it: its tree before the host's.
    assert!(run("bin/ls", &["-la", "/"], "").contains(" usr"));
}

#[test]
fn sed_grep_and_awk_edit_text() {
    same("bin/sed", &["-E", r"s/([0-9])([0-9])/\2\1/g; 3d; $!N; P; D"], &numbers());
    same("bin/grep", &["-rn", "--include=*.toml", "workspace", "emulator"], "");
    let script = "{ s += $1; n[$1 % 3]++ } END { for (i = 0; i < 3; i++) print i, n[i]; printf \"%.4f\\n\", s / NR }";
    assert_eq!(run("usr/bin/gawk", &[script], "4\n5\n6\n9\n"), "0 2\n1 1\n2 1\n6.0000\n");
    same("usr/bin/find", &["isa-specs", "-name", "*.isa", "-size", "+1k"], "");
}

#[test]
fn sqlite_computes_in_memory() {
    let script = "create table t(a integer primary key, b text); with recursive n(i) as (select 1 union all select i+1 from n where i<500) \
                  insert into t select i, hex(i*i) from n; select count(*), sum(a), max(b) from t; \
                  select b, count(*) from t group by substr(b,1,1) order by 2 desc, 1 limit 5; select round(avg(a*1.5),3), sqrt(2), 1e300*10 from t;";
    let printed = run("usr/bin/sqlite3", &[":memory:", script], "");
    assert!(printed.starts_with("500|125250|"), "{printed}");
    assert!(printed.ends_with("375.75|1.4142135623731|1.0e+301\n"), "{printed}");
}

#[test]
fn python_runs() {
    let script = "import json, math, re, hashlib\nprint(sum(i*i for i in range(1000)), math.pi, 2**200, 1/3)\n\
                  print(json.dumps({'a': [1, 2.5, None], 'b': 'x'}), re.sub(r'(\\w)(\\d)', r'\\2\\1', 'a1 b2'))\n\
                  print(hashlib.sha256(b'abc').hexdigest(), sorted('hello'), f'{1e100:.3g}', int('7'*30) % 97)";
    assert_eq!(run("usr/bin/python3", &["-c", script], ""), native("python3", &["-c", script], ""));
}

#[test]
fn perl_runs() {
    let script = r#"my %h; $h{$_ % 10}++ for 1..1000; print join(",", map {"$_:$h{$_}"} sort keys %h), "\n"; my $s = "abc" x 3; $s =~ s/b/-/g; print "$s ", sqrt(2), "\n";"#;
    same("usr/bin/perl", &["-e", script], "");
}

#[test]
fn busybox_is_static() {
    let printed = run(
        "bin/busybox",
        &["sh", "-c", "for i in 1 2 3; do echo $((i * 7)); done | busybox sort -r | busybox head -n 2"],
        "",
    );
    assert_eq!(printed, "7\n21\n");
}

#[test]
fn programs_run_with_native_bypass() {
    let tree = tests::sysroot("aarch64");
    let mut command = emulate([
        "--native-bypass".as_ref(),
        "-L".as_ref(),
        tree.as_os_str(),
        guest_program("usr/bin/sort").as_os_str(),
    ]);
    command.env("LC_ALL", "C");
    let output = finish_with(command, numbers().as_bytes());
    assert_eq!(String::from_utf8_lossy(&output.stdout), native("sort", &[], &numbers()));
}
