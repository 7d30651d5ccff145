//! Bytes of one unit: an encoder that picks the shortest form, and labels within the unit.
//!
//! Integer instructions with registers chosen at run time are encoded here (`dynasm!` always spends a REX and a 32-bit
//! displacement on those); everything else may use `dynasm!` on [`Asm`], which implements `DynasmApi`.

use dynasmrt::{AssemblyOffset, DynasmApi};

use super::{Gpr, Reloc, StubId, Xmm};

pub(super) const RAX: Gpr = 0;
pub(super) const RCX: Gpr = 1;
pub(super) const RDX: Gpr = 2;
pub(super) const RBX: Gpr = 3;
pub(super) const RSP: Gpr = 4;
pub(super) const RBP: Gpr = 5;
pub(super) const RSI: Gpr = 6;

/// Condition codes, by encoding; `cc ^ 1` is the opposite.
pub(super) mod cc {
    pub(crate) const O: u8 = 0;
    pub(crate) const B: u8 = 2;
    pub(crate) const AE: u8 = 3;
    pub(crate) const E: u8 = 4;
    pub(crate) const NE: u8 = 5;
    pub(crate) const BE: u8 = 6;
    pub(crate) const A: u8 = 7;
    pub(crate) const S: u8 = 8;
    pub(crate) const NS: u8 = 9;
    pub(crate) const P: u8 = 10;
    pub(crate) const NP: u8 = 11;
    pub(crate) const L: u8 = 12;
    pub(crate) const GE: u8 = 13;
    pub(crate) const LE: u8 = 14;
    pub(crate) const G: u8 = 15;
}

/// Two-operand arithmetic, by opcode digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Alu {
    Add = 0,
    Or = 1,
    Adc = 2,
    Sbb = 3,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// Shifts and rotations, by opcode digit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(super) enum Shift {
    Rol = 0,
    Ror = 1,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// A memory operand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Mem {
    /// Base register, or [`Mem::NONE`].
    pub(super) base: Gpr,
    /// Index register (not `rsp`), or [`Mem::NONE`].
    pub(super) index: Gpr,
    /// log2 of the index's factor.
    pub(super) scale: u8,
    /// Displacement.
    pub(super) disp: i32,
    /// The sum is taken modulo 2^32.
    pub(super) narrow: bool,
}

impl Mem {
    /// No register.
    pub(super) const NONE: Gpr = 0xff;

    pub(super) const fn base(base: Gpr, disp: i32) -> Mem {
        Mem { base, index: Mem::NONE, scale: 0, disp, narrow: false }
    }

    /// A field of the thread's block.
    pub(super) const fn state(disp: i32) -> Mem {
        Mem::base(RBP, disp)
    }

    /// The same, `by` bytes further.
    pub(super) const fn offset(self, by: i32) -> Mem {
        Mem { disp: self.disp + by, ..self }
    }
}

/// The first bytes of an instruction under construction: prefixes, opcode, operand bytes, at most eight.
#[derive(Clone, Copy, Default)]
struct Head {
    bytes: u64,
    len: u32,
}

impl Head {
    /// Appends a byte if `wanted`.
    #[inline]
    fn put(&mut self, byte: u8, wanted: bool) {
        if wanted {
            self.bytes |= u64::from(byte) << (8 * self.len);
            self.len += 1;
        }
    }

    /// See [`Asm::rex`].
    #[inline]
    fn rex(&mut self, size: u32, reg: u8, index: u8, base: u8, byte_regs: bool) {
        // [`Mem::NONE`] has no bit 3 of its own.
        let bit = |r: u8| if r == Mem::NONE { 0 } else { r >> 3 & 1 };
        let rex = u8::from(size == 8) << 3 | bit(reg) << 2 | bit(index) << 1 | bit(base);
        self.put(0x40 | rex, rex != 0 || byte_regs);
    }

    /// Up to three bytes, the highest first.
    #[inline]
    fn opcode(&mut self, opcode: u32) {
        self.put((opcode >> 16) as u8, opcode > 0xffff);
        self.put((opcode >> 8) as u8, opcode > 0xff);
        self.put(opcode as u8, true);
    }
}

/// A place in the unit, possibly not reached yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Label(u32);

