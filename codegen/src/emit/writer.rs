//! Indented text. Generated Rust is written directly: parsing and pretty-printing megabytes costs seconds of every build.

/// Text being written, with its indentation.
#[derive(Default)]
pub(super) struct Writer {
    text: String,
    depth: usize,
}

impl Writer {
    /// A line; an empty one has no indentation.
    pub(super) fn line(&mut self, line: &str) {
        if !line.is_empty() {
            self.text.extend(std::iter::repeat_n("    ", self.depth));
            self.text.push_str(line);
        }
        self.text.push('\n');
    }

    /// A line that opens a block: what follows is indented.
    pub(super) fn open(&mut self, line: &str) {
        self.line(line);
        self.depth += 1;
    }

    /// A line that closes a block.
    pub(super) fn close(&mut self, line: &str) {
        self.depth = self.depth.saturating_sub(1);
        self.line(line);
    }

    /// `} else {` and its like.
    pub(super) fn reopen(&mut self, line: &str) {
        self.close(line);
        self.depth += 1;
    }

    /// Lines that are indented relative to where they go.
    pub(super) fn lines(&mut self, text: &str) {
        text.lines().for_each(|l| self.line(l));
    }

    /// How much was written: a mark for [`Writer::rebind`].
    pub(super) fn position(&self) -> usize {
        self.text.len()
    }

    /// The statement `let old = value;` that starts at `start` becomes `let new = value;` or, without a name, `value`.
    pub(super) fn rebind(&mut self, start: usize, old: &str, new: Option<&str>) {
        let prefix = format!("let {old} = ");
        let Some(at) = self.text[start..].find(&prefix).map(|i| start + i) else { return };
        let replacement = new.map(|n| format!("let {n} = ")).unwrap_or_default();
        self.text.replace_range(at..at + prefix.len(), &replacement);
        if new.is_none() && self.text.ends_with(";\n") {
            self.text.truncate(self.text.len() - 2);
            self.text.push('\n');
        }
    }

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}
