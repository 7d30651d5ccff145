//! The frames of the guests: how to execute instructions under QEMU, and where registers are in the tables for it. They are
//! written in `frames/frames.txt`, which says how.

use ir::Guest;
use ir::guest::Slot;

/// Bytes of a table.
pub(crate) const BLOCK: usize = 1024;

/// A way to execute instructions of a guest, here and under QEMU.
pub(crate) struct Frame {
    /// Its name.
    pub(crate) name: &'static str,
    /// The guest.
    pub(crate) guest: &'static Guest,
    /// Emulator to compare with, and its arguments.
    pub(crate) qemu: Vec<&'static str>,
    /// File of the program around the cases, and arguments of its assembler.
    pub(crate) program: Vec<&'static str>,
    /// `e_flags`.
    pub(crate) elf_flags: u32,
    /// What is added to the addresses of the program, the tables and the memory.
    pub(crate) origin: u64,
    /// The mode word in which cases start, of which the fields may change parts.
    pub(crate) mode: u32,
    /// Register with the table's address.
    pub(crate) base: Slot,
    /// Register with the address of the code, and what is added to that there.
    pub(crate) link: (Slot, u64),
    /// An instruction that does nothing.
    pub(crate) fill: Vec<u8>,
    /// The table.
    pub(crate) fields: Vec<Field>,
    /// Start of names of fields that are no NaNs.
    pub(crate) no_nan: Option<&'static str>,
    /// Starts of names of instructions whose accesses must be aligned for the reference to carry them out.
    pub(crate) aligned: Vec<&'static str>,
    /// Starts of names: of an instruction, and of a field that may be anything after it.
    pub(crate) open: Vec<(&'static str, &'static str)>,
}

/// A field of a table.
pub(crate) struct Field {
    /// Name.
    pub(crate) name: String,
    /// Offset.
    pub(crate) at: usize,
    /// Length.
    pub(crate) bytes: usize,
    /// State that is part of it; if none, it never changes.
    pub(crate) parts: Vec<Part>,
    /// What it may be.
    pub(crate) value: Value,
    /// Never a NaN.
    pub(crate) finite: bool,
    /// Where its bytes are in the slots of a state, if they are there as they are in the table but for their order.
    pub(crate) in_slots: Option<usize>,
}

/// State that is part of a field.
pub(crate) struct Part {
    /// Lowest bit in the field.
    pub(crate) lo: u32,
    /// What is shifted there.
    pub(crate) mask: u128,
    /// Where it is.
    pub(crate) source: Source,
}

/// Where state is.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Source {
    /// In a slot, from a bit on.
    Slot(Slot, u32),
    /// In the mode word, from a bit on.
    Context(u32),
    /// A sticky floating-point flag by its number.
    Sticky(u32),
}

/// Values of a field to start with.
#[derive(Clone, Copy)]
pub(crate) enum Value {
    /// An address or a number.
    General,
    /// A number.
    Number,
    /// An address.
    Stack,
    /// Shifted by the first, what is below the second; and rarely some of the bits of the third.
    Below(u32, u64, u64),
    /// Some of the bits of the first, and rarely of the second.
    Any(u64, u64),
    /// This.
    Fixed(u64),
}

impl Frame {
    /// The frame of a name.
    pub(crate) fn of(name: &'static str) -> Frame {
        let text = include_str!("frames/frames.txt");
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut lines = lines.skip_while(|line| line.strip_prefix("frame ") != Some(name)).skip(1);
        let guest = guests::ALL.by_name(lines.next().unwrap().strip_prefix("guest ").unwrap()).unwrap();
        let mut frame = Frame {
            name,
            guest,
            qemu: Vec::new(),
            program: Vec::new(),
            elf_flags: guest.elf.flags,
            origin: 0,
            mode: guest.reset_mode(),
            base: Slot(0),
            link: (Slot(0), 0),
            fill: Vec::new(),
            fields: Vec::new(),
            no_nan: None,
            aligned: Vec::new(),
            open: Vec::new(),
        };
        for line in lines.take_while(|line| !line.starts_with("frame ")) {
            let (key, rest) = line.split_once(' ').unwrap();
            frame.read(key, rest.trim());
        }
        frame
    }

    fn read(&mut self, key: &str, rest: &'static str) {
        let words = || rest.split_whitespace();
        match key {
            "qemu" => self.qemu = words().collect(),
            "program" => self.program = words().collect(),
            "flags" => self.elf_flags = integer(rest) as u32,
            "origin" => self.origin = integer(rest),
            "context" => {
                let (name, value) = rest.split_once('=').unwrap();
                let context = self.guest.contexts.iter().find(|c| c.name == name).unwrap();
                self.mode |= (integer(value) as u32) << context.lo;
            }
            "base" => self.base = self.guest.slot(rest).unwrap(),
            "link" => {
                let (name, plus) = rest.split_once('+').unwrap_or((rest, "0"));
                self.link = (self.guest.slot(name).unwrap(), integer(plus));
            }
            "fill" => {
                let byte = |at: usize| u8::from_str_radix(&rest[at..at + 2], 16).unwrap();
                self.fill = (0..rest.len()).step_by(2).map(byte).collect();
            }
            "no_nan" => self.no_nan = Some(rest),
            "aligned" => self.aligned.extend(words()),
            "open" => self.open.push(rest.split_once(' ').unwrap()),
            "at" => self.read_fields(rest),
            _ => panic!("no property `{key}`"),
        }
    }

