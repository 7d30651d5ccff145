//! Data in memory, between the guest's representation and the host's.

use crate::abi::{Abi, Bytes, Format, Len, Move, Place, Set, Struct, Ty, integer, put_integer};

/// Whether values of this type are the same in the guest's memory and the host's.
pub(super) fn same(abi: &Abi, ty: &Ty) -> bool {
    let like_host = abi.word == 8 && !abi.big_endian;
    let signals = || abi.set("signal").is_none_or(|set| set.same);
    match ty {
        Ty::Int(int) => {
            int.size == int.host_size
                && (int.size == 1 || !abi.big_endian)
                && (int.format != Format::WaitStatus || signals())
        }
        Ty::Set(set) => set.same && set.size == set.host_size && !abi.big_endian,
        Ty::Struct(s) => s.same,
        Ty::Array(elem, _) => same(abi, elem),
        Ty::Bytes(Bytes::Sigset | Bytes::Sigmask, _) => like_host && signals(),
        Ty::Bytes(Bytes::Fdset, _) => like_host,
        Ty::Bytes(Bytes::Sockaddr, _) => !abi.big_endian,
        Ty::Bytes(Bytes::Control, _) => abi.control.as_ref().is_none_or(|control| control.same),
        _ => true,
    }
}

/// Bytes of one value on the host.
pub(super) fn host_size(ty: &Ty) -> u64 {
    match ty {
        Ty::Int(int) => int.host_size.into(),
        Ty::Set(set) => set.host_size.into(),
        Ty::Struct(s) => s.host_size.into(),
        Ty::Array(elem, Len::Fixed(n)) => host_size(elem) * n,
        ty => ty.size(8),
    }
}

/// Converts one value from the guest's bytes.
pub(super) fn to_host(abi: &Abi, ty: &Ty, guest: &[u8], host: &mut [u8]) {
    match ty {
        Ty::Struct(s) => s.to_host(guest, host),
        Ty::Set(set) => {
            let value = set.to_host(integer(guest, abi.big_endian));
            put_integer(host, value, false);
        }
        Ty::Int(int) => {
            put_integer(host, extended(integer(guest, abi.big_endian), guest.len(), int.signed), false);
        }
        Ty::Array(elem, Len::Fixed(n)) => {
            let (from, to) = (guest.len() / (*n).max(1) as usize, host.len() / (*n).max(1) as usize);
            for (guest, host) in guest.chunks_exact(from.max(1)).zip(host.chunks_exact_mut(to.max(1))) {
                to_host(abi, elem, guest, host);
            }
        }
        Ty::Bytes(Bytes::Sigset | Bytes::Sigmask, _) => sigset_to_host(abi, guest, host),
        Ty::Bytes(kind, _) => bytes(abi, *kind, guest, host),
        _ => copy(guest, host),
    }
}

/// Converts one value to the guest's bytes.
pub(super) fn to_guest(abi: &Abi, ty: &Ty, host: &[u8], guest: &mut [u8]) {
    match ty {
        Ty::Struct(s) => s.to_guest(host, guest),
        Ty::Set(set) => {
            let value = set.to_guest(integer(host, false));
            put_integer(guest, value, abi.big_endian);
        }
        Ty::Int(int) => {
            let value = extended(integer(host, false), host.len(), int.signed);
            let status = int.format == Format::WaitStatus;
            put_integer(guest, if status { wait_status(abi, value) } else { value }, abi.big_endian);
        }
        Ty::Array(elem, Len::Fixed(n)) => {
            let (from, to) = (host.len() / (*n).max(1) as usize, guest.len() / (*n).max(1) as usize);
            for (host, guest) in host.chunks_exact(from.max(1)).zip(guest.chunks_exact_mut(to.max(1))) {
                to_guest(abi, elem, host, guest);
            }
        }
        Ty::Bytes(Bytes::Sigset | Bytes::Sigmask, _) => sigset_to_guest(abi, host, guest),
        Ty::Bytes(kind, _) => bytes(abi, *kind, host, guest),
        _ => copy(host, guest),
    }
}

/// The signal in a status that `wait` gives.
fn wait_status(abi: &Abi, status: u64) -> u64 {
    let signal = |host: u64| abi.signal(host as i32) as u64 & 0x7f;
    match status & 0x7f {
        0 => status,
        0x7f if status & 0xff == 0x7f && status >> 16 != 0xffff => status & !0x7f00 | signal(status >> 8 & 0x7f) << 8,
        0x7f => status,
        own => status & !0x7f | signal(own),
    }
}

/// Bytes with a meaning. All but signal sets are the same exchange of bytes both ways.
fn bytes(abi: &Abi, kind: Bytes, from: &[u8], to: &mut [u8]) {
    copy(from, to);
    match kind {
        Bytes::Fdset if abi.big_endian => to.chunks_exact_mut(abi.word as usize).for_each(<[u8]>::reverse),
        Bytes::Sockaddr if abi.big_endian && to.len() >= 2 => to.swap(0, 1),
        _ => {}
    }
}

fn sigset_to_host(abi: &Abi, guest: &[u8], host: &mut [u8]) {
    if let (Some(guest), Some(host)) = (guest.first_chunk(), host.first_chunk_mut()) {
        *host = abi.sigset_to_host(abi.words().bits(guest)).to_le_bytes();
    }
}

