//! What generated code calls besides the builder: integers of specifications, which are `i128` and whose functions are total.

use ir::Builder;
use ir::guest::{Flow, Slot};
use ir::inst::{MemAttr, Val};
use ir::unit::Trap;

pub use ir::builder::{Delay, Hint};
pub use ir::inst::{AtomicOp, FCmp, MinMax, Op, Order, Round, Step};

/// The place of an instruction.
#[derive(Clone, Copy, Debug)]
pub struct At<'a> {
    /// Address.
    pub pc: u64,
    /// Address after it.
    pub pc_next: u64,
    /// Code from `pc` on, as far as it was fetched.
    pub code: &'a [u8],
    /// Immediates of a byte-wise instruction, in the order of the pattern.
    pub imms: [i128; 2],
}

/// Whether the unit goes on after a body.
pub fn flow(b: &Builder<'_>) -> Flow {
    if b.ended() { Flow::End } else { Flow::Next }
}

/// Bits `at .. at + width` of a word.
pub fn field(word: impl Into<u128>, at: u32, width: u32) -> i128 {
    (word.into() >> at) as i128 & ((1 << width) - 1)
}

/// Address of the instruction after one of `len` bytes; addresses of a 32-bit guest wrap.
pub fn next(pc: u64, len: u32, class: u32) -> u64 {
    let next = pc.wrapping_add(len.into());
    if class == 32 { u64::from(next as u32) } else { next }
}

/// `value`, `width` bits wide, sign-extended.
pub fn sign(value: i128, width: u32) -> i128 {
    let unused = 128 - width.clamp(1, 128);
    value << unused >> unused
}

/// Element `index` of a register array. The checker has proved the index where it could; a number out of range takes the
/// last register rather than another array's.
pub fn slot(first: u16, count: u16, index: i128) -> Slot {
    debug_assert!((0..i128::from(count)).contains(&index), "register number {index} of {count}");
    Slot(first + index.clamp(0, i128::from(count) - 1) as u16)
}

/// Element of a list; the last one beyond its end.
pub fn element<T: Copy>(list: &[T], index: i128) -> T {
    list[index.clamp(0, list.len() as i128 - 1) as usize]
}

// ---------------------------------------------------------------- operators

/// Left shift; 0 by a negative amount or 128 and more.
pub fn shl(a: i128, n: i128) -> i128 {
    if (0..128).contains(&n) { a << n } else { 0 }
}

/// Arithmetic right shift; amounts are limited to 0 ..= 127.
pub fn shr(a: i128, n: i128) -> i128 {
    a >> n.clamp(0, 127)
}

/// Quotient toward minus infinity for positive divisors; 0 by zero.
pub fn div(a: i128, b: i128) -> i128 {
    a.checked_div_euclid(b).unwrap_or(0)
}

/// Remainder, never negative; 0 by zero.
pub fn rem(a: i128, b: i128) -> i128 {
    a.checked_rem_euclid(b).unwrap_or(0)
}

// ---------------------------------------------------------------- functions

/// Floor of the logarithm to base 2; 0 for what has none.
pub fn log2(a: i128) -> i128 {
    highest_bit(a.max(1))
}

/// `n` ones.
pub fn ones(n: i128) -> i128 {
    match n {
        ..=0 => 0,
        128.. => -1,
        _ => ((1_u128 << n) - 1) as i128,
    }
}

/// Position of the highest one; -1 for 0.
pub fn highest_bit(a: i128) -> i128 {
    127 - i128::from(a.leading_zeros())
}

/// Number of ones.
pub fn popcount(a: i128) -> i128 {
    a.count_ones().into()
}

/// The low `esize` bits of `v`, repeated to fill `size` bits.
pub fn replicate(v: i128, esize: i128, size: i128) -> i128 {
    if esize <= 0 {
        return 0;
    }
    let mut r = v & ones(esize);
    let mut done = esize;
    while done < size.min(128) {
        r |= shl(r, done);
        done *= 2;
    }
    r & ones(size)
}

/// The low `size` bits of `v` rotated right by `n`.
pub fn rotate_right(v: i128, n: i128, size: i128) -> i128 {
    let size = size.clamp(1, 127);
    // Of 128 bits, a remainder is a call: as a rule there is nothing to do.
    let n = if (0..size).contains(&n) { n } else { n.rem_euclid(size) };
    let v = v & ones(size);
    (shr(v, n) | shl(v, size - n)) & ones(size)
}

