//! Known functions among an ELF file's symbols.

use goblin::elf::{Elf, program_header, section_header, sym};
use native_lib::Function;

use crate::mem::MappedFile;

/// A known function in guest memory.
pub(super) struct Symbol {
    /// Guest address.
    pub(super) addr: u64,
    /// The function is an IFUNC: at `addr` is its resolver.
    pub(super) resolver: bool,
    /// Which.
    pub(super) function: &'static Function,
}

/// Reads the dynamic and, if not stripped, the full symbol table. A file that cannot be read or parsed has no symbols: it ran
/// without them so far.
pub(super) fn read(
    file: &MappedFile,
    is_program: bool,
    wanted: &dyn Fn(&str) -> Option<&'static Function>,
) -> Vec<Symbol> {
    let Ok(bytes) = std::fs::read(&file.path) else { return Vec::new() };
    let Ok(elf) = Elf::parse(&bytes) else { return Vec::new() };
    let Some(bias) = bias(&elf, file) else { return Vec::new() };
    let belongs = |f: &Function| match elf.soname {
        Some(soname) => f.library.sonames.contains(&soname),
        None => is_program && f.library.in_program,
    };
    let dynamic = elf.dynsyms.iter().filter_map(|s| Some((s, elf.dynstrtab.get_at(s.st_name)?)));
    let full = elf.syms.iter().filter_map(|s| Some((s, elf.strtab.get_at(s.st_name)?)));
    let mut found = Vec::new();
    for (symbol, name) in dynamic.chain(full) {
        if let Some((addr, resolver)) = code_of(&symbol)
            && let Some(function) = wanted(name)
            && belongs(function)
        {
            found.push(Symbol { addr: addr.wrapping_add(bias), resolver, function });
        }
    }
    found
}

/// Address of a defined function, and whether it is a resolver.
fn code_of(symbol: &sym::Sym) -> Option<(u64, bool)> {
    let kind = symbol.st_type();
    let defined = symbol.st_shndx != section_header::SHN_UNDEF as usize && symbol.st_value != 0;
    (defined && (kind == sym::STT_FUNC || kind == sym::STT_GNU_IFUNC))
        .then_some((symbol.st_value, kind == sym::STT_GNU_IFUNC))
}

/// What is added to the file's addresses: from where its executable segment lies.
fn bias(elf: &Elf, file: &MappedFile) -> Option<u64> {
    let code = |p: &&program_header::ProgramHeader| p.p_type == program_header::PT_LOAD && p.is_executable();
    let segment = elf.program_headers.iter().find(code)?;
    Some(file.base.wrapping_add(segment.p_offset).wrapping_sub(segment.p_vaddr))
}
