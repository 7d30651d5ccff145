//! Lowering of one body: scopes, conversions between types, claims about widths.

use super::claims::{Claim, ClaimKind, Cond, Owner};
use super::ty::{self, int};
use super::{Global, Item};
use crate::diag::{Diagnostic, did_you_mean};
use crate::hir::{Domain, EnumTy, Expr, ExprKind, Locals, Op, Ty, Var, VarId, Width};
use crate::syntax::ast::{self, Ident, Span};
use std::rc::Rc;

/// Lowers one function, view, instruction or property.
pub(super) struct Lower<'g, 'a> {
    pub(super) g: &'g mut Global<'a>,
    pub(super) locals: Locals,
    pub(super) scope: Vec<(Rc<str>, VarId)>,
    /// Translate-time conditions under which the code being lowered is reached.
    pub(super) conds: Vec<Cond>,
    pub(super) owner: Owner,
    /// Names that only some encodings bind, with the place of one that does not.
    pub(super) partial: Vec<(Rc<str>, Span)>,
    /// Sets of the width parameters of the function or view.
    pub(super) param_sets: Vec<(VarId, Vec<i128>)>,
}

impl<'g, 'a> Lower<'g, 'a> {
    pub(super) fn new(g: &'g mut Global<'a>, owner: Owner) -> Lower<'g, 'a> {
        Lower {
            g,
            locals: Locals::default(),
            scope: Vec::new(),
            conds: Vec::new(),
            owner,
            partial: Vec::new(),
            param_sets: Vec::new(),
        }
    }

    /// Continue with variables that exist already, all in scope.
    pub(super) fn resume(g: &'g mut Global<'a>, owner: Owner, locals: Locals, visible: &[VarId]) -> Lower<'g, 'a> {
        let scope = visible.iter().map(|&v| (locals.get(v).name.clone(), v)).collect();
        Lower { g, locals, scope, conds: Vec::new(), owner, partial: Vec::new(), param_sets: Vec::new() }
    }

    // ---- names

    /// Introduce a variable.
    pub(super) fn bind(&mut self, name: &Ident, ty: Ty, domain: Domain) -> VarId {
        let id = VarId(self.locals.vars.len() as u32);
        self.locals.vars.push(Var { name: name.name.clone(), ty, span: name.span, domain });
        self.scope.push((name.name.clone(), id));
        id
    }

    /// The innermost variable of a name.
    pub(super) fn lookup(&self, name: &str) -> Option<VarId> {
        self.scope.iter().rev().find(|(n, _)| **n == *name).map(|(_, v)| *v)
    }

    /// The set of a width parameter; empty for others.
    pub(super) fn param_set(&self, id: VarId) -> Vec<i128> {
        self.param_sets.iter().find(|(v, _)| *v == id).map(|(_, s)| s.clone()).unwrap_or_default()
    }

    /// A reference to a variable.
    pub(super) fn var(&self, id: VarId, span: Span) -> Expr {
        Expr { kind: ExprKind::Var(id), ty: self.locals.get(id).ty.clone(), span }
    }

    /// Report an unknown name.
    pub(super) fn unknown(&mut self, what: &str, name: &Ident) -> Expr {
        if let Some((_, span)) = self.partial.iter().find(|(n, _)| *n == name.name) {
            let d = Diagnostic::error("unbound", name.span, format!("`{name}` is not bound by every encoding"))
                .also(*span, format!("this encoding has no `{name}`; give it a value with `with {name} = ..`"));
            self.g.diags.push(d);
            return ty::error(name.span);
        }
        let known: Vec<Rc<str>> =
            self.scope.iter().map(|(n, _)| n.clone()).chain(self.g.names.keys().cloned()).collect();
        let mut d = Diagnostic::error("unknown-name", name.span, format!("{what} `{name}` is not known"));
        if let Some(near) = did_you_mean(&name.name, known.iter().map(|n| &**n)) {
            d = d.note(format!("did you mean `{near}`?"));
        }
        self.g.diags.push(d);
        ty::error(name.span)
    }

    /// Report a mistake; its value is of every type.
    pub(super) fn fail(&mut self, code: &'static str, span: Span, message: impl Into<String>) -> Expr {
        self.g.error(code, span, message);
        ty::error(span)
    }

    // ---- types

