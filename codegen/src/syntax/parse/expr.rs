//! Expressions and templates.

use super::{Parser, parts, unescape};
use crate::diag::Diagnostic;
use crate::syntax::ast::{Arg, Arm, BinOp, Block, Expr, ExprId, ExprKind, Format, Span, Template, TemplatePart, UnOp};
use crate::syntax::grammar::Rule;
use pest::iterators::Pair;
use pest::pratt_parser::{Assoc, Op, PrattParser};
use std::sync::LazyLock;

/// Binding strength as in Rust; `@` is between comparison and `|`.
static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    let left = |rule| Op::infix(rule, Assoc::Left);
    PrattParser::new()
        .op(left(Rule::op_lor))
        .op(left(Rule::op_land))
        .op(left(Rule::op_cmp))
        .op(left(Rule::op_cat))
        .op(left(Rule::op_or))
        .op(left(Rule::op_xor))
        .op(left(Rule::op_and))
        .op(left(Rule::op_shift))
        .op(left(Rule::op_add))
        .op(left(Rule::op_mul))
});

/// Longest chain of operators: a longer one is a generated table in the wrong place, and deep trees exhaust the stack.
const MAX_CHAIN: usize = 512;

impl Parser {
    pub(super) fn make(&mut self, kind: ExprKind, span: Span) -> Expr {
        let id = ExprId(self.next_expr);
        self.next_expr += 1;
        Expr { kind, span, id }
    }

    /// Rule `expr`.
    pub(super) fn expr(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        if pair.clone().into_inner().count() > MAX_CHAIN {
            self.errors.push(Diagnostic::error("syntax", span, "this expression is too long"));
            return self.make(ExprKind::Undef, span);
        }
        // The closures of the Pratt parser both need `self`.
        let parser = std::cell::RefCell::new(self);
        PRATT
            .map_primary(|p| parser.borrow_mut().unary(p))
            .map_infix(|a, op, b| {
                let span = a.span.to(b.span);
                parser.borrow_mut().make(ExprKind::Binary(binop(op.as_str()), Box::new(a), Box::new(b)), span)
            })
            .parse(pair.into_inner())
    }

    /// Rule `unary`.
    pub(super) fn unary(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let mut ops = Vec::new();
        let mut value: Option<Expr> = None;
        for part in parts(pair) {
            match part.as_rule() {
                Rule::unop => ops.push((unop(part.as_str()), self.span(&part))),
                _ => {
                    value = Some(match value {
                        None => self.primary(part),
                        Some(base) => self.postfix(base, part),
                    });
                }
            }
        }
        let mut value = value.expect("the grammar has a primary in every unary");
        while let Some((op, at)) = ops.pop() {
            let span = at.to(value.span);
            value = self.make(ExprKind::Unary(op, Box::new(value)), span);
        }
        value
    }

    fn postfix(&mut self, base: Expr, pair: Pair<'_, Rule>) -> Expr {
        let span = base.span.to(self.span(&pair));
        let kind = match pair.as_rule() {
            Rule::call => {
                let ExprKind::Name(callee) = base.kind else {
                    self.errors.push(Diagnostic::error("syntax", base.span, "only a name can be called"));
                    return base;
                };
                ExprKind::Call { callee, args: self.args(pair), method: false }
            }
            Rule::member => {
                let mut inner = parts(pair);
                let Some(name) = inner.next().map(|p| self.ident(&p)) else { return base };
                match inner.next() {
                    None => ExprKind::Member(Box::new(base), name),
                    Some(call) => {
                        let mut args = vec![Arg { name: None, value: base }];
                        args.extend(self.args(call));
                        ExprKind::Call { callee: name, args, method: true }
                    }
                }
            }
            _ => self.index(base, pair),
        };
        self.make(kind, span)
    }

