//! What a translate-time expression over decode variables can be: they are few and narrow, so all their values are tried.

use super::{Env, Value, eval};
use crate::hir::{Block, Domain, Expr, ExprKind, Locals, StmtKind};
use crate::model::Model;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Variables of more bits together are not tried.
const MAX_BITS: u32 = 12;

/// All values of an expression that depends on nothing but decode variables.
pub(super) fn values(model: &Model, locals: &Locals, e: &Expr) -> Option<Rc<[i128]>> {
    let mut mentioned = BTreeSet::new();
    expr(model, locals, e, &mut mentioned)?;
    let width = |i: &usize| model.contexts[*i].width;
    if mentioned.is_empty() || mentioned.iter().map(width).sum::<u32>() > MAX_BITS {
        return None;
    }
    let mut words = vec![model.decode_reset()];
    for c in mentioned.iter().map(|i| &model.contexts[*i]) {
        let mask = crate::pattern::ones(c.width) << c.lo;
        let set = |word: &u128| (0..1_u128 << c.width).map(move |v| word & !mask | v << c.lo).collect::<Vec<_>>();
        words = words.iter().flat_map(set).collect();
    }
    let mut found = BTreeSet::new();
    for word in words {
        let env = Env { decoded: Some(word), ..Env::default() };
        match eval(model, locals, &env, e)? {
            Value::Int(v) => found.insert(v),
            _ => return None,
        };
    }
    Some(found.into_iter().collect())
}

/// The decode variables that an expression mentions; `None` if it depends on anything else.
fn expr(model: &Model, locals: &Locals, e: &Expr, out: &mut BTreeSet<usize>) -> Option<()> {
    match &e.kind {
        ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::EnumValue(_) | ExprKind::Const(_) => {}
        ExprKind::Context(id) => {
            model.contexts[id.0 as usize].decoded.then_some(())?;
            out.insert(id.0 as usize);
        }
        ExprKind::Var(v) => match &locals.get(*v).domain {
            Domain::Let(definition, _) => expr(model, locals, definition, out)?,
            Domain::Param(_) => {} // the arguments are looked at by themselves
            _ => return None,
        },
        ExprKind::Unary(_, a) | ExprKind::Convert(a) => expr(model, locals, a, out)?,
        ExprKind::Binary(_, a, b) | ExprKind::Element(a, b) => {
            expr(model, locals, a, out)?;
            expr(model, locals, b, out)?;
        }
        ExprKind::In(a, set) => {
            expr(model, locals, a, out)?;
            for (lo, hi) in set {
                expr(model, locals, lo, out)?;
                hi.iter().try_for_each(|h| expr(model, locals, h, out))?;
            }
        }
        ExprKind::Static(_, args) | ExprKind::List(args) => {
            args.iter().try_for_each(|a| expr(model, locals, a, out))?
        }
        ExprKind::Call(id, args) => {
            args.iter().try_for_each(|a| expr(model, locals, a, out))?;
            let f = &model.fns[id.0 as usize];
            block(model, &f.locals, &f.body, out)?;
        }
        ExprKind::If(c, a, b) => {
            expr(model, locals, c, out)?;
            block(model, locals, a, out)?;
            block(model, locals, b, out)?;
        }
        ExprKind::Match(value, arms) => {
            expr(model, locals, value, out)?;
            arms.iter().try_for_each(|arm| block(model, locals, &arm.body, out))?;
        }
        ExprKind::Block(b) => block(model, locals, b, out)?,
        _ => return None,
    }
    Some(())
}

fn block(model: &Model, locals: &Locals, b: &Block, out: &mut BTreeSet<usize>) -> Option<()> {
    b.stmts.iter().try_for_each(|s| match &s.kind {
        StmtKind::Let(_, value) => expr(model, locals, value, out),
        _ => None,
    })?;
    b.tail.iter().try_for_each(|t| expr(model, locals, t, out))
}
