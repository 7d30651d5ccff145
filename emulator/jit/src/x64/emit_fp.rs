//! Floating point on the host's unit.
//!
//! Finite results and infinities are the same everywhere. What is not goes to cold code, which evaluates the operation by
//! its definition: a NaN result (which NaN is the guest's policy) unless it must be right ([`super::invalid`]), conversions out of
//! range, minima of unordered operands. Cold code needs the operands intact, so results never share a register with them. The
//! host raises the same sticky flags in MXCSR that the definition would, so doing an operation twice raises nothing new. One
//! exception: the host detects underflow after rounding. Where the guest does it before, cold code raises the flag for results
//! that were rounded up to the smallest normal number, once the guest looks at its flags ([`super::Compiler`]).
//!
//! Rounding: `mxcsr_guest` has the mode of the unit; an operation that names another is left to the interpreter's
//! definition ([`super::emit_fp_integers`] says which are not). Subnormals are flushed by the host, or, where its flags would tell,
//! apart ([`super::emit_flushing_exactly`]).

use ir::guest::{FpMode, Guest, Tininess};
use ir::inst::{FCmp, Inst, MinMax, Op, Round};
use ir::{Ty, Unit};
use smallvec::SmallVec;

use super::analysis::{Analysis, Mode, NO, result_ty};
use super::asm::{Alu, cc};
use super::claims::{Cell, Claim};
use super::emit_vector::{POR, every};
use super::float_checks::{Step, Target};
use super::generator::{Gen, SCRATCH_XMM};
use super::{Features, Xmm};

/// Integral values on the host: rounding field of `roundsd`.
pub(super) fn host_round(r: Round) -> Option<u8> {
    match r {
        Round::Mode => Some(4),
        Round::Even => Some(0),
        Round::Down => Some(1),
        Round::Up => Some(2),
        Round::Zero => Some(3),
        Round::Away => None,
    }
}

/// The environments, by number, whose operations the host can do: those that are like the usual one, for which its control
/// register is set, but perhaps for their NaNs; and those among them that flush although the host does not, as a mask.
/// `exact`: the guest looks at its flags.
pub(super) fn host_environments(
    guest: &Guest,
    features: Features,
    mode: u32,
    exact: bool,
) -> (SmallVec<[Option<FpMode>; 4]>, u32) {
    let host = host_mode(guest, mode, exact);
    let able = features.avx && host.round != Round::Away && (!flushes(host) || host_flushes(guest, host));
    let like = |own: FpMode| FpMode { default_nan: host.default_nan, ..own } == host;
    let named = || (0..=guest.fp_named.len() as u32).map(|n| guest.fp_environment(n, mode));
    let apart = |own: FpMode| flushes_apart(guest, own, exact);
    let all = named().map(|own| Some(without(own, apart(own))).filter(|own| able && like(*own))).collect();
    (all, named().enumerate().fold(0, |mask, (n, own)| mask | u32::from(apart(own)) << n))
}

/// The environment that the host's control register is set for while code of the mode runs.
pub(crate) fn host_mode(guest: &Guest, mode: u32, exact: bool) -> FpMode {
    let usual = (guest.fp_mode)(mode);
    without(usual, flushes_apart(guest, usual, exact))
}

/// Rounding field of the host's control register. Rounding to nearest, ties away, is not the host's: generated code does it
/// operation by operation.
pub(crate) fn rounding_field(round: Round) -> u32 {
    match round {
        Round::Mode | Round::Even | Round::Away => 0,
        Round::Down => 1,
        Round::Up => 2,
        Round::Zero => 3,
    }
}

/// What that field becomes between two modes, if it is all that does in the register.
pub(super) fn other_rounding(guest: &Guest, from: u32, to: u32) -> Option<u32> {
    let (from, to) = ((guest.fp_mode)(from), (guest.fp_mode)(to));
    let (old, new) = (rounding_field(from.round), rounding_field(to.round));
    (old != new && FpMode { round: from.round, ..to } == from).then_some(new)
}

/// The environment, without its flushing if that is done apart.
fn without(own: FpMode, apart: bool) -> FpMode {
    FpMode { flush_inputs: own.flush_inputs && !apart, flush_results: own.flush_results && !apart, ..own }
}

