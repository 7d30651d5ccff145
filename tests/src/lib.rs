//! What the end-to-end tests and the benchmarks share: the guest programs, built from source by cross compilers, and
//! running a program to its end.

pub mod bench;
pub mod costs;
pub mod programs;
pub mod random;
pub mod run;
pub mod torture;

use std::path::{Path, PathBuf};

/// Root of the repository.
#[must_use]
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository")
}

/// The system tree of real programs that `tests/setup.sh` made for a guest.
#[must_use]
pub fn sysroot(guest: &str) -> PathBuf {
    root().join("target/sysroots").join(guest)
}
