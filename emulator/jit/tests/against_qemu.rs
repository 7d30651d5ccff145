//! Random instructions on the interpreter, on translated code and under QEMU's user-mode emulator, which knows nothing of
//! our specifications: registers, flags, floating-point state and memory must be the same, bit for bit.
//!
//! A case is a table of registers and a few instructions, which the interpreter executes one by one as they are found: what faults,
//! traps or leaves the straight line is left out. Batches of cases become one program each ([`program`]). `support/budget.rs` says
//! for how long; `QEMU_ONLY` is a list of instructions, by their names in the specification.
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

use exceptions::{Exception, Held};
use frame::{BLOCK, Frame};
use ir::GuestState;
use ir::inst::{Inst, Op};
use ir::interp::Outcome;
use ir::unit::ExitKind;
use jit::{Engine, Event, Jit, JitOptions, Thread};
use program::{DATA, DATA_LEN, Input, Program, ROOM};
use support::process::{catch_faults, memory};
use support::words::Word;
use support::{Budget, Placed, Random, Single, Undo, Window, Words, none_differ, straight, values};

/// Tables with which the instructions of a case are executed.
const TABLES: usize = 8;
/// Tables that are tried, for instructions fault with some: a table takes less than other instructions.
const TRIES: usize = 32;
/// Cases of a batch.
const CASES: usize = 2000;
/// Instructions of each guest, unless the environment tells.
const INSTRUCTIONS: u64 = 30_000;

/// An instruction of a case.
struct Step {
    /// Where it is, relative to the first.
    at: usize,
    /// The mode it is executed in.
    mode: u32,
    word: Word<'static>,
    insn: Single,
    /// The states in which it is not compared.
    held: Rc<[Held]>,
    /// Only aligned accesses are compared.
    aligned: bool,
}

/// The instructions of a case, and of others from other tables.
struct Code {
    pc: u64,
    bytes: Vec<u8>,
    steps: Vec<Step>,
    /// Fields that the manual leaves open after it.
    open: Vec<usize>,
}

/// Instructions from a table of registers to another.
struct Case {
    code: Rc<Code>,
    before: Vec<u8>,
    after: Vec<u8>,
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
    /// What instructions replaced in memory since a case began.
    undo: Undo,
    /// The memory after a case.
    expected: Vec<u8>,
    translator: Box<Thread>,
    /// What the translator executes.
    placed: Placed,
    random: Random,
}

fn translator(frame: &Frame, placed: &Placed, prove: bool) -> Box<Thread> {
    let options = JitOptions { engine: Engine::T1, exact_underflow: true, prove, ..JitOptions::default() };
    Thread::new(Jit::new(frame.guest, support::Code::new(placed), options))
}

