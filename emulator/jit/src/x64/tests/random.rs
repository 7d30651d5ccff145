//! Random units, compiled and run against a direct evaluation: values, slots, memory, exits and faults.

use ir::guest::Slot;
use ir::inst::{AtomicOp, Attr, FCmp, MemAttr, Op, Order, Round, TypeRule, Val};
use ir::softfloat::FpEnv;
use ir::unit::{ExitKind, Unit};
use ir::{GuestState, Ty};

use super::harness::{FLAGS, GUEST, HALVES, MEMORY, Machine, PC, SLOTS, VECTORS, Writer};
use crate::x64::analysis::result_ty;
use crate::x64::{Convention, Features, deferred};

/// Slot that holds the address of memory, and one that holds an address no access to which succeeds.
const POINTER: u16 = 11;
const INDEX: u16 = 12;

/// xorshift64*.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        (self.next() >> 33) % n
    }

    fn chance(&mut self, one_in: u64) -> bool {
        self.below(one_in) == 0
    }

    fn pick<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len() as u64) as usize]
    }

    /// Values with interesting bits.
    fn word(&mut self) -> u64 {
        match self.below(8) {
            0 => self.below(70),
            1 => u64::MAX,
            2 => 1 << self.below(64),
            3 => i64::MIN as u64,
            4 => u64::from(u32::MAX) << self.below(32),
            5 => self.next() as u32 as u64,
            6 => (self.below(300) as i64 - 150) as u64,
            _ => self.next(),
        }
    }
}

// ------------------------------------------------------------------ making units
const INTS: [Ty; 4] = [Ty::I8, Ty::I16, Ty::I32, Ty::I64];

struct Maker {
    r: Random,
    w: Writer,
    pc: u64,
}

impl Maker {
    /// An earlier value of a type, or a new one.
    fn value(&mut self, ty: Ty) -> Val {
        let n = self.w.unit.insts.len();
        for _ in 0..6 {
            if n == 0 {
                break;
            }
            // Recent values more often.
            let back = if self.r.chance(2) { self.r.below(n.min(8) as u64) } else { self.r.below(n as u64) } as usize;
            let i = n - 1 - back;
            let inst = &self.w.unit.insts[i];
            if inst.op.desc().result.is_some() && result_ty(inst) == ty {
                return Val(i as u32);
            }
        }
        match ty {
            Ty::I64 if self.r.chance(3) => {
                let k = u128::from(self.r.word());
                self.w.konst(ty, k)
            }
            Ty::I64 => {
                let slot = self.r.below(u64::from(FLAGS)) as u16;
                self.w.get(slot)
            }
            Ty::I1 => {
                let slot = FLAGS + self.r.below(4) as u16;
                self.w.get(slot)
            }
            Ty::I32 if self.r.chance(2) => {
                let slot = HALVES + self.r.below(2) as u16;
                self.w.get(slot)
            }
            Ty::I128 => {
                let slot = VECTORS + self.r.below(2) as u16;
                self.w.get(slot)
            }
            _ => {
                if self.r.chance(2) {
                    let k = u128::from(self.r.word());
                    self.w.konst(ty, k)
                } else {
                    let wide = self.value(Ty::I64);
                    self.w.op(Op::Trunc, ty, Attr(0), &[wide])
                }
            }
        }
    }

    fn address(&mut self) -> Val {
        let base = self.w.get(POINTER);
        if self.r.chance(40) {
            let k = self.w.konst(Ty::I64, MEMORY as u128 + u128::from(self.r.below(64)));
            return self.w.op(Op::Add, Ty::I64, Attr(0), &[base, k]);
        }
        let mut at = base;
        if self.r.chance(2) {
            let index = self.w.get(INDEX);
            let by = self.w.konst(Ty::I64, u128::from(self.r.below(5)));
            let scaled = self.w.op(Op::Shl, Ty::I64, Attr(0), &[index, by]);
            let args = if self.r.chance(2) { [at, scaled] } else { [scaled, at] };
            at = self.w.op(Op::Add, Ty::I64, Attr(0), &args);
        }
        if self.r.chance(2) {
            let k = self.w.konst(Ty::I64, u128::from(self.r.below(100)) * 16);
            at = self.w.op(Op::Add, Ty::I64, Attr(0), &[at, k]);
        }
        at
    }

