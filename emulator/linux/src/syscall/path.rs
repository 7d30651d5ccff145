//! Paths the guest names: the sysroot, and the files of `/proc` that describe the process.
//!
//! Relative paths, and with them `AT_EMPTY_PATH`, are the host's, but for the same files of `/proc`; absolute ones are looked up
//! below the sysroot first ([`super::tree`]).

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::proc_files::{self, ProcFile};
use super::tree::HostPath;
use super::tree_memory;
use crate::abi::Set;
use crate::caller::Caller;
use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::process::Process;

/// The host path (NUL-terminated) of what the guest calls `path`, relative to the directory `dirfd`; `None` if it is the same.
/// Without `follow`, a symbolic link at its end is what is meant.
pub(super) fn redirect(
    process: &Process,
    dirfd: Option<u64>,
    path: &[u8],
    follow: impl FnOnce() -> bool,
) -> Option<HostPath> {
    if path.is_empty() {
        return None;
    }
    let special = special(dirfd, path);
    if special.is_none() && (process.sysroot.is_none() || path[0] != b'/') {
        return None;
    }
    let follow = follow();
    match special {
        Some(ProcFile::Exe) if follow => Some([process.exe.as_os_str().as_bytes(), &[0]].concat().into()),
        _ => tree_memory::lookup(process.sysroot.as_deref()?, path, follow),
    }
}

/// The host path that a guest's `execve` or similar means by `path`, relative to `dirfd` (`AT_FDCWD` for the working directory).
#[must_use]
pub(crate) fn to_host(process: &Process, dirfd: i32, path: &[u8]) -> PathBuf {
    let found = redirect(process, Some(dirfd as u64), path, || true);
    let bytes = found.as_deref().and_then(|p| p.strip_suffix(&[0])).unwrap_or(path);
    let host = PathBuf::from(OsStr::from_bytes(bytes));
    match directory(dirfd) {
        Some(base) if host.is_relative() && dirfd != libc::AT_FDCWD => base.join(host),
        _ => host,
    }
}

/// Directory of a descriptor.
fn directory(dirfd: i32) -> Option<PathBuf> {
    if dirfd == libc::AT_FDCWD {
        return std::env::current_dir().ok();
    }
    std::fs::read_link(format!("/proc/self/fd/{dirfd}")).ok()
}

/// The last component of a path, as [`Path::file_name`] has it; that takes a path apart from its start.
fn file_name(path: &[u8]) -> Option<&OsStr> {
    let name = path.rsplit(|&byte| byte == b'/').next()?;
    match name {
        b"" | b"." | b".." => Path::new(OsStr::from_bytes(path)).file_name(),
        name => Some(OsStr::from_bytes(name)),
    }
}

