//! Random instructions on the interpreter, on translated code and under QEMU's user-mode emulator, which knows nothing of
//! our specifications: registers, flags, floating-point state and memory must be the same, bit for bit.
//!
//! Batches of cases become one small program each ([`support::frame`]): every case sets all registers from a table, executes
//! one to three instructions and stores all registers. The same instructions run in this process at the same addresses.
//! `QEMU_CASES` is the number of cases of a batch, `QEMU_BATCHES` that of batches (0: endless), `QEMU_SEED` the seed,
//! `QEMU_SHOW` how many differences are shown, `QEMU_ONLY` a list of instructions, by their names in the specification. What is
//! not compared is in `qemu_differs.txt`, each with its reason.

#[path = "support/frame.rs"]
mod frame;
mod support;

use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Once, PoisonError, RwLock};

use frame::{BLOCK, CASE, Frame, OUT};
use ir::{Guest, GuestState};
use jit::{Engine, Event, Jit, JitOptions, Thread};
use support::{Code, Random, Words, number, straight};

/// Where the code is.
const CODE: u64 = 0x4000_0000;
/// Where the cases' tables and memory are.
const DATA: u64 = 0x20_0000_0000;
/// Room for cases.
const MOST: usize = 4096;

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: a handler's arguments; what is not the guest's ends the process.
    unsafe {
        if !jit::on_host_fault(signal, info, context.cast()) {
            libc::abort();
        }
    }
}

/// Maps the cases' memory and installs the fault handler.
fn prepare_process() {
    static ONCE: Once = Once::new();
    // SAFETY: fresh memory at an address nothing uses; a handler of the type its flags ask for, on a leaked stack.
    unsafe {
        let stack = Box::leak(vec![0u8; 64 * 1024].into_boxed_slice());
        let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
        libc::sigaltstack(&stack, std::ptr::null_mut());
        ONCE.call_once(|| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
            let (at, len) = (DATA as *mut libc::c_void, MOST * CASE);
            assert_eq!(libc::mmap(at, len, libc::PROT_READ | libc::PROT_WRITE, flags, -1, 0), at);
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE] {
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        });
    }
}

/// The cases' memory in this process.
fn memory(cases: usize) -> &'static mut [u8] {
    assert!(cases <= MOST);
    // SAFETY: mapped by `prepare_process`; one test at a time uses it.
    unsafe { std::slice::from_raw_parts_mut(DATA as *mut u8, cases * CASE) }
}

/// Makes the memory of the first `cases` cases accessible, and no more: a case that reaches the next ones is of no use, since
/// these do not exist yet when it is tried.
fn open_memory(cases: usize) {
    let at = |case: usize| (DATA as usize + case * CASE) as *mut libc::c_void;
    // SAFETY: our mapping, to which no reference is held.
    unsafe {
        libc::mprotect(at(0), cases * CASE, libc::PROT_READ | libc::PROT_WRITE);
        libc::mprotect(at(cases), (MOST - cases) * CASE, libc::PROT_NONE);
    }
}

/// Instructions of a case.
struct Case {
    /// Where they start.
    pc: u64,
    /// Bytes.
    code: Vec<u8>,
    /// Length of the program up to the next case.
    end: usize,
}

/// The engine under test, and what it executes.
struct Machine {
    frame: &'static Frame,
    guest: &'static Guest,
    code: Arc<RwLock<Vec<u8>>>,
    thread: Box<Thread>,
}

impl Machine {
    fn new(frame: &'static Frame, engine: Engine) -> Machine {
        let guest = guests::ALL.by_name(frame.guest).unwrap();
        let code = Arc::new(RwLock::new(Vec::new()));
        let options = JitOptions { engine, exact_underflow: true, ..JitOptions::default() };
        let thread = Thread::new(Jit::new(guest, Box::new(Code { at: CODE, bytes: code.clone() }), options));
        Machine { frame, guest, code, thread }
    }

    /// Runs case `n` from its table; stores the result there. False if it did not reach its end, or changed the register that
    /// the program needs.
    fn run(&mut self, n: usize, case: &Case) -> bool {
        let mut text = vec![0; (case.pc - CODE) as usize];
        text.extend(&case.code);
        text.extend([0; 16]); // no instruction
        *self.code.write().unwrap() = text;
        self.thread.jit().invalidate_all();
        let block = block_of(self.frame, n);
        let table = &mut memory(n + 1)[n * CASE..];
        *self.thread.state() = GuestState::new(self.guest);
        (self.frame.set)(self.guest, self.thread.state(), &table[..BLOCK], block);
        self.thread.state().pc = case.pc;
        let event = std::iter::repeat_with(|| self.thread.run()).find(|event| *event != Event::Interrupted).unwrap();
        let state = self.thread.state();
        let ended = event == Event::Trap(ir::unit::Trap::Undefined) && state.pc == case.pc + case.code.len() as u64;
        let found = (self.frame.get)(self.guest, state);
        let len = 8 * (self.frame.names)().len();
        table[OUT..OUT + len].copy_from_slice(&found[..len]);
        ended && state.get(self.guest, self.guest.slot(self.frame.base).unwrap()) == u128::from(block)
    }
}

