//! Registers, views, elements and bit fields: reading and naming them for assignment.

use super::Item;
use super::lower::Lower;
use super::ty::{self, Subst, int};
use crate::hir::{ContextId, Expr, ExprKind, Op, RegId, StmtKind, Ty, ViewId, Width};
use crate::syntax::ast::{self, BinOp, Ident, Span};
use std::rc::Rc;

/// Where an assignment goes.
pub(super) enum Place {
    Reg(RegId, Option<Expr>),
    View(ViewId, Vec<Expr>),
    Context(ContextId),
    /// An expression of type `place`.
    Operand(Expr),
    /// Bits of another place: the place, lowest bit, width.
    Field(Box<Place>, Ty, Expr, Width),
    /// Reported already.
    Error,
}

impl Lower<'_, '_> {
    // ---- reading

    /// `gpr[n]`, `X[n, w]`, `names[i]`, `value[bit]`
    pub(super) fn index(&mut self, base: &ast::Expr, args: &[ast::Expr], span: Span) -> Expr {
        if let ast::ExprKind::Name(name) = &base.kind
            && self.lookup(&name.name).is_none()
        {
            match self.g.names.get(&name.name).cloned() {
                Some(Item::View(_)) => return self.view_get(name, args, span),
                Some(Item::Reg(id)) if self.g.model.reg(id).count.is_some() => return self.element(id, args, span),
                _ => {}
            }
        }
        let value = self.infer(base, None);
        let [arg] = args else { return self.fail("arity", span, "one index is needed") };
        match &value.ty {
            Ty::List(t) => {
                let (ty, index) = ((**t).clone(), self.int(arg));
                Expr { kind: ExprKind::Element(Box::new(value), Box::new(index)), ty, span }
            }
            Ty::Bits(_) => {
                let lo = self.int(arg);
                self.extract(value, lo, ty::width(1, span), span)
            }
            Ty::Int => {
                let at = self.int(arg);
                let kind = ExprKind::Static(crate::hir::StaticFn::Bit, vec![value, at]);
                Expr { kind, ty: Ty::Int, span }
            }
            Ty::Error => value,
            t => {
                let t = self.g.show_ty(t);
                self.fail("type", span, format!("{t} has no elements"))
            }
        }
    }

    fn element(&mut self, id: RegId, args: &[ast::Expr], span: Span) -> Expr {
        let Some(index) = self.array_index(id, args, span) else { return ty::error(span) };
        let ty = ty::bits(self.g.model.reg(id).width, span);
        Expr { kind: ExprKind::Reg(id, Some(Box::new(index))), ty, span }
    }

    fn array_index(&mut self, id: RegId, args: &[ast::Expr], span: Span) -> Option<Expr> {
        let [arg] = args else {
            self.g.error("arity", span, "one index is needed");
            return None;
        };
        let index = self.int(arg);
        let count = self.g.model.reg(id).count.unwrap_or(1);
        self.claim_range(&index, int(0, span), int(i128::from(count) - 1, span), "register number");
        Some(index)
    }

    /// `a[lo +: w]`
    pub(super) fn slice(&mut self, base: &ast::Expr, lo: &ast::Expr, width: &ast::Expr, span: Span) -> Expr {
        let value = self.infer(base, None);
        let (lo, width) = (self.int(lo), self.int(width));
        match &value.ty {
            Ty::Bits(_) => self.extract(value, lo, Rc::new(width), span),
            Ty::Lanes { width: w, .. } => {
                let ty = Ty::Bits(w.clone());
                let value = self.coerce(value, &ty);
                self.extract(value, lo, Rc::new(width), span)
            }
            Ty::Int => {
                let shifted = ty::binary(BinOp::Shr, value, lo, span);
                let ones = Expr { kind: ExprKind::Static(crate::hir::StaticFn::Ones, vec![width]), ty: Ty::Int, span };
                ty::binary(BinOp::And, shifted, ones, span)
            }
            Ty::Error => value,
            t => {
                let t = self.g.show_ty(t);
                self.fail("type", span, format!("{t} has no bits to select"))
            }
        }
    }

    /// Bits `lo .. lo + width` of a value.
    pub(super) fn extract(&mut self, value: Expr, lo: Expr, width: Width, span: Span) -> Expr {
        let Some(total) = value.ty.width().cloned() else { return ty::error(span) };
        self.claim_width(&width);
        let top = ty::binary(BinOp::Sub, (*total).clone(), (*width).clone(), span);
        self.claim_range(&lo, int(0, span), top, "lowest bit");
        self.op(Op::Extract, Ty::Bits(width), vec![value, lo], span)
    }

