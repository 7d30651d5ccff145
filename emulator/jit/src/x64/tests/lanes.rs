//! Every lane operation at every lane width, on lanes at and around the limits of their type, against its definition; as
//! host code for processors of every level.

use ir::guest::Slot;
use ir::inst::{Attr, Op, Val};
use ir::{Ty, eval};

use super::harness::{GUEST, Machine, PC, VECTORS, Writer};
use crate::x64::Features;

/// A lane operation, of whole vectors or from 64 bits to 128 and back.
struct Case {
    op: Op,
    operand: Ty,
    result: Ty,
    operands: usize,
    attr: Attr,
}

fn cases() -> Vec<Case> {
    use Op::*;
    const TWO: [Op; 17] = [
        Vadd, Vsub, Vmul, Vaddsu, Vaddss, Vsubsu, Vsubss, Vminu, Vmaxu, Vmins, Vmaxs, Veq, Vgtu, Vgts, Vshl, Vshr, Vsar,
    ];
    let mut all = Vec::new();
    for lane in [8, 16, 32, 64] {
        let attr = Attr(0).with_lane(lane);
        let mut add = |op, operand, result, operands, attr| all.push(Case { op, operand, result, operands, attr });
        for ty in [Ty::I64, Ty::I128] {
            TWO.iter().chain(&[Vavgu]).for_each(|op| add(*op, ty, ty, 2, attr));
            [Vabs, Vpopcnt, Vclz].iter().for_each(|op| add(*op, ty, ty, 1, attr));
            for op in [Vshli, Vshri, Vsari] {
                for amount in [1, lane / 2, lane - 1] {
                    add(op, ty, ty, 1, Attr::imms(amount, 0).with_lane(lane));
                }
            }
        }
        if lane < 64 {
            [Vwidenu, Vwidens].iter().for_each(|op| add(*op, Ty::I64, Ty::I128, 1, attr));
            [Vmullu, Vmulls].iter().for_each(|op| add(*op, Ty::I64, Ty::I128, 2, attr));
            [Vnarrow, Vnarrowuu, Vnarrowss, Vnarrowsu].iter().for_each(|op| add(*op, Ty::I128, Ty::I64, 1, attr));
        }
    }
    for op in [Eq, Ne] {
        all.push(Case { op, operand: Ty::I128, result: Ty::I1, operands: 2, attr: Attr(0) });
    }
    all
}

/// Lanes of `width` bits: limits, their neighbours, shift amounts, and what 32 bits hold.
fn lanes(width: u32) -> Vec<u128> {
    let mask = u128::MAX >> (128 - width);
    let top = 1 << (width - 1);
    let half = 1 << (width / 2);
    let mut all = vec![0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65, 0x55, 0x80, 0xff];
    all.extend([top, top - 1, top + 1, top | 1 << (width - 2), mask, mask - 1, half, half - 1, half + 1, !half]);
    all.extend([half / 2, half / 2 - 1, !(half / 2), !(half / 2) + 1]);
    all.iter().map(|v| v & mask).collect()
}

/// Pairs of vectors in which each pair of those lanes occurs, at some place.
fn vectors(width: u32) -> Vec<[u128; 2]> {
    let values = lanes(width);
    let n = values.len();
    let pairs: Vec<_> = (0..n * n).map(|i| [values[i / n], values[i % n]]).collect();
    let count = (128 / width) as usize;
    let mut all: Vec<_> = pairs
        .chunks(count)
        .map(|chunk| {
            let whole = |k: usize| chunk.iter().enumerate().fold(0, |v, (i, pair)| v | pair[k] << (i as u32 * width));
            [whole(0), whole(1)]
        })
        .collect();
    all.push([1 << 127, 1 << 127]);
    all
}

fn check(m: &mut Machine, case: &Case) {
    let mut w = Writer::new();
    let operands: Vec<Val> = (0..case.operands as u16)
        .map(|k| {
            let whole = w.get(VECTORS + k);
            if case.operand == Ty::I128 { whole } else { w.op(Op::Trunc, case.operand, Attr(0), &[whole]) }
        })
        .collect();
    let ty = if case.result == Ty::I1 { case.operand } else { case.result };
    let result = w.op(case.op, ty, case.attr, &operands);
    let whole = if case.result == Ty::I128 { result } else { w.op(Op::Zext, Ty::I128, Attr(0), &[result]) };
    w.put(VECTORS, whole);
    let compiled = m.compile(&w.end(PC + 4));
    // The limits of a narrowing operation are those of the wide lanes, too.
    let wide = if matches!(case.result, Ty::I64) && case.operand == Ty::I128 { 2 } else { 1 };
    let width = if case.attr.0 == 0 { 64 } else { case.attr.lane() * wide };
    for vectors in vectors(width) {
        for (k, v) in vectors.into_iter().enumerate() {
            m.thread.guest.set(&GUEST, Slot(VECTORS + k as u16), v);
        }
        m.run(&compiled);
        let [a, b] = vectors.map(|v| v & case.operand.mask());
        let values = [a, if case.operands == 2 { b } else { 0 }, 0];
        let expected = eval::pure(case.op, ty, case.operand, case.attr, values) & case.result.mask();
        let got = m.thread.guest.get(&GUEST, Slot(VECTORS));
        assert_eq!(got, expected, "{:?}.{ty:?} lane {width} of {a:#x}, {b:#x}: {got:#x} is not {expected:#x}", case.op);
    }
}

