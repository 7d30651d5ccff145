//! Translations on disk: an image per program ([`jit::Saved`]), in a directory of the user's.
//!
//! Nothing in a file is trusted for being there: the directory and the file have to be the user's own, with no others allowed to
//! write, the emulator and what it was told have to be the same, and the guest's code is compared. A program that may do what its
//! user may not uses none, and whatever goes wrong with the cache, the program runs without.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::options::Options;

/// Where translations are kept (`--cache`).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// In `isamorph` in the user's directory for caches, if there is that directory.
    #[default]
    Usual,
    /// In this directory, which is made if need be.
    At(PathBuf),
    /// Nowhere (`none`).
    Off,
}

/// Bytes of all files together; beyond, the oldest go.
const LIMIT: u64 = 512 << 20;

/// A file being written is renamed when it is complete. What was left behind by a process that died is this old.
const ABANDONED: Duration = Duration::from_secs(3600);

/// The program's file.
pub(crate) struct Cache {
    file: PathBuf,
    saved: jit::Saved,
    /// The process and root directory that opened it: others, which the guest made, write nothing.
    owner: Owner,
}

#[derive(PartialEq, Eq)]
struct Owner {
    process: u32,
    user: u32,
    root: (u64, u64),
}

impl Owner {
    fn current() -> Option<Owner> {
        let root = fs::metadata("/").ok()?;
        Some(Owner { process: std::process::id(), user: user(), root: (root.dev(), root.ino()) })
    }
}

impl Cache {
    /// The cache of the program `exe` of a guest; `None` if there is none to be used.
    pub(crate) fn open(options: &Options, guest: &ir::Guest, exe: &Path) -> Option<Cache> {
        let looks = options.trace != jit::Trace::default() || options.profile || options.check || options.interp;
        if looks || is_privileged() {
            return None;
        }
        let directory = directory(&options.cache)?;
        let features = options.host_cpu.unwrap_or_else(jit::x64::Features::host);
        let identity = identity(guest.name, features)?;
        let file = directory.join(file_name(exe, identity));
        let image = map(&file).unwrap_or_default();
        Some(Cache { file, saved: jit::Saved { image, identity }, owner: Owner::current()? })
    }

    /// For the translator.
    pub(crate) fn saved(&self) -> jit::Saved {
        self.saved
    }

    /// Writes what `jit` would save, if it is enough. The process is about to end or to become another.
    pub(crate) fn write(&self, jit: &jit::Jit) {
        if Owner::current().as_ref() == Some(&self.owner)
            && let Some(image) = jit.image()
            && may_write(image.len())
        {
            // Without a cache the next run is slower, and that is all.
            let _ = self.replace(&image);
        }
    }

    fn replace(&self, image: &[u8]) -> io::Result<()> {
        let directory = self.file.parent().ok_or(io::ErrorKind::NotFound)?;
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
        if !is_own(&fs::metadata(directory)?) {
            return Err(io::ErrorKind::PermissionDenied.into());
        }
        make_room(directory, image.len() as u64)?;
        let unfinished = self.file.with_added_extension(format!("{}.new", self.owner.process));
        let mut new = OpenOptions::new();
        new.write(true).create_new(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
        let written = new.open(&unfinished)?.write_all(image).and_then(|()| fs::rename(&unfinished, &self.file));
        written.inspect_err(|_| {
            let _ = fs::remove_file(&unfinished);
        })
    }
}

/// The directory, whether or not it is there.
fn directory(choice: &Choice) -> Option<PathBuf> {
    match choice {
        Choice::Off => None,
        Choice::At(directory) => Some(directory.clone()),
        Choice::Usual => {
            let absolute = |variable| std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
            let caches = absolute("XDG_CACHE_HOME").or_else(|| Some(absolute("HOME")?.join(".cache")))?;
            // A system image being built should not find files in it that nobody asked for.
            caches.is_dir().then(|| caches.join("isamorph"))
        }
    }
}

/// The program's name to be found by people, and a number of its path and of what its translations depend on.
fn file_name(exe: &Path, identity: u128) -> OsString {
    let mut path = exe.as_os_str().as_bytes().to_vec();
    path.extend(identity.to_le_bytes());
    let mut name = exe.file_name().unwrap_or_default().to_owned();
    name.push(format!("-{:016x}", xxh3_64(&path)));
    name
}

/// What decides about translations besides the guest's code; `None` if this emulator cannot tell itself from others.
fn identity(guest: &str, features: jit::x64::Features) -> Option<u128> {
    let mut hash = Xxh3::new();
    hash.update(build_id()?);
    hash.update(guest.as_bytes());
    hash.update(features.list().as_bytes());
    Some(hash.digest128())
}

/// What the linker made of the contents of this executable: the description of its note `NT_GNU_BUILD_ID`.
fn build_id() -> Option<&'static [u8]> {
    let mut notes: Vec<&'static [u8]> = Vec::new();
    // SAFETY: the callback has the right type and gets the list as its data.
    unsafe { libc::dl_iterate_phdr(Some(collect_notes), (&raw mut notes).cast()) };
    notes.into_iter().find_map(find_build_id)
}

