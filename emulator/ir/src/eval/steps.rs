//! Steps of ciphers, hashes and searches in texts.

use crate::inst::{Attr, Step};

pub(super) fn eval(attr: Attr, [a, b, c]: [u128; 3]) -> u128 {
    match Step::of_kind(attr.kind()) {
        Step::AesEncrypt => mixed(ENCRYPTING, shifted(&SUBSTITUTES, 1, a)) ^ b,
        Step::AesEncryptLast => shifted(&SUBSTITUTES, 1, a) ^ b,
        Step::AesDecrypt => mixed(DECRYPTING, shifted(&ORIGINALS, 3, a)) ^ b,
        Step::AesDecryptLast => shifted(&ORIGINALS, 3, a) ^ b,
        Step::AesInverseColumns => mixed(DECRYPTING, a),
        Step::AesKey => round_key(a, attr.imm()),
        Step::Sha1Rounds => sha1_rounds(words(a), words(b), attr.imm()),
        Step::Sha1Next => of_words(with_highest(words(b), words(b)[3].wrapping_add(words(a)[3].rotate_left(30)))),
        Step::Sha1Message => sha1_message(a, b),
        Step::Sha1MessageLast => sha1_message_last(words(a), words(b)),
        Step::Sha256Rounds => sha256_rounds(words(a), words(b), words(c)),
        Step::Sha256Message => sha256_message(words(a), words(b)),
        Step::Sha256MessageLast => sha256_message_last(words(a), words(b)),
        Step::Match => {
            let wide = attr.imm() & 1 == 1;
            found(attr.imm(), [Text::ended(a, wide), Text::ended(b, wide)])
        }
        Step::MatchCounted => {
            let lengths = [c as usize & 0xff, c as usize >> 8 & 0xff];
            found(attr.imm(), [Text::of(a, lengths[0]), Text::of(b, lengths[1])])
        }
    }
}

// ---------------------------------------------------------------- AES

/// The substitutes of FIPS 197, 5.1.1: the inverse in the field, or 0, and a transformation of its bits.
const SUBSTITUTES: [u8; 256] = {
    // Powers of 3, which are all numbers but 0.
    let mut powers = [1_u8; 256];
    let mut i = 1;
    while i < 256 {
        powers[i] = powers[i - 1] ^ double(powers[i - 1]);
        i += 1;
    }
    let mut table = [0x63; 256];
    let mut i = 0;
    while i < 255 {
        let x = powers[255 - i];
        let bits = x ^ x.rotate_left(1) ^ x.rotate_left(2) ^ x.rotate_left(3) ^ x.rotate_left(4);
        table[powers[i] as usize] = bits ^ 0x63;
        i += 1;
    }
    table
};

/// What each byte is the substitute of.
const ORIGINALS: [u8; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[SUBSTITUTES[i] as usize] = i as u8;
        i += 1;
    }
    table
};

/// Factors of the four bytes of a column, from its first row on.
const ENCRYPTING: [u8; 4] = [2, 3, 1, 1];
const DECRYPTING: [u8; 4] = [14, 11, 13, 9];

const fn double(a: u8) -> u8 {
    a << 1 ^ if a >> 7 == 1 { 0x1b } else { 0 }
}

/// Product in the field, of a factor below 16.
fn product(factor: u8, a: u8) -> u8 {
    let powers = [a, double(a), double(double(a)), double(double(double(a)))];
    (0..4).filter(|i| factor >> i & 1 == 1).fold(0, |sum, i| sum ^ powers[i])
}

/// Substitutes of the bytes, row `r` from `r * columns` columns on.
fn shifted(table: &[u8; 256], columns: usize, state: u128) -> u128 {
    let bytes = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| table[usize::from(bytes[(i + 4 * columns * (i % 4)) % 16])]))
}

/// The columns multiplied.
fn mixed(factors: [u8; 4], state: u128) -> u128 {
    let bytes = state.to_le_bytes();
    u128::from_le_bytes(std::array::from_fn(|i| {
        (0..4).fold(0, |sum, k| sum ^ product(factors[k], bytes[i / 4 * 4 + (i + k) % 4]))
    }))
}

