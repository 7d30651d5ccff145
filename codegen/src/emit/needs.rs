//! What generated functions need to be passed: the builder, the instruction's address, the mode word.

use crate::hir::{Block, Expr, ExprKind, FnId, Op, Part, StaticFn, Stmt, StmtKind, Template, Ty, ViewId};
use crate::model::Model;

/// Parameters of a generated function beyond those of the specification.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Needs {
    /// Emits IR or can trap: takes the builder.
    pub(super) builder: bool,
    /// Mentions `pc` or `pc_next`.
    pub(super) pc: bool,
    /// Reads the code at an address.
    pub(super) code: bool,
    /// Reads a context.
    pub(super) mode: bool,
    /// Which, by number; those from the last bit on count as one.
    pub(super) contexts: u128,
}

impl Needs {
    fn join(&mut self, other: Needs) {
        self.builder |= other.builder;
        self.pc |= other.pc;
        self.code |= other.code;
        self.mode |= other.mode;
        self.contexts |= other.contexts;
    }

    /// Both together.
    pub(super) fn with(mut self, other: Needs) -> Needs {
        self.join(other);
        self
    }

    /// Takes the instruction's place.
    pub(super) fn at(self) -> bool {
        self.pc || self.code
    }
}

/// Needs of all functions and views of a model. The call graph is acyclic.
pub(super) struct NeedsTable {
    fns: Vec<Needs>,
    gets: Vec<Needs>,
    sets: Vec<Needs>,
}

impl NeedsTable {
    /// Computes them.
    pub(super) fn new(model: &Model) -> NeedsTable {
        let mut table = NeedsTable {
            fns: vec![Needs::default(); model.fns.len()],
            gets: vec![Needs::default(); model.views.len()],
            sets: vec![Needs::default(); model.views.len()],
        };
        // Each round carries needs one call further up; the depth of the call graph bounds the rounds.
        loop {
            let mut changed = false;
            for (i, f) in model.fns.iter().enumerate() {
                let mut n = table.block(&f.body);
                n.builder |= f.ret.is_dynamic() || f.params.iter().any(|&p| f.locals.get(p).ty.is_dynamic());
                changed |= std::mem::replace(&mut table.fns[i], n) != n;
            }
            for (i, v) in model.views.iter().enumerate() {
                let get = v.get.as_ref().map_or(Needs::default(), |b| table.block(b));
                let set = v.set.as_ref().map_or(Needs::default(), |(_, b)| table.block(b));
                changed |= std::mem::replace(&mut table.gets[i], get) != get;
                changed |= std::mem::replace(&mut table.sets[i], set) != set;
            }
            if !changed {
                return table;
            }
        }
    }

    /// Of a function.
    pub(super) fn func(&self, id: FnId) -> Needs {
        self.fns[id.0 as usize]
    }

    /// Of a getter. It always takes the builder.
    pub(super) fn get(&self, id: ViewId) -> Needs {
        Needs { builder: true, ..self.gets[id.0 as usize] }
    }

    /// Of a setter. It always takes the builder.
    pub(super) fn set(&self, id: ViewId) -> Needs {
        Needs { builder: true, ..self.sets[id.0 as usize] }
    }

    /// Of a block.
    pub(super) fn block(&self, b: &Block) -> Needs {
        let mut n = Needs::default();
        b.stmts.iter().for_each(|s| n.join(self.stmt(s)));
        b.tail.iter().for_each(|t| n.join(self.expr(t)));
        n
    }

    /// Of a statement.
    pub(super) fn stmt(&self, s: &Stmt) -> Needs {
        let mut n = Needs::default();
        match &s.kind {
            StmtKind::Let(_, e) | StmtKind::Expr(e) => n.join(self.expr(e)),
            StmtKind::SetReg(_, index, e) => {
                n.builder = true;
                index.iter().for_each(|i| n.join(self.expr(i)));
                n.join(self.expr(e));
            }
            StmtKind::SetView(id, args, e) => {
                n.join(self.set(*id));
                args.iter().for_each(|a| n.join(self.expr(a)));
                n.join(self.expr(e));
            }
            StmtKind::SetPlace(place, e) => {
                n.join(Needs { builder: true, pc: true, ..Needs::default() });
                n.join(self.expr(place));
                n.join(self.expr(e));
            }
            StmtKind::SetContext(_, e) => {
                n.builder = true;
                n.join(self.expr(e));
            }
            StmtKind::For(_, lo, hi, body) => {
                n.join(self.expr(lo));
                n.join(self.expr(hi));
                n.join(self.block(body));
            }
        }
        n
    }

