//! A unit: the straight line of instructions translated as one, with its log of register writes, its guest
//! instruction boundaries and its exits.

use std::cell::Cell;

use crate::guest::Slot;
use crate::inst::{Inst, Val};

/// Identity of a unit: guest address and translation mode (the packed `context`s of the spec).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct UnitKey {
    /// Guest address of the first instruction.
    pub pc: u64,
    /// Packed contexts; see [`crate::guest::Guest::contexts`].
    pub mode: u32,
}

/// A register write that takes effect before instruction `pos`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Put {
    /// Index of the first IR instruction that sees the write in a snapshot.
    pub pos: u32,
    /// Slot written.
    pub slot: Slot,
    /// Value, of the slot's type.
    pub val: Val,
}

/// Start of a guest instruction: IR instructions from `pos` on belong to `pc`, until the next boundary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Boundary {
    /// Index of the first IR instruction.
    pub pos: u32,
    /// Guest address.
    pub pc: u64,
    /// Mode word in force: that of the unit's key, or what instructions before it made of it.
    pub mode: u32,
}

/// Index into [`Unit::exits`].
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct ExitId(pub u32);

/// Why control leaves a unit.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ExitKind {
    /// To `target`.
    Jump,
    /// To `target`, expecting a return to `ret`.
    Call,
    /// Indirect, no hint.
    Indirect,
    /// Indirect call, expecting a return to `ret`.
    IndirectCall,
    /// Return.
    Return,
    /// System call; continues at `target`.
    Syscall,
    /// Guest trap of the named kind at the instruction's own address (`target`).
    Trap(Trap),
    /// The reserved native-call instruction at `target`; its operand is the address of the function's name.
    NativeCall,
    /// Invalidate translations of the range [operand, operand + `len`) and continue at `target`; `len` 0 means all.
    Flush {
        /// Bytes.
        len: u32,
    },
    /// Leave to the dispatcher, which continues at `target` under the mode stored in the state (dynamic mode change,
    /// instruction barrier).
    Redispatch,
    /// The instruction at `target` is to be interpreted: others must not see their memory change behind its back
    /// ([`crate::Builder::notice_stores`]).
    Step,
    /// To the unit's own start, in a translation that assumes less ([`mod@crate::vectorise`]).
    Retreat,
}

/// Guest traps, mapped to signals by the Linux runtime.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Trap {
    /// Undefined or unimplemented instruction.
    Undefined,
    /// Breakpoint, with the instruction's operand.
    Breakpoint(u32),
    /// Integer overflow.
    IntegerOverflow,
    /// Integer division by zero.
    DivideByZero,
    /// Conditional trap instruction, with its code.
    Trap(u32),
    /// Misaligned access that the architecture forbids.
    Alignment,
}

/// An exit of a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Exit {
    /// Why.
    pub kind: ExitKind,
    /// Where to, or the address of the instruction (traps).
    pub target: u64,
    /// Mode at the target, if it is known when translating.
    pub mode: u32,
    /// The mode at the target is known only when running: it is in the state.
    pub mode_in_state: bool,
    /// Return address of calls, else 0.
    pub ret: u64,
    /// Mode at the return address, else 0.
    pub ret_mode: u32,
    /// Guest address of the instruction that exits.
    pub pc: u64,
}

/// A finished unit.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Unit {
    /// Identity.
    pub key: UnitKey,
    /// Instructions, in effect order. The last one is an unconditional exit.
    pub insts: Vec<Inst>,
    /// Constants, by the index in a `const`'s attribute.
    pub consts: Vec<u128>,
    /// Operands of `helper`s: the instruction's `args[0].0` is the first index, `args[1].0` the count.
    pub helper_args: Vec<Val>,
    /// Register writes, by ascending position.
    pub puts: Vec<Put>,
    /// Guest instruction starts, by ascending position.
    pub bounds: Vec<Boundary>,
    /// Exits, by [`ExitId`].
    pub exits: Vec<Exit>,
    /// There are exclusive accesses.
    pub exclusive: bool,
    /// Guest bytes covered, from `key.pc` on (a unit covers one contiguous range).
    pub guest_len: u32,
    /// Names given by the spec's `let`s, for printing. The first of a value counts.
    pub names: Vec<(Val, &'static str)>,
}

thread_local! {
    static SPARE: Cell<Option<Unit>> = const { Cell::new(None) };
}

impl Unit {
    /// An empty unit, in the memory of a recycled one if there is one.
    pub(crate) fn spare(key: UnitKey) -> Unit {
        let mut unit = SPARE.take().unwrap_or_default();
        unit.key = key;
        unit.insts.clear();
        unit.consts.clear();
        unit.helper_args.clear();
        unit.puts.clear();
        unit.bounds.clear();
        unit.exits.clear();
        unit.names.clear();
        unit.exclusive = false;
        unit.guest_len = 0;
        unit
    }

    /// Becomes a copy of `other`, in the memory it has.
    pub fn copy(&mut self, other: &Unit) {
        let Unit { key, insts, consts, helper_args, puts, bounds, exits, exclusive, guest_len, names } = other;
        (self.key, self.exclusive, self.guest_len) = (*key, *exclusive, *guest_len);
        self.insts.clone_from(insts);
        self.consts.clone_from(consts);
        self.helper_args.clone_from(helper_args);
        self.puts.clone_from(puts);
        self.bounds.clone_from(bounds);
        self.exits.clone_from(exits);
        self.names.clone_from(names);
    }

    /// Keeps the memory of a unit that is no longer needed for the next one built on this thread.
    pub fn recycle(self) {
        SPARE.set(Some(self));
    }
}
