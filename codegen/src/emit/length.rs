//! How long generated functions are.

use super::MAX_FUNCTION_LINES;

/// The source, or which function of it is too long; `module` is what it is the source of.
pub(crate) fn limited(module: &str, source: String) -> Result<String, String> {
    match longest_function(&source).filter(|(_, lines)| *lines > MAX_FUNCTION_LINES) {
        Some((name, lines)) => Err(format!(
            "{module}: generated function `{name}` has {lines} lines, more than {MAX_FUNCTION_LINES}: split what it is made from into \
             functions or instructions"
        )),
        None => Ok(source),
    }
}

/// The longest function in Rust source, those in modules included: its name, with the first line of its documentation, and its lines.
pub fn longest_function(source: &str) -> Option<(String, usize)> {
    let mut longest: Option<(String, usize)> = None;
    // Name, first line and depth of the function whose body is open; an inner one counts as part of it.
    let mut open: Option<(String, usize, usize)> = None;
    let (mut depth, mut doc) = (0, "");
    for (number, line) in source.lines().enumerate() {
        if open.is_none()
            && let Some(name) = declared(line)
        {
            open = Some((format!("{name}{doc}"), number, depth));
        }
        doc = line.trim_start().strip_prefix("///").unwrap_or("");
        let (opened, closed) = braces(line);
        depth = (depth + opened).saturating_sub(closed);
        if let Some((name, first, _)) = open.take_if(|(_, _, outside)| depth <= *outside && closed > 0) {
            let lines = number - first + 1;
            if longest.as_ref().is_none_or(|(_, l)| lines > *l) {
                longest = Some((name, lines));
            }
        }
    }
    longest
}

/// The name of the function that a line declares.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim_start();
    let words = ["pub(super) ", "pub(crate) ", "pub ", "const ", "unsafe ", "fn "];
    let rest = words.iter().fold(line, |rest, word| rest.strip_prefix(word).unwrap_or(rest));
    line[..line.len() - rest.len()].ends_with("fn ").then(|| rest.split(['(', '<']).next()).flatten()
}

/// Braces that a line opens and closes, strings, characters and comments aside.
fn braces(line: &str) -> (usize, usize) {
    let (mut opened, mut closed) = (0, 0);
    let mut rest = line;
    while let Some(c) = rest.chars().next() {
        let taken = match c {
            '/' if rest.starts_with("//") => break,
            '"' => 1 + string_length(&rest[1..]),
            '\'' if rest.starts_with("'{'") || rest.starts_with("'}'") || rest.starts_with("'\"'") => 3,
            _ => c.len_utf8(),
        };
        opened += usize::from(c == '{');
        closed += usize::from(c == '}');
        rest = &rest[taken.min(rest.len())..];
    }
    (opened, closed)
}

/// Bytes up to and including the closing quote.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    let end = text.bytes().position(|b| {
        let ends = b == b'"' && !escaped;
        escaped = b == b'\\' && !escaped;
        ends
    });
    end.map_or(text.len(), |n| n + 1)
}

#[cfg(test)]
mod tests {
    use super::{MAX_FUNCTION_LINES, limited, longest_function};

    #[test]
    fn source_with_a_function_that_is_too_long_is_refused() {
        let source = |lines: usize| format!("mod m {{\npub fn a() {{\n{}}}\n}}\n", "b();\n".repeat(lines - 2));
        assert_eq!(limited("x", source(MAX_FUNCTION_LINES)), Ok(source(MAX_FUNCTION_LINES)));
        let message = limited("x", source(MAX_FUNCTION_LINES + 1)).unwrap_err();
        assert!(message.starts_with("x: generated function `a` has 401 lines"), "{message}");
    }

    #[test]
    fn inner_blocks_and_strings_do_not_end_a_function() {
        let source = "/// Doc.\nfn a() {\nif x {\ny;\n}\nlet t = \"}\\\"}\"; // }\nz('}');\n}\nmod m {\npub fn b(x: &'static str) -> u8 {\n1\n}\n}\n";
        assert_eq!(longest_function(source), Some(("a Doc.".to_owned(), 7)));
        assert_eq!(longest_function(&source[source.find("mod").unwrap()..]), Some(("b".to_owned(), 3)));
        assert_eq!(longest_function("fn c() { }\n"), Some(("c".to_owned(), 1)));
        assert_eq!(longest_function("pub(crate) const fn c() {\n}\n"), Some(("c".to_owned(), 2)));
        assert_eq!(longest_function("pub const A: u8 = 1;\n"), None);
        assert_eq!(longest_function("static A: [u8; 2] = [\n1,\n2,\n];\n"), None);
    }
}
