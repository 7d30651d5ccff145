//! Random instruction bodies: what the builder makes of them, simplified, computes what it makes unsimplified.

use super::support::{GUEST, Random, builder, plain_builder, random_state, run, slot};
use crate::inst::{FCmp, MinMax, Op, Round};
use crate::{Builder, Ty, Val, parse, print};

/// A value with its width.
type Typed = (u32, Val);

const WIDTHS: [u32; 12] = [1, 1, 8, 16, 32, 32, 64, 64, 64, 128, 5, 33];

/// Makes the same body again from the same numbers.
struct Body<'a, 'g> {
    b: &'a mut Builder<'g>,
    r: Random,
    values: Vec<Typed>,
}

impl Body<'_, '_> {
    /// An existing value of width `w`, or one made so.
    fn operand(&mut self, w: u32) -> Val {
        if self.r.below(4) == 0 {
            let value = self.r.value(w);
            return self.b.konst(w, value as i128);
        }
        let start = self.r.below(self.values.len() as u32) as usize;
        let found = (0..self.values.len()).map(|i| self.values[(start + i) % self.values.len()]).find(|(v, _)| *v == w);
        if let Some((_, value)) = found
            && self.r.below(4) != 0
        {
            return value;
        }
        let (from, value) = self.values[start];
        match () {
            () if from > w => {
                let lo = if self.r.below(2) == 0 { 0 } else { self.r.below(from - w + 1) };
                self.b.extract(from, value, lo, w)
            }
            () if self.r.below(2) == 0 => self.b.zext(from, w, value),
            () => self.b.sext(from, w, value),
        }
    }

    fn step(&mut self) {
        let w = WIDTHS[self.r.below(WIDTHS.len() as u32) as usize];
        let value = match self.r.below(12) {
            0..=5 => self.integer(w),
            6 | 7 => self.compared(w),
            8 => self.resized(w),
            9 => self.lanes(),
            10 => self.float(),
            _ => (w, self.operand(w)),
        };
        self.values.push(value);
        if self.r.below(6) == 0 {
            self.write(value);
        }
        if self.r.below(12) == 0 {
            let c = self.operand(1);
            let target = 0x2000 + u64::from(self.r.below(16)) * 4;
            self.b.branch(c, target);
        }
    }

    fn integer(&mut self, w: u32) -> Typed {
        let (x, y) = (self.operand(w), self.operand(w));
        let aw = [w, 6, 8, 64][self.r.below(4) as usize];
        let kind = self.r.below(26);
        let amount = if (14..19).contains(&kind) { self.operand(aw) } else { x };
        let b = &mut *self.b;
        let value = match kind {
            0 | 1 => b.add(w, x, y),
            2 | 3 => b.sub(w, x, y),
            4 => b.mul(w, x, y),
            5 => b.mul_high_u(w, x, y),
            6 => b.mul_high_s(w, x, y),
            7 => b.div_u(w, x, y),
            8 => b.rem_s(w, x, y),
            9 | 10 => b.and(w, x, y),
            11 => b.or(w, x, y),
            12 => b.xor(w, x, y),
            13 => b.not(w, x),
            14 => b.shl(w, x, aw, amount),
            15 => b.shr(w, x, aw, amount),
            16 => b.sar(w, x, aw, amount),
            17 => b.rotr(w, x, aw, amount),
            18 => b.rotl(w, x, aw, amount),
            19 => b.neg(w, x),
            20 => b.popcount(w, x),
            21 => b.clz(w, x),
            22 => b.ctz(w, x),
            23 => b.reverse_bits(w, x),
            24 if w.is_multiple_of(8) => b.reverse_bytes(w, x),
            _ => {
                let c = self.operand(1);
                self.b.select(w, c, x, y)
            }
        };
        (w, value)
    }

    fn compared(&mut self, w: u32) -> Typed {
        let (x, y) = (self.operand(w), self.operand(w));
        let c = self.r.below(2) == 0;
        let c = c.then(|| self.operand(1));
        let kind = self.r.below(11);
        let b = &mut *self.b;
        let value = match kind {
            0 => b.eq(w, x, y),
            1 => b.ne(w, x, y),
            2 => b.lt_u(w, x, y),
            3 => b.le_u(w, x, y),
            4 => b.lt_s(w, x, y),
            5 => b.le_s(w, x, y),
            6 if w < 128 => b.carry_add(w, x, y, c),
            7 if w < 128 => b.borrow(w, x, y, c),
            8 if w < 128 => b.overflow_add(w, x, y, c),
            9 if w < 128 => b.overflow_sub(w, x, y, c),
            _ => b.parity(w, x),
        };
        (1, value)
    }

    fn resized(&mut self, w: u32) -> Typed {
        let other = WIDTHS[self.r.below(WIDTHS.len() as u32) as usize];
        match self.r.below(3) {
            0 if w + other <= 128 => {
                let (high, low) = (self.operand(w), self.operand(other));
                (w + other, self.b.concat(w, high, other, low))
            }
            1 if other < w => {
                let (x, field) = (self.operand(w), self.operand(other));
                let lo = self.r.below(w - other + 1);
                (w, self.b.insert(w, x, lo, other, field))
            }
            _ if other < w => {
                let x = self.operand(w);
                let lo = self.r.below(w - other + 1);
                (other, self.b.extract(w, x, lo, other))
            }
            _ => {
                let x = self.operand(w);
                let to = other.max(w);
                (to, if self.r.below(2) == 0 { self.b.zext(w, to, x) } else { self.b.sext(w, to, x) })
            }
        }
    }

