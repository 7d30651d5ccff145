//! Units as text, which [`crate::parse`] reads back.
//!
//! ```text
//! unit 0x1000 mode 0x0 len 8
//! 0x1000:
//!   %0.0 = get.i64 gpr[1]
//!   %1.0 = const.i64 0x10
//!   %sum.0 = add.i64 %0.0, %1.0
//!   put gpr[2] = %sum.0
//! 0x1004:
//!   exit jump 0x1008 mode 0x0
//! ```
//! A value is named by the spec, or else by its number within its guest instruction; the suffix is the instruction's
//! offset in the unit. So a change to one guest instruction leaves the text of the others alone.

use std::fmt::Write;

use crate::guest::Guest;
use crate::inst::{AtomicOp, FCmp, Inst, MinMax, Op, Order, Round, Step, Val};
use crate::unit::{Exit, ExitKind, Trap, Unit};

/// Prints a unit.
#[must_use]
pub fn print(unit: &Unit, guest: &Guest) -> String {
    let names = names(unit);
    let printer = Printer { unit, guest, names: &names };
    let mut out = format!("unit {:#x} mode {:#x} len {}\n", unit.key.pc, unit.key.mode, unit.guest_len);
    let (mut bounds, mut puts) = (unit.bounds.iter().peekable(), unit.puts.iter().peekable());
    for pos in 0..=unit.insts.len() {
        // Writes at a boundary are of the instruction that ended.
        while let Some(put) = puts.next_if(|put| put.pos as usize <= pos) {
            let _ = writeln!(out, "  put {} = {}", guest.slots[put.slot.0 as usize].name, printer.value(put.val));
        }
        while let Some(bound) = bounds.next_if(|bound| bound.pos as usize <= pos) {
            let mode = if bound.mode == unit.key.mode { String::new() } else { format!(" mode {:#x}", bound.mode) };
            let _ = writeln!(out, "{:#x}{mode}:", bound.pc);
        }
        if let Some(inst) = unit.insts.get(pos) {
            let _ = writeln!(out, "  {}", printer.inst(Val(pos as u32), inst));
        }
    }
    out
}

/// Name of every value.
fn names(unit: &Unit) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(unit.insts.len());
    let mut given = vec![None; unit.insts.len()];
    for (val, name) in unit.names.iter().rev() {
        given[val.index()] = Some(*name);
    }
    let mut bounds = unit.bounds.iter().peekable();
    let (mut offset, mut number) = (0, 0);
    for (pos, given) in given.into_iter().enumerate() {
        while let Some(bound) = bounds.next_if(|bound| bound.pos as usize <= pos) {
            (offset, number) = (bound.pc.wrapping_sub(unit.key.pc), 0);
        }
        let name = given.map(|name| format!("%{name}.{offset:x}")).filter(|name| !names.contains(name));
        names.push(name.unwrap_or_else(|| format!("%{number}.{offset:x}")));
        number += 1;
    }
    names
}

struct Printer<'a> {
    unit: &'a Unit,
    guest: &'a Guest,
    names: &'a [String],
}

