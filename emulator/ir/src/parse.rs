//! Units from text, as [`crate::print`] writes it.

use std::collections::HashMap;

use crate::guest::{Guest, Slot};
use crate::inst::{AtomicOp, Attr, FCmp, Inst, MemAttr, MinMax, Op, Order, Round, Step, Val};
use crate::ty::Ty;
use crate::unit::{Boundary, Exit, ExitKind, Put, Trap, Unit, UnitKey};
use crate::verify;

/// Reads a unit and verifies it.
///
/// # Errors
/// The line and what is wrong with it.
pub fn parse(text: &str, guest: &Guest) -> Result<Unit, String> {
    let mut parser = Parser { guest, unit: Unit::default(), values: HashMap::new(), pc: 0 };
    for (n, line) in text.lines().enumerate() {
        parser.line(line.trim()).map_err(|what| format!("line {}: {what}: `{}`", n + 1, line.trim()))?;
    }
    verify::verify(&parser.unit, guest)?;
    Ok(parser.unit)
}

type Parsed<T> = Result<T, String>;

struct Parser<'a> {
    guest: &'a Guest,
    unit: Unit,
    values: HashMap<String, Val>,
    /// Address of the guest instruction.
    pc: u64,
}

/// The words of one instruction, taken from the front.
struct Words<'a>(std::iter::Peekable<std::vec::IntoIter<&'a str>>);

impl<'a> Words<'a> {
    fn of(line: &'a str) -> Words<'a> {
        let words: Vec<_> = line.split([' ', ',']).filter(|word| !word.is_empty()).collect();
        Words(words.into_iter().peekable())
    }

    fn next(&mut self) -> Parsed<&'a str> {
        self.0.next().ok_or_else(|| "something is missing at the end".into())
    }

    fn skip(&mut self, word: &str) -> Parsed<()> {
        if self.next()? == word { Ok(()) } else { Err(format!("`{word}` is missing")) }
    }

    fn take(&mut self, word: &str) -> bool {
        self.0.next_if(|w| *w == word).is_some()
    }

    fn number(&mut self) -> Parsed<u64> {
        let word = self.next()?;
        u64::try_from(number(word)?).map_err(|_| format!("`{word}` is too large"))
    }

    fn small(&mut self) -> Parsed<u32> {
        u32::try_from(self.number()?).map_err(|_| "a number is too large".into())
    }
}

fn number(word: &str) -> Parsed<u128> {
    let parsed = match word.strip_prefix("0x") {
        Some(hex) => u128::from_str_radix(hex, 16),
        None => word.parse(),
    };
    parsed.map_err(|_| format!("`{word}` is not a number"))
}

