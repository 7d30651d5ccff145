//! Running an IFUNC resolver to learn which implementation it chooses.
//!
//! A resolver reads processor features and returns an address; the loader calls it once its library is relocated, which is
//! when the translator first asks about it. It is interpreted here on a state and a stack of its own, so the guest's
//! thread notices nothing.

use std::sync::Arc;

use ir::guest::IfuncArgs;
use jit::{Engine, Event, Jit, JitOptions};

use crate::mem::{Kind, Request};
use crate::{Process, guest_memory};

/// Bytes of stack a resolver gets.
const STACK: u64 = 64 * 1024;
/// In the first argument: the second is the address of a block.
const HAS_BLOCK: u64 = 1 << 62;
/// Where it returns to: nothing can be mapped there, whether or not addresses have 64 bits.
const RETURN: u64 = 0xffff_f000_ffff_f000;

/// The address that the resolver at `entry` returns, if it does return.
pub(super) fn run(process: &'static Process, entry: u64) -> Option<u64> {
    let space = &process.space;
    let (prot, flags) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
    let request = Request { addr: 0, len: STACK, prot, flags, fd: -1, offset: 0, kind: Kind::Plain };
    let stack = space.map_memory(&request).ok()?;
    let chosen = run_on(process, entry, stack + STACK);
    let _ = space.unmap(stack, STACK);
    chosen
}

/// The same, on the stack that ends at `top`.
fn run_on(process: &'static Process, entry: u64, top: u64) -> Option<u64> {
    let guest = process.guest;
    let back = guest.code_address(RETURN);
    let options = JitOptions { engine: Engine::Interp, ..JitOptions::default() };
    let jit: Arc<Jit> = Jit::new(guest, Box::new(Plain { process }), options);
    let mut thread = jit::Thread::new(jit);
    let mut sp = top - 64;
    if guest.abi.return_address.is_none() {
        // Where calls push the return address, it is what the stack pointer points to.
        sp -= 8;
        guest_memory::write(sp, &back.to_le_bytes()).ok()?;
    }
    let state = thread.state();
    state.set(guest, guest.sp, u128::from(sp));
    if let Some(slot) = guest.abi.return_address {
        state.set(guest, slot, u128::from(back));
    }
    let (hwcap, hwcap2) = (guest.process.hwcap, guest.process.hwcap2);
    let block = sp + 16;
    let words = [size_of::<[u64; 3]>() as u64, hwcap, hwcap2];
    guest_memory::write(block, words.map(u64::to_le_bytes).as_flattened()).ok()?;
    let args = match guest.process.ifunc {
        IfuncArgs::None => [None, None],
        IfuncArgs::Hwcap => [Some(hwcap), None],
        IfuncArgs::HwcapBlock => [Some(hwcap | HAS_BLOCK), Some(block)],
    };
    for (arg, slot) in args.iter().zip(guest.abi.int_args) {
        if let Some(value) = arg {
            state.set(guest, *slot, u128::from(*value));
        }
    }
    guest.enter(state, entry);
    match thread.run() {
        Event::FetchFault { addr } if addr == back => {
            Some(thread.state().get(guest, *guest.abi.int_ret.first()?) as u64)
        }
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
