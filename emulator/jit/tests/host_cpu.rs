//! Random instructions of the guests that are the host's own kind of processor, on the host itself, on the interpreter and on
//! translated code: registers, flags and memory must agree bit for bit. 32-bit code is executed in the host's compatibility mode.
//!
//! Instructions come from the specification's `test` lines with bits flipped. What is not compared is in `host_differs.txt`, each
//! with its reason; [`undefined_flags`] tells which flags are not. `support/budget.rs` says for how long.
#![cfg(target_arch = "x86_64")]

mod support;

use std::arch::global_asm;

use ir::guest::Slot;
use ir::unit::ExitKind;
use ir::{Guest, GuestState};
use jit::{Engine, Event, Jit, JitOptions, Thread};
use support::process::{catch_faults, memory};
use support::{Budget, Code, Placed, Random, none_differ, unit_at};

/// Where the code is: low, so that 32-bit code can be there, and far from the data by a distance that displacements rarely are.
const CODE: u64 = 0x6a5b_3000;
/// Near branches, by their names in the specification.
const BRANCHES: [&str; 4] = ["jcc", "jcxz", "loop", "jmp"];
/// Data that instructions can access.
const DATA: u64 = 0x5100_0000;
const DATA_LEN: usize = 8192;
const CODE_LEN: usize = 4096;
/// States from which an instruction is executed.
const STATES: u64 = 8;
/// Instructions of a round that are tried.
const TRIED: u64 = 2048;
/// Instructions of each guest, unless the environment tells.
const INSTRUCTIONS: u64 = 60_000;
/// Where 32-bit code jumps to at its end, in 64-bit mode.
const LANDING: usize = 2048;
/// Selectors of code of both modes, and of data.
const CODE_64: u16 = 0x33;
const CODE_32: u16 = 0x23;

/// Registers as the stub below loads and stores them.
#[repr(C, align(16))]
#[derive(Clone, Copy, PartialEq)]
struct Machine {
    gpr: [u64; 16],
    flags: u64,
    /// 1 after a signal.
    signal: u64,
    xmm: [u128; 16],
    ymm_high: [u128; 16],
    mxcsr: u32,
}

