//! Calls whose arguments the host sees differently: integers, constants, structures, paths, signal masks.

use std::ops::{Deref, DerefMut};

use smallvec::{SmallVec, smallvec};

use super::arguments::{self, Types};
use super::control::Messages;
use super::mask::{SET_BYTES, TemporaryMask};
use super::tree::HostPath;
use super::{convert, path, to_host, tree_memory};
use crate::abi::{Abi, Bytes, Call, Dir, Format, Int, Len, Place, Set, Struct, Terminated, Ty, integer, put_integer};
use crate::caller::Caller;
use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::process::Process;

/// Words for the host's representation of what pointers lead to, on the stack: the structures of frequent calls fit. They do not
/// move, so that pointers may lead to them.
const ROOM: usize = 64;

/// Zeros from the room, or from the heap.
pub(super) enum Words<'r> {
    Room(&'r mut [u64]),
    Heap(Box<[u64]>),
}

impl<'r> Words<'r> {
    pub(super) fn new(room: &mut &'r mut [u64], count: usize) -> Words<'r> {
        if count > room.len() {
            return Words::Heap(vec![0; count].into_boxed_slice());
        }
        let (taken, rest) = std::mem::take(room).split_at_mut(count);
        *room = rest;
        Words::Room(taken)
    }
}

impl Deref for Words<'_> {
    type Target = [u64];

    fn deref(&self) -> &[u64] {
        match self {
            Words::Room(words) => words,
            Words::Heap(words) => words,
        }
    }
}

impl DerefMut for Words<'_> {
    fn deref_mut(&mut self) -> &mut [u64] {
        match self {
            Words::Room(words) => words,
            Words::Heap(words) => words,
        }
    }
}

/// Values of one type behind a pointer, to be copied back to the guest as `dir` says.
struct Data<'r> {
    guest: u64,
    ty: &'static Ty,
    /// Bytes of one on the guest and on the host.
    sizes: (u64, u64),
    /// They hold pointers.
    pointers: bool,
    count: u64,
    /// The call's result says how many count.
    bounded: bool,
    dir: Dir,
    /// In the host's representation, 8-byte aligned.
    host: Words<'r>,
    /// What pointers in them point to.
    inner: Inner<'r>,
}

/// What pointers in values point to.
#[derive(Default)]
struct Inner<'r> {
    data: Vec<Data<'r>>,
    /// Control messages, with the number of the value that leads to them.
    messages: Vec<(u64, Messages<'r>)>,
}

/// One value in the guest's representation; the structures of frequent calls fit without an allocation.
type Value = SmallVec<[u8; 256]>;

/// Most bytes converted for one argument; the kernel's own limits are lower.
const LIMIT: u64 = 64 << 20;

/// Performs the caller's call as the host's `number`.
pub(super) fn call(caller: &Caller<'_>, number: u32, args: [u64; 6]) -> SysResult {
    let (process, call, queue) = (caller.process, caller.call, caller.queue());
    let types = Types::of(call, &args);
    let host = arguments::for_host(process.abi, &types, args);
    let perform = |host| to_host(queue.pending(), call, number, host);
    let outcome = match mask_among(&types, &args) {
        None => behind_pointers(process, &types, args, host, perform),
        Some(at) => {
            let size = args.get(at + 1).copied().unwrap_or(0);
            let mask = TemporaryMask::enter(process.abi, queue, args[at], size)?;
            let outcome = behind_pointers(process, &types, args, host, |mut host| {
                host[at] = mask.address();
                if let Some(size) = host.get_mut(at + 1) {
                    *size = SET_BYTES;
                }
                perform(host)
            });
            mask.leave(queue, outcome);
            outcome
        }
    };
    result(call, &args, outcome)
}

/// Which argument is a signal mask that is to be in force while the call waits.
fn mask_among(types: &[&Ty], args: &[u64; 6]) -> Option<usize> {
    types.iter().zip(args).position(|(ty, &arg)| arg != 0 && is_mask(ty))
}

fn is_mask(ty: &Ty) -> bool {
    matches!(ty, Ty::Ptr(_, to) if matches!(to.entry(), Ty::Bytes(Bytes::Sigmask, _)))
}

