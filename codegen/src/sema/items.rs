//! Everything but instructions: enums, constants, state, views, functions.

use super::claims::Owner;
use super::lower::Lower;
use super::sections::known_keys;
use super::ty;
use super::{Env, Global, Item, eval};
use crate::diag::Diagnostic;
use crate::hir::{
    Block, ConstId, ContextId, Domain, EnumId, Expr, ExprKind, ExternId, FnId, Locals, RegId, ShowId, Ty, VarId, ViewId,
};
use crate::model::{Const, Context, Enum, EnumValue, Extern, Func, Reg, Show, Slot, View};
use crate::syntax::ast::{self, Ident, PropValue, Span};
use std::rc::Rc;

/// Names and signatures of all items.
pub(super) fn declare(g: &mut Global) {
    enums(g);
    configs(g);
    consts(g);
    g.model.sections.address_bits = super::sections::address_bits(g);
    state(g);
    views(g);
    functions(g);
}

fn enums(g: &mut Global) {
    for (i, e) in g.spec.enums.iter().enumerate() {
        let values = e.values.iter().map(|v| EnumValue {
            name: v.name.to_string(),
            value: v.value as i128,
            text: v.text.clone().unwrap_or_else(|| v.name.to_string()),
        });
        g.model.enums.push(Enum { name: e.name.to_string(), width: e.width, values: values.collect() });
        g.define(&e.name, Item::Enum(EnumId(i as u32)));
    }
}

/// Values of configs: the instance's, else the default.
fn configs(g: &mut Global) {
    let known: Vec<&str> = g.spec.configs.iter().map(|c| &*c.name.name).chain(["features"]).collect();
    known_keys(g, "instance", &g.instance.props.items, &known);
    for c in &g.spec.configs {
        let given = g.instance.props.items.iter().find(|p| p.key.name == c.name.name);
        let value = match given.map(|p| &p.value) {
            Some(PropValue::Expr(e)) => Some(e),
            _ => c.default.as_ref(),
        };
        match value {
            Some(value) => {
                allowed(g, c, value);
                let value = Lower::new(g, Owner::Nothing).infer(value, None);
                g.define(&c.name, Item::Const(Rc::new(value)));
            }
            None => {
                let message = format!("instance `{}` gives config `{}` no value", g.instance.name, c.name);
                g.error("config", c.name.span, message);
            }
        }
    }
}

/// The value of a config is one of its set.
fn allowed(g: &mut Global, config: &ast::Config, value: &ast::Expr) {
    let ast::ExprKind::Set(values) = &config.domain.kind else { return };
    let values: Vec<i128> = values.iter().map(|v| constant(g, v, "a value of a config")).collect();
    let given = constant(g, value, "a value of a config");
    if !values.contains(&given) {
        let d = Diagnostic::error("range", value.span, format!("{given} is not a value of `{}`", config.name));
        g.diags.push(d.also(config.domain.span, "its values"));
    }
}

/// Scalars are substituted, lists kept as tables. A constant may use those before it.
fn consts(g: &mut Global) {
    for c in &g.spec.consts {
        let value = Lower::new(g, Owner::Nothing).infer(&c.value, None);
        let item = match &value.ty {
            Ty::List(_) => {
                let id = ConstId(g.model.consts.len() as u32);
                let (ty, span) = (value.ty.clone(), value.span);
                g.model.consts.push(Const { name: c.name.to_string(), value });
                Item::Const(Rc::new(Expr { kind: ExprKind::Const(id), ty, span }))
            }
            _ => Item::Const(Rc::new(fold(g, value))),
        };
        g.define(&c.name, item);
    }
}

/// A literal, if the value is known now.
fn fold(g: &Global, e: Expr) -> Expr {
    match eval(&g.model, &Locals::default(), &Env::default(), &e) {
        Some(super::Value::Int(v)) if matches!(e.ty, Ty::Int) => ty::int(v, e.span),
        _ => e,
    }
}

/// A constant integer.
pub(super) fn constant(g: &mut Global, e: &ast::Expr, what: &str) -> i128 {
    let before = g.diags.len();
    let value = Lower::new(g, Owner::Nothing).int(e);
    match eval(&g.model, &Locals::default(), &Env::default(), &value).and_then(|v| v.int()) {
        Some(v) => v,
        None => {
            if g.diags.len() == before {
                g.error("constant", e.span, format!("{what} must be a constant"));
            }
            1
        }
    }
}

