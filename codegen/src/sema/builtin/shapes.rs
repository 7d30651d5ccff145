//! Built-ins that share a shape: how many operands of which types.

use super::{Args, Shape};
use crate::hir::{BuiltinEnum, Expr, ExprKind, Op, StaticFn, Ty};
use crate::sema::lower::Lower;
use crate::sema::ty::{self, int};
use crate::syntax::ast::{BinOp, Span};
use std::rc::Rc;

impl Lower<'_, '_> {
    /// A function of ints, if all arguments are; the run-time form otherwise.
    pub(super) fn static_builtin(&mut self, f: StaticFn, count: usize, args: &mut Args) -> Option<Expr> {
        let also_dynamic = matches!(f, StaticFn::Popcount | StaticFn::Abs);
        if also_dynamic {
            let known = self.g.diags.len();
            let claims = self.g.claims.len();
            let first = args.positional.first().map(|e| self.infer(e, None));
            debug_assert!(self.g.diags.len() >= known);
            if !matches!(first, Some(Expr { ty: Ty::Int, .. })) {
                self.g.claims.truncate(claims);
                return None;
            }
        }
        let mut values = Vec::new();
        for i in 0..count {
            let Some(v) = self.int_arg(args, ["a", "b", "c"][i]) else { return Some(ty::error(args.span)) };
            values.push(v);
        }
        self.all_used(args);
        Some(Expr { kind: ExprKind::Static(f, values), ty: Ty::Int, span: args.span })
    }

    pub(super) fn shaped(&mut self, op: Op, shape: Shape, args: &mut Args) -> Option<Expr> {
        let span = args.span;
        match shape {
            Shape::Bare => Some(self.op(op, Ty::Unit, Vec::new(), span)),
            Shape::One => {
                let a = self.value(args, "a")?;
                Some(self.op(op, a.ty.clone(), vec![a], span))
            }
            Shape::Two => {
                let (a, b) = self.pair(args)?;
                Some(self.op(op, a.ty.clone(), vec![a, b], span))
            }
            Shape::Carry => {
                let (a, b) = self.pair(args)?;
                let mut operands = vec![a, b];
                if let Some(c) = args.take("c") {
                    operands.push(self.expr(c, Some(&ty::bits(1, span))));
                }
                Some(self.op(op, ty::bits(1, span), operands, span))
            }
            Shape::FloatTwo => {
                let (a, b) = self.pair(args)?;
                let round = self.round(args)?;
                Some(self.op(op, a.ty.clone(), vec![a, b, round], span))
            }
            Shape::FloatMinMax => {
                let (a, b) = self.pair(args)?;
                let kind = self.enum_arg(args, "nan", BuiltinEnum::MinMax, None)?;
                Some(self.op(op, a.ty.clone(), vec![a, b, kind], span))
            }
            Shape::FloatCompare => {
                let (a, b) = self.pair(args)?;
                let ty = if matches!(a.ty, Ty::Bits(_)) { ty::bits(1, span) } else { a.ty.clone() };
                Some(self.op(op, ty, vec![a, b], span))
            }
            Shape::Widen => {
                let a = self.lanes_arg(args, "a")?;
                let ty = self.resized(&a.ty, 64, span)?;
                Some(self.op(op, ty, vec![a], span))
            }
            Shape::Narrow => {
                let a = self.lanes_arg(args, "a")?;
                let ty = self.resized(&a.ty, 128, span)?;
                Some(self.op(op, ty, vec![a], span))
            }
            Shape::MulLong => {
                let (a, b) = self.pair(args)?;
                let a = self.as_lanes(a)?;
                let ty = self.resized(&a.ty, 64, span)?;
                Some(self.op(op, ty, vec![a, b], span))
            }
        }
    }

    /// Two operands of one type.
    pub(super) fn pair(&mut self, args: &mut Args) -> Option<(Expr, Expr)> {
        let (a, b) = (self.arg(args, "a")?, self.arg(args, "b")?);
        let a = self.infer(a, None);
        let hint = a.ty.clone();
        let b = self.infer(b, hint.is_dynamic().then_some(&hint));
        let span = args.span;
        if a.ty.is_static() && b.ty.is_static() {
            self.dynamic(a)?;
            return None;
        }
        self.same_type(a, b, span)
    }

    pub(super) fn lanes_arg(&mut self, args: &mut Args, name: &str) -> Option<Expr> {
        let a = self.value(args, name)?;
        self.as_lanes(a)
    }

    pub(super) fn as_lanes(&mut self, a: Expr) -> Option<Expr> {
        if matches!(a.ty, Ty::Lanes { .. }) {
            return Some(a);
        }
        let ty = self.g.show_ty(&a.ty);
        self.g.error("type", a.span, format!("lanes are needed, but this is {ty}: write `.lanes(e)`"));
        None
    }

    /// Lanes of half (`from` 128) or twice (`from` 64) the width.
    pub(super) fn resized(&mut self, ty: &Ty, from: u32, span: Span) -> Option<Ty> {
        let Ty::Lanes { lane, width } = ty else { return None };
        self.claim_equal(width.clone(), ty::width(from, span), span);
        let (op, to) = if from == 64 { (BinOp::Mul, 128) } else { (BinOp::Div, 64) };
        let lane = Rc::new(ty::binary(op, (**lane).clone(), int(2, span), span));
        Some(Ty::Lanes { lane, width: ty::width(to, span) })
    }
}
