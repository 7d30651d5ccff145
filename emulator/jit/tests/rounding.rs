//! Rounding to integral values and conversions from and to integers, with each rounding that an instruction can name: both
//! engines agree on results and flags, also where the next number up or down is out of range.

mod support;

use ir::Guest;
use jit::Engine;
use support::engines::*;
use support::process::catch_faults;

/// Runs `code` on both engines, which must agree.
fn run_both(guest: &'static Guest, code: &[u32], values: &[(&str, u128)]) {
    let code: Vec<u8> = code.iter().flat_map(|w| w.to_le_bytes()).collect();
    let mode = guest.reset_mode();
    let [expected, found] =
        [Engine::Interp, Engine::T1].map(|engine| run_code(engine, guest, mode, &code, values, &[0; DATA_LEN]));
    let differ = differences(guest, &expected, &found);
    assert!(differ.is_empty(), "{} of {values:x?}\n{}", disassembly(guest, mode, &code), differ.join("\n"));
}

/// Numbers at, between and beside integers and limits of integers, and what is none.
fn numbers() -> Vec<f64> {
    let powers = [23, 24, 31, 32, 52, 53, 63, 64].map(|n| 2f64.powi(n));
    let beside = powers.iter().flat_map(|p| [-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 1.0].map(|d| p + d));
    let next = powers.iter().flat_map(|p| [p.next_down(), p.next_up()]);
    let small = [0.0, 5e-324, 0.25, 0.499_999_999_999_999_94, 0.5, 0.75, 1.0, 1.5, 2.5, 3.5, f64::INFINITY, f64::NAN];
    let all = beside.chain(next).chain(small);
    let signalling = f64::from_bits(0x7ff0_0000_0000_0001);
    all.flat_map(|x| [x, -x]).chain([signalling]).collect()
}

fn singles() -> Vec<f32> {
    let signalling = f32::from_bits(0x7f80_0001);
    numbers().into_iter().map(|x| x as f32).chain([0.499_999_97, -0.499_999_97, signalling]).collect()
}

fn integers() -> Vec<u64> {
    let beside = |n: u32| [-2i64, -1, 0, 1, 2].map(|d| (1u64 << n).wrapping_add_signed(d));
    let all = [0, 1, 23, 24, 25, 31, 32, 33, 52, 53, 54, 62, 63].into_iter().flat_map(beside);
    let all = all.chain([0x8000_0000_0000_0400, 0x8000_0000_0000_0401, 0xffff_ff7f_ffff_ffff, 0x8000_0080_0000_0001]);
    all.flat_map(|n| [n, n.wrapping_neg()]).collect()
}

#[test]
fn what_follows_a_rounding_mode_of_run_time_rounds_so() {
    let _turn = catch_faults(None);
    // fsrm a0; fdiv.d fa0, fa1, fa2; fsrm a1, a2; fdiv.d fa3, fa1, fa2; frcsr a3; ecall
    let riscv = [0x0025_1073, 0x1ac5_f553, 0x0026_15f3, 0x1ac5_f6d3, 0x0030_26f3, 0x73];
    // msr fpcr, x0; fdiv d0, d1, d2; msr fpcr, x2; fdiv d3, d1, d2; mrs x3, fpcr; svc
    let arm = [0xd51b_4400, 0x1e62_1820, 0xd51b_4402, 0x1e62_1823, 0xd53b_4403, 0xd400_0001];
    let (one, three) = (1f64.to_bits().into(), 3f64.to_bits().into());
    for (first, then) in (0..5).flat_map(|first| (0..5).map(move |then| (first, then))) {
        let values = [("gpr[10]", first), ("gpr[12]", then), ("fpr[11]", one), ("fpr[12]", three)];
        run_both(guests::ALL.by_name("riscv64").unwrap(), &riscv, &values);
        let values = [("gpr[0]", first << 22), ("gpr[2]", then << 22), ("vreg[1]", one), ("vreg[2]", three)];
        run_both(guests::ALL.by_name("aarch64").unwrap(), &arm, &values);
    }
}