    /// `[i, j]` or `[lo +: width]`
    fn index(&mut self, base: Expr, pair: Pair<'_, Rule>) -> ExprKind {
        let (mut indices, mut width) = (Vec::new(), None);
        for part in parts(pair) {
            match part.as_rule() {
                Rule::slice => width = parts(part).next().map(|p| self.expr(p)),
                _ => indices.push(self.range(part)),
            }
        }
        match (width, indices.pop()) {
            (Some(width), Some(lo)) => {
                ExprKind::Slice { base: Box::new(base), lo: Box::new(lo), width: Box::new(width) }
            }
            (_, last) => {
                indices.extend(last);
                ExprKind::Index(Box::new(base), indices)
            }
        }
    }

    fn args(&mut self, call: Pair<'_, Rule>) -> Vec<Arg> {
        let mut args = Vec::new();
        for arg in parts(call) {
            let mut name = None;
            for part in parts(arg) {
                match part.as_rule() {
                    Rule::argname => name = parts(part).next().map(|n| self.ident(&n)),
                    _ => args.push(Arg { name: name.take(), value: self.expr(part) }),
                }
            }
        }
        args
    }

    /// Rule `range`: one expression or two.
    pub(super) fn range(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let lo = inner.next().expect("the grammar has an expression in every range");
        let lo = self.expr(lo);
        match inner.next() {
            None => lo,
            Some(hi) => {
                let hi = self.expr(hi);
                self.make(ExprKind::Range(Box::new(lo), Box::new(hi)), span)
            }
        }
    }

    /// The elements of a `set` or `list`.
    pub(super) fn ranges(&mut self, pair: Pair<'_, Rule>) -> Vec<Expr> {
        parts(pair).map(|p| self.range(p)).collect()
    }