// machine = rdi, code = rsi: its address and, from bit 32 on, its selector. The code jumps back through [rip] to `isamorph_host_back`; the machine is found through a
// global, for all registers are the code's. The stack pointer is the code's too: nothing may be pushed meanwhile.
global_asm!(
    ".text",
    ".globl isamorph_host_run",
    "isamorph_host_run:",
    "push rbx",
    "push rbp",
    "push r12",
    "push r13",
    "push r14",
    "push r15",
    "sub rsp, 8",
    "stmxcsr [rsp]",
    "mov [rip + isamorph_host_stack], rsp",
    "mov [rip + isamorph_host_machine], rdi",
    "mov [rip + isamorph_host_code], rsi",
    // 32-bit code needs descriptors of data.
    "mov eax, 0x2b",
    "mov ds, eax",
    "mov es, eax",
    "mov rax, rdi",
    "ldmxcsr [rax + 656]",
    "movups xmm0, [rax + 144]",
    "movups xmm1, [rax + 160]",
    "movups xmm2, [rax + 176]",
    "movups xmm3, [rax + 192]",
    "movups xmm4, [rax + 208]",
    "movups xmm5, [rax + 224]",
    "movups xmm6, [rax + 240]",
    "movups xmm7, [rax + 256]",
    "movups xmm8, [rax + 272]",
    "movups xmm9, [rax + 288]",
    "movups xmm10, [rax + 304]",
    "movups xmm11, [rax + 320]",
    "movups xmm12, [rax + 336]",
    "movups xmm13, [rax + 352]",
    "movups xmm14, [rax + 368]",
    "movups xmm15, [rax + 384]",
    "vinsertf128 ymm0, ymm0, [rax + 400], 1",
    "vinsertf128 ymm1, ymm1, [rax + 416], 1",
    "vinsertf128 ymm2, ymm2, [rax + 432], 1",
    "vinsertf128 ymm3, ymm3, [rax + 448], 1",
    "vinsertf128 ymm4, ymm4, [rax + 464], 1",
    "vinsertf128 ymm5, ymm5, [rax + 480], 1",
    "vinsertf128 ymm6, ymm6, [rax + 496], 1",
    "vinsertf128 ymm7, ymm7, [rax + 512], 1",
    "vinsertf128 ymm8, ymm8, [rax + 528], 1",
    "vinsertf128 ymm9, ymm9, [rax + 544], 1",
    "vinsertf128 ymm10, ymm10, [rax + 560], 1",
    "vinsertf128 ymm11, ymm11, [rax + 576], 1",
    "vinsertf128 ymm12, ymm12, [rax + 592], 1",
    "vinsertf128 ymm13, ymm13, [rax + 608], 1",
    "vinsertf128 ymm14, ymm14, [rax + 624], 1",
    "vinsertf128 ymm15, ymm15, [rax + 640], 1",
    "push qword ptr [rax + 128]",
    "popfq",
    "mov rcx, [rax + 8]",
    "mov rdx, [rax + 16]",
    "mov rbx, [rax + 24]",
    "mov rsp, [rax + 32]",
    "mov rbp, [rax + 40]",
    "mov rsi, [rax + 48]",
    "mov rdi, [rax + 56]",
    "mov r8, [rax + 64]",
    "mov r9, [rax + 72]",
    "mov r10, [rax + 80]",
    "mov r11, [rax + 88]",
    "mov r12, [rax + 96]",
    "mov r13, [rax + 104]",
    "mov r14, [rax + 112]",
    "mov r15, [rax + 120]",
    "mov rax, [rax]",
    "jmp fword ptr [rip + isamorph_host_code]",
    ".globl isamorph_host_back",
    "isamorph_host_back:",
    "mov [rip + isamorph_host_rax], rax",
    "mov rax, [rip + isamorph_host_machine]",
    "mov [rax + 8], rcx",
    "mov [rax + 16], rdx",
    "mov [rax + 24], rbx",
    "mov [rax + 32], rsp",
    "mov [rax + 40], rbp",
    "mov [rax + 48], rsi",
    "mov [rax + 56], rdi",
    "mov [rax + 64], r8",
    "mov [rax + 72], r9",
    "mov [rax + 80], r10",
    "mov [rax + 88], r11",
    "mov [rax + 96], r12",
    "mov [rax + 104], r13",
    "mov [rax + 112], r14",
    "mov [rax + 120], r15",
    "mov rsp, [rip + isamorph_host_stack]",
    "pushfq",
    "pop qword ptr [rax + 128]",
    "cld",
    "mov rcx, [rip + isamorph_host_rax]",
    "mov [rax], rcx",
    "stmxcsr [rax + 656]",
    "movups [rax + 144], xmm0",
    "movups [rax + 160], xmm1",
    "movups [rax + 176], xmm2",
    "movups [rax + 192], xmm3",
    "movups [rax + 208], xmm4",
    "movups [rax + 224], xmm5",
    "movups [rax + 240], xmm6",
    "movups [rax + 256], xmm7",
    "movups [rax + 272], xmm8",
    "movups [rax + 288], xmm9",
    "movups [rax + 304], xmm10",
    "movups [rax + 320], xmm11",
    "movups [rax + 336], xmm12",
    "movups [rax + 352], xmm13",
    "movups [rax + 368], xmm14",
    "movups [rax + 384], xmm15",
    "vextractf128 [rax + 400], ymm0, 1",
    "vextractf128 [rax + 416], ymm1, 1",
    "vextractf128 [rax + 432], ymm2, 1",
    "vextractf128 [rax + 448], ymm3, 1",
    "vextractf128 [rax + 464], ymm4, 1",
    "vextractf128 [rax + 480], ymm5, 1",
    "vextractf128 [rax + 496], ymm6, 1",
    "vextractf128 [rax + 512], ymm7, 1",
    "vextractf128 [rax + 528], ymm8, 1",
    "vextractf128 [rax + 544], ymm9, 1",
    "vextractf128 [rax + 560], ymm10, 1",
    "vextractf128 [rax + 576], ymm11, 1",
    "vextractf128 [rax + 592], ymm12, 1",
    "vextractf128 [rax + 608], ymm13, 1",
    "vextractf128 [rax + 624], ymm14, 1",
    "vextractf128 [rax + 640], ymm15, 1",
    "vzeroupper",
    "ldmxcsr [rsp]",
    "add rsp, 8",
    "pop r15",
    "pop r14",
    "pop r13",
    "pop r12",
    "pop rbp",
    "pop rbx",
    "ret",
    ".bss",
    ".p2align 3",
    ".globl isamorph_host_machine",
    "isamorph_host_machine: .skip 8",
    "isamorph_host_stack: .skip 8",
    "isamorph_host_code: .skip 8",
    "isamorph_host_rax: .skip 8",
    ".text",
);

