//! Property blocks: `arch`, `elf`, `process`, `syscall`, `abi`, `native_call`, `fp`, `disassembler`.

use super::claims::Owner;
use super::lower::Lower;
use super::{Env, Global, Item, convention, eval, items};
use crate::diag::{Diagnostic, did_you_mean};
use crate::hir::{BuiltinEnum, ContextId, EnumTy, Expr, ExprKind, Locals, Ty};
use crate::model::{Disassembler, Fp, NativeCall};
use crate::syntax::ast::{self, BinOp, Prop, PropValue, Section, Span, Spec};

/// The keys of each block. `true`: the block must exist and have the key.
const KEYS: &[(&str, &[(&str, bool)])] = &[
    (
        "arch",
        &[
            ("pc", true),
            ("sp", true),
            ("pins", false),
            ("vector_pins", false),
            ("flags", false),
            ("icache", true),
            ("address", false),
            ("interwork", false),
            ("transient", false),
            ("cleared", false),
            ("delay_slots", false),
            ("max_length", false),
            ("code_endian", false),
            ("data_endian", false),
        ],
    ),
    ("elf", &[("machine", true), ("class", true), ("data", true), ("flags", false)]),
    (
        "process",
        &[
            ("entry_sp_align", true),
            ("hwcap", true),
            ("hwcap2", false),
            ("platform", true),
            ("ifunc", false),
            ("machine", true),
            ("tls", true),
        ],
    ),
    ("syscall", &[("number", true), ("args", true), ("stack_args", false), ("ret", true), ("error_flag", false)]),
    (
        "abi",
        &[
            ("int_args", true),
            ("fp_args", true),
            ("int_ret", true),
            ("fp_ret", true),
            ("return_address", true),
            ("callee", false),
            ("callee_saved", false),
            ("stack", true),
            ("arg_rules", true),
            ("ret_rules", true),
            ("hidden_pointer", false),
        ],
    ),
    ("native_call", &[("code", true), ("ret", true), ("name_from", false)]),
    (
        "fp",
        &[
            ("nan", true),
            ("default_nan_sign", true),
            ("product_nan", false),
            ("tininess", true),
            ("nan_to_int", true),
            ("mode", true),
        ],
    ),
    ("disassembler", &[("triple", true), ("attributes", true), ("unknown", false)]),
    ("memory", &[("model", true), ("ignore_top_byte", false)]),
    ("space", &[]), // checked with the encodings
];
/// Keys of all blocks: `arch.pc`. Those of spaces are checked with the encodings.
pub fn section_keys() -> impl Iterator<Item = String> {
    KEYS.iter().flat_map(|(kind, keys)| keys.iter().map(move |(key, _)| format!("{kind}.{key}")))
}

/// Blocks every guest needs.
const REQUIRED: &[&str] = &["arch", "memory", "elf", "process", "syscall", "abi", "fp"];

/// Bits of an address, which bodies depend on: `arch { address = 32; }`.
pub(super) fn address_bits(g: &mut Global) -> u32 {
    let sections: Vec<&Section> = g.spec.sections.iter().collect();
    let Some(e) = sections.into_iter().filter(|s| &*s.kind.name == "arch").find_map(|s| value(s, "address")) else {
        return 64;
    };
    let bits = items::constant(g, e, "the width of addresses");
    if bits != 32 && bits != 64 {
        g.error("range", e.span, format!("addresses of {bits} bits; they have 32 or 64"));
        return 64;
    }
    bits as u32
}

/// All blocks.
pub(super) fn lower(g: &mut Global) {
    let sections: Vec<&Section> = g.spec.sections.iter().collect();
    let at = g.instance.name.span;
    for name in REQUIRED {
        // a specification without `arch` is a fixture or a library: nothing to describe
        if !sections.iter().any(|s| &*s.kind.name == "arch") {
            break;
        }
        if !sections.iter().any(|s| &*s.kind.name == *name) {
            g.error("section", at, format!("the specification has no `{name}` block"));
        }
    }
    let mut seen: Vec<&Section> = Vec::new();
    for section in sections {
        check_keys(g, section);
        if !is_active(g, section) {
            continue;
        }
        one_of_its_kind(g, &mut seen, section);
        match &*section.kind.name {
            "arch" => arch(g, section),
            "elf" => elf(g, section),
            "process" => process(g, section),
            "syscall" => syscall(g, section),
            "abi" => abi(g, section),
            "native_call" => native_call(g, section),
            "fp" => fp(g, section),
            "disassembler" => disassembler(g, section),
            "memory" => memory(g, section),
            _ => {}
        }
    }
}

