//! Comparisons of floating-point numbers as conditions that their users evaluate.
//!
//! Such a comparison has one of four outcomes, and a condition is a set of them. After `ucomis a, b` or `ucomis b, a` most sets
//! are a condition code of the host. Equal but not unordered is none, nor its opposite: they have the codes of the sign flag,
//! which says nothing here, and it takes two flags to evaluate them.
//!
//! The comparison itself stays where it is, because it raises flags. What its users do again raises nothing new, as long as the
//! guest does not clear the flags in between.

use ir::Unit;
use ir::guest::Guest;
use ir::inst::{Effect, FCmp, Inst, Op};

use super::analysis::{Analysis, Cond, CondKind, Mode, operands};
use super::asm::{Alu, cc};
use super::claims::Cell;
use super::generator::{Gen, SCRATCH_XMM};
use super::snapshot::{Kind, RecipeLoc};

const LESS: u8 = 1;
const EQUAL: u8 = 2;
const GREATER: u8 = 4;
const UNORDERED: u8 = 8;

/// The outcomes for which a code holds after `ucomis a, b`.
const OUTCOMES: [(u8, u8); 10] = [
    (cc::A, GREATER),
    (cc::AE, GREATER | EQUAL),
    (cc::B, LESS | UNORDERED),
    (cc::BE, LESS | EQUAL | UNORDERED),
    (cc::E, EQUAL | UNORDERED),
    (cc::NE, LESS | GREATER),
    (cc::P, UNORDERED),
    (cc::NP, LESS | EQUAL | GREATER),
    (EQUAL_CODE, EQUAL),
    (EQUAL_CODE ^ 1, LESS | GREATER | UNORDERED),
];

/// Code of "equal and ordered".
const EQUAL_CODE: u8 = cc::S;

/// Whether a code of a comparison of floats takes two flags.
pub(super) fn takes_two_flags(code: u8) -> bool {
    code & !1 == EQUAL_CODE
}

/// Whether a code holds of two numbers, given as their order: `None` if unordered.
pub(super) fn holds(code: u8, order: Option<std::cmp::Ordering>) -> bool {
    let outcome = match order {
        Some(std::cmp::Ordering::Less) => LESS,
        Some(std::cmp::Ordering::Equal) => EQUAL,
        Some(std::cmp::Ordering::Greater) => GREATER,
        None => UNORDERED,
    };
    outcomes(code) & outcome != 0
}

fn outcomes(code: u8) -> u8 {
    OUTCOMES.iter().find(|o| o.0 == code).map_or(0, |o| o.1)
}

/// The quiet predicate of `vcmpsd` that holds when a code does after `ucomis`.
pub(super) fn predicate(code: u8) -> u8 {
    match code {
        cc::A => 0x1e,
        cc::AE => 0x1d,
        cc::B => 0x19,
        cc::BE => 0x1a,
        cc::E => 0x08,
        cc::NE => 0x0c,
        cc::P => 0x03,
        cc::NP => 0x07,
        EQUAL_CODE => 0x00,
        _ => 0x04,
    }
}

/// The outcomes of the comparison with the operands exchanged.
fn exchanged(set: u8) -> u8 {
    set & (EQUAL | UNORDERED) | (set & LESS) << 2 | (set & GREATER) >> 2
}

/// A set of outcomes of the comparison of `c` as a condition.
fn condition(c: &Cond, set: u8) -> Option<Cond> {
    let code = |set: u8| OUTCOMES.iter().find(|o| o.1 == set).map(|o| o.0);
    match code(set) {
        Some(cc) => Some(Cond { cc, ..*c }),
        None => code(exchanged(set)).map(|cc| Cond { cc, a: c.b, b: c.a, ..*c }),
    }
}

/// Two conditions of one comparison, put together by an operation on one-bit values.
pub(super) fn combine(op: Op, a: &Cond, b: &Cond) -> Option<Cond> {
    let same = a.ty == b.ty && b.kind == CondKind::Float;
    let second = match (a.a, a.b) {
        operands if same && operands == (b.a, b.b) => outcomes(b.cc),
        operands if same && operands == (b.b, b.a) => exchanged(outcomes(b.cc)),
        _ => return None,
    };
    let first = outcomes(a.cc);
    let set = match op {
        Op::And => first & second,
        Op::Or => first | second,
        Op::Andn => first & !second,
        Op::Xor | Op::Ne => first ^ second,
        Op::Eq => !(first ^ second),
        _ => return None,
    };
    condition(a, set & 15)
}

impl Analysis {
    /// Finds the comparisons that nothing evaluates after an operation that may clear sticky flags: neither operations, at once or by
    /// way of pure ones, nor exits and faults, by way of slots.
    pub(super) fn find_evaluated_early(&mut self, unit: &Unit, guest: &Guest) {
        let mut ends = vec![0; unit.insts.len()];
        let mut next_put = vec![u32::MAX; guest.slots.len()];
        let mut next_clear = u32::MAX;
        let mut puts = unit.puts.iter().rev().peekable();
        for (i, inst) in unit.insts.iter().enumerate().rev() {
            while let Some(put) = puts.next_if(|put| put.pos > i as u32) {
                let end = &mut ends[put.val.index()];
                *end = next_put[put.slot.0 as usize].max(*end);
                next_put[put.slot.0 as usize] = put.pos;
            }
            match inst.op {
                Op::Fcmp if ends[i] <= next_clear => self.evaluated_early.push(i as u32),
                Op::Setfflags | Op::Helper => next_clear = i as u32,
                _ => {}
            }
            let own = if inst.op.desc().effect == Effect::Pure { ends[i] } else { 0 };
            for v in operands(unit, inst) {
                ends[v.index()] = ends[v.index()].max(own).max(i as u32 + 1);
            }
        }
    }

