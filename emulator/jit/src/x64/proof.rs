//! Proof that registers are allocated rightly: walks the host code of a unit, knowing of each register and memory cell which
//! values it has, and holds every belief of the emission against it ([`super::claims`]).
//!
//! What a host instruction does to the cells is read from its bytes: moves carry values along, everything else destroys what
//! it writes. Where paths meet, only what both know is known. Nothing the allocator has recorded is believed, but which
//! value an instruction defines where, and which one cold code makes again where.
//!
//! What is not proved: that an instruction computes its value (other tests compare), what is above a value's type, where it is
//! said to be zero, that the host's flags are still of the comparison they were of, and that no result that may be a NaN goes
//! unchecked. Constants that are stored in two halves for a comparison are not looked at.

use std::collections::{BTreeMap, VecDeque};
use std::mem::offset_of;

use iced_x86::{Code, Decoder, DecoderOptions, FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpAccess};
use iced_x86::{Formatter, IntelFormatter, OpKind, Register};
use ir::guest::Slot;

use super::StubId;
use super::analysis::{Cond, CondKind, Mode, NO};
use super::choices::Arm;
use super::claims::{Cell, Claim};
use super::deferred::is_small;
use super::generator::Gen;
use super::shuffle::{DEFERRED_A, DEFERRED_B};
use super::snapshot::{Kind, Loc};
use crate::thread_state::{ThreadState, disp};

/// Something a cell is known to have.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fact {
    /// A value of the unit.
    Value(u32),
    /// A number.
    Number(u128),
    /// What a slot has that the unit has not written, or a helper has.
    Slot(u16),
}

/// Facts, and of how many low bits each is true.
type Facts = Vec<(Fact, u16)>;

/// What a point of the fault table is of: the position, and where slots are.
type Shown = (u32, BTreeMap<u16, (Loc, Vec<Loc>)>);

/// What is known of every cell: facts and how many low bits they are true of.
#[derive(Clone, PartialEq, Debug, Default)]
struct State {
    registers: BTreeMap<Cell, Facts>,
    /// By displacement from `rbp`, with the bytes written there.
    memory: BTreeMap<i32, (u32, Facts)>,
}

impl State {
    fn facts(&self, cell: Cell) -> &[(Fact, u16)] {
        match cell {
            Cell::Mem(at) => self.memory.get(&at).map_or(&[], |(_, facts)| facts),
            register => self.registers.get(&register).map_or(&[], |facts| facts),
        }
    }

    fn set(&mut self, cell: Cell, bytes: u32, facts: Facts) {
        let limited = facts.into_iter().map(|(fact, bits)| (fact, bits.min(bytes as u16 * 8))).collect();
        match cell {
            Cell::Mem(at) => {
                self.destroy(at, bytes);
                self.memory.insert(at, (bytes, limited));
            }
            register => drop(self.registers.insert(register, limited)),
        }
    }

    /// Memory of `bytes` from `at` has been written.
    fn destroy(&mut self, at: i32, bytes: u32) {
        self.memory.retain(|&other, (size, _)| other + *size as i32 <= at || at + bytes as i32 <= other);
    }

    /// Leaves what both know; whether that is less than this knew.
    fn meet(&mut self, other: &State) -> bool {
        let before = self.clone();
        for (cell, facts) in &mut self.registers {
            common(facts, other.facts(*cell));
        }
        for (at, (_, facts)) in &mut self.memory {
            common(facts, other.facts(Cell::Mem(*at)));
        }
        *self != before
    }
}

fn common(facts: &mut Facts, others: &[(Fact, u16)]) {
    facts.retain_mut(|(fact, bits)| {
        let other = others.iter().find(|(f, _)| f == fact);
        *bits = other.map_or(0, |(_, other)| *other).min(*bits);
        *bits != 0
    });
}

/// What happens between host instructions.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Step {
    Claim(Claim),
    /// From here on the cell has so many bits of the value.
    Defined(u32, Cell, u16),
}

