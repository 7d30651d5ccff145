//! ELF executables: header and program headers only, as the kernel reads them.

use std::fs::File;
use std::os::unix::fs::FileExt;

use goblin::container::{Container, Ctx};
use goblin::elf::header::{ELFCLASS32, ELFCLASS64, ELFDATA2LSB, ELFDATA2MSB, ELFMAG, ET_DYN, ET_EXEC};
use goblin::elf::program_header::{PF_R, PF_W, PF_X, PT_INTERP, PT_LOAD, PT_PHDR, ProgramHeader};

use crate::mem::{PAGE, TASK_SIZE, page_down, page_up};

/// Most program headers accepted; the kernel takes what fits in 64 KiB.
const MAX_HEADERS: usize = 1024;
/// Longest interpreter path accepted.
const MAX_INTERP: u64 = 4096;

/// A loadable segment, checked: addresses and sizes neither wrap nor leave the user address space.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// Address as linked.
    pub(crate) vaddr: u64,
    /// Bytes from the file.
    pub(crate) file_size: u64,
    /// Bytes in memory.
    pub(crate) mem_size: u64,
    /// File offset.
    pub(crate) offset: u64,
    /// `PROT_*`.
    pub(crate) prot: i32,
}

impl Segment {
    /// End of the segment's last page, as linked.
    pub(crate) fn end(&self) -> u64 {
        page_up(self.vaddr + self.mem_size).unwrap_or(TASK_SIZE)
    }
}

/// What the headers say.
#[derive(Clone, Debug)]
pub(crate) struct Elf {
    /// `e_machine`.
    pub(crate) machine: u16,
    /// 32 or 64.
    pub(crate) class: u8,
    /// Byte order.
    pub(crate) big_endian: bool,
    /// Relocatable.
    pub(crate) dynamic: bool,
    /// Entry as linked.
    pub(crate) entry: u64,
    /// Address of the program headers as linked, if they are in memory.
    pub(crate) headers_at: Option<u64>,
    /// Number of program headers.
    pub(crate) header_count: u64,
    /// Bytes of one.
    pub(crate) header_size: u64,
    /// Loadable segments, ascending.
    pub(crate) segments: Vec<Segment>,
    /// Path of the dynamic linker.
    pub(crate) interp: Option<Vec<u8>>,
    /// Largest alignment a segment asks for, a power of two, at least a page.
    pub(crate) align: u64,
}

impl Elf {
    /// First page of the image, as linked.
    pub(crate) fn start(&self) -> u64 {
        self.segments.first().map_or(0, |segment| page_down(segment.vaddr))
    }

    /// End of the image, as linked.
    pub(crate) fn end(&self) -> u64 {
        self.segments.iter().map(Segment::end).max().unwrap_or(0)
    }
}

/// Whether a file starting with `head` claims to be ELF.
pub(crate) fn is_elf(head: &[u8]) -> bool {
    head.starts_with(ELFMAG)
}

/// Reads and checks the headers of `file`, whose first bytes are `head`.
pub(crate) fn parse(file: &File, head: &[u8]) -> Result<Elf, String> {
    let header = goblin::elf::Elf::parse_header(head).map_err(|_| "truncated or malformed ELF header")?;
    let class = match header.e_ident[4] {
        ELFCLASS32 => 32,
        ELFCLASS64 => 64,
        other => return Err(format!("ELF class {other}")),
    };
    let big_endian = match header.e_ident[5] {
        ELFDATA2LSB => false,
        ELFDATA2MSB => true,
        other => return Err(format!("ELF data encoding {other}")),
    };
    if header.e_type != ET_EXEC && header.e_type != ET_DYN {
        return Err(format!("ELF type {}, neither an executable nor a shared object", header.e_type));
    }
    let (container, header_size) = if class == 64 { (Container::Big, 56) } else { (Container::Little, 32) };
    let endian = if big_endian { goblin::container::Endian::Big } else { goblin::container::Endian::Little };
    let count = usize::from(header.e_phnum);
    if u64::from(header.e_phentsize) != header_size || count == 0 || count > MAX_HEADERS {
        return Err(format!("{count} program headers of {} bytes", header.e_phentsize));
    }
    let mut table = vec![0; count * header_size as usize];
    file.read_exact_at(&mut table, header.e_phoff).map_err(|_| "program headers beyond the end of the file")?;
    let headers =
        ProgramHeader::parse(&table, 0, count, Ctx::new(container, endian)).map_err(|_| "malformed program headers")?;

    let mut elf = Elf {
        machine: header.e_machine,
        class,
        big_endian,
        dynamic: header.e_type == ET_DYN,
        entry: header.e_entry,
        headers_at: None,
        header_count: count as u64,
        header_size,
        segments: Vec::new(),
        interp: None,
        align: PAGE,
    };
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    for ph in &headers {
        match ph.p_type {
            PT_LOAD => elf.add_segment(ph, length)?,
            PT_INTERP => elf.interp = Some(read_interp(file, ph)?),
            PT_PHDR => elf.headers_at = Some(ph.p_vaddr),
            _ => {}
        }
    }
    elf.finish(header.e_phoff)
}

