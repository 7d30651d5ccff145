//! Random instructions on the interpreter, on translated code and under QEMU's user-mode emulator, which knows nothing of
//! our specifications: registers, flags, floating-point state and memory must be the same, bit for bit.
//!
//! A case is a table of registers and a few instructions, which the interpreter executes one by one as they are found: what faults,
//! traps or leaves the straight line is left out. Batches of cases become one program each ([`program`]). `QEMU_CASES` is the
//! number of cases of a batch, `QEMU_BATCHES` that of batches, `QEMU_SECONDS` how long batches go on instead, `QEMU_SEED` the seed,
//! `QEMU_SHOW` how many differences are shown, `QEMU_ONLY` a list of instructions, by their names in the specification. Endless, of
//! one guest:
//!
//! ```sh
//! QEMU_SECONDS=1000000 QEMU_CASES=4000 QEMU_SEED=$RANDOM cargo test --release -p jit --test against_qemu mips64 -- --nocapture
//! ```
//!
//! What is not compared is in `qemu_differs.txt`, each with its reason.

#[path = "support/exceptions.rs"]
mod exceptions;
#[path = "support/frame.rs"]
mod frame;
#[path = "support/program.rs"]
mod program;
mod support;
#[path = "support/table.rs"]
mod table;

use std::rc::Rc;
use std::time::{Duration, Instant};

use exceptions::Exception;
use frame::{BLOCK, Frame};
use ir::GuestState;
use ir::inst::{Inst, Op};
use ir::interp::Outcome;
use ir::unit::ExitKind;
use jit::{Engine, Event, Jit, JitOptions, Thread};
use program::{DATA, DATA_LEN, Input, MOST, Program, ROOM};
use support::process::{catch_faults, memory};
use support::words::Word;
use support::{Code, Placed, Random, Single, Window, Words, number, straight, values};

/// Tables with which the instructions of a case are executed.
const TABLES: usize = 8;

/// An instruction of a case.
struct Step {
    /// Where it is, relative to the first.
    at: usize,
    /// The mode it is executed in.
    mode: u32,
    word: Word<'static>,
    insn: Single,
}

/// Instructions from a table of registers to another.
#[derive(Default, Clone)]
struct Case {
    pc: u64,
    code: Vec<u8>,
    steps: Rc<Vec<Step>>,
    before: Vec<u8>,
    after: Vec<u8>,
    /// The memory after it.
    memory: Vec<u8>,
    /// Fields that the manual leaves open after it.
    open: Vec<usize>,
}

/// Cases, and the memory before them.
struct Batch {
    cases: Vec<Case>,
    memory: Vec<u8>,
}

/// What makes cases.
struct Machine<'a> {
    frame: &'a Frame,
    memory: &'static mut [u8],
    words: &'static Words,
    exceptions: Vec<Exception>,
    /// The interpreter's state.
    state: GuestState,
    /// The memory before an instruction.
    backup: Vec<u8>,
    translator: Box<Thread>,
    /// What the translator executes.
    placed: Placed,
    random: Random,
    instructions: u64,
}

