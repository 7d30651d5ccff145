//! Encoding spaces: `space rv32 { unit = 32; select = first & 3 == 3; }`.

use super::ones;
use super::words::subsets;
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::syntax::ast::{BinOp, Expr, ExprKind, Ident, Prop, PropValue, Props, Section, Span, Spec};

/// A set of encodings of one length, or of sequences of bytes, decoded together.
#[derive(Clone, Debug)]
pub struct Space {
    /// Name.
    pub name: String,
    /// Bits of a unit, which is in the byte order of code; 8 if instructions are sequences of bytes.
    pub unit: u32,
    /// Units of an instruction, the first of which has the highest bits of the word.
    pub units: u32,
    /// Length class; `None` takes every word.
    pub select: Option<Select>,
    /// The contexts that must have these values; in byte-wise spaces, the decode variables.
    pub active: Vec<(Ident, u32)>,
    /// Condition under which its instructions happen, over the names of an encoding.
    pub predicate: Option<Expr>,
    /// Names for encodings that do not bind them.
    pub defaults: Vec<(Ident, Expr)>,
    /// Contexts and their values after an instruction that does not assign them.
    pub after: Vec<(Ident, Expr)>,
    /// Its author says that every word has an encoding: words without one are warned of.
    pub complete: bool,
    /// What instructions of the space must satisfy besides their own guards (byte-wise spaces).
    pub check: Option<Expr>,
    /// Its name in the source.
    pub span: Span,
}

impl Space {
    /// Bits of an instruction.
    pub fn width(&self) -> u32 {
        self.unit * self.units
    }

    /// Bytes of an instruction.
    pub fn bytes(&self) -> u32 {
        self.width() / 8
    }

    /// Whether a word is of the space.
    pub fn selects(&self, word: u128) -> bool {
        self.select.is_none_or(|s| s.holds(word >> (self.unit * (self.units - 1))))
    }

    /// Bits of the word that `select` looks at.
    pub fn select_bits(&self) -> u128 {
        let bits = |s: Select| (s.mask & ones(self.unit) >> s.shift) << s.shift;
        self.select.map_or(0, |s| bits(s) << (self.unit * (self.units - 1)))
    }

    /// Bits and their value, if `select` says just that.
    pub fn fixed(&self) -> Option<(u128, u128)> {
        let select = self.select.filter(|s| s.low == s.high && !s.negated)?;
        Some((self.select_bits(), select.low << select.shift << (self.unit * (self.units - 1))))
    }

    /// Words of other spaces, as bits and their value; those of more than 8 bits are left out.
    pub fn excluded(&self) -> Vec<(u128, u128)> {
        let bits = self.select_bits();
        if bits.count_ones() > 8 {
            return Vec::new();
        }
        subsets(bits).filter(|word| !self.selects(*word)).map(|word| (bits, word)).collect()
    }

    /// The word of an instruction's bytes in memory order.
    pub fn word(&self, code: &[u8], big_endian: bool) -> Option<u32> {
        let code = code.get(..self.bytes() as usize)?;
        let bytes = |word: u32, byte: &u8| word << 8 | u32::from(*byte);
        let unit = |word: u32, unit: &[u8]| match big_endian {
            true => unit.iter().fold(word, bytes),
            false => unit.iter().rev().fold(word, bytes),
        };
        Some(code.chunks(self.unit as usize / 8).fold(0, unit))
    }
}

/// `select = first >> shift & mask in low..high`: which instructions are of this space, by the first unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Select {
    /// Right shift.
    pub shift: u32,
    /// Bits looked at after the shift.
    pub mask: u128,
    /// Smallest value.
    pub low: u128,
    /// Largest value.
    pub high: u128,
    /// The value is outside of these.
    pub negated: bool,
}

impl Select {
    /// Whether a unit is the first of an instruction of the space.
    pub fn holds(&self, first: u128) -> bool {
        (self.low..=self.high).contains(&(first >> self.shift & self.mask)) != self.negated
    }
}

/// Properties a space may have.
const KEYS: [&str; 10] =
    ["unit", "units", "select", "active", "predicate", "defaults", "after", "check", "complete", "requires"];

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
    let mut space = Space {
        name: name.to_string(),
        unit: 0,
        units: 1,
        select: None,
        active: Vec::new(),
        predicate: None,
        defaults: Vec::new(),
        after: Vec::new(),
        complete: false,
        check: None,
        span: name.span,
    };
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
    if space.width() > 32 {
        let message = format!("space `{name}`: instructions of more than 32 bits are not supported yet");
        diagnostics.push(Diagnostic::error("unsupported", name.span, message));
        return None;
    }
    if let (Some(e), false) = (&space.check, space.unit == 8) {
        let message = "`check` is for byte-wise spaces (`unit = 8`)";
        diagnostics.push(Diagnostic::error("unsupported", e.span, message));
        return None;
    }
    let words = space.units > 1 || space.select.is_some() || space.predicate.is_some() || !space.after.is_empty();
    if space.unit == 8 && words {
        let message = format!(
            "space `{name}`: `units`, `select`, `predicate` and `after` of byte-wise spaces are not supported yet"
        );
        diagnostics.push(Diagnostic::error("unsupported", name.span, message));
        return None;
    }
    Some(space)
}

