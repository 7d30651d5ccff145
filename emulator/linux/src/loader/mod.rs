//! From a path to a process image ready to run.

mod elf;
mod error;
mod image;
mod script;
mod stack;
mod sysroot;

pub use error::LoadError;
pub(crate) use sysroot::follow_links;

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use ir::{Guest, Guests};

use crate::process::Process;
use elf::Elf;

/// Bytes looked at to tell what a file is; the kernel's number.
const HEAD: usize = 256;
/// Depth of scripts interpreted by scripts; the kernel's number.
const MAX_SCRIPTS: usize = 5;

/// A program to run: the file, and the command line after `#!` processing.
pub struct Program {
    /// Path on the host.
    pub path: PathBuf,
    /// The guest's `argv`.
    pub argv: Vec<OsString>,
    file: File,
    elf: Elf,
}

impl Program {
    /// The processor it is built for, if it is among `guests`.
    #[must_use]
    pub fn guest(&self, guests: Guests) -> Option<&'static Guest> {
        guests.for_elf(self.elf.machine, self.elf.class, self.elf.big_endian)
    }

    /// Machine, class and byte order, as [`Guests::for_elf`] takes them.
    pub(crate) fn machine(&self) -> (u16, u8, bool) {
        (self.elf.machine, self.elf.class, self.elf.big_endian)
    }

    /// Whether it is built for the host, like this very program.
    #[must_use]
    pub fn is_host(&self) -> bool {
        static HOST: OnceLock<Option<(u16, u8, bool)>> = OnceLock::new();
        let host = HOST.get_or_init(|| {
            let file = File::open("/proc/self/exe").ok()?;
            let elf = elf::parse(&file, &read_head(&file).ok()?).ok()?;
            Some((elf.machine, elf.class, elf.big_endian))
        });
        *host == Some((self.elf.machine, self.elf.class, self.elf.big_endian))
    }

    /// [`Program::guest`], or why there is none.
    pub fn require_guest(&self, guests: Guests) -> Result<&'static Guest, LoadError> {
        self.guest(guests).ok_or_else(|| LoadError::Foreign {
            path: self.path.clone(),
            machine: format!("ELF machine {}, {}-bit", self.elf.machine, self.elf.class),
            supported: guests.names(),
        })
    }
}

fn read_head(file: &File) -> std::io::Result<Vec<u8>> {
    let mut head = vec![0; HEAD];
    let mut got = 0;
    while got < HEAD {
        match file.read_at(&mut head[got..], got as u64)? {
            0 => break,
            n => got += n,
        }
    }
    head.truncate(got);
    Ok(head)
}

fn open(path: &Path) -> Result<File, LoadError> {
    let fail = |source: std::io::Error| match source.raw_os_error() {
        Some(libc::ENOENT | libc::ENOTDIR) => LoadError::NotFound { path: path.to_owned() },
        _ => LoadError::Io { path: path.to_owned(), source },
    };
    // Not opened before it is known to be a file: opening a FIFO waits, opening a device has effects.
    let metadata = path.metadata().map_err(fail)?;
    if !metadata.is_file() || metadata.mode() & 0o111 == 0 {
        return Err(fail(std::io::Error::from_raw_os_error(libc::EACCES)));
    }
    File::open(path).map_err(fail)
}

/// Whether an absolute path names something below `root`.
#[must_use]
pub fn is_below(root: &Path, path: &Path) -> bool {
    sysroot::below(root, path).is_some()
}

/// Finds out what `path` is, following `#!` lines. Absolute paths are tried below `sysroot` first.
pub fn identify(path: &Path, argv: Vec<OsString>, sysroot: Option<&Path>) -> Result<Program, LoadError> {
    let mut path = sysroot::resolve(path, sysroot);
    let mut argv = argv;
    for _ in 0..MAX_SCRIPTS {
        let file = open(&path)?;
        let head = read_head(&file).map_err(|source| LoadError::Io { path: path.clone(), source })?;
        let malformed = |what: String| LoadError::Malformed { path: path.clone(), what };
        if elf::is_elf(&head) {
            let elf = elf::parse(&file, &head).map_err(malformed)?;
            return Ok(Program { path, argv, file, elf });
        }
        let Some(line) = script::interpreter(&head) else {
            return Err(malformed("neither an ELF file nor a script".into()));
        };
        argv = script::command_line(&line, &path, argv);
        path = sysroot::resolve(&line.interpreter, sysroot);
    }
    Err(LoadError::Malformed { path, what: "scripts interpreted by scripts too deeply".into() })
}

/// The dynamic linker of a program, found.
pub struct Interpreter {
    file: File,
    path: PathBuf,
    elf: Elf,
}

/// Finds the dynamic linker that `program` names; returns it and the library root it was found in.
pub fn find_interpreter(
    program: &Program,
    guest: &'static ir::Guest,
    options: &crate::Options,
) -> Result<(Option<Interpreter>, Option<PathBuf>), LoadError> {
    sysroot::discover(program, guest, options)
}

/// Where the guest starts.
pub struct Start {
    /// First instruction.
    pub pc: u64,
    /// Initial stack pointer.
    pub sp: u64,
}

/// Maps the program, its dynamic linker and its stack into the empty process.
pub fn load(
    process: &Process,
    program: &Program,
    interpreter: Option<&Interpreter>,
    environment: &[OsString],
) -> Result<Start, LoadError> {
    let space = &process.space;
    let image = image::map_program(space, program)?;
    let interp = interpreter.map(|interp| image::map_interpreter(space, interp)).transpose()?;
    space.set_brk(image.end);
    let pc = interp.as_ref().map_or(image.entry, |interp| interp.entry);
    let sp = stack::build(process, program, &image, interp.map_or(0, |interp| interp.bias), environment)?;
    Ok(Start { pc, sp })
}