/// `active = xlen == 64;`: whether the block is for this instance.
fn is_active(g: &mut Global, section: &Section) -> bool {
    let Some(e) = value(section, "active").filter(|_| &*section.kind.name != "space") else { return true };
    let condition = Lower::new(g, Owner::Nothing).bool(e);
    match eval(&g.model, &Locals::default(), &Env::default(), &condition).and_then(|v| v.bool()) {
        Some(active) => active,
        None => {
            g.error("constant", e.span, "whether a block is active must be a constant");
            true
        }
    }
}

/// Only spaces, and environments of floating point with names, are several.
fn one_of_its_kind<'s>(g: &mut Global, seen: &mut Vec<&'s Section>, section: &'s Section) {
    let kind = &section.kind;
    let several = &*kind.name == "space" || &*kind.name == "fp" && section.name.is_some();
    if let Some(first) = seen.iter().find(|s| !several && s.kind.name == kind.name) {
        let d = Diagnostic::error("duplicate", kind.span, format!("a second `{}` block", kind.name));
        g.diags.push(d.also(first.kind.span, "first here"));
    }
    if !several {
        seen.push(section);
    }
}

fn check_keys(g: &mut Global, section: &Section) {
    let kind = &*section.kind.name;
    let Some((_, keys)) = KEYS.iter().find(|(k, _)| *k == kind) else { return }; // the grammar has no others
    if kind == "space" {
        return;
    }
    let known: Vec<&str> = keys.iter().map(|(k, _)| *k).chain(["active"]).collect();
    known_keys(g, kind, &section.props.items, &known);
    // Of a block with a name only its mode matters.
    let keys = keys.iter().filter(|(key, _)| kind != "fp" || section.name.is_none() || *key == "mode");
    for (key, required) in keys {
        if *required && !section.props.items.iter().any(|p| &*p.key.name == *key) {
            g.error("key", section.kind.span, format!("`{kind}` needs `{key}`"));
        }
    }
}

/// Keys of a block are some of these, each once.
pub(super) fn known_keys(g: &mut Global, block: &str, props: &[Prop], known: &[&str]) {
    for (i, prop) in props.iter().enumerate() {
        let key = &*prop.key.name;
        if !known.contains(&key) {
            let mut d = Diagnostic::error("key", prop.key.span, format!("unknown key `{key}` in `{block}`"));
            if let Some(near) = did_you_mean(key, known.iter().copied()) {
                d = d.note(format!("did you mean `{near}`?"));
            }
            g.diags.push(d);
        }
        if let Some(first) = props[..i].iter().find(|p| p.key.name == prop.key.name) {
            let d = Diagnostic::error("duplicate", prop.key.span, format!("`{key}` is given twice"));
            g.diags.push(d.also(first.key.span, "first here"));
        }
    }
}

// ---------------------------------------------------------------- values

pub(super) fn find<'s>(section: &'s Section, key: &str) -> Option<&'s Prop> {
    section.props.items.iter().find(|p| &*p.key.name == key)
}

pub(super) fn value<'s>(section: &'s Section, key: &str) -> Option<&'s ast::Expr> {
    match &find(section, key)?.value {
        PropValue::Expr(e) => Some(e),
        _ => None,
    }
}

/// The same, after the choices that the instance's configs make: `if be == 1 { big } else { little }`.
fn chosen<'s>(g: &mut Global, section: &'s Section, key: &str) -> Option<&'s ast::Expr> {
    let mut e = value(section, key)?;
    while let ast::ExprKind::If { cond, then, els } = &e.kind {
        let cond = Lower::new(g, Owner::Nothing).bool(cond);
        let holds = eval(&g.model, &Locals::default(), &Env::default(), &cond).and_then(|v| v.bool());
        let Some(holds) = holds else {
            g.error("constant", e.span, "the condition must be a constant");
            return None;
        };
        e = if holds { then.tail.as_deref()? } else { els.as_ref()?.tail.as_deref()? };
    }
    Some(e)
}

fn int(g: &mut Global, section: &Section, key: &str, max: u128) -> u64 {
    let Some(e) = value(section, key) else { return 0 };
    let v = items::constant(g, e, key);
    if !(0..=max as i128).contains(&v) {
        g.error("range", e.span, format!("{v} is out of range"));
    }
    v as u64
}