impl<'a> Machine<'a> {
    fn new(frame: &'a Frame, memory: &'static mut [u8]) -> Machine<'a> {
        let exceptions = Exception::of(frame.guest.name, frame.name);
        let only = std::env::var("QEMU_ONLY").unwrap_or_default();
        let wanted = |name: &str| only.is_empty() || only.split(',').any(|o| o == name);
        let never = |name: &str| exceptions.iter().any(|exception| exception.always() && exception.insn == name);
        let words = Box::leak(Box::new(Words::of(frame.guest, frame.mode, |name| wanted(name) && !never(name))));
        let placed = Placed::default();
        let options = JitOptions { engine: Engine::T1, exact_underflow: true, prove: true, ..JitOptions::default() };
        let translator = Thread::new(Jit::new(frame.guest, Code::new(&placed), options));
        Machine {
            frame,
            memory,
            words,
            exceptions,
            state: GuestState::new(frame.guest),
            backup: vec![0; DATA_LEN],
            translator,
            placed,
            random: Random(number("QEMU_SEED", 0x9e37_79b9_7f4a_7c15)),
            instructions: 0,
        }
    }

    /// Executes a random instruction at the end of a case, if there is one that fits.
    fn extend(&mut self, case: &mut Case) -> Option<Step> {
        let guest = self.frame.guest;
        let (pc, mode) = (self.state.pc, self.state.mode);
        let words = self.words;
        let word = words.pick(mode, &mut self.random)?;
        let opens = self.frame.open_after(&word.insn.name);
        // What is left open may be read by those alone that leave it open themselves.
        if word.bytes.len() > ROOM - case.code.len() || !case.open.is_empty() && opens.is_empty() {
            return None;
        }
        let insn = straight(guest, mode, &word.bytes, pc)?;
        let step = Step { at: case.code.len(), mode, word, insn };
        if !self.execute(&step) {
            return None;
        }
        case.code.extend(&step.word.bytes);
        case.open.extend(opens);
        Some(step)
    }

    /// Interprets an instruction; if it is not compared in this state, faults or traps, or changes the register that the program
    /// needs, nothing has happened.
    fn execute(&mut self, step: &Step) -> bool {
        let (guest, base) = (self.frame.guest, self.frame.base);
        // Architectures leave open what becomes of an exclusive store of another size than its load.
        let other_size = |inst: &Inst| inst.op == Op::Sc && u64::from(inst.ty.bytes()) != self.state.excl_size;
        let unlike = self.state.excl_addr != u64::MAX && step.insn.unit.insts.iter().any(other_size);
        if unlike || self.exceptions.iter().any(|exception| exception.holds(&step.word, guest, &self.state)) {
            return false;
        }
        let aligned = self.frame.aligned.iter().any(|start| step.word.insn.name.starts_with(start));
        let before = self.state.clone();
        self.backup.copy_from_slice(self.memory);
        let at = self.frame.origin + DATA;
        let mut window = Window { at, bytes: self.memory, aligned, changed: false };
        let outcome = ir::interp::run(guest, &step.insn.unit, &mut self.state, &mut window);
        let exits = &step.insn.unit.exits;
        let falls = matches!(outcome, Outcome::Exit { exit, .. } if exits[exit.0 as usize].kind == ExitKind::Jump);
        let same_base = self.state.get(guest, base) == before.get(guest, base);
        if falls && same_base && !self.frame.has_new_nan(&before, &self.state) {
            return true;
        }
        self.state = before;
        if window.changed {
            self.memory.copy_from_slice(&self.backup);
        }
        false
    }
}

impl Machine<'_> {
    /// A case that runs to its end in the interpreter, in a slot of the program and with a table of it.
    fn case(&mut self, slot: usize, table: usize) -> Case {
        let memory = self.memory.to_vec();
        loop {
            if let Some(case) = self.attempt(slot, table) {
                return case;
            }
            self.memory.copy_from_slice(&memory);
        }
    }

    /// Sets the state to a case's table, once that is complete.
    fn enter(&mut self, case: &mut Case, table: usize) {
        let frame = self.frame;
        frame.put_slot(&mut case.before, frame.base, frame.table_at(table));
        frame.put_slot(&mut case.before, frame.link.0, case.pc + frame.link.1);
        frame.load(&case.before, &mut self.state);
        self.state.pc = case.pc;
    }

    /// The case's result, from the state. Contexts that are in no table must be as they were: no block of conditions is left open.
    fn leave(&mut self, case: &mut Case) -> bool {
        case.after = self.frame.store(&self.state, &case.before);
        case.memory = self.memory.to_vec();
        self.instructions += case.steps.len() as u64;
        (self.state.mode ^ self.frame.mode) & !self.frame.contexts() == 0
    }

    fn attempt(&mut self, slot: usize, table: usize) -> Option<Case> {
        let frame = self.frame;
        let before = frame.random_table(&mut self.random, frame.origin + DATA + DATA_LEN as u64 / 2);
        let mut case = Case { pc: frame.code_at(slot), before, ..Case::default() };
        self.enter(&mut case, table);
        let mut steps = Vec::new();
        while case.code.len() < ROOM
            && let Some(step) = (0..300).find_map(|_| self.extend(&mut case))
        {
            steps.push(step);
        }
        let fill = frame.fill.iter().cycle().take(ROOM - case.code.len());
        case.code.extend(fill);
        case.steps = Rc::new(steps);
        self.leave(&mut case).then_some(case)
    }

    /// The same instructions with another table, in which addresses are where they were; `None` if one of them faults then.
    fn again(&mut self, case: &Case, table: usize) -> Option<Case> {
        let middle = self.frame.origin + DATA + DATA_LEN as u64 / 2;
        let mut other = case.clone();
        self.frame.change_table(&mut other.before, &mut self.random, middle);
        self.enter(&mut other, table);
        let steps = other.steps.clone();
        let done = steps.iter().all(|step| self.state.mode == step.mode && self.execute(step));
        (done && self.leave(&mut other)).then_some(other)
    }

    /// What translated code makes of a case; memory is as before it.
    fn translated(&mut self, case: &Case) -> Result<Vec<u8>, Event> {
        *self.placed.write().unwrap() = (case.pc, case.code.clone());
        let state = self.translator.state();
        self.frame.load(&case.before, state);
        state.pc = case.pc;
        let end = case.pc + case.code.len() as u64;
        let thread = &mut self.translator;
        let event = std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap();
        if event != (Event::FetchFault { addr: end }) {
            return Err(event);
        }
        Ok(self.frame.store(thread.state(), &case.before))
    }

    /// A batch, and how translated code differs in it.
    fn batch(&mut self, count: usize) -> (Batch, Vec<String>) {
        self.translator.jit().invalidate_all();
        for word in self.memory.chunks_mut(8) {
            word.copy_from_slice(&values::number(&mut self.random).to_le_bytes());
        }
        let mut batch = Batch { cases: Vec::new(), memory: self.memory.to_vec() };
        let mut failures = Vec::new();
        while batch.cases.len() < count {
            let slot = batch.cases.last().map_or(0, |last: &Case| self.frame.slot_of(last.pc) + 1);
            let case = self.case(slot, batch.cases.len());
            batch.cases.push(case.clone());
            failures.extend(self.try_translated(&batch));
            for _ in 1..TABLES {
                let before = self.memory.to_vec();
                match self.again(&case, batch.cases.len()) {
                    Some(other) if batch.cases.len() < count => {
                        batch.cases.push(other);
                        failures.extend(self.try_translated(&batch));
                    }
                    _ => self.memory.copy_from_slice(&before),
                }
            }
        }
        (batch, failures)
    }

    /// How translated code differs in the last case of a batch.
    fn try_translated(&mut self, batch: &Batch) -> Option<String> {
        let [.., case] = &batch.cases[..] else { return None };
        let before = batch.cases.iter().rev().nth(1).map_or(&batch.memory, |last| &last.memory);
        self.memory.copy_from_slice(before);
        let result = self.translated(case);
        let same_memory = self.memory == case.memory;
        self.memory.copy_from_slice(&case.memory);
        let code = || disassembly(self.frame, &case.steps);
        match result {
            Ok(table) if same_memory => differences(self.frame, case, &case.steps, "translated", &table),
            Ok(_) => Some(format!("{}  memory differs in translated code\n", code())),
            Err(event) => Some(format!("{}  translated code ends with {event:x?}\n", code())),
        }
    }
}