/// Bit `i` of `v`.
pub fn bit(v: i128, i: i128) -> i128 {
    shr(v, i) & 1
}

/// Absolute value.
pub fn abs(a: i128) -> i128 {
    a.wrapping_abs()
}

/// Smaller one.
pub fn min(a: i128, b: i128) -> i128 {
    a.min(b)
}

/// Larger one.
pub fn max(a: i128, b: i128) -> i128 {
    a.max(b)
}

/// The 32-bit word of the code at `addr`, signed; 0 where it was not fetched.
pub fn code_word(at: &At<'_>, addr: i128, big_endian: bool) -> i128 {
    let start = usize::try_from(addr - i128::from(at.pc)).ok();
    let bytes = start.and_then(|s| at.code.get(s..s + 4));
    let word = bytes.map_or([0; 4], |b| [b[0], b[1], b[2], b[3]]);
    if big_endian { i32::from_be_bytes(word).into() } else { i32::from_le_bytes(word).into() }
}

// ---------------------------------------------------------------- operands of the builder

/// Where an operand is.
#[derive(Clone, Copy, Debug)]
pub enum Place {
    /// In memory.
    Memory {
        /// Address.
        addr: Val,
        /// Alignment demanded, in bytes; 0 for none.
        align: i128,
    },
    /// A value that can only be read.
    Value(Val),
    /// A view of registers.
    View {
        /// Its number.
        view: u32,
        /// Its parameters.
        args: [i128; 3],
    },
    /// After a trap.
    Nowhere,
}

/// Atomic update of a place, which must be in memory, from the value `old` just read to `new`; what is there before. If that is
/// another one, the instruction is executed again.
pub fn place_update(b: &mut Builder<'_>, at: &At<'_>, place: Place, width: u32, old: Val, new: Val) -> Val {
    match place {
        Place::Memory { addr, .. } => b.atomic_update(width, addr, old, new, at.pc),
        _ => {
            b.undefined();
            old
        }
    }
}

/// Attributes of a little-endian access; `align` in bytes, 0 for none.
pub fn access(order: Order, align: i128) -> MemAttr {
    MemAttr { order, big_endian: false, align_log2: log2(align) as u8 }
}

/// Which accesses a fence orders: loads and stores before, loads and stores after.
pub fn fence(loads: bool, stores: bool, then_loads: bool, then_stores: bool) -> u32 {
    u32::from(loads) | u32::from(stores) << 1 | u32::from(then_loads) << 2 | u32::from(then_stores) << 3
}

/// A trap by its position in the language's `Trap` enum.
pub fn trap(kind: i128, code: i128) -> Trap {
    match kind {
        0 => Trap::Breakpoint(code as u32),
        1 => Trap::IntegerOverflow,
        2 => Trap::DivideByZero,
        3 => Trap::Trap(code as u32),
        _ => Trap::Alignment,
    }
}

/// Picks of a shuffle: the lane for each lane; negative numbers pick zero.
pub fn picks(lane: u32, width: u32, pick: impl Fn(i128) -> i128) -> Vec<Option<u32>> {
    (0..i128::from(width / lane.max(1))).map(|i| u32::try_from(pick(i)).ok()).collect()
}

/// Distances of the lanes that each step of a reduction combines.
pub fn distances(lane: u32, width: u32) -> impl Iterator<Item = u32> {
    (0..(width / lane.max(1)).ilog2()).map(|step| 1 << step)
}

/// Each lane's partner in the step of a reduction that combines those at a distance.
pub fn neighbours(b: &mut Builder<'_>, lane: u32, width: u32, value: Val, distance: u32) -> Val {
    let picks: Vec<_> = (0..width / lane).map(|i| Some(i ^ distance)).collect();
    b.shuffle(lane, width, value, value, &picks)
}

/// Call of a helper that has a result.
pub fn helper(b: &mut Builder<'_>, id: u32, width: u32, args: &[Val]) -> Val {
    match b.helper(id, width, args) {
        Some(v) => v,
        None => b.konst(width, 0),
    }
}
