//! The column that each line begins in.

use super::lex::{Kind, Line, Token};
use crate::syntax::is_item_keyword;

/// Columns of a level.
const STEP: usize = 4;

/// A bracket that is open.
struct Open {
    /// Column of the line it is on: in the source, in the result.
    from: usize,
    to: usize,
    /// It is the last thing on its line: what is inside has lines of its own.
    block: bool,
    /// Column of what follows it on its line: in the source, in the result.
    content: (usize, usize),
}

/// The lines so far.
#[derive(Default)]
struct Layout {
    open: Vec<Open>,
    /// Columns of the line on which the current statement began.
    statement: (usize, usize),
    /// The last token that is no comment ends a statement, or there is none.
    ended: bool,
    /// The statement may have ended: `}`.
    maybe_ended: bool,
    /// Column of the comment that ends the previous line: in the source, in the result.
    comment: Option<(usize, usize)>,
}

/// Set the indentation of all lines.
pub(super) fn indent(lines: &mut [Line<'_>]) {
    let mut layout = Layout { ended: true, ..Layout::default() };
    for line in lines {
        let from = line.indent;
        line.indent = layout.place(line);
        layout.enter(line, from);
    }
}

impl Layout {
    /// Where a line begins.
    fn place(&mut self, line: &Line<'_>) -> usize {
        let (first, from) = (&line.tokens[0], line.indent);
        if let Some((_, column)) = self.comment.filter(|c| line.is_comment() && c.0 == from) {
            return column;
        }
        if first.closes() {
            return match self.open.last() {
                Some(open) if !open.block && from >= open.from => (from + open.to).saturating_sub(open.from),
                Some(open) => open.to,
                None => 0,
            };
        }
        let base = match self.open.last() {
            None => 0,
            Some(open) if open.block => open.to + STEP,
            Some(open) if from == open.content.0 => return open.content.1,
            Some(open) if from >= open.from => return (from + open.to).saturating_sub(open.from),
            Some(open) => return open.to + STEP,
        };
        let moved = (from + self.statement.1).saturating_sub(self.statement.0);
        let continues = match (self.ended, self.maybe_ended) {
            (true, _) => false,
            (_, true) if self.open.is_empty() => !is_item_keyword(first.text) && first.kind != Kind::Comment,
            (_, true) => first.is("else") || moved > base && ["when", "with", "show"].contains(&first.text),
            _ => true,
        };
        if !continues {
            self.statement = (from, base);
            return base;
        }
        match moved > base || first.is("else") && self.statement.1 == base && !self.open.is_empty() {
            true => moved.max(base),
            false => base + STEP,
        }
    }

    /// What a line leaves open, and whether it ends a statement.
    fn enter(&mut self, line: &Line<'_>, from: usize) {
        let last = line.tokens.iter().rposition(|t| t.kind != Kind::Comment);
        for (i, token) in line.tokens.iter().enumerate() {
            if token.opens() {
                let content = line.tokens.get(i + 1).filter(|t| t.kind != Kind::Comment);
                let column = |t: &Token<'_>| (t.column, line.indent + line.column(i + 1));
                let block = Some(i) == last;
                self.open.push(Open { from, to: line.indent, block, content: content.map_or((0, 0), column) });
            } else if token.closes() {
                self.open.pop();
            }
        }
        if let Some(last) = last {
            let token = &line.tokens[last];
            self.ended = token.is(";") || token.opens() || token.is(",") && !self.open.is_empty();
            self.maybe_ended = token.is("}");
        }
        let number = line.tokens.len() - 1;
        let ends_in_comment = line.tokens[number].kind == Kind::Comment;
        let kept = self.comment.filter(|c| c.0 == from);
        self.comment = match number {
            0 => kept,
            _ => ends_in_comment.then(|| (line.tokens[number].column, line.indent + line.column(number))),
        };
    }
}