    /// A type as written, its widths in the current scope.
    pub(super) fn ty(&mut self, t: &ast::Ty) -> Ty {
        match &t.kind {
            ast::TyKind::Bits(w) => Ty::Bits(Rc::new(self.int(w))),
            ast::TyKind::Int => Ty::Int,
            ast::TyKind::Bool => Ty::Bool,
            ast::TyKind::Str => Ty::Str,
            ast::TyKind::Lanes(args) => {
                let args: Vec<Expr> = args.iter().map(|a| self.int(a)).collect();
                match &args[..] {
                    [lane, count] => {
                        let width = ty::binary(ast::BinOp::Mul, lane.clone(), count.clone(), t.span);
                        Ty::Lanes { lane: Rc::new(lane.clone()), width: Rc::new(width) }
                    }
                    _ => {
                        self.g.error("type", t.span, "`lanes` needs the width of a lane and the number of lanes");
                        Ty::Error
                    }
                }
            }
            ast::TyKind::Place(w) => Ty::Place(Rc::new(self.int(w))),
            ast::TyKind::Named(name) => match self.enum_ty(&name.name) {
                Some(e) => Ty::Enum(e),
                None => {
                    self.unknown("type", name);
                    Ty::Error
                }
            },
            ast::TyKind::Tuple(items) => Ty::Tuple(items.iter().map(|i| self.ty(i)).collect()),
        }
    }

    /// The enum of a name.
    pub(super) fn enum_ty(&self, name: &str) -> Option<EnumTy> {
        match self.g.names.get(name) {
            Some(Item::Enum(id)) => Some(EnumTy::User(*id)),
            _ => ty::builtin_enum(name).map(EnumTy::Builtin),
        }
    }

    // ---- conversions

    /// An expression of type `int`.
    pub(super) fn int(&mut self, e: &ast::Expr) -> Expr {
        self.expr(e, Some(&Ty::Int))
    }

    /// An expression of type `bool`.
    pub(super) fn bool(&mut self, e: &ast::Expr) -> Expr {
        self.expr(e, Some(&Ty::Bool))
    }

    /// An expression of the wanted type, if one is wanted.
    pub(super) fn expr(&mut self, e: &ast::Expr, want: Option<&Ty>) -> Expr {
        let value = self.infer(e, want);
        match want {
            Some(ty) => self.coerce(value, ty),
            None => value,
        }
    }

    /// `e` as a value of type `want`: the implicit conversions, or a diagnostic.
    pub(super) fn coerce(&mut self, e: Expr, want: &Ty) -> Expr {
        let span = e.span;
        match (&e.ty, want) {
            (_, Ty::Error) | (Ty::Error, _) => Expr { ty: want.clone(), ..e },
            (Ty::Undef, _) => Expr { ty: want.clone(), ..e },
            (Ty::Int, Ty::Int) | (Ty::Bool, Ty::Bool) | (Ty::Str, Ty::Str) | (Ty::Unit, Ty::Unit) => e,
            (Ty::Enum(a), Ty::Enum(b)) if a == b => e,
            (Ty::List(_), Ty::List(_)) => e,
            (Ty::Place(w), _) if !matches!(want, Ty::Place(_)) => {
                let ty = Ty::Bits(w.clone());
                let value = Expr { kind: ExprKind::Op(Op::PlaceGet, vec![e]), ty, span };
                self.coerce(value, want)
            }
            (_, Ty::Place(w)) => self.as_place(e, w),
            (Ty::Int | Ty::Bool, Ty::Bits(w)) => self.constant(e, w),
            (Ty::Int, Ty::Lanes { lane, width }) => {
                let one = self.constant(e, lane);
                let ty = Ty::Lanes { lane: lane.clone(), width: width.clone() };
                Expr { kind: ExprKind::Op(Op::Splat, vec![one]), ty, span }
            }
            (Ty::Bits(a), Ty::Bits(b)) => {
                self.claim_equal(a.clone(), b.clone(), span);
                Expr { ty: want.clone(), ..e }
            }
            (Ty::Lanes { width, .. }, Ty::Bits(b)) => {
                self.claim_equal(width.clone(), b.clone(), span);
                Expr { kind: ExprKind::Op(Op::Reinterpret, vec![e]), ty: want.clone(), span }
            }
            (Ty::Lanes { lane, width }, Ty::Lanes { lane: l, width: w }) => {
                self.claim_equal(lane.clone(), l.clone(), span);
                self.claim_equal(width.clone(), w.clone(), span);
                Expr { ty: want.clone(), ..e }
            }
            (Ty::Tuple(a), Ty::Tuple(b)) if a.len() == b.len() => self.coerce_tuple(e, b),
            (Ty::Bits(_) | Ty::Lanes { .. }, t) if t.is_static() => self.binding_time(&e, t),
            (a, b) => {
                let (a, b) = (self.g.show_ty(a), self.g.show_ty(b));
                self.fail("type", span, format!("this is {a}, but {b} is needed"))
            }
        }
    }

