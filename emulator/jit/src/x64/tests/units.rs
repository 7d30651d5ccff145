//! Small units with known results.

use iced_x86::{Decoder, DecoderOptions, Instruction, Mnemonic, OpKind};
use ir::guest::Slot;
use ir::inst::{AtomicOp, Attr, MemAttr, Op, Order};
use ir::unit::{ExitKind, Trap, Unit};
use ir::{Ty, Val};

use super::harness::{FLAGS, GUEST, Machine, PC, Writer};
use crate::thread_state::{Leave, SPILLS};
use crate::x64::{CompileError, Compiler, Convention, Features, interlocks};

fn run(m: &mut Machine, unit: &Unit) {
    let compiled = m.compile(unit);
    m.run(&compiled);
}

fn slot(m: &Machine, n: u16) -> u128 {
    m.thread.guest.get(&GUEST, Slot(n))
}

#[test]
fn adds_two_registers() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    let (a, b) = (w.get(0), w.get(9));
    let sum = w.op(Op::Add, Ty::I64, Attr(0), &[a, b]);
    w.put(1, sum);
    w.put(10, sum);
    let unit = w.end(PC + 4);
    let compiled = m.compile(&unit);
    m.thread.guest.set(&GUEST, Slot(0), 40);
    m.thread.guest.set(&GUEST, Slot(9), 2);
    m.run(&compiled);
    assert_eq!(m.thread.guest.get(&GUEST, Slot(1)), 42);
    assert_eq!(m.thread.guest.get(&GUEST, Slot(10)), 42);
    assert_eq!(m.thread.guest.pc, PC + 4);
}

#[test]
fn slots_of_general_and_vector_registers_are_exchanged() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    let (general, vector) = (w.get(0), w.get(13));
    w.put(0, vector);
    w.put(13, general);
    let unit = w.end(PC + 4);
    m.thread.guest.set(&GUEST, Slot(0), 1 << 40);
    m.thread.guest.set(&GUEST, Slot(13), 3 << 50);
    run(&mut m, &unit);
    assert_eq!((slot(&m, 0), slot(&m, 13)), (3 << 50, 1 << 40));
}

#[test]
fn misaligned_access_leaves_with_registers_as_before_it() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    let (one, base) = (w.konst(Ty::I64, 1), w.get(11));
    w.put(0, one);
    w.boundary(PC + 4);
    let at = w.op(Op::Add, Ty::I64, Attr(0), &[base, one]);
    let attr = Attr::mem(MemAttr { order: Order::Relaxed, big_endian: false, align_log2: 3 });
    let v = w.op(Op::Load, Ty::I64, attr, &[at]);
    w.put(0, v);
    let unit = w.end(PC + 8);
    let memory = m.memory as u64;
    m.thread.guest.set(&GUEST, Slot(11), u128::from(memory));
    run(&mut m, &unit);
    assert_eq!((m.thread.exit_kind, m.thread.exit_operand), (Leave::Alignment as u32, memory + 1));
    assert_eq!((m.thread.guest.pc, slot(&m, 0)), (PC + 4, 1));
    m.thread.guest.set(&GUEST, Slot(11), u128::from(memory) + 7);
    run(&mut m, &unit);
    assert_eq!((m.thread.exit_kind, m.thread.guest.pc), (Leave::Dispatcher as u32, PC + 8));
}

#[test]
fn accesses_are_locked_only_where_memory_is_shared() {
    let ordered = Attr::mem(MemAttr::ordered(Order::SeqCst));
    let rmw = |op: AtomicOp| (Op::Rmw, ordered.with_kind(op as u8), 2);
    let accesses = [
        rmw(AtomicOp::Add),
        rmw(AtomicOp::Swap),
        rmw(AtomicOp::Or),
        rmw(AtomicOp::Smax),
        (Op::Cas, ordered, 3),
        (Op::Sc, ordered, 2),
        (Op::Store, ordered, 2),
        (Op::Fence, Attr::imms(0b1111, 0), 0),
    ];
    for (op, attr, operands) in accesses {
        for ty in [Ty::I8, Ty::I16, Ty::I32, Ty::I64] {
            let mut m = Machine::new(Features::host());
            let mut w = Writer::new();
            let (at, x) = (w.get(11), w.get(0));
            let x = if ty == Ty::I64 { x } else { w.op(Op::Trunc, ty, Attr(0), &[x]) };
            let result = w.op(op, if op == Op::Fence { Ty::I1 } else { ty }, attr, &[at, x, x][..operands]);
            if matches!(op, Op::Rmw | Op::Cas) {
                let wide = if ty == Ty::I64 { result } else { w.op(Op::Zext, Ty::I64, Attr(0), &[result]) };
                w.put(1, wide);
            }
            let compiled = m.compile(&w.end(PC + 4));
            let mut shared = compiled.code.clone();
            interlocks::flip(&mut shared, &compiled.interlocks);
            let locked = |code: &[u8]| {
                let exchanges =
                    |insn: &Instruction| insn.mnemonic() == Mnemonic::Xchg && insn.op0_kind() == OpKind::Memory;
                Decoder::new(64, code, DecoderOptions::NONE)
                    .iter()
                    .filter(|i| i.has_lock_prefix() || exchanges(i))
                    .count()
            };
            assert_eq!((locked(&compiled.code), locked(&shared)), (0, 1), "{op:?} {ty:?}");
        }
    }
}

