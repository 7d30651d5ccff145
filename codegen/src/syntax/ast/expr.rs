//! Statements, expressions and templates.

use super::{ExprId, Ident, Span, Ty};

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
    /// `|x| e`, `|x, y| e`
    Closure(Vec<Ident>, Box<Expr>),
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
