//! Shows what an instruction becomes, for `isa disasm --ir` and `--host`: `isa-code GUEST [--ir] [--host]` reads lines of
//! address, mode word and bytes in memory order, all in hexadecimal, and answers each with lines and an empty one.

use ir::guest::Step;
use ir::unit::{Unit, UnitKey};
use ir::{Builder, Guest};
use jit::x64::{Compiler, Convention, Features};
use std::fmt::Write as _;
use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(guest) = arguments.first().and_then(|name| guests::ALL.by_name(name)) else {
        let names: Vec<&str> = guests::ALL.iter().map(|g| g.name).collect();
        eprintln!("isa-code: the first argument is one of the guests {}", names.join(", "));
        return ExitCode::FAILURE;
    };
    let (ir, host) = (arguments.iter().any(|a| a == "--ir"), arguments.iter().any(|a| a == "--host"));
    let mut compiler = Compiler::new(guest, Convention::new(guest), Features::host());
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let answer = match request(&line) {
            Some((key, code)) => answer(guest, &mut compiler, key, &code, (ir, host)),
            None => format!("    `{line}` is no request\n"),
        };
        let mut out = std::io::stdout().lock();
        if writeln!(out, "{answer}").and_then(|()| out.flush()).is_err() {
            break; // the reader has gone
        }
    }
    ExitCode::SUCCESS
}

/// Address, mode and code of a line.
fn request(line: &str) -> Option<(UnitKey, Vec<u8>)> {
    let mut words = line.split(' ');
    let pc = u64::from_str_radix(words.next()?, 16).ok()?;
    let mode = u32::from_str_radix(words.next()?, 16).ok()?;
    let digits = words.next()?;
    let byte = |at: usize| u8::from_str_radix(digits.get(at..at + 2)?, 16).ok();
    let code = (0..digits.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()?;
    Some((UnitKey { pc, mode }, code))
}

fn answer(guest: &Guest, compiler: &mut Compiler, key: UnitKey, code: &[u8], (ir, host): (bool, bool)) -> String {
    let Some(unit) = unit(guest, key, code) else {
        return "    an undefined instruction: it raises SIGILL\n".to_owned();
    };
    let mut text = String::new();
    if ir {
        text += &ir::print::print(&unit, guest);
    }
    if host {
        match compiler.compile(&unit) {
            Ok(compiled) => {
                jit::host_code(&mut text, compiled, false, |pc| {
                    format!("{pc:#x}  {}", (guest.disassemble)(pc, key.mode, code).0)
                });
            }
            Err(error) => {
                let _ = writeln!(text, "no host code: {error:?}; the interpreter executes it");
            }
        }
    }
    // An empty line ends the answer.
    text.lines().filter(|l| !l.trim().is_empty()).map(|l| format!("    {l}\n")).collect()
}

/// An instruction as a unit of its own; nothing happens in its delay slot.
fn unit(guest: &Guest, key: UnitKey, code: &[u8]) -> Option<Unit> {
    let mut b = Builder::new(guest, key);
    b.begin_insn(key.pc);
    let Step::Done { len, .. } = (guest.translate)(&mut b, key.pc, code) else { return None };
    b.end_insn();
    let mut next = key.pc.wrapping_add(len.into());
    if b.wants_slot() {
        b.begin_slot(next);
        b.set_len(guest.insn_align);
        b.end_insn();
        next = next.wrapping_add(guest.insn_align.into());
    }
    Some(b.finish(next))
}