/// Collects the notes of the executable, the first object there is.
unsafe extern "C" fn collect_notes(
    object: *mut libc::dl_phdr_info,
    _size: usize,
    notes: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: `dl_iterate_phdr` passes an object and the data it was given; the executable stays mapped, and its notes are in
    // a segment that is only read.
    unsafe {
        let (object, notes) = (&*object, &mut *notes.cast::<Vec<&'static [u8]>>());
        let headers = std::slice::from_raw_parts(object.dlpi_phdr, object.dlpi_phnum.into());
        for header in headers.iter().filter(|header| header.p_type == libc::PT_NOTE) {
            let start = object.dlpi_addr.wrapping_add(header.p_vaddr) as *const u8;
            notes.push(std::slice::from_raw_parts(start, header.p_filesz as usize));
        }
    }
    1
}

/// In a sequence of notes: lengths of name and description, type, and both, padded to four bytes.
fn find_build_id(mut notes: &'static [u8]) -> Option<&'static [u8]> {
    const NT_GNU_BUILD_ID: u32 = 3;
    loop {
        let (head, rest) = notes.split_first_chunk::<12>()?;
        let word = |at: usize| u32::from_ne_bytes(head[at..at + 4].try_into().unwrap_or_default());
        let (name, rest) = rest.split_at_checked((word(0) as usize).next_multiple_of(4))?;
        let description = rest.get(..word(4) as usize)?;
        if word(8) == NT_GNU_BUILD_ID && name == b"GNU\0" {
            return Some(description);
        }
        notes = rest.get(description.len().next_multiple_of(4)..)?;
    }
}

/// The contents of a file that is the user's own, for as long as the process lives.
fn map(path: &Path) -> Option<&'static [u8]> {
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path).ok()?;
    let about = file.metadata().ok()?;
    let directory = fs::metadata(path.parent()?).ok()?;
    if !about.is_file() || !is_own(&about) || !is_own(&directory) {
        return None;
    }
    map_file(&file, usize::try_from(about.len()).ok()?)
}

fn map_file(file: &File, len: usize) -> Option<&'static [u8]> {
    // SAFETY: a fresh mapping, never unmapped. Files of the cache are replaced, not changed: who may write to one is its owner.
    unsafe {
        let flags = libc::MAP_PRIVATE;
        let start = libc::mmap(std::ptr::null_mut(), len, libc::PROT_READ, flags, file.as_raw_fd(), 0);
        (start != libc::MAP_FAILED).then(|| std::slice::from_raw_parts(start.cast(), len))
    }
}

/// Nobody but the user can have written it.
fn is_own(about: &Metadata) -> bool {
    about.uid() == user() && about.mode() & 0o022 == 0
}

fn user() -> u32 {
    // SAFETY: no arguments.
    unsafe { libc::geteuid() }
}

/// A program that has another's rights.
fn is_privileged() -> bool {
    // SAFETY: reads the auxiliary vector.
    unsafe { libc::getauxval(libc::AT_SECURE) != 0 }
}

/// A file of this size is within the guest's limit, beyond which writing raises a signal.
fn may_write(len: usize) -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: fills the structure.
    unsafe { libc::getrlimit(libc::RLIMIT_FSIZE, &raw mut limit) == 0 && limit.rlim_cur >= len as u64 }
}

/// Removes what was abandoned, and the oldest files until `len` bytes more are within the limit.
fn make_room(directory: &Path, len: u64) -> io::Result<()> {
    let mut files: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
    for entry in fs::read_dir(directory)?.flatten() {
        let Ok(about) = entry.metadata() else { continue };
        let written = about.modified()?;
        let unfinished = entry.path().extension().is_some_and(|extension| extension == "new");
        if !about.is_file() {
            continue;
        }
        if unfinished && written.elapsed().is_ok_and(|age| age > ABANDONED) {
            fs::remove_file(entry.path())?;
        } else {
            files.push((written, about.len(), entry.path()));
        }
    }
    files.sort();
    let mut total = len + files.iter().map(|(_, len, _)| len).sum::<u64>();
    for (_, len, path) in files {
        if total <= LIMIT {
            break;
        }
        fs::remove_file(path)?;
        total -= len;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_executable_has_a_build_id() {
        assert!(build_id().is_some_and(|id| id.len() >= 8));
    }

    #[test]
    fn a_program_of_another_emulator_guest_or_host_has_another_file() {
        let features = jit::x64::Features::V1;
        let one = identity("aarch64", features).unwrap();
        assert_eq!(identity("aarch64", features), Some(one));
        let others = [identity("riscv64", features), identity("aarch64", jit::x64::Features::V3)];
        let exe = Path::new("/usr/bin/true");
        let name = file_name(exe, one);
        assert!(name.to_str().unwrap().starts_with("true-"));
        for other in others {
            assert_ne!(file_name(exe, other.unwrap()), name);
        }
        assert_ne!(file_name(Path::new("/bin/true"), one), name);
    }
}
