//! Invalid floating-point operations that trap on the host: results and flags are those of the definition, and after some of them
//! they do not trap any more.

mod support;

use ir::Guest;
use jit::{Engine, Event, Jit, JitOptions, Thread};
use support::engines::*;
use support::process::catch_faults;
use support::{Code, Placed};

/// Numbers, quiet NaNs with payloads of both signs, and signalling ones.
const NUMBERS: [u64; 9] = [
    0x3ff0_0000_0000_0000,
    0xfff0_0000_0000_0000,
    0x7ff0_0000_0000_0000,
    0,
    0xbff8_0000_0000_0000,
    0x7ff8_0000_0000_1234,
    0xfff8_0000_0000_5678,
    0x7ff0_0000_0000_0001,
    0xfff4_0000_0000_0002,
];

/// Without exact underflow, which has most operations checked.
fn thread(guest: &'static Guest, placed: &Placed, engine: Engine, trap_invalid: u32) -> Box<Thread> {
    let options = JitOptions { exact_underflow: false, trap_invalid, ..options(engine) };
    Thread::new(Jit::new(guest, Code::new(placed), options))
}

/// Runs arithmetic of some numbers on all engines, others being a 1 in its box.
fn compare<const N: usize>(guest: &'static Guest, words: &[u32], slots: [&str; N], values: &[[u128; N]]) {
    let others = if guest.name == "riscv64" { &["fpr[10]", "fpr[11]", "fpr[12]"][..] } else { &[] };
    let others = others.iter().map(|name| (*name, 0xffff_ffff_3f80_0000));
    let placed = placed(words.iter().flat_map(|w| w.to_le_bytes()).collect());
    let mut interp = thread(guest, &placed, Engine::Interp, 0);
    for most in [0, 1, 5, u32::MAX] {
        let mut translated = thread(guest, &placed, Engine::T1, most);
        for numbers in values {
            let all: Vec<_> = slots.into_iter().zip(*numbers).chain(others.clone()).collect();
            let slots = slots_of(guest, &all);
            let state = state_of(guest, guest.reset_mode(), &slots);
            let [expected, found] =
                [&mut interp, &mut translated].map(|thread| run_from(thread, guest, &state, &[0; DATA_LEN]));
            assert!(matches!(found.event, Event::Syscall | Event::Fault(_)), "{:?}", found.event);
            let differ = differences(guest, &expected, &found);
            assert!(differ.is_empty(), "{most} traps, {numbers:x?}: {}", differ.join("\n"));
        }
    }
}

#[test]
fn invalid_operations_give_what_the_definition_gives() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("aarch64").unwrap();
    let svc = 0xd400_0001;
    let pairs = NUMBERS.iter().flat_map(|a| NUMBERS.map(|b| [*a, b]));
    let doubles: Vec<[u128; 2]> = pairs.clone().map(|pair| pair.map(u128::from)).collect();
    let both = |n: u64| u128::from(n) << 64 | 0x4000_0000_0000_0000;
    let vectors: Vec<[u128; 2]> = pairs.map(|pair| pair.map(both)).collect();
    // fadd, fsub, fmul, fdiv d2, d0, d1; fsqrt d3, d0; fmadd d4, d2, d0, d1; fcmpe d0, d1; fcvtzs x1, d0; frintx d5, d1; fmax d6, d0, d1;
    // fadd d2, d2, d1
    let scalar = [
        0x1e61_2802,
        0x1e61_3802,
        0x1e61_0802,
        0x1e61_1802,
        0x1e61_c003,
        0x1f40_0444,
        0x1e61_2010,
        0x9e78_0001,
        0x1e67_4025,
        0x1e61_4806,
        0x1e61_2842,
    ];
    for insn in scalar {
        compare(guest, &[insn, svc], ["vreg[0]", "vreg[1]"], &doubles);
    }
    compare(guest, &[&scalar[..], &[svc]].concat(), ["vreg[0]", "vreg[1]"], &doubles);
    // fadd, fmul, fdiv v2.2d, v0.2d, v1.2d; fsqrt v3.2d; fmla v2.2d; fcmgt v4.2d; fmax v5.2d; fcvtzs v6.2d; fadd v2.4s
    let vector = [
        0x4e61_d402,
        0x6e61_dc02,
        0x6e61_fc02,
        0x6ee1_f803,
        0x4e61_cc02,
        0x6ee1_e404,
        0x4e61_f405,
        0x4ee1_b806,
        0x4e21_d402,
    ];
    for insn in vector {
        compare(guest, &[insn, svc], ["vreg[0]", "vreg[1]"], &vectors);
    }
    compare(guest, &[&vector[..], &[svc]].concat(), ["vreg[0]", "vreg[1]"], &vectors);
}

