//! Control messages of sockets: a list of headers, each with data whose type the header says, as the item `control` of the
//! interface describes.

use smallvec::{SmallVec, smallvec};

use super::convert;
use super::marshal::{Words, as_bytes, bytes_of};
use crate::abi::{Abi, Control, Format, Int, Struct, Ty, integer, put_integer};
use crate::errno::{Errno, SysResult};
use crate::guest_memory;

/// Most bytes of messages; the kernel's own limit is lower.
const LIMIT: u64 = 1 << 20;

/// Bytes of the messages of frequent calls.
type Bytes = SmallVec<[u8; 128]>;

/// The messages of one `msghdr`.
pub(super) struct Messages<'r> {
    guest: u64,
    /// Bytes there.
    len: u64,
    received: bool,
    host: Words<'r>,
    /// In the host's structure that points to them: their length, offset and bytes, and where it is said that some are lost.
    length: (usize, usize),
    lost: Option<(usize, u64)>,
}

impl<'r> Messages<'r> {
    /// Those that the field `count` of the guest's structure `what` counts, at `addr`; the host's structure then counts its own.
    pub(super) fn of(
        abi: &Abi,
        room: &mut &'r mut [u64],
        what: &Struct,
        (count, host): ((u32, u32), &mut [u8]),
        (addr, len, received): (u64, u64, bool),
    ) -> Result<Option<Messages<'r>>, Errno> {
        let Some(control) = abi.control.as_ref().filter(|control| !control.same) else { return Ok(None) };
        if len > LIMIT {
            return Err(Errno::EINVAL);
        }
        let words = if received {
            // Larger data is the host's, and what is around it.
            Words::new(room, (2 * len).div_ceil(8) as usize + 2)
        } else {
            let mut guest: Bytes = smallvec![0; len as usize];
            guest_memory::read(addr, &mut guest)?;
            let messages = to_host(abi, control, &guest)?;
            let mut words = Words::new(room, messages.len().div_ceil(8));
            as_bytes(&mut words)[..messages.len()].copy_from_slice(&messages);
            words
        };
        let (at, size) = host_place(what, count);
        put_integer(&mut host[at..at + size], size_of_val(&*words) as u64, false);
        let lost = flag(what, "MSG_CTRUNC", 0).map(|(field, value)| (host_place(what, field).0, value));
        Ok(Some(Messages { guest: addr, len, received, host: words, length: (at, size), lost }))
    }

    /// Where the host kernel finds them.
    pub(super) fn address(&self) -> u64 {
        self.host.as_ptr() as u64
    }

    /// After the call: gives the guest what was received, and counts its bytes, not the host's, in the host's structure, of
    /// which the guest's is made. `outcome` is an error if nothing was received.
    pub(super) fn copy_back(&self, abi: &Abi, structure: &mut [u8], outcome: SysResult) -> Result<(), Errno> {
        let (at, size) = self.length;
        let count = &mut structure[at..at + size];
        let Some(control) = abi.control.as_ref().filter(|_| self.received && outcome.is_ok()) else {
            put_integer(count, self.len, false);
            return Ok(());
        };
        let all = bytes_of(&self.host);
        let used = integer(count, false).min(all.len() as u64) as usize;
        let Received { messages, lost } = to_guest(abi, control, &all[..used], self.len as usize);
        put_integer(count, messages.len() as u64, false);
        if lost && let Some((at, flag)) = self.lost {
            let flags = &mut structure[at..at + 4];
            put_integer(flags, integer(flags, false) | flag, false);
        }
        guest_memory::write(self.guest, &messages)
    }
}

/// Where the host has what is at a place of the guest's structure.
fn host_place(what: &Struct, (at, size): (u32, u32)) -> (usize, usize) {
    let holds = |from: (u32, u32)| from.0 <= at && at + size <= from.0 + from.1;
    let found = what.moves.iter().find(|m| holds(m.guest)).map_or((at, size), |m| {
        let size = if m.units == 0 { m.host.1 } else { size };
        (m.host.0 + (at - m.guest.0), size)
    });
    (found.0 as usize, found.1 as usize)
}

/// Where a structure has flags, one of which is called `name`, and its value on the host.
fn flag(what: &Struct, name: &str, base: u32) -> Option<((u32, u32), u64)> {
    what.fields.iter().find_map(|field| match &field.ty {
        Ty::Struct(inner) => flag(inner, name, base + field.at),
        Ty::Set(set) => {
            let constant = set.entries.iter().find(|constant| constant.name == name)?;
            Some(((base + field.at, field.size), constant.host_value))
        }
        _ => None,
    })
}

