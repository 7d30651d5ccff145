//! Corner cases where translators of this kind have gone wrong, each with the answer that the guest's manual gives; both engines
//! must give it. `tests/traps.md` says which mistake each is about.

mod support;

use ir::Guest;
use ir::unit::Trap;
use jit::{Engine, Event, Jit, Thread};
use support::Code;
use support::engines::*;
use support::process::catch_faults;

/// Runs `code` on both engines, which must agree, from the reset mode with memory of zeros and these slots.
fn run_both(guest: &'static Guest, code: &[u8], values: &[(&str, u128)]) -> Run {
    run_both_in(guest, guest.reset_mode(), code, values, &[0; DATA_LEN])
}

fn run_both_in(guest: &'static Guest, mode: u32, code: &[u8], values: &[(&str, u128)], memory: &[u8]) -> Run {
    let [expected, found] =
        [Engine::Interp, Engine::T1].map(|engine| run_code(engine, guest, mode, code, values, memory));
    let differ = differences(guest, &expected, &found);
    assert!(differ.is_empty(), "{}\n{}", disassembly(guest, mode, code), differ.join("\n"));
    found
}

fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|w| w.to_le_bytes()).collect()
}

fn guest(name: &str) -> &'static Guest {
    guests::ALL.by_name(name).unwrap()
}

fn fault_address(run: &Run) -> u64 {
    let Event::Fault(fault) = run.event else { panic!("no fault: {:?}", run.event) };
    fault.addr
}

/// While it lives, the second page of the data can only be read.
struct ReadOnly(u64);

impl ReadOnly {
    fn page_of(guest: &Guest) -> ReadOnly {
        let page = data(guest).as_ptr() as u64 + DATA_LEN as u64 / 2;
        protect(page, libc::PROT_READ);
        ReadOnly(page)
    }
}

impl Drop for ReadOnly {
    fn drop(&mut self) {
        protect(self.0, libc::PROT_READ | libc::PROT_WRITE);
    }
}

fn protect(page: u64, protection: i32) {
    // SAFETY: the second page of the tests' data.
    assert_eq!(unsafe { libc::mprotect(page as *mut libc::c_void, DATA_LEN / 2, protection) }, 0);
}

#[test]
fn an_instruction_on_two_pages_faults_at_the_second() {
    let _turn = catch_faults(None);
    // c.nop and the first half of addi; nop and the first half of mov eax, imm32
    for (name, code, pc) in [("riscv64", &[0x01, 0x00, 0x13, 0x05][..], 2), ("x86_64", &[0x90, 0xb8, 1, 0], 1)] {
        let end = run_both(guest(name), code, &[]);
        assert_eq!(
            (end.event, end.state.pc),
            (Event::FetchFault { addr: CODE + code.len() as u64 }, CODE + pc),
            "{name}"
        );
    }
}

#[test]
fn flags_survive_the_way_back_from_a_call() {
    let _turn = catch_faults(None);
    let code = words(&[
        0x9400_0005, // bl f
        0x9a83_1463, // cinc x3, x3, eq
        0xf100_0484, // subs x4, x4, #1
        0x54ff_ffa1, // b.ne .-12
        0xd400_0001, // svc #0
        0xf100_141f, // f: cmp x0, #5
        0xd65f_03c0, // ret
    ]);
    for (x0, expected) in [(5, 1000), (6, 0)] {
        let end = run_both(guest("aarch64"), &code, &[("gpr[0]", x0), ("gpr[4]", 1000)]);
        assert_eq!((end.event, value(guest("aarch64"), &end, "gpr[3]")), (Event::Syscall, expected));
    }
}

#[test]
fn returns_without_calls_find_their_way() {
    let _turn = catch_faults(None);
    let code = words(&[
        0x1000_005e, // adr x30, .+8
        0xd65f_03c0, // ret
        0xf100_0484, // subs x4, x4, #1
        0x54ff_ffa1, // b.ne .-12
        0xd400_0001, // svc #0
    ]);
    let end = run_both(guest("aarch64"), &code, &[("gpr[4]", 100_000)]);
    assert_eq!((end.event, end.state.pc), (Event::Syscall, CODE + 20));
}