/// The proof of one unit.
struct Proof<'a, 'u> {
    g: &'a Gen<'u>,
    code: &'a [u8],
    /// Claims by offset, in order; definitions are where they take effect.
    claims: Vec<(u32, Step)>,
    /// Positions of helpers that have changed the slots.
    forgets: Vec<u32>,
    /// What the fault table says at an offset: the position, and where slots are.
    shows: BTreeMap<u32, Vec<Shown>>,
    wrong: Vec<String>,
}

/// Whether all claims about the unit whose emission has ended hold of `code`.
///
/// # Errors
/// Those that do not.
pub(super) fn prove(g: &Gen<'_>, code: &[u8]) -> Result<(), String> {
    let Some(claims) = &g.claims else { return Ok(()) };
    let (steps, forgets, shows) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut proof = Proof { g, code, claims: steps, forgets, shows, wrong: Vec::new() };
    proof.sort(&claims.all);
    proof.walk();
    if proof.wrong.is_empty() { Ok(()) } else { Err(format!("{}\n{}", proof.wrong.join("\n"), listing(code))) }
}

fn listing(code: &[u8]) -> String {
    let mut formatter = IntelFormatter::new();
    let mut text = String::new();
    for insn in &mut Decoder::with_ip(64, code, 0, DecoderOptions::NONE) {
        text.push_str(&format!("{:>6x}  ", insn.ip()));
        formatter.format(&insn, &mut text);
        text.push('\n');
    }
    text
}

impl Proof<'_, '_> {
    /// Tells definitions, which take effect at the end of their instruction, from claims.
    fn sort(&mut self, all: &[(u32, Claim)]) {
        let (mut pos, mut pending) = (NO, Vec::new());
        for &(at, claim) in all {
            match claim {
                Claim::Defines { cell, bits } => pending.push((pos, cell, bits)),
                Claim::Remakes { value, cell, bits } => self.claims.push((at, Step::Defined(value, cell, bits))),
                Claim::Extends { pos, slot, cell } => {
                    if let Fact::Value(v) = self.slot_value(slot, pos) {
                        self.claims.push((at, Step::Defined(v, cell, 64)));
                    }
                }
                Claim::Forgets => self.forgets.push(pos),
                Claim::Shows { point, pos } => {
                    let (offset, locs) = self.g.recorder.shown(self.g.unit, self.g.guest, self.g.conv, point);
                    let by_slot = locs.into_iter().map(|(slot, loc, parts)| (slot, (loc, parts)));
                    self.shows.entry(offset).or_default().push((pos, by_slot.collect()));
                }
                Claim::Starts(_) | Claim::Unlocks => {
                    let defined = pending.drain(..).map(|(v, cell, bits)| (at, Step::Defined(v, cell, bits)));
                    self.claims.extend(defined);
                }
                _ => {}
            }
            if let Claim::Starts(p) = claim {
                pos = p;
            }
            self.claims.push((at, Step::Claim(claim)));
        }
    }

    /// What the unit is entered with.
    fn entry(&self) -> State {
        let (g, mut state) = (self.g, State::default());
        for (slot, desc) in g.guest.slots.iter().enumerate() {
            let slot = slot as u16;
            let bits = desc.ty.bits() as u16;
            let v = g.an.entry[slot as usize];
            let fact = if v == NO { Fact::Slot(slot) } else { Fact::Value(v) };
            match self.boundary(slot) {
                home @ Cell::Mem(_) => state.set(home, desc.ty.bytes(), vec![(fact, bits)]),
                register => state.set(register, 16, vec![(fact, bits)]),
            }
        }
        state
    }