/// Generated code comes to each mode again and again, at the same addresses.
#[test]
fn a_loop_that_changes_the_rounding_mode_rounds_so_at_each_turn() {
    let _turn = catch_faults(None);
    // fsrm a0; fdiv.d fa0, fa1, fa2; fadd.d fa4, fa4, fa0; fsrm a2; fdiv.d fa3, fa1, fa2; fadd.d fa4, fa4, fa3; addi a4, a4, -1;
    // bnez a4, -28; frcsr a3; ecall
    let riscv = [
        0x0025_1073,
        0x1ac5_f553,
        0x02a7_7753,
        0x0026_1073,
        0x1ac5_f6d3,
        0x02d7_7753,
        0xfff7_0713,
        0xfe07_12e3,
        0x0030_26f3,
        0x73,
    ];
    // msr fpcr, x0; fdiv d0, d1, d2; fadd d4, d4, d0; msr fpcr, x2; fdiv d3, d1, d2; fadd d4, d4, d3; sub x5, x5, #1; cbnz x5, -28;
    // mrs x3, fpcr; svc
    let arm = [
        0xd51b_4400,
        0x1e62_1820,
        0x1e60_2884,
        0xd51b_4402,
        0x1e62_1823,
        0x1e63_2884,
        0xd100_04a5,
        0xb5ff_ff25,
        0xd53b_4403,
        0xd400_0001,
    ];
    let (one, three) = (1f64.to_bits().into(), 3f64.to_bits().into());
    for (first, then) in (0..5).flat_map(|first| (0..5).map(move |then| (first, then))) {
        let values = [("gpr[10]", first), ("gpr[12]", then), ("gpr[14]", 40), ("fpr[11]", one), ("fpr[12]", three)];
        run_both(guests::ALL.by_name("riscv64").unwrap(), &riscv, &values);
        let (first, then) = (first << 22, then << 22);
        let values = [("gpr[0]", first), ("gpr[2]", then), ("gpr[5]", 40), ("vreg[1]", one), ("vreg[2]", three)];
        run_both(guests::ALL.by_name("aarch64").unwrap(), &arm, &values);
    }
}

/// Code of other rounding modes is gone to directly from the second turn on.
#[test]
fn rounding_modes_that_take_turns_are_those_of_what_follows_them() {
    let _turn = catch_faults(None);
    let fsrmi = |mode: u32| 0x0020_5073 | mode << 15;
    let (one, three) = (1f64.to_bits().into(), 3f64.to_bits().into());
    let values = [("gpr[8]", 4), ("fpr[11]", one), ("fpr[12]", three)];
    for (a, b) in (0..5).flat_map(|a| (0..5).map(move |b| (a, b))) {
        // fsrmi a; fdiv.d fa0, fa1, fa2; fsrmi b; fdiv.d fa3, fa1, fa2; fsrmi 0; fdiv.d fa4, fa1, fa2; addi s0, s0, -1; bnez s0, start;
        // frflags a3; ecall
        let turn = [fsrmi(a), 0x1ac5_f553, fsrmi(b), 0x1ac5_f6d3, fsrmi(0), 0x1ac5_f753, 0xfff4_0413, 0xfe04_12e3];
        run_both(guests::ALL.by_name("riscv64").unwrap(), &[&turn[..], &[0x0010_26f3, 0x73]].concat(), &values);
    }
}

