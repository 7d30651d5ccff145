//! The `.abi` language: the Linux interface as data. Described in `isa-specs/linux/README.md`.
//!
//! [`compile`] reads the common files and one file per architecture, and returns Rust tables; nothing here knows the
//! emulator except the names of the types those tables are made of (`linux::abi`).

mod ast;
mod check;
mod convert;
mod emit;
mod lexer;
pub mod model;
mod parse;
mod report;
mod resolve;
mod signal_frame;
mod tables;

use std::path::{Path, PathBuf};

use crate::diag::{Diagnostics, SourceMap};
use crate::syntax::ast::FileId;
use report::Report;

pub use check::check;

/// Files of the interface.
#[derive(Clone, Default, Debug)]
pub struct Files {
    /// Hold for every architecture.
    pub common: Vec<FileId>,
    /// Describe architectures: the files of a folder that belong together.
    pub own: Vec<Vec<FileId>>,
}

/// Reads the `.abi` files of `specs` (the `isa-specs` directory): those of `linux/`, and of every other folder `linux.abi`,
/// or, where there are any, each `linux-*.abi` together with `linux.abi`.
///
/// # Errors
/// If a directory or a file cannot be read.
pub fn read(specs: &Path, sources: &mut SourceMap) -> std::io::Result<Files> {
    let mut common: Vec<PathBuf> = Vec::new();
    for entry in std::fs::read_dir(specs.join("linux"))? {
        common.extend(Some(entry?.path()).filter(|p| p.extension().is_some_and(|e| e == "abi")));
    }
    let mut own = Vec::new();
    for entry in std::fs::read_dir(specs)? {
        own.extend(groups(&entry?.path())?);
    }
    common.sort();
    own.sort();
    let mut add = |paths: Vec<PathBuf>| -> std::io::Result<Vec<FileId>> {
        paths.into_iter().map(|p| std::fs::read_to_string(&p).map(|text| sources.add(p, text))).collect()
    };
    let common = add(common)?;
    Ok(Files { common, own: own.into_iter().map(add).collect::<std::io::Result<_>>()? })
}

/// The groups of files of one folder.
fn groups(folder: &Path) -> std::io::Result<Vec<Vec<PathBuf>>> {
    let shared: Vec<PathBuf> = Some(folder.join("linux.abi")).into_iter().filter(|p| p.is_file()).collect();
    if shared.is_empty() {
        return Ok(Vec::new());
    }
    let mut several = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("linux-") && name.ends_with(".abi") {
            several.push([shared.as_slice(), &[path]].concat());
        }
    }
    several.sort();
    Ok(if several.is_empty() { vec![shared] } else { several })
}

/// Resolves the interface of every architecture.
///
/// # Errors
/// All errors of all files.
pub fn resolve(sources: &SourceMap, files: &Files) -> Result<Vec<model::Abi>, Diagnostics> {
    let mut report = Report::default();
    let mut items = Vec::new();
    for &file in &files.common {
        items.extend(parse::parse(file, &sources.file(file).text, &mut report));
    }
    let mut read = |group: &Vec<FileId>| -> Vec<ast::Item> {
        group.iter().flat_map(|&f| parse::parse(f, &sources.file(f).text, &mut report)).collect()
    };
    let own: Vec<_> = files.own.iter().map(&mut read).collect();
    // Names can only be judged when every file could be read.
    let mut abis = Vec::new();
    if report.errors.is_empty() {
        for own in &own {
            abis.extend(resolve::resolve(&items, own, &mut report));
        }
    }
    finish(abis, report)
}

/// Rust source of the tables of all guests, for programs that run on `host` (an architecture's name): items in terms of the
/// modules `abi`, whose names have to be in scope, `signal::layout` and `special` of the crate `linux`.
///
/// # Errors
/// What is wrong, rendered: a structure cannot be converted, or a function would be too long.
pub fn emit(abis: &[model::Abi], host: &model::Abi, sources: &SourceMap) -> Result<String, String> {
    let stem = |file: FileId| {
        sources.file(file).path.file_stem().map(|s| s.to_string_lossy().into_owned()).unwrap_or_default()
    };
    let mut report = Report::default();
    let common = emit::Common { host, file_of: &stem, tables: tables::Tables::default() };
    let guests: Vec<_> = abis.iter().map(|guest| emit::interface(guest, &common, &mut report)).collect();
    let tables = common.tables.items();
    let tokens = quote::quote! {
        static ALL: &[Abi] = &[#(#guests),*];
        #tables
    };
    finish((), report).map_err(|errors| errors.render(sources, false))?;
    let file = syn::parse2(tokens).map_err(|e| format!("the tables of the system interface: {e}"))?;
    crate::emit::limited("the tables of the system interface", prettyplease::unparse(&file))
}

fn finish<T>(value: T, report: Report) -> Result<T, Diagnostics> {
    if report.errors.is_empty() { Ok(value) } else { Err(report.into_diagnostics()) }
}
