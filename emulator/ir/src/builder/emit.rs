//! Appending instructions; pure ones only if the unit has no equal one yet.

use super::Builder;
use super::facts::Fact;
use crate::eval;
use crate::guest::Slot;
use crate::inst::{Attr, Effect, Inst, Op, TypeRule, Val};
use crate::ty::Ty;

/// No operands.
pub(super) const NO_ARGS: [Val; 3] = [Val::NONE; 3];

/// One operand.
pub(super) fn one(a: Val) -> [Val; 3] {
    [a, Val::NONE, Val::NONE]
}

/// Two operands.
pub(super) fn two(a: Val, b: Val) -> [Val; 3] {
    [a, b, Val::NONE]
}

/// Open-addressing hash table of instruction indices.
pub(super) struct ValueTable {
    /// Free if they are of another unit. The length is a power of two.
    entries: Vec<Entry>,
    used: usize,
    unit: u32,
}

/// An instruction, and the unit it is of.
#[derive(Clone, Copy)]
struct Entry {
    unit: u32,
    index: u32,
}

impl Entry {
    /// Of no unit.
    const FREE: Entry = Entry { unit: 0, index: 0 };
}

impl Default for ValueTable {
    fn default() -> ValueTable {
        ValueTable { entries: vec![Entry::FREE; ValueTable::USUAL], used: 0, unit: 1 }
    }
}

impl ValueTable {
    /// Entries that few units outgrow.
    const USUAL: usize = 1024;

    /// Begins another unit.
    pub(super) fn clear(&mut self) {
        self.entries.truncate(ValueTable::USUAL);
        self.used = 0;
        self.unit = self.unit.wrapping_add(1);
        if self.unit == 0 {
            self.entries.fill(Entry::FREE);
            self.unit = 1;
        }
    }

    /// The entry with this hash that `is` accepts, or else enters `index`.
    #[inline]
    fn find_or_insert(&mut self, hash: u64, index: u32, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let mut at = hash as usize & mask;
        loop {
            match self.entries[at] {
                found if found.unit != self.unit => break,
                found if is(found.index) => return Some(found.index),
                _ => at = (at + 1) & mask,
            }
        }
        self.entries[at] = Entry { unit: self.unit, index };
        self.used += 1;
        None
    }

    /// The entry with this hash that `is` accepts.
    fn find(&self, hash: u64, is: impl Fn(u32) -> bool) -> Option<u32> {
        let mask = self.entries.len() - 1;
        let chain = (0..).map(|step| self.entries[(hash as usize).wrapping_add(step) & mask]);
        chain.take_while(|found| found.unit == self.unit).map(|found| found.index).find(|index| is(*index))
    }

    fn full(&self) -> bool {
        self.used * 2 >= self.entries.len()
    }

    /// Enters everything again in a larger table.
    fn grow(&mut self, hash: impl Fn(u32) -> u64) {
        let old = std::mem::take(&mut self.entries);
        self.entries = vec![Entry::FREE; old.len() * 4];
        let mask = self.entries.len() - 1;
        for entry in old.into_iter().filter(|entry| entry.unit == self.unit) {
            let mut at = hash(entry.index) as usize & mask;
            while self.entries[at].unit == self.unit {
                at = (at + 1) & mask;
            }
            self.entries[at] = entry;
        }
    }
}

fn mix(a: u64, b: u64, c: u64) -> u64 {
    const K: u64 = 0x9e37_79b9_7f4a_7c15;
    let h = (a.wrapping_mul(K) ^ b).rotate_left(26).wrapping_mul(K) ^ c;
    let h = h.wrapping_mul(K);
    h ^ h >> 32
}

fn hash_inst(inst: &Inst) -> u64 {
    let [a, b, c] = inst.args.map(|v| u64::from(v.0));
    mix(inst.op as u64 | (inst.ty as u64) << 8 | u64::from(inst.attr.0) << 16, a | b << 32, c)
}

fn hash_const(ty: Ty, value: u128) -> u64 {
    mix(!(ty as u64), value as u64, (value >> 64) as u64)
}

