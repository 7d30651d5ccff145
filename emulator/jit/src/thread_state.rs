//! The per-thread block that generated code addresses: guest registers and what the translator needs at hand.
//!
//! `rbp` holds [`ThreadState::anchor`], the address of the block plus [`ANCHOR`], so that what exits write and read, and the first
//! guest registers behind it, are reachable with an 8-bit displacement: 256 bytes. Fields are `pub` because the dispatcher, the fault handler and the
//! code generator all work on them; offsets are taken with `offset_of!`, never written down.

use std::mem::offset_of;
use std::sync::atomic::{AtomicBool, AtomicU32};

use ir::{Guest, GuestState};

/// Distance from the start of [`ThreadState`] to the address in `rbp`.
pub const ANCHOR: usize = offset_of!(ThreadState, deferred) + 128;

/// 16-byte spill slots of a unit.
pub const SPILLS: usize = 256;

/// Operand and result slots of a helper call.
pub const SCRATCH: usize = 8;

/// Turns of short loops that are counted before the one that turns is called hot: unrolling it takes as long as some
/// thousand turns.
pub const TURNS: i32 = 1 << 14;

/// One entry of the jump cache: 16 bytes.
///
/// The entry for a guest address is at byte `(pc * (16 / insn_align)) & jump_mask` of the table.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct JumpEntry {
    /// [`jump_tag`] of the unit; [`JumpEntry::NO_TAG`] in empty entries.
    pub tag: u64,
    /// Host address of the unit's entry.
    pub host: u64,
}

impl JumpEntry {
    /// Tag of an empty entry. No instruction is there, but a guest can jump to it, so that the entry's host address must
    /// be good to go to.
    pub const NO_TAG: u64 = u64::MAX;

    /// An empty entry, which leads to the stub at `miss`.
    #[must_use]
    pub const fn empty(miss: u64) -> JumpEntry {
        JumpEntry { tag: JumpEntry::NO_TAG, host: miss }
    }
}

/// The word that jump-cache entries and lookups compare: the address, with the mode, which has 16 bits, in its unused top bits.
#[must_use]
pub const fn jump_tag(pc: u64, mode: u32) -> u64 {
    pc ^ (mode as u64) << 48
}

/// What, in bytes, the second place of a jump-cache entry differs by from the first: that of an address that is there in another mode.
#[must_use]
pub const fn second_place(mode: u32) -> u32 {
    mode.wrapping_mul(SPREAD) >> SECOND_SHIFT
}

/// What modes are multiplied with to be spread.
pub const SPREAD: u32 = 0x9e37_79b1;
/// Leaves the bits of the largest jump cache.
pub const SECOND_SHIFT: u32 = 12;

/// Why generated code left to Rust; the value of [`ThreadState::exit_kind`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u32)]
pub enum Leave {
    /// The poll flag was set; `pc` is where to go on.
    Poll = 0,
    /// System call; `pc` is the next instruction.
    Syscall = 1,
    /// Continue at `pc` under the mode in the state.
    Redispatch = 2,
    /// Invalidate the `exit_len` bytes at `exit_operand` (0: everything that can change), continue at `pc`.
    Flush = 3,
    /// Native call at `pc`; `exit_operand` is the address of the function's name.
    NativeCall = 4,
    /// `Trap::Undefined` at `pc`.
    Undefined = 5,
    /// `Trap::Breakpoint(exit_operand)`.
    Breakpoint = 6,
    /// `Trap::IntegerOverflow`.
    IntegerOverflow = 7,
    /// `Trap::DivideByZero`.
    DivideByZero = 8,
    /// `Trap::Trap(exit_operand)`.
    Trap = 9,
    /// `Trap::Alignment`; `exit_operand` is the data address.
    Alignment = 10,
    /// `link` or `lookup` returned 0: the dispatcher has noted the reason itself.
    Dispatcher = 11,
    /// A signal came while a direct system call waited, or just before; `pc` is the next instruction.
    CallInterrupted = 12,
    /// A direct system call met a bad address; `pc` is the next instruction.
    CallFailed = 13,
    /// What the unit at `pc` assumes about the state is wrong: nothing has been executed.
    Assumed = 14,
    /// The instruction at `pc` is to be interpreted, with what it stores noticed.
    Step = 15,
}

