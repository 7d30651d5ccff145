//! Shape of the signal frame of each guest, as data.

/// Where a frame field's value comes from, and goes to on return.
#[derive(Clone, Copy, Debug)]
pub enum Source {
    /// State slot by name.
    Slot(&'static str),
    /// `count` slots `name[first]`, `name[first + 1]` …, `stride` bytes apart.
    Slots(&'static str, u32, u32, u64),
    /// Program counter.
    Pc,
    /// A 32- or 64-bit word put together from parts.
    Packed(&'static [Part]),
    /// Address of the fault; not read back.
    FaultAddress,
    /// A constant; not read back.
    Word(u64),
}

/// A part of a packed word.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// A slot's low `width` bits, at bit `lo`: (name, lo, width).
    Slot(&'static str, u32, u32),
    /// A translate-time context at bit `lo`: (name, lo).
    Context(&'static str, u32),
    /// A sticky floating-point flag: (number in the order of `fflags`, lo).
    Flag(u32, u32),
}

/// A field of the frame.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Byte offset in the frame.
    pub at: u64,
    /// Bytes of one element.
    pub size: u32,
    /// Value.
    pub source: Source,
}

/// The signal frame and what surrounds it.
#[derive(Debug)]
pub struct FrameLayout {
    /// Guest instance it belongs to.
    pub guest: &'static str,
    /// Bytes of the frame (`struct rt_sigframe`).
    pub size: u64,
    /// Offset of the `siginfo_t`.
    pub siginfo: u64,
    /// Offset of the `ucontext_t`; flags, link, stack and mask are laid out alike on all 64-bit guests.
    pub ucontext: u64,
    /// Processor state.
    pub fields: &'static [Field],
    /// A frame record (frame pointer, return address) above the frame: names of the two slots; the first then points to it.
    pub record: Option<(&'static str, &'static str)>,
    /// `struct sigaction` has a restorer.
    pub has_restorer: bool,
    /// Smallest alternate stack.
    pub min_stack: u64,
    /// Bytes of the system-call instruction.
    pub syscall_len: u64,
    /// Code that calls `rt_sigreturn`, recognised by unwinders.
    pub sigreturn: &'static [u8],
}

impl FrameLayout {
    /// The layout of a guest.
    #[must_use]
    pub fn of(guest: &ir::Guest) -> Option<&'static FrameLayout> {
        LAYOUTS.iter().copied().find(|layout| layout.guest == guest.name)
    }
}

const LAYOUTS: &[&FrameLayout] = &[&AARCH64, &RISCV64];

const fn field(at: u64, size: u32, source: Source) -> Field {
    Field { at, size, source }
}

/// `struct sigcontext` follows the 128-byte `siginfo_t` and 176 bytes of `ucontext_t`; its extension area starts at +288
/// with the floating-point record, ended by an empty one.
const AARCH64: FrameLayout = FrameLayout {
    guest: "aarch64",
    size: 304 + 288 + 4096,
    siginfo: 0,
    ucontext: 128,
    fields: &[
        field(304, 8, Source::FaultAddress),
        field(304 + 8, 8, Source::Slots("gpr", 0, 31, 8)),
        field(304 + 256, 8, Source::Slot("SP")),
        field(304 + 264, 8, Source::Pc),
        field(
            304 + 272,
            8,
            Source::Packed(&[
                Part::Slot("N", 31, 1),
                Part::Slot("Z", 30, 1),
                Part::Slot("C", 29, 1),
                Part::Slot("V", 28, 1),
            ]),
        ),
        field(592, 4, Source::Word(0x4650_8001)),
        field(596, 4, Source::Word(528)),
        field(
            600,
            4,
            Source::Packed(&[
                Part::Flag(0, 0),
                Part::Flag(2, 1),
                Part::Flag(3, 2),
                Part::Flag(4, 3),
                Part::Flag(5, 4),
                Part::Flag(1, 7),
                Part::Slot("QC", 27, 1),
            ]),
        ),
        field(604, 4, Source::Packed(&[Part::Context("fpcr", 22)])),
        field(608, 16, Source::Slots("vreg", 0, 32, 16)),
        field(592 + 528, 8, Source::Word(0)),
    ],
    record: Some(("gpr[29]", "gpr[30]")),
    has_restorer: true,
    min_stack: 5120,
    syscall_len: 4,
    sigreturn: &[0x68, 0x11, 0x80, 0xd2, 0x01, 0x00, 0x00, 0xd4], // mov x8, #139; svc #0
};

/// `ucontext_t` has its registers at +176: pc, x1..x31, then 32 doubles and `fcsr` in a 528-byte union.
const RISCV64: FrameLayout = FrameLayout {
    guest: "riscv64",
    size: 128 + 176 + 256 + 528,
    siginfo: 0,
    ucontext: 128,
    fields: &[
        field(304, 8, Source::Pc),
        field(304 + 8, 8, Source::Slots("gpr", 1, 31, 8)),
        field(304 + 256, 8, Source::Slots("fpr", 0, 32, 8)),
        field(
            304 + 512,
            4,
            Source::Packed(&[
                Part::Flag(5, 0),
                Part::Flag(4, 1),
                Part::Flag(3, 2),
                Part::Flag(2, 3),
                Part::Flag(0, 4),
                Part::Context("frm", 5),
            ]),
        ),
    ],
    record: None,
    has_restorer: false,
    min_stack: 2048,
    syscall_len: 4,
    sigreturn: &[0x93, 0x08, 0xb0, 0x08, 0x73, 0x00, 0x00, 0x00], // li a7, 139; ecall
};
