//! Host instructions by name.

use super::asm::{Alu, Asm, Mem, RAX, Shift};
use super::{Gpr, Xmm};

impl Asm {
    pub(super) fn mov_rr(&mut self, size: u32, d: Gpr, s: Gpr) {
        self.op_rr(size.max(4), 0x8b, d, s);
    }

    /// Constant into a register. Leaves flags alone.
    pub(super) fn mov_ri(&mut self, d: Gpr, value: u64) {
        if let Ok(v) = u32::try_from(value) {
            self.rex(4, 0, Mem::NONE, d, false);
            self.byte(0xb8 | d & 7);
            self.dword(v as i32);
        } else if i64::from(value as i32) as u64 == value {
            self.rex(8, 0, Mem::NONE, d, false);
            self.bytes(&[0xc7, 0xc0 | d & 7]);
            self.dword(value as i32);
        } else {
            self.rex(8, 0, Mem::NONE, d, false);
            self.byte(0xb8 | d & 7);
            self.bytes(&value.to_le_bytes());
        }
    }

    /// Zero-extending load of `size` bytes.
    pub(super) fn load(&mut self, size: u32, d: Gpr, m: Mem) {
        match size {
            1 => self.op_rm(4, 0x0fb6, d, m),
            2 => self.op_rm(4, 0x0fb7, d, m),
            _ => self.op_rm(size, 0x8b, d, m),
        }
    }

    /// Sign-extending load of `size` bytes to `to` bytes (4 or 8).
    pub(super) fn load_signed(&mut self, size: u32, to: u32, d: Gpr, m: Mem) {
        match size {
            1 => self.op_rm(to, 0x0fbe, d, m),
            2 => self.op_rm(to, 0x0fbf, d, m),
            4 if to == 8 => self.op_rm(8, 0x63, d, m),
            _ => self.op_rm(size, 0x8b, d, m),
        }
    }

    pub(super) fn store(&mut self, size: u32, m: Mem, s: Gpr) {
        let opcode = if size == 1 { 0x88 } else { 0x89 };
        self.op_rm(size, opcode, s, m);
    }

    /// Stores the low bytes of a sign-extended 32-bit constant.
    pub(super) fn store_imm(&mut self, size: u32, m: Mem, value: i32) {
        self.op_rm(size, if size == 1 { 0xc6 } else { 0xc7 }, 0, m);
        self.imm(size, value);
    }

    fn imm(&mut self, size: u32, value: i32) {
        match size {
            1 => self.byte(value as u8),
            2 => self.bytes(&(value as u16).to_le_bytes()),
            _ => self.dword(value),
        }
    }

    pub(super) fn lea(&mut self, size: u32, d: Gpr, m: Mem) {
        self.op_rm(size.max(4), 0x8d, d, m);
    }

    /// Zero extension of the low `from` bytes.
    pub(super) fn zext_rr(&mut self, from: u32, d: Gpr, s: Gpr) {
        match from {
            1 => {
                self.rex(4, d, Mem::NONE, s, (4..8).contains(&s));
                self.bytes(&[0x0f, 0xb6, 0xc0 | (d & 7) << 3 | s & 7]);
            }
            2 => self.op_rr(4, 0x0fb7, d, s),
            _ => self.op_rr(from, 0x8b, d, s),
        }
    }

    /// Sign extension of the low `from` bytes to `to` bytes (4 or 8).
    pub(super) fn sext_rr(&mut self, from: u32, to: u32, d: Gpr, s: Gpr) {
        match from {
            1 => {
                self.rex(to, d, Mem::NONE, s, (4..8).contains(&s));
                self.bytes(&[0x0f, 0xbe, 0xc0 | (d & 7) << 3 | s & 7]);
            }
            2 => self.op_rr(to, 0x0fbf, d, s),
            4 if to == 8 => self.op_rr(8, 0x63, d, s),
            _ => self.op_rr(from, 0x8b, d, s),
        }
    }

    // ---- arithmetic
    pub(super) fn alu_rr(&mut self, op: Alu, size: u32, d: Gpr, s: Gpr) {
        self.op_rr(size, (op as u32) << 3 | u32::from(size != 1), s, d);
    }

    pub(super) fn alu_rm(&mut self, op: Alu, size: u32, d: Gpr, m: Mem) {
        self.op_rm(size, (op as u32) << 3 | 2 | u32::from(size != 1), d, m);
    }

