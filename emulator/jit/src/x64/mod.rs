//! Code generator for x86-64: one [`ir::Unit`] to host code.
//!
//! # Division of labour
//!
//! This module makes *position-independent bytes plus tables* and knows nothing of code memory, unit tables or threads'
//! lives. The caller (dispatcher) copies [`Compiled::code`] to an aligned address, applies [`Compiled::relocs`], and
//! patches [`Compiled::links`]. All assembly is here, the dispatcher's included ([`stubs`]); all decisions are there.
//!
//! # The boundary
//!
//! Whenever control is at a unit's entry, in a stub or at a landing pad ("a boundary"):
//! * `rbp` = [`crate::thread_state::ThreadState::anchor`]; `rsp` = the return stack;
//! * guest slot [`Convention::pins`]`[i].0` is in its host register, [`Convention::vector_pins`]`[i].0` in its vector register; a narrow
//!   slot leaves the upper part undefined; every other slot is at home in `GuestState`;
//! * `state.mode` is the mode of the unit; `state.pc` is *not* kept, except where said;
//! * MXCSR is `mxcsr_guest`, plus sticky flags; all other registers are free.
//!
//! # Return stack
//!
//! A guest call does `push guest_return_address; call unit`, so two words per call: `[rsp]` host landing pad, `[rsp + 8]`
//! guest return address. A landing pad is `lea rsp, [rsp + 8]` and a link to the unit at the return address. A return compares
//! `[rsp + 8]` with its target and does `ret`. The stack may run over or under its ends: both ends need guard pages, and the
//! fault handler resets `rsp` to the initial position (the fault is then retried). The initial position has at least
//! 256 readable bytes above it, all zero or pairs that match nothing (the return miss stub looks through 8 pairs).
//!
//! # Faults
//!
//! [`FaultPoints::restore`] rebuilds the guest state at a faulting host instruction.

mod analysis;
mod asm;
mod boxes;
mod choices;
mod claims;
mod conditions;
pub(crate) mod deferred;
mod emit;
mod emit_bits;
mod emit_carry;
mod emit_crc;
mod emit_extended;
mod emit_flushing;
mod emit_flushing_exactly;
mod emit_fp;
mod emit_fp_conversions;
mod emit_fp_formats;
mod emit_fp_integers;
mod emit_fp_lanes;
mod emit_int;
mod emit_lanes;
mod emit_mem;
mod emit_shuffle;
mod emit_steps;
mod emit_vector;
mod exit;
mod extensions;
mod fault_table;
mod features;
mod float_checks;
mod float_conditions;
mod general_registers;
mod generator;
pub mod generic;
mod instructions;
pub(crate) mod interlocks;
pub(crate) mod invalid;
mod late_checks;
mod liveness;
mod nan_stub;
mod numbers;
mod out_of_range;
mod patterns;
mod proof;
mod rebase;
mod restored_flags;
mod settle_stub;
mod shown;
mod shuffle;
mod signs;
mod slots;
mod snapshot;
pub mod stubs;
mod system_calls;
#[cfg(test)]
mod tests;
mod thunk;
mod turn;
mod unordered;
mod vector_registers;

use std::sync::atomic::AtomicU64;
use std::time::Instant;

use ir::guest::{Guest, Slot};
use ir::inst::Op;
use ir::unit::{Unit, UnitKey};
use serde::{Deserialize, Serialize};

use crate::interp::SCALAR;

pub(crate) use emit_extended::{USUAL, forget_exceptions};
pub(crate) use emit_fp::{host_mode, rounding_field};
pub use fault_table::{FaultPoints, FaultTable, HostRegs};
pub use features::Features;
pub use interlocks::Interlock;

/// A general register of the host, by its encoding: 0 `rax`, 1 `rcx`, 2 `rdx`, 3 `rbx`, 4 `rsp` … 15 `r15`.
pub type Gpr = u8;

/// A vector register of the host, by its number.
pub type Xmm = u8;

/// Which guest slots live in which host registers at unit boundaries.
#[derive(Clone, Debug)]
pub struct Convention {
    /// Pinned slots, hottest first, and their registers.
    pub pins: Vec<(Slot, Gpr)>,
    /// Slots pinned to vector registers.
    pub vector_pins: Vec<(Slot, Xmm)>,
    /// The register of each slot, or [`Convention::UNPINNED`].
    by_slot: Vec<Gpr>,
    /// The vector register of each slot, or [`Convention::UNPINNED`].
    vector_by_slot: Vec<Xmm>,
    /// System calls go to the stub for them.
    pub(crate) direct_calls: bool,
    /// Condition flags that exits may defer; none if the guest has more than can be.
    pub flags: Vec<Slot>,
    /// Their offsets in the state.
    flag_offsets: Vec<u16>,
    /// The number of each slot among them, or [`Convention::UNPINNED`].
    flag_by_slot: Vec<u8>,
}

