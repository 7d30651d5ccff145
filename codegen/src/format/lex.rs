//! Lines of tokens.

use crate::syntax::string_length;

/// A line that is not blank.
pub(super) struct Line<'a> {
    /// At least one.
    pub(super) tokens: Vec<Token<'a>>,
    /// Column of its first token: in the source, later in the result.
    pub(super) indent: usize,
    /// A blank line is before it.
    pub(super) blank_before: bool,
}

/// A word, number, string, comment or sign.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    pub(super) text: &'a str,
    pub(super) kind: Kind,
    /// Blanks before it; 0 for the first of a line.
    pub(super) gap: usize,
    /// Column in the source.
    pub(super) column: usize,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    Word,
    String,
    Comment,
    Sign,
}

/// Signs of several characters, longer ones first.
const SIGNS: [&str; 14] = ["..=", "..", "+:", "=>", "->", "==", "!=", "<<", ">>", "<=", ">=", "&&", "||", "::"];
/// Signs that may be followed by the letter of a signedness.
const SIGNED: [&str; 7] = ["<=", ">=", ">>", "<", ">", "/", "%"];

impl<'a> Token<'a> {
    /// Whether it is this sign or word.
    pub(super) fn is(&self, text: &str) -> bool {
        self.text == text && matches!(self.kind, Kind::Sign | Kind::Word)
    }

    pub(super) fn opens(&self) -> bool {
        self.kind == Kind::Sign && matches!(self.text, "(" | "[" | "{")
    }

    pub(super) fn closes(&self) -> bool {
        self.kind == Kind::Sign && matches!(self.text, ")" | "]" | "}")
    }

    /// Column behind it.
    pub(super) fn end(&self) -> usize {
        self.column + self.text.chars().count()
    }
}

impl<'a> Line<'a> {
    /// The last token that is not a comment.
    pub(super) fn last_code(&self) -> Option<&Token<'a>> {
        self.tokens.iter().rev().find(|t| t.kind != Kind::Comment)
    }

    /// Only a comment.
    pub(super) fn is_comment(&self) -> bool {
        self.tokens[0].kind == Kind::Comment
    }

    /// Column of each token when the first is at 0.
    pub(super) fn column(&self, number: usize) -> usize {
        let before = self.tokens[..number].iter().map(|t| t.gap + t.text.chars().count());
        before.sum::<usize>() + self.tokens[number].gap
    }
}

/// The lines that are not blank.
pub(super) fn lines(text: &str) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    let (mut at, mut column, mut blanks, mut newlines) = (0, 0, 0, 0);
    while let Some(c) = text[at..].chars().next() {
        match c {
            '\n' => (newlines, column, blanks) = (newlines + 1, 0, 0),
            '\t' => (column, blanks) = (column + 4, blanks + 4),
            c if c.is_whitespace() => (column, blanks) = (column + 1, blanks + 1),
            _ => {
                let (kind, length) = token(&text[at..]);
                let first = newlines > 0 || lines.is_empty();
                if first {
                    lines.push(Line { tokens: Vec::new(), indent: column, blank_before: newlines > 1 });
                }
                let token =
                    Token { text: text[at..at + length].trim_end(), kind, gap: if first { 0 } else { blanks }, column };
                column = token.end();
                (blanks, newlines) = (0, 0);
                lines.last_mut().expect("a line was begun").tokens.push(token);
                at += length;
                continue;
            }
        }
        at += c.len_utf8();
    }
    lines
}

/// Kind and length of the token at the start of `text`.
fn token(text: &str) -> (Kind, usize) {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    let line = text.find('\n').unwrap_or(text.len());
    if text.starts_with("//") {
        (Kind::Comment, line)
    } else if text.starts_with("/*") {
        (Kind::Comment, text.find("*/").map_or(text.len(), |n| n + 2))
    } else if text.starts_with('"') {
        (Kind::String, string_length(&text.as_bytes()[..line]).unwrap_or(line))
    } else if text.starts_with(word) {
        (Kind::Word, text.find(|c| !word(c)).unwrap_or(text.len()))
    } else {
        (Kind::Sign, sign(text))
    }
}

fn sign(text: &str) -> usize {
    let signed = SIGNED.iter().find(|s| {
        let rest = text.strip_prefix(**s).and_then(|r| r.strip_prefix(['s', 'u']));
        rest.is_some_and(|r| !r.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
    });
    let plain = || SIGNS.iter().find(|s| text.starts_with(**s)).map(|s| s.len());
    let one = || text.chars().next().map_or(0, char::len_utf8);
    signed.map(|s| s.len() + 1).or_else(plain).unwrap_or_else(one)
}