impl<'a> Machine<'a> {
    fn new(frame: &'a Frame, memory: &'static mut [u8]) -> Machine<'a> {
        let exceptions = Exception::of(frame.guest.name, frame.name);
        let only = std::env::var("QEMU_ONLY").unwrap_or_default();
        let wanted = |name: &str| only.is_empty() || only.split(',').any(|o| o == name);
        let never = |name: &str| exceptions.iter().any(|exception| exception.always() && exception.insn == name);
        let words = Box::leak(Box::new(Words::of(frame.guest, frame.mode, |name| wanted(name) && !never(name))));
        let placed = Placed::default();
        let translator = translator(frame, &placed, false);
        Machine {
            frame,
            memory,
            words,
            exceptions,
            state: GuestState::new(frame.guest),
            undo: Undo::default(),
            expected: vec![0; DATA_LEN],
            translator,
            placed,
            random: Random::from_seed(0),
        }
    }

    /// Fresh, for a batch: allocation of registers is proven if asked for, which takes as long as everything else.
    fn restart(&mut self, random: Random, prove: bool) {
        self.random = random;
        self.translator = translator(self.frame, &self.placed, prove);
    }

    /// Executes a random instruction at the end of a case, if there is one that fits.
    fn extend(&mut self, code: &mut Code) -> Option<Step> {
        let guest = self.frame.guest;
        let (pc, mode) = (self.state.pc, self.state.mode);
        let words = self.words;
        let word = words.pick(mode, &mut self.random)?;
        let opens = self.frame.open_after(&word.insn.name);
        // What is left open may be read by those alone that leave it open themselves.
        if word.bytes.len() > ROOM - code.bytes.len() || !code.open.is_empty() && opens.is_empty() {
            return None;
        }
        let held: Rc<[Held]> = self.exceptions.iter().filter_map(|e| e.of_word(&word, guest)).collect();
        let insn = straight(guest, mode, &word.bytes, pc)?;
        let aligned = self.frame.aligned.iter().any(|start| word.insn.name.starts_with(start));
        let step = Step { at: code.bytes.len(), mode, word, insn, held, aligned };
        if !self.execute(&step) {
            step.insn.unit.recycle();
            return None;
        }
        code.bytes.extend(&step.word.bytes);
        code.open.extend(opens);
        Some(step)
    }

    /// Interprets an instruction; if it is not compared in this state, faults or traps, or changes the register that the program
    /// needs, nothing has happened.
    fn execute(&mut self, step: &Step) -> bool {
        let (guest, base) = (self.frame.guest, self.frame.base);
        // Architectures leave open what becomes of an exclusive store of another size than its load.
        let other_size = |inst: &Inst| inst.op == Op::Sc && u64::from(inst.ty.bytes()) != self.state.excl_size;
        let unlike = self.state.excl_addr != u64::MAX && step.insn.unit.insts.iter().any(other_size);
        if unlike || step.held.iter().any(|held| held.holds(guest, &self.state)) {
            return false;
        }
        let (before, kept) = (self.state.clone(), self.undo.len());
        let at = self.frame.origin + DATA;
        let mut window = Window { at, bytes: self.memory, aligned: step.aligned, undo: &mut self.undo };
        let outcome = ir::interp::run(guest, &step.insn.unit, &mut self.state, &mut window);
        let exits = &step.insn.unit.exits;
        let falls = matches!(outcome, Outcome::Exit { exit, .. } if exits[exit.0 as usize].kind == ExitKind::Jump);
        let same_base = self.state.get(guest, base) == before.get(guest, base);
        if falls && same_base && !self.frame.has_new_nan(&before, &self.state) {
            return true;
        }
        self.state = before;
        self.undo.take_back(kept, self.memory);
        false
    }
}

