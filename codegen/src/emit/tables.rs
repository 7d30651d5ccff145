//! The descriptor of a guest: `pub static GUEST: ir::Guest` and what it points to.

use super::needs::NeedsTable;
use crate::model::{Model, NativeCall, Test};
use std::fmt::Write as _;

/// Rust source of the descriptor.
pub(super) fn emit(model: &Model) -> String {
    let s = &model.sections;
    let mut out = String::new();
    slots(&mut out, model);
    super::helpers::emit(&mut out, model);
    tests(&mut out, model);
    let _ = writeln!(out, "/// The guest `{}`.\npub static GUEST: ir::Guest = ir::Guest {{", model.name);
    let [pins, vector_pins, flags, cleared] =
        [&s.pins, &s.vector_pins, &s.flags, &s.cleared].map(|slots| slot_list(slots));
    let (name, sp) = (&model.name, slot(s.sp));
    let _ = writeln!(
        out,
        "name: {name:?}, slots: &SLOTS, pins: {pins}, vector_pins: {vector_pins}, flags: {flags}, sp: {sp},"
    );
    contexts(&mut out, model);
    let context = |id: &crate::hir::ContextId| &model.contexts[id.0 as usize];
    let interwork = s.interwork.as_ref().map(|id| context(id).lo);
    let transient = s.transient.iter().map(context).fold(0, |mask, c| mask | ((1_u64 << c.width) - 1) << c.lo);
    let _ = writeln!(out, "interwork: {interwork:?}, transient: {transient:#x}, cleared: {cleared},");
    let icache = if s.coherent_icache { "Coherent" } else { "Explicit" };
    let align = model.smallest_unit() / 8;
    let (bits, big, big_code, slots) = (s.address_bits, s.big_data, s.big_code, s.delay_slots);
    let _ = writeln!(
        out,
        "address_bits: {bits}, big_endian: {big}, big_endian_code: {big_code}, delay_slots: {slots}, icache: ir::guest::Icache::{icache}, insn_align: {align},"
    );
    let _ = writeln!(out, "total_store_order: {}, ignore_top_byte: {},", s.total_store_order, s.ignore_top_byte);
    let _ = writeln!(out, "translate, disassemble, identify, fp_mode, fp_mode_bits: {:#x},", fp_mode_bits(model));
    fp(&mut out, model);
    out.push_str("helpers: &HELPERS,\n");
    let (machine, class, big) = (s.elf_machine, s.elf_class, s.elf_big);
    let flags = s.elf_flags;
    let _ = writeln!(
        out,
        "elf: ir::guest::ElfDesc {{ machine: {machine}, class: {class}, big_endian: {big}, flags: {flags:#x} }},"
    );
    let _ = writeln!(
        out,
        "process: ir::guest::ProcessDesc {{ entry_sp_align: {}, hwcap: {:#x}, hwcap2: {:#x}, platform: {:?}, machine: {:?}, tls: {}, ifunc: ir::guest::IfuncArgs::{} }},",
        s.entry_sp_align,
        s.hwcap,
        s.hwcap2,
        s.platform,
        s.machine,
        slot(s.tls),
        match s.ifunc.as_str() {
            "hwcap" => "Hwcap",
            "hwcap_block" => "HwcapBlock",
            _ => "None",
        }
    );
    let _ = writeln!(
        out,
        "syscall: ir::guest::SyscallDesc {{ number: {}, args: {}, stack_args: {:?}, ret: {}, error: {} }},",
        slot(s.syscall_number),
        slot_list(&s.syscall_args),
        s.syscall_stack_args,
        slot(s.syscall_ret),
        some_slot(s.syscall_error)
    );
    abi(&mut out, model);
    let native = match &s.native_call {
        Some(NativeCall { code, ret, after, .. }) => {
            let origin = if *after { 4 } else { 0 };
            format!("Some(ir::guest::NativeCallDesc {{ code: &{code:?}, ret: &{ret:?}, name_origin: {origin} }})")
        }
        None => "None".to_owned(),
    };
    let _ = writeln!(out, "native_call: {native},\n}};");
    out
}

/// The calling convention; rules print as the types they are there.
fn abi(out: &mut String, model: &Model) {
    let s = &model.sections;
    let [int_args, fp_args, int_ret, fp_ret, saved] =
        [&s.int_args, &s.fp_args, &s.int_ret, &s.fp_ret, &s.callee_saved].map(|list| slot_list(list));
    let _ = writeln!(
        out,
        "abi: {{ use ir::convention::{{How::*, Rule, StackDesc, Who::*}}; ir::guest::AbiDesc {{ int_args: {int_args}, fp_args: {fp_args}, int_ret: {int_ret}, fp_ret: {fp_ret}, return_address: {}, callee: {}, callee_saved: {saved}, hidden_pointer: {}, stack: {:?},",
        some_slot(s.return_address),
        some_slot(s.callee),
        some_slot(s.hidden_pointer),
        s.stack
    );
    let _ = writeln!(out, "arg_rules: &{:?}, ret_rules: &{:?} }} }},", s.arg_rules, s.ret_rules);
}

