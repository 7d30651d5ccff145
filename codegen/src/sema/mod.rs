//! From syntax tree to checked model: names, binding times, types, widths. Everything wrong is collected, nothing panics.
//!
//! Widths stay symbolic, because bodies are generated once for all of them: where two widths must agree, the lowering
//! notes a *claim*, and [`claims`] proves it afterwards by trying all values of the fields and width sets involved.

mod builtin;
mod call;
mod claims;
mod convention;
mod decoded;
mod eval;
mod expr;
mod insn;
mod items;
mod lower;
mod operand;
mod ops;
mod place;
mod prefix;
mod reads;
mod sections;
mod space;
mod stmt;
mod template;
mod test_lines;
mod ty;

pub use builtin::builtin_names;
pub(crate) use claims::collect_vars as mentioned;
pub use eval::{Env, Value, eval};
pub(crate) use operand::text_name as operand_text;
pub use sections::section_keys;

use crate::diag::{Diagnostic, Diagnostics, SourceMap};
use crate::hir::{ContextId, Domain, EnumId, Expr, ExternId, FnId, RegId, ShowId, ViewId};
use crate::model::Model;
use crate::syntax::ast::{ExprKind, Instance, PropValue, Span, Spec};
use std::collections::HashMap;
use std::rc::Rc;

/// One model per `instance` of the specification.
pub fn check(spec: &Spec, sources: &SourceMap, diags: &mut Diagnostics) -> Vec<Model> {
    let spec = &operand::expand(spec);
    let mut models = Vec::new();
    if let (true, Some(section)) = (spec.instances.is_empty(), spec.sections.first()) {
        let message = "a specification needs an `instance`: the name of the guest";
        diags.push(Diagnostic::error("instance", section.kind.span, message));
    }
    for instance in &spec.instances {
        let mut found = Diagnostics::default();
        models.push(check_instance(spec, instance, sources, &mut found));
        let failed = found.has_errors();
        for d in found.iter() {
            diags.push(d.clone());
        }
        if failed {
            break; // the other instances would repeat most of it
        }
    }
    models
}

fn check_instance(spec: &Spec, instance: &Instance, sources: &SourceMap, diags: &mut Diagnostics) -> Model {
    let mut global = Global::new(spec, instance, sources, diags);
    items::declare(&mut global);
    space::declare(&mut global);
    insn::declare(&mut global);
    let declared = spec.sections.iter().filter(|s| &*s.kind.name == "space").count();
    if global.model.spaces.len() != declared {
        return global.model; // without its encodings, an instruction's names are all unknown
    }
    operand::declare(&mut global);
    items::lower_bodies(&mut global);
    operand::lower_guards(&mut global);
    prefix::lower(&mut global);
    insn::lower_bodies(&mut global);
    space::lower_after(&mut global);
    sections::lower(&mut global);
    test_lines::lower(&mut global);
    claims::check_calls(&mut global);
    stmt::check_conditional_calls(&mut global);
    if !global.diags.has_errors() {
        claims::prove(&mut global);
        reads::check(&mut global);
    }
    if !global.diags.has_errors() {
        let decoding = crate::pattern::Decoding::of(&global.model, global.diags); // for its messages about overlaps
        decoding.warn_of_holes(global.diags);
    }
    global.model
}

/// What a name at the top level stands for.
#[derive(Clone, Debug)]
enum Item {
    Enum(EnumId),
    /// Value of a scalar constant, a config; a reference to a list.
    Const(Rc<Expr>),
    Reg(RegId),
    /// The program counter: not a slot.
    Pc,
    Context(ContextId),
    View(ViewId),
    Fn(FnId),
    Extern(ExternId),
    Show(ShowId),
}

/// What all bodies of a specification share.
struct Global<'a> {
    spec: &'a Spec,
    instance: &'a Instance,
    sources: &'a SourceMap,
    diags: &'a mut Diagnostics,
    model: Model,
    names: HashMap<Rc<str>, Item>,
    features: Vec<String>,
    claims: Vec<claims::Claim>,
    calls: Vec<claims::CallSite>,
    /// Calls under run-time conditions: callee, call, condition.
    conditional_calls: Vec<(claims::Owner, Span, Span)>,
}

impl<'a> Global<'a> {
    fn new(spec: &'a Spec, instance: &'a Instance, sources: &'a SourceMap, diags: &'a mut Diagnostics) -> Global<'a> {
        let model = Model { name: instance.name.name.to_string(), ..Model::default() };
        let features = features(instance);
        Global {
            spec,
            instance,
            sources,
            diags,
            model,
            names: HashMap::new(),
            features,
            claims: Vec::new(),
            calls: Vec::new(),
            conditional_calls: Vec::new(),
        }
    }

    fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diags.push(Diagnostic::error(code, span, message));
    }

    /// Enter a name; a second one is an error.
    fn define(&mut self, name: &crate::syntax::ast::Ident, item: Item) {
        if self.names.insert(name.name.clone(), item).is_some() {
            self.error("duplicate", name.span, format!("`{name}` is declared twice"));
        }
    }
}

/// `instance x { features = [lse, aes]; }`
fn features(instance: &Instance) -> Vec<String> {
    let mut names = Vec::new();
    for prop in instance.props.items.iter().filter(|p| &*p.key.name == "features") {
        if let PropValue::Expr(e) = &prop.value
            && let ExprKind::List(items) = &e.kind
        {
            names.extend(items.iter().filter_map(|i| match &i.kind {
                ExprKind::Name(n) => Some(n.to_string()),
                _ => None,
            }));
        }
    }
    names
}
