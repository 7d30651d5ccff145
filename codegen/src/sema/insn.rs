//! Instructions: encodings to one set of names, then clauses and body over these names.

use super::claims::{ClaimKind, Cond, Owner};
use super::items::first_line;
use super::lower::Lower;
use super::{Env, Global, Item, eval};
use super::{sections, space};
use crate::diag::{Diagnostic, did_you_mean};
use crate::hir::{Block, Domain, EnumTy, Expr, ExprKind, InsnId, Stmt, StmtKind, Ty, VarId};
use crate::model::{Action, Asm, Enc, Field, Insn, Tail};
use crate::pattern::{self, Flat, FlatField};
use crate::syntax::ast::{self, Prelude};
use std::collections::{BTreeSet, HashMap};
use std::rc::Rc;

/// Fields of wider encodings are not enumerated.
const MAX_ENUMERATED: u32 = 8;

/// Encodings and the names they bind.
pub(super) fn declare(g: &mut Global) {
    let mut seen: HashMap<Rc<str>, ast::Span> = HashMap::new();
    for (i, source) in g.spec.insns.iter().enumerate() {
        if let Some(first) = seen.insert(source.name.name.clone(), source.name.span) {
            let message = format!("instruction `{}` is declared twice", source.name);
            g.diags.push(Diagnostic::error("duplicate", source.name.span, message).also(first, "first here"));
        }
        let insn = declare_one(g, InsnId(i as u32), source);
        g.model.insns.push(insn);
    }
}

/// Number of the floating-point environment that an attribute names.
fn environment(g: &Global, source: &ast::Insn) -> usize {
    let named = |name: &str| source.attrs.iter().any(|attr| &*attr.name.name == name);
    sections::fp_names(g.spec).position(named).map_or(0, |i| i + 1)
}

fn declare_one(g: &mut Global, id: InsnId, source: &ast::Insn) -> Insn {
    let at = g.sources.at(source.name.span);
    let mut l = Lower::new(g, Owner::Insn(id));
    let mut encs = Vec::new();
    for (index, enc) in source.encs.iter().enumerate() {
        let (spaces, contexts) = (l.g.model.spaces.clone(), l.g.model.contexts.clone());
        let Some(flat) = pattern::flatten(l.g.spec, &spaces, &contexts, enc, l.g.diags) else { continue };
        let fields: Vec<Field> = flat.fields.iter().map(|f| field(&mut l, &flat, f)).collect();
        let var = |f: &FlatField| l.g.model.decode_var(&f.name.name);
        let sets = flat.fields.iter().zip(&fields).filter_map(|(f, field)| Some((var(f)?, field.var))).collect();
        let tail = flat.tail.iter().filter_map(|t| tail(&mut l, t)).collect();
        let (binds, guards) = (Vec::new(), Vec::new());
        encs.push(Enc { index, fields, tail, sets, flat, binds, guards, predicate: None, span: enc.span });
    }
    let first_claim = l.g.claims.len();
    for enc in &mut encs {
        for b in &source.encs[enc.index].with {
            let bind = bind_with(&mut l, source, b);
            enc.binds.push(bind);
        }
        for b in space::defaults(&l, enc) {
            let bind = bind_with(&mut l, source, &b);
            enc.binds.push(bind);
        }
    }
    let with_claims = first_claim..l.g.claims.len();
    let params = common(&encs);
    let locals = std::mem::take(&mut l.locals);
    Insn {
        name: source.name.to_string(),
        doc: first_line(&source.doc),
        locals,
        encs,
        params,
        lets: Vec::new(),
        guards: Vec::new(),
        asms: Vec::new(),
        action: Action::Missing,
        environment: environment(g, source),
        overrides: source.overrides.iter().map(ToString::to_string).collect(),
        tests: Vec::new(),
        with_claims,
        span: source.name.span,
        at,
    }
}

/// An operand, or the variable of an immediate.
fn tail(l: &mut Lower, t: &pattern::Tail) -> Option<Tail> {
    Some(match t {
        pattern::Tail::Operand(name) => Tail::Operand(l.g.spec.operands.iter().position(|o| o.name.name == name.name)?),
        pattern::Tail::Field { name, signed, width } => {
            let width = l.int(width);
            let values = match width.kind {
                ExprKind::Int(w @ 1..=64) if *signed => Domain::Range(-1 << (w - 1), 1 << (w - 1)),
                ExprKind::Int(w @ 1..=64) => Domain::Range(0, 1 << w),
                _ => Domain::Unknown,
            };
            Tail::Immediate { var: share(l, name, Ty::Int, values), width, signed: *signed }
        }
    })
}