    fn step(&mut self) {
        let ty = self.r.pick(&[Ty::I64, Ty::I64, Ty::I32, Ty::I32, Ty::I16, Ty::I8]);
        let wide = self.r.pick(&[Ty::I32, Ty::I64]);
        match self.r.below(29) {
            0..5 => {
                let op = self.r.pick(&[Op::Add, Op::Sub, Op::And, Op::Or, Op::Xor, Op::Andn, Op::Mul]);
                let (a, b) = (self.value(ty), self.value(ty));
                self.w.op(op, ty, Attr(0), &[a, b]);
            }
            5 => {
                let op = self.r.pick(&[Op::Mulhu, Op::Mulhs, Op::Divu, Op::Divs, Op::Remu, Op::Rems]);
                let (a, b) = (self.value(wide), self.value(wide));
                self.w.op(op, wide, Attr(0), &[a, b]);
            }
            6 | 7 => {
                let op = self.r.pick(&[Op::Shl, Op::Shr, Op::Sar]);
                let a = self.value(ty);
                let amount = self.amount(ty);
                self.w.op(op, ty, Attr(0), &[a, amount]);
            }
            8 => {
                let a = self.value(wide);
                let amount = self.amount(wide);
                self.w.op(Op::Rotr, wide, Attr(0), &[a, amount]);
            }
            9 => {
                let op = self.r.pick(&[Op::Clz, Op::Ctz, Op::Popcnt, Op::Bswap, Op::Rbit, Op::Not, Op::Neg]);
                let a = self.value(wide);
                self.w.op(op, wide, Attr(0), &[a]);
            }
            10 | 11 => {
                let from = self.r.pick(&[Ty::I1, Ty::I8, Ty::I16, Ty::I32]);
                let to = self.r.pick(&INTS);
                if to.bits() > from.bits() {
                    let a = self.value(from);
                    let op = self.r.pick(&[Op::Zext, Op::Sext]);
                    self.w.op(op, to, Attr(0), &[a]);
                }
            }
            12 => {
                let to = self.r.pick(&[Ty::I1, Ty::I8, Ty::I16, Ty::I32]);
                let a = self.value(Ty::I64);
                self.w.op(Op::Trunc, to, Attr(0), &[a]);
            }
            13 => {
                let lo = self.r.below(u64::from(wide.bits())) as u32;
                let width = 1 + self.r.below(u64::from(wide.bits() - lo)) as u32;
                let op = self.r.pick(&[Op::Bfx, Op::Bfxs, Op::Bfi]);
                let (a, b) = (self.value(wide), self.value(wide));
                let args = if op == Op::Bfi { vec![a, b] } else { vec![a] };
                let v = self.w.op(op, wide, Attr::imms(lo, width), &args);
                if op == Op::Bfx && width == 1 {
                    self.w.op(Op::Trunc, Ty::I1, Attr(0), &[v]);
                }
            }
            14 | 15 => {
                let op = self.r.pick(&[Op::Eq, Op::Ne, Op::Ltu, Op::Leu, Op::Lts, Op::Les]);
                let a = self.value(ty);
                let b = if self.r.chance(3) { self.w.konst(ty, 0) } else { self.value(ty) };
                self.w.op(op, ty, Attr(0), &[a, b]);
            }
            16 => {
                let op = self.r.pick(&[Op::Carry, Op::Borrow, Op::Ovadd, Op::Ovsub, Op::Adc, Op::Sbb]);
                let (a, b) = (self.value(wide), self.value(wide));
                let plain = self.r.chance(2) && !matches!(op, Op::Adc | Op::Sbb);
                let c = if plain { self.w.konst(Ty::I1, 0) } else { self.value(Ty::I1) };
                self.w.op(op, wide, Attr(0), &[a, b, c]);
            }
            17 => {
                let op = self.r.pick(&[Op::And, Op::Or, Op::Xor, Op::Not, Op::Andn, Op::Eq, Op::Ne]);
                let (a, b) = (self.value(Ty::I1), self.value(Ty::I1));
                let args = if op == Op::Not { vec![a] } else { vec![a, b] };
                self.w.op(op, Ty::I1, Attr(0), &args);
            }
            18 => {
                let c = self.value(Ty::I1);
                let (a, b) = (self.value(ty), self.value(ty));
                self.w.op(Op::Select, ty, Attr(0), &[c, a, b]);
            }
            19 | 20 => self.load_or_store(),
            21 => self.atomic(),
            22 => self.vector(),
            23 | 24 => self.lanes(),
            25 | 26 => self.float(),
            27 if self.r.chance(2) => self.arithmetic(),
            28 if self.r.chance(3) => self.helper(0),
            _ => {
                let c = self.value(Ty::I1);
                let exit = self.w.exit(ExitKind::Jump, PC + 0x1000 + self.r.below(100) * 4);
                self.w.op(Op::ExitIf, Ty::I1, exit, &[c]);
            }
        }
    }

    fn amount(&mut self, ty: Ty) -> Val {
        let a = self.value(ty);
        if self.r.chance(2) {
            let mask = self.w.konst(ty, u128::from(ty.bits() - 1));
            return self.w.op(Op::And, ty, Attr(0), &[a, mask]);
        }
        if self.r.chance(2) {
            let k = u128::from(self.r.below(u64::from(ty.bits()) + 2));
            return self.w.konst(ty, k);
        }
        a
    }

    fn mem_attr(&mut self) -> Attr {
        let order = self.r.pick(&[
            Order::Relaxed,
            Order::Relaxed,
            Order::Relaxed,
            Order::Acquire,
            Order::Release,
            Order::SeqCst,
        ]);
        Attr::mem(MemAttr { order, big_endian: self.r.chance(6), align_log2: 0 })
    }

    fn load_or_store(&mut self) {
        let ty = self.r.pick(&[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I64, Ty::I128]);
        let attr = self.mem_attr();
        let at = self.address();
        if self.r.chance(2) {
            self.w.op(Op::Load, ty, attr, &[at]);
        } else {
            let v = self.value(ty);
            self.w.op(Op::Store, ty, attr, &[at, v]);
        }
    }