    pub(super) fn alu_ri(&mut self, op: Alu, size: u32, d: Gpr, value: i32) {
        let short = i8::try_from(value).is_ok();
        if size == 1 {
            if d == RAX {
                self.bytes(&[(op as u8) << 3 | 4, value as u8]);
                return;
            }
            self.op_rr(1, 0x80, op as u8, d);
            // The digit in the register field must not look like `spl`..`dil`: a REX there is harmless.
            self.byte(value as u8);
            return;
        }
        if !short && d == RAX {
            if size == 2 {
                self.byte(0x66);
            }
            self.rex(size, 0, Mem::NONE, 0, false);
            self.byte((op as u8) << 3 | 5);
        } else {
            self.op_rr(size, if short { 0x83 } else { 0x81 }, op as u8, d);
        }
        if short {
            self.byte(value as u8);
        } else {
            self.imm(size, value);
        }
    }

    pub(super) fn alu_mi(&mut self, op: Alu, size: u32, m: Mem, value: i32) {
        let short = i8::try_from(value).is_ok();
        let opcode = match (size, short) {
            (1, _) => 0x80,
            (_, true) => 0x83,
            _ => 0x81,
        };
        self.op_rm(size, opcode, op as u8, m);
        if short || size == 1 {
            self.byte(value as u8);
        } else {
            self.imm(size, value);
        }
    }

    pub(super) fn alu_mr(&mut self, op: Alu, size: u32, m: Mem, s: Gpr) {
        self.op_rm(size, (op as u32) << 3 | u32::from(size != 1), s, m);
    }

    pub(super) fn test_rr(&mut self, size: u32, a: Gpr, b: Gpr) {
        self.op_rr(size, if size == 1 { 0x84 } else { 0x85 }, b, a);
    }

    pub(super) fn test_ri(&mut self, size: u32, a: Gpr, value: i32) {
        // A mask of the low seven bits tests the low byte only.
        let size = if (0..128).contains(&value) { 1 } else { size };
        if a == RAX {
            if size == 2 {
                self.byte(0x66);
            }
            self.rex(size, 0, Mem::NONE, 0, false);
            self.byte(if size == 1 { 0xa8 } else { 0xa9 });
        } else {
            self.op_rr(size, if size == 1 { 0xf6 } else { 0xf7 }, 0, a);
        }
        self.imm(size, value);
    }

    pub(super) fn shift_ri(&mut self, op: Shift, size: u32, d: Gpr, amount: u8) {
        self.op_rr(size, if size == 1 { 0xc0 } else { 0xc1 }, op as u8, d);
        self.byte(amount);
    }

    /// Shift by `cl`.
    pub(super) fn shift_rc(&mut self, op: Shift, size: u32, d: Gpr) {
        self.op_rr(size, if size == 1 { 0xd2 } else { 0xd3 }, op as u8, d);
    }

    /// `not`, `neg`, `mul`, `imul`, `div`, `idiv` by digit.
    pub(super) fn unary(&mut self, digit: u8, size: u32, d: Gpr) {
        self.op_rr(size, if size == 1 { 0xf6 } else { 0xf7 }, digit, d);
    }

    pub(super) fn imul_rr(&mut self, size: u32, d: Gpr, s: Gpr) {
        self.op_rr(size, 0x0faf, d, s);
    }

    pub(super) fn imul_rm(&mut self, size: u32, d: Gpr, m: Mem) {
        self.op_rm(size, 0x0faf, d, m);
    }

    pub(super) fn imul_rri(&mut self, size: u32, d: Gpr, s: Gpr, value: i32) {
        let short = i8::try_from(value).is_ok();
        self.op_rr(size, if short { 0x6b } else { 0x69 }, d, s);
        if short {
            self.byte(value as u8);
        } else {
            self.dword(value);
        }
    }

    pub(super) fn setcc(&mut self, cc: u8, d: Gpr) {
        self.rex(1, 0, Mem::NONE, d, (4..8).contains(&d));
        self.bytes(&[0x0f, 0x90 | cc, 0xc0 | d & 7]);
    }

    pub(super) fn setcc_mem(&mut self, cc: u8, m: Mem) {
        self.op_rm(1, 0x0f90 | u32::from(cc), 0, m);
    }

    pub(super) fn cmov_rr(&mut self, cc: u8, size: u32, d: Gpr, s: Gpr) {
        self.op_rr(size.max(4), 0x0f40 | u32::from(cc), d, s);
    }

