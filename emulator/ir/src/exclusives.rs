//! Which exclusive accesses are as good as compare-and-swap.
//!
//! An exclusive store must fail if anything was stored since the exclusive load, even if the value is the same again. What
//! a program does between the two decides whether it can tell: if it accesses no other memory, all it knows is the value, and
//! a store that succeeds if the value is the same could have been made right after a load of it. If it reads other memory, as a
//! stack does that looks for the node behind the first, what it read may have become wrong in between.

use crate::inst::Op;
use crate::unit::Unit;

/// Address of the first instruction whose exclusive access has no partner in the unit, or one with other accesses to memory between
/// them. A `load` without a partner counts, or only a `store`, which may refer to a load of another unit.
fn first(unit: &Unit, counts_loads: bool) -> Option<u64> {
    /// What is known of the monitor.
    enum Monitor {
        Unknown,
        Clear,
        /// Set at this position; whether memory was accessed since.
        Held(usize, bool),
    }
    if !unit.exclusive {
        return None;
    }
    let mut monitor = Monitor::Unknown;
    let mut found = None;
    let mut note = |pos: usize| found = Some(found.map_or(pos, |f: usize| f.min(pos)));
    for (pos, inst) in unit.insts.iter().enumerate() {
        match inst.op {
            Op::Ll => {
                if let Monitor::Held(from, _) = monitor
                    && counts_loads
                {
                    note(from);
                }
                monitor = Monitor::Held(pos, false);
            }
            Op::Sc => {
                match monitor {
                    Monitor::Held(_, false) | Monitor::Clear => {}
                    Monitor::Held(from, true) => note(if counts_loads { from } else { pos }),
                    Monitor::Unknown => note(pos),
                }
                monitor = Monitor::Clear;
            }
            Op::Clrex => {
                if let Monitor::Held(from, _) = monitor
                    && counts_loads
                {
                    note(from);
                }
                monitor = Monitor::Clear;
            }
            Op::Load if inst.attr.is_own() => {}
            Op::Load | Op::Store | Op::Rmw | Op::Cas | Op::Helper => {
                if let Monitor::Held(_, accessed) = &mut monitor {
                    *accessed = true;
                }
            }
            _ => {}
        }
    }
    if let Monitor::Held(from, _) = monitor
        && counts_loads
    {
        note(from);
    }
    let pos = found? as u32;
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
