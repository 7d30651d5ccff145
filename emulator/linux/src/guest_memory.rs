//! Access to guest memory from Rust: a bad address gives `EFAULT`, never a fault of ours. 64-bit guests see host addresses.

use crate::errno::Errno;

/// Reads `buf.len()` bytes at `addr`.
pub fn read(addr: u64, buf: &mut [u8]) -> Result<(), Errno> {
    jit::guarded::read(addr, buf).map_err(|_| Errno::EFAULT)
}

/// Writes `bytes` at `addr`.
pub fn write(addr: u64, bytes: &[u8]) -> Result<(), Errno> {
    jit::guarded::write(addr, bytes).map_err(|_| Errno::EFAULT)
}

/// Reads a little-endian 64-bit word.
pub fn read_u64(addr: u64) -> Result<u64, Errno> {
    let mut bytes = [0; 8];
    read(addr, &mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

/// Reads a little-endian 32-bit word.
pub fn read_u32(addr: u64) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    read(addr, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// Writes a little-endian 64-bit word.
pub fn write_u64(addr: u64, value: u64) -> Result<(), Errno> {
    write(addr, &value.to_le_bytes())
}

/// Writes a little-endian 32-bit word.
pub fn write_u32(addr: u64, value: u32) -> Result<(), Errno> {
    write(addr, &value.to_le_bytes())
}

/// Reads `N` consecutive 64-bit words.
pub fn read_words<const N: usize>(addr: u64) -> Result<[u64; N], Errno> {
    let mut words = [0; N];
    for (i, word) in words.iter_mut().enumerate() {
        *word = read_u64(addr.wrapping_add(8 * i as u64))?;
    }
    Ok(words)
}

/// Longest string accepted: the kernel's limit for one argument.
const STRING_LIMIT: usize = 128 * 1024;

/// Reads a NUL-terminated string, without the NUL. Reads never cross into the page after the NUL.
pub fn read_cstr(addr: u64) -> Result<Vec<u8>, Errno> {
    let mut string = Vec::new();
    let mut at = addr;
    while string.len() < STRING_LIMIT {
        let mut chunk = [0; 256];
        let n = (256 - at % 256) as usize;
        read(at, &mut chunk[..n])?;
        if let Some(end) = chunk[..n].iter().position(|&b| b == 0) {
            string.extend_from_slice(&chunk[..end]);
            return Ok(string);
        }
        string.extend_from_slice(&chunk[..n]);
        at = at.wrapping_add(n as u64);
    }
    Err(Errno::ENAMETOOLONG)
}

/// Reads a NULL-terminated array of pointers to strings; NULL itself is an empty array, as Linux has it.
pub fn read_cstr_array(addr: u64) -> Result<Vec<Vec<u8>>, Errno> {
    let mut strings = Vec::new();
    if addr == 0 {
        return Ok(strings);
    }
    for i in 0.. {
        let pointer = read_u64(addr.wrapping_add(8 * i))?;
        if pointer == 0 {
            break;
        }
        strings.push(read_cstr(pointer)?);
    }
    Ok(strings)
}
