//! Building and reading signal frames by [`FrameLayout`].

use ir::GuestState;
use ir::guest::{Guest, Slot};

use super::layout::{Part, Source};
use super::{AltStack, FrameLayout, Info, SigSet};
use crate::errno::Errno;
use crate::guest_memory;

/// Offsets in every 64-bit `ucontext_t`.
const UC_STACK: u64 = 16;
const UC_SIGMASK: u64 = 40;

/// What a frame holds beside the processor state.
pub(crate) struct Context {
    /// The signal.
    pub(crate) info: Info,
    /// Mask to return to.
    pub(crate) mask: SigSet,
    /// The alternate stack in force.
    pub(crate) alt_stack: AltStack,
}

/// Writes a frame below `top`; returns the stack pointer for the handler and, if the layout has one, the address of the
/// frame record.
pub(crate) fn write(
    guest: &Guest,
    layout: &FrameLayout,
    state: &GuestState,
    top: u64,
    context: &Context,
) -> Result<(u64, Option<u64>), Errno> {
    let align = u64::from(guest.process.entry_sp_align.max(1));
    let mut sp = top;
    let mut record_at = None;
    if let Some((frame_pointer, return_address)) = layout.record {
        sp = sp.wrapping_sub(16) & !(align - 1);
        let saved =
            [named(guest, frame_pointer)?, named(guest, return_address)?].map(|slot| state.get(guest, slot) as u64);
        guest_memory::write_u64(sp, saved[0])?;
        guest_memory::write_u64(sp.wrapping_add(8), saved[1])?;
        record_at = Some(sp);
    }
    sp = sp.wrapping_sub(layout.size) & !(align - 1);
    let mut frame = vec![0; layout.size as usize];
    fill(guest, layout, state, context, &mut frame)?;
    guest_memory::write(sp, &frame)?;
    Ok((sp, record_at))
}

fn fill(
    guest: &Guest,
    layout: &FrameLayout,
    state: &GuestState,
    context: &Context,
    frame: &mut [u8],
) -> Result<(), Errno> {
    put(frame, layout.siginfo, &context.info.0);
    let stack = layout.ucontext + UC_STACK;
    put(frame, stack, &context.alt_stack.base.to_le_bytes());
    put(frame, stack + 8, &context.alt_stack.flags.to_le_bytes());
    put(frame, stack + 16, &context.alt_stack.size.to_le_bytes());
    put(frame, layout.ucontext + UC_SIGMASK, &context.mask.to_le_bytes());
    for field in layout.fields {
        let size = field.size as usize;
        match field.source {
            Source::Slots(name, first, count, stride) => {
                for i in 0..count {
                    let value = state.get(guest, indexed(guest, name, first + i)?);
                    put(frame, field.at + u64::from(i) * stride, &value.to_le_bytes()[..size]);
                }
            }
            source => {
                let value = read_source(guest, state, source, &context.info)?;
                put(frame, field.at, &value.to_le_bytes()[..size]);
            }
        }
    }
    Ok(())
}

fn put(frame: &mut [u8], at: u64, bytes: &[u8]) {
    frame[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
}

fn read_source(guest: &Guest, state: &GuestState, source: Source, info: &Info) -> Result<u128, Errno> {
    Ok(match source {
        Source::Slot(name) => state.get(guest, named(guest, name)?),
        Source::Slots(..) => 0, // expanded by the callers
        Source::Pc => u128::from(state.pc),
        Source::FaultAddress if info.code() > 0 => u128::from(info.addr()),
        Source::FaultAddress => 0,
        Source::Word(value) => u128::from(value),
        Source::Packed(parts) => parts.iter().fold(0, |word, part| word | read_part(guest, state, *part)),
    })
}

fn read_part(guest: &Guest, state: &GuestState, part: Part) -> u128 {
    match part {
        Part::Slot(name, lo, width) => {
            guest.slot(name).map_or(0, |slot| (state.get(guest, slot) & ((1 << width) - 1)) << lo)
        }
        Part::Context(name, lo) => {
            let context = guest.contexts.iter().find(|context| context.name == name);
            context.map_or(0, |c| u128::from(state.mode >> c.lo & mask32(c.width)) << lo)
        }
        Part::Flag(flag, lo) => u128::from(state.fflags >> flag & 1) << lo,
    }
}

/// Loads the state of the frame at `sp`; returns the mask and the alternate stack to restore.
pub(crate) fn read(
    guest: &Guest,
    layout: &FrameLayout,
    state: &mut GuestState,
    sp: u64,
) -> Result<(SigSet, AltStack), Errno> {
    let mut frame = vec![0; layout.size as usize];
    guest_memory::read(sp, &mut frame)?;
    let word = |at: u64, size: u32| {
        let mut bytes = [0; 16];
        bytes[..size as usize].copy_from_slice(&frame[at as usize..][..size as usize]);
        u128::from_le_bytes(bytes)
    };
    for field in layout.fields {
        match field.source {
            Source::Slot(name) => state.set(guest, named(guest, name)?, word(field.at, field.size)),
            Source::Slots(name, first, count, stride) => {
                for i in 0..count {
                    let value = word(field.at + u64::from(i) * stride, field.size);
                    state.set(guest, indexed(guest, name, first + i)?, value);
                }
            }
            Source::Pc => state.pc = word(field.at, field.size) as u64,
            Source::Packed(parts) => {
                let value = word(field.at, field.size);
                parts.iter().for_each(|part| write_part(guest, state, *part, value));
            }
            Source::FaultAddress | Source::Word(_) => {}
        }
    }
    let stack = layout.ucontext + UC_STACK;
    let alt_stack =
        AltStack { base: word(stack, 8) as u64, flags: word(stack + 8, 4) as i32, size: word(stack + 16, 8) as u64 };
    Ok((word(layout.ucontext + UC_SIGMASK, 8) as u64, alt_stack))
}

fn write_part(guest: &Guest, state: &mut GuestState, part: Part, word: u128) {
    match part {
        Part::Slot(name, lo, width) => {
            if let Some(slot) = guest.slot(name) {
                state.set(guest, slot, word >> lo & ((1 << width) - 1));
            }
        }
        Part::Context(name, lo) => {
            if let Some(c) = guest.contexts.iter().find(|context| context.name == name) {
                let mask = mask32(c.width);
                state.mode = state.mode & !(mask << c.lo) | ((word >> lo) as u32 & mask) << c.lo;
            }
        }
        Part::Flag(flag, lo) => state.fflags = state.fflags & !(1 << flag) | ((word >> lo) as u32 & 1) << flag,
    }
}

fn mask32(width: u32) -> u32 {
    ((1u64 << width) - 1) as u32
}

/// A slot the layout names; a layout that does not fit its spec is found out by the test below.
fn named(guest: &Guest, name: &str) -> Result<Slot, Errno> {
    guest.slot(name).ok_or(Errno::ENOSYS)
}

fn indexed(guest: &Guest, name: &str, index: u32) -> Result<Slot, Errno> {
    named(guest, &format!("{name}[{index}]"))
}
