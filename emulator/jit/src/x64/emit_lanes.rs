//! Lane operations that the host has no single instruction for: sequences of those it has.

use ir::inst::{Inst, Op};

use super::Xmm;
use super::emit_vector::{PAND, PCMPEQD, POR, PSHUFB, PXOR, every};
use super::generator::{Gen, SCRATCH_XMM};

const PANDN: u32 = 0x0fdf;
const PMINUB: u32 = 0x0fda;
const PMINUD: u32 = 0x0f_383b;
const PMAXUD: u32 = 0x0f_383f;
const PSUBB: u32 = 0x0ff8;
const PADDB: u32 = 0x0ffc;
const PADDUSB: u32 = 0x0fdc;
const PCMPEQB: u32 = 0x0f74;
const PCMPGTQ: u32 = 0x0f_3837;
const PMULLW: u32 = 0x0fd5;
const PMULUDQ: u32 = 0x0ff4;
pub(super) const PSHUFD: u32 = 0x0f70;
pub(super) const PBLENDW: u32 = 0x0f_3a0e;

/// Digits of shifts by an immediate.
pub(super) const RIGHT: u8 = 2;
const RIGHT_SIGNED: u8 = 4;
pub(super) const LEFT: u8 = 6;

/// Of an operation on lanes of 8, 16, 32 and 64 bits whose opcodes follow each other.
fn of_lane(first: u32, lane: u32) -> u32 {
    first + (lane / 8).trailing_zeros()
}

fn padd(lane: u32) -> u32 {
    if lane == 64 { 0x0fd4 } else { of_lane(PADDB, lane) }
}

fn psub(lane: u32) -> u32 {
    of_lane(PSUBB, lane)
}

fn pcmpeq(lane: u32) -> u32 {
    if lane == 64 { 0x0f_3829 } else { of_lane(PCMPEQB, lane) }
}

