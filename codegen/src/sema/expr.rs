//! Expressions: names, operators, choices. Types are inferred inside out, with the wanted type as a hint for literals,
//! enum values and `undef`.

use super::Item;
use super::claims::Cond;
use super::lower::Lower;
use super::stmt::Impure;
use super::ty::{self, int};
use crate::diag::Diagnostic;
use crate::hir::{Arm, Block, EnumTy, Expr, ExprKind, Op, Ty, Width};
use crate::syntax::ast::{self, BinOp, Ident, Span, UnOp};
use std::rc::Rc;

impl Lower<'_, '_> {
    /// An expression; `want` guides, but the result may still have to be converted.
    pub(super) fn infer(&mut self, e: &ast::Expr, want: Option<&Ty>) -> Expr {
        let value = self.raw(e, want);
        match (&value.ty, want) {
            (Ty::Place(_), Some(Ty::Place(_))) => value,
            // A place that is not asked for as one is read.
            (Ty::Place(w), _) => {
                let ty = Ty::Bits(w.clone());
                Expr { span: value.span, kind: ExprKind::Op(Op::PlaceGet, vec![value]), ty }
            }
            _ => value,
        }
    }

    /// The same; a place stays one.
    pub(super) fn raw(&mut self, e: &ast::Expr, want: Option<&Ty>) -> Expr {
        let span = e.span;
        match &e.kind {
            ast::ExprKind::Int(v) => int(*v as i128, span),
            ast::ExprKind::Bool(b) => Expr { kind: ExprKind::Bool(*b), ty: Ty::Bool, span },
            ast::ExprKind::Str(t) => {
                let template = self.template(t);
                Expr { kind: ExprKind::Template(template), ty: Ty::Str, span }
            }
            ast::ExprKind::Undef => Expr { kind: ExprKind::Undef, ty: Ty::Undef, span },
            ast::ExprKind::Name(name) => self.name(name, want),
            ast::ExprKind::Member(base, value) => self.member(base, value),
            ast::ExprKind::Unary(op, a) => self.unary(*op, a, want, span),
            ast::ExprKind::Binary(op, a, b) => self.binary(*op, a, b, want, span),
            ast::ExprKind::Call { callee, args, .. } => self.call(callee, args, want, span),
            ast::ExprKind::Index(base, args) => self.index(base, args, span),
            ast::ExprKind::Slice { base, lo, width } => self.slice(base, lo, width, span),
            ast::ExprKind::If { cond, then, els } => self.if_expr(cond, then, els.as_ref(), want, span),
            ast::ExprKind::Match { value, arms } => self.match_expr(value, arms, want, span),
            ast::ExprKind::Block(b) => {
                let block = self.block(b, want);
                let ty = block.tail.as_ref().map_or(Ty::Unit, |t| t.ty.clone());
                Expr { kind: ExprKind::Block(block), ty, span }
            }
            ast::ExprKind::List(items) => self.list(items, want, span),
            ast::ExprKind::Tuple(items) => {
                let wants: Vec<Option<Ty>> = match want {
                    Some(Ty::Tuple(t)) if t.len() == items.len() => t.iter().cloned().map(Some).collect(),
                    _ => vec![None; items.len()],
                };
                let items: Vec<Expr> = items.iter().zip(wants).map(|(i, w)| self.expr(i, w.as_ref())).collect();
                let ty = Ty::Tuple(items.iter().map(|i| i.ty.clone()).collect());
                Expr { kind: ExprKind::Tuple(items), ty, span }
            }
            ast::ExprKind::Set(_) => self.fail("type", span, "a set can only stand on the right of `in`"),
            ast::ExprKind::Range(..) => self.fail("type", span, "a range can only stand in a list, a set or an index"),
            ast::ExprKind::Closure(..) => self.fail("type", span, "only some built-in functions take a closure"),
        }
    }

    // ---- names

