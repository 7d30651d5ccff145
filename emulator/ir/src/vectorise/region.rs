//! The turns: the straight line from the unit's start to the last branch back to it.

use std::collections::HashMap;

use super::ranges::Range;
use crate::guest::Slot;
use crate::inst::{Effect, Inst, Op, Order, Val};
use crate::ty::Ty;
use crate::unit::{Exit, ExitKind, Unit};

/// A sum of values with factors, modulo the width of a type: all that is not constant of one or more linear values.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub(super) struct Root(u32);

/// A value as the sum of a root and a constant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Linear {
    /// What is not constant.
    pub(super) root: Root,
    /// The constant, sign-extended.
    pub(super) offset: i64,
}

/// Terms of a root, by ascending value: values, those of wider types meaning their low bits, and their factors.
type Terms = Vec<(Val, i64)>;

/// A root: terms, and the first value that the state at entry decides and that has it, with its constant.
type RootDesc = (Terms, Option<(Val, i64)>);

/// The roots of a unit's values.
#[derive(Default)]
struct Roots {
    by_terms: HashMap<(Ty, Terms), Root>,
    all: Vec<RootDesc>,
}

impl Roots {
    /// The root of these terms; `value`, if there is one, is its sum with `offset`.
    fn intern(&mut self, ty: Ty, terms: Terms, value: Option<(Val, i64)>) -> Root {
        let next = Root(self.all.len() as u32);
        let root = *self.by_terms.entry((ty, terms.clone())).or_insert(next);
        if root == next {
            self.all.push((terms, value));
        }
        root
    }
}

/// A constant of a type, sign-extended.
fn signed(ty: Ty, k: i64) -> i64 {
    if ty == Ty::I32 { i64::from(k as i32) } else { k }
}

/// `a + b * factor`, term by term.
fn sum(ty: Ty, a: &[(Val, i64)], b: &[(Val, i64)], factor: i64) -> Terms {
    let mut terms = a.to_vec();
    for (value, k) in b {
        let k = k.wrapping_mul(factor);
        match terms.binary_search_by_key(value, |(v, _)| *v) {
            Ok(i) => terms[i].1 = terms[i].1.wrapping_add(k),
            Err(i) => terms.insert(i, (*value, k)),
        }
    }
    terms.iter_mut().for_each(|(_, k)| *k = signed(ty, *k));
    terms.retain(|(_, k)| *k != 0);
    terms
}

/// A load or store.
#[derive(Clone, Copy, Debug)]
pub(super) struct Access {
    /// Position in the unit.
    pub(super) pos: usize,
    /// Address.
    pub(super) at: Linear,
    /// Bytes.
    pub(super) size: i64,
    /// What is stored; `None` for loads.
    pub(super) stored: Option<Val>,
}

/// A condition under which the turns are left: that the one-bit value is `if_is`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leave {
    pub(super) cond: Val,
    pub(super) if_is: bool,
}

/// See the module.
pub(super) struct Region<'u> {
    pub(super) unit: &'u Unit,
    /// Position of the last branch back.
    pub(super) end: usize,
    /// Position of the first instruction of each turn.
    pub(super) starts: Vec<usize>,
    pub(super) leaves: Vec<Leave>,
    pub(super) accesses: Vec<Access>,
    /// By position: computed from the state at entry alone.
    pure: Vec<bool>,
    /// By position, for values of 32 and 64 bits.
    linear: Vec<Option<Linear>>,
    /// By position.
    pub(super) ranges: Vec<Range>,
    roots: Roots,
}