/// Rust functions that stubs call, on the host stack and with the guest's registers in memory (except as noted).
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Entries {
    /// A link was taken for the first time: `site` is the host address behind it ([`crate::x64::Link`]), which is on top of
    /// the return stack, to be popped if the link is no call.
    /// The guest pc and mode are those of the link's target (the mode is in the state, the pc is *not*). Returns the host
    /// address to continue at, or 0 to leave.
    pub link: unsafe extern "sysv64" fn(*mut ThreadState, site: u64) -> u64,
    /// The jump cache has no entry for `state.pc` and `state.mode`. Returns the host address, or 0 to leave.
    pub lookup: unsafe extern "sysv64" fn(*mut ThreadState) -> u64,
    /// Evaluates the operation described by `desc` and `attr` on `scratch` ([`crate::x64::generic`]). Guest registers are
    /// *not* in memory.
    pub generic: unsafe extern "sysv64" fn(*mut ThreadState, desc: u64, attr: u64),
    /// Calls `extern fn` number `id` with `count` arguments from `scratch`; result in `scratch[0]`. Guest registers are in
    /// memory if the helper's description says so.
    pub helper: unsafe extern "sysv64" fn(*mut ThreadState, id: u64, count: u64),
    /// Brings deferred flags home. Guest registers are *not* in memory.
    pub settle: unsafe extern "sysv64" fn(*mut ThreadState),
}

/// Condition flags that are not at home: what they are of. See `x64/deferred.rs`.
#[repr(C)]
#[derive(Clone, Copy, Default, Debug)]
pub struct Deferred {
    /// The comparison's operands.
    pub a: u64,
    /// The second one.
    pub b: u64,
    /// Which comparison, and which flag is which of its conditions; 0 when the flags are at home.
    pub what: u32,
}

/// The control register for a mode, for generated code that changes it.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct Control {
    /// Mode word.
    pub mode: u32,
    /// MXCSR without flags.
    pub mxcsr: u32,
}

impl Control {
    /// As many as there are places.
    pub const PLACES: usize = 16;

    /// None: in each place there is a mode that does not belong there.
    #[must_use]
    pub fn none() -> [Control; Control::PLACES] {
        let mut all = [Control { mode: 0, mxcsr: 0 }; Control::PLACES];
        all[Control::place(0)].mode = 1;
        all
    }

    /// Where that of the mode is.
    #[must_use]
    pub fn place(mode: u32) -> usize {
        (mode.wrapping_mul(SPREAD) >> (32 - Control::PLACES.trailing_zeros())) as usize
    }
}

