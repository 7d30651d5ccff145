//! Types: construction, equality up to what can be seen without trying values, substitution, printing.

use super::Global;
use crate::hir::{Block, BuiltinEnum, EnumTy, Expr, ExprKind, StaticFn, StmtKind, Ty, VarId, Width};
use crate::syntax::ast::{BinOp, Span, UnOp};
use std::collections::HashMap;
use std::rc::Rc;

/// An integer literal.
pub(super) fn int(value: i128, span: Span) -> Expr {
    Expr { kind: ExprKind::Int(value), ty: Ty::Int, span }
}

/// A constant width.
pub(super) fn width(bits: u32, span: Span) -> Width {
    Rc::new(int(bits.into(), span))
}

/// `bits(n)` of constant width.
pub(super) fn bits(n: u32, span: Span) -> Ty {
    Ty::Bits(width(n, span))
}

/// What a reported mistake evaluates to.
pub(super) fn error(span: Span) -> Expr {
    Expr { kind: ExprKind::Undef, ty: Ty::Error, span }
}

/// The value of an integer literal.
pub(super) fn literal(e: &Expr) -> Option<i128> {
    match e.kind {
        ExprKind::Int(i) => Some(i),
        _ => None,
    }
}

/// A translate-time operation on integers, folded when both sides are literals.
pub(super) fn binary(op: BinOp, a: Expr, b: Expr, span: Span) -> Expr {
    let folded = match (literal(&a), literal(&b)) {
        (Some(x), Some(y)) => match op {
            BinOp::Add => x.checked_add(y),
            BinOp::Sub => x.checked_sub(y),
            BinOp::Mul => x.checked_mul(y),
            BinOp::Div => x.checked_div_euclid(y),
            BinOp::Shl if (0..100).contains(&y) && (0..=1 << 20).contains(&x) => Some(x << y),
            _ => None,
        },
        _ => None,
    };
    match folded {
        Some(v) => int(v, span),
        None => Expr { kind: ExprKind::Binary(op, Box::new(a), Box::new(b)), ty: Ty::Int, span },
    }
}

/// Widths that are equal whatever the variables are, as far as the shape of the expressions tells.
pub(super) fn same(a: &Expr, b: &Expr) -> bool {
    use ExprKind as K;
    match (&a.kind, &b.kind) {
        (K::Int(x) | K::EnumValue(x), K::Int(y) | K::EnumValue(y)) => x == y,
        (K::Bool(x), K::Bool(y)) => x == y,
        (K::Var(x), K::Var(y)) => x == y,
        (K::Context(x), K::Context(y)) => x == y,
        (K::Unary(o, x), K::Unary(p, y)) => o == p && same(x, y),
        (K::Binary(o, x, z), K::Binary(p, y, w)) => o == p && same(x, y) && same(z, w),
        (K::Convert(x), K::Convert(y)) => same(x, y),
        (K::Static(f, x), K::Static(g, y)) => f == g && same_all(x, y),
        (K::Call(f, x), K::Call(g, y)) => f == g && same_all(x, y),
        (K::If(c, x, z), K::If(d, y, w)) => same(c, d) && same_tail(x, y) && same_tail(z, w),
        _ => false,
    }
}

fn same_all(a: &[Expr], b: &[Expr]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(x, y)| same(x, y))
}

fn same_tail(a: &Block, b: &Block) -> bool {
    match (&a.tail, &b.tail) {
        (Some(x), Some(y)) => a.stmts.is_empty() && b.stmts.is_empty() && same(x, y),
        _ => false,
    }
}

/// Replacement of a callee's parameters by a caller's arguments.
pub(super) type Subst = HashMap<VarId, Expr>;

/// `e` with variables replaced; only translate-time expressions that occur in signatures.
pub(super) fn subst(e: &Expr, map: &Subst) -> Expr {
    let sub = |e: &Expr| Box::new(subst(e, map));
    let all = |v: &[Expr]| v.iter().map(|e| subst(e, map)).collect::<Vec<_>>();
    let kind = match &e.kind {
        ExprKind::Var(v) => match map.get(v) {
            Some(to) => return to.clone(),
            None => ExprKind::Var(*v),
        },
        ExprKind::Unary(op, a) => ExprKind::Unary(*op, sub(a)),
        ExprKind::Binary(op, a, b) => {
            return Expr { ty: e.ty.clone(), ..binary(*op, subst(a, map), subst(b, map), e.span) };
        }
        ExprKind::Convert(a) => ExprKind::Convert(sub(a)),
        ExprKind::Static(f, args) => ExprKind::Static(*f, all(args)),
        ExprKind::Call(f, args) => ExprKind::Call(*f, all(args)),
        ExprKind::Element(a, b) => ExprKind::Element(sub(a), sub(b)),
        ExprKind::In(a, set) => ExprKind::In(sub(a), set.clone()),
        ExprKind::If(c, a, b) => ExprKind::If(sub(c), subst_block(a, map), subst_block(b, map)),
        other => other.clone(),
    };
    Expr { kind, ty: e.ty.clone(), span: e.span }
}

