//! The Linux interface in `isa-specs` against an independent source: the kernel's headers as each architecture's own C
//! compiler sees them. Every number, constant and offset becomes an assertion that the compiler checks. A compiler that is
//! not installed is reported and its architecture left out.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use codegen::abi::{self, model::Abi};
use codegen::diag::SourceMap;

/// What Debian appends to the name of an architecture in that of its compiler.
const SYSTEMS: [&str; 3] = ["linux-gnu-gcc", "linux-gnuabi64-gcc", "linux-gnueabihf-gcc"];

/// Our structure, C's, and the header that has it as the kernel passes it.
const STRUCTURES: [(&str, &str, &str); 42] = [
    ("stat", "struct stat", "asm/stat.h"),
    ("statx", "struct statx", "linux/stat.h"),
    ("statfs", "struct statfs", "asm/statfs.h"),
    ("iovec", "struct iovec", "linux/uio.h"),
    ("flock", "struct flock", "linux/fcntl.h"),
    ("f_owner_ex", "struct f_owner_ex", "linux/fcntl.h"),
    ("open_how", "struct open_how", "linux/openat2.h"),
    ("pollfd", "struct pollfd", "linux/poll.h"),
    ("epoll_event", "struct epoll_event", "linux/eventpoll.h"),
    ("rlimit", "struct rlimit64", "linux/resource.h"),
    ("rusage", "struct rusage", "linux/resource.h"),
    ("utsname", "struct new_utsname", "linux/utsname.h"),
    ("sysinfo", "struct sysinfo", "linux/sysinfo.h"),
    ("clone_args", "struct clone_args", "linux/sched.h"),
    ("robust_list_head", "struct robust_list_head", "linux/futex.h"),
    ("tms", "struct tms", "linux/times.h"),
    ("sched_param", "struct sched_param", "sched.h"),
    ("cap_header", "struct __user_cap_header_struct", "linux/capability.h"),
    ("sigaction", "struct sigaction", "linux/signal.h"),
    ("stack_t", "stack_t", "linux/signal.h"),
    ("siginfo", "siginfo_t", "asm/siginfo.h"),
    ("timespec", "struct timespec", "linux/time.h"),
    ("timeval", "struct timeval", "linux/time.h"),
    ("itimerspec", "struct itimerspec", "linux/time.h"),
    ("itimerval", "struct itimerval", "linux/time.h"),
    ("timezone", "struct timezone", "linux/time.h"),
    ("sigevent", "struct sigevent", "asm/siginfo.h"),
    ("timex", "struct timex", "sys/timex.h"),
    ("msghdr", "struct msghdr", "sys/socket.h"),
    ("mmsghdr", "struct mmsghdr", "sys/socket.h"),
    ("cmsghdr", "struct cmsghdr", "sys/socket.h"),
    ("ucred", "struct ucred", "sys/socket.h"),
    ("in_pktinfo", "struct in_pktinfo", "netinet/in.h"),
    ("in6_pktinfo", "struct in6_pktinfo", "netinet/in.h"),
    ("ipc_perm", "struct ipc64_perm", "asm/ipcbuf.h"),
    ("semid_ds", "struct semid64_ds", "asm/sembuf.h"),
    ("shmid_ds", "struct shmid64_ds", "asm/shmbuf.h"),
    ("msqid_ds", "struct msqid64_ds", "asm/msgbuf.h"),
    ("sembuf", "struct sembuf", "linux/sem.h"),
    ("mq_attr", "struct mq_attr", "linux/mqueue.h"),
    ("termios", "struct termios", "asm/termbits.h"),
    ("winsize", "struct winsize", "asm/termios.h"),
];

/// Signal contexts: architecture, our structure, C's, header.
const CONTEXTS: [(&str, &str, &str, &str); 15] = [
    ("aarch64", "mcontext", "struct sigcontext", "asm/sigcontext.h"),
    ("aarch64", "fpsimd_context", "struct fpsimd_context", "asm/sigcontext.h"),
    ("aarch64", "ucontext", "struct ucontext", "linux/signal.h asm/sigcontext.h asm/ucontext.h"),
    ("arm", "mcontext", "struct sigcontext", "asm/sigcontext.h"),
    ("arm", "ucontext", "ucontext_t", "sys/ucontext.h"),
    ("riscv64", "ucontext", "struct ucontext", "linux/signal.h asm/sigcontext.h asm/ucontext.h"),
    ("loongarch64", "sctx_info", "struct sctx_info", "asm/sigcontext.h"),
    ("loongarch64", "lsx_context", "struct lsx_context", "asm/sigcontext.h"),
    ("x86_64", "sigcontext", "struct sigcontext", "asm/sigcontext.h"),
    ("x86_64", "fxsave", "struct _fpstate_64", "asm/sigcontext.h"),
    ("x86", "sigcontext", "struct sigcontext", "asm/sigcontext.h"),
    ("x86", "fpstate", "struct _fpstate_32", "asm/sigcontext.h"),
    ("x86", "fpx_sw_bytes", "struct _fpx_sw_bytes", "asm/sigcontext.h"),
    ("x86_64", "fpx_sw_bytes", "struct _fpx_sw_bytes", "asm/sigcontext.h"),
    ("x86_64", "ucontext", "struct ucontext", "linux/signal.h asm/sigcontext.h asm/ucontext.h"),
];

