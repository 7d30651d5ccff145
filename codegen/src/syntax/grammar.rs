//! The pest parser and the names of its rules in messages.

// The derived code has public items without documentation.
#![allow(missing_docs)]

use pest::error::{Error, ErrorVariant, InputLocation};
use pest::iterators::Pair;

#[derive(pest_derive::Parser)]
#[grammar = "grammar.pest"]
pub(super) struct Grammar;

/// What a rule is called in a message.
fn rule_name(rule: Rule) -> String {
    let name = match rule {
        Rule::EOI => "the end of the item",
        Rule::ident | Rule::name | Rule::regname | Rule::tyname => "a name",
        Rule::number => "a number",
        Rule::raw_string | Rule::template | Rule::template_escaped => "a string",
        Rule::expr | Rule::unary | Rule::primary | Rule::unop => "an expression",
        Rule::ty | Rule::tytuple => "a type",
        Rule::props => "`{`",
        Rule::prop => "a property",
        Rule::block | Rule::set | Rule::bindings => "`{`",
        Rule::let_st | Rule::width_st | Rule::for_st | Rule::block_like | Rule::simple => "a statement",
        Rule::call | Rule::tuple | Rule::names | Rule::params | Rule::tyargs | Rule::enchead | Rule::macroargs => "`(`",
        Rule::index | Rule::list | Rule::attrs => "`[`",
        Rule::member => "`.`",
        Rule::slice => "`+:`",
        Rule::assigned | Rule::default | Rule::prop_value => "`=`",
        Rule::ret => "`->`",
        Rule::op_cat | Rule::operanduse => "`@`",
        Rule::op_lor
        | Rule::op_land
        | Rule::op_shift
        | Rule::op_cmp
        | Rule::op_or
        | Rule::op_xor
        | Rule::op_and
        | Rule::op_add
        | Rule::op_mul => "an operator",
        Rule::binlit
        | Rule::hexlit
        | Rule::should
        | Rule::piece
        | Rule::field
        | Rule::macrouse
        | Rule::bitpat
        | Rule::patitem => "pattern bits",
        Rule::constraint | Rule::relation => "`=` or `!=`",
        Rule::conbits | Rule::enumbits => "binary digits",
        Rule::fwidth | Rule::sign => "a field width",
        Rule::opalt => "`|`",
        Rule::arm | Rule::armpat | Rule::wildcard => "a match arm",
        Rule::semi | Rule::end => "`;`",
        Rule::hole | Rule::text | Rule::text_escaped | Rule::pick_text => "text",
        Rule::viewget => "`get`",
        Rule::viewset => "`set`",
        Rule::viewshow => "`show`",
        Rule::when_clause => "`when`",
        Rule::prop_block => "`{`",
        Rule::closure => "an expression",
        other => {
            let name = format!("{other:?}");
            return format!("`{}`", name.strip_prefix("kw_").unwrap_or(&name));
        }
    };
    name.to_owned()
}

/// Byte position of an error and what was expected there.
pub(super) fn explain(error: &Error<Rule>) -> (usize, String) {
    let at = match error.location {
        InputLocation::Pos(at) | InputLocation::Span((at, _)) => at,
    };
    let ErrorVariant::ParsingError { positives, .. } = &error.variant else {
        return (at, error.variant.message().into_owned());
    };
    let mut names: Vec<String> = positives.iter().copied().map(rule_name).collect();
    names.sort();
    names.dedup();
    // An operator could follow almost anywhere: say so only when nothing better is known.
    let specific: Vec<String> = names
        .iter()
        .filter(|n| !matches!(n.as_str(), "an operator" | "`@`" | "`(`" | "`[`" | "`.`"))
        .cloned()
        .collect();
    let names = if specific.is_empty() { names } else { specific };
    let text = match names.as_slice() {
        [] => "a different token".to_owned(),
        [one] => one.clone(),
        [init @ .., last] => format!("{} or {last}", init.join(", ")),
    };
    (at, text)
}

/// Rules that only mark a keyword or the end of something.
pub(super) fn is_keyword(pair: &Pair<'_, Rule>) -> bool {
    matches!(
        pair.as_rule(),
        Rule::end
            | Rule::kw_as
            | Rule::kw_asm
            | Rule::kw_config
            | Rule::kw_const
            | Rule::kw_context
            | Rule::kw_decode
            | Rule::kw_else
            | Rule::kw_enc
            | Rule::kw_enum
            | Rule::kw_exec
            | Rule::kw_extern
            | Rule::kw_fn
            | Rule::kw_for
            | Rule::kw_get
            | Rule::kw_if
            | Rule::kw_in
            | Rule::kw_include
            | Rule::kw_insn
            | Rule::kw_instance
            | Rule::kw_let
            | Rule::kw_match
            | Rule::kw_operand
            | Rule::kw_overrides
            | Rule::kw_pattern
            | Rule::kw_prefix
            | Rule::kw_reg
            | Rule::kw_requires
            | Rule::kw_set
            | Rule::kw_show
            | Rule::kw_test
            | Rule::kw_view
            | Rule::kw_when
            | Rule::kw_width
            | Rule::kw_with
    )
}
