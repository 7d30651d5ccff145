//! The checked model of one guest: one `instance` of a specification. Emitters read this and nothing else.

use crate::convention::{Rule, StackDesc};
use crate::hir::{Block, ConstId, ContextId, Expr, InsnId, Locals, RegId, Stmt, Template, Ty, VarId};
use crate::pattern::{self, Flat, Piece, Space};
use crate::syntax::ast::{Ident, Span};

/// One guest.
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// Name of the instance: `riscv64`.
    pub name: String,
    /// Declared enums, by `EnumId`.
    pub enums: Vec<Enum>,
    /// Constant lists, by `ConstId`; scalar constants are folded.
    pub consts: Vec<Const>,
    /// Registers, by `RegId`.
    pub regs: Vec<Reg>,
    /// Slots in the order of their numbers.
    pub slots: Vec<Slot>,
    /// Contexts, by `ContextId`.
    pub contexts: Vec<Context>,
    /// Views, by `ViewId`.
    pub views: Vec<View>,
    /// Functions, by `FnId`.
    pub fns: Vec<Func>,
    /// Text helpers, by `ShowId`.
    pub shows: Vec<Show>,
    /// Functions written in Rust, by `ExternId`: the helper number.
    pub externs: Vec<Extern>,
    /// Encoding spaces in source order; the first is that of encodings without one.
    pub spaces: Vec<Space>,
    /// By space: contexts and their values after an instruction that does not assign them.
    pub after: Vec<Vec<(ContextId, Expr)>>,
    /// Prefixes, in source order.
    pub prefixes: Vec<Prefix>,
    /// Operands that consume bytes, by the numbers in [`Tail::Operand`].
    pub operands: Vec<Operand>,
    /// Instructions, by `InsnId`.
    pub insns: Vec<Insn>,
    /// What the property blocks say.
    pub sections: Sections,
}

/// An enum.
#[derive(Clone, Debug)]
pub struct Enum {
    /// Name.
    pub name: String,
    /// Bits of a field of this type.
    pub width: u32,
    /// Values in source order.
    pub values: Vec<EnumValue>,
}

/// A value of an enum.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Name.
    pub name: String,
    /// Number.
    pub value: i128,
    /// Text in assembly.
    pub text: String,
}

/// A constant list.
#[derive(Clone, Debug)]
pub struct Const {
    /// Name.
    pub name: String,
    /// Elements; static expressions without variables.
    pub value: Expr,
}

/// A register or an array of registers.
#[derive(Clone, Debug)]
pub struct Reg {
    /// Name.
    pub name: String,
    /// Elements; `None` for a single register.
    pub count: Option<u32>,
    /// Bits of one.
    pub width: u32,
    /// Number of the first slot; the elements of an array are consecutive.
    pub slot: u16,
}

/// A slot of the guest state.
#[derive(Clone, Debug)]
pub struct Slot {
    /// `gpr[3]`, `Z`.
    pub name: String,
    /// Bits.
    pub width: u32,
    /// Byte offset.
    pub offset: u16,
}

/// A translate-time state variable in the mode word.
#[derive(Clone, Debug)]
pub struct Context {
    /// Name.
    pub name: String,
    /// Lowest bit.
    pub lo: u32,
    /// Bits.
    pub width: u32,
    /// Value at process start; of a decode variable, at the start of an instruction.
    pub reset: u32,
    /// Read sign-extended.
    pub signed: bool,
    /// Set while decoding an instruction, not kept: above the mode word's bits.
    pub decoded: bool,
}

