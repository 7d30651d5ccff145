//! The x87 by the host's own: operations run with the guest's rounding and precision, with all exceptions masked, and give
//! their result together with the status word, of which exceptions and condition codes matter. SDM 1, Programming with the
//! x87 FPU.

use std::arch::asm;

/// A number of 80 bits.
const NUMBER: u128 = (1 << 80) - 1;

/// The number in bits 0 to 79, the status word above.
fn with_status(number: u128, status: u16) -> u128 {
    number & NUMBER | u128::from(status) << 80
}

/// The control word with all exceptions masked.
fn masked(cw: u16) -> u16 {
    cw | 0x3f
}

/// Executes instructions with `$a` in ST(0) and `$b` in ST(1): the number that is in ST(0) then, and the status word.
macro_rules! execute {
    ($a:expr, $b:expr, $cw:expr, $($code:literal),+) => {{
        let (a, b, cw): (u128, u128, u16) = ($a, $b, $cw);
        let mut result = 0_u128;
        let status: u16;
        // SAFETY: accesses the locals it is given; the x87 is left empty and with the control word that the calling
        // convention wants.
        unsafe {
            asm!(
                "fninit",
                "fldcw word ptr [{cw}]",
                "fld tbyte ptr [{b}]",
                "fld tbyte ptr [{a}]",
                $($code,)+
                "fnstsw ax",
                "fstp tbyte ptr [{result}]",
                "fninit",
                cw = in(reg) &raw const cw, a = in(reg) &raw const a, b = in(reg) &raw const b,
                result = in(reg) &raw mut result, out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack)
            );
        }
        with_status(result, status)
    }};
}

/// Reads the value `$value` by a load instruction, or writes it by a store.
macro_rules! transfer {
    ($value:expr, $cw:expr, $load:literal, $store:literal) => {{
        let (value, cw): (u128, u16) = ($value, $cw);
        let mut result = 0_u128;
        let status: u16;
        // SAFETY: as above.
        unsafe {
            asm!(
                "fninit",
                "fldcw word ptr [{cw}]",
                $load,
                $store,
                "fnstsw ax",
                "fninit",
                cw = in(reg) &raw const cw, value = in(reg) &raw const value, result = in(reg) &raw mut result,
                out("ax") status,
                out("st(0)") _, out("st(1)") _, out("st(2)") _, out("st(3)") _,
                out("st(4)") _, out("st(5)") _, out("st(6)") _, out("st(7)") _,
                options(nostack)
            );
        }
        with_status(result, status)
    }};
}

/// An operation on ST(0) and ST(1), by its number in the specification.
pub fn x87_execute(op: u8, a: u128, b: u128, cw: u16) -> u128 {
    let cw = masked(cw);
    match op {
        0 => execute!(a, b, cw, "fadd st, st(1)"),
        1 => execute!(a, b, cw, "fmul st, st(1)"),
        2 => execute!(a, b, cw, "fcom st(1)"),
        3 => execute!(a, b, cw, "fucom st(1)"),
        4 => execute!(a, b, cw, "fsub st, st(1)"),
        5 => execute!(a, b, cw, "fxtract", "fstp st(0)"),
        6 => execute!(a, b, cw, "fdiv st, st(1)"),
        7 => execute!(a, b, cw, "fxtract"),
        8 => execute!(a, b, cw, "ftst"),
        9 => execute!(a, b, cw, "fxam"),
        10 => execute!(a, b, cw, "fldl2t"),
        11 => execute!(a, b, cw, "fldl2e"),
        12 => execute!(a, b, cw, "fldpi"),
        13 => execute!(a, b, cw, "fldlg2"),
        14 => execute!(a, b, cw, "fldln2"),
        // The upper half of the second byte of the opcode, D9 F0 to D9 FF.
        0x20 => execute!(a, b, cw, "f2xm1"),
        0x21 => execute!(a, b, cw, "fyl2x"),
        // Of a number that is too large nothing is put above it.
        0x22 => execute!(a, b, cw, "fptan", "fnstsw ax", "test ah, 4", "jnz 2f", "fstp st(0)", "2:"),
        0x23 => execute!(a, b, cw, "fpatan"),
        0x25 => execute!(a, b, cw, "fprem1"),
        0x28 => execute!(a, b, cw, "fprem"),
        0x29 => execute!(a, b, cw, "fyl2xp1"),
        0x2a => execute!(a, b, cw, "fsqrt"),
        0x2c => execute!(a, b, cw, "frndint"),
        0x2d => execute!(a, b, cw, "fscale"),
        0x2e => execute!(a, b, cw, "fsin"),
        _ => execute!(a, b, cw, "fcos"),
    }
}

/// From single (32) or double (64) precision, decimal digits (80), or an integer of 64 bits.
pub fn x87_load(kind: u8, value: u128) -> u128 {
    let cw = masked(0x37f);
    match kind {
        32 => transfer!(value, cw, "fld dword ptr [{value}]", "fstp tbyte ptr [{result}]"),
        64 => transfer!(value, cw, "fld qword ptr [{value}]", "fstp tbyte ptr [{result}]"),
        80 => transfer!(value, cw, "fbld tbyte ptr [{value}]", "fstp tbyte ptr [{result}]"),
        _ => transfer!(value, cw, "fild qword ptr [{value}]", "fstp tbyte ptr [{result}]"),
    }
}

/// To single (32) or double (64) precision, or decimal digits (80).
pub fn x87_store(width: u8, value: u128, cw: u16) -> u128 {
    let cw = masked(cw);
    match width {
        32 => transfer!(value, cw, "fld tbyte ptr [{value}]", "fstp dword ptr [{result}]"),
        64 => transfer!(value, cw, "fld tbyte ptr [{value}]", "fstp qword ptr [{result}]"),
        _ => transfer!(value, cw, "fld tbyte ptr [{value}]", "fbstp tbyte ptr [{result}]"),
    }
}

/// To a signed integer of 16, 32 or 64 bits.
pub fn x87_store_int(width: u8, value: u128, cw: u16) -> u128 {
    let cw = masked(cw);
    match width {
        16 => transfer!(value, cw, "fld tbyte ptr [{value}]", "fistp word ptr [{result}]"),
        32 => transfer!(value, cw, "fld tbyte ptr [{value}]", "fistp dword ptr [{result}]"),
        _ => transfer!(value, cw, "fld tbyte ptr [{value}]", "fistp qword ptr [{result}]"),
    }
}

/// Forgets the exceptions of all operations so far.
pub fn x87_clear() {
    // SAFETY: changes nothing but exception flags.
    unsafe { asm!("fnclex", options(nomem, nostack, preserves_flags)) };
}
