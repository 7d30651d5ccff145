//! Disassembly by interpretation of the model: for the `isa` tool and for checking `test` lines while generating.

use crate::hir::{Block, EnumTy, Expr, ExprKind, Locals, Part, StmtKind, Template, Ty, VarId};
use crate::model::{Action, Enc, Insn, Model, Test};
use crate::pattern::Decoding;
use crate::sema::{Env, Value, eval};
use std::collections::HashMap;

/// An instruction found in code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// Name of the `insn`; `None` if no encoding matches.
    pub insn: Option<String>,
    /// Assembly text.
    pub text: String,
    /// Length in bytes.
    pub len: u32,
}

/// Disassemble the instruction at the start of `code`, in memory order; `None` if bytes are missing, or if instructions are
/// sequences of bytes, which only the generated decoder takes apart.
pub fn disassemble(model: &Model, decoding: &Decoding<'_>, pc: u64, mode: u32, code: &[u8]) -> Option<Line> {
    if model.bytewise() {
        return None;
    }
    let unit = model.smallest_unit() / 8;
    let push = |word: u32, byte: &u8| word << 8 | u32::from(*byte);
    let (big, unit_bytes) = (model.sections.big_code, code.get(..unit as usize)?);
    let first = if big { unit_bytes.iter().fold(0, push) } else { unit_bytes.iter().rev().fold(0, push) };
    let selected = model.space_of(first, mode);
    let len = selected.map_or(unit, |s| model.spaces[s].bytes());
    let word = selected.map_or(Some(first), |s| model.spaces[s].word(code, big))?;
    let found = selected.and_then(|space| decoding.decode(space, word, mode));
    Some(match found {
        Some(number) => {
            let (insn, enc) = decoding.sources[number];
            let text = encoding_text(model, insn, enc, word.into(), (pc, pc.wrapping_add(len.into())), mode);
            Line { insn: Some(insn.name.clone()), text, len }
        }
        None => {
            let digits = 2 * len as usize;
            let directive = if len == 2 { ".short" } else { ".word" };
            Line { insn: None, text: format!("{directive} 0x{word:0digits$x}"), len }
        }
    })
}

/// What the words and texts of a model's `test` lines are, where they differ from what the lines say.
pub fn check_tests<'a>(model: &'a Model, decoding: &Decoding<'_>) -> Vec<(&'a Test, String)> {
    let mut wrong = Vec::new();
    if model.bytewise() {
        return wrong; // these are left to the generated decoder
    }
    for insn in &model.insns {
        for test in &insn.tests {
            let before = |name: &str| test.before.iter().find(|b| b.0 == name).map(|b| b.1);
            let mode =
                model.contexts.iter().fold(0, |mode, c| mode | before(&c.name).map_or(c.reset, |v| v as u32) << c.lo);
            let pc = before("pc").unwrap_or(0) as u64;
            match disassemble(model, decoding, pc, mode, &test.code) {
                None => wrong.push((test, "the encoding is incomplete".to_owned())),
                Some(line) if line.insn.as_deref() != Some(&insn.name) => {
                    let found = line.insn.as_deref().map_or("no instruction".to_owned(), |i| format!("`{i}`"));
                    wrong.push((test, format!("this decodes as {found}, not as `{}`", insn.name)));
                }
                Some(line) if line.text != test.text => {
                    wrong.push((test, format!("this prints as \"{}\"", line.text)));
                }
                Some(_) => {}
            }
        }
    }
    wrong
}

fn encoding_text(model: &Model, insn: &Insn, enc: &Enc, word: u128, pc: (u64, u64), mode: u32) -> String {
    let mut env = Env { mode: Some(mode), pc: Some(pc), ..Env::default() };
    for (field, flat) in enc.fields.iter().zip(&enc.flat.fields) {
        env.vars.insert(field.var, Value::Int(enc.flat.field_value(flat, word)));
    }
    for (var, value) in &enc.binds {
        if let Some(value) = eval(model, &insn.locals, &env, value) {
            env.vars.insert(*var, value);
        }
    }
    let mut out = String::new();
    insn_text(model, insn, env, &mut out);
    out
}

/// Text of an instruction, or of the one it executes as.
fn insn_text(model: &Model, insn: &Insn, env: Env, out: &mut String) {
    if let (Action::Alias(target, args), true) = (&insn.action, insn.asms.is_empty()) {
        let target = model.insn(*target);
        let mut inner = Env { mode: env.mode, pc: env.pc, ..Env::default() };
        for (&param, arg) in target.params.iter().zip(args) {
            if let Some(value) = eval(model, &insn.locals, &env, arg) {
                inner.vars.insert(param, value);
            }
        }
        return insn_text(model, target, inner, out);
    }
    let mut printer = Printer { model, locals: &insn.locals, env, texts: HashMap::new(), out };
    let holds = |p: &Printer<'_>, when: &Expr| p.eval(when).and_then(|v| v.bool()) == Some(true);
    match insn.asms.iter().find(|asm| asm.when.as_ref().is_none_or(|w| holds(&printer, w))) {
        Some(asm) => printer.template(&asm.template),
        None => printer.out.push_str(&insn.name),
    }
}

struct Printer<'a> {
    model: &'a Model,
    locals: &'a Locals,
    env: Env,
    /// Parameters of type `str`.
    texts: HashMap<VarId, String>,
    out: &'a mut String,
}

impl Printer<'_> {
    fn eval(&self, e: &Expr) -> Option<Value> {
        eval(self.model, self.locals, &self.env, e)
    }

    fn int(&self, e: &Expr) -> Option<i128> {
        match self.eval(e)? {
            Value::Int(i) => Some(i),
            Value::Bool(b) => Some(b.into()),
            Value::List(_) => None,
        }
    }

    fn template(&mut self, template: &Template) {
        for part in &template.parts {
            match part {
                Part::Text(text) => self.out.push_str(text),
                Part::Plain(e) => self.print(e),
                Part::Hex(e) => self.number(e, |v| format!("{}{:#x}", if v < 0 { "-" } else { "" }, v.unsigned_abs())),
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
        let mut env = Env { mode: self.env.mode, pc: self.env.pc, ..Env::default() };
        let mut texts = HashMap::new();
        for (&param, arg) in params.iter().zip(args) {
            if matches!(arg.ty, Ty::Str) {
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
    fn print(&mut self, e: &Expr) {
        match &e.ty {
            Ty::Str | Ty::Undef | Ty::Unit => self.print_text(e),
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
