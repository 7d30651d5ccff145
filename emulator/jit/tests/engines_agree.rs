//! Random instructions of every guest, on translated code and on the interpreter: state, memory and event must agree.
//!
//! Instructions come from the specification's own `test` lines with bits flipped, so that every row is met with many
//! operands. `ENGINES_ROUNDS` sets the number of rounds, `ENGINES_SEED` the seed, `ENGINES_SHOW` how many differences are shown;
//! `ENGINES_TRACE=1` prints every unit.

use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError, RwLock};

use ir::unit::{ExitKind, UnitKey};
use ir::{Builder, Guest};
use jit::{Engine, Event, Hooks, Jit, JitOptions, MemFault, NativeFn, Thread, Trace};

/// Where the code is, as far as the guest knows.
const CODE: u64 = 0x4000_0000;
/// Data the guest can access, in the middle of a reservation it cannot.
const DATA: u64 = 0x20_0000_0000;
const DATA_LEN: usize = 8192;
const AROUND: usize = 256 << 20;

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    fn below(&mut self, n: u64) -> u64 {
        self.next() % n
    }
}

/// Fetches from a buffer that is replaced each round.
struct Code(Arc<RwLock<Vec<u8>>>);

impl Hooks for Code {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        let code = self.0.read().unwrap();
        let Some(rest) = code.get(pc.wrapping_sub(CODE) as usize..) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    fn intercept(&self, _: u64) -> Option<NativeFn> {
        None
    }
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
fn prepare_process() -> MutexGuard<'static, ()> {
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
            let around = (DATA - (AROUND / 2) as u64) as *mut libc::c_void;
            assert_eq!(libc::mmap(around, AROUND, libc::PROT_NONE, flags, -1, 0), around);
            libc::mprotect(DATA as *mut libc::c_void, DATA_LEN, libc::PROT_READ | libc::PROT_WRITE);
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

/// What an instruction may do in the middle of a sequence: nothing but fall through or trap, and nothing that depends on
/// the time of day. Its length, or `None`.
fn straight(guest: &'static Guest, mode: u32, code: &[u8], pc: u64) -> Option<u32> {
    let mut padded = [0; 16];
    padded[..code.len()].copy_from_slice(code);
    let mut builder = Builder::new(guest, UnitKey { pc, mode });
    builder.begin_insn(pc);
    let ir::guest::Step::Done { len, .. } = (guest.translate)(&mut builder, pc, &padded) else { return None };
    builder.end_insn();
    let next = pc + u64::from(len);
    let same_mode = builder.mode() == mode;
    let unit = builder.finish(next);
    let falls = |kind, target| matches!(kind, ExitKind::Jump) && target == next;
    let stays = unit.exits.iter().all(|exit| falls(exit.kind, exit.target) || matches!(exit.kind, ExitKind::Trap(_)));
    let timeless = unit.insts.iter().all(|inst| inst.op != ir::inst::Op::Helper);
    (stays && timeless && same_mode && len as usize <= code.len()).then_some(len)
}

/// A few random instructions that run one after the other, then bytes that trap.
fn random_code(guest: &'static Guest, random: &mut Random) -> Vec<u8> {
    let mut code = Vec::new();
    let count = 1 + random.below(20);
    for _ in 0..count {
        for _attempt in 0..50 {
            let mut bytes = guest.tests[random.below(guest.tests.len() as u64) as usize].code.to_vec();
            for _ in 0..random.below(6) {
                let bit = random.below(8 * bytes.len() as u64) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            if let Some(len) = straight(guest, guest.reset_mode(), &bytes, CODE + code.len() as u64) {
                code.extend(&bytes[..len as usize]);
                break;
            }
        }
    }
    code.extend([0; 16]);
    code
}

/// Register values: pointers into the data, small numbers, patterns of floating-point interest, anything.
fn random_value(random: &mut Random) -> u128 {
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
        0..=2 => DATA + DATA_LEN as u64 / 2 + (random.below(2048) & !7),
        3 => random.below(300),
        4 => specials[random.below(12) as usize],
        5 => 0xffff_ffff_0000_0000 | random.next(), // NaN-boxed
        6 => f64::from(random.next() as i32).to_bits(),
        _ => random.next() | 0x00f0_0000_0000_0000, // no address
    };
    u128::from(word()) << 64 | u128::from(word())
}

/// Everything is compared, hence exact.
fn options(engine: Engine) -> JitOptions {
    let trace = Trace { ir: number("ENGINES_TRACE", 0) != 0, ..Trace::default() };
    JitOptions { engine, trace, exact_underflow: true, ..JitOptions::default() }
}

struct Run {
    event: Event,
    slots: Vec<u128>,
    pc: u64,
    mode: u32,
    fflags: u32,
    memory: Vec<u8>,
}

fn data() -> &'static mut [u8] {
    // SAFETY: mapped by `prepare_process`; one test of this file uses it, one run at a time.
    unsafe { std::slice::from_raw_parts_mut(DATA as *mut u8, DATA_LEN) }
}

