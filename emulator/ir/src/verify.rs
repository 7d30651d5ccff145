//! Checks that a unit is well formed: what the interpreter and the translator take for granted.

use crate::guest::Guest;
use crate::inst::{Effect, FCmp, Inst, MinMax, Op, Step, TypeRule, Val};
use crate::ty::Ty;
use crate::unit::Unit;

/// Checks a unit.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn verify(unit: &Unit, guest: &Guest) -> Result<(), String> {
    for (pos, inst) in unit.insts.iter().enumerate() {
        check_inst(unit, guest, pos, inst).map_err(|what| format!("%{pos} {}: {what}", inst.op.desc().name))?;
    }
    check_end(unit)?;
    check_puts(unit, guest)?;
    check_bounds(unit)?;
    if unit.names.iter().any(|(val, _)| val.index() >= unit.insts.len()) {
        return Err("a name without a value".into());
    }
    Ok(())
}

fn check(ok: bool, what: impl FnOnce() -> String) -> Result<(), String> {
    if ok { Ok(()) } else { Err(what()) }
}

fn check_inst(unit: &Unit, guest: &Guest, pos: usize, inst: &Inst) -> Result<(), String> {
    let desc = inst.op.desc();
    if desc.variadic {
        let (first, count) = (inst.args[0].index(), inst.args[1].index());
        let args = unit.helper_args.get(first..first + count).ok_or("operands outside the pool")?;
        for arg in args {
            check_defined(unit, pos, *arg)?;
        }
        return check(inst.attr.index() < guest.helpers.len(), || "no such helper".into());
    }
    for (k, arg) in inst.args.iter().enumerate() {
        match desc.operands.get(k) {
            Some(rule) => check_operand(unit, pos, inst, *rule, *arg).map_err(|what| format!("operand {k} {what}"))?,
            None => check(*arg == Val::NONE, || format!("has an operand {k}"))?,
        }
    }
    check_attr(unit, guest, inst)
}

fn check_defined(unit: &Unit, pos: usize, arg: Val) -> Result<Ty, String> {
    check(arg.index() < pos, || "is not defined before".into())?;
    unit.insts[arg.index()].result_ty().ok_or_else(|| "has no value".into())
}

fn check_operand(unit: &Unit, pos: usize, inst: &Inst, rule: TypeRule, arg: Val) -> Result<(), String> {
    let ty = check_defined(unit, pos, arg)?;
    let expected = match rule {
        TypeRule::Same => inst.ty,
        TypeRule::Fixed(ty) => ty,
        TypeRule::From => return check_from(inst, ty),
    };
    check(ty == expected, || format!("is {ty:?}, not {expected:?}"))
}

/// Operands with a type of their own, where it is not free.
fn check_from(inst: &Inst, from: Ty) -> Result<(), String> {
    let ok = match inst.op {
        Op::Zext | Op::Sext => from < inst.ty,
        Op::Trunc => from > inst.ty,
        Op::Concat => from.bits() * 2 == inst.ty.bits(),
        Op::Splat => from.bits() == inst.attr.lane() && from < inst.ty,
        Op::Vget => (inst.attr.imm() + 1) * inst.ty.bits() <= from.bits(),
        Op::Vset => (inst.attr.imm() + 1) * from.bits() <= inst.ty.bits(),
        Op::Crc32 => (Ty::I8..=Ty::I64).contains(&from),
        Op::Fcvt => is_format(from) && is_format(inst.ty),
        Op::Ftos | Op::Ftou => from == inst.ty || from.bits() == inst.attr.lane(),
        Op::Stof | Op::Utof => from == inst.ty || inst.ty.bits() == inst.attr.lane(),
        _ => true,
    };
    check(ok, || format!("is {from:?}"))
}

fn is_format(ty: Ty) -> bool {
    matches!(ty, Ty::I16 | Ty::I32 | Ty::I64)
}

