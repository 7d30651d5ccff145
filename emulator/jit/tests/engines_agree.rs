//! Random instructions of every guest, on translated code and on the interpreter: state, memory and event must agree.
//!
//! Instructions come from the specification's own `test` lines with bits flipped, so that every row is met with many
//! operands. A sequence of them is executed from several states, on each level of the host's extensions in turn.
//! `support/budget.rs` says how long; `ENGINES_TRACE=1` prints every unit. Left out are what tells the time of day, jumps to where
//! registers say, branches with delay slots, and in the middle of a sequence what writes a mode that only the state tells then:
//! tests of their own and guest programs execute these.

#[path = "support/sequence.rs"]
mod sequence;
mod support;

use ir::Guest;
use jit::x64::Features;
use jit::{Engine, Event, Jit, JitOptions, Thread};
use sequence::{Maker, Sequence, change};
use support::engines::*;
use support::process::catch_faults;
use support::{Budget, Code, Placed, none_differ};

/// States from which a sequence is executed.
const STATES: u64 = 8;
/// Sequences of a round.
const SEQUENCES: u64 = 500;
/// Instructions of each guest, unless the environment tells.
const INSTRUCTIONS: u64 = 250_000;

/// The translator with all features of this processor, and with those of each level that it has. All invalid floating-point
/// operations trap, or some, or none.
fn levels(prove: bool) -> Vec<(&'static str, JitOptions)> {
    let levels = [("native", Features::host())].into_iter().chain(Features::LEVELS);
    let traps = |level| match level {
        "native" => u32::MAX,
        "x86-64-v3" => 0,
        _ => 3,
    };
    let options = |level, features| JitOptions {
        features: Some(features),
        prove,
        trap_invalid: traps(level),
        ..options(Engine::T1)
    };
    levels.filter(|(_, f)| f.missing().is_empty()).map(|(level, features)| (level, options(level, features))).collect()
}

/// The engines and what they have come to.
struct Engines {
    guest: &'static Guest,
    placed: Placed,
    interp: Box<Thread>,
    levels: Vec<(&'static str, Box<Thread>)>,
    expected: Run,
    found: Run,
}

impl Engines {
    /// Fresh ones; allocation of registers is proven if asked for, which takes as long as everything else.
    fn new(guest: &'static Guest, prove: bool) -> Engines {
        let placed = Placed::default();
        let thread = |options| Thread::new(Jit::new(guest, Code::new(&placed), options));
        let interp = thread(options(Engine::Interp));
        let levels = levels(prove).into_iter().map(|(level, options)| (level, thread(options))).collect();
        Engines { guest, interp, levels, expected: Run::new(guest), found: Run::new(guest), placed: placed.clone() }
    }

    /// Has all engines forget what they know, and meet `code`.
    fn place(&mut self, code: &[u8], level: usize) {
        *self.placed.write().unwrap() = (CODE, code.to_vec());
        self.interp.jit().invalidate_all();
        self.levels[level].1.jit().invalidate_all();
    }

    /// How translated code differs from the interpreter.
    fn differ(&mut self, level: usize, state: &ir::GuestState, memory: &[u8]) -> Vec<String> {
        run_into(&mut self.interp, self.guest, state, memory, &mut self.expected);
        run_into(&mut self.levels[level].1, self.guest, state, memory, &mut self.found);
        differences(self.guest, &self.expected, &self.found)
    }

