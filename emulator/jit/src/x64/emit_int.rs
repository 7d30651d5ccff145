//! Integer operations.

use ir::Ty;
use ir::inst::{Inst, Op};

use super::Gpr;
use super::analysis::{CondKind, result_ty};
use super::asm::{Alu, Mem, RAX, RDX, Shift, cc};
use super::emit_lanes::{LEFT, RIGHT};
use super::emit_vector::POR;
use super::generator::{Gen, Operand, SCRATCH_XMM};

impl Gen<'_> {
    /// Emits an integer operation; false if it has no host code here.
    pub(super) fn emit_int(&mut self, inst: &Inst) -> bool {
        if inst.ty == Ty::I128 {
            return self.emit_wide(inst);
        }
        if inst.ty == Ty::I1 {
            return self.emit_bit(inst);
        }
        let exact = matches!(inst.ty, Ty::I32 | Ty::I64);
        if exact && self.emit_logic_in_xmm(inst) {
            return true;
        }
        match inst.op {
            Op::Add => self.emit_add(inst),
            Op::Sub => self.emit_sub(inst),
            Op::And => self.emit_and(inst),
            Op::Or => self.emit_commutative(Alu::Or, inst),
            Op::Xor => self.emit_commutative(Alu::Xor, inst),
            Op::Andn => self.emit_andn(inst),
            Op::Not => self.emit_unary(2, inst),
            Op::Neg => self.emit_unary(3, inst),
            Op::Mul => self.emit_mul(inst),
            Op::Mulhu | Op::Mulhs if exact => self.emit_mul_high(inst),
            Op::Divu | Op::Remu if exact => self.emit_div_u(inst),
            Op::Divs | Op::Rems if exact => self.emit_div_s(inst),
            Op::Shl | Op::Shr | Op::Sar => self.emit_shift(inst),
            Op::Rotr if inst.ty != Ty::I1 => self.emit_rotate(inst),
            Op::Clz | Op::Ctz if exact => self.emit_count_zeros(inst),
            Op::Popcnt if inst.ty != Ty::I1 && self.features.popcnt => {
                let a = self.shift_source(Shift::Shr, self.arg(0), inst.ty);
                let d = self.def_gpr(0);
                self.asm.op_prefixed_rr(0xf3, Self::size(inst.ty), 0x0fb8, d, a);
            }
            Op::Bswap if exact => {
                let d = self.def_from(self.arg(0), 0);
                self.asm.bswap(inst.ty.bytes(), d);
            }
            Op::Rbit if exact => self.emit_reverse_bits(inst),
            Op::Zext => self.emit_zext(inst),
            Op::Sext => self.emit_sext(inst),
            Op::Bfx | Op::Bfxs => self.emit_field(inst),
            Op::Bfi if exact => self.emit_insert(inst),
            Op::Concat => self.emit_concat(inst),
            Op::Adc | Op::Sbb => self.emit_sum(inst),
            Op::Carry | Op::Borrow | Op::Ovadd | Op::Ovsub => self.emit_carry_out(inst),
            Op::Eq | Op::Ne | Op::Ltu | Op::Leu | Op::Lts | Op::Les => return self.emit_compare(inst),
            Op::Pdep | Op::Pext if exact && self.features.bmi2 => self.emit_by_mask(inst),
            Op::Crc32 if self.features.sse42 && inst.attr.imm() == 1 => self.emit_crc32c(inst),
            Op::Crc32 if self.features.pclmul => self.emit_crc32(inst),
            _ => return false,
        }
        true
    }

    /// Size of the host operation for a type: narrow ones are done on 32 bits.
    pub(super) fn size(ty: Ty) -> u32 {
        if ty == Ty::I64 { 8 } else { 4 }
    }

    /// The result register, starting as a copy of operand `v`; `avoid` are registers read later.
    pub(super) fn def_from(&mut self, v: u32, avoid: u32) -> Gpr {
        let s = self.use_gpr(v);
        let d = self.def_gpr(avoid);
        if d != s {
            self.asm.mov_rr(8, d, s);
        }
        d
    }

    pub(super) fn mask_of(operand: Operand) -> u32 {
        match operand {
            Operand::Reg(r) => 1 << r,
            _ => 0,
        }
    }

    // ------------------------------------------------------------------ sums and logic
    fn emit_add(&mut self, inst: &Inst) {
        if self.wants_flags() {
            return self.emit_sum(inst);
        }
        let size = Self::size(inst.ty);
        if let Some((base, index, scale)) = self.an.scaled_sum(self.unit, inst) {
            let (base, index) = (self.use_gpr(base), self.use_gpr(index));
            let d = self.def_gpr(0);
            return self.asm.lea(size, d, Mem { base, index, scale, disp: 0, narrow: false });
        }
        let (a, b) = (self.arg(0), self.arg(1));
        let ra = self.use_gpr(a);
        match self.operand(b, inst.ty) {
            Operand::Imm(k) if self.moves_base(inst, a, ra, k) => {
                self.result_gpr(ra);
                self.asm.alu_ri(Alu::Add, size, ra, k);
            }
            Operand::Imm(k) => {
                let d = self.def_gpr(0);
                if d == ra {
                    self.asm.alu_ri(Alu::Add, size, d, k);
                } else {
                    self.asm.lea(size, d, Mem::base(ra, k));
                }
            }
            Operand::Reg(rb) => {
                let d = self.def_gpr(0);
                if d == ra {
                    self.asm.alu_rr(Alu::Add, size, d, rb);
                } else if d == rb {
                    self.asm.alu_rr(Alu::Add, size, d, ra);
                } else {
                    // `rbp` and `r13` as base would cost a displacement byte.
                    let (base, index) = if ra & 7 == 5 { (rb, ra) } else { (ra, rb) };
                    self.asm.lea(size, d, Mem { base, index, scale: 0, disp: 0, narrow: false });
                }
            }
            Operand::Mem(m) => {
                let d = self.def_gpr(0);
                if d != ra {
                    self.asm.mov_rr(size, d, ra);
                }
                self.asm.alu_rm(Alu::Add, size, d, m);
            }
        }
    }

    fn emit_sub(&mut self, inst: &Inst) {
        if self.wants_flags() {
            return self.emit_sum(inst);
        }
        let size = Self::size(inst.ty);
        let (a, b) = (self.arg(0), self.arg(1));
        if self.constant(a).is_some_and(|k| k & inst.ty.mask() == 0) {
            let d = self.def_from(b, 0);
            self.asm.unary(3, size, d);
            return;
        }
        let ra = self.use_gpr(a);
        match self.operand(b, inst.ty) {
            Operand::Imm(k) if k != i32::MIN => {
                let d = self.def_gpr(0);
                if d == ra {
                    self.asm.alu_ri(Alu::Sub, size, d, k);
                } else {
                    self.asm.lea(size, d, Mem::base(ra, -k));
                }
            }
            b => {
                let d = self.def_gpr(Self::mask_of(b));
                if d != ra {
                    self.asm.mov_rr(size, d, ra);
                }
                self.alu(Alu::Sub, size, d, b);
                if inst.ty.bits() >= 32 {
                    self.result_flags = Some((CondKind::Cmp, inst.ty, self.arg(0), self.arg(1)));
                }
            }
        }
    }

    fn emit_and(&mut self, inst: &Inst) {
        let b = self.arg(1);
        let (Some(k), true) = (self.constant(b), inst.ty == Ty::I64) else {
            return self.emit_commutative(Alu::And, inst);
        };
        let k = k as u64;
        let a = self.arg(0);
        match k {
            0xff | 0xffff | 0xffff_ffff => {
                let ra = self.use_gpr(a);
                let d = self.def_gpr(0);
                self.asm.zext_rr(k.count_ones() / 8, d, ra);
            }
            // A mask of the low 32 bits: the 32-bit operation clears the rest.
            _ if k <= 0xffff_ffff => {
                let ra = self.use_gpr(a);
                let d = self.def_gpr(0);
                if d != ra {
                    self.asm.mov_rr(4, d, ra);
                }
                self.asm.alu_ri(Alu::And, 4, d, k as i32);
            }
            _ => self.emit_commutative(Alu::And, inst),
        }
    }

    fn emit_commutative(&mut self, op: Alu, inst: &Inst) {
        let size = Self::size(inst.ty);
        let (mut a, mut b) = (self.arg(0), self.arg(1));
        if self.constant(a).is_some() {
            std::mem::swap(&mut a, &mut b);
        }
        let ra = self.use_gpr(a);
        let operand = match self.operand(b, inst.ty) {
            // Narrow types: the bits above stay what they are known to be.
            Operand::Imm(k) if inst.ty.bits() < 32 => Operand::Imm(k & inst.ty.mask() as i32),
            other => other,
        };
        let d = self.def_gpr(0);
        match operand {
            Operand::Reg(rb) if d == rb && d != ra => self.asm.alu_rr(op, size, d, ra),
            _ => {
                if d != ra {
                    self.asm.mov_rr(size, d, ra);
                }
                self.alu(op, size, d, operand);
            }
        }
    }

    fn emit_andn(&mut self, inst: &Inst) {
        let size = Self::size(inst.ty);
        let (a, b) = (self.arg(0), self.arg(1));
        if self.features.bmi1 && self.constant(a).is_none() {
            let (ra, rb) = (self.use_gpr(a), self.use_gpr(b));
            let d = self.def_gpr(0);
            self.asm.vex_rr(2, 0, size, 0xf2, d, rb, ra);
            return;
        }
        let rb = self.copy_gpr(b);
        self.asm.unary(2, size, rb);
        let ra = self.use_gpr(a);
        self.asm.alu_rr(Alu::And, size, rb, ra);
        self.result_gpr(rb);
    }

    fn emit_unary(&mut self, digit: u8, inst: &Inst) {
        let d = self.def_from(self.arg(0), 0);
        self.asm.unary(digit, Self::size(inst.ty), d);
    }

    // ------------------------------------------------------------------ products and quotients
    fn emit_mul(&mut self, inst: &Inst) {
        let size = Self::size(inst.ty);
        let ra = self.use_gpr(self.arg(0));
        match self.operand(self.arg(1), inst.ty) {
            Operand::Imm(k) => {
                let d = self.def_gpr(0);
                self.asm.imul_rri(size, d, ra, k);
            }
            Operand::Reg(rb) => {
                let d = self.def_gpr(0);
                if d == rb {
                    self.asm.imul_rr(size, d, ra);
                } else {
                    if d != ra {
                        self.asm.mov_rr(size, d, ra);
                    }
                    self.asm.imul_rr(size, d, rb);
                }
            }
            Operand::Mem(m) => {
                let d = self.def_gpr(0);
                if d != ra {
                    self.asm.mov_rr(size, d, ra);
                }
                self.asm.imul_rm(size, d, m);
            }
        }
    }

    /// The upper half of a product of words: that of 64 bits takes fewer operations than one in two registers.
    fn emit_mul_high_word(&mut self, signed: bool) {
        let (a, b) = (self.arg(0), self.arg(1));
        let factor = self.constant(b).map(|k| if signed { i64::from(k as u32 as i32) } else { i64::from(k as u32) });
        let ra = self.word_extended(a, signed);
        let rb = if factor.is_none() { self.word_extended(b, signed) } else { ra };
        let d = self.def_gpr_early();
        match factor {
            Some(k) if let Ok(k) = i32::try_from(k) => self.asm.imul_rri(8, d, ra, k),
            Some(k) => {
                self.asm.mov_ri(d, k as u64);
                self.asm.imul_rr(8, d, ra);
            }
            None => {
                self.asm.mov_rr(8, d, ra);
                self.asm.imul_rr(8, d, rb);
            }
        }
        self.asm.shift_ri(Shift::Shr, 8, d, 32);
    }

    /// A value of 32 bits, in a register that has its extension to 64.
    fn word_extended(&mut self, v: u32, signed: bool) -> Gpr {
        let r = self.use_gpr(v);
        if !signed && self.an.values[v as usize].clean <= 32 {
            return r;
        }
        let t = self.temp_gpr();
        if signed {
            self.asm.sext_rr(4, 8, t, r);
        } else {
            self.asm.mov_rr(4, t, r);
        }
        t
    }

    /// `rdx:rax = rax * b`.
    fn emit_mul_high(&mut self, inst: &Inst) {
        if inst.ty == Ty::I32 {
            return self.emit_mul_high_word(inst.op == Op::Mulhs);
        }
        let size = Self::size(inst.ty);
        self.copy_to(RAX, self.arg(0));
        let b = self.operand_beside_rdx(1);
        self.asm.unary(if inst.op == Op::Mulhu { 4 } else { 5 }, size, b);
        self.result_gpr(RDX);
    }

    /// Empties `rdx` and locks it; returns operand `k` in another register.
    fn operand_beside_rdx(&mut self, k: usize) -> Gpr {
        let v = self.arg(k);
        if self.loc_register(v) != Some(RDX) {
            self.fix_gpr(RDX);
            return self.use_gpr(v);
        }
        self.use_gpr(v);
        let t = self.temp_gpr();
        self.asm.mov_rr(8, t, RDX);
        self.vacate_locked(RDX);
        t
    }

    /// x / 0 = 0, x % 0 = x.
    fn emit_div_u(&mut self, inst: &Inst) {
        let size = Self::size(inst.ty);
        let quotient = inst.op == Op::Divu;
        self.copy_to(RAX, self.arg(0));
        let b = self.operand_beside_rdx(1);
        if self.constant(self.arg(1)).is_some_and(|k| k & inst.ty.mask() != 0) {
            self.asm.alu_rr(Alu::Xor, 4, RDX, RDX);
            self.asm.unary(6, size, b);
        } else if quotient {
            self.asm.alu_rr(Alu::Xor, 4, RDX, RDX);
            self.asm.test_rr(size, b, b);
            self.asm.cmov_rr(cc::E, 8, RAX, RDX);
            let skip = self.asm.jcc_short(cc::E);
            self.asm.unary(6, size, b);
            self.asm.land(skip);
        } else {
            self.asm.mov_rr(size, RDX, RAX);
            self.asm.test_rr(size, b, b);
            let skip = self.asm.jcc_short(cc::E);
            self.asm.alu_rr(Alu::Xor, 4, RDX, RDX);
            self.asm.unary(6, size, b);
            self.asm.land(skip);
        }
        self.result_gpr(if quotient { RAX } else { RDX });
    }

    /// x / 0 = 0, x % 0 = x, MIN / -1 = MIN, MIN % -1 = 0: for b in {0, -1} the quotient is -(a & b), the rest a & ~b.
    fn emit_div_s(&mut self, inst: &Inst) {
        let size = Self::size(inst.ty);
        let quotient = inst.op == Op::Divs;
        self.copy_to(RAX, self.arg(0));
        let b = self.operand_beside_rdx(1);
        let plain = self.an.imm32(self.unit, self.arg(1), inst.ty).is_some_and(|k| k != 0 && k != -1);
        let mut done = None;
        if !plain {
            self.asm.lea(size, RDX, Mem::base(b, 1));
            self.asm.alu_ri(Alu::Cmp, size, RDX, 1);
            let divide = self.asm.jcc_short(cc::A);
            if quotient {
                self.asm.alu_rr(Alu::And, size, RAX, b);
                self.asm.unary(3, size, RAX);
            } else {
                self.asm.mov_rr(size, RDX, b);
                self.asm.unary(2, size, RDX);
                self.asm.alu_rr(Alu::And, size, RDX, RAX);
            }
            done = Some(self.asm.jmp_short());
            self.asm.land(divide);
        }
        if size == 8 {
            self.asm.byte(0x48);
        }
        self.asm.byte(0x99); // cdq, cqo
        self.asm.unary(7, size, b);
        if let Some(done) = done {
            self.asm.land(done);
        }
        self.result_gpr(if quotient { RAX } else { RDX });
    }

    // ------------------------------------------------------------------ comparisons
    /// A comparison that could not be deferred (its operands are comparisons).
    fn emit_compare(&mut self, inst: &Inst) -> bool {
        let code = match inst.op {
            Op::Eq => cc::E,
            Op::Ne => cc::NE,
            Op::Ltu => cc::B,
            Op::Leu => cc::BE,
            Op::Lts => cc::L,
            _ => cc::LE,
        };
        let a = self.use_gpr(self.arg(0));
        let b = self.operand(self.arg(1), inst.ty);
        let d = self.def_gpr_early();
        self.alu(Alu::Cmp, inst.ty.bytes(), a, b);
        self.asm.setcc(code, d);
        self.asm.zext_rr(1, d, d);
        true
    }

    /// An operation on two bits; those of comparisons are joined as they are set.
    fn emit_both(&mut self, op: Alu, inst: &Inst) {
        let both = [self.arg(0), self.arg(1)];
        if both.iter().all(|v| self.an.cond(*v).is_some()) {
            let [d, other] = both.map(|v| {
                let code = self.condition(v);
                let r = self.temp_gpr();
                self.asm.setcc(code, r);
                r
            });
            self.asm.alu_rr(op, 1, d, other);
            self.asm.zext_rr(1, d, d);
            self.result_gpr(d);
        } else {
            self.emit_commutative(op, inst);
        }
    }

    /// One-bit logic: values are 0 or 1.
    fn emit_bit(&mut self, inst: &Inst) -> bool {
        match inst.op {
            Op::And => self.emit_both(Alu::And, inst),
            Op::Or => self.emit_both(Alu::Or, inst),
            Op::Xor | Op::Ne => self.emit_both(Alu::Xor, inst),
            Op::Not => {
                let d = self.def_from(self.arg(0), 0);
                self.asm.alu_ri(Alu::Xor, 4, d, 1);
            }
            Op::Eq => {
                let t = self.copy_gpr(self.arg(0));
                let b = self.use_gpr(self.arg(1));
                self.asm.alu_rr(Alu::Xor, 4, t, b);
                self.asm.alu_ri(Alu::Xor, 4, t, 1);
                self.result_gpr(t);
            }
            Op::Andn => {
                let t = self.copy_gpr(self.arg(1));
                let a = self.use_gpr(self.arg(0));
                self.asm.alu_ri(Alu::Xor, 4, t, 1);
                self.asm.alu_rr(Alu::And, 4, t, a);
                self.result_gpr(t);
            }
            Op::Trunc => {
                if self.arg_ty(0) == Ty::I128 {
                    let r = self.use_gpr(self.arg(0));
                    let d = self.def_gpr(0);
                    self.asm.mov_rr(4, d, r);
                    self.asm.alu_ri(Alu::And, 4, d, 1);
                } else {
                    let d = self.def_from(self.arg(0), 0);
                    self.asm.alu_ri(Alu::And, 4, d, 1);
                }
            }
            Op::Zext | Op::Sext => {
                self.def_from(self.arg(0), 0);
            }
            _ => return false,
        }
        true
    }

    // ------------------------------------------------------------------ 128 bits
    fn emit_wide(&mut self, inst: &Inst) -> bool {
        // The type of comparisons is that of their operands.
        if result_ty(inst) != Ty::I128 {
            return self.emit_wide_equality(inst);
        }
        let opcode = match inst.op {
            Op::And => 0xdb,
            Op::Or => 0xeb,
            Op::Xor => 0xef,
            Op::Andn => 0xdf,
            Op::Zext => {
                self.emit_zext_wide();
                return true;
            }
            Op::Concat => {
                let low = self.arg(0);
                let high = self.use_xmm(self.arg(1));
                let d = self.def_xmm_from(low, 1 << high);
                self.asm.op_prefixed_rr(0x66, 4, 0x0f6c, d, high); // punpcklqdq
                return true;
            }
            Op::Clmul if self.features.pclmul => {
                let b = self.use_xmm(self.arg(1));
                let d = self.def_xmm_from(self.arg(0), if self.arg(0) == self.arg(1) { 0 } else { 1 << b });
                self.sse(0x0f_3a44, d, b); // pclmulqdq
                self.asm.byte(0);
                return true;
            }
            Op::Shl | Op::Shr => return self.emit_wide_shift(inst.op),
            Op::Not => {
                let a = self.use_xmm(self.arg(0));
                let ones = self.temp_xmm();
                self.asm.op_prefixed_rr(0x66, 4, 0x0f76, ones, ones); // pcmpeqd
                self.asm.op_prefixed_rr(0x66, 4, 0x0fef, ones, a);
                self.result_xmm(ones);
                return true;
            }
            _ => return false,
        };
        // pandn complements its destination: a & ~b is pandn with the operands exchanged.
        let (first, second) = if inst.op == Op::Andn { (self.arg(1), self.arg(0)) } else { (self.arg(0), self.arg(1)) };
        let b = self.use_xmm(second);
        let d = self.def_xmm_from(first, if first == second { 0 } else { 1 << b });
        self.asm.op_prefixed_rr(0x66, 4, 0x0f00 | opcode, d, b);
        true
    }

    /// By a constant: whole bytes, and what then is left in each half, with what crosses between them.
    fn emit_wide_shift(&mut self, op: Op) -> bool {
        let Some(amount) = self.constant(self.arg(1)) else { return false };
        let left = op == Op::Shl;
        let (bytes, bits, across) = if left { (7, LEFT, RIGHT) } else { (3, RIGHT, LEFT) };
        let d = self.def_xmm_from(self.arg(0), 0);
        match u32::try_from(amount).unwrap_or(128) {
            128.. => self.asm.const_xmm(d, 0),
            k if k % 8 == 0 => self.sse_shift(0x0f73, bytes, d, k / 8), // pslldq, psrldq
            k if k > 64 => {
                self.sse_shift(0x0f73, bytes, d, 8);
                self.shift_lanes(64, bits, d, k - 64);
            }
            k => {
                self.asm.mov_xx(SCRATCH_XMM, d);
                self.sse_shift(0x0f73, bytes, SCRATCH_XMM, 8);
                self.shift_lanes(64, across, SCRATCH_XMM, 64 - k);
                self.shift_lanes(64, bits, d, k);
                self.sse(POR, d, SCRATCH_XMM);
            }
        }
        true
    }

    fn emit_wide_equality(&mut self, inst: &Inst) -> bool {
        if !matches!(inst.op, Op::Eq | Op::Ne) || !self.features.sse41 {
            return false;
        }
        let (a, b) = if self.constant(self.arg(0)) == Some(0) { (1, 0) } else { (0, 1) };
        let differs = if self.constant(self.arg(b)) == Some(0) {
            self.use_xmm(self.arg(a))
        } else {
            let differs = self.copy_xmm(self.arg(a));
            let b = self.use_xmm(self.arg(b));
            self.asm.op_prefixed_rr(0x66, 4, 0x0fef, differs, b); // pxor
            differs
        };
        let d = self.def_gpr(0);
        self.asm.op_prefixed_rr(0x66, 4, 0x0f_3817, differs, differs); // ptest
        self.asm.setcc(if inst.op == Op::Eq { cc::E } else { cc::NE }, d);
        self.asm.zext_rr(1, d, d);
        true
    }

    fn emit_zext_wide(&mut self) {
        let (v, from) = (self.arg(0), self.arg_ty(0));
        match from {
            Ty::I64 | Ty::I32 if self.in_xmm(v) => {
                let s = self.use_xmm(v);
                if from == Ty::I64 {
                    let d = self.def_xmm(0);
                    self.asm.op_prefixed_rr(0xf3, 4, 0x0f7e, d, s); // movq
                } else {
                    let d = self.def_xmm(1 << s);
                    self.asm.const_xmm(d, 0);
                    self.asm.op_prefixed_rr(0xf3, 4, 0x0f10, d, s); // movss keeps the rest
                }
            }
            Ty::I64 | Ty::I32 => {
                let s = self.use_gpr(v);
                let d = self.def_xmm(0);
                self.asm.mov_xr(from.bytes(), d, s);
            }
            _ => {
                let s = self.use_gpr(v);
                let t = self.temp_gpr();
                self.asm.zext_rr(from.bytes(), t, s);
                let d = self.def_xmm(0);
                self.asm.mov_xr(4, d, t);
            }
        }
    }
}
