//! Blocks and statements.

use super::{Parser, parts};
use crate::syntax::ast::{Block, Expr, ExprKind, Span, Stmt, StmtKind};
use crate::syntax::grammar::Rule;
use pest::iterators::Pair;

impl Parser {
    /// Rule `block`.
    pub(super) fn block(&mut self, pair: Pair<'_, Rule>) -> Block {
        let span = self.span(&pair);
        let stmts = parts(pair).map(|p| self.stmt(p)).collect();
        finish_block(stmts, span)
    }

    /// Rule `block`, or a single statement or expression in its place.
    pub(super) fn body(&mut self, pair: Pair<'_, Rule>) -> Block {
        let span = self.span(&pair);
        match pair.as_rule() {
            Rule::block => self.block(pair),
            Rule::expr => {
                let value = self.expr(pair);
                Block { stmts: Vec::new(), tail: Some(Box::new(value)), span }
            }
            _ => {
                let stmt = self.stmt(pair);
                finish_block(vec![stmt], span)
            }
        }
    }

    /// Rules `arm_value` and `simple` as a block.
    pub(super) fn simple_block(&mut self, pair: Pair<'_, Rule>) -> Block {
        let span = self.span(&pair);
        let stmt = self.simple(pair);
        finish_block(vec![stmt], span)
    }

    /// An alternative of rule `stmt`.
    pub(super) fn stmt(&mut self, pair: Pair<'_, Rule>) -> Parsed {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::let_st => self.let_st(pair),
            Rule::width_st => self.width_st(pair),
            Rule::for_st => self.for_st(pair),
            Rule::block_like => {
                let mut value = None;
                let mut semi = false;
                for part in parts(pair) {
                    match part.as_rule() {
                        Rule::semi => semi = true,
                        _ => value = Some(self.block_like(part)),
                    }
                }
                let value = value.unwrap_or_else(|| self.make(ExprKind::Undef, span));
                return Parsed { stmt: Stmt { kind: StmtKind::Expr(value), span }, is_value: !semi };
            }
            _ => return self.simple(pair),
        };
        Parsed { stmt: Stmt { kind, span }, is_value: false }
    }

    /// Rules `simple` and `arm_value`: a call, an assignment or the value of the block.
    fn simple(&mut self, pair: Pair<'_, Rule>) -> Parsed {
        let span = self.span(&pair);
        let (mut exprs, mut assigned, mut semi) = (Vec::new(), false, false);
        for part in parts(pair) {
            match part.as_rule() {
                Rule::semi => semi = true,
                Rule::assigned => {
                    assigned = true;
                    exprs.extend(parts(part).map(|p| self.expr(p)));
                }
                _ => exprs.push(self.expr(part)),
            }
        }
        let value = exprs.pop().unwrap_or_else(|| self.make(ExprKind::Undef, span));
        let kind = match (assigned, exprs.pop()) {
            (true, Some(Expr { kind: ExprKind::Tuple(targets), .. })) => {
                StmtKind::Assign { targets, tuple: true, value }
            }
            (true, Some(target)) => StmtKind::Assign { targets: vec![target], tuple: false, value },
            _ => StmtKind::Expr(value),
        };
        Parsed { stmt: Stmt { kind, span }, is_value: !assigned && !semi }
    }

    /// Rule `let_st`.
    pub(super) fn let_st(&mut self, pair: Pair<'_, Rule>) -> StmtKind {
        let span = self.span(&pair);
        let (mut names, mut tuple, mut ty, mut value) = (Vec::new(), false, None, None);
        for part in parts(pair) {
            match part.as_rule() {
                Rule::names => {
                    tuple = true;
                    names.extend(parts(part).map(|n| self.ident(&n)));
                }
                Rule::ident => names.push(self.ident(&part)),
                Rule::ty => ty = Some(self.ty(part)),
                _ => value = Some(self.expr(part)),
            }
        }
        let value = value.unwrap_or_else(|| self.make(ExprKind::Undef, span));
        StmtKind::Let { names, tuple, ty, value }
    }

    /// Rule `width_st`.
    pub(super) fn width_st(&mut self, pair: Pair<'_, Rule>) -> StmtKind {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect("the grammar has a name in every width");
        let set = inner.next().map(|p| self.ranges(p)).unwrap_or_default();
        let value = match inner.next() {
            Some(value) => self.expr(value),
            None => self.make(ExprKind::Undef, name.span),
        };
        StmtKind::Width { name, set, value }
    }

    fn for_st(&mut self, pair: Pair<'_, Rule>) -> StmtKind {
        let mut inner = parts(pair);
        let mut next = || inner.next().expect("the grammar has a name, two bounds and a block in every for");
        let (var, lo, hi, body) = (next(), next(), next(), next());
        let var = self.ident(&var);
        StmtKind::For { var, lo: self.expr(lo), hi: self.expr(hi), body: self.block(body) }
    }
}

/// A statement, and whether it is an expression without `;`.
pub(super) struct Parsed {
    /// The statement.
    pub stmt: Stmt,
    /// Its value is the block's if it comes last.
    pub is_value: bool,
}

/// Turns a value in last position into the block's tail.
fn finish_block(mut parsed: Vec<Parsed>, span: Span) -> Block {
    let mut tail = None;
    if let Some(last) = parsed.pop_if(|p| p.is_value)
        && let StmtKind::Expr(value) = last.stmt.kind
    {
        tail = Some(Box::new(value));
    }
    Block { stmts: parsed.into_iter().map(|p| p.stmt).collect(), tail, span }
}
