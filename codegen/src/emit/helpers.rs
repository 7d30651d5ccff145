//! The functions in Rust that a specification names with `extern fn`: between their types and the uniform call of helpers.

use crate::hir::{ExprKind, Ty};
use crate::model::{Extern, Model};
use std::fmt::Write as _;

/// Per function its signature as the specification gives it, checked by the compiler, and the adapter; then the table.
pub(super) fn emit(out: &mut String, model: &Model) {
    model.externs.iter().for_each(|helper| adapter(out, helper));
    let _ = writeln!(out, "static HELPERS: [ir::guest::HelperDesc; {}] = [", model.externs.len());
    for helper in &model.externs {
        let (name, pure, state) = (&helper.name, helper.pure, helper.reads || helper.writes);
        let extended = match &helper.extended {
            Some(kind) => format!("Some(ir::guest::Extended::{kind})"),
            None => "None".into(),
        };
        let _ = writeln!(
            out,
            "ir::guest::HelperDesc {{ name: {name:?}, call: helper_{name}, pure: {pure}, state: {state}, extended: {extended} }},"
        );
    }
    out.push_str("];\n");
}

fn adapter(out: &mut String, helper: &Extern) {
    let name = &helper.name;
    let state = match (helper.reads, helper.writes) {
        (_, true) => Some(("&mut ir::GuestState", "state")),
        (true, false) => Some(("&ir::GuestState", "&*state")),
        (false, false) => None,
    };
    let types = state.map(|(ty, _)| ty).into_iter().chain(helper.params.iter().map(|p| rust(width(p))));
    let result = if matches!(helper.ret, Ty::Unit) { "()" } else { rust(width(&helper.ret)) };
    let types: Vec<&str> = types.collect();
    let _ = writeln!(out, "const _: fn({}) -> {result} = crate::helpers::{name};", types.join(", "));
    let args = helper.params.iter().enumerate().map(|(i, p)| match rust(width(p)) {
        "bool" => format!("args[{i}] & 1 != 0"),
        ty => format!("args[{i}] as {ty}"),
    });
    let args: Vec<String> = state.map(|(_, arg)| arg.to_owned()).into_iter().chain(args).collect();
    let call = format!("crate::helpers::{name}({})", args.join(", "));
    let body = match &helper.ret {
        Ty::Unit => format!("{call}; 0"),
        ret => format!("u128::from({call}) & {:#x}", u128::MAX >> (128 - width(ret))),
    };
    let _ = writeln!(out, "fn helper_{name}(state: &mut ir::GuestState, args: &[u128]) -> u128 {{ {body} }}");
}

/// Bits of an operand or result; the checker has found it constant.
fn width(ty: &Ty) -> u32 {
    match ty.width().map(|w| &w.kind) {
        Some(ExprKind::Int(bits)) => *bits as u32,
        _ => 128,
    }
}

/// The narrowest type that holds so many bits.
fn rust(width: u32) -> &'static str {
    match width {
        1 => "bool",
        2..=8 => "u8",
        9..=16 => "u16",
        17..=32 => "u32",
        33..=64 => "u64",
        _ => "u128",
    }
}