unsafe extern "sysv64" {
    fn isamorph_host_run(machine: *mut Machine, code: u64);
    fn isamorph_host_back();
    static mut isamorph_host_machine: *mut Machine;
}

/// A fault of the native run: it goes on at the end of the stub, marked.
fn of_native_run(signal: i32, context: &mut libc::ucontext_t) -> bool {
    let registers = &mut context.uc_mcontext.gregs;
    let rip = registers[libc::REG_RIP as usize] as u64;
    let ours = rip.wrapping_sub(CODE) < CODE_LEN as u64;
    if ours {
        // SAFETY: that of the run under way.
        unsafe { (*isamorph_host_machine).signal = signal as u64 };
        registers[libc::REG_RIP as usize] = isamorph_host_back as *const () as i64;
        let segments = &mut registers[libc::REG_CSGSFS as usize];
        *segments = *segments & !0xffff | i64::from(CODE_64);
    }
    ours
}

/// What one instruction may do here: fall through, go to itself again, or trap; nothing that depends on the time of day or
/// on segments. Its length, or `None`.
fn straight(guest: &'static Guest, code: &[u8]) -> Option<usize> {
    let mode = guest.reset_mode();
    let insn = unit_at(guest, mode, code, CODE)?;
    let next = CODE + u64::from(insn.len);
    let name = (guest.identify)(mode, code)?;
    let is_branch = BRANCHES.contains(&name);
    let near = |target| target == next || target == CODE && !is_branch;
    let stays = insn.unit.exits.iter().all(|exit| match exit.kind {
        ExitKind::Jump => near(exit.target),
        ExitKind::Trap(trap) => trap == ir::unit::Trap::DivideByZero,
        _ => false,
    });
    let text = (guest.disassemble)(CODE, mode, code).0;
    // Code cannot be written through its own descriptor in 32-bit mode. Strings do not show their segment.
    let is_prefix = |byte: &&u8| match byte {
        0x26 | 0x2e | 0x36 | 0x3e | 0x64..=0x67 | 0xf0 | 0xf2 | 0xf3 => true,
        0x40..=0x4f => guest.address_bits == 64,
        _ => false,
    };
    let prefixes = code.iter().take_while(is_prefix);
    let segment = prefixes.filter(|byte| [0x64, 0x65].contains(byte)).count() != 0
        || ["fs:", "gs:", "[rip"].iter().any(|part| text.contains(part))
        || guest.address_bits == 32 && text.contains("cs:");
    (stays && insn.timeless(guest) && !segment).then_some(insn.len as usize)
}

