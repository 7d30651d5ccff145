//! Sums and differences with a carry, and what is carried out of them.
//!
//! Long numbers are chains of these: a sum, its carry, the next sum with that carry, and so on. The host's flags after a sum have
//! its carry and its overflow, and most instructions between leave them alone, so each link of a chain is one host operation
//! as a rule, not one for each result.

use ir::Ty;
use ir::inst::{Inst, Op};

use super::analysis::{Analysis, Cond, CondKind, Mode};
use super::asm::{Alu, cc};
use super::generator::Gen;

/// IR instructions behind a sum among which its carry is looked for: those of the same guest instruction.
const NEAR: usize = 6;

/// The host operation that an instruction is, or is a flag of.
fn operation(op: Op) -> Option<Alu> {
    match op {
        Op::Add | Op::Adc | Op::Carry | Op::Ovadd => Some(Alu::Add),
        Op::Sub | Op::Sbb | Op::Borrow | Op::Ovsub => Some(Alu::Sub),
        _ => None,
    }
}

/// Whether an instruction's result is a flag of the host operation.
fn is_flag(op: Op) -> bool {
    matches!(op, Op::Carry | Op::Borrow | Op::Ovadd | Op::Ovsub)
}

impl Analysis {
    /// A carry that goes into another sum is made where it is defined, from the flags of its own sum: made again where it is
    /// used it would be a second sum.
    pub(super) fn keep_carry(&mut self, unit: &ir::Unit, inst: &Inst) {
        if operation(inst.op).is_none() || self.is_zero(unit, inst, 2) {
            return;
        }
        let carry = self.arg(inst, 2) as usize;
        let own_code = |def: &Inst| is_flag(def.op) && def.ty.bits() >= 32;
        if unit.insts.get(carry).is_some_and(own_code) && self.values[carry].mode == Mode::Cond {
            self.values[carry].mode = Mode::Emit;
            self.keeps_carries = true;
        }
    }
}

