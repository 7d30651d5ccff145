//! Statements and blocks.

use super::claims::{ClaimKind, Owner};
use super::lower::Lower;
use super::ty::{self, int};
use super::{Global, Item};
use crate::diag::Diagnostic;
use crate::hir::{Block, Domain, Expr, ExprKind, ExternId, Op, Stmt, StmtKind, Ty};
use crate::syntax::ast::{self, BinOp, Span};
use std::rc::Rc;

impl Lower<'_, '_> {
    /// A block; its variables end with it.
    pub(super) fn block(&mut self, b: &ast::Block, want: Option<&Ty>) -> Block {
        let depth = self.scope.len();
        let mut stmts = Vec::new();
        for s in &b.stmts {
            self.stmt(s, &mut stmts);
        }
        let tail = b.tail.as_ref().map(|t| Box::new(self.infer(t, want)));
        self.scope.truncate(depth);
        Block { stmts, tail }
    }

    /// One statement, appended in lowered form.
    pub(super) fn stmt(&mut self, s: &ast::Stmt, out: &mut Vec<Stmt>) {
        let span = s.span;
        let kind = match &s.kind {
            ast::StmtKind::Let { names, tuple, ty, value } => {
                let want = ty.as_ref().map(|t| self.ty(t));
                return match tuple {
                    true => self.let_tuple(names, want.as_ref(), value, span, out),
                    false => self.let_one(&names[0], want.as_ref(), value, span, out),
                };
            }
            ast::StmtKind::Width { name, set, value } => self.width(name, set, value),
            ast::StmtKind::Assign { targets, tuple, value } => {
                return match tuple {
                    true => self.assign_tuple(targets, value, span, out),
                    false => self.assign(&targets[0], value, span, out),
                };
            }
            ast::StmtKind::For { var, lo, hi, body } => return self.for_loop(var, lo, hi, body, span, out),
            ast::StmtKind::Expr(e) => {
                let e = self.infer(e, None);
                if matches!(e.kind, ExprKind::Undef) && !matches!(e.ty, Ty::Error) {
                    self.g.error("type", span, "write `undefined();`: `undef` is a value");
                }
                StmtKind::Expr(e)
            }
        };
        out.push(Stmt { kind, span });
    }

    fn let_one(&mut self, name: &ast::Ident, want: Option<&Ty>, value: &ast::Expr, span: Span, out: &mut Vec<Stmt>) {
        let value = self.expr(value, want);
        match &value.ty {
            Ty::Unit => self.g.error("type", value.span, "this has no value"),
            Ty::Undef => self.g.error("type", value.span, "give the type: `let x: T = undef;`"),
            _ => {}
        }
        let domain = Domain::Let(Rc::new(value.clone()), None);
        let var = self.bind(name, value.ty.clone(), domain);
        out.push(Stmt { kind: StmtKind::Let(vec![var], value), span });
    }

    /// `let (a, b) = (x, y);` is two bindings made at once; of a function's result, one statement.
    fn let_tuple(
        &mut self,
        names: &[ast::Ident],
        want: Option<&Ty>,
        value: &ast::Expr,
        span: Span,
        out: &mut Vec<Stmt>,
    ) {
        let value = self.expr(value, want);
        let Ty::Tuple(types) = value.ty.clone() else {
            if !matches!(value.ty, Ty::Error) {
                let ty = self.g.show_ty(&value.ty);
                self.g.error("type", value.span, format!("{} values are needed, but this is {ty}", names.len()));
            }
            for n in names {
                self.bind(n, Ty::Error, Domain::Unknown);
            }
            return;
        };
        if types.len() != names.len() {
            let message = format!("{} names for {} values", names.len(), types.len());
            self.g.error("arity", span, message);
        }
        if let ExprKind::Tuple(items) = value.kind {
            for (name, item) in names.iter().zip(items) {
                let domain = Domain::Let(Rc::new(item.clone()), None);
                let var = self.bind(name, item.ty.clone(), domain);
                out.push(Stmt { kind: StmtKind::Let(vec![var], item), span });
            }
        } else {
            let vars = names.iter().zip(types).map(|(n, t)| self.bind(n, t, Domain::Unknown)).collect();
            out.push(Stmt { kind: StmtKind::Let(vars, value), span });
        }
    }

    /// `width w in {32, 64} = e;`
    fn width(&mut self, name: &ast::Ident, set: &[ast::Expr], value: &ast::Expr) -> StmtKind {
        let set = self.width_set(set);
        let value = self.int(value);
        self.claim(ClaimKind::Member { value: Rc::new(value.clone()), set: set.clone().into() }, value.span);
        let domain = Domain::Let(Rc::new(value.clone()), Some(set.into()));
        let var = self.bind(name, Ty::Int, domain);
        StmtKind::Let(vec![var], value)
    }

