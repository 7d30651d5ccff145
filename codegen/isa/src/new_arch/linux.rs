//! The Linux interface that a new guest starts with: that of new architectures, with the registers that the skeleton has.

use super::instructions::Instructions;
use codegen::model::Model;

/// Text of `linux.abi`.
pub(super) fn interface(name: &str, like: &str, model: &Model, code: &Instructions) -> String {
    let (word, big) = (model.sections.elf_class, model.sections.elf_big);
    let endian = if big { "big" } else { "little" };
    let Instructions { sigreturn, syscall_len, .. } = code;
    let words: Vec<String> = sigreturn.chunks(4).map(|bytes| hex(bytes, big)).collect();
    let sigreturn = words.join(", ");
    format!(
        r#"// Linux on {name}: what differs from isa-specs/linux, see its README.  Begun like {like}.

arch {name} {{
  word = {word};
  endian = {endian};
  machine = "{name}";
  numbers = generic;                    // include/uapi/asm-generic/unistd.h
  numbers = unified;
}}

// What a handler finds in `uc_mcontext`: arch/{name}/include/uapi/asm/sigcontext.h.
struct mcontext {{ pc: u{word}; regs: u{word}[32]; }}

// struct rt_sigframe in arch/{name}/kernel/signal.c.
signal_frame rt_sigframe {{
  siginfo = info;
  ucontext = uc;
  min_stack = 2048;                     // MINSIGSTKSZ
  syscall_len = {syscall_len};
  sigreturn = [{sigreturn}]; // li r10, 139; syscall
  save {{
    uc.uc_mcontext.pc = pc;
    uc.uc_mcontext.regs = gpr[0..31];
  }}
}}

// Bits of AT_HWCAP, as /proc/cpuinfo names them: arch/{name}/include/uapi/asm/hwcap.h.
flags hwcap: ulong {{ }}

cpuinfo {{
  processor = "{{cpu}}";
}}
"#
    )
}

/// Up to four bytes of code as the word that they are in memory.
fn hex(bytes: &[u8], big: bool) -> String {
    let mut word = [0; 4];
    word[..bytes.len()].copy_from_slice(bytes);
    format!("{:#010x}", if big { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) })
}
