//! Files of `/proc` about the process that would show the emulator instead of the guest.

use std::ffi::OsStr;
use std::fmt::Write;
use std::ops::Range;

use super::path;
use crate::abi::Constant;
use crate::errno::{Errno, SysResult};
use crate::mem::vma::{Kind, Vma};
use crate::process::Process;

/// A file of `/proc/self`, or of `/proc` itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum ProcFile {
    /// Link to the program.
    Exe,
    /// Mappings.
    Maps,
    /// Arguments.
    Cmdline,
    /// Auxiliary vector.
    Auxv,
    /// State in one line.
    Stat,
    /// `/proc/cpuinfo`.
    Cpuinfo,
}

const FILES: [(&str, ProcFile); 6] = [
    ("exe", ProcFile::Exe),
    ("maps", ProcFile::Maps),
    ("cmdline", ProcFile::Cmdline),
    ("auxv", ProcFile::Auxv),
    ("stat", ProcFile::Stat),
    ("cpuinfo", ProcFile::Cpuinfo),
];

/// The file of that name.
pub(super) fn by_name(name: &OsStr) -> Option<ProcFile> {
    FILES.iter().find(|(file, _)| name == *file).map(|(_, file)| *file)
}

impl ProcFile {
    /// Whether the directories between `/proc` and the file are this process's: `self`, `thread-self`, its number, or a
    /// thread's directory in one of them.
    pub(super) fn place_is(self, between: &[&OsStr]) -> bool {
        if self == ProcFile::Cpuinfo {
            return between.is_empty();
        }
        let own = |name: &OsStr| name == "self" || name == "thread-self" || name == &*std::process::id().to_string();
        match between {
            [process] => own(process),
            [process, task, _thread] => own(process) && *task == "task",
            _ => false,
        }
    }
}

/// Opens `file` with the guest's contents.
pub(super) fn open(process: &Process, file: ProcFile, flags: i32) -> SysResult {
    if flags & libc::O_ACCMODE != libc::O_RDONLY {
        return Err(Errno(libc::EACCES));
    }
    let (name, contents) = match file {
        ProcFile::Exe => return Err(Errno::EINVAL), // a link; `path::redirect` follows it
        ProcFile::Maps => ("maps", maps(process).into_bytes()),
        ProcFile::Cmdline => ("cmdline", process.cmdline.clone()),
        ProcFile::Auxv => ("auxv", process.auxv.get().cloned().unwrap_or_default()),
        ProcFile::Stat => ("stat", stat(process).into_bytes()),
        ProcFile::Cpuinfo => ("cpuinfo", cpuinfo(process).into_bytes()),
    };
    path::file_with(&contents, &path::c_string(name), flags)
}

/// A line of the host's `maps`: range, and the rest after the permissions.
struct HostLine {
    range: Range<u64>,
    offset: u64,
    device_inode: String,
    name: String,
}

fn host_lines() -> Vec<HostLine> {
    let text = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    text.lines().filter_map(host_line).collect()
}

fn host_line(line: &str) -> Option<HostLine> {
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let range = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    let _permissions = words.next()?;
    let offset = u64::from_str_radix(words.next()?, 16).ok()?;
    let device_inode = format!("{} {}", words.next()?, words.next()?);
    let name = words.next().unwrap_or("").trim_start().to_owned();
    Some(HostLine { range, offset, device_inode, name })
}

/// `/proc/self/maps` of the guest: its own mappings with its own permissions; files and offsets as the host knows them.
fn maps(process: &Process) -> String {
    let host = host_lines();
    let guest: Vec<(Range<u64>, Vma)> = process.space.map().iter().map(|(r, vma)| (r, vma.clone())).collect();
    let mut out = String::new();
    for (range, vma) in &guest {
        let mut at = range.start;
        for line in host.iter().filter(|l| l.range.start < range.end && range.start < l.range.end) {
            let end = line.range.end.min(range.end);
            let start = line.range.start.max(at);
            let offset = line.offset + (start - line.range.start);
            map_line(&mut out, start..end, vma, offset, &line.device_inode, &line.name);
            at = end;
        }
    }
    out
}