/// Flags that the manual leaves undefined, for an instruction that was executed from a state: SDM 2, the section Flags
/// Affected of each.
fn undefined_flags(name: &str, text: &str, before: &Machine) -> u64 {
    const CF: u64 = 1;
    const PF: u64 = 4;
    const AF: u64 = 0x10;
    const ZF: u64 = 0x40;
    const SF: u64 = 0x80;
    const OF: u64 = 0x800;
    let count = || {
        let by = text.rsplit(", ").next().unwrap_or_default();
        if by == "cl" { before.gpr[1] } else { u64::from_str_radix(by.trim_start_matches("0x"), 16).unwrap_or(0) }
    };
    let narrow = || {
        let first = text.split([' ', ',']).nth(1).unwrap_or_default();
        if ["r8", "r9", "qword"].contains(&first) {
            64
        } else if first == "byte"
            || first.len() == 2 && first.ends_with(['l', 'h'])
            || first.ends_with('b')
            || first.ends_with("il")
            || first.ends_with("pl")
        {
            8
        } else if first == "word" || first.len() == 2 || first.ends_with('w') {
            16
        } else if first == "dword" || first.starts_with('e') || first.ends_with('d') {
            32
        } else {
            64
        }
    };
    match name {
        "alu" if ["and", "or", "xor"].iter().any(|op| text.trim_start_matches("lock ").starts_with(op)) => AF,
        "test" => AF,
        "mul" | "imul" => PF | AF | ZF | SF,
        "div" => CF | PF | AF | ZF | SF | OF,
        "andn" | "lowest_one" | "bzhi" => PF | AF,
        "bextr" => PF | AF | SF,
        "bit_test" => PF | AF | SF | OF,
        "bit_scan" => CF | PF | AF | SF | OF,
        "aaa" => PF | ZF | SF | OF,
        "daa" => OF,
        "aam" | "aad" => CF | AF | OF,
        "count" => {
            if text.starts_with("popcnt") {
                0
            } else {
                PF | AF | SF | OF
            }
        }
        "shift" | "shift_cl" | "shift_double" => {
            let width = narrow();
            let masked = count() & if width == 64 { 63 } else { 31 };
            let mut unknown = AF;
            if masked != 1 {
                unknown |= OF;
            }
            if masked >= width {
                unknown |= CF;
            }
            if name == "shift_double" && masked > width { unknown | PF | ZF | SF } else { unknown }
        }
        _ => 0,
    }
}

/// Where the guest's registers are.
struct Registers {
    guest: &'static Guest,
    gpr: [Slot; 16],
    xmm: [Slot; 16],
    ymm_high: [Slot; 16],
    /// Bit of the mode word that is set unless all of these are 0.
    ymm_used: u32,
    /// And their bits in the host's flags.
    flags: [(Slot, u32); 6],
    parity: Slot,
}

impl Registers {
    fn of(guest: &'static Guest) -> Registers {
        let slot = |name: &str| guest.slot(name).unwrap_or_else(|| panic!("no slot {name}"));
        Registers {
            guest,
            gpr: std::array::from_fn(|i| slot(&format!("gpr[{i}]"))),
            xmm: std::array::from_fn(|i| slot(&format!("xmm[{i}]"))),
            ymm_high: std::array::from_fn(|i| slot(&format!("ymm_high[{i}]"))),
            ymm_used: guest.contexts.iter().find(|context| context.name == "ymm_used").expect("a context").lo,
            flags: [("CF", 0), ("AF", 4), ("ZF", 6), ("SF", 7), ("DF", 10), ("OF", 11)]
                .map(|(name, bit)| (slot(name), bit)),
            parity: slot("pf_raw"),
        }
    }

    fn load(&self, machine: &Machine, state: &mut GuestState) {
        *state = GuestState::new(self.guest);
        let flag = |bit: u32| u128::from(machine.flags >> bit & 1);
        for i in 0..16 {
            state.set(self.guest, self.gpr[i], machine.gpr[i].into());
            state.set(self.guest, self.xmm[i], machine.xmm[i]);
            state.set(self.guest, self.ymm_high[i], machine.ymm_high[i]);
        }
        state.mode |= u32::from(machine.ymm_high != [0; 16]) << self.ymm_used;
        self.flags.iter().for_each(|&(slot, bit)| state.set(self.guest, slot, flag(bit)));
        state.set(self.guest, self.parity, 1 - flag(2));
    }

    fn store(&self, state: &GuestState) -> Machine {
        let get = |slot: Slot| state.get(self.guest, slot);
        let parity = (get(self.parity) as u8).count_ones().is_multiple_of(2);
        let flags = self.flags.iter().fold(0x202, |all, &(slot, bit)| all | (get(slot) as u64) << bit);
        Machine {
            gpr: self.gpr.map(|slot| get(slot) as u64),
            flags: flags | u64::from(parity) << 2,
            signal: 0,
            xmm: self.xmm.map(get),
            ymm_high: self.ymm_high.map(get),
            mxcsr: 0x1f80 | state.fflags & 0x3f,
        }
    }
}

