//! Bodies as Rust: run-time operations become calls of the builder, one per line; choices at translate time become `if` and
//! `match`.

use super::names;
use super::needs::{Needs, NeedsTable};
use super::stat::{self, Static};
use super::writer::Writer;
use crate::hir::{Arm, Block, Expr, ExprKind, Locals, Stmt, StmtKind, Ty, VarId};
use crate::model::Model;
use crate::syntax::ast::UnOp;

/// Writes the statements of one function.
pub(super) struct Body<'m> {
    pub(super) model: &'m Model,
    table: &'m NeedsTable,
    locals: &'m Locals,
    pub(super) stat: Static<'m>,
    pub(super) out: Writer,
    temporaries: u32,
    /// What the preamble has bound so far.
    has: Needs,
    /// The temporary bound last: name, start and end of its statement.
    last: Option<(String, usize, usize)>,
}

impl<'m> Body<'m> {
    pub(super) fn new(model: &'m Model, table: &'m NeedsTable, locals: &'m Locals, out: Writer) -> Body<'m> {
        Body {
            model,
            table,
            locals,
            stat: Static::new(model, table, locals),
            out,
            temporaries: 0,
            has: Needs::default(),
            last: None,
        }
    }

    /// The Rust name of a variable.
    pub(super) fn name(&self, v: VarId) -> String {
        names::variable(&self.stat.names, v).to_string()
    }

    /// `let` lines for what the body mentions of the instruction's place and mode.
    pub(super) fn preamble(&mut self, needs: Needs) {
        if needs.pc && !std::mem::replace(&mut self.has.pc, true) {
            self.out.line("let (pc, pc_next) = (i128::from(at.pc), i128::from(at.pc_next));");
        }
        if needs.mode && !std::mem::replace(&mut self.has.mode, true) {
            let read = if self.model.bytewise() { "vars" } else { "mode" };
            self.out.line(&format!("let mode = ir.{read}();"));
        }
    }

    /// A new temporary bound to a call or another expression.
    pub(super) fn temp(&mut self, text: &str) -> String {
        let name = self.result_name();
        let start = self.out.position();
        self.out.line(&format!("let {name} = {text};"));
        self.last = Some((name.clone(), start, self.out.position()));
        name
    }

    /// Bind `value` to `name`, or leave it as the value of the block. A temporary just made for it is not needed then.
    pub(super) fn give(&mut self, value: &str, name: Option<&str>) {
        match self.last.take() {
            Some((temporary, start, end)) if temporary == value && end == self.out.position() => {
                self.out.rebind(start, &temporary, name);
            }
            _ => match name {
                Some(name) => self.out.line(&format!("let {name} = {value};")),
                None => self.out.line(value),
            },
        }
    }

    /// Statements, then the value of the block, if it has one.
    pub(super) fn block(&mut self, b: &Block) -> Option<String> {
        b.stmts.iter().for_each(|s| self.stmt(s));
        let tail = b.tail.as_deref()?;
        if matches!(tail.ty, Ty::Unit) || is_statement(tail) {
            self.effect(tail);
            return None;
        }
        Some(self.value(tail))
    }

    /// Statements only.
    fn effects(&mut self, b: &Block) {
        b.stmts.iter().for_each(|s| self.stmt(s));
        if let Some(tail) = &b.tail {
            self.effect(tail);
        }
    }

    fn stmt(&mut self, s: &Stmt) {
        match &s.kind {
            StmtKind::Let(vars, e) => self.bind(vars, e),
            StmtKind::Expr(e) => self.effect(e),
            StmtKind::SetReg(id, index, value) => {
                let value = self.value(value);
                let slot = self.slot(*id, index.as_ref());
                self.out.line(&format!("ir.put({slot}, {value});"));
            }
            StmtKind::SetView(id, args, value) => {
                let value = self.value(value);
                let mut all = self.arguments(args);
                all.push(value);
                let name = format!("set_{}", self.model.views[id.0 as usize].name);
                let call = self.call(&name, self.table.set(*id), &all);
                self.out.line(&format!("{call};"));
            }
            StmtKind::SetPlace(place, value) => self.set_place(place, value),
            StmtKind::SetContext(id, value) => {
                let c = &self.model.contexts[id.0 as usize];
                let (lo, width) = (c.lo, c.width);
                if c.decoded {
                    let value = self.stat_u32(value);
                    self.out.line(&format!("ir.set_decode_variable({lo}, {width}, {value});"));
                    if self.has.mode {
                        self.out.line("let mode = ir.vars();");
                    }
                } else if value.ty.is_dynamic() {
                    let value = self.value(value);
                    self.out.line(&format!("ir.set_mode_dynamic({lo}, {width}, {value});"));
                } else {
                    let value = self.stat_u32(value);
                    self.out.line(&format!("ir.set_mode({lo}, {width}, {value});"));
                }
            }
            StmtKind::For(var, lo, hi, body) => {
                let (lo, hi) = (self.stat_value(lo), self.stat_value(hi));
                let name = self.name(*var);
                self.out.open(&format!("for {name} in {lo}..{hi} {{"));
                self.effects(body);
                self.out.close("}");
            }
        }
    }

    /// `let`; a run-time value also gets its name in the IR.
    fn bind(&mut self, vars: &[VarId], e: &Expr) {
        if let [var] = vars {
            let name = self.name(*var);
            let value = self.value(e);
            self.give(&value, Some(&name));
            self.name_value(*var);
            return;
        }
        let value = self.value(e);
        let names: Vec<String> = vars.iter().map(|v| self.name(*v)).collect();
        self.give(&value, Some(&format!("({})", names.join(", "))));
        vars.iter().for_each(|v| self.name_value(*v));
    }

    fn name_value(&mut self, var: VarId) {
        let v = self.locals.get(var);
        if v.ty.is_dynamic() {
            let (name, text) = (self.name(var), v.name.to_string());
            self.out.line(&format!("ir.name({name}, {text:?});"));
        }
    }

    // ---- values

    /// An expression as an operand: statements are written first where it needs any.
    pub(super) fn value(&mut self, e: &Expr) -> String {
        if self.is_plain(e) {
            return self.stat.expr(e);
        }
        match &e.kind {
            ExprKind::Var(v) => self.name(*v),
            ExprKind::Undef => {
                self.out.line("ir.undefined();");
                self.any(&e.ty)
            }
            ExprKind::Constant(a) => self.constant(a, &e.ty),
            ExprKind::Reg(id, index) => {
                let slot = self.slot(*id, index.as_deref());
                self.temp(&format!("ir.get({slot})"))
            }
            ExprKind::View(id, args) => {
                let args = self.arguments(args);
                let name = format!("get_{}", self.model.views[id.0 as usize].name);
                let call = self.call(&name, self.table.get(*id), &args);
                self.temp(&call)
            }
            ExprKind::PlaceView(id, args) => self.place_view(*id, args),
            ExprKind::Call(id, args) => {
                let args = self.arguments(args);
                let name = format!("fn_{}", self.model.fns[id.0 as usize].name);
                let call = self.call(&name, self.table.func(*id), &args);
                self.temp(&call)
            }
            ExprKind::Extern(id, args) => self.helper(*id, args, &e.ty),
            ExprKind::Op(op, args) => self.operation(*op, args, e),
            ExprKind::Shuffle { sources, var, pick } => self.shuffle(&sources.0, &sources.1, *var, pick, e),
            ExprKind::Reduce { lanes, vars, body } => self.reduce(lanes, *vars, body),
            ExprKind::If(c, a, b) => self.choose_if(c, a, b, e),
            ExprKind::Match(v, arms) => self.choose_match(v, arms, e),
            ExprKind::Block(b) => self.block(b).unwrap_or_else(|| "()".into()),
            ExprKind::Tuple(items) => {
                let items: Vec<String> = items.iter().map(|i| self.value(i)).collect();
                format!("({})", items.join(", "))
            }
            ExprKind::Convert(a) => self.value(a),
            _ => self.hoisted(e),
        }
    }

    /// Whether the expression is a Rust expression without the builder.
    fn is_plain(&self, e: &Expr) -> bool {
        e.ty.is_static() && !self.table.expr(e).builder
    }

    /// A translate-time operator with an operand that needs the builder (an `undef` inside): the operand comes first.
    fn hoisted(&mut self, e: &Expr) -> String {
        let text = match &e.kind {
            ExprKind::Unary(UnOp::Neg, a) => format!("-{}", self.operand(a)),
            ExprKind::Unary(UnOp::Not, a) if !matches!(a.ty, Ty::Bool) => {
                format!("i128::from({} == 0)", self.operand(a))
            }
            ExprKind::Unary(_, a) => format!("!{}", self.operand(a)),
            ExprKind::Binary(op, a, b) => {
                let (a, b) = (self.operand(a), self.operand(b));
                stat::operator(*op, &a, &b, None)
            }
            ExprKind::Static(f, args) => {
                let args: Vec<String> = args.iter().map(|a| self.operand(a)).collect();
                self.stat.static_call(*f, &args.join(", "))
            }
            ExprKind::In(a, set) => {
                let tests = set.iter().map(|(lo, hi)| {
                    let (lo, hi) = (self.operand(lo), self.operand(hi.as_ref().unwrap_or(lo)));
                    format!("({lo}..={hi})")
                });
                let tests: Vec<String> = tests.collect();
                let a = self.operand(a);
                tests.iter().map(|t| format!("{t}.contains(&{a})")).collect::<Vec<_>>().join(" || ")
            }
            ExprKind::Element(list, index) => format!("rt::element(&{}, {})", self.operand(list), self.operand(index)),
            _ => "compile_error!(\"`undef` inside of this expression is not supported\")".into(),
        };
        self.temp(&text)
    }

    /// A translate-time operand, as an atom.
    fn operand(&mut self, e: &Expr) -> String {
        if self.is_plain(e) {
            return self.stat.atom(e);
        }
        let value = self.value(e);
        if value.chars().all(|c| c.is_alphanumeric() || c == '_') { value } else { self.temp(&value) }
    }

    /// A translate-time value without the builder in its text.
    pub(super) fn stat_value(&mut self, e: &Expr) -> String {
        if self.is_plain(e) { self.stat.atom(e) } else { self.value(e) }
    }

    /// A width, shift amount, position: `u32`.
    pub(super) fn stat_u32(&mut self, e: &Expr) -> String {
        if self.is_plain(e) { self.stat.u32(e) } else { format!("{} as u32", self.value(e)) }
    }

    /// Some value of a type, after a trap.
    fn any(&mut self, ty: &Ty) -> String {
        match ty {
            Ty::Bits(w) | Ty::Lanes { width: w, .. } => {
                let w = self.stat_u32(w);
                self.temp(&format!("ir.konst({w}, 0)"))
            }
            Ty::Bool => "false".into(),
            Ty::Enum(crate::hir::EnumTy::Builtin(_)) => {
                let zero = Expr { kind: ExprKind::EnumValue(0), ty: ty.clone(), span: Default::default() };
                self.stat.expr(&zero)
            }
            Ty::Tuple(items) => {
                let items: Vec<String> = items.iter().map(|t| self.any(t)).collect();
                format!("({})", items.join(", "))
            }
            Ty::Unit => "()".into(),
            Ty::Place(_) => "rt::Place::Nowhere".into(),
            _ => "0".into(),
        }
    }

    fn constant(&mut self, a: &Expr, ty: &Ty) -> String {
        let w = ty.width().map_or_else(|| "1".into(), |w| self.stat_u32(w));
        let value = self.stat_value(a);
        let value =
            if matches!(a.ty, Ty::Bool) { format!("i128::from({value})") } else { stat::unparenthesised(&value) };
        self.temp(&format!("ir.konst({w}, {value})"))
    }

    /// The slot of a register.
    fn slot(&mut self, id: crate::hir::RegId, index: Option<&Expr>) -> String {
        let reg = self.model.reg(id);
        match index {
            None => format!("Slot({})", reg.slot),
            Some(Expr { kind: ExprKind::Int(i), .. }) => format!("Slot({})", i128::from(reg.slot) + i),
            Some(i) => {
                let (name, count) = (names::rust_name(&reg.name), reg.count.unwrap_or(1));
                let i = stat::unparenthesised(&self.stat_value(i));
                format!("rt::slot(slot::{name}, {count}, {i})")
            }
        }
    }

    pub(super) fn arguments(&mut self, args: &[Expr]) -> Vec<String> {
        args.iter().map(|a| self.value(a)).collect()
    }

    /// A call of a generated function.
    pub(super) fn call(&self, name: &str, needs: Needs, args: &[String]) -> String {
        let mut all: Vec<String> = Vec::new();
        if needs.builder {
            all.push("ir".into());
            if needs.at() {
                all.push("at".into());
            }
        } else {
            if needs.mode {
                all.push("mode".into());
            }
            if needs.pc {
                all.extend(["pc".into(), "pc_next".into()]);
            }
        }
        all.extend(args.iter().cloned());
        format!("{name}({})", all.join(", "))
    }

    fn helper(&mut self, id: crate::hir::ExternId, args: &[Expr], ty: &Ty) -> String {
        let args = self.arguments(args).join(", ");
        let number = id.0;
        match ty.width() {
            Some(w) => {
                let w = self.stat_u32(w);
                self.temp(&format!("rt::helper(ir, {number}, {w}, &[{args}])"))
            }
            None => {
                self.out.line(&format!("ir.helper({number}, 0, &[{args}]);"));
                "()".into()
            }
        }
    }

    // ---- choices

    fn choose_if(&mut self, c: &Expr, a: &Block, b: &Block, e: &Expr) -> String {
        let cond = self.condition(c);
        let name = self.result_name();
        let start = self.out.position();
        self.out.open(&format!("let {name} = if {cond} {{"));
        self.branch(a, &e.ty);
        self.out.reopen("} else {");
        self.branch(b, &e.ty);
        self.out.close("};");
        self.last = Some((name.clone(), start, self.out.position()));
        name
    }

    fn choose_match(&mut self, v: &Expr, arms: &[Arm], e: &Expr) -> String {
        let value = self.condition(v);
        let name = self.result_name();
        let start = self.out.position();
        self.out.open(&format!("let {name} = match {value} {{"));
        self.arms(arms, |body, block| body.branch(block, &e.ty));
        self.out.close("};");
        self.last = Some((name.clone(), start, self.out.position()));
        name
    }

    fn arms(&mut self, arms: &[Arm], mut write: impl FnMut(&mut Self, &Block)) {
        for (i, arm) in arms.iter().enumerate() {
            let pattern = self.stat.pattern(&arm.values, i + 1 == arms.len());
            let note = if pattern == "_" && !arm.values.is_empty() {
                let names: Vec<String> = arm.values.iter().map(|v| self.stat.expr(v)).collect();
                format!(" // {}", names.join(", "))
            } else {
                String::new()
            };
            self.out.open(&format!("{pattern} => {{{note}"));
            write(self, &arm.body);
            self.out.close("}");
        }
    }

    fn condition(&mut self, c: &Expr) -> String {
        if self.is_plain(c) { self.stat.expr(c) } else { self.value(c) }
    }

    pub(super) fn result_name(&mut self) -> String {
        self.temporaries += 1;
        format!("v{}", self.temporaries)
    }

    /// A branch that ends in its value.
    fn branch(&mut self, b: &Block, ty: &Ty) {
        let value = match self.block(b) {
            Some(v) => v,
            None => self.any(ty), // after a trap
        };
        self.give(&value, None);
    }

    /// An expression for its effect.
    pub(super) fn effect(&mut self, e: &Expr) {
        match &e.kind {
            ExprKind::If(c, a, b) => {
                let cond = self.condition(c);
                self.out.open(&format!("if {cond} {{"));
                self.effects(a);
                if !b.stmts.is_empty() || b.tail.is_some() {
                    self.out.reopen("} else {");
                    self.effects(b);
                }
                self.out.close("}");
            }
            ExprKind::Match(v, arms) => {
                let value = self.condition(v);
                self.out.open(&format!("match {value} {{"));
                self.arms(arms, Body::effects);
                self.out.close("}");
            }
            ExprKind::Block(b) => self.effects(b),
            ExprKind::Undef => self.out.line("ir.undefined();"),
            ExprKind::Call(id, args) if matches!(e.ty, Ty::Unit) => {
                let args = self.arguments(args);
                let name = format!("fn_{}", self.model.fns[id.0 as usize].name);
                let call = self.call(&name, self.table.func(*id), &args);
                self.out.line(&format!("{call};"));
            }
            _ if self.is_plain(e) => {}
            _ => {
                self.value(e);
            }
        }
    }
}

/// Whether a tail is there for its effect.
fn is_statement(e: &Expr) -> bool {
    matches!(e.ty, Ty::Unit)
}
