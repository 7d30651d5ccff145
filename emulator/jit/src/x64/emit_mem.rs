//! Guest memory: loads, stores, exclusives, atomics, fences.
//!
//! The host is stronger than any guest: plain accesses and acquire loads are plain moves. A release store must not pass a
//! later acquire load, which only a locked instruction prevents.

use std::mem::offset_of;

use ir::inst::{AtomicOp, Inst, MemAttr, Op, Order};
use ir::{GuestState, Ty};

use super::analysis::NO;
use super::asm::{Alu, Mem, RAX, RBX, RCX, RDX, cc};
use super::exit::SideKind;
use super::extensions::LOADED_SIGNED;
use super::generator::Gen;
use super::{Gpr, Xmm};
use crate::thread_state::ThreadState;

/// A field of the exclusive monitor.
macro_rules! monitor {
    ($f:ident) => {
        Gen::field(offset_of!(ThreadState, guest) + offset_of!(GuestState, $f))
    };
}

/// Fence bits: stores before, loads after.
const STORE_LOAD: u32 = 0b0110;

impl Gen<'_> {
    /// The address operand; its registers are locked.
    pub(super) fn address(&mut self, inst: &Inst) -> Mem {
        let a = self.an.addr(self.unit, inst.args[0]);
        if a.index == NO
            && let Some(bits) = self.constant(a.base)
            && let sum = (bits as i64).wrapping_add(i64::from(a.disp))
            && let Ok(disp) = if a.narrow { Ok(sum as i32) } else { i32::try_from(sum) }
        {
            return Mem { base: Mem::NONE, index: Mem::NONE, scale: 0, disp, narrow: a.narrow };
        }
        let (base, moved) = self.base_of(a.base);
        let base = self.use_gpr(base);
        let index = if a.index == NO { Mem::NONE } else { self.use_gpr(a.index) };
        Mem { base, index, scale: a.scale, disp: a.disp + moved, narrow: a.narrow }
    }

    /// Leaves with an alignment trap unless the address is a multiple of what the access demands.
    fn check_alignment(&mut self, m: Mem, attr: MemAttr) -> Mem {
        if attr.align_log2 == 0 {
            return m;
        }
        let mask = (1 << attr.align_log2) - 1;
        let simple = m.index == Mem::NONE && m.disp == 0 && m.base != Mem::NONE && !m.narrow;
        let r = if simple { m.base } else { self.temp_gpr() };
        if !simple {
            self.asm.lea(8, r, m);
        }
        self.asm.test_ri(4, r, mask);
        let side = self.side(SideKind::Alignment(self.pc, self.mode, r));
        self.asm.jcc(cc::NE, side);
        Mem::base(r, 0)
    }

    // ------------------------------------------------------------------ loads and stores
    pub(super) fn emit_load(&mut self, inst: &Inst) {
        let attr = inst.attr.as_mem();
        let m = self.address(inst);
        let m = self.check_alignment(m, attr);
        if inst.ty == Ty::I128 {
            self.before_fault();
            let d = self.def_xmm(0);
            self.faults_here();
            self.asm.load_xmm(16, d, m);
            if attr.big_endian {
                self.reverse_xmm(d);
            }
            return;
        }
        let size = inst.ty.bytes();
        let signed = self.an.values[self.pos as usize].uses & LOADED_SIGNED != 0;
        if self.wants_xmm() && !attr.big_endian && !signed {
            self.before_fault();
            let d = self.def_xmm(0);
            self.faults_here();
            self.asm.load_xmm(size, d, m);
            self.box_result();
            return;
        }
        self.before_fault();
        let d = self.def_gpr(0);
        self.faults_here();
        if signed {
            return self.asm.load_signed(size, 8, d, m);
        }
        if attr.big_endian && size >= 4 && self.features.movbe {
            self.asm.op_rm(size, 0x0f_38f0, d, m);
            return;
        }
        self.asm.load(size, d, m);
        if attr.big_endian {
            self.reverse_gpr(size, d);
        }
        if inst.ty == Ty::I1 {
            self.asm.alu_ri(Alu::And, 4, d, 1);
        }
    }

    pub(super) fn emit_store(&mut self, inst: &Inst) {
        let attr = inst.attr.as_mem();
        let m = self.address(inst);
        let m = self.check_alignment(m, attr);
        let v = self.arg(1);
        let ordered = matches!(attr.order, Order::Release | Order::SeqCst);
        let ty = self.arg_ty(1);
        let size = ty.bytes();
        if ty == Ty::I128 || self.in_xmm(v) && !self.in_gpr(v) && size >= 4 && !attr.big_endian && !ordered {
            let mut x = self.use_xmm(v);
            if attr.big_endian {
                x = self.copy_xmm(v);
                self.reverse_xmm(x);
            }
            self.may_fault();
            self.asm.store_xmm(size, m, x);
            if ordered {
                self.full_fence();
            }
            return;
        }
        if attr.big_endian || ordered {
            let t = self.copy_gpr(v);
            if attr.big_endian {
                self.reverse_gpr(size, t);
            }
            self.may_fault();
            if ordered {
                self.store_in_order(size, m, t);
            } else {
                self.asm.store(size, m, t);
            }
            return;
        }
        if let Some(k) = self.an.imm32(self.unit, v, ty) {
            self.may_fault();
            self.asm.store_imm(size, m, k);
            return;
        }
        let r = self.use_gpr(v);
        self.may_fault();
        self.asm.store(size, m, r);
    }

    fn reverse_gpr(&mut self, size: u32, r: Gpr) {
        match size {
            4 | 8 => self.asm.bswap(size, r),
            2 => {
                self.asm.bswap(4, r);
                self.asm.shift_ri(super::asm::Shift::Shr, 4, r, 16);
            }
            _ => {}
        }
    }

    /// Bytes in opposite order, by exchanging and swapping the halves.
    fn reverse_xmm(&mut self, x: Xmm) {
        let (low, high) = (self.temp_gpr(), self.temp_gpr());
        self.asm.mov_rx(8, low, x);
        self.asm.op_prefixed_rr(0x66, 4, 0x0f6d, x, x); // punpckhqdq
        self.asm.mov_rx(8, high, x);
        self.asm.bswap(8, low);
        self.asm.bswap(8, high);
        self.asm.mov_xr(8, x, high);
        self.asm.mov_xr(8, super::generator::SCRATCH_XMM, low);
        self.asm.op_prefixed_rr(0x66, 4, 0x0f6c, x, super::generator::SCRATCH_XMM); // punpcklqdq
    }

    // ------------------------------------------------------------------ atomics
    /// Exclusives, read-modify-writes and fences; false for forms without host code.
    pub(super) fn emit_atomic(&mut self, inst: &Inst) -> bool {
        if self.unusual(inst) {
            return false;
        }
        match inst.op {
            Op::Fence => {
                if inst.attr.imm() & STORE_LOAD == STORE_LOAD {
                    self.full_fence();
                }
            }
            Op::Clrex => self.asm.store_imm(8, monitor!(excl_addr), -1),
            Op::Ll => self.emit_load_exclusive(inst),
            Op::Sc if inst.ty == Ty::I128 => self.emit_store_exclusive_wide(inst),
            Op::Sc => self.emit_store_exclusive(inst),
            Op::Cas if inst.ty == Ty::I128 => self.emit_cas_wide(inst),
            Op::Cas => self.emit_cas(inst),
            _ => self.emit_rmw(inst),
        }
        true
    }

    /// 128-bit atomics other than little-endian exclusives and compare-and-swap, and big-endian ones other than exclusives.
    fn unusual(&self, inst: &Inst) -> bool {
        let big_endian = inst.attr.as_mem().big_endian;
        match inst.op {
            Op::Fence | Op::Clrex => false,
            Op::Ll | Op::Sc => big_endian && inst.ty == Ty::I128,
            Op::Rmw => big_endian || inst.ty == Ty::I128,
            _ => big_endian,
        }
    }

    /// The address in one register, for sequences that use it more than once.
    fn address_register(&mut self, inst: &Inst) -> Gpr {
        let m = self.address(inst);
        let m = self.check_alignment(m, inst.attr.as_mem());
        if m.base != Mem::NONE && m.index == Mem::NONE && m.disp == 0 && !m.narrow {
            return m.base;
        }
        let r = self.temp_gpr();
        self.asm.lea(8, r, m);
        r
    }

    fn emit_load_exclusive(&mut self, inst: &Inst) {
        let a = self.address_register(inst);
        let m = Mem::base(a, 0);
        let size = inst.ty.bytes();
        if size == 16 {
            self.before_fault();
            let d = self.def_xmm(0);
            self.faults_here();
            self.asm.load_xmm(16, d, m);
            self.asm.store_xmm(16, monitor!(excl_value), d);
        } else {
            // The monitor is written after the load: the address must survive it.
            self.before_fault();
            let d = self.def_gpr(1 << a);
            self.faults_here();
            self.asm.load(size, d, m);
            if inst.attr.as_mem().big_endian {
                self.reverse_gpr(size, d);
            }
            self.asm.store(8, monitor!(excl_value), d);
        }
        self.asm.store(8, monitor!(excl_addr), a);
        self.asm.store_imm(8, monitor!(excl_size), size as i32);
    }

    /// Compares the monitor with the access; returns where to land the two jumps taken if it does not hold.
    fn check_monitor(&mut self, a: Gpr, size: u32) -> [super::asm::Label; 1] {
        let fail = self.asm.label();
        self.asm.alu_mr(Alu::Cmp, 8, monitor!(excl_addr), a);
        self.asm.jcc(cc::NE, fail);
        self.asm.alu_mi(Alu::Cmp, 8, monitor!(excl_size), size as i32);
        self.asm.jcc(cc::NE, fail);
        [fail]
    }

    fn emit_store_exclusive(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        // `rax` first: the operands must be elsewhere.
        self.fix_gpr(RAX);
        let a = self.address_register(inst);
        let big_endian = inst.attr.as_mem().big_endian;
        let v = if big_endian { self.copy_gpr(self.arg(1)) } else { self.use_gpr(self.arg(1)) };
        let d = self.def_gpr_early();
        self.asm.mov_ri(d, 1);
        let [fail] = self.check_monitor(a, size);
        self.asm.load(8, RAX, monitor!(excl_value));
        if big_endian {
            self.reverse_gpr(size, RAX);
            self.reverse_gpr(size, v);
        }
        self.may_fault();
        self.replace_equal(size, Mem::base(a, 0), v);
        self.asm.setcc(cc::NE, d);
        self.asm.bind(fail);
        self.asm.store_imm(8, monitor!(excl_addr), -1);
    }

    fn lock_cmpxchg(&mut self, size: u32, m: Mem, v: Gpr) {
        self.lock_op(size, super::interlocks::cmpxchg(size), v, m);
    }

    /// `lock` before any other prefix.
    fn lock_op(&mut self, size: u32, opcode: u32, reg: Gpr, m: Mem) {
        self.lock_next();
        self.asm.op_rm(size, opcode, reg, m);
    }

    fn emit_cas(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        self.fix_gpr(RAX);
        let a = self.address_register(inst);
        let new = self.use_gpr(self.arg(2));
        let expected = self.use_gpr(self.arg(1));
        self.asm.mov_rr(size, RAX, expected);
        self.may_fault();
        self.lock_cmpxchg(size, Mem::base(a, 0), new);
        self.extend_narrow(size, RAX);
        self.result_gpr(RAX);
    }

    /// Results are zero-extended; the host leaves what is above a byte or word alone.
    fn extend_narrow(&mut self, size: u32, r: Gpr) {
        if size < 4 {
            self.asm.zext_rr(size, r, r);
        }
    }

    /// `cmpxchg16b`: expected in `rdx:rax`, new in `rcx:rbx`.
    fn fix_wide(&mut self) {
        self.fix_gprs(&[RAX, RBX, RCX, RDX]);
    }

    fn split(&mut self, low: Gpr, high: Gpr, v: u32) {
        let x = self.use_xmm(v);
        self.asm.mov_rx(8, low, x);
        let t = super::generator::SCRATCH_XMM;
        self.asm.mov_xx(t, x);
        self.asm.op_prefixed_rr(0x66, 4, 0x0f6d, t, t); // punpckhqdq
        self.asm.mov_rx(8, high, t);
    }

    fn cmpxchg16b(&mut self, a: Gpr) {
        self.may_fault();
        self.lock_op(8, 0x0fc7, 1, Mem::base(a, 0));
    }

    fn emit_cas_wide(&mut self, inst: &Inst) {
        self.fix_wide();
        let a = self.address_register(inst);
        let (expected, new) = (self.arg(1), self.arg(2));
        self.split(RAX, RDX, expected);
        self.split(RBX, RCX, new);
        self.cmpxchg16b(a);
        let d = self.def_xmm(0);
        let t = super::generator::SCRATCH_XMM;
        self.asm.mov_xr(8, d, RAX);
        self.asm.mov_xr(8, t, RDX);
        self.asm.op_prefixed_rr(0x66, 4, 0x0f6c, d, t); // punpcklqdq
    }

    fn emit_store_exclusive_wide(&mut self, inst: &Inst) {
        self.fix_wide();
        let a = self.address_register(inst);
        let d = self.def_gpr_early();
        let new = self.arg(1);
        self.split(RBX, RCX, new);
        self.asm.mov_ri(d, 1);
        let [fail] = self.check_monitor(a, 16);
        self.asm.load(8, RAX, monitor!(excl_value));
        self.asm.load(8, RDX, monitor!(excl_value).offset(8));
        self.cmpxchg16b(a);
        self.asm.setcc(cc::NE, d);
        self.asm.bind(fail);
        self.asm.store_imm(8, monitor!(excl_addr), -1);
    }

    fn emit_rmw(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        match inst.attr.kind() {
            k if k == AtomicOp::Add as u8 && !self.wanted() => self.emit_locked(inst, Alu::Add, false),
            k if k == AtomicOp::Add as u8 => self.emit_exchange_add(inst),
            k if k == AtomicOp::Swap as u8 => self.emit_swap(inst),
            k if k == AtomicOp::Or as u8 && !self.wanted() => self.emit_locked(inst, Alu::Or, false),
            k if k == AtomicOp::Xor as u8 && !self.wanted() => self.emit_locked(inst, Alu::Xor, false),
            k if k == AtomicOp::And as u8 && !self.wanted() => self.emit_locked(inst, Alu::And, false),
            k if k == AtomicOp::Andn as u8 && !self.wanted() => self.emit_locked(inst, Alu::And, true),
            k => self.emit_rmw_loop(inst, size, k),
        }
    }

    /// `xadd`
    fn emit_exchange_add(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        let m = self.address(inst);
        let m = self.check_alignment(m, inst.attr.as_mem());
        let t = self.copy_gpr(self.arg(1));
        self.may_fault();
        self.lock_op(size, if size == 1 { 0x0fc0 } else { 0x0fc1 }, t, m);
        self.extend_narrow(size, t);
        self.result_gpr(t);
    }

    fn emit_swap(&mut self, inst: &Inst) {
        let size = inst.ty.bytes();
        let m = self.address(inst);
        let m = self.check_alignment(m, inst.attr.as_mem());
        let t = self.copy_gpr(self.arg(1));
        if !self.wanted() {
            self.may_fault();
            return self.store_in_order(size, m, t);
        }
        let d = self.temp_gpr();
        self.may_fault();
        self.swap(size, d, t, m);
        self.result_gpr(d);
    }

    fn emit_locked(&mut self, inst: &Inst, op: Alu, complement: bool) {
        let size = inst.ty.bytes();
        let m = self.address(inst);
        let m = self.check_alignment(m, inst.attr.as_mem());
        let t = if complement {
            let t = self.copy_gpr(self.arg(1));
            self.asm.unary(2, 8, t);
            t
        } else {
            self.use_gpr(self.arg(1))
        };
        self.may_fault();
        self.lock_next();
        self.asm.alu_mr(op, size, m, t);
    }

    /// The others, by compare and exchange until nobody came between.
    fn emit_rmw_loop(&mut self, inst: &Inst, size: u32, kind: u8) {
        self.fix_gpr(RAX);
        let a = self.address_register(inst);
        let m = Mem::base(a, 0);
        let v = self.use_gpr(self.arg(1));
        // Minimum and maximum of narrow types compare sign- or zero-extended copies.
        let signed = kind == AtomicOp::Smax as u8 || kind == AtomicOp::Smin as u8;
        let v = if size < 4 {
            let t = self.temp_gpr();
            if signed {
                self.asm.sext_rr(size, 4, t, v);
            } else {
                self.asm.zext_rr(size, t, v);
            }
            t
        } else {
            v
        };
        let t = self.temp_gpr();
        self.may_fault();
        self.asm.load(size, RAX, m);
        let again = self.asm.at();
        self.combine_atomic(kind, size, t, v, signed);
        self.may_fault();
        self.store_or_repeat(size, m, t, again);
        self.extend_narrow(size, RAX);
        self.result_gpr(RAX);
    }

    /// `t` = the old value in `rax` combined with `v`.
    fn combine_atomic(&mut self, kind: u8, size: u32, t: Gpr, v: Gpr, signed: bool) {
        let wide = size.max(4);
        let logic = |op: Alu, g: &mut Self| {
            g.asm.mov_rr(8, t, RAX);
            g.asm.alu_rr(op, wide, t, v);
        };
        match kind {
            k if k == AtomicOp::And as u8 => logic(Alu::And, self),
            k if k == AtomicOp::Or as u8 => logic(Alu::Or, self),
            k if k == AtomicOp::Xor as u8 => logic(Alu::Xor, self),
            k if k == AtomicOp::Andn as u8 => {
                self.asm.mov_rr(8, t, v);
                self.asm.unary(2, 8, t);
                self.asm.alu_rr(Alu::And, wide, t, RAX);
            }
            k => {
                if size < 4 && signed {
                    self.asm.sext_rr(size, 4, t, RAX);
                } else {
                    // After a failed exchange a narrow old value has stale upper bits.
                    self.asm.zext_rr(size.min(4), t, RAX);
                    if size == 8 {
                        self.asm.mov_rr(8, t, RAX);
                    }
                }
                self.asm.alu_rr(Alu::Cmp, wide, t, v);
                // Keep the old value when it is the extremum already.
                let code = match k {
                    k if k == AtomicOp::Smax as u8 => cc::L,
                    k if k == AtomicOp::Smin as u8 => cc::G,
                    k if k == AtomicOp::Umax as u8 => cc::B,
                    _ => cc::A,
                };
                self.asm.cmov_rr(code, wide, t, v);
            }
        }
    }
}