impl Parser<'_> {
    fn line(&mut self, line: &str) -> Parsed<()> {
        let pos = self.unit.insts.len() as u32;
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(place) = line.strip_suffix(':') {
            let (pc, mode) = place.split_once(" mode ").map_or((place, None), |(pc, mode)| (pc, Some(mode)));
            self.pc = number(pc)? as u64;
            let mode = mode.map_or(Ok(self.unit.key.mode), |m| number(m).map(|m| m as u32))?;
            self.unit.bounds.push(Boundary { pos, pc: self.pc, mode });
            return Ok(());
        }
        let mut words = Words::of(line);
        match *words.0.peek().ok_or("an empty line")? {
            "unit" => self.header(&mut words)?,
            "put" => {
                words.next()?;
                let slot = self.slot(words.next()?)?;
                words.skip("=")?;
                let val = self.value(words.next()?)?;
                self.unit.puts.push(Put { pos, slot, val });
            }
            name if name.starts_with('%') => {
                words.next()?;
                words.skip("=")?;
                self.inst(&mut words)?;
                self.define(name, Val(pos))?;
            }
            _ => self.inst(&mut words)?,
        }
        match words.0.next() {
            Some(extra) => Err(format!("`{extra}` is too much")),
            None => Ok(()),
        }
    }

    fn header(&mut self, words: &mut Words<'_>) -> Parsed<()> {
        words.skip("unit")?;
        let pc = words.number()?;
        words.skip("mode")?;
        self.unit.key = UnitKey { pc, mode: words.small()? };
        words.skip("len")?;
        self.unit.guest_len = words.small()?;
        Ok(())
    }

    /// Names given by a spec are those that are not numbers.
    fn define(&mut self, text: &str, val: Val) -> Parsed<()> {
        if self.values.insert(text.into(), val).is_some() {
            return Err(format!("`{text}` is defined again"));
        }
        let name = text[1..].split('.').next().unwrap_or_default();
        if !name.starts_with(|c: char| c.is_ascii_digit()) {
            // Names live as long as specs, that is for ever; parsing is for tests and tools.
            self.unit.names.push((val, String::leak(name.to_owned())));
        }
        Ok(())
    }

    fn value(&self, word: &str) -> Parsed<Val> {
        self.values.get(word).copied().ok_or_else(|| format!("no value `{word}`"))
    }

    fn slot(&self, word: &str) -> Parsed<Slot> {
        self.guest.slot(word).ok_or_else(|| format!("no slot `{word}`"))
    }

    fn inst(&mut self, words: &mut Words<'_>) -> Parsed<()> {
        let word = words.next()?;
        let (name, ty) = match word.split_once(".i") {
            Some((name, bits)) => (name, ty_of(bits)?),
            None => (word, Ty::I1),
        };
        let op =
            Op::ALL.into_iter().find(|op| op.desc().name == name).ok_or_else(|| format!("no operation `{name}`"))?;
        let attr = self.attributes(op, words)?;
        let mut inst = Inst { op, ty, attr, args: [Val::NONE; 3] };
        if op.desc().variadic {
            let first = self.unit.helper_args.len() as u32;
            while words.0.peek().is_some() {
                let arg = self.value(words.next()?)?;
                self.unit.helper_args.push(arg);
            }
            inst.args = [Val(first), Val(self.unit.helper_args.len() as u32 - first), Val::NONE];
        } else {
            for k in 0..op.desc().operands.len() {
                inst.args[k] = self.value(words.next()?)?;
            }
        }
        if matches!(op, Op::ExitIf | Op::Exit | Op::ExitInd) {
            inst.attr = Attr(self.unit.exits.len() as u32);
            let exit = self.exit(words)?;
            self.unit.exits.push(exit);
        }
        self.unit.insts.push(inst);
        Ok(())
    }

    fn attributes(&mut self, op: Op, words: &mut Words<'_>) -> Parsed<Attr> {
        let desc = op.desc();
        match op {
            Op::Const | Op::Vshuf => {
                let value = number(words.next()?)?;
                self.unit.consts.push(value);
                return Ok(Attr(self.unit.consts.len() as u32 - 1));
            }
            Op::Get => return Ok(Attr(self.slot(words.next()?)?.0.into())),
            Op::Helper => {
                let name = words.next()?;
                let id = self.guest.helpers.iter().position(|h| h.name == name);
                return Ok(Attr(id.ok_or_else(|| format!("no helper `{name}`"))? as u32));
            }
            Op::ExitIf | Op::Exit | Op::ExitInd => return Ok(Attr(0)),
            _ => {}
        }
        let mut attr = if desc.mem { Attr::mem(memory(words)?) } else { Attr(0) };
        if desc.lane {
            words.skip("lane")?;
            let lane = words.small()?;
            if !lane.is_power_of_two() || lane > 128 {
                return Err(format!("no lanes of {lane} bits"));
            }
            attr = attr.with_lane(lane);
            if words.take("environment") {
                attr = attr.with_environment(words.small()? & 3);
            }
        }
        if desc.round {
            attr = attr.with_round(round(words));
        }
        if desc.imm {
            attr = Attr(attr.0 | immediate(words)?);
        }
        if desc.imm2 {
            attr = Attr(attr.0 | immediate(words)? << 8);
        }
        if desc.kind {
            attr = attr.with_kind(kind(op, words.next()?)?);
        }
        Ok(attr)
    }

    fn exit(&self, words: &mut Words<'_>) -> Parsed<Exit> {
        let mut exit =
            Exit { kind: ExitKind::Jump, target: 0, mode: 0, mode_in_state: false, ret: 0, ret_mode: 0, pc: self.pc };
        let word = words.next()?;
        exit.kind = match word {
            "jump" => ExitKind::Jump,
            "call" => ExitKind::Call,
            "indirect" => ExitKind::Indirect,
            "indirect_call" => ExitKind::IndirectCall,
            "return" => ExitKind::Return,
            "syscall" => ExitKind::Syscall,
            "trap" => ExitKind::Trap(trap(words)?),
            "native_call" => ExitKind::NativeCall,
            "flush" => ExitKind::Flush { len: words.small()? },
            "redispatch" => ExitKind::Redispatch,
            "step" => ExitKind::Step,
            "retreat" => ExitKind::Retreat,
            other => return Err(format!("no exit `{other}`")),
        };
        if !matches!(exit.kind, ExitKind::Indirect | ExitKind::IndirectCall | ExitKind::Return) {
            exit.target = words.number()?;
        }
        if words.take("ret") {
            exit.ret = words.number()?;
        }
        let ret_mode = words.take("ret_mode").then(|| words.small()).transpose()?;
        words.skip("mode")?;
        exit.mode_in_state = words.take("state");
        if !exit.mode_in_state {
            exit.mode = words.small()?;
        }
        if matches!(exit.kind, ExitKind::Call | ExitKind::IndirectCall) {
            exit.ret_mode = ret_mode.unwrap_or(exit.mode);
        }
        Ok(exit)
    }
}