    /// A comparison as a condition, if the host makes it.
    pub(super) fn float_condition(&self, unit: &Unit, inst: &Inst) -> Option<Cond> {
        let (a, b) = (self.arg(inst, 0), self.arg(inst, 1));
        let mode = |v: u32| self.values[v as usize].mode;
        let simple = |v: u32| matches!(mode(v), Mode::Emit | Mode::Const);
        if !self.flags_stay
            || !self.hosts_float(unit, inst)
            || !simple(a)
            || !simple(b)
            || mode(a) == mode(b) && mode(a) == Mode::Const
        {
            return None;
        }
        let set = match inst.attr.kind() & 3 {
            // That it is one, of a number.
            k if k == FCmp::Eq as u8 && a == b => LESS | EQUAL | GREATER,
            k if k == FCmp::Eq as u8 => EQUAL,
            k if k == FCmp::Lt as u8 => LESS,
            k if k == FCmp::Le as u8 => LESS | EQUAL,
            _ => UNORDERED,
        };
        let c = Cond { kind: CondKind::Float, cc: 0, ty: inst.ty, a, b };
        condition(&c, set)
    }
}

impl Gen<'_> {
    /// A comparison whose result its users evaluate: raises its flags, and leaves those of the host for users that come at
    /// once.
    pub(super) fn emit_float_condition(&mut self, inst: &Inst) {
        let Some(c) = self.an.cond(self.pos) else { return };
        let key = Some((c.kind, c.ty, c.a, c.b));
        let signalling = inst.attr.kind() >= FCmp::EqS as u8 && self.an.raises(self.pos);
        if self.flags == key && (self.signalled || !signalling) {
            return;
        }
        let (a, b) = (self.use_xmm(c.a), self.use_xmm(c.b));
        self.unordered_compare(c.ty.bits(), signalling, a, b);
        (self.flags, self.signalled) = (key, signalling);
    }

    /// Turns the flags of a comparison into those of "equal and ordered", or its opposite.
    pub(super) fn join_flags(&mut self, code: u8) -> u8 {
        let (equal, ordered) = (self.temp_gpr(), self.temp_gpr());
        self.asm.setcc(cc::E, equal);
        self.asm.setcc(cc::NP, ordered);
        self.asm.alu_rr(Alu::And, 1, equal, ordered);
        self.flags = None;
        if code == EQUAL_CODE { cc::NE } else { cc::E }
    }

    /// Stores whether the flags of a comparison mean "equal and ordered", or its opposite; leaves them.
    pub(super) fn store_joined_flags(&mut self, code: u8, to: super::asm::Mem) {
        let negated = u8::from(code != EQUAL_CODE);
        self.asm.setcc_mem(cc::NP ^ negated, to);
        let done = self.asm.jcc_short(cc::E);
        self.asm.store_imm(1, to, negated.into());
        self.asm.land(done);
    }

    /// `ucomis` of two locations, of a slot's comparison.
    pub(super) fn compare_floats_of_locs(&mut self, slot: u16, r: RecipeLoc, busy: u32) {
        let size = r.ty.bytes();
        let a = match r.a.parts() {
            (Kind::Xmm, x) => x as u8,
            _ => {
                self.load_vector(SCRATCH_XMM, r.a, size);
                SCRATCH_XMM
            }
        };
        let (kind, n) = r.b.parts();
        if kind == Kind::Xmm {
            self.claim_compared(slot, false, Cell::Xmm(a));
            self.claim_compared(slot, true, Cell::Xmm(n as u8));
            return self.unordered_compare(r.ty.bits(), false, a, n as u8);
        }
        if kind == Kind::Gpr {
            self.asm.store(8, Self::scratch(0), n as u8);
        }
        let m = self.source_memory(r.b, size, busy);
        self.claim_compared(slot, false, Cell::Xmm(a));
        if kind != Kind::Const {
            self.claim_compared(slot, true, Cell::Mem(m.disp));
        }
        match size {
            8 => self.asm.op_prefixed_rm(0x66, 4, 0x0f2e, a, m),
            _ => self.asm.op_rm(4, 0x0f2e, a, m),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ir::Ty;

    /// Every set of outcomes but none and all is a condition, and every combination of two is the right one.
    #[test]
    fn conditions_are_sets_of_outcomes() {
        let of = |c: &Cond| if c.a == 1 { outcomes(c.cc) } else { exchanged(outcomes(c.cc)) };
        let base = Cond { kind: CondKind::Float, cc: 0, ty: Ty::I64, a: 1, b: 2 };
        assert_eq!(condition(&base, 0), None);
        assert_eq!(condition(&base, 15), None);
        for x in 1..15 {
            let a = condition(&base, x).expect("a condition");
            assert_eq!((of(&a), of(&Cond { cc: a.cc ^ 1, ..a })), (x, 15 ^ x));
            for y in 1..15 {
                let b = condition(&base, y).expect("a condition");
                let results = [(Op::And, x & y), (Op::Or, x | y), (Op::Andn, x & !y), (Op::Xor, x ^ y)];
                for (op, set) in results.into_iter().chain([(Op::Ne, x ^ y), (Op::Eq, 15 ^ x ^ y)]) {
                    let set = set & 15;
                    assert_eq!(combine(op, &a, &b).map(|c| of(&c)), (set != 0 && set != 15).then_some(set), "{op:?}");
                }
            }
        }
    }
}
