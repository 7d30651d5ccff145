//! A guest for tests: eight 64-bit registers, a dozen instructions of four bytes `[op, a, b, c]`.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ir::convention::{How, Rule, Who};
use ir::guest::{
    AbiDesc, ElfDesc, Flow, FpMode, FpPolicy, HelperDesc, Icache, NanRule, NanToInt, ProcessDesc, ProductNan, Slot,
    SlotDesc, Step, SyscallDesc, Tininess,
};
use ir::inst::{AtomicOp, MemAttr, Order, Round};
use ir::{Builder, Guest, Ty};

use crate::native::NativeFn;
use crate::options::Hooks;

/// Everything in general registers.
const JOIN: Rule = Rule { who: Who::Any, how: How::Join { align: false, split: false, keep: false, floats: false } };

/// `a = b + c`, `c` signed.
pub(crate) const fn addi(a: u8, b: u8, c: i8) -> [u8; 4] {
    [0, a, b, c as u8]
}
/// `a = b + c`.
pub(crate) const fn add(a: u8, b: u8, c: u8) -> [u8; 4] {
    [1, a, b, c]
}
/// To `c` instructions from here if `a != b`.
pub(crate) const fn bne(a: u8, b: u8, c: i8) -> [u8; 4] {
    [2, a, b, c as u8]
}
/// `a = [b + 8 * c]`.
pub(crate) const fn load(a: u8, b: u8, c: i8) -> [u8; 4] {
    [3, a, b, c as u8]
}
/// `[b + 8 * c] = a`.
pub(crate) const fn store(a: u8, b: u8, c: i8) -> [u8; 4] {
    [4, a, b, c as u8]
}
/// To `c` instructions from here.
pub(crate) const fn jump(c: i8) -> [u8; 4] {
    [5, 0, 0, c as u8]
}
/// The same, with the next address in the link register.
pub(crate) const fn call(c: i8) -> [u8; 4] {
    [6, 0, 0, c as u8]
}
/// To the address in the link register.
pub(crate) const RET: [u8; 4] = [7, 0, 0, 0];
/// To the address in `a`.
pub(crate) const fn jr(a: u8) -> [u8; 4] {
    [8, a, 0, 0]
}
pub(crate) const SYSCALL: [u8; 4] = [9, 0, 0, 0];
/// The instruction at the address in `a` has changed.
pub(crate) const fn flush(a: u8) -> [u8; 4] {
    [10, a, 4, 0]
}
/// Any code may have changed.
pub(crate) const FLUSH_ALL: [u8; 4] = [10, 0, 0, 0];
/// `a = [b]; [b] += c` atomically.
pub(crate) const fn fetch_add(a: u8, b: u8, c: u8) -> [u8; 4] {
    [11, a, b, c]
}
/// `a = b`, then a fault-prone load of `[b]` into `c`: the write must not be seen if it faults.
pub(crate) const fn move_load(a: u8, b: u8, c: u8) -> [u8; 4] {
    [12, a, b, c]
}
/// `a` = another number each time, by a function that says it depends on nothing.
pub(crate) const fn moody(a: u8) -> [u8; 4] {
    [13, a, 0, 0]
}
/// Matches nothing.
pub(crate) const BAD: [u8; 4] = [0xff; 4];

/// Link register.
pub(crate) const LR: u8 = 7;

const fn slot(name: &'static str, i: u16) -> SlotDesc {
    SlotDesc { name, ty: Ty::I64, offset: 8 * i }
}

static SLOTS: [SlotDesc; 8] = [
    slot("r0", 0),
    slot("r1", 1),
    slot("r2", 2),
    slot("r3", 3),
    slot("r4", 4),
    slot("r5", 5),
    slot("r6", 6),
    slot("r7", 7),
];

/// The processor.
pub(crate) static TOY: Guest = Guest {
    name: "toy",
    slots: &SLOTS,
    pins: &[Slot(0), Slot(1), Slot(2), Slot(7)],
    vector_pins: &[],
    flags: &[],
    sp: Slot(6),
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
    translate,
    disassemble: |_, _, code| (format!("{:?}", &code[..4]), 4),
    identify: |_, code| (code[0] < 14).then_some("toy"),
    fp: FpPolicy {
        nan: NanRule::Canonical,
        default_nan_negative: false,
        product_nan: ProductNan::Invalid,
        tininess: Tininess::After,
        nan_to_int: NanToInt::Max,
    },
    fp_named: &[],
    fp_mode: |_| FpMode { round: Round::Even, flush_inputs: false, flush_results: false, default_nan: false },
    fp_mode_bits: u32::MAX,
    helpers: &[HelperDesc { name: "moody", call: |_, _| count(), pure: true, state: false, extended: None }],
    elf: ElfDesc { machine: 0, class: 64, big_endian: false, flags: 0 },
    process: ProcessDesc {
        entry_sp_align: 16,
        hwcap: 0,
        hwcap2: 0,
        platform: "toy",
        machine: "toy",
        tls: Slot(5),
        ifunc: ir::guest::IfuncArgs::None,
    },
    syscall: SyscallDesc {
        number: Slot(0),
        args: &[Slot(1), Slot(2), Slot(3), Slot(4), Slot(5), Slot(6)],
        stack_args: None,
        ret: Slot(0),
        error: None,
    },
    abi: AbiDesc {
        int_args: &[Slot(0), Slot(1), Slot(2)],
        int_ret: &[Slot(0)],
        arg_rules: &[JOIN],
        ret_rules: &[JOIN],
        ..AbiDesc::bare(Some(Slot(LR as u16)))
    },
    native_call: None,
};

