//! A small guest, a memory and random numbers.

use crate::guest::*;
use crate::inst::{AtomicOp, MemAttr, Round};
use crate::interp::{self, Env, Outcome};
use crate::unit::{Unit, UnitKey};
use crate::{Builder, GuestState, Ty, Val};

macro_rules! slots {
    ($($name:literal $ty:ident $offset:literal,)*) => { &[$(SlotDesc { name: $name, ty: Ty::$ty, offset: $offset }),*] };
}

/// Slots `a b c d` of 64 bits, `v w` of 128, flags `N Z C V`, narrow ones.
pub(super) static SLOTS: &[SlotDesc] = slots! {
    "a" I64 0, "b" I64 8, "c" I64 16, "d" I64 24, "v" I128 32, "w" I128 48,
    "N" I1 64, "Z" I1 65, "C" I1 66, "V" I1 67, "h" I16 68, "o" I8 70, "s" I32 72,
};

/// Its contexts: bits 0..2 of the mode are a rounding mode, bits 2..8 free.
pub(super) static GUEST: Guest = Guest {
    name: "test",
    slots: SLOTS,
    pins: &[],
    vector_pins: &[],
    flags: &[Slot(6), Slot(7), Slot(8), Slot(9)],
    sp: Slot(0),
    contexts: &[],
    interwork: None,
    transient: 0,
    cleared: &[],
    address_bits: 64,
    big_endian: false,
    big_endian_code: false,
    delay_slots: false,
    icache: Icache::Explicit,
    total_store_order: false,
    ignore_top_byte: false,
    insn_align: 4,
    translate: |_, _, _| Step::Truncated,
    disassemble: |_, _, _| (String::new(), 4),
    identify: |_, _| None,
    fp: FpPolicy {
        nan: NanRule::Canonical,
        default_nan_negative: false,
        product_nan: ProductNan::Invalid,
        tininess: Tininess::After,
        nan_to_int: NanToInt::Max,
    },
    fp_named: &[],
    fp_mode: |mode| FpMode {
        round: [Round::Even, Round::Zero, Round::Down, Round::Up][(mode & 3) as usize],
        flush_inputs: false,
        flush_results: false,
        default_nan: false,
    },
    fp_mode_bits: u32::MAX,
    helpers: &[
        HelperDesc { name: "sum", call: |_, args| args.iter().sum(), pure: true, state: false, extended: None },
        HelperDesc { name: "poke", call: poke, pure: false, state: true, extended: None },
    ],
    elf: ElfDesc { machine: 0, class: 64, big_endian: false, flags: 0 },
    process: ProcessDesc {
        entry_sp_align: 16,
        hwcap: 0,
        hwcap2: 0,
        platform: "test",
        machine: "test",
        tls: Slot(0),
        ifunc: IfuncArgs::None,
    },
    syscall: SyscallDesc { number: Slot(0), args: &[], stack_args: None, ret: Slot(0), error: None },
    abi: AbiDesc::bare(Some(Slot(0))),
    native_call: None,
};

/// Doubles slot `a`; returns what it was.
fn poke(state: &mut GuestState, _: &[u128]) -> u128 {
    let old = state.get(&GUEST, slot("a"));
    state.set(&GUEST, slot("a"), old * 2);
    old
}

pub(super) fn slot(name: &str) -> Slot {
    GUEST.slot(name).expect("a slot of the test guest")
}

pub(super) fn builder() -> Builder<'static> {
    started(Builder::new(&GUEST, UnitKey { pc: 0x1000, mode: 0 }))
}

pub(super) fn plain_builder() -> Builder<'static> {
    started(Builder::without_folds(&GUEST, UnitKey { pc: 0x1000, mode: 0 }))
}