#[test]
fn sticky_flags_of_dead_results_are_raised() {
    let _turn = catch_faults(None);
    let guest = guest("aarch64");
    // fdiv d0, d1, d2; fmov d0, d3; mrs x3, fpsr
    let code = words(&[0x1e62_1820, 0x1e60_4060, 0xd53b_4423]);
    let end = run_both(guest, &code, &[("vreg[1]", 0x3ff0_0000_0000_0000)]);
    assert_eq!(value(guest, &end, "gpr[3]"), 1 << 1, "division by zero");
    // sqadd v0.16b, v4.16b, v4.16b; movi v0.16b, #0; mrs x3, fpsr
    let code = words(&[0x4e24_0c80, 0x4f00_e400, 0xd53b_4423]);
    let end = run_both(guest, &code, &[("vreg[4]", 0x7f)]);
    assert_eq!(value(guest, &end, "gpr[3]"), 1 << 27, "saturation");
}

#[test]
fn a_comparison_that_fails_writes_all_the_same() {
    let _turn = catch_faults(None);
    let guest = guest("x86_64");
    let page = DATA + DATA_LEN as u64 / 2;
    let _read_only = ReadOnly::page_of(guest);
    // cmpxchg [rdi], ecx, with and without lock; the memory has 0
    for code in [&[0x0f, 0xb1, 0x0f][..], &[0xf0, 0x0f, 0xb1, 0x0f]] {
        // What is stored back is what was there: memory is not filled meanwhile.
        let values = [("gpr[7]", page.into()), ("gpr[0]", 0x5_0000_0005), ("gpr[1]", 9)];
        for engine in [Engine::Interp, Engine::T1] {
            let end = in_place(engine, guest, code, &values);
            assert_eq!((fault_address(&end), end.state.pc), (page, CODE), "{engine:?}");
            assert_eq!(value(guest, &end, "gpr[0]"), 0x5_0000_0005, "{engine:?}: the accumulator waits for the write");
        }
    }
}

#[test]
fn exclusive_loads_of_two_words_do_not_write() {
    let _turn = catch_faults(None);
    let guest = guest("aarch64");
    let _read_only = ReadOnly::page_of(guest);
    let page = u128::from(DATA) + DATA_LEN as u128 / 2;
    // ldxp x0, x1, [x2]; ldaxp x3, x4, [x2]; ldar x5, [x2]; svc #0
    let code = words(&[0xc87f_0440, 0xc87f_9043, 0xc8df_fc45, 0xd400_0001]);
    for engine in [Engine::Interp, Engine::T1] {
        let end = in_place(engine, guest, &code, &[("gpr[2]", page), ("gpr[0]", 7)]);
        assert_eq!((end.event, value(guest, &end, "gpr[0]")), (Event::Syscall, 0), "{engine:?}");
    }
}

#[test]
fn narrow_atomics_clear_the_upper_part_when_they_fail_too() {
    let _turn = catch_faults(None);
    let guest = guest("aarch64");
    let mut memory = [0; DATA_LEN];
    memory[..8].copy_from_slice(&[1, 0, 0, 0x80, 0xff, 0xff, 0xff, 0xff]);
    for (expected, stored) in [(5, 0x8000_0001), (0x8000_0001, 9)] {
        let values =
            [("gpr[0]", 0xffff_ffff_0000_0000 | expected), ("gpr[1]", 0xffff_ffff_0000_0009), ("gpr[2]", DATA.into())];
        // casal w0, w1, [x2]
        let end = run_both_in(guest, guest.reset_mode(), &words(&[0x88e0_fc41]), &values, &memory);
        assert_eq!(value(guest, &end, "gpr[0]"), 0x8000_0001);
        assert_eq!(u32::from_le_bytes(end.memory[..4].try_into().unwrap()), stored);
        assert_eq!(end.memory[4..8], [0xff; 4]);
    }
}

#[test]
fn the_status_of_an_exclusive_store_may_replace_what_was_loaded() {
    let _turn = catch_faults(None);
    let guest = guest("aarch64");
    // ldxr w3, [x2]; stxr w3, w4, [x2]: the monitor remembers the value, the register is gone
    let end = run_both(guest, &words(&[0x885f_7c43, 0x8803_7c44]), &[("gpr[2]", DATA.into()), ("gpr[4]", 6)]);
    assert_eq!((value(guest, &end, "gpr[3]"), end.memory[0]), (0, 6));
}

