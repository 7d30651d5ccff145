//! From options to a running guest.

use std::ffi::{CString, OsString};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;

use ir::Guests;

use crate::abi::{self, Abi, Tables};
use crate::cache::Cache;
use crate::loader::{self, LoadError, Program};
use crate::mem::{Kind, PAGE, Request, Vma};
use crate::process::Process;
use crate::signal::host::{self, HostStack};
use crate::signal::{Action, Frames, SIGNALS};
use crate::thread::ThreadCtx;
use crate::{Options, bypass, crash, guest_memory, stdio, strace};

/// Runs the program the options name, which is built for one of `guests`, whose interfaces are in `tables`. Returns only if it could
/// not be started, with a status for the shell, after saying why.
pub fn start(guests: Guests, tables: &'static Tables, options: Options) -> i32 {
    abi::install(tables);
    match try_start(guests, options) {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("isamorph: {error}");
            error.exit_code()
        }
    }
}

fn try_start(guests: Guests, options: Options) -> Result<std::convert::Infallible, LoadError> {
    crash::set_quiet(options.quiet);
    let argv0 = options.argv0.clone().unwrap_or_else(|| options.program.clone().into());
    let argv = [argv0].into_iter().chain(options.args.iter().cloned()).collect();
    let root = options.sysroots.iter().find(|root| loader::is_below(root, &options.program));
    let program = loader::identify(&options.program, argv, root.map(PathBuf::as_path))?;
    let mut environment = environment(&options);
    // Asked for by name, a program of the host's kind is emulated too, if there is such a guest.
    if program.is_host() && program.guest(guests).is_none() {
        bypass::unload_foreign(&mut environment, program.machine());
        return Err(run_on_host(&program, &environment));
    }
    let guest = program.require_guest(guests)?;
    bypass::unload_foreign(&mut environment, program.machine());
    if let Some(library) = &options.native_library {
        bypass::misfit(library, guests, guest).map_or(Ok(()), |why| Err(LoadError::Library(why)))?;
        bypass::preload(&mut environment, library);
    }
    let undescribed = |what: &str| LoadError::Malformed {
        path: program.path.clone(),
        what: format!(
            "not supported: the {what} of {} is not described in isa-specs/{}/linux.abi",
            guest.name, guest.name
        ),
    };
    let abi = Abi::of(guest).ok_or_else(|| undescribed("system-call table"))?;
    let frames = Frames::of(guest).map_err(|what| undescribed(&what))?;
    if let Some(filter) = &options.strace {
        strace::start(abi, filter, options.strace_output.as_deref(), options.strace_resumed)
            .map_err(LoadError::Trace)?;
    }
    let (interpreter, sysroot) = loader::find_interpreter(&program, guest, &options)?;
    let process = Process::new(guests, guest, abi, frames, options, sysroot, &program);

    let io_error = |source| LoadError::Io { path: PathBuf::from("(signal stack)"), source };
    let stack = HostStack::install().map_err(io_error)?;
    host::install();
    attach_translator(process, &program)?;
    let start = loader::load(process, &program, interpreter.as_ref(), &environment)?;
    map_code(process, &program)?;
    inherit_dispositions(process);
    name_thread(&program);
    drop((interpreter, program));
    stdio::close_again();

    let mut main = ThreadCtx::new(process, process.actions.clone());
    main.signals.mask = host::current_mask();
    main.enter(start.pc);
    main.set_slot(guest.sp, start.sp);
    main.make_current();
    let code = main.run();
    end_main_thread(&main, code, stack)
}

/// Variables that stand for `-E` and `-U`: once applied they are gone, or a program the guest executes would see them applied
/// again, over its own settings.
const APPLIED_ONCE: [&str; 2] = ["QEMU_SET_ENV", "QEMU_UNSET_ENV"];

/// The guest's environment: ours, changed by `-E` and `-U`.
fn environment(options: &Options) -> Vec<OsString> {
    let name_of = |var: &OsString| var.as_encoded_bytes().split(|&b| b == b'=').next().unwrap_or_default().to_vec();
    let changed = options.unset_env.iter().chain(&options.set_env).map(name_of);
    let dropped: Vec<Vec<u8>> = changed.chain(APPLIED_ONCE.map(|name| name.as_bytes().to_vec())).collect();
    let joined = |(name, value): (OsString, OsString)| {
        let mut var = name;
        var.push("=");
        var.push(value);
        var
    };
    let kept = std::env::vars_os().map(joined).filter(|var| !dropped.contains(&name_of(var)));
    kept.chain(options.set_env.iter().cloned()).collect()
}

/// A program of the host's architecture (the shell of a script, say) runs as it is.
fn run_on_host(program: &Program, environment: &[OsString]) -> LoadError {
    let mut command = std::process::Command::new(&program.path);
    if let Some((first, rest)) = program.argv.split_first() {
        command.arg0(first).args(rest);
    }
    command.env_clear();
    for var in environment {
        let bytes = var.as_encoded_bytes();
        if let Some(at) = bytes.iter().skip(1).position(|&b| b == b'=') {
            use std::os::unix::ffi::OsStrExt;
            let (name, value) = (&bytes[..=at], &bytes[at + 2..]);
            command.env(std::ffi::OsStr::from_bytes(name), std::ffi::OsStr::from_bytes(value));
        }
    }
    stdio::close_again();
    LoadError::Io { path: program.path.clone(), source: command.exec() }
}