    /// `X[n, w]` read.
    pub(super) fn view_get(&mut self, name: &Ident, args: &[ast::Expr], span: Span) -> Expr {
        let Some((id, args, map)) = self.view_args(name, args, span) else { return ty::error(span) };
        let view = &self.g.model.views[id.0 as usize];
        let has_get = self.g.spec.views[id.0 as usize].get.is_some();
        let ty = ty::subst_ty(&view.ty, &map);
        if !has_get {
            return self.fail("type", span, format!("view `{name}` cannot be read: it has no `get`"));
        }
        self.note_call(super::claims::Owner::View(id), &args, span);
        Expr { kind: ExprKind::View(id, args), ty, span }
    }

    /// Arguments of a view, and what its parameters become.
    pub(super) fn view_args(
        &mut self,
        name: &Ident,
        args: &[ast::Expr],
        span: Span,
    ) -> Option<(ViewId, Vec<Expr>, Subst)> {
        let Some(Item::View(id)) = self.g.names.get(&name.name).cloned() else {
            self.unknown("view", name);
            return None;
        };
        let view = &self.g.model.views[id.0 as usize];
        let (params, locals, widths) = (view.params.clone(), view.locals.clone(), view.widths.clone());
        if params.len() != args.len() {
            let message = format!("view `{name}` takes {} indices, but {} are given", params.len(), args.len());
            self.g.error("arity", span, message);
            return None;
        }
        let mut map = Subst::new();
        let mut values = Vec::new();
        for ((&param, arg), set) in params.iter().zip(args).zip(&widths) {
            let ty = ty::subst_ty(&locals.get(param).ty, &map);
            let value = self.expr(arg, Some(&ty));
            if let Some(set) = set {
                self.claim_member(&value, set);
            }
            map.insert(param, value.clone());
            values.push(value);
        }
        Some((id, values, map))
    }

    /// The value of a width parameter must be one of its set.
    pub(super) fn claim_member(&mut self, value: &Expr, set: &[i128]) {
        if set.is_empty() {
            self.claim_width(value);
        } else {
            let kind = super::claims::ClaimKind::Member { value: Rc::new(value.clone()), set: set.into() };
            self.claim(kind, value.span);
        }
    }

    /// A value where a place is needed: a view can be written, anything else only read.
    pub(super) fn as_place(&mut self, e: Expr, width: &Width) -> Expr {
        let (span, ty) = (e.span, Ty::Place(width.clone()));
        match e.ty.clone() {
            Ty::Place(w) => {
                self.claim_equal(w, width.clone(), span);
                Expr { ty, ..e }
            }
            Ty::Bits(w) if matches!(e.kind, ExprKind::View(..)) => {
                self.claim_equal(w, width.clone(), span);
                let ExprKind::View(id, args) = e.kind else { return ty::error(span) };
                Expr { kind: ExprKind::PlaceView(id, args), ty, span }
            }
            _ => {
                let value = self.coerce(e, &Ty::Bits(width.clone()));
                Expr { kind: ExprKind::Op(Op::PlaceValue, vec![value]), ty, span }
            }
        }
    }

    // ---- assigning

    /// The left side of an assignment, with the type of what goes there.
    pub(super) fn place(&mut self, target: &ast::Expr) -> (Place, Ty) {
        let span = target.span;
        match &target.kind {
            ast::ExprKind::Name(name) if self.is_place_variable(name) => self.operand_place(target),
            ast::ExprKind::Call { .. } => self.operand_place(target),
            ast::ExprKind::Name(name) => self.named_place(name, &[], span),
            ast::ExprKind::Index(base, args) => match &base.kind {
                ast::ExprKind::Name(name) if !self.is_single_reg(name) => self.named_place(name, args, span),
                _ => match &args[..] {
                    [bit] => {
                        let lo = self.int(bit);
                        self.field_place(base, lo, ty::width(1, span), span)
                    }
                    _ => self.no_place(span),
                },
            },
            ast::ExprKind::Slice { base, lo, width } => {
                let (lo, width) = (self.int(lo), Rc::new(self.int(width)));
                self.field_place(base, lo, width, span)
            }
            _ => self.no_place(span),
        }
    }

    fn is_place_variable(&self, name: &Ident) -> bool {
        self.lookup(&name.name).is_some_and(|v| matches!(self.locals.get(v).ty, Ty::Place(_)))
    }

