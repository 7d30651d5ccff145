//! System calls on memory.

use super::{Kind, Request, page_down, page_up};
use crate::caller::Caller;
use crate::errno::{Errno, SysResult};
use crate::process::Process;
use crate::thread::ThreadCtx;

/// `mmap(addr, len, prot, flags, fd, offset)`
pub(crate) fn mmap(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [addr, len, prot, flags, fd, offset] = args;
    if len == 0 || offset % super::PAGE != 0 {
        return Err(Errno::EINVAL);
    }
    // The stack does not grow on demand, and addresses are ours to choose.
    let flags = flags as i32 & !(libc::MAP_GROWSDOWN | libc::MAP_32BIT);
    let fd = if flags & libc::MAP_ANONYMOUS != 0 { -1 } else { fd as i32 };
    let prot = prot as i32 & (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
    ctx.process.space.map_from(ctx.is_in_code(), &Request { addr, len, prot, flags, fd, offset, kind: Kind::Plain })
}

/// `mmap2(addr, len, prot, flags, fd, offset)`: the offset is in pages.
pub(crate) fn mmap2(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [addr, len, prot, flags, fd, offset] = args;
    mmap(ctx, [addr, len, prot, flags, fd, offset * super::PAGE])
}

/// `munmap(addr, len)`
pub(crate) fn munmap(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    ctx.process.space.unmap_from(ctx.is_in_code(), args[0], args[1])
}

/// `mprotect(addr, len, prot)`
pub(crate) fn mprotect(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let prot = args[2] as i32 & (libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC);
    ctx.process.space.protect_from(ctx.is_in_code(), args[0], args[1], prot)
}

/// `mremap(old, old_len, new_len, flags, new)`
pub(crate) fn mremap(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    ctx.process.space.remap(args[0], args[1], args[2], args[3] as i32, args[4])
}

/// `brk(end)`
pub(crate) fn brk(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    ctx.process.space.brk_from(ctx.is_in_code(), args[0])
}

/// Advice that the kernel does not remember.
const FORGOTTEN: [i32; 4] = [libc::MADV_DONTNEED, libc::MADV_FREE, libc::MADV_WILLNEED, libc::MADV_REMOVE];

/// `madvise(addr, len, advice)`
pub(crate) fn madvise(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [addr, len, advice, ..] = args;
    let end = page_up(len)
        .and_then(|len| addr.checked_add(len))
        .filter(|&end| end <= ctx.process.space.places().end)
        .ok_or(Errno::EINVAL)?;
    if addr % super::PAGE != 0 {
        return Err(Errno::EINVAL);
    }
    let (range, space) = (addr..end, &ctx.process.space);
    if space.may_go_unheard(advice as i32, &range) {
        return Ok(0);
    }
    let forgotten = FORGOTTEN.contains(&(advice as i32));
    if space.one_mapping(&range, |vma| vma.is_data() && (forgotten || vma.kind != Kind::Heap)) {
        return own_range(libc::SYS_madvise, addr, end - addr, advice);
    }
    space.only_data(ctx.is_in_code(), &range)?;
    let parts = space.map().parts(&range);
    if !forgotten && parts.iter().any(|(_, vma)| vma.kind == Kind::Heap) {
        space.memory_is_special();
    }
    // The kernel works on what is mapped and reports holes at the end.
    for (part, vma) in &parts {
        own_range(libc::SYS_madvise, part.start, part.end - part.start, advice)?;
        let discards = [libc::MADV_DONTNEED, libc::MADV_REMOVE, libc::MADV_FREE].contains(&(advice as i32));
        if discards {
            space.stale(part, vma.executable());
        }
    }
    let mapped: u64 = parts.iter().map(|(part, _)| part.end - part.start).sum();
    if mapped == end - addr { Ok(0) } else { Err(Errno::ENOMEM) }
}

/// `msync(addr, len, flags)`
pub(crate) fn msync(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    on_owned(ctx.process, libc::SYS_msync, args)
}

/// `mincore(addr, len, vec)`
pub(crate) fn mincore(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    on_owned(ctx.process, libc::SYS_mincore, args)
}

/// `mlock(addr, len)`
pub(crate) fn mlock(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    ctx.process.space.memory_is_special();
    on_owned(ctx.process, libc::SYS_mlock, args)
}

/// `mlock2(addr, len, flags)`
pub(crate) fn mlock2(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    ctx.process.space.memory_is_special();
    on_owned(ctx.process, libc::SYS_mlock2, args)
}

/// `munlock(addr, len)`
pub(crate) fn munlock(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    on_owned(ctx.process, libc::SYS_munlock, args)
}

/// `shmat(id, addr, flags)`
pub(crate) fn shmat(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    ctx.process.space.attach(args[0] as i32, args[1], args[2] as i32)
}

/// `shmdt(addr)`
pub(crate) fn shmdt(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    ctx.process.space.detach(args[0])
}

/// Passes a call on a page range to the kernel if the guest owns the range.
fn on_owned(process: &Process, number: i64, args: [u64; 6]) -> SysResult {
    let len = args[0].checked_add(args[1]).ok_or(Errno::ENOMEM)? - page_down(args[0]);
    if len != 0 && !process.space.owns(page_down(args[0]), len) {
        return Err(Errno::ENOMEM);
    }
    // SAFETY: a range of guest memory; other pointers are checked by the kernel.
    unsafe { crate::host::syscall(number, args) }
}

fn own_range(number: i64, addr: u64, len: u64, how: u64) -> SysResult {
    // SAFETY: a part of the guest's mappings.
    unsafe { crate::host::syscall(number, [addr, len, how, 0, 0, 0]) }
}
