//! The checked tree: every name resolved, every node typed, binding times settled. The emitters read nothing else.
//!
//! One kind of expression serves both binding times; its type tells which: `Int`, `Bool`, `Str`, enums and lists are known
//! when translating and become Rust values, `Bits` and `Lanes` are known when running and become IR values.

use crate::syntax::ast::{BinOp, Span, UnOp};
use std::rc::Rc;

/// Index of a local variable in its [`Body`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct VarId(pub u32);
/// Index of an enum in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EnumId(pub u32);
/// Index of a register (or register array) in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegId(pub u32);
/// Index of a context in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ContextId(pub u32);
/// Index of a view in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ViewId(pub u32);
/// Index of a function in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct FnId(pub u32);
/// Index of a `show` helper in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ShowId(pub u32);
/// Index of an `extern fn` in the model: the helper number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ExternId(pub u32);
/// Index of a constant list in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ConstId(pub u32);
/// Index of an instruction in the model.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct InsnId(pub u32);

/// A width in bits: an expression of type `Int`.
pub type Width = Rc<Expr>;

/// A type.
#[derive(Clone, Debug)]
pub enum Ty {
    /// Mathematical integer, known when translating.
    Int,
    /// Truth value, known when translating.
    Bool,
    /// Text, known when translating.
    Str,
    /// Enumeration, known when translating.
    Enum(EnumTy),
    /// List of translate-time values.
    List(Box<Ty>),
    /// Run-time value.
    Bits(Width),
    /// Run-time value seen as lanes of `lane` bits.
    Lanes {
        /// Bits of one lane.
        lane: Width,
        /// Bits of the whole.
        width: Width,
    },
    /// Where a run-time value of so many bits is: a register view or memory, chosen when translating.
    Place(Width),
    /// Several values.
    Tuple(Vec<Ty>),
    /// No value.
    Unit,
    /// The type of `undef`, which is of every type.
    Undef,
    /// The type of an expression that was reported already.
    Error,
}

impl Ty {
    /// Known when translating.
    pub fn is_static(&self) -> bool {
        matches!(self, Ty::Int | Ty::Bool | Ty::Str | Ty::Enum(_) | Ty::List(_))
    }

    /// `Bits` or `Lanes`.
    pub fn is_dynamic(&self) -> bool {
        matches!(self, Ty::Bits(_) | Ty::Lanes { .. })
    }

    /// Width of a run-time value.
    pub fn width(&self) -> Option<&Width> {
        match self {
            Ty::Bits(w) | Ty::Lanes { width: w, .. } => Some(w),
            _ => None,
        }
    }
}

/// A declared or a built-in enum.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EnumTy {
    /// `enum Name: width { .. }`
    User(EnumId),
    /// One of those the built-in functions take.
    Builtin(BuiltinEnum),
}

