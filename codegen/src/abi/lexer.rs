//! Tokens of the `.abi` language: names, numbers, strings, punctuation. `//` starts a comment.

use super::report::{FileId, Report, Span};

/// A token.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Tok {
    /// Identifier or word of the language.
    Name(String),
    /// Decimal, `0x`, `0o` or `0b` number; `_` separates digits.
    Int(u64),
    /// `"…"`, without escapes.
    Str(String),
    /// Punctuation: `->` `<<` or one character.
    Punct(&'static str),
    /// End of file.
    End,
}

impl std::fmt::Display for Tok {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Tok::Name(n) => write!(f, "`{n}`"),
            Tok::Int(i) => write!(f, "`{i}`"),
            Tok::Str(s) => write!(f, "\"{s}\""),
            Tok::Punct(p) => write!(f, "`{p}`"),
            Tok::End => f.write_str("the end of the file"),
        }
    }
}

const PUNCTUATION: [&str; 23] = [
    "->", "<<", "..", "{", "}", "(", ")", "[", "]", ":", ";", ",", "=", "|", "&", "*", "-", "?", "+", "@", ".", "<",
    ">",
];

/// Tokens of `text`, each with its span; the last is [`Tok::End`]. Stray characters are reported and skipped.
pub(crate) fn lex(file: FileId, text: &str, report: &mut Report) -> Vec<(Tok, Span)> {
    let mut tokens = Vec::new();
    let mut at = 0;
    let span = |start: usize, end: usize| Span { file, start: start as u32, end: end as u32 };
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at..];
        let len = if c.is_whitespace() {
            c.len_utf8()
        } else if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else {
            match token(rest) {
                Ok((tok, len)) => {
                    tokens.push((tok, span(at, at + len)));
                    len
                }
                Err((message, len)) => {
                    report.error(span(at, at + len), message);
                    len
                }
            }
        };
        at += len;
    }
    tokens.push((Tok::End, span(text.len(), text.len())));
    tokens
}

fn token(rest: &str) -> Result<(Tok, usize), (String, usize)> {
    let first = rest.chars().next().unwrap_or(' ');
    if first.is_ascii_digit() {
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return match number(&rest[..len]) {
            Some(value) => Ok((Tok::Int(value), len)),
            None => Err((format!("`{}` is not a 64-bit number", &rest[..len]), len)),
        };
    }
    if first.is_ascii_alphabetic() || first == '_' {
        let len = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
        return Ok((Tok::Name(rest[..len].to_owned()), len));
    }
    if first == '"' {
        let line = &rest[1..rest.find('\n').unwrap_or(rest.len()).max(1)];
        return match line.find('"') {
            Some(end) => Ok((Tok::Str(line[..end].to_owned()), end + 2)),
            None => Err(("this string has no closing quote on its line".to_owned(), line.len() + 1)),
        };
    }
    match PUNCTUATION.iter().find(|p| rest.starts_with(**p)) {
        Some(p) => Ok((Tok::Punct(p), p.len())),
        None => Err((format!("`{first}` has no meaning here"), first.len_utf8())),
    }
}

fn number(text: &str) -> Option<u64> {
    let digits = text.replace('_', "");
    match digits.get(..2) {
        Some("0x") => u64::from_str_radix(&digits[2..], 16).ok(),
        Some("0o") => u64::from_str_radix(&digits[2..], 8).ok(),
        Some("0b") => u64::from_str_radix(&digits[2..], 2).ok(),
        _ => digits.parse().ok(),
    }
}
