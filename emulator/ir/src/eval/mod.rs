//! What each operation computes: the definition that the interpreter executes, that constants are folded by and that
//! generated code is tested against.
//!
//! Values are zero-extended to 128 bits, operands and results. `ty` is the type of the instruction, `from` the type of
//! the operand whose type is its own (`from` in `isa-specs/ir.ops`).

mod float;
mod integer;
mod lanes;
mod steps;

use crate::inst::{Attr, Effect, Op};
use crate::softfloat::FpEnv;
use crate::ty::Ty;

/// Result of a pure or floating-point operation. For `vshuf`, `args[2]` is the pattern; `const` and `get` have none.
///
/// # Panics
/// For other operations.
#[must_use]
pub fn eval(op: Op, ty: Ty, from: Ty, attr: Attr, args: [u128; 3], fp: &mut FpEnv) -> u128 {
    if op.desc().effect == Effect::Pure {
        pure(op, ty, from, attr, args)
    } else {
        float::eval(op, ty, from, attr, args, fp)
    }
}

/// Result of a pure operation.
///
/// # Panics
/// For operations that are not pure, `const` and `get`.
#[must_use]
pub fn pure(op: Op, ty: Ty, from: Ty, attr: Attr, args: [u128; 3]) -> u128 {
    if op == Op::Step {
        steps::eval(attr, args)
    } else if op as u8 >= Op::Vadd as u8 {
        lanes::eval(op, ty, from, attr, args)
    } else {
        integer::eval(op, ty, from, attr, args)
    }
}

/// Sign extension of the low `bits` bits.
fn signed(value: u128, bits: u32) -> i128 {
    (value << (128 - bits)) as i128 >> (128 - bits)
}
