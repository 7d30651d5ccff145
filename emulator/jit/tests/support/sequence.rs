//! Random sequences of a guest's instructions, and states to execute them from.

use std::collections::HashMap;

use ir::guest::Slot;
use ir::inst::Op;
use ir::interp::Outcome;
use ir::unit::ExitKind;
use ir::{Guest, GuestState};

use crate::support::engines::{CODE, DATA_LEN, data_of, mode_of, state_of};
use crate::support::{Random, Single, Undo, Window, straight, unit_at};

/// Most instructions of a sequence but the last.
const MOST: u64 = 40;
/// Instructions of a mode that are kept to be met again, in other company.
const KEPT: usize = 256;

/// Instructions that run one after the other, and perhaps one that goes elsewhere.
#[derive(Clone)]
pub(crate) struct Sequence {
    /// The mode they start in.
    pub(crate) mode: u32,
    /// Their bytes.
    pub(crate) code: Vec<u8>,
    /// Where each starts.
    pub(crate) places: Vec<u64>,
    /// A state from which all are executed, or most.
    pub(crate) start: Box<GuestState>,
    /// Slots that they read.
    pub(crate) reads: Vec<Slot>,
}

impl Sequence {
    /// Where it ends.
    pub(crate) fn end(&self) -> u64 {
        CODE + self.code.len() as u64
    }

    fn add(&mut self, bytes: &[u8], insn: &Single) {
        self.places.push(self.end());
        self.code.extend_from_slice(bytes);
        self.reads.extend(reads(insn));
    }

    /// How many of its instructions were executed when it was left at `pc`: all of them, if it left the code, for it goes
    /// elsewhere at its end only.
    pub(crate) fn executed(&self, pc: u64) -> u64 {
        let at = if (CODE..self.end()).contains(&pc) { pc } else { self.end() };
        self.places.iter().filter(|&&place| place <= at).count() as u64
    }

    /// The sequence without an instruction; `None` if what is left is no sequence.
    pub(crate) fn without(&self, guest: &'static Guest, index: usize) -> Option<Sequence> {
        let nothing = Sequence {
            mode: self.mode,
            code: Vec::new(),
            places: Vec::new(),
            reads: Vec::new(),
            start: self.start.clone(),
        };
        let (mut shorter, mut mode) = (nothing, self.mode);
        for (i, &place) in self.places.iter().enumerate().filter(|(i, _)| *i != index) {
            let end = self.places.get(i + 1).copied().unwrap_or(self.end());
            let bytes = &self.code[(place - CODE) as usize..(end - CODE) as usize];
            let pc = shorter.end();
            let middle = straight(guest, mode, bytes, pc).filter(|insn| insn.len as usize == bytes.len());
            let insn = match middle.filter(|insn| insn.mode.is_some()) {
                Some(insn) => insn,
                None if i + 1 == self.places.len() => leaves(guest, mode, bytes, pc)?,
                None => return None,
            };
            mode = insn.mode.unwrap_or(mode);
            shorter.add(bytes, &insn);
        }
        (!shorter.places.is_empty()).then_some(shorter)
    }
}

/// An instruction that can be in the middle of a sequence. What it does may depend on where it is.
struct Middle {
    bytes: [u8; 16],
    insn: Single,
}

/// Makes sequences of a guest's instructions.
pub(crate) struct Maker {
    guest: &'static Guest,
    /// Instructions that were used, by their mode: making one takes as long as executing twenty.
    kept: HashMap<u32, Vec<Middle>>,
    /// The mode of each test line.
    modes: Vec<u32>,
    /// The memory in which instructions are tried.
    memory: Vec<u8>,
    undo: Undo,
}

impl Maker {
    pub(crate) fn new(guest: &'static Guest) -> Maker {
        let modes = guests::tests(guest).iter().map(|test| mode_of(guest, test)).collect();
        Maker { guest, modes, memory: vec![0; DATA_LEN], kept: HashMap::new(), undo: Undo::default() }
    }

    /// Forgets what it has made.
    pub(crate) fn restart(&mut self) {
        self.kept.clear();
    }