fn count() -> u128 {
    static CALLS: AtomicU64 = AtomicU64::new(0);
    CALLS.fetch_add(1, Ordering::Relaxed).into()
}

fn translate(b: &mut Builder<'_>, pc: u64, code: &[u8]) -> Step {
    let &[op, x, y, z, ..] = code else { return Step::Truncated };
    let done = |flow| Step::Done { len: 4, flow };
    if op > 13 {
        return Step::Unallocated { len: 4 };
    }
    b.set_len(4);
    let slot = |n: u8| Slot(u16::from(n & 7));
    let target = pc.wrapping_add((i64::from(z as i8) * 4) as u64);
    let (lr, next) = (slot(LR), pc + 4);
    match op {
        0 | 1 => {
            let left = b.get(slot(y));
            let right = if op == 0 { b.konst(64, i128::from(z as i8)) } else { b.get(slot(z)) };
            let sum = b.add(64, left, right);
            b.put(slot(x), sum);
        }
        2 => {
            let (left, right) = (b.get(slot(x)), b.get(slot(y)));
            let differ = b.ne(64, left, right);
            b.branch(differ, target);
        }
        3 | 4 => {
            let base = b.get(slot(y));
            let offset = b.konst(64, i128::from(z as i8) * 8);
            let addr = b.add(64, base, offset);
            if op == 3 {
                let value = b.load(64, addr, MemAttr::PLAIN);
                b.put(slot(x), value);
            } else {
                let value = b.get(slot(x));
                b.store(64, addr, value, MemAttr::PLAIN);
            }
        }
        5 => b.jump(target),
        6 => {
            let link = b.konst(64, i128::from(next));
            b.put(lr, link);
            b.call(target, next);
        }
        7 => {
            let to = b.get(lr);
            b.jump_indirect(to, ir::builder::Hint::Ret);
        }
        8 => {
            let to = b.get(slot(x));
            b.jump_indirect(to, ir::builder::Hint::Plain);
        }
        9 => b.syscall(),
        10 => {
            let addr = b.get(slot(x));
            b.icache_flush(addr, y.into());
        }
        11 => {
            let (addr, value) = (b.get(slot(y)), b.konst(64, i128::from(z)));
            let old = b.atomic(AtomicOp::Add, 64, addr, value, Order::SeqCst);
            b.put(slot(x), old);
        }
        13 => {
            let value = b.helper(0, 64, &[]).expect("it has a result");
            b.put(slot(x), value);
        }
        _ => {
            let addr = b.get(slot(y));
            b.put(slot(x), addr);
            let value = b.load(64, addr, MemAttr::PLAIN);
            b.put(slot(z), value);
        }
    }
    done(if b.ended() { Flow::End } else { Flow::Next })
}

/// Guest code at a made-up address, which tests may change.
pub(crate) struct Code {
    bytes: Mutex<Vec<u8>>,
    natives: Mutex<Vec<(u64, NativeFn)>>,
    constant: bool,
}

/// Address of the first instruction.
pub(crate) const BASE: u64 = 0x10_0000;

impl Code {
    pub(crate) fn new(code: &[[u8; 4]]) -> &'static Code {
        Code::with(code, true)
    }

    /// The same, which can change before an instruction says so.
    pub(crate) fn changeable(code: &[[u8; 4]]) -> &'static Code {
        Code::with(code, false)
    }

    fn with(code: &[[u8; 4]], constant: bool) -> &'static Code {
        Box::leak(Box::new(Code { bytes: Mutex::new(code.concat()), natives: Mutex::default(), constant }))
    }

    /// While the result lives, no thread is inside of it.
    pub(crate) fn still(&self) -> impl Sized + '_ {
        (self.bytes.lock().unwrap(), self.natives.lock().unwrap())
    }

    pub(crate) fn set(&self, index: usize, insn: [u8; 4]) {
        self.bytes.lock().unwrap()[index * 4..index * 4 + 4].copy_from_slice(&insn);
    }

    pub(crate) fn intercept(&self, index: u64, function: NativeFn) {
        self.natives.lock().unwrap().push((BASE + 4 * index, function));
    }
}

impl Hooks for &'static Code {
    fn fetch(&self, pc: u64, buf: &mut [u8]) -> usize {
        let bytes = self.bytes.lock().unwrap();
        let Some(rest) = bytes.get(pc.wrapping_sub(BASE) as usize..) else { return 0 };
        let n = rest.len().min(buf.len());
        buf[..n].copy_from_slice(&rest[..n]);
        n
    }

    fn intercept(&self, pc: u64) -> Option<NativeFn> {
        self.natives.lock().unwrap().iter().find(|(at, _)| *at == pc).map(|(_, function)| *function)
    }

    fn is_constant(&self, _pc: u64, _len: u64) -> bool {
        self.constant
    }
}
