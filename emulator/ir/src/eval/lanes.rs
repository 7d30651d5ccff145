//! Lane operations.

use super::signed;
use crate::inst::{Attr, Op};
use crate::ty::Ty;

pub(super) fn eval(op: Op, ty: Ty, from: Ty, attr: Attr, [a, b, c]: [u128; 3]) -> u128 {
    let lane = attr.lane();
    match op {
        Op::Vsel => a & b | !a & c & ty.mask(),
        Op::Splat => map(ty.bits() / lane, lane, |_| a),
        Op::Vget => a >> (attr.imm() * ty.bits()) & ty.mask(),
        Op::Vset => {
            let at = attr.imm() * from.bits();
            a & !(from.mask() << at) | b << at
        }
        Op::Vshuf => shuffle(ty, a, b, c),
        Op::Vtbl => map(ty.bytes(), 8, |i| {
            let index = at(b, i, 8) & if attr.imm() == 1 { 0x8f } else { 0xff };
            if index < 16 { at(a, index as u32, 8) } else { 0 }
        }),
        Op::Vwidenu => map(64 / lane, 2 * lane, |i| at(a, i, lane)),
        Op::Vwidens => map(64 / lane, 2 * lane, |i| signed(at(a, i, lane), lane) as u128),
        Op::Vmullu => map(64 / lane, 2 * lane, |i| at(a, i, lane) * at(b, i, lane)),
        Op::Vmulls => {
            map(64 / lane, 2 * lane, |i| (signed(at(a, i, lane), lane) * signed(at(b, i, lane), lane)) as u128)
        }
        Op::Vnarrow | Op::Vnarrowuu | Op::Vnarrowss | Op::Vnarrowsu => {
            map(64 / lane, lane, |i| narrow(op, at(a, i, 2 * lane), lane))
        }
        _ => map(ty.bits() / lane, lane, |i| one(op, lane, attr.imm(), at(a, i, lane), at(b, i, lane))),
    }
}

/// Lane `i` of `v`.
pub(super) fn at(v: u128, i: u32, lane: u32) -> u128 {
    v >> (i * lane) & (u128::MAX >> (128 - lane))
}

/// `n` lanes of the low bits of `f(i)`.
pub(super) fn map(n: u32, lane: u32, mut f: impl FnMut(u32) -> u128) -> u128 {
    (0..n).fold(0, |v, i| v | at(f(i), 0, lane) << (i * lane))
}

fn shuffle(ty: Ty, a: u128, b: u128, pattern: u128) -> u128 {
    let n = u128::from(ty.bytes());
    map(ty.bytes(), 8, |i| match at(pattern, i, 8) {
        index if index < n => at(a, index as u32, 8),
        index if index < 2 * n => at(b, (index - n) as u32, 8),
        _ => 0,
    })
}

/// A lane of `2 * lane` bits as one of `lane` bits.
fn narrow(op: Op, a: u128, lane: u32) -> u128 {
    let max = u128::MAX >> (128 - lane);
    let s = signed(a, 2 * lane);
    match op {
        Op::Vnarrowuu => a.min(max),
        Op::Vnarrowss => s.clamp(-(1 << (lane - 1)), (1 << (lane - 1)) - 1) as u128,
        Op::Vnarrowsu => s.clamp(0, max as i128) as u128,
        _ => a,
    }
}

/// One lane; bits of the result above it are ignored.
fn one(op: Op, lane: u32, imm: u32, a: u128, b: u128) -> u128 {
    let (sa, sb) = (signed(a, lane), signed(b, lane));
    let max = u128::MAX >> (128 - lane);
    // At 128 bits per lane there is no saturation: no guest has such lanes.
    let saturated = |s: i128| s.clamp(-(1 << (lane - 1)), (max >> 1) as i128) as u128;
    let mask = |c: bool| if c { max } else { 0 };
    let width = u128::from(lane);
    match op {
        Op::Vadd => a.wrapping_add(b),
        Op::Vsub => a.wrapping_sub(b),
        Op::Vmul => a.wrapping_mul(b),
        Op::Vaddsu => a.saturating_add(b).min(max),
        Op::Vaddss => saturated(sa.saturating_add(sb)),
        Op::Vsubsu => a.saturating_sub(b),
        Op::Vsubss => saturated(sa.saturating_sub(sb)),
        Op::Vminu => a.min(b),
        Op::Vmaxu => a.max(b),
        Op::Vmins => sa.min(sb) as u128,
        Op::Vmaxs => sa.max(sb) as u128,
        Op::Vabs => sa.wrapping_abs() as u128,
        Op::Veq => mask(a == b),
        Op::Vgtu => mask(a > b),
        Op::Vgts => mask(sa > sb),
        Op::Vshl if b >= width => 0,
        Op::Vshl => a << b,
        Op::Vshr if b >= width => 0,
        Op::Vshr => a >> b,
        Op::Vsar => (sa >> b.min(width - 1)) as u128,
        Op::Vshli if imm >= lane => 0,
        Op::Vshli => a << imm,
        Op::Vshri if imm >= lane => 0,
        Op::Vshri => a >> imm,
        Op::Vsari => (sa >> imm.min(lane - 1)) as u128,
        Op::Vpopcnt => a.count_ones().into(),
        Op::Vclz => u128::from(a.leading_zeros() - (128 - lane)),
        // (a + b + 1) / 2 without the carry out of 128 bits.
        Op::Vavgu => (a | b) - ((a ^ b) >> 1),
        _ => unreachable!("{op:?} is not a lane operation"),
    }
}
