//! Building and reading signal frames by [`FrameLayout`].

use ir::GuestState;
use ir::guest::{ContextDesc, Guest, Slot};
use smallvec::{SmallVec, smallvec};

use super::layout::{Part, Source};
use super::{AltStack, FrameLayout, Info, SigSet};
use crate::abi::{Abi, put_integer};
use crate::errno::Errno;
use crate::guest_memory;
use crate::process::Process;

/// A layout with the names of its slots looked up.
pub struct Frame {
    /// Sizes and offsets.
    pub layout: &'static FrameLayout,
    fields: Vec<Field>,
    /// Bytes of it that are written and read: to behind the last field. More is room for what the processor does not have.
    extent: usize,
    record: Option<[Slot; 2]>,
    /// Bits of the mode word, and bytes of the system-call instruction while one of them is set.
    syscall_len_while: Vec<(u32, u64)>,
    /// Slots that are 0 unless one of these bits of the mode word is set.
    zero_without: Vec<(Slot, u32)>,
}

/// Bytes of a frame; those of most guests fit without an allocation.
type Bytes = SmallVec<[u8; 1536]>;

/// A frame that was written.
pub(crate) struct Pushed {
    /// Address of the frame; with a plain one, of what precedes it in a full one.
    pub(crate) frame: u64,
    /// The handler's stack pointer.
    pub(crate) sp: u64,
}

/// The frames of a guest.
pub struct Frames {
    /// The frame.
    pub full: Frame,
    /// That of handlers that do not ask for a `siginfo_t`, where it is another one.
    pub plain: Option<Frame>,
}

impl Frames {
    /// Those of `guest`; `Err` is what its specs do not describe.
    ///
    /// # Errors
    /// The name of what is missing.
    pub fn of(guest: &Guest) -> Result<Frames, String> {
        let missing = |name: String| format!("place of {name} in the signal frame");
        let abi = Abi::of(guest).ok_or("system-call table")?;
        let full = Frame::new(guest, abi.frame.ok_or("signal frame")?).map_err(missing)?;
        let plain = abi.plain_frame.map(|layout| Frame::new(guest, layout)).transpose().map_err(missing)?;
        Ok(Frames { full, plain })
    }
}

/// One value in the frame.
struct Field {
    at: usize,
    size: usize,
    value: Value,
}

enum Value {
    Slot(Slot),
    /// Slots that lie in the state as they do in the frame, from this offset on.
    Run(usize),
    Pc,
    Packed(Vec<Piece>),
    FaultAddress,
    Word(u64),
    /// Offset of the field pointed to.
    Address(u64),
    Signal,
    /// One of the slots, by the sum of this number and the mode word's bits of a context.
    Rotated {
        slots: Vec<Slot>,
        number: usize,
        context: ModeBits,
    },
}

/// Bits of the mode word.
struct ModeBits {
    lo: u32,
    width: u32,
}

/// A part of a packed word: `mask` of a source, whose bit 0 is bit `lo` of the word.
struct Piece {
    from: From,
    mask: u32,
    lo: u32,
}

enum From {
    Slot(Slot),
    /// Bit of the mode word.
    Mode(u32),
    /// Bit of the sticky floating-point flags.
    Flags(u32),
    /// A constant, not read back.
    Const(u32),
    /// 1 where the slot has an even number of ones.
    Parity(Slot),
    /// The slot, inverted.
    Inverted(Slot),
}

/// What a frame holds beside the processor state.
pub(crate) struct Context {
    /// The signal.
    pub(crate) info: Info,
    /// Mask to return to.
    pub(crate) mask: SigSet,
    /// The alternate stack in force.
    pub(crate) alt_stack: AltStack,
}

