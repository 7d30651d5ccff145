//! ELF shared objects and programs on disk, read piece by piece: only what is asked for.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use goblin::container::{Container, Ctx};
use goblin::elf::Symtab;
use goblin::elf::dynamic::{DT_HASH, DT_NEEDED, DT_SONAME, DT_STRSZ, DT_STRTAB, DT_SYMTAB, Dynamic};
use goblin::elf::header::{ELFCLASS64, ELFDATA2MSB, ET_DYN, Header};
use goblin::elf::program_header::{PT_DYNAMIC, PT_INTERP, PT_LOAD, ProgramHeader};
use goblin::elf::section_header::{SHT_DYNSYM, SHT_SYMTAB, SectionHeader};
use goblin::elf::sym::Sym;

/// Largest table that is read: larger ones are damage.
const MAX_TABLE: u64 = 1 << 28;
/// Longest name that can matter.
const MAX_NAME: u64 = 128;

/// An open ELF file.
pub(super) struct ElfFile {
    file: File,
    header: Header,
    ctx: Ctx,
    pub(super) segments: Vec<ProgramHeader>,
    dynamic: Vec<(u64, u64)>,
}

impl ElfFile {
    /// Reads the headers and the dynamic section. `None` if it is no ELF file that makes sense.
    pub(super) fn open(path: &Path) -> Option<ElfFile> {
        let file = File::open(path).ok()?;
        let mut head = [0; 64];
        let got = file.read_at(&mut head, 0).ok()?;
        let header = goblin::elf::Elf::parse_header(&head[..got]).ok()?;
        let (container, entry) =
            if header.e_ident[4] == ELFCLASS64 { (Container::Big, 56) } else { (Container::Little, 32) };
        let big = header.e_ident[5] == ELFDATA2MSB;
        let endian = if big { goblin::container::Endian::Big } else { goblin::container::Endian::Little };
        let ctx = Ctx::new(container, endian);
        let count = usize::from(header.e_phnum);
        let mut elf = ElfFile { file, header, ctx, segments: Vec::new(), dynamic: Vec::new() };
        let table = elf.bytes(header.e_phoff, count as u64 * entry)?;
        elf.segments = ProgramHeader::parse(&table, 0, count, ctx).ok()?;
        elf.dynamic = elf.read_dynamic().unwrap_or_default();
        Some(elf)
    }

    fn bytes(&self, offset: u64, len: u64) -> Option<Vec<u8>> {
        if len > MAX_TABLE || offset.checked_add(len)? > self.file.metadata().ok()?.len() {
            return None;
        }
        let mut bytes = vec![0; len as usize];
        self.file.read_exact_at(&mut bytes, offset).ok()?;
        Some(bytes)
    }

    /// Tags and values of the dynamic section.
    fn read_dynamic(&self) -> Option<Vec<(u64, u64)>> {
        let segment = self.segments.iter().find(|p| p.p_type == PT_DYNAMIC)?;
        let table = self.bytes(segment.p_offset, segment.p_filesz)?;
        let here = ProgramHeader { p_offset: 0, ..segment.clone() };
        let dynamic = Dynamic::parse(&table, &[here], self.ctx).ok()??;
        Some(dynamic.dyns.iter().map(|entry| (entry.d_tag, entry.d_val)).collect())
    }

    fn tag(&self, tag: u64) -> Option<u64> {
        self.dynamic.iter().find(|entry| entry.0 == tag).map(|entry| entry.1)
    }

    /// File offset of an address as linked.
    fn offset(&self, address: u64) -> Option<u64> {
        let holds =
            |p: &&ProgramHeader| p.p_type == PT_LOAD && address >= p.p_vaddr && address - p.p_vaddr < p.p_filesz;
        self.segments.iter().find(holds).map(|p| address - p.p_vaddr + p.p_offset)
    }

    /// `e_machine`, class and byte order, as [`ir::Guests::for_elf`] takes them.
    pub(super) fn machine(&self) -> (u16, u8, bool) {
        let class = if self.header.e_ident[4] == ELFCLASS64 { 64 } else { 32 };
        (self.header.e_machine, class, self.header.e_ident[5] == ELFDATA2MSB)
    }

    /// Whether it is a shared object (or a position-independent program).
    pub(super) fn is_shared(&self) -> bool {
        self.header.e_type == ET_DYN
    }

    /// Whether a dynamic linker has a part in running it.
    pub(super) fn is_linked_dynamically(&self) -> bool {
        self.segments.iter().any(|p| p.p_type == PT_INTERP) || self.tag(DT_NEEDED).is_some()
    }

