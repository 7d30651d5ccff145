//! Guest code on the translator and on the interpreter, and how their results differ.
#![allow(dead_code, unused_imports)] // each test uses a part

#[path = "random.rs"]
mod random;

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, RwLock};

use ir::guest::InsnTest;
use ir::unit::{ExitKind, UnitKey};
use ir::{Builder, Guest};
use jit::{Engine, Event, Hooks, Jit, JitOptions, MemFault, NativeFn, Thread, Trace};

pub(crate) use random::Random;

/// Fetches from a buffer that tests replace, and that starts at a guest address.
pub(crate) struct Code {
    pub(crate) at: u64,
    pub(crate) bytes: Arc<RwLock<Vec<u8>>>,
}

impl Hooks for Code {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        let code = self.bytes.read().unwrap();
        let Some(rest) = code.get(pc.wrapping_sub(self.at) as usize..) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    fn intercept(&self, _: u64) -> Option<NativeFn> {
        None
    }
}

/// Where the code is, as far as the guest knows.
pub(crate) const CODE: u64 = 0x4000_0000;
/// Data the guest can access, in the middle of a reservation it cannot: of guests with addresses of 64 bits and of 32.
pub(crate) const DATA: u64 = 0x20_0000_0000;
pub(crate) const DATA_32: u64 = 0x1234_0000;
pub(crate) const DATA_LEN: usize = 8192;
pub(crate) const AROUND: usize = 256 << 20;

pub(crate) fn data_of(guest: &Guest) -> u64 {
    if guest.address_bits == 32 { DATA_32 } else { DATA }
}

extern "C" fn on_fault(signal: i32, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: a handler's arguments; what is not the guest's ends the process.
    unsafe {
        if !jit::on_host_fault(signal, info, context.cast()) {
            libc::abort();
        }
    }
}

/// Sets up memory and the fault handler; one test at a time while the result lives.
pub(crate) fn prepare_process() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    static ONCE: Once = Once::new();
    // SAFETY: fresh memory at an address nothing uses; a handler of the type its flags ask for, on a leaked stack.
    unsafe {
        let stack = Box::leak(vec![0u8; 64 * 1024].into_boxed_slice());
        let stack = libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: stack.len() };
        libc::sigaltstack(&stack, std::ptr::null_mut());
        ONCE.call_once(|| {
            let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
            for data in [DATA, DATA_32] {
                let around = (data - (AROUND / 2) as u64) as *mut libc::c_void;
                assert_eq!(libc::mmap(around, AROUND, libc::PROT_NONE, flags, -1, 0), around);
                libc::mprotect(data as *mut libc::c_void, DATA_LEN, libc::PROT_READ | libc::PROT_WRITE);
            }
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as extern "C" fn(i32, *mut libc::siginfo_t, *mut libc::c_void) as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            for signal in [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE] {
                libc::sigaction(signal, &action, std::ptr::null_mut());
            }
        });
    }
    turn
}

/// Everything is compared, hence exact.
pub(crate) fn options(engine: Engine) -> JitOptions {
    let trace = Trace { ir: number("ENGINES_TRACE", 0) != 0, ..Trace::default() };
    JitOptions { engine, trace, exact_underflow: true, prove: true, ..JitOptions::default() }
}

pub(crate) struct Run {
    pub(crate) event: Event,
    pub(crate) slots: Vec<u128>,
    pub(crate) pc: u64,
    pub(crate) mode: u32,
    pub(crate) fflags: u32,
    pub(crate) memory: Vec<u8>,
}

pub(crate) fn data(guest: &Guest) -> &'static mut [u8] {
    // SAFETY: mapped by `prepare_process`; one test of this file uses it, one run at a time.
    unsafe { std::slice::from_raw_parts_mut(data_of(guest) as *mut u8, DATA_LEN) }
}

pub(crate) fn run(thread: &mut Thread, guest: &'static Guest, mode: u32, slots: &[u128], memory: &[u8]) -> Run {
    data(guest).copy_from_slice(memory);
    *thread.state() = ir::GuestState::new(guest);
    for (i, value) in slots.iter().enumerate() {
        thread.state().set(guest, ir::guest::Slot(i as u16), value & guest.slots[i].ty.mask());
    }
    thread.state().pc = CODE;
    thread.state().mode = mode;
    thread.jit().invalidate_all();
    // Dropping all translations interrupts.
    let event = std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap();
    let state = thread.state();
    let slots = (0..slots.len()).map(|i| state.get(guest, ir::guest::Slot(i as u16))).collect();
    Run { event, slots, pc: state.pc, mode: state.mode, fflags: state.fflags, memory: data(guest).to_vec() }
}

