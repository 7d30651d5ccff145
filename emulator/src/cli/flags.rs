//! The flag table.

use std::ffi::{OsStr, OsString};

use linux::Options;

/// Whether a flag takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value {
    /// No value.
    None,
    /// A value, attached or the next argument; with its name in the help.
    Required(&'static str),
    /// A value only with `=`; with its name in the help.
    Optional(&'static str),
}

/// Group in `--help`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Group {
    /// What the guest sees.
    Guest,
    /// How it is run.
    Engine,
    /// What is printed.
    Report,
    /// About the program.
    Other,
}

/// Takes effect on the options; the value is empty if there is none.
type Apply = fn(&mut Options, &OsStr) -> Result<(), String>;

/// A command-line flag.
pub(crate) struct Flag {
    /// One-letter name.
    pub(crate) short: Option<char>,
    /// GNU name, without dashes.
    pub(crate) long: &'static str,
    /// QEMU's names, accepted with one dash or two.
    pub(crate) aliases: &'static [&'static str],
    /// Value.
    pub(crate) value: Value,
    /// Environment variables read when the flag is absent, in order.
    pub(crate) env: &'static [&'static str],
    /// Group in the help.
    pub(crate) group: Group,
    /// One line of help.
    pub(crate) help: &'static str,
    /// Effect. `None`: `--help`, `--version` and `--libnative`, which the parser answers itself.
    pub(crate) apply: Option<Apply>,
}