/// The assembler.
#[derive(Default, Debug)]
pub(super) struct Asm {
    pub(super) code: Vec<u8>,
    pub(super) relocs: Vec<Reloc>,
    labels: Vec<u32>,
    fixups: Vec<(u32, Label)>,
    pool: Vec<u128>,
    pool_fixups: Vec<(u32, u32)>,
}

impl Asm {
    pub(super) fn clear(&mut self) {
        self.code.clear();
        self.relocs.clear();
        self.labels.clear();
        self.fixups.clear();
        self.pool.clear();
        self.pool_fixups.clear();
    }

    pub(super) fn at(&self) -> u32 {
        self.code.len() as u32
    }

    #[inline]
    pub(super) fn byte(&mut self, b: u8) {
        self.code.push(b);
    }

    #[inline]
    pub(super) fn bytes(&mut self, b: &[u8]) {
        self.code.extend_from_slice(b);
    }

    #[inline]
    pub(super) fn dword(&mut self, v: i32) {
        self.bytes(&v.to_le_bytes());
    }

    // ---- labels
    pub(super) fn label(&mut self) -> Label {
        self.labels.push(u32::MAX);
        Label(self.labels.len() as u32 - 1)
    }

    pub(super) fn bind(&mut self, l: Label) {
        self.labels[l.0 as usize] = self.at();
    }

    pub(super) fn jcc(&mut self, cc: u8, l: Label) {
        self.bytes(&[0x0f, 0x80 | cc]);
        self.label_field(l);
    }

    pub(super) fn jmp(&mut self, l: Label) {
        self.byte(0xe9);
        self.label_field(l);
    }

    /// Jump back to an offset, in the short form if it reaches.
    pub(super) fn jmp_back(&mut self, to: u32) {
        let short = i64::from(to) - i64::from(self.at()) - 2;
        if short >= -128 {
            self.bytes(&[0xeb, short as u8]);
        } else {
            self.byte(0xe9);
            self.dword((i64::from(to) - i64::from(self.at()) - 4) as i32);
        }
    }

    pub(super) fn jcc_back(&mut self, cc: u8, to: u32) {
        let short = i64::from(to) - i64::from(self.at()) - 2;
        if short >= -128 {
            self.bytes(&[0x70 | cc, short as u8]);
        } else {
            self.bytes(&[0x0f, 0x80 | cc]);
            self.dword((i64::from(to) - i64::from(self.at()) - 4) as i32);
        }
    }

    /// Emits once more the code between two offsets, in which there are no jumps.
    pub(super) fn repeat(&mut self, (from, to): (u32, u32)) {
        let by = self.at() - from;
        self.code.extend_from_within(from as usize..to as usize);
        debug_assert!(!self.fixups.iter().any(|(at, _)| (from..to).contains(at)));
        for k in 0..self.pool_fixups.len() {
            let (at, index) = self.pool_fixups[k];
            if (from..to).contains(&at) {
                self.pool_fixups.push((at + by, index));
            }
        }
    }

    /// Short forward jump; returns the byte to hand to [`Asm::land`].
    pub(super) fn jcc_short(&mut self, cc: u8) -> usize {
        self.bytes(&[0x70 | cc, 0]);
        self.code.len() - 1
    }

    pub(super) fn jmp_short(&mut self) -> usize {
        self.bytes(&[0xeb, 0]);
        self.code.len() - 1
    }

    /// Target of a short forward jump.
    pub(super) fn land(&mut self, field: usize) {
        let distance = self.code.len() - field - 1;
        debug_assert!(distance < 128);
        self.code[field] = distance as u8;
    }

    fn label_field(&mut self, l: Label) {
        self.fixups.push((self.at(), l));
        self.dword(0);
    }

    pub(super) fn jmp_stub(&mut self, stub: StubId) {
        self.byte(0xe9);
        self.reloc(stub);
    }

    pub(super) fn jcc_stub(&mut self, cc: u8, stub: StubId) {
        self.bytes(&[0x0f, 0x80 | cc]);
        self.reloc(stub);
    }

    pub(super) fn call_stub(&mut self, stub: StubId) {
        self.byte(0xe8);
        self.reloc(stub);
    }