    fn name(&mut self, name: &Ident, want: Option<&Ty>) -> Expr {
        let span = name.span;
        let value = match want {
            Some(Ty::Enum(e)) => self.g.enum_value(*e, &name.name).map(|v| (*e, v)),
            _ => None,
        };
        if let Some(id) = self.lookup(&name.name) {
            // A local of another type does not hide an enum value where that enum is wanted.
            match (&self.locals.get(id).ty, value) {
                (Ty::Enum(have), Some((e, _))) if *have == e => return self.var(id, span),
                (_, None) => return self.var(id, span),
                _ => {}
            }
        }
        if let Some((e, v)) = value {
            return Expr { kind: ExprKind::EnumValue(v), ty: Ty::Enum(e), span };
        }
        match &*name.name {
            "pc" => return Expr { kind: ExprKind::Pc, ty: Ty::Int, span },
            "pc_next" => return Expr { kind: ExprKind::PcNext, ty: Ty::Int, span },
            _ => {}
        }
        match self.g.names.get(&name.name).cloned() {
            Some(Item::Const(e)) => Expr { span, ..(*e).clone() },
            Some(Item::Reg(id)) => {
                let reg = self.g.model.reg(id);
                if reg.count.is_some() {
                    return self.fail("type", span, format!("`{name}` is an array of registers: write `{name}[n]`"));
                }
                let ty = ty::bits(reg.width, span);
                Expr { kind: ExprKind::Reg(id, None), ty, span }
            }
            Some(Item::Pc) => self.fail("type", span, format!("`{name}` is read as `pc` and written by jumps")),
            Some(Item::Context(id)) => Expr { kind: ExprKind::Context(id), ty: Ty::Int, span },
            Some(Item::View(_)) => self.view_get(name, &[], span),
            Some(Item::Fn(_)) if self.g.spec.operands.iter().any(|o| o.name.name == name.name) => {
                self.call(name, &[], want, span)
            }
            Some(Item::Enum(_) | Item::Fn(_) | Item::Extern(_) | Item::Show(_)) => {
                self.fail("type", span, format!("`{name}` is not a value"))
            }
            None => self.lone_enum_value(name),
        }
    }

    /// An enum value where no enum is expected: fine if only one enum has it.
    fn lone_enum_value(&mut self, name: &Ident) -> Expr {
        let mut found = Vec::new();
        for (i, e) in self.g.model.enums.iter().enumerate() {
            if let Some(v) = e.values.iter().find(|v| v.name == *name.name) {
                found.push((EnumTy::User(crate::hir::EnumId(i as u32)), v.value));
            }
        }
        match found[..] {
            [(e, v)] => Expr { kind: ExprKind::EnumValue(v), ty: Ty::Enum(e), span: name.span },
            [] => self.unknown("name", name),
            _ => {
                let names: Vec<String> = found.iter().map(|(e, _)| self.g.enum_name(*e)).collect();
                let message = format!("`{name}` is a value of several enums: {}", names.join(", "));
                let d = Diagnostic::error("ambiguous", name.span, message).note(format!("write `{}.{name}`", names[0]));
                self.g.diags.push(d);
                ty::error(name.span)
            }
        }
    }

    /// `Enum.value`
    fn member(&mut self, base: &ast::Expr, value: &Ident) -> Expr {
        if let ast::ExprKind::Name(n) = &base.kind
            && let Some(e) = self.enum_ty(&n.name)
        {
            return match self.g.enum_value(e, &value.name) {
                Some(v) => Expr { kind: ExprKind::EnumValue(v), ty: Ty::Enum(e), span: value.span },
                None => self.fail("unknown-name", value.span, format!("`{n}` has no value `{value}`")),
            };
        }
        self.fail("type", base.span, format!("only an enum has members; `{value}` could be a call: `.{value}()`"))
    }

    fn list(&mut self, items: &[ast::Expr], want: Option<&Ty>, span: Span) -> Expr {
        let element = match want {
            Some(Ty::List(t)) => Some((**t).clone()),
            _ => None,
        };
        let items: Vec<Expr> = items.iter().map(|i| self.expr(i, element.as_ref())).collect();
        let ty = items.first().map_or(Ty::Int, |i| i.ty.clone());
        Expr { kind: ExprKind::List(items), ty: Ty::List(Box::new(ty)), span }
    }

    // ---- operators