/// One of some words.
fn word(g: &mut Global, section: &Section, key: &str, words: &[&str]) -> String {
    let Some(e) = chosen(g, section, key) else { return String::new() };
    if let ast::ExprKind::Name(n) = &e.kind
        && words.contains(&&*n.name)
    {
        return n.to_string();
    }
    g.error("key", e.span, format!("this must be one of: {}", words.join(", ")));
    words[0].to_string()
}

fn text(g: &mut Global, section: &Section, key: &str) -> String {
    let Some(e) = chosen(g, section, key) else { return String::new() };
    if let ast::ExprKind::Str(t) = &e.kind
        && let Some(text) = t.plain()
    {
        return text;
    }
    g.error("type", e.span, "a string without holes is needed");
    String::new()
}

/// A register: `SP`, `gpr[3]`.
fn slot(g: &mut Global, section: &Section, key: &str) -> Option<u16> {
    let e = value(section, key)?;
    let slots = slots(g, e);
    if slots.len() != 1 {
        g.error("type", e.span, "one register is needed");
    }
    slots.first().copied()
}

/// Registers: `gpr[3]`, `gpr[0..7]`, lists of them.
fn slots(g: &mut Global, e: &ast::Expr) -> Vec<u16> {
    match &e.kind {
        ast::ExprKind::List(items) => items.iter().flat_map(|i| slots(g, i)).collect(),
        ast::ExprKind::Name(n) => match g.names.get(&n.name) {
            Some(Item::Reg(id)) if g.model.reg(*id).count.is_none() => vec![g.model.reg(*id).slot],
            _ => not_a_register(g, e.span),
        },
        ast::ExprKind::Index(base, index) => {
            let reg = match &base.kind {
                ast::ExprKind::Name(n) => match g.names.get(&n.name) {
                    Some(Item::Reg(id)) => g.model.reg(*id).clone(),
                    _ => return not_a_register(g, e.span),
                },
                _ => return not_a_register(g, e.span),
            };
            let [index] = &index[..] else { return not_a_register(g, e.span) };
            let (lo, hi) = match &index.kind {
                ast::ExprKind::Range(lo, hi) => {
                    (items::constant(g, lo, "an index"), items::constant(g, hi, "an index"))
                }
                _ => {
                    let i = items::constant(g, index, "an index");
                    (i, i)
                }
            };
            let count = i128::from(reg.count.unwrap_or(0));
            if lo < 0 || hi >= count || lo > hi {
                g.error("range", index.span, format!("`{}` has registers 0 to {}", reg.name, count - 1));
                return Vec::new();
            }
            (lo..=hi).map(|i| reg.slot + i as u16).collect()
        }
        _ => not_a_register(g, e.span),
    }
}

fn not_a_register(g: &mut Global, span: Span) -> Vec<u16> {
    g.error("type", span, "a register is needed");
    Vec::new()
}

fn slot_list(g: &mut Global, section: &Section, key: &str) -> Vec<u16> {
    chosen(g, section, key).map(|e| slots(g, e)).unwrap_or_default()
}

fn bytes(g: &mut Global, section: &Section, key: &str) -> Vec<u8> {
    let Some(e) = chosen(g, section, key) else { return Vec::new() };
    let ast::ExprKind::List(items) = &e.kind else {
        g.error("type", e.span, "a list of bytes is needed");
        return Vec::new();
    };
    items.iter().map(|i| items::constant(g, i, "a byte") as u8).collect()
}

/// Contexts: `thumb`, `[it, mode]`.
fn contexts(g: &mut Global, section: &Section, key: &str) -> Vec<ContextId> {
    let Some(e) = value(section, key) else { return Vec::new() };
    let items = match &e.kind {
        ast::ExprKind::List(items) => &items[..],
        _ => std::slice::from_ref(e),
    };
    let mut found = Vec::new();
    for item in items {
        match &item.kind {
            ast::ExprKind::Name(n) if matches!(g.names.get(&n.name), Some(Item::Context(_))) => {
                if let Some(Item::Context(id)) = g.names.get(&n.name) {
                    found.push(*id);
                }
            }
            _ => g.error("type", item.span, "a context is needed"),
        }
    }
    found
}

// ---------------------------------------------------------------- blocks