#[test]
fn lanes_at_their_limits() {
    let levels = Features::LEVELS.into_iter().map(|(_, features)| features).filter(|f| f.missing().is_empty());
    for features in levels.chain([Features::host()]) {
        let mut m = Machine::new(features);
        cases().iter().for_each(|case| check(&mut m, case));
    }
}

/// Picks of bytes: of lanes in turn, even, odd, shifted, of one register and of two, and some with zeros.
fn picks() -> Vec<[u8; 16]> {
    let mut all = Vec::new();
    for bytes in [1, 2, 4, 8] {
        let n = 16 / bytes;
        let lanes = |f: &dyn Fn(usize) -> usize| std::array::from_fn(|i| (f(i / bytes) * bytes + i % bytes) as u8);
        for k in 0..2 {
            all.push(lanes(&|i| i / 2 + i % 2 * n + k * n / 2));
            all.push(lanes(&|i| 2 * i + k));
            all.push(lanes(&|i| i / 2 * 2 + k + i % 2 * n));
            all.push(lanes(&|i| (2 * i + k) % n));
        }
        for k in 0..n {
            all.push(lanes(&|i| i + k));
            all.push(lanes(&|_| k));
            all.push(lanes(&|i| n - 1 - i));
            all.push(lanes(&|i| (i * 5 + k) % (2 * n)));
        }
    }
    let zeros = all[0].map(|p| if p % 3 == 0 { 255 } else { p });
    all.push(zeros);
    all
}

#[test]
fn shuffles_of_patterns() {
    let operands = [0x0f0e_0d0c_0b0a_0908_0706_0504_0302_0100, 0x1f1e_1d1c_1b1a_1918_1716_1514_1312_1110];
    let levels = Features::LEVELS.into_iter().map(|(_, features)| features).filter(|f| f.missing().is_empty());
    for features in levels.chain([Features::host()]) {
        let mut m = Machine::new(features);
        for (picks, one) in picks().into_iter().flat_map(|p| [(p, false), (p, true)]) {
            let pattern = u128::from_le_bytes(picks);
            let mut w = Writer::new();
            let a = w.get(VECTORS);
            let b = if one { a } else { w.get(VECTORS + 1) };
            w.unit.consts.push(pattern);
            let result = w.op(Op::Vshuf, Ty::I128, Attr(0), &[a, b]);
            w.put(VECTORS, result);
            let compiled = m.compile(&w.end(PC + 4));
            m.thread.guest.set(&GUEST, Slot(VECTORS), operands[0]);
            m.thread.guest.set(&GUEST, Slot(VECTORS + 1), operands[1]);
            m.run(&compiled);
            let second = operands[usize::from(!one)];
            let expected = eval::pure(Op::Vshuf, Ty::I128, Ty::I128, Attr(0), [operands[0], second, pattern]);
            let got = m.thread.guest.get(&GUEST, Slot(VECTORS));
            assert_eq!(got, expected, "{picks:?} of one register: {one}: {got:#x} is not {expected:#x}");
        }
    }
}

#[test]
fn whole_vectors_shift_by_constants() {
    let value = 0x8f0e_0d0c_0b0a_0908_8706_0504_0302_0181;
    let levels = Features::LEVELS.into_iter().map(|(_, features)| features).filter(|f| f.missing().is_empty());
    for features in levels {
        let mut m = Machine::new(features);
        for (amount, op) in (0..=129).flat_map(|k| [(k, Op::Shl), (k, Op::Shr)]) {
            let mut w = Writer::new();
            let (a, by) = (w.get(VECTORS), w.konst(Ty::I128, amount));
            let result = w.op(op, Ty::I128, Attr(0), &[a, by]);
            w.put(VECTORS, result);
            let compiled = m.compile(&w.end(PC + 4));
            m.thread.guest.set(&GUEST, Slot(VECTORS), value);
            m.run(&compiled);
            let expected = eval::pure(op, Ty::I128, Ty::I128, Attr(0), [value, amount, 0]);
            let got = m.thread.guest.get(&GUEST, Slot(VECTORS));
            assert_eq!(got, expected, "{op:?} by {amount}: {got:#x} is not {expected:#x}");
        }
    }
}

#[test]
fn narrow_integers_count_their_ones() {
    for features in [Features::V1, Features::host()] {
        let mut m = Machine::new(features);
        for (ty, value) in [Ty::I8, Ty::I16].into_iter().flat_map(|ty| [0u128, 0x80, 0x97ff, 0xff00].map(|v| (ty, v))) {
            let mut w = Writer::new();
            let whole = w.get(VECTORS);
            let a = w.op(Op::Trunc, ty, Attr(0), &[whole]);
            let ones = w.op(Op::Popcnt, ty, Attr(0), &[a]);
            let result = w.op(Op::Zext, Ty::I128, Attr(0), &[ones]);
            w.put(VECTORS, result);
            let compiled = m.compile(&w.end(PC + 4));
            m.thread.guest.set(&GUEST, Slot(VECTORS), value | 0xfff << 64);
            m.run(&compiled);
            let got = m.thread.guest.get(&GUEST, Slot(VECTORS));
            assert_eq!(got, (value & ty.mask()).count_ones().into(), "{ty:?} {value:#x}");
        }
    }
}
