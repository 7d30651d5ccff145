//! Guest code on the translator and on the interpreter, and how their results differ.

use std::sync::{Arc, Once, RwLock};

use ir::Guest;
use ir::guest::InsnTest;
use jit::{Engine, Event, Jit, JitOptions, MemFault, Thread, Trace};

use super::process::{catch_faults, memory};
use super::{Code, Placed, number, straight};

/// Where the code is, as far as the guest knows.
pub(crate) const CODE: u64 = 0x4000_0000;
/// Data the guest can access, in the middle of a reservation it cannot: of guests with addresses of 64 bits and of 32.
pub(crate) const DATA: u64 = 0x20_0000_0000;
pub(crate) const DATA_32: u64 = 0x1234_0000;
pub(crate) const DATA_LEN: usize = 8192;
pub(crate) const AROUND: usize = 128 << 20;

pub(crate) fn data_of(guest: &Guest) -> u64 {
    if guest.address_bits == 32 { DATA_32 } else { DATA }
}

/// The mode word that a test asks for.
pub(crate) fn mode_of(guest: &Guest, test: &InsnTest) -> u32 {
    let mut state = ir::GuestState::new(guest);
    state.mode = guest.reset_mode();
    test.before.iter().for_each(|(name, value)| set_by_name(guest, &mut state, name, *value));
    state.mode
}

/// Everything is compared, hence exact.
pub(crate) fn options(engine: Engine) -> JitOptions {
    let trace = Trace { ir: number("ENGINES_TRACE", 0) != 0, ..Trace::default() };
    JitOptions { engine, trace, exact_underflow: true, prove: true, ..JitOptions::default() }
}

pub(crate) struct Run {
    pub(crate) event: Event,
    pub(crate) state: ir::GuestState,
    pub(crate) memory: Vec<u8>,
}

impl Run {
    /// Of nothing.
    pub(crate) fn new(guest: &Guest) -> Run {
        Run { event: Event::Interrupted, state: ir::GuestState::new(guest), memory: vec![0; DATA_LEN] }
    }
}

/// The same code on the interpreter and on the translator.
pub(crate) struct Both {
    guest: &'static Guest,
    mode: u32,
    exact: bool,
    threads: [Box<Thread>; 2],
}

impl Both {
    /// In a mode; `exact` with flags that are the guest's, which are compared then.
    pub(crate) fn new(guest: &'static Guest, mode: u32, code: Vec<u8>, exact: bool) -> Both {
        Both::with(guest, mode, code, JitOptions { exact_underflow: exact, ..options(Engine::T1) })
    }

    /// With these options of the translator.
    pub(crate) fn with(guest: &'static Guest, mode: u32, code: Vec<u8>, translator: JitOptions) -> Both {
        let placed = placed(code);
        let exact = translator.exact_underflow;
        let interpreter = JitOptions { exact_underflow: exact, ..options(Engine::Interp) };
        let threads =
            [interpreter, translator].map(|options| Thread::new(Jit::new(guest, Code::new(&placed), options)));
        Both { guest, mode, exact, threads }
    }

    /// Panics unless both do the same from these values of slots.
    pub(crate) fn agree(&mut self, values: &[(&str, u128)]) {
        let state = state_of(self.guest, self.mode, &slots_of(self.guest, values));
        let [expected, mut found] =
            self.threads.each_mut().map(|thread| run_from(thread, self.guest, &state, &[0; DATA_LEN]));
        if !self.exact {
            found.state.fflags = expected.state.fflags;
        }
        let differ = differences(self.guest, &expected, &found);
        assert!(differ.is_empty(), "{values:x?} in mode {:x}: {}", self.mode, differ.join("\n"));
    }
}

/// Conditional loads read their own code, whether it is fetched from there or not.
const CODE_LEN: usize = 1 << 16;

pub(crate) fn data(guest: &Guest) -> &'static mut [u8] {
    static ONCE: Once = Once::new();
    // What one run writes there the next would read.
    ONCE.call_once(|| {
        let start = memory(CODE, CODE_LEN, 0, false).as_mut_ptr();
        // SAFETY: nobody has a reference to it.
        assert_eq!(unsafe { libc::mprotect(start.cast(), CODE_LEN, libc::PROT_READ) }, 0);
    });
    memory(data_of(guest), DATA_LEN, AROUND, false)
}

/// The state at [`CODE`] with these values of the slots.
pub(crate) fn state_of(guest: &Guest, mode: u32, slots: &[u128]) -> ir::GuestState {
    let mut state = ir::GuestState::new(guest);
    for (i, value) in slots.iter().enumerate() {
        state.set(guest, ir::guest::Slot(i as u16), value & guest.slots[i].ty.mask());
    }
    state.pc = CODE;
    state.mode = mode;
    state
}

/// Runs from a state to the first event, which dropped translations are none.
pub(crate) fn run_from(thread: &mut Thread, guest: &'static Guest, state: &ir::GuestState, memory: &[u8]) -> Run {
    let mut run = Run::new(guest);
    run_into(thread, guest, state, memory, &mut run);
    run
}

