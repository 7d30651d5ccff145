//! The calls that generated code makes by itself: those that the host kernel performs, and that nobody wants to see.
//!
//! Where the arguments mean the same on the host, it makes them as they are. Others it has converted by a function here, which
//! works without the guest thread: to leave generated code and come back would cost as much as a short call.

use jit::{DirectCall, Performer};

use super::{arguments, convert, marshal};
use crate::abi::{Abi, Bytes, Call, Format, Function, Handler, Numbered, Terminated, Ty, every};
use crate::caller::Caller;
use crate::errno::{Errno, SysResult};
use crate::process::{self, Process};
use crate::strace;

/// The calls, and who performs them.
pub(crate) fn calls(guest: &ir::Guest, abi: &Abi) -> Vec<DirectCall> {
    let errors_are_the_hosts = guest.syscall.error.is_some() || abi.set("errno").is_none_or(|errno| errno.same);
    if !errors_are_the_hosts {
        return Vec::new();
    }
    let hosts = every().iter().find(|abi| abi.name == std::env::consts::ARCH).map(Numbered::of);
    let direct = |call: &Call| match call.handler {
        Handler::Host(host) if !strace::wants(call) => {
            let number = host.try_into().ok()?;
            let by = match (crate::host::without_kernel(host), call.blocks) {
                _ if !in_registers(guest, call) || !means_the_same(abi, call) => Performer::Converting(convert),
                // What the host's call has in addition is 0, not what happens to be in a register.
                _ if hosts.as_ref().and_then(|hosts| hosts.get(host.into())).is_none_or(|of| has_less(call, of)) => {
                    Performer::Converting(convert)
                }
                (Some(function), _) => Performer::Function(function),
                (None, true) => Performer::Sleeping(number),
                (None, false) => Performer::Kernel(number),
            };
            Some(DirectCall { number: call.number, by })
        }
        Handler::Special(function) if matches!(function.entry(), Function::Process(_)) && !strace::wants(call) => {
            Some(DirectCall { number: call.number, by: Performer::Converting(convert) })
        }
        Handler::Calls(rows) if !strace::wants(call) && !rows.into_iter().any(|row| strace::wants(&row.call)) => {
            Some(DirectCall { number: call.number, by: Performer::Converting(convert) })
        }
        _ => None,
    };
    abi.calls.iter().filter_map(direct).collect()
}

/// Whether a call has fewer arguments than the one that performs it.
fn has_less(call: &Call, performs: &Call) -> bool {
    call.args.entries().len() < performs.args.entries().len()
}

/// Whether the arguments are in registers, as far as one can tell without their values.
fn in_registers(guest: &ir::Guest, call: &Call) -> bool {
    call.args.entries().len() <= guest.syscall.args.len()
}

/// Whether the host's kernel can be given the arguments as they are in the registers, zero-extended.
fn means_the_same(abi: &Abi, call: &Call) -> bool {
    let same = match abi.word {
        8 => call.plain,
        _ => call.args.iter().all(|arg| passes(abi, &arg.ty)),
    };
    same && !call.convert_ret && call.order.is_none()
}

fn passes(abi: &Abi, ty: &Ty) -> bool {
    let extends = |signed: bool, size: u8, host: u8| u64::from(size) <= abi.word && (!signed || host <= size);
    match ty {
        Ty::None => true,
        Ty::Int(int) => {
            let exchanged = int.format == Format::Memory && abi.big_endian;
            !exchanged && extends(int.signed, int.size, int.host_size)
        }
        Ty::Set(set) => set.same && extends(set.signed, set.size, set.host_size),
        Ty::Ptr(_, to) => leads_to_the_same(abi, to.entry()),
        Ty::Select(select) => passes(abi, &select.default) && select.cases.into_iter().all(|(_, ty)| passes(abi, ty)),
        Ty::Struct(_) | Ty::Array(..) | Ty::Bytes(..) | Ty::Terminated(_) => false,
    }
}

/// Whether the host's kernel can use what a pointer leads to.
fn leads_to_the_same(abi: &Abi, ty: &Ty) -> bool {
    match ty {
        Ty::Int(_) | Ty::Set(_) | Ty::Struct(_) => convert::same(abi, ty),
        Ty::Bytes(kind, _) => *kind != Bytes::Sigmask && convert::same(abi, ty),
        Ty::Array(elem, _) => leads_to_the_same(abi, elem),
        Ty::Terminated(kind) => *kind == Terminated::Cstr,
        Ty::None | Ty::Ptr(..) | Ty::Select(_) => false,
    }
}

