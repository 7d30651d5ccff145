//! The Linux interface of each guest, as tables generated from `isa-specs/linux/*.abi` and `isa-specs/<arch>/linux.abi`.
//!
//! The same description drives marshalling ([`crate::syscall`]) and tracing ([`crate::strace`]).

mod known;
mod name;
mod numbered;
mod place;
mod tables;

pub use known::Known;
pub use name::Name;
pub use numbered::Numbered;
pub use place::{Place, Span, Stored};
pub use tables::{Tables, every, install};

use crate::caller::Caller;
use crate::errno::{Errno, SysResult};
use crate::guest_memory::Words;
use crate::thread::ThreadCtx;

/// Bytes of the longest signal set there is: that of MIPS.
pub const SIGSET_BYTES: usize = 16;

/// The interface of one guest.
pub struct Abi {
    /// Name of the architecture in the specs.
    pub name: &'static str,
    /// `uname -m`.
    pub machine: &'static str,
    /// What Debian calls the architecture, in the names of its packages.
    pub debian: &'static str,
    /// Bytes of a word.
    pub word: u64,
    /// Data is big-endian.
    pub big_endian: bool,
    /// Arguments of two words start at an even one.
    pub even_pairs: bool,
    /// Every numbered call, ascending.
    pub calls: Span<Call>,
    /// Named constants.
    pub sets: Span<Set>,
    /// Structures.
    pub structs: Span<Struct>,
    /// Those that the emulator works with.
    pub known: Known,
    /// Lines of `/proc/cpuinfo` for one processor: key and value. `{cpu}` is its number, `{hwcap}` the names of the bits of
    /// `AT_HWCAP` with spaces between them, `{letters}` the same without.
    pub cpuinfo: &'static [(&'static str, &'static str)],
    /// The signal frame; `None` if signals cannot be delivered to this guest.
    pub frame: Option<&'static crate::signal::FrameLayout>,
    /// Memory at fixed addresses that every process has, to be executed and read.
    pub pages: &'static [Page],
    /// The frame of handlers that do not ask for a `siginfo_t`, where it is another one.
    pub plain_frame: Option<&'static crate::signal::FrameLayout>,
    /// Segment descriptors that a thread may set.
    pub thread_areas: Option<&'static ThreadAreas>,
    /// Control messages of sockets.
    pub control: Option<Control>,
}

/// Control messages of sockets.
pub struct Control {
    /// What each starts with; the first field counts its bytes.
    pub header: Place<Struct>,
    /// What its data consists of, one or more of them; a `select` is on the fields of the header.
    pub data: Ty,
    /// Both are the host's.
    pub same: bool,
}

/// Memory that the kernel provides.
pub struct Page {
    /// Address.
    pub at: u64,
    /// Contents.
    pub bytes: &'static [u8],
}

/// Segment descriptors that a thread may set.
pub struct ThreadAreas {
    /// Structure that describes one.
    pub of: Place<Struct>,
    /// Its field with the descriptor's number.
    pub number: &'static str,
    /// Its field with the base.
    pub base: &'static str,
    /// Fields that are the same for all, when they are read.
    pub constants: &'static [(&'static str, u64)],
    /// Number of the first descriptor.
    pub first: u64,
    /// Slots with the bases.
    pub slots: &'static [&'static str],
    /// Slots of selectors, and of the bases that were loaded with them.
    pub loaded: &'static [(&'static str, &'static str)],
}