    /// The instructions of a sequence without which there is no difference, what they start from, and how they differ.
    fn narrowed(&mut self, level: usize, sequence: &Sequence, state: &ir::GuestState, memory: &[u8]) -> String {
        let (guest, mut left) = (self.guest, sequence.clone());
        for index in (0..sequence.places.len()).rev() {
            let Some(shorter) = left.without(guest, index) else { continue };
            self.place(&shorter.code, level);
            if !self.differ(level, state, memory).is_empty() {
                left = shorter;
            }
        }
        self.place(&left.code, level);
        let differ = self.differ(level, state, memory).join("\n");
        let value =
            |&slot: &ir::guest::Slot| format!("{} = {:#x}", guest.slots[slot.0 as usize].name, state.get(guest, slot));
        let values: Vec<String> = left.reads.iter().map(value).collect();
        let text = disassembly(guest, left.mode, &left.code);
        format!("{}:\n{text}  from {}\n{differ}", self.levels[level].0, values.join(", "))
    }
}

/// Differences in random sequences of a guest's instructions.
fn compare(guest: &'static Guest) -> Vec<String> {
    let Some(mut budget) = Budget::of(guest.name, "interpreter", INSTRUCTIONS) else { return Vec::new() };
    let mut maker = Maker::new(guest);
    let mut memory = vec![0; DATA_LEN];
    while let Some((round, mut random)) = budget.round() {
        let mut engines = Engines::new(guest, round % 16 == 0);
        maker.restart();
        for number in 0..SEQUENCES {
            if number % 16 == 0 {
                memory.chunks_exact_mut(8).for_each(|word| word.copy_from_slice(&random.next().to_le_bytes()));
            }
            let sequence = maker.sequence(&memory, &mut random);
            let level = number as usize % engines.levels.len();
            engines.place(&sequence.code, level);
            let mut state = sequence.start.clone();
            for _ in 0..STATES {
                if !engines.differ(level, &state, &memory).is_empty() {
                    budget.differs(&engines.narrowed(level, &sequence, &state, &memory));
                    break;
                }
                budget.executed(sequence.executed(engines.expected.state.pc));
                memory.copy_from_slice(&engines.expected.memory);
                change(guest, &sequence, &mut state, &mut random);
            }
        }
    }
    budget.finish()
}

#[test]
fn translated_code_does_what_the_interpreter_does() {
    let _turn = catch_faults(None);
    none_differ(&guests::ALL.into_iter().flat_map(compare).collect::<Vec<_>>());
}

/// A flag at home whose inverse another flag becomes is loaded where its home is overwritten: into a register that the flags were of.
#[test]
fn flags_are_of_no_register_that_is_loaded_after_the_comparison() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("arm").unwrap();
    // mvns r4, #1; msrge cpsr_fsxc, #257024; vnmls.f64 d24, d9, d19; strhi r4, [r6, #8]; svc
    let code: Vec<u8> = [0xe3f2_4001u32, 0xa32f_0bfb, 0xee59_8b23, 0x8586_4008, 0xef00_0000]
        .into_iter()
        .flat_map(u32::to_le_bytes)
        .collect();
    for (_, options) in levels(true) {
        let mut both = Both::with(guest, guest.reset_mode(), code.clone(), options);
        for (carry, overflow) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
            both.agree(&[("C", carry), ("V", overflow), ("gpr[6]", data_of(guest).into())]);
        }
    }
}