    fn atomic(&mut self) {
        let ty = self.r.pick(&INTS);
        let attr = Attr::mem(MemAttr::PLAIN);
        match self.r.below(4) {
            0 => {
                let kind = self.r.below(10) as u8;
                let at = self.address();
                let v = self.value(ty);
                self.w.op(Op::Rmw, ty, attr.with_kind(kind), &[at, v]);
            }
            1 => {
                let ty = self.r.pick(&[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128]);
                let at = self.address();
                let (e, n) = (self.value(ty), self.value(ty));
                self.w.op(Op::Cas, ty, attr, &[at, e, n]);
            }
            2 => {
                let ty = self.r.pick(&[Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128]);
                let at = self.address();
                if self.r.chance(2) {
                    self.w.op(Op::Ll, ty, attr, &[at]);
                }
                let v = self.value(ty);
                let at = if self.r.chance(4) { self.address() } else { at };
                self.w.op(Op::Sc, ty, attr, &[at, v]);
            }
            _ => {
                let bits = self.r.below(16) as u32;
                self.w.op(Op::Fence, Ty::I1, Attr::imms(bits, 0), &[]);
            }
        }
    }

    fn vector(&mut self) {
        match self.r.below(6) {
            0 => {
                let (a, b) = (self.value(Ty::I64), self.value(Ty::I64));
                self.w.op(Op::Concat, Ty::I128, Attr(0), &[a, b]);
            }
            5 => {
                let (a, ones) = (self.value(Ty::I32), self.w.konst(Ty::I32, u128::MAX));
                let boxed = self.w.op(Op::Concat, Ty::I64, Attr(0), &[a, ones]);
                self.w.put(13, boxed);
            }
            1 => {
                let from = self.r.pick(&[Ty::I1, Ty::I8, Ty::I16, Ty::I32, Ty::I32, Ty::I64]);
                let a = self.value(from);
                self.w.op(Op::Zext, Ty::I128, Attr(0), &[a]);
            }
            2 => {
                let a = self.value(Ty::I128);
                self.w.op(Op::Trunc, Ty::I64, Attr(0), &[a]);
            }
            _ => {
                let op = self.r.pick(&[Op::And, Op::Or, Op::Xor, Op::Andn, Op::Not]);
                let (a, b) = (self.value(Ty::I128), self.value(Ty::I128));
                let args = if op == Op::Not { vec![a] } else { vec![a, b] };
                self.w.op(op, Ty::I128, Attr(0), &args);
            }
        }
    }

    /// Lane operations.
    fn lanes(&mut self) {
        use Op::*;
        const TWO: [Op; 20] = [
            Vadd, Vsub, Vmul, Vaddsu, Vaddss, Vsubsu, Vsubss, Vminu, Vmaxu, Vmins, Vmaxs, Veq, Vgtu, Vgts, Vshl, Vshr,
            Vsar, Vavgu, Vadd, Vsub,
        ];
        let ty = self.r.pick(&[Ty::I64, Ty::I128]);
        let lane = self.r.pick(&[8, 16, 32, 64]);
        let attr = Attr(0).with_lane(lane);
        let narrow = Attr(0).with_lane(self.r.pick(&[8, 16, 32]));
        let a = self.value(ty);
        match self.r.below(10) {
            0..4 => {
                let op = self.r.pick(&TWO);
                let b = self.value(ty);
                self.w.op(op, ty, attr, &[a, b]);
            }
            4 => {
                let op = self.r.pick(&[Vabs, Vpopcnt, Vclz]);
                self.w.op(op, ty, attr, &[a]);
            }
            5 => {
                let op = self.r.pick(&[Vshli, Vshri, Vsari]);
                let amount = self.r.below(u64::from(lane)) as u32;
                self.w.op(op, ty, Attr::imms(amount, 0).with_lane(lane), &[a]);
            }
            6 => {
                let (b, c) = (self.value(ty), self.value(ty));
                self.w.op(Vsel, ty, Attr(0), &[a, b, c]);
            }
            7 => {
                let n = ty.bytes();
                let picks = (0..n).fold(0u128, |p, _| {
                    p << 8 | u128::from(if self.r.chance(5) { 255 } else { self.r.below(u64::from(2 * n)) })
                });
                self.w.unit.consts.push(picks);
                let index = Attr(self.w.unit.consts.len() as u32 - 1);
                let b = self.value(ty);
                self.w.op(Vshuf, ty, index, &[a, b]);
            }
            8 => {
                let (wide, half) = (self.value(Ty::I128), self.value(Ty::I64));
                match self.r.below(3) {
                    0 => self.w.op(self.r.pick(&[Vwidenu, Vwidens]), Ty::I128, narrow, &[half]),
                    1 => self.w.op(self.r.pick(&[Vnarrow, Vnarrowuu, Vnarrowss, Vnarrowsu]), Ty::I64, narrow, &[wide]),
                    _ => {
                        let other = self.value(Ty::I64);
                        self.w.op(self.r.pick(&[Vmullu, Vmulls]), Ty::I128, narrow, &[half, other])
                    }
                };
            }
            _ => {
                let e = Ty::holding(lane);
                let index = Attr::imms(self.r.below(u64::from(ty.bits() / lane)) as u32, 0);
                match self.r.below(4) {
                    0 if e != ty => {
                        let x = self.value(e);
                        self.w.op(Splat, ty, attr, &[x]);
                    }
                    1 if e != ty => {
                        let x = self.value(e);
                        self.w.op(Vset, ty, index, &[a, x]);
                    }
                    2 if e != ty => {
                        self.w.op(Vget, e, index, &[a]);
                    }
                    _ => {
                        let table = self.value(Ty::I128);
                        self.w.op(Vtbl, ty, Attr(0), &[table, a]);
                    }
                }
            }
        }
    }