/// A slot number. The checker has reported what is missing, so the default is never generated.
fn slot(number: Option<u16>) -> String {
    format!("ir::guest::Slot({})", number.unwrap_or(0))
}

/// A slot number that may be absent.
fn some_slot(number: Option<u16>) -> String {
    number.map_or_else(|| "None".to_owned(), |n| format!("Some({})", slot(Some(n))))
}

fn slot_list(slots: &[u16]) -> String {
    let slots: Vec<String> = slots.iter().map(|&s| slot(Some(s))).collect();
    format!("&[{}]", slots.join(", "))
}

fn slots(out: &mut String, model: &Model) {
    let _ = writeln!(out, "static SLOTS: [ir::guest::SlotDesc; {}] = [", model.slots.len());
    for slot in &model.slots {
        let ty = ty(slot.width);
        let _ = writeln!(
            out,
            "ir::guest::SlotDesc {{ name: {:?}, ty: ir::Ty::{ty}, offset: {} }},",
            slot.name, slot.offset
        );
    }
    out.push_str("];\n");
}

/// The narrowest type that holds a width.
fn ty(width: u32) -> &'static str {
    match width {
        1 => "I1",
        2..=8 => "I8",
        9..=16 => "I16",
        17..=32 => "I32",
        33..=64 => "I64",
        _ => "I128",
    }
}

fn contexts(out: &mut String, model: &Model) {
    out.push_str("contexts: &[");
    for c in model.modes() {
        let _ = write!(
            out,
            "ir::guest::ContextDesc {{ name: {:?}, lo: {}, width: {}, reset: {} }}, ",
            c.name, c.lo, c.width, c.reset
        );
    }
    out.push_str("],\n");
}

fn fp(out: &mut String, model: &Model) {
    let fp = &model.sections.fp;
    let nan = match &*fp.nan {
        "first_operand" => "FirstOperand",
        "signalling_first" => "SignallingFirst",
        _ => "Canonical",
    };
    let product_nan = match &*fp.product_nan {
        "addend" => "Addend",
        "quiet" => "Quiet",
        _ => "Invalid",
    };
    let tininess = if fp.tininess == "before_rounding" { "Before" } else { "After" };
    let nan_to_int = match &*fp.nan_to_int {
        "zero" => "Zero",
        "max" => "Max",
        _ => "Indefinite",
    };
    let _ = writeln!(
        out,
        "fp: ir::guest::FpPolicy {{ nan: ir::guest::NanRule::{nan}, default_nan_negative: {}, product_nan: ir::guest::ProductNan::{product_nan}, tininess: ir::guest::Tininess::{tininess}, nan_to_int: ir::guest::NanToInt::{nan_to_int} }},",
        fp.default_nan_sign
    );
    let named: Vec<String> = (1..=model.sections.fp_named.len()).map(|i| format!("fp_mode_{i}")).collect();
    let _ = writeln!(out, "fp_named: &[{}],", named.join(", "));
}

/// Apart from the guest's description: in a program that does not name them they take no room.
fn tests(out: &mut String, model: &Model) {
    let count: usize = model.insns.iter().map(|i| i.tests.len()).sum();
    let _ =
        writeln!(out, "/// The specification's `test` lines.\npub static TESTS: [ir::guest::InsnTest; {count}] = [");
    for insn in &model.insns {
        insn.tests.iter().for_each(|t| test(out, &insn.name, t));
    }
    out.push_str("];\n");
}

fn test(out: &mut String, insn: &str, t: &Test) {
    let values = |list: &[(String, u128)]| -> String {
        list.iter().map(|(name, value)| format!("({name:?}, {value:#x}), ")).collect()
    };
    let _ = writeln!(
        out,
        "ir::guest::InsnTest {{ insn: {insn:?}, at: {:?}, code: &{:?}, text: {:?}, before: &[{}], after: &[{}], run: {} }},",
        t.at,
        t.code,
        t.text,
        values(&t.before),
        values(&t.after),
        t.runs
    );
}

/// Bits of the mode word that the floating-point environment depends on.
fn fp_mode_bits(model: &Model) -> u64 {
    let (table, fp) = (NeedsTable::new(model), &model.sections.fp);
    let parts = [&fp.round, &fp.flush_inputs, &fp.flush_results, &fp.default_nan];
    let read = parts.into_iter().flatten().fold(0, |read, e| read | table.expr(e).contexts);
    let kept = model.contexts.iter().enumerate().filter(|(_, context)| !context.decoded);
    let those = kept.filter(|(i, _)| read >> (*i).min(127) & 1 != 0);
    those.fold(0, |mask, (_, context)| mask | ((1_u64 << context.width) - 1) << context.lo)
}
