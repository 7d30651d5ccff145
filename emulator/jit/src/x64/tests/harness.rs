//! A guest to test with, and a machine to run one unit on.

use std::cell::Cell;
use std::ptr;
use std::sync::Once;

use ir::guest::*;
use ir::inst::{Attr, Inst, Op, Round, Val};
use ir::unit::{Boundary, Exit, ExitKind, Put, Unit, UnitKey};
use ir::{GuestState, Ty};

use crate::thread_state::{Entries, JumpEntry, ThreadState};
use crate::x64::stubs::{self, Stubs};
use crate::x64::{Compiled, Compiler, Convention, Features, HostRegs, LinkKind, deferred, interlocks, relocate};

/// 14 words (7 pinned, the last to a vector register), 4 flags, 2 half words (1 pinned), 2 vectors (1 pinned), 2 bytes.
pub(super) const WORDS: u16 = 14;
pub(super) const FLAGS: u16 = WORDS;
pub(super) const HALVES: u16 = FLAGS + 4;
pub(super) const VECTORS: u16 = HALVES + 2;
pub(super) const BYTES: u16 = VECTORS + 2;
pub(super) const SLOTS: u16 = BYTES + 2;

const fn slot(ty: Ty, offset: u16) -> SlotDesc {
    SlotDesc { name: "", ty, offset }
}

static SLOT_TABLE: [SlotDesc; SLOTS as usize] = {
    let mut t = [slot(Ty::I64, 0); SLOTS as usize];
    let mut i = 0;
    while i < SLOTS {
        t[i as usize] = match i {
            0..FLAGS => slot(Ty::I64, i * 8),
            FLAGS..HALVES => slot(Ty::I1, 128 + i),
            HALVES..VECTORS => slot(Ty::I32, 160 + (i - HALVES) * 4),
            VECTORS..BYTES => slot(Ty::I128, 192 + (i - VECTORS) * 16),
            _ => slot(Ty::I8, 240 + i - BYTES),
        };
        i += 1;
    }
    t
};

static VECTOR_PINS: [Slot; 2] = [Slot(VECTORS), Slot(13)];
static PINS: [Slot; 8] = [Slot(0), Slot(1), Slot(2), Slot(3), Slot(4), Slot(5), Slot(6), Slot(HALVES)];

fn add_to_slot(state: &mut GuestState, args: &[u128]) -> u128 {
    let sum = state.get(&GUEST, Slot(8)).wrapping_add(args[0]) & Ty::I64.mask();
    state.set(&GUEST, Slot(8), sum);
    state.set(&GUEST, Slot(0), args[1]);
    sum
}

fn sum_of_three(_: &mut GuestState, args: &[u128]) -> u128 {
    args.iter().fold(0, |a, b| a.wrapping_add(*b))
}

static HELPERS: [HelperDesc; 2] = [
    HelperDesc { name: "sum_of_three", call: sum_of_three, pure: true, state: false, extended: None },
    HelperDesc { name: "add_to_slot", call: add_to_slot, pure: false, state: true, extended: None },
];

pub(in crate::x64) static GUEST: Guest = Guest {
    name: "test",
    slots: &SLOT_TABLE,
    pins: &PINS,
    vector_pins: &VECTOR_PINS,
    flags: &[Slot(FLAGS), Slot(FLAGS + 1), Slot(FLAGS + 2), Slot(FLAGS + 3)],
    sp: Slot(5),
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
    fp_mode: |_| FpMode { round: Round::Even, flush_inputs: false, flush_results: false, default_nan: true },
    fp_mode_bits: u32::MAX,
    helpers: &HELPERS,
    elf: ElfDesc { machine: 0, class: 64, big_endian: false, flags: 0 },
    process: ProcessDesc {
        entry_sp_align: 16,
        hwcap: 0,
        hwcap2: 0,
        platform: "",
        machine: "",
        tls: Slot(9),
        ifunc: ir::guest::IfuncArgs::None,
    },
    syscall: SyscallDesc { number: Slot(0), args: &[], stack_args: None, ret: Slot(0), error: None },
    abi: AbiDesc::bare(Some(Slot(1))),
    native_call: None,
};

// ------------------------------------------------------------------ writing units
/// Writes instructions down as they are, without the builder's folds.
pub(super) struct Writer {
    pub(super) unit: Unit,
}

pub(super) const PC: u64 = 0x10_0000;

impl Writer {
    pub(super) fn new() -> Writer {
        let unit = Unit { key: UnitKey { pc: PC, mode: 0 }, guest_len: 4, ..Unit::default() };
        let mut w = Writer { unit };
        w.boundary(PC);
        w
    }

