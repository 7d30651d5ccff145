//! `test` lines: bytes in memory order, register names to slots.

use super::{Env, Global, Value, eval, items};
use crate::diag::{Diagnostic, did_you_mean};
use crate::hir::{Expr, ExprKind, Part, Ty};
use crate::model::{Model, Test, View};
use crate::syntax::ast::{self, Binding};
use std::collections::HashMap;

/// Tests of all instructions.
pub(super) fn lower(g: &mut Global) {
    if g.diags.has_errors() {
        return;
    }
    let names = register_names(&g.model);
    for i in 0..g.spec.insns.len() {
        let own = g.spec.insns[i].tests.iter().filter(|t| !of_another(g, t));
        let tests = own.collect::<Vec<_>>().into_iter().filter_map(|t| test(g, i, t, &names)).collect();
        g.model.insns[i].tests = tests;
    }
}

/// Whether the test names an instance, and not this one.
fn of_another(g: &Global, t: &ast::Test) -> bool {
    let named = |instance: &ast::Instance| t.of.as_ref().is_some_and(|of| of.name == instance.name.name);
    g.spec.instances.iter().any(named) && !named(g.instance)
}

fn test(g: &mut Global, insn: usize, t: &ast::Test, names: &HashMap<String, String>) -> Option<Test> {
    let at = g.sources.at(t.span);
    let (space, code) = code(g, insn, t)?;
    let mut before = bindings(g, &t.input, names);
    let active = if g.model.bytewise() { &[][..] } else { &g.model.spaces[space].active };
    for (context, value) in active.iter().rev() {
        if !before.iter().any(|b| b.0 == *context.name) {
            before.insert(0, (context.to_string(), u128::from(*value)));
        }
    }
    Some(Test {
        code,
        text: t.text.clone(),
        before,
        after: bindings(g, &t.output, names),
        runs: t.runs,
        at,
        span: t.span,
    })
}

/// The space and the number's bytes in memory order; of byte-wise instructions the first space, and the bytes as they are.
fn code(g: &mut Global, insn: usize, t: &ast::Test) -> Option<(usize, Vec<u8>)> {
    let digits: Option<Vec<u8>> = t.code.chars().map(|c| c.to_digit(16).map(|d| d as u8)).collect();
    let Some(digits) = digits.filter(|d| d.len() % 2 == 0 && !d.is_empty()) else {
        g.error("test", t.code_span, "the encoding must be an even number of hexadecimal digits");
        return None;
    };
    let mut bytes: Vec<u8> = digits.chunks(2).map(|d| d[0] << 4 | d[1]).collect();
    if g.model.bytewise() {
        return known(g, t).then_some((0, bytes));
    }
    let fits = |space: usize| {
        let space = &g.model.spaces[space];
        space.bytes() as usize == bytes.len() && named_space(g, t).is_none_or(|s| *s.name == *space.name)
    };
    let spaces = g.model.insns[insn].encs.iter().map(|e| e.flat.space);
    let Some(space) = spaces.filter(|&s| fits(s)).min() else {
        let message = match named_space(g, t) {
            Some(s) => format!("this instruction has no encoding of {} bits in `{s}`", bytes.len() * 8),
            None => format!("{} bits, but no encoding of this instruction has as many", bytes.len() * 8),
        };
        g.error("test", t.code_span, message);
        return None;
    };
    if !g.model.sections.big_code {
        bytes.chunks_mut(g.model.spaces[space].unit as usize / 8).for_each(<[u8]>::reverse);
    }
    Some((space, bytes))
}

/// The space that a test names, rather than an instance.
fn named_space<'t>(g: &Global, t: &'t ast::Test) -> Option<&'t ast::Ident> {
    t.of.as_ref().filter(|of| g.spec.instances.iter().all(|i| i.name.name != of.name))
}

/// Byte-wise instructions have one way to begin: a test can only name an instance.
fn known(g: &mut Global, t: &ast::Test) -> bool {
    let Some(of) = named_space(g, t) else { return true };
    g.error("test", of.span, format!("no instance is called `{of}`"));
    false
}

fn bindings(g: &mut Global, list: &[Binding], names: &HashMap<String, String>) -> Vec<(String, u128)> {
    let mut out = Vec::new();
    for b in list {
        let value = items::constant(g, &b.value, "the value of a register in a test") as u128;
        match names.get(&*b.name.name) {
            Some(slot) => out.push((slot.clone(), value)),
            None => {
                let mut d = Diagnostic::error("test", b.name.span, format!("no register is called `{}`", b.name));
                if let Some(near) = did_you_mean(&b.name.name, names.keys().map(String::as_str)) {
                    d = d.note(format!("did you mean `{near}`?"));
                }
                g.diags.push(d);
            }
        }
    }
    out
}