impl Machine<'_> {
    /// A case that runs to its end in the interpreter, in a slot of the program and with a table of it.
    fn case(&mut self, slot: usize, table: usize) -> Case {
        loop {
            self.undo.forget();
            if let Some(case) = self.attempt(slot, table) {
                return case;
            }
            self.undo.take_back(0, self.memory);
        }
    }

    /// Sets the state to a table at the start of code, once that table is complete.
    fn enter(&mut self, pc: u64, before: &mut [u8], table: usize) {
        let frame = self.frame;
        frame.put_slot(before, frame.base, frame.table_at(table));
        frame.put_slot(before, frame.link.0, pc + frame.link.1);
        frame.load(before, &mut self.state);
        self.state.pc = pc;
    }

    /// The case that the state is at the end of. Contexts that are in no table must be as they were: no block of conditions is left
    /// open.
    fn leave(&self, code: Rc<Code>, before: Vec<u8>) -> Option<Case> {
        if (self.state.mode ^ self.frame.mode) & !self.frame.contexts() != 0 {
            return None;
        }
        let after = self.frame.store(&self.state, &before);
        Some(Case { code, before, after })
    }

    fn attempt(&mut self, slot: usize, table: usize) -> Option<Case> {
        let frame = self.frame;
        let mut before = frame.random_table(&mut self.random, frame.middle());
        let mut code = Code { pc: frame.code_at(slot), bytes: Vec::new(), steps: Vec::new(), open: Vec::new() };
        self.enter(code.pc, &mut before, table);
        while code.bytes.len() < ROOM
            && let Some(step) = (0..300).find_map(|_| self.extend(&mut code))
        {
            code.steps.push(step);
        }
        let fill = frame.fill.iter().cycle().take(ROOM - code.bytes.len());
        code.bytes.extend(fill);
        self.leave(Rc::new(code), before)
    }

    /// The same instructions with another table, in which addresses are where they were; `None` if one of them faults then.
    fn again(&mut self, case: &Case, table: usize) -> Option<Case> {
        let (code, mut before) = (case.code.clone(), case.before.clone());
        self.frame.change_table(&mut before, &mut self.random, self.frame.middle());
        self.enter(code.pc, &mut before, table);
        let done = code.steps.iter().all(|step| self.state.mode == step.mode && self.execute(step));
        if done { self.leave(code, before) } else { None }
    }

    /// What translated code makes of a case; memory is as before it.
    fn translated(&mut self, case: &Case) -> Result<Vec<u8>, Event> {
        let (pc, end) = (case.code.pc, case.code.pc + case.code.bytes.len() as u64);
        let state = self.translator.state();
        self.frame.load(&case.before, state);
        state.pc = pc;
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
            let slot = batch.cases.last().map_or(0, |last: &Case| self.frame.slot_of(last.code.pc) + 1);
            let first = batch.cases.len();
            let case = self.case(slot, first);
            *self.placed.write().unwrap() = (case.code.pc, case.code.bytes.clone());
            failures.extend(self.try_translated(&case));
            batch.cases.push(case);
            let end = count.min(first + TABLES);
            for _ in 0..TRIES {
                if batch.cases.len() == end {
                    break;
                }
                self.undo.forget();
                match self.again(&batch.cases[first], batch.cases.len()) {
                    Some(other) => {
                        failures.extend(self.try_translated(&other));
                        batch.cases.push(other);
                    }
                    None => self.undo.take_back(0, self.memory),
                }
            }
        }
        (batch, failures)
    }

    /// How translated code differs in a case that the interpreter has executed just now.
    fn try_translated(&mut self, case: &Case) -> Option<String> {
        self.expected.copy_from_slice(self.memory);
        self.undo.take_back(0, self.memory);
        let result = self.translated(case);
        let same_memory = self.memory == self.expected;
        self.memory.copy_from_slice(&self.expected);
        let (frame, steps) = (self.frame, &case.code.steps);
        match result {
            Ok(table) if same_memory => differences(frame, case, steps, "translated", &table),
            Ok(_) => Some(format!("{}  memory differs in translated code\n", disassembly(frame, steps))),
            Err(event) => Some(format!("{}  translated code ends with {event:x?}\n", disassembly(frame, steps))),
        }
    }

    /// The memory before the first case of a batch, and after each.
    fn memories(&mut self, batch: &Batch) -> Vec<Vec<u8>> {
        self.memory.copy_from_slice(&batch.memory);
        let mut all = vec![batch.memory.clone()];
        for case in &batch.cases {
            self.frame.load(&case.before, &mut self.state);
            self.state.pc = case.code.pc;
            assert!(case.code.steps.iter().all(|step| self.execute(step)), "it was executed before");
            all.push(self.memory.to_vec());
        }
        all
    }
}