#[test]
fn conversions_of_arm_round_as_they_are_told() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("aarch64").unwrap();
    let end = [0xd53b_442d, 0xd400_0001]; // mrs x13, fpsr; svc
    // fcvtzu w0; fcvtas, fcvtau, fcvtms, fcvtpu x0 and w0; fcvtns w0; frinta, frintm d1, of d0
    let of_double = [
        0x1e79_0000,
        0x9e64_0000,
        0x1e64_0000,
        0x9e65_0000,
        0x1e65_0000,
        0x9e70_0000,
        0x1e70_0000,
        0x9e69_0000,
        0x1e69_0000,
        0x1e60_0000,
        0x1e66_4001,
        0x1e65_4001,
    ];
    // fcvtzu x0; fcvtas x0, w0; fcvtmu w0; fcvtps x0; frinta s1, of s0
    let of_single = [0x9e39_0000, 0x9e24_0000, 0x1e24_0000, 0x1e31_0000, 0x9e28_0000, 0x1e26_4001];
    // ucvtf d4, s5; scvtf s6, of x20
    let of_integer = [0x9e63_0284, 0x9e23_0285, 0x9e22_0286];
    // ldr d0, [x1]: a number alone in its register
    let place = |bits: u64| [("vreg[0]", u128::from(bits))];
    for x in numbers() {
        of_double.iter().for_each(|insn| run_both(guest, &[&[*insn], &end[..]].concat(), &place(x.to_bits())));
    }
    for x in singles() {
        let above = 0x7f80_0001_7ff0_0000u64 << 32; // must raise nothing
        let bits = u64::from(x.to_bits()) | above;
        of_single.iter().for_each(|insn| run_both(guest, &[&[*insn], &end[..]].concat(), &place(bits)));
    }
    for n in integers() {
        of_integer.iter().for_each(|insn| run_both(guest, &[&[*insn], &end[..]].concat(), &[("gpr[20]", n.into())]));
    }
}

#[test]
fn conversions_of_risc_v_round_as_they_are_told() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("riscv64").unwrap();
    let end = [0x0010_22f3, 0x0000_0073]; // frflags t0; ecall
    // fcvt.lu.d rtz; fcvt.l, w, lu.d rmm; fcvt.wu.d rdn; fcvt.l.d rup; fcvt.w.d rdn, of fa0
    let of_double = [0xc235_1653, 0xc225_4553, 0xc205_45d3, 0xc235_4653, 0xc215_26d3, 0xc225_3753, 0xc205_27d3];
    // fcvt.w.s rup; fcvt.l.s rmm, of fa1
    let of_single = [0xc005_b853, 0xc025_c8d3];
    // fcvt.d.l rdn; s.l rup; s.w rdn; d.lu rmm; s.lu rdn; s.wu rup; d.lu, of s2
    let of_integer = [0xd229_2653, 0xd029_36d3, 0xd009_2753, 0xd239_47d3, 0xd039_2853, 0xd019_38d3, 0xd239_7053];
    for x in numbers() {
        for insn in of_double {
            run_both(guest, &[&[insn], &end[..]].concat(), &[("fpr[10]", x.to_bits().into())]);
        }
    }
    for x in singles() {
        let boxed = u64::from(x.to_bits()) | 0xffff_ffff << 32;
        for insn in of_single {
            run_both(guest, &[&[insn], &end[..]].concat(), &[("fpr[11]", boxed.into())]);
        }
    }
    for n in integers() {
        of_integer.iter().for_each(|insn| run_both(guest, &[&[*insn], &end[..]].concat(), &[("gpr[18]", n.into())]));
    }
}

/// `floorf` as it is compiled: raises nothing but what it had found raised.
#[test]
fn flags_are_what_they_were_before_a_number_was_rounded() {
    let _turn = catch_faults(None);
    let guest = guests::ALL.by_name("riscv64").unwrap();
    let code = [
        0x0014_1073, // fsflags s0
        0x0010_2773, // frflags a4
        0xa0a5_27d3, // feq.s a5, fa0, fa0
        0x0207_8063, // beqz a5, 1f
        0x20a5_27d3, // fabs.s fa5, fa0
        0xa0e7_97d3, // flt.s a5, fa5, fa4
        0x0007_8a63, // beqz a5, 1f
        0xc005_27d3, // fcvt.w.s a5, fa0, rdn
        0xd007_a7d3, // fcvt.s.w fa5, a5, rdn
        0x20a7_8553, // fsgnj.s fa0, fa5, fa0
        0x0017_1073, // fsflags a4
        0x0010_22f3, // 1: frflags t0
        0x0000_0073, // ecall
    ];
    let boxed = |x: f32| u128::from(u64::from(x.to_bits()) | 0xffff_ffff << 32);
    for x in singles() {
        for (flags, limit) in [0, 1, 0x0c, 0x11, 0x1f].into_iter().flat_map(|f| [(f, 8_388_608.0), (f, f32::INFINITY)])
        {
            run_both(guest, &code, &[("fpr[10]", boxed(x)), ("fpr[14]", boxed(limit)), ("gpr[8]", flags)]);
        }
    }
}