    /// `DT_SONAME`.
    pub(super) fn soname(&self) -> Option<String> {
        let at = self.tag(DT_STRTAB)?.checked_add(self.tag(DT_SONAME)?)?;
        let offset = self.offset(at)?;
        let len = self.file.metadata().ok()?.len().saturating_sub(offset).min(MAX_NAME);
        c_string(&self.bytes(offset, len)?).map(str::to_owned)
    }

    /// Calls `with` for every symbol of the dynamic table and of the full one, if not stripped.
    pub(super) fn each_symbol(&self, mut with: impl FnMut(&Sym, &str)) {
        let sections = self.sections().unwrap_or_default();
        let mut tables = Vec::new();
        for table in sections.iter().filter(|s| [SHT_DYNSYM, SHT_SYMTAB].contains(&s.sh_type)) {
            if let Some(names) = sections.get(table.sh_link as usize) {
                tables.push((table.sh_offset, table.sh_size, names.sh_offset, names.sh_size));
            }
        }
        if tables.is_empty() {
            tables.extend(self.table_of_loader());
        }
        for (symbols, symbols_len, names, names_len) in tables {
            let (Some(symbols), Some(names)) = (self.bytes(symbols, symbols_len), self.bytes(names, names_len)) else {
                continue;
            };
            let count = symbols.len() / Sym::size(self.ctx.container);
            let Ok(table) = Symtab::parse(&symbols, 0, count, self.ctx) else { continue };
            for symbol in table.iter() {
                if let Some(name) = names.get(symbol.st_name..).and_then(c_string) {
                    with(&symbol, name);
                }
            }
        }
    }

    fn sections(&self) -> Option<Vec<SectionHeader>> {
        let count = usize::from(self.header.e_shnum);
        let size = count as u64 * u64::from(self.header.e_shentsize);
        let table = self.bytes(self.header.e_shoff, size)?;
        (count > 0).then(|| SectionHeader::parse_from(&table, 0, count, self.ctx).ok()).flatten()
    }

    /// The dynamic symbol table and its names as a loader finds them: offsets and sizes.
    fn table_of_loader(&self) -> Option<(u64, u64, u64, u64)> {
        let chains = self.bytes(self.offset(self.tag(DT_HASH)?)? + 4, 4)?;
        let chains: [u8; 4] = chains.try_into().ok()?;
        let count = if self.machine().2 { u32::from_be_bytes(chains) } else { u32::from_le_bytes(chains) };
        let symbols = self.offset(self.tag(DT_SYMTAB)?)?;
        let names = self.offset(self.tag(DT_STRTAB)?)?;
        Some((symbols, u64::from(count) * Sym::size(self.ctx.container) as u64, names, self.tag(DT_STRSZ)?))
    }
}

/// The text up to a zero byte, if there is one and it is text.
fn c_string(bytes: &[u8]) -> Option<&str> {
    let len = bytes.iter().position(|&b| b == 0)?;
    std::str::from_utf8(&bytes[..len]).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn symbols(elf: &ElfFile) -> Vec<String> {
        let mut names = Vec::new();
        elf.each_symbol(|_, name| names.push(name.to_owned()));
        names
    }

    #[test]
    fn a_library_without_sections_is_read_as_loaders_do() {
        for guest in guests::ALL.iter().filter(|guest| guest.native_call.is_some()) {
            let path = std::env::temp_dir().join(format!("isamorph-{}-{}.so", std::process::id(), guest.name));
            std::fs::write(&path, native_lib::guest_library(guest).unwrap()).unwrap();
            let elf = ElfFile::open(&path).unwrap();
            assert_eq!(elf.soname().as_deref(), Some(native_lib::SONAME));
            assert!(elf.is_shared() && symbols(&elf).contains(&"strrchr".to_owned()));
            std::fs::remove_file(&path).unwrap();
        }
    }

    #[test]
    fn a_program_with_sections_is_read_by_them() {
        let elf = ElfFile::open(Path::new("/proc/self/exe")).unwrap();
        assert!(symbols(&elf).iter().any(|name| name == "main"));
    }

    #[test]
    fn damage_is_survived() {
        let path = std::env::temp_dir().join(format!("isamorph-{}-damaged.so", std::process::id()));
        let whole = native_lib::guest_library(guests::ALL[0]).unwrap();
        for len in (0..whole.len()).step_by(7) {
            std::fs::write(&path, &whole[..len]).unwrap();
            let _ = ElfFile::open(&path).map(|elf| (elf.soname(), symbols(&elf)));
        }
        for at in 0..whole.len().min(600) {
            let mut bytes = whole.clone();
            bytes[at] ^= 0xff;
            std::fs::write(&path, &bytes).unwrap();
            let _ = ElfFile::open(&path).map(|elf| (elf.soname(), symbols(&elf)));
        }
        std::fs::remove_file(&path).unwrap();
    }
}