fn ty_of(bits: &str) -> Parsed<Ty> {
    [Ty::I1, Ty::I8, Ty::I16, Ty::I32, Ty::I64, Ty::I128]
        .into_iter()
        .find(|ty| ty.bits().to_string() == bits)
        .ok_or_else(|| format!("no type `i{bits}`"))
}

fn immediate(words: &mut Words<'_>) -> Parsed<u32> {
    let word = words.next()?;
    let value = word.strip_prefix('#').ok_or_else(|| format!("`#` is missing before `{word}`"))?;
    value.parse::<u8>().map(u32::from).map_err(|_| format!("`{value}` is not a number below 256"))
}

fn memory(words: &mut Words<'_>) -> Parsed<MemAttr> {
    let mut mem = MemAttr::PLAIN;
    for order in [Order::Acquire, Order::Release, Order::SeqCst] {
        if words.take(&format!("{order:?}").to_lowercase()) {
            mem.order = order;
        }
    }
    mem.big_endian = words.take("big");
    if words.take("align") {
        mem.align_log2 = words.small()?.trailing_zeros().min(7) as u8;
    }
    Ok(mem)
}

fn round(words: &mut Words<'_>) -> Round {
    [Round::Even, Round::Zero, Round::Down, Round::Up, Round::Away]
        .into_iter()
        .find(|round| words.take(&format!("{round:?}").to_lowercase()))
        .unwrap_or(Round::Mode)
}

fn kind(op: Op, word: &str) -> Parsed<u8> {
    let kind = match op {
        Op::Rmw => AtomicOp::ALL.iter().position(|(_, name)| *name == word),
        Op::Fmin | Op::Fmax => MinMax::ALL.iter().position(|(_, name)| *name == word),
        Op::Step => Step::ALL.iter().position(|(_, name)| *name == word),
        _ => FCmp::ALL.iter().position(|(_, name)| *name == word),
    };
    kind.map(|k| k as u8).ok_or_else(|| format!("no kind `{word}`"))
}

fn trap(words: &mut Words<'_>) -> Parsed<Trap> {
    Ok(match words.next()? {
        "undefined" => Trap::Undefined,
        "breakpoint" => Trap::Breakpoint(words.small()?),
        "integer_overflow" => Trap::IntegerOverflow,
        "divide_by_zero" => Trap::DivideByZero,
        "trap" => Trap::Trap(words.small()?),
        "alignment" => Trap::Alignment,
        other => return Err(format!("no trap `{other}`")),
    })
}
