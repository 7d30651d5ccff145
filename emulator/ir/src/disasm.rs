//! Text of instructions: what generated disassemblers print with.

use std::fmt::Write as _;

/// Collects the text of one instruction. Methods are not inlined: generated code calls them some thousand times.
#[derive(Default)]
pub struct Printer {
    text: String,
}

impl Printer {
    /// Nothing printed.
    #[must_use]
    pub fn new() -> Printer {
        Printer::default()
    }

    /// What was printed.
    #[must_use]
    pub fn finish(self) -> String {
        self.text
    }

    /// Fixed text.
    #[inline(never)]
    pub fn text(&mut self, text: &str) {
        self.text.push_str(text);
    }

    /// A number in decimal.
    #[inline(never)]
    pub fn int(&mut self, value: i128) {
        let _ = write!(self.text, "{value}");
    }

    /// A number in hexadecimal, with `0x`.
    #[inline(never)]
    pub fn hex(&mut self, value: i128) {
        let sign = if value < 0 { "-" } else { "" };
        let _ = write!(self.text, "{sign}{:#x}", value.unsigned_abs());
    }

    /// A number in hexadecimal, with its sign in any case.
    #[inline(never)]
    pub fn signed_hex(&mut self, value: i128) {
        let sign = if value < 0 { '-' } else { '+' };
        let _ = write!(self.text, "{sign}{:#x}", value.unsigned_abs());
    }

    /// The text at a position; nothing where there is none.
    #[inline(never)]
    pub fn pick(&mut self, index: i128, texts: &[&str]) {
        if let Some(text) = usize::try_from(index).ok().and_then(|i| texts.get(i)) {
            self.text.push_str(text);
        }
    }

    /// The text of an enum value; the number where the enum does not name it.
    #[inline(never)]
    pub fn name(&mut self, value: i128, names: &[(i128, &str)]) {
        match names.iter().find(|(v, _)| *v == value) {
            Some((_, name)) => self.text.push_str(name),
            None => self.int(value),
        }
    }

    /// A byte that begins no instruction.
    #[inline(never)]
    pub fn byte(&mut self, byte: u8) {
        let _ = write!(self.text, ".byte {byte:#04x}");
    }

    /// A word that is no instruction, as a data directive of `len` bytes.
    #[inline(never)]
    pub fn data(&mut self, word: u32, len: u32) {
        let (directive, digits) = if len == 2 { (".short", 4) } else { (".word", 8) };
        let _ = write!(self.text, "{directive} 0x{word:0digits$x}");
    }
}

/// The position of a width in its set, for texts chosen by width.
#[must_use]
pub fn position(value: i128, set: &[i128]) -> i128 {
    set.iter().position(|&member| member == value).map_or(-1, |i| i as i128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_names_and_choices() {
        let mut p = Printer::new();
        p.int(-3);
        p.text(",");
        p.hex(-16);
        p.signed_hex(16);
        p.pick(1, &["a", "b"]);
        p.pick(2, &["a", "b"]);
        p.name(4, &[(4, "eq")]);
        p.name(5, &[(4, "eq")]);
        p.data(0x12, 2);
        assert_eq!(p.finish(), "-3,-0x10+0x10beq5.short 0x0012");
        assert_eq!(position(64, &[32, 64]), 1);
    }
}
