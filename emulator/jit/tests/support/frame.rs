//! Programs around instructions: all registers set from a table before, and stored after. Written as machine code, so that no
//! assembler is needed.
//!
//! The memory of a case: [`BLOCK`] bytes of register values before, as many after (from [`OUT`]), then what its pointers
//! point into. One register, the base, holds an address in there throughout.

use ir::{Guest, GuestState};

use crate::support::Random;

/// Bytes of a case's memory.
pub(crate) const CASE: usize = 4096;
/// Bytes of register values.
pub(crate) const BLOCK: usize = 1024;
/// Offset of the register values after the case.
pub(crate) const OUT: usize = BLOCK;

/// A guest's register tables and the code for them. `block` is the value of the base register.
pub(crate) struct Frame {
    /// Name.
    pub(crate) guest: &'static str,
    /// Emulator to compare with.
    pub(crate) qemu: &'static str,
    /// Its arguments: the processor that has what ours has.
    pub(crate) arguments: &'static [&'static str],
    /// `e_machine`.
    pub(crate) machine: u16,
    /// Slot of the base register.
    pub(crate) base: &'static str,
    /// What the base register holds, relative to the case's memory.
    pub(crate) bias: u64,
    /// Fills up a word.
    pub(crate) short_nop: &'static [u8],
    /// Code before the instructions.
    pub(crate) enter: fn(u64) -> Vec<u8>,
    /// Code after them.
    pub(crate) leave: fn(u64) -> Vec<u8>,
    /// Code that writes the memory to standard output and ends the program.
    pub(crate) finish: fn(u64, usize) -> Vec<u8>,
    /// Memory of a case to start with.
    pub(crate) table: fn(&mut Random, u64) -> Vec<u8>,
    /// Sets the state from register values.
    pub(crate) set: fn(&Guest, &mut GuestState, &[u8], u64),
    /// Register values of the state.
    pub(crate) get: fn(&Guest, &GuestState) -> [u8; BLOCK],
    /// Names of the words of register values.
    pub(crate) names: fn() -> Vec<String>,
    /// What the manual leaves open: whether the word may hold anything after an instruction of the name.
    pub(crate) open: fn(&str, usize) -> bool,
}

