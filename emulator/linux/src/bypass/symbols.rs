//! Known functions among an ELF file's symbols.

use goblin::elf::{program_header, section_header, sym};
use native_lib::{Function, Library};

use super::elf_file::ElfFile;
use crate::mem::MappedFile;

/// A known function in guest memory.
pub(super) struct Symbol {
    /// Guest address, as a call enters it.
    pub(super) addr: u64,
    /// The function is an IFUNC: at `addr` is its resolver.
    pub(super) resolver: bool,
    /// It is a reserved instruction: there is no guest code of the function at `addr`.
    pub(super) is_call: bool,
    /// Which.
    pub(super) function: &'static Function,
}

/// Finds the functions that `wanted` names in a file. One that cannot be read or parsed has none: it ran without them so far.
/// Symbols are read only of files that can have known functions: libraries by their name, and statically linked programs. In a
/// dynamic program, a function of a known name is the program's own, and does what the program says.
pub(super) fn read(
    file: &MappedFile,
    is_program: bool,
    wanted: &dyn Fn(&str) -> Option<&'static Function>,
) -> Vec<Symbol> {
    let Some(elf) = ElfFile::open(&file.path) else { return Vec::new() };
    let home = Home::of(&elf, is_program);
    let mut found = Vec::new();
    let known = native_lib::LIBRARIES.iter().any(|library| home.holds(library));
    let Some(bias) = bias(&elf, file).filter(|_| known) else { return found };
    elf.each_symbol(|symbol, name| {
        if let Some((addr, resolver)) = code_of(symbol)
            && let Some(function) = wanted(name)
            && home.holds(function.library)
        {
            found.push(Symbol { addr: addr.wrapping_add(bias), resolver, is_call: home.is_calls(), function });
        }
    });
    found
}

/// What a file is, as far as it says whose functions are in it.
pub(super) struct Home {
    soname: Option<String>,
    is_static: bool,
}

impl Home {
    /// Of a file.
    pub(super) fn of(elf: &ElfFile, is_program: bool) -> Home {
        Home { soname: elf.soname(), is_static: is_program && !elf.is_linked_dynamically() }
    }

    /// Whether it is a library of reserved instructions.
    fn is_calls(&self) -> bool {
        self.soname.as_deref() == Some(native_lib::SONAME)
    }

    /// Whether functions of `library` in it are that library's.
    pub(super) fn holds(&self, library: &Library) -> bool {
        match &self.soname {
            Some(soname) => self.is_calls() || library.has_soname(soname),
            None => self.is_static && library.in_program,
        }
    }
}

/// Address of a defined function, and whether it is a resolver.
pub(super) fn code_of(symbol: &sym::Sym) -> Option<(u64, bool)> {
    let kind = symbol.st_type();
    let defined = symbol.st_shndx != section_header::SHN_UNDEF as usize && symbol.st_value != 0;
    (defined && (kind == sym::STT_FUNC || kind == sym::STT_GNU_IFUNC))
        .then_some((symbol.st_value, kind == sym::STT_GNU_IFUNC))
}

/// Name of the function that `pc` lies in, and the distance from its start: by the file's symbols, of which the nearest one before
/// counts unless its size says that it ends earlier.
pub(super) fn function_at(file: &MappedFile, pc: u64) -> Option<(String, u64)> {
    let elf = ElfFile::open(&file.path)?;
    let bias = bias(&elf, file)?;
    let mut best: Option<(String, u64)> = None;
    elf.each_symbol(|symbol, name| {
        let Some((addr, _)) = code_of(symbol) else { return };
        // The lowest bit may tell the instruction set.
        let distance = pc.wrapping_sub((addr & !1).wrapping_add(bias));
        let inside = distance < symbol.st_size || symbol.st_size == 0 && distance < 1 << 20;
        if inside && best.as_ref().is_none_or(|(_, least)| distance < *least) {
            best = Some((name.to_owned(), distance));
        }
    });
    best
}

/// What is added to the file's addresses: from where its executable segment lies.
fn bias(elf: &ElfFile, file: &MappedFile) -> Option<u64> {
    let code = |p: &&program_header::ProgramHeader| p.p_type == program_header::PT_LOAD && p.is_executable();
    let segment = elf.segments.iter().find(code)?;
    Some(file.base.wrapping_add(segment.p_offset).wrapping_sub(segment.p_vaddr))
}
