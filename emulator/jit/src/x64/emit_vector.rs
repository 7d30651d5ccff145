//! Lane operations on vector registers, two-address SSE forms. What has no short sequence is left to the interpreter.
//!
//! A 64-bit vector is the low half of a register whose upper half is undefined.

use ir::Ty;
use ir::inst::{Inst, Op};

use super::Xmm;
use super::generator::{Gen, SCRATCH_XMM};

/// No such instruction.
const NO_OP: u32 = 0;

/// Opcodes (after 66) by log2 of the lane's bytes.
const fn by_lane(op: Op) -> [u32; 4] {
    match op {
        Op::Vadd => [0x0ffc, 0x0ffd, 0x0ffe, 0x0fd4],
        Op::Vsub => [0x0ff8, 0x0ff9, 0x0ffa, 0x0ffb],
        Op::Vmul => [NO_OP, 0x0fd5, 0x0f_3840, NO_OP],
        Op::Vaddsu => [0x0fdc, 0x0fdd, NO_OP, NO_OP],
        Op::Vaddss => [0x0fec, 0x0fed, NO_OP, NO_OP],
        Op::Vsubsu => [0x0fd8, 0x0fd9, NO_OP, NO_OP],
        Op::Vsubss => [0x0fe8, 0x0fe9, NO_OP, NO_OP],
        Op::Vminu => [0x0fda, 0x0f_383a, 0x0f_383b, NO_OP],
        Op::Vmaxu => [0x0fde, 0x0f_383e, 0x0f_383f, NO_OP],
        Op::Vmins => [0x0f_3838, 0x0fea, 0x0f_3839, NO_OP],
        Op::Vmaxs => [0x0f_383c, 0x0fee, 0x0f_383d, NO_OP],
        Op::Veq => [0x0f74, 0x0f75, 0x0f76, 0x0f_3829],
        Op::Vgts => [0x0f64, 0x0f65, 0x0f66, 0x0f_3837],
        Op::Vavgu => [0x0fe0, 0x0fe3, NO_OP, NO_OP],
        Op::Vabs => [0x0f_381c, 0x0f_381d, 0x0f_381e, NO_OP],
        // From here on `lane` is the narrow width.
        Op::Vwidenu => [0x0f_3830, 0x0f_3833, 0x0f_3835, NO_OP],
        Op::Vwidens => [0x0f_3820, 0x0f_3823, 0x0f_3825, NO_OP],
        Op::Vnarrowss => [0x0f63, 0x0f6b, NO_OP, NO_OP],
        Op::Vnarrowsu => [0x0f67, 0x0f_382b, NO_OP, NO_OP],
        _ => [NO_OP; 4],
    }
}

pub(super) const PSHUFB: u32 = 0x0f_3800;
pub(super) const PXOR: u32 = 0x0fef;
pub(super) const PAND: u32 = 0x0fdb;
pub(super) const POR: u32 = 0x0feb;
pub(super) const PUNPCKLQDQ: u32 = 0x0f6c;
pub(super) const PCMPEQD: u32 = 0x0f76;

/// The same value in every lane.
pub(super) fn every(lane: u32, value: u64) -> u128 {
    (0..128 / lane).fold(0, |all, _| all << (lane % 128) | u128::from(value))
}

