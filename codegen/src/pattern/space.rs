//! Encoding spaces: `space rv32 { unit = 32; select = low_bits(2) == 3; }`.

use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::syntax::ast::{BinOp, Expr, ExprKind, Prop, PropValue, Section, Span, Spec};

/// A set of encodings of one length, decoded together.
#[derive(Clone, Debug)]
pub struct Space {
    /// Name.
    pub name: String,
    /// Bits of an instruction.
    pub unit: u32,
    /// Length class; `None` takes every word.
    pub select: Option<Select>,
    /// Its name in the source.
    pub span: Span,
}

/// `select = low_bits(bits) == value`: which instructions are of this space, by the low bits of the first unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Select {
    /// How many bits.
    pub bits: u32,
    /// Compared with.
    pub value: u128,
    /// `!=`
    pub negated: bool,
}

impl Select {
    /// Whether a word is of the space.
    pub fn holds(&self, word: u128) -> bool {
        (word & super::ones(self.bits) == self.value) != self.negated
    }
}

/// Properties a space may have.
const KEYS: [&str; 8] = ["unit", "units", "select", "active", "predicate", "after", "check", "requires"];

/// The spaces of a specification, in source order; encodings without a space are of the first.
pub fn spaces(spec: &Spec, diagnostics: &mut Diagnostics) -> Vec<Space> {
    let sections = spec.sections.iter().filter(|s| &*s.kind.name == "space");
    sections.filter_map(|s| space(s, diagnostics)).collect()
}

fn space(section: &Section, diagnostics: &mut Diagnostics) -> Option<Space> {
    let Some(name) = &section.name else {
        diagnostics.push(Diagnostic::error("space", section.kind.span, "a space needs a name"));
        return None;
    };
    let mut space = Space { name: name.to_string(), unit: 0, select: None, span: name.span };
    let mut failed = false;
    for prop in &section.props.items {
        let result = property(prop, &mut space);
        failed |= result.is_err();
        result.unwrap_or_else(|d| diagnostics.push(*d));
    }
    if failed {
        return None;
    }
    if space.unit == 0 {
        let message = format!("space `{name}` needs `unit`: the bits of an instruction");
        diagnostics.push(Diagnostic::error("space", name.span, message));
        return None;
    }
    Some(space)
}

fn property(prop: &Prop, space: &mut Space) -> Result<(), Box<Diagnostic>> {
    let key = &*prop.key.name;
    let unsupported = |what: &str| {
        let message = format!("`{key}`: {what} are not supported yet");
        Err(Box::new(Diagnostic::error("unsupported", prop.key.span, message)))
    };
    let expr = match &prop.value {
        PropValue::Expr(e) => Some(e),
        PropValue::Block(..) => None,
    };
    match key {
        "unit" => match expr.and_then(int) {
            Some(unit @ (16 | 32)) => space.unit = unit as u32,
            Some(8) => {
                let message = format!("byte-wise space `{}` (`unit = 8`) is not supported yet", space.name);
                return Err(Box::new(Diagnostic::error("unsupported", prop.key.span, message)));
            }
            _ => return Err(Box::new(Diagnostic::error("space", prop.key.span, "`unit` is 16 or 32"))),
        },
        "units" => return unsupported("instructions of several units"),
        "active" => return unsupported("spaces chosen by a context"),
        "predicate" | "after" => return unsupported("predicated spaces"),
        "check" => return unsupported("checks of a space"),
        "requires" => return unsupported("gated spaces"),
        "select" => match expr.and_then(select) {
            Some(select) => space.select = Some(select),
            None => {
                let message = "only `low_bits(n) == value` and `low_bits(n) != value` are supported yet";
                return Err(Box::new(Diagnostic::error("unsupported", prop.key.span, message)));
            }
        },
        _ => {
            let message = format!("unknown key `{key}` in space `{}`", space.name);
            let d = Diagnostic::error("key", prop.key.span, message);
            return Err(Box::new(match did_you_mean(key, KEYS) {
                Some(known) => d.note(format!("did you mean `{known}`?")),
                None => d,
            }));
        }
    }
    Ok(())
}

fn int(e: &Expr) -> Option<u128> {
    match e.kind {
        ExprKind::Int(v) => Some(v),
        _ => None,
    }
}

/// `low_bits(n) == value` or `!=`.
fn select(e: &Expr) -> Option<Select> {
    let ExprKind::Binary(op @ (BinOp::Eq | BinOp::Ne), left, right) = &e.kind else { return None };
    let ExprKind::Call { callee, args, .. } = &left.kind else { return None };
    let [bits] = &args[..] else { return None };
    let (bits, value) = (int(&bits.value)?, int(right)?);
    let ok = &*callee.name == "low_bits" && bits <= 16;
    ok.then_some(Select { bits: bits as u32, value, negated: *op == BinOp::Ne })
}