    fn unary(&mut self, op: UnOp, a: &ast::Expr, want: Option<&Ty>, span: Span) -> Expr {
        let a = self.infer(a, want);
        match (op, &a.ty) {
            (_, Ty::Error) => a,
            (UnOp::Neg, Ty::Int) => match ty::literal(&a) {
                Some(v) => int(-v, span),
                None => Expr { kind: ExprKind::Unary(op, Box::new(a)), ty: Ty::Int, span },
            },
            (UnOp::Not | UnOp::Inv, Ty::Int) => Expr { kind: ExprKind::Unary(op, Box::new(a)), ty: Ty::Int, span },
            (UnOp::Not, Ty::Bool) => Expr { kind: ExprKind::Unary(op, Box::new(a)), ty: Ty::Bool, span },
            (UnOp::Neg, Ty::Bits(_) | Ty::Lanes { .. }) => self.op(Op::Neg, a.ty.clone(), vec![a], span),
            (UnOp::Inv, Ty::Bits(_) | Ty::Lanes { .. }) => self.op(Op::Not, a.ty.clone(), vec![a], span),
            (UnOp::Not, Ty::Bits(w)) => {
                let one: Width = ty::width(1, span);
                self.claim_equal(w.clone(), one, span);
                self.op(Op::Not, a.ty.clone(), vec![a], span)
            }
            (_, t) => {
                let t = self.g.show_ty(t);
                self.fail("type", span, format!("this operator does not apply to {t}"))
            }
        }
    }

    fn binary(&mut self, op: BinOp, a: &ast::Expr, b: &ast::Expr, want: Option<&Ty>, span: Span) -> Expr {
        match op {
            BinOp::In => return self.membership(a, b, span),
            BinOp::LogAnd | BinOp::LogOr => {
                let (a, b) = (self.bool(a), self.bool(b));
                return Expr { kind: ExprKind::Binary(op, Box::new(a), Box::new(b)), ty: Ty::Bool, span };
            }
            _ => {}
        }
        let comparison = is_comparison(op);
        let hint = if comparison || op == BinOp::Concat { None } else { want.filter(|t| !t.is_static()) };
        let (a, b) = self.operands(a, b, hint, op);
        if matches!(a.ty, Ty::Error) || matches!(b.ty, Ty::Error) {
            return ty::error(span);
        }
        if a.ty.is_static() && b.ty.is_static() {
            return self.static_binary(op, a, b, span);
        }
        self.dynamic_binary(op, a, b, span)
    }

    /// Both operands; one that cannot have a type of its own follows the other.
    fn operands(&mut self, a: &ast::Expr, b: &ast::Expr, hint: Option<&Ty>, op: BinOp) -> (Expr, Expr) {
        let shift = matches!(op, BinOp::Shl | BinOp::Shr | BinOp::Sar);
        if needs_hint(a) && !needs_hint(b) && !shift {
            let b = self.infer(b, None);
            let ty = if b.ty.is_static() { hint.cloned().or(Some(b.ty.clone())) } else { Some(b.ty.clone()) };
            return (self.infer(a, ty.as_ref()), b);
        }
        let a_is_name = matches!(a.kind, ast::ExprKind::Name(_));
        let a = self.infer(a, if needs_hint(a) { hint } else { None });
        let follow = (!shift && op != BinOp::Concat).then(|| a.ty.clone());
        let mut b_value = self.infer(b, follow.as_ref().filter(|t| !matches!(t, Ty::Int | Ty::Bool)));
        // `add == op`: the left side was read without an expectation.
        if a_is_name && matches!(a.ty, Ty::Error) {
            b_value = ty::error(b.span);
        }
        (a, b_value)
    }

    fn static_binary(&mut self, op: BinOp, a: Expr, b: Expr, span: Span) -> Expr {
        let ok = match (&a.ty, &b.ty) {
            (Ty::Int, Ty::Int) => !matches!(op, BinOp::Concat | BinOp::Sar) && !is_signed_op(op),
            (Ty::Bool, Ty::Bool) => matches!(op, BinOp::And | BinOp::Or | BinOp::Xor | BinOp::Eq | BinOp::Ne),
            (Ty::Enum(x), Ty::Enum(y)) => x == y && matches!(op, BinOp::Eq | BinOp::Ne),
            _ => false,
        };
        if !ok {
            if is_signed_op(op) && matches!((&a.ty, &b.ty), (Ty::Int, Ty::Int)) {
                return self.fail("signedness", span, "this operator is for bits; translate-time integers have a sign of their own: write it without `s` or `u`");
            }
            let (x, y) = (self.g.show_ty(&a.ty), self.g.show_ty(&b.ty));
            return self.fail("type", span, format!("this operator does not apply to {x} and {y}"));
        }
        if is_comparison(op) {
            return Expr { kind: ExprKind::Binary(op, Box::new(a), Box::new(b)), ty: Ty::Bool, span };
        }
        if matches!(a.ty, Ty::Bool) {
            return Expr { kind: ExprKind::Binary(op, Box::new(a), Box::new(b)), ty: Ty::Bool, span };
        }
        ty::binary(op, a, b, span)
    }

