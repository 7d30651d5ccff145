//! Programs of the Debian distribution, dynamically linked, against the host's own on the same input: arm64 broadly, armhf and
//! riscv64 (of a release that may be later than the host's) where they could be fetched.

use std::path::PathBuf;
use std::process::Command;
use tests::run::{emulate, finish, finish_with};

fn guest_program(path: &str) -> PathBuf {
    let tree = tests::sysroot("aarch64");
    assert!(tree.join(".complete").exists(), "tests/setup.sh fetches the arm64 programs");
    tree.join(path)
}

/// A command that runs `path` of the tree of `guest`; `None`, after saying so, if there is no such tree.
fn in_tree(guest: &str, path: &str) -> Option<Command> {
    let tree = tests::sysroot(guest);
    if guest != "aarch64" && !tree.join(".complete").exists() {
        eprintln!("skipped: no {guest} programs in {}", tree.display());
        return None;
    }
    // Packages of some releases put it in /bin, which is /usr/bin once they are installed.
    let places = [path, path.trim_start_matches("usr/")].map(|path| tree.join(path));
    let program = places.iter().find(|place| place.exists()).unwrap_or(&places[0]);
    let mut command = emulate(["-L".as_ref(), tree.as_os_str(), program.as_os_str()]);
    command.env("LC_ALL", "C").current_dir(tests::root());
    Some(command)
}

/// What `path` of the tree of `guest` prints on standard output, having succeeded silently.
fn printed(guest: &str, path: &str, arguments: &[&str], input: &str) -> Option<String> {
    let mut command = in_tree(guest, path)?;
    command.args(arguments);
    let output = finish_with(command, input.as_bytes());
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && errors.is_empty(), "{path} {arguments:?}: {}\n{errors}", output.status);
    Some(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs `path` of the guest's tree; what it prints on standard output, having succeeded silently.
fn run(path: &str, arguments: &[&str], input: &str) -> String {
    let _ = guest_program(path);
    printed("aarch64", path, arguments, input).expect("fetched")
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

/// Numbers of several words: carries through long runs of flags.
#[test]
fn openssl_computes_with_large_numbers() {
    let openssl = |arguments: &[&str], input: &str| run("usr/bin/openssl", arguments, input);
    // The prime of the second group of RFC 2409: 2^1024 - 2^960 - 1 + 2^64 * ([2^894 pi] + 129093).
    let prime = "FFFFFFFFFFFFFFFFC90FDAA22168C234C4C6628B80DC1CD129024E088A67CC74020BBEA63B139B22514A08798E3404DDEF9519B3CD3A431B\
                 302B0A6DF25F14374FE1356D6D51C245E485B576625E7EC6F44C42E9A637ED6B0BFF5CB6F406B7EDEE386BFB5A899FA5AE9F24117C4B1FE6\
                 49286651ECE65381FFFFFFFFFFFFFFFF";
    assert!(openssl(&["prime", "-hex", prime], "").ends_with("is prime\n"));
    assert!(openssl(&["prime", "-hex", &prime.replace("C90F", "C91F")], "").ends_with("is not prime\n"));
    let digest = |name: &str| openssl(&["dgst", "-r", name], "abc");
    assert!(digest("-sha512").starts_with("ddaf35a193617abacc417349ae204131"), "{}", digest("-sha512"));
    assert!(digest("-sha3-256").starts_with("3a985da74fe225b2045c172d6bd390bd"), "{}", digest("-sha3-256"));
    let key = ["-K", "000102030405060708090a0b0c0d0e0f", "-iv", "00000000000000000000000000000000", "-a", "-A"];
    let cipher = openssl(&[&["enc", "-aes-128-ctr"][..], &key].concat(), "sixteen letters!");
    assert_eq!(openssl(&[&["enc", "-d", "-aes-128-ctr"][..], &key].concat(), &cipher), "sixteen letters!");
}

/// What Python starts, waits for and talks to: threads, processes, sockets, signals, shared memory.
#[test]
fn python_uses_the_system() {
    let script = r#"
import threading, multiprocessing, subprocess, asyncio, socket, mmap, signal, os, sys, ctypes, select, time
total = 0; lock = threading.Lock()
def add():
    global total
    for i in range(500):
        with lock: total += i
workers = [threading.Thread(target=add) for _ in range(4)]
[t.start() for t in workers]; [t.join() for t in workers]; print(total)
with multiprocessing.get_context("fork").Pool(2) as pool: print(pool.map(abs, [-1, 2, -3]))
print(subprocess.run(["sh", "-c", "cat; exit 3"], input=b"piped", capture_output=True))
print(subprocess.run(["sh", "-c", "kill -9 $$"]).returncode)
async def serve(reader, writer): writer.write((await reader.readline()).upper()); writer.close()
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
    writer.write(b"hello\n"); print(await reader.read())
asyncio.run(main())
left, right = socket.socketpair(); read, write = os.pipe()
socket.send_fds(left, [b"fd"], [write]); os.write(socket.recv_fds(right, 9, 1)[1][0], b"passed"); print(os.read(read, 9))
shared = mmap.mmap(-1, 4096)
child = os.fork()
if child == 0: shared[:5] = b"child"; os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), shared[:5])
seen = []; signal.signal(signal.SIGALRM, lambda *_: seen.append("alarm")); signal.setitimer(signal.ITIMER_REAL, 0.01)
signal.pause(); print(seen)
libc = ctypes.CDLL(None); numbers = (ctypes.c_int * 4)(4, 1, 3, 2)
compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
libc.qsort(numbers, 4, 4, compare(lambda a, b: a[0] - b[0])); print(list(numbers))
poll = select.epoll(); poll.register(read, select.EPOLLIN); print(poll.poll(0.01)); os.write(write, b"x"); print(len(poll.poll(1)))
print(os.path.samefile(os.path.realpath("/proc/self/exe"), "/proc/self/exe"), os.lstat("/proc/self/exe").st_mode >> 12 == 10)
"#;
    let expected = native("python3", &["-c", script], "");
    assert!(expected.ends_with("True True\n"), "{expected}");
    assert_eq!(run("usr/bin/python3", &["-c", script], ""), expected);
    if let Some(printed) = printed("riscv64", "usr/bin/python3", &["-c", script], "") {
        assert_eq!(printed, expected);
    }
    // Control messages have another layout with words of 32 bits, which the kernel refuses: all but the passing of descriptors.
    let passing = script.lines().find(|line| line.starts_with("socket.send_fds")).expect("it is there");
    let script = script.replace(passing, "");
    if let Some(printed) = printed("arm", "usr/bin/python3", &["-c", &script], "") {
        assert_eq!(printed, native("python3", &["-c", &script], ""));
    }
}

