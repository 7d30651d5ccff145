//! `isa doc`: a manual for readers, one page per guest.

use super::{check, html};
use anyhow::{Context as _, Result};
use codegen::diag::SourceMap;
use codegen::model::{Enc, Insn, Model};
use std::fmt::Write as _;
use std::path::Path;

/// Write `out/<guest>.html`.
pub(crate) fn run(dir: &Path, out: &Path) -> Result<bool> {
    let loaded = check::load(dir)?;
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let path = out.join(format!("{}.html", loaded.model.name));
    std::fs::write(&path, manual(&loaded.model, &loaded.sources))
        .with_context(|| format!("cannot write {}", path.display()))?;
    println!("{}", path.display());
    Ok(true)
}

fn manual(model: &Model, sources: &SourceMap) -> String {
    let mut body = String::new();
    for insn in &model.insns {
        let _ = writeln!(body, "<section id=\"{0}\"><h2>{0}</h2>\n<p>{1}</p>", insn.name, html::escape(&insn.doc));
        for enc in &insn.encs {
            boxes(&mut body, model, enc);
        }
        let _ = writeln!(body, "<pre>{}</pre>", html::escape(&operation(insn, sources)));
        tests(&mut body, insn);
        let _ = writeln!(body, "<small>{}</small></section>", insn.at);
    }
    html::page(&format!("{}: instructions", model.name), &body)
}

/// The instruction as it is written, without encodings and tests, which are shown as tables.
fn operation(insn: &Insn, sources: &SourceMap) -> String {
    let start = insn.span.start;
    let source = sources.file(insn.span.file).text.get(start as usize..).unwrap_or_default();
    let mut text = source[..end_of_braces(source)].to_owned();
    let mut cut: Vec<(u32, u32)> = insn.encs.iter().map(|e| (e.span.start, e.span.end)).collect();
    cut.extend(insn.tests.iter().map(|t| (t.span.start, t.span.end)));
    cut.sort_unstable();
    for (from, to) in cut.into_iter().rev() {
        let range = (from.saturating_sub(start) as usize)..(to.saturating_sub(start) as usize);
        if text.get(range.clone()).is_some() {
            text.replace_range(range, "");
        }
    }
    let lines = text.lines().filter(|l| !matches!(l.trim(), "" | ";" | "enc" | "test"));
    lines.collect::<Vec<_>>().join("\n")
}

/// Where the first pair of braces ends, strings and comments aside.
fn end_of_braces(text: &str) -> usize {
    let (mut depth, mut string, mut previous) = (0, false, ' ');
    let mut comment = false;
    for (at, c) in text.char_indices() {
        match c {
            '\n' => comment = false,
            _ if comment => {}
            '"' if previous != '\\' => string = !string,
            _ if string => {}
            '/' if previous == '/' => comment = true,
            '{' => depth += 1,
            '}' if depth == 1 => return at + 1,
            '}' => depth -= 1,
            _ => {}
        }
        previous = c;
    }
    text.len()
}

/// What is in some adjacent bits, highest first.
#[derive(PartialEq)]
enum Cell {
    Fixed(String),
    Ignored,
    Field(String),
}

/// The encoding's bits as a table: numbers of the outer bits of each cell, contents.
fn boxes(out: &mut String, model: &Model, enc: &Enc) {
    let unit = model.spaces[enc.flat.space].width();
    let (mut numbers, mut contents) = (String::new(), String::new());
    let mut bit = unit;
    while bit > 0 {
        let (cell, width) = cell(enc, bit - 1);
        let (hi, lo) = (bit - 1, bit - width);
        let label = if width == 1 { hi.to_string() } else { format!("{hi}…{lo}") };
        let (class, text) = match cell {
            Cell::Fixed(bits) => ("", bits),
            Cell::Ignored => ("", "x".repeat(width as usize)),
            Cell::Field(name) => (" class=\"field\"", name),
        };
        let _ = write!(numbers, "<td colspan=\"{width}\">{label}</td>");
        let _ = write!(contents, "<td colspan=\"{width}\"{class}>{text}</td>");
        bit -= width;
    }
    let _ = writeln!(out, "<table class=\"bits\"><tr class=\"number\">{numbers}</tr><tr>{contents}</tr></table>");
}

/// The cell whose highest bit is `top`, and its width.
fn cell(enc: &Enc, top: u32) -> (Cell, u32) {
    let flat = &enc.flat;
    for field in &flat.fields {
        for piece in &field.pieces {
            if top == piece.at + piece.width - 1 {
                let name = &field.name;
                let (hi, lo) = (piece.lo + piece.width - 1, piece.lo);
                let label = match (field.pieces.len(), hi == lo) {
                    (1, _) => name.to_string(),
                    (_, true) => format!("{name}[{hi}]"),
                    _ => format!("{name}[{hi}:{lo}]"),
                };
                return (Cell::Field(label), piece.width);
            }
        }
    }
    let in_field = |bit: u32| flat.fields.iter().flat_map(|f| &f.pieces).any(|p| (p.at..p.at + p.width).contains(&bit));
    let fixed = |bit: u32| flat.mask >> bit & 1 == 1;
    let run = (0..=top).rev().take_while(|&bit| fixed(bit) == fixed(top) && !in_field(bit));
    let bits: Vec<u32> = run.collect();
    let width = bits.len().max(1) as u32;
    if !fixed(top) {
        return (Cell::Ignored, width);
    }
    let digit = |bit: &u32| if flat.value >> bit & 1 == 1 { '1' } else { '0' };
    (Cell::Fixed(bits.iter().map(digit).collect()), width)
}

fn tests(out: &mut String, insn: &Insn) {
    if insn.tests.is_empty() {
        return;
    }
    let values = |list: &[(String, u128)]| {
        let items: Vec<String> = list.iter().map(|(name, value)| format!("{name} = {value:#x}")).collect();
        items.join(", ")
    };
    let _ = writeln!(out, "<table class=\"text\"><tr><th>bytes</th><th>text</th><th>before</th><th>after</th></tr>");
    for test in &insn.tests {
        let bytes: Vec<String> = test.code.iter().map(|b| format!("{b:02x}")).collect();
        let (text, before, after) = (html::escape(&test.text), values(&test.before), values(&test.after));
        let _ = writeln!(out, "<tr><td>{}</td><td>{text}</td><td>{before}</td><td>{after}</td></tr>", bytes.join(" "));
    }
    out.push_str("</table>\n");
}
