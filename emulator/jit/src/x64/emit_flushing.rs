//! Lanes of single precision in an environment that flushes subnormal numbers, while the host's control register is set for one
//! that does not: Advanced SIMD of 32-bit Arm, whatever FPSCR says.
//!
//! The host does the operation. Where an operand is subnormal, or the result may be, or is not a number, cold code does it again by
//! its definition. In sums, subnormal operands are seen by the result alone: to one of 2^-100 or more they add less than half of its last
//! place. Zeros, which are everywhere, are no reason. The host raises inexact for what it computed with subnormal numbers, so
//! once the guest looks at its flags it is done another way ([`super::emit_flushing_exactly`]).

use ir::guest::Tininess;
use ir::inst::{Inst, Op, Round};

use super::emit_vector::every;
use super::float_checks::Target;
use super::generator::{Gen, SCRATCH_XMM};
use super::{Gpr, Xmm};

/// Magnitudes, as twice their bits less one, up to which operands and results are looked at more closely: the least normal number,
/// and 2^-100.
const LEAST: u32 = 2 * 0x0080_0000 - 1;
const SMALL_SUM: u32 = 2 * (27 << 23) - 1;

/// What a check needs: registers for itself, allocated before anything branches.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room {
    pub(super) t: Gpr,
    pub(super) least: Xmm,
}

impl Gen<'_> {
    /// Emits an operation of such an environment; false if it is left to its definition.
    pub(super) fn emit_flushing(&mut self, inst: &Inst) -> bool {
        if !self.flushes_silently(inst) || inst.attr.lane() != 32 || inst.ty.bits() < 64 {
            return false;
        }
        let in_mode = matches!(inst.attr.round(), Round::Mode | Round::Even);
        match inst.op {
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt if in_mode => self.flushing_arithmetic(inst),
            Op::Fma if in_mode && self.an.fuses => self.flushing_arithmetic(inst),
            Op::Vfcmp => self.flushing_masks(inst),
            Op::Stof | Op::Utof | Op::Ftos | Op::Ftou => {
                let done = self.emit_float_lanes(inst, in_mode);
                self.box_result();
                return done;
            }
            _ => return self.emit_flushing_extremum(inst),
        }
        true
    }

    /// Whether the environment flushes and rounds to nearest, and the host, which does not flush, rounds to nearest too.
    fn flushes_silently(&self, inst: &Inst) -> bool {
        let [usual, own] = [0, inst.attr.environment()].map(|n| self.guest.fp_environment(n, self.unit.key.mode));
        let host = self.an.environments.first().is_some_and(Option::is_some);
        host && self.guest.fp.tininess == Tininess::Before
            && !usual.flush_inputs
            && !usual.flush_results
            && usual.round == Round::Even
            && own.round == Round::Even
            && own.flush_inputs
            && own.flush_results
    }

    fn flushing_arithmetic(&mut self, inst: &Inst) {
        let n = match inst.op {
            Op::Fsqrt => 1,
            Op::Fma => 3,
            _ => 2,
        };
        let x = self.lane_operands(n);
        let d = self.def_apart(&x);
        let room = self.room();
        let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
        match inst.op {
            Op::Fadd => self.vex(0, 0x58, d, x[0], x[1]),
            Op::Fsub => self.vex(0, 0x5c, d, x[0], x[1]),
            Op::Fmul => self.vex(0, 0x59, d, x[0], x[1]),
            Op::Fdiv => {
                let divisor = self.divisor(inst, x[1]);
                self.vex(0, 0x5e, d, x[0], divisor);
            }
            Op::Fsqrt => self.vex(0, 0x51, d, 0, x[0]),
            _ => {
                self.asm.mov_xx(d, x[2]);
                self.asm.vex_rr(2, 1, 4, 0xb8, d, x[0], x[1]); // vfmadd231ps
            }
        }
        if matches!(inst.op, Op::Fadd | Op::Fsub) {
            self.smaller(&[d], SMALL_SUM, room);
        } else {
            let all: Vec<Xmm> = x.iter().copied().chain([d]).collect();
            self.smaller(&all, LEAST, room);
        }
        self.vex(0, 0xc2, room.least, d, d); // vcmpunordps
        self.asm.byte(3);
        self.vex(0, 0x56, SCRATCH_XMM, SCRATCH_XMM, room.least); // vorps
        self.branch_on_lanes(32, room.t, label);
        self.asm.bind(back);
    }

    fn flushing_masks(&mut self, inst: &Inst) {
        let x = self.lane_operands(2);
        let d = self.def_apart(&x);
        let room = self.room();
        let (label, back) = self.redo(self.step(inst, &x, Target::Xmm(d)));
        self.smaller(&x, LEAST, room);
        self.branch_on_lanes(32, room.t, label);
        self.compare_lanes(inst, d, [x[0], x[1]]);
        self.asm.bind(back);
    }

    /// Minima and maxima of lanes where operands are flushed, which the host does not do with what it returns; false for others.
    pub(super) fn emit_flushing_extremum(&mut self, inst: &Inst) -> bool {
        if !matches!(inst.op, Op::Fmin | Op::Fmax) || inst.attr.lane() != 32 || inst.ty.bits() < 64 {
            return false;
        }
        let x = self.lane_operands(2);
        let d = self.def_apart(&x);
        let (room, temp) = (self.room(), self.temp_xmm());
        let (label, back) = self.unordered(inst, ([x[0], x[1]], d), temp, Some(room));
        self.smaller(&x, LEAST, room);
        self.vex(0, 0xc2, room.least, x[0], x[1]); // vcmpunordps
        self.asm.byte(3);
        self.vex(0, 0x56, SCRATCH_XMM, SCRATCH_XMM, room.least); // vorps
        self.branch_on_lanes(32, room.t, label);
        self.extremum_of_numbers(inst, d, [x[0], x[1]]);
        self.asm.bind(back);
        true
    }

    fn room(&mut self) -> Room {
        Room { t: self.temp_gpr(), least: self.temp_xmm() }
    }

    /// All ones in the lanes of the scratch register where an operand is to be flushed.
    pub(super) fn smaller_operands(&mut self, operands: &[Xmm], room: Room) {
        self.smaller(operands, LEAST, room);
    }

    /// All ones in the lanes of the scratch register where one of the numbers is no zero, but of a magnitude up to `limit`.
    fn smaller(&mut self, numbers: &[Xmm], limit: u32, room: Room) {
        for (k, &x) in numbers.iter().enumerate() {
            let t = if k == 0 { room.least } else { SCRATCH_XMM };
            self.asm.vex_rr(1, 1, 4, 0xfe, t, x, x); // vpaddd
            self.asm.op_pool(PADDD, t, u128::MAX, &[]);
            if k != 0 {
                self.asm.vex_rr(2, 1, 4, PMINUD, room.least, room.least, t);
            }
        }
        self.asm.const_xmm(SCRATCH_XMM, every(32, limit.into()));
        self.asm.vex_rr(2, 1, 4, PMINUD, SCRATCH_XMM, SCRATCH_XMM, room.least);
        self.asm.vex_rr(1, 1, 4, 0x76, SCRATCH_XMM, SCRATCH_XMM, room.least); // vpcmpeqd
    }
}

const PADDD: u32 = 0x0ffe;
/// Of opcode map 2.
const PMINUD: u8 = 0x3b;
