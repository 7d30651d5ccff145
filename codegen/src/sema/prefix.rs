//! Prefixes, and the properties of byte-wise spaces: encodings that set decode variables, and which table is next.

use super::claims::Owner;
use super::lower::Lower;
use super::{Domain, Global, Item};
use crate::hir::{Expr, Ty};
use crate::model::{Enc, Field, Prefix};
use crate::pattern;
use crate::syntax::ast::{self, Attr, ExprKind, StmtKind};

/// All prefixes.
pub(super) fn lower(g: &mut Global) {
    for source in &g.spec.prefixes {
        if let Some(prefix) = prefix(g, source) {
            g.model.prefixes.push(prefix);
        }
    }
}

fn prefix(g: &mut Global, source: &ast::PrefixDef) -> Option<Prefix> {
    let (spaces, contexts) = (g.model.spaces.clone(), g.model.contexts.clone());
    let flat = pattern::flatten(g.spec, &spaces, &contexts, &source.enc, g.diags)?;
    if spaces[flat.space].unit != 8 || !flat.tail.is_empty() {
        g.error("unsupported", source.enc.span, "a prefix is one to three bytes of a byte-wise space");
        return None;
    }
    let mut l = Lower::new(g, Owner::Nothing);
    let mut fields = Vec::new();
    for f in &flat.fields {
        let var = l.bind(&f.name, Ty::Int, Domain::Unknown);
        fields.push(Field { var, pieces: f.pieces.clone(), signed: f.signed.then_some(f.width) });
    }
    let guards = source.enc.when.iter().map(|w| l.bool(w)).collect();
    let mut sets = Vec::new();
    for stmt in &source.body {
        sets.extend(assignment(&mut l, stmt));
    }
    let (tail, binds, span) = (Vec::new(), Vec::new(), source.enc.span);
    let enc = Enc { index: 0, flat, fields, tail, sets: Vec::new(), binds, guards, predicate: None, span };
    Some(Prefix { name: source.name.to_string(), locals: std::mem::take(&mut l.locals), enc, sets })
}

/// `variable = e;`
fn assignment(l: &mut Lower, stmt: &ast::Stmt) -> Option<(usize, Expr)> {
    if let StmtKind::Assign { targets, tuple: false, value } = &stmt.kind
        && let [target] = &targets[..]
        && let ExprKind::Name(name) = &target.kind
        && let Some(Item::Context(id)) = l.g.names.get(&name.name).cloned()
        && l.g.model.contexts[id.0 as usize].decoded
    {
        return Some((id.0 as usize, l.int(value)));
    }
    l.fail("assign", stmt.span, "a prefix assigns decode variables");
    None
}

/// The condition that a space adds to its instructions, `has(x)` answered by an instruction's attributes.
pub(super) fn check_of(check: &ast::Expr, attrs: &[Attr]) -> ast::Expr {
    let inner = |e: &ast::Expr| Box::new(check_of(e, attrs));
    let kind = match &check.kind {
        ExprKind::Call { callee, args, .. } if &*callee.name == "has" => {
            let named = |a: &ast::Arg| match &a.value.kind {
                ExprKind::Name(n) => attrs.iter().any(|attr| attr.name.name == n.name),
                _ => false,
            };
            ExprKind::Bool(args.iter().all(named))
        }
        ExprKind::Binary(op, a, b) => ExprKind::Binary(*op, inner(a), inner(b)),
        ExprKind::Unary(op, a) => ExprKind::Unary(*op, inner(a)),
        other => other.clone(),
    };
    ast::Expr { kind, span: check.span, id: check.id }
}
