//! Single values as strace writes them.

use std::fmt::Write;

use crate::abi::{Abi, Format, Int, Set};

/// The host's integer in up to eight bytes.
pub(super) fn word(bytes: &[u8]) -> u64 {
    crate::abi::integer(bytes, false)
}

/// `value` cut to `size` bytes, and extended by its sign.
fn sized(size: u8, signed: bool, value: u64) -> i128 {
    let shift = 64 - 8 * u32::from(size.clamp(1, 8));
    if signed { i128::from((value << shift) as i64 >> shift) } else { i128::from(value << shift >> shift) }
}

/// An integer by its format.
pub(super) fn int(int: Int, value: u64) -> String {
    let number = sized(int.size, int.signed, value);
    let bits = number as u64;
    match int.format {
        Format::Dec | Format::Fd | Format::Memory => number.to_string(),
        Format::FdAt if number == i128::from(libc::AT_FDCWD) => "AT_FDCWD".to_owned(),
        Format::FdAt => number.to_string(),
        Format::Hex if bits == 0 => "0".to_owned(),
        Format::Hex => format!("{bits:#x}"),
        Format::Addr if bits == 0 => "NULL".to_owned(),
        Format::Addr => format!("{bits:#x}"),
        Format::Id if bits == u64::from(u32::MAX) => "-1".to_owned(),
        Format::Id => bits.to_string(),
        Format::Mode => mode(bits as u32),
        Format::Dev => format!("makedev({:#x}, {:#x})", libc::major(bits), libc::minor(bits)),
        Format::Rlim if bits == u64::MAX => "RLIM64_INFINITY".to_owned(),
        Format::Rlim if bits > 1024 && bits.is_multiple_of(1024) => format!("{}*1024", bits / 1024),
        Format::Rlim => bits.to_string(),
        Format::WaitStatus => wait_status(bits as i32),
        Format::Sighandler => match bits {
            0 => "SIG_DFL".to_owned(),
            1 => "SIG_IGN".to_owned(),
            _ => format!("{bits:#x}"),
        },
    }
}

fn mode(bits: u32) -> String {
    let kind = match bits & libc::S_IFMT {
        libc::S_IFREG => "S_IFREG|",
        libc::S_IFDIR => "S_IFDIR|",
        libc::S_IFCHR => "S_IFCHR|",
        libc::S_IFBLK => "S_IFBLK|",
        libc::S_IFIFO => "S_IFIFO|",
        libc::S_IFLNK => "S_IFLNK|",
        libc::S_IFSOCK => "S_IFSOCK|",
        _ => "",
    };
    let special = [(libc::S_ISUID, "S_ISUID|"), (libc::S_ISGID, "S_ISGID|"), (libc::S_ISVTX, "S_ISVTX|")];
    let named: String = special.iter().filter(|(bit, _)| bits & bit != 0).map(|(_, name)| *name).collect();
    format!("{kind}{named}0{:02o}", bits & 0o777)
}

fn wait_status(status: i32) -> String {
    if libc::WIFEXITED(status) {
        format!("{{WIFEXITED(s) && WEXITSTATUS(s) == {}}}", libc::WEXITSTATUS(status))
    } else if libc::WIFSTOPPED(status) {
        format!("{{WIFSTOPPED(s) && WSTOPSIG(s) == {}}}", libc::WSTOPSIG(status))
    } else if libc::WIFSIGNALED(status) {
        let core = if libc::WCOREDUMP(status) { " && WCOREDUMP(s)" } else { "" };
        format!("{{WIFSIGNALED(s) && WTERMSIG(s) == {}{core}}}", libc::WTERMSIG(status))
    } else {
        format!("{status:#x}")
    }
}

/// Constants: `O_RDONLY|O_CLOEXEC`, `SEEK_SET`.
pub(super) fn set(set: &Set, value: u64) -> String {
    let keep = if set.size >= 8 { u64::MAX } else { (1 << (8 * set.size)) - 1 };
    let value = value & keep;
    if !set.flags {
        let found = set.entries.iter().find(|c| c.value == value);
        return found.map_or_else(|| sized(set.size, set.signed, value).to_string(), |c| c.name.to_string());
    }
    let (mut names, mut rest) = (Vec::new(), value);
    for constant in set.entries {
        // A constant counts once: of those that share bits, the larger comes first in the table.
        let zero = constant.value == 0;
        if value & constant.mask == constant.value
            && (rest & constant.mask == constant.value)
            && (!zero || constant.mask != 0)
        {
            names.push(constant.name.to_string());
            rest &= !constant.mask;
        }
    }
    if rest != 0 {
        names.push(format!("{rest:#x}"));
    }
    if names.is_empty() { "0".to_owned() } else { names.join("|") }
}

