//! Encodings and instructions.

use super::{Attr, Block, Expr, Ident, Param, Span, Stmt, Template, Ty};

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
    Operand(Ident),
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
    /// Instance that the test is for, or space of the encoding; without it all instances, the first space of the length.
    pub of: Option<Ident>,
    /// Encoding: the word, most significant digit first.
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
