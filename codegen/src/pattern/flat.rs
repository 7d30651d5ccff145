//! One encoding as fixed bits, fields and constraints on field values.

use super::bytes::{self, Tail};
use super::{Space, ones};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};
use crate::model::Context;
use crate::syntax::ast::{
    self, BitPattern, ConstraintValue, Enc, EnumDef, FieldWidth, Ident, MacroArg, PatBit, PatKind, Span, Spec,
};

/// An encoding with all its names resolved to bits.
#[derive(Clone, Debug)]
pub struct Flat {
    /// Index of the space.
    pub space: usize,
    /// Bits of the word.
    pub width: u32,
    /// Fixed bits.
    pub mask: u128,
    /// Their value.
    pub value: u128,
    /// Bits that should have a value although the decoder ignores them: `(0)`, `(1)`.
    pub should_mask: u128,
    /// Their value.
    pub should_be: u128,
    /// Fields in the order of their first appearance.
    pub fields: Vec<FlatField>,
    /// What the fields may be, over bits of the word.
    pub constraints: Vec<Constraint>,
    /// What follows the word (byte-wise spaces).
    pub tail: Vec<Tail>,
    /// The pattern.
    pub span: Span,
}

/// A field.
#[derive(Clone, Debug)]
pub struct FlatField {
    /// Name.
    pub name: Ident,
    /// Its enum, if it is typed by one.
    pub enum_name: Option<Ident>,
    /// Bits, counting those below and between pieces that are always 0.
    pub width: u32,
    /// Sign-extended from its highest bit.
    pub signed: bool,
    /// Where its bits are, in the order of the pattern.
    pub pieces: Vec<Piece>,
}

/// Adjacent bits of a field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// Lowest bit in the field.
    pub lo: u32,
    /// Bits.
    pub width: u32,
    /// Lowest bit in the word.
    pub at: u32,
}

/// Values that some bits of the word must (or, negated, must not) have.
#[derive(Clone, Debug)]
pub struct Constraint {
    /// `!=`
    pub negated: bool,
    /// Bits looked at.
    pub bits: u128,
    /// (mask, value) alternatives over the word; each mask is a subset of `bits`.
    pub values: Vec<(u128, u128)>,
    /// Where it is written.
    pub span: Span,
}

impl Constraint {
    /// Whether a word satisfies it.
    pub fn holds(&self, word: u128) -> bool {
        self.values.iter().any(|&(mask, value)| word & mask == value) != self.negated
    }
}

impl Flat {
    /// Whether a word matches, guards aside.
    pub fn matches(&self, word: u128) -> bool {
        word & self.mask == self.value && self.constraints.iter().all(|c| c.holds(word))
    }

    /// The value of a field in a word.
    pub fn field_value(&self, field: &FlatField, word: u128) -> i128 {
        let raw = field.pieces.iter().fold(0, |v, p| v | (word >> p.at & ones(p.width)) << p.lo);
        match field.signed && raw >> (field.width - 1) & 1 == 1 {
            true => (raw | !ones(field.width)) as i128,
            false => raw as i128,
        }
    }
}

/// An item of a pattern with macros expanded, most significant first.
#[derive(Clone)]
pub(super) struct Item {
    pub(super) kind: ItemKind,
    pub(super) width: u32,
    pub(super) span: Span,
}

#[derive(Clone)]
pub(super) enum ItemKind {
    Bits(Vec<PatBit>),
    ShouldBe(Vec<bool>),
    Field {
        name: Ident,
        signed: bool,
        enum_name: Option<Ident>,
        constraints: Vec<ast::Constraint>,
    },
    Piece {
        name: Ident,
        hi: u32,
        lo: u32,
        signed: bool,
    },
    /// Operands and fields of computed width, which only byte-wise spaces have.
    Tail(Tail),
}

