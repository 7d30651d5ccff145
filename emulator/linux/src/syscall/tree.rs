//! Files below the sysroot.
//!
//! An absolute path means the file below the sysroot if there is one, else the host's: libraries and configuration come from
//! the sysroot, documents from the host. An empty directory of the sysroot (`/tmp`, `/home`) hides nothing.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;

use smallvec::SmallVec;

use super::marshal::{as_bytes, bytes_of};
use crate::loader::follow_links;

/// Trees that are the kernel's, never the sysroot's.
const KERNEL_TREES: [&[u8]; 3] = [b"proc", b"dev", b"sys"];

/// A path of the host's, with its NUL.
pub(super) type HostPath = Rc<[u8]>;

/// One that is being looked up; most take no allocation.
type Name = SmallVec<[u8; 256]>;

/// The file below `root` that the absolute path `path` means, if it exists there; a directory that the host has too only if there
/// is something in it. Without `follow`, a symbolic link at its end is what is meant.
pub(super) fn below(root: &Path, path: &[u8], follow: bool) -> Option<HostPath> {
    if path.first() != Some(&b'/') || is_hosts(path) {
        return None;
    }
    // What a slash follows has to be a directory, and a link there is followed.
    let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let (path, directory) = path.split_at(end);
    let inside = name(&[root.as_os_str().as_bytes(), path]);
    let mut found = status(&inside, libc::AT_SYMLINK_NOFOLLOW)?;
    let mut leads_to = None;
    if found.st_mode & libc::S_IFMT == libc::S_IFLNK {
        let end = follow_links(root, as_path(&inside));
        let end = leads_to.insert(name(&[end.as_os_str().as_bytes()]));
        found = status(end, 0).unwrap_or(found);
    }
    let end = leads_to.as_ref().unwrap_or(&inside);
    let is_directory = found.st_mode & libc::S_IFMT == libc::S_IFDIR;
    // Each directory in it is one more link to it.
    if is_directory && found.st_nlink <= 2 && is_empty(end) && Path::new(OsStr::from_bytes(path)).is_dir() {
        return None;
    }
    let found = if follow || !directory.is_empty() { end } else { &inside };
    Some(if directory.is_empty() { found[..].into() } else { name(&[&found[..found.len() - 1], b"/"])[..].into() })
}

/// Whether a path is the root's or leads into one of [`KERNEL_TREES`].
fn is_hosts(path: &[u8]) -> bool {
    let mut parts = path.split(|&byte| byte == b'/').filter(|part| !part.is_empty() && *part != b".");
    parts.next().is_none_or(|first| KERNEL_TREES.contains(&first))
}

/// The parts as one, with a NUL.
fn name(parts: &[&[u8]]) -> Name {
    let mut name = Name::new();
    parts.iter().for_each(|part| name.extend_from_slice(part));
    name.push(0);
    name
}

fn as_path(name: &Name) -> &Path {
    Path::new(OsStr::from_bytes(&name[..name.len() - 1]))
}

fn status(name: &Name, flags: i32) -> Option<libc::stat> {
    let mut status = std::mem::MaybeUninit::uninit();
    // SAFETY: a NUL-terminated name, and room for the structure, which success fills.
    unsafe {
        let failed = libc::fstatat(libc::AT_FDCWD, name.as_ptr().cast(), status.as_mut_ptr(), flags) != 0;
        (!failed).then(|| status.assume_init())
    }
}

/// Bytes of names read at once: those of `.` and `..` and of a short one. The whole directory would take the longer the larger
/// it is.
const FEW: usize = 96;

/// Whether a directory can be read, and nothing is in it.
fn is_empty(directory: &Name) -> bool {
    let flags = libc::O_RDONLY | libc::O_DIRECTORY | libc::O_CLOEXEC;
    // SAFETY: a NUL-terminated name.
    let fd = unsafe { libc::open(directory.as_ptr().cast(), flags) };
    if fd < 0 {
        return false;
    }
    let mut words = [0; FEW / 8];
    let empty = loop {
        // SAFETY: the buffer is as long as it is said to be. A name that does not fit is an error, and something.
        let read = unsafe {
            crate::host::syscall(
                libc::SYS_getdents64,
                [fd as u64, as_bytes(&mut words).as_mut_ptr() as u64, FEW as u64, 0, 0, 0],
            )
        };
        match read {
            Ok(0) => break true,
            Ok(n) if only_itself(&bytes_of(&words)[..n as usize]) => {}
            _ => break false,
        }
    };
    // SAFETY: our descriptor.
    unsafe { libc::close(fd) };
    empty
}

/// Whether the records of a directory are those of `.` and `..`: inode, offset of the next, length, type, name.
fn only_itself(mut records: &[u8]) -> bool {
    while let Some((head, name)) = records.split_at_checked(19) {
        let length = usize::from(u16::from_le_bytes([head[16], head[17]]));
        if !name.starts_with(b".\0") && !name.starts_with(b"..\0") || length < 19 {
            return false;
        }
        records = records.get(length..).unwrap_or_default();
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn below(root: &Path, path: &str, follow: bool) -> Option<String> {
        super::below(root, path.as_bytes(), follow).map(|found| {
            let (nul, text) = found.split_last().expect("NUL-terminated");
            assert_eq!(*nul, 0);
            String::from_utf8(text.to_vec()).expect("as it was")
        })
    }

    #[test]
    fn the_sysroot_hides_the_hosts_files_but_for_empty_directories() {
        let root = std::env::temp_dir().join(format!("isamorph-sysroot-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("etc/passwd"), "").unwrap();
        std::fs::create_dir_all(root.join("only-here")).unwrap();
        let found = |path: &str| below(&root, path, true);
        let at = |path: &str| Some(format!("{}/{path}", root.display()));
        assert_eq!(found("/etc/passwd"), at("etc/passwd"));
        std::fs::create_dir_all(root.join("tmp")).unwrap();
        assert_eq!(found("/etc"), at("etc"));
        assert_eq!(found("/tmp"), None);
        assert_eq!(found("/only-here"), at("only-here"));
        for path in ["/etc/absent", "relative", "", "/", "//", "/.", "/proc/self/exe", "//./sys", "/dev/null"] {
            assert_eq!(found(path), None, "{path}");
        }
        // Only a directory may have a slash after it, as the kernel will say.
        assert_eq!(found("/etc/passwd/"), at("etc/passwd/"));
        assert_eq!((found("/etc//"), found("/tmp/")), (at("etc/"), None));
        // Names that do not fit where few are read, and only them.
        std::fs::write(root.join("tmp").join("n".repeat(200)), "").unwrap();
        assert_eq!(found("/tmp"), at("tmp"));
        // Links that distributions make are absolute: they lead on inside the sysroot, unless the link itself is meant.
        let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, root.join(name)).unwrap();
        link("/etc/alternatives", "only-here/first");
        link("/etc/passwd", "etc/alternatives");
        link("passwd", "etc/relative");
        link("/etc/loop", "etc/loop");
        link("/only-here", "etc/directory");
        assert_eq!(found("/only-here/first"), at("etc/passwd"));
        assert_eq!(below(&root, "/etc/alternatives", false), at("etc/alternatives"));
        assert_eq!(found("/etc/relative"), at("etc/relative"));
        assert_eq!(found("/etc/loop"), at("etc/loop"));
        assert_eq!(below(&root, "/etc/directory/", false), at("only-here/"));
        std::fs::remove_dir_all(&root).unwrap();
    }
}
