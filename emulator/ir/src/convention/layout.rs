//! How a type lies in memory.

use super::Type;
use crate::guest::Guest;

/// What a scalar is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// A whole number.
    Int {
        /// With a sign.
        signed: bool,
    },
    /// A number of floating point.
    Float,
}

/// A scalar in a type.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leaf {
    /// Its offset.
    pub at: u32,
    /// Its size.
    pub bytes: u32,
    /// What it is.
    pub kind: Kind,
    /// It is a member of the outermost structure.
    pub flat: bool,
}

/// Size, alignment and scalars of a type.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Layout {
    pub(super) size: u32,
    pub(super) align: u32,
    pub(super) leaves: Vec<Leaf>,
}

impl Type {
    /// Its size in memory.
    #[must_use]
    pub fn bytes(&self, guest: &Guest) -> u32 {
        self.layout(guest).size
    }

    /// Its scalars, in order.
    #[must_use]
    pub fn leaves(&self, guest: &Guest) -> Vec<Leaf> {
        self.layout(guest).leaves
    }

    /// Structures and complex numbers.
    pub(super) fn is_aggregate(&self) -> bool {
        matches!(self, Type::Struct(_) | Type::Array(..) | Type::Complex { .. })
    }

    pub(super) fn layout(&self, guest: &Guest) -> Layout {
        let scalar = |bytes: u32, kind| Layout {
            size: bytes,
            align: bytes.min(guest.abi.stack.member_align),
            leaves: vec![Leaf { at: 0, bytes, kind, flat: true }],
        };
        match *self {
            Type::Int { bytes, signed } => scalar(bytes.into(), Kind::Int { signed }),
            Type::Word { signed } => scalar(u32::from(guest.elf.class) / 8, Kind::Int { signed }),
            Type::Float { bytes } => scalar(bytes.into(), Kind::Float),
            Type::Complex { bytes } => repeated(&Type::Float { bytes }, 2, guest, true),
            Type::Array(element, count) => repeated(element, count, guest, false),
            Type::Struct(members) => structure(members, guest),
        }
    }
}

fn repeated(element: &Type, count: u32, guest: &Guest, flat: bool) -> Layout {
    let element = element.layout(guest);
    let leaves = (0..count).flat_map(|i| {
        let here = element.leaves.iter();
        here.map(move |leaf| (i, *leaf))
    });
    let leaves = leaves.map(|(i, leaf)| Leaf { at: leaf.at + i * element.size, flat, ..leaf }).collect();
    Layout { size: element.size * count, align: element.align, leaves }
}

fn structure(members: &[Type], guest: &Guest) -> Layout {
    let mut all = Layout { align: 1, ..Layout::default() };
    for member in members {
        let layout = member.layout(guest);
        let at = all.size.next_multiple_of(layout.align);
        let flat = !member.is_aggregate();
        all.leaves.extend(layout.leaves.iter().map(|leaf| Leaf { at: leaf.at + at, flat, ..*leaf }));
        all.size = at + layout.size;
        all.align = all.align.max(layout.align);
    }
    all.size = all.size.next_multiple_of(all.align);
    all
}
