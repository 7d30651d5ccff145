//! Units that call a native function in place of guest code.
//!
//! ```text
//! args = guest argument registers, and the guest address
//! r = helper(args)            # 128 bits: the result, and 1 above it if the function faulted
//! exit_if r[64..], redispatch # to the same address, where the guest's own code runs this time
//! result register = r[..64]
//! exit_ind return address, return
//! ```

use std::sync::OnceLock;

use ir::guest::Slot;
use ir::inst::{Attr, Inst, Op};
use ir::unit::{Boundary, Exit, ExitKind, Put, Unit, UnitKey};
use ir::{Guest, Ty, Val};

use crate::native::{MAX_ARGS, MAX_FNS, NativeFn};
use crate::thread::Thread;
use crate::thread_state::ThreadState;
use crate::x64::generic;

/// Helper numbers from here on are native functions.
const FIRST: u32 = 1 << 16;

/// Set above the result of a function that faulted.
const FAULTED: u128 = 1 << 64;

/// Native functions by number.
pub(super) struct Natives(Box<[OnceLock<NativeFn>]>);

impl Default for Natives {
    fn default() -> Natives {
        Natives((0..MAX_FNS).map(|_| OnceLock::new()).collect())
    }
}

impl Natives {
    /// The unit that calls `function` at `key`. `None` if the guest's calling convention or the number does not allow it.
    pub(super) fn unit(&self, guest: &Guest, key: UnitKey, function: &NativeFn) -> Option<Unit> {
        let args = guest.abi.int_args.get(..function.args.into())?;
        let wide = |slot: &Slot| guest.slots[slot.0 as usize].ty == Ty::I64;
        let slots = args.iter().chain(guest.abi.int_ret.first()).chain([&guest.abi.return_address]);
        if function.args as usize > MAX_ARGS || !slots.into_iter().all(wide) {
            return None;
        }
        self.0.get(function.id as usize)?.get_or_init(|| *function);
        Some(unit(guest, key, function, args))
    }
}

fn unit(guest: &Guest, key: UnitKey, function: &NativeFn, args: &[Slot]) -> Unit {
    let mut insts = Vec::new();
    let mut push = |op, ty, attr: u32, args: [Val; 3]| {
        insts.push(Inst { op, ty, attr: Attr(attr), args });
        Val(insts.len() as u32 - 1)
    };
    let none = Val::NONE;
    let mut operands: Vec<Val> = vec![push(Op::Const, Ty::I64, 0, [none; 3])];
    operands.extend(args.iter().map(|slot| push(Op::Get, Ty::I64, slot.0.into(), [none; 3])));
    let count = operands.len() as u32;
    let call = push(Op::Helper, Ty::I128, FIRST + function.id, [Val(0), Val(count), none]);
    let above = push(Op::Vget, Ty::I64, Attr::imms(1, 0).0, [call, none, none]);
    let zero = push(Op::Const, Ty::I64, 1, [none; 3]);
    let faulted = push(Op::Ne, Ty::I64, 0, [above, zero, none]);
    push(Op::ExitIf, Ty::I1, 0, [faulted, none, none]);
    let result = push(Op::Trunc, Ty::I64, 0, [call, none, none]);
    let to = push(Op::Get, Ty::I64, guest.abi.return_address.0.into(), [none; 3]);
    let end = push(Op::ExitInd, Ty::I64, 1, [to, none, none]);
    let put = |slot: &Slot| Put { pos: end.0, slot: *slot, val: result };
    let exit = |kind| Exit { kind, target: key.pc, mode: key.mode, ret: 0, pc: key.pc };
    Unit {
        key,
        insts,
        consts: vec![key.pc.into(), 0],
        helper_args: operands,
        puts: guest.abi.int_ret.first().filter(|_| function.returns).map(put).into_iter().collect(),
        bounds: vec![Boundary { pos: 0, pc: key.pc }],
        exits: vec![exit(ExitKind::Redispatch), exit(ExitKind::Return)],
        guest_len: super::NATIVE_LEN,
        names: Vec::new(),
    }
}

/// `Entries::helper`: native functions and the guest's own helpers.
///
/// # Safety
/// As for [`generic::call_helper`]; the state is that of a [`Thread`] that is running generated code.
pub(super) unsafe extern "sysv64" fn helper(state: *mut ThreadState, id: u64, count: u64) {
    let Some(number) = id.checked_sub(FIRST.into()) else {
        // SAFETY: the caller's.
        return unsafe { generic::call_helper(state, id, count) };
    };
    // SAFETY: as for the other entries.
    let (thread, runtime) = unsafe { super::entries::owner(state) };
    let words = thread.block.scratch.map(|word| word as u64);
    let mut args = [0; MAX_ARGS];
    let given = (count as usize).saturating_sub(1).min(MAX_ARGS);
    args[..given].copy_from_slice(&words[1..=given]);
    let function = runtime.natives.0.get(number as usize).and_then(OnceLock::get);
    let result = function.and_then(|function| thread.invoke_native(function, &args, words[0]));
    thread.block.scratch[0] = result.map_or(FAULTED, u128::from);
}

impl Thread {
    /// Calls a native function for the guest function at `pc`; if it faults, arranges for the guest's own code to run.
    fn invoke_native(&mut self, function: &NativeFn, args: &[u64; MAX_ARGS], pc: u64) -> Option<u64> {
        let result = crate::native::invoke(function, args, self.native_frame(), &self.jit.natives);
        if result.is_none() {
            self.run_plain_at(pc);
        }
        result
    }
}
