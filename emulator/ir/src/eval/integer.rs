//! Integer operations and comparisons.

use super::signed;
use crate::inst::{Attr, Op};
use crate::ty::Ty;

pub(super) fn eval(op: Op, ty: Ty, from: Ty, attr: Attr, [a, b, c]: [u128; 3]) -> u128 {
    let bits = ty.bits();
    let (sa, sb) = (|| signed(a, bits), || signed(b, bits));
    let result = match op {
        Op::Add => a.wrapping_add(b),
        Op::Sub => a.wrapping_sub(b),
        Op::Mul => a.wrapping_mul(b),
        Op::Mulhu => high_unsigned(a, b, bits),
        Op::Mulhs => high_signed(a, b, bits),
        Op::Divu => a.checked_div(b).unwrap_or(0),
        Op::Divs if b == 0 => 0,
        Op::Divs => sa().wrapping_div(sb()) as u128,
        Op::Remu => a.checked_rem(b).unwrap_or(a),
        Op::Rems if b == 0 => a,
        Op::Rems => sa().wrapping_rem(sb()) as u128,
        Op::And => a & b,
        Op::Or => a | b,
        Op::Xor => a ^ b,
        Op::Andn => a & !b,
        Op::Not => !a,
        Op::Neg => a.wrapping_neg(),
        Op::Shl if b >= bits.into() => 0,
        Op::Shl => a << b,
        Op::Shr if b >= bits.into() => 0,
        Op::Shr => a >> b,
        Op::Sar => (sa() >> b.min(127)) as u128,
        Op::Rotr => rotate_right(a, (b % u128::from(bits)) as u32, bits),
        Op::Clz => u128::from(a.leading_zeros() - (128 - bits)),
        Op::Ctz => u128::from(a.trailing_zeros().min(bits)),
        Op::Popcnt => a.count_ones().into(),
        Op::Bswap => a.swap_bytes() >> (128 - bits),
        Op::Rbit => a.reverse_bits() >> (128 - bits),
        Op::Zext | Op::Trunc => a,
        Op::Sext => signed(a, from.bits()) as u128,
        Op::Bfx => a >> attr.imm() & ones(attr.imm2()),
        Op::Bfxs => signed(a >> attr.imm(), attr.imm2()) as u128,
        Op::Bfi => {
            let field = ones(attr.imm2()) << attr.imm();
            a & !field | b << attr.imm() & field
        }
        Op::Concat => a | b << from.bits(),
        Op::Select => {
            if a == 1 {
                b
            } else {
                c
            }
        }
        Op::Crc32 => crc32(attr.imm() == 1, a as u32, b, from.bits()).into(),
        Op::Pdep => deposit(a, b),
        Op::Pext => gather(a, b),
        Op::Clmul => (0..64).filter(|i| b >> i & 1 == 1).fold(0, |r, i| r ^ a << i),
        Op::Eq => (a == b).into(),
        Op::Ne => (a != b).into(),
        Op::Ltu => (a < b).into(),
        Op::Leu => (a <= b).into(),
        Op::Lts => (sa() < sb()).into(),
        Op::Les => (sa() <= sb()).into(),
        Op::Carry => carry(a, b, c, bits).into(),
        Op::Borrow => (a < b || a == b && c == 1).into(),
        Op::Ovadd => {
            let r = a.wrapping_add(b).wrapping_add(c);
            ((a ^ r) & (b ^ r)) >> (bits - 1) & 1
        }
        Op::Ovsub => {
            let r = a.wrapping_sub(b).wrapping_sub(c);
            ((a ^ b) & (a ^ r)) >> (bits - 1) & 1
        }
        Op::Adc => a.wrapping_add(b).wrapping_add(c),
        Op::Sbb => a.wrapping_sub(b).wrapping_sub(c),
        _ => unreachable!("{op:?} is not computed from operands alone"),
    };
    result & ty.mask()
}

fn ones(n: u32) -> u128 {
    u128::MAX >> (128 - n)
}

fn rotate_right(a: u128, n: u32, bits: u32) -> u128 {
    if n == 0 { a } else { a >> n | a << (bits - n) }
}

fn carry(a: u128, b: u128, c: u128, bits: u32) -> bool {
    let (sum, first) = a.overflowing_add(b);
    let (sum, second) = sum.overflowing_add(c);
    if bits == 128 { first || second } else { sum >> bits != 0 }
}

/// High half of the product of two values of `bits` bits.
fn high_unsigned(a: u128, b: u128, bits: u32) -> u128 {
    if bits <= 64 { (a * b) >> bits } else { high_128(a, b) }
}

fn high_signed(a: u128, b: u128, bits: u32) -> u128 {
    if bits <= 64 {
        return ((signed(a, bits) * signed(b, bits)) >> bits) as u128;
    }
    // A negative operand counts as 2^128 too much.
    let excess = |x: u128, y: u128| if (x as i128) < 0 { y } else { 0 };
    high_128(a, b).wrapping_sub(excess(a, b)).wrapping_sub(excess(b, a))
}

/// High half of the 256-bit product, from 64-bit halves.
fn high_128(a: u128, b: u128) -> u128 {
    const LOW: u128 = u64::MAX as u128;
    let (al, ah, bl, bh) = (a & LOW, a >> 64, b & LOW, b >> 64);
    let middle = ((al * bl) >> 64) + ((al * bh) & LOW) + ((ah * bl) & LOW);
    ah * bh + ((al * bh) >> 64) + ((ah * bl) >> 64) + (middle >> 64)
}

/// Reflected CRC of one datum, least significant bit first.
/// Low bits of `a` where the mask has ones.
fn deposit(a: u128, mut mask: u128) -> u128 {
    let (mut r, mut next) = (0, 0);
    while mask != 0 {
        r |= (a >> next & 1) << mask.trailing_zeros();
        mask &= mask - 1;
        next += 1;
    }
    r
}

/// Bits of `a` where the mask has ones.
fn gather(a: u128, mut mask: u128) -> u128 {
    let (mut r, mut next) = (0, 0);
    while mask != 0 {
        r |= (a >> mask.trailing_zeros() & 1) << next;
        mask &= mask - 1;
        next += 1;
    }
    r
}

fn crc32(castagnoli: bool, crc: u32, data: u128, bits: u32) -> u32 {
    let polynomial: u32 = if castagnoli { 0x82f6_3b78 } else { 0xedb8_8320 };
    (0..bits).fold(crc, |crc, i| {
        let out = (crc ^ (data >> i) as u32) & 1;
        crc >> 1 ^ if out == 1 { polynomial } else { 0 }
    })
}
