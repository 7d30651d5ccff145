//! The syntax tree of a specification: plain data, every node with its span, nothing resolved.
//!
//! Two conveniences the parser already applies, so that later passes see one form:
//! `a.f(x)` is [`ExprKind::Call`] `f(a, x)`, and a block-like expression in last position is the block's `tail`.

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
    /// `arch`, `space`, `elf`, `abi`, `syscall`, `native_call`, `memory`, `fp`, `signal`, `process`.
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
    /// Reset value.
    pub reset: Option<Expr>,
    /// The register the context mirrors.
    pub mirrors: Option<Expr>,
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

// ---------------------------------------------------------------- encodings

/// `pattern name = bits;`
#[derive(Clone, Debug)]
pub struct PatternDef {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// The bits.
    pub bits: BitPattern,
}

/// A sequence of pattern items, most significant first.
#[derive(Clone, Debug)]
pub struct BitPattern {
    /// Items.
    pub items: Vec<PatItem>,
    /// All of it.
    pub span: Span,
}

/// One item of a bit pattern.
#[derive(Clone, Debug)]
pub struct PatItem {
    /// What.
    pub kind: PatKind,
    /// Where.
    pub span: Span,
}

/// The kinds of pattern items.
#[derive(Clone, Debug)]
pub enum PatKind {
    /// `0110x`: fixed and ignored bits, most significant first.
    Bits(Vec<PatBit>),
    /// `0x0f`: fixed nibbles, value and width in bits.
    Hex {
        /// Value.
        value: u128,
        /// Number of bits.
        width: u32,
    },
    /// `(0)`: should be these bits; decoded as ignored.
    ShouldBe(Vec<bool>),
    /// `name:5`, `imm:s12`, `op:Alu`, each with an optional constraint.
    Field {
        /// Name.
        name: Ident,
        /// `s`: sign-extended.
        signed: bool,
        /// Width.
        width: FieldWidth,
        /// Allowed or excluded values.
        constraint: Option<Constraint>,
    },
    /// `imm[10:5]`, `imm[s12]`: bits of a split field.
    Piece {
        /// Field.
        name: Ident,
        /// Highest bit.
        hi: u32,
        /// Lowest bit.
        lo: u32,
        /// The highest bit is the sign of the field.
        signed: bool,
    },
    /// `modrm(reg = 000)`: a named pattern.
    Macro {
        /// Its name.
        name: Ident,
        /// Changes to its fields.
        args: Vec<MacroArg>,
    },
    /// `@ea`: a sub-decoder.
    Operand {
        /// Its name.
        name: Ident,
        /// Arguments.
        args: Vec<Expr>,
    },
}

/// One bit of a literal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PatBit {
    /// Must be 0.
    Zero,
    /// Must be 1.
    One,
    /// Ignored.
    Any,
}

/// How the width of a field is given.
#[derive(Clone, Debug)]
pub enum FieldWidth {
    /// In bits.
    Bits(u32),
    /// By an enum.
    Enum(Ident),
    /// Computed while decoding (byte-wise spaces).
    Expr(Box<Expr>),
}

/// `= {000, 001}` or `!= 11`.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// `!=`
    pub negated: bool,
    /// Values.
    pub values: Vec<ConstraintValue>,
    /// Where.
    pub span: Span,
}

/// A value in a constraint.
#[derive(Clone, Debug)]
pub enum ConstraintValue {
    /// Binary digits with `x` for any, most significant first.
    Bits(Vec<PatBit>, Span),
    /// Name of an enum value.
    Name(Ident),
}

/// An argument of a named pattern.
#[derive(Clone, Debug)]
pub enum MacroArg {
    /// `field = bits`, `field != bits`
    Constrain(Ident, Constraint),
    /// `field:new_name` or `field:Enum`
    Rename(Ident, Ident),
}

/// A sub-decoder.
#[derive(Clone, Debug)]
pub struct OperandDef {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Parameters.
    pub params: Vec<Param>,
    /// Type of the value.
    pub ty: Ty,
    /// Alternatives, in order.
    pub alts: Vec<OperandAlt>,
}

/// One alternative of an operand.
#[derive(Clone, Debug)]
pub struct OperandAlt {
    /// Bytes it consumes.
    pub bits: Option<BitPattern>,
    /// Guard.
    pub when: Option<Expr>,
    /// Value.
    pub value: Expr,
    /// Text.
    pub show: Option<Expr>,
    /// Where.
    pub span: Span,
}

/// An encoding that sets decode variables and continues decoding.
#[derive(Clone, Debug)]
pub struct PrefixDef {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// Encoding.
    pub enc: Enc,
    /// Assignments.
    pub body: Vec<Stmt>,
}