/// See [`Performer::Converting`].
#[allow(clippy::too_many_arguments)] // those of a `CallFn`
unsafe extern "sysv64" fn convert(a: u64, b: u64, c: u64, d: u64, e: u64, f: u64, number: u64, sp: u64) -> i64 {
    let queue = crate::thread::current_queue();
    let Some(process) = process::current().filter(|_| !queue.is_null()) else { return jit::DECLINED };
    // SAFETY: the queue of the thread that makes the call, which outlives it.
    let queue = unsafe { &*queue };
    let perform = || -> Option<SysResult> {
        let call = process.calls.get(number)?;
        let args = given(process, call, [a, b, c, d, e, f], sp)?;
        let Handler::Calls(rows) = call.handler else { return make(Caller::code(process, call, queue), args) };
        let row = super::row_of(rows.entries(), &args)?;
        let inner = |args| make(Caller::code(process, &row.call, queue), args).unwrap_or(Err(Errno::DECLINED));
        Some(super::perform_row(process.abi, row, args, inner))
    };
    match perform() {
        Some(Ok(value)) => value as i64,
        Some(Err(Errno::RESTART)) => jit::INTERRUPTED,
        Some(Err(Errno::DECLINED)) => jit::DECLINED,
        Some(Err(Errno(error))) => -i64::from(error),
        None => jit::DECLINED,
    }
}

/// Makes a call; `None` if that takes the thread.
fn make(mut caller: Caller<'_>, args: [u64; 6]) -> Option<SysResult> {
    match caller.call.handler {
        Handler::Host(host) => Some(marshal::call(&caller, host, args)),
        Handler::Special(function) => Some(super::special(&mut caller, function.entry(), args)),
        _ => None,
    }
}

/// The arguments of a call by what is in the registers and on the stack; `None` if that cannot be read.
fn given(process: &Process, call: &Call, registers: [u64; 6], sp: u64) -> Option<[u64; 6]> {
    let registers = &registers[..process.guest.syscall.args.len().min(6)];
    if process.abi.word == 4 {
        let word = |at: usize| match registers.get(at) {
            Some(word) => Ok(*word),
            None => arguments::on_stack(process, sp, at - registers.len()),
        };
        return arguments::of_words(process.abi, call, word).ok();
    }
    let mut args = [0; 6];
    args.iter_mut().zip(registers).take(call.args.entries().len()).for_each(|(arg, word)| *arg = *word);
    Some(args)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::every;

    fn means_the_same_on(guest: &str, name: &str) -> Option<bool> {
        let abi = every().iter().find(|abi| abi.name == guest)?;
        let call = abi.calls.into_iter().find(|call| call.name == name)?;
        Some(means_the_same(abi, call))
    }

    #[test]
    fn what_the_hosts_call_has_in_addition_is_nothing_the_guest_left_behind() {
        let of = |guest: &str, name: &str| {
            let abi = every().iter().find(|abi| abi.name == guest).expect("described");
            (abi, abi.calls.into_iter().find(|call| call.name == name).expect("described"))
        };
        let (_, sendto) = of("x86_64", "sendto");
        assert!(!has_less(sendto, sendto));
        for guest in ["arm", "mips"] {
            let (abi, send) = of(guest, "send");
            assert!(means_the_same(abi, send) && has_less(send, sendto), "{guest}");
        }
    }

    #[test]
    fn a_call_goes_to_the_kernel_as_it_is_if_its_words_and_what_they_lead_to_are_the_hosts() {
        for (guest, name, same) in [
            ("arm", "read", true),
            ("arm", "getpid", true),
            ("arm", "clock_gettime64", true),
            ("x86", "dup3", true),
            ("mips", "write", true),
            ("aarch64", "pread64", true),
            // A signed word, a pair of words, a structure of words, a path, a set of words.
            ("arm", "lseek", false),
            ("arm", "pread64", false),
            ("arm", "writev", false),
            ("arm", "clock_gettime", false),
            ("arm", "access", false),
            ("arm", "_newselect", false),
            // The other order of bytes.
            ("mips", "pipe2", false),
            ("mips", "clock_gettime64", false),
            ("aarch64", "fstat", false),
        ] {
            assert_eq!(means_the_same_on(guest, name), Some(same), "{guest} {name}");
        }
    }
}
