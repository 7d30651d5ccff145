//! The interpreter engine: units are formed as for translation and executed by the interpreter that defines the IR.
//!
//! It brings up a new guest before any code generator exists for what it does, is the judge when generated code is in
//! doubt, and executes the units that the code generator gives back.

mod cache;
mod memory;

pub(crate) use memory::{NoticedMemory, combine, swap};

pub(crate) use cache::{Cache, Code, Frozen, Lookup, PLAIN, RETREATED, SCALAR, SHORTER, ThreadCache};

use ir::interp::Env;
use ir::unit::{ExitKind, Unit};
use ir::{Guest, GuestState};

use crate::event::{Event, MemFault};

/// What to do after a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Next {
    /// Go on at `state.pc` in `state.mode`.
    Continue,
    /// Tell the embedder.
    Event(Event),
    /// Translations of the `len` bytes at `addr` (0: all) are stale; then go on.
    Flush {
        /// Start.
        addr: u64,
        /// Bytes.
        len: u32,
    },
    /// Interpret the instruction at `state.pc`, with what it stores noticed.
    Step,
}

/// Executes a unit to its exit, or to the guest instruction that faults.
pub(crate) fn execute(guest: &'static Guest, unit: &Unit, state: &mut GuestState) -> Next {
    execute_in(guest, unit, state, &mut memory::HostMemory)
}

/// [`execute`] with another memory.
pub(crate) fn execute_in<E: Env<Fault = MemFault>>(
    guest: &'static Guest,
    unit: &Unit,
    state: &mut GuestState,
    memory: &mut E,
) -> Next {
    let (exit, operand) = match ir::interp::run(guest, unit, state, memory) {
        ir::interp::Outcome::Exit { exit, operand } => (unit.exits[exit.0 as usize], operand),
        ir::interp::Outcome::Fault(fault) => return Next::Event(Event::Fault(fault)),
    };
    match exit.kind {
        ExitKind::Jump
        | ExitKind::Call
        | ExitKind::Indirect
        | ExitKind::IndirectCall
        | ExitKind::Return
        | ExitKind::Redispatch
        | ExitKind::Retreat => Next::Continue,
        ExitKind::Syscall => Next::Event(Event::Syscall),
        ExitKind::Trap(trap) => Next::Event(Event::Trap(trap)),
        ExitKind::NativeCall => Next::Event(Event::NativeCall { name: operand }),
        ExitKind::Flush { len } => Next::Flush { addr: operand, len },
        ExitKind::Step => Next::Step,
    }
}
