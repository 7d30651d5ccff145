//! A guest processor as the translator and the runtime see it: tables, all generated from `isa-specs/<arch>/*.isa`.

use crate::builder::Builder;
use crate::convention::{Rule, StackDesc};
use crate::state::GuestState;
use crate::ty::Ty;

/// Index of a state slot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u16);

/// A piece of guest state that code can read and write.
#[derive(Clone, Copy, Debug)]
pub struct SlotDesc {
    /// Name in the spec, with its index: `gpr[3]`, `Z`.
    pub name: &'static str,
    /// Width; `bits(5)` is kept in the narrowest type that holds it, upper bits zero.
    pub ty: Ty,
    /// Byte offset in [`GuestState::slots`], aligned to the type. Hot slots come first.
    pub offset: u16,
}

/// A translate-time state variable of the spec (`context`), packed into the mode word.
#[derive(Clone, Copy, Debug)]
pub struct ContextDesc {
    /// Name.
    pub name: &'static str,
    /// Lowest bit in the mode word.
    pub lo: u32,
    /// Bits.
    pub width: u32,
    /// Value at process start.
    pub reset: u32,
}

/// What happened to the emission of one guest instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Flow {
    /// Falls through to the next instruction.
    Next,
    /// Emitted an unconditional exit; the unit ends.
    End,
}

/// Result of decoding and emitting one guest instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Step {
    /// Emitted; `len` bytes were consumed.
    Done {
        /// Length in bytes.
        len: u32,
        /// Whether the unit goes on.
        flow: Flow,
    },
    /// No encoding matches these `len` bytes. Nothing was emitted; the caller emits the undefined-instruction trap.
    Unallocated {
        /// Length in bytes of the undecodable word.
        len: u32,
    },
    /// More bytes are needed to decode than were given.
    Truncated,
}

/// When translations become stale.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Icache {
    /// The guest executes a cache-maintenance instruction or system call.
    Explicit,
    /// Stores are seen by instruction fetch: the runtime must detect them.
    Coherent,
}

/// Which NaN an operation with NaN operands returns.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NanRule {
    /// Always the default NaN.
    Canonical,
    /// First operand if NaN, else second (x86).
    FirstOperand,
    /// First signalling operand, else first quiet one (Arm).
    SignallingFirst,
}

/// When a result counts as tiny.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tininess {
    /// Before rounding.
    Before,
    /// After rounding.
    After,
}

/// Result of float-to-integer conversion of a NaN.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum NanToInt {
    /// 0 (Arm).
    Zero,
    /// Largest value of the type (RISC-V).
    Max,
    /// Only the top bit set, for NaN and overflow both (x86).
    Indefinite,
}

/// What infinity times zero, plus a quiet NaN, gives: IEEE 754 leaves it open.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ProductNan {
    /// The default NaN, and an invalid operation (Arm, RISC-V).
    Invalid,
    /// The addend, and an invalid operation (LoongArch).
    Addend,
    /// The addend (x86).
    Quiet,
}

/// Floating-point policy of a guest (`fp` section).
#[derive(Clone, Copy, Debug)]
pub struct FpPolicy {
    /// NaN propagation.
    pub nan: NanRule,
    /// Sign bit of the default NaN.
    pub default_nan_negative: bool,
    /// Infinity times zero, plus a quiet NaN.
    pub product_nan: ProductNan,
    /// Tininess detection.
    pub tininess: Tininess,
    /// NaN to integer.
    pub nan_to_int: NanToInt,
}

/// Floating-point environment that a mode word selects (`fp { mode { … } }`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FpMode {
    /// Rounding; never [`crate::inst::Round::Mode`]. Reserved values of the guest's field read as `Even`.
    pub round: crate::inst::Round,
    /// Subnormal operands count as zero.
    pub flush_inputs: bool,
    /// Subnormal results become zero.
    pub flush_results: bool,
    /// Every NaN result is the default NaN.
    pub default_nan: bool,
}

