//! The interface of one architecture with every name resolved: what emission reads.

use std::collections::BTreeMap;

pub use super::ast::{Dir, SetKind};
use super::report::Span;

/// How an integer is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Decimal.
    Dec,
    /// `0x…`.
    Hex,
    /// User or group: -1 for the largest value.
    Id,
    /// File mode: type by name, permissions in octal.
    Mode,
    /// `makedev(major, minor)`.
    Dev,
    /// Descriptor.
    Fd,
    /// Descriptor or `AT_FDCWD`.
    FdAt,
    /// Address or `NULL`.
    Addr,
    /// Resource limit: `RLIM64_INFINITY` for the largest value.
    Rlim,
    /// Exit status as `wait` reports it.
    WaitStatus,
    /// Signal handler: address, `SIG_DFL`, `SIG_IGN`.
    Sighandler,
    /// Compared with memory that the kernel reads: in the order of its bytes.
    Memory,
}

impl Format {
    /// Name in the language and in generated code.
    pub const ALL: [(&'static str, &'static str, Format); 12] = [
        ("dec", "Dec", Format::Dec),
        ("hex", "Hex", Format::Hex),
        ("id", "Id", Format::Id),
        ("mode", "Mode", Format::Mode),
        ("dev", "Dev", Format::Dev),
        ("fd", "Fd", Format::Fd),
        ("fd_at", "FdAt", Format::FdAt),
        ("addr", "Addr", Format::Addr),
        ("rlim", "Rlim", Format::Rlim),
        ("wait_status", "WaitStatus", Format::WaitStatus),
        ("sighandler", "Sighandler", Format::Sighandler),
        ("memory", "Memory", Format::Memory),
    ];
}

/// Sequences of bytes with a meaning of their own; names of built-in types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bytes {
    /// Text or data, printed as a string.
    Bytes,
    /// Data nobody would read.
    Raw,
    /// NUL-padded text.
    Text,
    /// Socket address.
    Sockaddr,
    /// Signal set.
    Sigset,
    /// Signal set that replaces the thread's mask while the call waits.
    Sigmask,
    /// `select`'s set of descriptors; the length is in bits.
    Fdset,
    /// Control messages of sockets.
    Control,
}

impl Bytes {
    /// Name in the language and in generated code.
    pub const ALL: [(&'static str, &'static str, Bytes); 8] = [
        ("bytes", "Bytes", Bytes::Bytes),
        ("raw", "Raw", Bytes::Raw),
        ("text", "Text", Bytes::Text),
        ("sockaddr", "Sockaddr", Bytes::Sockaddr),
        ("sigset", "Sigset", Bytes::Sigset),
        ("sigmask", "Sigmask", Bytes::Sigmask),
        ("fdset", "Fdset", Bytes::Fdset),
        ("control", "Control", Bytes::Control),
    ];
}

/// Things behind a pointer that end by themselves; names of built-in types.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Terminated {
    /// NUL-terminated string.
    Cstr,
    /// Path looked up under the sysroot.
    Path,
    /// The same, meaning a symbolic link itself and not what it leads to.
    Link,
    /// Path of the host's, of a name that the call makes, removes or gives another meaning.
    Entry,
    /// NULL-terminated array of strings.
    Strings,
    /// The same, of which a trace prints the count.
    Environment,
}

impl Terminated {
    /// Name in the language and in generated code.
    pub const ALL: [(&'static str, &'static str, Terminated); 6] = [
        ("cstr", "Cstr", Terminated::Cstr),
        ("path", "Path", Terminated::Path),
        ("link", "Link", Terminated::Link),
        ("entry", "Entry", Terminated::Entry),
        ("strings", "Strings", Terminated::Strings),
        ("environment", "Environment", Terminated::Environment),
    ];
}

/// Number of elements; indices are of arguments (of a call) or fields (of a structure).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Len {
    /// Known.
    Fixed(u64),
    /// Value of a member.
    Member(usize),
    /// Behind a pointer member.
    Behind(usize),
}