    /// `OFFSET NAME BYTES[/STEP] : STATE : VALUE`.
    fn read_fields(&mut self, line: &str) {
        let parts: Vec<&str> = line.split(" :").map(str::trim).collect();
        let [place, state, value] = parts[..] else { panic!("place : state : value, not {line}") };
        let [at, name, size] = place.split_whitespace().collect::<Vec<_>>()[..] else { panic!("at what? {line}") };
        let (bytes, step) = size.split_once('/').unwrap_or((size, size));
        let (bytes, step) = (integer(bytes) as usize, integer(step) as usize);
        let value = Value::of(value);
        for (k, number) in numbers(name).into_iter().enumerate() {
            let name = match name.split_once("..") {
                Some((first, _)) => format!("{}{number}", first.trim_end_matches(|c: char| c.is_ascii_digit())),
                None => name.to_owned(),
            };
            let parts = self.parts(&state.replace('#', &number.to_string()), 8 * bytes as u32);
            let at = integer(at) as usize + k * step;
            let finite = self.no_nan.is_some_and(|start| name.starts_with(start));
            let in_slots = self.in_slots(&parts, bytes);
            self.fields.push(Field { name, at, bytes, parts, value, finite, in_slots });
        }
    }

    fn in_slots(&self, parts: &[Part], bytes: usize) -> Option<usize> {
        let [Part { lo: 0, mask, source: Source::Slot(slot, from) }] = parts else { return None };
        let slot = &self.guest.slots[slot.0 as usize];
        let (from, whole) = (*from as usize, *mask == u128::MAX >> (128 - 8 * bytes));
        let fits = whole && from.is_multiple_of(8) && from / 8 + bytes <= slot.ty.bytes() as usize;
        fits.then_some(slot.offset as usize + from / 8)
    }

    fn parts(&self, state: &str, bits: u32) -> Vec<Part> {
        let state = state.replace("context ", "context:").replace("fflags ", "fflags:");
        let part = |text: &str| {
            let (what, lo) = text.split_once('@').unwrap_or((text, "0"));
            let lo = integer(lo) as u32;
            if let Some(name) = what.strip_prefix("context:") {
                let context = self.guest.contexts.iter().find(|c| c.name == name).unwrap();
                return Part { lo, mask: (1 << context.width) - 1, source: Source::Context(context.lo) };
            }
            if let Some(number) = what.strip_prefix("fflags:") {
                return Part { lo, mask: 1, source: Source::Sticky(integer(number) as u32) };
            }
            let (name, from) = what.split_once(">>").unwrap_or((what, "0"));
            let slot = self.guest.slot(name).unwrap_or_else(|| panic!("no slot {name}"));
            let mask = self.guest.slots[slot.0 as usize].ty.mask() & u128::MAX >> (128 - bits);
            Part { lo, mask, source: Source::Slot(slot, integer(from) as u32) }
        };
        state.split_whitespace().map(part).collect()
    }

    /// The fields that may be anything after an instruction.
    pub(crate) fn open_after(&self, insn: &str) -> Vec<usize> {
        let is_open = |field: &Field| {
            self.open.iter().any(|(starts, with)| insn.starts_with(starts) && field.name.starts_with(with))
        };
        (0..self.fields.len()).filter(|&k| is_open(&self.fields[k])).collect()
    }
}

impl Field {
    /// Its bits that are of the mode word.
    pub(crate) fn context(&self) -> u128 {
        let of_mode = self.parts.iter().filter(|part| matches!(part.source, Source::Context(_)));
        of_mode.fold(0, |all, part| all | part.mask << part.lo)
    }
}

impl Value {
    fn of(text: &str) -> Value {
        let (kind, rest) = text.split_once(['(', ' ']).unwrap_or((text, ""));
        let numbers: Vec<u64> = rest.trim_end_matches(')').split(", ").filter(|n| !n.is_empty()).map(integer).collect();
        let number = |k: usize| numbers.get(k).copied().unwrap_or(0);
        match kind {
            "general" => Value::General,
            "number" => Value::Number,
            "stack" => Value::Stack,
            "fixed" => Value::Fixed(number(0)),
            "below" => Value::Below(number(0) as u32, number(1), number(2)),
            "any" => Value::Any(number(0), number(1)),
            _ => panic!("no values `{text}`"),
        }
    }
}

/// What `r0..30..2` counts; one number if it does not count.
fn numbers(name: &str) -> Vec<usize> {
    let Some((first, rest)) = name.split_once("..") else { return vec![0] };
    let first = first.trim_start_matches(|c: char| !c.is_ascii_digit());
    let (last, step) = rest.split_once("..").unwrap_or((rest, "1"));
    (integer(first) as usize..=integer(last) as usize).step_by(integer(step) as usize).collect()
}

fn integer(text: &str) -> u64 {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).unwrap(),
        None => text.parse().unwrap(),
    }
}
