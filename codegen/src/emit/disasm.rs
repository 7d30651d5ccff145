//! The disassembler of a guest: one function per instruction, view and `show`, which print with `ir::disasm::Printer`.

use super::needs::NeedsTable;
use super::semantics::rust_ty;
use super::stat::Static;
use super::{bindings, names};
use crate::hir::{Block, EnumTy, Expr, ExprKind, Locals, Part, StmtKind, Template, Ty, VarId};
use crate::model::{Action, Insn, Model};
use crate::pattern::Decoding;
use crate::sema::{Env, Value, eval};
use std::fmt::Write as _;

/// Rust source of the disassembler.
pub(super) fn emit(model: &Model, decoding: &Decoding<'_>) -> String {
    let mut out = String::from("mod text {\nuse super::*;\nuse ir::disasm::{Printer, position};\n");
    tables(&mut out, model);
    let table = NeedsTable::new(model);
    let emitter = |locals| Emitter {
        model,
        table: &table,
        writer: Static::new(model, &table, locals),
        locals,
        out: String::new(),
    };
    for show in &model.shows {
        let name = format!("show_{}", show.name);
        emitter(&show.locals).function(&mut out, &name, &show.params, |e| e.print(&show.body));
    }
    for view in &model.views {
        if let Some(show) = &view.show {
            emitter(&view.locals).function(&mut out, &format!("view_{}", view.name), &view.params, |e| e.print(show));
        }
    }
    for insn in &model.insns {
        emitter(&insn.locals).function(&mut out, &format!("insn_{}", insn.name), &insn.params, |e| e.insn(insn));
    }
    for (number, (insn, enc)) in decoding.sources.iter().enumerate() {
        let e = emitter(&insn.locals);
        let _ = writeln!(out, "fn enc_{number}(printer: &mut Printer, at: &At<'_>, mode: Mode, word: Word) {{\n{PC}");
        out.push_str(&bindings::of_encoding(&e.writer, enc, None));
        for (var, place) in enc.binds.iter().filter(|(_, e)| matches!(e.ty, Ty::Place(_))) {
            let (name, text) = (e.name(*var), e.apart(place));
            let _ = writeln!(out, "let {name}: &str = {text};");
        }
        let args: String = insn.params.iter().map(|&v| format!(", {}", e.name(v))).collect();
        let _ = writeln!(out, "insn_{}(printer, at, mode{args});\n}}", insn.name);
    }
    let count = decoding.sources.len();
    let _ = writeln!(out, "pub(super) static ENCS: [fn(&mut Printer, &At<'_>, Mode, Word); {count}] = [");
    for number in 0..count {
        let _ = writeln!(out, "enc_{number},");
    }
    out.push_str("];\n}\n");
    out.push_str(if model.bytewise() { super::bytes::DISASSEMBLE } else { FUNCTIONS });
    out
}

/// Addresses as expressions use them.
const PC: &str = "let (pc, pc_next) = (i128::from(at.pc), i128::from(at.pc_next));\n";

/// What is the same for all guests.
const FUNCTIONS: &str = r#"
fn disassemble(pc: u64, mode: u32, code: &[u8]) -> (String, u32) {
    let mut p = ir::disasm::Printer::new();
    let len = match DECODER.decode(code, mode) {
        ir::decode::Decoded::Insn { enc, word, len } => {
            let at = At { pc, pc_next: pc.wrapping_add(u64::from(len)), code, imms: [0; 2] };
            text::ENCS[enc as usize](&mut p, &at, mode, word);
            len
        }
        ir::decode::Decoded::Unallocated { word, len } => {
            p.data(word, len);
            len
        }
        ir::decode::Decoded::Truncated => {
            p.text("(truncated)");
            code.len() as u32
        }
    };
    (p.finish(), len)
}
"#;

/// Names of enum values and constant lists of texts.
fn tables(out: &mut String, model: &Model) {
    for (number, e) in model.enums.iter().enumerate() {
        let values: String = e.values.iter().map(|v| format!("({}, {:?}), ", v.value, v.text)).collect();
        let _ = writeln!(out, "static ENUM_{number}: [(i128, &str); {}] = [{values}];", e.values.len());
    }
    for (number, c) in model.consts.iter().enumerate() {
        if let Some(texts) = plain_list(&c.value) {
            let _ = writeln!(out, "static TEXTS_{number}: [&str; {}] = [{}];", texts.len(), quoted(&texts));
        }
    }
}

/// Emits statements that print to `printer`.
struct Emitter<'a> {
    model: &'a Model,
    table: &'a NeedsTable,
    writer: Static<'a>,
    locals: &'a Locals,
    out: String,
}