    /// Floating point, scalar and in lanes.
    fn float(&mut self) {
        use Op::*;
        let lane = self.r.pick(&[32, 64, 64, 16]);
        let scalar = self.r.chance(2);
        let ty = if scalar { Ty::holding(lane) } else { self.r.pick(&[Ty::I64, Ty::I128]) };
        let round =
            self.r.pick(&[Round::Mode, Round::Mode, Round::Even, Round::Zero, Round::Down, Round::Up, Round::Away]);
        let attr = Attr(0).with_lane(lane).with_round(round);
        let (a, b) = (self.float_value(ty, lane), self.float_value(ty, lane));
        match self.r.below(10) {
            0..4 => {
                let op = self.r.pick(&[Fadd, Fsub, Fmul, Fdiv]);
                self.w.op(op, ty, attr, &[a, b]);
            }
            4 => {
                let c = self.float_value(ty, lane);
                self.w.op(Fma, ty, attr, &[a, b, c]);
            }
            5 => {
                self.w.op(Fsqrt, ty, attr, &[a]);
            }
            6 => {
                let kind = self.r.below(4) as u8;
                self.w.op(self.r.pick(&[Fmin, Fmax]), ty, attr.with_kind(kind), &[a, b]);
            }
            7 => {
                let kind = self.r.below(8) as u8;
                self.w.op(if scalar { Fcmp } else { Vfcmp }, ty, attr.with_kind(kind), &[a, b]);
            }
            8 => {
                if scalar {
                    let to = self.r.pick(&[Ty::I16, Ty::I32, Ty::I64]);
                    if to != ty {
                        self.w.op(Fcvt, to, attr, &[a]);
                    }
                } else {
                    self.w.op(
                        Fround,
                        ty,
                        Attr::imms(self.r.below(2) as u32, 0).with_lane(lane).with_round(round),
                        &[a],
                    );
                }
            }
            _ => {
                let to = self.r.pick(&[Ty::I32, Ty::I64]);
                if scalar && self.r.chance(2) {
                    self.w.op(self.r.pick(&[Ftos, Ftou]), to, attr, &[a]);
                } else if scalar {
                    let x = self.value(to);
                    self.w.op(self.r.pick(&[Stof, Utof]), ty, attr, &[x]);
                } else {
                    self.w.op(self.r.pick(&[Ftos, Ftou, Stof, Utof]), ty, attr, &[a]);
                }
            }
        }
    }

    /// Arithmetic in a row, of each other's results: what can be checked together. Some operands are negated, some results are
    /// used as what they are zero-extended to.
    fn arithmetic(&mut self) {
        use Op::*;
        let lane = self.r.pick(&[32, 64, 64]);
        let ty = if self.r.chance(3) { self.r.pick(&[Ty::I64, Ty::I128]) } else { Ty::holding(lane) };
        let attr = Attr(0).with_lane(lane);
        let signs = (1..=ty.bits() / lane).fold(0u128, |all, n| all | 1 << (n * lane - 1));
        let mut results: Vec<Val> = Vec::new();
        for _ in 0..1 + self.r.below(7) {
            let mut args = Vec::new();
            for _ in 0..3 {
                let earlier = !results.is_empty() && self.r.chance(2);
                let v = if earlier { self.r.pick(&results) } else { self.float_value(ty, lane) };
                args.push(v);
            }
            for v in &mut args {
                if self.r.chance(4) {
                    let signs = self.w.konst(ty, signs);
                    *v = self.w.op(Xor, ty, Attr(0), &[*v, signs]);
                }
            }
            let op = self.r.pick(&[Fadd, Fsub, Fmul, Fdiv, Fsqrt, Fma, Fma]);
            let count = op.desc().operands.len();
            let result = self.w.op(op, ty, attr, &args[..count]);
            results.push(result);
            match self.r.below(8) {
                0 if ty.bits() < 128 => {
                    let wide = self.w.op(Zext, Ty::I128, Attr(0), &[result]);
                    self.w.put(VECTORS + self.r.below(2) as u16, wide);
                }
                1 => self.load_or_store(),
                2 => {
                    let (a, b) = (self.value(Ty::I64), self.value(Ty::I64));
                    self.w.op(Add, Ty::I64, Attr(0), &[a, b]);
                }
                3 if ty == Ty::I64 => self.w.put(13, result),
                _ => {}
            }
        }
    }

