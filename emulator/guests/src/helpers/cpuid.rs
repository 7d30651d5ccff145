//! What CPUID says: a processor with the instructions that are described, and no more.

use ir::GuestState;

/// EAX, EBX, ECX, EDX of a leaf, from the low word up. Arguments: leaf, subleaf.
pub fn x86_cpuid(_: &mut GuestState, args: &[u128]) -> u128 {
    let [eax, ebx, ecx, edx] = leaf(args[0] as u32, args[1] as u32);
    u128::from(eax) | u128::from(ebx) << 32 | u128::from(ecx) << 64 | u128::from(edx) << 96
}

/// SDM 2, CPUID, table Information Returned by CPUID Instruction.
fn leaf(number: u32, sub: u32) -> [u32; 4] {
    let text = |at: usize| u32::from_le_bytes([0, 1, 2, 3].map(|i| BRAND[at + i]));
    match (number, sub) {
        (0, _) => [7, u32::from_le_bytes(*b"Genu"), u32::from_le_bytes(*b"ntel"), u32::from_le_bytes(*b"ineI")],
        // Family 6; CLFLUSH line of 64 bytes; CMPXCHG16B, POPCNT; the features of the baseline.
        (1, _) => [0x0000_06f1, 8 << 8, 1 << 13 | 1 << 23, 0x078b_fbff],
        (2, _) => [0xff01, 0, 0, 0], // caches: see leaf 4
        // Caches: 32 KiB of data, 32 KiB of code, 1 MiB, 16 MiB; type and level, ways and line, sets.
        (4, 0) => [0x121, 7 << 22 | 63, 63, 0],
        (4, 1) => [0x122, 7 << 22 | 63, 63, 0],
        (4, 2) => [0x143, 15 << 22 | 63, 1023, 0],
        (4, 3) => [0x163, 15 << 22 | 63, 16383, 0],
        (7, 0) => [0, 1, 0, 0], // FSGSBASE
        (0x8000_0000, _) => [0x8000_0008, 0, 0, 0],
        // LAHF, LZCNT; SYSCALL, NX, RDTSCP, long mode.
        (0x8000_0001, _) => [0, 0, 1 | 1 << 5, 1 << 11 | 1 << 20 | 1 << 27 | 1 << 29],
        (0x8000_0002..=0x8000_0004, _) => {
            let at = (number - 0x8000_0002) as usize * 16;
            [text(at), text(at + 4), text(at + 8), text(at + 12)]
        }
        (0x8000_0008, _) => [0x3030, 0, 0, 0], // 48 address bits
        _ => [0; 4],
    }
}

/// Name of the processor, 48 bytes.
const BRAND: &[u8; 48] = b"x86-64 baseline, emulated by isamorph\0\0\0\0\0\0\0\0\0\0\0";
