//! Turns of a loop as vector code.
//!
//! Guests without vector instructions, and programs compiled without them, do in each turn of a loop with one element what the
//! host does with sixteen bytes of them. A unit that has several turns of a hot loop in a row ([`crate::Builder::allow_turn`])
//! shows which operations of the turns are alike; [`vectorise`] makes a unit of them that does the same to the state and to memory
//! and goes back to the loop's start.
//!
//! * `region`: the turns, under which conditions they would be left, what they access;
//! * `plan`: which values of the turns are lanes of one vector, from the stores upwards; `alike`: by what kind of operation;
//!   `ranges`: how wide the lanes must be; `strided`: loads of one of every few numbers;
//! * `guards`: what must hold for the turns to be independent and none to be left;
//! * `scalars`, `lanes`: the new unit.
//!
//! Correctness rests on this. All conditions are looked at on entry, before anything has been done; if one does not hold, the unit
//! *retreats*: a translation without vectors takes over ([`crate::ExitKind::Retreat`]). Then all loads happen, then all stores. An access that
//! faults is not reported: the state is that of the start of a turn, the stores of the turns before it have been done and
//! no others, and the translation without vectors takes over and comes to the fault itself. Loads overtake each other and the
//! stores of earlier turns to other places, which guests with weakly ordered memory allow; for others nothing is vectorised.
//! Floating-point operations are the same ones, each executed exactly when the turns execute it, and flags accumulate: their order
//! does not matter.

mod alike;
mod guards;
mod lanes;
mod plan;
mod ranges;
mod region;
mod scalars;
mod strided;

use crate::Builder;
use crate::guest::Guest;
use crate::unit::Unit;
use plan::Plan;
use region::Region;
use scalars::Emitter;

/// The unit of several turns of a loop as one with vectors; `None` if it cannot be one, or would gain nothing.
#[must_use]
pub fn vectorise(guest: &Guest, unit: &Unit) -> Option<Unit> {
    make(guest, unit, true)
}

/// The same whether or not something is gained.
#[cfg(test)]
pub(crate) fn vectorise_anyway(guest: &Guest, unit: &Unit) -> Option<Unit> {
    make(guest, unit, false)
}

fn make(guest: &Guest, unit: &Unit, must_pay: bool) -> Option<Unit> {
    if guest.total_store_order || guest.big_endian {
        return None;
    }
    let mut region = Region::of(unit)?;
    let plan = Plan::of(&region)?;
    let guards = guards::collect(&mut region, &plan)?;
    if must_pay && !plan.pays(&region, guards.len()) {
        return None;
    }
    let mut builder = Builder::new(guest, unit.key);
    builder.leave_out_names();
    builder.begin_insn(unit.key.pc);
    let mut emitter = Emitter::new(&region, &plan, builder);
    emitter.guards(&guards)?;
    emitter.accesses()?;
    let mut vectors = emitter.finish()?;
    vectors.guest_len = unit.guest_len;
    Some(vectors)
}
