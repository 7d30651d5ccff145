//! The guest process.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use ir::Guests;

use crate::abi::{Abi, Numbered};
use crate::bypass::Bypass;
use crate::cache::Cache;
use crate::loader::Program;
use crate::mem::{AddressSpace, Places};
use crate::options::Options;
use crate::signal::{Actions, Frames};

/// What all threads of the guest share. Lives until the process ends.
pub struct Process {
    /// The processors there are.
    pub guests: Guests,
    /// The processor.
    pub guest: &'static ir::Guest,
    /// Its Linux interface.
    pub abi: &'static Abi,
    /// The calls of that, by number.
    pub(crate) calls: Numbered,
    /// Its signal frames.
    pub frames: Frames,
    /// The command line.
    pub options: Options,
    /// Library functions that run as host code.
    pub(crate) bypass: Bypass,
    /// Guest mappings.
    pub space: AddressSpace,
    /// Signal dispositions.
    pub actions: Arc<Actions>,
    /// Root of the guest's libraries: absolute paths are tried below it first. `None`: the host's root.
    pub sysroot: Option<PathBuf>,
    /// The program as an absolute host path: `/proc/self/exe` of the guest.
    pub exe: PathBuf,
    /// The guest's command line, for `/proc/self/cmdline`: each argument followed by NUL.
    pub cmdline: Vec<u8>,
    /// The auxiliary vector as bytes, for `/proc/self/auxv`.
    pub auxv: OnceLock<Vec<u8>>,
    sigreturn_code: OnceLock<[u64; 2]>,
    jit: OnceLock<Arc<jit::Jit>>,
    /// Translations on disk, if they are to be used.
    pub(crate) cache: Option<Cache>,
    /// Guest threads that have not ended.
    threads: AtomicU32,
}

/// The process, for what runs at its end.
static PROCESS: OnceLock<&'static Process> = OnceLock::new();

/// The process, once there is one.
pub(crate) fn current() -> Option<&'static Process> {
    PROCESS.get().copied()
}

/// The emulator has stored to guest memory by itself: exclusive accesses may have to know.
#[inline]
pub(crate) fn stored_at(addr: u64, len: u64) {
    if jit::stores_matter()
        && let Some(jit) = PROCESS.get().and_then(|process| process.jit.get())
    {
        jit.stored_at(addr, len);
    }
}

impl Process {
    /// A process that has nothing mapped yet. It is never freed: threads refer to it until the last ends the process.
    pub fn new(
        guests: Guests,
        guest: &'static ir::Guest,
        abi: &'static Abi,
        frames: Frames,
        options: Options,
        sysroot: Option<PathBuf>,
        program: &Program,
    ) -> &'static Process {
        let exe = std::fs::canonicalize(&program.path).unwrap_or_else(|_| program.path.clone());
        let cmdline = program.argv.iter().flat_map(|arg| arg.as_bytes().iter().copied().chain([0])).collect();
        let bypass = Bypass::new(options.native_bypass.clone().unwrap_or_default());
        let cache = Cache::open(&options, guest, &exe);
        let process: &'static Process = Box::leak(Box::new(Process {
            guests,
            guest,
            abi,
            calls: Numbered::of(abi),
            frames,
            options,
            bypass,
            space: AddressSpace::new(Places::of(guest.address_bits)),
            actions: Arc::new(Actions::default()),
            sysroot,
            exe,
            cmdline,
            auxv: OnceLock::new(),
            sigreturn_code: OnceLock::new(),
            jit: OnceLock::new(),
            cache,
            threads: AtomicU32::new(1),
        }));
        let _ = PROCESS.set(process);
        if process.sysroot.is_some() {
            crate::syscall::tree_memory::start();
        }
        if guest.icache == ir::guest::Icache::Coherent {
            process.space.watch_code();
        }
        process
    }

    /// Attaches the translator; once, before the first thread.
    pub(crate) fn set_jit(&self, jit: Arc<jit::Jit>) {
        let _ = self.jit.set(jit);
    }

    /// The translator.
    ///
    /// # Panics
    /// Before it is attached, which the start of the process does before there are threads.
    pub fn jit(&self) -> &Arc<jit::Jit> {
        self.jit.get().expect("the translator is attached before threads exist")
    }

    pub(crate) fn set_sigreturn_code(&self, full: u64, plain: u64) {
        let _ = self.sigreturn_code.set([full, plain]);
    }

    /// Address of the code that returns from a signal handler, with a plain frame or a full one.
    #[must_use]
    pub fn sigreturn_code(&self, plain: bool) -> u64 {
        self.sigreturn_code.get().map_or(0, |code| code[usize::from(plain)])
    }

    /// Keeps translations for later runs of the program.
    pub(crate) fn save_translations(&self) {
        if let Some(cache) = &self.cache {
            cache.write(self.jit());
        }
    }

    /// A guest thread begins.
    pub(crate) fn thread_started(&self) {
        self.threads.fetch_add(1, Ordering::AcqRel);
    }

    /// A guest thread ends; true for the last one.
    pub(crate) fn thread_ended(&self) -> bool {
        self.threads.fetch_sub(1, Ordering::AcqRel) == 1
    }

    /// In the child of a fork there is one thread.
    pub(crate) fn after_fork(&self) {
        self.threads.store(1, Ordering::Release);
    }
}

/// Runs once when the process ends in order: saves translations, prints what was asked for.
pub(crate) fn at_end() {
    let Some(process) = PROCESS.get() else { return };
    process.save_translations();
    if process.options.stats {
        let stats = process.jit().stats();
        eprintln!(
            "isamorph: {} units and {} from the cache, {} times code interpreted, {} guest instructions in {} bytes, {} bytes of host code and {} of tables, {} invalidated, \
             {} flushes",
            stats.units,
            stats.saved,
            stats.interpreted,
            stats.guest_insns,
            stats.guest_bytes,
            stats.code_bytes,
            stats.table_bytes,
            stats.invalidated,
            stats.flushes
        );
        let times: Vec<String> = jit::Phase::ALL
            .iter()
            .zip(stats.phases)
            .map(|(phase, ns)| format!("{} {}", phase.name(), ns / 1000))
            .collect();
        eprintln!("isamorph: {} µs translating: {}", stats.phases.iter().sum::<u64>() / 1000, times.join(", "));
    }
    if process.options.profile {
        crate::profile::print(process);
    }
    crate::bypass::at_end(process);
}