impl Frame {
    /// Looks up what `layout` names; `Err` is a name that the guest's spec does not have.
    pub fn new(guest: &Guest, layout: &'static FrameLayout) -> Result<Frame, String> {
        let named = |name: &str| guest.slot(name).ok_or_else(|| name.to_owned());
        let mut fields = Vec::new();
        for field in layout.fields {
            let (at, size) = (field.at as usize, field.size as usize);
            let value = match field.source {
                Source::Slot(name) => Value::Slot(named(name)?),
                Source::Slots(name, first, count, stride) => {
                    for i in 0..count {
                        let slot = named(&format!("{name}[{}]", first + i))?;
                        fields.push(Field { at: at + (i * stride as u32) as usize, size, value: Value::Slot(slot) });
                    }
                    continue;
                }
                Source::Pc => Value::Pc,
                Source::Packed(parts) => {
                    Value::Packed(parts.iter().map(|part| piece(guest, *part)).collect::<Result<_, _>>()?)
                }
                Source::FaultAddress => Value::FaultAddress,
                Source::Word(value) => Value::Word(value),
                Source::Address(offset) => Value::Address(offset),
                Source::Signal => Value::Signal,
                Source::Rotated(bank, count, stride, context) => {
                    let context =
                        guest.contexts.iter().find(|c| c.name == context).ok_or_else(|| context.to_owned())?;
                    for number in 0..count as usize {
                        let slots =
                            (0..count).map(|i| named(&format!("{bank}[{i}]"))).collect::<Result<Vec<_>, _>>()?;
                        let context = ModeBits { lo: context.lo, width: context.width };
                        let value = Value::Rotated { slots, number, context };
                        fields.push(Field { at: at + number * stride as usize, size, value });
                    }
                    continue;
                }
            };
            fields.push(Field { at, size, value });
        }
        let fields = joined(guest, fields);
        let extent = extent(layout, &fields);
        let record = layout.record.map(|(fp, ra)| Ok::<_, String>([named(fp)?, named(ra)?])).transpose()?;
        let mask = |name: &str| context(guest, name).map(|c| (((1u64 << c.width) - 1) as u32) << c.lo);
        let lens = layout.syscall_len_while.iter().map(|(name, len)| Ok::<_, String>((mask(name)?, *len)));
        let syscall_len_while = lens.collect::<Result<_, _>>()?;
        let zeros = layout.zero_without.iter().map(|(slot, name)| Ok::<_, String>((named(slot)?, mask(name)?)));
        let zero_without = zeros.collect::<Result<_, _>>()?;
        Ok(Frame { layout, fields, extent, record, syscall_len_while, zero_without })
    }

    /// Bytes of the system-call instruction in a mode.
    pub(crate) fn syscall_len(&self, mode: u32) -> u64 {
        let special = self.syscall_len_while.iter().find(|(mask, _)| mode & mask != 0);
        special.map_or(self.layout.syscall_len, |(_, len)| *len)
    }

    /// Writes a frame below `top`, or the part that a handler without `SA_SIGINFO` gets. With a frame record, the frame pointer
    /// is made to point to it.
    pub(crate) fn write(
        &self,
        guest: &Guest,
        abi: &'static Abi,
        state: &mut GuestState,
        top: u64,
        context: &Context,
        from: u64,
    ) -> Result<Pushed, Errno> {
        let words = abi.words();
        let align = u64::from(guest.process.entry_sp_align.max(1)).max(self.layout.align);
        let mut sp = top;
        let mut record_at = None;
        if let Some(slots) = self.record {
            sp = sp.wrapping_sub(2 * words.size) & !(align - 1);
            guest_memory::write(sp, &words.bytes(&slots.map(|slot| state.get(guest, slot) as u64)))?;
            record_at = Some((slots[0], sp));
        }
        sp = sp.wrapping_sub(self.layout.size - from) & !(align - 1);
        let frame = sp.wrapping_sub(from);
        let mut bytes: Bytes = smallvec![0; self.extent];
        self.fill(guest, abi, state, context, frame, &mut bytes);
        guest_memory::write(sp, &bytes[from as usize..])?;
        if let Some((slot, at)) = record_at {
            state.set(guest, slot, u128::from(at));
        }
        Ok(Pushed { frame, sp })
    }

    fn fill(&self, guest: &Guest, abi: &'static Abi, state: &GuestState, context: &Context, sp: u64, frame: &mut [u8]) {
        if let Some(at) = self.layout.siginfo {
            let info = context.info.for_guest(abi);
            frame[at as usize..][..info.len()].copy_from_slice(&info);
        }
        if let (Some(at), Some(what)) = (self.layout.stack, abi.known.stack_t) {
            context.alt_stack.put(what.entry(), &mut frame[at as usize..][..what.size as usize]);
        }
        let mask = abi.sigset_bytes(context.mask);
        let mut rest = mask.as_slice();
        for (at, size) in self.layout.mask {
            let (part, more) = rest.split_at(rest.len().min(*size as usize));
            frame[*at as usize..][..part.len()].copy_from_slice(part);
            rest = more;
        }
        for field in &self.fields {
            let value = match &field.value {
                Value::Slot(slot) => extended(guest, *slot, state.get(guest, *slot), field.size),
                Value::Run(first) => {
                    frame[field.at..][..field.size].copy_from_slice(&state.slots[*first..][..field.size]);
                    continue;
                }
                Value::Pc => u128::from(state.pc),
                Value::Packed(pieces) => pieces.iter().fold(0, |word, piece| word | piece.read(guest, state)),
                Value::FaultAddress if context.info.code() > 0 => u128::from(context.info.addr()),
                Value::FaultAddress => 0,
                Value::Word(value) => u128::from(*value),
                Value::Address(offset) => u128::from(sp.wrapping_add(*offset)),
                Value::Signal => abi.signal(context.info.signal()) as u128,
                Value::Rotated { slots, number, context } => state.get(guest, context.pick(slots, *number, state.mode)),
            };
            put(&mut frame[field.at..][..field.size], value, abi.big_endian);
        }
    }

