//! Where the guest's interface and the host's differ: what has to be converted, field by field, bit by bit.

use super::model::{Abi, Bytes, Control, Dir, Format, Len, Set, Terminated, Ty};
use super::report::Report;

/// Copies part of a structure from one layout to the other.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Move {
    /// Offset and size in bytes on the guest.
    pub guest: (u64, u64),
    /// Offset and size in bytes on the host.
    pub host: (u64, u64),
    /// Sign-extend when one is larger.
    pub signed: bool,
    /// Constants to convert.
    pub set: Option<String>,
    /// Integers of so many bytes each that are copied; 1 for bytes, which have no order, 0 for one that changes.
    pub units: u64,
    /// What the pointer points to, if that has to be converted too.
    pub pointee: Option<Pointee>,
}

/// What a pointer in a structure points to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Pointee {
    /// Type.
    pub ty: Ty,
    /// Offset and size on the guest of the field that counts its elements.
    pub count: Option<(u64, u64)>,
    /// Direction, if it is not that of the structure.
    pub dir: Dir,
}

/// The pair of interfaces.
pub(crate) struct Pair<'a> {
    /// The guest's.
    pub guest: &'a Abi,
    /// The host's.
    pub host: &'a Abi,
}

impl Pair<'_> {
    /// Value and mask of the host's constant of that name.
    pub(crate) fn host_value(&self, set: &str, name: &str) -> Option<(u64, u64)> {
        let host = self.host.sets.get(set)?;
        host.entries.iter().find(|(n, _, _)| n == name).map(|(_, value, mask)| (*value, *mask))
    }

    /// Whether the host uses the same values.
    pub(crate) fn set_same(&self, name: &str, set: &Set) -> bool {
        set.entries.iter().all(|(n, value, mask)| self.host_value(name, n).is_none_or(|h| h == (*value, *mask)))
    }

    /// Whether both lay out integers of all kinds alike.
    fn words_same(&self) -> bool {
        self.guest.big_endian == self.host.big_endian && self.guest.word == self.host.word
    }

    /// Whether signals have the same numbers.
    fn signals_same(&self) -> bool {
        self.guest.sets.get("signal").is_none_or(|set| self.set_same("signal", set))
    }

    /// Whether an argument is passed on as it is.
    pub(crate) fn argument_same(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Int { format: Format::Memory, .. } => self.words_same(),
            Ty::Int { .. } => self.guest.word == self.host.word,
            Ty::Set(name) => {
                self.guest.word == self.host.word
                    && self.guest.sets.get(name).is_none_or(|set| self.set_same(name, set))
            }
            Ty::Ptr(_, to) => self.same(to),
            Ty::Select { cases, default, .. } => {
                self.argument_same(default) && cases.iter().all(|(_, ty)| self.argument_same(ty))
            }
            _ => self.same(ty),
        }
    }

    /// Whether the result is passed on as it is.
    pub(crate) fn result_same(&self, ty: &Ty) -> bool {
        match ty {
            Ty::Int { .. } | Ty::Ptr(..) => true,
            Ty::Set(name) => self.guest.sets.get(name).is_none_or(|set| self.set_same(name, set)),
            Ty::Select { cases, default, .. } => {
                self.result_same(default) && cases.iter().all(|(_, ty)| self.result_same(ty))
            }
            _ => self.same(ty),
        }
    }

    /// Whether a value of this type in memory means the same on the host.
    pub(crate) fn same(&self, ty: &Ty) -> bool {
        match ty {
            Ty::None | Ty::Terminated(Terminated::Cstr | Terminated::Path | Terminated::Entry) => true,
            Ty::Terminated(_) => self.words_same(),
            Ty::Bytes(Bytes::Sigset | Bytes::Sigmask, _) => self.words_same() && self.signals_same(),
            Ty::Bytes(Bytes::Fdset, _) => self.words_same(),
            Ty::Bytes(Bytes::Control, _) => self.control_same(),
            Ty::Bytes(Bytes::Sockaddr, _) => self.guest.big_endian == self.host.big_endian,
            Ty::Bytes(..) => true,
            Ty::Int { format: Format::WaitStatus, .. } if !self.signals_same() => false,
            Ty::Int { size, word, .. } => {
                (*size == 1 || self.guest.big_endian == self.host.big_endian)
                    && (!word || self.guest.word == self.host.word)
            }
            Ty::Set(name) => self.guest.sets.get(name).is_none_or(|set| {
                self.guest.big_endian == self.host.big_endian
                    && (!set.word || self.guest.word == self.host.word)
                    && self.set_same(name, set)
            }),
            Ty::Struct(name) => self.struct_same(name),
            Ty::Ptr(_, to) => self.guest.word == self.host.word && self.same(to),
            Ty::Array(elem, _) => self.same(elem),
            Ty::Select { cases, default, .. } => self.same(default) && cases.iter().all(|(_, ty)| self.same(ty)),
        }
    }

    /// Whether control messages are laid out alike.
    pub(crate) fn control_same(&self) -> bool {
        let same = |c: &Control| self.struct_same(&c.header) && self.same(&c.data);
        self.words_same() && self.guest.control.as_ref().is_none_or(same)
    }

    fn struct_same(&self, name: &str) -> bool {
        let (Some(guest), Some(host)) = (self.guest.structs.get(name), self.host.structs.get(name)) else {
            return true;
        };
        guest.size == host.size
            && guest.fields.len() == host.fields.len()
            && guest
                .fields
                .iter()
                .zip(&host.fields)
                .all(|(g, h)| (&g.name, g.offset, g.size) == (&h.name, h.offset, h.size) && self.same(&g.ty))
    }

    /// The moves between the two layouts of a structure, by field name.
    pub(crate) fn moves(&self, name: &str, report: &mut Report) -> Vec<Move> {
        let mut moves = Vec::new();
        self.collect(name, 0, 0, &mut moves, report);
        joined(moves, self.guest.big_endian != self.host.big_endian)
    }

    fn collect(&self, name: &str, guest_at: u64, host_at: u64, out: &mut Vec<Move>, report: &mut Report) {
        let (Some(guest), Some(host)) = (self.guest.structs.get(name), self.host.structs.get(name)) else { return };
        for g in &guest.fields {
            let Some(h) = host.fields.iter().find(|h| h.name == g.name) else { continue };
            let (ga, ha) = (guest_at + g.offset, host_at + h.offset);
            match (&g.ty, &h.ty) {
                (Ty::Struct(inner), Ty::Struct(_)) => self.collect(inner, ga, ha, out, report),
                (Ty::Array(elem, Len::Fixed(n)), Ty::Array(host_elem, Len::Fixed(m))) => {
                    let count = (*n).min(*m).max(1);
                    for i in 0..count {
                        let (gs, hs) = (g.size / n.max(&1), h.size / m.max(&1));
                        match (&**elem, &**host_elem) {
                            (Ty::Struct(inner), Ty::Struct(_)) => {
                                self.collect(inner, ga + i * gs, ha + i * hs, out, report)
                            }
                            (elem, _) => out.extend(self.leaf(elem, (ga + i * gs, gs), (ha + i * hs, hs))),
                        }
                    }
                }
                (Ty::Ptr(dir, to), _) if !self.same(to) => {
                    let len = match &**to {
                        Ty::Array(_, len) | Ty::Bytes(_, len) => Some(*len),
                        _ => None,
                    };
                    let field = |i: usize| guest.fields.get(i).map(|f| (guest_at + f.offset, f.size));
                    let count = match len {
                        Some(Len::Member(i)) => field(i),
                        Some(Len::Behind(_)) => {
                            let message =
                                format!("the length of what `{}` of `{name}` points to is not a field", g.name);
                            report.error(guest.span, message).help("calls that use it need `special`");
                            None
                        }
                        _ => None,
                    };
                    let pointee = Some(Pointee { ty: (**to).clone(), count, dir: *dir });
                    let (guest, host) = ((ga, g.size), (ha, h.size));
                    out.push(Move { guest, host, signed: false, set: None, units: 0, pointee });
                }
                (ty, _) => out.extend(self.leaf(ty, (ga, g.size), (ha, h.size))),
            }
        }
    }

    fn leaf(&self, ty: &Ty, guest: (u64, u64), host: (u64, u64)) -> Option<Move> {
        let plain = Move { guest, host, signed: false, set: None, units: 0, pointee: None };
        let differs = |name: &str| self.guest.sets.get(name).is_some_and(|set| !self.set_same(name, set));
        Some(match ty {
            Ty::Int { signed, .. } => Move { signed: *signed, ..plain },
            Ty::Set(name) => Move { set: Some(name.clone()).filter(|name| differs(name)), ..plain },
            Ty::Ptr(..) => plain,
            Ty::Bytes(..) => Move { units: 1, ..plain },
            _ => return None,
        })
    }
}

/// Moves, with those made one that copy neighbours to neighbours: where the order of bytes is exchanged, neighbours of one size.
fn joined(moves: Vec<Move>, exchanged: bool) -> Vec<Move> {
    let copies = |m: &Move| m.guest.1 == m.host.1 && m.set.is_none() && m.pointee.is_none();
    let units = |m: &Move| match m.units {
        _ if !exchanged => 1,
        0 => m.guest.1,
        units => units,
    };
    let mut out: Vec<Move> = Vec::new();
    for m in moves {
        if let Some(last) = out.last_mut()
            && (copies(last) && copies(&m) && units(last) == units(&m))
            && (last.guest.0 + last.guest.1, last.host.0 + last.host.1) == (m.guest.0, m.host.0)
        {
            last.units = units(last);
            (last.guest.1, last.host.1) = (last.guest.1 + m.guest.1, last.host.1 + m.host.1);
            continue;
        }
        let units = if copies(&m) { units(&m) } else { m.units };
        out.push(Move { units, ..m });
    }
    out
}