    /// All condition flags from one comparison of floats, and an exit on some of them.
    fn compare_floats(&mut self) {
        use Op::*;
        let lane = self.r.pick(&[32, 64]);
        let ty = Ty::holding(lane);
        let (a, b) = (self.float_value(ty, lane), self.float_value(ty, lane));
        let signalling = 4 * self.r.below(2) as u8;
        let outcome = |w: &mut Writer, kind: FCmp| {
            w.op(Fcmp, ty, Attr(0).with_lane(lane).with_kind(kind as u8 + signalling), &[a, b])
        };
        let less = outcome(&mut self.w, FCmp::Lt);
        let equal = outcome(&mut self.w, FCmp::Eq);
        let unordered = outcome(&mut self.w, FCmp::Un);
        let not_less = self.w.op(Not, Ty::I1, Attr(0), &[less]);
        let flags = [less, equal, not_less, unordered];
        for (i, flag) in flags.into_iter().enumerate() {
            self.w.put(FLAGS + i as u16, flag);
        }
        let op = self.r.pick(&[And, Or, Xor, Andn, Eq, Ne]);
        let (x, y) = (self.r.pick(&flags), self.r.pick(&flags));
        let both = self.w.op(op, Ty::I1, Attr(0), &[x, y]);
        let again = self.w.op(self.r.pick(&[And, Or]), Ty::I1, Attr(0), &[both, self.r.pick(&flags)]);
        if self.r.chance(2) {
            let exit = self.w.exit(ExitKind::Jump, PC + 0x1000 + self.r.below(100) * 4);
            self.w.op(ExitIf, Ty::I1, exit, &[again]);
        }
    }

    /// A call of the guest's helper `id`.
    fn helper(&mut self, id: u32) {
        let args: Vec<Val> = (0..3).map(|_| self.value(Ty::I64)).collect();
        let first = Val(self.w.unit.helper_args.len() as u32);
        self.w.unit.helper_args.extend_from_slice(&args);
        self.w.op(Op::Helper, Ty::I64, Attr(id), &[first, Val(3)]);
    }

    /// A value likely to be a usual or an extreme number.
    fn float_value(&mut self, ty: Ty, lane: u32) -> Val {
        if self.r.chance(2) {
            return self.value(ty);
        }
        let mut bits = 0u128;
        for _ in 0..ty.bits() / lane {
            let number = match self.r.below(7) {
                0 => f64::NAN.to_bits() | self.r.below(16),
                1 => 0x7ff0_0000_0000_0000 | self.r.below(3),
                2 => self.r.below(3),
                3 => (self.r.next() as i64 as f64).to_bits(),
                4 => (self.r.below(100) as f64 / 4.0).to_bits(),
                _ => (f64::from(self.r.next() as i32) / 1024.0).to_bits(),
            };
            let number = number ^ if self.r.chance(3) { 1 << 63 } else { 0 };
            let lane_bits = match lane {
                64 => number,
                32 => u64::from((f64::from_bits(number) as f32).to_bits()),
                _ => self.r.next() & 0xffff,
            };
            bits = if lane == 128 { 0 } else { bits << lane | u128::from(lane_bits) };
        }
        self.w.konst(ty, bits)
    }

    fn put(&mut self) {
        let slot = self.r.below(u64::from(SLOTS)) as u16;
        if slot == POINTER || slot == INDEX {
            return;
        }
        let v = self.value(GUEST.slots[slot as usize].ty);
        self.w.put(slot, v);
    }

    /// To some slot of 64 bits.
    fn put_wide(&mut self, v: Val) {
        let slot = self.r.below(u64::from(SLOTS)) as u16;
        if slot != POINTER && slot != INDEX && GUEST.slots[slot as usize].ty == Ty::I64 {
            self.w.put(slot, v);
        }
    }

    /// The condition flags of one comparison, or of a test with zero.
    fn compared(&mut self) -> [Val; 4] {
        let ty = if self.r.chance(2) { Ty::I32 } else { Ty::I64 };
        let (a, b) = (self.value(ty), self.value(ty));
        let zero = self.w.konst(ty, 0);
        if self.r.chance(2) {
            let difference = self.w.op(Op::Sub, ty, Attr(0), &[a, b]);
            let no = self.w.konst(Ty::I1, 0);
            [
                (Op::Lts, difference, zero, None),
                (Op::Eq, a, b, None),
                (Op::Leu, b, a, None),
                (Op::Ovsub, a, b, Some(no)),
            ]
            .map(|(op, x, y, c)| self.w.op(op, ty, Attr(0), &[&[x, y][..], c.as_slice()].concat()))
        } else {
            let both = self.w.op(Op::And, ty, Attr(0), &[a, b]);
            let (n, z) =
                (self.w.op(Op::Lts, ty, Attr(0), &[both, zero]), self.w.op(Op::Eq, ty, Attr(0), &[both, zero]));
            let (no, yes) = (self.w.konst(Ty::I1, 0), self.w.konst(Ty::I1, 1));
            [n, z, yes, no]
        }
    }

    fn compare(&mut self) {
        let flags = self.compared();
        self.put_flags(flags);
    }

    fn put_flags(&mut self, flags: [Val; 4]) {
        for (i, flag) in flags.into_iter().enumerate() {
            self.w.put(FLAGS + i as u16, flag);
        }
    }