    /// Loads the state of the frame whose part from offset `from` on is at `sp`; returns the mask to restore, and the alternate
    /// stack if the frame has one.
    pub(crate) fn read(
        &self,
        process: &Process,
        state: &mut GuestState,
        sp: u64,
        from: u64,
    ) -> Result<(SigSet, Option<AltStack>), Errno> {
        self.load(process.guest, process.abi, state, sp, from)
    }

    fn load(
        &self,
        guest: &Guest,
        abi: &'static Abi,
        state: &mut GuestState,
        sp: u64,
        from: u64,
    ) -> Result<(SigSet, Option<AltStack>), Errno> {
        let mut frame: Bytes = smallvec![0; self.extent];
        guest_memory::read(sp, &mut frame[from as usize..])?;
        let word = |at: usize, size: usize| {
            let push = |value: u128, byte: &u8| value << 8 | u128::from(*byte);
            let bytes = &frame[at..at + size];
            if abi.big_endian { bytes.iter().fold(0, push) } else { bytes.iter().rev().fold(0, push) }
        };
        for field in &self.fields {
            if let Value::Run(first) = field.value {
                state.slots[first..][..field.size].copy_from_slice(&frame[field.at..][..field.size]);
                continue;
            }
            let value = word(field.at, field.size);
            match &field.value {
                Value::Slot(slot) => state.set(guest, *slot, value),
                Value::Pc => state.pc = guest.code_address(value as u64),
                Value::Packed(pieces) => pieces.iter().for_each(|piece| piece.write(guest, state, value)),
                // After the mode word, of which what says the context is a field.
                Value::Run(_)
                | Value::Rotated { .. }
                | Value::FaultAddress
                | Value::Word(_)
                | Value::Address(_)
                | Value::Signal => {}
            }
        }
        for field in &self.fields {
            if let Value::Rotated { slots, number, context } = &field.value {
                let slot = context.pick(slots, *number, state.mode);
                state.set(guest, slot, word(field.at, field.size));
            }
        }
        let mode = state.mode;
        for (slot, _) in self.zero_without.iter().filter(|(_, mask)| mode & mask == 0) {
            state.set(guest, *slot, 0);
        }
        let stack = self.layout.stack.zip(abi.known.stack_t);
        let alt_stack = stack.map(|(at, what)| AltStack::of(what.entry(), &frame[at as usize..]));
        let parts = self.layout.mask.iter().flat_map(|(at, size)| &frame[*at as usize..][..*size as usize]);
        let mut mask = [0; 8];
        mask.iter_mut().zip(parts).for_each(|(to, from)| *to = *from);
        Ok((abi.sigset_to_host(abi.words().bits(&mask)), alt_stack))
    }
}

/// The fields, with those made one that are copies of neighbours to neighbours.
fn joined(guest: &Guest, fields: Vec<Field>) -> Vec<Field> {
    let mut out: Vec<Field> = Vec::new();
    for field in fields {
        let Value::Slot(slot) = field.value else {
            out.push(field);
            continue;
        };
        let desc = &guest.slots[slot.0 as usize];
        let from = desc.offset as usize;
        if guest.big_endian || desc.ty == ir::Ty::I1 || desc.ty.bytes() as usize != field.size {
            out.push(field);
            continue;
        }
        match out.last_mut() {
            Some(Field { at, size, value: Value::Run(first) }) if (*at + *size, *first + *size) == (field.at, from) => {
                *size += field.size;
            }
            _ => out.push(Field { value: Value::Run(from), ..field }),
        }
    }
    out
}

/// Zeros that are written behind the last field: who looks there for more finds nothing.
const BEHIND: usize = 64;

/// See [`Frame::extent`].
fn extent(layout: &FrameLayout, fields: &[Field]) -> usize {
    /// Larger than any `siginfo_t` and `stack_t`.
    const LARGEST: u64 = 128;
    let fields = fields.iter().map(|field| field.at + field.size);
    let masks = layout.mask.iter().map(|(at, size)| (at + size) as usize);
    let rest = [layout.siginfo, layout.stack].into_iter().flatten().map(|at| (at + LARGEST) as usize);
    let end = fields.chain(masks).chain(rest).max().unwrap_or(0) + BEHIND;
    end.min(layout.size as usize)
}