    pub(super) fn bswap(&mut self, size: u32, d: Gpr) {
        self.rex(size, 0, Mem::NONE, d, false);
        self.bytes(&[0x0f, 0xc8 | d & 7]);
    }

    /// Carry flag := bit `bit` of `r`.
    pub(super) fn bt_ri(&mut self, size: u32, r: Gpr, bit: u8) {
        self.op_rr(size.max(4), 0x0fba, 4, r);
        self.byte(bit);
    }

    pub(super) fn push(&mut self, r: Gpr) {
        self.rex(4, 0, Mem::NONE, r, false);
        self.byte(0x50 | r & 7);
    }

    /// VEX instruction with general registers (BMI): `reg`, `vvvv`, `rm`; map 2 is 0F38, 3 is 0F3A; `pp` 0 none, 1 66, 2 F3, 3 F2.
    #[allow(clippy::too_many_arguments)] // the fields of the prefix
    pub(super) fn vex_rr(&mut self, map: u8, pp: u8, size: u32, opcode: u8, reg: u8, vvvv: u8, rm: u8) {
        let b1 = u8::from(reg & 8 == 0) << 7 | 0x40 | u8::from(rm & 8 == 0) << 5 | map;
        let b2 = u8::from(size == 8) << 7 | (!vvvv & 15) << 3 | pp;
        self.bytes(&[0xc4, b1, b2, opcode, 0xc0 | (reg & 7) << 3 | rm & 7]);
    }

    /// The same with a constant of 16 bytes as last operand, and immediate bytes.
    #[allow(clippy::too_many_arguments)] // the fields of the encoding
    pub(super) fn vex_pool(&mut self, map: u8, pp: u8, opcode: u8, reg: u8, vvvv: u8, value: u128, tail: &[u8]) {
        let b1 = u8::from(reg & 8 == 0) << 7 | 0x60 | map;
        self.bytes(&[0xc4, b1, (!vvvv & 15) << 3 | pp, opcode]);
        self.pool_modrm(reg, value, tail.len() as u32);
        self.bytes(tail);
    }

    // ---- vector moves
    /// `movdqu` (16), `movq` (8) or `movd` (4) load, upper part zero.
    pub(super) fn load_xmm(&mut self, size: u32, d: Xmm, m: Mem) {
        match size {
            16 => self.op_prefixed_rm(0xf3, 4, 0x0f6f, d, m),
            8 => self.op_prefixed_rm(0xf3, 4, 0x0f7e, d, m),
            _ => self.op_prefixed_rm(0x66, 4, 0x0f6e, d, m),
        }
    }

    pub(super) fn store_xmm(&mut self, size: u32, m: Mem, s: Xmm) {
        match size {
            16 => self.op_prefixed_rm(0xf3, 4, 0x0f7f, s, m),
            8 => self.op_prefixed_rm(0x66, 4, 0x0fd6, s, m),
            _ => self.op_prefixed_rm(0x66, 4, 0x0f7e, s, m),
        }
    }

    pub(super) fn mov_xx(&mut self, d: Xmm, s: Xmm) {
        self.rex(4, d, Mem::NONE, s, false);
        self.bytes(&[0x0f, 0x28, 0xc0 | (d & 7) << 3 | s & 7]);
    }

    /// `movd`/`movq` from a general register; `size` 4 or 8.
    pub(super) fn mov_xr(&mut self, size: u32, d: Xmm, s: Gpr) {
        self.op_prefixed_rr(0x66, size, 0x0f6e, d, s);
    }

    pub(super) fn mov_rx(&mut self, size: u32, d: Gpr, s: Xmm) {
        self.op_prefixed_rr(0x66, size, 0x0f7e, s, d);
    }

    /// 128-bit constant.
    pub(super) fn const_xmm(&mut self, d: Xmm, value: u128) {
        if value == 0 {
            self.rex(4, d, Mem::NONE, d, false);
            self.bytes(&[0x0f, 0x57, 0xc0 | (d & 7) << 3 | d & 7]);
            return;
        }
        self.byte(0xf3); // movdqu: the pool is aligned, but the form costs nothing more
        self.rex(4, d, Mem::NONE, 0, false);
        self.bytes(&[0x0f, 0x6f]);
        self.pool_modrm(d, value, 0);
    }
}
