//! Calls about the system and the process whose answers are not the host's.

use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::thread::ThreadCtx;

/// `uname(buf)`: the host's, but for the machine.
pub fn uname(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
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
pub fn personality(_ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
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
pub fn setrlimit(_ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if binds_emulator(args[0]) {
        guest_memory::read_words::<2>(args[1])?;
        return Ok(0);
    }
    // SAFETY: a guest address.
    unsafe { crate::host::syscall(libc::SYS_setrlimit, args) }
}

/// `prlimit64(pid, resource, new, old)`
pub fn prlimit64(_ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let [pid, resource, new, ..] = args;
    let mut host = args;
    if new != 0 && (pid == 0 || pid as u32 == std::process::id()) && binds_emulator(resource) {
        guest_memory::read_words::<2>(new)?;
        host[2] = 0;
    }
    // SAFETY: guest addresses.
    unsafe { crate::host::syscall(libc::SYS_prlimit64, host) }
}