impl Gen<'_> {
    /// Emits an operation by several instructions; false if it is left to its definition.
    pub(super) fn emit_lane_sequence(&mut self, inst: &Inst, lane: u32) -> bool {
        let result = match (inst.op, lane) {
            (Op::Vmul, 8) => self.multiply_bytes(),
            (Op::Vmul, 64) => self.multiply_quads(),
            (Op::Vaddsu | Op::Vsubsu, 32) => self.saturate_unsigned(inst.op),
            (Op::Vaddsu | Op::Vsubsu, 64) => self.saturate_unsigned_quads(inst.op),
            (Op::Vaddss | Op::Vsubss, 32 | 64) => self.saturate_signed(inst.op, lane),
            (Op::Vminu | Op::Vmaxu | Op::Vmins | Op::Vmaxs, 64) => self.extrema_of_quads(inst.op),
            (Op::Vabs, 64) => self.absolute_quads(),
            (Op::Vavgu, 32 | 64) => self.average(lane),
            (Op::Vclz, _) => self.leading_zeros(lane),
            (Op::Vpopcnt, _) => self.count_ones(lane),
            (Op::Vnarrowuu | Op::Vnarrowss | Op::Vnarrowsu, 32) => self.narrow_quads(inst.op),
            (Op::Vshl | Op::Vshr | Op::Vsar, 8) => self.shift_bytes_by_lanes(inst.op),
            (Op::Vshl | Op::Vshr | Op::Vsar, 16) if self.features.avx2 => self.shift_words_by_lanes(inst.op),
            (Op::Vsar, 64) if self.features.avx2 => self.shift_quads_signed(),
            _ => return false,
        };
        self.result_xmm(result);
        true
    }

    /// Another copy of a scratch register.
    fn another(&mut self, x: Xmm) -> Xmm {
        let t = self.temp_xmm();
        self.asm.mov_xx(t, x);
        t
    }

    /// Shift of lanes by an immediate.
    pub(super) fn shift_lanes(&mut self, lane: u32, digit: u8, x: Xmm, amount: u32) {
        let group = match lane {
            64 => 0x0f73,
            32 => 0x0f72,
            _ => 0x0f71,
        };
        self.sse_shift(group, digit, x, amount);
    }

    /// `x` with every lane all ones where it was negative, else zero.
    pub(super) fn spread_sign(&mut self, lane: u32, x: Xmm) {
        if lane == 64 {
            self.sse(PSHUFD, x, x);
            self.asm.byte(0xf5);
        }
        self.shift_lanes(32, RIGHT_SIGNED, x, 31);
    }

    /// `base ^ ((base ^ other) & mask)`: `other` where the mask is set, in the register `other`.
    fn choose(&mut self, mask: Xmm, other: Xmm, base: Xmm) {
        self.sse(PXOR, other, base);
        self.sse(PAND, other, mask);
        self.sse(PXOR, other, base);
    }

    // ------------------------------------------------------------------ products
    fn multiply_bytes(&mut self) -> Xmm {
        let (even, odd) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)));
        let (b, odd_b) = (self.use_xmm(self.arg(1)), self.copy_xmm(self.arg(1)));
        self.products_of_bytes([even, odd], b, odd_b)
    }

    /// Products of words: of the even bytes, and of the odd ones where they are. `a` are two copies, `odd_b` is a copy of `b`.
    fn products_of_bytes(&mut self, [even, odd]: [Xmm; 2], b: Xmm, odd_b: Xmm) -> Xmm {
        self.sse(PMULLW, even, b);
        self.sse_const(PAND, even, every(16, 0x00ff));
        self.shift_lanes(16, RIGHT, odd, 8);
        self.sse_const(PAND, odd_b, every(16, 0xff00));
        self.sse(PMULLW, odd, odd_b);
        self.sse(POR, even, odd);
        even
    }

    /// Of the low halves, and crosswise above.
    fn multiply_quads(&mut self) -> Xmm {
        let (low, cross, other) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(1)));
        let (a, b) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)));
        self.shift_lanes(64, RIGHT, cross, 32);
        self.sse(PMULUDQ, cross, b);
        self.shift_lanes(64, RIGHT, other, 32);
        self.sse(PMULUDQ, other, a);
        self.sse(padd(64), cross, other);
        self.shift_lanes(64, LEFT, cross, 32);
        self.sse(PMULUDQ, low, b);
        self.sse(padd(64), low, cross);
        low
    }

    // ------------------------------------------------------------------ saturation
    /// a + min(b, ~a), max(a, b) - b.
    fn saturate_unsigned(&mut self, op: Op) -> Xmm {
        let t = self.copy_xmm(self.arg(0));
        let (a, b) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)));
        if op == Op::Vaddsu {
            self.sse(PCMPEQD, SCRATCH_XMM, SCRATCH_XMM);
            self.sse(PXOR, t, SCRATCH_XMM);
            self.sse(PMINUD, t, b);
            self.sse(padd(32), t, a);
        } else {
            self.sse(PMAXUD, t, b);
            self.sse(psub(32), t, b);
        }
        t
    }

    /// All ones where a sum is below its operand, zero where a difference would be below zero.
    fn saturate_unsigned_quads(&mut self, op: Op) -> Xmm {
        let d = self.copy_xmm(self.arg(0));
        let b = self.use_xmm(self.arg(1));
        if op == Op::Vaddsu {
            let above = self.copy_xmm(self.arg(0));
            self.sse(padd(64), d, b);
            let sum = self.another(d);
            self.greater_quads(false, above, sum);
            self.sse(POR, d, above);
            return d;
        }
        let (above, a) = (self.copy_xmm(self.arg(1)), self.copy_xmm(self.arg(0)));
        self.sse(psub(64), d, b);
        self.greater_quads(false, above, a);
        self.sse(PANDN, above, d);
        above
    }

    /// `a` all ones where `a > b`; both are lost.
    fn greater_quads(&mut self, signed: bool, a: Xmm, b: Xmm) {
        if !signed {
            self.asm.const_xmm(SCRATCH_XMM, every(64, 1 << 63));
            self.sse(PXOR, a, SCRATCH_XMM);
            self.sse(PXOR, b, SCRATCH_XMM);
        }
        self.sse(PCMPGTQ, a, b);
    }

    /// Where the signs say that the result ran over, the limit that its sign is opposite to.
    fn saturate_signed(&mut self, op: Op, lane: u32) -> Xmm {
        let (d, over, differs) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)), self.temp_xmm());
        let (a, b) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)));
        self.asm.mov_xx(differs, b);
        if op == Op::Vaddss {
            self.sse(padd(lane), d, b);
            self.sse(PXOR, differs, d);
        } else {
            self.sse(psub(lane), d, b);
            self.sse(PXOR, differs, a);
        }
        self.sse(PXOR, over, d);
        self.sse(PAND, over, differs);
        self.spread_sign(lane, over);
        let limit = differs;
        self.asm.mov_xx(limit, d);
        self.spread_sign(lane, limit);
        self.sse_const(PXOR, limit, every(lane, 1 << (lane - 1)));
        self.choose(over, limit, d);
        limit
    }

    // ------------------------------------------------------------------ order
    fn extrema_of_quads(&mut self, op: Op) -> Xmm {
        let (above, other) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(1)));
        self.greater_quads(matches!(op, Op::Vmins | Op::Vmaxs), above, other);
        let maximum = matches!(op, Op::Vmaxs | Op::Vmaxu);
        let (where_above, else_) = if maximum { (0, 1) } else { (1, 0) };
        let d = self.copy_xmm(self.arg(where_above));
        let base = self.use_xmm(self.arg(else_));
        self.choose(above, d, base);
        d
    }

    /// (a ^ sign) - sign.
    fn absolute_quads(&mut self) -> Xmm {
        let (d, sign) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)));
        self.spread_sign(64, sign);
        self.sse(PXOR, d, sign);
        self.sse(psub(64), d, sign);
        d
    }

    /// (a | b) - ((a ^ b) >> 1).
    fn average(&mut self, lane: u32) -> Xmm {
        let (all, half) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)));
        let b = self.use_xmm(self.arg(1));
        self.sse(POR, all, b);
        self.sse(PXOR, half, b);
        self.shift_lanes(lane, RIGHT, half, 1);
        self.sse(psub(lane), all, half);
        all
    }

    // ------------------------------------------------------------------ counts
    /// The lower and the upper half of each byte of the operand.
    fn half_bytes(&mut self) -> (Xmm, Xmm) {
        let (low, high) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)));
        self.shift_lanes(16, RIGHT, high, 4);
        self.sse_const(PAND, low, every(8, 0x0f));
        self.sse_const(PAND, high, every(8, 0x0f));
        (low, high)
    }

    /// Of bytes by a table of half bytes; of wider lanes, that of the upper half and, if it is all zero, of the lower.
    fn leading_zeros(&mut self, lane: u32) -> Xmm {
        const OF_HALF_BYTE: u128 = 0x0101_0101_0202_0304;
        let (low, high) = self.half_bytes();
        let (none, count) = (self.temp_xmm(), self.temp_xmm());
        self.asm.const_xmm(none, 0);
        self.sse(PCMPEQB, none, high);
        self.asm.const_xmm(count, OF_HALF_BYTE);
        self.asm.const_xmm(SCRATCH_XMM, OF_HALF_BYTE);
        self.sse(PSHUFB, count, high);
        self.sse(PSHUFB, SCRATCH_XMM, low);
        self.sse(PAND, none, SCRATCH_XMM);
        self.sse(PADDB, count, none);
        let mut half = 8;
        while half < lane {
            let wide = 2 * half;
            self.asm.mov_xx(high, count);
            self.shift_lanes(wide, RIGHT, high, half);
            self.asm.const_xmm(none, every(wide, half.into()));
            self.sse(pcmpeq(wide), none, high);
            self.sse_const(PAND, count, every(wide, (1 << half) - 1));
            self.sse(PAND, count, none);
            self.sse(padd(wide), count, high);
            half = wide;
        }
        count
    }

    /// Ones of bytes by a table of half bytes, added up.
    fn count_ones(&mut self, lane: u32) -> Xmm {
        let (low, high) = self.half_bytes();
        let (table, count) = (self.temp_xmm(), self.temp_xmm());
        self.asm.const_xmm(table, 0x0403_0302_0302_0201_0302_0201_0201_0100);
        self.asm.mov_xx(count, table);
        self.sse(PSHUFB, count, low);
        self.sse(PSHUFB, table, high);
        self.sse(PADDB, count, table);
        let mut half = 8;
        while half < lane {
            self.asm.mov_xx(high, count);
            self.shift_lanes(2 * half, RIGHT, high, half);
            self.sse(PADDB, count, high);
            self.sse_const(PAND, count, every(2 * half, 0xff));
            half *= 2;
        }
        count
    }

    // ------------------------------------------------------------------ changes of width
    /// 64 bits to 32: the upper halves tell whether the lower ones stay.
    fn narrow_quads(&mut self, op: Op) -> Xmm {
        let (low, high) = (self.temp_xmm(), self.temp_xmm());
        let a = self.use_xmm(self.arg(0));
        for (x, picks) in [(low, 0b00_00_10_00), (high, 0b00_00_11_01)] {
            self.sse(PSHUFD, x, a);
            self.asm.byte(picks);
        }
        if op == Op::Vnarrowss {
            let (fits, limit) = (self.another(low), high);
            self.spread_sign(32, fits);
            self.sse(PCMPEQD, fits, high);
            self.spread_sign(32, limit);
            self.sse_const(PXOR, limit, every(32, 0x7fff_ffff));
            self.choose(fits, low, limit);
            return low;
        }
        let over = self.temp_xmm();
        self.asm.const_xmm(over, 0);
        self.sse(PCMPEQD, over, high);
        self.sse(PCMPEQD, SCRATCH_XMM, SCRATCH_XMM);
        self.sse(PXOR, over, SCRATCH_XMM);
        self.sse(POR, low, over);
        if op == Op::Vnarrowuu {
            return low;
        }
        self.spread_sign(32, high);
        self.sse(PANDN, high, low);
        high
    }

    // ------------------------------------------------------------------ shifts by lanes
    /// Bytes as products of words with powers of two, which a table has: 2^n to the left, 2^(8 - n) to the right.
    fn shift_bytes_by_lanes(&mut self, op: Op) -> Xmm {
        let (even, odd) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)));
        let amount = self.copy_xmm(self.arg(1));
        let (power, odd_power) = (self.temp_xmm(), self.temp_xmm());
        if op == Op::Vsar {
            self.sse_const(PMINUB, amount, every(8, 7));
        } else {
            // Indexes above 15 get their top bit, which selects zero.
            self.sse_const(PADDUSB, amount, every(8, 0x70));
        }
        let table = if op == Op::Vshl { 0x8040_2010_0804_0201 } else { 0x0102_0408_1020_4080 };
        self.asm.const_xmm(power, table);
        self.sse(PSHUFB, power, amount);
        self.asm.mov_xx(odd_power, power);
        if op == Op::Vshl {
            return self.products_of_bytes([even, odd], power, odd_power);
        }
        // Twice the byte times 2^(7 - n).
        let digit = if op == Op::Vsar { RIGHT_SIGNED } else { RIGHT };
        self.shift_lanes(16, LEFT, even, 8);
        self.shift_lanes(16, digit, even, 7);
        self.shift_lanes(16, digit, odd, 7);
        self.sse_const(PAND, odd, every(16, 0xfffe));
        self.sse_const(PAND, power, every(16, 0x00ff));
        self.shift_lanes(16, RIGHT, odd_power, 8);
        self.sse(PMULLW, even, power);
        self.sse(PMULLW, odd, odd_power);
        self.shift_lanes(16, RIGHT, even, 8);
        self.sse_const(PAND, odd, every(16, 0xff00));
        self.sse(POR, even, odd);
        even
    }

    /// Words as the lower and, with zeros below, the upper halves of 32 bits.
    fn shift_words_by_lanes(&mut self, op: Op) -> Xmm {
        let (even, odd) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)));
        let (amount, odd_amount) = (self.copy_xmm(self.arg(1)), self.copy_xmm(self.arg(1)));
        self.sse_const(PAND, amount, every(32, 0xffff));
        self.shift_lanes(32, RIGHT, odd_amount, 16);
        let opcode = match op {
            Op::Vshl => {
                self.sse_const(PAND, odd, every(32, 0xffff_0000));
                0x47
            }
            Op::Vshr => {
                self.sse_const(PAND, even, every(32, 0x0000_ffff));
                0x45
            }
            _ => {
                self.shift_lanes(32, LEFT, even, 16);
                self.shift_lanes(32, RIGHT_SIGNED, even, 16);
                0x46
            }
        };
        self.asm.vex_rr(2, 1, 4, opcode, even, even, amount);
        self.asm.vex_rr(2, 1, 4, opcode, odd, odd, odd_amount);
        self.sse(PBLENDW, even, odd);
        self.asm.byte(0b1010_1010);
        even
    }

    /// A negative number's complement has zeros to shift in.
    fn shift_quads_signed(&mut self) -> Xmm {
        let (d, sign) = (self.copy_xmm(self.arg(0)), self.copy_xmm(self.arg(0)));
        let amount = self.use_xmm(self.arg(1));
        self.spread_sign(64, sign);
        self.sse(PXOR, d, sign);
        self.asm.vex_rr(2, 1, 8, 0x45, d, d, amount);
        self.sse(PXOR, d, sign);
        d
    }
}