/// Everything generated code reads and writes besides guest memory.
#[repr(C, align(64))]
pub struct ThreadState {
    /// First entry of the jump cache.
    pub jump_base: *mut JumpEntry,
    /// Bytes of the jump cache minus 16: selects an entry.
    pub jump_mask: u64,
    /// Entries of direct system calls, by number.
    pub direct_calls: *const u64,
    /// How many there are.
    pub direct_len: u64,
    /// Condition flags left as a comparison. In force only while generated code runs.
    pub deferred: Deferred,
    /// Non-zero asks generated code to leave at the next poll. Set by signal handlers and other threads.
    pub poll: AtomicU32,
    /// Turns of short loops until one of them is called hot.
    pub turns: i32,
    /// Guest registers.
    pub guest: GuestState,
    /// [`Leave`] as a number.
    pub exit_kind: u32,
    /// Depends on `exit_kind`.
    pub exit_operand: u64,
    /// Bytes of a flush.
    pub exit_len: u32,
    /// Written by full fences (`lock or`), never read.
    pub fence_pad: u32,
    /// A byte: whether the thread may hold translations.
    pub inside: *const AtomicBool,
    /// What can change of the code that something was made of; 0: nothing has to be dropped.
    pub changeable: *const AtomicU32,
    /// Where to go on after a direct system call.
    pub resume: u64,
    /// Host stack pointer while in generated code, 16-byte aligned.
    pub host_sp: u64,
    /// Return-stack pointer while in Rust.
    pub jit_sp: u64,
    /// MXCSR of generated code: rounding and flushing of the guest's mode, sticky flags, all exceptions masked.
    pub mxcsr_guest: u32,
    /// MXCSR of Rust code.
    pub mxcsr_host: u32,
    /// Scratch word for `stmxcsr`.
    pub mxcsr_temp: u32,
    /// Native function that a thunk is calling: its number plus 1, or 0. The guest state is complete in memory then.
    pub native_under_way: u32,
    /// Native function at `pc` whose call is to be measured: its number plus 1, or 0.
    pub native_sample: u32,
    /// Native function that left the call at `pc` to the guest's own code: its number plus 1, or 0.
    pub native_declined: u32,
    /// Counters of native calls, by number: [`crate::native_counters::Block`].
    pub native_counts: *const u8,
    /// Rust functions.
    pub entries: Entries,
    /// The guest, for helpers.
    pub guest_desc: *const Guest,
    /// The dispatcher's own per-thread structure.
    pub owner: *mut u8,
    /// Operands and results of helper calls.
    pub scratch: [u128; SCRATCH],
    /// Spilled values of the running unit.
    pub spill: [u128; SPILLS],
    /// MXCSR and the state's flags at the last `keepfflags`.
    pub mxcsr_kept: u32,
    /// See `mxcsr_kept`.
    pub fflags_kept: u32,
    /// Registers that a stub saves while it brings deferred flags home.
    pub settling: [u64; 2],
    /// What `mxcsr_guest` is in modes that generated code has been entered in, each in its place.
    pub controls: [Control; Control::PLACES],
}

/// For who has not said what can change.
static ANYTHING: AtomicU32 = AtomicU32::new(1);

impl ThreadState {
    /// Fresh guest state; the dispatcher fills in the pointers before generated code runs.
    #[must_use]
    pub fn new(guest: &'static Guest, entries: Entries) -> ThreadState {
        ThreadState {
            guest: GuestState::new(guest),
            poll: AtomicU32::new(0),
            turns: TURNS,
            exit_kind: Leave::Dispatcher as u32,
            exit_operand: 0,
            exit_len: 0,
            fence_pad: 0,
            jump_base: std::ptr::null_mut(),
            jump_mask: 0,
            direct_calls: std::ptr::null(),
            direct_len: 0,
            inside: std::ptr::null(),
            changeable: &raw const ANYTHING,
            resume: 0,
            host_sp: 0,
            jit_sp: 0,
            mxcsr_guest: 0x1f80,
            mxcsr_host: 0x1f80,
            mxcsr_kept: 0,
            fflags_kept: 0,
            mxcsr_temp: 0,
            controls: Control::none(),
            deferred: Deferred::default(),
            native_under_way: 0,
            native_sample: 0,
            native_declined: 0,
            native_counts: std::ptr::null(),
            entries,
            guest_desc: guest,
            owner: std::ptr::null_mut(),
            scratch: [0; SCRATCH],
            spill: [0; SPILLS],
            settling: [0; 2],
        }
    }

    /// Value of `rbp` in generated code.
    #[must_use]
    pub fn anchor(&mut self) -> u64 {
        std::ptr::from_mut(self) as u64 + ANCHOR as u64
    }
}

/// Displacement from `rbp` of a byte offset in [`ThreadState`].
#[must_use]
pub const fn disp(offset: usize) -> i32 {
    offset as i32 - ANCHOR as i32
}

/// Displacement from `rbp` of a byte offset in `GuestState::slots`.
#[must_use]
pub const fn slot_disp(offset: u16) -> i32 {
    disp(offset_of!(ThreadState, guest) + offset_of!(GuestState, slots) + offset as usize)
}