fn arch(g: &mut Global, s: &Section) {
    let [big_code, big_data] = ["code_endian", "data_endian"].map(|key| word(g, s, key, &["little", "big"]) == "big");
    g.model.sections.interwork = contexts(g, s, "interwork").first().copied();
    g.model.sections.transient = contexts(g, s, "transient");
    if g.model.bytewise() && value(s, "max_length").is_none() {
        g.error("key", s.kind.span, "an `arch` with byte-wise spaces needs `max_length`");
    }
    g.model.sections.max_length = int(g, s, "max_length", 64) as u32;
    let sp = slot(g, s, "sp");
    let [pins, vector_pins, flags, cleared] =
        ["pins", "vector_pins", "flags", "cleared"].map(|key| slot_list(g, s, key));
    let icache = word(g, s, "icache", &["explicit", "coherent"]);
    let slots = int(g, s, "delay_slots", 1) == 1;
    let out = &mut g.model.sections;
    (out.sp, out.flags, out.coherent_icache) = (sp, flags, icache == "coherent");
    (out.pins, out.vector_pins, out.cleared) = (pins, vector_pins, cleared);
    (out.big_code, out.big_data, out.delay_slots) = (big_code, big_data, slots);
}

fn memory(g: &mut Global, s: &Section) {
    g.model.sections.total_store_order = word(g, s, "model", &["weak", "tso"]) == "tso";
    g.model.sections.ignore_top_byte = match value(s, "ignore_top_byte").map(|e| (&e.kind, e.span)) {
        None => false,
        Some((ast::ExprKind::Bool(yes), _)) => *yes,
        Some((_, span)) => {
            g.error("type", span, "this must be true or false");
            false
        }
    };
}

fn elf(g: &mut Global, s: &Section) {
    let machine = int(g, s, "machine", 0xffff) as u16;
    let class = int(g, s, "class", 64) as u8;
    let big = word(g, s, "data", &["little", "big"]) == "big";
    let flags = int(g, s, "flags", u32::MAX.into()) as u32;
    let out = &mut g.model.sections;
    (out.elf_machine, out.elf_class, out.elf_big, out.elf_flags) = (machine, class, big, flags);
}

fn process(g: &mut Global, s: &Section) {
    let align = int(g, s, "entry_sp_align", 4096) as u32;
    let (hwcap, hwcap2) = (int(g, s, "hwcap", u64::MAX.into()), int(g, s, "hwcap2", u64::MAX.into()));
    let (platform, machine) = (text(g, s, "platform"), text(g, s, "machine"));
    let tls = slot(g, s, "tls");
    g.model.sections.ifunc = word(g, s, "ifunc", &["none", "hwcap", "hwcap_block"]);
    let out = &mut g.model.sections;
    (out.entry_sp_align, out.hwcap, out.hwcap2) = (align, hwcap, hwcap2);
    (out.platform, out.machine, out.tls) = (platform, machine, tls);
}

fn disassembler(g: &mut Global, s: &Section) {
    let (triple, attributes, unknown) = (text(g, s, "triple"), text(g, s, "attributes"), text(g, s, "unknown"));
    g.model.sections.disassembler = Some(Disassembler { triple, attributes, unknown });
}

fn syscall(g: &mut Global, s: &Section) {
    let (number, args, ret) = (slot(g, s, "number"), slot_list(g, s, "args"), slot(g, s, "ret"));
    let error = slot(g, s, "error_flag");
    let stack = value(s, "stack_args").is_some().then(|| int(g, s, "stack_args", 4096) as u32);
    let out = &mut g.model.sections;
    (out.syscall_error, out.syscall_stack_args) = (error, stack);
    (out.syscall_number, out.syscall_args, out.syscall_ret) = (number, args, ret);
}

fn abi(g: &mut Global, s: &Section) {
    let (int_args, fp_args) = (slot_list(g, s, "int_args"), slot_list(g, s, "fp_args"));
    let (int_ret, fp_ret) = (slot_list(g, s, "int_ret"), slot_list(g, s, "fp_ret"));
    let on_stack = |e: &ast::Expr| matches!(&e.kind, ast::ExprKind::Name(n) if &*n.name == "stack");
    let return_address = match value(s, "return_address") {
        Some(e) if on_stack(e) => None,
        _ => slot(g, s, "return_address"),
    };
    let (callee, hidden_pointer) = (slot(g, s, "callee"), slot(g, s, "hidden_pointer"));
    let callee_saved = slot_list(g, s, "callee_saved");
    let stack = convention::stack(g, s);
    let [arg_rules, ret_rules] = ["arg_rules", "ret_rules"].map(|key| convention::rules(g, s, key));
    let out = &mut g.model.sections;
    (out.int_args, out.fp_args, out.int_ret, out.fp_ret) = (int_args, fp_args, int_ret, fp_ret);
    (out.return_address, out.callee, out.hidden_pointer) = (return_address, callee, hidden_pointer);
    (out.callee_saved, out.stack, out.arg_rules, out.ret_rules) = (callee_saved, stack, arg_rules, ret_rules);
}

