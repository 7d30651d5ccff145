//! `--strace`: system calls as strace prints them, from the same descriptions that perform them.
//!
//! A call is printed in two steps, as strace does: up to the first argument that the call fills in before it is performed,
//! the rest after it. When another thread prints in between, the line is ended with `<unfinished ...>` and taken up again
//! with `<... name resumed>`.

mod filter;
mod print;
#[cfg(test)]
mod tests;
mod value;

use std::fs::File;
use std::io::Write as _;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use crate::abi::{Abi, Call, Dir, Ty};
use crate::errno::{Errno, SysResult};
use crate::thread::ThreadCtx;
use filter::Filter;
use print::Printer;

/// What to trace and where to.
struct Trace {
    filter: Filter,
    /// `None`: stderr.
    file: Option<File>,
    /// Guest thread that was there first: no prefix until there is another.
    first: u32,
}

static TRACE: OnceLock<Trace> = OnceLock::new();
/// More than one thread or process prints.
static SEVERAL: AtomicBool = AtomicBool::new(false);
/// Thread whose line is not ended; 0 if none.
static OPEN_LINE: AtomicU32 = AtomicU32::new(0);

/// Starts tracing: `filter` as strace's `-e trace=` (empty: everything), to `output` or stderr.
///
/// # Errors
/// If the filter names nothing known, or the file cannot be created.
pub fn start(abi: &Abi, filter: &str, output: Option<&Path>) -> Result<(), String> {
    let filter = Filter::new(abi, filter)?;
    let file = match output {
        None => None,
        Some(path) => Some(open(path).map_err(|e| format!("{}: {e}", path.display()))?),
    };
    let _ = TRACE.set(Trace { filter, file, first: own_tid() });
    Ok(())
}

/// Opens the trace's file on a descriptor that guests do not come across.
fn open(path: &Path) -> std::io::Result<File> {
    let file = File::options().create(true).append(true).open(path)?;
    // SAFETY: duplicates our descriptor; the result is ours.
    let fd = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD_CLOEXEC, HIGH_DESCRIPTOR) };
    if fd < 0 {
        return Ok(file);
    }
    crate::syscall::descriptors::reserve(fd);
    // SAFETY: just made, owned by nobody else.
    Ok(File::from(unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Descriptors from here on are unlikely to be the guest's.
const HIGH_DESCRIPTOR: i32 = 900;

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
    tid: u32,
    /// Characters of the line so far.
    column: usize,
}

impl Entry {
    /// Prints what is known before the call.
    pub(crate) fn new(ctx: &ThreadCtx, call: &'static Call, args: [u64; 6]) -> Entry {
        let tid = own_tid();
        let (mut line, printed) = before(&Printer::new(ctx.process.abi, call, &args, None), call, &args);
        let ends = matches!(call.name, "exit" | "exit_group");
        let column = line.chars().count();
        if ends {
            let status = args[0] as u8;
            line = padded(line + ")", column + 1) + "= ?\n";
            if call.name == "exit_group" {
                line += &format!("+++ exited with {status} +++\n");
            }
        }
        write_line(tid, !ends, &line);
        Entry { call, args, printed, tid, column }
    }

    /// Prints what the call filled in, and its result.
    pub(crate) fn finish(self, ctx: &ThreadCtx, result: SysResult) {
        let Entry { call, args, printed, tid, column } = self;
        if tid != own_tid() {
            return; // the child of a fork: its parent tells
        }
        let printer = Printer::new(ctx.process.abi, call, &args, Some(result));
        let resumed = OPEN_LINE.load(Ordering::Acquire) != tid;
        let head = if resumed { format!("<... {} resumed>", call.name) } else { String::new() };
        let column = if resumed { head.chars().count() } else { column };
        write_line(tid, false, &(head + &after(&printer, call, printed, column, result)));
        if matches!(call.name, "clone" | "clone3" | "fork" | "vfork") && matches!(result, Ok(child) if child != 0) {
            SEVERAL.store(true, Ordering::Relaxed);
        }
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

/// Writes a whole line, or with `open` the start of one; ends another thread's unfinished one.
fn write_line(tid: u32, open: bool, text: &str) {
    let Some(trace) = TRACE.get() else { return };
    let _lock = Lock::take();
    let mut out = String::new();
    let unfinished = OPEN_LINE.load(Ordering::Acquire);
    let continues = unfinished == tid;
    if unfinished != 0 && !continues {
        out.push_str(" <unfinished ...>\n");
    }
    if tid != trace.first {
        SEVERAL.store(true, Ordering::Relaxed);
    }
    if !continues && SEVERAL.load(Ordering::Relaxed) {
        out.push_str(&format!("[pid {tid:>5}] "));
    }
    // A signal in the middle of the thread's own line.
    if continues && text.starts_with("---") {
        out.push_str(" <unfinished ...>\n");
    }
    out.push_str(text);
    OPEN_LINE.store(if open { tid } else { 0 }, Ordering::Release);
    let _ = match &trace.file {
        Some(file) => { file }.write_all(out.as_bytes()),
        None => std::io::stderr().write_all(out.as_bytes()),
    };
}

/// A lock that a forked child can take when a thread that exists only in its parent held it.
struct Lock;

/// Process that holds the lock; 0 if free.
static HOLDER: AtomicU32 = AtomicU32::new(0);

impl Lock {
    fn take() -> Lock {
        let me = std::process::id();
        loop {
            match HOLDER.compare_exchange_weak(0, me, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return Lock,
                Err(0) => {}
                Err(holder) if holder == me => std::thread::yield_now(),
                // Inherited by fork: nobody here will release it.
                Err(holder) => {
                    if HOLDER.compare_exchange(holder, me, Ordering::Acquire, Ordering::Relaxed).is_ok() {
                        return Lock;
                    }
                }
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        HOLDER.store(0, Ordering::Release);
    }
}

fn own_tid() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::gettid() as u32 }
}
