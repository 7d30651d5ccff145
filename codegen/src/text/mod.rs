//! Disassembly by interpretation of the model: for the `isa` tool and for checking `test` lines while generating.

mod printer;

use crate::hir::{Expr, ExprKind, Op, StmtKind, Ty, VarId};
use crate::model::{Action, Enc, Insn, Model, Tail, Test};
use crate::pattern::{Decoding, Outcome};
use crate::sema::{Env, Value, eval};
use crate::syntax::ast::Span;
use printer::Printer;
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

/// Disassemble the instruction at the start of `code`, in memory order; `None` if bytes are missing.
pub fn disassemble(model: &Model, decoding: &Decoding<'_>, pc: u64, mode: u32, code: &[u8]) -> Option<Line> {
    if model.bytewise() {
        return sequence(model, decoding, pc, mode, code);
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
            let env = Env { mode: Some(mode), pc: Some((pc, pc.wrapping_add(len.into()))), ..Env::default() };
            let text = encoding_text(model, insn, enc, word.into(), env);
            Line { insn: Some(insn.name.clone()), text, len }
        }
        None => {
            let digits = 2 * len as usize;
            let directive = if len == 2 { ".short" } else { ".word" };
            Line { insn: None, text: format!("{directive} 0x{word:0digits$x}"), len }
        }
    })
}

/// The same, of sequences of bytes.
fn sequence(model: &Model, decoding: &Decoding<'_>, pc: u64, mode: u32, code: &[u8]) -> Option<Line> {
    let found = match decoding.sequence(code, mode, &mut Vec::new()) {
        Outcome::Insn(found) => found,
        Outcome::Unallocated => {
            return Some(Line { insn: None, text: format!(".byte {:#04x}", code.first()?), len: 1 });
        }
        Outcome::Truncated => return None,
    };
    let (insn, enc) = decoding.sources[found.entry];
    let next = pc.wrapping_add(found.len.into());
    let next = if model.sections.elf_class == 32 { next & u64::from(u32::MAX) } else { next };
    let mut env = Env { mode: Some(mode), decoded: Some(found.decoded), pc: Some((pc, next)), ..Env::default() };
    let vars = enc.tail.iter().filter_map(|t| match t {
        Tail::Immediate { var, .. } => Some(*var),
        Tail::Operand(_) => None,
    });
    env.vars.extend(vars.zip(found.immediates.iter().map(|&v| Value::Int(v))));
    let text = encoding_text(model, insn, enc, found.word, env);
    Some(Line { insn: Some(insn.name.clone()), text, len: found.len })
}

/// What the words and texts of a model's `test` lines are, where they differ from what the lines say.
pub fn check_tests<'a>(model: &'a Model, decoding: &Decoding<'_>) -> Vec<(&'a Test, String)> {
    let mut wrong = Vec::new();
    for insn in &model.insns {
        for test in &insn.tests {
            let before = |name: &str| test.before.iter().find(|b| b.0 == name).map(|b| b.1);
            let mode = model.modes().fold(0, |mode, c| mode | before(&c.name).map_or(c.reset, |v| v as u32) << c.lo);
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

/// What is wrong with the code that `native_call` gives: `code` starts with a call of a host function, `ret` is instructions.
pub fn check_native_call(model: &Model, decoding: &Decoding<'_>) -> Option<(Span, String)> {
    let native = model.sections.native_call.as_ref()?;
    let mode = model.modes().fold(0, |mode, c| mode | c.reset << c.lo);
    // What follows the call is the address of a name.
    let code = [&native.code[..], &[0; 16]].concat();
    let first = disassemble(model, decoding, 0, mode, &code).and_then(|line| line.insn);
    let is_call = |insn: &Insn| insn.name == *first.as_deref().unwrap_or("") && calls_host(&insn.action);
    if !model.insns.iter().any(is_call) {
        let what = first.map_or("no instruction".to_owned(), |name| format!("`{name}`"));
        return Some((native.span, format!("`code` is {what}, not a call of a host function")));
    }
    let mut rest = &native.ret[..];
    while !rest.is_empty() {
        let line = disassemble(model, decoding, 0, mode, rest).filter(|line| line.insn.is_some());
        let Some(line) = line else {
            return Some((native.span, "`ret` is no instruction".to_owned()));
        };
        rest = &rest[line.len as usize..];
    }
    None
}

/// Whether a body is a call of a host function.
fn calls_host(action: &Action) -> bool {
    let Action::Body(block) = action else { return false };
    let is_call = |e: &Expr| matches!(&e.kind, ExprKind::Op(Op::NativeCall, _));
    let stmts = block.stmts.iter().filter_map(|s| match &s.kind {
        StmtKind::Expr(e) => Some(e),
        _ => None,
    });
    stmts.chain(block.tail.as_deref()).any(is_call)
}

/// The text of an encoding for a word; `env` has what else is known.
fn encoding_text(model: &Model, insn: &Insn, enc: &Enc, word: u128, mut env: Env) -> String {
    for (field, flat) in enc.fields.iter().zip(&enc.flat.fields) {
        env.vars.insert(field.var, Value::Int(enc.flat.field_value(flat, word)));
    }
    let mut places = HashMap::new();
    for (var, value) in &enc.binds {
        if matches!(insn.locals.get(*var).ty, Ty::Place(_)) {
            let texts = HashMap::new();
            let mut out = String::new();
            Printer { model, locals: &insn.locals, env: env.clone(), texts, out: &mut out }.print(value);
            places.insert(*var, out);
        } else if let Some(value) = eval(model, &insn.locals, &env, value) {
            env.vars.insert(*var, value);
        }
    }
    let mut out = String::new();
    insn_text(model, insn, env, places, &mut out);
    out
}

/// Text of an instruction, or of the one it executes as.
fn insn_text(model: &Model, insn: &Insn, env: Env, texts: HashMap<VarId, String>, out: &mut String) {
    if let (Action::Alias(target, args), true) = (&insn.action, insn.asms.is_empty()) {
        let target = model.insn(*target);
        let mut inner = Env { vars: HashMap::new(), ..env.clone() };
        for (&param, arg) in target.params.iter().zip(args) {
            if let Some(value) = eval(model, &insn.locals, &env, arg) {
                inner.vars.insert(param, value);
            }
        }
        return insn_text(model, target, inner, HashMap::new(), out);
    }
    let mut printer = Printer { model, locals: &insn.locals, env, texts, out };
    let holds = |p: &Printer<'_>, when: &Expr| p.eval(when).and_then(|v| v.bool()) == Some(true);
    match insn.asms.iter().find(|asm| asm.when.as_ref().is_none_or(|w| holds(&printer, w))) {
        Some(asm) => printer.template(&asm.template),
        None => printer.out.push_str(&insn.name),
    }
}