/// What the data of a message with the guest's `header` consists of.
fn data_of<'c>(control: &'c Control, header: &[u8]) -> &'c Ty {
    let field = |i: usize| control.header.fields.get(i).map_or(0, |f| control.header.get(header, f.name.text()));
    control.data.given(&[field(0), field(1), field(2)])
}

/// The field that counts the bytes of a message: the first.
fn length(control: &Control) -> (u32, u32) {
    control.header.fields.first().map_or((0, 0), |f| (f.at, f.size))
}

/// The sizes of a header, with the padding before data, and the bytes that messages are aligned to: the guest's and the host's.
fn layout(abi: &Abi, control: &Control) -> [(usize, usize); 2] {
    let padded = |size: u32, word: u64| ((u64::from(size)).next_multiple_of(word) as usize, word as usize);
    [padded(control.header.size, abi.word), padded(control.header.host_size, 8)]
}

/// The guest's messages as the host's.
fn to_host(abi: &Abi, control: &Control, mut guest: &[u8]) -> Result<Bytes, Errno> {
    let [(guest_header, align), (host_header, host_align)] = layout(abi, control);
    let (at, size) = host_place(&control.header, length(control));
    let len_at = length(control);
    let mut out = Bytes::new();
    while guest.len() >= guest_header {
        let header = &guest[..control.header.size as usize];
        let len = integer(&header[len_at.0 as usize..][..len_at.1 as usize], abi.big_endian) as usize;
        if len < guest_header || len > guest.len() {
            return Err(Errno::EINVAL);
        }
        let start = out.len();
        out.resize(start + host_header, 0);
        control.header.to_host(header, &mut out[start..start + control.header.host_size as usize]);
        let data = data_of(control, header);
        convert_all(abi, data, &guest[guest_header..len], &mut out, Way::ToHost);
        let host_len = (out.len() - start) as u64;
        put_integer(&mut out[start + at..][..size], host_len, false);
        out.resize(out.len().next_multiple_of(host_align), 0);
        guest = &guest[len.next_multiple_of(align).min(guest.len())..];
    }
    Ok(out)
}

/// Messages for the guest, and whether some did not fit.
struct Received {
    messages: Bytes,
    lost: bool,
}

/// The host's messages as the guest's, as far as they fit in `room` bytes. Descriptors that do not fit are closed.
fn to_guest(abi: &Abi, control: &Control, mut host: &[u8], room: usize) -> Received {
    let [(guest_header, align), (host_header, host_align)] = layout(abi, control);
    let (at, size) = host_place(&control.header, length(control));
    let len_at = length(control);
    let mut out = Received { messages: Bytes::new(), lost: false };
    while host.len() >= host_header {
        let len = integer(&host[at..at + size], false) as usize;
        if len < host_header || len > host.len() {
            break;
        }
        let mut header: Bytes = smallvec![0; guest_header];
        control
            .header
            .to_guest(&host[..control.header.host_size as usize], &mut header[..control.header.size as usize]);
        let data = data_of(control, &header);
        let mut message = header;
        convert_all(abi, data, &host[host_header..len], &mut message, Way::ToGuest);
        let fits = fitting(data, room - out.messages.len(), guest_header, message.len());
        if fits < message.len() {
            out.lost = true;
            close_from(abi, data, &message[fits.max(guest_header)..]);
        }
        message.truncate(fits);
        if fits != 0 {
            put_integer(&mut message[len_at.0 as usize..][..len_at.1 as usize], fits as u64, abi.big_endian);
            out.messages.extend_from_slice(&message);
            let end = out.messages.len().next_multiple_of(align).min(room);
            out.messages.resize(end, 0);
        }
        host = &host[len.next_multiple_of(host_align).min(host.len())..];
    }
    out
}

/// How many bytes of a message of `len` are given to the guest, which has room for `room`: none if there is none for a header.
fn fitting(data: &Ty, room: usize, header: usize, len: usize) -> usize {
    match room {
        _ if len <= room => len,
        _ if room < header => 0,
        // Descriptors are whole, and without one there is no message.
        _ if is_descriptor(data) => match (room - header) / 4 {
            0 => 0,
            n => header + 4 * n,
        },
        _ => room,
    }
}

fn is_descriptor(ty: &Ty) -> bool {
    matches!(ty, Ty::Int(Int { format: Format::Fd, size: 4, .. }))
}

/// Closes the guest's descriptors among data that it does not get.
fn close_from(abi: &Abi, data: &Ty, lost: &[u8]) {
    for fd in lost.chunks_exact(4).filter(|_| is_descriptor(data)) {
        // SAFETY: closes a descriptor that has just been received and that nobody knows.
        let _ = unsafe { crate::host::syscall(libc::SYS_close, [integer(fd, abi.big_endian), 0, 0, 0, 0, 0]) };
    }
}

