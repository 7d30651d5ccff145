//! Diagnostics of specifications: collected, never fail-fast, rendered in the style of rustc.

use crate::codes;
use crate::syntax::ast::{FileId, Span};
use annotate_snippets::{Annotation, AnnotationKind, Level, Renderer, Snippet};
use std::path::{Path, PathBuf};

/// The source files that spans point into.
#[derive(Debug, Default)]
pub struct SourceMap {
    files: Vec<SourceFile>,
}

/// A source file.
#[derive(Debug)]
pub struct SourceFile {
    /// As given or found; printed in messages.
    pub path: PathBuf,
    /// Contents.
    pub text: String,
}

impl SourceMap {
    /// Add a file.
    pub fn add(&mut self, path: impl Into<PathBuf>, text: impl Into<String>) -> FileId {
        self.files.push(SourceFile { path: path.into(), text: text.into() });
        FileId((self.files.len() - 1) as u16)
    }

    /// A file.
    pub fn file(&self, id: FileId) -> &SourceFile {
        &self.files[id.0 as usize]
    }

    /// All files.
    pub fn files(&self) -> impl Iterator<Item = &SourceFile> {
        self.files.iter()
    }

    /// Whether a file of this path was added.
    pub fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|f| f.path == path)
    }

    /// Source text of a span.
    pub fn text(&self, span: Span) -> &str {
        self.file(span.file).text.get(span.start as usize..span.end as usize).unwrap_or("")
    }

    /// Line (from 1) of a span's start.
    pub fn line(&self, span: Span) -> usize {
        let text = self.file(span.file).text.as_bytes();
        1 + text[..(span.start as usize).min(text.len())].iter().filter(|&&b| b == b'\n').count()
    }

    /// `file:line` with the file's name only: stable in generated comments and tests.
    pub fn at(&self, span: Span) -> String {
        let name = self.file(span.file).path.file_name().map_or_else(Default::default, |n| n.to_string_lossy());
        format!("{name}:{}", self.line(span))
    }
}

/// How bad.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Severity {
    /// Generation stops.
    Error,
    /// Reported only.
    Warning,
}

/// A message about a specification.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad.
    pub severity: Severity,
    /// Its kind's name, as in `explanations.md`: `width`, `overlap`, `key` …; messages show the code of it.
    pub code: &'static str,
    /// What is wrong.
    pub message: String,
    /// The place.
    pub primary: Label,
    /// Related places.
    pub secondary: Vec<Label>,
    /// Explanations and help.
    pub notes: Vec<String>,
}

/// A place and what to say about it.
#[derive(Clone, Debug)]
pub struct Label {
    /// Where.
    pub span: Span,
    /// Text next to the underline; may be empty.
    pub text: String,
}

impl Diagnostic {
    /// An error at `span`.
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            code,
            message: message.into(),
            primary: Label { span, text: String::new() },
            secondary: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// A warning at `span`.
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Diagnostic {
        Diagnostic { severity: Severity::Warning, ..Diagnostic::error(code, span, message) }
    }

    /// Text next to the primary underline.
    #[must_use]
    pub fn label(mut self, text: impl Into<String>) -> Diagnostic {
        self.primary.text = text.into();
        self
    }

    /// A related place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Diagnostic {
        self.secondary.push(Label { span, text: text.into() });
        self
    }

    /// An explanation.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Diagnostic {
        self.notes.push(text.into());
        self
    }

    /// Text for people.
    pub fn render(&self, sources: &SourceMap, colour: bool) -> String {
        let level = match self.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let title = level.primary_title(&self.message).id(codes::code(self.code));
        let mut group = title.element(self.snippet(self.primary.span.file, sources));
        let mut others: Vec<FileId> = self.secondary.iter().map(|l| l.span.file).collect();
        others.retain(|&f| f != self.primary.span.file);
        others.dedup();
        for file in others {
            group = group.element(self.snippet(file, sources));
        }
        for note in &self.notes {
            group = group.element(Level::NOTE.message(note));
        }
        let renderer = if colour { Renderer::styled() } else { Renderer::plain() };
        renderer.render(&[group])
    }

    /// The lines of one file with the labels in it.
    fn snippet<'a>(&'a self, file: FileId, sources: &'a SourceMap) -> Snippet<'a, Annotation<'a>> {
        let source = sources.file(file);
        let mut snippet = Snippet::source(&source.text).path(source.path.display().to_string());
        let all = [(AnnotationKind::Primary, &self.primary)];
        let rest = self.secondary.iter().map(|l| (AnnotationKind::Context, l));
        for (kind, label) in all.into_iter().chain(rest).filter(|(_, l)| l.span.file == file) {
            let end = (label.span.end as usize).min(source.text.len());
            let annotation = kind.span((label.span.start as usize).min(end)..end);
            snippet = snippet.annotation(match label.text.is_empty() {
                true => annotation,
                false => annotation.label(&label.text),
            });
        }
        snippet
    }
}

/// The messages of a run.
#[derive(Debug, Default)]
pub struct Diagnostics {
    list: Vec<Diagnostic>,
}

impl Diagnostics {
    /// Add one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.list.push(diagnostic);
    }

    /// Whether generation must stop.
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|d| d.severity == Severity::Error)
    }

    /// All, in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.list.iter()
    }

    /// Number of messages.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// No message at all.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// All as text for people, in source order.
    pub fn render(&self, sources: &SourceMap, colour: bool) -> String {
        let mut sorted: Vec<&Diagnostic> = self.list.iter().collect();
        sorted.sort_by_key(|d| d.primary.span);
        let mut text = String::new();
        for diagnostic in sorted {
            text.push_str(&diagnostic.render(sources, colour));
            text.push_str("\n\n");
        }
        text
    }
}

/// The known word closest to `word`, if it is close enough to be a slip.
pub fn did_you_mean<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = 1 + word.len() / 4;
    known
        .into_iter()
        .map(|k| (distance(word, k), k))
        .filter(|(d, _)| *d <= limit && *d < word.len())
        .min()
        .map(|(_, k)| k)
}

/// Edit distance.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let change = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}