    pub(super) fn boundary(&mut self, pc: u64) {
        let pos = self.unit.insts.len() as u32;
        self.unit.bounds.push(Boundary { pos, pc, mode: 0 });
    }

    pub(super) fn op(&mut self, op: Op, ty: Ty, attr: Attr, args: &[Val]) -> Val {
        let mut a = [Val::NONE; 3];
        a[..args.len()].copy_from_slice(args);
        self.unit.insts.push(Inst { op, ty, attr, args: a });
        Val(self.unit.insts.len() as u32 - 1)
    }

    pub(super) fn konst(&mut self, ty: Ty, value: u128) -> Val {
        self.unit.consts.push(value & ty.mask());
        self.op(Op::Const, ty, Attr(self.unit.consts.len() as u32 - 1), &[])
    }

    pub(super) fn get(&mut self, slot: u16) -> Val {
        self.op(Op::Get, SLOT_TABLE[slot as usize].ty, Attr(u32::from(slot)), &[])
    }

    pub(super) fn put(&mut self, slot: u16, val: Val) {
        let pos = self.unit.insts.len() as u32;
        self.unit.puts.push(Put { pos, slot: Slot(slot), val });
    }

    pub(super) fn exit(&mut self, kind: ExitKind, target: u64) -> Attr {
        let pc = self.unit.bounds.last().map_or(PC, |b| b.pc);
        self.unit.exits.push(Exit { kind, target, mode: 0, mode_in_state: false, ret: pc + 4, ret_mode: 0, pc });
        Attr(self.unit.exits.len() as u32 - 1)
    }

    pub(super) fn end(mut self, target: u64) -> Unit {
        let exit = self.exit(ExitKind::Jump, target);
        self.op(Op::Exit, Ty::I64, exit, &[]);
        self.unit
    }
}

// ------------------------------------------------------------------ running them
/// Guest memory of the tests: readable bytes followed by a page that is not.
pub(super) const MEMORY: usize = 4096;

/// Code memory, guest memory and a thread.
pub(super) struct Machine {
    code: *mut u8,
    pub(super) memory: *mut u8,
    stubs: Stubs,
    first: usize,
    pub(super) thread: Box<ThreadState>,
    pub(super) compiler: Compiler,
    jump_cache: Box<[JumpEntry]>,
    return_stack: Vec<u64>,
    /// The unit executed last was for shared memory.
    shared: bool,
}

const CODE_BYTES: usize = 1 << 20;

thread_local! {
    static RUNNING: Cell<*const Running> = const { Cell::new(ptr::null()) };
}

/// What the fault handler needs to know.
struct Running {
    compiled: *const Compiled,
    base: u64,
    stubs: Stubs,
    thread: *mut ThreadState,
    conv: Convention,
}

fn map(bytes: usize, protection: i32) -> *mut u8 {
    // SAFETY: a fresh anonymous mapping.
    let p = unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS, -1, 0) };
    assert_ne!(p, libc::MAP_FAILED);
    p.cast()
}

unsafe extern "sysv64" fn link(thread: *mut ThreadState, site: u64) -> u64 {
    let r = RUNNING.get();
    // SAFETY: `run` keeps what it points to while generated code runs.
    let (r, thread) = unsafe { (&*r, &mut *thread) };
    // SAFETY: as above.
    let links = unsafe { &(*r.compiled).links };
    let link = links.iter().find(|l| r.base + u64::from(l.at) + 4 == site).expect("a link of this unit");
    thread.jit_sp += if link.kind == LinkKind::Call { 0 } else { 8 };
    thread.guest.pc = link.target.pc;
    0
}

unsafe extern "sysv64" fn settle(thread: *mut ThreadState) {
    // SAFETY: called from generated code, which waits for the end.
    deferred::settle(&Convention::new(&GUEST), unsafe { &mut *thread });
}

unsafe extern "sysv64" fn lookup(_: *mut ThreadState) -> u64 {
    0
}