/// Enums of the language.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BuiltinEnum {
    /// Floating-point rounding.
    Round,
    /// Memory ordering.
    Order,
    /// Return-stack hint of an indirect jump.
    Hint,
    /// When the instruction in a delay slot is executed.
    Delay,
    /// Atomic read-modify-write.
    AtomicOp,
    /// NaN treatment of minimum and maximum.
    MinMax,
    /// A step of a cipher, a hash or a search.
    Step,
    /// Guest traps.
    Trap,
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What.
    pub kind: ExprKind,
    /// Type.
    pub ty: Ty,
    /// Where.
    pub span: Span,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// Integer.
    Int(i128),
    /// Truth value.
    Bool(bool),
    /// Text with holes.
    Template(Template),
    /// A value of the enum in the type: number of a declared one, position of a built-in one.
    EnumValue(i128),
    /// `undef`: traps if the translation gets here.
    Undef,
    /// A local.
    Var(VarId),
    /// Address of the instruction.
    Pc,
    /// Address after the instruction.
    PcNext,
    /// Translate-time state.
    Context(ContextId),
    /// A constant list.
    Const(ConstId),
    /// List of translate-time values.
    List(Vec<Expr>),
    /// Element of a list.
    Element(Box<Expr>, Box<Expr>),
    /// Translate-time operator. Of ints, bools or enums (`==`, `!=`).
    Unary(UnOp, Box<Expr>),
    /// Translate-time operator.
    Binary(BinOp, Box<Expr>, Box<Expr>),
    /// Membership: each alternative is a value or an inclusive range.
    In(Box<Expr>, Vec<(Expr, Option<Expr>)>),
    /// Built-in function of ints.
    Static(StaticFn, Vec<Expr>),
    /// Int to declared enum or back.
    Convert(Box<Expr>),
    /// Int or bool to bits, modulo 2^width.
    Constant(Box<Expr>),
    /// Register; an array has an index.
    Reg(RegId, Option<Box<Expr>>),
    /// A view as a place.
    PlaceView(ViewId, Vec<Expr>),
    /// Value of a view; widths are among the arguments, in the order of the parameters.
    View(ViewId, Vec<Expr>),
    /// Call of a function; widths are among the arguments.
    Call(FnId, Vec<Expr>),
    /// Call of a Rust function.
    Extern(ExternId, Vec<Expr>),
    /// Call of a text helper.
    Show(ShowId, Vec<Expr>),
    /// Run-time operation or effect.
    Op(Op, Vec<Expr>),
    /// `shuffle(a, b, |i| pick)`
    Shuffle {
        /// Low and high source.
        sources: Box<(Expr, Expr)>,
        /// Lane number.
        var: VarId,
        /// Lane picked.
        pick: Box<Expr>,
    },
    /// `reduce(lanes, |x, y| body)`
    Reduce {
        /// What is reduced.
        lanes: Box<Expr>,
        /// The lanes so far, and their neighbours.
        vars: [VarId; 2],
        /// Both combined, lane by lane.
        body: Box<Expr>,
    },
    /// `join(separator, n, |i| text)`
    Join {
        /// Between the texts.
        separator: Box<Expr>,
        /// How many.
        count: Box<Expr>,
        /// Number of the text.
        var: VarId,
        /// Text.
        text: Box<Expr>,
    },
    /// Translate-time choice.
    If(Box<Expr>, Block, Block),
    /// Translate-time choice.
    Match(Box<Expr>, Vec<Arm>),
    /// Statements and a value.
    Block(Block),
    /// Several values.
    Tuple(Vec<Expr>),
}

/// An arm of a translate-time `match`; the last one takes everything left.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Constants; empty for `_`.
    pub values: Vec<Expr>,
    /// Body.
    pub body: Block,
}

/// Statements and a value.
#[derive(Clone, Debug, Default)]
pub struct Block {
    /// Statements.
    pub stmts: Vec<Stmt>,
    /// Value.
    pub tail: Option<Box<Expr>>,
}

/// A statement.
#[derive(Clone, Debug)]
pub struct Stmt {
    /// What.
    pub kind: StmtKind,
    /// Where.
    pub span: Span,
}

/// The kinds of statements.
#[derive(Clone, Debug)]
pub enum StmtKind {
    /// One variable, or several for a tuple.
    Let(Vec<VarId>, Expr),
    /// Register write.
    SetReg(RegId, Option<Expr>, Expr),
    /// View write: arguments, value.
    SetView(ViewId, Vec<Expr>, Expr),
    /// Write of a place.
    SetPlace(Expr, Expr),
    /// Context write; ends the unit when the value is only known when running.
    SetContext(ContextId, Expr),
    /// Unrolled loop, upper bound excluded.
    For(VarId, Expr, Expr, Block),
    /// For its effect.
    Expr(Expr),
}

/// A local variable.
#[derive(Clone, Debug)]
pub struct Var {
    /// Name in the spec.
    pub name: Rc<str>,
    /// Type.
    pub ty: Ty,
    /// Where it is introduced.
    pub span: Span,
    /// What is known of its values.
    pub domain: Domain,
}

impl Var {
    /// Whether the variable is a field or a parameter, not defined by others.
    pub fn domain_is_root(&self) -> bool {
        !matches!(self.domain, Domain::Let(..))
    }
}

/// Where the values of a variable come from.
#[derive(Clone, Debug)]
pub enum Domain {
    /// Anything.
    Unknown,
    /// One of these.
    Set(Rc<[i128]>),
    /// `lo <= x < hi`.
    Range(i128, i128),
    /// The value of an expression, and if it is a `width`, one of a set.
    Let(Rc<Expr>, Option<Rc<[i128]>>),
    /// Parameter number of the body's function: what callers pass.
    Param(u32),
}

/// Variables of a function, view, instruction.
#[derive(Clone, Debug, Default)]
pub struct Locals {
    /// By [`VarId`].
    pub vars: Vec<Var>,
}

impl Locals {
    /// A variable.
    pub fn get(&self, id: VarId) -> &Var {
        &self.vars[id.0 as usize]
    }
}