    /// The members of a width's set, which are constants from 1 to 128.
    pub(super) fn width_set(&mut self, set: &[ast::Expr]) -> Vec<i128> {
        let mut members = Vec::new();
        for e in set {
            let value = self.int(e);
            match super::eval(&self.g.model, &self.locals, &super::Env::default(), &value).and_then(|v| v.int()) {
                Some(w @ 1..=128) => members.push(w),
                Some(w) => self.g.error("width", e.span, format!("a width is 1 to 128 bits, not {w}")),
                None => self.g.error("width", e.span, "the members of a width's set must be constants"),
            }
        }
        members
    }

    /// A loop whose counter is called like a decode variable sets it, for what the body calls, and resets it at the end.
    fn for_loop(
        &mut self,
        var: &ast::Ident,
        lo: &ast::Expr,
        hi: &ast::Expr,
        body: &ast::Block,
        span: Span,
        out: &mut Vec<Stmt>,
    ) {
        let (lo, hi) = (self.int(lo), self.int(hi));
        let env = super::Env::default();
        let bound = |l: &Lower, e: &Expr| super::eval(&l.g.model, &l.locals, &env, e).and_then(|v| v.int());
        let domain = match (bound(self, &lo), bound(self, &hi)) {
            (Some(a), Some(b)) => Domain::Range(a, b),
            (Some(a), None) => Domain::Set((a..a + 32).collect()),
            _ => Domain::Unknown,
        };
        let depth = self.scope.len();
        let id = self.bind(var, Ty::Int, domain);
        let within = ty::binary(BinOp::Lt, self.var(id, var.span), hi.clone(), var.span);
        let cond = Expr { ty: Ty::Bool, ..within };
        self.conds.push(super::claims::Cond { expr: Rc::new(cond), holds: true });
        let mut body = self.block(body, None);
        self.conds.pop();
        let decoded = match self.g.names.get(&var.name) {
            Some(Item::Context(id)) if self.g.model.contexts[id.0 as usize].decoded => Some(*id),
            _ => None,
        };
        let set = |context, value| Stmt { kind: StmtKind::SetContext(context, value), span };
        if let Some(context) = decoded {
            body.stmts.insert(0, set(context, self.var(id, var.span)));
        }
        self.scope.truncate(depth);
        out.push(Stmt { kind: StmtKind::For(id, lo, hi, body), span });
        if let Some(context) = decoded {
            let reset = self.g.model.contexts[context.0 as usize].reset;
            out.push(set(context, int(reset.into(), span)));
        }
    }

    fn assign(&mut self, target: &ast::Expr, value: &ast::Expr, span: Span, out: &mut Vec<Stmt>) {
        let (place, ty) = self.place(target);
        let is_context = matches!(place, super::place::Place::Context(_));
        let value = match is_context {
            true => self.context_value(value, &ty),
            false => self.expr(value, Some(&ty)),
        };
        if let Some(kind) = self.store_to(place, value, span) {
            out.push(Stmt { kind, span });
        }
    }

    /// A context takes an int (known mode of what follows) or bits (the unit ends).
    fn context_value(&mut self, value: &ast::Expr, ty: &Ty) -> Expr {
        let value = self.infer(value, Some(&Ty::Int));
        if value.ty.is_dynamic() { self.coerce(value, ty) } else { self.coerce(value, &Ty::Int) }
    }

    /// `(a, b) = e;`: all values are computed before any is stored.
    fn assign_tuple(&mut self, targets: &[ast::Expr], value: &ast::Expr, span: Span, out: &mut Vec<Stmt>) {
        let places: Vec<_> = targets.iter().map(|t| self.place(t)).collect();
        let want = Ty::Tuple(places.iter().map(|(_, t)| t.clone()).collect());
        let value = self.expr(value, Some(&want));
        let Ty::Tuple(types) = value.ty.clone() else { return };
        let name = |i: usize| ast::Ident { name: format!("part{i}").into(), span };
        let vars: Vec<_> =
            types.iter().enumerate().map(|(i, t)| self.bind(&name(i), t.clone(), Domain::Unknown)).collect();
        match value.kind {
            ExprKind::Tuple(items) => {
                out.extend(vars.iter().zip(items).map(|(v, i)| Stmt { kind: StmtKind::Let(vec![*v], i), span }));
            }
            _ => out.push(Stmt { kind: StmtKind::Let(vars.clone(), value), span }),
        }
        for ((place, _), var) in places.into_iter().zip(vars) {
            let value = self.var(var, span);
            if let Some(kind) = self.store_to(place, value, span) {
                out.push(Stmt { kind, span });
            }
        }
        self.scope.truncate(self.scope.len() - types.len());
    }

    /// The body of something whose value has type `ret`.
    pub(super) fn body(&mut self, b: &ast::Block, ret: &Ty) -> Block {
        let want = (!matches!(ret, Ty::Unit)).then_some(ret);
        let mut block = self.block(b, want);
        match (block.tail.take(), want) {
            (Some(t), Some(want)) => block.tail = Some(Box::new(self.coerce(*t, want))),
            (Some(t), None) => {
                let span = t.span;
                if t.ty.is_dynamic() && is_pure(&t) {
                    let d = Diagnostic::warning("unused", span, "this value is not used");
                    self.g.diags.push(d);
                }
                block.stmts.push(Stmt { kind: StmtKind::Expr(*t), span });
            }
            (None, Some(want)) if !matches!(want, Ty::Error) => {
                let want = self.g.show_ty(want);
                self.g.error("type", b.span, format!("the body must end in a value of type {want}"));
                block.tail = Some(Box::new(int(0, b.span)));
            }
            (None, _) => {}
        }
        block
    }
}