extern "C" fn on_fault(_: i32, _: *mut libc::siginfo_t, ctx: *mut libc::c_void) {
    // SAFETY: the kernel's context; `run` keeps what RUNNING points to.
    let (ctx, r) = unsafe { (&mut *ctx.cast::<libc::ucontext_t>(), RUNNING.get().as_ref()) };
    let gregs = &mut ctx.uc_mcontext.gregs;
    let order = [
        libc::REG_RAX,
        libc::REG_RCX,
        libc::REG_RDX,
        libc::REG_RBX,
        libc::REG_RSP,
        libc::REG_RBP,
        libc::REG_RSI,
        libc::REG_RDI,
        libc::REG_R8,
        libc::REG_R9,
        libc::REG_R10,
        libc::REG_R11,
        libc::REG_R12,
        libc::REG_R13,
        libc::REG_R14,
        libc::REG_R15,
    ];
    let gpr = order.map(|k| gregs[k as usize] as u64);
    // SAFETY: the kernel always gives the vector state here.
    let fp = unsafe { &*ctx.uc_mcontext.fpregs };
    let xmm = std::array::from_fn(|i| fp._xmm[i].element.iter().rev().fold(0u128, |v, &e| v << 32 | u128::from(e)));
    let restored = r.and_then(|r| {
        let offset = (gregs[libc::REG_RIP as usize] as u64).wrapping_sub(r.base) as u32;
        // SAFETY: generated code is interrupted; nobody else uses the block.
        let (table, thread) = unsafe { (&(*r.compiled).faults, &mut *r.thread) };
        thread.exit_kind = u32::MAX;
        table.points().restore(&GUEST, &r.conv, offset, &HostRegs { gpr, xmm }, thread)
    });
    match (r, restored) {
        (Some(r), Some(_)) => gregs[libc::REG_RIP as usize] = r.stubs.leave_memory as i64,
        // SAFETY: back to dying of it.
        _ => unsafe {
            libc::signal(libc::SIGSEGV, libc::SIG_DFL);
        },
    }
}

fn install_handler() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: a plain installation.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = on_fault as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            libc::sigaction(libc::SIGSEGV, &raw const action, ptr::null_mut());
        }
    });
    let stack = map(1 << 16, libc::PROT_READ | libc::PROT_WRITE);
    let alt = libc::stack_t { ss_sp: stack.cast(), ss_flags: 0, ss_size: 1 << 16 };
    // SAFETY: the stack is ours and stays mapped.
    unsafe { libc::sigaltstack(&raw const alt, ptr::null_mut()) };
}

impl Machine {
    pub(super) fn new(features: Features) -> Machine {
        install_handler();
        let rwx = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let code = map(CODE_BYTES, rwx);
        let memory = map(MEMORY * 2, libc::PROT_READ | libc::PROT_WRITE);
        // SAFETY: the second page is ours.
        unsafe { libc::mprotect(memory.add(MEMORY).cast(), MEMORY, libc::PROT_NONE) };
        let conv = Convention::new(&GUEST);
        let (bytes, stubs) = stubs::emit(&GUEST, &conv, code as u64);
        // SAFETY: they fit.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), code, bytes.len()) };
        let mut jump_cache = vec![JumpEntry::empty(stubs.lookup); 16].into_boxed_slice();
        let mut return_stack = vec![0u64; 1024];
        let entries = Entries {
            link,
            lookup,
            generic: crate::x64::generic::evaluate,
            helper: crate::x64::generic::call_helper,
            settle,
        };
        let mut thread = Box::new(ThreadState::new(&GUEST, entries));
        (thread.jump_base, thread.jump_mask) = (jump_cache.as_mut_ptr(), 15 * 16);
        thread.jit_sp = return_stack.as_mut_ptr() as u64 + 512 * 8;
        let mut compiler = Compiler::new(&GUEST, conv, features);
        compiler.prove = true;
        let first = bytes.len().next_multiple_of(64);
        Machine { code, memory, stubs, first, thread, compiler, jump_cache, return_stack, shared: false }
    }

    pub(super) fn compile(&mut self, unit: &Unit) -> Compiled {
        self.compiler.compile(unit).expect("fits").clone()
    }

    /// Runs a unit from its start until it leaves.
    pub(super) fn run(&mut self, compiled: &Compiled) {
        assert!(compiled.code.len() + self.first < CODE_BYTES && self.jump_cache.len() == 16);
        let base = self.code as u64 + self.first as u64;
        let mut copy = compiled.code.clone();
        relocate(&compiled.relocs, &compiled.links, &mut copy, base, &self.stubs);
        // Nothing may depend on whether memory is shared.
        self.shared = !self.shared;
        if self.shared {
            interlocks::flip(&mut copy, &compiled.interlocks);
        }
        self.thread.jit_sp = self.return_stack.as_mut_ptr() as u64 + 512 * 8;
        let running =
            Running { compiled, base, stubs: self.stubs, thread: &raw mut *self.thread, conv: Convention::new(&GUEST) };
        RUNNING.set(&raw const running);
        // SAFETY: the code memory is large enough; the stub is what its description says.
        unsafe {
            ptr::copy_nonoverlapping(copy.as_ptr(), base as *mut u8, copy.len());
            let enter: unsafe extern "sysv64" fn(*mut ThreadState, u64) = std::mem::transmute(self.stubs.enter);
            enter(&raw mut *self.thread, base);
        }
        RUNNING.set(ptr::null());
        deferred::settle(&running.conv, &mut self.thread);
    }
}