    fn reloc(&mut self, stub: StubId) {
        let at = self.at();
        self.relocs.push(Reloc { at, stub });
        self.dword(0);
    }

    /// Pads so that the next `len` bytes do not cross an 8-byte boundary.
    fn keep_together(&mut self, len: u32) {
        let at = self.at() & 7;
        if at + len > 8 {
            self.nop(8 - at);
        }
    }

    /// `n` bytes that do nothing.
    pub(super) fn nops(&mut self, mut n: u32) {
        const LONGEST: u32 = 8;
        while n > LONGEST {
            self.nop(LONGEST);
            n -= LONGEST;
        }
        self.nop(n);
    }

    /// One instruction, of at most eight bytes, that does nothing.
    fn nop(&mut self, n: u32) {
        self.bytes(match n {
            0 => &[],
            1 => &[0x90],
            2 => &[0x66, 0x90],
            3 => &[0x0f, 0x1f, 0x00],
            4 => &[0x0f, 0x1f, 0x40, 0],
            5 => &[0x0f, 0x1f, 0x44, 0, 0],
            6 => &[0x66, 0x0f, 0x1f, 0x44, 0, 0],
            7 => &[0x0f, 0x1f, 0x80, 0, 0, 0, 0],
            _ => &[0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0],
        });
    }

    /// `call` without a target, which may be replaced while running; returns the offset of the field for the target.
    pub(super) fn patchable(&mut self) -> u32 {
        self.keep_together(super::TRANSFER_LEN);
        self.call()
    }

    /// `call` without a target; returns the offset of the field for it.
    pub(super) fn call(&mut self) -> u32 {
        self.byte(super::CALL);
        let at = self.at();
        self.dword(0);
        at
    }

    /// RIP-relative operand bytes for a constant: call after the opcode, with the register field; `tail` immediate bytes follow.
    pub(super) fn pool_modrm(&mut self, reg: u8, value: u128, tail: u32) {
        self.byte(5 | (reg & 7) << 3);
        let index = match self.pool.iter().position(|&v| v == value) {
            Some(i) => i,
            None => {
                self.pool.push(value);
                self.pool.len() - 1
            }
        };
        self.pool_fixups.push((self.at(), index as u32));
        self.dword(tail as i32);
    }

    /// `66 opcode reg, constant`, and immediate bytes. Constants are aligned.
    pub(super) fn op_pool(&mut self, opcode: u32, reg: Xmm, value: u128, tail: &[u8]) {
        let mut head = Head::default();
        head.put(0x66, true);
        head.rex(4, reg, Mem::NONE, 0, false);
        head.opcode(opcode);
        self.head(head);
        self.pool_modrm(reg, value, tail.len() as u32);
        self.bytes(tail);
    }

    /// Appends the constants and resolves labels.
    pub(super) fn finish(&mut self) {
        for &(at, label) in &self.fixups {
            let target = self.labels[label.0 as usize];
            debug_assert!(target != u32::MAX, "label not bound");
            let at = at as usize;
            let distance = target.wrapping_sub(at as u32 + 4);
            self.code[at..at + 4].copy_from_slice(&distance.to_le_bytes());
        }
        if self.pool.is_empty() {
            return;
        }
        while !self.code.len().is_multiple_of(16) {
            self.code.push(0xcc);
        }
        let start = self.code.len() as u32;
        for v in &self.pool {
            self.code.extend_from_slice(&v.to_le_bytes());
        }
        for &(at, index) in &self.pool_fixups {
            let i = at as usize;
            let tail = i32::from_le_bytes(self.code[i..i + 4].try_into().expect("4 bytes"));
            let distance = (start + 16 * index) as i32 - (at as i32 + 4 + tail);
            self.code[i..i + 4].copy_from_slice(&distance.to_le_bytes());
        }
    }

    // ---- encoding
    /// Optional REX: `size` 8 sets W, `byte_regs` forces one for `sil`..`dil`.
    #[inline]
    pub(super) fn rex(&mut self, size: u32, reg: u8, index: u8, base: u8, byte_regs: bool) {
        let mut head = Head::default();
        head.rex(size, reg, index, base, byte_regs);
        self.head(head);
    }