    /// Until nothing more is forgotten, then once more to look at the claims.
    fn walk(&mut self) {
        let mut starts: BTreeMap<u32, State> = BTreeMap::from([(0, self.entry())]);
        let mut waiting = VecDeque::from([0]);
        while let Some(at) = waiting.pop_front() {
            for (to, state) in self.run(at, &starts, false) {
                let less = match starts.get_mut(&to) {
                    Some(known) => known.meet(&state),
                    None => {
                        starts.insert(to, state);
                        true
                    }
                };
                if less && !waiting.contains(&to) {
                    waiting.push_back(to);
                }
            }
        }
        for at in starts.keys().copied().collect::<Vec<_>>() {
            self.run(at, &starts, true);
        }
    }

    /// Executes from `at` to the next place that is jumped to; the places it leads to, with what is known there.
    fn run(&mut self, at: u32, starts: &BTreeMap<u32, State>, check: bool) -> Vec<(u32, State)> {
        let mut state = starts[&at].clone();
        let mut targets = Vec::new();
        let mut decoder = Decoder::with_ip(64, self.code, 0, DecoderOptions::NONE);
        let (mut at, mut first) = (at, true);
        loop {
            if !first && starts.contains_key(&at) {
                targets.push((at, state));
                return targets;
            }
            first = false;
            self.steps(at, &mut state, check);
            if decoder.set_position(at as usize).is_err() {
                return targets;
            }
            decoder.set_ip(at.into());
            let insn = decoder.decode();
            if check {
                self.look(at, &insn, &state);
            }
            if insn.is_invalid() {
                return targets;
            }
            let flow = insn.flow_control();
            if let FlowControl::ConditionalBranch | FlowControl::UnconditionalBranch = flow {
                let to = insn.near_branch_target();
                // A jump to the start leaves: what was put there is entered with.
                let start = to == 0 || to == u64::from(self.g.checked_start);
                if self.stub(&insn).is_none() && !start && to < self.code.len() as u64 {
                    targets.push((to as u32, state.clone()));
                }
            }
            match flow {
                FlowControl::Next | FlowControl::ConditionalBranch => self.execute(&insn, &mut state),
                FlowControl::Call if self.calls(&insn, &mut state) => {}
                _ => return targets,
            }
            at = insn.next_ip() as u32;
        }
    }

    /// The stub whose distance is the last field of a jump or call.
    fn stub(&self, insn: &Instruction) -> Option<StubId> {
        let field = insn.next_ip() as u32 - 4;
        self.g.asm.relocs.iter().find(|r| r.at == field).map(|r| r.stub)
    }

    /// The effect of a call of a stub that comes back; false for others.
    fn calls(&self, insn: &Instruction, state: &mut State) -> bool {
        let saving = match self.stub(insn) {
            Some(StubId::GenericSaving | StubId::Nan | StubId::Settle) => true,
            Some(StubId::Generic | StubId::Helper) => false,
            _ => return false,
        };
        state.destroy(disp(offset_of!(ThreadState, scratch)), 16); // the result
        if self.stub(insn) == Some(StubId::Helper) && self.forgets_before(insn.ip() as u32) {
            for (slot, desc) in self.g.guest.slots.iter().enumerate() {
                let fact = (Fact::Slot(slot as u16), desc.ty.bits() as u16);
                state.set(self.home(slot as u16), desc.ty.bytes(), vec![fact]);
            }
        }
        if !saving {
            const CALLEE_SAVED: [u8; 5] = [3, 12, 13, 14, 15];
            state.registers.retain(|cell, _| matches!(cell, Cell::Gpr(r) if CALLEE_SAVED.contains(r)));
        }
        true
    }

    /// Whether the call at `at` is of a helper that changes the slots: its instruction has said so.
    fn forgets_before(&self, at: u32) -> bool {
        let before = self.claims[..self.claims.partition_point(|c| c.0 <= at)].iter().rev();
        before
            .take_while(|(_, c)| !matches!(c, Step::Claim(Claim::Starts(_))))
            .any(|(_, c)| *c == Step::Claim(Claim::Forgets))
    }