#[test]
fn addresses_of_32_bits_wrap_around() {
    let _turn = catch_faults(None);
    // ldr r0, [r1, #8]; lw v0, 8(a0); mov eax, [ecx + 8]
    let cases = [
        ("arm", &[0x08, 0x00, 0x91, 0xe5][..], "gpr[1]"),
        ("mipsel", &[0x08, 0x00, 0x82, 0x8c], "gpr[4]"),
        ("x86", &[0x8b, 0x41, 0x08], "gpr[1]"),
    ];
    for (name, code, register) in cases {
        let end = run_both(guest(name), code, &[(register, 0xffff_fffc)]);
        assert_eq!(fault_address(&end), 4, "{name}");
    }
    // ldr r0, [r1, r2], whose sum leads around to the data
    let sum = [("gpr[1]", 0xffff_fff0), ("gpr[2]", u128::from(DATA_32) + 0x20)];
    let mut memory = [0; DATA_LEN];
    memory[0x10] = 77;
    let arm = guest("arm");
    let end = run_both_in(arm, arm.reset_mode(), &[0x02, 0x00, 0x91, 0xe7], &sum, &memory);
    assert_eq!(value(arm, &end, "gpr[0]"), 77);
}

#[test]
fn legacy_vector_operands_must_be_aligned() {
    let _turn = catch_faults(None);
    let guest = guest("x86_64");
    // movaps and addps xmm0, [rdi]; movups does not mind
    for (code, demands) in [([0x0f, 0x28, 0x07], true), ([0x0f, 0x58, 0x07], true), ([0x0f, 0x10, 0x07], false)] {
        let end = run_both(guest, &code, &[("gpr[7]", u128::from(DATA) + 8), ("xmm[0]", 5)]);
        assert_eq!(matches!(end.event, Event::Trap(Trap::Alignment)), demands, "{code:x?}: {:?}", end.event);
        assert_eq!(end.state.pc == CODE, demands);
    }
}

#[test]
fn an_interrupted_string_instruction_shows_how_far_it_came() {
    let _turn = catch_faults(None);
    let guest = guest("x86_64");
    let end_of_data = u128::from(DATA) + DATA_LEN as u128;
    // rep movsb
    let values = [("gpr[6]", DATA.into()), ("gpr[7]", end_of_data - 5), ("gpr[1]", 16)];
    let end = run_both(guest, &[0xf3, 0xa4], &values);
    assert_eq!((u128::from(fault_address(&end)), end.state.pc), (end_of_data, CODE));
    let left = ["gpr[6]", "gpr[7]", "gpr[1]"].map(|name| value(guest, &end, name));
    assert_eq!(left, [u128::from(DATA) + 5, end_of_data, 11]);
    // rep stosq, the last word of which does not fit
    let end = run_both(guest, &[0xf3, 0x48, 0xab], &[("gpr[7]", end_of_data - 20), ("gpr[1]", 9), ("gpr[0]", 3)]);
    assert_eq!([value(guest, &end, "gpr[7]"), value(guest, &end, "gpr[1]")], [end_of_data - 4, 7]);
}

#[test]
fn division_traps_where_the_guest_does() {
    let _turn = catch_faults(None);
    let x86 = guest("x86_64");
    // idiv ecx: by zero, and a quotient that does not fit; edx:eax = -2^31
    for (rcx, rax, rdx) in [(0, 7, 0), (0xffff_ffff, 0x8000_0000, 0xffff_ffff)] {
        let end = run_both(x86, &[0xf7, 0xf9], &[("gpr[1]", rcx), ("gpr[0]", rax), ("gpr[2]", rdx)]);
        assert!(matches!(end.event, Event::Trap(Trap::DivideByZero)), "{:?}", end.event);
        assert_eq!((end.state.pc, value(x86, &end, "gpr[0]"), value(x86, &end, "gpr[2]")), (CODE, rax, rdx));
    }
    let riscv = guest("riscv64");
    // div a0, a1, a2; rem a3, a1, a2
    let code = words(&[0x02c5_c533, 0x02c5_e6b3]);
    let lowest = 1_u128 << 63;
    for (a1, a2, quotient, rest) in
        [(7, 0, u64::MAX.into(), 7), (lowest, u64::MAX.into(), lowest, 0), (lowest, 0, u64::MAX.into(), lowest)]
    {
        let end = run_both(riscv, &code, &[("gpr[11]", a1), ("gpr[12]", a2)]);
        assert_eq!(["gpr[10]", "gpr[13]"].map(|name| value(riscv, &end, name)), [quotient, rest]);
    }
}