impl Abi {
    /// The interface of a guest.
    #[must_use]
    pub fn of(guest: &ir::Guest) -> Option<&'static Abi> {
        every().iter().find(|abi| abi.name == guest.name)
    }

    /// How the guest keeps integers in memory.
    #[must_use]
    pub const fn words(&self) -> Words {
        Words { size: self.word, big_endian: self.big_endian }
    }

    /// The guest's number for one of the host's errors.
    #[must_use]
    pub fn errno(&self, host: i32) -> u64 {
        self.known.errno.map_or(host as u64, |set| set.to_guest(host as u64))
    }

    /// The guest's number for a signal.
    #[must_use]
    pub fn signal(&self, host: i32) -> i32 {
        self.known.signal.map_or(host, |set| set.to_guest(host as u64) as i32)
    }

    /// The host's set for the guest's signal set.
    #[must_use]
    pub fn sigset_to_host(&self, guest: u64) -> u64 {
        self.renumber(guest, Set::to_host)
    }

    /// The guest's set for one of the host's.
    #[must_use]
    pub fn sigset_to_guest(&self, host: u64) -> u64 {
        self.renumber(host, Set::to_guest)
    }

    fn renumber(&self, set: u64, number: fn(&Set, u64) -> u64) -> u64 {
        let Some(signals) = self.known.signal.filter(|signals| !signals.same) else { return set };
        let members = (1..=64).filter(|signal| set >> (signal - 1) & 1 != 0);
        members
            .map(|signal| number(signals.entry(), signal))
            .filter(|n| (1..=64).contains(n))
            .fold(0, |set, n| set | 1 << (n - 1))
    }

    /// Reads a signal set, in the host's numbers. Signals above 64, which the host does not have, are not looked at.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read_sigset(&self, addr: u64) -> Result<u64, Errno> {
        self.read_first_signals(addr, 8).map(|(set, _)| set)
    }

    /// Reads the first `size` bytes of one, and says which signals these have.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn read_first_signals(&self, addr: u64, size: u64) -> Result<(u64, u64), Errno> {
        let len = size.min(8) as usize;
        let (mut bytes, mut every) = ([0; 8], [0; 8]);
        crate::guest_memory::read(addr, &mut bytes[..len])?;
        every[..len].fill(0xff);
        Ok([bytes, every].map(|bytes| self.sigset_to_host(self.words().bits(&bytes))).into())
    }

    /// Writes the first `size` bytes of a signal set.
    ///
    /// # Errors
    /// `EFAULT`.
    pub fn write_sigset(&self, addr: u64, size: u64, host: u64) -> Result<(), Errno> {
        let bytes = self.sigset_bytes(host);
        crate::guest_memory::write(addr, &bytes[..bytes.len().min(size as usize)])
    }

    /// A signal set as the guest keeps it, the longest there is.
    #[must_use]
    pub fn sigset_bytes(&self, host: u64) -> [u8; SIGSET_BYTES] {
        let mut bytes = [0; SIGSET_BYTES];
        bytes[..8].copy_from_slice(&self.words().bit_bytes(self.sigset_to_guest(host)));
        bytes
    }

    /// Bytes of the kernel's signal set.
    #[must_use]
    pub fn sigset_size(&self) -> u64 {
        let field = self.known.sigaction.and_then(|s| s.field("sa_mask"));
        field.map_or(8, |field| field.size.into())
    }

    /// The constants called `name`.
    #[must_use]
    pub fn set(&self, name: &str) -> Option<&'static Set> {
        self.sets.into_iter().find(|set| set.name == name)
    }

    /// The structure called `name`.
    #[must_use]
    pub fn structure(&self, name: &str) -> Option<&'static Struct> {
        self.structs.into_iter().find(|s| s.name == name)
    }
}

/// A system call.
pub struct Call {
    /// The guest's number.
    pub number: u32,
    /// Name.
    pub name: Name,
    /// Subsystem: the file of the specs it is described in.
    pub group: Name,
    /// Arguments in order; none if the call is not described.
    pub args: Span<Arg>,
    /// Result.
    pub ret: Ty,
    /// Who answers.
    pub handler: Handler,
    /// Which argument is which of the call's that performs it, if they do not stand in its order.
    pub order: Option<[u8; 6]>,
    /// Nothing to convert: the arguments are the host's.
    pub plain: bool,
    /// The result is a constant whose value differs on the host.
    pub convert_ret: bool,
    /// May sleep.
    pub blocks: bool,
    /// Programs probe for it: its absence is not reported.
    pub quiet: bool,
}

impl Call {
    /// Arguments in the order of the call that performs this one.
    #[must_use]
    pub fn ordered(&self, args: [u64; 6]) -> [u64; 6] {
        self.order.map_or(args, |order| order.map(|i| args[usize::from(i)]))
    }
}

/// Who answers a system call.
pub enum Handler {
    /// The host kernel, by this number.
    Host(u32),
    /// The host has no such call.
    NotOnHost,
    /// A function of the emulator.
    Special(Place<Function>),
    /// By the first argument, a register is set to the second or stored where it points.
    Registers(Span<Register>),
    /// By the low half of the first argument, another call.
    Calls(Span<OneOf>),
    /// One of the [`ThreadAreas`] is set, or read.
    ThreadArea(bool),
    /// `ENOSYS`, on purpose.
    Absent,
    /// The specs name the call but do not describe it.
    Undescribed,
}

