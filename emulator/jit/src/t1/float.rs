//! The floating-point control register of generated code.

use ir::Guest;
use ir::guest::FpMode;
use ir::inst::Round;

use crate::thread_state::ThreadState;

/// All exceptions masked, round to nearest.
const DEFAULT: u32 = 0x1f80;
/// Sticky flags, in the order of the `fflags` operation.
pub(super) const FLAGS: u32 = 0x3f;
/// The host's denormal-operand flag: it is set without flushing too, when guests' is not.
const DENORMAL: u32 = 1 << 1;
const DENORMALS_ARE_ZERO: u32 = 1 << 6;
const FLUSH_TO_ZERO: u32 = 1 << 15;

/// Control bits for a guest's floating-point mode. Rounding to nearest, ties away, is not the host's: generated code does
/// it operation by operation.
fn control(mode: FpMode) -> u32 {
    let round = match mode.round {
        Round::Mode | Round::Even | Round::Away => 0,
        Round::Down => 1,
        Round::Up => 2,
        Round::Zero => 3,
    };
    let inputs = if mode.flush_inputs { DENORMALS_ARE_ZERO } else { 0 };
    let results = if mode.flush_results { FLUSH_TO_ZERO } else { 0 };
    DEFAULT | round << 13 | inputs | results
}

/// Whether generated code of `mode` may run with the control register that `state` has.
pub(super) fn matches(guest: &Guest, state: &ThreadState, mode: u32) -> bool {
    state.mxcsr_guest & !FLAGS == control((guest.fp_mode)(mode))
}

/// Sets the control register for the state's mode.
pub(super) fn prepare(guest: &Guest, state: &mut ThreadState) {
    state.mxcsr_guest = control((guest.fp_mode)(state.guest.mode)) | state.mxcsr_guest & FLAGS;
}

/// Moves the sticky flags of host operations to the guest state.
pub(super) fn collect_flags(state: &mut ThreadState) {
    state.guest.fflags |= state.mxcsr_guest & FLAGS & !DENORMAL;
    state.mxcsr_guest &= !FLAGS;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_bits_follow_the_mode() {
        let mode = FpMode { round: Round::Even, flush_inputs: false, flush_results: false, default_nan: false };
        assert_eq!(control(mode), 0x1f80);
        assert_eq!(control(FpMode { round: Round::Zero, ..mode }), 0x7f80);
        assert_eq!(control(FpMode { round: Round::Up, flush_inputs: true, flush_results: true, ..mode }), 0xdfc0);
    }
}
