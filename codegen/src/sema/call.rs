//! Calls: functions of the specification, Rust functions, text helpers, conversions to enums, built-ins.

use super::Item;
use super::claims::{CallSite, Owner};
use super::lower::Lower;
use super::ty::{self, Subst};
use crate::hir::{EnumTy, Expr, ExprKind, ExternId, FnId, Locals, ShowId, Ty, VarId};
use crate::syntax::ast::{self, BinOp, Ident, Span};
use std::rc::Rc;

/// Parameters of something that can be called.
struct Signature {
    params: Vec<VarId>,
    widths: Vec<Option<Vec<i128>>>,
    locals: Locals,
    ret: Ty,
}

impl Lower<'_, '_> {
    /// `f(a, name = b)`
    pub(super) fn call(&mut self, callee: &Ident, args: &[ast::Arg], want: Option<&Ty>, span: Span) -> Expr {
        match self.g.names.get(&callee.name).cloned() {
            Some(Item::Fn(id)) => self.call_fn(id, callee, args, want, span),
            Some(Item::Extern(id)) => self.call_extern(id, callee, args, span),
            Some(Item::Show(id)) => self.call_show(id, callee, args, span),
            Some(Item::Enum(id)) => self.convert(EnumTy::User(id), args, span),
            Some(Item::View(_)) => {
                let args: Vec<ast::Expr> = args.iter().map(|a| a.value.clone()).collect();
                self.view_get(callee, &args, span)
            }
            Some(_) => self.fail("type", callee.span, format!("`{callee}` is not a function")),
            None => match ty::builtin_enum(&callee.name) {
                Some(e) => self.convert(EnumTy::Builtin(e), args, span),
                None => self.builtin(callee, args, want, span),
            },
        }
    }

    /// `Alu(int)`; `int(op)` is the built-in for the way back.
    fn convert(&mut self, e: EnumTy, args: &[ast::Arg], span: Span) -> Expr {
        let [arg] = args else { return self.fail("arity", span, "a conversion takes one value") };
        let EnumTy::User(id) = e else {
            return self.fail("type", span, "a built-in enum has no numbers: use `match`");
        };
        let value = self.infer(&arg.value, Some(&Ty::Enum(e)));
        match value.ty {
            Ty::Enum(have) if have == e => return value,
            Ty::Enum(_) => return self.convert_name(e, value, span),
            _ => {}
        }
        let value = self.coerce(value, &Ty::Int);
        let set: Vec<i128> = self.g.model.enums[id.0 as usize].values.iter().map(|v| v.value).collect();
        let kind = super::claims::ClaimKind::Member { value: Rc::new(value.clone()), set: set.into() };
        self.claim(kind, span);
        Expr { kind: ExprKind::Convert(Box::new(value)), ty: Ty::Enum(e), span }
    }

    /// From one enum to the value of the same name in another.
    fn convert_name(&mut self, to: EnumTy, value: Expr, span: Span) -> Expr {
        let (Ty::Enum(EnumTy::User(from)), EnumTy::User(_)) = (&value.ty, to) else {
            return self.fail("type", span, "a built-in enum has no numbers: use `match`");
        };
        let mut arms = Vec::new();
        for v in self.g.model.enums[from.0 as usize].values.clone() {
            let Some(number) = self.g.enum_value(to, &v.name) else {
                let to = self.g.enum_name(to);
                return self.fail("type", span, format!("`{to}` has no value `{}`", v.name));
            };
            let from = Expr { kind: ExprKind::EnumValue(v.value), ty: value.ty.clone(), span };
            let into = Expr { kind: ExprKind::EnumValue(number), ty: Ty::Enum(to), span };
            let body = crate::hir::Block { stmts: Vec::new(), tail: Some(Box::new(into)) };
            arms.push(crate::hir::Arm { values: vec![from], body });
        }
        Expr { kind: ExprKind::Match(Box::new(value), arms), ty: Ty::Enum(to), span }
    }

    fn call_fn(&mut self, id: FnId, callee: &Ident, args: &[ast::Arg], want: Option<&Ty>, span: Span) -> Expr {
        let f = &self.g.model.fns[id.0 as usize];
        let sig = Signature {
            params: f.params.clone(),
            widths: f.widths.clone(),
            locals: f.locals.clone(),
            ret: f.ret.clone(),
        };
        let Some((args, map)) = self.arguments(&sig, callee, args, want, span) else { return ty::error(span) };
        self.note_call(Owner::Fn(id), &args, span);
        let ret = ty::subst_ty(&sig.ret, &map);
        Expr { kind: ExprKind::Call(id, args), ty: ret, span }
    }

