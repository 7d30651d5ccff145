//! `abi { stack { … }  arg_rules = […];  ret_rules = […]; }`: the verbs are a closed set, each with its words.

use super::sections::{find, known_keys, value};
use super::{Global, items};
use crate::convention::{How, Rule, StackDesc, Who};
use crate::diag::{Diagnostic, did_you_mean};
use crate::syntax::ast::{self, ExprKind, PropValue, Section, Span};

/// A verb that says which values: numbers and words it takes.
const WHO: &[(&str, &[&str], &[&str])] = &[
    ("any", &[], &[]),
    ("float", &[], &[]),
    ("float_leading", &["max"], &[]),
    ("float_aggregate", &["max"], &["alike", "flat"]),
    ("complex", &["over", "max"], &[]),
    ("aggregate", &["over", "max"], &[]),
    ("varargs", &[], &[]),
];

/// Which of the two lists a verb or a word may be in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Args,
    Results,
    Both,
}
use List::{Args, Both, Results};

/// A word that a verb takes, and in which lists.
type Word = (&'static str, List);

/// A verb that says where: in which lists, and words it takes.
const HOW: &[(&str, List, &[Word])] = &[
    ("one", Both, &[("fp", Both), ("packed", Both), ("shadow", Args), ("position", Args), ("extended", Results)]),
    ("each", Both, &[("fp", Both), ("int", Both), ("packed", Both), ("position", Args)]),
    ("join", Both, &[("align", Args), ("split", Args), ("keep", Args), ("floats", Args)]),
    ("stack", Args, &[("fp", Args)]),
    ("by_reference", Args, &[]),
    ("hidden_pointer", Results, &[("returned", Results), ("popped", Results)]),
    ("eightbytes", Both, &[]),
    ("int_only", Both, &[]),
];

/// A verb as written.
struct Verb<'a> {
    name: &'a str,
    args: &'a [ast::Arg],
    span: Span,
}

fn verb(e: &ast::Expr) -> Option<Verb<'_>> {
    match &e.kind {
        ExprKind::Name(n) => Some(Verb { name: &n.name, args: &[], span: e.span }),
        ExprKind::Call { callee, args, method: false } => Some(Verb { name: &callee.name, args, span: e.span }),
        _ => None,
    }
}

/// A list of rules, the last of which is about all values.
pub(super) fn rules(g: &mut Global, s: &Section, key: &str) -> Vec<Rule> {
    let Some(e) = value(s, key) else { return Vec::new() };
    let ExprKind::List(items) = &e.kind else {
        g.error("type", e.span, "a list of rules is needed");
        return Vec::new();
    };
    let list = if key == "arg_rules" { Args } else { Results };
    let before = g.diags.len();
    let rules: Vec<Rule> = items.iter().filter_map(|item| rule(g, item, list)).collect();
    if g.diags.len() > before {
        return rules;
    }
    let ends = |r: &Rule| {
        r.who == Who::Any && matches!(r.how, How::Join { .. } | How::Stack { .. } | How::HiddenPointer { .. })
    };
    match rules.iter().position(ends) {
        None => g.error("rule", e.span, "the last rule must be `any` with a place that every value has"),
        Some(end) => {
            for item in &items[end + 1..] {
                g.diags.push(
                    Diagnostic::error("rule", item.span, "no value is left for this rule")
                        .also(items[end].span, "this one is about all"),
                );
            }
        }
    }
    rules
}

fn rule(g: &mut Global, e: &ast::Expr, list: List) -> Option<Rule> {
    let Some(v) = verb(e) else {
        g.error("rule", e.span, "a rule is a verb");
        return None;
    };
    let Some((_, numbers, words)) = WHO.iter().find(|(name, ..)| *name == v.name) else {
        unknown(g, v.span, v.name, WHO.iter().map(|(name, ..)| *name));
        return None;
    };
    let (mut given, mut flags, mut how) = (Vec::new(), Vec::new(), None);
    for arg in v.args {
        match &arg.name {
            Some(name) if numbers.contains(&&*name.name) => {
                let n = items::constant(g, &arg.value, "a size");
                if !(0..=256).contains(&n) {
                    g.error("range", arg.value.span, format!("{n} is out of range"));
                }
                given.push((&*name.name, n as u32));
            }
            Some(name) => unknown(g, name.span, &name.name, numbers.iter().copied()),
            None => match verb(&arg.value) {
                Some(word) if words.contains(&word.name) && word.args.is_empty() => flags.push(word.name),
                _ if how.is_some() => g.error("rule", arg.value.span, "a rule says one place"),
                _ => how = Some(place(g, &arg.value, list)?),
            },
        }
    }
    let Some(how) = how else {
        g.error("rule", v.span, format!("`{}` does not say where", v.name));
        return None;
    };
    let number = |key: &str, default: u32| given.iter().find(|(k, _)| *k == key).map_or(default, |(_, n)| *n);
    let (over, max) = (number("over", 0), number("max", u32::MAX));
    let who = match v.name {
        "float" => Who::Float,
        "float_leading" => Who::FloatLeading { max },
        "float_aggregate" => {
            Who::FloatAggregate { max, alike: flags.contains(&"alike"), flat: flags.contains(&"flat") }
        }
        "complex" => Who::Complex { over, max },
        "aggregate" => Who::Aggregate { over, max },
        "varargs" if how == How::IntOnly => Who::Variadic,
        "varargs" => Who::Unnamed,
        _ => Who::Any,
    };
    if how == How::IntOnly && who != Who::Variadic {
        g.error("rule", v.span, "`int_only` is for `varargs`");
    }
    Some(Rule { who, how })
}