    fn lanes(&mut self) -> Typed {
        let w = [64, 128][self.r.below(2) as usize];
        let e = [8, 16, 32, 64][self.r.below(4) as usize];
        let (x, y) = (self.operand(w), self.operand(w));
        match self.r.below(9) {
            0 => {
                let ops =
                    [Op::Vadd, Op::Vsub, Op::Vaddsu, Op::Vsubss, Op::Vmins, Op::Veq, Op::Vgtu, Op::Vshl, Op::Vavgu];
                (w, self.b.lanes2(ops[self.r.below(9) as usize], e, w, x, y))
            }
            1 => (w, self.b.lanes1([Op::Vabs, Op::Vpopcnt, Op::Vclz][self.r.below(3) as usize], e, w, x)),
            2 => {
                let amount = self.r.below(e + 1);
                let ops = [Op::Vshri, Op::Vsari];
                (w, self.b.lanes_shift(ops[self.r.below(2) as usize], e, w, x, amount))
            }
            3 => {
                let picks: Vec<_> =
                    (0..w / e).map(|_| Some(self.r.below(2 * w / e + 1)).filter(|p| *p < 2 * w / e)).collect();
                (w, self.b.shuffle(e, w, x, y, &picks))
            }
            4 => {
                let (index, value) = (self.r.below(w / e), self.operand(e));
                (w, if e == w { value } else { self.b.with_lane(e, w, x, index, value) })
            }
            5 => {
                let index = self.r.below(w / e);
                (e, self.b.lane(e, w, x, index))
            }
            6 => {
                let mask = self.operand(w);
                (w, self.b.bit_select(w, mask, x, y))
            }
            7 => {
                let value = self.operand(e);
                (w, self.b.splat(e, w, value))
            }
            _ => {
                let (half, e) = (self.operand(64), e.min(32));
                (128, self.b.widen([Op::Vwidenu, Op::Vwidens][self.r.below(2) as usize], e, half))
            }
        }
    }

    fn float(&mut self) -> Typed {
        let e = [32, 64][self.r.below(2) as usize];
        let (x, y) = (self.operand(e), self.operand(e));
        let round = [Round::Mode, Round::Even, Round::Zero, Round::Down][self.r.below(4) as usize];
        let b = &mut *self.b;
        match self.r.below(6) {
            0 => (e, b.f2(Op::Fadd, e, e, x, y, round)),
            1 => (e, b.fneg(e, e, x)),
            2 => (e, b.fabs(e, e, x)),
            3 => (1, b.fcmp(FCmp::Lt, e, x, y)),
            4 => (e, b.fminmax(Op::Fmax, e, e, x, y, MinMax::Number)),
            _ => (64, b.ftoi(true, e, e, 64, x, round)),
        }
    }

    fn write(&mut self, (w, value): Typed) {
        let name = match Ty::holding(w) {
            Ty::I1 => ["N", "Z", "C", "V"][self.r.below(4) as usize],
            Ty::I8 => "o",
            Ty::I16 => "h",
            Ty::I32 => "s",
            Ty::I64 => ["a", "b", "c", "d"][self.r.below(4) as usize],
            Ty::I128 => ["v", "w"][self.r.below(2) as usize],
        };
        self.b.put(slot(name), value);
    }
}

fn build(mut b: Builder<'static>, seed: u64) -> crate::Unit {
    let mut pc = 0x1000;
    for insn in 0..4 {
        if insn > 0 {
            pc += 4;
            b.begin_insn(pc);
            b.set_len(4);
        }
        let mut values: Vec<Typed> = ["a", "b", "c", "d"].iter().map(|name| (64, b.get(slot(name)))).collect();
        values.extend(["v", "w"].iter().map(|name| (128, b.get(slot(name)))));
        values.extend(["N", "C"].iter().map(|name| (1, b.get(slot(name)))));
        let mut body = Body { b: &mut b, r: Random(seed * 4 + insn + 1), values };
        let steps = 2 + body.r.below(12);
        for _ in 0..steps {
            body.step();
        }
        for value in body.values.split_off(8) {
            if body.r.below(3) == 0 {
                body.write(value);
            }
        }
        b.end_insn();
        if b.ended() {
            break;
        }
    }
    b.finish(pc + 4)
}

#[test]
fn simplified_bodies_compute_the_same() {
    let mut numbers = Random(99);
    for seed in 1..4000 {
        let (folded, plain) = (build(builder(), seed), build(plain_builder(), seed));
        for _ in 0..8 {
            let mut first = random_state(&mut numbers);
            let mut second = copy(&first);
            let outcomes = (run(&folded, &mut first), run(&plain, &mut second));
            assert!(matches!(outcomes.0, crate::interp::Outcome::Exit { .. }));
            let text = || format!("seed {seed}\n{}\n{}", print::print(&folded, &GUEST), print::print(&plain, &GUEST));
            assert_eq!(first.pc, second.pc, "{}", text());
            assert_eq!(first.fflags, second.fflags, "{}", text());
            for s in super::support::SLOTS {
                let id = slot(s.name);
                assert_eq!(first.get(&GUEST, id), second.get(&GUEST, id), "{}: {}", s.name, text());
            }
        }
        if seed < 500 {
            let text = print::print(&folded, &GUEST);
            let again = parse::parse(&text, &GUEST).expect("what was printed can be parsed");
            assert_eq!(print::print(&again, &GUEST), text);
        }
    }
}

fn copy(s: &crate::GuestState) -> crate::GuestState {
    crate::GuestState { slots: s.slots, ..crate::GuestState::new(&GUEST) }
}
