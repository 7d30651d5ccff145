//! `--strace`: system calls as strace prints them, from the same descriptions that perform them.
//!
//! A call is printed in two steps, as strace does: up to the first argument that the call fills in before it is performed,
//! the rest after it. When another thread or process prints in between, the line is ended with `<unfinished ...>` and taken up
//! again with `<... name resumed>`.

mod filter;
mod print;
mod shared;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

use crate::abi::{Abi, Call, Dir, Ty};
use crate::errno::{Errno, SysResult};
use crate::syscall::descriptors;
use crate::thread::ThreadCtx;
use filter::Filter;
use print::Printer;
use shared::{HIGH_DESCRIPTOR, Shared};

/// What to trace and where to.
struct Trace {
    filter: Filter,
    /// `None`: stderr.
    file: Option<File>,
    shared: &'static Shared,
    shared_fd: RawFd,
}

static TRACE: OnceLock<Trace> = OnceLock::new();

/// Starts tracing: `filter` as strace's `-e trace=` (empty: everything), to `output` or stderr. `inherited` is the descriptor
/// that a traced guest which executed this one got from [`descriptor`].
///
/// # Errors
/// If the filter names nothing known, or the file cannot be created.
pub fn start(abi: &Abi, filter: &str, output: Option<&Path>, inherited: Option<RawFd>) -> Result<(), String> {
    let filter = Filter::new(abi, filter)?;
    let file = match output {
        None => None,
        Some(path) => Some(open(path).map_err(|e| format!("{}: {e}", path.display()))?),
    };
    let (shared, shared_fd) = Shared::attach(inherited).map_err(|e| format!("--strace: {e}"))?;
    descriptors::reserve(shared_fd);
    if let Some(file) = &file {
        descriptors::reserve(file.as_raw_fd());
    }
    let execve = abi.calls.iter().find(|call| call.name == "execve").filter(|call| filter.wants(call));
    let _ = TRACE.set(Trace { filter, file, shared, shared_fd });
    if inherited.is_some() && execve.is_some() {
        let tid = own_tid();
        let head = if shared.open_line.load(Ordering::Acquire) == tid { "" } else { "<... execve resumed>" };
        write_line(tid, false, &format!("{head}) = 0\n"));
    }
    Ok(())
}

/// The descriptor by which an executed guest's trace goes on with this one's; `None` if there is no trace.
#[must_use]
pub fn descriptor() -> Option<RawFd> {
    TRACE.get().map(|trace| trace.shared_fd)
}

/// Opens the trace's file on a descriptor that guests do not come across.
fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options().create(true).append(true).open(path)?;
    // SAFETY: duplicates our descriptor; the result is ours.
    let fd = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR) };
    // SAFETY: just made, owned by nobody else.
    Ok(if fd < 0 { file } else { File::from(unsafe { OwnedFd::from_raw_fd(fd) }) })
}

/// Whether `call` is to be printed.
pub(crate) fn wants(call: &Call) -> bool {
    TRACE.get().is_some_and(|trace| trace.filter.wants(call))
}

/// A call that is being performed.
pub(crate) struct Entry {
    call: &'static Call,
    args: [u64; 6],
    /// Arguments before this one are printed.
    printed: usize,
    /// Characters of the line so far.
    column: usize,
    tid: u32,
    /// It does not return, and the line says so.
    last: bool,
}

impl Entry {
    /// Prints what is known before the call.
    pub(crate) fn new(ctx: &ThreadCtx, call: &'static Call, args: [u64; 6]) -> Entry {
        let tid = own_tid();
        let (mut line, printed) = before(&Printer::new(ctx.process.abi, call, &args, None), call, &args);
        let column = line.chars().count();
        let last = matches!(call.name.text(), "exit" | "exit_group");
        if last {
            line = padded(line + ")", column + 1) + "= ?\n";
        }
        write_line(tid, !last, &line);
        if last {
            write_line(tid, false, &format!("+++ exited with {} +++\n", args[0] as u8));
        }
        if matches!(call.name.text(), "clone" | "clone3" | "fork" | "vfork") {
            several();
        }
        Entry { call, args, printed, column, tid, last }
    }