/// Whether operations flush for themselves what the host's flags would say too much of: see [`super::emit_flushing_exactly`].
fn flushes_apart(guest: &Guest, own: FpMode, exact: bool) -> bool {
    exact && guest.fp.tininess == Tininess::Before && own.flush_inputs && own.flush_results
}

fn flushes(mode: FpMode) -> bool {
    mode.flush_inputs || mode.flush_results
}

/// Whether the host flushes subnormal numbers as the guest does. It does if the guest goes by the result after rounding. Who goes by
/// that before rounding (Arm) raises other flags with that, and what was rounded up to the smallest normal number is made again.
fn host_flushes(guest: &Guest, mode: FpMode) -> bool {
    guest.fp.tininess == Tininess::After || mode.flush_inputs && mode.flush_results
}

/// Opcodes of `vfmadd231`, which adds to its destination, and `vfmadd213`, which multiplies it.
const FUSED_ADD: u8 = 0xb8;
const FUSED_MULTIPLY: u8 = 0xa8;

impl Analysis {
    /// The environment of the operation, if the host does what is in it.
    pub(super) fn environment(&self, inst: &Inst) -> Option<FpMode> {
        self.environments.get(inst.attr.environment() as usize).copied().flatten()
    }

    /// Whether the operation is to flush its operands and its result, which the host does not do.
    pub(super) fn flushes(&self, inst: &Inst) -> bool {
        self.flushing >> inst.attr.environment() & 1 != 0 && self.environment(inst).is_some()
    }

    /// Whether the operation is one of a format and in an environment and rounding mode that the host does.
    pub(super) fn does_float(&self, inst: &Inst) -> bool {
        let environment = self.environment(inst);
        let (lane, round) = (inst.attr.lane(), inst.attr.round());
        environment.is_some_and(|mode| round == Round::Mode || round == mode.round)
            && matches!(lane, 32 | 64)
            && (inst.ty.bits() == lane || inst.ty.bits() >= 64)
    }

    /// Operand `k` of a multiply-add, and whether it is to be negated: the host does that with it.
    pub(super) fn fused_operand(&self, unit: &Unit, inst: &Inst, k: usize) -> (u32, bool) {
        let v = self.arg(inst, k);
        let lane = inst.attr.lane();
        let signs = (1..=128 / lane.max(1)).fold(0u128, |all, n| all | 1 << (n * lane - 1)) & inst.ty.mask();
        if self.fuses
            && self.does_float(inst)
            && let Some(def) = unit.insts.get(v as usize)
            && def.op == Op::Xor
            && def.ty == inst.ty
            && self.constant(unit, self.arg(def, 1)).is_some_and(|k| k & inst.ty.mask() == signs)
            && self.values[self.arg(def, 0) as usize].mode == Mode::Emit
        {
            return (self.arg(def, 0), true);
        }
        (v, false)
    }

    /// Whether the host compares these floats.
    pub(super) fn hosts_float(&self, unit: &Unit, inst: &Inst) -> bool {
        let environment = self.environment(inst);
        // Who makes a comparison again where it is looked at knows nothing of flushed operands.
        environment.is_some_and(|mode| !mode.flush_inputs)
            && !self.flushes(inst)
            && matches!(inst.attr.lane(), 32 | 64)
            && self.operand_ty(unit, inst, 0) == inst.ty
    }
}

