//! Guest programs in C, compiled once for each guest into the target directory.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Guests with a Debian cross compiler.
pub const GUESTS: [&str; 2] = ["aarch64", "riscv64"];

/// How a program is linked.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Link {
    /// No loader needed.
    Static,
    /// Position-independent, no loader needed.
    StaticPie,
    /// By the guest's dynamic loader.
    Dynamic,
    /// Without start-up code and libraries.
    Freestanding,
}

/// Compiles `tests/<source>` for `guest` ("native" for the host) and gives the program's path. Warnings are errors, but for those about the bad accesses that some programs make on purpose.
///
/// # Panics
/// If the compiler is missing or refuses the source; the message says how to get one.
#[must_use]
pub fn build(source: &str, guest: &str, link: Link) -> PathBuf {
    let from = crate::root().join("tests").join(source);
    let name = from.file_stem().expect("a file").to_string_lossy().into_owned();
    let folder = Path::new(source).parent().expect("a file in a folder");
    let directory = crate::root().join("target/guest-programs").join(guest).join(folder);
    std::fs::create_dir_all(&directory).expect("the target directory is writable");
    let to = directory.join(format!("{name}-{link:?}").to_lowercase());
    if !newer(&to, &from) {
        compile(&from, &to, guest, link);
    }
    to
}

fn newer(file: &Path, than: &Path) -> bool {
    let time = |p: &Path| p.metadata().and_then(|m| m.modified()).ok();
    time(file).is_some_and(|file| Some(file) > time(than))
}

/// What Debian appends to the name of a processor in those of its tools.
const SYSTEMS: [&str; 3] = ["linux-gnu", "linux-gnuabi64", "linux-gnueabihf"];

/// Name of a guest's tools, the C compiler, and the root of the tree that has the guest's libraries: the system's, or what
/// `tests/setup.sh` took from a later release.
fn cross(guest: &str) -> Option<(String, PathBuf, PathBuf)> {
    let guest = processor(guest);
    let later = crate::root().join("target/tools").join(format!("cross-{guest}"));
    let path = std::env::var_os("PATH").unwrap_or_default();
    SYSTEMS.into_iter().find_map(|system| {
        let triple = format!("{guest}-{system}");
        let name = format!("{triple}-gcc");
        let installed = std::env::split_paths(&path).map(|p| p.join(&name)).find(|p| p.exists());
        if let Some(compiler) = installed {
            return Some((triple, compiler, PathBuf::from("/")));
        }
        let fetched = later.join("bin").join(&name);
        fetched.exists().then(|| (triple, fetched, later.join("tree")))
    })
}

/// The processor of a guest, as Debian calls it; what follows a hyphen is an instruction set of it.
fn processor(guest: &str) -> &str {
    match guest.split('-').next().unwrap_or(guest) {
        "x86" => "i686",
        processor => processor,
    }
}

/// Options that choose between instruction sets of one processor.
#[must_use]
pub fn instruction_set(guest: &str) -> &'static [&'static str] {
    match guest {
        "arm-a32" => &["-marm"],
        "arm-t32" => &["-mthumb"],
        _ => &[],
    }
}

/// The C compiler for a guest, as Debian names it ("native" for the host). Without one, the name that it would have.
#[must_use]
pub fn compiler(guest: &str) -> PathBuf {
    match guest {
        "native" => PathBuf::from("gcc"),
        _ => cross(guest)
            .map_or_else(|| format!("{}-linux-gnu-gcc", processor(guest)).into(), |(_, compiler, _)| compiler),
    }
}

/// The tree with the guest's libraries, for `-L`; `None` without a compiler.
#[must_use]
pub fn libraries(guest: &str) -> Option<PathBuf> {
    cross(guest).map(|(triple, _, tree)| tree.join("usr").join(triple))
}

fn compile(from: &Path, to: &Path, guest: &str, link: Link) {
    let compiler = compiler(guest);
    // Under a name of its own first: several tests may want the same program at once.
    let fresh = to.with_extension(format!("{}-{:?}", std::process::id(), std::thread::current().id()));
    let link = match link {
        Link::Static => &["-static"][..],
        Link::StaticPie => &["-static-pie"],
        Link::Dynamic => &[],
        Link::Freestanding => &["-static", "-nostdlib"],
    };
    let status = Command::new(&compiler)
        .args([
            "-O2",
            "-Wall",
            "-Werror",
            "-Wno-array-bounds",
            "-Wno-stringop-overread",
            "-Wno-nonnull",
            "-pthread",
            "-o",
        ])
        .arg(&fresh)
        .args(instruction_set(guest))
        .args(link)
        .arg(from)
        .arg("-lm")
        .status()
        .unwrap_or_else(|e| panic!("{}: {e}; tests/setup.sh installs it", compiler.display()));
    assert!(status.success(), "{} refuses {}", compiler.display(), from.display());
    std::fs::rename(&fresh, to).expect("same directory");
}