/// An instruction.
#[derive(Clone, Debug)]
pub struct Insn {
    /// Documentation comment.
    pub doc: String,
    /// Name.
    pub name: Ident,
    /// `[lockable]`
    pub attrs: Vec<Attr>,
    /// Encodings.
    pub encs: Vec<Enc>,
    /// `let`, `width` and `when` clauses, in order: what follows decoding and precedes the body.
    pub prelude: Vec<Prelude>,
    /// Assembly templates; the first whose guard holds wins.
    pub asms: Vec<Asm>,
    /// `as other(field = e);`
    pub alias: Option<Alias>,
    /// Feature gates.
    pub requires: Vec<Expr>,
    /// Instructions this one takes precedence over.
    pub overrides: Vec<Ident>,
    /// Body.
    pub exec: Option<Block>,
    /// Tests.
    pub tests: Vec<Test>,
    /// The whole item.
    pub span: Span,
}

/// A clause between encoding and body.
#[derive(Clone, Debug)]
#[allow(clippy::large_enum_variant)] // syntax trees are small; boxes would be in the way of matching
pub enum Prelude {
    /// `let x = e;` ([`Stmt`] of kind `Let`) or `width w in {..} = e;` (kind `Width`).
    Stmt(Stmt),
    /// `when e;`: does not match otherwise.
    When(Expr),
}

/// `enc(space, var = e) bits with a = b when g;`
#[derive(Clone, Debug)]
pub struct Enc {
    /// Space; the first declared one where not given.
    pub space: Option<Ident>,
    /// Further keys of the head.
    pub keys: Vec<Binding>,
    /// Bits.
    pub bits: BitPattern,
    /// Names the encoding lacks.
    pub with: Vec<Binding>,
    /// Guard.
    pub when: Option<Expr>,
    /// The whole clause.
    pub span: Span,
}

/// `name = e`
#[derive(Clone, Debug)]
pub struct Binding {
    /// Name.
    pub name: Ident,
    /// Value.
    pub value: Expr,
}

/// `asm "template" when e;`
#[derive(Clone, Debug)]
pub struct Asm {
    /// Template.
    pub template: Template,
    /// Guard.
    pub when: Option<Expr>,
    /// The whole clause.
    pub span: Span,
}

/// `as other(field = e);`
#[derive(Clone, Debug)]
pub struct Alias {
    /// Instruction to execute as.
    pub target: Ident,
    /// Its fields.
    pub args: Vec<Binding>,
    /// The whole clause.
    pub span: Span,
}

/// `test "hex" "text" { in } => { out };`
#[derive(Clone, Debug)]
pub struct Test {
    /// Encoding, as one number per unit, most significant digit first.
    pub code: String,
    /// Place of the encoding.
    pub code_span: Span,
    /// Expected text.
    pub text: String,
    /// Registers before.
    pub input: Vec<Binding>,
    /// Registers after.
    pub output: Vec<Binding>,
    /// Whether there is an `{ in } => { out }` part: without it only decoding and text are tested.
    pub runs: bool,
    /// The whole clause.
    pub span: Span,
}

// ---------------------------------------------------------------- statements, expressions

/// Statements and a value.
#[derive(Clone, Debug)]
pub struct Block {
    /// Statements.
    pub stmts: Vec<Stmt>,
    /// Last expression without `;`. An `if`, `match` in last position is always here, value or not.
    pub tail: Option<Box<Expr>>,
    /// Where.
    pub span: Span,
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
    /// `let x: T = e;` or `let (a, b) = e;`
    Let {
        /// One name, or several for a tuple.
        names: Vec<Ident>,
        /// Written with parentheses.
        tuple: bool,
        /// Type of the whole value.
        ty: Option<Ty>,
        /// Value.
        value: Expr,
    },
    /// `width w in {32, 64} = e;`
    Width {
        /// Name.
        name: Ident,
        /// Allowed widths.
        set: Vec<Expr>,
        /// Value.
        value: Expr,
    },
    /// `place = e;` or `(a, b) = e;`
    Assign {
        /// Places: `Name`, `Index`, `Slice`, `Call` (an operand) expressions.
        targets: Vec<Expr>,
        /// Written with parentheses.
        tuple: bool,
        /// Value.
        value: Expr,
    },
    /// `for i in lo..hi { .. }`: `hi` excluded.
    For {
        /// Variable.
        var: Ident,
        /// First.
        lo: Expr,
        /// One past the last.
        hi: Expr,
        /// Body.
        body: Block,
    },
    /// A call, `if`, `match` for its effect.
    Expr(Expr),
}

/// An expression.
#[derive(Clone, Debug)]
pub struct Expr {
    /// What.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
    /// Its number.
    pub id: ExprId,
}

