//! Units compiled and run, against the interpreter's definition of them.

pub(super) mod harness;
mod lanes;
mod proof;
mod random;
mod settle;
mod shapes;
mod speed;
mod units;

/// Host code as text.
pub(super) fn listing(code: &[u8]) -> String {
    use iced_x86::{Decoder, DecoderOptions, Formatter, IntelFormatter};
    let mut formatter = IntelFormatter::new();
    let mut out = String::new();
    for inst in Decoder::with_ip(64, code, 0, DecoderOptions::NONE) {
        let mut line = String::new();
        formatter.format(&inst, &mut line);
        out += &format!("{:5x}  {line}\n", inst.ip());
    }
    out
}
