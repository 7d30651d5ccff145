//! Arithmetic whose results need no check, because where the host's differ from the guest's the host says so.
//!
//! With quiet NaNs as operands, the host returns the first of them, as Arm does. All else that is not a number comes of an
//! invalid operation, or has a signalling NaN as an operand: for the host that is an invalid operation, too. So while this
//! exception is unmasked, sums, products, quotients and roots are right unless they trap; whoever handles the trap puts in
//! the result that the definition gives ([`crate::t1`]). Fused operations prefer other operands than the host's and are
//! checked, as are environments of their own. For x86 guests the host is right even so.

use ir::guest::{FpMode, Guest, NanRule};
use ir::inst::{Attr, Inst, Op, Round};
use ir::softfloat::FpEnv;
use ir::{Ty, eval};

use super::generator::Gen;

/// Whether invalid operations are to trap while code of this mode runs.
pub(crate) fn worth_trapping(guest: &Guest, mode: FpMode) -> bool {
    guest.fp.nan == NanRule::SignallingFirst
        && !mode.default_nan
        && !mode.flush_inputs
        && !mode.flush_results
        && mode.round != Round::Away
}

impl Gen<'_> {
    /// Whether the result of the operation, on operands that have been checked themselves, needs no check.
    pub(super) fn needs_no_check(&self, inst: &Inst) -> bool {
        let arithmetic = matches!(inst.op, Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt);
        let Some(mode) = self.an.environments.first().copied().flatten() else { return false };
        arithmetic
            && inst.attr.environment() == 0
            && self.same_nan(mode)
            && self.on_host(inst)
            && !self.rounds_up_to_normal(inst)
            && !self.unchecked.iter().any(|u| (0..2).any(|k| self.has_arg(k) && u.makes(self.arg(k))))
    }

    fn same_nan(&self, mode: FpMode) -> bool {
        match self.guest.fp.nan {
            NanRule::Canonical => false,
            NanRule::FirstOperand => self.guest.fp.default_nan_negative && !mode.default_nan,
            NanRule::SignallingFirst => self.traps_invalid && worth_trapping(self.guest, mode),
        }
    }
}

/// An instruction of such arithmetic.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Arithmetic {
    op: Op,
    lane: u32,
    scalar: bool,
    /// Result and operands, as vector registers. Of a scalar root the first one is where the upper part comes from.
    registers: [u8; 3],
}

/// Bytes of such an instruction.
pub(crate) const ARITHMETIC_LEN: usize = 5;

impl Arithmetic {
    /// Reads one, on registers alone.
    pub(crate) fn read(code: [u8; ARITHMETIC_LEN]) -> Option<Arithmetic> {
        let [0xc4, b1, b2, opcode, modrm] = code else { return None };
        let op = match opcode {
            0x58 => Op::Fadd,
            0x5c => Op::Fsub,
            0x59 => Op::Fmul,
            0x5e => Op::Fdiv,
            0x51 => Op::Fsqrt,
            _ => return None,
        };
        let (map, long) = (b1 & 31, b2 & 4 != 0);
        if map != 1 || long || modrm >> 6 != 3 {
            return None;
        }
        let reg = modrm >> 3 & 7 | (!b1 >> 7 & 1) << 3;
        let rm = modrm & 7 | (!b1 >> 5 & 1) << 3;
        let lane = if b2 & 1 == 0 { 32 } else { 64 };
        Some(Arithmetic { op, lane, scalar: b2 & 2 != 0, registers: [reg, !b2 >> 3 & 15, rm] })
    }

    /// Does it by its definition, in the usual environment of the mode; returns the flags that it raises.
    pub(crate) fn evaluate(self, guest: &Guest, mode: u32, xmm: &mut [u128; 16]) -> u32 {
        let [d, a, b] = self.registers.map(usize::from);
        let ty = match (self.scalar, self.lane) {
            (false, _) => Ty::I128,
            (true, 32) => Ty::I32,
            (true, _) => Ty::I64,
        };
        let mask = ty.mask();
        let args = if self.op == Op::Fsqrt { [xmm[b] & mask, 0, 0] } else { [xmm[a] & mask, xmm[b] & mask, 0] };
        let mut fp = FpEnv { mode: (guest.fp_mode)(mode), policy: guest.fp, flags: 0 };
        let result = eval::eval(self.op, ty, ty, Attr(0).with_lane(self.lane), args, &mut fp);
        xmm[d] = xmm[a] & !mask | result & mask;
        fp.flags
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::x64::asm::Asm;

    #[test]
    fn arithmetic_is_read_as_it_is_written() {
        let ops = [(0x58, Op::Fadd), (0x5c, Op::Fsub), (0x59, Op::Fmul), (0x5e, Op::Fdiv), (0x51, Op::Fsqrt)];
        for (opcode, op) in ops {
            for (pp, lane, scalar) in [(0, 32, false), (1, 64, false), (2, 32, true), (3, 64, true)] {
                for registers in [[0, 1, 2], [15, 8, 7], [3, 14, 9]] {
                    let mut asm = Asm::default();
                    asm.vex_rr(1, pp, 4, opcode, registers[0], registers[1], registers[2]);
                    let read = Arithmetic::read(asm.code[..].try_into().expect("five bytes"));
                    assert_eq!(read, Some(Arithmetic { op, lane, scalar, registers }));
                }
            }
        }
        // vucomisd, vfmadd231sd, a conversion, and one on 256 bits
        for code in [
            [0xc4, 0xe1, 0x79, 0x2e, 0xc1],
            [0xc4, 0xe2, 0xf1, 0xb9, 0xc2],
            [0xc4, 0xe1, 0xfb, 0x2c, 0xc0],
            [0xc4, 0xe1, 0x74, 0x58, 0xc2],
        ] {
            assert_eq!(Arithmetic::read(code), None);
        }
    }
}
