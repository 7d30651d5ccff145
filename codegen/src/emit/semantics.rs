//! Semantics of a guest: enums, constants, functions, views, and per encoding the function that emits IR.

use super::body::Body;
use super::names::{self, rust_name};
use super::needs::{Needs, NeedsTable};
use super::stat::{self, Static};
use super::writer::Writer;
use crate::hir::{Block, EnumTy, Expr, ExprKind, InsnId, Locals, Ty, VarId};
use crate::model::{Action, Enc, Fp, Insn, Model, Tail};

/// What generated code mentions.
const HEADER: &str = "\
// Generated from the specification.
#[allow(unused_imports)]
use crate::rt::{self, At};
use ir::Builder;
#[allow(unused_imports)]
use ir::guest::{Flow, FpMode, Slot};
#[allow(unused_imports)]
use ir::inst::Val;
";

/// Rust source of all bodies.
pub fn emit(model: &Model) -> String {
    let table = NeedsTable::new(model);
    let mut out = Writer::default();
    out.lines(HEADER);
    let word = if model.bytewise() { "u128" } else { "u32" };
    out.line(&format!("type Word = {word};"));
    out.line(&format!("type Mode = {word};"));
    enums(&mut out, model);
    consts(&mut out, model, &table);
    let mut text = out.finish();
    for i in 0..model.fns.len() {
        text.push_str(&func(model, &table, i));
    }
    for i in 0..model.views.len() {
        text.push_str(&view(model, &table, i));
    }
    let mut number = 0;
    for insn in &model.insns {
        text.push_str(&instruction(model, &table, insn, &mut number));
    }
    if model.bytewise() {
        text.push_str(&super::place::emit(model, &table));
    }
    text.push_str(&fp_mode(model, &table, "fp_mode", &model.sections.fp));
    for (i, fp) in model.sections.fp_named.iter().enumerate() {
        text.push_str(&fp_mode(model, &table, &format!("fp_mode_{}", i + 1), fp));
    }
    text
}

/// Rust source of the functions of one instruction, for people.
pub fn expand(model: &Model, name: &str) -> Option<String> {
    let table = NeedsTable::new(model);
    let position = model.insns.iter().position(|i| i.name == name)?;
    let mut number = model.insns[..position].iter().map(|i| i.encs.len()).sum();
    Some(instruction(model, &table, &model.insns[position], &mut number))
}

// ---------------------------------------------------------------- data

fn enums(out: &mut Writer, model: &Model) {
    for e in &model.enums {
        out.line("#[allow(dead_code)]");
        out.open(&format!("mod {} {{", names::enum_module(&e.name)));
        for v in &e.values {
            out.line(&format!("pub(super) const {}: i128 = {};", rust_name(&v.name), v.value));
        }
        out.close("}");
    }
}

fn consts(out: &mut Writer, model: &Model, table: &NeedsTable) {
    let locals = Locals::default();
    let stat = Static::new(model, table, &locals);
    for c in &model.consts {
        let ExprKind::List(items) = &c.value.kind else { continue };
        if let Some(ty) = items.first().filter(|i| !matches!(i.ty, Ty::Str)).map(|i| rust_ty(&i.ty)) {
            out.line("#[allow(dead_code)]");
            let name = rust_name(&c.name);
            out.line(&format!("static {name}: [{ty}; {}] = {};", items.len(), stat.expr(&c.value)));
        }
    }
    out.line("/// First slots of the register arrays.");
    out.line("#[allow(dead_code)]");
    out.open("mod slot {");
    for r in model.regs.iter().filter(|r| r.count.is_some()) {
        out.line(&format!("pub(super) const {}: u16 = {};", rust_name(&r.name), r.slot));
    }
    out.close("}");
}

/// The Rust type of a value.
pub(super) fn rust_ty(ty: &Ty) -> String {
    match ty {
        Ty::Bool => "bool".into(),
        Ty::Str => "&str".into(),
        Ty::Enum(EnumTy::Builtin(crate::hir::BuiltinEnum::Trap)) => "i128".into(),
        Ty::Enum(EnumTy::Builtin(b)) => format!("rt::{b:?}"),
        Ty::Bits(_) | Ty::Lanes { .. } => "Val".into(),
        Ty::Tuple(items) => format!("({})", items.iter().map(rust_ty).collect::<Vec<_>>().join(", ")),
        Ty::Unit => "()".into(),
        Ty::Place(_) => "rt::Place".into(),
        _ => "i128".into(),
    }
}

// ---------------------------------------------------------------- functions