fn data() -> &'static mut [u8] {
    memory(DATA, DATA_LEN, 0, false)
}

/// Puts one instruction where it is executed, then a jump to the end of the stub; the selector to execute it with.
fn put(guest: &Guest, code: &[u8]) -> u16 {
    let mut back = vec![0xff, 0x25, 0, 0, 0, 0]; // jmp [rip]
    back.extend((isamorph_host_back as *const () as u64).to_le_bytes());
    let area = memory(CODE, CODE_LEN, 0, true);
    protect_code(libc::PROT_READ | libc::PROT_WRITE);
    area[..code.len()].copy_from_slice(code);
    let selector = if guest.address_bits == 64 {
        area[code.len()..][..back.len()].copy_from_slice(&back);
        CODE_64
    } else {
        area[code.len()] = 0xea; // jmp far
        area[code.len() + 1..][..4].copy_from_slice(&(CODE as u32 + LANDING as u32).to_le_bytes());
        area[code.len() + 5..][..2].copy_from_slice(&CODE_64.to_le_bytes());
        area[LANDING..][..back.len()].copy_from_slice(&back);
        CODE_32
    };
    // A store that happens to be there faults, on the host and in our engines.
    protect_code(libc::PROT_READ | libc::PROT_EXEC);
    selector
}

fn protect_code(prot: i32) {
    // SAFETY: nothing refers to the area while it cannot be written, and nothing executes there while it can.
    assert_eq!(unsafe { libc::mprotect(CODE as *mut libc::c_void, CODE_LEN, prot) }, 0);
}

/// Executes what was put.
fn native(selector: u16, before: &Machine) -> Machine {
    let mut machine = *before;
    // SAFETY: the code is where it can be executed; the stub keeps the calling convention.
    unsafe { isamorph_host_run(&mut machine, CODE | u64::from(selector) << 32) };
    machine
}

/// The same by one of our engines; `None` after a fault.
fn ours(thread: &mut Thread, registers: &Registers, before: &Machine, len: u64) -> (Machine, Option<Event>) {
    registers.load(before, thread.state());
    thread.state().pc = CODE;
    let event = std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap();
    let state = thread.state();
    let done = matches!(event, Event::FetchFault { addr } if addr == CODE + len) && state.pc == CODE + len;
    (registers.store(state), (!done).then_some(event))
}

fn random_machine(guest: &Guest, random: &mut Random) -> Machine {
    let mut word = || match random.below(8) {
        0..=3 => DATA + DATA_LEN as u64 / 2 + random.below(1024),
        4 => random.below(70),
        5 => [0, 1, u64::MAX, 1 << 63, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff, 0x80, 0xff, 0x8000]
            [random.below(10) as usize],
        _ => random.next(),
    };
    let gpr = std::array::from_fn(|i| match guest.address_bits {
        32 if i < 8 => word() & 0xffff_ffff,
        32 => 0,
        _ => word(),
    });
    let floats = [
        0,
        1 << 63,
        0x3ff0_0000_3f80_0000,
        0x7ff0_0000_7f80_0000,
        0x7ff8_0000_7fc0_0000,
        0x7ff0_0001_7f80_0001,
        0x0000_0000_0000_0001,
        0x000f_ffff_007f_ffff,
        0x4330_0000_4b00_0000,
        0xc1e0_0000_cf00_0000,
        // offsets of what is gathered, and numbers of lanes
        0x0000_0010_0000_0008,
        0x0000_0000_0000_0040,
    ];
    let used = random.below(4) != 0;
    let mut half = || if random.below(2) == 0 { floats[random.below(12) as usize] } else { random.next() };
    let xmm = std::array::from_fn(|_| u128::from(half()) << 64 | u128::from(half()));
    let ymm_high = std::array::from_fn(|_| if used { u128::from(half()) << 64 | u128::from(half()) } else { 0 });
    Machine { gpr, flags: random.next() & 0x8d5 | 0x202, signal: 0, xmm, ymm_high, mxcsr: 0x1f80 }
}