    /// The instruction of a test line with some bits flipped: every row is met with many operands.
    fn bytes(&self, random: &mut Random) -> ([u8; 16], usize) {
        let tests = guests::tests(self.guest);
        let code = tests[random.below(tests.len() as u64) as usize].code;
        let mut bytes = [0; 16];
        bytes[..code.len()].copy_from_slice(code);
        for _ in 0..random.below(6) {
            let bit = random.below(8 * code.len() as u64) as usize;
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        (bytes, code.len())
    }

    /// A sequence, and a state, in the mode of some test, from which it runs over this memory.
    pub(crate) fn sequence(&mut self, memory: &[u8], random: &mut Random) -> Sequence {
        let guest = self.guest;
        let mode = self.modes[random.below(self.modes.len() as u64) as usize];
        let mut slots: Vec<u128> = guest.slots.iter().map(|_| random_value(data_of(guest), random)).collect();
        if random.below(3) == 0 {
            // Units may assume that small numbers are in boxes.
            let others = slots.iter_mut().enumerate().filter(|(slot, _)| !guest.pins.contains(&Slot(*slot as u16)));
            others.for_each(|(_, value)| *value = small_number(random));
        }
        let start = Box::new(state_of(guest, mode, &slots));
        let mut made = Sequence { mode, code: Vec::new(), places: Vec::new(), start, reads: Vec::new() };
        self.memory.copy_from_slice(memory);
        // Where the state is, until an instruction faults; the mode that the next instruction is in.
        let (mut state, mut mode) = (Some(made.start.clone()), mode);
        for _ in 0..1 + random.below(MOST) {
            let Some(next) = (0..50).find_map(|_| self.next(&mut state, mode, made.end(), random)) else { break };
            made.add(&next.bytes[..next.insn.len as usize], &next.insn);
            let behind = next.insn.mode.unwrap_or(mode);
            self.keep(next, mode, random);
            mode = behind;
        }
        self.undo.forget();
        if random.below(4) == 0 && !guest.delay_slots {
            let pc = made.end();
            let last = (0..20)
                .map(|_| self.bytes(random))
                .find_map(|(bytes, len)| Some((bytes, len, leaves(guest, mode, &bytes[..len], pc)?)));
            if let Some((bytes, len, insn)) = last {
                made.add(&bytes[..len], &insn);
            }
        }
        made.reads.sort_unstable_by_key(|slot| slot.0);
        made.reads.dedup();
        made
    }

    /// Keeps an instruction of a mode, unless it is one that goes on behind itself at its own place alone: a jump to there.
    fn keep(&mut self, middle: Middle, mode: u32, random: &mut Random) {
        let elsewhere = middle.insn.unit.key.pc + 0x1000 + u64::from(self.guest.insn_align);
        let Some(again) = straight(self.guest, mode, &middle.bytes, elsewhere) else { return };
        again.unit.recycle();
        let kept = self.kept.entry(mode).or_default();
        match kept.len() {
            KEPT.. => kept[random.below(KEPT as u64) as usize] = middle,
            _ => kept.push(middle),
        }
    }

    /// A random instruction that can be in the middle of a sequence, most often one that is executed from this state, which goes
    /// on behind it.
    fn next(&mut self, state: &mut Option<Box<GuestState>>, mode: u32, pc: u64, random: &mut Random) -> Option<Middle> {
        let middle = match self.kept.get_mut(&mode).filter(|kept| kept.len() > 16 && random.below(4) != 0) {
            Some(kept) => kept.swap_remove(random.below(kept.len() as u64) as usize),
            None => {
                let (bytes, len) = self.bytes(random);
                let insn = straight(self.guest, mode, &bytes[..len], pc).filter(|insn| insn.mode.is_some())?;
                Middle { bytes, insn }
            }
        };
        if let Some(now) = state
            && !self.runs(&middle.insn, now)
        {
            // Faults are met, too, but what is behind them is not executed.
            if random.below(16) != 0 {
                middle.insn.unit.recycle();
                return None;
            }
            *state = None;
        }
        Some(middle)
    }

    /// Executes an instruction; if it faults or traps, nothing has happened.
    fn runs(&mut self, insn: &Single, state: &mut GuestState) -> bool {
        let (before, kept) = (state.clone(), self.undo.len());
        let (at, bytes) = (data_of(self.guest), &mut self.memory[..]);
        let mut window = Window { at, bytes, aligned: false, undo: &mut self.undo };
        let outcome = ir::interp::run(self.guest, &insn.unit, state, &mut window);
        let exits = &insn.unit.exits;
        let falls = matches!(outcome, Outcome::Exit { exit, .. } if exits[exit.0 as usize].kind == ExitKind::Jump);
        if !falls {
            *state = before;
            self.undo.take_back(kept, &mut self.memory);
        }
        falls
    }
}

/// Slots that an instruction reads.
fn reads(insn: &Single) -> impl Iterator<Item = Slot> {
    insn.unit.insts.iter().filter(|inst| inst.op == Op::Get).map(|inst| Slot(inst.attr.0 as u16))
}

/// An instruction that does the same at any time of day, and goes to no place in the code, where it could go on for ever, nor
/// to one that registers tell.
fn leaves(guest: &'static Guest, mode: u32, bytes: &[u8], pc: u64) -> Option<Single> {
    let insn = unit_at(guest, mode, bytes, pc)?;
    let near = CODE - 16..pc + u64::from(insn.len);
    let fits = |exit: &ir::unit::Exit| match exit.kind {
        ExitKind::Jump | ExitKind::Call => !near.contains(&exit.target),
        ExitKind::Trap(_) | ExitKind::Syscall | ExitKind::NativeCall => true,
        _ => false,
    };
    let leaves = insn.timeless(guest) && insn.len as usize == bytes.len() && insn.unit.exits.iter().all(fits);
    leaves.then_some(insn)
}

/// Gives what a sequence reads other values, and leaves most addresses near where they are.
pub(crate) fn change(guest: &Guest, sequence: &Sequence, state: &mut GuestState, random: &mut Random) {
    let data = data_of(guest);
    for &slot in &sequence.reads {
        let was = state.get(guest, slot);
        let stays = random.below(16) != 0;
        let value = match was as u64 {
            address if address.wrapping_sub(data) < DATA_LEN as u64 && stays => was ^ u128::from(random.below(16) << 3),
            small if small >= ABOVE && stays => small_number(random),
            _ => random_value(data, random),
        };
        state.set(guest, slot, value & guest.slots[slot.0 as usize].ty.mask());
    }
}

/// What is above a number of 32 bits that is in a box of 64.
const ABOVE: u64 = 0xffff_ffff << 32;

/// A number of 32 bits, of floating-point interest or any, in a box.
fn small_number(random: &mut Random) -> u128 {
    const SPECIAL: [u64; 8] = [0, 1, 0x8000_0000, 0x3f80_0000, 0x7f80_0000, 0x7fc0_0001, 0xff80_0001, 0x7f7f_ffff];
    let number = match random.below(3) {
        0 => SPECIAL[random.below(8) as usize],
        1 => (random.below(2001) as f32 - 1000.0).to_bits().into(),
        _ => random.next() & !ABOVE,
    };
    u128::from(ABOVE | number)
}

/// Register values: pointers into the data, small numbers, patterns of floating-point interest, anything.
fn random_value(data: u64, random: &mut Random) -> u128 {
    let specials: [u64; 12] = [
        0,
        1,
        u64::MAX,
        1 << 63,
        0x7ff0_0000_0000_0000,
        0x7ff8_0000_0000_0000,
        0x7ff0_0000_0000_0001,
        0x3ff0_0000_0000_0000,
        0x0010_0000_0000_0000,
        0x7fef_ffff_ffff_ffff,
        0x7f80_0000_7f80_0001,
        0x0000_0000_8000_0000,
    ];
    let mut word = || match random.below(8) {
        0..=2 => data + DATA_LEN as u64 / 2 + (random.below(2048) & !7),
        3 => random.below(300),
        4 => specials[random.below(12) as usize],
        5 => 0xffff_ffff_0000_0000 | random.next(), // NaN-boxed
        6 => f64::from(random.next() as i32).to_bits(),
        _ => random.next() | 0x00f0_0000_0000_0000, // no address
    };
    u128::from(word()) << 64 | u128::from(word())
}