/// Parameters of the specification as those of a Rust function.
fn params(locals: &Locals, names: &[String], params: &[VarId]) -> Vec<String> {
    params.iter().map(|&p| format!("{}: {}", names::variable(names, p), rust_ty(&locals.get(p).ty))).collect()
}

/// `fn name(..) -> T {`, with what it needs first.
fn header(name: &str, needs: Needs, params: &[String], ret: &Ty) -> String {
    let mut all: Vec<String> = Vec::new();
    if needs.builder {
        all.push("ir: &mut Builder<'_>".into());
        if needs.at() {
            all.push("at: &At<'_>".into());
        }
    } else {
        if needs.mode {
            all.push("mode: Mode".into());
        }
        if needs.pc {
            all.extend(["pc: i128".into(), "pc_next: i128".into()]);
        }
    }
    all.extend(params.iter().cloned());
    let ret = if matches!(ret, Ty::Unit) { String::new() } else { format!(" -> {}", rust_ty(ret)) };
    format!("fn {name}({}){ret} {{", all.join(", "))
}

fn func(model: &Model, table: &NeedsTable, i: usize) -> String {
    let f = &model.fns[i];
    let needs = table.func(crate::hir::FnId(i as u32));
    let mut body = Body::new(model, table, &f.locals, Writer::default());
    let params = params(&f.locals, &body.stat.names, &f.params);
    if !f.doc.is_empty() {
        body.out.line(&format!("/// {}", f.doc));
    }
    body.out.open(&header(&format!("fn_{}", f.name), needs, &params, &f.ret));
    if needs.builder {
        body.preamble(needs);
    }
    finish(body, &f.body, &f.ret)
}

fn view(model: &Model, table: &NeedsTable, i: usize) -> String {
    let v = &model.views[i];
    let id = crate::hir::ViewId(i as u32);
    let mut text = String::new();
    if let Some(get) = &v.get {
        let mut body = Body::new(model, table, &v.locals, Writer::default());
        let params = params(&v.locals, &body.stat.names, &v.params);
        body.out.open(&header(&format!("get_{}", v.name), table.get(id), &params, &v.ty));
        body.preamble(table.get(id));
        text.push_str(&finish(body, get, &v.ty));
    }
    if let Some((value, set)) = &v.set {
        let mut body = Body::new(model, table, &v.locals, Writer::default());
        let all: Vec<VarId> = v.params.iter().copied().chain([*value]).collect();
        let params = params(&v.locals, &body.stat.names, &all);
        body.out.open(&header(&format!("set_{}", v.name), table.set(id), &params, &Ty::Unit));
        body.preamble(table.set(id));
        text.push_str(&finish(body, set, &Ty::Unit));
    }
    text
}

/// Statements, value and closing brace of a function.
fn finish(mut body: Body, block: &Block, ret: &Ty) -> String {
    let value = body.block(block);
    if let (Some(value), false) = (value, matches!(ret, Ty::Unit)) {
        body.give(&value, None);
    }
    body.out.close("}");
    let text = body.out.finish();
    format!("#[allow(dead_code)]\n{text}")
}

// ---------------------------------------------------------------- instructions

/// The body of an instruction, if it needs a function of its own, then its encodings.
fn instruction(model: &Model, table: &NeedsTable, insn: &Insn, number: &mut usize) -> String {
    let shared = insn.encs.len() != 1 || is_target(model, insn);
    let mut text = String::new();
    if shared {
        let mut body = Body::new(model, table, &insn.locals, Writer::default());
        let params = params(&insn.locals, &body.stat.names, &insn.params);
        document(&mut body.out, insn);
        let mut all = vec!["ir: &mut Builder<'_>".to_string(), "at: &At<'_>".to_string()];
        all.extend(params);
        body.out.open(&format!("fn insn_{}({}) {{", insn.name, all.join(", ")));
        action(&mut body, table, insn);
        body.out.close("}");
        text.push_str(&body.out.finish());
    }
    for enc in &insn.encs {
        let mut body = Body::new(model, table, &insn.locals, Writer::default());
        if !shared {
            document(&mut body.out, insn);
        }
        body.out.open(&format!("fn enc_{number}(ir: &mut Builder<'_>, at: &At<'_>, word: Word) -> Flow {{"));
        fields(&mut body, model, table, enc);
        if shared {
            let args: Vec<String> = insn.params.iter().map(|&p| body.name(p)).collect();
            let all = [vec!["ir".to_string(), "at".to_string()], args].concat();
            body.out.line(&format!("insn_{}({});", insn.name, all.join(", ")));
        } else {
            action(&mut body, table, insn);
        }
        body.out.line("rt::flow(ir)");
        body.out.close("}");
        text.push_str(&body.out.finish());
        *number += 1;
    }
    text
}