    /// What is known after an instruction that does not jump.
    fn execute(&self, insn: &Instruction, state: &mut State) {
        if let Some((to, bytes, facts)) = self.moved(insn, state) {
            return state.set(to, bytes, facts);
        }
        if insn.mnemonic() == Mnemonic::Xchg
            && let (Some(a), Some(b)) = (self.cell(insn, 0), self.cell(insn, 1))
            && insn.op1_register().size() == 8
        {
            let (x, y) = (state.facts(a).to_vec(), state.facts(b).to_vec());
            if let (Cell::Gpr(_), Cell::Gpr(_)) = (a, b) {
                state.set(a, 8, y);
                return state.set(b, 8, x);
            }
        }
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(insn);
        for used in info.used_registers().iter().filter(|u| writes(u.access())) {
            if let Some(cell) = register(used.register()) {
                state.registers.remove(&cell);
            }
        }
        for used in info.used_memory().iter().filter(|u| writes(u.access()) && u.base() == Register::RBP) {
            state.destroy(used.displacement() as i32, used.memory_size().size() as u32);
        }
    }

    /// A plain move: where to, how many bytes, and what is known of them.
    fn moved(&self, insn: &Instruction, state: &State) -> Option<(Cell, u32, Facts)> {
        use Mnemonic as M;
        let size = match insn.mnemonic() {
            M::Mov | M::Movzx | M::Movd | M::Movq | M::Movups | M::Movaps | M::Movdqu | M::Movdqa => self.size(insn),
            M::Vmovd | M::Vmovq | M::Vmovups | M::Vmovaps | M::Vmovdqu | M::Vmovdqa => self.size(insn),
            M::Xorps | M::Pxor if insn.op0_register() == insn.op1_register() => {
                return Some((self.cell(insn, 0)?, 16, vec![(Fact::Number(0), 128)]));
            }
            M::Xor if insn.op1_kind() == OpKind::Register && insn.op0_register() == insn.op1_register() => {
                return Some((self.cell(insn, 0)?, 8, vec![(Fact::Number(0), 64)]));
            }
            _ => return None,
        };
        let to = self.cell(insn, 0)?;
        let facts = if insn.op_count() == 2 && is_immediate(insn.op1_kind()) {
            let bytes = if matches!(to, Cell::Mem(_)) { size } else { 8 };
            vec![(Fact::Number(insn.immediate(1).into()), bytes as u16 * 8)]
        } else if insn.is_ip_rel_memory_operand() {
            vec![(Fact::Number(self.pooled(insn)?), 128)]
        } else {
            let from = self.cell(insn, 1)?;
            state.facts(from).iter().map(|&(fact, bits)| (fact, bits.min(size as u16 * 8))).collect()
        };
        // A register is written whole; what is above is not the value's.
        let written = if matches!(to, Cell::Mem(_)) { size } else { 16 };
        // A partial register would keep the rest.
        let partial = matches!(to, Cell::Gpr(_)) && insn.op0_register().size() < 4;
        Some((to, written, if partial { Vec::new() } else { facts }))
    }

    /// Bytes that a move carries.
    fn size(&self, insn: &Instruction) -> u32 {
        let of = |k: u32| match insn.op_kind(k) {
            OpKind::Register => insn.op_register(k).size() as u32,
            OpKind::Memory => insn.memory_size().size() as u32,
            _ => u32::MAX,
        };
        let least = of(0).min(of(1));
        match insn.code() {
            Code::Movq_xmm_xmmm64 | Code::Movq_xmmm64_xmm | Code::VEX_Vmovq_xmm_xmmm64 | Code::VEX_Vmovq_xmmm64_xmm => {
                8
            }
            _ => least,
        }
    }

    /// A constant from behind the code.
    fn pooled(&self, insn: &Instruction) -> Option<u128> {
        let at = usize::try_from(insn.ip_rel_memory_address()).ok()?;
        let size = insn.memory_size().size();
        let mut bytes = [0; 16];
        bytes.get_mut(..size)?.copy_from_slice(self.code.get(at..at + size)?);
        Some(u128::from_le_bytes(bytes))
    }

