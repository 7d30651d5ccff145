//! Sticky floating-point flags that the guest puts back as they were: it compares or rounds numbers without leaving a trace (RISC-V
//! `frflags`, `flt`, `fsflags`). After comparisons alone, as long as the numbers are ordered, nothing has been raised and nothing
//! is to be done. Else what was read is written again, not what the guest made of it.

use ir::inst::{Effect, Inst, Op, TypeRule, Val};
use ir::softfloat::flag;
use ir::{Unit, eval};
use smallvec::SmallVec;

use super::Gpr;
use super::analysis::{Analysis, NO, result_ty};
use super::asm::{Label, cc};
use super::generator::Gen;

/// Flags that guests see, as a mask.
const FLAGS: u32 = flag::INVALID | flag::DIV_ZERO | flag::OVERFLOW | flag::UNDERFLOW | flag::INEXACT;

/// Most comparisons in between.
const MOST_COMPARES: usize = 2;

/// Most operations between flags and flags.
const MOST_STEPS: usize = 48;

/// A write of flags that brings back what was read.
#[derive(Clone, Debug)]
pub(super) struct Restored {
    /// Position of the write.
    at: u32,
    /// The value that was read.
    pub(super) flags: u32,
    /// Positions of comparisons that may have raised some in between.
    pub(super) compares: SmallVec<[u32; MOST_COMPARES]>,
    /// So may others.
    pub(super) others: bool,
}

/// Cold code that does write them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rewrite {
    label: Label,
    back: Label,
    flags: Gpr,
    temp: Gpr,
}

impl Analysis {
    /// The restoring write at this position, if it is one.
    pub(super) fn restored(&self, at: u32) -> Option<&Restored> {
        self.restored.iter().find(|r| r.at == at)
    }

    /// Whether the comparison at this position is to raise what it raises: not if that is taken back before anybody sees it.
    pub(super) fn raises(&self, at: u32) -> bool {
        !self.restored.iter().any(|r| !r.others && r.compares.contains(&at))
    }

    /// Finds writes of flags that bring back what was read.
    pub(super) fn find_restored(&mut self, unit: &Unit) {
        self.restored.clear();
        for (i, inst) in unit.insts.iter().enumerate() {
            if inst.op == Op::Setfflags
                && let Some(restored) = self.raised_since(unit, i)
                && brings_back(unit, restored.flags as usize, i)
            {
                self.restored.push(restored);
            }
        }
    }

    /// The last read of flags before `to`, if nothing but operations on floating-point numbers raises or clears any since then.
    fn raised_since(&self, unit: &Unit, to: usize) -> Option<Restored> {
        let mut restored = Restored { at: to as u32, flags: NO, compares: SmallVec::new(), others: false };
        for (i, inst) in unit.insts[..to].iter().enumerate().rev() {
            match inst.op {
                Op::Fflags => return Some(Restored { flags: i as u32, ..restored }),
                Op::Setfflags | Op::Helper => return None,
                Op::Fcmp if self.hosts_float(unit, inst) && restored.compares.len() < MOST_COMPARES => {
                    restored.compares.push(i as u32);
                }
                op => restored.others |= op.desc().effect != Effect::Pure,
            }
        }
        None
    }
}

/// Whether what is written at `to` is, whatever has been read at `from`, the same flags: tried with all.
fn brings_back(unit: &Unit, from: usize, to: usize) -> bool {
    let Some(steps) = steps_between(unit, from, to) else { return false };
    let mut values = vec![0; to];
    let mut every = (0..=FLAGS).filter(|flags| flags & !FLAGS == 0);
    let written = unit.insts[to].args[0].index();
    every.all(|flags| {
        values[from] = u128::from(flags);
        for &i in &steps {
            values[i] = evaluate(unit, &unit.insts[i], &values);
        }
        values[written] == u128::from(flags)
    })
}

/// What is written at `to` as operations on what was read at `from` and on constants, in order.
fn steps_between(unit: &Unit, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut waiting = vec![unit.insts[to].args[0].index()];
    let mut steps = Vec::new();
    while let Some(i) = waiting.pop() {
        let inst = &unit.insts[i];
        let pure = inst.op.desc().effect == Effect::Pure && !matches!(inst.op, Op::Get | Op::Vshuf);
        if i == from || steps.contains(&i) {
            continue;
        }
        if !pure || steps.len() == MOST_STEPS {
            return None;
        }
        steps.push(i);
        if inst.op != Op::Const {
            waiting.extend(inst.args.iter().filter(|v| **v != Val::NONE).map(|v| v.index()));
        }
    }
    steps.sort_unstable();
    Some(steps)
}

fn evaluate(unit: &Unit, inst: &Inst, values: &[u128]) -> u128 {
    if inst.op == Op::Const {
        return unit.consts[inst.attr.index()];
    }
    let args = inst.args.map(|v| if v == Val::NONE { 0 } else { values[v.index()] });
    let own = inst.op.desc().operands.iter().position(|rule| *rule == TypeRule::From);
    let from = own.map_or(inst.ty, |k| result_ty(&unit.insts[inst.args[k].index()]));
    eval::pure(inst.op, inst.ty, from, inst.attr, args)
}

impl Gen<'_> {
    /// A write of flags that brings back what was read: after comparisons there is something to do only if one was of a NaN.
    pub(super) fn emit_restored(&mut self, restored: &Restored) {
        let flags = self.use_gpr(restored.flags);
        let temp = self.temp_gpr();
        if restored.others {
            return self.write_flags(flags, temp);
        }
        let (label, back) = (self.asm.label(), self.asm.label());
        for &at in &restored.compares {
            let inst = &self.unit.insts[at as usize];
            let (a, b) = (self.an.arg(inst, 0), self.an.arg(inst, 1));
            let (x, y) = (self.use_xmm(a), self.use_xmm(b));
            self.unordered_compare(inst.attr.lane(), false, x, y);
            self.asm.jcc(cc::P, label);
        }
        self.asm.bind(back);
        self.flags = None;
        self.rewrites.push(Rewrite { label, back, flags, temp });
    }

    /// Emits the cold code of such writes.
    pub(super) fn emit_rewrites(&mut self) {
        for Rewrite { label, back, flags, temp } in std::mem::take(&mut self.rewrites) {
            self.asm.bind(label);
            self.write_flags(flags, temp);
            self.asm.jmp(back);
        }
    }
}
