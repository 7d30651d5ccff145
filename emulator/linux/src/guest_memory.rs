//! Access to guest memory from Rust: a bad address gives `EFAULT`, never a fault of ours. Guest addresses are host addresses;
//! those of 32-bit guests lie in the lowest 4 GiB.

use std::ffi::CStr;

use smallvec::SmallVec;

use crate::abi::{integer, put_integer};
use crate::errno::Errno;

/// Reads `buf.len()` bytes at `addr`.
pub fn read(addr: u64, buf: &mut [u8]) -> Result<(), Errno> {
    jit::guarded::read(addr, buf).map_err(|_| Errno::EFAULT)
}

/// Writes `bytes` at `addr`.
pub fn write(addr: u64, bytes: &[u8]) -> Result<(), Errno> {
    let written = jit::guarded::write(addr, bytes).map_err(|_| Errno::EFAULT);
    crate::process::stored_at(addr, bytes.len() as u64);
    written
}

/// How a guest keeps integers in memory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Words {
    /// Bytes of a word: 4 or 8.
    pub size: u64,
    /// Most significant byte first.
    pub big_endian: bool,
}

impl Words {
    /// Reads an integer of `size` bytes, zero-extended.
    pub fn read_sized(self, addr: u64, size: u64) -> Result<u64, Errno> {
        let mut bytes = [0; 8];
        let bytes = &mut bytes[..size.min(8) as usize];
        read(addr, bytes)?;
        Ok(integer(bytes, self.big_endian))
    }

    /// Reads a word.
    pub fn read_word(self, addr: u64) -> Result<u64, Errno> {
        self.read_sized(addr, self.size)
    }

    /// Reads `N` consecutive integers of `size` bytes.
    pub fn read_array<const N: usize>(self, addr: u64, size: u64) -> Result<[u64; N], Errno> {
        let mut values = [0; N];
        for (i, value) in values.iter_mut().enumerate() {
            *value = self.read_sized(addr.wrapping_add(size * i as u64), size)?;
        }
        Ok(values)
    }

    /// Writes a 32-bit integer.
    pub fn write_u32(self, addr: u64, value: u32) -> Result<(), Errno> {
        write(addr, &if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() })
    }

    /// Words as bytes.
    #[must_use]
    pub fn bytes(self, words: &[u64]) -> Vec<u8> {
        let mut bytes = vec![0; words.len() * self.size as usize];
        for (bytes, word) in bytes.chunks_exact_mut(self.size as usize).zip(words) {
            put_integer(bytes, *word, self.big_endian);
        }
        bytes
    }

    /// The first 64 bits of a set kept as an array of words.
    #[must_use]
    pub fn bits(self, bytes: &[u8; 8]) -> u64 {
        let words = bytes.chunks_exact(self.size as usize).enumerate();
        words.fold(0, |set, (i, word)| set | integer(word, self.big_endian) << (8 * self.size * i as u64))
    }

    /// 64 bits of a set as an array of words.
    #[must_use]
    pub fn bit_bytes(self, set: u64) -> [u8; 8] {
        let mut bytes = [0; 8];
        for (i, word) in bytes.chunks_exact_mut(self.size as usize).enumerate() {
            put_integer(word, set >> (8 * self.size * i as u64), self.big_endian);
        }
        bytes
    }

    /// Reads a NULL-terminated array of pointers to strings; NULL itself is an empty array, as Linux has it.
    pub fn read_cstr_array(self, addr: u64) -> Result<Vec<Vec<u8>>, Errno> {
        let mut strings = Vec::new();
        if addr == 0 {
            return Ok(strings);
        }
        for i in 0.. {
            let pointer = self.read_word(addr.wrapping_add(self.size * i))?;
            if pointer == 0 {
                break;
            }
            strings.push(read_cstr(pointer)?.into_vec());
        }
        Ok(strings)
    }
}

/// Longest string accepted: the kernel's limit for one argument.
const STRING_LIMIT: usize = 128 * 1024;

/// Bytes read at once, the first time less: most strings are short.
const CHUNK: usize = 256;
const FIRST: usize = 64;

/// A string of the guest's; a path seldom takes an allocation.
pub type GuestString = SmallVec<[u8; CHUNK]>;

/// Reads a NUL-terminated string, without the NUL. Reads never cross into the page after the NUL.
pub fn read_cstr(addr: u64) -> Result<GuestString, Errno> {
    let mut string = GuestString::new();
    let mut at = addr;
    while string.len() < STRING_LIMIT {
        let old = string.len();
        let chunk = if old == 0 { FIRST } else { CHUNK };
        let n = chunk - at as usize % chunk;
        string.resize(old + n, 0);
        read(at, &mut string[old..])?;
        if let Ok(last) = CStr::from_bytes_until_nul(&string[old..]) {
            let end = old + last.count_bytes();
            string.truncate(end);
            return Ok(string);
        }
        at = at.wrapping_add(n as u64);
    }
    Err(Errno::ENAMETOOLONG)
}
