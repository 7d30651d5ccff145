//! Shape of the signal frame of each guest: data, from `signal_frame` in `isa-specs/<arch>/linux.abi`.

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
    /// Address of the frame's field at this offset; not read back.
    Address(u64),
    /// The guest's number of the signal; not read back.
    Signal,
    /// `count` slots of a bank, `stride` bytes apart, the first of which a context says.
    Rotated(&'static str, u32, u64, &'static str),
}

/// A part of a packed word.
#[derive(Clone, Copy, Debug)]
pub enum Part {
    /// A slot's low `width` bits, at bit `lo`: (name, lo, width).
    Slot(&'static str, u32, u32),
    /// A translate-time context, or so many of its bits from one on, at bit `lo`: (name, (first, count), lo).
    Context(&'static str, Option<(u32, u32)>, u32),
    /// A constant at bit `lo`: (value, lo); not read back.
    Const(u32, u32),
    /// A sticky floating-point flag: (number in the order of `fflags`, lo).
    Flag(u32, u32),
    /// 1 where a slot has an even number of ones: (name, lo).
    Parity(&'static str, u32),
    /// A slot's low `width` bits, inverted, at bit `lo`: (name, lo, width).
    Inverted(&'static str, u32, u32),
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
    /// Alignment of its fields.
    pub align: u64,
    /// Offset of the `siginfo_t`.
    pub siginfo: Option<u64>,
    /// Offset of the `ucontext_t`.
    pub ucontext: Option<u64>,
    /// Offset of the alternate stack in it.
    pub stack: Option<u64>,
    /// Offset and bytes of the parts of the signal mask, the first signals first.
    pub mask: &'static [(u64, u64)],
    /// Bytes of the frame that the code which returns has taken from the stack.
    pub popped: u64,
    /// Bytes below the stack pointer that are in use.
    pub red_zone: u64,
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
    /// The same while a context is not 0: context and bytes.
    pub syscall_len_while: &'static [(&'static str, u64)],
    /// Slots that are 0 while a context is, whatever a frame to return to has in their places.
    pub zero_without: &'static [(&'static str, &'static str)],
    /// Code that calls `rt_sigreturn`, recognised by unwinders.
    pub sigreturn: &'static [u8],
    /// The part of the frame that handlers without `SA_SIGINFO` get, where they get less.
    pub plain: Option<PlainFrame>,
}

/// The end of the frame, which handlers without `SA_SIGINFO` find at their stack pointer.
#[derive(Clone, Copy, Debug)]
pub struct PlainFrame {
    /// Offset of its start in the frame.
    pub at: u64,
    /// Code that calls `sigreturn`.
    pub sigreturn: &'static [u8],
}