impl Builder<'_> {
    /// Definition of a value.
    #[inline]
    pub(super) fn def(&self, v: Val) -> Inst {
        self.unit.insts[v.index()]
    }

    /// What is known of a value.
    #[inline]
    pub(super) fn fact(&self, v: Val) -> Fact {
        self.tables.facts[v.index()]
    }

    /// Type of a value.
    #[inline]
    pub(crate) fn ty(&self, v: Val) -> Ty {
        self.tables.facts[v.index()].ty
    }

    /// Appends an instruction.
    pub(super) fn push(&mut self, inst: Inst) -> Val {
        debug_assert!(self.fits(&inst), "operands of {inst:?}");
        let val = Val(self.unit.insts.len() as u32);
        let fact = self.fact_of(&inst);
        self.unit.insts.push(inst);
        self.tables.facts.push(fact);
        val
    }

    /// Whether the operands have the types that the operation wants.
    fn fits(&self, inst: &Inst) -> bool {
        let desc = inst.op.desc();
        desc.variadic
            || desc.operands.iter().zip(inst.args).all(|(rule, arg)| match rule {
                TypeRule::Same => self.ty(arg) == inst.ty,
                TypeRule::From => arg != Val::NONE,
                TypeRule::Fixed(ty) => self.ty(arg) == *ty,
            })
    }

    /// Appends an operation with an effect.
    pub(crate) fn effect(&mut self, op: Op, ty: Ty, attr: Attr, args: [Val; 3]) -> Val {
        debug_assert_ne!(op.desc().effect, Effect::Pure);
        if self.skips() {
            let result = Inst { op, ty, attr, args }.result_ty();
            return self.k(result.unwrap_or(Ty::I1), 0); // never used: the body does not happen
        }
        self.commit();
        if op.desc().effect == Effect::Fault {
            self.decide_flags();
        }
        self.push(Inst { op, ty, attr, args })
    }

    /// A pure operation: a constant if its operands are, an earlier value if it was computed before.
    pub(crate) fn pure(&mut self, op: Op, ty: Ty, attr: Attr, args: [Val; 3]) -> Val {
        let desc = op.desc();
        debug_assert_eq!(desc.effect, Effect::Pure);
        let mut inst = Inst { op, ty, attr, args };
        if !self.folds {
            return self.push(inst);
        }
        if desc.comm && args[0] > args[1] {
            inst.args.swap(0, 1);
        }
        if desc.comm && self.is_const(inst.args[0]) {
            inst.args.swap(0, 1);
        }
        if self.is_const(inst.args[0])
            && let Some(value) = self.constant_result(&inst)
        {
            let ty = inst.result_ty().unwrap_or(ty);
            return self.k(ty, value);
        }
        let index = self.unit.insts.len() as u32;
        let insts = &self.unit.insts;
        match self.tables.values.find_or_insert(hash_inst(&inst), index, |i| insts[i as usize] == inst) {
            Some(i) => Val(i),
            None => {
                self.push(inst);
                self.keep_table_sparse();
                Val(index)
            }
        }
    }

    /// The value of an operation whose operands do not commute, if it was computed before.
    pub(super) fn find_pure(&self, op: Op, ty: Ty, args: [Val; 3]) -> Option<Val> {
        let inst = Inst { op, ty, attr: Attr(0), args };
        self.tables.values.find(hash_inst(&inst), |i| self.unit.insts[i as usize] == inst).map(Val)
    }

    /// Whether a value is a constant.
    #[inline]
    pub(super) fn is_const(&self, v: Val) -> bool {
        self.unit.insts[v.index()].op == Op::Const
    }

    /// The result, if every operand is constant.
    fn constant_result(&self, inst: &Inst) -> Option<u128> {
        let mut values = [0; 3];
        let mut from = inst.ty;
        for (i, rule) in inst.op.desc().operands.iter().enumerate() {
            values[i] = self.as_const(inst.args[i])?;
            if *rule == TypeRule::From {
                from = self.ty(inst.args[i]);
            }
        }
        if inst.op == Op::Vshuf {
            values[2] = self.unit.consts[inst.attr.index()];
        }
        Some(eval::pure(inst.op, inst.ty, from, inst.attr, values))
    }

    /// The constant `value` (within the type).
    pub(crate) fn k(&mut self, ty: Ty, value: u128) -> Val {
        debug_assert_eq!(value & !ty.mask(), 0);
        if value != 0 {
            return self.k_shared(ty, value);
        }
        if let Some(zero) = self.tables.zero[ty as usize] {
            return zero;
        }
        let zero = self.k_shared(ty, 0);
        self.tables.zero[ty as usize] = Some(zero);
        zero
    }

    fn k_shared(&mut self, ty: Ty, value: u128) -> Val {
        let index = self.unit.insts.len() as u32;
        let (insts, consts) = (&self.unit.insts, &self.unit.consts);
        let is = |i: u32| {
            let inst = &insts[i as usize];
            inst.op == Op::Const && inst.ty == ty && consts[inst.attr.index()] == value
        };
        if let Some(i) = self.tables.values.find_or_insert(hash_const(ty, value), index, is) {
            return Val(i);
        }
        let attr = self.pool(value);
        self.push(Inst { op: Op::Const, ty, attr, args: NO_ARGS });
        self.keep_table_sparse();
        Val(index)
    }

    /// Adds an entry to the constant pool.
    pub(super) fn pool(&mut self, value: u128) -> Attr {
        self.unit.consts.push(value);
        Attr(self.unit.consts.len() as u32 - 1)
    }

    /// Value of a slot at entry.
    pub(super) fn emit_get(&mut self, slot: Slot) -> Val {
        let ty = self.guest.slots[slot.0 as usize].ty;
        self.push(Inst { op: Op::Get, ty, attr: Attr(slot.0.into()), args: NO_ARGS })
    }

    #[inline]
    fn keep_table_sparse(&mut self) {
        if self.tables.values.full() {
            self.grow_table();
        }
    }

    #[cold]
    fn grow_table(&mut self) {
        let (insts, consts) = (&self.unit.insts, &self.unit.consts);
        self.tables.values.grow(|i| {
            let inst = &insts[i as usize];
            if inst.op == Op::Const { hash_const(inst.ty, consts[inst.attr.index()]) } else { hash_inst(inst) }
        });
    }
}