/// The rest of a special call: `perform` gets the arguments, which are the host's already, with the host's data behind pointers.
pub(super) fn pointers(
    caller: &mut Caller<'_>,
    args: [u64; 6],
    perform: impl FnOnce(&mut Caller<'_>, [u64; 6]) -> SysResult,
) -> SysResult {
    let types = Types::of(caller.call, &args);
    behind_pointers(caller.process, &types, args, args, |host| perform(caller, host))
}

/// Converts what pointers among `args` lead to.
fn behind_pointers(
    process: &Process,
    types: &[&'static Ty],
    args: [u64; 6],
    mut host: [u64; 6],
    perform: impl FnOnce([u64; 6]) -> SysResult,
) -> SysResult {
    let abi = process.abi;
    // What the host kernel gets the addresses of lives until the call returns.
    let mut words = [0; ROOM];
    let mut room: &mut [u64] = &mut words;
    let mut paths: SmallVec<[HostPath; 2]> = SmallVec::new();
    let mut buffers: SmallVec<[Data; 2]> = SmallVec::new();
    for (i, ty) in types.iter().enumerate() {
        let Ty::Ptr(dir, to) = ty else { continue };
        let to = to.entry();
        if args[i] == 0 {
            continue;
        }
        if let Ty::Terminated(kind @ (Terminated::Path | Terminated::Link)) = to {
            let wanted = guest_memory::read_cstr(args[i])?;
            let follow = || *kind == Terminated::Path && !means_link(types, &args);
            if let Some(found) = path::redirect(process, directory(types, i, &args), &wanted, follow) {
                host[i] = found.as_ptr() as u64;
                paths.push(found);
            }
            continue;
        }
        if let Some(data) = Data::of(abi, &mut room, args[i], to, *dir, &|len| count(abi, len, &args))? {
            host[i] = data.host.as_ptr() as u64;
            buffers.push(data);
        }
        if let Ty::Bytes(Bytes::Sigset, Len::Member(size)) = to {
            host[usize::from(*size)] = SET_BYTES;
        }
    }
    let outcome = perform(host);
    if types.iter().any(|ty| matches!(ty, Ty::Ptr(_, to) if matches!(to.entry(), Ty::Terminated(Terminated::Entry)))) {
        tree_memory::changed();
    }
    for data in &mut buffers {
        data.copy_back(abi, outcome)?;
    }
    outcome
}

/// The directory a path argument is relative to: the descriptor before it, if there is one.
fn directory(types: &[&Ty], path: usize, args: &[u64; 6]) -> Option<u64> {
    let before = path.checked_sub(1)?;
    match types[before] {
        Ty::Int(Int { format: Format::FdAt, .. }) => Some(args[before]),
        _ => None,
    }
}

/// Whether a flag says that a path which ends in a symbolic link means the link.
fn means_link(types: &[&Ty], args: &[u64; 6]) -> bool {
    let set = |set: &Set, value: u64| {
        set.flags && set.entries.iter().any(|c| value & c.mask == c.value && c.name == "AT_SYMLINK_NOFOLLOW")
    };
    types.iter().zip(args).any(|(ty, &value)| matches!(ty, Ty::Set(flags) if set(flags, value)))
}

/// The result in the guest's terms.
pub(super) fn result(call: &Call, args: &[u64; 6], outcome: SysResult) -> SysResult {
    match call.ret.given(args) {
        Ty::Set(set) => outcome.map(|value| set.to_guest(value)),
        _ => outcome,
    }
}

/// Elements of an array among arguments, and whether the call's result says how many of them count.
fn count(abi: &Abi, len: Len, args: &[u64; 6]) -> Result<(u64, bool), Errno> {
    match len {
        Len::Fixed(n) => Ok((n, false)),
        Len::Member(i) => {
            // Counts are `int` or `unsigned int`; a negative one is the host kernel's to refuse.
            let n = args.get(usize::from(i)).copied().unwrap_or(0) as i32;
            Ok((n.max(0) as u64, true))
        }
        Len::Behind(i) => {
            let addr = args.get(usize::from(i)).copied().unwrap_or(0);
            Ok((if addr == 0 { 0 } else { abi.words().read_sized(addr, 4)? }, false))
        }
    }
}

impl<'r> Data<'r> {
    /// What is at `addr`, converted; `None` if the host can use it as it is.
    fn of(
        abi: &Abi,
        room: &mut &'r mut [u64],
        addr: u64,
        ty: &'static Ty,
        dir: Dir,
        count: &dyn Fn(Len) -> Result<(u64, bool), Errno>,
    ) -> Result<Option<Data<'r>>, Errno> {
        if convert::same(abi, ty) {
            return Ok(None);
        }
        let (ty, sizes, (count, bounded)) = match ty {
            Ty::Array(elem, len) => (elem.entry(), (elem.size(abi.word), convert::host_size(elem)), count(*len)?),
            Ty::Bytes(Bytes::Sigset, _) => (ty, (SET_BYTES, SET_BYTES), (1, false)),
            Ty::Bytes(Bytes::Sigmask, _) => return Ok(None),
            Ty::Bytes(Bytes::Fdset, len) => {
                let bits = count(*len)?.0;
                (ty, (bits.div_ceil(8 * abi.word) * abi.word, bits.div_ceil(64) * 8), (1, false))
            }
            Ty::Bytes(_, len) => {
                let bytes = count(*len)?.0;
                (ty, (bytes, bytes), (1, false))
            }
            ty => (ty, (ty.size(abi.word), convert::host_size(ty)), (1, false)),
        };
        let pointers = has_pointees(ty);
        let bounded = bounded && !pointers;
        let bytes = count.checked_mul(sizes.1).filter(|&n| n <= LIMIT).ok_or(Errno::EINVAL)?;
        let host = Words::new(room, bytes.div_ceil(8) as usize);
        let mut data = Data { guest: addr, ty, sizes, pointers, count, bounded, dir, host, inner: Inner::default() };
        if dir != Dir::Out || pointers {
            data.read(abi, room)?;
        }
        Ok(Some(data))
    }

    /// Converts what the guest has.
    fn read(&mut self, abi: &Abi, room: &mut &'r mut [u64]) -> Result<(), Errno> {
        let (size, host_size) = (self.sizes.0 as usize, self.sizes.1 as usize);
        let mut bytes: Value = smallvec![0; size * self.count as usize];
        guest_memory::read(self.guest, &mut bytes)?;
        if let (Ty::Struct(what), false) = (self.ty, self.pointers) {
            what.all_to_host(&bytes, as_bytes(&mut self.host), (size, host_size));
            return Ok(());
        }
        let targets = as_bytes(&mut self.host).chunks_exact_mut(host_size.max(1));
        for (i, (source, target)) in bytes.chunks_exact(size.max(1)).zip(targets).enumerate() {
            convert::to_host(abi, self.ty, source, target);
            if let Ty::Struct(what) = self.ty
                && self.pointers
            {
                pointees(abi, room, what, (source, target), (self.dir, i as u64), &mut self.inner)?;
            }
        }
        Ok(())
    }

    fn copy_back(&mut self, abi: &Abi, outcome: SysResult) -> Result<(), Errno> {
        self.messages_back(abi, outcome)?;
        let pointers = self.pointers;
        let count = match (self.dir, outcome) {
            (Dir::InOut, _) => self.count,
            // What holds pointers is read by the kernel, even where they lead to what it writes.
            (Dir::Out, Ok(_)) if pointers => 0,
            (Dir::Out, Ok(n)) if self.bounded => n.min(self.count),
            (Dir::Out, Ok(_)) => self.count,
            // What is left of a sleep that a signal ended.
            (Dir::Out, Err(Errno::EINTR)) if self.host.iter().any(|&word| word != 0) => self.count,
            _ => 0,
        };
        if count != 0 {
            let (size, host_size) = (self.sizes.0 as usize, self.sizes.1 as usize);
            let mut bytes: Value = smallvec![0; size * count as usize];
            if pointers {
                guest_memory::read(self.guest, &mut bytes)?;
            }
            let sources = bytes_of(&self.host);
            if let Ty::Struct(what) = self.ty {
                what.all_to_guest(sources, &mut bytes, (size, host_size));
            } else {
                let sources = sources.chunks_exact(host_size.max(1));
                for (target, source) in bytes.chunks_exact_mut(size.max(1)).zip(sources) {
                    convert::to_guest(abi, self.ty, source, target);
                }
            }
            guest_memory::write(self.guest, &bytes)?;
        }
        self.inner.data.iter_mut().try_for_each(|inner| inner.copy_back(abi, outcome))
    }

    /// The same for control messages, whose lengths are in these values.
    fn messages_back(&mut self, abi: &Abi, outcome: SysResult) -> Result<(), Errno> {
        for (i, messages) in &self.inner.messages {
            let at = (i * self.sizes.1) as usize;
            // A call that takes several structures says how many it has filled.
            let filled = outcome.and_then(|n| if *i == 0 || *i < n { Ok(n) } else { Err(Errno::EAGAIN) });
            let structure = &mut as_bytes(&mut self.host)[at..at + self.sizes.1 as usize];
            messages.copy_back(abi, structure, filled)?;
        }
        Ok(())
    }
}

/// Whether values of the type hold pointers.
fn has_pointees(ty: &Ty) -> bool {
    matches!(ty, Ty::Struct(what) if what.pointers)
}

/// Converts what the pointers in a structure, the guest's and the host's, lead to, and points the host's there.
fn pointees<'r>(
    abi: &Abi,
    room: &mut &'r mut [u64],
    what: &Struct,
    (guest, host): (&[u8], &mut [u8]),
    (dir, number): (Dir, u64),
    out: &mut Inner<'r>,
) -> Result<(), Errno> {
    for m in what.moves {
        let Some(pointee) = m.pointee.map(Place::entry) else { continue };
        let field = |(at, size): (u32, u32)| integer(&guest[at as usize..][..size as usize], abi.big_endian);
        let addr = field(m.guest);
        if addr == 0 {
            continue;
        }
        let counted = |len: Len| match (len, pointee.count) {
            (Len::Fixed(n), _) => Ok((n, false)),
            (_, Some(count)) => Ok((field(count), false)),
            _ => Ok((0, false)),
        };
        let dir = if pointee.dir == Dir::Field { dir } else { pointee.dir };
        let pointer = m.host.0 as usize..(m.host.0 + m.host.1) as usize;
        if let (Ty::Bytes(Bytes::Control, _), Some(count)) = (&pointee.ty, pointee.count) {
            let there = (addr, field(count), dir != Dir::In);
            if let Some(messages) = Messages::of(abi, room, what, (count, host), there)? {
                put_integer(&mut host[pointer], messages.address(), false);
                out.messages.push((number, messages));
            }
        } else if let Some(data) = Data::of(abi, room, addr, &pointee.ty, dir, &counted)? {
            put_integer(&mut host[pointer], data.host.as_ptr() as u64, false);
            out.data.push(data);
        }
    }
    Ok(())
}