/// Headers that between them define the constants.
const CONSTANTS: &str = "sys/ioctl.h asm/ioctls.h errno.h fcntl.h linux/auxvec.h linux/close_range.h linux/falloc.h linux/fiemap.h linux/fs.h \
    linux/futex.h linux/if_tun.h linux/kcmp.h linux/membarrier.h linux/memfd.h linux/openat2.h linux/random.h linux/seccomp.h \
    linux/sockios.h netinet/in.h netinet/tcp.h poll.h sched.h signal.h sys/epoll.h sys/eventfd.h sys/file.h sys/inotify.h \
    sys/ipc.h sys/mman.h sys/msg.h sys/prctl.h sys/resource.h sys/sem.h sys/shm.h sys/signalfd.h sys/socket.h sys/stat.h \
    sys/syscall.h sys/time.h sys/timerfd.h sys/wait.h sys/xattr.h time.h unistd.h";

/// What the headers define beside the numbers of calls, in small letters.
const NOT_CALLS: [&str; 3] = ["syscalls", "arch_specific_syscall", SECOND_NAME];

/// Another name of `arm_sync_file_range`.
const SECOND_NAME: &str = "sync_file_range2";

/// Structures that a header has as an older call takes them: architecture, our structure.
const OLDER: [(&str, &str); 2] = [("arm", "sigaction"), ("x86", "sigaction")];

/// Constants that the C library defines as something else than the kernel's value.
const LIBRARY_S_OWN: [&str; 2] = ["O_LARGEFILE", "MSG_STAT"];

fn abis() -> Vec<Abi> {
    let mut sources = SourceMap::default();
    let specs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../isa-specs");
    let files = abi::read(&specs, &mut sources).expect("the specs are readable");
    abi::resolve(&sources, &files).unwrap_or_else(|errors| panic!("{}", errors.render(&sources, false)))
}

/// The compiler of an architecture: the system's, or the one that `tests/setup.sh` took from a later release.
fn compiler_of(arch: &str) -> Option<String> {
    let arch = if arch == "x86" { "i686" } else { arch };
    let later = format!("{}/../target/tools/cross-{arch}/bin", env!("CARGO_MANIFEST_DIR"));
    let names = SYSTEMS.iter().map(|system| format!("{arch}-{system}"));
    let mut places = names.flat_map(|name| [name.clone(), format!("{later}/{name}")]);
    places.find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()))
}

/// Runs `check` for every architecture that has a compiler here.
fn for_each(check: impl Fn(&Abi, &str)) {
    for abi in &abis() {
        match compiler_of(&abi.name) {
            Some(compiler) => check(abi, &compiler),
            None => eprintln!("skipped {}: no compiler", abi.name),
        }
    }
}

/// Compiles C; the messages of assertions that do not hold.
fn compile(compiler: &str, source: &str) -> Result<(), String> {
    let mut child = Command::new(compiler)
        .args(["-w", "-fsyntax-only", "-x", "c", "-"])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the compiler runs");
    child.stdin.take().expect("piped").write_all(source.as_bytes()).expect("the compiler reads");
    let output = child.wait_with_output().expect("the compiler ends");
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(text.lines().filter(|l| l.contains("error")).collect::<Vec<_>>().join("\n"))
}

#[test]
fn an_assertion_that_does_not_hold_is_found() {
    for_each(|abi, compiler| {
        let wrong = compile(compiler, "_Static_assert(sizeof(int) == 5, \"five\");");
        assert!(wrong.is_err_and(|text| text.contains("five")), "{}", abi.name);
    });
}

