//! Translate-time expressions as Rust: integers and enum values are `i128`, truth values `bool`.
//!
//! The text expects `word`, `mode`, `pc`, `pc_next`, `at` in scope as far as the expression mentions them.

use super::names::{self, rust_name};
use super::needs::NeedsTable;
use crate::hir::{Block, BuiltinEnum, EnumTy, Expr, ExprKind, Locals, StaticFn, StmtKind, Ty};
use crate::model::{Field, Model};
use crate::syntax::ast::{BinOp, UnOp};

/// A field of the instruction word.
pub(super) fn field(f: &Field) -> String {
    let piece = |p: &crate::pattern::Piece| {
        let bits = format!("rt::field(word, {}, {})", p.at, p.width);
        if p.lo == 0 { bits } else { format!("{bits} << {}", p.lo) }
    };
    let raw = f.pieces.iter().map(piece).collect::<Vec<_>>().join(" | ");
    match f.signed {
        Some(width) => format!("rt::sign({raw}, {width})"),
        None => raw,
    }
}

/// Writer of translate-time expressions over one set of variables.
pub(crate) struct Static<'m> {
    model: &'m Model,
    table: &'m NeedsTable,
    pub(crate) names: Vec<String>,
}

impl<'m> Static<'m> {
    pub(crate) fn new(model: &'m Model, table: &'m NeedsTable, locals: &Locals) -> Static<'m> {
        Static { model, table, names: names::variables(locals) }
    }

    /// What it writes about.
    pub(crate) fn model(&self) -> &'m Model {
        self.model
    }

    /// The expression, to stand alone.
    pub(crate) fn expr(&self, e: &Expr) -> String {
        match &e.kind {
            ExprKind::Int(v) => v.to_string(),
            ExprKind::Bool(b) => b.to_string(),
            ExprKind::EnumValue(v) => self.enum_value(&e.ty, *v),
            ExprKind::Var(v) => names::variable(&self.names, *v).to_string(),
            ExprKind::Pc => "pc".into(),
            ExprKind::PcNext => "pc_next".into(),
            ExprKind::Context(id) => {
                let c = &self.model.contexts[id.0 as usize];
                let value = format!("rt::field(mode, {}, {})", c.lo, c.width);
                if c.signed { format!("rt::sign({value}, {})", c.width) } else { value }
            }
            ExprKind::Const(id) => rust_name(&self.model.constant(*id).name),
            ExprKind::List(items) => format!("[{}]", self.list(items)),
            ExprKind::Element(list, i) => format!("rt::element(&{}, {})", self.atom(list), self.expr(i)),
            ExprKind::Unary(UnOp::Neg, a) => format!("-{}", self.atom(a)),
            ExprKind::Unary(_, a) if matches!(a.ty, Ty::Bool) => format!("!{}", self.atom(a)),
            ExprKind::Unary(UnOp::Not, a) => format!("i128::from({} == 0)", self.atom(a)),
            ExprKind::Unary(_, a) => format!("!{}", self.atom(a)),
            ExprKind::Binary(op, a, b) => self.binary(*op, a, b),
            ExprKind::In(a, set) => self.member(a, set),
            ExprKind::Static(f, args) => self.static_fn(*f, args),
            ExprKind::Convert(a) => self.expr(a),
            ExprKind::Call(id, args) => {
                let needs = self.table.func(*id);
                let mut all = Vec::new();
                if needs.mode {
                    all.push("mode".to_string());
                }
                if needs.pc {
                    all.extend(["pc".to_string(), "pc_next".to_string()]);
                }
                all.extend(args.iter().map(|a| self.expr(a)));
                format!("fn_{}({})", self.model.fns[id.0 as usize].name, all.join(", "))
            }
            ExprKind::If(c, a, b) => format!("if {} {} else {}", self.expr(c), self.block(a), self.block(b)),
            ExprKind::Match(v, arms) => {
                let last = arms.len().saturating_sub(1);
                let arm = |(i, a): (usize, &crate::hir::Arm)| {
                    format!("{} => {}", self.pattern(&a.values, i == last), self.inner(&a.body))
                };
                let arms: Vec<String> = arms.iter().enumerate().map(arm).collect();
                format!("match {} {{ {} }}", self.expr(v), arms.join(", "))
            }
            ExprKind::Block(b) => self.block(b),
            _ => "compile_error!(\"not a translate-time expression\")".into(),
        }
    }

    /// The expression, to stand as an operand.
    pub(crate) fn atom(&self, e: &Expr) -> String {
        let text = self.expr(e);
        let simple = match &e.kind {
            ExprKind::Int(v) => *v >= 0,
            ExprKind::Convert(a) => return self.atom(a),
            ExprKind::Binary(..) | ExprKind::If(..) | ExprKind::Match(..) | ExprKind::Unary(..) | ExprKind::In(..) => {
                false
            }
            _ => true,
        };
        if simple { text } else { format!("({text})") }
    }

    /// A value of type `u32`: a width, a shift amount.
    pub(crate) fn u32(&self, e: &Expr) -> String {
        match &e.kind {
            ExprKind::Int(v) => v.to_string(),
            _ => format!("{} as u32", self.atom(e)),
        }
    }

    /// The left side of a `match` arm; the last one takes everything left.
    pub(crate) fn pattern(&self, values: &[Expr], last: bool) -> String {
        if last || values.is_empty() {
            return "_".into();
        }
        values.iter().map(|v| self.expr(v)).collect::<Vec<_>>().join(" | ")
    }

    fn list(&self, items: &[Expr]) -> String {
        items.iter().map(|i| self.expr(i)).collect::<Vec<_>>().join(", ")
    }

    fn block(&self, b: &Block) -> String {
        format!("{{ {} }}", self.inner(b))
    }

    fn inner(&self, b: &Block) -> String {
        let mut text = String::new();
        for s in &b.stmts {
            if let StmtKind::Let(vars, e) = &s.kind {
                text.push_str(&format!("let {} = {}; ", names::variable(&self.names, vars[0]), self.expr(e)));
            }
        }
        let tail = b.tail.as_ref().map_or_else(|| "0".to_string(), |t| self.expr(t));
        if text.is_empty() { tail } else { format!("{{ {text}{tail} }}") }
    }

    fn enum_value(&self, ty: &Ty, v: i128) -> String {
        match ty {
            Ty::Enum(EnumTy::User(id)) => {
                let e = &self.model.enums[id.0 as usize];
                match e.values.iter().find(|x| x.value == v) {
                    Some(x) => format!("{}::{}", names::enum_module(&e.name), rust_name(&x.name)),
                    None => v.to_string(),
                }
            }
            Ty::Enum(EnumTy::Builtin(b)) => builtin_value(*b, v),
            _ => v.to_string(),
        }
    }

    fn binary(&self, op: BinOp, a: &Expr, b: &Expr) -> String {
        let amount = match b.kind {
            ExprKind::Int(v) => Some(v),
            _ => None,
        };
        operator(op, &self.atom(a), &self.atom(b), amount)
    }

    fn member(&self, a: &Expr, set: &[(Expr, Option<Expr>)]) -> String {
        if set.is_empty() {
            return "false".into();
        }
        let literal = |e: &Expr| matches!(e.kind, ExprKind::Int(_) | ExprKind::EnumValue(_));
        if set.iter().all(|(lo, hi)| literal(lo) && hi.as_ref().is_none_or(literal)) {
            let one = |(lo, hi): &(Expr, Option<Expr>)| match hi {
                Some(hi) => format!("{}..={}", self.expr(lo), self.expr(hi)),
                None => self.expr(lo),
            };
            let patterns: Vec<String> = set.iter().map(one).collect();
            return format!("matches!({}, {})", self.expr(a), patterns.join(" | "));
        }
        let one = |(lo, hi): &(Expr, Option<Expr>)| {
            let hi = self.expr(hi.as_ref().unwrap_or(lo));
            format!("({}..={hi}).contains(&{})", self.atom(lo), self.atom(a))
        };
        let tests: Vec<String> = set.iter().map(one).collect();
        format!("({})", tests.join(" || "))
    }

    fn static_fn(&self, f: StaticFn, args: &[Expr]) -> String {
        self.static_call(f, &self.list(args))
    }

    /// A built-in function of ints that are written already.
    pub(super) fn static_call(&self, f: StaticFn, args: &str) -> String {
        let name = match f {
            StaticFn::Log2 => "log2",
            StaticFn::Ones => "ones",
            StaticFn::HighestBit => "highest_bit",
            StaticFn::Popcount => "popcount",
            StaticFn::Replicate => "replicate",
            StaticFn::RotateRight => "rotate_right",
            StaticFn::Bit => "bit",
            StaticFn::Abs => "abs",
            StaticFn::Min => "min",
            StaticFn::Max => "max",
            StaticFn::CodeWord => return format!("rt::code_word(at, {args}, {})", self.model.sections.big_code),
        };
        format!("rt::{name}({args})")
    }
}