impl Printer<'_> {
    fn value(&self, v: Val) -> &str {
        self.names.get(v.index()).map_or("%?", String::as_str)
    }

    fn inst(&self, val: Val, inst: &Inst) -> String {
        let desc = inst.op.desc();
        let mut text = String::new();
        if desc.result.is_some() {
            let _ = write!(text, "{} = ", self.value(val));
        }
        let _ = write!(text, "{}", desc.name);
        if desc.result.is_some() || !desc.operands.is_empty() {
            let _ = write!(text, ".i{}", inst.ty.bits());
        }
        text.push_str(&self.attributes(inst));
        let operands: Vec<_> = if desc.variadic {
            let (first, count) = (inst.args[0].index(), inst.args[1].index());
            self.unit.helper_args[first..first + count].iter().map(|v| self.value(*v)).collect()
        } else {
            inst.args[..desc.operands.len()].iter().map(|v| self.value(*v)).collect()
        };
        if !operands.is_empty() {
            let _ = write!(text, " {}", operands.join(", "));
        }
        if matches!(inst.op, Op::ExitIf | Op::Exit | Op::ExitInd) {
            let _ = write!(text, " {}", exit(&self.unit.exits[inst.attr.index()]));
        }
        text
    }

    /// Attributes, each with a space before it.
    fn attributes(&self, inst: &Inst) -> String {
        let (attr, desc) = (inst.attr, inst.op.desc());
        match inst.op {
            Op::Const | Op::Vshuf => return format!(" {:#x}", self.unit.consts[attr.index()]),
            Op::Get => return format!(" {}", self.guest.slots[attr.index()].name),
            Op::Helper => return format!(" {}", self.guest.helpers[attr.index()].name),
            Op::ExitIf | Op::Exit | Op::ExitInd => return String::new(),
            _ => {}
        }
        let mut words = Vec::new();
        if desc.lane {
            words.push(format!("lane {}", attr.lane()));
            if attr.environment() != 0 {
                words.push(format!("environment {}", attr.environment()));
            }
        }
        if desc.round && attr.round() != Round::Mode {
            words.push(format!("{:?}", attr.round()).to_lowercase());
        }
        if desc.imm {
            words.push(format!("#{}", attr.imm()));
        }
        if desc.imm2 {
            words.push(format!("#{}", attr.imm2()));
        }
        if desc.mem {
            words.extend(memory(inst));
        }
        if desc.kind {
            words.push(kind(inst).into());
        }
        words.iter().map(|word| format!(" {word}")).collect()
    }
}

fn memory(inst: &Inst) -> Vec<String> {
    let mem = inst.attr.as_mem();
    let mut words = Vec::new();
    if mem.order != Order::Relaxed {
        words.push(format!("{:?}", mem.order).to_lowercase());
    }
    if mem.big_endian {
        words.push("big".into());
    }
    if mem.align_log2 != 0 {
        words.push(format!("align {}", 1 << mem.align_log2));
    }
    words
}

fn kind(inst: &Inst) -> &'static str {
    let kind = usize::from(inst.attr.kind());
    match inst.op {
        Op::Rmw => AtomicOp::ALL.get(kind).map_or("?", |(_, name)| name),
        Op::Fmin | Op::Fmax => MinMax::ALL.get(kind).map_or("?", |(_, name)| name),
        Op::Step => Step::ALL.get(kind).map_or("?", |(_, name)| name),
        _ => FCmp::ALL.get(kind).map_or("?", |(_, name)| name),
    }
}

/// `jump 0x1000 mode 0x0`, and so on.
fn exit(exit: &Exit) -> String {
    let Exit { target, mode, ret, ret_mode, .. } = *exit;
    let ret_to = if ret_mode == mode { String::new() } else { format!(" ret_mode {ret_mode:#x}") };
    let what = match exit.kind {
        ExitKind::Jump => format!("jump {target:#x}"),
        ExitKind::Call => format!("call {target:#x} ret {ret:#x}{ret_to}"),
        ExitKind::Indirect => "indirect".into(),
        ExitKind::IndirectCall => format!("indirect_call ret {ret:#x}{ret_to}"),
        ExitKind::Return => "return".into(),
        ExitKind::Syscall => format!("syscall {target:#x}"),
        ExitKind::Trap(trap) => format!("trap {} {target:#x}", trap_name(trap)),
        ExitKind::NativeCall => format!("native_call {target:#x}"),
        ExitKind::Flush { len } => format!("flush {len} {target:#x}"),
        ExitKind::Redispatch => format!("redispatch {target:#x}"),
        ExitKind::Step => format!("step {target:#x}"),
        ExitKind::Retreat => format!("retreat {target:#x}"),
    };
    if exit.mode_in_state { format!("{what} mode state") } else { format!("{what} mode {mode:#x}") }
}

fn trap_name(trap: Trap) -> String {
    match trap {
        Trap::Undefined => "undefined".into(),
        Trap::Breakpoint(code) => format!("breakpoint {code}"),
        Trap::IntegerOverflow => "integer_overflow".into(),
        Trap::DivideByZero => "divide_by_zero".into(),
        Trap::Trap(code) => format!("trap {code}"),
        Trap::Alignment => "alignment".into(),
    }
}