#[test]
fn traps_leave_with_their_code_and_address() {
    for (trap, leave, code) in [
        (Trap::Undefined, Leave::Undefined, 0),
        (Trap::Breakpoint(7), Leave::Breakpoint, 7),
        (Trap::Trap(52), Leave::Trap, 52),
        (Trap::DivideByZero, Leave::DivideByZero, 0),
    ] {
        let mut m = Machine::new(Features::host());
        let mut w = Writer::new();
        let exit = w.exit(ExitKind::Trap(trap), PC);
        w.op(Op::Exit, Ty::I64, exit, &[]);
        run(&mut m, &w.unit);
        assert_eq!((m.thread.exit_kind, m.thread.exit_operand, m.thread.guest.pc), (leave as u32, code, PC));
    }
}

/// Leaves through `exit_ind` of `kind` with slot 0 as target.
fn indirect(kind: ExitKind) -> Unit {
    let mut w = Writer::new();
    let to = w.get(0);
    let exit = w.exit(kind, PC);
    w.op(Op::ExitInd, Ty::I64, exit, &[to]);
    w.unit
}

#[test]
fn indirect_exits_ask_for_unknown_targets() {
    for kind in [ExitKind::Indirect, ExitKind::IndirectCall, ExitKind::Return] {
        let mut m = Machine::new(Features::host());
        m.thread.guest.set(&GUEST, Slot(0), 0x1234_5678_9abc);
        run(&mut m, &indirect(kind));
        assert_eq!((m.thread.exit_kind, m.thread.guest.pc), (Leave::Dispatcher as u32, 0x1234_5678_9abc), "{kind:?}");
    }
}

#[test]
fn a_set_poll_flag_stops_loops_after_a_turn() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    let (a, one) = (w.get(0), w.konst(Ty::I64, 1));
    let sum = w.op(Op::Add, Ty::I64, Attr(0), &[a, one]);
    w.put(0, sum);
    let unit = w.end(PC);
    m.thread.poll = 1.into();
    run(&mut m, &unit);
    assert_eq!((m.thread.exit_kind, m.thread.guest.pc, slot(&m, 0)), (Leave::Poll as u32, PC, 1));
}

#[test]
fn a_loop_that_ends_when_the_poll_flag_is_set_goes_on_behind_it() {
    for (count, left) in [(1, (Leave::Dispatcher, PC + 4)), (2, (Leave::Poll, PC))] {
        let mut m = Machine::new(Features::host());
        let mut w = Writer::new();
        let (a, one, zero) = (w.get(0), w.konst(Ty::I64, 1), w.konst(Ty::I64, 0));
        let rest = w.op(Op::Sub, Ty::I64, Attr(0), &[a, one]);
        w.put(0, rest);
        let more = w.op(Op::Ne, Ty::I64, Attr(0), &[rest, zero]);
        let again = w.exit(ExitKind::Jump, PC);
        w.op(Op::ExitIf, Ty::I1, again, &[more]);
        let unit = w.end(PC + 4);
        m.thread.guest.set(&GUEST, Slot(0), count);
        m.thread.poll = 1.into();
        run(&mut m, &unit);
        assert_eq!((m.thread.exit_kind, m.thread.guest.pc, slot(&m, 0)), (left.0 as u32, left.1, count - 1));
    }
}

