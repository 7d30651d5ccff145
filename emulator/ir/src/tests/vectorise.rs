//! Turns of random loops as vector code: whatever the pointers, the end and the numbers are, the state and memory come to the same as
//! turn by turn.

use super::support::{GUEST, Memory, Random, builder, random_state, slot};
use crate::guest::Slot;
use crate::inst::{FCmp, MemAttr, MinMax, Op, Round};
use crate::interp::{self, Outcome};
use crate::unit::{ExitKind, Unit};
use crate::vectorise::{vectorise, vectorise_anyway};
use crate::{Builder, GuestState, Val, print};

/// A value with its width.
type Typed = (u32, Val);

/// Makes the body of a loop, the same again from the same seed.
struct Body<'a> {
    b: &'a mut Builder<'static>,
    r: Random,
    values: Vec<Typed>,
}

impl Body<'_> {
    fn get(&mut self, name: &str, w: u32) {
        let value = self.b.get(slot(name));
        self.values.push((w, value));
    }

    fn offset(&mut self, name: &str, by: i64) -> Val {
        let (value, k) = (self.b.get(slot(name)), self.b.konst(64, by.into()));
        self.b.add(64, value, k)
    }

    fn operand(&mut self, w: u32) -> Val {
        if self.r.below(8) == 0 {
            let k = self.r.value(w) as i128;
            return self.b.konst(w, k);
        }
        let n = self.values.len() as u32;
        // What was made last is what the most depends on.
        let at = n - 1 - self.r.below(n.min(4));
        let (from, value) = self.values[at as usize];
        match () {
            () if from == w => value,
            () if from > w => self.b.low(from, w, value),
            () if self.r.below(2) == 0 => self.b.zext(from, w, value),
            () => self.b.sext(from, w, value),
        }
    }

    fn step(&mut self) {
        let w = [8, 16, 32, 32, 64][self.r.below(5) as usize];
        let (x, y) = (self.operand(w), self.operand(w));
        let amount = self.r.below(w + 2);
        let amount = self.b.konst(w, amount.into());
        let kind = self.r.below(24);
        let b = &mut *self.b;
        let value = match kind {
            0..=2 => b.add(w, x, y),
            3 => b.sub(w, x, y),
            4 | 5 => b.mul(w, x, y),
            6 => b.and(w, x, y),
            7 => b.or(w, x, y),
            8 => b.xor(w, x, y),
            9 => b.neg(w, x),
            10 => b.shl(w, x, w, amount),
            11 => b.shr(w, x, w, amount),
            12 => b.sar(w, x, w, amount),
            13 => b.shl(w, x, w, y),
            14 => {
                let compare = [Builder::lt_s, Builder::lt_u, Builder::eq, Builder::le_s, Builder::le_u];
                let c = compare[self.r.below(5) as usize](b, w, x, y);
                let z = self.operand(w);
                self.b.select(w, c, x, z)
            }
            15 => {
                let c = b.ne(w, x, y);
                b.zext(1, w, c)
            }
            16 => {
                let (lo, n) = (self.r.below(w), 1 + self.r.below(w));
                let field = b.extract(w, x, lo, n.min(w - lo));
                b.sext(n.min(w - lo), w, field)
            }
            17..=23 if w >= 32 => return self.float(w),
            _ => b.not(w, x),
        };
        self.values.push((w, value));
    }

    fn float(&mut self, w: u32) {
        let (x, y, z) = (self.operand(w), self.operand(w), self.operand(w));
        let b = &mut *self.b;
        let value = match self.r.below(7) {
            0 | 1 => b.f2(Op::Fadd, w, w, x, y, Round::Mode),
            2 => b.f2(Op::Fmul, w, w, x, y, Round::Mode),
            3 => b.f2(Op::Fdiv, w, w, x, y, Round::Mode),
            4 => b.fma(w, w, x, y, z, Round::Mode),
            5 => b.fminmax(Op::Fmin, w, w, x, y, MinMax::Number),
            _ => {
                let c = b.fcmp(FCmp::Lt, w, x, y);
                b.select(w, c, x, y)
            }
        };
        self.values.push((w, value));
    }
}

/// What kind of loop it is, by its seed.
struct Shape {
    seed: u64,
    /// Bytes of what is loaded by the first pointer and stored by the second.
    loaded: u32,
    stored: u32,
    /// By how many of what is loaded the first pointer advances.
    stride: u32,
    /// Whether two values are stored by turns.
    pairs: bool,
    steps: u32,
}

impl Shape {
    fn new(seed: u64) -> Shape {
        let mut r = Random(seed);
        let size = |r: &mut Random| 1 << r.below(4);
        let (loaded, stored, steps) = (size(&mut r), size(&mut r), 1 + r.below(6));
        let stride = [1, 1, 1, 1, 2, 3, 4][r.below(7) as usize];
        Shape { seed, loaded, stored, stride, pairs: r.below(4) == 0, steps }
    }