/// Text with holes.
#[derive(Clone, Debug)]
pub struct Template {
    /// In order.
    pub parts: Vec<Part>,
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum Part {
    /// Fixed text.
    Text(String),
    /// A value of type `Int`, `Bool`, `Enum`, `Str`, printed in decimal, by name or as is.
    Plain(Expr),
    /// `#x`
    Hex(Expr),
    /// `+#x`
    SignedHex(Expr),
    /// A view's `show`.
    View(ViewId, Vec<Expr>),
    /// The text at the position of the value, or at the position of the value in the set of a `width`.
    Pick {
        /// The value.
        value: Expr,
        /// Members of the width's set, ascending as written; empty for plain ints.
        set: Vec<i128>,
        /// Texts.
        texts: Vec<Template>,
    },
}

/// Built-in functions of translate-time integers.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum StaticFn {
    /// Floor of the logarithm to base 2.
    Log2,
    /// `ones(n)`: n ones.
    Ones,
    /// Position of the highest one; -1 for 0.
    HighestBit,
    /// Number of ones.
    Popcount,
    /// `replicate(v, esize, size)`
    Replicate,
    /// `rotate_right(v, n, size)`
    RotateRight,
    /// `bit(v, i)`
    Bit,
    /// Absolute value.
    Abs,
    /// Smaller one.
    Min,
    /// Larger one.
    Max,
    /// `code_word(addr)`: the 32-bit word of the code at an address, signed.
    CodeWord,
}

/// Run-time operations. Types and widths are those of operands and result; lane-wise when these are `Lanes`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // the names are those of the language reference, `isa-specs/README.md`
pub enum Op {
    Add,
    Sub,
    Mul,
    MulHighU,
    MulHighS,
    DivU,
    DivS,
    RemU,
    RemS,
    And,
    Or,
    Xor,
    Not,
    Neg,
    Shl,
    Shr,
    Sar,
    Rotr,
    Rotl,
    Clz,
    Ctz,
    Popcount,
    ReverseBits,
    ReverseBytes,
    Parity,
    Zext,
    Sext,
    /// Operands: value. The result's width tells how much.
    Low,
    /// Operands: value, lowest bit (int).
    Extract,
    /// Operands: value, lowest bit (int), field.
    Insert,
    Concat,
    Select,
    /// Operands: list of ints, index.
    Lookup,
    Crc32,
    Crc32c,
    /// Operands: value, mask.
    Deposit,
    Gather,
    /// Operands: which, three values, a constant (int).
    Step,
    Clmul,
    Eq,
    Ne,
    LtU,
    LeU,
    LtS,
    LeS,
    GtU,
    GtS,
    GeU,
    GeS,
    CarryAdd,
    Borrow,
    OverflowAdd,
    OverflowSub,
    MinS,
    MaxS,
    MinU,
    MaxU,
    /// Bits as lanes, lanes as bits.
    Reinterpret,
    /// Operands: address, order, alignment in bytes (int, 0 for none).
    Load,
    /// Operands: address, value, order, alignment.
    Store,
    LoadExclusive,
    StoreExclusive,
    ClearExclusive,
    Atomic,
    AtomicCas,
    /// Operands: four bools.
    Fence,
    /// Memory as a place. Operands: address, alignment.
    PlaceMemory,
    /// A value as a place that can only be read.
    PlaceValue,
    /// Reads a place.
    PlaceGet,
    /// Operands: place, the value read from it, the new value. Atomic update of a place in memory; the old value. If the value is
    /// another one meanwhile, the instruction is executed again.
    PlaceUpdate,
    Abs,
    AvgU,
    SatAddS,
    SatAddU,
    SatSubS,
    SatSubU,
    Blend,
    Splat,
    Lane,
    WithLane,
    Table,
    WidenS,
    WidenU,
    Narrow,
    NarrowSS,
    NarrowUU,
    NarrowSU,
    MulLongS,
    MulLongU,
    Fadd,
    Fsub,
    Fmul,
    Fdiv,
    Fsqrt,
    Fma,
    Fmin,
    Fmax,
    FcmpEq,
    FcmpLt,
    FcmpLe,
    FcmpUn,
    FcmpEqS,
    FcmpLtS,
    FcmpLeS,
    FcmpUnS,
    Fround,
    Fcvt,
    FtoiS,
    FtoiU,
    ItofS,
    ItofU,
    Fneg,
    Fabs,
    FpFlags,
    SetFpFlags,
    Jump,
    Branch,
    JumpIndirect,
    Call,
    Trap,
    TrapIf,
    SkipIf,
    Undefined,
    Syscall,
    NativeCall,
    InstructionBarrier,
    IcacheFlush,
}
