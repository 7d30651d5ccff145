//! The textual form.

use super::support::{GUEST, builder, finish, run, slot};
use crate::inst::{MemAttr, Order};
use crate::unit::Trap;
use crate::{GuestState, parse, print, verify};

#[test]
fn a_unit_in_text() {
    let mut b = builder();
    let (a, v) = (b.get(slot("a")), b.get(slot("v")));
    let k = b.konst(64, 16);
    let ea = b.add(64, a, k);
    b.name(ea, "ea");
    let half = b.load(32, ea, MemAttr::ordered(Order::Acquire));
    let wide = b.sext(32, 64, half);
    b.put(slot("b"), wide);
    b.end_insn();
    b.begin_insn(0x1004);
    b.set_len(4);
    let r = b.lanes2(crate::inst::Op::Vadd, 16, 128, v, v);
    let r = b.shuffle(32, 128, r, r, &[Some(1), Some(0), None, Some(3)]);
    b.put(slot("v"), r);
    let negative = b.extract(64, wide, 63, 1);
    b.trap_if(negative, Trap::Breakpoint(7));
    b.call(0x2000, 0x1008);
    let unit = finish(b);
    insta::assert_snapshot!(print::print(&unit, &GUEST), @r"
    unit 0x1000 mode 0x0 len 0
    0x1000:
      %0.0 = get.i64 a
      %1.0 = get.i128 v
      %2.0 = const.i64 0x10
      %ea.0 = add.i64 %0.0, %2.0
      %4.0 = load.i32 acquire %ea.0
      %5.0 = sext.i64 %4.0
      put b = %5.0
    0x1004:
      %0.4 = vadd.i128 lane 16 %1.0, %1.0
      %1.4 = vshuf.i128 0xf0e0d0cffffffff0302010007060504 %0.4, %0.4
      %2.4 = const.i64 0x0
      %3.4 = const.i32 0x0
      %4.4 = lts.i32 %4.0, %3.4
      exit_if.i1 %4.4 trap breakpoint 7 0x1004 mode 0x0
      put v = %1.4
      exit call 0x2000 ret 0x1008 mode 0x0
    ");
}

#[test]
fn text_can_be_run() {
    let text = "
        unit 0x1000 mode 0x0 len 4
        0x1000:
          %x.0 = get.i64 a
          %1.0 = const.i64 0x3
          %2.0 = mul.i64 %x.0, %1.0
          put b = %2.0
          exit jump 0x1004 mode 0x0";
    let unit = parse::parse(text, &GUEST).expect("good text");
    let mut state = GuestState::new(&GUEST);
    state.set(&GUEST, slot("a"), 14);
    run(&unit, &mut state);
    assert_eq!(state.get(&GUEST, slot("b")), 42);
}

#[test]
fn bad_text_says_where() {
    let error = |body: &str| parse::parse(&format!("unit 0x0 mode 0x0 len 0\n{body}"), &GUEST).expect_err("bad text");
    assert_eq!(error("%0 = frob.i64"), "line 2: no operation `frob`: `%0 = frob.i64`");
    assert_eq!(error("%0 = neg.i64 %7"), "line 2: no value `%7`: `%0 = neg.i64 %7`");
    assert_eq!(error("%0 = get.i64 zz"), "line 2: no slot `zz`: `%0 = get.i64 zz`");
    assert_eq!(error("%0 = get.i65 a"), "line 2: no type `i65`: `%0 = get.i65 a`");
    assert_eq!(error("fence #300"), "line 2: `300` is not a number below 256: `fence #300`");
    assert_eq!(error("clrex clrex"), "line 2: `clrex` is too much: `clrex clrex`");
}

#[test]
fn ill_formed_units_are_found() {
    let error = |body: &str| {
        parse::parse(&format!("unit 0x0 mode 0x0 len 0\n0x0:\n{body}\nexit jump 0x4 mode 0x0"), &GUEST)
            .expect_err("ill-formed")
    };
    assert_eq!(error("%0 = get.i32 a"), "%0 get: attribute 0x0 is out of range");
    assert_eq!(error("%0 = get.i64 a\n%1 = get.i64 b\n%2 = add.i32 %0, %1"), "%2 add: operand 0 is I64, not I32");
    assert_eq!(error("%0 = get.i64 a\n%1 = bfx.i64 #60 #5 %0"), "%1 bfx: attribute 0x53c is out of range");
    assert_eq!(error("%0 = get.i64 a\n%1 = zext.i32 %0"), "%1 zext: operand 0 is I64");
    assert_eq!(error("%0 = get.i64 a\nput N = %0"), "put at 1: I64 into N, which is I1");
    assert_eq!(error("%0 = get.i64 a\nput b = %0\n%1 = get.i64 b"), "%1 reads b after it was written");
    assert_eq!(error("exit jump 0x0 mode 0x0"), "instructions after the exit at %0");
    let unit = crate::Unit::default();
    assert_eq!(verify::verify(&unit, &GUEST), Err("no exit at the end".into()));
}