#[test]
fn a_reserved_rounding_mode_is_illegal_where_it_is_used() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // fsrmi 5; fadd.d ft0, ft1, ft2, rne; fadd.d ft0, ft1, ft2, dyn
    let end = run_both(guest, &words(&[0x0022_d073, 0x0220_8053, 0x0220_f053]), &[]);
    assert_eq!((end.event, end.state.pc), (Event::Trap(Trap::Undefined), CODE + 8));
}

#[test]
fn an_unboxed_single_is_not_a_number() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // fadd.s ft0, ft1, ft2: ft1 is 1.0, but as the lower half of a double
    let boxed = 0xffff_ffff_0000_0000_u128;
    for (ft1, expected) in [(0x3f80_0000, 0x7fc0_0000), (boxed | 0x3f80_0000, 0x4000_0000)] {
        let end = run_both(guest, &words(&[0x0020_f053]), &[("fpr[1]", ft1), ("fpr[2]", boxed | 0x3f80_0000)]);
        assert_eq!(value(guest, &end, "fpr[0]"), boxed | expected);
    }
}

#[test]
fn a_single_is_looked_at_in_every_turn() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // again: fadd.s ft0, ft1, ft2; fmv.d.x ft1, a2; addi a1, a1, -1; bnez a1, again; ecall
    let code = words(&[0x0020_f053, 0xf206_00d3, 0xfff5_8593, 0xfe05_9ae3, 0x0000_0073]);
    let boxed = 0xffff_ffff_0000_0000_u128;
    let one = boxed | 0x3f80_0000;
    for (turns, a2, expected) in [(1, 0x3f80_0000, 0x4000_0000), (2, 0x3f80_0000, 0x7fc0_0000), (9, one, 0x4000_0000)] {
        let end = run_both(guest, &code, &[("fpr[1]", one), ("fpr[2]", one), ("gpr[11]", turns), ("gpr[12]", a2)]);
        assert_eq!((end.event, value(guest, &end, "fpr[0]")), (Event::Syscall, boxed | expected));
    }
}

#[test]
fn a_single_is_looked_at_unless_what_leads_to_it_has_boxed_it() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    let boxed = 0xffff_ffff_0000_0000_u128;
    // again: fmv.d.x ft1, a3, or fmv.w.x; mv a3, a4; j add; add: fadd.s ft0, ft1, ft1; addi a1, a1, -1; bnez a1, again; ecall
    for (first, in_box) in [(0xf206_80d3, false), (0xf006_80d3, true)] {
        let code = words(&[first, 0x0007_0693, 0x0040_006f, 0x0010_f053, 0xfff5_8593, 0xfe05_96e3, 0x0000_0073]);
        // The way from one to the other is direct once it has been gone.
        for (turns, a4, is_box) in [(1, 0x3f80_0000, true), (3, 0x3f80_0000, in_box), (3, boxed | 0x3f80_0000, true)] {
            let start = [("gpr[11]", turns), ("gpr[13]", boxed | 0x3f80_0000), ("gpr[14]", a4)];
            let end = run_both(guest, &code, &start);
            let sum = boxed | if is_box { 0x4000_0000 } else { 0x7fc0_0000 };
            assert_eq!((end.event, value(guest, &end, "fpr[0]")), (Event::Syscall, sum));
        }
    }
}

/// Enough for a loop to be called hot.
const HOT: u128 = 40_000;

#[test]
fn a_hot_loop_ends_after_any_turn_of_those_in_its_unit() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // again: xor a3, a3, a1; add a4, a4, a3; addi a1, a1, -1; bnez a1, again; ecall
    let code = words(&[0x00b6_c6b3, 0x00d7_0733, 0xfff5_8593, 0xfe05_9ae3, 0x0000_0073]);
    for more in 0..6 {
        let end = run_both(guest, &code, &[("gpr[11]", HOT + more), ("gpr[13]", 5)]);
        assert_eq!((end.event, value(guest, &end, "gpr[11]")), (Event::Syscall, 0));
    }
}

#[test]
fn a_hot_loop_shows_the_turn_that_faults() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // again: sltu a5, a1, a6; slli a5, a5, 40; add a7, a0, a5; sb a1, 0(a7); addi a1, a1, -1; bnez a1, again; ecall
    let code = words(&[0x0105_b7b3, 0x0287_9793, 0x00f5_08b3, 0x00b8_8023, 0xfff5_8593, 0xfe05_96e3, 0x0000_0073]);
    for last in 1..7 {
        let start = [("gpr[10]", data_of(guest).into()), ("gpr[11]", HOT), ("gpr[16]", last)];
        let end = run_both(guest, &code, &start);
        // With `last` 1 no turn is below it.
        let (left, pc) = if last == 1 { (0, CODE + 28) } else { (last - 1, CODE + 12) };
        assert_eq!((value(guest, &end, "gpr[11]"), end.state.pc), (left, pc));
    }
}