    /// The flags of a comparison if a condition holds, else those of another or constants, and an exit on one of them or on something
    /// else.
    fn compare_conditionally(&mut self) {
        use Op::*;
        let earlier = self.compared();
        if self.r.chance(2) {
            self.put_flags(earlier);
        }
        let gate = if self.r.chance(3) { self.value(Ty::I1) } else { self.r.pick(&earlier) };
        let inverse = self.w.op(Not, Ty::I1, Attr(0), &[gate]);
        let flags = self.compared();
        let constant = self.r.chance(2);
        let chosen = flags.map(|flag| match self.r.below(8) {
            0 if !constant => flag,
            1 if !constant => gate,
            _ if !constant => {
                let k = flags.iter().position(|f| *f == flag).unwrap_or(0);
                self.w.op(Select, Ty::I1, Attr(0), &[gate, flag, earlier[k]])
            }
            0..4 => self.w.op(And, Ty::I1, Attr(0), &[gate, flag]),
            4..7 => self.w.op(Or, Ty::I1, Attr(0), &[flag, inverse]),
            _ => self.w.konst(Ty::I1, 1),
        });
        self.put_flags(chosen);
        if self.r.chance(3) {
            let flag = self.r.pick(&chosen);
            let wide = self.w.op(Zext, Ty::I64, Attr(0), &[flag]);
            self.put_wide(wide);
        }
        if self.r.chance(2) {
            let exit = self.w.exit(ExitKind::Jump, PC + 0x1000 + self.r.below(100) * 4);
            let cond = if self.r.chance(2) { self.r.pick(&chosen) } else { self.value(Ty::I1) };
            self.w.op(ExitIf, Ty::I1, exit, &[cond]);
        }
    }
}

pub(super) fn make(seed: u64) -> Unit {
    let mut m = Maker { r: Random(seed), w: Writer::new(), pc: PC };
    let steps = 3 + m.r.below(60);
    for _ in 0..steps {
        m.step();
        if m.r.chance(3) {
            match m.r.below(8) {
                0 | 1 => m.compare(),
                2 => m.compare_floats(),
                3 | 4 => m.compare_conditionally(),
                _ => m.put(),
            }
            m.pc += 4;
            m.w.boundary(m.pc);
        }
    }
    if m.r.chance(4) {
        // One that reads and writes slots, after which only its result may be put.
        m.helper(1);
        let sum = Val(m.w.unit.insts.len() as u32 - 1);
        m.w.put(9, sum);
    }
    m.w.end(PC + 0x4000)
}

// ------------------------------------------------------------------ what they mean
/// State and memory after a unit, evaluated directly.
struct Reference {
    state: GuestState,
    memory: Vec<u8>,
    base: u64,
    /// The unit ended in a fault.
    fault: bool,
}

fn signed(v: u128, ty: Ty) -> i128 {
    let shift = 128 - ty.bits();
    ((v << shift) as i128) >> shift
}

impl Reference {
    fn run(&mut self, unit: &Unit) {
        let mut vals = vec![0u128; unit.insts.len()];
        let entry: Vec<u128> = (0..SLOTS).map(|s| self.state.get(&GUEST, Slot(s))).collect();
        let mut puts = unit.puts.iter().peekable();
        for (i, inst) in unit.insts.iter().enumerate() {
            while let Some(p) = puts.next_if(|p| p.pos as usize <= i) {
                self.state.set(&GUEST, p.slot, vals[p.val.index()]);
            }
            let pc = unit.bounds.iter().rev().find(|b| b.pos as usize <= i).map_or(PC, |b| b.pc);
            let operands = if inst.op == Op::Helper { &[][..] } else { &inst.args };
            let a: Vec<u128> = operands.iter().filter(|v| **v != Val::NONE).map(|v| vals[v.index()]).collect();
            match inst.op {
                Op::Const => vals[i] = unit.consts[inst.attr.index()],
                Op::Get => vals[i] = entry[inst.attr.index()],
                Op::Exit | Op::ExitIf => {
                    if inst.op == Op::Exit || a[0] == 1 {
                        self.state.pc = unit.exits[inst.attr.index()].target;
                        return;
                    }
                }
                Op::Load | Op::Store | Op::Ll | Op::Sc | Op::Rmw | Op::Cas => {
                    match self.access(inst.op, inst.ty, inst.attr, &a) {
                        Some(v) => vals[i] = v,
                        None => {
                            self.state.pc = pc;
                            self.fault = true;
                            return;
                        }
                    }
                }
                Op::Fence => {}
                Op::Helper => {
                    let first = inst.args[0].index();
                    let args: Vec<u128> = unit.helper_args[first..first + 3].iter().map(|v| vals[v.index()]).collect();
                    vals[i] = (GUEST.helpers[inst.attr.index()].call)(&mut self.state, &args) & inst.ty.mask();
                }
                op if op as u8 >= Op::Vadd as u8 => vals[i] = self.defined(unit, i, &a),
                _ => vals[i] = pure(unit, i, &a) & result_ty(inst).mask(),
            }
        }
    }

    /// By the definition of the operation.
    fn defined(&mut self, unit: &Unit, i: usize, a: &[u128]) -> u128 {
        let inst = &unit.insts[i];
        let own = inst.op.desc().operands.iter().position(|rule| *rule == TypeRule::From);
        let from = own.map_or(inst.ty, |k| result_ty(&unit.insts[inst.args[k].index()]));
        let mut args = [0; 3];
        args[..a.len()].copy_from_slice(a);
        if inst.op == Op::Vshuf {
            args[2] = unit.consts[inst.attr.index()];
        }
        let mut fp = FpEnv { mode: (GUEST.fp_mode)(0), policy: GUEST.fp, flags: self.state.fflags };
        let result = ir::eval::eval(inst.op, inst.ty, from, inst.attr, args, &mut fp);
        self.state.fflags = fp.flags;
        result
    }