    /// `a in {x, y, lo..hi}`
    fn membership(&mut self, a: &ast::Expr, b: &ast::Expr, span: Span) -> Expr {
        let a = self.infer(a, None);
        let ast::ExprKind::Set(items) = &b.kind else {
            return self.fail("type", b.span, "`in` needs a set: `{a, b}`");
        };
        if !a.ty.is_static() {
            return self.coerce(a, &Ty::Int);
        }
        let ty = a.ty.clone();
        let set = items
            .iter()
            .map(|i| match &i.kind {
                ast::ExprKind::Range(lo, hi) => (self.expr(lo, Some(&ty)), Some(self.expr(hi, Some(&ty)))),
                _ => (self.expr(i, Some(&ty)), None),
            })
            .collect();
        Expr { kind: ExprKind::In(Box::new(a), set), ty: Ty::Bool, span }
    }

    // ---- choices

    fn if_expr(
        &mut self,
        cond: &ast::Expr,
        then: &ast::Block,
        els: Option<&ast::Block>,
        want: Option<&Ty>,
        span: Span,
    ) -> Expr {
        let cond = self.infer(cond, Some(&Ty::Bool));
        match &cond.ty {
            Ty::Bool => {}
            Ty::Bits(w) => {
                self.claim_equal(w.clone(), ty::width(1, cond.span), cond.span);
                return self.select(cond, then, els, want, span);
            }
            Ty::Error => return ty::error(span),
            Ty::Int => return self.fail("type", cond.span, "this is an int; compare it: `x == 1`"),
            t => {
                let t = self.g.show_ty(t);
                return self.fail("type", cond.span, format!("a condition is a bool or bits(1), not {t}"));
            }
        }
        let known = Rc::new(cond.clone());
        let mut branches = Vec::new();
        for (block, holds) in [(Some(then), true), (els, false)] {
            self.conds.push(Cond { expr: known.clone(), holds });
            branches.push(block.map(|b| self.block(b, want)).unwrap_or_default());
            self.conds.pop();
        }
        let conds = [true, false].map(|holds| Cond { expr: known.clone(), holds });
        let ty = self.unify(&mut branches, &conds, want, span);
        let els = branches.pop().unwrap_or_default();
        let then = branches.pop().unwrap_or_default();
        Expr { kind: ExprKind::If(Box::new(cond), then, els), ty, span }
    }

    /// A run-time choice: both values are computed, one is taken.
    fn select(
        &mut self,
        cond: Expr,
        then: &ast::Block,
        els: Option<&ast::Block>,
        want: Option<&Ty>,
        span: Span,
    ) -> Expr {
        let Some(els) = els else {
            let d = Diagnostic::error(
                "binding-time",
                span,
                "an `if` on a run-time condition must choose between two values",
            )
            .also(cond.span, "known only when running")
            .note("effects cannot be conditional at run time: select the value to write, or use `branch` or `trap_if`");
            self.g.diags.push(d);
            return ty::error(span);
        };
        let wanted = want.filter(|t| t.is_dynamic());
        let mut branches = vec![self.block(then, wanted), self.block(els, wanted)];
        let mut found = Vec::new();
        branches.iter().for_each(|b| super::stmt::impure(b, &mut found));
        for i in found {
            match i {
                Impure::Extern(id, _) if self.g.model.externs[id.0 as usize].pure => {}
                Impure::Effect(at) | Impure::Extern(_, at) => {
                    let message = "an effect under a condition that is known only when running";
                    let d = Diagnostic::error("effect", at, message)
                        .also(cond.span, "this condition")
                        .note("both values of a run-time `if` are computed: move the effect out and select the value");
                    self.g.diags.push(d);
                }
                Impure::Call(owner, at) => self.g.conditional_calls.push((owner, at, cond.span)),
            }
        }
        let ty = self.unify(&mut branches, &[], wanted, span);
        if !ty.is_dynamic() {
            if !matches!(ty, Ty::Error) {
                self.g.error(
                    "width",
                    span,
                    "how many bits these values have is not known here: write `bits(n, value)`",
                );
            }
            return ty::error(span);
        }
        let mut args = vec![cond];
        args.extend(branches.into_iter().map(|b| block_expr(b, span)));
        self.op(Op::Select, ty, args, span)
    }