impl<'u> Region<'u> {
    /// `None` if there are less than two turns, or something in them that is not understood.
    pub(super) fn of(unit: &'u Unit) -> Option<Region<'u>> {
        let end = unit.insts.iter().position(|inst| is_branch_back(unit, inst))?;
        let back = unit.bounds.iter().filter(|b| b.pc == unit.key.pc && b.pos as usize <= end);
        let starts: Vec<usize> = back.map(|b| b.pos as usize).collect();
        let mut region = Region {
            unit,
            end,
            starts,
            leaves: Vec::new(),
            accesses: Vec::new(),
            pure: Vec::new(),
            linear: Vec::new(),
            ranges: Vec::new(),
            roots: Roots::default(),
        };
        if region.starts.len() < 2 || unit.bounds.iter().any(|b| b.mode != unit.key.mode && b.pos as usize <= end) {
            return None;
        }
        for pos in 0..end {
            region.add(pos)?;
        }
        region.linear.push(None);
        region.leaves.push(Leave { cond: unit.insts[end].args[0], if_is: false });
        let known = region.leaves.iter().all(|leave| region.is_pure(leave.cond));
        known.then_some(region)
    }

    /// Takes the instruction at `pos` in.
    fn add(&mut self, pos: usize) -> Option<()> {
        let inst = self.inst(Val(pos as u32));
        let effect = inst.op.desc().effect;
        let operands = || inst.args.iter().filter(|v| **v != Val::NONE);
        let pure =
            effect == Effect::Pure && (matches!(inst.op, Op::Const | Op::Get) || operands().all(|v| self.is_pure(*v)));
        self.pure.push(pure);
        let linear = self.sum_of(pos, inst);
        self.linear.push(linear);
        self.ranges.push(self.range_at(pos));
        match inst.op {
            Op::ExitIf => self.leaves.push(Leave { cond: inst.args[0], if_is: true }),
            Op::Load | Op::Store => {
                let mem = inst.attr.as_mem();
                if mem.big_endian || mem.order != Order::Relaxed || inst.attr.is_own() {
                    return None;
                }
                let stored = (inst.op == Op::Store).then_some(inst.args[1]);
                let size = inst.ty.bytes().into();
                self.accesses.push(Access { pos, at: self.linear(inst.args[0])?, size, stored });
            }
            _ if effect == Effect::Pure || inst.op.is_float() => {}
            _ => return None,
        }
        Some(())
    }

    pub(super) fn inst(&self, v: Val) -> Inst {
        self.unit.insts[v.index()]
    }

    /// Type of a value.
    pub(super) fn ty(&self, v: Val) -> Option<Ty> {
        self.inst(v).result_ty()
    }

    /// Constant value of `v`, if it is one.
    pub(super) fn constant(&self, v: Val) -> Option<u128> {
        let inst = self.inst(v);
        (inst.op == Op::Const).then(|| self.unit.consts[inst.attr.index()])
    }

    /// Whether the value depends on nothing but the state at entry.
    pub(super) fn is_pure(&self, v: Val) -> bool {
        self.pure.get(v.index()).copied().unwrap_or(false)
    }

    /// The value, if it has 32 or 64 bits, as a sum.
    pub(super) fn linear(&self, v: Val) -> Option<Linear> {
        self.linear.get(v.index()).copied().flatten()
    }

    /// The instruction's result as a sum.
    fn sum_of(&mut self, pos: usize, inst: Inst) -> Option<Linear> {
        let ty = inst.result_ty().filter(|ty| matches!(ty, Ty::I32 | Ty::I64))?;
        let v = Val(pos as u32);
        if let Some(k) = self.constant(v) {
            let root = self.roots.intern(ty, Terms::new(), None);
            return Some(Linear { root, offset: signed(ty, k as i64) });
        }
        let [a, b, _] = inst.args;
        let by = || self.constant(b).map(|k| signed(ty, k as i64));
        let (first, second, factor) = match inst.op {
            Op::Add => (self.linear(a), self.linear(b), 1),
            Op::Sub => (self.linear(a), self.linear(b), -1),
            Op::Trunc => (self.linear(a), None, 0),
            Op::Mul => (None, self.linear(a), by().unwrap_or(0)),
            Op::Shl => (None, self.linear(a), by().filter(|k| (0..62).contains(k)).map_or(0, |k| 1 << k)),
            _ => (None, None, 0),
        };
        let (terms, offset) = match (first, second) {
            (Some(a), Some(b)) if factor != 0 => self.combine(ty, Some(a), b, factor),
            (None, Some(b)) if factor != 0 => self.combine(ty, None, b, factor),
            (Some(a), None) if inst.op == Op::Trunc => self.combine(ty, None, a, 1),
            _ => (vec![(v, 1)], 0),
        };
        let value = self.is_pure(v).then_some((v, offset));
        Some(Linear { root: self.roots.intern(ty, terms, value), offset })
    }

    fn combine(&self, ty: Ty, a: Option<Linear>, b: Linear, factor: i64) -> (Terms, i64) {
        let terms = |it: Linear| self.roots.all[it.root.0 as usize].0.as_slice();
        let offset = a.map_or(0, |a| a.offset).wrapping_add(b.offset.wrapping_mul(factor));
        (sum(ty, a.map_or(&[], terms), terms(b), factor), signed(ty, offset))
    }

    /// The low 32 bits of a sum.
    pub(super) fn narrowed(&mut self, linear: Linear) -> Linear {
        let (terms, value) = self.roots.all[linear.root.0 as usize].clone();
        let terms = sum(Ty::I32, &[], &terms, 1);
        let value = value.map(|(v, k)| (v, signed(Ty::I32, k)));
        Linear { root: self.roots.intern(Ty::I32, terms, value), offset: signed(Ty::I32, linear.offset) }
    }

    /// A value that the state at entry decides and that has the root, with its constant; `None` if the root is 0 or there is no such
    /// value.
    pub(super) fn value_with(&self, root: Root) -> Option<(Val, i64)> {
        self.roots.all[root.0 as usize].1
    }

    /// Whether the root is 0.
    pub(super) fn is_zero(&self, root: Root) -> bool {
        self.roots.all[root.0 as usize].0.is_empty()
    }

    /// What the log has written before the instruction at `pos`: the last value of each slot.
    pub(super) fn written_before(&self, pos: usize) -> Vec<(Slot, Val)> {
        let mut slots: Vec<(Slot, Val)> = Vec::new();
        for put in self.unit.puts.iter().take_while(|put| put.pos as usize <= pos) {
            match slots.iter_mut().find(|(slot, _)| *slot == put.slot) {
                Some((_, val)) => *val = put.val,
                None => slots.push((put.slot, put.val)),
            }
        }
        slots
    }

    /// The turn an instruction is in.
    pub(super) fn turn_of(&self, pos: usize) -> usize {
        self.starts.partition_point(|start| *start <= pos).saturating_sub(1)
    }
}

fn is_branch_back(unit: &Unit, inst: &Inst) -> bool {
    let back = |exit: &Exit| {
        let here = (exit.target, exit.mode) == (unit.key.pc, unit.key.mode) && !exit.mode_in_state;
        here && exit.kind == ExitKind::Jump
    };
    inst.op == Op::ExitIf && back(&unit.exits[inst.attr.index()])
}