/// ELF identification (`elf` section).
#[derive(Clone, Copy, Debug)]
pub struct ElfDesc {
    /// `e_machine`.
    pub machine: u16,
    /// 32 or 64.
    pub class: u8,
    /// Data encoding is big-endian.
    pub big_endian: bool,
    /// `e_flags` of programs for this calling convention: loaders refuse libraries that differ.
    pub flags: u32,
}

/// Process start (`process` section).
#[derive(Clone, Copy, Debug)]
pub struct ProcessDesc {
    /// Alignment of the stack pointer at entry.
    pub entry_sp_align: u32,
    /// `AT_HWCAP`.
    pub hwcap: u64,
    /// `AT_HWCAP2`.
    pub hwcap2: u64,
    /// `AT_PLATFORM`.
    pub platform: &'static str,
    /// `uname -m`.
    pub machine: &'static str,
    /// Thread pointer register.
    pub tls: Slot,
    /// What loaders pass to the resolvers of IFUNC symbols.
    pub ifunc: IfuncArgs,
}

/// Arguments of the resolver of an IFUNC symbol.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IfuncArgs {
    /// Nothing.
    None,
    /// `AT_HWCAP`.
    Hwcap,
    /// `AT_HWCAP` with bit 62 set, and the address of a block: its size in bytes, `AT_HWCAP`, `AT_HWCAP2`; 64 bits each.
    HwcapBlock,
}

/// System-call convention (`syscall` section).
#[derive(Clone, Copy, Debug)]
pub struct SyscallDesc {
    /// Register of the number.
    pub number: Slot,
    /// Argument registers.
    pub args: &'static [Slot],
    /// Offset from the stack pointer of the first argument that is not in a register, if arguments are passed there.
    pub stack_args: Option<u32>,
    /// Result register.
    pub ret: Slot,
    /// Register that is 1 if the result is an error number, else 0; without one, errors are negative error numbers.
    pub error: Option<Slot>,
}

/// Calling convention (`abi` section); see [`crate::convention`].
#[derive(Clone, Copy, Debug)]
pub struct AbiDesc {
    /// Integer and pointer argument registers in order.
    pub int_args: &'static [Slot],
    /// Floating-point argument registers.
    pub fp_args: &'static [Slot],
    /// Integer result registers.
    pub int_ret: &'static [Slot],
    /// Floating-point result registers.
    pub fp_ret: &'static [Slot],
    /// Register that holds the return address at function entry; `None` where calls push it.
    pub return_address: Option<Slot>,
    /// Register that holds the function's own address at its entry, where the convention wants that.
    pub callee: Option<Slot>,
    /// Registers that a function leaves as they were.
    pub callee_saved: &'static [Slot],
    /// Register of the address for a result in memory, where that is not the first argument.
    pub hidden_pointer: Option<Slot>,
    /// Arguments on the stack.
    pub stack: StackDesc,
    /// Where arguments are.
    pub arg_rules: &'static [Rule],
    /// Where results are.
    pub ret_rules: &'static [Rule],
}

impl AbiDesc {
    /// A convention that says nothing but where the return address is.
    #[must_use]
    pub const fn bare(return_address: Option<Slot>) -> AbiDesc {
        AbiDesc {
            int_args: &[],
            fp_args: &[],
            int_ret: &[],
            fp_ret: &[],
            return_address,
            callee: None,
            callee_saved: &[],
            hidden_pointer: None,
            stack: StackDesc::USUAL,
            arg_rules: &[],
            ret_rules: &[],
        }
    }
}

/// The reserved native-call encoding (`native_call` section): what the writer of `libnative.so` emits.
#[derive(Clone, Copy, Debug)]
pub struct NativeCallDesc {
    /// Bytes of the instruction; it is followed by a 32-bit word in guest byte order that leads to the function's name.
    pub code: &'static [u8],
    /// The word counts from so many bytes after its own address: 0, or 4 where addresses are relative to the next instruction.
    pub name_origin: u8,
    /// Bytes of the return sequence that follows.
    pub ret: &'static [u8],
}