/// All flags, in the order of the help.
pub(crate) const FLAGS: &[Flag] = &[
    Flag {
        short: Some('L'),
        long: "sysroot",
        aliases: &[],
        value: Value::Required("DIR"),
        env: &["ISAMORPH_SYSROOT", "QEMU_LD_PREFIX"],
        group: Group::Guest,
        help: "root of the guest's libraries; repeatable; `none`: only /",
        apply: Some(|options, dir| {
            if dir == "none" {
                options.no_sysroot = true;
            } else {
                options.sysroots.push(dir.into());
            }
            Ok(())
        }),
    },
    Flag {
        short: Some('E'),
        long: "set-env",
        aliases: &[],
        value: Value::Required("VAR=VALUE"),
        env: &["QEMU_SET_ENV"],
        group: Group::Guest,
        help: "set a variable of the guest's environment; repeatable",
        apply: Some(|options, setting| {
            if !setting.as_encoded_bytes().contains(&b'=') {
                return Err(format!("expected VAR=VALUE, got `{}`", setting.display()));
            }
            options.set_env.push(setting.into());
            Ok(())
        }),
    },
    Flag {
        short: Some('U'),
        long: "unset-env",
        aliases: &[],
        value: Value::Required("VAR"),
        env: &["QEMU_UNSET_ENV"],
        group: Group::Guest,
        help: "remove a variable from the guest's environment; repeatable",
        apply: Some(|options, name| {
            options.unset_env.push(name.into());
            Ok(())
        }),
    },
    Flag {
        short: Some('0'),
        long: "argv0",
        aliases: &[],
        value: Value::Required("NAME"),
        env: &["ISAMORPH_ARGV0", "QEMU_ARGV0"],
        group: Group::Guest,
        help: "argv[0] of the guest, instead of PROGRAM",
        apply: Some(|options, name| {
            options.argv0 = Some(name.into());
            Ok(())
        }),
    },
    Flag {
        short: Some('s'),
        long: "stack",
        aliases: &[],
        value: Value::Required("SIZE"),
        env: &["ISAMORPH_STACK", "QEMU_STACK_SIZE"],
        group: Group::Guest,
        help: "main-thread stack in bytes, or with suffix K, M, G",
        apply: Some(|options, size| {
            options.stack_size = Some(parse_size(size)?);
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "interp",
        aliases: &[],
        value: Value::None,
        env: &["ISAMORPH_INTERP"],
        group: Group::Engine,
        help: "interpret instead of translating: slow, for comparison",
        apply: Some(|options, _| {
            options.interp = true;
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "eager",
        aliases: &[],
        value: Value::None,
        env: &["ISAMORPH_EAGER"],
        group: Group::Engine,
        help: "translate all that is executed, not only what is executed often",
        apply: Some(|options, _| {
            options.eager = true;
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "check",
        aliases: &[],
        value: Value::None,
        env: &["ISAMORPH_CHECK"],
        group: Group::Engine,
        help: "compare each unit with the interpreter, stop at the first difference: slow",
        apply: Some(|options, _| {
            options.check = true;
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "host-cpu",
        aliases: &[],
        value: Value::Required("FEATURES"),
        env: &["ISAMORPH_HOST_CPU"],
        group: Group::Engine,
        help: "what generated code uses of this processor: native, x86-64-v1 to x86-64-v3, and after it features to add \
               and, with `-`, to leave out: v3,-movbe",
        apply: Some(|options, list| {
            let features = linux::Features::parse(&list.to_string_lossy())?;
            let missing = features.missing();
            if !missing.is_empty() {
                return Err(format!("this processor does not have {}", missing.join(", ")));
            }
            options.host_cpu = Some(features);
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "code-memory",
        aliases: &[],
        value: Value::Required("SIZE"),
        env: &["ISAMORPH_CODE_MEMORY"],
        group: Group::Engine,
        help: "memory for generated code in bytes, or with suffix K, M, G; when it is full all is translated anew",
        apply: Some(|options, size| {
            options.code_memory = Some(parse_size(size)?);
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "cache",
        aliases: &[],
        value: Value::Required("DIR"),
        env: &["ISAMORPH_CACHE"],
        group: Group::Engine,
        help: "keep translations for later runs in DIR; `none`: nowhere; else in ~/.cache/isamorph, if there is a ~/.cache",
        apply: Some(|options, directory| {
            options.cache = if directory == "none" {
                linux::cache::Choice::Off
            } else {
                let absolute = std::path::absolute(directory).map_err(|e| format!("{}: {e}", directory.display()))?;
                linux::cache::Choice::At(absolute)
            };
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "native-bypass",
        aliases: &["native-bypass"],
        value: Value::Optional("LIST"),
        env: &["ISAMORPH_NATIVE_BYPASS", "QEMU_NATIVE_BYPASS"],
        group: Group::Engine,
        help: "run known library functions as host code: groups or names, `-` excludes, `list` prints them; or preload the \
               guest library named next (see --libnative)",
        apply: Some(|options, list| {
            if list.as_encoded_bytes().ends_with(b".so") {
                options.native_library = linux::bypass::native_library(list)?;
                let what = || format!("{}: no native-call library", list.display());
                options.native_library.is_some().then_some(()).ok_or_else(what)?;
                options.native_bypass.get_or_insert(linux::bypass::Choice::parse("")?);
                return Ok(());
            }
            options.native_bypass = Some(linux::bypass::Choice::parse(&list.to_string_lossy())?);
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "strace",
        aliases: &["strace"],
        value: Value::Optional("FILTER"),
        env: &["ISAMORPH_STRACE", "QEMU_STRACE"],
        group: Group::Report,
        help: "print system calls to stderr, in strace's format",
        apply: Some(|options, filter| {
            options.strace = Some(filter.to_string_lossy().into_owned());
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "strace-output",
        aliases: &[],
        value: Value::Required("FILE"),
        env: &["ISAMORPH_STRACE_OUTPUT"],
        group: Group::Report,
        help: "append the trace of system calls to FILE",
        apply: Some(|options, file| {
            options.strace_output = Some(file.into());
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "strace-resumed",
        aliases: &[],
        value: Value::Required("FD"),
        env: &[],
        group: Group::Report,
        help: "go on with the trace of a program that executed this one; passed on by execve",
        apply: Some(|options, fd| {
            let fd = fd.to_str().and_then(|fd| fd.parse().ok());
            options.strace_resumed = Some(fd.ok_or("--strace-resumed: not a descriptor")?);
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "native-report",
        aliases: &[],
        value: Value::Optional("json"),
        env: &["ISAMORPH_NATIVE_REPORT"],
        group: Group::Report,
        help: "print what the native bypass did and what it saved, at exit",
        apply: Some(|options, format| {
            options.native_report = Some(linux::bypass::ReportFormat::parse(&format.to_string_lossy())?);
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "stats",
        aliases: &[],
        value: Value::None,
        env: &["ISAMORPH_STATS"],
        group: Group::Report,
        help: "print translator statistics at exit",
        apply: Some(|options, _| {
            options.stats = true;
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "profile",
        aliases: &[],
        value: Value::None,
        env: &["ISAMORPH_PROFILE"],
        group: Group::Report,
        help: "count how often translated units are entered, print the hottest at exit",
        apply: Some(|options, _| {
            options.profile = true;
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "trace",
        aliases: &[],
        value: Value::Required("ITEMS"),
        env: &["ISAMORPH_TRACE"],
        group: Group::Report,
        help: "print what is translated: guest, ir, host (code); exec: units entered from the dispatcher",
        apply: Some(|options, items| {
            let range = options.trace.range;
            options.trace = linux::Trace { range, ..linux::Trace::parse(&items.to_string_lossy())? };
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "trace-range",
        aliases: &["dfilter"],
        value: Value::Required("FIRST-LAST"),
        env: &["ISAMORPH_TRACE_RANGE"],
        group: Group::Report,
        help: "trace only units that start at these guest addresses; FIRST+LENGTH is understood, too",
        apply: Some(|options, range| {
            options.trace.range = parse_range(&range.to_string_lossy())?;
            Ok(())
        }),
    },
    Flag {
        short: Some('q'),
        long: "quiet",
        aliases: &[],
        value: Value::None,
        env: &["ISAMORPH_QUIET"],
        group: Group::Report,
        help: "no report when the guest dies of a fault",
        apply: Some(|options, _| {
            options.quiet = true;
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "cpu",
        aliases: &["cpu"],
        value: Value::Required("MODEL"),
        env: &["ISAMORPH_CPU", "QEMU_CPU"],
        group: Group::Other,
        help: "accepted for scripts written for QEMU; the processor is what its specification says",
        apply: Some(|_, model| {
            if model != "max" && model != "any" {
                eprintln!("isamorph: ignoring --cpu {}: the processor is what its specification says", model.display());
            }
            Ok(())
        }),
    },
    Flag {
        short: None,
        long: "libnative",
        aliases: &[],
        value: Value::Required("ARCH"),
        env: &[],
        group: Group::Other,
        help: "write the guest library of native calls to the file named next, or ./libnative.so; `-`: stdout",
        apply: None,
    },
    Flag {
        short: Some('h'),
        long: "help",
        aliases: &["help"],
        value: Value::None,
        env: &[],
        group: Group::Other,
        help: "print this",
        apply: None,
    },
    Flag {
        short: Some('V'),
        long: "version",
        aliases: &["version"],
        value: Value::None,
        env: &[],
        group: Group::Other,
        help: "print the version and the guest processors",
        apply: None,
    },
];

/// A size with an optional binary suffix.
pub(crate) fn parse_size(text: &OsStr) -> Result<u64, String> {
    let text = text.to_string_lossy();
    let bad = || format!("expected a size in bytes, got `{text}`");
    let (digits, shift) = match text.as_bytes().last() {
        Some(b'k' | b'K') => (&text[..text.len() - 1], 10),
        Some(b'm' | b'M') => (&text[..text.len() - 1], 20),
        Some(b'g' | b'G') => (&text[..text.len() - 1], 30),
        _ => (&text[..], 0),
    };
    let number: u64 = digits.parse().map_err(|_| bad())?;
    number.checked_shl(shift).filter(|size| size >> shift == number && *size > 0).ok_or_else(bad)
}

/// A range of addresses, `FIRST-LAST` or `FIRST+LENGTH`: the first and the one after the last.
pub(crate) fn parse_range(text: &str) -> Result<(u64, u64), String> {
    let number = |n: &str| match n.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => n.parse().ok(),
    };
    let range = if let Some((first, len)) = text.split_once('+') {
        number(first).zip(number(len)).and_then(|(first, len)| Some((first, first.checked_add(len)?)))
    } else {
        text.split_once('-').and_then(|(first, last)| Some((number(first)?, number(last)?.checked_add(1)?)))
    };
    range.filter(|(first, end)| first < end).ok_or_else(|| format!("expected FIRST-LAST or FIRST+LENGTH, got `{text}`"))
}

/// Values of the environment variables of absent flags. A variable of a flag without value counts when it is neither empty
/// nor `0`; QEMU's list variables are split at commas.
pub(crate) fn from_environment(flag: &Flag, lookup: impl Fn(&str) -> Option<OsString>) -> Vec<OsString> {
    let Some((name, value)) = flag.env.iter().find_map(|name| Some((*name, lookup(name)?))) else { return Vec::new() };
    match flag.value {
        _ if value.is_empty() => Vec::new(),
        Value::None | Value::Optional(_) if value == "0" => Vec::new(),
        Value::None => vec![OsString::new()],
        Value::Optional(_) if value == "1" => vec![OsString::new()],
        Value::Required(_) if name.ends_with("SET_ENV") => {
            value.to_string_lossy().split(',').filter(|s| !s.is_empty()).map(OsString::from).collect()
        }
        _ => vec![value],
    }
}
