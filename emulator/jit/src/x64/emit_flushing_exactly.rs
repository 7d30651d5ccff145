//! Arithmetic in an environment that flushes subnormal numbers, once the guest looks at its flags.
//!
//! What the host raises when it flushes is not what Arm does: a flag of its own for operands, and underflow alone for results. So the
//! host's control register is set not to flush, and each operation looks at what it is given and what it makes. Cold code makes
//! subnormal operands zero before the operation, and sums behind it, which are exact where they are subnormal. Of products, quotients
//! and conversions the host may have raised inexact by then: its flags of before are put back, and the definition is asked.

use std::mem::offset_of;

use ir::GuestState;
use ir::Ty;
use ir::inst::{Inst, Op};
use ir::softfloat::flag;
use smallvec::SmallVec;

use super::Xmm;
use super::asm::{Alu, Label, cc};
use super::emit_vector::every;
use super::float_checks::Step;
use super::generator::{Gen, SCRATCH_XMM};
use crate::thread_state::ThreadState;

/// Cold code for numbers that are to be flushed.
#[derive(Clone, Debug)]
pub(super) struct Flush {
    label: Label,
    back: Label,
    temp: Xmm,
    what: What,
}

#[derive(Clone, Debug)]
enum What {
    /// The number in the register, for which a flag is raised.
    Number(Xmm, u32),
    /// A result, which is right if one of the operands is zero, and else made again.
    Result(Given),
}

/// What a result was made of.
#[derive(Clone, Debug)]
struct Given {
    numbers: Numbers,
    operands: SmallVec<[Xmm; 2]>,
    /// Where its flags are forgotten, and it is made again.
    again: Label,
    redo: Label,
}

/// Numbers of `lane` bits in as many bits as the type has.
#[derive(Clone, Copy, Debug)]
struct Numbers {
    lane: u32,
    ty: Ty,
}

impl Numbers {
    fn each(self, value: u64) -> u128 {
        every(self.lane, value) & self.ty.mask()
    }

    fn magnitudes(self) -> u128 {
        self.each(u64::MAX >> (65 - self.lane))
    }

    fn least_normal(self) -> u128 {
        self.each(if self.lane == 32 { 1 << 23 } else { 1 << 52 })
    }
}

