//! System calls on threads and processes.

pub(crate) use super::clone::{clone, clone3, fork, vfork};
pub(crate) use super::exec::{execve, execveat};
use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::thread::ThreadCtx;

/// `exit(code)`: ends the thread.
pub(crate) fn exit(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if ctx.borrowed {
        super::leave(args[0] as i32);
    }
    ctx.ended = Some(args[0] as i32);
    Err(Errno::NO_RESULT)
}

/// `exit_group(code)`: ends the process.
pub(crate) fn exit_group(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if ctx.borrowed {
        super::leave(args[0] as i32);
    }
    super::end_process(args[0] as i32)
}

/// `set_tid_address(tidptr)`
pub(crate) fn set_tid_address(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    ctx.clear_child_tid = args[0];
    // SAFETY: no arguments.
    unsafe { crate::host::syscall(libc::SYS_gettid, [0; 6]) }
}

/// `set_robust_list(head, len)`: the guest's list replaces the host libc's, which is always empty: the emulator has no robust
/// mutexes. The kernel then marks owner-dead futexes however the thread ends.
pub(crate) fn set_robust_list(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    if ctx.borrowed {
        return Ok(0);
    }
    // The host kernel could not read the list of a guest whose words are not the host's.
    if let Some(head) = ctx.process.abi.structure("robust_list_head")
        && !head.same
    {
        if args[1] != u64::from(head.size) {
            return Err(Errno::EINVAL);
        }
        ctx.robust_list = args[0];
        return Ok(0);
    }
    // SAFETY: the kernel reads the list when the thread ends, tolerating bad addresses.
    unsafe { crate::host::syscall(libc::SYS_set_robust_list, args) }
}

/// `prctl(option, …)`: what would bind the emulator instead of the guest is refused, and what the host knows of the emulator's
/// thread is answered for the guest's.
pub(crate) fn prctl(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    match args[0] as i32 {
        libc::PR_SET_SECCOMP | libc::PR_SET_TSC | PR_SET_SYSCALL_USER_DISPATCH => Err(Errno::EINVAL),
        libc::PR_SET_MM => Err(Errno::EPERM),
        libc::PR_GET_TID_ADDRESS => {
            let words = ctx.process.abi.words();
            guest_memory::write(args[1], &words.bytes(&[ctx.clear_child_tid]))?;
            Ok(0)
        }
        PR_GET_AUXV => {
            let auxv = ctx.process.auxv.get().map_or(&[] as &[u8], Vec::as_slice);
            guest_memory::write(args[1], &auxv[..auxv.len().min(args[2] as usize)])?;
            Ok(auxv.len() as u64)
        }
        // SAFETY: guest addresses; the options left act on names, limits and signals of the task.
        _ => unsafe { crate::host::syscall(libc::SYS_prctl, args) },
    }
}

/// `PR_SET_SYSCALL_USER_DISPATCH`
const PR_SET_SYSCALL_USER_DISPATCH: i32 = 59;

/// `PR_GET_AUXV`
const PR_GET_AUXV: i32 = 0x4155_5856;

/// `set_thread_area(value)`: the thread pointer.
pub(crate) fn set_thread_area(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    ctx.set_slot(ctx.process.guest.process.tls, args[0]);
    Ok(0)
}

/// `cacheflush(start, len, cache)`
pub(crate) fn cacheflush(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    ctx.process.jit().invalidate(args[0], args[1]);
    Ok(0)
}

/// The thread pointer, as the result.
pub(crate) fn get_thread_area(ctx: &mut ThreadCtx, _args: [u64; 6]) -> SysResult {
    Ok(ctx.slot(ctx.process.guest.process.tls))
}

/// `(start, end, flags)`: code in an address range has changed.
pub(crate) fn flush_icache_range(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    ctx.process.jit().invalidate(args[0], args[1].saturating_sub(args[0]));
    Ok(0)
}
