//! Emission of IR, simplifying on the way in.
//!
//! Widths `w` are in bits, 1..=128, translate-time. A width that is not a type (`bits(5)`) lives in the narrowest type that
//! holds it with the bits above zero; every method keeps that. Methods are never inlined: generated code calls them tens
//! of thousands of times and inlining triples its size.

use crate::guest::{Guest, Slot};
use crate::inst::{AtomicOp, FCmp, MemAttr, MinMax, Op, Order, Round, Val};
use crate::unit::{Trap, Unit};

/// Return-stack hint of an indirect jump.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// None.
    Plain,
    /// Call; the return address is the next instruction.
    Call,
    /// Return.
    Ret,
}

/// Builds one unit.
pub struct Builder<'g> {
    guest: &'g Guest,
    unit: Unit,
}

#[allow(unused_variables)]
impl<'g> Builder<'g> {
    /// Starts a unit.
    pub fn new(guest: &'g Guest, key: crate::unit::UnitKey) -> Builder<'g> {
        todo!()
    }
    /// Starts the guest instruction at `pc`: `next` is the address after it (known before emission for fixed lengths,
    /// set by the generated decoder otherwise).
    pub fn begin_insn(&mut self, pc: u64) {
        todo!()
    }
    /// Length now known: `pc_next` for calls and system calls.
    pub fn set_len(&mut self, len: u32) {
        todo!()
    }
    /// Ends the guest instruction: its register writes enter the log.
    pub fn end_insn(&mut self) {
        todo!()
    }
    /// Whether an unconditional exit was emitted.
    pub fn ended(&self) -> bool {
        todo!()
    }
    /// Ends the unit with a jump to `pc` if it has no end yet, and returns it, verified in debug builds.
    pub fn finish(self, pc: u64) -> Unit {
        todo!()
    }
    /// Number of IR instructions so far (unit-size limits).
    pub fn len(&self) -> usize {
        todo!()
    }

    // ---- contexts
    /// Mode word in force for the instruction.
    pub fn mode(&self) -> u32 {
        todo!()
    }
    /// Assigns a context a translate-time value: the mode of what follows.
    pub fn set_mode(&mut self, lo: u32, width: u32, value: u32) {
        todo!()
    }
    /// Assigns a context a run-time value (of width `width`): the unit ends after this instruction with a redispatch.
    pub fn set_mode_dynamic(&mut self, lo: u32, width: u32, value: Val) {
        todo!()
    }

    // ---- state and constants
    /// Constant.
    pub fn konst(&mut self, w: u32, value: i128) -> Val {
        todo!()
    }
    /// Constant value of `a`, if it is one (zero-extended).
    pub fn as_const(&self, a: Val) -> Option<u128> {
        todo!()
    }
    /// Reads a slot (sees earlier writes of the same instruction).
    pub fn get(&mut self, slot: Slot) -> Val {
        todo!()
    }
    /// Writes a slot; visible to snapshots when the instruction ends.
    pub fn put(&mut self, slot: Slot, value: Val) {
        todo!()
    }
    /// Names a value for printing (the spec's `let`).
    pub fn name(&mut self, value: Val, name: &'static str) {
        todo!()
    }

    // ---- integer
    pub fn add(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn sub(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn mul(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn mul_high_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn mul_high_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn div_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn div_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn rem_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn rem_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn and(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn or(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn xor(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn not(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn neg(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    /// Shifts and rotations: the amount is `aw` bits wide; `shl`, `shr`, `sar` saturate, `rotr`, `rotl` wrap.
    pub fn shl(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        todo!()
    }
    pub fn shr(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        todo!()
    }
    pub fn sar(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        todo!()
    }
    pub fn rotr(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        todo!()
    }
    pub fn rotl(&mut self, w: u32, a: Val, aw: u32, amount: Val) -> Val {
        todo!()
    }
    pub fn clz(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn ctz(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn popcount(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn reverse_bits(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn reverse_bytes(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    /// 1 if the number of ones is odd.
    pub fn parity(&mut self, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn zext(&mut self, from: u32, to: u32, a: Val) -> Val {
        todo!()
    }
    pub fn sext(&mut self, from: u32, to: u32, a: Val) -> Val {
        todo!()
    }
    /// Low `to` bits of `a`, which is `from` wide.
    pub fn low(&mut self, from: u32, to: u32, a: Val) -> Val {
        todo!()
    }
    /// Bits `lo .. lo + w` of `a`, which is `from` wide.
    pub fn extract(&mut self, from: u32, a: Val, lo: u32, w: u32) -> Val {
        todo!()
    }
    /// `a` (`w` wide) with bits `lo .. lo + fw` replaced by `field`.
    pub fn insert(&mut self, w: u32, a: Val, lo: u32, fw: u32, field: Val) -> Val {
        todo!()
    }
    /// `high @ low`.
    pub fn concat(&mut self, hw: u32, high: Val, lw: u32, low: Val) -> Val {
        todo!()
    }
    pub fn select(&mut self, w: u32, c: Val, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn crc32(&mut self, castagnoli: bool, dw: u32, crc: Val, data: Val) -> Val {
        todo!()
    }
    pub fn clmul(&mut self, a: Val, b: Val) -> Val {
        todo!()
    }

    // ---- comparisons: 1-bit results
    pub fn eq(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn ne(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn lt_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn le_u(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn lt_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn le_s(&mut self, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    /// Carry out of `a + b + c`; `c` is 1 bit.
    pub fn carry_add(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        todo!()
    }
    /// Borrow out of `a - b - c`.
    pub fn borrow(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        todo!()
    }
    pub fn overflow_add(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        todo!()
    }
    pub fn overflow_sub(&mut self, w: u32, a: Val, b: Val, c: Option<Val>) -> Val {
        todo!()
    }

    // ---- memory; addresses are 64 bits (a narrower guest zero-extends)
    pub fn load(&mut self, w: u32, addr: Val, m: MemAttr) -> Val {
        todo!()
    }
    pub fn store(&mut self, w: u32, addr: Val, value: Val, m: MemAttr) {
        todo!()
    }
    pub fn load_exclusive(&mut self, w: u32, addr: Val, order: Order) -> Val {
        todo!()
    }
    /// 0 if stored.
    pub fn store_exclusive(&mut self, w: u32, addr: Val, value: Val, order: Order) -> Val {
        todo!()
    }
    pub fn clear_exclusive(&mut self) {
        todo!()
    }
    pub fn atomic(&mut self, op: AtomicOp, w: u32, addr: Val, value: Val, order: Order) -> Val {
        todo!()
    }
    pub fn atomic_cas(&mut self, w: u32, addr: Val, expected: Val, new: Val, order: Order) -> Val {
        todo!()
    }
    /// Bits: 0 loads before, 1 stores before, 2 loads after, 3 stores after.
    pub fn fence(&mut self, bits: u32) {
        todo!()
    }

    // ---- lanes: `e` is the lane width, `w` the whole
    /// One-operand lane operation without immediate (`vabs vpopcnt vclz`).
    pub fn lanes1(&mut self, op: Op, e: u32, w: u32, a: Val) -> Val {
        todo!()
    }
    /// Two-operand lane operation of type (t, t) -> t.
    pub fn lanes2(&mut self, op: Op, e: u32, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    /// Shift by a constant (`vshli vshri vsari`).
    pub fn lanes_shift(&mut self, op: Op, e: u32, w: u32, a: Val, amount: u32) -> Val {
        todo!()
    }
    /// Bitwise `(mask & a) | (!mask & b)`.
    pub fn bit_select(&mut self, w: u32, mask: Val, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn splat(&mut self, e: u32, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn lane(&mut self, e: u32, w: u32, a: Val, index: u32) -> Val {
        todo!()
    }
    pub fn with_lane(&mut self, e: u32, w: u32, a: Val, index: u32, value: Val) -> Val {
        todo!()
    }
    /// Lanes of `b:a` by index (0.. are those of `a`); `None` gives zero.
    pub fn shuffle(&mut self, e: u32, w: u32, a: Val, b: Val, picks: &[Option<u32>]) -> Val {
        todo!()
    }
    /// Bytes of the 128-bit `table` by the bytes of `index` (`w` wide); 0 beyond 15.
    pub fn table(&mut self, w: u32, table: Val, index: Val) -> Val {
        todo!()
    }
    /// Lanes of the 64-bit `a` at twice the width (`vwidenu vwidens`).
    pub fn widen(&mut self, op: Op, e: u32, a: Val) -> Val {
        todo!()
    }
    /// Lanes of the 128-bit `a` narrowed to `e` bits each (`vnarrow vnarrowuu vnarrowss vnarrowsu`).
    pub fn narrow(&mut self, op: Op, e: u32, a: Val) -> Val {
        todo!()
    }
    /// Product of 64-bit lane vectors at twice the lane width (`vmullu vmulls`).
    pub fn mul_long(&mut self, op: Op, e: u32, a: Val, b: Val) -> Val {
        todo!()
    }

    // ---- floating point: `e` is the format, `w == e` for scalars
    pub fn f1(&mut self, op: Op, e: u32, w: u32, a: Val, round: Round) -> Val {
        todo!()
    }
    pub fn f2(&mut self, op: Op, e: u32, w: u32, a: Val, b: Val, round: Round) -> Val {
        todo!()
    }
    pub fn fma(&mut self, e: u32, w: u32, a: Val, b: Val, c: Val, round: Round) -> Val {
        todo!()
    }
    /// `fmin`, `fmax`.
    pub fn fminmax(&mut self, op: Op, e: u32, w: u32, a: Val, b: Val, kind: MinMax) -> Val {
        todo!()
    }
    pub fn fneg(&mut self, e: u32, w: u32, a: Val) -> Val {
        todo!()
    }
    pub fn fabs(&mut self, e: u32, w: u32, a: Val) -> Val {
        todo!()
    }
    /// Scalar compare: 1 bit.
    pub fn fcmp(&mut self, kind: FCmp, e: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    /// Lane masks.
    pub fn fcmp_lanes(&mut self, kind: FCmp, e: u32, w: u32, a: Val, b: Val) -> Val {
        todo!()
    }
    pub fn fround(&mut self, e: u32, w: u32, a: Val, round: Round, exact: bool) -> Val {
        todo!()
    }
    /// Scalar format conversion.
    pub fn fcvt(&mut self, from: u32, to: u32, a: Val, round: Round) -> Val {
        todo!()
    }
    /// Scalar: float `e` to integer `iw`. Lanes: `w > e`, `iw == e`.
    pub fn ftoi(&mut self, signed: bool, e: u32, w: u32, iw: u32, a: Val, round: Round) -> Val {
        todo!()
    }
    /// Scalar: integer `iw` to float `e`. Lanes: `w > e`, `iw == e`.
    pub fn itof(&mut self, signed: bool, e: u32, w: u32, iw: u32, a: Val, round: Round) -> Val {
        todo!()
    }
    /// Sticky flags in the order of the `fflags` operation, 32 bits.
    pub fn fp_flags(&mut self) -> Val {
        todo!()
    }
    pub fn set_fp_flags(&mut self, flags: Val) {
        todo!()
    }

    // ---- calls
    /// `extern fn` number `id`; the result is `w` wide (0 for none).
    pub fn helper(&mut self, id: u32, w: u32, args: &[Val]) -> Option<Val> {
        todo!()
    }

    // ---- control. `jump`, `call`, … end the unit.
    pub fn jump(&mut self, target: u64) {
        todo!()
    }
    pub fn branch(&mut self, cond: Val, target: u64) {
        todo!()
    }
    pub fn jump_indirect(&mut self, target: Val, hint: Hint) {
        todo!()
    }
    pub fn call(&mut self, target: u64, returns_to: u64) {
        todo!()
    }
    pub fn trap(&mut self, kind: Trap) {
        todo!()
    }
    /// State before the instruction if `cond`.
    pub fn trap_if(&mut self, cond: Val, kind: Trap) {
        todo!()
    }
    pub fn undefined(&mut self) {
        todo!()
    }
    pub fn syscall(&mut self) {
        todo!()
    }
    /// The reserved instruction: `name` is the guest address of the function's name.
    pub fn native_call(&mut self, name: u64) {
        todo!()
    }
    pub fn instruction_barrier(&mut self) {
        todo!()
    }
    /// Translations of the `len` bytes at `addr` are stale (`len` 0: all).
    pub fn icache_flush(&mut self, addr: Val, len: u32) {
        todo!()
    }
}
