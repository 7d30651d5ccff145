//! Values of registers and memory that are likely to find differences.

use super::Random;

/// A value of floating-point interest, or a small or otherwise special one.
pub(crate) fn number(random: &mut Random) -> u64 {
    match random.below(8) {
        0 | 1 => single(random) | single(random) << 32,
        2 => 0xffff_ffff_0000_0000 | single(random),
        3 => double(random),
        4 => [0, 1, 2, u64::MAX, 1 << 63, 1 << 31, (1 << 31) - 1, 0xffff_ffff][random.below(8) as usize],
        5 => random.below(300),
        6 => f64::from(random.next() as i32).to_bits(),
        _ => random.next(),
    }
}

fn fraction(random: &mut Random, bits: u32) -> u64 {
    match random.below(4) {
        0 => 0,
        1 => (1 << bits) - 1,
        2 => 1 << random.below(bits.into()),
        _ => random.below(1 << bits),
    }
}

fn single(random: &mut Random) -> u64 {
    let exponents = [0, 1, 2, 22, 23, 24, 103, 104, 126, 127, 128, 150, 158, 190, 253, 254, 255];
    let exponent = exponents[random.below(17) as usize];
    random.below(2) << 31 | exponent << 23 | fraction(random, 23)
}

fn double(random: &mut Random) -> u64 {
    let exponents =
        [0, 1, 2, 51, 52, 53, 872, 873, 896, 897, 1022, 1023, 1024, 1054, 1055, 1086, 1150, 1151, 2045, 2046, 2047];
    let exponent = exponents[random.below(21) as usize];
    random.below(2) << 63 | exponent << 52 | fraction(random, 52)
}

/// A general register's value; pointers are `middle` and up to 512 bytes around it.
pub(crate) fn general(random: &mut Random, middle: u64) -> u64 {
    match random.below(5) {
        0 | 1 => middle - 512 + (random.below(1024) & !15),
        2 => middle - 512 + random.below(1024),
        3 => random.below(64),
        _ => number(random),
    }
}
