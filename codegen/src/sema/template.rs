//! Templates of assembly text.

use super::Item;
use super::lower::Lower;
use crate::hir::{Domain, Expr, ExprKind, Part, Template, Ty};
use crate::syntax::ast::{self, Format, TemplatePart};

impl Lower<'_, '_> {
    /// A text with holes.
    pub(super) fn template(&mut self, t: &ast::Template) -> Template {
        let parts = t
            .parts
            .iter()
            .map(|p| match p {
                TemplatePart::Text(text) => Part::Text(text.clone()),
                TemplatePart::Value(e, format) => self.hole(e, format),
            })
            .collect();
        Template { parts }
    }

    fn hole(&mut self, e: &ast::Expr, format: &Format) -> Part {
        if let Some(part) = self.view_hole(e, format) {
            return part;
        }
        if let Some(part) = self.operand_hole(e) {
            return part;
        }
        let value = self.infer(e, None);
        if !value.ty.is_static() && !matches!(value.ty, Ty::Error) {
            let e = self.coerce(value, &Ty::Int);
            return Part::Plain(e);
        }
        match format {
            Format::Plain => Part::Plain(value),
            Format::Hex => Part::Hex(self.coerce(value, &Ty::Int)),
            Format::SignedHex => Part::SignedHex(self.coerce(value, &Ty::Int)),
            Format::Pick(texts) => {
                let set = self.set_of(&value);
                let texts = texts.iter().map(|t| self.template(t)).collect();
                Part::Pick { value, set, texts }
            }
        }
    }

    /// `{E(w)}` prints the operand, `{dst}` the place that `with` bound.
    fn operand_hole(&mut self, e: &ast::Expr) -> Option<Part> {
        let (name, args): (_, &[ast::Arg]) = match &e.kind {
            ast::ExprKind::Name(name) => (name, &[]),
            ast::ExprKind::Call { callee, args, .. } => (callee, args),
            _ => return None,
        };
        if let Some(v) = self.lookup(&name.name) {
            let is_place = matches!(self.locals.get(v).ty, Ty::Place(_));
            return is_place.then(|| Part::Plain(self.var(v, name.span)));
        }
        self.g.spec.operands.iter().find(|o| o.name.name == name.name)?;
        let helper = super::items::ident(&super::operand::text_name(&name.name), name.span);
        Some(Part::Plain(self.call(&helper, args, None, e.span)))
    }

    /// `{X[n, w]}` prints the view.
    fn view_hole(&mut self, e: &ast::Expr, format: &Format) -> Option<Part> {
        let (name, args): (_, &[ast::Expr]) = match &e.kind {
            ast::ExprKind::Index(base, args) => match &base.kind {
                ast::ExprKind::Name(n) => (n, args),
                _ => return None,
            },
            ast::ExprKind::Name(n) => (n, &[]),
            _ => return None,
        };
        if self.lookup(&name.name).is_some() || !matches!(self.g.names.get(&name.name), Some(Item::View(_))) {
            return None;
        }
        let (id, args, _) = self.view_args(name, args, e.span)?;
        if self.g.spec.views[id.0 as usize].show.is_none() {
            self.g.error("show", e.span, format!("view `{name}` has no `show`"));
        }
        if !matches!(format, Format::Plain) {
            self.g.error("show", e.span, "a view has no formats");
        }
        Some(Part::View(id, args))
    }

    /// The set of a `width`, for `{w:w|x}`.
    fn set_of(&self, value: &Expr) -> Vec<i128> {
        let ExprKind::Var(v) = value.kind else { return Vec::new() };
        match &self.locals.get(v).domain {
            Domain::Let(_, Some(set)) => set.to_vec(),
            Domain::Param(_) => self.param_set(v),
            _ => Vec::new(),
        }
    }
}
