//! The `test` lines of the specifications: decoding, disassembly, and execution by the interpreter.

use ir::guest::{InsnTest, Step};
use ir::inst::{AtomicOp, MemAttr};
use ir::interp::{self, Env, Outcome};
use ir::unit::UnitKey;
use ir::{Builder, Guest, GuestState, Ty};
use std::fmt::Write as _;

/// Tests that touch memory give no values, so any access is a mistake. The code at an address is there: what is not loaded because
/// of a condition may be loaded from it instead.
struct Code(u64);

impl Env for Code {
    type Fault = u64;

    fn load(&mut self, addr: u64, _: Ty, _: MemAttr) -> Result<u128, u64> {
        if addr == self.0 { Ok(0) } else { Err(addr) }
    }
    fn store(&mut self, addr: u64, _: Ty, _: u128, _: MemAttr) -> Result<(), u64> {
        Err(addr)
    }
    fn rmw(&mut self, _: AtomicOp, addr: u64, _: Ty, _: u128, _: MemAttr) -> Result<u128, u64> {
        Err(addr)
    }
    fn cas(&mut self, addr: u64, _: Ty, _: u128, _: u128, _: MemAttr) -> Result<u128, u64> {
        Err(addr)
    }
    fn fence(&mut self, _: u32) {}
}

/// `pc` before, 0 if the test does not say.
fn address(test: &InsnTest) -> u64 {
    test.before.iter().find(|(name, _)| *name == "pc").map_or(0, |(_, v)| *v as u64)
}

fn write(guest: &Guest, state: &mut GuestState, name: &str, value: u128) -> Result<(), String> {
    if name == "pc" {
        state.pc = value as u64;
    } else if let Some(c) = guest.contexts.iter().find(|c| c.name == name) {
        let mask = ((1_u64 << c.width) - 1) as u32;
        state.mode = state.mode & !(mask << c.lo) | (value as u32 & mask) << c.lo;
    } else {
        let slot = guest.slot(name).ok_or_else(|| format!("no slot {name}"))?;
        state.set(guest, slot, value);
    }
    Ok(())
}

fn read(guest: &Guest, state: &GuestState, name: &str) -> Result<u128, String> {
    if name == "pc" {
        return Ok(state.pc.into());
    }
    if let Some(c) = guest.contexts.iter().find(|c| c.name == name) {
        return Ok((state.mode >> c.lo & ((1_u64 << c.width) - 1) as u32).into());
    }
    let slot = guest.slot(name).ok_or_else(|| format!("no slot {name}"))?;
    Ok(state.get(guest, slot))
}

/// Decoding and text.
fn check_text(guest: &Guest, test: &InsnTest, mode: u32) -> Result<(), String> {
    let pc = address(test);
    let (text, len) = (guest.disassemble)(pc, mode, test.code);
    if text != test.text {
        return Err(format!("disassembles to {text:?}, expected {:?}", test.text));
    }
    if len as usize != test.code.len() {
        return Err(format!("is {len} bytes long, expected {}", test.code.len()));
    }
    match (guest.identify)(mode, test.code) {
        Some(name) if name == test.insn => Ok(()),
        other => Err(format!("decodes as {other:?}, expected {}", test.insn)),
    }
}

/// Execution.
fn check_effect(guest: &Guest, test: &InsnTest, state: &mut GuestState) -> Result<(), String> {
    let pc = address(test);
    let mut b = Builder::new(guest, UnitKey { pc, mode: state.mode });
    b.begin_insn(pc);
    let Step::Done { len, .. } = (guest.translate)(&mut b, pc, test.code) else {
        return Err("is not translated".into());
    };
    b.end_insn();
    let mut next = pc + u64::from(len);
    if b.wants_slot() {
        // Nothing happens in the delay slot.
        b.begin_slot(next);
        b.set_len(guest.insn_align);
        b.end_insn();
        next += u64::from(guest.insn_align);
    }
    let unit = b.finish(next);
    match interp::run(guest, &unit, state, &mut Code(address(test))) {
        Outcome::Exit { .. } => {}
        Outcome::Fault(addr) => return Err(format!("accesses memory at {addr:#x}")),
    }
    for (name, expected) in test.after {
        let got = read(guest, state, name)?;
        if got != *expected {
            return Err(format!("{name} is {got:#x}, expected {expected:#x}\n{}", ir::print::print(&unit, guest)));
        }
    }
    Ok(())
}

fn check(guest: &Guest, test: &InsnTest) -> Result<(), String> {
    let mut state = GuestState::new(guest);
    for (name, value) in test.before {
        write(guest, &mut state, name, *value)?;
    }
    check_text(guest, test, state.mode)?;
    if test.run { check_effect(guest, test, &mut state) } else { Ok(()) }
}

#[test]
fn every_test_line_holds() {
    let mut failures = String::new();
    let mut count = 0;
    for guest in guests::ALL {
        for test in guests::tests(guest) {
            count += 1;
            if let Err(message) = check(guest, test) {
                let _ = writeln!(failures, "{} {} `{}`: {message}", guest.name, test.at, test.text);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(count > 100, "only {count} test lines were found");
}

/// Of a processor whose stores are seen in order, a barrier does something only between stores and loads.
#[test]
fn barriers_do_what_the_order_of_memory_leaves_to_them() {
    for (name, code, kept) in [
        ("x86_64", [0x0f, 0xae, 0xe8, 0x90], false), // lfence
        ("x86_64", [0x0f, 0xae, 0xf0, 0x90], true),  // mfence
        ("x86", [0x0f, 0xae, 0xf8, 0x90], false),    // sfence
        ("riscv64", [0x0f, 0x00, 0x20, 0x02], true), // fence r, r
        ("aarch64", [0xbf, 0x3a, 0x03, 0xd5], true), // dmb ishst
    ] {
        let guest = guests::ALL.by_name(name).unwrap();
        let mut b = Builder::new(guest, UnitKey { pc: 0x1000, mode: guest.reset_mode() });
        b.begin_insn(0x1000);
        let mut padded = [0; 16];
        padded[..4].copy_from_slice(&code);
        assert!(matches!((guest.translate)(&mut b, 0x1000, &padded), Step::Done { .. }), "{name} {code:x?}");
        b.end_insn();
        let fences = b.finish(0x1004).insts.iter().filter(|inst| inst.op == ir::inst::Op::Fence).count();
        assert_eq!(fences == 1, kept, "{name} {code:x?}");
    }
}