impl Elf {
    fn add_segment(&mut self, ph: &ProgramHeader, file_length: u64) -> Result<(), String> {
        if ph.p_memsz == 0 {
            return Ok(());
        }
        // The kernel would map it and let the program die of SIGBUS or of the zeros it finds.
        if ph.p_filesz > 0 && ph.p_offset.saturating_add(ph.p_filesz) > file_length {
            return Err(format!("the file is truncated: a segment ends beyond its {file_length} bytes"));
        }
        let fits = ph.p_vaddr.checked_add(ph.p_memsz).is_some_and(|end| end <= TASK_SIZE);
        if !fits || ph.p_filesz > ph.p_memsz || ph.p_offset.checked_add(ph.p_filesz).is_none() {
            return Err(format!("segment at {:#x} of {:#x} bytes", ph.p_vaddr, ph.p_memsz));
        }
        if ph.p_filesz > 0 && ph.p_offset % PAGE != ph.p_vaddr % PAGE {
            return Err(format!("segment at {:#x} is not congruent to its file offset {:#x}", ph.p_vaddr, ph.p_offset));
        }
        if self.segments.last().is_some_and(|last| ph.p_vaddr < last.vaddr + last.mem_size) {
            return Err(format!("segment at {:#x} overlaps the one before", ph.p_vaddr));
        }
        let bit = |flag, prot| if ph.p_flags & flag != 0 { prot } else { 0 };
        let prot = bit(PF_R, libc::PROT_READ) | bit(PF_W, libc::PROT_WRITE) | bit(PF_X, libc::PROT_EXEC);
        self.segments.push(Segment {
            vaddr: ph.p_vaddr,
            file_size: ph.p_filesz,
            mem_size: ph.p_memsz,
            offset: ph.p_offset,
            prot,
        });
        if ph.p_align.is_power_of_two() && ph.p_align <= 1 << 30 {
            self.align = self.align.max(ph.p_align);
        }
        Ok(())
    }

    fn finish(mut self, header_offset: u64) -> Result<Elf, String> {
        if self.segments.is_empty() {
            return Err("no loadable segment".into());
        }
        if self.headers_at.is_none() {
            let holds = |s: &&Segment| (s.offset..s.offset + s.file_size).contains(&header_offset);
            self.headers_at = self.segments.iter().find(holds).map(|s| s.vaddr + (header_offset - s.offset));
        }
        Ok(self)
    }
}

fn read_interp(file: &File, ph: &ProgramHeader) -> Result<Vec<u8>, String> {
    if ph.p_filesz < 2 || ph.p_filesz > MAX_INTERP {
        return Err("malformed loader path".into());
    }
    let mut path = vec![0; ph.p_filesz as usize];
    file.read_exact_at(&mut path, ph.p_offset).map_err(|_| "loader path beyond the end of the file")?;
    match path.iter().position(|&b| b == 0) {
        Some(end) if end > 0 => {
            path.truncate(end);
            Ok(path)
        }
        _ => Err("loader path is not terminated".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every truncation and every single-byte corruption of a real header gives an answer, never a panic.
    #[test]
    fn malformed_headers_are_errors() {
        let exe = File::open("/proc/self/exe").unwrap();
        let mut head = [0; 64];
        exe.read_exact_at(&mut head, 0).unwrap();
        assert!(parse(&exe, &head).is_ok());
        for len in 0..64 {
            assert!(parse(&exe, &head[..len]).is_err());
        }
        for at in 0..64 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut bad = head;
                bad[at] = value;
                let _ = parse(&exe, &bad);
            }
        }
    }
}
