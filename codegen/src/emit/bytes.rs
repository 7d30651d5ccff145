//! The decoder of a guest whose instructions are sequences of bytes: prefixes, operands, tails, tables.

use super::decoder::{guards, has_guard, names, numbers, runs, violation};
use super::needs::NeedsTable;
use super::stat::{Static, field};
use crate::hir::Locals;
use crate::model::{Context, Enc, Model, Operand, OperandAlt, Prefix, Tail};
use crate::pattern::Decoding;
use crate::syntax::ast::Ident;
use std::collections::HashMap;
use std::fmt::Write as _;

/// Rust source of the decoder.
pub(super) fn emit(model: &Model, decoding: &Decoding<'_>) -> String {
    let table = NeedsTable::new(model);
    let mut out = String::from("use ir::bytes::{Cursor, Decoded, Pattern, Then, with_field};\n");
    guards(&mut out, model, decoding);
    for (number, p) in model.prefixes.iter().enumerate() {
        prefix(&mut out, model, &table, number, p);
    }
    for (number, o) in model.operands.iter().enumerate().filter(|(_, o)| !o.alts.is_empty()) {
        operand(&mut out, model, &table, number, o);
    }
    let tails = tails(&mut out, model, &table, decoding);
    patterns(&mut out, model, decoding, &tails);
    active(&mut out, model);
    decoder(&mut out, model, decoding);
    names(&mut out, decoding);
    out.push_str(FUNCTIONS);
    out
}

const FUNCTIONS: &str = r"
fn translate(b: &mut ir::Builder<'_>, pc: u64, code: &[u8]) -> ir::guest::Step {
    match DECODER.decode(code, b.mode()) {
        Decoded::Insn(insn) => {
            b.set_len(insn.len);
            b.set_decoded(insn.vars);
            let at = At { pc, pc_next: rt::next(pc, insn.len, CLASS), code, imms: insn.imms };
            let flow = EMIT[insn.enc as usize](b, &at, insn.word);
            ir::guest::Step::Done { len: insn.len, flow }
        }
        Decoded::Unallocated { len } => ir::guest::Step::Unallocated { len },
        Decoded::Truncated => ir::guest::Step::Truncated,
    }
}
fn identify(mode: u32, code: &[u8]) -> Option<&'static str> {
    match DECODER.decode(code, mode) {
        Decoded::Insn(insn) => Some(NAMES[insn.enc as usize]),
        _ => None,
    }
}
";

/// The disassembler's entry.
pub(super) const DISASSEMBLE: &str = r#"
fn disassemble(pc: u64, mode: u32, code: &[u8]) -> (String, u32) {
    let mut p = ir::disasm::Printer::new();
    let len = match DECODER.decode(code, mode) {
        Decoded::Insn(insn) => {
            let at = At { pc, pc_next: rt::next(pc, insn.len, CLASS), code, imms: insn.imms };
            text::ENCS[insn.enc as usize](&mut p, &at, insn.vars, insn.word);
            insn.len
        }
        Decoded::Unallocated { .. } => {
            p.byte(code.first().copied().unwrap_or(0));
            1
        }
        Decoded::Truncated => {
            p.text("(truncated)");
            code.len() as u32
        }
    };
    (p.finish(), len)
}
"#;

fn prefix(out: &mut String, model: &Model, table: &NeedsTable, number: usize, p: &Prefix) {
    let writer = Static::new(model, table, &p.locals);
    let fields: String = p
        .enc
        .fields
        .iter()
        .map(|f| format!("let {} = {};\n", super::names::variable(&writer.names, f.var), field(f)))
        .collect();
    let _ = writeln!(out, "/// {}\nfn prefix_guard_{number}(word: Word, mode: Mode) -> bool {{\n{fields}", p.name);
    for c in &p.enc.flat.constraints {
        let _ = writeln!(out, "if {} {{ return false; }}", violation(c));
    }
    let guards: Vec<String> = p.enc.guards.iter().map(|g| format!("({})", writer.expr(g))).collect();
    let all = if guards.is_empty() { "true".into() } else { guards.join(" && ") };
    let _ = writeln!(out, "{all}\n}}\nfn prefix_{number}(word: Word, mode: Mode) -> Mode {{\n{fields}");
    for (context, value) in &p.sets {
        let c = &model.contexts[*context];
        let _ = writeln!(out, "let mode = with_field(mode, {}, {}, {});", c.lo, c.width, writer.expr(value));
    }
    out.push_str("mode\n}\n");
}

/// The bytes of an operand: those of the first alternative that matches.
fn operand(out: &mut String, model: &Model, table: &NeedsTable, number: usize, o: &Operand) {
    let locals = Locals::default();
    let writer = Static::new(model, table, &locals);
    let _ = writeln!(out, "/// {}\nfn operand_{number}(c: &mut Cursor<'_>) {{\nlet mode = c.vars;", o.name);
    for alt in &o.alts {
        let mut tests: Vec<String> = alt.when.iter().map(|w| writer.expr(w)).collect();
        if alt.flat.width > 0 {
            let _ = writeln!(out, "let word = c.peek({});", alt.flat.width / 8);
            tests.push(format!("word & {:#x} == {:#x}", alt.flat.mask, alt.flat.value));
            tests.extend(alt.flat.constraints.iter().map(|c| format!("!({})", violation(c))));
        }
        let tests: Vec<String> = tests.iter().map(|t| format!("({t})")).collect();
        let condition = if tests.is_empty() { "true".into() } else { tests.join(" && ") };
        let _ = writeln!(out, "if {condition} {{");
        take(out, model, alt);
        out.push_str("return;\n}\n");
    }
    out.push_str("}\n");
}