/// A function of the emulator that performs a call.
pub enum Function {
    /// It works on the thread.
    Thread(fn(&mut ThreadCtx, [u64; 6]) -> SysResult),
    /// It works on the process alone.
    Process(fn(&mut Caller<'_>, [u64; 6]) -> SysResult),
}

/// A register that a call sets or reads.
pub struct Register {
    /// Value of the call's first argument.
    pub code: u64,
    /// It is set, not read.
    pub set: bool,
    /// Slot.
    pub slot: Name,
}

/// Where an argument is: an argument, or a word of the table it points to.
pub type Word = (u8, Option<u64>);

/// A call behind one that stands for many.
pub struct OneOf {
    /// Value of the low half of the first argument.
    pub code: u64,
    /// The call.
    pub call: Call,
    /// Where its arguments are: an argument, or a word of the table it points to.
    pub args: Span<Word>,
    /// The argument that points to where the result goes.
    pub result: Option<u8>,
}

/// An argument.
pub struct Arg {
    /// Name.
    pub name: Name,
    /// Type.
    pub ty: Ty,
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
    /// As the structure that contains the pointer.
    Field,
}

/// Number of elements.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Len {
    /// Known.
    Fixed(u64),
    /// Value of an argument, or of a field of the same structure.
    Member(u8),
    /// 32-bit integer behind a pointer argument.
    Behind(u8),
}

/// An integer type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Int {
    /// Bytes.
    pub size: u8,
    /// Bytes on the host.
    pub host_size: u8,
    /// Sign.
    pub signed: bool,
    /// How a trace prints it.
    pub format: Format,
}

/// How an integer is printed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Format {
    /// Decimal.
    Dec,
    /// Hexadecimal.
    Hex,
    /// User or group.
    Id,
    /// File mode.
    Mode,
    /// Device number.
    Dev,
    /// Descriptor.
    Fd,
    /// Descriptor or `AT_FDCWD`.
    FdAt,
    /// Address.
    Addr,
    /// Resource limit.
    Rlim,
    /// Status from `wait`.
    WaitStatus,
    /// Signal handler.
    Sighandler,
    /// Compared with memory that the host kernel reads.
    Memory,
}

/// Bytes with a meaning.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Bytes {
    /// Text or data.
    Bytes,
    /// Data nobody would read.
    Raw,
    /// NUL-padded text.
    Text,
    /// Socket address.
    Sockaddr,
    /// Signal set.
    Sigset,
    /// Signal set in force while the call waits.
    Sigmask,
    /// Set of descriptors; the length is in bits.
    Fdset,
    /// Control messages of sockets.
    Control,
}

/// Data that ends by itself.
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

/// A type.
pub enum Ty {
    /// No argument in this case.
    None,
    /// Integer.
    Int(Int),
    /// Named constants.
    Set(Place<Set>),
    /// Structure.
    Struct(Place<Struct>),
    /// Pointer.
    Ptr(Dir, Place<Ty>),
    /// Array.
    Array(Place<Ty>, Len),
    /// Bytes.
    Bytes(Bytes, Len),
    /// Self-terminating data.
    Terminated(Terminated),
    /// Depends on an argument.
    Select(Place<Select>),
}

/// Values of an argument, and the type in their case.
pub type Case = (Span<u64>, Ty);

/// Cases of a type that depends on an argument.
pub struct Select {
    /// The argument.
    pub on: u8,
    /// Bits of it that count.
    pub mask: u64,
    /// Values and types.
    pub cases: Span<Case>,
    /// Otherwise.
    pub default: Place<Ty>,
}

impl Select {
    fn given(&self, args: &[u64]) -> &Ty {
        // Constants are 32 bits wide in every selector; what the guest leaves above is not looked at.
        let value = args.get(usize::from(self.on)).copied().unwrap_or(0) & self.mask & 0xffff_ffff;
        let case = self.cases.iter().find(|(values, _)| values.iter().any(|v| v & 0xffff_ffff == value));
        case.map_or(self.default.entry(), |(_, ty)| ty).given(args)
    }
}

impl Ty {
    /// The type itself, for given arguments: `select` decided.
    #[must_use]
    #[inline]
    pub fn given(&self, args: &[u64]) -> &Ty {
        match self {
            Ty::Select(select) => select.entry().given(args),
            ty => ty,
        }
    }

