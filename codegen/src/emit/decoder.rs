//! The decoder of a guest: tables, guards, and the functions `translate` and `identify`.

use super::bindings;
use super::needs::NeedsTable;
use super::stat::Static;
use crate::hir::Expr;
use crate::model::{Enc, Insn, Model};
use crate::pattern::{Constraint, Decoding, Table};
use std::fmt::Write as _;

/// Rust source of the decoder.
pub(super) fn emit(model: &Model, decoding: &Decoding<'_>) -> String {
    let mut out = String::new();
    guards(&mut out, model, decoding);
    patterns(&mut out, decoding);
    decoder(&mut out, model, decoding);
    names(&mut out, decoding);
    out.push_str(FUNCTIONS);
    out
}

/// What is the same for all guests.
const FUNCTIONS: &str = r"
fn translate(b: &mut ir::Builder<'_>, pc: u64, code: &[u8]) -> ir::guest::Step {
    match DECODER.decode(code, b.mode()) {
        ir::decode::Decoded::Insn { enc, word, len } => {
            b.set_len(len);
            let at = At { pc, pc_next: pc.wrapping_add(u64::from(len)), code, imms: [0; 2] };
            let flow = EMIT[enc as usize](b, &at, word);
            ir::guest::Step::Done { len, flow }
        }
        ir::decode::Decoded::Unallocated { len, .. } => ir::guest::Step::Unallocated { len },
        ir::decode::Decoded::Truncated => ir::guest::Step::Truncated,
    }
}
fn identify(mode: u32, code: &[u8]) -> Option<&'static str> {
    match DECODER.decode(code, mode) {
        ir::decode::Decoded::Insn { enc, .. } => Some(NAMES[enc as usize]),
        _ => None,
    }
}
";

/// One function per encoding that has constraints or guards.
pub(super) fn guards(out: &mut String, model: &Model, decoding: &Decoding<'_>) {
    let table = NeedsTable::new(model);
    for (number, (insn, enc)) in decoding.sources.iter().enumerate() {
        if has_guard(insn, enc) {
            guard(out, &Static::new(model, &table, &insn.locals), number, insn, enc);
        }
    }
}

pub(super) fn has_guard(insn: &Insn, enc: &Enc) -> bool {
    !enc.flat.constraints.is_empty() || !insn.guards.is_empty() || !enc.guards.is_empty()
}

fn guard(out: &mut String, writer: &Static<'_>, number: usize, insn: &Insn, enc: &Enc) {
    let _ = writeln!(out, "/// {}, {}", insn.name, insn.at);
    let _ = writeln!(out, "fn guard_{number}(word: Word, mode: Mode) -> bool {{");
    for c in &enc.flat.constraints {
        let _ = writeln!(out, "if {} {{ return false; }}", violation(c));
    }
    let guards: Vec<&Expr> = insn.guards.iter().chain(&enc.guards).collect();
    if guards.is_empty() {
        out.push_str("true }\n");
        return;
    }
    // What the fields of this encoding set, guards see.
    for (context, var) in &enc.sets {
        if let Some(f) = enc.fields.iter().find(|f| f.var == *var) {
            let c = &writer.model().contexts[*context];
            let value = super::stat::field(f);
            let _ = writeln!(out, "let mode = with_field(mode, {}, {}, {value});", c.lo, c.width);
        }
    }
    let wanted = bindings::needed(guards.iter().copied(), &insn.locals, Some(enc));
    out.push_str(&bindings::of_encoding(writer, enc, Some(&wanted)));
    out.push_str(&bindings::of_insn(writer, insn, Some(&wanted)));
    let guards: Vec<String> = guards.iter().map(|g| format!("({})", writer.expr(g))).collect();
    let _ = writeln!(out, "{} }}", guards.join(" && "));
}

/// A test for field values that a constraint excludes, on the word.
pub(super) fn violation(c: &Constraint) -> String {
    let not = if c.negated { "" } else { "!" };
    if c.values.iter().all(|v| v.0 == c.bits) {
        let values: Vec<String> = c.values.iter().map(|(_, value)| format!("{value:#x}")).collect();
        return format!("{not}matches!(word & {:#x}, {})", c.bits, values.join(" | "));
    }
    let tests: Vec<String> = c.values.iter().map(|(mask, value)| format!("word & {mask:#x} == {value:#x}")).collect();
    format!("{not}({})", tests.join(" || "))
}

fn patterns(out: &mut String, decoding: &Decoding<'_>) {
    let count = decoding.entries.len();
    let _ = writeln!(out, "static PATTERNS: [ir::decode::Pattern; {count}] = [");
    for (number, (entry, (insn, enc))) in decoding.entries.iter().zip(&decoding.sources).enumerate() {
        let guard = if has_guard(insn, enc) { format!("Some(guard_{number})") } else { "None".to_owned() };
        let (mask, value) = (entry.mask, entry.value);
        let _ = writeln!(out, "ir::decode::Pattern {{ mask: {mask:#x}, value: {value:#x}, guard: {guard} }},");
    }
    let _ = writeln!(out, "];\nstatic EMIT: [fn(&mut ir::Builder<'_>, &At<'_>, Word) -> ir::guest::Flow; {count}] = [");
    for number in 0..count {
        let _ = writeln!(out, "enc_{number},");
    }
    out.push_str("];\n");
}

fn decoder(out: &mut String, model: &Model, decoding: &Decoding<'_>) {
    for (index, table) in decoding.tables.iter().enumerate() {
        numbers(out, &format!("BUCKETS_{index}"), &table.buckets);
        numbers(out, &format!("LISTS_{index}"), &table.lists);
    }
    let unit = model.smallest_unit() / 8;
    out.push_str("static DECODER: ir::decode::Decoder = ir::decode::Decoder { spaces: &[\n");
    for (index, (space, table)) in model.spaces.iter().zip(&decoding.tables).enumerate() {
        let select = match space.select {
            Some(s) => format!(
                "Some(ir::decode::Select {{ shift: {}, mask: {:#x}, low: {:#x}, high: {:#x}, negated: {} }})",
                s.shift, s.mask, s.low, s.high, s.negated
            ),
            None => "None".to_owned(),
        };
        let (mask, value) = model.active_bits(space);
        let _ = writeln!(
            out,
            "ir::decode::Space {{ unit: {}, units: {}, active: ({mask:#x}, {value:#x}), select: {select}, runs: &[{}], buckets: &BUCKETS_{index}, lists: &LISTS_{index} }},",
            space.unit / 8,
            space.units,
            runs(table),
        );
    }
    let _ = writeln!(out, "], patterns: &PATTERNS, unit: {unit}, big_endian: {} }};", model.sections.big_code);
}

pub(super) fn runs(table: &Table) -> String {
    let run = |r: &crate::pattern::Run| format!("ir::decode::Run {{ shift: {}, mask: {:#x} }}", r.shift, r.mask);
    table.runs.iter().map(run).collect::<Vec<_>>().join(", ")
}

pub(super) fn numbers(out: &mut String, name: &str, values: &[u16]) {
    let _ = writeln!(out, "static {name}: [u16; {}] = [", values.len());
    for line in values.chunks(24) {
        let text: Vec<String> = line.iter().map(ToString::to_string).collect();
        let _ = writeln!(out, "{},", text.join(","));
    }
    out.push_str("];\n");
}

pub(super) fn names(out: &mut String, decoding: &Decoding<'_>) {
    let _ = writeln!(out, "static NAMES: [&str; {}] = [", decoding.sources.len());
    for (insn, _) in &decoding.sources {
        let _ = writeln!(out, "{:?},", insn.name);
    }
    out.push_str("];\n");
}
