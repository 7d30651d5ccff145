//! Encodings in byte-wise spaces: a head of one to three bytes, which decoding matches together with the decode variables,
//! and a tail of operands and immediates, whose lengths depend on both.
//!
//! In the matched word the first byte of the head is lowest, and decode variables stand where they are above the mode word.

use super::flat::{Flat, Flattener, Item, ItemKind};
use super::{Space, ones};
use crate::diag::Diagnostics;
use crate::model::Context;
use crate::syntax::ast::{Binding, BitPattern, Expr, ExprKind, Ident, PatBit, Span, Spec};

/// Bytes that matching looks at.
const HEAD: u32 = 3;

/// What follows the head.
#[derive(Clone, Debug)]
pub enum Tail {
    /// The bytes of an operand.
    Operand(Ident),
    /// A little-endian field of whole bytes.
    Field {
        /// Name.
        name: Ident,
        /// Sign-extended.
        signed: bool,
        /// Bits.
        width: Expr,
    },
}

/// The pattern of an encoding or prefix.
pub(super) fn flatten(f: &mut Flattener, space: usize, items: Vec<Item>, span: Span) -> Flat {
    let mut flat = Flat {
        space,
        width: 0,
        mask: 0,
        value: 0,
        should_mask: 0,
        should_be: 0,
        fields: Vec::new(),
        constraints: Vec::new(),
        tail: Vec::new(),
        span,
    };
    let mut at = 0;
    for item in items.into_iter().flat_map(|i| by_bytes(i, &mut at)).collect::<Vec<_>>() {
        let (item, place) = item;
        let whole = place % 8 == 0 && item.width >= 8;
        match item.kind {
            ItemKind::Tail(tail) => flat.tail.push(tail),
            ItemKind::Field { name, signed, enum_name: None, constraints } if whole && constraints.is_empty() => {
                let kind = ExprKind::Int(item.width.into());
                let width = Expr { kind, span: item.span, id: Default::default() };
                flat.tail.push(Tail::Field { name, signed, width });
            }
            _ if !flat.tail.is_empty() => {
                f.error("unsupported", item.span, "after an operand or a whole-byte field, only such may follow");
            }
            _ if place / 8 != (place + item.width - 1) / 8 => {
                f.error("unsupported", item.span, "a field cannot be in two bytes; whole-byte fields begin at a byte");
            }
            _ => {
                flat.width = place + item.width;
                let lowest = place / 8 * 8 + 8 - place % 8 - item.width;
                f.place(&mut flat, item, lowest);
            }
        }
    }
    if !flat.width.is_multiple_of(8) || flat.width > 8 * HEAD {
        let message =
            format!("the opcode with its fields is {} bits long; it must be 1 to {HEAD} whole bytes", flat.width);
        f.error("width", span, message);
    }
    flat
}

/// Fixed bits in pieces that do not cross bytes; each item with its place from the start of the pattern.
fn by_bytes(item: Item, at: &mut u32) -> Vec<(Item, u32)> {
    let start = *at;
    *at += item.width;
    let ItemKind::Bits(bits) = &item.kind else { return vec![(item, start)] };
    let mut pieces: Vec<(Vec<PatBit>, u32)> = Vec::new();
    for (i, bit) in bits.iter().enumerate() {
        let place = start + i as u32;
        match pieces.last_mut() {
            Some((bits, _)) if !place.is_multiple_of(8) => bits.push(*bit),
            _ => pieces.push((vec![*bit], place)),
        }
    }
    let part = |(bits, place): (Vec<PatBit>, u32)| {
        (Item { width: bits.len() as u32, kind: ItemKind::Bits(bits), span: item.span }, place)
    };
    pieces.into_iter().map(part).collect()
}

/// `enc(m1, pp = 1)`: values that decode variables must have.
pub(super) fn keys(f: &mut Flattener, flat: &mut Flat, contexts: &[Context], keys: &[Binding]) {
    for key in keys {
        let var = contexts.iter().find(|c| c.decoded && c.name == *key.name.name);
        match (var, &key.value.kind) {
            (Some(c), ExprKind::Int(value)) if *value <= ones(c.width) => {
                flat.mask |= ones(c.width) << c.lo;
                flat.value |= value << c.lo;
            }
            (Some(_), _) => f.error("type", key.value.span, "this must be a number that the variable can have"),
            (None, _) => f.error("unknown-name", key.name.span, format!("there is no decode variable `{}`", key.name)),
        }
    }
}

/// The bytes of an operand's alternative.
pub fn operand_bits(spec: &Spec, spaces: &[Space], bits: &BitPattern, diagnostics: &mut Diagnostics) -> Option<Flat> {
    let before = diagnostics.len();
    let space = spaces.iter().position(|s| s.unit == 8)?;
    let mut f = Flattener { spec, diagnostics, bytewise: true, depth: 0 };
    let items = f.expand(bits);
    let flat = flatten(&mut f, space, items, bits.span);
    (f.diagnostics.len() == before).then_some(flat)
}