/// The same, into memory that is there.
pub(crate) fn run_into(
    thread: &mut Thread,
    guest: &'static Guest,
    state: &ir::GuestState,
    memory: &[u8],
    run: &mut Run,
) {
    let data = data(guest);
    data.copy_from_slice(memory);
    thread.state().clone_from(state);
    run.event = std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap();
    run.state.clone_from(thread.state());
    run.memory.copy_from_slice(data);
}

pub(crate) fn run(thread: &mut Thread, guest: &'static Guest, mode: u32, slots: &[u128], memory: &[u8]) -> Run {
    thread.jit().invalidate_all();
    run_from(thread, guest, &state_of(guest, mode, slots), memory)
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
    let (a, b) = (&interp.state, &t1.state);
    if undirected(interp.event) != undirected(t1.event) {
        check("event", format!("{:x?}", undirected(interp.event)), format!("{:x?}", undirected(t1.event)));
    }
    // Only x86 has a flag for denormal operands that are not flushed; translated code does not keep it.
    const DENORMAL: u32 = 1 << 1;
    let words = |state: &ir::GuestState| (state.pc, state.mode, state.fflags & !DENORMAL);
    if words(a) != words(b) {
        check("pc, mode, fflags", format!("{:x?}", words(a)), format!("{:x?}", words(b)));
    }
    if a.slots != b.slots {
        for (i, slot) in guest.slots.iter().enumerate() {
            let [a, b] = [a, b].map(|state| state.get(guest, ir::guest::Slot(i as u16)));
            check(slot.name, format!("{a:#x}"), format!("{b:#x}"));
        }
    }
    if interp.memory != t1.memory {
        for (i, (a, b)) in interp.memory.iter().zip(&t1.memory).enumerate() {
            check(&format!("memory {:#x}", data_of(guest) + i as u64), format!("{a:#x}"), format!("{b:#x}"));
        }
    }
    all
}

pub(crate) fn placed(code: Vec<u8>) -> Placed {
    Arc::new(RwLock::new((CODE, code)))
}

/// What both engines make of words at [`CODE`], with nothing to fetch behind them.
pub(crate) fn both(guest: &'static Guest, words: &[u32]) -> Run {
    let _turn = catch_faults(None);
    let bytes = |w: &u32| if guest.big_endian_code { w.to_be_bytes() } else { w.to_le_bytes() };
    let code = placed(words.iter().flat_map(bytes).collect());
    let slots = vec![0; guest.slots.len()];
    let [expected, found] = [Engine::Interp, Engine::T1].map(|engine| {
        let jit = Jit::new(guest, Code::new(&code), options(engine));
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
    let _turn = catch_faults(None);
    let code = words.iter().flat_map(|w| w.to_le_bytes()).chain([0; 16]).collect();
    let code = placed(code);
    let slots = slots_of(guest, values);
    let [expected, found] = [Engine::Interp, Engine::T1].map(|engine| {
        let options = options(engine);
        run(
            &mut Thread::new(Jit::new(guest, Code::new(&code), options)),
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
        disassembly(guest, guest.reset_mode(), &code.read().unwrap().1),
        differ.join("\n")
    );
}

pub(crate) fn disassembly(guest: &'static Guest, mut mode: u32, code: &[u8]) -> String {
    let mut text = format!("  mode {mode:#x}\n");
    let mut at = 0;
    while at < code.len() {
        let (line, len) = (guest.disassemble)(CODE + at as u64, mode, &code[at..]);
        let rest = &code[at..code.len().min(at + 16)];
        mode = straight(guest, mode, rest, CODE + at as u64).and_then(|insn| insn.mode).unwrap_or(mode);
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

/// The mode word at the start, with these values of its parts.
pub(crate) fn mode_with(guest: &Guest, parts: &[(&str, u128)]) -> u32 {
    let mut state = ir::GuestState::new(guest);
    state.mode = guest.reset_mode();
    parts.iter().for_each(|(part, value)| set_by_name(guest, &mut state, part, *value));
    state.mode
}

pub(crate) fn get_by_name(guest: &Guest, state: &ir::GuestState, name: &str) -> u128 {
    match (guest.slot(name), guest.contexts.iter().find(|c| c.name == name)) {
        (Some(slot), _) => state.get(guest, slot),
        (_, Some(c)) => (state.mode >> c.lo & u32::MAX >> (32 - c.width)).into(),
        _ => state.pc.into(),
    }
}

pub(crate) fn value(guest: &Guest, run: &Run, name: &str) -> u128 {
    run.state.get(guest, guest.slot(name).unwrap())
}

pub(crate) fn aarch64() -> &'static Guest {
    guests::ALL.by_name("aarch64").unwrap()
}

/// Values of all slots: those of the named ones, zeros in the others.
pub(crate) fn slots_of(guest: &Guest, values: &[(&str, u128)]) -> Vec<u128> {
    assert!(values.iter().all(|(name, _)| guest.slot(name).is_some()));
    let value = |slot: &ir::guest::SlotDesc| values.iter().find(|(name, _)| *name == slot.name).map_or(0, |v| v.1);
    guest.slots.iter().map(value).collect()
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
    let mut thread = Thread::new(Jit::new(guest, Code::new(&placed(code.to_vec())), options(engine)));
    run(&mut thread, guest, mode, &slots_of(guest, values), memory)
}
