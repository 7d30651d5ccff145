//! What the text of an `.abi` file says, before names are resolved.

use super::report::Span;

/// A name and where it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    /// Text.
    pub(crate) text: String,
    /// Place.
    pub(crate) span: Span,
}

/// Direction of the data behind a pointer.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Dir {
    /// The kernel reads it.
    In,
    /// The kernel writes it.
    Out,
    /// Both.
    InOut,
    /// Follows the direction of the structure that contains the pointer.
    Field,
}

/// Number of elements of an array.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Len {
    /// Known.
    Fixed(u64),
    /// Value of another argument or field.
    Named(Name),
    /// Integer that another argument points to.
    Behind(Name),
}

/// A type as written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum TypeExpr {
    /// By name.
    Named(Name),
    /// Pointer.
    Ptr(Dir, Box<TypeExpr>, Span),
    /// Array.
    Array(Box<TypeExpr>, Len, Span),
    /// Depends on another argument: `select op & mask { case, case: type; … default: type; }`.
    Select {
        /// The argument.
        on: Name,
        /// Bits of it that count; empty: all.
        mask: Vec<Value>,
        /// Values and type.
        cases: Vec<(Vec<Value>, TypeExpr)>,
        /// Otherwise.
        default: Box<TypeExpr>,
    },
}

/// A constant: a number, a constant's name, or a shifted number.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Value {
    /// Number.
    Int(u64, Span),
    /// Name of an entry of the selector's set.
    Named(Name),
}

/// `name: type` of an argument or a field; `align`/`at` only for fields.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Member {
    /// Name.
    pub(crate) name: Name,
    /// Type.
    pub(crate) ty: TypeExpr,
    /// `align N`, bytes.
    pub(crate) align: Option<u64>,
}

/// Whether a set's entries combine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SetKind {
    /// Bits that combine.
    Flags,
    /// One of.
    Enum,
}

/// Entry of a set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Entry {
    /// Name.
    pub(crate) name: Name,
    /// Value.
    pub(crate) value: u64,
    /// Mask of the field this is one value of; flags outside `mask` groups have none.
    pub(crate) mask: Option<u64>,
}

/// `syscall` behaviour.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Body {
    /// The host's call of that name.
    Plain,
    /// `as NAME`: the host's call of another name.
    As(Name),
    /// `special`, `special NAME`: a function of the emulator, called like the system call unless it is named.
    Special(Option<Name>),
    /// `absent`: always ENOSYS, on purpose.
    Absent,
    /// `registers { code: set slot; code: get slot; }`: moves the second argument to a register, or a register to where it
    /// points. Code, whether it is set, slot.
    Registers(Vec<(u64, bool, SlotRange)>),
    /// `calls { 1: semop(first, ptr, second); }`: by the first argument, another call.
    Calls(Vec<OneOf>),
    /// `thread_area set` or `get`: a descriptor of `thread_areas`. Whether it is set.
    ThreadArea(bool),
}

/// A call behind one that stands for many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct OneOf {
    /// Value of the low half of the first argument.
    pub(crate) code: u64,
    /// The call.
    pub(crate) call: Name,
    /// Where its arguments are: arguments of the call that stands for it, or words in memory that they point to.
    pub(crate) args: Vec<(Name, Option<u64>)>,
    /// The argument that points to where the result goes.
    pub(crate) result: Option<Name>,
}

/// `thread_areas STRUCT { number = field; base = field; first = 12; slots = bank[0..2]; selectors = …; bases = …; }`:
/// segment descriptors that a thread may set.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct ThreadAreas {
    /// Structure that describes one.
    pub(crate) of: Name,
    /// `number`, `base`: fields of the structure; `slots`, `selectors`, `bases`: banks of registers.
    pub(crate) places: Vec<(Name, SlotRange)>,
    /// Number of the first, and the constants of fields that are read: `first = 12; flags = 0x51;`.
    pub(crate) values: Vec<(Name, u64)>,
}