/// An operation on numbers of 80 bits, with a sign, an exponent of 15 bits and all 64 of the significand, that a host may have. The
/// result has the status word in bits 80 to 95: exceptions in bits 0 to 5, which may also be those of earlier operations, condition codes
/// in bits 8 to 10 and 14. Control words have the precision in bits 8 and 9, the rounding in bits 10 and 11.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extended {
    /// Arguments: the operation (0 add, 1 multiply, 2 compare, 3 compare with quiet NaNs, 4 subtract, 6 divide, 8 compare with 0, 9
    /// examine, 0x2a square root, 0x2c round to an integer; others are the helper's own), two numbers, a control word.
    Operate,
    /// Arguments: what is loaded (32, 64: a number of that width, 0: an integer of 64 bits; others), and its bits.
    Load,
    /// Arguments: the width of the number it becomes (32, 64; others), the number, a control word.
    Store,
    /// Arguments: the width of the signed integer it becomes (16, 32, 64), the number, a control word.
    StoreInt,
    /// Exceptions of operations made so far are forgotten.
    Clear,
    /// The counter of the host that is read most cheaply; 64 bits.
    Ticks,
}

/// A function written in Rust that specs call (`extern fn`).
#[derive(Clone, Copy)]
pub struct HelperDesc {
    /// Name in the spec.
    pub name: &'static str,
    /// Implementation; arguments and result zero-extended to 128 bits.
    pub call: fn(&mut GuestState, &[u128]) -> u128,
    /// No effect and no dependence on state.
    pub pure: bool,
    /// Reads or writes slots: they must be in memory for the call.
    pub state: bool,
    /// What the host may have instead.
    pub extended: Option<Extended>,
}

/// A guest processor.
pub struct Guest {
    /// Instance name in the spec: `aarch64`.
    pub name: &'static str,
    /// State slots.
    pub slots: &'static [SlotDesc],
    /// Slots worth pinning to host registers at unit boundaries, hottest first.
    pub pins: &'static [Slot],
    /// The same for vector registers: slots of floating-point numbers and vectors.
    pub vector_pins: &'static [Slot],
    /// One-bit slots that comparisons write, all together as a rule: the condition flags.
    pub flags: &'static [Slot],
    /// Stack pointer.
    pub sp: Slot,
    /// Mode word fields.
    pub contexts: &'static [ContextDesc],
    /// Bit of the mode word that bit 0 of an address of code gives where it is entered from outside: at the start of a
    /// process, of a signal handler.
    pub interwork: Option<u32>,
    /// Bits of the mode word that are those of process start there.
    pub transient: u32,
    /// Slots that are zero there.
    pub cleared: &'static [Slot],
    /// Bits of an address: 32 or 64. Addresses of the code wrap there, those of data are zero-extended.
    pub address_bits: u32,
    /// Bytes of data in memory are most significant first.
    pub big_endian: bool,
    /// The same for code.
    pub big_endian_code: bool,
    /// Some instructions have delay slots.
    pub delay_slots: bool,
    /// Instruction-cache model.
    pub icache: Icache,
    /// Plain accesses are seen by other processors in program order, but that a load may overtake earlier stores; otherwise in any
    /// order. A host whose own accesses are ordered less has to add what lacks.
    pub total_store_order: bool,
    /// Bits 56 to 63 of addresses of data take no part in an access: see [`Guest::address`].
    pub ignore_top_byte: bool,
    /// Smallest instruction size in bytes, and its alignment.
    pub insn_align: u32,
    /// Decode the instruction at the start of `code` (up to 16 bytes, guest memory order) at `pc` and emit it.
    /// The builder has been told the boundary; `Builder::mode` gives the contexts.
    pub translate: fn(&mut Builder<'_>, pc: u64, code: &[u8]) -> Step,
    /// Disassemble: text and length.
    pub disassemble: fn(pc: u64, mode: u32, code: &[u8]) -> (String, u32),
    /// Name of the `insn` that matches, if any.
    pub identify: fn(mode: u32, code: &[u8]) -> Option<&'static str>,
    /// Floating-point policy.
    pub fp: FpPolicy,
    /// Floating-point environment of a mode word.
    pub fp_mode: fn(mode: u32) -> FpMode,
    /// The bits of the mode word that it depends on.
    pub fp_mode_bits: u32,
    /// Environments of operations that have one of their own: `fp name { … }`.
    pub fp_named: &'static [fn(mode: u32) -> FpMode],
    /// `extern fn`s by helper number.
    pub helpers: &'static [HelperDesc],
    /// ELF identification.
    pub elf: ElfDesc,
    /// Process start.
    pub process: ProcessDesc,
    /// System calls.
    pub syscall: SyscallDesc,
    /// Calls.
    pub abi: AbiDesc,
    /// Native calls; `None` if the spec reserves no encoding.
    pub native_call: Option<NativeCallDesc>,
}

impl Guest {
    /// The floating-point environment of a number in a mode: the usual one (0), or the first, second … with a name.
    #[must_use]
    pub fn fp_environment(&self, number: u32, mode: u32) -> FpMode {
        match number {
            0 => (self.fp_mode)(mode),
            n => self.fp_named[n as usize - 1](mode),
        }
    }