/// A register in a field of `size` bytes: one of 32 bits is extended by its sign in a wider one.
fn extended(guest: &Guest, slot: Slot, value: u128, size: usize) -> u128 {
    let narrow = guest.slots[slot.0 as usize].ty == ir::Ty::I32 && size > 4;
    if narrow { i128::from(value as i32) as u128 } else { value }
}

fn put(field: &mut [u8], value: u128, big_endian: bool) {
    if let [low @ .., _, _, _, _, _, _, _, _] = field
        && !low.is_empty()
    {
        let (first, second) = if big_endian { (value >> 64, value) } else { (value, value >> 64) };
        let half = field.len() / 2;
        put_integer(&mut field[..half], first as u64, big_endian);
        return put_integer(&mut field[half..], second as u64, big_endian);
    }
    put_integer(field, value as u64, big_endian);
}

fn context<'g>(guest: &'g Guest, name: &str) -> Result<&'g ContextDesc, String> {
    guest.contexts.iter().find(|context| context.name == name).ok_or_else(|| name.to_owned())
}

fn piece(guest: &Guest, part: Part) -> Result<Piece, String> {
    let mask = |width: u32| ((1u64 << width) - 1) as u32;
    Ok(match part {
        Part::Slot(name, lo, width) => {
            let slot = guest.slot(name).ok_or_else(|| name.to_owned())?;
            Piece { from: From::Slot(slot), mask: mask(width), lo }
        }
        Part::Context(name, bits, lo) => {
            let context = context(guest, name)?;
            let (first, count) = bits.unwrap_or((0, context.width));
            Piece { from: From::Mode(context.lo + first), mask: mask(count), lo }
        }
        Part::Const(value, lo) => Piece { from: From::Const(value), mask: u32::MAX, lo },
        Part::Parity(name, lo) => {
            let slot = guest.slot(name).ok_or_else(|| name.to_owned())?;
            Piece { from: From::Parity(slot), mask: 1, lo }
        }
        Part::Inverted(name, lo, width) => {
            let slot = guest.slot(name).ok_or_else(|| name.to_owned())?;
            Piece { from: From::Inverted(slot), mask: mask(width), lo }
        }
        Part::Flag(flag, lo) => Piece { from: From::Flags(flag), mask: 1, lo },
    })
}

impl ModeBits {
    /// The slot that is `number` behind the first.
    fn pick(&self, slots: &[Slot], number: usize, mode: u32) -> Slot {
        let first = mode >> self.lo & ((1 << self.width) - 1);
        slots[(first as usize + number) % slots.len()]
    }
}

impl Piece {
    fn read(&self, guest: &Guest, state: &GuestState) -> u128 {
        let value = match self.from {
            From::Slot(slot) => state.get(guest, slot) as u32,
            From::Mode(bit) => state.mode >> bit,
            From::Flags(bit) => state.fflags >> bit,
            From::Const(value) => value,
            From::Parity(slot) => 1 ^ state.get(guest, slot).count_ones(),
            From::Inverted(slot) => !(state.get(guest, slot) as u32),
        };
        u128::from(value & self.mask) << self.lo
    }

