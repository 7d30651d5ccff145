//! Architectural state of one guest thread.

use crate::guest::{Guest, Slot};
use crate::ty::Ty;

/// Bytes for slots. The largest guest today (x86 with 16 × 256-bit vectors) uses under 1 KiB.
pub const SLOT_BYTES: usize = 2048;

/// Registers and the little else that instructions can observe. Generated code addresses it relative to its start:
/// its layout is fixed.
#[repr(C, align(64))]
#[derive(Clone)]
pub struct GuestState {
    /// Slots, at the offsets of [`crate::guest::SlotDesc`].
    pub slots: [u8; SLOT_BYTES],
    /// Guest address of the next instruction, whenever the state is in memory.
    pub pc: u64,
    /// Packed contexts.
    pub mode: u32,
    /// Sticky floating-point flags in the order of the `fflags` operation, of software-executed operations; the JIT
    /// keeps those of host operations in MXCSR and merges when asked.
    pub fflags: u32,
    /// Address of the exclusive monitor; `u64::MAX` when clear.
    pub excl_addr: u64,
    /// Bytes monitored.
    pub excl_size: u64,
    /// Value read by the load-exclusive.
    pub excl_value: [u64; 2],
    /// What the memory answered the load-exclusive besides the value ([`crate::interp::Env::load_exclusive`]).
    pub excl_stamp: u64,
}

impl GuestState {
    /// All zero, monitor clear, contexts at reset.
    #[must_use]
    pub fn new(guest: &Guest) -> GuestState {
        GuestState {
            slots: [0; SLOT_BYTES],
            pc: 0,
            mode: guest.reset_mode(),
            fflags: 0,
            excl_addr: u64::MAX,
            excl_size: 0,
            excl_value: [0; 2],
            excl_stamp: 0,
        }
    }

    /// Clears the exclusive monitor, as kernels do on their way back to the program.
    #[inline]
    pub fn clear_monitor(&mut self) {
        self.excl_addr = u64::MAX;
    }

    /// Value of a slot, zero-extended.
    #[must_use]
    #[inline]
    pub fn get(&self, guest: &Guest, slot: Slot) -> u128 {
        let desc = &guest.slots[slot.0 as usize];
        let bytes = &self.slots[desc.offset as usize..];
        match desc.ty {
            Ty::I1 => (bytes[0] & 1).into(),
            Ty::I8 => bytes[0].into(),
            Ty::I16 => u16::from_le_bytes(first(bytes)).into(),
            Ty::I32 => u32::from_le_bytes(first(bytes)).into(),
            Ty::I64 => u64::from_le_bytes(first(bytes)).into(),
            Ty::I128 => u128::from_le_bytes(first(bytes)),
        }
    }

    /// The low 64 bits of a slot's value, zero-extended.
    #[must_use]
    #[inline]
    pub fn word(&self, guest: &Guest, slot: Slot) -> u64 {
        let desc = &guest.slots[slot.0 as usize];
        match (desc.ty, self.slots[desc.offset as usize..].first_chunk()) {
            (Ty::I64, Some(bytes)) => u64::from_le_bytes(*bytes),
            _ => self.get(guest, slot) as u64,
        }
    }

    /// Set a slot to the low bits of `value`.
    #[inline]
    pub fn set(&mut self, guest: &Guest, slot: Slot, value: u128) {
        let desc = &guest.slots[slot.0 as usize];
        let bytes = &mut self.slots[desc.offset as usize..];
        match desc.ty {
            Ty::I1 => bytes[0] = value as u8 & 1,
            Ty::I8 => bytes[0] = value as u8,
            Ty::I16 => bytes[..2].copy_from_slice(&(value as u16).to_le_bytes()),
            Ty::I32 => bytes[..4].copy_from_slice(&(value as u32).to_le_bytes()),
            Ty::I64 => bytes[..8].copy_from_slice(&(value as u64).to_le_bytes()),
            Ty::I128 => bytes[..16].copy_from_slice(&value.to_le_bytes()),
        }
    }
}

/// The first bytes of a slot.
#[inline]
fn first<const N: usize>(bytes: &[u8]) -> [u8; N] {
    *bytes.first_chunk().expect("slots are inside of the state")
}
