//! Reading directories.

use crate::caller::Caller;
use crate::errno::SysResult;
use crate::guest_memory;

/// Offsets in a record: inode, offset of the next, length of this one.
const LENGTH: usize = 16;

/// `getdents64(fd, buf, size)`: records are the same everywhere but for the order of their bytes.
pub(crate) fn getdents64(ctx: &mut Caller<'_>, args: [u64; 6]) -> SysResult {
    // SAFETY: a guest address.
    let written = unsafe { crate::host::syscall(libc::SYS_getdents64, args)? };
    if ctx.process.abi.big_endian {
        let mut records = vec![0; written as usize];
        guest_memory::read(args[1], &mut records)?;
        reverse_numbers(&mut records);
        guest_memory::write(args[1], &records)?;
    }
    Ok(written)
}

/// The host's records with their numbers in the opposite order.
fn reverse_numbers(records: &mut [u8]) {
    let mut at = 0;
    while let Some(head) = records.get_mut(at..at + LENGTH + 2) {
        let length = usize::from(u16::from_le_bytes([head[LENGTH], head[LENGTH + 1]]));
        head[..8].reverse();
        head[8..LENGTH].reverse();
        head[LENGTH..].reverse();
        if length == 0 {
            break;
        }
        at += length;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_record_is_turned() {
        let record = |inode: u64, name: &[u8; 5]| {
            [&inode.to_le_bytes()[..], &7u64.to_le_bytes(), &24u16.to_le_bytes(), &[8], name].concat()
        };
        let mut records = [record(3, b"one\0\0"), record(4, b"two\0\0")].concat();
        reverse_numbers(&mut records);
        assert_eq!((records[7], records[15], records[17], &records[19..22]), (3, 7, 24, &b"one"[..]));
        assert_eq!((records[31], records[41], &records[43..46]), (4, 24, &b"two"[..]));
    }
}
