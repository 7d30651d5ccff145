//! Floating-point operations, scalar or by lanes.

use super::lanes::{at, map};
use crate::inst::{Attr, FCmp, MinMax, Op, Round};
use crate::softfloat::{self, FpEnv};
use crate::ty::Ty;

pub(super) fn eval(op: Op, ty: Ty, from: Ty, attr: Attr, args: [u128; 3], fp: &mut FpEnv) -> u128 {
    let (e, round) = (attr.lane(), attr.round());
    let a = args[0] as u64;
    match op {
        Op::Fcmp => softfloat::compare(e, FCmp::of_kind(attr.kind()), a, args[1] as u64, fp).into(),
        Op::Fcvt => softfloat::convert(from.bits(), ty.bits(), a, round, fp).into(),
        Op::Ftos | Op::Ftou if from != ty || e == ty.bits() => {
            softfloat::to_int(e, op == Op::Ftos, ty.bits(), a, round, fp).into()
        }
        Op::Stof | Op::Utof if e == ty.bits() => {
            softfloat::from_int(e, op == Op::Stof, from.bits(), a, round, fp).into()
        }
        // One number needs no loop: generated code comes here for those that the host cannot do.
        _ if ty.bits() == e => u128::from(one(op, attr, e, round, args.map(|v| v as u64), fp)) & ty.mask(),
        _ => map(ty.bits() / e, e, |i| {
            let lanes = args.map(|v| at(v, i, e) as u64);
            one(op, attr, e, round, lanes, fp).into()
        }),
    }
}

/// One lane.
fn one(op: Op, attr: Attr, e: u32, round: Round, [a, b, c]: [u64; 3], fp: &mut FpEnv) -> u64 {
    match op {
        Op::Fadd => softfloat::add(e, a, b, round, fp),
        Op::Fsub => softfloat::sub(e, a, b, round, fp),
        Op::Fmul => softfloat::mul(e, a, b, round, fp),
        Op::Fdiv => softfloat::div(e, a, b, round, fp),
        Op::Fsqrt => softfloat::sqrt(e, a, round, fp),
        Op::Fma => softfloat::fma(e, a, b, c, round, fp),
        Op::Fmin => softfloat::min(e, MinMax::of_kind(attr.kind()), a, b, fp),
        Op::Fmax => softfloat::max(e, MinMax::of_kind(attr.kind()), a, b, fp),
        Op::Vfcmp if softfloat::compare(e, FCmp::of_kind(attr.kind()), a, b, fp) => u64::MAX,
        Op::Vfcmp => 0,
        Op::Fround => softfloat::round_to_int(e, a, round, attr.imm() == 1, fp),
        Op::Ftos | Op::Ftou => softfloat::to_int(e, op == Op::Ftos, e, a, round, fp),
        Op::Stof | Op::Utof => softfloat::from_int(e, op == Op::Stof, e, a, round, fp),
        _ => unreachable!("{op:?} is not a floating-point operation"),
    }
}
