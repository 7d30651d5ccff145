//! Emission of IR, simplifying on the way in.
//!
//! Widths `w` are in bits, 1..=128, translate-time. A width that is not a type (`bits(5)`) lives in the narrowest type that
//! holds it with the bits above zero; every method keeps that. Methods are never inlined: generated code calls them tens
//! of thousands of times and inlining triples its size.
//!
//! * [`mod@self`]: the unit under construction, slots, names, instruction boundaries;
//! * `emit`: appending instructions, shared values (value numbering), constants; `facts`: known bits of values;
//! * `delay`: transfers of control that take effect an instruction later;
//! * `integer`, `resize`, `compare`, `memory`, `lanes`, `float`, `control`: the methods, in terms of operations on types;
//! * `predicate`: instructions that happen under a condition;
//! * `fold`, `fold_bits`, `fold_compare`: operations on types, simplified.
//!
//! After an unconditional exit the rest of an instruction's body is dead: methods still answer, and what they emitted is
//! cut off when the instruction ends.

mod compare;
mod control;
mod delay;
mod divide;
mod emit;
mod facts;
mod float;
mod fold;
mod fold_bits;
mod fold_compare;
mod integer;
mod lanes;
mod lookup;
mod memory;
mod predicate;
mod resize;

use crate::guest::{Guest, Slot};
use crate::inst::{Op, Val};
use crate::ty::Ty;
use crate::unit::{Boundary, Exit, Put, Unit, UnitKey};
pub use delay::Delay;
use delay::Transfer;
use emit::ValueTable;
use facts::Fact;
pub use memory::{GRANULE, MARKS};
pub use predicate::Conversion;
use predicate::Predicate;
use std::cell::Cell;

/// Return-stack hint of an indirect jump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// None.
    Plain,
    /// Call; the return address is the next instruction.
    Call,
    /// Return.
    Ret,
}

/// Tables of a builder, kept by the thread from one unit to the next.
#[derive(Default)]
struct Tables {
    /// What is known of each instruction's value.
    facts: Vec<Fact>,
    /// Values by what computes them.
    values: ValueTable,
    /// Value of each slot at this point; [`Val::NONE`] if not read or written yet.
    cur: Vec<Val>,
    /// The constant 0 of each type, if there is one.
    zero: [Option<Val>; 6],
    /// Memory of a builder's conditions.
    predicates: Box<Predicate>,
}

thread_local! {
    static SPARE: Cell<Option<Box<Tables>>> = const { Cell::new(None) };
}

/// Builds one unit.
pub struct Builder<'g> {
    guest: &'g Guest,
    unit: Unit,
    tables: Box<Tables>,
    /// The instruction under construction: its address, the next one's, and the mode word it started with.
    /// In a delay slot `pc` is the address of the instruction that has the slot.
    pc: u64,
    at: u64,
    next: u64,
    insn_mode: u32,
    /// Mode word of what follows the instruction, as far as the body has assigned contexts.
    mode: u32,
    /// The same if the body does nothing: what the next instruction starts with, and what calls return to.
    fall_mode: u32,
    /// Number of the instruction's floating-point environment.
    environment: u32,
    /// Decode variables of the instruction, above the mode word's bits.
    decoded: u128,
    /// A context was assigned a run-time value: exits find the mode word in the state.
    mode_in_state: bool,
    /// Then, the mode word, and whether it has been written there.
    mode_word: Val,
    mode_stored: bool,
    /// The floating-point environment depends on that value.
    fp_in_state: bool,
    /// The condition of the instruction.
    predicates: Box<Predicate>,
    /// A transfer of control that waits for the end of its delay slot.
    delayed: Option<Transfer>,
    /// The instruction is in a delay slot.
    in_slot: bool,
    /// Nothing may follow this instruction in the unit.
    last: bool,
    /// Between `begin_insn` and `end_insn`.
    open: bool,
    /// Length of the unit's instructions at the unconditional exit.
    ended: Option<usize>,
    /// Register writes from here on in the unit's log are pending: they take effect when the instruction ends.
    pending: usize,
    /// Whether to simplify.
    folds: bool,
    /// See [`Builder::convert_short_branches`].
    converts: Option<Conversion>,
    /// See [`Builder::may_turn`], and what the branch was: its place, condition and exit.
    may_turn: bool,
    turn: Option<(usize, Val, Exit)>,
    /// Number of instructions in the turns before this one.
    earlier_turns: usize,
    /// Whether pointers are turned into addresses ([`Guest::address`]) by code of the unit.
    masks: bool,
    /// See [`Builder::leave_out_names`].
    names: bool,
    /// See [`Builder::notice_stores`].
    noticed: Option<u64>,
    /// Number of the instruction behind which the exclusive monitor is set.
    held_from: Option<usize>,
}

