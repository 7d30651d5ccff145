//! From arguments to a command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use linux::Options;

use super::flags::{FLAGS, Flag, Value, from_environment};
use super::help;

/// What the command line asks for.
#[derive(Debug)]
pub(crate) enum Command {
    /// Run a program.
    Run(Box<Options>),
    /// Print a text on stdout.
    Print(String),
    /// Write a file; `-` is stdout.
    Write(PathBuf, Vec<u8>),
}

/// Parses `argv`, the program's own name first, and reads the environment for absent flags.
pub(crate) fn parse(argv: Vec<OsString>) -> Result<Command, String> {
    parse_with(argv, |name| std::env::var_os(name))
}

fn parse_with(argv: Vec<OsString>, lookup: impl Fn(&str) -> Option<OsString>) -> Result<Command, String> {
    let mut args = argv.into_iter().skip(1).peekable();
    let mut options = Options::default();
    let mut seen = vec![false; FLAGS.len()];
    let mut program = None;
    while let Some(arg) = args.next() {
        let bytes = arg.as_bytes();
        if bytes == b"--" {
            program = args.next();
            break;
        }
        if bytes.len() < 2 || bytes[0] != b'-' {
            program = Some(arg);
            break;
        }
        let (index, attached) = find(bytes).ok_or_else(|| format!("unknown option `{}`", arg.display()))?;
        let flag = &FLAGS[index];
        let value = match (flag.value, attached) {
            (Value::None, Some(_)) => return Err(format!("--{} takes no value", flag.long)),
            (Value::None | Value::Optional(_), None) => OsString::new(),
            (Value::Required(name), None) => args.next().ok_or_else(|| format!("--{} needs {name}", flag.long))?,
            (_, Some(value)) => value,
        };
        let Some(apply) = flag.apply else {
            return match flag.long {
                "help" => Ok(Command::Print(help::help())),
                "version" => Ok(Command::Print(help::version())),
                _ => write_library(&value, args.collect()),
            };
        };
        let mut value = value;
        if flag.long == "native-bypass" {
            if value == "list" {
                return Ok(Command::Print(linux::bypass::describe()));
            }
            if value.is_empty()
                && let Some(next) = args.peek()
                && let Some(library) = linux::bypass::native_library(next)?
            {
                value = library.into();
                args.next();
            }
        }
        apply(&mut options, &value).map_err(|why| format!("--{}: {why}", flag.long))?;
        seen[index] = true;
    }
    for (flag, _) in FLAGS.iter().zip(seen).filter(|(_, seen)| !seen) {
        apply_environment(flag, &mut options, &lookup)?;
    }
    options.program = program.ok_or("no program given")?.into();
    options.args = args.collect();
    Ok(Command::Run(Box::new(options)))
}

/// `--libnative ARCH [FILE]`.
fn write_library(guest: &OsStr, rest: Vec<OsString>) -> Result<Command, String> {
    let bytes = linux::bypass::guest_library(guests::ALL, &guest.to_string_lossy());
    let bytes = bytes.map_err(|why| format!("--libnative: {why}"))?;
    match &rest[..] {
        [] => Ok(Command::Write("libnative.so".into(), bytes)),
        [file] => Ok(Command::Write(file.into(), bytes)),
        _ => Err("--libnative takes one file".into()),
    }
}

fn apply_environment(
    flag: &Flag,
    options: &mut Options,
    lookup: &impl Fn(&str) -> Option<OsString>,
) -> Result<(), String> {
    let Some(apply) = flag.apply else { return Ok(()) };
    for value in from_environment(flag, lookup) {
        apply(options, &value).map_err(|why| format!("{}: {why}", flag.env.join(" or ")))?;
    }
    Ok(())
}