/// The specification's `test` lines on translated code. Nothing can be fetched behind the instruction, or behind its delay slot,
/// in which nothing happens: that ends each.
#[test]
fn test_lines_hold_in_translated_code() {
    let _turn = catch_faults(None);
    guests::ALL.into_iter().for_each(|guest| _ = data(guest));
    let mut failures = Vec::new();
    for guest in guests::ALL {
        let code = Placed::default();
        let mut thread = Thread::new(Jit::new(
            guest,
            if guest.delay_slots { Code::new(&code) } else { Code::from_start(&code) },
            options(Engine::T1),
        ));
        for test in guests::tests(guest).iter().filter(|test| test.run) {
            let mut state = ir::GuestState::new(guest);
            test.before.iter().for_each(|(name, value)| set_by_name(guest, &mut state, name, *value));
            if test.after.contains(&("pc", state.pc.into())) {
                continue; // it would run for ever
            }
            let mut bytes = test.code.to_vec();
            if guest.delay_slots {
                bytes.extend(vec![0; guest.insn_align as usize]);
            }
            let mut event = Event::Interrupted;
            // A conditional load reads its own code, which has to be somewhere then.
            for place in [state.pc, CODE] {
                *code.write().unwrap() = (place, bytes.clone());
                state.pc = place;
                *thread.state() = state.clone();
                thread.jit().invalidate_all();
                event = std::iter::repeat_with(|| thread.run()).find(|event| *event != Event::Interrupted).unwrap();
                if !matches!(event, Event::Fault(fault) if fault.addr == place) {
                    break;
                }
            }
            let start = state.pc;
            for (name, expected) in test.after {
                let state = thread.state();
                let found = if *name == "pc" {
                    // Without a delay slot, what stands for one was executed too.
                    let slot = start + (test.code.len() + guest.insn_align as usize) as u64;
                    let passed = guest.delay_slots
                        && state.pc == slot
                        && *expected == u128::from(slot) - u128::from(guest.insn_align);
                    if passed { *expected } else { state.pc.into() }
                } else {
                    get_by_name(guest, state, name)
                };
                if found != *expected {
                    let (name, text) = (guest.name, test.text);
                    failures
                        .push(format!("{name} {} `{text}`: {found:#x}, not {expected:#x}, after {event:?}", test.at));
                }
            }
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_delay_slot_belongs_to_its_branch() {
    const NOP: u32 = 0;
    const BRANCH: u32 = 0x1000_0003; // beq zero, zero, 12 bytes behind the slot
    const LIKELY: u32 = 0x5400_0003; // bnel zero, zero: not taken, skips its slot
    const LOAD: u32 = 0x8c02_0000; // lw v0, 0(zero)
    for guest in ["mips", "mipsel", "mips64", "mips64el"].map(|name| guests::ALL.by_name(name).unwrap()) {
        let fault = both(guest, &[NOP, BRANCH, LOAD]);
        assert!(matches!(fault.event, Event::Fault(_)), "{}: {:?}", guest.name, fault.event);
        assert_eq!(fault.state.pc, CODE + 4, "{}: a fault in the slot", guest.name);
        let skipped = both(guest, &[NOP, LIKELY, LOAD]);
        assert_eq!(
            (skipped.event, skipped.state.pc),
            (Event::FetchFault { addr: CODE + 12 }, CODE + 12),
            "{}",
            guest.name
        );
        let nested = both(guest, &[NOP, BRANCH, BRANCH]);
        assert!(matches!(nested.event, Event::Trap(ir::unit::Trap::Undefined)), "{}: {:?}", guest.name, nested.event);
        assert_eq!(nested.state.pc, CODE + 4, "{}: a branch in the slot", guest.name);
        let missing = both(guest, &[NOP, BRANCH]);
        assert_eq!(
            (missing.event, missing.state.pc),
            (Event::FetchFault { addr: CODE + 8 }, CODE + 4),
            "{}",
            guest.name
        );
        // The branch is the last word of a page.
        let mut words = vec![NOP; 1023];
        words.extend([BRANCH, 0x2402_0007]); // addiu v0, zero, 7
        let parted = both(guest, &words);
        assert_eq!(parted.state.pc, CODE + 4096 + 12, "{}: a slot on the next page", guest.name);
        assert_eq!(value(guest, &parted, "gpr[2]"), 7, "{}", guest.name);
    }
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
    let guest_asked = |engine| JitOptions { engine, prove: true, ..JitOptions::default() };
    let values = [("vreg[1]", 0x0010_0000_0000_0000), ("vreg[2]", 0x3fef_ffff_ffff_ffff)];
    agree_with(guest_asked, aarch64(), &[0x1e62_0820, 0xd53b_4423], &values);
    // Also where a product was translated before: fmul d0, d1, d2; br x4; mrs x3, fpsr; fmov d1, d5; cbz x6, .+12;
    // sub x6, x6, #1; br x7, to the product of other numbers
    let code = [0x1e62_0820, 0xd61f_0080, 0xd53b_4423, 0x1e60_40a1, 0xb400_0066, 0xd100_04c6, 0xd61f_00e0];
    let [(_, least), (_, below_one)] = values;
    let numbers = [("vreg[1]", 0x3ff0_0000_0000_0000), ("vreg[2]", below_one), ("vreg[5]", least)];
    let places = [("gpr[4]", u128::from(CODE) + 8), ("gpr[6]", 1), ("gpr[7]", u128::from(CODE))];
    agree_with(guest_asked, aarch64(), &code, &[&numbers[..], &places[..]].concat());
}

#[test]
fn a_condition_that_an_earlier_exit_has_used_stays_what_it_is() {
    // cmp x0, #0x7f0; b.eq .+16; add x0, x0, #16; cmp x5, #3; cmp x0, #0x800: twice the question whether x0 was 0x7f0
    let code = [0xf11f_c01f, 0x5400_0080, 0x9100_4000, 0xf100_0cbf, 0xf120_001f];
    for x0 in [0x7f0, 0x7ef, 0] {
        agree_on(aarch64(), &code, &[("gpr[0]", x0)]);
    }
}

#[test]
fn other_one_bit_registers_go_home_when_the_flags_are_deferred() {
    // subs x23, x9, #33; msr fpsr, x0
    agree_on(aarch64(), &[0xf100_8537, 0xd51b_4420], &[("gpr[0]", 1 << 27)]);
}

#[test]
fn jumps_to_the_address_of_no_entry_fault() {
    // br x0, and blr x0, which every entry of the jump cache is empty for
    for word in [0xd61f_0000, 0xd63f_0000] {
        agree_on(aarch64(), &[word], &[("gpr[0]", u128::from(u64::MAX))]);
    }
    // jalr zero, 0(a0), to as many bytes below the end of addresses as decoders look at
    agree_on(guests::ALL.by_name("riscv64").unwrap(), &[0x0005_0067], &[("gpr[10]", u128::from(u64::MAX - 15))]);
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

/// A program in both instruction sets of AArch32 that calls itself recursively and from one to the other, and copies a string.
const ARM_CALLS: [u8; 164] = [
    // start:
    0x0c, 0x00, 0xa0, 0xe3, // mov r0, #12
    0x09, 0x00, 0x00, 0xeb, // bl fib
    0x00, 0x50, 0xa0, 0xe1, // mov r5, r0
    0x0a, 0x00, 0xa0, 0xe3, // mov r0, #10
    0x14, 0x00, 0x00, 0xfa, // blx tfib
    0x00, 0x60, 0xa0, 0xe1, // mov r6, r0
    0x40, 0x10, 0x8a, 0xe2, // add r1, r10, #64
    0x0a, 0x00, 0xa0, 0xe1, // mov r0, r10
    0x18, 0x00, 0x00, 0xfa, // blx copy
    0x0a, 0x80, 0x40, 0xe0, // sub r8, r0, r10
    0x01, 0x70, 0xa0, 0xe3, // mov r7, #1
    0x00, 0x00, 0x00, 0xef, // svc #0
    // fib:
    0x02, 0x00, 0x50, 0xe3, // cmp r0, #2
    0x1e, 0xff, 0x2f, 0xb1, // bxlt lr
    0x10, 0x40, 0x2d, 0xe9, // push {r4, lr}
    0x00, 0x40, 0xa0, 0xe1, // mov r4, r0
    0x01, 0x00, 0x40, 0xe2, // sub r0, r0, #1
    0xf9, 0xff, 0xff, 0xeb, // bl fib
    0x04, 0x00, 0x2d, 0xe5, // push {r0}
    0x02, 0x00, 0x44, 0xe2, // sub r0, r4, #2
    0xf6, 0xff, 0xff, 0xeb, // bl fib
    0x04, 0x10, 0x9d, 0xe4, // pop {r1}
    0x01, 0x00, 0x80, 0xe0, // add r0, r0, r1
    0x10, 0x80, 0xbd, 0xe8, // pop {r4, pc}
    // add:
    0x01, 0x00, 0x80, 0xe0, // add r0, r0, r1
    0x1e, 0xff, 0x2f, 0xe1, // bx lr
    // tfib:
    0x02, 0x28, // cmp r0, #2
    0xb8, 0xbf, // it lt
    0x70, 0x47, // bxlt lr
    0x10, 0xb5, // push {r4, lr}
    0x04, 0x46, // mov r4, r0
    0x01, 0x38, // subs r0, #1
    0xff, 0xf7, 0xf8, 0xff, // bl tfib
    0x01, 0xb4, // push {r0}
    0xa0, 0x1e, // subs r0, r4, #2
    0xff, 0xf7, 0xf4, 0xff, // bl tfib
    0x02, 0xbc, // pop {r1}
    0xff, 0xf7, 0xee, 0xef, // blx add
    0x10, 0xbd, // pop {r4, pc}
    // copy:
    0x11, 0xf8, 0x01, 0x2b, // ldrb r2, [r1], #1
    0x00, 0xf8, 0x01, 0x2b, // strb r2, [r0], #1
    0x6b, 0x2a, // cmp r2, #'k'
    0x0c, 0xbf, // ite eq
    0x09, 0xf1, 0x01, 0x09, // addeq r9, r9, #1
    0x0b, 0xf1, 0x01, 0x0b, // addne r11, r11, #1
    0x00, 0x2a, // cmp r2, #0
    0xf3, 0xd1, // bne copy
    0x01, 0x38, // subs r0, #1
    0x70, 0x47, // bx lr
];

#[test]
fn calls_between_instruction_sets_return_to_their_own() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("arm").unwrap();
    let mut memory = vec![0; DATA_LEN];
    memory[64..76].copy_from_slice(b"interworking");
    let values = [("gpr[10]", u128::from(DATA_32)), ("gpr[13]", u128::from(DATA_32) + DATA_LEN as u128)];
    for engine in [Engine::Interp, Engine::T1] {
        let end = run_code(engine, guest, guest.reset_mode(), &ARM_CALLS, &values, &memory);
        assert_eq!((end.event, end.state.pc, end.state.mode), (Event::Syscall, CODE + 48, 0));
        let found = ["gpr[5]", "gpr[6]", "gpr[8]", "gpr[9]", "gpr[11]", "gpr[13]"].map(|name| value(guest, &end, name));
        assert_eq!(found, [144, 55, 12, 1, 12, u128::from(DATA_32) + DATA_LEN as u128], "{engine:?}");
        assert_eq!(&end.memory[..13], b"interworking\0");
    }
}

/// A fault inside of an IT block is at its instruction, whose condition and successors ITSTATE still tells.
#[test]
fn a_fault_in_an_it_block_has_its_state() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("arm").unwrap();
    let code = [
        0x80, 0x42, // cmp r0, r0
        0x02, 0xbf, // ittt eq
        0x01, 0x21, // moveq r1, #1
        0x1a, 0x68, // ldreq r2, [r3]
        0x02, 0x21, // moveq r1, #2
    ];
    let mode = mode_of(guest, guests::tests(guest).iter().find(|t| t.code == [0x70, 0x47]).unwrap()) & 1;
    let values = [("gpr[3]", u128::from(DATA_32) - 64), ("gpr[2]", 7)];
    for engine in [Engine::Interp, Engine::T1] {
        let end = run_code(engine, guest, mode, &code, &values, &[0; DATA_LEN]);
        assert!(matches!(end.event, Event::Fault(fault) if fault.addr == DATA_32 - 64), "{:?}", end.event);
        assert_eq!((end.state.pc, end.state.mode), (CODE + 6, 1 | 0x04 << 1), "{engine:?}");
        assert_eq!(["gpr[1]", "gpr[2]", "Z"].map(|name| value(guest, &end, name)), [1, 7, 1]);
    }
}