    fn cell(&self, insn: &Instruction, operand: u32) -> Option<Cell> {
        match insn.op_kind(operand) {
            OpKind::Register => register(insn.op_register(operand)),
            OpKind::Memory if insn.memory_base() == Register::RBP && insn.memory_index() == Register::None => {
                Some(Cell::Mem(insn.memory_displacement64() as i32))
            }
            _ => None,
        }
    }

    // ------------------------------------------------------------------ the claims
    /// Steps before the instruction at `at`.
    fn steps(&mut self, at: u32, state: &mut State, check: bool) {
        for k in self.claims.partition_point(|c| c.0 < at)..self.claims.partition_point(|c| c.0 <= at) {
            match self.claims[k].1 {
                Step::Defined(v, cell, bits) => state.set(cell, 16, vec![(Fact::Value(v), bits)]),
                Step::Claim(claim) if check => self.hold(at, state, claim),
                Step::Claim(_) => {}
            }
        }
    }

    fn hold(&mut self, at: u32, state: &State, claim: Claim) {
        match claim {
            Claim::Holds { value, cell, bits } | Claim::Reads { value, cell, bits } => {
                self.holds(at, state, value, cell, bits);
            }
            Claim::AtBoundary { pos, again, deferred } => self.at_boundary(at, state, pos, (again, deferred)),
            Claim::Compares { pos, slot, second, cell } => self.compared(at, state, pos, slot, (second, cell)),
            Claim::Chooses { pos, arm, second, cell } => self.chosen(at, state, pos, arm, (second, cell)),
            Claim::AtHome { pos } => self.at_home(at, state, pos),
            _ => {}
        }
    }

    /// Looks at the instruction at `at`, before which all claims have been.
    fn look(&mut self, at: u32, insn: &Instruction, state: &State) {
        for feature in insn.cpuid_features().iter().filter(|f| !self.g.features.have(**f)) {
            self.wrong.push(format!("at {at:#x}: an instruction of {feature:?}"));
        }
        self.not_in_between(at, insn, state);
        self.shown(at, state);
    }

    fn holds(&mut self, at: u32, state: &State, value: u32, cell: Cell, bits: u16) {
        if !self.has(state, value, cell, bits) {
            self.wrong.push(format!("at {at:#x}: {cell:?} has {:?}, not {bits} bits of {value}", state.facts(cell)));
        }
    }

    /// Whether the cell has the low bits of a value, or of the number that it is.
    fn has(&self, state: &State, value: u32, cell: Cell, bits: u16) -> bool {
        let low = if bits >= 128 { u128::MAX } else { (1 << bits) - 1 };
        let number = self.g.constant(value);
        state.facts(cell).iter().any(|&(fact, known)| match fact {
            Fact::Value(v) => v == value && known >= bits,
            Fact::Number(n) => number.is_some_and(|number| (n ^ number) & low == 0) && known >= bits,
            Fact::Slot(_) => false,
        })
    }

    /// A register that the current instruction claims to read has not got another value meanwhile.
    fn not_in_between(&mut self, at: u32, insn: &Instruction, state: &State) {
        let mut factory = InstructionInfoFactory::new();
        let info = factory.info(insn);
        if self.moved(insn, state).is_some() || insn.mnemonic() == Mnemonic::Xchg {
            return; // the allocator's own
        }
        for used in info.used_registers().iter().filter(|u| reads(u.access())) {
            let Some(cell) = register(used.register()) else { continue };
            let Some(value) = self.claimed(at, cell) else { continue };
            // Registers that the instruction has exchanged have one of its values.
            let others = state.facts(cell).iter().filter(|(fact, _)| match fact {
                Fact::Value(v) => *v != value && !self.is_claimed(at, *v),
                _ => false,
            });
            let same = state.facts(cell).iter().any(|(fact, _)| *fact == Fact::Value(value));
            if !same && others.count() > 0 {
                self.wrong.push(format!("at {at:#x}: {cell:?} is read for {value} but has {:?}", state.facts(cell)));
            }
        }
    }