    /// An alternative of rule `primary`, or `primary` itself.
    fn primary(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::primary => match parts(pair).next() {
                Some(inner) => return self.primary(inner),
                None => ExprKind::Undef,
            },
            Rule::number => ExprKind::Int(self.number(&pair, u128::MAX)),
            Rule::boolean => ExprKind::Bool(pair.as_str() == "true"),
            Rule::undef => ExprKind::Undef,
            Rule::name => match parts(pair).next() {
                Some(name) => ExprKind::Name(self.ident(&name)),
                None => ExprKind::Undef,
            },
            Rule::template | Rule::template_escaped => ExprKind::Str(self.template(pair)),
            Rule::list => ExprKind::List(self.ranges(pair)),
            Rule::set => ExprKind::Set(self.ranges(pair)),
            Rule::tuple => {
                let mut items: Vec<Expr> = parts(pair).map(|p| self.expr(p)).collect();
                match items.pop() {
                    Some(only) if items.is_empty() => return only,
                    Some(last) => {
                        items.push(last);
                        ExprKind::Tuple(items)
                    }
                    None => ExprKind::Undef,
                }
            }
            Rule::closure => {
                let mut inner: Vec<_> = parts(pair).collect();
                match inner.pop() {
                    Some(body) => {
                        let names = inner.iter().map(|name| self.ident(name)).collect();
                        ExprKind::Closure(names, Box::new(self.expr(body)))
                    }
                    None => ExprKind::Undef,
                }
            }
            Rule::if_expr => self.if_kind(pair),
            Rule::match_expr => self.match_kind(pair),
            _ => ExprKind::Undef,
        };
        self.make(kind, span)
    }

    /// Rules `if_expr` and `match_expr`, as a statement or a value.
    pub(super) fn block_like(&mut self, pair: Pair<'_, Rule>) -> Expr {
        self.primary(pair)
    }

    fn if_kind(&mut self, pair: Pair<'_, Rule>) -> ExprKind {
        let mut inner = parts(pair);
        let (Some(cond), Some(then)) = (inner.next(), inner.next()) else { return ExprKind::Undef };
        let (cond, then) = (Box::new(self.expr(cond)), self.block(then));
        let els = inner.next().map(|els| match els.as_rule() {
            Rule::block => self.block(els),
            _ => {
                let value = self.primary(els);
                Block { span: value.span, stmts: Vec::new(), tail: Some(Box::new(value)) }
            }
        });
        ExprKind::If { cond, then, els }
    }

    fn match_kind(&mut self, pair: Pair<'_, Rule>) -> ExprKind {
        let mut inner = parts(pair);
        let Some(value) = inner.next() else { return ExprKind::Undef };
        let value = Box::new(self.expr(value));
        ExprKind::Match { value, arms: inner.map(|arm| self.arm(arm)).collect() }
    }

    fn arm(&mut self, pair: Pair<'_, Rule>) -> Arm {
        let span = self.span(&pair);
        let (mut pats, mut body) = (Vec::new(), Block { stmts: Vec::new(), tail: None, span });
        for part in parts(pair) {
            match part.as_rule() {
                Rule::armpat => {
                    for alt in parts(part) {
                        pats.push(match alt.as_rule() {
                            Rule::wildcard => None,
                            _ => Some(self.unary(alt)),
                        });
                    }
                }
                Rule::block => body = self.block(part),
                _ => body = self.simple_block(part),
            }
        }
        Arm { pats, body, span }
    }

    /// Rules `template` and `template_escaped`.
    pub(super) fn template(&mut self, pair: Pair<'_, Rule>) -> Template {
        let span = self.span(&pair);
        Template { parts: self.template_parts(pair), span }
    }

    fn template_parts(&mut self, pair: Pair<'_, Rule>) -> Vec<TemplatePart> {
        let mut out = Vec::new();
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::hole => out.extend(self.hole(part)),
                _ => out.push(TemplatePart::Text(unescape(part.as_str()))),
            }
        }
        out
    }

    fn hole(&mut self, pair: Pair<'_, Rule>) -> Option<TemplatePart> {
        let mut inner = pair.into_inner();
        let value = inner.next()?.into_inner().next()?;
        let value = self.expr(value);
        let format = match inner.next().and_then(|f| f.into_inner().next()) {
            None => Format::Plain,
            Some(f) if f.as_rule() == Rule::hex_format && f.as_str().starts_with('+') => Format::SignedHex,
            Some(f) if f.as_rule() == Rule::hex_format => Format::Hex,
            Some(f) => Format::Pick(f.into_inner().map(|alt| self.template(alt)).collect()),
        };
        Some(TemplatePart::Value(value, format))
    }
}

fn unop(text: &str) -> UnOp {
    match text {
        "-" => UnOp::Neg,
        "~" => UnOp::Inv,
        _ => UnOp::Not,
    }
}

fn binop(text: &str) -> BinOp {
    match text {
        "||" => BinOp::LogOr,
        "&&" => BinOp::LogAnd,
        "|" => BinOp::Or,
        "^" => BinOp::Xor,
        "&" => BinOp::And,
        "==" => BinOp::Eq,
        "!=" => BinOp::Ne,
        "<" => BinOp::Lt,
        "<=" => BinOp::Le,
        ">" => BinOp::Gt,
        ">=" => BinOp::Ge,
        "<s" => BinOp::LtS,
        "<=s" => BinOp::LeS,
        ">s" => BinOp::GtS,
        ">=s" => BinOp::GeS,
        "<u" => BinOp::LtU,
        "<=u" => BinOp::LeU,
        ">u" => BinOp::GtU,
        ">=u" => BinOp::GeU,
        "in" => BinOp::In,
        "@" => BinOp::Concat,
        "<<" => BinOp::Shl,
        ">>" => BinOp::Shr,
        ">>s" => BinOp::Sar,
        "+" => BinOp::Add,
        "-" => BinOp::Sub,
        "*" => BinOp::Mul,
        "/" => BinOp::Div,
        "/s" => BinOp::DivS,
        "/u" => BinOp::DivU,
        "%s" => BinOp::RemS,
        "%u" => BinOp::RemU,
        _ => BinOp::Rem,
    }
}