/// The same, within bounds.
fn bounded(g: &mut Global, e: &ast::Expr, what: &str, max: i128) -> u32 {
    let v = constant(g, e, what);
    if !(1..=max).contains(&v) {
        g.error("range", e.span, format!("{what} is {v}; it must be 1 to {max}"));
        return 1;
    }
    v as u32
}

// ---------------------------------------------------------------- state

fn state(g: &mut Global) {
    let pc = pc_name(g);
    let mut next_slot = 0_u32;
    for r in &g.spec.regs {
        let width = match &r.ty.kind {
            ast::TyKind::Bits(w) => bounded(g, w, "the width of a register", 128),
            _ => {
                g.error("type", r.ty.span, "a register has type `bits(n)`");
                64
            }
        };
        let count = r.count.as_ref().map(|c| bounded(g, c, "the number of registers", 1024));
        if pc.as_deref() == Some(&*r.name.name) {
            g.define(&r.name, Item::Pc);
            continue;
        }
        let id = RegId(g.model.regs.len() as u32);
        g.model.regs.push(Reg { name: r.name.to_string(), count, width, slot: next_slot as u16 });
        next_slot += count.unwrap_or(1);
        g.define(&r.name, Item::Reg(id));
    }
    slots(g);
    contexts(g);
}

/// `arch { pc = PC; }`
fn pc_name(g: &Global) -> Option<Rc<str>> {
    let arch = g.spec.sections.iter().find(|s| &*s.kind.name == "arch")?;
    arch.props.items.iter().filter(|p| &*p.key.name == "pc").find_map(|p| match &p.value {
        PropValue::Expr(e) => match &e.kind {
            ast::ExprKind::Name(n) => Some(n.name.clone()),
            _ => None,
        },
        _ => None,
    })
}

/// Offsets: in source order within classes, wide vector registers last, so that what is used most has short offsets.
fn slots(g: &mut Global) {
    let mut offset = 0_u32;
    let mut offsets = vec![0_u32; g.model.regs.len()];
    for wide in [false, true] {
        for (i, r) in g.model.regs.iter().enumerate().filter(|(_, r)| (r.width > 64) == wide) {
            let bytes = slot_bytes(r.width);
            offset = offset.next_multiple_of(bytes);
            offsets[i] = offset;
            offset += bytes * r.count.unwrap_or(1);
        }
    }
    for (r, at) in g.model.regs.iter().zip(offsets) {
        for i in 0..r.count.unwrap_or(1) {
            let name = if r.count.is_some() { format!("{}[{i}]", r.name) } else { r.name.clone() };
            let offset = (at + i * slot_bytes(r.width)) as u16;
            g.model.slots.push(Slot { name, width: r.width, offset });
        }
    }
    if offset > 2048
        && let Some(r) = g.spec.regs.last()
    {
        g.error("state", r.name.span, format!("the registers take {offset} bytes; there is room for 2048"));
    }
}

/// Bytes of the narrowest type that holds `width` bits.
fn slot_bytes(width: u32) -> u32 {
    width.div_ceil(8).next_power_of_two()
}

fn contexts(g: &mut Global) {
    let mut lo = 0;
    for c in &g.spec.contexts {
        let width = bounded(g, &c.width, "the width of a context", 16);
        let reset = c.reset.as_ref().map_or(0, |r| constant(g, r, "the reset value"));
        let id = ContextId(g.model.contexts.len() as u32);
        let context =
            Context { name: c.name.to_string(), lo, width, reset: reset as u32, signed: c.signed, decoded: false };
        g.model.contexts.push(context);
        lo += width;
        if lo > 16 {
            g.error("context", c.name.span, "contexts take more than 16 bits together");
            lo = 16 - width.min(16);
        }
        g.define(&c.name, Item::Context(id));
    }
    decode_vars(g);
}

/// Decode variables lie above the mode word.
fn decode_vars(g: &mut Global) {
    let mut lo = 32;
    for d in &g.spec.decode_vars {
        let width = bounded(g, &d.width, "the width of a decode variable", 32);
        let reset = d.reset.as_ref().map_or(0, |r| constant(g, r, "the reset value")) as u32;
        if lo + width > 128 {
            g.error("context", d.name.span, "decode variables take more than 96 bits together");
            return;
        }
        let id = ContextId(g.model.contexts.len() as u32);
        g.model.contexts.push(Context { name: d.name.to_string(), lo, width, reset, signed: d.signed, decoded: true });
        lo += width;
        g.define(&d.name, Item::Context(id));
    }
}

// ---------------------------------------------------------------- signatures