impl Emitter<'_> {
    /// A function that prints something over parameters.
    fn function(mut self, out: &mut String, name: &str, params: &[VarId], body: impl FnOnce(&mut Self)) {
        let param = |&v: &VarId| {
            let ty = match &self.locals.get(v).ty {
                Ty::Place(_) => "&str".to_owned(),
                ty => rust_ty(ty),
            };
            format!(", {}: {ty}", self.name(v))
        };
        let params: String = params.iter().map(param).collect();
        let _ = writeln!(out, "fn {name}(printer: &mut Printer, at: &At<'_>, mode: Mode{params}) {{\n{PC}");
        body(&mut self);
        out.push_str(&self.out);
        out.push_str("}\n");
    }

    fn name(&self, v: VarId) -> String {
        names::variable(&self.writer.names, v).to_owned()
    }

    /// The templates of an instruction, or those of what it is an alias of.
    fn insn(&mut self, insn: &Insn) {
        self.out.push_str(&bindings::of_insn(&self.writer, insn, None));
        for asm in &insn.asms {
            match &asm.when {
                Some(when) => {
                    let condition = self.expr(when);
                    let _ = writeln!(self.out, "if {condition} {{");
                    self.template(&asm.template);
                    self.out.push_str("return;\n}\n");
                }
                None => return self.template(&asm.template),
            }
        }
        match &insn.action {
            Action::Alias(target, args) if insn.asms.is_empty() => {
                let args: String = args.iter().map(|a| format!(", {}", self.argument(a))).collect();
                let _ = writeln!(self.out, "insn_{}(printer, at, mode{args});", self.model.insn(*target).name);
            }
            _ => self.text(&insn.name),
        }
    }

    fn template(&mut self, template: &Template) {
        for part in &template.parts {
            match part {
                Part::Text(text) => self.text(text),
                Part::Plain(e) => self.print(e),
                Part::Hex(e) => self.call("hex", e),
                Part::SignedHex(e) => self.call("signed_hex", e),
                Part::View(id, args) => {
                    let name = format!("view_{}", self.model.views[id.0 as usize].name);
                    self.helper(&name, args);
                }
                Part::Pick { value, set, texts } => self.pick(value, set, texts),
            }
        }
    }

    fn text(&mut self, text: &str) {
        if !text.is_empty() {
            let _ = writeln!(self.out, "printer.text({text:?});");
        }
    }

    fn call(&mut self, method: &str, e: &Expr) {
        let value = self.expr(e);
        let _ = writeln!(self.out, "printer.{method}({value});");
    }

    fn helper(&mut self, name: &str, args: &[Expr]) {
        let args: String = args.iter().map(|a| format!(", {}", self.argument(a))).collect();
        let _ = writeln!(self.out, "{name}(printer, at, mode{args});");
    }

    /// An argument of a function; a text is printed apart first.
    fn argument(&mut self, e: &Expr) -> String {
        if let (ExprKind::Var(v), Ty::Place(_)) = (&e.kind, &e.ty) {
            return self.name(*v);
        }
        if matches!(e.ty, Ty::Str | Ty::Place(_)) { self.apart(e) } else { self.expr(e) }
    }

    /// A text as an expression of its own.
    fn apart(&self, e: &Expr) -> String {
        let writer = Static::new(self.model, self.table, self.locals);
        let mut inner =
            Emitter { model: self.model, table: self.table, writer, locals: self.locals, out: String::new() };
        inner.print(e);
        format!("&{{ let mut own = Printer::new(); {{ let printer = &mut own; {} }} own.finish() }}", inner.out)
    }

    fn pick(&mut self, value: &Expr, set: &[i128], texts: &[Template]) {
        let mut index = self.expr(value);
        if matches!(value.ty, Ty::Bool) {
            index = format!("i128::from({index})");
        }
        if !set.is_empty() {
            index = format!("position({index}, &{set:?})");
        }
        if let Some(plain) = texts.iter().map(plain).collect::<Option<Vec<_>>>() {
            let _ = writeln!(self.out, "printer.pick({index}, &[{}]);", quoted(&plain));
            return;
        }
        let _ = writeln!(self.out, "match {index} {{");
        for (i, text) in texts.iter().enumerate() {
            let _ = writeln!(self.out, "{i} => {{");
            self.template(text);
            self.out.push_str("}\n");
        }
        self.out.push_str("_ => {}\n}\n");
    }

    /// Print a value by its type.
    fn print(&mut self, e: &Expr) {
        match &e.ty {
            Ty::Str | Ty::Undef | Ty::Unit => self.print_text(e),
            Ty::Place(_) => self.place(e),
            Ty::Enum(EnumTy::User(id)) => {
                let value = self.expr(e);
                let _ = writeln!(self.out, "printer.name({value}, &ENUM_{});", id.0);
            }
            Ty::Bool => {
                let value = self.expr(e);
                let _ = writeln!(self.out, "printer.int(i128::from({value}));");
            }
            _ => self.call("int", e),
        }
    }

    /// The text of a place: that of its operand, of its view, or the number.
    fn place(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Call(id, args) => {
                let name = format!("show_text_of_{}", self.model.fns[id.0 as usize].name);
                self.helper(&name, args);
            }
            ExprKind::PlaceView(id, args) | ExprKind::View(id, args) => {
                self.helper(&format!("view_{}", self.model.views[id.0 as usize].name), args);
            }
            ExprKind::Op(crate::hir::Op::PlaceValue, args) => self.place(&args[0]),
            ExprKind::Constant(value) => self.call("hex", value),
            ExprKind::Var(v) => {
                let _ = writeln!(self.out, "printer.text({});", self.name(*v));
            }
            _ => self.text("?"),
        }
    }

    fn print_text(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::Template(t) => self.template(t),
            ExprKind::If(condition, then, els) => {
                let condition = self.expr(condition);
                let _ = writeln!(self.out, "if {condition} {{");
                self.block(then);
                self.out.push_str("} else {\n");
                self.block(els);
                self.out.push_str("}\n");
            }
            ExprKind::Match(value, arms) => {
                let value = self.expr(value);
                let _ = writeln!(self.out, "match {value} {{");
                let mut open = true;
                for arm in arms {
                    open &= !arm.values.is_empty();
                    let values: Vec<String> = arm.values.iter().map(|v| self.constant(v)).collect();
                    let values = if values.is_empty() { "_".to_owned() } else { values.join(" | ") };
                    let _ = writeln!(self.out, "{values} => {{");
                    self.block(&arm.body);
                    self.out.push_str("}\n");
                }
                self.out.push_str(if open { "_ => printer.text(\"?\"),\n}\n" } else { "}\n" });
            }
            ExprKind::Block(b) => self.block(b),
            ExprKind::Show(id, args) => {
                let name = format!("show_{}", self.model.shows[id.0 as usize].name);
                self.helper(&name, args);
            }
            ExprKind::Element(list, index) => self.element(list, index),
            ExprKind::Var(v) => {
                let _ = writeln!(self.out, "printer.text({});", self.name(*v));
            }
            ExprKind::Join { separator, count, var, text } => {
                let (count, var) = (self.expr(count), self.name(*var));
                let _ = writeln!(self.out, "for {var} in 0..{count} {{\nif {var} > 0 {{");
                self.print(separator);
                self.out.push_str("}\n");
                self.print(text);
                self.out.push_str("}\n");
            }
            _ => self.text("?"),
        }
    }

    /// An element of a list of texts.
    fn element(&mut self, list: &Expr, index: &Expr) {
        let index = self.expr(index);
        let list = match &list.kind {
            ExprKind::Const(id) => format!("TEXTS_{}", id.0),
            _ => format!("[{}]", quoted(&plain_list(list).unwrap_or_default())),
        };
        let _ = writeln!(self.out, "printer.pick({index}, &{list});");
    }

    fn block(&mut self, block: &Block) {
        for stmt in &block.stmts {
            if let StmtKind::Let(vars, value) = &stmt.kind {
                let value = self.expr(value);
                let names: Vec<String> = vars.iter().map(|&v| self.name(v)).collect();
                let _ = match &names[..] {
                    [one] => writeln!(self.out, "let {one} = {value};"),
                    _ => writeln!(self.out, "let ({}) = {value};", names.join(", ")),
                };
            }
        }
        if let Some(tail) = &block.tail {
            self.print(tail);
        }
    }

    fn expr(&self, e: &Expr) -> String {
        self.writer.expr(e)
    }

    /// The value of a match arm as a pattern.
    fn constant(&self, e: &Expr) -> String {
        match eval(self.model, self.locals, &Env::default(), e) {
            Some(Value::Int(i)) => i.to_string(),
            Some(Value::Bool(b)) => b.to_string(),
            _ => "_".to_owned(),
        }
    }
}

/// The text of a template without holes.
fn plain(t: &Template) -> Option<String> {
    let part = |p: &Part| match p {
        Part::Text(text) => Some(text.clone()),
        _ => None,
    };
    t.parts.iter().map(part).collect()
}

/// The elements of a list of texts.
fn plain_list(e: &Expr) -> Option<Vec<String>> {
    let ExprKind::List(items) = &e.kind else { return None };
    let text = |item: &Expr| match &item.kind {
        ExprKind::Template(t) => plain(t),
        _ => None,
    };
    items.iter().map(text).collect()
}

fn quoted(texts: &[String]) -> String {
    texts.iter().map(|t| format!("{t:?}")).collect::<Vec<_>>().join(", ")
}
