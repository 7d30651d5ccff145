//! Splits a file into its items by matching brackets outside strings and comments. Each item is then parsed alone, so
//! that a mistake in one gives one message and the others are still checked.

use super::ast::{FileId, Span};
use crate::diag::{Diagnostic, Diagnostics, did_you_mean};

/// The text of one item.
#[derive(Debug)]
pub(super) struct RawItem {
    /// Documentation comment above it.
    pub doc: String,
    /// From the keyword to the last `;` or `}`.
    pub span: Span,
}

/// Words an item starts with, and what ends it.
const KEYWORDS: [(&str, End); 26] = [
    ("abi", End::Brace),
    ("arch", End::Brace),
    ("config", End::Semicolon),
    ("const", End::Semicolon),
    ("context", End::Semicolon),
    ("decode_var", End::Semicolon),
    ("disassembler", End::Brace),
    ("elf", End::Brace),
    ("enum", End::Brace),
    ("extern", End::Semicolon),
    ("fn", End::Either),
    ("fp", End::Brace),
    ("include", End::Semicolon),
    ("insn", End::Brace),
    ("instance", End::Brace),
    ("memory", End::Brace),
    ("native_call", End::Brace),
    ("operand", End::Brace),
    ("pattern", End::Semicolon),
    ("prefix", End::Brace),
    ("process", End::Brace),
    ("reg", End::Semicolon),
    ("show", End::Semicolon),
    ("space", End::Brace),
    ("syscall", End::Brace),
    ("view", End::Brace),
];

/// What ends an item.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// A `;` outside brackets.
    Semicolon,
    /// The `}` of its first brace outside other brackets.
    Brace,
    /// `;` if a `=` comes before the first brace, else the brace.
    Either,
}

/// Deepest nesting of brackets: more is a mistake, and deeper recursion could exhaust the stack.
const MAX_DEPTH: usize = 64;
/// Longest item in bytes.
const MAX_ITEM: usize = 256 * 1024;

/// Split `text`.
pub(super) fn split(file: FileId, text: &str, diagnostics: &mut Diagnostics) -> Vec<RawItem> {
    let mut splitter = Splitter { file, text, bytes: text.as_bytes(), at: 0, diagnostics };
    let mut items = Vec::new();
    while let Some(item) = splitter.next_item() {
        items.push(item);
    }
    items
}

struct Splitter<'a> {
    file: FileId,
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    diagnostics: &'a mut Diagnostics,
}