/// A type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ty {
    /// Not an argument in this case.
    None,
    /// Integer.
    Int {
        /// Bytes.
        size: u64,
        /// Sign.
        signed: bool,
        /// Printing.
        format: Format,
        /// It is the architecture's word.
        word: bool,
    },
    /// Named constants.
    Set(String),
    /// Structure.
    Struct(String),
    /// Pointer.
    Ptr(Dir, Box<Ty>),
    /// Array.
    Array(Box<Ty>, Len),
    /// Bytes.
    Bytes(Bytes, Len),
    /// Self-terminating.
    Terminated(Terminated),
    /// Depends on an argument.
    Select {
        /// The argument.
        on: usize,
        /// Bits that count.
        mask: u64,
        /// Values and types.
        cases: Vec<(Vec<u64>, Ty)>,
        /// Otherwise.
        default: Box<Ty>,
    },
}

/// Constants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Set {
    /// Combine or not.
    pub kind: SetKind,
    /// Integer's size in bytes.
    pub size: u64,
    /// Integer's sign.
    pub signed: bool,
    /// The integer is the architecture's word.
    pub word: bool,
    /// Name, value, mask: `v & mask == value` means it is present.
    pub entries: Vec<(String, u64, u64)>,
    /// Place of its name.
    pub span: Span,
}

/// Field of a structure.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Ty,
    /// Offset in bytes.
    pub offset: u64,
    /// Size in bytes.
    pub size: u64,
    /// A trace prints it.
    pub shown: bool,
}

/// A structure with its layout.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Struct {
    /// Fields in order.
    pub fields: Vec<Field>,
    /// Size in bytes.
    pub size: u64,
    /// Alignment in bytes.
    pub align: u64,
    /// Place of its name.
    pub span: Span,
}

/// Argument of a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Arg {
    /// Name.
    pub name: String,
    /// Type.
    pub ty: Ty,
}

/// Who answers a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Body {
    /// The host's call of that name.
    Plain,
    /// The host's call of this name.
    As(String),
    /// A function of the emulator, of this name.
    Special(String),
    /// Nobody, on purpose.
    Absent,
    /// By the first argument, a register is set to the second or stored where it points: value, whether to set, slot.
    Registers(Vec<(u64, bool, String)>),
    /// By the low half of the first argument, another call.
    Calls(Vec<OneOf>),
    /// One of the [`ThreadAreas`] is set or read: whether to set.
    ThreadArea(bool),
}

/// A call behind one that stands for many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OneOf {
    /// Value of the low half of the first argument.
    pub code: u64,
    /// Name of the call.
    pub call: String,
    /// Its arguments: which argument each is, or points to a table of them, and then which word of it.
    pub args: Vec<(usize, Option<u64>)>,
    /// The argument that points to where the result goes.
    pub result: Option<usize>,
}

/// Segment descriptors that a thread may set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ThreadAreas {
    /// Structure that describes one.
    pub of: String,
    /// Field with its number.
    pub number: String,
    /// Field with its base.
    pub base: String,
    /// Constants of other fields, which are read and not kept.
    pub constants: Vec<(String, u64)>,
    /// Number of the first.
    pub first: u64,
    /// Bank with their bases, and how many there are.
    pub slots: (String, u64, u64),
    /// Selectors and the bases that they load, where descriptors are not looked at again.
    pub loaded: Vec<(String, String)>,
}

/// A described call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Syscall {
    /// Arguments.
    pub args: Vec<Arg>,
    /// Result.
    pub ret: Ty,
    /// Behaviour.
    pub body: Body,
    /// Of a call that replaces another, or is performed as another: where the other's arguments are among these. Who performs
    /// it takes them so.
    pub order: Vec<usize>,
    /// May sleep.
    pub blocks: bool,
    /// ENOSYS is not reported.
    pub quiet: bool,
    /// Place of its name.
    pub span: Span,
}

/// What control messages are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Control {
    /// Structure that each starts with.
    pub header: String,
    /// What its data consists of, one or more of them, by the fields of the header.
    pub data: Ty,
}

/// A part of a packed word of the signal frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Part {
    /// Low bits of a slot: name, lowest bit in the word, width.
    Slot(String, u64, u64),
    /// A translate-time context: name, the context's bits (first and count; all if `None`), lowest bit.
    Context(String, Option<(u64, u64)>, u64),
    /// A constant: value, lowest bit.
    Const(u64, u64),
    /// A sticky floating-point flag: number in the order of the IR's `fflags`, bit.
    Flag(u64, u64),
    /// 1 where a slot has an even number of ones: name, bit.
    Parity(String, u64),
    /// A slot's bits, inverted: name, lowest bit, width.
    Inverted(String, u64, u64),
}