impl Frame {
    /// Bits of the mode word that are in the tables.
    fn contexts(&self) -> u32 {
        let parts = self.fields.iter().flat_map(|field| &field.parts);
        parts.fold(0, |all, part| match part.source {
            frame::Source::Context(at) => all | (part.mask as u32) << at,
            _ => all,
        })
    }
}

fn disassembly(frame: &Frame, steps: &[Step]) -> String {
    let line = |step: &Step| {
        let (text, _) = (frame.guest.disassemble)(frame.code_at(0) + step.at as u64, step.mode, &step.word.bytes);
        format!("  {:02x?} {text}\n", step.word.bytes)
    };
    steps.iter().map(line).collect()
}

/// How the table that `who` left differs from the interpreter's, and the steps that did it.
fn differences(frame: &Frame, case: &Case, steps: &[Step], who: &str, found: &[u8]) -> Option<String> {
    let differs = |k: usize| {
        let field = &frame.fields[k];
        !case.open.contains(&k) && frame.take(field, &case.after) != frame.take(field, found)
    };
    if case.after == found || !(0..frame.fields.len()).any(differs) {
        return None;
    }
    let mut text = disassembly(frame, steps);
    let code = text.clone();
    for (k, field) in frame.fields.iter().enumerate() {
        let [was, is, theirs] = [&case.before[..], &case.after, found].map(|table| frame.take(field, table));
        let mark = if differs(k) { " <<<" } else { "" };
        let named = code.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == field.name);
        if was != is || is != theirs || named {
            let name = &field.name;
            text += &format!("  {name}: {was:#x}, then interpreter {is:#x}, {who} {theirs:#x}{mark}\n");
        }
    }
    Some(text)
}

/// What a case does up to and with each of its instructions, in the interpreter and under QEMU: the first after which tables or
/// memory differ, or which QEMU does not survive, alone with its registers. The whole case if none does.
fn culprit(machine: &mut Machine<'_>, program: &Program<'_>, case: &Case, memory: &[u8]) -> String {
    let frame = machine.frame;
    let mut part = Case { pc: frame.code_at(0), ..case.clone() };
    machine.memory.copy_from_slice(memory);
    machine.enter(&mut part, 0);
    let start = part.before.clone();
    let mut table = start.clone();
    // Those not looked at yet: what is within a block of conditions cannot be.
    let mut steps = Vec::new();
    for step in case.steps.iter() {
        let insn = straight(frame.guest, step.mode, &step.word.bytes, part.pc + step.at as u64);
        let step = Step { insn: insn.unwrap(), word: step.word.clone(), ..*step };
        if !machine.execute(&step) {
            return format!("(does not happen again)\n{}", disassembly(frame, &case.steps));
        }
        let end = step.at + step.word.bytes.len();
        steps.push(step);
        if (machine.state.mode ^ frame.mode) & !frame.contexts() != 0 {
            continue;
        }
        part.after = frame.store(&machine.state, &start);
        part.code = case.code[..end].to_vec();
        part.code.extend(frame.fill.iter().cycle().take(ROOM - end));
        part.before = std::mem::replace(&mut table, part.after.clone());
        let found = program.execute(&Input { cases: vec![(0, &part.code, &start)], memory });
        let text = match found {
            Err(death) => Some(format!("QEMU dies of this: {death}\n{}", disassembly(frame, &steps))),
            Ok(found) if found[BLOCK..] != *machine.memory => {
                Some(format!("memory differs\n{}", disassembly(frame, &steps)))
            }
            Ok(found) => differences(frame, &part, &steps, "QEMU", &found),
        };
        if let Some(text) = text {
            return text;
        }
        steps.clear();
    }
    format!("(in the whole only)\n{}", disassembly(frame, &case.steps))
}