    /// Of an expression.
    pub(super) fn expr(&self, e: &Expr) -> Needs {
        let mut n = Needs { builder: e.ty.is_dynamic(), ..Needs::default() };
        let widths = match &e.ty {
            Ty::Bits(w) | Ty::Place(w) => [Some(w), None],
            Ty::Lanes { lane, width } => [Some(lane), Some(width)],
            _ => [None, None],
        };
        widths.into_iter().flatten().for_each(|w| n.join(self.expr(w)));
        match &e.kind {
            ExprKind::Undef => n.builder = true,
            ExprKind::Pc | ExprKind::PcNext => n.pc = true,
            ExprKind::Context(id) => {
                n.mode = true;
                n.contexts |= 1 << id.0.min(u128::BITS - 1);
            }
            ExprKind::Op(op, args) => {
                n.builder = true;
                n.pc |= *op == Op::PlaceGet;
                args.iter().for_each(|a| n.join(self.expr(a)));
            }
            ExprKind::Static(f, args) => {
                n.code |= *f == StaticFn::CodeWord;
                args.iter().for_each(|a| n.join(self.expr(a)));
            }
            ExprKind::Call(id, args) => {
                n.join(self.func(*id));
                args.iter().for_each(|a| n.join(self.expr(a)));
            }
            ExprKind::View(id, args) => {
                n.join(self.get(*id));
                args.iter().for_each(|a| n.join(self.expr(a)));
            }
            ExprKind::Extern(_, args) => {
                n.builder = true;
                args.iter().for_each(|a| n.join(self.expr(a)));
            }
            ExprKind::List(args) | ExprKind::Tuple(args) | ExprKind::Show(_, args) | ExprKind::PlaceView(_, args) => {
                args.iter().for_each(|a| n.join(self.expr(a)));
            }
            ExprKind::Unary(_, a) | ExprKind::Convert(a) | ExprKind::Constant(a) => n.join(self.expr(a)),
            ExprKind::Binary(_, a, b) | ExprKind::Element(a, b) => {
                n.join(self.expr(a));
                n.join(self.expr(b));
            }
            ExprKind::In(a, set) => {
                n.join(self.expr(a));
                for (lo, hi) in set {
                    n.join(self.expr(lo));
                    hi.iter().for_each(|h| n.join(self.expr(h)));
                }
            }
            ExprKind::Reg(_, index) => {
                n.builder = true;
                index.iter().for_each(|i| n.join(self.expr(i)));
            }
            ExprKind::Shuffle { sources, pick, .. } => {
                n.join(self.expr(&sources.0));
                n.join(self.expr(&sources.1));
                n.join(self.expr(pick));
            }
            ExprKind::Reduce { lanes, body, .. } => {
                n.join(self.expr(lanes));
                n.join(self.expr(body));
            }
            ExprKind::Join { separator, count, text, .. } => {
                n.join(self.expr(separator));
                n.join(self.expr(count));
                n.join(self.expr(text));
            }
            ExprKind::If(c, a, b) => {
                n.join(self.expr(c));
                n.join(self.block(a));
                n.join(self.block(b));
            }
            ExprKind::Match(v, arms) => {
                n.join(self.expr(v));
                arms.iter().for_each(|a| n.join(self.block(&a.body)));
            }
            ExprKind::Block(b) => n.join(self.block(b)),
            ExprKind::Template(t) => n.join(self.template(t)),
            ExprKind::Int(_) | ExprKind::Bool(_) | ExprKind::EnumValue(_) | ExprKind::Var(_) | ExprKind::Const(_) => {}
        }
        n
    }

    fn template(&self, t: &Template) -> Needs {
        let mut n = Needs::default();
        for part in &t.parts {
            match part {
                Part::Text(_) => {}
                Part::Plain(e) | Part::Hex(e) | Part::SignedHex(e) => n.join(self.expr(e)),
                Part::View(_, args) => args.iter().for_each(|a| n.join(self.expr(a))),
                Part::Pick { value, texts, .. } => {
                    n.join(self.expr(value));
                    texts.iter().for_each(|t| n.join(self.template(t)));
                }
            }
        }
        n
    }
}
