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
mod elf_file;
mod library;
mod report;
mod resolver;
mod symbols;

pub use choice::{Choice, describe};
pub use library::native_library;
pub(crate) use library::{misfit, preload, unload_foreign};
pub use report::ReportFormat;

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
    /// With the address that enters the resolver, which may say an instruction set.
    resolvers: HashMap<u64, (u64, &'static Function)>,
    /// Where the guest's own functions are, by number, as far as that was asked.
    translated: HashMap<u32, u64>,
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
    if let Some((entry, function)) = resolver
        && let Some(chosen) = resolver::run(process, entry)
    {
        process.bypass.found().functions.insert(code_at(process, chosen), function);
    }
    None
}

/// Reads a file's symbols, once for each place it is mapped at. Not under the lock: two threads may do it at once.
fn read_symbols(process: &Process, file: &MappedFile) {
    let id = (file.path.clone(), file.base);
    if process.bypass.found().files.contains(&id) {
        return;
    }
    let guest = process.guest.name;
    let wanted = |name: &str| native_lib::function(guest, name).filter(|f| process.bypass.choice.includes(f));
    let symbols = symbols::read(file, file.path == process.exe, &wanted);
    let mut found = process.bypass.found();
    if !found.files.insert(id) {
        return;
    }
    for symbol in symbols {
        let at = code_at(process, symbol.addr);
        match symbol.resolver {
            true => drop(found.resolvers.insert(at, (symbol.addr, symbol.function))),
            false => drop(found.functions.insert(at, symbol.function)),
        }
    }
}

/// Function and distance from its start, or the file, of a code address; nothing if it is of no file.
pub(crate) fn place(process: &Process, pc: u64) -> String {
    let file = process.space.map().find(pc).and_then(|(_, vma)| vma.file.clone());
    let Some(file) = file else { return String::new() };
    let name = file.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    match symbols::function_at(&file, pc) {
        Some((function, 0)) => format!("{name} {function}"),
        Some((function, distance)) => format!("{name} {function}+{distance:#x}"),
        None => format!("{name}+{:#x}", pc.wrapping_sub(file.base)),
    }
}

/// Where the code is that an address enters.
fn code_at(process: &Process, addr: u64) -> u64 {
    process.guest.entered(addr, 0).0
}

/// The function that the guest names through the reserved instruction, if the bypass is on and knows it; and whether it is
/// chosen.
pub(crate) fn by_name(process: &Process, name: u64) -> Option<(&'static Function, bool)> {
    if !process.bypass.choice.any() {
        return None;
    }
    let name = crate::guest_memory::read_cstr(name).ok()?;
    let function = native_lib::function(process.guest.name, std::str::from_utf8(&name).ok()?)?;
    Some((function, process.bypass.choice.includes(function)))
}

/// The address that enters the guest's own version of a function, for a call that faulted or was not chosen.
pub(crate) fn translated(process: &'static Process, function: &'static Function) -> Option<u64> {
    if let Some(addr) = process.bypass.found().translated.get(&number(function)) {
        return Some(*addr);
    }
    let files: Vec<_> = process.space.map().iter().filter_map(|(_, vma)| vma.file.clone()).collect();
    let wanted = |name: &str| (name == function.name).then_some(function);
    let own = |file: &Arc<MappedFile>| {
        let symbols = symbols::read(file, file.path == process.exe, &wanted);
        symbols.into_iter().find(|symbol| !symbol.is_call)
    };
    let symbol = files.iter().find_map(own)?;
    let addr = if symbol.resolver { resolver::run(process, symbol.addr)? } else { symbol.addr };
    process.bypass.found().translated.insert(number(function), addr);
    Some(addr)
}

/// The function as the translator calls it.
pub(crate) fn native_fn(function: &'static Function) -> jit::NativeFn {
    let bytes = match function.bytes {
        native_lib::Bytes::Unknown => jit::Bytes::Unknown,
        native_lib::Bytes::Argument(k) => jit::Bytes::Argument(k),
        native_lib::Bytes::Result => jit::Bytes::Result,
    };
    let call = match function.call {
        native_lib::Call::Words(call) => jit::Host::Words(call),
        native_lib::Call::Values(call) => jit::Host::Values(call),
    };
    jit::NativeFn { id: number(function), signature: &function.signature, bytes, repeatable: function.repeatable, call }
}

/// Number of a function in the translator's counters: its row in the table.
fn number(function: &'static Function) -> u32 {
    native_lib::FUNCTIONS.iter().position(|f| std::ptr::eq(f, function)).unwrap_or_default() as u32
}

/// Writes the native-call library of one of `guests`: its bytes.
///
/// # Errors
/// If there is no such guest, or its specification reserves no instruction for it.
pub fn guest_library(guests: ir::Guests, name: &str) -> Result<Vec<u8>, String> {
    let guest = guests.by_name(name).ok_or_else(|| format!("no guest `{name}`; there are {}", guests.names()))?;
    native_lib::guest_library(guest)
        .ok_or_else(|| format!("isa-specs/{} reserves no instruction for native calls", guest.name))
}

/// Prints the report, if asked for.
pub(crate) fn at_end(process: &Process) {
    if let Some(format) = process.options.native_report {
        report::print(process, format);
    }
}