    fn match_expr(&mut self, value: &ast::Expr, arms: &[ast::Arm], want: Option<&Ty>, span: Span) -> Expr {
        let value = self.infer(value, None);
        match &value.ty {
            Ty::Int | Ty::Bool | Ty::Enum(_) => {}
            Ty::Error => return ty::error(span),
            _ => return self.coerce(value, &Ty::Int),
        }
        let ty = value.ty.clone();
        let mut seen: Vec<Expr> = Vec::new();
        let (mut all_values, mut branches, mut conds) = (Vec::new(), Vec::new(), Vec::new());
        let mut complete = false;
        for arm in arms {
            let wild = arm.pats.iter().any(Option::is_none);
            if complete {
                self.g.error("unreachable", arm.span, "no value is left for this arm");
                break;
            }
            let values: Vec<Expr> = arm.pats.iter().flatten().map(|p| self.expr(p, Some(&ty))).collect();
            let cond = match wild {
                true => Cond { expr: Rc::new(one_of(&value, &seen, span)), holds: false },
                false => Cond { expr: Rc::new(one_of(&value, &values, span)), holds: true },
            };
            seen.extend(values.iter().cloned());
            complete = wild || self.covers(&ty, &seen);
            self.conds.push(cond.clone());
            branches.push(self.block(&arm.body, want));
            self.conds.pop();
            conds.push(cond);
            all_values.push(if wild { Vec::new() } else { values });
        }
        if !complete {
            let missing = self.missing(&ty, &seen);
            self.g.error("incomplete", span, format!("this `match` says nothing about {missing}"));
        }
        let ty = self.unify(&mut branches, &conds, want, span);
        let arms = all_values.into_iter().zip(branches).map(|(values, body)| Arm { values, body }).collect();
        Expr { kind: ExprKind::Match(Box::new(value), arms), ty, span }
    }

    /// Whether the values are all that the type has.
    fn covers(&self, ty: &Ty, seen: &[Expr]) -> bool {
        let has = |v: i128| seen.iter().any(|s| matches!(s.kind, ExprKind::EnumValue(x) | ExprKind::Int(x) if x == v));
        match ty {
            Ty::Bool => {
                [true, false].iter().all(|b| seen.iter().any(|s| matches!(s.kind, ExprKind::Bool(x) if x == *b)))
            }
            Ty::Enum(EnumTy::User(id)) => self.g.model.enums[id.0 as usize].values.iter().all(|v| has(v.value)),
            Ty::Enum(EnumTy::Builtin(b)) => (0..ty::builtin_values(*b).len()).all(|i| has(i as i128)),
            _ => false,
        }
    }

    fn missing(&self, ty: &Ty, seen: &[Expr]) -> String {
        let has = |v: i128| seen.iter().any(|s| matches!(s.kind, ExprKind::EnumValue(x) if x == v));
        match ty {
            Ty::Enum(EnumTy::User(id)) => {
                let values = &self.g.model.enums[id.0 as usize].values;
                let names: Vec<String> =
                    values.iter().filter(|v| !has(v.value)).map(|v| format!("`{}`", v.name)).collect();
                names.join(", ")
            }
            _ => "other values: add `_ => ..`".into(),
        }
    }

    /// One type for the values of all branches, converting where needed. Widths that differ make a width that depends on
    /// the condition.
    fn unify(&mut self, branches: &mut [Block], conds: &[Cond], want: Option<&Ty>, span: Span) -> Ty {
        if let Some(want) = want {
            for (i, b) in branches.iter_mut().enumerate() {
                self.conds.extend(conds.get(i).cloned());
                self.coerce_tail(b, want, span);
                if conds.get(i).is_some() {
                    self.conds.pop();
                }
            }
            return want.clone();
        }
        let typed = |b: &Block| b.tail.as_ref().map(|t| t.ty.clone());
        if branches.iter().any(|b| typed(b).is_none_or(|t| matches!(t, Ty::Unit))) {
            return Ty::Unit;
        }
        let types: Vec<Ty> = branches.iter().filter_map(typed).collect();
        if types.iter().any(|t| matches!(t, Ty::Error)) {
            return Ty::Error;
        }
        let lead = types.iter().find(|t| t.is_dynamic()).or_else(|| types.iter().find(|t| !matches!(t, Ty::Undef)));
        let Some(lead) = lead.cloned() else { return Ty::Undef };
        let goal = match &lead {
            Ty::Bits(_) if conds.len() == branches.len() => self.joined_width(&types, conds, span),
            _ => lead,
        };
        for (i, b) in branches.iter_mut().enumerate() {
            // A branch keeps its own width; only ints take the common one.
            let own = types[i].clone();
            let to = if matches!(own, Ty::Bits(_)) && conds.len() == types.len() { own } else { goal.clone() };
            self.conds.extend(conds.get(i).cloned());
            self.coerce_tail(b, &to, span);
            if conds.get(i).is_some() {
                self.conds.pop();
            }
        }
        goal
    }