    /// Prints what the call filled in, and its result.
    pub(crate) fn finish(self, ctx: &ThreadCtx, result: SysResult) {
        let Entry { call, args, printed, column, tid, last } = self;
        // The child of a fork says nothing of the call: its parent does.
        if last || tid != own_tid() {
            return;
        }
        let printer = Printer::new(ctx.process.abi, call, &args, Some(result));
        let resumed = TRACE.get().is_some_and(|trace| trace.shared.open_line.load(Ordering::Acquire) != tid);
        let head = if resumed { format!("<... {} resumed>", call.name) } else { String::new() };
        let column = if resumed { head.chars().count() } else { column };
        write_line(tid, false, &(head + &after(&printer, call, printed, column, result)));
    }
}

/// From now on lines say which thread they are of.
fn several() {
    if let Some(trace) = TRACE.get() {
        trace.shared.several.store(1, Ordering::Relaxed);
    }
}

/// The line up to the first argument that the call fills in, and how many arguments that is.
fn before(printer: &Printer<'_>, call: &Call, args: &[u64; 6]) -> (String, usize) {
    let first_out = call.args.iter().position(|arg| is_out(&arg.ty, args)).unwrap_or(call.args.len());
    let mut line = format!("{}(", call.name);
    for i in 0..first_out {
        printer.argument(&mut line, i);
    }
    (line, first_out)
}

/// The rest of a line that has reached `column`.
fn after(printer: &Printer<'_>, call: &Call, printed: usize, column: usize, result: SysResult) -> String {
    let mut rest = String::new();
    for i in printed..call.args.len() {
        printer.argument(&mut rest, i);
    }
    rest.push(')');
    let column = column + rest.chars().count();
    padded(rest, column) + &outcome(printer, result) + "\n"
}

/// Whether an argument is known only after the call.
fn is_out(ty: &Ty, args: &[u64; 6]) -> bool {
    matches!(ty.given(args), Ty::Ptr(Dir::Out | Dir::InOut, _))
}

/// strace's column for `=`.
const COLUMN: usize = 40;

fn padded(mut line: String, column: usize) -> String {
    let spaces = COLUMN.saturating_sub(column).max(1);
    line.extend(std::iter::repeat_n(' ', spaces));
    line
}

/// `= 3`, `= -1 ENOENT (No such file or directory)`.
fn outcome(printer: &Printer<'_>, result: SysResult) -> String {
    match result {
        Ok(value) => format!("= {}", printer.result(value)),
        Err(Errno::NO_RESULT) => "= ?".to_owned(),
        Err(Errno::RESTART) => "= ? ERESTARTSYS (To be restarted if SA_RESTART is set)".to_owned(),
        Err(Errno(number)) => {
            let text = std::io::Error::from_raw_os_error(number).to_string();
            let text = text.split(" (os error").next().unwrap_or_default();
            format!("= -1 {} ({text})", value::errno_name(printer.abi(), number))
        }
    }
}

/// Prints a signal that is about to be delivered; `info` is its `siginfo_t`.
pub(crate) fn signal(ctx: &ThreadCtx, info: &[u8; 128]) {
    if TRACE.get().is_none() {
        return;
    }
    let text = value::siginfo(ctx.process.abi, info);
    write_line(own_tid(), false, &format!("--- {text} ---\n"));
}

/// Ends a line whose call goes on.
const UNFINISHED: &str = " <unfinished ...>\n";

/// Writes a whole line, or with `open` the start of one, or the end of the thread's own; ends another thread's unfinished one.
fn write_line(tid: u32, open: bool, text: &str) {
    let Some(trace) = TRACE.get() else { return };
    trace.shared.exclusive(|| {
        // The call that made another thread may not be among those traced.
        let first = trace.shared.first.compare_exchange(0, tid, Ordering::Relaxed, Ordering::Relaxed);
        if first.is_err_and(|first| first != tid) {
            trace.shared.several.store(1, Ordering::Relaxed);
        }
        let unfinished = trace.shared.open_line.load(Ordering::Acquire);
        let signal = text.starts_with("---");
        let continues = unfinished == tid && !signal;
        let mut out = String::new();
        if unfinished != 0 && !continues {
            out.push_str(UNFINISHED);
        }
        if !continues && trace.shared.several.load(Ordering::Relaxed) != 0 {
            out.push_str(&format!("[pid {tid:>5}] "));
        }
        out.push_str(text);
        trace.shared.open_line.store(if open { tid } else { 0 }, Ordering::Release);
        let _ = match &trace.file {
            Some(file) => { file }.write_all(out.as_bytes()),
            None => std::io::stderr().write_all(out.as_bytes()),
        };
    });
}

fn own_tid() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() as u32 }
}
