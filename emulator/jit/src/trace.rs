//! Printing of what is translated and executed (`--trace`), on stderr.

use std::fmt::Write;

use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
use ir::Guest;
use ir::unit::{Unit, UnitKey};

use crate::options::Hooks;
use crate::x64::{Compiled, Mark};

/// What to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[allow(clippy::struct_excessive_bools)] // one per item of the option
pub struct Trace {
    /// Guest instructions of each unit translated.
    pub guest: bool,
    /// Its intermediate representation, simplified.
    pub ir: bool,
    /// Its host code, by guest instruction.
    pub host: bool,
    /// Address of each unit that the dispatcher enters; those reached by direct jumps are not seen.
    pub exec: bool,
    /// First guest address of interest, and the one after the last; (0, 0) for all.
    pub range: (u64, u64),
}

impl Trace {
    /// The items that [`Trace::parse`] takes, for help.
    pub const ITEMS: &str = "guest, ir, host, exec";

    /// Reads a list of items, separated by commas.
    ///
    /// # Errors
    /// Names the item that does not exist.
    pub fn parse(list: &str) -> Result<Trace, String> {
        let mut trace = Trace::default();
        for item in list.split(',').filter(|item| !item.is_empty()) {
            match item {
                "guest" => trace.guest = true,
                "ir" => trace.ir = true,
                "host" => trace.host = true,
                "exec" => trace.exec = true,
                _ => return Err(format!("no item `{item}`: there are {}", Trace::ITEMS)),
            }
        }
        Ok(trace)
    }

    /// The items, as [`Trace::parse`] reads them.
    #[must_use]
    pub fn items(&self) -> String {
        let all = [(self.guest, "guest"), (self.ir, "ir"), (self.host, "host"), (self.exec, "exec")];
        all.into_iter().filter(|(on, _)| *on).map(|(_, name)| name).collect::<Vec<_>>().join(",")
    }

    fn covers(&self, pc: u64) -> bool {
        self.range == (0, 0) || (self.range.0..self.range.1).contains(&pc)
    }

    /// A unit was translated; `compiled` is its host code, if any.
    pub(crate) fn unit(&self, guest: &Guest, hooks: &dyn Hooks, unit: &Unit, compiled: Option<&Compiled>) {
        if !(self.guest || self.ir || self.host) || !self.covers(unit.key.pc) {
            return;
        }
        eprint!("{}", self.text(guest, hooks, unit, compiled));
    }

    /// What is to be printed of a unit.
    fn text(&self, guest: &Guest, hooks: &dyn Hooks, unit: &Unit, compiled: Option<&Compiled>) -> String {
        let mut text = String::new();
        let count = unit.bounds.len();
        let _ = writeln!(text, "unit {:#x} mode {:#x}: {count} instructions", unit.key.pc, unit.key.mode);
        if self.guest {
            for bound in &unit.bounds {
                let _ = writeln!(text, "  {}", instruction(guest, hooks, bound.pc, unit.key.mode));
            }
        }
        if self.ir {
            let _ = writeln!(text, "{}", ir::print::print(unit, guest).trim_end());
        }
        if let Some(compiled) = compiled.filter(|_| self.host) {
            host_code(&mut text, compiled, true, |pc| instruction(guest, hooks, pc, unit.key.mode));
        }
        text
    }

    /// The dispatcher enters a unit.
    #[inline]
    pub(crate) fn enter(&self, key: UnitKey) {
        if self.exec && self.covers(key.pc) {
            eprintln!("enter {:#x} mode {:#x}", key.pc, key.mode);
        }
    }
}

/// Everything about a unit.
pub(crate) fn describe(guest: &Guest, hooks: &dyn Hooks, unit: &Unit, compiled: Option<&Compiled>) -> String {
    Trace { guest: true, ir: true, host: true, ..Trace::default() }.text(guest, hooks, unit, compiled)
}

/// A line with a guest instruction.
fn instruction(guest: &Guest, hooks: &dyn Hooks, pc: u64, mode: u32) -> String {
    let mut code = [0; 16];
    let len = hooks.fetch(pc, &mut code).min(code.len());
    format!("{pc:#x}  {}", (guest.disassemble)(pc, mode, &code[..len]).0)
}

/// Adds the host code to `text`, each guest instruction's under its line, which `instruction` makes from its address. Its last part,
/// what the entry asks the dispatcher for, only if `requests`.
pub fn host_code(text: &mut String, compiled: &Compiled, requests: bool, instruction: impl Fn(u64) -> String) {
    let mut marks = compiled.marks.iter().peekable();
    let mut formatter = IntelFormatter::new();
    let mut line = String::new();
    let _ = writeln!(text, "host, {} bytes", compiled.code.len());
    if compiled.marks.first().is_some_and(|(at, _)| *at > 0) {
        let _ = writeln!(text, "  entry");
    }
    for insn in &mut Decoder::with_ip(64, &compiled.code, 0, DecoderOptions::NONE) {
        // Of parts that are empty only the line of an instruction is wanted.
        let mut part = None;
        while let Some(&(_, mark)) = marks.next_if(|(at, _)| u64::from(*at) <= insn.ip()) {
            if let Mark::Insn(pc) = mark {
                let _ = writeln!(text, "  {}", instruction(pc));
            }
            part = Some(mark);
        }
        match part {
            Some(Mark::Request) if !requests => break,
            Some(Mark::Request) => text.push_str("  requests\n"),
            Some(Mark::Side) => text.push_str("  beside\n"),
            Some(Mark::Exit) => text.push_str("  exit\n"),
            Some(Mark::Insn(_)) | None => {}
        }
        line.clear();
        formatter.format(&insn, &mut line);
        let _ = writeln!(text, "    {:>4x}  {line}{}", insn.ip(), destination(compiled, insn.next_ip()));
    }
}

/// Where a transfer leads whose distance, the last four bytes of the instruction that ends here, is filled in later.
fn destination(compiled: &Compiled, end: u64) -> String {
    let here = |at: u32| u64::from(at) + 4 == end;
    let link =
        compiled.links.iter().find(|link| here(link.at)).map(|link| format!("    ; guest {:#x}", link.target.pc));
    let stub = || compiled.relocs.iter().find(|r| here(r.at)).map(|r| format!("    ; stub {:?}", r.stub));
    link.or_else(stub).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_and_written() {
        let trace = Trace::parse("host,guest").unwrap();
        assert!(trace.host && trace.guest && !trace.ir && !trace.exec);
        assert_eq!(trace.items(), "guest,host");
        assert_eq!(Trace::parse("gusts").unwrap_err(), "no item `gusts`: there are guest, ir, host, exec");
    }
}