    /// What the instruction at `at` has claimed so far, the latest first.
    fn claims_of(&self, at: u32) -> impl Iterator<Item = &Claim> {
        let before = self.claims[..self.claims.partition_point(|c| c.0 <= at)].iter().rev();
        let claims = before.filter_map(|(_, step)| if let Step::Claim(claim) = step { Some(claim) } else { None });
        claims.take_while(|claim| !matches!(claim, Claim::Starts(_) | Claim::Unlocks))
    }

    fn is_claimed(&self, at: u32, v: u32) -> bool {
        self.claims_of(at).any(|claim| matches!(claim, Claim::Reads { value, .. } if *value == v))
    }

    /// The value that the instruction at `at` has claimed to read from the cell, if it still does.
    fn claimed(&self, at: u32, cell: Cell) -> Option<u32> {
        let of_cell = self.claims_of(at).find(|claim| match claim {
            Claim::Reads { cell: c, .. } | Claim::Releases(c) | Claim::Defines { cell: c, .. } => *c == cell,
            _ => false,
        });
        if let Some(Claim::Reads { value, .. }) = of_cell { Some(*value) } else { None }
    }

    /// The value of a slot before the instruction at a position, by the unit alone.
    fn slot_value(&self, slot: u16, pos: u32) -> Fact {
        let (unit, g) = (self.g.unit, self.g);
        let forgotten = self.forgets.iter().copied().filter(|p| *p < pos).max();
        let put = unit.puts.iter().rfind(|p| p.slot.0 == slot && p.pos <= pos);
        match (put, forgotten) {
            (Some(p), None) => Fact::Value(g.an.val(p.val)),
            (Some(p), Some(f)) if p.pos > f => Fact::Value(g.an.val(p.val)),
            (_, Some(_)) => Fact::Slot(slot),
            _ if g.an.entry[slot as usize] == NO => Fact::Slot(slot),
            _ => Fact::Value(g.an.entry[slot as usize]),
        }
    }

    /// Pinned slots are in their registers, others at home, but for those that need not be.
    fn at_boundary(&mut self, at: u32, state: &State, pos: u32, (again, deferred): (bool, bool)) {
        let is_choice = |flag: &Slot| match self.slot_value(flag.0, pos) {
            Fact::Value(v) => self.g.an.choice(v).is_some(),
            _ => false,
        };
        let chosen = self.g.conv.flags.iter().any(is_choice);
        for slot in 0..self.g.guest.slots.len() as u16 {
            let unseen = again && self.g.an.overwritten_unseen(slot);
            if deferred && self.g.conv.flag(slot).is_some() {
                if !chosen {
                    self.is_deferred(at, state, pos, slot);
                }
            } else if !unseen {
                self.slot_is_in(at, state, pos, slot, self.boundary(slot));
            }
        }
    }

    /// The operands of the comparison that a condition flag is of have been left.
    fn is_deferred(&mut self, at: u32, state: &State, pos: u32, flag: u16) {
        let Fact::Value(v) = self.slot_value(flag, pos) else {
            return self.wrong.push(format!("at {at:#x}: flag {flag}, which nobody has written, is deferred"));
        };
        let Some(c) = self.g.an.cond(v) else { return };
        let bits = c.ty.bits().min(64) as u16;
        for (value, operand) in [(c.a, DEFERRED_A), (c.b, DEFERRED_B)] {
            if operand == DEFERRED_B && self.g.constant(value).is_some_and(|k| is_small(c.ty, k)) {
                continue;
            }
            self.holds(at, state, value, Cell::Mem(disp(operand)), bits.min(self.g.bits(value)));
        }
    }