pub(super) fn bytes_of(words: &[u64]) -> &[u8] {
    // SAFETY: as below.
    unsafe { std::slice::from_raw_parts(words.as_ptr().cast(), size_of_val(words)) }
}

pub(super) fn as_bytes(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: any bytes are valid in both types, and the length is the same.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

#[cfg(test)]
mod tests {
    use crate::abi::{Abi, Ty, every, integer};

    fn aarch64() -> &'static Abi {
        every().iter().find(|abi| abi.name == "aarch64").expect("AArch64 is described")
    }

    /// The host's `stat` of a file, converted, has the same values where the generic layout keeps them.
    #[test]
    fn stat_is_converted_field_by_field() {
        // SAFETY: a structure of integers, filled by the kernel.
        let host: libc::stat = unsafe {
            let mut host = std::mem::zeroed();
            assert_eq!(libc::stat(c"/proc/self/exe".as_ptr(), &raw mut host), 0);
            host
        };
        // SAFETY: bytes of a structure without padding.
        let bytes = unsafe { std::slice::from_raw_parts((&raw const host).cast::<u8>(), size_of_val(&host)) };
        let stat = aarch64().structure("stat").expect("described");
        assert!(!stat.same);
        let mut guest = vec![0xaa; stat.size as usize];
        stat.to_guest(bytes, &mut guest);
        let word = |at: usize| u64::from_le_bytes(guest[at..at + 8].try_into().expect("eight bytes"));
        let half = |at: usize| u32::from_le_bytes(guest[at..at + 4].try_into().expect("four bytes"));
        assert_eq!((word(0), word(8)), (host.st_dev, host.st_ino));
        assert_eq!((half(16), u64::from(half(20))), (host.st_mode, host.st_nlink));
        assert_eq!((word(48) as i64, i64::from(half(56) as i32)), (host.st_size, host.st_blksize));
        assert_eq!((word(88) as i64, word(96) as i64), (host.st_mtime, host.st_mtime_nsec));
        // And back.
        let mut again = vec![0; stat.host_size as usize];
        stat.to_host(&guest, &mut again);
        assert_eq!(again[..120], bytes[..120]);
    }

    /// Each integer of each structure of each guest has the host's value, wherever it is and in whatever order of bytes.
    #[test]
    fn integers_of_structures_have_the_same_values_on_both_sides() {
        let host_abi = every().iter().find(|abi| abi.name == std::env::consts::ARCH).expect("described");
        let mut checked = 0;
        for (abi, what) in every().iter().flat_map(|abi| abi.structs.into_iter().map(move |what| (abi, what))) {
            let Some(on_host) = host_abi.structure(what.name.text()) else { continue };
            let (size, host_size) = (what.size as usize, what.host_size as usize);
            let bytes: Vec<u8> = (0..2 * host_size).map(|i| (i * 37 + 11) as u8).collect();
            let mut guest = vec![0; 2 * size];
            what.all_to_guest(&bytes, &mut guest, (size, host_size));
            let mut again = vec![0; 2 * host_size];
            what.all_to_host(&guest, &mut again, (size, host_size));
            let is_integer = |ty: &Ty| matches!(ty, Ty::Int(_));
            for field in what.fields.into_iter().filter(|field| is_integer(&field.ty)) {
                let Some(there) = on_host.field(field.name.text()).filter(|there| is_integer(&there.ty)) else {
                    continue;
                };
                for n in 0..2 {
                    let at = |base: usize, at: u32, size: u32| n * base + at as usize..n * base + (at + size) as usize;
                    let value = integer(&guest[at(size, field.at, field.size)], abi.big_endian);
                    let place = at(host_size, there.at, there.size);
                    let bits = |value: u64| value << (64 - 8 * u64::from(field.size.min(there.size).min(8)));
                    let what = format!("{} {} {}", abi.name, what.name.text(), field.name.text());
                    assert_eq!(bits(value), bits(integer(&bytes[place.clone()], false)), "{what}");
                    assert_eq!(bits(value), bits(integer(&again[place], false)), "{what}");
                    checked += 1;
                }
            }
        }
        assert!(checked > 1000, "{checked}");
    }

    /// A value whose constants all mean the same takes a short way.
    #[test]
    fn constants_are_exchanged_one_by_one_whatever_else_is_set() {
        let mut random = 1u64;
        for set in every().iter().flat_map(|abi| abi.sets).filter(|set| set.flags && !set.same) {
            for _ in 0..200 {
                let (mut guest, mut host, mut taken) = (0, 0, 0);
                for constant in set.entries {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                    let masks = constant.mask | constant.host_mask;
                    if random >> 62 == 0 && taken & masks == 0 {
                        (guest, host, taken) = (guest | constant.value, host | constant.host_value, taken | masks);
                    }
                }
                let present = |value: u64, of: (u64, u64)| value & of.1 == of.0;
                let (to_host, to_guest) = (set.to_host(guest), set.to_guest(host));
                assert_eq!((to_host & host, to_guest & guest), (host, guest), "{}", set.name.text());
                for constant in set.entries {
                    let (on_guest, on_host) =
                        ((constant.value, constant.mask), (constant.host_value, constant.host_mask));
                    if present(guest, on_guest) {
                        assert_eq!(to_host & constant.host_value, constant.host_value, "{}", set.name.text());
                    }
                    if present(host, on_host) {
                        assert_eq!(to_guest & constant.value, constant.value, "{}", set.name.text());
                    }
                }
            }
        }
    }

    #[test]
    fn epoll_events_are_packed_on_the_host_only() {
        let event = aarch64().structure("epoll_event").expect("described");
        let guest: [u8; 16] = [1, 0, 0, 0, 9, 9, 9, 9, 1, 2, 3, 4, 5, 6, 7, 8];
        let mut host = vec![0; event.host_size as usize];
        event.to_host(&guest, &mut host);
        let expected = libc::epoll_event { events: 1, u64: 0x0807_0605_0403_0201 };
        assert_eq!(host.len(), size_of::<libc::epoll_event>());
        assert_eq!((host[0], u64::from_le_bytes(host[4..].try_into().expect("eight"))), (1, expected.u64));
    }

    #[test]
    fn open_flags_change_their_values() {
        let flags = aarch64().set("open_flags").expect("described");
        let (directory, nofollow, direct) = (0o40000, 0o100_000, 0o200_000);
        let host = (libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_DIRECT | libc::O_CLOEXEC | libc::O_RDWR) as u64;
        let guest = directory | nofollow | direct | 0o2_000_002;
        assert_eq!(flags.to_host(guest), host);
        assert_eq!(flags.to_guest(host), guest);
        // Bits without a name go through.
        assert_eq!(flags.to_host(1 << 30), 1 << 30);
        let riscv = every().iter().find(|abi| abi.name == "riscv64").and_then(|abi| abi.set("open_flags"));
        assert!(riscv.is_some_and(|set| set.same));
    }
}