    /// Bytes of one value in the memory of a guest with words of `word` bytes; 0 if the type alone does not tell.
    #[must_use]
    pub fn size(&self, word: u64) -> u64 {
        match self {
            Ty::Int(int) => u64::from(int.size),
            Ty::Set(set) => u64::from(set.size),
            Ty::Struct(s) => u64::from(s.size),
            Ty::Ptr(..) => word,
            Ty::Array(elem, Len::Fixed(n)) => elem.size(word) * n,
            Ty::Bytes(_, Len::Fixed(n)) => *n,
            Ty::None | Ty::Select(_) | Ty::Terminated(_) | Ty::Array(..) | Ty::Bytes(..) => 0,
        }
    }
}

/// Named constants.
pub struct Set {
    /// Name.
    pub name: Name,
    /// They combine.
    pub flags: bool,
    /// Every value is the host's.
    pub same: bool,
    /// Bytes of the integer.
    pub size: u8,
    /// Bytes of the integer on the host.
    pub host_size: u8,
    /// Sign of the integer.
    pub signed: bool,
    /// Constants; those of several bits before their parts.
    pub entries: Span<Constant>,
    /// Bits of the guest's and of the host's values that matter: one without them means the same to both. All: none does for sure,
    /// not even 0.
    pub changes: (u64, u64),
}

/// A named constant: present in `v` if `v & mask == value`.
pub struct Constant {
    /// Name.
    pub name: Name,
    /// The guest's value.
    pub value: u64,
    /// The guest's bits that count.
    pub mask: u64,
    /// The host's value.
    pub host_value: u64,
    /// The host's bits that count.
    pub host_mask: u64,
}

impl Set {
    /// The host's value for a guest's. Bits without a name pass through: the host rejects them as the guest's kernel would.
    #[must_use]
    #[inline]
    pub fn to_host(&self, value: u64) -> u64 {
        self.convert(value, self.changes.0, |c| (c.value, c.mask), |c| c.host_value)
    }

    /// The guest's value for a host's.
    #[must_use]
    #[inline]
    pub fn to_guest(&self, value: u64) -> u64 {
        self.convert(value, self.changes.1, |c| (c.host_value, c.host_mask), |c| c.value)
    }

    /// See the two above; `changes` is the bits that matter.
    #[inline]
    fn convert(
        &self,
        value: u64,
        changes: u64,
        from: impl Fn(&Constant) -> (u64, u64),
        to: impl Fn(&Constant) -> u64,
    ) -> u64 {
        let keep = if self.size >= 8 { u64::MAX } else { (1 << (8 * self.size)) - 1 };
        if self.same || changes != u64::MAX && value & (changes | !keep) == 0 {
            return value;
        }
        self.converted(value & keep, value, from, to)
    }

    #[inline(never)]
    fn converted(
        &self,
        value: u64,
        whole: u64,
        from: impl Fn(&Constant) -> (u64, u64),
        to: impl Fn(&Constant) -> u64,
    ) -> u64 {
        if !self.flags {
            return self.entries.iter().find(|c| from(c).0 == value).map_or(whole, to);
        }
        let (mut named, mut out) = (0, 0);
        for constant in self.entries {
            let (bits, mask) = from(constant);
            named |= mask;
            // A constant whose bits are all taken by a larger one adds nothing.
            if value & mask == bits {
                out |= to(constant);
            }
        }
        out | value & !named
    }
}

/// A structure.
pub struct Struct {
    /// Name.
    pub name: Name,
    /// The guest's data is big-endian.
    pub big_endian: bool,
    /// Bytes on the guest.
    pub size: u32,
    /// Bytes on the host.
    pub host_size: u32,
    /// Laid out and valued as on the host.
    pub same: bool,
    /// Fields in order.
    pub fields: Span<Field>,
    /// How to get from one layout to the other, if they differ.
    pub moves: Span<Move>,
    /// It holds pointers.
    pub pointers: bool,
}

impl Struct {
    /// The field called `name`.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.into_iter().find(|field| field.name == name)
    }

    /// The integer in the field called `name` of a structure with these bytes; 0 if it has none.
    #[must_use]
    pub fn get(&self, bytes: &[u8], name: &str) -> u64 {
        self.field(name).map_or(0, |f| integer(&bytes[f.at as usize..][..f.size as usize], self.big_endian))
    }

    /// Sets the integer in the field called `name`, if there is one.
    pub fn put(&self, bytes: &mut [u8], name: &str, value: u64) {
        if let Some(f) = self.field(name) {
            put_integer(&mut bytes[f.at as usize..][..f.size as usize], value, self.big_endian);
        }
    }
}