/// Registers given to pinned slots, in order: callee-saved ones first, because they survive helper calls.
const PIN_REGISTERS: [Gpr; 10] = [3, 12, 13, 14, 15, 7, 8, 9, 10, 11];

/// Registers that functions of the host may change.
const CALLER_SAVED: [Gpr; 9] = [0, 1, 2, 6, 7, 8, 9, 10, 11];

/// Vector registers given to pinned slots, in order. The others are left for temporary values.
const VECTOR_PIN_REGISTERS: [Xmm; 10] = [4, 5, 6, 7, 8, 9, 10, 11, 12, 13];

impl Convention {
    /// The guest's hottest slots of 32 or 64 bits in the first registers, those of 64 or 128 bits in vector registers.
    #[must_use]
    pub fn new(guest: &Guest) -> Convention {
        let fits = |s: &&Slot| matches!(guest.slots[s.0 as usize].ty, ir::Ty::I32 | ir::Ty::I64);
        let pins: Vec<(Slot, Gpr)> = guest.pins.iter().filter(fits).copied().zip(PIN_REGISTERS).collect();
        let mut by_slot = vec![Convention::UNPINNED; guest.slots.len()];
        for &(slot, r) in &pins {
            by_slot[slot.0 as usize] = r;
        }
        let fits = |s: &&Slot| matches!(guest.slots[s.0 as usize].ty, ir::Ty::I64 | ir::Ty::I128);
        let vector_pins: Vec<(Slot, Xmm)> =
            guest.vector_pins.iter().filter(fits).copied().zip(VECTOR_PIN_REGISTERS).collect();
        let mut vector_by_slot = vec![Convention::UNPINNED; guest.slots.len()];
        for &(slot, x) in &vector_pins {
            vector_by_slot[slot.0 as usize] = x;
        }
        let flags = if guest.flags.len() <= deferred::MAX_FLAGS { guest.flags.to_vec() } else { Vec::new() };
        let flag_offsets = flags.iter().map(|f| guest.slots[f.0 as usize].offset).collect();
        let mut flag_by_slot = vec![Convention::UNPINNED; guest.slots.len()];
        for (i, flag) in flags.iter().enumerate() {
            flag_by_slot[flag.0 as usize] = i as u8;
        }
        let direct_calls = system_calls::can_be_direct(guest);
        Convention { pins, vector_pins, by_slot, vector_by_slot, direct_calls, flags, flag_offsets, flag_by_slot }
    }

    const UNPINNED: Gpr = 0xff;

    /// Position of a slot among the deferrable flags.
    pub(crate) fn flag(&self, slot: u16) -> Option<usize> {
        let i = self.flag_by_slot[slot as usize];
        (i != Convention::UNPINNED).then_some(i.into())
    }

    /// The register of a slot, if it is pinned.
    #[must_use]
    pub fn register(&self, slot: u16) -> Option<Gpr> {
        let r = self.by_slot[slot as usize];
        (r != Convention::UNPINNED).then_some(r)
    }

    /// The vector register of a slot, if it is pinned to one.
    #[must_use]
    pub fn vector(&self, slot: u16) -> Option<Xmm> {
        let x = self.vector_by_slot[slot as usize];
        (x != Convention::UNPINNED).then_some(x)
    }

    /// Whether the slot is in a register at unit boundaries.
    pub(crate) fn is_pinned(&self, slot: u16) -> bool {
        self.register(slot).is_some() || self.vector(slot).is_some()
    }

    /// All pinned slots.
    pub(crate) fn pinned_slots(&self) -> impl Iterator<Item = u16> + '_ {
        self.pins.iter().map(|p| p.0.0).chain(self.vector_pins.iter().map(|p| p.0.0))
    }

    /// How many slots are pinned.
    pub(crate) fn pin_count(&self) -> usize {
        self.pins.len() + self.vector_pins.len()
    }

    /// The pinned slot with this number in [`Convention::pinned_slots`].
    pub(crate) fn pinned_slot(&self, k: usize) -> u16 {
        self.pins.get(k).map_or_else(|| self.vector_pins[k - self.pins.len()].0.0, |p| p.0.0)
    }
}