/// Without the direction of a fault: an atomic operation both reads and writes, and either may be what faults.
pub(crate) fn undirected(event: Event) -> Event {
    match event {
        Event::Fault(fault) => Event::Fault(MemFault { write: None, ..fault }),
        other => other,
    }
}

/// Differences between two runs, as text.
pub(crate) fn differences(guest: &Guest, interp: &Run, t1: &Run) -> Vec<String> {
    let mut all = Vec::new();
    let mut check = |what: &str, a: String, b: String| {
        if a != b {
            all.push(format!("{what}: interpreter {a}, translated {b}"));
        }
    };
    check("event", format!("{:x?}", undirected(interp.event)), format!("{:x?}", undirected(t1.event)));
    check("pc", format!("{:#x}", interp.pc), format!("{:#x}", t1.pc));
    check("mode", format!("{:#x}", interp.mode), format!("{:#x}", t1.mode));
    // Only x86 has a flag for denormal operands that are not flushed; translated code does not keep it.
    const DENORMAL: u32 = 1 << 1;
    check("fflags", format!("{:#x}", interp.fflags & !DENORMAL), format!("{:#x}", t1.fflags & !DENORMAL));
    for (i, (a, b)) in interp.slots.iter().zip(&t1.slots).enumerate() {
        check(guest.slots[i].name, format!("{a:#x}"), format!("{b:#x}"));
    }
    for (i, (a, b)) in interp.memory.iter().zip(&t1.memory).enumerate() {
        if a != b {
            check(&format!("memory {:#x}", data_of(guest) + i as u64), format!("{a:#x}"), format!("{b:#x}"));
        }
    }
    all
}

pub(crate) fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// What both engines make of words at [`CODE`], with nothing to fetch behind them.
pub(crate) fn both(guest: &'static Guest, words: &[u32]) -> Run {
    let _turn = prepare_process();
    let bytes = |w: &u32| if guest.big_endian_code { w.to_be_bytes() } else { w.to_le_bytes() };
    let code = Arc::new(RwLock::new(words.iter().flat_map(bytes).collect()));
    let slots = vec![0; guest.slots.len()];
    let [expected, found] = [Engine::Interp, Engine::T1].map(|engine| {
        let jit = Jit::new(guest, Box::new(Code { at: CODE, bytes: code.clone() }), options(engine));
        run(&mut Thread::new(jit), guest, guest.reset_mode(), &slots, &[0; DATA_LEN])
    });
    let differ = differences(guest, &expected, &found);
    assert!(differ.is_empty(), "{}: {}", guest.name, differ.join("\n"));
    found
}

/// Compares the engines on instructions that once differed: words, and slots that are not zero.
pub(crate) fn agree_on(guest: &'static Guest, words: &[u32], values: &[(&str, u128)]) {
    agree_with(options, guest, words, values);
}

pub(crate) fn agree_with(
    options: fn(Engine) -> JitOptions,
    guest: &'static Guest,
    words: &[u32],
    values: &[(&str, u128)],
) {
    let _turn = prepare_process();
    assert!(values.iter().all(|(name, _)| guest.slots.iter().any(|slot| slot.name == *name)));
    let code = words.iter().flat_map(|w| w.to_le_bytes()).chain([0; 16]).collect();
    let code = Arc::new(RwLock::new(code));
    let slots: Vec<u128> = guest
        .slots
        .iter()
        .map(|slot| values.iter().find(|(name, _)| *name == slot.name).map_or(0, |&(_, value)| value))
        .collect();
    let [expected, found] = [Engine::Interp, Engine::T1].map(|engine| {
        let options = options(engine);
        run(
            &mut Thread::new(Jit::new(guest, Box::new(Code { at: CODE, bytes: code.clone() }), options)),
            guest,
            guest.reset_mode(),
            &slots,
            &[0; DATA_LEN],
        )
    });
    let differ = differences(guest, &expected, &found);
    assert!(
        differ.is_empty(),
        "{}{}",
        disassembly(guest, guest.reset_mode(), &code.read().unwrap()),
        differ.join("\n")
    );
}