/// Whether another instruction executes as this one.
fn is_target(model: &Model, insn: &Insn) -> bool {
    let named = |id: &InsnId| model.insn(*id).name == insn.name;
    model.insns.iter().any(|i| matches!(&i.action, Action::Alias(id, _) if named(id)))
}

fn document(out: &mut Writer, insn: &Insn) {
    let doc = if insn.doc.is_empty() { insn.name.clone() } else { insn.doc.clone() };
    out.line(&format!("/// {doc} ({})", insn.at));
}

/// `let`s of the fields and `with` names, contexts that advance, and the condition.
fn fields(body: &mut Body, model: &Model, table: &NeedsTable, enc: &Enc) {
    let after = model.after.get(enc.flat.space).map_or(&[][..], |a| a);
    let exprs = enc.binds.iter().map(|(_, e)| e).chain(after.iter().map(|(_, e)| e)).chain(&enc.predicate);
    let needs = exprs.map(|e| table.expr(e));
    body.preamble(needs.fold(Needs::default(), Needs::with));
    for f in &enc.fields {
        let line = format!("let {} = {};", body.name(f.var), stat::field(f));
        body.out.line(&line);
    }
    for (i, var) in immediates(enc).enumerate() {
        let line = format!("let {} = at.imms[{i}];", body.name(var));
        body.out.line(&line);
    }
    for (v, e) in &enc.binds {
        let value = if matches!(e.ty, Ty::Place(_)) { body.value(e) } else { body.stat.expr(e) };
        let line = format!("let {} = {value};", body.name(*v));
        body.out.line(&line);
    }
    for (id, value) in after {
        let c = &model.contexts[id.0 as usize];
        let line = format!("ir.advance_mode({}, {}, {});", c.lo, c.width, body.stat.u32(value));
        body.out.line(&line);
    }
    if let Some(predicate) = &enc.predicate {
        let cond = body.value(predicate);
        body.out.line(&format!("ir.predicate({cond});"));
    }
}

/// The immediates of an encoding, in order.
pub(super) fn immediates(enc: &Enc) -> impl Iterator<Item = VarId> {
    enc.tail.iter().filter_map(|t| match t {
        Tail::Immediate { var, .. } => Some(*var),
        Tail::Operand(_) => None,
    })
}

/// `let` clauses, then the body or the call of what it is another form of.
fn action(body: &mut Body, table: &NeedsTable, insn: &Insn) {
    let lets = Block { stmts: insn.lets.clone(), tail: None };
    let needs = table.block(&lets);
    match &insn.action {
        Action::Body(block) => {
            body.preamble(needs.with(table.block(block)));
            if insn.environment != 0 {
                body.out.line(&format!("ir.fp_environment({});", insn.environment));
            }
            body.block(&lets);
            if let Some(value) = body.block(block) {
                body.out.line(&format!("let _ = {value};"));
            }
        }
        Action::Alias(target, args) => {
            body.preamble(args.iter().fold(needs, |n, a| n.with(table.expr(a))));
            body.block(&lets);
            let target = body.model.insn(*target).name.clone();
            let args = body.arguments(args);
            let all = [vec!["ir".to_string(), "at".to_string()], args].concat();
            body.out.line(&format!("insn_{target}({});", all.join(", ")));
        }
        Action::Missing => body.out.line("ir.undefined();"),
    }
}

// ---------------------------------------------------------------- floating-point mode

/// `fn fp_mode(mode: u32) -> FpMode`
fn fp_mode(model: &Model, table: &NeedsTable, name: &str, fp: &Fp) -> String {
    let locals = Locals::default();
    let stat = Static::new(model, table, &locals);
    let text = |e: &Option<Expr>, default: &str| e.as_ref().map_or_else(|| default.to_string(), |e| stat.expr(e));
    let mut out = Writer::default();
    out.line("#[allow(unused_variables)]");
    out.open(&format!("fn {name}(mode: u32) -> FpMode {{"));
    out.open("FpMode {");
    out.line(&format!("round: {},", text(&fp.round, "rt::Round::Even")));
    out.line(&format!("flush_inputs: {},", text(&fp.flush_inputs, "false")));
    out.line(&format!("flush_results: {},", text(&fp.flush_results, "false")));
    out.line(&format!("default_nan: {},", text(&fp.default_nan, "false")));
    out.close("}");
    out.close("}");
    out.finish()
}