fn run(thread: &mut Thread, guest: &'static Guest, slots: &[u128], memory: &[u8]) -> Run {
    data().copy_from_slice(memory);
    *thread.state() = ir::GuestState::new(guest);
    for (i, value) in slots.iter().enumerate() {
        thread.state().set(guest, ir::guest::Slot(i as u16), value & guest.slots[i].ty.mask());
    }
    thread.state().pc = CODE;
    thread.jit().invalidate_all();
    // Dropping all translations interrupts.
    let event = std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap();
    let state = thread.state();
    let slots = (0..slots.len()).map(|i| state.get(guest, ir::guest::Slot(i as u16))).collect();
    Run { event, slots, pc: state.pc, mode: state.mode, fflags: state.fflags, memory: data().to_vec() }
}

/// Without the direction of a fault: an atomic operation both reads and writes, and either may be what faults.
fn undirected(event: Event) -> Event {
    match event {
        Event::Fault(fault) => Event::Fault(MemFault { write: None, ..fault }),
        other => other,
    }
}

/// Differences between two runs, as text.
fn differences(guest: &Guest, interp: &Run, t1: &Run) -> Vec<String> {
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
            check(&format!("memory {:#x}", DATA + i as u64), format!("{a:#x}"), format!("{b:#x}"));
        }
    }
    all
}

fn disassembly(guest: &Guest, code: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at + 16 < code.len() {
        let (line, len) = (guest.disassemble)(CODE + at as u64, guest.reset_mode(), &code[at..]);
        text += &format!("  {:#x}: {:02x?} {line}\n", CODE + at as u64, &code[at..at + len.max(1) as usize]);
        at += len.max(1) as usize;
    }
    text
}

fn number(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn translated_code_does_what_the_interpreter_does() {
    let _turn = prepare_process();
    let rounds = number("ENGINES_ROUNDS", 3000);
    let mut random = Random(number("ENGINES_SEED", 0x1234_5678_9abc_def1));
    let mut failures = Vec::new();
    for guest in guests::ALL {
        let code = Arc::new(RwLock::new(Vec::new()));
        let [mut interp, mut t1] = [Engine::Interp, Engine::T1].map(|engine| {
            let options = options(engine);
            Thread::new(Jit::new(guest, Box::new(Code(code.clone())), options))
        });
        for round in 0..rounds {
            *code.write().unwrap() = random_code(guest, &mut random);
            let slots: Vec<u128> = guest.slots.iter().map(|_| random_value(&mut random)).collect();
            let memory: Vec<u8> = (0..DATA_LEN / 8).flat_map(|_| random.next().to_le_bytes()).collect();
            let expected = run(&mut interp, guest, &slots, &memory);
            let found = run(&mut t1, guest, &slots, &memory);
            let differ = differences(guest, &expected, &found);
            if !differ.is_empty() {
                let text = disassembly(guest, &code.read().unwrap());
                failures.push(format!("{} round {round}:\n{text}{}", guest.name, differ.join("\n")));
            }
        }
    }
    let shown = number("ENGINES_SHOW", 5) as usize;
    assert!(failures.is_empty(), "{} differ\n{}", failures.len(), failures[..failures.len().min(shown)].join("\n\n"));
}

/// Compares the engines on instructions that once differed: words, and slots that are not zero.
fn agree_on(guest: &'static Guest, words: &[u32], values: &[(&str, u128)]) {
    agree_with(options, guest, words, values);
}

fn agree_with(options: fn(Engine) -> JitOptions, guest: &'static Guest, words: &[u32], values: &[(&str, u128)]) {
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
        run(&mut Thread::new(Jit::new(guest, Box::new(Code(code.clone())), options)), guest, &slots, &[0; DATA_LEN])
    });
    let differ = differences(guest, &expected, &found);
    assert!(differ.is_empty(), "{}{}", disassembly(guest, &code.read().unwrap()), differ.join("\n"));
}

