//! Conditions over flags become the comparison that made the flags, for registers and for constants.

use super::support::{GUEST, Random, builder, finish, run, slot};
use crate::inst::Op;
use crate::{Builder, GuestState, Ty, Val};

/// Flags `N Z C V` of a subtraction, carry meaning "no borrow".
fn subtract(b: &mut Builder<'_>, w: u32, x: Val, y: Val) -> [Val; 4] {
    let r = b.sub(w, x, y);
    let zero = b.konst(w, 0);
    [b.extract(w, r, w - 1, 1), b.eq(w, r, zero), b.le_u(w, y, x), b.overflow_sub(w, x, y, None)]
}

/// The same of a sum.
fn add(b: &mut Builder<'_>, w: u32, x: Val, y: Val) -> [Val; 4] {
    let r = b.add(w, x, y);
    let zero = b.konst(w, 0);
    [b.extract(w, r, w - 1, 1), b.eq(w, r, zero), b.carry_add(w, x, y, None), b.overflow_add(w, x, y, None)]
}

/// The sixteen conditions of a flags architecture.
fn condition(b: &mut Builder<'_>, [n, z, c, v]: [Val; 4], code: u32) -> Val {
    let holds = match code >> 1 {
        0 => z,
        1 => c,
        2 => n,
        3 => v,
        4 => {
            let not_z = b.not(1, z);
            b.and(1, c, not_z)
        }
        5 => b.eq(1, n, v),
        _ => {
            let (same, not_z) = (b.eq(1, n, v), b.not(1, z));
            b.and(1, not_z, same)
        }
    };
    if code & 1 == 1 { b.not(1, holds) } else { holds }
}

