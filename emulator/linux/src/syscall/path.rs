//! Paths the guest names: the sysroot, and the files of `/proc` that describe the process.
//!
//! An absolute path means the file below the sysroot if there is one, else the host's: libraries and configuration come from
//! the sysroot, documents from the host. An empty directory of the sysroot (`/tmp`, `/home`) hides nothing.
//! Relative paths, and with them `AT_EMPTY_PATH`, are the host's, but for the same files of `/proc`.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::sync::OnceLock;

use super::proc_files::{self, ProcFile};
use crate::abi::Set;
use crate::caller::Caller;
use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::loader::follow_links;
use crate::process::Process;

/// Trees that are the kernel's, never the sysroot's.
const KERNEL_TREES: [&str; 3] = ["/proc", "/dev", "/sys"];

/// The host path (NUL-terminated) of what the guest calls `path`, relative to the directory `dirfd`; `None` if it is the same.
/// Without `follow`, a symbolic link at its end is what is meant.
pub(super) fn redirect(
    process: &Process,
    dirfd: Option<u64>,
    path: &[u8],
    follow: impl FnOnce() -> bool,
) -> Option<Box<[u8]>> {
    if path.is_empty() {
        return None;
    }
    let special = special(dirfd, path);
    if special.is_none() && (process.sysroot.is_none() || path[0] != b'/') {
        return None;
    }
    let follow = follow();
    let found = match special {
        Some(ProcFile::Exe) if follow => process.exe.clone(),
        _ => below_sysroot(process.sysroot.as_deref()?, Path::new(OsStr::from_bytes(path)), follow)?,
    };
    let mut bytes = found.into_os_string().into_vec();
    bytes.push(0);
    Some(bytes.into_boxed_slice())
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

/// `path` below `root` if it exists there; a directory that the host has too only if there is something in it.
fn below_sysroot(root: &Path, path: &Path, follow: bool) -> Option<PathBuf> {
    let relative = path.strip_prefix("/").ok()?;
    if relative.as_os_str().is_empty() || KERNEL_TREES.iter().any(|tree| path.starts_with(tree)) {
        return None;
    }
    let inside = root.join(relative);
    let found = inside.symlink_metadata().ok()?;
    let end = if found.is_symlink() { follow_links(root, &inside) } else { inside.clone() };
    let directory = found.is_dir() || found.is_symlink() && end.is_dir();
    let hides_nothing = directory && end.read_dir().is_ok_and(|mut entries| entries.next().is_none());
    (!hides_nothing || !path.is_dir()).then_some(if follow { end } else { inside })
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
    let fd = unsafe { ctx.blocking(libc::SYS_openat, host) }?;
    opened(ctx.process, &path, fd);
    Ok(fd)
}

/// What may be a way to code is not opened from generated code, which would go on to make calls that have to be seen.
fn before_open(ctx: &mut Caller<'_>, path: &[u8]) -> Result<(), Errno> {
    if path.ends_with(b"mem") { ctx.outside().map(|_| ()) } else { Ok(()) }
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
    let fd = unsafe { ctx.blocking(libc::SYS_openat2, [dirfd, name, how.as_ptr() as u64, size, 0, 0]) }?;
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

    #[test]
    fn the_sysroot_hides_the_hosts_files_but_for_empty_directories() {
        let root = std::env::temp_dir().join(format!("isamorph-sysroot-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/passwd"), "").unwrap();
        std::fs::create_dir_all(root.join("only-here")).unwrap();
        let below = |path: &str| below_sysroot(&root, Path::new(path), true);
        assert_eq!(below("/etc/passwd"), Some(root.join("etc/passwd")));
        std::fs::create_dir_all(root.join("tmp")).unwrap();
        assert_eq!(below("/etc"), Some(root.join("etc")));
        assert_eq!(below("/tmp"), None);
        assert_eq!(below("/only-here"), Some(root.join("only-here")));
        assert_eq!(below("/etc/absent"), None);
        assert_eq!(below("relative"), None);
        assert_eq!(below("/"), None);
        assert_eq!(below("/proc/self/exe"), None);
        // Links that distributions make are absolute: they lead on inside the sysroot, unless the link itself is meant.
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        link("/etc/alternatives", "only-here/first");
        link("/etc/passwd", "etc/alternatives");
        link("passwd", "etc/relative");
        link("/etc/loop", "etc/loop");
        assert_eq!(below("/only-here/first"), Some(root.join("etc/passwd")));
        assert_eq!(below_sysroot(&root, Path::new("/etc/alternatives"), false), Some(root.join("etc/alternatives")));
        assert_eq!(below("/etc/relative"), Some(root.join("etc/relative")));
        assert_eq!(below("/etc/loop"), Some(root.join("etc/loop")));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