/// How QEMU differs in a batch.
fn differences_of_qemu(machine: &mut Machine<'_>, program: &Program<'_>, batch: &Batch) -> Vec<String> {
    let frame = machine.frame;
    let execute = |count: usize| {
        let cases = batch.cases[..count].iter().map(|case| (frame.slot_of(case.pc), &*case.code, &*case.before));
        program.execute(&Input { cases: cases.collect(), memory: &batch.memory })
    };
    // The first case for which `is_bad` holds of the result after it.
    let first = |is_bad: &dyn Fn(usize) -> bool| {
        let (mut good, mut bad) = (0, batch.cases.len());
        while bad - good > 1 {
            let middle = usize::midpoint(good, bad);
            if is_bad(middle) { bad = middle } else { good = middle }
        }
        bad - 1
    };
    let bad: Vec<usize> = match execute(batch.cases.len()) {
        Err(_) => vec![first(&|count| execute(count).is_err())],
        Ok(found) => {
            let (tables, memory) = found.split_at(batch.cases.len() * BLOCK);
            let differs =
                |&k: &usize| differences(frame, &batch.cases[k], &[], "QEMU", &tables[k * BLOCK..][..BLOCK]).is_some();
            let mut bad: Vec<usize> = (0..batch.cases.len()).filter(differs).collect();
            if batch.cases.last().is_some_and(|case| case.memory != memory) {
                bad.push(first(&|count| {
                    execute(count).is_ok_and(|found| found[count * BLOCK..] != batch.cases[count - 1].memory)
                }));
            }
            bad
        }
    };
    let memory = |k: usize| k.checked_sub(1).map_or(&batch.memory, |last| &batch.cases[last].memory);
    // One for many: each takes a run of QEMU's for each instruction.
    bad.into_iter().take(5).map(|k| culprit(machine, program, &batch.cases[k], memory(k))).collect()
}

fn compare(name: &'static str) {
    let frame = Frame::of(name);
    let _turn = catch_faults(None);
    let Some(program) = Program::new(&frame) else { return };
    let (cases, batches) = (number("QEMU_CASES", 1000).clamp(1, MOST as u64) as usize, number("QEMU_BATCHES", 4));
    let time = Duration::from_secs(number("QEMU_SECONDS", 0));
    let mut machine = Machine::new(&frame, memory(frame.origin + DATA, DATA_LEN, 1 << 20, false));
    let mut failures = Vec::new();
    let start = Instant::now();
    for round in 0.. {
        let more = if time.is_zero() { round < batches } else { start.elapsed() < time };
        if !more || failures.len() > 200 {
            break;
        }
        let (batch, differ) = machine.batch(cases);
        failures.extend(differ);
        failures.extend(differences_of_qemu(&mut machine, &program, &batch));
    }
    eprintln!(
        "{name}: {} instructions, {:.1} s, {} differences",
        machine.instructions,
        start.elapsed().as_secs_f64(),
        failures.len()
    );
    let shown = number("QEMU_SHOW", 8) as usize;
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures[..failures.len().min(shown)].join("\n"));
}

macro_rules! compare_each {
    ($($test:ident: $frame:literal,)*) => {
        $(#[test]
        fn $test() {
            compare($frame);
        })*
    };
}

compare_each! {
    aarch64_does_what_qemu_does: "aarch64",
    riscv64_does_what_qemu_does: "riscv64",
    loongarch64_does_what_qemu_does: "loongarch64",
    arm_does_what_qemu_does: "arm",
    thumb_does_what_qemu_does: "arm-t32",
    mips_does_what_qemu_does: "mips",
    mipsel_does_what_qemu_does: "mipsel",
    mips64_does_what_qemu_does: "mips64",
    mips64el_does_what_qemu_does: "mips64el",
}
