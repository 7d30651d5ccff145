//! Checks of floating-point results, and the cold code that makes operations again by their definition.

use ir::Ty;
use ir::guest::{FpMode, Guest, NanRule, Tininess};
use ir::inst::{Attr, Inst, Op};
use smallvec::SmallVec;

use super::analysis::NO;
use super::asm::{Label, RDX, RSI, cc};
use super::boxes::boxed;
use super::claims::Cell;
use super::emit_vector::{PAND, every};
use super::generator::{Gen, NONE, SCRATCH_XMM};
use super::{Gpr, StubId, Xmm, generic, nan_stub};

/// Operations to be done again by their definitions, one after the other.
#[derive(Clone, Debug)]
pub(super) struct Redo {
    label: Label,
    back: Label,
    steps: SmallVec<[Step; 2]>,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    /// What [`generic::evaluate`] is told.
    pub(super) desc: u64,
    pub(super) attr: u32,
    /// What it makes.
    pub(super) value: u32,
    /// Values of the operands, [`NO`] when absent, and their registers, [`NONE`] when absent; the first may be a general one.
    pub(super) values: [u32; 3],
    pub(super) operands: [u8; 3],
    pub(super) first_general: bool,
    /// Operands that are to be negated, as a mask.
    pub(super) negated: u8,
    /// Result register.
    pub(super) result: Target,
    /// The one NaN that the operation makes; its operands are not needed.
    pub(super) nan: Option<u64>,
    /// It is made again only if the result is not a number, and [`super::nan_stub`] knows which NaN that is.
    pub(super) known: bool,
}

#[derive(Clone, Copy, Debug)]
pub(super) enum Target {
    Gpr(Gpr),
    Xmm(Xmm),
}

impl Step {
    fn is_scalar(&self) -> bool {
        self.bits() == self.lane()
    }

    /// Width of the result.
    fn bits(&self) -> u32 {
        generic::result(self.desc).bits()
    }

    /// Width of a number in it.
    pub(super) fn lane(&self) -> u32 {
        let lane = Attr(self.attr).lane();
        // A conversion has that of its operand.
        if generic::operation(self.desc) == Op::Fcvt { self.bits() } else { lane }
    }
}

impl Target {
    pub(super) fn cell(self) -> Cell {
        match self {
            Target::Gpr(r) => Cell::Gpr(r),
            Target::Xmm(x) => Cell::Xmm(x),
        }
    }
}

/// The guest's default NaN.
pub(super) fn default_nan(guest: &Guest, bits: u32) -> u64 {
    let sign = u64::from(guest.fp.default_nan_negative) << (bits - 1);
    sign | if bits == 32 { 0x7fc0_0000 } else { 0x7ff8 << 48 }
}

/// An operation whose result has not been checked yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Unchecked {
    step: Step,
    result: Xmm,
    ty: Ty,
    lane: u32,
}

impl Unchecked {
    pub(super) fn step(&self) -> &Step {
        &self.step
    }

    /// Whether it makes the value.
    pub(super) fn makes(&self, v: u32) -> bool {
        self.step.value == v
    }
}

/// Most operations that are checked together.
const MOST_UNCHECKED: usize = 8;

/// Most registers that they may keep.
const MOST_RESERVED: u32 = 9;

