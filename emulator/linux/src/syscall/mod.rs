//! System calls: from the guest's number and registers to a result.
//!
//! What a call is, its arguments and who answers it is data ([`crate::abi`]). Most calls go to the host kernel: as they are
//! where the interfaces agree, converted argument by argument ([`marshal`]) where they do not. The rest are functions named
//! in [`crate::special`].

mod arguments;
mod control;
mod convert;
pub(crate) mod descriptors;
mod direct;
pub(crate) mod directories;
mod marshal;
mod mask;
pub(crate) mod misc;
pub(crate) mod path;
mod proc_files;
mod stores;
pub(crate) mod thread_area;
mod tree;
pub(crate) mod tree_memory;
pub(crate) mod wait;

use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

use arguments::Types;
pub(crate) use direct::calls as direct_calls;

use crate::abi::{Abi, Arg, Call, Format, Function, Handler, Int, OneOf, Register, Ty};
use crate::caller::Caller;
use crate::errno::{Errno, SysResult, from_kernel};
use crate::strace;
use crate::thread::ThreadCtx;

/// Performs system call `number` of the guest's numbering.
pub(crate) fn dispatch(ctx: &mut ThreadCtx, number: u64) -> SysResult {
    let Some(call) = ctx.process.calls.get(number) else {
        return unknown(ctx.process.abi, number);
    };
    let args = arguments::of(ctx, call)?;
    if let Handler::Calls(rows) = call.handler {
        return one_of(ctx, call, rows.entries(), args);
    }
    run(ctx, call, args)
}

/// Performs the call that the low half of the first argument of one that stands for many says.
fn one_of(ctx: &mut ThreadCtx, many: &Call, rows: &'static [OneOf], args: [u64; 6]) -> SysResult {
    let Some(row) = row_of(rows, &args) else {
        return not_supported(many, &format!("has no call {}", args[0]));
    };
    perform_row(ctx.process.abi, row, args, |inner| run(ctx, &row.call, inner))
}

