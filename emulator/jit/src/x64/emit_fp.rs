//! Floating point on the host's unit.
//!
//! Finite results and infinities are the same everywhere. What is not goes to cold code, which evaluates the operation by
//! its definition: a NaN result (which NaN is the guest's policy), conversions out of range, minima of unordered operands.
//! Cold code needs the operands intact, so results never share a register with them. The host raises the same sticky flags
//! in MXCSR that the definition would, so doing an operation twice raises nothing new. One exception: the host detects
//! underflow after rounding. Where the guest does it before, cold code raises the flag for results that were rounded up to the
//! smallest normal number, once the guest looks at its flags ([`super::Compiler`]).
//!
//! Rounding: `mxcsr_guest` has the mode of the unit; an operation that names another is left to the interpreter's
//! definition, as is everything while subnormals are flushed.

use ir::Ty;
use ir::guest::Tininess;
use ir::inst::{FCmp, Inst, Op, Round};

use super::analysis::result_ty;
use super::asm::{Alu, Label, RDX, RSI, cc};
use super::generator::{Gen, NONE, SCRATCH_XMM};
use super::{Gpr, StubId, Xmm, generic};

/// An operation to be done again by its definition.
#[derive(Clone, Copy, Debug)]
pub(super) struct Redo {
    label: Label,
    back: Label,
    /// What [`generic::evaluate`] is told.
    desc: u64,
    attr: u32,
    /// Registers of the operands, [`NONE`] when absent; the first may be a general one.
    operands: [u8; 3],
    first_general: bool,
    /// Result register.
    result: Target,
}

#[derive(Clone, Copy, Debug)]
enum Target {
    Gpr(Gpr),
    Xmm(Xmm),
}

/// Integral values on the host: rounding field of `roundsd`.
fn host_round(r: Round) -> Option<u8> {
    match r {
        Round::Mode => Some(4),
        Round::Even => Some(0),
        Round::Down => Some(1),
        Round::Up => Some(2),
        Round::Zero => Some(3),
        Round::Away => None,
    }
}

const PARITY: u8 = 10;

