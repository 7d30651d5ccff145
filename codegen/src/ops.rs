//! The table of IR operations, `isa-specs/ir.ops`, and the Rust made from it.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};

/// Type of an operand or result.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum TypeRule {
    /// The instruction's type.
    Same,
    /// Any type, that of the operand itself.
    From,
    /// A fixed width in bits.
    Bits(u32),
}

/// A row of the table.
#[derive(Clone, Debug)]
pub struct OpRow {
    /// Name as written: `add`.
    pub name: String,
    /// Operands; `None` for any number.
    pub operands: Option<Vec<TypeRule>>,
    /// Result, if any.
    pub result: Option<TypeRule>,
    /// `pure`, `effect`, `fault` or `exit`.
    pub effect: String,
    /// Further properties: `comm`, `lane`, `round`, `imm`, `imm2`, `mem`, `slot`, `kind`.
    pub properties: Vec<String>,
    /// Meaning.
    pub doc: String,
}

/// Reads the table.
///
/// # Errors
/// The line and what is wrong with it, for every bad line.
pub fn parse(text: &str) -> Result<Vec<OpRow>, Vec<String>> {
    let (mut rows, mut errors) = (Vec::new(), Vec::new());
    for (n, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', '[']) {
            continue;
        }
        match row(line) {
            Ok(row) => rows.push(row),
            Err(message) => errors.push(format!("ir.ops:{}: {message}", n + 1)),
        }
    }
    if errors.is_empty() { Ok(rows) } else { Err(errors) }
}

fn row(line: &str) -> Result<OpRow, String> {
    let (head, doc) = line.split_once('"').ok_or("a row ends with its meaning in quotes")?;
    let doc = doc.strip_suffix('"').ok_or("the meaning's quotes are not closed")?;
    let (name, rest) = head.split_once(char::is_whitespace).ok_or("a row has operands after its name")?;
    let (operands, rest) =
        rest.trim().strip_prefix('(').and_then(|r| r.split_once(')')).ok_or("operands are in parentheses")?;
    let rest = rest.trim().strip_prefix("->").ok_or("`->` and a result follow the operands")?;
    let mut words = rest.split_whitespace();
    let result = match words.next().ok_or("a result or `-` follows `->`")? {
        "-" => None,
        word => Some(type_rule(word)?),
    };
    let effect = words.next().ok_or("an effect follows the result")?.to_owned();
    if !["pure", "effect", "fault", "exit"].contains(&effect.as_str()) {
        return Err(format!("`{effect}` is not pure, effect, fault or exit"));
    }
    let properties: Vec<String> = words.map(str::to_owned).collect();
    let known = ["comm", "lane", "round", "imm", "imm2", "mem", "slot", "kind"];
    if let Some(bad) = properties.iter().find(|p| !known.contains(&p.as_str())) {
        return Err(format!("unknown property `{bad}`"));
    }
    let operands = match operands.trim() {
        "..." => None,
        list => {
            Some(list.split(',').map(str::trim).filter(|w| !w.is_empty()).map(type_rule).collect::<Result<_, _>>()?)
        }
    };
    Ok(OpRow { name: name.to_owned(), operands, result, effect, properties, doc: doc.to_owned() })
}

fn type_rule(word: &str) -> Result<TypeRule, String> {
    match word {
        "t" => Ok(TypeRule::Same),
        "from" => Ok(TypeRule::From),
        _ => word
            .strip_prefix('i')
            .and_then(|w| w.parse().ok())
            .filter(|w| [1, 8, 16, 32, 64, 128].contains(w))
            .map(TypeRule::Bits)
            .ok_or_else(|| format!("`{word}` is not a type")),
    }
}

/// The enum of operations and its table, as Rust.
///
/// # Errors
/// If a function of it is too long.
pub fn emit(rows: &[OpRow]) -> Result<String, String> {
    let file = syn::parse2(tokens(rows)).map_err(|e| format!("ir.ops: {e}"))?;
    crate::emit::limited("ir.ops", prettyplease::unparse(&file))
}

fn tokens(rows: &[OpRow]) -> TokenStream {
    let variants: Vec<_> = rows.iter().map(|r| format_ident!("{}", variant(&r.name))).collect();
    let docs = rows.iter().map(|r| &r.doc);
    let descriptions = rows.iter().map(description);
    let count = rows.len();
    quote! {
        /// Operations of the intermediate representation.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        #[repr(u8)]
        pub enum Op { #(#[doc = #docs] #variants,)* }

        impl Op {
            /// Every operation, in the table's order.
            pub const ALL: [Op; #count] = [#(Op::#variants),*];

            /// Row of the table.
            #[must_use]
            pub const fn desc(self) -> &'static OpDesc { &OPS[self as usize] }
        }

        static OPS: [OpDesc; #count] = [#(#descriptions),*];
    }
}

/// `exit_if` is the variant `ExitIf`.
fn variant(name: &str) -> String {
    name.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect()
}

fn description(row: &OpRow) -> TokenStream {
    let name = &row.name;
    let rule = |r: &TypeRule| match r {
        TypeRule::Same => quote!(TypeRule::Same),
        TypeRule::From => quote!(TypeRule::From),
        TypeRule::Bits(bits) => {
            let ty = format_ident!("I{bits}");
            quote!(TypeRule::Fixed(Ty::#ty))
        }
    };
    let variadic = row.operands.is_none();
    let operands: Vec<_> = row.operands.iter().flatten().map(rule).collect();
    let result = match &row.result {
        Some(r) => {
            let r = rule(r);
            quote!(Some(#r))
        }
        None => quote!(None),
    };
    let effect = format_ident!("{}", variant(&row.effect));
    let has = |p: &str| row.properties.iter().any(|q| q == p);
    let (comm, lane, round, imm, imm2, mem, slot, kind) = (
        has("comm"),
        has("lane"),
        has("round"),
        has("imm") || has("imm2"),
        has("imm2"),
        has("mem"),
        has("slot"),
        has("kind"),
    );
    quote! {
        OpDesc {
            name: #name, operands: &[#(#operands),*], variadic: #variadic, result: #result, effect: Effect::#effect,
            comm: #comm, lane: #lane, round: #round, imm: #imm, imm2: #imm2, mem: #mem, slot: #slot, kind: #kind,
        }
    }
}
