//! Shifts, bit counts, extensions and fields.

use ir::Ty;
use ir::inst::{Inst, Op};

use super::Gpr;
use super::analysis::Mode;
use super::asm::{Alu, Mem, RCX, Shift, cc};
use super::generator::{Gen, SCRATCH_XMM};

impl Gen<'_> {
    // ------------------------------------------------------------------ shifts
    pub(super) fn emit_shift(&mut self, inst: &Inst) {
        let op = match inst.op {
            Op::Shl => Shift::Shl,
            Op::Shr => Shift::Shr,
            _ => Shift::Sar,
        };
        let (a, amount) = (self.arg(0), self.arg(1));
        let bits = inst.ty.bits();
        if let Some(k) = self.constant(amount) {
            return self.emit_shift_const(op, inst, k & inst.ty.mask());
        }
        // A 32-bit right shift of a narrow value needs its upper bits; amounts up to 31 shift everything out by themselves.
        let size = Self::size(inst.ty);
        let source = self.shift_source(op, a, inst.ty);
        let (count, bounded) = self.an.amount(self.unit, amount, bits);
        let host_bits = size * 8;
        if bounded && self.features.bmi2 {
            let rc = self.use_gpr(count);
            let d = self.def_gpr(0);
            self.shift_x(op, size, d, source, rc);
        } else if bounded {
            self.shift_by_cl(op, size, source, count);
        } else {
            self.shift_saturating(op, size, source, count, inst.ty, host_bits);
        }
    }

    /// The value to shift, its bits above a narrow type made right for the direction.
    pub(super) fn shift_source(&mut self, op: Shift, a: u32, ty: Ty) -> Gpr {
        if ty.bits() >= 32 || op == Shift::Shl {
            return self.use_gpr(a);
        }
        let s = self.use_gpr(a);
        let t = self.temp_gpr();
        if op == Shift::Shr {
            self.asm.zext_rr(ty.bytes(), t, s);
        } else {
            self.asm.sext_rr(ty.bytes(), 4, t, s);
        }
        t
    }

    /// `shlx`, `shrx`, `sarx`.
    pub(super) fn shift_x(&mut self, op: Shift, size: u32, d: Gpr, s: Gpr, count: Gpr) {
        let pp = match op {
            Shift::Shl => 1,
            Shift::Shr => 3,
            _ => 2,
        };
        self.asm.vex_rr(2, pp, size, 0xf7, d, count, s);
    }

    pub(super) fn shift_by_cl(&mut self, op: Shift, size: u32, source: Gpr, count: u32) {
        let mut source = source;
        if self.loc_register(count) == Some(RCX) {
            self.use_gpr(count);
        } else {
            if source == RCX {
                source = self.temp_gpr();
                self.asm.mov_rr(8, source, RCX);
            }
            if self.locked() & 1 << RCX != 0 {
                self.vacate_locked(RCX);
            } else {
                self.fix_gpr(RCX);
            }
            let n = self.use_gpr(count);
            self.asm.mov_rr(8, RCX, n);
        }
        let t = self.temp_gpr();
        self.asm.mov_rr(8, t, source);
        self.asm.shift_rc(op, size, t);
        self.result_gpr(t);
    }

    /// Any amount: the host takes it modulo its width, so larger ones are corrected.
    pub(super) fn shift_saturating(&mut self, op: Shift, size: u32, source: Gpr, count: u32, ty: Ty, host_bits: u32) {
        let t = self.temp_gpr();
        // The amount, zero-extended, in a register of our own.
        let n = self.temp_gpr();
        let rc = self.use_gpr(count);
        match ty.bytes() {
            8 => self.asm.mov_rr(8, n, rc),
            k => self.asm.zext_rr(k, n, rc),
        }
        if op == Shift::Sar {
            // min(n, host_bits - 1)
            let last = self.temp_gpr();
            self.asm.mov_ri(last, u64::from(host_bits - 1));
            self.asm.alu_rr(Alu::Cmp, 8, n, last);
            self.asm.cmov_rr(cc::A, 8, n, last);
        }
        if self.features.bmi2 {
            self.shift_x(op, size, t, source, n);
        } else {
            self.asm.mov_rr(8, t, source);
            // Exchange with rcx around the shift keeps everything else in place.
            let (value, restore) = if n == RCX { (t, false) } else { (if t == RCX { n } else { t }, true) };
            if restore {
                self.asm.op_rr(8, 0x87, n, RCX);
            }
            self.asm.shift_rc(op, size, value);
            if restore {
                self.asm.op_rr(8, 0x87, n, RCX);
            }
        }
        if op != Shift::Sar {
            let zero = self.temp_gpr();
            self.asm.mov_ri(zero, 0);
            self.asm.alu_ri(Alu::Cmp, 8, n, host_bits as i32);
            self.asm.cmov_rr(cc::AE, 8, t, zero);
        }
        self.result_gpr(t);
    }

    pub(super) fn emit_shift_const(&mut self, op: Shift, inst: &Inst, k: u128) {
        let size = Self::size(inst.ty);
        let bits = u128::from(inst.ty.bits());
        let a = self.arg(0);
        if k >= bits && op != Shift::Sar {
            let d = self.def_gpr_early();
            self.asm.mov_ri(d, 0);
            return;
        }
        let k = k.min(bits - 1) as u8;
        let source = self.shift_source(op, a, inst.ty);
        let d = self.def_gpr(0);
        if op == Shift::Shl && (1..=3).contains(&k) && d != source {
            self.asm.lea(size, d, Mem { base: Mem::NONE, index: source, scale: k, disp: 0, narrow: false });
            return;
        }
        if d != source {
            self.asm.mov_rr(size, d, source);
        }
        if k != 0 {
            self.asm.shift_ri(op, size, d, k);
        }
    }

    /// The amount is modulo the width, as the host's. Narrow values are rotated as such, and what is above them stays.
    pub(super) fn emit_rotate(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        let (a, amount) = (self.arg(0), self.arg(1));
        if let Some(k) = self.constant(amount) {
            let d = self.def_from(a, 0);
            match (k % u128::from(inst.ty.bits())) as u8 {
                0 => self.asm.mov_rr(size.max(4), d, d),
                k => self.asm.shift_ri(Shift::Ror, size, d, k),
            }
            return;
        }
        let (count, _) = self.an.amount(self.unit, amount, inst.ty.bits());
        let source = self.use_gpr(a);
        self.shift_by_cl(Shift::Ror, size, source, count);
    }

    // ------------------------------------------------------------------ bits
    pub(super) fn emit_count_zeros(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        let leading = inst.op == Op::Clz;
        let a = self.use_gpr(self.arg(0));
        if leading && self.features.lzcnt || !leading && self.features.bmi1 {
            let d = self.def_gpr(0);
            self.asm.op_prefixed_rr(0xf3, size, if leading { 0x0fbd } else { 0x0fbc }, d, a);
            return;
        }
        let t = self.temp_gpr();
        let d = self.def_gpr_early();
        // bsr(0) and bsf(0) leave the destination undefined and set the zero flag.
        self.asm.mov_ri(t, u64::from(if leading { 2 * inst.ty.bits() - 1 } else { inst.ty.bits() }));
        self.asm.op_rr(size, if leading { 0x0fbd } else { 0x0fbc }, d, a);
        self.asm.cmov_rr(cc::E, size, d, t);
        if leading {
            self.asm.alu_ri(Alu::Xor, size, d, inst.ty.bits() as i32 - 1);
        }
    }

    /// Bytes by `bswap`, then halves, quarters and single bits of each byte.
    pub(super) fn emit_reverse_bits(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        let d = self.copy_gpr(self.arg(0));
        let (t, mask) = (self.temp_gpr(), self.temp_gpr());
        self.asm.bswap(size, d);
        for (shift, bits) in [(4, 0x0f0f_0f0f_0f0f_0f0f), (2, 0x3333_3333_3333_3333), (1, 0x5555_5555_5555_5555)] {
            self.asm.mov_ri(mask, if size == 8 { bits } else { bits & 0xffff_ffff });
            self.asm.mov_rr(size, t, d);
            self.asm.shift_ri(Shift::Shr, size, t, shift);
            self.asm.alu_rr(Alu::And, size, d, mask);
            self.asm.alu_rr(Alu::And, size, t, mask);
            self.asm.shift_ri(Shift::Shl, size, d, shift);
            self.asm.alu_rr(Alu::Or, size, d, t);
        }
        self.result_gpr(d);
    }

    pub(super) fn emit_zext(&mut self, inst: &Inst) {
        let from = self.arg_ty(0);
        let v = self.arg(0);
        if self.an.values[v as usize].mode == Mode::Cond {
            let code = self.condition(v);
            let d = self.def_gpr_early();
            self.asm.setcc(code, d);
            self.asm.zext_rr(1, d, d);
            return;
        }
        if inst.ty == Ty::I64
            && let Some(m) = self.memory_operand(v, from)
        {
            let d = self.def_gpr(0);
            self.asm.load(from.bytes(), d, m);
            return;
        }
        let a = self.use_gpr(v);
        let d = self.def_gpr(0);
        self.asm.zext_rr(from.bytes(), d, a);
    }

    pub(super) fn emit_sext(&mut self, inst: &Inst) {
        let from = self.arg_ty(0);
        let to = Self::size(inst.ty);
        let v = self.arg(0);
        if from == Ty::I1 {
            let d = self.def_from(v, 0);
            self.asm.unary(3, to, d);
            return;
        }
        if let Some(m) = self.memory_operand(v, from) {
            let d = self.def_gpr(0);
            self.asm.load_signed(from.bytes(), to, d, m);
            return;
        }
        let a = self.use_gpr(v);
        let d = self.def_gpr(0);
        self.asm.sext_rr(from.bytes(), to, d, a);
    }

    pub(super) fn emit_field(&mut self, inst: &Inst) {
        let (lo, width) = (inst.attr.imm(), inst.attr.imm2());
        let signed = inst.op == Op::Bfxs;
        let size = Self::size(inst.ty);
        let host = size * 8;
        let bytes = matches!(width, 8 | 16 | 32) && width < host;
        if bytes && lo == 0 {
            let a = self.use_gpr(self.arg(0));
            let d = self.def_gpr(0);
            if signed {
                self.asm.sext_rr(width / 8, size, d, a);
            } else {
                self.asm.zext_rr(width / 8, d, a);
            }
            return;
        }
        if !signed && lo == 0 && width < 32 {
            let a = self.use_gpr(self.arg(0));
            let d = self.def_gpr(0);
            if d != a {
                self.asm.mov_rr(4, d, a);
            }
            return self.asm.alu_ri(Alu::And, 4, d, ((1u64 << width) - 1) as i32);
        }
        let d = self.def_from(self.arg(0), 0);
        if signed {
            if lo + width < host {
                self.asm.shift_ri(Shift::Shl, size, d, (host - lo - width) as u8);
            }
            self.asm.shift_ri(Shift::Sar, size, d, (host - width) as u8);
            return;
        }
        if lo != 0 {
            self.asm.shift_ri(Shift::Shr, size, d, lo as u8);
        } else if size == 4 {
            self.asm.mov_rr(4, d, d);
        }
        if lo + width < host {
            match width {
                8 | 16 | 32 => self.asm.zext_rr(width / 8, d, d),
                0..=31 => self.asm.alu_ri(Alu::And, 4, d, ((1u64 << width) - 1) as i32),
                _ => {
                    self.asm.shift_ri(Shift::Shl, 8, d, (64 - width) as u8);
                    self.asm.shift_ri(Shift::Shr, 8, d, (64 - width) as u8);
                }
            }
        }
    }

    pub(super) fn emit_insert(&mut self, inst: &Inst) {
        let (lo, width) = (inst.attr.imm() as u8, inst.attr.imm2());
        let size = Self::size(inst.ty);
        let bits = inst.ty.bits();
        if matches!(width, 8 | 16) && width < bits {
            return self.insert_part(inst, size, lo, width / 8);
        }
        let field = self.copy_gpr(self.arg(1));
        if width < bits {
            match width {
                8 | 16 | 32 => self.asm.zext_rr(width / 8, field, field),
                0..=31 => self.asm.alu_ri(Alu::And, 4, field, ((1u64 << width) - 1) as i32),
                _ => {
                    self.asm.shift_ri(Shift::Shl, 8, field, (64 - width) as u8);
                    self.asm.shift_ri(Shift::Shr, 8, field, (64 - width) as u8);
                }
            }
        }
        if width >= bits {
            self.asm.mov_rr(size, field, field);
            return self.result_gpr(field);
        }
        // The rest of a, with the field's place brought to the bottom and cleared.
        let d = self.def_from(self.arg(0), 1 << field);
        if lo != 0 {
            self.asm.shift_ri(Shift::Ror, size, d, lo);
        }
        self.asm.shift_ri(Shift::Shr, size, d, width as u8);
        self.asm.shift_ri(Shift::Shl, size, d, width as u8);
        self.asm.alu_rr(Alu::Or, size, d, field);
        if lo != 0 {
            self.asm.shift_ri(Shift::Rol, size, d, lo);
        }
    }

    /// Replaces one or two bytes: a host instruction that writes a part of a register leaves the rest.
    fn insert_part(&mut self, inst: &Inst, size: u32, lo: u8, bytes: u32) {
        let field = self.use_gpr(self.an.inserted(self.unit, inst));
        let a = self.arg(0);
        let s = self.use_gpr(a);
        let d = self.def_gpr(1 << field);
        if d != s || size == 4 && self.an.values[a as usize].clean > 32 {
            self.asm.mov_rr(size, d, s);
        }
        if lo != 0 {
            self.asm.shift_ri(Shift::Ror, size, d, lo);
        }
        self.asm.op_rr(bytes, if bytes == 1 { 0x8a } else { 0x8b }, d, field);
        if lo != 0 {
            self.asm.shift_ri(Shift::Rol, size, d, lo);
        }
    }

    /// b:a of halves up to 32 bits.
    pub(super) fn emit_concat(&mut self, inst: &Inst) {
        if self.an.boxes(self.unit, inst) {
            let low = self.use_xmm(self.arg(0));
            let d = self.def_xmm(0);
            self.asm.const_xmm(SCRATCH_XMM, u128::MAX);
            return self.asm.vex_rr(1, 1, 4, 0x62, d, low, SCRATCH_XMM); // vpunpckldq
        }
        let half = inst.ty.bits() / 2;
        let high = self.copy_gpr(self.arg(1));
        self.asm.shift_ri(Shift::Shl, Self::size(inst.ty), high, half as u8);
        let low = self.use_gpr(self.arg(0));
        let t = self.temp_gpr();
        self.asm.zext_rr(half / 8, t, low);
        self.asm.alu_rr(Alu::Or, 8, high, t);
        self.result_gpr(high);
    }

    /// `pdep`, `pext`.
    pub(super) fn emit_by_mask(&mut self, inst: &Inst) {
        let (a, mask) = (self.use_gpr(self.arg(0)), self.use_gpr(self.arg(1)));
        let d = self.def_gpr(0);
        let prefix = if inst.op == Op::Pdep { 3 } else { 2 };
        self.asm.vex_rr(2, prefix, Self::size(inst.ty), 0xf5, d, a, mask);
    }

    pub(super) fn emit_crc32c(&mut self, inst: &Inst) {
        let size = self.arg_ty(1).bytes();
        let data = self.use_gpr(self.arg(1));
        let d = self.def_from(self.arg(0), 1 << data);
        let _ = inst;
        // crc32 r32, r8/r16/r32/r64
        if size == 2 {
            self.asm.byte(0x66);
        }
        let rex = 0x40 | u8::from(size == 8) << 3 | d >> 3 << 2 | data >> 3;
        self.asm.bytes(&[0xf2, rex, 0x0f, 0x38, if size == 1 { 0xf0 } else { 0xf1 }, 0xc0 | (d & 7) << 3 | data & 7]);
    }
}