/// An operator between two operands; the right one as a number, if it is a literal.
pub(super) fn operator(op: BinOp, a: &str, b: &str, literal: Option<i128>) -> String {
    let call = |name: &str| format!("rt::{name}({}, {})", unparenthesised(a), unparenthesised(b));
    let within = |max| literal.is_some_and(|v| (0..max).contains(&v));
    let sign = match op {
        BinOp::LogOr => "||",
        BinOp::LogAnd => "&&",
        BinOp::Or => "|",
        BinOp::Xor => "^",
        BinOp::And => "&",
        BinOp::Eq => "==",
        BinOp::Ne => "!=",
        BinOp::Lt => "<",
        BinOp::Le => "<=",
        BinOp::Gt => ">",
        BinOp::Ge => ">=",
        BinOp::Add => "+",
        BinOp::Sub => "-",
        BinOp::Mul => "*",
        BinOp::Shl if within(64) => "<<",
        BinOp::Shr if within(128) => ">>",
        BinOp::Shl => return call("shl"),
        BinOp::Shr => return call("shr"),
        BinOp::Div => return call("div"),
        BinOp::Rem => return call("rem"),
        _ => return "compile_error!(\"not a translate-time operator\")".into(),
    };
    format!("{a} {sign} {b}")
}

/// A value of a built-in enum: the Rust enum of the IR.
fn builtin_value(e: BuiltinEnum, v: i128) -> String {
    let name = |names: &[&str]| names.get(v as usize).copied().unwrap_or("Mode").to_string();
    match e {
        BuiltinEnum::Round => format!("rt::Round::{}", name(&["Mode", "Even", "Zero", "Down", "Up", "Away"])),
        BuiltinEnum::Order => format!("rt::Order::{}", name(&["Relaxed", "Acquire", "Release", "SeqCst"])),
        BuiltinEnum::Hint => format!("rt::Hint::{}", name(&["Plain", "Call", "Ret"])),
        BuiltinEnum::Delay => format!("rt::Delay::{}", name(&["None", "Always", "IfTaken"])),
        BuiltinEnum::AtomicOp => {
            let names = ["Add", "Andn", "Xor", "Or", "Smax", "Smin", "Umax", "Umin", "Swap", "And"];
            format!("rt::AtomicOp::{}", name(&names))
        }
        BuiltinEnum::MinMax => format!("rt::MinMax::{}", name(&["Propagate", "Number", "NumberAlways", "Second"])),
        BuiltinEnum::Step => format!("rt::Step::of_kind({v})"),
        BuiltinEnum::Trap => v.to_string(),
    }
}

/// Without the parentheses around all of it.
pub(super) fn unparenthesised(text: &str) -> String {
    let inner = text.strip_prefix('(').and_then(|t| t.strip_suffix(')'));
    let balanced = |t: &str| {
        let mut depth = 0_i32;
        t.chars().all(|c| {
            depth += i32::from(c == '(') - i32::from(c == ')');
            depth >= 0
        })
    };
    match inner {
        Some(t) if balanced(t) => t.to_string(),
        _ => text.to_string(),
    }
}