/// Parameters as variables; which are widths, with their sets.
fn params(l: &mut Lower, params: &[ast::Param]) -> (Vec<VarId>, Vec<Option<Vec<i128>>>) {
    let (mut ids, mut widths) = (Vec::new(), Vec::new());
    for (i, p) in params.iter().enumerate() {
        let domain = Domain::Param(i as u32);
        match p {
            ast::Param::Width { name, set } => {
                let set = l.width_set(set);
                let id = l.bind(name, Ty::Int, domain);
                l.param_sets.push((id, set.clone()));
                ids.push(id);
                widths.push(Some(set));
            }
            ast::Param::Value { name, ty } => {
                let ty = l.ty(ty);
                ids.push(l.bind(name, ty, domain));
                widths.push(None);
            }
        }
    }
    (ids, widths)
}

fn views(g: &mut Global) {
    for (i, v) in g.spec.views.iter().enumerate() {
        let id = ViewId(i as u32);
        let mut l = Lower::new(g, Owner::View(id));
        let (params, widths) = params(&mut l, &v.params);
        let ty = l.ty(&v.ty);
        let locals = std::mem::take(&mut l.locals);
        g.model.views.push(View {
            name: v.name.to_string(),
            params,
            widths,
            ty,
            locals,
            get: None,
            set: None,
            show: None,
            span: v.name.span,
        });
        g.define(&v.name, Item::View(id));
    }
}

fn functions(g: &mut Global) {
    for (i, f) in g.spec.fns.iter().enumerate() {
        let id = FnId(i as u32);
        let mut l = Lower::new(g, Owner::Fn(id));
        let (params, widths) = params(&mut l, &f.params);
        let ret = f.ret.as_ref().map_or(Ty::Unit, |t| l.ty(t));
        let locals = std::mem::take(&mut l.locals);
        let body = Block::default();
        let doc = first_line(&f.doc);
        g.model.fns.push(Func { name: f.name.to_string(), doc, params, widths, ret, locals, body, span: f.name.span });
        g.define(&f.name, Item::Fn(id));
    }
    for (i, f) in g.spec.shows.iter().enumerate() {
        let id = ShowId(i as u32);
        let mut l = Lower::new(g, Owner::Show(id));
        let (params, widths) = params(&mut l, &f.params);
        let locals = std::mem::take(&mut l.locals);
        let body = ty::error(f.name.span);
        g.model.shows.push(Show { name: f.name.to_string(), params, widths, locals, body, span: f.name.span });
        g.define(&f.name, Item::Show(id));
    }
    for (i, f) in g.spec.extern_fns.iter().enumerate() {
        let params = f.params.iter().map(|p| match p {
            ast::Param::Value { ty, .. } => extern_type(g, ty),
            ast::Param::Width { name, .. } => {
                g.error("type", name.span, "a function in Rust takes `bits`");
                Ty::Error
            }
        });
        let params: Vec<Ty> = params.collect();
        let ret = f.ret.as_ref().map_or(Ty::Unit, |t| extern_type(g, t));
        for attr in &f.attrs {
            effect(g, attr);
        }
        let has = |name: &str| f.attrs.iter().any(|a| &*a.name.name == name);
        let (pure, reads, writes) = (has("pure"), has("reads"), has("writes"));
        if pure && (reads || writes) {
            g.error("type", f.name.span, format!("`{}` is not pure if it reads or writes registers", f.name));
        }
        let extended = f.attrs.iter().find(|a| &*a.name.name == "extended").and_then(extended);
        let name = f.name.to_string();
        g.model.externs.push(Extern { name, params, ret, pure, reads, writes, extended, span: f.name.span });
        g.define(&f.name, Item::Extern(ExternId(i as u32)));
    }
}

/// What a function in Rust takes or gives: `bits` of a constant width.
fn extern_type(g: &mut Global, t: &ast::Ty) -> Ty {
    let ty = Lower::new(g, Owner::Nothing).ty(t);
    match &ty {
        Ty::Bits(w) => {
            let n = eval(&g.model, &Locals::default(), &Env::default(), w).and_then(|v| v.int());
            match n {
                Some(n @ 1..=128) => return ty::bits(n as u32, t.span),
                Some(n) => g.error("width", t.span, format!("a width is 1 to 128 bits, not {n}")),
                None => g.error("constant", t.span, "the widths of a function in Rust must be constants"),
            }
        }
        Ty::Error => {}
        _ => g.error("type", t.span, "a function in Rust takes and gives `bits`"),
    }
    Ty::Error
}