/// The integer in up to eight bytes, zero-extended.
#[must_use]
#[inline]
pub fn integer(bytes: &[u8], big_endian: bool) -> u64 {
    match *bytes {
        [a, b] => return if big_endian { u16::from_be_bytes([a, b]) } else { u16::from_le_bytes([a, b]) }.into(),
        [a, b, c, d] => {
            let word = [a, b, c, d];
            return if big_endian { u32::from_be_bytes(word) } else { u32::from_le_bytes(word) }.into();
        }
        [a, b, c, d, e, f, g, h] => {
            let word = [a, b, c, d, e, f, g, h];
            return if big_endian { u64::from_be_bytes(word) } else { u64::from_le_bytes(word) };
        }
        _ => {}
    }
    let push = |value: u64, byte: &u8| value << 8 | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, push) } else { bytes.iter().take(8).rev().fold(0, push) }
}

/// Stores the low bytes of `value`.
#[inline]
pub fn put_integer(bytes: &mut [u8], value: u64, big_endian: bool) {
    let n = bytes.len();
    match n {
        2 => {
            let half = value as u16;
            return bytes.copy_from_slice(&if big_endian { half.to_be_bytes() } else { half.to_le_bytes() });
        }
        4 => {
            let word = value as u32;
            return bytes.copy_from_slice(&if big_endian { word.to_be_bytes() } else { word.to_le_bytes() });
        }
        8 => return bytes.copy_from_slice(&if big_endian { value.to_be_bytes() } else { value.to_le_bytes() }),
        _ => {}
    }
    for (i, byte) in bytes.iter_mut().enumerate() {
        let shift = 8 * if big_endian { n - 1 - i } else { i };
        *byte = if shift < 64 { (value >> shift) as u8 } else { 0 };
    }
}

/// A field.
pub struct Field {
    /// Name.
    pub name: Name,
    /// Offset in bytes.
    pub at: u32,
    /// Bytes.
    pub size: u32,
    /// Type.
    pub ty: Ty,
    /// A trace prints it.
    pub shown: bool,
}

/// Part of a conversion: an integer or bytes from one offset to another.
pub struct Move {
    /// Offset and bytes on the guest.
    pub guest: (u32, u32),
    /// Offset and bytes on the host.
    pub host: (u32, u32),
    /// Extended by its sign.
    pub signed: bool,
    /// Integers of so many bytes each that are copied; 1 for bytes, which have no order, 0 for one that changes.
    pub units: u8,
    /// Constants that differ.
    pub set: Option<Place<Set>>,
    /// What a pointer points to, if that differs.
    pub pointee: Option<Place<Pointee>>,
}

/// What a pointer in a structure points to.
pub struct Pointee {
    /// Type.
    pub ty: Ty,
    /// Offset and bytes on the guest of the field that counts its elements.
    pub count: Option<(u32, u32)>,
    /// Direction, if it is not that of the structure.
    pub dir: Dir,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether what a type names is among the guest's own sets and structures.
    fn own(abi: &Abi, ty: &Ty) -> bool {
        match ty {
            Ty::Set(set) => abi.sets.iter().any(|own| std::ptr::eq(own, set.entry())),
            Ty::Struct(s) => abi.structs.iter().any(|own| std::ptr::eq(own, s.entry())),
            Ty::Ptr(_, to) | Ty::Array(to, _) => own(abi, to),
            Ty::Select(select) => own(abi, &select.default) && select.cases.iter().all(|(_, ty)| own(abi, ty)),
            Ty::None | Ty::Int(_) | Ty::Bytes(..) | Ty::Terminated(_) => true,
        }
    }

    #[test]
    fn what_an_interface_names_is_its_own() {
        for abi in every() {
            for s in abi.structs {
                assert!(s.fields.iter().all(|f| own(abi, &f.ty)), "{}: {}", abi.name, s.name);
                assert!(s.moves.iter().all(|m| m.set.is_none_or(|set| own(abi, &Ty::Set(set)))), "{}", s.name);
            }
            for call in abi.calls {
                assert!(
                    call.args.iter().all(|arg| own(abi, &arg.ty)) && own(abi, &call.ret),
                    "{} {}",
                    abi.name,
                    call.name
                );
            }
        }
    }
}
