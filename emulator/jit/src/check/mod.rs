//! Lock-step of the two engines: before generated code executes a unit, the interpreter rehearses it on a copy of the state,
//! its stores kept aside; afterwards state, memory and the reason for leaving must be the same.
//!
//! Generated code is the very code that runs otherwise. It is entered with the poll flag set, so that it comes back before the next
//! unit, or the next turn of one that jumps to itself; links are never made and jump caches stay empty, because both ask the flag
//! first. One thread at a time does this: only the kernel and other processes can change memory between the two
//! executions. Not compared are units that read a clock, functions that run as host code, and what the interpreter executes anyway.

mod shadow;

use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ir::guest::Slot;
use ir::inst::Op;
use ir::softfloat::flag;
use ir::unit::Unit;
use ir::{Guest, GuestState};

use crate::event::{Event, MemFault};
use crate::interp::{self, Next};
use crate::jit::Jit;
use shadow::Shadow;

/// Bit of the poll flag that makes generated code come back after one unit; nobody else sets it.
pub(crate) const ONE_UNIT: u32 = 2;

/// Held by the thread that executes a unit both ways.
#[derive(Default)]
pub(crate) struct LockStep(Mutex<()>);

impl LockStep {
    pub(crate) fn enter(&self) -> MutexGuard<'_, ()> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What generated code should come to.
pub(crate) struct Rehearsal<'u> {
    unit: &'u Unit,
    before: Box<GuestState>,
    after: Box<GuestState>,
    next: Next,
    memory: Shadow,
}

/// Without the direction of a fault: an atomic operation both reads and writes, and either may be what faults.
fn undirected(event: Event) -> Event {
    match event {
        Event::Fault(fault) => Event::Fault(MemFault { write: None, ..fault }),
        other => other,
    }
}

/// Whether executing the unit twice gives the same twice.
fn repeats(guest: &Guest, unit: &Unit) -> bool {
    unit.insts.iter().filter(|inst| inst.op == Op::Helper).all(|inst| {
        let helper = &guest.helpers[inst.attr.index()];
        helper.pure || helper.state
    })
}

/// Interprets `unit` from `state`, which does not change. `None` if it cannot be told what generated code should come to.
pub(crate) fn rehearse<'u>(guest: &'static Guest, unit: &'u Unit, state: &GuestState) -> Option<Rehearsal<'u>> {
    if !repeats(guest, unit) {
        return None;
    }
    let (mut after, mut memory) = (Box::new(state.clone()), Shadow::default());
    let next = interp::execute_in(guest, unit, &mut after, &mut memory);
    Some(Rehearsal { unit, before: Box::new(state.clone()), after, next, memory })
}

impl Rehearsal<'_> {
    /// How generated code, which left with `event`, differs; `None` if it does not.
    pub(crate) fn compare(&self, jit: &Jit, state: &GuestState, event: Option<Event>) -> Option<String> {
        let mut text = String::new();
        self.compare_events(&mut text, event);
        self.compare_states(&mut text, jit.guest, state);
        for (addr, expected, found) in self.memory.differences() {
            let _ = writeln!(text, "  [{addr:#x}]: interpreted {expected:#04x}, generated {found:#04x}");
        }
        (!text.is_empty()).then(|| self.report(jit, &text))
    }

    fn compare_events(&self, text: &mut String, event: Option<Event>) {
        let expected = match self.next {
            Next::Event(event) => Some(event),
            Next::Continue | Next::Flush { .. } => None,
            // What comes of the instruction is the interpreter's.
            Next::Step => return,
        };
        if expected.map(undirected) != event.map(undirected) {
            let _ = writeln!(text, "  event: interpreted {expected:?}, generated {event:?}");
        }
    }

    fn compare_states(&self, text: &mut String, guest: &Guest, state: &GuestState) {
        let mut differ = |name: &str, before: u128, expected: u128, found: u128| {
            if expected != found {
                let _ = writeln!(text, "  {name}: before {before:#x}, interpreted {expected:#x}, generated {found:#x}");
            }
        };
        let (before, after) = (&self.before, &self.after);
        differ("pc", before.pc.into(), after.pc.into(), state.pc.into());
        differ("mode", before.mode.into(), after.mode.into(), state.mode.into());
        // The host's flag of denormal operands means something else than the interpreter's, which no guest reads.
        let flags = |state: &GuestState| u128::from(state.fflags & !flag::DENORMAL);
        differ("floating-point flags", flags(before), flags(after), flags(state));
        for (i, desc) in guest.slots.iter().enumerate() {
            let of = |state: &GuestState| state.get(guest, Slot(i as u16));
            differ(desc.name, of(before), of(after), of(state));
        }
    }

    /// The differences `text` with the unit: guest code, intermediate code, host code.
    fn report(&self, jit: &Jit, text: &str) -> String {
        let mut report =
            format!("generated code differs from the interpreter in the unit at {:#x}\n{text}", self.unit.key.pc);
        let compiled = jit.t1.as_ref().and_then(|runtime| runtime.compile_again(jit, self.unit));
        report.push_str(&crate::trace::describe(jit.guest, &*jit.hooks, self.unit, compiled.as_ref()));
        report
    }
}