impl Frame {
    /// Near which addresses are.
    fn middle(&self) -> u64 {
        self.origin + DATA + DATA_LEN as u64 / 2
    }

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
        !case.code.open.contains(&k) && frame.take(field, &case.after) != frame.take(field, found)
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
    machine.memory.copy_from_slice(memory);
    let (pc, mut start) = (frame.code_at(0), case.before.clone());
    machine.enter(pc, &mut start, 0);
    let mut table = start.clone();
    // Those not looked at yet: what is within a block of conditions cannot be.
    let mut steps = Vec::new();
    for step in &case.code.steps {
        let insn = straight(frame.guest, step.mode, &step.word.bytes, pc + step.at as u64);
        let step = Step { insn: insn.unwrap(), word: step.word.clone(), held: step.held.clone(), ..*step };
        if !machine.execute(&step) {
            return format!("(does not happen again)\n{}", disassembly(frame, &case.code.steps));
        }
        let end = step.at + step.word.bytes.len();
        steps.push(step);
        if (machine.state.mode ^ frame.mode) & !frame.contexts() != 0 {
            continue;
        }
        let after = frame.store(&machine.state, &start);
        let mut bytes = case.code.bytes[..end].to_vec();
        bytes.extend(frame.fill.iter().cycle().take(ROOM - end));
        let found = program.execute(&Input { cases: vec![(0, &bytes, &start)], memory });
        let part = Case { code: case.code.clone(), before: std::mem::replace(&mut table, after.clone()), after };
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
    format!("(in the whole only)\n{}", disassembly(frame, &case.code.steps))
}

/// How QEMU differs in a batch.
fn differences_of_qemu(machine: &mut Machine<'_>, program: &Program<'_>, batch: &Batch) -> Vec<String> {
    let frame = machine.frame;
    let execute = |count: usize| {
        let cases =
            batch.cases[..count].iter().map(|case| (frame.slot_of(case.code.pc), &*case.code.bytes, &*case.before));
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
            if memory != machine.memory {
                let memories = machine.memories(batch);
                bad.push(first(&|count| execute(count).is_ok_and(|found| found[count * BLOCK..] != memories[count])));
            }
            bad
        }
    };
    if bad.is_empty() {
        return Vec::new();
    }
    let memories = machine.memories(batch);
    // One for many: each takes a run of QEMU's for each instruction.
    bad.into_iter().take(5).map(|k| culprit(machine, program, &batch.cases[k], &memories[k])).collect()
}

fn compare(name: &'static str) {
    let frame = Frame::of(name);
    let _turn = catch_faults(None);
    let Some(mut budget) = Budget::of(name, "reference", INSTRUCTIONS) else { return };
    let Some(program) = Program::new(&frame) else { return };
    let mut machine = Machine::new(&frame, memory(frame.origin + DATA, DATA_LEN, 1 << 20, false));
    while let Some((round, random)) = budget.round() {
        machine.restart(random, round % 16 == 0);
        let (batch, differ) = machine.batch(CASES);
        for text in differ.into_iter().chain(differences_of_qemu(&mut machine, &program, &batch)) {
            budget.differs(&text);
        }
        budget.executed(batch.cases.iter().map(|case| case.code.steps.len() as u64).sum());
    }
    none_differ(&budget.finish());
}

macro_rules! compare_each {
    ($($test:ident: $frame:literal,)*) => {
        const FRAMES: &[&str] = &[$($frame),*];

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
    arm_does_what_qemu_does: "arm-a32",
    thumb_does_what_qemu_does: "arm-t32",
    mips_does_what_qemu_does: "mips",
    mipsel_does_what_qemu_does: "mipsel",
    mips64_does_what_qemu_does: "mips64",
    mips64el_does_what_qemu_does: "mips64el",
}

/// Words that are looked at for one of which an exception holds.
const LOOKED_AT: usize = 300_000;

#[test]
fn every_exception_is_of_an_instruction() {
    let mut nowhere = Vec::new();
    for frame in FRAMES.iter().map(|name| Frame::of(name)) {
        let exceptions = Exception::of(frame.guest.name, frame.name);
        let words = Words::of(frame.guest, frame.mode, |name| exceptions.iter().any(|e| e.insn == name));
        let (mut random, mut left) = (Random::from_seed(1), exceptions);
        for _ in 0..LOOKED_AT {
            if left.is_empty() {
                break;
            }
            let Some(word) = words.pick(frame.mode, &mut random) else { continue };
            left.retain(|exception| exception.of_word(&word, frame.guest).is_none());
        }
        nowhere.extend(left.iter().map(|exception| format!("{}: {}", frame.name, exception.text)));
    }
    assert!(nowhere.is_empty(), "there is no such instruction in\n{}", nowhere.join("\n"));
}