/// What the base register holds in case `n`.
fn block_of(frame: &Frame, n: usize) -> u64 {
    DATA + n as u64 * CASE as u64 + frame.bias
}

/// Instructions that are not compared: guest, name, reason, section of the manual.
fn excluded(guest: &str) -> Vec<&'static str> {
    let lines = include_str!("qemu_differs.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines
        .filter_map(|line| {
            let fields: Vec<&str> = line.split('|').map(str::trim).collect();
            assert!(
                fields.len() == 4 && fields.iter().all(|f| !f.is_empty()),
                "guest | insn | reason | section: {line}"
            );
            (fields[0] == guest).then_some(fields[1])
        })
        .collect()
}

/// Cases, the memory they start with, and that after running them one after the other in the interpreter.
struct Batch {
    cases: Vec<Case>,
    text: Vec<u8>,
    before: Vec<u8>,
    after: Vec<u8>,
}

fn random_case(frame: &Frame, guest: &'static Guest, words: &Words, excluded: &[&str], random: &mut Random) -> Vec<u8> {
    let only = std::env::var("QEMU_ONLY").unwrap_or_default();
    let wanted = |name: &str| only.is_empty() || only.split(',').any(|o| o == name);
    let mut code = Vec::new();
    let count = 1 + random.below(3) as usize;
    let mut found = 0;
    let leaves_open = |name: &str| (0..(frame.names)().len()).any(|word| (frame.open)(name, word));
    let mut open = false;
    while found < count {
        let bytes = words.pick(random);
        let mode = guest.reset_mode();
        let Some(name) = (guest.identify)(mode, &bytes) else { continue };
        // What is left open may be read by those alone that leave it open themselves.
        let fits = !open || leaves_open(name);
        if fits && !excluded.contains(&name) && wanted(name) && straight(guest, mode, &bytes, CODE).is_some() {
            open |= leaves_open(name);
            code.extend(bytes);
            found += 1;
        }
    }
    // Whole words: what follows is aligned.
    if code.len() % 4 != 0 {
        code.extend(frame.short_nop);
    }
    code
}

/// Finds cases that run to their end in the interpreter.
fn make_batch(machine: &mut Machine, words: &Words, count: usize, random: &mut Random) -> Batch {
    let (frame, guest) = (machine.frame, machine.guest);
    let excluded = excluded(frame.guest);
    let mut batch = Batch { cases: Vec::new(), text: Vec::new(), before: Vec::new(), after: Vec::new() };
    let mut now: Vec<u8> = Vec::new();
    while batch.cases.len() < count {
        let n = batch.cases.len();
        let block = block_of(frame, n);
        let code = random_case(frame, guest, words, &excluded, random);
        let entry = (frame.enter)(block);
        let mut case = Case { end: 0, pc: CODE + (batch.text.len() + entry.len()) as u64, code };
        let start = (frame.table)(random, block);
        open_memory(n + 1);
        memory(n).copy_from_slice(&now);
        memory(n + 1)[n * CASE..].copy_from_slice(&start);
        if machine.run(n, &case) {
            now = memory(n + 1).to_vec();
            batch.before.extend(&start);
            batch.text.extend(entry);
            batch.text.extend(&case.code);
            batch.text.extend((frame.leave)(block));
            case.end = batch.text.len();
            batch.cases.push(case);
        }
    }
    batch.after = now;
    batch
}

/// Runs the program of the batch's first `count` cases under QEMU; its memory afterwards, or how it died.
fn under_qemu(frame: &Frame, batch: &Batch, count: usize) -> Result<Vec<u8>, String> {
    let mut text = batch.text[..count.checked_sub(1).map_or(0, |last| batch.cases[last].end)].to_vec();
    text.extend((frame.finish)(DATA, batch.before.len()));
    let path = std::env::temp_dir().join(format!("isamorph-{}-{}", frame.guest, std::process::id()));
    std::fs::write(&path, frame::elf(frame.machine, CODE, &text, DATA, &batch.before)).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut qemu = Command::new(frame.qemu);
    qemu.args(frame.arguments).arg(&path).stdin(Stdio::null());
    // SAFETY: a system call. Cores of the guest's whole address space take seconds to write.
    unsafe {
        qemu.pre_exec(|| {
            let none = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
            if libc::setrlimit(libc::RLIMIT_CORE, &raw const none) == 0 {
                Ok(())
            } else {
                Err(std::io::Error::last_os_error())
            }
        });
    }
    let output = qemu.output().unwrap();
    if std::env::var_os("QEMU_KEEP").is_none() {
        std::fs::remove_file(&path).unwrap();
    }
    if !output.status.success() || output.stdout.len() != batch.before.len() {
        return Err(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr)));
    }
    Ok(output.stdout)
}

