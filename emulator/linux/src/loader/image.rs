//! Mapping the segments of an ELF file.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use super::elf::{Elf, Segment};
use super::{Interpreter, LoadError, Program};
use crate::errno::Errno;
use crate::mem::{AddressSpace, Kind, PAGE, Request, page_down, page_up};

/// An image in memory.
pub(super) struct Image {
    /// Added to addresses as linked.
    pub(super) bias: u64,
    /// Entry point.
    pub(super) entry: u64,
    /// First address after it.
    pub(super) end: u64,
    /// Address of the program headers.
    pub(super) headers_at: u64,
}

/// Maps the program: where it is linked, or at the fixed base if it is position-independent.
pub(super) fn map_program(space: &AddressSpace, program: &Program) -> Result<Image, LoadError> {
    let elf = &program.elf;
    let base = if elf.dynamic { aligned_up(space.places().program, elf.align) } else { elf.start() };
    map_elf(space, &program.file, &program.path, elf, Some(base))
}

/// Maps the dynamic linker where there is room.
pub(super) fn map_interpreter(space: &AddressSpace, interp: &Interpreter) -> Result<Image, LoadError> {
    map_elf(space, &interp.file, &interp.path, &interp.elf, None)
}

fn aligned_up(addr: u64, align: u64) -> u64 {
    addr.next_multiple_of(align)
}

fn map_elf(space: &AddressSpace, file: &File, path: &Path, elf: &Elf, base: Option<u64>) -> Result<Image, LoadError> {
    let fail = |what: &str, at: u64, error: Errno| LoadError::Map {
        path: path.to_owned(),
        what: format!("{what} at {at:#x}: {}", std::io::Error::from_raw_os_error(error.0)),
    };
    let size = elf.end() - elf.start();
    let wanted = base.unwrap_or(0);
    let base = reserve(space, base, size, elf.align).map_err(|e| fail("image", wanted, e))?;
    let bias = base.wrapping_sub(elf.start());
    let mut mapped_to = base;
    for segment in &elf.segments {
        let start = page_down(segment.vaddr.wrapping_add(bias));
        if start > mapped_to {
            // Holes between segments stay free.
            let _ = space.unmap(mapped_to, start - mapped_to);
        }
        map_segment(space, file, segment, bias).map_err(|e| fail("segment", start, e))?;
        mapped_to = segment.end().wrapping_add(bias);
    }
    Ok(Image {
        bias,
        entry: elf.entry.wrapping_add(bias),
        end: elf.end().wrapping_add(bias),
        headers_at: elf.headers_at.map_or(0, |at| at.wrapping_add(bias)),
    })
}

/// Takes the address range of the whole image, so that segments can be mapped over it.
fn reserve(space: &AddressSpace, base: Option<u64>, size: u64, align: u64) -> Result<u64, Errno> {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let slack = if base.is_none() { align - PAGE } else { 0 };
    let fixed = if base.is_some() { libc::MAP_FIXED_NOREPLACE } else { 0 };
    let got = space.map_memory(&Request {
        addr: base.unwrap_or(0),
        len: size + slack,
        prot: libc::PROT_NONE,
        flags: flags | fixed,
        fd: -1,
        offset: 0,
        kind: Kind::Plain,
    })?;
    let start = aligned_up(got, align.max(PAGE)).min(got + slack);
    for (from, to) in
        [(got, start), (start + page_up(size).unwrap_or(size), got + page_up(size + slack).unwrap_or(size))]
    {
        if from < to {
            let _ = space.unmap(from, to - from);
        }
    }
    Ok(start)
}

/// Maps the part in the file, clears the rest of its last page, and maps zeros up to the size in memory.
fn map_segment(space: &AddressSpace, file: &File, segment: &Segment, bias: u64) -> Result<(), Errno> {
    let vaddr = segment.vaddr.wrapping_add(bias);
    let start = page_down(vaddr);
    let file_end = vaddr + segment.file_size;
    let mut zero_from = start;
    if segment.file_size > 0 {
        let offset = page_down(segment.offset);
        let zeroed = segment.mem_size > segment.file_size && !file_end.is_multiple_of(PAGE);
        // The tail can only be cleared while it is writable.
        let prot = if zeroed { segment.prot | libc::PROT_WRITE } else { segment.prot };
        fixed(space, start, file_end - start, prot, libc::MAP_PRIVATE, file.as_raw_fd(), offset)?;
        zero_from = page_up(file_end).ok_or(Errno::ENOMEM)?;
        if zeroed {
            crate::guest_memory::write(file_end, &vec![0; (zero_from - file_end) as usize])?;
            if prot != segment.prot {
                space.protect(start, zero_from - start, segment.prot)?;
            }
        }
    }
    let end = page_up(vaddr + segment.mem_size).ok_or(Errno::ENOMEM)?;
    if end > zero_from {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        fixed(space, zero_from, end - zero_from, segment.prot, flags, -1, 0)?;
    }
    Ok(())
}

fn fixed(space: &AddressSpace, addr: u64, len: u64, prot: i32, flags: i32, fd: i32, offset: u64) -> Result<(), Errno> {
    let flags = flags | libc::MAP_FIXED;
    space.map_memory(&Request { addr, len, prot, flags, fd, offset, kind: Kind::Plain }).map(drop)
}
