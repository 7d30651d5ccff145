//! `isa doc`: a manual for readers, one page per guest, or some instructions in Markdown.

use super::{check, diagram, html, print};
use anyhow::{Context as _, Result, bail};
use codegen::diag::{SourceMap, did_you_mean};
use codegen::model::{Enc, Insn, Model};
use std::fmt::Write as _;
use std::path::Path;

/// Write `out/<guest>.html`; if there are names of instructions, print these.
pub(crate) fn run(specs: &Path, arch: &str, insns: &[String], out: &Path) -> Result<bool> {
    let loaded = check::load_guest(specs, arch)?;
    if !insns.is_empty() {
        return print(&sections(&loaded.model, &loaded.sources, insns)?);
    }
    std::fs::create_dir_all(out).with_context(|| format!("cannot create {}", out.display()))?;
    let path = out.join(format!("{}.html", loaded.model.name));
    std::fs::write(&path, manual(&loaded.model, &loaded.sources))
        .with_context(|| format!("cannot write {}", path.display()))?;
    print(&format!("{}\n", path.display()))
}

/// Instructions in Markdown: boxes of the encodings, and the source.
fn sections(model: &Model, sources: &SourceMap, insns: &[String]) -> Result<String> {
    let mut text = String::new();
    for name in insns {
        let Some(insn) = model.insns.iter().find(|i| i.name == *name) else {
            match did_you_mean(name, model.insns.iter().map(|i| i.name.as_str())) {
                Some(near) => bail!("there is no instruction `{name}`; did you mean `{near}`?"),
                None => bail!("there is no instruction `{name}`"),
            }
        };
        let _ = writeln!(text, "### {name}\n\n{}\n\n```", insn.doc.trim());
        for enc in &insn.encs {
            let _ = writeln!(text, "{}", diagram::text(&diagram::cells(model, enc, sources)));
        }
        let _ = writeln!(text, "{}\n```\n", source(insn, sources));
    }
    Ok(text)
}

fn manual(model: &Model, sources: &SourceMap) -> String {
    let mut body = String::new();
    for insn in &model.insns {
        let _ = writeln!(body, "<section id=\"{0}\"><h2>{0}</h2>\n<p>{1}</p>", insn.name, html::escape(&insn.doc));
        for enc in &insn.encs {
            boxes(&mut body, model, sources, enc);
        }
        let _ = writeln!(body, "<pre>{}</pre>", html::escape(&operation(insn, sources)));
        tests(&mut body, insn);
        let _ = writeln!(body, "<small>{}</small></section>", insn.at);
    }
    html::page(&format!("{}: instructions", model.name), &body)
}

/// The instruction as it is written.
fn source<'a>(insn: &Insn, sources: &'a SourceMap) -> &'a str {
    let text = &sources.file(insn.span.file).text;
    // The span is that of the name.
    let start = text[..insn.span.start as usize].rfind("insn").unwrap_or(insn.span.start as usize);
    let source = &text[start..];
    &source[..end_of_braces(source)]
}

/// The same, without encodings and tests, which are shown as tables.
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

/// The encoding's bits as a table: numbers of the outer bits of each cell, contents.
fn boxes(out: &mut String, model: &Model, sources: &SourceMap, enc: &Enc) {
    let (mut numbers, mut contents) = (String::new(), String::new());
    for cell in diagram::cells(model, enc, sources) {
        let span = cell.width.max(1);
        let class = if cell.is_field { " class=\"field\"" } else { "" };
        let _ = write!(numbers, "<td colspan=\"{span}\">{}</td>", html::escape(&cell.numbers));
        let _ = write!(contents, "<td colspan=\"{span}\"{class}>{}</td>", html::escape(&cell.label));
    }
    let _ = writeln!(out, "<table class=\"bits\"><tr class=\"number\">{numbers}</tr><tr>{contents}</tr></table>");
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