    fn call_show(&mut self, id: ShowId, callee: &Ident, args: &[ast::Arg], span: Span) -> Expr {
        let f = &self.g.model.shows[id.0 as usize];
        let sig =
            Signature { params: f.params.clone(), widths: f.widths.clone(), locals: f.locals.clone(), ret: Ty::Str };
        let Some((args, _)) = self.arguments(&sig, callee, args, None, span) else { return ty::error(span) };
        self.note_call(Owner::Show(id), &args, span);
        Expr { kind: ExprKind::Show(id, args), ty: Ty::Str, span }
    }

    fn call_extern(&mut self, id: ExternId, callee: &Ident, args: &[ast::Arg], span: Span) -> Expr {
        let (params, ret) = {
            let f = &self.g.model.externs[id.0 as usize];
            (f.params.clone(), f.ret.clone())
        };
        if params.len() != args.len() {
            let message = format!("`{callee}` takes {} arguments, but {} are given", params.len(), args.len());
            return self.fail("arity", span, message);
        }
        let args = args.iter().zip(&params).map(|(a, t)| self.expr(&a.value, Some(t))).collect();
        Expr { kind: ExprKind::Extern(id, args), ty: ret, span }
    }

    /// Arguments for all parameters. Widths that are not given follow from the types of the other arguments.
    fn arguments(
        &mut self,
        sig: &Signature,
        callee: &Ident,
        args: &[ast::Arg],
        want: Option<&Ty>,
        span: Span,
    ) -> Option<(Vec<Expr>, Subst)> {
        let given = self.match_arguments(sig, callee, args, span)?;
        let mut map = Subst::new();
        let mut values: Vec<Option<Expr>> = vec![None; given.len()];
        // Explicit widths first, then arguments that have a type of their own, then literals.
        for (i, arg) in given.iter().enumerate() {
            if let (Some(arg), true) = (arg, sig.widths[i].is_some()) {
                let w = self.int(arg);
                map.insert(sig.params[i], w.clone());
                values[i] = Some(w);
            }
        }
        for (i, arg) in given.iter().enumerate() {
            let Some(arg) = arg else { continue };
            if values[i].is_some() {
                continue;
            }
            let ty = sig.locals.get(sig.params[i]).ty.clone();
            let hint = if ty.is_dynamic() && !self.known(&ty, &map) { None } else { Some(ty::subst_ty(&ty, &map)) };
            let value = self.infer(arg, hint.as_ref());
            self.learn(&ty, &value.ty, &mut map, sig);
            if ty.is_static() {
                map.insert(sig.params[i], value.clone());
            }
            values[i] = Some(value);
        }
        if let Some(want) = want {
            self.learn(&sig.ret, want, &mut map, sig);
        }
        self.finish_arguments(sig, callee, values, map, span)
    }

    /// Convert every argument to its parameter's type and fill in the widths.
    fn finish_arguments(
        &mut self,
        sig: &Signature,
        callee: &Ident,
        values: Vec<Option<Expr>>,
        mut map: Subst,
        span: Span,
    ) -> Option<(Vec<Expr>, Subst)> {
        let mut done = Vec::new();
        for (i, value) in values.into_iter().enumerate() {
            let param = sig.params[i];
            let value = match (value, &sig.widths[i]) {
                (value, Some(set)) => {
                    let Some(w) = value.or_else(|| map.get(&param).cloned()) else {
                        let name = &sig.locals.get(param).name;
                        let message = format!("the width `{name}` of `{callee}` does not follow from the arguments");
                        self.g.diags.push(
                            crate::diag::Diagnostic::error("width", span, message)
                                .note("give a literal its width with `bits(n, value)`, or pass all widths explicitly"),
                        );
                        return None;
                    };
                    self.claim_member(&w, set);
                    Expr { span, ..w }
                }
                (Some(value), None) => {
                    let ty = ty::subst_ty(&sig.locals.get(param).ty, &map);
                    let value = self.coerce(value, &ty);
                    if ty.is_static() {
                        map.insert(param, value.clone());
                    }
                    value
                }
                (None, None) => return None,
            };
            done.push(value);
        }
        Some((done, map))
    }