#[derive(Clone, Copy)]
enum Way {
    ToHost,
    ToGuest,
}

/// Appends as many values of a type as there are, converted, and what remains as it is.
fn convert_all(abi: &Abi, ty: &Ty, from: &[u8], out: &mut Bytes, way: Way) {
    let (guest, host) = (ty.size(abi.word) as usize, convert::host_size(ty) as usize);
    let (source, target) = match way {
        Way::ToHost => (guest, host),
        Way::ToGuest => (host, guest),
    };
    if convert::same(abi, ty) || source == 0 {
        return out.extend_from_slice(from);
    }
    let values = from.chunks_exact(source);
    let rest = values.remainder();
    for value in values {
        let at = out.len();
        out.resize(at + target, 0);
        match way {
            Way::ToHost => convert::to_host(abi, ty, value, &mut out[at..]),
            Way::ToGuest => convert::to_guest(abi, ty, value, &mut out[at..]),
        }
    }
    out.extend_from_slice(rest);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::every;

    fn abi(name: &str) -> (&'static Abi, &'static Control) {
        let abi = every().iter().find(|abi| abi.name == name).expect("described");
        (abi, abi.control.as_ref().expect("described"))
    }

    /// A message of the guest's: a header in its words, and data.
    fn message(abi: &Abi, header: [u64; 3], data: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; abi.word as usize + 8];
        put_integer(&mut bytes[..abi.word as usize], header[0], abi.big_endian);
        for (bytes, value) in bytes[abi.word as usize..].chunks_exact_mut(4).zip(&header[1..]) {
            put_integer(bytes, *value, abi.big_endian);
        }
        bytes.extend_from_slice(data);
        bytes
    }

    #[test]
    fn two_messages_get_the_hosts_headers_and_data_and_come_back() {
        for (guest, level) in [("arm", 1), ("mips", 0xffff), ("mips64", 0xffff), ("x86", 1)] {
            let (abi, control) = abi(guest);
            let (word, int) = (abi.word, |value: u64| {
                let mut bytes = [0; 4];
                put_integer(&mut bytes, value, abi.big_endian);
                bytes
            });
            let time = abi.words().bytes(&[7, 9]);
            let header = word + 8;
            let mut both = message(abi, [header + 4, level, 1], &int(5));
            both.resize(both.len().next_multiple_of(word as usize), 0);
            both.extend(message(abi, [header + 2 * word, level, 35], &time));
            let host = to_host(abi, control, &both).expect("well formed");
            let words: Vec<u64> = host.chunks_exact(8).map(|b| integer(b, false)).collect();
            assert_eq!(words, [20, 1 | 1 << 32, 5, 32, 1 | 35 << 32, 7, 9], "{guest}");
            let back = to_guest(abi, control, &host, both.len());
            assert_eq!((&back.messages[..], back.lost), (&both[..], false), "{guest}");
            // Without room for the second, without room for all of its data, without room for a header.
            let first = (header + 4).next_multiple_of(word) as usize;
            for (room, kept) in [(first, first), (both.len() - 1, both.len() - 1), (header as usize - 1, 0)] {
                let back = to_guest(abi, control, &host[..if kept == 0 { 0 } else { host.len() }], room);
                assert_eq!((back.messages.len(), back.lost), (kept, kept != 0), "{guest} {room}");
            }
        }
    }

    #[test]
    fn a_length_that_cannot_be_is_refused() {
        let (abi, control) = abi("arm");
        for len in [0, 11, 17] {
            assert_eq!(to_host(abi, control, &message(abi, [len, 1, 1], &[0; 4])), Err(Errno::EINVAL), "{len}");
        }
        assert_eq!(to_host(abi, control, &[0; 11]).map(|bytes| bytes.len()), Ok(0));
    }

    #[test]
    fn descriptors_that_do_not_fit_are_closed() {
        let (abi, control) = abi("arm");
        // SAFETY: descriptors of the test's own.
        let [kept, lost] = [0, 0].map(|_| unsafe { libc::dup(0) });
        let mut host = message(abi, [0, 1, 1], &[]);
        host.splice(..4, 24u64.to_le_bytes());
        host.extend([kept, lost].iter().flat_map(|fd| fd.to_le_bytes()));
        let back = to_guest(abi, control, &host, 16);
        assert_eq!((back.messages.len(), back.lost), (16, true));
        assert_eq!(integer(&back.messages[..4], false), 16);
        // SAFETY: as above.
        let open = [kept, lost].map(|fd| unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0);
        assert_eq!(open, [true, false]);
        // SAFETY: as above.
        unsafe { libc::close(kept) };
    }
}