/// `ENOENT`.
pub(super) fn errno_name(abi: &Abi, number: i32) -> String {
    let found = abi.set("errno").and_then(|set| set.entries.iter().find(|c| c.host_value == number as u64));
    found.map_or_else(|| format!("E{number}"), |c| c.name.to_string())
}

fn signal_name(abi: &Abi, number: u64) -> Option<&'static str> {
    abi.set("signal")?.entries.iter().find(|c| c.host_value == number).map(|c| c.name.text())
}

/// `[INT CHLD]`, `~[RTMIN]`.
pub(super) fn sigset(out: &mut String, abi: &Abi, set: u64) {
    let inverted = set.count_ones() > 32;
    let shown = if inverted { !set } else { set };
    out.push_str(if inverted { "~[" } else { "[" });
    for (i, number) in (1..=64u64).filter(|n| shown >> (n - 1) & 1 != 0).enumerate() {
        out.push_str(if i > 0 { " " } else { "" });
        let _ = match signal_name(abi, number) {
            Some(name) => write!(out, "{}", name.trim_start_matches("SIG")),
            None if number == 32 => write!(out, "RTMIN"),
            None => write!(out, "RT_{}", number - 32),
        };
    }
    out.push(']');
}

/// `{si_signo=SIGCHLD, si_code=CLD_EXITED, …}`, shortened to what all signals have and the sender or address.
pub(super) fn siginfo(abi: &Abi, info: &[u8; 128]) -> String {
    let (number, code) = (word(&info[0..4]), word(&info[8..12]) as i32);
    let name = signal_name(abi, number).map_or_else(|| format!("SIG{number}"), str::to_owned);
    let fault = [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP].contains(&(number as i32));
    let rest = if fault && code > 0 {
        match word(&info[16..24]) {
            0 => "si_addr=NULL".to_owned(),
            addr => format!("si_addr={addr:#x}"),
        }
    } else if number as i32 == libc::SIGCHLD && code > 0 {
        let [pid, uid, status] = [16, 20, 24].map(|at| word(&info[at..at + 4]) as i32);
        format!("si_pid={pid}, si_uid={uid}, si_status={status}")
    } else {
        format!("si_pid={}, si_uid={}", word(&info[16..20]) as i32, word(&info[20..24]))
    };
    let own = abi.set(&format!("{}_code", name.to_lowercase())).filter(|_| code > 0);
    let named = |set: &Set| set.entries.iter().find(|c| c.host_value as i32 == code).map(|c| c.name.to_string());
    let code = own.and_then(named).or_else(|| abi.set("si_code").and_then(named)).unwrap_or_else(|| code.to_string());
    format!("{name} {{si_signo={name}, si_code={code}, {rest}}}")
}

/// `[0 4]`: the descriptors below `bits` that are in the set.
pub(super) fn fdset(out: &mut String, data: &[u8], bits: u64) {
    out.push('[');
    let present = |n: &u64| data.get((n / 8) as usize).is_some_and(|byte| byte >> (n % 8) & 1 != 0);
    for (i, fd) in (0..bits.min(1024)).filter(present).enumerate() {
        let _ = write!(out, "{}{fd}", if i > 0 { " " } else { "" });
    }
    out.push(']');
}

/// NUL-padded text.
pub(super) fn text(out: &mut String, data: &[u8]) {
    let end = data.iter().position(|&b| b == 0).unwrap_or(data.len());
    quoted(out, &data[..end], end);
}