    /// Bytes by which the first pointer advances.
    fn step(&self) -> u32 {
        self.stride * self.loaded
    }
}

/// One turn: loads by `a`, stores by `b`, and goes on until `a` is `c`.
fn turn(b: &mut Builder<'static>, shape: &Shape, last: bool) {
    let mut body = Body { b, r: Random(shape.seed ^ 0x5555_5555), values: Vec::new() };
    let (loaded, stored) = (8 * shape.loaded, 8 * shape.stored);
    body.get("d", 64);
    body.get("s", 32);
    let neighbours = 1 + body.r.below(1 + shape.stride);
    for i in 0..neighbours {
        let at = body.offset("a", i64::from(i * shape.loaded));
        let value = body.b.load(loaded, at, MemAttr::PLAIN);
        body.values.push((loaded, value));
    }
    for _ in 0..shape.steps {
        body.step();
    }
    let value = body.operand(stored);
    if body.r.below(5) != 0 {
        let at = body.b.get(slot("b"));
        body.b.store(stored, at, value, MemAttr::PLAIN);
        if shape.pairs {
            let (at, other) = (body.offset("b", shape.stored.into()), body.operand(stored));
            body.b.store(stored, at, other, MemAttr::PLAIN);
        }
    }
    match body.r.below(4) {
        0 => {
            let (sum, by) = (body.b.get(slot("d")), body.operand(64));
            let sum = body.b.add(64, sum, by);
            body.b.put(slot("d"), sum);
        }
        1 => {
            let value = body.operand(32);
            body.b.put(slot("s"), value);
        }
        2 => {
            let value = body.operand(64);
            body.b.put(slot("d"), value);
        }
        _ => {}
    }
    let (at, next) =
        (body.offset("a", shape.step().into()), body.offset("b", i64::from(shape.stored << u32::from(shape.pairs))));
    body.b.put(slot("a"), at);
    body.b.put(slot("b"), next);
    let end = body.b.get(slot("c"));
    let more = match body.r.below(4) {
        0 => body.b.lt_u(64, at, end),
        1 => body.b.le_s(64, at, end),
        _ => body.b.ne(64, at, end),
    };
    b.allow_turn(!last);
    b.branch(more, 0x1000);
    b.end_insn();
}

fn unit(shape: &Shape, turns: u32) -> Unit {
    let mut b = builder();
    for i in 1.. {
        turn(&mut b, shape, i == turns);
        if !b.turns() {
            break;
        }
        b.begin_insn(0x1000);
        b.set_len(4);
    }
    b.finish(0x1004)
}

/// How a run has ended, with memory.
type End = (GuestState, Option<u64>, [u8; 256]);

/// Runs until the loop is left or something faults, in vectors where there are any. How often they did what they are for, too.
fn run(scalar: &Unit, vector: Option<&Unit>, mut state: GuestState) -> (End, u32) {
    let mut memory = Memory::new();
    let mut done = 0;
    for _ in 0..100 {
        if let Some(unit) = vector {
            let outcome = interp::run(&GUEST, unit, &mut state, &mut memory);
            assert_eq!(state.pc, 0x1000);
            match outcome {
                Outcome::Exit { exit, .. } if unit.exits[exit.0 as usize].kind != ExitKind::Retreat => {
                    done += 1;
                    continue;
                }
                _ => {}
            }
        }
        match interp::run(&GUEST, scalar, &mut state, &mut memory) {
            Outcome::Fault(addr) => return ((state, Some(addr), memory.bytes), done),
            Outcome::Exit { .. } if state.pc != 0x1000 => break,
            Outcome::Exit { .. } => {}
        }
    }
    ((state, None, memory.bytes), done)
}

fn start(r: &mut Random, shape: &Shape) -> GuestState {
    let mut state = random_state(r);
    let place = |r: &mut Random| u128::from(0x100 + r.below(200));
    let (a, b) = (place(r), if r.below(2) == 0 { place(r) } else { 0x100 + u128::from(r.below(16)) });
    let turns = u128::from(1 + r.below(24));
    for (name, value) in [("a", a), ("b", b), ("c", a + turns * u128::from(shape.step()))] {
        state.set(&GUEST, slot(name), value);
    }
    if r.below(2) == 0 {
        // What is the same for all turns may be assumed to be small.
        for name in ["d", "s"] {
            state.set(&GUEST, slot(name), r.below(256).into());
        }
    }
    state.mode = 0;
    state.pc = 0x1000;
    state.fflags = 0;
    state
}