/// The variable of a field; encodings that share a name share the variable.
fn field(l: &mut Lower, flat: &Flat, f: &FlatField) -> Field {
    let ty = match f.enum_name.as_ref().map(|n| (n, l.enum_ty(&n.name))) {
        Some((_, Some(e))) => Ty::Enum(e),
        Some((n, None)) => {
            l.unknown("enum", &n.clone());
            Ty::Error
        }
        None => Ty::Int,
    };
    let values = field_values(l.g, flat, f, &ty);
    let var = share(l, &f.name, ty, values);
    Field { var, pieces: f.pieces.clone(), signed: f.signed.then_some(f.width) }
}

/// A variable of this name, its values extended by `values`.
fn share(l: &mut Lower, name: &ast::Ident, ty: Ty, values: Domain) -> VarId {
    let Some(var) = l.lookup(&name.name) else { return l.bind(name, ty, values) };
    let have = &mut l.locals.vars[var.0 as usize];
    let agree = match (&have.ty, &ty) {
        (Ty::Int, Ty::Int) | (Ty::Bool, Ty::Bool) | (Ty::Error, _) | (_, Ty::Error) => true,
        (Ty::Enum(a), Ty::Enum(b)) => a == b,
        (Ty::Place(_), Ty::Place(_)) => true,
        _ => false,
    };
    have.domain = union(&have.domain, &values);
    if !agree {
        let first = have.span;
        let (a, b) = (l.g.show_ty(&l.locals.get(var).ty), l.g.show_ty(&ty));
        let d = Diagnostic::error("type", name.span, format!("`{name}` is {b} here and {a} in another encoding"))
            .also(first, a);
        l.g.diags.push(d);
    }
    var
}

fn union(a: &Domain, b: &Domain) -> Domain {
    match (a, b) {
        (Domain::Set(x), Domain::Set(y)) => {
            let all: BTreeSet<i128> = x.iter().chain(y.iter()).copied().collect();
            Domain::Set(all.into_iter().collect())
        }
        (Domain::Range(a, b), Domain::Range(c, d)) => Domain::Range(*a.min(c), *b.max(d)),
        (Domain::Range(a, b), Domain::Set(s)) | (Domain::Set(s), Domain::Range(a, b)) => {
            let lo = s.iter().copied().min().unwrap_or(*a).min(*a);
            Domain::Range(lo, s.iter().copied().max().unwrap_or(*a).max(b - 1) + 1)
        }
        _ => Domain::Unknown,
    }
}

/// What a field can be, given the constraints on it alone.
fn field_values(g: &Global, flat: &Flat, f: &FlatField, ty: &Ty) -> Domain {
    if f.width > MAX_ENUMERATED {
        let half = 1_i128 << (f.width.min(120) - 1);
        return if f.signed { Domain::Range(-half, half) } else { Domain::Range(0, half * 2) };
    }
    let own: u128 = f.pieces.iter().map(|p| pattern::ones(p.width) << p.at).sum();
    let mut values = BTreeSet::new();
    for raw in 0..1_u128 << f.width {
        let mut word = 0;
        let mut spread = 0;
        for p in &f.pieces {
            word |= (raw >> p.lo & pattern::ones(p.width)) << p.at;
            spread |= pattern::ones(p.width) << p.lo;
        }
        let allowed = flat.constraints.iter().filter(|c| c.bits & !own == 0).all(|c| c.holds(word));
        if raw & !spread == 0 && allowed {
            values.insert(flat.field_value(f, word));
        }
    }
    if let Ty::Enum(EnumTy::User(id)) = ty {
        let members = &g.model.enums[id.0 as usize].values;
        values.retain(|v| members.iter().any(|m| m.value == *v));
    }
    Domain::Set(values.into_iter().collect())
}

