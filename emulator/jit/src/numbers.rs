//! Numbers in bytes: small ones in few.

/// Appends seven bits a byte, least significant first, the top bit set on all but the last.
pub(crate) fn write_number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Takes a number from the start of `stream`; 0 at its end.
pub(crate) fn read_number(stream: &mut &[u8]) -> u64 {
    let (mut n, mut shift) = (0u64, 0);
    while let [byte, rest @ ..] = *stream {
        *stream = rest;
        n |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or(0);
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    n
}

/// A number of either sign as one that is small if it is near 0.
pub(crate) fn fold(n: u64) -> u64 {
    n << 1 ^ ((n as i64) >> 63) as u64
}

/// Undoes [`fold`].
pub(crate) fn unfold(n: u64) -> u64 {
    n >> 1 ^ (n & 1).wrapping_neg()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let numbers = [0, 1, 0x7f, 0x80, 0x3fff, 0x4000, u64::from(u32::MAX), 1 << 63, u64::MAX];
        let mut bytes = Vec::new();
        numbers.iter().for_each(|&n| write_number(&mut bytes, n));
        let mut stream = bytes.as_slice();
        for n in numbers {
            assert_eq!(read_number(&mut stream), n);
            assert_eq!(unfold(fold(n)), n);
        }
        assert!(stream.is_empty());
        assert_eq!(read_number(&mut stream), 0);
        assert_eq!((fold(3), fold(-3i64 as u64)), (6, 5));
    }
}
