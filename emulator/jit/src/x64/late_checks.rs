//! Results that are still to be checked when a load between faults: whoever completes the guest state then does the operations
//! again, from registers as they are.

use ir::inst::Attr;
use ir::{Guest, Ty};

use super::asm::cc;
use super::boxes::{ABOVE, boxed};
use super::fault_table::HostRegs;
use super::float_checks::{Step, Target, default_nan};
use super::generator::{Gen, NONE};
use super::{float_conditions, generic};
use crate::numbers::{read_number, write_number};
use crate::thread_state::ThreadState;

/// An operation of [`Step`], as it is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Repeat {
    desc: u32,
    attr: u32,
    operands: [u8; 3],
    negated: u8,
    result: u8,
    boxed: bool,
    /// Only what is not a number is made again.
    canonical: bool,
}

impl Repeat {
    /// Writes it: what is done, and a byte each of where.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        write_number(out, self.desc.into());
        write_number(out, self.attr.into());
        out.extend(self.operands);
        out.extend([self.result, self.negated | u8::from(self.boxed) << 6 | u8::from(self.canonical) << 7]);
    }

    /// Reads what [`Repeat::write`] has written.
    pub(super) fn read(stream: &mut &[u8]) -> Repeat {
        let (desc, attr) = (read_number(stream) as u32, read_number(stream) as u32);
        let bytes = stream.split_off(..5).and_then(|bytes| bytes.try_into().ok());
        let [a, b, c, result, how]: [u8; 5] = bytes.unwrap_or_default();
        let (negated, boxed, canonical) = (how & 7, how & 1 << 6 != 0, how & 1 << 7 != 0);
        Repeat { desc, attr, operands: [a, b, c], negated, result: result & 15, boxed, canonical }
    }

    /// Makes the result what it is by the definition.
    pub(super) fn apply(&self, guest: &Guest, regs: &mut HostRegs, thread: &mut ThreadState) {
        let lane = Attr(self.attr).lane();
        let result = &mut regs.xmm[usize::from(self.result)];
        if self.canonical {
            let nan = default_nan(guest, lane);
            if self.boxed && is_nan(lane, *result as u64) {
                *result = boxed(nan).into();
                return;
            }
            for at in (0..generic::result(self.desc.into()).bits()).step_by(lane as usize) {
                if is_nan(lane, (*result >> at) as u64) {
                    let every = Ty::I128.mask() >> (128 - lane);
                    *result = *result & !(every << at) | u128::from(nan) << at;
                }
            }
            return;
        }
        let signs = (1..=128 / lane).fold(0u128, |all, n| all | 1 << (n * lane - 1));
        for (k, &x) in self.operands.iter().enumerate().filter(|(_, x)| **x != NONE) {
            let negated = if self.negated & 1 << k != 0 { signs } else { 0 };
            thread.scratch[k] = regs.xmm[usize::from(x & 15)] ^ negated;
        }
        // SAFETY: the block of the running thread, whose generated code waits.
        unsafe { generic::evaluate(thread, self.desc.into(), self.attr.into()) };
        let made = thread.scratch[0];
        regs.xmm[usize::from(self.result)] = if self.boxed { made | ABOVE } else { made };
    }
}

fn is_nan(lane: u32, number: u64) -> bool {
    let order = match lane {
        32 => f32::from_bits(number as u32).partial_cmp(&0.0),
        _ => f64::from_bits(number).partial_cmp(&0.0),
    };
    float_conditions::holds(cc::P, order)
}

impl Gen<'_> {
    /// The operations whose results are to be checked later than the point under construction.
    pub(super) fn record_unchecked(&mut self) {
        if self.unchecked.is_empty() {
            return;
        }
        let repeat = |step: &Step| {
            let Target::Xmm(result) = step.result else { unreachable!("checked later: in a vector register") };
            let Step { desc, attr, operands, negated, nan, .. } = *step;
            let boxed = self.is_boxed(step.value);
            Repeat { desc: desc as u32, attr, operands, negated, result, boxed, canonical: nan.is_some() }
        };
        let all = self.unchecked.iter().map(|u| repeat(u.step())).collect();
        self.recorder.unchecked(all);
    }
}