fn check_attr(unit: &Unit, guest: &Guest, inst: &Inst) -> Result<(), String> {
    let (attr, bits) = (inst.attr, inst.ty.bits());
    let ok = match inst.op {
        Op::Const => unit.consts.get(attr.index()).is_some_and(|c| c & !inst.ty.mask() == 0),
        Op::Vshuf => attr.index() < unit.consts.len(),
        Op::Get => guest.slots.get(attr.index()).is_some_and(|slot| slot.ty == inst.ty),
        Op::Bfx | Op::Bfxs | Op::Bfi => attr.imm2() >= 1 && attr.imm() + attr.imm2() <= bits,
        Op::Setmode => attr.imm2() >= 1 && attr.imm() + attr.imm2() <= 32,
        Op::Rmw => attr.kind() < 10,
        Op::Fmin | Op::Fmax => usize::from(attr.kind()) < MinMax::ALL.len(),
        Op::Step => usize::from(attr.kind()) < Step::ALL.len(),
        Op::Fcmp | Op::Vfcmp => usize::from(attr.kind()) < FCmp::ALL.len(),
        Op::Vshli => attr.imm() < attr.lane(),
        Op::Vshri | Op::Vsari => attr.imm() <= attr.lane(),
        Op::Fence => attr.imm() < 16,
        op if op.desc().effect == Effect::Exit => attr.index() < unit.exits.len(),
        _ => true,
    };
    check(ok, || format!("attribute {:#x} is out of range", attr.0))?;
    let lanes_fit = !inst.op.desc().lane || attr.lane() <= bits.max(64);
    check(lanes_fit, || format!("lanes of {} bits", attr.lane()))?;
    let float = inst.op.desc().lane && inst.op as u8 >= Op::Fadd as u8;
    check(!float || matches!(attr.lane(), 16 | 32 | 64), || format!("no float format of {} bits", attr.lane()))
}

/// The last instruction leaves for good, and no other does.
fn check_end(unit: &Unit) -> Result<(), String> {
    let leaves = |inst: &Inst| matches!(inst.op, Op::Exit | Op::ExitInd);
    match unit.insts.iter().position(leaves) {
        Some(pos) => check(pos + 1 == unit.insts.len(), || format!("instructions after the exit at %{pos}")),
        None => Err("no exit at the end".into()),
    }
}

fn check_puts(unit: &Unit, guest: &Guest) -> Result<(), String> {
    let mut last = 0;
    for put in &unit.puts {
        let place = || format!("put at {}", put.pos);
        check(put.pos >= last && put.pos as usize <= unit.insts.len(), || format!("{} out of order", place()))?;
        last = put.pos;
        let slot = guest.slots.get(put.slot.0 as usize).ok_or_else(|| format!("{}: no such slot", place()))?;
        let ty =
            check_defined(unit, put.pos as usize, put.val).map_err(|what| format!("{}: its value {what}", place()))?;
        check(ty == slot.ty, || format!("{}: {ty:?} into {}, which is {:?}", place(), slot.name, slot.ty))?;
    }
    check_gets(unit, guest)
}

/// A slot is not read after it was written, except after helpers, which may write slots: `get` is the value at entry.
fn check_gets(unit: &Unit, guest: &Guest) -> Result<(), String> {
    let helper = unit.insts.iter().position(|i| i.op == Op::Helper && guest.helpers[i.attr.index()].state);
    let before_helper = helper.unwrap_or(unit.insts.len());
    for (pos, inst) in unit.insts.iter().enumerate().take(before_helper).filter(|(_, inst)| inst.op == Op::Get) {
        let written = unit.puts.iter().any(|put| put.slot.0 as usize == inst.attr.index() && put.pos as usize <= pos);
        check(!written, || format!("%{pos} reads {} after it was written", guest.slots[inst.attr.index()].name))?;
    }
    Ok(())
}

fn check_bounds(unit: &Unit) -> Result<(), String> {
    let ascending = unit.bounds.is_sorted_by(|a, b| a.pos <= b.pos);
    check(ascending, || "instruction starts out of order".into())?;
    check(unit.bounds.iter().all(|b| b.pos as usize <= unit.insts.len()), || {
        "an instruction starts after the end".into()
    })
}