    /// `bits(w)` where `w` is that of the branch taken.
    fn joined_width(&mut self, types: &[Ty], conds: &[Cond], span: Span) -> Ty {
        let dynamic: Vec<(&Width, &Cond)> =
            types.iter().zip(conds).filter_map(|(t, c)| t.width().map(|w| (w, c))).collect();
        let Some(((last, _), rest)) = dynamic.split_last() else { return Ty::Error };
        let mut width = Expr::clone(last);
        for (w, cond) in rest.iter().rev() {
            if ty::same(w, &width) {
                continue;
            }
            let then = Block { stmts: Vec::new(), tail: Some(Box::new(Expr::clone(w))) };
            let els = Block { stmts: Vec::new(), tail: Some(Box::new(width)) };
            let (then, els) = if cond.holds { (then, els) } else { (els, then) };
            let kind = ExprKind::If(Box::new((*cond.expr).clone()), then, els);
            width = Expr { kind, ty: Ty::Int, span };
        }
        Ty::Bits(Rc::new(width))
    }

    fn coerce_tail(&mut self, b: &mut Block, want: &Ty, span: Span) {
        match b.tail.take() {
            Some(t) => b.tail = Some(Box::new(self.coerce(*t, want))),
            None if matches!(want, Ty::Unit | Ty::Error) => {}
            None if self.ends(b) => {}
            None => self.g.error("type", span, "every branch must give a value"),
        }
    }

    /// Whether a block without a value cannot be left at its end, so that it needs none.
    fn ends(&self, b: &Block) -> bool {
        b.stmts.iter().any(|s| match &s.kind {
            crate::hir::StmtKind::Expr(e) => matches!(e.kind, ExprKind::Op(Op::Undefined | Op::Trap, _)),
            _ => false,
        })
    }

    /// A node for an operation.
    pub(super) fn op(&mut self, op: Op, ty: Ty, args: Vec<Expr>, span: Span) -> Expr {
        if let Some(first) = args.first() {
            let lanes = matches!(first.ty, Ty::Lanes { .. });
            if first.ty.is_dynamic() && !crate::emit::op_exists(op, lanes) {
                let ty = self.g.show_ty(&first.ty);
                return self.fail("type", span, format!("this operation does not exist for {ty}"));
            }
        }
        Expr { kind: ExprKind::Op(op, args), ty, span }
    }
}

/// A block as an expression.
fn block_expr(b: Block, span: Span) -> Expr {
    match (b.stmts.is_empty(), b.tail) {
        (true, Some(t)) => *t,
        (_, tail) => {
            let ty = tail.as_ref().map_or(Ty::Unit, |t| t.ty.clone());
            Expr { kind: ExprKind::Block(Block { stmts: b.stmts, tail }), ty, span }
        }
    }
}

/// `value in {values}`
fn one_of(value: &Expr, values: &[Expr], span: Span) -> Expr {
    let set = values.iter().map(|v| (v.clone(), None)).collect();
    Expr { kind: ExprKind::In(Box::new(value.clone()), set), ty: Ty::Bool, span }
}

/// Expressions whose type comes from their surroundings.
fn needs_hint(e: &ast::Expr) -> bool {
    use ast::ExprKind as K;
    matches!(e.kind, K::If { .. } | K::Match { .. } | K::Undef | K::Int(_) | K::Block(_))
}

fn is_comparison(op: BinOp) -> bool {
    use BinOp as B;
    matches!(op, B::Eq | B::Ne | B::Lt | B::Le | B::Gt | B::Ge) || is_signed_comparison(op)
}

fn is_signed_comparison(op: BinOp) -> bool {
    use BinOp as B;
    matches!(op, B::LtS | B::LeS | B::GtS | B::GeS | B::LtU | B::LeU | B::GtU | B::GeU)
}

fn is_signed_op(op: BinOp) -> bool {
    is_signed_comparison(op) || matches!(op, BinOp::DivS | BinOp::DivU | BinOp::RemS | BinOp::RemU)
}