/// A declaration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Item {
    /// `type NAME = base as format;`
    Type {
        /// Name.
        name: Name,
        /// What it is.
        base: Name,
        /// How it is printed.
        format: Option<Name>,
    },
    /// `struct NAME packed { … } show { … }`
    Struct {
        /// Name.
        name: Name,
        /// Replaces the common one.
        replace: bool,
        /// No padding, alignment 1.
        packed: bool,
        /// Fields.
        fields: Vec<Member>,
        /// Fields that a trace prints; `None`: all.
        show: Option<Vec<Name>>,
    },
    /// `flags` or `enum`, or an amendment of one.
    Set {
        /// Name.
        name: Name,
        /// Which.
        kind: SetKind,
        /// Adds to or changes the common one.
        amend: bool,
        /// Integer type; none in an amendment.
        base: Option<Name>,
        /// Entries.
        entries: Vec<Entry>,
    },
    /// `syscall`.
    Syscall {
        /// Name.
        name: Name,
        /// Replaces the common one.
        replace: bool,
        /// Arguments in order.
        args: Vec<Member>,
        /// Result; `int` unless given.
        ret: Option<TypeExpr>,
        /// What it does.
        body: Body,
        /// May sleep: a signal must be able to interrupt it.
        blocks: bool,
        /// Not reported when it fails with ENOSYS: programs probe for it.
        quiet: bool,
    },
    /// `numbers NAME { 0 io_setup; … }`
    Numbers {
        /// Name of the table.
        name: Name,
        /// Number and call.
        rows: Vec<(u64, Name)>,
    },
    /// `arch NAME { property = value; … }`
    Arch {
        /// Name.
        name: Name,
        /// Properties.
        props: Vec<(Name, Prop)>,
    },
    /// `cpuinfo { key = "value"; … }`
    Cpuinfo(Vec<(Name, String)>),
    /// `signal_frame { … }`
    SignalFrame(SignalFrame),
    /// `where word = 32 { … }`
    Where {
        /// The property that decides.
        key: Name,
        /// Its value.
        value: u64,
        /// What holds for architectures that have it.
        items: Vec<Item>,
    },
    /// `page 0xffff0000 { 0xfc0: [words]; … }`
    Page {
        /// Place of the word `page`.
        span: Span,
        /// Address.
        at: u64,
        /// Offset and instruction words.
        code: Vec<(u64, Vec<u64>)>,
    },
    /// `thread_areas { … }`
    ThreadAreas(ThreadAreas),
    /// `control cmsghdr: select cmsg_level { … };`
    Control {
        /// The header's structure.
        header: Name,
        /// What the data consists of.
        data: TypeExpr,
    },
}

/// Value of a property.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Prop {
    /// Number.
    Int(u64, Span),
    /// Word or string.
    Text(Name),
}

/// A path into a structure: `frame.uc.uc_mcontext.regs`.
pub(crate) type FieldPath = Vec<Name>;

/// Where part of the guest's registers is kept: `gpr[3]`, `sp`, `pc`, or `gpr[1..31]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SlotRange {
    /// Slot or bank.
    pub(crate) name: Name,
    /// First and last index.
    pub(crate) index: Option<(u64, u64)>,
}

/// A part of a packed word.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// `N @31`, `bank[3] : 5 @8`: bits of a slot.
    Slot(SlotRange, u64, u64),
    /// `context frm @5`, `context it[0..1] @25`: all bits of a context or some.
    Context(Name, Option<(u64, u64)>, u64),
    /// `0x10 @0`.
    Const(u64, u64),
    /// `flag invalid @0`: a sticky floating-point flag.
    Flag(Name, u64),
    /// `parity pf_raw @2`: 1 where a byte has an even number of ones.
    Parity(SlotRange, u64),
    /// `not masks : 6 @7`: bits of a slot, inverted.
    Inverted(SlotRange, u64, u64),
}

/// What a field of the frame holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Save {
    /// Registers; also the words `pc` and `fault_address`.
    Slots(SlotRange),
    /// Bits from several places.
    Parts(Vec<Part>),
    /// A constant.
    Const(u64),
    /// `address fp`: where another field of the frame is.
    Address(FieldPath),
    /// `signal`: its number.
    Signal,
    /// `ymm_high[0..15] while ymm_used`: a bank that is 0 while a context is.
    While(SlotRange, Name),
    /// `st[0..7] from top`: a bank whose first element is the one that a context says.
    Rotated(SlotRange, Name),
}

/// Layout and contents of the frame a signal handler runs on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct SignalFrame {
    /// Structure.
    pub(crate) frame: Name,
    /// `siginfo = path; ucontext = path; plain = path; mask = path; mask = path;`
    pub(crate) roles: Vec<(Name, FieldPath)>,
    /// `min_stack = 5120; syscall_len = 4; syscall_len = 2 while thumb;`
    pub(crate) sizes: Vec<(Name, u64, Option<Name>)>,
    /// Frame pointer and return address that form a frame record above the frame.
    pub(crate) record: Option<(SlotRange, SlotRange)>,
    /// State kept in the frame, and restored from it.
    pub(crate) save: Vec<(FieldPath, Save)>,
    /// Instruction words of the code that returns from a handler: `sigreturn`, `plain_sigreturn`.
    pub(crate) code: Vec<(Name, Vec<u64>)>,
}