    fn access(&mut self, op: Op, ty: Ty, attr: Attr, a: &[u128]) -> Option<u128> {
        let n = ty.bytes() as usize;
        let at = (a[0] as u64).wrapping_sub(self.base) as usize;
        if op == Op::Sc {
            let holds = self.state.excl_addr == a[0] as u64 && self.state.excl_size == n as u64;
            let expected = u128::from(self.state.excl_value[0]) | u128::from(self.state.excl_value[1]) << 64;
            if !holds {
                self.state.excl_addr = u64::MAX;
                return Some(1);
            }
            let old = self.read(at, n)?;
            self.state.excl_addr = u64::MAX;
            if old != expected & ty.mask() {
                return Some(1);
            }
            self.write(at, n, a[1]);
            return Some(0);
        }
        let old = self.read(at, n)?;
        let reverse = |v: u128| if attr.as_mem().big_endian { v.swap_bytes() >> (128 - 8 * n) } else { v };
        match op {
            Op::Store => self.write(at, n, reverse(a[1])),
            Op::Ll => {
                self.state.excl_addr = a[0] as u64;
                self.state.excl_size = n as u64;
                self.state.excl_value[0] = old as u64;
                if n == 16 {
                    self.state.excl_value[1] = (old >> 64) as u64;
                }
            }
            Op::Rmw => {
                let (x, y) = (signed(old, ty), signed(a[1], ty));
                let new = match attr.kind() {
                    k if k == AtomicOp::Add as u8 => old.wrapping_add(a[1]),
                    k if k == AtomicOp::Andn as u8 => old & !a[1],
                    k if k == AtomicOp::Xor as u8 => old ^ a[1],
                    k if k == AtomicOp::Or as u8 => old | a[1],
                    k if k == AtomicOp::Smax as u8 => x.max(y) as u128,
                    k if k == AtomicOp::Smin as u8 => x.min(y) as u128,
                    k if k == AtomicOp::Umax as u8 => old.max(a[1]),
                    k if k == AtomicOp::Umin as u8 => old.min(a[1]),
                    k if k == AtomicOp::Swap as u8 => a[1],
                    _ => old & a[1],
                };
                self.write(at, n, new);
            }
            Op::Cas if old == a[1] => self.write(at, n, a[2]),
            _ => {}
        }
        Some(if op == Op::Load { reverse(old) } else { old })
    }

    fn read(&self, at: usize, n: usize) -> Option<u128> {
        let bytes = self.memory.get(at..at.checked_add(n)?)?;
        Some(bytes.iter().rev().fold(0, |v, &b| v << 8 | u128::from(b)))
    }

    fn write(&mut self, at: usize, n: usize, v: u128) {
        self.memory[at..at + n].copy_from_slice(&v.to_le_bytes()[..n]);
    }
}

/// Value of a pure operation, perhaps with bits above its type.
fn pure(unit: &Unit, i: usize, a: &[u128]) -> u128 {
    let inst = &unit.insts[i];
    let (ty, w) = (inst.ty, inst.ty.bits());
    let from = |k: usize| result_ty(&unit.insts[inst.args[k].index()]);
    let s = |k: usize| signed(a[k], ty);
    let (lo, width) = (inst.attr.imm(), inst.attr.imm2());
    let field = || a[0] >> lo & (u128::MAX >> (128 - width));
    let c = a.get(2).copied().unwrap_or(0);
    match inst.op {
        Op::Add | Op::Adc => a[0].wrapping_add(a[1]).wrapping_add(c),
        Op::Sub | Op::Sbb => a[0].wrapping_sub(a[1]).wrapping_sub(c),
        Op::Mul => a[0].wrapping_mul(a[1]),
        Op::Mulhu => a[0].wrapping_mul(a[1]) >> w,
        Op::Mulhs => (s(0).wrapping_mul(s(1)) >> w) as u128,
        Op::Divu => a[0].checked_div(a[1]).unwrap_or(0),
        Op::Remu => a[0].checked_rem(a[1]).unwrap_or(a[0]),
        Op::Divs => s(0).checked_div(s(1)).unwrap_or(0) as u128,
        Op::Rems => s(0).checked_rem(s(1)).unwrap_or(s(0)) as u128,
        Op::And => a[0] & a[1],
        Op::Or => a[0] | a[1],
        Op::Xor => a[0] ^ a[1],
        Op::Andn => a[0] & !a[1],
        Op::Not => !a[0],
        Op::Neg => a[0].wrapping_neg(),
        Op::Shl => a[0].checked_shl(a[1].min(128) as u32).unwrap_or(0),
        Op::Shr => a[0].checked_shr(a[1].min(128) as u32).unwrap_or(0),
        Op::Sar => (s(0) >> a[1].min(127)) as u128,
        Op::Rotr => {
            let k = (a[1] % u128::from(w)) as u32;
            a[0] >> k | a[0] << (w - k)
        }
        Op::Clz => u128::from((a[0] << (128 - w)).leading_zeros().min(w)),
        Op::Ctz => u128::from(a[0].trailing_zeros().min(w)),
        Op::Popcnt => u128::from(a[0].count_ones()),
        Op::Rbit => a[0].reverse_bits() >> (128 - w),
        Op::Bswap => a[0].swap_bytes() >> (128 - w),
        Op::Zext | Op::Trunc => a[0],
        Op::Sext => signed(a[0], from(0)) as u128,
        Op::Bfx => field(),
        Op::Bfxs => {
            let shift = 128 - width;
            (((field() << shift) as i128) >> shift) as u128
        }
        Op::Bfi => {
            let mask = u128::MAX >> (128 - width) << lo;
            a[0] & !mask | a[1] << lo & mask
        }
        Op::Concat => a[1] << (w / 2) | a[0],
        Op::Select => {
            if a[0] == 1 {
                a[1]
            } else {
                a[2]
            }
        }
        Op::Eq => u128::from(a[0] == a[1]),
        Op::Ne => u128::from(a[0] != a[1]),
        Op::Ltu => u128::from(a[0] < a[1]),
        Op::Leu => u128::from(a[0] <= a[1]),
        Op::Lts => u128::from(s(0) < s(1)),
        Op::Les => u128::from(s(0) <= s(1)),
        Op::Carry => u128::from(a[0] + a[1] + c > ty.mask()),
        Op::Borrow => u128::from(a[0] < a[1] + c),
        Op::Ovadd => u128::from(signed((s(0) + s(1) + c as i128) as u128 & ty.mask(), ty) != s(0) + s(1) + c as i128),
        Op::Ovsub => u128::from(signed((s(0) - s(1) - c as i128) as u128 & ty.mask(), ty) != s(0) - s(1) - c as i128),
        op => panic!("{op:?} is not made"),
    }
}

