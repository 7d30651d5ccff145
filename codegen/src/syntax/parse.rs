//! Files to a [`Spec`]: reading, splitting, and parsing of items. Expressions are in `parse/expr.rs`, encodings in
//! `parse/enc.rs`, statements in `parse/stmt.rs`.

mod enc;
mod expr;
mod item;
mod stmt;

use super::ast::{Expr, FileId, Ident, Span, Spec};
use super::grammar::{Grammar, Rule, explain, is_keyword};
use super::split;
use crate::diag::{Diagnostic, Diagnostics, SourceMap};
use pest::Parser as _;
use pest::iterators::Pair;
use std::path::{Path, PathBuf};

/// Parse all `.isa` files of a folder, in the order of their names, and what they include.
///
/// # Errors
/// The folder or a file in it cannot be read. What is wrong inside the files is in the diagnostics.
pub fn parse_dir(dir: &Path) -> anyhow::Result<(Spec, Diagnostics, SourceMap)> {
    use anyhow::Context as _;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).with_context(|| format!("cannot read the folder {}", dir.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == "isa") {
            paths.push(path);
        }
    }
    paths.sort();
    anyhow::ensure!(!paths.is_empty(), "{} contains no .isa files", dir.display());
    parse_files(&paths)
}

/// Parse these files and what they include.
///
/// # Errors
/// A file cannot be read.
pub fn parse_files(paths: &[PathBuf]) -> anyhow::Result<(Spec, Diagnostics, SourceMap)> {
    use anyhow::Context as _;
    let (mut diagnostics, mut sources) = (Diagnostics::default(), SourceMap::default());
    let mut parser = Parser::default();
    let mut queue: std::collections::VecDeque<PathBuf> = paths.iter().cloned().collect();
    while let Some(path) = queue.pop_front() {
        if sources.has(&path) {
            continue;
        }
        let text = std::fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let file = sources.add(&path, text);
        let folder = path.parent().unwrap_or(Path::new(""));
        parser.file(file, &sources.file(file).text, &mut diagnostics);
        for (include, span) in parser.includes.drain(..) {
            let included = folder.join(&include);
            if included.is_file() {
                queue.push_back(included);
            } else {
                let message = format!("cannot find the included file `{include}`");
                diagnostics.push(Diagnostic::error("include", span, message));
            }
        }
    }
    parser.spec.expr_count = parser.next_expr;
    Ok((parser.spec, diagnostics, sources))
}

/// Parse a specification from memory; `include`s are errors.
pub fn parse_text(name: &str, text: &str) -> (Spec, Diagnostics, SourceMap) {
    let (mut diagnostics, mut sources) = (Diagnostics::default(), SourceMap::default());
    let file = sources.add(name, text);
    let mut parser = Parser::default();
    parser.file(file, &sources.file(file).text, &mut diagnostics);
    for (include, span) in parser.includes.drain(..) {
        diagnostics.push(Diagnostic::error(
            "include",
            span,
            format!("`{include}`: text in memory cannot include files"),
        ));
    }
    parser.spec.expr_count = parser.next_expr;
    (parser.spec, diagnostics, sources)
}

/// Parse one expression, for tools and tests.
///
/// # Errors
/// What was expected, with the byte position.
pub fn parse_expr(text: &str) -> Result<Expr, String> {
    let pair = Grammar::parse(Rule::expr, text).map_err(|e| explain(&e).1)?.next().ok_or("nothing")?;
    if pair.as_span().end() != text.trim_end().len() {
        return Err(format!("unexpected text at byte {}", pair.as_span().end()));
    }
    let mut parser = Parser::default();
    Ok(parser.expr(pair))
}

/// State of parsing: the tree so far and where the current item is.
#[derive(Default)]
struct Parser {
    spec: Spec,
    includes: Vec<(String, Span)>,
    file: FileId,
    /// Start of the current item in its file.
    base: u32,
    next_expr: u32,
    /// Mistakes that the grammar lets through, of the current item.
    errors: Vec<Diagnostic>,
}

impl Parser {
    /// Parse all items of a file.
    fn file(&mut self, file: FileId, text: &str, diagnostics: &mut Diagnostics) {
        self.file = file;
        for raw in split::split(file, text, diagnostics) {
            let source = &text[raw.span.start as usize..raw.span.end as usize];
            self.base = raw.span.start;
            match Grammar::parse(Rule::item, source) {
                Ok(mut pairs) => {
                    if let Some(item) = pairs.next().and_then(|item| item.into_inner().next()) {
                        self.item(raw.doc, item);
                    }
                }
                Err(error) => diagnostics.push(self.syntax_error(&error, source)),
            }
            self.errors.drain(..).for_each(|d| diagnostics.push(d));
        }
    }

    fn syntax_error(&self, error: &pest::error::Error<Rule>, source: &str) -> Diagnostic {
        let (at, expected) = explain(error);
        let found = source[at..].split_whitespace().next().unwrap_or("");
        let length = found.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(found.len()).max(1);
        let end = (at + length).min(source.len());
        let span = Span { file: self.file, start: self.base + at as u32, end: self.base + end.max(at) as u32 };
        Diagnostic::error("syntax", span, format!("expected {expected}"))
    }

    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let span = pair.as_span();
        // A rule ending in an optional part takes in the space before what did not follow.
        let end = span.start() + pair.as_str().trim_end().len();
        Span { file: self.file, start: self.base + span.start() as u32, end: self.base + end as u32 }
    }

    fn ident(&self, pair: &Pair<'_, Rule>) -> Ident {
        Ident { name: pair.as_str().trim_end().into(), span: self.span(pair) }
    }

    /// A number that must fit `max`.
    fn number(&mut self, pair: &Pair<'_, Rule>, max: u128) -> u128 {
        let digits = pair.as_str().replace('_', "");
        let value = match digits.get(..2) {
            Some("0x") => u128::from_str_radix(&digits[2..], 16),
            Some("0b") => u128::from_str_radix(&digits[2..], 2),
            _ => digits.parse(),
        };
        match value {
            Ok(value) if value <= max => value,
            _ => {
                let message = format!("this number is greater than {max:#x}");
                self.errors.push(Diagnostic::error("number", self.span(pair), message));
                0
            }
        }
    }
}

/// The parts of a pair, without keywords.
fn parts(pair: Pair<'_, Rule>) -> impl Iterator<Item = Pair<'_, Rule>> {
    pair.into_inner().filter(|p| !is_keyword(p))
}

/// Text of a string literal without quotes, escapes resolved.
fn unquote(literal: &str) -> String {
    unescape(literal.strip_prefix('"').and_then(|s| s.strip_suffix('"')).unwrap_or(literal))
}

/// Replace `\n` and `\t` by what they mean and drop the backslash of everything else.
fn unescape(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n') => out.push('\n'),
                Some('t') => out.push('\t'),
                Some(c) => out.push(c),
                None => {}
            },
            c => out.push(c),
        }
    }
    out
}
