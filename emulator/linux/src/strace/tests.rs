//! Lines as strace prints them for the same calls.

use super::{after, before, print::Printer};
use crate::abi::{Abi, Call, every};
use crate::errno::{Errno, SysResult};

fn abi() -> &'static Abi {
    every().iter().find(|abi| abi.name == "aarch64").expect("AArch64 is described")
}

fn call(name: &str) -> &'static Call {
    abi().calls.iter().find(|call| call.name == name).expect("a call of that name")
}

/// The line for a call, without its end.
fn line(name: &str, args: &[u64], result: SysResult) -> String {
    let mut all = [0; 6];
    all[..args.len()].copy_from_slice(args);
    let call = call(name);
    let (head, printed) = before(&Printer::new(abi(), call, &all, None), call, &all);
    let rest = after(&Printer::new(abi(), call, &all, Some(result)), call, printed, head.chars().count(), result);
    (head + &rest).trim_end().to_owned()
}

fn at<T: ?Sized>(data: &T) -> u64 {
    (&raw const *data).cast::<u8>() as u64
}

const CWD: u64 = -100i64 as u64;

#[test]
fn names_and_flags_are_symbolic() {
    let path = b"/etc/ld.so.cache\0";
    assert_eq!(
        line("openat", &[CWD, at(path), 0o2000000, 0x1234], Ok(3)),
        "openat(AT_FDCWD, \"/etc/ld.so.cache\", O_RDONLY|O_CLOEXEC) = 3"
    );
    assert_eq!(
        line("openat", &[CWD, at(path), 0o1101, 0o644], Err(Errno::ENOENT)),
        "openat(AT_FDCWD, \"/etc/ld.so.cache\", O_WRONLY|O_CREAT|O_TRUNC, 0644) = -1 ENOENT (No such file or directory)"
    );
    // AArch64's own value.
    assert_eq!(
        line("openat", &[3, at(b".\0"), 0o40000 | 0o4000, 0], Ok(4)),
        "openat(3, \".\", O_RDONLY|O_NONBLOCK|O_DIRECTORY) = 4"
    );
}

#[test]
fn the_result_begins_in_column_41() {
    assert_eq!(line("close", &[3], Ok(0)), "close(3)                                = 0");
    assert_eq!(line("getpid", &[], Ok(17)), "getpid()                                = 17");
}

#[test]
fn buffers_are_as_long_as_the_result_and_cut() {
    let data = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\xb7\0\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    assert_eq!(line("read", &[3, at(data), 832], Ok(4)), "read(3, \"\\177ELF\", 832)                 = 4");
    assert_eq!(
        line("write", &[1, at(b"0123456789012345678901234567890123456789"), 40], Ok(40)),
        "write(1, \"01234567890123456789012345678901\"..., 40) = 40"
    );
    let failed = line("read", &[9, 0x1000, 5], Err(Errno::EBADF));
    assert_eq!(failed, "read(9, 0x1000, 5)                      = -1 EBADF (Bad file descriptor)");
}

#[test]
fn structures_show_the_fields_that_matter() {
    // st_mode at 16 and st_size at 48 of the generic layout.
    let mut stat = [0u64; 16];
    stat[2] = 0o100755 | 1 << 32;
    stat[6] = 1234;
    assert_eq!(line("fstat", &[3, at(&stat)], Ok(0)), "fstat(3, {st_mode=S_IFREG|0755, st_size=1234, ...}) = 0");
    let times = [1u64, 500, 2, 0];
    assert_eq!(
        line("utimensat", &[CWD, at(b"f\0"), at(&times), 0], Ok(0)),
        "utimensat(AT_FDCWD, \"f\", [{tv_sec=1, tv_nsec=500}, {tv_sec=2, tv_nsec=0}], 0) = 0"
    );
}

#[test]
fn vectors_show_their_buffers() {
    let (a, b) = (b"hello ", b"world\n");
    let iov = [at(a), 6, at(b), 6];
    assert_eq!(
        line("writev", &[1, at(&iov), 2], Ok(12)),
        "writev(1, [{iov_base=\"hello \", iov_len=6}, {iov_base=\"world\\n\", iov_len=6}], 2) = 12"
    );
}

#[test]
fn an_argument_by_the_operation() {
    assert_eq!(line("fcntl", &[3, 4, 0o4001], Ok(0)), "fcntl(3, F_SETFL, O_WRONLY|O_NONBLOCK)  = 0");
    assert_eq!(line("fcntl", &[3, 1, 99], Ok(1)), "fcntl(3, F_GETFD)                       = 0x1 (flags FD_CLOEXEC)");
    let word = 0u32;
    assert_eq!(
        line("futex", &[at(&word), 129, 1, 0, 0, 0], Ok(0)),
        format!("futex({:#x}, FUTEX_WAKE_PRIVATE, 1) = 0", at(&word))
    );
    let size = [24u16, 80, 0, 0];
    assert_eq!(
        line("ioctl", &[1, 0x5413, at(&size)], Ok(0)),
        "ioctl(1, TIOCGWINSZ, {ws_row=24, ws_col=80, ws_xpixel=0, ws_ypixel=0}) = 0"
    );
}

#[test]
fn mappings_and_their_addresses() {
    assert_eq!(
        line("mmap", &[0, 8192, 3, 0x22, u64::MAX, 0], Ok(0x3f_0000_0000)),
        "mmap(NULL, 8192, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0) = 0x3f00000000"
    );
    assert_eq!(line("brk", &[0], Ok(0x5000)), "brk(NULL)                               = 0x5000");
}

#[test]
fn signals_and_statuses() {
    let set = 1u64 << 16 | 1 << 1;
    assert_eq!(
        line("rt_sigprocmask", &[0, at(&set), 0, 8], Ok(0)),
        "rt_sigprocmask(SIG_BLOCK, [INT CHLD], NULL, 8) = 0"
    );
    let status = 0x0300u32;
    assert_eq!(
        line("wait4", &[u64::MAX, at(&status), 0, 0], Ok(77)),
        "wait4(-1, [{WIFEXITED(s) && WEXITSTATUS(s) == 3}], 0, NULL) = 77"
    );
    assert_eq!(line("kill", &[77, 15], Ok(0)), "kill(77, SIGTERM)                       = 0");
}

#[test]
fn programs_and_their_arguments() {
    let (ls, long) = (b"ls\0", b"-l\0");
    let argv = [at(ls), at(long), 0];
    assert_eq!(
        line("execve", &[at(b"/bin/ls\0"), at(&argv), at(&argv)], Err(Errno(libc::EACCES))),
        format!("execve(\"/bin/ls\", [\"ls\", \"-l\"], {:#x} /* 2 vars */) = -1 EACCES (Permission denied)", at(&argv))
    );
}

#[test]
fn a_restarted_call_says_so() {
    assert_eq!(
        line("nanosleep", &[0, 0], Err(Errno::RESTART)),
        "nanosleep(NULL, NULL)                   = ? ERESTARTSYS (To be restarted if SA_RESTART is set)"
    );
}

#[test]
fn a_bad_pointer_is_shown_as_it_is() {
    assert_eq!(
        line("unlinkat", &[CWD, 0, 0], Err(Errno::EFAULT)),
        "unlinkat(AT_FDCWD, NULL, 0)             = -1 EFAULT (Bad address)"
    );
}
