//! Host code of typical guest sequences, as it is: changes of quality show here.

use ir::builder::Hint;
use ir::guest::Slot;
use ir::unit::{Unit, UnitKey};
use ir::{Builder, MemAttr, Val};

use super::harness::{FLAGS, GUEST, PC};
use super::listing;
use crate::x64::{Compiler, Convention, Features};

/// Emits an instruction at an address.
type Insn<'a> = &'a dyn Fn(&mut Builder<'_>, u64);

/// Builds a unit of 4-byte instructions.
fn unit(insns: &[Insn<'_>]) -> Unit {
    let mut b = Builder::new(&GUEST, UnitKey { pc: PC, mode: 0 });
    let mut pc = PC;
    for insn in insns {
        b.begin_insn(pc);
        b.set_len(4);
        insn(&mut b, pc);
        b.end_insn();
        pc += 4;
    }
    b.finish(pc)
}

fn code(insns: &[Insn<'_>]) -> String {
    let mut compiler = Compiler::new(&GUEST, Convention::new(&GUEST), Features::ALL);
    let compiled = compiler.compile(&unit(insns)).expect("fits");
    listing(&compiled.code)
}

macro_rules! assert_code {
    ($code:expr) => {
        insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
            insta::assert_snapshot!($code);
        })
    };
}

fn get(b: &mut Builder<'_>, n: u16) -> Val {
    b.get(Slot(n))
}

fn put(b: &mut Builder<'_>, n: u16, v: Val) {
    b.put(Slot(n), v);
}

/// rd = rs + imm
fn addi(b: &mut Builder<'_>, rd: u16, rs: u16, imm: i128) {
    let (a, k) = (get(b, rs), b.konst(64, imm));
    let v = b.add(64, a, k);
    put(b, rd, v);
}

/// rd = sext(rs1 + rs2)
fn addw(b: &mut Builder<'_>, rd: u16, rs1: u16, rs2: u16) {
    let (x, y) = (get(b, rs1), get(b, rs2));
    let (x, y) = (b.low(64, 32, x), b.low(64, 32, y));
    let sum = b.add(32, x, y);
    let v = b.sext(32, 64, sum);
    put(b, rd, v);
}

fn load(b: &mut Builder<'_>, w: u32, rd: u16, base: u16, offset: i128) {
    let (a, k) = (get(b, base), b.konst(64, offset));
    let at = b.add(64, a, k);
    let v = b.load(w, at, MemAttr::PLAIN);
    let v = if w < 64 { b.zext(w, 64, v) } else { v };
    put(b, rd, v);
}

fn store(b: &mut Builder<'_>, base: u16, offset: i128, rs: u16) {
    let (a, k) = (get(b, base), b.konst(64, offset));
    let at = b.add(64, a, k);
    let v = get(b, rs);
    b.store(64, at, v, MemAttr::PLAIN);
}

fn branch_nonzero(b: &mut Builder<'_>, rs: u16, target: u64) {
    let (a, zero) = (get(b, rs), b.konst(64, 0));
    let c = b.ne(64, a, zero);
    b.branch(c, target);
}

/// The four flags and the difference, as `subs` writes them.
fn subtract_with_flags(b: &mut Builder<'_>, rd: Option<u16>, x: Val, y: Val) {
    let d = b.sub(64, x, y);
    let zero = b.konst(64, 0);
    let n = b.lt_s(64, d, zero);
    let z = b.eq(64, d, zero);
    let borrow = b.borrow(64, x, y, None);
    let c = b.not(1, borrow);
    let v = b.overflow_sub(64, x, y, None);
    for (k, flag) in [n, z, c, v].into_iter().enumerate() {
        put(b, FLAGS + k as u16, flag);
    }
    if let Some(rd) = rd {
        put(b, rd, d);
    }
}

#[test]
fn string_length_loop() {
    assert_code!(code(&[&|b, _| addi(b, 0, 0, 1), &|b, _| load(b, 8, 1, 0, 0), &|b, _| branch_nonzero(b, 1, PC),]));
}

#[test]
fn sum_of_words_in_unpinned_registers() {
    assert_code!(code(&[
        &|b, _| load(b, 32, 9, 10, 4),
        &|b, _| addw(b, 11, 9, 11),
        &|b, _| addi(b, 10, 10, 4),
        &|b, _| branch_nonzero(b, 12, PC + 0x40),
    ]));
}

#[test]
fn function_entry_and_call() {
    assert_code!(code(&[
        &|b, _| addi(b, 5, 5, -32),
        &|b, _| store(b, 5, 24, 9),
        &|b, _| store(b, 5, 16, 4),
        &|b, _| addi(b, 4, 3, 0),
        &|b, _| addi(b, 3, 3, -1),
        &|b, pc| {
            let ret = b.konst(64, i128::from(pc) + 4);
            put(b, 9, ret);
            b.call(PC - 0x100, pc + 4);
        },
    ]));
}

#[test]
fn function_return() {
    assert_code!(code(&[&|b, _| load(b, 64, 9, 5, 24), &|b, _| addi(b, 5, 5, 32), &|b, _| {
        let to = get(b, 9);
        b.jump_indirect(to, Hint::Ret);
    },]));
}

/// The new value of each is at the home of another.
#[test]
fn unpinned_registers_change_places() {
    assert_code!(code(&[
        &|b, _| {
            let [x, y, z] = [11, 12, 13].map(|n| get(b, n));
            [(11, y), (12, z), (13, x)].into_iter().for_each(|(n, v)| put(b, n, v));
        },
        &|b, _| b.jump(PC + 0x80),
    ]));
}

/// What the flags are of, of which one part is at its home, is stored before the branch; what was loaded stays where it is.
#[test]
fn loop_to_a_limit_in_memory() {
    assert_code!(code(&[
        &|b, _| load(b, 64, 13, 1, 0),
        &|b, _| {
            addi(b, 0, 0, 1);
            let (x, y) = (get(b, 0), get(b, 12));
            subtract_with_flags(b, None, x, y);
        },
        &|b, _| {
            let z = get(b, FLAGS + 1);
            let nz = b.not(1, z);
            b.branch(nz, PC);
        },
        &|b, _| addi(b, 2, 13, 1),
    ]));
}

/// Of a sum of sums, which is compared with zero: the flags are of one comparison, and the branch is, too.
#[test]
fn test_of_a_long_sum_and_branch_greater() {
    let add_and_test = |b: &mut Builder<'_>, _: u64| {
        let (x, eight, zero) = (get(b, 0), b.konst(64, 8), b.konst(64, 0));
        let sum = b.add(64, x, eight);
        put(b, 0, sum);
        subtract_with_flags(b, None, sum, zero);
    };
    let branch_greater = |b: &mut Builder<'_>, _: u64| {
        let [n, z, v] = [0, 1, 3].map(|flag| get(b, FLAGS + flag));
        let (same, nz) = (b.eq(1, n, v), b.not(1, z));
        let greater = b.and(1, nz, same);
        b.branch(greater, PC + 0x80);
    };
    assert_code!(code(&[&add_and_test, &branch_greater, &add_and_test, &branch_greater]));
}

