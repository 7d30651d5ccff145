//! Encodings as the boxes of a manual: numbers of bits, fields, fixed bits.

use codegen::diag::SourceMap;
use codegen::model::{Enc, Model};
use codegen::pattern::{Flat, Tail};
use codegen::syntax::ast::ExprKind;

/// What is in some adjacent bits, or in bytes that follow.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Cell {
    /// Fixed bits, a name, `x` for bits that are ignored, `(0)` and `(1)` for those that should have a value.
    pub(crate) label: String,
    /// It names a field or an operand.
    pub(crate) is_field: bool,
    /// Bits; 0 if that depends on other parts of the instruction.
    pub(crate) width: u32,
    /// Numbers of its highest and lowest bit, or what is known of the length.
    pub(crate) numbers: String,
}

/// The cells of an encoding, in the order in which a manual writes them.
pub(crate) fn cells(model: &Model, enc: &Enc, sources: &SourceMap) -> Vec<Cell> {
    let space = &model.spaces[enc.flat.space];
    let mut cells = Vec::new();
    if space.unit > 8 {
        bits(&enc.flat, space.width(), 0, &mut cells);
        return cells;
    }
    for byte in 0..enc.flat.width / 8 {
        bits(&enc.flat, 8, 8 * byte, &mut cells);
    }
    cells.extend(enc.flat.tail.iter().map(|t| following(t, sources)));
    cells
}

/// The cells of `width` bits of the word, `lowest` and up; numbers count from there.
fn bits(flat: &Flat, width: u32, lowest: u32, cells: &mut Vec<Cell>) {
    let mut top = lowest + width;
    while top > lowest {
        let (label, is_field, width) = cell(flat, top - 1, lowest);
        let (hi, lo) = (top - 1 - lowest, top - width - lowest);
        let numbers = if width == 1 { hi.to_string() } else { format!("{hi}…{lo}") };
        cells.push(Cell { label, is_field, width, numbers });
        top -= width;
    }
}

/// Label of the cell whose highest bit is `top`, whether it is a field, and its width.
fn cell(flat: &Flat, top: u32, lowest: u32) -> (String, bool, u32) {
    for field in &flat.fields {
        if let Some(piece) = field.pieces.iter().find(|p| top == p.at + p.width - 1) {
            let (name, hi, lo) = (&field.name, piece.lo + piece.width - 1, piece.lo);
            let label = match (field.pieces.len(), hi == lo) {
                (1, _) => name.to_string(),
                (_, true) => format!("{name}[{hi}]"),
                _ => format!("{name}[{hi}:{lo}]"),
            };
            return (label, true, piece.width);
        }
    }
    let in_field = |bit: u32| flat.fields.iter().flat_map(|f| &f.pieces).any(|p| (p.at..p.at + p.width).contains(&bit));
    let set = |word: u128, bit: u32| word >> bit & 1 == 1;
    let kind = |bit: u32| (set(flat.mask, bit), set(flat.should_mask, bit));
    let run = (lowest..=top).rev().take_while(|&bit| kind(bit) == kind(top) && !in_field(bit));
    let bit = |bit: u32| match (kind(bit), set(flat.value, bit), set(flat.should_be, bit)) {
        ((true, _), true, _) => "1",
        ((true, _), false, _) => "0",
        ((_, true), _, true) => "(1)",
        ((_, true), _, false) => "(0)",
        _ => "x",
    };
    let labels: Vec<&str> = run.map(bit).collect();
    (labels.concat(), false, labels.len().max(1) as u32)
}

/// What comes after the opcode.
fn following(tail: &Tail, sources: &SourceMap) -> Cell {
    let (label, width, numbers) = match tail {
        Tail::Operand(name) => (format!("@{name}"), 0, "bytes".to_owned()),
        Tail::Field { name, width, .. } => match width.kind {
            ExprKind::Int(bits) => (name.to_string(), bits as u32, format!("{}…0", bits.saturating_sub(1))),
            _ => (name.to_string(), 0, format!("{} bits", sources.text(width.span).trim())),
        },
    };
    Cell { label, is_field: true, width, numbers }
}

/// The cells in two lines of text.
pub(crate) fn text(cells: &[Cell]) -> String {
    let (mut numbers, mut contents) = (String::new(), String::from("|"));
    for cell in cells {
        let (high, low) = cell.numbers.split_once('…').unwrap_or((&cell.numbers, ""));
        let length = |s: &str| s.chars().count();
        let least = (2 * cell.width).saturating_sub(1) as usize;
        let width = least.max(length(&cell.label)).max(length(&cell.numbers));
        numbers += &format!(" {high}{low:>rest$}", rest = width - length(high));
        contents += &format!("{:^width$}|", cell.label);
    }
    format!("{}\n{contents}\n", numbers.trim_end())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_as_wide_as_their_bits_or_words() {
        let cell = |label: &str, width, numbers: &str| Cell {
            label: label.to_owned(),
            is_field: true,
            width,
            numbers: numbers.to_owned(),
        };
        let cells =
            [cell("imm", 12, "31…20"), cell("likely", 1, "19"), cell("0110", 4, "3…0"), cell("@ea", 0, "bytes")];
        assert_eq!(
            text(&cells),
            " 31                   20 19     3     0 bytes\n|          imm          |likely| 0110  | @ea |\n"
        );
    }
}
