//! What the command line decides.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::bypass::{Choice, ReportFormat};
use crate::cache;

/// Options of a run; the fields mirror the flags of `isamorph --help`.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Library roots to search, in order (`-L`).
    pub sysroots: Vec<PathBuf>,
    /// Search no library root but `/` (`-L none`).
    pub no_sysroot: bool,
    /// `VAR=VALUE` settings of the guest environment (`-E`).
    pub set_env: Vec<OsString>,
    /// Variables removed from the guest environment (`-U`).
    pub unset_env: Vec<OsString>,
    /// `argv[0]` of the guest, if not the program's path (`-0`).
    pub argv0: Option<OsString>,
    /// Bytes of main-thread stack (`-s`); the resource limit decides otherwise.
    pub stack_size: Option<u64>,
    /// Print system calls; the filter is empty for all (`--strace`).
    pub strace: Option<String>,
    /// File the trace is appended to, if not stderr (`--strace-output`).
    pub strace_output: Option<PathBuf>,
    /// Descriptor of the trace of a guest that executed this one (`--strace-resumed`, passed on by the emulator itself).
    pub strace_resumed: Option<i32>,
    /// Run the interpreter instead of the translator (`--interp`).
    pub interp: bool,
    /// Translate what is executed only a few times, too (`--eager`).
    pub eager: bool,
    /// Known library functions to replace (`--native-bypass`).
    pub native_bypass: Option<Choice>,
    /// Guest library of native calls to preload (`--native-bypass libnative.so`), by its absolute path.
    pub native_library: Option<PathBuf>,
    /// Print what the bypass did at exit (`--native-report`).
    pub native_report: Option<ReportFormat>,
    /// Print translator statistics at exit (`--stats`).
    pub stats: bool,
    /// Print the units in which most instructions were executed at exit (`--profile`).
    pub profile: bool,
    /// Compare each unit with the interpreter (`--check`).
    pub check: bool,
    /// Extensions of the host processor to use (`--host-cpu`).
    pub host_cpu: Option<jit::x64::Features>,
    /// Bytes of memory for generated code (`--code-memory`).
    pub code_memory: Option<u64>,
    /// Where translations are kept for later runs (`--cache`).
    pub cache: cache::Choice,
    /// What to print of the translation (`--trace`, `--trace-range`).
    pub trace: jit::Trace,
    /// No crash report (`-q`).
    pub quiet: bool,
    /// Program path.
    pub program: PathBuf,
    /// Arguments after the program.
    pub args: Vec<OsString>,
}

impl Options {
    /// The flags that a guest's `execve` passes on to the next instance: all but those already applied to the guest's
    /// environment (a preloaded library among them) and arguments.
    #[must_use]
    pub fn inherited_flags(&self) -> Vec<OsString> {
        let mut flags: Vec<OsString> = Vec::new();
        for root in &self.sysroots {
            flags.push("-L".into());
            flags.push(root.into());
        }
        if self.no_sysroot {
            flags.extend(["-L".into(), "none".into()]);
        }
        if let Some(size) = self.stack_size {
            flags.extend(["-s".into(), size.to_string().into()]);
        }
        if let Some(features) = self.host_cpu {
            flags.push(format!("--host-cpu={}", features.list()).into());
        }
        if let Some(size) = self.code_memory {
            flags.push(format!("--code-memory={size}").into());
        }
        match &self.cache {
            cache::Choice::Usual => {}
            cache::Choice::At(directory) => {
                let mut flag = OsString::from("--cache=");
                flag.push(directory);
                flags.push(flag);
            }
            cache::Choice::Off => flags.push("--cache=none".into()),
        }
        if let Some(filter) = &self.strace {
            flags.push(if filter.is_empty() { "--strace".into() } else { format!("--strace={filter}").into() });
        }
        if let Some(fd) = crate::strace::descriptor() {
            flags.push(format!("--strace-resumed={fd}").into());
        }
        if let Some(file) = &self.strace_output {
            flags.extend(["--strace-output".into(), file.into()]);
        }
        if let Some(choice) = &self.native_bypass {
            flags.push(format!("--native-bypass={}", choice.list()).into());
        }
        let items = self.trace.items();
        if !items.is_empty() {
            flags.push(format!("--trace={items}").into());
        }
        if self.trace.range != (0, 0) {
            flags.push(format!("--trace-range={:#x}-{:#x}", self.trace.range.0, self.trace.range.1 - 1).into());
        }
        if let Some(format) = self.native_report {
            flags.push(format!("--native-report={}", format.name()).into());
        }
        let switches = [
            (self.interp, "--interp"),
            (self.eager, "--eager"),
            (self.check, "--check"),
            (self.stats, "--stats"),
            (self.profile, "--profile"),
            (self.quiet, "-q"),
        ];
        flags.extend(switches.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag.into()));
        flags
    }
}