fn differences(host: &Machine, other: &Machine, unknown: u64) -> Vec<String> {
    let mut all = Vec::new();
    for i in 0..16 {
        if host.gpr[i] != other.gpr[i] {
            all.push(format!("gpr[{i}]: host {:#x}, ours {:#x}", host.gpr[i], other.gpr[i]));
        }
        if host.xmm[i] != other.xmm[i] {
            all.push(format!("xmm[{i}]: host {:#x}, ours {:#x}", host.xmm[i], other.xmm[i]));
        }
        if host.ymm_high[i] != other.ymm_high[i] {
            all.push(format!("ymm_high[{i}]: host {:#x}, ours {:#x}", host.ymm_high[i], other.ymm_high[i]));
        }
    }
    let flags = |m: &Machine| m.flags & 0xcd5 & !unknown;
    if flags(host) != flags(other) {
        all.push(format!("flags: host {:#x}, ours {:#x} (undefined {unknown:#x})", flags(host), flags(other)));
    }
    const DENORMAL: u32 = 2;
    let exceptions = |m: &Machine| m.mxcsr & 0x3f & !DENORMAL;
    if exceptions(host) != exceptions(other) {
        all.push(format!("exceptions: host {:#x}, ours {:#x}", exceptions(host), exceptions(other)));
    }
    all
}

/// An instruction, and what is known of it.
struct Tried {
    code: Vec<u8>,
    name: &'static str,
    text: String,
    /// See [`put`].
    selector: u16,
}

/// What the manual tells of registers when an instruction faults: nothing of flags, nor, where a repeated instruction counts in
/// ECX in 64-bit mode, of the upper half of RCX before the first turn. Intel's clear it.  SDM 2, REP. Of what is gathered, the elements
/// before the one at fault are there, and their masks clear; here nothing is.  SDM 2, VGATHERDPS.
fn at_fault(machine: &Machine, tried: &Tried) -> Machine {
    let mut known = Machine { flags: 0, mxcsr: 0, ..*machine };
    if tried.text.starts_with("rep") && tried.code.contains(&0x67) {
        known.gpr[1] &= 0xffff_ffff;
    }
    if tried.name == "vgather" {
        (known.xmm, known.ymm_high) = ([0; 16], [0; 16]);
    }
    known
}

/// Our engines, the memory before an instruction, and after the host has executed it.
struct Engines {
    threads: [Box<Thread>; 2],
    memory: Vec<u8>,
    expected: Vec<u8>,
}

impl Engines {
    /// Fresh ones; allocation of registers is proven if asked for.
    fn new(guest: &'static Guest, placed: &Placed, prove: bool, random: &mut Random) -> Engines {
        let threads = [Engine::Interp, Engine::T1].map(|engine| {
            let options = JitOptions { engine, prove, ..JitOptions::default() };
            Thread::new(Jit::new(guest, Code::new(placed), options))
        });
        let memory = (0..DATA_LEN / 8).flat_map(|_| random.next().to_le_bytes()).collect();
        Engines { threads, memory, expected: vec![0; DATA_LEN] }
    }

    /// Differences of one instruction from one state, on both.
    fn compare(&mut self, registers: &Registers, tried: &Tried, before: &Machine) -> Vec<String> {
        let Tried { code, name, text, selector } = tried;
        data().copy_from_slice(&self.memory);
        let host = native(*selector, before);
        self.expected.copy_from_slice(data());
        let mut all = Vec::new();
        for (engine, thread) in ["interpreter", "translated"].iter().zip(&mut self.threads) {
            data().copy_from_slice(&self.memory);
            let (found, event) = ours(thread, registers, before, code.len() as u64);
            let mut own = Vec::new();
            match (host.signal, event) {
                (0, None) => own = differences(&host, &found, undefined_flags(name, text, before)),
                (0, Some(event)) => own.push(format!("the host completes, ours stops: {event:x?}")),
                (signal, None) => own.push(format!("the host takes signal {signal}, ours completes")),
                (_, Some(_)) => own = differences(&at_fault(&host, tried), &at_fault(&found, tried), 0),
            }
            if self.expected != data() {
                own.push("memory differs".to_owned());
            }
            if !own.is_empty() {
                let gpr = before.gpr.map(|value| format!("{value:#x}")).join(" ");
                let how = if host.signal == 0 { "completes" } else { "faults" };
                all.push(format!(
                    "{engine}: {code:02x?} {text}, which {how}\n  from {gpr}, flags {:#x}\n  {}",
                    before.flags,
                    own.join("\n  ")
                ));
            }
        }
        all
    }
}

