//! Running an IFUNC resolver to learn which implementation it chooses.
//!
//! A resolver reads processor features and returns an address; the loader calls it once its library is relocated, which is
//! when the translator first asks about it. It is interpreted here on a state and a stack of its own, so the guest's
//! thread notices nothing.

use std::sync::Arc;

use ir::guest::IfuncArgs;
use jit::{Engine, Event, Jit, JitOptions};

use crate::Process;

/// Bytes of stack a resolver gets.
const STACK: usize = 64 * 1024;
/// In the first argument: the second is the address of a block.
const HAS_BLOCK: u64 = 1 << 62;
/// Where it returns to: nothing can be mapped there.
const RETURN: u64 = 0xffff_f000_0000_0000;

/// The address that the resolver at `pc` returns, if it does return.
pub(super) fn run(process: &'static Process, pc: u64) -> Option<u64> {
    let guest = process.guest;
    let options = JitOptions { engine: Engine::Interp, ..JitOptions::default() };
    let jit: Arc<Jit> = Jit::new(guest, Box::new(Plain { process }), options);
    let mut thread = jit::Thread::new(jit);
    let mut stack = vec![0_u128; STACK / size_of::<u128>()];
    let top = stack.as_ptr_range().end as u64;
    let mut sp = top - 64;
    if guest.abi.return_address.is_none() {
        // Where calls push the return address, it is what the stack pointer points to.
        let index = stack.len() - 5;
        stack[index] = u128::from(RETURN) << 64;
        sp -= 8;
    }
    let state = thread.state();
    state.set(guest, guest.sp, u128::from(sp));
    if let Some(slot) = guest.abi.return_address {
        state.set(guest, slot, u128::from(RETURN));
    }
    let (hwcap, hwcap2) = (guest.process.hwcap, guest.process.hwcap2);
    let block = [size_of::<[u64; 3]>() as u64, hwcap, hwcap2];
    let args = match guest.process.ifunc {
        IfuncArgs::None => [None, None],
        IfuncArgs::Hwcap => [Some(hwcap), None],
        IfuncArgs::HwcapBlock => [Some(hwcap | HAS_BLOCK), Some(block.as_ptr() as u64)],
    };
    for (arg, slot) in args.iter().zip(guest.abi.int_args) {
        if let Some(value) = arg {
            state.set(guest, *slot, u128::from(*value));
        }
    }
    state.pc = pc;
    match thread.run() {
        Event::FetchFault { addr: RETURN } => Some(thread.state().get(guest, *guest.abi.int_ret.first()?) as u64),
        _ => None,
    }
}

/// Fetches guest code, replaces nothing.
struct Plain {
    process: &'static Process,
}

impl jit::Hooks for Plain {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        self.process.space.fetch(pc, buf)
    }

    fn intercept(&self, _: u64) -> Option<jit::NativeFn> {
        None
    }
}
