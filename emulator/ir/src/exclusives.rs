//! Which exclusive accesses are as good as compare-and-swap.
//!
//! An exclusive store must fail if anything was stored since the exclusive load, even if the value is the same again. What
//! a program does between the two decides whether it can tell: if it accesses no other memory, all it knows is the value, and
//! a store that succeeds if the value is the same could have been made right after a load of it. If it reads other memory, as a
//! stack does that looks for the node behind the first, what it read may have become wrong in between.

use crate::inst::Op;
use crate::unit::Unit;

/// What is known of the monitor.
#[derive(Clone, Copy)]
enum Monitor {
    Unknown,
    Clear,
    /// Set at this position; whether memory was accessed since.
    Held(usize, bool),
}

/// Position of the first exclusive access without a partner in the unit, or of the first pair with other accesses to memory between
/// its two: of its load if `counts_loads`, else of its store. A load alone counts only then; a store may always refer to a load of another unit.
fn position(unit: &Unit, counts_loads: bool) -> Option<usize> {
    let alone = |monitor: Monitor| match monitor {
        Monitor::Held(from, _) if counts_loads => Some(from),
        _ => None,
    };
    let mut monitor = Monitor::Unknown;
    for (pos, inst) in unit.insts.iter().enumerate() {
        let (found, next) = match (inst.op, monitor) {
            (Op::Ll, _) => (alone(monitor), Monitor::Held(pos, false)),
            (Op::Clrex, _) => (alone(monitor), Monitor::Clear),
            (Op::Sc, Monitor::Held(from, true)) => (Some(if counts_loads { from } else { pos }), Monitor::Clear),
            (Op::Sc, Monitor::Unknown) => (Some(pos), Monitor::Clear),
            (Op::Sc, _) => (None, Monitor::Clear),
            (Op::Load, _) if inst.attr.is_own() => continue,
            (Op::Load | Op::Store | Op::Rmw | Op::Cas | Op::Helper, Monitor::Held(from, _)) => {
                (None, Monitor::Held(from, true))
            }
            _ => continue,
        };
        // What is found later lies behind: a pair begins behind the end of the one before.
        if found.is_some() {
            return found;
        }
        monitor = next;
    }
    alone(monitor)
}

/// Address of the instruction at that position.
fn first(unit: &Unit, counts_loads: bool) -> Option<u64> {
    let pos = unit.exclusive.then(|| position(unit, counts_loads))?? as u32;
    let after = unit.bounds.partition_point(|b| b.pos <= pos);
    Some(after.checked_sub(1).map_or(unit.key.pc, |i| unit.bounds[i].pc))
}

/// Whether a store of the unit could succeed by mistake if it were a compare-and-swap.
#[must_use]
pub fn is_sensitive(unit: &Unit) -> bool {
    first(unit, false).is_some()
}

/// Address of the first instruction that such a store, here or in another unit, may depend on, or is.
#[must_use]
pub fn first_sensitive(unit: &Unit) -> Option<u64> {
    first(unit, true)
}