/// What should be the same everywhere, in the tree of `guest`.
fn programs_run(guest: &str) {
    let same = |path: &str, arguments: &[&str], input: &str| {
        let program = path.rsplit('/').next().unwrap();
        if let Some(printed) = printed(guest, path, arguments, input) {
            assert_eq!(printed, native(program, arguments, input), "{path} {arguments:?}");
        }
    };
    same(
        "usr/bin/bash",
        &["-c", "for i in {1..5}; do echo $((i ** 3)); done | sort -rn; x=$(seq 99 | wc -l); echo $x ${x/9/y}"],
        "",
    );
    same("usr/bin/ls", &["-la", "tests"], "");
    same("usr/bin/sort", &["-n", "-u"], &numbers());
    same("usr/bin/sha256sum", &["Cargo.lock"], "");
    same("usr/bin/sed", &["-E", r"s/([0-9])([0-9])/\2\1/g; 3d; $!N; P; D"], &numbers());
    same("usr/bin/grep", &["-rn", "--include=*.toml", "workspace", "emulator"], "");
    same(
        "usr/bin/perl",
        &["-e", r#"$h{$_ % 10}++ for 1..1000; print map {"$_:$h{$_} "} sort keys %h; printf "%.10f\n", sqrt 2"#],
        "",
    );
    let script = "with recursive n(i) as (select 1 union all select i+1 from n where i<500) select count(*), sum(i), round(avg(i*1.5),3) from n";
    if let Some(printed) = printed(guest, "usr/bin/sqlite3", &[":memory:", script], "") {
        assert_eq!(printed, "500|125250|375.75\n");
    }
}

#[test]
fn riscv64_programs_run() {
    programs_run("riscv64");
}

#[test]
fn arm_programs_run() {
    programs_run("arm");
}