/// A stub that generated code jumps to; see [`stubs::Stubs`] for what each does.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum StubId {
    /// Jump-cache miss.
    IndirectMiss,
    /// Return-stack mismatch.
    ReturnMiss,
    /// Exit in a mode of another floating-point environment.
    ModeChange,
    /// Poll flag seen at an exit.
    Poll,
    /// System call.
    Syscall,
    /// Any other exit to Rust.
    Leave,
    /// Call of `entries.generic`.
    Generic,
    /// Call of `entries.generic` that preserves every register.
    GenericSaving,
    /// The same for arithmetic whose result is not a number.
    Nan,
    /// The same for lanes of single precision.
    NanSingles,
    /// The same for lanes of double precision.
    NanDoubles,
    /// Call of `entries.helper`.
    Helper,
    /// Call of `entries.settle` that preserves every register.
    Settle,
}

impl StubId {
    /// Bits of their numbers.
    pub(crate) const BITS: u32 = 4;

    /// The stub whose number is in the lowest bits.
    pub(crate) fn of(number: u64) -> Option<StubId> {
        use StubId::*;
        const ALL: [StubId; 13] = [
            IndirectMiss,
            ReturnMiss,
            ModeChange,
            Poll,
            Syscall,
            Leave,
            Generic,
            GenericSaving,
            Nan,
            NanSingles,
            NanDoubles,
            Helper,
            Settle,
        ];
        ALL.into_iter().find(|stub| *stub as u64 == number & ((1 << StubId::BITS) - 1))
    }
}

/// A 4-byte field at `at` that is to hold the distance from its end to the stub.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Reloc {
    /// Offset in the code.
    pub at: u32,
    /// Target.
    pub stub: StubId,
}

/// A transfer to another unit: an instruction of [`TRANSFER_LEN`] bytes, never across an 8-byte boundary (given an aligned start).
/// Until it is made it is a call of [`stubs::Stubs::link`], whose return address says which link it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Link {
    /// Offset of the last 4 bytes, the distance.
    pub at: u32,
    /// What it is when it is made.
    pub kind: LinkKind,
    /// Where it leads.
    #[serde(with = "Key")]
    pub target: UnitKey,
    /// Slots that are known to have boxes then, as a mask: see [`boxes`].
    pub boxes: u64,
}

/// What a link is when it is made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[repr(u8)]
pub enum LinkKind {
    /// A jump.
    Jump,
    /// A call, with a landing pad behind it.
    Call,
    /// It is never made: the poll flag was set before another link to the same target. May cross 8-byte boundaries.
    Poll,
}

impl LinkKind {
    /// The kind with a number.
    pub(crate) fn of(number: u64) -> LinkKind {
        [LinkKind::Jump, LinkKind::Call, LinkKind::Poll][number as usize % 3]
    }
}

/// Bytes of `jmp` and `call` with a distance of 32 bits behind them.
pub const TRANSFER_LEN: u32 = 5;
/// Opcode of such a `call`.
pub const CALL: u8 = 0xe8;
/// Opcode of such a `jmp`.
pub const JUMP: u8 = 0xe9;

/// What the code of a unit checks of the state at its entry.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EntryChecks {
    /// That these slots have boxes, as a mask.
    pub boxes: u64,
    /// Offset of the code behind the checks, for those who know.
    pub behind: u32,
}

impl EntryChecks {
    /// Offset at which a link that knows that the slots `boxes` have boxes enters.
    #[must_use]
    pub fn enter(&self, boxes: u64) -> u32 {
        if self.boxes & !boxes == 0 { self.behind } else { 0 }
    }
}

/// How a [`UnitKey`] is written to an image of translations.
#[derive(Serialize, Deserialize)]
#[serde(remote = "UnitKey")]
struct Key {
    pc: u64,
    mode: u32,
}

/// Host code of a unit.
#[derive(Clone, Debug, Default)]
pub struct Compiled {
    /// Bytes; the entry is at 0. The start must be 8-byte aligned, and 16-byte aligned if their number is a multiple of 16:
    /// constants are at the end.
    pub code: Vec<u8>,
    /// Fields to be filled with distances to stubs.
    pub relocs: Vec<Reloc>,
    /// Patchable transfers.
    pub links: Vec<Link>,
    /// What to change where memory is shared.
    pub interlocks: Vec<Interlock>,
    /// What is checked at the entry.
    pub checks: EntryChecks,
    /// How to rebuild guest state at host instructions that can fault.
    pub faults: FaultTable,
    /// What the code is, from these offsets on; before the first it brings the state of the entry into registers.
    pub marks: Vec<(u32, Mark)>,
}

/// What a part of the code of a unit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mark {
    /// The guest instruction at this address.
    Insn(u64),
    /// The state that is still in registers goes home, and control to the next unit.
    Exit,
    /// Beside the main line: exits on a condition, and operations done again exactly.
    Side,
    /// Requests of the dispatcher, not of the guest, at the entry.
    Request,
}