fn row_of(rows: &'static [OneOf], args: &[u64; 6]) -> Option<&'static OneOf> {
    rows.iter().find(|row| row.code == args[0] & 0xffff)
}

/// Has `perform` make the call of a row with its own arguments.
fn perform_row(abi: &Abi, row: &OneOf, args: [u64; 6], perform: impl FnOnce([u64; 6]) -> SysResult) -> SysResult {
    let words = abi.words();
    let mut inner = [0; 6];
    for (value, (arg, word)) in inner.iter_mut().zip(row.args) {
        *value = args[usize::from(*arg)];
        if let Some(word) = word {
            *value = words.read_word(value.wrapping_add(word * words.size))?;
        }
    }
    let value = perform(inner)?;
    let Some(result) = row.result else { return Ok(value) };
    crate::guest_memory::write(args[usize::from(result)], &words.bytes(&[value]))?;
    Ok(0)
}

fn run(ctx: &mut ThreadCtx, call: &'static Call, args: [u64; 6]) -> SysResult {
    if !strace::wants(call) {
        return retried(ctx, call, args);
    }
    let entry = strace::Entry::new(ctx, call, args);
    let result = retried(ctx, call, args);
    entry.finish(ctx, result);
    result
}

/// Performs a call; again if it failed because it writes to code.
fn retried(ctx: &mut ThreadCtx, call: &'static Call, args: [u64; 6]) -> SysResult {
    let watches_files = ctx.process.space.watches_files();
    if watches_files {
        descriptors_of(call, args).for_each(|fd| ctx.process.space.before_call_on(fd));
    }
    let result = match perform(ctx, call, args) {
        Err(Errno::EFAULT) if ctx.process.space.unwatch_all() => perform(ctx, call, args),
        result => result,
    };
    if watches_files {
        descriptors_of(call, args).for_each(|fd| ctx.process.space.after_call_on(fd));
    } else if ctx.process.space.watches_files() {
        ctx.process.jit().see_all_calls();
    }
    if jit::stores_matter() && ctx.process.jit().notices_stores() {
        stores::report(ctx, call, &args);
    }
    result
}

/// The descriptors among a call's arguments.
fn descriptors_of(call: &Call, args: [u64; 6]) -> impl Iterator<Item = i32> {
    let is = move |arg: &Arg| matches!(arg.ty.given(&args), Ty::Int(Int { format: Format::Fd, .. }));
    call.args.into_iter().zip(args).filter(move |(arg, _)| is(arg)).map(|(_, value)| value as i32)
}

fn perform(ctx: &mut ThreadCtx, call: &'static Call, args: [u64; 6]) -> SysResult {
    match call.handler {
        Handler::Host(number) if call.plain => {
            let result = to_host(ctx.queue.pending(), call, number, args);
            if call.convert_ret { marshal::result(call, &args, result) } else { result }
        }
        Handler::Host(number) => marshal::call(&Caller::thread(ctx, call), number, args),
        Handler::Special(function) => special(&mut Caller::thread(ctx, call), function.entry(), args),
        Handler::Registers(rows) => registers(ctx, &rows, args),
        Handler::Calls(rows) => one_of(ctx, call, rows.entries(), args),
        Handler::ThreadArea(set) => thread_area::call(ctx, set, args[0]),
        Handler::Absent => not_supported(call, "is not supported"),
        Handler::NotOnHost => not_supported(call, "does not exist on the host"),
        Handler::Undescribed => not_supported(call, "is not described in isa-specs/linux"),
    }
}

/// Has a function of the emulator perform a call.
fn special(caller: &mut Caller<'_>, function: &Function, args: [u64; 6]) -> SysResult {
    let (abi, call) = (caller.process.abi, caller.call);
    let types = Types::of(call, &args);
    let host = call.ordered(arguments::for_host(abi, &types, args));
    let result = match function {
        Function::Thread(function) => function(caller.outside()?, host),
        Function::Process(function) => function(caller, host),
    };
    if call.convert_ret { marshal::result(call, &args, result) } else { result }
}

/// Sets or reads a register that only the kernel can, or that it can too.
fn registers(ctx: &mut ThreadCtx, rows: &[Register], args: [u64; 6]) -> SysResult {
    let [code, value, ..] = args;
    let Some(row) = rows.iter().find(|row| row.code == u64::from(code as u32)) else {
        return Err(Errno::EINVAL);
    };
    let slot = ctx.process.guest.slot(&row.slot).ok_or(Errno::EINVAL)?;
    match row.set {
        true => ctx.set_slot(slot, value),
        false => crate::guest_memory::write(value, &ctx.slot(slot).to_le_bytes())?,
    }
    Ok(0)
}

/// Passes arguments that mean the same on the host to the host kernel. `pending` is set when a signal has come for the thread.
fn to_host(pending: &AtomicU32, call: &Call, number: u32, args: [u64; 6]) -> SysResult {
    let args = call.ordered(args);
    if let Some(function) = crate::host::without_kernel(number) {
        let [a, b, c, d, e, f] = args;
        // SAFETY: it takes any addresses.
        return from_kernel(unsafe { function(a, b, c, d, e, f, number.into(), 0) });
    }
    // SAFETY: pointers are guest addresses, which are host addresses that the kernel checks, or buffers of the caller's.
    unsafe {
        match call.blocks {
            true => crate::host::blocking_syscall(pending, number.into(), args),
            false => crate::host::syscall(number.into(), args),
        }
    }
}

/// Calls whose absence was reported.
static REPORTED: Mutex<Vec<u64>> = Mutex::new(Vec::new());

fn first_report(number: u64) -> bool {
    let mut reported = REPORTED.lock().unwrap_or_else(|e| e.into_inner());
    let first = !reported.contains(&number);
    if first {
        reported.push(number);
    }
    first
}

fn not_supported(call: &Call, why: &str) -> SysResult {
    if !call.quiet && first_report(u64::from(call.number)) {
        eprintln!("isamorph: system call {} ({}) {why}", call.name, call.number);
    }
    Err(Errno::ENOSYS)
}

fn unknown(abi: &Abi, number: u64) -> SysResult {
    if first_report(number) {
        eprintln!("isamorph: {} has no system call {}", abi.name, number as i64);
    }
    Err(Errno::ENOSYS)
}
