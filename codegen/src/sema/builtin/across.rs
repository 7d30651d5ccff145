//! Built-ins that combine lanes with each other: neighbours, or all of them.

use super::Args;
use crate::hir::{Block, Domain, Expr, ExprKind, Ty};
use crate::sema::lower::Lower;
use crate::sema::ty::{self, int};
use crate::syntax::ast::{self, BinOp, Span};

impl Lower<'_, '_> {
    /// `pairwise(a, b, |x, y| e)`: `x` the even and `y` the odd lanes of `b:a`, side by side.
    pub(super) fn pairwise(&mut self, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let (a, b) = self.pair(args)?;
        let a = self.as_lanes(a)?;
        let closure = self.arg(args, "closure")?;
        let ([x, y], body) = self.closure_parts(closure, "|x, y| value")?;
        let ty = a.ty.clone();
        let mut block = Block::default();
        let depth = self.scope.len();
        let (a, b) = (self.keep("a", a, &mut block, span), self.keep("b", b, &mut block, span));
        let picks = [self.every_other(&a, &b, 0, span), self.every_other(&a, &b, 1, span)];
        // `a` and `b` are not for the closure to see.
        self.scope.truncate(depth);
        for (name, lanes) in [x, y].into_iter().zip(picks) {
            self.keep(&name.name, lanes, &mut block, name.span);
        }
        let value = self.expr(body, Some(&ty));
        self.scope.truncate(depth);
        block.tail = Some(Box::new(value));
        Some(Expr { kind: ExprKind::Block(block), ty, span })
    }

    /// Lanes `first`, `first + 2`, … of `b:a`.
    fn every_other(&mut self, a: &Expr, b: &Expr, first: i128, span: Span) -> Expr {
        let depth = self.scope.len();
        let var = self.bind(&crate::sema::items::ident("i", span), Ty::Int, Domain::Unknown);
        let twice = ty::binary(BinOp::Mul, self.var(var, span), int(2, span), span);
        let pick = if first == 0 { twice } else { ty::binary(BinOp::Add, twice, int(first, span), span) };
        self.scope.truncate(depth);
        let kind = ExprKind::Shuffle { sources: Box::new((a.clone(), b.clone())), var, pick: Box::new(pick) };
        Expr { kind, ty: a.ty.clone(), span }
    }

    /// `reduce(a, |x, y| e)`: neighbours are combined until one lane is left.
    pub(super) fn reduce(&mut self, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        let a = self.lanes_arg(args, "a")?;
        let Ty::Lanes { lane, .. } = a.ty.clone() else { return None };
        let closure: &ast::Expr = self.arg(args, "closure")?;
        let ([x, y], body) = self.closure_parts(closure, "|x, y| value")?;
        let depth = self.scope.len();
        let vars = [x, y].map(|name| self.bind(name, a.ty.clone(), Domain::Unknown));
        let body = self.expr(body, Some(&a.ty.clone()));
        self.scope.truncate(depth);
        let kind = ExprKind::Reduce { lanes: Box::new(a), vars, body: Box::new(body) };
        Some(Expr { kind, ty: Ty::Bits(lane), span })
    }
}
