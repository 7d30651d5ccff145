//! Encodings: bit patterns and the clauses of instructions around them.

use super::{Parser, parts, unquote};
use crate::diag::Diagnostic;
use crate::syntax::ast::{
    Binding, BitPattern, Constraint, ConstraintValue, Enc, Expr, ExprKind, FieldWidth, MacroArg, PatBit, PatItem,
    PatKind, Span, Test,
};
use crate::syntax::grammar::Rule;
use pest::iterators::Pair;

impl Parser {
    /// Rule `bitpat`.
    pub(super) fn bitpat(&mut self, pair: Pair<'_, Rule>) -> BitPattern {
        let span = self.span(&pair);
        let items = parts(pair).map(|p| PatItem { span: self.span(&p), kind: self.patitem(p) }).collect();
        BitPattern { items, span }
    }

    fn patitem(&mut self, pair: Pair<'_, Rule>) -> PatKind {
        let text = pair.as_str();
        match pair.as_rule() {
            Rule::hexlit => {
                let width = 4 * (text.trim_end().len() as u32 - 2);
                PatKind::Hex { value: self.number(&pair, u128::MAX), width }
            }
            Rule::should => PatKind::ShouldBe(text.bytes().filter(u8::is_ascii_digit).map(|b| b == b'1').collect()),
            Rule::piece => self.piece(pair),
            Rule::field => self.field(pair),
            Rule::macrouse => self.macro_use(pair),
            Rule::operanduse => {
                let name = parts(pair).next().map(|p| self.ident(&p));
                PatKind::Operand(name.expect("the grammar has a name after @"))
            }
            _ => PatKind::Bits(bits(text)),
        }
    }

    fn field(&mut self, pair: Pair<'_, Rule>) -> PatKind {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect("the grammar has a name in every field");
        let (mut signed, mut width, mut constraint) = (false, FieldWidth::Bits(0), None);
        for part in inner {
            match part.as_rule() {
                Rule::sign => signed = true,
                Rule::fwidth => {
                    let Some(part) = parts(part).next() else { continue };
                    width = match part.as_rule() {
                        Rule::number => FieldWidth::Bits(self.number(&part, 128) as u32),
                        Rule::ident => FieldWidth::Enum(self.ident(&part)),
                        _ => FieldWidth::Expr(Box::new(self.expr(part))),
                    };
                }
                _ => constraint = Some(self.constraint(part)),
            }
        }
        PatKind::Field { name, signed, width, constraint }
    }

    fn piece(&mut self, pair: Pair<'_, Rule>) -> PatKind {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect("the grammar has a name in every piece");
        let (mut signed, mut ends) = (false, Vec::new());
        for part in inner {
            match part.as_rule() {
                Rule::psign => signed = true,
                _ => ends.push(self.number(&part, 127) as u32),
            }
        }
        let hi = ends.first().copied().unwrap_or(0);
        let mut lo = ends.get(1).copied().unwrap_or(hi);
        if lo > hi {
            self.errors.push(Diagnostic::error("field", span, "the high bit comes first"));
            lo = hi;
        }
        PatKind::Piece { name, hi, lo, signed }
    }

    fn macro_use(&mut self, pair: Pair<'_, Rule>) -> PatKind {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect("the grammar has a name in every pattern use");
        let mut args = Vec::new();
        for arg in inner.flat_map(parts) {
            let mut arg = parts(arg);
            let (Some(field), Some(change)) = (arg.next(), arg.next()) else { continue };
            let field = self.ident(&field);
            args.push(match change.as_rule() {
                Rule::constraint => MacroArg::Constrain(field, self.constraint(change)),
                _ => MacroArg::Rename(field, self.ident(&change)),
            });
        }
        PatKind::Macro { name, args }
    }

    fn constraint(&mut self, pair: Pair<'_, Rule>) -> Constraint {
        let span = self.span(&pair);
        let mut inner = parts(pair);
        let negated = inner.next().is_some_and(|r| r.as_str() == "!=");
        let mut values = Vec::new();
        for value in inner {
            let at = self.span(&value);
            values.push(match value.as_rule() {
                Rule::ident => ConstraintValue::Name(self.ident(&value)),
                _ => ConstraintValue::Bits(bits(value.as_str()), at),
            });
        }
        Constraint { negated, values, span }
    }

    /// Rule `enc`.
    pub(super) fn enc(&mut self, pair: Pair<'_, Rule>) -> Enc {
        let span = self.span(&pair);
        let mut enc = Enc {
            space: None,
            keys: Vec::new(),
            bits: BitPattern { items: Vec::new(), span },
            with: Vec::new(),
            when: None,
            span,
        };
        for part in parts(pair) {
            match part.as_rule() {
                Rule::enchead => {
                    let mut inner = parts(part);
                    enc.space = inner.next().map(|p| self.ident(&p));
                    enc.keys = inner.map(|p| self.binding(p)).collect();
                }
                Rule::bitpat => enc.bits = self.bitpat(part),
                Rule::with => enc.with = parts(part).map(|p| self.binding(p)).collect(),
                _ => enc.when = self.when(part),
            }
        }
        enc
    }

    /// Rules `when` and `when_clause`.
    pub(super) fn when(&mut self, pair: Pair<'_, Rule>) -> Option<Expr> {
        parts(pair).next().map(|p| self.expr(p))
    }

    /// Rule `binding`.
    pub(super) fn binding(&mut self, pair: Pair<'_, Rule>) -> Binding {
        let mut inner = parts(pair);
        let name = inner.next().map(|p| self.ident(&p)).expect("the grammar has a name in every binding");
        let value = match inner.next() {
            Some(value) => self.expr(value),
            None => self.make(ExprKind::Undef, name.span),
        };
        Binding { name, value }
    }

    /// Rule `test`.
    pub(super) fn test(&mut self, pair: Pair<'_, Rule>) -> Test {
        let span = self.span(&pair);
        let mut inner = parts(pair).peekable();
        let head = inner.next_if(|p| p.as_rule() == Rule::testhead).and_then(|p| parts(p).next());
        let of = head.map(|p| self.ident(&p));
        let (code, text) = (inner.next(), inner.next());
        let code_span = code.as_ref().map_or(span, |p| self.span(p));
        let (input, output) = (inner.next(), inner.next());
        let runs = output.is_some();
        let mut bindings =
            |p: Option<Pair<'_, Rule>>| p.map(|p| parts(p).map(|b| self.binding(b)).collect()).unwrap_or_default();
        Test {
            of,
            code: code.map(|p| unquote(p.as_str())).unwrap_or_default(),
            code_span: Span {
                start: code_span.start + 1,
                end: code_span.end.max(code_span.start + 2) - 1,
                ..code_span
            },
            text: text.map(|p| unquote(p.as_str())).unwrap_or_default(),
            input: bindings(input),
            output: bindings(output),
            runs,
            span,
        }
    }
}

/// Binary digits with `x`; hexadecimal digits after `0x`.
fn bits(text: &str) -> Vec<PatBit> {
    let bit = |one: bool| if one { PatBit::One } else { PatBit::Zero };
    match text.trim_end().strip_prefix("0x") {
        Some(hex) if !hex.is_empty() => {
            let digits = hex.chars().filter_map(|c| c.to_digit(16));
            digits.flat_map(|d| (0..4).rev().map(move |i| bit(d >> i & 1 == 1))).collect()
        }
        _ => text
            .bytes()
            .filter(|b| matches!(b, b'0' | b'1' | b'x'))
            .map(|b| if b == b'x' { PatBit::Any } else { bit(b == b'1') })
            .collect(),
    }
}