#[test]
fn a_loop_stopped_by_the_poll_flag_has_written_its_flags() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    let (a, zero) = (w.get(0), w.konst(Ty::I64, 0));
    // Two jumps to the entry after comparisons that are likely to be made in the same register.
    for bit in [1, 2] {
        let k = w.konst(Ty::I64, bit);
        let masked = w.op(Op::And, Ty::I64, Attr(0), &[a, k]);
        let clear = w.op(Op::Eq, Ty::I64, Attr(0), &[masked, zero]);
        w.put(FLAGS, clear);
        w.put(1, masked);
        let exit = w.exit(ExitKind::Jump, PC);
        w.op(Op::ExitIf, Ty::I1, exit, &[clear]);
    }
    let unit = w.end(PC + 4);
    m.thread.guest.set(&GUEST, Slot(0), 1);
    m.thread.guest.set(&GUEST, Slot(1), 7);
    m.thread.poll = 1.into();
    run(&mut m, &unit);
    assert_eq!((m.thread.exit_kind, m.thread.guest.pc), (Leave::Poll as u32, PC));
    assert_eq!((slot(&m, 0), slot(&m, 1), slot(&m, FLAGS)), (1, 0, 1));
}

#[test]
fn a_loop_writes_the_flags_of_its_last_round() {
    let mut m = Machine::new(Features::host());
    let mut w = Writer::new();
    let (a, one) = (w.get(0), w.konst(Ty::I64, 1));
    let left = w.op(Op::Sub, Ty::I64, Attr(0), &[a, one]);
    let compare = |w: &mut Writer, op, x: Val, y: Val| w.op(op, Ty::I64, Attr(0), &[x, y]);
    let zero = w.konst(Ty::I64, 0);
    let (done, negative) = (compare(&mut w, Op::Eq, left, zero), compare(&mut w, Op::Lts, left, zero));
    w.put(0, left);
    w.put(FLAGS, done);
    w.put(FLAGS + 1, negative);
    let exit = w.exit(ExitKind::Jump, PC + 4);
    w.op(Op::ExitIf, Ty::I1, exit, &[done]);
    let unit = w.end(PC);
    m.thread.guest.set(&GUEST, Slot(0), 1000);
    m.thread.guest.set(&GUEST, Slot(FLAGS + 1), 1);
    run(&mut m, &unit);
    assert_eq!(m.thread.guest.pc, PC + 4);
    assert_eq!((slot(&m, 0), slot(&m, FLAGS), slot(&m, FLAGS + 1)), (0, 1, 0));
}

#[test]
fn more_live_values_than_there_is_room_for_are_given_back() {
    let mut compiler = Compiler::new(&GUEST, Convention::new(&GUEST), Features::host());
    let unit = |live: usize| {
        let mut w = Writer::new();
        let base = w.get(11);
        let load = Attr::mem(MemAttr { order: Order::Relaxed, big_endian: false, align_log2: 0 });
        let values: Vec<Val> = (0..live).map(|_| w.op(Op::Load, Ty::I64, load, &[base])).collect();
        let sum = values.iter().rev().copied().reduce(|a, b| w.op(Op::Xor, Ty::I64, Attr(0), &[a, b])).unwrap();
        w.put(1, sum);
        w.end(PC + 4)
    };
    let mut result = |live: usize| compiler.compile(&unit(live)).map(|compiled| compiled.code.clone());
    let small = result(50);
    assert!(small.is_ok());
    assert_eq!(result(SPILLS + 20), Err(CompileError::TooManyLive));
    assert_eq!(result(50), small, "what was given up leaves no trace in the next unit");
}