/// Take the bytes of an alternative.
fn take(out: &mut String, model: &Model, alt: &OperandAlt) {
    let set = |out: &mut String, c: &Context, value: &str| {
        let _ = writeln!(out, "let value = {value};\nc.set({}, {}, value);", c.lo, c.width);
    };
    if alt.flat.width > 0 {
        let _ = writeln!(out, "c.take({}, false);", alt.flat.width);
    }
    for (f, &context) in alt.flat.fields.iter().zip(&alt.sets) {
        let pieces = f.pieces.iter().map(|p| format!("rt::field(word, {}, {}) << {}", p.at, p.width, p.lo));
        set(out, &model.contexts[context], &pieces.collect::<Vec<_>>().join(" | "));
    }
    for (context, width, signed) in &alt.tail {
        set(out, &model.contexts[*context], &format!("c.take({width}, {signed})"));
    }
}

/// One function per different tail; its number by encoding.
fn tails(out: &mut String, model: &Model, table: &NeedsTable, decoding: &Decoding<'_>) -> Vec<usize> {
    let mut known: HashMap<String, usize> = HashMap::new();
    let mut numbers = Vec::new();
    for (insn, enc) in &decoding.sources {
        let text = tail(model, &Static::new(model, table, &insn.locals), enc);
        let next = known.len();
        let number = *known.entry(text).or_insert_with_key(|text| {
            let _ = writeln!(out, "fn tail_{next}(c: &mut Cursor<'_>) {{\n{text}}}");
            next
        });
        numbers.push(number);
    }
    numbers
}

fn tail(model: &Model, writer: &Static<'_>, enc: &Enc) -> String {
    let mut out = String::new();
    for (context, var) in &enc.sets {
        let c = &model.contexts[*context];
        if let Some(f) = enc.fields.iter().find(|f| f.var == *var) {
            let value = field(f).replace("rt::field(word,", "rt::field(c.word,");
            let _ = writeln!(out, "c.set({}, {}, {value});", c.lo, c.width);
        }
    }
    for item in &enc.tail {
        let _ = match item {
            Tail::Operand(number) if model.operands[*number].alts.is_empty() => Ok(()),
            Tail::Operand(number) => writeln!(out, "operand_{number}(c);"),
            Tail::Immediate { width, signed, .. } => {
                writeln!(out, "let mode = c.vars;\nc.immediate({}, {signed});", writer.expr(width))
            }
        };
    }
    out
}

fn patterns(out: &mut String, model: &Model, decoding: &Decoding<'_>, tails: &[usize]) {
    let count = decoding.sources.len();
    let _ = writeln!(out, "static PATTERNS: [Pattern; {}] = [", count + model.prefixes.len());
    let mut pattern = |enc: &Enc, guard: String, then: String| {
        let (mask, value, head) = (enc.flat.mask, enc.flat.value, enc.flat.width / 8);
        let _ = writeln!(
            out,
            "Pattern {{ mask: {mask:#x}, value: {value:#x}, head: {head}, guard: {guard}, then: {then} }},"
        );
    };
    for (number, (insn, enc)) in decoding.sources.iter().enumerate() {
        let guard = if has_guard(insn, enc) { format!("Some(guard_{number})") } else { "None".to_owned() };
        pattern(enc, guard, format!("Then::Insn(tail_{})", tails[number]));
    }
    for (number, p) in model.prefixes.iter().enumerate() {
        pattern(&p.enc, format!("Some(prefix_guard_{number})"), format!("Then::Prefix(prefix_{number})"));
    }
    let _ = writeln!(out, "];\nstatic EMIT: [fn(&mut ir::Builder<'_>, &At<'_>, Word) -> ir::guest::Flow; {count}] = [");
    for number in 0..count {
        let _ = writeln!(out, "enc_{number},");
    }
    out.push_str("];\n");
}

/// Which space decodes the next byte.
fn active(out: &mut String, model: &Model) {
    out.push_str("fn active(mode: Mode) -> Option<usize> {\n");
    for (number, space) in model.spaces.iter().enumerate() {
        let test = |(name, value): &(Ident, u32)| {
            let c = model.contexts.iter().find(|c| *c.name == *name.name)?;
            Some(format!("rt::field(mode, {}, {}) == {value}", c.lo, c.width))
        };
        let tests: Vec<String> = space.active.iter().filter_map(test).collect();
        let condition = if tests.is_empty() { "true".to_owned() } else { tests.join(" && ") };
        let _ = writeln!(out, "if {condition} {{ return Some({number}); }}");
    }
    out.push_str("None\n}\n");
}

fn decoder(out: &mut String, model: &Model, decoding: &Decoding<'_>) {
    for (index, table) in decoding.tables.iter().enumerate() {
        numbers(out, &format!("BUCKETS_{index}"), &table.buckets);
        numbers(out, &format!("LISTS_{index}"), &table.lists);
    }
    let _ = writeln!(out, "const CLASS: u32 = {};", model.sections.elf_class.max(1));
    out.push_str("static DECODER: ir::bytes::Decoder = ir::bytes::Decoder { spaces: &[\n");
    for (index, table) in decoding.tables.iter().enumerate() {
        let runs = runs(table);
        let _ = writeln!(
            out,
            "ir::decode::Space {{ unit: 1, units: 1, active: (0, 0), select: None, runs: &[{runs}], buckets: &BUCKETS_{index}, lists: &LISTS_{index} }},"
        );
    }
    let (reset, length) = (model.decode_reset(), model.sections.max_length);
    let _ = writeln!(out, "], patterns: &PATTERNS, active, reset: {reset:#x}, max_length: {length} }};");
}
