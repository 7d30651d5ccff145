//! The stubs for arithmetic whose result is not a number, or has lanes that are not: which NaN that is. Programs that compute with NaNs at
//! all do so at every turn of a loop.
//!
//! The host has raised what the definition raises, but where infinity times zero is added to a NaN: that is left to the definition.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use ir::Ty;
use ir::guest::NanRule;
use ir::inst::Op;

use super::float_checks::default_nan;
use super::generic::TYPE_AT;
use super::stubs::{Emitter, field};

/// The operand of this number, at its first byte.
const fn operand(k: usize) -> i32 {
    field!(scratch) + 16 * k as i32
}

/// What the host has made of lanes.
pub(super) const MADE: usize = 3;

/// Where registers are meanwhile.
const SAVED: i32 = operand(4);

/// Twice an infinity, as 64 bits with the exponent at the top: what is more is not a number.
fn infinity(bits: u32) -> i64 {
    if bits == 32 { 0xff00 << 48 } else { 0xffe0 << 48 }
}

/// The same of the first quiet NaN.
fn quiet(bits: u32) -> i64 {
    if bits == 32 { 0xff80 << 48 } else { 0xfff0 << 48 }
}

impl Emitter<'_> {
    /// For scalars. As the stub `general`, which knows every operation: operands and result in `scratch`, all registers but `rsi`, `rdx`
    /// and flags preserved.
    pub(super) fn nan(&mut self, general: u64) -> u64 {
        let at = self.start();
        self.save();
        dynasm!(self.asm
            ; .arch x64
            ; xor r8d, r8d
            ; mov eax, esi
            ; shr eax, TYPE_AT as i8
            ; and eax, 7
            ; cmp eax, Ty::I64 as i32
            ; jne >single
        );
        self.nan_of_width(64);
        dynasm!(self.asm ; .arch x64 ; single:);
        self.nan_of_width(32);
        dynasm!(self.asm ; .arch x64 ; known: ; mov [rbp + operand(0)], rdi ; mov QWORD [rbp + operand(0) + 8], 0);
        self.restore();
        dynasm!(self.asm ; .arch x64 ; ret ; unknown:);
        self.restore();
        self.jump_to(general);
        at
    }

    /// For lanes of `bits`: the same, given the host's result as well, of which numbers stay.
    pub(super) fn nan_lanes(&mut self, general: u64, bits: u32) -> u64 {
        let at = self.start();
        self.save();
        dynasm!(self.asm
            ; .arch x64
            ; xor r8d, r8d
            ; lane:
        );
        self.load_magnitude(bits, MADE);
        self.compare_magnitude(infinity(bits));
        dynasm!(self.asm ; .arch x64 ; jbe >next);
        self.nan_of_width(bits);
        dynasm!(self.asm ; .arch x64 ; known:);
        match bits {
            32 => dynasm!(self.asm ; .arch x64 ; mov [rbp + r8 + operand(MADE)], edi),
            _ => dynasm!(self.asm ; .arch x64 ; mov [rbp + r8 + operand(MADE)], rdi),
        }
        dynasm!(self.asm
            ; .arch x64
            ; next:
            ; add r8d, bits as i32 / 8
            ; mov ecx, esi
            ; shr ecx, TYPE_AT as i8
            ; and ecx, 7
            ; xor eax, eax
            ; cmp ecx, Ty::I64 as i32
            ; setne al
            ; lea eax, [rax * 8 + 8]
            ; cmp r8d, eax
            ; jb <lane
            ; mov rax, [rbp + operand(MADE)]
            ; mov rcx, [rbp + operand(MADE) + 8]
            ; mov [rbp + operand(0)], rax
            ; mov [rbp + operand(0) + 8], rcx
        );
        self.restore();
        dynasm!(self.asm ; .arch x64 ; ret ; unknown:);
        self.restore();
        self.jump_to(general);
        at
    }

    fn save(&mut self) {
        dynasm!(self.asm
            ; .arch x64
            ; mov [rbp + SAVED], rax
            ; mov [rbp + SAVED + 8], rcx
            ; mov [rbp + SAVED + 16], rdi
            ; mov [rbp + SAVED + 24], r8
        );
    }

    fn restore(&mut self) {
        dynasm!(self.asm
            ; .arch x64
            ; mov rax, [rbp + SAVED]
            ; mov rcx, [rbp + SAVED + 8]
            ; mov rdi, [rbp + SAVED + 16]
            ; mov r8, [rbp + SAVED + 24]
        );
    }

    /// Of the numbers at offset `r8`: goes on at `known` with the NaN in `rdi`, or at `unknown`.
    fn nan_of_width(&mut self, bits: u32) {
        dynasm!(self.asm ; .arch x64 ; mov rdi, QWORD default_nan(self.guest, bits).cast_signed());
        let first_operand = self.guest.fp.nan != NanRule::Canonical;
        if first_operand {
            dynasm!(self.asm ; .arch x64 ; cmp sil, Op::Fma as i8 ; je >fused ; cmp sil, Op::Fsqrt as i8 ; je >root);
            self.take_if_nan(bits, 1);
            dynasm!(self.asm ; .arch x64 ; root:);
            self.take_if_nan(bits, 0);
            dynasm!(self.asm ; .arch x64 ; jmp >known ; fused:);
        }
        self.leave_infinity_times_zero(bits);
        if first_operand {
            // The addend comes first (Arm ARM FPMulAdd).
            for k in [1, 0, 2] {
                self.take_if_nan(bits, k);
            }
        }
        dynasm!(self.asm ; .arch x64 ; jmp >known);
        if first_operand {
            self.first_signalling(bits);
        }
    }

    /// Goes on at `known` with the first signalling operand in `rdi`, quieted.
    fn first_signalling(&mut self, bits: u32) {
        dynasm!(self.asm ; .arch x64 ; signalling: ; cmp sil, Op::Fma as i8 ; je >fused);
        for k in [0, 1] {
            self.take_if_signalling(bits, k);
        }
        dynasm!(self.asm ; .arch x64 ; jmp >unknown ; fused:);
        for k in [2, 0, 1] {
            self.take_if_signalling(bits, k);
        }
        dynasm!(self.asm ; .arch x64 ; jmp >unknown);
    }

    fn take_if_signalling(&mut self, bits: u32, k: usize) {
        self.load_magnitude(bits, k);
        self.compare_magnitude(infinity(bits));
        dynasm!(self.asm ; .arch x64 ; jbe >other);
        self.compare_magnitude(quiet(bits));
        dynasm!(self.asm ; .arch x64 ; jae >other);
        match bits {
            32 => dynasm!(self.asm ; .arch x64 ; mov edi, [rbp + r8 + operand(k)] ; bts edi, 22),
            _ => dynasm!(self.asm ; .arch x64 ; mov rdi, [rbp + r8 + operand(k)] ; bts rdi, 51),
        }
        dynasm!(self.asm ; .arch x64 ; jmp >known ; other:);
    }

    /// Twice the operand to `rax`, with the exponent at the top.
    fn load_magnitude(&mut self, bits: u32, k: usize) {
        match bits {
            32 => dynasm!(self.asm ; .arch x64 ; mov eax, [rbp + r8 + operand(k)] ; shl rax, 33),
            _ => dynasm!(self.asm ; .arch x64 ; mov rax, [rbp + r8 + operand(k)] ; add rax, rax),
        }
    }

    /// `rax` with a magnitude, which stays in `rcx`.
    fn compare_magnitude(&mut self, with: i64) {
        dynasm!(self.asm ; .arch x64 ; mov rcx, QWORD with ; cmp rax, rcx);
    }

    /// The operand to `rdi` if it is a quiet NaN; a signalling one leads to `signalling`.
    fn take_if_nan(&mut self, bits: u32, k: usize) {
        self.load_magnitude(bits, k);
        self.compare_magnitude(infinity(bits));
        dynasm!(self.asm ; .arch x64 ; jbe >number);
        self.compare_magnitude(quiet(bits));
        dynasm!(self.asm ; .arch x64 ; jb >signalling);
        match bits {
            32 => dynasm!(self.asm ; .arch x64 ; mov edi, [rbp + r8 + operand(k)] ; number:),
            _ => dynasm!(self.asm ; .arch x64 ; mov rdi, [rbp + r8 + operand(k)] ; number:),
        }
    }

    fn leave_infinity_times_zero(&mut self, bits: u32) {
        self.load_magnitude(bits, 2);
        self.compare_magnitude(infinity(bits));
        dynasm!(self.asm ; .arch x64 ; jbe >product);
        for k in [0, 1] {
            self.load_magnitude(bits, 1 - k);
            dynasm!(self.asm ; .arch x64 ; cmp rax, rcx ; jne >finite);
            self.load_magnitude(bits, k);
            // One that is subnormal may be flushed.
            dynasm!(self.asm ; .arch x64 ; shr rax, if bits == 32 { 56 } else { 53 } ; je >unknown ; finite:);
        }
        dynasm!(self.asm ; .arch x64 ; product:);
    }
}