    /// The slot named `name`, e.g. `gpr[3]`.
    #[must_use]
    pub fn slot(&self, name: &str) -> Option<Slot> {
        self.slots.iter().position(|s| s.name == name).map(|i| Slot(i as u16))
    }

    /// The address that an access with a pointer goes to: its top byte, if that is ignored, replaced by copies of the bit
    /// below.
    #[must_use]
    pub fn address(&self, pointer: u64) -> u64 {
        if self.ignore_top_byte { ((pointer << 8) as i64 >> 8) as u64 } else { pointer }
    }

    /// The address of code that `addr` is to the guest, which sees its low bits only.
    #[must_use]
    pub const fn code_address(&self, addr: u64) -> u64 {
        if self.address_bits < 64 { addr & ((1 << self.address_bits) - 1) } else { addr }
    }

    /// Where execution goes on when code at `addr` is entered from outside in a mode: address and mode word.
    #[must_use]
    pub fn entered(&self, addr: u64, mode: u32) -> (u64, u32) {
        let mode = mode & !self.transient | self.reset_mode() & self.transient;
        match self.interwork {
            Some(bit) => (addr & !1, mode & !(1 << bit) | ((addr & 1) as u32) << bit),
            None => (addr, mode),
        }
    }

    /// Enters code at `addr` from outside.
    pub fn enter(&self, state: &mut GuestState, addr: u64) {
        (state.pc, state.mode) = self.entered(addr, state.mode);
        self.cleared.iter().for_each(|slot| state.set(self, *slot, 0));
    }

    /// Mode word at process start.
    #[must_use]
    pub fn reset_mode(&self) -> u32 {
        self.contexts.iter().fold(0, |mode, c| mode | c.reset << c.lo)
    }
}

/// A `test` line of the spec.
#[derive(Clone, Copy, Debug)]
pub struct InsnTest {
    /// `insn` it belongs to.
    pub insn: &'static str,
    /// Source line, `file:line`.
    pub at: &'static str,
    /// Instruction bytes in memory order.
    pub code: &'static [u8],
    /// Expected disassembly.
    pub text: &'static str,
    /// Slots (or contexts, `pc`) set before.
    pub before: &'static [(&'static str, u128)],
    /// Slots expected after.
    pub after: &'static [(&'static str, u128)],
    /// Whether before/after were given: otherwise only decoding and text are checked.
    pub run: bool,
}