impl Gen<'_> {
    /// Emits a floating-point operation; false if it is left to its definition.
    pub(super) fn emit_float(&mut self, inst: &Inst) -> bool {
        let usual = (self.guest.fp_mode)(self.unit.key.mode);
        let mode = self.guest.fp_environment(inst.attr.environment(), self.unit.key.mode);
        // The host's control register is set for the usual environment.
        if !self.features.avx || mode != usual || mode.flush_inputs || mode.flush_results || mode.round == Round::Away {
            return false;
        }
        let lane = inst.attr.lane();
        let round = inst.attr.round();
        let in_mode = round == Round::Mode || round == mode.round;
        let format = |bits: u32| bits == 32 || bits == 64;
        let scalar = inst.ty.bits() == lane;
        match inst.op {
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::Fma if format(lane) && in_mode => {
                if scalar {
                    self.emit_scalar(inst)
                } else {
                    self.emit_packed(inst)
                }
            }
            Op::Fmin | Op::Fmax if scalar && format(lane) => self.emit_extremum(inst),
            Op::Fcmp if format(lane) => self.emit_compare_floats(inst),
            Op::Fround if scalar && format(lane) => self.emit_round(inst),
            Op::Fcvt if in_mode => self.emit_convert(inst),
            Op::Stof | Op::Utof if scalar && format(lane) && in_mode => self.emit_from_integer(inst),
            Op::Ftos | Op::Ftou
                if format(lane)
                    && self.arg_ty(0).bits() == lane
                    && inst.ty.bits() >= 32
                    && (round == Round::Zero || in_mode) =>
            {
                self.emit_to_integer(inst, round)
            }
            _ => false,
        }
    }

    /// VEX instruction on vector registers: F3/F2 scalar or 66/none packed by `pp`, opcode map 1.
    fn vex(&mut self, pp: u8, opcode: u8, d: Xmm, a: Xmm, b: Xmm) {
        self.asm.vex_rr(1, pp, 4, opcode, d, a, b);
    }

    /// Prefix of a scalar operation: F3 single, F2 double.
    fn scalar_prefix(bits: u32) -> u8 {
        if bits == 32 { 2 } else { 3 }
    }

    /// `ucomis a, b` (or `comis`, which raises invalid on quiet NaNs too).
    fn unordered_compare(&mut self, bits: u32, signalling: bool, a: Xmm, b: Xmm) {
        self.vex(u8::from(bits == 64), if signalling { 0x2f } else { 0x2e }, a, 0, b);
    }

    // ------------------------------------------------------------------ cold code
    /// Registers the operation for cold code; the caller branches to the first label and binds the second.
    fn redo(&mut self, inst: &Inst, operands: &[u8], first_general: bool, result: Target) -> (Label, Label) {
        let (label, back) = (self.asm.label(), self.asm.label());
        let mut types = [Ty::I1; 3];
        let mut regs = [NONE; 3];
        for (k, &r) in operands.iter().enumerate() {
            types[k] = self.arg_ty(k);
            regs[k] = r;
        }
        let desc = generic::describe(inst, types);
        self.redos.push(Redo { label, back, desc, attr: inst.attr.0, operands: regs, first_general, result });
        (label, back)
    }

    /// Emits the cold code of all such operations.
    pub(super) fn emit_redos(&mut self) {
        for redo in std::mem::take(&mut self.redos) {
            self.asm.bind(redo.label);
            // The stub preserves all registers but these two.
            let (rsi, rdx) = (Self::scratch(6), Self::scratch(7));
            self.asm.store(8, rsi, RSI);
            self.asm.store(8, rdx, RDX);
            for (k, &r) in redo.operands.iter().enumerate() {
                match r {
                    NONE => {}
                    r if k == 0 && redo.first_general => self.asm.store(8, Self::scratch(k), r),
                    x => self.asm.store_xmm(16, Self::scratch(k), x),
                }
            }
            self.asm.mov_ri(RSI, redo.desc);
            self.asm.mov_ri(RDX, u64::from(redo.attr));
            self.asm.call_stub(StubId::GenericSaving);
            self.asm.load(8, RSI, rsi);
            self.asm.load(8, RDX, rdx);
            match redo.result {
                Target::Gpr(d) => self.asm.load(8, d, Self::scratch(0)),
                Target::Xmm(d) => self.asm.load_xmm(16, d, Self::scratch(0)),
            }
            self.asm.jmp(redo.back);
        }
    }

    /// Result register apart from the locked operands.
    fn def_apart(&mut self, operands: &[Xmm]) -> Xmm {
        let avoid = operands.iter().fold(0, |m, x| m | 1 << x);
        self.def_xmm(avoid)
    }

    fn operands_in_xmm(&mut self, n: usize) -> Vec<Xmm> {
        (0..n).map(|k| self.use_xmm(self.arg(k))).collect()
    }

    // ------------------------------------------------------------------ arithmetic
    fn opcode_of(op: Op) -> (u8, usize) {
        match op {
            Op::Fadd => (0x58, 2),
            Op::Fsub => (0x5c, 2),
            Op::Fmul => (0x59, 2),
            Op::Fdiv => (0x5e, 2),
            Op::Fsqrt => (0x51, 1),
            _ => (0, 3),
        }
    }

    /// `a * b + c` in `d`, which holds `c`: `vfmadd231`.
    fn fused(&mut self, scalar: bool, bits: u32, d: Xmm, a: Xmm, b: Xmm) {
        self.asm.vex_rr(2, 1, bits / 8, if scalar { 0xb9 } else { 0xb8 }, d, a, b);
    }

    fn emit_scalar(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let pp = Self::scalar_prefix(bits);
        let (opcode, n) = Self::opcode_of(inst.op);
        if n == 3 && !self.features.fma {
            return false;
        }
        let x = self.operands_in_xmm(n);
        let d = self.def_apart(&x);
        match n {
            1 => self.vex(pp, opcode, d, x[0], x[0]),
            2 => self.vex(pp, opcode, d, x[0], x[1]),
            _ => {
                self.asm.mov_xx(d, x[2]);
                self.fused(true, bits, d, x[0], x[1]);
            }
        }
        self.check_scalar(inst, bits, &x, d);
        true
    }

    /// A NaN result is made again, and one that may have underflowed by the guest's rule alone.
    fn check_scalar(&mut self, inst: &Inst, bits: u32, operands: &[Xmm], d: Xmm) {
        let (label, back) = self.redo(inst, operands, false, Target::Xmm(d));
        if self.rounds_up_to_normal(inst) {
            let least = self.magnitude_and_least_normal(bits, d);
            self.unordered_compare(bits, false, SCRATCH_XMM, least);
            self.asm.jcc(cc::E, label); // equal, or unordered
        } else {
            self.unordered_compare(bits, false, d, d);
            self.asm.jcc(PARITY, label);
        }
        self.asm.bind(back);
    }

    /// Whether the result may be tiny before rounding but not after, and the guest calls that underflow while the host does
    /// not. Sums and roots are exact if tiny.
    fn rounds_up_to_normal(&self, inst: &Inst) -> bool {
        let inexact = match inst.op {
            Op::Fmul | Op::Fdiv | Op::Fma => true,
            Op::Fcvt => inst.ty == Ty::I32,
            _ => false,
        };
        self.exact_underflow && self.guest.fp.tininess == Tininess::Before && inexact
    }

    /// The magnitudes of `d` in the scratch register, and the smallest normal number in the lanes of another.
    fn magnitude_and_least_normal(&mut self, bits: u32, d: Xmm) -> Xmm {
        let (sign, fraction) = if bits == 32 { (1 << 31, 23) } else { (1 << 63, 52) };
        let every = |lane: u64| (0..128 / bits).fold(0u128, |all, _| all << (bits % 128) | u128::from(lane));
        let least = self.temp_xmm();
        self.asm.const_xmm(SCRATCH_XMM, every(sign - 1));
        self.vex(0, 0x54, SCRATCH_XMM, SCRATCH_XMM, d); // vandps
        self.asm.const_xmm(least, every(1 << fraction));
        least
    }

    /// All lanes at once. The upper half of a 64-bit vector must not raise flags: it is cleared first.
    fn emit_packed(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let half = inst.ty == Ty::I64;
        let (opcode, n) = Self::opcode_of(inst.op);
        if n == 3 && !self.features.fma || half && inst.op == Op::Fdiv || inst.ty.bits() < 64 {
            return false;
        }
        let mut x = self.operands_in_xmm(n);
        if half {
            for r in &mut x {
                let t = self.temp_xmm();
                self.asm.op_prefixed_rr(0xf3, 4, 0x0f7e, t, *r); // movq
                *r = t;
            }
        }
        let d = self.def_apart(&x);
        let pp = u8::from(bits == 64);
        match n {
            1 => self.vex(pp, opcode, d, 0, x[0]),
            2 => self.vex(pp, opcode, d, x[0], x[1]),
            _ => {
                self.asm.mov_xx(d, x[2]);
                self.fused(false, bits, d, x[0], x[1]);
            }
        }
        if self.rounds_up_to_normal(inst) {
            // Any lane equal to the smallest normal number, or unordered?
            let least = self.magnitude_and_least_normal(bits, d);
            self.vex(pp, 0xc2, SCRATCH_XMM, SCRATCH_XMM, least);
            self.asm.byte(8);
        } else {
            // Any lane unordered with itself?
            self.vex(pp, 0xc2, SCRATCH_XMM, d, d);
            self.asm.byte(3);
        }
        let t = self.temp_gpr();
        self.vex(pp, 0x50, t, 0, SCRATCH_XMM); // vmovmskps
        self.asm.test_rr(4, t, t);
        let (label, back) = self.redo(inst, &x, false, Target::Xmm(d));
        self.asm.jcc(cc::NE, label);
        self.asm.bind(back);
        true
    }

    /// -0 is less than +0, and equal numbers are otherwise the same bits: or is their minimum, and their maximum.
    fn emit_extremum(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let minimum = inst.op == Op::Fmin;
        // The x86 kind returns the second operand where others order zeros.
        if inst.attr.kind() == ir::inst::MinMax::Second as u8 {
            return false;
        }
        let x = self.operands_in_xmm(2);
        let d = self.def_apart(&x);
        let pp = Self::scalar_prefix(bits);
        self.unordered_compare(bits, false, x[0], x[1]);
        let (label, back) = self.redo(inst, &x, false, Target::Xmm(d));
        self.asm.jcc(PARITY, label);
        let differ = self.asm.jcc_short(cc::NE);
        self.vex(0, if minimum { 0x56 } else { 0x54 }, d, x[0], x[1]); // vorps, vandps
        let done = self.asm.jmp_short();
        self.asm.land(differ);
        self.vex(pp, if minimum { 0x5d } else { 0x5f }, d, x[0], x[1]);
        self.asm.land(done);
        self.asm.bind(back);
        true
    }

    // ------------------------------------------------------------------ comparisons
    fn emit_compare_floats(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let kind = inst.attr.kind();
        let signalling = kind >= FCmp::EqS as u8;
        let (a, b) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)));
        let d = self.def_gpr_early();
        match kind & 3 {
            0 => {
                // Equal and ordered.
                let t = self.temp_gpr();
                self.unordered_compare(bits, signalling, a, b);
                self.asm.setcc(cc::E, d);
                self.asm.setcc(PARITY ^ 1, t);
                self.asm.alu_rr(Alu::And, 1, d, t);
            }
            1 => {
                self.unordered_compare(bits, signalling, b, a);
                self.asm.setcc(cc::A, d);
            }
            2 => {
                self.unordered_compare(bits, signalling, b, a);
                self.asm.setcc(cc::AE, d);
            }
            _ => {
                self.unordered_compare(bits, signalling, a, b);
                self.asm.setcc(PARITY, d);
            }
        }
        self.asm.zext_rr(1, d, d);
        true
    }

    // ------------------------------------------------------------------ conversions
    fn emit_round(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let Some(rounding) = host_round(inst.attr.round()) else { return false };
        let exact = if inst.attr.imm() == 0 { 8 } else { 0 };
        let x = self.operands_in_xmm(1);
        let d = self.def_apart(&x);
        self.asm.vex_rr(3, 1, 4, if bits == 32 { 0x0a } else { 0x0b }, d, x[0], x[0]); // vroundss, vroundsd
        self.asm.byte(rounding | exact);
        self.check_scalar(inst, bits, &x, d);
        true
    }

    fn emit_convert(&mut self, inst: &Inst) -> bool {
        let (from, to) = (self.arg_ty(0), result_ty(inst));
        let pp = match (from, to) {
            (Ty::I32, Ty::I64) => 2,
            (Ty::I64, Ty::I32) => 3,
            _ => return false,
        };
        let x = self.operands_in_xmm(1);
        let d = self.def_apart(&x);
        self.vex(pp, 0x5a, d, x[0], x[0]);
        self.check_scalar(inst, to.bits(), &x, d);
        true
    }

    fn emit_from_integer(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let from = self.arg_ty(0);
        let pp = Self::scalar_prefix(bits);
        let v = self.arg(0);
        let signed = inst.op == Op::Stof;
        if from.bits() < 32 || from == Ty::I128 {
            return false;
        }
        let r = self.use_gpr(v);
        let d = self.def_xmm(0);
        let source = if !signed && from == Ty::I32 {
            let t = self.temp_gpr();
            self.asm.zext_rr(4, t, r);
            t
        } else {
            r
        };
        let wide = from == Ty::I64 || !signed;
        // The host keeps the upper part of the destination: break the dependency.
        self.asm.const_xmm(d, 0);
        if !signed && from == Ty::I64 {
            let (label, back) = self.redo(inst, &[r], true, Target::Xmm(d));
            self.asm.test_rr(8, r, r);
            self.asm.jcc(cc::S, label);
            self.asm.vex_rr(1, pp, 8, 0x2a, d, d, source);
            self.asm.bind(back);
        } else {
            self.asm.vex_rr(1, pp, if wide { 8 } else { 4 }, 0x2a, d, d, source); // vcvtsi2s
        }
        true
    }

    /// In range, the host converts as everybody; it marks what is out of range with the top bit alone.
    fn emit_to_integer(&mut self, inst: &Inst, round: Round) -> bool {
        let bits = inst.attr.lane();
        let pp = Self::scalar_prefix(bits);
        let opcode = if round == Round::Zero { 0x2c } else { 0x2d };
        let x = self.use_xmm(self.arg(0));
        let d = self.def_gpr_early();
        let (label, back) = self.redo(inst, &[x], false, Target::Gpr(d));
        if inst.op == Op::Ftos {
            let size = inst.ty.bytes();
            self.asm.vex_rr(1, pp, size, opcode, d, 0, x);
            // `cmp d, 1` overflows for the smallest integer only.
            self.asm.alu_ri(Alu::Cmp, size, d, 1);
            self.asm.jcc(cc::O, label);
        } else {
            // Non-negative and below the limit as a 64-bit signed conversion.
            let limit = match (bits, inst.ty) {
                (32, Ty::I32) => u128::from(4_294_967_040f32.to_bits()),
                (32, _) => u128::from(9_223_371_487_098_961_920f32.to_bits()),
                (_, Ty::I32) => u128::from(4_294_967_294f64.to_bits()),
                _ => u128::from(9_223_372_036_854_774_784f64.to_bits()),
            };
            self.asm.const_xmm(SCRATCH_XMM, 0);
            self.unordered_compare(bits, false, x, SCRATCH_XMM);
            self.asm.jcc(cc::B, label); // less, or unordered
            self.asm.const_xmm(SCRATCH_XMM, limit);
            self.unordered_compare(bits, false, x, SCRATCH_XMM);
            self.asm.jcc(cc::A, label);
            self.asm.vex_rr(1, pp, 8, opcode, d, 0, x);
        }
        self.asm.bind(back);
        true
    }
}
