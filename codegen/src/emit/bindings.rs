//! The variables of an encoding and of an instruction as Rust `let`s.

use super::names;
use super::stat::{Static, field};
use crate::hir::{Domain, Expr, Locals, StmtKind, VarId};
use crate::model::{Enc, Insn};
use std::collections::BTreeSet;
use std::fmt::Write as _;

/// Fields and `with` names of an encoding, from `word`; of these only what is `wanted`, if that is given.
pub(super) fn of_encoding(writer: &Static<'_>, enc: &Enc, wanted: Option<&BTreeSet<VarId>>) -> String {
    let mut out = String::new();
    let wants = |v: VarId| wanted.is_none_or(|w| w.contains(&v));
    for f in enc.fields.iter().filter(|f| wants(f.var)) {
        let _ = writeln!(out, "let {} = {};", names::variable(&writer.names, f.var), field(f));
    }
    for (i, var) in super::semantics::immediates(enc).enumerate().filter(|(_, v)| wants(*v)) {
        let _ = writeln!(out, "let {} = at.imms[{i}];", names::variable(&writer.names, var));
    }
    for (v, e) in enc.binds.iter().filter(|(v, e)| wants(*v) && e.ty.is_static()) {
        let _ = writeln!(out, "let {} = {};", names::variable(&writer.names, *v), writer.expr(e));
    }
    out
}

/// The `let` and `width` clauses of an instruction; only what is `wanted`, if that is given.
pub(super) fn of_insn(writer: &Static<'_>, insn: &Insn, wanted: Option<&BTreeSet<VarId>>) -> String {
    let mut out = String::new();
    for stmt in &insn.lets {
        if let StmtKind::Let(vars, e) = &stmt.kind
            && wanted.is_none_or(|w| w.contains(&vars[0]))
        {
            let _ = writeln!(out, "let {} = {};", names::variable(&writer.names, vars[0]), writer.expr(e));
        }
    }
    out
}

/// Variables that expressions need, through definitions: `let`s, and `with` names of the encoding if there is one.
pub(super) fn needed<'a>(exprs: impl Iterator<Item = &'a Expr>, locals: &Locals, enc: Option<&Enc>) -> BTreeSet<VarId> {
    let mut found = BTreeSet::new();
    exprs.for_each(|e| need(e, locals, enc, &mut found));
    found
}

fn need(e: &Expr, locals: &Locals, enc: Option<&Enc>, found: &mut BTreeSet<VarId>) {
    let mut vars = BTreeSet::new();
    crate::sema::mentioned(e, &mut vars);
    for v in vars {
        if !found.insert(v) {
            continue;
        }
        if let Domain::Let(definition, _) = &locals.get(v).domain {
            need(definition, locals, enc, found);
        }
        let binds = enc.map_or(&[][..], |e| &e.binds);
        if let Some((_, value)) = binds.iter().find(|(b, _)| *b == v) {
            need(value, locals, enc, found);
        }
    }
}
