//! The floating-point control register of generated code.

use ir::Guest;
use ir::guest::FpMode;

use crate::thread_state::{Control, ThreadState};
use crate::x64::{host_mode, invalid, rounding_field};

/// How floating-point operations are translated. Does not change while any thread is inside generated code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Policies {
    /// Invalid operations trap, where that is of use.
    pub(super) traps: bool,
    /// The guest looks at its flags.
    pub(super) exact: bool,
}

/// All exceptions masked, round to nearest.
const DEFAULT: u32 = 0x1f80;
/// Invalid operations raise no exception.
pub(super) const INVALID_MASKED: u32 = 1 << 7;
/// Sticky flags, in the order of the `fflags` operation.
pub(super) const FLAGS: u32 = 0x3f;
/// The host's denormal-operand flag: it is set without flushing too, when guests' is not.
const DENORMAL: u32 = 1 << 1;
const DENORMALS_ARE_ZERO: u32 = 1 << 6;
const FLUSH_TO_ZERO: u32 = 1 << 15;

/// Control bits for a guest's floating-point mode. `trap`: invalid operations are to trap.
fn control(mode: FpMode, trap: bool) -> u32 {
    let inputs = if mode.flush_inputs { DENORMALS_ARE_ZERO } else { 0 };
    let results = if mode.flush_results { FLUSH_TO_ZERO } else { 0 };
    let masks = if trap { DEFAULT & !INVALID_MASKED } else { DEFAULT };
    masks | rounding_field(mode.round) << 13 | inputs | results
}

/// Bits for generated code of `mode`.
fn control_of(guest: &Guest, mode: u32, policies: Policies) -> u32 {
    let mode = host_mode(guest, mode, policies.exact);
    control(mode, policies.traps && invalid::worth_trapping(guest, mode))
}

/// Whether generated code of `mode` may run with the control register that `state` has.
pub(super) fn matches(guest: &Guest, state: &ThreadState, mode: u32, policies: Policies) -> bool {
    state.mxcsr_guest & !FLAGS == control_of(guest, mode, policies)
}

/// Sets the control register for the state's mode; generated code that comes to the mode does the same from here on. `before`: the
/// policies of the last time.
pub(super) fn prepare(guest: &Guest, state: &mut ThreadState, policies: Policies, before: &mut Option<Policies>) {
    if before.replace(policies) != Some(policies) {
        state.controls = Control::none();
    }
    let mode = state.guest.mode;
    let known = &mut state.controls[Control::place(mode)];
    if known.mode != mode {
        *known = Control { mode, mxcsr: control_of(guest, mode, policies) };
    }
    state.mxcsr_guest = known.mxcsr | state.mxcsr_guest & FLAGS;
}

/// Moves the sticky flags of host operations to the guest state.
pub(super) fn collect_flags(state: &mut ThreadState) {
    state.guest.fflags |= state.mxcsr_guest & FLAGS & !DENORMAL;
    state.mxcsr_guest &= !FLAGS;
}

#[cfg(test)]
mod tests {
    use ir::inst::Round;

    use super::*;

    #[test]
    fn control_bits_follow_the_mode() {
        let mode = FpMode { round: Round::Even, flush_inputs: false, flush_results: false, default_nan: false };
        assert_eq!(control(mode, false), 0x1f80);
        assert_eq!(control(mode, true), 0x1f00);
        assert_eq!(control(FpMode { round: Round::Zero, ..mode }, false), 0x7f80);
        assert_eq!(
            control(FpMode { round: Round::Up, flush_inputs: true, flush_results: true, ..mode }, false),
            0xdfc0
        );
    }
}