impl<'g> Builder<'g> {
    /// Starts a unit.
    #[must_use]
    pub fn new(guest: &'g Guest, key: UnitKey) -> Builder<'g> {
        let mut tables = SPARE.take().unwrap_or_default();
        tables.facts.clear();
        tables.values.clear();
        tables.cur.clear();
        tables.cur.resize(guest.slots.len(), Val::NONE);
        tables.zero = [None; 6];
        let mut predicates = std::mem::take(&mut tables.predicates);
        predicates.clear();
        Builder {
            guest,
            unit: Unit::spare(key),
            tables,
            pc: key.pc,
            at: key.pc,
            next: key.pc,
            insn_mode: key.mode,
            mode: key.mode,
            fall_mode: key.mode,
            environment: 0,
            decoded: 0,
            mode_in_state: false,
            mode_word: Val::NONE,
            mode_stored: false,
            fp_in_state: false,
            predicates,
            delayed: None,
            in_slot: false,
            last: false,
            open: false,
            ended: None,
            pending: 0,
            folds: true,
            converts: None,
            may_turn: false,
            turn: None,
            earlier_turns: 0,
            masks: false,
            names: true,
            noticed: None,
            held_from: None,
        }
    }

    /// Starts a unit that is emitted as asked for, nothing simplified: the reference for tests of the simplifications.
    #[must_use]
    pub fn without_folds(guest: &'g Guest, key: UnitKey) -> Builder<'g> {
        Builder { folds: false, ..Builder::new(guest, key) }
    }

    /// From here on pointers that may have a top byte to be ignored are turned into addresses before they are used; without
    /// this, they are used as they are.
    pub fn mask_pointers(&mut self) {
        self.masks = self.guest.ignore_top_byte;
    }

    /// From here on values get no names: nobody is going to print the unit.
    pub fn leave_out_names(&mut self) {
        self.names = false;
    }

    /// Whether the unit has loaded exclusively, a few instructions ago at most, and neither stored nor cleared the monitor since.
    #[must_use]
    pub fn holds_reservation(&self) -> bool {
        /// Architectures promise success to sequences half as long.
        const FEW: usize = 32;
        self.held_from.is_some_and(|from| self.unit.bounds.len() - from <= FEW)
    }

    /// Starts the guest instruction at `pc`.
    pub fn begin_insn(&mut self, pc: u64) {
        self.pc = pc;
        self.at = pc;
        self.next = pc;
        self.insn_mode = self.mode;
        self.fall_mode = self.mode;
        self.environment = 0;
        self.open = true;
        self.unit.bounds.push(Boundary { pos: self.unit.insts.len() as u32, pc, mode: self.mode });
    }

    /// Length now known: `pc_next` for calls and system calls.
    pub fn set_len(&mut self, len: u32) {
        self.next = self.at.wrapping_add(len.into());
    }

    /// Ends the guest instruction: its register writes enter the log. Ends the unit if the floating-point environment changed,
    /// which the host's has to follow.
    pub fn end_insn(&mut self) {
        self.open = false;
        let may_stay = !self.in_slot && !self.last && self.folds;
        if self.in_slot {
            self.end_slot();
        } else if self.wants_slot() {
            return self.flush();
        }
        self.settle_predicate();
        if self.ended.is_some() {
            self.cut();
            return;
        }
        if self.mode_in_state {
            self.commit();
            if self.fp_in_state && may_stay && !self.other_environment(self.mode) {
                return self.leave_if_mode_changed();
            }
            let find = if self.fp_in_state { Self::redispatch } else { Self::find };
            find(self, self.next);
        } else if self.last || self.other_environment(self.mode) {
            self.commit();
            self.jump(self.next);
        } else {
            self.flush();
        }
    }

    /// Whether a mode has another floating-point environment than the unit.
    fn other_environment(&self, mode: u32) -> bool {
        let key = self.unit.key.mode;
        mode != key && (self.guest.fp_mode)(mode) != (self.guest.fp_mode)(key)
    }

    /// Whether an unconditional exit was emitted.
    #[must_use]
    pub fn ended(&self) -> bool {
        self.ended.is_some()
    }

    /// Ends the unit with a jump to `pc` if it has no end yet, and returns it, verified in debug builds.
    #[must_use]
    pub fn finish(mut self, pc: u64) -> Unit {
        self.end_slot();
        if self.ended.is_none() {
            self.commit();
            if self.open {
                // An instruction that could not be decoded: not part of the unit.
                self.unit.puts.truncate(self.pending);
                self.unit.bounds.pop();
                self.pc = self.unit.bounds.last().map_or(pc, |b| b.pc);
            }
            self.jump(pc);
        }
        self.cut();
        self.tables.predicates = self.predicates;
        SPARE.set(Some(self.tables));
        #[cfg(debug_assertions)]
        if let Err(message) = crate::verify::verify(&self.unit, self.guest) {
            panic!("unit {:#x}: {message}\n{}", self.unit.key.pc, crate::print::print(&self.unit, self.guest));
        }
        self.unit
    }

    /// Removes what was emitted after the unconditional exit.
    fn cut(&mut self) {
        if let Some(len) = self.ended
            && len < self.unit.insts.len()
        {
            self.unit.insts.truncate(len);
            self.tables.facts.truncate(len);
            self.unit.names.retain(|(val, _)| val.index() < len);
        }
    }

    /// Number of IR instructions so far (unit-size limits).
    #[must_use]
    pub fn len(&self) -> usize {
        self.unit.insts.len()
    }

    /// Number of exits so far, conditional ones and the last.
    #[must_use]
    pub fn exits(&self) -> usize {
        self.unit.exits.len()
    }

    /// Whether nothing was emitted yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.unit.insts.is_empty()
    }

    /// The instruction that makes a value.
    #[must_use]
    pub fn inst(&self, value: Val) -> crate::Inst {
        self.unit.insts[value.index()]
    }

    // ---- contexts
    /// Mode word in force for the instruction; between instructions, for the next one.
    #[must_use]
    pub fn mode(&self) -> u32 {
        if self.open { self.insn_mode } else { self.mode }
    }

    /// Sets the decode variables of the instruction: the bits above the mode word's.
    pub fn set_decoded(&mut self, vars: u128) {
        self.decoded = vars >> 32 << 32;
    }

    /// Changes a decode variable for the rest of the body.
    pub fn set_decode_variable(&mut self, lo: u32, width: u32, value: u32) {
        self.decoded = crate::bytes::with_field(self.decoded, lo, width, value.into());
    }

    /// The mode word of the instruction with the decode variables above it.
    #[must_use]
    pub fn vars(&self) -> u128 {
        self.decoded | u128::from(self.mode())
    }

    /// Assigns a context a translate-time value whatever the body does: the mode of what follows, before
    /// [`Builder::predicate`].
    pub fn advance_mode(&mut self, lo: u32, width: u32, value: u32) {
        self.set_mode(lo, width, value);
        self.fall_mode = self.mode;
    }

    /// Assigns a context a translate-time value: the mode of what follows.
    pub fn set_mode(&mut self, lo: u32, width: u32, value: u32) {
        if self.skips() {
            return;
        }
        self.commit();
        let field = (Ty::I32.mask() as u32 >> (32 - width)) << lo;
        self.mode = self.mode & !field | value << lo & field;
        if self.mode_in_state {
            let value = self.konst(width, value.into());
            self.replace_in_mode(lo, width, value);
        }
    }

    /// Assigns a context a run-time value (of width `width`): the unit ends with this instruction, or goes on if the value is
    /// what it has been translated for.
    pub fn set_mode_dynamic(&mut self, lo: u32, width: u32, value: Val) {
        if self.skips() {
            return;
        }
        self.commit();
        if let Some(value) = self.as_const(value) {
            return self.set_mode(lo, width, value as u32);
        }
        if !self.mode_in_state {
            self.mode_word = self.k(Ty::I32, self.mode.into());
        }
        self.mode_in_state = true;
        self.fp_in_state |= self.decides_environment(lo, width);
        self.replace_in_mode(lo, width, value);
    }

    /// Whether the floating-point environment may depend on a context. Wide ones that it reads are not tried out.
    fn decides_environment(&self, lo: u32, width: u32) -> bool {
        let field = (Ty::I32.mask() as u32 >> (32 - width)) << lo;
        let others = self.mode & !field;
        if self.guest.fp_mode_bits & field == 0 {
            return false;
        }
        width > 4 || (0..1 << width).any(|value| self.other_environment(others | value << lo))
    }

    // ---- state and constants
    /// Constant: the low `w` bits of `value`.
    pub fn konst(&mut self, w: u32, value: i128) -> Val {
        self.k(Ty::holding(w), value as u128 & width_mask(w))
    }

    /// Constant value of `a`, if it is one (zero-extended).
    #[must_use]
    pub fn as_const(&self, a: Val) -> Option<u128> {
        let inst = &self.unit.insts[a.index()];
        (inst.op == Op::Const).then(|| self.unit.consts[inst.attr.index()])
    }

    /// Reads a slot (sees earlier writes of the same instruction).
    pub fn get(&mut self, slot: Slot) -> Val {
        let known = self.tables.cur[slot.0 as usize];
        if known != Val::NONE {
            return known;
        }
        let value = self.emit_get(slot);
        self.tables.cur[slot.0 as usize] = value;
        value
    }

    /// Writes a slot; visible to snapshots when the instruction ends.
    pub fn put(&mut self, slot: Slot, value: Val) {
        debug_assert_eq!(
            self.ty(value),
            self.guest.slots[slot.0 as usize].ty,
            "{}",
            self.guest.slots[slot.0 as usize].name
        );
        if self.ended.is_some() || self.skips() || self.tables.cur[slot.0 as usize] == value {
            return;
        }
        self.remember(slot);
        self.tables.cur[slot.0 as usize] = value;
        match self.unit.puts[self.pending..].iter_mut().find(|p| p.slot == slot) {
            Some(put) => put.val = value,
            None => self.unit.puts.push(Put { pos: 0, slot, val: value }),
        }
    }

    /// Pending register writes take effect here.
    fn flush(&mut self) {
        let pos = self.unit.insts.len() as u32;
        for put in &mut self.unit.puts[self.pending..] {
            put.pos = pos;
        }
        self.pending = self.unit.puts.len();
    }

    /// Names a value for printing (the spec's `let`).
    pub fn name(&mut self, value: Val, name: &'static str) {
        if self.names {
            self.unit.names.push((value, name));
        }
    }
}

/// The low `w` bits (1..=128) set.
fn width_mask(w: u32) -> u128 {
    u128::MAX >> (128 - w)
}