/// A socket address.
pub(super) fn sockaddr(out: &mut String, abi: &Abi, data: &[u8]) {
    let Some((family, rest)) = data.split_first_chunk::<2>() else {
        out.push_str("{}");
        return;
    };
    let family = u16::from_le_bytes(*family);
    let name = abi.set("address_family").map_or_else(|| family.to_string(), |s| set(s, u64::from(family)));
    let _ = write!(out, "{{sa_family={name}");
    let port = || rest.get(..2).map_or(0, |p| u16::from_be_bytes([p[0], p[1]]));
    match i32::from(family) {
        libc::AF_UNIX => unix_path(out, rest),
        libc::AF_INET if rest.len() >= 6 => {
            let [a, b, c, d] = [rest[2], rest[3], rest[4], rest[5]];
            let _ = write!(out, ", sin_port=htons({}), sin_addr=inet_addr(\"{a}.{b}.{c}.{d}\")", port());
        }
        libc::AF_INET6 if rest.len() >= 22 => {
            let mut octets = [0; 16];
            octets.copy_from_slice(&rest[6..22]);
            let addr = std::net::Ipv6Addr::from(octets);
            let _ = write!(out, ", sin6_port=htons({}), inet_pton(AF_INET6, \"{addr}\", &sin6_addr)", port());
        }
        libc::AF_NETLINK if rest.len() >= 10 => {
            let _ = write!(out, ", nl_pid={}, nl_groups={:#010x}", word(&rest[2..6]), word(&rest[6..10]));
        }
        libc::AF_UNSPEC => {}
        _ => {
            out.push_str(", sa_data=");
            quoted(out, rest, 32);
        }
    }
    out.push('}');
}

fn unix_path(out: &mut String, path: &[u8]) {
    match path.first() {
        None => {}
        // Abstract: the name begins after the zero byte and has no end of its own.
        Some(0) => {
            out.push_str(", sun_path=@");
            quoted(out, &path[1..], path.len());
        }
        Some(_) => {
            out.push_str(", sun_path=");
            text(out, path);
        }
    }
}

/// A quoted string of at most `limit` bytes of `data`; `...` tells that there is more.
pub(super) fn quoted(out: &mut String, data: &[u8], limit: usize) {
    out.push('"');
    let shown = &data[..data.len().min(limit)];
    for (i, &byte) in shown.iter().enumerate() {
        let _ = match byte {
            b'"' => write!(out, "\\\""),
            b'\\' => write!(out, "\\\\"),
            b'\n' => write!(out, "\\n"),
            b'\r' => write!(out, "\\r"),
            b'\t' => write!(out, "\\t"),
            0x0b => write!(out, "\\v"),
            0x0c => write!(out, "\\f"),
            b' '..=b'~' => write!(out, "{}", byte as char),
            // Short unless a digit follows.
            _ if shown.get(i + 1).is_some_and(u8::is_ascii_digit) => write!(out, "\\{byte:03o}"),
            _ => write!(out, "\\{byte:o}"),
        };
    }
    out.push('"');
    if data.len() > limit {
        out.push_str("...");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(data: &[u8], limit: usize) -> String {
        let mut out = String::new();
        quoted(&mut out, data, limit);
        out
    }

    #[test]
    fn strings_are_escaped_and_cut() {
        assert_eq!(text_of(b"a\"b\\\n\x7fELF\x02\x01\x011", 32), r#""a\"b\\\n\177ELF\2\1\0011""#);
        assert_eq!(text_of(b"0123456789", 4), "\"0123\"...");
    }

    #[test]
    fn modes_have_a_type_and_octal_permissions() {
        assert_eq!(mode(0o100644), "S_IFREG|0644");
        assert_eq!(mode(0o41777), "S_IFDIR|S_ISVTX|0777");
        assert_eq!(mode(0), "000");
    }

    #[test]
    fn integers_are_cut_to_their_size() {
        let dec = Int { size: 4, host_size: 4, signed: true, format: Format::Dec };
        assert_eq!(int(dec, 0xffff_ffff), "-1");
        assert_eq!(int(Int { format: Format::FdAt, ..dec }, -100i64 as u64), "AT_FDCWD");
        assert_eq!(int(Int { signed: false, format: Format::Id, ..dec }, 0xffff_ffff), "-1");
    }

    #[test]
    fn codes_of_signals_have_the_names_of_their_signal() {
        let guest = crate::abi::every().first().expect("a guest");
        let mut info = [0; 128];
        info[0] = libc::SIGSEGV as u8;
        info[8] = 2;
        assert_eq!(siginfo(guest, &info), "SIGSEGV {si_signo=SIGSEGV, si_code=SEGV_ACCERR, si_addr=NULL}");
        info[8..12].copy_from_slice(&(-6i32).to_le_bytes());
        assert_eq!(siginfo(guest, &info), "SIGSEGV {si_signo=SIGSEGV, si_code=SI_TKILL, si_pid=0, si_uid=0}");
    }

    #[test]
    fn a_port_is_in_network_order() {
        let mut out = String::new();
        let guest = crate::abi::every().first().expect("a guest");
        sockaddr(&mut out, guest, &[2, 0, 0, 80, 127, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out, "{sa_family=AF_INET, sin_port=htons(80), sin_addr=inet_addr(\"127.0.0.1\")}");
    }
}