/// The case that QEMU does not survive.
fn deadly(frame: &Frame, batch: &Batch) -> usize {
    let (mut survived, mut died) = (0, batch.cases.len());
    while died - survived > 1 {
        let middle = (survived + died) / 2;
        if under_qemu(frame, batch, middle).is_ok() { survived = middle } else { died = middle }
    }
    died - 1
}

/// Takes over what the manual leaves open after the case's instructions.
fn fill_open(frame: &Frame, case: &Case, expected: &[u8], found: &mut [u8]) {
    let guest = guests::ALL.by_name(frame.guest).unwrap();
    let mut at = 0;
    while at < case.code.len() {
        let name = (guest.identify)(guest.reset_mode(), &case.code[at..]).unwrap_or_default();
        for word in (0..(frame.names)().len()).filter(|&word| (frame.open)(name, word)) {
            let bytes = OUT + 8 * word..OUT + 8 * word + 8;
            found[bytes.clone()].copy_from_slice(&expected[bytes]);
        }
        at += (guest.disassemble)(case.pc + at as u64, guest.reset_mode(), &case.code[at..]).1 as usize;
    }
}

fn disassembly(frame: &Frame, case: &Case) -> String {
    let guest = guests::ALL.by_name(frame.guest).unwrap();
    let mut text = String::new();
    let mut at = 0;
    while at < case.code.len() {
        let (line, len) = (guest.disassemble)(case.pc + at as u64, guest.reset_mode(), &case.code[at..]);
        text += &format!("  {:02x?} {line}\n", &case.code[at..at + len as usize]);
        at += len as usize;
    }
    text
}

/// Differences of the memory that `who` left from the interpreter's, case by case.
fn differences(frame: &Frame, batch: &Batch, who: &str, found: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    let areas = batch.before.chunks(CASE).zip(batch.after.chunks(CASE)).zip(found.chunks(CASE));
    for (case, ((before, expected), found)) in batch.cases.iter().zip(areas) {
        let mut found = found.to_vec();
        fill_open(frame, case, expected, &mut found);
        if expected == found {
            continue;
        }
        let mut text = disassembly(frame, case);
        for (k, name) in (frame.names)().iter().enumerate() {
            let word = |area: &[u8], at: usize| u64::from_le_bytes(area[at..at + 8].try_into().unwrap());
            let (was, is, theirs) = (word(before, 8 * k), word(expected, OUT + 8 * k), word(&found, OUT + 8 * k));
            let mark = if is == theirs { "" } else { " <<<" };
            if was != is || is != theirs || text_names(&text, name) {
                text += &format!("  {name}: {was:#x}, then interpreter {is:#x}, {who} {theirs:#x}{mark}\n");
            }
        }
        let tail = expected.iter().zip(&found).enumerate().skip(OUT + BLOCK).filter(|(_, (a, b))| a != b);
        for (i, (a, b)) in tail.take(4) {
            text += &format!("  memory at {i:#x} of the case: interpreter {a:#x}, {who} {b:#x}\n");
        }
        all.push(text);
    }
    all
}

/// Whether the disassembly names the register.
fn text_names(text: &str, register: &str) -> bool {
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == register)
}

fn compare(frame: &'static Frame) {
    static TURN: Mutex<()> = Mutex::new(());
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if Command::new(frame.qemu).arg("--version").output().is_err() {
        eprintln!("no {}: {} is not compared", frame.qemu, frame.guest);
        return;
    }
    prepare_process();
    let mut random = Random(number("QEMU_SEED", 0x9e37_79b9_7f4a_7c15));
    let words = Words::of(guests::ALL.by_name(frame.guest).unwrap());
    let (cases, batches) = (number("QEMU_CASES", 250).clamp(1, MOST as u64 - 1) as usize, number("QEMU_BATCHES", 3));
    let mut interpreter = Machine::new(frame, Engine::Interp);
    let mut translator = Machine::new(frame, Engine::T1);
    let mut failures = Vec::new();
    for round in 0.. {
        if batches != 0 && round == batches || failures.len() > 200 {
            break;
        }
        let batch = make_batch(&mut interpreter, &words, cases, &mut random);
        memory(cases).copy_from_slice(&batch.before);
        for (n, case) in batch.cases.iter().enumerate() {
            translator.run(n, case);
        }
        failures.extend(differences(frame, &batch, "translated", memory(cases)));
        match under_qemu(frame, &batch, cases) {
            Ok(found) => failures.extend(differences(frame, &batch, "QEMU", &found)),
            Err(death) => {
                let case = &batch.cases[deadly(frame, &batch)];
                failures.push(format!("QEMU dies of this: {death}\n{}", disassembly(frame, case)));
            }
        }
    }
    let shown = number("QEMU_SHOW", 8) as usize;
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures[..failures.len().min(shown)].join("\n"));
}

#[test]
fn aarch64_does_what_qemu_does() {
    compare(&frame::AARCH64);
}

#[test]
fn riscv64_does_what_qemu_does() {
    compare(&frame::RISCV64);
}

#[test]
fn loongarch64_does_what_qemu_does() {
    compare(&frame::LOONGARCH64);
}
