//! The stub that brings deferred condition flags home, where they are of a comparison of integers.
//!
//! Programs whose instructions are conditional read flags in units that do not write them first, some at every turn of a loop.
//! The stub makes the comparison again, and looks the host's flags up in a table of the conditions that hold under them.

use dynasmrt::{DynasmApi, DynasmLabelApi, dynasm};
use ir::Ty;

use super::analysis::CondKind;
use super::asm::cc;
use super::deferred::{CONDITION, CONSTANT, FLAG_BITS, FLAG_MASK, KIND_AT, SMALL_AT, TYPE_AT};
use super::stubs::{Emitter, field};
use crate::thread_state::slot_disp;

/// `lahf`: carry, zero and sign are where they are in the flags register; bit 1 is always set, and the table has overflow there.
const CARRY: usize = 1;
const OVERFLOW: usize = 1 << 1;
const ZERO: usize = 1 << 6;
const SIGN: usize = 1 << 7;

/// The comparisons that are made again here.
const KINDS: [CondKind; 3] = [CondKind::Cmp, CondKind::Test, CondKind::Add];
const TYPES: [Ty; 4] = [Ty::I32, Ty::I64, Ty::I8, Ty::I16];

/// For the flags that `lahf` and `seto` give, bit n: whether the code n of a flag in [`crate::thread_state::Deferred::what`]
/// stands for 1.
fn holding(flags: usize) -> u32 {
    let has = |flag: usize| flags & flag != 0;
    let conditions = [
        (cc::O, has(OVERFLOW)),
        (cc::B, has(CARRY)),
        (cc::E, has(ZERO)),
        (cc::BE, has(CARRY) || has(ZERO)),
        (cc::S, has(SIGN)),
        (cc::L, has(SIGN) != has(OVERFLOW)),
        (cc::LE, has(ZERO) || has(SIGN) != has(OVERFLOW)),
    ];
    let codes = conditions.iter().map(|&(code, holds)| 1 << (CONDITION + u32::from(code) + u32::from(!holds)));
    codes.sum::<u32>() | 1 << (CONSTANT + 1)
}

impl Emitter<'_> {
    /// Brings deferred flags home; preserves all registers but `rsi`, `rdx` and flags, as does the stub `general`, which knows
    /// every comparison.
    pub(super) fn settle(&mut self, general: u64) -> u64 {
        dynasm!(self.asm ; .arch x64 ; .align 16 ; table:);
        for flags in 0..256 {
            dynasm!(self.asm ; .arch x64 ; .u32 holding(flags));
        }
        let at = self.start();
        self.load_compared();
        for (kind, ty) in KINDS.into_iter().flat_map(|kind| TYPES.map(|ty| (kind, ty))) {
            let code = (kind as u32 | (ty as u32) << (TYPE_AT - KIND_AT)) as i8;
            dynasm!(self.asm ; .arch x64 ; cmp al, code ; jne >other);
            self.compare(kind, ty);
            dynasm!(self.asm ; .arch x64 ; jmp >compared ; other:);
        }
        dynasm!(self.asm ; .arch x64 ; mov rax, [rbp + field!(settling)]);
        self.jump_to(general);
        dynasm!(self.asm ; .arch x64 ; compared:);
        self.bring_home();
        at
    }

    /// The operands to `rsi` and `rdx`, the kind and type to `al`.
    fn load_compared(&mut self) {
        dynasm!(self.asm
            ; .arch x64
            ; mov [rbp + field!(settling)], rax
            ; mov rdx, [rbp + field!(deferred.b)]
            ; mov eax, [rbp + field!(deferred.what)]
            ; shr eax, SMALL_AT as i8
            ; lea rsi, [rax - 1]
            ; cmovne rdx, rsi
            ; mov rsi, [rbp + field!(deferred.a)]
            ; mov eax, [rbp + field!(deferred.what)]
            ; shr eax, KIND_AT as i8
            ; and eax, (1 << (SMALL_AT - KIND_AT)) - 1
        );
    }

    #[rustfmt::skip]
    fn compare(&mut self, kind: CondKind, ty: Ty) {
        match (kind, ty) {
            (CondKind::Cmp, Ty::I8) => dynasm!(self.asm ; .arch x64 ; cmp sil, dl),
            (CondKind::Cmp, Ty::I16) => dynasm!(self.asm ; .arch x64 ; cmp si, dx),
            (CondKind::Cmp, Ty::I32) => dynasm!(self.asm ; .arch x64 ; cmp esi, edx),
            (CondKind::Cmp, _) => dynasm!(self.asm ; .arch x64 ; cmp rsi, rdx),
            (CondKind::Test, Ty::I8) => dynasm!(self.asm ; .arch x64 ; test sil, dl),
            (CondKind::Test, Ty::I16) => dynasm!(self.asm ; .arch x64 ; test si, dx),
            (CondKind::Test, Ty::I32) => dynasm!(self.asm ; .arch x64 ; test esi, edx),
            (CondKind::Test, _) => dynasm!(self.asm ; .arch x64 ; test rsi, rdx),
            (_, Ty::I8) => dynasm!(self.asm ; .arch x64 ; add sil, dl),
            (_, Ty::I16) => dynasm!(self.asm ; .arch x64 ; add si, dx),
            (_, Ty::I32) => dynasm!(self.asm ; .arch x64 ; add esi, edx),
            _ => dynasm!(self.asm ; .arch x64 ; add rsi, rdx),
        }
    }

    /// Writes the flags that have a code, by the host's flags.
    fn bring_home(&mut self) {
        dynasm!(self.asm
            ; .arch x64
            ; lahf
            ; seto al
            ; mov [rbp + field!(settling) + 8], rcx
            ; movzx ecx, al
            ; shr eax, 8
            ; and eax, !(OVERFLOW as i32)
            ; lea eax, [rax + 2 * rcx]
            ; lea rcx, [<table]
            ; mov eax, [rcx + 4 * rax]
            ; mov ecx, [rbp + field!(deferred.what)]
        );
        for &flag in &self.conv.flag_offsets {
            dynasm!(self.asm
                ; .arch x64
                ; test cl, FLAG_MASK as i8
                ; jz >at_home
                ; bt eax, ecx
                ; setc [rbp + slot_disp(flag)]
                ; at_home:
                ; shr ecx, FLAG_BITS as i8
            );
        }
        dynasm!(self.asm
            ; .arch x64
            ; mov DWORD [rbp + field!(deferred.what)], 0
            ; mov rax, [rbp + field!(settling)]
            ; mov rcx, [rbp + field!(settling) + 8]
            ; ret
        );
    }
}