type Result<T> = std::result::Result<T, Box<Diagnostic>>;

fn property(prop: &Prop, space: &mut Space) -> Result<()> {
    let key = &*prop.key.name;
    let unsupported = |what: &str| {
        let message = format!("`{key}`: {what} are not supported yet");
        Err(Box::new(Diagnostic::error("unsupported", prop.key.span, message)))
    };
    match key {
        "unit" => match expr(prop).and_then(int) {
            Some(unit @ (16 | 32)) => space.unit = unit as u32,
            Some(8) => space.unit = 8,
            _ => return Err(wrong(prop, "`unit` is 8, 16 or 32")),
        },
        "units" => match expr(prop).and_then(int) {
            Some(units @ 1..=8) => space.units = units as u32,
            _ => return Err(wrong(prop, "`units` is the number of units of an instruction")),
        },
        "select" => match expr(prop).and_then(select) {
            Some(select) => space.select = Some(select),
            None => {
                return Err(wrong(
                    prop,
                    "`select` compares bits of the first unit: `first & 3 == 3`, `first >> 11 < 29`",
                ));
            }
        },
        "active" => match expr(prop).and_then(active) {
            Some(contexts) => space.active = contexts,
            None => return Err(wrong(prop, "`active` compares contexts with numbers: `thumb == 1`")),
        },
        "predicate" => match expr(prop) {
            Some(e) => space.predicate = Some(e.clone()),
            None => return Err(wrong(prop, "`predicate` is a condition, 1 bit")),
        },
        "defaults" => space.defaults = assignments(prop)?,
        "after" => space.after = assignments(prop)?,
        "complete" => match expr(prop).map(|e| &e.kind) {
            Some(ExprKind::Bool(complete)) => space.complete = *complete,
            _ => return Err(wrong(prop, "`complete` is `true` or `false`")),
        },
        "check" => space.check = expr(prop).cloned(),
        "requires" => return unsupported("gated spaces"),
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

fn wrong(prop: &Prop, message: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error("space", prop.key.span, message))
}

fn expr(prop: &Prop) -> Option<&Expr> {
    match &prop.value {
        PropValue::Expr(e) => Some(e),
        PropValue::Block(..) => None,
    }
}

/// `{ name = value; .. }`
fn assignments(prop: &Prop) -> Result<Vec<(Ident, Expr)>> {
    let PropValue::Block(None, Props { items, .. }) = &prop.value else {
        return Err(wrong(prop, "values are assigned to names: `{ name = value; }`"));
    };
    let one = |p: &Prop| match &p.value {
        PropValue::Expr(e) => Ok((p.key.clone(), e.clone())),
        PropValue::Block(..) => Err(wrong(p, "a value is needed")),
    };
    items.iter().map(one).collect()
}

fn int(e: &Expr) -> Option<u128> {
    match e.kind {
        ExprKind::Int(v) => Some(v),
        _ => None,
    }
}

/// A comparison of bits of `first` with a number.
fn select(e: &Expr) -> Option<Select> {
    let ExprKind::Binary(op, left, right) = &e.kind else { return None };
    let (shift, mask) = part(left)?;
    let value = int(right)?;
    let (low, high, negated) = match op {
        BinOp::Eq => (value, value, false),
        BinOp::Ne => (value, value, true),
        BinOp::Lt => (0, value.checked_sub(1)?, false),
        BinOp::Le => (0, value, false),
        BinOp::Gt => (0, value, true),
        BinOp::Ge => (0, value.checked_sub(1)?, true),
        _ => return None,
    };
    Some(Select { shift, mask, low, high, negated })
}

/// `first`, `first >> n`, `first & n`: shift and mask.
fn part(e: &Expr) -> Option<(u32, u128)> {
    match &e.kind {
        ExprKind::Name(n) if &*n.name == "first" => Some((0, ones(32))),
        ExprKind::Binary(BinOp::Shr, a, n) => match (part(a)?, int(n)?) {
            ((0, mask), n @ 0..=31) if mask == ones(32) => Some((n as u32, mask)),
            _ => None,
        },
        ExprKind::Binary(BinOp::And, a, mask) => {
            let (shift, have) = part(a)?;
            Some((shift, have & int(mask)?))
        }
        _ => None,
    }
}

/// `context == number`, joined by `&&`.
fn active(e: &Expr) -> Option<Vec<(Ident, u32)>> {
    match &e.kind {
        ExprKind::Binary(BinOp::LogAnd, a, b) => {
            let mut all = active(a)?;
            all.extend(active(b)?);
            Some(all)
        }
        ExprKind::Binary(BinOp::Eq, a, b) => match &a.kind {
            ExprKind::Name(n) => Some(vec![(n.clone(), u32::try_from(int(b)?).ok()?)]),
            _ => None,
        },
        _ => None,
    }
}
