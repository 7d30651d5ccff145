//! Waiting calls whose signal mask is inside a structure.

use super::mask::TemporaryMask;
use crate::errno::SysResult;
use crate::guest_memory::read_words;
use crate::thread::ThreadCtx;

/// `pselect6(n, inp, outp, exp, timeout, { mask, size })`
pub fn pselect6(ctx: &mut ThreadCtx, args: [u64; 6]) -> SysResult {
    let mut host = args;
    let mut mask = None;
    let mut pair = [0u64; 2];
    if args[5] != 0 {
        let [addr, size] = read_words(args[5])?;
        if addr != 0 {
            let entered = TemporaryMask::enter(ctx, addr, size)?;
            pair = [entered.address(), size];
            host[5] = &raw const pair as u64;
            mask = Some(entered);
        }
    }
    // SAFETY: guest addresses, and `pair` and the mask it refers to, which outlive the call.
    let outcome = unsafe { ctx.blocking(libc::SYS_pselect6, host) };
    if let Some(mask) = mask {
        mask.leave(ctx, outcome);
    }
    let _ = pair;
    outcome
}