fn started(mut b: Builder<'static>) -> Builder<'static> {
    b.begin_insn(0x1000);
    b.set_len(4);
    b
}

/// Ends the instruction and the unit.
pub(super) fn finish(mut b: Builder<'_>) -> Unit {
    b.end_insn();
    b.finish(0x1004)
}

/// 256 bytes of memory at 0x100; everything else faults with the address.
pub(super) struct Memory {
    pub(super) bytes: [u8; 256],
    /// Accesses and fences, in order.
    pub(super) log: Vec<String>,
}

/// Addresses of instructions, which can be read.
const CODE: std::ops::Range<u64> = 0x1000..0x1100;

impl Memory {
    pub(super) fn new() -> Memory {
        Memory { bytes: std::array::from_fn(|i| i as u8), log: Vec::new() }
    }

    fn at(&mut self, addr: u64, ty: Ty) -> Result<&mut [u8], u64> {
        let start = addr.checked_sub(0x100).ok_or(addr)? as usize;
        self.bytes.get_mut(start..start.saturating_add(ty.bytes() as usize)).ok_or(addr)
    }
}

impl Env for Memory {
    type Fault = u64;

    fn load(&mut self, addr: u64, ty: Ty, mem: MemAttr) -> Result<u128, u64> {
        self.log.push(format!("load {addr:#x} {ty:?}"));
        if CODE.contains(&addr) {
            return Ok(0);
        }
        let mut bytes = [0; 16];
        let found = self.at(addr, ty)?;
        bytes[..found.len()].copy_from_slice(found);
        if mem.big_endian {
            bytes[..ty.bytes() as usize].reverse();
        }
        Ok(u128::from_le_bytes(bytes))
    }

    fn store(&mut self, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<(), u64> {
        self.log.push(format!("store {addr:#x} {ty:?} {value:#x}"));
        let found = self.at(addr, ty)?;
        let n = found.len();
        found.copy_from_slice(&value.to_le_bytes()[..n]);
        if mem.big_endian {
            found.reverse();
        }
        Ok(())
    }

    fn rmw(&mut self, op: AtomicOp, addr: u64, ty: Ty, value: u128, mem: MemAttr) -> Result<u128, u64> {
        let old = self.load(addr, ty, mem)?;
        let new = match op {
            AtomicOp::Add => old.wrapping_add(value),
            AtomicOp::Swap => value,
            other => panic!("{other:?} is not used in these tests"),
        };
        self.store(addr, ty, new, mem)?;
        Ok(old)
    }

    fn cas(&mut self, addr: u64, ty: Ty, expected: u128, new: u128, mem: MemAttr) -> Result<u128, u64> {
        let old = self.load(addr, ty, mem)?;
        if old == expected {
            self.store(addr, ty, new, mem)?;
        }
        Ok(old)
    }

    fn fence(&mut self, bits: u32) {
        self.log.push(format!("fence {bits}"));
    }
}

pub(super) fn run(unit: &Unit, state: &mut GuestState) -> Outcome<u64> {
    interp::run(&GUEST, unit, state, &mut Memory::new())
}

/// Sets slots to pseudo-random values.
pub(super) fn random_state(r: &mut Random) -> GuestState {
    let mut state = GuestState::new(&GUEST);
    for (i, slot) in SLOTS.iter().enumerate() {
        let value = r.value(slot.ty.bits());
        state.set(&GUEST, Slot(i as u16), value);
    }
    state
}

/// Writes values of any width to slots, so that they can be seen: each takes the next slot of its type.
pub(super) fn expose(b: &mut Builder<'_>, w: u32, value: Val) {
    b.put(exposed(w), value);
}

/// The slot in which a value of this width is seen.
pub(super) fn exposed(w: u32) -> Slot {
    slot(match Ty::holding(w) {
        Ty::I1 => "N",
        Ty::I8 => "o",
        Ty::I16 => "h",
        Ty::I32 => "s",
        Ty::I64 => "d",
        Ty::I128 => "w",
    })
}

/// xorshift64*.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    pub(super) fn below(&mut self, n: u32) -> u32 {
        (((self.next() >> 32) * u64::from(n)) >> 32) as u32
    }

    /// A value of `w` bits, often a special one.
    pub(super) fn value(&mut self, w: u32) -> u128 {
        let mask = u128::MAX >> (128 - w);
        let random = u128::from(self.next()) << 64 | u128::from(self.next());
        mask & match self.below(8) {
            0 => 0,
            1 => mask,
            2 => 1,
            3 => 1 << (w - 1),
            4 => mask >> 1,
            5 => random & 0xff,
            6 => !(random & 0xff),
            _ => random,
        }
    }
}
