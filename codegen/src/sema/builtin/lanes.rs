//! Built-ins of lanes, and those with closures.

use super::Args;
use crate::hir::{Domain, Expr, ExprKind, Op, Ty};
use crate::sema::claims::ClaimKind;
use crate::sema::lower::Lower;
use crate::sema::ty::{self, int};
use crate::syntax::ast::{self, BinOp};

impl Lower<'_, '_> {
    pub(super) fn lane_builtin(&mut self, name: &str, args: &mut Args, want: Option<&Ty>) -> Option<Expr> {
        let span = args.span;
        Some(match name {
            "lanes" => {
                let a = self.arg(args, "a")?;
                let a = self.infer(a, None);
                let lane = self.width_arg(args, "lane")?;
                let a = match (&a.ty, want) {
                    (Ty::Int, Some(Ty::Lanes { width, .. } | Ty::Bits(width))) => {
                        self.coerce(a, &Ty::Bits(width.clone()))
                    }
                    _ => self.dynamic(a)?,
                };
                let width = a.ty.width().cloned()?;
                self.claim(ClaimKind::Lanes { lane: lane.clone(), width: width.clone() }, span);
                self.op(Op::Reinterpret, Ty::Lanes { lane, width }, vec![a], span)
            }
            "blend" => {
                let mask = self.value(args, "mask")?;
                let (a, b) = self.pair(args)?;
                let mask = match &mask.ty {
                    Ty::Lanes { width, .. } | Ty::Bits(width) => {
                        self.claim_equal(width.clone(), a.ty.width().cloned()?, span);
                        mask
                    }
                    _ => return None,
                };
                self.op(Op::Blend, a.ty.clone(), vec![mask, a, b], span)
            }
            "splat" => {
                let a = self.value(args, "a")?;
                let width = self.width_arg(args, "width")?;
                let lane = a.ty.width().cloned()?;
                self.claim(ClaimKind::Lanes { lane: lane.clone(), width: width.clone() }, span);
                self.op(Op::Splat, Ty::Lanes { lane, width }, vec![a], span)
            }
            "lane" => {
                let (a, i) = (self.lanes_arg(args, "a")?, self.int_arg(args, "index")?);
                let Ty::Lanes { lane, .. } = a.ty.clone() else { return None };
                self.claim_lane(&a.ty, &i);
                self.op(Op::Lane, Ty::Bits(lane), vec![a, i], span)
            }
            "with_lane" => {
                let (a, i) = (self.lanes_arg(args, "a")?, self.int_arg(args, "index")?);
                let Ty::Lanes { lane, .. } = a.ty.clone() else { return None };
                let x = self.typed(args, "value", &Ty::Bits(lane))?;
                self.claim_lane(&a.ty, &i);
                self.op(Op::WithLane, a.ty.clone(), vec![a, i, x], span)
            }
            "table" => {
                let (t, index) = (self.bits_arg(args, "table", 128)?, self.lanes_arg(args, "index")?);
                self.op(Op::Table, index.ty.clone(), vec![t, index], span)
            }
            _ => self.shuffle(args)?,
        })
    }

    pub(super) fn claim_lane(&mut self, ty: &Ty, index: &Expr) {
        let Ty::Lanes { lane, width } = ty else { return };
        let count = ty::binary(BinOp::Div, (**width).clone(), (**lane).clone(), index.span);
        let last = ty::binary(BinOp::Sub, count, int(1, index.span), index.span);
        self.claim_range(index, int(0, index.span), last, "lane number");
    }

    /// `shuffle(a, b, |i| pick)`
    pub(super) fn shuffle(&mut self, args: &mut Args) -> Option<Expr> {
        let (a, b) = self.pair(args)?;
        let a = self.as_lanes(a)?;
        let (var, pick) = self.closure(args, &Ty::Int)?;
        let ty = a.ty.clone();
        let kind = ExprKind::Shuffle { sources: Box::new((a, b)), var, pick: Box::new(pick) };
        Some(Expr { kind, ty, span: args.span })
    }

    /// `join(separator, n, |i| text)`
    pub(super) fn join(&mut self, args: &mut Args) -> Option<Expr> {
        let separator = self.typed(args, "separator", &Ty::Str)?;
        let count = self.int_arg(args, "count")?;
        let (var, text) = self.closure(args, &Ty::Str)?;
        let kind = ExprKind::Join { separator: Box::new(separator), count: Box::new(count), var, text: Box::new(text) };
        Some(Expr { kind, ty: Ty::Str, span: args.span })
    }

    pub(super) fn closure(&mut self, args: &mut Args, ret: &Ty) -> Option<(crate::hir::VarId, Expr)> {
        let arg = self.arg(args, "closure")?;
        let ([name], body) = self.closure_parts(arg, "|i| value")?;
        let depth = self.scope.len();
        let var = self.bind(name, Ty::Int, Domain::Unknown);
        let body = self.expr(body, Some(ret));
        self.scope.truncate(depth);
        Some((var, body))
    }

    /// The names and the body of a closure of the form `form`.
    pub(super) fn closure_parts<'e, const N: usize>(
        &mut self,
        arg: &'e ast::Expr,
        form: &str,
    ) -> Option<([&'e ast::Ident; N], &'e ast::Expr)> {
        if let ast::ExprKind::Closure(names, body) = &arg.kind
            && let Ok(names) = names.iter().collect::<Vec<_>>().try_into()
        {
            return Some((names, body));
        }
        self.g.error("type", arg.span, format!("a closure is needed: `{form}`"));
        None
    }
}