#[test]
fn numbers_are_the_kernels() {
    for_each(|abi, compiler| {
        let mut source = String::from("#include <asm/unistd.h>\n");
        for (number, name) in &abi.numbers {
            let _ = writeln!(
                source,
                "#ifdef __NR_{name}\n_Static_assert(__NR_{name} == {number}, \"{name} is not {number}\");\n#endif"
            );
        }
        compile(compiler, &source).unwrap_or_else(|errors| panic!("{}:\n{errors}", abi.name));
    });
}

#[test]
fn no_number_is_missing() {
    for_each(|abi, compiler| {
        let output = Command::new(compiler)
            .args(["-E", "-dM", "-include", "asm/unistd.h", "-x", "c", "/dev/null"])
            .output()
            .expect("the compiler runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let names = text.lines().filter_map(|l| l.strip_prefix("#define __NR_")?.split(' ').next());
        let names: Vec<&str> = names.filter(|n| !NOT_CALLS.contains(n) && *n == n.to_lowercase()).collect();
        assert!(names.len() > 280, "{}: only {} numbers in the headers", abi.name, names.len());
        for name in names {
            assert!(abi.number(name).is_some(), "{}: {name} has no number", abi.name);
        }
    });
}

#[test]
fn constants_are_the_kernels() {
    let mut prologue = String::from("#define _GNU_SOURCE\n");
    for header in CONSTANTS.split_whitespace() {
        let _ = writeln!(prologue, "#include <{header}>");
    }
    for_each(|abi, compiler| {
        let mut source = prologue.clone();
        let mut checked = 0;
        for (set_name, set) in &abi.sets {
            let keep = if set.size == 8 { u64::MAX } else { (1 << (8 * set.size)) - 1 };
            for (name, value, _) in &set.entries {
                if LIBRARY_S_OWN.contains(&name.as_str()) {
                    continue;
                }
                checked += 1;
                let _ = writeln!(
                    source,
                    "#ifdef {name}\n_Static_assert(((unsigned long long)({name}) & {keep:#x}ull) == {value:#x}ull, \
                     \"{set_name}: {name} is not {value:#x}\");\n#endif"
                );
            }
        }
        assert!(checked > 900, "{}: only {checked} constants", abi.name);
        compile(compiler, &source).unwrap_or_else(|errors| panic!("{}:\n{errors}", abi.name));
    });
}

#[test]
fn structures_are_laid_out_as_the_kernels() {
    for_each(|abi, compiler| {
        let mut wrong = String::new();
        let contexts =
            CONTEXTS.iter().filter(|(arch, ..)| *arch == abi.name).map(|(_, ours, c, header)| (*ours, *c, *header));
        let both = STRUCTURES.into_iter().chain(contexts);
        for (ours, c, header) in both.filter(|(ours, ..)| !OLDER.contains(&(abi.name.as_str(), *ours))) {
            let s = abi.structs.get(ours).unwrap_or_else(|| panic!("{}: no structure {ours}", abi.name));
            let includes = header.split(' ').map(|h| format!("#include <{h}>\n")).collect::<String>();
            let mut source = format!("#define _GNU_SOURCE\n#include <stddef.h>\n{includes}");
            let size = s.size;
            let _ = writeln!(source, "_Static_assert(sizeof({c}) == {size}, \"{ours} is not {size} bytes\");");
            for field in s.fields.iter().filter(|f| !f.name.starts_with("__")) {
                let (name, at, size) = (&field.name, field.offset, field.size);
                let place = c_field(name);
                let size_holds = if place.ends_with(']') {
                    String::from("1")
                } else {
                    format!("sizeof((({c} *)0)->{place}) == {size}")
                };
                let _ = writeln!(
                    source,
                    "_Static_assert(offsetof({c}, {place}) == {at} && {size_holds}, \
                     \"{ours}.{name} is not {size} bytes at {at}\");"
                );
            }
            if let Err(errors) = compile(compiler, &source) {
                let _ = writeln!(wrong, "{errors}");
            }
        }
        assert!(wrong.is_empty(), "{}:\n{wrong}", abi.name);
    });
}

/// Fields that C keeps in unions.
fn c_field(name: &str) -> &str {
    match name {
        "si_pid" => "_sifields._sigchld._pid",
        "si_uid" => "_sifields._sigchld._uid",
        "si_status" => "_sifields._sigchld._status",
        "si_utime" => "_sifields._sigchld._utime",
        "si_stime" => "_sifields._sigchld._stime",
        "sigev_tid" => "_sigev_un._tid",
        // Records inside the area reserved for extensions.
        "fpsimd" => "__reserved[0]",
        "end" => "__reserved[528]",
        "vfp" => "uc_regspace[0]",
        "vfp_end" => "uc_regspace[72]",
        other => other,
    }
}
