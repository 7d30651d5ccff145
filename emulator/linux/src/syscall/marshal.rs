//! Calls whose arguments the host sees differently: constants, structures, paths, signal masks.

use super::mask::TemporaryMask;
use super::{path, to_host};
use crate::abi::{Bytes, Call, Dir, Format, Int, Len, Set, Struct, Terminated, Ty};
use crate::errno::{Errno, SysResult};
use crate::guest_memory;
use crate::thread::ThreadCtx;

/// Converted data that lives until the call returns. Its address is what the host kernel gets.
enum Buffer {
    /// A host path, NUL-terminated.
    Path(Box<[u8]>),
    /// Structures in the host's layout, 8-byte aligned, to be copied back to the guest as `dir` says.
    Structs { guest: u64, what: &'static Struct, count: u64, bounded: bool, dir: Dir, host: Box<[u64]> },
}

/// Most bytes of structures converted for one argument; the kernel's own limits are lower.
const LIMIT: u64 = 64 << 20;

/// Performs `call` as the host's `number`.
pub(super) fn call(ctx: &mut ThreadCtx, call: &'static Call, number: u32, args: [u64; 6]) -> SysResult {
    let mut host = args;
    let mut buffers: Vec<Buffer> = Vec::new();
    let mut mask = None;
    for (i, arg) in call.args.iter().enumerate().take(args.len()) {
        match arg.ty.given(&args) {
            Ty::Set(set) => host[i] = set.to_host(args[i]),
            Ty::Ptr(..) if args[i] == 0 => {}
            Ty::Ptr(dir, Ty::Struct(what)) if !what.same => {
                buffers.push(structs(args[i], what, 1, false, *dir)?);
                host[i] = address(&buffers);
            }
            Ty::Ptr(dir, Ty::Array(Ty::Struct(what), len)) if !what.same => {
                let (count, bounded) = count(*len, &args)?;
                buffers.push(structs(args[i], what, count, bounded, *dir)?);
                host[i] = address(&buffers);
            }
            Ty::Ptr(_, Ty::Terminated(kind @ (Terminated::Path | Terminated::Link))) => {
                let wanted = guest_memory::read_cstr(args[i])?;
                let follow = *kind == Terminated::Path && !means_link(call, &args);
                if let Some(found) = path::redirect(ctx.process, directory(call, i, &args), &wanted, follow) {
                    buffers.push(Buffer::Path(found));
                    host[i] = address(&buffers);
                }
            }
            Ty::Ptr(_, Ty::Bytes(Bytes::Sigmask, _)) => {
                mask = Some(TemporaryMask::enter(ctx, args[i], args.get(i + 1).copied().unwrap_or(0))?);
                host[i] = mask.as_ref().map_or(0, TemporaryMask::address);
            }
            _ => {}
        }
    }
    let outcome = to_host(ctx, call, number, host);
    if let Some(mask) = mask {
        mask.leave(ctx, outcome);
    }
    for buffer in &buffers {
        buffer.copy_back(outcome)?;
    }
    result(call, &args, outcome)
}

/// The directory a path argument is relative to: the descriptor before it, if there is one.
fn directory(call: &Call, path: usize, args: &[u64; 6]) -> Option<u64> {
    let before = path.checked_sub(1)?;
    match call.args[before].ty {
        Ty::Int(Int { format: Format::FdAt, .. }) => Some(args[before]),
        _ => None,
    }
}

/// Whether a flag says that a path which ends in a symbolic link means the link.
fn means_link(call: &Call, args: &[u64; 6]) -> bool {
    let set = |set: &Set, value: u64| {
        set.flags && set.entries.iter().any(|c| c.name == "AT_SYMLINK_NOFOLLOW" && value & c.mask == c.value)
    };
    call.args.iter().zip(args).any(|(arg, &value)| matches!(arg.ty, Ty::Set(flags) if set(flags, value)))
}

/// The result in the guest's terms.
pub(super) fn result(call: &Call, args: &[u64; 6], outcome: SysResult) -> SysResult {
    match call.ret.given(args) {
        Ty::Set(set) => outcome.map(|value| set.to_guest(value)),
        _ => outcome,
    }
}

fn address(buffers: &[Buffer]) -> u64 {
    match buffers.last() {
        Some(Buffer::Path(bytes)) => bytes.as_ptr() as u64,
        Some(Buffer::Structs { host, .. }) => host.as_ptr() as u64,
        None => 0,
    }
}

/// Elements of an array, and whether the call's result says how many of them count.
fn count(len: Len, args: &[u64; 6]) -> Result<(u64, bool), Errno> {
    match len {
        Len::Fixed(n) => Ok((n, false)),
        Len::Member(i) => {
            // Counts are `int` or `unsigned int`; a negative one is the host kernel's to refuse.
            let n = args.get(usize::from(i)).copied().unwrap_or(0) as i32;
            Ok((n.max(0) as u64, true))
        }
        Len::Behind(i) => Ok((guest_memory::read_u32(args.get(usize::from(i)).copied().unwrap_or(0))?.into(), false)),
    }
}

fn structs(guest: u64, what: &'static Struct, count: u64, bounded: bool, dir: Dir) -> Result<Buffer, Errno> {
    let bytes = count.checked_mul(u64::from(what.host_size)).filter(|&n| n <= LIMIT).ok_or(Errno::EINVAL)?;
    let mut host = vec![0u64; bytes.div_ceil(8) as usize].into_boxed_slice();
    if dir != Dir::Out {
        let mut source = vec![0; what.size as usize];
        for i in 0..count {
            guest_memory::read(guest.wrapping_add(i * u64::from(what.size)), &mut source)?;
            let at = (i * u64::from(what.host_size)) as usize;
            what.to_host(&source, &mut as_bytes(&mut host)[at..at + what.host_size as usize]);
        }
    }
    Ok(Buffer::Structs { guest, what, count, bounded, dir, host })
}

fn as_bytes(words: &mut [u64]) -> &mut [u8] {
    // SAFETY: any bytes are valid in both types, and the length is the same.
    unsafe { std::slice::from_raw_parts_mut(words.as_mut_ptr().cast(), size_of_val(words)) }
}

impl Buffer {
    fn copy_back(&self, outcome: SysResult) -> Result<(), Errno> {
        let Buffer::Structs { guest, what, count, bounded, dir, host } = self else { return Ok(()) };
        let count = match (dir, outcome) {
            (Dir::InOut, _) => *count,
            (Dir::Out, Ok(n)) if *bounded => n.min(*count),
            (Dir::Out, Ok(_)) => *count,
            _ => 0,
        };
        let mut host = host.clone();
        let bytes = as_bytes(&mut host);
        for i in 0..count {
            let source = &bytes[(i * u64::from(what.host_size)) as usize..][..what.host_size as usize];
            let mut target = vec![0; what.size as usize];
            what.to_guest(source, &mut target);
            guest_memory::write(guest.wrapping_add(i * u64::from(what.size)), &target)?;
        }
        Ok(())
    }
}

impl Struct {
    /// Converts one structure from the guest's layout; what the guest does not have becomes zero.
    pub(crate) fn to_host(&self, guest: &[u8], host: &mut [u8]) {
        if self.same {
            host.copy_from_slice(guest);
            return;
        }
        for m in self.moves {
            let convert = |v| m.set.map_or(v, |set| set.to_host(v));
            transfer(guest, m.guest, host, m.host, m.signed, m.raw, convert);
        }
    }