/// `with name = e`
fn bind_with(l: &mut Lower, source: &ast::Insn, b: &ast::Binding) -> (VarId, Expr) {
    let known = l.lookup(&b.name.name);
    let want = match place_width(l, source, &b.name) {
        Some(width) => Some(Ty::Place(Rc::new(l.int(&width)))),
        None => known.map(|v| l.locals.get(v).ty.clone()),
    };
    let value = l.expr(&b.value, want.as_ref());
    if !value.ty.is_static() && !matches!(value.ty, Ty::Error | Ty::Place(_)) {
        l.fail("binding-time", value.span, "a name that `with` binds must be known when translating");
    }
    let domain = match eval(&l.g.model, &l.locals, &Env::default(), &value) {
        Some(super::Value::Int(v)) => Domain::Set([v].into()),
        _ => Domain::Unknown,
    };
    let ty = value.ty.clone();
    (share(l, &b.name, ty, domain), value)
}

/// A name that some encoding binds to an operand is a place in all of them; its width there.
fn place_width(l: &Lower, source: &ast::Insn, name: &ast::Ident) -> Option<ast::Expr> {
    let values = source.encs.iter().flat_map(|e| &e.with).filter(|b| b.name.name == name.name).map(|b| &b.value);
    values.into_iter().find_map(|value| {
        let ast::ExprKind::Call { callee, args, .. } = &value.kind else { return None };
        let operand = l.g.spec.operands.iter().find(|o| o.name.name == callee.name)?;
        let ast::TyKind::Place(width) = &operand.ty.kind else { return None };
        let ast::ExprKind::Name(param) = &width.kind else { return None };
        let position = operand.params.iter().position(|p| p.name().name == param.name)?;
        args.get(position).map(|a| a.value.clone())
    })
}

/// Variables that every encoding binds, in the order of the first.
fn common(encs: &[Enc]) -> Vec<VarId> {
    let bound = |e: &Enc| -> Vec<VarId> { e.bound().collect() };
    let Some((first, rest)) = encs.split_first() else { return Vec::new() };
    let rest: Vec<Vec<VarId>> = rest.iter().map(bound).collect();
    bound(first).into_iter().filter(|v| rest.iter().all(|r| r.contains(v))).collect()
}

// ---------------------------------------------------------------- clauses and bodies

/// Clauses and bodies.
pub(super) fn lower_bodies(g: &mut Global) {
    for i in 0..g.spec.insns.len() {
        lower_one(g, i);
    }
}

fn lower_one(g: &mut Global, i: usize) {
    let source = &g.spec.insns[i];
    let insn = &g.model.insns[i];
    let (mut locals, params, mut encs) = (insn.locals.clone(), insn.params.clone(), insn.encs.clone());
    bound_values(&g.model, &mut locals, &encs);
    let with_claims = insn.with_claims.clone();
    let partial = partial_names(&encs, &params, &locals);
    let mut l = Lower::resume(g, Owner::Insn(InsnId(i as u32)), locals, &params);
    encoding_guards(&mut l, source, &mut encs);
    l.partial = partial;
    let (lets, mut guards) = prelude(&mut l, source);
    guards.extend(source.requires.iter().filter_map(|r| requirement(&mut l, r)));
    let asms = source.asms.iter().map(|a| asm(&mut l, a)).collect();
    let action = action(&mut l, source);
    // Values bound by `with` only matter where the guards hold.
    let known = guards.iter().map(|g| Cond { expr: Rc::new(g.clone()), holds: true });
    let known: Vec<Cond> = known.collect();
    for claim in &mut l.g.claims[with_claims] {
        claim.conds.extend(known.iter().cloned());
    }
    if source.encs.is_empty() {
        l.g.error("encoding", source.name.span, format!("instruction `{}` has no encoding", source.name));
    }
    let locals = std::mem::take(&mut l.locals);
    let insn = &mut g.model.insns[i];
    (insn.locals, insn.encs, insn.lets, insn.guards, insn.asms, insn.action) =
        (locals, encs, lets, guards, asms, action);
}