    /// Appends all of a head: at once, because the length of an instruction is hard to predict.
    #[inline]
    fn head(&mut self, head: Head) {
        let at = self.code.len();
        self.code.extend_from_slice(&head.bytes.to_le_bytes());
        self.code.truncate(at + head.len as usize);
    }

    /// `opcode reg, rm` with both registers. `size` in bytes; `opcode` may hold `0f` in its second byte.
    #[inline]
    pub(super) fn op_rr(&mut self, size: u32, opcode: u32, reg: u8, rm: u8) {
        let mut head = Head::default();
        head.put(0x66, size == 2);
        let byte_regs = size == 1 && ((4..8).contains(&reg) || (4..8).contains(&rm));
        head.rex(size, reg, Mem::NONE, rm, byte_regs);
        head.opcode(opcode);
        head.put(0xc0 | (reg & 7) << 3 | rm & 7, true);
        self.head(head);
    }

    /// `opcode reg, [mem]` (or the store form).
    #[inline]
    pub(super) fn op_rm(&mut self, size: u32, opcode: u32, reg: u8, mem: Mem) {
        let mut head = Head::default();
        head.put(0x67, mem.narrow);
        head.put(0x66, size == 2);
        head.rex(size, reg, mem.index, mem.base, size == 1 && (4..8).contains(&reg));
        head.opcode(opcode);
        self.modrm_mem(head, reg, mem);
    }

    /// With a mandatory prefix (`66`, `f2`, `f3`) before the REX.
    pub(super) fn op_prefixed_rr(&mut self, prefix: u8, size: u32, opcode: u32, reg: u8, rm: u8) {
        let mut head = Head::default();
        head.put(prefix, true);
        head.rex(size, reg, Mem::NONE, rm, false);
        head.opcode(opcode);
        head.put(0xc0 | (reg & 7) << 3 | rm & 7, true);
        self.head(head);
    }

    pub(super) fn op_prefixed_rm(&mut self, prefix: u8, size: u32, opcode: u32, reg: u8, mem: Mem) {
        let mut head = Head::default();
        head.put(0x67, mem.narrow);
        head.put(prefix, true);
        head.rex(size, reg, mem.index, mem.base, false);
        head.opcode(opcode);
        self.modrm_mem(head, reg, mem);
    }

    /// The head of an instruction, and its memory operand.
    fn modrm_mem(&mut self, mut head: Head, reg: u8, m: Mem) {
        let reg = (reg & 7) << 3;
        if m.base == Mem::NONE {
            // [index * scale + disp32], or an absolute disp32: both through a SIB byte.
            let index = if m.index == Mem::NONE { 4 } else { m.index & 7 };
            head.put(4 | reg, true);
            head.put(m.scale << 6 | index << 3 | 5, true);
            self.head(head);
            self.dword(m.disp);
            return;
        }
        let (mode, disp_len) = match m.disp {
            0 if m.base & 7 != 5 => (0x00, 0),
            -128..128 => (0x40, 1),
            _ => (0x80, 4),
        };
        if m.index != Mem::NONE {
            head.put(mode | reg | 4, true);
            head.put(m.scale << 6 | (m.index & 7) << 3 | m.base & 7, true);
        } else {
            let sib = m.base & 7 == 4;
            head.put(mode | reg | m.base & 7, true);
            head.put(0x24, sib);
        }
        self.head(head);
        let end = self.code.len() + disp_len;
        self.dword(m.disp);
        self.code.truncate(end);
    }
}

impl Extend<u8> for Asm {
    fn extend<T: IntoIterator<Item = u8>>(&mut self, iter: T) {
        self.code.extend(iter);
    }
}

impl<'a> Extend<&'a u8> for Asm {
    fn extend<T: IntoIterator<Item = &'a u8>>(&mut self, iter: T) {
        self.code.extend(iter);
    }
}

impl DynasmApi for Asm {
    fn offset(&self) -> AssemblyOffset {
        AssemblyOffset(self.code.len())
    }

    fn push(&mut self, byte: u8) {
        self.code.push(byte);
    }

    fn align(&mut self, alignment: usize, with: u8) {
        while !self.code.len().is_multiple_of(alignment) {
            self.code.push(with);
        }
    }
}