impl Gen<'_> {
    /// Emits a floating-point operation; false if it is left to its definition.
    pub(super) fn emit_float(&mut self, inst: &Inst) -> bool {
        let Some(mode) = self.an.environment(inst) else { return self.emit_flushing(inst) };
        let lane = inst.attr.lane();
        let round = inst.attr.round();
        let in_mode = round == Round::Mode || round == mode.round;
        let format = |bits: u32| bits == 32 || bits == 64;
        let scalar = inst.ty.bits() == lane;
        match inst.op {
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::Fma => {
                if self.on_host(inst) {
                    self.emit_arithmetic(inst);
                }
                self.on_host(inst)
            }
            // The host does not flush what it returns.
            Op::Fmin | Op::Fmax if mode.flush_inputs && inst.attr.kind() != MinMax::Second as u8 => {
                self.emit_flushing_extremum(inst)
            }
            Op::Fmin | Op::Fmax if scalar && format(lane) => self.emit_extremum(inst),
            Op::Fcmp if format(lane) => self.emit_compare_floats(inst),
            Op::Fround if scalar && format(lane) => self.emit_round(inst),
            Op::Fcvt => self.emit_convert(inst, in_mode),
            Op::Stof | Op::Utof if scalar && format(lane) => self.emit_from_integer(inst, in_mode),
            Op::Ftos | Op::Ftou if format(lane) && self.arg_ty(0).bits() == lane && inst.ty.bits() >= 32 => {
                self.emit_to_integer(inst, in_mode);
                true
            }
            _ => {
                let done = self.emit_float_lanes(inst, in_mode);
                self.box_result();
                done
            }
        }
    }

    /// VEX instruction on vector registers: F3/F2 scalar or 66/none packed by `pp`, opcode map 1.
    pub(super) fn vex(&mut self, pp: u8, opcode: u8, d: Xmm, a: Xmm, b: Xmm) {
        self.asm.vex_rr(1, pp, 4, opcode, d, a, b);
    }

    /// Prefix of a scalar operation: F3 single, F2 double.
    pub(super) fn scalar_prefix(bits: u32) -> u8 {
        if bits == 32 { 2 } else { 3 }
    }

    /// `ucomis a, b` (or `comis`, which raises invalid on quiet NaNs too).
    pub(super) fn unordered_compare(&mut self, bits: u32, signalling: bool, a: Xmm, b: Xmm) {
        self.vex(u8::from(bits == 64), if signalling { 0x2f } else { 0x2e }, a, 0, b);
    }

    /// Result register apart from the locked operands.
    pub(super) fn def_apart(&mut self, operands: &[Xmm]) -> Xmm {
        let avoid = operands.iter().fold(0, |m, x| m | 1 << x);
        self.def_xmm(avoid)
    }

    pub(super) fn operands_in_xmm(&mut self, n: usize) -> Vec<Xmm> {
        let inst = self.inst();
        (0..n).map(|k| self.float_operand(inst, k)).collect()
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

    /// Whether the host has the arithmetic instruction, in the mode.
    pub(super) fn on_host(&self, inst: &Inst) -> bool {
        self.an.does_float(inst) && (inst.op != Op::Fma || self.an.fuses)
    }

    /// `d = ±(a * b) ± d`, or `d = ±(d * a) ± b`, by `form`.
    #[allow(clippy::too_many_arguments)] // registers and what is negated
    fn fused(&mut self, form: u8, scalar: bool, bits: u32, negated: u8, d: Xmm, a: Xmm, b: Xmm) {
        let product = (negated ^ negated >> 1) & 1;
        let opcode = form | u8::from(scalar) | (negated >> 2 & 1) << 1 | product << 2;
        self.asm.vex_rr(2, 1, bits / 8, opcode, d, a, b);
    }

    /// The operands in vector registers, as values too, and which of them are to be negated.
    fn arithmetic_operands(&mut self, inst: &Inst, n: usize) -> (Vec<Xmm>, [u32; 3], u8) {
        let (mut x, mut values, mut negated) = (Vec::with_capacity(3), [NO; 3], 0);
        for (k, value) in values.iter_mut().enumerate().take(n) {
            let (v, negate) = match inst.op {
                Op::Fma => self.an.fused_operand(self.unit, inst, k),
                _ => (self.arg(k), false),
            };
            let number = self.use_xmm(v);
            x.push(self.flushed(inst, k, number));
            *value = v;
            negated |= u8::from(negate) << k;
        }
        (x, values, negated)
    }

    fn emit_arithmetic(&mut self, inst: &Inst) {
        let (opcode, n) = Self::opcode_of(inst.op);
        let (mut x, values, negated) = self.arithmetic_operands(inst, n);
        self.keep_host_flags(inst);
        let bits = inst.attr.lane();
        let scalar = inst.ty.bits() == bits;
        if inst.ty == Ty::I64 && !scalar {
            // The upper half of the registers must not raise flags: it is cleared first.
            for r in &mut x {
                let t = self.temp_xmm();
                self.clean_copy(64, t, *r);
                *r = t;
            }
        }
        if inst.op == Op::Fma
            && let Some(d) = self.fused_in_place(inst, &mut x, values, negated)
        {
            let step = Step { values, negated, ..self.step(inst, &x, Target::Xmm(d)) };
            return self.check(inst, step, d);
        }
        let (nan, right) = (self.only_nan(inst), self.needs_no_check(inst));
        let d = if right || nan.is_some() { self.def_xmm(0) } else { self.def_apart(&x) };
        if scalar {
            self.scalar_operation(inst, &x, (values, negated, right), d);
        } else {
            let pp = u8::from(bits == 64);
            match n {
                1 => self.vex(pp, opcode, d, 0, x[0]),
                2 => {
                    let second = self.divisor(inst, x[1]);
                    self.vex(pp, opcode, d, x[0], second);
                }
                _ => {
                    self.asm.mov_xx(d, x[2]);
                    self.fused(FUSED_ADD, false, bits, negated, d, x[0], x[1]);
                }
            }
        }
        self.flush_sum(inst, d);
        if right {
            return;
        }
        let operands = if nan.is_some() { &[][..] } else { &x };
        let step = Step { values, negated, nan, ..self.step(inst, operands, Target::Xmm(d)) };
        self.check(inst, step, d);
    }

    /// The second operand of arithmetic on lanes: zeros above a 64-bit vector are divided by ones.
    pub(super) fn divisor(&mut self, inst: &Inst, x: Xmm) -> Xmm {
        if inst.op != Op::Fdiv || inst.ty != Ty::I64 {
            return x;
        }
        self.asm.mov_xx(SCRATCH_XMM, x);
        self.asm.op_pool(POR, SCRATCH_XMM, every(32, 1f32.to_bits().into()) << 64, &[]);
        SCRATCH_XMM
    }

    fn check(&mut self, inst: &Inst, step: Step, d: Xmm) {
        if self.rounds_up_to_normal(inst) {
            self.check_exactly(inst, step, d);
        } else {
            self.check_later(inst, step, d);
        }
    }

    /// A fused operation in the register where its result belongs, if that has an operand that nobody else needs: cold code finds
    /// a copy of it.
    fn fused_in_place(&mut self, inst: &Inst, x: &mut [Xmm], values: [u32; 3], negated: u8) -> Option<Xmm> {
        let value = &self.an.values[self.pos as usize];
        let d = value.vector_hint;
        let k = x.iter().position(|&r| r == d)?;
        let (bits, v) = (inst.attr.lane(), self.xmm[d as usize]);
        let scalar = inst.ty.bits() == bits;
        if v != values[k] || self.live_after(v) || self.reserved_xmm & 1 << d != 0 {
            return None;
        }
        if inst.ty == Ty::I64 && !scalar || self.is_dirty(v, bits) {
            return None;
        }
        let copy = self.temp_xmm();
        self.asm.mov_xx(copy, d);
        for r in x.iter_mut().filter(|r| **r == d) {
            *r = copy;
        }
        self.claim(Claim::Releases(Cell::Xmm(d)));
        self.result_xmm(d);
        let (a, b) = if k == 0 {
            (x[1], x[2])
        } else if k == 1 {
            (x[0], x[2])
        } else {
            (x[0], x[1])
        };
        let form = if k == 2 { FUSED_ADD } else { FUSED_MULTIPLY };
        self.fused(form, scalar, bits, negated, d, a, b);
        Some(d)
    }

    /// One number. The host copies what is above it from the first source (the addend, of a fused operation): there are to be
    /// zeros if the result is used as what it is zero-extended to, and ones if it is to be in its box. `ordered`: nobody will look
    /// which operand was the first NaN.
    fn scalar_operation(&mut self, inst: &Inst, x: &[Xmm], (values, negated, ordered): ([u32; 3], u8, bool), d: Xmm) {
        let bits = inst.attr.lane();
        let pp = Self::scalar_prefix(bits);
        let (opcode, n) = Self::opcode_of(inst.op);
        let dirty = |g: &Self, k: usize| g.is_dirty(values[k], bits);
        match n {
            1 if dirty(self, 0) => {
                self.clean_register(SCRATCH_XMM);
                self.vex(pp, opcode, d, SCRATCH_XMM, x[0]);
            }
            1 => self.vex(pp, opcode, d, x[0], x[0]),
            // Which NaN is the first does not matter: if there is any, the operation is done again.
            2 if dirty(self, 0) && !dirty(self, 1) && !ordered && matches!(inst.op, Op::Fadd | Op::Fmul) => {
                self.vex(pp, opcode, d, x[1], x[0]);
            }
            2 if dirty(self, 0) => {
                self.clear_above(bits, SCRATCH_XMM, x[0]);
                self.vex(pp, opcode, d, SCRATCH_XMM, x[1]);
            }
            2 => self.vex(pp, opcode, d, x[0], x[1]),
            _ => {
                if dirty(self, 2) {
                    self.clear_above(bits, d, x[2]);
                } else {
                    self.asm.mov_xx(d, x[2]);
                }
                self.fused(FUSED_ADD, true, bits, negated, d, x[0], x[1]);
            }
        }
    }

    /// Whether the number of `bits` has not above it what the current result is to have.
    pub(super) fn is_dirty(&self, v: u32, bits: u32) -> bool {
        let result = &self.an.values[self.pos as usize];
        result.widened && !self.is_clean(v, bits) || result.boxed && !self.is_boxed(v)
    }

    /// A register that has above its number what the current result is to have.
    pub(super) fn clean_register(&mut self, x: Xmm) {
        let above = if self.is_boxed(self.pos) { u128::MAX } else { 0 };
        self.asm.const_xmm(x, above);
    }

    /// Copies a number to another register, with what the current result is to have above.
    fn clear_above(&mut self, bits: u32, d: Xmm, s: Xmm) {
        if self.is_boxed(self.pos) {
            return self.box_number(d, s);
        }
        self.clean_copy(bits, d, s);
    }

    /// Whether there are zeros above the number of `bits` in its vector register.
    pub(super) fn is_clean(&self, v: u32, bits: u32) -> bool {
        let value = &self.an.values[v as usize];
        self.unit.insts.get(v as usize).is_some_and(|def| {
            // It may be the low part of something wider.
            let zeros = value.widened || matches!(def.op, Op::Const | Op::Load);
            result_ty(def).bits() == bits && zeros && !value.boxed
        })
    }

    /// Copies a number to another register, with zeros above.
    pub(super) fn clean_copy(&mut self, bits: u32, d: Xmm, s: Xmm) {
        if bits == 64 {
            self.asm.op_prefixed_rr(0xf3, 4, 0x0f7e, d, s); // movq
        } else {
            self.asm.const_xmm(d, 0);
            self.asm.op_prefixed_rr(0xf3, 4, 0x0f10, d, s); // movss
        }
    }

    /// -0 is less than +0, and equal numbers are otherwise the same bits: or is their minimum, and their maximum.
    fn emit_extremum(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let minimum = inst.op == Op::Fmin;
        let x = self.operands_in_xmm(2);
        if inst.attr.kind() == MinMax::Second as u8 {
            let d = self.def_xmm(0);
            self.vex(Self::scalar_prefix(bits), if minimum { 0x5d } else { 0x5f }, d, x[0], x[1]);
            return true;
        }
        let d = self.def_apart(&x);
        let pp = Self::scalar_prefix(bits);
        self.unordered_compare(bits, false, x[0], x[1]);
        let (label, back) = self.unordered(inst, ([x[0], x[1]], d), SCRATCH_XMM, None);
        self.asm.jcc(cc::P, label);
        let differ = self.asm.jcc_short(cc::NE);
        self.vex(0, if minimum { 0x56 } else { 0x54 }, d, x[0], x[1]); // vorps, vandps
        let done = self.asm.jmp_short();
        self.asm.land(differ);
        self.vex(pp, if minimum { 0x5d } else { 0x5f }, d, x[0], x[1]);
        self.asm.land(done);
        self.asm.bind(back);
        self.box_result();
        true
    }

    // ------------------------------------------------------------------ comparisons
    fn emit_compare_floats(&mut self, inst: &Inst) -> bool {
        let bits = inst.attr.lane();
        let kind = inst.attr.kind();
        let signalling = kind >= FCmp::EqS as u8 && self.an.raises(self.pos);
        let (a, b) = (self.float_operand(inst, 0), self.float_operand(inst, 1));
        let d = self.def_gpr_early();
        match kind & 3 {
            0 => {
                // Equal and ordered.
                let t = self.temp_gpr();
                self.unordered_compare(bits, signalling, a, b);
                self.asm.setcc(cc::E, d);
                self.asm.setcc(cc::NP, t);
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
                self.asm.setcc(cc::P, d);
            }
        }
        self.asm.zext_rr(1, d, d);
        true
    }
}