impl Gen<'_> {
    // ------------------------------------------------------------------ cold code
    /// The current operation, to be done again with operands in registers.
    pub(super) fn step(&self, inst: &Inst, operands: &[u8], result: Target) -> Step {
        let mut types = [Ty::I1; 3];
        let (mut values, mut regs) = ([NO; 3], [NONE; 3]);
        for (k, &r) in operands.iter().enumerate() {
            types[k] = self.arg_ty(k);
            (values[k], regs[k]) = (self.arg(k), r);
        }
        let desc = generic::describe(inst, types);
        let (attr, value) = (inst.attr.0, self.pos);
        Step {
            desc,
            attr,
            value,
            values,
            operands: regs,
            first_general: false,
            negated: 0,
            result,
            nan: None,
            known: false,
        }
    }

    /// Registers the operation for cold code; the caller branches to the first label and binds the second.
    pub(super) fn redo(&mut self, step: Step) -> (Label, Label) {
        self.redo_all(SmallVec::from_slice(&[step]))
    }

    pub(super) fn redo_all(&mut self, steps: SmallVec<[Step; 2]>) -> (Label, Label) {
        let (label, back) = (self.asm.label(), self.asm.label());
        self.redos.push(Redo { label, back, steps });
        (label, back)
    }

    /// Emits the cold code of all such operations.
    pub(super) fn emit_redos(&mut self) {
        for redo in std::mem::take(&mut self.redos) {
            self.asm.bind(redo.label);
            if redo.steps.iter().all(|step| step.nan.is_some()) {
                for step in &redo.steps {
                    self.replace_nan(step);
                }
                self.asm.jmp(redo.back);
                continue;
            }
            // The stub preserves all registers but these two.
            let (rsi, rdx) = (Self::scratch(6), Self::scratch(7));
            self.asm.store(8, rsi, RSI);
            self.asm.store(8, rdx, RDX);
            for step in &redo.steps {
                self.call_definition(step);
            }
            self.asm.load(8, RSI, rsi);
            self.asm.load(8, RDX, rdx);
            if let [step @ Step { result: Target::Gpr(d), .. }] = redo.steps[..] {
                self.asm.load(8, d, Self::scratch(0));
                self.claim_remade(&step);
            }
            self.asm.jmp(redo.back);
        }
    }

    /// Makes NaNs the one that there is.
    fn replace_nan(&mut self, step: &Step) {
        let (Target::Xmm(d), Some(nan)) = (step.result, step.nan) else { return };
        let (bits, lane) = (step.bits(), step.lane());
        if bits == lane {
            self.unordered_compare(bits, false, d, d);
            let number = self.asm.jcc_short(cc::NP);
            let nan = if self.is_boxed(step.value) { boxed(nan) } else { nan };
            self.asm.const_xmm(d, nan.into());
            self.asm.land(number);
        } else {
            self.vex(u8::from(lane == 64), 0xc2, SCRATCH_XMM, d, d); // vcmpunordps
            self.asm.byte(3);
            self.vex(0, 0x55, d, SCRATCH_XMM, d); // vandnps
            self.asm.op_pool(PAND, SCRATCH_XMM, every(lane, nan), &[]);
            self.vex(0, 0x56, d, d, SCRATCH_XMM); // vorps
        }
        self.claim_remade(step);
    }

    fn call_definition(&mut self, step: &Step) {
        if step.nan.is_some() {
            return self.replace_nan(step);
        }
        let number = self.asm.label();
        if let Target::Xmm(d) = step.result
            && step.known
        {
            // Numbers: then all operands were, too.
            self.branch_if_numbers(step, d, number);
        }
        for (k, &r) in step.operands.iter().enumerate() {
            match r {
                NONE => {}
                r if k == 0 && step.first_general => self.asm.store(8, Self::scratch(k), r),
                x => self.asm.store_xmm(16, Self::scratch(k), x),
            }
            self.claim_operand(step, k);
            if step.negated & 1 << k != 0 {
                // All of it at once: a load waits for stores of parts of what it loads.
                let lane = Attr(step.attr).lane();
                self.asm.const_xmm(SCRATCH_XMM, every(lane, 1 << (lane - 1)));
                self.vex(0, 0x57, SCRATCH_XMM, SCRATCH_XMM, r); // vxorps
                self.asm.store_xmm(16, Self::scratch(k), SCRATCH_XMM);
            }
        }
        self.asm.mov_ri(RSI, step.desc);
        self.asm.mov_ri(RDX, u64::from(step.attr));
        self.asm.call_stub(match (step.known, step.is_scalar(), step.lane()) {
            (false, ..) => StubId::GenericSaving,
            (true, true, _) => StubId::Nan,
            (true, false, 32) => StubId::NanSingles,
            (true, false, _) => StubId::NanDoubles,
        });
        if let Target::Xmm(d) = step.result {
            // Of the stub's two stores, one load takes what one has stored.
            self.asm.load_xmm(if step.known && step.is_scalar() { 8 } else { 16 }, d, Self::scratch(0));
            self.box_remade(step, d);
            self.asm.bind(number);
            self.claim_remade(step);
        }
    }

    /// Branches if the result is a number, or all lanes are; else the stub finds them.
    fn branch_if_numbers(&mut self, step: &Step, d: Xmm, number: Label) {
        if step.is_scalar() {
            self.unordered_compare(step.bits(), false, d, d);
            return self.asm.jcc(cc::NP, number);
        }
        self.vex(u8::from(step.lane() == 64), 0xc2, SCRATCH_XMM, d, d); // vcmpunordps
        self.asm.byte(3);
        self.asm.vex_rr(2, 1, 4, 0x17, SCRATCH_XMM, 0, SCRATCH_XMM); // vptest
        self.asm.jcc(cc::E, number);
        self.asm.store_xmm(16, Self::scratch(nan_stub::MADE), d);
    }

    // ------------------------------------------------------------------ checks
    /// The only NaN that arithmetic makes, if there is one. Invalid operations raise their flag on the host as well; of a
    /// fused operation that is not always so.
    pub(super) fn only_nan(&self, inst: &Inst) -> Option<u64> {
        let mode = self.an.environment(inst)?;
        let bits = inst.attr.lane();
        let one = self.guest.fp.nan == NanRule::Canonical || mode.default_nan;
        if !one || inst.op == Op::Fma || self.rounds_up_to_normal(inst) {
            return None;
        }
        Some(default_nan(self.guest, bits))
    }

    /// Whether [`super::nan_stub`] knows which NaN the arithmetic makes, if it makes one.
    pub(super) fn knows_nan(&self, inst: &Inst) -> bool {
        let mode = self.an.environment(inst);
        let one = self.guest.fp.nan == NanRule::Canonical;
        let rule = one && inst.op == Op::Fma || self.guest.fp.nan == NanRule::SignallingFirst;
        let same = |mode: FpMode| one || !mode.default_nan;
        inst.op != Op::Fcvt && rule && mode.is_some_and(same)
    }

    /// Whether the instruction may be emitted before pending checks are made: arithmetic that is checked with them, loads, which say
    /// what is pending should they fault ([`super::late_checks`]), and work of general registers that has nothing to do with them.
    pub(super) fn may_wait(&self, inst: &Inst) -> bool {
        let [first, ..] = self.unchecked[..] else { return true };
        if self.an.flushes(inst) {
            return false;
        }
        if self.needs_no_check(inst) {
            return true;
        }
        let apart = |k: usize| {
            let known = self.has_arg(k).then(|| self.arg(k));
            known.is_none_or(|v| !self.in_xmm(v) && self.an.cond(v).is_none())
        };
        match inst.op {
            Op::Fadd | Op::Fsub | Op::Fmul | Op::Fdiv | Op::Fsqrt | Op::Fma => {
                let like = inst.attr.lane() == first.lane && inst.ty == first.ty;
                let room = self.unchecked.len() < MOST_UNCHECKED && self.reserved_xmm.count_ones() < MOST_RESERVED;
                like && room && self.on_host(inst) && !self.rounds_up_to_normal(inst)
            }
            Op::Load => {
                let address = self.an.addr(self.unit, inst.args[0]);
                inst.attr.0 & !3 == 0
                    && inst.ty != Ty::I1
                    && [address.base, address.index].iter().all(|v| !self.unchecked.iter().any(|u| u.makes(*v)))
            }
            Op::Add | Op::Sub | Op::Zext | Op::Sext => inst.ty.bits() <= 64 && !self.wants_xmm() && (0..2).all(apart),
            _ => false,
        }
    }

    /// The result is checked with those of its neighbours: until then nobody else uses it, and its operands stay.
    pub(super) fn check_later(&mut self, inst: &Inst, step: Step, d: Xmm) {
        for &x in step.operands.iter().filter(|x| **x != NONE) {
            self.reserved_xmm |= 1 << x;
        }
        self.reserved_xmm |= 1 << d;
        let step = Step { known: self.knows_nan(inst), ..step };
        self.unchecked.push(Unchecked { step, result: d, ty: inst.ty, lane: inst.attr.lane() });
    }

    /// Makes the pending checks. A NaN is passed on by all these operations, so results that others of them have used need
    /// no check; and one comparison tells whether one of two numbers is a NaN.
    pub(super) fn check_floats(&mut self) {
        let unchecked = std::mem::take(&mut self.unchecked);
        let Some(Unchecked { ty, lane, .. }) = unchecked.first().copied() else { return };
        let used = |v: u32| unchecked.iter().any(|other| other.step.values.contains(&v));
        let last: SmallVec<[Xmm; MOST_UNCHECKED]> =
            unchecked.iter().filter(|u| !used(u.step.value)).map(|u| u.result).collect();
        let (label, back) = self.redo_all(unchecked.iter().map(|u| u.step).collect());
        // Whatever makes room for it is to be on the way of all.
        let lanes = (ty.bits() != lane).then(|| self.temp_gpr());
        for u in unchecked.iter() {
            self.claim_result(&u.step);
        }
        for pair in last.chunks(2) {
            let (a, b) = (pair[0], pair[pair.len() - 1]);
            if let Some(t) = lanes {
                self.vex(u8::from(lane == 64), 0xc2, SCRATCH_XMM, a, b); // vcmpunordps
                self.asm.byte(3);
                self.branch_on_lanes(lane, t, label);
            } else {
                self.unordered_compare(lane, false, a, b);
                self.asm.jcc(cc::P, label);
            }
        }
        self.asm.bind(back);
        self.reserved_xmm = 0;
        self.locked_xmm = 0;
        (self.flags, self.summed) = (None, None);
        self.unchecked = unchecked;
        self.unchecked.clear();
    }

    /// Branches if the sign of any lane of the scratch register is set.
    pub(super) fn branch_on_lanes(&mut self, lane: u32, t: Gpr, label: Label) {
        self.vex(u8::from(lane == 64), 0x50, t, 0, SCRATCH_XMM); // vmovmskps
        self.asm.test_rr(4, t, t);
        self.asm.jcc(cc::NE, label);
    }

    /// Whether a NaN, rounded or converted to another format, is what the host makes of it: the same one, quieted.
    pub(super) fn quiets_as_host(&self, inst: &Inst) -> bool {
        let mode = self.an.environment(inst);
        self.guest.fp.nan != NanRule::Canonical && mode.is_some_and(|mode| !mode.default_nan)
    }

    /// Checks the result of a scalar operation on one number.
    pub(super) fn check_scalar(&mut self, inst: &Inst, bits: u32, operands: &[Xmm], d: Xmm) {
        let step = self.step(inst, operands, Target::Xmm(d));
        if self.rounds_up_to_normal(inst) {
            return self.check_exactly(inst, step, d);
        }
        if self.quiets_as_host(inst) {
            return;
        }
        let (values, operands) = ([NO; 3], [NONE; 3]);
        let step = Step { values, operands, nan: Some(default_nan(self.guest, bits)), ..step };
        let (label, back) = self.redo(step);
        self.unordered_compare(bits, false, d, d);
        self.asm.jcc(cc::P, label);
        self.asm.bind(back);
    }

    /// What may have underflowed by the guest's rule alone is made again, as is a NaN.
    pub(super) fn check_exactly(&mut self, inst: &Inst, step: Step, d: Xmm) {
        if self.an.flushes(inst) {
            return self.check_flushed(inst, step, d);
        }
        let bits = step.lane();
        let known = self.knows_nan(inst).then(|| self.redo(Step { known: true, ..step }));
        let (label, back) = self.redo(step);
        let least = self.magnitude_and_least_normal(bits, d);
        if step.is_scalar() {
            self.unordered_compare(bits, false, SCRATCH_XMM, least);
            if let Some((nan, _)) = known {
                self.asm.jcc(cc::P, nan);
            }
            let right = inst.op == Op::Fcvt && self.quiets_as_host(inst);
            let nan = right.then(|| self.asm.jcc_short(cc::P));
            self.asm.jcc(cc::E, label); // equal, or unordered
            if let Some(nan) = nan {
                self.asm.land(nan);
            }
        } else {
            let t = self.temp_gpr();
            self.vex(u8::from(bits == 64), 0xc2, SCRATCH_XMM, SCRATCH_XMM, least); // equal, or unordered too
            self.asm.byte(if known.is_some() { 0 } else { 8 });
            self.branch_on_lanes(bits, t, label);
            if let Some((nan, _)) = known {
                self.vex(u8::from(bits == 64), 0xc2, SCRATCH_XMM, d, d); // vcmpunordps
                self.asm.byte(3);
                self.branch_on_lanes(bits, t, nan);
            }
        }
        known.iter().for_each(|(_, back)| self.asm.bind(*back));
        self.asm.bind(back);
    }

    /// Whether the result may be tiny before rounding but not after, and the guest calls that underflow while the host does
    /// not. Sums and roots are exact if tiny.
    pub(super) fn rounds_up_to_normal(&self, inst: &Inst) -> bool {
        let inexact = match inst.op {
            Op::Fmul | Op::Fdiv | Op::Fma => true,
            Op::Fcvt => inst.ty == Ty::I32,
            _ => false,
        };
        let mode = self.an.environment(inst);
        let seen = self.an.exact_underflow || mode.is_some_and(|mode| mode.flush_results);
        seen && self.guest.fp.tininess == Tininess::Before && inexact
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
}
