//! Infix operators on run-time values.

use super::lower::Lower;
use super::ty;
use crate::diag::Diagnostic;
use crate::hir::{Expr, Op, Ty};
use crate::syntax::ast::{BinOp, Span};
use std::rc::Rc;

impl Lower<'_, '_> {
    /// An operator of which at least one side is a run-time value.
    pub(super) fn dynamic_binary(&mut self, op: BinOp, a: Expr, b: Expr, span: Span) -> Expr {
        match op {
            BinOp::Concat => return self.concat(a, b, span),
            BinOp::Shl | BinOp::Shr | BinOp::Sar => return self.shift(op, a, b, span),
            _ => {}
        }
        let Some((a, b)) = self.same_type(a, b, span) else { return ty::error(span) };
        let Some(op) = self.operation(op, &a, span) else { return ty::error(span) };
        let result = match (op.compares(), &a.ty) {
            (true, Ty::Bits(_)) => ty::bits(1, span),
            _ => a.ty.clone(),
        };
        self.op(op, result, vec![a, b], span)
    }

    /// Both sides at the type of the one that has a width.
    pub(super) fn same_type(&mut self, a: Expr, b: Expr, span: Span) -> Option<(Expr, Expr)> {
        match (&a.ty, &b.ty) {
            (Ty::Error, _) | (_, Ty::Error) => None,
            (Ty::Bits(x), Ty::Bits(y)) => {
                self.claim_equal(x.clone(), y.clone(), span);
                Some((a, b))
            }
            (Ty::Lanes { .. }, Ty::Lanes { .. }) => {
                let ty = a.ty.clone();
                let b = self.coerce(b, &ty);
                Some((a, b))
            }
            (x, Ty::Int | Ty::Bool | Ty::Undef) if x.is_dynamic() => {
                let ty = x.clone();
                let b = self.coerce(b, &ty);
                Some((a, b))
            }
            (Ty::Int | Ty::Bool | Ty::Undef, y) if y.is_dynamic() => {
                let ty = y.clone();
                let a = self.coerce(a, &ty);
                Some((a, b))
            }
            (x, y) => {
                let (x, y) = (self.g.show_ty(x), self.g.show_ty(y));
                let d = Diagnostic::error("type", span, format!("the operands are {x} and {y}"))
                    .also(a.span, x)
                    .also(b.span, y);
                self.g.diags.push(d);
                None
            }
        }
    }

    /// The operation of an operator on operands of one type.
    fn operation(&mut self, op: BinOp, a: &Expr, span: Span) -> Option<Op> {
        Some(match op {
            BinOp::Or => Op::Or,
            BinOp::Xor => Op::Xor,
            BinOp::And => Op::And,
            BinOp::Eq => Op::Eq,
            BinOp::Ne => Op::Ne,
            BinOp::LtS => Op::LtS,
            BinOp::LeS => Op::LeS,
            BinOp::GtS => Op::GtS,
            BinOp::GeS => Op::GeS,
            BinOp::LtU => Op::LtU,
            BinOp::LeU => Op::LeU,
            BinOp::GtU => Op::GtU,
            BinOp::GeU => Op::GeU,
            BinOp::Add => Op::Add,
            BinOp::Sub => Op::Sub,
            BinOp::Mul => Op::Mul,
            BinOp::DivS => Op::DivS,
            BinOp::DivU => Op::DivU,
            BinOp::RemS => Op::RemS,
            BinOp::RemU => Op::RemU,
            _ => {
                let ty = self.g.show_ty(&a.ty);
                let message = format!("this operator is for translate-time integers, but here is {ty}");
                let d = Diagnostic::error("signedness", span, message)
                    .note("for bits say which: `<s` or `<u`, `/s` or `/u`, `%s` or `%u`");
                self.g.diags.push(d);
                return None;
            }
        })
    }

    fn concat(&mut self, a: Expr, b: Expr, span: Span) -> Expr {
        for side in [&a, &b] {
            if side.ty.is_static() {
                return self.fail(
                    "width",
                    side.span,
                    "how many bits this has is not known here: write `bits(n, value)`",
                );
            }
        }
        let (Some(x), Some(y)) = (a.ty.width().cloned(), b.ty.width().cloned()) else { return ty::error(span) };
        let width = ty::binary(BinOp::Add, (*x).clone(), (*y).clone(), span);
        self.claim_width(&width);
        self.op(Op::Concat, Ty::Bits(Rc::new(width)), vec![a, b], span)
    }

    fn shift(&mut self, op: BinOp, a: Expr, b: Expr, span: Span) -> Expr {
        let op = match op {
            BinOp::Shl => Op::Shl,
            BinOp::Shr => Op::Shr,
            _ => Op::Sar,
        };
        match (&a.ty, &b.ty) {
            (Ty::Bits(_), Ty::Int | Ty::Bits(_)) | (Ty::Lanes { .. }, Ty::Int) => {
                self.op(op, a.ty.clone(), vec![a, b], span)
            }
            (Ty::Lanes { .. }, Ty::Lanes { .. }) => {
                let ty = a.ty.clone();
                let b = self.coerce(b, &ty);
                self.op(op, ty, vec![a, b], span)
            }
            (Ty::Int, Ty::Bits(_)) => {
                self.fail("width", a.span, "how many bits this has is not known here: write `bits(n, value)`")
            }
            (Ty::Error, _) | (_, Ty::Error) => ty::error(span),
            (x, y) => {
                let (x, y) = (self.g.show_ty(x), self.g.show_ty(y));
                self.fail("type", span, format!("{x} cannot be shifted by {y}"))
            }
        }
    }
}

impl Op {
    /// Integer comparisons.
    pub fn compares(self) -> bool {
        use Op as O;
        matches!(self, O::Eq | O::Ne | O::LtU | O::LeU | O::LtS | O::LeS | O::GtU | O::GtS | O::GeU | O::GeS)
    }
}