#[test]
fn countdown_with_flags() {
    assert_code!(code(&[
        &|b, _| {
            let (x, one) = (get(b, 0), b.konst(64, 1));
            subtract_with_flags(b, Some(0), x, one);
        },
        &|b, _| {
            let z = get(b, FLAGS + 1);
            let nz = b.not(1, z);
            b.branch(nz, PC);
        },
    ]));
}

/// Neither brings deferred flags home: a flag that is read for nothing, and flags that are written without the others.
#[test]
fn flags_written_in_part() {
    assert_code!(code(&[
        &|b, _| {
            let x = get(b, 0);
            let (carry, bit) = (get(b, FLAGS + 2), b.low(64, 1, x));
            let unused = b.and(1, carry, bit);
            let _ = b.not(1, unused);
        },
        &|b, _| {
            let (x, zero) = (get(b, 0), b.konst(64, 0));
            let (negative, equal) = (b.lt_s(64, x, zero), b.eq(64, x, zero));
            put(b, FLAGS, negative);
            put(b, FLAGS + 1, equal);
        },
        &|b, _| b.jump(PC + 0x80),
    ]));
}

#[test]
fn comparison_and_branch_higher() {
    assert_code!(code(&[
        &|b, _| {
            let (x, y) = (get(b, 0), get(b, 1));
            subtract_with_flags(b, None, x, y);
        },
        &|b, _| {
            let (c, z) = (get(b, FLAGS + 2), get(b, FLAGS + 1));
            let nz = b.not(1, z);
            let higher = b.and(1, c, nz);
            b.branch(higher, PC + 0x80);
        },
        &|b, _| addi(b, 2, 2, 1),
    ]));
}

#[test]
fn shift_by_register() {
    assert_code!(code(&[&|b, _| {
        let (x, n) = (get(b, 0), get(b, 1));
        let n = b.low(64, 6, n);
        let v = b.shl(64, x, 6, n);
        put(b, 2, v);
    }]));
}

#[test]
fn switch_through_table() {
    assert_code!(code(&[
        &|b, _| {
            let (base, index, three) = (get(b, 1), get(b, 0), b.konst(6, 3));
            let offset = b.shl(64, index, 6, three);
            let at = b.add(64, base, offset);
            let v = b.load(64, at, MemAttr::PLAIN);
            put(b, 2, v);
        },
        &|b, _| {
            let to = get(b, 2);
            b.jump_indirect(to, Hint::Plain);
        },
    ]));
}

#[test]
fn bytes_replaced_in_registers() {
    let replace = |at: u32, width: u32| {
        move |b: &mut Builder<'_>, _: u64| {
            let (x, y) = (get(b, 0), get(b, 1));
            let part = b.low(64, width, y);
            let v = b.insert(64, x, at, width, part);
            put(b, 0, v);
        }
    };
    assert_code!(code(&[&replace(0, 8), &replace(0, 16), &replace(8, 8)]));
}

#[test]
fn flags_that_only_a_fault_shows() {
    let carries = |b: &mut Builder<'_>, _: u64| {
        let (x, y) = (get(b, 0), get(b, 1));
        let borrow = get(b, FLAGS + 2);
        let wide = b.zext(1, 64, borrow);
        let d = b.sub(64, x, y);
        let d = b.sub(64, d, wide);
        let c = b.borrow(64, x, y, Some(borrow));
        let both = b.xor(64, x, y);
        let all = b.xor(64, both, d);
        let four = b.konst(6, 4);
        let digit = b.shr(64, all, 6, four);
        let digit = b.low(64, 1, digit);
        put(b, 0, d);
        put(b, FLAGS, digit);
        put(b, FLAGS + 2, c);
    };
    assert_code!(code(&[&carries, &|b, _| load(b, 64, 2, 3, 0), &|b, _| {
        let (x, y) = (get(b, 1), get(b, 2));
        subtract_with_flags(b, None, x, y);
    }]));
}
