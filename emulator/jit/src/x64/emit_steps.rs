//! Steps of ciphers, hashes and searches in texts, where the host has the instruction.

use ir::inst::{Inst, Step};

use super::Xmm;
use super::asm::{RAX, RDX};
use super::generator::{Gen, SCRATCH_XMM};

const PCMPESTRM: u32 = 0x0f_3a60;
const PCMPISTRM: u32 = 0x0f_3a62;

/// Opcode and mandatory prefix of a step that changes one register by another.
const fn two_operands(step: Step) -> Option<(u32, u8)> {
    Some(match step {
        Step::AesEncrypt => (0x0f_38dc, 0x66),
        Step::AesEncryptLast => (0x0f_38dd, 0x66),
        Step::AesDecrypt => (0x0f_38de, 0x66),
        Step::AesDecryptLast => (0x0f_38df, 0x66),
        Step::Sha1Rounds => (0x0f_3acc, 0),
        Step::Sha1Next => (0x0f_38c8, 0),
        Step::Sha1Message => (0x0f_38c9, 0),
        Step::Sha1MessageLast => (0x0f_38ca, 0),
        Step::Sha256Message => (0x0f_38cc, 0),
        Step::Sha256MessageLast => (0x0f_38cd, 0),
        _ => return None,
    })
}

impl Gen<'_> {
    /// Emits a step; false if the host has no instruction for it.
    pub(super) fn emit_step(&mut self, inst: &Inst) -> bool {
        let step = Step::of_kind(inst.attr.kind());
        let constant = inst.attr.imm() as u8;
        let has = match step {
            Step::Match | Step::MatchCounted => self.features.sse42,
            _ if step as u8 <= Step::AesKey as u8 => self.features.aes,
            _ => self.features.sha,
        };
        if !has {
            return false;
        }
        match step {
            Step::Match => self.emit_match(PCMPISTRM, constant),
            Step::MatchCounted => self.emit_match_counted(constant),
            Step::Sha256Rounds => self.emit_sha256_rounds(),
            Step::AesInverseColumns | Step::AesKey => {
                let a = self.use_xmm(self.arg(0));
                let d = self.def_xmm(0);
                let key = step == Step::AesKey;
                self.sse(if key { 0x0f_3adf } else { 0x0f_38db }, d, a);
                if key {
                    self.asm.byte(constant);
                }
            }
            _ => {
                let Some((opcode, prefix)) = two_operands(step) else { return false };
                let (a, b) = (self.arg(0), self.arg(1));
                let other = self.use_xmm(b);
                let d = self.def_xmm_from(a, if a == b { 0 } else { 1 << other });
                let other = if a == b { d } else { other };
                match prefix {
                    0 => self.asm.op_rr(4, opcode, d, other),
                    _ => self.asm.op_prefixed_rr(prefix, 4, opcode, d, other),
                }
                if step == Step::Sha1Rounds {
                    self.asm.byte(constant);
                }
            }
        }
        true
    }

    /// What gives its result in `xmm0`: what is there is kept meanwhile.
    fn emit_match(&mut self, opcode: u32, control: u8) {
        let (a, b) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)));
        let d = self.temp_xmm();
        self.asm.mov_xx(SCRATCH_XMM, 0);
        self.sse(opcode, a, b);
        self.asm.byte(control & 0x3f);
        if d != 0 {
            self.asm.mov_xx(d, 0);
            self.asm.mov_xx(0, SCRATCH_XMM);
        }
        self.result_xmm(d);
    }

    /// What takes the lengths from `eax` and `edx`, likewise.
    fn emit_match_counted(&mut self, control: u8) {
        let lengths = self.use_xmm(self.arg(2));
        for (k, r) in [RAX, RDX].into_iter().enumerate() {
            self.asm.store(8, Self::scratch(k), r);
        }
        self.asm.mov_rx(4, RAX, lengths);
        self.asm.bytes(&[0x0f, 0xb6, 0xd4]); // movzx edx, ah
        self.asm.zext_rr(1, RAX, RAX);
        self.emit_match(PCMPESTRM, control);
        for (k, r) in [RAX, RDX].into_iter().enumerate() {
            self.asm.load(8, r, Self::scratch(k));
        }
    }

    /// `sha256rnds2`, which takes the sums from `xmm0`: what is there is kept meanwhile.
    fn emit_sha256_rounds(&mut self) {
        let (a, b, sums) = (self.use_xmm(self.arg(0)), self.use_xmm(self.arg(1)), self.use_xmm(self.arg(2)));
        let d = self.temp_xmm();
        let kept = |x: Xmm| if x == 0 { d } else { x };
        self.asm.mov_xx(SCRATCH_XMM, a);
        if d != 0 {
            self.asm.mov_xx(d, 0);
        }
        self.asm.mov_xx(0, sums);
        self.asm.op_rr(4, 0x0f_38cb, SCRATCH_XMM, kept(b));
        if d != 0 {
            self.asm.mov_xx(0, d);
        }
        self.asm.mov_xx(d, SCRATCH_XMM);
        self.result_xmm(d);
    }
}