/// Where.
fn place(g: &mut Global, e: &ast::Expr, list: List) -> Option<How> {
    let Some(v) = verb(e) else {
        g.error("rule", e.span, "a place is a verb");
        return None;
    };
    let known = |which: List| which == Both || which == list;
    let Some((_, _, words)) = HOW.iter().find(|(name, which, _)| *name == v.name && known(*which)) else {
        unknown(g, v.span, v.name, HOW.iter().filter(|(_, which, _)| known(*which)).map(|(name, ..)| *name));
        return None;
    };
    let mut flags = Vec::new();
    for arg in v.args {
        let word = verb(&arg.value).filter(|w| arg.name.is_none() && w.args.is_empty());
        let names = || words.iter().filter(|(_, which)| known(*which)).map(|(name, _)| *name);
        match word {
            Some(word) if names().any(|name| name == word.name) => flags.push(word.name),
            Some(word) => unknown(g, word.span, word.name, names()),
            None => g.error("rule", arg.value.span, "a word is needed"),
        }
    }
    let has = |word: &str| flags.contains(&word);
    if matches!(v.name, "one" | "each") && !has("fp") {
        g.error("rule", v.span, format!("`{}` is for `fp`", v.name));
    }
    Some(match v.name {
        "one" => How::One {
            packed: has("packed"),
            shadow: has("shadow"),
            position: has("position"),
            extended: has("extended"),
        },
        "each" => How::Each { int: has("int"), packed: has("packed"), position: has("position") },
        "join" => How::Join { align: has("align"), split: has("split"), keep: has("keep"), floats: has("floats") },
        "stack" => How::Stack { fp: has("fp") },
        "by_reference" => How::ByReference,
        "hidden_pointer" => How::HiddenPointer { returned: has("returned"), popped: has("popped") },
        "eightbytes" => How::Eightbytes,
        _ => How::IntOnly,
    })
}

fn unknown<'a>(g: &mut Global, span: Span, word: &str, known: impl Iterator<Item = &'a str> + Clone) {
    let mut d = Diagnostic::error("rule", span, format!("`{word}` is not known here"));
    match did_you_mean(word, known.clone()) {
        Some(near) => d = d.note(format!("did you mean `{near}`?")),
        None if known.clone().next().is_some() => {
            d = d.note(format!("known: {}", known.collect::<Vec<_>>().join(", ")));
        }
        None => {}
    }
    g.diags.push(d);
}

/// `stack { align = 16; first_arg = 0; member_align = 4; }`
pub(super) fn stack(g: &mut Global, s: &Section) -> StackDesc {
    let mut stack = StackDesc::USUAL;
    let props = match find(s, "stack").map(|p| &p.value) {
        None => return stack,
        Some(PropValue::Block(_, props)) => props,
        Some(PropValue::Expr(e)) => {
            g.error("type", e.span, "a block is needed");
            return stack;
        }
    };
    known_keys(g, "stack", &props.items, &["align", "first_arg", "member_align"]);
    for prop in &props.items {
        let PropValue::Expr(e) = &prop.value else { continue };
        let n = items::constant(g, e, "a number of bytes");
        if !(0..=64).contains(&n) {
            g.error("range", e.span, format!("{n} is out of range"));
            continue;
        }
        let n = n as u32;
        let power = prop.key.name.ends_with("align");
        if power && !n.is_power_of_two() {
            g.error("range", e.span, "an alignment is a power of two");
            continue;
        }
        match &*prop.key.name {
            "align" => stack.align = n,
            "first_arg" => stack.first_arg = n,
            "member_align" => stack.member_align = n,
            _ => {}
        }
    }
    stack
}
