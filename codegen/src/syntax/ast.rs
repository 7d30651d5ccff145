//! The syntax tree of a specification: plain data, every node with its span, nothing resolved.
//!
//! Two conveniences the parser already applies, so that later passes see one form:
//! `a.f(x)` is [`ExprKind::Call`] `f(a, x)`, and a block-like expression in last position is the block's `tail`.

mod enc;
mod expr;

pub use enc::*;
pub use expr::*;

use std::rc::Rc;

/// Index of a source file in the [`SourceMap`](crate::diag::SourceMap).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct FileId(pub u16);

/// A byte range of one file.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Span {
    /// The file.
    pub file: FileId,
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The smallest span that covers both; `other` must be of the same file.
    pub fn to(self, other: Span) -> Span {
        Span { file: self.file, start: self.start.min(other.start), end: self.end.max(other.end) }
    }
}

/// A name with its place.
#[derive(Clone, Debug)]
pub struct Ident {
    /// The text.
    pub name: Rc<str>,
    /// Where.
    pub span: Span,
}

impl std::fmt::Display for Ident {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// Number of an expression node, unique within a [`Spec`]: the key of side tables.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct ExprId(pub u32);

/// All items of all files of one specification, by kind, in source order.
#[derive(Clone, Debug, Default)]
pub struct Spec {
    /// `config name: domain = default;`
    pub configs: Vec<Config>,
    /// `instance name { .. }`
    pub instances: Vec<Instance>,
    /// Property blocks: `arch`, `space`, `elf`, `abi` …
    pub sections: Vec<Section>,
    /// `reg a, b[4]: bits(n);`
    pub regs: Vec<Reg>,
    /// `context name: width = reset;`
    pub contexts: Vec<Context>,
    /// `decode_var name: width = reset;`
    pub decode_vars: Vec<Context>,
    /// `view name[params]: T { .. }`
    pub views: Vec<View>,
    /// `enum Name: width { .. }`
    pub enums: Vec<EnumDef>,
    /// `const name = e;`
    pub consts: Vec<ConstDef>,
    /// `fn name(..) -> T ..`
    pub fns: Vec<FnDef>,
    /// `extern fn name(..) -> T [attrs];`
    pub extern_fns: Vec<ExternFn>,
    /// `show name(..) = e;`
    pub shows: Vec<ShowDef>,
    /// `pattern name = ..;`
    pub patterns: Vec<PatternDef>,
    /// `operand name(..): T { | .. }`
    pub operands: Vec<OperandDef>,
    /// `prefix name { .. }`
    pub prefixes: Vec<PrefixDef>,
    /// `insn name { .. }`
    pub insns: Vec<Insn>,
    /// Number of expression nodes: every [`ExprId`] is below it.
    pub expr_count: u32,
}

/// A parameter of the specification with its allowed values.
#[derive(Clone, Debug)]
pub struct Config {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// The set of allowed values.
    pub domain: Expr,
    /// Value where an instance gives none.
    pub default: Option<Expr>,
}

/// A concrete guest made from the specification.
#[derive(Clone, Debug)]
pub struct Instance {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Values of configs, features.
    pub props: Props,
}

/// A property block at the top level.
#[derive(Clone, Debug)]
pub struct Section {
    /// Documentation comment.
    pub doc: String,
    /// `arch`, `space`, `elf`, `abi`, `syscall`, `native_call`, `memory`, `fp`, `process`, `disassembler`.
    pub kind: Ident,
    /// Its name (`space a64`), where it has one.
    pub name: Option<Ident>,
    /// Contents.
    pub props: Props,
}

/// The contents of a property block.
#[derive(Clone, Debug)]
pub struct Props {
    /// In source order.
    pub items: Vec<Prop>,
    /// The braces and what is between.
    pub span: Span,
}

/// One property.
#[derive(Clone, Debug)]
pub struct Prop {
    /// Key.
    pub key: Ident,
    /// Value or nested block.
    pub value: PropValue,
}

/// What follows a key.
#[derive(Clone, Debug)]
pub enum PropValue {
    /// `key = e;`
    Expr(Expr),
    /// `key name? { .. }`; assignments, as in `after { it = it_advance(it); }`, are properties of the block.
    Block(Option<Ident>, Props),
}

/// `reg a, b[4]: bits(n);`, one per name.
#[derive(Clone, Debug)]
pub struct Reg {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Number of elements of an array.
    pub count: Option<Expr>,
    /// Type of one element.
    pub ty: Ty,
}

/// `context` and `decode_var`.
#[derive(Clone, Debug)]
pub struct Context {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Width in bits.
    pub width: Expr,
    /// Read sign-extended (`decode_var disp: s32`).
    pub signed: bool,
    /// Reset value.
    pub reset: Option<Expr>,
}

/// Register access with aliasing rules.
#[derive(Clone, Debug)]
pub struct View {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Indices, in brackets.
    pub params: Vec<Param>,
    /// Type of the value.
    pub ty: Ty,
    /// Getter.
    pub get: Option<Block>,
    /// Setter: name of the value, body.
    pub set: Option<(Ident, Block)>,
    /// Text.
    pub show: Option<Expr>,
}

/// `enum Name: width { .. }`
#[derive(Clone, Debug)]
pub struct EnumDef {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Width in bits of the field.
    pub width: u32,
    /// Values.
    pub values: Vec<EnumValue>,
}

/// One value of an enum.
#[derive(Clone, Debug)]
pub struct EnumValue {
    /// Name.
    pub name: Ident,
    /// Number.
    pub value: u128,
    /// Text in assembly; the name where there is none.
    pub text: Option<String>,
}

/// `const name = e;`
#[derive(Clone, Debug)]
pub struct ConstDef {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Value.
    pub value: Expr,
}

/// A function of the specification.
#[derive(Clone, Debug)]
pub struct FnDef {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Parameters.
    pub params: Vec<Param>,
    /// Result type.
    pub ret: Option<Ty>,
    /// Body; `= e;` is a block with only a tail.
    pub body: Block,
}

/// A function written in Rust.
#[derive(Clone, Debug)]
pub struct ExternFn {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Parameters; a nameless one is called `_`.
    pub params: Vec<Param>,
    /// Result type.
    pub ret: Option<Ty>,
    /// `pure`, `reads(x)`, `writes(x)`, `may_fault`, `memory`.
    pub attrs: Vec<Attr>,
}

/// A helper that makes text.
#[derive(Clone, Debug)]
pub struct ShowDef {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Parameters.
    pub params: Vec<Param>,
    /// The text.
    pub body: Expr,
}

/// A parameter of a function, view or operand.
#[derive(Clone, Debug)]
pub enum Param {
    /// `width w in {32, 64}`
    Width {
        /// Name.
        name: Ident,
        /// Allowed widths; empty when not given.
        set: Vec<Expr>,
    },
    /// `name: T`
    Value {
        /// Name.
        name: Ident,
        /// Type.
        ty: Ty,
    },
}

impl Param {
    /// Its name.
    pub fn name(&self) -> &Ident {
        match self {
            Param::Width { name, .. } | Param::Value { name, .. } => name,
        }
    }
}

/// `pure`, `reads(x)`.
#[derive(Clone, Debug)]
pub struct Attr {
    /// Name.
    pub name: Ident,
    /// Argument.
    pub arg: Option<Expr>,
}

/// A type as written.
#[derive(Clone, Debug)]
pub struct Ty {
    /// What.
    pub kind: TyKind,
    /// Where.
    pub span: Span,
}

/// The forms of a type.
#[derive(Clone, Debug)]
pub enum TyKind {
    /// `bits(n)`
    Bits(Box<Expr>),
    /// `int`
    Int,
    /// `bool`
    Bool,
    /// `str`
    Str,
    /// `lanes(e)` or `lanes(e, n)`
    Lanes(Vec<Expr>),
    /// `place(n)`
    Place(Box<Expr>),
    /// An enum, declared or built in.
    Named(Ident),
    /// `(A, B)`
    Tuple(Vec<Ty>),
}
