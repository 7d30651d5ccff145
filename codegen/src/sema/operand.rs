//! Operands: what they consume, for the decoder, and what they are, as a function and a text helper made from them.
//!
//! An alternative of an operand depends on decode variables only, so the choice that was made while decoding can be made
//! again from them wherever the operand is mentioned.

use super::Global;
use super::claims::Owner;
use super::lower::Lower;
use crate::model::{Operand, OperandAlt};
use crate::pattern::{self, Tail};
use crate::syntax::ast::{
    BinOp, BitPattern, Block, Constraint, ConstraintValue, Expr, ExprKind, FnDef, Format, Ident, OperandDef, PatBit,
    PatKind, ShowDef, Span, Spec, Template, TemplatePart,
};

/// The text helper of an operand.
pub(crate) fn text_name(operand: &str) -> String {
    format!("text_of_{operand}")
}

/// The specification with a function and a text helper for every operand.
pub(super) fn expand(spec: &Spec) -> Spec {
    let mut spec = spec.clone();
    for operand in &spec.operands {
        let span = operand.name.span;
        let value = |alt: &crate::syntax::ast::OperandAlt| alt.value.clone();
        let body = Block { stmts: Vec::new(), tail: Some(Box::new(chain(operand, value))), span };
        spec.fns.push(FnDef {
            doc: operand.doc.clone(),
            name: operand.name.clone(),
            params: operand.params.clone(),
            ret: Some(operand.ty.clone()),
            body,
        });
        let text = |alt: &crate::syntax::ast::OperandAlt| alt.show.clone().unwrap_or_else(|| quoted(&alt.value));
        let name = Ident { name: text_name(&operand.name.name).into(), span };
        let body = chain(operand, text);
        spec.shows.push(ShowDef { doc: String::new(), name, params: operand.params.clone(), body });
    }
    spec
}

fn at(kind: ExprKind, span: Span) -> Expr {
    Expr { kind, span, id: Default::default() }
}

/// `"{value}"`
fn quoted(value: &Expr) -> Expr {
    let parts = match value.kind {
        ExprKind::Int(_) => Vec::new(), // an operand that is not there
        _ => vec![TemplatePart::Value(value.clone(), Format::Plain)],
    };
    at(ExprKind::Str(Template { parts, span: value.span }), value.span)
}

/// The value of the first alternative that applies.
fn chain(operand: &OperandDef, value: impl Fn(&crate::syntax::ast::OperandAlt) -> Expr) -> Expr {
    let block = |e: Expr| Block { span: e.span, stmts: Vec::new(), tail: Some(Box::new(e)) };
    let mut rest = at(ExprKind::Undef, operand.name.span);
    for alt in operand.alts.iter().rev() {
        let fixed = alt.bits.iter().flat_map(constraints);
        let all = alt.when.iter().cloned().chain(fixed);
        let condition = all.reduce(|a, b| at(ExprKind::Binary(BinOp::LogAnd, Box::new(a), Box::new(b)), alt.span));
        rest = match condition {
            None => value(alt),
            Some(cond) => {
                at(ExprKind::If { cond: Box::new(cond), then: block(value(alt)), els: Some(block(rest)) }, alt.span)
            }
        };
    }
    rest
}

/// The constraints on fields of a pattern, as conditions.
fn constraints(bits: &BitPattern) -> Vec<Expr> {
    let mut found = Vec::new();
    for item in &bits.items {
        if let PatKind::Field { name, constraint: Some(c), .. } = &item.kind {
            found.push(condition(name, c));
        }
    }
    found
}

fn condition(name: &Ident, c: &Constraint) -> Expr {
    let number = |v: &ConstraintValue| match v {
        ConstraintValue::Bits(bits, span) => {
            at(ExprKind::Int(bits.iter().fold(0, |v, b| v << 1 | u128::from(*b == PatBit::One))), *span)
        }
        ConstraintValue::Name(name) => at(ExprKind::Name(name.clone()), name.span),
    };
    let set = at(ExprKind::Set(c.values.iter().map(number).collect()), c.span);
    let name = at(ExprKind::Name(name.clone()), name.span);
    let within = at(ExprKind::Binary(BinOp::In, Box::new(name), Box::new(set)), c.span);
    match c.negated {
        true => at(ExprKind::Unary(crate::syntax::ast::UnOp::Not, Box::new(within)), c.span),
        false => within,
    }
}

// ---------------------------------------------------------------- bytes

/// Operands that consume bytes.
pub(super) fn declare(g: &mut Global) {
    for operand in &g.spec.operands {
        let mut alts = Vec::new();
        for alt in &operand.alts {
            alts.extend(alternative(g, alt));
        }
        let consumes = operand.alts.iter().any(|a| a.bits.is_some());
        g.model
            .operands
            .push(Operand { name: operand.name.to_string(), alts: if consumes { alts } else { Vec::new() } });
    }
}

fn alternative(g: &mut Global, alt: &crate::syntax::ast::OperandAlt) -> Option<OperandAlt> {
    let none = BitPattern { items: Vec::new(), span: alt.span };
    let bits = alt.bits.as_ref().unwrap_or(&none);
    let flat = pattern::operand_bits(g.spec, &g.model.spaces.clone(), bits, g.diags)?;
    let mut sets = Vec::new();
    for field in &flat.fields {
        sets.push(decode_var(g, &field.name)?);
    }
    let mut tail = Vec::new();
    for item in &flat.tail {
        let Tail::Field { name, signed, width } = item else {
            g.error("unsupported", alt.span, "an operand has no operands");
            continue;
        };
        let var = decode_var(g, name)?;
        tail.push((var, super::items::constant(g, width, "the width of a field") as u32, *signed));
    }
    Some(OperandAlt { when: None, flat, sets, tail })
}

fn decode_var(g: &mut Global, name: &Ident) -> Option<usize> {
    let found = g.model.decode_var(&name.name);
    if found.is_none() {
        g.error(
            "unknown-name",
            name.span,
            format!("a field of an operand must be a decode variable; `{name}` is none"),
        );
    }
    found
}

/// Guards of alternatives.
pub(super) fn lower_guards(g: &mut Global) {
    for i in 0..g.spec.operands.len() {
        for k in 0..g.model.operands[i].alts.len() {
            let Some(when) = &g.spec.operands[i].alts[k].when else { continue };
            let when = Lower::new(g, Owner::Nothing).bool(when);
            g.model.operands[i].alts[k].when = Some(when);
        }
    }
}
