//! Arguments and results of host functions, between the places of the guest's calling convention and numbers of 64 bits.

use ir::convention::{Kind, Leaf, Location, Piece, Place, Signature, Type, classify};
use ir::guest::Slot;
use ir::{Guest, GuestState, Ty};

use crate::guarded;

/// Most scalars of arguments.
pub(crate) const MAX_ARGS: usize = 6;
/// Most scalars of a result.
pub(crate) const MAX_RESULTS: usize = 4;

/// How the scalars of one signature travel on one guest.
#[derive(Debug)]
pub(crate) struct Plan {
    args: Vec<Scalar>,
    results: Vec<Scalar>,
    /// Where the address of a result in memory is.
    hidden: Option<Scalar>,
    returned: Option<Slot>,
    popped: u32,
}

/// A number, in one place or in parts.
#[derive(Debug)]
struct Scalar {
    bits: u32,
    signed: bool,
    parts: Vec<Part>,
}

#[derive(Clone, Copy, Debug)]
struct Part {
    at: At,
    bits: u32,
    /// Lowest bit in the number.
    lift: u32,
}

#[derive(Clone, Copy, Debug)]
enum At {
    /// Lowest bit in a register. The first part there clears the rest, unless it is alone and its sign goes on.
    Register { slot: Slot, shift: u32, first: bool, alone: bool },
    /// Offset from the stack pointer or, of a result, from its address.
    Memory(u32),
}

impl Plan {
    /// `None` if the convention does not say where something is, or it is in a form that is not known here: by reference, wider
    /// than 64 bits, `float`, in the format of 80 bits.
    pub(crate) fn new(guest: &Guest, signature: &Signature) -> Option<Plan> {
        let places = classify(guest, signature)?;
        let mut plan = Plan {
            args: Vec::new(),
            results: Vec::new(),
            hidden: None,
            returned: places.returned,
            popped: places.popped,
        };
        for (ty, location) in signature.args.iter().zip(&places.args) {
            if location.by_reference {
                return None;
            }
            plan.args.extend(scalars(guest, ty, location)?);
        }
        if let (Some(ty), Some(location)) = (&signature.result, &places.result) {
            if location.by_reference {
                let pointer = scalars(guest, &Type::Word { signed: false }, location)?;
                plan.hidden = pointer.into_iter().next();
                let piece = Piece { at: 0, bytes: ty.bytes(guest), place: Place::Stack(0) };
                plan.results = scalars(guest, ty, &Location { by_reference: false, pieces: vec![piece] })?;
            } else {
                plan.results = scalars(guest, ty, location)?;
            }
        }
        (plan.args.len() <= MAX_ARGS && plan.results.len() <= MAX_RESULTS).then_some(plan)
    }

    /// The registers, where every argument and the result are a whole one of 64 bits.
    pub(crate) fn registers(&self, guest: &Guest) -> Option<(Vec<Slot>, Option<Slot>)> {
        let whole = |scalar: &Scalar| match &scalar.parts[..] {
            [Part { at: At::Register { slot, shift: 0, .. }, bits: 64, lift: 0 }] => {
                Some(*slot).filter(|slot| guest.slots[slot.0 as usize].ty == Ty::I64)
            }
            _ => None,
        };
        if self.hidden.is_some() || self.popped > 0 || self.results.len() > 1 {
            return None;
        }
        let args = self.args.iter().map(whole).collect::<Option<_>>()?;
        let result = self.results.first().map(whole);
        if result == Some(None) { None } else { Some((args, result.flatten())) }
    }

    /// How many arguments there are.
    pub(crate) fn len(&self) -> usize {
        self.args.len()
    }

    /// The arguments of a call whose stack pointer at entry is `sp`. `None` if they cannot be read.
    pub(crate) fn arguments(&self, guest: &Guest, state: &GuestState, sp: u64) -> Option<[u64; MAX_ARGS]> {
        let mut args = [0; MAX_ARGS];
        for (arg, scalar) in args.iter_mut().zip(&self.args) {
            *arg = scalar.read(guest, state, sp)?;
        }
        Some(args)
    }

