//! Conversions of numbers between formats.
//!
//! A double on its way to fewer digits than a single has is first cut to a single, its lowest digit set if others were lost:
//! then the second rounding is right. That digit also raises inexact.

use ir::Ty;
use ir::guest::Tininess;
use ir::inst::{Inst, Op, Round};

use super::analysis::result_ty;
use super::asm::{Alu, Label, Shift, cc};
use super::emit_fp::host_round;
use super::float_checks::{Step, Target};
use super::generator::{Gen, SCRATCH_XMM};
use super::{Gpr, Xmm};

/// Digits of a double that a single does not have.
const SURPLUS: u8 = 29;

/// The smallest normal half-precision number.
const LEAST_HALF: i32 = 1 << 10;

impl Gen<'_> {
    /// Emits a conversion between formats; false if it is left to its definition. `in_mode`: it rounds as the host does.
    pub(super) fn emit_convert(&mut self, inst: &Inst, in_mode: bool) -> bool {
        debug_assert_eq!(inst.op, Op::Fcvt);
        let round = inst.attr.round();
        match (self.arg_ty(0), result_ty(inst)) {
            (Ty::I32, Ty::I64) => self.convert_on_host(inst, 2),
            (Ty::I64, Ty::I32) if in_mode => self.convert_on_host(inst, 3),
            (Ty::I64, Ty::I32) if round == Round::Zero => self.cut_double(inst),
            (Ty::I16, Ty::I32 | Ty::I64) if self.features.f16c => self.convert_half(inst),
            (Ty::I32, Ty::I16) if self.features.f16c && (in_mode || host_round(round).is_some()) => {
                self.convert_to_half(inst, in_mode);
            }
            (Ty::I64, Ty::I16) if self.features.f16c && in_mode => self.convert_to_half(inst, true),
            _ => return false,
        }
        true
    }

    /// `vcvtss2sd`, `vcvtsd2ss`.
    fn convert_on_host(&mut self, inst: &Inst, pp: u8) {
        let x = self.operands_in_xmm(1);
        let d = self.def_apart(&x);
        self.keep_host_flags(inst);
        self.vex(pp, 0x5a, d, x[0], x[0]);
        self.check_scalar(inst, result_ty(inst).bits(), &x, d);
        self.box_result();
    }

    /// A double as a single, toward zero. The host raises inexact as it rounds in its way; what could raise more is left to cold code.
    fn cut_double(&mut self, inst: &Inst) {
        let x = self.operands_in_xmm(1)[0];
        let d = self.def_apart(&[x]);
        let (t, exponent) = (self.temp_gpr(), self.temp_gpr());
        let (label, back) = self.redo(self.step(inst, &[x], Target::Xmm(d)));
        self.asm.mov_rx(8, t, x);
        self.asm.mov_rr(8, exponent, t);
        self.asm.alu_rr(Alu::Add, 8, exponent, t);
        let zero = self.asm.jcc_short(cc::E);
        self.asm.shift_ri(Shift::Shr, 8, exponent, 53);
        // From the smallest normal single to half of the range's end, which none is rounded to.
        self.asm.alu_ri(Alu::Sub, 4, exponent, 1023 - 126);
        self.asm.alu_ri(Alu::Cmp, 4, exponent, 126 + 127);
        self.asm.jcc(cc::AE, label);
        self.asm.land(zero);
        self.vex(3, 0x5a, SCRATCH_XMM, x, x); // vcvtsd2ss
        self.asm.shift_ri(Shift::Shr, 8, t, SURPLUS);
        self.asm.shift_ri(Shift::Shl, 8, t, SURPLUS);
        self.asm.mov_xr(8, SCRATCH_XMM, t);
        self.clean_register(d);
        self.vex(3, 0x5a, d, d, SCRATCH_XMM);
        self.asm.bind(back);
        self.box_result();
    }

    /// Zeros above the half, so that they raise nothing, and above the result.
    fn convert_half(&mut self, inst: &Inst) {
        let r = self.use_gpr(self.arg(0));
        let d = self.def_xmm(0);
        let t = self.temp_gpr();
        let step = Step { first_general: true, ..self.step(inst, &[r], Target::Xmm(d)) };
        let redo = (!self.quiets_as_host(inst)).then(|| self.redo(step));
        self.asm.zext_rr(2, t, r);
        self.asm.mov_xr(4, d, t);
        self.asm.vex_rr(2, 1, 4, 0x13, d, 0, d); // vcvtph2ps
        if let Some((label, _)) = redo {
            self.unordered_compare(32, false, d, d);
            self.asm.jcc(cc::P, label);
        }
        if result_ty(inst) == Ty::I64 {
            self.vex(2, 0x5a, d, d, d); // vcvtss2sd
        }
        if let Some((_, back)) = redo {
            self.asm.bind(back);
        }
        self.box_result();
    }

    fn convert_to_half(&mut self, inst: &Inst, in_mode: bool) {
        let x = self.operands_in_xmm(1)[0];
        let d = self.def_gpr_early();
        let (from, single, t) = (self.arg_ty(0).bits(), self.temp_xmm(), self.temp_gpr());
        let (label, back) = self.redo(self.step(inst, &[x], Target::Gpr(d)));
        if !self.quiets_as_host(inst) {
            self.unordered_compare(from, false, x, x);
            self.asm.jcc(cc::P, label);
        }
        if from == 64 {
            self.single_for_half(single, x, (d, t));
        } else {
            self.clean_copy(32, single, x);
        }
        let round = if in_mode { Round::Mode } else { inst.attr.round() };
        self.asm.vex_rr(3, 1, 4, 0x1d, single, 0, single); // vcvtps2ph
        self.asm.byte(host_round(round).unwrap_or(4));
        self.asm.mov_rx(4, d, single);
        self.check_least_half(d, t, label);
        self.asm.bind(back);
    }

    /// `d` = the double `x` as a single that rounds to the same half, with zeros above.
    fn single_for_half(&mut self, d: Xmm, x: Xmm, (t, lost): (Gpr, Gpr)) {
        let all = (1 << SURPLUS) - 1;
        self.asm.mov_rx(8, t, x);
        self.asm.mov_rr(8, lost, t);
        self.asm.alu_ri(Alu::And, 8, lost, all);
        self.asm.alu_ri(Alu::Add, 8, lost, all);
        self.asm.alu_rr(Alu::Or, 8, t, lost);
        self.asm.shift_ri(Shift::Shr, 8, t, SURPLUS);
        self.asm.shift_ri(Shift::Shl, 8, t, SURPLUS);
        self.asm.mov_xr(8, SCRATCH_XMM, t);
        self.asm.const_xmm(d, 0);
        self.vex(3, 0x5a, d, d, SCRATCH_XMM); // vcvtsd2ss
    }

    /// To the smallest normal number the host may have rounded without a word of underflow.
    fn check_least_half(&mut self, d: Gpr, t: Gpr, label: Label) {
        if self.an.exact_underflow && self.guest.fp.tininess == Tininess::Before {
            self.asm.mov_rr(4, t, d);
            self.asm.alu_ri(Alu::And, 4, t, 0x7fff);
            self.asm.alu_ri(Alu::Cmp, 4, t, LEAST_HALF);
            self.asm.jcc(cc::E, label);
        }
    }
}