/// The kinds of expressions.
#[derive(Clone, Debug)]
pub enum ExprKind {
    /// `12`, `0x1f`, `0b10`
    Int(u128),
    /// `true`, `false`
    Bool(bool),
    /// `"text {e}"`
    Str(Template),
    /// `undef`
    Undef,
    /// A variable, register, field, constant, enum value …
    Name(Ident),
    /// `Enum.value`
    Member(Box<Expr>, Ident),
    /// `-a`, `!a`, `~a`
    Unary(UnOp, Box<Expr>),
    /// `a + b`
    Binary(BinOp, Box<Expr>, Box<Expr>),
    /// `f(a, name = b)`; `a.f(b)` is `f(a, b)`.
    Call {
        /// Function, view, operand, enum, built-in.
        callee: Ident,
        /// Arguments.
        args: Vec<Arg>,
        /// Written as `a.f(b)`.
        method: bool,
    },
    /// `a[i]`, `X[n, w]`, `gpr[1..5]`
    Index(Box<Expr>, Vec<Expr>),
    /// `a[lo +: w]`
    Slice {
        /// Value.
        base: Box<Expr>,
        /// Lowest bit.
        lo: Box<Expr>,
        /// Number of bits.
        width: Box<Expr>,
    },
    /// `if c { a } else { b }`
    If {
        /// Condition.
        cond: Box<Expr>,
        /// Then.
        then: Block,
        /// Else; `else if` is a block with only a tail.
        els: Option<Block>,
    },
    /// `match e { a | b => x, _ => y }`
    Match {
        /// Value looked at.
        value: Box<Expr>,
        /// Arms.
        arms: Vec<Arm>,
    },
    /// `{ .. }` as an arm's or closure's value.
    Block(Block),
    /// `[a, b, c..d]`
    List(Vec<Expr>),
    /// `{a, b}`: right side of `in`.
    Set(Vec<Expr>),
    /// `(a, b)`: two or more; `(a)` is `a`.
    Tuple(Vec<Expr>),
    /// `a..b`, inside lists, sets and indices; both ends included.
    Range(Box<Expr>, Box<Expr>),
    /// `|x| e`
    Closure(Ident, Box<Expr>),
}

/// An argument of a call.
#[derive(Clone, Debug)]
pub struct Arg {
    /// `name = `
    pub name: Option<Ident>,
    /// Value.
    pub value: Expr,
}

/// An arm of a `match`.
#[derive(Clone, Debug)]
pub struct Arm {
    /// Alternatives; `None` is `_`.
    pub pats: Vec<Option<Expr>>,
    /// Body; a lone expression is a block with only a tail.
    pub body: Block,
    /// Where.
    pub span: Span,
}

/// Prefix operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum UnOp {
    /// `-`
    Neg,
    /// `!`: of bool, bits(1), int (0/1)
    Not,
    /// `~`
    Inv,
}

/// Infix operators.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum BinOp {
    /// `||`
    LogOr,
    /// `&&`
    LogAnd,
    /// `|`
    Or,
    /// `^`
    Xor,
    /// `&`
    And,
    /// `==`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
    /// `<s`
    LtS,
    /// `<=s`
    LeS,
    /// `>s`
    GtS,
    /// `>=s`
    GeS,
    /// `<u`
    LtU,
    /// `<=u`
    LeU,
    /// `>u`
    GtU,
    /// `>=u`
    GeU,
    /// `in`
    In,
    /// `@`
    Concat,
    /// `<<`
    Shl,
    /// `>>`
    Shr,
    /// `>>s`
    Sar,
    /// `+`
    Add,
    /// `-`
    Sub,
    /// `*`
    Mul,
    /// `/` of ints
    Div,
    /// `%` of ints
    Rem,
    /// `/s`
    DivS,
    /// `/u`
    DivU,
    /// `%s`
    RemS,
    /// `%u`
    RemU,
}

// ---------------------------------------------------------------- templates

/// Text with holes.
#[derive(Clone, Debug)]
pub struct Template {
    /// In order.
    pub parts: Vec<TemplatePart>,
    /// The literal with its quotes.
    pub span: Span,
}

impl Template {
    /// The text, when it has no holes.
    pub fn plain(&self) -> Option<String> {
        let mut text = String::new();
        for part in &self.parts {
            match part {
                TemplatePart::Text(t) => text.push_str(t),
                TemplatePart::Value(..) => return None,
            }
        }
        Some(text)
    }
}

/// A part of a template.
#[derive(Clone, Debug)]
pub enum TemplatePart {
    /// Fixed text, escapes resolved.
    Text(String),
    /// `{e}`, `{e:#x}`, `{e:+#x}`, `{e:a|b}`
    Value(Expr, Format),
}

/// How a hole is printed.
#[derive(Clone, Debug)]
pub enum Format {
    /// A view by its `show`, an enum by name, an int in decimal, a string as is.
    Plain,
    /// `#x`: hexadecimal with `0x`.
    Hex,
    /// `+#x`: with a sign.
    SignedHex,
    /// `a|b|c`: chosen by 0/1/2…; for a width by its position in the set.
    Pick(Vec<Template>),
}