    /// Gives the guest a result; false if it cannot be written. Registers have not changed then.
    pub(crate) fn deliver(&self, guest: &Guest, state: &mut GuestState, sp: u64, results: &[u64; MAX_RESULTS]) -> bool {
        let mut address = 0;
        if let Some(hidden) = &self.hidden {
            let Some(pointer) = hidden.read(guest, state, sp) else { return false };
            address = pointer;
        }
        for (scalar, value) in self.results.iter().zip(results) {
            for part in &scalar.parts {
                let value = value >> part.lift;
                match part.at {
                    At::Register { slot, shift, first, alone } => {
                        let rest = if first { 0 } else { state.get(guest, slot) };
                        let value = if alone { value } else { value & mask(part.bits) };
                        state.set(guest, slot, rest | u128::from(value) << shift);
                    }
                    At::Memory(offset) => {
                        let to = guest.address(guest.code_address(address.wrapping_add(offset.into())));
                        if !store(guest, to, part.bits, value) {
                            return false;
                        }
                    }
                }
            }
        }
        if let Some(slot) = self.returned {
            state.set(guest, slot, address.into());
        }
        true
    }

    /// Bytes that a return removes from the stack, beside the return address.
    pub(crate) fn popped(&self) -> u64 {
        self.popped.into()
    }
}

impl Scalar {
    fn read(&self, guest: &Guest, state: &GuestState, sp: u64) -> Option<u64> {
        let mut value = 0;
        for part in &self.parts {
            let bits = match part.at {
                At::Register { slot, shift, .. } => (state.get(guest, slot) >> shift) as u64,
                At::Memory(offset) => load(guest, guest.code_address(sp.wrapping_add(offset.into())), part.bits)?,
            };
            value |= (bits & mask(part.bits)) << part.lift;
        }
        let above = 64 - self.bits;
        Some(if self.signed { ((value << above) as i64 >> above) as u64 } else { value })
    }
}

fn mask(bits: u32) -> u64 {
    u64::MAX >> (64 - bits)
}

fn width(bits: u32) -> Ty {
    Ty::holding(bits)
}

fn load(guest: &Guest, addr: u64, bits: u32) -> Option<u64> {
    let value = guarded::load(addr, width(bits)).ok()? as u64;
    Some(if guest.big_endian { value.swap_bytes() >> (64 - bits) } else { value })
}

fn store(guest: &Guest, addr: u64, bits: u32, value: u64) -> bool {
    let value = if guest.big_endian { value.swap_bytes() >> (64 - bits) } else { value };
    guarded::store(addr, width(bits), value.into()).is_ok()
}

/// The scalars of a value in its pieces.
fn scalars(guest: &Guest, ty: &Type, location: &Location) -> Option<Vec<Scalar>> {
    let mut used: Vec<Slot> = Vec::new();
    let scalar = |leaf: &Leaf| {
        if leaf.bytes > 8 || (leaf.kind, leaf.bytes) == (Kind::Float, 4) {
            return None;
        }
        let overlaps = |p: &&Piece| p.at < leaf.at + leaf.bytes && leaf.at < p.at + p.bytes;
        let parts = location.pieces.iter().filter(overlaps).map(|p| part(guest, leaf, p, &mut used));
        let signed = leaf.kind == Kind::Int { signed: true };
        Some(Scalar { bits: 8 * leaf.bytes, signed, parts: parts.collect::<Option<_>>()? })
    };
    let mut scalars = ty.leaves(guest).iter().map(scalar).collect::<Option<Vec<_>>>()?;
    for part in scalars.iter_mut().flat_map(|scalar| &mut scalar.parts) {
        if let At::Register { slot, alone, .. } = &mut part.at {
            *alone = used.iter().filter(|other| **other == *slot).count() == 1;
        }
    }
    Some(scalars)
}

/// What of a scalar is in a piece.
fn part(guest: &Guest, leaf: &Leaf, piece: &Piece, used: &mut Vec<Slot>) -> Option<Part> {
    let (start, end) = (leaf.at.max(piece.at), (leaf.at + leaf.bytes).min(piece.at + piece.bytes));
    // Lowest bytes come first or last.
    let below = |from: u32, to: u32| if guest.big_endian { to - end } else { start - from };
    let at = match piece.place {
        Place::Register { slot, low } => {
            let first = !used.contains(&slot);
            used.push(slot);
            At::Register { slot, shift: 8 * (low + below(piece.at, piece.at + piece.bytes)), first, alone: false }
        }
        Place::Stack(offset) => At::Memory(offset + start - piece.at),
        Place::Extended(_) => return None,
    };
    Some(Part { at, bits: 8 * (end - start), lift: 8 * below(leaf.at, leaf.at + leaf.bytes) })
}