    /// An operand of the comparison that a slot's value is of.
    fn compared(&mut self, at: u32, state: &State, pos: u32, slot: u16, (second, cell): (bool, Cell)) {
        let Fact::Value(v) = self.slot_value(slot, pos) else { return };
        let Some(c) = self.g.an.cond(v).or(self.g.an.extension(v)) else {
            return self.chooses(at, state, v, (second, cell));
        };
        let (value, bits) = self.operand(&c, second);
        self.holds(at, state, value, cell, bits);
    }

    /// An operand of a comparison, and how many bits of it count.
    fn operand(&self, c: &Cond, second: bool) -> (u32, u16) {
        let value = if second { c.b } else { c.a };
        (value, (c.ty.bits().min(64) as u16).min(self.g.bits(value)))
    }

    /// The same of a choice: of what it is between, or is made by.
    fn chooses(&mut self, at: u32, state: &State, v: u32, (second, cell): (bool, Cell)) {
        let Some(choice) = self.g.an.choice(v) else { return };
        let mut conds = choice.values().filter_map(|v| self.g.an.cond(v)).chain([choice.gate]);
        let right = conds.any(|c| {
            let (value, bits) = self.operand(&c, second);
            self.has(state, value, cell, bits)
        });
        if !right {
            self.wrong.push(format!("at {at:#x}: {cell:?} has {:?}, nothing of {choice:?}", state.facts(cell)));
        }
    }

    /// An operand of one of the comparisons that the flags are of.
    fn chosen(&mut self, at: u32, state: &State, pos: u32, arm: bool, (second, cell): (bool, Cell)) {
        let cond = |flag: &Slot| {
            let Fact::Value(v) = self.slot_value(flag.0, pos) else { return None };
            match self.g.an.choice(v)?.arms[usize::from(arm)] {
                Arm::Value(v) => self.g.an.cond(v),
                Arm::Bit(_) => None,
            }
        };
        if let Some(c) = self.g.conv.flags.iter().find_map(cond) {
            let (value, bits) = self.operand(&c, second);
            self.holds(at, state, value, cell, bits);
        }
    }

    /// All slots are at home.
    fn at_home(&mut self, at: u32, state: &State, pos: u32) {
        for slot in 0..self.g.guest.slots.len() as u16 {
            self.slot_is_in(at, state, pos, slot, self.home(slot));
        }
    }

    /// Where a slot is at a unit's entry and exits.
    fn boundary(&self, slot: u16) -> Cell {
        let conv = self.g.conv;
        let register = conv.register(slot).map(Cell::Gpr).or(conv.vector(slot).map(Cell::Xmm));
        register.unwrap_or_else(|| self.home(slot))
    }

    fn home(&self, slot: u16) -> Cell {
        Cell::Mem(self.g.home_mem(slot).disp)
    }

    /// Results of comparisons are known by their operands only, which were looked at when they were compared.
    fn slot_is_in(&mut self, at: u32, state: &State, pos: u32, slot: u16, cell: Cell) {
        let desc = &self.g.guest.slots[slot as usize];
        let right = match self.slot_value(slot, pos) {
            Fact::Value(v) if self.g.an.values[v as usize].mode == Mode::Cond && self.g.an.extension(v).is_none() => {
                true
            }
            Fact::Value(v) if self.g.an.choice(v).is_some() => true,
            Fact::Value(v) => self.has(state, v, cell, self.g.bits(v).min(desc.ty.bits() as u16)),
            other => state.facts(cell).contains(&(other, desc.ty.bits() as u16)),
        };
        if !right {
            let (value, found) = (self.slot_value(slot, pos), state.facts(cell));
            let (name, cell) = (desc.name, format!("{cell:?}"));
            self.wrong.push(format!("at {at:#x}: {name} (slot {slot}) is {value:?}, but {cell} has {found:?}"));
        }
    }