    /// Which argument goes to which parameter; without widths if fewer are given.
    fn match_arguments<'e>(
        &mut self,
        sig: &Signature,
        callee: &Ident,
        args: &'e [ast::Arg],
        span: Span,
    ) -> Option<Vec<Option<&'e ast::Expr>>> {
        let mut given: Vec<Option<&ast::Expr>> = vec![None; sig.params.len()];
        let positional = args.iter().filter(|a| a.name.is_none()).count();
        let named = args.len() - positional;
        let with_widths = positional + named == sig.params.len();
        let mut slots = (0..sig.params.len()).filter(|&i| with_widths || sig.widths[i].is_none());
        for arg in args {
            let slot = match &arg.name {
                Some(n) => sig.params.iter().position(|&p| sig.locals.get(p).name == n.name),
                None => slots.next(),
            };
            match slot {
                Some(i) if given[i].is_none() => given[i] = Some(&arg.value),
                _ => {
                    let message = format!("`{callee}` has no parameter for this argument");
                    self.g.error("arity", arg.value.span, message);
                    return None;
                }
            }
        }
        let missing = given.iter().enumerate().find(|(i, a)| a.is_none() && sig.widths[*i].is_none());
        if let Some((i, _)) = missing {
            let name = sig.locals.get(sig.params[i]).name.clone();
            self.g.error("arity", span, format!("`{callee}` needs a value for `{name}`"));
            return None;
        }
        Some(given)
    }

    /// Whether all widths that a type mentions are known.
    fn known(&self, ty: &Ty, map: &Subst) -> bool {
        fn all(e: &Expr, map: &Subst) -> bool {
            match &e.kind {
                ExprKind::Var(v) => map.contains_key(v),
                ExprKind::Binary(_, a, b) => all(a, map) && all(b, map),
                ExprKind::Static(_, args) => args.iter().all(|a| all(a, map)),
                _ => true,
            }
        }
        match ty {
            Ty::Bits(w) => all(w, map),
            Ty::Lanes { lane, width } => all(lane, map) && all(width, map),
            _ => true,
        }
    }

    /// Widths of parameters from the type of an argument.
    fn learn(&self, param: &Ty, arg: &Ty, map: &mut Subst, sig: &Signature) {
        match (param, arg) {
            (Ty::Bits(p), Ty::Bits(a) | Ty::Lanes { width: a, .. }) => self.learn_width(p, a, map, sig),
            (Ty::Lanes { lane, width }, Ty::Lanes { lane: l, width: w }) => {
                self.learn_width(lane, l, map, sig);
                self.learn_width(width, w, map, sig);
            }
            (Ty::Tuple(p), Ty::Tuple(a)) => p.iter().zip(a).for_each(|(p, a)| self.learn(p, a, map, sig)),
            _ => {}
        }
    }

    /// `n`, `n * k`, `k * n` with everything but one width parameter known.
    fn learn_width(&self, param: &Expr, arg: &Expr, map: &mut Subst, sig: &Signature) {
        let is_open = |e: &Expr, map: &Subst| match e.kind {
            ExprKind::Var(v) if !map.contains_key(&v) => {
                sig.params.iter().position(|p| *p == v).filter(|&i| sig.widths[i].is_some()).map(|_| v)
            }
            _ => None,
        };
        if let Some(v) = is_open(param, map) {
            map.insert(v, arg.clone());
        } else if let ExprKind::Binary(op @ (BinOp::Mul | BinOp::Div), a, b) = &param.kind {
            let inverse = if *op == BinOp::Mul { BinOp::Div } else { BinOp::Mul };
            let known = |e: &Expr, map: &Subst| ty::subst(e, map);
            if let Some(v) = is_open(a, map) {
                map.insert(v, ty::binary(inverse, arg.clone(), known(b, map), arg.span));
            } else if let (Some(v), BinOp::Mul) = (is_open(b, map), op) {
                map.insert(v, ty::binary(inverse, arg.clone(), known(a, map), arg.span));
            }
        }
    }

    /// Remember a call: for the call graph, and for the values that parameters take.
    pub(super) fn note_call(&mut self, callee: Owner, args: &[Expr], span: Span) {
        let args = args.iter().map(|a| a.ty.is_static().then(|| a.clone())).collect();
        self.g.calls.push(CallSite { caller: self.owner, conds: self.conds.clone(), callee, args, span });
    }
}
