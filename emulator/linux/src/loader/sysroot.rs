//! Where the guest's libraries are.

use std::path::{Path, PathBuf};

use super::{Interpreter, LoadError, Program, elf, open, read_head};
use crate::Options;
use crate::abi::Abi;

/// A guest path on the host: absolute paths below the root first, then as they are.
pub(super) fn resolve(path: &Path, sysroot: Option<&Path>) -> PathBuf {
    sysroot.and_then(|root| below(root, path)).unwrap_or_else(|| path.to_owned())
}

/// `path` below `root`, if it exists there.
pub(super) fn below(root: &Path, path: &Path) -> Option<PathBuf> {
    let relative = path.strip_prefix("/").ok()?;
    let inside = root.join(relative);
    let found = inside.symlink_metadata().ok()?;
    Some(if found.is_symlink() { follow_links(root, &inside) } else { inside })
}

/// Most links followed; the kernel's number.
const MAX_LINKS: usize = 40;

/// What the symbolic link `path` below `root` leads to. An absolute link is the guest's: it leads on below `root` if there is
/// something there. A chain of relative links alone stays as it is: the host follows it to the same end, and the name is kept.
pub(crate) fn follow_links(root: &Path, path: &Path) -> PathBuf {
    let (mut at, mut absolute) = (path.to_owned(), false);
    for _ in 0..MAX_LINKS {
        let Ok(target) = std::fs::read_link(&at) else { return if absolute { at } else { path.to_owned() } };
        at = match target.strip_prefix("/").map(|relative| root.join(relative)) {
            Ok(inside) => {
                absolute = true;
                if inside.symlink_metadata().is_ok() { inside } else { target }
            }
            Err(_) => at.parent().unwrap_or(root).join(target),
        };
    }
    path.to_owned()
}

/// Finds the loader `program` names: in the roots asked for, next to the program, in `/`, and where distributions keep foreign
/// libraries. The first that has it, built for the right machine, is the library root.
pub(super) fn discover(
    program: &Program,
    guest: &'static ir::Guest,
    options: &Options,
) -> Result<(Option<Interpreter>, Option<PathBuf>), LoadError> {
    let Some(interp) = &program.elf.interp else {
        return Ok((None, options.sysroots.first().cloned()));
    };
    let interp = PathBuf::from(<std::ffi::OsStr as std::os::unix::ffi::OsStrExt>::from_bytes(interp));
    let roots = candidates(program, guest, options);
    for root in &roots {
        if let Some(found) = try_root(root, &interp, program) {
            let root = (root != Path::new("/")).then(|| root.clone());
            return Ok((Some(found), root));
        }
    }
    Err(LoadError::NoInterpreter {
        path: program.path.clone(),
        interp,
        guest: guest.name,
        debian: Abi::of(guest).map_or(guest.name, |abi| abi.debian),
        looked: roots.iter().map(|root| root.display().to_string()).collect::<Vec<_>>().join("  "),
    })
}

fn candidates(program: &Program, guest: &ir::Guest, options: &Options) -> Vec<PathBuf> {
    let mut roots = options.sysroots.clone();
    if !options.no_sysroot {
        roots.extend(program.path.parent().map(Path::to_owned));
    }
    roots.push("/".into());
    if !options.no_sysroot {
        roots.extend(cross_roots(guest.name));
        roots.push(format!("/etc/qemu-binfmt/{}", guest.name).into());
        roots.push(format!("/usr/gnemul/qemu-{}", guest.name).into());
    }
    roots
}

/// `/usr/<triple>` (Debian, Arch) and `/usr/<triple>/sys-root` (Fedora) of every triple that starts with the guest's name.
fn cross_roots(guest: &str) -> Vec<PathBuf> {
    let prefix = format!("{guest}-");
    let Ok(entries) = Path::new("/usr").read_dir() else { return Vec::new() };
    let ours = entries.flatten().filter(|entry| entry.file_name().to_string_lossy().starts_with(&prefix));
    let mut triples: Vec<PathBuf> = ours.map(|entry| entry.path()).collect();
    triples.sort();
    triples.into_iter().flat_map(|triple| [triple.clone(), triple.join("sys-root")]).collect()
}

/// The loader in `root`, if it is there and of the program's kind.
fn try_root(root: &Path, interp: &Path, program: &Program) -> Option<Interpreter> {
    let path = below(root, interp)?;
    let file = open(&path).ok()?;
    let elf = elf::parse(&file, &read_head(&file).ok()?).ok()?;
    let wanted = &program.elf;
    let fits = (elf.machine, elf.class, elf.big_endian) == (wanted.machine, wanted.class, wanted.big_endian);
    fits.then_some(Interpreter { file, path, elf })
}