/// Slots that show the extension of 32-bit arithmetic, in registers and at home, one of them twice; what is extended is used after the
/// loop, or not.
#[test]
fn loops_extend_what_slots_show() {
    for used_after in [false, true] {
        let mut m = Machine::new(Features::host());
        let mut w = Writer::new();
        let (a, b, count) = (w.get(0), w.get(9), w.get(1));
        let (a, b) = (w.op(Op::Trunc, Ty::I32, Attr(0), &[a]), w.op(Op::Trunc, Ty::I32, Attr(0), &[b]));
        let step = w.konst(Ty::I32, 0x4000_0001);
        let sum = w.op(Op::Add, Ty::I32, Attr(0), &[a, step]);
        let product = w.op(Op::Mul, Ty::I32, Attr(0), &[b, step]);
        let short = w.op(Op::Trunc, Ty::I16, Attr(0), &[product]);
        for (of, slots) in [(sum, &[0, 10][..]), (product, &[9, 2]), (short, &[3])] {
            let extended = w.op(Op::Sext, Ty::I64, Attr(0), &[of]);
            slots.iter().for_each(|slot| w.put(*slot, extended));
        }
        let one = w.konst(Ty::I64, 1);
        let left = w.op(Op::Sub, Ty::I64, Attr(0), &[count, one]);
        w.put(1, left);
        w.boundary(PC + 4);
        let zero = w.konst(Ty::I64, 0);
        let more = w.op(Op::Ne, Ty::I64, Attr(0), &[left, zero]);
        let again = w.exit(ExitKind::Jump, PC);
        w.op(Op::ExitIf, Ty::I1, again, &[more]);
        if used_after {
            w.boundary(PC + 8);
            let plain = w.op(Op::Zext, Ty::I64, Attr(0), &[sum]);
            w.put(4, plain);
        }
        let unit = w.end(PC + 12);
        for rounds in 1..6 {
            let (mut sum, mut product) = (5u32, 0x8123_4567u32);
            m.thread.guest.set(&GUEST, Slot(0), sum.into());
            m.thread.guest.set(&GUEST, Slot(9), product.into());
            m.thread.guest.set(&GUEST, Slot(1), rounds);
            run(&mut m, &unit);
            for _ in 0..rounds {
                (sum, product) = (sum.wrapping_add(0x4000_0001), product.wrapping_mul(0x4000_0001));
            }
            let of = |v: i64| u128::from(v as u64);
            let (sum_shown, product_shown) = (of((sum as i32).into()), of((product as i32).into()));
            assert_eq!([slot(&m, 0), slot(&m, 10)], [sum_shown; 2], "{rounds} rounds");
            assert_eq!([slot(&m, 9), slot(&m, 2)], [product_shown; 2], "{rounds} rounds");
            assert_eq!(slot(&m, 3), of((product as i16).into()), "{rounds} rounds");
            assert_eq!(m.thread.guest.pc, PC + 12);
            if used_after {
                assert_eq!(slot(&m, 4), sum.into());
            }
        }
    }
}

/// Whether the sum or difference of two numbers and a carry is out of the numbers of so many bits, without sign and with it.
fn carried(op: Op, bits: u32, (a, b, c): (i32, i32, i32)) -> bool {
    let signed = |n: i32| n << (32 - bits) >> (32 - bits);
    match op {
        Op::Carry => a + b + c >= 1 << bits,
        Op::Borrow => a - b - c < 0,
        Op::Ovadd => signed(a) + signed(b) + c != signed(a + b + c),
        _ => signed(a) - signed(b) - c != signed(a - b - c),
    }
}

#[test]
fn narrow_sums_carry_and_overflow_with_a_carry_to_add() {
    const FLAGS_OF_SUMS: [Op; 4] = [Op::Carry, Op::Ovadd, Op::Borrow, Op::Ovsub];
    for (ty, step) in [(Ty::I8, 1), (Ty::I16, 0x101)] {
        let mut m = Machine::new(Features::host());
        let mut w = Writer::new();
        let [a, b] = [0, 9].map(|slot| w.get(slot)).map(|whole| w.op(Op::Trunc, ty, Attr(0), &[whole]));
        let c = w.get(FLAGS);
        for (slot, op) in (1..).zip(FLAGS_OF_SUMS) {
            let flag = w.op(op, ty, Attr(0), &[a, b, c]);
            let shown = w.op(Op::Zext, Ty::I64, Attr(0), &[flag]);
            w.put(slot, shown);
        }
        let unit = w.end(PC + 4);
        let compiled = m.compile(&unit);
        let above = 0x5a5a_5a5a & !ty.mask(); // of no account
        for (x, y, c) in (0..256i32).flat_map(|x| (0..256i32).flat_map(move |y| [(x, y, 0), (x, y, 1)])) {
            let (x, y) = (x * step, y * step);
            m.thread.guest.set(&GUEST, Slot(0), above | u128::from(x.cast_unsigned()));
            m.thread.guest.set(&GUEST, Slot(9), above | u128::from(y.cast_unsigned()));
            m.thread.guest.set(&GUEST, Slot(FLAGS), u128::from(c == 1));
            m.run(&compiled);
            for (n, op) in (1..).zip(FLAGS_OF_SUMS) {
                let expected = u128::from(carried(op, ty.bits(), (x, y, c)));
                assert_eq!(slot(&m, n), expected, "{op:?} of {ty:?} {x:#x}, {y:#x}, {c}");
            }
        }
    }
}
