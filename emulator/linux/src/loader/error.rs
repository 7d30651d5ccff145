//! Why a program could not be started.

use std::path::PathBuf;

/// A failure to start a program; printed as one message.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file does not exist.
    #[error("{}: not found", path.display())]
    NotFound {
        /// The file.
        path: PathBuf,
    },
    /// The file cannot be read or executed.
    #[error("{}: {}", path.display(), in_words(source))]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Not a program: what is wrong with it.
    #[error("{}: cannot execute: {what}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A well-formed program for a processor there is no specification of.
    #[error("{}: cannot execute: built for {machine}; this build runs {supported}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// Its machine.
        machine: String,
        /// What is supported.
        supported: String,
    },
    /// The dynamic linker was not found.
    #[error(
        "{} needs the loader {} ({guest}), which was not found\n  looked in: {looked}\n  help: install the C library for {guest} \
         (Debian: apt install libc6-{debian}-cross), or pass  -L DIR",
        path.display(), interp.display()
    )]
    NoInterpreter {
        /// The program.
        path: PathBuf,
        /// The loader it names.
        interp: PathBuf,
        /// Guest.
        guest: &'static str,
        /// Debian's name of the architecture.
        debian: &'static str,
        /// Directories tried.
        looked: String,
    },
    /// The library to preload does not fit the program: why.
    #[error("{0}")]
    Library(String),
    /// The trace that was asked for cannot be made: why.
    #[error("{0}")]
    Trace(String),
    /// The address space has no room for it.
    #[error("{}: cannot map: {what}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// What failed.
        what: String,
    },
}

/// The message without libc's number.
fn in_words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

impl LoadError {
    /// The exit status of env(1) and the shells: 125 for our own usage, 127 for not found, 126 for cannot execute.
    #[must_use]
    pub fn exit_code(&self) -> i32 {
        match self {
            LoadError::NotFound { .. } | LoadError::NoInterpreter { .. } => 127,
            LoadError::Trace(_) | LoadError::Library(_) => 125,
            _ => 126,
        }
    }

    /// What `execve` answers.
    #[must_use]
    pub fn errno(&self) -> i32 {
        match self {
            LoadError::NotFound { .. } | LoadError::NoInterpreter { .. } => libc::ENOENT,
            LoadError::Io { source, .. } => source.raw_os_error().unwrap_or(libc::EACCES),
            LoadError::Malformed { .. } | LoadError::Foreign { .. } | LoadError::Trace(_) | LoadError::Library(_) => {
                libc::ENOEXEC
            }
            LoadError::Map { .. } => libc::ENOMEM,
        }
    }
}