/// What `extended(kind)` names.
fn extended(attr: &ast::Attr) -> Option<&'static str> {
    let ast::ExprKind::Name(kind) = &attr.arg.as_ref()?.kind else { return None };
    match &*kind.name {
        "operate" => Some("Operate"),
        "load" => Some("Load"),
        "store" => Some("Store"),
        "store_int" => Some("StoreInt"),
        "clear" => Some("Clear"),
        "ticks" => Some("Ticks"),
        _ => None,
    }
}

/// `pure`, `reads(register)`, `writes(register)` or `extended(kind)`.
fn effect(g: &mut Global, attr: &ast::Attr) {
    let arg = attr.arg.as_ref().map(|e| match &e.kind {
        ast::ExprKind::Name(n) => matches!(g.names.get(&n.name), Some(Item::Reg(_))),
        _ => false,
    });
    match (&*attr.name.name, arg) {
        ("pure", None) | ("reads" | "writes", Some(true)) => {}
        ("reads" | "writes", _) => g.error("type", attr.name.span, format!("`{}` is of a register", attr.name)),
        ("extended", Some(_)) if extended(attr).is_some() => {}
        ("extended", _) => {
            g.error("type", attr.name.span, "`extended` is `operate`, `load`, `store`, `store_int`, `clear` or `ticks`")
        }
        ("pure", Some(_)) => g.error("arity", attr.name.span, "`pure` has no argument"),
        _ => g.error(
            "key",
            attr.name.span,
            "what an `extern fn` does is `pure`, `reads(register)`, `writes(register)` or `extended(kind)`",
        ),
    }
}

/// First line of a documentation comment.
pub(super) fn first_line(doc: &str) -> String {
    doc.lines().next().unwrap_or_default().trim().to_string()
}

// ---------------------------------------------------------------- bodies

/// Bodies of views, functions and text helpers.
pub(super) fn lower_bodies(g: &mut Global) {
    for i in 0..g.spec.fns.len() {
        function_body(g, i);
    }
    for i in 0..g.spec.views.len() {
        view_bodies(g, i);
    }
    for i in 0..g.spec.shows.len() {
        show_body(g, i);
    }
}

fn resume<'g, 'a>(
    g: &'g mut Global<'a>,
    owner: Owner,
    locals: Locals,
    params: &[VarId],
    widths: &[Option<Vec<i128>>],
) -> Lower<'g, 'a> {
    let mut l = Lower::resume(g, owner, locals, params);
    l.param_sets = params.iter().zip(widths).filter_map(|(p, w)| w.clone().map(|w| (*p, w))).collect();
    l
}

fn function_body(g: &mut Global, i: usize) {
    let f = &g.model.fns[i];
    let (locals, params, widths, ret) = (f.locals.clone(), f.params.clone(), f.widths.clone(), f.ret.clone());
    let source = &g.spec.fns[i];
    let mut l = resume(g, Owner::Fn(FnId(i as u32)), locals, &params, &widths);
    let body = l.body(&source.body, &ret);
    let locals = std::mem::take(&mut l.locals);
    let f = &mut g.model.fns[i];
    (f.body, f.locals) = (body, locals);
}

fn view_bodies(g: &mut Global, i: usize) {
    let v = &g.model.views[i];
    let (locals, params, widths, ty) = (v.locals.clone(), v.params.clone(), v.widths.clone(), v.ty.clone());
    let source = &g.spec.views[i];
    let mut l = resume(g, Owner::View(ViewId(i as u32)), locals, &params, &widths);
    let get = source.get.as_ref().map(|b| l.body(b, &ty));
    let set = source.set.as_ref().map(|(name, b)| {
        let var = l.bind(name, ty.clone(), Domain::Unknown);
        let body = l.body(b, &Ty::Unit);
        l.scope.pop();
        (var, body)
    });
    let show = source.show.as_ref().map(|e| l.expr(e, Some(&Ty::Str)));
    let locals = std::mem::take(&mut l.locals);
    let v = &mut g.model.views[i];
    (v.get, v.set, v.show, v.locals) = (get, set, show, locals);
}

fn show_body(g: &mut Global, i: usize) {
    let s = &g.model.shows[i];
    let (locals, params, widths) = (s.locals.clone(), s.params.clone(), s.widths.clone());
    let source = &g.spec.shows[i];
    let mut l = resume(g, Owner::Show(ShowId(i as u32)), locals, &params, &widths);
    let body = l.expr(&source.body, Some(&Ty::Str));
    let locals = std::mem::take(&mut l.locals);
    let s = &mut g.model.shows[i];
    (s.body, s.locals) = (body, locals);
}

/// A name that is not in the source, at a place that is.
pub(super) fn ident(name: &str, span: Span) -> Ident {
    Ident { name: name.into(), span }
}
