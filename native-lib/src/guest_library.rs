//! The guest shared library `libnative.so`: every function of the table as the guest's reserved native-call instruction.
//!
//! ```text
//! memcpy:  <native call>  .word name_memcpy - .   <return>
//! ```
//!
//! Preloaded, the guest's own dynamic linker binds its programs to these functions. The file has what loaders read and no
//! more: no relocations, no sections, a System V hash table (which glibc and musl both take),
//! unversioned symbols (which satisfy references to any version). Everything about the processor comes from its
//! specification: class, byte order, `e_flags`, the instruction and the return.

use ir::Guest;
use object::Endianness;
use object::elf;
use object::write::elf::{FileHeader, ProgramHeader, SectionIndex, Sym, Writer};

use crate::functions;

/// `DT_SONAME` of the library.
pub const SONAME: &str = "libnative.so";

/// The largest page size of any supported processor's Linux.
const PAGE: u64 = 64 * 1024;
/// Alignment of functions, enough for every instruction set.
const FUNCTION: usize = 16;
/// Entries of the dynamic section, the final null among them.
const DYNAMICS: usize = 7;
/// Loadable code, loadable data, dynamic section, stack permissions.
const SEGMENTS: u32 = 4;

/// Where everything lies in the file. Addresses are offsets, but for the dynamic section: loaders write to it, so it is on a
/// page of its own.
struct Layout {
    hash: usize,
    symbols: usize,
    strings: usize,
    code: usize,
    code_end: usize,
    dynamic: usize,
    dynamic_len: usize,
}

/// The library for a guest; `None` if its specification reserves no native-call instruction.
#[must_use]
pub fn guest_library(guest: &Guest) -> Option<Vec<u8>> {
    let names: Vec<&str> = functions(guest.name).map(|f| f.name).collect();
    let (code, entries) = code(guest, &names)?;
    let mut file = Vec::new();
    let endian = if guest.elf.big_endian { Endianness::Big } else { Endianness::Little };
    let mut w = Writer::new(endian, guest.elf.class == 64, &mut file);
    let soname = w.add_dynamic_string(SONAME.as_bytes());
    let strings: Vec<_> = names.iter().map(|name| w.add_dynamic_string(name.as_bytes())).collect();

    let layout = reserve(&mut w, names.len(), code.len());
    write_headers(&mut w, guest, &layout);
    w.write_hash(hash_buckets(names.len()), names.len() as u32 + 1, |n| {
        n.checked_sub(1).map(|n| elf::hash(names[n as usize].as_bytes()))
    });
    w.write_null_dynamic_symbol();
    for (name, entry) in strings.iter().zip(&entries) {
        w.write_dynamic_symbol(&Sym {
            name: Some(*name),
            // No section table describes it; any defined index means "at this address".
            section: Some(SectionIndex(1)),
            st_info: (elf::STB_GLOBAL << 4) | elf::STT_FUNC,
            st_other: elf::STV_DEFAULT,
            st_shndx: 0,
            st_value: (layout.code + entry.start) as u64,
            st_size: entry.len() as u64,
        });
    }
    w.write_dynstr();
    w.pad_until(layout.code);
    w.write(&code);
    w.write_align_dynamic();
    let dynamics = [
        (elf::DT_HASH, layout.hash),
        (elf::DT_SYMTAB, layout.symbols),
        (elf::DT_STRTAB, layout.strings),
        (elf::DT_STRSZ, w.dynstr_len()),
        (elf::DT_SYMENT, if guest.elf.class == 64 { 24 } else { 16 }),
    ];
    w.write_dynamic_string(elf::DT_SONAME, soname).ok()?;
    for (tag, value) in dynamics {
        w.write_dynamic(tag, value as u64).ok()?;
    }
    w.write_dynamic(elf::DT_NULL, 0).ok()?;
    Some(file)
}

/// Functions and, after them, their names; and where each function is.
fn code(guest: &Guest, names: &[&str]) -> Option<(Vec<u8>, Vec<std::ops::Range<usize>>)> {
    let call = guest.native_call.as_ref()?;
    let used = call.code.len() + 4 + call.ret.len();
    let step = used.next_multiple_of(FUNCTION);
    let mut bytes = vec![0; step * names.len()];
    let mut entries = Vec::with_capacity(names.len());
    for (n, name) in names.iter().enumerate() {
        let (at, word_at) = (n * step, n * step + call.code.len());
        let distance = (bytes.len() - word_at - usize::from(call.name_origin)) as u32;
        let word = if guest.elf.big_endian { distance.to_be_bytes() } else { distance.to_le_bytes() };
        let function = [call.code, &word, call.ret].concat();
        bytes[at..at + used].copy_from_slice(&function);
        bytes.extend(name.bytes());
        bytes.push(0);
        entries.push(at..at + used);
    }
    Some((bytes, entries))
}

fn hash_buckets(symbols: usize) -> u32 {
    (symbols as u32 / 2).max(1) | 1
}

fn reserve(w: &mut Writer<'_>, symbols: usize, code: usize) -> Layout {
    w.reserve_null_dynamic_symbol_index();
    for _ in 0..symbols {
        w.reserve_dynamic_symbol_index();
    }
    w.reserve_file_header();
    w.reserve_program_headers(SEGMENTS);
    let hash = w.reserve_hash(hash_buckets(symbols), symbols as u32 + 1);
    let symbols = w.reserve_dynsym();
    let strings = w.reserve_dynstr();
    let code_at = w.reserve(code, FUNCTION);
    let code_end = w.reserved_len();
    let dynamic = w.reserve_dynamic(DYNAMICS);
    let dynamic_len = w.reserved_len() - dynamic;
    Layout { hash, symbols, strings, code: code_at, code_end, dynamic, dynamic_len }
}