    /// Converts one structure to the guest's layout; what the host does not have becomes zero.
    pub(crate) fn to_guest(&self, host: &[u8], guest: &mut [u8]) {
        if self.same {
            guest.copy_from_slice(host);
            return;
        }
        for m in self.moves {
            let convert = |v| m.set.map_or(v, |set| set.to_guest(v));
            transfer(host, m.host, guest, m.guest, m.signed, m.raw, convert);
        }
    }
}

/// Copies the bytes, or the integer, at `from` (offset, size) to `to`.
fn transfer(
    source: &[u8],
    from: (u32, u32),
    target: &mut [u8],
    to: (u32, u32),
    signed: bool,
    raw: bool,
    convert: impl Fn(u64) -> u64,
) {
    let source = &source[from.0 as usize..][..from.1 as usize];
    let target = &mut target[to.0 as usize..][..to.1 as usize];
    if raw || source.len() > 8 || target.len() > 8 {
        let n = source.len().min(target.len());
        target[..n].copy_from_slice(&source[..n]);
        return;
    }
    let mut word = [0; 8];
    word[..source.len()].copy_from_slice(source);
    let mut value = u64::from_le_bytes(word);
    if signed && source.len() < 8 {
        let shift = 64 - 8 * source.len();
        value = ((value << shift) as i64 >> shift) as u64;
    }
    target.copy_from_slice(&convert(value).to_le_bytes()[..to.1 as usize]);
}

#[cfg(test)]
mod tests {
    use crate::abi::{Abi, every};

    fn aarch64() -> &'static Abi {
        every().iter().copied().find(|abi| abi.name == "aarch64").expect("AArch64 is described")
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