/// Register access with aliasing rules.
#[derive(Clone, Debug)]
pub struct View {
    /// Name.
    pub name: String,
    /// Parameters, in order; the ids are valid in all three bodies.
    pub params: Vec<VarId>,
    /// Which parameters are widths, with their sets.
    pub widths: Vec<Option<Vec<i128>>>,
    /// Type of the value, over the parameters.
    pub ty: Ty,
    /// Variables.
    pub locals: Locals,
    /// Getter.
    pub get: Option<Block>,
    /// Setter: variable of the value, body.
    pub set: Option<(VarId, Block)>,
    /// Text.
    pub show: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// A function.
#[derive(Clone, Debug)]
pub struct Func {
    /// Name.
    pub name: String,
    /// First line of the documentation.
    pub doc: String,
    /// Parameters, widths included.
    pub params: Vec<VarId>,
    /// Which parameters are widths, with their sets (empty: any).
    pub widths: Vec<Option<Vec<i128>>>,
    /// Result.
    pub ret: Ty,
    /// Variables.
    pub locals: Locals,
    /// Body.
    pub body: Block,
    /// Where.
    pub span: Span,
}

/// A text helper.
#[derive(Clone, Debug)]
pub struct Show {
    /// Name.
    pub name: String,
    /// Parameters.
    pub params: Vec<VarId>,
    /// Which parameters are widths, with their sets (empty: any).
    pub widths: Vec<Option<Vec<i128>>>,
    /// Variables.
    pub locals: Locals,
    /// Expression of type `Str`.
    pub body: Expr,
    /// Where.
    pub span: Span,
}

/// A function written in Rust.
#[derive(Clone, Debug)]
pub struct Extern {
    /// Name.
    pub name: String,
    /// Types of the arguments: `bits` of constant width.
    pub params: Vec<Ty>,
    /// Result.
    pub ret: Ty,
    /// No effect, no dependence on state.
    pub pure: bool,
    /// Reads registers: takes the state.
    pub reads: bool,
    /// Writes registers: takes the state to change it.
    pub writes: bool,
    /// The operation on numbers of 80 bits that a host may have instead: a variant of the emulator's `Extended`.
    pub extended: Option<&'static str>,
    /// Where.
    pub span: Span,
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Insn {
    /// Name.
    pub name: String,
    /// Documentation: one paragraph.
    pub doc: String,
    /// Variables of encodings, prelude, body and templates.
    pub locals: Locals,
    /// Encodings.
    pub encs: Vec<Enc>,
    /// Variables that every encoding binds: parameters of the body.
    pub params: Vec<VarId>,
    /// `let` and `width` clauses, in order.
    pub lets: Vec<Stmt>,
    /// `when` clauses and constant `requires`: all must hold or the word does not match.
    pub guards: Vec<Expr>,
    /// Templates; the first whose guard holds wins.
    pub asms: Vec<Asm>,
    /// What it does.
    pub action: Action,
    /// Number of its floating-point environment: 0 for the usual one.
    pub environment: usize,
    /// Names of instructions it takes precedence over.
    pub overrides: Vec<String>,
    /// Tests.
    pub tests: Vec<Test>,
    /// What the checker must still prove of the values that `with` binds.
    pub(crate) with_claims: std::ops::Range<usize>,
    /// Where.
    pub span: Span,
    /// `file:line`.
    pub at: String,
}

/// What an instruction does.
#[derive(Clone, Debug)]
pub enum Action {
    /// Statements.
    Body(Block),
    /// Another instruction with these fields, in the order of its `params`.
    Alias(InsnId, Vec<Expr>),
    /// Nothing given: reported already.
    Missing,
}

/// An encoding.
#[derive(Clone, Debug)]
pub struct Enc {
    /// Position of the clause in the syntax tree's instruction.
    pub index: usize,
    /// Bits, fields and constraints.
    pub flat: Flat,
    /// Fields, in the order of those of `flat`.
    pub fields: Vec<Field>,
    /// What follows them (byte-wise spaces).
    pub tail: Vec<Tail>,
    /// Contexts that fields set: a field that is called as a decode variable.
    pub sets: Vec<(usize, VarId)>,
    /// `with` bindings, in order.
    pub binds: Vec<(VarId, Expr)>,
    /// Its own `when`.
    pub guards: Vec<Expr>,
    /// The condition under which the instruction happens; 1 bit.
    pub predicate: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// What follows the head of an encoding in a byte-wise space.
#[derive(Clone, Debug)]
pub enum Tail {
    /// Bytes of an operand.
    Operand(usize),
    /// An immediate.
    Immediate {
        /// Variable it binds.
        var: VarId,
        /// Bits; an expression over decode variables.
        width: Expr,
        /// Sign-extended.
        signed: bool,
    },
}

/// A prefix: sets decode variables, then decoding goes on.
#[derive(Clone, Debug)]
pub struct Prefix {
    /// Name.
    pub name: String,
    /// Variables: the fields.
    pub locals: Locals,
    /// Encoding with its guard.
    pub enc: Enc,
    /// Assignments, in order: number of the context, value.
    pub sets: Vec<(usize, Expr)>,
}

/// The bytes of an operand: the first alternative that matches consumes its own.
#[derive(Clone, Debug)]
pub struct Operand {
    /// Name.
    pub name: String,
    /// Alternatives.
    pub alts: Vec<OperandAlt>,
}

/// One alternative.
#[derive(Clone, Debug)]
pub struct OperandAlt {
    /// Guard over decode variables.
    pub when: Option<Expr>,
    /// Fixed bits and fields of the first bytes; all fields are decode variables.
    pub flat: Flat,
    /// Numbers of the contexts that the fields of `flat` set.
    pub sets: Vec<usize>,
    /// Fields of whole bytes that follow: context, bits, sign.
    pub tail: Vec<(usize, u32, bool)>,
}

impl Enc {
    /// The variables that the encoding gives values.
    pub fn bound(&self) -> impl Iterator<Item = VarId> {
        let immediates = self.tail.iter().filter_map(|t| match t {
            Tail::Immediate { var, .. } => Some(*var),
            Tail::Operand(_) => None,
        });
        self.fields.iter().map(|f| f.var).chain(immediates).chain(self.binds.iter().map(|b| b.0))
    }
}

/// A field of an encoding.
#[derive(Clone, Debug)]
pub struct Field {
    /// Variable it binds.
    pub var: VarId,
    /// Pieces, in the order of the pattern.
    pub pieces: Vec<Piece>,
    /// Width when sign-extended from its highest bit.
    pub signed: Option<u32>,
}

/// A template with its guard.
#[derive(Clone, Debug)]
pub struct Asm {
    /// Text.
    pub template: Template,
    /// Guard.
    pub when: Option<Expr>,
}

/// A test.
#[derive(Clone, Debug)]
pub struct Test {
    /// Bytes in memory order.
    pub code: Vec<u8>,
    /// Expected text.
    pub text: String,
    /// Slots, contexts or `pc` before.
    pub before: Vec<(String, u128)>,
    /// After.
    pub after: Vec<(String, u128)>,
    /// Whether it runs.
    pub runs: bool,
    /// `file:line`.
    pub at: String,
    /// Where.
    pub span: Span,
}

/// LLVM's name of the processor and the extensions that the specification has.
#[derive(Clone, Debug)]
pub struct Disassembler {
    /// `triple = "riscv64";`
    pub triple: String,
    /// `attributes = "+m,+a";`
    pub attributes: String,
    /// `unknown = "vector.isa";`: a file of instructions that it does not know; empty without one.
    pub unknown: String,
}

/// What the property blocks say, resolved.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    /// Slot of the stack pointer.
    pub sp: Option<u16>,
    /// Slots worth pinning.
    pub pins: Vec<u16>,
    /// Slots worth pinning to vector registers.
    pub vector_pins: Vec<u16>,
    /// Slots of the condition flags.
    pub flags: Vec<u16>,
    /// `arch.interwork`: the context that bit 0 of an address of code gives.
    pub interwork: Option<ContextId>,
    /// `arch.transient`: contexts that start anew where code is entered from outside.
    pub transient: Vec<ContextId>,
    /// `arch.cleared`: slots that are zero there.
    pub cleared: Vec<u16>,
    /// `arch.address`: 32 or 64 bits.
    pub address_bits: u32,
    /// `arch.code_endian = big`
    pub big_code: bool,
    /// `arch.data_endian = big`
    pub big_data: bool,
    /// `arch.delay_slots`
    pub delay_slots: bool,
    /// `arch.max_length`: bytes of the longest instruction.
    pub max_length: u32,
    /// Stores are seen by fetches without the guest asking for it.
    pub coherent_icache: bool,
    /// `memory.model = tso`
    pub total_store_order: bool,
    /// `memory.ignore_top_byte`
    pub ignore_top_byte: bool,
    /// `elf.machine`
    pub elf_machine: u16,
    /// `elf.class`
    pub elf_class: u8,
    /// `elf.data = big`
    pub elf_big: bool,
    /// `elf.flags`
    pub elf_flags: u32,
    /// `disassembler`: who judges the decoder.
    pub disassembler: Option<Disassembler>,
    /// `process.entry_sp_align`
    pub entry_sp_align: u32,
    /// `process.hwcap`
    pub hwcap: u64,
    /// `process.hwcap2`
    pub hwcap2: u64,
    /// `process.platform`
    pub platform: String,
    /// `process.machine`
    pub machine: String,
    /// `process.ifunc`: `none`, `hwcap`, `hwcap_block`, or empty
    pub ifunc: String,
    /// `process.tls`
    pub tls: Option<u16>,
    /// `syscall.number`
    pub syscall_number: Option<u16>,
    /// `syscall.args`
    pub syscall_args: Vec<u16>,
    /// `syscall.ret`
    pub syscall_ret: Option<u16>,
    /// `syscall.error_flag`
    pub syscall_error: Option<u16>,
    /// `syscall.stack_args`
    pub syscall_stack_args: Option<u32>,
    /// `abi.callee`
    pub callee: Option<u16>,
    /// `abi.int_args`
    pub int_args: Vec<u16>,
    /// `abi.fp_args`
    pub fp_args: Vec<u16>,
    /// `abi.int_ret`
    pub int_ret: Vec<u16>,
    /// `abi.fp_ret`
    pub fp_ret: Vec<u16>,
    /// `abi.return_address`
    pub return_address: Option<u16>,
    /// `abi.callee_saved`
    pub callee_saved: Vec<u16>,
    /// `abi.hidden_pointer`
    pub hidden_pointer: Option<u16>,
    /// `abi.stack`
    pub stack: StackDesc,
    /// `abi.arg_rules`
    pub arg_rules: Vec<Rule>,
    /// `abi.ret_rules`
    pub ret_rules: Vec<Rule>,
    /// `native_call`
    pub native_call: Option<NativeCall>,
    /// `fp`
    pub fp: Fp,
    /// `fp name`, of which only the mode says something.
    pub fp_named: Vec<Fp>,
}

/// The reserved native-call encoding.
#[derive(Clone, Debug, Default)]
pub struct NativeCall {
    /// `code`
    pub code: Vec<u8>,
    /// `ret`
    pub ret: Vec<u8>,
    /// `name_from = end`: the word counts from its own end, not its start.
    pub after: bool,
    /// Place of the block.
    pub span: Span,
}

/// Floating-point policy, by the names of the property values.
#[derive(Clone, Debug, Default)]
pub struct Fp {
    /// `canonical`, `first_operand`, `signalling_first`
    pub nan: String,
    /// Sign of the default NaN.
    pub default_nan_sign: bool,
    /// `invalid`, which it is if nothing is said, `addend`, `quiet`
    pub product_nan: String,
    /// `before_rounding`, `after_rounding`
    pub tininess: String,
    /// `zero`, `max`, `indefinite`
    pub nan_to_int: String,
    /// `mode { round = .. }`, of type `Round`, over contexts.
    pub round: Option<Expr>,
    /// `mode { flush_inputs = .. }`, `flush_results`, `default_nan`: bools over contexts.
    pub flush_inputs: Option<Expr>,
    /// See `flush_inputs`.
    pub flush_results: Option<Expr>,
    /// See `flush_inputs`.
    pub default_nan: Option<Expr>,
}

impl Model {
    /// Whether instructions are sequences of bytes, decoded with prefixes and decode variables.
    pub fn bytewise(&self) -> bool {
        self.spaces.iter().any(|s| s.unit == 8)
    }