/// What a run-time `if` must not contain: effects, and calls of what may have some.
pub(super) enum Impure {
    Effect(Span),
    Call(Owner, Span),
    Extern(ExternId, Span),
}

/// Effects and calls in a block.
pub(super) fn impure(b: &Block, out: &mut Vec<Impure>) {
    for s in &b.stmts {
        match &s.kind {
            StmtKind::Let(_, e) | StmtKind::Expr(e) => impure_expr(e, out),
            StmtKind::For(_, _, _, body) => impure(body, out),
            _ => out.push(Impure::Effect(s.span)),
        }
    }
    b.tail.iter().for_each(|t| impure_expr(t, out));
}

fn impure_expr(e: &Expr, out: &mut Vec<Impure>) {
    match &e.kind {
        ExprKind::Op(op, args) => {
            if op.has_effect() {
                out.push(Impure::Effect(e.span));
            }
            args.iter().for_each(|a| impure_expr(a, out));
        }
        ExprKind::View(id, args) => {
            out.push(Impure::Call(Owner::View(*id), e.span));
            args.iter().for_each(|a| impure_expr(a, out));
        }
        ExprKind::Call(id, args) => {
            out.push(Impure::Call(Owner::Fn(*id), e.span));
            args.iter().for_each(|a| impure_expr(a, out));
        }
        ExprKind::Extern(id, args) => {
            out.push(Impure::Extern(*id, e.span));
            args.iter().for_each(|a| impure_expr(a, out));
        }
        ExprKind::If(_, a, b) => {
            impure(a, out);
            impure(b, out);
        }
        ExprKind::Match(_, arms) => arms.iter().for_each(|a| impure(&a.body, out)),
        ExprKind::Block(b) => impure(b, out),
        ExprKind::Tuple(items) => items.iter().for_each(|i| impure_expr(i, out)),
        _ => {}
    }
}

/// Whether an expression certainly does nothing.
fn is_pure(e: &Expr) -> bool {
    let mut found = Vec::new();
    impure_expr(e, &mut found);
    found.is_empty()
}

/// Report calls under run-time conditions of what turns out to have effects, once all bodies are known.
pub(super) fn check_conditional_calls(g: &mut Global) {
    for (owner, call, cond) in std::mem::take(&mut g.conditional_calls) {
        if let Some(effect) = effect_of(g, owner, 0) {
            let d =
                Diagnostic::error("effect", call, "this call has an effect, under a condition known only when running")
                    .also(cond, "this condition")
                    .also(effect, "the effect");
            g.diags.push(d);
        }
    }
}

/// The place of an effect of a function or of the reading of a view.
fn effect_of(g: &Global, owner: Owner, depth: u32) -> Option<Span> {
    let mut found = Vec::new();
    match owner {
        Owner::Fn(id) => impure(&g.model.fns[id.0 as usize].body, &mut found),
        Owner::View(id) => g.model.views[id.0 as usize].get.iter().for_each(|b| impure(b, &mut found)),
        _ => {}
    }
    found.into_iter().find_map(|i| match i {
        Impure::Effect(span) => Some(span),
        Impure::Extern(id, span) => (!g.model.externs[id.0 as usize].pure).then_some(span),
        Impure::Call(to, _) if depth < 32 => effect_of(g, to, depth + 1),
        Impure::Call(..) => None,
    })
}

impl Op {
    /// Reads or writes memory, leaves the instruction, may trap, or sets sticky floating-point flags.
    pub fn has_effect(self) -> bool {
        use Op as O;
        matches!(
            self,
            O::Load
                | O::Store
                | O::PlaceGet
                | O::PlaceUpdate
                | O::LoadExclusive
                | O::StoreExclusive
                | O::ClearExclusive
                | O::Atomic
                | O::AtomicCas
                | O::Fence
                | O::SetFpFlags
                | O::Jump
                | O::Branch
                | O::JumpIndirect
                | O::Call
                | O::Trap
                | O::TrapIf
                | O::SkipIf
                | O::Undefined
                | O::Syscall
                | O::NativeCall
                | O::InstructionBarrier
                | O::IcacheFlush
        ) || self.sets_fp_flags()
    }

    fn sets_fp_flags(self) -> bool {
        use Op as O;
        matches!(
            self,
            O::Fadd
                | O::Fsub
                | O::Fmul
                | O::Fdiv
                | O::Fsqrt
                | O::Fma
                | O::Fmin
                | O::Fmax
                | O::Fround
                | O::Fcvt
                | O::FtoiS
                | O::FtoiU
                | O::ItofS
                | O::ItofU
                | O::FcmpEq
                | O::FcmpLt
                | O::FcmpLe
                | O::FcmpUn
                | O::FcmpEqS
                | O::FcmpLtS
                | O::FcmpLeS
                | O::FcmpUnS
        )
    }
}
