//! Places in memory that a body reads more than once on one path: each mention is an access of its own, which another thread may see, and
//! which costs.

use super::Global;
use crate::diag::Diagnostic;
use crate::hir::{Block, Domain, Expr, ExprKind, FnId, Locals, Op, StmtKind, Ty, VarId};
use crate::model::{Action, Insn};
use crate::syntax::ast::Span;
use std::collections::BTreeMap;

/// A place, as far as two mentions of it can be told to be the same.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Key {
    Var(u32),
    /// As it is written.
    Text(String),
}

/// Where each place is read, on the path with most reads of it.
type Reads = BTreeMap<Key, Vec<Span>>;

/// Report them.
pub(super) fn check(g: &mut Global) {
    let mut found = Vec::new();
    let mut walk = Walk { g, functions: BTreeMap::new() };
    for insn in &g.model.insns {
        let Action::Body(body) = &insn.action else { continue };
        for (key, spans) in walk.block(body, &insn.locals) {
            let in_memory = match &key {
                Key::Var(v) => in_memory(insn, VarId(*v)),
                Key::Text(_) => true,
            };
            if let ([first, second, ..], true) = (&spans[..], in_memory) {
                let name = match key {
                    Key::Var(v) => insn.locals.get(VarId(v)).name.to_string(),
                    Key::Text(text) => text,
                };
                found.push((*first, *second, name));
            }
        }
    }
    for (first, second, name) in found {
        let message = format!("memory operand `{name}` is read twice");
        let d = Diagnostic::error("double-read", second, message).also(first, "read here already");
        g.diags.push(d.note("each mention is an access: bind the value with `let`"));
    }
}

/// Whether an encoding binds the variable to something that may be memory.
fn in_memory(insn: &Insn, var: VarId) -> bool {
    let memory = |e: &Expr| match &e.kind {
        ExprKind::Var(v) => *v != var && in_memory(insn, *v),
        ExprKind::Call(..) | ExprKind::Op(Op::PlaceMemory, _) => true,
        _ => false,
    };
    if let Domain::Let(definition, _) = &insn.locals.get(var).domain {
        return memory(definition);
    }
    insn.encs.iter().flat_map(|e| &e.binds).any(|(v, e)| *v == var && memory(e))
}

struct Walk<'a> {
    g: &'a Global<'a>,
    /// How often functions read their parameters.
    functions: BTreeMap<u32, Vec<usize>>,
}

impl Walk<'_> {
    fn block(&mut self, b: &Block, locals: &Locals) -> Reads {
        let mut reads = Reads::new();
        for stmt in &b.stmts {
            match &stmt.kind {
                StmtKind::Let(_, e) | StmtKind::SetReg(_, None, e) | StmtKind::SetContext(_, e) | StmtKind::Expr(e) => {
                    self.expr(e, locals, &mut reads);
                }
                StmtKind::SetReg(_, Some(a), b) | StmtKind::SetPlace(a, b) => {
                    self.expr(a, locals, &mut reads);
                    self.expr(b, locals, &mut reads);
                }
                StmtKind::SetView(_, args, value) => {
                    args.iter().chain([value]).for_each(|e| self.expr(e, locals, &mut reads));
                }
                StmtKind::For(_, from, to, body) => {
                    self.expr(from, locals, &mut reads);
                    self.expr(to, locals, &mut reads);
                    // A variable is the same place each time around; what is written out may depend on the counter.
                    for (key, spans) in self.block(body, locals) {
                        let again = if matches!(key, Key::Var(_)) { spans.clone() } else { Vec::new() };
                        reads.entry(key).or_default().extend(spans.into_iter().chain(again));
                    }
                }
            }
        }
        b.tail.iter().for_each(|e| self.expr(e, locals, &mut reads));
        reads
    }

    /// Adds those of the alternative with most.
    fn alternatives(reads: &mut Reads, alternatives: Vec<Reads>) {
        let mut most = Reads::new();
        for (key, spans) in alternatives.into_iter().flatten() {
            let entry = most.entry(key).or_default();
            if spans.len() > entry.len() {
                *entry = spans;
            }
        }
        for (key, spans) in most {
            reads.entry(key).or_default().extend(spans);
        }
    }

    fn read(&mut self, place: &Expr, locals: &Locals, times: usize, span: Span, reads: &mut Reads) {
        let key = match &place.kind {
            ExprKind::Var(v) if matches!(locals.get(*v).ty, Ty::Place(_)) => Key::Var(v.0),
            ExprKind::Call(..) | ExprKind::Op(Op::PlaceMemory, _) => {
                Key::Text(self.g.sources.text(place.span).trim().to_owned())
            }
            _ => return,
        };
        reads.entry(key).or_default().extend(std::iter::repeat_n(span, times));
    }

    fn expr(&mut self, e: &Expr, locals: &Locals, reads: &mut Reads) {
        match &e.kind {
            ExprKind::Op(Op::PlaceGet, args) => {
                self.read(&args[0], locals, 1, e.span, reads);
                self.expr(&args[0], locals, reads);
            }
            ExprKind::Call(id, args) => {
                for (arg, times) in args.iter().zip(self.of_parameters(*id)) {
                    if times > 0 {
                        self.read(arg, locals, times, e.span, reads);
                    }
                }
                args.iter().for_each(|a| self.expr(a, locals, reads));
            }
            ExprKind::If(c, a, b) => {
                self.expr(c, locals, reads);
                let both = vec![self.block(a, locals), self.block(b, locals)];
                Walk::alternatives(reads, both);
            }
            ExprKind::Match(value, arms) => {
                self.expr(value, locals, reads);
                let arms = arms.iter().map(|a| self.block(&a.body, locals)).collect();
                Walk::alternatives(reads, arms);
            }
            ExprKind::Block(b) => {
                let inner = self.block(b, locals);
                Walk::alternatives(reads, vec![inner]);
            }
            ExprKind::Unary(_, a) | ExprKind::Convert(a) | ExprKind::Constant(a) | ExprKind::Reg(_, Some(a)) => {
                self.expr(a, locals, reads);
            }
            ExprKind::Binary(_, a, b) | ExprKind::Element(a, b) => {
                self.expr(a, locals, reads);
                self.expr(b, locals, reads);
            }
            ExprKind::Reduce { lanes, body, .. } => {
                self.expr(lanes, locals, reads);
                self.expr(body, locals, reads);
            }
            ExprKind::Shuffle { sources, .. } => {
                self.expr(&sources.0, locals, reads);
                self.expr(&sources.1, locals, reads);
            }
            ExprKind::PlaceView(_, args)
            | ExprKind::View(_, args)
            | ExprKind::Extern(_, args)
            | ExprKind::Op(_, args)
            | ExprKind::Tuple(args) => args.iter().for_each(|a| self.expr(a, locals, reads)),
            _ => {}
        }
    }

    /// How often a function reads each of its parameters.
    fn of_parameters(&mut self, id: FnId) -> Vec<usize> {
        if let Some(known) = self.functions.get(&id.0) {
            return known.clone();
        }
        let f = &self.g.model.fns[id.0 as usize];
        self.functions.insert(id.0, vec![0; f.params.len()]); // of recursion, which is another mistake
        let reads = self.block(&f.body, &f.locals);
        let times: Vec<usize> = f.params.iter().map(|p| reads.get(&Key::Var(p.0)).map_or(0, Vec::len)).collect();
        self.functions.insert(id.0, times.clone());
        times
    }
}