/// What names that `with` binds can be, now that the functions they are computed with are known.
fn bound_values(model: &crate::model::Model, locals: &mut crate::hir::Locals, encs: &[Enc]) {
    for i in 0..locals.vars.len() {
        if !matches!(locals.vars[i].domain, Domain::Unknown) || !matches!(locals.vars[i].ty, Ty::Int) {
            continue;
        }
        let binds = encs.iter().flat_map(|e| &e.binds).filter(|(v, _)| v.0 as usize == i);
        let values = |e: &Expr| match eval(model, locals, &Env::default(), e) {
            Some(super::Value::Int(v)) => Some(vec![v]),
            _ => super::decoded::values(model, locals, e).map(|v| v.to_vec()),
        };
        let is_bound = encs.iter().all(|e| !e.fields.iter().any(|f| f.var.0 as usize == i));
        let all: Option<Vec<Vec<i128>>> = binds.map(|(_, e)| values(e)).collect();
        if let (Some(all), true) = (all.filter(|a| !a.is_empty()), is_bound && immediate_free(encs, i)) {
            let set: BTreeSet<i128> = all.into_iter().flatten().collect();
            locals.vars[i].domain = Domain::Set(set.into_iter().collect());
        }
    }
}

/// Whether no encoding binds the variable to an immediate.
fn immediate_free(encs: &[Enc], var: usize) -> bool {
    let is_var = |t: &Tail| matches!(t, Tail::Immediate { var: v, .. } if v.0 as usize == var);
    !encs.iter().flat_map(|e| &e.tail).any(is_var)
}

/// Names that some encodings bind and others do not, with the place of one that does not.
fn partial_names(encs: &[Enc], params: &[VarId], locals: &crate::hir::Locals) -> Vec<(Rc<str>, ast::Span)> {
    let mut names = Vec::new();
    for (i, var) in locals.vars.iter().enumerate() {
        let id = VarId(i as u32);
        let lacks = |e: &&Enc| !e.bound().any(|v| v == id);
        if !params.contains(&id)
            && let Some(enc) = encs.iter().find(lacks)
        {
            names.push((var.name.clone(), enc.span));
        }
    }
    names
}

/// `when` of an encoding sees that encoding's names.
fn encoding_guards(l: &mut Lower, source: &ast::Insn, encs: &mut [Enc]) {
    let scope = std::mem::take(&mut l.scope);
    for enc in encs {
        l.scope = enc.bound().map(|v| (l.locals.get(v).name.clone(), v)).collect();
        if let Some(check) = &l.g.model.spaces[enc.flat.space].check {
            let check = super::prefix::check_of(check, &source.attrs);
            enc.guards.push(l.bool(&check));
        }
        if let Some(when) = &source.encs[enc.index].when {
            let guard = l.bool(when);
            if source.encs.len() == 1 {
                l.conds.push(Cond { expr: Rc::new(guard.clone()), holds: true });
            }
            enc.guards.push(guard);
        }
        enc.predicate = space::predicate(l, enc);
    }
    l.scope = scope;
}

/// `let`, `width` and `when`, in order.
fn prelude(l: &mut Lower, source: &ast::Insn) -> (Vec<Stmt>, Vec<Expr>) {
    let (mut lets, mut guards) = (Vec::new(), Vec::new());
    // A guard also holds for the `width` clauses before it: what does not match is never translated.
    for p in &source.prelude {
        if let Prelude::When(e) = p
            && mentions_only_params(l, e)
        {
            let guard = l.bool(e);
            l.conds.push(Cond { expr: Rc::new(guard.clone()), holds: true });
            guards.push(guard);
        }
    }
    for p in &source.prelude {
        match p {
            Prelude::Stmt(s) => l.stmt(s, &mut lets),
            Prelude::When(e) if mentions_only_params(l, e) => {}
            Prelude::When(e) => {
                let guard = l.bool(e);
                l.conds.push(Cond { expr: Rc::new(guard.clone()), holds: true });
                guards.push(guard);
            }
        }
    }
    for s in &lets {
        if let StmtKind::Let(_, value) = &s.kind
            && value.ty.is_dynamic()
        {
            l.g.error("binding-time", s.span, "a `let` outside of `exec` must be known when translating");
        }
    }
    (lets, guards)
}

/// Whether a guard could be written before all `let`s.
fn mentions_only_params(l: &Lower, e: &ast::Expr) -> bool {
    let is_param = |n: &ast::Ident| l.lookup(&n.name).is_some_and(|v| l.locals.get(v).domain_is_root());
    let is_value = |n: &ast::Ident| l.g.model.enums.iter().any(|e| e.values.iter().any(|v| v.name == *n.name));
    let mut all = true;
    // anything else is a name that a later clause binds
    visit_names(e, &mut |n| all &= is_param(n) || l.g.names.contains_key(&n.name) || is_value(n));
    all
}