/// What a field of the signal frame holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Save {
    /// A slot.
    Slot(String),
    /// Elements of a bank: name, first index, count.
    Slots(String, u64, u64),
    /// Program counter.
    Pc,
    /// Address of the fault.
    FaultAddress,
    /// Bits from several places.
    Packed(Vec<Part>),
    /// A constant.
    Const(u64),
    /// Address of the field at this offset of the frame.
    Address(u64),
    /// The signal's number.
    Signal,
    /// Elements of a bank: name, count, the context that says which comes first.
    Rotated(String, u64, String),
}

/// The signal frame.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SignalFrame {
    /// Size in bytes.
    pub size: u64,
    /// Alignment of its fields.
    pub align: u64,
    /// Offset of the `siginfo_t`. The frame of handlers that do not ask for one has none.
    pub siginfo: Option<u64>,
    /// Offset of the `ucontext_t`.
    pub ucontext: Option<u64>,
    /// Offset of the alternate stack in it.
    pub stack: Option<u64>,
    /// Offset and size of the parts of the signal mask, the first signals first.
    pub mask: Vec<(u64, u64)>,
    /// Bytes of the frame that the code which returns has taken from the stack.
    pub popped: u64,
    /// Bytes below the stack pointer that are in use.
    pub red_zone: u64,
    /// Offset, element size and contents.
    pub save: Vec<(u64, u64, Save)>,
    /// Frame pointer and return address of a frame record above the frame.
    pub record: Option<(String, String)>,
    /// `struct sigaction` has a restorer.
    pub has_restorer: bool,
    /// Smallest alternate stack in bytes.
    pub min_stack: u64,
    /// Bytes of the system-call instruction.
    pub syscall_len: u64,
    /// The same while a context is not 0: context and bytes.
    pub syscall_len_while: Vec<(String, u64)>,
    /// Slots that are 0 while a context is: slot, context.
    pub zero_without: Vec<(String, String)>,
    /// Code that returns from a handler.
    pub sigreturn: Vec<u8>,
    /// What handlers that do not ask for a `siginfo_t` get of the frame.
    pub plain: Option<PlainFrame>,
}

/// The end of the frame, for handlers that do not ask for a `siginfo_t`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlainFrame {
    /// Offset of its start in the frame.
    pub at: u64,
    /// Code that returns from such a handler.
    pub sigreturn: Vec<u8>,
}

/// Memory at a fixed address that the kernel provides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page {
    /// Address.
    pub at: u64,
    /// Contents.
    pub bytes: Vec<u8>,
}

/// The Linux interface of an architecture.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Abi {
    /// Name.
    pub name: String,
    /// Word in bytes.
    pub word: u64,
    /// Big-endian data.
    pub big_endian: bool,
    /// Arguments of two words start at an even one.
    pub even_pairs: bool,
    /// Largest alignment of integers in structures, in bytes.
    pub max_align: u64,
    /// `uname -m`.
    pub machine: String,
    /// What Debian calls the architecture.
    pub debian: String,
    /// Constants by name.
    pub sets: BTreeMap<String, Set>,
    /// Structures by name.
    pub structs: BTreeMap<String, Struct>,
    /// Described calls by name.
    pub syscalls: BTreeMap<String, Syscall>,
    /// Numbers to names.
    pub numbers: BTreeMap<u64, String>,
    /// Lines of `/proc/cpuinfo` for one processor: key and value.
    pub cpuinfo: Vec<(String, String)>,
    /// Signal frame, if described.
    pub frame: Option<SignalFrame>,
    /// Pages of code that the kernel provides.
    pub pages: Vec<Page>,
    /// That of handlers that do not ask for a `siginfo_t`, if it is another one.
    pub plain_frame: Option<SignalFrame>,
    /// Segment descriptors that a thread may set.
    pub thread_areas: Option<ThreadAreas>,
    /// Control messages, if they are described.
    pub control: Option<Control>,
}

impl Abi {
    /// Number of a call.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.numbers.iter().find(|(_, n)| *n == name).map(|(number, _)| *number)
    }
}