/// Names a test can use: slots, contexts, `pc`, and the texts that views print, of forms as wide as the slot.
fn register_names(model: &Model) -> HashMap<String, String> {
    let mut names: HashMap<String, String> = HashMap::new();
    names.insert("pc".into(), "pc".into());
    for s in &model.slots {
        names.insert(s.name.clone(), s.name.clone());
    }
    for c in model.modes() {
        names.insert(c.name.clone(), c.name.clone());
    }
    for view in &model.views {
        view_names(model, view, &mut names);
    }
    names
}

/// Try every index and width of a view: `X[3, 64]` prints "x3" and reads `gpr[3]`.
fn view_names(model: &Model, view: &View, names: &mut HashMap<String, String>) {
    let (Some(show), Some(get)) = (&view.show, &view.get) else { return };
    let mut widths: Vec<i128> = view.widths.iter().flatten().flatten().copied().collect();
    widths.sort_unstable();
    widths.dedup();
    if widths.is_empty() {
        widths.push(64);
    }
    for (width, n) in widths.iter().rev().flat_map(|&w| (0..64).map(move |n| (w, n))) {
        let mut env = Env::default();
        for (&p, set) in view.params.iter().zip(&view.widths) {
            let value = match set {
                Some(set) => set.iter().copied().filter(|w| *w <= width).max().unwrap_or(width),
                None if matches!(view.locals.get(p).ty, Ty::Int) => n,
                None => return,
            };
            env.vars.insert(p, Value::Int(value));
        }
        let Some(text) = text(model, view, &env, show) else { continue };
        let Some(slot) = get.tail.as_deref().and_then(|t| slot(model, view, &env, t)) else { continue };
        let whole = model.slots.iter().any(|s| s.name == slot && i128::from(s.width) <= width);
        if whole || Some(&width) == widths.last() {
            names.entry(text).or_insert(slot);
        }
    }
}

/// The text of a `show`, if it is simple enough.
fn text(model: &Model, view: &View, env: &Env, e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Template(t) => {
            let mut out = String::new();
            for part in &t.parts {
                match part {
                    Part::Text(s) => out.push_str(s),
                    Part::Plain(e) if matches!(e.ty, Ty::Str) => out.push_str(&text(model, view, env, e)?),
                    Part::Plain(e) => out.push_str(&eval(model, &view.locals, env, e)?.int()?.to_string()),
                    Part::Pick { value, set, texts } => {
                        let v = eval(model, &view.locals, env, value)?.int()?;
                        let i =
                            if set.is_empty() { usize::try_from(v).ok()? } else { set.iter().position(|s| *s == v)? };
                        let chosen = texts.get(i)?.clone();
                        let e = Expr { kind: ExprKind::Template(chosen), ty: Ty::Str, span: e.span };
                        out.push_str(&text(model, view, env, &e)?);
                    }
                    _ => return None,
                }
            }
            Some(out)
        }
        ExprKind::Element(list, i) => {
            let i = usize::try_from(eval(model, &view.locals, env, i)?.int()?).ok()?;
            let ExprKind::Const(id) = list.kind else { return None };
            match &model.constant(id).value.kind {
                ExprKind::List(items) => text(model, view, env, items.get(i)?),
                _ => None,
            }
        }
        _ => text(model, view, env, taken(model, view, env, e)?),
    }
}

/// The slot that a getter reads, if it just reads one.
fn slot(model: &Model, view: &View, env: &Env, e: &Expr) -> Option<String> {
    match &e.kind {
        ExprKind::Reg(id, index) => {
            let reg = model.reg(*id);
            match (index, reg.count) {
                (Some(i), Some(count)) => {
                    let i = eval(model, &view.locals, env, i)?.int()?;
                    (0..i128::from(count)).contains(&i).then(|| format!("{}[{i}]", reg.name))
                }
                _ => Some(reg.name.clone()),
            }
        }
        ExprKind::Op(crate::hir::Op::Extract | crate::hir::Op::Low | crate::hir::Op::Zext, args) => {
            slot(model, view, env, &args[0])
        }
        _ => slot(model, view, env, taken(model, view, env, e)?),
    }
}

/// The branch of an `if`, `match` or block that is taken.
fn taken<'m>(model: &'m Model, view: &'m View, env: &Env, e: &'m Expr) -> Option<&'m Expr> {
    let block = match &e.kind {
        ExprKind::If(c, a, b) => match eval(model, &view.locals, env, c)?.bool()? {
            true => a,
            false => b,
        },
        ExprKind::Match(v, arms) => {
            let v = eval(model, &view.locals, env, v)?;
            let hit = |x: &Expr| eval(model, &view.locals, env, x).as_ref() == Some(&v);
            &arms.iter().find(|a| a.values.is_empty() || a.values.iter().any(hit))?.body
        }
        ExprKind::Block(b) => b,
        _ => return None,
    };
    block.tail.as_deref()
}