impl Gen<'_> {
    /// Emits a lane operation; false if it has no host code.
    pub(super) fn emit_vector(&mut self, inst: &Inst) -> bool {
        if !self.features.sse41 || !self.features.sse42 {
            return false;
        }
        let lane = inst.attr.lane();
        let opcode = by_lane(inst.op)[(lane / 8).trailing_zeros().min(3) as usize];
        match inst.op {
            Op::Vabs | Op::Vwidenu | Op::Vwidens if opcode != NO_OP => {
                let a = self.use_xmm(self.arg(0));
                let d = self.def_xmm(0);
                self.sse(opcode, d, a);
            }
            Op::Vnarrowss | Op::Vnarrowsu if opcode != NO_OP => {
                let d = self.def_xmm_from(self.arg(0), 0);
                self.sse(opcode, d, d);
            }
            _ if opcode != NO_OP => self.two_operands(opcode),
            Op::Vgtu => self.emit_greater_unsigned(lane),
            Op::Vshl | Op::Vshr | Op::Vsar if self.shifts_by_lanes(inst.op, lane) => {
                self.emit_lane_shift(inst.op, lane)
            }
            Op::Vshli | Op::Vshri | Op::Vsari => return self.emit_lane_shift_const(inst, lane),
            Op::Vsel => self.emit_bit_select(),
            Op::Splat => self.emit_splat(lane),
            Op::Vget => self.emit_get_lane(inst),
            Op::Vset => self.emit_set_lane(inst),
            Op::Vshuf => self.emit_shuffle(inst),
            Op::Vtbl if inst.attr.imm() == 1 => self.two_operands(PSHUFB),
            Op::Vtbl => {
                let index = self.copy_xmm(self.arg(1));
                // Indexes above 15 get their top bit, which selects zero.
                self.sse_const(0x0fdc, index, every(8, 0x70));
                let d = self.def_xmm_from(self.arg(0), 0);
                self.sse(PSHUFB, d, index);
            }
            Op::Vnarrow => self.emit_narrow(lane),
            Op::Vnarrowuu if lane < 32 => self.emit_narrow_unsigned(lane),
            Op::Vmullu | Op::Vmulls => return self.emit_multiply_long(inst, lane),
            _ => return self.emit_lane_sequence(inst, lane),
        }
        true
    }

    /// `66 opcode d, s`.
    pub(super) fn sse(&mut self, opcode: u32, d: Xmm, s: Xmm) {
        self.asm.op_prefixed_rr(0x66, 4, opcode, d, s);
    }

    /// The same with a constant.
    pub(super) fn sse_const(&mut self, opcode: u32, d: Xmm, value: u128) {
        self.asm.op_pool(opcode, d, value, &[]);
    }

    /// `66 opcode /digit imm8`.
    pub(super) fn sse_shift(&mut self, opcode: u32, digit: u8, d: Xmm, amount: u32) {
        self.sse(opcode, digit, d);
        self.asm.byte(amount.min(255) as u8);
    }

    fn two_operands(&mut self, opcode: u32) {
        let (a, b) = (self.arg(0), self.arg(1));
        let rb = self.use_xmm(b);
        let d = self.def_xmm_from(a, if a == b { 0 } else { 1 << rb });
        self.sse(opcode, d, rb);
    }

    /// a > b: not min(a, b) == a; of 64 bits, signed with the signs flipped.
    fn emit_greater_unsigned(&mut self, lane: u32) {
        let (a, b) = (self.arg(0), self.arg(1));
        let t = self.copy_xmm(a);
        if lane == 64 {
            let u = self.copy_xmm(b);
            self.asm.const_xmm(SCRATCH_XMM, every(64, 1 << 63));
            self.sse(PXOR, t, SCRATCH_XMM);
            self.sse(PXOR, u, SCRATCH_XMM);
            self.sse(0x0f_3837, t, u);
        } else {
            let (ra, rb) = (self.use_xmm(a), self.use_xmm(b));
            let k = (lane / 8).trailing_zeros() as usize;
            self.sse(by_lane(Op::Vminu)[k], t, rb);
            self.sse(by_lane(Op::Veq)[k], t, ra);
            self.sse(PCMPEQD, SCRATCH_XMM, SCRATCH_XMM);
            self.sse(PXOR, t, SCRATCH_XMM);
        }
        self.result_xmm(t);
    }

    // ------------------------------------------------------------------ shifts
    /// By lanes of a register: the host has it, saturating as ours, for 32 and 64 bits.
    fn shifts_by_lanes(&self, op: Op, lane: u32) -> bool {
        self.features.avx2 && lane >= 32 && (op, lane) != (Op::Vsar, 64)
    }

    fn emit_lane_shift(&mut self, op: Op, lane: u32) {
        let opcode = match op {
            Op::Vshl => 0x47,
            Op::Vshr => 0x45,
            _ => 0x46,
        };
        let (a, n) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)));
        let d = self.def_xmm(0);
        self.asm.vex_rr(2, 1, lane / 8, opcode, d, a, n);
    }

    fn emit_lane_shift_const(&mut self, inst: &Inst, lane: u32) -> bool {
        let amount = inst.attr.imm();
        let digit = match inst.op {
            Op::Vshli => 6,
            Op::Vshri => 2,
            _ => 4,
        };
        let d = self.def_xmm_from(self.arg(0), 0);
        let group = match lane {
            64 => 0x0f73,
            32 => 0x0f72,
            _ => 0x0f71,
        };
        match (lane, inst.op) {
            (8, _) => self.shift_bytes(inst.op, d, amount),
            (64, Op::Vsari) => {
                // Sign words, shifted in from above.
                self.asm.const_xmm(SCRATCH_XMM, 0);
                self.sse(0x0f_3837, SCRATCH_XMM, d);
                self.sse_shift(group, 2, d, amount);
                self.sse_shift(group, 6, SCRATCH_XMM, 64 - amount);
                self.sse(POR, d, SCRATCH_XMM);
            }
            _ => self.sse_shift(group, digit, d, amount),
        }
        true
    }

    /// The host shifts no bytes: words, with what crossed masked off.
    fn shift_bytes(&mut self, op: Op, d: Xmm, amount: u32) {
        let amount = if op == Op::Vsari { amount.min(7) } else { amount };
        if amount >= 8 {
            return self.asm.const_xmm(d, 0);
        }
        if op == Op::Vshli {
            self.sse_shift(0x0f71, 6, d, amount);
            return self.sse_const(PAND, d, every(8, 0xff << amount & 0xff));
        }
        self.sse_shift(0x0f71, 2, d, amount);
        self.sse_const(PAND, d, every(8, 0xff >> amount));
        if op == Op::Vsari {
            // (x ^ s) - s extends from the sign bit's new place.
            self.asm.const_xmm(SCRATCH_XMM, every(8, 0x80 >> amount));
            self.sse(PXOR, d, SCRATCH_XMM);
            self.sse(0x0ff8, d, SCRATCH_XMM);
        }
    }

    // ------------------------------------------------------------------ bits
    /// (a & b) | (~a & c) = ((b ^ c) & a) ^ c
    fn emit_bit_select(&mut self) {
        let t = self.copy_xmm(self.arg(1));
        let (a, c) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(2)));
        self.sse(PXOR, t, c);
        self.sse(PAND, t, a);
        self.sse(PXOR, t, c);
        self.result_xmm(t);
    }

    // ------------------------------------------------------------------ lanes
    fn emit_splat(&mut self, lane: u32) {
        let v = self.arg(0);
        let d = if self.in_xmm(v) {
            self.def_xmm_from(v, 0)
        } else {
            let r = self.use_gpr(v);
            let d = self.def_xmm(0);
            self.asm.mov_xr(8, d, r);
            d
        };
        match lane {
            8 => {
                self.asm.const_xmm(SCRATCH_XMM, 0);
                self.sse(PSHUFB, d, SCRATCH_XMM);
            }
            16 => {
                self.asm.op_prefixed_rr(0xf2, 4, 0x0f70, d, d); // pshuflw
                self.asm.byte(0);
                self.sse(PUNPCKLQDQ, d, d);
            }
            32 => {
                self.sse(0x0f70, d, d); // pshufd
                self.asm.byte(0);
            }
            _ => self.sse(PUNPCKLQDQ, d, d),
        }
    }

    fn emit_get_lane(&mut self, inst: &Inst) {
        let index = inst.attr.imm() as u8;
        let a = self.use_xmm(self.arg(0));
        if self.wants_xmm() {
            let d = self.def_xmm_from(self.arg(0), 0);
            let bytes = index * inst.ty.bytes() as u8;
            if bytes != 0 {
                self.sse_shift(0x0f73, 3, d, u32::from(bytes)); // psrldq
            }
            return;
        }
        let d = self.def_gpr(0);
        match (inst.ty, index) {
            (Ty::I64, 0) => self.asm.mov_rx(8, d, a),
            (Ty::I32, 0) => self.asm.mov_rx(4, d, a),
            (ty, _) => {
                let (size, opcode) = match ty {
                    Ty::I64 => (8, 0x0f_3a16),
                    Ty::I32 => (4, 0x0f_3a16),
                    Ty::I16 => (4, 0x0f_3a15),
                    _ => (4, 0x0f_3a14),
                };
                self.asm.op_prefixed_rr(0x66, size, opcode, a, d); // pextr
                self.asm.byte(index);
            }
        }
    }

    fn emit_set_lane(&mut self, inst: &Inst) {
        let index = inst.attr.imm() as u8;
        let lane = self.arg_ty(1);
        let v = self.arg(1);
        if lane == Ty::I64 && self.in_xmm(v) {
            let x = self.use_xmm(v);
            let d = self.def_xmm_from(self.arg(0), 1 << x);
            match index {
                0 => self.asm.op_prefixed_rr(0xf2, 4, 0x0f10, d, x), // movsd
                _ => self.sse(PUNPCKLQDQ, d, x),
            }
            return;
        }
        let r = self.use_gpr(v);
        let d = self.def_xmm_from(self.arg(0), 0);
        let (size, opcode) = match lane {
            Ty::I64 => (8, 0x0f_3a22),
            Ty::I32 => (4, 0x0f_3a22),
            Ty::I16 => (4, 0x0fc4),
            _ => (4, 0x0f_3a20),
        };
        self.asm.op_prefixed_rr(0x66, size, opcode, d, r); // pinsr
        self.asm.byte(index);
    }

    // ------------------------------------------------------------------ changes of width
    fn emit_narrow(&mut self, lane: u32) {
        let bytes = lane / 8;
        let pattern =
            (0..8).rev().fold(u128::from(u64::MAX), |p, i| p << 8 | u128::from(i / bytes * 2 * bytes + i % bytes));
        let d = self.def_xmm_from(self.arg(0), 0);
        self.sse_const(PSHUFB, d, pattern);
    }

    /// The host's packing saturates signed numbers.
    fn emit_narrow_unsigned(&mut self, lane: u32) {
        let (min, pack, limit) = if lane == 8 { (0x0f_383a, 0x0f67, 0xff) } else { (0x0f_383b, 0x0f_382b, 0xffff) };
        let d = self.def_xmm_from(self.arg(0), 0);
        self.sse_const(min, d, every(2 * lane, limit));
        self.sse(pack, d, d);
    }

    fn emit_multiply_long(&mut self, inst: &Inst, lane: u32) -> bool {
        let signed = inst.op == Op::Vmulls;
        let k = (lane / 8).trailing_zeros() as usize;
        let widen = by_lane(if signed { Op::Vwidens } else { Op::Vwidenu })[k.min(3)];
        let multiply = match lane {
            8 => 0x0fd5,
            16 => 0x0f_3840,
            32 if signed => 0x0f_3828,
            32 => 0x0ff4,
            _ => return false,
        };
        let (a, b) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)));
        let t = self.temp_xmm();
        self.sse(widen, t, a);
        self.sse(widen, SCRATCH_XMM, b);
        self.sse(multiply, t, SCRATCH_XMM);
        self.result_xmm(t);
        true
    }
}