#[test]
fn vectors_do_what_the_turns_do() {
    let mut r = Random(0x1234_5678_9abc_def1);
    let (mut loops, mut done, mut retreats) = (0, 0, 0);
    for seed in 1..4000u64 {
        let shape = Shape::new(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let turns = [2, 4, 8, 16][r.below(4) as usize];
        let scalar = unit(&shape, 1);
        let unrolled = unit(&shape, turns);
        let Some(vector) = vectorise_anyway(&GUEST, &unrolled) else { continue };
        loops += 1;
        for _ in 0..20 {
            let state = start(&mut r, &shape);
            let (expected, _) = run(&scalar, None, state.clone());
            let (found, times) = run(&scalar, Some(&vector), state);
            done += times;
            retreats += u32::from(times == 0);
            let same = |(s, fault, bytes): &End| {
                let slots: Vec<u128> = (0..GUEST.slots.len()).map(|i| s.get(&GUEST, Slot(i as u16))).collect();
                (s.pc, slots, *fault, *bytes)
            };
            // Turns behind one that faults may have raised flags already.
            let (flags, early) = (expected.0.fflags, found.0.fflags);
            assert!(
                flags == early || expected.1.is_some() && early & flags == flags,
                "seed {seed}: {flags:#x} {early:#x}"
            );
            assert_eq!(
                same(&expected),
                same(&found),
                "seed {seed}, {turns} turns\n{}\n{}",
                print::print(&unrolled, &GUEST),
                print::print(&vector, &GUEST)
            );
        }
    }
    assert!(loops > 700 && done > 10_000 && retreats > 1000, "{loops} loops, {done} times, {retreats} without any");
}

/// Turns until what `turn` returns, the pointer to what comes next, is `c`.
fn turns_of(turns: u32, turn: impl Fn(&mut Builder<'static>) -> Val) -> Unit {
    let mut b = builder();
    for i in 1.. {
        let next = turn(&mut b);
        let end = b.get(slot("c"));
        let more = b.ne(64, next, end);
        b.allow_turn(i < turns);
        b.branch(more, 0x1000);
        b.end_insn();
        if !b.turns() {
            return b.finish(0x1004);
        }
        b.begin_insn(0x1000);
        b.set_len(4);
    }
    unreachable!("the last turn ends the unit")
}

/// Turns of `b[i] = a[i + from] * s`, words, both by one pointer if `from` is given.
fn scaled(from: Option<i64>) -> Unit {
    turns_of(8, |b| {
        let (source, target) = (b.get(slot("a")), b.get(slot(if from.is_some() { "a" } else { "b" })));
        let by = b.konst(64, from.unwrap_or(0).into());
        let at = b.add(64, source, by);
        let (value, factor) = (b.load(32, at, MemAttr::PLAIN), b.get(slot("s")));
        let product = b.mul(32, value, factor);
        b.store(32, target, product, MemAttr::PLAIN);
        let four = b.konst(64, 4);
        let next = b.add(64, source, four);
        b.put(slot("a"), next);
        if from.is_none() {
            let next = b.add(64, target, four);
            b.put(slot("b"), next);
        }
        next
    })
}

#[test]
fn turns_that_are_alike_pay() {
    let vector = vectorise(&GUEST, &scaled(None)).expect("eight turns");
    let count = |op| vector.insts.iter().filter(|inst| inst.op == op).count();
    assert_eq!((count(Op::Vmul), count(Op::Mul), count(Op::Load), count(Op::Store)), (2, 0, 2, 2));
    let guards = vector.exits.iter().filter(|exit| exit.kind == ExitKind::Retreat).count();
    assert_eq!(guards, 2, "the end, and where the arrays lie");
}

#[test]
fn turns_that_need_the_one_before_stay_turns() {
    assert!(vectorise(&GUEST, &scaled(Some(0))).is_some(), "in place");
    assert!(vectorise(&GUEST, &scaled(Some(4))).is_some(), "from behind");
    assert!(vectorise(&GUEST, &scaled(Some(-4))).is_none(), "what the turn before has stored");
    assert!(vectorise(&GUEST, &scaled(Some(-32))).is_some(), "what eight turns before have stored");
}

/// Turns of `b[i] = a[i] < d ? a[i] : 0`, bytes that are compared as numbers of 64 bits.
fn cut_off() -> Unit {
    turns_of(16, |b| {
        let (source, target, limit) = (b.get(slot("a")), b.get(slot("b")), b.get(slot("d")));
        let byte = b.load(8, source, MemAttr::PLAIN);
        let number = b.zext(8, 64, byte);
        let below = b.lt_u(64, number, limit);
        let zero = b.konst(8, 0);
        let value = b.select(8, below, byte, zero);
        b.store(8, target, value, MemAttr::PLAIN);
        let one = b.konst(64, 1);
        let (next, next_target) = (b.add(64, source, one), b.add(64, target, one));
        b.put(slot("a"), next);
        b.put(slot("b"), next_target);
        next
    })
}

#[test]
fn small_numbers_are_compared_in_narrow_lanes() {
    let vector = vectorise(&GUEST, &cut_off()).expect("sixteen turns");
    let is = |op: Op| vector.insts.iter().filter(move |inst| inst.op == op);
    assert_eq!((is(Op::Vwidenu).count(), is(Op::Vgtu).count()), (0, 1));
    assert!(is(Op::Vgtu).all(|inst| inst.attr.lane() == 8));
}