impl Splitter<'_> {
    fn next_item(&mut self) -> Option<RawItem> {
        loop {
            let doc = self.skip_to_item()?;
            let start = self.at;
            let word = self.word_at(start).to_owned();
            let Some((_, end)) = KEYWORDS.iter().find(|(k, _)| *k == word) else {
                self.unknown_item(start, &word);
                continue;
            };
            if let Some(stop) = self.item_end(start, *end) {
                self.at = stop;
                if stop - start > MAX_ITEM {
                    let message = format!("this item is longer than {MAX_ITEM} bytes");
                    self.error("syntax", start, start + word.len(), message);
                    continue;
                }
                return Some(RawItem { doc, span: self.span(start, stop) });
            }
        }
    }

    /// Skip space and comments; returns the doc lines directly above what follows, `None` at the end of the file.
    fn skip_to_item(&mut self) -> Option<String> {
        let mut doc = String::new();
        loop {
            let from = self.at;
            while self.bytes.get(self.at).is_some_and(u8::is_ascii_whitespace) {
                self.at += 1;
            }
            if self.bytes[from..self.at].iter().filter(|&&b| b == b'\n').count() > 1 {
                doc.clear();
            }
            let rest = &self.bytes[self.at..];
            if rest.is_empty() {
                return None;
            } else if rest.starts_with(b"//") {
                let end = line_end(self.bytes, self.at);
                match self.text[self.at..end].strip_prefix("///") {
                    Some(line) => {
                        doc.push_str(line.strip_prefix(' ').unwrap_or(line).trim_end());
                        doc.push('\n');
                    }
                    None => doc.clear(),
                }
                self.at = end;
            } else if rest.starts_with(b"/*") {
                doc.clear();
                self.at = self.comment_end(self.at);
            } else {
                return Some(doc);
            }
        }
    }

    /// Where the item that starts at `start` ends; reports and moves on if it has no end.
    fn item_end(&mut self, start: usize, end: End) -> Option<usize> {
        let mut open: Vec<(u8, usize)> = Vec::new();
        let mut end = end;
        let mut at = start;
        // A string without end swallows brackets: what follows from that is not reported.
        let mut broken = false;
        while at < self.bytes.len() {
            match self.bytes[at] {
                b'"' => {
                    let end = self.string_end(at);
                    broken |= end.is_none();
                    at = end.unwrap_or_else(|| line_end(self.bytes, at));
                    continue;
                }
                b'/' if self.bytes[at..].starts_with(b"//") => {
                    at = line_end(self.bytes, at);
                    continue;
                }
                b'/' if self.bytes[at..].starts_with(b"/*") => {
                    at = self.comment_end(at);
                    continue;
                }
                b'\n' if !open.is_empty() && self.starts_item(at + 1) => {
                    self.unclosed(start, at + 1, &open, broken);
                    return None;
                }
                b @ (b'(' | b'[' | b'{') => {
                    if end == End::Either && open.is_empty() && b == b'{' {
                        end = End::Brace;
                    }
                    open.push((b, at));
                    if open.len() > MAX_DEPTH {
                        self.error("syntax", at, at + 1, "brackets are nested too deeply".to_owned());
                        self.at = self.next_start(at);
                        return None;
                    }
                }
                b @ (b')' | b']' | b'}') => {
                    let Some((opened, place)) = open.pop() else {
                        self.error("syntax", at, at + 1, format!("unexpected `{}`", char::from(b)));
                        self.at = self.next_start(at);
                        return None;
                    };
                    if opened != opener(b) {
                        self.mismatch(place, at);
                        self.at = self.next_start(at);
                        return None;
                    }
                    if b == b'}' && open.is_empty() && end == End::Brace {
                        return Some(at + 1);
                    }
                }
                b'=' if end == End::Either && open.is_empty() => end = End::Semicolon,
                b';' if open.is_empty() => return Some(at + 1),
                _ => {}
            }
            at += 1;
        }
        if open.is_empty() {
            let at = at.min(self.bytes.len());
            self.error("syntax", start, start + self.word_at(start).len(), "this item does not end".to_owned());
            self.at = at;
            return None;
        }
        self.unclosed(start, at, &open, broken);
        None
    }

    /// An item begins while brackets are open.
    fn unclosed(&mut self, start: usize, next: usize, open: &[(u8, usize)], reported: bool) {
        self.at = next;
        let Some(&(bracket, place)) = open.last().filter(|_| !reported) else { return };
        let span = self.span(place, place + 1);
        let item = self.span(start, start + self.word_at(start).len());
        let message = format!("this `{}` is not closed", char::from(bracket));
        self.diagnostics.push(Diagnostic::error("syntax", span, message).also(item, "in this item"));
    }

    fn mismatch(&mut self, open: usize, close: usize) {
        let (open, close) = (self.span(open, open + 1), self.span(close, close + 1));
        let message = "these brackets do not match";
        self.diagnostics.push(Diagnostic::error("syntax", close, message).also(open, "opened here"));
    }

    fn unknown_item(&mut self, start: usize, word: &str) {
        let shown = if word.is_empty() { char_at(self.text, start) } else { word };
        let mut d = Diagnostic::error(
            "syntax",
            self.span(start, start + shown.len()),
            format!("expected an item, found `{}`", shown.escape_debug()),
        );
        if let Some(known) = did_you_mean(word, KEYWORDS.iter().map(|(k, _)| *k)) {
            d = d.note(format!("did you mean `{known}`?"));
        }
        self.diagnostics.push(d);
        self.at = self.next_start(start + shown.len());
    }

    /// The next line that starts an item, or the end.
    fn next_start(&self, from: usize) -> usize {
        let mut at = from;
        while at < self.bytes.len() {
            at = line_end(self.bytes, at) + 1;
            if self.starts_item(at) {
                return at;
            }
        }
        self.bytes.len()
    }

    /// Whether the line at `at` looks like the start of an item: a keyword in the first column, followed by a name or `{`.
    fn starts_item(&self, at: usize) -> bool {
        let word = self.word_at(at);
        KEYWORDS.iter().any(|(k, _)| *k == word) && {
            let rest = self.text[at + word.len()..].trim_start_matches([' ', '\t']);
            rest.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '{')
        }
    }

    fn word_at(&self, at: usize) -> &str {
        let rest = self.bytes.get(at..).unwrap_or_default();
        let n = rest.iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
        &self.text[at.min(self.text.len())..][..n]
    }

    fn comment_end(&self, at: usize) -> usize {
        self.text[at..].find("*/").map_or(self.bytes.len(), |n| at + n + 2)
    }

    /// One past the closing quote, if there is one on this line.
    fn string_end(&mut self, at: usize) -> Option<usize> {
        let line = &self.bytes[at..line_end(self.bytes, at)];
        let length = string_length(line);
        if length.is_none() {
            self.error("syntax", at, at + 1, "this string does not end on its line".to_owned());
        }
        length.map(|n| at + n)
    }

    fn error(&mut self, code: &'static str, start: usize, end: usize, message: String) {
        let span = self.span(start, end);
        self.diagnostics.push(Diagnostic::error(code, span, message));
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span { file: self.file, start: start as u32, end: end as u32 }
    }
}