fn map_line(out: &mut String, range: Range<u64>, vma: &Vma, offset: u64, device_inode: &str, name: &str) {
    let bit = |bit: i32, letter: char| if vma.prot & bit != 0 { letter } else { '-' };
    let (read, write, execute) = (bit(libc::PROT_READ, 'r'), bit(libc::PROT_WRITE, 'w'), bit(libc::PROT_EXEC, 'x'));
    let share = if vma.shared { 's' } else { 'p' };
    let name = match vma.kind {
        Kind::Stack => "[stack]",
        Kind::Heap => "[heap]",
        Kind::Vdso => "[vdso]",
        Kind::Vectors => "[vectors]",
        Kind::Plain | Kind::File | Kind::Shm => name,
    };
    let offset = if name.starts_with('[') { 0 } else { offset };
    let head = format!("{:x}-{:x} {read}{write}{execute}{share} {offset:08x} {device_inode} ", range.start, range.end);
    // The kernel puts names in column 74.
    let _ = if name.is_empty() { writeln!(out, "{head}") } else { writeln!(out, "{head:<73}{name}") };
}

/// `/proc/self/stat`: the host's with the program's name and the guest's stack.
fn stat(process: &Process) -> String {
    let host = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let Some((pid, rest)) = host.split_once(" (") else { return host };
    let Some((_, rest)) = rest.rsplit_once(") ") else { return host };
    let name =
        process.exe.file_name().map(|n| n.to_string_lossy().chars().take(15).collect::<String>()).unwrap_or_default();
    let mut fields: Vec<String> = rest.split(' ').map(str::to_owned).collect();
    let stack = process.space.map().iter().find(|(_, vma)| vma.kind == Kind::Stack).map(|(range, _)| range.end);
    // Field 28 of the line is the stack's start; the first of `fields` is field 3.
    if let (Some(field), Some(stack)) = (fields.get_mut(28 - 3), stack) {
        *field = stack.to_string();
    }
    format!("{pid} ({name}) {}", fields.join(" "))
}

/// `/proc/cpuinfo` of as many of the guest's processors as the host has.
fn cpuinfo(process: &Process) -> String {
    let hwcap = process.guest.process.hwcap;
    let names = process.abi.set("hwcap").map_or(&[] as &[Constant], |set| set.entries.entries());
    let present: Vec<&str> = names.iter().filter(|c| hwcap & c.mask == c.value).map(|c| c.name.text()).collect();
    // SAFETY: no pointers.
    let processors = unsafe { libc::sysconf(libc::_SC_NPROCESSORS_ONLN) }.max(1);
    let mut out = String::new();
    for cpu in 0..processors {
        for (key, value) in process.abi.cpuinfo {
            let value = value.replace("{cpu}", &cpu.to_string());
            let value = value.replace("{hwcap}", &present.join(" ")).replace("{letters}", &present.concat());
            cpuinfo_line(&mut out, key, &value);
        }
        out.push('\n');
    }
    out
}

/// Keys are padded with tabs to column 16.
fn cpuinfo_line(out: &mut String, key: &str, value: &str) {
    let tabs = 16usize.saturating_sub(key.len()).div_ceil(8);
    let _ = writeln!(out, "{key}{}: {value}", "\t".repeat(tabs));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn host_lines_are_read_with_and_without_a_name() {
        let line = host_line("7f00-7f10 r-xp 00001000 08:01 42      /usr/lib/a b.so").unwrap();
        assert_eq!((line.range, line.offset), (0x7f00..0x7f10, 0x1000));
        assert_eq!((line.device_inode.as_str(), line.name.as_str()), ("08:01 42", "/usr/lib/a b.so"));
        assert_eq!(host_line("1000-2000 rw-p 00000000 00:00 0 ").unwrap().name, "");
        assert!(host_line("").is_none());
    }

    #[test]
    fn keys_of_cpuinfo_are_padded_with_tabs() {
        let mut out = String::new();
        for key in ["isa", "processor", "CPU implementer", "CPU architecture"] {
            cpuinfo_line(&mut out, key, "8");
        }
        assert_eq!(out, "isa\t\t: 8\nprocessor\t: 8\nCPU implementer\t: 8\nCPU architecture: 8\n");
    }

    #[test]
    fn guest_lines_look_like_the_kernels() {
        let mut out = String::new();
        map_line(&mut out, 0x1000..0x2000, &Vma::anonymous(libc::PROT_READ, Kind::Plain), 0x10, "08:01 42", "/lib/x");
        assert_eq!(out, format!("{:<73}/lib/x\n", "1000-2000 r--p 00000010 08:01 42 "));
        let mut out = String::new();
        map_line(&mut out, 0x1000..0x2000, &Vma::anonymous(3, Kind::Stack), 0x10, "00:00 0", "");
        assert!(out.ends_with("[stack]\n") && out.contains("rw-p 00000000"));
    }
}