    fn coerce_tuple(&mut self, e: Expr, want: &[Ty]) -> Expr {
        let span = e.span;
        let ty = Ty::Tuple(want.to_vec());
        match e.kind {
            ExprKind::Tuple(items) => {
                let items = items.into_iter().zip(want).map(|(i, t)| self.coerce(i, t)).collect();
                Expr { kind: ExprKind::Tuple(items), ty, span }
            }
            kind => Expr { kind, ty, span },
        }
    }

    /// A translate-time number as bits; a literal must fit.
    fn constant(&mut self, e: Expr, width: &Width) -> Expr {
        let span = e.span;
        if matches!(e.ty, Ty::Int) {
            self.claim(ClaimKind::Fits { value: Rc::new(e.clone()), width: width.clone() }, span);
        }
        Expr { kind: ExprKind::Constant(Box::new(e)), ty: Ty::Bits(width.clone()), span }
    }

    /// A run-time value where a translate-time one is needed: say where it comes from.
    fn binding_time(&mut self, e: &Expr, want: &Ty) -> Expr {
        let (have, want) = (self.g.show_ty(&e.ty), self.g.show_ty(want));
        let message = format!("{want} must be known when translating, but this is {have}, known only when running");
        let mut d = Diagnostic::error("binding-time", e.span, message);
        for (span, text) in self.origin(e) {
            d = d.also(span, text);
        }
        self.g.diags.push(d);
        ty::error(e.span)
    }

    /// The chain from an expression to the register or memory read that makes it a run-time value.
    fn origin(&self, e: &Expr) -> Vec<(Span, String)> {
        let mut chain = Vec::new();
        let mut at = e.clone();
        loop {
            let next = match &at.kind {
                ExprKind::Var(v) => {
                    let var = self.locals.get(*v);
                    chain.push((var.span, format!("`{}` is a run-time value", var.name)));
                    match &var.domain {
                        Domain::Let(def, _) => Some((**def).clone()),
                        _ => None,
                    }
                }
                ExprKind::Reg(..) => {
                    chain.push((at.span, "a register is only known when running".into()));
                    None
                }
                ExprKind::View(..) => {
                    chain.push((at.span, "a register read".into()));
                    None
                }
                ExprKind::Op(Op::Load | Op::LoadExclusive, _) => {
                    chain.push((at.span, "a memory read".into()));
                    None
                }
                ExprKind::Op(_, args) | ExprKind::Call(_, args) => args.iter().find(|a| a.ty.is_dynamic()).cloned(),
                ExprKind::Block(b) => b.tail.as_deref().cloned(),
                _ => None,
            };
            match next {
                Some(e) if chain.len() < 6 => at = e,
                _ => return chain,
            }
        }
    }

    // ---- claims

    /// Note that something about widths must hold here.
    pub(super) fn claim(&mut self, kind: ClaimKind, span: Span) {
        self.g.claims.push(Claim { owner: self.owner, conds: self.conds.clone(), kind, span });
    }

    /// Two widths must agree.
    pub(super) fn claim_equal(&mut self, a: Width, b: Width, span: Span) {
        if !ty::same(&a, &b) {
            self.claim(ClaimKind::Equal(a, b), span);
        }
    }

    /// `lo <= e <= hi`.
    pub(super) fn claim_range(&mut self, e: &Expr, lo: Expr, hi: Expr, what: &'static str) {
        let kind = ClaimKind::Within { value: Rc::new(e.clone()), lo: Rc::new(lo), hi: Rc::new(hi), what };
        self.claim(kind, e.span);
    }

    /// A width of 1 to 128 bits.
    pub(super) fn claim_width(&mut self, w: &Expr) {
        self.claim_range(w, int(1, w.span), int(128, w.span), "width");
    }
}
