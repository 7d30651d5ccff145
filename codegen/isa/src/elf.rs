//! The executable segments of an ELF file.

/// Address and bytes of each executable segment; `None` if this is no ELF file or a damaged one.
pub(crate) fn executable_segments(file: &[u8]) -> Option<Vec<(u64, &[u8])>> {
    let rest = file.strip_prefix(b"\x7fELF")?;
    let (wide, big) = (*rest.first()? == 2, *rest.get(1)? == 2);
    let number = |at: usize, bytes: usize| -> Option<u64> {
        let field = file.get(at..at.checked_add(bytes)?)?;
        let step = |n: u64, b: &u8| n << 8 | u64::from(*b);
        Some(if big { field.iter().fold(0, step) } else { field.iter().rev().fold(0, step) })
    };
    let word = if wide { 8 } else { 4 };
    let (table, entry_size) = (number(if wide { 32 } else { 28 }, word)?, number(if wide { 54 } else { 42 }, 2)?);
    let count = number(if wide { 56 } else { 44 }, 2)?;
    let mut segments = Vec::new();
    for index in 0..count {
        let at = usize::try_from(table.checked_add(index * entry_size)?).ok()?;
        // type, flags, offset, address, size in the file: the two classes order them differently
        let (kind, flags) = (number(at, 4)?, number(at + if wide { 4 } else { 24 }, 4)?);
        let offset = usize::try_from(number(at + if wide { 8 } else { 4 }, word)?).ok()?;
        let address = number(at + if wide { 16 } else { 8 }, word)?;
        let size = usize::try_from(number(at + if wide { 32 } else { 16 }, word)?).ok()?;
        if kind == 1 && flags & 1 != 0 {
            segments.push((address, file.get(offset..offset.checked_add(size)?)?));
        }
    }
    Some(segments)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one executable segment of 4 bytes at 0x1000.
    fn small() -> Vec<u8> {
        let mut file = vec![0; 124];
        file[..6].copy_from_slice(b"\x7fELF\x02\x01");
        file[32] = 64; // program headers
        file[54] = 56;
        file[56] = 1;
        file[64] = 1; // PT_LOAD
        file[68] = 5; // readable, executable
        file[72] = 120;
        file[81] = 0x10;
        file[96] = 4;
        file[120..].copy_from_slice(&[1, 2, 3, 4]);
        file
    }

    #[test]
    fn segments_are_found() {
        assert_eq!(executable_segments(&small()), Some(vec![(0x1000, &[1, 2, 3, 4][..])]));
    }

    #[test]
    fn damaged_files_are_refused() {
        let file = small();
        for length in 0..file.len() {
            assert!(executable_segments(&file[..length]).is_none(), "{length}");
        }
        for at in 4..64 {
            let mut file = file.clone();
            file[at] = 0xff;
            let _ = executable_segments(&file); // must not panic
        }
    }
}