/// Instruction fetch and interception, for the translator.
struct Hooks {
    process: &'static Process,
}

impl jit::Hooks for Hooks {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        self.process.space.fetch(pc, buf)
    }

    fn intercept(&self, pc: u64) -> Option<jit::NativeFn> {
        bypass::intercept(self.process, pc)
    }

    fn is_constant(&self, pc: u64, len: u64) -> bool {
        let constant = |vma: &Vma| vma.file.is_some() && !vma.shared && vma.prot & libc::PROT_WRITE == 0;
        let space = &self.process.space;
        !space.may_change_by_file()
            && space.map().find(pc).is_some_and(|(range, vma)| len <= range.end - pc && constant(vma))
    }

    fn direct_calls(&self) -> Vec<jit::DirectCall> {
        crate::syscall::direct_calls(self.process.guest, self.process.abi)
    }
}

/// Invalid floating-point operations that may trap: together less time than translating a program once more takes.
const INVALID_TRAPS: u32 = 100;

fn attach_translator(process: &'static Process, program: &Program) -> Result<(), LoadError> {
    let engine = if process.options.interp { jit::Engine::Interp } else { jit::Engine::T1 };
    let measure_natives = process.options.native_report.is_some();
    let trace = process.options.trace;
    let check = process.options.check;
    let code_memory = usize::try_from(process.options.code_memory.unwrap_or(0)).unwrap_or(usize::MAX);
    let features = process.options.host_cpu;
    let profile = process.options.profile;
    let saved = process.cache.as_ref().map(Cache::saved);
    let options = jit::JitOptions {
        engine,
        trace,
        measure_natives,
        check,
        code_memory,
        features,
        profile,
        saved,
        interpret_first: !(process.options.eager || profile || check || trace != jit::Trace::default()),
        times: process.options.stats,
        trap_invalid: INVALID_TRAPS,
        ..Default::default()
    };
    let jit = jit::Jit::new(process.guest, Box::new(Hooks { process }), options);
    if jit.engine() != engine {
        let what = "no memory for generated code; is there a limit on the address space (ulimit -v)?".into();
        return Err(LoadError::Map { path: program.path.clone(), what });
    }
    let stale = jit.clone();
    let sharing = jit.clone();
    process.space.on_share(Box::new(move || sharing.share_memory()));
    process.space.on_invalidate(Box::new(move |range| stale.invalidate(range.start, range.end - range.start)));
    process.set_jit(jit);
    Ok(())
}

/// Maps the code that every process has: what handlers without a restorer return to, and pages at fixed addresses.
fn map_code(process: &Process, program: &Program) -> Result<(), LoadError> {
    let fail = |error: crate::Errno| LoadError::Map {
        path: program.path.clone(),
        what: format!("code of the kernel's: {}", std::io::Error::from_raw_os_error(error.0)),
    };
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let request = Request { addr: 0, len: PAGE, prot, flags, fd: -1, offset: 0, kind: Kind::Vdso };
    let (space, layout) = (&process.space, process.frames.full.layout);
    let at = space.map_memory(&request).map_err(fail)?;
    let own = process.frames.plain.as_ref().map(|plain| plain.layout.sigreturn);
    let plain = own.or(layout.plain.map(|plain| plain.sigreturn)).unwrap_or_default();
    guest_memory::write(at, &[layout.sigreturn, plain].concat()).map_err(fail)?;
    space.protect(at, PAGE, libc::PROT_READ | libc::PROT_EXEC).map_err(fail)?;
    process.set_sigreturn_code(at, at + layout.sigreturn.len() as u64);
    process.abi.pages.iter().try_for_each(|page| space.map_vectors(page.at, page.bytes)).map_err(fail)
}

/// Signals the parent ignores stay ignored.
fn inherit_dispositions(process: &Process) {
    for signal in (1..=SIGNALS).filter(|&signal| host::is_ignored(signal)) {
        process.actions.set(signal, Action { handler: 1, ..Action::default() });
    }
}

/// The kernel names a process after its program; threads inherit the name.
fn name_thread(program: &Program) {
    let name = program.path.file_name().and_then(|name| CString::new(name.as_encoded_bytes()).ok()).unwrap_or_default();
    // SAFETY: a NUL-terminated string, of which the kernel takes the first 15 bytes.
    unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr()) };
}

/// The main thread ended by itself: the process goes on if other threads do.
fn end_main_thread(main: &ThreadCtx, code: i32, stack: HostStack) -> ! {
    host::block_all();
    crate::task::release_robust(main);
    crate::task::clear_tid(main.clear_child_tid);
    if main.process.thread_ended() {
        crate::task::end_process(code);
    }
    std::mem::forget(stack);
    // SAFETY: ends this thread alone; its stacks stay mapped.
    unsafe {
        libc::syscall(libc::SYS_exit, code);
        libc::_exit(code)
    }
}