/// Which file of `/proc` about this process `path` names, in any spelling.
fn special(dirfd: Option<u64>, path: &[u8]) -> Option<ProcFile> {
    let file = proc_files::by_name(file_name(path)?)?;
    let path = Path::new(OsStr::from_bytes(path));
    let whole = if path.is_absolute() {
        path.to_owned()
    } else {
        directory(dirfd.map_or(libc::AT_FDCWD, |fd| fd as i32))?.join(path)
    };
    let mut parts: Vec<OsString> = Vec::new();
    for component in whole.components() {
        match component {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::ParentDir => drop(parts.pop()),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    let parts: Vec<&OsStr> = parts.iter().map(OsString::as_os_str).collect();
    let [root, rest @ .., _] = parts.as_slice() else { return None };
    (*root == "proc" && file.place_is(rest)).then_some(file)
}

/// `open(path, flags, mode)`
pub(crate) fn open(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [path, flags, mode, ..] = args;
    openat(ctx, [libc::AT_FDCWD as u64, path, flags, mode, 0, 0])
}

/// `creat(path, mode)`
pub(crate) fn creat(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [path, mode, ..] = args;
    let flags = libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC;
    openat(ctx, [libc::AT_FDCWD as u64, path, flags as u64, mode, 0, 0])
}

/// `readlink(path, buf, size)`
pub(crate) fn readlink(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [path, buf, size, ..] = args;
    readlinkat(ctx, [libc::AT_FDCWD as u64, path, buf, size, 0, 0])
}

/// `openat(dirfd, path, flags, mode)`
pub(crate) fn openat(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [dirfd, addr, ..] = args;
    let path = guest_memory::read_cstr(addr)?;
    before_open(ctx, &path)?;
    let mut host = args;
    let follow = host[2] as i32 & libc::O_NOFOLLOW == 0;
    let redirected = match special(Some(dirfd), &path) {
        None | Some(ProcFile::Exe) => redirect(ctx.process, Some(dirfd), &path, || follow),
        Some(file) => return proc_files::open(ctx.outside()?.process, file, host[2] as i32),
    };
    if let Some(found) = &redirected {
        host[1] = found.as_ptr() as u64;
    }
    // SAFETY: a guest address or a string that outlives the call.
    let fd = unsafe { ctx.blocking(libc::SYS_openat, host) };
    may_have_made(host[2]);
    let fd = fd?;
    opened(ctx.process, &path, fd);
    Ok(fd)
}

/// What may be a way to code is not opened from generated code, which would go on to make calls that have to be seen.
fn before_open(ctx: &mut Caller<'_>, path: &[u8]) -> Result<(), Errno> {
    if path.ends_with(b"mem") { ctx.outside().map(|_| ()) } else { Ok(()) }
}

/// A file was opened, or not, with these flags.
fn may_have_made(flags: u64) {
    if flags as i32 & libc::O_CREAT != 0 {
        tree_memory::changed();
    }
}

/// A file was opened: the memory of a process, which is always called so, can be a way to code.
fn opened(process: &Process, path: &[u8], fd: u64) {
    if path.ends_with(b"mem")
        && std::fs::read_link(format!("/proc/self/fd/{fd}"))
            .is_ok_and(|path| path.starts_with("/proc") && path.ends_with("mem"))
    {
        process.space.opened_memory(fd as i32);
    }
}

fn open_flags(process: &Process) -> Option<&'static Set> {
    static SET: OnceLock<Option<&'static Set>> = OnceLock::new();
    *SET.get_or_init(|| process.abi.set("open_flags"))
}

/// `openat2(dirfd, path, how, size)`: a `how` of the first version's size, which is all there is.
pub(crate) fn openat2(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [dirfd, addr, how, size, ..] = args;
    let [flags, mode, resolve] = ctx.process.abi.words().read_array(how, 8)?;
    if size < 24 {
        return Err(Errno::EINVAL);
    }
    if size > 24 {
        return Err(Errno::E2BIG);
    }
    let path = guest_memory::read_cstr(addr)?;
    before_open(ctx, &path)?;
    if let Some(file) = special(Some(dirfd), &path)
        && file != ProcFile::Exe
    {
        return proc_files::open(ctx.outside()?.process, file, flags as i32);
    }
    let how = [open_flags(ctx.process).map_or(flags, |set| set.to_host(flags)), mode, resolve];
    let follow = how[0] as i32 & libc::O_NOFOLLOW == 0;
    let redirected = if resolve == 0 { redirect(ctx.process, Some(dirfd), &path, || follow) } else { None };
    let name = redirected.as_ref().map_or(addr, |found| found.as_ptr() as u64);
    // SAFETY: a guest address or a string, and the structure; both outlive the call.
    let fd = unsafe { ctx.blocking(libc::SYS_openat2, [dirfd, name, how.as_ptr() as u64, size, 0, 0]) };
    may_have_made(how[0]);
    let fd = fd?;
    opened(ctx.process, &path, fd);
    Ok(fd)
}

/// `readlinkat(dirfd, path, buf, size)`
pub(crate) fn readlinkat(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [dirfd, addr, buf, size, ..] = args;
    let path = guest_memory::read_cstr(addr)?;
    if special(Some(dirfd), &path) == Some(ProcFile::Exe) {
        let size = usize::try_from(size as i32).ok().filter(|&n| n > 0).ok_or(Errno::EINVAL)?;
        let target = ctx.process.exe.as_os_str().as_bytes();
        let target = &target[..target.len().min(size)];
        guest_memory::write(buf, target)?;
        return Ok(target.len() as u64);
    }
    let mut host = args;
    let redirected = redirect(ctx.process, Some(dirfd), &path, || false);
    if let Some(found) = &redirected {
        host[1] = found.as_ptr() as u64;
    }
    // SAFETY: guest addresses or a string that outlives the call.
    unsafe { crate::host::syscall(libc::SYS_readlinkat, host) }
}

/// A descriptor with `contents` to read from its start.
pub(super) fn file_with(contents: &[u8], name: &CStr, flags: i32) -> SysResult {
    let cloexec = if flags & libc::O_CLOEXEC != 0 { libc::MFD_CLOEXEC } else { 0 };
    // SAFETY: a NUL-terminated name.
    let fd = unsafe { libc::memfd_create(name.as_ptr(), cloexec) };
    if fd < 0 {
        return Err(Errno::last());
    }
    let mut rest = contents;
    while !rest.is_empty() {
        // SAFETY: the buffer is live.
        let n = unsafe { libc::write(fd, rest.as_ptr().cast(), rest.len()) };
        if n <= 0 {
            let error = Errno::last();
            // SAFETY: our descriptor.
            unsafe { libc::close(fd) };
            return Err(error);
        }
        rest = &rest[n as usize..];
    }
    // SAFETY: our descriptor.
    unsafe { libc::lseek(fd, 0, libc::SEEK_SET) };
    Ok(fd as u64)
}

/// A C string of text without NUL; empty if it has one.
pub(super) fn c_string(text: &str) -> CString {
    CString::new(text).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_is_the_paths_last_component() {
        for path in ["", "/", "a", "/a", "a/b", "/a/b/", "a/.", "a/..", "a/b/./", "//a//", ".", "..", "/proc/self/exe"]
        {
            assert_eq!(file_name(path.as_bytes()), Path::new(path).file_name(), "{path}");
        }
    }
}