// ------------------------------------------------------------------ the comparison
fn copy_state(s: &GuestState) -> GuestState {
    GuestState { slots: s.slots, ..*s }
}

fn check(m: &mut Machine, seed: u64) {
    let unit = make(seed);
    let mut r = Random(seed ^ 0x1234_5678);
    let compiled = m.compile(&unit);
    for round in 0..4 {
        let mut state = GuestState::new(&GUEST);
        for s in 0..SLOTS {
            let v = u128::from(r.word()) | u128::from(r.word()) << 64;
            state.set(&GUEST, Slot(s), v);
        }
        state.set(&GUEST, Slot(POINTER), m.memory as u128);
        state.set(&GUEST, Slot(INDEX), u128::from(r.below(8)) * 16);
        let memory: Vec<u8> = (0..MEMORY).map(|_| if r.chance(2) { 0 } else { r.next() as u8 }).collect();
        // SAFETY: the machine's memory.
        unsafe { std::ptr::copy_nonoverlapping(memory.as_ptr(), m.memory, MEMORY) };
        m.thread.guest = copy_state(&state);
        m.thread.exit_kind = 0;
        m.thread.mxcsr_guest = 0x1f80;
        let mut reference = Reference { state, memory, base: m.memory as u64, fault: false };
        reference.run(&unit);
        if round % 2 == 1 {
            deferred::hide(&Convention::new(&GUEST), &mut m.thread);
        }
        m.run(&compiled);
        let describe = || {
            let lines: Vec<String> = unit.insts.iter().enumerate().map(|(i, x)| format!("{i}: {x:?}")).collect();
            format!(
                "seed {seed} round {round}\n{}\nputs {:?}\nbounds {:?}\nconsts {:x?}\n{}",
                lines.join("\n"),
                unit.puts,
                unit.bounds,
                unit.consts,
                super::listing(&compiled.code)
            )
        };
        assert_eq!(m.thread.exit_kind == u32::MAX, reference.fault, "fault or not: {}", describe());
        assert_eq!(m.thread.guest.pc, reference.state.pc, "pc: {}", describe());
        for s in 0..SLOTS {
            let (got, want) = (m.thread.guest.get(&GUEST, Slot(s)), reference.state.get(&GUEST, Slot(s)));
            assert_eq!(got, want, "slot {s}: got {got:x}, want {want:x}: {}", describe());
        }
        // SAFETY: as above.
        let now = unsafe { std::slice::from_raw_parts(m.memory, MEMORY) };
        assert!(now == reference.memory, "memory: {}", describe());
        // The host's flags in the same order. The denormal flag is left out: only x86 has the host's.
        let flags = (m.thread.guest.fflags | m.thread.mxcsr_guest) & 0x3d;
        assert_eq!(flags, reference.state.fflags & 0x3d, "floating-point flags: {}", describe());
        assert_eq!(m.thread.guest.excl_addr, reference.state.excl_addr, "monitor: {}", describe());
    }
}

/// Units per test; `RANDOM_UNITS` in the environment asks for more.
fn units() -> u64 {
    std::env::var("RANDOM_UNITS").ok().and_then(|n| n.parse().ok()).unwrap_or(3000)
}

fn check_many(features: Features, first: u64) {
    let mut m = Machine::new(features);
    for seed in first..first + units() {
        check(&mut m, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    }
}

#[test]
fn random_units_do_what_they_mean() {
    check_many(Features::host(), 1);
}

#[test]
fn random_units_on_old_processors() {
    for (n, (_, features)) in Features::LEVELS.into_iter().enumerate().filter(|(_, (_, f))| f.missing().is_empty()) {
        check_many(features, (n as u64 + 1) << 32);
    }
}

/// Processors that are older than this one would not know an instruction that is used all the same: the proof says so.
#[test]
fn no_instruction_is_of_a_newer_processor() {
    for (_, features) in Features::LEVELS {
        let mut m = Machine::new(features);
        for seed in 1..units() {
            m.compile(&make(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1));
        }
    }
}