fn round_key(a: u128, constant: u32) -> u128 {
    let word = |n: usize| u32::from_le_bytes(words(a)[n].to_le_bytes().map(|byte| SUBSTITUTES[usize::from(byte)]));
    let (low, high) = (word(1), word(3));
    of_words([low, low.rotate_right(8) ^ constant, high, high.rotate_right(8) ^ constant])
}

// ---------------------------------------------------------------- SHA

/// The lowest word first.
fn words(a: u128) -> [u32; 4] {
    std::array::from_fn(|i| (a >> (32 * i)) as u32)
}

fn of_words(words: [u32; 4]) -> u128 {
    words.iter().rev().fold(0, |all, &word| all << 32 | u128::from(word))
}

fn with_highest([a, b, c, _]: [u32; 4], highest: u32) -> [u32; 4] {
    [a, b, c, highest]
}

fn choose(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ !x & z
}

fn majority(x: u32, y: u32, z: u32) -> u32 {
    x & y ^ x & z ^ y & z
}

fn sha1_rounds([mut d, mut c, mut b, mut a]: [u32; 4], schedule: [u32; 4], function: u32) -> u128 {
    let mut e = 0_u32;
    for word in schedule.into_iter().rev() {
        let (f, k) = match function & 3 {
            0 => (choose(b, c, d), 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => (majority(b, c, d), 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let next = [a.rotate_left(5), f, e, word].into_iter().fold(k, u32::wrapping_add);
        (a, b, c, d, e) = (next, a, b.rotate_left(30), c, d);
    }
    of_words([d, c, b, a])
}

/// Words 0 to 3 are in `a`, the first of them highest, 4 and 5 in the upper half of `b`.
fn sha1_message(a: u128, b: u128) -> u128 {
    a ^ (a << 64 | b >> 64)
}

fn sha1_message_last([a3, a2, a1, a0]: [u32; 4], [w15, w14, w13, _]: [u32; 4]) -> u128 {
    let w16 = (a0 ^ w13).rotate_left(1);
    of_words([(a3 ^ w16).rotate_left(1), (a2 ^ w15).rotate_left(1), (a1 ^ w14).rotate_left(1), w16])
}

fn sha256_rounds(
    [mut h, mut g, mut d, mut c]: [u32; 4],
    [mut f, mut e, mut b, mut a]: [u32; 4],
    sums: [u32; 4],
) -> u128 {
    for sum in &sums[..2] {
        let e_bits = e.rotate_right(6) ^ e.rotate_right(11) ^ e.rotate_right(25);
        let a_bits = a.rotate_right(2) ^ a.rotate_right(13) ^ a.rotate_right(22);
        let first = [choose(e, f, g), e_bits, *sum].into_iter().fold(h, u32::wrapping_add);
        let second = majority(a, b, c).wrapping_add(a_bits);
        (a, b, c, d, e, f, g, h) = (first.wrapping_add(second), a, b, c, d.wrapping_add(first), e, f, g);
    }
    of_words([f, e, b, a])
}

fn sha256_message([w0, w1, w2, w3]: [u32; 4], [w4, ..]: [u32; 4]) -> u128 {
    let bits = |w: u32| w.rotate_right(7) ^ w.rotate_right(18) ^ w >> 3;
    let sum = |a: u32, b: u32| a.wrapping_add(bits(b));
    of_words([sum(w0, w1), sum(w1, w2), sum(w2, w3), sum(w3, w4)])
}

fn sha256_message_last([a0, a1, a2, a3]: [u32; 4], [.., w14, w15]: [u32; 4]) -> u128 {
    let bits = |w: u32| w.rotate_right(17) ^ w.rotate_right(19) ^ w >> 10;
    let (w16, w17) = (a0.wrapping_add(bits(w14)), a1.wrapping_add(bits(w15)));
    of_words([w16, w17, a2.wrapping_add(bits(w16)), a3.wrapping_add(bits(w17))])
}

// ---------------------------------------------------------------- texts

/// A text in a vector: bytes or words, of which so many count.
#[derive(Clone, Copy)]
struct Text {
    bits: u128,
    len: usize,
}

impl Text {
    fn of(bits: u128, len: usize) -> Text {
        Text { bits, len }
    }

    /// One that ends at a zero.
    fn ended(bits: u128, wide: bool) -> Text {
        let n = if wide { 8 } else { 16 };
        let text = Text { bits, len: n };
        Text { bits, len: (0..n).find(|&i| text.element(i, wide, false) == 0).unwrap_or(n) }
    }

    fn element(self, i: usize, wide: bool, signed: bool) -> i32 {
        match (wide, signed) {
            (false, false) => (self.bits >> (8 * i)) as u8 as i32,
            (false, true) => (self.bits >> (8 * i)) as i8 as i32,
            (true, false) => (self.bits >> (16 * i)) as u16 as i32,
            (true, true) => (self.bits >> (16 * i)) as i16 as i32,
        }
    }
}

/// Which elements of the second text are as the first says, by the control byte: SDM 1, 4.1, PCMPESTRI and its kin.
fn found(control: u32, [what, text]: [Text; 2]) -> u128 {
    let (wide, signed) = (control & 1 == 1, control & 2 != 0);
    let n = if wide { 8 } else { 16 };
    let (a, b) = (|i: usize| what.element(i, wide, signed), |i: usize| text.element(i, wide, signed));
    let is_found = |i: usize| match control >> 2 & 3 {
        0 => i < text.len && (0..what.len.min(n)).any(|k| a(k) == b(i)),
        1 => i < text.len && (0..what.len.min(n) / 2).any(|k| a(2 * k) <= b(i) && b(i) <= a(2 * k + 1)),
        2 => match (i < what.len, i < text.len) {
            (true, true) => a(i) == b(i),
            (one, other) => one == other,
        },
        _ => (0..(n - i).min(what.len)).all(|k| i + k < text.len && a(k) == b(i + k)),
    };
    let found = |i: usize| match control >> 4 & 3 {
        1 => !is_found(i),
        3 if i < text.len => !is_found(i),
        _ => is_found(i),
    };
    (0..n).fold(0, |all, i| all | u128::from(found(i)) << i)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(step: Step, constant: u32, args: [u128; 3]) -> u128 {
        eval(Attr::imms(constant, 0).with_kind(step as u8), args)
    }

    /// FIPS 197, appendix B: the first round.
    #[test]
    fn a_round_of_aes() {
        let state = u128::from_le_bytes(*b"\x19\x3d\xe3\xbe\xa0\xf4\xe2\x2b\x9a\xc6\x8d\x2a\xe9\xf8\x48\x08");
        let key = u128::from_le_bytes(*b"\xa0\xfa\xfe\x17\x88\x54\x2c\xb1\x23\xa3\x39\x39\x2a\x6c\x76\x05");
        let next = u128::from_le_bytes(*b"\xa4\x9c\x7f\xf2\x68\x9f\x35\x2b\x6b\x5b\xea\x43\x02\x6a\x50\x49");
        assert_eq!(step(Step::AesEncrypt, 0, [state, key, 0]), next);
        // The inverse cipher goes back: without the key, the columns unmixed, the last step of decryption is that of encryption.
        let unmixed = step(Step::AesInverseColumns, 0, [next ^ key, 0, 0]);
        assert_eq!(step(Step::AesDecryptLast, 0, [unmixed, 0, 0]), state);
    }

    #[test]
    fn texts_are_searched() {
        let text = |s: &[u8]| s.iter().rev().fold(0, |all, &byte| all << 8 | u128::from(byte));
        assert_eq!(step(Step::Match, 0, [text(b"xz"), text(b"zebra x"), 0]), 0b100_0001);
        assert_eq!(step(Step::Match, 4, [text(b"ac09"), text(b"zebra 7"), 0]), 0b101_0100);
        assert_eq!(step(Step::Match, 8 | 0x10, [text(b"same"), text(b"sane"), 0]), 0b0100);
        assert_eq!(step(Step::Match, 12, [text(b"ab"), text(b"xabab"), 0]), 0b01010);
        assert_eq!(step(Step::MatchCounted, 8, [text(b"ab"), text(b"ac"), 0x0102]), 0xfffd);
    }
}