/// Resolve an encoding. Reports what is wrong with it; `None` if it has no meaning.
pub fn flatten(
    spec: &Spec,
    spaces: &[Space],
    contexts: &[Context],
    enc: &Enc,
    diagnostics: &mut Diagnostics,
) -> Option<Flat> {
    let space = find_space(spec, spaces, enc, diagnostics)?;
    let before = diagnostics.len();
    let bytewise = spaces[space].unit == 8;
    let mut flattener = Flattener { spec, diagnostics, bytewise, depth: 0 };
    let items = flattener.expand(&enc.bits);
    if flattener.diagnostics.len() > before {
        return None;
    }
    if bytewise {
        let mut flat = bytes::flatten(&mut flattener, space, items, enc.bits.span);
        bytes::keys(&mut flattener, &mut flat, contexts, &enc.keys);
        return (flattener.diagnostics.len() == before).then_some(flat);
    }
    if let Some(key) = enc.keys.first() {
        flattener.error("unsupported", key.name.span, "only encodings in byte-wise spaces have keys");
    }
    let width: u32 = items.iter().map(|i| i.width).sum();
    if width != spaces[space].width() {
        flattener.wrong_width(&items, width, &spaces[space], enc.bits.span);
        return None;
    }
    let mut flat = Flat {
        space,
        width,
        mask: 0,
        value: 0,
        should_mask: 0,
        should_be: 0,
        fields: Vec::new(),
        constraints: Vec::new(),
        tail: Vec::new(),
        span: enc.bits.span,
    };
    let mut at = width;
    for item in items {
        at -= item.width;
        flattener.place(&mut flat, item, at);
    }
    for field in &flat.fields {
        flattener.check_field(field);
    }
    (flattener.diagnostics.len() == before).then_some(flat)
}

fn find_space(spec: &Spec, spaces: &[Space], enc: &Enc, diagnostics: &mut Diagnostics) -> Option<usize> {
    let mut declared = spec.sections.iter().filter(|s| &*s.kind.name == "space").filter_map(|s| s.name.as_ref());
    let Some(name) = &enc.space else {
        let first = declared.next()?;
        return spaces.iter().position(|s| *s.name == *first.name);
    };
    let found = spaces.iter().position(|s| *s.name == *name.name);
    // A declared space that is not among them was reported at its declaration.
    if found.is_none() && !declared.any(|d| d.name == name.name) {
        let mut d = Diagnostic::error("space", name.span, format!("there is no space `{name}`"));
        if let Some(known) = did_you_mean(&name.name, spaces.iter().map(|s| &*s.name)) {
            d = d.note(format!("did you mean `{known}`?"));
        }
        diagnostics.push(d);
    }
    found
}

pub(super) struct Flattener<'a> {
    pub(super) spec: &'a Spec,
    pub(super) diagnostics: &'a mut Diagnostics,
    pub(super) bytewise: bool,
    pub(super) depth: u32,
}