    /// The points of the fault table at `at`.
    fn shown(&mut self, at: u32, state: &State) {
        for (pos, locs) in self.shows.get(&at).cloned().unwrap_or_default() {
            for slot in 0..self.g.guest.slots.len() as u16 {
                let Fact::Value(v) = self.slot_value(slot, pos) else { continue };
                match locs.get(&slot) {
                    Some((_, parts)) if self.g.an.is_left(v) => self.parts_are_at(at, state, slot, v, parts),
                    Some((loc, _)) => self.is_at(at, state, slot, v, *loc),
                    None => self.is_at(at, state, slot, v, Loc::home(slot)),
                }
            }
        }
    }

    /// What the slot's value is made of is where the fault table says.
    fn parts_are_at(&mut self, at: u32, state: &State, slot: u16, v: u32, parts: &[Loc]) {
        let (mut values, ty) = (Vec::new(), self.g.guest.slots[slot as usize].ty);
        self.g.an.places(self.g.unit, v, ty, &mut |part, ty| values.push((part, ty)));
        if values.len() != parts.len() {
            self.wrong.push(format!("at {at:#x}: slot {slot} is shown as made of {parts:?}, not as {v}"));
        }
        for ((part, ty), loc) in values.into_iter().zip(parts) {
            self.operand_is_at(at, state, part, *loc, ty.bits().min(64) as u16);
        }
    }

    /// The slot's value is at a location that the fault table names.
    fn is_at(&mut self, at: u32, state: &State, slot: u16, v: u32, loc: Loc) {
        match (self.g.an.cond(v).or(self.g.an.extension(v)), loc.as_recipe()) {
            (Some(c), None) if c.kind == CondKind::Extend => self.operand_is_at(at, state, v, loc, 64),
            (Some(c), Some(recipe)) => {
                let bits = c.ty.bits().min(64) as u16;
                self.operand_is_at(at, state, c.a, recipe.a, bits);
                if c.kind != CondKind::Bit {
                    self.operand_is_at(at, state, c.b, recipe.b, bits);
                }
            }
            (None, None) => {
                let bits = self.g.bits(v).min(self.g.guest.slots[slot as usize].ty.bits() as u16);
                self.operand_is_at(at, state, v, loc, bits);
            }
            // Stored already, by an exit that was not taken or for a helper.
            (Some(_), None) if loc == Loc::home(slot) => {}
            _ => self.wrong.push(format!("at {at:#x}: slot {slot} is shown as {loc:?}, not as {v}")),
        }
    }

    fn operand_is_at(&mut self, at: u32, state: &State, v: u32, loc: Loc, bits: u16) {
        let bits = bits.min(self.g.bits(v));
        let (kind, n) = loc.parts();
        let cell = match kind {
            Kind::Gpr => Cell::Gpr(n as u8),
            Kind::Xmm => Cell::Xmm(n as u8),
            Kind::Spill => Cell::Mem(Gen::spill_mem(n as u16).disp),
            Kind::Home => Cell::Mem(self.g.home_mem(n as u16).disp),
            Kind::Const => {
                if self.g.constant(v) != self.g.unit.consts.get(n as usize).copied() {
                    self.wrong.push(format!("at {at:#x}: constant {n} is shown for {v}"));
                }
                return;
            }
            Kind::Bit | Kind::Expression | Kind::Choice => return,
        };
        self.holds(at, state, v, cell, bits);
    }
}

fn is_immediate(kind: OpKind) -> bool {
    !matches!(kind, OpKind::Register | OpKind::Memory)
}

fn writes(access: OpAccess) -> bool {
    matches!(access, OpAccess::Write | OpAccess::CondWrite | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

fn reads(access: OpAccess) -> bool {
    matches!(access, OpAccess::Read | OpAccess::CondRead | OpAccess::ReadWrite | OpAccess::ReadCondWrite)
}

/// The cell of a register, if values are kept there.
fn register(register: Register) -> Option<Cell> {
    let full = register.full_register();
    if full.is_gpr() && full != Register::RSP && full != Register::RBP {
        Some(Cell::Gpr(full.number() as u8))
    } else if register.is_vector_register() {
        Some(Cell::Xmm(register.number() as u8))
    } else {
        None
    }
}
