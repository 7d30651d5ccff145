//! Where a value is, and what a comparison of values gives.

use std::cmp::Ordering;

use ir::Ty;

use super::Convention;
use super::analysis::CondKind;
use super::asm::cc;
use super::float_conditions;

/// Where a value is. Bit 63 marks a comparison still to be made; else bits 0..3 are a [`Kind`], the rest its number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Loc(u64);

/// Simple locations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// In the memory of a slot.
    Home,
    /// In a general register.
    Gpr,
    /// In a vector register.
    Xmm,
    /// In a spill slot.
    Spill,
    /// In the unit's constant pool.
    Const,
    /// The number itself (bit numbers).
    Bit,
    /// Nowhere: an expression ([`super::shown`]), by the number of its value.
    Expression,
    /// One of the unit's choices ([`super::choices`]).
    Choice,
}

const KINDS: [Kind; 8] =
    [Kind::Home, Kind::Gpr, Kind::Xmm, Kind::Spill, Kind::Const, Kind::Bit, Kind::Expression, Kind::Choice];
const RECIPE: u64 = 1 << 63;
const SIMPLE_BITS: u32 = 24;

/// A comparison in terms of locations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct RecipeLoc {
    pub(super) kind: CondKind,
    pub(super) cc: u8,
    pub(super) ty: Ty,
    pub(super) a: Loc,
    pub(super) b: Loc,
}

impl RecipeLoc {
    /// A sign extension, not a comparison.
    pub(super) fn is_extension(&self) -> bool {
        self.kind == CondKind::Extend
    }

    /// The comparison without its condition code: what the flags are of.
    pub(super) fn key(&self) -> Loc {
        Loc::recipe(self.kind, 0, self.ty, self.a, self.b)
    }
}

impl Loc {
    /// By number.
    pub(super) const TYPES: [Ty; 6] = [Ty::I1, Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128];

    const fn simple(kind: Kind, n: u32) -> Loc {
        Loc((n as u64) << 3 | kind as u64)
    }

    pub(super) const fn home(slot: u16) -> Loc {
        Loc::simple(Kind::Home, slot as u32)
    }

    pub(super) const fn gpr(r: u8) -> Loc {
        Loc::simple(Kind::Gpr, r as u32)
    }

    pub(super) const fn xmm(x: u8) -> Loc {
        Loc::simple(Kind::Xmm, x as u32)
    }

    /// The pinned slots and where they are at the boundary.
    pub(super) fn of_pins(conv: &Convention) -> impl Iterator<Item = (u16, Loc)> + '_ {
        let general = conv.pins.iter().map(|&(slot, r)| (slot.0, Loc::gpr(r)));
        general.chain(conv.vector_pins.iter().map(|&(slot, x)| (slot.0, Loc::xmm(x))))
    }

    pub(super) const fn spill(s: u16) -> Loc {
        Loc::simple(Kind::Spill, s as u32)
    }

    pub(super) const fn constant(index: u32) -> Loc {
        Loc::simple(Kind::Const, index)
    }

    pub(super) const fn bit(n: u32) -> Loc {
        Loc::simple(Kind::Bit, n)
    }

    pub(super) const fn expression(n: u32) -> Loc {
        Loc::simple(Kind::Expression, n)
    }

    pub(super) const fn choice(n: u32) -> Loc {
        Loc::simple(Kind::Choice, n)
    }

    /// Layout, from bit 0: operand a, operand b (24 bits each), condition code (4), type (3), kind (3).
    pub(super) fn recipe(kind: CondKind, cc: u8, ty: Ty, a: Loc, b: Loc) -> Loc {
        debug_assert!((a.0 | b.0) >> SIMPLE_BITS == 0);
        Loc(RECIPE | a.0 | b.0 << 24 | u64::from(cc) << 48 | (ty as u64) << 52 | (kind as u64) << 55)
    }

    pub(super) fn as_recipe(self) -> Option<RecipeLoc> {
        let mask = (1 << SIMPLE_BITS) - 1;
        (self.0 & RECIPE != 0).then(|| RecipeLoc {
            kind: CondKind::ALL[(self.0 >> 55 & 7) as usize],
            cc: (self.0 >> 48 & 15) as u8,
            ty: Loc::TYPES[(self.0 >> 52 & 7) as usize],
            a: Loc(self.0 & mask),
            b: Loc(self.0 >> 24 & mask),
        })
    }

    /// Kind and number of a simple location.
    pub(super) fn parts(self) -> (Kind, u32) {
        (KINDS[(self.0 & 7) as usize], (self.0 >> 3) as u32)
    }
}