/// Patterns of names of instructions that are not compared: `host_differs.txt` says why.
fn not_compared() -> impl Iterator<Item = &'static str> {
    let lines = include_str!("host_differs.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.flat_map(|line| {
        let [names, _, _] = line.split(" | ").collect::<Vec<_>>()[..] else {
            panic!("names | reason | section: {line}")
        };
        names.split(' ')
    })
}

fn is_like(name: &str, pattern: &str) -> bool {
    pattern.strip_suffix('*').map_or(name == pattern, |start| name.starts_with(start))
}

#[test]
fn what_is_not_compared_is_an_instruction() {
    let tests = ["x86", "x86_64"].map(|name| guests::tests(guests::ALL.by_name(name).unwrap()));
    for pattern in not_compared() {
        assert!(tests.iter().copied().flatten().any(|test| is_like(test.insn, pattern)), "no instruction {pattern}");
    }
}

/// Whether processors of Intel and AMD execute the code differently: PAUSE with REX.B, which exchanges registers on AMD's, PREFETCHW
/// of a register, which those refuse, and branches with an operand-size prefix, which there keep 16 bits of RIP.  SDM 2, Jcc; APM 3, Jcc.
fn makers_differ(name: &str, code: &[u8]) -> bool {
    if BRANCHES.contains(&name) && code.contains(&0x66) {
        return true;
    }
    match code {
        [prefixes @ .., rex @ 0x40..=0x4f, 0x90] => rex & 1 != 0 && prefixes.contains(&0xf3),
        [.., 0x0f, 0x0d, modrm] => *modrm >= 0xc0,
        _ => false,
    }
}

/// A random instruction that is compared, if one comes about.
fn random_instruction(guest: &'static Guest, random: &mut Random) -> Option<Tried> {
    let test = &guests::tests(guest)[random.below(guests::tests(guest).len() as u64) as usize];
    let mut code = test.code.to_vec();
    for _ in 0..random.below(5) {
        let bit = random.below(8 * code.len() as u64) as usize;
        code[bit / 8] ^= 1 << (bit % 8);
    }
    code.truncate(straight(guest, &code)?);
    let name = (guest.identify)(guest.reset_mode(), &code).unwrap_or_default();
    // With 16-bit operands and a count beyond 16 the result is undefined.  SDM 2, SHLD.
    let undefined = name == "shift_double" && code[0] == 0x66;
    if undefined || makers_differ(name, &code) || not_compared().any(|pattern| is_like(name, pattern)) {
        return None;
    }
    let (text, _) = (guest.disassemble)(CODE, guest.reset_mode(), &code);
    let selector = put(guest, &code);
    Some(Tried { code, name, text, selector })
}

fn compare_with_host(name: &'static str) {
    let Some(mut budget) = Budget::of(name, "reference", INSTRUCTIONS) else { return };
    let _turn = catch_faults(Some(of_native_run));
    let guest = guests::ALL.by_name(name).expect("the host's kind of guest");
    let (placed, registers) = (Placed::default(), Registers::of(guest));
    while let Some((round, mut random)) = budget.round() {
        let mut engines = Engines::new(guest, &placed, round % 16 == 0, &mut random);
        for _ in 0..TRIED {
            let Some(tried) = random_instruction(guest, &mut random) else { continue };
            *placed.write().unwrap() = (CODE, tried.code.clone());
            engines.threads.iter().for_each(|engine| engine.jit().invalidate_all());
            for _ in 0..STATES {
                let before = random_machine(guest, &mut random);
                let differ = engines.compare(&registers, &tried, &before);
                if !differ.is_empty() {
                    budget.differs(&differ.join("\n"));
                    break;
                }
            }
            budget.executed(STATES);
        }
    }
    none_differ(&budget.finish());
}

#[test]
fn instructions_do_what_the_host_does() {
    compare_with_host("x86_64");
}

#[test]
fn instructions_of_32_bits_do_what_the_host_does() {
    compare_with_host("x86");
}