fn sigset_to_guest(abi: &Abi, host: &[u8], guest: &mut [u8]) {
    if let (Some(host), Some(guest)) = (host.first_chunk(), guest.first_chunk_mut()) {
        *guest = abi.words().bit_bytes(abi.sigset_to_guest(u64::from_le_bytes(*host)));
    }
}

fn copy(from: &[u8], to: &mut [u8]) {
    let n = from.len().min(to.len());
    // Fields that stand side by side on both are short: to call a function that copies any number would take longer.
    match n {
        2 => copy_fixed::<2>(from, to),
        4 => copy_fixed::<4>(from, to),
        8 => copy_fixed::<8>(from, to),
        16 => copy_fixed::<16>(from, to),
        24 => copy_fixed::<24>(from, to),
        32 => copy_fixed::<32>(from, to),
        48 => copy_fixed::<48>(from, to),
        _ => to[..n].copy_from_slice(&from[..n]),
    }
}

#[inline]
fn copy_fixed<const N: usize>(from: &[u8], to: &mut [u8]) {
    if let (Some(from), Some(to)) = (from.first_chunk::<N>(), to.first_chunk_mut::<N>()) {
        *to = *from;
    }
}

/// Copies integers of `N` bytes into the other order of bytes.
#[inline]
fn exchange<const N: usize>(from: &[u8], to: &mut [u8]) {
    for (from, to) in from.as_chunks::<N>().0.iter().zip(to.as_chunks_mut::<N>().0) {
        *to = *from;
        to.reverse();
    }
}

#[inline]
fn extended(value: u64, size: usize, signed: bool) -> u64 {
    if !signed || size >= 8 {
        return value;
    }
    let shift = 64 - 8 * size.max(1) as u32;
    ((value << shift) as i64 >> shift) as u64
}

impl Struct {
    /// Converts one structure from the guest's layout; what the guest does not have stays.
    pub(crate) fn to_host(&self, guest: &[u8], host: &mut [u8]) {
        let sizes = (guest.len(), host.len());
        self.all_to_host(guest, host, sizes);
    }

    /// Converts one structure to the guest's layout; what the host does not have stays. Pointers to converted data stay as they are.
    pub(crate) fn to_guest(&self, host: &[u8], guest: &mut [u8]) {
        let sizes = (guest.len(), host.len());
        self.all_to_guest(host, guest, sizes);
    }

    /// The same with structures that stand one behind another and take so many bytes each on the guest and on the host.
    pub(super) fn all_to_host(&self, guest: &[u8], host: &mut [u8], sizes: (usize, usize)) {
        if self.same {
            return copy(guest, host);
        }
        for m in self.moves {
            let (from, to) = ((guest, sizes.0, m.guest), (&mut *host, sizes.1, m.host));
            match self.big_endian {
                true => transfer::<true, false>(m, from, to, Set::to_host),
                false => transfer::<false, false>(m, from, to, Set::to_host),
            }
        }
    }

    /// The same the other way.
    pub(super) fn all_to_guest(&self, host: &[u8], guest: &mut [u8], sizes: (usize, usize)) {
        if self.same {
            return copy(host, guest);
        }
        for m in self.moves.iter().filter(|m| m.pointee.is_none()) {
            let (from, to) = ((host, sizes.1, m.host), (&mut *guest, sizes.0, m.guest));
            match self.big_endian {
                true => transfer::<false, true>(m, from, to, Set::to_guest),
                false => transfer::<false, false>(m, from, to, Set::to_guest),
            }
        }
    }
}

/// Copies the bytes, or the integer, at a place (offset, size) of each structure to that of another. The structures stand one behind
/// another, and their size is given.
#[inline]
fn transfer<const FROM_BIG: bool, const TO_BIG: bool>(
    m: &Move,
    (source, source_size, from): (&[u8], usize, (u32, u32)),
    (target, target_size, to): (&mut [u8], usize, (u32, u32)),
    convert: impl Fn(&Set, u64) -> u64,
) {
    let (from, to) = (from.0 as usize..(from.0 + from.1) as usize, to.0 as usize..(to.0 + to.1) as usize);
    if from.end > source_size || to.end > target_size {
        return;
    }
    let pairs = source.chunks_exact(source_size).zip(target.chunks_exact_mut(target_size));
    let places = pairs.map(|(source, target)| (&source[from.clone()], &mut target[to.clone()]));
    match m.units {
        0 if from.len() <= 8 && to.len() <= 8 => {}
        2 if FROM_BIG != TO_BIG => return places.for_each(|(from, to)| exchange::<2>(from, to)),
        4 if FROM_BIG != TO_BIG => return places.for_each(|(from, to)| exchange::<4>(from, to)),
        8 if FROM_BIG != TO_BIG => return places.for_each(|(from, to)| exchange::<8>(from, to)),
        _ => return places.for_each(|(from, to)| copy(from, to)),
    }
    let set = m.set.map(Place::entry);
    for (from, to) in places {
        let value = extended(integer(from, FROM_BIG), from.len(), m.signed);
        put_integer(to, set.map_or(value, |set| convert(set, value)), TO_BIG);
    }
}
