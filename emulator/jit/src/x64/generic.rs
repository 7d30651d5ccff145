//! Operations without host code: evaluated by the definition in the interpreter.

use ir::inst::{Attr, Effect, Inst, Op, TypeRule};
use ir::softfloat::FpEnv;
use ir::{Guest, Ty, eval};

use crate::thread_state::ThreadState;

/// Whether [`evaluate`] knows the operation: it computes, and touches neither memory nor control.
pub(super) fn is_generic(op: Op) -> bool {
    !matches!(op.desc().effect, Effect::Fault | Effect::Exit)
}

/// The word that tells [`evaluate`] what to do: operation, type, operand types (8, 4 and 3 × 4 bits).
pub(super) fn describe(inst: &Inst, operands: [Ty; 3]) -> u64 {
    let types = operands.iter().rev().fold(0, |word, &ty| word << 4 | ty as u64);
    inst.op as u64 | (inst.ty as u64) << TYPE_AT | types << 12
}

/// Where its type is.
pub(super) const TYPE_AT: u32 = 8;

/// Operation that the word describes.
pub(super) fn operation(desc: u64) -> Op {
    Op::ALL[(desc & 0xff) as usize]
}

/// Type of the result of what the word describes.
pub(super) fn result(desc: u64) -> Ty {
    TYPES[(desc >> TYPE_AT & 7) as usize]
}

/// Type of operand `k` of what the word describes.
pub(super) fn operand(desc: u64, k: usize) -> Ty {
    TYPES[(desc >> (12 + 4 * k) & 7) as usize]
}

const TYPES: [Ty; 6] = [Ty::I1, Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128];

/// `entries.generic`: operands in `scratch`, their bits above their types undefined; the result goes to `scratch[0]`.
///
/// # Safety
/// `thread` is the block of the running thread, in generated code, with `guest_desc` set.
pub unsafe extern "sysv64" fn evaluate(thread: *mut ThreadState, desc: u64, attr: u64) {
    // SAFETY: generated code owns the block and waits for the call to return.
    let thread = unsafe { &mut *thread };
    // SAFETY: guests are static.
    let guest: &Guest = unsafe { &*thread.guest_desc };
    let ty = |shift: u32| TYPES[(desc >> shift & 7) as usize];
    let op = operation(desc);
    let types = std::array::from_fn::<Ty, 3, _>(|k| operand(desc, k));
    let args = std::array::from_fn(|k| thread.scratch[k] & types[k].mask());
    let own = op.desc().operands.iter().position(|rule| *rule == TypeRule::From);
    let from = own.map_or(ty(TYPE_AT), |k| types[k]);
    let attr = Attr(attr as u32);
    thread.scratch[0] = if op.desc().effect == Effect::Pure {
        eval::pure(op, ty(TYPE_AT), from, attr, args)
    } else {
        let mode = guest.fp_environment(attr.environment(), thread.guest.mode);
        let mut fp = FpEnv { mode, policy: guest.fp, flags: thread.guest.fflags };
        let result = eval::eval(op, ty(TYPE_AT), from, attr, args, &mut fp);
        thread.guest.fflags = fp.flags;
        result
    };
}

/// `entries.helper`: `extern fn` number `id` with `count` arguments from `scratch`, result to `scratch[0]`.
///
/// # Safety
/// As for [`evaluate`].
pub unsafe extern "sysv64" fn call_helper(thread: *mut ThreadState, id: u64, count: u64) {
    // SAFETY: generated code owns the block and waits for the call to return.
    let thread = unsafe { &mut *thread };
    // SAFETY: guests are static.
    let guest: &Guest = unsafe { &*thread.guest_desc };
    let args = thread.scratch;
    thread.scratch[0] = (guest.helpers[id as usize].call)(&mut thread.guest, &args[..count as usize]);
}