/// An executable of two segments.
pub(crate) fn elf(machine: u16, code_at: u64, code: &[u8], data_at: u64, data: &[u8]) -> Vec<u8> {
    const PAGE: usize = 4096;
    let data_offset = (PAGE + code.len()).next_multiple_of(PAGE);
    let mut file = vec![0x7f, b'E', b'L', b'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    file.extend([2u16, machine].iter().flat_map(|v| v.to_le_bytes()));
    file.extend(1u32.to_le_bytes());
    file.extend([code_at, 64, 0].iter().flat_map(|v: &u64| v.to_le_bytes()));
    // Double-precision calling convention, for RISC-V.
    file.extend((if machine == 243 { 4u32 } else { 0 }).to_le_bytes());
    file.extend([64u16, 56, 2, 64, 0, 0].iter().flat_map(|v| v.to_le_bytes()));
    for (flags, offset, at, len) in [(5u32, PAGE, code_at, code.len()), (6, data_offset, data_at, data.len())] {
        file.extend([1u32, flags].iter().flat_map(|v| v.to_le_bytes()));
        file.extend([offset as u64, at, at, len as u64, len as u64, PAGE as u64].iter().flat_map(|v| v.to_le_bytes()));
    }
    file.resize(PAGE, 0);
    file.extend(code);
    file.resize(data_offset, 0);
    file.extend(data);
    file
}

fn bytes(words: Vec<u32>) -> Vec<u8> {
    words.into_iter().flat_map(u32::to_le_bytes).collect()
}

/// A value of floating-point interest, pointers into the case's memory aside.
fn number(random: &mut Random) -> u64 {
    let sign = random.next() & 1 << 63;
    let single = |random: &mut Random| -> u64 {
        let exponent =
            [0, 1, 2, 22, 23, 24, 103, 104, 126, 127, 128, 150, 158, 190, 253, 254, 255][random.below(17) as usize];
        let fraction = match random.below(4) {
            0 => 0,
            1 => (1 << 23) - 1,
            2 => 1 << random.below(23),
            _ => random.below(1 << 23),
        };
        random.below(2) << 31 | exponent << 23 | fraction
    };
    match random.below(8) {
        0 | 1 => single(random) | single(random) << 32,
        2 => 0xffff_ffff_0000_0000 | single(random),
        3 => {
            let exponent = [
                0, 1, 2, 51, 52, 53, 872, 873, 896, 897, 1022, 1023, 1024, 1054, 1055, 1086, 1150, 1151, 2045, 2046,
                2047,
            ];
            let fraction = match random.below(4) {
                0 => 0,
                1 => (1 << 52) - 1,
                2 => 1 << random.below(52),
                _ => random.below(1 << 52),
            };
            sign | exponent[random.below(21) as usize] << 52 | fraction
        }
        4 => [0, 1, 2, u64::MAX, 1 << 63, 1 << 31, (1 << 31) - 1, 0xffff_ffff][random.below(8) as usize],
        5 => random.below(300),
        6 => f64::from(random.next() as i32).to_bits(),
        _ => random.next(),
    }
}

/// Memory of a case, registers not filled in; and a pointer into its middle.
fn fresh(random: &mut Random) -> Vec<u8> {
    let mut area = vec![0; CASE];
    for word in area[OUT + BLOCK..].chunks_mut(8) {
        word.copy_from_slice(&number(random).to_le_bytes());
    }
    area
}

/// A general register's value.
fn general(random: &mut Random, case: u64) -> u64 {
    match random.below(5) {
        0 | 1 => case + (OUT + BLOCK) as u64 + 512 + (random.below(1024) & !15),
        2 => case + (OUT + BLOCK) as u64 + 512 + random.below(1024),
        3 => random.below(64),
        _ => number(random),
    }
}

fn put(area: &mut [u8], word: usize, value: u64) {
    area[8 * word..8 * word + 8].copy_from_slice(&value.to_le_bytes());
}

fn take(area: &[u8], word: usize) -> u64 {
    u64::from_le_bytes(area[8 * word..8 * word + 8].try_into().unwrap())
}

/// Sticky flags from one order to another.
fn reorder(flags: u32, pairs: &[(u32, u32)]) -> u32 {
    pairs.iter().fold(0, |all, &(from, to)| all | (flags >> from & 1) << to)
}

// ------------------------------------------------------------------ AArch64
/// Words: 64 halves of V registers, X0 to X30, SP, NZCV, FPCR, FPSR. The base is X28.
pub(crate) static AARCH64: Frame = Frame {
    guest: "aarch64",
    qemu: "qemu-aarch64",
    arguments: &["-cpu", "neoverse-n1"],
    machine: 183,
    base: "gpr[28]",
    bias: 768,
    short_nop: &[],
    enter: a64::enter,
    leave: a64::leave,
    finish: a64::finish,
    table: a64::table,
    set: a64::set,
    get: a64::get,
    names: a64::names,
    open: |_, _| false,
};

mod a64 {
    use super::*;

    const X: usize = 64;
    const SP: usize = X + 31;
    const NZCV: usize = SP + 1;
    const FPCR: usize = NZCV + 1;
    const FPSR: usize = FPCR + 1;
    /// Bits of the spec's sticky flags and those of FPSR: IOC, IDC, DZC, OFC, UFC, IXC.
    const STICKY: [(u32, u32); 6] = [(0, 0), (1, 7), (2, 1), (3, 2), (4, 3), (5, 4)];
    /// MSR of NZCV, FPCR, FPSR from X0; MRS has bit 21 set.
    const SYSTEM: [(usize, u32); 3] = [(NZCV, 0xd51b_4200), (FPCR, 0xd51b_4400), (FPSR, 0xd51b_4420)];

    fn immediate(register: u32, value: u64) -> Vec<u32> {
        (0..4)
            .map(|k| {
                0xf280_0000 & !(u32::from(k == 0) << 29)
                    | k << 21
                    | ((value >> (16 * k)) as u32 & 0xffff) << 5
                    | register
            })
            .collect()
    }

    pub(crate) fn enter(block: u64) -> Vec<u8> {
        let mut code = immediate(28, block);
        let at = |word: usize| 8 * word as i32 - 768;
        for v in (0..32).step_by(2) {
            let offset = (at(2 * v) / 16) as u32 & 0x7f;
            code.push(0xad40_0000 | offset << 15 | (v as u32 + 1) << 10 | 28 << 5 | v as u32); // ldp q, q
        }
        // NZCV, FPCR and FPSR are at the base.
        for (k, (_, msr)) in SYSTEM.into_iter().enumerate() {
            code.push(0xf940_0000 | (k as u32) << 10 | 28 << 5); // ldr x0
            code.push(msr);
        }
        let load = |register: u32, word: usize| 0xf840_0000 | (at(word) as u32 & 0x1ff) << 12 | 28 << 5 | register; // ldur
        code.push(load(0, SP));
        code.push(0x9100_001f); // mov sp, x0
        code.extend((0..31).filter(|&r| r != 28).map(|r| load(r, X + r as usize)));
        code.push(0xd503_3f5f); // clrex
        bytes(code)
    }

    pub(crate) fn leave(_block: u64) -> Vec<u8> {
        let mut code = Vec::new();
        let at = |word: usize| (OUT + 8 * word) as u32 - 768;
        let store = |register: u32, word: usize| 0xf900_0000 | (at(word) / 8) << 10 | 28 << 5 | register; // str x
        code.extend((0..31).map(|r| store(r, X + r as usize)));
        for v in 0..32 {
            code.push(0x3d80_0000 | (at(2 * v as usize) / 16) << 10 | 28 << 5 | v); // str q
        }
        code.push(0x9100_03e0); // mov x0, sp
        code.push(store(0, SP));
        for (word, msr) in SYSTEM {
            code.push(msr | 1 << 21);
            code.push(store(0, word));
        }
        bytes(code)
    }

    pub(crate) fn finish(data: u64, len: usize) -> Vec<u8> {
        let call = |number, arguments: [u64; 3]| {
            let mut code: Vec<u32> = (0..3).flat_map(|r| immediate(r, arguments[r as usize])).collect();
            code.extend(immediate(8, number));
            code.push(0xd400_0001); // svc #0
            code
        };
        let mut code = vec![0xd51b_441f]; // msr fpcr, xzr
        code.extend(call(64, [1, data, len as u64]));
        code.extend(call(93, [0; 3]));
        bytes(code)
    }

    pub(crate) fn table(random: &mut Random, block: u64) -> Vec<u8> {
        let case = block - 768;
        let mut area = fresh(random);
        (0..X).for_each(|word| put(&mut area, word, number(random)));
        (X..SP).for_each(|word| put(&mut area, word, general(random, case)));
        put(&mut area, X + 28, block);
        put(&mut area, SP, case + 3072);
        put(&mut area, NZCV, random.below(16) << 28);
        // Rounding, flushing, default NaN.
        let control = if random.below(2) == 0 { random.below(4) } else { random.below(16) };
        put(&mut area, FPCR, control << 22);
        put(&mut area, FPSR, if random.below(4) == 0 { random.next() & 0x0800_009f } else { 0 });
        area
    }

    pub(crate) fn set(guest: &Guest, state: &mut GuestState, table: &[u8], _block: u64) {
        let slot = |name: String| guest.slot(&name).unwrap();
        for v in 0..32 {
            let value = u128::from(take(table, 2 * v)) | u128::from(take(table, 2 * v + 1)) << 64;
            state.set(guest, slot(format!("vreg[{v}]")), value);
        }
        for r in 0..31 {
            state.set(guest, slot(format!("gpr[{r}]")), take(table, X + r).into());
        }
        state.set(guest, slot("SP".into()), take(table, SP).into());
        for (name, bit) in [("N", 31), ("Z", 30), ("C", 29), ("V", 28)] {
            state.set(guest, slot(name.into()), (take(table, NZCV) >> bit & 1).into());
        }
        state.mode = (take(table, FPCR) >> 22) as u32 & 31;
        let status = take(table, FPSR) as u32;
        state.set(guest, slot("QC".into()), (status >> 27 & 1).into());
        state.fflags = reorder(status, &STICKY.map(|(ours, theirs)| (theirs, ours)));
    }

    pub(crate) fn get(guest: &Guest, state: &GuestState) -> [u8; BLOCK] {
        let mut table = [0; BLOCK];
        let slot = |name: String| state.get(guest, guest.slot(&name).unwrap());
        for v in 0..32 {
            let value = slot(format!("vreg[{v}]"));
            put(&mut table, 2 * v, value as u64);
            put(&mut table, 2 * v + 1, (value >> 64) as u64);
        }
        (0..31).for_each(|r| put(&mut table, X + r, slot(format!("gpr[{r}]")) as u64));
        put(&mut table, SP, slot("SP".into()) as u64);
        let flags = [("N", 31), ("Z", 30), ("C", 29), ("V", 28)];
        put(&mut table, NZCV, flags.iter().fold(0, |all, (name, bit)| all | (slot((*name).into()) as u64) << bit));
        put(&mut table, FPCR, u64::from(state.mode & 31) << 22);
        // The host's flag for denormal operands is not IDC, which needs flushing.
        put(&mut table, FPSR, u64::from(reorder(state.fflags, &STICKY)) | (slot("QC".into()) as u64) << 27);
        table
    }

    pub(crate) fn names() -> Vec<String> {
        let vectors = (0..64).map(|h| format!("v{}{}", h / 2, if h % 2 == 0 { ".low" } else { ".high" }));
        let general = (0..31).map(|r| format!("x{r}"));
        vectors.chain(general).chain(["sp", "nzcv", "fpcr", "fpsr"].map(String::from)).collect()
    }
}

// ------------------------------------------------------------------ RISC-V
/// Words: X0 to X31, F0 to F31, FCSR. The base is X31.
pub(crate) static RISCV64: Frame = Frame {
    guest: "riscv64",
    qemu: "qemu-riscv64",
    arguments: &[],
    machine: 243,
    base: "gpr[31]",
    bias: 1024,
    short_nop: &[1, 0],
    enter: riscv::enter,
    leave: riscv::leave,
    finish: riscv::finish,
    table: riscv::table,
    set: riscv::set,
    get: riscv::get,
    names: riscv::names,
    open: |_, _| false,
};

mod riscv {
    use super::*;

    const F: usize = 32;
    const FCSR: usize = 64;
    const BASE: u32 = 31;
    /// Bits of the spec's sticky flags and those of FFLAGS: NV, DZ, OF, UF, NX.
    const STICKY: [(u32, u32); 5] = [(0, 4), (2, 3), (3, 2), (4, 1), (5, 0)];

    /// `auipc; ld` of a literal, jumped over.
    fn immediate(register: u32, value: u64) -> Vec<u32> {
        let load = 12 << 20 | register << 15 | 3 << 12 | register << 7 | 0x03;
        vec![0x17 | register << 7, load, 0x00c0_006f, value as u32, (value >> 32) as u32]
    }

    fn load(opcode: u32, register: u32, offset: i32) -> u32 {
        (offset as u32 & 0xfff) << 20 | BASE << 15 | 3 << 12 | register << 7 | opcode
    }

    fn store(opcode: u32, register: u32, offset: i32) -> u32 {
        let offset = offset as u32 & 0xfff;
        (offset >> 5) << 25 | register << 20 | BASE << 15 | 3 << 12 | (offset & 31) << 7 | opcode
    }

    pub(crate) fn enter(block: u64) -> Vec<u8> {
        let at = |word: usize| 8 * word as i32 - 1024;
        let mut code = immediate(BASE, block);
        code.push(load(0x03, 1, at(FCSR)));
        code.push(0x0030_9073); // csrw fcsr, x1
        code.extend((0..32).map(|f| load(0x07, f, at(F + f as usize))));
        code.extend((1..31).map(|r| load(0x03, r, at(r as usize))));
        bytes(code)
    }

    pub(crate) fn leave(_block: u64) -> Vec<u8> {
        let at = |word: usize| 8 * word as i32;
        let mut code: Vec<u32> = (0..32).map(|r| store(0x23, r, at(r as usize))).collect();
        code.extend((0..32).map(|f| store(0x27, f, at(F + f as usize))));
        code.push(0x0030_20f3); // csrr x1, fcsr
        code.push(store(0x23, 1, at(FCSR)));
        bytes(code)
    }

    pub(crate) fn finish(data: u64, len: usize) -> Vec<u8> {
        let call = |number, arguments: [u64; 3]| {
            let mut code: Vec<u32> = (0..3).flat_map(|r| immediate(10 + r, arguments[r as usize])).collect();
            code.extend(immediate(17, number));
            code.push(0x73); // ecall
            code
        };
        let mut code = call(64, [1, data, len as u64]);
        code.extend(call(93, [0; 3]));
        bytes(code)
    }

    pub(crate) fn table(random: &mut Random, block: u64) -> Vec<u8> {
        let case = block - 1024;
        let mut area = fresh(random);
        (1..F).for_each(|word| put(&mut area, word, general(random, case)));
        (F..FCSR).for_each(|word| put(&mut area, word, number(random)));
        put(&mut area, BASE as usize, block);
        let flags = if random.below(4) == 0 { random.below(32) } else { 0 };
        put(&mut area, FCSR, random.below(5) << 5 | flags);
        area
    }

    pub(crate) fn set(guest: &Guest, state: &mut GuestState, table: &[u8], _block: u64) {
        let slot = |name: String| guest.slot(&name).unwrap();
        for r in 0..32 {
            state.set(guest, slot(format!("gpr[{r}]")), take(table, r).into());
            state.set(guest, slot(format!("fpr[{r}]")), take(table, F + r).into());
        }
        let control = take(table, FCSR) as u32;
        state.mode = control >> 5;
        state.fflags = reorder(control, &STICKY.map(|(ours, theirs)| (theirs, ours)));
    }

    pub(crate) fn get(guest: &Guest, state: &GuestState) -> [u8; BLOCK] {
        let mut table = [0; BLOCK];
        let slot = |name: String| state.get(guest, guest.slot(&name).unwrap()) as u64;
        for r in 0..32 {
            put(&mut table, r, slot(format!("gpr[{r}]")));
            put(&mut table, F + r, slot(format!("fpr[{r}]")));
        }
        put(&mut table, FCSR, u64::from(state.mode << 5 | reorder(state.fflags, &STICKY)));
        table
    }

    pub(crate) fn names() -> Vec<String> {
        let registers = |letter: char| (0..32).map(move |r| format!("{letter}{r}"));
        registers('x').chain(registers('f')).chain(["fcsr".to_owned()]).collect()
    }
}

// ------------------------------------------------------------------ LoongArch
/// Words: R0 to R31, halves of VR0 to VR31, whose lower ones are F0 to F31, FCC0 to FCC7 as bits, FCSR0 without the causes. The
/// base is R31. The QEMU must know vectors: one of a later release, as `tests/setup.sh` gets it.
pub(crate) static LOONGARCH64: Frame = Frame {
    guest: "loongarch64",
    qemu: concat!(env!("CARGO_MANIFEST_DIR"), "/../../target/tools/qemu/usr/bin/qemu-loongarch64"),
    arguments: &[],
    machine: 258,
    base: "gpr[31]",
    bias: 1024,
    short_nop: &[],
    enter: loongarch::enter,
    leave: loongarch::leave,
    finish: loongarch::finish,
    table: loongarch::table,
    set: loongarch::set,
    get: loongarch::get,
    names: loongarch::names,
    open: loongarch::open,
};

mod loongarch {
    use super::*;

    const V: usize = 32;
    const FCC: usize = 96;
    const FCSR: usize = 97;
    const BASE: u32 = 31;
    const LD_D: u32 = 0x28c0_0000;
    const ST_D: u32 = 0x29c0_0000;
    const VLD: u32 = 0x2c00_0000;
    const VST: u32 = 0x2c40_0000;
    /// Bits of the spec's sticky flags and those of FCSR: V, Z, O, U, I.
    const STICKY: [(u32, u32); 5] = [(0, 20), (2, 19), (3, 18), (4, 17), (5, 16)];

    /// `pcaddi; ld.d` of a literal, jumped over.
    fn immediate(register: u32, value: u64) -> Vec<u32> {
        let address = 0x1800_0000 | 3 << 5 | register;
        vec![address, LD_D | register << 5 | register, 0x5000_0c00, value as u32, (value >> 32) as u32]
    }

    fn access(opcode: u32, register: u32, offset: i32) -> u32 {
        opcode | (offset as u32 & 0xfff) << 10 | BASE << 5 | register
    }

    pub(crate) fn enter(block: u64) -> Vec<u8> {
        let at = |word: usize| 8 * word as i32 - 1024;
        let mut code = immediate(BASE, block);
        code.push(access(LD_D, 1, at(FCSR)));
        code.push(0x0114_c020); // movgr2fcsr fcsr0, r1
        code.push(access(LD_D, 1, at(FCC)));
        for flag in 0..8 {
            code.push(0x0114_d820 | flag); // movgr2cf fcc, r1
            code.push(0x0045_0421); // srli.d r1, r1, 1
        }
        code.extend((0..32).map(|f| access(VLD, f, at(V + 2 * f as usize))));
        code.extend((1..31).map(|r| access(LD_D, r, at(r as usize))));
        bytes(code)
    }

    pub(crate) fn leave(_block: u64) -> Vec<u8> {
        let at = |word: usize| 8 * word as i32;
        let mut code: Vec<u32> = (0..32).map(|r| access(ST_D, r, at(r as usize))).collect();
        code.extend((0..32).map(|f| access(VST, f, at(V + 2 * f as usize))));
        code.push(0x0015_0001); // move r1, zero
        for flag in (0..8).rev() {
            code.push(0x0041_0421); // slli.d r1, r1, 1
            code.push(0x0114_dc02 | flag << 5); // movcf2gr r2, fcc
            code.push(0x0015_0821); // or r1, r1, r2
        }
        code.push(access(ST_D, 1, at(FCC)));
        code.push(0x0114_c801); // movfcsr2gr r1, fcsr0
        code.push(0x009c_6001); // bstrins.d r1, zero, 28, 24
        code.push(access(ST_D, 1, at(FCSR)));
        bytes(code)
    }

    pub(crate) fn finish(data: u64, len: usize) -> Vec<u8> {
        let call = |number, arguments: [u64; 3]| {
            let mut code: Vec<u32> = (0..3).flat_map(|r| immediate(4 + r, arguments[r as usize])).collect();
            code.extend(immediate(11, number));
            code.push(0x002b_0000); // syscall 0
            code
        };
        let mut code = call(64, [1, data, len as u64]);
        code.extend(call(93, [0; 3]));
        bytes(code)
    }

    pub(crate) fn table(random: &mut Random, block: u64) -> Vec<u8> {
        let case = block - 1024;
        let mut area = fresh(random);
        (1..V).for_each(|word| put(&mut area, word, general(random, case)));
        (V..FCC).for_each(|word| put(&mut area, word, number(random)));
        put(&mut area, BASE as usize, block);
        put(&mut area, FCC, random.below(256));
        let flags = if random.below(4) == 0 { random.below(32) } else { 0 };
        put(&mut area, FCSR, random.below(4) << 8 | flags << 16);
        area
    }

    pub(crate) fn set(guest: &Guest, state: &mut GuestState, table: &[u8], _block: u64) {
        let slot = |name: String| guest.slot(&name).unwrap();
        for r in 0..32 {
            state.set(guest, slot(format!("gpr[{r}]")), take(table, r).into());
            let vector = u128::from(take(table, V + 2 * r)) | u128::from(take(table, V + 2 * r + 1)) << 64;
            state.set(guest, slot(format!("vreg[{r}]")), vector);
        }
        for flag in 0..8 {
            state.set(guest, slot(format!("fcc[{flag}]")), (take(table, FCC) >> flag & 1).into());
        }
        let control = take(table, FCSR) as u32;
        state.mode = control >> 8 & 3;
        state.fflags = reorder(control, &STICKY.map(|(ours, theirs)| (theirs, ours)));
    }

    pub(crate) fn get(guest: &Guest, state: &GuestState) -> [u8; BLOCK] {
        let mut table = [0; BLOCK];
        let slot = |name: String| state.get(guest, guest.slot(&name).unwrap());
        for r in 0..32 {
            put(&mut table, r, slot(format!("gpr[{r}]")) as u64);
            let vector = slot(format!("vreg[{r}]"));
            put(&mut table, V + 2 * r, vector as u64);
            put(&mut table, V + 2 * r + 1, (vector >> 64) as u64);
        }
        put(&mut table, FCC, (0..8).fold(0, |all, flag| all | (slot(format!("fcc[{flag}]")) as u64) << flag));
        put(&mut table, FCSR, u64::from((state.mode & 3) << 8 | reorder(state.fflags, &STICKY)));
        table
    }

    pub(crate) fn names() -> Vec<String> {
        let general = (0..32).map(|r| format!("r{r}"));
        let vectors = (0..64).map(|h| format!("vr{}{}", h / 2, if h % 2 == 0 { "" } else { ".high" }));
        general.chain(vectors).chain(["fcc", "fcsr"].map(String::from)).collect()
    }

    /// Upper halves of vector registers, after instructions on floating-point registers. Volume 2, Vector Registers.
    pub(crate) fn open(name: &str, word: usize) -> bool {
        (name.starts_with('f') || name.starts_with("mov")) && (V..FCC).contains(&word) && word % 2 == 1
    }
}