/// Runs code on an engine with these slots; the state at the first event.
pub(crate) fn run_code(
    engine: Engine,
    guest: &'static Guest,
    mode: u32,
    code: &[u8],
    values: &[(&str, u128)],
    memory: &[u8],
) -> Run {
    let code = Arc::new(RwLock::new(code.to_vec()));
    let slots: Vec<u128> = guest
        .slots
        .iter()
        .map(|slot| values.iter().find(|(name, _)| *name == slot.name).map_or(0, |&(_, value)| value))
        .collect();
    let mut thread = Thread::new(Jit::new(guest, Box::new(Code { at: CODE, bytes: code }), options(engine)));
    run(&mut thread, guest, mode, &slots, memory)
}

pub(crate) fn value(guest: &Guest, run: &Run, name: &str) -> u128 {
    run.slots[guest.slot(name).unwrap().0 as usize]
}

pub(crate) fn aarch64() -> &'static Guest {
    guests::ALL.by_name("aarch64").unwrap()
}

/// What an instruction may do in the middle of a sequence: nothing but fall through or trap, and nothing that depends on
/// the time of day. Its length and the mode after it, or `None`.
pub(crate) fn straight(guest: &'static Guest, mode: u32, code: &[u8], pc: u64) -> Option<(u32, u32)> {
    let mut padded = [0; 16];
    padded[..code.len()].copy_from_slice(code);
    let mut builder = Builder::new(guest, UnitKey { pc, mode });
    builder.begin_insn(pc);
    let ir::guest::Step::Done { len, .. } = (guest.translate)(&mut builder, pc, &padded) else { return None };
    builder.end_insn();
    let next = pc + u64::from(len);
    let mode = builder.mode();
    let unit = builder.finish(next);
    let falls = |exit: &ir::unit::Exit| {
        exit.kind == ExitKind::Jump && exit.target == next && exit.mode == mode && !exit.mode_in_state
    };
    let stays = unit.exits.iter().all(|exit| falls(exit) || matches!(exit.kind, ExitKind::Trap(_)));
    let timeless = unit.insts.iter().all(|inst| inst.op != ir::inst::Op::Helper);
    (stays && timeless && len as usize <= code.len()).then_some((len, mode))
}

/// The mode word that a test asks for.
pub(crate) fn mode_of(guest: &Guest, test: &InsnTest) -> u32 {
    let mut state = ir::GuestState::new(guest);
    state.mode = guest.reset_mode();
    test.before.iter().for_each(|(name, value)| set_by_name(guest, &mut state, name, *value));
    state.mode
}

pub(crate) fn disassembly(guest: &'static Guest, mut mode: u32, code: &[u8]) -> String {
    let mut text = format!("  mode {mode:#x}\n");
    let mut at = 0;
    while at < code.len() {
        let (line, len) = (guest.disassemble)(CODE + at as u64, mode, &code[at..]);
        let rest = &code[at..code.len().min(at + 16)];
        mode = straight(guest, mode, rest, CODE + at as u64).map_or(mode, |(_, mode)| mode);
        text += &format!(
            "  {:#x}: {:02x?} {line}\n",
            CODE + at as u64,
            &code[at..code.len().min(at + len.max(1) as usize)]
        );
        at += len.max(1) as usize;
    }
    text
}

/// Sets a slot, a context or the address by its name in the specification.
pub(crate) fn set_by_name(guest: &Guest, state: &mut ir::GuestState, name: &str, value: u128) {
    if let Some(slot) = guest.slot(name) {
        state.set(guest, slot, value);
    } else if let Some(c) = guest.contexts.iter().find(|c| c.name == name) {
        let mask = (u32::MAX >> (32 - c.width)) << c.lo;
        state.mode = state.mode & !mask | (value as u32) << c.lo & mask;
    } else {
        state.pc = value as u64;
    }
}

pub(crate) fn get_by_name(guest: &Guest, state: &ir::GuestState, name: &str) -> u128 {
    match (guest.slot(name), guest.contexts.iter().find(|c| c.name == name)) {
        (Some(slot), _) => state.get(guest, slot),
        (_, Some(c)) => (state.mode >> c.lo & u32::MAX >> (32 - c.width)).into(),
        _ => state.pc.into(),
    }
}

/// One instruction at an address of its own, and what is in its delay slot if the guest has such.
pub(crate) struct Placed {
    pub(crate) code: Arc<RwLock<(u64, Vec<u8>)>>,
    pub(crate) slots: bool,
}

impl Hooks for Placed {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        let code = self.code.read().unwrap();
        let offset = pc.wrapping_sub(code.0) as usize;
        let Some(rest) = code.1.get(offset..).filter(|_| offset == 0 || self.slots) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    fn intercept(&self, _: u64) -> Option<NativeFn> {
        None
    }
}