/// Writes the distances to `stubs` into a copy of a unit's code, `copy`, that will run at host address `base`: of `relocs`, and of
/// `links`, none of which is made.
pub fn relocate(relocs: &[Reloc], links: &[Link], copy: &mut [u8], base: u64, stubs: &stubs::Stubs) {
    let mut fill = |at: u32, stub: u64| {
        let end = base + u64::from(at) + 4;
        copy[at as usize..at as usize + 4].copy_from_slice(&(stub.wrapping_sub(end) as u32).to_le_bytes());
    };
    relocs.iter().for_each(|reloc| fill(reloc.at, stubs.address(reloc.stub)));
    links.iter().for_each(|link| fill(link.at, stubs.link));
}

/// Why a unit was not compiled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CompileError {
    /// Too many values live at once: try again with fewer guest instructions.
    TooManyLive,
    /// An atomic access that the host has no instruction for (big-endian, or 128 bits wide read-modify-write).
    Unsupported(Op),
}

/// A compiler: reusable buffers, one per translating thread.
pub struct Compiler {
    guest: &'static Guest,
    conv: Convention,
    features: Features,
    /// Raise underflow by the guest's rule where it is not the host's.
    pub(crate) exact_underflow: bool,
    /// Invalid operations trap: what differs from the host's results for these alone needs no check.
    pub(crate) traps_invalid: bool,
    /// Mode bit of what retreats lead to ([`crate::interp::RETREATED`]).
    pub(crate) retreats_to: u32,
    /// Assume nothing about the state at the entry.
    pub(crate) careful: bool,
    /// Count the turns of short loops, to find hot ones.
    pub(crate) count_turns: bool,
    /// What units count their entries with. Their code has its address, so that it is not the same each time.
    pub(crate) counter: Option<&'static AtomicU64>,
    /// Prove of each unit that its values are where its code looks for them; always in debug builds.
    pub(crate) prove: bool,
    /// Note when a unit is analysed, in `analysed`.
    pub(crate) times: bool,
    pub(crate) analysed: Option<Instant>,
    buffers: generator::Buffers,
    out: Compiled,
}

impl Compiler {
    /// For a guest, on a host.
    #[must_use]
    pub fn new(guest: &'static Guest, conv: Convention, features: Features) -> Compiler {
        Compiler {
            guest,
            conv,
            features,
            exact_underflow: false,
            traps_invalid: false,
            retreats_to: SCALAR,
            careful: false,
            count_turns: false,
            counter: None,
            prove: cfg!(debug_assertions),
            times: false,
            analysed: None,
            buffers: generator::Buffers::default(),
            out: Compiled::default(),
        }
    }

    /// The result of the last successful [`Compiler::compile`].
    #[must_use]
    pub fn output(&self) -> &Compiled {
        &self.out
    }

    /// Compiles a unit. The result is overwritten by the next call.
    ///
    /// # Errors
    /// When the unit does not fit the spill area.
    ///
    /// # Panics
    /// If a proof is asked for and fails.
    pub fn compile(&mut self, unit: &Unit) -> Result<&Compiled, CompileError> {
        let mut buffers = std::mem::take(&mut self.buffers);
        buffers.analysis.careful = self.careful;
        buffers.analysis.exact_underflow = self.exact_underflow;
        let mut g = generator::Gen::new(unit, self.guest, &self.conv, self.features, buffers);
        self.analysed = self.times.then(Instant::now);
        g.traps_invalid = self.traps_invalid;
        g.retreats_to = self.retreats_to;
        g.counter = self.counter;
        g.count_turns = self.count_turns;
        g.claims = self.prove.then(claims::Claims::default);
        g.run();
        let error = g.error;
        self.out.checks = g.entry_checks();
        if error.is_none()
            && let Err(wrong) = proof::prove(&g, &g.asm.code)
        {
            let text = ir::print::print(unit, self.guest);
            panic!("registers are allocated wrongly:\n{wrong}\n{text}");
        }
        let mut b = g.into_buffers();
        std::mem::swap(&mut self.out.code, &mut b.asm.code);
        std::mem::swap(&mut self.out.relocs, &mut b.asm.relocs);
        std::mem::swap(&mut self.out.links, &mut b.links);
        std::mem::swap(&mut self.out.interlocks, &mut b.interlocks);
        std::mem::swap(&mut self.out.faults, &mut b.recorder.table);
        std::mem::swap(&mut self.out.marks, &mut b.marks);
        self.buffers = b;
        error.map_or(Ok(&self.out), Err)
    }
}
