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

    /// The text.
    pub(super) fn finish(self) -> String {
        self.text
    }
}
