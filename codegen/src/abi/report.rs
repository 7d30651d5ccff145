//! Errors of `.abi` files, in the order found.

pub(crate) use crate::diag::Diagnostic;
use crate::diag::{Diagnostics, Label};
pub(crate) use crate::syntax::ast::{FileId, Span};

/// Code of every diagnostic of this language.
const CODE: &str = "abi";

/// Collected errors.
#[derive(Default, Debug)]
pub(crate) struct Report {
    /// In the order found, without repetition.
    pub(crate) errors: Vec<Diagnostic>,
}

/// The error just reported, to add to.
pub(crate) struct Last<'a>(&'a mut Diagnostic);

impl Report {
    /// Add an error.
    pub(crate) fn error(&mut self, span: Span, message: impl Into<String>) -> Last<'_> {
        self.errors.push(Diagnostic::error(CODE, span, message));
        let last = self.errors.len() - 1;
        Last(&mut self.errors[last])
    }

    /// As the crate's diagnostics. The common files are resolved once per architecture: the same error is told once.
    pub(crate) fn into_diagnostics(self) -> Diagnostics {
        let mut told: Vec<(Span, String)> = Vec::new();
        let mut out = Diagnostics::default();
        for error in self.errors {
            let key = (error.primary.span, error.message.clone());
            if !told.contains(&key) {
                told.push(key);
                out.push(error);
            }
        }
        out
    }
}

impl Last<'_> {
    /// Point at a related place.
    pub(crate) fn note(self, span: Span, message: impl Into<String>) -> Self {
        self.0.secondary.push(Label { span, text: message.into() });
        self
    }

    /// Say what to do.
    pub(crate) fn help(self, text: impl Into<String>) -> Self {
        self.0.notes.push(text.into());
        self
    }
}