type Flags = fn(&mut Builder<'_>, u32, Val, Val) -> [Val; 4];

/// The operation that the condition became.
fn folded(w: u32, flags: Flags, k: Option<i128>, code: u32) -> (Op, bool) {
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    let (x, y) = (b.low(64, w, x), if let Some(k) = k { b.konst(w, k) } else { b.low(64, w, y) });
    let flags = flags(&mut b, w, x, y);
    let holds = condition(&mut b, flags, code);
    b.put(slot("N"), holds);
    let unit = finish(b);
    let inst = unit.insts[holds.index()];
    let swapped = inst.args[0] == y || inst.args[1] == x;
    (inst.op, swapped)
}

#[test]
fn comparisons_of_registers() {
    let expected = [
        (Op::Eq, false),
        (Op::Ne, false),
        (Op::Leu, true),
        (Op::Ltu, false),
        (Op::Lts, false), // sign of the difference
        (Op::Les, false),
        (Op::Ovsub, false),
        (Op::Not, false),
        (Op::Ltu, true),
        (Op::Leu, false),
        (Op::Les, true),
        (Op::Lts, false),
        (Op::Lts, true),
        (Op::Les, false),
    ];
    for (code, expected) in expected.into_iter().enumerate() {
        for w in [32, 64] {
            let got = folded(w, subtract, None, code as u32);
            let name = format!("condition {code} at {w}");
            match expected.0 {
                Op::Lts | Op::Les if (4..6).contains(&code) => assert_eq!(got.0, expected.0, "{name}"),
                Op::Not => assert_eq!(got.0, Op::Not, "{name}"),
                _ => assert_eq!(got, expected, "{name}"),
            }
        }
    }
}

#[test]
fn comparisons_with_constants() {
    for k in [5, -5, 4095] {
        let ops: Vec<_> = (8..14).map(|code| folded(64, subtract, Some(k), code).0).collect();
        assert_eq!(ops, [Op::Ltu, Op::Leu, Op::Les, Op::Lts, Op::Lts, Op::Les], "{k}");
        // A comparison with a negative number may be encoded as an addition.
        let ops: Vec<_> = (8..14).map(|code| folded(32, add, Some(k), code).0).collect();
        assert_eq!(ops, [Op::Ltu, Op::Leu, Op::Les, Op::Lts, Op::Lts, Op::Les], "sum with {k}");
    }
}

#[test]
fn comparisons_with_zero() {
    let ops: Vec<_> = (0..14).map(|code| folded(64, subtract, Some(0), code).0).collect();
    let never = Op::Const;
    assert_eq!(
        ops,
        [
            Op::Eq,
            Op::Ne,
            never,
            never,
            Op::Lts,
            Op::Les,
            never,
            never,
            Op::Ne,
            Op::Eq,
            Op::Les,
            Op::Lts,
            Op::Lts,
            Op::Les
        ]
    );
}

/// A loop's counter after a few turns, which is a sum of a sum.
#[test]
fn comparisons_of_long_sums_with_zero() {
    let ops: Vec<_> = (8..14)
        .map(|code| {
            let mut b = builder();
            let (mut x, step, zero) = (b.get(slot("a")), b.konst(64, 8), b.konst(64, 0));
            for _ in 0..3 {
                // Kept each time: it is made of the one before.
                x = b.add(64, x, step);
                b.put(slot("a"), x);
            }
            let flags = subtract(&mut b, 64, x, zero);
            let holds = condition(&mut b, flags, code);
            b.put(slot("N"), holds);
            finish(b).insts[holds.index()].op
        })
        .collect();
    assert_eq!(ops, [Op::Ne, Op::Eq, Op::Les, Op::Lts, Op::Lts, Op::Les]);
}

/// Every condition after every comparison at 5 and 8 bits is what the flags' definition says.
#[test]
fn every_condition_is_right_at_small_widths() {
    for (sum, flags) in [(false, subtract as Flags), (true, add as Flags)] {
        for w in [5, 8] {
            for code in 0..14 {
                check_condition(sum, flags, w, code);
            }
        }
    }
}

fn check_condition(sum: bool, flags: Flags, w: u32, code: u32) {
    let size = 1u128 << w;
    let unit = |k: Option<u128>| {
        let mut b = builder();
        let (x, y) = (b.get(slot("a")), b.get(slot("b")));
        let (x, y) = (b.low(64, w, x), if let Some(k) = k { b.konst(w, k as i128) } else { b.low(64, w, y) });
        let flags = flags(&mut b, w, x, y);
        let holds = condition(&mut b, flags, code);
        b.put(slot("Z"), holds);
        finish(b)
    };
    let general = unit(None);
    for y in (0..size).step_by(if w == 5 { 1 } else { 3 }) {
        let special = unit(Some(y));
        for x in 0..size {
            let expected = expected(sum, w, x, y, code);
            for unit in [&general, &special] {
                let mut s = GuestState::new(&GUEST);
                s.set(&GUEST, slot("a"), x);
                s.set(&GUEST, slot("b"), y);
                run(unit, &mut s);
                assert_eq!(s.get(&GUEST, slot("Z")) == 1, expected, "condition {code} of {x}, {y} at {w}, sum: {sum}");
            }
        }
    }
}

/// By the flags' definition in wide integers.
fn expected(sum: bool, w: u32, x: u128, y: u128, code: u32) -> bool {
    let signed = |v: u128| (v << (128 - w)) as i128 >> (128 - w);
    let low = |v: u128| v & (u128::MAX >> (128 - w));
    let (r, exact) =
        if sum { (low(x + y), signed(x) + signed(y)) } else { (low(x.wrapping_sub(y)), signed(x) - signed(y)) };
    let (n, z, v) = (signed(r) < 0, r == 0, signed(r) != exact);
    let c = if sum { (x + y) >> w == 1 } else { x >= y };
    let holds = [z, c, n, v, c && !z, n == v, !z && n == v][(code >> 1) as usize];
    holds != (code & 1 == 1)
}

#[test]
fn set_then_branch_is_one_comparison() {
    // r = a < b ? 1 : 0 (64 bits), branch if r != 0; and the inverse by xor 1.
    let mut b = builder();
    let (x, y) = (b.get(slot("a")), b.get(slot("b")));
    let less = b.lt_s(64, x, y);
    let r = b.zext(1, 64, less);
    let zero = b.konst(64, 0);
    assert_eq!(b.ne(64, r, zero), less);
    let one = b.konst(64, 1);
    let flipped = b.xor(64, r, one);
    let taken = b.ne(64, flipped, zero);
    assert_eq!(b.eq(64, r, zero), taken);
    let inst = finish(b).insts[taken.index()];
    assert_eq!((inst.op, inst.ty, inst.args[0], inst.args[1]), (Op::Les, Ty::I64, y, x));
}

/// A comparison made only if another condition held, as compilers chain them: `c ? flags of x - y : nzcv`.
fn chained(b: &mut Builder<'_>, c: Val, nzcv: u32, x: Val, y: Val) -> [Val; 4] {
    let flags = subtract(b, 64, x, y);
    std::array::from_fn(|i| {
        let otherwise = b.konst(1, (nzcv >> (3 - i) & 1).into());
        b.select(1, c, flags[i], otherwise)
    })
}

#[test]
fn chained_comparisons_are_two_comparisons() {
    for nzcv in 0..16 {
        for code in 8..14 {
            let mut b = builder();
            let (x, y, k) = (b.get(slot("a")), b.get(slot("b")), b.konst(64, 7));
            let first = b.eq(64, x, k);
            let flags = chained(&mut b, first, nzcv, x, y);
            let holds = condition(&mut b, flags, code);
            b.put(slot("Z"), holds);
            let inst = b.inst(holds);
            let top = if inst.op == Op::Not { b.inst(inst.args[0]).op } else { inst.op };
            if [0, 4, 8].contains(&nzcv) && code >= 10 {
                assert!(matches!(top, Op::And | Op::Or), "condition {code} after #{nzcv}: {top:?}");
            }
            let unit = finish(b);
            for (x, y) in [(7, 7), (7, 8), (8, 7), (7, 1 << 63), (1 << 63, 7), (3, 3)] {
                let mut s = GuestState::new(&GUEST);
                s.set(&GUEST, slot("a"), x);
                s.set(&GUEST, slot("b"), y);
                run(&unit, &mut s);
                let expected = if x == 7 { expected(false, 64, x, y, code) } else { by_flags(nzcv, code) };
                assert_eq!(s.get(&GUEST, slot("Z")) == 1, expected, "condition {code} of {x}, {y} after #{nzcv}");
            }
        }
    }
}

/// A comparison made only if another has left flags as a condition wants them, which stay otherwise: every condition then, at 3 bits.
#[test]
fn comparisons_under_the_condition_of_another_are_right() {
    for (gate, code) in [0, 1, 2, 8, 12].into_iter().flat_map(|gate| (0..14).map(move |code| (gate, code))) {
        let mut b = builder();
        let [x, y, p, q] = ["a", "b", "c", "d"].map(|name| {
            let whole = b.get(slot(name));
            b.low(64, 3, whole)
        });
        let earlier = subtract(&mut b, 3, x, y);
        let made = condition(&mut b, earlier, gate);
        let later = subtract(&mut b, 3, p, q);
        let flags = std::array::from_fn(|i| b.select(1, made, later[i], earlier[i]));
        let holds = condition(&mut b, flags, code);
        b.put(slot("Z"), holds);
        let unit = finish(b);
        for bits in 0..1u32 << 12 {
            let [x, y, p, q] = std::array::from_fn(|i| u128::from(bits >> (3 * i) & 7));
            let mut s = GuestState::new(&GUEST);
            for (name, v) in ["a", "b", "c", "d"].into_iter().zip([x, y, p, q]) {
                s.set(&GUEST, slot(name), v);
            }
            run(&unit, &mut s);
            let made = expected(false, 3, x, y, gate);
            let (x, y) = if made { (p, q) } else { (x, y) };
            assert_eq!(s.get(&GUEST, slot("Z")) == 1, expected(false, 3, x, y, code), "{code} after {gate}: {bits:#x}");
        }
    }
}

/// Formulas over four flags as deep as three operations, which simplification takes apart and puts together again.
#[test]
fn formulas_over_flags_are_right() {
    let mut r = Random(0x5eed_f1a6);
    for _ in 0..3000 {
        let mut b = builder();
        let mut values: Vec<(Val, u16)> = ["N", "Z", "C", "V"]
            .into_iter()
            .zip([0xaaaa, 0xcccc, 0xf0f0, 0xff00])
            .map(|(name, table)| (b.get(slot(name)), table))
            .collect();
        for _ in 0..2 + r.below(8) {
            let [(p, tp), (q, tq), (c, tc)] = std::array::from_fn(|_| values[r.below(values.len() as u32) as usize]);
            values.push(match r.below(5) {
                0 => (b.and(1, p, q), tp & tq),
                1 => (b.or(1, p, q), tp | tq),
                2 => (b.xor(1, p, q), tp ^ tq),
                3 => (b.not(1, p), !tp),
                _ => (b.select(1, c, p, q), tc & tp | !tc & tq),
            });
        }
        let (last, table) = values[values.len() - 1];
        let wide = b.zext(1, 64, last);
        b.put(slot("a"), wide);
        let unit = finish(b);
        for flags in 0..16u16 {
            let mut s = GuestState::new(&GUEST);
            for (i, name) in ["N", "Z", "C", "V"].into_iter().enumerate() {
                s.set(&GUEST, slot(name), (flags >> i & 1).into());
            }
            run(&unit, &mut s);
            assert_eq!(s.get(&GUEST, slot("a")), (table >> flags & 1).into(), "{unit:?}");
        }
    }
}

fn by_flags(nzcv: u32, code: u32) -> bool {
    let [n, z, c, v] = std::array::from_fn(|i| nzcv >> (3 - i) & 1 == 1);
    let holds = [z, c, n, v, c && !z, n == v, !z && n == v][(code >> 1) as usize];
    holds != (code & 1 == 1)
}

#[test]
fn what_is_carried_into_a_bit_is_a_comparison() {
    let kinds = [8, 32].into_iter().flat_map(|w| [false, true].map(|subtracts| (w, subtracts)));
    for (w, subtracts, k) in kinds.flat_map(|(w, subtracts)| (0..256).map(move |k| (w, subtracts, k))) {
        let mut b = builder();
        let (x, y) = (b.get(slot("a")), b.konst(w, k));
        let (x, one) = (b.low(64, w, x), b.konst(w, 1));
        // The operand is a sum itself, as in the second turn of a loop.
        let x = b.add(w, x, one);
        let r = if subtracts { b.sub(w, x, y) } else { b.add(w, x, y) };
        let both = b.xor(w, x, y);
        let all = b.xor(w, r, both);
        let bit = b.extract(w, all, 4, 1);
        b.put(slot("N"), bit);
        let unit = finish(b);
        let op = unit.insts[bit.index()].op;
        assert!(matches!(op, Op::Const | Op::Eq | Op::Ne | Op::Ltu), "{op:?} of {k}");
        for a in 0..256 {
            let mut state = GuestState::new(&GUEST);
            state.set(&GUEST, slot("a"), a);
            run(&unit, &mut state);
            let x = a as i128 + 1;
            let r = if subtracts { x - k } else { x + k };
            let expected = (x ^ k ^ r) >> 4 & 1;
            assert_eq!(state.get(&GUEST, slot("N")) as i128, expected, "{a} and {k} at {w}, {subtracts}");
        }
    }
}
