//! The end of threads and of the process.

use crate::errno::Errno;
use crate::guest_memory;
use crate::thread::ThreadCtx;

/// Ends the process with `code`.
pub(crate) fn end_process(code: i32) -> ! {
    crate::process::at_end();
    leave(code)
}

/// Ends the process at once: nothing of the emulator's runs any more.
pub(crate) fn leave(code: i32) -> ! {
    // SAFETY: ends the process.
    unsafe { libc::_exit(code) }
}

/// What the kernel does for a thread that ends: the address given by `CLONE_CHILD_CLEARTID`, if any, is cleared and woken.
/// The guest may then reuse whatever the thread had.
pub(crate) fn clear_tid(addr: u64) {
    if addr != 0 && guest_memory::write(addr, &[0; 4]).is_ok() {
        let args = [addr, libc::FUTEX_WAKE as u64, 1, 0, 0, 0];
        // SAFETY: wakes waiters of a guest address.
        let _ = unsafe { crate::host::syscall(libc::SYS_futex, args) };
    }
}

/// Most robust mutexes that a thread's end looks at; the kernel's number.
const ROBUST_LIMIT: u32 = 2048;
/// Bits of a futex word: who holds it, that its holder died, that others wait.
const TID_MASK: u32 = 0x3fff_ffff;
const OWNER_DIED: u32 = 0x4000_0000;
const WAITERS: u32 = 0x8000_0000;

/// What the kernel does for a thread that ends holding robust mutexes, where the guest's list is not one it can read. A bad list
/// ends it.
pub(crate) fn release_robust(ctx: &ThreadCtx) {
    if ctx.robust_list != 0 {
        let _ = walk_robust(ctx);
    }
}

fn walk_robust(ctx: &ThreadCtx) -> Result<(), Errno> {
    let (head, words) = (ctx.robust_list, ctx.process.abi.words());
    let [first, offset, pending] = words.read_array(head, words.size)?;
    let shift = 64 - 8 * words.size as u32;
    let offset = ((offset << shift) as i64 >> shift) as u64;
    let futex = |entry: u64| ctx.process.guest.code_address((entry & !1).wrapping_add(offset));
    let mut entry = first;
    for _ in 0..ROBUST_LIMIT {
        if entry & !1 == head {
            break;
        }
        let next = words.read_word(entry & !1);
        if entry & !1 != pending & !1 {
            release(futex(entry), words.big_endian)?;
        }
        entry = next?;
    }
    if pending & !1 != 0 { release(futex(pending), words.big_endian) } else { Ok(()) }
}

/// Marks a mutex of this thread as one whose owner died, and wakes who waits for it.
fn release(addr: u64, big_endian: bool) -> Result<(), Errno> {
    let order = |word: u32| if big_endian { word.swap_bytes() } else { word };
    // SAFETY: no arguments.
    let own = unsafe { libc::gettid() as u32 };
    let mut found = jit::guarded::read_u32(addr).map_err(|_| Errno::EFAULT)?;
    while order(found) & TID_MASK == own {
        let word = order(found);
        let now = jit::guarded::cas_u32(addr, found, order(word & WAITERS | OWNER_DIED)).map_err(|_| Errno::EFAULT)?;
        if now == found {
            crate::process::stored_at(addr, 4);
            if word & WAITERS != 0 {
                let args = [addr, libc::FUTEX_WAKE as u64, 1, 0, 0, 0];
                // SAFETY: wakes a waiter of a guest address.
                let _ = unsafe { crate::host::syscall(libc::SYS_futex, args) };
            }
            break;
        }
        found = now;
    }
    Ok(())
}