fn native_call(g: &mut Global, s: &Section) {
    let (code, ret) = (bytes(g, s, "code"), bytes(g, s, "ret"));
    let after = word(g, s, "name_from", &["word", "end"]) == "end";
    g.model.sections.native_call = Some(NativeCall { code, ret, after, span: s.kind.span });
}

/// Names of the floating-point environments beside the usual one, in order: number 1 is the first.
pub(super) fn fp_names(spec: &Spec) -> impl Iterator<Item = &str> {
    spec.sections.iter().filter(|s| &*s.kind.name == "fp").filter_map(|s| Some(&*s.name.as_ref()?.name))
}

/// `fp { … }`, or `fp name { mode { … } }`.
fn fp(g: &mut Global, s: &Section) {
    if s.name.is_some() {
        let named = fp_mode(g, s);
        g.model.sections.fp_named.push(named);
        if g.model.sections.fp_named.len() > MAX_FP_NAMED {
            g.error("range", s.kind.span, format!("there can be {MAX_FP_NAMED} `fp` blocks with names"));
        }
        return;
    }
    let nan = word(g, s, "nan", &["canonical", "first_operand", "signalling_first"]);
    let sign = int(g, s, "default_nan_sign", 1) == 1;
    let product_nan = word(g, s, "product_nan", &["invalid", "addend", "quiet"]);
    let tininess = word(g, s, "tininess", &["before_rounding", "after_rounding"]);
    let nan_to_int = word(g, s, "nan_to_int", &["zero", "max", "indefinite"]);
    let mode = fp_mode(g, s);
    g.model.sections.fp = Fp { nan, default_nan_sign: sign, product_nan, tininess, nan_to_int, ..mode };
}

/// What `mode` says.
fn fp_mode(g: &mut Global, s: &Section) -> Fp {
    if let Some(PropValue::Block(_, props)) = find(s, "mode").map(|p| &p.value) {
        known_keys(g, "mode", &props.items, &["round", "flush_inputs", "flush_results", "default_nan"]);
    }
    let round = mode(g, s, "round", &Ty::Enum(EnumTy::Builtin(BuiltinEnum::Round)));
    let [flush_inputs, flush_results, default_nan] =
        ["flush_inputs", "flush_results", "default_nan"].map(|key| mode(g, s, key, &Ty::Int).map(truth));
    Fp { round, flush_inputs, flush_results, default_nan, ..Fp::default() }
}

/// How many environments operations can tell apart, beside the usual one.
const MAX_FP_NAMED: usize = 3;

/// `mode { key = e; }` over contexts.
fn mode(g: &mut Global, s: &Section, key: &str, ty: &Ty) -> Option<Expr> {
    let PropValue::Block(_, props) = &find(s, "mode")?.value else { return None };
    let prop = props.items.iter().find(|p| &*p.key.name == key);
    let Some(Prop { value: PropValue::Expr(e), .. }) = prop else {
        g.error("key", props.span, format!("`mode` needs `{key}`"));
        return None;
    };
    let mut l = Lower::new(g, Owner::Nothing);
    let want = if matches!(ty, Ty::Int) { None } else { Some(ty) };
    let value = l.expr(e, want);
    if !value.ty.is_static() && !matches!(value.ty, Ty::Error) {
        l.fail("binding-time", e.span, "the mode must be known when translating");
    }
    if ty.is_static() && matches!(value.ty, Ty::Int) {
        // 0 and 1 at reset must evaluate: catches names of registers
        let env = Env { mode: Some(0), ..Env::default() };
        if eval(&g.model, &Locals::default(), &env, &value).is_none() {
            g.error("binding-time", e.span, "the mode can only depend on contexts");
        }
    }
    Some(value)
}

/// `x != 0`, for flags written as 0 and 1.
fn truth(e: Expr) -> Expr {
    if matches!(e.ty, Ty::Bool) {
        return e;
    }
    let span = e.span;
    let zero = super::ty::int(0, span);
    Expr { kind: ExprKind::Binary(BinOp::Ne, Box::new(e), Box::new(zero)), ty: Ty::Bool, span }
}