fn visit_names(e: &ast::Expr, f: &mut impl FnMut(&ast::Ident)) {
    use ast::ExprKind as K;
    match &e.kind {
        K::Name(n) => f(n),
        K::Unary(_, a) => visit_names(a, f),
        K::Member(..) => {}
        K::Binary(_, a, b) | K::Range(a, b) => {
            visit_names(a, f);
            visit_names(b, f);
        }
        K::Call { args, .. } => args.iter().for_each(|a| visit_names(&a.value, f)),
        K::Set(items) | K::List(items) | K::Tuple(items) => items.iter().for_each(|i| visit_names(i, f)),
        K::Index(a, items) => {
            visit_names(a, f);
            items.iter().for_each(|i| visit_names(i, f));
        }
        K::Int(_) | K::Bool(_) => {}
        // anything with blocks: keep it in its place
        _ => f(&super::items::ident("", e.span)),
    }
}

/// `requires lse;`: a feature of the instance, or any condition.
fn requirement(l: &mut Lower, e: &ast::Expr) -> Option<Expr> {
    if let ast::ExprKind::Name(n) = &e.kind
        && l.lookup(&n.name).is_none()
        && !matches!(l.g.names.get(&n.name), Some(Item::Const(_)))
    {
        let present = l.g.features.iter().any(|f| **f == *n.name);
        let known: Vec<String> = l.g.spec.instances.iter().flat_map(super::features).collect();
        if !known.iter().any(|f| **f == *n.name) {
            let mut d = Diagnostic::error("unknown-name", n.span, format!("no instance has the feature `{n}`"));
            if let Some(near) = did_you_mean(&n.name, known.iter().map(String::as_str)) {
                d = d.note(format!("did you mean `{near}`?"));
            }
            l.g.diags.push(d);
        }
        return (!present).then_some(Expr { kind: ExprKind::Bool(false), ty: Ty::Bool, span: e.span });
    }
    Some(l.bool(e))
}

fn asm(l: &mut Lower, a: &ast::Asm) -> Asm {
    let when = a.when.as_ref().map(|w| l.bool(w));
    if let Some(w) = &when {
        l.conds.push(Cond { expr: Rc::new(w.clone()), holds: true });
    }
    let template = l.template(&a.template);
    if when.is_some() {
        l.conds.pop();
    }
    Asm { template, when }
}

fn action(l: &mut Lower, source: &ast::Insn) -> Action {
    match (&source.exec, &source.alias) {
        (Some(body), None) => Action::Body(l.body(body, &Ty::Unit)),
        (None, Some(alias)) => alias_of(l, alias),
        (Some(_), Some(a)) => {
            l.g.error("encoding", a.span, "an instruction has either `exec` or `as`");
            Action::Missing
        }
        (None, None) => {
            l.g.error(
                "encoding",
                source.name.span,
                format!("instruction `{}` has neither `exec` nor `as`", source.name),
            );
            Action::Body(Block::default())
        }
    }
}

/// `as other(field = e, ..);`
fn alias_of(l: &mut Lower, alias: &ast::Alias) -> Action {
    let position = l.g.spec.insns.iter().position(|i| i.name.name == alias.target.name);
    let Some(target) = position else {
        l.unknown("instruction", &alias.target);
        return Action::Missing;
    };
    let insn = &l.g.model.insns[target];
    let (params, locals) = (insn.params.clone(), insn.locals.clone());
    let mut args = Vec::new();
    for &p in &params {
        let var = locals.get(p);
        let Some(b) = alias.args.iter().find(|b| b.name.name == var.name) else {
            l.g.error("arity", alias.span, format!("`{}` needs `{}`", alias.target, var.name));
            continue;
        };
        let value = l.expr(&b.value, Some(&var.ty));
        if let (Domain::Set(set), true) = (&var.domain, value.ty.is_static()) {
            l.claim(ClaimKind::Member { value: Rc::new(value.clone()), set: set.clone() }, b.value.span);
        }
        args.push(value);
    }
    for b in &alias.args {
        if !params.iter().any(|&p| locals.get(p).name == b.name.name) {
            l.g.error("unknown-name", b.name.span, format!("`{}` has no field `{}`", alias.target, b.name));
        }
    }
    let id = InsnId(target as u32);
    let span = alias.span;
    l.note_call(Owner::Insn(id), &args, span);
    Action::Alias(id, args)
}
