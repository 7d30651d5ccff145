//! The kinds of messages: code, name in the sources, explanation, example. The text is `explanations.md`.

use std::sync::LazyLock;

/// A kind of message.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    /// `E012`: never changes.
    pub code: &'static str,
    /// Name in the sources: `overlap`.
    pub name: &'static str,
    /// One line.
    pub title: &'static str,
    /// Paragraphs.
    pub text: &'static str,
    /// A specification with the mistake.
    pub example: &'static str,
    /// What the example is: `isa` (behind the prelude), `isa alone`, `abi`.
    pub language: &'static str,
}

struct Explanations {
    prelude: &'static str,
    kinds: Vec<Kind>,
}

static ALL: LazyLock<Explanations> = LazyLock::new(|| read(include_str!("explanations.md")));

/// All kinds, by code.
pub fn all() -> &'static [Kind] {
    &ALL.kinds
}

/// What stands in front of an `isa` example.
pub fn prelude() -> &'static str {
    ALL.prelude
}

/// A kind by its code or its name, in any case.
pub fn find(word: &str) -> Option<&'static Kind> {
    all().iter().find(|k| k.code.eq_ignore_ascii_case(word) || k.name.eq_ignore_ascii_case(word))
}

/// The code of a kind's name; the name itself if it has none.
pub fn code(name: &'static str) -> &'static str {
    find(name).map_or(name, |k| k.code)
}

/// Sections `## CODE name: title`, each of paragraphs and a fenced example.
fn read(text: &'static str) -> Explanations {
    let mut sections = text.split("\n## ");
    let (_, prelude, _) = fenced(sections.next().unwrap_or_default());
    let kinds = sections.filter_map(|section| {
        let (heading, rest) = section.split_once('\n')?;
        let (code, heading) = heading.split_once(' ')?;
        let (name, title) = heading.split_once(": ")?;
        let (text, example, language) = fenced(rest);
        Some(Kind { code, name, title, text: text.trim(), example, language })
    });
    Explanations { prelude, kinds: kinds.collect() }
}

/// What is before a fenced block, the block, and what it is said to be.
fn fenced(text: &'static str) -> (&'static str, &'static str, &'static str) {
    let parts = || {
        let (before, rest) = text.split_once("```")?;
        let (language, rest) = rest.split_once('\n')?;
        Some((before, rest.split_once("```")?.0, language))
    };
    parts().unwrap_or((text, "", ""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_complete_and_distinct() {
        assert!(!prelude().is_empty());
        assert_eq!(all().len(), include_str!("explanations.md").matches("\n## ").count(), "a heading is malformed");
        for (i, kind) in all().iter().enumerate() {
            assert!(!kind.title.is_empty() && !kind.text.is_empty() && !kind.example.is_empty(), "{}", kind.code);
            assert!(kind.code.len() == 4 && kind.code[1..].parse::<u32>().is_ok(), "{}", kind.code);
            assert!(["isa", "isa alone", "abi"].contains(&kind.language), "{}: {}", kind.code, kind.language);
            for other in &all()[i + 1..] {
                assert!(kind.code < other.code && kind.name != other.name, "{} and {}", kind.code, other.code);
            }
        }
    }
}