impl Gen<'_> {
    /// Whether two instructions are of one sum or difference.
    fn same_sum(&self, a: &Inst, b: &Inst) -> bool {
        let args = |inst: &Inst| (self.an.val(inst.args[0]), self.an.val(inst.args[1]));
        let carry = |inst: &Inst| (!self.an.is_zero(self.unit, inst, 2)).then(|| self.an.val(inst.args[2]));
        let ((x, y), op) = (args(a), operation(a.op));
        let alike = args(b) == (x, y) || op == Some(Alu::Add) && args(b) == (y, x);
        alike && op == operation(b.op) && a.ty == b.ty && carry(a) == carry(b)
    }

    /// Whether the host's carry and overflow flags are those of the sum.
    fn has_flags_of(&self, inst: &Inst) -> bool {
        self.summed.is_some_and(|at| self.same_sum(&self.unit.insts[at as usize], inst))
    }

    /// Whether a flag of the current instruction's sum is wanted as a value soon.
    pub(super) fn wants_flags(&self) -> bool {
        if !self.an.keeps_carries {
            return false;
        }
        let inst = self.inst();
        let behind =
            self.unit.insts[self.pos as usize + 1..].iter().zip(&self.an.values[self.pos as usize + 1..]).take(NEAR);
        let mut flags = behind.filter(|(other, value)| is_flag(other.op) && value.mode == Mode::Emit && value.end != 0);
        flags.any(|(other, _)| self.same_sum(inst, other))
    }

    /// Whether the host's carry and overflow flags are of use to an instruction, or stay what they are in it.
    pub(super) fn goes_on_with_flags(inst: &Inst) -> bool {
        let plain_load = inst.op == Op::Load && inst.attr.0 & !3 == 0 && inst.ty != Ty::I1;
        plain_load || inst.op == Op::ExitIf || is_flag(inst.op) || matches!(inst.op, Op::Adc | Op::Sbb)
    }

    /// Brings the carry that goes into a sum into the carry flag, and gives the operation that adds or subtracts it.
    fn carry_in(&mut self, inst: &Inst) -> Alu {
        let operation = if operation(inst.op) == Some(Alu::Sub) { (Alu::Sub, Alu::Sbb) } else { (Alu::Add, Alu::Adc) };
        if self.an.is_zero(self.unit, inst, 2) {
            return operation.0;
        }
        let carry = self.arg(2);
        if !self.is_in_flag(carry) && !self.compares_for_carry(carry) {
            let r = self.use_gpr(carry);
            self.asm.bt_ri(4, r, 0);
        }
        operation.1
    }

    /// Whether a carry is in the host's flags from its own sum.
    fn is_in_flag(&self, carry: u32) -> bool {
        let def = self.unit.insts.get(carry as usize);
        def.is_some_and(|def| matches!(def.op, Op::Carry | Op::Borrow) && self.has_flags_of(def))
    }

    /// The condition code of a carry that is in the host's flags from its own sum, or of its opposite.
    pub(super) fn carry_code(&self, v: u32) -> Option<u8> {
        self.summed?;
        let (carry, negated) = match self.an.cond(v) {
            None => (v, 0),
            Some(Cond { kind: CondKind::Test, ty: Ty::I1, a, b, cc: code }) if a == b => (a, u8::from(code == cc::E)),
            Some(_) => return None,
        };
        self.is_in_flag(carry).then_some(cc::B ^ negated)
    }

    /// A carry alone is added or subtracted, and it is nowhere but in a register.
    fn emit_carry_alone(&mut self, inst: &Inst) -> bool {
        let zero = |k: usize| self.an.is_zero(self.unit, inst, k);
        if !matches!(inst.op, Op::Adc | Op::Sbb) || !zero(1) || zero(2) {
            return false;
        }
        let carry = self.arg(2);
        if !self.in_gpr(carry) || self.an.values[carry as usize].clean > 1 || self.is_in_flag(carry) {
            return false;
        }
        let c = self.use_gpr(carry);
        let d = self.def_from(self.arg(0), 1 << c);
        self.asm.alu_rr(if inst.op == Op::Adc { Alu::Add } else { Alu::Sub }, Self::size(inst.ty), d, c);
        self.summed = (inst.ty.bits() >= 32).then_some(self.pos);
        true
    }

    /// Makes the comparison that a carry is of, if that leaves it in the carry flag; says whether. Processors without flags find a
    /// carry by comparing a sum with an operand.
    fn compares_for_carry(&mut self, carry: u32) -> bool {
        let in_flag = |c: &Cond| matches!(c.kind, CondKind::Cmp | CondKind::Add) && c.cc & !1 == cc::B;
        if !self.an.cond(carry).is_some_and(|c| in_flag(&c)) {
            return false;
        }
        if self.condition(carry) != cc::B {
            self.asm.byte(0xf5); // cmc
            self.flags = None;
        }
        true
    }

    /// `a + b + c` or `a - b - c`. A narrow one is done on 32 bits, whose flags are not its.
    pub(super) fn emit_sum(&mut self, inst: &Inst) {
        if self.emit_carry_alone(inst) {
            return;
        }
        let size = Self::size(inst.ty);
        let a = self.use_gpr(self.arg(0));
        let b = self.operand(self.arg(1), inst.ty);
        let op = self.carry_in(inst);
        let d = self.def_gpr(Self::mask_of(b));
        if d != a {
            self.asm.mov_rr(size, d, a);
        }
        self.alu(op, size, d, b);
        self.summed = (inst.ty.bits() >= 32).then_some(self.pos);
    }

    /// What is carried out of a sum, or whether it overflows. A narrow one is done as such, for its flags.
    pub(super) fn emit_carry_out(&mut self, inst: &Inst) {
        let code = if matches!(inst.op, Op::Carry | Op::Borrow) { cc::B } else { cc::O };
        let d = if self.has_flags_of(inst) {
            self.def_gpr_early()
        } else {
            let d = self.copy_gpr(self.arg(0));
            let b = self.operand(self.arg(1), inst.ty);
            let op = self.carry_in(inst);
            self.alu(op, inst.ty.bytes(), d, b);
            self.summed = Some(self.pos);
            self.result_gpr(d);
            d
        };
        self.asm.setcc(code, d);
        self.asm.zext_rr(1, d, d);
    }
}