/// Length of the string that starts `line`, if it ends there. Holes may contain strings, plain or with escaped quotes.
pub(crate) fn string_length(line: &[u8]) -> Option<usize> {
    nested_string_end(line).or_else(|| plain_string_end(line))
}

/// Whether an item may begin with this word.
pub(crate) fn is_item_keyword(word: &str) -> bool {
    KEYWORDS.iter().any(|(k, _)| *k == word)
}

/// End of the string that starts `s`, with holes and the strings in them.
fn nested_string_end(s: &[u8]) -> Option<usize> {
    /// What encloses the current position.
    #[derive(PartialEq, Clone, Copy)]
    enum In {
        Plain,
        Escaped,
        Hole,
    }
    let mut stack = vec![In::Plain];
    let mut at = 1;
    while at < s.len() {
        let quote = s[at..].starts_with(b"\\\"");
        match (*stack.last()?, s[at]) {
            (In::Escaped, b'\\') if quote => {
                stack.pop();
                at += 1;
            }
            (In::Hole, b'\\') if quote => {
                stack.push(In::Escaped);
                at += 1;
            }
            (In::Plain | In::Escaped, b'\\') => at += 1,
            (In::Plain, b'"') => {
                stack.pop();
                if stack.is_empty() {
                    return Some(at + 1);
                }
            }
            (In::Escaped, b'"') => return None,
            (In::Hole, b'"') => stack.push(In::Plain),
            (_, b'{') => stack.push(In::Hole),
            (In::Hole, b'}') => {
                stack.pop();
            }
            _ => {}
        }
        at += 1;
    }
    None
}

/// End of the string that starts `s`, holes or not.
fn plain_string_end(s: &[u8]) -> Option<usize> {
    let mut at = 1;
    while at < s.len() {
        match s[at] {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    None
}

fn line_end(bytes: &[u8], at: usize) -> usize {
    bytes[at.min(bytes.len())..].iter().position(|&b| b == b'\n').map_or(bytes.len(), |n| at + n)
}

fn opener(close: u8) -> u8 {
    match close {
        b')' => b'(',
        b']' => b'[',
        _ => b'{',
    }
}

fn char_at(text: &str, at: usize) -> &str {
    let n = text[at..].chars().next().map_or(0, char::len_utf8);
    &text[at..at + n]
}
