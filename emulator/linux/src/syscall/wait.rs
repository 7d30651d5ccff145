//! Waiting calls whose signal mask is inside a structure.

use super::marshal;
use super::mask::{SET_BYTES, TemporaryMask};
use crate::caller::Caller;
use crate::errno::SysResult;

/// `pselect6(n, inp, outp, exp, timeout, { mask, size })`; its timeout is what the call's description says.
pub(crate) fn pselect6(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    let mut mask = None;
    let mut pair = [0u64; 2];
    if args[5] != 0 {
        let [addr, size] = ctx.process.abi.words().read_array(args[5], ctx.process.abi.word)?;
        if addr != 0 {
            let entered = TemporaryMask::enter(ctx.process.abi, ctx.queue(), addr, size)?;
            pair = [mask.insert(entered).address(), SET_BYTES];
        }
    }
    let wait = |ctx: &mut Caller<'_>, mut host: [u64; 6]| {
        host[5] = if mask.is_some() { &raw const pair as u64 } else { 0 };
        // SAFETY: guest addresses and converted data, and `pair` and the mask it refers to, which outlive the call.
        unsafe { ctx.blocking(libc::SYS_pselect6, host) }
    };
    let outcome = marshal::pointers(ctx, args, wait);
    if let Some(mask) = mask {
        mask.leave(ctx.queue(), outcome);
    }
    outcome
}
