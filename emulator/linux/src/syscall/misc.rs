//! Calls about the system and the process whose answers are not the host's.

use super::marshal;
use crate::abi::put_integer;
use crate::caller::Caller;
use crate::errno::{Errno, SysResult};
use crate::guest_memory;

/// `uname(buf)`: the host's, but for the machine.
pub(crate) fn uname(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    // SAFETY: a structure of integers.
    let mut host: libc::utsname = unsafe { std::mem::zeroed() };
    // SAFETY: the structure is of the size the kernel fills.
    unsafe { crate::host::syscall(libc::SYS_uname, [&raw mut host as u64, 0, 0, 0, 0, 0])? };
    host.machine = [0; 65];
    for (to, from) in host.machine.iter_mut().zip(ctx.process.abi.machine.bytes()) {
        *to = from as libc::c_char;
    }
    // SAFETY: bytes of a structure without padding.
    let bytes = unsafe { std::slice::from_raw_parts((&raw const host).cast::<u8>(), size_of_val(&host)) };
    guest_memory::write(args[0], bytes)?;
    Ok(0)
}

/// Persona bits that change how the host would execute or lay out this process.
const EXECUTION_DOMAIN: u64 = 0xff;

/// `personality(persona)`: the execution domain stays what it is.
pub(crate) fn personality(_ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    if args[0] as u32 != u32::MAX && args[0] & EXECUTION_DOMAIN != 0 {
        return Err(Errno::EINVAL);
    }
    // SAFETY: plain arguments.
    unsafe { crate::host::syscall(libc::SYS_personality, args) }
}

/// Limits on memory would bind the emulator's own memory: they are accepted and not set.
fn binds_emulator(resource: u64) -> bool {
    [libc::RLIMIT_AS, libc::RLIMIT_DATA, libc::RLIMIT_STACK].contains(&(resource as u32))
}

/// `setrlimit(resource, limit)`
pub(crate) fn setrlimit(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    if binds_emulator(args[0]) {
        guest_memory::read(args[1], &mut [0; 8])?;
        return Ok(0);
    }
    marshal::pointers(ctx, args, |_, host| {
        // SAFETY: a guest address, or converted data.
        unsafe { crate::host::syscall(libc::SYS_setrlimit, host) }
    })
}

/// `statfs64(path, size, buf)`
pub(crate) fn statfs64(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    statfs(ctx, libc::SYS_statfs, args)
}

/// `fstatfs64(fd, size, buf)`
pub(crate) fn fstatfs64(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    statfs(ctx, libc::SYS_fstatfs, args)
}

/// The calls that say how large the structure is.
fn statfs(ctx: &mut Caller<'_>, number: i64, args: [u64; 6]) -> SysResult {
    // A packed one may come with the padding that the C library's has.
    let is_size = |size: u64| size == args[1] || size.next_multiple_of(8) == args[1];
    if ctx.process.abi.structure("statfs64").is_none_or(|s| !is_size(s.size.into())) {
        return Err(Errno::EINVAL);
    }
    marshal::pointers(ctx, args, |_, host| {
        // SAFETY: guest addresses, or converted data.
        unsafe { crate::host::syscall(number, [host[0], host[2], 0, 0, 0, 0]) }
    })
}

/// `_llseek(fd, high, low, result, whence)`
pub(crate) fn _llseek(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [fd, high, low, result, whence, _] = args;
    // SAFETY: plain arguments.
    let at = unsafe { crate::host::syscall(libc::SYS_lseek, [fd, high << 32 | low & 0xffff_ffff, whence, 0, 0, 0])? };
    let mut bytes = [0; 8];
    put_integer(&mut bytes, at, ctx.process.abi.big_endian);
    guest_memory::write(result, &bytes)?;
    Ok(0)
}

/// `prlimit64(pid, resource, new, old)`
pub(crate) fn prlimit64(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let [pid, resource, new, ..] = args;
    let own = pid == 0 || pid as u32 == std::process::id();
    let drop_new = new != 0 && own && binds_emulator(resource);
    marshal::pointers(ctx, args, |_, mut host| {
        if drop_new {
            host[2] = 0;
        }
        // SAFETY: guest addresses, or converted data.
        unsafe { crate::host::syscall(libc::SYS_prlimit64, host) }
    })
}