fn write_headers(w: &mut Writer<'_>, guest: &Guest, layout: &Layout) {
    let header = FileHeader {
        os_abi: elf::ELFOSABI_NONE,
        abi_version: 0,
        e_type: elf::ET_DYN,
        e_machine: guest.elf.machine,
        e_entry: 0,
        e_flags: guest.elf.flags,
    };
    w.write_file_header(&header).expect("the class fits the addresses of so small a file");
    w.write_align_program_headers();
    let mut segment = |p_type, p_flags, p_offset: usize, p_vaddr: u64, size: usize, p_align| {
        let (p_offset, size) = (p_offset as u64, size as u64);
        w.write_program_header(&ProgramHeader {
            p_type,
            p_flags,
            p_offset,
            p_vaddr,
            p_paddr: p_vaddr,
            p_filesz: size,
            p_memsz: size,
            p_align,
        });
    };
    let data = layout.dynamic as u64 + PAGE;
    let (read_write, word) = (elf::PF_R | elf::PF_W, u64::from(guest.elf.class / 8));
    segment(elf::PT_LOAD, elf::PF_R | elf::PF_X, 0, 0, layout.code_end, PAGE);
    segment(elf::PT_LOAD, read_write, layout.dynamic, data, layout.dynamic_len, PAGE);
    segment(elf::PT_DYNAMIC, read_write, layout.dynamic, data, layout.dynamic_len, word);
    segment(elf::PT_GNU_STACK, read_write, 0, 0, 0, 16);
}

#[cfg(test)]
mod tests {
    use goblin::elf::Elf;
    use ir::guest::ElfDesc;

    use super::*;

    /// Every real guest with an instruction for it, and what none of them is yet: 32-bit, big-endian.
    fn guests() -> Vec<Guest> {
        let reserving = guests::ALL.iter().filter(|guest| guest.native_call.is_some());
        let mut all: Vec<Guest> = reserving.map(|g| Guest { ..**g }).collect();
        for (class, big_endian) in [(32, false), (32, true), (64, true)] {
            let elf = ElfDesc { machine: 8, class, big_endian, flags: 0x1234_5678 };
            all.push(Guest { elf, ..*guests::ALL[0] });
        }
        all
    }

    #[test]
    fn a_parser_finds_what_was_written() {
        for guest in guests() {
            let file = guest_library(&guest).unwrap();
            let elf = Elf::parse(&file).unwrap();
            assert_eq!((elf.is_64, elf.little_endian), (guest.elf.class == 64, !guest.elf.big_endian));
            assert_eq!((elf.header.e_machine, elf.header.e_flags), (guest.elf.machine, guest.elf.flags));
            assert_eq!(elf.soname, Some(SONAME));
            let names: Vec<&str> =
                elf.dynsyms.iter().skip(1).map(|s| elf.dynstrtab.get_at(s.st_name).unwrap()).collect();
            assert_eq!(names, functions(guest.name).map(|f| f.name).collect::<Vec<_>>());
        }
    }

    #[test]
    fn every_function_leads_to_its_name_and_returns() {
        for guest in guests() {
            let call = guest.native_call.unwrap();
            let file = guest_library(&guest).unwrap();
            let elf = Elf::parse(&file).unwrap();
            for symbol in elf.dynsyms.iter().skip(1) {
                let function = &file[symbol.st_value as usize..][..symbol.st_size as usize];
                let (code, rest) = function.split_at(call.code.len());
                let (word, ret) = rest.split_at(4);
                assert_eq!((code, ret), (call.code, call.ret));
                let word = word.try_into().unwrap();
                let distance = if guest.elf.big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) };
                let name_at = symbol.st_value as usize + code.len() + usize::from(call.name_origin) + distance as usize;
                let name = file[name_at..].split(|&b| b == 0).next().unwrap();
                assert_eq!(name, elf.dynstrtab.get_at(symbol.st_name).unwrap().as_bytes());
            }
        }
    }

    /// The hash table is walked as loaders do it.
    #[test]
    fn the_hash_table_finds_every_symbol() {
        for guest in guests() {
            let file = guest_library(&guest).unwrap();
            let elf = Elf::parse(&file).unwrap();
            let table = elf.dynamic.as_ref().unwrap().info.hash.unwrap() as usize;
            let word = |n: usize| {
                let bytes = file[table + 4 * n..][..4].try_into().unwrap();
                (if guest.elf.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }) as usize
            };
            let name = |n: usize| elf.dynstrtab.get_at(elf.dynsyms.get(n).unwrap().st_name).unwrap();
            for function in functions(guest.name) {
                let mut at = word(2 + elf::hash(function.name.as_bytes()) as usize % word(0));
                while at != 0 && name(at) != function.name {
                    at = word(2 + word(0) + at);
                }
                assert_ne!(at, 0, "{}", function.name);
            }
        }
    }

    #[test]
    fn segments_are_loadable_with_any_page_size() {
        for guest in guests() {
            let file = guest_library(&guest).unwrap();
            let elf = Elf::parse(&file).unwrap();
            let mut end = 0;
            for segment in elf.program_headers.iter().filter(|p| p.p_type == elf::PT_LOAD) {
                assert_eq!(segment.p_offset % PAGE, segment.p_vaddr % PAGE);
                assert!(segment.p_vaddr / PAGE >= end && segment.p_offset + segment.p_filesz <= file.len() as u64);
                end = (segment.p_vaddr + segment.p_memsz).div_ceil(PAGE);
            }
        }
    }
}
