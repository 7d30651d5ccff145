//! The space between the tokens of a line.

use super::lex::{Kind, Line, Token};

/// Lines of a paragraph that a column is looked for in, above and below.
const NEAR: usize = 6;

/// Signs between two operands, whatever is before them.
const BETWEEN: [&str; 28] = [
    "=", "=>", "->", "==", "!=", "<", "<=", ">", ">=", "<s", "<u", "<=s", "<=u", ">s", ">u", ">=s", ">=u", "<<", ">>",
    ">>s", "&&", "||", "^", "&", "*", "+", "+:", "/",
];
const BETWEEN_TOO: [&str; 5] = ["%", "/s", "/u", "%s", "%u"];
/// Words that no operand ends with.
const NO_OPERAND: [&str; 19] = [
    "if", "else", "match", "for", "in", "let", "width", "when", "with", "asm", "exec", "show", "get", "set", "test",
    "as", "requires", "enc", "const",
];
/// Words that begin a clause on the line of another.
const CLAUSES: [&str; 3] = ["when", "with", "show"];

/// Set the gaps.
pub(super) fn space(lines: &mut [Line<'_>]) {
    let mut around = Around::default();
    let mut gaps: Vec<Vec<usize>> = (0..lines.len()).map(|number| line_gaps(lines, number, &mut around)).collect();
    let mut from = 0;
    while from < lines.len() {
        let column = comment_column(&lines[from]);
        let same = |l: &&Line<'_>| column.is_some() && comment_column(l) == column;
        let to = from + lines[from..].iter().take_while(same).count().max(1);
        align_comments(&lines[from..to], &mut gaps[from..to]);
        from = to;
    }
    for (line, gaps) in lines.iter_mut().zip(gaps) {
        for (token, gap) in line.tokens.iter_mut().zip(gaps) {
            token.gap = gap;
        }
    }
}

/// Column of the comment behind the code of a line, if it is set apart.
fn comment_column(line: &Line<'_>) -> Option<usize> {
    line.tokens[1..].last().filter(|t| t.kind == Kind::Comment && t.gap > 1).map(|t| t.column)
}

/// Comments that were in one column move together if the code of a line has grown.
fn align_comments(lines: &[Line<'_>], gaps: &mut [Vec<usize>]) {
    let length = |(line, gaps): (&Line<'_>, &Vec<usize>)| {
        let code = &line.tokens[..line.tokens.len() - 1];
        let text: usize = code.iter().map(|t| t.text.chars().count()).sum();
        line.indent + text + gaps.iter().sum::<usize>()
    };
    let column = lines.iter().zip(&*gaps).map(length).max().unwrap_or(0);
    for (line, gaps) in lines.iter().zip(gaps) {
        let missing = column - length((line, gaps));
        if let Some(gap) = gaps.last_mut().filter(|_| lines.len() > 1) {
            *gap += missing;
        }
    }
}

/// What encloses a token.
#[derive(Default)]
struct Around {
    /// A bit pattern, where space has no rules.
    pattern: bool,
    /// Behind the word `pattern`: the pattern comes after the `=`.
    named: bool,
    /// Braces that are open: whether they are those of a block, and not of a set.
    blocks: Vec<bool>,
}

impl Around {
    /// Takes a token in. Whether it is a brace of a block.
    fn step(&mut self, previous: Option<&Token<'_>>, token: &Token<'_>) -> bool {
        match token.text {
            _ if matches!(token.kind, Kind::String | Kind::Comment) => {}
            "enc" => self.pattern = true,
            "pattern" => self.named = true,
            "=" if self.named => (self.pattern, self.named) = (true, false),
            "with" | "when" | ";" | "=>" => self.pattern = false,
            "{" => {
                let block = |p: &Token<'_>| ends_operand(p) || p.is("else") || p.is("=>") || p.is("exec");
                let block = !self.pattern && previous.is_some_and(block);
                self.blocks.push(block);
                return block;
            }
            "}" => return self.blocks.pop().unwrap_or(false),
            _ => {}
        }
        false
    }
}

fn line_gaps(lines: &[Line<'_>], number: usize, around: &mut Around) -> Vec<usize> {
    let line = &lines[number];
    let mut gaps = vec![0];
    let mut after_brace = around.step(None, &line.tokens[0]) && line.tokens[0].opens();
    let mut column = line.tokens[0].end();
    for (i, token) in line.tokens.iter().enumerate().skip(1) {
        let was_pattern = around.pattern;
        let previous = &line.tokens[i - 1];
        let brace = around.step(Some(previous), token);
        let pattern = was_pattern && around.pattern;
        let before = i.checked_sub(2).map(|i| &line.tokens[i]);
        let wide = token.gap > 1 && (pattern || sets_apart(previous, token) || aligned(lines, number, i));
        let least = match () {
            () if pattern => token.gap,
            () if after_brace && token.is("}") => token.gap.min(1),
            () if after_brace || brace => 1,
            () => gap(before, previous, token),
        };
        let gap = if wide { token.column.saturating_sub(column).max(2) } else { least };
        gaps.push(gap);
        column += gap + token.text.chars().count();
        after_brace = brace && token.opens();
    }
    gaps
}

/// Whether more than one blank sets a clause, a block or a comment apart from what is before it.
fn sets_apart(previous: &Token<'_>, token: &Token<'_>) -> bool {
    token.kind == Kind::Comment
        || token.is("{")
        || previous.is("}")
        || previous.is(";")
        || previous.is(",") && token.gap == 2
        || token.kind == Kind::Word && CLAUSES.contains(&token.text)
}

/// Whether a token begins or ends in the same column as one of a line nearby, where the gaps show that this is meant.
fn aligned(lines: &[Line<'_>], number: usize, position: usize) -> bool {
    let token = &lines[number].tokens[position];
    let above = (0..number).rev().take_while(|&n| !lines[n + 1].blank_before);
    let below = (number + 1..lines.len()).take_while(|&n| !lines[n].blank_before);
    let stands =
        |t: &Token<'_>, i: usize| (i == 0 || t.gap > 0) && (t.column == token.column || t.end() == token.end());
    above.take(NEAR).chain(below.take(NEAR)).any(|n| lines[n].tokens.iter().enumerate().any(|(i, t)| stands(t, i)))
}

/// The gap between two tokens that nothing aligns.
fn gap(before: Option<&Token<'_>>, previous: &Token<'_>, token: &Token<'_>) -> usize {
    let as_is = token.gap.min(1);
    let between = |t: &Token<'_>| t.kind == Kind::Sign && (BETWEEN.contains(&t.text) || BETWEEN_TOO.contains(&t.text));
    let either = |t: &Token<'_>| t.kind == Kind::Sign && matches!(t.text, "-" | "@");
    match () {
        () if token.kind == Kind::Comment || previous.kind == Kind::Comment => 1,
        () if token.is(",") || token.is(";") => 0,
        () if previous.is(",") || previous.is(";") => 1,
        () if token.closes() && token.text != "}" || previous.opens() && previous.text != "{" => 0,
        () if between(token) || between(previous) => 1,
        () if either(token) && ends_operand(previous) => 1,
        () if either(previous) => before.map_or(as_is, |b| usize::from(ends_operand(b))),
        () if previous.is("~") || previous.is("!") => 0,
        () if token.is(":") => 0,
        () if previous.is(":") => 1,
        () if token.is("{") && !previous.opens() => {
            as_is.max(usize::from(ends_operand(previous) || previous.kind == Kind::Word))
        }
        () if previous.is("}") && token.kind == Kind::Word => 1,
        () => as_is,
    }
}

fn ends_operand(token: &Token<'_>) -> bool {
    match token.kind {
        Kind::Word => !NO_OPERAND.contains(&token.text),
        Kind::String => true,
        Kind::Sign => token.closes(),
        Kind::Comment => false,
    }
}