/// The flag an argument names, and the value attached to it.
fn find(arg: &[u8]) -> Option<(usize, Option<OsString>)> {
    let owned = |value: &[u8]| OsString::from_vec(value.to_vec());
    let name = arg.strip_prefix(b"--").or_else(|| arg.strip_prefix(b"-"))?;
    let (name, value) = match name.iter().position(|&b| b == b'=') {
        Some(at) => (&name[..at], Some(owned(&name[at + 1..]))),
        None => (name, None),
    };
    let is = |text: &str| OsStr::from_bytes(name) == OsStr::new(text);
    let double = arg.starts_with(b"--");
    let long = |flag: &Flag| double && is(flag.long) || flag.aliases.iter().any(|alias| is(alias));
    if let Some(index) = FLAGS.iter().position(long) {
        return Some((index, value));
    }
    if double {
        return None;
    }
    let letter = char::from(*arg.get(1)?);
    let index = FLAGS.iter().position(|flag| flag.short == Some(letter))?;
    let rest = &arg[2..];
    match FLAGS[index].value {
        Value::None if !rest.is_empty() => None,
        _ => Some((index, (!rest.is_empty()).then(|| owned(rest)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(args: &[&str], env: &[(&str, &str)]) -> Result<Options, String> {
        let argv = ["isamorph"].iter().chain(args).map(OsString::from).collect();
        let lookup = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, v)| OsString::from(v));
        match parse_with(argv, lookup)? {
            Command::Run(options) => Ok(*options),
            Command::Print(text) => Err(text),
            Command::Write(file, bytes) => Err(format!("{}: {} bytes", file.display(), bytes.len())),
        }
    }

    #[test]
    fn traces_are_of_items_and_ranges() {
        let options = run(&["--trace=host,ir", "--trace-range", "0x1000+0x20", "p"], &[]).unwrap();
        assert_eq!((options.trace.items().as_str(), options.trace.range), ("ir,host", (0x1000, 0x1020)));
        let options = run(&["-dfilter", "0x1000-4097", "--trace=guest", "p"], &[]).unwrap();
        assert_eq!((options.trace.items().as_str(), options.trace.range), ("guest", (0x1000, 0x1002)));
        assert_eq!(
            options.inherited_flags().last().map(|f| f.to_string_lossy().into_owned()),
            Some("--trace-range=0x1000-0x1001".into())
        );
        assert!(run(&["--trace=cows", "p"], &[]).unwrap_err().contains("no item `cows`"));
        assert!(run(&["--trace-range=7", "p"], &[]).unwrap_err().contains("expected FIRST-LAST"));
    }

    #[test]
    fn options_end_at_the_program() {
        let options = run(&["-L", "/a", "--sysroot=/b", "-E", "A=1", "./p", "-L", "--help"], &[]).unwrap();
        assert_eq!(options.sysroots, ["/a", "/b"].map(std::path::PathBuf::from));
        assert_eq!(options.set_env, ["A=1"]);
        assert_eq!((options.program.to_str(), options.args.len()), (Some("./p"), 2));
        assert_eq!(run(&["--", "-x"], &[]).unwrap().program.to_str(), Some("-x"));
    }

    #[test]
    fn qemu_spellings() {
        let options = run(&["-strace", "-cpu", "max", "-L/x", "-0", "name", "p"], &[]).unwrap();
        assert_eq!(options.strace.as_deref(), Some(""));
        assert_eq!(options.argv0.unwrap(), "name");
        assert_eq!(options.sysroots[0].to_str(), Some("/x"));
    }

    #[test]
    fn environment_is_for_absent_flags() {
        let env =
            [("QEMU_LD_PREFIX", "/q"), ("ISAMORPH_STATS", "1"), ("ISAMORPH_INTERP", "0"), ("QEMU_SET_ENV", "A=1,B=2")];
        let options = run(&["p"], &env).unwrap();
        assert_eq!(options.sysroots[0].to_str(), Some("/q"));
        assert!(options.stats && !options.interp);
        assert_eq!(options.set_env, ["A=1", "B=2"]);
        assert_eq!(run(&["-L", "/x", "p"], &env).unwrap().sysroots.len(), 1);
    }

    /// What `execve` passes on is understood, and means the same.
    #[test]
    fn inherited_flags_round_trip() {
        let args = [
            "-L",
            "/a",
            "-L",
            "/b",
            "-s",
            "64K",
            "--code-memory=2M",
            "--host-cpu=v2,-popcnt",
            "--strace=read",
            "--interp",
            "--native-report=json",
            "--stats",
            "--profile",
            "-q",
            "p",
        ];
        let first = run(&args, &[]).unwrap();
        let flags = first.inherited_flags();
        let again: Vec<&str> = flags.iter().filter_map(|flag| flag.to_str()).chain(["--", "p"]).collect();
        assert_eq!(format!("{:?}", run(&again, &[]).unwrap()), format!("{first:?}"));
    }

    /// The library's SONAME tells it from a program, and its name whether it was meant to be one.
    #[test]
    fn the_classic_form_of_the_bypass() {
        let directory = std::env::temp_dir().join(format!("isamorph-cli-{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let library = directory.join("by-another-name.so");
        std::fs::write(&library, linux::bypass::guest_library(guests::ALL, "riscv64").unwrap()).unwrap();
        let library = library.canonicalize().unwrap();
        let path = library.to_str().unwrap();
        for args in [&["--native-bypass", path, "p"][..], &["-native-bypass", path, "p"]] {
            let options = run(args, &[]).unwrap();
            assert_eq!((options.program.to_str(), options.native_library.as_deref()), (Some("p"), Some(&*library)));
            assert!(options.native_bypass.is_some());
        }
        let options = run(&["p"], &[("QEMU_NATIVE_BYPASS", path)]).unwrap();
        assert_eq!(options.native_library.as_deref(), Some(&*library));
        assert_eq!(run(&["--native-bypass", "p"], &[]).unwrap().native_library, None);
        assert!(
            run(&["--native-bypass", "./libnative.so", "p"], &[]).unwrap_err().contains("./libnative.so: No such file")
        );
        std::fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn the_library_is_written_where_it_is_asked_for() {
        assert!(run(&["--libnative=aarch64"], &[]).unwrap_err().starts_with("libnative.so: "));
        assert!(run(&["--libnative", "riscv64", "x.so"], &[]).unwrap_err().starts_with("x.so: "));
        assert!(run(&["--libnative=vax"], &[]).unwrap_err().contains("no guest `vax`; there are"));
    }

    #[test]
    fn errors_and_texts() {
        for bad in [
            &["--nonsense", "p"][..],
            &["-L"],
            &[],
            &["--interp=1", "p"],
            &["-E", "A", "p"],
            &["-s", "1Q", "p"],
            &["--host-cpu=v9", "p"],
            &["--host-cpu=v1,mmx2", "p"],
        ] {
            assert!(run(bad, &[]).is_err(), "{bad:?}");
        }
        let help = run(&["--help"], &[]).unwrap_err();
        assert!(FLAGS.iter().all(|flag| help.contains(flag.long)));
        assert_eq!(run(&["-s", "16M", "p"], &[]).unwrap().stack_size, Some(16 << 20));
    }
}
