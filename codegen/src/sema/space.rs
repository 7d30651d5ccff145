//! What spaces say about their instructions: names for encodings that lack them, conditions, contexts that advance.

use super::claims::Owner;
use super::lower::Lower;
use super::{Global, Item};
use crate::diag::did_you_mean;
use crate::hir::{ContextId, Expr, Ty, VarId};
use crate::model::Enc;
use crate::syntax::ast::{Binding, Ident};

/// The spaces, once the contexts are declared.
pub(super) fn declare(g: &mut Global) {
    g.model.spaces = crate::pattern::spaces(g.spec, g.diags);
    for space in g.model.spaces.clone() {
        for (name, _) in &space.active {
            context(g, name);
        }
    }
}

fn context(g: &mut Global, name: &Ident) -> Option<ContextId> {
    if let Some(Item::Context(id)) = g.names.get(&name.name) {
        return Some(*id);
    }
    let message = format!("there is no context `{name}`");
    let near = did_you_mean(&name.name, g.model.contexts.iter().map(|c| &*c.name)).map(str::to_owned);
    let mut d = crate::diag::Diagnostic::error("unknown-name", name.span, message);
    if let Some(near) = near {
        d = d.note(format!("did you mean `{near}`?"));
    }
    g.diags.push(d);
    None
}

/// `after { context = e; }` of every space.
pub(super) fn lower_after(g: &mut Global) {
    let mut all = Vec::new();
    for space in g.model.spaces.clone() {
        let mut assigned = Vec::new();
        for (name, value) in &space.after {
            let Some(id) = context(g, name) else { continue };
            let value = Lower::new(g, Owner::Nothing).int(value);
            assigned.push((id, value));
        }
        all.push(assigned);
    }
    g.model.after = all;
}

/// Bindings of a space's `defaults` that an encoding needs.
pub(super) fn defaults(l: &Lower, enc: &Enc) -> Vec<Binding> {
    let bound = |name: &str| {
        let is = |v: VarId| *l.locals.get(v).name == *name;
        enc.fields.iter().any(|f| is(f.var)) || enc.binds.iter().any(|b| is(b.0))
    };
    let space = &l.g.model.spaces[enc.flat.space];
    let missing = space.defaults.iter().filter(|(name, _)| !bound(&name.name));
    missing.map(|(name, value)| Binding { name: name.clone(), value: value.clone() }).collect()
}

/// The condition of an encoding, whose names are in scope.
pub(super) fn predicate(l: &mut Lower, enc: &Enc) -> Option<Expr> {
    let predicate = l.g.model.spaces[enc.flat.space].predicate.clone()?;
    let one = crate::sema::ty::int(1, predicate.span);
    Some(l.expr(&predicate, Some(&Ty::Bits(one.into()))))
}
