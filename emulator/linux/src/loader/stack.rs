//! The initial stack: strings, auxiliary vector, environment, arguments.

use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;

use super::{LoadError, Program, image::Image};
use crate::errno::Errno;
use crate::guest_memory;
use crate::mem::{Kind, PAGE, Request, page_up};
use crate::process::Process;

/// Auxiliary vector entries, as in `uapi/linux/auxvec.h`.
mod at {
    pub(super) const NULL: u64 = 0;
    pub(super) const PHDR: u64 = 3;
    pub(super) const PHENT: u64 = 4;
    pub(super) const PHNUM: u64 = 5;
    pub(super) const PAGESZ: u64 = 6;
    pub(super) const BASE: u64 = 7;
    pub(super) const FLAGS: u64 = 8;
    pub(super) const ENTRY: u64 = 9;
    pub(super) const UID: u64 = 11;
    pub(super) const EUID: u64 = 12;
    pub(super) const GID: u64 = 13;
    pub(super) const EGID: u64 = 14;
    pub(super) const PLATFORM: u64 = 15;
    pub(super) const HWCAP: u64 = 16;
    pub(super) const CLKTCK: u64 = 17;
    pub(super) const SECURE: u64 = 23;
    pub(super) const RANDOM: u64 = 25;
    pub(super) const HWCAP2: u64 = 26;
    pub(super) const EXECFN: u64 = 31;
    pub(super) const MINSIGSTKSZ: u64 = 51;
}

/// Stack without `-s` and without a resource limit.
const DEFAULT_SIZE: u64 = 8 << 20;

/// Maps the stack and fills it; returns the initial stack pointer.
pub(super) fn build(
    process: &Process,
    program: &Program,
    image: &Image,
    interp_base: u64,
    environment: &[OsString],
) -> Result<u64, LoadError> {
    let fail = |what: &str, error: Errno| LoadError::Map {
        path: program.path.clone(),
        what: format!("{what}: {}", std::io::Error::from_raw_os_error(error.0)),
    };
    let guest = process.guest;
    let strings: usize = program.argv.iter().chain(environment).map(|s| s.len() + 9).sum();
    let size = stack_size(process.options.stack_size)
        .max(strings as u64 * 2 + 64 * PAGE)
        .min(process.space.places().max_stack);
    map_stack(process, size).map_err(|e| fail("stack", e))?;

    let mut stack = Writer { sp: process.space.places().stack_top, error: None };
    stack.sp -= 8;
    let execfn = stack.string(program.path.as_os_str().as_bytes());
    let envp = stack.strings(environment);
    let argv = stack.strings(&program.argv);
    let platform = stack.string(guest.process.platform.as_bytes());
    stack.sp = (stack.sp - 16) & !15;
    let random = stack.sp;
    stack.write(random, &random_bytes());

    let elf = &program.elf;
    // SAFETY: the process's own auxiliary vector and identity; no arguments.
    let (ids, secure) = unsafe {
        let ids = [libc::getuid(), libc::geteuid(), libc::getgid(), libc::getegid()].map(u64::from);
        (ids, libc::getauxval(libc::AT_SECURE))
    };
    let auxv = [
        (at::HWCAP, guest.process.hwcap),
        (at::PAGESZ, PAGE),
        (at::CLKTCK, 100),
        (at::PHDR, image.headers_at),
        (at::PHENT, elf.header_size),
        (at::PHNUM, elf.header_count),
        (at::BASE, interp_base),
        (at::FLAGS, 0),
        (at::ENTRY, image.entry),
        (at::UID, ids[0]),
        (at::EUID, ids[1]),
        (at::GID, ids[2]),
        (at::EGID, ids[3]),
        (at::SECURE, secure),
        (at::RANDOM, random),
        (at::HWCAP2, guest.process.hwcap2),
        (at::EXECFN, execfn),
        (at::PLATFORM, platform),
        (at::MINSIGSTKSZ, process.frames.full.layout.min_stack),
        (at::NULL, 0),
    ];
    let words: Vec<u64> = [argv.len() as u64]
        .into_iter()
        .chain(argv)
        .chain([0])
        .chain(envp)
        .chain([0])
        .chain(auxv.iter().flat_map(|&(key, value)| [key, value]))
        .collect();
    let layout = process.abi.words();
    let bytes = layout.bytes(&words);
    let align = u64::from(guest.process.entry_sp_align.max(16));
    stack.sp = (stack.sp - bytes.len() as u64) & !(align - 1);
    let sp = stack.sp;
    stack.write(sp, &bytes);
    let _ = process.auxv.set(bytes[bytes.len() - 2 * layout.size as usize * auxv.len()..].to_vec());
    stack.error.map_or(Ok(sp), |e| Err(fail("arguments", e)))
}

fn stack_size(asked: Option<u64>) -> u64 {
    asked.unwrap_or_else(|| {
        let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
        // SAFETY: fills the structure.
        let known = unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) } == 0;
        if known && limit.rlim_cur != libc::RLIM_INFINITY { limit.rlim_cur } else { DEFAULT_SIZE }
    })
}

fn map_stack(process: &Process, size: u64) -> Result<(), Errno> {
    let len = page_up(size).ok_or(Errno::ENOMEM)?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    let request = Request {
        addr: process.space.places().stack_top - len,
        len,
        prot: libc::PROT_READ | libc::PROT_WRITE,
        flags,
        fd: -1,
        offset: 0,
        kind: Kind::Stack,
    };
    process.space.map_memory(&request).map(drop)
}

fn random_bytes() -> [u8; 16] {
    let mut bytes = [0; 16];
    // SAFETY: fills the buffer; without entropy the bytes stay zero, as good as any to a program that must run.
    unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    bytes
}

/// Writes downwards.
struct Writer {
    sp: u64,
    error: Option<Errno>,
}

impl Writer {
    fn write(&mut self, at: u64, bytes: &[u8]) {
        if let Err(error) = guest_memory::write(at, bytes) {
            self.error.get_or_insert(error);
        }
    }

    fn string(&mut self, bytes: &[u8]) -> u64 {
        self.sp -= bytes.len() as u64 + 1;
        let at = self.sp;
        self.write(at, &[bytes, &[0]].concat());
        at
    }

    /// Strings ascending without gaps, as programs that rewrite their title expect; returns their addresses.
    fn strings(&mut self, strings: &[OsString]) -> Vec<u64> {
        let joined: Vec<u8> = strings.iter().flat_map(|s| s.as_bytes().iter().copied().chain([0])).collect();
        self.sp -= joined.len() as u64;
        let mut at = self.sp;
        self.write(at, &joined);
        let place = |s: &OsString| {
            let here = at;
            at += s.len() as u64 + 1;
            here
        };
        strings.iter().map(place).collect()
    }
}