/// One, infinity, zero, a quiet NaN and a signalling one, both with a payload.
const NUMBERS: [u128; 5] = [0x3ff0 << 48, 0x7ff0 << 48, 0, 0xfff8_0000_0000_1234, 0x7ff0_0000_0000_0042];

#[test]
fn flags_that_are_put_back_show_no_comparison() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // fsflags a3; frflags a4; flt.d a5, fa0, fa1; fsflags a4; frflags a6; ecall
    let code = words(&[0x0016_9073, 0x0010_2773, 0xa2b5_17d3, 0x0017_1073, 0x0010_2873, 0x0000_0073]);
    for (fa0, fa1) in NUMBERS.into_iter().flat_map(|a| NUMBERS.map(|b| (a, b))) {
        for flags in [0, 1, 0x0f, 0x10, 0x1f] {
            let end = run_both(guest, &code, &[("gpr[13]", flags), ("fpr[10]", fa0), ("fpr[11]", fa1)]);
            assert_eq!((end.event, value(guest, &end, "gpr[16]")), (Event::Syscall, flags));
            let less = f64::from_bits(fa0 as u64) < f64::from_bits(fa1 as u64);
            assert_eq!(value(guest, &end, "gpr[15]"), less.into());
        }
    }
}

#[test]
fn flags_that_are_put_back_show_no_division() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // frflags a4; fdiv.d fa2, fa0, fa1; fsflags a4; frflags a6; ecall
    let code = words(&[0x0010_2773, 0x1ab5_7653, 0x0017_1073, 0x0010_2873, 0x0000_0073]);
    let end = run_both(guest, &code, &[("fpr[10]", NUMBERS[0]), ("gpr[16]", 7)]);
    assert_eq!([value(guest, &end, "gpr[16]"), value(guest, &end, "fpr[12]")], [0, NUMBERS[1]]);
}

#[test]
fn a_return_address_may_be_odd() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    for odd in [0, 1] {
        // jal ra, f; addi a0, a0, 5; ecall; f: addi ra, ra, odd; ret
        let code = words(&[0x00c0_00ef, 0x0055_0513, 0x0000_0073, 0x0000_8093 | odd << 20, 0x0000_8067]);
        let end = run_both(guest, &code, &[]);
        assert_eq!((end.event, end.state.pc), (Event::Syscall, CODE + 12));
        assert_eq!(
            [value(guest, &end, "gpr[10]"), value(guest, &end, "gpr[1]")],
            [5, (CODE + 4 + u64::from(odd)).into()]
        );
    }
}

#[test]
fn a_pointer_that_has_moved_on_is_right_at_a_fault() {
    let _turn = catch_faults(None);
    let guest = guest("riscv64");
    // addi a0, a0, 8; ld a1, -8(a0); bnez a2, back; ecall
    let code = words(&[0x0085_0513, 0xff85_3583, 0xfe06_1ce3, 0x0000_0073]);
    let end_of_data = u128::from(data_of(guest)) + DATA_LEN as u128;
    let end = run_both(guest, &code, &[("gpr[10]", end_of_data - 16), ("gpr[12]", 1)]);
    assert_eq!((u128::from(fault_address(&end)), end.state.pc), (end_of_data, CODE + 4));
    assert_eq!(value(guest, &end, "gpr[10]"), end_of_data + 8);
}

