//! The classic form: a guest library `libnative.so` that is preloaded.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use super::elf_file::ElfFile;

/// What `LD_PRELOAD` separates paths with.
const SEPARATORS: &[u8] = b": \t\n";
const PRELOAD: &[u8] = b"LD_PRELOAD=";

/// The path of a native-call library, if `argument` is or claims to be one: its `DT_SONAME` or its name says so.
///
/// # Errors
/// Why it claims to be one but cannot be preloaded.
pub fn native_library(argument: &OsStr) -> Result<Option<PathBuf>, String> {
    let path = Path::new(argument);
    let claims = path.file_name().is_some_and(|name| name == native_lib::SONAME);
    let complain = |what: String| {
        let make = "isamorph --libnative=ARCH FILE  writes one";
        if claims { Err(format!("{}: {what}\n  help: {make}", path.display())) } else { Ok(None) }
    };
    if let Err(error) = std::fs::File::open(path) {
        return complain(error.to_string());
    }
    let Some(elf) = ElfFile::open(path) else { return complain("not an ELF file".into()) };
    match elf.soname() {
        Some(soname) if soname == native_lib::SONAME && elf.is_shared() => {}
        Some(soname) => return complain(format!("its SONAME is {soname}, not {}", native_lib::SONAME)),
        None => return complain(format!("it has no SONAME {}", native_lib::SONAME)),
    }
    let path = path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
    if path.as_os_str().as_bytes().iter().any(|b| SEPARATORS.contains(b)) {
        return Err(format!("{}: a path with a space or colon cannot be preloaded", path.display()));
    }
    Ok(Some(path))
}

/// Why a library cannot be preloaded to programs of a guest.
pub(crate) fn misfit(library: &Path, guests: ir::Guests, guest: &ir::Guest) -> Option<String> {
    let elf = ElfFile::open(library)?;
    let (machine, class, big) = elf.machine();
    let own = &guest.elf;
    if (machine, class, big) == (own.machine, own.class, own.big_endian) {
        return None;
    }
    let built_for = match guests.for_elf(machine, class, big) {
        Some(other) => other.name.to_owned(),
        None => format!("ELF machine {machine}, {class}-bit"),
    };
    Some(format!(
        "{}: built for {built_for}, the program for {name}\n  help: isamorph --libnative={name} FILE  writes one",
        library.display(),
        name = guest.name
    ))
}

/// Puts `library` before what the environment preloads.
pub(crate) fn preload(environment: &mut Vec<OsString>, library: &Path) {
    let mut value = [PRELOAD, library.as_os_str().as_bytes()].concat();
    if let Some(at) = environment.iter().position(|var| var.as_bytes().starts_with(PRELOAD)) {
        let given = environment.remove(at).into_vec().split_off(PRELOAD.len());
        let mut others = given.split(|b| SEPARATORS.contains(b)).filter(|path| !path.is_empty());
        if others.clone().any(|path| path == library.as_os_str().as_bytes()) {
            value = [PRELOAD, &given].concat();
        } else if others.next().is_some() {
            value = [&value[..], b":", &given].concat();
        }
    }
    environment.push(OsString::from_vec(value));
}

/// Takes native-call libraries out of what the environment preloads that are not for `machine` (as [`ir::Guests::for_elf`] takes
/// it): its dynamic linker would complain.
pub(crate) fn unload_foreign(environment: &mut Vec<OsString>, machine: (u16, u8, bool)) {
    let foreign = |path: &[u8]| {
        let elf = ElfFile::open(Path::new(OsStr::from_bytes(path)));
        elf.is_some_and(|elf| elf.machine() != machine && elf.soname().as_deref() == Some(native_lib::SONAME))
    };
    let Some(at) = environment.iter().position(|var| var.as_bytes().starts_with(PRELOAD)) else { return };
    let given = environment[at].as_bytes()[PRELOAD.len()..].to_vec();
    let paths: Vec<&[u8]> = given.split(|b| SEPARATORS.contains(b)).filter(|path| !path.is_empty()).collect();
    let kept: Vec<&[u8]> = paths.iter().copied().filter(|path| !foreign(path)).collect();
    if kept.is_empty() && !paths.is_empty() {
        environment.remove(at);
    } else if kept.len() < paths.len() {
        environment[at] = OsString::from_vec([PRELOAD, &kept.join(&b':')].concat());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_comes_before_what_was_preloaded() {
        let preloaded = |given: &[&str]| {
            let mut environment: Vec<OsString> = given.iter().map(OsString::from).collect();
            preload(&mut environment, Path::new("/l/libnative.so"));
            environment.pop().unwrap()
        };
        assert_eq!(preloaded(&["A=1"]), "LD_PRELOAD=/l/libnative.so");
        assert_eq!(preloaded(&["LD_PRELOAD="]), "LD_PRELOAD=/l/libnative.so");
        assert_eq!(preloaded(&["LD_PRELOAD=/a.so /b.so", "B=2"]), "LD_PRELOAD=/l/libnative.so:/a.so /b.so");
        assert_eq!(preloaded(&["LD_PRELOAD=/a.so:/l/libnative.so"]), "LD_PRELOAD=/a.so:/l/libnative.so");
    }

    #[test]
    fn what_does_not_claim_to_be_a_library_is_none() {
        assert_eq!(native_library(OsStr::new("/proc/self/exe")), Ok(None));
        assert_eq!(native_library(OsStr::new("/nowhere/at/all")), Ok(None));
        assert!(native_library(OsStr::new("/nowhere/libnative.so")).unwrap_err().contains("--libnative="));
    }

    #[test]
    fn a_foreign_library_is_unloaded() {
        let directory = std::env::temp_dir().join(format!("isamorph-unload-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let path = directory.join("libnative.so");
        std::fs::write(&path, native_lib::guest_library(guests::ALL[0]).unwrap()).unwrap();
        let elf = &guests::ALL[0].elf;
        let (own, other) = ((elf.machine, elf.class, elf.big_endian), (62, 64, false));
        let with = |suffix: &str| vec![OsString::from(format!("LD_PRELOAD={}{suffix}", path.display()))];
        for (machine, suffix, left) in [(own, "", 1), (other, "", 0), (other, ":/a.so", 1)] {
            let mut environment = with(suffix);
            unload_foreign(&mut environment, machine);
            assert_eq!(environment.len(), left);
            assert_eq!(environment == with(suffix), machine == own);
        }
        std::fs::remove_dir_all(&directory).unwrap();
    }
}
