//! Native bypass: known library functions of the guest run as host code.
//!
//! *By address*: the symbols of every executable file mapping say where the functions are; a translation that would start
//! there calls the host's function instead ([`jit::NativeFn`]). What an IFUNC resolver chooses is found by running the
//! resolver ([`resolver`]), so calls that never pass a symbol, inside the library itself, are seen too.
//! *By instruction*: a guest library of reserved instructions names the function ([`by_name`]).
//!
//! A call that faults on guest memory is given up and the guest's own function runs translated: the guest sees the fault
//! where, how and with the registers it would have.

mod choice;
mod report;
mod resolver;
mod symbols;

pub use choice::{Choice, describe};

use std::collections::{HashMap, HashSet};
use std::ops::Range;
use std::os::fd::RawFd;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};

use native_lib::Function;

use crate::Process;
use crate::mem::MappedFile;

/// What is known about the guest's files.
#[derive(Default)]
pub(crate) struct Bypass {
    choice: Choice,
    found: Mutex<Found>,
}

/// Addresses of functions, file by file.
#[derive(Default)]
struct Found {
    files: HashSet<(PathBuf, u64)>,
    functions: HashMap<u64, &'static Function>,
    resolvers: HashMap<u64, &'static Function>,
}

impl Bypass {
    /// As chosen on the command line.
    pub(crate) fn new(choice: Choice) -> Bypass {
        Bypass { choice, found: Mutex::default() }
    }

    fn found(&self) -> MutexGuard<'_, Found> {
        self.found.lock().unwrap_or_else(|e| e.into_inner())
    }
}

/// An executable mapping of a file appeared (loader or guest `mmap`). Symbols are not read here.
pub(crate) fn executable_mapped(fd: RawFd, range: Range<u64>, offset: u64) -> Option<Arc<MappedFile>> {
    let path: PathBuf = std::fs::read_link(format!("/proc/self/fd/{fd}")).ok()?;
    Some(Arc::new(MappedFile { path, base: range.start.wrapping_sub(offset) }))
}

/// The host function for the guest function at `pc`.
pub(crate) fn intercept(process: &'static Process, pc: u64) -> Option<jit::NativeFn> {
    if !process.bypass.choice.any() {
        return None;
    }
    // Cloned so that the map is free again while a resolver runs.
    let file = process.space.map().find(pc).and_then(|(_, vma)| vma.file.clone())?;
    read_symbols(process, &file);
    if let Some(function) = process.bypass.found().functions.get(&pc) {
        return Some(native_fn(function));
    }
    let resolver = process.bypass.found().resolvers.remove(&pc);
    if let Some(function) = resolver
        && let Some(chosen) = resolver::run(process, pc)
    {
        process.bypass.found().functions.insert(chosen, function);
    }
    None
}

/// Reads a file's symbols, once for each place it is mapped at.
fn read_symbols(process: &Process, file: &MappedFile) {
    let mut found = process.bypass.found();
    if !found.files.insert((file.path.clone(), file.base)) {
        return;
    }
    let guest = process.guest.name;
    let wanted = |name: &str| native_lib::function(guest, name).filter(|f| process.bypass.choice.includes(f));
    let is_program = file.path == process.exe;
    for symbol in symbols::read(file, is_program, &wanted) {
        let map = if symbol.resolver { &mut found.resolvers } else { &mut found.functions };
        map.insert(symbol.addr, symbol.function);
    }
}

/// The function that the guest names through the reserved instruction, if the bypass is on and knows it.
pub(crate) fn by_name(process: &Process, name: u64) -> Option<&'static Function> {
    let name = crate::guest_memory::read_cstr(name).ok()?;
    let function = native_lib::function(process.guest.name, std::str::from_utf8(&name).ok()?)?;
    process.bypass.choice.includes(function).then_some(function)
}

/// Where the guest's own version of a function is, for a call that faulted.
pub(crate) fn translated(process: &Process, function: &Function) -> Option<u64> {
    let files: Vec<_> = process.space.map().iter().filter_map(|(_, vma)| vma.file.clone()).collect();
    for file in files {
        read_symbols(process, &file);
    }
    let found = process.bypass.found();
    let own = found.functions.iter().filter(|(_, f)| f.name == function.name);
    own.map(|(addr, _)| *addr).min()
}

/// The function as the translator calls it.
pub(crate) fn native_fn(function: &'static Function) -> jit::NativeFn {
    jit::NativeFn { id: number(function), args: function.args, returns: true, call: function.call }
}

/// Number of a function in the translator's counters: its row in the table.
fn number(function: &'static Function) -> u32 {
    native_lib::FUNCTIONS.iter().position(|f| std::ptr::eq(f, function)).unwrap_or_default() as u32
}

/// Prints the report, if asked for.
pub(crate) fn at_end(process: &Process) {
    if process.options.native_report {
        report::print(process);
    }
}
