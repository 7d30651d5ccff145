//! Arguments of a system call: from the guest's registers and stack to values, and from those to the host's.

use std::ops::Deref;

use crate::abi::{Abi, Call, Format, Ty};
use crate::errno::Errno;
use crate::process::Process;
use crate::thread::ThreadCtx;

/// The arguments of `call`, zero-extended.
pub(super) fn of(ctx: &mut ThreadCtx, call: &Call) -> Result<[u64; 6], Errno> {
    let abi = ctx.process.abi;
    if abi.word == 8 {
        let mut args = [0; 6];
        for (arg, slot) in args.iter_mut().zip(ctx.process.guest.syscall.args) {
            *arg = ctx.slot(*slot);
        }
        return Ok(args);
    }
    of_words(abi, call, |at| place(ctx, at))
}

/// The arguments of `call`, by the words that they are passed in. One of two words is joined from the places it takes.
pub(super) fn of_words<E>(
    abi: &Abi,
    call: &Call,
    mut word: impl FnMut(usize) -> Result<u64, E>,
) -> Result<[u64; 6], E> {
    let mut args = [0; 6];
    let mut at = 0;
    for i in 0..args.len() {
        let wide = call.args.get(i).is_some_and(|arg| is_wide(arg.ty.given(&args)));
        if wide {
            at += usize::from(abi.even_pairs && at % 2 == 1);
            let [first, second] = [word(at)?, word(at + 1)?];
            args[i] = if abi.big_endian { first << 32 | second } else { second << 32 | first };
        } else if i < call.args.len() || call.args.is_empty() {
            args[i] = word(at)?;
        }
        at += 1 + usize::from(wide);
    }
    Ok(args)
}

fn is_wide(ty: &Ty) -> bool {
    match ty {
        Ty::Int(int) => int.size == 8,
        Ty::Set(set) => set.size == 8,
        _ => false,
    }
}

/// The word in place number `at`: the argument registers, then the stack.
fn place(ctx: &mut ThreadCtx, at: usize) -> Result<u64, Errno> {
    let desc = &ctx.process.guest.syscall;
    if let Some(slot) = desc.args.get(at) {
        return Ok(ctx.slot(*slot));
    }
    on_stack(ctx.process, ctx.sp(), at - desc.args.len())
}

/// The word number `beyond` of those that are on the stack because there is no register for them.
pub(super) fn on_stack(process: &Process, sp: u64, beyond: usize) -> Result<u64, Errno> {
    let Some(offset) = process.guest.syscall.stack_args else { return Ok(0) };
    let words = process.abi.words();
    words.read_word(sp.wrapping_add(u64::from(offset) + beyond as u64 * words.size))
}

/// Types of a call's arguments, `select` decided.
pub(super) struct Types {
    types: [&'static Ty; 6],
    count: usize,
}

impl Types {
    /// The types for given arguments.
    pub(super) fn of(call: &Call, args: &[u64; 6]) -> Types {
        let mut types = [&Ty::None; 6];
        let described = call.args.entries();
        for (ty, arg) in types.iter_mut().zip(described) {
            *ty = arg.ty.given(args);
        }
        Types { types, count: described.len().min(types.len()) }
    }
}

impl Deref for Types {
    type Target = [&'static Ty];

    fn deref(&self) -> &Self::Target {
        &self.types[..self.count]
    }
}

/// The arguments as the host's integers and constants; addresses stay.
pub(super) fn for_host(abi: &Abi, types: &[&'static Ty], args: [u64; 6]) -> [u64; 6] {
    let mut host = args;
    for (value, ty) in host.iter_mut().zip(types) {
        *value = match ty {
            Ty::Set(set) => set.to_host(*value),
            Ty::Int(int) if int.format == Format::Memory && abi.big_endian => u64::from((*value as u32).swap_bytes()),
            Ty::Int(int) if abi.word == 4 && int.signed => sign_extended(*value, int.size),
            _ => continue,
        };
    }
    host
}

fn sign_extended(value: u64, size: u8) -> u64 {
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    ((value << shift) as i64 >> shift) as u64
}