/// Which operand is the NaN, in each order; infinity times zero, to which a NaN is added; and neighbours that are numbers.
#[test]
fn fused_operations_give_what_the_definition_gives() {
    let _turn = catch_faults(None);
    let pairs = NUMBERS.iter().flat_map(|a| NUMBERS.map(|b| [*a, b]));
    let doubles: Vec<[u128; 3]> = pairs.flat_map(|[a, b]| NUMBERS.map(|c| [a, b, c].map(u128::from))).collect();
    let singles: Vec<[u128; 3]> = doubles.iter().map(|numbers| numbers.map(single)).collect();
    let boxed: Vec<[u128; 3]> = singles.iter().map(|numbers| numbers.map(|n| n | 0xffff_ffff << 32)).collect();
    // fmadd d3, d0, d1, d2; fmsub d4, d0, d3, d1; fnmadd d5, d4, d0, d1; fadd d6, d5, d0; svc; then those of singles
    let aarch64 = guests::ALL.by_name("aarch64").unwrap();
    let code = [0x1f41_0803, 0x1f43_8404, 0x1f60_0485, 0x1e60_28a6, 0xd400_0001];
    let slots = ["vreg[0]", "vreg[1]", "vreg[2]"];
    compare(aarch64, &code, slots, &doubles);
    compare(aarch64, &code.map(|insn| if insn >> 24 == 0xd4 { insn } else { insn & !(1 << 22) }), slots, &singles);
    // fmla v2.2d, v0.2d, v1.2d; fmls v3.2d, v2.2d, v0.2d; fdiv v4.2d, v3.2d, v1.2d; svc; then those of four and two singles
    let lanes = [0x4e61_cc02, 0x4ee0_cc43, 0x6e61_fc64];
    for (clear, numbers, width) in [(0, &doubles, 64), (1 << 22, &singles, 32), (1 << 22 | 1 << 30, &singles, 32)] {
        let code = lanes.map(|insn| insn & !clear);
        compare(aarch64, &[&code[..], &[0xd400_0001]].concat(), slots, &neighbours(numbers, width));
    }
    // fmadd.d fa3, fa0, fa1, fa2; fnmsub.d fa4, fa0, fa3, fa1; fadd.d fa5, fa4, fa0; ecall; then those of singles
    let riscv = guests::ALL.by_name("riscv64").unwrap();
    let code = [0x62b5_76c3, 0x5ad5_774b, 0x02a7_77d3, 0x0000_0073];
    let slots = ["fpr[10]", "fpr[11]", "fpr[12]"];
    compare(riscv, &code, slots, &doubles);
    compare(riscv, &code.map(|insn| if insn == 0x73 { insn } else { insn & !(1 << 25) }), slots, &boxed);
}

/// Vectors of numbers of `width` bits: each beside others.
fn neighbours(numbers: &[[u128; 3]], width: usize) -> Vec<[u128; 3]> {
    let vector = |n: usize| {
        let lanes = (0..128 / width).map(|lane| numbers[(n + 11 * lane * lane + lane) % numbers.len()]);
        lanes.rev().fold([0; 3], |all, lane| [0, 1, 2].map(|k| all[k] << (width % 128) | lane[k]))
    };
    (0..numbers.len()).map(vector).collect()
}

/// The single with the sign, the exponent's ends and the kind of the double.
fn single(double: u128) -> u128 {
    let (sign, fraction) = (double >> 32 & 1 << 31, double & 0xffff);
    let quiet = double >> 29 & 1 << 22;
    match f64::from_bits(double as u64).classify() {
        std::num::FpCategory::Nan => sign | 0x7f80_0000 | quiet | fraction,
        _ => (f64::from_bits(double as u64) as f32).to_bits().into(),
    }
}

/// Loads fault while results wait for their check.
#[test]
fn a_fault_shows_results_that_are_still_to_be_checked() {
    let _turn = catch_faults(None);
    let doubles: Vec<[u128; 2]> = NUMBERS.iter().flat_map(|a| NUMBERS.map(|b| [*a, b].map(u128::from))).collect();
    let aarch64 = guests::ALL.by_name("aarch64").unwrap();
    // fmadd d2, d0, d1, d2; fmul d3, d0, d1; fmsub d4, d1, d2, d0; ldr x1, [x2]; svc
    let code = [0x1f41_0802, 0x1e61_0803, 0x1f42_8024, 0xf940_0041, 0xd400_0001];
    compare(aarch64, &code, ["vreg[0]", "vreg[1]"], &doubles);
    compare(aarch64, &code, ["vreg[1]", "vreg[2]"], &doubles);
    let riscv = guests::ALL.by_name("riscv64").unwrap();
    // fmadd.d fa0, fa0, fa1, fa2; fadd.d fa3, fa0, fa1; ld a0, 0(a1); ecall
    let code = [0x62b5_7543, 0x02b5_76d3, 0x0005_b503, 0x0000_0073];
    for slots in [["fpr[10]", "fpr[11]"], ["fpr[11]", "fpr[12]"], ["fpr[12]", "fpr[10]"]] {
        compare(riscv, &code, slots, &doubles);
    }
    let boxed = |n: u128| n >> 32 | 0xffff_ffff << 32;
    let singles: Vec<[u128; 2]> = doubles.iter().map(|pair| pair.map(boxed)).collect();
    // fadd.s fa3, fa0, fa1; fmadd.s fa0, fa0, fa1, fa2; fnmsub.s fa4, fa1, fa2, fa0; flw fa5, 0(a1); ecall
    let code = [0x00b5_76d3, 0x60b5_7543, 0x50c5_f74b, 0x0005_a787, 0x0000_0073];
    for slots in [["fpr[10]", "fpr[11]"], ["fpr[11]", "fpr[12]"], ["fpr[12]", "fpr[10]"]] {
        compare(riscv, &code, slots, &singles);
    }
}

#[test]
fn a_loop_of_invalid_operations_does_not_trap_for_ever() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("aarch64").unwrap();
    // fdiv d0, d1, d1; subs x0, x0, #1; b.ne back; svc
    let code = [0x1e61_1820u32, 0xf100_0400, 0x54ff_ffc1, 0xd400_0001];
    let placed = placed(code.iter().flat_map(|w| w.to_le_bytes()).collect());
    let mut translated = thread(guest, &placed, Engine::T1, 4);
    let slots = slots_of(guest, &[("gpr[0]", 100_000)]);
    let run = run_from(&mut translated, guest, &state_of(guest, guest.reset_mode(), &slots), &[0; DATA_LEN]);
    assert_eq!(run.event, Event::Syscall);
    assert_eq!(translated.jit().stats().flushes, 1, "translated once more, with checks");
}