    fn write(&self, guest: &Guest, state: &mut GuestState, word: u128) {
        let value = (word >> self.lo) as u32 & self.mask;
        let replace = |old: u32, bit: u32| old & !(self.mask << bit) | value << bit;
        match self.from {
            From::Slot(slot) => state.set(guest, slot, u128::from(value)),
            From::Mode(bit) => state.mode = replace(state.mode, bit),
            From::Flags(bit) => state.fflags = replace(state.fflags, bit),
            From::Const(_) => {}
            From::Parity(slot) => state.set(guest, slot, u128::from(value ^ 1)),
            From::Inverted(slot) => state.set(guest, slot, u128::from(!value & self.mask)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout of every guest whose Linux interface is described: its names exist, its fields lie in the frame without overlap, and what is written is read.
    #[test]
    fn frames_round_trip() {
        for guest in guests::ALL.iter().filter(|guest| crate::abi::Abi::of(guest).is_some()) {
            let frames = Frames::of(guest).unwrap_or_else(|what| panic!("{}: no {what}", guest.name));
            round_trip(guest, &frames.full);
            frames.plain.iter().for_each(|frame| round_trip(guest, frame));
        }
    }

    fn round_trip(guest: &'static Guest, frame: &Frame) {
        {
            let layout = frame.layout;
            let mut ends: Vec<(usize, usize)> = frame.fields.iter().map(|f| (f.at, f.at + f.size)).collect();
            ends.sort_unstable();
            assert!(ends.windows(2).all(|pair| pair[0].1 <= pair[1].0), "{}: fields overlap", guest.name);
            assert!(ends.last().is_some_and(|end| end.1 as u64 <= layout.size));
            let mut before = GuestState::new(guest);
            for i in 0..guest.slots.len() {
                before.set(guest, Slot(i as u16), 0x0123_4567_89ab_cdef_u128.rotate_left(i as u32));
            }
            before.pc = 0x1234_5678;
            before.fflags = 0b10_1001;
            let mut memory = vec![0u8; 16384];
            let top = memory.as_mut_ptr() as u64 + 16000;
            let context = Context { info: Info::fault(11, 1, 8), mask: 0x55, alt_stack: AltStack::default() };
            let abi = Abi::of(guest).unwrap_or_else(|| panic!("no interface of {}", guest.name));
            before.mode = modes(guest, frame);
            for from in [0].into_iter().chain(layout.plain.map(|plain| plain.at)) {
                let saved = before.clone();
                let Pushed { frame: at, sp } = frame.write(guest, abi, &mut before, top, &context, from).unwrap();
                assert_eq!(sp, at + from);
                let mut after = GuestState::new(guest);
                let alt_stack = layout.stack.map(|_| AltStack::default());
                assert_eq!(frame.load(guest, abi, &mut after, sp, from), Ok((0x55, alt_stack)));
                assert_eq!((after.pc, after.fflags), (before.pc, before.fflags));
                assert_eq!(after.mode, before.mode, "{}", guest.name);
                for field in &frame.fields {
                    if let Value::Run(first) = field.value {
                        let slots = |state: &GuestState| state.slots[first..][..field.size].to_vec();
                        assert_eq!(slots(&after), slots(&saved), "{}: from {first}", guest.name);
                    }
                    if let Value::Slot(slot) = field.value
                        && frame.record.is_none_or(|record| record[0] != slot)
                    {
                        let name = guest.slots[slot.0 as usize].name;
                        assert_eq!(after.get(guest, slot), before.get(guest, slot), "{name}");
                    }
                }
            }
        }
    }

    /// A mode word with every second bit of those that the frame keeps.
    fn modes(guest: &Guest, frame: &Frame) -> u32 {
        let mut mode = guest.reset_mode();
        for field in &frame.fields {
            let Value::Packed(pieces) = &field.value else { continue };
            for piece in pieces {
                if let From::Mode(bit) = piece.from {
                    mode ^= (0x5555_5555 & piece.mask) << bit;
                }
            }
        }
        mode
    }

    /// The IT state of Thumb code is where the architecture has it in the program status register.
    #[test]
    fn the_it_state_is_in_the_status_register() {
        let guest = guests::ALL.by_name("arm").expect("the guest");
        let frame = Frames::of(guest).unwrap_or_else(|what| panic!("no {what}")).full;
        let abi = Abi::of(guest).expect("described");
        let mut state = GuestState::new(guest);
        let context = |name: &str| guest.contexts.iter().find(|c| c.name == name).expect("a context").lo;
        // The second instruction of `itte ne`: NE, of a block of which two follow.
        state.mode = 0x1a << context("it") | 1 << context("thumb");
        state.set(guest, guest.slot("Z").expect("a flag"), 1);
        let mut memory = vec![0u8; 8192];
        let top = memory.as_mut_ptr() as u64 + 8000;
        let what = Context { info: Info::fault(11, 1, 8), mask: 0, alt_stack: AltStack::default() };
        let sp = frame.write(guest, abi, &mut state, top, &what, 0).expect("the memory is there").sp;
        let cpsr = abi.structure("rt_sigframe").expect("described").field("sig").map_or(0, |f| f.at)
            + abi.structure("ucontext").and_then(|s| s.field("uc_mcontext")).map_or(0, |f| f.at)
            + abi.structure("mcontext").and_then(|s| s.field("arm_cpsr")).map_or(0, |f| f.at);
        let mut word = [0; 4];
        guest_memory::read(sp + u64::from(cpsr), &mut word).expect("the frame is there");
        // Z, IT[1:0] = 10, IT[7:2] = 000110, T, user mode.
        assert_eq!(u32::from_le_bytes(word), 1 << 30 | 0b10 << 25 | 0b000110 << 10 | 1 << 5 | 0x10);
        assert_eq!((frame.syscall_len(state.mode), frame.syscall_len(0)), (2, 4));
    }
}