fn subst_block(b: &Block, map: &Subst) -> Block {
    debug_assert!(b.stmts.iter().all(|s| matches!(s.kind, StmtKind::Let(..))), "effects in a signature");
    Block { stmts: b.stmts.clone(), tail: b.tail.as_ref().map(|t| Box::new(subst(t, map))) }
}

/// A type with variables of its widths replaced.
pub(super) fn subst_ty(ty: &Ty, map: &Subst) -> Ty {
    match ty {
        Ty::Bits(w) => Ty::Bits(Rc::new(subst(w, map))),
        Ty::Lanes { lane, width } => Ty::Lanes { lane: Rc::new(subst(lane, map)), width: Rc::new(subst(width, map)) },
        Ty::Place(w) => Ty::Place(Rc::new(subst(w, map))),
        Ty::Tuple(items) => Ty::Tuple(items.iter().map(|t| subst_ty(t, map)).collect()),
        other => other.clone(),
    }
}

const STEPS: [&str; 15] = [
    "aes_encrypt",
    "aes_encrypt_last",
    "aes_decrypt",
    "aes_decrypt_last",
    "aes_inverse_columns",
    "aes_key",
    "sha1_rounds",
    "sha1_next",
    "sha1_message",
    "sha1_message_last",
    "sha256_rounds",
    "sha256_message",
    "sha256_message_last",
    "match_texts",
    "match_counted",
];

/// Names of the values of a built-in enum, in the order of their numbers.
pub(super) fn builtin_values(e: BuiltinEnum) -> &'static [&'static str] {
    match e {
        BuiltinEnum::Round => &["mode", "even", "zero", "down", "up", "away"],
        BuiltinEnum::Order => &["relaxed", "acquire", "release", "seq_cst"],
        BuiltinEnum::Hint => &["plain", "call", "ret"],
        BuiltinEnum::Delay => &["none", "always", "if_taken"],
        BuiltinEnum::AtomicOp => &["add", "andn", "xor", "or", "smax", "smin", "umax", "umin", "swap", "and"],
        BuiltinEnum::MinMax => &["propagate", "number", "number_always", "second"],
        BuiltinEnum::Step => &STEPS,
        BuiltinEnum::Trap => &["breakpoint", "integer_overflow", "divide_by_zero", "trap", "alignment"],
    }
}

/// The built-in enum of a name.
pub(super) fn builtin_enum(name: &str) -> Option<BuiltinEnum> {
    Some(match name {
        "Round" => BuiltinEnum::Round,
        "Order" => BuiltinEnum::Order,
        "Hint" => BuiltinEnum::Hint,
        "Delay" => BuiltinEnum::Delay,
        "AtomicOp" => BuiltinEnum::AtomicOp,
        "MinMax" => BuiltinEnum::MinMax,
        "Step" => BuiltinEnum::Step,
        _ => return None,
    })
}

impl Global<'_> {
    /// Name of an enum.
    pub(super) fn enum_name(&self, e: EnumTy) -> String {
        match e {
            EnumTy::User(id) => self.model.enums[id.0 as usize].name.clone(),
            EnumTy::Builtin(b) => format!("{b:?}"),
        }
    }

    /// Number of the value `name` of an enum.
    pub(super) fn enum_value(&self, e: EnumTy, name: &str) -> Option<i128> {
        match e {
            EnumTy::User(id) => self.model.enums[id.0 as usize].values.iter().find(|v| v.name == name).map(|v| v.value),
            EnumTy::Builtin(b) => builtin_values(b).iter().position(|v| *v == name).map(|i| i as i128),
        }
    }

    /// A type as it is written in specifications.
    pub(super) fn show_ty(&self, ty: &Ty) -> String {
        match ty {
            Ty::Int => "int".into(),
            Ty::Bool => "bool".into(),
            Ty::Str => "str".into(),
            Ty::Enum(e) => self.enum_name(*e),
            Ty::List(t) => format!("list of {}", self.show_ty(t)),
            Ty::Bits(w) => format!("bits({})", self.show_width(w)),
            Ty::Lanes { lane, width } => {
                format!("lanes({}) of {} bits", self.show_width(lane), self.show_width(width))
            }
            Ty::Place(w) => format!("place({})", self.show_width(w)),
            Ty::Tuple(items) => {
                format!("({})", items.iter().map(|t| self.show_ty(t)).collect::<Vec<_>>().join(", "))
            }
            Ty::Unit => "no value".into(),
            Ty::Undef | Ty::Error => "undef".into(),
        }
    }

    /// A width as it is written in specifications.
    pub(super) fn show_width(&self, w: &Expr) -> String {
        match &w.kind {
            ExprKind::Int(i) => i.to_string(),
            ExprKind::Binary(op, a, b) => {
                let sign = match op {
                    BinOp::Add => "+",
                    BinOp::Sub => "-",
                    BinOp::Mul => "*",
                    BinOp::Div => "/",
                    BinOp::Shl => "<<",
                    _ => return self.sources.text(w.span).to_string(),
                };
                format!("{} {sign} {}", self.show_width(a), self.show_width(b))
            }
            ExprKind::Static(StaticFn::Log2, a) => format!("log2({})", self.show_width(&a[0])),
            ExprKind::Unary(UnOp::Neg, a) => format!("-{}", self.show_width(a)),
            _ => self.sources.text(w.span).to_string(),
        }
    }
}
