//! Random C functions: their types as C, and the values that are passed.

use std::fmt::Write as _;

use ir::Guest;
use ir::convention::{Kind, Signature, Type};

use crate::support::Random;

/// A function, and the bytes of its arguments and its result.
pub(crate) struct Case {
    pub(crate) signature: Signature,
    pub(crate) args: Vec<Vec<u8>>,
    pub(crate) result: Vec<u8>,
}

fn leak<T>(value: Vec<T>) -> &'static [T] {
    Box::leak(value.into_boxed_slice())
}

fn scalar(r: &mut Random, guest: &Guest, promoted: bool) -> Type {
    let signed = r.below(2) == 0;
    match r.below(if guest.elf.class == 64 { 9 } else { 8 }) {
        0 | 1 if promoted => Type::Float { bytes: 8 },
        0 | 1 => Type::Float { bytes: 4 },
        2 | 3 => Type::Float { bytes: 8 },
        4 => Type::Word { signed },
        5 => Type::Int { bytes: 8, signed },
        6 | 7 => Type::Int { bytes: if promoted { 4 } else { 1 << r.below(3) }, signed },
        _ => Type::Int { bytes: 16, signed },
    }
}

fn member(r: &mut Random, guest: &Guest, depth: u32) -> Type {
    match r.below(8) {
        0 => Type::Array(&leak(vec![scalar(r, guest, false)])[0], 1 + r.below(4) as u32),
        1 if depth > 0 => structure(r, guest, depth - 1),
        _ => scalar(r, guest, false),
    }
}

/// Half of them of one kind of scalar only.
fn structure(r: &mut Random, guest: &Guest, depth: u32) -> Type {
    let count = 1 + r.below(4);
    let alike = (r.below(2) == 0).then(|| scalar(r, guest, false));
    Type::Struct(leak((0..count).map(|_| alike.unwrap_or_else(|| member(r, guest, depth))).collect()))
}

fn value_type(r: &mut Random, guest: &Guest, promoted: bool) -> Type {
    match r.below(12) {
        0..=4 => structure(r, guest, 1),
        5 => Type::Complex { bytes: if r.below(2) == 0 { 4 } else { 8 } },
        _ => scalar(r, guest, promoted),
    }
}

/// Random bytes; numbers of floating point are finite, so that no copy changes them.
fn value(r: &mut Random, guest: &Guest, ty: &Type) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..ty.bytes(guest)).map(|_| r.next() as u8).collect();
    for leaf in ty.leaves(guest).iter().filter(|leaf| leaf.kind == Kind::Float) {
        let number = if leaf.bytes == 4 {
            (r.next() as f32 + 0.5).to_le_bytes().to_vec()
        } else {
            (r.next() as f64 / 3.0).to_le_bytes().to_vec()
        };
        let place = &mut bytes[leaf.at as usize..][..leaf.bytes as usize];
        place.copy_from_slice(&number);
        if guest.big_endian {
            place.reverse();
        }
    }
    bytes
}

impl Case {
    pub(crate) fn random(r: &mut Random, guest: &Guest) -> Case {
        let variadic = r.below(4) == 0;
        let count = if variadic { 1 } else { 0 } + r.below(11) as usize;
        let named = variadic.then(|| 1 + r.below(count as u64) as u8);
        let fixed = named.map_or(count, usize::from);
        let args: Vec<Type> = (0..count).map(|k| value_type(r, guest, k >= fixed)).collect();
        let result = (r.below(8) > 0).then(|| value_type(r, guest, false));
        let values = args.iter().map(|ty| value(r, guest, ty)).collect();
        let returned = result.as_ref().map_or(Vec::new(), |ty| value(r, guest, ty));
        Case { signature: Signature { args: leak(args), named, result }, args: values, result: returned }
    }

    /// Definitions of `call_k`, which calls such a function at an address, and of `give_k`, which is one.
    pub(crate) fn source(&self, k: usize, address: u64) -> String {
        let mut c = String::new();
        let Signature { args, named, result } = self.signature;
        for (j, (ty, bytes)) in args.iter().zip(&self.args).enumerate() {
            define(&mut c, ty, &format!("a{k}_{j}"), bytes);
        }
        if let Some(ty) = &result {
            define(&mut c, ty, &format!("r{k}"), &self.result);
        }
        let result = if result.is_some() { format!("r{k}") } else { "void".to_owned() };
        let fixed = named.map_or(args.len(), usize::from);
        let mut types: Vec<String> = (0..fixed).map(|j| format!("a{k}_{j}")).collect();
        types.extend(named.map(|_| "...".to_owned()));
        if types.is_empty() {
            types.push("void".to_owned());
        }
        let values: Vec<String> = (0..args.len()).map(|j| format!("*(a{k}_{j} *)v_a{k}_{j}")).collect();
        let _ = writeln!(
            c,
            "void call_{k}(void) {{ (({result} (*)({})){address:#x})({}); }}",
            types.join(", "),
            values.join(", ")
        );
        let params: Vec<String> = types
            .iter()
            .enumerate()
            .map(|(j, ty)| if ty.starts_with('a') { format!("{ty} p{j}") } else { ty.clone() })
            .collect();
        let body = if result == "void" { String::new() } else { format!("return *({result} *)v_{result};") };
        let _ = writeln!(c, "{result} give_{k}({}) {{ {body} }}", params.join(", "));
        c
    }
}

/// A type and a value of it.
fn define(c: &mut String, ty: &Type, name: &str, bytes: &[u8]) {
    let _ = writeln!(c, "typedef {};", declare(ty, name));
    let bytes: Vec<String> = bytes.iter().map(ToString::to_string).collect();
    let _ = writeln!(c, "unsigned char v_{name}[] __attribute__((aligned(16))) = {{{}}};", bytes.join(","));
}

/// The declaration of a name.
pub(crate) fn declare(ty: &Type, name: &str) -> String {
    let sign = |signed: bool| if signed { "signed" } else { "unsigned" };
    match ty {
        Type::Word { signed } => format!("{} long {name}", sign(*signed)),
        Type::Int { bytes, signed } => {
            let word = match bytes {
                1 => "char",
                2 => "short",
                4 => "int",
                8 => "long long",
                _ => "__int128",
            };
            format!("{} {word} {name}", sign(*signed))
        }
        Type::Float { bytes: 4 } => format!("float {name}"),
        Type::Float { .. } => format!("double {name}"),
        Type::Complex { bytes: 4 } => format!("_Complex float {name}"),
        Type::Complex { .. } => format!("_Complex double {name}"),
        Type::Array(element, count) => declare(element, &format!("{name}[{count}]")),
        Type::Struct(members) => {
            let members: Vec<String> =
                members.iter().enumerate().map(|(k, m)| declare(m, &format!("m{k}")) + ";").collect();
            format!("struct {{ {} }} {name}", members.join(" "))
        }
    }
}
