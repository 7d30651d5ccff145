//! Known bits of values, kept as two widths: that make the extensions after 32-bit operations vanish.

use super::Builder;
use crate::inst::{Inst, Op};
use crate::ty::Ty;

/// What is known of a value without knowing it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Fact {
    /// Its type.
    pub(super) ty: Ty,
    /// All bits from here up are zero.
    pub(super) unsigned: u8,
    /// The value is the sign extension of this many low bits (at least 1).
    pub(super) signed: u8,
}

impl Fact {
    /// Of a value of type `ty`, from two bounds; makes each as tight as the other allows.
    fn new(ty: Ty, unsigned: u32, signed: u32) -> Fact {
        let unsigned = unsigned.min(ty.bits());
        let signed = signed.min(unsigned + 1).clamp(1, ty.bits());
        Fact { ty, unsigned: unsigned as u8, signed: signed as u8 }
    }

    fn any(ty: Ty) -> Fact {
        Fact::new(ty, ty.bits(), ty.bits())
    }

    fn constant(ty: Ty, value: u128) -> Fact {
        let shift = 128 - ty.bits();
        let signed = (value << shift) as i128 >> shift;
        let magnitude = if signed < 0 { !signed } else { signed };
        Fact::new(ty, 128 - value.leading_zeros(), 129 - magnitude.leading_zeros())
    }

    /// Bits that may be set in the zero-extended value.
    pub(super) fn unsigned(self) -> u32 {
        self.unsigned.into()
    }

    /// Bits whose sign extension the value is.
    pub(super) fn signed(self) -> u32 {
        self.signed.into()
    }

    /// The sign bit is known to be zero.
    pub(super) fn non_negative(self) -> bool {
        self.unsigned() < self.ty.bits()
    }
}

impl Builder<'_> {
    /// What is known of the result of `inst`.
    pub(super) fn fact_of(&self, inst: &Inst) -> Fact {
        let ty = inst.result_ty().unwrap_or(Ty::I1);
        let bits = ty.bits();
        let arg = |k: usize| self.fact(inst.args[k]);
        let (imm, imm2) = (inst.attr.imm(), inst.attr.imm2());
        match inst.op {
            Op::Const => Fact::constant(ty, self.unit.consts[inst.attr.index()]),
            Op::Zext => Fact::new(ty, arg(0).unsigned(), bits),
            Op::Sext if arg(0).non_negative() => Fact::new(ty, arg(0).unsigned(), bits),
            Op::Sext => Fact::new(ty, bits, arg(0).signed()),
            Op::Trunc => Fact::new(ty, arg(0).unsigned(), arg(0).signed()),
            Op::Bfx => Fact::new(ty, imm2.min(arg(0).unsigned().saturating_sub(imm)), bits),
            Op::Bfxs if arg(0).unsigned() < imm + imm2 => Fact::new(ty, arg(0).unsigned().saturating_sub(imm), bits),
            Op::Bfxs => Fact::new(ty, bits, imm2),
            Op::Bfi => Fact::new(ty, arg(0).unsigned().max(imm + imm2), bits),
            Op::And => {
                let (a, b) = (arg(0), arg(1));
                Fact::new(ty, a.unsigned().min(b.unsigned()), a.signed().max(b.signed()))
            }
            Op::Or | Op::Xor => {
                let (a, b) = (arg(0), arg(1));
                Fact::new(ty, a.unsigned().max(b.unsigned()), a.signed().max(b.signed()))
            }
            Op::Andn => Fact::new(ty, arg(0).unsigned(), arg(0).signed().max(arg(1).signed())),
            Op::Not => Fact::new(ty, bits, arg(0).signed()),
            Op::Select => {
                let (a, b) = (arg(1), arg(2));
                Fact::new(ty, a.unsigned().max(b.unsigned()), a.signed().max(b.signed()))
            }
            Op::Add => {
                let (a, b) = (arg(0), arg(1));
                Fact::new(ty, a.unsigned().max(b.unsigned()) + 1, a.signed().max(b.signed()) + 1)
            }
            Op::Sub => Fact::new(ty, bits, arg(0).signed().max(arg(1).signed()) + 1),
            Op::Mul => Fact::new(ty, arg(0).unsigned() + arg(1).unsigned(), arg(0).signed() + arg(1).signed()),
            Op::Divu | Op::Remu => Fact::new(ty, arg(0).unsigned(), bits),
            Op::Divs => Fact::new(ty, bits, arg(0).signed() + 1),
            Op::Rems => Fact::new(ty, bits, arg(0).signed()),
            Op::Shl | Op::Shr | Op::Sar => self.fact_of_shift(inst),
            Op::Clz | Op::Ctz | Op::Popcnt => Fact::new(ty, 32 - bits.leading_zeros(), bits),
            Op::Concat => Fact::new(ty, bits / 2 + arg(1).unsigned(), bits),
            _ => Fact::any(ty),
        }
    }

    fn fact_of_shift(&self, inst: &Inst) -> Fact {
        let (ty, a) = (inst.ty, self.fact(inst.args[0]));
        let bits = ty.bits();
        let Some(amount) = self.as_const(inst.args[1]).map(|k| k.min(bits.into()) as u32) else {
            return match inst.op {
                Op::Shl => Fact::any(ty),
                Op::Sar if a.non_negative() => Fact::new(ty, a.unsigned(), bits),
                Op::Sar => Fact::new(ty, bits, a.signed()),
                _ => Fact::new(ty, a.unsigned(), bits),
            };
        };
        match inst.op {
            Op::Shl => Fact::new(ty, a.unsigned() + amount, a.signed() + amount),
            Op::Sar if !a.non_negative() => Fact::new(ty, bits, a.signed().saturating_sub(amount)),
            _ => Fact::new(ty, a.unsigned().saturating_sub(amount), bits),
        }
    }
}
