//! Running a program to its end, with a time limit.

use std::ffi::OsStr;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What takes longer hangs: programs that are interpreted, or checked, take half a minute on a machine that does nothing else.
const LIMIT: Duration = Duration::from_secs(240);

/// The released emulator, built first if its sources changed.
///
/// # Panics
/// If it does not build.
pub fn isamorph() -> &'static PathBuf {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        let status = Command::new(env!("CARGO"))
            .args(["build", "--quiet", "--release", "--package", "isamorph"])
            .current_dir(crate::root())
            .status()
            .expect("cargo runs");
        assert!(status.success(), "the emulator does not build");
        let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| crate::root().join("target"), PathBuf::from);
        target.join("release/isamorph")
    })
}

/// A command of the emulator with `options`, then the program and its arguments. Nothing is left of runs before.
pub fn emulate<S: AsRef<OsStr>>(arguments: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(isamorph());
    command.args(arguments).env("ISAMORPH_CACHE", "none");
    command
}

/// Runs to the end, standard input empty.
///
/// # Panics
/// If it does not start or takes longer than [`LIMIT`].
pub fn finish(command: Command) -> Output {
    finish_with(command, b"")
}

/// Runs to the end with `input` on standard input.
///
/// # Panics
/// If it does not start or takes longer than [`LIMIT`].
pub fn finish_with(mut command: Command, input: &[u8]) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    // The program may end without reading all of it.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let id = child.id();
    let (done, ended) = std::sync::mpsc::channel::<()>();
    let guard = std::thread::spawn(move || {
        let start = Instant::now();
        if ended.recv_timeout(LIMIT).is_err() && start.elapsed() >= LIMIT {
            // SAFETY: a plain signal to a child that has not been waited for.
            unsafe { libc::kill(id as i32, libc::SIGKILL) };
            return true;
        }
        false
    });
    let output = child.wait_with_output().expect("the child is ours");
    drop(done);
    writer.join().expect("the writer does not panic");
    assert!(!guard.join().expect("the guard does not panic"), "{command:?} took more than {LIMIT:?}: {output:?}");
    output
}