impl Flattener<'_> {
    pub(super) fn error(&mut self, code: &'static str, span: Span, message: impl Into<String>) {
        self.diagnostics.push(Diagnostic::error(code, span, message));
    }

    pub(super) fn expand(&mut self, pattern: &BitPattern) -> Vec<Item> {
        let mut items = Vec::new();
        for item in &pattern.items {
            let span = item.span;
            match &item.kind {
                PatKind::Bits(bits) => {
                    items.push(Item { width: bits.len() as u32, kind: ItemKind::Bits(bits.clone()), span });
                }
                PatKind::Hex { value, width } => {
                    let bit = |i| if value >> i & 1 == 1 { PatBit::One } else { PatBit::Zero };
                    let bits = (0..*width).rev().map(bit).collect();
                    items.push(Item { width: *width, kind: ItemKind::Bits(bits), span });
                }
                PatKind::ShouldBe(bits) => {
                    items.push(Item { width: bits.len() as u32, kind: ItemKind::ShouldBe(bits.clone()), span });
                }
                PatKind::Field { name, signed, width: FieldWidth::Expr(e), constraint: None } if self.bytewise => {
                    let tail = Tail::Field { name: name.clone(), signed: *signed, width: (**e).clone() };
                    items.push(Item { kind: ItemKind::Tail(tail), width: 0, span });
                }
                PatKind::Field { name, signed, width, constraint } => {
                    let Some((width, enum_name)) = self.field_width(width) else { continue };
                    let constraints = constraint.iter().cloned().collect();
                    let kind = ItemKind::Field { name: name.clone(), signed: *signed, enum_name, constraints };
                    items.push(Item { kind, width, span });
                }
                PatKind::Piece { name, hi, lo, signed } => {
                    let kind = ItemKind::Piece { name: name.clone(), hi: *hi, lo: *lo, signed: *signed };
                    items.push(Item { kind, width: hi - lo + 1, span });
                }
                PatKind::Macro { name, args } => items.extend(self.expand_macro(name, args, span)),
                PatKind::Operand(name) => match self.spec.operands.iter().any(|o| o.name.name == name.name) {
                    true if self.bytewise => {
                        items.push(Item { kind: ItemKind::Tail(Tail::Operand(name.clone())), width: 0, span });
                    }
                    true => self.error("unsupported", name.span, "only byte-wise spaces have operands"),
                    false => self.error("unknown-name", name.span, format!("there is no operand `{name}`")),
                },
            }
        }
        items
    }

    fn field_width(&mut self, width: &FieldWidth) -> Option<(u32, Option<Ident>)> {
        match width {
            FieldWidth::Bits(0) => None,
            FieldWidth::Bits(n) => Some((*n, None)),
            FieldWidth::Enum(name) => match self.find_enum(name) {
                Some(e) => Some((e.width, Some(name.clone()))),
                None => {
                    let mut d = Diagnostic::error("unknown-name", name.span, format!("there is no enum `{name}`"));
                    if let Some(known) = did_you_mean(&name.name, self.spec.enums.iter().map(|e| &*e.name.name)) {
                        d = d.note(format!("did you mean `{known}`?"));
                    }
                    self.diagnostics.push(d);
                    None
                }
            },
            FieldWidth::Expr(e) => {
                let message = "only a field of a byte-wise space, without constraint, has a computed width";
                self.error("unsupported", e.span, message);
                None
            }
        }
    }

    fn find_enum(&self, name: &Ident) -> Option<&EnumDef> {
        self.spec.enums.iter().find(|e| e.name.name == name.name)
    }

    /// A named pattern with its fields renamed and constrained.
    fn expand_macro(&mut self, name: &Ident, args: &[MacroArg], span: Span) -> Vec<Item> {
        let Some(def) = self.spec.patterns.iter().find(|p| p.name.name == name.name) else {
            let mut d = Diagnostic::error("unknown-name", name.span, format!("there is no pattern `{name}`"));
            if let Some(known) = did_you_mean(&name.name, self.spec.patterns.iter().map(|p| &*p.name.name)) {
                d = d.note(format!("did you mean `{known}`?"));
            }
            self.diagnostics.push(d.note("a field needs a width: `name:5`"));
            return Vec::new();
        };
        if self.depth > 8 {
            self.error("recursion", name.span, format!("pattern `{name}` contains itself"));
            return Vec::new();
        }
        self.depth += 1;
        let mut items = self.expand(&def.bits);
        self.depth -= 1;
        for item in &mut items {
            item.span = span;
        }
        for arg in args {
            self.apply(&mut items, name, arg);
        }
        items
    }

    fn apply(&mut self, items: &mut [Item], pattern: &Ident, arg: &MacroArg) {
        let (MacroArg::Constrain(field, _) | MacroArg::Rename(field, _)) = arg;
        let mut found = false;
        for item in items {
            match &mut item.kind {
                ItemKind::Field { name, constraints, enum_name, .. } if name.name == field.name => {
                    found = true;
                    match arg {
                        MacroArg::Constrain(_, c) => constraints.push(c.clone()),
                        MacroArg::Rename(_, to) if self.find_enum(to).is_some() => *enum_name = Some(to.clone()),
                        MacroArg::Rename(_, to) => *name = to.clone(),
                    }
                }
                ItemKind::Piece { name, .. } if name.name == field.name => {
                    found = true;
                    match arg {
                        MacroArg::Constrain(..) => {
                            self.error("unsupported", field.span, "a split field cannot be constrained here");
                        }
                        MacroArg::Rename(_, to) => *name = to.clone(),
                    }
                }
                _ => {}
            }
        }
        if !found {
            self.error("unknown-field", field.span, format!("pattern `{pattern}` has no field `{field}`"));
        }
    }

    fn wrong_width(&mut self, items: &[Item], width: u32, space: &Space, span: Span) {
        let sum: Vec<String> = items.iter().map(|i| i.width.to_string()).collect();
        let message = format!("pattern is {width} bits, space `{}` needs {}", space.name, space.width());
        let d = Diagnostic::error("width", span, message).label(format!("{} = {width}", sum.join(" + ")));
        self.diagnostics.push(d);
    }

    /// Enter an item whose lowest bit is `at`.
    pub(super) fn place(&mut self, flat: &mut Flat, item: Item, at: u32) {
        let top = at + item.width - 1;
        match item.kind {
            ItemKind::Bits(bits) => {
                for (i, bit) in bits.iter().enumerate() {
                    let here = 1 << (top - i as u32);
                    match bit {
                        PatBit::Any => {}
                        PatBit::Zero => flat.mask |= here,
                        PatBit::One => {
                            flat.mask |= here;
                            flat.value |= here;
                        }
                    }
                }
            }
            ItemKind::ShouldBe(bits) => {
                for (i, one) in bits.iter().enumerate() {
                    flat.should_mask |= 1 << (top - i as u32);
                    flat.should_be |= u128::from(*one) << (top - i as u32);
                }
            }
            ItemKind::Field { name, signed, enum_name, constraints } => {
                for constraint in &constraints {
                    self.constrain(flat, constraint, enum_name.as_ref(), at, item.width);
                }
                if let Some(domain) = self.enum_domain(enum_name.as_ref(), at, item.width, item.span) {
                    flat.constraints.push(domain);
                }
                if flat.fields.iter().any(|f| f.name.name == name.name) {
                    let message =
                        format!("field `{name}` appears twice; write the pieces of a split field as `{name}[hi:lo]`");
                    return self.error("field", item.span, message);
                }
                let pieces = vec![Piece { lo: 0, width: item.width, at }];
                flat.fields.push(FlatField { name, enum_name, width: item.width, signed, pieces });
            }
            ItemKind::Tail(tail) => flat.tail.push(tail),
            ItemKind::Piece { name, hi, lo, signed } => {
                let piece = Piece { lo, width: item.width, at };
                match flat.fields.iter_mut().find(|f| f.name.name == name.name) {
                    Some(field) => {
                        field.pieces.push(piece);
                        field.signed |= signed;
                        field.width = field.width.max(hi + 1);
                    }
                    None => {
                        let pieces = vec![piece];
                        flat.fields.push(FlatField { name, enum_name: None, width: hi + 1, signed, pieces });
                    }
                }
            }
        }
    }

    /// Enter `=`/`!=` on a field.
    fn constrain(&mut self, flat: &mut Flat, c: &ast::Constraint, enum_name: Option<&Ident>, at: u32, width: u32) {
        let mut values = Vec::new();
        for value in &c.values {
            let (mask, bits) = match value {
                ConstraintValue::Bits(bits, span) => {
                    if bits.len() as u32 != width {
                        let message = format!("this value has {} bits, the field has {width}", bits.len());
                        return self.error("width", *span, message);
                    }
                    bits.iter().fold((0, 0), |(m, v), bit| {
                        (m << 1 | u128::from(*bit != PatBit::Any), v << 1 | u128::from(*bit == PatBit::One))
                    })
                }
                ConstraintValue::Name(name) => {
                    let found = enum_name
                        .and_then(|e| self.find_enum(e))
                        .and_then(|e| e.values.iter().find(|v| v.name.name == name.name).map(|v| v.value));
                    let Some(found) = found else {
                        let message = format!("`{name}` is not a value of the field's enum");
                        return self.error("unknown-name", name.span, message);
                    };
                    (ones(width), found)
                }
            };
            values.push((mask << at, bits << at));
        }
        match values[..] {
            [(mask, value)] if !c.negated => {
                flat.mask |= mask;
                flat.value |= value;
            }
            _ => {
                let bits = ones(width) << at;
                flat.constraints.push(Constraint { negated: c.negated, bits, values, span: c.span });
            }
        }
    }

    /// A field typed by an enum that does not name all values matches only those it names.
    fn enum_domain(&self, name: Option<&Ident>, at: u32, width: u32, span: Span) -> Option<Constraint> {
        let e = self.find_enum(name?)?;
        let mut values: Vec<u128> = e.values.iter().map(|v| v.value).collect();
        values.sort_unstable();
        values.dedup();
        if width < 64 && values.len() as u128 == 1 << width {
            return None;
        }
        let mask = ones(width) << at;
        let values = values.into_iter().map(|v| (mask, v << at)).collect();
        Some(Constraint { negated: false, bits: mask, values, span })
    }

    /// The pieces of a field must not overlap, and the sign must be its highest bit.
    pub(super) fn check_field(&mut self, field: &FlatField) {
        let mut seen = 0;
        for piece in &field.pieces {
            let bits = ones(piece.width) << piece.lo;
            if seen & bits != 0 {
                let message = format!("a bit of field `{}` appears twice", field.name);
                return self.error("field", field.name.span, message);
            }
            seen |= bits;
        }
    }
}