/// Compares floating-point numbers by their bits: this runs while invalid operations may trap, and must raise no flags.
fn compare_floats(ty: Ty, a: u64, b: u64) -> Option<Ordering> {
    let (sign, infinity) = match ty {
        Ty::I32 => (1 << 31, 0x7f80_0000),
        _ => (1 << 63, 0x7ff0_0000_0000_0000),
    };
    let magnitude = |v: u64| v & (sign - 1);
    let number = |v: u64| if v & sign == 0 { magnitude(v) as i64 } else { -(magnitude(v) as i64) };
    let are_numbers = magnitude(a) <= infinity && magnitude(b) <= infinity;
    are_numbers.then(|| number(a).cmp(&number(b)))
}

/// What the host's flags would be after a comparison.
#[derive(Clone, Copy)]
pub(super) enum Compared {
    /// Of integers.
    Integers { carry: bool, zero: bool, negative: bool, overflow: bool },
    /// Of floats: `None` if they are unordered.
    Floats(Option<Ordering>),
}

impl Compared {
    /// Compares `ty`-wide operands.
    pub(super) fn new(kind: CondKind, ty: Ty, a: u64, b: u64) -> Compared {
        if kind == CondKind::Float {
            return Compared::Floats(compare_floats(ty, a, b));
        }
        let bits = ty.bits().min(64);
        let mask = ty.mask() as u64;
        let (a, operand) = (a & mask, b & mask);
        let sign = |v: u64| v >> (bits - 1) & 1 != 0;
        let (result, carry, overflow) = match kind {
            CondKind::Cmp => {
                let d = a.wrapping_sub(operand) & mask;
                (d, a < operand, sign((a ^ operand) & (a ^ d)))
            }
            CondKind::Add => {
                let s = a.wrapping_add(operand) & mask;
                (s, s < a, sign(!(a ^ operand) & (a ^ s)))
            }
            CondKind::Test => (a & operand, false, false),
            CondKind::Bit | CondKind::Float | CondKind::Extend => (0, a >> (b & 63) & 1 != 0, false),
        };
        Compared::Integers { carry, zero: result == 0, negative: sign(result), overflow }
    }

    /// Whether a condition code holds.
    pub(super) fn holds(self, code: u8) -> bool {
        let (carry, zero, negative, overflow) = match self {
            Compared::Integers { carry, zero, negative, overflow } => (carry, zero, negative, overflow),
            Compared::Floats(order) => return float_conditions::holds(code, order),
        };
        let holds = match code & !1 {
            cc::O => overflow,
            cc::B => carry,
            cc::E => zero,
            cc::BE => carry || zero,
            cc::S => negative,
            cc::L => negative != overflow,
            _ => zero || negative != overflow,
        };
        holds != (code & 1 != 0)
    }
}

/// The sign extension of the low bits of `a` that are of type `ty`.
pub(super) fn extended(ty: Ty, a: u64) -> u64 {
    let above = 64 - ty.bits();
    ((a << above) as i64 >> above) as u64
}

/// Result of a comparison of `ty`-wide operands, as the host's flags would give it.
pub(super) fn holds(kind: CondKind, code: u8, ty: Ty, a: u64, b: u64) -> bool {
    Compared::new(kind, ty, a, b).holds(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats_are_compared_as_the_host_does() {
        let bits = [0, 1, 0x7f_ffff, 0x80_0000, 0x3f80_0000, 0x7f7f_ffff, 0x7f80_0000, 0x7f80_0001, 0x7fc0_0000];
        let signed = bits.into_iter().flat_map(|v: u32| [v, v | 1 << 31]);
        for (a, b) in signed.clone().flat_map(|a| signed.clone().map(move |b| (a, b))) {
            let (x, y) = (f32::from_bits(a), f32::from_bits(b));
            assert_eq!(compare_floats(Ty::I32, a.into(), b.into()), x.partial_cmp(&y), "{a:#x} {b:#x}");
            let wide = |v: u32| u64::from(v >> 31) << 63 | u64::from(v & 0x7fff_ffff) << 29;
            // The same numbers with an exponent of 11 bits, whatever they are.
            let (x, y) = (wide(a) | wide(a) << 3 & 7 << 60, wide(b));
            assert_eq!(
                compare_floats(Ty::I64, x, y),
                f64::from_bits(x).partial_cmp(&f64::from_bits(y)),
                "{x:#x} {y:#x}"
            );
        }
    }
}
