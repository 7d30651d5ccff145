//! Text of expressions and templates, as far as what they depend on is known.

use crate::hir::{Block, EnumTy, Expr, ExprKind, Locals, Op, Part, StmtKind, Template, Ty, VarId};
use crate::model::Model;
use crate::sema::{Env, Value, eval, operand_text};
use std::collections::HashMap;

/// Prints what belongs to one instruction, view or text helper.
pub(super) struct Printer<'a> {
    pub(super) model: &'a Model,
    pub(super) locals: &'a Locals,
    /// What is known.
    pub(super) env: Env,
    /// Variables that are texts or places.
    pub(super) texts: HashMap<VarId, String>,
    pub(super) out: &'a mut String,
}

impl Printer<'_> {
    pub(super) fn eval(&self, e: &Expr) -> Option<Value> {
        eval(self.model, self.locals, &self.env, e)
    }

    fn int(&self, e: &Expr) -> Option<i128> {
        match self.eval(e)? {
            Value::Int(i) => Some(i),
            Value::Bool(b) => Some(b.into()),
            Value::List(_) => None,
        }
    }

    pub(super) fn template(&mut self, template: &Template) {
        for part in &template.parts {
            match part {
                Part::Text(text) => self.out.push_str(text),
                Part::Plain(e) => self.print(e),
                Part::Hex(e) => self.number(e, hex),
                Part::SignedHex(e) => {
                    self.number(e, |v| format!("{}{:#x}", if v < 0 { '-' } else { '+' }, v.unsigned_abs()));
                }
                Part::View(id, args) => {
                    let view = &self.model.views[id.0 as usize];
                    if let Some(show) = &view.show {
                        self.apply(&view.params, &view.locals, args, show);
                    }
                }
                Part::Pick { value, set, texts } => {
                    let index = self.int(value).and_then(|v| match set.is_empty() {
                        true => usize::try_from(v).ok(),
                        false => set.iter().position(|&m| m == v),
                    });
                    if let Some(text) = index.and_then(|i| texts.get(i)) {
                        self.template(text);
                    }
                }
            }
        }
    }

    fn number(&mut self, e: &Expr, format: impl Fn(i128) -> String) {
        let text = self.int(e).map_or("?".to_owned(), format);
        self.out.push_str(&text);
    }

    /// Print an expression over parameters with these arguments.
    fn apply(&mut self, params: &[VarId], locals: &Locals, args: &[Expr], body: &Expr) {
        let Env { mode, decoded, pc, .. } = self.env;
        let mut env = Env { mode, decoded, pc, ..Env::default() };
        let mut texts = HashMap::new();
        for (&param, arg) in params.iter().zip(args) {
            if matches!(arg.ty, Ty::Str | Ty::Place(_)) {
                texts.insert(param, self.text_of(arg));
            } else if let Some(value) = self.eval(arg) {
                env.vars.insert(param, value);
            }
        }
        Printer { model: self.model, locals, env, texts, out: self.out }.print(body);
    }

    fn text_of(&self, e: &Expr) -> String {
        let mut out = String::new();
        let texts = self.texts.clone();
        Printer { model: self.model, locals: self.locals, env: self.env.clone(), texts, out: &mut out }.print(e);
        out
    }

    /// Print a value by its type.
    pub(super) fn print(&mut self, e: &Expr) {
        match &e.ty {
            Ty::Str | Ty::Undef | Ty::Unit => self.print_text(e),
            Ty::Place(_) => self.place(e),
            Ty::Enum(EnumTy::User(id)) => {
                let values = &self.model.enums[id.0 as usize].values;
                let value = self.int(e);
                match values.iter().find(|v| Some(v.value) == value) {
                    Some(v) => self.out.push_str(&v.text),
                    None => self.number(e, |v| v.to_string()),
                }
            }
            _ => self.number(e, |v| v.to_string()),
        }
    }

    /// The text of a place: that of its operand, of its view, or the number.
    fn place(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Call(id, args) => {
                let name = operand_text(&self.model.fns[id.0 as usize].name);
                match self.model.shows.iter().find(|s| s.name == name) {
                    Some(show) => self.apply(&show.params, &show.locals, args, &show.body),
                    None => self.out.push('?'),
                }
            }
            ExprKind::PlaceView(id, args) | ExprKind::View(id, args) => {
                let view = &self.model.views[id.0 as usize];
                if let Some(show) = &view.show {
                    self.apply(&view.params, &view.locals, args, show);
                }
            }
            ExprKind::Op(Op::PlaceValue, args) => self.place(&args[0]),
            ExprKind::Constant(value) => self.number(value, hex),
            ExprKind::Var(_) => self.print_text(e),
            _ => self.out.push('?'),
        }
    }

    fn print_text(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Template(t) => self.template(t),
            ExprKind::If(c, a, b) => match self.eval(c).and_then(|v| v.bool()) {
                Some(true) => self.block(a),
                Some(false) => self.block(b),
                None => self.out.push('?'),
            },
            ExprKind::Match(value, arms) => {
                let value = self.eval(value);
                let hit = |v: &Expr| value.is_some() && self.eval(v) == value;
                match arms.iter().find(|arm| arm.values.is_empty() || arm.values.iter().any(hit)) {
                    Some(arm) => self.block(&arm.body),
                    None => self.out.push('?'),
                }
            }
            ExprKind::Block(b) => self.block(b),
            ExprKind::Show(id, args) => {
                let show = &self.model.shows[id.0 as usize];
                self.apply(&show.params, &show.locals, args, &show.body);
            }
            ExprKind::Element(list, index) => {
                let list = match &list.kind {
                    ExprKind::Const(id) => &self.model.constant(*id).value,
                    _ => list,
                };
                let index = self.int(index).and_then(|i| usize::try_from(i).ok());
                if let (ExprKind::List(items), Some(index)) = (&list.kind, index)
                    && let Some(item) = items.get(index)
                {
                    self.print(item);
                }
            }
            ExprKind::Var(v) => {
                let text = self.texts.get(v).cloned().unwrap_or_else(|| "?".to_owned());
                self.out.push_str(&text);
            }
            ExprKind::Join { separator, count, var, text } => {
                for i in 0..self.int(count).unwrap_or(0) {
                    if i > 0 {
                        self.print(separator);
                    }
                    self.env.vars.insert(*var, Value::Int(i));
                    self.print(text);
                }
                self.env.vars.remove(var);
            }
            _ => self.out.push('?'),
        }
    }

    fn block(&mut self, b: &Block) {
        for stmt in &b.stmts {
            if let StmtKind::Let(vars, value) = &stmt.kind
                && let ([var], Some(value)) = (&vars[..], self.eval(value))
            {
                self.env.vars.insert(*var, value);
            }
        }
        if let Some(tail) = &b.tail {
            self.print(tail);
        }
    }
}

fn hex(value: i128) -> String {
    format!("{}{:#x}", if value < 0 { "-" } else { "" }, value.unsigned_abs())
}
