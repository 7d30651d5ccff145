//! Checksums by carry-less products, with the polynomial that the host has no instruction for.

use ir::inst::Inst;

use super::Gpr;
use super::asm::{Alu, Shift};
use super::generator::Gen;

/// The polynomial 04C11DB7 and the term above it, reflected: its lowest bit is that term.
const IEEE: u64 = 0xedb8_8320 << 1 | 1;
/// The same of 1EDC6F41 (Castagnoli).
const CASTAGNOLI: u64 = 0x82f6_3b78 << 1 | 1;

/// What has the carry-less product 1 with an odd polynomial, modulo 2^64.
const fn inverse(polynomial: u64) -> u64 {
    let (mut inverse, mut rest, mut i) = (0, 1, 0);
    while i < 64 {
        if rest >> i & 1 != 0 {
            inverse |= 1 << i;
            rest ^= polynomial << i;
        }
        i += 1;
    }
    inverse
}

/// Multiplier for the quotient, and the polynomial.
const fn multipliers(polynomial: u64) -> u128 {
    (polynomial as u128) << 64 | inverse(polynomial) as u128
}

impl Gen<'_> {
    /// A step for each bit of the datum adds the polynomial at that bit's place if the bit is one by then, so that it becomes zero. So the
    /// steps together add the multiple of the polynomial that agrees with datum and checksum in the datum's place, and the checksum is
    /// what that has above. A narrow datum is put at the top of that place.
    pub(super) fn emit_crc32(&mut self, inst: &Inst) {
        let size = self.arg_ty(1).bytes();
        let d = self.copy_gpr(self.arg(0));
        let data = self.use_gpr(self.arg(1));
        let t = self.temp_gpr();
        self.asm.mov_rr(4, t, d);
        self.asm.alu_rr(Alu::Xor, 8, t, data);
        if size < 8 {
            self.asm.shift_ri(Shift::Shl, 8, t, (64 - 8 * size) as u8);
        }
        let multipliers = multipliers(if inst.attr.imm() == 1 { CASTAGNOLI } else { IEEE });
        let x = self.temp_xmm();
        self.asm.mov_xr(8, x, t);
        self.asm.op_pool(0x000f_3a44, x, multipliers, &[0x00]); // pclmulqdq, both low halves
        self.asm.op_pool(0x000f_3a44, x, multipliers, &[0x10]); // the first's low half, the second's high half
        self.asm.op_prefixed_rr(0x66, 4, 0x0f73, 3, x); // psrldq
        self.asm.byte(8);
        self.finish_crc(size, d, t, x);
    }

    /// Adds what of the checksum was above a narrow datum.
    fn finish_crc(&mut self, size: u32, d: Gpr, t: Gpr, x: u8) {
        if size >= 4 {
            self.asm.mov_rx(4, d, x);
        } else {
            self.asm.mov_rx(4, t, x);
            self.asm.shift_ri(Shift::Shr, 4, d, (8 * size) as u8);
            self.asm.alu_rr(Alu::Xor, 4, d, t);
        }
        self.result_gpr(d);
    }
}