impl Gen<'_> {
    /// Operand `k` in a vector register; flushed, in one of its own, if the environment does that.
    pub(super) fn float_operand(&mut self, inst: &Inst, k: usize) -> Xmm {
        let x = self.use_xmm(self.arg(k));
        self.flushed(inst, k, x)
    }

    /// The same for an operand that is in a register.
    pub(super) fn flushed(&mut self, inst: &Inst, k: usize, x: Xmm) -> Xmm {
        let given = self.given(inst, k);
        if !self.an.flushes(inst) || matches!(inst.op, Op::Stof | Op::Utof) || !matches!(given.lane, 32 | 64) {
            return x;
        }
        let copy = self.temp_xmm();
        self.asm.mov_xx(copy, x);
        self.flush(given, copy, flag::DENORMAL);
        copy
    }

    /// What operand `k` has.
    fn given(&self, inst: &Inst, k: usize) -> Numbers {
        let ty = self.arg_ty(k);
        Numbers { lane: if inst.op == Op::Fcvt { ty.bits() } else { inst.attr.lane() }, ty }
    }

    /// Flushes a sum, which is exact if it is subnormal. Roots never are.
    pub(super) fn flush_sum(&mut self, inst: &Inst, d: Xmm) {
        if self.an.flushes(inst) && matches!(inst.op, Op::Fadd | Op::Fsub) {
            self.flush(Numbers { lane: inst.attr.lane(), ty: inst.ty }, d, flag::UNDERFLOW);
        }
    }

    fn flush(&mut self, numbers: Numbers, x: Xmm, raises: u32) {
        let (temp, label, back) = (self.temp_xmm(), self.asm.label(), self.asm.label());
        self.subnormals(numbers, x, temp);
        self.asm.vex_rr(2, 1, 4, PTEST, SCRATCH_XMM, 0, temp);
        self.asm.jcc(cc::NE, label);
        self.asm.bind(back);
        self.flushes.push(Flush { label, back, temp, what: What::Number(x, raises) });
    }

    /// Magnitudes in the scratch register; in the other, ones where they are less than the least normal number.
    fn subnormals(&mut self, numbers: Numbers, x: Xmm, temp: Xmm) {
        self.asm.vex_pool(1, 0, 0x54, SCRATCH_XMM, x, numbers.magnitudes(), &[]); // vandps
        self.asm.const_xmm(temp, numbers.least_normal());
        self.greater(numbers.lane, temp, SCRATCH_XMM);
    }

    /// `d` = ones where its lanes are greater, as signed integers.
    fn greater(&mut self, lane: u32, d: Xmm, x: Xmm) {
        let (map, opcode) = if lane == 32 { (1, 0x66) } else { (2, 0x37) };
        self.asm.vex_rr(map, 1, 4, opcode, d, d, x); // vpcmpgtd, vpcmpgtq
    }

    /// Keeps the host's flags, before an operation that may raise too many.
    pub(super) fn keep_host_flags(&mut self, inst: &Inst) {
        if self.an.flushes(inst) && self.rounds_up_to_normal(inst) {
            self.asm.op_rm(4, 0x0fae, 3, Self::field(offset_of!(ThreadState, mxcsr_temp))); // stmxcsr
        }
    }

    /// What may have to be flushed, and what is not a number, is made again.
    pub(super) fn check_flushed(&mut self, inst: &Inst, step: Step, d: Xmm) {
        let lane = step.lane();
        let numbers = Numbers { lane, ty: super::analysis::result_ty(inst) };
        let (temp, label, back) = (self.temp_xmm(), self.asm.label(), self.asm.label());
        let unordered = (numbers.ty.bits() != lane).then(|| self.temp_gpr());
        let factors = if matches!(inst.op, Op::Fmul | Op::Fma) { 2 } else { 1 };
        let operands = step.operands[..factors].iter().copied().collect();
        // A number that is none has raised nothing that is to be forgotten.
        let known = (unordered.is_none() && self.knows_nan(inst)).then(|| self.redo(Step { known: true, ..step }));
        let (redo, done) = self.redo(step);
        let given = Given { numbers: self.given(inst, 0), operands, again: self.asm.label(), redo };
        if let Some(t) = unordered {
            self.vex(u8::from(lane == 64), 0xc2, SCRATCH_XMM, d, d); // vcmpunordps
            self.asm.byte(3);
            self.branch_on_lanes(lane, t, given.again);
        } else {
            self.unordered_compare(lane, false, d, d);
            self.asm.jcc(cc::P, known.map_or(given.again, |(nan, _)| nan));
        }
        self.asm.vex_pool(1, 0, 0x54, SCRATCH_XMM, d, numbers.magnitudes(), &[]); // vandps
        let add = if lane == 32 { 0xfe } else { 0xd4 };
        self.asm.vex_pool(1, 1, add, SCRATCH_XMM, SCRATCH_XMM, numbers.each(u64::MAX >> (64 - lane)), &[]); // vpaddd
        self.asm.const_xmm(temp, numbers.least_normal());
        self.greater(lane, temp, SCRATCH_XMM);
        self.asm.vex_rr(2, 1, 4, PTEST, temp, 0, temp);
        self.asm.jcc(cc::NE, label);
        for end in [Some(back), Some(done), known.map(|(_, end)| end)].into_iter().flatten() {
            self.asm.bind(end);
        }
        self.flushes.push(Flush { label, back, temp, what: What::Result(given) });
    }

    /// Emits the cold code of all such numbers.
    pub(super) fn emit_flushes(&mut self) {
        for flush in std::mem::take(&mut self.flushes) {
            self.asm.bind(flush.label);
            match flush.what {
                What::Number(x, raises) => {
                    self.asm.vex_rr(1, 0, 4, 0x54, SCRATCH_XMM, SCRATCH_XMM, flush.temp); // vandps
                    self.asm.vex_rr(1, 0, 4, 0x57, x, x, SCRATCH_XMM); // vxorps
                    let soft = Self::field(offset_of!(ThreadState, guest) + offset_of!(GuestState, fflags));
                    self.asm.alu_mi(Alu::Or, 4, soft, raises as i32);
                }
                What::Result(given) => {
                    self.except_zeros(given.numbers, &given.operands, flush.temp);
                    self.asm.jcc(cc::E, flush.back);
                    self.asm.bind(given.again);
                    self.asm.op_rm(4, 0x0fae, 2, Self::field(offset_of!(ThreadState, mxcsr_temp))); // ldmxcsr
                    self.asm.jmp(given.redo);
                    continue;
                }
            }
            self.asm.jmp(flush.back);
        }
    }

    /// Takes from the lanes in `mask` those in which one of the operands is zero, and tests what is left.
    fn except_zeros(&mut self, numbers: Numbers, operands: &[Xmm], mask: Xmm) {
        let (map, equal) = if numbers.lane == 32 { (1, 0x76) } else { (2, 0x29) };
        for &x in operands {
            self.asm.vex_pool(1, 0, 0x54, SCRATCH_XMM, x, numbers.magnitudes(), &[]); // vandps
            self.asm.vex_pool(map, 1, equal, SCRATCH_XMM, SCRATCH_XMM, 0, &[]); // vpcmpeqd
            self.asm.vex_rr(1, 0, 4, 0x55, mask, SCRATCH_XMM, mask); // vandnps
        }
        self.asm.vex_rr(2, 1, 4, PTEST, mask, 0, mask);
    }
}

/// Of opcode map 2.
const PTEST: u8 = 0x17;