#[test]
fn flags_of_a_pointer_that_has_moved_on_are_right_at_a_fault() {
    let _turn = catch_faults(None);
    let guest = guest("aarch64");
    // cmp x0, x3; add x0, x0, 8; ldur x1, [x0, -8]; cbnz x2, back; svc
    let code = words(&[0xeb03_001f, 0x9100_2000, 0xf85f_8001, 0xb5ff_ffa2, 0xd400_0001]);
    let end_of_data = u128::from(data_of(guest)) + DATA_LEN as u128;
    for compared in [0, 7, end_of_data, end_of_data + 1] {
        let end = run_both(guest, &code, &[("gpr[0]", end_of_data - 16), ("gpr[2]", 1), ("gpr[3]", compared)]);
        assert_eq!((u128::from(fault_address(&end)), end.state.pc), (end_of_data, CODE + 8));
        assert_eq!(value(guest, &end, "gpr[0]"), end_of_data + 8);
    }
    // cmp x1, 1; add x1, x1, 9; ldr x2, [x1, 16]; cmp x7, 3; svc: the first flags are for the fault alone.
    let code = words(&[0xf100_043f, 0x9100_2421, 0xf940_0822, 0xf100_0cff, 0xd400_0001]);
    let end = run_both(guest, &code, &[("gpr[1]", end_of_data - 25)]);
    assert_eq!((u128::from(fault_address(&end)), end.state.pc), (end_of_data, CODE + 8));
    assert_eq!(["N", "Z", "C", "V"].map(|flag| value(guest, &end, flag)), [0, 0, 1, 0]);
}

#[test]
fn operations_that_overwrite_their_operands_make_the_right_nan() {
    let _turn = catch_faults(None);
    let riscv = guest("riscv64");
    let [fadd, fmul, frflags, ecall] = [0x02b5_7553, 0x12c5_7553, 0x0010_2573, 0x0000_0073];
    // fmadd.d fa0, fa0, fa1, fa2; fmadd.d fa1, fa0, fa1, fa2; fnmsub.d fa2, fa0, fa1, fa2; fadd.d, fmul.d fa0, fa0, …
    let riscv_codes = [&[0x62b5_7543][..], &[0x62b5_75c3], &[0x62b5_764b], &[fadd, fmul]]
        .map(|code| words(&[code, &[frflags, ecall]].concat()));
    let aarch64 = guest("aarch64");
    // ldr d0, d1, d2; fmadd d0, d0, d1, d2; svc — fmadd d0, d1, d2, d0; fnmsub d0, d1, d0, d2
    let loads = [0xfd40_0000, 0xfd40_0401, 0xfd40_0802];
    let aarch64_codes =
        [&[0x1f41_0800][..], &[0x1f42_0020, 0x1f60_8820]].map(|code| words(&[&loads, code, &[0xd400_0001]].concat()));
    for a in NUMBERS {
        for (b, c) in NUMBERS.into_iter().flat_map(|b| NUMBERS.map(|c| (b, c))) {
            for code in &riscv_codes {
                run_both(riscv, code, &[("fpr[10]", a), ("fpr[11]", b), ("fpr[12]", c)]);
            }
            let mut memory = [0; DATA_LEN];
            for (place, number) in memory.chunks_mut(8).zip([a, b, c]) {
                place.copy_from_slice(&(number as u64).to_le_bytes());
            }
            for code in &aarch64_codes {
                let x0 = [("gpr[0]", data_of(aarch64).into())];
                run_both_in(aarch64, aarch64.reset_mode(), code, &x0, &memory);
            }
        }
    }
}

#[test]
fn a_fault_leaves_the_precision_of_the_host_as_it_was() {
    let _turn = catch_faults(None);
    let x86 = guest("x86");
    let (one, three) = (0x3fff_8000_0000_0000_0000, 0x4000_c000_0000_0000_0000);
    let divided = |mode, code: &[u8]| {
        run_code(Engine::T1, x86, mode, code, &[("st[0]", one), ("st[1]", three), ("gpr[3]", 0x10)], &[0; DATA_LEN])
    };
    // fdiv st, st(1); mov eax, [ebx], with a precision of 53 bits
    let fault = divided(x86.reset_mode() & !0x100, &[0xd8, 0xf1, 0x8b, 0x03]);
    assert!(matches!(fault.event, Event::Fault(_)), "{:?}", fault.event);
    assert_eq!(value(x86, &fault, "st[0]"), 0x3ffd_aaaa_aaaa_aaaa_a800);
    let end = divided(x86.reset_mode(), &[0xd8, 0xf1]);
    assert_eq!(value(x86, &end, "st[0]"), 0x3ffd_aaaa_aaaa_aaaa_aaab);
}

/// Runs on memory as it is.
fn in_place(engine: Engine, guest: &'static Guest, code: &[u8], values: &[(&str, u128)]) -> Run {
    let mut thread = Thread::new(Jit::new(guest, Code::new(&placed(code.to_vec())), options(engine)));
    *thread.state() = state_of(guest, guest.reset_mode(), &slots_of(guest, values));
    Run { event: thread.run(), state: thread.state().clone(), memory: Vec::new() }
}