    /// The contexts that are kept from one instruction to the next.
    pub fn modes(&self) -> impl Iterator<Item = &Context> {
        self.contexts.iter().filter(|c| !c.decoded)
    }

    /// Number of the decode variable of a name.
    pub fn decode_var(&self, name: &str) -> Option<usize> {
        self.contexts.iter().position(|c| c.decoded && c.name == name)
    }

    /// All decode variables at the start of an instruction, in their places.
    pub fn decode_reset(&self) -> u128 {
        self.contexts.iter().filter(|c| c.decoded).fold(0, |all, c| all | u128::from(c.reset) << c.lo)
    }

    /// A constant list.
    pub fn constant(&self, id: ConstId) -> &Const {
        &self.consts[id.0 as usize]
    }

    /// A register.
    pub fn reg(&self, id: RegId) -> &Reg {
        &self.regs[id.0 as usize]
    }

    /// The mode word at process start, but in which a space is active.
    pub fn mode_of(&self, space: &Space) -> u32 {
        let reset = self.modes().fold(0, |mode, c| mode | c.reset << c.lo);
        let (mask, value) = self.active_bits(space);
        reset & !mask | value
    }

    /// Bits of the mode word, and the value they have where a space is active.
    pub fn active_bits(&self, space: &Space) -> (u32, u32) {
        let one = |(mask, value): (u32, u32), (name, wanted): &(Ident, u32)| {
            let context = self.contexts.iter().find(|c| *c.name == *name.name);
            context.map_or((mask, value), |c| {
                let field = ((1_u64 << c.width) - 1) as u32;
                (mask | field << c.lo, value | (wanted & field) << c.lo)
            })
        };
        space.active.iter().fold((0, 0), one)
    }

    /// The space of the instruction at the start of `code`, in memory order; `None` if there is none for its first unit.
    pub fn space_of(&self, first: u32, mode: u32) -> Option<usize> {
        let unit = self.smallest_unit();
        let is_active = |s: &Space| {
            let (mask, value) = self.active_bits(s);
            mode & mask == value
        };
        let selects = |s: &Space| s.select.is_none_or(|select| select.holds(u128::from(first) & pattern::ones(unit)));
        self.spaces.iter().position(|s| is_active(s) && selects(s))
    }

    /// Bits of the smallest unit of all spaces.
    pub fn smallest_unit(&self) -> u32 {
        self.spaces.iter().map(|s| s.unit).min().unwrap_or(8)
    }

    /// An instruction.
    pub fn insn(&self, id: InsnId) -> &Insn {
        &self.insns[id.0 as usize]
    }
}