fn aarch64() -> &'static Guest {
    guests::by_name("aarch64").unwrap()
}

#[test]
fn a_flag_outlives_the_register_it_is_of() {
    agree_on(aarch64(), &[0xfa1f_014b, 0x5ac0_09aa, 0xdac0_108e, 0x0b24_5d4c], &[("gpr[10]", 0x4000_04b0)]);
}

#[test]
fn a_lane_in_a_wider_register_is_zero_above() {
    // mov s0, v1.s[1]; usqadd v0.8b, v1.8b
    agree_on(aarch64(), &[0x5e0c_0420, 0x2e20_3820], &[("vreg[1]", 0x87_0000_0020_0000_1148)]);
    // fnmul s0, s1, s2; usqadd v0.8b, v1.8b: also when the operands' registers are read as a whole
    let values = [("vreg[1]", 0x87_0000_0020_4000_0000), ("vreg[2]", 0x40_3f80_0000)];
    agree_on(aarch64(), &[0x6e61_1c21, 0x1e22_8820, 0x2e20_3820], &values);
    // fmulx s0, s1, v2.s[1] raises nothing for the signalling NaN in v2.s[2]
    let values = [("vreg[1]", 0x3f80_0000), ("vreg[2]", 0x7f80_0001_3f80_0000_3f80_0000)];
    agree_on(aarch64(), &[0x7fa2_9020], &values);
}

#[test]
fn underflow_is_seen_before_rounding_once_the_guest_looks() {
    // fmul d0, d1, d2; mrs x3, fpsr
    let guest_asked = |engine| JitOptions { engine, ..JitOptions::default() };
    let values = [("vreg[1]", 0x0010_0000_0000_0000), ("vreg[2]", 0x3fef_ffff_ffff_ffff)];
    agree_with(guest_asked, aarch64(), &[0x1e62_0820, 0xd53b_4423], &values);
}

#[test]
fn other_one_bit_registers_go_home_when_the_flags_are_deferred() {
    // subs x23, x9, #33; msr fpsr, x0
    agree_on(aarch64(), &[0xf100_8537, 0xd51b_4420], &[("gpr[0]", 1 << 27)]);
}

#[test]
fn the_top_byte_of_pointers_is_ignored() {
    const TAG: u128 = 0x5a << 56;
    let (p, other) = (TAG | u128::from(DATA + 256), 0xa5 << 56 | u128::from(DATA + 512));
    let values = [("gpr[1]", p), ("gpr[2]", other), ("gpr[3]", 7), ("gpr[4]", TAG | u128::from(CODE + 36))];
    let code = [
        0xf840_8420, // ldr x0, [x1], #8
        0xa9bf_0c40, // stp x0, x3, [x2, #-16]!
        0x3dc0_0020, // ldr q0, [x1]
        0xf823_0025, // ldadd x3, x5, [x1]
        0x4c00_a041, // st1 {v1.16b, v2.16b}, [x2]
        0xc85f_7c46, // ldxr x6, [x2]
        0x9240_dc47, // and x7, x2, #0xffffffffffffff
        0xc808_7ce3, // stxr w8, x3, [x7]: the same address, untagged
        0xd61f_0080, // br x4, to the next but untagged
        0xb940_0029, // ldr w9, [x1]
    ];
    agree_on(aarch64(), &code, &values);
    // Where it is not mapped, the fault has no tag.
    agree_on(aarch64(), &[0xf840_0020], &[("gpr[1]", TAG | 0x10_0000)]);
    // A loop meets each of them once and then goes on without faults: ldr x0, [x1]; subs x3, x3, #1; b.ne .-8
    agree_on(aarch64(), &[0xf940_0020, 0xf100_0463, 0x54ff_ffc1], &[("gpr[1]", p), ("gpr[3]", 100_000)]);
}
