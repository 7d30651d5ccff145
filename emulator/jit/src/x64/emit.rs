//! One instruction after the other: dispatch, comparisons, selection, calls of helpers.

use std::mem::offset_of;

use ir::guest::HelperDesc;
use ir::inst::{Inst, Op};
use ir::unit::ExitKind;
use ir::{GuestState, Ty};

use super::analysis::{Cond, CondKind, Mode, has_effect, is_lanes, result_ty};
use super::asm::{Alu, Mem, RAX, RDX, RSI, Shift, cc};
use super::claims::Claim;
use super::exit::SideKind;
use super::float_conditions::takes_two_flags;
use super::generator::{Gen, Operand};
use super::{CompileError, Gpr, Mark, StubId, generic};
use crate::thread_state::{SCRATCH, ThreadState};

impl Gen<'_> {
    /// Emits the whole unit.
    pub(super) fn run(&mut self) {
        if let Some(counter) = self.counter {
            self.asm.mov_ri(RAX, std::ptr::from_ref(counter) as u64);
            self.asm.op_rm(8, 0xff, 0, Mem::base(RAX, 0)); // inc
        }
        self.check_assumptions();
        if self.an.needs_settled {
            self.settle_entry();
        }
        let unit = self.unit;
        let (mut puts, mut bounds) = (unit.puts.iter().peekable(), unit.bounds.iter().peekable());
        for (i, inst) in unit.insts.iter().enumerate() {
            let value = &self.an.values[i];
            let emitted = value.mode == Mode::Emit && inst.op != Op::Get || inst.op == Op::Fcmp;
            if !emitted || value.end == 0 && !has_effect(inst.op) {
                continue;
            }
            self.pos = i as u32;
            self.claim(Claim::Starts(self.pos));
            while let Some(p) = puts.next_if(|p| p.pos as usize <= i) {
                self.apply_put(p.slot.0, p.val);
            }
            while let Some(b) = bounds.next_if(|b| b.pos as usize <= i) {
                self.pc = b.pc;
                self.mark(Mark::Insn(b.pc));
                self.set_guest_mode(b);
            }
            self.unlock();
            if !self.may_wait(inst) {
                self.check_floats();
            }
            if self.ends_in_pair(i, puts.peek().is_some()) {
                let (taken, other) = (&unit.exits[inst.attr.index()], &unit.exits[unit.insts[i + 1].attr.index()]);
                self.final_pair(self.an.val(inst.args[0]), taken, other);
                break;
            }
            self.emit(inst);
            if self.error.is_some() {
                break;
            }
        }
        self.unlock();
        if self.error.is_none() {
            self.mark(Mark::Side);
            self.emit_sides();
            self.emit_flushes();
            self.emit_redos();
            self.emit_out_of_range();
            self.emit_unordered();
            self.emit_rewrites();
            self.mark(Mark::Request);
            self.emit_cold();
            self.asm.finish();
            self.recorder.finish();
        }
    }

    pub(super) fn mark(&mut self, mark: Mark) {
        self.marks.push((self.asm.at(), mark));
    }

    /// A conditional exit right before the last, with nothing in between.
    fn ends_in_pair(&self, i: usize, more_puts: bool) -> bool {
        i + 2 == self.unit.insts.len()
            && !more_puts
            && self.unit.insts[i].op == Op::ExitIf
            && self.unit.insts[i + 1].op == Op::Exit
            && self.unit.exits[self.unit.insts[i + 1].attr.index()].kind == ExitKind::Jump
    }

    fn emit(&mut self, inst: &Inst) {
        if !Self::goes_on_with_flags(inst) {
            self.summed = None;
        }
        match inst.op {
            Op::ExitIf => {
                let exit = self.unit.exits[inst.attr.index()];
                if self.is_self(&exit) {
                    return self.turn_if(self.arg(0), false);
                }
                let code = self.condition(self.arg(0));
                let side = self.side(SideKind::Exit(exit));
                self.asm.jcc(code, side);
                return;
            }
            Op::Exit | Op::ExitInd => {
                self.mark(Mark::Exit);
                let target = (inst.op == Op::ExitInd).then(|| self.arg(0));
                return self.final_exit(&self.unit.exits[inst.attr.index()], target);
            }
            // A plain load leaves the flags alone.
            Op::Load if inst.attr.0 & !3 == 0 && inst.ty != Ty::I1 => return self.emit_load(inst),
            Op::Select if result_ty(inst) != Ty::I128 => return self.emit_select(inst),
            // The value of a comparison leaves them alone, too.
            Op::Zext if inst.ty != Ty::I128 && self.an.cond(self.arg(0)).is_some() => return self.emit_zext(inst),
            Op::Fcmp if self.an.values[self.pos as usize].mode == Mode::Cond => return self.emit_float_condition(inst),
            // The carry that goes in may be in the flags.
            Op::Adc | Op::Sbb => {}
            _ => self.flags = None,
        }
        let done = match inst.op {
            Op::Load => {
                self.emit_load(inst);
                true
            }
            Op::Store => {
                self.emit_store(inst);
                true
            }
            Op::Vget if let Some(number) = self.an.number_of_status(self.pos) => {
                self.take_status(number);
                true
            }
            Op::Ll | Op::Sc | Op::Clrex | Op::Rmw | Op::Cas | Op::Fence => self.emit_atomic(inst),
            Op::Setmode => {
                self.emit_setmode(inst);
                true
            }
            Op::Fflags => {
                self.emit_read_flags();
                true
            }
            Op::Setfflags => {
                self.emit_write_flags();
                true
            }
            Op::Keepfflags => {
                self.emit_keep_flags();
                true
            }
            Op::Helper => {
                self.emit_helper(inst);
                true
            }
            Op::Step => self.emit_step(inst),
            op if is_lanes(op) => self.emit_vector(inst),
            op if op.is_float() => self.emit_float(inst),
            _ => self.emit_int(inst),
        };
        if !done {
            self.unlock();
            if generic::is_generic(inst.op) {
                self.emit_generic(inst);
            } else {
                self.error = Some(CompileError::Unsupported(inst.op));
            }
        }
        self.flags = self.result_flags.take();
    }

    // ------------------------------------------------------------------ conditions
    /// Sets the flags so that the returned condition code holds iff the one-bit value is 1.
    pub(super) fn condition(&mut self, v: u32) -> u8 {
        if let Some(code) = self.carry_code(v) {
            return code;
        }
        self.summed = None;
        if let Some(c) = self.an.cond(v) {
            return self.compare(c);
        }
        self.flags = None;
        if let Some(m) = self.memory_operand(v, Ty::I1) {
            self.asm.alu_mi(Alu::Cmp, 1, m, 0);
        } else {
            let r = self.use_gpr(v);
            self.asm.test_rr(4, r, r);
        }
        cc::NE
    }

    /// Emits a comparison, unless the flags are of it already.
    fn compare(&mut self, c: Cond) -> u8 {
        let code = match c.kind {
            // `test` instead of `bt` leaves the bit in the zero flag.
            CondKind::Bit if c.b < 32 && c.cc == cc::B => cc::NE,
            CondKind::Bit if c.b < 32 => cc::E,
            _ => c.cc,
        };
        let key = (c.kind, c.ty, c.a, c.b);
        if self.flags != Some(key) {
            self.make_comparison(c);
            // After `test`, carry and overflow are those of a comparison with 0. After a bit test they are of no comparison.
            self.flags = (c.kind != CondKind::Bit).then_some(key);
            self.signalled = false;
        }
        if c.kind == CondKind::Float && takes_two_flags(code) { self.join_flags(code) } else { code }
    }

    fn make_comparison(&mut self, c: Cond) {
        let size = c.ty.bytes();
        match c.kind {
            CondKind::Bit => self.test_bit(c, size),
            CondKind::Extend => unreachable!("an extension is no condition"),
            CondKind::Float => {
                let (a, b) = (self.use_xmm(c.a), self.use_xmm(c.b));
                self.unordered_compare(c.ty.bits(), false, a, b);
            }
            CondKind::Test => {
                let a = self.use_gpr(c.a);
                match self.operand(c.b, c.ty) {
                    Operand::Imm(k) => self.asm.test_ri(size, a, k),
                    Operand::Reg(b) => self.asm.test_rr(size, a, b),
                    Operand::Mem(m) => self.asm.op_rm(size, if size == 1 { 0x84 } else { 0x85 }, a, m),
                }
            }
            CondKind::Add => {
                let a = self.copy_gpr(c.a);
                let b = self.operand(c.b, c.ty);
                self.alu(Alu::Add, size, a, b);
            }
            CondKind::Cmp => {
                if let (Some(m), Some(k)) = (self.memory_operand(c.a, c.ty), self.an.imm32(self.unit, c.b, c.ty)) {
                    self.asm.alu_mi(Alu::Cmp, size, m, k);
                } else {
                    let a = self.use_gpr(c.a);
                    match self.operand(c.b, c.ty) {
                        Operand::Imm(0) => self.asm.test_rr(size, a, a),
                        b => self.alu(Alu::Cmp, size, a, b),
                    }
                }
            }
        }
    }

    fn test_bit(&mut self, c: Cond, size: u32) {
        if c.b < 32
            && let Some(m) = self.memory_operand(c.a, c.ty)
        {
            self.asm.op_rm(1, 0xf6, 0, m.offset(c.b as i32 / 8));
            self.asm.byte(1 << (c.b % 8));
            return;
        }
        let a = self.use_gpr(c.a);
        match c.b {
            0..32 => self.asm.test_ri(4, a, (1u32 << c.b) as i32),
            _ => self.asm.bt_ri(size, a, c.b as u8),
        }
    }

    /// The value of a deferred comparison in a register.
    pub(super) fn use_condition(&mut self, v: u32) -> Gpr {
        if let Some(extension) = self.an.extension(v) {
            return self.use_extension(v, extension);
        }
        let code = self.condition(v);
        let r = self.temp_gpr();
        self.asm.setcc(code, r);
        self.asm.zext_rr(1, r, r);
        r
    }

    /// `op d, operand`.
    pub(super) fn alu(&mut self, op: Alu, size: u32, d: Gpr, operand: Operand) {
        match operand {
            Operand::Reg(s) => self.asm.alu_rr(op, size, d, s),
            Operand::Imm(k) => self.asm.alu_ri(op, size, d, k),
            Operand::Mem(m) => self.asm.alu_rm(op, size, d, m),
        }
    }

    fn emit_select(&mut self, inst: &Inst) {
        if self.emit_select_in_xmm(inst) {
            return;
        }
        let (c, a, b) = (self.arg(0), self.arg(1), self.arg(2));
        let size = if inst.ty == Ty::I64 { 8 } else { 4 };
        // 0 and 1: the condition itself.
        if self.an.values[c as usize].mode == Mode::Cond && self.constant(a) == Some(1) && self.constant(b) == Some(0) {
            let code = self.condition(c);
            let d = self.def_gpr_early();
            self.asm.setcc(code, d);
            self.asm.zext_rr(1, d, d);
            return;
        }
        let ra = self.use_gpr(a);
        let rb = self.use_gpr(b);
        let code = self.condition(c);
        let d = self.def_gpr(0);
        if d == ra {
            self.asm.cmov_rr(code ^ 1, size, d, rb);
        } else {
            if d != rb {
                self.asm.mov_rr(8, d, rb);
            }
            self.asm.cmov_rr(code, size, d, ra);
        }
    }

    // ------------------------------------------------------------------ modes and flags
    fn emit_setmode(&mut self, inst: &Inst) {
        let (lo, width) = (inst.attr.imm(), inst.attr.imm2());
        let mode = Self::field(offset_of!(ThreadState, guest) + offset_of!(GuestState, mode));
        if width == 32 {
            let r = self.use_gpr(self.arg(0));
            return self.asm.store(4, mode, r);
        }
        let field = ((1u64 << width) - 1) as u32;
        let r = self.copy_gpr(self.arg(0));
        self.asm.alu_ri(Alu::And, 4, r, field as i32);
        self.asm.shift_ri(Shift::Shl, 4, r, lo as u8);
        self.asm.alu_mi(Alu::And, 4, mode, !(field << lo) as i32);
        self.asm.alu_mr(Alu::Or, 4, mode, r);
    }

    /// Sticky flags: those of software in the state, those of the host in MXCSR, in the same order. The host's denormal
    /// flag means something else than the guest's.
    fn emit_read_flags(&mut self) {
        let soft = Self::field(offset_of!(ThreadState, guest) + offset_of!(GuestState, fflags));
        let temp = Self::field(offset_of!(ThreadState, mxcsr_temp));
        self.asm.op_rm(4, 0x0fae, 3, temp); // stmxcsr
        let d = self.def_gpr(0);
        self.asm.load(4, d, temp);
        self.asm.alu_ri(Alu::And, 4, d, 0x3d);
        self.asm.alu_rm(Alu::Or, 4, d, soft);
    }

    /// Copies the sticky flags to where the fault handler finds them.
    fn emit_keep_flags(&mut self) {
        let soft = Self::field(offset_of!(ThreadState, guest) + offset_of!(GuestState, fflags));
        let r = self.temp_gpr();
        self.asm.op_rm(4, 0x0fae, 3, Self::field(offset_of!(ThreadState, mxcsr_kept))); // stmxcsr
        self.asm.load(4, r, soft);
        self.asm.store(4, Self::field(offset_of!(ThreadState, fflags_kept)), r);
    }

    /// Those of the host stay if the new flags have them all: `ldmxcsr` costs more than everything else here, and as a rule the
    /// guest brings back what it has read before.
    fn emit_write_flags(&mut self) {
        if let Some(restored) = self.an.restored(self.pos).cloned() {
            return self.emit_restored(&restored);
        }
        let r = self.use_gpr(self.arg(0));
        let surplus = self.temp_gpr();
        self.write_flags(r, surplus);
    }

    /// Makes the flags those in `r`. Loses `surplus`.
    pub(super) fn write_flags(&mut self, r: Gpr, surplus: Gpr) {
        let soft = Self::field(offset_of!(ThreadState, guest) + offset_of!(GuestState, fflags));
        let temp = Self::field(offset_of!(ThreadState, mxcsr_temp));
        self.asm.store(4, soft, r);
        self.asm.op_rm(4, 0x0fae, 3, temp); // stmxcsr
        self.asm.mov_rr(4, surplus, r);
        self.asm.unary(2, 4, surplus); // not
        self.asm.alu_rm(Alu::And, 4, surplus, temp);
        self.asm.alu_ri(Alu::And, 4, surplus, 0x3d);
        let done = self.asm.label();
        self.asm.jcc(cc::E, done);
        self.asm.alu_mi(Alu::And, 4, temp, !0x3f);
        self.asm.op_rm(4, 0x0fae, 2, temp); // ldmxcsr
        self.asm.bind(done);
    }

    // ------------------------------------------------------------------ calls
    /// An operation without host code of its own: evaluated by the interpreter's definition.
    fn emit_generic(&mut self, inst: &Inst) {
        let mut types = [Ty::I1; 3];
        for (k, ty) in types.iter_mut().enumerate() {
            if self.has_arg(k) {
                *ty = self.arg_ty(k);
                self.put_scratch(k, self.arg(k), *ty);
            }
        }
        if inst.op == Op::Vshuf {
            types[2] = Ty::I128;
            let x = self.temp_xmm();
            let picks = self.unit.consts[inst.attr.index()];
            self.asm.const_xmm(x, picks);
            self.asm.store_xmm(16, Self::scratch(2), x);
        }
        self.save_for_call();
        self.asm.mov_ri(RSI, generic::describe(inst, types));
        self.asm.mov_ri(RDX, u64::from(inst.attr.0));
        self.asm.call_stub(StubId::Generic);
        self.take_scratch(inst);
    }

    pub(super) fn scratch(k: usize) -> super::asm::Mem {
        Self::field(offset_of!(ThreadState, scratch) + 16 * k)
    }

    /// Stores an operand for Rust code; the part above its type is whatever it is.
    fn put_scratch(&mut self, k: usize, v: u32, ty: Ty) {
        if ty == Ty::I128 || self.in_xmm(v) {
            let x = self.use_xmm(v);
            self.asm.store_xmm(16, Self::scratch(k), x);
        } else {
            let r = self.use_gpr(v);
            self.asm.store(8, Self::scratch(k), r);
        }
        self.claim_argument(v, ty, Self::scratch(k).disp);
        self.unlock();
    }

    fn take_scratch(&mut self, inst: &Inst) {
        self.unlock();
        if !self.wanted() {
            return;
        }
        let ty = result_ty(inst);
        if self.wants_xmm() {
            let x = self.def_xmm(0);
            self.asm.load_xmm(ty.bytes(), x, Self::scratch(0));
            self.box_result();
        } else {
            let d = self.def_gpr(0);
            self.asm.load(8, d, Self::scratch(0));
        }
    }

    fn emit_helper(&mut self, inst: &Inst) {
        let (from, count) = (inst.args[0].0 as usize, inst.args[1].0 as usize);
        let id = inst.attr.index();
        let desc: Option<&HelperDesc> = self.guest.helpers.get(id);
        if let Some(kind) = desc.and_then(|helper| helper.extended)
            && self.emit_extended(kind, inst)
        {
            return;
        }
        self.enter_usual_control();
        let state = desc.is_some_and(|helper| helper.state);
        debug_assert!(count <= SCRATCH);
        for k in 0..count {
            let arg = self.unit.helper_args[from + k];
            let ty = result_ty(&self.unit.insts[arg.index()]);
            let v = self.an.val(arg);
            self.put_scratch_clean(k, v, ty);
        }
        if state {
            // From here on every slot is at home, where the helper may change it.
            self.sync_slots();
            self.claim(Claim::AtHome { pos: self.pos });
            self.forget_slots();
            self.claim(Claim::Forgets);
        }
        self.save_for_call();
        self.asm.mov_ri(RSI, id as u64);
        self.asm.mov_ri(RDX, count as u64);
        self.asm.call_stub(StubId::Helper);
        self.take_scratch(inst);
    }

    /// Stores an operand zero-extended to 128 bits.
    fn put_scratch_clean(&mut self, k: usize, v: u32, ty: Ty) {
        let m = Self::scratch(k);
        if ty == Ty::I128 {
            let x = self.use_xmm(v);
            self.asm.store_xmm(16, m, x);
        } else {
            let r = self.use_gpr(v);
            let t = self.temp_gpr();
            match ty.bytes() {
                8 => self.asm.mov_rr(8, t, r),
                n => self.asm.zext_rr(n, t, r),
            }
            self.asm.store(8, m, t);
            self.asm.store_imm(8, m.offset(8), 0);
        }
        self.claim_argument(v, ty, m.disp);
        self.unlock();
    }
}