    fn operand_place(&mut self, target: &ast::Expr) -> (Place, Ty) {
        let place = self.raw(target, None);
        match place.ty.clone() {
            Ty::Place(w) => (Place::Operand(place), Ty::Bits(w)),
            Ty::Error => (Place::Error, Ty::Error),
            _ => self.no_place(target.span),
        }
    }

    fn no_place(&mut self, span: Span) -> (Place, Ty) {
        self.g.error(
            "assign",
            span,
            "only registers, views and contexts can be assigned; bind other values with `let`",
        );
        (Place::Error, Ty::Error)
    }

    fn is_single_reg(&self, name: &Ident) -> bool {
        matches!(self.g.names.get(&name.name), Some(Item::Reg(id)) if self.g.model.reg(*id).count.is_none())
    }

    fn named_place(&mut self, name: &Ident, args: &[ast::Expr], span: Span) -> (Place, Ty) {
        match self.g.names.get(&name.name).cloned() {
            Some(Item::Reg(id)) => {
                let index = match self.g.model.reg(id).count {
                    Some(_) => match self.array_index(id, args, span) {
                        Some(i) => Some(i),
                        None => return (Place::Error, Ty::Error),
                    },
                    None => None,
                };
                let ty = ty::bits(self.g.model.reg(id).width, span);
                (Place::Reg(id, index), ty)
            }
            Some(Item::View(_)) => {
                let Some((id, args, map)) = self.view_args(name, args, span) else { return (Place::Error, Ty::Error) };
                if self.g.spec.views[id.0 as usize].set.is_none() {
                    self.g.error("assign", span, format!("view `{name}` cannot be written: it has no `set`"));
                }
                let ty = ty::subst_ty(&self.g.model.views[id.0 as usize].ty, &map);
                self.note_call(super::claims::Owner::View(id), &args, span);
                (Place::View(id, args), ty)
            }
            Some(Item::Context(id)) if self.g.model.contexts[id.0 as usize].decoded => {
                self.g.error("assign", span, "decode variables are set by prefixes and encodings");
                (Place::Error, Ty::Error)
            }
            Some(Item::Context(id)) => {
                let width = self.g.model.contexts[id.0 as usize].width;
                (Place::Context(id), ty::bits(width, span))
            }
            Some(_) => self.no_place(span),
            None if self.lookup(&name.name).is_some() => self.no_place(span),
            None => {
                self.unknown("name", name);
                (Place::Error, Ty::Error)
            }
        }
    }

    fn field_place(&mut self, base: &ast::Expr, lo: Expr, width: Width, span: Span) -> (Place, Ty) {
        let (place, ty) = self.place(base);
        let Some(total) = ty.width().cloned() else { return (Place::Error, Ty::Error) };
        let top = ty::binary(BinOp::Sub, (*total).clone(), (*width).clone(), span);
        self.claim_range(&lo, int(0, span), top, "lowest bit");
        let field = Ty::Bits(width.clone());
        (Place::Field(Box::new(place), ty, lo, width), field)
    }

    /// The statement that stores `value`.
    pub(super) fn store_to(&mut self, place: Place, value: Expr, span: Span) -> Option<StmtKind> {
        Some(match place {
            Place::Reg(id, index) => StmtKind::SetReg(id, index, value),
            Place::View(id, args) => StmtKind::SetView(id, args, value),
            Place::Context(id) => StmtKind::SetContext(id, value),
            Place::Operand(place) => StmtKind::SetPlace(place, value),
            Place::Field(base, ty, lo, _) => {
                let old = self.read_place(&base, &ty, span)?;
                let whole = self.op(Op::Insert, ty, vec![old, lo, value], span);
                return self.store_to(*base, whole, span);
            }
            Place::Error => return None,
        })
    }

    fn read_place(&mut self, place: &Place, ty: &Ty, span: Span) -> Option<Expr> {
        let kind = match place {
            Place::Reg(id, index) => ExprKind::Reg(*id, index.clone().map(Box::new)),
            Place::View(id, args) => ExprKind::View(*id, args.clone()),
            Place::Field(base, ty, lo, width) => {
                let old = self.read_place(base, ty, span)?;
                return Some(self.extract(old, lo.clone(), width.clone(), span));
            }
            Place::Operand(e) => ExprKind::Op(Op::PlaceGet, vec![e.clone()]),
            Place::Context(_) | Place::Error => return None,
        };
        Some(Expr { kind, ty: ty.clone(), span })
    }
}
